//! How other threads reach a worker: a pair of bounded rings with one producer and one consumer each.
//!
//! The control thread asks ([`Request`]), the worker reports packets for the controller ([`Report`]), tells what
//! packets showed it ([`Told`]) and sends back what it was given to fill ([`Errand`]). Neighbours that packets may wait for
//! have a ring of their own ([`Learned`]). Counters need no message: they have one writer and are read where they stand.
//! A [`Live`] is such a thing too.

use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer, RingBuffer};

use super::live::Live;
use crate::action::Op;
use crate::action::execute::ControllerOp;
use crate::action::intent::{Intent, Neighbour};
use crate::classifier::Match;
use crate::packet::{Mac, PortNo, PortRef};

/// Requests that may wait for a worker.
pub const REQUESTS: usize = 1024;
/// Reports that may wait for the control thread.
pub const REPORTS: usize = 256;
/// Requests a worker takes per turn of its loop, one burst.
pub const PER_TURN: usize = crate::ident::BURST;
/// Bytes of a packet that a report carries.
pub const REPORT_BYTES: usize = 2048;

/// Things told that may wait for the control thread.
pub const TOLD: usize = 1024;
/// Bytes of a packet that is logged.
pub const TOLD_BYTES: usize = 128;
/// Neighbours learned that may wait for a worker.
pub const LEARNED: usize = 256;

/// What the control thread asks of a worker.
pub enum Request<P> {
    /// Treat a packet as if it had come in by a port.
    Inject {
        /// The packet.
        packet: P,
        /// Port it seems to come from.
        port: PortNo,
        /// The port's place.
        at: PortRef,
        /// Table to start in.
        table: u8,
    },
    /// Let a packet go on where it left the tables.
    Resume {
        /// The packet.
        packet: P,
        /// Port it came in by.
        port: PortNo,
        /// The port's place.
        at: PortRef,
        /// The frozen context that it left behind, at this very worker.
        frozen: u32,
    },
    /// Send a packet of the switch's own.
    Transmit {
        /// The packet, a whole frame.
        packet: P,
        /// The port that it leaves by.
        at: PortRef,
    },
    /// Count from zero. The worker does it, between two packets, so that the accounting stays exact.
    Clear,
    /// Say, in `WorkerCounters::synced`, that everything asked before has been done and counted, and that what megaflows
    /// counted has reached the flows.
    Sync(u64),
    /// Do something among the megaflows. One at a time.
    Errand(Box<Errand>),
    /// Look at packets that are received. One at a time; it comes back by [`WorkerEnd::lives`].
    Look(Box<Live>),
    /// Bring it back, if it has not come back.
    LookNoMore,
}

/// What is to be done among a worker's megaflows, and what came of it. The memory is the control thread's: it comes back
/// by [`WorkerEnd::errands`], once it is full or there is nothing more to do.
pub struct Errand {
    /// Whether to remove megaflows instead of showing them.
    pub flush: bool,
    /// Only those that lie within this.
    pub within: Match,
    /// Where to go on; none when it is done.
    pub at: Option<u32>,
    /// Megaflows shown, and where their operations end among `ops`. Never grows beyond its capacity.
    pub rows: Vec<(Row, u32)>,
    /// Operations of all rows. Never grows beyond its capacity.
    pub ops: Vec<Op>,
    /// Megaflows removed.
    pub flushed: u64,
}

/// A megaflow as a worker shows it.
pub struct Row {
    pub matcher: Match,
    pub min_ttl: u8,
    pub packets: u64,
    pub bytes: u64,
    pub idle_ms: u32,
}

/// A packet for the controller, as a worker hands it over.
pub struct Report {
    /// Port it came in by.
    pub in_port: PortNo,
    /// What the action said.
    pub info: ControllerOp,
    /// Bytes of the packet.
    pub total_len: u32,
    /// Its first bytes.
    pub data: ArrayVec<u8, REPORT_BYTES>,
}

/// What a packet made the worker tell.
pub struct Told {
    /// What is told.
    pub intent: Intent,
    /// Port the packet came in by.
    pub in_port: PortNo,
    /// Of a packet that is logged, the first bytes.
    pub data: ArrayVec<u8, TOLD_BYTES>,
}

/// A neighbour that packets may wait for.
#[derive(Clone, Copy, Debug)]
pub struct Learned {
    /// The neighbour.
    pub neighbour: Neighbour,
    /// Its address.
    pub mac: Mac,
    /// The publication with which the tables know it. Packets wait until the worker sees that, and later ones do not.
    pub generation: u64,
}

/// The control thread's end.
pub struct ControlEnd<P> {
    pub requests: Producer<Request<P>>,
    pub reports: Consumer<Report>,
    pub errands: Consumer<Box<Errand>>,
    pub told: Consumer<Told>,
    pub learned: Producer<Learned>,
    pub lives: Consumer<Box<Live>>,
}

/// The worker's end.
pub struct WorkerEnd<P> {
    pub requests: Consumer<Request<P>>,
    pub reports: Producer<Report>,
    pub errands: Producer<Box<Errand>>,
    pub told: Producer<Told>,
    pub learned: Consumer<Learned>,
    pub lives: Producer<Box<Live>>,
}

/// A new pair.
pub fn pair<P>() -> (ControlEnd<P>, WorkerEnd<P>) {
    let (ask, asked) = RingBuffer::new(REQUESTS);
    let (report, reported) = RingBuffer::new(REPORTS);
    let (bring, brought) = RingBuffer::new(1);
    let (tell, told) = RingBuffer::new(TOLD);
    let (teach, learned) = RingBuffer::new(LEARNED);
    let (give, given) = RingBuffer::new(1);
    let control =
        ControlEnd { requests: ask, reports: reported, errands: brought, told, learned: teach, lives: given };
    (
        control,
        WorkerEnd { requests: asked, reports: report, errands: bring, told: tell, learned, lives: give },
    )
}
