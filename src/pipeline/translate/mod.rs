//! From a flow key and a snapshot to operations.
//!
//! [`translate`] looks the key up, executes the actions of the flow it meets on the key, follows resubmits and gotos,
//! and writes down what is to be done to the packet. Nothing is written to the packet here, so operations that no
//! output follows are left out; a packet that is sent nowhere gets one final [`Op::Drop`].
//!
//! **Why nothing was sent**, the first of these that applies:
//! 1. a limit: `TooDeep`, `TooMany`, `ActionLimit`. All operations are discarded, outputs too;
//! 2. a halt: `TooManyVlans` of `push_vlan`, which ends all that was still to be done to the packet, or inside `clone`
//!    to the copy; `TtlExpired` of `dec_ttl`, which ends the list of actions that it stands in. What was sent before
//!    stays sent;
//! 3. `NoSuchPort`: an output named a port that does not exist;
//! 4. `NoSuchGroup`: a bucket or a frozen context named a group that does not exist;
//! 5. `TunnelNoRemote`: an output by the tunnel port when no `tun_dst` was set;
//! 6. `ToInPort`: an output named the port the packet came in by (only IN_PORT sends there, and tunnels to tunnels);
//! 7. `NoMatch`: the last lookup met no flow;
//! 8. `Explicit`: flows matched and sent the packet nowhere. A packet that only the controller was shown is no drop, nor
//!    is one that leaves the tables to go on later.
//!
//! **VLAN fields.** A write that sets the presence bit of an untagged packet pushes a tag of type 0x8100 (as do
//! `dl_vlan` and `dl_vlan_pcp`); one that clears it takes the tag off. Writes to the other bits of a tag that is not
//! there are ignored, so that the key never says what the packet cannot.
//!
//! **What decided** is in [`Translation::recorded`]: every key that agrees on it gets the same answer.
//!
//! The invariant: the answer depends on the arguments alone, and all memory is that of the [`Translation`].

mod fields;
mod leave;
mod objects;
#[cfg(test)]
mod tests;
mod tidy;
mod tunnel;
mod vlan;
mod watch;

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::Snapshot;
use super::frozen::Context;
use super::record::{Dep, Provenance, Recorded, Recorder};
use super::stats::StatsId;
use crate::action::{Action, ModKind, Op, Subfield};
use crate::packet::{DropReason, Field, FlowKey, PortNo};
use fields::{TAG, Traced};

pub use watch::Watch;

/// Nested resubmits to the same or an earlier table.
pub const MAX_DEPTH: u8 = 64;
/// Resubmits and gotos of one packet.
pub const MAX_RESUBMITS: usize = 4096;
/// Operations for one packet.
pub const MAX_OPS: usize = 1024;
/// Values on the stack.
pub const MAX_STACK: usize = 64;
/// Clones inside clones.
pub const MAX_CLONES: usize = 64;

/// What is left to be done is at most a rest of a list per resubmit, and a rest and an end per clone.
const MAX_FRAMES: usize = MAX_RESUBMITS + 2 * MAX_CLONES;

/// Contexts that one packet may leave behind.
pub const MAX_FROZEN: usize = 8;

/// Where a packet enters the tables.
#[derive(Clone, Copy, Debug)]
pub enum Start<'s> {
    /// At a table.
    Table(u8),
    /// Where it left them.
    Frozen(&'s Context),
}

/// The result of a translation, and the memory it needs. Made once per worker and used again.
pub struct Translation {
    ops: Vec<Op>,
    hits: Vec<StatsId>,
    stack: Vec<u128>,
    keys: Vec<Kept>,
    frames: Vec<Frame<'static>>,
    frozen: ArrayVec<Context, MAX_FROZEN>,
    record: Recorder,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            ops: Vec::with_capacity(MAX_OPS + 1),
            hits: Vec::with_capacity(MAX_RESUBMITS + 1),
            stack: Vec::with_capacity(MAX_STACK * (MAX_CLONES + 1)),
            keys: Vec::with_capacity(MAX_CLONES),
            frames: Vec::with_capacity(MAX_FRAMES),
            frozen: ArrayVec::new(),
            record: Recorder::default(),
        }
    }
}

