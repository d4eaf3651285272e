//! Who is not answered, and what is said to everybody.

use super::*;
use crate::packet::DropReason;
use crate::packet::checksum::{complete_l3, complete_l4};
use crate::tunnel::frames::{ALL_NODES, Nd, arp, discovery, group_mac};

/// An echo request to the endpoint.
fn ping(mac: Mac, from: &str) -> Vec<u8> {
    let mut frame = [OWN.0, mac.0].concat();
    match ip(from) {
        IpAddr::V4(from) => {
            frame.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 9, 1, 0, 0]);
            frame.extend(from.octets());
            frame.extend([192, 168, 50, 11, 8, 0, 0, 0, 0, 1, 0, 2]);
            let sum = !oracle::sum(&[&frame[34..]]);
            frame[36..38].copy_from_slice(&sum.to_be_bytes());
        }
        IpAddr::V6(from) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 9]);
            frame.extend(from.octets());
            frame.extend(v6("fd00:50::11").octets());
            frame.extend([128, 0, 0, 0, 0, 1, 0, 2]);
        }
    }
    let (_, meta) = parsed(&frame);
    complete_l3(&mut frame, &meta).unwrap();
    // ICMP's covers no addresses and was written above.
    let _ = complete_l4(&mut frame, &meta);
    frame
}

#[test]
fn an_echo_is_sent_to_one_host_only() {
    let answered = |frame: &[u8]| {
        let Arrival::Local(local) = endpoint(None).classify(frame) else { panic!("{frame:x?}") };
        let mut packet = HeapPacket::new(frame);
        let outcome = answer(&endpoint(None), local, &mut packet);
        assert!(outcome.is_ok() || packet.data() == frame);
        outcome.map(|outcome| outcome.reply)
    };
    for one in ["192.168.50.12", "8.8.8.8", "10.9.0.2", "fd00:50::12", "fe80::1", "2001:db8::1"] {
        assert_eq!(answered(&ping(PEER, one)), Ok(true), "{one}");
        assert_eq!(answered(&ping(Mac([3, 0, 0, 0, 0, 1]), one)), Err(DropReason::UnderlayMalformed));
        assert_eq!(answered(&ping(Mac::default(), one)), Err(DropReason::UnderlayMalformed));
    }
    let many = [
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.168.50.255",
        "10.9.0.3",
        "127.0.0.1",
        "::",
        "ff02::1",
    ];
    for many in many {
        assert_eq!(answered(&ping(PEER, many)), Err(DropReason::UnderlayMalformed), "{many}");
    }
}

#[test]
fn what_is_said_to_everybody_is_told_apart() {
    let said = |endpoint: &Endpoint, frame: &[u8]| match endpoint.classify(frame) {
        Arrival::Local(local) => Some(local.is_announcement()),
        Arrival::Other => None,
        other => panic!("{other:?}"),
    };
    let near = v6("192.168.50.12").to_ipv4_mapped().unwrap().to_bits();
    let own = v6("192.168.50.11").to_ipv4_mapped().unwrap().to_bits();
    let frame =
        |dst: Mac, kind: u16, packet: &[u8]| [&dst.0, &PEER.0, &kind.to_be_bytes()[..], packet].concat();
    let by_arp = |dst, sha, spa, tpa| frame(dst, 0x806, &arp(1, (sha, spa), (Mac::default(), tpa)));
    let both = endpoint(None);
    assert_eq!(said(&both, &by_arp(Mac::BROADCAST, PEER, near, near)), Some(true));
    assert_eq!(said(&both, &by_arp(Mac::BROADCAST, PEER, own, own)), Some(true));
    assert_eq!(said(&both, &by_arp(OWN, PEER, near, near)), Some(false));
    assert_eq!(said(&both, &by_arp(Mac::BROADCAST, PEER, near, own)), Some(false));
    // One that cannot be is nobody's.
    assert_eq!(said(&both, &by_arp(Mac::BROADCAST, Mac::BROADCAST, near, near)), None);
    let (target, link) = (v6("fd00:50::12").to_bits(), v6("fe80::12").to_bits());
    let advert = |target| discovery(Nd::Advert(0x2000_0000), target, ALL_NODES, target, PEER);
    let by_nd = |target| frame(group_mac(ALL_NODES), 0x86dd, &advert(target));
    assert_eq!((said(&both, &by_nd(target)), said(&both, &by_nd(link))), (Some(true), Some(true)));
    let mut wrong = by_nd(target);
    wrong[60] ^= 1;
    assert_eq!(said(&both, &wrong), None);
    let only_v4 = Endpoint::new(OWN, None, &[(ip("192.168.50.11"), 24)], 1500, true).unwrap();
    assert_eq!(said(&only_v4, &by_nd(link)), None);
}
