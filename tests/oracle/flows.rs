//! Random flow tables and the ports they send to.

use std::sync::Arc;
use std::time::Instant;

use millrace::action::{Action, ModKind, Subfield};
use millrace::packet::key::{TunnelWords, is_tunnel};
use millrace::packet::{Field, FlowKey, PortNo, PortRef};
use millrace::pipeline::flow::FlowOptions;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::objects::group::{BucketSpec, GroupKind, GroupSpec, Method, Selection};
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::{Batch, Flow, FlowMod, Match, PortView, Ports, Tables};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const TABLES: u8 = 5;
/// Numbers and whether a flood leaves the port out.
pub const PORTS: [(PortNo, bool); 5] =
    [(PortNo(1), false), (PortNo(2), true), (PortNo(3), false), (TUNNEL, false), (PortNo(7), false)];
/// The one of them where tunnels begin and end.
pub const TUNNEL: PortNo = PortNo(4);

pub fn at(number: PortNo) -> PortRef {
    PortRef { slot: 100 - number.0, generation: 5 }
}

pub fn ports() -> Ports {
    let view = |(number, no_flood): &(PortNo, bool)| {
        let name = Arc::from(format!("p{number}"));
        PortView { number: *number, name, at: at(*number), no_flood: *no_flood }
    };
    Ports::with_tunnel(PORTS.iter().map(view).collect(), Some(TUNNEL))
}

/// Small numbers, so that packets meet flows.
pub fn small() -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0u128..4, 1 => any::<u128>()]
}

fn matcher() -> impl Strategy<Value = Match> {
    let low = |field: Field, bits: u32| (field, field.all_ones() & (u128::MAX >> (128 - bits)));
    let high = |field: Field, bits: u16| (field, field.all_ones() & !(field.all_ones() >> bits));
    let part = prop_oneof![
        (select(vec![1u128, 2, 3, 4, 7]), Just((Field::InPort, 0xffff_ffff))),
        (select(vec![0x0800u128, 0x86dd, 0x0806]), Just((Field::EthType, 0xffff))),
        (select(vec![0u128, 0x1000]), Just((Field::VlanTci, 0x1000))),
        (select(vec![6u128, 17, 58]), Just((Field::NwProto, 0xff))),
        (select(vec![0u128, 1, 2, 63]), Just((Field::NwTtl, 0xff))),
        (1u128..4, Just((Field::ConjId, 0xffff_ffff))),
        (
            0u128..4,
            select(vec![
                low(Field::NwSrc, 32),
                low(Field::NwSrc, 1),
                low(Field::NwDst, 2),
                high(Field::NwDst, 24),
                high(Field::Ipv6Src, 64),
                low(Field::Ipv6Dst, 128),
                low(Field::Ipv6Src, 2),
                low(Field::VlanTci, 12),
                low(Field::EthDst, 48),
                low(Field::EthDst, 1),
                low(Field::TcpDst, 16),
                low(Field::TcpDst, 1),
                low(Field::Reg0, 32),
                low(Field::Reg0, 1),
                low(Field::Reg1, 2),
                low(Field::Metadata, 2),
                low(Field::Metadata, 64),
                low(Field::IpFrag, 2),
                low(Field::TunId, 2),
                low(Field::TunSrc, 32),
                low(Field::TunIpv6Src, 1),
                low(Field::TunMetadata0, 2),
            ])
        ),
    ];
    proptest::collection::vec(part, 0..3).prop_map(|parts| {
        let mut out = Match::default();
        for (value, (field, mask)) in parts {
            out.set_masked(field, value & mask, mask);
        }
        out
    })
}

fn writable() -> impl Strategy<Value = Field> {
    let all: Vec<_> = Field::ALL.iter().copied().filter(|field| field.info().writable).collect();
    let packet: Vec<_> = all.iter().copied().filter(|field| field.in_packet()).collect();
    let vlan = vec![Field::VlanTci, Field::VlanVid, Field::VlanPcp, Field::DlVlan, Field::DlVlanPcp];
    prop_oneof![1 => select(all), 3 => select(packet), 1 => select(vlan), 1 => select(vec![Field::Reg0, Field::Reg1])]
}

fn subfield(field: Field, from: u16, width: u16) -> Subfield {
    let start = from % field.bits();
    Subfield { field, start, bits: 1 + width % (field.bits() - start) }
}

