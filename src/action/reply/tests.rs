//! Replies against those that scapy builds (tests/data/replies.txt), and for random packets against naive checksums.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packet::parse::parse;
use crate::packet::testgen::{any_spec, naive_crc32c, naive_sum, pseudo_header};
use crate::packet::{FlowKey, HeapPacket, Said};

const VECTORS: &str = include_str!("../../../tests/data/replies.txt");

fn read_meta(frame: &[u8]) -> PacketMeta {
    let mut meta = PacketMeta::default();
    let _ = parse(frame, &mut meta, &mut FlowKey::default());
    meta
}

fn turned(frame: &[u8], kind: Reply, said: Said) -> Result<Vec<u8>, DropReason> {
    let meta = PacketMeta { said, ..read_meta(frame) };
    let mut packet = HeapPacket::new(frame);
    turn(&mut packet, &meta, kind).map(|()| packet.data().to_vec())
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn replies_are_those_that_scapy_builds() {
    let (mut replies, mut drops) = (0, 0);
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let [name, kind, packet, expected] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let got = turned(&bytes_of(packet), Reply::by_name(kind).unwrap(), Said::default());
        match DropReason::ALL.iter().find(|reason| reason.name() == expected) {
            Some(reason) => {
                assert_eq!(got, Err(*reason), "{name} {kind}");
                drops += 1;
            }
            None => {
                assert_eq!(got, Ok(bytes_of(expected)), "{name} {kind}");
                replies += 1;
            }
        }
    }
    assert!(replies > 200 && drops > 100, "{replies} {drops}");
}

#[test]
fn what_is_quoted_has_no_checksum_left_open() {
    let hex = "02000000000b02000000000a080045000020000740003f11b26a0a000001c00002071388003500\
               0c0000deadbeef";
    let mut whole = bytes_of(&hex.replace([' ', '\n'], ""));
    let meta = read_meta(&whole);
    crate::packet::checksum::complete_l3(&mut whole, &meta).unwrap();
    crate::packet::checksum::complete_l4(&mut whole, &meta).unwrap();
    let mut open = whole.clone();
    open[24..26].fill(0x55);
    open[40..42].fill(0x55);
    let said = Said::new(CsumState::Partial, CsumState::Partial, 0);
    assert_eq!(turned(&open, Reply::Icmp4, said), turned(&whole, Reply::Icmp4, Said::default()));
    assert_ne!(turned(&open, Reply::Icmp4, Said::default()), turned(&whole, Reply::Icmp4, Said::default()));
}

/// Headers of a reply are as long as they say, and its checksums verify.
fn check(frame: &[u8], kind: Reply) -> Result<(), TestCaseError> {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let parsed = parse(frame, &mut meta, &mut key);
    prop_assert_eq!(parsed.stop, None, "{:?}", kind);
    let (l3, l4, end) = (usize::from(meta.l3), usize::from(meta.l4), usize::from(meta.l3_end));
    if kind == Reply::Arp {
        prop_assert_eq!(frame.len(), l3 + 28);
        return Ok(());
    }
    prop_assert_eq!(frame.len(), end);
    let is_v4 = frame[l3] >> 4 == 4;
    if is_v4 {
        prop_assert_eq!(naive_sum(&frame[l3..l3 + 20]), 0xffff);
    }
    let message = &frame[l4..end];
    let (addrs, proto) = if is_v4 {
        (&frame[l3 + 12..l3 + 20], frame[l3 + 9])
    } else {
        (&frame[l3 + 8..l3 + 40], frame[l3 + 6])
    };
    let mut covered = if proto == 1 { Vec::new() } else { pseudo_header(addrs, proto, message.len()) };
    covered.extend(message);
    if proto == 132 {
        let mut message = message.to_vec();
        let stored = u32::from_le_bytes(message[8..12].try_into().unwrap());
        message[8..12].fill(0);
        prop_assert_eq!(stored, naive_crc32c(&message));
    } else {
        prop_assert_eq!(naive_sum(&covered), 0xffff, "{:?}", kind);
    }
    Ok(())
}

proptest! {
    #[test]
    fn replies_to_random_packets_are_sound(spec in any_spec()) {
        let frame = spec.frame();
        for kind in Reply::ALL {
            if let Ok(reply) = turned(&frame, kind, Said::default()) {
                check(&reply, kind)?;
            }
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_panics(
        frame in vec(any::<u8>(), 0..120),
        spec in any_spec(),
        cut in 0usize..200,
        said in any::<(u8, u8)>(),
    ) {
        let state = |n: u8| [CsumState::Unknown, CsumState::Good, CsumState::Bad, CsumState::Partial][usize::from(n) % 4];
        let said = Said::new(state(said.0), state(said.1), 0);
        let mut short = spec.frame();
        short.truncate(cut);
        for kind in Reply::ALL {
            for frame in [&frame, &short] {
                if let Ok(reply) = turned(frame, kind, said) {
                    check(&reply, kind)?;
                }
            }
        }
    }

    /// Offsets that do not fit the bytes come from no parser; they must do no harm all the same.
    #[test]
    fn whatever_the_offsets_nothing_panics(
        frame in vec(any::<u8>(), 0..120),
        offsets in any::<[u8; 4]>(),
    ) {
        let [l3, l4, payload, l3_end] = offsets.map(u16::from);
        let meta = PacketMeta { l3, l4, payload, l3_end, ..PacketMeta::default() };
        for kind in Reply::ALL {
            let _ = turn(&mut HeapPacket::new(&frame), &meta, kind);
        }
    }
}
