//! Actions as text, in the form in which OVN prints them.

use std::fmt::{Display, Formatter, Result};
use std::net::{IpAddr, Ipv4Addr};

use super::ast::{
    Action, Backend, CommitLbAff, CtCommitArgs, DhcpRelay, FwdGroup, GetFdb, LoadBalance, Log, LookupBinding,
    LookupBindingIp, Nat, NatZone, Next, NextForm, ObsPoint, OptionValue, Pipeline, PutOptions, ReplyField,
    Sample, Select, Severity, SnatFlag, Transport, TriggerEvent, Verdict,
};
use crate::logical::lex::Quoted;
use crate::packet::addr::Ipv6Text;

/// Prints a list of actions with a blank between them; an empty list is `drop;`.
pub struct List<'a>(pub &'a [Action]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.is_empty() {
            return f.write_str("drop;");
        }
        for (index, action) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            action.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let word = self.kind().row().name;
        match self {
            Action::Next(next) => next.fmt(f),
            Action::Load { dst, value } => write!(f, "{dst} = {value};"),
            Action::LoadReply { field: field @ ReplyField::Icmp4InnerIp4Src, value } => {
                write!(f, "{} = {};", field.name(), Ipv4Addr::from_bits(*value))
            }
            Action::LoadReply { field, value } => write!(f, "{} = {value};", field.name()),
            Action::Move { dst, src } => write!(f, "{dst} = {src};"),
            Action::Exchange(left, right) => write!(f, "{left} <-> {right};"),
            Action::Push(field) | Action::Pop(field) | Action::HandleSvcCheck(field) => {
                write!(f, "{word}({field});")
            }

            Action::CtCommit(nested) if nested.is_empty() => f.write_str("ct_commit;"),
            Action::CtNext(zone) | Action::CtCommitNat(zone) => match zone {
                Some(zone) => write!(f, "{word}({});", zone.name()),
                None => write!(f, "{word};"),
            },
            Action::CtCommitToZone(zone) => write!(f, "{word}({});", zone.name()),
            Action::CtCommitArgs(args) => args.fmt(f),
            Action::CtDnat(nat)
            | Action::CtSnat(nat)
            | Action::CtDnatInCzone(nat)
            | Action::CtSnatInCzone(nat) => match nat {
                Some(nat) => write!(f, "{word}({nat});"),
                None => write!(f, "{word};"),
            },
            Action::CtLb(balance) | Action::CtLbMark(balance) | Action::CtLbMarkLocal(balance) => {
                write!(f, "{word}{balance};")
            }
            Action::Select(select) => select.fmt(f),

            Action::CtNwDst(dst)
            | Action::CtIp6Dst(dst)
            | Action::CtTpDst(dst)
            | Action::CtProto(dst)
            | Action::CtStateSave(dst)
            | Action::DnsLookup(dst)
            | Action::CheckInPortSec(dst)
            | Action::CheckOutPortSec(dst)
            | Action::ChkLbHairpin(dst)
            | Action::ChkLbHairpinReply(dst)
            | Action::ChkLbAff(dst)
            | Action::ChkEcmpNhMac(dst)
            | Action::ChkEcmpNh(dst) => write!(f, "{dst} = {word}();"),

            Action::GetArp(get) | Action::GetNd(get) => write!(f, "{word}({}, {});", get.port, get.ip),
            Action::PutArp(put) | Action::PutNd(put) => {
                write!(f, "{word}({}, {}, {});", put.port, put.ip, put.mac)
            }
            Action::LookupArp(lookup) | Action::LookupNd(lookup) => {
                let LookupBinding { dst, port, ip, mac } = lookup;
                write!(f, "{dst} = {word}({port}, {ip}, {mac});")
            }
            Action::LookupArpIp(lookup) | Action::LookupNdIp(lookup) => {
                let LookupBindingIp { dst, port, ip } = lookup;
                write!(f, "{dst} = {word}({port}, {ip});")
            }
            Action::ChkEvpnArp { dst, ip } => write!(f, "{dst} = {word}({ip});"),
            Action::PutFdb { port, mac } => write!(f, "{word}({port}, {mac});"),
            Action::GetFdb(GetFdb { dst, mac }) | Action::GetRemoteFdb(GetFdb { dst, mac }) => {
                write!(f, "{dst} = {word}({mac});")
            }
            Action::LookupFdb { dst, port, mac } => write!(f, "{dst} = {word}({port}, {mac});"),

            Action::PutDhcpOpts(put) | Action::PutDhcpv6Opts(put) | Action::PutNdRaOpts(put) => {
                let PutOptions { dst, options } = put;
                write!(f, "{dst} = {word}({});", Options(options))
            }
            Action::DhcpRelayReqChk(relay) | Action::DhcpRelayRespChk(relay) => {
                let DhcpRelay { dst, relay, server } = relay;
                write!(f, "{dst} = {word}({relay}, {server});")
            }
            Action::CheckPktLarger { dst, bytes } => write!(f, "{dst} = {word}({bytes});"),
            Action::CommitEcmpNh { ipv6, proto } => {
                write!(f, "{word}(ipv6 = {ipv6}, proto = {});", proto.name())
            }
            Action::CommitLbAff(aff) => aff.fmt(f),
            Action::FwdGroup(group) => group.fmt(f),

            Action::SetQueue(queue) => write!(f, "{word}({queue});"),
            Action::SetMeter { rate, burst: 0 } => write!(f, "{word}({rate});"),
            Action::SetMeter { rate, burst } => write!(f, "{word}({rate}, {burst});"),
            Action::Log(log) => log.fmt(f),
            Action::Sample(sample) => sample.fmt(f),
            Action::Mirror(port) => write!(f, "{word}({});", Quoted(port)),
            Action::TriggerEvent(TriggerEvent { event, options }) => {
                write!(f, "{word}(event = \"{}\"", event.name())?;
                if !options.is_empty() {
                    write!(f, ", {}", Options(options))?;
                }
                f.write_str(");")
            }
            Action::BindVport { vport, parent } => write!(f, "{word}({}, {parent});", Quoted(vport)),
            Action::HandleBfdMsg => write!(f, "{word}();"),

            Action::CtCommit(nested)
            | Action::Clone(nested)
            | Action::Arp(nested)
            | Action::Icmp4(nested)
            | Action::Icmp4Error(nested)
            | Action::Icmp6(nested)
            | Action::Icmp6Error(nested)
            | Action::TcpReset(nested)
            | Action::SctpAbort(nested)
            | Action::Reject(nested)
            | Action::NdNs(nested)
            | Action::NdNa(nested)
            | Action::NdNaRouter(nested) => write!(f, "{word} {{ {} }};", List(nested)),

            Action::Output
            | Action::DecTtl
            | Action::CtClear
            | Action::CtSnatToVip
            | Action::MacCacheUse
            | Action::HandleDhcpv6Reply
            | Action::FloodRemote
            | Action::Igmp => write!(f, "{word};"),
        }
    }
}

