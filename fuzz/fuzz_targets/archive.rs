//! See `housekey::client::archive::fuzzing::archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::client::archive::fuzzing::archive(data));
