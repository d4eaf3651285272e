//! From the bytes of a frame to its flow key and offsets.
//!
//! What is malformed stops the parse where it stands; what was read before stays, and the packet is forwarded by
//! that. Nothing is read behind the frame, nor behind the end that an IP header gives for its datagram.

use zerocopy::FromBytes;

use super::headers::{
    Arp, ETH_LEN, FRAG_LATER, Icmp, Ipv4, Ipv6, Ipv6Chain, NdOption, Sctp, Snap, Tcp, Udp, VLAN_LEN,
    VLAN_PRESENT, eth_type, ip_proto, nd,
};
use super::key::{FlowKey, w};
use super::meta::PacketMeta;

/// Which words of the key the parser wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Only the first [`SHORT_WORDS`](super::key::SHORT_WORDS); the others are as they were.
    Short,
    /// Also words behind them.
    Long,
}

/// Why the parser stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Shorter than an Ethernet header: to be dropped. Every packet field of the key is zero.
    Runt,
    /// The frame ends within a VLAN tag, whose type is then the Ethernet type.
    TruncatedVlan,
    /// ARP that is cut short or not for IPv4 over Ethernet.
    BadArp,
    /// IPv4 header or datagram whose lengths do not fit the frame, or another version: no IP fields.
    BadIpv4,
    /// The same of IPv6.
    BadIpv6,
    /// IPv6 extension headers that are cut short or too many: no L4 fields, and the one not read is the protocol.
    BadExtension,
    /// The datagram ends within the L4 header: no L4 fields.
    TruncatedL4,
    /// TCP's header length is too small or beyond the datagram's end: ports and flags are there, the payload is not.
    BadTcp,
    /// A neighbour discovery message that ends before its target address, or has a link-layer address twice: no ND
    /// fields.
    BadNd,
}

/// What [`parse`] found beside key and offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Parsed {
    /// Which words were written.
    pub shape: Shape,
    /// Why the parse ended early, if it did.
    pub stop: Option<Stop>,
}

/// Bytes that are looked at. Offsets are 16 bits wide; no device delivers a longer frame.
const MAX_FRAME: usize = u16::MAX as usize;

/// Reads a frame.
///
/// On entry the long words of `key` are zero and the words of port, context and mark hold what the caller put there;
/// those are left alone. The other short words are overwritten; long ones are written only if the packet has such
/// fields, which the answer tells. In `meta` the length and the offsets are set.
#[inline(always)]
pub fn parse(frame: &[u8], meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    if plain_ipv4(frame, meta, key) { done(Shape::Short) } else { parse_any(frame, meta, key) }
}

/// What most packets are: UDP or TCP over IPv4 without options, fragments or tags. False, with words and offsets
/// undefined, where anything is unusual.
#[inline(always)]
fn plain_ipv4(frame: &[u8], meta: &mut PacketMeta, key: &mut FlowKey) -> bool {
    const IP: usize = ETH_LEN;
    const L4: usize = IP + size_of::<Ipv4>();
    const HEAD: usize = L4 + size_of::<Udp>();
    let (Some(head), true) = (frame.first_chunk::<HEAD>(), frame.len() <= MAX_FRAME) else {
        return false;
    };
    // Eight bytes at a time: what stands where in a word is said by the shifts below.
    let word =
        |at: usize| head.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_be_bytes(*b));
    let type_to_id = word(12);
    let frag_to_src = word(20);
    let end = IP + usize::from((type_to_id >> 16) as u16);
    // Ethernet type, version and header length; and of the fragment's fields all but "do not fragment".
    let plain = (type_to_id >> 40 == 0x08_0045) & (frag_to_src >> 48 & 0x3fff == 0);
    if !plain || end > frame.len() {
        return false;
    }
    let proto = (frag_to_src >> 32) as u8;
    // The ports are the upper half of what begins with them.
    let mut tp = word(L4) & 0xffff_ffff_0000_0000;
    let header = match proto {
        ip_proto::UDP => size_of::<Udp>(),
        ip_proto::TCP => {
            let Some(&[high, low]) = frame.get(L4 + 12..L4 + 14).and_then(|bytes| bytes.first_chunk()) else {
                return false;
            };
            if high < 0x50 {
                return false;
            }
            tp |= u64::from(u16::from_be_bytes([high & 0x0f, low])) << 16;
            usize::from(high >> 4) * 4
        }
        _ => return false,
    };
    if L4 + header > end {
        return false;
    }
    meta.len = frame.len() as u32;
    (meta.l3, meta.l4) = (IP as u16, L4 as u16);
    meta.payload = (L4 + header) as u16;
    meta.l3_end = end as u16;
    let words = &mut key.words;
    words[w::ETH_DST] = word(0) & !0xffff | u64::from(eth_type::IPV4);
    words[w::ETH_SRC] = word(6) & !0xffff;
    words[w::VLAN] = 0;
    words[w::NW] = word(26);
    let (proto, ttl) = (frag_to_src >> 32 & 0xff, frag_to_src >> 40 & 0xff);
    words[w::NW_MISC] = proto << 56 | (type_to_id >> 32 & 0xff) << 48 | ttl << 40;
    words[w::TP] = tp;
    true
}

