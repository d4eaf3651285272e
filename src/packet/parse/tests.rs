use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;
use crate::packet::field::Field;
use crate::packet::key::{KEY_WORDS, SHORT_WORDS};
use crate::packet::testgen::{Net, Spec, any_spec};

/// Parses into a key whose context words are set, and checks the part of the contract that holds for every frame.
fn read(frame: &[u8]) -> (Parsed, PacketMeta, FlowKey) {
    let mut meta = PacketMeta { l3: 1, l4: 2, payload: 3, l3_end: 4, ..PacketMeta::default() };
    let mut key = FlowKey::default();
    key.words[..SHORT_WORDS].fill(0x0123_4567_89ab_cdef);
    let parsed = parse(frame, &mut meta, &mut key);
    for word in [w::CONTEXT, w::MARK] {
        assert_eq!(key.words[word], 0x0123_4567_89ab_cdef, "the caller's words are left alone");
        key.words[word] = 0;
    }
    if parsed.shape == Shape::Short {
        assert!(key.words[SHORT_WORDS..].iter().all(|word| *word == 0), "short, but long words written");
    }
    assert_eq!(meta.len as usize, frame.len());
    for offset in [meta.l3, meta.l4, meta.payload, meta.l3_end] {
        assert!(usize::from(offset) <= frame.len());
    }
    (parsed, meta, key)
}

fn be(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte))
}

/// The fields that etherparse finds.
fn oracle(frame: &[u8]) -> Option<FlowKey> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let mut key = FlowKey::default();
    key.set(Field::EthDst, be(&frame[..6]));
    key.set(Field::EthSrc, be(&frame[6..12]));
    let mut kind = u16::from_be_bytes([frame[12], frame[13]]);
    let places = [(Field::VlanTpid, Field::VlanTci), (Field::InnerVlanTpid, Field::InnerVlanTci)];
    for (ext, (tpid, tci)) in sliced.link_exts.iter().zip(places) {
        let LinkExtSlice::Vlan(vlan) = ext else { panic!("not a tag") };
        key.set(tpid, kind.into());
        let pcp = u128::from(vlan.priority_code_point().value());
        key.set(tci, pcp << 13 | 0x1000 | u128::from(vlan.vlan_identifier().value()));
        kind = vlan.ether_type().0;
    }
    key.set(Field::EthType, kind.into());
    let later = match &sliced.net {
        Some(NetSlice::Arp(arp)) => {
            let op = arp.operation().0;
            key.set(Field::ArpOp, if op > 255 { 0 } else { op.into() });
            key.set(Field::ArpSha, be(arp.sender_hw_addr()));
            key.set(Field::ArpSpa, be(arp.sender_protocol_addr()));
            key.set(Field::ArpTha, be(arp.target_hw_addr()));
            key.set(Field::ArpTpa, be(arp.target_protocol_addr()));
            false
        }
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            key.set(Field::NwSrc, be(&header.source()));
            key.set(Field::NwDst, be(&header.destination()));
            key.set(Field::IpDscp, header.dcp().value().into());
            key.set(Field::NwEcn, header.ecn().value().into());
            key.set(Field::NwTtl, header.ttl().into());
            key.set(Field::NwProto, header.protocol().0.into());
            let later = header.fragments_offset().value() != 0;
            let any = later || header.more_fragments();
            key.set(Field::IpFrag, u128::from(any) | u128::from(later) << 1);
            later
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            key.set(Field::Ipv6Src, be(&header.source()));
            key.set(Field::Ipv6Dst, be(&header.destination()));
            key.set(Field::NwTos, header.traffic_class().into());
            key.set(Field::Ipv6Label, header.flow_label().value().into());
            key.set(Field::NwTtl, header.hop_limit().into());
            key.set(Field::NwProto, ip.payload().ip_number.0.into());
            let mut later = false;
            for ext in ip.extensions().clone() {
                if let etherparse::Ipv6ExtensionSlice::Fragment(frag) = ext {
                    later = frag.fragment_offset().value() != 0;
                    let any = later || frag.more_fragments();
                    key.set(Field::IpFrag, u128::from(any) | u128::from(later) << 1);
                }
            }
            if later {
                key.set(Field::NwProto, 44);
            }
            later
        }
        None => false,
    };
    if later {
        return Some(key);
    }
    let payload = sliced.ip_payload().map(|ip| (ip.ip_number.0, ip.payload));
    match (sliced.transport, payload) {
        (Some(TransportSlice::Tcp(tcp)), _) => {
            key.set(Field::TcpSrc, tcp.source_port().into());
            key.set(Field::TcpDst, tcp.destination_port().into());
            let flags = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
                tcp.ns(),
            ];
            let reserved = u128::from(tcp.slice()[12] >> 1 & 7) << 9;
            let flags = flags.iter().rev().fold(0, |all, flag| all << 1 | u128::from(*flag));
            key.set(Field::TcpFlags, flags | reserved);
        }
        (Some(TransportSlice::Udp(udp)), _) => {
            key.set(Field::UdpSrc, udp.source_port().into());
            key.set(Field::UdpDst, udp.destination_port().into());
        }
        (Some(TransportSlice::Icmpv4(icmp)), _) => {
            key.set(Field::TcpSrc, icmp.type_u8().into());
            key.set(Field::TcpDst, icmp.code_u8().into());
        }
        (Some(TransportSlice::Icmpv6(icmp)), _) => {
            key.set(Field::TcpSrc, icmp.type_u8().into());
            key.set(Field::TcpDst, icmp.code_u8().into());
            if matches!(icmp.type_u8(), 135 | 136) && icmp.code_u8() == 0 {
                key.set(Field::NdReserved, be(&icmp.bytes5to8()));
                key.set(Field::NdTarget, be(&icmp.payload()[..16]));
                for option in icmp.payload()[16..].chunks_exact(8) {
                    let field = match option[0] {
                        1 => Field::NdSll,
                        2 => Field::NdTll,
                        _ => continue,
                    };
                    key.set(field, be(&option[2..]));
                    if key.get(Field::NdOptionsType) == 0 {
                        key.set(Field::NdOptionsType, option[0].into());
                    }
                }
            }
        }
        // etherparse does not read SCTP, and IGMP only under IPv4, as we do.
        (_, Some((132, l4))) => {
            key.set(Field::SctpSrc, be(&l4[..2]));
            key.set(Field::SctpDst, be(&l4[2..4]));
        }
        (_, Some((2, l4))) if key.get(Field::EthType) == 0x0800 => {
            key.set(Field::TcpSrc, l4[0].into());
            key.set(Field::TcpDst, l4[1].into());
            key.set(Field::IgmpGroup, be(&l4[4..8]));
        }
        _ => {}
    }
    Some(key)
}