fn part_of(field: impl Strategy<Value = Field>) -> impl Strategy<Value = Subfield> {
    (field, any::<bool>(), any::<u16>(), any::<u16>()).prop_map(|(field, whole, from, width)| {
        if whole { Subfield::whole(field) } else { subfield(field, from, width) }
    })
}

fn moved() -> impl Strategy<Value = Action> {
    (part_of(select(Field::ALL.to_vec())), part_of(writable())).prop_map(|(mut src, mut dst)| {
        (src.bits, dst.bits) = (src.bits.min(dst.bits), src.bits.min(dst.bits));
        Action::Move { src, dst }
    })
}

/// Among much else a resubmit, mostly forwards: too many backwards and every packet ends at the limit.
fn action() -> impl Strategy<Value = Action> {
    let port = select(vec![1u16, 2, 3, 4, 7, 9, 0xfff8, 0xfffb, 0xfffc, 0xfffd, 0xffff]).prop_map(PortNo);
    let resubmit = prop_oneof![
        8 => Just(None),
        4 => select(vec![1u16, 2, 0xfff8]).prop_map(|port| Some(PortNo(port))),
    ];
    let tables = prop_oneof![1 => Just(None), 20 => (0..=TABLES).prop_map(Some)];
    let kinds = vec![
        ModKind::VlanVid,
        ModKind::VlanPcp,
        ModKind::SetVlanVid,
        ModKind::SetVlanPcp,
        ModKind::DlSrc,
        ModKind::DlDst,
        ModKind::NwSrc,
        ModKind::NwDst,
        ModKind::NwTos,
        ModKind::NwEcn,
        ModKind::NwTtl,
        ModKind::TpSrc,
        ModKind::TpDst,
    ];
    let leaf = prop_oneof![
        8 => port.prop_map(Action::Output),
        1 => part_of(select(vec![Field::Reg0, Field::Metadata])).prop_map(Action::OutputField),
        1 => (0u16..200).prop_map(|max_len| Action::Controller { max_len, reason: 1, id: 0, pause: false }),
        3 => (resubmit, tables).prop_map(|(port, table)| Action::Resubmit { port, table }),
        1 => (0u64..4, 0u64..4).prop_map(|(value, mask)| Action::WriteMetadata { value: value & mask, mask }),
        4 => (writable(), small(), any::<u128>(), any::<bool>()).prop_map(|(field, value, some, whole)| {
            let mask = if whole { field.all_ones() } else { some & field.all_ones() };
            Action::SetField { field, value: value & mask, mask }
        }),
        3 => (part_of(writable()), small())
            .prop_map(|(dst, value)| Action::Load { value: value & dst.ones(), dst }),
        3 => moved(),
        3 => (select(kinds), 0u64..256).prop_map(|(kind, value)| Action::Mod { kind, value }),
        1 => select(vec![0x8100u16, 0x88a8]).prop_map(Action::PushVlan),
        2 => Just(Action::PopVlan),
        2 => part_of(select(Field::ALL.to_vec())).prop_map(Action::PushStack),
        2 => part_of(writable()).prop_map(Action::PopStack),
        3 => Just(Action::DecTtl),
    ];
    leaf.prop_recursive(3, 12, 5, |inner| {
        proptest::collection::vec(inner, 0..5).prop_map(|inner| Action::Clone(inner.into()))
    })
}

#[derive(Clone, Debug)]
pub struct Wanted {
    table: u8,
    priority: u16,
    matcher: Match,
    actions: Vec<Action>,
}