impl Translation {
    /// What is to be done to the packet, in order.
    #[inline]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Gives the contexts that the packet leaves behind their numbers; 0 where there is none, and then the result is not to be
    /// kept.
    pub fn number_frozen(&mut self, mut number: impl FnMut(&Context) -> Option<u32>) {
        for frozen in self.ops.iter_mut().flat_map(Op::frozen_mut) {
            if let Some(context) = self.frozen.get((*frozen as usize).wrapping_sub(1)) {
                let number = number(context);
                *frozen = number.unwrap_or(0);
                if number.is_none() {
                    self.record.forget();
                }
            }
        }
        self.frozen.clear();
    }

    /// The contexts that the packet leaves behind, until they have their numbers.
    pub fn contexts(&self) -> &[Context] {
        &self.frozen
    }

    /// Gives a packet that is dropped another reason for it.
    pub fn drop_as(&mut self, other: DropReason) {
        if let Some(Op::Drop(reason)) = self.ops.last_mut() {
            *reason = other;
        }
    }

    /// The flows that the packet passed, in order; one that it passed twice stands here twice.
    #[inline]
    pub fn hits(&self) -> &[StatsId] {
        &self.hits
    }

    /// What the answer depended on.
    #[inline]
    pub fn recorded(&self) -> &Recorded {
        self.record.recorded()
    }
}

/// What a clone gives back.
struct Kept {
    key: FlowKey,
    provenance: Provenance,
}

/// Walks the tables for `key`, which is left as the last action left it.
pub fn translate<'s>(snapshot: &'s Snapshot, key: &mut FlowKey, start: Start<'s>, out: &mut Translation) {
    translate_watched(snapshot, key, start, out, ());
}

/// The same, and tells what happens on the way.
pub fn translate_watched<'s>(
    snapshot: &'s Snapshot,
    key: &mut FlowKey,
    start: Start<'s>,
    out: &mut Translation,
    watch: impl Watch,
) {
    out.ops.clear();
    out.hits.clear();
    out.stack.clear();
    out.keys.clear();
    out.frozen.clear();
    out.record.start(key, matches!(start, Start::Frozen(_)));
    let entered = PortNo(fields::get64(key, Field::InPort) as u16);
    let mut walk = Walk {
        snapshot,
        key,
        frames: std::mem::take(&mut out.frames),
        out,
        list: &[],
        owner: None,
        at: At::default(),
        stack_base: 0,
        useful: 0,
        entered,
        to_tidy: false,
        resubmits: 0,
        seen: Seen::default(),
        watch,
    };
    match start {
        Start::Table(table) => {
            walk.enter(table, 0, None);
        }
        Start::Frozen(context) => walk.thaw(context),
    }
    let outcome = walk.run();
    let (seen, useful, to_tidy) = (walk.seen, walk.useful, walk.to_tidy);
    out.frames = recycle(walk.frames);
    out.record.finish();
    let reason = match outcome {
        Ok(()) => {
            out.ops.truncate(useful);
            let reason = seen.drop_reason();
            if to_tidy {
                tidy::tidy(&mut out.ops, reason.is_none());
            }
            reason
        }
        Err(limit) => {
            out.ops.clear();
            Some(limit)
        }
    };
    out.ops.extend(reason.map(Op::Drop));
}

/// Empties the frames for use with another snapshot. Collecting in place keeps the allocation; a test watches that.
fn recycle(mut frames: Vec<Frame<'_>>) -> Vec<Frame<'static>> {
    frames.clear();
    frames.into_iter().map_while(|_| None).collect()
}

/// What a list of actions is the end of.
type Owner<'s> = Option<&'s Arc<[Action]>>;

/// What is to be done when a list of actions ends.
enum Frame<'s> {
    /// Go on with the rest of the list that it was called from.
    Resume { rest: &'s [Action], owner: Owner<'s>, at: At },
    /// Go on with the packet as it was before the clone.
    EndClone { op: usize, stack_base: usize },
}

