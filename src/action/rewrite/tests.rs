//! After a rewrite the bytes parse to the key with that field written, and checksums are as right as they were.

use super::*;
use crate::packet::checksum::tests::verify;
use crate::packet::field::Prereq;
use crate::packet::headers::FRAG_LATER;
use crate::packet::key::w;
use crate::packet::parse::parse;
use crate::packet::{FlowKey, HeapPacket, generate};
use proptest::prelude::*;

fn parsed(frame: &[u8]) -> (FlowKey, PacketMeta) {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    parse(frame, &mut meta, &mut key);
    (key, meta)
}

fn offsets(meta: &PacketMeta) -> (u32, u16, u16, u16, u16) {
    (meta.len, meta.l3, meta.l4, meta.payload, meta.l3_end)
}

/// Whether the packet has the field, by the prerequisites of the field table and by what the parser found.
fn has(field: Field, key: &FlowKey, meta: &PacketMeta) -> bool {
    let kind = key.get(Field::EthType);
    let proto = key.get(Field::NwProto);
    let whole_l4 = meta.l4 != 0 && key.get(Field::IpFrag) & u128::from(FRAG_LATER) == 0;
    let icmp6 = kind == 0x86dd && proto == 58 && whole_l4;
    let nd = icmp6 && matches!(key.get(Field::Icmpv6Type), 135 | 136) && key.get(Field::Icmpv6Code) == 0;
    let tagged = key.get(Field::VlanTci) != 0;
    match field {
        Field::VlanTci | Field::VlanVid | Field::DlVlan | Field::DlVlanPcp => return tagged,
        Field::NdSll => return nd && key.words()[w::ARP_SHA] != 0,
        Field::NdTll => return nd && key.words()[w::ARP_THA] != 0,
        Field::NdOptionsType => return nd && key.get(Field::NdOptionsType) != 0,
        _ => {}
    }
    match field.info().prereq {
        Prereq::None => true,
        Prereq::Vlan => tagged,
        Prereq::Arp => matches!(kind, 0x0806 | 0x8035),
        Prereq::Ipv4 => kind == 0x0800,
        Prereq::Ipv6 => kind == 0x86dd,
        Prereq::Ip => matches!(kind, 0x0800 | 0x86dd),
        Prereq::Tcp => proto == 6 && whole_l4,
        Prereq::Udp => proto == 17 && whole_l4,
        Prereq::Sctp => proto == 132 && whole_l4,
        Prereq::Icmp4 => kind == 0x0800 && proto == 1 && whole_l4,
        Prereq::Icmp6 => icmp6,
        Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert => nd,
        _ => false,
    }
}

/// Fields whose change alters which other fields there are.
fn decides_others(field: Field) -> bool {
    matches!(field, Field::Icmpv6Type | Field::Icmpv6Code | Field::NdOptionsType)
}

