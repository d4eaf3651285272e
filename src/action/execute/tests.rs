//! Execution against the naive way (copy for everything), and its account of packets.

use super::*;
use crate::packet::{Field, HeapPacket, generate};
use proptest::prelude::*;

/// A heap packet of which only so many copies can be made, and that may lack headroom.
struct Limited {
    inner: HeapPacket,
    copies: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    headroom: bool,
}

impl Packet for Limited {
    fn data(&self) -> &[u8] {
        self.inner.data()
    }
    fn data_mut(&mut self) -> &mut [u8] {
        self.inner.data_mut()
    }
    fn push_front(&mut self, n: usize) -> bool {
        self.headroom && self.inner.push_front(n)
    }
    fn pull_front(&mut self, n: usize) -> bool {
        self.inner.pull_front(n)
    }
    fn push_back(&mut self, n: usize) -> bool {
        self.inner.push_back(n)
    }
    fn truncate(&mut self, len: usize) {
        self.inner.truncate(len);
    }
    fn try_copy(&self) -> Option<Self> {
        use std::sync::atomic::Ordering::Relaxed;
        self.copies.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
        Some(Limited { inner: self.inner.clone(), copies: self.copies.clone(), headroom: self.headroom })
    }
}

#[derive(Default, Debug, PartialEq, Clone)]
struct Log {
    sent: Vec<(u16, Vec<u8>)>,
    seen: Vec<(u64, Vec<u8>)>,
    drops: Vec<DropReason>,
    copies: usize,
    failed: usize,
}

impl<P: Packet> Sink<P> for Log {
    fn output(&mut self, packet: P, _: &PacketMeta, port: PortRef) {
        self.sent.push((port.slot, packet.data().to_vec()));
    }
    fn controller(&mut self, packet: &P, _: &PacketMeta, info: ControllerOp) {
        self.seen.push((info.cookie, packet.data().to_vec()));
    }
    fn drop(&mut self, _: P, _: &PacketMeta, reason: DropReason) {
        self.drops.push(reason);
    }
    fn copied(&mut self) {
        self.copies += 1;
    }
    fn copy_failed(&mut self) {
        self.failed += 1;
    }
}

impl Log {
    /// Received and copied packets end in as many outputs and drops; failed copies are on both sides.
    fn balances(&self) -> bool {
        1 + self.copies == self.sent.len() + self.drops.len()
    }
}

/// Does everything where it stands, on a copy of its own.
fn naive(mut packet: HeapPacket, mut meta: PacketMeta, ops: &[Op], log: &mut Log) {
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        at += 1;
        match *op {
            Op::Set { field, value, mask } => rewrite::set(&mut packet, &meta, field, value, mask),
            Op::PushVlan { tpid } => assert!(rewrite::push_vlan(&mut packet, &mut meta, tpid)),
            Op::PopVlan => rewrite::pop_vlan(&mut packet, &mut meta),
            Op::DecTtl => rewrite::dec_ttl(&mut packet, &meta),
            Op::Output(port) => log.sent.push((port.slot, packet.data().to_vec())),
            Op::Controller { cookie, .. } => log.seen.push((cookie, packet.data().to_vec())),
            Op::Clone { ops: count } => {
                let end = (at + usize::from(count)).min(ops.len());
                naive(packet.clone(), meta, &ops[at..end], log);
                at = end;
            }
            Op::Drop(_) => {}
        }
    }
}

/// Operations in which groups hold as many as they say.
fn list(depth: u32) -> BoxedStrategy<Vec<Op>> {
    let leaf = prop_oneof![
        3 => (1u16..5).prop_map(|slot| Op::Output(PortRef { slot, generation: 0 })),
        1 => any::<u64>().prop_map(|cookie| Op::Controller { max_len: 64, reason: 1, table: 0, cookie }),
        2 => (any::<u64>(), any::<bool>()).prop_map(|(value, dst)| {
            let field = if dst { Field::EthDst } else { Field::NwSrc };
            let mask = field.all_ones();
            Op::Set { field, value: u128::from(value) & mask, mask }
        }),
        1 => Just(Op::PushVlan { tpid: 0x8100 }),
        1 => Just(Op::PopVlan),
        1 => Just(Op::DecTtl),
    ]
    .prop_map(|op| vec![op]);
    let item = if depth == 0 {
        leaf.boxed()
    } else {
        let group = list(depth - 1).prop_map(|mut ops| {
            ops.insert(0, Op::Clone { ops: ops.len() as u16 });
            ops
        });
        prop_oneof![4 => leaf, 1 => group].boxed()
    };
    proptest::collection::vec(item, 0..6).prop_map(|lists| lists.concat()).boxed()
}

