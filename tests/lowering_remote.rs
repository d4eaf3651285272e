//! Packets in the lowered tables of two chassis: what leaves the one by the tunnel is what a real chassis sent on the wire, and
//! the other delivers it as the real one did. What is too large for the tunnel is answered.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use millrace::action::reply::turn;
use millrace::action::{Action, Op};
use millrace::logical::rows::{Database, Transaction, dump};
use millrace::lower::{Bindings, Families, Host, Lowering, Numbers, Tunnel, Zones};
use millrace::packet::parse::parse;
use millrace::packet::{Field, FlowKey, HeapPacket, Mac, Packet, PacketMeta, PortNo, PortRef};
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::translate::{Start, Translation, Watch, translate_watched};
use millrace::pipeline::{Batch, PortView, Ports, Snapshot, Tables};
use pcap_file::pcap::PcapReader;

/// The switch port of the guest, and that to other chassis.
const GUEST: u16 = 2;
const TUNNEL: u16 = 9;
/// Bytes of the headers around a frame: Ethernet, IPv4, UDP, Geneve and its option.
const OUTER: usize = 14 + 20 + 8 + 8 + 8;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(path)
}

fn capture(path: &str) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(file(path)).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.unwrap().data.into_owned());
    }
    frames
}

fn chassis(scenario: &str, name: &str, port: &str, mtu: Option<u16>) -> Snapshot {
    let mut transaction = Transaction::new();
    let text = fs::read_to_string(file(&format!("{scenario}/chassis/sb-dump.json"))).unwrap();
    for (uuid, row) in dump::read(&text).unwrap() {
        transaction.put_any(uuid, row);
    }
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(transaction).unwrap();
    let tunnel = Some(Tunnel { port: PortNo(TUNNEL), mtu, families: Families::default() });
    let host = Host { tunnel, ..Host::named(name) };
    let bindings = Bindings { host, ports: [(port.to_owned(), PortNo(GUEST))].into() };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let changes = lowering.update(&cursor.poll(&database), &bindings);
    let (empty, stats) = (Tables::default(), FlowStats::new(1));
    let mut batch = Batch::new(&empty, &stats, Instant::now());
    assert_eq!(changes.apply(&mut batch), []);
    let view = |number| PortView {
        number: PortNo(number),
        name: Arc::from(format!("p{number}")),
        at: PortRef { slot: number, generation: 0 },
        no_flood: false,
    };
    Snapshot::new(batch.commit().0, Ports::new([GUEST, TUNNEL].map(view).into()))
}

fn key_of(frame: &[u8]) -> (FlowKey, PacketMeta) {
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let _ = parse(frame, &mut meta, &mut key);
    (key, meta)
}

/// What a key says of the bytes.
fn of_packet(key: &FlowKey) -> Vec<(&'static str, u128)> {
    let fields = Field::ALL.iter().filter(|field| field.in_packet());
    fields.map(|field| (field.info().name, key.get(*field))).collect()
}

/// The keys of packets that are output, with the ports.
#[derive(Default)]
struct Outputs {
    sent: Vec<(u16, FlowKey)>,
    /// How many there were when a length was asked.
    asked: VecDeque<usize>,
}

impl Watch for &mut Outputs {
    fn before(&mut self, action: &Action, key: &FlowKey, _depth: usize) {
        match action {
            Action::Output(port) => self.sent.push((port.0, *key)),
            Action::CheckPktLarger { .. } => self.asked.push_back(self.sent.len()),
            _ => {}
        }
    }
}

/// What is output of a packet with that key, of what is made of it, and what that says would fit.
fn walk(
    snapshot: &Snapshot,
    frame: &[u8],
    key: FlowKey,
    start: Start<'_>,
) -> (Vec<(u16, FlowKey)>, Vec<u32>) {
    let (mut outputs, mut translation) = (Outputs::default(), Translation::default());
    translate_watched(snapshot, &mut key.clone(), start, &mut translation, &mut outputs);
    let Outputs { mut sent, mut asked } = outputs;
    let mut mtus = Vec::new();
    let mut packet = HeapPacket::new(frame);
    for op in translation.ops() {
        let mut again = |sent: &mut Vec<_>, packet: &HeapPacket, frozen: u32| {
            let mut key = key_of(packet.data()).0;
            key.set(Field::InPort, PortNo::CONTROLLER.0.into());
            let context = &translation.contexts()[frozen as usize - 1];
            let (out, fits) = walk(snapshot, packet.data(), key, Start::Frozen(context));
            sent.extend(out);
            mtus.extend(fits);
        };
        match op {
            Op::Set { field: field @ (Field::EthSrc | Field::EthDst), value, .. } => {
                let at = if *field == Field::EthDst { 0 } else { 6 };
                packet.data_mut()[at..at + 6].copy_from_slice(&Mac::from_u64(*value as u64).0);
            }
            Op::Become { kind, frozen } => {
                let mut reply = packet.clone();
                turn(&mut reply, &key_of(packet.data()).1, *kind).unwrap();
                again(&mut sent, &reply, *frozen);
            }
            Op::CheckLen { len, larger } => {
                let before = asked.pop_front().unwrap();
                if packet.data().len() > usize::from(*len) {
                    sent.truncate(before);
                    // What follows is for those that are not longer.
                    again(&mut sent, &packet, *larger);
                    return (sent, mtus);
                }
            }
            Op::SetMtu(mtu) => mtus.push(*mtu),
            _ => {}
        }
    }
    (sent, mtus)
}

/// The packet of a guest.
fn inject(snapshot: &Snapshot, frame: &[u8]) -> (Vec<(u16, FlowKey)>, Vec<u32>) {
    let mut key = key_of(frame).0;
    key.set(Field::InPort, GUEST.into());
    walk(snapshot, frame, key, Start::Table(0))
}

