//! The worker's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrayvec::ArrayVec;

use super::counters::WorkerCounters;
use super::device::{Backend, Device};
use super::mailbox::{PER_TURN, Request, WorkerEnd};
use super::stage::{Outputs, Stage};
use super::state::{Poll, State};
use crate::action::execute::execute;
use crate::ident::{BURST, WorkerId};
use crate::packet::parse::{Stop, parse};
use crate::packet::{DropReason, Field, FlowKey, Packet, PacketMeta, PortNo, PortRef};
use crate::pipeline::stats::StatsWriter;
use crate::pipeline::translate::{Start, Translation, translate};
use crate::rcu::{Guard, Reader};

/// Empty turns in a row after which an idle worker begins to sleep, if it may.
const IDLE_TURNS: u32 = 32;
/// Empty turns in a row after which it sleeps [`LONG_SLEEP`] times as long: a wake alone costs a virtual machine 15 to
/// 45 µs, so a worker that is idle for long would else use several per cent of its core for nothing.
const LONG_IDLE_TURNS: u32 = IDLE_TURNS + 256;
/// See [`LONG_IDLE_TURNS`].
const LONG_SLEEP: u32 = 4;
/// EtherType of a tag that the driver took out of the frame.
const TPID: [u8; 2] = [0x81, 0x00];

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
    pub key: Box<FlowKey>,
}

/// The coarse clock: milliseconds since the switch started, from the TSC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: u64,
    per_ms: u64,
}

impl Clock {
    /// Counts from now.
    pub fn new<B: Backend>() -> Self {
        Self { start: B::tsc(), per_ms: (B::tsc_hz() / 1000).max(1) }
    }

    /// Microseconds in so many counts.
    pub fn us(&self, counts: u64) -> u64 {
        counts.saturating_mul(1000) / self.per_ms
    }

    /// Milliseconds at a reading of the TSC.
    #[inline(always)]
    pub fn ms(&self, tsc: u64) -> u64 {
        tsc.saturating_sub(self.start) / self.per_ms
    }
}

impl<B: Backend> Worker<B> {
    /// Runs until told to stop.
    pub fn run(mut self) {
        let mut idle_turns = 0u32;
        let mut before = B::tsc();
        while !self.stop.load(Ordering::Relaxed) {
            let worked = self.turn(before);
            let now = B::tsc();
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

    /// One turn: a burst from every queue, then the mailbox. True if there was anything to do.
    fn turn(&mut self, tsc: u64) -> bool {
        let state = self.reader.read();
        let mut burst = Burst {
            now_ms: self.clock.ms(tsc),
            translation: &mut self.translation,
            key: &mut self.key,
            flow_stats: &mut self.flow_stats,
            state: &state,
            out: Outputs {
                id: &mut self.id,
                topology: &state.topology,
                stage: &mut self.stage,
                counters: &self.counters,
                reports: &mut self.mailbox.reports,
            },
        };
        let mut worked = false;
        let polls = state.topology.polls.get(usize::from(burst.out.id.number()));
        for poll in polls.into_iter().flatten() {
            worked |= burst.poll(poll);
        }
        // A request is read after the state, so it never meets one older than when it was asked.
        for _ in 0..PER_TURN {
            let Ok(request) = self.mailbox.requests.pop() else { break };
            worked = true;
            burst.request(request);
        }
        burst.out.flush();
        worked
    }
}

/// What is needed to process a burst.
struct Burst<'a, D: Device> {
    now_ms: u64,
    translation: &'a mut Translation,
    key: &'a mut FlowKey,
    flow_stats: &'a mut StatsWriter,
    state: &'a Guard<'a, State<D>>,
    out: Outputs<'a, D>,
}

impl<D: Device> Burst<'_, D> {
    /// Receives one burst and does everything for it. True if it was not empty.
    fn poll(&mut self, poll: &Poll<D>) -> bool {
        let mut packets = ArrayVec::<D::Packet, BURST>::new();
        let received = poll.slot.device.rx_burst(self.out.id, poll.queue, &mut packets) as u64;
        if received == 0 {
            return false;
        }
        poll.counters.packets.add(received);
        poll.counters.bursts.add(1);
        self.out.counters.account.received.add(received);
        let mut bytes = 0;
        for packet in packets {
            bytes += self.process(packet, poll.slot.number, poll.slot.at, 0);
        }
        if let Some(cell) = self.out.counters.ports.get(usize::from(poll.slot.at.slot)) {
            cell.rx_packets.add(received);
            cell.rx_bytes.add(bytes);
        }
        self.out.flush();
        true
    }

    fn request(&mut self, request: Request<D::Packet>) {
        match request {
            Request::Inject { packet, port, at, table } => {
                self.out.counters.account.injected.add(1);
                if self.state.topology.port(at).is_none() {
                    return self.out.discard(packet, DropReason::PortGone);
                }
                if let Some(cell) = self.out.counters.ports.get(usize::from(at.slot)) {
                    cell.injected.add(1);
                }
                self.process(packet, port, at, table);
            }
            Request::Clear => {
                self.out.flush();
                self.out.counters.clear();
            }
            Request::Sync(token) => {
                self.out.flush();
                self.out.counters.synced.announce(token);
            }
        }
    }

    /// One packet, from the driver's description to the staged outputs. Returns its bytes as they came.
    #[inline]
    fn process(&mut self, packet: D::Packet, port: PortNo, at: PortRef, table: u8) -> u64 {
        let mut meta = PacketMeta::default();
        D::read_meta(&packet, &mut meta);
        let received = u64::from(meta.len);
        meta.in_port = port;
        meta.in_ref = at;
        let Some(mut packet) = D::linear(packet) else {
            // The packet is gone with the attempt; only its count is left to settle.
            self.out.counters.account.drop(DropReason::Segments, 1);
            return received;
        };
        if meta.stripped_vlan != 0 && !put_back_tag(&mut packet, meta.stripped_vlan) {
            self.out.discard(packet, DropReason::NoHeadroom);
            return received;
        }
        self.key.clear_long();
        self.key.set(Field::InPort, u128::from(port.0));
        self.key.set(Field::RecircId, 0);
        self.key.set(Field::PktMark, 0);
        self.key.set(Field::DpHash, 0);
        let parsed = parse(packet.data(), &mut meta, self.key);
        if parsed.stop == Some(Stop::Runt) {
            self.out.discard(packet, DropReason::Runt);
            return received;
        }
        let len = packet.data().len() as u64;
        translate(&self.state.pipeline, self.key, Start { table }, self.translation);
        for hit in self.translation.hits() {
            self.flow_stats.add(*hit, 1, len, self.now_ms);
        }
        execute(packet, &meta, self.translation.ops(), &mut self.out);
        received
    }
}

/// Puts a tag back that the driver took out, so that the bytes say all there is. False without headroom.
fn put_back_tag<P: Packet>(packet: &mut P, tci: u16) -> bool {
    let len = packet.data().len();
    if len < 12 || !packet.push_front(4) {
        // Too short to have had a tag: the parser will name it.
        return len < 12;
    }
    let data = packet.data_mut();
    if data.len() >= 16 {
        data.copy_within(4..16, 0);
    }
    if let Some(tag) = data.get_mut(12..16) {
        let [high, low] = (tci & !0x1000).to_be_bytes();
        tag.copy_from_slice(&[TPID[0], TPID[1], high, low]);
    }
    true
}
