//! See `housekey::repo::fuzzing::node`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::repo::fuzzing::node(data));
