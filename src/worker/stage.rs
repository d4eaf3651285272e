//! Where a burst's packets end: staged per output port and handed to the drivers when the burst is done, or dropped
//! by name, or shown to the controller.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use rtrb::Producer;

use super::again::{Again, Left, ROUNDS};
use super::counters::{MAX_SLOTS, WorkerCounters};
use super::depart::count_sent;
use super::device::Device;
use super::held::Held;
use super::mailbox::{REPORT_BYTES, Report, Told};
use super::state::{Overlay, Slot, Topology};
use super::told::{Recent, tell};
use crate::action::execute::{ControllerOp, Copied, Sink};
use crate::action::intent::{Intent, Neighbour};
use crate::ident::{BURST, Sent, WorkerId};
use crate::packet::{DropReason, Packet, PacketMeta, PortRef};
use crate::pipeline::objects::Meters;
use crate::tunnel::TunnelOut;

/// How often a burst is offered to a driver that did not take all of it.
const TX_TRIES: usize = 8;
/// How long a worker tries for a transmit queue that another holds.
const TX_WAIT: Duration = Duration::from_micros(500);
/// Frame bytes beyond the MTU: Ethernet header; tags are added to it as they stand in the frame.
pub const ETHERNET: u32 = 14;
/// A VLAN tag.
const TAG: u32 = 4;

/// Packets on their way out. Empty between bursts.
pub struct Stage<P> {
    /// By slot.
    queues: Box<[ArrayVec<P, BURST>]>,
    /// Slots with packets, each once.
    dirty: ArrayVec<u16, MAX_SLOTS>,
}

impl<P> Stage<P> {
    /// With room for a burst to every port.
    pub fn new() -> Self {
        Self { queues: (0..MAX_SLOTS).map(|_| ArrayVec::new()).collect(), dirty: ArrayVec::new() }
    }
}

/// The worker's sink for one burst.
pub struct Outputs<'a, D: Device> {
    pub id: &'a mut WorkerId,
    pub topology: &'a Topology<D>,
    pub stage: &'a mut Stage<D::Packet>,
    pub counters: &'a WorkerCounters,
    pub reports: &'a mut Producer<Report>,
    pub again: &'a mut Again<D::Packet>,
    pub held: &'a mut Held<D::Packet>,
    pub told: &'a mut Producer<Told>,
    pub recent: &'a mut Recent,
    pub meters: &'a Meters,
    pub overlay: Option<&'a Overlay>,
    /// The coarse clock.
    pub now_ms: u64,
}

impl<D: Device> Outputs<'_, D> {
    /// Hands everything staged to the drivers.
    #[inline]
    pub fn flush(&mut self) {
        while let Some(slot) = self.stage.dirty.pop() {
            self.flush_slot(slot);
        }
    }

    fn flush_slot(&mut self, slot: u16) {
        let Some(queue) = self.stage.queues.get_mut(usize::from(slot)) else { return };
        let Some(Some(port)) = self.topology.slots.get(usize::from(slot)) else {
            // Staged under this very topology, so the port is there; counted all the same should that change.
            self.counters.account.drop(DropReason::PortGone, queue.len() as u64);
            self.counters.account.staged.sub(queue.len() as u64);
            queue.clear();
            return;
        };
        transmit(self.id, port, queue, self.counters);
    }

    /// Counts a drop and frees the packet.
    #[inline]
    pub fn discard(&mut self, packet: D::Packet, reason: DropReason) {
        self.counters.account.drop(reason, 1);
        drop(packet);
    }
}

