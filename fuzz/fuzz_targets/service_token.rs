//! See `housekey::crypto::fuzzing::service_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::crypto::fuzzing::service_token(data));
