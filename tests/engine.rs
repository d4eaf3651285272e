//! The engine and its workers over memory ports: forwarding, handover, ports that come and go, flow changes.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use millrace::datapath::{Datapath, PortError};
use millrace::packet::{Packet, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::objectmod::MeterMod;
use millrace::pipeline::syntax::{GroupCommand, parse_group, parse_megaflow, parse_meter};
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use support::*;

fn start(workers: usize) -> (Engine<MemoryBackend>, millrace::worker::memory::Wires) {
    let backend = MemoryBackend::default();
    let wires = backend.wires();
    let setups = vec![WorkerSetup { core: None, numa: -1 }; workers];
    (Engine::start(backend, &setups, Duration::from_micros(50), CacheSizes::default()).unwrap(), wires)
}

#[test]
fn a_frame_goes_where_its_flow_says() {
    let (mut switch, wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    let p2 = add(&mut switch, &memory("p2"));
    add(&mut switch, &memory("p3"));
    assert_eq!((p1, p2), (PortNo(1), PortNo(2)));
    set_flows(&mut switch, &["in_port=1,udp actions=mod_nw_dst:10.0.0.9,2", "in_port=2 actions=flood"]);
    switch.inject(p1, &numbered(0, 7, 60)).unwrap();
    switch.inject(p2, &numbered(0, 8, 60)).unwrap();
    assert!(wires.of("p1").unwrap().feed(0, &[0; 13]));
    assert!(
        switch.inject(p1, &[0; 13]).unwrap_err().to_string().starts_with("a frame of 13 bytes is shorter")
    );
    eventually("the runt has come", || !switch.totals().drops.is_empty());
    switch.inject(p1, &[0; 60]).unwrap();
    let totals = assert_accounts(&mut switch, &[("runt", 1), ("no_match", 1)]);
    assert_eq!((totals.received, totals.injected, totals.copied, totals.transmitted), (1, 3, 1, 3));
    let (wire1, wire2, wire3) = (wires.of("p1").unwrap(), wires.of("p2").unwrap(), wires.of("p3").unwrap());
    let rewritten = wire2.take().unwrap();
    assert_eq!(rewritten.data()[30..34], [10, 0, 0, 9]);
    assert_eq!(number_of(wire1.take().unwrap().data()), (0, 8));
    assert_eq!(number_of(wire3.take().unwrap().data()), (0, 8));
    let stats = switch.port_stats(p2).unwrap().switch;
    assert_eq!((stats.injected, stats.tx_packets, stats.tx_bytes), (1, 1, 60));
}

#[test]
fn a_meter_drops_by_name_what_exceeds_it_and_a_group_copies() {
    let (mut switch, wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    add(&mut switch, &memory("p3"));
    let stats = std::sync::Arc::clone(switch.flow_stats());
    let mut batch = millrace::pipeline::Batch::new(&Default::default(), &stats, std::time::Instant::now());
    let group = "group_id=1,type=all,bucket=mod_nw_dst:10.0.0.9,2,bucket=meter:1,3";
    batch.apply_group(&parse_group(group, &(), GroupCommand::Add).unwrap()).unwrap();
    // So slow that no packet more passes while the test runs.
    let meter = parse_meter("meter=1,kbps,burst,bands=type=drop,rate=1,burst_size=1").unwrap();
    batch.apply_meter(&MeterMod::Add(meter)).unwrap();
    batch.apply(&change(Command::Add, "in_port=1,udp actions=group:1")).unwrap();
    let tables = batch.commit().0;
    let generation = switch.publish_tables(tables.clone());
    wait(&switch, generation);
    for n in 0..5 {
        switch.inject(p1, &numbered(0, n, 60)).unwrap();
    }
    let totals = assert_accounts(&mut switch, &[("meter_exceeded", 3)]);
    assert_eq!((totals.injected, totals.copied, totals.transmitted), (5, 5, 7));
    let (wire2, wire3) = (wires.of("p2").unwrap(), wires.of("p3").unwrap());
    for n in 0..5 {
        assert_eq!(wire2.take().unwrap().data()[30..34], [10, 0, 0, 9]);
        if n < 2 {
            assert_eq!(number_of(wire3.take().unwrap().data()), (0, n));
        }
    }
    assert!(wire3.take().is_none());
    let meter = tables.objects().meters().get(1).unwrap();
    assert_eq!(meter.seen().read(), (5, 300));
    assert_eq!(meter.dropped().map(|count| count.read()).collect::<Vec<_>>(), [(3, 180)]);
}

#[test]
fn what_reaches_the_controller_is_a_copy() {
    let (mut switch, _wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["cookie=0x5 actions=controller:20,output:2"]);
    switch.inject(p1, &numbered(0, 1, 60)).unwrap();
    assert_accounts(&mut switch, &[]);
    let packet_ins = switch.packet_ins(10);
    assert_eq!(packet_ins.len(), 1);
    assert_eq!((packet_ins[0].cookie, packet_ins[0].total_len, packet_ins[0].data.len()), (5, 60, 20));
}

#[test]
fn a_packet_that_pauses_goes_on_where_it_left_when_it_is_told_to() {
    let (mut switch, wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    add(&mut switch, &memory("p3"));
    set_flows(
        &mut switch,
        &[
            "in_port=1 actions=load:3->NXM_NX_REG0[],resubmit(,1),output:NXM_NX_REG0[]",
            "table=1 actions=mod_nw_dst:10.0.0.9,controller(pause),mod_nw_dst:10.0.0.10,output:2",
        ],
    );
    let (wire2, wire3) = (wires.of("p2").unwrap(), wires.of("p3").unwrap());
    for number in 0..3 {
        switch.inject(p1, &numbered(0, number, 60)).unwrap();
    }
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.injected, totals.consumed, totals.transmitted), (3, 3, 0));
    let paused = switch.packet_ins(10);
    let by: Vec<_> = paused.iter().map(|packet| packet.continuation.unwrap()).collect();
    assert!(by.len() == 3 && by.iter().all(|other| *other == by[0]), "one context: {by:?}");
    assert_eq!(paused[1].data[30..34], [10, 0, 0, 9]);
    // The flows that led to it need not be there any more, and the controller may change the packet.
    set_flows(&mut switch, &["priority=9 actions=drop"]);
    for packet in &paused[..2] {
        switch.resume(by[0], p1, &packet.data).unwrap();
    }
    let mut changed = paused[2].data.clone();
    changed[45] = 77;
    switch.resume(by[0], p1, &changed).unwrap();
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.injected, totals.copied, totals.transmitted), (6, 3, 6));
    for number in [0, 1, 77] {
        for wire in [&wire2, &wire3] {
            let packet = wire.take().unwrap();
            assert_eq!(packet.data()[30..34], [10, 0, 0, 10]);
            assert_eq!(number_of(packet.data()), (0, number));
        }
    }
    let cache = &switch.perf()[usize::from(by[0].worker)].cache;
    assert_eq!((cache.misses, cache.megaflow_hits), (2, 4), "both ways are cached: {cache:?}");
    let nobodys = millrace::datapath::Continuation { frozen: by[0].frozen + 1, ..by[0] };
    switch.resume(nobodys, p1, &changed).unwrap();
    assert_accounts(&mut switch, &[("context_gone", 1)]);
}

