//! The worker's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::again::Again;
use super::burst::{Burst, Slots};
use super::counters::WorkerCounters;
use super::device::{Backend, Device};
use super::errand::Errands;
use super::held::Held;
use super::live::Live;
use super::mailbox::{PER_TURN, Request, WorkerEnd};
use super::stage::{Outputs, Stage};
use super::state::State;
use super::told::Recent;
use super::wait::Waiting;
use crate::ident::WorkerId;
use crate::pipeline::cache::FlowCache;
use crate::pipeline::stats::StatsWriter;
use crate::pipeline::translate::Translation;
use crate::rcu::Reader;

/// Empty turns in a row after which an idle worker begins to sleep, if it may.
const IDLE_TURNS: u32 = 32;
/// Empty turns in a row after which it sleeps [`LONG_SLEEP`] times as long: a wake alone costs a virtual machine 15 to
/// 45 µs, so a worker that is idle for long would else use several per cent of its core for nothing.
const LONG_IDLE_TURNS: u32 = IDLE_TURNS + 256;
/// See [`LONG_IDLE_TURNS`].
const LONG_SLEEP: u32 = 4;
/// Everything a worker owns. It is built on the control thread and moves into the worker's own.
pub struct Worker<B: Backend> {
    pub id: WorkerId,
    pub reader: Reader<State<B::Device>>,
    pub mailbox: WorkerEnd<<B::Device as Device>::Packet>,
    pub counters: Arc<WorkerCounters>,
    pub flow_stats: StatsWriter,
    pub stop: Arc<AtomicBool>,
    pub idle_sleep: Duration,
    pub clock: Clock,
    pub stage: Stage<<B::Device as Device>::Packet>,
    pub translation: Box<Translation>,
    pub slots: Box<Slots>,
    pub cache: Box<FlowCache>,
    pub waiting: Waiting<<B::Device as Device>::Packet>,
    pub again: Again<<B::Device as Device>::Packet>,
    pub held: Held<<B::Device as Device>::Packet>,
    pub recent: Recent,
    pub errands: Errands,
    /// Looks at what is received, while there is one.
    pub live: Option<Box<Live>>,
    /// When [`Perf::show`](super::counters::Perf::show) last was.
    pub shown_ms: u64,
}

/// The coarse clock: milliseconds since the switch started, from the TSC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    per_ms: u64,
    /// 2⁶⁴ milliseconds in counts: a multiplication in place of a division in every turn.
    ms_per_count: u64,
}

impl Clock {
    /// Counts from now.
    pub fn new<B: Backend>() -> Self {
        let per_ms = (B::tsc_hz() / 1000).max(2);
        Self { start: B::tsc(), per_ms, ms_per_count: u64::MAX / per_ms }
    }

    /// Microseconds in so many counts.
    pub fn us(&self, counts: u64) -> u64 {
        counts.saturating_mul(1000) / self.per_ms
    }

    /// Nanoseconds in so many counts.
    pub fn ns(&self, counts: u64) -> u64 {
        counts.saturating_mul(1_000_000) / self.per_ms
    }

    /// Milliseconds at a reading of the TSC.
    #[inline(always)]
    pub fn ms(&self, tsc: u64) -> u64 {
        let counts = u128::from(tsc.saturating_sub(self.start));
        ((counts * u128::from(self.ms_per_count)) >> 64) as u64
    }
}

