//! The uplink's odd packets, over memory ports: tags beside the bytes, checksums left open, announcements that concern
//! others too, BFD that nobody asked for.

mod support;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use millrace::action::intent::{Intent, Neighbour};
use millrace::config::{PortKind, PortSpec};
use millrace::datapath::Datapath;
use millrace::packet::{Field, HeapPacket, Mac, Packet, PacketMeta, PortNo};
use millrace::pipeline::Match;
use millrace::pipeline::cache::CacheSizes;
use millrace::tunnel::resolve::{Resolver, Spec};
use millrace::tunnel::{Endpoint, Heard, Remote, TunnelOut, Underlay, bfd};
use millrace::worker::memory::Wires;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use support::*;

const UPLINK: PortNo = PortNo(1);
const VM: PortNo = PortNo(2);
const TUNNEL: PortNo = PortNo(3);

const OWN: Mac = Mac([2, 0, 0, 0, 1, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 1, 2]);

fn ip(text: &str) -> Ipv6Addr {
    match text.parse().unwrap() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// Of the host of that number, with addresses of these families.
fn endpoint(mac: Mac, vlan: Option<u16>, number: u8, families: &str) -> Endpoint {
    let addresses = families.chars().map(|family| match family {
        '4' => (format!("192.168.50.{number}").parse().unwrap(), 24),
        _ => (format!("fd00::{number}").parse().unwrap(), 64),
    });
    Endpoint::new(mac, vlan, &addresses.collect::<Vec<_>>(), 1500, true).unwrap()
}

/// Host 1, with host 2 as its peer.
fn underlay(vlan: Option<u16>, families: &str, hop: Option<Mac>) -> Underlay {
    let own = endpoint(OWN, vlan, 1, families);
    let peers = ["192.168.50.2", "fd00::2"].map(ip);
    let remotes = peers.into_iter().filter_map(|peer| Remote::new(&own, peer, peer, hop));
    Underlay::new(UPLINK, own.clone(), remotes.collect::<Vec<_>>(), None)
}

struct Host {
    switch: Engine<MemoryBackend>,
    wires: Wires,
}

impl Host {
    fn new(underlay: Underlay) -> Self {
        let backend = MemoryBackend::default();
        let wires = backend.wires();
        let setup = [WorkerSetup { core: None, numa: -1 }];
        let mut switch =
            Engine::start(backend, &setup, Duration::from_micros(50), CacheSizes::default()).unwrap();
        for spec in [memory("uplink"), memory("vm"), PortSpec::new("geneve", PortKind::Geneve)] {
            add(&mut switch, &spec);
        }
        let mut host = Self { switch, wires };
        host.publish(underlay);
        host
    }

    fn publish(&mut self, underlay: Underlay) {
        let generation = self.switch.publish_underlay(Some(Arc::new(underlay)));
        wait(&self.switch, generation);
    }

    fn sent(&self, port: &str) -> Vec<Vec<u8>> {
        let wire = self.wires.of(port).unwrap();
        std::iter::from_fn(|| wire.take()).map(|packet| packet.data().to_vec()).collect()
    }

    /// What the VM got of a packet that the uplink's device received.
    fn receive(&mut self, packet: HeapPacket) -> Vec<Vec<u8>> {
        let before = self.switch.totals().received;
        assert!(self.wires.of("uplink").unwrap().feed_packet(0, packet));
        eventually("it was received", || self.switch.totals().received > before);
        sync(&mut self.switch);
        self.sent("vm")
    }

    fn told(&mut self) -> Vec<Intent> {
        self.switch.intents(1000).into_iter().map(|told| told.intent).collect()
    }
}

/// What the peer sends by a tunnel to host 1.
fn tunnelled(vlan: Option<u16>, to: &str, vni: u32, inner: &[u8]) -> Vec<u8> {
    let (mut packet, meta) = (HeapPacket::new(inner), PacketMeta::default());
    let remote = Remote::new(&endpoint(PEER, vlan, 2, "46"), ip(to), ip(to), Some(OWN)).unwrap();
    let out = TunnelOut { dst: ip(to), vni, option: 0x1_0002, ttl: 64, tos: 0 };
    remote.encapsulate(&mut packet, &meta, &out).unwrap();
    packet.data().to_vec()
}

fn tagged(frame: &[u8], vlan: u8) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, vlan], &frame[12..]].concat()
}

