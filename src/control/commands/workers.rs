//! Workers and the receive queues that they poll.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::{CommandError, Outcome, Pending, done, port_arg};
use crate::control::changes;
use crate::control::format::columns;
use crate::control::switch::Switch;
use crate::datapath::{RxqStatus, WorkerStatus};

/// A share in percent, one decimal; nothing of nothing is nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

fn busy(status: &WorkerStatus) -> f64 {
    percent(status.busy_cycles, status.busy_cycles + status.idle_cycles)
}

#[derive(Serialize)]
struct Workers(Vec<WorkerStatus>);

pub fn list(switch: &Switch, _: &[String]) -> Outcome {
    done(Workers(switch.state().datapath.workers()))
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no workers");
        }
        let rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|status| {
                vec![
                    status.worker.to_string(),
                    status.core.map_or_else(|| "-".to_owned(), |core| core.to_string()),
                    if status.numa < 0 { "-".to_owned() } else { status.numa.to_string() },
                    status.rxqs.to_string(),
                    format!("{:.1} %", busy(status)),
                    format!("{:.1} %", status.cpu_percent),
                    status.loops.to_string(),
                    status.idle_loops.to_string(),
                    status.sleeps.to_string(),
                    status.wake_p99_us.map_or_else(|| "-".to_owned(), |us| format!("{us} us")),
                    status.totals.received.to_string(),
                    status.totals.transmitted.to_string(),
                    status.totals.dropped().to_string(),
                    status.generation.map_or_else(|| "offline".to_owned(), |number| number.to_string()),
                ]
            })
            .collect();
        let head = [
            ">worker",
            ">core",
            ">numa",
            ">rxqs",
            ">busy",
            ">cpu",
            ">loops",
            ">idle loops",
            ">sleeps",
            ">wake p99",
            ">received",
            ">transmitted",
            ">dropped",
            ">generation",
        ];
        columns(f, &head, &rows)
    }
}

#[derive(Serialize)]
struct Rxqs {
    workers: Vec<PollingWorker>,
    /// Queues in the middle of a handover.
    unassigned: Vec<RxqStatus>,
}

#[derive(Serialize)]
struct PollingWorker {
    worker: u16,
    core: Option<usize>,
    numa: i32,
    rxqs: Vec<PolledRxq>,
    /// Percent of its cycles.
    busy: f64,
}

#[derive(Serialize)]
struct PolledRxq {
    #[serde(flatten)]
    rxq: RxqStatus,
    /// Percent of its worker's cycles, taken as its share of the packets in the busy ones.
    usage: f64,
}

pub fn rxq_show(switch: &Switch, _: &[String]) -> Outcome {
    let state = switch.state();
    let (unassigned, assigned): (Vec<RxqStatus>, Vec<RxqStatus>) =
        state.datapath.rxqs().into_iter().partition(|rxq| rxq.worker.is_none());
    let workers = state.datapath.workers().into_iter().map(|status| {
        let mine = || assigned.iter().filter(|rxq| rxq.worker == Some(status.worker));
        let packets = mine().map(|rxq| rxq.packets).sum();
        let usage = |rxq: &RxqStatus| percent(rxq.packets, packets) * busy(&status) / 100.0;
        let rxqs = mine().map(|rxq| PolledRxq { rxq: rxq.clone(), usage: usage(rxq) });
        PollingWorker {
            worker: status.worker,
            core: status.core,
            numa: status.numa,
            rxqs: rxqs.collect(),
            busy: busy(&status),
        }
    });
    done(Rxqs { workers: workers.collect(), unassigned })
}

impl fmt::Display for Rxqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for worker in &self.workers {
            let core = worker.core.map_or_else(|| "-".to_owned(), |core| core.to_string());
            writeln!(f, "pmd thread numa_id {} core_id {core}:", worker.numa.max(0))?;
            writeln!(f, "  worker : {}", worker.worker)?;
            let pinned = !worker.rxqs.is_empty() && worker.rxqs.iter().all(|polled| polled.rxq.pinned);
            writeln!(f, "  isolated : {pinned}")?;
            for PolledRxq { rxq, usage } in &worker.rxqs {
                writeln!(
                    f,
                    "  port: {:<16}  queue-id: {:>2} (enabled)   pmd usage: {usage:>2.0} %",
                    rxq.name, rxq.queue
                )?;
            }
            writeln!(f, "  busy: {:>2.0} %", worker.busy)?;
        }
        for rxq in &self.unassigned {
            writeln!(
                f,
                "no worker, handover under way:\n  port: {:<16}  queue-id: {:>2}",
                rxq.name, rxq.queue
            )?;
        }
        Ok(())
    }
}

pub fn rxq_move(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [place, worker] = &args[..] else { return Err(CommandError::TooFew("rxq/move", 2)) };
        let wrong = |what: &str, text: &str| {
            CommandError::Argument(format!(
                "\"{text}\" is no {what}; write PORT:QUEUE WORKER, such as \"p1:0 1\", all numbered from 0"
            ))
        };
        let (port, queue) = place.rsplit_once(':').ok_or_else(|| wrong("receive queue", place))?;
        let queue = queue.parse().map_err(|_| wrong("receive queue", place))?;
        let worker = worker.parse().map_err(|_| wrong("worker", worker))?;
        let number = port_arg(&switch.state(), port)?;
        done(changes::move_rxq(&switch, number, queue, worker).await?)
    })
}
