//! Any text as tokens of OVN's language: `millrace::testing::fuzz_lexer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_lexer(bytes));
