//! Random matches as trees of their own, with a text and a naive sense: the oracle of the parser, of annotation and of
//! evaluation. It knows fields by their place in the flow key and prerequisites as conditions on it.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::logical::microflow::Microflow;
use crate::logical::names::{AddressSet, FixedNames, PortGroup};
use crate::packet::{Field, FlowKey};

/// A condition on a packet.
type Says = fn(&FlowKey) -> bool;

/// What the tests need to know of a symbol.
pub struct Known {
    pub name: &'static str,
    pub bits: u32,
    pub nominal: bool,
    pub get: fn(&FlowKey) -> u128,
    pub set: fn(&mut FlowKey, u128),
    pub prereq: Says,
}

fn always(_: &FlowKey) -> bool {
    true
}

fn ip4(key: &FlowKey) -> bool {
    key.get(Field::EthType) == 0x800
}

fn ip6(key: &FlowKey) -> bool {
    key.get(Field::EthType) == 0x86dd
}

fn ip(key: &FlowKey) -> bool {
    ip4(key) || ip6(key)
}

fn proto(key: &FlowKey, number: u128) -> bool {
    ip(key) && key.get(Field::NwProto) == number
}

fn tagged(key: &FlowKey) -> bool {
    key.get(Field::VlanTci) & 0x1000 != 0
}

fn tracked(key: &FlowKey) -> bool {
    key.get(Field::CtState) & 0x20 != 0
}

macro_rules! known {
    ($name:literal, $bits:literal, $nominal:literal, $field:ident, $prereq:expr) => {
        Known {
            name: $name,
            bits: $bits,
            nominal: $nominal,
            get: |key| key.get(Field::$field),
            set: |key, value| key.set(Field::$field, value),
            prereq: $prereq,
        }
    };
}

pub const KNOWN: &[Known] = &[
    known!("reg0", 32, false, Reg0, always),
    known!("reg7", 32, false, Reg7, always),
    known!("xxreg1", 128, false, Xxreg1, always),
    known!("reg9", 32, false, Reg9, always),
    known!("flags", 32, false, Reg10, always),
    known!("eth.dst", 48, false, EthDst, always),
    known!("eth.type", 16, true, EthType, always),
    known!("ip.proto", 8, true, NwProto, ip),
    known!("ip.ttl", 8, true, NwTtl, ip),
    known!("ip.frag", 2, false, IpFrag, ip),
    known!("ip4.src", 32, false, NwSrc, ip4),
    known!("ip4.dst", 32, false, NwDst, ip4),
    known!("ip6.src", 128, false, Ipv6Src, ip6),
    known!("tcp.dst", 16, false, TcpDst, |key| proto(key, 6)),
    known!("udp.src", 16, false, UdpSrc, |key| proto(key, 17)),
    known!("icmp4.type", 8, true, IcmpType, |key| ip4(key) && proto(key, 1)),
    known!("arp.spa", 32, false, ArpSpa, |key| key.get(Field::EthType) == 0x806),
    Known {
        name: "vlan.vid",
        bits: 12,
        nominal: false,
        get: |key| key.get(Field::VlanTci) & 0xfff,
        set: |key, value| key.set_masked(Field::VlanTci, value, 0xfff),
        prereq: tagged,
    },
    Known {
        name: "ct.est",
        bits: 1,
        nominal: false,
        get: |key| key.get(Field::CtState) >> 1 & 1,
        set: |key, value| key.set_masked(Field::CtState, value << 1, 2),
        prereq: tracked,
    },
];

/// Name, whether it is nominal, and what it says.
pub const PREDICATES: &[(&str, bool, Says)] = &[
    ("ip4", true, ip4),
    ("ip6", true, ip6),
    ("ip", true, ip),
    ("tcp", true, |key| proto(key, 6)),
    ("icmp4", true, |key| ip4(key) && proto(key, 1)),
    ("eth.bcast", false, |key| key.get(Field::EthDst) == 0xffff_ffff_ffff),
    ("eth.mcast", false, |key| key.get(Field::EthDst) >> 40 & 1 == 1),
    ("vlan.present", false, tagged),
    ("ip.is_frag", false, |key| ip(key) && key.get(Field::IpFrag) & 1 == 1),
    ("ip.first_frag", false, |key| {
        // Both parts have their own prerequisite, and the second is negated with it.
        ip(key) && key.get(Field::IpFrag) & 1 == 1 && !(ip(key) && key.get(Field::IpFrag) & 2 == 2)
    }),
    ("ip4.mcast", false, |key| {
        key.get(Field::EthDst) >> 40 & 1 == 1 && ip4(key) && key.get(Field::NwDst) >> 28 == 0xe
    }),
    ("ct.trk", false, tracked),
];

