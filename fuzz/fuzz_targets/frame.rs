//! See `housekey::event::fuzzing::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::event::fuzzing::frame(data));
