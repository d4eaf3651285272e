//! The tracer, which interprets logical flows one by one, beside the switch, whose workers meet what the same rows were
//! lowered to: a random packet comes out of the same ports, with the same Ethernet addresses and TTL, by the tables and by
//! the caches.
//!
//! Nothing is learned here, so that both keep to the same rows. What the switch cannot do yet is left out and counted.

#[path = "support/ovn.rs"]
mod ovn;
#[path = "support/logical_packets.rs"]
mod packets;
mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use millrace::config::Ovn;
use millrace::control::commands::{Session, answer};
use millrace::control::jsonrpc::{Id, Param, Request};
use millrace::control::switch::Switch;
use millrace::logical::rows::tables::{DatapathBinding, LogicalFlow, PortBinding};
use millrace::logical::rows::{Pipeline, Store};
use millrace::logical::trace::{self, Form, Kind, Lookup, Node, Trace, Tracer};
use millrace::packet::{Mac, Packet};
use millrace::pipeline::cache::CacheSizes;
use millrace::worker::memory::Wires;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use ovn::{file, read};
use packets::{Pool, Sample, sample};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// A switch whose control thread does commands and nothing besides.
struct Still {
    runtime: Runtime,
    switch: Rc<Switch>,
    session: Session,
    wires: Wires,
    /// Ports of the switch by the logical ports that they are.
    ports: Vec<String>,
    /// Logical ports inside others, with those and their VLAN.
    inside: Vec<(String, String, u16)>,
}

impl Still {
    fn start(chassis: &str, dump: &str) -> Self {
        let backend = MemoryBackend::default();
        let wires = backend.wires();
        let setups = [WorkerSetup { core: None, numa: -1 }];
        let engine =
            Engine::start(backend, &setups, Duration::from_micros(50), CacheSizes::default()).unwrap();
        let switch = Rc::new(Switch::new("still", Box::new(engine), &Ovn::unkept()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut still = Self {
            runtime,
            switch,
            session: Session::default(),
            wires,
            ports: Vec::new(),
            inside: Vec::new(),
        };
        still.ask("sbctl/load", &[&format!("--chassis={chassis}"), dump]);
        // Every port that has a wire. Those of type localport the tracer takes for ordinary ones.
        let wired = |row: &PortBinding| ["", "localnet"].contains(&row.kind.as_str());
        let store = still.store();
        still.ports = store
            .iter::<PortBinding>()
            .filter(|(_, row)| wired(row) && row.parent_port.is_none())
            .map(|(_, row)| row.logical_port.clone())
            .collect();
        still.ports.sort();
        let inside = store.iter::<PortBinding>().filter_map(|(_, row)| {
            let parent = row.parent_port.clone().filter(|parent| still.ports.contains(parent))?;
            Some((row.logical_port.clone(), parent, row.tag?))
        });
        still.inside = inside.collect();
        for (number, port) in still.ports.clone().iter().enumerate() {
            still.ask("port/add", &[&wire(number), "type=memory", &format!("iface_id={port}")]);
        }
        still
    }

    fn store(&self) -> Store {
        self.switch.state().logical.rows.snapshot().clone()
    }

    fn ask(&mut self, method: &str, params: &[&str]) -> String {
        let params = params.iter().map(|param| Param::Text((*param).to_owned())).collect();
        let request = Request { id: Id::Text("1".to_owned()), method: method.to_owned(), params };
        let done = answer(&self.switch, &mut self.session, request);
        let bytes = LocalSet::new().block_on(&self.runtime, done).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].as_str().unwrap_or_default().to_owned()
    }

    /// The logical ports that have a wire, or are inside one that has.
    fn reachable(&self) -> Vec<String> {
        self.ports.iter().chain(self.inside.iter().map(|(inside, ..)| inside)).cloned().collect()
    }

    /// The port of a frame and the frame, for commands.
    fn named(&self, packet: &Sample) -> [String; 2] {
        let (mut name, mut frame) = (&packet.port, packet.frame.clone());
        if let Some((_, parent, tag)) = self.inside.iter().find(|(inside, ..)| inside == name) {
            name = parent;
            frame.splice(12..12, [[0x81, 0], tag.to_be_bytes()].concat());
        }
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let port = self.ports.iter().position(|port| port == name).unwrap();
        [wire(port), hex]
    }

    /// The way of a frame through the tables.
    fn walk(&mut self, packet: &Sample) -> String {
        let [port, hex] = self.named(packet);
        self.ask("trace/packet", &[&port, &hex])
    }

    /// What comes out for a frame.
    fn forward(&mut self, packet: &Sample) -> Vec<Out> {
        let [port, hex] = self.named(packet);
        self.ask("inject", &[&port, &hex]);
        let mut out = Vec::new();
        for (number, name) in self.ports.iter().enumerate() {
            let wire = self.wires.of(&wire(number)).unwrap();
            while let Some(frame) = wire.take() {
                let mut frame = frame.data().to_vec();
                let is_inside = |(_, parent, tag): &&(String, String, u16)| {
                    parent == name && frame[12..16] == *[[0x81, 0], tag.to_be_bytes()].concat()
                };
                let inside = self.inside.iter().find(is_inside).map(|(inside, ..)| inside);
                if inside.is_some() {
                    frame.drain(12..16);
                }
                out.push(Out::of(inside.unwrap_or(name), &frame));
            }
        }
        out.sort();
        out
    }
}

/// The name of the port of the switch that is the logical port of this number; those of logical ports may be longer.
fn wire(number: usize) -> String {
    format!("p{number}")
}

/// What is compared of a packet that comes out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Out {
    port: String,
    /// The tracer has one packet for all ports of a multicast group, which each of them changes for the next.
    src: Option<Mac>,
    /// The tracer does not know what a neighbour solicitation is sent to.
    dst: Option<Mac>,
    /// Nor where a reply is made that says none.
    ttl: Option<u8>,
}

