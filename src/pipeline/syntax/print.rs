//! Flows as ovs-ofctl prints them.

use std::fmt::{self, Display, Formatter, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::actions::MOD_NAMES;
use super::matcher::{SHORTHANDS, VLAN_PRESENT};
use super::value::{FRAGMENTS, all_flags, flow_bits, ones};
use super::{DEFAULT_PRIORITY, FlowOptions, FlowText, Match, PortNames};
use crate::action::intent::{Learn, Log};
use crate::action::{Action, ModKind, Subfield};
use crate::packet::addr::Ipv6Text;
use crate::packet::field::Form;
use crate::packet::{Field, Mac, PortNo};

/// A match, with the priority in front unless it is the default: `priority=100,ip,nw_dst=10.0.0.0/8`.
pub fn print_match(matcher: &Match, priority: u16, ports: &dyn PortNames) -> String {
    let mut parts = MatchParts { matcher, ports, parts: Vec::new() };
    if priority != DEFAULT_PRIORITY {
        parts.parts.push(format!("priority={priority}"));
    }
    parts.collect();
    parts.parts.join(",")
}

/// A list of actions: `drop` for an empty one, else such as `set_field:0x1->reg0,resubmit(,8)`.
pub fn print_actions(actions: &[Action], ports: &dyn PortNames) -> String {
    if actions.is_empty() {
        return "drop".to_owned();
    }
    let shown: Vec<String> = actions.iter().map(|action| ActionText { action, ports }.to_string()).collect();
    shown.join(",")
}

/// A flow in the form in which it is given to a command.
pub fn print_flow(flow: &FlowText, ports: &dyn PortNames) -> String {
    let mut parts = Vec::new();
    match flow.cookie {
        Some((value, mask)) => parts.push(format!("cookie={value:#x}/{mask:#x}")),
        None if flow.options.cookie != 0 => parts.push(format!("cookie={:#x}", flow.options.cookie)),
        None => {}
    }
    // A command that changes flows may both select by cookie and set one.
    if flow.cookie.is_some() && flow.options.cookie != 0 {
        parts.push(format!("cookie={:#x}", flow.options.cookie));
    }
    parts.extend(flow.table.map(|table| format!("table={table}")));
    parts.extend(flow.priority.map(|priority| format!("priority={priority}")));
    parts.extend(flow.out_port.map(|port| format!("out_port={}", PortText { port, ports })));
    parts.extend(timeouts(&flow.options));
    parts.extend(flags(&flow.options).map(str::to_owned));
    parts.extend(importance(&flow.options));
    let matcher = print_match(&flow.matcher, DEFAULT_PRIORITY, ports);
    if !matcher.is_empty() {
        parts.push(matcher);
    }
    let mut out = parts.join(",");
    if let Some(actions) = &flow.actions {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str("actions=");
        out.push_str(&print_actions(actions, ports));
    }
    out
}

/// What a dump shows of a flow's use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Since it was added; shown to the millisecond.
    pub duration: Duration,
    /// Packets it was applied to.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Seconds since the last of them.
    pub idle_age: Option<u64>,
    /// Seconds since it was added or changed, shown where that differs from the duration.
    pub hard_age: Option<u64>,
}

/// All that a line of a dump shows.
#[derive(Clone, Copy, Debug)]
pub struct FlowLine<'f> {
    /// Table.
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// What is matched.
    pub matcher: &'f Match,
    /// Cookie, timeouts and flags.
    pub options: &'f FlowOptions,
    /// The actions.
    pub actions: &'f [Action],
    /// Its use; without it the line is that of `--no-stats`.
    pub counters: Option<Counters>,
}

