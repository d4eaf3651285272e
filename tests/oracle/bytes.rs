//! From the bytes of a frame to those of its outputs: parse, translation and execution, against the interpreter.

use std::cell::Cell;

use millrace::action::execute::{ControllerOp, Copied, Sink, execute};
use millrace::packet::field::Prereq;
use millrace::packet::headers::eth_type;
use millrace::packet::parse::{Stop, parse};
use millrace::packet::{DropReason, Field, FlowKey, HeapPacket, Packet, PacketMeta, PortNo, PortRef};
use millrace::pipeline::Snapshot;
use millrace::pipeline::translate::{Start, Translation, translate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::oracle::checksums::{Errors, errors};
use crate::oracle::flows::{PORTS, TUNNEL, at, build, ports, wanted};
use crate::oracle::frames::frame;
use crate::oracle::{Exit, PacketIn, World, interpret};

const PACKETS: usize = 32;

/// What becomes of a packet, as bytes.
#[derive(Default)]
struct Collected {
    outputs: Vec<(Exit, Vec<u8>)>,
    packet_ins: Vec<(ControllerOp, Vec<u8>)>,
    drops: Vec<DropReason>,
    consumed: usize,
    copies: usize,
}

impl Sink<HeapPacket> for Collected {
    fn output(&mut self, packet: HeapPacket, meta: &PacketMeta, port: PortRef) {
        assert_eq!(packet.data().len(), meta.len as usize);
        let (number, _) = PORTS.iter().find(|(number, _)| at(*number) == port).unwrap();
        self.outputs.push((Exit::Port(*number), packet.data().to_vec()));
    }
    fn tunnel(&mut self, packet: HeapPacket, meta: &PacketMeta, out: &millrace::tunnel::TunnelOut) {
        assert_eq!(packet.data().len(), meta.len as usize);
        self.outputs.push((Exit::Tunnel(*out), packet.data().to_vec()));
    }
    fn controller(&mut self, packet: &HeapPacket, _: &PacketMeta, info: ControllerOp) {
        self.packet_ins.push((info, packet.data().to_vec()));
    }
    fn drop(&mut self, _: HeapPacket, _: &PacketMeta, reason: DropReason) {
        self.drops.push(reason);
    }
    fn consumed(&mut self, _: HeapPacket, _: &PacketMeta) {
        self.consumed += 1;
    }
    fn meter(&mut self, _: u32, _: usize) -> bool {
        true
    }
    fn copied(&mut self, _: &PacketMeta, copy: Copied) {
        assert_eq!(copy, Copied::Made);
        self.copies += 1;
    }
    fn again(&mut self, _: HeapPacket, _: &PacketMeta, _: u32) {
        unreachable!("no such actions here");
    }
    fn hold(&mut self, _: HeapPacket, _: &PacketMeta, _: millrace::action::intent::Neighbour, _: u32) {
        unreachable!("no such actions here");
    }
    fn tell(&mut self, _: &HeapPacket, _: &PacketMeta, _: millrace::action::intent::Intent) {}
}

fn read(frame: &[u8]) -> (FlowKey, PacketMeta, Option<Stop>) {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    let stop = parse(frame, &mut meta, &mut key).stop;
    (key, meta, stop)
}

/// Whether a packet like this has the field, if its header can be read; others lie in the key where it would. Which
/// neighbour discovery message it is does not count.
fn belongs(field: Field, key: &FlowKey) -> bool {
    let kind = key.get(Field::EthType);
    let l4 = |proto| key.get(Field::NwProto) == proto && key.get(Field::IpFrag) < 2;
    let (is_ipv4, is_ipv6) = (kind == 0x0800, kind == 0x86dd);
    match field.info().prereq {
        Prereq::None | Prereq::Vlan => true,
        Prereq::Arp => kind == 0x0806 || kind == 0x8035,
        Prereq::Ipv4 => is_ipv4,
        Prereq::Ipv6 => is_ipv6,
        Prereq::Ip => is_ipv4 || is_ipv6,
        Prereq::Tcp => (is_ipv4 || is_ipv6) && l4(6),
        Prereq::Udp => (is_ipv4 || is_ipv6) && l4(17),
        Prereq::Sctp => (is_ipv4 || is_ipv6) && l4(132),
        Prereq::Icmp4 => is_ipv4 && l4(1),
        Prereq::Icmp6 | Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert => is_ipv6 && l4(58),
        Prereq::Ct | Prereq::CtIpv4 | Prereq::CtIpv6 => false,
    }
}

fn is_nd(prereq: Prereq) -> bool {
    matches!(prereq, Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert)
}

/// Whether the header that a field stands in could not be read, so that writes to it do not reach the bytes.
fn is_lost(field: Field, stop: Option<Stop>) -> bool {
    let prereq = field.info().prereq;
    let is_l2 = matches!(prereq, Prereq::None | Prereq::Vlan);
    match stop {
        None | Some(Stop::TruncatedVlan | Stop::BadTcp) => false,
        Some(Stop::Runt) => true,
        Some(Stop::BadArp | Stop::BadIpv4 | Stop::BadIpv6) => !is_l2,
        Some(Stop::BadExtension | Stop::TruncatedL4) => {
            !is_l2 && !matches!(prereq, Prereq::Ip | Prereq::Ipv4 | Prereq::Ipv6)
        }
        Some(Stop::BadNd) => is_nd(prereq),
    }
}

/// Whether the bytes of an output say what the interpreter's key for it says. Where they may say something else:
/// - a field of a header that could not be read stays as it was;
/// - a link-layer option that the message does not have is not written;
/// - a message whose type, code or first option was changed is another one, and read as that;
/// - the tags behind the second come to light when one is taken off.
fn agree(frame: &[u8], output: &[u8], expected: &FlowKey) -> Result<(), String> {
    let (before, _, stop) = read(frame);
    let (after, ..) = read(output);
    let changed = |field: &Field| before.get(*field) != expected.get(*field);
    let other_message = [Field::Icmpv6Type, Field::Icmpv6Code, Field::NdOptionsType].iter().any(changed);
    let hidden_tags =
        eth_type::is_vlan(before.get(Field::EthType) as u16) && stop != Some(Stop::TruncatedVlan);
    let fields = Field::ALL.iter().copied().filter(|field| field.in_packet() && !field.info().is_view);
    for field in fields.filter(|field| belongs(*field, &before)) {
        let comes_to_light = match field {
            _ if !hidden_tags => false,
            Field::EthDst | Field::EthSrc => false,
            Field::VlanTci | Field::VlanTpid => expected.get(Field::VlanTci) == 0,
            _ => true,
        };
        if comes_to_light || (other_message && is_nd(field.info().prereq)) {
            continue;
        }
        let want = if is_lost(field, stop) { before.get(field) } else { expected.get(field) };
        let have = after.get(field);
        let is_option = matches!(field, Field::NdSll | Field::NdTll | Field::NdOptionsType);
        if have != want && !(is_option && before.get(field) == 0 && have == 0) {
            return Err(format!("{} is {have:#x}, not {want:#x}", field.name()));
        }
    }
    Ok(())
}

/// How often a run met what it is to try.
#[derive(Default)]
struct Met {
    outputs: Cell<usize>,
    rewritten: Cell<usize>,
    l4_verified: Cell<usize>,
    packet_ins: Cell<usize>,
    malformed: Cell<usize>,
    tunnels: Cell<usize>,
}

fn add(cell: &Cell<usize>, really: bool) {
    cell.set(cell.get() + usize::from(really));
}

#[test]
fn the_bytes_that_leave_are_those_of_the_linear_interpreter() {
    let cases = vec((vec(wanted(), 1..40), vec(frame(), PACKETS)), 1).prop_map(|mut case| case.remove(0));
    let met = Met::default();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let ran = TestRunner::new(config).run(&cases, |(wanted, frames)| {
        let (tables, flows) = build(&wanted);
        let snapshot = Snapshot::new(tables, ports());
        let world = World { flows: &flows, ports: &PORTS, tunnel: Some(TUNNEL), groups: &[] };
        let mut out = Translation::default();
        for (arrival, frame) in &frames {
            let (mut key, mut meta, stop) = read(frame);
            if stop == Some(Stop::Runt) {
                prop_assert!(frame.len() < 14);
                continue;
            }
            arrival.enter(&mut key);
            meta.in_port = PortNo(arrival.port as u16);
            let expected = interpret(&world, &key, 0);
            translate(&snapshot, &mut key, Start::Table(0), &mut out);
            prop_assert_eq!(out.hits(), &expected.hits[..]);
            let mut got = Collected::default();
            execute(HeapPacket::new(frame), &meta, out.ops(), &mut got);

            prop_assert_eq!(got.outputs.len() + got.drops.len() + got.consumed, 1 + got.copies);
            prop_assert_eq!(got.drops.first().copied(), expected.drop);
            prop_assert!(got.drops.len() <= 1);
            let exits = |outputs: &[(Exit, _)]| outputs.iter().map(|(exit, _)| *exit).collect::<Vec<_>>();
            let wanted: Vec<_> = expected.outputs.iter().map(|(exit, _)| *exit).collect();
            add(&met.tunnels, wanted.iter().any(|exit| matches!(exit, Exit::Tunnel(_))));
            prop_assert_eq!(exits(&got.outputs), wanted);
            let infos: Vec<_> = got.packet_ins.iter().map(|(info, _)| *info).collect();
            let info = |packet_in: &PacketIn| {
                let PacketIn { max_len, reason, table, cookie, .. } = *packet_in;
                ControllerOp { max_len, reason, table, cookie, frozen: 0 }
            };
            prop_assert_eq!(infos, expected.packet_ins.iter().map(info).collect::<Vec<_>>());

            let right: Errors = errors(frame);
            let keys = expected.outputs.iter().map(|(_, key)| key);
            let keys = keys.chain(expected.packet_ins.iter().map(|packet_in| &packet_in.key));
            let shown = got.packet_ins.iter().map(|(_, bytes)| bytes);
            for (bytes, key) in got.outputs.iter().map(|(_, bytes)| bytes).chain(shown).zip(keys) {
                let same = agree(frame, bytes, key);
                prop_assert!(same.is_ok(), "{}\n in {frame:02x?}\nout {bytes:02x?}", same.unwrap_err());
                // A checksum stays as right, or as wrong, as it was.
                prop_assert_eq!(errors(bytes), right, "\n in {:02x?}\nout {:02x?}", frame, bytes);
                add(&met.outputs, true);
                add(&met.rewritten, bytes != frame);
                add(&met.l4_verified, bytes != frame && right.l4 == Some(0));
                add(&met.malformed, bytes != frame && stop.is_some());
            }
            add(&met.packet_ins, !got.packet_ins.is_empty());
        }
        Ok(())
    });
    ran.unwrap();
    let Met { outputs, rewritten, l4_verified, packet_ins, malformed, tunnels } = &met;
    for often in [outputs, rewritten, l4_verified, packet_ins, malformed, tunnels] {
        assert!(often.get() > 0, "the random flows and frames try too little");
    }
}
