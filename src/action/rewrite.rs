//! Rewriting fields in packets, with the checksums over them.
//!
//! Checksums are changed by the difference, so that one that was wrong stays as wrong as it was, and a packet is never
//! read through for one. A checksum whose state is partial is not touched: whoever completes it reads the packet
//! then. A field that the packet does not have after all (its header was malformed) is not written.

use crate::packet::checksum::crc32c;
use crate::packet::checksum::{Datagram, Zero, update, update_less};
use crate::packet::headers::{Arp, ETH_LEN, MACS_LEN, VLAN_LEN, eth_type, ip_proto, nd};
use crate::packet::parse::NdOptions;
use crate::packet::{CsumState, DropReason, Field, Packet, PacketMeta};
use zerocopy::FromBytes;

/// Which checksums cover a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cover {
    /// None.
    Nothing,
    /// That of the IPv4 header.
    Ipv4,
    /// That of the IPv4 header, and by the pseudo header that of L4.
    Ipv4Address,
    /// By the pseudo header that of L4.
    Pseudo,
    /// That of L4.
    L4,
}

/// Where a field stands in the frame: in `len` bytes at `at`, an even number at an even place of what is summed, with
/// its lowest bit `shift` above the lowest of those.
struct Place {
    at: usize,
    len: usize,
    shift: u32,
    cover: Cover,
    /// Bits of the place that the field may change.
    bits: u128,
}

/// Writes the bits of `mask` of a field that lives in the packet; `value` and `mask` are right-aligned.
#[inline]
pub(super) fn set<P: Packet>(packet: &mut P, meta: &PacketMeta, field: Field, value: u128, mask: u128) {
    let frame = packet.data_mut();
    if let Some(at) = mac_at(field) {
        return set_mac(frame, at, value as u64, mask as u64);
    }
    let Some(place) = place(frame, meta, field) else { return };
    let Some(old) = read(frame, place.at, place.len) else { return };
    let mut mask = ((mask & field.all_ones()) << place.shift) & place.bits;
    if field == Field::ArpOp {
        // The field is the low byte of the operation, and reads as 0 where the high one is set.
        mask = if old > 0xff { 0xffff } else { mask };
    }
    let new = (old & !mask) | ((value << place.shift) & mask);
    if new == old {
        return;
    }
    write(frame, place.at, place.len, new);
    fix(frame, meta, &place, old, new);
}

/// [`set`] for many packets.
#[inline]
pub(super) fn set_all<P: Packet>(
    packets: &mut [P],
    metas: &[PacketMeta],
    field: Field,
    value: u128,
    mask: u128,
) {
    for (packet, meta) in packets.iter_mut().zip(metas) {
        set(packet, meta, field, value, mask);
    }
}

/// What routers change, so that a packet is touched once: bits of both addresses of the Ethernet header, and the TTL.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hop {
    /// The first 16 bytes of the frame, in their order.
    value: u128,
    mask: u128,
    /// How much less the TTL is to be.
    ttls: u8,
}

impl Hop {
    /// A change of the TTL alone.
    #[inline]
    pub fn less(ttls: u8) -> Self {
        Self { ttls, ..Self::default() }
    }

    /// Whether a field is one that it may change by [`Hop::take`].
    pub fn is_about(field: Field) -> bool {
        mac_at(field).is_some()
    }

    /// Takes a change of an Ethernet address in; false if it is one of another field.
    #[inline]
    pub fn take(&mut self, field: Field, value: u128, mask: u128) -> bool {
        let Some(at) = mac_at(field) else { return false };
        let place = |bits: u128| ((bits & field.all_ones()) << (80 - 8 * at)).to_be();
        let (value, mask) = (place(value), place(mask));
        self.value = self.value & !mask | value & mask;
        self.mask |= mask;
        true
    }

    /// Does all of it to packets; a TTL that is too low stays as it is.
    // By itself, so that the loop has the registers.
    #[inline(never)]
    pub fn change_all<P: Packet>(&self, packets: &mut [P], metas: &[PacketMeta]) {
        let hop = *self;
        for (packet, meta) in packets.iter_mut().zip(metas) {
            let frame = packet.data_mut();
            if hop.ttls > 0 {
                // The caller has looked at the TTL.
                let _ = dec_ttl_in(frame, meta, hop.ttls);
            }
            // Behind the TTL: what was just written is read again slowly.
            if hop.mask != 0 {
                hop.change_macs(frame);
            }
        }
    }

    #[inline(always)]
    fn change_macs(&self, frame: &mut [u8]) {
        let changed = |bytes: [u8; 16]| (u128::from_ne_bytes(bytes) & !self.mask | self.value).to_ne_bytes();
        if let Some(bytes) = frame.first_chunk_mut::<16>() {
            *bytes = changed(*bytes);
        } else if frame.len() >= MACS_LEN {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(&*frame).for_each(|(to, from)| *to = *from);
            frame.iter_mut().zip(changed(bytes)).for_each(|(to, from)| *to = from);
        }
    }
}