/// A line of `ovs-ofctl dump-flows`, with the space in front and without the line's end.
pub fn print_flow_line(line: &FlowLine<'_>, ports: &dyn PortNames) -> String {
    let (options, counters) = (line.options, line.counters);
    let mut parts = Vec::new();
    if counters.is_some() || options.cookie != 0 {
        parts.push(format!("cookie={:#x}", options.cookie));
    }
    parts.extend(counters.map(|counters| format!("duration={}", DurationText(counters.duration))));
    if counters.is_some() || line.table != 0 {
        parts.push(format!("table={}", line.table));
    }
    if let Some(counters) = counters {
        parts.push(format!("n_packets={}, n_bytes={}", counters.packets, counters.bytes));
    }
    parts.extend(timeouts(options));
    let mut out = String::from(" ");
    for part in parts {
        out.push_str(&part);
        out.push_str(", ");
    }
    for flag in flags(options) {
        out.push_str(flag);
        out.push(' ');
    }
    let ages = counters.into_iter().flat_map(|counters| {
        let hard_age = counters.hard_age.filter(|age| *age != counters.duration.as_secs());
        let idle = counters.idle_age.map(|age| format!("idle_age={age}"));
        [idle, hard_age.map(|age| format!("hard_age={age}"))]
    });
    for part in importance(options).into_iter().chain(ages.flatten()) {
        out.push_str(&part);
        out.push_str(", ");
    }
    let matcher = print_match(line.matcher, line.priority, ports);
    if !matcher.is_empty() {
        out.push_str(&matcher);
        out.push(' ');
    }
    out.push_str("actions=");
    out.push_str(&print_actions(line.actions, ports));
    out
}

/// Seconds, with thousandths where there are any.
pub struct DurationText(pub Duration);

impl Display for DurationText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            millis => write!(f, "{}.{millis:03}s", self.0.as_secs()),
        }
    }
}

fn timeouts(options: &FlowOptions) -> impl Iterator<Item = String> {
    let all = [("idle_timeout", options.idle_timeout), ("hard_timeout", options.hard_timeout)];
    all.into_iter().filter(|(_, seconds)| *seconds != 0).map(|(name, seconds)| format!("{name}={seconds}"))
}

fn importance(options: &FlowOptions) -> Option<String> {
    (options.importance != 0).then(|| format!("importance={}", options.importance))
}

fn flags(options: &FlowOptions) -> impl Iterator<Item = &'static str> {
    let all = [
        ("send_flow_rem", options.send_flow_rem),
        ("check_overlap", options.check_overlap),
        ("reset_counts", options.reset_counts),
        ("no_packet_counts", options.no_packet_counts),
        ("no_byte_counts", options.no_byte_counts),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name)
}

/// Collects the parts of a match in the order of ovs-ofctl.
struct MatchParts<'m> {
    matcher: &'m Match,
    ports: &'m dyn PortNames,
    parts: Vec<String>,
}

