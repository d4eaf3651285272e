//! What workers measured of their work: `perf show` in our own words.

use std::fmt;

use serde::Serialize;

use super::{CommandError, Outcome, done};
use crate::control::format::{columns, count};
use crate::control::switch::{State, Switch};
use crate::datapath::perf::{RxqPerf, WorkerPerf};

/// A part of a whole; nothing of nothing is nothing.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What follows from what a worker measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Derived {
    /// Busy cycles by packets.
    pub cycles_per_packet: f64,
    /// Packets by the bursts that brought any.
    pub packets_per_burst: f64,
    /// Per cent of the packets.
    pub emc_hits_percent: f64,
    /// Per cent of the packets.
    pub megaflow_hits_percent: f64,
    /// Per cent of the packets.
    pub misses_percent: f64,
    /// Subtables that a packet probes which the exact-match cache does not serve.
    pub subtables_per_lookup: f64,
    /// Average time of a miss.
    pub microseconds_per_miss: f64,
    /// Packets that were looked up and neither found nor translated: dropped before, or waiting still.
    pub not_translated: u64,
    /// Per cent of the cycles.
    pub busy_percent: f64,
    /// Seconds that were measured.
    pub seconds: f64,
}

impl Derived {
    /// What follows from this.
    pub fn of(perf: &WorkerPerf) -> Self {
        let cache = &perf.cache;
        let received = perf.rxqs.iter().map(|rxq| rxq.packets).sum();
        let served = cache.emc_hits + cache.megaflow_hits + cache.misses;
        let cycles = perf.busy_cycles + perf.idle_cycles;
        let percent = |part| ratio(part, cache.packets) * 100.0;
        let seconds = |cycles| ratio(cycles, perf.tsc_hz);
        Self {
            cycles_per_packet: ratio(perf.busy_cycles, cache.packets),
            packets_per_burst: ratio(received, perf.bursts),
            emc_hits_percent: percent(cache.emc_hits),
            megaflow_hits_percent: percent(cache.megaflow_hits),
            misses_percent: percent(cache.misses),
            subtables_per_lookup: ratio(cache.probes, cache.megaflow_hits + cache.misses),
            microseconds_per_miss: seconds(perf.miss_cycles) * 1e6 / cache.misses.max(1) as f64,
            not_translated: cache.packets.saturating_sub(served),
            busy_percent: ratio(perf.busy_cycles, cycles) * 100.0,
            seconds: seconds(cycles),
        }
    }
}

#[derive(Serialize)]
struct Perf(Vec<ShownPerf>);

#[derive(Serialize)]
struct ShownPerf {
    #[serde(flatten)]
    perf: WorkerPerf,
    #[serde(flatten)]
    derived: Derived,
}

/// The number of the worker that an optional argument names.
fn worker_arg(state: &State, arg: Option<&String>) -> Result<Option<u16>, CommandError> {
    let Some(text) = arg else { return Ok(None) };
    let known = |number: &u16| state.datapath.workers().iter().any(|status| status.worker == *number);
    text.parse().ok().filter(known).map(Some).ok_or_else(|| {
        CommandError::Argument(format!("there is no worker {text}; \"worker/list\" lists the workers"))
    })
}

pub fn show(switch: &Switch, args: &[String]) -> Outcome {
    let state = switch.state();
    let worker = worker_arg(&state, args.first())?;
    let meant = state.datapath.perf().into_iter();
    let meant = meant.filter(|perf| worker.is_none_or(|worker| worker == perf.worker));
    done(Perf(meant.map(|perf| ShownPerf { derived: Derived::of(&perf), perf }).collect()))
}

#[derive(Serialize)]
struct Cleared {
    /// None for all.
    worker: Option<u16>,
}

impl fmt::Display for Cleared {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub fn clear(switch: &Switch, args: &[String]) -> Outcome {
    let worker = worker_arg(&switch.state(), args.first())?;
    switch.state_mut().datapath.clear_perf(worker);
    done(Cleared { worker })
}

impl fmt::Display for Perf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no workers");
        }
        let mut between = "";
        for shown in &self.0 {
            f.write_str(between)?;
            shown.head(f)?;
            shown.counters(f)?;
            shown.queues(f)?;
            shown.misses(f)?;
            between = "\n";
        }
        Ok(())
    }
}

