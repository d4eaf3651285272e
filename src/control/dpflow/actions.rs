//! What a megaflow does.

use super::Style;
use super::key::value;
use super::leaving::leaving;
use super::tunnel;
use crate::action::Op;
use crate::packet::Field;
use crate::packet::field::Form;
use crate::pipeline::Match;

/// The actions of a megaflow, `drop` if nothing comes of it.
pub fn text(ops: &[Op], matcher: &Match, style: Style<'_>) -> String {
    let ttl = Field::NwTtl;
    let ttl = (matcher.mask.get(ttl) == ttl.all_ones()).then(|| matcher.key.get(ttl));
    let mut parts = Actions { matcher, style, ttl, parts: Vec::new() }.read(ops);
    if parts.is_empty() {
        parts.push("drop".to_owned());
    }
    parts.join(",")
}

/// One action, or several operations that Open vSwitch has one action for.
enum Part {
    Text(String),
    /// `set(…)` of one header: its name, and what of it.
    Set(&'static str, Vec<Written>),
    /// `push_vlan`, with what has been written into the tag since.
    Push {
        tpid: u16,
        tci: u128,
    },
}

/// A part of a header that is written.
struct Written {
    name: &'static str,
    form: Form,
    value: u128,
    mask: u128,
    all: u128,
}

struct Actions<'m> {
    matcher: &'m Match,
    style: Style<'m>,
    /// The packet's TTL at this place, where the match says it.
    ttl: Option<u128>,
    parts: Vec<Part>,
}

