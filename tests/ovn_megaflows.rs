//! What a megaflow of lowered rows does not match decides nothing: any packet that differs from the one that made it in
//! such bits alone gets the same answer from the tables, and so does any packet that comes back as a reply.

#[path = "support/ovn.rs"]
mod ovn;
#[path = "support/logical_packets.rs"]
mod packets;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use millrace::action::Op;
use millrace::action::reply::{Reply, turn};
use millrace::logical::rows::tables::PortBinding;
use millrace::logical::rows::{Database, Transaction, dump};
use millrace::lower::{Bindings, Host, Lowering, Numbers, Zones};
use millrace::packet::key::{KEY_WORDS, is_tunnel};
use millrace::packet::parse::{Stop, parse};
use millrace::packet::{Field, FlowKey, HeapPacket, Packet, PacketMeta, PortNo, PortRef};
use millrace::pipeline::frozen::Context;
use millrace::pipeline::stats::{FlowStats, StatsId};
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, PortView, Ports, Recorded, Snapshot, Tables};
use ovn::{file, read};
use packets::{Pool, Sample, sample};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Packets of a case.
const PACKETS: usize = 6;
const SINGLE_BITS: usize = 16;
/// Contexts of a packet that are followed, and how often it comes back.
const CONTEXTS: usize = 6;
const ROUNDS: usize = 3;

/// Lowered rows, with all ports that have a wire.
struct Network {
    snapshot: Snapshot,
    ports: Vec<String>,
    pool: Pool,
}

impl Network {
    fn new(chassis: &str, text: &str) -> Self {
        let mut transaction = Transaction::new();
        for (uuid, row) in dump::read(text).unwrap() {
            transaction.put_any(uuid, row);
        }
        let mut database = Database::default();
        let mut cursor = database.subscribe_from_nothing();
        database.commit(transaction).unwrap();
        let store = database.snapshot();
        let wired = |row: &PortBinding| ["", "localnet"].contains(&row.kind.as_str());
        let rows = store.iter::<PortBinding>().filter(|(_, row)| wired(row));
        let mut ports: Vec<String> = rows.map(|(_, row)| row.logical_port.clone()).collect();
        ports.sort();
        let bound: BTreeMap<String, PortNo> = ports.iter().cloned().zip((1..).map(PortNo)).collect();
        let view = |(name, number): (&String, &PortNo)| {
            let at = PortRef { slot: number.0, generation: 0 };
            PortView { number: *number, name: Arc::from(name.as_str()), at, no_flood: false }
        };
        let views = Ports::new(bound.iter().map(view).collect());
        let pool = Pool::new(store, &ports, &["00:00:5e:00:01:01 172.16.0.1 8.8.4.4 fd00:ffff::1"]);
        let bindings = Bindings { host: Host::named(chassis), ports: bound };
        let mut lowering = Lowering::new(Numbers::default(), Zones::default());
        let changes = lowering.update(&cursor.poll(&database), &bindings);
        let (empty, stats) = (Tables::default(), FlowStats::new(1));
        let mut batch = Batch::new(&empty, &stats, Instant::now());
        assert_eq!(changes.apply(&mut batch), []);
        Self { snapshot: Snapshot::new(batch.commit().0, views), ports, pool }
    }

    fn key(&self, sample: &Sample) -> FlowKey {
        let mut key = parsed(&sample.frame).expect("a whole frame");
        let port = self.ports.iter().position(|port| *port == sample.port).unwrap();
        key.set(Field::InPort, port as u128 + 1);
        key
    }
}

fn parsed(frame: &[u8]) -> Option<FlowKey> {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    (parse(frame, &mut meta, &mut key).stop != Some(Stop::Runt)).then_some(key)
}

/// What a packet may be when it comes back.
fn replies(frame: &[u8]) -> Vec<FlowKey> {
    let mut meta = PacketMeta::default();
    let _ = parse(frame, &mut meta, &mut FlowKey::default());
    let one = |kind| {
        let mut packet = HeapPacket::new(frame);
        turn(&mut packet, &meta, kind).ok()?;
        parsed(packet.data())
    };
    Reply::ALL.into_iter().filter_map(one).collect()
}

/// The answer to one key, all of it.
#[derive(Debug, PartialEq)]
struct Answered {
    ops: Vec<Op>,
    hits: Vec<StatsId>,
    recorded: Recorded,
    contexts: Vec<Context>,
}

fn answer(snapshot: &Snapshot, key: &FlowKey, start: Start<'_>, out: &mut Translation) -> Answered {
    translate(snapshot, &mut key.clone(), start, out);
    let (ops, hits) = (out.ops().to_vec(), out.hits().to_vec());
    Answered { ops, hits, recorded: out.recorded().clone(), contexts: out.contexts().to_vec() }
}

/// `key` where something was recorded, `other` elsewhere, with a TTL that reaches the floor. What is of no packet stays.
fn within(recorded: &Recorded, key: &FlowKey, other: &FlowKey) -> FlowKey {
    let mut new = *other;
    for (word, new) in new.words_mut().iter_mut().enumerate() {
        let mask = recorded.mask.words()[word];
        *new = key.words()[word] & mask | *new & !mask;
        if is_tunnel(word) {
            // No port here is one of tunnels, and no other brings such words.
            *new = 0;
        }
    }
    for field in [Field::Metadata, Field::Xxreg0, Field::Xxreg1, Field::Xxreg2, Field::Xxreg3, Field::ConjId]
    {
        new.set(field, key.get(field));
    }
    let (ttl, floor) = (new.get(Field::NwTtl), u128::from(recorded.min_ttl));
    if ttl < floor {
        new.set(Field::NwTtl, floor + ttl % (256 - floor));
    }
    new
}

