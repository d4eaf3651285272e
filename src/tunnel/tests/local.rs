//! What the endpoint answers and what it learns.

use super::*;
use crate::packet::DropReason;
use crate::packet::checksum::complete_l4;
use crate::tunnel::frames::{ALL_NODES, Nd, arp, discovery, group_mac, solicited_node};

const ASKER: &str = "192.168.50.12";

fn v4(text: &str) -> u32 {
    v6(text).to_ipv4_mapped().unwrap().to_bits()
}

/// A frame without a tag, or with that of VLAN 7 and a priority.
fn frame(vlan: Option<u16>, dst: Mac, kind: u16, packet: &[u8]) -> Vec<u8> {
    let tag: &[u8] = if vlan.is_some() { &[0x81, 0, 0xe0, 7] } else { &[] };
    [&dst.0, &PEER.0, tag, &kind.to_be_bytes(), packet].concat()
}

/// What becomes of a frame, and its bytes afterwards.
fn given(vlan: Option<u16>, frame: &[u8]) -> Result<(LocalOutcome, Vec<u8>), DropReason> {
    match endpoint(vlan).classify(frame) {
        Arrival::Local(local) => {
            let mut packet = HeapPacket::new(frame);
            let outcome = answer(&endpoint(vlan), local, &mut packet)?;
            Ok((outcome, packet.data().to_vec()))
        }
        Arrival::Refused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn is_other(frame: &[u8]) -> bool {
    endpoint(None).classify(frame) == Arrival::Other
}

fn heard(text: &str, is_answer: bool, overrides: bool) -> Option<Heard> {
    Some(Heard { ip: v6(text), mac: PEER, is_answer, overrides })
}

#[test]
fn arp_is_answered() {
    for vlan in [None, Some(7)] {
        for (own, dst) in [("192.168.50.11", Mac::BROADCAST), ("10.9.0.1", OWN)] {
            let request = arp(1, (PEER, v4(ASKER)), (Mac::default(), v4(own)));
            let padded = [frame(vlan, dst, 0x806, &request), vec![0xaa; 18]].concat();
            let (outcome, made) = given(vlan, &padded).unwrap();
            assert_eq!(outcome, LocalOutcome { reply: true, heard: heard(ASKER, false, true) });
            let mut wanted = frame(vlan, PEER, 0x806, &arp(2, (OWN, v4(own)), (PEER, v4(ASKER))));
            wanted[6..12].copy_from_slice(&OWN.0);
            assert_eq!(made, wanted);
        }
    }
}

#[test]
fn arp_is_learnt_from() {
    let told = |op, spa: &str, tpa: &str, dst| {
        given(None, &frame(None, dst, 0x806, &arp(op, (PEER, v4(spa)), (Mac::default(), v4(tpa)))))
    };
    let learnt = |heard| Ok(LocalOutcome { reply: false, heard });
    let only = |told: Result<(LocalOutcome, Vec<u8>), _>| told.map(|(outcome, _)| outcome);
    assert_eq!(only(told(2, ASKER, "192.168.50.11", OWN)), learnt(heard(ASKER, true, true)));
    // Announcements, as requests and as replies.
    for op in [1, 2] {
        assert_eq!(only(told(op, ASKER, ASKER, Mac::BROADCAST)), learnt(heard(ASKER, false, true)));
    }
    // Somebody claims our address.
    let own = "192.168.50.11";
    assert_eq!(only(told(1, own, own, Mac::BROADCAST)), learnt(heard(own, false, true)));
    // A probe is answered and says nothing; one from elsewhere is answered and not learnt.
    for spa in ["0.0.0.0", "172.16.0.1"] {
        assert_eq!(only(told(1, spa, own, Mac::BROADCAST)), Ok(LocalOutcome { reply: true, heard: None }));
    }
    // Others' business.
    let others = arp(1, (PEER, v4(ASKER)), (Mac::default(), v4("192.168.50.13")));
    assert!(is_other(&frame(None, Mac::BROADCAST, 0x806, &others)));
    assert!(is_other(&frame(None, OWN, 0x806, &others)));
    assert!(is_other(&frame(None, OWN, 0x806, &others[..27])));
    let odd = arp(1, (Mac::BROADCAST, v4(ASKER)), (Mac::default(), v4(own)));
    assert_eq!(given(None, &frame(None, OWN, 0x806, &odd)).err(), Some(DropReason::UnderlayMalformed));
    assert_eq!(told(3, ASKER, own, OWN).err(), Some(DropReason::UnderlayMalformed));
    // Our own words, come back.
    let own_words = arp(1, (OWN, v4(own)), (Mac::default(), v4(own)));
    assert_eq!(only(given(None, &frame(None, Mac::BROADCAST, 0x806, &own_words))), learnt(None));
}

#[test]
fn solicitations_are_answered() {
    let (own, asker) = (v6("fd00:50::11").to_bits(), v6("fd00:50::12").to_bits());
    let group = solicited_node(own);
    assert_eq!(Ipv6Addr::from_bits(group), v6("ff02::1:ff00:11"));
    for vlan in [None, Some(7)] {
        for (dst, mac) in [(group, group_mac(group)), (own, OWN)] {
            let asked = frame(vlan, mac, 0x86dd, &discovery(Nd::Solicit, asker, dst, own, PEER));
            let (outcome, made) = given(vlan, &asked).unwrap();
            assert_eq!(outcome, LocalOutcome { reply: true, heard: heard("fd00:50::12", false, true) });
            let advert = discovery(Nd::Advert(0x6000_0000), own, asker, own, OWN);
            let mut wanted = frame(vlan, PEER, 0x86dd, &advert);
            wanted[6..12].copy_from_slice(&OWN.0);
            assert_eq!(made, wanted);
        }
    }
    // Somebody wants the address: all are told that it is taken. There is no option, so that the answer is longer.
    let probe = discovery(Nd::Solicit, 0, group, own, PEER);
    let mut probe = [&probe[..4], &[0, 24], &probe[6..64]].concat();
    heal(&mut probe);
    let (outcome, made) = given(None, &frame(None, group_mac(group), 0x86dd, &probe)).unwrap();
    assert_eq!(outcome, LocalOutcome { reply: true, heard: None });
    let advert = discovery(Nd::Advert(0x2000_0000), own, ALL_NODES, own, OWN);
    assert_eq!(made[14..], advert);
    assert_eq!(made[..6], [0x33, 0x33, 0, 0, 0, 1]);
    // One that says an address all the same.
    let odd = frame(None, group_mac(group), 0x86dd, &discovery(Nd::Solicit, 0, group, own, PEER));
    assert_eq!(given(None, &odd).err(), Some(DropReason::UnderlayMalformed));
    // Of a message that was passed on by a router nothing is believed.
    let mut routed = frame(None, OWN, 0x86dd, &discovery(Nd::Solicit, asker, own, own, PEER));
    routed[21] = 254;
    assert_eq!(given(None, &routed).err(), Some(DropReason::UnderlayMalformed));
    let mut wrong = frame(None, OWN, 0x86dd, &discovery(Nd::Solicit, asker, own, own, PEER));
    wrong[57] ^= 1;
    assert_eq!(given(None, &wrong).err(), Some(DropReason::UnderlayMalformed));
    let other = v6("fd00:50::13").to_bits();
    assert!(is_other(&frame(
        None,
        group_mac(group),
        0x86dd,
        &discovery(Nd::Solicit, asker, group, other, PEER)
    )));
}

/// Writes the checksum of an ICMPv6 packet.
fn heal(packet: &mut [u8]) {
    let mut whole = [&[0; 12], &[0x86, 0xdd][..], packet].concat();
    let (_, meta) = parsed(&whole);
    complete_l4(&mut whole, &meta).unwrap();
    packet.copy_from_slice(&whole[14..]);
}

#[test]
fn advertisements_are_learnt_from() {
    let (own, near) = (v6("fd00:50::11").to_bits(), v6("fd00:50::12").to_bits());
    let told = |flags, dst, mac, target| {
        let packet = discovery(Nd::Advert(flags), near, dst, target, PEER);
        given(None, &frame(None, mac, 0x86dd, &packet)).map(|(outcome, _)| outcome)
    };
    let learnt = |heard| Ok(LocalOutcome { reply: false, heard });
    let all = group_mac(ALL_NODES);
    assert_eq!(told(0x6000_0000, own, OWN, near), learnt(heard("fd00:50::12", true, true)));
    assert_eq!(told(0x4000_0000, own, OWN, near), learnt(heard("fd00:50::12", true, false)));
    assert_eq!(told(0x2000_0000, ALL_NODES, all, near), learnt(heard("fd00:50::12", false, true)));
    assert_eq!(told(0x2000_0000, ALL_NODES, all, own), learnt(heard("fd00:50::11", false, true)));
    assert_eq!(told(0x6000_0000, ALL_NODES, all, near), Err(DropReason::UnderlayMalformed));
    let far = v6("fd00:51::1").to_bits();
    assert_eq!(told(0x6000_0000, own, OWN, far), learnt(None));
    let unknown = discovery(Nd::Advert(0x2000_0000), far, ALL_NODES, far, PEER);
    assert!(is_other(&frame(None, all, 0x86dd, &unknown)));
    // Without the option the sender of the frame is meant.
    let packet = discovery(Nd::Advert(0x6000_0000), near, own, near, OWN);
    let mut short = [&packet[..4], &[0, 24], &packet[6..64]].concat();
    heal(&mut short);
    let (outcome, _) = given(None, &frame(None, OWN, 0x86dd, &short)).unwrap();
    assert_eq!(outcome.heard, heard("fd00:50::12", true, true));
}

#[test]
fn echoes_come_back() {
    for data in [0, 1, 56, 1400] {
        let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
        message.extend((0..data).map(|n| n as u8));
        let sum = !oracle::sum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let total = (20 + message.len()) as u16;
        let mut packet = vec![0x45, 0x10, (total >> 8) as u8, total as u8, 1, 2, 0, 0, 9, 1, 0, 0];
        packet.extend([192, 168, 50, 12, 10, 9, 0, 1]);
        let sum = !oracle::sum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(&message);
        let padded = [frame(Some(7), OWN, 0x800, &packet), vec![0xee; 7]].concat();
        let (outcome, made) = given(Some(7), &padded).unwrap();
        assert_eq!(outcome, LocalOutcome { reply: true, heard: None });
        assert_eq!(made.len(), 18 + packet.len());
        assert_eq!(
            made[..18],
            frame(Some(7), PEER, 0x800, &[])[..]
                .iter()
                .copied()
                .enumerate()
                .map(|(n, byte)| if (6..12).contains(&n) { OWN.0[n - 6] } else { byte })
                .collect::<Vec<_>>()
        );
        assert_eq!(made[18..28], [0x45, 0x10, (total >> 8) as u8, total as u8, 1, 2, 0, 0, 64, 1]);
        assert_eq!(made[30..38], [10, 9, 0, 1, 192, 168, 50, 12]);
        assert_eq!(made[38], 0);
        assert_eq!((oracle::sum(&[&made[18..38]]), oracle::sum(&[&made[38..]])), (0xffff, 0xffff));
        assert_eq!(made[42..], packet[24..]);

        let mut six = vec![0x6a, 0xb0, 0, 5, 0, 0, 58, 3];
        six[4..6].copy_from_slice(&(message.len() as u16).to_be_bytes());
        six.extend(v6("fe80::12").octets());
        six.extend(v6("fd00:50::11").octets());
        message[0] = 128;
        six.extend(&message);
        heal(&mut six);
        let (outcome, made) = given(None, &frame(None, OWN, 0x86dd, &six)).unwrap();
        assert_eq!(outcome, LocalOutcome { reply: true, heard: None });
        let mut wanted = six.clone();
        wanted[7] = 64;
        wanted[8..40].rotate_left(16);
        wanted[40] = 129;
        heal(&mut wanted);
        assert_eq!(made[14..], wanted);
    }
}

#[test]
fn no_forged_sender_makes_the_endpoint_speak_to_a_group_or_to_itself() {
    let from = |sender: Mac, mut frame: Vec<u8>| {
        frame[6..12].copy_from_slice(&sender.0);
        given(None, &frame).map(|(outcome, _)| outcome.reply)
    };
    let (wrong, group) = (Err(DropReason::UnderlayMalformed), Mac([1, 0, 0x5e, 0, 0, 1]));
    let echo = |src: &str| {
        let is_v4 = src.contains('.');
        let mut message = [if is_v4 { 8 } else { 128 }, 0, 0, 0, 0x12, 0x34, 0, 1];
        if is_v4 {
            let sum = !oracle::sum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 9, 1, 0, 0];
            packet.extend([v4(src), v4("10.9.0.1")].map(u32::to_be_bytes).concat());
            let sum = !oracle::sum(&[&packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            return frame(None, OWN, 0x800, &[packet, message.to_vec()].concat());
        }
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 9];
        packet.extend([v6(src), v6("fd00:50::11")].map(|ip| ip.octets()).concat());
        packet.extend(message);
        heal(&mut packet);
        frame(None, OWN, 0x86dd, &packet)
    };
    for good in ["192.168.50.12", "172.16.0.255", "fd00:50::12", "fe80::12"] {
        assert_eq!(from(PEER, echo(good)), Ok(true), "{good}");
        for sender in [Mac::BROADCAST, group, Mac::default(), OWN] {
            assert_eq!(from(sender, echo(good)), wrong, "{good} {sender}");
        }
    }
    let v4_groups = ["255.255.255.255", "224.0.0.1", "192.168.50.255", "10.9.0.3"];
    let v4_others = ["0.0.0.0", "127.0.0.1", "192.168.50.11", "10.9.0.1"];
    for bad in v4_groups.into_iter().chain(v4_others).chain(["ff02::1", "::", "::1", "fd00:50::11"]) {
        assert_eq!(from(PEER, echo(bad)), wrong, "{bad}");
    }
    // Nor do questions.
    let own = v6("fd00:50::11").to_bits();
    let asked = |src: &str, mac| {
        let packet = discovery(Nd::Solicit, v6(src).to_bits(), own, own, mac);
        given(None, &frame(None, OWN, 0x86dd, &packet)).map(|(outcome, _)| outcome)
    };
    assert_eq!(asked("ff02::1", PEER), Err(DropReason::UnderlayMalformed));
    let claim = LocalOutcome { reply: false, heard: heard("fd00:50::11", false, true) };
    assert_eq!(asked("fd00:50::11", PEER), Ok(claim));
    let nothing = Ok(LocalOutcome { reply: false, heard: None });
    assert_eq!(asked("fd00:50::12", OWN), nothing);
    let arp = arp(1, (OWN, v4(ASKER)), (Mac::default(), v4("10.9.0.1")));
    assert_eq!(given(None, &frame(None, OWN, 0x806, &arp)).map(|(outcome, _)| outcome), nothing);
}

#[test]
fn what_is_not_served_is_named() {
    let refused = |proto: u8, payload: &[u8]| {
        let mut packet = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0, 0, 9, proto, 0, 0];
        packet.extend([192, 168, 50, 12, 192, 168, 50, 11]);
        let sum = !oracle::sum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        given(None, &frame(None, OWN, 0x800, &packet)).err()
    };
    assert_eq!(refused(6, &[0; 20]), Some(DropReason::UnderlayNotHandled));
    assert_eq!(refused(17, &[0, 1, 0, 53, 0, 8, 0, 0]), Some(DropReason::UnderlayNotHandled));
    assert_eq!(refused(17, &[0, 1, 0x17, 0xc1, 0, 9, 0, 0]), Some(DropReason::UnderlayMalformed));
    assert_eq!(refused(1, &[3, 4, 0xfc, 0xfb, 0, 0, 0, 0]), Some(DropReason::UnderlayNotHandled));
    assert_eq!(refused(1, &[8, 0, 0, 1, 0, 0, 0, 0]), Some(DropReason::UnderlayMalformed));
    // Another VLAN, another Ethernet address, another IP address.
    let made = encapsulated(&to_us(Some(7), false), &inner(0, 9), &out(1, 1));
    assert!(matches!(endpoint(Some(7)).classify(&made), Arrival::Tunnel(_)));
    assert_eq!(endpoint(Some(8)).classify(&made), Arrival::Other);
    assert_eq!(endpoint(None).classify(&made), Arrival::Other);
    assert_eq!(peer(Some(7)).classify(&made), Arrival::Other);
    let to = v6("192.168.50.13");
    let elsewhere = Remote::new(&peer(None), to, to, Some(OWN)).unwrap();
    assert!(is_other(&encapsulated(&elsewhere, &inner(0, 9), &out(1, 1))));
}
