//! A flow: where it stands, what it matches, what it does.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::stats::StatsId;
use crate::action::Action;
pub use crate::classifier::{Match, PackedMatch};

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
    /// It was made of rows of a logical network, and changes with them only; of a change: it is one of those.
    pub lowered: bool,
}

/// An installed flow. Immutable; a change makes a new one with the same [`StatsId`].
#[derive(Clone, Debug)]
pub struct Flow {
    /// Table, 0 to 254.
    pub table: u8,
    /// Priority, the greater first.
    pub priority: u16,
    /// What it matches, as it is kept.
    pub packed: PackedMatch,
    /// What it does.
    pub actions: Arc<[Action]>,
    /// The rest.
    pub options: FlowOptions,
    /// Its counters.
    pub stats: StatsId,
    /// When it was added.
    pub created: Moment,
    /// When it was added or last changed; hard timeouts count from here.
    pub modified: Moment,
}

impl Flow {
    /// What it matches, in full: for the control side.
    pub fn matcher(&self) -> Match {
        self.packed.unpack()
    }
}

/// An [`Instant`] in half the space: nanoseconds from the first that was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment(i64);

static FIRST: OnceLock<Instant> = OnceLock::new();

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let first = *FIRST.get_or_init(|| instant);
        let nanoseconds = |apart: Duration| i64::try_from(apart.as_nanos()).unwrap_or(i64::MAX);
        match instant.checked_duration_since(first) {
            Some(since) => Self(nanoseconds(since)),
            None => Self(-nanoseconds(first.saturating_duration_since(instant))),
        }
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        let apart = Duration::from_nanos(moment.0.unsigned_abs());
        let first = *FIRST.get_or_init(Instant::now);
        let instant = if moment.0 < 0 { first.checked_sub(apart) } else { first.checked_add(apart) };
        instant.unwrap_or(first)
    }
}

impl Flow {
    /// Whether a packet that meets this is treated, and counted, as by the other.
    pub(super) fn acts_as(&self, other: &Flow) -> bool {
        (self.stats, self.options.cookie) == (other.stats, other.options.cookie)
            && (Arc::ptr_eq(&self.actions, &other.actions) || self.actions == other.actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_exact_before_and_after_the_first() {
        let now = Instant::now();
        for instant in [now, now + Duration::from_nanos(7), now - Duration::from_nanos(1_500_000_001)] {
            assert_eq!(Instant::from(Moment::from(instant)), instant);
        }
    }

    #[test]
    fn a_flow_is_small() {
        assert!(size_of::<Flow>() <= 112, "{} bytes", size_of::<Flow>());
    }
}