impl Out {
    fn of(port: &str, frame: &[u8]) -> Self {
        let mac = |at: usize| Mac(frame[at..at + 6].try_into().unwrap());
        let ttl = match frame[12..14] {
            [8, 0] => Some(frame[22]),
            [0x86, 0xdd] => Some(frame[21]),
            _ => None,
        };
        Self { port: port.to_owned(), src: Some(mac(6)), dst: Some(mac(0)), ttl }
    }
}

fn agree(theirs: &[Out], ours: &[Out]) -> bool {
    theirs.len() == ours.len()
        && theirs.iter().zip(ours).all(|(theirs, ours)| {
            theirs.port == ours.port
                && (theirs.src.is_none() || theirs.src == ours.src)
                && (theirs.dst.is_none() || theirs.dst == ours.dst)
                && (theirs.ttl.is_none() || theirs.ttl == ours.ttl)
        })
}

/// Actions that the switch does not do as the tracer supposes, with what they need.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ct_next", "the connection table"),
    ("ct_commit", "the connection table"),
    ("ct_lb", "load balancers"),
    ("ct_dnat", "address translation"),
    ("ct_snat", "address translation"),
    ("put_dhcp", "DHCP"),
    ("dns_lookup", "DNS"),
    ("put_nd_ra_opts", "router advertisements"),
];

/// Choices by a hash are made as `select` says.
fn run(tracer: &Tracer, sample: &Sample, select: u16) -> Trace {
    let select_id = Some(select);
    let options = trace::Options { friendly_names: false, select_id, ..trace::Options::default() };
    let request =
        trace::Request { microflow: sample.microflow.clone(), options, ..trace::Request::default() };
    tracer.run(&request).unwrap_or_else(|error| panic!("{}: {error}", sample.microflow))
}