impl ShownPerf {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownPerf { perf, derived } = self;
        write!(f, "worker {}", perf.worker)?;
        if let Some(core) = perf.core {
            write!(f, " on core {core}")?;
        }
        writeln!(f, ", {:.1} s at {:.2} GHz", derived.seconds, perf.tsc_hz as f64 / 1e9)
    }

    fn counters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownPerf { perf, derived } = self;
        let cache = &perf.cache;
        let percent = |percent: f64| format!("{percent:.1} %");
        let emc = if perf.emc_in_use { "in use" } else { "passed by" };
        let subtables =
            format!("{:.2} subtables a lookup past the exact-match cache", derived.subtables_per_lookup);
        let rows = [
            (
                "packets",
                cache.packets,
                String::new(),
                format!("{:.1} cycles each", derived.cycles_per_packet),
            ),
            ("bursts", perf.bursts, String::new(), format!("{:.1} packets each", derived.packets_per_burst)),
            ("exact-match hits", cache.emc_hits, percent(derived.emc_hits_percent), emc.to_owned()),
            ("megaflow hits", cache.megaflow_hits, percent(derived.megaflow_hits_percent), subtables),
            (
                "misses",
                cache.misses,
                percent(derived.misses_percent),
                format!("{:.1} us each", derived.microseconds_per_miss),
            ),
            ("  found stale", cache.stale, String::new(), String::new()),
            ("not translated", derived.not_translated, String::new(), format!("{} wait now", perf.waiting)),
            ("busy cycles", perf.busy_cycles, percent(derived.busy_percent), String::new()),
            (
                "idle cycles",
                perf.idle_cycles,
                percent(ratio(perf.idle_cycles, perf.busy_cycles + perf.idle_cycles) * 100.0),
                format!("{} of {} turns", perf.idle_loops, perf.loops),
            ),
            ("megaflows now", perf.megaflows, String::new(), count(perf.subtables, "subtable")),
            ("  installed", cache.installed, String::new(), String::new()),
            ("  revalidated", cache.revalidated, String::new(), String::new()),
            ("  expired", cache.expired, String::new(), String::new()),
            ("  evicted", cache.evicted, String::new(), String::new()),
            ("  refused", cache.refused, String::new(), String::new()),
            ("  narrowed", cache.narrowed, String::new(), String::new()),
        ];
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, count, share, more)| vec![format!("  {name}"), count.to_string(), share, more])
            .collect();
        columns(f, &["", ">", ">", ""], &rows)
    }

    fn queues(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.perf.rxqs.is_empty() {
            return Ok(());
        }
        let row = |rxq: &RxqPerf| {
            vec![
                format!("  {}:{}", rxq.name, rxq.queue),
                rxq.packets.to_string(),
                rxq.bursts.to_string(),
                format!("{:.1}", ratio(rxq.packets, rxq.bursts)),
                format!("{:.1}", ratio(rxq.cycles, rxq.packets)),
                format!("{:.1} %", ratio(rxq.cycles, self.perf.busy_cycles) * 100.0),
            ]
        };
        let rows: Vec<Vec<String>> = self.perf.rxqs.iter().map(row).collect();
        let head = ["  queue", ">packets", ">bursts", ">packets/burst", ">cycles/packet", ">of busy cycles"];
        columns(f, &head, &rows)
    }

    /// The histogram of the time per miss; one of few lines, since bounds without a miss are left out.
    fn misses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let histogram = &self.perf.miss_ns;
        let all = histogram.iter().map(|(_, count)| count).sum();
        if all == 0 {
            return Ok(());
        }
        let mut until = 0;
        let mut rows = Vec::new();
        for (bound, count) in histogram {
            until += count;
            rows.push(vec![
                format!("  < {} us", *bound as f64 / 1000.0),
                count.to_string(),
                format!("{:.1} %", ratio(*count, all) * 100.0),
                format!("{:.1} %", ratio(until, all) * 100.0),
            ]);
        }
        columns(f, &["  time of a miss", ">misses", ">share", ">up to here"], &rows)
    }
}
