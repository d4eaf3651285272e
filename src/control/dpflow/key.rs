//! What a megaflow matches.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Style;
use crate::packet::field::Form;
use crate::packet::{Field, Mac, PortNo};
use crate::pipeline::Match;

const VLAN_PRESENT: u128 = 0x1000;

/// The keys of a match, in Open vSwitch's order.
pub fn text(matcher: &Match, style: Style<'_>) -> String {
    let mut keys = Keys { matcher, style, keys: Vec::new() };
    keys.context();
    keys.ethernet();
    keys.keys.join(",")
}

/// The value of a field under a mask, as it stands behind `src=` and the like. All of it is matched where `mask` is
/// `all`.
pub(super) fn value(form: Form, value: u128, mask: u128, all: u128) -> String {
    let text = |bits: u128, is_mask: bool| match form {
        Form::Mac => Mac::from_u64(bits as u64).to_string(),
        Form::Ipv4 => Ipv4Addr::from_bits(bits as u32).to_string(),
        Form::Ipv6 => Ipv6Addr::from_bits(bits).to_string(),
        Form::Decimal if !is_mask => bits.to_string(),
        _ if bits == 0 => "0".to_owned(),
        _ => format!("{bits:#x}"),
    };
    if mask == all { text(value, false) } else { format!("{}/{}", text(value, false), text(mask, true)) }
}

/// Collects the keys.
struct Keys<'m> {
    matcher: &'m Match,
    style: Style<'m>,
    keys: Vec<String>,
}

