//! The fields of a match, and what each needs beside it.

use super::Match;
use super::PortNames;
use super::cursor::{Item, Piece, Value};
use super::error::{Problem, SyntaxError, nearest, shorten};
use super::flow::OPTION_NAMES;
use super::value::{any_value, field_value, number, subfield};
use crate::packet::Field;
use crate::packet::field::Prereq;

const IPV4: u128 = 0x0800;
const IPV6: u128 = 0x86dd;
const ARP: u128 = 0x0806;
const RARP: u128 = 0x8035;
/// Bit of a tag that says the tag is there.
pub(super) const VLAN_PRESENT: u128 = 0x1000;
const FRAG_LATER: u128 = 2;

/// Words that stand for an Ethernet type and maybe a protocol.
pub(super) const SHORTHANDS: &[(&str, u128, Option<u128>)] = &[
    ("ip", IPV4, None),
    ("icmp", IPV4, Some(1)),
    ("tcp", IPV4, Some(6)),
    ("udp", IPV4, Some(17)),
    ("sctp", IPV4, Some(132)),
    ("ipv6", IPV6, None),
    ("ip6", IPV6, None),
    ("icmp6", IPV6, Some(58)),
    ("tcp6", IPV6, Some(6)),
    ("udp6", IPV6, Some(17)),
    ("sctp6", IPV6, Some(132)),
    ("arp", ARP, None),
    ("rarp", RARP, None),
];

/// Match fields of Open vSwitch that this switch does not have.
const NOT_YET: &[&str] = &[
    "actset_output",
    "packet_type",
    "skb_priority",
    "mpls",
    "mplsm",
    "mpls_label",
    "mpls_tc",
    "mpls_bos",
    "mpls_ttl",
    "nsh_flags",
    "nsh_ttl",
    "nsh_mdtype",
    "nsh_np",
    "nsh_spi",
    "nsh_si",
    "nsh_c1",
    "nsh_c2",
    "nsh_c3",
    "nsh_c4",
    "tun_erspan_ver",
    "tun_erspan_idx",
    "tun_erspan_dir",
    "tun_erspan_hwid",
    "tun_gtpu_flags",
    "tun_gtpu_msgtype",
];

/// The field of that name; `tp_src` and `tp_dst` are those of the protocol that `state` matches.
pub(super) fn field_by_name(name: Piece<'_>, state: &Match) -> Result<Field, SyntaxError> {
    let proto = exact(state, Field::NwProto);
    let icmp = match exact(state, Field::EthType) {
        Some(IPV6) => Some(58),
        Some(IPV4) | None => Some(1),
        Some(_) => Some(u128::MAX),
    };
    match (name.text, proto) {
        ("tp_src", p) if p == icmp && p == Some(58) => return Ok(Field::Icmpv6Type),
        ("tp_dst", p) if p == icmp && p == Some(58) => return Ok(Field::Icmpv6Code),
        ("tp_src", p) if p == icmp => return Ok(Field::IcmpType),
        ("tp_dst", p) if p == icmp => return Ok(Field::IcmpCode),
        ("tp_src", Some(17)) => return Ok(Field::UdpSrc),
        ("tp_dst", Some(17)) => return Ok(Field::UdpDst),
        ("tp_src", Some(132)) => return Ok(Field::SctpSrc),
        ("tp_dst", Some(132)) => return Ok(Field::SctpDst),
        ("tp_src", _) => return Ok(Field::TcpSrc),
        ("tp_dst", _) => return Ok(Field::TcpDst),
        _ => {}
    }
    if let Some(field) = Field::by_name(name.text) {
        return Ok(field);
    }
    if NOT_YET.contains(&name.text) {
        return Err(SyntaxError::not_yet(name, format!("the field {}", name.text)));
    }
    Err(SyntaxError::new(name, unknown_field(name.text, &[])))
}

