//! The engine: starts and stops the workers, opens and closes the ports, and publishes what the workers see. It lives
//! on the control thread and is what `control` knows as [`Datapath`].

mod datapath;
mod errands;
mod frames;
mod learned;
mod live;
mod perf;
mod tunnel;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::utils::CachePadded;

use crate::config::PortSpec;
use crate::config::conflict::{conflict, iface_conflict};
use crate::datapath::perf::WorkerPerf;
use crate::datapath::{
    Continuation, Datapath, Generation, PacketIn, PortCounters, PortError, PortStats, PortStatus, RxqStatus,
    Totals, WorkerStatus,
};
use crate::ident::WorkerId;
use crate::packet::{PortNo, PortRef};
use crate::pipeline::cache::{CacheSizes, FlowCache};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{PortView, Ports, Snapshot, Tables};
use crate::rcu::Publisher;
use crate::tunnel::Underlay;
use crate::worker::again::Again;
use crate::worker::counters::{MAX_SLOTS, WorkerCounters, combine, combine_ports};
use crate::worker::device::{Backend, Device};
use crate::worker::errand::Errands;
use crate::worker::held::Held;
use crate::worker::mailbox::{ControlEnd, Learned, REPORTS, Request, pair};
use crate::worker::poll::{Clock, Worker};
use crate::worker::queues::{OpenPort, Rxq, choose_worker, load, topology};
use crate::worker::stage::Stage;
use crate::worker::state::{RxqCounters, Slot, State, Topology};
use crate::worker::thread::{CpuUse, own_tid};
use crate::worker::told::Recent;
use crate::worker::wait::Waiting;
use errands::ErrandDesk;
use live::{LiveDesk, LiveLeg};

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
    /// What it had measured when that was last cleared.
    perf_base: WorkerPerf,
    /// Neighbours learned that found the ring to it full, oldest first.
    learned: VecDeque<Learned>,
    live: LiveLeg,
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
    /// The port where tunnels begin and end; what is known of it is among the others.
    tunnel: Option<(PortNo, PortRef)>,
    underlay: Option<Arc<Underlay>>,
    closing: Vec<Closing<B::Device>>,
    generations: Box<[u16]>,
    flow_stats: Arc<FlowStats>,
    clock: Clock,
    sizes: CacheSizes,
    packet_ins: VecDeque<PacketIn>,
    syncs: u64,
    errands: ErrandDesk,
    live: LiveDesk,
    /// Whether receive queues are polled.
    polling: bool,
    /// When the backend last found something to free.
    grace: Option<Generation>,
}

impl<B: Backend> Engine<B> {
    /// Starts the workers, with no ports and no flows.
    pub fn start(
        backend: B,
        setups: &[WorkerSetup],
        idle_sleep: Duration,
        sizes: CacheSizes,
    ) -> Result<Self, StartError> {
        let state = State {
            pipeline: Snapshot::default(),
            topology: Arc::new(topology(&[], MAX_SLOTS, setups.len())),
            overlay: None,
        };
        let mut engine = Self {
            backend,
            publisher: Publisher::new(state, setups.len()),
            workers: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            ports: Vec::new(),
            known: Vec::new(),
            tunnel: None,
            underlay: None,
            closing: Vec::new(),
            generations: vec![0; MAX_SLOTS].into(),
            flow_stats: FlowStats::new(setups.len()),
            clock: Clock::new::<B>(),
            sizes,
            packet_ins: VecDeque::new(),
            syncs: 0,
            errands: ErrandDesk::default(),
            live: LiveDesk::default(),
            polling: true,
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
            slots: Box::default(),
            cache: Box::new(FlowCache::new(self.sizes, secret())),
            waiting: Waiting::new(secret()),
            again: Again::new(),
            held: Held::new(secret()),
            recent: Recent::new(secret()),
            errands: Errands::default(),
            live: None,
            shown_ms: 0,
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
            perf_base: WorkerPerf::default(),
            learned: VecDeque::new(),
            live: LiveLeg::Idle,
        });
        Ok(())
    }

    /// What workers see of the ports.
    fn topology(&self) -> Arc<Topology<B::Device>> {
        let workers = self.workers.len();
        let mut topology = topology(&self.ports, MAX_SLOTS, workers);
        topology.tunnel = self.tunnel.map(|(_, at)| at);
        if !self.polling {
            topology.polls = (0..workers).map(|_| Vec::new()).collect();
        }
        Arc::new(topology)
    }

    fn publish_topology(&mut self) -> Generation {
        let views = self.known.iter().filter_map(|known| {
            Some(PortView {
                number: known.number,
                name: known.spec.name.as_str().into(),
                at: self.at(known.number)?,
                no_flood: known.spec.no_flood,
            })
        });
        let ports = Ports::with_tunnel(views.collect(), self.tunnel.map(|(number, _)| number));
        let pipeline = self.publisher.current().pipeline.with_ports(ports);
        let state = State { pipeline, topology: self.topology(), overlay: self.overlay() };
        Generation(self.publisher.publish(state))
    }

    /// The place of a port.
    fn at(&self, number: PortNo) -> Option<PortRef> {
        let tunnel = self.tunnel.filter(|(tunnel, _)| *tunnel == number).map(|(_, at)| at);
        tunnel.or_else(|| self.port(number).ok().map(|port| port.slot.at))
    }

    /// What the counters of a slot are now, by worker.
    fn cells(&self, slot: u16) -> Vec<PortCounters> {
        let cell = |worker: &Handle<_>| worker.counters.ports.get(usize::from(slot)).map(|c| c.read());
        self.workers.iter().map(|worker| cell(worker).unwrap_or_default()).collect()
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
                && self.tunnel.is_none_or(|(_, at)| at.slot != *slot)
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
        for (number, worker) in (0..).zip(&mut self.workers) {
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
                    continuation: Continuation::new(number, report.info.frozen),
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

impl<B: Backend> Drop for Engine<B> {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A number that nobody outside knows, from the kernel.
fn secret() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