/// Replies that the tracer makes of the packet without changing what matches see of it.
const REPLIES: &[&str] =
    &["icmp4", "icmp4_error", "icmp6", "icmp6_error", "nd_ns", "sctp_abort", "tcp_reset"];

/// Whether a reply meets rules of a user, or a solicitation somebody who knows the answer: what they see of it is the packet
/// that is replied to, for the tracer.
fn is_judged(store: &Store, trace: &Trace) -> bool {
    let replied = |node: &&Node| node.kind != Kind::Transformation || !REPLIES.contains(&&*node.text);
    let after: Vec<&Node> = trace.nodes().iter().skip_while(replied).collect();
    let target = |node: &&Node| {
        let value = node.text.strip_prefix("nd.target = 0x")?;
        Some(format!("nd.target == {}", Ipv6Addr::from_bits(u128::from_str_radix(value, 16).ok()?)))
    };
    let sought: Vec<String> = after.iter().filter_map(target).collect();
    let lookups: Vec<&Lookup> = after.iter().filter_map(|node| node.lookup.as_deref()).collect();
    // Tables of which nothing is to be said are left out of a trace, so the first that is shown says where it began.
    let mut first: BTreeMap<(&str, Pipeline), u8> = BTreeMap::new();
    for lookup in lookups {
        let table = first.entry((&lookup.datapath, lookup.pipeline)).or_insert(lookup.table);
        *table = lookup.table.min(*table);
    }
    let judges = |pipeline: Pipeline, first: u8, flow: &LogicalFlow| {
        let stage = flow.external_ids.get("stage-name").map_or("", |stage| stage);
        // Other priorities are northd's own.
        let is_rule = match stage {
            "ls_in_acl" | "ls_in_acl_after_lb" | "ls_out_acl" => (1000..34000).contains(&flow.priority),
            stage => stage.contains("_qos_") && flow.priority > 0,
        };
        let answers = stage == "ls_in_arp_rsp" && sought.iter().any(|sought| flow.matches.contains(sought));
        flow.pipeline == pipeline && flow.table_id >= first && (is_rule || answers)
    };
    first.iter().any(|((name, pipeline), table)| {
        let named = |row: &DatapathBinding| row.external_ids.values().any(|id| **id == **name);
        let (datapath, _) = store.iter::<DatapathBinding>().find(|(_, row)| named(row)).unwrap();
        let is_whole = *pipeline == Pipeline::Egress && first.contains_key(&(*name, Pipeline::Ingress));
        let table = if is_whole { 0 } else { *table };
        store.flows_of(datapath).any(|(_, flow)| judges(*pipeline, table, flow))
    })
}

/// What the tracer says comes out, or why that is not to be compared; where there is a choice, for each member of it.
fn traced(store: &Store, tracer: &Tracer, sample: &Sample) -> Result<Vec<Vec<Out>>, &'static str> {
    let choices =
        |trace: &Trace| trace.nodes().iter().filter(|node| node.text.starts_with("select: ")).count();
    let first = run(tracer, sample, 1);
    match choices(&first) {
        0 => Ok(vec![sent(store, sample, &first)?]),
        // Of members that are not there the first is taken.
        1 => {
            let traces: Vec<Trace> = (1..=4).map(|select| run(tracer, sample, select)).collect();
            if traces.iter().any(|trace| choices(trace) > 1) {
                return Err("to be told which ways are taken");
            }
            traces.iter().map(|trace| sent(store, sample, trace)).collect()
        }
        _ => Err("to be told which ways are taken"),
    }
}