/// The complaint about a word that is no field, nor any of `others`.
pub(super) fn unknown_field(word: &str, others: &[&'static str]) -> Problem {
    let names = Field::ALL.iter().flat_map(|field| {
        let info = field.info();
        std::iter::once(info.name).chain(info.aliases.iter().copied())
    });
    let near = nearest(word, names.chain(others.iter().copied()).chain(["tp_src", "tp_dst"]));
    Problem::Unknown { what: "field", found: shorten(word), near, expected: vec![] }
}

/// The value of a field that is matched in full.
fn exact(matcher: &Match, field: Field) -> Option<u128> {
    (matcher.mask.get(field) == field.all_ones()).then(|| matcher.key.get(field))
}

/// Whether every packet that meets `matcher` has what `prereq` asks for.
pub(super) fn is_met(prereq: Prereq, matcher: &Match) -> bool {
    let eth = exact(matcher, Field::EthType);
    let (ipv4, ipv6) = (eth == Some(IPV4), eth == Some(IPV6));
    let first = matcher.key.get(Field::IpFrag) & FRAG_LATER == 0;
    let proto = |wanted| exact(matcher, Field::NwProto) == Some(wanted) && first;
    let nd = |types: &[u128]| {
        // A key is zero where nothing is matched, so this takes a match that leaves the code open too.
        let code = matcher.key.get(Field::Icmpv6Code);
        let kind = exact(matcher, Field::Icmpv6Type);
        ipv6 && proto(58) && code == 0 && kind.is_some_and(|kind| types.contains(&kind))
    };
    match prereq {
        Prereq::None => true,
        Prereq::Vlan => matcher.key.get(Field::VlanTci) & VLAN_PRESENT != 0,
        Prereq::Arp => eth == Some(ARP) || eth == Some(RARP),
        Prereq::Ipv4 => ipv4,
        Prereq::Ipv6 => ipv6,
        Prereq::Ip => ipv4 || ipv6,
        Prereq::Tcp => (ipv4 || ipv6) && proto(6),
        Prereq::Udp => (ipv4 || ipv6) && proto(17),
        Prereq::Sctp => (ipv4 || ipv6) && proto(132),
        Prereq::Icmp4 => ipv4 && proto(1),
        Prereq::Icmp6 => ipv6 && proto(58),
        Prereq::Nd => nd(&[135, 136]),
        Prereq::NdSolicit => nd(&[135]),
        Prereq::NdAdvert => nd(&[136]),
        Prereq::Ct => has_connection(matcher),
        Prereq::CtIpv4 => ipv4 && has_connection(matcher),
        Prereq::CtIpv6 => ipv6 && has_connection(matcher),
    }
}

/// Whether the packet is known to belong to a connection, as Open vSwitch decides it: a flag that only a packet of
/// one has is matched as set, or the packet is matched as tracked and not invalid.
fn has_connection(matcher: &Match) -> bool {
    const INV: u128 = 1 << 4;
    const TRK: u128 = 1 << 5;
    let (state, mask) = (matcher.key.get(Field::CtState), matcher.mask.get(Field::CtState));
    let valid = state & TRK != 0 && mask & INV != 0 && state & INV == 0;
    state & !(INV | TRK) != 0 || valid
}

/// What a person writes to meet `prereq`.
pub(super) fn needs(prereq: Prereq) -> &'static str {
    match prereq {
        Prereq::None => "nothing",
        Prereq::Vlan => "a VLAN tag (such as vlan_tci=0x1000/0x1000)",
        Prereq::Arp => "arp or rarp",
        Prereq::Ipv4 => "ip",
        Prereq::Ipv6 => "ipv6",
        Prereq::Ip => "ip or ipv6",
        Prereq::Tcp => "tcp or tcp6 and no later fragment",
        Prereq::Udp => "udp or udp6 and no later fragment",
        Prereq::Sctp => "sctp or sctp6 and no later fragment",
        Prereq::Icmp4 => "icmp and no later fragment",
        Prereq::Icmp6 => "icmp6 and no later fragment",
        Prereq::Nd => "icmp6,icmp_type=135 or icmp6,icmp_type=136",
        Prereq::NdSolicit => "icmp6,icmp_type=135,icmp_code=0",
        Prereq::NdAdvert => "icmp6,icmp_type=136,icmp_code=0",
        Prereq::Ct => "ct_state=+trk-inv (or one of +new, +est, +rel, +rpl)",
        Prereq::CtIpv4 => "ip and ct_state=+trk-inv (or one of +new, +est, +rel, +rpl)",
        Prereq::CtIpv6 => "ipv6 and ct_state=+trk-inv (or one of +new, +est, +rel, +rpl)",
    }
}

