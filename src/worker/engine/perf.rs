//! What workers measured, gathered.

use super::Engine;
use crate::datapath::perf::{CacheCounts, RxqPerf, WorkerPerf};
use crate::worker::device::Backend;

impl<B: Backend> Engine<B> {
    /// All that a worker measured since it started.
    pub(super) fn perf_now(&self, index: usize) -> WorkerPerf {
        let Some(worker) = self.workers.get(index) else { return WorkerPerf::default() };
        let counters = &worker.counters;
        let perf = &counters.perf;
        let stale = perf.stale.get();
        let queues = self.ports.iter().flat_map(|port| {
            let name = self.known(port.slot.number).map(|known| known.spec.name.as_str()).unwrap_or_default();
            let own = port.rxqs.iter().filter(|rxq| rxq.owner == Some(index as u16));
            own.map(move |rxq| RxqPerf {
                port: port.slot.number,
                name: name.to_owned(),
                queue: rxq.queue,
                packets: rxq.counters.packets.get(),
                bursts: rxq.counters.bursts.get(),
                cycles: rxq.counters.cycles.get(),
            })
        });
        let buckets = perf.miss_histogram.iter().enumerate().map(|(bucket, count)| {
            let cycles = 1u64 << bucket;
            (self.clock.ns(cycles), count.get())
        });
        WorkerPerf {
            worker: index as u16,
            core: worker.setup.core,
            tsc_hz: B::tsc_hz(),
            loops: counters.loops.get(),
            idle_loops: counters.idle_loops.get(),
            busy_cycles: counters.busy_cycles.get(),
            idle_cycles: counters.idle_cycles.get(),
            bursts: perf.bursts.get(),
            cache: CacheCounts {
                packets: perf.packets.get(),
                emc_hits: perf.emc_hits.get(),
                // A stale megaflow was found, and then its packet was translated.
                megaflow_hits: perf.megaflow_hits.get().saturating_sub(stale),
                misses: perf.misses.get(),
                stale,
                probes: perf.probes.get(),
                revalidated: perf.revalidated.get(),
                installed: perf.installed.get(),
                expired: perf.expired.get(),
                evicted: perf.evicted.get(),
                refused: perf.refused.get(),
                narrowed: perf.narrowed.get(),
            },
            megaflows: perf.megaflows.get(),
            subtables: perf.subtables.get(),
            emc_in_use: perf.emc_in_use.get() != 0,
            waiting: perf.waiting.get(),
            miss_cycles: perf.miss_cycles.get(),
            miss_ns: buckets.collect(),
            rxqs: queues.collect(),
        }
    }
}

/// What was measured since an earlier moment. Gauges are as they are; a queue that was elsewhere then counts whole.
pub(super) fn since(now: &WorkerPerf, base: &WorkerPerf) -> WorkerPerf {
    let less = |now: u64, base: u64| now.saturating_sub(base);
    let (cache, before) = (&now.cache, &base.cache);
    let rxq = |now: &RxqPerf| {
        let same = |old: &&RxqPerf| (&old.name, old.queue, old.port) == (&now.name, now.queue, now.port);
        // Fewer packets than before: a new port with an old name.
        let old = base.rxqs.iter().find(same).filter(|old| old.packets <= now.packets);
        let old = old.cloned().unwrap_or_default();
        RxqPerf {
            packets: less(now.packets, old.packets),
            bursts: less(now.bursts, old.bursts),
            cycles: less(now.cycles, old.cycles),
            ..now.clone()
        }
    };
    let misses = now.miss_ns.iter().enumerate().map(|(bucket, (bound, count))| {
        let old = base.miss_ns.get(bucket).map_or(0, |(_, count)| *count);
        (*bound, less(*count, old))
    });
    WorkerPerf {
        loops: less(now.loops, base.loops),
        idle_loops: less(now.idle_loops, base.idle_loops),
        busy_cycles: less(now.busy_cycles, base.busy_cycles),
        idle_cycles: less(now.idle_cycles, base.idle_cycles),
        bursts: less(now.bursts, base.bursts),
        cache: CacheCounts {
            packets: less(cache.packets, before.packets),
            emc_hits: less(cache.emc_hits, before.emc_hits),
            megaflow_hits: less(cache.megaflow_hits, before.megaflow_hits),
            misses: less(cache.misses, before.misses),
            stale: less(cache.stale, before.stale),
            probes: less(cache.probes, before.probes),
            revalidated: less(cache.revalidated, before.revalidated),
            installed: less(cache.installed, before.installed),
            expired: less(cache.expired, before.expired),
            evicted: less(cache.evicted, before.evicted),
            refused: less(cache.refused, before.refused),
            narrowed: less(cache.narrowed, before.narrowed),
        },
        miss_cycles: less(now.miss_cycles, base.miss_cycles),
        miss_ns: misses.filter(|(_, count)| *count > 0).collect(),
        rxqs: now.rxqs.iter().map(rxq).collect(),
        ..now.clone()
    }
}