impl MatchParts<'_> {
    fn collect(&mut self) {
        for field in
            [Field::PktMark, Field::RecircId, Field::DpHash, Field::ConjId, Field::CtState, Field::CtZone]
        {
            self.field(field, field.name());
        }
        let connection = [Field::CtMark, Field::CtLabel, Field::CtNwSrc, Field::CtIpv6Src, Field::CtNwDst];
        let connection_end = [Field::CtIpv6Dst, Field::CtNwProto, Field::CtTpSrc, Field::CtTpDst];
        for field in connection.into_iter().chain(connection_end) {
            self.field(field, field.name());
        }
        let (eth, proto) = (self.exact(Field::EthType), self.exact(Field::NwProto));
        // The shorthand with the protocol comes first; one with the Ethernet type alone does for the rest.
        let shorthand = |wanted: Option<u128>| {
            SHORTHANDS.iter().find(|(_, of_eth, of_proto)| Some(*of_eth) == eth && *of_proto == wanted)
        };
        let full = proto.and_then(|proto| shorthand(Some(proto)));
        let short = full.or_else(|| shorthand(None));
        self.parts.extend(short.map(|(name, ..)| (*name).to_owned()));
        for n in 0..16 {
            if let Some(field) = Field::reg(n) {
                self.field(field, field.name());
            }
        }
        let tunnel = Field::ALL.iter().filter(|field| (Field::TunId..=Field::TunIpv6Dst).contains(field));
        let tunnel_last =
            [Field::TunTos, Field::TunTtl, Field::TunGbpId, Field::TunGbpFlags, Field::TunFlags];
        let options =
            Field::ALL.iter().filter(|field| (Field::TunMetadata0..=Field::TunMetadata7).contains(field));
        for field in tunnel.chain(&tunnel_last).chain(options).chain(&[Field::Metadata, Field::InPort]) {
            self.field(*field, field.name());
        }
        self.vlan();
        for field in
            [Field::VlanTpid, Field::InnerVlanTci, Field::InnerVlanTpid, Field::EthSrc, Field::EthDst]
        {
            self.field(field, field.name());
        }
        if short.is_none() {
            self.field(Field::EthType, "dl_type");
        }
        self.network(eth, full.is_some());
        self.transport(eth, proto);
    }

    fn network(&mut self, eth: Option<u128>, proto_is_said: bool) {
        let arp = matches!(eth, Some(0x0806 | 0x8035));
        let (src, dst, proto) =
            if arp { ("arp_spa", "arp_tpa", "arp_op") } else { ("nw_src", "nw_dst", "nw_proto") };
        self.field(Field::NwSrc, src);
        self.field(Field::NwDst, dst);
        for field in [Field::Ipv6Src, Field::Ipv6Dst, Field::Ipv6Label] {
            self.field(field, field.name());
        }
        if !proto_is_said {
            self.field(Field::NwProto, proto);
        }
        if arp {
            self.field(Field::ArpSha, "arp_sha");
            self.field(Field::ArpTha, "arp_tha");
        }
        // The byte has no field of its own: DSCP and ECN are matched apart.
        let (tos, mask) = self.get(Field::NwTos);
        if mask & 0xfc != 0 {
            self.parts.push(format!("nw_tos={}", tos & 0xfc));
        }
        self.field(Field::NwEcn, "nw_ecn");
        self.field(Field::NwTtl, "nw_ttl");
        self.field(Field::IpFrag, "nw_frag");
    }

    fn transport(&mut self, eth: Option<u128>, proto: Option<u128>) {
        let (ipv4, ipv6) = (eth == Some(0x0800), eth == Some(0x86dd));
        if (ipv4 && proto == Some(1)) || (ipv6 && proto == Some(58)) {
            self.field(Field::IcmpType, "icmp_type");
            self.field(Field::IcmpCode, "icmp_code");
        } else {
            self.field(Field::TcpSrc, "tp_src");
            self.field(Field::TcpDst, "tp_dst");
            self.field(Field::TcpFlags, "tcp_flags");
        }
        if ipv4 {
            self.field(Field::IgmpGroup, "igmp_group");
        }
        if ipv6 {
            self.field(Field::NdTarget, "nd_target");
            self.field(Field::NdSll, "nd_sll");
            self.field(Field::NdTll, "nd_tll");
            self.field(Field::NdReserved, "nd_reserved");
            self.field(Field::NdOptionsType, "nd_options_type");
        }
    }

    fn vlan(&mut self) {
        let (tci, mask) = self.get(Field::VlanTci);
        let (vid, pcp) = (mask & 0x0fff, mask & 0xe000);
        let split = tci & VLAN_PRESENT != 0
            && (vid != 0 || pcp != 0)
            && matches!(vid, 0 | 0x0fff)
            && matches!(pcp, 0 | 0xe000);
        if split {
            if vid != 0 {
                self.parts.push(format!("dl_vlan={}", tci & 0x0fff));
            }
            if pcp != 0 {
                self.parts.push(format!("dl_vlan_pcp={}", tci >> 13));
            }
        } else if mask == 0xffff {
            self.parts.push(format!("vlan_tci={tci:#06x}"));
        } else if mask != 0 {
            self.parts.push(format!("vlan_tci={tci:#06x}/{mask:#06x}"));
        }
    }

    fn get(&self, field: Field) -> (u128, u128) {
        (self.matcher.key.get(field), self.matcher.mask.get(field))
    }

    fn exact(&self, field: Field) -> Option<u128> {
        let (value, mask) = self.get(field);
        (mask == field.all_ones()).then_some(value)
    }

    /// `name=value`, if any of the field's bits are matched.
    fn field(&mut self, field: Field, name: &str) {
        let (value, mask) = self.get(field);
        if mask == 0 || (field == Field::NdTll && self.exact(Field::Icmpv6Type) != Some(136)) {
            return;
        }
        if field == Field::NdSll && self.exact(Field::Icmpv6Type) == Some(136) {
            return;
        }
        let exact = mask == field.all_ones();
        let shown = match field {
            Field::EthType if exact => format!("{value:#06x}"),
            Field::Ipv6Label if exact => format!("{value:#07x}"),
            Field::Ipv6Label => format!("{value:#07x}/{mask:#07x}"),
            _ if !exact && is_integer(field.info().form) => format!("{}/{}", Hex(value), Hex(mask)),
            Field::CtZone => value.to_string(),
            _ => ValueText { field, value, mask, ports: self.ports, in_match: true }.to_string(),
        };
        self.parts.push(format!("{name}={shown}"));
    }
}

