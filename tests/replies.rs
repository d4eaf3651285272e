//! Packets that the switch answers itself, over memory ports: frames that real OVN was seen to answer get its answers.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use millrace::action::intent::{Intent, Neighbour, Severity, Verdict};
use millrace::datapath::Datapath;
use millrace::packet::{Mac, Packet, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::objectmod::MeterMod;
use millrace::pipeline::syntax::parse_meter;
use millrace::worker::memory::Wires;
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use support::*;

fn start(workers: usize) -> (Engine<MemoryBackend>, Wires) {
    let backend = MemoryBackend::default();
    let wires = backend.wires();
    let setups = vec![WorkerSetup { core: None, numa: -1 }; workers];
    let mut engine =
        Engine::start(backend, &setups, Duration::from_micros(50), CacheSizes::default()).unwrap();
    for name in ["p1", "p2", "p3"] {
        add(&mut engine, &memory(name));
    }
    (engine, wires)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn take(wires: &Wires, name: &str) -> Option<Vec<u8>> {
    wires.of(name).unwrap().take().map(|packet| packet.data().to_vec())
}

/// From shared/ovn s2-l3, hv1: what vm1 sent, without the Ethernet header and the payload that all of them have.
const PAYLOAD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                       202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
const FROM_VM1: &str = "404400000003 404400000001 0800";
const TO_VM1: &str = "404400000001 404400000003 0800";
const TTL_1: &str = "4500005c000000000111372bc0a8000bc0a8010b 0001829a00481658";
const TO_ROUTER: &str = "4500005c000000004011f934c0a8000bc0a80001 00010009004899f3";
const UNKNOWN: &str = "4500005c000000004011f7d2c0a8000bc0a80163 0001000900489891";
/// And what it was answered.
const EXCEEDED: &str = "4500007800004000fe01fb27c0a80001c0a8000b 0b0077c000000000";
const NO_PORT: &str = "4500007800004000fe01fb27c0a80001c0a8000b 03037eb300000000";

/// Exchanges the Ethernet addresses.
const SWAP_ETH: &str =
    "push:NXM_OF_ETH_SRC[],push:NXM_OF_ETH_DST[],pop:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[]";

#[test]
fn an_expired_ttl_and_a_closed_port_are_answered_as_ovn_answers_them() {
    let (mut switch, wires) = start(1);
    let common = format!(
        "{SWAP_ETH},move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[],set_field:192.168.0.1->ip_src,set_field:254->nw_ttl,\
         resubmit(,1)"
    );
    set_flows(
        &mut switch,
        &[
            &format!(
                "priority=9,in_port=1,ip,nw_ttl=1 actions=load:1->NXM_NX_REG15[],\
                 reply(icmp4_error,set_field:11->icmp_type,set_field:0->icmp_code,{common})"
            ),
            &format!(
                "priority=8,in_port=1,udp,nw_dst=192.168.0.1 actions=load:1->NXM_NX_REG15[],reply(icmp4,{common})"
            ),
            "table=1,reg15=1,icmp actions=output:NXM_NX_REG15[]",
        ],
    );
    for _ in 0..3 {
        for (asked, answered) in [(TTL_1, EXCEEDED), (TO_ROUTER, NO_PORT)] {
            switch.inject(PortNo(1), &bytes(&[FROM_VM1, asked, PAYLOAD].concat())).unwrap();
            assert_accounts(&mut switch, &[]);
            let expected = bytes(&[TO_VM1, answered, asked, PAYLOAD].concat());
            assert_eq!(take(&wires, "p1").unwrap(), expected);
        }
    }
    let cache = &switch.perf()[0].cache;
    assert_eq!((cache.misses, cache.megaflow_hits), (4, 8), "both halves of each are cached: {cache:?}");
    let totals = switch.totals();
    assert_eq!((totals.injected, totals.copied, totals.transmitted), (6, 0, 6), "in the packet's own buffer");
}

#[test]
fn a_rejected_connection_is_reset_as_ovn_resets_it() {
    // From shared/ovn s3-rich, hv1: web1 to db1's closed port, and the answer behind one router.
    let syn = bytes(
        "505400000001505400000111 0800 4500002800000000400663bb0a00010b0a00020b 80e90cea000000000000000050020000\
         0afa0000",
    );
    let reset = bytes(
        "505400000111505400000001 0800 45000028000040003e0625bb0a00020b0a00010b 0cea80e9000000000000000150140000\
         0ae70000",
    );
    let (mut switch, wires) = start(1);
    set_flows(&mut switch, &["in_port=1,tcp actions=reply(reject,dec_ttl,output:1),output:2"]);
    switch.inject(PortNo(1), &syn).unwrap();
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!(take(&wires, "p1").unwrap(), reset);
    assert_eq!(take(&wires, "p2").unwrap(), syn, "what follows goes on with the packet as it was");
    assert_eq!(totals.copied, 1);
    // A reset is not answered.
    switch.inject(PortNo(1), &reset).unwrap();
    let totals = assert_accounts(&mut switch, &[("reply_to_error", 1)]);
    assert_eq!((take(&wires, "p1"), totals.copied), (None, 2));
    switch.inject(PortNo(1), &numbered(0, 1, 60)).unwrap();
    assert_accounts(&mut switch, &[("no_match", 1), ("reply_to_error", 1)]);
}

const ROUTER: [&str; 3] = [
    "in_port=1,ip actions=load:7->OXM_OF_METADATA[],load:4->NXM_NX_REG15[],move:NXM_OF_IP_DST[]->NXM_NX_REG0[],\
     set_field:40:44:00:00:00:04->eth_src,set_field:ff:ff:ff:ff:ff:ff->eth_dst,resubmit(,66)",
    "table=66,priority=1,ip actions=wait_neighbour(NXM_NX_REG15[],NXM_NX_REG0[],resubmit(,37)),\
     reply(arp,set_field:192.168.1.1->arp_spa,move:NXM_NX_REG0[]->NXM_OF_ARP_TPA[],resubmit(,37))",
    "table=37,metadata=7,reg15=4 actions=output:2",
];

/// A datagram to that address of 192.168.1.0/24, numbered.
fn datagram(host: u8, number: u32) -> Vec<u8> {
    let mut frame = numbered(0, number, 60);
    frame[26..34].copy_from_slice(&[192, 168, 0, 11, 192, 168, 1, host]);
    frame
}

fn neighbour(host: u8) -> Neighbour {
    let ip = Ipv4Addr::new(192, 168, 1, host).to_ipv6_mapped();
    Neighbour { datapath: 7, port: 4, ip }
}

#[test]
fn packets_wait_for_a_neighbour_and_go_on_in_order_once_it_is_known() {
    let (mut switch, wires) = start(1);
    set_flows(&mut switch, &ROUTER);
    switch.inject(PortNo(1), &bytes(&[FROM_VM1, UNKNOWN, PAYLOAD].concat())).unwrap();
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.in_flight, totals.copied, totals.transmitted), (1, 1, 1));
    // From shared/ovn s2-l3, hv1: the request inside the tunnel.
    let request = "ffffffffffff4044000000040806 0001080006040001404400000004c0a80101000000000000c0a80163";
    assert_eq!(take(&wires, "p2").unwrap(), bytes(request));

    // Four wait; the oldest goes for a fifth and a sixth. Another neighbour's are not concerned.
    for number in 1..=5 {
        switch.inject(PortNo(1), &datagram(0x63, number)).unwrap();
    }
    switch.inject(PortNo(1), &datagram(0x64, 9)).unwrap();
    let totals = assert_accounts(&mut switch, &[("neighbour_queue_full", 2)]);
    assert_eq!(totals.in_flight, 5);
    for _ in 0..6 {
        assert_eq!(take(&wires, "p2").unwrap()[12..14], [8, 6]);
    }

    let mac = Mac([2, 0, 0, 0, 0, 0x63]);
    switch.neighbour_learned(neighbour(0x63), mac);
    assert_eq!(
        assert_accounts(&mut switch, &[("neighbour_queue_full", 2)]).in_flight,
        5,
        "not before the tables"
    );
    let known = "table=66,priority=2,metadata=7,reg15=4,reg0=0xc0a80163 actions=set_field:02:00:00:00:00:63->eth_dst,\
                 resubmit(,37)";
    // Under the snapshot of that moment: table 37 is another by now.
    let flows = [ROUTER[0], ROUTER[1], "table=37,metadata=7,reg15=4 actions=output:3", known];
    set_flows(&mut switch, &flows);
    switch.inject(PortNo(1), &datagram(0x63, 6)).unwrap();
    let totals = assert_accounts(&mut switch, &[("neighbour_queue_full", 2)]);
    assert_eq!(totals.in_flight, 1);
    for number in 2..=6 {
        let frame = take(&wires, "p3").unwrap();
        assert_eq!(
            (&frame[..12], number_of(&frame).1),
            (&[2, 0, 0, 0, 0, 0x63, 0x40, 0x44, 0, 0, 0, 4][..], number)
        );
    }
    assert_eq!((take(&wires, "p2"), take(&wires, "p3")), (None, None));

    // The port goes, and with it what waited of it.
    switch.neighbour_learned(neighbour(0x64), mac);
    remove_waiting(&mut switch);
    assert_eq!(assert_accounts(&mut switch, &[("port_gone", 1), ("neighbour_queue_full", 2)]).in_flight, 0);
}