fn run(frame: &[u8], ops: &[Op], copies: usize, headroom: bool) -> Log {
    let (mut meta, mut key) = (PacketMeta::default(), crate::packet::FlowKey::default());
    crate::packet::parse::parse(frame, &mut meta, &mut key);
    let packet =
        Limited { inner: HeapPacket::new(frame), copies: std::sync::Arc::new(copies.into()), headroom };
    let mut log = Log::default();
    execute(packet, &meta, ops, &mut log);
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sends_what_the_naive_way_sends_in_its_order(frame in generate::frame(), ops in list(3), reason in any::<bool>()) {
        let mut ops = ops;
        if reason {
            ops.push(Op::Drop(DropReason::ToInPort));
        }
        let (mut meta, mut key) = (PacketMeta::default(), crate::packet::FlowKey::default());
        crate::packet::parse::parse(&frame, &mut meta, &mut key);
        let mut wanted = Log::default();
        naive(HeapPacket::new(&frame), meta, &ops, &mut wanted);
        let log = run(&frame, &ops, usize::MAX, true);
        prop_assert_eq!(&log.sent, &wanted.sent);
        prop_assert_eq!(&log.seen, &wanted.seen);
        let reason = if reason { DropReason::ToInPort } else { DropReason::Explicit };
        let drops = if log.sent.is_empty() { vec![reason] } else { vec![] };
        prop_assert_eq!(&log.drops, &drops);
        prop_assert_eq!(log.copies, log.sent.len().saturating_sub(1));
        prop_assert_eq!(log.failed, 0);
        prop_assert!(log.balances());
    }

    #[test]
    fn the_account_balances_without_buffers_and_headroom(
        frame in generate::frame(), ops in list(3), copies in 0usize..4, headroom in any::<bool>(),
    ) {
        let log = run(&frame, &ops, copies, headroom);
        prop_assert!(log.balances(), "{log:?}");
    }

    #[test]
    fn wrong_counts_and_endless_nesting_do_no_harm(
        frame in generate::frame(), ops in list(2),
        groups in proptest::collection::vec((any::<prop::sample::Index>(), any::<u16>()), 0..40),
    ) {
        let mut ops = ops;
        for (at, count) in groups {
            ops.insert(at.index(ops.len() + 1), Op::Clone { ops: count % 300 });
        }
        prop_assert!(run(&frame, &ops, usize::MAX, true).balances());
    }
}

#[test]
fn nesting_is_bounded() {
    // Every level is followed by an output, so that none is the last and all need a copy.
    let port = Op::Output(PortRef { slot: 1, generation: 0 });
    let mut ops = vec![port];
    for _ in 0..200 {
        let count = ops.len() as u16;
        ops.insert(0, Op::Clone { ops: count });
        ops.push(port);
    }
    let log = run(&[0; 14], &ops, usize::MAX, true);
    assert!(log.balances());
    assert_eq!(log.drops, [DropReason::ActionLimit]);
    assert_eq!(log.sent.len(), MAX_NESTING);
}

#[test]
fn one_output_moves_the_packet() {
    let port = Op::Output(PortRef { slot: 3, generation: 0 });
    let ops = [port, Op::PushVlan { tpid: 0x8100 }, Op::Drop(DropReason::ToInPort)];
    let log = run(&[0; 14], &ops, 0, false);
    assert_eq!(log, Log { sent: vec![(3, vec![0; 14])], ..Log::default() });
}
