//! The small interface by which the control plane reaches the packet path: `control` speaks it, `worker` implements
//! it, `millraced` wires the two up.
//!
//! The invariant: every method is called on the control thread, returns at once, and never waits for a worker. What
//! has to wait for the workers returns a [`Generation`]; the caller answers its own client once [`Datapath::lagging`]
//! is empty for it, or names the workers that are.

pub mod megaflow;
pub mod perf;

use std::sync::Arc;

use serde::Serialize;

use crate::action::intent::{Intent, Neighbour};
use crate::config::PortSpec;
use crate::packet::key::TunnelWords;
use crate::packet::{DropReason, Mac, PortNo};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Match, Ports, Tables};
use crate::tunnel::Underlay;
use megaflow::{MegaflowAnswer, MegaflowErrand};
use perf::WorkerPerf;

/// Counts publications. Work published under a generation is visible once every online worker has reached it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Generation(pub u64);

/// What control asks of the packet path.
pub trait Datapath {
    /// Publishes these tables in place of the present ones.
    fn publish_tables(&mut self, tables: Tables) -> Generation;

    /// Whether workers poll their receive queues: not while the switch is set up, so that no packet meets ports without
    /// their flows. At first they do.
    fn set_polling(&mut self, on: bool) -> Generation;

    /// Publishes the underlay in place of the present one; none where there is none.
    fn publish_underlay(&mut self, underlay: Option<Arc<Underlay>>) -> Generation;

    /// Workers that have not reached a generation. A worker that is offline (parked or asleep) is never among them.
    fn lagging(&self, generation: Generation) -> Vec<u16>;

    /// Opens a device, gives its queues to workers and publishes it.
    fn add_port(&mut self, spec: &PortSpec) -> Result<(PortNo, Generation), PortError>;

    /// Takes a port out of what workers see. Once that is visible, [`Datapath::close_port`] closes the device.
    fn unpublish_port(&mut self, number: PortNo) -> Result<Generation, PortError>;

    /// Closes the device of a port that was unpublished. Refused while a worker may still use it.
    fn close_port(&mut self, number: PortNo) -> Result<(), PortError>;

    /// Takes a receive queue from its worker: the first half of a handover.
    fn unassign_rxq(&mut self, number: PortNo, queue: u16) -> Result<Generation, PortError>;

    /// Gives a receive queue that no worker has to one: the second half. Refused while a worker may still poll it.
    fn assign_rxq(&mut self, number: PortNo, queue: u16, worker: u16) -> Result<Generation, PortError>;

    /// Changes the MTU of a running port, where its device allows it.
    fn set_mtu(&mut self, number: PortNo, mtu: u16) -> Result<(), PortError>;

    /// Says which logical port a port is, if it is any. Refused where another port is it.
    fn set_iface_id(&mut self, number: PortNo, iface_id: Option<String>) -> Result<(), PortError>;

    /// The ports as actions see them.
    fn ports(&self) -> &Ports;

    /// Everything known of a port.
    fn port_status(&self, number: PortNo) -> Option<PortStatus>;

    /// Counters of a port: the switch's own and the device's.
    fn port_stats(&self, number: PortNo) -> Option<PortStats>;

    /// Who polls what.
    fn rxqs(&self) -> Vec<RxqStatus>;

    /// The workers.
    fn workers(&self) -> Vec<WorkerStatus>;

    /// The accounting of the whole switch.
    fn totals(&self) -> Totals;

    /// Sets what [`Datapath::totals`] and the workers' counters are counted from to now. Flow counters stay.
    fn clear_counters(&mut self);