/// A part of a key: its name, its field, and the form in which it is shown.
type Part = (&'static str, Field, Form);

impl Keys<'_> {
    fn get(&self, field: Field) -> (u128, u128) {
        (self.matcher.key.get(field), self.matcher.mask.get(field))
    }

    fn exact(&self, field: Field) -> Option<u128> {
        let (value, mask) = self.get(field);
        (mask == field.all_ones()).then_some(value)
    }

    /// `name=value` of those parts that are matched, or of all where more is to be shown.
    fn parts(&self, parts: &[Part]) -> Vec<String> {
        let part = |(name, field, form): &Part| {
            let (bits, mask) = self.get(*field);
            let shown = value(*form, bits, mask, field.all_ones());
            (mask != 0 || self.style.more).then(|| format!("{name}={shown}"))
        };
        parts.iter().filter_map(part).collect()
    }

    /// `name(…)`, left out where nothing of it is matched.
    fn key(&mut self, name: &str, parts: &[Part]) {
        let parts = self.parts(parts);
        if !parts.is_empty() {
            self.keys.push(format!("{name}({})", parts.join(",")));
        }
    }

    /// `name(value)`, left out where nothing of it is matched.
    fn single(&mut self, name: &str, field: Field) {
        let (bits, mask) = self.get(field);
        if mask != 0 || self.style.more {
            self.keys.push(format!("{name}({})", value(Form::Hex, bits, mask, field.all_ones())));
        }
    }

    /// All that stands before the packet itself.
    fn context(&mut self) {
        self.tunnel();
        self.single("skb_mark", Field::PktMark);
        self.flags("ct_state", Field::CtState);
        for (name, field) in
            [("ct_zone", Field::CtZone), ("ct_mark", Field::CtMark), ("ct_label", Field::CtLabel)]
        {
            self.single(name, field);
        }
        // These two are matched in full, or a packet could meet a flow of another place.
        let recirculation = self.matcher.key.get(Field::RecircId);
        self.keys.push(format!("recirc_id({})", value(Form::Hex, recirculation, 1, 1)));
        self.single("dp_hash", Field::DpHash);
        let port = self.matcher.key.get(Field::InPort);
        let port =
            u16::try_from(port).map_or_else(|_| port.to_string(), |port| self.style.number(PortNo(port)));
        self.keys.push(format!("in_port({port})"));
    }

    fn tunnel(&mut self) {
        let v6 = self.get(Field::TunIpv6Dst).1 != 0 || self.get(Field::TunIpv6Src).1 != 0;
        let (src, dst) = if v6 {
            (("ipv6_src", Field::TunIpv6Src, Form::Ipv6), ("ipv6_dst", Field::TunIpv6Dst, Form::Ipv6))
        } else {
            (("src", Field::TunSrc, Form::Ipv4), ("dst", Field::TunDst, Form::Ipv4))
        };
        let parts = [
            ("tun_id", Field::TunId, Form::Hex),
            src,
            dst,
            ("tos", Field::TunTos, Form::Hex),
            ("ttl", Field::TunTtl, Form::Decimal),
        ];
        let option = super::tunnel::option(self.matcher);
        if option.is_some() || parts.iter().any(|(_, field, _)| self.get(*field).1 != 0) {
            let mut parts = self.parts(&parts);
            parts.extend(option);
            self.keys.push(format!("tunnel({})", parts.join(",")));
        }
    }

    fn ethernet(&mut self) {
        let addresses = [("src", Field::EthSrc, Form::Mac), ("dst", Field::EthDst, Form::Mac)];
        // There even without addresses, or what follows is read as something else than a frame.
        let addresses = self.parts(&addresses).join(",");
        self.keys.push(format!("eth({addresses})"));
        self.tags(&[(Field::VlanTci, Field::VlanTpid), (Field::InnerVlanTci, Field::InnerVlanTpid)]);
    }

    /// The tags that there must be, each around what follows it; then the network.
    fn tags(&mut self, tags: &[(Field, Field)]) {
        let Some(((tci, tpid), inner)) = tags.split_first() else { return self.network() };
        let (bits, mask) = self.get(*tci);
        let there = bits & VLAN_PRESENT != 0 || (mask & VLAN_PRESENT == 0 && mask != 0);
        if !there {
            return self.network();
        }
        let tpid = self.exact(*tpid).filter(|tpid| *tpid != 0).unwrap_or(0x8100);
        let part = |name: &str, shift: u32, ones: u128| {
            let (bits, mask) = (bits >> shift & ones, mask >> shift & ones);
            let form = if mask == 0 { Form::Hex } else { Form::Decimal };
            (mask != 0 || self.style.more).then(|| format!("{name}={}", value(form, bits, mask, ones)))
        };
        let parts: Vec<String> = [part("vid", 0, 0xfff), part("pcp", 13, 7)].into_iter().flatten().collect();
        let mut rest = Keys { matcher: self.matcher, style: self.style, keys: Vec::new() };
        rest.tags(inner);
        let rest = rest.keys.join(",");
        self.keys.push(format!("eth_type({tpid:#06x}),vlan({}),encap({rest})", parts.join(",")));
    }

    fn network(&mut self) {
        let Some(kind) = self.exact(Field::EthType) else { return };
        self.keys.push(format!("eth_type({kind:#06x})"));
        match kind {
            0x0800 => {
                self.ip(
                    "ipv4",
                    &[
                        ("src", Field::NwSrc, Form::Ipv4),
                        ("dst", Field::NwDst, Form::Ipv4),
                        ("proto", Field::NwProto, Form::Decimal),
                        ("tos", Field::NwTos, Form::Hex),
                        ("ttl", Field::NwTtl, Form::Decimal),
                    ],
                );
                self.transport(1);
            }
            0x86dd => {
                self.ip(
                    "ipv6",
                    &[
                        ("src", Field::Ipv6Src, Form::Ipv6),
                        ("dst", Field::Ipv6Dst, Form::Ipv6),
                        ("label", Field::Ipv6Label, Form::Hex),
                        ("proto", Field::NwProto, Form::Decimal),
                        ("tclass", Field::NwTos, Form::Hex),
                        ("hlimit", Field::NwTtl, Form::Decimal),
                    ],
                );
                self.transport(58);
            }
            0x0806 | 0x8035 => self.key(
                "arp",
                &[
                    ("sip", Field::NwSrc, Form::Ipv4),
                    ("tip", Field::NwDst, Form::Ipv4),
                    ("op", Field::ArpOp, Form::Decimal),
                    ("sha", Field::ArpSha, Form::Mac),
                    ("tha", Field::ArpTha, Form::Mac),
                ],
            ),
            _ => {}
        }
    }

    fn ip(&mut self, name: &str, parts: &[Part]) {
        let mut parts = self.parts(parts);
        // Open vSwitch has the first three words; the others are ours for what it never matches apart.
        let fragment = match self.get(Field::IpFrag) {
            (0, 1 | 3) => "no",
            (1, 3) => "first",
            (2 | 3, 2 | 3) => "later",
            (1, 1) => "yes",
            (0, 2) => "not_later",
            _ => "",
        };
        if !fragment.is_empty() {
            parts.push(format!("frag={fragment}"));
        }
        if !parts.is_empty() {
            self.keys.push(format!("{name}({})", parts.join(",")));
        }
    }

    fn transport(&mut self, icmp: u128) {
        let ports = |src, dst| [("src", src, Form::Decimal), ("dst", dst, Form::Decimal)];
        match self.exact(Field::NwProto) {
            Some(6) => {
                self.key("tcp", &ports(Field::TcpSrc, Field::TcpDst));
                self.flags("tcp_flags", Field::TcpFlags);
            }
            Some(17) => self.key("udp", &ports(Field::UdpSrc, Field::UdpDst)),
            Some(132) => self.key("sctp", &ports(Field::SctpSrc, Field::SctpDst)),
            Some(proto) if proto == icmp => {
                let name = if icmp == 1 { "icmp" } else { "icmpv6" };
                let parts =
                    [("type", Field::IcmpType, Form::Decimal), ("code", Field::IcmpCode, Form::Decimal)];
                self.key(name, &parts);
                if matches!((icmp, self.exact(Field::IcmpType)), (58, Some(135 | 136))) {
                    self.discovery();
                }
            }
            _ => {}
        }
    }

    fn discovery(&mut self) {
        self.key(
            "nd",
            &[
                ("target", Field::NdTarget, Form::Ipv6),
                ("sll", Field::NdSll, Form::Mac),
                ("tll", Field::NdTll, Form::Mac),
            ],
        );
        self.key(
            "nd_ext",
            &[
                ("nd_reserved", Field::NdReserved, Form::Hex),
                ("nd_options_type", Field::NdOptionsType, Form::Decimal),
            ],
        );
    }

    /// Flags by their names: with signs where some are matched, joined where all are.
    fn flags(&mut self, name: &str, field: Field) {
        const TCP: &[&str] =
            &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
        const CONNECTION: &[&str] = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
        let names = if field == Field::TcpFlags { TCP } else { CONNECTION };
        let (bits, mask) = self.get(field);
        if mask == 0 {
            if self.style.more {
                self.keys.push(format!("{name}(0/0)"));
            }
            return;
        }
        let all = mask == field.all_ones();
        let mut text = String::new();
        for (flag, number) in names.iter().zip(0..) {
            let (set, matched) = (bits >> number & 1 != 0, mask >> number & 1 != 0);
            if all && set {
                text.push_str(if text.is_empty() { "" } else { "|" });
                text.push_str(flag);
            } else if !all && matched {
                text.push(if set { '+' } else { '-' });
                text.push_str(flag);
            }
        }
        let text = if text.is_empty() { "0" } else { &text };
        self.keys.push(format!("{name}({text})"));
    }
}