/// Ports `p0` to `p4` have the keys 1 to 5; `p9` has none.
pub const PORTS: &[&str] = &["p0", "p1", "p2", "p3", "p4", "p9"];

/// The address set `$set` and the port group `@group`.
pub const SET: &[&str] = &["0.0.0.0/30", "0.0.0.9", "0.0.0.12"];
pub const GROUP: &[&str] = &["p1", "p3"];

/// The names, with `p0` and `p3` resident.
pub fn names() -> FixedNames {
    let mut names = names_everywhere();
    names.add_resident("p0");
    names.add_resident("p3");
    names
}

/// The names, with every port resident.
pub fn names_everywhere() -> FixedNames {
    let mut names = FixedNames::new();
    for (index, port) in PORTS.iter().enumerate().take(5) {
        names.add_port(port, index as u32 + 1);
    }
    names.add_address_set(AddressSet::new("set", SET.iter().copied()));
    names.add_port_group(PortGroup::new("group", GROUP.iter().copied()));
    names
}

#[derive(Clone, Debug)]
pub enum Model {
    Bool(bool),
    /// Bits of a symbol against values and masks, as `low` and `bits` say.
    Compare {
        known: usize,
        low: u32,
        bits: u32,
        op: Op,
        values: Vec<(u128, u128)>,
        reversed: bool,
    },
    /// A range over the whole of an ordinal symbol.
    Range {
        known: usize,
        low: u128,
        high: u128,
        strict: bool,
    },
    /// A bit alone.
    Bit {
        known: usize,
        bit: u32,
    },
    Predicate(usize),
    Port {
        inport: bool,
        ports: Vec<usize>,
    },
    /// `ip4.src == $set` and `inport == @group`.
    NamedSet {
        negated: bool,
    },
    Group,
    Resident(usize),
    Not(Box<Model>),
    And(Vec<Model>),
    Or(Vec<Model>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    fn text(self, reversed: bool) -> &'static str {
        match (self, reversed) {
            (Op::Eq, _) => "==",
            (Op::Ne, _) => "!=",
            (Op::Lt, false) | (Op::Gt, true) => "<",
            (Op::Le, false) | (Op::Ge, true) => "<=",
            (Op::Gt, false) | (Op::Lt, true) => ">",
            (Op::Ge, false) | (Op::Le, true) => ">=",
        }
    }

    fn holds(self, left: u128, right: u128) -> bool {
        match self {
            Op::Eq => left == right,
            Op::Ne => left != right,
            Op::Lt => left < right,
            Op::Le => left <= right,
            Op::Gt => left > right,
            Op::Ge => left >= right,
        }
    }
}

impl Model {
    /// The text; `odd` says whether it stands behind an odd number of `!`. There what is nominal is asked for by its
    /// opposite, as it must be.
    pub fn text(&self, odd: bool) -> String {
        let joined = |list: &[Model], operator: &str| {
            let texts: Vec<_> = list.iter().map(|model| format!("({})", model.text(odd))).collect();
            texts.join(operator)
        };
        match self {
            Model::Bool(value) => u8::from(*value).to_string(),
            Model::Compare { known, low, bits, op, values, reversed } => {
                let Known { name, bits: width, nominal, .. } = KNOWN[*known];
                let part = match bits {
                    _ if *low == 0 && *bits == width => String::new(),
                    1 => format!("[{low}]"),
                    bits => format!("[{low}..{}]", low + bits - 1),
                };
                let ones = ones(*bits);
                let value = |(value, mask): &(u128, u128)| match mask & ones == ones {
                    true => format!("{value:#x}"),
                    false => format!("{:#x}/{mask:#x}", value & mask),
                };
                let constant = match values.as_slice() {
                    [one] => value(one),
                    many => format!("{{{}}}", many.iter().map(value).collect::<Vec<_>>().join(", ")),
                };
                let op = if nominal && odd { Op::Ne } else { *op };
                match reversed {
                    true => format!("{constant} {} {name}{part}", op.text(true)),
                    false => format!("{name}{part} {} {constant}", op.text(false)),
                }
            }
            Model::Range { known, low, high, strict } => {
                let op = if *strict { "<" } else { "<=" };
                format!("{low:#x} {op} {} {op} {high:#x}", KNOWN[*known].name)
            }
            Model::Bit { known, bit } => format!("{}[{bit}]", KNOWN[*known].name),
            Model::Predicate(index) => {
                let (name, nominal, _) = PREDICATES[*index];
                if nominal && odd { format!("{name} == 0") } else { name.to_owned() }
            }
            Model::Port { inport, ports } => {
                let list: Vec<_> = ports.iter().map(|port| format!("\"{}\"", PORTS[*port])).collect();
                let field = if *inport { "inport" } else { "outport" };
                format!("{field} {} {{{}}}", if odd { "!=" } else { "==" }, list.join(" "))
            }
            Model::NamedSet { negated } => format!("ip4.src {} $set", if *negated { "!=" } else { "==" }),
            Model::Group => format!("inport {} @group", if odd { "!=" } else { "==" }),
            Model::Resident(port) => format!("is_chassis_resident(\"{}\")", PORTS[*port]),
            Model::Not(inner) => format!("!({})", inner.text(!odd)),
            Model::And(list) => joined(list, " && "),
            Model::Or(list) => joined(list, " || "),
        }
    }

