//! Actions: the OpenFlow actions that a flow carries ([`Action`]), the operations that translation makes of them
//! ([`Op`]), and the execution of operations on a packet ([`execute`]).
//!
//! The invariant: after [`execute::execute`] the bytes say what the translated flow key says; every checksum that was
//! right before is right after; and the packet it was given ends in exactly one place (an output, the controller's
//! copy does not count, or a named drop).

pub mod execute;
pub mod intent;
pub mod reply;
mod rewrite;

use std::sync::Arc;

use crate::packet::{DropReason, Field, PortNo, PortRef};
use crate::tunnel::TunnelOut;
use intent::{Intent, Learn, Log, Neighbour};
use reply::Reply;

/// Some consecutive bits of a field: `NXM_NX_REG0[4..7]` is `{ field: Reg0, start: 4, bits: 4 }`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subfield {
    /// The field.
    pub field: Field,
    /// Lowest bit.
    pub start: u16,
    /// Width, at least 1, and `start + bits` at most the field's width.
    pub bits: u16,
}

impl Subfield {
    /// The whole of a field.
    pub fn whole(field: Field) -> Self {
        Self { field, start: 0, bits: field.bits() }
    }

    /// `bits` ones, right-aligned.
    pub fn ones(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.bits))
    }

    /// The subfield's bits as a mask of the field.
    pub fn mask(self) -> u128 {
        self.ones() << self.start
    }
}

/// An action of a flow, ovs-actions(7). An empty list drops.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// `output:PORT`, and the reserved ports IN_PORT, ALL, FLOOD.
    Output(PortNo),
    /// `output:SUBFIELD`: to the port whose number stands there.
    OutputField(Subfield),
    /// `controller(…)`
    Controller {
        /// Most bytes of the packet to hand over; 65535 for all.
        max_len: u16,
        /// 0 no_match, 1 action, 2 invalid_ttl.
        reason: u8,
        /// Controller's id, kept for printing.
        id: u16,
        /// Whether the packet waits for the controller to let it go on behind this action.
        pause: bool,
    },
    /// `resubmit(PORT,TABLE)`; without a table the current one, without a port the current in_port.
    Resubmit {
        /// Value of in_port during the lookup.
        port: Option<PortNo>,
        /// Table to look in.
        table: Option<u8>,
    },
    /// `goto_table:TABLE`, always last; the table is greater than the flow's own.
    GotoTable(u8),
    /// `write_metadata:VALUE/MASK`
    WriteMetadata {
        /// Bits to write.
        value: u64,
        /// Which of them.
        mask: u64,
    },
    /// `set_field:VALUE/MASK->FIELD`: ignored by packets without the field.
    SetField {
        /// The field.
        field: Field,
        /// Right-aligned, zero outside the mask.
        value: u128,
        /// Right-aligned.
        mask: u128,
    },
    /// `load:VALUE->SUBFIELD`
    Load {
        /// Right-aligned in the subfield.
        value: u128,
        /// Where to.
        dst: Subfield,
    },
    /// `move:SUBFIELD->SUBFIELD`
    Move {
        /// Where from.
        src: Subfield,
        /// Where to, as wide.
        dst: Subfield,
    },
    /// The `mod_*` forms of OpenFlow 1.0, which set a whole field under their own name.
    Mod {
        /// Which form.
        kind: ModKind,
        /// The value, in the form's own scale (mod_nw_tos: DSCP in place).
        value: u64,
    },
    /// `push_vlan:TPID`: tag with identifier 0.
    PushVlan(u16),
    /// `strip_vlan`, `pop_vlan`: takes the outer tag off, if there is one.
    PopVlan,
    /// `push:SUBFIELD`
    PushStack(Subfield),
    /// `pop:SUBFIELD`: nothing happens when the stack is empty.
    PopStack(Subfield),
    /// `dec_ttl`: at TTL 1 or 0 the list of actions that it stands in ends.
    DecTtl,
    /// `clone(…)`: what is inside works on a copy of packet and state.
    Clone(Arc<[Action]>),
    /// `ct_clear`: forgets what connection tracking said of the packet.
    CtClear,
    /// `check_pkt_larger(LEN)->SUBFIELD`: whether the frame as it is now has more than so many bytes. The packet leaves
    /// the tables here if it has, and goes on at once.
    CheckPktLarger {
        /// The number of bytes, from the Ethernet header on.
        len: u16,
        /// Gets 1 or 0; not in the packet.
        dst: Subfield,
    },
    /// `reply(KIND,…)`: the packet, or a copy of it where actions follow, becomes a reply, with which the actions inside
    /// go on. It has the metadata and registers of the packet, and the in_port CONTROLLER, so that it may leave by the
    /// port that the packet came in by.
    Become {
        /// What it becomes.
        kind: Reply,
        /// What is done to the reply.
        actions: Arc<[Action]>,
    },
    /// `learn_neighbour(…)`, `learn_fdb(…)`: tells the control thread.
    Learn(Learn),
    /// `log(…)`: tells the control thread, with the beginning of the packet.
    Log(Log),
    /// `wait_neighbour(PORT,IP,…)`: the packet, or a copy of it where actions follow, waits until the neighbour is known;
    /// then it gets its Ethernet address as destination, and the actions inside go on with it.
    Await {
        /// Key of the neighbour's logical port. The datapath is the metadata.
        port: Subfield,
        /// Its IP address; of 32 bits it is IPv4's.
        ip: Subfield,
        /// What is done then.
        actions: Arc<[Action]>,
    },
    /// `conjunction(ID,K/N)`: a packet that meets the flow meets dimension K of the N of a conjunctive match. A flow
    /// has nothing else beside such actions, and its actions are never done.
    Conjunction {
        /// Which conjunctive match: the `conj_id` of the lookup that follows once all dimensions are met.
        id: u32,
        /// Which dimension, from 1.
        clause: u8,
        /// How many there are, 2 to 64.
        of: u8,
    },
    /// `group:ID`: what the group says, done to copies of the packet.
    Group(u32),
    /// `meter:ID`: the packet goes on unless the meter's rate is exceeded.
    Meter(u32),
    /// `set_mtu:BYTES`: what an ICMP "fragmentation needed" or an ICMPv6 "packet too big" says would fit. Other packets
    /// have no such field.
    SetMtu(u32),
}