fn writable() -> Vec<Field> {
    Field::ALL.iter().copied().filter(|field| field.in_packet() && field.info().writable).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Every writable field of every packet, one after the other.
    #[test]
    fn a_written_field_is_read_again_and_checksums_stay_right(
        frame in generate::frame(), value in any::<u128>(), mask in prop_oneof![Just(u128::MAX), any::<u128>()],
        wrong in proptest::option::of((any::<prop::sample::Index>(), 1u8..)),
    ) {
        let mut frame = frame;
        let clean = parsed(&frame).1;
        // Damage to the payload makes the L4 checksum wrong, and it has to stay wrong.
        if let Some((at, bits)) = wrong && clean.payload != 0 && clean.payload < clean.l3_end {
            let at = usize::from(clean.payload) + at.index(usize::from(clean.l3_end - clean.payload));
            frame[at] ^= bits;
        }
        for field in writable() {
            let (before, meta) = parsed(&frame);
            if !has(field, &before, &meta) {
                continue;
            }
            let mut mask = mask & field.all_ones();
            if matches!(field, Field::VlanTci | Field::VlanVid) {
                mask &= !0x1000;
            }
            let right = verify(&frame);
            let mut wanted = before;
            wanted.set_masked(field, value, mask);
            let mut packet = HeapPacket::new(&frame);
            set(&mut packet, &meta, field, value & mask, mask);
            let (after, meta_after) = parsed(packet.data());
            if decides_others(field) {
                prop_assert_eq!(packet.data().len(), frame.len());
            } else {
                prop_assert_eq!(after, wanted, "{}", field.name());
                prop_assert_eq!(offsets(&meta_after), offsets(&meta), "{}", field.name());
            }
            prop_assert_eq!(verify(packet.data()), right, "{}", field.name());
            // A field that decides others is put to the test but not kept.
            if !decides_others(field) {
                frame = packet.data().to_vec();
            }
        }
    }

    #[test]
    fn tags_and_ttl_change_nothing_else(frame in generate::frame(), tpid in prop_oneof![Just(0x8100u16), Just(0x88a8)]) {
        let (before, meta) = parsed(&frame);
        let (mut packet, mut moved) = (HeapPacket::new(&frame), meta);
        prop_assert!(push_vlan(&mut packet, &mut moved, tpid));
        if before.get(Field::InnerVlanTci) == 0 {
            let (after, meta_after) = parsed(packet.data());
            let mut wanted = before;
            wanted.set(Field::InnerVlanTci, before.get(Field::VlanTci));
            wanted.set(Field::InnerVlanTpid, before.get(Field::VlanTpid));
            wanted.set(Field::VlanTci, 0x1000);
            wanted.set(Field::VlanTpid, u128::from(tpid));
            prop_assert_eq!(after, wanted);
            prop_assert_eq!(offsets(&meta_after), offsets(&moved));
        }
        pop_vlan(&mut packet, &mut moved);
        prop_assert_eq!(packet.data(), &frame[..]);
        prop_assert_eq!(offsets(&moved), offsets(&meta));

        pop_vlan(&mut packet, &mut moved);
        if before.get(Field::VlanTci) != 0 {
            let mut wanted = before;
            wanted.set(Field::VlanTci, before.get(Field::InnerVlanTci));
            wanted.set(Field::VlanTpid, before.get(Field::InnerVlanTpid));
            wanted.set(Field::InnerVlanTci, 0);
            wanted.set(Field::InnerVlanTpid, 0);
            let (after, meta_after) = parsed(packet.data());
            prop_assert_eq!(after, wanted);
            prop_assert_eq!(offsets(&meta_after), offsets(&moved));
        } else {
            prop_assert_eq!(packet.data(), &frame[..]);
        }

        let (key, meta) = parsed(packet.data());
        let right = verify(packet.data());
        dec_ttl(&mut packet, &meta);
        let mut wanted = key;
        if let ttl @ 2.. = key.get(Field::NwTtl) {
            wanted.set(Field::NwTtl, ttl - 1);
        }
        prop_assert_eq!(parsed(packet.data()).0, wanted);
        prop_assert_eq!(verify(packet.data()), right);
    }

    #[test]
    fn open_checksums_are_not_touched_and_completed_later(frame in generate::frame(), value in any::<u128>()) {
        let (_, mut meta) = parsed(&frame);
        let (l3, l4) = verify(&frame);
        meta.l3_csum = CsumState::Partial;
        meta.l4_csum = CsumState::Partial;
        let fields = [Field::NwSrc, Field::NwDst, Field::Ipv6Src, Field::TcpSrc, Field::NwTtl];
        let mut packet = HeapPacket::new(&frame);
        for field in fields {
            set(&mut packet, &meta, field, value & field.all_ones(), field.all_ones());
        }
        // Undo by the same writes: a checksum that was touched would only come back if adjusted, so look before.
        let csums = |bytes: &[u8]| {
            let l3 = usize::from(meta.l3);
            let proto = if meta.l4 == 0 { None } else { parsed(bytes).0.get(Field::NwProto).try_into().ok() };
            let at = proto.and_then(L4::of).map(|kind| usize::from(meta.l4) + kind.offset());
            (bytes.get(l3 + 10..l3 + 12).filter(|_| bytes[l3] >> 4 == 4).map(<[u8]>::to_vec), at.map(|at| bytes[at..at + 2].to_vec()))
        };
        if meta.l3_end != 0 {
            prop_assert_eq!(csums(packet.data()), csums(&frame));
        }
        let done = (
            crate::packet::checksum::complete_l3(packet.data_mut(), &mut meta),
            crate::packet::checksum::complete_l4(packet.data_mut(), &mut meta),
        );
        let after = verify(packet.data());
        prop_assert_eq!(done.0.is_ok(), l3.is_some());
        prop_assert!(done.0.is_err() || after.0 == Some(true));
        // verify() judges no UDP without checksum; completion gives it one.
        prop_assert!(done.1.is_err() || after.1 == Some(true));
        let icmp = parsed(&frame).0.get(Field::NwProto) <= 2;
        prop_assert!(l4.is_none() || icmp || done.1.is_ok());
    }

    #[test]
    fn bytes_that_do_not_fit_the_metadata_do_no_harm(
        frame in proptest::collection::vec(any::<u8>(), 0..80), other in generate::frame(), value in any::<u128>(),
    ) {
        let (_, mut meta) = parsed(&other);
        for field in writable() {
            let mut packet = HeapPacket::new(&frame);
            set(&mut packet, &meta, field, value, u128::MAX);
            dec_ttl(&mut packet, &meta);
            pop_vlan(&mut packet, &mut meta);
        }
    }
}