/// The key by etherparse, unless it has nothing to say: it reads 802.3 otherwise than OVS, and refuses some ICMP and
/// IGMP messages by their type. It is shown ARP for RARP, and a first fragment as a whole packet, since it reads no
/// L4 in fragments.
fn expected(spec: &Spec) -> Option<FlowKey> {
    let mut shown = spec.clone();
    let mut first = false;
    match &mut shown.net {
        Net::V4 { frag, .. } if *frag & 0x3fff == 0x2000 => (*frag, first) = (0, true),
        Net::V6 { exts, .. } if exts.frag == Some(1) => (exts.frag, first) = (Some(0), true),
        Net::Arp { kind, .. } => *kind = 0x0806,
        Net::Llc | Net::Snap(_) => return None,
        _ => {}
    }
    let mut key = oracle(&shown.frame())?;
    if first {
        key.set(Field::IpFrag, 1);
    }
    if let Net::Arp { kind, .. } = spec.net {
        key.set(Field::EthType, kind.into());
    }
    Some(key)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_etherparse(spec in any_spec()) {
        let Some(expected) = expected(&spec) else { return Ok(()) };
        let (parsed, _, key) = read(&spec.frame());
        prop_assert_eq!(parsed.stop, None);
        prop_assert_eq!(key, expected);
    }

    #[test]
    fn bytes_behind_the_datagram_do_not_matter(spec in any_spec(), other: [u8; 32]) {
        let frame = spec.frame();
        let (parsed, meta, key) = read(&frame);
        if meta.l3_end == 0 {
            return Ok(());
        }
        let mut longer = frame[..meta.l3_end.into()].to_vec();
        longer.extend(other);
        let (parsed2, meta2, key2) = read(&longer);
        prop_assert_eq!((parsed, key), (parsed2, key2));
        let offsets = |meta: PacketMeta| (meta.l3, meta.l4, meta.payload, meta.l3_end);
        prop_assert_eq!(offsets(meta), offsets(meta2));
    }

    #[test]
    fn a_truncated_frame_gives_a_prefix_of_the_fields(spec in any_spec()) {
        let frame = spec.frame();
        let (_, full_meta, full) = read(&frame);
        for len in 0..frame.len() {
            let (parsed, meta, key) = read(&frame[..len]);
            for &field in Field::ALL.iter().filter(|field| !field.info().is_view) {
                // The type changes where a tag or SNAP is cut off.
                if field != Field::EthType && key.get(field) != 0 {
                    prop_assert_eq!(key.get(field), full.get(field), "{} at {}", field.name(), len);
                }
            }
            for (offset, full) in [(meta.l4, full_meta.l4), (meta.payload, full_meta.payload), (meta.l3_end, full_meta.l3_end)] {
                prop_assert!(offset == 0 || offset == full);
            }
            if full_meta.l3_end != 0 && len < usize::from(full_meta.l3_end) {
                prop_assert!(parsed.stop.is_some());
            }
        }
    }

    /// A datagram that is short by its own length, so that the parser gets into the truncated headers.
    #[test]
    fn a_truncated_datagram_gives_a_prefix_of_the_fields(spec in any_spec()) {
        let mut frame = spec.frame();
        let (_, meta, full) = read(&frame);
        if meta.l3_end == 0 {
            return Ok(());
        }
        let l3 = usize::from(meta.l3);
        let (at, header) = if full.get(Field::EthType) == 0x0800 {
            (l3 + 2, usize::from(frame[l3] & 0xf) * 4)
        } else {
            (l3 + 4, 40)
        };
        for end in l3 + header..meta.l3_end.into() {
            let len = if header == 40 && frame[l3] >> 4 == 6 { end - l3 - 40 } else { end - l3 };
            frame[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
            let (_, _, key) = read(&frame);
            for &field in Field::ALL.iter().filter(|field| !field.info().is_view) {
                // The protocol is that of the extension header where the walk had to stop; options go missing.
                let may_differ = matches!(field, Field::NwProto | Field::NdOptionsType);
                if !may_differ && key.get(field) != 0 {
                    prop_assert_eq!(key.get(field), full.get(field), "{} at {}", field.name(), end);
                }
            }
        }
    }

    #[test]
    fn garbage_does_no_harm(mut spec in any_spec(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        spec.padding.push(0);
        let mut frame = spec.frame();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let _ = read(&frame);
    }
}

#[test]
#[cfg_attr(miri, ignore = "3000 packets, read elsewhere one by one, take Miri minutes")]
fn the_generator_reaches_everything() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = std::collections::HashSet::<Field>::new();
    let (mut checked, all) = (0, 3000);
    for _ in 0..all {
        let spec = any_spec().new_tree(&mut runner).unwrap().current();
        let (_, _, key) = read(&spec.frame());
        checked += u32::from(expected(&spec).is_some());
        seen.extend(Field::ALL.iter().filter(|field| key.get(**field) != 0));
    }
    assert!(checked > all / 2, "etherparse read only {checked} of {all}");
    for field in Field::ALL.iter().filter(|field| field.in_packet()) {
        assert!(seen.contains(field), "no packet has {}", field.name());
    }
}

#[test]
fn runts_are_told() {
    for len in 0..14 {
        let (parsed, meta, key) = read(&[0xff; 14][..len]);
        assert_eq!(parsed, stopped(Shape::Short, Stop::Runt));
        assert_eq!(meta.l3, 0);
        assert_eq!(key.words, [0; KEY_WORDS]);
    }
    assert_eq!(read(&[0xff; 14]).0.stop, None);
}

#[test]
fn a_frame_longer_than_any_device_delivers_does_no_harm() {
    let mut frame = vec![0; 70_000];
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0xff, 0xff, 0, 0, 0, 0, 64, 17]);
    let (parsed, meta, _) = read(&frame);
    assert_eq!(parsed.stop, Some(Stop::BadIpv4));
    assert_eq!(meta.len, 70_000);
}