    /// What the text means of that packet, with `odd` as there. Negation goes down to the comparisons, and what a
    /// comparison presupposes is asked for whether it is negated or not.
    pub fn holds(&self, key: &FlowKey, odd: bool) -> bool {
        let ask = |known: &Known, holds: bool| holds != odd && (known.prereq)(key);
        match self {
            Model::Bool(value) => *value != odd,
            Model::Compare { known, low, bits, op, values, .. } => {
                let known = &KNOWN[*known];
                let found = (known.get)(key) >> low & ones(*bits);
                let op = if known.nominal && odd { Op::Ne } else { *op };
                let meets = |(value, mask): &(u128, u128)| op.holds(found & mask, value & mask & ones(*bits));
                let holds = if op == Op::Eq { values.iter().any(meets) } else { values.iter().all(meets) };
                ask(known, holds)
            }
            Model::Range { known, low, high, strict } => {
                let known = &KNOWN[*known];
                let found = (known.get)(key);
                let inside =
                    if *strict { *low < found && found < *high } else { *low <= found && found <= *high };
                ask(known, inside)
            }
            Model::Bit { known, bit } => {
                let known = &KNOWN[*known];
                ask(known, (known.get)(key) >> bit & 1 == 1)
            }
            Model::Predicate(index) => {
                let (_, nominal, says) = PREDICATES[*index];
                says(key) != (odd && !nominal)
            }
            Model::Port { inport, ports } => {
                let found = key.get(if *inport { Field::Reg14 } else { Field::Reg15 });
                ports.iter().any(|port| *port < 5 && found == *port as u128 + 1)
            }
            Model::NamedSet { negated } => {
                let found = key.get(Field::NwSrc);
                ip4(key) && (found <= 3 || found == 9 || found == 12) != (*negated != odd)
            }
            Model::Group => [2, 4].contains(&key.get(Field::Reg14)),
            Model::Resident(port) => [0, 3].contains(port) != odd,
            Model::Not(inner) => inner.holds(key, !odd),
            Model::And(list) | Model::Or(list) => {
                let all = matches!(self, Model::And(_)) != odd;
                let mut each = list.iter().map(|model| model.holds(key, odd));
                if all { each.all(|holds| holds) } else { each.any(|holds| holds) }
            }
        }
    }

    /// Symbols with values that decide something.
    fn hints(&self, out: &mut Vec<(usize, u128)>) {
        match self {
            Model::Compare { known, low, values, .. } => {
                out.extend(values.iter().map(|(value, _)| (*known, value << low)));
            }
            Model::Range { known, low, high, .. } => out.extend([(*known, *low), (*known, *high)]),
            Model::Bit { known, bit } => out.push((*known, 1 << bit)),
            Model::Not(inner) => inner.hints(out),
            Model::And(list) | Model::Or(list) => list.iter().for_each(|model| model.hints(out)),
            _ => {}
        }
    }
}

pub fn ones(bits: u32) -> u128 {
    u128::MAX >> (128 - bits)
}

/// Small numbers, so that values meet, and wide ones.
fn number() -> impl Strategy<Value = u128> {
    prop_oneof![4 => 0..16u128, 1 => any::<u128>(), 1 => any::<u128>().prop_map(|value| !value >> 100)]
}

