//! Leaving the tables and coming back: a packet that pauses, becomes a reply, waits for a neighbour, or has to be looked
//! at again. And what the control thread is told on the way.
//!
//! Nothing of such a packet is known here beside its key, so what comes of it is a translation of its own, of a packet
//! that comes back to a frozen context.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::{Frame, Step, Walk, Watch};
use crate::action::intent::{Intent, Learn, Log, Neighbour};
use crate::action::reply::Reply;
use crate::action::{Action, Op, Subfield};
use crate::classifier::Wildcards;
use crate::packet::{DropReason, Field, Mac, key};
use crate::pipeline::frozen::{self, Context, Rest};

/// The upper bits of an IPv4 address in IPv6's form.
const MAPPED: u128 = 0xffff << 32;

impl<'s, W: Watch> Walk<'s, '_, W> {
    /// Shows the packet to the controller, and leaves all that was still to be done to it for when it comes back.
    pub(super) fn pause(&mut self, reason: u8) -> Step {
        let frozen = self.freeze_all()?;
        // All of it, since all of it is to come back.
        self.controller(u16::MAX, reason, frozen)?;
        self.leave();
        Ok(())
    }

    /// Goes on as for a packet that is not larger. For one that is, leaves all that was still to be done behind.
    pub(super) fn check_len(&mut self, len: u16, dst: Subfield) -> Step {
        if dst.field.in_packet() || !dst.field.info().writable {
            return Ok(());
        }
        self.write_subfield(dst, 1)?;
        let larger = self.freeze_all()?;
        self.write_subfield(dst, 0)?;
        self.emit(Op::CheckLen { len, larger })?;
        self.useful = self.out.ops.len();
        Ok(())
    }

    /// The packet becomes a reply, with which `actions` go on.
    pub(super) fn turn(&mut self, kind: Reply, actions: &'s Arc<[Action]>) -> Step {
        let frozen = self.freeze_apart(actions, false)?;
        self.send(Op::Become { kind, frozen })
    }

    /// Says what would fit, in a message that has a place for it: ICMP destination unreachable, ICMPv6 packet too big.
    pub(super) fn set_mtu(&mut self, mtu: u32) -> Step {
        const PLACES: [(Field, u64); 2] = [(Field::IcmpType, 3), (Field::Icmpv6Type, 2)];
        let mut packet = self.packet();
        let has_place =
            PLACES.iter().any(|(field, kind)| packet.present(*field) && packet.look(*field, 0xff) == *kind);
        if has_place { self.emit(Op::SetMtu(mtu)) } else { Ok(()) }
    }

    /// The packet waits for a neighbour; then `actions` go on with it.
    pub(super) fn wait_neighbour(
        &mut self,
        port: Subfield,
        ip: Subfield,
        actions: &'s Arc<[Action]>,
    ) -> Step {
        if !self.packet().present(ip.field) {
            return Ok(());
        }
        let neighbour = self.neighbour(port, ip);
        let frozen = self.freeze_apart(actions, true)?;
        self.send(Op::Await { neighbour, frozen })
    }

    /// Tells what a packet shows of its sender, if it has the fields.
    pub(super) fn learn(&mut self, learn: Learn) -> Step {
        let (Learn::Neighbour { mac, .. } | Learn::Fdb { mac, .. }) = learn;
        let has_ip = match learn {
            Learn::Neighbour { ip, .. } => self.packet().present(ip.field),
            Learn::Fdb { .. } => true,
        };
        if !has_ip || !self.packet().present(mac.field) {
            return Ok(());
        }
        let mac = Mac::from_u64(self.packet().read(mac) as u64);
        let intent = match learn {
            Learn::Neighbour { port, ip, .. } => Intent::Neighbour(self.neighbour(port, ip), mac),
            Learn::Fdb { port, .. } => {
                let port = self.packet().read(port) as u32;
                Intent::Fdb { datapath: self.packet().look(Field::Metadata, u64::MAX), port, mac }
            }
        };
        self.send(Op::Tell(intent))
    }

    /// Tells of the packet.
    pub(super) fn log(&mut self, log: &Log) -> Step {
        let Log { verdict, severity, meter, .. } = *log;
        let (table, cookie) = (self.at.table, self.at.cookie);
        self.send(Op::Tell(Intent::Log { table, cookie, verdict, severity, meter }))
    }

    fn neighbour(&mut self, port: Subfield, ip: Subfield) -> Neighbour {
        let datapath = self.packet().look(Field::Metadata, u64::MAX);
        let port = self.packet().read(port) as u32;
        let address = self.packet().read(ip);
        let address = if ip.bits <= 32 { address | MAPPED } else { address };
        Neighbour { datapath, port, ip: Ipv6Addr::from_bits(address) }
    }

    /// Keeps all that is needed to go on from here: the number of the context among those of this translation, from 1.
    fn freeze_all(&mut self) -> Result<u32, DropReason> {
        let mut context = self.context()?;
        let own = self.frames.iter().rposition(|frame| matches!(frame, Frame::EndClone { .. }));
        let outer = self.frames.iter().skip(own.map_or(0, |at| at + 1)).filter_map(|frame| match frame {
            Frame::Resume { rest, owner, at } => Some((*rest, *owner, *at)),
            Frame::EndClone { .. } => None,
        });
        for (rest, owner, at) in outer.chain([(self.list, self.owner, self.at)]) {
            let Some(owner) = owner.filter(|_| !rest.is_empty()) else { continue };
            let rest = Rest::of(owner, rest.len(), at);
            context.rests.try_push(rest).map_err(|_| DropReason::ActionLimit)?;
        }
        let number = self.number(context)?;
        self.watch.leaves(number, self.key);
        Ok(number)
    }

    /// Keeps what another packet needs that goes on with `actions` alone. Marks are for packets that stay what they are.
    fn freeze_apart(&mut self, actions: &'s Arc<[Action]>, keeps_mark: bool) -> Result<u32, DropReason> {
        let (key, provenance) = (*self.key, self.out.record.provenance());
        let mut packet = self.packet();
        packet.made_here();
        if !keeps_mark {
            packet.write(Field::PktMark, 0, u128::MAX);
            packet.write(Field::DpHash, 0, u128::MAX);
        }
        let context = self.context();
        *self.key = key;
        self.out.record.restore(provenance);
        let mut context = context?;
        let rest = Rest::of(actions, actions.len(), self.at);
        context.rests.try_push(rest).map_err(|_| DropReason::ActionLimit)?;
        let number = self.number(context)?;
        self.watch.leaves(number, self.key);
        Ok(number)
    }

    /// A context with what the key says beside the packet, and with the stack.
    fn context(&mut self) -> Result<Context, DropReason> {
        let mut context = Context::default();
        let has_tunnel = self.may_have_tunnel();
        for (word, bits) in frozen::kept() {
            if has_tunnel || !key::is_tunnel(word) {
                self.out.record.read(word, bits);
            }
        }
        context.keep(self.key);
        let stack = self.out.stack.get(self.stack_base..).unwrap_or_default();
        context.stack.try_extend_from_slice(stack).map_err(|_| DropReason::ActionLimit)?;
        Ok(context)
    }

    fn number(&mut self, context: Context) -> Result<u32, DropReason> {
        self.out.frozen.try_push(context).map_err(|_| DropReason::ActionLimit)?;
        Ok(self.out.frozen.len() as u32)
    }

    /// Goes on where a packet left.
    pub(super) fn thaw(&mut self, context: &'s Context) {
        context.restore(self.key);
        self.out.stack.extend_from_slice(&context.stack);
        // No more than there is room for frames.
        self.frames.extend(context.rests.iter().map(|rest| Frame::Resume {
            rest: rest.actions.get(rest.done..).unwrap_or_default(),
            owner: Some(&rest.actions),
            at: rest.at,
        }));
    }
}
