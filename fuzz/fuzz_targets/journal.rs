//! Any bytes as a journal of Northbound rows: `millrace::testing::fuzz_journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_journal(bytes));
