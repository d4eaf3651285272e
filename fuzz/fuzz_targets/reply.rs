//! Any bytes as a packet to be answered: `millrace::testing::fuzz_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_reply(bytes));
