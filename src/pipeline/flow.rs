//! A flow: where it stands, what it matches, what it does.

use std::sync::Arc;
use std::time::Instant;

use super::stats::StatsId;
use crate::action::Action;
use crate::packet::{Field, FlowKey, FlowMask};

/// What a flow matches: `key` on the bits of `mask`. `key` is zero outside `mask`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Match {
    /// Values.
    pub key: FlowKey,
    /// Which bits count.
    pub mask: FlowMask,
}

impl Match {
    /// Adds `field & mask == value & mask`, over what was asked of those bits before.
    pub fn set_masked(&mut self, field: Field, value: u128, mask: u128) {
        self.key.set_masked(field, value, mask);
        self.mask.set(field, self.mask.get(field) | (mask & field.all_ones()));
    }

    /// Adds `field == value`.
    pub fn set(&mut self, field: Field, value: u128) {
        self.set_masked(field, value, field.all_ones());
    }

    /// Whether a packet with that key meets this match.
    #[inline]
    pub fn matches(&self, key: &FlowKey) -> bool {
        self.key.eq_masked(key, &self.mask)
    }

    /// Whether every packet that meets this match meets `other` too: this is as narrow or narrower.
    pub fn is_within(&self, other: &Match) -> bool {
        self.mask.covers(&other.mask) && self.key.eq_masked(&other.key, &other.mask)
    }

    /// Whether some packet could meet both.
    pub fn overlaps(&self, other: &Match) -> bool {
        let mut both = FlowMask::default();
        let masks = self.mask.words().iter().zip(other.mask.words());
        for (word, (a, b)) in both.words_mut().iter_mut().zip(masks) {
            *word = a & b;
        }
        self.key.eq_masked(&other.key, &both)
    }
}

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