/// Where the actions at hand stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct At {
    cookie: u64,
    table: u8,
    depth: u8,
}

impl At {
    pub(super) fn table(self) -> u8 {
        self.table
    }
}

/// What decides the reason of a drop.
#[derive(Clone, Copy, Default)]
struct Seen {
    sent: bool,
    shown: bool,
    halt: Option<DropReason>,
    no_such_port: bool,
    no_such_group: bool,
    no_tunnel: bool,
    to_in_port: bool,
    missed: bool,
}

impl Seen {
    fn drop_reason(self) -> Option<DropReason> {
        match self {
            Seen { sent: true, .. } => None,
            Seen { halt: Some(reason), .. } => Some(reason),
            Seen { no_such_port: true, .. } => Some(DropReason::NoSuchPort),
            Seen { no_such_group: true, .. } => Some(DropReason::NoSuchGroup),
            Seen { no_tunnel: true, .. } => Some(DropReason::TunnelNoRemote),
            Seen { to_in_port: true, .. } => Some(DropReason::ToInPort),
            Seen { missed: true, .. } => Some(DropReason::NoMatch),
            Seen { shown: true, .. } => None,
            _ => Some(DropReason::Explicit),
        }
    }
}

/// An error is a limit that was met: the translation is off.
type Step = Result<(), DropReason>;

struct Walk<'s, 'w, W> {
    snapshot: &'s Snapshot,
    key: &'w mut FlowKey,
    out: &'w mut Translation,
    frames: Vec<Frame<'s>>,
    /// Actions still to be done of the list at hand.
    list: &'s [Action],
    owner: Owner<'s>,
    at: At,
    /// The stack begins here; below lie the stacks that clones will give back.
    stack_base: usize,
    /// Operations up to here matter; those behind have not been followed by an output.
    useful: usize,
    /// The port that the packet came in by.
    entered: PortNo,
    /// Whether there are clones or writes of Ethernet addresses, which may come to less.
    to_tidy: bool,
    resubmits: usize,
    seen: Seen,
    watch: W,
}

