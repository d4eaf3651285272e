//! What the fuzz targets of `fuzz/` do with one input. The test of the committed corpus does the same, so that every
//! finding copied there is tried by each `cargo test`.
//!
//! The invariant: a body panics if the switch is wrong, and only then, whatever the input.

use crate::action::Op;
use crate::action::execute::{ControllerOp, Copied, Sink, execute};
use crate::action::intent::{Intent, Neighbour};
use crate::action::reply::{Reply, turn};
use crate::logical::action::{Context, Pipeline, TABLES, parse_actions};
use crate::logical::expr::{Expr, parse_microflow};
use crate::logical::lex::{Kind as TokenKind, Lexer};
use crate::logical::microflow::Microflow;
use crate::logical::names::{AddressSet, FixedNames, PortGroup};
use crate::logical::nb;
use crate::logical::nb::nbctl::Line;
use crate::logical::rows::database::Database;
use crate::logical::rows::transaction::Transaction;
use crate::logical::rows::{self, dump};
use crate::packet::checksum::{complete_l3, complete_l4, put_pseudo_header_sum};
use crate::packet::key::SHORT_WORDS;
use crate::packet::parse::{Shape, Stop, parse};
use crate::packet::{
    CsumState, DropReason, Field, FlowKey, HeapPacket, Mac, Packet, PacketMeta, PortRef, Said,
};
use crate::pipeline::syntax::{Mode, parse_flow, parse_flow_file, print_flow};
use crate::tunnel::{Arrival, Endpoint, Remote, TunnelOut, answer, merge_ecn};

/// Any bytes as a frame: the parser, then every rewrite of what it found, and completion of the checksums.
pub fn fuzz_parse(frame: &[u8]) {
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
}

/// Any bytes as a packet to be answered, each kind of reply in turn: what is made is a sound packet that is not longer than
/// such replies are.
pub fn fuzz_reply(frame: &[u8]) {
    let mut meta = PacketMeta::default();
    let _ = parse(frame, &mut meta, &mut FlowKey::default());
    for said in [Said::default(), Said::new(CsumState::Partial, CsumState::Partial, 0)] {
        for kind in Reply::ALL {
            let mut packet = HeapPacket::new(frame);
            if turn(&mut packet, &PacketMeta { said, ..meta }, kind).is_err() {
                continue;
            }
            let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
            let parsed = parse(packet.data(), &mut meta, &mut key);
            assert_eq!(parsed.stop, None, "{kind:?}");
            assert!(packet.data().len() <= 1280 + 8, "{kind:?}");
            assert!(kind == Reply::Arp || usize::from(meta.l3_end) == packet.data().len(), "{kind:?}");
        }
    }
}

/// Counts what comes back.
#[derive(Default)]
struct Count(usize);

impl Sink<HeapPacket> for Count {
    fn output(&mut self, packet: HeapPacket, meta: &PacketMeta, _: PortRef) {
        assert_eq!(packet.data().len(), meta.len as usize);
        self.0 += 1;
    }
    fn tunnel(&mut self, _: HeapPacket, _: &PacketMeta, _: &TunnelOut) {
        self.0 += 1;
    }
    fn controller(&mut self, _: &HeapPacket, _: &PacketMeta, _: ControllerOp) {}
    fn drop(&mut self, _: HeapPacket, _: &PacketMeta, _: DropReason) {
        self.0 += 1;
    }
    fn consumed(&mut self, _: HeapPacket, _: &PacketMeta) {
        self.0 += 1;
    }
    fn meter(&mut self, _: u32, _: usize) -> bool {
        true
    }
    fn copied(&mut self, _: &PacketMeta, _: Copied) {}
    fn again(&mut self, _: HeapPacket, _: &PacketMeta, _: u32) {
        self.0 += 1;
    }
    fn hold(&mut self, _: HeapPacket, _: &PacketMeta, _: Neighbour, _: u32) {
        self.0 += 1;
    }
    fn tell(&mut self, _: &HeapPacket, _: &PacketMeta, _: Intent) {}
}

/// Any text as a flow: nothing panics, errors point inside the text, and what is read is printed so that it is read
/// the same. Of other bytes the part that is text is taken.
pub fn fuzz_flow(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    for mode in [Mode::Add, Mode::Modify, Mode::Select { strict: true }] {
        match parse_flow(text, &(), mode) {
            Ok(flow) => {
                let printed = print_flow(&flow, &());
                assert_eq!(parse_flow(&printed, &(), mode), Ok(flow), "became {printed:?}");
            }
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "span {:?}", error.span);
                error.render(text);
            }
        }
    }
    parse_flow_file(text, &()).for_each(drop);
}

