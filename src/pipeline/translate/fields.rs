//! Reading and writing fields of the key while it is translated.

use crate::action::Subfield;
use crate::packet::field::Prereq;
use crate::packet::{Field, FlowKey};

/// Bit 12 of a tag: the tag is there.
pub(super) const TAG: u16 = 0x1000;

const ETH_IPV4: u64 = 0x0800;
const ETH_IPV6: u64 = 0x86dd;
const ETH_ARP: u64 = 0x0806;
const ETH_RARP: u64 = 0x8035;

/// A field of at most 64 bits.
#[inline(always)]
pub(super) fn get64(key: &FlowKey, field: Field) -> u64 {
    let loc = field.info().loc;
    let word = key.words().get(usize::from(loc.word)).copied().unwrap_or(0);
    (word >> loc.shift) & ones(loc.bits)
}

/// Writes the bits of `mask` of a field.
#[inline]
pub(super) fn put(key: &mut FlowKey, field: Field, value: u128, mask: u128) {
    let loc = field.info().loc;
    if loc.bits > 64 {
        return key.set_masked(field, value, mask);
    }
    if let Some(word) = key.words.get_mut(usize::from(loc.word)) {
        let mask = (mask as u64 & ones(loc.bits)) << loc.shift;
        *word = (*word & !mask) | ((value as u64) << loc.shift & mask);
    }
}

#[inline(always)]
fn ones(bits: u16) -> u64 {
    u64::MAX >> 64u32.saturating_sub(u32::from(bits))
}

/// The bits that belong to a field where its place in the key holds more: nw_tos is the DSCP of a byte.
#[inline(always)]
pub(super) fn own_bits(field: Field) -> u128 {
    if field == Field::NwTos { 0xfc } else { u128::MAX }
}

/// The value of a subfield, right-aligned.
#[inline]
pub(super) fn read(key: &FlowKey, from: Subfield) -> u128 {
    let whole = if from.field.bits() > 64 { key.get(from.field) } else { u128::from(get64(key, from.field)) };
    ((whole & own_bits(from.field)) >> from.start) & from.ones()
}

/// Whether the packet is IPv4 or IPv6.
#[inline]
pub(super) fn is_ip(key: &FlowKey) -> bool {
    matches!(get64(key, Field::EthType), ETH_IPV4 | ETH_IPV6)
}

/// The upper protocol whose header the packet carries: none without IP and in later fragments.
#[inline]
pub(super) fn l4_proto(key: &FlowKey) -> Option<u64> {
    let later_fragment = get64(key, Field::IpFrag) & 2 != 0;
    (is_ip(key) && !later_fragment).then(|| get64(key, Field::NwProto))
}

/// Whether the packet has the field.
#[inline]
pub(super) fn present(key: &FlowKey, field: Field) -> bool {
    let eth = |wanted| get64(key, Field::EthType) == wanted;
    let l4 = |proto| l4_proto(key) == Some(proto);
    let icmp6 = || eth(ETH_IPV6) && l4(58);
    let nd = |kind| icmp6() && get64(key, Field::Icmpv6Type) == kind && get64(key, Field::Icmpv6Code) == 0;
    let tracked = || get64(key, Field::CtState) != 0;
    match field.info().prereq {
        Prereq::None => true,
        Prereq::Vlan => get64(key, Field::VlanTci) & u64::from(TAG) != 0,
        Prereq::Arp => eth(ETH_ARP) || eth(ETH_RARP),
        Prereq::Ipv4 => eth(ETH_IPV4),
        Prereq::Ipv6 => eth(ETH_IPV6),
        Prereq::Ip => is_ip(key),
        Prereq::Tcp => l4(6),
        Prereq::Udp => l4(17),
        Prereq::Sctp => l4(132),
        Prereq::Icmp4 => eth(ETH_IPV4) && l4(1),
        Prereq::Icmp6 => icmp6(),
        Prereq::Nd => nd(135) || nd(136),
        Prereq::NdSolicit => nd(135),
        Prereq::NdAdvert => nd(136),
        Prereq::Ct => is_ip(key) && tracked(),
        Prereq::CtIpv4 => eth(ETH_IPV4) && tracked(),
        Prereq::CtIpv6 => eth(ETH_IPV6) && tracked(),
    }
}