/// Flows of a small world: few fields and few values, so that most of them are met, and most of what is written is
/// looked at again, before and after.
pub fn dense() -> impl Strategy<Value = Wanted> {
    let part = prop_oneof![
        2 => (1u128..4, Just((Field::InPort, 0xffff_ffff))),
        2 => (0u128..4, select(vec![(Field::NwDst, 3), (Field::NwDst, 1), (Field::NwDst, 0xffff_ffff)])),
        2 => (0u128..4, Just((Field::NwTtl, 0xff))),
        2 => (select(vec![0u128, 0x1000, 0x1001, 0x1002]), select(vec![(Field::VlanTci, 0x1003), (Field::VlanTci, 0x1000)])),
        4 => (0u128..3, select(vec![(Field::Metadata, 0xffff_ffff_ffff_ffff), (Field::Metadata, 1)])),
        1 => (0u128..3, Just((Field::Reg0, 3))),
        1 => (1u128..4, Just((Field::ConjId, 0xffff_ffff))),
    ];
    let matcher = proptest::collection::vec(part, 0..3).prop_map(|parts| {
        let mut out = Match::default();
        for (value, (field, mask)) in parts {
            out.set_masked(field, value & mask, mask);
        }
        out
    });
    let places = [
        (Field::NwDst, 0, 2),
        (Field::NwTtl, 0, 8),
        (Field::NwTtl, 1, 2),
        (Field::VlanTci, 0, 2),
        (Field::Metadata, 0, 2),
        (Field::Reg0, 0, 2),
    ];
    let place = || select(places.to_vec()).prop_map(|(field, start, bits)| Subfield { field, start, bits });
    let load = |field: Field, value: u128| Action::Load { value, dst: Subfield::whole(field) };
    let port = || (1u16..4).prop_map(PortNo);
    let leaf = prop_oneof![
        3 => port().prop_map(Action::Output),
        1 => Just(Action::Output(PortNo::FLOOD)),
        2 => (0u128..4).prop_map(move |value| load(Field::NwDst, value)),
        2 => (0u128..3).prop_map(move |value| load(Field::Metadata, value)),
        1 => (1u128..4).prop_map(move |value| load(Field::InPort, value)),
        1 => (0u128..4).prop_map(move |value| load(Field::NwTtl, value)),
        2 => (0u64..3).prop_map(|value| Action::Mod { kind: ModKind::VlanVid, value }),
        2 => Just(Action::PushVlan(0x8100)),
        2 => Just(Action::PopVlan),
        3 => Just(Action::DecTtl),
        2 => (place(), place()).prop_map(|(mut src, mut dst)| {
            (src.bits, dst.bits) = (src.bits.min(dst.bits), src.bits.min(dst.bits));
            Action::Move { src, dst }
        }),
        1 => place().prop_map(Action::PushStack),
        1 => place().prop_map(Action::PopStack),
        4 => (proptest::option::of(port()), 1u8..3)
            .prop_map(|(port, table)| Action::Resubmit { port, table: Some(table) }),
    ];
    let action = leaf.prop_recursive(1, 4, 3, |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(|inner| Action::Clone(inner.into()))
    });
    let actions = proptest::collection::vec(action, 0..4);
    let flow = (0u8..4, 0u16..3, matcher, actions).prop_map(|(table, priority, matcher, mut actions)| {
        actions.iter_mut().for_each(|action| forwards(action, table));
        actions.push(Action::Resubmit { port: None, table: Some(table + 1) });
        Wanted { table, priority, matcher, actions }
    });
    some_in_parts(flow, 0.3)
}

/// Some flows become parts of conjunctive matches.
fn some_in_parts(flow: impl Strategy<Value = Wanted>, share: f64) -> impl Strategy<Value = Wanted> {
    let part = (1u32..4, 1u8..4, 2u8..4).prop_map(|(id, clause, of)| Action::Conjunction {
        id,
        clause: clause.min(of),
        of,
    });
    let parts = proptest::option::weighted(share, proptest::collection::vec(part, 1..4));
    (flow, parts).prop_map(|(flow, parts)| Wanted { actions: parts.unwrap_or(flow.actions.clone()), ..flow })
}

/// Flows of the small world in one table, most of them parts of conjunctive matches.
pub fn conjunctive() -> impl Strategy<Value = Wanted> {
    (some_in_parts(dense(), 0.7), proptest::option::of(1u128..4)).prop_map(|(mut flow, id)| {
        let is_part = matches!(flow.actions.first(), Some(Action::Conjunction { .. }));
        if let Some(id) = id.filter(|_| !is_part) {
            flow.matcher.set(Field::ConjId, id);
        }
        Wanted { table: 0, ..flow }
    })
}

fn forwards(action: &mut Action, from: u8) {
    match action {
        Action::Resubmit { table: Some(to), .. } => *to += from,
        Action::Clone(inner) => Arc::make_mut(inner).iter_mut().for_each(|action| forwards(action, from)),
        _ => {}
    }
}

impl Wanted {
    /// Above all others.
    fn rise(&mut self) {
        self.priority += 4;
    }

    /// The same place and match as another.
    fn meet(&mut self, other: &Wanted) {
        (self.table, self.priority) = (other.table, other.priority);
        self.matcher = other.matcher.clone();
    }
}

