//! See `housekey::delegation::fuzzing::statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::delegation::fuzzing::statement(data));