#[test]
fn a_tag_that_the_device_took_out_is_put_back_once() {
    let mut host = Host::new(underlay(Some(7), "4", Some(PEER)));
    set_flows(&mut host.switch, &["in_port=1 actions=output:2", "in_port=3 actions=output:2"]);
    let frame = numbered(1, 2, 80);
    for vlan in [7, 9] {
        let stripped = HeapPacket::new(&frame).with_stripped(vlan);
        assert_eq!(host.receive(stripped), [tagged(&frame, vlan as u8)], "VLAN {vlan}");
    }
    assert_eq!(host.receive(HeapPacket::new(&frame)), std::slice::from_ref(&frame));
    // Those for the endpoint have it too.
    let outer = tunnelled(Some(7), "192.168.50.1", 1, &frame);
    let bare = [&outer[..12], &outer[16..]].concat();
    assert_eq!(host.receive(HeapPacket::new(&bare).with_stripped(7)), std::slice::from_ref(&frame));
    assert!(host.receive(HeapPacket::new(&bare).with_stripped(8)) != [frame]);
    assert_accounts(&mut host.switch, &[]);
}

#[test]
fn a_live_trace_sees_frames_of_another_vlan() {
    let mut host = Host::new(underlay(Some(7), "4", Some(PEER)));
    let mut filter = Match::default();
    filter.set(Field::InPort, UPLINK.0.into());
    let frame = numbered(1, 2, 80);
    for vlan in [7, 9] {
        host.switch.look_for(Some(filter.clone()));
        sync(&mut host.switch);
        host.receive(HeapPacket::new(&frame).with_stripped(vlan));
        let mut caught = None;
        eventually("it was caught", || {
            caught = caught.take().or_else(|| host.switch.caught());
            caught.is_some()
        });
        assert_eq!(caught.unwrap().data, tagged(&frame, vlan as u8));
    }
}

#[test]
fn a_checksum_that_the_sender_left_open_is_none_that_is_wrong() {
    let mut host = Host::new(underlay(None, "46", Some(PEER)));
    set_flows(&mut host.switch, &["in_port=3 actions=output:2"]);
    let inner = numbered(1, 2, 80);
    for (to, field) in [("192.168.50.1", 40), ("fd00::1", 60)] {
        let mut outer = tunnelled(None, to, 1, &inner);
        assert_eq!(host.receive(HeapPacket::new(&outer)), std::slice::from_ref(&inner));
        outer[field] ^= 0x55;
        assert_eq!(host.receive(HeapPacket::new(&outer).with_open_checksum()), std::slice::from_ref(&inner));
        assert!(host.receive(HeapPacket::new(&outer)).is_empty());
    }
    // What is wrong elsewhere stays wrong.
    let mut odd = tunnelled(None, "192.168.50.1", 1, &inner);
    odd[24] ^= 1;
    assert!(host.receive(HeapPacket::new(&odd).with_open_checksum()).is_empty());
    assert_accounts(&mut host.switch, &[("tunnel_bad_checksum", 2), ("underlay_malformed", 1)]);
}

/// What a host says of itself when it comes: by ARP and by neighbour discovery.
fn announcements(mac: Mac, number: u8, families: &str) -> Vec<Vec<u8>> {
    let endpoint = endpoint(mac, None, number, families);
    let spec = Spec { uplink: UPLINK, endpoint, routes: Vec::new() };
    Resolver::new(spec).unwrap().tick(0)
}

#[test]
fn what_is_announced_to_everybody_is_the_tables_as_well() {
    let mut host = Host::new(underlay(None, "46", Some(PEER)));
    set_flows(&mut host.switch, &["in_port=1 actions=output:2"]);
    let another = Mac([2, 0, 0, 0, 1, 9]);
    // Of somebody of no concern nothing is told.
    for frame in announcements(another, 9, "46") {
        assert_eq!(host.receive(HeapPacket::new(&frame)), [frame]);
    }
    assert_eq!(host.told(), []);
    // A next hop, and somebody who claims an address of the endpoint.
    for (number, families) in [(2, ["192.168.50.2", "fd00::2"]), (1, ["192.168.50.1", "fd00::1"])] {
        for (frame, said) in announcements(another, number, "46").into_iter().zip(families) {
            assert_eq!(host.receive(HeapPacket::new(&frame)), [frame]);
            let heard = Heard { ip: ip(said), mac: another, is_answer: false, overrides: true };
            let claimed = Intent::Claimed(ip(said), another);
            assert_eq!(host.told(), [if number == 1 { claimed } else { Intent::Heard(heard) }]);
        }
    }
    // What is for the endpoint alone goes no further.
    let mut request = announcements(another, 9, "4").remove(0);
    request[38..42].copy_from_slice(&[192, 168, 50, 1]);
    assert!(host.receive(HeapPacket::new(&request)).is_empty());
    assert_eq!(host.sent("uplink").len(), 1, "it is answered");
    let totals = assert_accounts(&mut host.switch, &[]);
    assert_eq!(totals.consumed, 0);
}