pub fn wanted() -> impl Strategy<Value = Wanted> {
    let actions = proptest::collection::vec(action(), 0..5);
    let goto = prop_oneof![2 => Just(None), 1 => (1u8..4).prop_map(Some)];
    let flow = (0..TABLES, 0u16..4, matcher(), actions, goto).prop_map(
        |(table, priority, matcher, mut actions, goto)| {
            // Resubmits go forwards but for a few that end a list: else most packets would end at a limit.
            let last = actions.len().saturating_sub(1);
            for (index, action) in actions.iter_mut().enumerate() {
                if let Action::Resubmit { table: Some(to), .. } = action
                    && *to <= table
                    && (priority != 3 || index != last)
                {
                    *to += table + 1;
                }
            }
            actions.extend(goto.map(|steps| Action::GotoTable(table + steps)));
            Wanted { table, priority, matcher, actions }
        },
    );
    some_in_parts(tunnelling(flow), 0.1)
}

/// Some of the flows are about tunnels: they match what packets brought by one, take it into the registers, or send by
/// one, in the forms of OVN.
pub fn tunnelling(flow: impl Strategy<Value = Wanted>) -> impl Strategy<Value = Wanted> {
    let ports = |shift: u32| (Field::TunMetadata0, 3u128 << shift);
    let part = (
        0u128..4,
        select(vec![(Field::TunId, 3u128), ports(0), ports(16), (Field::TunDst, 3), (Field::TunIpv6Src, 1)]),
    );
    let matched = (any::<bool>(), proptest::collection::vec(part, 0..2));
    let some = |field: Field, start: u16| Subfield { field, start, bits: 2 };
    let copy = |src: Subfield, dst: Subfield| Action::Move { src, dst };
    let set = |field: Field, value: u128| Action::SetField { field, value, mask: field.all_ones() };
    let taken = vec![
        copy(some(Field::TunId, 0), some(Field::Metadata, 0)),
        copy(some(Field::TunMetadata0, 16), some(Field::Reg0, 0)),
        copy(some(Field::TunMetadata0, 0), some(Field::NwDst, 0)),
        copy(some(Field::TunSrc, 0), some(Field::TunDst, 0)),
    ];
    let vni = prop_oneof![
        Just(copy(some(Field::Metadata, 0), some(Field::TunId, 0))),
        (0u128..4).prop_map(move |vni| set(Field::TunId, vni)),
    ];
    let option = prop_oneof![
        Just(copy(some(Field::Reg0, 0), some(Field::TunMetadata0, 16))),
        Just(copy(some(Field::NwDst, 0), some(Field::TunMetadata0, 0))),
        (0u128..4).prop_map(move |ports| set(Field::TunMetadata0, ports)),
    ];
    let peer = (select(vec![Field::TunDst, Field::TunDst, Field::TunIpv6Dst]), 0u128..4)
        .prop_map(move |(field, peer)| set(field, peer));
    let to_peer = (proptest::option::of(vni), proptest::option::of(option), proptest::option::of(peer))
        .prop_map(|(vni, option, peer)| {
            vni.into_iter().chain(option).chain(peer).chain([Action::Output(TUNNEL)]).collect()
        });
    let does = prop_oneof![2 => to_peer, 1 => select(taken).prop_map(|action| vec![action])];
    let more = proptest::option::weighted(0.4, (matched, does, any::<Index>()));
    (flow, more).prop_map(|(mut flow, more)| {
        if let Some(((is_arrival, parts), does, at)) = more {
            if is_arrival {
                flow.matcher.set(Field::InPort, u128::from(TUNNEL.0));
            }
            let parts: Vec<(u128, (Field, u128))> = parts;
            for (value, (field, mask)) in parts {
                flow.matcher.set_masked(field, value << mask.trailing_zeros() & mask, mask);
            }
            // Not behind the last one, which may be a goto.
            let at = if flow.actions.is_empty() { 0 } else { at.index(flow.actions.len()) };
            if !matches!(flow.actions.first(), Some(Action::Conjunction { .. })) {
                flow.actions.splice(at..at, does);
            }
        }
        flow
    })
}

/// By which port a packet comes in, and what it brings of its tunnel where that is the one of tunnels.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub port: u128,
    tunnel: TunnelWords,
}

impl Arrival {
    /// By a port, and by no tunnel.
    pub fn by(port: u128) -> Self {
        Self { port, tunnel: TunnelWords::default() }
    }

