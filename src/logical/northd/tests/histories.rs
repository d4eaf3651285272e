//! Random histories of changes: after each the Southbound rows are those of a compiler that starts from nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::Keys;
use super::support::Network;
use crate::logical::nb::tables::{
    Acl, AddressSet, Copp, Dns, ForwardingGroup, GatewayChassis, HaChassis, HaChassisGroup, LoadBalancer,
    LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, Meter, MeterBand, Mirror, Nat,
    NbGlobal, PortGroup, Qos,
};
use crate::logical::nb::{AnyRow, Row, Table, Transaction, Uuid};
use crate::logical::rows::tables::{Chassis, Encap};
use crate::logical::rows::{self};

/// How many rows of a table there may be.
const ROWS: u128 = 4;

/// One of few identifiers of a table.
fn name(table: Table) -> impl Strategy<Value = Uuid> {
    (1..=ROWS).prop_map(move |number| Uuid((table as u128) << 120 | number << 96 | 0x1234))
}

fn names(table: Table) -> impl Strategy<Value = BTreeSet<Uuid>> {
    btree_set(name(table), 0..3)
}

fn maybe(table: Table) -> impl Strategy<Value = Option<Uuid>> {
    prop_oneof![3 => Just(None), 1 => name(table).prop_map(Some)]
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

fn pairs(
    all: &'static [(&'static str, &'static str)],
    most: usize,
) -> impl Strategy<Value = BTreeMap<String, String>> {
    let pair = select(all).prop_map(|(key, value)| (key.to_owned(), value.to_owned()));
    vec(pair, 0..=most).prop_map(|pairs| pairs.into_iter().collect())
}

fn boxed<R: Row<Table>>(row: impl Strategy<Value = R> + 'static) -> BoxedStrategy<AnyRow> {
    row.prop_map(|row| Arc::new(row).into_any()).boxed()
}

const PORTS: &[&str] = &["p1", "p2", "p3", "p4", "r1"];
const ROUTER_PORTS: &[&str] = &["r1", "r2", "r3", "p4"];

fn switch() -> BoxedStrategy<AnyRow> {
    let config = pairs(
        &[
            ("vlan-passthru", "true"),
            ("mcast_snoop", "true"),
            ("mcast_flood_unregistered", "true"),
            ("interconn-ts", "ts"),
            ("requested-tnl-key", "3"),
            ("requested-tnl-key", "4"),
            ("subnet", "10.0.0.0/24"),
        ],
        2,
    );
    let lists = (
        btree_set(name(Table::LogicalSwitchPort), 0..5),
        names(Table::Acl),
        names(Table::Qos),
        names(Table::LoadBalancer),
        names(Table::Dns),
        names(Table::ForwardingGroup),
    );
    let row = (text(&["a", "b"]), config, maybe(Table::Copp), lists).prop_map(
        |(name, other_config, copp, lists)| {
            let (ports, acls, qos_rules, load_balancer, dns_records, forwarding_groups) = lists;
            LogicalSwitch {
                name,
                other_config,
                copp,
                ports,
                acls,
                qos_rules,
                load_balancer,
                dns_records,
                forwarding_groups,
                ..LogicalSwitch::default()
            }
        },
    );
    boxed(row)
}

fn switch_port() -> BoxedStrategy<AnyRow> {
    let addresses = btree_set(
        text(&[
            "02:00:00:00:00:01 10.0.0.1 fd00::1",
            "02:00:00:00:00:02 10.0.0.2",
            "02:00:00:00:00:03 dynamic",
            "dynamic",
            "unknown",
            "router",
            "x",
        ]),
        0..3,
    );
    let kind = text(&["", "", "router", "router", "localnet", "external", "virtual", "vtep", "remote", "?"]);
    let options = pairs(
        &[
            ("router-port", "r1"),
            ("router-port", "r2"),
            ("router-port", "r3"),
            ("nat-addresses", "router"),
            ("nat-addresses", "02:00:00:00:00:09 10.9.9.9"),
            ("arp_proxy", "10.7.0.1 10.7.0.2"),
            ("virtual-ip", "10.0.0.50"),
            ("virtual-ip", "fd00::50"),
            ("virtual-parents", "p1,p2,p9"),
            ("localnet_learn_fdb", "true"),
            ("qos_max_rate", "100"),
            ("mcast_flood", "true"),
            ("mcast_flood_reports", "true"),
            ("requested-tnl-key", "2"),
            ("requested-tnl-key", "7"),
            ("requested-chassis", "hv1,hv2"),
        ],
        3,
    );
    let security = btree_set(text(&["02:00:00:00:00:01 10.0.0.1", "y"]), 0..2);
    let more = (
        select(vec![None, Some(true), Some(false)]),
        select(vec![None, Some(true)]),
        select(vec![None, Some("p1")]),
        select(vec![None, Some(5), Some(0)]),
        select(vec![None, Some("02:00:00:00:00:77 10.0.0.77")]),
        maybe(Table::HaChassisGroup),
        names(Table::Mirror),
    );
    let row = (text(PORTS), kind, addresses, options, security, more).prop_map(
        |(name, kind, addresses, options, port_security, more)| {
            let (enabled, up, parent, tag_request, dynamic, ha_chassis_group, mirror_rules) = more;
            LogicalSwitchPort {
                name,
                kind,
                addresses,
                options,
                port_security,
                enabled,
                up,
                parent_name: parent.map(str::to_owned),
                tag_request,
                dynamic_addresses: dynamic.map(str::to_owned),
                ha_chassis_group,
                mirror_rules,
                ..LogicalSwitchPort::default()
            }
        },
    );
    boxed(row)
}

fn router() -> BoxedStrategy<AnyRow> {
    let options = pairs(&[("chassis", "hv1"), ("mcast_relay", "true")], 1);
    let enabled = select(vec![None, None, Some(false)]);
    let lists = (names(Table::LogicalRouterPort), names(Table::Nat));
    boxed((options, enabled, lists).prop_map(|(options, enabled, (ports, nat))| LogicalRouter {
        name: "r".to_owned(),
        options,
        enabled,
        ports,
        nat,
        ..LogicalRouter::default()
    }))
}

fn router_port() -> BoxedStrategy<AnyRow> {
    let networks = btree_set(text(&["10.0.0.254/24", "fd00::fe/64", "172.16.0.1/16"]), 1..3);
    let mac = text(&["02:00:00:00:01:01", "02:00:00:00:01:02", "bad"]);
    let options = pairs(&[("reside-on-redirect-chassis", "true")], 1);
    let enabled = select(vec![None, None, Some(false)]);
    let hosts = (maybe(Table::HaChassisGroup), btree_set(name(Table::GatewayChassis), 0..2));
    boxed((text(ROUTER_PORTS), mac, networks, options, enabled, hosts).prop_map(
        |(name, mac, networks, options, enabled, (ha_chassis_group, gateway_chassis))| LogicalRouterPort {
            name,
            mac,
            networks,
            options,
            enabled,
            ha_chassis_group,
            gateway_chassis,
            ..LogicalRouterPort::default()
        },
    ))
}

fn nat() -> BoxedStrategy<AnyRow> {
    let external = text(&["172.16.0.5", "172.16.0.1", "fd00::99", "bad"]);
    let distributed = select(vec![None, Some(("02:00:00:00:02:02", "p1"))]);
    let row = (text(&["snat", "dnat_and_snat"]), external, distributed, maybe(Table::LogicalRouterPort));
    boxed(row.prop_map(|(kind, external_ip, distributed, gateway_port)| Nat {
        kind,
        external_ip,
        logical_ip: "10.0.0.1".to_owned(),
        external_mac: distributed.map(|(mac, _)| mac.to_owned()),
        logical_port: distributed.map(|(_, port)| port.to_owned()),
        gateway_port,
        ..Nat::default()
    }))
}

fn acl() -> BoxedStrategy<AnyRow> {
    let action = text(&["allow", "allow-related", "allow-stateless", "drop", "reject"]);
    let options = pairs(&[("apply-after-lb", "true"), ("log-related", "true")], 1);
    let log = (any::<bool>(), select(vec![None, Some("m1"), Some("m2")]), select(vec![0, 7]));
    let row = (action, text(&["from-lport", "to-lport"]), text(&["ip4", "tcp"]), 1..3u16, options, log);
    boxed(row.prop_map(|(action, direction, matches, priority, options, (log, meter, label))| Acl {
        action,
        direction,
        matches,
        priority,
        options,
        log,
        meter: meter.map(str::to_owned),
        label,
        ..Acl::default()
    }))
}

fn other() -> BoxedStrategy<AnyRow> {
    let group = (text(&["g1", "g2"]), names(Table::LogicalSwitchPort), names(Table::Acl));
    let set = (text(&["g1_ip4", "s", "svc_monitor_mac"]), btree_set(text(&["10.0.0.0/8", "10.1.1.1"]), 0..2));
    let qos =
        (text(&["from-lport", "to-lport"]), select(vec![None, Some(10)]), select(vec![None, Some(100)]));
    let meter = (text(&["m1", "m2"]), btree_set(name(Table::MeterBand), 1..3), any::<bool>());
    let protocols = pairs(&[("reject", "m1"), ("nd-na", "m2"), ("igmp", "m1"), ("dns", "m1")], 2);
    let forwarding = btree_set(text(PORTS), 1..3);
    let global = pairs(
        &[
            ("default_acl_drop", "true"),
            ("use_ct_inv_match", "false"),
            ("ignore_lsp_down", "false"),
            ("svc_monitor_mac", "02:00:00:00:09:09"),
            ("debug_drop_collector_set", "9"),
        ],
        1,
    );
    prop_oneof![
        boxed(group.prop_map(|(name, ports, acls)| PortGroup { name, ports, acls, ..Default::default() })),
        boxed(group_of_chassis()),
        boxed((text(&["hv1", "hv3"]), 1..3u16).prop_map(|(chassis_name, priority)| HaChassis {
            chassis_name,
            priority,
            ..Default::default()
        })),
        boxed(text(&["c1", "c2", "c3"]).prop_map(|name| GatewayChassis { name, ..Default::default() })),
        boxed(set.prop_map(|(name, addresses)| AddressSet { name, addresses, ..Default::default() })),
        boxed(qos.prop_map(|(direction, dscp, rate)| Qos {
            direction,
            matches: "ip".to_owned(),
            action: dscp.map(|dscp| ("dscp".to_owned(), dscp)).into_iter().collect(),
            bandwidth: rate.map(|rate| ("rate".to_owned(), rate)).into_iter().collect(),
            ..Default::default()
        })),
        boxed(meter.prop_map(|(name, bands, fair)| Meter {
            name,
            bands,
            fair: Some(fair),
            unit: "kbps".to_owned(),
            ..Default::default()
        })),
        boxed((1..3u32).prop_map(|rate| MeterBand { action: "drop".to_owned(), rate, ..Default::default() })),
        boxed((text(&["k1", "k2"]), protocols).prop_map(|(name, meters)| Copp {
            name,
            meters,
            ..Default::default()
        })),
        boxed(text(&["n1", "n2"]).prop_map(|name| Mirror {
            name,
            filter: "from-lport".to_owned(),
            kind: "gre".to_owned(),
            ..Default::default()
        })),
        boxed(pairs(&[("host", "10.0.0.1")], 1).prop_map(|records| Dns { records, ..Default::default() })),
        boxed(forwarding.prop_map(|child_port| ForwardingGroup {
            child_port,
            vip: "10.0.0.99".to_owned(),
            vmac: "02:00:00:00:00:99".to_owned(),
            ..Default::default()
        })),
        boxed(
            pairs(&[("10.0.0.9:80", "10.0.0.1:80")], 1)
                .prop_map(|vips| LoadBalancer { vips, ..Default::default() })
        ),
        boxed((global, 0..3i64).prop_map(|(options, nb_cfg)| NbGlobal {
            options,
            nb_cfg,
            ..Default::default()
        })),
    ]
    .boxed()
}

fn group_of_chassis() -> impl Strategy<Value = HaChassisGroup> {
    (text(&["h1", "h2"]), names(Table::HaChassis)).prop_map(|(name, ha_chassis)| HaChassisGroup {
        name,
        ha_chassis,
        ..HaChassisGroup::default()
    })
}

/// A row as it is to be.
fn put() -> impl Strategy<Value = (Uuid, AnyRow)> {
    let row = prop_oneof![
        3 => switch(),
        5 => switch_port(),
        1 => router(),
        3 => router_port(),
        1 => nat(),
        3 => acl(),
        5 => other(),
    ];
    row.prop_flat_map(|row| {
        let table = row.table();
        let number = if table == Table::NbGlobal { Just(Uuid(1)).boxed() } else { name(table).boxed() };
        (number, Just(row))
    })
}

/// A change: rows that are put, and one that is deleted.
type Step = (Vec<(Uuid, AnyRow)>, Option<(Table, Uuid)>);

fn step() -> impl Strategy<Value = Step> {
    let table = select(Table::ALL).prop_flat_map(|table| name(table).prop_map(move |name| (table, name)));
    (vec(put(), 1..6), prop_oneof![2 => Just(None), 1 => table.prop_map(Some)])
}

/// Most rows, so that little is refused for what it names.
fn first() -> impl Strategy<Value = Vec<(Uuid, AnyRow)>> {
    let rows: Vec<_> = Table::ALL
        .iter()
        .flat_map(|table| (1..=ROWS).map(move |number| (*table, number)))
        .map(|(table, number)| {
            let uuid = Uuid((table as u128) << 120 | number << 96 | 0x1234);
            fill(table, number).prop_map(move |row| row.map(|row| (uuid, row)))
        })
        .collect();
    rows.prop_map(|rows| rows.into_iter().flatten().collect())
}

/// A row of a table with a name of its own, if there are to be some at first.
fn fill(table: Table, number: u128) -> BoxedStrategy<Option<AnyRow>> {
    let rename = move |mut row: AnyRow| {
        let at = table.column("name");
        let name = match table {
            Table::LogicalSwitchPort => format!("p{number}"),
            Table::LogicalRouterPort => format!("r{number}"),
            Table::PortGroup => format!("g{number}"),
            Table::Meter => format!("m{number}"),
            _ => format!("{table:?}{number}"),
        };
        if let Some(at) = at {
            let name = rows::Datum::one(rows::Atom::Text(name));
            let _ = row.set(at, name);
        }
        Some(row)
    };
    match table {
        Table::LogicalSwitch => switch().prop_map(rename).boxed(),
        Table::LogicalSwitchPort => switch_port().prop_map(rename).boxed(),
        Table::LogicalRouter => router().prop_map(rename).boxed(),
        Table::LogicalRouterPort => router_port().prop_map(rename).boxed(),
        Table::Nat => nat().prop_map(Some).boxed(),
        Table::Acl => acl().prop_map(Some).boxed(),
        Table::NbGlobal => Just(None).boxed(),
        _ => {
            let wanted = move |row: &AnyRow| row.table() == table;
            let known = [
                Table::PortGroup,
                Table::HaChassisGroup,
                Table::HaChassis,
                Table::GatewayChassis,
                Table::Qos,
                Table::Meter,
                Table::MeterBand,
                Table::Copp,
                Table::Mirror,
                Table::Dns,
                Table::ForwardingGroup,
                Table::LoadBalancer,
            ];
            match known.contains(&table) {
                true => other().prop_filter("of the table", wanted).prop_map(rename).boxed(),
                false => Just(None).boxed(),
            }
        }
    }
}

fn chassis(name: &str, present: bool, network: &mut Network) {
    let [uuid, encap] = [1, 2].map(|number| rows::Uuid(u128::from(name.as_bytes()[2]) << 64 | number));
    let mut transaction = rows::Transaction::new();
    if present {
        let name = name.to_owned();
        transaction.put(encap, Encap { kind: "geneve".to_owned(), ip: name.clone(), ..Default::default() });
        transaction.put(uuid, Chassis { name, encaps: [encap].into(), ..Default::default() });
    } else {
        transaction.delete(rows::Table::Chassis, uuid);
    }
    network.southbound.commit(transaction).unwrap();
    let follow = network.compiler.chassis(network.southbound.snapshot());
    network.southbound.commit(follow).unwrap();
}

/// The rows, as a compiler that starts from nothing makes them.
fn check(network: &Network, present: &BTreeSet<&'static str>) -> Result<(), TestCaseError> {
    let mut anew = network.anew();
    present.iter().for_each(|name| chassis(name, true, &mut anew));
    let (now, anew) = (network.rows(), anew.rows());
    for name in now.keys().chain(anew.keys()) {
        prop_assert_eq!(now.get(name), anew.get(name), "{:?}", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_step_leads_where_a_new_start_does(
        first in first(),
        steps in vec((step(), select(vec![None, Some("hv1"), Some("hv2"), Some("hv3")])), 1..12),
    ) {
        let mut network = Network::new(Keys::default());
        let mut present = BTreeSet::new();
        let mut rows = Transaction::new();
        first.into_iter().for_each(|(uuid, row)| rows.put_any(uuid, row));
        network.commit(rows, &[]);
        check(&network, &present)?;
        for ((put, deleted), host) in steps {
            let mut rows = Transaction::new();
            deleted.into_iter().for_each(|(table, uuid)| rows.delete(table, uuid));
            put.into_iter().for_each(|(uuid, row)| rows.put_any(uuid, row));
            network.commit(rows, &[]);
            if let Some(host) = host {
                let comes = present.insert(host) || !present.remove(host);
                chassis(host, comes, &mut network);
            }
            check(&network, &present)?;
        }
    }
}

#[test]
fn the_first_rows_are_many() {
    // Otherwise nothing above means much.
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut most = 0;
    for _ in 0..8 {
        let mut rows = Transaction::new();
        let tree = first().new_tree(&mut runner).unwrap();
        tree.current().into_iter().for_each(|(uuid, row)| rows.put_any(uuid, row));
        let mut network = Network::new(Keys::default());
        network.commit(rows, &[]);
        most = most.max(network.rows().len());
    }
    assert!(most > 100, "{most}");
}
