//! The tracer, which interprets logical flows one by one, beside the switch, whose workers meet what the same rows were
//! lowered to: a random packet comes out of the same ports, with the same Ethernet addresses and TTL, by the tables and by
//! the caches.
//!
//! Nothing is learned here, so that both keep to the same rows. What the switch cannot do yet is left out and counted.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use etherparse::PacketBuilder;
use millrace::control::commands::{Session, answer};
use millrace::control::jsonrpc::{Id, Param, Request};
use millrace::control::switch::Switch;
use millrace::logical::rows::tables::PortBinding;
use millrace::logical::rows::{Store, Uuid};
use millrace::logical::trace::{self, Form, Tracer};
use millrace::packet::{Mac, Packet};
use millrace::pipeline::cache::CacheSizes;
use millrace::worker::memory::Wires;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use ovn::read;
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
    ports: Vec<String>,
}

impl Still {
    fn start(chassis: &str, dump: &str) -> Self {
        let backend = MemoryBackend::default();
        let wires = backend.wires();
        let setups = [WorkerSetup { core: None, numa: -1 }];
        let engine =
            Engine::start(backend, &setups, Duration::from_micros(50), CacheSizes::default()).unwrap();
        let switch = Rc::new(Switch::new("still", Box::new(engine)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut still = Self { runtime, switch, session: Session::default(), wires, ports: Vec::new() };
        still.ask("sbctl/load", &[&format!("--chassis={chassis}"), dump]);
        // Every port that has a wire.
        let wired = |row: &PortBinding| ["", "localnet"].contains(&row.kind.as_str());
        let store = still.store();
        still.ports = store
            .iter::<PortBinding>()
            .filter(|(_, row)| wired(row))
            .map(|(_, row)| row.logical_port.clone())
            .collect();
        still.ports.sort();
        for port in still.ports.clone() {
            still.ask("port/add", &[&port, "type=memory", &format!("iface_id={port}")]);
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

    /// What comes out for a frame.
    fn forward(&mut self, packet: &Sample) -> Vec<Out> {
        let hex: String = packet.frame.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask("inject", &[&packet.port, &hex]);
        let mut out = Vec::new();
        for name in &self.ports {
            let wire = self.wires.of(name).unwrap();
            while let Some(frame) = wire.take() {
                out.push(Out::of(name, frame.data()));
            }
        }
        out.sort();
        out
    }
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

/// What the tracer says comes out, or why that is not to be compared.
fn traced(tracer: &Tracer, sample: &Sample) -> Result<Vec<Out>, &'static str> {
    let request = trace::Request { microflow: sample.microflow.clone(), ..trace::Request::default() };
    let trace = tracer.run(&request).unwrap_or_else(|error| panic!("{}: {error}", sample.microflow));
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
            let copy = Out { ttl, dst, ..packet.clone() };
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

/// A packet, and the same as a microflow.
#[derive(Debug)]
struct Sample {
    port: String,
    frame: Vec<u8>,
    microflow: String,
}

/// Somebody with an Ethernet address and others.
#[derive(Clone, Debug)]
struct Station {
    mac: Mac,
    ips: Vec<IpAddr>,
}

impl Station {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mac = words.next()?.parse().ok()?;
        let ips = words.filter_map(|word| word.split('/').next()?.parse().ok()).collect();
        Some(Self { mac, ips })
    }

    fn of(row: &PortBinding) -> Vec<Self> {
        row.mac.iter().filter_map(|text| Self::read(text)).collect()
    }
}

/// What packets of a network are made of.
struct Pool {
    /// Ports that packets come in by: their datapaths, who is behind them, and the gateways of their networks.
    ports: Vec<(String, Vec<Station>, Vec<Station>)>,
    everybody: Vec<Station>,
}

impl Pool {
    fn new(store: &Store, ports: &[String], more: &[&str]) -> Self {
        let rows: Vec<&PortBinding> = store.iter::<PortBinding>().map(|(_, row)| &**row).collect();
        let mut everybody: Vec<Station> = rows.iter().flat_map(|row| Station::of(row)).collect();
        everybody.extend(more.iter().filter_map(|text| Station::read(text)));
        let gateways = |datapath: Uuid| {
            let peers = rows.iter().filter(move |row| row.datapath == datapath);
            let peers = peers.filter_map(|row| store.port(row.options.get("peer")?));
            peers.flat_map(|(_, row)| Station::of(row)).collect::<Vec<_>>()
        };
        let port = |name: &String| {
            let (_, row) = store.port(name).unwrap();
            let mut own = Station::of(row);
            if own.is_empty() {
                own = more.iter().filter_map(|text| Station::read(text)).collect();
            }
            (name.clone(), own, gateways(row.datapath))
        };
        Self { ports: ports.iter().map(port).collect(), everybody }
    }
}

/// Decisions, one after the other; smaller numbers are plainer packets.
struct Picks<'a>(std::slice::Iter<'a, u32>);

impl Picks<'_> {
    fn number(&mut self) -> usize {
        self.0.next().copied().unwrap_or(0) as usize
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.number() % of.len()]
    }

    /// An address of somebody's of this family.
    fn ip(&mut self, of: &[Station], v6: bool) -> IpAddr {
        let ips: Vec<IpAddr> = of
            .iter()
            .flat_map(|station| station.ips.iter().copied())
            .filter(|ip| ip.is_ipv6() == v6)
            .collect();
        let none: IpAddr =
            if v6 { Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 9).into() } else { [10, 9, 9, 9].into() };
        if ips.is_empty() { none } else { *self.one(&ips) }
    }
}