    /// Writes it into the key of the packet. True if that has long words then.
    pub fn enter(&self, key: &mut FlowKey) -> bool {
        key.set(Field::InPort, self.port);
        key.add_tunnel(&self.tunnel)
    }
}

/// Makes it a key of a packet that came by no tunnel.
pub fn forget_tunnel(key: &mut FlowKey) {
    let words = key.words_mut().iter_mut().enumerate();
    words.filter(|(word, _)| is_tunnel(*word)).for_each(|(_, word)| *word = 0);
}

/// By one of these ports or by a tunnel.
pub fn arrival(ports: Vec<u128>) -> impl Strategy<Value = Arrival> {
    let tunnel = (proptest::collection::vec(small(), 5), 0u128..4, any::<bool>());
    let by_tunnel = tunnel.prop_map(|(numbers, port, is_v6)| {
        let mut key = FlowKey::default();
        let ends =
            if is_v6 { [Field::TunIpv6Src, Field::TunIpv6Dst] } else { [Field::TunSrc, Field::TunDst] };
        let fields = [Field::TunId, ends[0], ends[1], Field::TunTos, Field::TunTtl];
        fields.into_iter().zip(numbers).for_each(|(field, number)| key.set(field, number & field.all_ones()));
        key.set(Field::TunMetadata0, port << 16 | (3 - port));
        Arrival { port: u128::from(TUNNEL.0), tunnel: key.tunnel() }
    });
    prop_oneof![3 => select(ports).prop_map(Arrival::by), 1 => by_tunnel]
}

/// Flows of the small world that name groups of 1 to 3.
pub fn grouped() -> impl Strategy<Value = Wanted> {
    (dense(), proptest::collection::vec((any::<Index>(), 1u32..4), 1..3)).prop_map(|(mut flow, groups)| {
        // Buckets go on in tables from 2 on, which name no groups, so that nothing goes round in circles.
        if flow.table < 2 && !matches!(flow.actions.first(), Some(Action::Conjunction { .. })) {
            for (at, id) in groups {
                flow.actions.insert(at.index(flow.actions.len() + 1), Action::Group(id));
            }
        }
        flow
    })
}

/// Groups 1 to 3; their buckets may name those after them.
pub fn groups() -> impl Strategy<Value = Vec<GroupSpec>> {
    let fields =
        [(Field::NwDst, 0xffff_ffff), (Field::NwDst, 1), (Field::Metadata, 3), (Field::VlanTci, 0x1001)];
    let selection = (
        select(vec![None, Some(Method::Hash), Some(Method::DpHash)]),
        select(vec![0u64, 7, 1 << 32]),
        proptest::sample::subsequence(fields.to_vec(), 0..3),
    );
    let kind = prop_oneof![
        2 => Just(GroupKind::All),
        1 => Just(GroupKind::Indirect),
        3 => selection.prop_map(|(method, param, fields)| {
            let fields = if method == Some(Method::Hash) { fields } else { Vec::new() };
            GroupKind::Select(Selection { method, param, fields })
        }),
    ];
    let bucket = |own: u32| {
        let inner = (dense(), proptest::option::weighted(0.3, own + 1..5), 0u16..4);
        inner.prop_map(move |(flow, deeper, weight)| {
            let is_part = |action: &Action| matches!(action, Action::Conjunction { .. });
            let mut actions: Vec<Action> =
                flow.actions.into_iter().filter(|action| !is_part(action)).collect();
            actions.iter_mut().for_each(|action| forwards(action, 2));
            actions.extend(deeper.map(Action::Group));
            BucketSpec { id: None, weight: Some(weight), actions: actions.into() }
        })
    };
    let group = move |id: u32| {
        (kind.clone(), proptest::collection::vec(bucket(id), 1..4)).prop_map(move |(kind, mut buckets)| {
            if kind == GroupKind::Indirect {
                buckets.truncate(1);
            }
            if !matches!(kind, GroupKind::Select(_)) {
                buckets.iter_mut().for_each(|bucket| bucket.weight = None);
            }
            GroupSpec { id, kind, buckets }
        })
    };
    (group(1), group(2), group(3)).prop_map(|(one, two, three)| vec![one, two, three])
}

