//! ARP requests, neighbour solicitations and advertisements.

use super::Original;
use super::build::{Addrs, datagram, ethernet, put, resize};
use crate::packet::checksum::Zero;
use crate::packet::headers::{Arp, eth_type, ip_proto, nd};
use crate::packet::{DropReason, Packet};

/// Flags of an advertisement: it was asked for, and is newer than what is known.
pub(super) const SOLICITED_OVERRIDE: u32 = 0x6000_0000;
/// Flag of an advertisement: it comes from a router.
pub(super) const ROUTER: u32 = 0x8000_0000;

/// Bytes of an ARP message.
const ARP_LEN: usize = size_of::<Arp>();
/// Bytes of a message of neighbour discovery with one address as option.
const ND_LEN: usize = 32;
/// Hop limit of neighbour discovery, which shows that no router was passed.
const ND_HOPS: u8 = 255;

/// An ARP request for the destination, from the packet's sender.
pub(super) fn arp<P: Packet>(packet: &mut P, original: &Original) -> Result<(), DropReason> {
    let Addrs::V4 { src, dst } = original.addrs else { return Err(DropReason::BadReply) };
    resize(packet, original, ARP_LEN)?;
    let l3 = ethernet(packet, original, original.eth_dst, original.eth_src, eth_type::ARP);
    l3.fill(0);
    put(l3, 0, &Arp::IPV4_OVER_ETHERNET);
    put(l3, 6, &[0, 1]);
    put(l3, 8, &original.eth_src);
    put(l3, 14, &src);
    put(l3, 24, &dst);
    Ok(())
}

/// A neighbour solicitation for the destination.
pub(super) fn solicit<P: Packet>(packet: &mut P, original: &Original) -> Result<(), DropReason> {
    let Addrs::V6 { dst: target, .. } = original.addrs else { return Err(DropReason::BadReply) };
    let [.., x, y, z] = target;
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    put(&mut group, 13, &[x, y, z]);
    let addrs = Addrs::V6 { src: link_local(original.eth_src), dst: group };
    let original = Original { eth_dst: [0x33, 0x33, 0xff, x, y, z], addrs, ..*original };
    let message = message(&original, nd::SOLICIT, 0, target, nd::OPT_SLL);
    datagram(packet, &original, &addrs, ip_proto::ICMPV6, ND_HOPS, &message)
}

/// A neighbour advertisement of the target that was asked for, at the address that was asked.
pub(super) fn advertise<P: Packet>(
    packet: &mut P,
    original: &Original,
    flags: u32,
) -> Result<(), DropReason> {
    let Addrs::V6 { src: asker, .. } = original.addrs else { return Err(DropReason::BadReply) };
    let frame = packet.data();
    if original.proto != ip_proto::ICMPV6
        || !matches!(original.l4_bytes(frame, 0)?, [nd::SOLICIT | nd::ADVERT, 0])
    {
        return Err(DropReason::BadReply);
    }
    let target = original.l4_bytes(frame, 8)?;
    let addrs = Addrs::V6 { src: target, dst: asker };
    let original = Original { addrs, ..original.exchanged() };
    let message = message(&original, nd::ADVERT, flags, target, nd::OPT_TLL);
    datagram(packet, &original, &addrs, ip_proto::ICMPV6, ND_HOPS, &message)
}

/// A message with the reply's Ethernet source as its one option.
fn message(original: &Original, kind: u8, flags: u32, target: [u8; 16], option: u8) -> [u8; ND_LEN] {
    let mut message = [0; ND_LEN];
    put(&mut message, 0, &[kind]);
    put(&mut message, 4, &flags.to_be_bytes());
    put(&mut message, 8, &target);
    put(&mut message, 24, &[option, 1]);
    put(&mut message, 26, &original.eth_src);
    let sum = original.addrs.pseudo(ip_proto::ICMPV6, ND_LEN).bytes(&message).fold();
    put(&mut message, 2, &Zero::Plain.canonical(!sum).to_be_bytes());
    message
}

/// The link-local address that belongs to an Ethernet address (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> [u8; 16] {
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}
