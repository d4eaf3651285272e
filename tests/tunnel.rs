//! Tunnels over memory ports: what leaves by one switch's uplink comes in by another's.

mod support;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use millrace::action::intent::{Intent, Neighbour};
use millrace::config::{PortKind, PortSpec};
use millrace::datapath::{Datapath, PortError, Totals};
use millrace::packet::{HeapPacket, Mac, Packet, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::tunnel::{Arrival, Endpoint, Heard, Remote, TunnelOut, Underlay, bfd};
use millrace::worker::memory::Wires;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use support::*;

const UPLINK: PortNo = PortNo(1);
const VM: PortNo = PortNo(2);
const TUNNEL: PortNo = PortNo(3);

const MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 1, 1]), Mac([2, 0, 0, 0, 1, 2])];

fn ip(text: &str) -> Ipv6Addr {
    match text.parse().unwrap() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn endpoint(host: usize) -> Endpoint {
    endpoint_with(host, None)
}

fn endpoint_with(host: usize, vlan: Option<u16>) -> Endpoint {
    let addresses = [format!("192.168.50.{}", host + 1), format!("fd00::{}", host + 1)];
    let addresses = addresses.map(|text| (text.parse().unwrap(), if text.contains(':') { 64 } else { 24 }));
    Endpoint::new(MACS[host], vlan, &addresses, 1500, true).unwrap()
}

/// The other host's addresses.
fn peers(host: usize) -> [Ipv6Addr; 2] {
    [ip(&format!("192.168.50.{}", 2 - host)), ip(&format!("fd00::{}", 2 - host))]
}

fn underlay(host: usize, is_resolved: bool) -> Option<Arc<Underlay>> {
    let endpoint = endpoint(host);
    let mac = is_resolved.then_some(MACS[1 - host]);
    let remotes = peers(host).map(|peer| Remote::new(&endpoint, peer, peer, mac).unwrap());
    Some(Arc::new(Underlay::new(UPLINK, endpoint, remotes, Some([1, 2].into()))))
}

struct Host {
    switch: Engine<MemoryBackend>,
    wires: Wires,
}

/// A switch whose VM sends through the tunnel, and gets what comes by it for that network.
fn host(number: usize) -> Host {
    let backend = MemoryBackend::default();
    let wires = backend.wires();
    let setup = [WorkerSetup { core: None, numa: -1 }];
    let mut switch =
        Engine::start(backend, &setup, Duration::from_micros(50), CacheSizes::default()).unwrap();
    for spec in [memory("uplink"), memory("vm"), PortSpec::new("geneve", PortKind::Geneve)] {
        add(&mut switch, &spec);
    }
    let generation = switch.publish_underlay(underlay(number, true));
    wait(&switch, generation);
    Host { switch, wires }
}

impl Host {
    fn sent(&self, port: &str) -> Vec<Vec<u8>> {
        let wire = self.wires.of(port).unwrap();
        std::iter::from_fn(|| wire.take()).map(|packet| packet.data().to_vec()).collect()
    }

    /// What the VM's packet became on the wire.
    fn out(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.switch.inject(VM, frame).unwrap();
        sync(&mut self.switch);
        self.sent("uplink")
    }

    /// What the VM got of a packet on the wire.
    fn deliver(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.switch.inject(UPLINK, frame).unwrap();
        sync(&mut self.switch);
        self.sent("vm")
    }

    fn accounts(&mut self, drops: &[(&str, u64)]) -> Totals {
        assert_accounts(&mut self.switch, drops)
    }
}

const FROM_TUNNEL: &str = "in_port=3,tun_id=1,tun_metadata0=0x10002 actions=output:2";

fn to(peer: &str) -> String {
    let field = if peer.contains(':') { "tun_ipv6_dst" } else { "tun_dst" };
    format!(
        "in_port=2 actions=set_field:1->tun_id,set_field:{peer}->{field},set_field:0x10002->tun_metadata0,output:3"
    )
}

#[test]
fn a_frame_comes_out_of_the_tunnel_as_it_went_in_and_the_key_says_by_which() {
    for (peer, own) in [("192.168.50.2", "192.168.50.1"), ("fd00::2", "fd00::1")] {
        let (mut one, mut other) = (host(0), host(1));
        set_flows(&mut one.switch, &[&to(peer)]);
        let (src, dst) =
            if peer.contains(':') { ("tun_ipv6_src", "tun_ipv6_dst") } else { ("tun_src", "tun_dst") };
        let exact = format!(
            "in_port=3,tun_id=1,tun_metadata0=0x10002,{src}={own},{dst}={peer},udp,nw_src=10.0.0.1 actions=output:2"
        );
        set_flows(&mut other.switch, &[&exact]);
        for number in 0..3 {
            let frame = numbered(7, number, 100);
            let wire = one.out(&frame);
            let Arrival::Tunnel(received) = endpoint(1).classify(&wire[0]) else { panic!("{wire:?}") };
            assert_eq!((received.src, received.vni, received.option), (ip(own), 1, 0x1_0002));
            assert_eq!(other.deliver(&wire[0]), [frame]);
        }
        one.accounts(&[]);
        other.accounts(&[]);
        let ports = [(&one.switch, (0, 3)), (&other.switch, (3, 0))];
        for (switch, (rx, tx)) in ports {
            let stats = switch.port_stats(TUNNEL).unwrap().switch;
            assert_eq!((stats.rx_packets, stats.rx_bytes, stats.tx_packets), (rx, rx * 100, tx));
        }
        let cache = &other.switch.perf()[0].cache;
        assert_eq!((cache.misses, cache.megaflow_hits), (1, 2), "one lookup for each: {cache:?}");
    }
}

#[test]
fn a_burst_of_new_flows_waits_with_what_its_tunnel_said() {
    let (mut one, mut other) = (host(0), host(1));
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    // Reads the port, so that each packet is a miss.
    let flows: Vec<_> =
        (0..60).map(|n| format!("in_port=3,tun_id=1,udp,tp_src={} actions=output:2", 1000 + n)).collect();
    set_flows(&mut other.switch, &flows.iter().map(String::as_str).collect::<Vec<_>>());
    let frames: Vec<_> = (0..60).map(|n| numbered(n, n.into(), 90)).collect();
    let wire = other.wires.of("uplink").unwrap();
    for frame in &frames {
        for outer in one.out(frame) {
            assert!(wire.feed(0, &outer));
        }
    }
    eventually("all came through", || other.switch.port_stats(VM).unwrap().switch.tx_packets == 60);
    assert_eq!(other.sent("vm"), frames, "in order");
    other.accounts(&[]);
}

#[test]
fn packets_wait_for_the_next_hop_in_order_and_the_control_thread_is_asked() {
    let mut one = host(0);
    let generation = one.switch.publish_underlay(underlay(0, false));
    wait(&one.switch, generation);
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    let frames: Vec<_> = (0..3).map(|n| numbered(1, n, 80)).collect();
    for frame in &frames {
        assert!(one.out(frame).is_empty());
    }
    assert_eq!(one.switch.totals().in_flight, 3);
    let hop = peers(0)[0];
    let told: Vec<_> = one.switch.intents(10).into_iter().map(|told| told.intent).collect();
    assert_eq!(told, [Intent::Resolve(hop)]);
    one.switch.neighbour_learned(Neighbour::of_underlay(hop), MACS[1]);
    let generation = one.switch.publish_underlay(underlay(0, true));
    wait(&one.switch, generation);
    sync(&mut one.switch);
    let mut sent = one.sent("uplink");
    sent.extend(one.out(&frames[0]));
    let inner: Vec<_> = sent
        .iter()
        .map(|frame| match endpoint(1).classify(frame) {
            Arrival::Tunnel(received) => number_of(&frame[usize::from(received.inner)..]).1,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(inner, [0, 1, 2, 0]);
    one.accounts(&[]);
}

#[test]
fn what_cannot_pass_is_dropped_by_name() {
    let (mut one, mut other) = (host(0), host(1));
    set_flows(&mut other.switch, &[FROM_TUNNEL]);
    let frame = numbered(0, 0, 60);
    // A network that is not known, and one that is and has no flow.
    let mut out = TunnelOut { dst: peers(0)[0], vni: 7, option: 1, ttl: 64, tos: 0 };
    let wrap = |out: &TunnelOut, from: &Endpoint| {
        let (mut packet, meta) = (HeapPacket::new(&frame), millrace::packet::PacketMeta::default());
        let remote = Remote::new(from, out.dst, out.dst, Some(MACS[1])).unwrap();
        remote.encapsulate(&mut packet, &meta, out).unwrap();
        packet.data().to_vec()
    };
    assert!(other.deliver(&wrap(&out, &endpoint(0))).is_empty());
    other.accounts(&[("tunnel_unknown_vni", 1)]);
    assert!(other.deliver(&wrap(&out, &endpoint(0))).is_empty(), "also from the cache");
    out.vni = 2;
    assert!(other.deliver(&wrap(&out, &endpoint(0))).is_empty());
    other.accounts(&[("no_match", 1), ("tunnel_unknown_vni", 2)]);
    // A stranger.
    let stranger =
        Endpoint::new(MACS[0], None, &[("192.168.50.9".parse().unwrap(), 24)], 1500, true).unwrap();
    assert!(other.deliver(&wrap(&out, &stranger)).is_empty());
    let mut bad = wrap(&out, &endpoint(0));
    bad[60] ^= 1;
    other.deliver(&bad);
    other.accounts(&[
        ("no_match", 1),
        ("tunnel_bad_checksum", 1),
        ("tunnel_unknown_peer", 1),
        ("tunnel_unknown_vni", 2),
    ]);
    // On the way out.
    for (flow, drop) in [
        (to("192.168.50.77"), ("tunnel_no_remote", 1)),
        ("in_port=2 actions=output:3".to_owned(), ("tunnel_no_remote", 2)),
    ] {
        set_flows(&mut one.switch, &[&flow]);
        assert!(one.out(&frame).is_empty());
        one.accounts(&[drop]);
    }
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    assert_eq!(one.out(&numbered(0, 0, 1456)).len(), 1);
    assert_eq!(one.out(&numbered(0, 0, 1457)).len(), 0);
    one.accounts(&[("tunnel_no_remote", 2), ("tunnel_mtu", 1)]);
    // A flood names no peer.
    set_flows(&mut one.switch, &["in_port=2 actions=ALL"]);
    assert_eq!(one.out(&frame), std::slice::from_ref(&frame));
    one.accounts(&[("tunnel_no_remote", 2), ("tunnel_mtu", 1)]);
    // Without an underlay there are no tunnels.
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    let generation = one.switch.publish_underlay(None);
    wait(&one.switch, generation);
    assert!(one.out(&frame).is_empty());
    one.accounts(&[("tunnel_no_remote", 3), ("tunnel_mtu", 1)]);
}

#[test]
fn a_longer_packet_leaves_the_tables_and_a_shorter_one_is_looked_up_once() {
    let mut one = host(0);
    let flow = "in_port=2 actions=check_pkt_larger(200)->NXM_NX_REG0[0],set_field:1->tun_id,\
                set_field:192.168.50.2->tun_dst,resubmit(,1)";
    set_flows(&mut one.switch, &[flow, "table=1,reg0=0 actions=output:3", "table=1,reg0=1 actions=IN_PORT"]);
    for n in 0..3 {
        assert_eq!(one.out(&numbered(0, n, 200)).len(), 1);
        assert!(one.out(&numbered(0, n, 201)).is_empty());
        assert_eq!(one.sent("vm"), [numbered(0, n, 201)]);
    }
    one.accounts(&[]);
    let cache = &one.switch.perf()[0].cache;
    // One of the way that all go, one of those that are longer.
    assert_eq!((cache.misses, cache.megaflow_hits), (2, 7), "{cache:?}");
}

#[test]
fn the_endpoint_answers_and_tells_what_it_hears() {
    let mut one = host(0);
    let mut arp = vec![0xff; 6];
    arp.extend(MACS[1].0);
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend(MACS[1].0);
    arp.extend([192, 168, 50, 2, 0, 0, 0, 0, 0, 0, 192, 168, 50, 1]);
    one.switch.inject(UPLINK, &arp).unwrap();
    let totals = one.accounts(&[]);
    assert_eq!((totals.injected, totals.transmitted), (1, 1));
    let sent = one.sent("uplink");
    assert_eq!(
        (&sent[0][..6], &sent[0][20..32]),
        (&MACS[1].0[..], &[[0, 2], [2, 0], [0, 0], [1, 1], [192, 168], [50, 1]].concat()[..])
    );
    // A BFD packet is told, each of them, and ends there.
    let mut control = [7; 24];
    control[..4].copy_from_slice(&[0x20, 0x40, 3, 24]);
    let inner = bfd::frame(MACS[1], 49152, &control);
    let (mut packet, meta) = (HeapPacket::new(&inner), millrace::packet::PacketMeta::default());
    let own = peers(1)[0];
    let remote = Remote::new(&endpoint(1), own, own, Some(MACS[0])).unwrap();
    remote
        .encapsulate(&mut packet, &meta, &TunnelOut { dst: own, vni: 0, option: 0, ttl: 64, tos: 0 })
        .unwrap();
    for _ in 0..2 {
        one.switch.inject(UPLINK, packet.data()).unwrap();
    }
    let totals = one.accounts(&[]);
    assert_eq!(totals.consumed, 2);
    let told = one.switch.intents(10);
    let peer = peers(0)[0];
    let heard = Heard { ip: peer, mac: MACS[1], is_answer: false, overrides: true };
    assert_eq!(told[0].intent, Intent::Heard(heard));
    for bfd in &told[1..] {
        assert_eq!((bfd.intent, bfd::control(&bfd.data)), (Intent::Bfd(peer), Some(control)));
    }
    assert_eq!(told.len(), 3);
    // Whoever claims the endpoint's address under many names is told of once.
    let claim = |last| {
        let mut arp = arp.clone();
        arp[27] = last;
        arp[28..32].copy_from_slice(&[192, 168, 50, 1]);
        arp
    };
    for last in 0..100 {
        one.switch.inject(UPLINK, &claim(last)).unwrap();
    }
    // What is announced to everybody is the tables' too, and here they know nothing of it.
    one.accounts(&[("no_match", 100)]);
    let told = one.switch.intents(1000);
    assert!((1..10).contains(&told.len()), "{}", told.len());
    assert!(matches!(told[0].intent, Intent::Claimed(ip, mac) if ip == peers(1)[0] && mac.0[5] == 0));
    // What is not the endpoint's goes to the tables.
    set_flows(&mut one.switch, &["in_port=1 actions=output:2"]);
    let frame = numbered(0, 0, 60);
    assert_eq!(one.deliver(&frame), [frame]);
}

#[test]
fn the_switch_sends_frames_of_its_own() {
    let mut one = host(0);
    let frame = numbered(0, 0, 60);
    one.switch.transmit(UPLINK, &frame).unwrap();
    let totals = one.accounts(&[]);
    assert_eq!((totals.originated, totals.transmitted), (1, 1));
    assert_eq!(one.sent("uplink"), std::slice::from_ref(&frame));
    assert_eq!(one.switch.transmit(TUNNEL, &frame), Err(PortError::NoDevice(TUNNEL)));
}

#[test]
fn the_tunnel_port_comes_and_goes_and_there_is_one_at_most() {
    let mut one = host(0);
    let second = one.switch.add_port(&PortSpec::new("other", PortKind::Geneve));
    assert!(matches!(second, Err(PortError::Device(why)) if why.contains("\"geneve\"")));
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    assert_eq!(one.out(&numbered(0, 0, 60)).len(), 1);
    remove(&mut one.switch, TUNNEL);
    assert!(one.out(&numbered(0, 0, 60)).is_empty());
    one.accounts(&[("no_such_port", 1)]);
    // What a known peer sends ends nowhere then.
    let own = peers(1)[0];
    let remote = Remote::new(&endpoint(1), own, own, Some(MACS[0])).unwrap();
    let (mut packet, meta) = (HeapPacket::new(&numbered(0, 0, 60)), millrace::packet::PacketMeta::default());
    remote
        .encapsulate(&mut packet, &meta, &TunnelOut { dst: own, vni: 1, option: 0, ttl: 64, tos: 0 })
        .unwrap();
    one.switch.inject(UPLINK, packet.data()).unwrap();
    one.accounts(&[("no_such_port", 1), ("underlay_not_handled", 1)]);
    // A port of another kind that gets its number sends as it is.
    assert_eq!(add(&mut one.switch, &memory("next")), TUNNEL);
    one.out(&numbered(0, 0, 60));
    assert_eq!(one.sent("next"), [numbered(0, 0, 60)]);
    remove(&mut one.switch, TUNNEL);
    assert_eq!(add(&mut one.switch, &PortSpec::new("again", PortKind::Geneve)), TUNNEL);
    assert_eq!(one.out(&numbered(0, 0, 60)).len(), 1);
    assert_eq!(
        one.switch.port_stats(TUNNEL).unwrap().switch.tx_packets,
        1,
        "it counts from its own beginning"
    );
}

/// Geneve packets with bytes turned at random: each is delivered, answered, dropped by name or told, and none is lost.
#[test]
fn every_mutated_packet_is_accounted_for() {
    let (mut one, mut other) = (host(0), host(1));
    set_flows(&mut one.switch, &[&to("192.168.50.2")]);
    let check = "in_port=3,tun_id=1 actions=check_pkt_larger(80)->NXM_NX_REG0[0],resubmit(,1)";
    set_flows(&mut other.switch, &[check, "table=1,reg0=0 actions=output:2", "table=1,reg0=1 actions=1,2"]);
    let mut frames: Vec<_> = [60, 100].map(|len| one.out(&numbered(0, 0, len)).remove(0)).into();
    set_flows(&mut one.switch, &[&to("fd00::2")]);
    frames.push(one.out(&numbered(0, 0, 60)).remove(0));
    let wire = other.wires.of("uplink").unwrap();
    let (mut random, mut sent) = (7u64, 0u64);
    let mut next = || {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize
    };
    for _ in 0..20_000 {
        let mut frame = frames[next() % frames.len()].clone();
        // Without an outer checksum, or hardly any change would get further.
        let udp = if frame[12..14] == [8, 0] { 34 } else { 54 };
        if next() % 4 > 0 {
            frame[udp + 6..udp + 8].fill(0);
        }
        for _ in 0..1 + next() % 3 {
            let at = if next() % 2 == 0 { udp + next() % 30 } else { next() % frame.len() };
            frame[at] = next() as u8;
        }
        if next() % 8 == 0 {
            frame.truncate(14 + next() % (frame.len() - 14));
        }
        eventually("there is room on the wire", || wire.feed(0, &frame));
        sent += 1;
        if sent % 1000 == 0 {
            other.sent("vm");
            other.sent("uplink");
            other.switch.intents(1000);
        }
    }
    eventually("all were received", || other.switch.totals().received == sent);
    sync(&mut other.switch);
    let totals = other.switch.totals();
    assert_eq!((totals.imbalance(), totals.in_flight), (0, 0), "{totals:?}");
    let drops: Vec<_> = totals.drops.iter().map(|(reason, _)| reason.name()).collect();
    for name in [
        "geneve_truncated",
        "geneve_critical_option",
        "tunnel_bad_checksum",
        "tunnel_unknown_peer",
        "no_match",
    ] {
        assert!(drops.contains(&name), "{drops:?}");
    }
    assert!(totals.transmitted > sent / 4, "{totals:?}");
}

#[test]
fn copies_for_peers_of_both_families() {
    let mut one = host(0);
    let flow = "in_port=2 actions=set_field:1->tun_id,load:0->NXM_NX_TUN_IPV4_DST[],set_field:fd00::2->tun_ipv6_dst,\
                output:3,set_field:192.168.50.2->tun_dst,output:3";
    set_flows(&mut one.switch, &[flow]);
    let types: Vec<_> = one.out(&numbered(0, 0, 60)).iter().map(|frame| (frame[12], frame[13])).collect();
    assert_eq!(types, [(0x86, 0xdd), (8, 0)]);
    one.accounts(&[]);
}

/// The frame with a tag behind its addresses.
fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &[0x81, 0], &tci.to_be_bytes(), rest].concat()
}

/// What the first host asks by ARP for the second's address.
fn question() -> Vec<u8> {
    let mut arp = vec![0xff; 6];
    arp.extend(MACS[0].0);
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend(MACS[0].0);
    arp.extend([192, 168, 50, 1, 0, 0, 0, 0, 0, 0, 192, 168, 50, 2]);
    arp
}

/// A device may leave a tag in the bytes or beside them.
fn both_ways(frame: &[u8], tci: u16) -> [HeapPacket; 2] {
    [HeapPacket::new(&tagged(frame, tci)), HeapPacket::new(frame).with_stripped(tci)]
}

/// The second host with a tag of its underlay, whose tables send what comes by the wire to the VM, and what comes by the
/// tunnel back to the wire; and what the first host sends to it, without a tag: for the endpoint, and for others.
fn beside(vlan: Option<u16>) -> (Host, [Vec<u8>; 3], Vec<u8>) {
    let (mut one, mut other) = (host(0), host(1));
    set_flows(&mut one.switch, &[&to("192.168.50.2"), "in_port=1 actions=drop"]);
    let inner = numbered(1, 5, 100);
    let wrapped = one.out(&inner).remove(0);
    let endpoint = endpoint_with(1, vlan);
    let remotes = peers(1).map(|peer| Remote::new(&endpoint, peer, peer, Some(MACS[0])).unwrap());
    let underlay = Underlay::new(UPLINK, endpoint, remotes, Some([1, 2].into()));
    let generation = other.switch.publish_underlay(Some(Arc::new(underlay)));
    wait(&other.switch, generation);
    set_flows(&mut other.switch, &["in_port=1 actions=output:2", "in_port=3,tun_id=1 actions=output:1"]);
    (other, [wrapped, question(), numbered(2, 6, 80)], inner)
}

/// Feeds a burst, and gives what went to the VM and to the wire.
fn fed(host: &mut Host, packets: Vec<HeapPacket>) -> [Vec<Vec<u8>>; 2] {
    let before = host.switch.totals().received;
    let count = packets.len() as u64;
    let wire = host.wires.of("uplink").unwrap();
    packets.into_iter().for_each(|packet| assert!(wire.feed_packet(0, packet)));
    eventually("all were received", || host.switch.totals().received == before + count);
    sync(&mut host.switch);
    ["vm", "uplink"].map(|port| host.sent(port))
}

#[test]
fn tagged_frames_beside_an_underlay_without_a_tag_are_of_the_tables_and_keep_it() {
    let (mut other, frames, inner) = beside(None);
    // The highest priority of VLAN 7; of VLAN 0, as who knows no VLAN may say a priority.
    for tci in [0xe007, 0xe000, 0x0007] {
        for frame in &frames {
            for packet in both_ways(frame, tci) {
                assert_eq!(fed(&mut other, vec![packet]), [vec![tagged(frame, tci)], vec![]]);
            }
        }
    }
    // Between frames that are the endpoint's, in one burst.
    let mut burst: Vec<_> = frames.iter().flat_map(|frame| both_ways(frame, 7)).collect();
    burst.insert(3, HeapPacket::new(&frames[0]));
    burst.insert(1, HeapPacket::new(&frames[2]));
    let to_vm = [&tagged(&frames[0], 7), &frames[2], &tagged(&frames[0], 7)].map(Vec::clone);
    let to_vm =
        to_vm.into_iter().chain(frames[1..].iter().flat_map(|frame| [tagged(frame, 7), tagged(frame, 7)]));
    assert_eq!(fed(&mut other, burst), [to_vm.collect(), vec![inner]]);
    other.accounts(&[]);
}

#[test]
fn frames_of_other_vlans_beside_an_underlay_with_a_tag_are_of_the_tables_and_keep_theirs() {
    let (mut other, frames, inner) = beside(Some(7));
    for frame in &frames {
        let plain = fed(&mut other, vec![HeapPacket::new(frame)]);
        assert_eq!(plain, [vec![frame.clone()], vec![]]);
        for tci in [0xe008, 0x0000] {
            for packet in both_ways(frame, tci) {
                assert_eq!(fed(&mut other, vec![packet]), [vec![tagged(frame, tci)], vec![]]);
            }
        }
        // Two tags, of which the outer one is the underlay's.
        for packet in both_ways(&tagged(frame, 9), 7) {
            assert_eq!(fed(&mut other, vec![packet]), [vec![tagged(&tagged(frame, 9), 7)], vec![]]);
        }
    }
    // The underlay's tag, with a priority: what is the endpoint's, and what is not and keeps one tag.
    let [wrapped, question, others] = &frames;
    for packet in both_ways(wrapped, 0xe007) {
        assert_eq!(fed(&mut other, vec![packet]), [vec![], vec![inner.clone()]]);
    }
    for packet in both_ways(question, 7) {
        let [to_vm, sent] = fed(&mut other, vec![packet]);
        assert_eq!(
            (to_vm.len(), sent.len(), &sent[0][..6], &sent[0][12..16]),
            (0, 1, &MACS[0].0[..], &[0x81, 0, 0, 7][..])
        );
    }
    for packet in both_ways(others, 7) {
        assert_eq!(fed(&mut other, vec![packet]), [vec![tagged(others, 7)], vec![]]);
    }
    let burst = both_ways(others, 7).into_iter().chain(both_ways(wrapped, 7)).chain(both_ways(others, 8));
    let to_vm = [7, 7, 8, 8].map(|tci| tagged(others, tci)).to_vec();
    assert_eq!(fed(&mut other, burst.collect()), [to_vm, vec![inner.clone(), inner]]);
    other.accounts(&[]);
}

/// It is the tables of its network that a packet has left which comes back to a frozen context.
#[test]
fn what_is_dropped_behind_a_frozen_context_is_not_of_an_unknown_network() {
    let (mut one, mut other) = (host(0), host(1));
    set_flows(&mut one.switch, &[&to("192.168.50.2").replace("set_field:1->", "set_field:9->")]);
    let flows = [
        "in_port=3,tun_id=9 actions=check_pkt_larger(90)->NXM_NX_REG0[0],resubmit(,1)",
        "table=1,reg0=0 actions=output:2",
    ];
    set_flows(&mut other.switch, &flows);
    let [short, long] = [60, 100].map(|len| one.out(&numbered(0, 0, len)).remove(0));
    assert_eq!(other.deliver(&short).len(), 1);
    for count in 1..3 {
        assert!(other.deliver(&long).is_empty());
        other.accounts(&[("no_match", count)]);
    }
    // One that meets no flow of its network, which is none of those that are known.
    set_flows(&mut other.switch, &["in_port=3,tun_id=1 actions=output:2"]);
    assert!(other.deliver(&long).is_empty());
    other.accounts(&[("no_match", 2), ("tunnel_unknown_vni", 1)]);
}

/// What hosts of the underlay say, far more than the ring has room for, each thing another one.
fn flood(of: &str) -> Vec<Vec<u8>> {
    let from = |number: u32| Mac::from_u64(0x0200_0000_0000 | u64::from(number));
    let announcement = |number: u32| {
        let mut arp = vec![0xff; 6];
        arp.extend(from(number).0);
        arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        for _ in 0..2 {
            arp.extend(from(number).0);
            arp.extend([192, 168, 50, 2]);
        }
        arp
    };
    let mut control = [7; 24];
    control[..4].copy_from_slice(&[0x20, 0x40, 3, 24]);
    let (mut packet, meta) =
        (HeapPacket::new(&bfd::frame(MACS[1], 49152, &control)), millrace::packet::PacketMeta::default());
    let own = peers(1)[0];
    let out = TunnelOut { dst: own, vni: 0, option: 0, ttl: 64, tos: 0 };
    Remote::new(&endpoint(1), own, own, Some(MACS[0]))
        .unwrap()
        .encapsulate(&mut packet, &meta, &out)
        .unwrap();
    (0..3000)
        .map(|number| match of {
            "announcements" => announcement(number),
            _ => packet.data().to_vec(),
        })
        .collect()
}

#[test]
fn neither_announcements_nor_bfd_keep_the_other_from_being_told() {
    let kinds = ["announcements", "BFD"];
    for (first, second) in [(0, 1), (1, 0)] {
        let mut one = host(0);
        let wire = one.wires.of("uplink").unwrap();
        let frames = flood(kinds[first]);
        let count = frames.len() as u64;
        frames.iter().for_each(|frame| assert!(wire.feed(0, frame)));
        eventually("all were received", || one.switch.totals().received == count);
        one.switch.inject(UPLINK, &flood(kinds[second])[0]).unwrap();
        sync(&mut one.switch);
        let told = one.switch.intents(10_000);
        let is_bfd = |told: &millrace::datapath::Told| matches!(told.intent, Intent::Bfd(_));
        let (bfd, others): (Vec<_>, Vec<_>) = told.into_iter().partition(is_bfd);
        let counts = if first == 0 { [others.len(), bfd.len()] } else { [bfd.len(), others.len()] };
        // Of one peer's BFD less is told: its own share is smaller.
        let share = if first == 0 { 100..400 } else { 4..400 };
        assert!(share.contains(&counts[0]), "a share of the ring: {counts:?}");
        assert_eq!(counts[1], 1, "{} behind {}", kinds[second], kinds[first]);
        // Of a stranger nothing is told.
        let mut stranger = flood("announcements").remove(0);
        [31, 41].into_iter().for_each(|at| stranger[at] = 77);
        one.switch.inject(UPLINK, &stranger).unwrap();
        sync(&mut one.switch);
        assert!(one.switch.intents(10_000).is_empty());
    }
}