/// As a change. The cookie tells flows apart.
pub fn flow_mod(command: Command, want: &Wanted, cookie: u64) -> FlowMod {
    FlowMod {
        command,
        table: Some(want.table),
        priority: want.priority,
        matcher: want.matcher.clone(),
        cookie_filter: None,
        out_port: None,
        actions: Arc::from(want.actions.clone()),
        options: FlowOptions { cookie, ..FlowOptions::default() },
    }
}

/// The tables, and the flows in the order in which the first of each match and priority was added.
pub fn build(wanted: &[Wanted]) -> (Tables, Vec<Flow>) {
    build_on(&Tables::default(), &FlowStats::new(0), wanted)
}

/// The same upon tables that have no flows.
pub fn build_on(tables: &Tables, stats: &FlowStats, wanted: &[Wanted]) -> (Tables, Vec<Flow>) {
    let mut batch = Batch::new(tables, stats, Instant::now());
    let mut flows: Vec<Flow> = Vec::new();
    for (cookie, want) in (0u64..).zip(wanted) {
        batch.apply(&flow_mod(Command::Add, want, cookie)).unwrap();
        let new = batch.tables().get(want.table, want.priority, &want.matcher).unwrap();
        let same = |flow: &&mut Flow| {
            (flow.table, flow.priority, &flow.matcher()) == (want.table, want.priority, &want.matcher)
        };
        match flows.iter_mut().find(same) {
            Some(old) => *old = Flow::clone(new),
            None => flows.push(Flow::clone(new)),
        }
    }
    (batch.commit().0, flows)
}

/// A packet of the small world.
pub fn dense_key() -> impl Strategy<Value = FlowKey> {
    let tags = select(vec![[0u128, 0], [0x1001, 0], [0x1002, 0x1001], [0x1000, 0x1002]]);
    (1u128..4, 0u128..4, 0u128..5, tags).prop_map(|(port, dst, ttl, [outer, inner])| {
        let mut key = FlowKey::default();
        let fields = [
            (Field::InPort, port),
            (Field::EthType, 0x0800),
            (Field::NwDst, dst),
            (Field::NwTtl, ttl),
            (Field::VlanTci, outer),
            (Field::VlanTpid, if outer == 0 { 0 } else { 0x88a8 }),
            (Field::InnerVlanTci, inner),
            (Field::InnerVlanTpid, if inner == 0 { 0 } else { 0x8100 }),
        ];
        fields.iter().for_each(|(field, value)| key.set(*field, *value));
        key
    })
}

/// A packet of the small world that may have come by a tunnel.
pub fn tunnelled_key() -> impl Strategy<Value = FlowKey> {
    (dense_key(), arrival(vec![1, 2, 3])).prop_map(|(mut key, arrival)| {
        arrival.enter(&mut key);
        key
    })
}

/// What is done to one of the first flows, or to a flow above them.
#[derive(Clone, Debug)]
pub struct Step {
    command: Command,
    known: Option<Index>,
    other: Wanted,
}

impl Step {
    /// As a change.
    pub fn flow_mod(&self, first: &[Wanted], cookie: u64) -> FlowMod {
        let mut want = self.other.clone();
        match &self.known {
            Some(known) => want.meet(known.get(first)),
            None => want.rise(),
        }
        flow_mod(self.command, &want, cookie)
    }
}

/// A change.
pub fn step(flow: BoxedStrategy<Wanted>) -> impl Strategy<Value = Step> {
    let commands =
        vec![Command::Add, Command::Add, Command::ModifyStrict, Command::DeleteStrict, Command::Delete];
    (select(commands), proptest::option::of(any::<Index>()), flow).prop_map(|(command, known, other)| Step {
        command,
        known,
        other,
    })
}

/// What may happen to a port.
pub fn moved_ports() -> impl Strategy<Value = Ports> {
    (any::<Index>(), 0..5).prop_map(|(which, how)| {
        let mut list: Vec<PortView> = ports().iter().cloned().collect();
        let which = which.index(list.len());
        let mut tunnel = Some(TUNNEL);
        match how {
            // The port of that number is of another kind now.
            4 => tunnel = None,
            0 => drop(list.remove(which)),
            1 => list[which].no_flood ^= true,
            2 => list[which].at = PortRef { slot: 7, generation: 9 },
            _ => list[which].number = PortNo(9),
        }
        let tunnel = tunnel.filter(|tunnel| list.iter().any(|port| port.number == *tunnel));
        Ports::with_tunnel(list, tunnel)
    })
}
