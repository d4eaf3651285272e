//! From the actions of a logical flow to those of a flow.
//!
//! What belongs to connection tracking, load balancing, DHCP and the like is not there yet. Where such an action
//! yields a field it yields 0 and what is behind it goes on; where it decides where the packet goes next the packet is
//! dropped, since to let it pass would open what is closed. Either way it is said in [`Lowered::missing`].

use std::sync::Arc;

use smallvec::SmallVec;

use super::numbers::{FLAGS, INPORT, Numbers, OUTPORT, flag};
use super::objects::{Asked, Object};
use crate::action::intent::{self, Learn};
use crate::action::reply::Reply;
use crate::action::{Action as Act, Subfield};
use crate::logical::action::{
    Action, GetBinding, GetFdb, Kind, Log, LookupBinding, LookupBindingIp, Next, Pipeline, PutBinding,
    ReplyField, Select, Severity, Verdict,
};
use crate::logical::expr::Constant;
use crate::logical::names::Names;
use crate::logical::symbol::FieldRef;
use crate::packet::Field;

/// Actions of a flow, and what they lack.
#[derive(Clone, Debug)]
pub(super) struct Lowered {
    /// Done in this order.
    pub actions: Arc<[Act]>,
    /// Actions of the logical flow that do nothing, or at which it ends.
    pub missing: Vec<Kind>,
}

/// Where the logical flow stands and what names mean there.
pub(super) struct Lowerer<'a> {
    numbers: &'a Numbers,
    names: &'a dyn Names,
    at: Place,
    objects: &'a mut Asked,
    numbered: &'a mut dyn FnMut(&Object) -> u32,
    missing: Vec<Kind>,
}

/// Where a logical flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub pipeline: Pipeline,
    /// Number of the table in the pipeline.
    pub table: u8,
}

/// Lowers the actions of a logical flow. `numbered` gives a group or meter its number, and is asked for each once more.
pub(super) fn lower(
    list: &[Action],
    at: Place,
    numbers: &Numbers,
    names: &dyn Names,
    numbered: &mut dyn FnMut(&Object) -> u32,
) -> (Lowered, Asked) {
    let mut objects = Asked::new();
    let mut lowerer = Lowerer { numbers, names, at, objects: &mut objects, numbered, missing: Vec::new() };
    let actions = lowerer.list(list);
    let lowered = Lowered { actions: actions.into(), missing: lowerer.missing };
    (lowered, objects)
}

/// Where an action expects what it is given: what is elsewhere is brought there, and what was there put back.
struct Moved {
    /// What it is given, and where it belongs.
    pairs: SmallVec<[(Subfield, Subfield); 3]>,
}

impl Moved {
    fn new(pairs: impl IntoIterator<Item = (Subfield, Subfield)>) -> Self {
        Self { pairs: pairs.into_iter().filter(|(from, to)| !is_same(*from, *to)).collect() }
    }

    fn bring(&self, out: &mut Vec<Act>) {
        out.extend(self.pairs.iter().map(|(_, to)| Act::PushStack(*to)));
        out.extend(self.pairs.iter().rev().map(|(from, _)| Act::PushStack(*from)));
        out.extend(self.pairs.iter().map(|(_, to)| Act::PopStack(*to)));
    }

    fn put_back(&self, out: &mut Vec<Act>) {
        out.extend(self.pairs.iter().rev().map(|(_, to)| Act::PopStack(*to)));
    }
}

/// Whether two subfields are the same bits, as `reg0` and the uppermost quarter of `xxreg0` are.
fn is_same(one: Subfield, other: Subfield) -> bool {
    let place = |part: Subfield| {
        let loc = part.field.info().loc;
        let words = if loc.bits > 64 { 2 } else { 1 };
        // Counted from the lowest bit of the last word.
        let low = u32::from(loc.shift) + u32::from(part.start);
        (u32::from(loc.word) + words) * 64 - low
    };
    place(one) == place(other) && one.bits == other.bits
}

/// The field of the key that a field of a logical flow is. What no key holds is none.
fn subfield(field: &FieldRef) -> Option<Subfield> {
    let (field, start, bits) = field.resolve()?;
    Some(Subfield { field, start, bits })
}

fn bit(field: Field, bit: u16) -> Subfield {
    Subfield { field, start: bit, bits: 1 }
}

/// Writes a value to a part of a field.
pub(super) fn set(to: Subfield, value: u128) -> Act {
    Act::SetField { field: to.field, value: (value & to.ones()) << to.start, mask: to.mask() }
}

pub(super) fn go_to(table: u8) -> Act {
    Act::Resubmit { port: None, table: Some(table) }
}

