//! Doing operations to packets.
//!
//! Nothing is done that nobody would see: the last output takes the packet itself, a group works on the packet itself
//! when nothing follows it, and what stands behind the last operation that somebody sees is not done.

use super::intent::{Intent, Neighbour};
use super::rewrite::Hop;
use super::{Op, reply, rewrite};
use crate::packet::{DropReason, Field, Packet, PacketMeta, PortRef, Said};
use crate::tunnel::TunnelOut;

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
    /// The frozen context from which the packet may go on; 0 if it does not wait.
    pub frozen: u32,
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
/// one of `output`, `tunnel`, `drop`, `consumed`, `again` and `hold`. So received packets and copies add up to what was output,
/// dropped, consumed and held at any moment between two calls.
pub trait Sink<P: Packet> {
    /// The packet leaves by a port.
    fn output(&mut self, packet: P, meta: &PacketMeta, port: PortRef);
    /// The packet leaves by a tunnel.
    fn tunnel(&mut self, packet: P, meta: &PacketMeta, out: &TunnelOut);
    /// The controller is shown the packet; its bytes have to be copied if they are wanted.
    fn controller(&mut self, packet: &P, meta: &PacketMeta, info: ControllerOp);
    /// The packet is dropped.
    fn drop(&mut self, packet: P, meta: &PacketMeta, reason: DropReason);
    /// The packet is of no more use: copies of it were sent, or it was itself a copy made for the controller.
    fn consumed(&mut self, packet: P, meta: &PacketMeta);
    /// Counts a packet of so many bytes on a meter. False if it is to be dropped.
    fn meter(&mut self, id: u32, bytes: usize) -> bool;
    /// A copy of a packet was made, or should have been.
    fn copied(&mut self, meta: &PacketMeta, copy: Copied);
    /// The packet is to be parsed again and to go on from a frozen context; of `meta` only holds where it came from and
    /// what was said of it.
    fn again(&mut self, packet: P, meta: &PacketMeta, frozen: u32);
    /// The packet waits for a neighbour, and is then to go on from a frozen context.
    fn hold(&mut self, packet: P, meta: &PacketMeta, neighbour: Neighbour, frozen: u32);
    /// The control thread is to be told something about the packet.
    fn tell(&mut self, packet: &P, meta: &PacketMeta, intent: Intent);
}

/// Groups within groups; translation makes none deeper, and a deeper one is passed over.
const MAX_NESTING: usize = 64;

/// Does `ops` to a packet and hands it to `sink`.
///
/// A packet that is output nowhere, not even as a copy, is dropped for the reason that stands last in `ops`, or else
/// as [`DropReason::Explicit`]. One that only the controller was shown, with no reason behind it, is consumed.
#[inline]
pub fn execute<P: Packet, S: Sink<P>>(packet: P, meta: &PacketMeta, ops: &[Op], sink: &mut S) {
    let mut meta = *meta;
    let mut sent = false;
    let Some(packet) = run(packet, &mut meta, ops, 0, &mut sent, sink) else { return };
    let reason = match ops.last() {
        _ if sent => return sink.consumed(packet, &meta),
        Some(Op::Drop(reason)) => *reason,
        _ if ops.iter().any(is_controller) => return sink.consumed(packet, &meta),
        _ => DropReason::Explicit,
    };
    sink.drop(packet, &meta, reason);
}

