use std::mem::size_of;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::packet::parse::parse;
use crate::packet::testgen::any_spec;
use crate::packet::{Field, FlowKey, HeapPacket, Mac};

/// A packet whose pool has so many buffers left, and that counts the buffers in use.
#[derive(Debug)]
struct Scarce {
    packet: HeapPacket,
    left: Arc<AtomicUsize>,
}

impl Packet for Scarce {
    fn data(&self) -> &[u8] {
        self.packet.data()
    }
    fn data_mut(&mut self) -> &mut [u8] {
        self.packet.data_mut()
    }
    fn push_front(&mut self, n: usize) -> bool {
        self.packet.push_front(n)
    }
    fn pull_front(&mut self, n: usize) -> bool {
        self.packet.pull_front(n)
    }
    fn push_back(&mut self, n: usize) -> bool {
        self.packet.push_back(n)
    }
    fn truncate(&mut self, len: usize) {
        self.packet.truncate(len);
    }
    fn try_copy(&self) -> Option<Self> {
        let left = &self.left;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()?;
        Some(Scarce { packet: self.packet.clone(), left: left.clone() })
    }
    fn clear_offloads(&mut self) {}
    fn tag_is_back(&mut self) {}
}

/// Slots that stand for packets which go on elsewhere, with the number of the context.
const AGAIN: u16 = 100;
const HELD: u16 = 200;
const TUNNEL: u16 = 300;

const NOBODY: Neighbour = Neighbour { datapath: 0, port: 0, ip: Ipv6Addr::UNSPECIFIED };

/// Replies that can be made of the packet, whatever was done to it.
const KINDS: [reply::Reply; 3] = [reply::Reply::Arp, reply::Reply::Icmp4, reply::Reply::Reject];

/// What was seen of an execution.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Seen {
    outputs: Vec<(u16, Vec<u8>)>,
    shown: Vec<(u64, Vec<u8>)>,
    drops: Vec<DropReason>,
    consumed: usize,
    /// Meters and bytes.
    metered: Vec<(u32, usize)>,
    copied: usize,
    failed: usize,
}

impl<P: Packet> Sink<P> for Seen {
    fn output(&mut self, packet: P, meta: &PacketMeta, port: PortRef) {
        assert_eq!(meta.len as usize, packet.data().len());
        self.outputs.push((port.slot, packet.data().to_vec()));
    }
    fn tunnel(&mut self, packet: P, meta: &PacketMeta, out: &TunnelOut) {
        assert_eq!(meta.len as usize, packet.data().len());
        self.outputs.push((TUNNEL + out.vni as u16, packet.data().to_vec()));
    }
    fn controller(&mut self, packet: &P, meta: &PacketMeta, info: ControllerOp) {
        assert_eq!(meta.len as usize, packet.data().len());
        self.shown.push((info.cookie, packet.data().to_vec()));
    }
    fn drop(&mut self, _: P, _: &PacketMeta, reason: DropReason) {
        self.drops.push(reason);
    }
    fn consumed(&mut self, _: P, _: &PacketMeta) {
        self.consumed += 1;
    }
    fn meter(&mut self, id: u32, bytes: usize) -> bool {
        self.metered.push((id, bytes));
        id < EXCEEDED
    }
    fn copied(&mut self, _: &PacketMeta, copy: Copied) {
        self.copied += 1;
        self.failed += usize::from(copy == Copied::NoBuffer);
    }
    fn again(&mut self, packet: P, _: &PacketMeta, frozen: u32) {
        self.outputs.push((AGAIN + frozen as u16, packet.data().to_vec()));
    }
    fn hold(&mut self, packet: P, _: &PacketMeta, neighbour: Neighbour, frozen: u32) {
        self.outputs.push((HELD + frozen as u16 + neighbour.port as u16, packet.data().to_vec()));
    }
    fn tell(&mut self, packet: &P, _: &PacketMeta, intent: Intent) {
        let Intent::Fdb { datapath, .. } = intent else { panic!("{intent:?}") };
        self.shown.push((datapath, packet.data().to_vec()));
    }
}

impl Seen {
    /// Packets in, less packets out.
    fn balance(&self) -> isize {
        let out = self.outputs.len() + self.drops.len() + self.consumed + self.failed;
        (1 + self.copied) as isize - out as isize
    }
}

/// Meters from this on are exceeded.
const EXCEEDED: u32 = 5;

/// A UDP packet with TTL 64.
fn frame() -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend([0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0, 7, 0, 8, 0, 8, 0, 0]);
    frame
}

