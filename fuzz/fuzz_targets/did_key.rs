//! See `housekey::crypto::fuzzing::did_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::crypto::fuzzing::did_key(data));
