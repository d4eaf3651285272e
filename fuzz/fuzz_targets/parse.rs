//! Any bytes as a frame: `millrace::testing::fuzz_parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_parse(bytes));
