//! Tuple-space explosion (Csikor et al., "Tuple Space Explosion", CoNEXT 2019): packets made so that a few rules of an
//! ACL need a mask for every combination of prefix lengths. The port that they come in by stays within what it may have,
//! and the others do not feel it.

use std::collections::HashSet;
use std::sync::Arc;

use millrace::packet::{Field, FlowKey, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::{PortView, Ports};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::lab::{Lab, Packet};
use crate::oracle::flows::at;
use crate::support::change;

const SIZES: CacheSizes = CacheSizes {
    megaflows: 4096,
    megaflows_per_port: 1024,
    masks_per_port: 32,
    emc_entries: 256,
    max_idle_ms: 10_000,
};
const ATTACKED: u128 = 1;
const OTHER: u128 = 2;

/// What the ACL allows: one value of each of these.
const ALLOWED: [(Field, u128, u32); 3] =
    [(Field::UdpDst, 80, 16), (Field::NwSrc, 0x0a00_000a, 32), (Field::UdpSrc, 12_345, 16)];

fn acl() -> [&'static str; 4] {
    [
        "priority=30,udp,tp_dst=80 actions=3",
        "priority=20,udp,nw_src=10.0.0.10 actions=3",
        "priority=10,udp,tp_src=12345 actions=3",
        "priority=0 actions=drop",
    ]
}

fn lab() -> Lab {
    let view = |number: u16| {
        let (number, name) = (PortNo(number), Arc::from(format!("p{number}")));
        PortView { number, name, at: at(number), no_flood: false }
    };
    let mut lab = Lab::new(SIZES, Ports::new((1..=3).map(view).collect()));
    lab.change(acl().map(|text| change(Command::Add, text)));
    lab.see();
    lab
}

fn packet(port: u128, values: [u128; 3]) -> Packet {
    let mut key = FlowKey::default();
    let of_udp = [(Field::InPort, port), (Field::EthType, 0x0800), (Field::NwProto, 17), (Field::NwTtl, 64)];
    let values = ALLOWED.iter().zip(values).map(|((field, ..), value)| (*field, value));
    of_udp.into_iter().chain(values).for_each(|(field, value)| key.set(field, value));
    Packet::short(key, 64)
}

/// The co-located attack: whoever knows the ACL sends, for every field and every length of a prefix, a value that leaves
/// the allowed one after just so many bits, in all combinations. `noise` fills what comes after.
fn colocated(noise: &mut impl FnMut() -> u128) -> Vec<Packet> {
    let mut leave = |value: u128, bits: u32, after: u32| {
        let rest = bits - after - 1;
        let flipped = value ^ 1 << rest;
        flipped >> rest << rest | noise() & ((1 << rest) - 1)
    };
    let [dst, src, sport] = ALLOWED;
    let mut packets = Vec::new();
    for a in 0..dst.2 {
        for b in 0..src.2 {
            for c in 0..sport.2 {
                let values = [leave(dst.1, dst.2, a), leave(src.1, src.2, b), leave(sport.1, sport.2, c)];
                packets.push(packet(ATTACKED, values));
            }
        }
    }
    packets
}

/// The general attack: whoever knows nothing sends random headers.
fn general(noise: &mut impl FnMut() -> u128, count: usize) -> Vec<Packet> {
    let mut value = |bits| noise() & ((1u128 << bits) - 1);
    (0..count).map(|_| packet(ATTACKED, ALLOWED.map(|(.., bits)| value(bits)))).collect()
}

fn random() -> impl FnMut() -> u128 {
    let mut runner = TestRunner::deterministic();
    move || any::<u128>().new_tree(&mut runner).unwrap().current()
}

/// The masks and megaflows of a port.
fn of_port(lab: &mut Lab, port: u128) -> (usize, usize) {
    let masks = lab.dump(|seen| {
        let matcher = seen.matcher();
        (matcher.key.get(Field::InPort) == port).then_some(matcher.mask)
    });
    let own: Vec<_> = masks.into_iter().flatten().collect();
    (own.iter().collect::<HashSet<_>>().len(), own.len())
}

/// Subtables probed for ordinary packets of the other port.
fn probes(lab: &mut Lab, packets: &[Packet]) -> u64 {
    let (before, misses) = (lab.counts(), lab.misses);
    lab.burst(packets);
    assert_eq!(lab.misses, misses);
    lab.counts().probes - before.probes
}

fn withstand(attack: &[Packet]) {
    let mut lab = lab();
    let ordinary: Vec<_> =
        (0..16).map(|n| packet(OTHER, [80 + n % 2, 0x0a00_000a + n % 4, 12_345])).collect();
    lab.burst(&ordinary);
    // In the order of their use from now on.
    lab.pass(200);
    let (calm, calm_of_port) = (probes(&mut lab, &ordinary), of_port(&mut lab, OTHER));
    for (round, burst) in attack.chunks(32).enumerate() {
        lab.burst(burst);
        if round % 16 == 0 {
            lab.pass(7);
            assert!(probes(&mut lab, &ordinary) <= calm, "another port is slowed down");
        }
    }
    let counts = lab.counts();
    let (masks, megaflows) = of_port(&mut lab, ATTACKED);
    assert!((SIZES.masks_per_port..=SIZES.masks_per_port + 1).contains(&masks), "{masks} masks");
    assert!((200..=SIZES.megaflows_per_port).contains(&megaflows), "{megaflows} megaflows");
    assert_eq!(of_port(&mut lab, OTHER), calm_of_port);
    // Put in one by one for want of masks, then nothing more while all are in use, and each one that went is told.
    assert!(counts.narrowed > 100 && counts.refused + counts.evicted > 100, "{counts:?}");
    assert_eq!(counts.installed - counts.evicted - counts.expired, (megaflows + calm_of_port.1) as u64);
    assert_eq!(lab.misses, counts.installed + counts.refused);
    lab.settle();
    // When it is over, it is forgotten.
    for _ in 0..100 {
        lab.pass(200);
    }
    assert_eq!(of_port(&mut lab, ATTACKED), (0, 0));
    let later: Vec<_> = ordinary.iter().map(|packet| packet.by(ATTACKED)).collect();
    lab.burst(&later);
    assert_eq!(of_port(&mut lab, ATTACKED), calm_of_port);
}

#[test]
fn the_colocated_attack_stays_with_its_port() {
    withstand(&colocated(&mut random()));
}

#[test]
fn the_general_attack_stays_with_its_port() {
    withstand(&general(&mut random(), 8192));
}

/// Without bounds the attack is what it is said to be: else the tests above would prove nothing.
#[test]
fn the_attack_makes_a_mask_for_nearly_every_combination() {
    let packets = colocated(&mut random());
    let lab = lab();
    let masks: HashSet<_> = packets.iter().map(|packet| lab.record(packet).0.mask).collect();
    assert_eq!(packets.len(), 8192);
    assert!(masks.len() > 4000, "{}", masks.len());
}

#[test]
fn what_is_narrowed_for_want_of_masks_is_no_way_for_all() {
    let mut lab = lab();
    let mut runner = TestRunner::deterministic();
    let mut noise = || any::<u128>().new_tree(&mut runner).unwrap().current();
    for packets in colocated(&mut noise).chunks(32) {
        lab.burst(packets);
    }
    // As many masks as may be, none of which is used any more.
    lab.change([change(Command::Delete, "udp"), change(Command::Add, "priority=0 actions=3")]);
    lab.see();
    lab.pass(200);
    let narrowed = lab.counts().narrowed;
    for port in [7, 8, 7] {
        lab.burst(&[packet(ATTACKED, [port, 1, 1])]);
    }
    assert!(lab.counts().narrowed > narrowed, "{:?}", lab.counts());
    // The lab holds every answer against the tables.
    lab.change([change(Command::Add, "priority=9,udp,tp_dst=22 actions=drop")]);
    lab.see();
    for port in [7, 22, 8, 22] {
        lab.burst(&[packet(ATTACKED, [port, 1, 1])]);
    }
    lab.settle();
}
