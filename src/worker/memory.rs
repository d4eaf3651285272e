//! Ports in memory, for `--no-dpdk` and for tests: packets come by `inject` or by [`Wire::feed`], and what is
//! transmitted is counted and the last of it kept to be looked at.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use arrayvec::ArrayVec;
use crossbeam::queue::ArrayQueue;

use super::device::{Backend, Device, Facts};
use crate::config::{PortKind, PortSpec};
use crate::datapath::{Buffers, DeviceStats};
use crate::ident::{BURST, Sent, WorkerId};
use crate::packet::checksum;
use crate::packet::{CsumState, HeapPacket, Mac, Packet, PacketMeta, Said};

/// Packets that wait to be received, and transmitted ones that are kept.
const QUEUE: usize = 4096;

/// A port in memory.
pub struct MemoryPort {
    inner: Arc<Inner>,
}

struct Inner {
    mac: Mac,
    queues: Vec<(AtomicU16, ArrayQueue<HeapPacket>)>,
    sent: ArrayQueue<HeapPacket>,
    ipackets: AtomicU64,
    ibytes: AtomicU64,
    opackets: AtomicU64,
    obytes: AtomicU64,
}

/// The far end of a memory port, as a test holds it.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
}

impl Wire {
    /// Puts a frame where the port receives from. False if the queue is full or not there.
    pub fn feed(&self, queue: usize, frame: &[u8]) -> bool {
        self.feed_packet(queue, HeapPacket::new(frame))
    }

    /// The same of a packet as a device may leave it: with its tag beside the bytes, or a checksum left open.
    pub fn feed_packet(&self, queue: usize, packet: HeapPacket) -> bool {
        self.inner.queues.get(queue).is_some_and(|(_, rx)| rx.push(packet).is_ok())
    }

    /// The oldest frame that was transmitted and not yet taken; only the last 4096 are kept.
    pub fn take(&self) -> Option<HeapPacket> {
        self.inner.sent.pop()
    }
}

impl Device for MemoryPort {
    type Packet = HeapPacket;

    fn rx_burst(&self, worker: &mut WorkerId, queue: u16, out: &mut ArrayVec<HeapPacket, BURST>) -> usize {
        let Some((owner, rx)) = self.inner.queues.get(usize::from(queue)) else { return 0 };
        if owner.load(Ordering::Relaxed) != worker.number() {
            return 0;
        }
        let before = out.len();
        while let Some(packet) = (!out.is_full()).then(|| rx.pop()).flatten() {
            self.inner.ipackets.fetch_add(1, Ordering::Relaxed);
            self.inner.ibytes.fetch_add(packet.data().len() as u64, Ordering::Relaxed);
            out.push(packet);
        }
        out.len() - before
    }

    fn tx_burst(&self, _worker: &mut WorkerId, packets: &mut ArrayVec<HeapPacket, BURST>) -> Sent {
        let count = packets.len();
        for packet in packets.drain(..) {
            self.inner.opackets.fetch_add(1, Ordering::Relaxed);
            self.inner.obytes.fetch_add(packet.data().len() as u64, Ordering::Relaxed);
            self.inner.sent.force_push(packet);
        }
        Sent::Took(count)
    }

    fn prefetch(_packet: &HeapPacket) {}

    fn read_meta(packet: &HeapPacket, meta: &mut PacketMeta) {
        let l4 = if packet.has_open_checksum() { CsumState::Partial } else { CsumState::Unknown };
        meta.len = packet.data().len() as u32;
        meta.said = match (packet.stripped(), l4) {
            (0, CsumState::Unknown) => Said::default(),
            (stripped, l4) => Said::new(CsumState::Unknown, l4, stripped),
        };
    }

    fn is_linear(_packet: &Self::Packet) -> bool {
        true
    }

    fn linear(packet: HeapPacket) -> Option<HeapPacket> {
        Some(packet)
    }

    fn prepare(&self, packet: &mut HeapPacket, meta: &PacketMeta) -> bool {
        packet.clear_offloads();
        checksum::complete(packet.data_mut(), meta).is_ok()
    }