/// Any text as tokens: they follow each other inside the text, and what is printed is read back.
pub fn fuzz_lexer(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut end = 0;
    for token in Lexer::new(text) {
        assert!(token.span.start >= end && token.span.end > token.span.start, "span {:?}", token.span);
        assert!(text.get(token.span.clone()).is_some(), "span {:?}", token.span);
        end = token.span.end;
        if !matches!(token.kind, TokenKind::Error(_)) {
            let printed = token.kind.to_string();
            let mut again = Lexer::new(&printed);
            assert_eq!((again.token().kind, again.token().kind), (token.kind, TokenKind::End));
        }
    }
}

/// Any text as a dump of the rows of either database: nothing panics, and what is read is a database, whose own dump is read
/// as the same rows, or is refused with a sentence.
pub fn fuzz_dump(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    fuzz_dump_of::<rows::Table>(text);
    fuzz_dump_of::<nb::Table>(text);
}

fn fuzz_dump_of<S: rows::Schema>(text: &str) {
    let rows = match dump::read_of::<S>(text) {
        Ok(dump) => dump.rows,
        Err(bad) => return assert!(!bad.to_string().is_empty()),
    };
    let count = rows.len();
    let mut database = Database::<S>::default();
    match database.commit(Transaction::replacing(database.snapshot(), rows)) {
        // Rows that nothing refers to may be gone.
        Ok(changed) => {
            assert!(changed <= count);
            let written = dump::write(database.snapshot()).to_string();
            let again = dump::read_of::<S>(&written).map(|dump| dump.rows).unwrap_or_default();
            let mut copy = Database::<S>::default();
            assert_eq!(copy.commit(Transaction::replacing(copy.snapshot(), again)), Ok(changed));
            assert_eq!(dump::write(copy.snapshot()).to_string(), written);
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty() && database.snapshot().is_empty()),
    }
}

pub use crate::logical::journal::testing::fuzz_journal;

/// Most lines of an input that are run.
const LINES: usize = 200;

/// Any text as lines of ovn-nbctl on one database: nothing panics, a refusal is a short sentence that means nothing to a
/// terminal and leaves the rows as they are, and whatever rows there are can be written down and read again.
pub fn fuzz_nbctl(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_told = |sentence: String| {
        assert!(!sentence.is_empty() && sentence.len() < 2000 && !sentence.contains(char::is_control));
    };
    let mut database = Database::<nb::Table>::default();
    let _ = Line::script(text).map_err(|bad| is_told(bad.to_string()));
    for text in text.lines().take(LINES) {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let readings = [Line::script(text).map_err(|bad| *bad.cause), Line::parse(&words)];
        for line in readings {
            let done = line.and_then(|line| line.run(database.draft().edit()));
            let done = match done {
                Ok(done) => done,
                Err(error) => {
                    is_told(error.to_string());
                    continue;
                }
            };
            let draft = database.draft();
            match draft.finish(done.edit) {
                Ok(changed) => _ = database.accept(changed),
                Err(refusal) => is_told(refusal.to_string()),
            }
        }
    }
    let written = dump::write(database.snapshot()).to_string();
    let again = dump::read_of::<nb::Table>(&written).expect("what was written is read").rows;
    let mut copy = Database::<nb::Table>::default();
    copy.commit(Transaction::replacing(copy.snapshot(), again)).expect("the rows are consistent");
    assert_eq!(dump::write(copy.snapshot()).to_string(), written);
}

/// Any text as a match and as a microflow: nothing panics, errors point inside the text, what is read is printed so
/// that it is read the same, and the normal form says what the match says of a few packets.
pub fn fuzz_expression(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut names = FixedNames::new();
    names.add_address_set(AddressSet::new("as", ["10.0.0.1", "10.0.1.0/24"]));
    names.add_address_set(AddressSet::new("none", []));
    names.add_port_group(PortGroup::new("pg", ["lp1", "lp2"]));
    names.add_port("lp1", 1);
    let flow = match parse_microflow(text, &names) {
        Ok(flow) => flow,
        Err(error) => {
            error.render(text);
            Microflow::default()
        }
    };
    match Expr::parse(text, &names) {
        Ok(expr) => {
            let printed = expr.to_string();
            let again = Expr::parse(&printed, &names).expect("what is printed is read");
            // Names of sets print as their members.
            assert!(text.contains(['$', '@']) || again == expr, "became {printed:?}");
            assert_eq!(again.to_string(), printed);
            let annotated = expr.annotate();
            if let Ok(normal) = annotated.clone().normalize() {
                for flow in [&flow, &Microflow::default()] {
                    assert_eq!(normal.eval(flow, &names), annotated.eval(flow, &names), "{normal}");
                }
            }
        }
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "span {:?}", error.span);
            error.render(text);
        }
    }
}

