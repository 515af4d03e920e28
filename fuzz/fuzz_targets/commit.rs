//! See `housekey::repo::fuzzing::commit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::repo::fuzzing::commit(data));
