//! millrace: a DPDK poll-mode virtual switch that runs OVN's logical networks by itself.
//!
//! `docs/architecture.md` has the map and the two pictures.
//!
//! The loom models need only the planes of the workers, so nothing else is built for them.

pub mod action;
pub mod classifier;
#[cfg(not(millrace_loom))]
pub mod cli;
#[cfg(not(millrace_loom))]
pub mod client;
pub mod config;
#[cfg(not(millrace_loom))]
pub mod control;
pub mod datapath;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod hint;
pub mod ident;
#[cfg(not(millrace_loom))]
pub mod logical;
#[cfg(not(millrace_loom))]
pub mod lower;
pub mod packet;
pub mod pipeline;
pub mod rcu;
#[cfg(all(feature = "testing", not(millrace_loom)))]
pub mod testing;
pub mod tunnel;
pub mod worker;
