//! The caches in front of the flow tables: megaflows found by tuple-space search ([`Megaflows`]), and the exact-match
//! cache ([`ExactMatch`]) that remembers which megaflow a packet met.
//!
//! Both belong to one worker. All their memory is set aside when they are made; nothing here allocates afterwards.
//!
//! The invariants:
//! - Hashes only propose. A megaflow serves a packet after its own bits were compared with the packet's, so that a
//!   collision, chance or malice, costs time and never an answer.
//! - Every chain of places that a lookup may follow is bounded, and hashes are seeded.

mod buckets;
mod exact;
mod hash;
mod megaflows;

#[cfg(test)]
mod tests;

pub use buckets::Buckets;
pub use exact::ExactMatch;
pub use hash::{Seed, address_hash, flow_hash, long_flow_hash};
pub use megaflows::{Limits, Megaflows, NONE, PORTS, Refused, Slot, TtlGuard, places};
