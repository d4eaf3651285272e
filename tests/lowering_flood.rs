//! How far a flood reaches: a packet to a multicast group goes to each member, up to the bounds of a translation, and beyond
//! them is dropped by name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use millrace::action::Op;
use millrace::logical::rows::tables::{DatapathBinding, LogicalFlow, MulticastGroup, PortBinding};
use millrace::logical::rows::{Database, Pipeline, Transaction, Uuid};
use millrace::lower::{Bindings, Host, Lowering, Numbers, Zones};
use millrace::packet::{DropReason, Field, FlowKey, PortNo, PortRef};
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, PortView, Ports, Snapshot, Tables};

/// A switch of which so many ports are bound, with so many egress stages that let everything by; all that comes in
/// floods.
fn network(ports: u16, stages: u8) -> (Transaction, Bindings) {
    let mut rows = Transaction::new();
    let mut last = 0;
    let mut next = || {
        last += 1;
        Uuid(last)
    };
    let datapath = next();
    let external_ids = [("logical-switch".to_owned(), "x".to_owned())].into();
    rows.put(datapath, DatapathBinding { external_ids, tunnel_key: 1, ..Default::default() });
    let mut bindings = Bindings { host: Host::named("me"), ..Default::default() };
    let mut members = BTreeSet::new();
    for n in 1..=ports {
        let logical_port = format!("vm{n}");
        bindings.ports.insert(logical_port.clone(), PortNo(n));
        let port = next();
        rows.put(port, PortBinding { logical_port, datapath, tunnel_key: n, ..Default::default() });
        members.insert(port);
    }
    let name = "_MC_flood".to_owned();
    rows.put(next(), MulticastGroup { datapath, name, ports: members, tunnel_key: 0x8000 });
    let mut flow = |pipeline, table_id, actions: &str| {
        let (matches, actions) = ("1".to_owned(), actions.to_owned());
        let logical_datapath = Some(datapath);
        let row =
            LogicalFlow { matches, actions, logical_datapath, pipeline, table_id, ..Default::default() };
        rows.put(next(), row);
    };
    flow(Pipeline::Ingress, 0, "outport = \"_MC_flood\"; output;");
    (0..stages - 1).for_each(|table| flow(Pipeline::Egress, table, "next;"));
    flow(Pipeline::Egress, stages - 1, "output;");
    (rows, bindings)
}

/// Ports that are reached from port 1, and what is said of the packet.
fn flood(ports: u16, stages: u8) -> (usize, Option<DropReason>) {
    let (rows, bindings) = network(ports, stages);
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(rows).unwrap();
    let changes =
        Lowering::new(Numbers::default(), Zones::default()).update(&cursor.poll(&database), &bindings);
    let stats = FlowStats::new(1);
    let tables = Tables::default();
    let mut batch = Batch::new(&tables, &stats, Instant::now());
    assert_eq!(changes.apply(&mut batch), []);
    let view = |n| PortView {
        number: PortNo(n),
        name: Arc::from(format!("vm{n}")),
        at: PortRef { slot: n, generation: 0 },
        no_flood: false,
    };
    let snapshot = Snapshot::new(batch.commit().0, Ports::new((1..=ports).map(view).collect()));
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    let mut translation = Translation::default();
    translate(&snapshot, &mut key, Start::Table(0), &mut translation);
    let drop = translation.ops().iter().find_map(|op| match op {
        Op::Drop(reason) => Some(*reason),
        _ => None,
    });
    let reached: BTreeSet<u16> = translation
        .ops()
        .iter()
        .filter_map(|op| match op {
            Op::Output(port) => Some(port.slot),
            _ => None,
        })
        .collect();
    (reached.len(), drop)
}

/// Egress stages of OVN 23.03.
const STAGES: u8 = 10;

#[test]
fn a_flood_reaches_all_ports_that_a_switch_may_have() {
    assert_eq!(flood(2, STAGES), (1, None));
    assert_eq!(flood(256, STAGES), (255, None));
    // Some stages more, and some ports more than there may be.
    assert_eq!(flood(256, 12), (255, None));
    assert_eq!(flood(300, STAGES), (299, None));
}

#[test]
fn a_flood_beyond_the_bounds_is_dropped_by_name() {
    // Each copy is looked up 13 times, and 4096 times is the most for a packet.
    assert_eq!(flood(600, STAGES), (0, Some(DropReason::TooMany)));
    assert_eq!(flood(1500, STAGES), (0, Some(DropReason::TooMany)));
    assert_eq!(flood(600, 1), (599, None));
    assert_eq!(flood(1500, 1), (0, Some(DropReason::TooMany)));
}