/// Collects the fields of a match; what depends on the protocol is settled at the end, so that order is free.
pub(super) struct Builder<'a, 'p> {
    ports: &'p dyn PortNames,
    matcher: Match,
    items: Vec<Item<'a>>,
    given: Vec<Given<'a>>,
    /// Whether fields need nothing beside them and take any mask.
    as_is: bool,
}

/// A field that the text names, and what it asked for.
struct Given<'a> {
    name: Piece<'a>,
    field: Field,
    value: u128,
    mask: u128,
    part: bool,
}

impl<'a, 'p> Builder<'a, 'p> {
    pub fn new(ports: &'p dyn PortNames) -> Self {
        Self { ports, matcher: Match::default(), items: Vec::new(), given: Vec::new(), as_is: false }
    }

    /// For a match that tells which bits were looked at, whether or not a packet had the field.
    pub fn as_is(ports: &'p dyn PortNames) -> Self {
        Self { as_is: true, ..Self::new(ports) }
    }

    /// Takes one item of the text: a shorthand or a field.
    pub fn item(&mut self, item: Item<'a>) -> Result<(), SyntaxError> {
        if item.key.text == "eth" {
            return item.no_value();
        }
        if let Some((_, eth, proto)) = SHORTHANDS.iter().find(|(name, ..)| *name == item.key.text) {
            item.no_value()?;
            self.add(item.key, Field::EthType, *eth, Field::EthType.all_ones())?;
            return match proto {
                Some(proto) => self.add(item.key, Field::NwProto, *proto, Field::NwProto.all_ones()),
                None => Ok(()),
            };
        }
        if matches!(item.key.text, "tp_src" | "tp_dst") {
            self.items.push(item);
            return Ok(());
        }
        self.field(item)
    }

    /// The match, with every field's prerequisites checked.
    pub fn finish(mut self) -> Result<Match, SyntaxError> {
        for item in std::mem::take(&mut self.items) {
            self.field(item)?;
        }
        if !self.as_is {
            self.given.iter().try_for_each(|given| self.check(given))?;
        }
        Ok(self.matcher)
    }

