//! What a frame of the uplink is.
//!
//! A packet is the endpoint's if Ethernet address, VLAN and IP address are its own, or if it is ARP or neighbour discovery
//! about one of its addresses or neighbours. Only then can it be malformed; all else goes to the flow tables, which have a
//! parser of their own. Multicast frames are looked at for ARP and neighbour discovery only.

use std::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::FromBytes;

use super::endpoint::Endpoint;
use super::geneve;
use crate::packet::checksum::Sum;
use crate::packet::headers::{
    Arp, ETH_LEN, Icmp, Ipv4, Ipv6, Ipv6Chain, Udp, VLAN_LEN, eth_type, ip_proto, nd,
};
use crate::packet::key::TunnelWords;
use crate::packet::{DropReason, Mac};

/// Frames are looked at up to here; no device delivers a longer one.
const MAX_FRAME: usize = u16::MAX as usize;
/// Where the IP header stands in a frame with a tag.
const TAGGED: usize = ETH_LEN + VLAN_LEN;
/// ICMP: echo request.
const ECHO_V4: u8 = 8;
/// ICMPv6: echo request.
const ECHO_V6: u8 = 128;
/// Least bytes of a neighbour discovery message: up to the target.
const ND_LEN: usize = 24;
/// Hop limit of neighbour discovery, which shows that no router was passed.
const ND_HOPS: u8 = 255;

/// A tunnelled packet for the endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Where the inner frame begins.
    pub inner: u16,
    /// Where it ends; what follows belongs to no packet and has to be cut off.
    pub end: u16,
    /// Outer source.
    pub src: Ipv6Addr,
    /// Outer destination, one of the endpoint's addresses.
    pub dst: Ipv6Addr,
    /// Virtual network.
    pub vni: u32,
    /// OVN's option; 0 without.
    pub option: u32,
    /// Whether it was there.
    pub has_option: bool,
    /// Outer type of service, with the ECN for [`merge_ecn`](super::merge_ecn).
    pub tos: u8,
    /// Outer TTL or hop limit.
    pub ttl: u8,
    /// `tun_flags`: none, since packets with the OAM bit are refused.
    pub flags: u16,
}

impl Received {
    /// What it puts into the key of the inner frame.
    #[inline(always)]
    pub fn words(&self) -> TunnelWords {
        let (src, dst) = (self.src.to_bits(), self.dst.to_bits());
        let v6 = |address: u128| [(address >> 64) as u64, address as u64];
        let (v4, [src_high, src_low], [dst_high, dst_low]) =
            match (self.src.to_ipv4_mapped(), self.dst.to_ipv4_mapped()) {
                (Some(_), Some(_)) => ((src as u64) << 32 | u64::from(dst as u32), [0; 2], [0; 2]),
                _ => (0, v6(src), v6(dst)),
            };
        let misc = u64::from(self.flags) << 48 | u64::from(self.tos) << 40 | u64::from(self.ttl) << 32;
        [self.vni.into(), v4, src_high, src_low, dst_high, dst_low, misc, u64::from(self.option) << 32]
    }
}

/// What a frame of the uplink is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A tunnelled packet.
    Tunnel(Received),
    /// For the endpoint, and to be dropped.
    Refused(DropReason),
    /// For the endpoint itself: goes to [`answer`](super::answer()).
    Local(Local),
    /// Not the endpoint's: goes to the flow tables.
    Other,
}

/// A sound packet that the endpoint answers or learns from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    pub(super) kind: Kind,
    /// Where the message of [`Kind`] stands.
    pub(super) at: u16,
    /// End of the datagram.
    pub(super) end: u16,
}

impl Local {
    /// Whether somebody tells everybody where it is: then it is not for the endpoint alone, and nothing is answered.
    pub fn is_announcement(&self) -> bool {
        matches!(self.kind, Kind::ArpToAll | Kind::AdvertToAll)
    }
}

/// What is answered or learnt from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// ARP, behind the Ethernet header.
    Arp,
    /// The same of a neighbour or of an own address, to a group.
    ArpToAll,
    /// Neighbour solicitation for the endpoint; `at` is the ICMPv6 header.
    Solicit,
    /// Neighbour advertisement.
    Advert,
    /// The same to a group.
    AdvertToAll,
    /// ICMP echo request.
    Echo4,
    /// ICMPv6 echo request.
    Echo6,
}

