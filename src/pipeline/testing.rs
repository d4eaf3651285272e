//! Any bytes as flow tables, packets and a change of the tables: whether megaflows are what they claim to be.
//!
//! The world is small, so that packets meet flows and what is written is looked at again. Bytes behind the end are 0.

use std::sync::Arc;
use std::time::Instant;

use super::cache::{BATCH, CacheSizes, FlowCache, Miss, Verdict};
use super::flow::FlowOptions;
use super::flowmod::Command;
use super::frozen::Context;
use super::stats::{FlowStats, StatsId, StatsWriter};
use super::table::FlowFilter;
use super::translate::{Start, Translation, translate};
use super::{Batch, FlowMod, Match, PortView, Ports, Recorded, Snapshot, Tables};
use crate::action::intent::Learn;
use crate::action::reply::Reply;
use crate::action::{Action, Op, Subfield};
use crate::packet::field::Maskable;
use crate::packet::key::{SHORT_WORDS, is_tunnel};
use crate::packet::parse::Shape;
use crate::packet::{Field, FlowKey, PortNo, PortRef};

/// Fields that flows match and actions read and write.
const FIELDS: [Field; 20] = [
    Field::InPort,
    Field::EthType,
    Field::EthDst,
    Field::NwSrc,
    Field::NwDst,
    Field::NwProto,
    Field::NwTtl,
    Field::VlanTci,
    Field::TcpSrc,
    Field::UdpDst,
    Field::Metadata,
    Field::Reg0,
    Field::Ipv6Src,
    Field::Ipv6Dst,
    Field::IpDscp,
    Field::ArpTpa,
    Field::TunId,
    Field::TunDst,
    Field::TunIpv6Dst,
    Field::TunMetadata0,
];