/// Where an address of the Ethernet header stands.
#[inline(always)]
fn mac_at(field: Field) -> Option<usize> {
    match field {
        Field::EthDst => Some(0),
        Field::EthSrc => Some(6),
        _ => None,
    }
}

/// Writes bits of an address of the Ethernet header, over which there is no checksum.
#[inline(always)]
fn set_mac(frame: &mut [u8], at: usize, value: u64, mask: u64) {
    let Some(bytes) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) else { return };
    // The two bytes behind the address are taken along and stay.
    let (value, mask) = (value << 16, mask << 16);
    *bytes = (u64::from_be_bytes(*bytes) & !mask | value & mask).to_be_bytes();
}

/// TTL or hop limit less so many. Refuses, and changes nothing, where it is not more than that.
#[inline]
pub(super) fn dec_ttl<P: Packet>(packet: &mut P, meta: &PacketMeta, by: u8) -> Result<(), DropReason> {
    dec_ttl_in(packet.data_mut(), meta, by)
}

#[inline(always)]
fn dec_ttl_in(frame: &mut [u8], meta: &PacketMeta, by: u8) -> Result<(), DropReason> {
    let ip = frame.get_mut(usize::from(meta.l3)..).and_then(|ip| ip.first_chunk_mut::<12>());
    if let Some([vihl, _, _, _, _, _, _, _, ttl, _, a, b]) = ip
        && meta.l3_end != 0
        && *vihl >> 4 == 4
    {
        if *ttl <= by {
            return Err(DropReason::TtlExpired);
        }
        *ttl -= by;
        if meta.said.l3_csum() != CsumState::Partial {
            let field = u16::from_be_bytes([*a, *b]);
            [*a, *b] = update_less(field, u16::from(by) << 8).to_be_bytes();
        }
        return Ok(());
    }
    let Some(place) = place(frame, meta, Field::NwTtl) else { return Ok(()) };
    let Some(old) = read(frame, place.at, place.len) else { return Ok(()) };
    if (old & place.bits) >> place.shift <= by.into() {
        return Err(DropReason::TtlExpired);
    }
    let new = old - (u128::from(by) << place.shift);
    write(frame, place.at, place.len, new);
    fix(frame, meta, &place, old, new);
    Ok(())
}

/// Writes the MTU of the next hop into an ICMP or ICMPv6 error: the four bytes behind the checksum.
pub(super) fn set_mtu<P: Packet>(packet: &mut P, meta: &PacketMeta, mtu: u32) {
    if meta.l4 == 0 {
        return;
    }
    let at = usize::from(meta.l4) + 4;
    let place = Place { at, len: 4, shift: 0, cover: Cover::L4, bits: u32::MAX.into() };
    let frame = packet.data_mut();
    let Some(old) = read(frame, place.at, place.len) else { return };
    write(frame, place.at, place.len, mtu.into());
    fix(frame, meta, &place, old, mtu.into());
}

/// Puts a tag with identifier and priority 0 in front of the others.
#[inline]
pub(super) fn push_vlan<P: Packet>(
    packet: &mut P,
    meta: &mut PacketMeta,
    tpid: u16,
) -> Result<(), DropReason> {
    if packet.data().len() < ETH_LEN {
        return Ok(());
    }
    if !packet.push_front(VLAN_LEN) {
        return Err(DropReason::NoHeadroom);
    }
    let Some(head) = packet.data_mut().first_chunk_mut::<{ MACS_LEN + VLAN_LEN }>() else { return Ok(()) };
    head.copy_within(VLAN_LEN.., 0);
    let [.., a, b, c, d] = head;
    [*a, *b] = tpid.to_be_bytes();
    [*c, *d] = [0, 0];
    move_offsets(meta, |offset| offset.saturating_add(VLAN_LEN as u16));
    meta.len += VLAN_LEN as u32;
    Ok(())
}

/// Takes the outer tag off; does nothing where there is none.
#[inline]
pub(super) fn pop_vlan<P: Packet>(packet: &mut P, meta: &mut PacketMeta) {
    let frame = packet.data_mut();
    if frame.len() < ETH_LEN + VLAN_LEN || !has_tag(frame) {
        return;
    }
    let Some(head) = frame.first_chunk_mut::<{ MACS_LEN + VLAN_LEN }>() else { return };
    head.copy_within(..MACS_LEN, VLAN_LEN);
    if packet.pull_front(VLAN_LEN) {
        move_offsets(meta, |offset| offset.saturating_sub(VLAN_LEN as u16));
        meta.len = meta.len.saturating_sub(VLAN_LEN as u32);
    }
}