impl Pipeline {
    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Pipeline::Ingress => "ingress",
            Pipeline::Egress => "egress",
        }
    }
}

impl Display for Next {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Next { pipeline, table, form } = self;
        match form {
            NextForm::Following => f.write_str("next;"),
            NextForm::Table => write!(f, "next({table});"),
            NextForm::Pipeline => write!(f, "next(pipeline={}, table={table});", pipeline.name()),
        }
    }
}

impl ReplyField {
    /// All of them.
    pub const ALL: [ReplyField; 3] = [Self::Icmp4FragMtu, Self::Icmp6FragMtu, Self::Icmp4InnerIp4Src];

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icmp4FragMtu => "icmp4.frag_mtu",
            Self::Icmp6FragMtu => "icmp6.frag_mtu",
            Self::Icmp4InnerIp4Src => "icmp4.inner_ip4.src",
        }
    }

    /// How many bits it has.
    pub fn width(self) -> u16 {
        match self {
            Self::Icmp4FragMtu => 16,
            Self::Icmp6FragMtu | Self::Icmp4InnerIp4Src => 32,
        }
    }
}

impl NatZone {
    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            NatZone::Dnat => "dnat",
            NatZone::Snat => "snat",
        }
    }
}

impl Display for CtCommitArgs {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("ct_commit(")?;
        if let Some((value, mask)) = self.mark {
            write!(f, "ct_mark={value:#x}")?;
            if mask != u32::MAX {
                write!(f, "/{mask:#x}")?;
            }
        }
        if let Some((value, mask)) = self.label {
            let comma = if self.mark.is_some() { ", " } else { "" };
            write!(f, "{comma}ct_label={value:#x}")?;
            if mask != u128::MAX {
                write!(f, "/{mask:#x}")?;
            }
        }
        f.write_str(");")
    }
}

/// Prints an address as the constants of the language are.
struct Ip(IpAddr);

impl Display for Ip {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => Ipv6Text(ip.to_bits()).fmt(f),
        }
    }
}