/// The port where tunnels begin and end.
const TUNNEL: PortNo = PortNo(4);

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn field(&mut self) -> Field {
        FIELDS[usize::from(self.below(FIELDS.len() as u8))]
    }

    /// A value of a field, of those that packets have.
    fn value(&mut self, field: Field) -> u128 {
        let byte = self.byte();
        let low = u128::from(byte & 3);
        match field {
            Field::InPort => 1 + low,
            Field::EthType => [0x0800, 0x0800, 0x86dd, 0x0806][usize::from(byte & 3)],
            Field::NwProto => [6, 17, 6, 58][usize::from(byte & 3)],
            Field::VlanTci => [0, 0x1000, 0x1001, 0x3002][usize::from(byte & 3)],
            // Sometimes in the highest bits too.
            _ if byte & 0x80 != 0 => low | low << (field.bits() - 2),
            _ => low,
        }
    }

    fn part(&mut self) -> Subfield {
        let field = self.field();
        let (start, len) = (u16::from(self.byte()), u16::from(self.byte()));
        if len == 0 {
            return Subfield::whole(field);
        }
        let start = start % field.bits();
        Subfield { field, start, bits: 1 + len % (field.bits() - start) }
    }

    fn matcher(&mut self) -> Match {
        let mut matcher = Match::default();
        for _ in 0..self.below(4) {
            let (field, how) = (self.field(), self.byte());
            let all = field.all_ones();
            let mask = match how {
                _ if field.info().maskable == Maskable::Whole => all,
                0..=99 => all,
                100..=199 => all & !(all >> 1 >> (u16::from(how) % field.bits())),
                _ => all & u128::from(how & 0xf),
            };
            matcher.set_masked(field, self.value(field) & mask, mask);
        }
        matcher
    }

    fn actions(&mut self, table: u8, depth: usize) -> Vec<Action> {
        (0..self.below(5)).map(|_| self.action(table, depth)).collect()
    }

    fn action(&mut self, table: u8, depth: usize) -> Action {
        match self.below(19) {
            0 | 1 => Action::Output(PortNo(1 + u16::from(self.below(5)))),
            2 => Action::Output(PortNo::FLOOD),
            3 => Action::OutputField(self.part()),
            4 => {
                let field = self.field();
                let (value, mask) = (self.value(field), field.all_ones());
                Action::SetField { field, value: value & mask, mask }
            }
            5 => {
                let dst = self.part();
                Action::Load { value: u128::from(self.byte()) & dst.ones(), dst }
            }
            6 => {
                let (mut src, mut dst) = (self.part(), self.part());
                (src.bits, dst.bits) = (src.bits.min(dst.bits), src.bits.min(dst.bits));
                Action::Move { src, dst }
            }
            7 => Action::PushVlan(0x8100),
            8 => Action::PopVlan,
            9 => Action::DecTtl,
            10 if depth < 2 => Action::Clone(self.actions(table, depth + 1).into()),
            11 if self.byte() & 1 == 0 => Action::PushStack(self.part()),
            11 => Action::PopStack(self.part()),
            12 => Action::CtClear,
            13 => {
                let dst =
                    Subfield { start: u16::from(self.below(4)), bits: 1, ..Subfield::whole(Field::Reg0) };
                Action::CheckPktLarger { len: 100, dst }
            }
            14 if depth < 2 => {
                let kind = Reply::ALL[usize::from(self.below(11))];
                Action::Become { kind, actions: self.actions(table, depth + 1).into() }
            }
            15 if depth < 2 => {
                let (port, ip) = (Subfield::whole(Field::Reg0), Subfield::whole(Field::NwDst));
                Action::Await { port, ip, actions: self.actions(table, depth + 1).into() }
            }
            16 => {
                let (port, mac) = (Subfield::whole(Field::Reg0), Subfield::whole(Field::EthDst));
                Action::Learn(Learn::Neighbour { port, ip: Subfield::whole(Field::ArpTpa), mac })
            }
            _ => {
                let port = self.below(6);
                let port = (port < 3).then(|| PortNo(1 + u16::from(port)));
                Action::Resubmit { port, table: Some(table + 1 + self.below(2)) }
            }
        }
    }

    fn change(&mut self, command: Command) -> FlowMod {
        let table = self.below(4);
        let priority = u16::from(self.below(3));
        let matcher = self.matcher();
        let mut actions = self.actions(table, 0);
        actions.push(Action::Resubmit { port: None, table: Some(table + 1) });
        FlowMod {
            command,
            table: Some(table),
            priority,
            matcher,
            cookie_filter: None,
            out_port: None,
            actions: actions.into(),
            options: FlowOptions::default(),
        }
    }

    /// A packet as the parser would read it.
    fn key(&mut self) -> FlowKey {
        let mut key = FlowKey::default();
        let mut set = |fields: &[Field]| {
            for field in fields {
                let value = self.value(*field);
                key.set(*field, value & field.all_ones());
            }
            key.get(Field::EthType)
        };
        let kind = set(&[Field::InPort, Field::EthType, Field::EthDst, Field::VlanTci]);
        match kind {
            0x0800 => set(&[Field::NwSrc, Field::NwDst, Field::NwProto, Field::NwTtl, Field::IpDscp]),
            0x86dd => set(&[Field::Ipv6Src, Field::Ipv6Dst, Field::NwProto, Field::NwTtl, Field::IpDscp]),
            _ => set(&[Field::ArpTpa]),
        };
        if kind != 0x0806 {
            let ports = [self.value(Field::TcpSrc), self.value(Field::UdpDst)];
            key.set(Field::TcpSrc, ports[0] & 0xffff);
            key.set(Field::UdpDst, ports[1] & 0xffff);
        }
        if key.get(Field::VlanTci) != 0 {
            key.set(Field::VlanTpid, 0x8100);
        }
        if came_by_tunnel(&key) {
            for field in [Field::TunId, Field::TunDst, Field::TunIpv6Dst, Field::TunMetadata0] {
                let value = self.value(field);
                key.set(field, value & field.all_ones());
            }
        }
        key
    }
}

fn came_by_tunnel(key: &FlowKey) -> bool {
    key.get(Field::InPort) == u128::from(TUNNEL.0)
}