fn is_integer(form: Form) -> bool {
    matches!(form, Form::Decimal | Form::Hex)
}

/// Hexadecimal with 0x in front, but for zero.
struct Hex(u128);

impl Display for Hex {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_char('0') } else { write!(f, "{:#x}", self.0) }
    }
}

/// A port: reserved name, name, or number.
struct PortText<'p> {
    port: PortNo,
    ports: &'p dyn PortNames,
}

impl Display for PortText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.port == PortNo::NONE {
            return f.write_str("ANY");
        }
        match self.ports.name(self.port) {
            Some(name) if self.port.reserved_name().is_none() && !name.is_empty() && !name.contains('"') => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                // A name that a reserved port or an action has is told apart by the quotes.
                let bare = name.chars().all(word)
                    && !name.starts_with(|c: char| c.is_ascii_digit())
                    && Field::by_name(name).is_none()
                    && !matches!(
                        name.to_ascii_lowercase().as_str(),
                        "in_port" | "normal" | "flood" | "all" | "controller" | "local" | "any" | "none"
                    );
                if bare { f.write_str(name) } else { write!(f, "\"{name}\"") }
            }
            _ => write!(f, "{}", self.port),
        }
    }
}

/// Length of the run of ones at the top of `bits`, if there is nothing else.
fn prefix_length(mask: u128, bits: u16) -> Option<u32> {
    let length = mask.count_ones();
    let zeros = u32::from(bits) - length;
    (mask == (ones(bits) >> zeros).checked_shl(zeros).unwrap_or(0)).then_some(length)
}

/// The value of a field as in a match or in `set_field`.
struct ValueText<'p> {
    field: Field,
    value: u128,
    mask: u128,
    ports: &'p dyn PortNames,
    in_match: bool,
}

impl Display for ValueText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (value, mask) = (self.value, self.mask);
        let form = self.field.info().form;
        if let Some(names) = form.flag_names() {
            return self.flags(f, names);
        }
        let exact = mask == self.field.all_ones() || (self.field == Field::NwTos && mask == 0xfc);
        match form {
            Form::Frag => match FRAGMENTS.iter().find(|(_, v, m)| (*v, *m) == (value, mask)) {
                Some((word, ..)) => return f.write_str(word),
                None => return write!(f, "{}/{}", Hex(value), Hex(mask)),
            },
            // Numbers of ports have sixteen bits.
            Form::Port => return write!(f, "{}", PortText { port: PortNo(value as u16), ports: self.ports }),
            Form::Mac => write!(f, "{}", Mac::from_u64(value as u64))?,
            Form::Ipv4 => write!(f, "{}", Ipv4Addr::from_bits(value as u32))?,
            Form::Ipv6 => write!(f, "{}", Ipv6Text(value))?,
            _ if form == Form::Decimal || matches!(self.field, Field::NdReserved | Field::VlanVid) => {
                write!(f, "{value}")?;
            }
            _ => write!(f, "{}", Hex(value))?,
        }
        if exact {
            return Ok(());
        }
        f.write_char('/')?;
        match (form, prefix_length(mask, self.field.bits())) {
            (Form::Ipv4 | Form::Ipv6, Some(length)) => write!(f, "{length}"),
            (Form::Ipv4, None) => write!(f, "{}", Ipv4Addr::from_bits(mask as u32)),
            (Form::Ipv6, None) => write!(f, "{}", Ipv6Text(mask)),
            (Form::Mac, _) => write!(f, "{}", Mac::from_u64(mask as u64)),
            _ => write!(f, "{}", Hex(mask)),
        }
    }
}

