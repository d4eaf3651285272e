//! The flow tables and what a packet meets in them.
//!
//! [`Tables`] is persistent: a clone is cheap and shares everything, a change copies the path to what it changed.
//! [`translate`] walks the tables for one flow key and yields operations; it never allocates and never reads anything
//! but its arguments, so that its answer is a function of key and snapshot. Counters live in [`stats`], outside
//! the flows, and survive a rebuild of the snapshot.
//!
//! Tables remember what made them from the tables before, and a [`Snapshot`] keeps a log of that: nobody can publish
//! tables without their changes.

pub mod cache;
pub mod changes;
pub mod conjunction;
pub mod flow;
pub mod flowmod;
pub mod frozen;
pub mod objectmod;
pub mod objects;
pub mod ports;
pub mod record;
pub mod stats;
pub mod syntax;
pub mod table;
#[cfg(feature = "testing")]
pub mod testing;
pub mod translate;

pub use changes::ChangeLog;
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
    /// How it came to be.
    pub log: ChangeLog,
}

impl Snapshot {
    /// The first of a series: its log is empty.
    pub fn new(tables: Tables, ports: Ports) -> Self {
        Self { tables, ports, log: ChangeLog::default() }
    }

    /// The same with other tables; the log tells what differs.
    pub fn with_tables(&self, tables: Tables) -> Self {
        let mut next = Self { tables, ports: self.ports.clone(), log: self.log.clone() };
        if let Some(what) = next.tables.changes_since(&self.tables) {
            next.log.push(what);
        }
        next
    }

    /// The same with other ports; the log tells what differs.
    pub fn with_ports(&self, ports: Ports) -> Self {
        let mut next = Self { tables: self.tables.clone(), ports, log: self.log.clone() };
        if let Some(what) = next.ports.changes_since(&self.ports) {
            next.log.push(what);
        }
        next
    }
}
