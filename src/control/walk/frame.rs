//! A frame that looks to the tables like a key. Lengths are right and checksums are not: it is parsed and goes nowhere.

use crate::packet::headers::{Arp, FRAG_ANY, FRAG_LATER, Ipv4, VLAN_PRESENT, eth_type, ip_proto, nd};
use crate::packet::{Field, FlowKey};

/// The frame.
pub(super) fn of(key: &FlowKey) -> Vec<u8> {
    let mut out = Bytes { key, bytes: Vec::new() };
    out.low(Field::EthDst, 6);
    out.low(Field::EthSrc, 6);
    for (tpid, tci) in [(Field::VlanTpid, Field::VlanTci), (Field::InnerVlanTpid, Field::InnerVlanTci)] {
        let tci = key.get(tci) as u16;
        if tci & VLAN_PRESENT != 0 {
            let tpid = key.get(tpid) as u16;
            out.put(&if tpid == 0 { eth_type::VLAN } else { tpid }.to_be_bytes());
            out.put(&(tci & !VLAN_PRESENT).to_be_bytes());
        }
    }
    let kind = key.get(Field::EthType) as u16;
    out.put(&kind.to_be_bytes());
    match kind {
        eth_type::IPV4 => out.ipv4(),
        eth_type::IPV6 => out.ipv6(),
        eth_type::ARP | eth_type::RARP => {
            out.put(&Arp::IPV4_OVER_ETHERNET);
            out.low(Field::NwProto, 2);
            out.low(Field::ArpSha, 6);
            out.low(Field::NwSrc, 4);
            out.low(Field::ArpTha, 6);
            out.low(Field::NwDst, 4);
        }
        _ => {}
    }
    out.bytes
}

struct Bytes<'k> {
    key: &'k FlowKey,
    bytes: Vec<u8>,
}

impl Bytes<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The lowest bytes of a field.
    fn low(&mut self, field: Field, len: usize) {
        let bytes = self.key.get(field).to_be_bytes();
        self.put(bytes.get(bytes.len() - len..).unwrap_or_default());
    }

    fn byte(&self, field: Field) -> u8 {
        self.key.get(field) as u8
    }

    fn tos(&self) -> u8 {
        self.byte(Field::NwTos) & 0xfc | self.byte(Field::NwEcn) & 3
    }

    fn ipv4(&mut self) {
        let body = self.transport();
        let frag = match self.byte(Field::IpFrag) {
            0 => 0,
            frag if frag & FRAG_LATER != 0 => 1,
            _ => Ipv4::MORE,
        };
        let len = (size_of::<Ipv4>() + body.len()) as u16;
        let tos = self.tos();
        self.put(&[0x45, tos]);
        self.put(&len.to_be_bytes());
        self.put(&[0; 2]);
        self.put(&frag.to_be_bytes());
        self.low(Field::NwTtl, 1);
        self.low(Field::NwProto, 1);
        self.put(&[0; 2]);
        self.low(Field::NwSrc, 4);
        self.low(Field::NwDst, 4);
        self.put(&body);
    }

    fn ipv6(&mut self) {
        let body = self.transport();
        let (proto, frag) = (self.byte(Field::NwProto), self.byte(Field::IpFrag));
        let chain: &[u8] = match frag {
            0 => &[],
            frag if frag & FRAG_LATER != 0 => &[proto, 0, 0, 8, 0, 0, 0, 0],
            _ => &[proto, 0, 0, FRAG_ANY, 0, 0, 0, 0],
        };
        let flow = 6 << 28 | u32::from(self.tos()) << 20 | self.key.get(Field::Ipv6Label) as u32 & 0xf_ffff;
        self.put(&flow.to_be_bytes());
        self.put(&((chain.len() + body.len()) as u16).to_be_bytes());
        self.put(&[if chain.is_empty() { proto } else { ip_proto::FRAGMENT }]);
        self.low(Field::NwTtl, 1);
        self.low(Field::Ipv6Src, 16);
        self.low(Field::Ipv6Dst, 16);
        self.put(chain);
        self.put(&body);
    }

    /// What stands behind the IP header.
    fn transport(&self) -> Vec<u8> {
        let mut out = Bytes { key: self.key, bytes: Vec::new() };
        if self.byte(Field::IpFrag) & FRAG_LATER != 0 {
            return out.bytes;
        }
        let is_ipv6 = self.key.get(Field::EthType) as u16 == eth_type::IPV6;
        match self.byte(Field::NwProto) {
            ip_proto::TCP => {
                out.ports();
                out.put(&[0; 8]);
                let flags = self.key.get(Field::TcpFlags) as u16 & 0xfff;
                out.put(&(5 << 12 | flags).to_be_bytes());
                out.put(&[0; 6]);
            }
            ip_proto::UDP => {
                out.ports();
                out.put(&[0, 8, 0, 0]);
            }
            ip_proto::SCTP => {
                out.ports();
                // With the head of a first chunk, by which an abort is told from others.
                out.put(&[0; 12]);
            }
            ip_proto::ICMP if !is_ipv6 => {
                out.icmp();
                out.put(&[0; 4]);
            }
            ip_proto::IGMP if !is_ipv6 => {
                out.icmp();
                out.low(Field::IgmpGroup, 4);
            }
            ip_proto::ICMPV6 if is_ipv6 => out.icmpv6(),
            _ => {}
        }
        out.bytes
    }

    fn ports(&mut self) {
        self.low(Field::TcpSrc, 2);
        self.low(Field::TcpDst, 2);
    }

    fn icmp(&mut self) {
        self.low(Field::IcmpType, 1);
        self.low(Field::IcmpCode, 1);
        self.put(&[0; 2]);
    }

    fn icmpv6(&mut self) {
        self.icmp();
        let is_nd = matches!(self.byte(Field::Icmpv6Type), nd::SOLICIT | nd::ADVERT)
            && self.byte(Field::Icmpv6Code) == 0;
        if !is_nd {
            return self.put(&[0; 4]);
        }
        self.low(Field::NdReserved, 4);
        self.low(Field::NdTarget, 16);
        let mut options = vec![(nd::OPT_SLL, Field::NdSll), (nd::OPT_TLL, Field::NdTll)];
        let first = self.byte(Field::NdOptionsType);
        if first == nd::OPT_TLL {
            options.reverse();
        }
        for (kind, field) in options {
            if kind == first || self.key.get(field) != 0 {
                self.put(&[kind, 1]);
                self.low(field, 6);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::PacketMeta;
    use crate::packet::parse::parse;
    use crate::packet::testgen::any_spec;

    fn key_of(frame: &[u8]) -> (FlowKey, bool) {
        let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
        let parsed = parse(frame, &mut meta, &mut key);
        (key, parsed.stop.is_none())
    }

    proptest! {
        #[test]
        fn the_frame_of_a_key_has_that_key(spec in any_spec()) {
            let (key, whole) = key_of(&spec.frame());
            let kind = key.get(Field::EthType) as u16;
            prop_assume!(whole && kind >= eth_type::LEAST && !eth_type::is_vlan(kind));
            prop_assert_eq!(key_of(&of(&key)).0, key);
        }
    }
}
