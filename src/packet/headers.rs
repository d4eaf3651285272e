//! Wire headers: the numbers that name protocols, and the fixed parts of the headers as they lie in the frame.

use zerocopy::byteorder::network_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Ethernet types, and what stands in for one.
pub mod eth_type {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// A VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A service VLAN tag (802.1ad).
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// The least number that is a type; smaller ones are the length of an 802.3 frame.
    pub const LEAST: u16 = 0x0600;
    /// Stands for an 802.3 frame that names no Ethernet type.
    pub const NONE: u16 = 0x05ff;

    /// Whether the type is that of a VLAN tag.
    #[inline(always)]
    pub const fn is_vlan(value: u16) -> bool {
        value == VLAN || value == SERVICE_VLAN
    }
}

/// IP protocols and IPv6 next headers.
pub mod ip_proto {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// ICMPv6 types and option types of neighbour discovery.
pub mod nd {
    /// Neighbour solicitation.
    pub const SOLICIT: u8 = 135;
    /// Neighbour advertisement.
    pub const ADVERT: u8 = 136;
    /// Option: source link-layer address.
    pub const OPT_SLL: u8 = 1;
    /// Option: target link-layer address.
    pub const OPT_TLL: u8 = 2;
    /// Options looked at in one message; those behind are not read.
    pub const MAX_OPTIONS: usize = 32;
}

/// In a VLAN tci of the key: the tag is there.
pub const VLAN_PRESENT: u16 = 0x1000;
/// In `nw_frag`: a fragment.
pub const FRAG_ANY: u8 = 1;
/// In `nw_frag`: not the first one.
pub const FRAG_LATER: u8 = 2;
/// Ethernet header without tags.
pub const ETH_LEN: usize = 14;
/// The two addresses of an Ethernet header.
pub const MACS_LEN: usize = 12;
/// One VLAN tag.
pub const VLAN_LEN: usize = 4;
/// Most IPv6 extension headers that are followed; a packet with more counts as malformed.
pub const MAX_EXTENSIONS: usize = 16;

/// LLC and SNAP, with the Ethernet type that SNAP carries.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Snap {
    /// DSAP, SSAP, control and organisation.
    pub head: [u8; 6],
    /// Type, if `head` is [`Snap::ETHERNET`].
    pub eth_type: U16,
}

impl Snap {
    /// SNAP by an unnumbered frame, with the organisation whose numbers are Ethernet types.
    pub const ETHERNET: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];
}

/// ARP and RARP for IPv4 over Ethernet.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Arp {
    /// Hardware type, protocol type and their lengths: [`Arp::IPV4_OVER_ETHERNET`] or nothing that we read.
    pub head: [u8; 6],
    /// Operation.
    pub op: U16,
    /// Sender's Ethernet address.
    pub sha: [u8; 6],
    /// Sender's IPv4 address.
    pub spa: U32,
    /// Target's Ethernet address.
    pub tha: [u8; 6],
    /// Target's IPv4 address.
    pub tpa: U32,
}

impl Arp {
    /// The one `head` that is read.
    pub const IPV4_OVER_ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];
}

/// IPv4 without options.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    /// Version and header length in words of four bytes.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Length of the datagram, this header included.
    pub total_len: U16,
    /// Identification.
    pub id: U16,
    /// Three flags, and the offset in units of eight bytes.
    pub frag: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol.
    pub proto: u8,
    /// Checksum of the header.
    pub csum: U16,
    /// Source and destination.
    pub addrs: U64,
}

impl Ipv4 {
    /// In `frag`: more fragments follow.
    pub const MORE: u16 = 0x2000;
    /// In `frag`: the offset.
    pub const OFFSET: u16 = 0x1fff;

    /// Bytes of the header, options included.
    #[inline(always)]
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0xf) * 4
    }

    /// `nw_frag` of the key.
    #[inline(always)]
    pub fn nw_frag(&self) -> u8 {
        let frag = self.frag.get();
        let later = u8::from(frag & Self::OFFSET != 0);
        ((u8::from(frag & Self::MORE != 0) | later) * FRAG_ANY) | (later * FRAG_LATER)
    }
}

