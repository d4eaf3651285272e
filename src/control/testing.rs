//! A packet path without packets: ports are kept in a list, publications are counted, and workers are as quick or as
//! silent as a test wishes. For tests and fuzzing.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::commands::{self, Session};
use super::jsonrpc::{self, Framer, Id};
use super::switch::Switch;
use crate::action::intent::Neighbour;
use crate::config::conflict::{conflict, iface_conflict};
use crate::config::{Ovn, PortKind, PortSpec};
use crate::datapath::megaflow::{Megaflow, MegaflowAnswer, MegaflowErrand};
use crate::datapath::perf::WorkerPerf;
use crate::datapath::{
    Caught, Continuation, Datapath, DeviceStats, Generation, PacketIn, PortCounters, PortError, PortStats,
    PortStatus, RxqStatus, Told, Totals, WorkerStatus,
};
use crate::packet::{DropReason, Mac, PortNo, PortRef};
use crate::pipeline::stats::{FlowStats, StatsId, StatsWriter};
use crate::pipeline::{Match, PortView, Ports, Tables};
use crate::tunnel::Underlay;

/// What is logged, as text.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// What is logged on this thread from now on, until the guard goes.
    pub fn keep(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Sees what workers see, at every publication of it.
pub type Onlooker = Box<dyn FnMut(&Tables, Option<&Underlay>)>;

/// What a test sees and steers of a [`MemoryDatapath`].
#[derive(Default)]
pub struct Handle {
    /// Generations published so far.
    pub published: u64,
    /// The tables as last published.
    pub tables: Tables,
    /// Workers that announce nothing.
    pub silent: Vec<u16>,
    /// Workers that take publications over but answer nothing they are asked.
    pub out_of_step: Vec<u16>,
    /// How often workers were asked to get in step.
    pub syncs: u64,
    /// Packets and bytes that a worker's megaflows have counted of flows since it was last in step.
    pub uncounted: Vec<(StatsId, u64, u64)>,
    /// What the next call of `packet_ins` gives.
    pub packet_ins: Vec<PacketIn>,
    /// What the next call of `intents` gives.
    pub intents: Vec<Told>,
    /// What packets are looked for.
    pub looked_for: Option<Match>,
    /// What the next call of `caught` gives.
    pub caught: Option<Caught>,
    /// Frames that were injected.
    pub injected: Vec<(PortNo, Vec<u8>)>,
    /// Frames of the switch's own.
    pub transmitted: Vec<(PortNo, Vec<u8>)>,
    /// The underlay as last published.
    pub underlay: Option<Arc<Underlay>>,
    /// Next hops of the underlay that became known.
    pub hops: Vec<(Neighbour, Mac)>,
    /// Told of every publication of tables and of the underlay.
    pub onlooker: Option<Onlooker>,
    /// Ports whose link is down.
    pub links_down: Vec<PortNo>,
    /// How often the ring of `inject` is full before it takes a frame.
    pub ring_full: u32,
    /// What happened to ports and queues, in order.
    pub events: Vec<String>,
    /// The coarse clock.
    pub now_ms: u64,
    /// Counters of the whole switch.
    pub totals: Totals,
    /// What `perf` gives.
    pub perf: Vec<WorkerPerf>,
    /// Errands among megaflows, in order.
    pub errands: Vec<MegaflowErrand>,
    /// The megaflows of all workers.
    pub megaflows: Vec<Megaflow>,
    /// Errands that are not back, by number in `errands` from 1.
    pub out: Vec<u64>,
}

/// Where a port of that number is.
pub fn place(number: PortNo) -> PortRef {
    PortRef { slot: number.0, generation: 1 }
}

/// The packet path without packets.
pub struct MemoryDatapath {
    handle: Rc<RefCell<Handle>>,
    ports: Vec<(PortNo, PortSpec)>,
    /// Unpublished, not yet closed.
    leaving: Vec<(PortNo, Generation)>,
    rxqs: Vec<RxqStatus>,
    view: Ports,
    stats: Arc<FlowStats>,
    /// Counts for worker 0.
    writer: Option<StatsWriter>,
    workers: u16,
    room: usize,
}

impl MemoryDatapath {
    /// One with so many workers and room for 64 ports, and what steers it.
    pub fn new(workers: u16) -> (Self, Rc<RefCell<Handle>>) {
        Self::with_room(workers, 64)
    }

    /// The same with room for so many ports.
    pub fn with_room(workers: u16, room: usize) -> (Self, Rc<RefCell<Handle>>) {
        let handle = Rc::new(RefCell::new(Handle::default()));
        let stats = FlowStats::new(workers.into());
        let path = Self {
            handle: Rc::clone(&handle),
            ports: Vec::new(),
            leaving: Vec::new(),
            rxqs: Vec::new(),
            view: Ports::default(),
            writer: stats.worker(0),
            stats,
            workers,
            room,
        };
        (path, handle)
    }

    fn publish(&self, event: String) -> Generation {
        let mut handle = self.handle.borrow_mut();
        handle.published += 1;
        handle.events.push(event);
        Generation(handle.published)
    }

    fn show(&self) {
        let Handle { onlooker, tables, underlay, .. } = &mut *self.handle.borrow_mut();
        if let Some(onlooker) = onlooker {
            onlooker(tables, underlay.as_deref());
        }
    }

    fn find(&self, number: PortNo) -> Result<&(PortNo, PortSpec), PortError> {
        self.ports.iter().find(|port| port.0 == number).ok_or(PortError::NoSuchPort(number))
    }

    fn look(&mut self) {
        let views = self.ports.iter().map(|(number, spec)| PortView {
            number: *number,
            name: spec.name.as_str().into(),
            at: place(*number),
            no_flood: spec.no_flood,
        });
        let is_tunnel = |(_, spec): &&(PortNo, PortSpec)| spec.kind == PortKind::Geneve;
        let tunnel = self.ports.iter().find(is_tunnel).map(|(number, _)| *number);
        self.view = Ports::with_tunnel(views.collect(), tunnel);
    }

    /// Has these ports from the start, with the numbers from 1 on.
    pub fn with_ports(mut self, specs: impl IntoIterator<Item = PortSpec>) -> Self {
        self.ports = (1..=PortNo::MAX.0).map(PortNo).zip(specs).collect();
        self.look();
        self
    }

    fn rxq(&mut self, number: PortNo, queue: u16) -> Result<&mut RxqStatus, PortError> {
        let (_, spec) = self.find(number)?;
        let missing = PortError::NoSuchQueue { name: spec.name.clone(), queues: spec.n_rxq, queue };
        self.rxqs.iter_mut().find(|rxq| rxq.port == number && rxq.queue == queue).ok_or(missing)
    }
}

impl Datapath for MemoryDatapath {
    fn publish_tables(&mut self, tables: Tables) -> Generation {
        self.handle.borrow_mut().tables = tables;
        self.show();
        self.publish("tables".to_owned())
    }

    fn publish_underlay(&mut self, underlay: Option<Arc<Underlay>>) -> Generation {
        self.handle.borrow_mut().underlay = underlay;
        self.show();
        self.publish("underlay".to_owned())
    }

    fn transmit(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        self.find(number)?;
        self.handle.borrow_mut().transmitted.push((number, frame.to_vec()));
        Ok(())
    }

    fn lagging(&self, generation: Generation) -> Vec<u16> {
        let handle = self.handle.borrow();
        if generation.0 > handle.published { Vec::new() } else { handle.silent.clone() }
    }

    fn add_port(&mut self, spec: &PortSpec) -> Result<(PortNo, Generation), PortError> {
        if self.ports.iter().any(|(_, other)| other.name == spec.name) {
            return Err(PortError::NameTaken(spec.name.clone()));
        }
        if self.ports.len() >= self.room {
            return Err(PortError::TooManyPorts(self.room));
        }
        if let Some(sentence) = conflict(spec, self.ports.iter().map(|port| &port.1)) {
            return Err(PortError::Device(sentence));
        }
        let free = || (1..=PortNo::MAX.0).map(PortNo).find(|number| self.find(*number).is_err());
        let number = spec.number.or_else(free).ok_or(PortError::TooManyPorts(self.room))?;
        if let Ok((_, other)) = self.find(number) {
            return Err(PortError::NumberTaken(number, other.name.clone()));
        }
        self.ports.push((number, spec.clone()));
        self.rxqs.extend((0..spec.n_rxq).map(|queue| RxqStatus {
            port: number,
            name: spec.name.clone(),
            queue,
            worker: (self.workers > 0).then(|| queue % self.workers),
            pinned: false,
            packets: 0,
            bursts: 0,
        }));
        self.look();
        Ok((number, self.publish(format!("add {number}"))))
    }

    fn unpublish_port(&mut self, number: PortNo) -> Result<Generation, PortError> {
        self.find(number)?;
        self.ports.retain(|port| port.0 != number);
        self.rxqs.retain(|rxq| rxq.port != number);
        self.look();
        let generation = self.publish(format!("unpublish {number}"));
        self.leaving.push((number, generation));
        Ok(generation)
    }

    fn close_port(&mut self, number: PortNo) -> Result<(), PortError> {
        let place = self.leaving.iter().position(|port| port.0 == number);
        let Some(place) = place else { return Err(PortError::NoSuchPort(number)) };
        let mut handle = self.handle.borrow_mut();
        if !handle.silent.is_empty() {
            return Err(PortError::Busy(handle.silent.clone()));
        }
        handle.events.push(format!("close {number}"));
        self.leaving.remove(place);
        Ok(())
    }

    fn unassign_rxq(&mut self, number: PortNo, queue: u16) -> Result<Generation, PortError> {
        self.rxq(number, queue)?.worker = None;
        Ok(self.publish(format!("unassign {number}:{queue}")))
    }

    fn assign_rxq(&mut self, number: PortNo, queue: u16, worker: u16) -> Result<Generation, PortError> {
        if worker >= self.workers {
            return Err(PortError::NoSuchWorker(worker));
        }
        let rxq = self.rxq(number, queue)?;
        rxq.worker = Some(worker);
        rxq.pinned = true;
        Ok(self.publish(format!("assign {number}:{queue} to {worker}")))
    }

    fn set_polling(&mut self, _on: bool) -> Generation {
        Generation(0)
    }

    fn set_mtu(&mut self, number: PortNo, mtu: u16) -> Result<(), PortError> {
        self.find(number)?;
        if mtu > 9000 {
            return Err(PortError::Device("a port in memory allows an MTU of at most 9000".to_owned()));
        }
        for port in self.ports.iter_mut().filter(|port| port.0 == number) {
            port.1.mtu = mtu;
        }
        Ok(())
    }

    fn set_iface_id(&mut self, number: PortNo, iface_id: Option<String>) -> Result<(), PortError> {
        self.find(number)?;
        let others = self.ports.iter().filter(|port| port.0 != number).map(|port| &port.1);
        if let Some(sentence) = iface_id.as_deref().and_then(|wanted| iface_conflict(wanted, others)) {
            return Err(PortError::Device(sentence));
        }
        for port in self.ports.iter_mut().filter(|port| port.0 == number) {
            port.1.iface_id = iface_id.clone();
        }
        Ok(())
    }

    fn ports(&self) -> &Ports {
        &self.view
    }

    fn port_status(&self, number: PortNo) -> Option<PortStatus> {
        let (_, spec) = self.find(number).ok()?;
        Some(PortStatus {
            number,
            spec: spec.clone(),
            driver: "memory".to_owned(),
            hw_addr: spec.mac.unwrap_or(Mac::from_u64(0x0200_0000_0000 | u64::from(number.0))),
            link_up: !self.handle.borrow().links_down.contains(&number),
            link_speed: 10_000,
            full_duplex: true,
            tx_queues: self.workers,
            tx_shared: false,
            rx_descriptors: 0,
            tx_descriptors: 0,
            offloads: Vec::new(),
            numa: -1,
        })
    }

    fn port_stats(&self, number: PortNo) -> Option<PortStats> {
        self.find(number).ok()?;
        let injected = self.handle.borrow().injected.iter().filter(|frame| frame.0 == number).count() as u64;
        Some(PortStats {
            switch: PortCounters {
                rx_packets: 3,
                rx_bytes: 180,
                tx_packets: 2,
                tx_bytes: 120,
                tx_dropped: 1,
                injected,
            },
            buffers: None,
            device: DeviceStats { imissed: 4, rx_nombuf: 1, oerrors: 2, ..DeviceStats::default() },
            extended: vec![("rx_good_packets".to_owned(), 3)],
        })
    }

    fn rxqs(&self) -> Vec<RxqStatus> {
        self.rxqs.clone()
    }

    fn workers(&self) -> Vec<WorkerStatus> {
        let status = |worker: u16| WorkerStatus {
            worker,
            core: Some(usize::from(worker) + 1),
            numa: 0,
            rxqs: self.rxqs.iter().filter(|rxq| rxq.worker == Some(worker)).count() as u16,
            loops: 100,
            idle_loops: 75,
            busy_cycles: 250,
            idle_cycles: 750,
            sleeps: 5,
            wake_p99_us: Some(64),
            cpu_percent: 12.5,
            generation: Some(self.handle.borrow().published),
            totals: self.totals(),
        };
        (0..self.workers).map(status).collect()
    }

    fn totals(&self) -> Totals {
        self.handle.borrow().totals.clone()
    }

    fn clear_counters(&mut self) {
        self.handle.borrow_mut().totals = Totals::default();
    }

    fn inject(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        let (_, spec) = self.find(number)?;
        let room = usize::from(spec.mtu) + 22;
        if frame.len() > room {
            let sentence = format!(
                "a frame of {} bytes is longer than the {room} of a buffer of port \"{}\"",
                frame.len(),
                spec.name
            );
            return Err(PortError::Device(sentence));
        }
        let mut handle = self.handle.borrow_mut();
        if handle.ring_full > 0 {
            handle.ring_full -= 1;
            return Err(PortError::MailboxFull(0));
        }
        handle.injected.push((number, frame.to_vec()));
        handle.totals.injected += 1;
        match handle.totals.drops.first_mut() {
            Some((_, count)) => *count += 1,
            None => handle.totals.drops.push((DropReason::NoMatch, 1)),
        }
        Ok(())
    }

    fn resume(&mut self, _to: Continuation, number: PortNo, frame: &[u8]) -> Result<(), PortError> {
        self.inject(number, frame)
    }

    fn sync(&mut self) -> u64 {
        let mut handle = self.handle.borrow_mut();
        handle.syncs += 1;
        handle.syncs
    }

    fn unsynced(&mut self, _token: u64) -> Vec<u16> {
        let mut handle = self.handle.borrow_mut();
        let silent = [&handle.silent[..], &handle.out_of_step].concat();
        let now_ms = handle.now_ms;
        if let (Some(writer), [], true) = (&mut self.writer, &silent[..], handle.syncs > 0) {
            handle
                .uncounted
                .drain(..)
                .for_each(|(id, packets, bytes)| writer.add(id, packets, bytes, now_ms));
        }
        silent
    }

    fn perf(&self) -> Vec<WorkerPerf> {
        self.handle.borrow().perf.clone()
    }

    fn clear_perf(&mut self, worker: Option<u16>) {
        let mut handle = self.handle.borrow_mut();
        let meant = handle.perf.iter_mut().filter(|perf| worker.is_none_or(|worker| worker == perf.worker));
        meant.for_each(|perf| {
            *perf = WorkerPerf { worker: perf.worker, core: perf.core, ..WorkerPerf::default() };
        });
    }

    fn look_for(&mut self, filter: Option<Match>) {
        self.handle.borrow_mut().looked_for = filter;
    }

    fn caught(&mut self) -> Option<Caught> {
        let handle = &mut *self.handle.borrow_mut();
        let caught = handle.caught.take()?;
        handle.looked_for = None;
        Some(caught)
    }

    fn ask_megaflows(&mut self, errand: MegaflowErrand) -> u64 {
        let mut handle = self.handle.borrow_mut();
        handle.errands.push(errand);
        let token = handle.errands.len() as u64;
        handle.out.push(token);
        token
    }

    fn megaflows(&mut self, token: u64) -> Option<MegaflowAnswer> {
        let handle = &mut *self.handle.borrow_mut();
        if !handle.silent.is_empty() || !handle.out_of_step.is_empty() || !handle.out.contains(&token) {
            return None;
        }
        handle.out.retain(|out| *out != token);
        let errand = handle.errands.get(usize::try_from(token).ok()?.checked_sub(1)?)?;
        let (MegaflowErrand::Dump(filter) | MegaflowErrand::Flush(filter)) = errand;
        let (within, others) =
            handle.megaflows.iter().cloned().partition(|megaflow| megaflow.matcher.is_within(filter));
        if let MegaflowErrand::Dump(_) = errand {
            return Some(MegaflowAnswer { megaflows: within, flushed: 0 });
        }
        handle.megaflows = others;
        Some(MegaflowAnswer { megaflows: Vec::new(), flushed: within.len() as u64 })
    }

    fn forget_megaflows(&mut self, token: u64) {
        self.handle.borrow_mut().out.retain(|out| *out != token);
    }

    fn packet_ins(&mut self, max: usize) -> Vec<PacketIn> {
        let mut handle = self.handle.borrow_mut();
        let count = handle.packet_ins.len().min(max);
        handle.packet_ins.drain(..count).collect()
    }

    fn intents(&mut self, max: usize) -> Vec<Told> {
        let mut handle = self.handle.borrow_mut();
        let count = handle.intents.len().min(max);
        handle.intents.drain(..count).collect()
    }

    fn neighbour_learned(&mut self, neighbour: Neighbour, mac: Mac) {
        let mut handle = self.handle.borrow_mut();
        match neighbour.is_of_underlay() {
            true => handle.hops.push((neighbour, mac)),
            false => handle.events.push(format!("learned {neighbour:?} {mac}")),
        }
    }

    fn flow_stats(&self) -> &Arc<FlowStats> {
        &self.stats
    }

    fn now_ms(&self) -> u64 {
        self.handle.borrow().now_ms
    }

    fn tick(&mut self) {}

    fn shutdown(&mut self) {
        self.handle.borrow_mut().events.push("shutdown".to_owned());
    }
}

/// Does what a client would have done that sends these bytes to a fresh switch with two ports, and gives all it would
/// have read.
pub fn converse(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (mut path, _handle) = MemoryDatapath::new(2);
        for name in ["p1", "p2"] {
            // A fresh switch has room for both.
            let _ = path.add_port(&PortSpec::new(name, crate::config::PortKind::Memory));
        }
        let switch = Rc::new(Switch::new("test", Box::new(path), &Ovn::unkept()));
        let mut framer = Framer::default();
        let mut session = Session::default();
        let mut read = Vec::new();
        framer.push(bytes);
        while let Some(request) = framer.next_request() {
            match request {
                Ok(request) => {
                    read.extend(commands::answer(&switch, &mut session, request).await.unwrap_or_default());
                }
                Err(error) => {
                    read.extend(jsonrpc::failure(&Id::None, &error.to_string()));
                    break;
                }
            }
        }
        Ok(read)
    })
}