    /// Hands a frame to a worker as if the port had received it. An error if the ring to the worker is full or the
    /// frame is longer than a buffer of the port.
    fn inject(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError>;

    /// Lets a packet that came in by a port go on where one left the tables. The same errors.
    fn resume(&mut self, to: Continuation, number: PortNo, frame: &[u8]) -> Result<(), PortError>;

    /// Sends a frame of the switch's own by a port. The same errors.
    fn transmit(&mut self, number: PortNo, frame: &[u8]) -> Result<(), PortError>;

    /// Asks every worker to say when it has done all that was asked of it before, and has added what its megaflows
    /// counted until then to the flows' counters. Returns a token for [`Datapath::unsynced`].
    fn sync(&mut self) -> u64;

    /// Workers that have not yet said so.
    fn unsynced(&mut self, token: u64) -> Vec<u16>;

    /// What the workers measured of their work.
    fn perf(&self) -> Vec<WorkerPerf>;

    /// Sets what [`Datapath::perf`] counts from to now, for one worker or for all; its gauges stay.
    fn clear_perf(&mut self, worker: Option<u16>);

    /// Sends every worker on an errand among its megaflows. Returns a token for [`Datapath::megaflows`].
    fn ask_megaflows(&mut self, errand: MegaflowErrand) -> u64;

    /// What came of an errand, once every worker is back; then the token is spent. None while some are out, and for a
    /// token that is spent.
    fn megaflows(&mut self, token: u64) -> Option<MegaflowAnswer>;

    /// Gives an errand up: what workers still bring is thrown away.
    fn forget_megaflows(&mut self, token: u64);

    /// Takes what workers have sent to the controller since the last call, at most `max`.
    fn packet_ins(&mut self, max: usize) -> Vec<PacketIn>;

    /// Takes what packets made workers tell since the last call, at most `max`.
    fn intents(&mut self, max: usize) -> Vec<Told>;

    /// Looks for the next packet received, or injected, that meets a filter; with none, no more. One look at a time: another
    /// takes its place.
    fn look_for(&mut self, filter: Option<Match>);

    /// What was found, once; then nobody looks any more.
    fn caught(&mut self) -> Option<Caught>;

    /// Lets the packets go on that wait for this neighbour, with its address. Called before the publication with which the
    /// tables know it: the packets go on when a worker sees that, before any that comes later.
    fn neighbour_learned(&mut self, neighbour: Neighbour, mac: Mac);

    /// The flows' counters.
    fn flow_stats(&self) -> &Arc<FlowStats>;

    /// Milliseconds of the coarse clock by which workers date the last use of a flow.
    fn now_ms(&self) -> u64;

    /// Housekeeping, called some ten times a second: frees what no worker sees any more, empties rings, looks at links.
    fn tick(&mut self);

    /// Stops the workers and closes every device. Called once, last.
    fn shutdown(&mut self);
}

/// Why something could not be done with a port. Each is one sentence with the mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortError {
    /// No port of that number.
    #[error("there is no port {0}; `millrace show` lists the ports")]
    NoSuchPort(PortNo),
    /// The name is taken.
    #[error(
        "a port named \"{0}\" exists already; remove it with `millrace port del {0}` or choose another name"
    )]
    NameTaken(String),
    /// The number is taken.
    #[error("port number {0} is taken by \"{1}\"; leave `number` out or choose another")]
    NumberTaken(PortNo, String),
    /// No slot left.
    #[error("the switch has all the {0} ports it can have; remove one first")]
    TooManyPorts(usize),
    /// The kind needs DPDK.
    #[error(
        "a port of type {0} needs DPDK; this switch runs with --no-dpdk and has ports of type memory only"
    )]
    NeedsDpdk(&'static str),
    /// No queue of that number.
    #[error("port \"{name}\" has {queues} receive queue(s), numbered from 0; there is no queue {queue}")]
    NoSuchQueue {
        /// Port.
        name: String,
        /// How many it has.
        queues: u16,
        /// The one asked for.
        queue: u16,
    },
    /// No worker of that number.
    #[error("there is no worker {0}; `millrace worker list` lists the workers")]
    NoSuchWorker(u16),
    /// Some workers may still use it.
    #[error("worker(s) {0:?} may still use it; try again in a moment")]
    Busy(Vec<u16>),
    /// The worker has not taken what it was asked before.
    #[error("the mailbox of worker {0} is full; inject again in a moment, or more slowly")]
    MailboxFull(u16),
    /// It has no device of its own.
    #[error("port {0} is of type geneve and has no frames of its own; name the port of the underlay instead")]
    NoDevice(PortNo),
    /// Anything the device or its driver says; the sentence is complete.
    #[error("{0}")]
    Device(String),
}

