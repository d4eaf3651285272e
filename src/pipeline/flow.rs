//! A flow: where it stands, what it matches, what it does.

use std::sync::Arc;
use std::time::Instant;

use super::stats::StatsId;
use crate::action::Action;
pub use crate::classifier::Match;

/// What is asked for with a flow beside match and actions, `ovs-ofctl(8)` "Flow Syntax".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowOptions {
    /// Opaque number of whoever added it.
    pub cookie: u64,
    /// Seconds without a packet after which it goes; 0 never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; 0 never.
    pub hard_timeout: u16,
    /// Kept for printing; the switch does not evict.
    pub importance: u16,
    /// `send_flow_rem`, kept for printing.
    pub send_flow_rem: bool,
    /// `check_overlap`: refuse the flow where one of the same priority overlaps.
    pub check_overlap: bool,
    /// `reset_counts`
    pub reset_counts: bool,
    /// `no_packet_counts`, kept for printing.
    pub no_packet_counts: bool,
    /// `no_byte_counts`, kept for printing.
    pub no_byte_counts: bool,
}

/// An installed flow. Immutable; a change makes a new one with the same [`StatsId`].
#[derive(Clone, Debug)]
pub struct Flow {
    /// Table, 0 to 254.
    pub table: u8,
    /// Priority, the greater first.
    pub priority: u16,
    /// What it matches.
    pub matcher: Match,
    /// What it does.
    pub actions: Arc<[Action]>,
    /// The rest.
    pub options: FlowOptions,
    /// Its counters.
    pub stats: StatsId,
    /// When it was added.
    pub created: Instant,
    /// When it was added or last changed; hard timeouts count from here.
    pub modified: Instant,
}

impl Flow {
    /// Whether a packet that meets this is treated, and counted, as by the other.
    pub(super) fn acts_as(&self, other: &Flow) -> bool {
        (self.stats, self.options.cookie) == (other.stats, other.options.cookie)
            && (Arc::ptr_eq(&self.actions, &other.actions) || self.actions == other.actions)
    }
}