#[inline(always)]
fn move_offsets(meta: &mut PacketMeta, to: impl Fn(u16) -> u16) {
    for offset in [&mut meta.l3, &mut meta.l4, &mut meta.payload, &mut meta.l3_end] {
        if *offset != 0 {
            *offset = to(*offset);
        }
    }
}

#[inline(always)]
fn has_tag(frame: &[u8]) -> bool {
    read(frame, MACS_LEN, 2).is_some_and(|kind| eth_type::is_vlan(kind as u16))
}

/// The field's place, if the packet has it.
#[inline]
fn place(frame: &[u8], meta: &PacketMeta, field: Field) -> Option<Place> {
    let l3 = usize::from(meta.l3);
    let at = |at: usize, len: usize, shift: u32, cover: Cover| {
        let bits = field.all_ones() << shift;
        Some(Place { at, len, shift, cover, bits })
    };
    // Bit 12 says in the key that the tag is there; in the frame it is not ours to change.
    let tci = |shift: u32| {
        has_tag(frame).then_some(Place {
            at: ETH_LEN,
            len: 2,
            shift,
            cover: Cover::Nothing,
            bits: (field.all_ones() << shift) & 0xefff,
        })
    };
    match field {
        Field::VlanTci | Field::DlVlan | Field::VlanVid => tci(0),
        Field::DlVlanPcp | Field::VlanPcp => tci(13),
        Field::NwSrc | Field::ArpSpa | Field::NwDst | Field::ArpTpa => {
            let is_src = matches!(field, Field::NwSrc | Field::ArpSpa);
            match version(frame, meta) {
                Some(4) => at(l3 + if is_src { 12 } else { 16 }, 4, 0, Cover::Ipv4Address),
                Some(_) => None,
                None => arp(frame, meta)
                    .and_then(|()| at(l3 + if is_src { 14 } else { 24 }, 4, 0, Cover::Nothing)),
            }
        }
        Field::ArpOp => arp(frame, meta).and_then(|()| at(l3 + 6, 2, 0, Cover::Nothing)),
        Field::ArpSha => arp(frame, meta).and_then(|()| at(l3 + 8, 6, 0, Cover::Nothing)),
        Field::ArpTha => arp(frame, meta).and_then(|()| at(l3 + 18, 6, 0, Cover::Nothing)),
        Field::Ipv6Src if version(frame, meta)? == 6 => at(l3 + 8, 16, 0, Cover::Pseudo),
        Field::Ipv6Dst if version(frame, meta)? == 6 => {
            let elsewhere = Datagram::read(frame, meta)?.segments_left;
            at(l3 + 24, 16, 0, if elsewhere { Cover::Nothing } else { Cover::Pseudo })
        }
        Field::Ipv6Label if version(frame, meta)? == 6 => at(l3, 4, 0, Cover::Nothing),
        Field::NwTos | Field::IpDscp | Field::NwEcn => {
            let shift = if field == Field::IpDscp { 2 } else { 0 };
            match version(frame, meta)? {
                4 => at(l3, 2, shift, Cover::Ipv4),
                _ => at(l3, 4, 20 + shift, Cover::Nothing),
            }
        }
        Field::NwTtl => match version(frame, meta)? {
            4 => at(l3 + 8, 2, 8, Cover::Ipv4),
            _ => at(l3 + 6, 2, 0, Cover::Nothing),
        },
        _ => l4_place(frame, meta, field),
    }
}

/// The place of a field of L4 or neighbour discovery.
#[inline]
fn l4_place(frame: &[u8], meta: &PacketMeta, field: Field) -> Option<Place> {
    let l4 = usize::from(meta.l4);
    if l4 == 0 {
        return None;
    }
    let at = |at: usize, len: usize, shift: u32| {
        Some(Place { at, len, shift, cover: Cover::L4, bits: field.all_ones() << shift })
    };
    let nd_body = || {
        let message = frame.get(l4..usize::from(meta.l3_end))?;
        let (head, options) = message.split_first_chunk::<24>()?;
        let is_nd = matches!(head, [nd::SOLICIT | nd::ADVERT, 0, ..]);
        is_nd.then(|| NdOptions::read(options)).flatten()
    };
    let option = |found: usize| l4 + 24 + found;
    match field {
        Field::TcpSrc | Field::UdpSrc | Field::SctpSrc => at(l4, 2, 0),
        Field::TcpDst | Field::UdpDst | Field::SctpDst => at(l4 + 2, 2, 0),
        Field::IcmpType | Field::Icmpv6Type => at(l4, 2, 8),
        Field::IcmpCode | Field::Icmpv6Code => at(l4, 2, 0),
        Field::NdReserved => nd_body().and_then(|_| at(l4 + 4, 4, 0)),
        Field::NdTarget => nd_body().and_then(|_| at(l4 + 8, 16, 0)),
        Field::NdSll => at(option(nd_body()?.sll?.0) + 2, 6, 0),
        Field::NdTll => at(option(nd_body()?.tll?.0) + 2, 6, 0),
        Field::NdOptionsType => {
            let found = nd_body()?;
            let first = if found.first == nd::OPT_SLL { found.sll } else { found.tll };
            at(option(first?.0), 2, 8)
        }
        _ => None,
    }
}