impl Actions<'_> {
    fn read(mut self, ops: &[Op]) -> Vec<String> {
        let mut rest = ops.iter();
        while let Some(op) = rest.next() {
            match op {
                Op::Set { field, value, mask } => self.set(*field, *value, *mask),
                Op::PushVlan { tpid } => self.parts.push(Part::Push { tpid: *tpid, tci: 0 }),
                Op::PopVlan => self.text("pop_vlan".to_owned()),
                Op::DecTtl => self.dec_ttl(),
                Op::Output(place) => self.text(self.style.place(*place)),
                Op::Controller { max_len, reason, cookie, frozen, .. } => {
                    let cookie = value(Form::Hex, (*cookie).into(), 1, 1);
                    self.text(format!(
                        "userspace(pid=0,controller(reason={reason},dont_send=0,continuation={},recirc_id={frozen},\
                         rule_cookie={cookie},controller_id=0,max_len={max_len}))",
                        u8::from(*frozen != 0)
                    ));
                }
                Op::Clone { ops } => {
                    let (inner, after) =
                        rest.as_slice().split_at_checked(usize::from(*ops)).unwrap_or_default();
                    rest = after.iter();
                    let inner = self.apart().read(inner).join(",");
                    if !inner.is_empty() {
                        self.text(format!("clone({inner})"));
                    }
                }
                Op::Meter(id) => self.text(format!("meter({id})")),
                Op::SetMtu(mtu) => self.text(format!("set_mtu({mtu})")),
                Op::Drop(_) => {}
                Op::Tunnel(out) => {
                    self.text(tunnel::set(out));
                    self.text(self.style.tunnel());
                }
                Op::CheckLen { len, larger } => {
                    let (le, none) = (rest.as_slice(), [].iter());
                    rest = none;
                    let shorter = self.apart().read(le).join(",");
                    self.text(format!("check_pkt_len(size={len},gt(recirc({larger:#x})),le({shorter}))"));
                }
                op @ (Op::Become { .. } | Op::Await { .. } | Op::Tell(_)) => {
                    leaving(op).into_iter().for_each(|text| self.text(text));
                }
            }
        }
        self.parts.into_iter().map(Part::text).collect()
    }

    /// What comes next, apart from what was before.
    fn apart(&self) -> Self {
        Self { matcher: self.matcher, style: self.style, ttl: self.ttl, parts: Vec::new() }
    }

    fn text(&mut self, text: String) {
        self.parts.push(Part::Text(text));
    }

    fn dec_ttl(&mut self) {
        match self.ttl.and_then(|ttl| ttl.checked_sub(1)) {
            Some(ttl) => self.set(Field::NwTtl, ttl, Field::NwTtl.all_ones()),
            None => self.text("dec_ttl".to_owned()),
        }
    }

    /// Writes into a header, together with what was written into the same one just before.
    fn set(&mut self, field: Field, bits: u128, mask: u128) {
        if field == Field::NwTtl && mask == field.all_ones() {
            self.ttl = Some(bits);
        }
        if let (Some(Part::Push { tci, .. }), Some(shift)) = (self.parts.last_mut(), tag_shift(field)) {
            *tci = (*tci & !(mask << shift)) | (bits << shift);
            return;
        }
        for written in self.written(field, bits, mask) {
            let (header, written) = written;
            match self.parts.last_mut() {
                Some(Part::Set(last, parts)) if *last == header => {
                    match parts.iter_mut().find(|part| part.name == written.name) {
                        Some(part) => {
                            part.value = (part.value & !written.mask) | written.value;
                            part.mask |= written.mask;
                        }
                        None => parts.push(written),
                    }
                }
                _ => self.parts.push(Part::Set(header, vec![written])),
            }
        }
    }

    /// What is written, by Open vSwitch's names of headers and their parts.
    fn written(&self, field: Field, bits: u128, mask: u128) -> Vec<(&'static str, Written)> {
        let one = |header, name, form| {
            vec![(header, Written { name, form, value: bits, mask, all: field.all_ones() })]
        };
        let arp = matches!(self.matcher.key.get(Field::EthType), 0x0806 | 0x8035);
        let v6 = self.matcher.key.get(Field::EthType) == 0x86dd;
        let ports = match self.matcher.key.get(Field::NwProto) {
            17 => "udp",
            132 => "sctp",
            _ => "tcp",
        };
        let (ip, tos, ttl) = if v6 { ("ipv6", "tclass", "hlimit") } else { ("ipv4", "tos", "ttl") };
        match field {
            Field::EthSrc => one("eth", "src", Form::Mac),
            Field::EthDst => one("eth", "dst", Form::Mac),
            _ if tag_shift(field).is_some() => self.tag(field, bits, mask),
            Field::NwSrc | Field::ArpSpa if arp => one("arp", "sip", Form::Ipv4),
            Field::NwDst | Field::ArpTpa if arp => one("arp", "tip", Form::Ipv4),
            Field::ArpOp => one("arp", "op", Form::Decimal),
            Field::ArpSha => one("arp", "sha", Form::Mac),
            Field::ArpTha => one("arp", "tha", Form::Mac),
            Field::NwSrc => one("ipv4", "src", Form::Ipv4),
            Field::NwDst => one("ipv4", "dst", Form::Ipv4),
            Field::Ipv6Src => one("ipv6", "src", Form::Ipv6),
            Field::Ipv6Dst => one("ipv6", "dst", Form::Ipv6),
            Field::Ipv6Label => one("ipv6", "label", Form::Hex),
            Field::NwTos | Field::IpDscp | Field::NwEcn => {
                let shift = if field == Field::IpDscp { 2 } else { 0 };
                let (value, mask) = (bits << shift, mask << shift);
                vec![(ip, Written { name: tos, form: Form::Hex, value, mask, all: 0xff })]
            }
            Field::NwTtl => one(ip, ttl, Form::Decimal),
            Field::TcpSrc => one(ports, "src", Form::Decimal),
            Field::TcpDst => one(ports, "dst", Form::Decimal),
            Field::UdpSrc => one("udp", "src", Form::Decimal),
            Field::UdpDst => one("udp", "dst", Form::Decimal),
            Field::SctpSrc => one("sctp", "src", Form::Decimal),
            Field::SctpDst => one("sctp", "dst", Form::Decimal),
            Field::IcmpType => one("icmp", "type", Form::Decimal),
            Field::IcmpCode => one("icmp", "code", Form::Decimal),
            Field::Icmpv6Type => one("icmpv6", "type", Form::Decimal),
            Field::Icmpv6Code => one("icmpv6", "code", Form::Decimal),
            Field::NdTarget => one("nd", "target", Form::Ipv6),
            Field::NdSll => one("nd", "sll", Form::Mac),
            Field::NdTll => one("nd", "tll", Form::Mac),
            Field::NdReserved => one("nd_ext", "nd_reserved", Form::Hex),
            Field::NdOptionsType => one("nd_ext", "nd_options_type", Form::Decimal),
            other => one(other.name(), "value", Form::Hex),
        }
    }

    /// Identifier and priority of a tag that is there already.
    fn tag(&self, field: Field, bits: u128, mask: u128) -> Vec<(&'static str, Written)> {
        let shift = tag_shift(field).unwrap_or_default();
        let (bits, mask) = (bits << shift, mask << shift);
        let part = |name, shift: u32, all: u128| {
            let (value, mask) = (bits >> shift & all, mask >> shift & all);
            (mask != 0).then_some(("vlan", Written { name, form: Form::Decimal, value, mask, all }))
        };
        [part("vid", 0, 0xfff), part("pcp", 13, 7)].into_iter().flatten().collect()
    }
}

/// Where a field stands in the outer tag, if it does.
fn tag_shift(field: Field) -> Option<u32> {
    match field {
        Field::VlanTci | Field::DlVlan | Field::VlanVid => Some(0),
        Field::DlVlanPcp | Field::VlanPcp => Some(13),
        _ => None,
    }
}

impl Part {
    fn text(self) -> String {
        match self {
            Part::Text(text) => text,
            Part::Set(header, parts) => {
                let part = |part: &Written| {
                    format!("{}={}", part.name, value(part.form, part.value, part.mask, part.all))
                };
                let parts: Vec<String> = parts.iter().map(part).collect();
                format!("set({header}({}))", parts.join(","))
            }
            Part::Push { tpid, tci } => {
                let tpid = if tpid == 0x8100 { String::new() } else { format!("tpid={tpid:#06x},") };
                format!("push_vlan({tpid}vid={},pcp={})", tci & 0xfff, tci >> 13 & 7)
            }
        }
    }
}
