//! Any text as lines of ovn-nbctl: `millrace::testing::fuzz_nbctl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_nbctl(bytes));