fn remove_waiting(switch: &mut Engine<MemoryBackend>) {
    remove(switch, PortNo(1));
    sync(switch);
}

#[test]
fn every_worker_lets_its_own_packets_go_on() {
    let (mut switch, wires) = start(2);
    let both = [&ROUTER[0].replace("in_port=1,", ""), ROUTER[1], ROUTER[2]];
    set_flows(&mut switch, &both);
    for (port, number) in [(1, 1), (3, 3)] {
        switch.inject(PortNo(port), &datagram(1, number)).unwrap();
    }
    assert_eq!(assert_accounts(&mut switch, &[]).in_flight, 2);
    switch.neighbour_learned(neighbour(1), Mac([2; 6]));
    set_flows(&mut switch, &both);
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.in_flight, totals.transmitted), (0, 4));
    let frames: Vec<_> =
        std::iter::from_fn(|| take(&wires, "p2")).filter(|frame| frame[12..14] == [8, 0]).collect();
    assert!(frames.len() == 2 && frames.iter().all(|frame| frame[..6] == [2; 6]));
}

#[test]
fn the_length_of_a_packet_chooses_its_way() {
    let (mut switch, wires) = start(1);
    set_flows(
        &mut switch,
        &[
            "in_port=1 actions=load:5->NXM_NX_REG1[],check_pkt_larger(100)->NXM_NX_REG0[3],resubmit(,1)",
            "table=1,reg0=8/8,reg1=5 actions=output:3",
            "table=1,reg0=0/8,reg1=5 actions=push_vlan:0x8100,output:2",
        ],
    );
    for len in [60, 99, 100, 101, 1000, 60, 101] {
        switch.inject(PortNo(1), &numbered(0, len as u32, len)).unwrap();
    }
    assert_accounts(&mut switch, &[]);
    let lengths =
        |name| std::iter::from_fn(|| take(&wires, name)).map(|frame| frame.len()).collect::<Vec<_>>();
    assert_eq!(lengths("p2"), [64, 103, 104, 64]);
    assert_eq!(lengths("p3"), [101, 1000, 101]);
    let cache = &switch.perf()[0].cache;
    assert_eq!(
        (cache.misses, cache.megaflow_hits),
        (2, 8),
        "one for all, one for those that are longer: {cache:?}"
    );
}

