//! Any text as the actions of a logical flow: `millrace::testing::fuzz_actions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_actions(bytes));
