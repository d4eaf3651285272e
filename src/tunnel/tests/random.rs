//! Frames of every kind that the endpoint knows, changed at random: the fast classification beside the slow one.

use proptest::prelude::*;

use super::*;
use crate::packet::DropReason;
use crate::tunnel::frames::{Nd, arp, discovery};
use crate::tunnel::geneve::Header;

/// Puts an Ethernet header in front.
fn ethernet(vlan: Option<u16>, dst: Mac, kind: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = [dst.0, PEER.0].concat();
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0, (vlan >> 8) as u8, vlan as u8]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    frame
}

/// An IPv6 packet to the endpoint.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    packet.extend(v6("fd00:50::12").octets());
    packet.extend(v6("fd00:50::11").octets());
    packet.extend(payload);
    packet
}

fn ipv4(proto: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = (20 + options.len() + payload.len()) as u8;
    let mut packet = vec![0x45 + (options.len() / 4) as u8, 0, 0, len, 0, 0, 0x40, 0, 64, proto, 0, 0];
    packet.extend([192, 168, 50, 12, 192, 168, 50, 11]);
    packet.extend(options);
    packet.extend(payload);
    packet
}

fn bits(text: &str) -> u128 {
    v6(text).to_bits()
}

/// Something for the endpoint, or nearly. Checksums are not right yet.
pub fn any_frame(vlan: Option<u16>) -> impl Strategy<Value = Vec<u8>> {
    let geneve =
        (any::<bool>(), any::<u8>(), 0..60usize, 0..0x100_0000u32, prop_oneof![Just(0), any::<u32>()])
            .prop_map(move |(is_ipv6, tos, payload, vni, option)| {
                encapsulated(&to_us(vlan, is_ipv6), &inner(tos, payload), &out(vni, option))
            });
    let option = prop_oneof![
        3 => any::<u32>().prop_map(|data| [&[1, 2, 0x80, 1][..], &data.to_be_bytes()].concat()),
        1 => Just(vec![1, 2, 0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        3 => (0..0x80u8, 0..4usize).prop_map(|(kind, words)| {
            [&[1, 3, kind, words as u8][..], &vec![7; words * 4]].concat()
        }),
        1 => (0x80..=0xffu8).prop_map(|kind| vec![1, 3, kind, 0]),
    ];
    let with_options =
        (prop::collection::vec(option, 0..5), any::<bool>()).prop_map(move |(options, is_plain)| {
            let options = options.concat();
            let mut payload = vec![0x12, 0x34, 0x17, 0xc1, 0, 0, 0, 0];
            payload.extend([(options.len() / 4) as u8, 0, 0x65, 0x58, 0, 0, 9, 0]);
            payload.extend(&options);
            payload.extend(inner(0, 4));
            let len = payload.len() as u8;
            payload[5] = len;
            match is_plain {
                true => ethernet(vlan, OWN, 0x0800, &ipv4(17, &[], &payload)),
                false => ethernet(vlan, OWN, 0x0800, &ipv4(17, &[1; 8], &payload)),
            }
        });
    let extension = prop_oneof![
        Just((0u8, vec![0, 0, 0, 0, 0, 0, 0, 0])),
        Just((60, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        any::<bool>().prop_map(|left| (43, vec![0, 0, 0, u8::from(left), 0, 0, 0, 0])),
        prop_oneof![Just(0u8), Just(1), Just(8)].prop_map(|frag| (44, vec![0, 0, 0, frag, 0, 0, 0, 1])),
        Just((51, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ];
    let extended = prop::collection::vec(extension, 1..20).prop_map(move |extensions| {
        let kinds: Vec<_> = extensions.iter().map(|(kind, _)| *kind).chain([17]).collect();
        let mut payload = Vec::new();
        for ((_, bytes), next) in extensions.iter().zip(&kinds[1..]) {
            payload.push(*next);
            payload.extend(&bytes[1..]);
        }
        payload.extend([0x12, 0x34, 0x17, 0xc1, 0, 30, 0, 0, 0, 0, 0x65, 0x58, 0, 0, 9, 0]);
        payload.extend([0; 14]);
        let mut packet = ipv6(kinds[0], &payload);
        packet[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        ethernet(vlan, OWN, 0x86dd, &packet)
    });
    let v4 = |last: [u8; 2]| u32::from_be_bytes([192, 168, last[0], last[1]]);
    let addr = prop_oneof![Just([50, 11]), Just([50, 12]), Just([50, 255]), Just([51, 1])];
    let arps = (1..4u16, addr.clone(), addr, any::<bool>()).prop_map(move |(op, spa, tpa, is_unicast)| {
        let dst = if is_unicast { OWN } else { Mac::BROADCAST };
        ethernet(vlan, dst, 0x0806, &arp(op, (PEER, v4(spa)), (Mac::default(), v4(tpa))))
    });
    let target = prop_oneof![Just("fd00:50::11"), Just("fd00:50::12"), Just("fd00:51::12"), Just("fe80::1")];
    let to = prop_oneof![Just("ff02::1"), Just("ff02::1:ff00:11"), Just("fd00:50::11"), Just("fd00:50::12")];
    let nd =
        (any::<bool>(), target, to, any::<bool>()).prop_map(move |(is_solicit, target, to, is_unicast)| {
            let what = if is_solicit { Nd::Solicit } else { Nd::Advert(0x6000_0000) };
            let dst = if is_unicast { OWN } else { Mac([0x33, 0x33, 0, 0, 0, 1]) };
            let packet = discovery(what, bits("fd00:50::12"), bits(to), bits(target), PEER);
            ethernet(vlan, dst, 0x86dd, &packet)
        });
    let echo = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(move |(is_ipv6, data)| {
        let kind = if is_ipv6 { 128 } else { 8 };
        let message = [&[kind, 0, 0, 0, 1, 2, 3, 4][..], &data].concat();
        match is_ipv6 {
            true => ethernet(vlan, OWN, 0x86dd, &ipv6(58, &message)),
            false => ethernet(vlan, OWN, 0x0800, &ipv4(1, &[], &message)),
        }
    });
    prop_oneof![4 => geneve, 4 => with_options, 2 => extended, 2 => arps, 3 => nd, 2 => echo]
}

/// Writes right checksums where the headers say that some are; those of UDP that are 0 stay.
pub fn heal(frame: &mut [u8], l3: usize) {
    let Some(kind) = frame.get(l3 - 2..l3) else { return };
    let Some(packet) = (match kind {
        [8, 0] | [0x86, 0xdd] => frame.get_mut(l3..),
        _ => None,
    }) else {
        return;
    };
    if packet.len() < 40 {
        return;
    }
    let (proto, header, end, pseudo) = if packet[0] >> 4 == 4 {
        let header = usize::from(packet[0] & 15) * 4;
        let end = usize::from(packet[2]) * 256 + usize::from(packet[3]);
        if header < 20 || header > end || end > packet.len() {
            return;
        }
        packet[10..12].fill(0);
        let sum = !oracle::sum(&[&packet[..header]]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        (packet[9], header, end, packet[12..20].to_vec())
    } else {
        let end = 40 + usize::from(packet[4]) * 256 + usize::from(packet[5]);
        (packet[6], 40, end, packet[8..40].to_vec())
    };
    let Some(payload) = packet.get_mut(header..end).filter(|payload| payload.len() >= 8) else { return };
    let (at, pseudo, end) = match proto {
        1 => (2, vec![], payload.len()),
        58 => {
            (2, [pseudo, (payload.len() as u32).to_be_bytes().to_vec(), vec![0, 58]].concat(), payload.len())
        }
        17 if payload[6..8] != [0, 0] => (
            6,
            [pseudo, payload[4..6].to_vec(), vec![0, 17]].concat(),
            usize::from(payload[4]) * 256 + usize::from(payload[5]),
        ),
        _ => return,
    };
    if end > payload.len() || end < 8 {
        return;
    }
    payload[at..at + 2].fill(0);
    let sum = !oracle::sum(&[&pseudo, &payload[..end]]);
    let sum = if sum == 0 && proto == 17 { 0xffff } else { sum };
    payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// What happens to a frame.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Bit(prop::sample::Index, u8),
    /// About where Geneve's header is over IPv4.
    Geneve(usize, u8),
    Cut(prop::sample::Index),
    Longer(Vec<u8>),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        4 => (any::<prop::sample::Index>(), 0..8u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        1 => (42..54usize, 0..8u8).prop_map(|(at, bit)| Change::Geneve(at, bit)),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Change::Longer),
    ]
}

fn changed(mut frame: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if frame.is_empty() {
            break;
        }
        let head = frame.len().min(100);
        match change {
            Change::Byte(at, byte) => frame[at.index(head)] = *byte,
            Change::Bit(at, bit) => frame[at.index(head)] ^= 1 << bit,
            Change::Geneve(at, bit) => {
                if let Some(byte) = frame.get_mut(*at) {
                    *byte ^= 1 << bit;
                }
            }
            Change::Cut(at) => frame.truncate(at.index(frame.len())),
            Change::Longer(bytes) => frame.extend(bytes),
        }
    }
    frame
}

/// Counts what came of many frames, so that a test that sees one kind only is noticed.
fn name(arrival: &Arrival) -> String {
    match arrival {
        Arrival::Tunnel(_) => "tunnel".to_owned(),
        Arrival::Refused(reason) => reason.name().to_owned(),
        Arrival::Local(local) => format!("{:?}", local.kind),
        Arrival::Other => "other".to_owned(),
    }
}

#[test]
fn the_fast_classification_says_what_the_slow_one_does() {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    let seen = RefCell::new(BTreeMap::<String, u32>::new());
    let config = ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let vlan = prop_oneof![Just(None), Just(Some(7u16))];
    let strategy = vlan.prop_flat_map(|vlan| {
        let changes = prop::collection::vec(any_change(), 0..4);
        (Just(vlan), any_frame(vlan), changes, prop::bool::weighted(0.8))
    });
    let outcome = runner.run(&strategy, |(vlan, frame, changes, is_healed)| {
        let endpoint = endpoint(vlan);
        let mut frame = changed(frame, &changes);
        let l3 = endpoint.l3();
        if is_healed && frame.len() > l3 {
            heal(&mut frame, l3);
        }
        let arrival = endpoint.classify(&frame);
        prop_assert_eq!(arrival, oracle::classify(&endpoint, &frame));
        *seen.borrow_mut().entry(name(&arrival)).or_default() += 1;
        follow(&endpoint, arrival, &frame)?;
        Ok(())
    });
    outcome.unwrap();
    let seen = seen.into_inner();
    // The rarest have tests of their own.
    let wanted = [
        "tunnel",
        "other",
        "Arp",
        "Solicit",
        "Advert",
        "Echo4",
        "Echo6",
        "geneve_truncated",
        "geneve_bad_protocol",
        "geneve_critical_option",
        "tunnel_bad_checksum",
        "tunnel_fragment",
        "underlay_malformed",
        "underlay_not_handled",
    ];
    for name in wanted {
        assert!(seen.get(name).is_some_and(|count| *count >= 5), "{name}: {seen:?}");
    }
}

/// What is done with a frame after its classification.
fn follow(endpoint: &Endpoint, arrival: Arrival, frame: &[u8]) -> Result<(), TestCaseError> {
    match arrival {
        Arrival::Tunnel(Received { inner, end, tos, .. }) => {
            let (inner, end) = (usize::from(inner), usize::from(end));
            prop_assert!(inner + 14 <= end && end <= frame.len());
            let mut packet = HeapPacket::new(&frame[inner..end]);
            let _ = merge_ecn(tos, &mut packet);
        }
        Arrival::Local(local) => {
            let mut packet = HeapPacket::new(frame);
            if let Ok(outcome) = answer(endpoint, local, &mut packet) {
                prop_assert!(outcome.heard.is_none_or(|heard| !heard.mac.is_multicast()));
                if outcome.reply {
                    prop_assert_eq!(&packet.data()[6..12], &OWN.0);
                    prop_assert!(packet.data()[..6] != OWN.0 || frame[6..12] == OWN.0);
                }
            }
        }
        Arrival::Refused(_) | Arrival::Other => {}
    }
    Ok(())
}

#[test]
fn headers_that_are_refused_by_name() {
    let good = [0, 0, 0x65, 0x58, 0, 0, 7, 0];
    assert!(Header::read(&[&good[..], &[0; 14]].concat()).is_ok_and(|header| header.vni == 7));
    let cases = [
        (0, 0x40, DropReason::GeneveBadVersion),
        (1, 0x80, DropReason::GeneveOam),
        (2, 0x66, DropReason::GeneveBadProtocol),
        (0, 0x3f, DropReason::GeneveTruncated),
    ];
    for (at, byte, reason) in cases {
        let mut bytes = [&good[..], &[0; 14]].concat();
        bytes[at] = byte;
        assert_eq!(Header::read(&bytes).map(|header| header.vni), Err(reason), "{byte:#x} at {at}");
    }
}
