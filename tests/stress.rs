//! Two workers under traffic while the tables change all the time: what is received after the answer to a change is
//! treated as the linear interpreter treats it under the new tables.

#[allow(dead_code)] // this binary uses its part
mod oracle;
mod support;
#[allow(dead_code)]
#[path = "../src/packet/testgen.rs"]
mod testgen;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace::config::PortSpec;
use millrace::datapath::megaflow::MegaflowErrand;
use millrace::datapath::perf::CacheCounts;
use millrace::datapath::{Datapath, PortError};
use millrace::packet::parse::parse;
use millrace::packet::{DropReason, Field, FlowKey, Packet, PacketMeta, PortNo};
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::table::FlowFilter;
use millrace::pipeline::{Batch, Flow, FlowMod, Match, Tables};
use millrace::worker::memory::{Wire, Wires};
use millrace::worker::{Engine, MemoryBackend, WorkerSetup};
use oracle::flows::{Wanted, dense, dense_key, flow_mod, step};
use oracle::{Exit, World, interpret, packet_part};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::*;

const LENGTH: Duration = Duration::from_secs(4);
const PORTS: [(PortNo, bool); 3] = [(PortNo(1), false), (PortNo(2), true), (PortNo(3), false)];
/// Different packets that go through the switch all the time, and those that are looked at when they come out.
const KINDS: usize = 24;
/// What comes back from wherever it is sent, whatever else the tables say.
const MARK: &str = "priority=60000,udp,nw_src=10.9.9.9 actions=in_port";
/// The number of the packets that nobody looks at.
const TRAFFIC: u32 = u32::MAX;

