//! Replies: what the switch makes of a packet that it answers itself, with the bytes that OVN gives them.
//!
//! [`turn`] puts the reply into the buffer of the packet that it answers, or of a copy of it. The Ethernet header stays,
//! tags included, but for the addresses that a kind says. What the flow's actions say of a reply beyond this they write
//! afterwards, as into any packet. OVN quotes of an IPv4 packet what fits 576 bytes with the Ethernet header, and of an
//! IPv6 packet what fits 1280.
//!
//! The invariants: nothing is read beyond what the parser found sound; every checksum of a reply is complete, and
//! nothing is left to a device; a packet of which the reply cannot be made gives a named drop and stays as it was, but
//! for checksums that were open.

mod build;
mod icmp;
mod neighbour;
mod reset;

use crate::packet::headers::{ETH_LEN, MACS_LEN, VLAN_LEN, eth_type, ip_proto};
use crate::packet::{CsumState, DropReason, Packet, PacketMeta, checksum};
use build::{Addrs, bytes};

/// The kinds of replies, by OVN's names for the actions that make them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// `arp`: an ARP request for the destination of an IPv4 packet.
    Arp,
    /// `nd_ns`: a neighbour solicitation for the destination of an IPv6 packet, from the link-local address of its
    /// Ethernet source.
    NdNs,
    /// `nd_na`: the answer to a neighbour solicitation.
    NdNa,
    /// `nd_na_router`: the same with the router flag.
    NdNaRouter,
    /// `icmp4`: destination unreachable about an IPv4 packet: port unreachable if it is UDP, else host unreachable.
    Icmp4,
    /// `icmp4_error`: the same, always host unreachable.
    Icmp4Error,
    /// `icmp6`: destination unreachable about an IPv6 packet: port unreachable if it is UDP, else prohibited.
    Icmp6,
    /// `icmp6_error`: the same, always prohibited.
    Icmp6Error,
    /// `tcp_reset`: a reset of a TCP segment's connection. The ports are exchanged, the addresses are not.
    TcpReset,
    /// `sctp_abort`: an abort of an SCTP packet's association, likewise.
    SctpAbort,
    /// `reject`: a reset, an abort or destination unreachable, with Ethernet and IP addresses exchanged; nothing where
    /// that would answer a reset, an abort or destination unreachable.
    Reject,
}

impl Reply {
    /// All of them.
    pub const ALL: [Reply; 11] = [
        Reply::Arp,
        Reply::NdNs,
        Reply::NdNa,
        Reply::NdNaRouter,
        Reply::Icmp4,
        Reply::Icmp4Error,
        Reply::Icmp6,
        Reply::Icmp6Error,
        Reply::TcpReset,
        Reply::SctpAbort,
        Reply::Reject,
    ];

    /// Name in the flow syntax.
    pub const fn name(self) -> &'static str {
        match self {
            Reply::Arp => "arp",
            Reply::NdNs => "nd_ns",
            Reply::NdNa => "nd_na",
            Reply::NdNaRouter => "nd_na_router",
            Reply::Icmp4 => "icmp4",
            Reply::Icmp4Error => "icmp4_error",
            Reply::Icmp6 => "icmp6",
            Reply::Icmp6Error => "icmp6_error",
            Reply::TcpReset => "tcp_reset",
            Reply::SctpAbort => "sctp_abort",
            Reply::Reject => "reject",
        }
    }

    /// The kind of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Turns a packet into its reply. Offsets and what was said of the packet do not hold afterwards: it is to be parsed again.
