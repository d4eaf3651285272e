//! For random flow tables and random packets the switch answers as the linear interpreter in `oracle` does: here
//! translation with keys, in `oracle/bytes.rs` all from the bytes of a frame to those of its outputs.

#[path = "oracle/bytes.rs"]
mod bytes;
#[path = "oracle/conjunctions.rs"]
mod conjunctions;
#[path = "oracle/groups.rs"]
mod groups;
#[path = "oracle/megaflows.rs"]
mod megaflows;
mod oracle;
#[path = "../src/packet/testgen.rs"]
mod testgen;

use millrace::action::Op;
use millrace::packet::{Field, FlowKey};
use millrace::pipeline::Snapshot;
use millrace::pipeline::translate::{Start, Translation, translate};
use oracle::flows::{PORTS, TUNNEL, arrival, at, build, ports, small, wanted};
use oracle::{Answer, Exit, PacketIn, World, interpret, packet_part};
use proptest::prelude::*;
use proptest::sample::select;

const PACKETS: usize = 32;

fn key() -> impl Strategy<Value = FlowKey> {
    let kind = select(vec![
        (0x0800u128, 6u128, 0u128),
        (0x0800, 17, 0),
        (0x0800, 17, 3),
        (0x0800, 1, 1),
        (0x0800, 132, 0),
        (0x0800, 58, 0),
        (0x86dd, 1, 0),
        (0x86dd, 6, 0),
        (0x86dd, 17, 0),
        (0x86dd, 58, 0),
        (0x86dd, 58, 3),
        (0x0806, 1, 0),
        (0x8847, 0, 0),
    ]);
    let tags = select(vec![0usize, 0, 1, 1, 2]);
    let ttl = select(vec![0u128, 1, 2, 3, 64]);
    let numbers = proptest::collection::vec(small(), 24);
    let icmp = select(vec![135u128, 136, 128]);
    (kind, tags, ttl, numbers, icmp, arrival(vec![1, 2, 3, 7, 9])).prop_map(
        |((eth_type, proto, frag), tags, ttl, numbers, icmp, arrival)| {
            let mut key = FlowKey::default();
            arrival.enter(&mut key);
            let mut numbers = numbers.into_iter();
            let mut fill = |key: &mut FlowKey, fields: &[Field]| {
                for field in fields {
                    key.set(*field, numbers.next().unwrap());
                }
            };
            key.set(Field::EthType, eth_type);
            fill(&mut key, &[Field::EthSrc, Field::EthDst, Field::Reg0, Field::Metadata]);
            let both = [(Field::VlanTpid, Field::VlanTci), (Field::InnerVlanTpid, Field::InnerVlanTci)];
            for (tpid, tci) in &both[..tags] {
                fill(&mut key, &[*tci]);
                key.set(*tci, key.get(*tci) | 0x1000);
                key.set(*tpid, if *tpid == Field::VlanTpid && tags == 2 { 0x88a8 } else { 0x8100 });
            }
            let ip = [0x0800, 0x86dd].contains(&eth_type);
            match eth_type {
                0x0800 => fill(&mut key, &[Field::NwSrc, Field::NwDst]),
                0x86dd => fill(&mut key, &[Field::Ipv6Src, Field::Ipv6Dst, Field::Ipv6Label]),
                0x0806 => fill(&mut key, &[Field::ArpSpa, Field::ArpTpa, Field::ArpSha, Field::ArpTha]),
                _ => {}
            }
            if ip || eth_type == 0x0806 {
                key.set(Field::NwProto, proto);
            }
            if ip {
                fill(&mut key, &[Field::IpDscp, Field::NwEcn]);
                key.set(Field::IpFrag, frag);
                key.set(Field::NwTtl, ttl);
            }
            match proto {
                58 if ip && frag < 2 => {
                    key.set(Field::Icmpv6Type, icmp);
                    fill(&mut key, &[Field::NdTarget, Field::NdSll, Field::NdTll]);
                }
                _ if ip && frag < 2 => fill(&mut key, &[Field::TcpSrc, Field::TcpDst]),
                _ => {}
            }
            key
        },
    )
}