fn compare() -> impl Strategy<Value = Model> {
    let op = select(vec![Op::Eq, Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge]);
    let values = prop::collection::vec((number(), any::<u128>(), 0..4u8), 1..5);
    (0..KNOWN.len(), any::<(Index, Index, bool, bool)>(), op, values).prop_map(
        |(known, (low, bits, part, reversed), op, values)| {
            let Known { bits: width, nominal, .. } = KNOWN[known];
            let part = part && !nominal;
            let low = if part { low.index(width as usize) as u32 } else { 0 };
            let bits = if part { bits.index((width - low) as usize) as u32 + 1 } else { width };
            let op = if nominal { Op::Eq } else { op };
            let is_equality = matches!(op, Op::Eq | Op::Ne);
            let many = if is_equality { values.len() } else { 1 };
            let values = values.into_iter().take(many).map(|(value, mask, masked)| {
                let mask = if masked == 0 && is_equality { mask & ones(bits) } else { ones(bits) };
                (value & mask, mask)
            });
            Model::Compare { known, low, bits, op, values: values.collect(), reversed }
        },
    )
}

fn leaf(with_names: bool) -> impl Strategy<Value = Model> {
    let ordinal: Vec<_> =
        (0..KNOWN.len()).filter(|known| !KNOWN[*known].nominal && KNOWN[*known].bits > 1).collect();
    let range = (select(ordinal.clone()), number(), number(), any::<bool>()).prop_map(
        |(known, low, high, strict)| {
            let ones = ones(KNOWN[known].bits);
            Model::Range { known, low: low & ones, high: high & ones, strict }
        },
    );
    let bit = (select(ordinal), any::<Index>())
        .prop_map(|(known, bit)| Model::Bit { known, bit: bit.index(KNOWN[known].bits as usize) as u32 });
    let port = (any::<bool>(), prop::collection::vec(0..PORTS.len(), 1..4))
        .prop_map(|(inport, ports)| Model::Port { inport, ports });
    let named =
        prop_oneof![any::<bool>().prop_map(|negated| Model::NamedSet { negated }), Just(Model::Group)];
    prop_oneof![
        8 => compare(),
        1 => range,
        1 => bit,
        3 => (0..PREDICATES.len()).prop_map(Model::Predicate),
        1 => port,
        1 => (0..PORTS.len()).prop_map(Model::Resident),
        1 => any::<bool>().prop_map(Model::Bool),
        u32::from(with_names) => named,
    ]
}

/// A match, with `$set` and `@group` if wanted.
pub fn model(with_names: bool) -> impl Strategy<Value = Model> {
    leaf(with_names).prop_recursive(4, 24, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner.clone().prop_map(|inner| Model::Not(Box::new(inner))),
            list().prop_map(Model::And),
            list().prop_map(Model::Or),
        ]
    })
}

/// What a random packet is made of, besides the match that it is to meet.
pub type Entropy = Vec<(Index, u8, u128)>;

pub fn entropy() -> impl Strategy<Value = Entropy> {
    prop::collection::vec(any::<(Index, u8, u128)>(), 24)
}

/// A packet with values of the match, or near them, or of the usual protocols.
pub fn packet(model: &Model, entropy: &Entropy) -> Microflow {
    let mut hints = Vec::new();
    model.hints(&mut hints);
    let mut flow = Microflow::default();
    let key = &mut flow.key;
    let types = [0x800u128, 0x86dd, 0x806, 0x800];
    let protocols = [6u128, 17, 1, 6];
    for (index, how, value) in entropy {
        let (known, hint) = match hints.as_slice() {
            [] => (index.index(KNOWN.len()), *value),
            hints => hints[index.index(hints.len())],
        };
        let small = usize::from(*how >> 4 & 3);
        match how % 16 {
            0..=3 => (KNOWN[known].set)(key, hint),
            4 => (KNOWN[known].set)(key, hint.wrapping_add(1)),
            5 => (KNOWN[known].set)(key, hint.wrapping_sub(1)),
            6 => (KNOWN[known].set)(key, *value),
            7 => (KNOWN[index.index(KNOWN.len())].set)(key, value & 15),
            8 => key.set(Field::EthType, types[small]),
            9 => key.set(Field::NwProto, protocols[small]),
            10 => key.set_masked(Field::VlanTci, *value, 0x1000),
            11 => key.set(Field::CtState, value & 0xff),
            12 => key.set(Field::Reg14, value % 7),
            13 => key.set(Field::Reg15, value % 7),
            14 => key.set(Field::EthDst, [u128::MAX, 1 << 40, 0, *value][small]),
            _ => key.set(Field::NwDst, [0xe000_0001, 0, 1, *value][small]),
        }
    }
    flow
}
