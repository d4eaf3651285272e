//! Flow counters, apart from the flows: one writer per worker and counter, summed when read.

/// A flow's place among the counters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct StatsId(pub u32);

/// Every flow's counters.
#[derive(Debug, Default)]
pub struct FlowStats {}