/// IP version of a packet whose IP header is sound.
#[inline(always)]
fn version(frame: &[u8], meta: &PacketMeta) -> Option<u8> {
    (meta.l3_end != 0).then(|| frame.get(usize::from(meta.l3)).map(|byte| byte >> 4)).flatten()
}

/// Whether the packet is ARP that the parser reads.
#[inline]
fn arp(frame: &[u8], meta: &PacketMeta) -> Option<()> {
    let l3 = usize::from(meta.l3);
    let kind = read(frame, l3.checked_sub(2)?, 2)? as u16;
    let (arp, _) = Arp::ref_from_prefix(frame.get(l3..)?).ok()?;
    let is_arp = matches!(kind, eth_type::ARP | eth_type::RARP) && arp.head == Arp::IPV4_OVER_ETHERNET;
    is_arp.then_some(())
}

/// `len` bytes at `at` as an integer; there are fields of 2, 4, 6 and 16 bytes.
#[inline(always)]
fn read(frame: &[u8], at: usize, len: usize) -> Option<u128> {
    let bytes = frame.get(at..at + len)?;
    Some(match *bytes {
        [a, b] => u128::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u128::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f])),
        _ => u128::from_be_bytes(*bytes.first_chunk()?),
    })
}

/// Writes the low `len` bytes of `value` at `at`, where they fit.
#[inline(always)]
fn write(frame: &mut [u8], at: usize, len: usize, value: u128) {
    let Some(bytes) = frame.get_mut(at..at + len) else { return };
    match bytes {
        [a, b] => [*a, *b] = (value as u16).to_be_bytes(),
        [a, b, c, d] => [*a, *b, *c, *d] = (value as u32).to_be_bytes(),
        [a, b, c, d, e, f] => [_, _, *a, *b, *c, *d, *e, *f] = (value as u64).to_be_bytes(),
        _ => {
            if let Some(bytes) = bytes.first_chunk_mut() {
                *bytes = value.to_be_bytes();
            }
        }
    }
}

/// Changes the checksums over a place that changed.
#[inline]
fn fix(frame: &mut [u8], meta: &PacketMeta, place: &Place, old: u128, new: u128) {
    let in_ipv4 = matches!(place.cover, Cover::Ipv4 | Cover::Ipv4Address);
    if in_ipv4 && meta.said.l3_csum() != CsumState::Partial {
        fix_sum(frame, usize::from(meta.l3) + 10, old, new, Zero::Plain);
    }
    let in_pseudo = matches!(place.cover, Cover::Ipv4Address | Cover::Pseudo);
    let in_l4 = place.cover == Cover::L4;
    if !(in_pseudo || in_l4) || meta.l4 == 0 || meta.said.l4_csum() == CsumState::Partial {
        return;
    }
    let Some(ip) = Datagram::read(frame, meta) else { return };
    let Some((offset, zero)) = ip.l4_csum() else { return };
    let field = usize::from(meta.l4) + offset;
    if ip.proto == ip_proto::SCTP {
        // Over a fragment the change is not known: it depends on the bytes behind it.
        if in_l4 && ip.frag == 0 {
            fix_crc(frame, meta, place, field, old ^ new);
        }
    } else if in_l4 || ip.has_pseudo_header() {
        let no_csum = ip.proto == ip_proto::UDP && read(frame, field, 2) == Some(0);
        if !no_csum {
            fix_sum(frame, field, old, new, zero);
        }
    }
}

#[inline(always)]
fn fix_sum(frame: &mut [u8], at: usize, old: u128, new: u128, zero: Zero) {
    if let Some(field) = read(frame, at, 2) {
        write(frame, at, 2, u128::from(update(field as u16, old, new, zero)));
    }
}

fn fix_crc(frame: &mut [u8], meta: &PacketMeta, place: &Place, at: usize, diff: u128) {
    let bytes = diff.to_be_bytes();
    let Some(diff) = bytes.len().checked_sub(place.len).and_then(|from| bytes.get(from..)) else { return };
    let Some(behind) = usize::from(meta.l3_end).checked_sub(place.at + place.len) else { return };
    if let Some(field) = read(frame, at, 4) {
        let change = crc32c::change(diff, behind as u16).swap_bytes();
        write(frame, at, 4, field ^ u128::from(change));
    }
}

#[cfg(test)]
mod tests;