    fn set_rx_owner(&self, queue: u16, worker: Option<u16>) {
        if let Some((owner, _)) = self.inner.queues.get(usize::from(queue)) {
            owner.store(worker.unwrap_or(u16::MAX), Ordering::Release);
        }
    }

    fn packet(&self, frame: &[u8]) -> Option<HeapPacket> {
        (frame.len() <= self.frame_room()).then(|| HeapPacket::new(frame))
    }

    fn buffers(&self) -> Option<Buffers> {
        None
    }

    fn frame_room(&self) -> usize {
        usize::from(u16::MAX)
    }

    fn set_mtu(&self, _mtu: u16) -> Result<(), String> {
        Ok(())
    }

    fn link(&self) -> (bool, u32, bool) {
        (true, 0, true)
    }

    fn facts(&self) -> Facts {
        Facts {
            driver: "memory".to_owned(),
            mac: self.inner.mac,
            rx_queues: self.inner.queues.len() as u16,
            tx_queues: 1,
            tx_shared: false,
            rx_descriptors: QUEUE as u16,
            tx_descriptors: QUEUE as u16,
            offloads: Vec::new(),
            numa: -1,
        }
    }

    fn stats(&self) -> DeviceStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let inner = &self.inner;
        DeviceStats {
            ipackets: read(&inner.ipackets),
            ibytes: read(&inner.ibytes),
            opackets: read(&inner.opackets),
            obytes: read(&inner.obytes),
            ..DeviceStats::default()
        }
    }

    fn xstats(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// Opens ports in memory.
#[derive(Default)]
pub struct MemoryBackend {
    wires: Wires,
    opened: u8,
}

/// A port's name and its far end, while it is open.
type NamedEnd = (String, Weak<Inner>);

/// The far ends of the open memory ports, by name.
#[derive(Clone, Default)]
pub struct Wires {
    by_name: Arc<Mutex<Vec<NamedEnd>>>,
}

impl Wires {
    /// The far end of the port of that name, while it is open.
    pub fn of(&self, name: &str) -> Option<Wire> {
        let wires = self.by_name.lock().ok()?;
        let inner = wires.iter().rev().find(|(wire, _)| wire == name)?.1.upgrade()?;
        Some(Wire { inner })
    }
}

impl MemoryBackend {
    /// The far ends of its ports.
    pub fn wires(&self) -> Wires {
        self.wires.clone()
    }
}

impl Backend for MemoryBackend {
    type Device = MemoryPort;
    type Thread = ();

    fn open(&mut self, spec: &PortSpec, _workers: u16) -> Result<MemoryPort, String> {
        if spec.kind != PortKind::Memory {
            return Err(format!(
                "a port of type {} needs DPDK; this switch runs with --no-dpdk and has ports of type memory only",
                spec.kind.type_name()
            ));
        }
        self.opened = self.opened.wrapping_add(1);
        let mac = spec.mac.unwrap_or(Mac([2, 0, 0, 0, 0, self.opened]));
        let queue = || (AtomicU16::new(u16::MAX), ArrayQueue::new(QUEUE));
        let inner = Arc::new(Inner {
            mac,
            queues: (0..spec.n_rxq).map(|_| queue()).collect(),
            sent: ArrayQueue::new(QUEUE),
            ipackets: AtomicU64::new(0),
            ibytes: AtomicU64::new(0),
            opackets: AtomicU64::new(0),
            obytes: AtomicU64::new(0),
        });
        if let Ok(mut wires) = self.wires.by_name.lock() {
            wires.retain(|(_, inner)| inner.strong_count() > 0);
            wires.push((spec.name.clone(), Arc::downgrade(&inner)));
        }
        Ok(MemoryPort { inner })
    }

    fn enter_thread() -> Result<(), String> {
        Ok(())
    }

    fn look(&mut self) -> bool {
        false
    }

    fn free(&mut self) {}

    fn tsc() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    fn tsc_hz() -> u64 {
        1_000_000_000
    }
}