impl Display for Nat {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Ip(self.ip).fmt(f)?;
        let Some(ports) = self.ports else { return Ok(()) };
        write!(f, ",{}", ports.first)?;
        match ports.last {
            Some(last) => write!(f, "-{last}"),
            None => Ok(()),
        }
    }
}

impl Display for LoadBalance {
    /// With its parentheses, which it does without where there are no backends.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.backends.is_empty() {
            return Ok(());
        }
        f.write_str("(backends=")?;
        for (index, backend) in self.backends.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            backend.fmt(f)?;
        }
        if let Some(fields) = &self.hash_fields {
            write!(f, "; hash_fields={}", Quoted(fields))?;
        }
        if let Some(flag) = self.flag {
            write!(f, "; {}", flag.name())?;
        }
        f.write_str(")")
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(lport) = &self.lport {
            write!(f, "{}:", Quoted(lport))?;
        }
        match (self.ip, self.port) {
            // Behind a colon an address that begins with two could not be told from it.
            (ip @ IpAddr::V6(_), 0) if self.lport.is_some() => write!(f, "[{}]", Ip(ip)),
            (ip, 0) => Ip(ip).fmt(f),
            (ip @ IpAddr::V4(_), port) => write!(f, "{}:{port}", Ip(ip)),
            (ip @ IpAddr::V6(_), port) => write!(f, "[{}]:{port}", Ip(ip)),
        }
    }
}

impl SnatFlag {
    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            SnatFlag::Skip => "skip_snat",
            SnatFlag::Force => "force_snat",
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} = select(", self.dst)?;
        if self.hash_fields.is_some() {
            f.write_str("values=(")?;
        }
        for (index, (member, weight)) in self.members.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{member}={weight}")?;
        }
        match &self.hash_fields {
            Some(fields) => write!(f, "); hash_fields={});", Quoted(fields)),
            None => f.write_str(");"),
        }
    }
}

/// Prints options as arguments.
struct Options<'a>(&'a [OptionValue]);

impl Display for Options<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, OptionValue { option, value }) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} = {value}", option.name)?;
        }
        Ok(())
    }
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }
}

/// Prints an address and a port as a load balancer's key; IPv6 always has brackets.
struct Endpoint((IpAddr, u16));

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0.0 {
            ip @ IpAddr::V4(_) => Ip(ip).fmt(f)?,
            ip @ IpAddr::V6(_) => write!(f, "[{}]", Ip(ip))?,
        }
        match self.0.1 {
            0 => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

impl Display for CommitLbAff {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { vip, backend, proto, timeout } = *self;
        write!(f, "commit_lb_aff(vip = \"{}\", backend = \"{}\", ", Endpoint(vip), Endpoint(backend))?;
        if let Some(proto) = proto {
            write!(f, "proto = {}, ", proto.name())?;
        }
        write!(f, "timeout = {timeout});")
    }
}

impl Display for FwdGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("fwd_group(")?;
        if self.liveness {
            f.write_str("liveness=\"true\", ")?;
        }
        for (index, port) in self.child_ports.iter().enumerate() {
            let before = if index > 0 { ", " } else { "childports=" };
            write!(f, "{before}{}", Quoted(port))?;
        }
        f.write_str(");")
    }
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 4] = [Self::Allow, Self::Drop, Self::Reject, Self::Pass];

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Drop => "drop",
            Verdict::Reject => "reject",
            Verdict::Pass => "pass",
        }
    }
}

impl Severity {
    /// All of them.
    pub const ALL: [Severity; 5] = [Self::Alert, Self::Warning, Self::Notice, Self::Info, Self::Debug];

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Alert => "alert",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Info => "info",
            Severity::Debug => "debug",
        }
    }
}

impl Display for Log {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("log(")?;
        if let Some(name) = &self.name {
            write!(f, "name={}, ", Quoted(name))?;
        }
        write!(f, "verdict={}, severity={}", self.verdict.name(), self.severity.name())?;
        if let Some(meter) = &self.meter {
            write!(f, ", meter={}", Quoted(meter))?;
        }
        f.write_str(");")
    }
}

impl Display for Sample {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { probability, collector_set, obs_domain, obs_point } = self;
        write!(f, "sample(probability={probability},collector_set={collector_set},obs_domain={obs_domain},")?;
        match obs_point {
            ObsPoint::Number(number) => write!(f, "obs_point={number});"),
            ObsPoint::Cookie => f.write_str("obs_point=$cookie);"),
            ObsPoint::Field(field) => write!(f, "obs_point={field});"),
        }
    }
}
