//! What the control thread publishes and the workers see.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;

use crossbeam::utils::CachePadded;

use super::counters::Counter;
use super::device::Device;
use crate::packet::{PortNo, PortRef};
use crate::pipeline::Snapshot;
use crate::tunnel::Underlay;

/// The whole forwarding state. Immutable; the clones share everything.
pub struct State<D> {
    /// Flows, and the ports as actions see them.
    pub pipeline: Snapshot,
    /// The ports as workers see them.
    pub topology: Arc<Topology<D>>,
    /// Where tunnels go and come from; none where there is no port for them.
    pub overlay: Option<Overlay>,
}

/// The underlay and the ports that it concerns.
#[derive(Clone)]
pub struct Overlay {
    /// Its addresses, and the peers.
    pub underlay: Arc<Underlay>,
    /// The port that leads to it.
    pub uplink: PortRef,
    /// The port where tunnels begin and end.
    pub tunnel: Option<(PortNo, PortRef)>,
}

/// The ports and who polls them.
pub struct Topology<D> {
    /// By slot.
    pub slots: Box<[Option<Arc<Slot<D>>>]>,
    /// The place of the port where tunnels begin and end, which has no device.
    pub tunnel: Option<PortRef>,
    /// By worker: what it polls, in this order.
    pub polls: Box<[Vec<Poll<D>>]>,
}

/// A port that workers see.
pub struct Slot<D> {
    /// OpenFlow number.
    pub number: PortNo,
    /// Slot and generation.
    pub at: PortRef,
    /// MTU; changed in place by `port set-mtu`.
    pub mtu: AtomicU16,
    /// Whether the link was up at the last look. Names drops; never decides about sending.
    pub link_up: AtomicBool,
    /// The device. It is closed when the last state that holds the slot is freed, on the control thread.
    pub device: D,
}

/// A receive queue that a worker polls.
pub struct Poll<D> {
    /// Its port.
    pub slot: Arc<Slot<D>>,
    /// Queue of the port.
    pub queue: u16,
    /// Its counters.
    pub counters: Arc<CachePadded<RxqCounters>>,
}

/// Counters of a receive queue; written by the worker that owns it.
#[derive(Debug, Default)]
pub struct RxqCounters {
    /// Packets received.
    pub packets: Counter,
    /// Bursts that were not empty.
    pub bursts: Counter,
    /// TSC cycles spent on them.
    pub cycles: Counter,
}

impl<D: Device> State<D> {
    /// Whether the port at a place is still the one that was meant.
    pub fn has_port(&self, at: PortRef) -> bool {
        self.topology.port(at).is_some() || self.topology.tunnel == Some(at)
    }
}

impl<D: Device> Topology<D> {
    /// The port at a place, if it is still the one that was meant.
    #[inline(always)]
    pub fn port(&self, at: PortRef) -> Option<&Arc<Slot<D>>> {
        let slot = self.slots.get(usize::from(at.slot))?.as_ref()?;
        (slot.at == at).then_some(slot)
    }
}