impl Action {
    /// The actions inside it, if it is of a kind that has such.
    pub fn inner(&self) -> &[Action] {
        match self {
            Action::Clone(inner)
            | Action::Become { actions: inner, .. }
            | Action::Await { actions: inner, .. } => inner,
            _ => &[],
        }
    }
}

/// The `mod_*` and `set_vlan_*` forms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ModKind {
    /// `mod_vlan_vid`: adds a tag where there is none.
    VlanVid,
    /// `mod_vlan_pcp`: adds a tag where there is none.
    VlanPcp,
    /// `set_vlan_vid`: only where there is a tag.
    SetVlanVid,
    /// `set_vlan_pcp`: only where there is a tag.
    SetVlanPcp,
    /// `mod_dl_src`
    DlSrc,
    /// `mod_dl_dst`
    DlDst,
    /// `mod_nw_src`
    NwSrc,
    /// `mod_nw_dst`
    NwDst,
    /// `mod_nw_tos`
    NwTos,
    /// `mod_nw_ecn`
    NwEcn,
    /// `mod_nw_ttl`
    NwTtl,
    /// `mod_tp_src`
    TpSrc,
    /// `mod_tp_dst`
    TpDst,
}

/// One step of what is done to a packet, the result of translation. Plain data, no allocation inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Writes the bits of `mask` of a field that lives in the packet. The packet has the field: translation checked.
    Set {
        /// The field.
        field: Field,
        /// Right-aligned, zero outside the mask.
        value: u128,
        /// Right-aligned.
        mask: u128,
    },
    /// Puts a tag (identifier 0, priority 0) in front of the outer one.
    PushVlan {
        /// Its Ethernet type.
        tpid: u16,
    },
    /// Takes the outer tag off; there is one.
    PopVlan,
    /// TTL or hop limit less one; it is at least 2.
    DecTtl,
    /// Sends the packet as it is now.
    Output(PortRef),
    /// Hands a copy of the packet as it is now to the control thread.
    Controller {
        /// Most bytes.
        max_len: u16,
        /// As in [`Action::Controller`].
        reason: u8,
        /// Table of the flow.
        table: u8,
        /// Cookie of the flow.
        cookie: u64,
        /// The frozen context from which the packet may go on; 0 if it does not wait.
        frozen: u32,
    },
    /// The next `ops` operations are done on a copy; what follows them goes on with the packet as it is now.
    Clone {
        /// How many operations, nested ones included.
        ops: u16,
    },
    /// Drops the packet where the meter of that number is exceeded. One that is not there passes all.
    Meter(u32),
    /// Why nothing was sent; always last, at the top level. Counted only if nothing was sent before.
    Drop(DropReason),
    /// A packet with more bytes leaves this list of operations here: it is parsed again and goes on from a frozen context.
    /// What follows is for the others.
    CheckLen {
        /// Most bytes of a frame that stays.
        len: u16,
        /// The context for longer frames; 0 if there was no number for it.
        larger: u32,
    },
    /// Sends the packet as it is now through a tunnel.
    Tunnel(TunnelOut),
    /// The packet becomes a reply, is parsed again and goes on from a frozen context.
    Become {
        /// What it becomes.
        kind: Reply,
        /// The context; 0 if there was no number for it.
        frozen: u32,
    },
    /// The packet waits for a neighbour, and then goes on from a frozen context.
    Await {
        /// The neighbour.
        neighbour: Neighbour,
        /// The context; 0 if there was no number for it.
        frozen: u32,
    },
    /// The control thread is told something.
    Tell(Intent),
    /// Writes what would fit into an ICMP message that has a place for it: translation checked.
    SetMtu(u32),
}

impl Op {
    /// The frozen contexts that the operation leaves behind; 0 is none.
    pub fn frozen(&self) -> impl Iterator<Item = u32> + use<> {
        let number = match *self {
            Op::Controller { frozen, .. }
            | Op::Become { frozen, .. }
            | Op::Await { frozen, .. }
            | Op::CheckLen { larger: frozen, .. } => Some(frozen),
            _ => None,
        };
        number.into_iter()
    }

    /// The same, to be changed.
    pub fn frozen_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        let number = match self {
            Op::Controller { frozen, .. }
            | Op::Become { frozen, .. }
            | Op::Await { frozen, .. }
            | Op::CheckLen { larger: frozen, .. } => Some(frozen),
            _ => None,
        };
        number.into_iter()
    }
}
