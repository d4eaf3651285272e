//! The switch's behaviour written down once more, as simply as possible: flows in a list, packets as keys, recursion for
//! resubmit, VLAN tags as a list. It shares the data types with the datapath and none of its code.

pub mod checksums;
pub mod flows;
pub mod frames;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

use millrace::action::{Action, ModKind, Subfield};
use millrace::packet::{DropReason, Field, FlowKey, PortNo};
use millrace::pipeline::Flow;
use millrace::pipeline::objects::Group;
use millrace::pipeline::objects::group::{Bucket, GroupKind, Hash, Method, Selection, choose};
use millrace::pipeline::stats::StatsId;
use millrace::tunnel::TunnelOut;

/// What surrounds a packet.
pub struct World<'a> {
    /// All flows, in the order in which they were added.
    pub flows: &'a [Flow],
    /// All ports, by number, and whether a flood leaves them out.
    pub ports: &'a [(PortNo, bool)],
    /// The one of them where tunnels begin and end.
    pub tunnel: Option<PortNo>,
    /// All groups.
    pub groups: &'a [Arc<Group>],
}

/// A packet handed to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketIn {
    pub max_len: u16,
    pub reason: u8,
    pub table: u8,
    pub cookie: u64,
    pub key: FlowKey,
}

/// Where a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Port(PortNo),
    Tunnel(TunnelOut),
}

/// What becomes of a packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Ways out and the packet as it leaves by each, in order.
    pub outputs: Vec<(Exit, FlowKey)>,
    /// Copies for the controller, in order.
    pub packet_ins: Vec<PacketIn>,
    /// Why nothing was sent to a port.
    pub drop: Option<DropReason>,
    /// Flows passed, in order.
    pub hits: Vec<StatsId>,
}

/// The parts of the key that lie in the packet's bytes.
pub fn packet_part(key: &FlowKey) -> FlowKey {
    let mut out = FlowKey::default();
    for field in Field::ALL.iter().filter(|field| field.in_packet()) {
        out.set(*field, key.get(*field));
    }
    out
}

/// The flow that a packet meets in a table.
pub fn find<'a>(world: &'a World<'a>, key: &FlowKey, table: u8) -> Option<&'a Flow> {
    Run::new(world, key).find(table)
}

/// What the switch must do to a packet that enters the tables at `table`.
pub fn interpret(world: &World, key: &FlowKey, table: u8) -> Answer {
    let mut run = Run::new(world, key);
    let end = run.visit(table, 0);
    let mut answer = run.answer;
    if let Err(Stop::Limit(reason)) = end {
        answer.outputs.clear();
        answer.packet_ins.clear();
        answer.drop = Some(reason);
    } else if answer.outputs.is_empty() {
        answer.drop = run
            .halted
            .or(run.bad_port.then_some(DropReason::NoSuchPort))
            .or(run.no_group.then_some(DropReason::NoSuchGroup))
            .or(run.no_peer.then_some(DropReason::TunnelNoRemote))
            .or(run.hairpin.then_some(DropReason::ToInPort))
            .or(run.missed.then_some(DropReason::NoMatch))
            .or(answer.packet_ins.is_empty().then_some(DropReason::Explicit));
    }
    answer
}

/// Why actions are not carried on with.
enum Stop {
    /// The list at hand is done with; those that it was called from go on.
    EndOfList,
    /// This copy of the packet is done with.
    Halt,
    /// The whole packet is dropped.
    Limit(DropReason),
}

struct Run<'a> {
    world: &'a World<'a>,
    key: FlowKey,
    stack: Vec<u128>,
    answer: Answer,
    resubmits: usize,
    clones: usize,
    /// Things done to the packet, of which a limited number is allowed; what a clone does after it last sent something
    /// is not counted.
    steps: usize,
    steps_that_count: usize,
    halted: Option<DropReason>,
    bad_port: bool,
    no_group: bool,
    no_peer: bool,
    hairpin: bool,
    missed: bool,
}

