//! Encapsulation: lengths, checksums, ECN, source ports, MTU.

use proptest::prelude::*;

use super::*;
use crate::packet::DropReason;
use crate::packet::testgen::any_spec;

/// The outer UDP port that a frame comes from.
fn port(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}

fn sent(frame: &[u8]) -> Vec<u8> {
    encapsulated(&to_us(None, false), frame, &out(1, 1))
}

proptest! {
    /// Whatever the frame, it comes out of the tunnel as it went in, with checksums that are right.
    #[test]
    fn a_frame_goes_through_the_tunnel(
        spec in any_spec(),
        vlan in prop_oneof![Just(None), Just(Some(7u16))],
        is_ipv6: bool,
        vni in 0..0x100_0000u32,
        option in prop_oneof![Just(0), any::<u32>()],
        (ttl, tos) in any::<(u8, u8)>(),
    ) {
        let frame = spec.frame();
        prop_assume!(frame.len() >= 14);
        let out = TunnelOut { ttl, tos, ..out(vni, option) };
        let remote = to_us(vlan, is_ipv6);
        let made = encapsulated(&remote, &frame, &out);
        prop_assert_eq!(made.len(), frame.len() + endpoint(vlan).l3() + remote.overhead(option != 0));
        let arrival = endpoint(vlan).classify(&made);
        prop_assert_eq!(arrival, oracle::classify(&endpoint(vlan), &made));
        let Arrival::Tunnel(received) = arrival else { panic!("{arrival:?}") };
        prop_assert_eq!(&made[usize::from(received.inner)..usize::from(received.end)], frame.as_slice());
        prop_assert_eq!((received.vni, received.option, received.has_option), (vni, option, option != 0));
        prop_assert_eq!(received.ttl, if ttl == 0 { 64 } else { ttl });
        prop_assert_eq!(received.tos & 0xfc, tos & 0xfc);
        let at = endpoint(vlan).l3() + if is_ipv6 { 40 } else { 20 };
        prop_assert!(made[at] >= 0x80);
        prop_assert_ne!(&made[at + 6..at + 8], &[0, 0]);
    }
}

#[test]
fn without_a_checksum_there_is_none_over_ipv4_only() {
    let addresses = [(ip("192.168.50.12"), 24), (ip("fd00:50::12"), 64)];
    let peer = Endpoint::new(PEER, None, &addresses, 1500, false).unwrap();
    for (to, l3) in [("192.168.50.11", 20), ("fd00:50::11", 40)] {
        let remote = Remote::new(&peer, v6(to), v6(to), Some(OWN)).unwrap();
        let made = encapsulated(&remote, &inner(0, 5), &out(1, 0));
        assert_eq!(made[14 + l3 + 6..14 + l3 + 8] == [0, 0], l3 == 20);
        assert!(matches!(endpoint(None).classify(&made), Arrival::Tunnel(_)));
    }
}

/// Of two forms of zero UDP has the one that does not mean "none".
#[test]
fn a_checksum_that_comes_to_zero_is_all_ones() {
    let frame = inner(0, 2);
    let seen = (0..=0xffff_u32).any(|vni| {
        let made = sent_with(&frame, vni);
        assert_ne!(made[40..42], [0, 0]);
        made[40..42] == [0xff, 0xff]
    });
    assert!(seen);
}

fn sent_with(frame: &[u8], vni: u32) -> Vec<u8> {
    encapsulated(&to_us(None, false), frame, &out(vni, 0))
}

#[test]
fn what_does_not_fit_is_refused_and_left_alone() {
    for (is_ipv6, option, most) in [(false, 1, 1456), (false, 0, 1464), (true, 1, 1436), (true, 0, 1444)] {
        let remote = to_us(None, is_ipv6);
        let fits = inner(0, most - 42);
        assert_eq!(fits.len(), most);
        assert_eq!(encapsulated(&remote, &fits, &out(1, option)).len(), 1500 + 14);
        let (mut packet, meta) = parsed(&inner(0, most - 41));
        assert_eq!(remote.encapsulate(&mut packet, &meta, &out(1, option)), Err(DropReason::TunnelMtu));
        assert_eq!(packet.data(), inner(0, most - 41));
    }
    let (mut packet, meta) = parsed(&inner(0, 10));
    assert!(packet.push_front(128) && packet.pull_front(128 - 50) && packet.pull_front(50));
    while packet.push_front(1) {}
    let long = packet.data().to_vec();
    let refused = to_us(None, false).encapsulate(&mut packet, &meta, &out(1, 1));
    assert_eq!(refused, Err(DropReason::NoHeadroom));
    assert_eq!(packet.data(), long);
    let remote = Remote::new(&peer(None), v6("192.168.50.11"), v6("192.168.50.11"), None).unwrap();
    let (mut packet, meta) = parsed(&inner(0, 10));
    // One whose next hop is not known yet gets its Ethernet address later; one without a route never leaves.
    assert_eq!(remote.encapsulate(&mut packet, &meta, &out(1, 1)), Ok(()));
    assert!(!remote.is_resolved && packet.data().starts_with(&[0; 6]));
    let remote = Remote::new(&peer(None), v6("192.168.50.11"), v6("::"), None).unwrap();
    let (mut packet, meta) = parsed(&inner(0, 10));
    assert_eq!(remote.encapsulate(&mut packet, &meta, &out(1, 1)), Err(DropReason::TunnelNoRemote));
    let v4_only = Endpoint::new(PEER, None, &[(ip("192.168.50.12"), 24)], 1500, true).unwrap();
    assert_eq!(Remote::new(&v4_only, v6("fd00:50::11"), v6("fd00:50::11"), Some(OWN)), None);
}

