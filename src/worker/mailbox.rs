//! How other threads reach a worker: a pair of bounded rings with one producer and one consumer each.
//!
//! The control thread asks ([`Request`]), the worker reports packets for the controller ([`Report`]). Counters need no
//! message: they have one writer and are read where they stand. Requests about megaflows and live traces come with
//! those features.

use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::action::execute::ControllerOp;
use crate::packet::{PortNo, PortRef};

/// Requests that may wait for a worker.
pub const REQUESTS: usize = 1024;
/// Reports that may wait for the control thread.
pub const REPORTS: usize = 256;
/// Requests a worker takes per turn of its loop, one burst.
pub const PER_TURN: usize = crate::ident::BURST;
/// Bytes of a packet that a report carries.
pub const REPORT_BYTES: usize = 2048;

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
    /// Count from zero. The worker does it, between two packets, so that the accounting stays exact.
    Clear,
    /// Say, in `WorkerCounters::synced`, that everything asked before has been done and counted.
    Sync(u64),
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

/// The control thread's end.
pub struct ControlEnd<P> {
    pub requests: Producer<Request<P>>,
    pub reports: Consumer<Report>,
}

/// The worker's end.
pub struct WorkerEnd<P> {
    pub requests: Consumer<Request<P>>,
    pub reports: Producer<Report>,
}

/// A new pair.
pub fn pair<P>() -> (ControlEnd<P>, WorkerEnd<P>) {
    let (ask, asked) = RingBuffer::new(REQUESTS);
    let (report, reported) = RingBuffer::new(REPORTS);
    (ControlEnd { requests: ask, reports: reported }, WorkerEnd { requests: asked, reports: report })
}
