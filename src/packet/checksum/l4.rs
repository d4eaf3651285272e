//! Where the checksums of a packet stand and what they cover; completion of those that a sender left open.

use zerocopy::FromBytes;

use super::crc32c::Crc32c;
use super::{Sum, Zero};
use crate::packet::headers::{Ipv4, Ipv6, Ipv6Chain, ip_proto};
use crate::packet::meta::{CsumState, PacketMeta};

/// Why a checksum cannot be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// No IP header that could be read.
    #[error("the packet has no IP header that could be read; only IP packets may have a checksum left open")]
    NotIp,
    /// A fragment.
    #[error(
        "the packet is a fragment, and its checksum covers other fragments; complete it before fragmenting"
    )]
    Fragment,
    /// No L4 header, or one without a checksum that we know.
    #[error("the packet has no whole TCP, UDP, SCTP or ICMPv6 header; only their checksums may be left open")]
    NotL4,
    /// The final destination is in a routing header.
    #[error("the packet's final destination is in a routing header; complete the checksum before it is sent")]
    RoutingHeader,
    /// UDP's length is not within the datagram.
    #[error("the UDP length does not fit the IP datagram; send a length from 8 to that of the IP payload")]
    UdpLength,
}

/// What the headers of an IP packet say of its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// IPv6, else IPv4.
    pub is_ipv6: bool,
    /// L4 protocol.
    pub proto: u8,
    /// `nw_frag` of the key.
    pub frag: u8,
    /// The L4 checksum is over a destination in a routing header, not over the one in the IPv6 header.
    pub segments_left: bool,
}

impl Datagram {
    /// Reads the headers of a packet that the parser found to be sound IP.
    #[inline]
    pub fn read(frame: &[u8], meta: &PacketMeta) -> Option<Datagram> {
        let datagram = datagram(frame, meta)?;
        if datagram.first()? >> 4 == 4 {
            let (ip, _) = Ipv4::ref_from_prefix(datagram).ok()?;
            let (proto, frag) = (ip.proto, ip.nw_frag());
            return Some(Datagram { is_ipv6: false, proto, frag, segments_left: false });
        }
        let (ip, behind) = Ipv6::ref_from_prefix(datagram).ok()?;
        let Ipv6Chain { proto, frag, segments_left, .. } = Ipv6Chain::walk(ip.next, behind);
        Some(Datagram { is_ipv6: true, proto, frag, segments_left })
    }

    /// Where the checksum stands in the L4 header, and its form of zero. SCTP's is no ones' complement sum.
    #[inline(always)]
    pub fn l4_csum(self) -> Option<(usize, Zero)> {
        Some(match (self.proto, self.is_ipv6) {
            (ip_proto::TCP, _) => (16, Zero::Plain),
            (ip_proto::UDP, _) => (6, Zero::AllOnes),
            (ip_proto::SCTP, _) => (8, Zero::Plain),
            (ip_proto::ICMP, false) => (2, Zero::AllOnes),
            (ip_proto::ICMPV6, true) => (2, Zero::Plain),
            _ => return None,
        })
    }

    /// Whether the L4 checksum covers the IP addresses.
    #[inline(always)]
    pub fn has_pseudo_header(self) -> bool {
        matches!((self.proto, self.is_ipv6), (ip_proto::TCP | ip_proto::UDP, _) | (ip_proto::ICMPV6, true))
    }
}

/// The IP datagram, without what lies around it in the frame.
#[inline(always)]
fn datagram<'a>(frame: &'a [u8], meta: &PacketMeta) -> Option<&'a [u8]> {
    frame.get(usize::from(meta.l3)..usize::from(meta.l3_end))
}

/// The L4 checksum of a packet.
struct Open {
    ip: Datagram,
    /// Place of the field in the frame.
    field: usize,
    zero: Zero,
    /// End of what it covers, which starts at the L4 header.
    end: usize,
}

fn open(frame: &[u8], meta: &PacketMeta) -> Result<Open, NoPlace> {
    let ip = Datagram::read(frame, meta).ok_or(NoPlace::NotIp)?;
    if ip.frag != 0 {
        return Err(NoPlace::Fragment);
    }
    if meta.l4 == 0 || ip.proto == ip_proto::ICMP {
        return Err(NoPlace::NotL4);
    }
    let (offset, zero) = ip.l4_csum().ok_or(NoPlace::NotL4)?;
    if ip.segments_left && ip.has_pseudo_header() {
        return Err(NoPlace::RoutingHeader);
    }
    let l4 = usize::from(meta.l4);
    let mut end = usize::from(meta.l3_end);
    if ip.proto == ip_proto::UDP {
        let len = frame.get(l4 + 4..l4 + 6).and_then(|len| len.try_into().ok());
        let len = usize::from(u16::from_be_bytes(len.ok_or(NoPlace::UdpLength)?));
        if len < 8 || l4 + len > end {
            return Err(NoPlace::UdpLength);
        }
        end = l4 + len;
    }
    Ok(Open { ip, field: l4 + offset, zero, end })
}

