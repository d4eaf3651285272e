//! A change concerns the megaflows that consulted what it changed, and no other: shown with counters, over many logical
//! datapaths in the same two tables.

use std::sync::Arc;

use millrace::packet::{Field, PortNo, PortRef};
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::changes::{KEPT_ENTRIES, MAX_CHANGES};
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::objectmod::MeterMod;
use millrace::pipeline::syntax::{GroupCommand, parse_group, parse_meter};
use millrace::pipeline::{FlowMod, PortView, Ports};

use crate::lab::{Lab, Packet};
use crate::oracle::flows::{Arrival, at};
use crate::support::{change, numbered};

/// Datapaths, each with a port of its number.
const DATAPATHS: u16 = 40;
/// Megaflows of each.
const EACH: u64 = 3;
/// Where what is allowed goes.
const UPLINK: u16 = 90;

fn ports(uplink: PortRef) -> Ports {
    let view = |number: u16| {
        let (number, name) = (PortNo(number), Arc::from(format!("p{number}")));
        PortView { number, name, at: if number.0 == UPLINK { uplink } else { at(number) }, no_flood: false }
    };
    Ports::new((1..=DATAPATHS).chain([UPLINK]).map(view).collect())
}

fn add(text: &str) -> FlowMod {
    change(Command::Add, text)
}

/// What the counters have gone on by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moved {
    stale: u64,
    revalidated: u64,
    translated: u64,
}

struct Switch {
    lab: Lab,
    packets: Vec<[Packet; EACH as usize]>,
}

impl Switch {
    fn new() -> Self {
        let mut lab = Lab::new(CacheSizes::default(), ports(at(PortNo(UPLINK))));
        let mut flows = Vec::new();
        for datapath in 1..=DATAPATHS {
            flows.push(add(&format!(
                "in_port={datapath} actions=load:{datapath}->OXM_OF_METADATA[],resubmit(,1)"
            )));
            flows.push(add(&format!(
                "table=1,priority=9,metadata={datapath},udp,tp_src=1000 actions={UPLINK}"
            )));
            flows.push(add(&format!(
                "table=1,priority=9,metadata={datapath},udp,tp_src=1001 actions=in_port"
            )));
            flows.push(add(&format!("table=1,priority=0,metadata={datapath} actions=drop")));
        }
        lab.change(flows);
        lab.see();
        let packet = |port, flow| Packet::of_frame(&Arrival::by(port), &numbered(flow, 0, 64)).unwrap();
        let packets =
            (1..=u128::from(DATAPATHS)).map(|port| [0, 1, 2].map(|flow| packet(port, flow))).collect();
        let mut switch = Self { lab, packets };
        let moved = switch.go();
        assert_eq!(moved, Moved { translated: EACH * u64::from(DATAPATHS), ..Moved::default() });
        assert_eq!(switch.go(), Moved::default());
        switch
    }

    /// Sends the packets of all datapaths, each of which has its megaflow, or gets it.
    fn go(&mut self) -> Moved {
        let (before, misses) = (self.lab.counts(), self.lab.misses);
        for packets in &self.packets {
            self.lab.burst(packets);
        }
        let after = self.lab.counts();
        assert_eq!((after.refused, after.evicted, after.narrowed), (0, 0, 0));
        Moved {
            stale: after.stale - before.stale,
            revalidated: after.revalidated - before.revalidated,
            translated: self.lab.misses - misses,
        }
    }

    fn after(&mut self, changes: impl IntoIterator<Item = FlowMod>) -> Moved {
        self.lab.change(changes);
        self.lab.see();
        self.go()
    }
}

/// So many translated anew, and so many found right in spite of a change.
fn moved(stale: u64, revalidated: u64) -> Moved {
    Moved { stale, revalidated, translated: stale }
}

const ALL: u64 = EACH * DATAPATHS as u64;

#[test]
fn a_flow_of_a_datapath_concerns_none_of_the_others() {
    let mut switch = Switch::new();
    let own = "table=1,priority=9,metadata=5,udp,tp_src=1000";
    let other_actions = change(Command::ModifyStrict, &format!("{own} actions=6"));
    // The datapath's other megaflows have a port that the flow contradicts.
    assert_eq!(switch.after([other_actions]), moved(1, EACH - 1));
    assert_eq!(switch.after([change(Command::DeleteStrict, own)]), moved(1, EACH - 1));
    assert_eq!(switch.after([add(&format!("{own} actions=7"))]), moved(1, EACH - 1));
    assert_eq!(switch.after([add("table=1,priority=1,metadata=5 actions=drop")]), moved(EACH, 0));
    switch.lab.settle();
}

#[test]
fn a_flow_that_no_packet_of_a_megaflow_meets_costs_it_one_look() {
    let mut switch = Switch::new();
    assert_eq!(
        switch.after([add("table=1,priority=9,metadata=5,udp,tp_src=60000 actions=drop")]),
        moved(0, EACH)
    );
    assert_eq!(switch.after([add("table=1,priority=9,tcp,tp_src=1000 actions=drop")]), moved(0, ALL));
    let one_port = "priority=99,in_port=5 actions=load:5->OXM_OF_METADATA[],resubmit(,1)";
    assert_eq!(switch.after([add(one_port)]), moved(EACH, ALL - EACH));
    switch.lab.settle();
}

