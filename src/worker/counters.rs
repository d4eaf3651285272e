//! A worker's counters: written by the worker alone, read by anyone, so a plain store is enough.

#[cfg(millrace_loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(millrace_loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use super::thread::Wakes;
use crate::datapath::{PortCounters, Totals};
use crate::packet::DropReason;
use crate::pipeline::cache::FlowCache;

/// Ports a switch can have.
pub const MAX_SLOTS: usize = 256;

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. By the one writer only.
    #[inline(always)]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes off. By the one writer only.
    #[inline(always)]
    pub fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Sets it. By the one writer only.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Sets it; whoever reads the value by [`Counter::announced`] sees all that was counted before.
    pub fn announce(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// The other half of [`Counter::announce`].
    pub fn announced(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Its value at about this moment.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a worker counts of one port. Never set back: slots are reused, so readers subtract what was there before.
#[derive(Debug, Default)]
pub struct PortCell {
    pub rx_packets: Counter,
    pub rx_bytes: Counter,
    pub tx_packets: Counter,
    pub tx_bytes: Counter,
    pub tx_dropped: Counter,
    pub injected: Counter,
}

impl PortCell {
    /// The values now.
    pub fn read(&self) -> PortCounters {
        PortCounters {
            rx_packets: self.rx_packets.get(),
            rx_bytes: self.rx_bytes.get(),
            tx_packets: self.tx_packets.get(),
            tx_bytes: self.tx_bytes.get(),
            tx_dropped: self.tx_dropped.get(),
            injected: self.injected.get(),
        }
    }
}

/// A counter for each reason of drops.
#[derive(Debug)]
pub struct Drops([Counter; DropReason::COUNT]);

impl Default for Drops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl std::ops::Deref for Drops {
    type Target = [Counter];

    fn deref(&self) -> &[Counter] {
        &self.0
    }
}

/// The accounting of one worker.
#[derive(Debug, Default)]
pub struct Account {
    pub received: Counter,
    pub injected: Counter,
    pub originated: Counter,
    pub copied: Counter,
    pub transmitted: Counter,
    pub consumed: Counter,
    pub staged: Counter,
    pub packet_ins: Counter,
    pub intents: Counter,
    pub intents_suppressed: Counter,
    pub intents_lost: Counter,
    pub tx_contention: Counter,
    pub tx_retries: Counter,
    pub drops: Drops,
}

impl Account {
    /// Counts drops.
    #[inline(always)]
    pub fn drop(&self, reason: DropReason, n: u64) {
        if let Some(counter) = self.drops.get(reason as usize) {
            counter.add(n);
        }
    }

    fn read(&self) -> Totals {
        let drops = DropReason::ALL.iter().zip(&*self.drops);
        Totals {
            received: self.received.get(),
            injected: self.injected.get(),
            originated: self.originated.get(),
            copied: self.copied.get(),
            transmitted: self.transmitted.get(),
            consumed: self.consumed.get(),
            in_flight: self.staged.get(),
            drops: drops.map(|(reason, counter)| (*reason, counter.get())).collect(),
            packet_ins: self.packet_ins.get(),
            intents: self.intents.get(),
            intents_suppressed: self.intents_suppressed.get(),
            intents_lost: self.intents_lost.get(),
            tx_contention: self.tx_contention.get(),
            tx_retries: self.tx_retries.get(),
        }
    }

    /// Sets every counter to that of another account. By the one writer only.
    fn set_to(&self, other: &Account) {
        let pairs = [
            (&self.received, &other.received),
            (&self.injected, &other.injected),
            (&self.originated, &other.originated),
            (&self.copied, &other.copied),
            (&self.transmitted, &other.transmitted),
            (&self.consumed, &other.consumed),
            (&self.staged, &other.staged),
            (&self.packet_ins, &other.packet_ins),
            (&self.intents, &other.intents),
            (&self.intents_suppressed, &other.intents_suppressed),
            (&self.intents_lost, &other.intents_lost),
            (&self.tx_contention, &other.tx_contention),
            (&self.tx_retries, &other.tx_retries),
        ];
        for (to, from) in pairs.into_iter().chain(self.drops.iter().zip(&*other.drops)) {
            to.announce(from.get());
        }
    }
}

/// Buckets of the histogram of misses: bucket `n` counts those of less than 2ⁿ cycles.
pub const MISS_BUCKETS: usize = 32;

/// What became of packets in the caches, and gauges.
#[derive(Debug, Default)]
pub struct Perf {
    pub packets: Counter,
    pub bursts: Counter,
    pub misses: Counter,
    pub miss_cycles: Counter,
    pub miss_histogram: [Counter; MISS_BUCKETS],
    pub emc_hits: Counter,
    pub megaflow_hits: Counter,
    pub stale: Counter,
    pub probes: Counter,
    pub revalidated: Counter,
    pub installed: Counter,
    pub expired: Counter,
    pub evicted: Counter,
    pub refused: Counter,
    pub narrowed: Counter,
    pub megaflows: Counter,
    pub subtables: Counter,
    pub emc_in_use: Counter,
    pub waiting: Counter,
}

impl Perf {
    /// Makes the cache's own numbers visible. By the worker, once in a millisecond.
    #[inline]
    pub fn show(&self, cache: &FlowCache, waiting: usize) {
        let counts = cache.counts();
        self.emc_hits.set(counts.emc_hits);
        self.megaflow_hits.set(counts.megaflow_hits);
        self.stale.set(counts.stale);
        self.probes.set(counts.probes);
        self.revalidated.set(counts.revalidated);
        self.installed.set(counts.installed);
        self.expired.set(counts.expired);
        self.evicted.set(counts.evicted);
        self.refused.set(counts.refused);
        self.narrowed.set(counts.narrowed);
        let (megaflows, subtables, emc_in_use) = cache.gauges();
        self.megaflows.set(megaflows as u64);
        self.subtables.set(subtables as u64);
        self.emc_in_use.set(u64::from(emc_in_use));
        self.waiting.set(waiting as u64);
    }

    /// Counts a miss that took so many cycles.
    pub fn missed(&self, cycles: u64) {
        self.misses.add(1);
        self.miss_cycles.add(cycles);
        let bucket = (u64::BITS - cycles.leading_zeros()) as usize;
        if let Some(counter) = self.miss_histogram.get(bucket.min(MISS_BUCKETS - 1)) {
            counter.add(1);
        }
    }
}

/// What a worker counts.
#[derive(Debug)]
pub struct WorkerCounters {
    /// Since the worker started.
    pub account: Account,
    /// What the account said when counters were last cleared; written by the worker too, between two bursts.
    base: Account,
    pub loops: Counter,
    pub idle_loops: Counter,
    pub busy_cycles: Counter,
    pub idle_cycles: Counter,
    pub sleeps: Counter,
    /// How late it woke from them.
    pub wakes: Wakes,
    /// The last `Request::Sync` that was met.
    pub synced: Counter,
    pub perf: Perf,
    pub ports: Box<[PortCell]>,
}

impl WorkerCounters {
    /// All zero.
    pub fn new() -> Self {
        Self {
            account: Account::default(),
            base: Account::default(),
            loops: Counter::default(),
            idle_loops: Counter::default(),
            busy_cycles: Counter::default(),
            idle_cycles: Counter::default(),
            sleeps: Counter::default(),
            wakes: Wakes::new(),
            synced: Counter::default(),
            perf: Perf::default(),
            ports: (0..MAX_SLOTS).map(|_| PortCell::default()).collect(),
        }
    }

    /// Counts the accounting from zero, but for packets that wait. By the worker, between two bursts.
    pub fn clear(&self) {
        self.base.set_to(&self.account);
        // What waits has not been received yet, as those see it who count from now on.
        let staged = self.account.staged.get();
        self.base.received.sub(staged);
        self.base.staged.set(0);
    }

    /// Its share of the accounting, since it was cleared.
    pub fn totals(&self) -> Totals {
        combine(&self.account.read(), &self.base.read(), u64::wrapping_sub)
    }
}

/// Arithmetic of what is read: sums over workers, differences to a base.
pub fn combine(a: &Totals, b: &Totals, op: impl Fn(u64, u64) -> u64) -> Totals {
    let drop_of = |totals: &Totals, reason| {
        totals.drops.iter().find(|(other, _)| *other == reason).map_or(0, |(_, count)| *count)
    };
    let drops = DropReason::ALL.iter().map(|reason| (*reason, op(drop_of(a, *reason), drop_of(b, *reason))));
    Totals {
        received: op(a.received, b.received),
        injected: op(a.injected, b.injected),
        originated: op(a.originated, b.originated),
        copied: op(a.copied, b.copied),
        transmitted: op(a.transmitted, b.transmitted),
        consumed: op(a.consumed, b.consumed),
        in_flight: op(a.in_flight, b.in_flight),
        drops: drops.filter(|(_, count)| *count != 0).collect(),
        packet_ins: op(a.packet_ins, b.packet_ins),
        intents: op(a.intents, b.intents),
        intents_suppressed: op(a.intents_suppressed, b.intents_suppressed),
        intents_lost: op(a.intents_lost, b.intents_lost),
        tx_contention: op(a.tx_contention, b.tx_contention),
        tx_retries: op(a.tx_retries, b.tx_retries),
    }
}

/// The same for a port.
pub fn combine_ports(a: PortCounters, b: PortCounters, op: impl Fn(u64, u64) -> u64) -> PortCounters {
    PortCounters {
        rx_packets: op(a.rx_packets, b.rx_packets),
        rx_bytes: op(a.rx_bytes, b.rx_bytes),
        tx_packets: op(a.tx_packets, b.tx_packets),
        tx_bytes: op(a.tx_bytes, b.tx_bytes),
        tx_dropped: op(a.tx_dropped, b.tx_dropped),
        injected: op(a.injected, b.injected),
    }
}

/// Run as those of `rcu` are.
#[cfg(all(test, millrace_loom))]
mod loom_models {
    use loom::sync::Arc;
    use loom::thread;

    use super::Counter;

    /// The promise behind `Request::Sync`: whoever sees the answer reads all that was counted before it.
    #[test]
    fn what_was_counted_before_an_answer_is_read_after_it() {
        loom::model(|| {
            let shared = Arc::new([Counter::default(), Counter::default(), Counter::default()]);
            let worker = shared.clone();
            let thread = thread::spawn(move || {
                let [packets, bytes, synced] = &*worker;
                packets.add(1);
                bytes.add(64);
                synced.announce(1);
                packets.add(1);
                bytes.add(64);
                synced.announce(2);
            });
            let [packets, bytes, synced] = &*shared;
            let answered = synced.announced();
            assert!(packets.get() >= answered && bytes.get() >= 64 * answered);
            thread.join().unwrap();
            assert_eq!((packets.get(), bytes.get()), (2, 128));
        });
    }
}