impl ValueText<'_> {
    fn flags(&self, f: &mut Formatter<'_>, names: &[&str]) -> fmt::Result {
        let all = all_flags(names);
        // A field of one flag is said by sign in matches, as ovs-ofctl does it.
        let by_sign = self.mask & all != all || (self.in_match && names.len() == 1);
        if !by_sign && self.value & all == 0 {
            return f.write_char('0');
        }
        let mut first = true;
        for (bit, name) in names.iter().enumerate().map(|(bit, name)| (1u128 << bit, name)) {
            if by_sign && self.mask & bit != 0 {
                f.write_char(if self.value & bit != 0 { '+' } else { '-' })?;
                f.write_str(name)?;
            } else if !by_sign && self.value & bit != 0 {
                f.write_str(if first { "" } else { "|" })?;
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}

/// The value of a field in its own form, of a part of one as a number.
pub fn print_part(of: Subfield, value: u128, ports: &dyn PortNames) -> String {
    match of.start == 0 && of.bits == flow_bits(of.field) {
        true => {
            let mask = of.field.all_ones();
            ValueText { field: of.field, value, mask, ports, in_match: true }.to_string()
        }
        false => Hex(value).to_string(),
    }
}

/// A part of a field under its NXM or OXM name.
pub struct SubfieldText(
    /// The part.
    pub Subfield,
);

impl Display for SubfieldText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subfield { field, start, bits } = self.0;
        let is_wire_name = |alias: &&&str| alias.starts_with(|c: char| c.is_ascii_uppercase());
        let alias = field.info().aliases.iter().find(is_wire_name);
        f.write_str(alias.copied().unwrap_or(field.name()))?;
        match bits {
            bits if start == 0 && bits == flow_bits(field) => f.write_str("[]"),
            1 => write!(f, "[{start}]"),
            _ => write!(f, "[{start}..{}]", start + bits - 1),
        }
    }
}

/// Actions behind what they belong to.
struct Inner<'a> {
    actions: &'a [Action],
    ports: &'a dyn PortNames,
}

impl Display for Inner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.actions {
            [] => Ok(()),
            actions => write!(f, ",{}", print_actions(actions, self.ports)),
        }
    }
}

fn log_text(f: &mut Formatter<'_>, log: &Log) -> fmt::Result {
    f.write_str("log(")?;
    if !log.name.is_empty() {
        write!(f, "name=\"{}\",", log.name.replace('"', "'"))?;
    }
    if let Some(verdict) = log.verdict {
        write!(f, "verdict={},", verdict.name())?;
    }
    write!(f, "severity={}", log.severity.name())?;
    if let Some(meter) = log.meter {
        write!(f, ",meter={meter}")?;
    }
    f.write_char(')')
}

/// The name that ovs-ofctl prints where a field is set or hashed.
pub(super) fn set_field_name(field: Field) -> &'static str {
    match field {
        Field::EthSrc => "eth_src",
        Field::EthDst => "eth_dst",
        Field::NwSrc => "ip_src",
        Field::NwDst => "ip_dst",
        field => field.name(),
    }
}

/// A value of a field without a mask.
pub(super) fn print_value(field: Field, value: u128) -> String {
    ValueText { field, value, mask: field.all_ones(), ports: &(), in_match: false }.to_string()
}

struct ActionText<'a> {
    action: &'a Action,
    ports: &'a dyn PortNames,
}

