//! Any bytes as a history of rows and bindings: `millrace::testing::fuzz_lower`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_lower(bytes));
