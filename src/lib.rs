//! millrace: a DPDK poll-mode virtual switch that runs OVN's logical networks by itself.
//!
//! `docs/architecture.md` has the map and the two pictures.

pub mod action;
pub mod classifier;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod datapath;
#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod hint;
pub mod ident;
pub mod logical;
pub mod packet;
pub mod pipeline;
pub mod rcu;
#[cfg(feature = "testing")]
pub mod testing;
pub mod worker;