/// Offers a burst to a port a bounded number of times; what is left then is dropped by name.
fn transmit<D: Device>(
    id: &mut WorkerId,
    port: &Slot<D>,
    queue: &mut ArrayVec<D::Packet, BURST>,
    counters: &WorkerCounters,
) {
    let offered = queue.len() as u64;
    let offered_bytes: u64 = queue.iter().map(|packet| packet.data().len() as u64).sum();
    let mut contended = false;
    let mut waiting_since = None;
    let mut tries = 0;
    while !queue.is_empty() && tries < TX_TRIES {
        contended = port.device.tx_burst(id, queue) == Sent::Contended;
        if !contended {
            tries += 1;
            counters.account.tx_retries.add(u64::from(!queue.is_empty()));
            continue;
        }
        // Whoever holds the queue is inside a driver for the length of one burst: worth waiting for, up to a bound.
        counters.account.tx_contention.add(u64::from(waiting_since.is_none()));
        if waiting_since.get_or_insert_with(Instant::now).elapsed() > TX_WAIT {
            break;
        }
        std::hint::spin_loop();
    }
    let left = queue.len() as u64;
    let left_bytes: u64 = queue.iter().map(|packet| packet.data().len() as u64).sum();
    counters.account.staged.sub(offered);
    counters.account.transmitted.add(offered - left);
    if let Some(cell) = counters.ports.get(usize::from(port.at.slot)) {
        cell.tx_packets.add(offered - left);
        cell.tx_bytes.add(offered_bytes - left_bytes);
        cell.tx_dropped.add(left);
    }
    if left > 0 {
        let reason = match (contended, port.link_up.load(Ordering::Relaxed)) {
            (true, _) => DropReason::TxContended,
            (false, true) => DropReason::TxFull,
            (false, false) => DropReason::LinkDown,
        };
        counters.account.drop(reason, left);
        queue.clear();
    }
}

/// Whether a frame is too long for an MTU. VLAN tags do not count against it.
#[inline(always)]
pub fn exceeds_mtu(frame: &[u8], mtu: u16) -> bool {
    let allowed = u32::from(mtu) + ETHERNET;
    let len = frame.len() as u32;
    if len <= allowed {
        return false;
    }
    let is_tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0x00] | [0x88, 0xa8]));
    let tags = if !is_tag(12) {
        0
    } else if is_tag(16) {
        2
    } else {
        1
    };
    len > allowed + tags * TAG
}

impl<D: Device> Outputs<'_, D> {
    /// Stages a whole burst for one port: at once where nothing stands against that. None of its packets has more than
    /// `longest` bytes.
    #[inline(always)]
    pub fn output_burst(
        &mut self,
        packets: &mut ArrayVec<D::Packet, BURST>,
        metas: &[PacketMeta],
        longest: u32,
        at: PortRef,
    ) {
        let queue = self.stage.queues.get_mut(usize::from(at.slot));
        if let (Some(port), Some(queue)) = (self.topology.port(at), queue)
            && queue.is_empty()
            && longest <= u32::from(port.mtu.load(Ordering::Relaxed)) + ETHERNET
            && !self.stage.dirty.contains(&at.slot)
            && self.stage.dirty.try_push(at.slot).is_ok()
        {
            self.counters.account.staged.add(packets.len() as u64);
            *queue = std::mem::take(packets);
            return;
        }
        self.output_all(packets.drain(..).zip(metas), at);
    }

    /// Stages packets for one port, in order.
    #[inline(always)]
    pub fn output_all<'m>(
        &mut self,
        packets: impl Iterator<Item = (D::Packet, &'m PacketMeta)>,
        at: PortRef,
    ) {
        let queue = self.stage.queues.get_mut(usize::from(at.slot));
        let (Some(port), Some(queue)) = (self.topology.port(at), queue) else {
            return packets.for_each(|(packet, _)| self.discard(packet, DropReason::PortGone));
        };
        let mtu = port.mtu.load(Ordering::Relaxed);
        let plain = u32::from(mtu) + ETHERNET;
        let (mut staged, was_empty) = (0, queue.is_empty());
        for (mut packet, meta) in packets {
            let refused = if meta.len > plain && exceeds_mtu(packet.data(), mtu) {
                DropReason::Mtu
            } else if meta.said.is_flagged() && !port.device.prepare(&mut packet, meta) {
                DropReason::BadPartial
            } else {
                if queue.is_full() {
                    self.counters.account.staged.add(std::mem::take(&mut staged));
                    transmit(self.id, port, queue, self.counters);
                }
                // There is room: it was made above.
                staged += u64::from(queue.try_push(packet).is_ok());
                continue;
            };
            if let Some(cell) = self.counters.ports.get(usize::from(at.slot)) {
                cell.tx_dropped.add(1);
            }
            self.counters.account.drop(refused, 1);
        }
        if staged > 0 {
            self.counters.account.staged.add(staged);
            if was_empty && !self.stage.dirty.contains(&at.slot) {
                // There are at least as many places as slots, and each slot is here once.
                let _ = self.stage.dirty.try_push(at.slot);
            }
        }
    }
}