/// Everything known of a port.
#[derive(Clone, Debug, Serialize)]
pub struct PortStatus {
    /// OpenFlow number.
    pub number: PortNo,
    /// What it was made from.
    #[serde(flatten)]
    pub spec: PortSpec,
    /// Driver, such as net_af_packet.
    pub driver: String,
    /// The device's address.
    pub hw_addr: Mac,
    /// Whether the link is up.
    pub link_up: bool,
    /// Mbit/s; 0 if the device does not say.
    pub link_speed: u32,
    /// Whether the link is full duplex.
    pub full_duplex: bool,
    /// Transmit queues it has.
    pub tx_queues: u16,
    /// Whether workers share a transmit queue under a try-lock.
    pub tx_shared: bool,
    /// Receive descriptors a queue has.
    pub rx_descriptors: u16,
    /// Transmit descriptors a queue has.
    pub tx_descriptors: u16,
    /// Offloads in use, by DPDK's names.
    pub offloads: Vec<&'static str>,
    /// NUMA node, -1 if any.
    pub numa: i32,
}

/// Counters of a port.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PortStats {
    /// What the switch's workers counted.
    pub switch: PortCounters,
    /// The port's packet buffers; none where it has no pool of them.
    pub buffers: Option<Buffers>,
    /// What the device counted.
    pub device: DeviceStats,
    /// The driver's extended statistics, by name.
    pub extended: Vec<(String, u64)>,
}

/// Packet buffers of a port. Those that are not free are in queues of devices, wait, or lie in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Buffers {
    /// All of them.
    pub size: u32,
    /// Free ones, those in the caches of threads among them.
    pub free: u32,
}

/// What workers count per port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortCounters {
    /// Received from the device.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Handed to the device's driver.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Dropped on the way out (queue full, MTU, link down).
    pub tx_dropped: u64,
    /// Injected as if received.
    pub injected: u64,
}

/// What the device counts; `rte_eth_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceStats {
    /// Received.
    pub ipackets: u64,
    /// Transmitted.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes transmitted.
    pub obytes: u64,
    /// Lost because no receive descriptor was free.
    pub imissed: u64,
    /// Received with an error.
    pub ierrors: u64,
    /// Failed to transmit.
    pub oerrors: u64,
    /// Lost because no buffer was free.
    pub rx_nombuf: u64,
}

/// One receive queue.
#[derive(Clone, Debug, Serialize)]
pub struct RxqStatus {
    /// Port.
    pub port: PortNo,
    /// Its name.
    pub name: String,
    /// Queue of the port.
    pub queue: u16,
    /// Who polls it; none in the middle of a handover.
    pub worker: Option<u16>,
    /// Whether the config or `rxq move` put it there.
    pub pinned: bool,
    /// Packets received from it.
    pub packets: u64,
    /// Bursts that brought at least one packet.
    pub bursts: u64,
}

/// One worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerStatus {
    /// Number, from 0.
    pub worker: u16,
    /// Core it is pinned to, if it is.
    pub core: Option<usize>,
    /// NUMA node of the core.
    pub numa: i32,
    /// Receive queues it polls.
    pub rxqs: u16,
    /// Turns of its loop.
    pub loops: u64,
    /// Turns in which it found nothing to do.
    pub idle_loops: u64,
    /// TSC cycles of turns that had work.
    pub busy_cycles: u64,
    /// TSC cycles of turns that had none, sleep included.
    pub idle_cycles: u64,
    /// Times it slept.
    pub sleeps: u64,
    /// Microseconds that 99 of 100 of its wakes were late at most, to the next power of two; none if it never slept.
    pub wake_p99_us: Option<u64>,
    /// Per cent of a core that its thread used in the last second.
    pub cpu_percent: f64,
    /// Generation it has announced; none while offline.
    pub generation: Option<u64>,
    /// Its share of the accounting.
    pub totals: Totals,
}

