//! Errands among the workers' megaflows, from the control thread's side: one after the other, each on all workers.

use std::collections::VecDeque;

use crate::datapath::megaflow::{Megaflow, MegaflowAnswer, MegaflowErrand};
use crate::worker::mailbox::{ControlEnd, Errand, Request};

/// Megaflows that a worker hands over at once.
const ROWS: usize = 512;
/// Operations of those, at least as many as one megaflow may have.
const OPS: usize = 8192;

/// One errand.
struct Job {
    token: u64,
    /// By worker.
    workers: Vec<Leg>,
    answer: MegaflowAnswer,
    /// Nobody waits for it any more; it is finished all the same, since workers have a part of it.
    forgotten: bool,
}

enum Leg {
    /// To be handed to the worker.
    Ready(Box<Errand>),
    /// The worker has it.
    Out,
    Done,
}

/// See the module.
#[derive(Default)]
pub struct ErrandDesk {
    jobs: VecDeque<Job>,
    done: Vec<(u64, MegaflowAnswer)>,
    last: u64,
}

impl ErrandDesk {
    /// Queues an errand for so many workers.
    pub fn ask(&mut self, errand: MegaflowErrand, workers: usize) -> u64 {
        self.last += 1;
        let (flush, within) = match errand {
            MegaflowErrand::Dump(within) => (false, within),
            MegaflowErrand::Flush(within) => (true, within),
        };
        let leg = || {
            let (rows, ops) = if flush { (0, 0) } else { (ROWS, OPS) };
            Leg::Ready(Box::new(Errand {
                flush,
                within: within.clone(),
                at: Some(0),
                rows: Vec::with_capacity(rows),
                ops: Vec::with_capacity(ops),
                flushed: 0,
            }))
        };
        let workers = (0..workers).map(|_| leg()).collect();
        let answer = MegaflowAnswer::default();
        self.jobs.push_back(Job { token: self.last, workers, answer, forgotten: false });
        self.last
    }

    /// Hands out and takes back what can be.
    pub fn go_on<'a, P: 'a>(&mut self, mailboxes: impl Iterator<Item = &'a mut ControlEnd<P>>) {
        let Some(job) = self.jobs.front_mut() else { return };
        for ((number, leg), mailbox) in (0u16..).zip(&mut job.workers).zip(mailboxes) {
            if matches!(leg, Leg::Out)
                && let Ok(errand) = mailbox.errands.pop()
            {
                *leg = take(errand, number, &mut job.answer);
            }
            if let Leg::Ready(_) = leg
                && let Leg::Ready(errand) = std::mem::replace(leg, Leg::Out)
                && let Err(rtrb::PushError::Full(Request::Errand(errand))) =
                    mailbox.requests.push(Request::Errand(errand))
            {
                *leg = Leg::Ready(errand);
            }
        }
        if job.workers.iter().all(|leg| matches!(leg, Leg::Done))
            && let Some(job) = self.jobs.pop_front()
            && !job.forgotten
        {
            self.done.push((job.token, job.answer));
        }
    }

    /// What came of an errand, if all workers are back.
    pub fn answer(&mut self, token: u64) -> Option<MegaflowAnswer> {
        let at = self.done.iter().position(|(done, _)| *done == token)?;
        Some(self.done.swap_remove(at).1)
    }

    /// Nobody will ask for it.
    pub fn forget(&mut self, token: u64) {
        self.done.retain(|(done, _)| *done != token);
        for job in self.jobs.iter_mut().filter(|job| job.token == token) {
            job.forgotten = true;
        }
    }
}

/// Takes what a worker brought; it goes out again if there is more.
fn take(mut errand: Box<Errand>, worker: u16, answer: &mut MegaflowAnswer) -> Leg {
    answer.flushed += std::mem::take(&mut errand.flushed);
    let mut from = 0;
    for (row, end) in errand.rows.drain(..) {
        let ops = errand.ops.get(from..end as usize).unwrap_or_default().to_vec();
        from = end as usize;
        answer.megaflows.push(Megaflow {
            worker,
            matcher: row.matcher,
            min_ttl: row.min_ttl,
            ops,
            packets: row.packets,
            bytes: row.bytes,
            used_ms_ago: (row.packets > 0).then_some(u64::from(row.idle_ms)),
        });
    }
    errand.ops.clear();
    if errand.at.is_some() { Leg::Ready(errand) } else { Leg::Done }
}
