//! Random tables, changes, packets, clocks and sizes.

use std::cell::Cell;

use millrace::pipeline::Ports;
use millrace::pipeline::cache::{CacheSizes, Counts};
use millrace::pipeline::changes::KEPT_ENTRIES;
use millrace::pipeline::flowmod::Command;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use crate::lab::{Lab, Packet};
use crate::oracle::flows::{
    Step, Wanted, dense, dense_key, flow_mod, moved_ports, ports, step, tunnelled_key, tunnelling, wanted,
};
use crate::oracle::frames::frame;

const PACKETS: usize = 24;

/// What happens to the worker.
#[derive(Clone, Debug)]
enum Event {
    /// A burst of the port of one of the packets.
    Burst(Index, Vec<Index>),
    Change(Vec<Step>),
    /// The last of so many changes that the log has forgotten the first.
    ManyChanges(Vec<Step>),
    Ports(Option<Ports>),
    Pass(u64),
    Settle,
    Flush(u64),
}

fn event(flow: BoxedStrategy<Wanted>) -> impl Strategy<Value = Event> {
    let burst = (any::<Index>(), vec(any::<Index>(), 1..=32));
    prop_oneof![
        24 => burst.prop_map(|(port, of)| Event::Burst(port, of)),
        8 => vec(step(flow.clone()), 1..4).prop_map(Event::Change),
        1 => vec(step(flow), 1..4).prop_map(Event::ManyChanges),
        2 => prop_oneof![Just(None), moved_ports().prop_map(Some)].prop_map(Event::Ports),
        4 => select(vec![0u64, 1, 40, 100, 450, 501, 1100, 6000]).prop_map(Event::Pass),
        2 => Just(Event::Settle),
        1 => any::<u64>().prop_map(Event::Flush),
    ]
}

pub fn packet_of_frame() -> impl Strategy<Value = Packet> {
    frame().prop_filter_map("a runt", |(arrival, frame)| Packet::of_frame(&arrival, &frame))
}

pub fn small_packet() -> impl Strategy<Value = Packet> {
    (dense_key(), 60u32..64).prop_map(|(key, len)| Packet::short(key, len))
}

pub fn tunnelled_packet() -> impl Strategy<Value = Packet> {
    (tunnelled_key(), 60u32..64).prop_map(|(key, len)| Packet::tunnelled(key, len))
}

/// From a few megaflows of two masks a port to plenty.
fn sizes() -> impl Strategy<Value = CacheSizes> {
    let size = |megaflows, megaflows_per_port, masks_per_port, max_idle_ms| CacheSizes {
        megaflows,
        megaflows_per_port,
        masks_per_port,
        emc_entries: megaflows,
        max_idle_ms,
    };
    select(vec![
        size(3, 3, 2, 1000),
        size(8, 5, 2, 400),
        size(12, 12, 2, 10_000),
        size(24, 8, 32, 10_000),
        size(512, 512, 2, 10_000),
        size(512, 512, 64, 10_000),
    ])
}

/// How often something happened, in all cases.
#[derive(Default)]
struct Met(Cell<Counts>);

impl Met {
    fn add(&self, new: &Counts) {
        let old = self.0.get();
        self.0.set(Counts {
            emc_hits: old.emc_hits + new.emc_hits,
            megaflow_hits: old.megaflow_hits + new.megaflow_hits,
            stale: old.stale + new.stale,
            probes: old.probes + new.probes,
            revalidated: old.revalidated + new.revalidated,
            installed: old.installed + new.installed,
            expired: old.expired + new.expired,
            evicted: old.evicted + new.evicted,
            refused: old.refused + new.refused,
            narrowed: old.narrowed + new.narrowed,
        });
    }
}

fn happen(lab: &mut Lab, event: &Event, first: &[Wanted], packets: &[Packet], cookie: &mut u64) {
    let mods = |steps: &[Step], cookie: &mut u64| -> Vec<_> {
        *cookie += 100;
        (*cookie..).zip(steps).map(|(cookie, step)| step.flow_mod(first, cookie)).collect()
    };
    match event {
        Event::Burst(port, of) => {
            let port = port.get(packets).port();
            let own: Vec<_> = packets.iter().filter(|packet| packet.port() == port).copied().collect();
            let burst: Vec<_> = of.iter().map(|of| *of.get(&own)).collect();
            lab.burst(&burst);
        }
        Event::Change(steps) => {
            lab.change(mods(steps, cookie));
            lab.see();
        }
        Event::ManyChanges(steps) => {
            lab.change(mods(steps, cookie));
            let extra = &first[0];
            for _ in 0..KEPT_ENTRIES / 2 + 1 {
                lab.change([flow_mod(Command::Add, extra, *cookie + 50)]);
                lab.change([flow_mod(Command::DeleteStrict, extra, 0)]);
            }
            lab.see();
        }
        Event::Ports(moved) => {
            lab.set_ports(moved.clone().unwrap_or_else(ports));
            lab.see();
        }
        Event::Pass(ms) => lab.pass(*ms),
        Event::Settle => lab.settle(),
        Event::Flush(which) => {
            let mut at = 0;
            lab.flush(|_| {
                at += 1;
                which >> (at % 64) & 1 == 1
            });
        }
    }
}

#[test]
fn no_answer_is_stale_and_no_packet_uncounted() {
    let case = |flow: BoxedStrategy<Wanted>, packet: BoxedStrategy<Packet>| {
        (vec(flow.clone(), 1..40), vec(packet, PACKETS), vec(event(flow), 1..60))
    };
    let worlds = prop_oneof![
        1 => case(wanted().boxed(), packet_of_frame().boxed()),
        2 => case(dense().boxed(), small_packet().boxed()),
        1 => case(tunnelling(dense()).boxed(), tunnelled_packet().boxed()),
    ];
    let warm = prop::bool::weighted(0.1);
    let met = Met::default();
    let config = ProptestConfig {
        cases: 512,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let ran =
        TestRunner::new(config).run(&(worlds, sizes(), warm), |((first, packets, events), sizes, warm)| {
            let mut lab = Lab::new(sizes, ports());
            lab.change((0..).zip(&first).map(|(cookie, want)| flow_mod(Command::Add, want, cookie)));
            lab.see();
            let mut cookie = 1000;
            for (at, event) in events.iter().enumerate() {
                if warm && at == events.len() / 3 {
                    lab.warm(&packets);
                }
                happen(&mut lab, event, &first, &packets, &mut cookie);
            }
            lab.settle();
            met.add(&lab.counts());
            Ok(())
        });
    ran.unwrap();
    let met = met.0.get();
    let rare =
        [met.emc_hits, met.stale, met.revalidated, met.expired, met.evicted, met.refused, met.narrowed];
    assert!(rare.iter().all(|often| *often > 50), "the random events try too little: {met:?}");
}