impl<D: Device> Sink<D::Packet> for Outputs<'_, D> {
    #[inline]
    fn meter(&mut self, id: u32, bytes: usize) -> bool {
        self.meters.get(id).is_none_or(|meter| meter.admit(bytes, self.now_ms))
    }

    #[inline]
    fn output(&mut self, packet: D::Packet, meta: &PacketMeta, at: PortRef) {
        self.output_all(std::iter::once((packet, meta)), at);
    }

    #[inline]
    fn tunnel(&mut self, packet: D::Packet, meta: &PacketMeta, out: &TunnelOut) {
        self.tunnel_all(std::iter::once((packet, meta)), out);
    }

    fn controller(&mut self, packet: &D::Packet, meta: &PacketMeta, info: ControllerOp) {
        let frame = packet.data();
        let len = frame.len().min(usize::from(info.max_len)).min(REPORT_BYTES);
        let mut data = ArrayVec::new();
        // Never longer than the room: cut to it just above.
        let _ = data.try_extend_from_slice(frame.get(..len).unwrap_or_default());
        let mut info = info;
        if len < frame.len() {
            // A part of a packet cannot come back as the packet.
            info.frozen = 0;
        }
        let report = Report { in_port: meta.in_port, info, total_len: frame.len() as u32, data };
        match self.reports.push(report) {
            Ok(()) => self.counters.account.packet_ins.add(1),
            // The report is a copy beside the packet, so this drop has a copy on the other side of the accounting.
            Err(_) => {
                self.counters.account.copied.add(1);
                self.counters.account.drop(DropReason::ControllerFull, 1);
            }
        }
    }

    #[inline]
    fn drop(&mut self, packet: D::Packet, _meta: &PacketMeta, reason: DropReason) {
        self.discard(packet, reason);
    }

    #[inline]
    fn consumed(&mut self, packet: D::Packet, _meta: &PacketMeta) {
        self.counters.account.consumed.add(1);
        drop(packet);
    }

    #[inline]
    fn copied(&mut self, _meta: &PacketMeta, copy: Copied) {
        self.counters.account.copied.add(1);
        if copy == Copied::NoBuffer {
            self.counters.account.drop(DropReason::NoBuffer, 1);
        }
    }

    fn again(&mut self, packet: D::Packet, meta: &PacketMeta, frozen: u32) {
        let round = self.again.round + 1;
        if round > ROUNDS {
            return self.discard(packet, DropReason::AgainTooOften);
        }
        match self.again.push(Left::of(packet, meta, frozen, round)) {
            Ok(()) => self.counters.account.staged.add(1),
            Err(packet) => self.discard(packet, DropReason::AgainFull),
        }
    }

    fn hold(&mut self, packet: D::Packet, meta: &PacketMeta, neighbour: Neighbour, frozen: u32) {
        self.counters.account.staged.add(1);
        let gone = self.held.push(Left::of(packet, meta, frozen, 0), neighbour, self.now_ms);
        if let Some(packet) = gone {
            self.counters.account.staged.sub(1);
            if neighbour.is_of_underlay() {
                // Itself, or one that waited for the same.
                count_sent(self.counters, self.topology.tunnel, (0, 0, 1));
            }
            self.discard(packet, DropReason::NeighbourFull);
        }
    }

    fn tell(&mut self, packet: &D::Packet, meta: &PacketMeta, intent: Intent) {
        if let Intent::Log { meter: Some(id), .. } = intent
            && !self.meter(id, packet.data().len())
        {
            return self.counters.account.intents_suppressed.add(1);
        }
        tell(self.told, self.recent, &self.counters.account, (packet, meta), intent, self.now_ms);
    }
}
