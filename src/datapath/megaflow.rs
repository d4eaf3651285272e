//! Megaflows as `megaflow dump` shows them.

use crate::action::Op;
use crate::pipeline::Match;

/// One megaflow of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Megaflow {
    /// Worker that has it.
    pub worker: u16,
    /// What it matches.
    pub matcher: Match,
    /// Least TTL or hop limit that it serves; 0 for any.
    pub min_ttl: u8,
    /// What it does.
    pub ops: Vec<Op>,
    /// Packets it served.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Milliseconds since the last of them; none if it served none after the one that made it.
    pub used_ms_ago: Option<u64>,
}

/// What the workers are asked to do with their megaflows.
#[derive(Clone, Debug)]
pub enum MegaflowErrand {
    /// Hand over a copy of those that lie within the match.
    Dump(Match),
    /// Remove those that lie within the match.
    Flush(Match),
}

/// What came of a [`MegaflowErrand`].
#[derive(Clone, Debug, Default)]
pub struct MegaflowAnswer {
    /// For a dump: by worker, in no order within one.
    pub megaflows: Vec<Megaflow>,
    /// For a flush: how many were removed.
    pub flushed: u64,
}
