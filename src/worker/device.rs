//! What the worker and the engine need of a device, so that the same loop runs over DPDK and over memory.

use arrayvec::ArrayVec;

use crate::config::PortSpec;
use crate::datapath::{Buffers, DeviceStats};
use crate::ident::{BURST, Sent, WorkerId};
use crate::packet::{Mac, Packet, PacketMeta};

/// An open, running device. Dropping it stops and closes it, on the control thread.
pub trait Device: Send + Sync + 'static {
    /// Its buffers.
    type Packet: Packet;

    /// Receives into the free part of `out`, if the queue is this worker's. Returns how many came.
    fn rx_burst(&self, worker: &mut WorkerId, queue: u16, out: &mut ArrayVec<Self::Packet, BURST>) -> usize;

    /// Hands packets from the front of `packets` to the driver; those that it did not take stay.
    fn tx_burst(&self, worker: &mut WorkerId, packets: &mut ArrayVec<Self::Packet, BURST>) -> Sent;

    /// Asks for the first bytes of a received packet, which will be read soon.
    fn prefetch(packet: &Self::Packet);

    /// What the driver said of a received packet.
    fn read_meta(packet: &Self::Packet, meta: &mut PacketMeta);

    /// Whether a received packet is in one segment.
    fn is_linear(packet: &Self::Packet) -> bool;

    /// The packet in one segment; none if it cannot be.
    fn linear(packet: Self::Packet) -> Option<Self::Packet>;

    /// Completes open checksums, or asks the device to, and clears what reception left on the packet. False if the
    /// headers do not say where the checksums go.
    fn prepare(&self, packet: &mut Self::Packet, meta: &PacketMeta) -> bool;

    /// Names the worker that may poll a receive queue. The caller has made sure that no other polls it now.
    fn set_rx_owner(&self, queue: u16, worker: Option<u16>);

    /// A packet with these bytes, as if received; none if they do not fit a buffer or none is left.
    fn packet(&self, frame: &[u8]) -> Option<Self::Packet>;

    /// Its buffers, if it has a pool of them.
    fn buffers(&self) -> Option<Buffers>;

    /// Bytes of a frame that fit a buffer.
    fn frame_room(&self) -> usize;

    /// Changes the MTU.
    fn set_mtu(&self, mtu: u16) -> Result<(), String>;

    /// Link: up, Mbit/s, full duplex.
    fn link(&self) -> (bool, u32, bool);

    /// What does not change while the device is open.
    fn facts(&self) -> Facts;

    /// The device's counters.
    fn stats(&self) -> DeviceStats;

    /// The driver's extended statistics.
    fn xstats(&self) -> Vec<(String, u64)>;
}

/// What does not change while a device is open.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Driver.
    pub driver: String,
    /// Address.
    pub mac: Mac,
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Whether workers share them.
    pub tx_shared: bool,
    /// Receive descriptors a queue.
    pub rx_descriptors: u16,
    /// Transmit descriptors a queue.
    pub tx_descriptors: u16,
    /// Offloads in use.
    pub offloads: Vec<&'static str>,
    /// NUMA node, -1 if any.
    pub numa: i32,
}

/// Where devices come from, and what a thread must do to use them.
pub trait Backend: 'static {
    /// Its devices.
    type Device: Device;
    /// What a worker thread holds while it runs.
    type Thread;

    /// Opens a device for `workers` workers. The error is one sentence with the mend.
    fn open(&mut self, spec: &PortSpec, workers: u16) -> Result<Self::Device, String>;

    /// Called on each worker thread when it starts; the result is dropped, there, when it ends.
    fn enter_thread() -> Result<Self::Thread, String>;

    /// Looks for memory of closed devices that nobody uses any more, and says whether there is some.
    fn look(&mut self) -> bool;

    /// Frees what the last look found. Since then every worker has passed a quiescent state.
    fn free(&mut self);

    /// The time stamp counter, and how many counts it makes in a second.
    fn tsc() -> u64;
    /// Counts a second.
    fn tsc_hz() -> u64;
}