#[test]
fn what_goes_in_circles_is_a_named_drop() {
    let (mut switch, _wires) = start(1);
    set_flows(
        &mut switch,
        &[
            "actions=check_pkt_larger(9)->NXM_NX_REG0[0],resubmit(,1)",
            "table=1,reg0=1 actions=load:0->NXM_NX_REG0[],resubmit(,0)",
        ],
    );
    for number in 0..3 {
        switch.inject(PortNo(1), &numbered(0, number, 60)).unwrap();
    }
    assert_accounts(&mut switch, &[("again_too_often", 3)]);
    set_flows(&mut switch, &["actions=reply(arp,output:2)"]);
    switch.inject(PortNo(1), &bytes("ffffffffffff4044000000040806 0001080006040001")).unwrap();
    assert_accounts(&mut switch, &[("bad_reply", 1), ("again_too_often", 3)]);
}

#[test]
fn a_burst_of_replies_keeps_its_order_and_what_is_too_much_waits() {
    const FLOWS: u16 = 200;
    let (mut switch, wires) = start(1);
    set_flows(
        &mut switch,
        &[
            "in_port=1,udp actions=check_pkt_larger(9)->NXM_NX_REG0[0],resubmit(,1)",
            "table=1,udp actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG1[0..15],output:2",
        ],
    );
    let (from, to) = (wires.of("p1").unwrap(), wires.of("p2").unwrap());
    let mut next = vec![0; usize::from(FLOWS)];
    for number in 0..5 {
        for flow in 0..FLOWS {
            eventually("there is room on the wire", || from.feed(0, &numbered(flow, number, 64)));
        }
    }
    let mut out = 0;
    eventually("everything has come out", || {
        while let Some(packet) = to.take() {
            let (flow, number) = number_of(packet.data());
            assert_eq!(number, next[usize::from(flow)], "lost or reordered in flow {flow}");
            next[usize::from(flow)] += 1;
            out += 1;
        }
        out == 5 * u32::from(FLOWS)
    });
    assert_accounts(&mut switch, &[]);
}