/// Any frame.
#[inline(never)]
fn parse_any(frame: &[u8], meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    meta.len = frame.len() as u32;
    meta.l3 = 0;
    meta.l4 = 0;
    meta.payload = 0;
    meta.l3_end = 0;
    let words = &mut key.words;
    words[w::NW] = 0;
    words[w::NW_MISC] = 0;
    words[w::TP] = 0;

    let frame = frame.get(..MAX_FRAME).unwrap_or(frame);
    let Some((&eth, rest)) = frame.split_first_chunk::<ETH_LEN>() else {
        words[w::ETH_DST] = 0;
        words[w::ETH_SRC] = 0;
        words[w::VLAN] = 0;
        return stopped(Shape::Short, Stop::Runt);
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = eth;
    let dst = u64::from_be_bytes([a, b, c, d, e, f, g, h]) & !0xffff;
    let src = u64::from_be_bytes([g, h, i, j, k, l, m, n]);
    words[w::ETH_SRC] = src & !0xffff;

    let mut kind = src as u16;
    let mut rest = rest;
    let mut vlans = 0;
    let mut l3 = ETH_LEN;
    let mut cut_vlan = false;
    if eth_type::is_vlan(kind) {
        (vlans, kind, rest, cut_vlan) = tags(kind, rest);
        l3 = frame.len() - rest.len();
    } else if kind < eth_type::LEAST {
        (kind, rest) = llc(rest);
        l3 = frame.len() - rest.len();
    }
    words[w::VLAN] = vlans;
    words[w::ETH_DST] = dst | u64::from(kind);
    meta.l3 = l3 as u16;

    match kind {
        eth_type::IPV4 => ipv4(rest, meta, key),
        eth_type::IPV6 => ipv6(rest, meta, key),
        eth_type::ARP | eth_type::RARP => arp(rest, key),
        _ if cut_vlan => stopped(Shape::Short, Stop::TruncatedVlan),
        _ => done(Shape::Short),
    }
}

#[inline(always)]
fn done(shape: Shape) -> Parsed {
    Parsed { shape, stop: None }
}

#[inline(always)]
fn stopped(shape: Shape, stop: Stop) -> Parsed {
    Parsed { shape, stop: Some(stop) }
}

/// Reads up to two tags behind a type that announces one: the VLAN word, the type behind them, what follows it, and
/// whether the frame ended within a tag.
#[inline]
fn tags(tpid: u16, rest: &[u8]) -> (u64, u16, &[u8], bool) {
    let Some((outer, kind, rest)) = tag(tpid, rest) else { return (0, tpid, rest, true) };
    let mut word = outer << 32;
    let (mut kind, mut rest, mut cut) = (kind, rest, false);
    if eth_type::is_vlan(kind) {
        match tag(kind, rest) {
            Some((inner, behind, more)) => (word, kind, rest) = (word | inner, behind, more),
            None => cut = true,
        }
    }
    if kind < eth_type::LEAST {
        (kind, rest) = llc(rest);
    }
    (word, kind, rest, cut)
}

/// One tag as it stands in the key, the type behind it, and what follows that.
#[inline(always)]
fn tag(tpid: u16, rest: &[u8]) -> Option<(u64, u16, &[u8])> {
    let (&[a, b, c, d], rest) = rest.split_first_chunk::<VLAN_LEN>()?;
    let tci = u16::from_be_bytes([a, b]) | VLAN_PRESENT;
    Some((u64::from(tpid) << 16 | u64::from(tci), u16::from_be_bytes([c, d]), rest))
}

/// The Ethernet type of an 802.3 frame, and what follows the headers that gave it.
#[inline]
fn llc(rest: &[u8]) -> (u16, &[u8]) {
    match Snap::ref_from_prefix(rest) {
        Ok((snap, behind)) if snap.head == Snap::ETHERNET && snap.eth_type.get() >= eth_type::LEAST => {
            (snap.eth_type.get(), behind)
        }
        _ => (eth_type::NONE, rest),
    }
}

/// An Ethernet address in the upper 48 bits of a word.
#[inline(always)]
fn mac_word([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([a, b, c, d, e, f, 0, 0])
}

#[inline]
fn arp(rest: &[u8], key: &mut FlowKey) -> Parsed {
    let Ok((arp, _)) = Arp::ref_from_prefix(rest) else { return stopped(Shape::Short, Stop::BadArp) };
    if arp.head != Arp::IPV4_OVER_ETHERNET {
        return stopped(Shape::Short, Stop::BadArp);
    }
    let op = u8::try_from(arp.op.get()).unwrap_or(0);
    let words = &mut key.words;
    words[w::NW] = u64::from(arp.spa.get()) << 32 | u64::from(arp.tpa.get());
    words[w::NW_MISC] = u64::from(op) << 56;
    words[w::ARP_SHA] = mac_word(arp.sha);
    words[w::ARP_THA] = mac_word(arp.tha);
    done(Shape::Long)
}

#[inline(always)]
fn ipv4(rest: &[u8], meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    let bad = stopped(Shape::Short, Stop::BadIpv4);
    let Ok((ip, _)) = Ipv4::ref_from_prefix(rest) else { return bad };
    let header = ip.header_len();
    let total = usize::from(ip.total_len.get());
    if ip.version_ihl >> 4 != 4 || header < size_of::<Ipv4>() {
        return bad;
    }
    // Padding behind the datagram is not looked at.
    let Some(payload) = rest.get(..total).and_then(|datagram| datagram.get(header..)) else { return bad };
    let frag = ip.nw_frag();
    meta.l3_end = meta.l3 + total as u16;
    key.words[w::NW] = ip.addrs.get();
    key.words[w::NW_MISC] = u64::from_be_bytes([ip.proto, ip.tos, ip.ttl, frag, 0, 0, 0, 0]);
    if frag & FRAG_LATER != 0 {
        return done(Shape::Short);
    }
    let at = meta.l3 + header as u16;
    match ip.proto {
        ip_proto::ICMP => icmp(payload, at, meta, key),
        ip_proto::IGMP => igmp(payload, at, meta, key),
        proto => ports(proto, payload, at, meta, key, Shape::Short),
    }
}

#[inline]
fn ipv6(rest: &[u8], meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    let bad = stopped(Shape::Short, Stop::BadIpv6);
    let Ok((ip, behind)) = Ipv6::ref_from_prefix(rest) else { return bad };
    let flow = ip.flow.get();
    let len = usize::from(ip.payload_len.get());
    if flow >> 28 != 6 {
        return bad;
    }
    let Some(payload) = behind.get(..len) else { return bad };
    let chain = Ipv6Chain::walk(ip.next, payload);
    let base = meta.l3 + size_of::<Ipv6>() as u16;
    meta.l3_end = base + len as u16;
    let words = &mut key.words;
    let head = [chain.proto, (flow >> 20) as u8, ip.hop_limit, chain.frag, 0, 0, 0, 0];
    words[w::NW_MISC] = u64::from_be_bytes(head) | u64::from(flow & 0xf_ffff);
    let (src, dst) = (ip.src.get(), ip.dst.get());
    words[w::IPV6_SRC] = (src >> 64) as u64;
    words[w::IPV6_SRC + 1] = src as u64;
    words[w::IPV6_DST] = (dst >> 64) as u64;
    words[w::IPV6_DST + 1] = dst as u64;
    if !chain.complete {
        return stopped(Shape::Long, Stop::BadExtension);
    }
    if chain.frag & FRAG_LATER != 0 {
        return done(Shape::Long);
    }
    let payload = payload.get(chain.at..).unwrap_or_default();
    let at = base + chain.at as u16;
    match chain.proto {
        ip_proto::ICMPV6 => icmpv6(payload, at, meta, key),
        proto => ports(proto, payload, at, meta, key, Shape::Long),
    }
}

/// The protocols that have ports. `at` is where `payload` starts in the frame.
#[inline(always)]
fn ports(
    proto: u8,
    payload: &[u8],
    at: u16,
    meta: &mut PacketMeta,
    key: &mut FlowKey,
    shape: Shape,
) -> Parsed {
    let truncated = stopped(shape, Stop::TruncatedL4);
    match proto {
        ip_proto::TCP => {
            let Ok((tcp, _)) = Tcp::ref_from_prefix(payload) else { return truncated };
            let offset_flags = tcp.offset_flags.get();
            let header = usize::from(offset_flags >> 12) * 4;
            key.words[w::TP] = u64::from(tcp.ports.get()) << 32 | u64::from(offset_flags & 0xfff) << 16;
            meta.l4 = at;
            if header < size_of::<Tcp>() || header > payload.len() {
                return stopped(shape, Stop::BadTcp);
            }
            meta.payload = at + header as u16;
        }
        ip_proto::UDP => {
            let Ok((udp, _)) = Udp::ref_from_prefix(payload) else { return truncated };
            key.words[w::TP] = u64::from(udp.ports.get()) << 32;
            meta.l4 = at;
            meta.payload = at + size_of::<Udp>() as u16;
        }
        ip_proto::SCTP => {
            let Ok((sctp, _)) = Sctp::ref_from_prefix(payload) else { return truncated };
            key.words[w::TP] = u64::from(sctp.ports.get()) << 32;
            meta.l4 = at;
            meta.payload = at + size_of::<Sctp>() as u16;
        }
        _ => {}
    }
    done(shape)
}

/// The header that ICMP, ICMPv6 and IGMP share.
#[inline(always)]
fn icmp_head<'a>(
    payload: &'a [u8],
    at: u16,
    meta: &mut PacketMeta,
    key: &mut FlowKey,
) -> Option<(&'a Icmp, &'a [u8])> {
    let (icmp, body) = Icmp::ref_from_prefix(payload).ok()?;
    key.words[w::TP] = u64::from(icmp.kind) << 48 | u64::from(icmp.code) << 32;
    meta.l4 = at;
    meta.payload = at + size_of::<Icmp>() as u16;
    Some((icmp, body))
}

#[inline]
fn icmp(payload: &[u8], at: u16, meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    match icmp_head(payload, at, meta, key) {
        Some(_) => done(Shape::Short),
        None => stopped(Shape::Short, Stop::TruncatedL4),
    }
}

#[inline]
fn igmp(payload: &[u8], at: u16, meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    let Some((igmp, _)) = icmp_head(payload, at, meta, key) else {
        return stopped(Shape::Short, Stop::TruncatedL4);
    };
    key.words[w::ND_MISC] = u64::from(igmp.rest.get()) << 32;
    done(Shape::Long)
}

#[inline]
fn icmpv6(payload: &[u8], at: u16, meta: &mut PacketMeta, key: &mut FlowKey) -> Parsed {
    let Some((icmp, body)) = icmp_head(payload, at, meta, key) else {
        return stopped(Shape::Long, Stop::TruncatedL4);
    };
    if !matches!(icmp.kind, nd::SOLICIT | nd::ADVERT) || icmp.code != 0 {
        return done(Shape::Long);
    }
    let Some((&target, options)) = body.split_first_chunk::<16>() else {
        return stopped(Shape::Long, Stop::BadNd);
    };
    let Some(found) = NdOptions::read(options) else { return stopped(Shape::Long, Stop::BadNd) };
    let target = u128::from_be_bytes(target);
    let words = &mut key.words;
    words[w::ND_TARGET] = (target >> 64) as u64;
    words[w::ND_TARGET + 1] = target as u64;
    words[w::ARP_SHA] = mac_word(found.sll.map_or([0; 6], |(_, mac)| mac));
    words[w::ARP_THA] = mac_word(found.tll.map_or([0; 6], |(_, mac)| mac));
    words[w::ND_MISC] = u64::from(icmp.rest.get()) << 32 | u64::from(found.first) << 24;
    done(Shape::Long)
}

/// The link-layer addresses among the options of a neighbour discovery message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NdOptions {
    /// Where the source option starts, from the first option, and its address.
    pub(crate) sll: Option<(usize, [u8; 6])>,
    /// The same of the target option.
    pub(crate) tll: Option<(usize, [u8; 6])>,
    /// Type of the first of the two, 0 without.
    pub(crate) first: u8,
}

impl NdOptions {
    /// Reads options up to the first that is malformed; none if one with an address other than zero comes twice.
    #[inline]
    pub(crate) fn read(options: &[u8]) -> Option<NdOptions> {
        let mut found = NdOptions::default();
        let mut rest = options;
        for _ in 0..nd::MAX_OPTIONS {
            let Ok((option, _)) = NdOption::ref_from_prefix(rest) else { break };
            let Some((_, behind)) = rest.split_at_checked(usize::from(option.len) * 8) else { break };
            let slot = match (option.kind, option.len) {
                (_, 0) => break,
                (nd::OPT_SLL, 1) => Some(&mut found.sll),
                (nd::OPT_TLL, 1) => Some(&mut found.tll),
                _ => None,
            };
            if let Some(slot) = slot {
                if slot.is_some_and(|(_, mac)| mac != [0; 6]) {
                    return None;
                }
                *slot = Some((options.len() - rest.len(), option.mac));
                if found.first == 0 {
                    found.first = option.kind;
                }
            }
            rest = behind;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