/// What a trace says comes out.
fn sent(store: &Store, sample: &Sample, trace: &Trace) -> Result<Vec<Out>, &'static str> {
    if is_judged(store, trace) {
        return Err("what a reply looks like");
    }
    let has = |word: &str| trace.nodes().iter().any(|node| node.text.contains(word));
    if let Some((_, needs)) = ELSEWHERE.iter().find(|(word, _)| has(word)) {
        return Err(needs);
    }
    let text = trace.display(&[Form::Minimal]).to_string();
    // The packet inside each pair of braces is a copy.
    let mut packets = vec![Out::of("", &sample.frame)];
    let mut out = Vec::new();
    for line in
        text.lines().map(|line| line.trim().trim_end_matches(';')).filter(|line| !line.starts_with('#'))
    {
        let packet = packets.last_mut().unwrap();
        let mac = |value: &str| match value.strip_prefix("0x") {
            Some(digits) => Mac::from_u64(u64::from_str_radix(digits, 16).unwrap()),
            None => value.parse().unwrap(),
        };
        if let Some(kind) = line.strip_suffix(" {") {
            let ttl = packet.ttl.filter(|_| kind == "clone");
            let dst = match kind {
                "nd_ns" => None,
                "nd_na" | "nd_na_router" => packet.src,
                _ => packet.dst,
            };
            let mut copy = Out { ttl, dst, ..packet.clone() };
            // It is not shown that `reject` exchanges the addresses.
            if has("reject {") && ["tcp_reset", "sctp_abort", "icmp4", "icmp6"].contains(&kind) {
                std::mem::swap(&mut copy.src, &mut copy.dst);
            }
            packets.push(copy);
        } else if line == "}" {
            packets.pop();
        } else if let Some(value) = line.strip_prefix("eth.src = ") {
            packet.src = Some(mac(value));
        } else if let Some(value) = line.strip_prefix("eth.dst = ") {
            packet.dst = Some(mac(value));
        } else if let Some(value) = line.strip_prefix("ip.ttl = ") {
            packet.ttl = Some(value.parse().unwrap());
        } else if line == "ip.ttl--" {
            if packet.ttl.is_some_and(|ttl| ttl < 2) {
                return Err("a TTL that may become 0");
            }
            packet.ttl = packet.ttl.map(|ttl| ttl - 1);
        } else if let Some(port) = line.strip_prefix("output(\"") {
            out.push(Out { port: port.trim_end_matches("\")").to_owned(), ..packet.clone() });
        }
    }
    if has("multicast(") && text.contains(" = ") {
        for one in &mut out {
            *one = Out { port: one.port.clone(), src: None, dst: None, ttl: None };
        }
    }
    out.sort();
    Ok(out)
}

#[derive(Debug, Default)]
struct Seen {
    cases: u32,
    compared: u32,
    /// Of them, packets that came out somewhere.
    out: u32,
    /// Of them, packets that could go several ways.
    choices: u32,
    left_out: BTreeMap<&'static str, u32>,
    kinds: BTreeSet<Vec<Out>>,
}

fn compare(scenario: &str, chassis: &str, more: &[&str], cases: u32) -> Seen {
    compare_rows(scenario, &read(scenario), chassis, more, cases)
}

