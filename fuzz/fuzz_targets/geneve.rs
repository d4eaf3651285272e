//! Any bytes as a frame of the uplink: `millrace::testing::fuzz_geneve`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| millrace::testing::fuzz_geneve(bytes));
