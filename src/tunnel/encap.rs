//! The outer headers of packets that leave by a tunnel.
//!
//! Of each peer there is a template of all that is the same for every packet, which an operation completes once for a
//! burst ([`Wrapping`]); it is copied into the headroom of each packet at once, and then a few fields are written over.

use std::net::Ipv6Addr;

use super::ecn::ECN;
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
/// The longest outer headers.
const MOST: usize = TAGGED + V6 + BEHIND + geneve::OPTION_LEN;
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

    /// What packets there have in common; nothing if no route leads there.
    #[inline]
    pub fn wrapping(&self, out: &TunnelOut) -> Option<Wrapping> {
        if self.hop.is_unspecified() {
            return None;
        }
        let has_option = out.option != 0;
        let (header, trailer) = (geneve::header(out.vni, has_option), geneve::option(out.option));
        let l3 = if self.is_tagged { TAGGED } else { ETH_LEN };
        let (ip, ttl_at) = if self.is_ipv6 { (V6, l3 + 7) } else { (V4, l3 + 8) };
        let ttl = if out.ttl == 0 { DEFAULT_TTL } else { out.ttl };
        let mut template = [0; MOST];
        put(&mut template, 0, &self.template);
        put(&mut template, ttl_at, &[ttl]);
        put(&mut template, l3 + ip + UDP, &header);
        let sum = Sum::default().word(self.pseudo.into()).word(u64::from_be_bytes(header));
        let sum = if has_option {
            put(&mut template, l3 + ip + BEHIND, &trailer);
            sum.word(u64::from_be_bytes(trailer))
        } else {
            sum
        };
        Some(Wrapping {
            template,
            is_ipv6: self.is_ipv6,
            is_tagged: self.is_tagged,
            has_option,
            checksum: self.checksum,
            tos: out.tos & !ECN,
            room: usize::from(self.mtu).saturating_sub(self.overhead(has_option)),
            ip_sum: Sum::default().word(self.ip_sum.into()).word(u64::from(ttl) << 8).fold().into(),
            udp_sum: sum.fold().into(),
        })
    }

    /// Puts the outer headers in front of one frame: see [`Wrapping::wrap`].
    pub fn encapsulate<P: Packet>(
        &self,
        packet: &mut P,
        meta: &PacketMeta,
        out: &TunnelOut,
    ) -> Result<(), DropReason> {
        self.wrapping(out).ok_or(DropReason::TunnelNoRemote)?.wrap(packet, meta)
    }
}

/// All that is the same for the packets that one operation sends to a peer.
pub struct Wrapping {
    template: [u8; MOST],
    is_ipv6: bool,
    is_tagged: bool,
    has_option: bool,
    checksum: bool,
    tos: u8,
    /// Most bytes of an inner frame.
    room: usize,
    /// Sum of what stays the same in the IPv4 header; 16 bits.
    ip_sum: u32,
    /// Sum of what stays the same in the pseudo header, UDP's and Geneve's; 16 bits.
    udp_sum: u32,
}

impl Wrapping {
    /// Puts the outer headers in front of a frame, of which `meta` is true and in which no checksum is left open. Offsets
    /// and what was said of the packet do not hold afterwards. A packet that is refused stays as it was. Where the next hop's
    /// Ethernet address is not known yet the packet gets it later.
    #[inline(always)]
    pub fn wrap<P: Packet>(&self, packet: &mut P, meta: &PacketMeta) -> Result<(), DropReason> {
        const BARE: usize = BEHIND;
        const OVN: usize = BEHIND + geneve::OPTION_LEN;
        match (self.is_ipv6, self.is_tagged, self.has_option) {
            (false, false, true) => self.put::<ETH_LEN, V4, { ETH_LEN + V4 + OVN }, P>(packet, meta),
            (false, false, false) => self.put::<ETH_LEN, V4, { ETH_LEN + V4 + BARE }, P>(packet, meta),
            (false, true, true) => self.put::<TAGGED, V4, { TAGGED + V4 + OVN }, P>(packet, meta),
            (false, true, false) => self.put::<TAGGED, V4, { TAGGED + V4 + BARE }, P>(packet, meta),
            (true, false, true) => self.put::<ETH_LEN, V6, { ETH_LEN + V6 + OVN }, P>(packet, meta),
            (true, false, false) => self.put::<ETH_LEN, V6, { ETH_LEN + V6 + BARE }, P>(packet, meta),
            (true, true, true) => self.put::<TAGGED, V6, { TAGGED + V6 + OVN }, P>(packet, meta),
            (true, true, false) => self.put::<TAGGED, V6, { TAGGED + V6 + BARE }, P>(packet, meta),
        }
    }