fn meta_of(frame: &[u8]) -> PacketMeta {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let _ = parse(frame, &mut meta, &mut key);
    meta
}

fn seen(ops: &[Op], buffers: usize) -> Seen {
    let frame = frame();
    let mut seen = Seen::default();
    let left = Arc::new(AtomicUsize::new(buffers));
    let packet = Scarce { packet: HeapPacket::new(&frame), left };
    execute(packet, &meta_of(&frame), ops, &mut seen);
    assert_eq!(seen.balance(), 0, "{ops:?} {seen:?}");
    seen
}

fn port(slot: u16) -> PortRef {
    PortRef { slot, generation: 0 }
}

fn out(slot: u16) -> Op {
    Op::Output(port(slot))
}

fn tunnel(vni: u32) -> Op {
    Op::Tunnel(TunnelOut { dst: Ipv6Addr::LOCALHOST, vni, option: 1, ttl: 64, tos: 0 })
}

fn set_dst(value: u128) -> Op {
    Op::Set { field: Field::EthDst, value, mask: Field::EthDst.all_ones() }
}

fn controller(cookie: u64) -> Op {
    Op::Controller { max_len: 0, reason: 1, table: 0, cookie, frozen: 0 }
}

/// The meaning of operations, with a copy for every group.
fn naive(mut packet: HeapPacket, mut meta: PacketMeta, ops: &[Op], seen: &mut Seen) {
    let mut at = 0;
    while at < ops.len() {
        match ops[at] {
            Op::Set { field, value, mask } => rewrite::set(&mut packet, &meta, field, value, mask),
            Op::PushVlan { tpid } => {
                if rewrite::push_vlan(&mut packet, &mut meta, tpid).is_err() {
                    return;
                }
            }
            Op::PopVlan => rewrite::pop_vlan(&mut packet, &mut meta),
            Op::DecTtl => {
                if rewrite::dec_ttl(&mut packet, &meta, 1).is_err() {
                    return;
                }
            }
            Op::Output(port) => seen.outputs.push((port.slot, packet.data().to_vec())),
            Op::Controller { cookie, .. } => seen.shown.push((cookie, packet.data().to_vec())),
            Op::Clone { ops: count } => {
                let end = (at + 1 + usize::from(count)).min(ops.len());
                naive(packet.clone(), meta, &ops[at + 1..end], seen);
                at = end;
                continue;
            }
            Op::CheckLen { len, larger } => {
                if packet.data().len() > usize::from(len) {
                    seen.outputs.push((AGAIN + larger as u16, packet.data().to_vec()));
                    return;
                }
            }
            Op::Tunnel(out) => seen.outputs.push((TUNNEL + out.vni as u16, packet.data().to_vec())),
            Op::Become { kind, frozen } => {
                let mut packet = packet.clone();
                reply::turn(&mut packet, &meta, kind).unwrap();
                seen.outputs.push((AGAIN + frozen as u16, packet.data().to_vec()));
            }
            Op::Await { frozen, .. } => {
                seen.outputs.push((HELD + frozen as u16, packet.data().to_vec()));
            }
            Op::Tell(intent) => seen.tell(&packet, &meta, intent),
            Op::SetMtu(mtu) => rewrite::set_mtu(&mut packet, &meta, mtu),
            Op::Meter(id) if id >= EXCEEDED => return,
            Op::Meter(_) | Op::Drop(_) => {}
        }
        at += 1;
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4u16).prop_map(out),
        2 => (0..4u32).prop_map(tunnel),
        2 => (0..4u64).prop_map(controller),
        3 => (0..8u128).prop_map(set_dst),
        1 => Just(Op::PushVlan { tpid: 0x8100 }),
        1 => Just(Op::PopVlan),
        1 => Just(Op::DecTtl),
        3 => (0..6u16).prop_map(|ops| Op::Clone { ops }),
        1 => Just(Op::Clone { ops: u16::MAX }),
        1 => Just(Op::Drop(DropReason::NoMatch)),
        1 => (40..56u16, 1..3u32).prop_map(|(len, larger)| Op::CheckLen { len, larger }),
        1 => (0..3usize, 1..3u32).prop_map(|(kind, frozen)| Op::Become { kind: KINDS[kind], frozen }),
        1 => (1..3u32).prop_map(|frozen| Op::Await { neighbour: NOBODY, frozen }),
        1 => (5..8u64).prop_map(|datapath| Op::Tell(Intent::Fdb { datapath, port: 0, mac: Mac([0; 6]) })),
        1 => (0..=EXCEEDED).prop_map(Op::Meter),
        1 => (0..2000u32).prop_map(Op::SetMtu),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn agrees_with_the_naive_way(ops in prop::collection::vec(any_op(), 0..14)) {
        let frame = frame();
        let mut expected = Seen::default();
        naive(HeapPacket::new(&frame), meta_of(&frame), &ops, &mut expected);
        let seen = seen(&ops, usize::MAX);
        prop_assert_eq!(&seen.outputs, &expected.outputs);
        prop_assert_eq!(&seen.shown, &expected.shown);
        prop_assert_eq!(seen.failed, 0);
        if ops.contains(&Op::Meter(EXCEEDED)) {
            return Ok(());
        }
        if expected.outputs.is_empty() {
            // One that the controller was shown may be consumed instead, where no reason stands behind it.
            let asked = ops.iter().any(|op| matches!(op, Op::Controller { .. }));
            let reasoned = matches!(ops.last(), Some(Op::Drop(_)));
            prop_assert_eq!(seen.drops.len(), usize::from(!asked || reasoned));
        }
        if !expected.outputs.is_empty() {
            prop_assert!(seen.drops.is_empty());
        }
        // Every output but one may need a copy, and every group that shows the controller something else.
        // One whose length is asked may have gone elsewhere, but has not.
        let asked = ops.iter().filter(|op| matches!(op, Op::CheckLen { .. })).count();
        prop_assert!(seen.copied < expected.outputs.len().max(1) + expected.shown.len() + asked);
    }

    #[test]
    fn the_account_balances_without_buffers(ops in prop::collection::vec(any_op(), 0..14), buffers in 0..4usize) {
        let few = seen(&ops, buffers);
        let many = seen(&ops, usize::MAX);
        prop_assert!(few.outputs.len() <= many.outputs.len());
        prop_assert_eq!(few.failed > 0, many.copied > buffers);
    }
}