/// Any text as the actions of a logical flow, in the first table and in the last: nothing panics, errors point inside
/// the text, and what is read is printed so that it is read the same.
pub fn fuzz_actions(bytes: &[u8]) {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    for context in [Context::at(Pipeline::Ingress, 0), Context::at(Pipeline::Egress, TABLES - 1)] {
        match parse_actions(text, &context) {
            Ok(actions) => {
                let printed = actions.to_string();
                assert_eq!(parse_actions(&printed, &context), Ok(actions), "became {printed:?}");
            }
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "span {:?}", error.span);
                error.render(text);
            }
        }
    }
}

/// Any bytes to the control socket's framing; what comes out of it is done by the commands, on a switch in memory.
/// Whatever is sent, what comes back is JSON.
pub fn fuzz_socket(bytes: &[u8]) {
    let read = crate::control::testing::converse(bytes);
    let read = read.unwrap_or_else(|error| panic!("no event loop: {error}"));
    for answer in serde_json::Deserializer::from_slice(&read).into_iter::<serde_json::Value>() {
        let answer = answer.unwrap_or_else(|error| panic!("an answer is no JSON: {error}"));
        assert!(answer["error"].is_null() != answer["result"].is_null(), "an answer is a result or an error");
    }
}

/// Any bytes as tables, packets and changes: a megaflow serves whom it may, nobody meets two, and none outlives what
/// made it.
pub fn fuzz_megaflows(bytes: &[u8]) {
    crate::pipeline::testing::megaflows(bytes);
}

/// Any bytes as a history of rows and bindings: lowering follows it, and every step is what it would be at once.
pub fn fuzz_lower(bytes: &[u8]) {
    crate::lower::testing::history(bytes);
}

/// Any bytes as a frame of the uplink, for an endpoint with a tag if the first byte is odd: what is tunnelled is taken out,
/// looked at and sent back, what is for the endpoint is answered.
pub fn fuzz_geneve(bytes: &[u8]) {
    let Some((first, frame)) = bytes.split_first() else { return };
    let vlan = (first & 1 == 1).then_some(7);
    let mac = Mac([0xaa, 0, 0, 0, 0, 1]);
    let addresses =
        [("192.168.50.101", 24), ("fd00:50::101", 64)].map(|(ip, len)| (ip.parse().unwrap(), len));
    let endpoint = Endpoint::new(mac, vlan, &addresses, u16::MAX, true).unwrap();
    match endpoint.classify(frame) {
        Arrival::Tunnel(received) => {
            let inner = frame.get(usize::from(received.inner)..usize::from(received.end));
            let mut packet = HeapPacket::new(inner.unwrap());
            if merge_ecn(received.tos, &mut packet).is_err() {
                return;
            }
            let sent = packet.data().to_vec();
            let mut meta = PacketMeta::default();
            let parsed = parse(&sent, &mut meta, &mut FlowKey::default());
            assert_ne!(parsed.stop, Some(Stop::Runt));
            // To ourselves, so that we can look at it again.
            let out =
                TunnelOut { dst: received.dst, vni: received.vni, option: received.option, ttl: 0, tos: 0 };
            let remote = Remote::new(&endpoint, received.dst, received.dst, Some(mac)).unwrap();
            if remote.encapsulate(&mut packet, &meta, &out) == Err(DropReason::TunnelMtu) {
                return;
            }
            let Arrival::Tunnel(again) = endpoint.classify(packet.data()) else {
                panic!("{:02x?}", packet.data())
            };
            assert_eq!((again.vni, again.option, again.dst), (received.vni, received.option, received.dst));
            let inner = packet.data().get(usize::from(again.inner)..usize::from(again.end));
            assert_eq!(inner, Some(sent.as_slice()));
        }
        Arrival::Local(local) => {
            let mut packet = HeapPacket::new(frame);
            if answer(&endpoint, local, &mut packet).is_ok_and(|outcome| outcome.reply) {
                assert_eq!(packet.data().get(6..12), Some(mac.0.as_slice()));
                let parsed = parse(packet.data(), &mut PacketMeta::default(), &mut FlowKey::default());
                assert_eq!(parsed.stop, None);
            }
        }
        Arrival::Refused(_) | Arrival::Other => {}
    }
}
