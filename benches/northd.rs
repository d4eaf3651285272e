//! Cost of the Northbound compiler and of what follows from it: 1000 switches with 10 ports each and 100 routers, with rules
//! on groups of ports, from nothing; then one more port, one more switch with a port, one more rule for all ports.
//!
//! With `-- N` it is that many switches; with `-- N STEPS` each small step is done so often, and with `-- N STEPS WHICH` only
//! one of them, for a profiler.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millrace::logical::nb::tables::{
    Acl, AddressSet, LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, NbGlobal, PortGroup,
};
use millrace::logical::nb::{self, Uuid};
use millrace::logical::northd::{Compiler, Keys};
use millrace::logical::rows::{self, Table};
use millrace::lower::{Host, Lowering, Numbers, Rebound, Zones};
use millrace::packet::PortNo;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::{Batch, Tables};

const PORTS: u32 = 10;
/// Switches of a router.
const OF_ROUTER: u32 = 10;
const ALL: &str = "all";

fn uuid(kind: u32, n: u32, p: u32) -> Uuid {
    // Spread as random ones are.
    let plain = u128::from(kind) << 64 | u128::from(n) << 32 | u128::from(p) | 1 << 96;
    Uuid(plain.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn port_name(n: u32, p: u32) -> String {
    format!("vm{n}-{p}")
}

fn port(n: u32, p: u32) -> LogicalSwitchPort {
    let [high, low] = [n >> 8, n & 255];
    let mac = format!("02:00:{high:02x}:{low:02x}:{:02x}:{:02x}", p >> 8, p & 255);
    let address = format!("{mac} {}.{high}.{low}.{}", 10 + p / 200, p % 200 + 10);
    LogicalSwitchPort {
        name: port_name(n, p),
        addresses: [address.clone()].into(),
        port_security: [address].into(),
        ..Default::default()
    }
}

/// A switch with so many ports, and one that leads to its router; all of it to be put.
fn switch(edit: &mut nb::Edit, n: u32, ports: u32) -> BTreeSet<Uuid> {
    let router = n / OF_ROUTER;
    let vms: BTreeSet<Uuid> = (0..ports).map(|p| uuid(1, n, p)).collect();
    for p in 0..ports {
        edit.put(uuid(1, n, p), port(n, p));
    }
    let to_router = LogicalSwitchPort {
        name: format!("sr{n}"),
        kind: "router".to_owned(),
        addresses: ["router".to_owned()].into(),
        options: [("router-port".to_owned(), format!("rs{n}"))].into(),
        ..Default::default()
    };
    edit.put(uuid(2, n, 0), to_router);
    let all = vms.iter().copied().chain([uuid(2, n, 0)]).collect();
    edit.put(uuid(0, n, 0), LogicalSwitch { name: format!("sw{n}"), ports: all, ..Default::default() });
    let at_router = LogicalRouterPort {
        name: format!("rs{n}"),
        mac: format!("02:00:{:02x}:{:02x}:ff:01", n >> 8, n & 255),
        networks: [format!("10.{}.{}.1/24", n >> 8, n & 255)].into(),
        ..Default::default()
    };
    edit.put(uuid(3, n, 0), at_router);
    if !edit.update(uuid(4, router, 0), |row: &mut LogicalRouter| _ = row.ports.insert(uuid(3, n, 0))) {
        let row = LogicalRouter {
            name: format!("lr{router}"),
            ports: [uuid(3, n, 0)].into(),
            ..Default::default()
        };
        edit.put(uuid(4, router, 0), row);
    }
    vms
}

fn acl(n: u32) -> Acl {
    Acl {
        action: if n.is_multiple_of(3) { "drop" } else { "allow" }.to_owned(),
        direction: "to-lport".to_owned(),
        priority: 1000 + (n % 100) as u16,
        matches: format!("outport == @{ALL} && ip4.src == $as && tcp.dst == {}", 1000 + n),
        ..Default::default()
    }
}

fn everything(edit: &mut nb::Edit, switches: u32) {
    let mut all = BTreeSet::new();
    for n in 0..switches {
        all.extend(switch(edit, n, PORTS));
    }
    for n in 0..20 {
        edit.put(uuid(5, n, 0), acl(n));
    }
    let acls = (0..20).map(|n| uuid(5, n, 0)).collect();
    edit.put(uuid(6, 0, 0), PortGroup { name: ALL.to_owned(), ports: all, acls, ..Default::default() });
    let addresses = (0..100).map(|n| format!("10.9.9.{n}")).collect();
    edit.put(uuid(7, 0, 0), AddressSet { name: "as".to_owned(), addresses, ..Default::default() });
    edit.put(uuid(8, 0, 0), NbGlobal::default());
}

#[derive(Default, Clone, Copy)]
struct Took {
    committed: Duration,
    polled: Duration,
    compiled: Duration,
    entered: Duration,
    lowered: Duration,
    applied: Duration,
    units: usize,
    rows: usize,
    flows: usize,
}

struct World {
    northbound: nb::Database,
    cursor: nb::Cursor,
    compiler: Compiler,
    southbound: rows::Database,
    lower_cursor: rows::Cursor,
    lowering: Lowering,
    tables: Tables,
    stats: std::sync::Arc<FlowStats>,
}

fn timed<T>(took: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let made = work();
    *took = began.elapsed();
    made
}

impl World {
    fn new() -> Self {
        let (northbound, southbound) = (nb::Database::default(), rows::Database::default());
        Self {
            cursor: northbound.subscribe_from_nothing(),
            lower_cursor: southbound.subscribe_from_nothing(),
            compiler: Compiler::new(Keys::default()),
            lowering: Lowering::new(Numbers::default(), Zones::default()),
            tables: Tables::default(),
            stats: FlowStats::new(1),
            northbound,
            southbound,
        }
    }

    fn step(&mut self, change: impl FnOnce(&mut nb::Edit), bind: Vec<(String, PortNo)>) -> Took {
        let mut took = Took::default();
        let draft = self.northbound.draft();
        timed(&mut took.committed, || {
            let mut edit = draft.edit();
            change(&mut edit);
            let changed = draft.finish(edit).expect("the rows are consistent");
            self.northbound.accept(changed);
        });
        let delta = timed(&mut took.polled, || self.cursor.poll(&self.northbound));
        let southbound = self.southbound.snapshot().clone();
        let transaction = timed(&mut took.compiled, || self.compiler.update(&delta, &[], &southbound));
        drop(southbound);
        took.units = self.compiler.looked_at();
        timed(&mut took.entered, || self.southbound.commit(transaction)).expect("the rows are consistent");
        let ports = bind.into_iter().map(|(name, port)| (name, Some(port))).collect();
        let rebound = Rebound { host: Host::named("here"), ports };
        let delta = self.lower_cursor.poll(&self.southbound);
        took.rows = delta.changes.len();
        let changes = timed(&mut took.lowered, || self.lowering.follow(&delta, &rebound));
        took.flows = changes.len();
        timed(&mut took.applied, || {
            let mut batch = Batch::new(&self.tables, &self.stats, Instant::now());
            changes.apply(&mut batch);
            self.tables = batch.commit().0;
        });
        took
    }
}

fn say(what: &str, took: &[Took]) {
    // The fastest of each part, since others use the machine too.
    let least = |part: fn(&Took) -> Duration| took.iter().map(part).min().unwrap_or_default();
    let last = took.last().copied().unwrap_or_default();
    println!(
        "{what}: {} units, {} rows, {} flows: northbound {:.1?}, polled {:.1?}, compiled {:.1?}, southbound {:.1?}, \
         lowered {:.1?}, applied {:.1?}",
        last.units,
        last.rows,
        last.flows,
        least(|took| took.committed),
        least(|took| took.polled),
        least(|took| took.compiled),
        least(|took| took.entered),
        least(|took| took.lowered),
        least(|took| took.applied),
    );
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let switches = numbers.next().unwrap_or(1000);
    let steps = numbers.next().unwrap_or(5);
    let which = numbers.next();
    let mut at = 0;
    let mut world = World::new();
    // A port of every fourth switch is here, and by their routers all switches.
    let here =
        (0..switches).step_by(4).take(250).zip(1..).map(|(n, at)| (port_name(n, 0), PortNo(at))).collect();
    let took = world.step(|edit| everything(edit, switches), here);
    say("from nothing", &[took]);
    let flows = world.southbound.snapshot().len(Table::LogicalFlow);
    println!("{} rows of Logical_Flow, {} flows in tables", flows, world.lowering.len());
    let mut step = |world: &mut World,
                    what: &str,
                    change: &dyn Fn(u32, &mut nb::Edit),
                    bound: &dyn Fn(u32) -> Option<String>| {
        at += 1;
        if which.is_some_and(|which| which != at) {
            return;
        }
        let took: Vec<Took> = (0..steps)
            .map(|n| {
                let bind = bound(n).map(|name| (name, PortNo(300 + n as u16))).into_iter().collect();
                world.step(|edit| change(n, edit), bind)
            })
            .collect();
        say(what, &took);
    };
    let add = |n: u32, p: u32, edit: &mut nb::Edit| {
        edit.put(uuid(1, n, p), port(n, p));
        edit.update(uuid(0, n, 0), |row: &mut LogicalSwitch| _ = row.ports.insert(uuid(1, n, p)));
    };
    step(&mut world, "one more port", &|n, edit| add(7, 100 + n, edit), &|n| Some(port_name(7, 100 + n)));
    let member = |n: u32, edit: &mut nb::Edit| {
        add(11, 100 + n, edit);
        edit.update(uuid(6, 0, 0), |row: &mut PortGroup| _ = row.ports.insert(uuid(1, 11, 100 + n)));
    };
    step(&mut world, "one more port in the group of all", &member, &|n| Some(port_name(11, 100 + n)));
    step(&mut world, "one more switch with a port", &|n, edit| _ = switch(edit, switches + n, 1), &|n| {
        Some(port_name(switches + n, 0))
    });
    let rule = |n: u32, edit: &mut nb::Edit| {
        edit.put(uuid(5, 100 + n, 0), acl(100 + n));
        edit.update(uuid(6, 0, 0), |row: &mut PortGroup| _ = row.acls.insert(uuid(5, 100 + n, 0)));
    };
    step(&mut world, "one more rule for all ports", &rule, &|_| None);
}
