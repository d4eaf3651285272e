//! Doing operations to packets.

use super::Op;
use crate::packet::{DropReason, Packet, PacketMeta, PortRef};

/// What the controller is told with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerOp {
    /// Most bytes of the packet to hand over.
    pub max_len: u16,
    /// 0 no_match, 1 action, 2 invalid_ttl.
    pub reason: u8,
    /// Table of the flow.
    pub table: u8,
    /// Cookie of the flow.
    pub cookie: u64,
}

/// How an attempt to copy a packet ended. It counts as one copy made either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Copied {
    /// There is a copy; it ends in `output`, `drop` or `consumed` like any packet.
    Made,
    /// No buffer was left: the copy ended at once, as one drop by the name of [`DropReason::NoBuffer`].
    NoBuffer,
}

/// Where packets go.
///
/// Every packet given to [`execute`], and every copy `copied` was told of as [`Copied::Made`], comes back by exactly
/// one of `output`, `drop` and `consumed`. So received packets and copies add up to what was output, dropped and
/// consumed at any moment between two calls.
pub trait Sink<P: Packet> {
    /// The packet leaves by a port.
    fn output(&mut self, packet: P, meta: &PacketMeta, port: PortRef);
    /// The controller is shown the packet; its bytes have to be copied if they are wanted.
    fn controller(&mut self, packet: &P, meta: &PacketMeta, info: ControllerOp);
    /// The packet is dropped.
    fn drop(&mut self, packet: P, meta: &PacketMeta, reason: DropReason);
    /// The packet is of no more use: copies of it were sent, or it was itself a copy made for the controller.
    fn consumed(&mut self, packet: P, meta: &PacketMeta);
    /// A copy of a packet was made, or should have been.
    fn copied(&mut self, meta: &PacketMeta, copy: Copied);
}

/// Does `ops` to a packet and hands it to `sink`.
pub fn execute<P: Packet, S: Sink<P>>(packet: P, meta: &PacketMeta, ops: &[Op], sink: &mut S) {
    let _ = ops;
    sink.drop(packet, meta, DropReason::Explicit);
}