/// IPv6 without extension headers.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv6 {
    /// Version, traffic class, flow label.
    pub flow: U32,
    /// Bytes behind this header.
    pub payload_len: U16,
    /// Type of the next header.
    pub next: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub src: U128,
    /// Destination.
    pub dst: U128,
}

/// TCP without options.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Tcp {
    /// Source and destination port.
    pub ports: U32,
    /// Sequence number.
    pub seq: U32,
    /// Acknowledgement number.
    pub ack: U32,
    /// Header length in words of four bytes, and twelve flags.
    pub offset_flags: U16,
    /// Window, checksum, urgent pointer.
    pub tail: [U16; 3],
}

/// UDP.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Udp {
    /// Source and destination port.
    pub ports: U32,
    /// Length and checksum.
    pub tail: [U16; 2],
}

/// SCTP's common header.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Sctp {
    /// Source and destination port.
    pub ports: U32,
    /// Verification tag and checksum.
    pub tail: [U32; 2],
}

/// ICMP, ICMPv6 and IGMP.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub csum: U16,
    /// Identifier and sequence, flags of neighbour discovery, or the IGMP group.
    pub rest: U32,
}

/// A neighbour discovery option with an Ethernet address.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NdOption {
    /// Type.
    pub kind: u8,
    /// Length in units of eight bytes.
    pub len: u8,
    /// The address, if the type is that of one.
    pub mac: [u8; 6],
}

/// What the extension headers of an IPv6 packet come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Chain {
    /// Type of the header that the walk ended at: the L4 protocol, [`ip_proto::FRAGMENT`] in a later fragment, or the
    /// extension header that could not be read.
    pub proto: u8,
    /// Where that header starts, from the start of the extension headers.
    pub at: usize,
    /// `nw_frag` of the key.
    pub frag: u8,
    /// A routing header with segments left was passed, so that the L4 checksum is over another destination.
    pub segments_left: bool,
    /// Whether every extension header could be read.
    pub complete: bool,
}

/// The beginning of every IPv6 extension header; no such header is shorter.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Extension {
    next: u8,
    len: u8,
    /// Offset, reserved bits and more-flag in a fragment header; type and segments left in a routing header.
    word: [u8; 2],
    _rest: [u8; 4],
}

impl Ipv6Chain {
    /// In a fragment header: the offset, in place.
    const OFFSET: u16 = 0xfff8;
    /// In a fragment header: more fragments follow.
    const MORE: u16 = 1;

    /// Walks the extension headers in `payload`, what lies behind the IPv6 header, of which the first has the type
    /// `next`.
    #[inline]
    pub fn walk(next: u8, payload: &[u8]) -> Ipv6Chain {
        let mut chain = Ipv6Chain { proto: next, at: 0, frag: 0, segments_left: false, complete: true };
        let mut rest = payload;
        for _ in 0..=MAX_EXTENSIONS {
            let is_extension = matches!(
                chain.proto,
                ip_proto::HOP_BY_HOP
                    | ip_proto::ROUTING
                    | ip_proto::DESTINATION
                    | ip_proto::AH
                    | ip_proto::FRAGMENT
            );
            if !is_extension {
                return chain;
            }
            let Ok((header, _)) = Extension::ref_from_prefix(rest) else { break };
            let len = match chain.proto {
                ip_proto::AH => (usize::from(header.len) + 2) * 4,
                ip_proto::FRAGMENT => 8,
                _ => (usize::from(header.len) + 1) * 8,
            };
            let Some((_, behind)) = rest.split_at_checked(len) else { break };
            if chain.proto == ip_proto::FRAGMENT {
                let frag = u16::from_be_bytes(header.word);
                if frag & Self::OFFSET != 0 {
                    chain.frag = FRAG_ANY | FRAG_LATER;
                    return chain;
                }
                if frag & Self::MORE != 0 {
                    chain.frag = FRAG_ANY;
                }
            }
            chain.segments_left |= chain.proto == ip_proto::ROUTING && header.word[1] != 0;
            chain.proto = header.next;
            chain.at += len;
            rest = behind;
        }
        chain.complete = false;
        chain
    }
}
