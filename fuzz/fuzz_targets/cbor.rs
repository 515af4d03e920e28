//! See `housekey::ipld::fuzzing::cbor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::ipld::fuzzing::cbor(data));