/// All that leaves by the tunnel for the guest's packets: the peer, VNI, option and packet.
type Tunnelled = Vec<(u128, u128, u128, Vec<(&'static str, u128)>)>;

fn compare(scenario: &str, vni_of_ping: u128) {
    let wire = capture(&format!("{scenario}/chassis/hv1/br-phys_n1-tx.pcap"));
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
    let theirs: Tunnelled = wire
        .iter()
        .map(|frame| {
            // UDP to Geneve's port, one critical option, Ethernet inside.
            assert_eq!((&frame[36..38], &frame[42..46]), (&[0x17, 0xc1][..], &[2, 0x40, 0x65, 0x58][..]));
            assert_eq!(frame[50..54], [1, 2, 0x80, 1]);
            let inner = of_packet(&key_of(&frame[OUTER..]).0);
            (number(&frame[30..34]), number(&frame[46..49]), number(&frame[54..58]), inner)
        })
        .collect();
    assert_eq!(theirs[0].1, vni_of_ping);
    let hv1 = chassis(scenario, "hv1", "vm1", None);
    let mut ours: Tunnelled = Vec::new();
    for frame in capture(&format!("{scenario}/chassis/hv1/vif-vm1-rx.pcap")) {
        let by_tunnel = inject(&hv1, &frame).0.into_iter().filter(|(port, _)| *port == TUNNEL);
        ours.extend(by_tunnel.map(|(_, key)| {
            let [to, vni, option] =
                [Field::TunDst, Field::TunId, Field::TunMetadata0].map(|field| key.get(field));
            (to, vni, option, of_packet(&key))
        }));
    }
    assert_eq!(ours, theirs);

    // What was on the wire arrives, and is delivered as there.
    let hv2 = chassis(scenario, "hv2", "vm2", None);
    let mut delivered = Vec::new();
    for (frame, (_, vni, option, _)) in wire.iter().zip(&theirs) {
        let inner = &frame[OUTER..];
        let mut key = key_of(inner).0;
        key.set(Field::InPort, TUNNEL.into());
        key.set(Field::TunId, *vni);
        key.set(Field::TunMetadata0, *option);
        key.set(Field::TunSrc, number(&frame[26..30]));
        key.set(Field::TunDst, number(&frame[30..34]));
        delivered.extend(walk(&hv2, inner, key, Start::Table(0)).0);
    }
    let delivered: Vec<_> = delivered.iter().map(|(port, key)| (*port, of_packet(key))).collect();
    let sent = capture(&format!("{scenario}/chassis/hv2/vif-vm2-tx.pcap"));
    let sent: Vec<_> = sent.iter().map(|frame| (GUEST, of_packet(&key_of(frame).0))).collect();
    assert_eq!(delivered, sent);
}

#[test]
fn a_switch() {
    compare("s1-l2", 1);
}

#[test]
fn two_switches_and_a_router() {
    // A routed packet is in the second network when it leaves.
    compare("s2-l3", 2);
}

/// An echo request of so many bytes of IP.
fn ping(to: Mac, dst: [u8; 4], len: u16) -> Vec<u8> {
    let mut frame = [&to.0[..], &[0x40, 0x44, 0, 0, 0, 1, 8, 0]].concat();
    frame.extend([0x45, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, 1, 0, 0, 192, 168, 0, 11]);
    frame.extend(dst);
    frame.extend([8, 0]);
    frame.resize(14 + usize::from(len), 0);
    frame
}

#[test]
fn what_is_too_large_for_the_tunnel_is_answered_in_the_name_of_whom_it_was_for() {
    let [vm2, router] = [2, 3].map(|last| Mac([0x40, 0x44, 0, 0, 0, last]));
    for (scenario, to, dst, ttl) in
        [("s1-l2", vm2, [192, 168, 0, 12], 255), ("s2-l3", router, [192, 168, 1, 11], 254)]
    {
        // 1500 less the headers of IPv4, UDP, Geneve, the option and Ethernet.
        let most = 1500 - 20 - 8 - 8 - 8 - 14;
        let hv1 = chassis(scenario, "hv1", "vm1", Some(1500));
        let (sent, mtus) = inject(&hv1, &ping(to, dst, most));
        assert_eq!(sent.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [TUNNEL]);
        assert_eq!(mtus, [0; 0]);
        let (sent, mtus) = inject(&hv1, &ping(to, dst, most + 1));
        let [(GUEST, key)] = &sent[..] else { panic!("{scenario}: {sent:?}") };
        let fields = [
            (Field::EthSrc, u128::from(to.to_u64())),
            (Field::EthDst, 0x4044_0000_0001),
            (Field::NwSrc, u32::from_be_bytes(dst).into()),
            (Field::NwDst, u32::from_be_bytes([192, 168, 0, 11]).into()),
            (Field::NwTtl, ttl),
            (Field::IcmpType, 3),
            (Field::IcmpCode, 4),
        ];
        fields.into_iter().for_each(|(field, value)| {
            assert_eq!(key.get(field), value, "{scenario}: {}", field.info().name);
        });
        assert_eq!(mtus, [u32::from(most)]);
        // What is no IP goes on, and where it does not fit the tunnel says so.
        let mut other = ping(to, dst, most + 100);
        other[12..14].copy_from_slice(&[0x88, 0xb5]);
        let (sent, _) = inject(&hv1, &other);
        let expected: &[u16] = if to == router { &[] } else { &[TUNNEL] };
        assert_eq!(sent.iter().map(|(port, _)| *port).collect::<Vec<_>>(), expected);
    }
}
