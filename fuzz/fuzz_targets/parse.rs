//! Any bytes as a frame: the parser, then every rewrite of what it found, and completion of the checksums.

#![no_main]

use libfuzzer_sys::fuzz_target;
use millrace::action::Op;
use millrace::action::execute::{ControllerOp, Copied, Sink, execute};
use millrace::packet::checksum::{complete_l3, complete_l4, put_pseudo_header_sum};
use millrace::packet::key::SHORT_WORDS;
use millrace::packet::parse::{Shape, Stop, parse};
use millrace::packet::{DropReason, Field, FlowKey, HeapPacket, Packet, PacketMeta, PortRef};

/// Counts what comes back.
#[derive(Default)]
struct Count(usize);

impl Sink<HeapPacket> for Count {
    fn output(&mut self, packet: HeapPacket, meta: &PacketMeta, _: PortRef) {
        assert_eq!(packet.data().len(), meta.len as usize);
        self.0 += 1;
    }
    fn controller(&mut self, _: &HeapPacket, _: &PacketMeta, _: ControllerOp) {}
    fn drop(&mut self, _: HeapPacket, _: &PacketMeta, _: DropReason) {
        self.0 += 1;
    }
    fn consumed(&mut self, _: HeapPacket, _: &PacketMeta) {
        self.0 += 1;
    }
    fn copied(&mut self, _: &PacketMeta, _: Copied) {}
}

fuzz_target!(|frame: &[u8]| {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let parsed = parse(frame, &mut meta, &mut key);
    assert_eq!(parsed.stop == Some(Stop::Runt), frame.len() < 14);
    if parsed.shape == Shape::Short {
        assert!(key.words()[SHORT_WORDS..].iter().all(|word| *word == 0));
    }
    let end = usize::from(meta.l3_end);
    for offset in [meta.l3, meta.l4, meta.payload, meta.l3_end] {
        assert!(usize::from(offset) <= frame.len());
    }
    assert!(meta.l4 == 0 || (meta.l3 < meta.l4 && usize::from(meta.l4) < end));

    // Nothing behind the datagram is read.
    if let Some(datagram) = frame.get(..end).filter(|datagram| !datagram.is_empty()) {
        let (mut meta2, mut key2) = (PacketMeta::default(), FlowKey::default());
        assert_eq!(parse(datagram, &mut meta2, &mut key2), parsed);
        assert_eq!(key2, key);
    }

    let value = frame.iter().fold(0u128, |value, byte| value.rotate_left(7) ^ u128::from(*byte));
    let fields = Field::ALL.iter().filter(|field| field.in_packet() && field.info().writable);
    let mut ops = vec![Op::PushVlan { tpid: 0x8100 }, Op::DecTtl];
    ops.extend(fields.map(|&field| Op::Set { field, value, mask: field.all_ones() }));
    ops.extend([Op::PopVlan, Op::PopVlan, Op::Output(PortRef::default())]);
    let mut count = Count::default();
    execute(HeapPacket::new(frame), &meta, &ops, &mut count);
    assert_eq!(count.0, 1);

    let mut frame = frame.to_vec();
    let done = complete_l4(&mut frame, &meta);
    assert_eq!(put_pseudo_header_sum(&mut frame, &meta).err(), done.err());
    assert_eq!(complete_l3(&mut frame, &meta).is_ok(), meta.l3_end != 0);
});
