use proptest::prelude::*;

use super::*;
use crate::packet::Said;
use crate::packet::field::{Maskable, Prereq};
use crate::packet::parse::{Parsed, parse};
use crate::packet::testgen::{L4, Net, Spec, any_spec, naive_crc32c, naive_sum, pseudo_header};
use crate::packet::{FlowKey, HeapPacket};

fn read_key(frame: &[u8]) -> (Parsed, PacketMeta, FlowKey) {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let parsed = parse(frame, &mut meta, &mut key);
    (parsed, meta, key)
}

/// How far every checksum of the packet is from being right, by the naive ways: zero is right.
fn errors(frame: &[u8], spec: &Spec) -> Vec<u32> {
    let (_, meta, key) = read_key(frame);
    let mut errors = Vec::new();
    if meta.l3_end == 0 {
        return errors;
    }
    let (l3, l4, end) = (usize::from(meta.l3), usize::from(meta.l4), usize::from(meta.l3_end));
    let is_v6 = key.get(Field::EthType) == 0x86dd;
    if !is_v6 {
        let header = usize::from(frame[l3] & 0xf) * 4;
        errors.push(u32::from(!naive_sum(&frame[l3..l3 + header])) % 0xffff);
    }
    if l4 == 0 {
        return errors;
    }
    let message = &frame[l4..end];
    let proto = key.get(Field::NwProto) as u8;
    let mut addrs = if is_v6 { frame[l3 + 8..l3 + 40].to_vec() } else { frame[l3 + 12..l3 + 20].to_vec() };
    if let Some(last) = spec.final_destination() {
        addrs[16..].copy_from_slice(&last);
    }
    let mut covered = pseudo_header(&addrs, proto, message.len());
    match (proto, is_v6) {
        (132, _) => {
            let stored = u32::from_le_bytes(message[8..12].try_into().unwrap());
            let mut message = message.to_vec();
            message[8..12].fill(0);
            let is_fragment = key.get(Field::IpFrag) != 0;
            errors.push(if is_fragment { stored } else { stored ^ naive_crc32c(&message) });
            return errors;
        }
        (17, _) if message[6..8] == [0, 0] => {
            errors.push(u32::MAX);
            return errors;
        }
        (6 | 17, _) | (58, true) => {}
        (1, false) => covered.clear(),
        _ => return errors,
    }
    covered.extend(message);
    errors.push(u32::from(!naive_sum(&covered)) % 0xffff);
    errors
}

