//! Rule sets like those of real filters, and keys that hit them: seeded, so that every run has the same.
//!
//! The three shapes follow what the ClassBench paper (Taylor and Turner, INFOCOM 2005) reports of access control lists,
//! firewalls and IP chains: how long the address prefixes are, in pairs; how addresses gather in networks within
//! networks; which of the five classes the port ranges belong to (any, high, low, exact, other); which protocols there
//! are. Ranges are cut to prefixes, a rule each, as a table of flows has them.
#![allow(dead_code)] // each user takes its part

use std::collections::HashSet;

use millrace::classifier::Match;
use millrace::packet::{Field, FlowKey};

/// What kind of filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Access control list: long prefixes, destination ports.
    Acl,
    /// Firewall: one side often open, every class of ports.
    Firewall,
    /// IP chain: between the two.
    Chain,
}

pub const KINDS: [Kind; 3] = [Kind::Acl, Kind::Firewall, Kind::Chain];

/// One rule; the greater priority wins.
#[derive(Clone, Debug)]
pub struct Rule {
    pub priority: u16,
    pub matcher: Match,
}

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of the few, by weight.
    fn pick<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let mut at = self.below(of.iter().map(|(weight, _)| *weight as usize).sum());
        for (weight, what) in of {
            match at.checked_sub(*weight as usize) {
                Some(rest) => at = rest,
                None => return *what,
            }
        }
        of[0].1
    }

    /// A number below `end`, the small ones the likelier: close to Zipf's law with exponent 1.
    pub fn skewed(&mut self, end: usize) -> usize {
        ((end as f64 + 1.0).powf(self.unit()) as usize).saturating_sub(1).min(end - 1)
    }
}

#[derive(Clone, Copy)]
enum Ports {
    Any,
    High,
    Low,
    Exact,
    Other,
}
use Ports::{Any, Exact, High, Low, Other};

/// Lengths of an address prefix: the first the likeliest.
type Lengths = &'static [u32];

/// What the shapes differ in. Numbers are weights.
struct Shape {
    /// Of source and destination.
    lengths: &'static [(u32, (Lengths, Lengths))],
    source: &'static [(u32, Ports)],
    destination: &'static [(u32, Ports)],
    /// 0 for any.
    protocol: &'static [(u32, u8)],
}

const HOST: Lengths = &[32];
const NONE: Lengths = &[0];
const LONG: Lengths = &[24, 28, 27, 26, 29, 30, 25, 23];
const MIDDLE: Lengths = &[24, 16, 20, 22, 21];
const SHORT: Lengths = &[16, 8, 12];

const ACL: Shape = Shape {
    lengths: &[
        (30, (HOST, HOST)),
        (20, (LONG, HOST)),
        (14, (MIDDLE, LONG)),
        (8, (NONE, HOST)),
        (7, (NONE, LONG)),
        (12, (HOST, MIDDLE)),
        (5, (LONG, NONE)),
        (4, (SHORT, SHORT)),
    ],
    source: &[(96, Any), (2, Exact), (1, High), (1, Other)],
    destination: &[(32, Any), (54, Exact), (5, High), (1, Low), (8, Other)],
    protocol: &[(70, 6), (18, 17), (5, 1), (2, 47), (5, 0)],
};

const FIREWALL: Shape = Shape {
    lengths: &[
        (35, (NONE, HOST)),
        (15, (NONE, MIDDLE)),
        (20, (HOST, NONE)),
        (10, (MIDDLE, NONE)),
        (12, (HOST, LONG)),
        (8, (SHORT, MIDDLE)),
    ],
    source: &[(72, Any), (14, High), (2, Low), (9, Exact), (3, Other)],
    destination: &[(38, Any), (7, High), (3, Low), (45, Exact), (7, Other)],
    protocol: &[(48, 6), (28, 17), (9, 1), (3, 50), (12, 0)],
};

const CHAIN: Shape = Shape {
    lengths: &[
        (35, (HOST, HOST)),
        (18, (LONG, LONG)),
        (8, (NONE, HOST)),
        (6, (NONE, LONG)),
        (12, (HOST, NONE)),
        (12, (MIDDLE, MIDDLE)),
        (9, (SHORT, HOST)),
    ],
    source: &[(78, Any), (6, High), (2, Low), (11, Exact), (3, Other)],
    destination: &[(48, Any), (7, High), (2, Low), (38, Exact), (5, Other)],
    protocol: &[(52, 6), (25, 17), (8, 1), (15, 0)],
};

/// Networks within networks, some much more used than others.
struct Addresses {
    networks: Vec<u32>,
    hosts: Vec<u32>,
}

impl Addresses {
    fn new(rules: usize, random: &mut Random) -> Self {
        let networks: Vec<u32> = (0..(rules / 400).clamp(8, 200)).map(|_| random.next() as u32).collect();
        let hosts = (0..(rules / 3).max(16)).map(|_| {
            let network = networks[random.skewed(networks.len())];
            let subnet = random.skewed(256) as u32;
            network & 0xffff_0000 | subnet << 8 | random.skewed(256) as u32
        });
        let hosts = hosts.collect();
        Self { networks, hosts }
    }

    /// A prefix of that length: mostly of a host that is there already.
    fn prefix(&self, len: u32, random: &mut Random) -> u32 {
        let address = match random.below(8) {
            0 => {
                self.networks[random.skewed(self.networks.len())] & 0xffff_0000
                    | random.next() as u32 & 0xffff
            }
            _ => self.hosts[random.below(self.hosts.len())],
        };
        address & prefix_mask(len)
    }
}