/// A frame of 60 bytes with this type and nothing in it.
fn of_type(eth_type: [u8; 2]) -> Vec<u8> {
    let mut frame = vec![2; 60];
    frame[12..14].copy_from_slice(&eth_type);
    frame
}

#[test]
fn what_goes_from_port_to_port_is_passed_on_whatever_it_is() {
    let (mut switch, wires) = start(1);
    for name in ["p1", "p2", "p3"] {
        add(&mut switch, &memory(name));
    }
    set_flows(&mut switch, &["in_port=1 actions=output:2"]);
    let (wire1, wire2, wire3) = (wires.of("p1").unwrap(), wires.of("p2").unwrap(), wires.of("p3").unwrap());
    let frames =
        [numbered(0, 1, 60), of_type([8, 6]), of_type([0x86, 0xdd]), of_type([0x81, 0]), vec![9; 1514]];
    for round in 0..3 {
        for frame in &frames {
            assert!(wire1.feed(0, frame));
        }
        eventually("the frames of the round", || switch.totals().received == 5 * (round + 1));
    }
    assert_accounts(&mut switch, &[]);
    for frame in frames.iter().cycle().take(15) {
        assert_eq!(wire2.take().unwrap().data(), frame);
    }
    let cache = &switch.perf()[0].cache;
    assert!(cache.misses <= 2 && cache.misses + cache.megaflow_hits == 15, "one form or two: {cache:?}");
    // What is no plain frame is looked at all the same.
    assert!(wire1.feed(0, &[2; 13]) && wire1.feed(0, &[2; 1600]));
    assert_accounts(&mut switch, &[("runt", 1), ("mtu_exceeded", 1)]);
    // And from the answer to a change on, all is.
    set_flows(&mut switch, &["in_port=1 actions=output:2", "priority=40000,in_port=1,udp actions=output:3"]);
    for _ in 0..2 {
        assert!(wire1.feed(0, &numbered(0, 2, 60)) && wire1.feed(0, &of_type([8, 6])));
    }
    eventually("the frames after the change", || switch.totals().received == 21);
    assert_accounts(&mut switch, &[("runt", 1), ("mtu_exceeded", 1)]);
    for _ in 0..2 {
        assert_eq!(number_of(wire3.take().unwrap().data()), (0, 2));
        assert_eq!(wire2.take().unwrap().data(), of_type([8, 6]));
    }
    assert!(wire2.take().is_none() && wire3.take().is_none());
}