const BROADCAST: Mac = Mac([0xff; 6]);
const UNKNOWN: Mac = Mac([0x02, 0, 0, 0, 0x77, 0x77]);

fn v4(ip: IpAddr) -> Ipv4Addr {
    match ip {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V6(ip) => ip,
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
    }
}

fn arp(src: Mac, dst: Mac, op: u8, spa: Ipv4Addr, tha: Mac, tpa: Ipv4Addr) -> Vec<u8> {
    let head = [&dst.0[..], &src.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, op]].concat();
    [&head[..], &src.0, &spa.octets(), &tha.0, &tpa.octets(), &[0; 18]].concat()
}

fn sample(pool: &Pool, numbers: &[u32]) -> Sample {
    let mut picks = Picks(numbers.iter());
    let (port, own, gateways) = picks.one(&pool.ports);
    let me = picks.one(own).clone();
    let src = if picks.number() % 16 == 15 { UNKNOWN } else { me.mac };
    let has_v6 = pool.everybody.iter().flat_map(|station| &station.ips).any(IpAddr::is_ipv6);
    let kinds: &[u8] =
        if has_v6 { &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } else { &[0, 1, 2, 5, 6, 7, 2, 3, 8] };
    let kind = *picks.one(kinds);
    let is_v6 = [3, 4, 8, 9, 10].contains(&kind);
    let to_gateway = picks.number() % 8;
    let dst_ip = match picks.number() % 16 {
        15 if is_v6 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
        14 if is_v6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7).into(),
        15 => [224, 0, 0, 5].into(),
        14 => [255, 255, 255, 255].into(),
        13 => [8, 8, 8, 8].into(),
        12 => [192, 168, 1, 99].into(),
        _ => picks.ip(&pool.everybody, is_v6),
    };
    let src_ip = match picks.number() % 16 {
        15 => picks.ip(&pool.everybody, is_v6),
        _ => picks.ip(std::slice::from_ref(&me), is_v6),
    };
    let whose = pool.everybody.iter().find(|station| station.ips.contains(&dst_ip));
    let dst = match to_gateway {
        0..4 if !gateways.is_empty() => picks.one(gateways).mac,
        4 | 5 => whose.map_or(UNKNOWN, |station| station.mac),
        6 => picks.one(&pool.everybody).mac,
        _ => *picks.one(&[BROADCAST, UNKNOWN, Mac([1, 0, 0x5e, 0, 0, 5]), Mac([0x33, 0x33, 0, 0, 0, 1])]),
    };
    let ttl = *picks.one(&[64u8, 64, 255, 2, 1]);
    let (tp_src, tp_dst) =
        (1000 + (picks.number() % 8) as u16, *picks.one(&[9u16, 80, 443, 5432, 3306, 33434]));
    let start = format!("inport == \"{port}\" && eth.src == {src} && eth.dst == ");
    let l3 = |dst: Mac, ttl: u8| {
        let family = if is_v6 { "ip6" } else { "ip4" };
        format!("{start}{dst} && {family}.src == {src_ip} && {family}.dst == {dst_ip} && ip.ttl == {ttl}")
    };
    let ip = |dst: Mac, ttl: u8| {
        let eth = PacketBuilder::ethernet2(src.0, dst.0);
        match is_v6 {
            true => eth.ipv6(v6(src_ip).octets(), v6(dst_ip).octets(), ttl),
            false => eth.ipv4(v4(src_ip).octets(), v4(dst_ip).octets(), ttl),
        }
    };
    let mut frame = Vec::new();
    let microflow = match kind {
        // Requests and answers for addresses.
        0 | 5 => {
            let op = if kind == 0 { 1 } else { 2 };
            let dst = if kind == 0 && to_gateway < 6 { BROADCAST } else { dst };
            let (spa, tpa) = (v4(src_ip), v4(dst_ip));
            let tha = if kind == 0 { Mac([0; 6]) } else { dst };
            frame = arp(src, dst, op, spa, tha, tpa);
            format!(
                "{start}{dst} && arp.op == {op} && arp.sha == {src} && arp.spa == {spa} && arp.tha == {tha} && arp.tpa == {tpa}"
            )
        }
        8 | 9 => {
            let (icmp_type, option) = if kind == 8 { (135, "nd.sll") } else { (136, "nd.tll") };
            let target = v6(dst_ip).octets();
            let body = [&target[..], &[if kind == 8 { 1 } else { 2 }, 1], &src.0].concat();
            let built = ip(dst, 255).icmpv6_raw(icmp_type, 0, [0; 4]);
            built.write(&mut frame, &body).unwrap();
            let l3 = l3(dst, 255);
            format!(
                "{l3} && icmp6.type == {icmp_type} && icmp6.code == 0 && nd.target == {dst_ip} && {option} == {src}"
            )
        }
        1 | 6 => {
            ip(dst, ttl).icmpv4_echo_request(7, 9).write(&mut frame, &[7; 40]).unwrap();
            format!("{} && icmp4.type == 8 && icmp4.code == 0", l3(dst, ttl))
        }
        3 => {
            ip(dst, ttl).icmpv6_echo_request(7, 9).write(&mut frame, &[7; 40]).unwrap();
            format!("{} && icmp6.type == 128 && icmp6.code == 0", l3(dst, ttl))
        }
        2 | 4 => {
            ip(dst, ttl).udp(tp_src, tp_dst).write(&mut frame, &[7; 40]).unwrap();
            format!("{} && udp.src == {tp_src} && udp.dst == {tp_dst}", l3(dst, ttl))
        }
        _ => {
            ip(dst, ttl).tcp(tp_src, tp_dst, 0, 0).syn().write(&mut frame, &[]).unwrap();
            let l3 = l3(dst, ttl);
            format!("{l3} && tcp.src == {tp_src} && tcp.dst == {tp_dst} && tcp.flags == 2")
        }
    };
    Sample { port: port.clone(), frame, microflow }
}