/// The way out of a classification before its end.
type Found<T> = Result<T, Arrival>;

const MALFORMED: Arrival = Arrival::Refused(DropReason::UnderlayMalformed);
const NOT_HANDLED: Arrival = Arrival::Refused(DropReason::UnderlayNotHandled);
const FRAGMENT: Arrival = Arrival::Refused(DropReason::TunnelFragment);

impl Endpoint {
    /// Says what a frame of the uplink is. Every checksum that is there is verified.
    #[inline]
    pub fn classify(&self, frame: &[u8]) -> Arrival {
        let frame = frame.get(..MAX_FRAME).unwrap_or(frame);
        let found = match self.vlan {
            None => self.look::<ETH_LEN>(frame, 0),
            Some(vlan) => self.look::<TAGGED>(frame, vlan),
        };
        found.unwrap_or_else(|arrival| arrival)
    }

    /// [`Endpoint::classify`] of frames in which the IP header stands at `L3`.
    #[inline(always)]
    fn look<const L3: usize>(&self, frame: &[u8], vlan: u16) -> Found<Arrival> {
        let head = frame.first_chunk::<L3>().ok_or(Arrival::Other)?;
        let word = |at: usize| {
            head.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b))
        };
        let dst = word(0) >> 16;
        let kind = word(L3 - 8) as u16;
        if L3 == TAGGED
            && (word(L3 - 8) >> 16) as u32 & 0xffff_0fff != u32::from(eth_type::VLAN) << 16 | u32::from(vlan)
        {
            return Ok(Arrival::Other);
        }
        let is_own = dst == self.mac.to_u64();
        match kind {
            eth_type::IPV4 if is_own => self.ipv4::<L3>(frame),
            eth_type::IPV6 if is_own => self.ipv6::<L3>(frame, true),
            _ if !is_own && !is_group(dst) => Ok(Arrival::Other),
            eth_type::IPV6 => self.ipv6::<L3>(frame, false),
            eth_type::ARP => Ok(self.arp(frame, L3)),
            _ => Ok(Arrival::Other),
        }
    }

    #[inline(always)]
    fn ipv4<const L3: usize>(&self, frame: &[u8]) -> Found<Arrival> {
        let rest = frame.get(L3..).unwrap_or_default();
        let (ip, _) = Ipv4::ref_from_prefix(rest).map_err(|_| Arrival::Other)?;
        let addrs = ip.addrs.get();
        if ip.version_ihl >> 4 != 4 || !self.has_v4(addrs as u32) {
            return Ok(Arrival::Other);
        }
        let (header, total) = (ip.header_len(), usize::from(ip.total_len.get()));
        let datagram = rest.get(..total).ok_or(MALFORMED)?;
        let payload = datagram.get(header..).ok_or(MALFORMED)?;
        let sum = match rest.first_chunk::<20>() {
            Some(plain) if header == 20 => Sum::default().bytes(plain),
            _ if header < 20 => return Err(MALFORMED),
            _ => Sum::default().bytes(rest.get(..header).ok_or(MALFORMED)?),
        };
        if sum.fold() != 0xffff {
            return Err(MALFORMED);
        }
        if ip.nw_frag() != 0 {
            return Err(FRAGMENT);
        }
        let at = L3 + header;
        match ip.proto {
            ip_proto::UDP => {
                let pseudo = Sum::default().word(addrs).word(u64::from(ip_proto::UDP));
                let (src, dst) =
                    (Ipv4Addr::from_bits((addrs >> 32) as u32), Ipv4Addr::from_bits(addrs as u32));
                let addrs = (src.to_ipv6_mapped(), dst.to_ipv6_mapped());
                udp(payload, at, pseudo, addrs, ip.tos, ip.ttl)
            }
            // Options would have to be answered too.
            ip_proto::ICMP if header == 20 => {
                let (icmp, _) = Icmp::ref_from_prefix(payload).map_err(|_| MALFORMED)?;
                if Sum::default().bytes(payload).fold() != 0xffff {
                    return Err(MALFORMED);
                }
                echo(icmp, ECHO_V4, Kind::Echo4, at, at + payload.len())
            }
            _ => Err(NOT_HANDLED),
        }
    }

    /// `is_own`: the frame came to the endpoint's Ethernet address, not to a group.
    #[inline(always)]
    fn ipv6<const L3: usize>(&self, frame: &[u8], is_own: bool) -> Found<Arrival> {
        let rest = frame.get(L3..).unwrap_or_default();
        let (ip, behind) = Ipv6::ref_from_prefix(rest).map_err(|_| Arrival::Other)?;
        let flow = ip.flow.get();
        if flow >> 28 != 6 {
            return Ok(Arrival::Other);
        }
        let (src, dst) = (ip.src.get(), ip.dst.get());
        let is_for_us = is_own && self.has_v6(dst);
        if !is_for_us {
            return self.multicast::<L3>(ip, behind);
        }
        let payload = behind.get(..usize::from(ip.payload_len.get())).ok_or(MALFORMED)?;
        let pseudo = Sum::default().wide(src).wide(dst);
        let (proto, skipped) = match ip.next {
            ip_proto::UDP => (ip_proto::UDP, 0),
            next => {
                let chain = Ipv6Chain::walk(next, payload);
                match (chain.frag, chain.complete, chain.segments_left) {
                    (1.., ..) => return Err(FRAGMENT),
                    (_, false, _) => return Err(MALFORMED),
                    (_, _, true) => return Err(NOT_HANDLED),
                    _ => (chain.proto, chain.at),
                }
            }
        };
        let payload = payload.get(skipped..).unwrap_or_default();
        let at = L3 + size_of::<Ipv6>() + skipped;
        let pseudo = pseudo.word(u64::from(proto));
        match proto {
            ip_proto::UDP => {
                let addrs = (Ipv6Addr::from_bits(src), Ipv6Addr::from_bits(dst));
                udp(payload, at, pseudo, addrs, (flow >> 20) as u8, ip.hop_limit)
            }
            // Neighbour discovery and echoes come without extension headers.
            ip_proto::ICMPV6 if skipped == 0 => self.icmpv6(ip, payload, at, pseudo),
            _ => Err(NOT_HANDLED),
        }
    }

    /// ICMPv6 to an address of the endpoint.
    #[inline(never)]
    fn icmpv6(&self, ip: &Ipv6, payload: &[u8], at: usize, pseudo: Sum) -> Found<Arrival> {
        let (icmp, body) = Icmp::ref_from_prefix(payload).map_err(|_| MALFORMED)?;
        if pseudo.word(payload.len() as u64).bytes(payload).fold() != 0xffff {
            return Err(MALFORMED);
        }
        let end = at + payload.len();
        let kind = match icmp.kind {
            nd::SOLICIT => Kind::Solicit,
            nd::ADVERT => Kind::Advert,
            _ => return echo(icmp, ECHO_V6, Kind::Echo6, at, end),
        };
        let target = body.first_chunk().map(|target| u128::from_be_bytes(*target));
        let is_sound = ip.hop_limit == ND_HOPS && icmp.code == 0 && payload.len() >= ND_LEN;
        match (kind, target.filter(|_| is_sound)) {
            (_, None) => Err(MALFORMED),
            // Asked for somebody else at our address.
            (Kind::Solicit, Some(target)) if !self.has_v6(target) => Err(NOT_HANDLED),
            _ => Ok(local(kind, at, end)),
        }
    }

    /// IPv6 to another address or to a group: only neighbour discovery about our addresses and neighbours is ours.
    #[inline(never)]
    fn multicast<const L3: usize>(&self, ip: &Ipv6, behind: &[u8]) -> Found<Arrival> {
        let (src, dst) = (ip.src.get(), ip.dst.get());
        let is_group = Ipv6Addr::from_bits(dst).is_multicast();
        if ip.next != ip_proto::ICMPV6 || !is_group {
            return Ok(Arrival::Other);
        }
        let len = usize::from(ip.payload_len.get());
        let payload = behind.get(..len).ok_or(Arrival::Other)?;
        let (icmp, body) = Icmp::ref_from_prefix(payload).map_err(|_| Arrival::Other)?;
        let target = body.first_chunk().map(|target| u128::from_be_bytes(*target)).ok_or(Arrival::Other)?;
        let kind = match icmp.kind {
            nd::SOLICIT if self.has_v6(target) => Kind::Solicit,
            nd::ADVERT if self.is_on_link_v6(target) => Kind::AdvertToAll,
            _ => return Ok(Arrival::Other),
        };
        let pseudo = Sum::default().wide(src).wide(dst).word(u64::from(ip_proto::ICMPV6)).word(len as u64);
        let is_sound = ip.hop_limit == ND_HOPS && icmp.code == 0 && pseudo.bytes(payload).fold() == 0xffff;
        if !is_sound {
            return if self.has_v6(target) { Err(MALFORMED) } else { Ok(Arrival::Other) };
        }
        let at = L3 + size_of::<Ipv6>();
        Ok(local(kind, at, at + len))
    }

    /// ARP about our addresses, and announcements of our neighbours.
    #[inline(never)]
    fn arp(&self, frame: &[u8], l3: usize) -> Arrival {
        let Ok((arp, _)) = Arp::ref_from_prefix(frame.get(l3..).unwrap_or_default()) else {
            return Arrival::Other;
        };
        if arp.head != Arp::IPV4_OVER_ETHERNET {
            return Arrival::Other;
        }
        let (spa, tpa) = (arp.spa.get(), arp.tpa.get());
        let is_announcement = spa == tpa && self.is_on_link_v4(spa);
        if !self.has_v4(tpa) && !is_announcement {
            return Arrival::Other;
        }
        let is_sender = Mac(arp.sha) != Mac::default() && !Mac(arp.sha).is_multicast();
        if !matches!(arp.op.get(), 1 | 2) || !is_sender {
            return if self.has_v4(tpa) { MALFORMED } else { Arrival::Other };
        }
        let is_to_all = is_announcement && frame.first().is_some_and(|first| first & 1 == 1);
        let kind = if is_to_all { Kind::ArpToAll } else { Kind::Arp };
        local(kind, l3, l3 + size_of::<Arp>())
    }
}