/// Whether the packet has the field, by the table's prerequisite.
fn has(field: Field, key: &FlowKey, meta: &PacketMeta) -> bool {
    let kind = key.get(Field::EthType);
    let proto = key.get(Field::NwProto);
    let ip = meta.l3_end != 0;
    let (v4, v6) = (ip && kind == 0x0800, ip && kind == 0x86dd);
    let l4 = meta.l4 != 0;
    let nd = v6 && l4 && proto == 58 && key.get(Field::NdTarget) != 0;
    let kind_is = |kind: u128| nd && key.get(Field::Icmpv6Type) == kind;
    match (field, field.info().prereq) {
        (Field::NdSll, _) => kind_is(135) && key.get(field) != 0,
        (Field::NdTll, _) => kind_is(136) && key.get(field) != 0,
        // What is read of a neighbour discovery message depends on these.
        (Field::Icmpv6Type | Field::Icmpv6Code, _) if nd => false,
        (Field::NdOptionsType, _) => false,
        (Field::VlanTci | Field::DlVlan | Field::VlanVid | Field::DlVlanPcp | Field::VlanPcp, _) => {
            key.get(Field::VlanTci) != 0
        }
        (_, Prereq::None) => true,
        (_, Prereq::Vlan) => key.get(Field::VlanTci) != 0,
        (_, Prereq::Arp) => (kind == 0x0806 || kind == 0x8035) && !ip,
        (_, Prereq::Ipv4) => v4,
        (_, Prereq::Ipv6) => v6,
        (_, Prereq::Ip) => v4 || v6,
        (_, Prereq::Tcp) => l4 && proto == 6,
        (_, Prereq::Udp) => l4 && proto == 17,
        (_, Prereq::Sctp) => l4 && proto == 132,
        (_, Prereq::Icmp4) => v4 && l4 && proto == 1,
        (_, Prereq::Icmp6) => v6 && l4 && proto == 58,
        (_, Prereq::Nd) => nd,
        _ => false,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set { pick: prop::sample::Index, value: u128, mask: u128 },
    Push(u16),
    Pop,
    DecTtl(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![Just(0), Just(u128::MAX), any::<u128>(), 0..4u128];
    let mask = prop_oneof![Just(u128::MAX), any::<u128>(), any::<u128>().prop_map(|mask| mask & 0xff)];
    prop_oneof![
        6 => (any::<prop::sample::Index>(), value, mask).prop_map(|(pick, value, mask)| Step::Set { pick, value, mask }),
        1 => prop_oneof![Just(0x8100u16), Just(0x88a8)].prop_map(Step::Push),
        1 => Just(Step::Pop),
        1 => (1..5u8).prop_map(Step::DecTtl),
    ]
}

/// Does a step to the packet and to the key that is expected of it.
fn step(step: &Step, packet: &mut HeapPacket, meta: &mut PacketMeta, key: &mut FlowKey) {
    match step {
        Step::Set { pick, value, mask } => {
            let fields = Field::ALL
                .iter()
                .copied()
                .filter(|field| field.in_packet() && field.info().writable && has(*field, key, meta));
            let fields: Vec<Field> = fields.collect();
            let field = fields[pick.index(fields.len())];
            let whole = field.info().maskable == Maskable::Whole;
            let mask = if whole { field.all_ones() } else { mask & field.all_ones() };
            let mut value = value & mask;
            if matches!(field, Field::VlanTci | Field::VlanVid) {
                value |= 0x1000 & mask;
            }
            if field == Field::NdTarget && mask & value == 0 {
                return; // the test tells neighbour discovery by its target
            }
            if matches!(field, Field::Icmpv6Type) && matches!(value, 135 | 136) {
                return;
            }
            if matches!(field, Field::Icmpv6Code) && matches!(key.get(Field::Icmpv6Type), 135 | 136) {
                return;
            }
            set(packet, meta, field, value, mask);
            key.set_masked(field, value, mask);
        }
        Step::Push(tpid) if key.get(Field::InnerVlanTci) == 0 => {
            push_vlan(packet, meta, *tpid).unwrap();
            for (to, from) in [(Field::InnerVlanTci, Field::VlanTci), (Field::InnerVlanTpid, Field::VlanTpid)]
            {
                key.set(to, key.get(from));
            }
            key.set(Field::VlanTci, 0x1000);
            key.set(Field::VlanTpid, u128::from(*tpid));
        }
        Step::Pop if key.get(Field::VlanTci) != 0 => {
            pop_vlan(packet, meta);
            for (from, to) in [(Field::InnerVlanTci, Field::VlanTci), (Field::InnerVlanTpid, Field::VlanTpid)]
            {
                key.set(to, key.get(from));
                key.set(from, 0);
            }
        }
        Step::DecTtl(by) if meta.l3_end != 0 => {
            let (ttl, less) = (key.get(Field::NwTtl), u128::from(*by));
            let done = dec_ttl(packet, meta, *by);
            assert_eq!(done, if ttl <= less { Err(DropReason::TtlExpired) } else { Ok(()) });
            key.set(Field::NwTtl, if ttl <= less { ttl } else { ttl - less });
        }
        _ => {}
    }
}

fn offsets(meta: &PacketMeta) -> [u32; 5] {
    [meta.len, meta.l3.into(), meta.l4.into(), meta.payload.into(), meta.l3_end.into()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_bytes_say_what_the_key_says(spec in any_spec(), steps in prop::collection::vec(any_step(), 1..8)) {
        let frame = spec.frame();
        let (_, mut meta, mut key) = read_key(&frame);
        let before = errors(&frame, &spec);
        if spec.wrong == 0 {
            let good = before.iter().all(|error| matches!(*error, 0 | u32::MAX));
            prop_assert!(good || key.get(Field::IpFrag) != 0, "the generator is wrong: {:?}", before);
        }
        let mut packet = HeapPacket::new(&frame);
        for each in &steps {
            step(each, &mut packet, &mut meta, &mut key);
            let (_, meta2, key2) = read_key(packet.data());
            prop_assert_eq!(key, key2, "after {:?}", each);
            prop_assert_eq!(offsets(&meta), offsets(&meta2), "after {:?}", each);
            prop_assert_eq!(&errors(packet.data(), &spec), &before, "after {:?}", each);
        }
    }

    #[test]
    fn what_would_fit_is_written_with_the_checksum_over_it(spec in any_spec(), mtu: u32) {
        let frame = spec.frame();
        let (_, meta, key) = read_key(&frame);
        let l4 = usize::from(meta.l4);
        let is_icmp = matches!((key.get(Field::EthType), key.get(Field::NwProto)), (0x0800, 1) | (0x86dd, 58));
        let has_place = is_icmp && l4 != 0 && usize::from(meta.l3_end) >= l4 + 8;
        if !has_place {
            return Ok(());
        }
        let mut packet = HeapPacket::new(&frame);
        set_mtu(&mut packet, &meta, mtu);
        prop_assert_eq!(&packet.data()[l4 + 4..l4 + 8], &mtu.to_be_bytes());
        prop_assert_eq!(errors(packet.data(), &spec), errors(&frame, &spec));
        let mut rest = packet.data().to_vec();
        rest[l4 + 2..l4 + 8].copy_from_slice(&frame[l4 + 2..l4 + 8]);
        prop_assert_eq!(rest, frame);
    }

    #[test]
    fn open_checksums_are_left_alone_and_completed_later(spec in any_spec(), steps in prop::collection::vec(any_step(), 0..8)) {
        use crate::packet::checksum::{complete_l3, complete_l4, put_pseudo_header_sum};
        let mut spec = spec;
        spec.wrong = 0;
        if let L4::Udp { csum, .. } = &mut spec.l4 {
            *csum = true;
        }
        let good = spec.frame();
        let (_, mut meta, mut key) = read_key(&good);
        meta.said = Said::new(CsumState::Partial, CsumState::Partial, 0);
        let mut packet = HeapPacket::new(&good);
        // Completion is right whatever stood in the field.
        let (l4, proto) = (usize::from(meta.l4), key.get(Field::NwProto));
        let at = match proto { 6 => 16, 17 => 6, 132 => 8, _ => 2 };
        if l4 != 0 {
            packet.data_mut()[l4 + at..l4 + at + 2].copy_from_slice(&[0x12, 0x34]);
        }
        for each in &steps {
            step(each, &mut packet, &mut meta, &mut key);
            let l4 = usize::from(meta.l4);
            prop_assert!(l4 == 0 || packet.data()[l4 + at..l4 + at + 2] == [0x12, 0x34]);
        }
        prop_assert_eq!(complete_l3(packet.data_mut(), &meta).is_ok(), meta.l3_end != 0);
        let frame = packet.data_mut();
        let before = errors(frame, &spec);
        let is_v6 = key.get(Field::EthType) == 0x86dd;
        if !is_v6 && meta.l3_end != 0 {
            prop_assert_eq!(before[0], 0);
        }
        let has_place = meta.l4 != 0
            && key.get(Field::IpFrag) == 0
            && matches!((proto, is_v6), (6 | 17 | 132, _) | (58, true))
            && (proto == 132 || spec.final_destination().is_none());
        prop_assert_eq!(complete_l4(frame, &meta).is_ok(), has_place);
        if has_place {
            prop_assert_eq!(errors(frame, &spec).last().copied(), Some(0), "{:?}", key);
            // What a device makes of the pseudo header's sum is the checksum.
            let completed = frame.to_vec();
            put_pseudo_header_sum(frame, &meta).unwrap();
            let l4 = usize::from(meta.l4);
            if proto != 132 {
                let sum = naive_sum(&frame[l4..meta.l3_end.into()]);
                let wanted = u16::from_be_bytes([completed[l4 + at], completed[l4 + at + 1]]);
                prop_assert_eq!(u32::from(!sum) % 0xffff, u32::from(wanted) % 0xffff);
            } else {
                prop_assert_eq!(&frame[l4 + 8..l4 + 12], &[0; 4]);
            }
        }
    }

    #[test]
    fn what_the_packet_does_not_have_is_not_written(spec in any_spec(), cut in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut frame = spec.frame();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(14 + cut.index(frame.len() - 13));
        let (_, meta, key) = read_key(&frame);
        for &field in Field::ALL.iter().filter(|field| field.in_packet() && field.info().writable) {
            let mut packet = HeapPacket::new(&frame);
            set(&mut packet, &meta, field, u128::MAX, u128::MAX);
            prop_assert_eq!(packet.data().len(), frame.len());
            let l3_field = !matches!(field.info().prereq, Prereq::None | Prereq::Vlan | Prereq::Arp);
            if l3_field && meta.l3_end == 0 && !matches!(key.get(Field::EthType), 0x0806 | 0x8035) {
                prop_assert_eq!(packet.data(), &frame[..], "{}", field.name());
            }
        }
        let mut packet = HeapPacket::new(&frame);
        let mut moved = meta;
        if push_vlan(&mut packet, &mut moved, 0x8100).is_ok() {
            pop_vlan(&mut packet, &mut moved);
        }
        prop_assert_eq!(packet.data(), &frame[..]);
        prop_assert_eq!(offsets(&moved), offsets(&meta));
    }
}

#[test]
fn the_type_of_a_neighbour_discovery_option_is_set() {
    let spec = Spec {
        macs: [2; 12],
        vlans: vec![],
        net: Net::V6 { flow: 0, hops: 255, addrs: [3; 32], exts: Default::default() },
        l4: L4::Nd { kind: 135, rest: [0; 4], target: [4; 16], options: vec![(1, [5; 6])] },
        payload: vec![],
        padding: vec![],
        wrong: 0,
    };
    let frame = spec.frame();
    let (_, meta, _) = read_key(&frame);
    let mut packet = HeapPacket::new(&frame);
    set(&mut packet, &meta, Field::NdOptionsType, 2, 0xff);
    let (_, _, key) = read_key(packet.data());
    assert_eq!((key.get(Field::NdOptionsType), key.get(Field::NdSll)), (2, 0));
    assert_eq!(key.get(Field::NdTll), 0x0505_0505_0505);
    assert_eq!(errors(packet.data(), &spec), [0]);
}

#[test]
fn the_drop_eligible_bit_stays() {
    let mut frame = vec![2; 12];
    frame.extend([0x81, 0x00, 0x10, 0x05, 0x90, 0x00]);
    for (start, wanted) in [(0x10, [0xef, 0xff]), (0x00, [0xef, 0xff])] {
        frame[14] = start;
        let (_, meta, _) = read_key(&frame);
        let mut packet = HeapPacket::new(&frame);
        set(&mut packet, &meta, Field::VlanTci, 0xffff, 0xffff);
        assert_eq!(packet.data()[14..16], [wanted[0] | start, wanted[1]]);
    }
}

#[test]
fn an_arp_operation_beyond_a_byte_is_replaced_whole() {
    let mut frame = vec![2; 12];
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 1, 1]);
    frame.resize(42, 3);
    let (_, meta, key) = read_key(&frame);
    assert_eq!(key.get(Field::ArpOp), 0);
    let mut packet = HeapPacket::new(&frame);
    set(&mut packet, &meta, Field::ArpOp, 2, 0xff);
    assert_eq!(packet.data()[20..22], [0, 2]);
}

/// Over all ports every checksum comes up, zero among them, which in UDP must not be written as 0.
#[test]
#[cfg_attr(miri, ignore = "rewrites 65536 times, which takes Miri minutes")]
fn a_udp_checksum_never_becomes_the_one_that_means_none() {
    let spec = Spec {
        macs: [2; 12],
        vlans: vec![],
        net: Net::V4 { tos: 0, ttl: 9, addrs: [10, 0, 0, 1, 10, 0, 0, 2], options: 0, frag: 0 },
        l4: L4::Udp { ports: [0, 7, 0, 8], csum: true },
        payload: vec![1, 2, 3],
        padding: vec![],
        wrong: 0,
    };
    let frame = spec.frame();
    let (_, meta, _) = read_key(&frame);
    let mut packet = HeapPacket::new(&frame);
    let mut completed = packet.clone();
    let mut zeros = 0;
    for port in 0..=0xffff {
        set(&mut packet, &meta, Field::UdpDst, port, 0xffff);
        completed.data_mut().copy_from_slice(packet.data());
        crate::packet::checksum::complete_l4(completed.data_mut(), &meta).unwrap();
        assert_eq!(packet, completed, "{port}");
        assert_ne!(packet.data()[40..42], [0, 0], "{port}");
        zeros += u32::from(packet.data()[40..42] == [0xff, 0xff]);
    }
    assert!(zeros > 0);
}
