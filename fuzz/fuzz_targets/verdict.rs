//! See `housekey::delegation::fuzzing::verdict`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::delegation::fuzzing::verdict(data));