impl Display for ActionText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ports = self.ports;
        match self.action {
            Action::Output(port) => match port.reserved_name() {
                Some(name) => f.write_str(name),
                None => write!(f, "output:{}", PortText { port: *port, ports }),
            },
            Action::OutputField(src) => write!(f, "output:{}", SubfieldText(*src)),
            Action::Controller { max_len, reason: 1, id: 0, pause: false } => {
                write!(f, "CONTROLLER:{max_len}")
            }
            Action::Controller { max_len, reason, id, pause } => {
                let reason = match reason {
                    0 => Some("reason=no_match".to_owned()),
                    2 => Some("reason=invalid_ttl".to_owned()),
                    _ => None,
                };
                let max_len = (*max_len != u16::MAX).then(|| format!("max_len={max_len}"));
                let id = (*id != 0).then(|| format!("id={id}"));
                let pause = pause.then(|| "pause".to_owned());
                let options: Vec<String> = [reason, max_len, id, pause].into_iter().flatten().collect();
                write!(f, "controller({})", options.join(","))
            }
            Action::Resubmit { port: Some(port), table: None } => {
                write!(f, "resubmit:{}", PortText { port: *port, ports })
            }
            Action::Resubmit { port, table } => {
                f.write_str("resubmit(")?;
                if let Some(port) = port {
                    write!(f, "{}", PortText { port: *port, ports })?;
                }
                f.write_char(',')?;
                if let Some(table) = table {
                    write!(f, "{table}")?;
                }
                f.write_char(')')
            }
            Action::GotoTable(table) => write!(f, "goto_table:{table}"),
            Action::WriteMetadata { value, mask: u64::MAX } => {
                write!(f, "write_metadata:{}", Hex((*value).into()))
            }
            Action::WriteMetadata { value, mask } => {
                write!(f, "write_metadata:{}/{}", Hex((*value).into()), Hex((*mask).into()))
            }
            Action::SetField { field, value, mask } => {
                let (field, value, mask) = (*field, *value, *mask);
                let name = set_field_name(field);
                let value = ValueText { field, value, mask, ports, in_match: false };
                write!(f, "set_field:{value}->{name}")
            }
            Action::Load { value, dst } => write!(f, "load:{}->{}", Hex(*value), SubfieldText(*dst)),
            Action::Move { src, dst } => write!(f, "move:{}->{}", SubfieldText(*src), SubfieldText(*dst)),
            Action::Mod { kind, value } => modify(f, *kind, *value),
            Action::PushVlan(tpid) => write!(f, "push_vlan:{tpid:#06x}"),
            Action::PopVlan => f.write_str("pop_vlan"),
            Action::PushStack(src) => write!(f, "push:{}", SubfieldText(*src)),
            Action::PopStack(dst) => write!(f, "pop:{}", SubfieldText(*dst)),
            Action::DecTtl => f.write_str("dec_ttl"),
            Action::Clone(actions) => write!(f, "clone({})", print_actions(actions, ports)),
            Action::CtClear => f.write_str("ct_clear"),
            Action::CheckPktLarger { len, dst } => {
                write!(f, "check_pkt_larger({len})->{}", SubfieldText(*dst))
            }
            Action::Become { kind, actions } => {
                write!(f, "reply({}{})", kind.name(), Inner { actions, ports })
            }
            Action::Await { port, ip, actions } => {
                let (port, ip) = (SubfieldText(*port), SubfieldText(*ip));
                write!(f, "wait_neighbour({port},{ip}{})", Inner { actions, ports })
            }
            Action::Learn(Learn::Neighbour { port, ip, mac }) => {
                let (port, ip, mac) = (SubfieldText(*port), SubfieldText(*ip), SubfieldText(*mac));
                write!(f, "learn_neighbour(port={port},ip={ip},mac={mac})")
            }
            Action::Learn(Learn::Fdb { port, mac }) => {
                write!(f, "learn_fdb(port={},mac={})", SubfieldText(*port), SubfieldText(*mac))
            }
            Action::Log(log) => log_text(f, log),
            Action::Conjunction { id, clause, of } => write!(f, "conjunction({id},{clause}/{of})"),
            Action::Group(id) => write!(f, "group:{id}"),
            Action::Meter(id) => write!(f, "meter:{id}"),
            Action::SetMtu(mtu) => write!(f, "set_mtu:{mtu}"),
        }
    }
}

fn modify(f: &mut Formatter<'_>, kind: ModKind, value: u64) -> fmt::Result {
    let name = MOD_NAMES.iter().find(|(_, of)| *of == kind).map_or("", |(name, _)| name);
    match kind {
        ModKind::DlSrc | ModKind::DlDst => write!(f, "{name}:{}", Mac::from_u64(value)),
        ModKind::NwSrc | ModKind::NwDst => write!(f, "{name}:{}", Ipv4Addr::from_bits(value as u32)),
        _ => write!(f, "{name}:{value}"),
    }
}