/// Whether an Ethernet address in the low 48 bits is that of a group.
#[inline(always)]
fn is_group(mac: u64) -> bool {
    mac >> 40 & 1 == 1
}

#[inline(always)]
fn local(kind: Kind, at: usize, end: usize) -> Arrival {
    Arrival::Local(Local { kind, at: at as u16, end: end as u16 })
}

fn echo(icmp: &Icmp, request: u8, kind: Kind, at: usize, end: usize) -> Found<Arrival> {
    if icmp.kind == request && icmp.code == 0 { Ok(local(kind, at, end)) } else { Err(NOT_HANDLED) }
}

/// A whole UDP datagram to the endpoint, at `at` in the frame. A checksum of 0 is none, also over IPv6 (RFC 6935).
#[inline(always)]
fn udp(
    payload: &[u8],
    at: usize,
    pseudo: Sum,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    tos: u8,
    ttl: u8,
) -> Found<Arrival> {
    let (udp, _) = Udp::ref_from_prefix(payload).map_err(|_| MALFORMED)?;
    let [len, csum] = udp.tail;
    if udp.ports.get() as u16 != geneve::PORT {
        return Err(NOT_HANDLED);
    }
    let len = usize::from(len.get());
    let datagram = payload.get(..len).ok_or(MALFORMED)?;
    let carried = datagram.get(size_of::<Udp>()..).ok_or(MALFORMED)?;
    if csum.get() != 0 && pseudo.word(len as u64).bytes(datagram).fold() != 0xffff {
        return Err(Arrival::Refused(DropReason::TunnelBadChecksum));
    }
    let header = geneve::Header::read(carried).map_err(Arrival::Refused)?;
    Ok(Arrival::Tunnel(Received {
        inner: (at + size_of::<Udp>() + header.len) as u16,
        end: (at + len) as u16,
        src,
        dst,
        vni: header.vni,
        option: header.option.unwrap_or(0),
        has_option: header.option.is_some(),
        tos,
        ttl,
        flags: 0,
    }))
}
