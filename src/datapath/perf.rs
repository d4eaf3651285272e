//! What workers measure of their own work, as `perf show` prints it.

use serde::Serialize;

use crate::packet::PortNo;

/// What one worker measured since it started or was cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkerPerf {
    /// Number of the worker, from 0.
    pub worker: u16,
    /// Core it is pinned to, if it is.
    pub core: Option<usize>,
    /// TSC cycles in a second.
    pub tsc_hz: u64,
    /// Turns of its loop.
    pub loops: u64,
    /// Turns in which it found nothing to do.
    pub idle_loops: u64,
    /// TSC cycles of turns that had work.
    pub busy_cycles: u64,
    /// TSC cycles of turns that had none, sleep included.
    pub idle_cycles: u64,
    /// Bursts that brought at least one packet.
    pub bursts: u64,
    /// What became of the packets.
    pub cache: CacheCounts,
    /// Megaflows there are now.
    pub megaflows: u64,
    /// Subtables of megaflows there are now: pairs of a port and a mask.
    pub subtables: u64,
    /// Whether the exact-match cache is in use now; it is passed by where it does not pay.
    pub emc_in_use: bool,
    /// Packets that wait for translation now.
    pub waiting: u64,
    /// TSC cycles that misses took in all.
    pub miss_cycles: u64,
    /// How long misses took: upper bound in nanoseconds, and how many took less than that but no less than the bound
    /// before. Bounds without a miss are left out.
    pub miss_ns: Vec<(u64, u64)>,
    /// Its receive queues.
    pub rxqs: Vec<RxqPerf>,
}

/// What became of packets in the caches. Every packet is a hit of one level, or translated, or dropped before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// Packets that were looked up.
    pub packets: u64,
    /// Found by the exact-match cache.
    pub emc_hits: u64,
    /// Found in the megaflow subtables.
    pub megaflow_hits: u64,
    /// Translated: nothing was found, or what was found had gone stale.
    pub misses: u64,
    /// Of the misses: those that found a megaflow which a change had made stale.
    pub stale: u64,
    /// Subtables probed in all, by the packets that the exact-match cache did not serve.
    pub probes: u64,
    /// Megaflows checked against changes and found untouched by them.
    pub revalidated: u64,
    /// Megaflows installed.
    pub installed: u64,
    /// Megaflows that went because no packet had used them for long.
    pub expired: u64,
    /// Megaflows that made room for others.
    pub evicted: u64,
    /// Translations whose megaflow was not installed, because a cap was reached or its result must not be kept.
    pub refused: u64,
    /// Megaflows installed with every bit matched, because the port has as many masks as it may have.
    pub narrowed: u64,
}

/// What was measured of one receive queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RxqPerf {
    /// Port.
    pub port: PortNo,
    /// Its name.
    pub name: String,
    /// Queue of the port.
    pub queue: u16,
    /// Packets received from it.
    pub packets: u64,
    /// Bursts that brought at least one packet.
    pub bursts: u64,
    /// TSC cycles spent on its bursts, transmission included.
    pub cycles: u64,
}
