//! See `housekey::ipld::fuzzing::car`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::ipld::fuzzing::car(data));