/// Also where a port is a wire, and nothing of its packets would be read.
#[test]
fn the_next_packet_that_is_looked_for_is_copied_once() {
    let (mut switch, wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    let p2 = add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["in_port=1 actions=2", "in_port=2 actions=1"]);
    let (wire1, wire2) = (wires.of("p1").unwrap(), wires.of("p2").unwrap());
    let filter = |text: &str| Some(parse_megaflow(text, &()).unwrap());
    let rounds = 4;
    for round in 0..rounds {
        switch.look_for(filter("in_port=2,udp"));
        switch.tick();
        let mut caught = None;
        eventually("the packet was seen", || {
            // Nothing is known of how soon a worker looks.
            let _ = wire1.feed(0, &numbered(0, 1, 60)) | wire2.feed(0, &numbered(1, 2, 60));
            while wire1.take().is_some() || wire2.take().is_some() {}
            caught = switch.caught();
            caught.is_some()
        });
        let caught = caught.unwrap();
        assert_eq!((caught.in_port, number_of(&caught.data)), (p2, (1, 2)), "round {round}");
        assert_eq!(caught.data.len(), 60);
        assert_eq!(switch.caught(), None, "it is told once");
    }
    // Who asks no more gets nothing, and what was looked for before is not found later.
    switch.look_for(filter("in_port=1"));
    switch.look_for(None);
    for n in 0..100 {
        switch.inject(p1, &numbered(0, n, 60)).unwrap();
        switch.tick();
        assert_eq!(switch.caught(), None);
    }
    switch.look_for(filter("in_port=1,arp"));
    switch.inject(p1, &numbered(0, 1, 60)).unwrap();
    switch.inject(p2, &of_type([8, 6])).unwrap();
    switch.inject(p1, &of_type([8, 6])).unwrap();
    let mut caught = None;
    eventually("an injected packet was seen", || {
        switch.tick();
        let _ = switch.inject(p1, &of_type([8, 6]));
        caught = switch.caught();
        caught.is_some()
    });
    assert_eq!(caught.map(|caught| caught.data), Some(of_type([8, 6])));
}

