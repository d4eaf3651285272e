//! Reading and writing fields of the key while it is translated. Every look is recorded, and every write.

use crate::action::Subfield;
use crate::classifier::Wildcards;
use crate::packet::field::Prereq;
use crate::packet::key::w;
use crate::packet::{Field, FlowKey, PortNo};
use crate::pipeline::record::Recorder;

/// Bit 12 of a tag: the tag is there.
pub(super) const TAG: u16 = 0x1000;

const ETH_IPV4: u64 = 0x0800;
const ETH_IPV6: u64 = 0x86dd;
const ETH_ARP: u64 = 0x0806;
const ETH_RARP: u64 = 0x8035;
/// Bit 1 of ip_frag: a fragment without the upper header.
const LATER_FRAGMENT: u64 = 2;

/// A field of at most 64 bits. The look is not recorded.
#[inline(always)]
pub(super) fn get64(key: &FlowKey, field: Field) -> u64 {
    let loc = field.info().loc;
    let word = key.words().get(usize::from(loc.word)).copied().unwrap_or(0);
    (word >> loc.shift) & ones(loc.bits)
}

/// Writes the bits of `mask` of a field. The write is not recorded.
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

/// The key at hand and what records the looks at it.
pub(super) struct Traced<'a> {
    pub(super) key: &'a mut FlowKey,
    pub(super) record: &'a mut Recorder,
}

impl Traced<'_> {
    /// The bits of `mask` of a field of at most 64 bits.
    #[inline]
    pub(super) fn look(&mut self, field: Field, mask: u64) -> u64 {
        self.record.read_field(field, u128::from(mask));
        get64(self.key, field) & mask
    }

    /// The value of a subfield, right-aligned.
    #[inline]
    pub(super) fn read(&mut self, from: Subfield) -> u128 {
        let (field, own) = (from.field, own_bits(from.field));
        self.record.read_field(field, from.mask() & own);
        let whole = if field.bits() > 64 { self.key.get(field) } else { u128::from(get64(self.key, field)) };
        ((whole & own) >> from.start) & from.ones()
    }

    /// The bits of `mask` of a field.
    pub(super) fn masked(&mut self, field: Field, mask: u128) -> u128 {
        self.record.read_field(field, mask);
        self.key.get(field) & mask
    }

    /// Writes the bits of `mask` of a field: with a constant, or with what was read.
    #[inline]
    pub(super) fn write(&mut self, field: Field, value: u128, mask: u128) {
        self.record.write_field(field, mask);
        put(self.key, field, value, mask);
    }

    /// Whether the packet is IPv4 or IPv6.
    #[inline]
    pub(super) fn is_ip(&mut self) -> bool {
        matches!(self.look(Field::EthType, 0xffff), ETH_IPV4 | ETH_IPV6)
    }

    /// The upper protocol whose header the packet carries: none without IP and in later fragments.
    #[inline]
    pub(super) fn l4_proto(&mut self) -> Option<u64> {
        let has = self.is_ip() && self.look(Field::IpFrag, LATER_FRAGMENT) == 0;
        has.then(|| self.look(Field::NwProto, 0xff))
    }

    /// Whether the packet has a tag.
    #[inline]
    pub(super) fn is_tagged(&mut self) -> bool {
        self.look(Field::VlanTci, u64::from(TAG)) != 0
    }

    /// Whether the packet has the field.
    #[inline]
    pub(super) fn present(&mut self, field: Field) -> bool {
        self.meets(field.info().prereq)
    }

    /// Whether the packet has what a field may need.
    #[inline]
    pub(super) fn meets(&mut self, prereq: Prereq) -> bool {
        match prereq {
            Prereq::None => true,
            Prereq::Vlan => self.is_tagged(),
            Prereq::Arp => self.eth(ETH_ARP) || self.eth(ETH_RARP),
            Prereq::Ipv4 => self.eth(ETH_IPV4),
            Prereq::Ipv6 => self.eth(ETH_IPV6),
            Prereq::Ip => self.is_ip(),
            Prereq::Tcp => self.l4(6),
            Prereq::Udp => self.l4(17),
            Prereq::Sctp => self.l4(132),
            Prereq::Icmp4 => self.eth(ETH_IPV4) && self.l4(1),
            Prereq::Icmp6 => self.icmp6(),
            Prereq::Nd => self.nd(135) || self.nd(136),
            Prereq::NdSolicit => self.nd(135),
            Prereq::NdAdvert => self.nd(136),
            Prereq::Ct => self.is_ip() && self.tracked(),
            Prereq::CtIpv4 => self.eth(ETH_IPV4) && self.tracked(),
            Prereq::CtIpv6 => self.eth(ETH_IPV6) && self.tracked(),
        }
    }

    fn eth(&mut self, wanted: u64) -> bool {
        self.look(Field::EthType, 0xffff) == wanted
    }

    fn l4(&mut self, proto: u64) -> bool {
        self.l4_proto() == Some(proto)
    }

    fn icmp6(&mut self) -> bool {
        self.eth(ETH_IPV6) && self.l4(58)
    }

    fn nd(&mut self, kind: u64) -> bool {
        self.icmp6() && self.look(Field::Icmpv6Type, 0xff) == kind && self.look(Field::Icmpv6Code, 0xff) == 0
    }

    fn tracked(&mut self) -> bool {
        self.look(Field::CtState, u64::from(u32::MAX)) != 0
    }

    /// Forgets what connection tracking said of the packet.
    pub(super) fn clear_connection(&mut self) {
        for (word, bits) in self.key.words.iter_mut().enumerate().skip(w::CT) {
            self.record.write(word, u64::MAX);
            *bits = 0;
        }
    }

    /// Forgets what it says that no packet brings along which is made here: where it came from, marks and connection.
    pub(super) fn made_here(&mut self) {
        self.clear_connection();
        self.write(Field::InPort, u128::from(PortNo::CONTROLLER.0), u128::MAX);
    }

    /// Takes one off the TTL, or tells that it has expired.
    pub(super) fn dec_ttl(&mut self) -> bool {
        let ttl = get64(self.key, Field::NwTtl);
        if ttl < 2 {
            self.look(Field::NwTtl, 0xff);
            return false;
        }
        self.record.ttl_at_least(2);
        self.record.decrement_ttl();
        put(self.key, Field::NwTtl, u128::from(ttl - 1), 0xff);
        true
    }

    /// Puts a tag in front; the outer one becomes the inner one. False where there are two already.
    pub(super) fn push_tag(&mut self, tpid: u16) -> bool {
        if self.look(Field::InnerVlanTci, u64::from(TAG)) != 0 {
            return false;
        }
        for (from, to) in [(Field::VlanTci, Field::InnerVlanTci), (Field::VlanTpid, Field::InnerVlanTpid)] {
            let outer = u128::from(get64(self.key, from));
            put(self.key, to, outer, 0xffff);
        }
        put(self.key, Field::VlanTci, u128::from(TAG), 0xffff);
        put(self.key, Field::VlanTpid, u128::from(tpid), 0xffff);
        self.record.push_tag();
        true
    }

    /// Takes the outer tag off; the inner one becomes the outer one.
    pub(super) fn pop_tag(&mut self) {
        for (from, to) in [(Field::InnerVlanTci, Field::VlanTci), (Field::InnerVlanTpid, Field::VlanTpid)] {
            let inner = u128::from(get64(self.key, from));
            put(self.key, to, inner, 0xffff);
            put(self.key, from, 0, 0xffff);
        }
        self.record.pop_tag();
    }
}
