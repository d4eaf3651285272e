//! Where every packet went.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::{CommandError, Outcome, Pending, done};
use crate::control::format::columns;
use crate::control::switch::Switch;
use crate::datapath::Totals;

#[derive(Serialize)]
struct Drops {
    total: u64,
    drops: Vec<Drop>,
}

#[derive(Serialize)]
struct Drop {
    reason: &'static str,
    packets: u64,
    explanation: &'static str,
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.drops.is_empty() {
            return writeln!(f, "nothing was dropped");
        }
        let rows: Vec<Vec<String>> = self
            .drops
            .iter()
            .map(|drop| vec![drop.reason.to_owned(), drop.packets.to_string(), drop.explanation.to_owned()])
            .collect();
        columns(f, &["reason", ">packets", "what it means"], &rows)?;
        writeln!(f, "{} in all", self.total)
    }
}

pub fn drops(switch: &Switch, _: &[String]) -> Outcome {
    let totals = switch.state().datapath.totals();
    let drops = totals.drops.iter().map(|(reason, packets)| Drop {
        reason: reason.name(),
        packets: *packets,
        explanation: reason.explain(),
    });
    done(Drops { total: totals.dropped(), drops: drops.collect() })
}

#[derive(Serialize)]
struct Stats {
    #[serde(flatten)]
    totals: Totals,
    dropped: u64,
    imbalance: i64,
    /// Packets for the controller that wait to be fetched.
    packet_ins_waiting: usize,
    /// Packets for the controller that nobody fetched in time.
    packet_ins_lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<Vec<WorkerTotals>>,
}

#[derive(Serialize)]
struct WorkerTotals {
    worker: u16,
    #[serde(flatten)]
    totals: Totals,
}

pub fn stats(switch: &Switch, args: &[String]) -> Outcome {
    let per_worker = match args {
        [] => false,
        [flag] if flag == "--per-worker" => true,
        [other, ..] => {
            let sentence = format!("\"{other}\" means nothing to stats; it takes --per-worker or nothing");
            return Err(CommandError::Argument(sentence));
        }
    };
    let state = switch.state();
    let totals = state.datapath.totals();
    done(Stats {
        dropped: totals.dropped(),
        imbalance: totals.imbalance(),
        totals,
        packet_ins_waiting: state.packet_ins.len(),
        packet_ins_lost: state.packet_ins_lost,
        workers: per_worker.then(|| {
            let workers = state.datapath.workers().into_iter();
            workers.map(|status| WorkerTotals { worker: status.worker, totals: status.totals }).collect()
        }),
    })
}

/// The accounting in a line or two.
pub fn identity(f: &mut fmt::Formatter<'_>, totals: &Totals) -> fmt::Result {
    writeln!(
        f,
        "in       {} = {} received + {} injected + {} originated + {} copied",
        totals.received + totals.injected + totals.originated + totals.copied,
        totals.received,
        totals.injected,
        totals.originated,
        totals.copied,
    )?;
    write!(
        f,
        "out      {} = {} transmitted + {} consumed + {} dropped + {} in flight",
        totals.transmitted + totals.consumed + totals.dropped() + totals.in_flight,
        totals.transmitted,
        totals.consumed,
        totals.dropped(),
        totals.in_flight,
    )?;
    match totals.imbalance() {
        0 => writeln!(f, ", exact"),
        imbalance => {
            writeln!(f, ", imbalance {imbalance} (under traffic: packets counted half-way; exact when quiet)")
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        identity(f, &self.totals)?;
        let more = [
            ("packets for the controller", self.totals.packet_ins),
            ("of them waiting to be fetched", self.packet_ins_waiting as u64),
            ("of them never fetched", self.packet_ins_lost),
            ("things told the control thread", self.totals.intents),
            ("of them again within a moment, not told", self.totals.intents_suppressed),
            ("things not told, no room for the port", self.totals.intents_lost),
            ("shared transmit queue found taken", self.totals.tx_contention),
            ("transmits tried again", self.totals.tx_retries),
        ];
        let mut rows: Vec<Vec<String>> =
            more.iter().map(|(name, count)| vec![(*name).to_owned(), count.to_string()]).collect();
        let drops = self.totals.drops.iter();
        rows.extend(drops.map(|(reason, count)| vec![format!("drop {}", reason.name()), count.to_string()]));
        columns(f, &["", ">"], &rows)?;

        let Some(workers) = &self.workers else { return Ok(()) };
        let rows: Vec<Vec<String>> = workers.iter().map(WorkerTotals::row).collect();
        let head = [
            ">worker",
            ">received",
            ">injected",
            ">originated",
            ">copied",
            ">transmitted",
            ">consumed",
            ">dropped",
            ">in flight",
        ];
        writeln!(f)?;
        columns(f, &head, &rows)
    }
}

impl WorkerTotals {
    fn row(&self) -> Vec<String> {
        let totals = &self.totals;
        let counters = [
            u64::from(self.worker),
            totals.received,
            totals.injected,
            totals.originated,
            totals.copied,
            totals.transmitted,
            totals.consumed,
            totals.dropped(),
            totals.in_flight,
        ];
        counters.map(|counter| counter.to_string()).to_vec()
    }
}

#[derive(Serialize)]
struct Cleared {
    /// Workers that have not yet begun to count from zero.
    not_yet_cleared_on: Vec<u16>,
}

impl fmt::Display for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.not_yet_cleared_on
            .iter()
            .try_for_each(|worker| writeln!(f, "not yet cleared on worker {worker}"))
    }
}

pub fn clear(switch: Rc<Switch>, _: Vec<String>) -> Pending {
    Box::pin(async move {
        {
            let mut state = switch.state_mut();
            state.datapath.clear_counters();
            state.packet_ins_lost = 0;
        }
        tracing::info!("counters cleared");
        done(Cleared { not_yet_cleared_on: switch.in_step().await })
    })
}