    /// With the length of the Ethernet header, of the IP header, and of all headers.
    #[inline(never)]
    fn put<const L3: usize, const IP: usize, const ALL: usize, P: Packet>(
        &self,
        packet: &mut P,
        meta: &PacketMeta,
    ) -> Result<(), DropReason> {
        let frame = packet.data();
        if frame.len() > self.room {
            return Err(DropReason::TunnelMtu);
        }
        let udp_len = (ALL - L3 - IP + frame.len()) as u32;
        let inner = Inner::read(frame, meta);
        let (port, tos) = (FIRST_PORT | inner.flow, self.tos | inner.ecn);
        let csum = if self.checksum {
            // From what is at hand, not from what was just written: the processor would have to wait for that.
            let sum = self.udp_sum + 2 * udp_len + u32::from(port);
            Zero::AllOnes.canonical(!Sum::default().bytes(frame).word(sum.into()).fold())
        } else {
            0
        };
        if !packet.push_front(ALL) {
            return Err(DropReason::NoHeadroom);
        }
        let head = packet.data_mut().first_chunk_mut::<ALL>();
        let (Some(head), Some(template)) = (head, self.template.first_chunk::<ALL>()) else {
            return Err(DropReason::NoHeadroom);
        };
        *head = *template;
        if IP == V4 {
            let total = IP as u32 + udp_len;
            let sum = Sum::default().word((self.ip_sum + total + u32::from(tos)).into()).fold();
            put(head, L3 + 1, &[tos]);
            put(head, L3 + 2, &(total as u16).to_be_bytes());
            put(head, L3 + 10, &Zero::Plain.canonical(!sum).to_be_bytes());
        } else {
            put(head, L3, &(0x60 << 24 | u32::from(tos) << 20).to_be_bytes());
            put(head, L3 + 4, &(udp_len as u16).to_be_bytes());
        }
        put(head, L3 + IP, &port.to_be_bytes());
        put(head, L3 + IP + 4, &(udp_len as u16).to_be_bytes());
        put(head, L3 + IP + 6, &csum.to_be_bytes());
        Ok(())
    }
}

/// Bytes of the inner frame of one to which [`Wrapping::wrap`] gave outer headers.
pub fn inner_len(frame: &[u8]) -> usize {
    let at = |at: usize| frame.get(at).copied().unwrap_or(0);
    let l3 = if frame.get(12..14) == Some(&eth_type::VLAN.to_be_bytes()) { TAGGED } else { ETH_LEN };
    let ip = if at(l3) >> 4 == 4 { V4 } else { V6 };
    let options = usize::from(at(l3 + ip + UDP) & 0x3f) * 4;
    frame.len().saturating_sub(l3 + ip + BEHIND + options)
}

/// What the outer headers say of the inner packet.
struct Inner {
    /// Fifteen bits that are the same for all packets of a flow in one direction: from addresses, protocol and ports. Of
    /// fragments the ports do not count, and of frames without IP the Ethernet addresses do.
    flow: u16,
    /// Its ECN; none if it is not IP.
    ecn: u8,
}

impl Inner {
    #[inline(always)]
    fn read(frame: &[u8], meta: &PacketMeta) -> Inner {
        let l3 = usize::from(meta.l3);
        let ip = frame.get(l3..).filter(|_| meta.l3_end != 0).unwrap_or_default();
        let ports = || {
            let l4 = frame.get(usize::from(meta.l4)..).and_then(|l4| l4.first_chunk());
            u64::from(l4.map_or(0, |ports| u32::from_be_bytes(*ports)))
        };
        match (ip.first_chunk::<V4>(), ip.first_chunk::<V6>()) {
            (Some(ip), _) if ip[0] >> 4 == 4 => {
                let (head, misc) = (word(ip, 0), word(ip, 4));
                let is_l4_next = misc >> 32 & 0x3fff == 0 && meta.l4 != 0;
                let proto = misc >> 16 & 0xff;
                let ports = if is_l4_next && has_ports(proto) { ports() } else { 0 };
                let flow = mix(word(ip, 12), ports << 8 | proto);
                Inner { flow: (flow >> 49) as u16, ecn: (head >> 48) as u8 & ECN }
            }
            (_, Some(ip)) => {
                let head = word(ip, 0);
                let addrs = mix(word(ip, 8), word(ip, 16)) ^ mix(word(ip, 24), word(ip, 32)).rotate_left(1);
                let is_l4_next = meta.l4 == meta.l3 + V6 as u16;
                let proto = head >> 8 & 0xff;
                let ports = if is_l4_next && has_ports(proto) { ports() } else { 0 };
                let flow = mix(addrs, ports << 8 | proto);
                Inner { flow: (flow >> 49) as u16, ecn: (head >> 52) as u8 & ECN }
            }
            _ => {
                let flow = mix(word(frame, 0), word(frame, 4));
                Inner { flow: (flow >> 49) as u16, ecn: 0 }
            }
        }
    }
}

/// Eight bytes, or 0 where there are not so many.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_be_bytes(*word))
}

#[inline(always)]
fn has_ports(proto: u64) -> bool {
    matches!(proto as u8, ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP)
}

/// Mixes two words so that every bit of both counts in the upper bits.
#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(a ^ ODD) * u128::from(b.wrapping_mul(ODD) | 1);
    let folded = (product >> 64) as u64 ^ product as u64;
    folded.wrapping_mul(ODD)
}
