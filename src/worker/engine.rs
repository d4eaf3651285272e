//! The engine: starts and stops the workers, opens and closes the ports, and publishes what the workers see. It lives
//! on the control thread and is what `control` knows as [`Datapath`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::utils::CachePadded;

use super::conflict::conflict;
use super::counters::{MAX_SLOTS, WorkerCounters, combine, combine_ports};
use super::device::{Backend, Device};
use super::mailbox::{ControlEnd, REPORTS, Request, pair};
use super::poll::{Clock, Worker};
use super::queues::{OpenPort, Rxq, choose_worker, load, topology};
use super::stage::Stage;
use super::state::{RxqCounters, Slot, State};
use super::thread::{CpuUse, own_tid};
use crate::config::PortSpec;
use crate::datapath::{
    Datapath, Generation, PacketIn, PortCounters, PortError, PortStats, PortStatus, RxqStatus, Totals,
    WorkerStatus,
};
use crate::ident::WorkerId;
use crate::packet::{FlowKey, PortNo, PortRef};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{PortView, Ports, Snapshot, Tables};
use crate::rcu::Publisher;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes of two VLAN tags, which do not count against the MTU.
const TAGS: usize = 8;
/// Packets for the controller that wait on the control thread.
const PACKET_INS: usize = 1024;

/// One worker to start.
#[derive(Clone, Debug, Default)]
pub struct WorkerSetup {
    /// Core to pin it to; none leaves it to the kernel (`--no-dpdk` and tests).
    pub core: Option<usize>,
    /// NUMA node of the core.
    pub numa: i32,
}

/// Why the workers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Pinning failed.
    #[error(
        "worker {worker} cannot be pinned to core {core}; this process may use the cores {allowed:?}: mend \
         `[workers] cores`, or the cpuset or affinity that millraced was started with"
    )]
    Pin {
        /// Worker.
        worker: u16,
        /// Core asked for.
        core: usize,
        /// Cores allowed.
        allowed: Vec<usize>,
    },
    /// The backend refused the thread.
    #[error("worker {worker} did not start: {why}")]
    Thread {
        /// Worker.
        worker: u16,
        /// A sentence.
        why: String,
    },
}

struct Handle<P> {
    setup: WorkerSetup,
    thread: Option<JoinHandle<()>>,
    mailbox: ControlEnd<P>,
    counters: Arc<WorkerCounters>,
    /// Whether a [`Request::Clear`] found the mailbox full and has to be asked again.
    to_clear: bool,
    /// Whether the last [`Request::Sync`] fitted its mailbox.
    asked: bool,
    cpu: CpuUse,
}

/// A port with what only the control thread knows of it.
struct Known {
    number: PortNo,
    spec: PortSpec,
    /// The slot's counters when the port was opened, which count earlier ports of the slot, by worker.
    base: Vec<PortCounters>,
}

/// A port that was unpublished and waits for the workers.
struct Closing<D> {
    number: PortNo,
    name: String,
    slot: u16,
    since: Generation,
    /// Is gone once the device is closed.
    port: Weak<Slot<D>>,
}

/// See the module.
pub struct Engine<B: Backend> {
    backend: B,
    publisher: Publisher<State<B::Device>>,
    workers: Vec<Handle<<B::Device as Device>::Packet>>,
    stop: Arc<AtomicBool>,
    ports: Vec<OpenPort<B::Device>>,
    known: Vec<Known>,
    closing: Vec<Closing<B::Device>>,
    generations: Box<[u16]>,
    flow_stats: Arc<FlowStats>,
    clock: Clock,
    packet_ins: VecDeque<PacketIn>,
    syncs: u64,
    /// When the backend last found something to free.
    grace: Option<Generation>,
}

