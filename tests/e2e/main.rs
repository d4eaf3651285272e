//! End-to-end tests: `millraced` and `millrace` as an operator runs them, real kernels and a real guest around them.
//!
//! They need root, and they take turns: there is one worker core to poll on. Each test has a [`lab::Lab`] of its own with
//! namespaces, veths and run-time files under names that nobody else has, and takes all of it away again, also when it
//! fails. Each ends with [`lab::Switch::end`]: the accounting is exact, the drops are those that the test lists and
//! no others, SIGTERM stops the switch within a second, and nothing stays behind.
//!
//! `scripts/test` installs what they use and runs them; alone they run by `cargo test --test e2e`.
#![cfg(feature = "dpdk")]

mod lab;

mod capture_files;
mod change;
mod forward;
mod guest;
mod guest_checksums;
mod operate;
mod overlay;
mod ovn;
mod ovn_typed;
mod policy;
mod refuse;
mod rewrite;
mod vlan;