pub fn turn<P: Packet>(packet: &mut P, meta: &PacketMeta, kind: Reply) -> Result<(), DropReason> {
    let original = Original::read(packet.data(), meta).ok_or(DropReason::BadReply)?;
    match kind {
        Reply::Arp => neighbour::arp(packet, &original),
        Reply::NdNs => neighbour::solicit(packet, &original),
        Reply::NdNa => neighbour::advertise(packet, &original, neighbour::SOLICITED_OVERRIDE),
        Reply::NdNaRouter => {
            neighbour::advertise(packet, &original, neighbour::SOLICITED_OVERRIDE | neighbour::ROUTER)
        }
        Reply::Icmp4 | Reply::Icmp4Error if original.addrs.is_ipv6() => Err(DropReason::BadReply),
        Reply::Icmp6 | Reply::Icmp6Error if !original.addrs.is_ipv6() => Err(DropReason::BadReply),
        Reply::Icmp4 | Reply::Icmp6 => unreachable(packet, meta, &original, true),
        Reply::Icmp4Error | Reply::Icmp6Error => unreachable(packet, meta, &original, false),
        Reply::TcpReset => reset::tcp(packet, &original),
        Reply::SctpAbort => reset::sctp(packet, &original),
        Reply::Reject => {
            let back = original.exchanged();
            match original.proto {
                ip_proto::TCP if reset::is_reset(packet.data(), &original)? => Err(DropReason::ReplyToError),
                ip_proto::TCP => reset::tcp(packet, &back),
                ip_proto::SCTP => reset::sctp(packet, &back),
                _ if icmp::is_unreachable(packet.data(), &original)? => Err(DropReason::ReplyToError),
                _ => unreachable(packet, meta, &back, true),
            }
        }
    }?;
    packet.clear_offloads();
    Ok(())
}

/// Destination unreachable, after what it quotes was completed.
fn unreachable<P: Packet>(
    packet: &mut P,
    meta: &PacketMeta,
    original: &Original,
    tells_port: bool,
) -> Result<(), DropReason> {
    // A checksum that cannot be completed is quoted as it is.
    if meta.said.l3_csum() == CsumState::Partial {
        let _ = checksum::complete_l3(packet.data_mut(), meta);
    }
    if meta.said.l4_csum() == CsumState::Partial {
        let _ = checksum::complete_l4(packet.data_mut(), meta);
    }
    icmp::unreachable(packet, original, tells_port)
}

/// What a reply is made of, read before anything is written.
#[derive(Clone, Copy)]
struct Original {
    /// Bytes of the Ethernet header with its tags, as the reply has them.
    l2: usize,
    /// First byte of the IP header; behind an LLC header that the reply does not have.
    l3: usize,
    /// First byte of the L4 header; 0 without a whole one.
    l4: usize,
    /// End of the datagram.
    end: usize,
    /// Ethernet addresses of the reply.
    eth_dst: [u8; 6],
    eth_src: [u8; 6],
    /// IP addresses of the reply.
    addrs: Addrs,
    /// L4 protocol, behind the extension headers of IPv6.
    proto: u8,
}

impl Original {
    /// Nothing if the packet is not sound IP.
    fn read(frame: &[u8], meta: &PacketMeta) -> Option<Self> {
        let ip = checksum::Datagram::read(frame, meta)?;
        let l3 = usize::from(meta.l3);
        let addrs = if ip.is_ipv6 {
            Addrs::V6 { src: bytes(frame, l3 + 8)?, dst: bytes(frame, l3 + 24)? }
        } else {
            Addrs::V4 { src: bytes(frame, l3 + 12)?, dst: bytes(frame, l3 + 16)? }
        };
        let is_tag = |at| bytes(frame, at).is_some_and(|kind| eth_type::is_vlan(u16::from_be_bytes(kind)));
        let tags = [MACS_LEN, MACS_LEN + VLAN_LEN].into_iter().take_while(|at| is_tag(*at)).count();
        Some(Self {
            l2: ETH_LEN + tags * VLAN_LEN,
            l3,
            l4: usize::from(meta.l4),
            end: usize::from(meta.l3_end),
            eth_dst: bytes(frame, 0)?,
            eth_src: bytes(frame, 6)?,
            addrs,
            proto: ip.proto,
        })
    }

    /// With sender and receiver in each other's place.
    fn exchanged(&self) -> Self {
        Self {
            eth_dst: self.eth_src,
            eth_src: self.eth_dst,
            addrs: match self.addrs {
                Addrs::V4 { src, dst } => Addrs::V4 { src: dst, dst: src },
                Addrs::V6 { src, dst } => Addrs::V6 { src: dst, dst: src },
            },
            ..*self
        }
    }

    /// `N` bytes of the L4 message, from `at` behind its beginning.
    fn l4_bytes<const N: usize>(&self, frame: &[u8], at: usize) -> Result<[u8; N], DropReason> {
        let message = frame.get(self.l4..self.end).filter(|_| self.l4 != 0);
        message.and_then(|message| bytes(message, at)).ok_or(DropReason::ReplyTooShort)
    }
}

#[cfg(test)]
mod tests;