    fn field(&mut self, item: Item<'a>) -> Result<(), SyntaxError> {
        let by_name = |name: Piece<'a>| {
            field_by_name(name, &self.matcher).map_err(|mut error| {
                if let Problem::Unknown { .. } = error.problem {
                    error.problem = unknown_field(name.text, &known_words());
                }
                error
            })
        };
        let (name, part) = subfield(item.key, by_name)?;
        let field = part.field;
        let example = format!("{}=VALUE", shorten(name.text));
        let piece = match item.value {
            Value::Plain(_) | Value::None => item.required(&example)?,
            Value::Parens(value) => return Err(SyntaxError::value(value, name.text, example)),
        };
        if piece.text == "*" {
            return Ok(());
        }
        if name != item.key {
            let value = number(piece, item.key.text, part.bits)?;
            return self.given(name, field, value << part.start, part.mask(), true);
        }
        let (field, value, mask) = match field {
            // These three are views of the tag that also say whether there is one.
            Field::DlVlan => match number(piece, name.text, 16)? {
                0xffff => (Field::VlanTci, 0, 0xffff),
                vid @ 0..=0xfff => (Field::VlanTci, vid | VLAN_PRESENT, 0x1fff),
                _ => return Err(SyntaxError::value(piece, name.text, "0 to 4095, or 0xffff for no tag")),
            },
            Field::DlVlanPcp | Field::VlanPcp => {
                let (pcp, _) = field_value(field, name.text, piece, self.ports)?;
                (Field::VlanTci, (pcp << 13) | VLAN_PRESENT, 0xf000)
            }
            Field::VlanVid => {
                let (vid, mask) = field_value(field, name.text, piece, self.ports)?;
                if mask == field.all_ones() && vid != 0 && vid & VLAN_PRESENT == 0 {
                    let sentence = format!(
                        "vlan_vid={} matches no packet, since the bit for \"there is a tag\" is not in it; write {:#x}",
                        piece.text,
                        vid | VLAN_PRESENT
                    );
                    return Err(SyntaxError::refused(piece, sentence));
                }
                (field, vid, mask)
            }
            _ => {
                let read = if self.as_is { any_value } else { field_value };
                let (value, mask) = read(field, name.text, piece, self.ports)?;
                (field, value, mask)
            }
        };
        self.given(name, field, value, mask, false)
    }

    /// Notes a named field and adds it to the match.
    fn given(
        &mut self,
        name: Piece<'a>,
        field: Field,
        value: u128,
        mask: u128,
        part: bool,
    ) -> Result<(), SyntaxError> {
        let views_of_tag = field == Field::VlanTci && name.text != Field::VlanTci.name();
        let twice = self.given.iter().find(|other| {
            let apart = (part && other.part || views_of_tag) && other.mask & mask & !VLAN_PRESENT == 0;
            other.field == field && !apart && (other.value, other.mask) != (value, mask)
        });
        if twice.is_some() {
            let sentence = format!("{} is given twice with different values; leave one out", name.text);
            return Err(SyntaxError::refused(name, sentence));
        }
        self.add(name, field, value, mask)?;
        self.given.push(Given { name, field, value, mask, part });
        Ok(())
    }

    /// Adds to the match what does not contradict it.
    fn add(&mut self, name: Piece<'a>, field: Field, value: u128, mask: u128) -> Result<(), SyntaxError> {
        let both = self.matcher.mask.get(field) & mask;
        if (self.matcher.key.get(field) ^ value) & both != 0 {
            let sentence = format!("{} contradicts what stands before it; leave one out", shorten(name.text));
            return Err(SyntaxError::refused(name, sentence));
        }
        self.matcher.set_masked(field, value, mask);
        Ok(())
    }

    fn check(&self, given: &Given<'_>) -> Result<(), SyntaxError> {
        let met = |prereq| is_met(prereq, &self.matcher);
        let prereq = given.field.info().prereq;
        // Open vSwitch takes the names of the IPv4 fields for the same bits of ARP and ICMPv6.
        let (fine, needs) = match given.field {
            Field::NwSrc | Field::NwDst => (met(Prereq::Ipv4) || met(Prereq::Arp), "ip or arp"),
            Field::NwProto => (met(Prereq::Ip) || met(Prereq::Arp), "ip, ipv6 or arp"),
            Field::IcmpType | Field::IcmpCode => {
                (met(Prereq::Icmp4) || met(Prereq::Icmp6), "icmp or icmp6 and no later fragment")
            }
            Field::CtTpSrc | Field::CtTpDst if exact(&self.matcher, Field::CtNwProto).is_none() => {
                (false, "ct_nw_proto")
            }
            Field::TcpSrc | Field::TcpDst if given.name.text.starts_with("tp_") => {
                (met(prereq), "tcp, udp, sctp or icmp (or their IPv6 forms) and no later fragment")
            }
            _ => (met(prereq), needs(prereq)),
        };
        if fine {
            return Ok(());
        }
        let name = shorten(given.name.text);
        Err(SyntaxError::new(given.name, Problem::Prerequisite { name, needs }))
    }
}

/// What may stand in a flow before the actions beside fields.
fn known_words() -> Vec<&'static str> {
    let shorthands = SHORTHANDS.iter().map(|(name, ..)| *name);
    shorthands.chain(OPTION_NAMES.iter().copied()).chain(["actions"]).collect()
}
