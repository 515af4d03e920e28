//! See `housekey::delegation::fuzzing::app_data`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::delegation::fuzzing::app_data(data));