#[test]
fn an_operation_is_small() {
    assert_eq!(size_of::<Op>(), 48);
}

#[test]
fn a_packet_that_cannot_go_on_is_a_named_drop() {
    let gone = Op::Become { kind: reply::Reply::Arp, frozen: 0 };
    assert_eq!(seen(&[gone], 0).drops, [DropReason::ContextFull]);
    let wrong = Op::Become { kind: reply::Reply::TcpReset, frozen: 1 };
    assert_eq!(seen(&[wrong], 0).drops, [DropReason::BadReply]);
    let all = seen(&[wrong, out(1)], 1);
    assert_eq!((all.drops, all.outputs.len(), all.copied), (vec![DropReason::BadReply], 1, 1));
}

#[test]
fn a_meter_that_is_exceeded_drops_the_copy_at_hand() {
    let passes = seen(&[Op::Meter(1), out(1)], 0);
    assert_eq!((passes.outputs.len(), &passes.metered[..]), (1, &[(1, frame().len())][..]));
    let exceeded = seen(&[Op::Meter(EXCEEDED), out(1)], 0);
    assert_eq!((exceeded.outputs.len(), &exceeded.drops[..]), (0, &[DropReason::MeterExceeded][..]));
    let copy = seen(&[Op::Clone { ops: 2 }, Op::Meter(EXCEEDED), out(1), out(2)], 1);
    assert_eq!((copy.outputs.len(), copy.copied, copy.drops.len()), (1, 1, 1));
    assert_eq!(
        seen(&[out(1), Op::PushVlan { tpid: 0x8100 }, Op::Meter(1), out(1)], 1).metered,
        [(1, frame().len() + 4)]
    );
}

#[test]
fn the_last_output_takes_the_packet_itself() {
    assert_eq!(seen(&[out(1)], 0).copied, 0);
    assert_eq!(seen(&[out(1), set_dst(1)], 0).copied, 0);
    assert_eq!(seen(&[out(1), out(2), out(3)], 9).copied, 2);
    assert_eq!(seen(&[out(1), controller(7)], 0).copied, 0);
    assert_eq!(seen(&[Op::Clone { ops: 2 }, set_dst(1), out(1)], 0).copied, 0);
    assert_eq!(seen(&[Op::Clone { ops: 2 }, set_dst(1), out(1), set_dst(2)], 0).copied, 0);
    assert_eq!(seen(&[Op::Clone { ops: 2 }, set_dst(1), out(1), out(2)], 9).copied, 1);
    assert_eq!(seen(&[Op::Clone { ops: 1 }, set_dst(1), out(2)], 0).copied, 0);
    assert_eq!(seen(&[Op::Clone { ops: 1 }, controller(1), out(2)], 0).copied, 0);
}

