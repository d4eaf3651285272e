//! The flow tables and what a packet meets in them.
//!
//! [`Tables`] is persistent: a clone is cheap and shares everything, a change copies the path to what it changed.
//! [`translate`] walks the tables for one flow key and yields operations; it never allocates and never reads anything
//! but its arguments, so that its answer is a function of key and snapshot. Counters live in [`stats`], outside
//! the flows, and survive a rebuild of the snapshot.

pub mod cache;
pub mod flow;
pub mod flowmod;
pub mod ports;
pub mod record;
pub mod stats;
pub mod syntax;
pub mod table;
pub mod translate;

pub use flow::{Flow, Match};
pub use flowmod::{Batch, FlowMod};
pub use ports::{PortView, Ports};
pub use record::{Dep, Recorded};
pub use table::Tables;

/// All that decides what happens to a packet, immutable. Published by the control thread with one pointer swap.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// The flows.
    pub tables: Tables,
    /// The ports that actions may name.
    pub ports: Ports,
}