/// How often the test met what it is about.
#[derive(Debug, Default)]
struct Met {
    packets: Cell<usize>,
    /// Others in a megaflow, that differ from the one that made it.
    others: Cell<usize>,
    /// Packets that would have been answered otherwise, outside of the megaflow.
    told_apart: Cell<usize>,
    floors: Cell<usize>,
    came_back: Cell<usize>,
    fields: RefCell<BTreeSet<&'static str>>,
}

fn add(cell: &Cell<usize>, really: bool) {
    cell.set(cell.get() + usize::from(really));
}

/// All of these, made to meet the megaflow of `key`, get its answer. Gives the contexts that this leaves behind.
fn decides_nothing(
    network: &Network,
    key: &FlowKey,
    others: &[FlowKey],
    start: Start<'_>,
    out: &mut Translation,
    met: &Met,
) -> Result<Vec<Context>, TestCaseError> {
    let expected = answer(&network.snapshot, key, start, out);
    let recorded = &expected.recorded;
    add(&met.packets, true);
    add(&met.floors, recorded.min_ttl > 0);
    let matched = Field::ALL.iter().filter(|field| recorded.mask.get(**field) != 0);
    met.fields.borrow_mut().extend(matched.map(|field| field.info().name));
    for other in others {
        let new = within(recorded, key, other);
        add(&met.others, new != *key);
        let got = answer(&network.snapshot, &new, start, out);
        prop_assert_eq!(&got, &expected, "\nmade by {:?}\nmet by  {:?}", key, new);
    }
    let foreign = others.first().is_some_and(|other| {
        let mut other = *other;
        other.set(Field::InPort, key.get(Field::InPort));
        answer(&network.snapshot, &other, start, out).ops != expected.ops
    });
    add(&met.told_apart, foreign);
    Ok(expected.contexts)
}

fn check(
    network: &Network,
    samples: &[Sample],
    noise: &[FlowKey],
    bits: &[(usize, u32)],
    met: &Met,
) -> Result<(), TestCaseError> {
    let keys: Vec<FlowKey> = samples.iter().map(|sample| network.key(sample)).collect();
    let mut out = Translation::default();
    for (sample, key) in samples.iter().zip(&keys) {
        let flipped = |key: &FlowKey| -> Vec<FlowKey> {
            let one = |(word, bit): &(usize, u32)| {
                let mut other = *key;
                other.words_mut()[*word] ^= 1 << bit;
                other
            };
            bits.iter().map(one).collect()
        };
        let others = [&keys[..], noise, &flipped(key)].concat();
        let mut left = decides_nothing(network, key, &others, Start::Table(0), &mut out, met)?;
        let replies = replies(&sample.frame);
        for _ in 0..ROUNDS {
            left.truncate(CONTEXTS);
            let mut next = Vec::new();
            for context in &left {
                for back in [key].into_iter().chain(&replies) {
                    let others = [&replies[..], noise, &flipped(back)[..4]].concat();
                    let start = Start::Frozen(context);
                    next.extend(decides_nothing(network, back, &others, start, &mut out, met)?);
                    add(&met.came_back, true);
                }
            }
            left = next;
        }
    }
    Ok(())
}

fn any_key() -> impl Strategy<Value = FlowKey> {
    vec(any::<u64>(), KEY_WORDS).prop_map(|words| {
        let mut key = FlowKey::default();
        key.words_mut().copy_from_slice(&words);
        key
    })
}

fn run(name: &str, chassis: &str, text: &str, cases: u32) -> Met {
    let network = Network::new(chassis, text);
    let met = Met::default();
    // PROPTEST_CASES makes it longer.
    let cases = (cases * ProptestConfig::default().cases / 256).max(1);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let numbers = vec(vec(any::<u32>(), 14), PACKETS);
    let bits = vec((0..KEY_WORDS, 0u32..64), SINGLE_BITS);
    let ran = TestRunner::new(config).run(&(numbers, vec(any_key(), 3), bits), |(numbers, noise, bits)| {
        let samples: Vec<Sample> = numbers.iter().map(|numbers| sample(&network.pool, numbers)).collect();
        check(&network, &samples, &noise, &bits, &met)
    });
    if let Err(error) = ran {
        panic!("{name}: {error}");
    }
    met
}

#[test]
fn what_megaflows_of_logical_networks_do_not_match_decides_nothing() {
    let scenarios = [
        ("s1-l2/chassis/sb-dump.json", "hv1"),
        ("s2-l3/chassis/sb-dump.json", "hv1"),
        ("s4-dual/sb-dump.json", "hv1"),
        ("s3-rich/chassis/sb-dump.json", "gw1"),
        ("s3-rich/chassis/sb-dump.json", "hv1"),
    ];
    for (scenario, chassis) in scenarios {
        let met = run(scenario, chassis, &read(scenario), 16);
        assert!(met.others.get() > 1000 && met.told_apart.get() > 10, "{met:?}");
    }
}

#[test]
fn nor_does_it_in_random_networks() {
    let mut files: Vec<_> =
        fs::read_dir(file("random")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut fields = BTreeSet::new();
    let (mut others, mut came_back) = (0, 0);
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let met = run(&path.display().to_string(), "hv1", &fs::read_to_string(path).unwrap(), 12);
        (others, came_back) = (others + met.others.get(), came_back + met.came_back.get());
        fields.append(&mut met.fields.borrow_mut());
    }
    assert!(others > 20_000 && came_back > 1000, "{others} {came_back}");
    for field in ["arp_tpa", "dl_dst", "ipv6_dst", "nd_target", "nw_src", "nw_ttl", "tcp_dst", "udp_dst"] {
        assert!(fields.contains(field), "no megaflow matches {field} but {fields:?}");
    }
}