impl<B: Backend> Worker<B> {
    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut idle_turns = 0u32;
        let mut before = B::tsc();
        while !self.stop.load(Ordering::Relaxed) {
            let mut now = before;
            let worked = self.turn(&mut now);
            self.counters.loops.add(1);
            if worked {
                idle_turns = 0;
                self.counters.busy_cycles.add(now.wrapping_sub(before));
                before = now;
                continue;
            }
            idle_turns = idle_turns.saturating_add(1);
            self.counters.idle_loops.add(1);
            if idle_turns >= IDLE_TURNS && !self.idle_sleep.is_zero() {
                // Offline while asleep: nobody waits for a worker that holds no state.
                self.reader.park();
                self.counters.sleeps.add(1);
                let times = if idle_turns < LONG_IDLE_TURNS { 1 } else { LONG_SLEEP };
                let asked = self.idle_sleep.saturating_mul(times);
                std::thread::sleep(asked);
                let slept_us = self.clock.us(B::tsc().wrapping_sub(now));
                self.counters.wakes.record(slept_us.saturating_sub(asked.as_micros() as u64));
            }
            let now = B::tsc();
            self.counters.idle_cycles.add(now.wrapping_sub(before));
            before = now;
        }
    }

    /// One turn: what waits for translation, a burst from every queue, the mailbox, upkeep. True if there was anything
    /// to do. `now` is when it began, and becomes about when it ended.
    fn turn(&mut self, now: &mut u64) -> bool {
        let tsc = *now;
        let state = self.reader.read();
        if state.changed {
            self.cache.ingest(&state.pipeline.log);
        }
        let now_ms = self.clock.ms(tsc);
        let mut burst = Burst::<B> {
            now_ms,
            translation: &mut self.translation,
            slots: &mut self.slots,
            cache: &mut self.cache,
            waiting: &mut self.waiting,
            flow_stats: &mut self.flow_stats,
            state: &state,
            live: &mut self.live,
            lives: &mut self.mailbox.lives,
            out: Outputs {
                id: &mut self.id,
                topology: &state.topology,
                stage: &mut self.stage,
                counters: &self.counters,
                reports: &mut self.mailbox.reports,
                again: &mut self.again,
                held: &mut self.held,
                told: &mut self.mailbox.told,
                recent: &mut self.recent,
                meters: state.pipeline.tables.objects().meters(),
                overlay: state.overlay.as_ref(),
                now_ms,
            },
        };
        // Before all packets that meet tables which know the neighbour.
        while let Ok(learned) = self.mailbox.learned.peek().copied()
            && learned.generation <= state.generation()
        {
            let _ = self.mailbox.learned.pop();
            burst.learned(&learned);
        }
        burst.give_up();
        let mut worked = burst.go_on();
        let polls = state.topology.polls.get(usize::from(burst.out.id.number()));
        for poll in polls.into_iter().flatten() {
            worked |= burst.poll(poll, now);
        }
        // Whoever asks has waited for the workers to see what it published before, so the state is no older than the request.
        for _ in 0..PER_TURN {
            let Ok(request) = self.mailbox.requests.pop() else { break };
            worked = true;
            match request {
                Request::Inject { packet, port, at, table } => burst.inject(packet, port, at, table),
                Request::Resume { packet, port, at, frozen } => burst.resume(packet, port, at, frozen),
                Request::Transmit { packet, at } => burst.out.originate(packet, at),
                Request::Clear => {
                    burst.out.flush();
                    self.counters.clear();
                }
                Request::Sync(token) => {
                    burst.out.flush();
                    self.errands.sync(token);
                }
                Request::Errand(errand) => self.errands.take(errand),
                Request::Look(live) => *burst.live = Some(live),
                Request::LookNoMore => burst.look_no_more(),
            }
        }
        burst.out.flush();
        self.cache.upkeep(now_ms, &mut self.flow_stats);
        worked |=
            self.errands.go_on(now_ms, &mut self.cache, &mut self.flow_stats, &mut self.mailbox.errands);
        let synced = self.errands.synced(self.waiting.is_empty(), &mut self.cache);
        if now_ms != self.shown_ms || synced.is_some() {
            self.shown_ms = now_ms;
            self.counters.perf.show(&self.cache, self.waiting.len());
        }
        if let Some(token) = synced {
            self.counters.synced.announce(token);
        }
        if worked && *now == tsc {
            // No burst told the time.
            *now = B::tsc();
        }
        worked
    }
}