/// A frame that is parsed to the key, but for its UDP header, numbered in its last bytes.
fn frame(key: &FlowKey, number: u32) -> Vec<u8> {
    let mut out = numbered(0, 0, 60);
    out[22] = key.get(Field::NwTtl) as u8;
    out[26..30].copy_from_slice(&(key.get(Field::NwSrc) as u32).to_be_bytes());
    out[30..34].copy_from_slice(&(key.get(Field::NwDst) as u32).to_be_bytes());
    out[24..26].fill(0);
    let sum: u32 = out[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    out[24..26].copy_from_slice(&folded.to_be_bytes());
    let tags = [(Field::VlanTpid, Field::VlanTci), (Field::InnerVlanTpid, Field::InnerVlanTci)];
    for (tpid, tci) in tags.into_iter().rev().filter(|(tpid, _)| key.get(*tpid) != 0) {
        let (tpid, tci) = (key.get(tpid) as u16, key.get(tci) as u16 & 0xefff);
        out.splice(12..12, tpid.to_be_bytes().into_iter().chain(tci.to_be_bytes()));
    }
    let end = out.len() - 4;
    out[end..].copy_from_slice(&number.to_be_bytes());
    out
}

fn read(frame: &[u8], port: PortNo) -> FlowKey {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    assert_eq!(parse(frame, &mut meta, &mut key).stop, None, "{frame:02x?}");
    key.set(Field::InPort, u128::from(port.0));
    key
}

/// What came out: by number, the ports and the packets as they left.
type Came = HashMap<u32, Vec<(PortNo, FlowKey)>>;

struct Stress {
    switch: Engine<MemoryBackend>,
    wires: Vec<(PortNo, Wire)>,
    tables: Tables,
    runner: TestRunner,
    first: Vec<Wanted>,
    keys: Vec<FlowKey>,
    number: u32,
    cookie: u64,
    /// Whether the traffic stands still.
    paused: Arc<AtomicBool>,
    /// Milliseconds between eight packets of the traffic: more on a machine that cannot bear it.
    pace: Arc<AtomicU64>,
    /// Packets that found the queue for translation full.
    refused: u64,
}

impl Stress {
    fn new(sizes: CacheSizes) -> Self {
        let backend = MemoryBackend::default();
        let wires: Wires = backend.wires();
        let setups = vec![WorkerSetup { core: None, numa: -1 }; 2];
        let mut switch = Engine::start(backend, &setups, Duration::from_micros(50), sizes).unwrap();
        let mut ends = Vec::new();
        for (number, no_flood) in PORTS {
            let name = format!("p{number}");
            // Both workers receive from every port.
            let rxq_affinity = vec![(0, 0), (1, 1)];
            let spec = PortSpec { number: Some(number), no_flood, n_rxq: 2, rxq_affinity, ..memory(&name) };
            add(&mut switch, &spec);
            ends.push((number, wires.of(&name).unwrap()));
        }
        let mut runner = TestRunner::default();
        let first = sample(&mut runner, &proptest::collection::vec(dense(), 30));
        let keys = sample(&mut runner, &proptest::collection::vec(dense_key(), KINDS));
        let tables = Tables::default();
        let mut stress = Self {
            switch,
            wires: ends,
            tables,
            runner,
            first,
            keys,
            number: 0,
            cookie: 0,
            paused: Arc::default(),
            pace: Arc::new(AtomicU64::new(1)),
            refused: 0,
        };
        let all: Vec<_> = stress.first.iter().map(|want| flow_mod(Command::Add, want, 0)).collect();
        let generation = stress.publish(&all);
        wait(&stress.switch, generation);
        stress
    }

    fn publish(&mut self, changes: &[FlowMod]) -> millrace::datapath::Generation {
        let stats = Arc::clone(self.switch.flow_stats());
        let mut batch = Batch::new(&self.tables, &stats, Instant::now());
        for change in changes {
            let _ = batch.apply(change);
        }
        batch.apply(&change(Command::Add, MARK)).unwrap();
        self.tables = batch.commit().0;
        self.switch.publish_tables(self.tables.clone())
    }

    /// A few changes, published one after the other; answered is the last.
    fn change(&mut self) {
        let mut generation = None;
        for _ in 0..3 {
            let steps = sample(&mut self.runner, &proptest::collection::vec(step(dense().boxed()), 1..3));
            self.cookie += 10;
            let changes: Vec<_> = (self.cookie..)
                .zip(&steps)
                .map(|(cookie, step)| step.flow_mod(&self.first, cookie))
                .collect();
            generation = Some(self.publish(&changes));
        }
        wait(&self.switch, generation.unwrap());
    }

    /// Takes what has come out.
    fn take(&self, came: &mut Came) {
        for (port, wire) in &self.wires {
            while let Some(packet) = wire.take() {
                let data = packet.data();
                let number = u32::from_be_bytes(*data.last_chunk().unwrap());
                if number != TRAFFIC {
                    came.entry(number).or_default().push((*port, packet_part(&read(data, *port))));
                }
            }
        }
    }

    /// What must come of a frame that is fed to a port now.
    fn expect(&self, world: &World, frame: &[u8], port: PortNo) -> Vec<(PortNo, FlowKey)> {
        let outputs = interpret(world, &read(frame, port), 0).outputs;
        let port = |exit| match exit {
            Exit::Port(port) => port,
            Exit::Tunnel(_) => unreachable!("there are no tunnels here"),
        };
        outputs.into_iter().map(|(exit, key)| (port(exit), packet_part(&key))).collect()
    }

    /// Sends a frame to a queue of a port, or by way of the control thread.
    fn send(&mut self, frame: &[u8], port: PortNo, way: usize) {
        let wire = &self.wires.iter().find(|(number, _)| *number == port).unwrap().1;
        let switch = &mut self.switch;
        eventually("there is room", || match way {
            2 => match switch.inject(port, frame) {
                Err(PortError::MailboxFull(_)) => false,
                sent => sent.is_ok(),
            },
            queue => wire.feed(queue, frame),
        });
    }

    fn refused(&self) -> u64 {
        let drops = self.switch.totals().drops;
        drops.iter().find(|(reason, _)| *reason == DropReason::MissQueueFull).map_or(0, |(_, count)| *count)
    }

    /// Sends one packet of each kind and looks at all that becomes of them. Returns how many came out; none if the
    /// machine was too busy to take them all, and then the traffic slows down.
    fn probe(&mut self) -> Option<usize> {
        let flows = self.tables.list(&FlowFilter::default());
        let flows: Vec<Flow> = flows.iter().map(|flow| Flow::clone(flow)).collect();
        let world = World { flows: &flows, ports: &PORTS, tunnel: None, groups: &[] };
        let mut expected = HashMap::new();
        let mut marks = Vec::new();
        let kinds = self.keys.clone().into_iter().enumerate().map(|(at, key)| (key, at % 3, false));
        let mark = |way| {
            let mut key = self.keys[0];
            key.set(Field::NwSrc, 0x0a09_0909);
            PORTS.map(|(port, _)| {
                key.set(Field::InPort, u128::from(port.0));
                (key, way, true)
            })
        };
        // Behind them, in every queue, a packet that tells that those before it have been received.
        for (key, way, is_mark) in kinds.chain([0, 1].into_iter().flat_map(mark)).collect::<Vec<_>>() {
            let port = PortNo(key.get(Field::InPort) as u16);
            let frame = frame(&key, self.number);
            expected.insert(self.number, (key, self.expect(&world, &frame, port)));
            marks.extend(is_mark.then_some(self.number));
            self.send(&frame, port, way);
            self.number += 1;
        }
        let mut came = Came::new();
        eventually("the marks have come back", || {
            self.take(&mut came);
            self.refused() > self.refused || marks.iter().all(|mark| came.contains_key(mark))
        });
        sync(&mut self.switch);
        // They may still wait for translation, among others as long as there is traffic.
        self.paused.store(true, Ordering::Relaxed);
        eventually("no packet waits", || self.switch.totals().in_flight == 0);
        self.paused.store(false, Ordering::Relaxed);
        self.take(&mut came);
        let refused = self.refused();
        let all = refused == self.refused;
        self.refused = refused;
        let mut count = 0;
        for (number, got) in came {
            let (key, right) = expected.remove(&number).unwrap_or_else(|| panic!("{number} is late"));
            for (port, _) in PORTS {
                let [got, right] = [&got, &right].map(|outputs| {
                    let own = outputs.iter().filter(|(to, _)| *to == port);
                    own.map(|(_, key)| *key).collect::<Vec<_>>()
                });
                assert_eq!(got, right, "to port {port}: {key:?} under {flows:#?}");
            }
            count += got.len();
        }
        if !all {
            self.pace.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        for (key, right) in expected.into_values() {
            assert_eq!(right.len(), 0, "nothing came: {key:?} under {flows:#?}\n{:?}", self.switch.totals());
        }
        Some(count)
    }

    /// Flushes the megaflows of a port, now and then.
    fn flush(&mut self) {
        let mut within = Match::default();
        within.set_masked(Field::InPort, 1, 0xffff_ffff);
        let token = self.switch.ask_megaflows(MegaflowErrand::Flush(within));
        let switch = &mut self.switch;
        eventually("the megaflows are flushed", || switch.megaflows(token).is_some());
    }
}

fn sample<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

fn stress(sizes: CacheSizes) {
    let mut stress = Stress::new(sizes);
    let traffic: Vec<_> = {
        let keys = sample(&mut stress.runner, &proptest::collection::vec(dense_key(), KINDS));
        let wire_of = |key: &FlowKey| {
            let port = PortNo(key.get(Field::InPort) as u16);
            stress.wires.iter().find(|(number, _)| *number == port).unwrap().1.clone()
        };
        keys.iter().map(|key| (wire_of(key), frame(key, TRAFFIC))).collect()
    };
    let over = Arc::new(AtomicBool::new(false));
    let (until, paused, pace) = (Arc::clone(&over), Arc::clone(&stress.paused), Arc::clone(&stress.pace));
    let feeder = std::thread::spawn(move || {
        for (n, (wire, frame)) in traffic.iter().cycle().enumerate() {
            let _ = wire.feed(n / KINDS % 2, frame);
            if n % 8 == 7 {
                std::thread::sleep(Duration::from_millis(pace.load(Ordering::Relaxed)));
            }
            while paused.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_micros(50));
            }
            if until.load(Ordering::Relaxed) {
                return;
            }
        }
    });
    let (mut rounds, mut came) = (0, 0);
    let deadline = Instant::now() + LENGTH;
    while Instant::now() < deadline {
        stress.change();
        let Some(packets) = stress.probe() else { continue };
        came += packets;
        rounds += 1;
        if rounds % 16 == 0 {
            stress.flush();
        }
    }
    over.store(true, Ordering::Relaxed);
    feeder.join().unwrap();
    let switch = &mut stress.switch;
    eventually("all that was received has gone one way or another", || {
        sync(switch);
        let totals = switch.totals();
        totals.in_flight == 0 && totals.imbalance() == 0
    });
    let mut late = Came::new();
    stress.take(&mut late);
    assert!(late.is_empty(), "{late:?} came out of what should not");
    let perf = stress.switch.perf();
    assert!(rounds >= 10 && came >= 50, "{rounds} rounds, {came} packets out");
    let all = |of: fn(&CacheCounts) -> u64| perf.iter().map(|worker| of(&worker.cache)).sum::<u64>();
    let counts = [all(|cache| cache.stale), all(|cache| cache.revalidated), all(|cache| cache.megaflow_hits)];
    assert!(counts.iter().all(|count| *count > 20), "the traffic tries too little: {perf:?}");
}

#[test]
fn after_the_answer_the_new_tables_are_met() {
    stress(CacheSizes::default());
}

#[test]
fn after_the_answer_the_new_tables_are_met_with_little_room_for_megaflows() {
    stress(CacheSizes {
        megaflows: 24,
        megaflows_per_port: 16,
        masks_per_port: 2,
        emc_entries: 8,
        max_idle_ms: 20,
    });
}