/// A UDP datagram over IPv4 whose checksum becomes what the closure says of the right one, ports 1 and 2.
fn udp() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0, 1, 0, 2, 0, 8, 0, 0]);
    frame
}

#[test]
fn a_udp_checksum_never_becomes_0_and_0_stays() {
    let (mut hit, plain) = (false, udp());
    for port in 0..=u16::MAX {
        let mut packet = HeapPacket::new(&plain);
        let (_, mut meta) = parsed(&plain);
        set(&mut packet, &meta, Field::UdpSrc, u128::from(port), 0xffff);
        assert_eq!(load(packet.data(), 40), Some([0, 0]));
        crate::packet::checksum::complete_l4(packet.data_mut(), &mut meta).unwrap();
        let whole = packet.data().to_vec();
        let mut packet = HeapPacket::new(&udp());
        crate::packet::checksum::complete_l4(packet.data_mut(), &mut meta).unwrap();
        set(&mut packet, &meta, Field::UdpSrc, u128::from(port), 0xffff);
        assert_eq!(packet.data(), whole, "port {port}");
        hit |= load(packet.data(), 40) == Some([0xff, 0xff]);
    }
    assert!(hit, "no port made the sum 0");
}

#[test]
fn an_icmp_message_of_zeros_has_a_checksum_of_ones() {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
    assert_eq!(verify(&frame).1, Some(true));
    let (_, meta) = parsed(&frame);
    let mut packet = HeapPacket::new(&frame);
    set(&mut packet, &meta, Field::IcmpType, 0, 0xff);
    assert_eq!(verify(packet.data()).1, Some(true));
}

#[test]
fn a_destination_that_is_not_the_final_one_is_not_in_the_sum() {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 32, 43, 64]);
    frame.extend([1; 32]);
    frame.extend([17, 2, 0, 1, 0, 0, 0, 0]);
    frame.extend([3; 16]);
    frame.extend([0, 1, 0, 2, 0, 8, 0x12, 0x34]);
    let (_, meta) = parsed(&frame);
    let csum = usize::from(meta.l4) + 6;
    let mut packet = HeapPacket::new(&frame);
    set(&mut packet, &meta, Field::Ipv6Dst, 5, u128::MAX);
    assert_eq!(load(packet.data(), csum), Some([0x12, 0x34]));
    set(&mut packet, &meta, Field::Ipv6Src, 5, u128::MAX);
    assert_ne!(load(packet.data(), csum), Some([0x12, 0x34]));
}