/// The pseudo header's sum, RFC 793 and RFC 8200.
fn pseudo(frame: &[u8], meta: &PacketMeta, open: &Open) -> Result<Sum, NoPlace> {
    let datagram = datagram(frame, meta).ok_or(NoPlace::NotIp)?;
    let addrs = if open.ip.is_ipv6 { datagram.get(8..40) } else { datagram.get(12..20) };
    let len = open.end - usize::from(meta.l4);
    Ok(Sum::default().bytes(addrs.ok_or(NoPlace::NotIp)?).word(len as u64).word(u64::from(open.ip.proto)))
}

/// The sum of the pseudo header of a TCP, UDP or ICMPv6 packet, not complemented.
pub fn pseudo_header_sum(frame: &[u8], meta: &PacketMeta) -> Result<u16, NoPlace> {
    let open = open(frame, meta)?;
    if !open.ip.has_pseudo_header() {
        return Err(NoPlace::NotL4);
    }
    Ok(pseudo(frame, meta, &open)?.fold())
}

/// Writes into the L4 checksum field what a device that completes checksums expects there: the sum of the pseudo
/// header, not complemented, and zero for SCTP. Says what the packet is.
pub fn put_pseudo_header_sum(frame: &mut [u8], meta: &PacketMeta) -> Result<Datagram, NoPlace> {
    let open = open(frame, meta)?;
    if open.ip.has_pseudo_header() {
        let sum = pseudo(frame, meta, &open)?.fold();
        put(frame, open.field, sum.to_be_bytes())?;
    } else {
        put(frame, open.field, [0; 4])?;
    }
    Ok(open.ip)
}

/// Computes and writes the TCP, UDP, SCTP or ICMPv6 checksum of a packet whose sender left it open.
pub fn complete_l4(frame: &mut [u8], meta: &PacketMeta) -> Result<(), NoPlace> {
    let open = open(frame, meta)?;
    let l4 = usize::from(meta.l4);
    if open.ip.proto == ip_proto::SCTP {
        put(frame, open.field, [0; 4])?;
        let covered = frame.get(l4..open.end).ok_or(NoPlace::NotL4)?;
        let crc = Crc32c::default().bytes(covered).finish();
        return put(frame, open.field, crc.to_le_bytes());
    }
    put(frame, open.field, [0; 2])?;
    let covered = frame.get(l4..open.end).ok_or(NoPlace::NotL4)?;
    let sum = pseudo(frame, meta, &open)?.bytes(covered).fold();
    put(frame, open.field, open.zero.canonical(!sum).to_be_bytes())
}

/// Computes and writes whichever checksums the sender left open.
pub fn complete(frame: &mut [u8], meta: &PacketMeta) -> Result<(), NoPlace> {
    if meta.said.l3_csum() == CsumState::Partial {
        complete_l3(frame, meta)?;
    }
    if meta.said.l4_csum() == CsumState::Partial {
        complete_l4(frame, meta)?;
    }
    Ok(())
}

/// Computes and writes the IPv4 header checksum. IPv6 has none, which is no error.
pub fn complete_l3(frame: &mut [u8], meta: &PacketMeta) -> Result<(), NoPlace> {
    let ip = Datagram::read(frame, meta).ok_or(NoPlace::NotIp)?;
    if ip.is_ipv6 {
        return Ok(());
    }
    let l3 = usize::from(meta.l3);
    put(frame, l3 + 10, [0; 2])?;
    let datagram = datagram(frame, meta).ok_or(NoPlace::NotIp)?;
    let (ip, _) = Ipv4::ref_from_prefix(datagram).map_err(|_| NoPlace::NotIp)?;
    let header = datagram.get(..ip.header_len()).ok_or(NoPlace::NotIp)?;
    let sum = Sum::default().bytes(header).fold();
    put(frame, l3 + 10, Zero::Plain.canonical(!sum).to_be_bytes())
}

/// Writes a field.
fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: [u8; N]) -> Result<(), NoPlace> {
    *frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).ok_or(NoPlace::NotL4)? = bytes;
    Ok(())
}