#[test]
fn what_nobody_consulted_costs_nothing() {
    let mut switch = Switch::new();
    let elsewhere =
        ["table=1,metadata=77 actions=drop", "table=2 actions=drop", "table=1,metadata=78,udp actions=1"];
    assert_eq!(switch.after(elsewhere.map(add)), moved(0, 0));
    let many = (100..100 + MAX_CHANGES as u64 * 2).map(|port| {
        let mut change = add("table=1,priority=3,metadata=5 actions=drop");
        change.matcher.set_masked(Field::EthType, 0x0800, 0xffff);
        change.matcher.set_masked(Field::NwProto, 17, 0xff);
        change.matcher.set_masked(Field::UdpSrc, u128::from(port), 0xffff);
        change
    });
    let only_its_own = switch.after(many);
    assert_eq!(only_its_own.revalidated, 0, "a datapath is named as a whole");
    assert_eq!(only_its_own, moved(EACH, 0));
    switch.lab.settle();
}

#[test]
fn a_port_that_moves_concerns_those_that_send_to_it() {
    let mut switch = Switch::new();
    switch.lab.set_ports(ports(PortRef { slot: 3, generation: 8 }));
    switch.lab.see();
    assert_eq!(switch.go(), moved(u64::from(DATAPATHS), 0));
    switch.lab.settle();
}

#[test]
fn a_group_or_meter_concerns_those_that_consulted_it() {
    let mut switch = Switch::new();
    let group = |text: &str, command| parse_group(text, &(), command).unwrap();
    let meter = |rate: u32| parse_meter(&format!("meter=1,pktps,bands=type=drop,rate={rate}")).unwrap();
    let replace = GroupCommand::Modify { may_create: true };
    switch.lab.alter(|batch| {
        for id in [1, 2] {
            let text = format!("group_id={id},type=indirect,bucket={UPLINK}");
            batch.apply_group(&group(&text, replace)).unwrap();
        }
        batch.apply_meter(&MeterMod::Add(meter(5))).unwrap();
    });
    switch.lab.see();
    assert_eq!(switch.go(), moved(0, 0), "nobody has consulted them");
    let flows = [
        "table=1,priority=99,metadata=5,udp,tp_src=1000 actions=group:1",
        "table=1,priority=99,metadata=6,udp,tp_src=1001 actions=group:2",
        "table=1,priority=99,metadata=7,udp,tp_src=1002 actions=meter:1,4",
    ];
    assert_eq!(switch.after(flows.map(add)), moved(3, 3 * (EACH - 1)));
    switch.lab.alter(|batch| batch.apply_group(&group("group_id=1,type=all", replace)).unwrap());
    switch.lab.see();
    assert_eq!(switch.go(), moved(1, 0));
    switch.lab.alter(|batch| batch.apply_meter(&MeterMod::Modify(meter(6))).unwrap());
    switch.lab.see();
    assert_eq!(switch.go(), moved(1, 0));
    switch.lab.alter(|batch| batch.apply_group(&group("group_id=9,type=all", GroupCommand::Add)).unwrap());
    switch.lab.see();
    assert_eq!(switch.go(), moved(0, 0));
}

#[test]
fn a_worker_that_missed_more_than_the_log_keeps_trusts_nothing() {
    let mut switch = Switch::new();
    for n in 0..KEPT_ENTRIES as u64 + 1 {
        switch.lab.change([add(&format!("table=1,metadata={} actions=drop", 1000 + n))]);
    }
    switch.lab.see();
    assert_eq!(switch.go(), moved(ALL, 0));
    // As many as it keeps: none was of these datapaths.
    for n in 0..KEPT_ENTRIES as u64 {
        switch.lab.change([add(&format!("table=1,metadata={} actions=drop", 5000 + n))]);
    }
    switch.lab.see();
    assert_eq!(switch.go(), moved(0, 0));
    // Only the first of those that it missed was.
    switch.lab.change([add("table=1,priority=99,metadata=5 actions=drop")]);
    for n in 1..KEPT_ENTRIES as u64 {
        switch.lab.change([add(&format!("table=1,metadata={} actions=drop", 9000 + n))]);
    }
    switch.lab.see();
    assert_eq!(switch.go(), moved(EACH, 0));
    switch.lab.settle();
}

#[test]
fn a_wire_holds_until_something_but_the_port_counts() {
    let mut lab = Lab::new(CacheSizes::default(), ports(at(PortNo(UPLINK))));
    let udp = |flow| Packet::of_frame(&Arrival::by(1), &numbered(flow, 0, 64)).unwrap();
    let go = |lab: &mut Lab| {
        let before = lab.wired;
        lab.burst(&[udp(0), udp(1)]);
        lab.burst(&[udp(1)]);
        lab.wired - before
    };
    lab.change([add(&format!("in_port=1 actions={UPLINK}"))]);
    lab.see();
    assert_eq!(go(&mut lab), 1, "the first burst finds it");
    assert_eq!(go(&mut lab), 3);
    // Another port's flows are no concern of it, those that look at the packet are.
    lab.change([add("priority=40000,in_port=2,udp actions=drop")]);
    lab.see();
    assert_eq!(go(&mut lab), 3);
    lab.change([add("priority=40000,in_port=1,udp,tp_src=1001 actions=drop")]);
    lab.see();
    assert_eq!(go(&mut lab), 0);
    lab.change([change(Command::Delete, "udp")]);
    lab.see();
    go(&mut lab);
    assert_eq!(go(&mut lab), 3);
    lab.settle();
}
