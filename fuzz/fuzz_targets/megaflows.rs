//! Any bytes as tables, packets and changes: `millrace::testing::fuzz_megaflows`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_megaflows(bytes));
