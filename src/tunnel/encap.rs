//! The outer headers of packets that leave by a tunnel.
//!
//! Of each peer there is a template of all that is the same for every packet; it is copied into the headroom at once, and
//! then a few fields are written over.

use std::net::Ipv6Addr;

use super::ecn::{ECN, outer_ecn};
use super::endpoint::Endpoint;
use super::frames::put;
use super::{DEFAULT_TTL, TunnelOut, geneve};
use crate::packet::checksum::{Sum, Zero};
use crate::packet::headers::{ETH_LEN, Ipv4, Ipv6, Udp, VLAN_LEN, eth_type, ip_proto};
use crate::packet::{DropReason, Mac, Packet, PacketMeta};

const V4: usize = size_of::<Ipv4>();
const V6: usize = size_of::<Ipv6>();
const UDP: usize = size_of::<Udp>();
const TAGGED: usize = ETH_LEN + VLAN_LEN;
/// UDP and Geneve without options.
const BEHIND: usize = UDP + geneve::HEADER_LEN;
/// The longest template.
const MOST: usize = TAGGED + V6 + BEHIND;
/// The least of the ports that packets come from; the other 15 bits tell flows apart.
const FIRST_PORT: u16 = 0x8000;

/// A peer, as the workers need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its address.
    pub ip: Ipv6Addr,
    /// The neighbour that packets to it go to first, the peer itself or a router; `::` if there is no route.
    pub hop: Ipv6Addr,
    /// Whether that neighbour's Ethernet address is known.
    pub is_resolved: bool,
    is_ipv6: bool,
    is_tagged: bool,
    checksum: bool,
    mtu: u16,
    /// Sum of what stays the same in the IPv4 header.
    ip_sum: u16,
    /// Sum of what stays the same in the pseudo header and UDP's.
    pseudo: u16,
    template: [u8; MOST],
}

impl Remote {
    /// A peer that is reached by `hop`, whose Ethernet address is `mac` if that is known. None if the endpoint has no
    /// address of the peer's family.
    pub fn new(endpoint: &Endpoint, ip: Ipv6Addr, hop: Ipv6Addr, mac: Option<Mac>) -> Option<Remote> {
        let src = endpoint.source_for(ip)?;
        let l3 = endpoint.l3();
        let mut template = [0; MOST];
        put(&mut template, 0, &mac.unwrap_or_default().0);
        put(&mut template, 6, &endpoint.mac.0);
        if let Some(vlan) = endpoint.vlan {
            put(&mut template, 12, &eth_type::VLAN.to_be_bytes());
            put(&mut template, 14, &vlan.to_be_bytes());
        }
        let addrs = (src.to_ipv4_mapped(), ip.to_ipv4_mapped());
        let mut sum = Sum::default();
        let is_ipv6 = addrs.1.is_none();
        let (kind, len) = if let (Some(src), Some(dst)) = addrs {
            put(&mut template, l3, &[0x45, 0, 0, 0, 0, 0, 0x40, 0, 0, ip_proto::UDP, 0, 0]);
            put(&mut template, l3 + 12, &src.octets());
            put(&mut template, l3 + 16, &dst.octets());
            sum = sum.bytes(&src.octets()).bytes(&dst.octets());
            (eth_type::IPV4, V4)
        } else {
            put(&mut template, l3, &[0x60, 0, 0, 0, 0, 0, ip_proto::UDP]);
            put(&mut template, l3 + 8, &src.octets());
            put(&mut template, l3 + 24, &ip.octets());
            sum = sum.bytes(&src.octets()).bytes(&ip.octets());
            (eth_type::IPV6, V6)
        };
        put(&mut template, l3 - 2, &kind.to_be_bytes());
        put(&mut template, l3 + len + 2, &geneve::PORT.to_be_bytes());
        Some(Remote {
            ip,
            hop,
            is_resolved: mac.is_some(),
            is_ipv6,
            is_tagged: endpoint.vlan.is_some(),
            checksum: endpoint.checksum || is_ipv6,
            mtu: endpoint.mtu,
            ip_sum: Sum::default().bytes(template.get(l3..l3 + len).unwrap_or_default()).fold(),
            pseudo: sum.word(u64::from(ip_proto::UDP)).word(u64::from(geneve::PORT)).fold(),
            template,
        })
    }

    /// Bytes that a tunnelled packet has beside the inner frame, from the outer IP header on.
    #[inline(always)]
    pub fn overhead(&self, has_option: bool) -> usize {
        let ip = if self.is_ipv6 { V6 } else { V4 };
        ip + BEHIND + if has_option { geneve::OPTION_LEN } else { 0 }
    }