impl<'s, W: Watch> Walk<'s, '_, W> {
    fn run(&mut self) -> Step {
        loop {
            let Some((action, rest)) = self.list.split_first() else {
                match self.frames.pop() {
                    Some(Frame::Resume { rest, owner, at }) => {
                        (self.list, self.owner, self.at) = (rest, owner, at);
                    }
                    Some(Frame::EndClone { op, stack_base }) => self.end_clone(op, stack_base),
                    None => return Ok(()),
                }
                continue;
            };
            self.list = rest;
            self.watch.before(action, self.key, self.frames.len());
            self.act(action)?;
            self.watch.after(action, self.key);
        }
    }

    fn act(&mut self, action: &'s Action) -> Step {
        match action {
            Action::Output(port) => self.output(*port),
            Action::OutputField(from) => match u16::try_from(self.packet().read(*from)) {
                Ok(port) => self.output(PortNo(port)),
                Err(_) => {
                    self.seen.no_such_port = true;
                    self.watch.remark(DropReason::NoSuchPort);
                    Ok(())
                }
            },
            Action::Controller { max_len, reason, pause: false, .. } => self.controller(*max_len, *reason, 0),
            Action::Controller { reason, .. } => self.pause(*reason),
            Action::Resubmit { port, table } => {
                let port = port.filter(|port| *port != PortNo::IN_PORT);
                self.resubmit(table.unwrap_or(self.at.table), port)
            }
            Action::GotoTable(table) => self.resubmit(*table, None),
            Action::WriteMetadata { value, mask } => {
                self.write(Field::Metadata, u128::from(*value), u128::from(*mask))
            }
            Action::SetField { field, value, mask } => self.write(*field, *value, *mask),
            Action::Load { value, dst } => self.write_subfield(*dst, *value),
            Action::Move { src, dst } => self.copy(*src, *dst),
            Action::Mod { kind, value } => self.modify(*kind, *value),
            Action::PushVlan(tpid) => self.push_vlan(*tpid),
            Action::PopVlan => match self.packet().is_tagged() {
                true => self.pop_vlan(),
                false => Ok(()),
            },
            Action::PushStack(from) => self.push_stack(*from),
            Action::PopStack(to) => match self.out.stack.len() > self.stack_base {
                true => self.out.stack.pop().map_or(Ok(()), |value| self.write_subfield(*to, value)),
                false => Ok(()),
            },
            Action::DecTtl => self.dec_ttl(),
            Action::Clone(inner) => self.begin_clone(inner),
            Action::CtClear => {
                self.packet().clear_connection();
                Ok(())
            }
            Action::CheckPktLarger { len, dst } => self.check_len(*len, *dst),
            Action::Become { kind, actions } => self.turn(*kind, actions),
            Action::Learn(learn) => self.learn(*learn),
            Action::Log(log) => self.log(log),
            Action::Await { port, ip, actions } => self.wait_neighbour(*port, *ip, actions),
            // A lookup never ends at such a flow.
            Action::Conjunction { .. } => Ok(()),
            Action::Group(id) => self.group(*id),
            Action::Meter(id) => self.meter(*id),
            Action::SetMtu(mtu) => self.set_mtu(*mtu),
        }
    }

    /// The key, to look at and to write to.
    #[inline(always)]
    fn packet(&mut self) -> Traced<'_> {
        Traced { key: self.key, record: &mut self.out.record }
    }

    // Tables.

    /// Looks the key up; the list at hand becomes that of the flow it meets, if it meets one.
    fn enter(&mut self, table: u8, depth: u8, in_port: Option<PortNo>) -> bool {
        let tables = &self.snapshot.tables;
        let record = &mut self.out.record;
        // Metadata is constant, or a copy of what was recorded.
        record.depend(Dep::Table { table, datapath: fields::get64(self.key, Field::Metadata) });
        let flow = match in_port {
            None => tables.lookup(table, self.key, record),
            Some(port) => {
                let true_port = u128::from(fields::get64(self.key, Field::InPort));
                fields::put(self.key, Field::InPort, u128::from(port.0), u128::MAX);
                record.pretend_in_port();
                let flow = tables.lookup(table, self.key, record);
                fields::put(self.key, Field::InPort, true_port, u128::MAX);
                flow
            }
        };
        self.seen.missed = flow.is_none();
        let lists = self.frames.len() + usize::from(!self.list.is_empty());
        self.watch.table(table, flow.map(|flow| &**flow), lists);
        let Some(flow) = flow else { return false };
        // There is room: one hit for the start and one for each resubmit.
        if self.out.hits.len() <= MAX_RESUBMITS {
            self.out.hits.push(flow.stats);
        }
        (self.list, self.owner) = (&flow.actions, Some(&flow.actions));
        self.at = At { cookie: flow.options.cookie, table, depth };
        true
    }

    fn resubmit(&mut self, table: u8, in_port: Option<PortNo>) -> Step {
        if self.at.depth >= MAX_DEPTH {
            return Err(DropReason::TooDeep);
        }
        if self.resubmits >= MAX_RESUBMITS {
            return Err(DropReason::TooMany);
        }
        self.resubmits += 1;
        let (rest, owner, at) = (self.list, self.owner, self.at);
        let depth = at.depth + u8::from(table <= at.table);
        // A list that has nothing left needs no way back.
        if self.enter(table, depth, in_port) && !rest.is_empty() {
            return self.push_frame(Frame::Resume { rest, owner, at });
        }
        Ok(())
    }

    fn push_frame(&mut self, frame: Frame<'s>) -> Step {
        if self.frames.len() >= MAX_FRAMES {
            return Err(DropReason::ActionLimit);
        }
        self.frames.push(frame);
        Ok(())
    }

    // Sending.

    fn output(&mut self, port: PortNo) -> Step {
        // Wider than a port's number: actions may make a value of it that no port has.
        let in_port = self.packet().look(Field::InPort, u64::MAX);
        let is_in_port = |port: PortNo| u64::from(port.0) == in_port;
        let ports = &self.snapshot.ports;
        match port {
            PortNo::ALL | PortNo::FLOOD => {
                self.out.record.depend(Dep::Ports);
                for other in ports.iter().filter(|other| !is_in_port(other.number)) {
                    // A flood names no peer.
                    if (port == PortNo::ALL || !other.no_flood) && !self.is_tunnel(other.number) {
                        self.send(Op::Output(other.at))?;
                    }
                }
                return Ok(());
            }
            PortNo::CONTROLLER => return self.controller(u16::MAX, 1, 0),
            PortNo::NONE => return Ok(()),
            _ if is_in_port(port) && !self.is_tunnel(port) => {
                // Were it that of tunnels, it would be sent.
                self.out.record.depend(Dep::Port(port));
                self.seen.to_in_port = true;
                self.watch.remark(DropReason::ToInPort);
                return Ok(());
            }
            _ => {}
        }
        let number = match port {
            PortNo::IN_PORT => u16::try_from(in_port).map_or(PortNo::NONE, PortNo),
            port => port,
        };
        self.out.record.depend(Dep::Port(number));
        match ports.get(number) {
            Some(port) if self.is_tunnel(port.number) => self.send_to_tunnel(),
            Some(port) => self.send(Op::Output(port.at)),
            None => {
                self.seen.no_such_port = true;
                self.watch.remark(DropReason::NoSuchPort);
                Ok(())
            }
        }
    }

    fn controller(&mut self, max_len: u16, reason: u8, frozen: u32) -> Step {
        self.send(Op::Controller { max_len, reason, table: self.at.table, cookie: self.at.cookie, frozen })
    }

    fn send(&mut self, op: Op) -> Step {
        self.emit(op)?;
        match op {
            Op::Output(_) | Op::Tunnel(_) => self.seen.sent = true,
            // What is told says nothing of what became of the packet.
            Op::Tell(_) => {}
            _ => self.seen.shown = true,
        }
        self.useful = self.out.ops.len();
        Ok(())
    }

    fn emit(&mut self, op: Op) -> Step {
        if self.out.ops.len() >= MAX_OPS {
            return Err(DropReason::ActionLimit);
        }
        self.out.ops.push(op);
        Ok(())
    }

    // Writing.

    /// Copies a subfield, unless the packet lacks one of the two.
    fn copy(&mut self, src: Subfield, dst: Subfield) -> Step {
        if !self.packet().present(src.field) {
            return Ok(());
        }
        let value = self.packet().read(src);
        self.write_subfield(dst, value)
    }

    fn write_subfield(&mut self, to: Subfield, value: u128) -> Step {
        self.write(to.field, (value & to.ones()) << to.start, to.mask())
    }

    /// Writes to a field, unless the packet does not have it.
    fn write(&mut self, field: Field, value: u128, mask: u128) -> Step {
        if !field.info().writable || !self.packet().present(field) {
            return Ok(());
        }
        match field {
            Field::VlanTci | Field::VlanVid => return self.write_tci(value as u16, mask as u16),
            Field::DlVlan => return self.write_tci(value as u16 | TAG, mask as u16 | TAG),
            Field::DlVlanPcp => return self.write_tci((value as u16) << 13 | TAG, (mask as u16) << 13 | TAG),
            Field::VlanPcp => return self.write_tci((value as u16) << 13, (mask as u16) << 13),
            _ => {}
        }
        let mask = mask & fields::own_bits(field);
        if mask == 0 {
            return Ok(());
        }
        self.packet().write(field, value, mask);
        if field.in_packet() {
            self.to_tidy |= matches!(field, Field::EthSrc | Field::EthDst);
            self.emit(Op::Set { field, value: value & mask, mask })?;
        }
        Ok(())
    }

    fn modify(&mut self, kind: ModKind, value: u64) -> Step {
        let wide = u128::from(value);
        let mut packet = self.packet();
        let port_of = |packet: &mut Traced<'_>, tcp, udp, sctp| match packet.l4_proto() {
            Some(6) => Some(tcp),
            Some(17) => Some(udp),
            Some(132) => Some(sctp),
            _ => None,
        };
        let (field, mask) = match kind {
            ModKind::SetVlanVid | ModKind::SetVlanPcp if !packet.is_tagged() => return Ok(()),
            ModKind::VlanVid | ModKind::SetVlanVid => (Field::DlVlan, 0xfff),
            ModKind::VlanPcp | ModKind::SetVlanPcp => (Field::DlVlanPcp, 7),
            ModKind::DlSrc => (Field::EthSrc, 0xffff_ffff_ffff),
            ModKind::DlDst => (Field::EthDst, 0xffff_ffff_ffff),
            ModKind::NwSrc => (Field::NwSrc, 0xffff_ffff),
            ModKind::NwDst => (Field::NwDst, 0xffff_ffff),
            ModKind::NwTos => (Field::NwTos, 0xfc),
            ModKind::NwEcn => (Field::NwEcn, 3),
            ModKind::NwTtl => (Field::NwTtl, 0xff),
            ModKind::TpSrc => match port_of(&mut packet, Field::TcpSrc, Field::UdpSrc, Field::SctpSrc) {
                Some(field) => (field, 0xffff),
                None => return Ok(()),
            },
            ModKind::TpDst => match port_of(&mut packet, Field::TcpDst, Field::UdpDst, Field::SctpDst) {
                Some(field) => (field, 0xffff),
                None => return Ok(()),
            },
        };
        self.write(field, wide & mask, mask)
    }

    fn dec_ttl(&mut self) -> Step {
        if !self.packet().is_ip() {
            return Ok(());
        }
        if self.packet().dec_ttl() {
            return self.emit(Op::DecTtl);
        }
        // As OVS does: the list at hand ends, those that it was called from go on.
        self.seen.halt.get_or_insert(DropReason::TtlExpired);
        self.watch.remark(DropReason::TtlExpired);
        self.list = &[];
        Ok(())
    }

    // State.

    fn push_stack(&mut self, from: Subfield) -> Step {
        if self.out.stack.len() - self.stack_base >= MAX_STACK {
            return Err(DropReason::ActionLimit);
        }
        let value = self.packet().read(from);
        self.out.stack.push(value);
        Ok(())
    }

    fn begin_clone(&mut self, inner: &'s Arc<[Action]>) -> Step {
        if self.out.keys.len() >= MAX_CLONES {
            return Err(DropReason::ActionLimit);
        }
        self.out.keys.push(Kept { key: *self.key, provenance: self.out.record.provenance() });
        if !self.list.is_empty() {
            self.push_frame(Frame::Resume { rest: self.list, owner: self.owner, at: self.at })?;
        }
        let (op, stack_base) = (self.out.ops.len(), self.stack_base);
        self.push_frame(Frame::EndClone { op, stack_base })?;
        // The clone works on a copy of the stack, above the one it leaves alone.
        self.stack_base = self.out.stack.len();
        self.out.stack.extend_from_within(stack_base..);
        (self.list, self.owner) = (inner, Some(inner));
        self.to_tidy = true;
        self.emit(Op::Clone { ops: 0 })
    }

    fn end_clone(&mut self, op: usize, stack_base: usize) {
        if let Some(Kept { key, provenance }) = self.out.keys.pop() {
            *self.key = key;
            self.out.record.restore(provenance);
        }
        self.out.stack.truncate(self.stack_base);
        self.stack_base = stack_base;
        // A clone that sends nothing is nothing.
        self.out.ops.truncate(self.useful.max(op));
        let inner = self.out.ops.len().saturating_sub(op + 1);
        if let Some(Op::Clone { ops }) = self.out.ops.get_mut(op) {
            *ops = inner as u16;
        }
    }

    /// Ends what was still to be done to this copy of the packet.
    fn halt(&mut self, reason: DropReason) {
        self.seen.halt.get_or_insert(reason);
        self.watch.remark(reason);
        self.leave();
    }

    fn leave(&mut self) {
        self.list = &[];
        while let Some(Frame::Resume { .. }) = self.frames.last() {
            self.frames.pop();
        }
    }
}