fn with_l3(kind: u16, l3: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(kind.to_be_bytes());
    frame.extend(l3);
    frame
}

#[test]
fn a_third_tag_is_the_ethernet_type() {
    let tags = [0x00, 0x01, 0x81, 0x00, 0x20, 0x02, 0x81, 0x00, 0x00, 0x03, 0x08, 0x00];
    let (parsed, meta, key) = read(&with_l3(0x88a8, &tags));
    assert_eq!(parsed.stop, None);
    assert_eq!(key.get(Field::VlanTpid), 0x88a8);
    assert_eq!(key.get(Field::VlanTci), 0x1001);
    assert_eq!(key.get(Field::InnerVlanTpid), 0x8100);
    assert_eq!(key.get(Field::InnerVlanTci), 0x3002);
    assert_eq!(key.get(Field::EthType), 0x8100);
    assert_eq!(meta.l3, 22);
    // Cut within a tag, the tag is the type.
    let (parsed, _, key) = read(&with_l3(0x88a8, &tags[..7]));
    assert_eq!(parsed.stop, Some(Stop::TruncatedVlan));
    assert_eq!(key.get(Field::EthType), 0x8100);
    assert_eq!(key.get(Field::InnerVlanTci), 0);
}

#[test]
fn an_ieee_frame_has_the_type_that_snap_gives() {
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 0x12, 0x34];
    let (_, meta, key) = read(&with_l3(8, &snap));
    assert_eq!((key.get(Field::EthType), meta.l3), (0x1234, 22));
    for (at, byte) in [(0, 0xab), (1, 0), (2, 0), (3, 1), (5, 1), (6, 5)] {
        let mut other = snap;
        other[at] = byte;
        let (_, meta, key) = read(&with_l3(8, &other));
        assert_eq!((key.get(Field::EthType), meta.l3), (0x05ff, 14), "byte {at}");
    }
}