#[test]
fn the_source_port_tells_flows_apart_and_not_packets() {
    let mut ports = std::collections::BTreeSet::new();
    for n in 0..4096u16 {
        let mut frame = inner(0, 20);
        frame[34..36].copy_from_slice(&n.to_be_bytes());
        let of_flow = port(&sent(&frame));
        ports.insert(of_flow);
        // Neither TTL nor payload nor length make another flow.
        frame[22] = 9;
        frame[50] = 0x55;
        assert_eq!(port(&sent(&frame)), of_flow);
    }
    // Of 4096 balls in 32768 boxes 3845 or so are in boxes of their own.
    assert!(ports.len() > 3600, "{}", ports.len());
    // Fragments of a datagram keep together, whether they have ports or not.
    let mut first = inner(0, 20);
    first[20] = 0x20;
    let mut later = first.clone();
    later[21] = 3;
    later[34..38].copy_from_slice(&[9, 9, 9, 9]);
    assert_eq!(port(&sent(&first)), port(&sent(&later)));
    // Without IP the Ethernet addresses count.
    let arp = |last: u8| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, last, 8, 6][..], &[0; 28]].concat();
    assert_ne!(port(&sent(&arp(1))), port(&sent(&arp(2))));
}

#[test]
fn ecn_is_that_of_the_inner_packet() {
    for ecn in 0..4u8 {
        let made = sent(&inner(0xb8 | ecn, 10));
        assert_eq!(made[15], ecn);
        let out = TunnelOut { tos: 0x2b, ..out(1, 1) };
        assert_eq!(encapsulated(&to_us(None, false), &inner(ecn, 10), &out)[15], 0x28 | ecn);
    }
}

/// RFC 6040, figure 4.
#[test]
fn congestion_comes_out_of_the_tunnel() {
    const DROP: u8 = 4;
    // Outer: not ECT, ECT(1), ECT(0), CE. Inner: the same.
    let table = [[0, 0, 0, DROP], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];
    for (inner_ecn, row) in table.into_iter().enumerate() {
        for (outer, wanted) in row.into_iter().enumerate() {
            let frame = inner(0xb8 | inner_ecn as u8, 10);
            let mut packet = HeapPacket::new(&frame);
            let merged = merge_ecn(0x5c | outer as u8, &mut packet);
            if wanted == DROP {
                assert_eq!(merged, Err(DropReason::TunnelEcn));
            } else {
                assert_eq!(merged, Ok(()));
                // Checksum included.
                assert_eq!(packet.data(), inner(0xb8 | wanted, 10), "{inner_ecn} {outer}");
            }
            // Behind two tags; IPv6; and what is no IP.
            let tagged = [&frame[..12], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2], &frame[12..]].concat();
            let mut packet = HeapPacket::new(&tagged);
            let is_same = merge_ecn(outer as u8, &mut packet) == merged;
            assert!(is_same && (wanted == DROP || packet.data()[8 + 15] == 0xb8 | wanted));
            let mut six =
                [&frame[..12], &[0x86, 0xdd, 0x6b, 0x80 | (inner_ecn as u8) << 4], &[0; 38][..]].concat();
            let mut packet = HeapPacket::new(&six);
            assert_eq!(merge_ecn(outer as u8, &mut packet), merged);
            if wanted != DROP {
                six[15] = 0x80 | wanted << 4;
                assert_eq!(packet.data(), six);
            }
            six[12] = 0x99;
            let mut packet = HeapPacket::new(&six);
            assert_eq!(merge_ecn(outer as u8, &mut packet), Ok(()));
            assert_eq!(packet.data(), six);
        }
    }
}