impl<B: Backend> Engine<B> {
    /// Starts the workers, with no ports and no flows.
    pub fn start(backend: B, setups: &[WorkerSetup], idle_sleep: Duration) -> Result<Self, StartError> {
        let state = State {
            pipeline: Snapshot::default(),
            topology: Arc::new(topology(&[], MAX_SLOTS, setups.len())),
        };
        let mut engine = Self {
            backend,
            publisher: Publisher::new(state, setups.len()),
            workers: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            ports: Vec::new(),
            known: Vec::new(),
            closing: Vec::new(),
            generations: vec![0; MAX_SLOTS].into(),
            flow_stats: FlowStats::new(setups.len()),
            clock: Clock::new::<B>(),
            packet_ins: VecDeque::new(),
            syncs: 0,
            grace: None,
        };
        for (number, setup) in (0..).zip(setups) {
            engine.start_worker(number, setup, idle_sleep)?;
        }
        Ok(engine)
    }

    fn start_worker(
        &mut self,
        number: u16,
        setup: &WorkerSetup,
        idle_sleep: Duration,
    ) -> Result<(), StartError> {
        let failed = |why: &str| StartError::Thread { worker: number, why: why.to_owned() };
        let (control_end, worker_end) = pair();
        let counters = Arc::new(WorkerCounters::new());
        let index = usize::from(number);
        let worker = Worker::<B> {
            id: WorkerId::new(number),
            reader: self.publisher.reader(index).ok_or_else(|| failed("its reader is taken"))?,
            mailbox: worker_end,
            counters: counters.clone(),
            flow_stats: self.flow_stats.worker(index).ok_or_else(|| failed("its counters are taken"))?,
            stop: self.stop.clone(),
            idle_sleep,
            clock: self.clock,
            stage: Stage::new(),
            translation: Box::default(),
            key: Box::new(FlowKey::default()),
        };
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let core = setup.core;
        let body = move || {
            let entered = enter::<B>(number, core);
            let guard = match entered {
                Ok(guard) => {
                    let _ = ready.send(Ok(own_tid()));
                    guard
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            worker.run();
            drop(guard);
        };
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(body)
            .map_err(|error| failed(&error.to_string()))?;
        let tid = started.recv().map_err(|_| failed("its thread ended at once"))??;
        self.workers.push(Handle {
            setup: setup.clone(),
            thread: Some(thread),
            mailbox: control_end,
            counters,
            to_clear: false,
            asked: true,
            cpu: CpuUse::of(tid),
        });
        Ok(())
    }

    fn publish_topology(&mut self) -> Generation {
        let views = self.known.iter().filter_map(|known| {
            let port = self.ports.iter().find(|port| port.slot.number == known.number)?;
            Some(PortView {
                number: known.number,
                name: known.spec.name.as_str().into(),
                at: port.slot.at,
                no_flood: known.spec.no_flood,
            })
        });
        let tables = self.publisher.current().pipeline.tables.clone();
        let state = State {
            pipeline: Snapshot { tables, ports: Ports::new(views.collect()) },
            topology: Arc::new(topology(&self.ports, MAX_SLOTS, self.workers.len())),
        };
        Generation(self.publisher.publish(state))
    }

    fn port(&self, number: PortNo) -> Result<&OpenPort<B::Device>, PortError> {
        let port = self.ports.iter().find(|port| port.slot.number == number);
        port.ok_or(PortError::NoSuchPort(number))
    }

    fn known(&self, number: PortNo) -> Option<&Known> {
        self.known.iter().find(|known| known.number == number)
    }

    fn rxq_mut(&mut self, number: PortNo, queue: u16) -> Result<&mut Rxq, PortError> {
        let name = self.known(number).map(|known| known.spec.name.clone()).unwrap_or_default();
        let port = self.ports.iter_mut().find(|port| port.slot.number == number);
        let port = port.ok_or(PortError::NoSuchPort(number))?;
        let queues = port.rxqs.len() as u16;
        port.rxqs.get_mut(usize::from(queue)).ok_or(PortError::NoSuchQueue { name, queues, queue })
    }

    /// Number and slot for a new port, or why there is none.
    fn place(&self, spec: &PortSpec) -> Result<(PortNo, u16), PortError> {
        let taken_name = self.known.iter().any(|known| known.spec.name == spec.name)
            || self.closing.iter().any(|closing| closing.name == spec.name);
        if taken_name {
            return Err(PortError::NameTaken(spec.name.clone()));
        }
        let owner = |number: PortNo| {
            let known = self.known(number).map(|known| known.spec.name.clone());
            let closing = self.closing.iter().find(|closing| closing.number == number);
            known.or_else(|| closing.map(|closing| closing.name.clone()))
        };
        let number = match spec.number {
            Some(number) => match owner(number) {
                Some(name) => return Err(PortError::NumberTaken(number, name)),
                None => number,
            },
            None => (1..=PortNo::MAX.0)
                .map(PortNo)
                .find(|number| owner(*number).is_none())
                .ok_or(PortError::TooManyPorts(MAX_SLOTS))?,
        };
        let is_free = |slot: &u16| {
            !self.ports.iter().any(|port| port.slot.at.slot == *slot)
                && !self.closing.iter().any(|closing| closing.slot == *slot)
        };
        let slot = (0..MAX_SLOTS as u16).find(is_free).ok_or(PortError::TooManyPorts(MAX_SLOTS))?;
        Ok((number, slot))
    }

    /// Frees what no worker sees any more; the last state to hold a port closes its device here.
    fn reclaim(&mut self) {
        self.publisher.reclaim();
    }

    /// Lets the backend free what it found idle, once every worker has passed a quiescent state since.
    fn free_pools(&mut self) {
        match self.grace {
            Some(generation) if self.lagging(generation).is_empty() => {
                self.backend.free();
                self.grace = None;
            }
            Some(_) => {}
            None if self.backend.look() => self.grace = Some(self.publish_topology()),
            None => {}
        }
    }

    fn take_reports(&mut self) {
        for worker in &mut self.workers {
            for _ in 0..REPORTS {
                let Ok(report) = worker.mailbox.reports.pop() else { break };
                if self.packet_ins.len() == PACKET_INS {
                    self.packet_ins.pop_front();
                }
                let packet_in = PacketIn {
                    in_port: report.in_port,
                    table: report.info.table,
                    cookie: report.info.cookie,
                    reason: report.info.reason,
                    total_len: report.total_len,
                    data: report.data.to_vec(),
                };
                self.packet_ins.push_back(packet_in);
            }
        }
    }

    fn look_at_links(&mut self) {
        for port in &self.ports {
            let (up, ..) = port.slot.device.link();
            if port.slot.link_up.swap(up, Ordering::Relaxed) != up {
                let name = self.known(port.slot.number).map(|known| known.spec.name.as_str());
                tracing::info!(
                    "link of port \"{}\" is {}",
                    name.unwrap_or("?"),
                    if up { "up" } else { "down" }
                );
            }
        }
    }
}

/// Refuses to inject what no port would receive.
fn check_length(len: usize, mtu: u16, name: &str) -> Result<(), PortError> {
    let most = usize::from(mtu) + ETHERNET + TAGS;
    if len < ETHERNET {
        return Err(PortError::Device(format!(
            "a frame of {len} bytes is shorter than an Ethernet header, which has {ETHERNET}; give the whole frame"
        )));
    }
    if len > most {
        return Err(PortError::Device(format!(
            "a frame of {len} bytes is longer than the MTU {mtu} of port \"{name}\" allows, which is {most} with two \
             VLAN tags; inject a shorter one, or raise the MTU with `millrace port set-mtu {name} MTU`"
        )));
    }
    Ok(())
}

/// What a worker thread does before its loop: pins itself, tells the kernel to wake it on time, and registers.
fn enter<B: Backend>(number: u16, core: Option<usize>) -> Result<B::Thread, StartError> {
    if let Some(core) = core
        && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
    {
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        let allowed = allowed.into_iter().map(|core| core.id).collect();
        return Err(StartError::Pin { worker: number, core, allowed });
    }
    // Else a sleep of 50 µs takes twice as long. Not being allowed to is no failure.
    if let Some(tid) = own_tid() {
        let _ = std::fs::write(format!("/proc/{tid}/timerslack_ns"), "1000");
    }
    B::enter_thread().map_err(|why| StartError::Thread { worker: number, why })
}

impl<B: Backend> Datapath for Engine<B> {
    fn publish_tables(&mut self, tables: Tables) -> Generation {
        let current = self.publisher.current();
        let pipeline = Snapshot { tables, ports: current.pipeline.ports.clone() };
        let state = State { pipeline, topology: current.topology.clone() };
        let generation = self.publisher.publish(state);
        self.reclaim();
        Generation(generation)
    }

    fn lagging(&self, generation: Generation) -> Vec<u16> {
        self.publisher.lagging(generation.0).map(|index| index as u16).collect()
    }

    fn add_port(&mut self, spec: &PortSpec) -> Result<(PortNo, Generation), PortError> {
        let (number, slot) = self.place(spec)?;
        if let Some((_, worker)) =
            spec.rxq_affinity.iter().find(|(_, worker)| usize::from(*worker) >= self.workers.len())
        {
            return Err(PortError::NoSuchWorker(*worker));
        }
        if let Some(sentence) = conflict(spec, self.known.iter().map(|known| &known.spec)) {
            return Err(PortError::Device(sentence));
        }
        let device = self.backend.open(spec, self.workers.len() as u16).map_err(PortError::Device)?;
        let facts = device.facts();
        let generation = self.generations.get_mut(usize::from(slot)).map_or(0, |generation| {
            *generation = generation.wrapping_add(1);
            *generation
        });
        let mut rxqs = Vec::new();
        let mut counts = load(&self.ports, self.workers.len());
        let nodes: Vec<i32> = self.workers.iter().map(|worker| worker.setup.numa).collect();
        for queue in 0..facts.rx_queues {
            let affinity = spec.rxq_affinity.iter().find(|(q, _)| *q == queue).map(|(_, worker)| *worker);
            let owner = choose_worker(&counts, &nodes, facts.numa, affinity);
            if let Some(count) = owner.and_then(|owner| counts.get_mut(usize::from(owner))) {
                *count += 1;
            }
            device.set_rx_owner(queue, owner);
            rxqs.push(Rxq {
                queue,
                owner,
                pinned: affinity.is_some(),
                unowned_since: Generation(0),
                counters: Arc::new(CachePadded::new(RxqCounters::default())),
            });
        }
        let link_up = device.link().0;
        let slot = Arc::new(Slot {
            number,
            at: PortRef { slot, generation },
            mtu: AtomicU16::new(spec.mtu),
            link_up: AtomicBool::new(link_up),
            device,
        });
        let cell =
            |worker: &Handle<_>| worker.counters.ports.get(usize::from(slot.at.slot)).map(|c| c.read());
        let base = self.workers.iter().map(|worker| cell(worker).unwrap_or_default()).collect();
        self.ports.push(OpenPort { slot, rxqs });
        self.ports.sort_by_key(|port| port.slot.number);
        self.known.push(Known { number, spec: spec.clone(), base });
        self.known.sort_by_key(|known| known.number);
        Ok((number, self.publish_topology()))
    }

    fn unpublish_port(&mut self, number: PortNo) -> Result<Generation, PortError> {
        let port = Arc::downgrade(&self.port(number)?.slot);
        let slot = self.port(number)?.slot.at.slot;
        let name = self.known(number).map(|known| known.spec.name.clone()).unwrap_or_default();
        self.ports.retain(|port| port.slot.number != number);
        self.known.retain(|known| known.number != number);
        let since = self.publish_topology();
        self.closing.push(Closing { number, name, slot, since, port });
        Ok(since)
    }

    fn close_port(&mut self, number: PortNo) -> Result<(), PortError> {
        let index = self.closing.iter().position(|closing| closing.number == number);
        let index = index.ok_or(PortError::NoSuchPort(number))?;
        self.reclaim();
        let closing = self.closing.remove(index);
        if closing.port.strong_count() == 0 {
            return Ok(());
        }
        // A worker that slept may have woken to an older state a moment ago.
        let lagging = self.lagging(closing.since);
        self.closing.push(closing);
        Err(PortError::Busy(lagging))
    }

    fn unassign_rxq(&mut self, number: PortNo, queue: u16) -> Result<Generation, PortError> {
        self.rxq_mut(number, queue)?.owner = None;
        let since = self.publish_topology();
        self.rxq_mut(number, queue)?.unowned_since = since;
        Ok(since)
    }

    fn assign_rxq(&mut self, number: PortNo, queue: u16, worker: u16) -> Result<Generation, PortError> {
        if usize::from(worker) >= self.workers.len() {
            return Err(PortError::NoSuchWorker(worker));
        }
        let rxq = self.rxq_mut(number, queue)?;
        let (owner, since) = (rxq.owner, rxq.unowned_since);
        let lagging = self.lagging(since);
        if owner.is_some() || !lagging.is_empty() {
            return Err(PortError::Busy(owner.map_or(lagging, |owner| vec![owner])));
        }
        self.port(number)?.slot.device.set_rx_owner(queue, Some(worker));
        let rxq = self.rxq_mut(number, queue)?;
        (rxq.owner, rxq.pinned) = (Some(worker), true);
        Ok(self.publish_topology())
    }

    fn set_mtu(&mut self, number: PortNo, mtu: u16) -> Result<(), PortError> {
        let port = self.port(number)?;
        port.slot.device.set_mtu(mtu).map_err(PortError::Device)?;
        port.slot.mtu.store(mtu, Ordering::Relaxed);
        if let Some(known) = self.known.iter_mut().find(|known| known.number == number) {
            known.spec.mtu = mtu;
        }
        Ok(())
    }

    fn ports(&self) -> &Ports {
        &self.publisher.current().pipeline.ports
    }

    fn port_status(&self, number: PortNo) -> Option<PortStatus> {
        let port = self.port(number).ok()?;
        let known = self.known(number)?;
        let facts = port.slot.device.facts();
        let (link_up, link_speed, full_duplex) = port.slot.device.link();
        Some(PortStatus {
            number,
            spec: known.spec.clone(),
            driver: facts.driver,
            hw_addr: facts.mac,
            link_up,
            link_speed,
            full_duplex,
            tx_queues: facts.tx_queues,
            tx_shared: facts.tx_shared,
            rx_descriptors: facts.rx_descriptors,
            tx_descriptors: facts.tx_descriptors,
            offloads: facts.offloads,
            numa: facts.numa,
        })
    }

    fn port_stats(&self, number: PortNo) -> Option<PortStats> {
        let port = self.port(number).ok()?;
        let bases = self.known(number)?.base.iter();
        let mut switch = PortCounters::default();
        for (worker, base) in self.workers.iter().zip(bases) {
            if let Some(cell) = worker.counters.ports.get(usize::from(port.slot.at.slot)) {
                let since_open = combine_ports(cell.read(), *base, u64::wrapping_sub);
                switch = combine_ports(switch, since_open, u64::wrapping_add);
            }
        }
        Some(PortStats { switch, device: port.slot.device.stats(), extended: port.slot.device.xstats() })
    }

    fn rxqs(&self) -> Vec<RxqStatus> {
        let status = |port: &OpenPort<B::Device>, rxq: &Rxq| RxqStatus {
            port: port.slot.number,
            name: self.known(port.slot.number).map(|known| known.spec.name.clone()).unwrap_or_default(),
            queue: rxq.queue,
            worker: rxq.owner,
            pinned: rxq.pinned,
            packets: rxq.counters.packets.get(),
            bursts: rxq.counters.bursts.get(),
        };
        self.ports.iter().flat_map(|port| port.rxqs.iter().map(move |rxq| status(port, rxq))).collect()
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        let polled = load(&self.ports, self.workers.len());
        let status = |(index, worker): (usize, &Handle<_>)| WorkerStatus {
            worker: index as u16,
            core: worker.setup.core,
            numa: worker.setup.numa,
            rxqs: polled.get(index).copied().unwrap_or(0),
            loops: worker.counters.loops.get(),
            idle_loops: worker.counters.idle_loops.get(),
            busy_cycles: worker.counters.busy_cycles.get(),
            idle_cycles: worker.counters.idle_cycles.get(),
            sleeps: worker.counters.sleeps.get(),
            wake_p99_us: worker.counters.wakes.p99_us(),
            cpu_percent: worker.cpu.percent(),
            generation: self.publisher.seen(index),
            totals: worker.counters.totals(),
        };
        self.workers.iter().enumerate().map(status).collect()
    }

    fn totals(&self) -> Totals {
        let sum = |a: Totals, b: Totals| combine(&a, &b, u64::wrapping_add);
        self.workers.iter().map(|worker| worker.counters.totals()).fold(Totals::default(), sum)
    }

    fn clear_counters(&mut self) {
        for worker in &mut self.workers {
            worker.to_clear = worker.mailbox.requests.push(Request::Clear).is_err();
        }
        let cells = |slot: u16| {
            let cell =
                move |worker: &Handle<_>| worker.counters.ports.get(usize::from(slot)).map(|c| c.read());
            self.workers.iter().map(move |worker| cell(worker).unwrap_or_default()).collect::<Vec<_>>()
        };
        for known in &mut self.known {
            if let Some(port) = self.ports.iter().find(|port| port.slot.number == known.number) {
                known.base = cells(port.slot.at.slot);
            }
        }
    }

    fn inject(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        let port = self.port(number)?;
        let name = self.known(number).map(|known| known.spec.name.clone()).unwrap_or_default();
        let room = port.slot.device.frame_room();
        if frame.len() > room {
            return Err(PortError::Device(format!(
                "a frame of {} bytes does not fit the buffers of port \"{name}\", which hold {room}; inject a \
                 shorter one, or add the port with a larger `mtu`",
                frame.len()
            )));
        }
        check_length(frame.len(), port.slot.mtu.load(Ordering::Relaxed), &name)?;
        let packet = port.slot.device.packet(frame).ok_or_else(|| {
            PortError::Device(format!(
                "port \"{name}\" has no packet buffer left; try again when the traffic is less"
            ))
        })?;
        let owner = port.rxqs.iter().find_map(|rxq| rxq.owner).unwrap_or(0);
        let request = Request::Inject { packet, port: number, at: port.slot.at, table: 0 };
        let worker = self.workers.get_mut(usize::from(owner)).ok_or(PortError::NoSuchWorker(owner))?;
        worker.mailbox.requests.push(request).map_err(|_| PortError::MailboxFull(owner))
    }

    fn sync(&mut self) -> u64 {
        self.syncs += 1;
        for worker in &mut self.workers {
            // A full mailbox: asked again by `unsynced`.
            worker.asked = worker.mailbox.requests.push(Request::Sync(self.syncs)).is_ok();
        }
        self.syncs
    }

    fn unsynced(&mut self, token: u64) -> Vec<u16> {
        let latest = self.syncs;
        let mut waiting = Vec::new();
        for (number, worker) in (0..).zip(&mut self.workers) {
            if worker.to_clear {
                worker.to_clear = worker.mailbox.requests.push(Request::Clear).is_err();
            }
            if worker.counters.synced.announced() < token {
                if !worker.asked {
                    worker.asked = worker.mailbox.requests.push(Request::Sync(latest)).is_ok();
                }
                waiting.push(number);
            }
        }
        waiting
    }

    fn packet_ins(&mut self, max: usize) -> Vec<PacketIn> {
        self.take_reports();
        let count = max.min(self.packet_ins.len());
        self.packet_ins.drain(..count).collect()
    }

    fn flow_stats(&self) -> &Arc<FlowStats> {
        &self.flow_stats
    }

    fn now_ms(&self) -> u64 {
        self.clock.ms(B::tsc())
    }

    fn tick(&mut self) {
        self.reclaim();
        self.take_reports();
        self.look_at_links();
        self.workers.iter_mut().for_each(|worker| worker.cpu.look());
        self.free_pools();
    }

    fn shutdown(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked was reported when it did; release builds abort.
                let _ = thread.join();
            }
        }
        self.workers.clear();
        self.ports.clear();
        self.known.clear();
        self.publish_topology();
        self.reclaim();
        // No worker is left that could be inside a pool.
        if self.backend.look() {
            self.backend.free();
        }
    }
}

impl<B: Backend> Drop for Engine<B> {
    fn drop(&mut self) {
        self.shutdown();
    }
}
