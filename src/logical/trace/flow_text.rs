//! A packet as Open vSwitch writes the flow it belongs to: every field that the packet has, in OVS's order.
//!
//! Context that is zero (registers, connection, marks) is left out, as OVS does for packets. A logical packet has no
//! tunnel and no labels of MPLS; of the latter OVS shows the zeros.

use std::fmt::{self, Display, Formatter};
use std::net::Ipv4Addr;

use crate::packet::addr::Ipv6Text;
use crate::packet::field::Form;
use crate::packet::{Field, FlowKey, Mac};

/// Bit of a tag's TCI that says there is a tag.
const TAGGED: u128 = 0x1000;
/// Transport protocols of which OVS reads ports or types.
const TRANSPORTS: [u128; 6] = [1, 2, 6, 17, 58, 132];

/// The flags of a value, such as `est|trk`; `0` if there are none.
pub(super) struct Flags {
    pub value: u128,
    pub form: Form,
}

impl Display for Flags {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.form.flag_names().unwrap_or_default().iter().enumerate();
        let mut between = "";
        for (_, name) in names.filter(|(bit, _)| self.value >> bit & 1 == 1) {
            write!(f, "{between}{name}")?;
            between = "|";
        }
        if between.is_empty() { f.write_str("0") } else { Ok(()) }
    }
}

/// Displays a key as `flow_format` of Open vSwitch 3.1 does.
pub struct FlowText<'k>(
    /// The key.
    pub &'k FlowKey,
);

impl Display for FlowText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts = Parts { key: self.0, f, some: false };
        parts.context()?;
        let said = parts.protocol()?;
        parts.registers()?;
        parts.ethernet(said)?;
        parts.network(said)?;
        parts.transport()
    }
}

/// What the protocol's name, which comes first, has said already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    EthernetType,
    Protocol,
}

struct Parts<'k, 'f, 'b> {
    key: &'k FlowKey,
    f: &'f mut Formatter<'b>,
    /// Whether something is written, so that a comma is due.
    some: bool,
}