#[test]
fn without_an_ipv6_address_neighbour_discovery_is_others_business() {
    let mut host = Host::new(underlay(None, "4", Some(PEER)));
    set_flows(&mut host.switch, &["in_port=1 actions=output:2"]);
    let addresses = [("fe80::9".parse().unwrap(), 64)];
    let endpoint = Endpoint::new(PEER, None, &addresses, 1500, true).unwrap();
    let mut resolver = Resolver::new(Spec { uplink: UPLINK, endpoint, routes: Vec::new() }).unwrap();
    let said = resolver.tick(0).remove(0);
    assert_eq!(host.receive(HeapPacket::new(&said)), std::slice::from_ref(&said));
    // To the endpoint's own Ethernet address too, as a router of a network behind the port has it.
    let unicast = [&OWN.0[..], &said[6..]].concat();
    assert_eq!(host.receive(HeapPacket::new(&unicast)), [unicast]);
    assert_eq!(host.told(), []);
}

/// What the peer says by BFD, with an address of either family.
fn bfd_packet(to: &str) -> Vec<u8> {
    let mut control = [7; 24];
    control[..4].copy_from_slice(&[0x20, 0x40, 3, 24]);
    tunnelled(None, to, 0, &bfd::frame(PEER, 49152, &control))
}

#[test]
fn a_flood_of_bfd_of_one_peer_leaves_room_for_anothers() {
    let mut host = Host::new(underlay(None, "46", Some(PEER)));
    let (flood, other) = (bfd_packet("192.168.50.1"), bfd_packet("fd00::1"));
    let wire = host.wires.of("uplink").unwrap();
    let mut told = Vec::new();
    for n in 0..5000 {
        eventually("there is room on the wire", || wire.feed(0, &flood));
        // As the control thread does all the time.
        if n % 100 == 0 {
            told.extend(host.told());
        }
    }
    eventually("there is room on the wire", || wire.feed(0, &other));
    eventually("all were received", || host.switch.totals().received == 5001);
    let totals = assert_accounts(&mut host.switch, &[]);
    told.extend(host.told());
    let of = |peer: &str| told.iter().filter(|told| **told == Intent::Bfd(ip(peer))).count();
    assert_eq!(of("fd00::2"), 1, "{} of the other", of("192.168.50.2"));
    assert_eq!(totals.consumed, 5001);
    assert!(of("192.168.50.2") > 0 && totals.intents_suppressed > 0, "{totals:?}");
}

#[test]
fn bfd_is_not_told_where_none_is_run() {
    let mut without = underlay(None, "46", Some(PEER));
    without.has_bfd = false;
    let mut host = Host::new(without);
    for to in ["192.168.50.1", "fd00::1"] {
        host.receive(HeapPacket::new(&bfd_packet(to)));
    }
    assert_accounts(&mut host.switch, &[("underlay_not_handled", 2)]);
    assert_eq!(host.told(), []);
}

#[test]
fn packets_that_wait_for_a_next_hop_are_counted_when_they_leave() {
    for vlan in [None, Some(7)] {
        let mut host = Host::new(underlay(vlan, "46", None));
        let to = |peer: &str| {
            format!(
                "in_port=2 actions=set_field:1->tun_id,set_field:{peer},set_field:0x10002->tun_metadata0,output:3"
            )
        };
        let mut leaves = (0, 0);
        for (round, peer) in ["192.168.50.2->tun_dst", "fd00::2->tun_ipv6_dst"].into_iter().enumerate() {
            set_flows(&mut host.switch, &[&to(peer)]);
            for n in 0..6 {
                host.switch.inject(VM, &numbered(1, n, 80)).unwrap();
            }
            sync(&mut host.switch);
            let stats = host.switch.port_stats(TUNNEL).unwrap().switch;
            // Four may wait; for the others the oldest went.
            assert_eq!((stats.tx_packets, stats.tx_bytes), leaves);
            assert_eq!(stats.tx_dropped, 2 * (round as u64 + 1));
            let hop = ip(peer.split("->").next().unwrap());
            host.switch.neighbour_learned(Neighbour::of_underlay(hop), PEER);
            host.publish(underlay(vlan, "46", None));
            sync(&mut host.switch);
            leaves = (leaves.0 + 4, leaves.1 + 4 * 80);
            let stats = host.switch.port_stats(TUNNEL).unwrap().switch;
            assert_eq!((stats.tx_packets, stats.tx_bytes), leaves);
        }
        assert_accounts(&mut host.switch, &[("neighbour_queue_full", 4)]);
    }
}
