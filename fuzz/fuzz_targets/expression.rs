//! Any text as a match of OVN and as a microflow: `millrace::testing::fuzz_expression`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_expression(bytes));
