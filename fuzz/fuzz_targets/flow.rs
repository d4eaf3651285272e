//! Any text as a flow: `millrace::testing::fuzz_flow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_flow(bytes));