#[test]
fn what_packets_show_is_told_once_in_a_while() {
    let (mut switch, _wires) = start(1);
    set_flows(
        &mut switch,
        &[
            "cookie=0x9,arp actions=load:7->OXM_OF_METADATA[],load:3->NXM_NX_REG14[],\
             learn_neighbour(port=NXM_NX_REG14[],ip=NXM_OF_ARP_SPA[],mac=NXM_NX_ARP_SHA[]),\
             learn_fdb(port=NXM_NX_REG14[],mac=NXM_OF_ETH_SRC[]),output:2",
            "cookie=0x5,table=0,udp actions=log(name=\"web\",verdict=deny,severity=warning,meter=2)",
        ],
    );
    let request = "ffffffffffff4044000000040806 0001080006040001404400000004c0a80163000000000000c0a80101";
    for _ in 0..20 {
        switch.inject(PortNo(1), &bytes(request)).unwrap();
    }
    for number in 0..20 {
        switch.inject(PortNo(1), &numbered(0, number, 200)).unwrap();
    }
    switch.inject(PortNo(1), &numbered(1, 0, 60)).unwrap();
    let totals = assert_accounts(&mut switch, &[("explicit", 21)]);
    assert_eq!(totals.transmitted, 20);
    let told = switch.intents(100);
    assert_eq!((totals.intents, totals.intents_lost), (told.len() as u64, 0));
    assert_eq!(totals.intents + totals.intents_suppressed, 20 * 2 + 21);
    let mac = Mac([0x40, 0x44, 0, 0, 0, 4]);
    let learned = Intent::Neighbour(Neighbour { port: 3, ..neighbour(0x63) }, mac);
    let (verdict, severity) = (Some(Verdict::Deny), Severity::Warning);
    let logged = Intent::Log { table: 0, cookie: 5, verdict, severity, meter: Some(2) };
    for (intent, most) in [(learned, 10), (Intent::Fdb { datapath: 7, port: 3, mac }, 10), (logged, 11)] {
        let count = told.iter().filter(|told| told.intent == intent).count();
        assert!((1..=most).contains(&count), "{intent:?}: {count} times");
    }
    let logs: Vec<_> = told.iter().filter(|told| told.intent == logged).collect();
    assert!(logs.len() >= 2, "each flow by itself");
    assert_eq!((logs[0].in_port, &logs[0].data[..]), (PortNo(1), &numbered(0, 0, 200)[..128]));
    assert!(switch.intents(100).is_empty());
}

#[test]
fn what_nobody_takes_is_counted() {
    let (mut switch, _wires) = start(1);
    set_flows(&mut switch, &["udp actions=log(severity=debug),output:2"]);
    for flow in 0..1200 {
        let frame = numbered(flow, 0, 60);
        eventually("the mailbox has room", || switch.inject(PortNo(1), &frame).is_ok());
    }
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.intents, totals.intents_lost, totals.transmitted), (86, 1114, 1200), "a share");
    assert_eq!(switch.intents(2000).len(), 86);
}

#[test]
fn a_packet_that_is_sent_on_and_waits_or_is_tagged_is_whole_again() {
    let (mut switch, wires) = start(1);
    set_flows(
        &mut switch,
        &[
            "in_port=1,ip actions=reply(icmp4,output:1),push_vlan:0x8100,check_pkt_larger(63)->NXM_NX_REG0[0],output:2",
        ],
    );
    let frame = numbered(0, 1, 60);
    switch.inject(PortNo(1), &frame).unwrap();
    assert_accounts(&mut switch, &[]);
    let tagged = take(&wires, "p2").unwrap();
    assert_eq!((tagged.len(), &tagged[12..16]), (64, &[0x81, 0, 0, 0][..]));
    assert_eq!(take(&wires, "p1").unwrap()[42..], frame[14..60]);
}

#[test]
fn a_log_is_told_no_faster_than_its_meter_allows() {
    let (mut switch, _wires) = start(1);
    let stats = std::sync::Arc::clone(switch.flow_stats());
    let mut batch = millrace::pipeline::Batch::new(&Default::default(), &stats, std::time::Instant::now());
    // So slow that no log more passes while the test runs.
    let meter = parse_meter("meter=1,kbps,burst,bands=type=drop,rate=1,burst_size=1").unwrap();
    batch.apply_meter(&MeterMod::Add(meter)).unwrap();
    batch.apply(&change(Command::Add, "udp actions=log(meter=1),output:2")).unwrap();
    let generation = switch.publish_tables(batch.commit().0);
    wait(&switch, generation);
    for flow in 0..8 {
        switch.inject(PortNo(1), &numbered(flow, 0, 60)).unwrap();
    }
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.intents, totals.intents_suppressed, totals.transmitted), (2, 6, 8));
}