/// Does the operations of one level. Gives the packet back if it did not end here; `sent` becomes true if it or a
/// copy was to be output.
fn run<P: Packet, S: Sink<P>>(
    mut packet: P,
    meta: &mut PacketMeta,
    ops: &[Op],
    depth: usize,
    sent: &mut bool,
    sink: &mut S,
) -> Option<P> {
    let Some(last) = ops.iter().rposition(is_observable) else { return Some(packet) };
    let mut rest = ops.get(..=last).unwrap_or_default();
    while let Some((op, behind)) = rest.split_first() {
        rest = behind;
        match *op {
            Op::Set { field, value, mask } => rewrite::set(&mut packet, meta, field, value, mask),
            Op::PopVlan => rewrite::pop_vlan(&mut packet, meta),
            Op::PushVlan { tpid } => {
                if let Err(reason) = rewrite::push_vlan(&mut packet, meta, tpid) {
                    sink.drop(packet, meta, reason);
                    return None;
                }
            }
            Op::DecTtl => {
                if let Err(reason) = rewrite::dec_ttl(&mut packet, meta, 1) {
                    sink.drop(packet, meta, reason);
                    return None;
                }
            }
            Op::SetMtu(mtu) => rewrite::set_mtu(&mut packet, meta, mtu),
            Op::Meter(id) => {
                if !sink.meter(id, packet.data().len()) {
                    sink.drop(packet, meta, DropReason::MeterExceeded);
                    return None;
                }
            }
            Op::Controller { .. } | Op::Tell(_) => show(&packet, meta, op, sink),
            Op::Output(_) | Op::Tunnel(_) => {
                *sent = true;
                if rest.iter().all(is_look) {
                    rest.iter().for_each(|op| show(&packet, meta, op, sink));
                    send(packet, meta, op, sink);
                    return None;
                }
                if let Some(copy) = copy(&packet, meta, sink) {
                    send(copy, meta, op, sink);
                }
            }
            Op::CheckLen { len, larger } => {
                if packet.data().len() > usize::from(len) {
                    *sent = true;
                    match larger {
                        0 => sink.drop(packet, meta, DropReason::ContextFull),
                        frozen => sink.again(packet, meta, frozen),
                    }
                    return None;
                }
            }
            Op::Become { .. } | Op::Await { .. } => {
                *sent = true;
                if rest.iter().all(is_look) {
                    rest.iter().for_each(|op| show(&packet, meta, op, sink));
                    go_elsewhere(packet, meta, op, sink);
                    return None;
                }
                if let Some(copy) = copy(&packet, meta, sink) {
                    go_elsewhere(copy, meta, op, sink);
                }
            }
            Op::Clone { ops } => {
                let (group, behind) = rest.split_at_checked(usize::from(ops)).unwrap_or((rest, &[]));
                rest = behind;
                if depth == MAX_NESTING || !group.iter().any(is_observable) {
                    continue;
                }
                if group.iter().all(is_look) {
                    group.iter().for_each(|op| show(&packet, meta, op, sink));
                    continue;
                }
                if rest.is_empty() {
                    return run(packet, meta, group, depth + 1, sent, sink);
                }
                match copy(&packet, meta, sink) {
                    Some(copy) => {
                        let mut meta = *meta;
                        if let Some(copy) = run(copy, &mut meta, group, depth + 1, sent, sink) {
                            sink.consumed(copy, &meta);
                        }
                    }
                    None => *sent |= group.iter().any(is_end),
                }
            }
            Op::Drop(_) => {}
        }
    }
    Some(packet)
}

/// Where packets leave.
#[derive(Clone, Copy)]
pub enum Exit<'a> {
    /// By a port.
    Port(PortRef),
    /// By a tunnel.
    Tunnel(&'a TunnelOut),
}

/// Operations of the kind that most packets need: fields are set, and the packet leaves by one port or tunnel.
pub struct Straight<'a> {
    changes: &'a [Op],
    /// Where it leaves.
    pub exit: Exit<'a>,
    /// Most bytes of a packet that goes this way: [`Straight::change_all`] is for packets that have no more.
    pub longest: u32,
    /// How often the TTL is decremented: [`Straight::change_all`] is for packets whose TTL is more than that.
    pub ttls: u8,
}

impl<'a> Straight<'a> {
    /// Nothing if `ops` are of another kind.
    #[inline]
    pub fn of(ops: &'a [Op]) -> Option<Self> {
        let (changes, exit) = match ops {
            [changes @ .., Op::Output(port)] => (changes, Exit::Port(*port)),
            [changes @ .., Op::Tunnel(out)] => (changes, Exit::Tunnel(out)),
            _ => return None,
        };
        let (mut ttls, mut longest) = (0u8, u32::MAX);
        for op in changes {
            match op {
                Op::Set { field, .. } if *field != Field::NwTtl => {}
                Op::DecTtl => ttls = ttls.checked_add(1)?,
                // None of these operations changes the length.
                Op::CheckLen { len, .. } => longest = longest.min(u32::from(*len)),
                _ => return None,
            }
        }
        Some(Self { changes, exit, longest, ttls })
    }

