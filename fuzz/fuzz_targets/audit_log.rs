//! See `housekey::plc::fuzzing::audit_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::plc::fuzzing::audit_log(data));
