//! See `housekey::syntax::fuzzing::syntax`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::syntax::fuzzing::syntax(data));