    /// Does the changes to packets: what routers do at once, then one change after the other to all of them. No two
    /// changes are about the same bytes, but for those of one field, which keep their order.
    #[inline]
    pub fn change_all<P: Packet>(&self, packets: &mut [P], metas: &[PacketMeta]) {
        let mut hop = Hop::less(self.ttls);
        let mut others = false;
        for op in self.changes {
            if let Op::Set { field, value, mask } = *op {
                others |= !hop.take(field, value, mask);
            }
        }
        if hop != Hop::default() {
            hop.change_all(packets, metas);
        }
        if others {
            self.change_others(packets, metas);
        }
    }

    fn change_others<P: Packet>(&self, packets: &mut [P], metas: &[PacketMeta]) {
        for op in self.changes {
            if let Op::Set { field, value, mask } = *op
                && !Hop::is_about(field)
            {
                rewrite::set_all(packets, metas, field, value, mask);
            }
        }
    }
}

/// Whether somebody sees the operation.
#[inline(always)]
fn is_observable(op: &Op) -> bool {
    is_end(op) || is_look(op) || matches!(op, Op::CheckLen { .. })
}

/// Whether the operation takes the packet.
#[inline(always)]
fn is_end(op: &Op) -> bool {
    matches!(op, Op::Output(_) | Op::Tunnel(_) | Op::Become { .. } | Op::Await { .. })
}

/// Whether the operation only looks at the packet.
#[inline(always)]
fn is_look(op: &Op) -> bool {
    matches!(op, Op::Controller { .. } | Op::Tell(_))
}

#[inline(always)]
fn is_controller(op: &Op) -> bool {
    matches!(op, Op::Controller { .. })
}

/// Does an operation that only looks.
#[inline]
fn show<P: Packet, S: Sink<P>>(packet: &P, meta: &PacketMeta, op: &Op, sink: &mut S) {
    match *op {
        Op::Controller { max_len, reason, table, cookie, frozen } => {
            sink.controller(packet, meta, ControllerOp { max_len, reason, table, cookie, frozen });
        }
        Op::Tell(intent) => sink.tell(packet, meta, intent),
        _ => {}
    }
}

/// Does an operation that sends.
#[inline(always)]
fn send<P: Packet, S: Sink<P>>(packet: P, meta: &PacketMeta, op: &Op, sink: &mut S) {
    match op {
        Op::Output(port) => sink.output(packet, meta, *port),
        Op::Tunnel(out) => sink.tunnel(packet, meta, out),
        _ => sink.drop(packet, meta, DropReason::Explicit),
    }
}

/// Does an operation after which the packet leaves this list of operations and goes on by another.
#[cold]
fn go_elsewhere<P: Packet, S: Sink<P>>(mut packet: P, meta: &PacketMeta, op: &Op, sink: &mut S) {
    match *op {
        Op::Become { frozen: 0, .. } | Op::Await { frozen: 0, .. } => {
            sink.drop(packet, meta, DropReason::ContextFull);
        }
        Op::Become { kind, frozen } => match reply::turn(&mut packet, meta, kind) {
            Ok(()) => sink.again(packet, &PacketMeta { said: Said::default(), ..*meta }, frozen),
            Err(reason) => sink.drop(packet, meta, reason),
        },
        Op::Await { neighbour, frozen } => sink.hold(packet, meta, neighbour, frozen),
        _ => sink.drop(packet, meta, DropReason::Explicit),
    }
}

#[inline]
fn copy<P: Packet, S: Sink<P>>(packet: &P, meta: &PacketMeta, sink: &mut S) -> Option<P> {
    let copy = packet.try_copy();
    sink.copied(meta, if copy.is_some() { Copied::Made } else { Copied::NoBuffer });
    copy
}

#[cfg(test)]
mod tests;
