//! Any text as a dump of Southbound rows: `millrace::testing::fuzz_dump`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_dump(bytes));
