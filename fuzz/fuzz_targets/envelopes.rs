#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cvrsd::fuzzing::envelopes(data));