/// Executes operations on a key as the datapath does on bytes.
fn execute(ops: &[Op], key: &mut FlowKey, answer: &mut Answer) {
    let mut rest = ops;
    while let Some((op, tail)) = rest.split_first() {
        rest = tail;
        match *op {
            Op::Set { field, value, mask } => {
                assert!(field.in_packet() && field.info().writable && value & !mask == 0 && mask != 0);
                key.set_masked(field, value, mask);
            }
            Op::PushVlan { tpid } => {
                assert_eq!(key.get(Field::InnerVlanTci) & 0x1000, 0);
                key.set(Field::InnerVlanTci, key.get(Field::VlanTci));
                key.set(Field::InnerVlanTpid, key.get(Field::VlanTpid));
                key.set(Field::VlanTci, 0x1000);
                key.set(Field::VlanTpid, u128::from(tpid));
            }
            Op::PopVlan => {
                assert_eq!(key.get(Field::VlanTci) & 0x1000, 0x1000);
                key.set(Field::VlanTci, key.get(Field::InnerVlanTci));
                key.set(Field::VlanTpid, key.get(Field::InnerVlanTpid));
                key.set(Field::InnerVlanTci, 0);
                key.set(Field::InnerVlanTpid, 0);
            }
            Op::DecTtl => {
                assert!(key.get(Field::NwTtl) >= 2);
                key.set(Field::NwTtl, key.get(Field::NwTtl) - 1);
            }
            // What exceeds a meter is of the worker.
            Op::Meter(_) => {}
            Op::Output(port) => {
                let number = PORTS.iter().find(|(number, _)| at(*number) == port).unwrap().0;
                answer.outputs.push((Exit::Port(number), packet_part(key)));
            }
            Op::Tunnel(out) => answer.outputs.push((Exit::Tunnel(out), packet_part(key))),
            Op::Controller { max_len, reason, table, cookie, .. } => {
                answer.packet_ins.push(PacketIn { max_len, reason, table, cookie, key: packet_part(key) });
            }
            Op::Clone { ops } => {
                let (inner, after) = tail.split_at(usize::from(ops));
                assert!(!inner.is_empty());
                execute(inner, &mut key.clone(), answer);
                rest = after;
            }
            Op::Drop(reason) => {
                assert!(tail.is_empty() && answer.drop.is_none() && answer.outputs.is_empty());
                answer.drop = Some(reason);
            }
            Op::SetMtu(_) | Op::CheckLen { .. } | Op::Become { .. } | Op::Await { .. } | Op::Tell(_) => {
                unreachable!("no flow here has such actions");
            }
        }
    }
}

proptest! {
    #[test]
    fn translation_answers_as_the_linear_interpreter(
        wanted in proptest::collection::vec(wanted(), 1..40),
        keys in proptest::collection::vec(key(), PACKETS),
    ) {
        let (tables, flows) = build(&wanted);
        let snapshot = Snapshot::new(tables, ports());
        let world = World { flows: &flows, ports: &PORTS, tunnel: Some(TUNNEL), groups: &[] };
        let mut out = Translation::default();
        for key in &keys {
            let mut expected = interpret(&world, key, 0);
            for (_, key) in &mut expected.outputs {
                *key = packet_part(key);
            }
            for packet_in in &mut expected.packet_ins {
                packet_in.key = packet_part(&packet_in.key);
            }
            translate(&snapshot, &mut key.clone(), Start::Table(0), &mut out);
            let mut answer = Answer { hits: out.hits().to_vec(), ..Answer::default() };
            execute(out.ops(), &mut key.clone(), &mut answer);
            prop_assert_eq!(answer, expected);
        }
    }
}
