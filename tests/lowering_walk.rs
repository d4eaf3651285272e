//! Packets in the lowered tables go out by the ports that the tracer says, for random packets that need no connection
//! tracking. What the switch answers itself is left out: it leaves the tables and comes back.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use millrace::action::Op;
use millrace::logical::expr::parse_microflow;
use millrace::logical::names::FixedNames;
use millrace::logical::rows::{Database, Transaction, dump};
use millrace::logical::trace::{Form, Request, Tracer};
use millrace::lower::{Bindings, Host, Lowering, Numbers, Zones};
use millrace::packet::{Field, PortNo, PortRef};
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, PortView, Ports, Snapshot, Tables};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

/// Logical ports with their datapaths and keys; the first is switch port 1.
struct Scenario {
    tracer: Tracer,
    snapshot: Snapshot,
    ports: &'static [(&'static str, &'static str)],
    names: FixedNames,
}

fn scenario(name: &str, ports: &'static [(&'static str, &'static str)]) -> Scenario {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(name);
    let mut transaction = Transaction::new();
    let text = fs::read_to_string(folder.join("chassis/sb-dump.json")).unwrap();
    for (uuid, row) in dump::read(&text).unwrap() {
        transaction.put_any(uuid, row);
    }
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(transaction).unwrap();
    let mut names = FixedNames::new();
    let mut bound = BTreeMap::new();
    let mut views = Vec::new();
    for (number, (port, _)) in (1..).zip(ports) {
        let (_, row) = database.snapshot().port(port).unwrap();
        names.add_port(port, row.tunnel_key.into());
        bound.insert((*port).to_owned(), PortNo(number));
        let at = PortRef { slot: number, generation: 0 };
        views.push(PortView { number: PortNo(number), name: Arc::from(*port), at, no_flood: false });
    }
    let bindings = Bindings { host: Host::named("hv1"), ports: bound };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let changes = lowering.update(&cursor.poll(&database), &bindings);
    let stats = FlowStats::new(1);
    let empty = Tables::default();
    let mut batch = Batch::new(&empty, &stats, Instant::now());
    assert_eq!(changes.apply(&mut batch), []);
    let snapshot = Snapshot::new(batch.commit().0, Ports::new(views));
    Scenario { tracer: Tracer::new(database.snapshot().clone()), snapshot, ports, names }
}

/// Ports that a packet goes out by, sorted, as the tracer says.
fn traced(scenario: &Scenario, from: usize, packet: &str) -> Vec<String> {
    let request = Request::parse(&[scenario.ports[from].1, packet]).unwrap();
    let trace = scenario.tracer.run(&request).unwrap();
    let text = trace.display(&[Form::Minimal]).to_string();
    let mut inside = Vec::new();
    let mut outputs = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(word) = line.strip_suffix('{') {
            inside.push(word.trim().to_owned());
        } else if line.starts_with('}') {
            inside.pop();
        } else if let Some(rest) = line.strip_prefix("output(\"") {
            let is_reply = inside.iter().any(|word| word != "clone");
            outputs.extend((!is_reply).then(|| rest.split('"').next().unwrap().to_owned()));
        }
    }
    outputs.sort();
    outputs
}

/// The same in the lowered tables.
fn walked(scenario: &Scenario, from: usize, packet: &str) -> Vec<String> {
    let mut key = parse_microflow(packet, &scenario.names).unwrap().key;
    key.set(Field::Reg14, 0);
    key.set(Field::InPort, from as u128 + 1);
    let mut translation = Translation::default();
    translate(&scenario.snapshot, &mut key, Start::Table(0), &mut translation);
    let port = |op: &Op| match op {
        Op::Output(port) => Some(scenario.ports[usize::from(port.slot) - 1].0.to_owned()),
        _ => None,
    };
    let mut outputs: Vec<String> = translation.ops().iter().filter_map(port).collect();
    outputs.sort();
    outputs
}

const MACS: &[&str] = &[
    "40:44:00:00:00:01",
    "40:44:00:00:00:02",
    "40:44:00:00:00:03",
    "40:44:00:00:00:04",
    "02:00:00:00:00:09",
    "03:00:00:00:00:09",
    "ff:ff:ff:ff:ff:ff",
    "33:33:ff:00:00:03",
];
const IPS: &[&str] =
    &["192.168.0.1", "192.168.0.11", "192.168.0.12", "192.168.1.1", "192.168.1.11", "10.0.0.1", "224.0.0.1"];
const GUESTS: &[&str] = &["192.168.0.11", "192.168.1.11"];
const IP6S: &[&str] = &["fe80::4244:ff:fe00:3", "fe80::1", "fd00::1", "ff02::1:ff00:3", "::1"];

fn packet() -> impl Strategy<Value = String> {
    let dst = prop_oneof![1 => select(IPS), 2 => select(GUESTS)];
    let ip4 =
        (select(IPS), dst, select(&[0u8, 1, 2, 64, 255][..]), 0usize..4).prop_map(|(src, dst, ttl, l4)| {
            let l4 = ["icmp4.type == 8", "icmp4.type == 0", "udp.dst == 53", "tcp.dst == 80"][l4];
            format!("ip4.src == {src} && ip4.dst == {dst} && ip.ttl == {ttl} && {l4}")
        });
    let ip6 = (select(IP6S), select(IP6S), select(&[0u8, 1, 64, 255][..]), 0usize..4).prop_map(
        |(src, dst, ttl, l4)| {
            let nd = "nd_ns && nd.target == fe80::4244:ff:fe00:3";
            let l4 = ["icmp6.type == 128", "udp.dst == 53", nd, "icmp6.type == 131"][l4];
            let ttl = if l4 == nd { 255 } else { ttl };
            format!("ip6.src == {src} && ip6.dst == {dst} && ip.ttl == {ttl} && {l4}")
        },
    );
    let arp = (1u8..3, select(IPS), select(IPS), select(MACS)).prop_map(|(op, spa, tpa, sha)| {
        format!("arp.op == {op} && arp.spa == {spa} && arp.tpa == {tpa} && arp.sha == {sha}")
    });
    let other = Just("eth.type == 0x88cc".to_owned());
    let tagged = Just("vlan.vid == 5 && vlan.present".to_owned());
    // Mostly to a router, and through it to a port.
    let to = prop_oneof![1 => select(MACS), 2 => select(&MACS[2..4])];
    let upper = prop_oneof![6 => ip4, 3 => ip6, 3 => arp, 1 => other, 1 => tagged];
    (select(MACS), to, upper)
        .prop_map(|(src, dst, upper)| format!("eth.src == {src} && eth.dst == {dst} && {upper}"))
}

fn agree(scenario: &Scenario, packets: u32) {
    let sent = Cell::new(0);
    let config = ProptestConfig { cases: packets, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(packet(), 0..scenario.ports.len()), |(packet, from)| {
        let packet = format!("inport == \"{}\" && {packet}", scenario.ports[from].0);
        let (theirs, ours) = (traced(scenario, from, &packet), walked(scenario, from, &packet));
        sent.set(sent.get() + u32::from(!theirs.is_empty()));
        prop_assert_eq!(theirs, ours, "{}", packet);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(sent.get() > packets / 50, "only {} of {packets} packets went anywhere", sent.get());
}

#[test]
fn a_switch() {
    agree(&scenario("s1-l2", &[("vm1", "network1"), ("vm2", "network1")]), 500);
}

#[test]
fn two_switches_and_a_router() {
    agree(&scenario("s2-l3", &[("vm1", "network1"), ("vm2", "network2")]), 2000);
}