/// The rows of a dump that is named so.
fn compare_rows(scenario: &str, dump: &str, chassis: &str, more: &[&str], cases: u32) -> Seen {
    // PROPTEST_CASES makes it longer.
    let cases = cases * ProptestConfig::default().cases.max(256) / 256;
    let still = RefCell::new(Still::start(chassis, dump));
    let store = still.borrow().store();
    let wired = still.borrow().reachable();
    let pool = Pool::new(&store, &wired, more);
    let tracer = Tracer::new(store.clone());
    let seen = RefCell::new(Seen { cases, ..Seen::default() });
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&prop::collection::vec(any::<u32>(), 14), |numbers| {
        let sample = sample(&pool, &numbers);
        let mut seen = seen.borrow_mut();
        let theirs = match traced(&store, &tracer, &sample) {
            Ok(mut theirs) => {
                for theirs in &mut theirs {
                    theirs.retain(|out| wired.contains(&out.port));
                }
                theirs
            }
            Err(needs) => {
                *seen.left_out.entry(needs).or_default() += 1;
                return Ok(());
            }
        };
        for way in ["by the tables", "by the caches"] {
            let ours = still.borrow_mut().forward(&sample);
            prop_assert!(
                theirs.iter().any(|theirs| agree(theirs, &ours)),
                "{way}\n  {}\n  traced {theirs:?}\n  ours   {ours:?}\n{}\n{}",
                sample.microflow,
                run(&tracer, &sample, 1).display(&[Form::Detailed]),
                still.borrow_mut().walk(&sample)
            );
        }
        seen.compared += 1;
        seen.out += u32::from(theirs.iter().any(|theirs| !theirs.is_empty()));
        seen.choices += u32::from(theirs.len() > 1);
        seen.kinds.extend(theirs);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{scenario}: {error}\n{}", still.borrow_mut().ask("stats", &[]));
    }
    let stats: serde_json::Value =
        serde_json::from_str(&still.borrow_mut().ask("stats", &["--json"])).unwrap();
    assert_eq!(stats["imbalance"], 0, "{stats:#}");
    let seen = seen.into_inner();
    println!(
        "{scenario}: {} of {cases} compared, {} came out, {} of several ways, {} different answers; left out, for they need {:?}",
        seen.compared,
        seen.out,
        seen.choices,
        seen.kinds.len(),
        seen.left_out
    );
    seen
}

#[test]
fn a_switch() {
    let seen = compare("s1-l2/chassis/sb-dump.json", "hv1", &[], 500);
    assert!(seen.compared * 20 > seen.cases * 19 && seen.out > seen.cases / 8, "{seen:?}");
}

#[test]
fn two_switches_and_a_router() {
    let seen = compare("s2-l3/chassis/sb-dump.json", "hv1", &[], 1000);
    assert!(seen.compared * 20 > seen.cases * 19 && seen.out > seen.cases / 8, "{seen:?}");
}

#[test]
fn two_switches_and_a_router_of_ipv6_too() {
    let seen = compare("s4-dual/sb-dump.json", "hv1", &[], 1000);
    assert!(seen.compared * 20 > seen.cases * 19 && seen.out > seen.cases / 8, "{seen:?}");
}

#[test]
fn everything_at_once() {
    let more = [
        "00:00:5e:00:01:01 172.16.0.1 8.8.4.4",
        "50:54:00:00:00:03 172.16.0.102 172.16.0.200 10.0.1.100",
        "50:54:00:00:f1:01 172.16.0.101",
    ];
    let seen = compare("s3-rich/chassis/sb-dump.json", "gw1", &more, 2000);
    // About half.
    assert!(seen.compared > seen.cases * 9 / 20 && seen.out > seen.cases / 16, "{seen:?}");
}

/// Random networks, whose rows the real northd made: see `tests/data/ovn/README.md`. `MILLRACE_OVN_DUMPS` names a folder of
/// others.
#[test]
fn random_networks() {
    let folder = std::env::var_os("MILLRACE_OVN_DUMPS").map_or_else(|| file("random"), PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "no dumps in {}", folder.display());
    let more = ["00:00:5e:00:01:01 172.16.0.1 8.8.8.8 fd00:ffff::1 2001:db8::8"];
    let (mut compared, mut out, mut cases, mut choices) = (0, 0, 0, 0);
    for path in &files {
        let dump = fs::read_to_string(path).unwrap();
        let seen = compare_rows(&path.file_stem().unwrap().to_string_lossy(), &dump, "hv1", &more, 300);
        (compared, out, cases) = (compared + seen.compared, out + seen.out, cases + seen.cases);
        choices += seen.choices;
    }
    println!("{compared} of {cases}, {out} came out, {choices} of several ways");
    assert!(compared > cases * 8 / 10 && out > cases / 8, "too little is compared");
    assert!(choices > 0 || folder != file("random"), "no packet could go several ways");
}
