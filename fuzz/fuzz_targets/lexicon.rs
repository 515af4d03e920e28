//! See `housekey::lexicon::fuzzing::lexicon`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| housekey::lexicon::fuzzing::lexicon(data));