/// Only by the port of tunnels does a packet bring words of one.
fn as_packets_are(mut key: FlowKey) -> FlowKey {
    if !came_by_tunnel(&key) {
        let words = key.words_mut().iter_mut().enumerate();
        words.filter(|(word, _)| is_tunnel(*word)).for_each(|(_, word)| *word = 0);
    }
    key
}

fn ports() -> Ports {
    let view = |number: u16| {
        let (name, at) = (Arc::from(format!("p{number}")), PortRef { slot: number, generation: 1 });
        PortView { number: PortNo(number), name, at, no_flood: number == 2 }
    };
    Ports::with_tunnel((1..=TUNNEL.0).map(view).collect(), Some(TUNNEL))
}

/// The answer to one key, all of it.
#[derive(Debug, PartialEq)]
struct Answered {
    ops: Vec<Op>,
    hits: Vec<StatsId>,
    recorded: Recorded,
    contexts: Vec<Context>,
}

fn answer(snapshot: &Snapshot, key: &FlowKey, start: Start<'_>, out: &mut Translation) -> Answered {
    translate(snapshot, &mut key.clone(), start, out);
    let (ops, hits) = (out.ops().to_vec(), out.hits().to_vec());
    Answered { ops, hits, recorded: out.recorded().clone(), contexts: out.contexts().to_vec() }
}

/// `key` where something was recorded, `other` elsewhere, with a TTL that reaches the floor.
fn within(recorded: &Recorded, key: &FlowKey, other: &FlowKey) -> FlowKey {
    let mut new = *other;
    let masked = key.words().iter().zip(recorded.mask.words());
    for (new, (key, mask)) in new.words_mut().iter_mut().zip(masked) {
        *new = key & mask | *new & !mask;
    }
    let floor = u128::from(recorded.min_ttl);
    if new.get(Field::NwTtl) < floor {
        new.set(Field::NwTtl, floor);
    }
    as_packets_are(new)
}

/// Whether two keys are served by the megaflow of the first.
fn is_within(recorded: &Recorded, key: &FlowKey, other: &FlowKey) -> bool {
    within(recorded, key, other) == *other
}

/// Other packets that meet the megaflow of a key get its answer. Gives the contexts that this leaves behind.
fn decides_nothing<'k>(
    snapshot: &Snapshot,
    key: &FlowKey,
    others: impl Iterator<Item = &'k FlowKey>,
    start: Start<'_>,
    out: &mut Translation,
) -> Vec<Context> {
    let expected = answer(snapshot, key, start, out);
    for other in others {
        let met = within(&expected.recorded, key, other);
        let got = answer(snapshot, &met, start, out);
        assert_eq!(got, expected, "\nmade by {key:?}\nmet by  {met:?}");
    }
    expected.contexts
}

/// See the module.
pub fn megaflows(bytes: &[u8]) {
    let mut input = Input(bytes);
    let stats = FlowStats::new(1);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    for _ in 0..1 + input.below(24) {
        let _ = batch.apply(&input.change(Command::Add));
    }
    let snapshot = Snapshot::new(batch.commit().0, ports());
    let keys: Vec<_> = (0..2 + input.below(10)).map(|_| input.key()).collect();
    let noise: Vec<_> = keys.iter().map(|key| flipped(key, &mut input)).collect();
    let mut out = Translation::default();

    // What a megaflow does not match decides nothing: neither what is done nor what is looked at.
    let mut left = Vec::new();
    for key in &keys {
        left.extend(decides_nothing(&snapshot, key, keys.iter().chain(&noise), Start::Table(0), &mut out));
    }
    // Nor does it of packets that come back, whatever they are by then.
    for context in left.iter().take(16) {
        for key in keys.iter().take(3) {
            decides_nothing(&snapshot, key, keys.iter().chain(&noise), Start::Frozen(context), &mut out);
        }
    }

    // So no packet meets two, and a cache of them answers as the tables do, whatever is changed.
    let mut served = Served {
        cache: FlowCache::new(SIZES[usize::from(input.below(2))], 7),
        writer: stats.worker(0),
        out,
        now_ms: 0,
    };
    served.all(&snapshot, &keys);
    for (at, key) in keys.iter().enumerate() {
        let one = answer(&snapshot, key, Start::Table(0), &mut served.out).recorded;
        for other in keys.iter().skip(at + 1).filter(|other| is_within(&one, key, other)) {
            let two = answer(&snapshot, other, Start::Table(0), &mut served.out).recorded;
            assert_eq!(one, two, "\n{key:?}\n{other:?}");
        }
    }
    let mut snapshot = snapshot;
    for _ in 0..input.below(8) {
        let commands = [Command::Add, Command::ModifyStrict, Command::DeleteStrict, Command::Delete];
        let mut batch = Batch::new(&snapshot.tables, &stats, Instant::now());
        let command = commands[usize::from(input.below(4))];
        let mut change = input.change(command);
        let flows = snapshot.tables.list(&FlowFilter::default());
        if let Some(flow) = flows.get(usize::from(input.byte())) {
            (change.table, change.priority, change.matcher) =
                (Some(flow.table), flow.priority, flow.matcher());
        }
        let _ = batch.apply(&change);
        snapshot = snapshot.with_tables(batch.commit().0);
        served.now_ms += u64::from(input.byte());
        served.all(&snapshot, &keys);
    }
}