fn prefix_mask(len: u32) -> u32 {
    u32::MAX.checked_shl(32 - len).unwrap_or(0)
}

fn ports(class: Ports, random: &mut Random) -> (u16, u16) {
    const SERVICES: [u16; 16] =
        [80, 443, 53, 25, 22, 110, 143, 21, 123, 161, 1521, 3306, 8080, 1433, 5060, 389];
    /// A set of rules has few ranges that are none of the other classes.
    const RANGES: [(u16, u16); 12] = [
        (6000, 6063),
        (137, 139),
        (2300, 2400),
        (20, 21),
        (5000, 5100),
        (33434, 33523),
        (8000, 8099),
        (161, 162),
        (1718, 1720),
        (7070, 7170),
        (49152, 65535),
        (3230, 3253),
    ];
    match class {
        Any => (0, u16::MAX),
        High => (1024, u16::MAX),
        Low => (0, 1023),
        Exact if random.below(3) > 0 => {
            let port = SERVICES[random.skewed(SERVICES.len())];
            (port, port)
        }
        Exact => {
            let port = random.next() as u16;
            (port, port)
        }
        Other => RANGES[random.skewed(RANGES.len())],
    }
}

/// The fewest prefixes, as value and mask, that make up a range.
pub fn cut(first: u16, last: u16) -> Vec<(u16, u16)> {
    let (mut at, end) = (u32::from(first), u32::from(last) + 1);
    let mut out = Vec::new();
    while at < end {
        let mut size = 1 << at.trailing_zeros().min(16);
        while at + size > end {
            size /= 2;
        }
        out.push((at as u16, !(size - 1) as u16));
        at += size;
    }
    out
}

/// So many rules, no two with the same match, by falling priority.
pub fn rules(kind: Kind, count: usize, seed: u64) -> Vec<Rule> {
    let shape = match kind {
        Kind::Acl => ACL,
        Kind::Firewall => FIREWALL,
        Kind::Chain => CHAIN,
    };
    let mut random = Random(seed);
    let (sources, destinations) = (Addresses::new(count, &mut random), Addresses::new(count, &mut random));
    let (mut seen, mut out) = (HashSet::new(), Vec::with_capacity(count));
    while out.len() < count {
        let (source, destination) = random.pick(shape.lengths);
        let mut base = Match::default();
        base.set(Field::EthType, 0x0800);
        for (field, addresses, lengths) in
            [(Field::NwSrc, &sources, source), (Field::NwDst, &destinations, destination)]
        {
            let len = lengths[random.skewed(lengths.len())];
            let prefix = addresses.prefix(len, &mut random);
            base.set_masked(field, u128::from(prefix), u128::from(prefix_mask(len)));
        }
        let protocol = random.pick(shape.protocol);
        if protocol != 0 {
            base.set(Field::NwProto, u128::from(protocol));
        }
        let mut classes = (random.pick(shape.source), random.pick(shape.destination));
        if !matches!(protocol, 6 | 17) {
            classes = (Any, Any);
        }
        let (source, destination) = (ports(classes.0, &mut random), ports(classes.1, &mut random));
        let priority = u16::MAX - (out.len() * usize::from(u16::MAX - 1) / count) as u16;
        for (source, source_mask) in cut(source.0, source.1) {
            for (destination, destination_mask) in cut(destination.0, destination.1) {
                let mut matcher = base.clone();
                matcher.set_masked(Field::TcpSrc, u128::from(source), u128::from(source_mask));
                matcher.set_masked(Field::TcpDst, u128::from(destination), u128::from(destination_mask));
                if out.len() < count && seen.insert(matcher.clone()) {
                    out.push(Rule { priority, matcher });
                }
            }
        }
    }
    out
}

/// Keys of IPv4 packets: most meet a rule, some rules much more often than others.
pub fn keys(rules: &[Rule], count: usize, seed: u64) -> Vec<FlowKey> {
    let mut random = Random(seed);
    // Which rules are met often has nothing to do with where they stand.
    let step = 0x9e37_79b1 | 1;
    let one = |_| {
        let mut key = FlowKey::default();
        key.set(Field::InPort, random.below(8) as u128);
        key.set(Field::EthDst, u128::from(random.next()));
        key.set(Field::EthSrc, u128::from(random.next()));
        key.set(Field::EthType, 0x0800);
        key.set(Field::NwSrc, u128::from(random.next()));
        key.set(Field::NwDst, u128::from(random.next()));
        key.set(Field::NwProto, random.pick(&[(6, 6), (3, 17), (1, 1)]));
        key.set(Field::NwTtl, random.pick(&[(6, 64), (2, 128), (1, 255), (1, 1)]));
        key.set(Field::TcpSrc, u128::from(random.next()));
        key.set(Field::TcpDst, u128::from(random.next()));
        if random.below(16) > 0 && !rules.is_empty() {
            let rule = &rules[random.skewed(rules.len()).wrapping_mul(step) % rules.len()].matcher;
            let words = key.words_mut().iter_mut().zip(rule.key.words()).zip(rule.mask.words());
            words.for_each(|((word, value), mask)| *word = *word & !mask | value);
        }
        key
    };
    (0..count).map(one).collect()
}