impl Parts<'_, '_, '_> {
    fn put(&mut self, part: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.some, true) {
            self.f.write_str(",")?;
        }
        self.f.write_fmt(part)
    }

    fn get(&self, field: Field) -> u128 {
        self.key.get(field)
    }

    fn unless_zero(&mut self, name: &str, field: Field) -> fmt::Result {
        match self.get(field) {
            0 => Ok(()),
            value => self.put(format_args!("{name}={value:#x}")),
        }
    }

    fn decimal(&mut self, name: &str, field: Field) -> fmt::Result {
        self.put(format_args!("{name}={}", self.get(field)))
    }

    fn mac(&mut self, name: &str, field: Field) -> fmt::Result {
        self.put(format_args!("{name}={}", Mac::from_u64(self.get(field) as u64)))
    }

    fn ipv4(&mut self, name: &str, field: Field) -> fmt::Result {
        self.put(format_args!("{name}={}", Ipv4Addr::from_bits(self.get(field) as u32)))
    }

    fn ipv6(&mut self, name: &str, field: Field) -> fmt::Result {
        self.put(format_args!("{name}={}", Ipv6Text(self.get(field))))
    }

    fn is_ipv4(&self) -> bool {
        self.get(Field::EthType) == 0x0800
    }

    fn is_ipv6(&self) -> bool {
        self.get(Field::EthType) == 0x86dd
    }

    fn is_arp(&self) -> bool {
        matches!(self.get(Field::EthType), 0x0806 | 0x8035)
    }

    fn is_mpls(&self) -> bool {
        matches!(self.get(Field::EthType), 0x8847 | 0x8848)
    }

    fn context(&mut self) -> fmt::Result {
        for field in [Field::PktMark, Field::RecircId, Field::DpHash] {
            self.unless_zero(field.name(), field)?;
        }
        let state = self.get(Field::CtState);
        if state != 0 {
            self.put(format_args!("ct_state={}", Flags { value: state, form: Form::CtState }))?;
        }
        if self.get(Field::CtZone) != 0 {
            self.decimal("ct_zone", Field::CtZone)?;
        }
        self.unless_zero("ct_mark", Field::CtMark)?;
        self.unless_zero("ct_label", Field::CtLabel)?;
        // The original addresses of a connection are shown where the state says that there is one.
        let valid = state & 0b1100_1111 != 0 || state & 0b11_0000 == 0b10_0000;
        if valid && self.get(Field::CtNwProto) != 0 && (self.is_ipv4() || self.is_ipv6()) {
            if self.is_ipv4() {
                self.ipv4("ct_nw_src", Field::CtNwSrc)?;
                self.ipv4("ct_nw_dst", Field::CtNwDst)?;
            } else if !self.is_discovery() {
                self.ipv6("ct_ipv6_src", Field::CtIpv6Src)?;
                self.ipv6("ct_ipv6_dst", Field::CtIpv6Dst)?;
            }
            for field in [Field::CtNwProto, Field::CtTpSrc, Field::CtTpDst] {
                self.decimal(field.name(), field)?;
            }
        }
        Ok(())
    }

    /// The word for the packet's protocol, if it has one.
    fn protocol(&mut self) -> Result<Said, fmt::Error> {
        let proto = self.get(Field::NwProto);
        let (word, said) = match (self.get(Field::EthType), proto) {
            (0x0800, 1) => ("icmp", Said::Protocol),
            (0x0800, 6) => ("tcp", Said::Protocol),
            (0x0800, 17) => ("udp", Said::Protocol),
            (0x0800, 132) => ("sctp", Said::Protocol),
            (0x0800, _) => ("ip", Said::EthernetType),
            (0x86dd, 58) => ("icmp6", Said::Protocol),
            (0x86dd, 6) => ("tcp6", Said::Protocol),
            (0x86dd, 17) => ("udp6", Said::Protocol),
            (0x86dd, 132) => ("sctp6", Said::Protocol),
            (0x86dd, _) => ("ipv6", Said::EthernetType),
            (0x0806, _) => ("arp", Said::EthernetType),
            (0x8035, _) => ("rarp", Said::EthernetType),
            (0x8847, _) => ("mpls", Said::EthernetType),
            (0x8848, _) => ("mplsm", Said::EthernetType),
            _ => return Ok(Said::Nothing),
        };
        self.put(format_args!("{word}"))?;
        Ok(said)
    }

    fn registers(&mut self) -> fmt::Result {
        for field in (0..16).filter_map(Field::reg) {
            self.unless_zero(field.name(), field)?;
        }
        self.unless_zero("metadata", Field::Metadata)?;
        match self.get(Field::InPort) {
            0 => Ok(()),
            port => self.put(format_args!("in_port={port}")),
        }
    }

    fn ethernet(&mut self, said: Said) -> fmt::Result {
        let (outer, inner) = (self.get(Field::VlanTci), self.get(Field::InnerVlanTci));
        self.tag("", outer)?;
        // The first tag that is not there is shown as one of zeros.
        if outer != 0 {
            self.tag("1", inner)?;
        }
        self.mac("dl_src", Field::EthSrc)?;
        self.mac("dl_dst", Field::EthDst)?;
        if said == Said::Nothing {
            self.put(format_args!("dl_type={:#06x}", self.get(Field::EthType)))?;
        }
        Ok(())
    }

    fn tag(&mut self, number: &str, tci: u128) -> fmt::Result {
        if tci & TAGGED == 0 {
            return self.put(format_args!("vlan_tci{number}={tci:#06x}"));
        }
        self.put(format_args!("dl_vlan{number}={}", tci & 0x0fff))?;
        self.put(format_args!("dl_vlan_pcp{number}={}", tci >> 13))
    }

    fn network(&mut self, said: Said) -> fmt::Result {
        if self.is_arp() {
            self.ipv4("arp_spa", Field::ArpSpa)?;
            self.ipv4("arp_tpa", Field::ArpTpa)?;
            self.decimal("arp_op", Field::ArpOp)?;
            self.mac("arp_sha", Field::ArpSha)?;
            return self.mac("arp_tha", Field::ArpTha);
        }
        if self.is_mpls() {
            for name in ["mpls_label", "mpls_tc", "mpls_ttl", "mpls_bos", "mpls_lse1", "mpls_lse2"] {
                self.put(format_args!("{name}=0"))?;
            }
            return Ok(());
        }
        if self.is_ipv4() {
            self.ipv4("nw_src", Field::NwSrc)?;
            self.ipv4("nw_dst", Field::NwDst)?;
        } else if self.is_ipv6() {
            self.ipv6("ipv6_src", Field::Ipv6Src)?;
            self.ipv6("ipv6_dst", Field::Ipv6Dst)?;
            self.put(format_args!("ipv6_label={:#07x}", self.get(Field::Ipv6Label)))?;
        } else {
            return Ok(());
        }
        if said != Said::Protocol {
            self.decimal("nw_proto", Field::NwProto)?;
        }
        self.put(format_args!("nw_tos={}", self.get(Field::NwTos) & 0xfc))?;
        self.decimal("nw_ecn", Field::NwEcn)?;
        self.decimal("nw_ttl", Field::NwTtl)?;
        let fragment = match self.get(Field::IpFrag) {
            0 => "no",
            1 => "first",
            2 => "<error>",
            _ => "later",
        };
        self.put(format_args!("nw_frag={fragment}"))
    }

    fn transport(&mut self) -> fmt::Result {
        let proto = self.get(Field::NwProto);
        // A later fragment has none of this, but OVS looks for neighbour discovery all the same, at the code first and
        // at the type where the code is 0, and shows what it has looked at.
        let is_icmp6 = self.is_ipv6() && proto == 58;
        let is_later = self.get(Field::IpFrag) & 2 != 0;
        if !(self.is_ipv4() || self.is_ipv6()) || (is_later && !is_icmp6) || !TRANSPORTS.contains(&proto) {
            return Ok(());
        }
        if is_icmp6 || (self.is_ipv4() && proto == 1) {
            // Type and code stand where others have ports. A load balancer may have put a port there, of which OVS
            // shows all bits.
            if !is_later || self.get(Field::TcpDst) == 0 {
                self.decimal("icmp_type", Field::TcpSrc)?;
            }
            self.decimal("icmp_code", Field::TcpDst)?;
        } else {
            self.decimal("tp_src", Field::TcpSrc)?;
            self.decimal("tp_dst", Field::TcpDst)?;
        }
        if self.is_discovery() {
            self.ipv6("nd_target", Field::NdTarget)?;
            self.mac("nd_sll", Field::ArpSha)?;
            self.mac("nd_tll", Field::ArpTha)?;
        }
        if proto == 6 {
            let flags = Flags { value: self.get(Field::TcpFlags), form: Form::TcpFlags };
            self.put(format_args!("tcp_flags={flags}"))?;
        }
        Ok(())
    }

    /// Whether it is a neighbour solicitation or advertisement.
    fn is_discovery(&self) -> bool {
        self.is_ipv6()
            && self.get(Field::NwProto) == 58
            && matches!(self.get(Field::TcpSrc), 135 | 136)
            && self.get(Field::TcpDst) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[(Field, u128)]) -> String {
        let mut key = FlowKey::default();
        for (field, value) in fields {
            key.set(*field, *value);
        }
        FlowText(&key).to_string()
    }

    #[test]
    fn packets_read_as_in_ovs() {
        assert_eq!(
            shown(&[(Field::Reg14, 1), (Field::VlanTci, 0x1000)]),
            "reg14=0x1,dl_vlan=0,dl_vlan_pcp=0,vlan_tci1=0x0000,dl_src=00:00:00:00:00:00,\
             dl_dst=00:00:00:00:00:00,dl_type=0x0000"
        );
        assert_eq!(
            shown(&[
                (Field::EthType, 0x0800),
                (Field::NwProto, 6),
                (Field::CtState, 0x21),
                (Field::TcpFlags, 0x12),
                (Field::TcpDst, 80),
                (Field::NwTos, 0xb9),
            ]),
            "ct_state=new|trk,tcp,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,\
             nw_src=0.0.0.0,nw_dst=0.0.0.0,nw_tos=184,nw_ecn=1,nw_ttl=0,nw_frag=no,tp_src=0,tp_dst=80,\
             tcp_flags=syn|ack"
        );
        assert_eq!(
            shown(&[
                (Field::EthType, 0x86dd),
                (Field::NwProto, 58),
                (Field::Icmpv6Type, 135),
                (Field::NwTtl, 255),
                (Field::NdTarget, 1),
            ]),
            "icmp6,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,ipv6_src=::,ipv6_dst=::,\
             ipv6_label=0x00000,nw_tos=0,nw_ecn=0,nw_ttl=255,nw_frag=no,icmp_type=135,icmp_code=0,nd_target=::1,\
             nd_sll=00:00:00:00:00:00,nd_tll=00:00:00:00:00:00"
        );
        assert_eq!(
            shown(&[(Field::EthType, 0x0800), (Field::NwProto, 47), (Field::IpFrag, 3)]),
            "ip,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,nw_dst=0.0.0.0,\
             nw_proto=47,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=later"
        );
        let of_later_fragment = |eth_type, proto, code| {
            let text = shown(&[
                (Field::EthType, eth_type),
                (Field::NwProto, proto),
                (Field::IpFrag, 3),
                (Field::IcmpType, 3),
                (Field::IcmpCode, code),
            ]);
            text.split_once("nw_frag=later").map(|(_, rest)| rest.to_owned())
        };
        assert_eq!(of_later_fragment(0x86dd, 58, 0).as_deref(), Some(",icmp_type=3,icmp_code=0"));
        assert_eq!(of_later_fragment(0x86dd, 58, 4).as_deref(), Some(",icmp_code=4"));
        assert_eq!(of_later_fragment(0x86dd, 6, 0).as_deref(), Some(""));
        assert_eq!(of_later_fragment(0x0800, 1, 0).as_deref(), Some(""));
        let text = shown(&[(Field::EthType, 0x0800), (Field::NwProto, 1), (Field::TcpDst, 8080)]);
        assert!(text.ends_with(",icmp_type=0,icmp_code=8080"), "{text}");
        assert_eq!(
            shown(&[(Field::EthType, 0x0806), (Field::ArpOp, 2), (Field::ArpTpa, 0x0a00_0001)]),
            "arp,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,arp_spa=0.0.0.0,\
             arp_tpa=10.0.0.1,arp_op=2,arp_sha=00:00:00:00:00:00,arp_tha=00:00:00:00:00:00"
        );
    }
}