#[test]
fn a_packet_that_came_back_makes_no_way_for_those_that_come_in() {
    let (mut switch, wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    for name in ["p2", "p3"] {
        add(&mut switch, &memory(name));
    }
    set_flows(
        &mut switch,
        &["priority=9,in_port=1,udp actions=controller(pause),output:2", "priority=8,in_port=1 actions=3"],
    );
    switch.inject(p1, &numbered(0, 1, 60)).unwrap();
    assert_accounts(&mut switch, &[]);
    let paused = switch.packet_ins(1).remove(0);
    switch.resume(paused.continuation.unwrap(), p1, &paused.data).unwrap();
    assert_accounts(&mut switch, &[]);
    let wire1 = wires.of("p1").unwrap();
    for _ in 0..2 {
        assert!(wire1.feed(0, &of_type([8, 6])));
        eventually("it has come", || wires.of("p3").unwrap().take().is_some());
    }
    assert_eq!(number_of(wires.of("p2").unwrap().take().unwrap().data()), (0, 1));
    assert!(wires.of("p2").unwrap().take().is_none());
}

#[test]
fn what_came_back_to_another_port_meets_the_changes_for_that_port() {
    let (mut switch, wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    for name in ["p2", "p3"] {
        add(&mut switch, &memory(name));
    }
    let flows = [
        "in_port=1 actions=set_field:7->in_port,controller(pause),resubmit(,1)",
        "table=1,priority=1 actions=2",
        "table=1,priority=9,in_port=7 actions=3",
    ];
    let stats = std::sync::Arc::clone(switch.flow_stats());
    let before = tables(&stats, &flows[..2]);
    let generation = switch.publish_tables(before.clone());
    wait(&switch, generation);
    switch.inject(p1, &numbered(0, 1, 60)).unwrap();
    assert_accounts(&mut switch, &[]);
    let paused = switch.packet_ins(1).remove(0);
    let back = paused.continuation.unwrap();
    for _ in 0..2 {
        switch.resume(back, p1, &paused.data).unwrap();
        assert_accounts(&mut switch, &[]);
        assert!(wires.of("p2").unwrap().take().is_some());
    }
    let mut batch = millrace::pipeline::Batch::new(&before, &stats, std::time::Instant::now());
    batch.apply(&change(millrace::pipeline::flowmod::Command::Add, flows[2])).unwrap();
    let generation = switch.publish_tables(batch.commit().0);
    wait(&switch, generation);
    switch.resume(back, p1, &paused.data).unwrap();
    assert_accounts(&mut switch, &[]);
    assert!(wires.of("p3").unwrap().take().is_some(), "the change concerns it");
}

#[test]
fn a_port_at_the_place_of_another_does_not_inherit_its_way() {
    let (mut switch, wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["in_port=1 actions=2"]);
    for _ in 0..2 {
        assert!(wires.of("p1").unwrap().feed(0, &numbered(0, 1, 60)));
        eventually("it has come", || wires.of("p2").unwrap().take().is_some());
    }
    remove(&mut switch, p1);
    let p9 = add(&mut switch, &millrace::config::PortSpec { number: Some(PortNo(9)), ..memory("p9") });
    assert_eq!(p9, PortNo(9));
    assert!(wires.of("p9").unwrap().feed(0, &numbered(0, 1, 60)));
    eventually("it has come", || !switch.totals().drops.is_empty());
    assert_accounts(&mut switch, &[("no_match", 1)]);
}

#[test]
fn one_megaflow_serves_every_ttl_that_does_not_expire() {
    let (mut switch, wires) = start(1);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["ip actions=dec_ttl,resubmit(,1)", "table=1,ip actions=dec_ttl,output:2"]);
    for ttl in 3..=255u8 {
        let mut frame = numbered(0, u32::from(ttl), 60);
        frame[22] = ttl;
        switch.inject(p1, &frame).unwrap();
    }
    assert_accounts(&mut switch, &[]);
    let cache = &switch.perf()[0].cache;
    assert_eq!((cache.installed, cache.megaflow_hits), (1, 252), "{cache:?}");
    let wire2 = wires.of("p2").unwrap();
    for ttl in 3..=255u8 {
        assert_eq!(wire2.take().unwrap().data()[22], ttl - 2);
    }
}

#[test]
fn a_frame_longer_than_the_mtu_is_a_named_drop_and_a_tag_does_not_count() {
    let (mut switch, _wires) = start(1);
    let p1 = add(&mut switch, &millrace::config::PortSpec { mtu: 1600, ..memory("p1") });
    add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["udp,tp_src=1000 actions=2", "udp,tp_src=1001 actions=push_vlan:0x8100,2"]);
    for (flow, len) in [(0, 1514), (0, 1515), (1, 1514), (1, 1515)] {
        switch.inject(p1, &numbered(flow, 0, len)).unwrap();
    }
    assert_accounts(&mut switch, &[("mtu_exceeded", 2)]);
}

