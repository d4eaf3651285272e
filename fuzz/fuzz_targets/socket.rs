//! Any bytes to the control socket: `millrace::testing::fuzz_socket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_socket(bytes));