#[derive(Debug, Default)]
struct Seen {
    cases: u32,
    compared: u32,
    /// Of them, packets that came out somewhere.
    out: u32,
    left_out: BTreeMap<&'static str, u32>,
    kinds: BTreeSet<Vec<Out>>,
}

fn compare(scenario: &str, chassis: &str, more: &[&str], cases: u32) -> Seen {
    // PROPTEST_CASES makes it longer.
    let cases = cases * ProptestConfig::default().cases.max(256) / 256;
    let still = RefCell::new(Still::start(chassis, &read(scenario)));
    let store = still.borrow().store();
    let pool = Pool::new(&store, &still.borrow().ports, more);
    let tracer = Tracer::new(store);
    let seen = RefCell::new(Seen { cases, ..Seen::default() });
    let mut runner =
        TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&prop::collection::vec(any::<u32>(), 14), |numbers| {
        let sample = sample(&pool, &numbers);
        let mut seen = seen.borrow_mut();
        let theirs = match traced(&tracer, &sample) {
            Ok(theirs) => theirs,
            Err(needs) => {
                *seen.left_out.entry(needs).or_default() += 1;
                return Ok(());
            }
        };
        for way in ["by the tables", "by the caches"] {
            let ours = still.borrow_mut().forward(&sample);
            prop_assert!(
                agree(&theirs, &ours),
                "{way}\n  {}\n  traced {theirs:?}\n  ours   {ours:?}",
                sample.microflow
            );
        }
        seen.compared += 1;
        seen.out += u32::from(!theirs.is_empty());
        seen.kinds.insert(theirs);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{scenario}: {error}");
    }
    let stats: serde_json::Value =
        serde_json::from_str(&still.borrow_mut().ask("stats", &["--json"])).unwrap();
    assert_eq!(stats["imbalance"], 0, "{stats:#}");
    let seen = seen.into_inner();
    println!(
        "{scenario}: {} of {cases} compared, {} came out, {} different answers; left out, for they need {:?}",
        seen.compared,
        seen.out,
        seen.kinds.len(),
        seen.left_out
    );
    seen
}

#[test]
fn a_switch() {
    let seen = compare("s1-l2/chassis/sb-dump.json", "hv1", &[], 500);
    assert!(seen.compared == seen.cases && seen.out > seen.cases / 2, "{seen:?}");
}

#[test]
fn two_switches_and_a_router() {
    let seen = compare("s2-l3/chassis/sb-dump.json", "hv1", &[], 1000);
    assert!(seen.compared == seen.cases && seen.out > seen.cases / 5, "{seen:?}");
}

#[test]
fn two_switches_and_a_router_of_ipv6_too() {
    let seen = compare("s4-dual/sb-dump.json", "hv1", &[], 1000);
    assert!(seen.compared == seen.cases && seen.out > seen.cases / 4, "{seen:?}");
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
    assert!(seen.compared > seen.cases * 9 / 20 && seen.out > seen.cases / 10, "{seen:?}");
}
