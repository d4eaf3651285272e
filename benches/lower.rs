//! Cost of lowering: all rows of 1000 switches with 10 ports each and 100 routers, all ports bound; then one more port,
//! and one more address in a set that a rule of every port names.
//!
//! The flows of a switch and of a router are those that northd wrote for `tests/data/ovn/s2-l3`, those of ports are like
//! them. With `-- DUMP [DUMP]` the rows are those of a dump, with 256 of its ports bound, then those of the other one:
//! `scripts/scale --keep` leaves such dumps.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::iter::{once, repeat};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use millrace::logical::rows::tables::{
    AddressSet, DatapathBinding, LogicalDpGroup, LogicalFlow, MulticastGroup, Pairs, PortBinding,
};
use millrace::logical::rows::{Cursor, Database, Pipeline, Row, Store, Transaction, Uuid, dump};
use millrace::lower::{Bindings, Host, Lowering, Numbers, Zones};
use millrace::packet::PortNo;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::{Batch, Tables};

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SWITCHES: u32 = 1000;
const ROUTERS: u32 = 100;
const PORTS: u32 = 10;
const ADDRESSES: u32 = 1000;

struct Net {
    rows: Transaction,
    last: u128,
}

impl Net {
    fn put<T: Row>(&mut self, row: T) -> Uuid {
        // Spread as random ones are.
        self.last += 1;
        let uuid = Uuid(self.last.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        self.rows.put(uuid, row);
        uuid
    }

    fn flow(&mut self, datapath: Uuid, (table_id, priority): (u8, u16), matches: String, actions: String) {
        let pipeline = Pipeline::Ingress;
        let logical_datapath = Some(datapath);
        self.put(LogicalFlow {
            matches,
            actions,
            logical_datapath,
            pipeline,
            table_id,
            priority,
            ..Default::default()
        });
    }

    fn port(&mut self, switch: Uuid, n: u32, p: u32) -> Uuid {
        let (name, mac) = (format!("vm{n}-{p}"), format!("02:00:00:{:02x}:{:02x}:{p:02x}", n >> 8, n & 255));
        let ip = format!("10.{}.{}.{p}", n >> 8, n & 255);
        let reply = format!(
            "eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; arp.tpa = arp.spa; \
             arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
        );
        self.flow(switch, (19, 50), format!("arp.tpa == {ip} && arp.op == 1"), reply);
        let own = format!("arp.tpa == {ip} && arp.op == 1 && inport == \"{name}\"");
        self.flow(switch, (19, 100), own, "next;".into());
        self.flow(switch, (25, 50), format!("eth.dst == {mac}"), format!("outport = \"{name}\"; output;"));
        self.put(PortBinding {
            logical_port: name,
            datapath: switch,
            tunnel_key: p as u16 + 2,
            port_security: [format!("{mac} {ip}")].into(),
            ..Default::default()
        })
    }
}

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn recorded() -> Store {
    let mut database = Database::default();
    load(&mut database, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn/s2-l3/sb-dump.json"));
    database.snapshot().clone()
}

/// Puts the rows of a dump in the place of all rows.
fn load(database: &mut Database, file: &Path) {
    let text = std::fs::read_to_string(file).expect("the dump is there");
    let rows = dump::read(&text).expect("the dump is read");
    let transaction = Transaction::replacing(database.snapshot(), rows);
    database.commit(transaction).expect("the dump is consistent");
}

/// A switch's half of it all: rows are lowered and the flows put into tables.
struct Switch {
    database: Database,
    cursor: Cursor,
    bindings: Bindings,
    lowering: Lowering,
    tables: Tables,
    stats: Arc<FlowStats>,
}

impl Switch {
    fn new() -> Self {
        let database = Database::default();
        Self {
            cursor: database.subscribe_from_nothing(),
            database,
            bindings: Bindings { host: Host::named("scale"), ports: BTreeMap::new() },
            lowering: Lowering::new(Numbers::default(), Zones::default()),
            tables: Tables::default(),
            stats: FlowStats::new(1),
        }
    }

    /// Follows the rows and says what it took.
    fn follow(&mut self, what: &str) {
        let Took { rows, flows, polled, lowered, applied, grown, lowering } = self.step();
        println!(
            "{what}: {rows} rows, {flows} flows: polled {polled:.1?}, lowered {lowered:.1?}, applied {applied:.1?}; \
             {} MiB more, {} MiB while lowering",
            grown >> 20,
            lowering >> 20
        );
    }

    /// A port goes and comes, often; what its coming takes, in the middle.
    fn go_and_come(&mut self) {
        let Some((name, number)) = self.bindings.ports.pop_last() else { return };
        let mut all: Vec<Took> = Vec::new();
        for _ in 0..101 {
            self.bindings.ports.remove(&name);
            self.step();
            self.bindings.ports.insert(name.clone(), number);
            all.push(self.step());
        }
        all.sort_by_key(|took| took.lowered + took.applied);
        let Took { flows, lowered, applied, .. } = &all[50];
        println!("one port more, 50th of 101: {flows} flows: lowered {lowered:.1?}, applied {applied:.1?}");
    }

    /// An address comes to a set that rules name and goes, often; what its coming takes, in the middle.
    fn grow_and_shrink(&mut self) {
        let store = self.database.snapshot();
        let rules: Vec<&str> = store
            .iter::<LogicalFlow>()
            .map(|(_, flow)| &*flow.matches)
            .filter(|text| text.contains('$'))
            .collect();
        let is_named = |set: &AddressSet| rules.iter().any(|text| text.contains(&format!("${}", set.name)));
        let Some((uuid, set)) = store.iter::<AddressSet>().find(|(_, set)| is_named(set)) else { return };
        let (name, less) = (set.name.clone(), AddressSet::clone(set));
        let mut more = less.clone();
        more.addresses.insert("192.0.2.1".into());
        let mut all: Vec<Took> = Vec::new();
        for _ in 0..51 {
            for row in [&more, &less] {
                let mut rows = Transaction::new();
                rows.put(uuid, row.clone());
                self.database.commit(rows).expect("an address");
                all.push(self.step());
            }
        }
        let mut all: Vec<Took> = all.into_iter().step_by(2).collect();
        all.sort_by_key(|took| took.lowered + took.applied);
        let Took { flows, lowered, applied, .. } = &all[25];
        println!(
            "one address more in {name}, 25th of 51: {flows} flows: lowered {lowered:.1?}, applied {applied:.1?}"
        );
    }

    fn step(&mut self) -> Took {
        let before = IN_USE.load(Relaxed);
        let began = Instant::now();
        let delta = self.cursor.poll(&self.database);
        let polled = began.elapsed();
        let began = Instant::now();
        let changes = self.lowering.update(&delta, &self.bindings);
        let lowered = began.elapsed();
        let of_lowering = IN_USE.load(Relaxed);
        let began = Instant::now();
        let mut batch = Batch::new(&self.tables, &self.stats, began);
        assert_eq!(changes.apply(&mut batch), []);
        (self.tables, _) = batch.commit();
        let applied = began.elapsed();
        let (rows, flows) = (delta.changes.len(), changes.len());
        drop((delta, changes));
        let grown = IN_USE.load(Relaxed).saturating_sub(before);
        let lowering = of_lowering.saturating_sub(before);
        Took { rows, flows, polled, lowered, applied, grown, lowering }
    }
}

/// What following takes: time, and bytes more than before.
struct Took {
    rows: usize,
    flows: usize,
    polled: Duration,
    lowered: Duration,
    applied: Duration,
    grown: usize,
    lowering: usize,
}

/// Rows of a dump, and then those of another one.
fn of_dumps(files: &[String]) {
    let mut switch = Switch::new();
    for (file, is_first) in files.iter().zip(once(true).chain(repeat(false))) {
        let before = IN_USE.load(Relaxed);
        let began = Instant::now();
        load(&mut switch.database, Path::new(file));
        let mib = IN_USE.load(Relaxed).saturating_sub(before) >> 20;
        println!("{file} read: {:.0?}, {mib} MiB more", began.elapsed());
        if is_first {
            let store = switch.database.snapshot();
            let vifs = store.iter::<PortBinding>().map(|(_, port)| port).filter(|port| port.kind.is_empty());
            let mut names: Vec<(u16, Uuid, String)> =
                vifs.map(|port| (port.tunnel_key, port.datapath, port.logical_port.clone())).collect();
            names.sort();
            let step = (names.len() / 10).max(1).div_ceil(256);
            let names = names.into_iter().step_by(step).map(|(.., name)| name).take(256);
            switch.bindings.ports = names.zip((1..).map(PortNo)).collect();
        }
        switch.follow("all of it");
        switch.go_and_come();
        switch.grow_and_shrink();
    }
}

fn network() -> Net {
    let recorded = recorded();
    let mut net = Net { rows: Transaction::new(), last: 0 };
    let addresses = (0..ADDRESSES).map(|n| format!("172.16.{}.{}", n >> 8, n & 255)).collect();
    net.put(AddressSet { name: "as".into(), addresses });
    let mut switches = BTreeSet::new();
    let mut routers = BTreeSet::new();
    for r in 0..ROUTERS {
        let external_ids = pairs(&[("logical-router", "x")]);
        routers.insert(net.put(DatapathBinding { external_ids, tunnel_key: 5000 + r, ..Default::default() }));
    }
    let of_routers: Vec<Uuid> = routers.iter().copied().collect();
    for n in 0..SWITCHES {
        let external_ids = pairs(&[("logical-switch", "x")]);
        let switch = net.put(DatapathBinding { external_ids, tunnel_key: n + 1, ..Default::default() });
        switches.insert(switch);
        let router = of_routers[(n % ROUTERS) as usize];
        let patch = |logical_port: String, peer: String, datapath, tunnel_key: u32| PortBinding {
            logical_port,
            datapath,
            tunnel_key: tunnel_key as u16,
            kind: "patch".into(),
            options: pairs(&[("peer", &peer)]),
            ..Default::default()
        };
        let up = net.put(patch(format!("s{n}"), format!("r{n}"), switch, 1));
        net.put(patch(format!("r{n}"), format!("s{n}"), router, n / ROUTERS + 1));
        let mut ports: BTreeSet<Uuid> = (0..PORTS).map(|p| net.port(switch, n, p)).collect();
        let resolve = |p: u32| {
            let ip = format!("10.{}.{}.{p}", n >> 8, n & 255);
            let mac = format!("02:00:00:{:02x}:{:02x}:{p:02x}", n >> 8, n & 255);
            (format!("outport == \"r{n}\" && reg0 == {ip}"), format!("eth.dst = {mac}; next;"))
        };
        for (matches, actions) in (0..PORTS).map(resolve) {
            net.flow(router, (17, 100), matches, actions);
        }
        ports.insert(up);
        let name = "_MC_flood".to_owned();
        net.put(MulticastGroup { datapath: switch, name, ports, tunnel_key: 0x8000 });
    }
    let switches = net.put(LogicalDpGroup { datapaths: switches });
    let routers = net.put(LogicalDpGroup { datapaths: routers });
    for (_, flow) in recorded.iter::<LogicalFlow>() {
        let is_of_port = flow.matches.contains('"') || flow.actions.contains('"');
        let group = match flow.logical_dp_group {
            Some(_) => switches,
            None if !is_of_port
                && flow.external_ids.get("stage-name").is_some_and(|n| n.starts_with("lr")) =>
            {
                routers
            }
            None => continue,
        };
        let logical_dp_group = Some(group);
        net.put(LogicalFlow { logical_datapath: None, logical_dp_group, ..LogicalFlow::clone(flow) });
    }
    net.put(LogicalFlow {
        matches: "ip4.src == $as && tcp.dst == {80, 443, 8080}".into(),
        actions: "next;".into(),
        logical_dp_group: Some(routers),
        table_id: 5,
        ..Default::default()
    });
    net
}

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if !files.is_empty() {
        return of_dumps(&files);
    }
    let net = network();
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(net.rows).expect("the rows are consistent");
    let names = (0..SWITCHES).flat_map(|n| (0..PORTS).map(move |p| format!("vm{n}-{p}")));
    let ports = names.zip((1..).map(PortNo)).collect();
    let mut bindings = Bindings { host: Host::named("me"), ports };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let delta = cursor.poll(&database);

    let began = Instant::now();
    let changes = lowering.update(&delta, &bindings);
    let took = began.elapsed();
    println!("{} rows to {} flows: {took:.0?}", delta.changes.len(), changes.len());
    assert!(lowering.len() > 100_000, "{}", lowering.len());
    let began = Instant::now();
    println!("{} changes for a batch: {:.0?}", changes.flow_mods().map(black_box).count(), began.elapsed());

    let store = database.snapshot();
    let (switch, _) = store.datapath_by_key(1).expect("the first switch");
    let (group, row) = store.multicast_group(switch, "_MC_flood").expect("its group");
    let mut row = MulticastGroup::clone(row);
    let mut more = Net { rows: Transaction::new(), last: 1 << 64 };
    row.ports.insert(more.port(switch, 0, 200));
    more.rows.put(group, row);
    database.commit(more.rows).expect("one more port");
    bindings.ports.insert("vm0-200".into(), PortNo(20_000));
    let began = Instant::now();
    let changes = lowering.update(&cursor.poll(&database), &bindings);
    println!("one more port, {} flows: {:.0?}", changes.len(), began.elapsed());

    let (uuid, row) = database.snapshot().address_set("as").expect("the set");
    let mut row = AddressSet::clone(row);
    row.addresses.insert("192.0.2.1".into());
    let mut rows = Transaction::new();
    rows.put_any(uuid, Arc::new(row).into_any());
    database.commit(rows).expect("one more address");
    let began = Instant::now();
    let changes = lowering.update(&cursor.poll(&database), &bindings);
    println!("one more address, {} flows: {:.0?}", changes.len(), began.elapsed());
}
