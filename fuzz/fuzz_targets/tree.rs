#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understage_fuzz::run("tree", data));
