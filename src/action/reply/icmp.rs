//! Destination unreachable, which quotes the packet that it is about.

use super::Original;
use super::build::{Addrs, bytes, ethernet, put};
use crate::packet::checksum::{Sum, Zero};
use crate::packet::headers::{eth_type, ip_proto};
use crate::packet::{DropReason, Packet};

/// Bytes of an ICMP header, of either version.
const ICMP_LEN: usize = 8;
/// TTL and hop limit.
const TTL: u8 = 255;
/// Bytes of an Ethernet header, which OVN counts among those that a message may have.
const ETHERNET: usize = 14;
/// Most bytes of a message about an IPv4 packet, the Ethernet header counted.
const MOST_IPV4: usize = 576;
/// Most bytes of a message about an IPv6 packet, the Ethernet header counted.
const MOST_IPV6: usize = 1280;
/// ICMP: destination unreachable.
const UNREACHABLE_V4: u8 = 3;
/// ICMPv6: destination unreachable.
const UNREACHABLE_V6: u8 = 1;

/// Puts the message around the beginning of the datagram, which stays where it is in the buffer.
pub(super) fn unreachable<P: Packet>(
    packet: &mut P,
    original: &Original,
    tells_port: bool,
) -> Result<(), DropReason> {
    let Original { l2, l3, end, addrs, .. } = *original;
    let frame = packet.data();
    let (most, kind, proto, codes, eth, next) = match addrs {
        Addrs::V4 { .. } => (MOST_IPV4, UNREACHABLE_V4, ip_proto::ICMP, (1, 3), eth_type::IPV4, l3 + 9),
        Addrs::V6 { .. } => (MOST_IPV6, UNREACHABLE_V6, ip_proto::ICMPV6, (1, 4), eth_type::IPV6, l3 + 6),
    };
    let is_udp = bytes(frame, next) == Some([ip_proto::UDP]);
    let code = if tells_port && is_udp { codes.1 } else { codes.0 };
    let head = addrs.header_len() + ICMP_LEN;
    let quoted = end.saturating_sub(l3).min(most - ETHERNET - head);
    // An LLC header is no longer than what takes its place.
    if !packet.push_front((head + l2).saturating_sub(l3)) {
        return Err(DropReason::NoHeadroom);
    }
    packet.truncate(l2 + head + quoted);
    let frame = packet.data_mut();
    let moved = (head + l2).saturating_sub(l3);
    if frame.len() >= moved + l2 {
        frame.copy_within(moved..moved + l2, 0);
    }
    let l3 = ethernet(packet, original, original.eth_dst, original.eth_src, eth);
    let len = ICMP_LEN + quoted;
    addrs.write_header(l3, proto, TTL, len);
    let message = l3.get_mut(addrs.header_len()..).unwrap_or_default();
    put(message, 0, &[kind, code, 0, 0, 0, 0, 0, 0]);
    let (sum, zero) = match addrs {
        Addrs::V4 { .. } => (Sum::default(), Zero::AllOnes),
        Addrs::V6 { .. } => (addrs.pseudo(proto, len), Zero::Plain),
    };
    put(message, 2, &zero.canonical(!sum.bytes(message).fold()).to_be_bytes());
    Ok(())
}

/// Whether the packet itself is such a message.
pub(super) fn is_unreachable(frame: &[u8], original: &Original) -> Result<bool, DropReason> {
    let kind = match (original.proto, original.addrs.is_ipv6()) {
        (ip_proto::ICMP, false) => UNREACHABLE_V4,
        (ip_proto::ICMPV6, true) => UNREACHABLE_V6,
        _ => return Ok(false),
    };
    Ok(original.l4_bytes::<1>(frame, 0)? == [kind])
}