impl Lowerer<'_> {
    fn list(&mut self, list: &[Action]) -> Vec<Act> {
        let mut out = Vec::with_capacity(list.len() + 2);
        for action in list {
            if !self.action(action, &mut out) {
                break;
            }
        }
        out
    }

    /// Adds what an action comes to; false if the list ends there.
    fn action(&mut self, action: &Action, out: &mut Vec<Act>) -> bool {
        match action {
            Action::Output => out.push(go_to(match self.at.pipeline {
                Pipeline::Ingress => self.numbers.output_init,
                Pipeline::Egress => self.numbers.save_inport,
            })),
            Action::Next(next) => out.push(go_to(self.table(next))),
            Action::Load { dst, value } => out.extend(self.load(dst, value)),
            Action::Move { dst, src } => {
                if let (Some(src), Some(dst)) = (subfield(src), subfield(dst)) {
                    out.push(Act::Move { src, dst });
                }
            }
            Action::Exchange(one, other) => {
                if let (Some(one), Some(other)) = (subfield(one), subfield(other)) {
                    out.extend([Act::PushStack(other), Act::PushStack(one)]);
                    out.extend([Act::PopStack(other), Act::PopStack(one)]);
                }
            }
            Action::Push(field) => out.extend(subfield(field).map(Act::PushStack)),
            Action::Pop(field) => out.extend(subfield(field).map(Act::PopStack)),
            Action::DecTtl => out.push(Act::DecTtl),
            Action::CtClear => out.push(Act::CtClear),

            Action::Clone(nested) => out.push(Act::Clone(self.list(nested).into())),
            Action::Arp(nested) => {
                out.push(self.wait(Field::Reg0));
                self.reply(Reply::Arp, nested, out);
            }
            Action::Icmp4(nested) => self.reply(Reply::Icmp4, nested, out),
            Action::Icmp4Error(nested) => self.reply(Reply::Icmp4Error, nested, out),
            Action::Icmp6(nested) => self.reply(Reply::Icmp6, nested, out),
            Action::Icmp6Error(nested) => self.reply(Reply::Icmp6Error, nested, out),
            Action::TcpReset(nested) => self.reply(Reply::TcpReset, nested, out),
            Action::SctpAbort(nested) => self.reply(Reply::SctpAbort, nested, out),
            Action::Reject(nested) => self.reply(Reply::Reject, nested, out),
            Action::NdNs(nested) => {
                out.push(self.wait(Field::Xxreg0));
                self.reply(Reply::NdNs, nested, out);
            }
            Action::NdNa(nested) => self.reply(Reply::NdNa, nested, out),
            Action::NdNaRouter(nested) => self.reply(Reply::NdNaRouter, nested, out),

            Action::GetArp(get) | Action::GetNd(get) => self.get_binding(get, out),
            Action::LookupArp(lookup) | Action::LookupNd(lookup) => self.look_up_binding(lookup, out),
            Action::LookupArpIp(lookup) | Action::LookupNdIp(lookup) => self.look_up_address(lookup, out),
            Action::PutArp(put) | Action::PutNd(put) => out.extend(learn_neighbour(put)),
            Action::GetFdb(get) => self.get_fdb(get, out),
            Action::LookupFdb { dst, port, mac } => self.look_up_fdb(dst, port, mac, out),
            Action::PutFdb { port, mac } => {
                if let (Some(port), Some(mac)) = (subfield(port), subfield(mac)) {
                    out.push(Act::Learn(Learn::Fdb { port, mac }));
                }
            }
            Action::CheckInPortSec(dst) => {
                self.look_up(flag::PORT_SECURITY, self.numbers.in_port_security, dst, out);
            }
            Action::CheckOutPortSec(dst) => {
                self.look_up(flag::PORT_SECURITY, self.numbers.out_port_security, dst, out);
            }
            Action::CheckPktLarger { dst, bytes } => {
                out.extend(subfield(dst).map(|dst| Act::CheckPktLarger { len: *bytes, dst }));
            }
            Action::LoadReply { field: ReplyField::Icmp4FragMtu | ReplyField::Icmp6FragMtu, value } => {
                out.push(Act::SetMtu(*value));
            }
            Action::SetMeter { rate, burst } => {
                let kilobits = |number: u64| number.try_into().unwrap_or(u32::MAX);
                let meter = Object::Meter { rate: kilobits(*rate), burst: kilobits(*burst) };
                out.push(Act::Meter(self.ask(meter)));
            }
            Action::Select(select) => match self.select(select) {
                Some(group) => {
                    out.push(Act::Group(self.ask(group)));
                    return false;
                }
                None => {
                    self.missing.push(action.kind());
                    return false;
                }
            },
            Action::Log(log) => out.push(Act::Log(said(log))),

            // These decide what comes next, so that nothing may come in their place.
            Action::CtNext(_)
            | Action::CtCommitNat(_)
            | Action::CtCommitToZone(_)
            | Action::CtDnat(_)
            | Action::CtSnat(_)
            | Action::CtDnatInCzone(_)
            | Action::CtSnatInCzone(_)
            | Action::CtLb(_)
            | Action::CtLbMark(_)
            | Action::CtLbMarkLocal(_)
            | Action::FwdGroup(_) => {
                self.missing.push(action.kind());
                return false;
            }
            // The rest yields nothing, or 0.
            Action::LoadReply { .. }
            | Action::CtCommit(_)
            | Action::CtCommitArgs(_)
            | Action::CtSnatToVip
            | Action::CtNwDst(_)
            | Action::CtIp6Dst(_)
            | Action::CtTpDst(_)
            | Action::CtProto(_)
            | Action::CtStateSave(_)
            | Action::ChkEvpnArp { .. }
            | Action::MacCacheUse
            | Action::GetRemoteFdb(_)
            | Action::PutDhcpOpts(_)
            | Action::PutDhcpv6Opts(_)
            | Action::PutNdRaOpts(_)
            | Action::DhcpRelayReqChk(_)
            | Action::DhcpRelayRespChk(_)
            | Action::HandleDhcpv6Reply
            | Action::DnsLookup(_)
            | Action::ChkLbHairpin(_)
            | Action::ChkLbHairpinReply(_)
            | Action::ChkLbAff(_)
            | Action::ChkEcmpNhMac(_)
            | Action::ChkEcmpNh(_)
            | Action::CommitEcmpNh { .. }
            | Action::CommitLbAff(_)
            | Action::SetQueue(_)
            | Action::Sample(_)
            | Action::Mirror(_)
            | Action::FloodRemote
            | Action::TriggerEvent(_)
            | Action::BindVport { .. }
            | Action::HandleSvcCheck(_)
            | Action::HandleBfdMsg
            | Action::Igmp => {
                self.missing.push(action.kind());
                out.extend(action.result().as_ref().and_then(subfield).map(|dst| set(dst, 0)));
            }
        }
        true
    }

    fn ask(&mut self, object: Object) -> u32 {
        let id = (self.numbered)(&object);
        self.objects.push(object);
        id
    }

    /// The group that chooses; none if a field that is to be hashed is not known.
    fn select(&self, select: &Select) -> Option<Object> {
        let words = select.hash_fields.as_deref().unwrap_or_default();
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        Some(Object::Select {
            dst: subfield(&select.dst)?,
            members: select.members.clone(),
            fields: words.map(Field::by_name).collect::<Option<_>>()?,
            next: self.table_of(self.at.pipeline, self.at.table.saturating_add(1)),
        })
    }

    /// The table that `next` goes to.
    fn table(&self, next: &Next) -> u8 {
        self.table_of(next.pipeline, next.table)
    }

    fn table_of(&self, pipeline: Pipeline, table: u8) -> u8 {
        let first = match pipeline {
            Pipeline::Ingress => self.numbers.ingress,
            Pipeline::Egress => self.numbers.egress,
        };
        first.saturating_add(table)
    }

    fn load(&self, dst: &FieldRef, value: &Constant) -> Option<Act> {
        let dst = subfield(dst)?;
        Some(match value {
            Constant::Number(number) => {
                let mask = number.mask.unwrap_or(u128::MAX) & dst.ones();
                let value = number.value & mask;
                Act::SetField { field: dst.field, value: value << dst.start, mask: mask << dst.start }
            }
            // As in OVN, a port that is not there is none.
            Constant::Text(name) => set(dst, self.names.port_key(name).unwrap_or(0).into()),
        })
    }

    fn reply(&mut self, kind: Reply, nested: &[Action], out: &mut Vec<Act>) {
        out.push(Act::Become { kind, actions: self.list(nested).into() });
    }

    /// Has a copy of the packet wait for the neighbour that is asked for: as in OVN, the one of which the address is in the
    /// register by which its Ethernet address was looked up.
    fn wait(&self, ip: Field) -> Act {
        Act::Await {
            port: Subfield::whole(OUTPORT),
            ip: Subfield::whole(ip),
            actions: [go_to(self.numbers.output_init)].into(),
        }
    }

    /// Looks in a table that says its answer by a flag.
    fn look_up(&self, flag: u16, table: u8, dst: &FieldRef, out: &mut Vec<Act>) {
        let flag = bit(FLAGS, flag);
        out.extend([set(flag, 0), go_to(table)]);
        out.extend(subfield(dst).map(|dst| Act::Move { src: flag, dst }));
    }

    fn get_binding(&self, get: &GetBinding, out: &mut Vec<Act>) {
        let Some(moved) = at(&get.port, OUTPORT).zip(at_ip(&get.ip)) else { return };
        let moved = Moved::new([moved.0, moved.1]);
        moved.bring(out);
        out.extend([set(Subfield::whole(Field::EthDst), 0), go_to(self.numbers.mac_binding)]);
        moved.put_back(out);
    }

    fn look_up_binding(&self, lookup: &LookupBinding, out: &mut Vec<Act>) {
        let port = at(&lookup.port, INPORT);
        let Some(((port, ip), mac)) = port.zip(at_ip(&lookup.ip)).zip(at(&lookup.mac, Field::EthSrc)) else {
            return;
        };
        let moved = Moved::new([port, ip, mac]);
        moved.bring(out);
        self.look_up(flag::LOOKUP_MAC, self.numbers.mac_lookup, &lookup.dst, out);
        moved.put_back(out);
    }

    fn look_up_address(&self, lookup: &LookupBindingIp, out: &mut Vec<Act>) {
        let Some((port, ip)) = at(&lookup.port, OUTPORT).zip(at_ip(&lookup.ip)) else { return };
        let moved = Moved::new([port, ip]);
        let destination = Subfield::whole(Field::EthDst);
        moved.bring(out);
        // The table writes the address that it finds.
        out.push(Act::PushStack(destination));
        self.look_up(flag::LOOKUP_MAC, self.numbers.mac_binding, &lookup.dst, out);
        out.push(Act::PopStack(destination));
        moved.put_back(out);
    }

    fn get_fdb(&self, get: &GetFdb, out: &mut Vec<Act>) {
        let Some((mac, dst)) = at(&get.mac, Field::EthDst).zip(subfield(&get.dst)) else { return };
        let moved = Moved::new([mac]);
        let outport = Subfield::whole(OUTPORT);
        let is_outport = is_same(dst, outport);
        moved.bring(out);
        if !is_outport {
            out.push(Act::PushStack(outport));
        }
        out.extend([set(outport, 0), go_to(self.numbers.get_fdb)]);
        if !is_outport {
            out.extend([Act::Move { src: outport, dst }, Act::PopStack(outport)]);
        }
        moved.put_back(out);
    }

    fn look_up_fdb(&self, dst: &FieldRef, port: &FieldRef, mac: &FieldRef, out: &mut Vec<Act>) {
        let Some((port, mac)) = at(port, INPORT).zip(at(mac, Field::EthSrc)) else { return };
        let moved = Moved::new([port, mac]);
        moved.bring(out);
        self.look_up(flag::LOOKUP_FDB, self.numbers.lookup_fdb, dst, out);
        moved.put_back(out);
    }
}

