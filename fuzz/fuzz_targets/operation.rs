//! See `housekey::plc::fuzzing::operation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::plc::fuzzing::operation(data));
