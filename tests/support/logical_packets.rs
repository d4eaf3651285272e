//! Random packets for the ports of a logical network, as frames and as microflows.
#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use millrace::logical::rows::tables::{LogicalFlow, PortBinding};
use millrace::logical::rows::{Store, Uuid};
use millrace::packet::Mac;

/// A packet, and the same as a microflow.
#[derive(Debug)]
pub struct Sample {
    pub port: String,
    pub frame: Vec<u8>,
    pub microflow: String,
}

/// Somebody with an Ethernet address and others.
#[derive(Clone, Debug)]
pub struct Station {
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
pub struct Pool {
    /// Ports that packets come in by: their datapaths, who is behind them, and the gateways of their networks.
    ports: Vec<(String, Vec<Station>, Vec<Station>)>,
    everybody: Vec<Station>,
}

impl Pool {
    pub fn new(store: &Store, ports: &[String], more: &[&str]) -> Self {
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
        let far = Station { mac: UNKNOWN, ips: destinations(store) };
        everybody.push(far);
        Self { ports: ports.iter().map(port).collect(), everybody }
    }
}

/// An address in each network that flows match as destination.
fn destinations(store: &Store) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    for (_, flow) in store.iter::<LogicalFlow>() {
        for text in flow.matches.split("ip4.dst == ").chain(flow.matches.split("ip6.dst == ")).skip(1) {
            let network = text.split_once('/').and_then(|(network, _)| network.parse().ok());
            found.extend(network.map(|network| match network {
                IpAddr::V4(ip) => IpAddr::from(Ipv4Addr::from_bits(ip.to_bits() | 7)),
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | 7).into(),
            }));
        }
    }
    found.into_iter().collect()
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

pub fn sample(pool: &Pool, numbers: &[u32]) -> Sample {
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
        10 | 11 => picks.ip(pool.everybody.last().map_or(&[], std::slice::from_ref), is_v6),
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