    /// Puts the outer headers in front of a frame, of which `meta` is true and in which no checksum is left open. Offsets
    /// and what was said of the packet do not hold afterwards. A packet that is refused stays as it was. Where the next hop's
    /// Ethernet address is not known yet the packet gets it later.
    #[inline(always)]
    pub fn encapsulate<P: Packet>(
        &self,
        packet: &mut P,
        meta: &PacketMeta,
        out: &TunnelOut,
    ) -> Result<(), DropReason> {
        if self.hop.is_unspecified() {
            return Err(DropReason::TunnelNoRemote);
        }
        match (self.is_ipv6, self.is_tagged) {
            (false, false) => self.put::<ETH_LEN, V4, { ETH_LEN + V4 + BEHIND }, P>(packet, meta, out),
            (false, true) => self.put::<TAGGED, V4, { TAGGED + V4 + BEHIND }, P>(packet, meta, out),
            (true, false) => self.put::<ETH_LEN, V6, { ETH_LEN + V6 + BEHIND }, P>(packet, meta, out),
            (true, true) => self.put::<TAGGED, V6, { TAGGED + V6 + BEHIND }, P>(packet, meta, out),
        }
    }

    /// With the length of the Ethernet header, of the IP header, and of all but the option.
    #[inline(never)]
    fn put<const L3: usize, const IP: usize, const ALL: usize, P: Packet>(
        &self,
        packet: &mut P,
        meta: &PacketMeta,
        out: &TunnelOut,
    ) -> Result<(), DropReason> {
        let frame = packet.data();
        let option = if out.option == 0 { 0 } else { geneve::OPTION_LEN };
        let udp_len = BEHIND + option + frame.len();
        if IP + udp_len > usize::from(self.mtu) {
            return Err(DropReason::TunnelMtu);
        }
        let port = FIRST_PORT | entropy(frame, meta) as u16;
        let tos = out.tos & !ECN | outer_ecn(frame, meta);
        let ttl = if out.ttl == 0 { DEFAULT_TTL } else { out.ttl };
        let header = geneve::header(out.vni, option != 0);
        let trailer = geneve::option(out.option);
        let csum = if self.checksum {
            // From what is at hand, not from what was just written: the processor would have to wait for that.
            let sum = Sum::default().word(self.pseudo.into()).word(2 * udp_len as u64).word(port.into());
            let sum = sum.word(u64::from_be_bytes(header)).bytes(frame);
            let sum = if option != 0 { sum.word(u64::from_be_bytes(trailer)) } else { sum };
            Zero::AllOnes.canonical(!sum.fold())
        } else {
            0
        };
        if !packet.push_front(ALL + option) {
            return Err(DropReason::NoHeadroom);
        }
        let frame = packet.data_mut();
        let template = self.template.first_chunk::<ALL>();
        let (Some((head, behind)), Some(template)) = (frame.split_first_chunk_mut::<ALL>(), template) else {
            return Err(DropReason::NoHeadroom);
        };
        *head = *template;
        if IP == V4 {
            let total = (IP + udp_len) as u16;
            let sum = Sum::default().word(u64::from(self.ip_sum)).word(u64::from(total));
            let sum = sum.word(u64::from(tos)).word(u64::from(ttl) << 8).fold();
            put(head, L3 + 1, &[tos]);
            put(head, L3 + 2, &total.to_be_bytes());
            put(head, L3 + 8, &[ttl]);
            put(head, L3 + 10, &Zero::Plain.canonical(!sum).to_be_bytes());
        } else {
            put(head, L3, &(0x60 << 24 | u32::from(tos) << 20).to_be_bytes());
            put(head, L3 + 4, &(udp_len as u16).to_be_bytes());
            put(head, L3 + 7, &[ttl]);
        }
        put(head, L3 + IP, &port.to_be_bytes());
        put(head, L3 + IP + 4, &(udp_len as u16).to_be_bytes());
        put(head, L3 + IP + 6, &csum.to_be_bytes());
        put(head, L3 + IP + UDP, &header);
        if option != 0 {
            put(behind, 0, &trailer);
        }
        Ok(())
    }
}

/// Fifteen bits that are the same for all packets of a flow in one direction: from addresses, protocol and ports. Of
/// fragments the ports do not count, and of frames without IP the Ethernet addresses do.
#[inline(always)]
fn entropy(frame: &[u8], meta: &PacketMeta) -> u64 {
    let l3 = usize::from(meta.l3);
    let word =
        |at: usize| frame.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b));
    if meta.l3_end == 0 {
        return mix(word(0), word(4)) >> 49;
    }
    let head = word(l3);
    let (addrs, proto, is_l4_next) = if head >> 60 == 4 {
        let misc = word(l3 + 4);
        (word(l3 + 12), misc >> 16 & 0xff, misc >> 32 & 0x3fff == 0)
    } else {
        let folded = mix(word(l3 + 8), word(l3 + 16)) ^ mix(word(l3 + 24), word(l3 + 32)).rotate_left(1);
        (folded, head >> 8 & 0xff, meta.l4 == meta.l3 + V6 as u16)
    };
    let has_ports = matches!(proto as u8, ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP);
    let ports = if has_ports && is_l4_next && meta.l4 != 0 { word(usize::from(meta.l4)) >> 32 } else { 0 };
    mix(addrs, ports << 8 | proto) >> 49
}

/// Mixes two words so that every bit of both counts in the upper bits.
#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(a ^ ODD) * u128::from(b.wrapping_mul(ODD) | 1);
    let folded = (product >> 64) as u64 ^ product as u64;
    folded.wrapping_mul(ODD)
}