#[test]
fn ports_are_refused_by_name_and_number_and_slots_are_reused_with_another_generation() {
    let (mut switch, wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    assert_eq!(switch.add_port(&memory("p1")).unwrap_err(), PortError::NameTaken("p1".to_owned()));
    let taken = millrace::config::PortSpec { number: Some(p1), ..memory("p2") };
    assert_eq!(switch.add_port(&taken).unwrap_err(), PortError::NumberTaken(p1, "p1".to_owned()));
    let far = millrace::config::PortSpec { rxq_affinity: vec![(0, 9)], ..memory("p2") };
    assert_eq!(switch.add_port(&far).unwrap_err(), PortError::NoSuchWorker(9));
    let before = switch.ports().get(p1).unwrap().at;
    let wire = wires.of("p1").unwrap();
    drop(wire);
    remove(&mut switch, p1);
    assert!(wires.of("p1").is_none(), "the device is closed once close_port has returned");
    assert_eq!(switch.close_port(p1).unwrap_err(), PortError::NoSuchPort(p1));
    add(&mut switch, &memory("p1"));
    let after = switch.ports().get(p1).unwrap().at;
    assert_eq!(before.slot, after.slot);
    assert_ne!(before.generation, after.generation);
    assert_eq!(switch.port_stats(p1).unwrap().switch, Default::default());
}

/// Feeds numbered frames of several flows while `disturb` runs; returns when all of them came out, in order a flow.
fn under_traffic(workers: usize, mut disturb: impl FnMut(&mut Engine<MemoryBackend>, usize)) {
    const FLOWS: u16 = 4;
    const EACH: u32 = 5_000;
    let (mut switch, wires) = start(workers);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    assert_eq!(p1, PortNo(1));
    set_flows(&mut switch, &["in_port=1 actions=2"]);
    let (from, to) = (wires.of("p1").unwrap(), wires.of("p2").unwrap());
    let mut next = HashMap::new();
    let mut take = move || {
        let mut taken = 0;
        while let Some(packet) = to.take() {
            let (flow, number) = number_of(packet.data());
            let expected = next.entry(flow).or_insert(0);
            assert_eq!(number, *expected, "lost or reordered in flow {flow}");
            *expected += 1;
            taken += 1;
        }
        taken
    };
    let mut out = 0;
    for number in 0..EACH {
        for flow in 0..FLOWS {
            eventually("there is room on the wire", || from.feed(0, &numbered(flow, number, 64)));
        }
        if number % 100 == 0 {
            disturb(&mut switch, (number / 100) as usize);
        }
        out += take();
    }
    eventually("everything has come out", || {
        out += take();
        out == u32::from(FLOWS) * EACH
    });
    assert_accounts(&mut switch, &[]);
}

#[test]
fn a_queue_that_changes_hands_loses_and_reorders_nothing() {
    under_traffic(2, |switch, round| {
        let worker = (round % 2) as u16;
        if switch.rxqs()[0].worker == Some(worker) {
            return;
        }
        let generation = switch.unassign_rxq(PortNo(1), 0).unwrap();
        wait(switch, generation);
        let generation = patiently(|| switch.assign_rxq(PortNo(1), 0, worker));
        wait(switch, generation);
        assert_eq!(switch.rxqs()[0].worker, Some(worker));
    });
}

#[test]
fn ports_that_come_and_go_disturb_no_other() {
    under_traffic(2, |switch, _| {
        let number = add(switch, &memory("guest"));
        remove(switch, number);
    });
}

#[test]
fn flow_changes_lose_nothing() {
    under_traffic(2, |switch, round| {
        let extra = format!("in_port={} actions=drop", 10 + round);
        set_flows(switch, &["in_port=1 actions=2", &extra]);
    });
}

#[test]
fn no_frame_fed_after_the_answer_meets_the_older_policy() {
    let (mut switch, wires) = start(2);
    add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    add(&mut switch, &memory("p3"));
    let from = wires.of("p1").unwrap();
    for round in 0..500u32 {
        let (to, other) = if round % 2 == 0 { (2, 3) } else { (3, 2) };
        set_flows(&mut switch, &[&format!("in_port=1 actions={to}")]);
        assert!(from.feed(0, &numbered(0, round, 64)));
        let (to, other) = (wires.of(&format!("p{to}")).unwrap(), wires.of(&format!("p{other}")).unwrap());
        let mut got = None;
        eventually("the frame has come out", || {
            got = to.take();
            got.is_some() || other.take().is_some()
        });
        assert_eq!(got.map(|packet| number_of(packet.data()).1), Some(round), "met the older policy");
    }
    assert_accounts(&mut switch, &[]);
}

#[test]
fn a_queue_is_not_given_away_while_another_has_it() {
    let (mut switch, _wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    let owner = switch.rxqs()[0].worker.unwrap();
    assert_eq!(switch.assign_rxq(p1, 0, 1 - owner).unwrap_err(), PortError::Busy(vec![owner]));
    assert_eq!(
        switch.assign_rxq(p1, 5, 0).unwrap_err(),
        PortError::NoSuchQueue { name: "p1".to_owned(), queues: 1, queue: 5 }
    );
}

#[test]
fn cleared_counters_start_from_zero_and_stay_exact() {
    let (mut switch, _wires) = start(2);
    let p1 = add(&mut switch, &memory("p1"));
    add(&mut switch, &memory("p2"));
    set_flows(&mut switch, &["actions=output:2"]);
    switch.inject(p1, &numbered(0, 0, 64)).unwrap();
    switch.inject(p1, &[0; 50]).unwrap();
    assert_accounts(&mut switch, &[]);
    switch.clear_counters();
    sync(&mut switch);
    let totals = assert_accounts(&mut switch, &[]);
    assert_eq!((totals.injected, totals.transmitted), (0, 0));
    switch.inject(p1, &numbered(0, 0, 64)).unwrap();
    assert_eq!(assert_accounts(&mut switch, &[]).transmitted, 1);
}