/// The accounting: `received + injected + originated + copied = transmitted + consumed + drops + in_flight` at any
/// quiet moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Received from devices.
    pub received: u64,
    /// Handed in by `inject`.
    pub injected: u64,
    /// Made by the switch itself.
    pub originated: u64,
    /// Copies made, by several outputs and clones.
    pub copied: u64,
    /// Handed to drivers.
    pub transmitted: u64,
    /// Taken in by the switch itself.
    pub consumed: u64,
    /// Staged or held back at this moment.
    pub in_flight: u64,
    /// Named drops that are not zero.
    #[serde(serialize_with = "drops_as_map")]
    pub drops: Vec<(DropReason, u64)>,
    /// Packets handed to the controller ring (copies beside the packet, outside the identity).
    pub packet_ins: u64,
    /// Things that packets made workers tell the control thread.
    pub intents: u64,
    /// Things not told because the same was told a moment before.
    pub intents_suppressed: u64,
    /// Things not told because the ring was full, or the port had its share of it.
    pub intents_lost: u64,
    /// Times a shared transmit queue was found taken.
    pub tx_contention: u64,
    /// Times a transmit was tried again.
    pub tx_retries: u64,
}

fn drops_as_map<S: serde::Serializer>(drops: &[(DropReason, u64)], out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(drops.iter().map(|(reason, count)| (reason.name(), count)))
}

impl Totals {
    /// All named drops together.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|(_, count)| count).sum()
    }

    /// What came in less what went out; 0 when the accounting is exact.
    pub fn imbalance(&self) -> i64 {
        let came = self.received + self.injected + self.originated + self.copied;
        let went = self.transmitted + self.consumed + self.dropped() + self.in_flight;
        came as i64 - went as i64
    }
}

/// A packet handed to the controller.
#[derive(Clone, Debug, Serialize)]
pub struct PacketIn {
    /// Port it came in by.
    pub in_port: PortNo,
    /// Table of the flow.
    pub table: u8,
    /// Cookie of the flow.
    pub cookie: u64,
    /// 0 no_match, 1 action, 2 invalid_ttl.
    pub reason: u8,
    /// Bytes of the packet.
    pub total_len: u32,
    /// By what it goes on, if it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Continuation>,
    /// Its first bytes.
    #[serde(serialize_with = "as_hex")]
    pub data: Vec<u8>,
}

/// What a packet made a worker tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What is told.
    pub intent: Intent,
    /// Port the packet came in by.
    pub in_port: PortNo,
    /// The first bytes of a packet that is logged, or the frame with what a peer says.
    pub data: Vec<u8>,
}

/// A packet that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// Port it came in by.
    pub in_port: PortNo,
    /// What its key says of the tunnel that it came by.
    pub tunnel: TunnelWords,
    /// All its bytes.
    pub data: Vec<u8>,
}

/// Where a packet left the tables, and at which worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Continuation {
    /// The worker.
    pub worker: u16,
    /// The number of the frozen context there.
    pub frozen: u32,
}

impl Continuation {
    /// None if there is no context.
    pub fn new(worker: u16, frozen: u32) -> Option<Self> {
        (frozen != 0).then_some(Self { worker, frozen })
    }
}

impl std::fmt::Display for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.worker, self.frozen)
    }
}

impl std::str::FromStr for Continuation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (worker, frozen) = text.split_once('.').ok_or(())?;
        Self::new(worker.parse().map_err(|_| ())?, frozen.parse().map_err(|_| ())?).ok_or(())
    }
}

impl serde::Serialize for Continuation {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

fn as_hex<S: serde::Serializer>(data: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&data.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