#[test]
fn a_packet_sent_nowhere_is_dropped_by_the_reason_given() {
    assert_eq!(seen(&[], 0).drops, [DropReason::Explicit]);
    assert_eq!(seen(&[set_dst(1)], 0).drops, [DropReason::Explicit]);
    assert_eq!(seen(&[Op::Drop(DropReason::NoMatch)], 0).drops, [DropReason::NoMatch]);
    assert_eq!(seen(&[controller(1), Op::Drop(DropReason::TtlExpired)], 0).drops, [DropReason::TtlExpired]);
    assert_eq!((seen(&[controller(1)], 0).drops, seen(&[controller(1)], 0).consumed), (vec![], 1));
    assert!(seen(&[out(1), Op::Drop(DropReason::NoMatch)], 0).drops.is_empty());
    assert!(seen(&[Op::Clone { ops: 1 }, out(1), Op::Drop(DropReason::NoMatch)], 0).drops.is_empty());
}

#[test]
fn a_missing_buffer_costs_the_copy_alone() {
    let seen = seen(&[out(1), out(2), out(3)], 1);
    assert_eq!(seen.outputs.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((seen.copied, seen.failed), (2, 1));
}

#[test]
fn no_headroom_drops_what_was_to_be_pushed() {
    let frame = frame();
    let mut packet = HeapPacket::new(&frame);
    assert!(packet.push_front(HeapPacket::HEADROOM) && packet.push_back(0));
    packet.data_mut()[..frame.len()].copy_from_slice(&frame);
    packet.truncate(frame.len());
    let mut seen = Seen::default();
    execute(packet, &meta_of(&frame), &[out(1), Op::PushVlan { tpid: 0x8100 }, out(2)], &mut seen);
    assert_eq!(seen.outputs.len(), 1);
    assert_eq!(seen.drops, [DropReason::NoHeadroom]);
    assert_eq!(seen.balance(), 0);
}

#[test]
fn groups_too_deep_are_passed_over() {
    let mut ops = vec![Op::Clone { ops: u16::MAX }; MAX_NESTING + 2];
    ops.push(out(1));
    let seen = seen(&ops, 0);
    assert!(seen.outputs.is_empty());
    assert_eq!(seen.drops, [DropReason::Explicit]);
}

proptest! {
    /// What is done to many packets at once is what is done to each.
    #[test]
    fn straight_operations_do_the_same_to_a_run_as_to_each_packet(
        specs in prop::collection::vec(any_spec(), 1..8),
        steps in prop::collection::vec((0usize..7, any::<u64>(), any::<u64>()), 0..6),
    ) {
        let fields =
            [Field::EthDst, Field::EthSrc, Field::NwSrc, Field::NwDst, Field::NwTos, Field::TcpDst, Field::UdpSrc];
        let mut ops: Vec<Op> = steps
            .into_iter()
            .map(|(at, value, mask)| match fields.get(at) {
                Some(field) if value % 5 != 0 => {
                    let mask = u128::from(mask) & field.all_ones();
                    Op::Set { field: *field, value: u128::from(value) & mask, mask }
                }
                _ => Op::DecTtl,
            })
            .collect();
        ops.push(Op::Output(PortRef { slot: 3, generation: 1 }));
        let straight = Straight::of(&ops).unwrap();
        let (mut packets, mut metas) = (Vec::new(), Vec::new());
        for spec in specs {
            let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
            let frame = spec.frame();
            let _ = parse(&frame, &mut meta, &mut key);
            if key.get(Field::NwTtl) > u128::from(straight.ttls) {
                packets.push(HeapPacket::new(&frame));
                metas.push(meta);
            }
        }
        let mut seen = Seen::default();
        for (packet, meta) in packets.iter().zip(&metas) {
            execute(packet.clone(), meta, &ops, &mut seen);
        }
        straight.change_all(&mut packets, &metas);
        let Exit::Port(PortRef { slot, .. }) = straight.exit else { panic!("it leaves by a port") };
        let changed: Vec<_> = packets.iter().map(|packet| (slot, packet.data().to_vec())).collect();
        prop_assert_eq!(seen, Seen { outputs: changed, ..Seen::default() });
    }
}

#[test]
fn other_operations_are_not_straight() {
    let output = Op::Output(PortRef::default());
    let ttl = Op::Set { field: Field::NwTtl, value: 1, mask: 0xff };
    for ops in [
        &[] as &[Op],
        &[Op::Drop(DropReason::Explicit)],
        &[output, output],
        &[ttl, output],
        &[Op::PopVlan, output],
    ] {
        assert!(Straight::of(ops).is_none(), "{ops:?}");
    }
}
