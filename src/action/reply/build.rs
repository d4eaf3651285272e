//! How the bytes of a reply come into the buffer.

use super::Original;
use crate::packet::checksum::{Sum, Zero};
use crate::packet::headers::eth_type;
use crate::packet::{DropReason, Packet};

/// Bytes of an IPv4 header without options.
const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header.
const IPV6_LEN: usize = 40;
/// "Do not fragment" in IPv4's field of fragments.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// Addresses of an IP packet.
#[derive(Clone, Copy)]
pub(super) enum Addrs {
    /// IPv4.
    V4 { src: [u8; 4], dst: [u8; 4] },
    /// IPv6.
    V6 { src: [u8; 16], dst: [u8; 16] },
}

impl Addrs {
    /// Whether they are IPv6's.
    pub(super) fn is_ipv6(&self) -> bool {
        matches!(self, Addrs::V6 { .. })
    }

    /// Bytes of the IP header.
    pub(super) fn header_len(&self) -> usize {
        if self.is_ipv6() { IPV6_LEN } else { IPV4_LEN }
    }

    /// The sum of the pseudo header.
    pub(super) fn pseudo(&self, proto: u8, len: usize) -> Sum {
        let sum = match self {
            Addrs::V4 { src, dst } => Sum::default().bytes(src).bytes(dst),
            Addrs::V6 { src, dst } => Sum::default().bytes(src).bytes(dst),
        };
        sum.word(len as u64).word(u64::from(proto))
    }

    /// Writes the IP header in front of `len` bytes; where there is no room for it, nothing.
    pub(super) fn write_header(&self, to: &mut [u8], proto: u8, ttl: u8, len: usize) {
        match self {
            Addrs::V4 { src, dst } => {
                let Some(header) = to.first_chunk_mut::<IPV4_LEN>() else { return };
                *header = [0; IPV4_LEN];
                put(header, 0, &[0x45]);
                put(header, 2, &((IPV4_LEN + len) as u16).to_be_bytes());
                put(header, 6, &DONT_FRAGMENT);
                put(header, 8, &[ttl, proto]);
                put(header, 12, src);
                put(header, 16, dst);
                let sum = Zero::Plain.canonical(!Sum::default().bytes(header.as_slice()).fold());
                put(header, 10, &sum.to_be_bytes());
            }
            Addrs::V6 { src, dst } => {
                let Some(header) = to.first_chunk_mut::<IPV6_LEN>() else { return };
                *header = [0; IPV6_LEN];
                put(header, 0, &[0x60]);
                put(header, 4, &(len as u16).to_be_bytes());
                put(header, 6, &[proto, ttl]);
                put(header, 8, src);
                put(header, 24, dst);
            }
        }
    }
}

/// `N` bytes at a place.
pub(super) fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

/// Writes bytes at a place, if they fit there.
pub(super) fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = to.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// Makes the frame as long as the Ethernet header and `len` bytes behind it.
pub(super) fn resize<P: Packet>(packet: &mut P, original: &Original, len: usize) -> Result<(), DropReason> {
    let (now, wanted) = (packet.data().len(), original.l2 + len);
    if now < wanted && !packet.push_back(wanted - now) {
        return Err(DropReason::NoHeadroom);
    }
    packet.truncate(wanted);
    Ok(())
}

/// Writes the addresses and the type of the Ethernet header; gives what lies behind it.
pub(super) fn ethernet<'p, P: Packet>(
    packet: &'p mut P,
    original: &Original,
    dst: [u8; 6],
    src: [u8; 6],
    kind: u16,
) -> &'p mut [u8] {
    let frame = packet.data_mut();
    put(frame, 0, &dst);
    put(frame, 6, &src);
    put(frame, original.l2 - 2, &kind.to_be_bytes());
    frame.get_mut(original.l2..).unwrap_or_default()
}

/// Replaces all behind the Ethernet header with an IP packet of a few bytes.
pub(super) fn datagram<P: Packet>(
    packet: &mut P,
    original: &Original,
    addrs: &Addrs,
    proto: u8,
    ttl: u8,
    message: &[u8],
) -> Result<(), DropReason> {
    let header = addrs.header_len();
    resize(packet, original, header + message.len())?;
    let kind = if addrs.is_ipv6() { eth_type::IPV6 } else { eth_type::IPV4 };
    let l3 = ethernet(packet, original, original.eth_dst, original.eth_src, kind);
    addrs.write_header(l3, proto, ttl, message.len());
    put(l3, header, message);
    Ok(())
}