impl<'a> Run<'a> {
    fn new(world: &'a World<'a>, key: &FlowKey) -> Self {
        Run {
            world,
            key: *key,
            stack: Vec::new(),
            answer: Answer::default(),
            resubmits: 0,
            clones: 0,
            steps: 0,
            steps_that_count: 0,
            halted: None,
            bad_port: false,
            no_group: false,
            no_peer: false,
            hairpin: false,
            missed: false,
        }
    }

    fn visit(&mut self, table: u8, depth: usize) -> Result<(), Stop> {
        match self.find(table) {
            Some(flow) => self.actions(flow, &flow.actions, depth),
            None => Ok(()),
        }
    }

    /// The flow that the packet meets now; the first among the greatest. A conjunctive match counts as a flow of its
    /// priority, just below the plain ones, that leads to another search.
    fn find(&mut self, table: u8) -> Option<&'a Flow> {
        let met: Vec<&Flow> = self.met(table, &self.key);
        let plain = met.iter().copied().filter(|flow| !is_part(flow));
        let mut best = first_of_the_greatest(plain);
        for (priority, id) in conjunctions(&met) {
            if best.is_some_and(|best| best.priority >= priority) {
                break;
            }
            let mut key = self.key;
            key.set(Field::ConjId, u128::from(id));
            let found = self.met(table, &key).into_iter().filter(|flow| !is_part(flow));
            if let Some(found) = first_of_the_greatest(found) {
                best = Some(found);
                break;
            }
        }
        self.missed = best.is_none();
        self.answer.hits.extend(best.map(|flow| flow.stats));
        best
    }

    fn met(&self, table: u8, key: &FlowKey) -> Vec<&'a Flow> {
        let is_met = |flow: &&Flow| {
            let matcher = flow.matcher();
            let mut words = key.words().iter().zip(matcher.key.words()).zip(matcher.mask.words());
            words.all(|((have, want), mask)| have & mask == want & mask)
        };
        self.world.flows.iter().filter(|flow| flow.table == table).filter(is_met).collect()
    }

    fn actions(&mut self, flow: &'a Flow, actions: &'a [Action], depth: usize) -> Result<(), Stop> {
        match actions.iter().try_for_each(|action| self.action(flow, action, depth)) {
            Err(Stop::EndOfList) => Ok(()),
            other => other,
        }
    }

    fn action(&mut self, flow: &'a Flow, action: &'a Action, depth: usize) -> Result<(), Stop> {
        match action {
            Action::Output(port) => self.output(flow, u128::from(port.0)),
            Action::OutputField(from) => self.output(flow, self.read(*from)),
            Action::Controller { max_len, reason, .. } => self.packet_in(flow, *max_len, *reason),
            Action::Resubmit { port, table } => {
                self.resubmit(flow.table, table.unwrap_or(flow.table), *port, depth)
            }
            Action::GotoTable(table) => self.resubmit(flow.table, *table, None, depth),
            Action::WriteMetadata { value, mask } => {
                let kept = self.key.get(Field::Metadata) & !u128::from(*mask);
                self.key.set(Field::Metadata, kept | u128::from(value & mask));
                Ok(())
            }
            Action::SetField { field, value, mask } => self.write(*field, *value, *mask),
            Action::Load { value, dst } => self.store(*dst, *value),
            Action::Move { src, dst } => {
                if self.has(src.field) {
                    self.store(*dst, self.read(*src))
                } else {
                    Ok(())
                }
            }
            Action::Mod { kind, value } => self.modify(*kind, u128::from(*value)),
            Action::PushVlan(tpid) => {
                let mut tags = self.tags();
                if tags.len() == 2 {
                    return self.halt(DropReason::TooManyVlans);
                }
                tags.insert(0, (*tpid, 0x1000));
                self.set_tags(&tags);
                self.step()
            }
            Action::PopVlan => {
                let mut tags = self.tags();
                if tags.is_empty() {
                    return Ok(());
                }
                tags.remove(0);
                self.set_tags(&tags);
                self.step()
            }
            Action::PushStack(from) => {
                if self.stack.len() == 64 {
                    return Err(Stop::Limit(DropReason::ActionLimit));
                }
                self.stack.push(self.read(*from));
                Ok(())
            }
            Action::PopStack(to) => match self.stack.pop() {
                Some(value) => self.store(*to, value),
                None => Ok(()),
            },
            Action::DecTtl => {
                if !self.is_ip() {
                    return Ok(());
                }
                let ttl = self.key.get(Field::NwTtl);
                if ttl < 2 {
                    self.halted = self.halted.or(Some(DropReason::TtlExpired));
                    return Err(Stop::EndOfList);
                }
                self.key.set(Field::NwTtl, ttl - 1);
                self.step()
            }
            Action::Clone(inner) => self.clone_of(flow, inner, depth),
            Action::CtClear
            | Action::CheckPktLarger { .. }
            | Action::Become { .. }
            | Action::Learn(_)
            | Action::Log(_)
            | Action::SetMtu(_)
            | Action::Await { .. } => unreachable!("no flow here has such actions"),
            Action::Group(id) => self.group(flow, *id, depth),
            // Whether a meter is exceeded is of the worker.
            Action::Meter(_) => Ok(()),
            Action::Conjunction { .. } => unreachable!("no packet meets part of a conjunctive match alone"),
        }
    }

    fn clone_of(&mut self, flow: &'a Flow, inner: &'a [Action], depth: usize) -> Result<(), Stop> {
        if self.clones == 64 {
            return Err(Stop::Limit(DropReason::ActionLimit));
        }
        let (key, stack, before) = (self.key, self.stack.clone(), self.steps);
        self.clones += 1;
        self.step()?;
        match self.actions(flow, inner, depth) {
            Ok(()) | Err(Stop::Halt | Stop::EndOfList) => {}
            Err(limit) => return Err(limit),
        }
        self.clones -= 1;
        (self.key, self.stack) = (key, stack);
        self.steps = before.max(self.steps_that_count);
        Ok(())
    }

    /// Every bucket that gets the packet gets a copy.
    fn group(&mut self, flow: &'a Flow, id: u32, depth: usize) -> Result<(), Stop> {
        let Some(group) = self.world.groups.iter().find(|group| group.id == id) else {
            self.no_group = true;
            return Ok(());
        };
        if depth == 64 {
            return Err(Stop::Limit(DropReason::TooDeep));
        }
        self.answer.hits.push(group.stats);
        let buckets: Vec<&Bucket> = match &group.kind {
            GroupKind::All => group.buckets.iter().collect(),
            GroupKind::Indirect => group.buckets.iter().take(1).collect(),
            GroupKind::Select(selection) => {
                choose(&group.buckets, self.hash(selection)).into_iter().collect()
            }
        };
        self.answer.hits.extend(buckets.iter().map(|bucket| bucket.stats));
        buckets.into_iter().try_for_each(|bucket| self.clone_of(flow, &bucket.actions, depth + 1))
    }

    fn hash(&self, selection: &Selection) -> Hash {
        let mut values = Vec::new();
        let whole = |field: Field| self.key.get(field);
        let symmetric = selection.method == Some(Method::DpHash) && selection.param >> 32 == 1;
        let pair = |one: Field, other: Field| {
            let mut pair = [whole(one), whole(other)];
            if symmetric {
                pair.sort();
            }
            pair
        };
        if selection.fields.is_empty() {
            values.push(whole(Field::EthType));
            match whole(Field::EthType) {
                0x0800 => values.extend(pair(Field::NwSrc, Field::NwDst)),
                0x86dd => values.extend(pair(Field::Ipv6Src, Field::Ipv6Dst)),
                _ => values.extend(pair(Field::EthSrc, Field::EthDst)),
            }
            if self.is_ip() {
                let proto = whole(Field::NwProto);
                values.push(proto);
                if [6, 17, 132].contains(&proto) && whole(Field::IpFrag) == 0 {
                    values.extend(pair(Field::TcpSrc, Field::TcpDst));
                }
            }
        }
        let named = selection.fields.iter().filter(|(field, _)| self.has(*field));
        values.extend(named.map(|(field, mask)| whole(*field) & mask));
        let mut hash = Hash::new(selection.param);
        values.into_iter().for_each(|value| hash.add(value));
        hash
    }

    fn resubmit(&mut self, from: u8, to: u8, port: Option<PortNo>, depth: usize) -> Result<(), Stop> {
        if depth == 64 {
            return Err(Stop::Limit(DropReason::TooDeep));
        }
        if self.resubmits == 4096 {
            return Err(Stop::Limit(DropReason::TooMany));
        }
        self.resubmits += 1;
        let depth = if to > from { depth } else { depth + 1 };
        let Some(port) = port.filter(|port| *port != PortNo::IN_PORT) else { return self.visit(to, depth) };
        let in_port = self.key.get(Field::InPort);
        self.key.set(Field::InPort, u128::from(port.0));
        let found = self.find(to);
        self.key.set(Field::InPort, in_port);
        found.map_or(Ok(()), |flow| self.actions(flow, &flow.actions, depth))
    }

    fn output(&mut self, flow: &Flow, number: u128) -> Result<(), Stop> {
        let in_port = self.key.get(Field::InPort);
        let is = |port: PortNo| number == u128::from(port.0);
        if is(PortNo::NONE) {
            return Ok(());
        }
        if is(PortNo::CONTROLLER) {
            return self.packet_in(flow, u16::MAX, 1);
        }
        if is(PortNo::ALL) || is(PortNo::FLOOD) {
            for (port, no_flood) in self.world.ports {
                let is_meant = is(PortNo::ALL) || !no_flood;
                if u128::from(port.0) != in_port && is_meant && self.world.tunnel != Some(*port) {
                    self.send(Exit::Port(*port))?;
                }
            }
            return Ok(());
        }
        let is_tunnel = |number: u128| self.world.tunnel.is_some_and(|port| u128::from(port.0) == number);
        if number == in_port && !is_tunnel(number) {
            self.hairpin = true;
            return Ok(());
        }
        let number = if is(PortNo::IN_PORT) { in_port } else { number };
        match self.world.ports.iter().find(|(port, _)| u128::from(port.0) == number) {
            Some(_) if is_tunnel(number) => self.encapsulate(),
            Some((port, _)) => self.send(Exit::Port(*port)),
            None => {
                self.bad_port = true;
                Ok(())
            }
        }
    }

    /// To the peer that the key names: of IPv4, or else of IPv6.
    fn encapsulate(&mut self) -> Result<(), Stop> {
        let (v4, v6) = (self.key.get(Field::TunDst), self.key.get(Field::TunIpv6Dst));
        let dst = if v4 == 0 { v6 } else { 0xffff_0000_0000 | v4 };
        if dst == 0 {
            self.no_peer = true;
            return Ok(());
        }
        let (vni, option) = (self.key.get(Field::TunId), self.key.get(Field::TunMetadata0));
        let (vni, option) = ((vni % (1 << 24)) as u32, (option % (1 << 32)) as u32);
        self.send(Exit::Tunnel(TunnelOut { dst: Ipv6Addr::from_bits(dst), vni, option, ttl: 64, tos: 0 }))
    }

    fn send(&mut self, exit: Exit) -> Result<(), Stop> {
        self.step()?;
        self.steps_that_count = self.steps;
        self.answer.outputs.push((exit, self.key));
        Ok(())
    }

    fn packet_in(&mut self, flow: &Flow, max_len: u16, reason: u8) -> Result<(), Stop> {
        self.step()?;
        self.steps_that_count = self.steps;
        let (table, cookie, key) = (flow.table, flow.options.cookie, self.key);
        self.answer.packet_ins.push(PacketIn { max_len, reason, table, cookie, key });
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        if self.steps == 1024 {
            return Err(Stop::Limit(DropReason::ActionLimit));
        }
        self.steps += 1;
        Ok(())
    }

    fn halt(&mut self, reason: DropReason) -> Result<(), Stop> {
        self.halted = self.halted.or(Some(reason));
        Err(Stop::Halt)
    }

    fn read(&self, from: Subfield) -> u128 {
        let whole = match from.field {
            Field::NwTos => self.key.get(Field::IpDscp) << 2,
            field => self.key.get(field),
        };
        (0..from.bits).filter(|bit| whole >> (from.start + bit) & 1 == 1).map(|bit| 1 << bit).sum()
    }

    fn store(&mut self, to: Subfield, value: u128) -> Result<(), Stop> {
        let mask: u128 = (to.start..to.start + to.bits).map(|bit| 1 << bit).sum();
        self.write(to.field, value << to.start & mask, mask)
    }

    fn write(&mut self, field: Field, value: u128, mask: u128) -> Result<(), Stop> {
        if !self.has(field) {
            return Ok(());
        }
        let (value, mask) = if field == Field::NwTos { (value & 0xfc, mask & 0xfc) } else { (value, mask) };
        match field {
            Field::VlanTci | Field::VlanVid => return self.write_tag(value, mask),
            Field::VlanPcp => return self.write_tag(value << 13, mask << 13),
            Field::DlVlan => return self.write_tag(value | 0x1000, mask | 0x1000),
            Field::DlVlanPcp => return self.write_tag(value << 13 | 0x1000, mask << 13 | 0x1000),
            _ => {}
        }
        self.key.set(field, self.key.get(field) & !mask | value & mask);
        if field.in_packet() && mask != 0 { self.step() } else { Ok(()) }
    }

    /// Writes to the outer tag with the tag's own bits; bit 12 says whether it is there.
    fn write_tag(&mut self, value: u128, mask: u128) -> Result<(), Stop> {
        let mut tags = self.tags();
        let old = tags.first().map_or(0, |(_, tci)| u128::from(*tci));
        let new = (old & !mask | value & mask) as u16;
        let rewrites = mask & 0xefff != 0;
        match (tags.first_mut(), new & 0x1000 != 0) {
            (None, false) => return Ok(()),
            (None, true) => {
                tags.push((0x8100, new));
                self.step()?;
            }
            (Some(tag), true) => tag.1 = new,
            (Some(_), false) => {
                tags.remove(0);
                self.set_tags(&tags);
                return self.step();
            }
        }
        self.set_tags(&tags);
        if rewrites { self.step() } else { Ok(()) }
    }

    fn modify(&mut self, kind: ModKind, value: u128) -> Result<(), Stop> {
        let proto = if self.has_l4() { self.key.get(Field::NwProto) } else { 0 };
        let tagged = !self.tags().is_empty();
        match (kind, proto) {
            (ModKind::VlanVid, _) => self.write_tag(value & 0xfff | 0x1000, 0x1fff),
            (ModKind::VlanPcp, _) => self.write_tag((value & 7) << 13 | 0x1000, 0xf000),
            (ModKind::SetVlanVid, _) if tagged => self.write_tag(value & 0xfff, 0xfff),
            (ModKind::SetVlanPcp, _) if tagged => self.write_tag((value & 7) << 13, 0xe000),
            (ModKind::DlSrc, _) => self.write(Field::EthSrc, value, 0xffff_ffff_ffff),
            (ModKind::DlDst, _) => self.write(Field::EthDst, value, 0xffff_ffff_ffff),
            (ModKind::NwSrc, _) => self.write(Field::NwSrc, value, 0xffff_ffff),
            (ModKind::NwDst, _) => self.write(Field::NwDst, value, 0xffff_ffff),
            (ModKind::NwTos, _) => self.write(Field::NwTos, value, 0xfc),
            (ModKind::NwEcn, _) => self.write(Field::NwEcn, value, 3),
            (ModKind::NwTtl, _) => self.write(Field::NwTtl, value, 0xff),
            (ModKind::TpSrc, 6) => self.write(Field::TcpSrc, value, 0xffff),
            (ModKind::TpSrc, 17) => self.write(Field::UdpSrc, value, 0xffff),
            (ModKind::TpSrc, 132) => self.write(Field::SctpSrc, value, 0xffff),
            (ModKind::TpDst, 6) => self.write(Field::TcpDst, value, 0xffff),
            (ModKind::TpDst, 17) => self.write(Field::UdpDst, value, 0xffff),
            (ModKind::TpDst, 132) => self.write(Field::SctpDst, value, 0xffff),
            _ => Ok(()),
        }
    }

    /// The tags, the outer one first: Ethernet type and tci.
    fn tags(&self) -> Vec<(u16, u16)> {
        let outer = (self.key.get(Field::VlanTpid) as u16, self.key.get(Field::VlanTci) as u16);
        let inner = (self.key.get(Field::InnerVlanTpid) as u16, self.key.get(Field::InnerVlanTci) as u16);
        [outer, inner].into_iter().filter(|(_, tci)| tci & 0x1000 != 0).collect()
    }

    fn set_tags(&mut self, tags: &[(u16, u16)]) {
        let tag = |n: usize| tags.get(n).copied().unwrap_or((0, 0));
        self.key.set(Field::VlanTpid, u128::from(tag(0).0));
        self.key.set(Field::VlanTci, u128::from(tag(0).1));
        self.key.set(Field::InnerVlanTpid, u128::from(tag(1).0));
        self.key.set(Field::InnerVlanTci, u128::from(tag(1).1));
    }

    fn eth_type(&self) -> u128 {
        self.key.get(Field::EthType)
    }

    fn is_ip(&self) -> bool {
        self.eth_type() == 0x0800 || self.eth_type() == 0x86dd
    }

    fn has_l4(&self) -> bool {
        self.is_ip() && self.key.get(Field::IpFrag) < 2
    }

    /// Whether the packet has such a field, by ovs-fields(7).
    fn has(&self, field: Field) -> bool {
        let l4 = |proto: u128| self.has_l4() && self.key.get(Field::NwProto) == proto;
        let icmp6 = self.eth_type() == 0x86dd && l4(58);
        let nd = |kind: u128| {
            icmp6 && self.key.get(Field::Icmpv6Type) == kind && self.key.get(Field::Icmpv6Code) == 0
        };
        let tracked = self.key.get(Field::CtState) != 0;
        match field.name() {
            "vlan_pcp" => !self.tags().is_empty(),
            "nw_src" | "nw_dst" | "igmp_group" => self.eth_type() == 0x0800,
            "ipv6_src" | "ipv6_dst" | "ipv6_label" => self.eth_type() == 0x86dd,
            "nw_tos" | "ip_dscp" | "nw_ecn" | "nw_ttl" | "nw_proto" | "ip_frag" => self.is_ip(),
            "arp_op" | "arp_spa" | "arp_tpa" | "arp_sha" | "arp_tha" => {
                self.eth_type() == 0x0806 || self.eth_type() == 0x8035
            }
            "tcp_src" | "tcp_dst" | "tcp_flags" => l4(6),
            "udp_src" | "udp_dst" => l4(17),
            "sctp_src" | "sctp_dst" => l4(132),
            "icmp_type" | "icmp_code" => self.eth_type() == 0x0800 && l4(1),
            "icmpv6_type" | "icmpv6_code" => icmp6,
            "nd_target" | "nd_reserved" | "nd_options_type" => nd(135) || nd(136),
            "ct_nw_proto" | "ct_tp_src" | "ct_tp_dst" => self.is_ip() && tracked,
            "ct_nw_src" | "ct_nw_dst" => self.eth_type() == 0x0800 && tracked,
            "ct_ipv6_src" | "ct_ipv6_dst" => self.eth_type() == 0x86dd && tracked,
            "nd_sll" => nd(135),
            "nd_tll" => nd(136),
            _ => true,
        }
    }
}

fn is_part(flow: &Flow) -> bool {
    flow.actions.iter().any(|action| matches!(action, Action::Conjunction { .. }))
}

fn first_of_the_greatest<'a>(flows: impl Iterator<Item = &'a Flow>) -> Option<&'a Flow> {
    flows.reduce(|best, flow| if flow.priority > best.priority { flow } else { best })
}

/// Priority and id of the conjunctive matches of which every dimension is among those flows: the greatest priority first,
/// then the least id.
fn conjunctions(met: &[&Flow]) -> Vec<(u16, u32)> {
    let mut dimensions: BTreeMap<(Reverse<u16>, u32, u8), BTreeSet<u8>> = BTreeMap::new();
    for flow in met {
        for action in flow.actions.iter() {
            if let Action::Conjunction { id, clause, of } = action {
                dimensions.entry((Reverse(flow.priority), *id, *of)).or_default().insert(*clause);
            }
        }
    }
    let complete = dimensions.into_iter().filter(|((_, _, of), met)| met.len() == usize::from(*of));
    complete.map(|((Reverse(priority), id, _), _)| (priority, id)).collect()
}