/// An argument and the field where a table expects it.
fn at(argument: &FieldRef, field: Field) -> Option<(Subfield, Subfield)> {
    Some((subfield(argument)?, Subfield::whole(field)))
}

/// An IP address and the register where a table expects it.
fn at_ip(ip: &FieldRef) -> Option<(Subfield, Subfield)> {
    at(ip, if ip.width == 32 { Field::Reg0 } else { Field::Xxreg0 })
}

/// What a log says. Its meter is looked up by its name when it is written.
fn said(log: &Log) -> intent::Log {
    let verdict = match log.verdict {
        Verdict::Allow => Some(intent::Verdict::Allow),
        Verdict::Drop => Some(intent::Verdict::Deny),
        Verdict::Reject => Some(intent::Verdict::Reject),
        Verdict::Pass => None,
    };
    let severity = match log.severity {
        Severity::Alert => intent::Severity::Alert,
        Severity::Warning => intent::Severity::Warning,
        Severity::Notice => intent::Severity::Notice,
        Severity::Info => intent::Severity::Info,
        Severity::Debug => intent::Severity::Debug,
    };
    let name = log.name.as_deref().unwrap_or_default().into();
    intent::Log { name, verdict, severity, meter: None }
}

fn learn_neighbour(put: &PutBinding) -> Option<Act> {
    let (port, ip, mac) = (subfield(&put.port)?, subfield(&put.ip)?, subfield(&put.mac)?);
    Some(Act::Learn(Learn::Neighbour { port, ip, mac }))
}
