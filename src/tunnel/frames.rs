//! The messages of ARP and neighbour discovery that the endpoint sends, and echo replies.

use crate::packet::Mac;
use crate::packet::checksum::{Sum, Zero};
use crate::packet::headers::{Arp, Ipv6, ip_proto, nd};

/// Bytes of an ARP message.
pub(super) const ARP_LEN: usize = size_of::<Arp>();
/// Bytes of an IPv6 header and a message of neighbour discovery with one address as option.
pub(super) const ND_LEN: usize = size_of::<Ipv6>() + 32;
/// Hop limit of neighbour discovery.
const ND_HOPS: u8 = 255;

/// ARP operation: request.
pub(super) const REQUEST: u16 = 1;
/// ARP operation: reply.
pub(super) const REPLY: u16 = 2;

/// Flag of an advertisement: it was asked for.
pub(super) const SOLICITED: u32 = 0x4000_0000;
/// Flag of an advertisement: it is newer than what is known.
pub(super) const OVERRIDE: u32 = 0x2000_0000;

/// All nodes of the link.
pub(super) const ALL_NODES: u128 = 0xff02 << 112 | 1;

/// An ARP message, behind the Ethernet header.
pub(super) fn arp(op: u16, (sha, spa): (Mac, u32), (tha, tpa): (Mac, u32)) -> [u8; ARP_LEN] {
    let mut arp = [0; ARP_LEN];
    put(&mut arp, 0, &Arp::IPV4_OVER_ETHERNET);
    put(&mut arp, 6, &op.to_be_bytes());
    put(&mut arp, 8, &sha.0);
    put(&mut arp, 14, &spa.to_be_bytes());
    put(&mut arp, 18, &tha.0);
    put(&mut arp, 24, &tpa.to_be_bytes());
    arp
}

/// What a message of neighbour discovery says.
#[derive(Clone, Copy)]
pub(super) enum Nd {
    /// Who has the target?
    Solicit,
    /// The sender has it, with these flags.
    Advert(u32),
}

/// An IPv6 packet with a message of neighbour discovery, behind the Ethernet header. `mac` is the sender's.
pub(super) fn discovery(what: Nd, src: u128, dst: u128, target: u128, mac: Mac) -> [u8; ND_LEN] {
    const L4: usize = size_of::<Ipv6>();
    let (kind, flags, option) = match what {
        Nd::Solicit => (nd::SOLICIT, 0, nd::OPT_SLL),
        Nd::Advert(flags) => (nd::ADVERT, flags, nd::OPT_TLL),
    };
    let len = (ND_LEN - L4) as u8;
    let mut packet = [0; ND_LEN];
    put(&mut packet, 0, &[0x60, 0, 0, 0, 0, len, ip_proto::ICMPV6, ND_HOPS]);
    put(&mut packet, 8, &src.to_be_bytes());
    put(&mut packet, 24, &dst.to_be_bytes());
    put(&mut packet, L4, &[kind]);
    put(&mut packet, L4 + 4, &flags.to_be_bytes());
    put(&mut packet, L4 + 8, &target.to_be_bytes());
    put(&mut packet, L4 + 24, &[option, 1]);
    put(&mut packet, L4 + 26, &mac.0);
    let sum = Sum::default().wide(src).wide(dst).word(len.into()).word(ip_proto::ICMPV6.into());
    let sum = sum.bytes(packet.get(L4..).unwrap_or_default()).fold();
    put(&mut packet, L4 + 2, &Zero::Plain.canonical(!sum).to_be_bytes());
    packet
}

/// The Ethernet address of an IPv6 group.
pub(super) fn group_mac(group: u128) -> Mac {
    Mac::from_u64(0x3333 << 32 | u64::from(group as u32))
}

/// The group that those who have an address listen to for solicitations.
pub(super) fn solicited_node(target: u128) -> u128 {
    0xff02 << 112 | 0x1_ff00_0000 | target & 0xff_ffff
}

/// Writes bytes at a place, if they fit there.
#[inline(always)]
pub(super) fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = to.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        to.copy_from_slice(bytes);
    }
}
