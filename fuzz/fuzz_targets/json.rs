//! See `housekey::ipld::fuzzing::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::ipld::fuzzing::json(data));