/// A key with a bit changed here and there.
fn flipped(key: &FlowKey, input: &mut Input<'_>) -> FlowKey {
    let mut key = *key;
    for _ in 0..3 {
        let field = input.field();
        if !matches!(field, Field::Metadata | Field::Reg0) {
            let bit = u16::from(input.byte()) % field.bits();
            key.set(field, key.get(field) ^ 1 << bit);
        }
    }
    as_packets_are(key)
}

/// Plenty of room, and little.
const SIZES: [CacheSizes; 2] = [
    CacheSizes {
        megaflows: 64,
        megaflows_per_port: 64,
        masks_per_port: 16,
        emc_entries: 8,
        max_idle_ms: 300,
    },
    CacheSizes { megaflows: 8, megaflows_per_port: 4, masks_per_port: 2, emc_entries: 8, max_idle_ms: 300 },
];

/// A worker's cache and what it needs.
struct Served {
    cache: FlowCache,
    writer: Option<StatsWriter>,
    out: Translation,
    now_ms: u64,
}

impl Served {
    /// Every key gets the answer of a translation, twice.
    fn all(&mut self, snapshot: &Snapshot, keys: &[FlowKey]) {
        self.cache.ingest(&snapshot.log);
        let Some(writer) = &mut self.writer else { return };
        self.cache.upkeep(self.now_ms, writer);
        for key in keys.iter().chain(keys) {
            self.one(snapshot, key);
        }
    }

    fn one(&mut self, snapshot: &Snapshot, key: &FlowKey) {
        let Some(writer) = &mut self.writer else { return };
        let is_short = key.words().iter().skip(SHORT_WORDS).all(|word| *word == 0);
        let shape = if is_short { Shape::Short } else { Shape::Long };
        let port = key.get(Field::InPort) as usize;
        let mut found = [0; BATCH];
        let mut keys = [FlowKey::default(); BATCH];
        keys[0] = *key;
        self.cache.lookup(port, &keys, u32::from(is_short), u32::from(!is_short), &mut found);
        let number = self.cache.find(port, key, shape);
        let log = &snapshot.log;
        let verdict = self.cache.hit(found[0], 1, 60, self.now_ms, log);
        translate(snapshot, &mut key.clone(), Start::Table(0), &mut self.out);
        self.cache.freeze(&mut self.out, port, self.now_ms);
        match verdict {
            Some(Verdict::Output(at)) => assert_eq!(self.out.ops(), [Op::Output(at)], "{key:?}"),
            Some(Verdict::Run(program)) => assert_eq!(self.out.ops(), self.cache.ops(program), "{key:?}"),
            None => {
                let miss = Miss { port, key, shape, stale: number, now_ms: self.now_ms };
                self.cache.install(&miss, &self.out, writer);
            }
        }
    }
}