#[test]
fn malformed_headers_are_told() {
    let ip = |change: &[(usize, u8)]| {
        let mut l3 = [0; 60];
        l3[..4].copy_from_slice(&[0x45, 0, 0, 40]);
        (l3[8], l3[9], l3[12], l3[32]) = (64, 6, 10, 0x50);
        for (at, byte) in change {
            l3[*at] = *byte;
        }
        read(&with_l3(0x0800, &l3))
    };
    assert_eq!(ip(&[]).0.stop, None);
    let bad_ip: [&[(usize, u8)]; 5] =
        [&[(0, 0x55)], &[(0, 0x44)], &[(3, 19)], &[(3, 61)], &[(0, 0x4f), (3, 59)]];
    for change in bad_ip {
        let (parsed, meta, key) = ip(change);
        assert_eq!(parsed.stop, Some(Stop::BadIpv4), "{change:?}");
        assert_eq!((key.get(Field::NwSrc), key.get(Field::NwProto), meta.l3_end), (0, 0, 0));
        assert_eq!((key.get(Field::EthType), meta.l3), (0x0800, 14));
    }
    let (parsed, meta, key) = ip(&[(3, 39), (20, 7)]);
    assert_eq!((parsed.stop, meta.l4), (Some(Stop::TruncatedL4), 0));
    assert_eq!((key.get(Field::NwProto), key.get(Field::TcpSrc)), (6, 0));
    for offset in [0x40, 0x60] {
        let (parsed, meta, key) = ip(&[(20, 7), (32, offset)]);
        assert_eq!((parsed.stop, meta.l4, meta.payload), (Some(Stop::BadTcp), 34, 0));
        assert_eq!(key.get(Field::TcpSrc), 0x700);
    }
}

#[test]
fn extension_headers_are_bounded() {
    let chain = |count: usize| {
        let mut l3 = vec![0x60, 0, 0, 0, 0, (count * 8) as u8 + 8, 60, 64];
        l3.resize(40, 1);
        for n in 0..count {
            l3.extend([if n + 1 == count { 17 } else { 60 }, 0, 0, 0, 0, 0, 0, 0]);
        }
        l3.extend([0, 1, 0, 2, 0, 8, 0, 0]);
        read(&with_l3(0x86dd, &l3))
    };
    let (parsed, _, key) = chain(16);
    assert_eq!((parsed.stop, key.get(Field::UdpDst)), (None, 2));
    let (parsed, meta, key) = chain(17);
    assert_eq!((parsed.stop, key.get(Field::UdpDst), meta.l4), (Some(Stop::BadExtension), 0, 0));
    assert_eq!(key.get(Field::NwTtl), 64);
}

#[test]
fn a_link_layer_address_twice_is_no_neighbour_discovery() {
    let mut l3 = vec![0x60, 0, 0, 0, 0, 40, 58, 255];
    l3.resize(40, 1);
    l3.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    l3.resize(64, 9);
    l3.extend([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
    let (parsed, _, key) = read(&with_l3(0x86dd, &l3));
    assert_eq!(parsed.stop, Some(Stop::BadNd));
    assert_eq!((key.get(Field::Icmpv6Type), key.get(Field::NdTarget), key.get(Field::NdSll)), (135, 0, 0));
}
