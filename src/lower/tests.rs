//! What was lowered step by step is what is lowered at once, and the changes that were told lead there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;

use super::*;
use crate::action::Action;
use crate::logical::rows::tables::{
    self, Chassis, DatapathBinding, Encap, Fdb, HaChassis, HaChassisGroup, LogicalDpGroup, LogicalFlow,
    MacBinding, MulticastGroup, Pairs, PortBinding, StaticMacBinding,
};
use crate::logical::rows::{AnyRow, Database, Delta, Pipeline, Row, Store, Table, Transaction, Uuid};
use crate::packet::Field;
use crate::pipeline::flowmod::Command;
use crate::pipeline::objects::group::GroupSpec;
use crate::pipeline::objects::meter::MeterSpec;
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Batch, Match, Tables};

mod groups;
mod places;
mod remote;
mod sets;
mod texts;

const MATCHES: &[&str] = &[
    "1",
    "ip4",
    "ip4 || ip6",
    r#"inport == "a""#,
    r#"outport == "_MC_flood""#,
    r#"outport == {"a", "b", "c"} && tcp.dst == {1, 2, 4, 8}"#,
    r#"inport == @pg && ip4.src == $as"#,
    r#"inport == @pg && ip4.src == $as && ip4.dst == $as && udp.dst == {1, 2, 3}"#,
    "ip4.src == {10.0.0.1, 10.0.0.2, 10.0.0.9} && tcp.dst == {1, 2, 4}",
    "ip4.src == $as",
    "ip4.src != $as",
    "ip4.src == $as && tcp.dst == {1, 2, 4, 8}",
    "ip4.src == $as && ip4.src == 10.0.0.0/16",
    "ip4.src == {$as, 10.0.0.1} && ip4.dst == {$as, $other}",
    "ip4.src == $as || (ip4.src == $as && tcp.dst == {1, 2, 4, 8}) || (ip4.dst == $other && udp)",
    "(ip4.src == $as && tcp.dst == 1) || (ip4.src == $other && tcp.dst == 1)",
    r#"outport == {"a", "b"} && ip4.src == $as && ip4.dst == $other"#,
    "ip4.src == $as && ip4.dst == $other",
    r#"is_chassis_resident("cr") && eth.dst == 02:00:00:00:00:01"#,
    r#"!is_chassis_resident("a") && ip.ttl == {0, 1}"#,
    "no match",
];
const ACTIONS: &[&str] = &[
    "next;",
    "drop;",
    r#"outport = "a"; output;"#,
    r#"outport = "_MC_flood"; output;"#,
    r#"clone { outport = "b"; output; }; next;"#,
    "get_arp(outport, reg0); next;",
    "reg0[0] = put_dhcp_opts(offerip = 10.0.0.2, netmask = 255.255.255.0); next;",
    "reg0[0] = put_dhcp_opts(offerip = 10.0.0.2, unknown_option = 1); next;",
    "ct_next;",
    "reg8[16..31] = select(1, 2=3);",
    "reg8[16..31] = select(values=(1, 2); hash_fields=\"ip_src,tcp_dst\");",
    "clone { set_meter(100, 10); }; next;",
    "set_meter(100); next;",
    "no action",
];
const PORTS: &[&str] = &["a", "b", "c", "p1", "p2", "cr", "gw", "ln", "in", "un", "p3", "p4"];
const ADDRESSES: &[&str] =
    &["10.0.0.1", "10.0.0.2", "10.0.1.0/24", "10.0.2.0/24", "10.0.0.9", "what", "0xa000001", "10.0.0.3"];
/// Addresses of chassis.
const ENDPOINTS: &[&str] = &["192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4", "what"];
const CHASSIS: Uuid = Uuid(1 << 100);

/// The n-th of the other chassis.
fn other(n: u8) -> Uuid {
    uuid(Table::Chassis, n)
}

/// A chassis, this one or another, that there may be or not.
fn seat() -> impl Strategy<Value = Option<Uuid>> {
    prop_oneof![1 => Just(None), 1 => Just(Some(CHASSIS)), 3 => (0u8..3).prop_map(|n| Some(other(n)))]
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

fn some(words: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(word(words), 0..=words.len())
}

/// The uuid of the n-th row of a table; tables mix in the order of uuids.
fn uuid(table: Table, n: u8) -> Uuid {
    Uuid(u128::from(n) << 120 | (table as u128) << 96 | 1 << 100)
}

fn datapath() -> impl Strategy<Value = Uuid> {
    (0u8..4).prop_map(|n| uuid(Table::DatapathBinding, n))
}

fn group() -> impl Strategy<Value = Uuid> {
    (0u8..2).prop_map(|n| uuid(Table::LogicalDpGroup, n))
}

fn pairs(list: &[(&str, &str)]) -> Pairs {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn row<T: Row>(row: T) -> AnyRow {
    std::sync::Arc::new(row).into_any()
}

fn logical_flow() -> impl Strategy<Value = AnyRow> {
    let owner = (prop::option::of(datapath()), prop::option::weighted(0.4, group()));
    let place = (0u8..3, 0u16..2, any::<bool>(), prop::option::weighted(0.1, word(PORTS)));
    (word(MATCHES), word(ACTIONS), owner, place).prop_map(|(matches, actions, owner, place)| {
        let (table_id, priority, is_ingress, port) = place;
        row(LogicalFlow {
            matches,
            actions,
            logical_datapath: owner.0,
            logical_dp_group: owner.1,
            pipeline: if is_ingress { Pipeline::Ingress } else { Pipeline::Egress },
            table_id,
            priority,
            tags: port.map(|port| ("in_out_port".to_owned(), port)).into_iter().collect(),
            ..LogicalFlow::default()
        })
    })
}

fn port_binding() -> impl Strategy<Value = AnyRow> {
    let security =
        select(&["02:00:00:00:00:01", "02:00:00:00:00:01 10.0.0.1 fd00::/64", "02:00:00:00:00:02"][..]);
    let place = (any::<bool>(), seat(), prop::option::weighted(0.1, seat()), prop::option::of(0u8..4));
    (word(PORTS), datapath(), 1u16..6, btree_set(security, 0..3), place).prop_map(
        |(logical_port, datapath, tunnel_key, security, (is_here, seat, additional, encap))| {
            let (kind, options) = match logical_port.as_str() {
                "p1" => ("patch", pairs(&[("peer", "p2")])),
                "p2" => ("patch", pairs(&[("peer", "p1")])),
                "p3" => ("patch", pairs(&[("peer", "p4")])),
                "p4" => ("patch", if is_here { pairs(&[("peer", "p3")]) } else { Pairs::new() }),
                "cr" => ("chassisredirect", pairs(&[("distributed-port", "p1")])),
                "gw" => ("l3gateway", pairs(&[("l3gateway-chassis", if is_here { "me" } else { "it" })])),
                "un" if is_here => ("localnet", pairs(&[("network_name", "y")])),
                "ln" if is_here => ("localnet", pairs(&[("network_name", "x"), ("ethtype", "802.11ad")])),
                "ln" => ("localnet", pairs(&[("network_name", "x"), ("vlan-passthru", "true")])),
                "c" if is_here => ("virtual", Pairs::new()),
                _ => ("", Pairs::new()),
            };
            // Some inside this port or that, or where nothing can be, or without a VLAN.
            let parent = match logical_port.as_str() {
                "in" if is_here => Some("a"),
                "in" => Some("b"),
                "un" => Some(["a", "c", "p1", "in", "un"][usize::from(tunnel_key - 1)]),
                _ => None,
            };
            let parent_port = parent.map(str::to_owned);
            let tag = (tunnel_key > 1 && (parent.is_some() || kind == "localnet")).then_some(tunnel_key / 2);
            row(PortBinding {
                chassis: if is_here { Some(CHASSIS) } else { seat },
                additional_chassis: additional.flatten().into_iter().collect(),
                encap: encap.map(|n| uuid(Table::Encap, n)),
                logical_port,
                datapath,
                tunnel_key,
                kind: kind.to_owned(),
                options,
                parent_port,
                tag,
                port_security: security.into_iter().map(str::to_owned).collect(),
                ..PortBinding::default()
            })
        },
    )
}

/// A row in some table, or one that is to go.
fn edit() -> impl Strategy<Value = (Table, Uuid, Option<AnyRow>)> {
    let put = prop_oneof![
        12 => logical_flow(),
        8 => port_binding(),
        3 => (1u32..6, any::<bool>()).prop_map(|(tunnel_key, is_switch)| {
            let kind = if is_switch { "logical-switch" } else { "logical-router" };
            row(DatapathBinding { tunnel_key, external_ids: pairs(&[(kind, "x")]), ..Default::default() })
        }),
        2 => btree_set(datapath(), 0..4).prop_map(|datapaths| row(LogicalDpGroup { datapaths })),
        3 => (datapath(), btree_set(0u8..6, 0..5)).prop_map(|(datapath, ports)| {
            let ports = ports.into_iter().map(|n| uuid(Table::PortBinding, n)).collect();
            row(MulticastGroup { datapath, name: "_MC_flood".to_owned(), ports, tunnel_key: 0x8000 })
        }),
        8 => (word(&["as", "other"]), some(ADDRESSES))
            .prop_map(|(name, addresses)| row(tables::AddressSet { name, addresses })),
        3 => (word(&["pg", "1_pg", "2_pg"]), some(PORTS))
            .prop_map(|(name, ports)| row(tables::PortGroup { name, ports })),
        2 => (datapath(), word(PORTS), word(ADDRESSES)).prop_map(|(datapath, logical_port, ip)| {
            let mac = "02:00:00:00:00:07".to_owned();
            row(MacBinding { datapath, logical_port, ip, mac, ..Default::default() })
        }),
        1 => (datapath(), word(PORTS)).prop_map(|(datapath, logical_port)| {
            let (mac, ip) = ("02:00:00:00:00:08".to_owned(), "fd00::1".to_owned());
            row(StaticMacBinding { datapath, logical_port, ip, mac, ..Default::default() })
        }),
        1 => (1u32..6, 1u32..6).prop_map(|(dp_key, port_key)| {
            row(Fdb { dp_key, port_key, mac: "02:00:00:00:00:09".to_owned() })
        }),
        1 => word(&["me", "it"]).prop_map(|name| {
            let encaps = [uuid(Table::Encap, 0)].into();
            row(Chassis { name, encaps, ..Default::default() })
        }),
        2 => (word(&["A", "B", "C"]), btree_set(1u8..4, 1..3)).prop_map(|(name, encaps)| {
            let encaps = encaps.into_iter().map(|n| uuid(Table::Encap, n)).collect();
            row(Chassis { name, encaps, ..Default::default() })
        }),
        3 => (word(ENDPOINTS), word(&["geneve", "geneve", "vxlan"])).prop_map(|(ip, kind)| {
            row(Encap { chassis_name: "A".to_owned(), ip, kind, ..Default::default() })
        }),
        1 => Just(row(tables::DhcpOptions {
            name: "unknown_option".to_owned(),
            code: 200,
            kind: "uint8".to_owned(),
        })),
    ];
    (put, 0u8..6, prop::bool::weighted(0.25)).prop_map(|(row, n, goes)| {
        let table = row.table();
        let uuid = match &row {
            AnyRow::Chassis(chassis) if ["me", "it"].contains(&chassis.name.as_str()) => CHASSIS,
            AnyRow::Chassis(_) => other(n % 3),
            AnyRow::Encap(_) => uuid(table, n % 4),
            // Mostly of one name each, so that sets change their members more often than their names.
            AnyRow::AddressSet(set) if n < 4 => uuid(table, u8::from(set.name == "as")),
            _ => uuid(table, n),
        };
        (table, uuid, (!goes).then_some(row))
    })
}

/// What is done to rows and bindings between two updates.
#[derive(Clone, Debug)]
struct Step {
    edits: Vec<(Table, Uuid, Option<AnyRow>)>,
    ports: Option<BTreeSet<String>>,
    host: Host,
    /// Ports that are on other chassis: their rows, by number, and where they are then.
    moves: Vec<(u8, Option<Uuid>, Option<Uuid>)>,
    number: Index,
}

fn step() -> impl Strategy<Value = Step> {
    let chassis = prop_oneof![9 => Just("me"), 1 => Just("it")].prop_map(str::to_owned);
    let mtu = prop::option::of(select(&[1500, 9000, 10][..]));
    let port = prop_oneof![9 => Just(PortNo(90)), 1 => Just(PortNo(91))];
    let families = prop_oneof![8 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, true))];
    let families = families.prop_map(|(v4, v6)| Families { v4, v6 });
    let tunnel = (port, mtu, families).prop_map(|(port, mtu, families)| Tunnel { port, mtu, families });
    let tunnel = prop::option::weighted(0.9, tunnel);
    let mapping = (word(&["x", "y", "z"]), (70..73u16).prop_map(PortNo));
    let mappings = vec(mapping, 0..3).prop_map(|list| list.into_iter().collect());
    let host = (chassis, tunnel, mappings);
    let host = host.prop_map(|(chassis, tunnel, mappings)| Host { chassis, tunnel, mappings });
    let moved = prop_oneof![0u8..6, ELSEWHERE];
    let moves = vec((moved, seat(), prop::option::weighted(0.1, seat()).prop_map(Option::flatten)), 0..4);
    (vec(edit(), 0..8), prop::option::of(some(PORTS)), host, moves, any::<Index>())
        .prop_map(|(edits, ports, host, moves, number)| Step { edits, ports, host, moves, number })
}

/// Rows that every history begins with, so that most edits find what they refer to.
fn beginning() -> Transaction {
    let mut rows = Transaction::new();
    for n in 0..4u8 {
        let kind = if n < 2 { "logical-switch" } else { "logical-router" };
        let tunnel_key = u32::from(n) + 1;
        rows.put(
            uuid(Table::DatapathBinding, n),
            DatapathBinding { tunnel_key, external_ids: pairs(&[(kind, "x")]), ..Default::default() },
        );
    }
    for n in 0..2u8 {
        let datapaths = (n..n + 2).map(|n| uuid(Table::DatapathBinding, n)).collect();
        rows.put(uuid(Table::LogicalDpGroup, n), LogicalDpGroup { datapaths });
        let flow = LogicalFlow {
            matches: "1".to_owned(),
            actions: "next;".to_owned(),
            logical_dp_group: Some(uuid(Table::LogicalDpGroup, n)),
            ..Default::default()
        };
        rows.put(uuid(Table::LogicalFlow, 100 + n), flow);
    }
    let here = PortBinding {
        logical_port: "here".to_owned(),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 7,
        ..Default::default()
    };
    rows.put(uuid(Table::PortBinding, 100), here);
    // Rules with sets, where there always is a port.
    for (n, name) in (0..).zip(["other", "as"]) {
        let addresses = ADDRESSES[..3].iter().map(|address| (*address).to_owned()).collect();
        rows.put(uuid(Table::AddressSet, n), tables::AddressSet { name: name.to_owned(), addresses });
    }
    for (n, matches) in (110..).zip(MATCHES.iter().filter(|matches| matches.contains('$'))) {
        let flow = LogicalFlow {
            matches: (*matches).to_owned(),
            actions: "next;".to_owned(),
            logical_datapath: Some(uuid(Table::DatapathBinding, 0)),
            table_id: n - 100,
            ..Default::default()
        };
        rows.put(uuid(Table::LogicalFlow, n), flow);
    }
    let port = PortBinding {
        logical_port: "always".to_owned(),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 9,
        ..PortBinding::default()
    };
    rows.put(uuid(Table::PortBinding, 200), port);
    for (n, ip) in (0u8..4).zip(ENDPOINTS) {
        let (chassis_name, ip) = ("me".to_owned(), (*ip).to_owned());
        let encap = Encap { chassis_name, ip, kind: "geneve".to_owned(), ..Default::default() };
        rows.put(uuid(Table::Encap, n), encap);
    }
    for (n, encaps) in (0u8..).zip([&[1][..], &[2, 3]]) {
        let encaps = encaps.iter().map(|n| uuid(Table::Encap, *n)).collect();
        let name = ["A", "B"][usize::from(n)].to_owned();
        rows.put(other(n), Chassis { name, encaps, ..Default::default() });
    }
    rows.put(
        CHASSIS,
        Chassis { name: "me".to_owned(), encaps: [uuid(Table::Encap, 0)].into(), ..Default::default() },
    );
    rows
}

/// Rows of ports of other chassis, where there always is one of this.
const ELSEWHERE: std::ops::Range<u8> = 120..123;

/// Puts ports of other chassis, and a group of them.
fn put_elsewhere(rows: &mut Transaction) {
    let datapath = uuid(Table::DatapathBinding, 0);
    for n in ELSEWHERE {
        let port = PortBinding {
            logical_port: format!("r{n}"),
            datapath,
            tunnel_key: n.into(),
            chassis: Some(other(n % 2)),
            ..PortBinding::default()
        };
        rows.put(uuid(Table::PortBinding, n), port);
    }
    let ports = ELSEWHERE.map(|n| uuid(Table::PortBinding, n)).collect();
    let group = MulticastGroup { datapath, name: "_MC_elsewhere".to_owned(), ports, tunnel_key: 0x9000 };
    rows.put(uuid(Table::MulticastGroup, 120), group);
}

type Place = (u8, u16, Match);
type Flows = BTreeMap<String, (u64, Vec<Action>)>;

/// Flows by where they stand, with conjunctions named by all that belongs to them.
fn canonical<'a>(flows: impl Iterator<Item = (&'a Place, &'a (u64, Vec<Action>))> + Clone) -> Flows {
    let mut parts: HashMap<u32, BTreeSet<String>> = HashMap::new();
    for ((table, priority, matcher), (_, actions)) in flows.clone() {
        for action in actions {
            if let Action::Conjunction { id, clause, of } = action {
                let part = format!("{table} {priority} {matcher:?} {clause}/{of}");
                parts.entry(*id).or_default().insert(part);
            }
        }
    }
    // Conjunctions that say the same are told apart by what they answer with.
    let mut number: HashMap<u32, u32> = HashMap::new();
    let mut order: Vec<(BTreeSet<String>, String, u32)> = Vec::new();
    for ((table, priority, matcher), installed) in flows.clone() {
        let id = matcher.key.get(Field::ConjId) as u32;
        if id != 0 {
            let mut rest = matcher.clone();
            rest.key.set(Field::ConjId, 0);
            let answer = format!("{table} {priority} {rest:?} {installed:?}");
            order.push((parts.remove(&id).unwrap_or_default(), answer, id));
        }
    }
    assert!(parts.is_empty(), "dimensions of a conjunction without an answer: {parts:?}");
    order.sort();
    number.extend((1..).zip(&order).map(|(n, (.., id))| (*id, n)));
    let all = flows.map(|((table, priority, matcher), (cookie, actions))| {
        let mut matcher = matcher.clone();
        let id = matcher.key.get(Field::ConjId) as u32;
        if id != 0 {
            matcher.key.set(Field::ConjId, number[&id].into());
        }
        let rename = |action: &Action| match action {
            Action::Conjunction { id, clause, of } => {
                Action::Conjunction { id: number[id], clause: *clause, of: *of }
            }
            other => other.clone(),
        };
        let mut actions: Vec<Action> = actions.iter().map(rename).collect();
        if matches!(actions.first(), Some(Action::Conjunction { .. })) {
            actions.sort_by_key(|action| format!("{action:?}"));
        }
        (format!("{table} {priority} {matcher:?}"), (*cookie, actions))
    });
    all.collect()
}

fn all_of(lowering: &Lowering) -> HashMap<Place, (u64, Vec<Action>)> {
    let flow = |flow: LoweredFlow| {
        ((flow.table, flow.priority, flow.matcher()), (flow.cookie, flow.actions.to_vec()))
    };
    lowering.flows().map(flow).collect()
}

/// The same with groups and meters numbered by what they are.
fn renamed(
    lowering: &Lowering,
    flows: HashMap<Place, (u64, Vec<Action>)>,
) -> HashMap<Place, (u64, Vec<Action>)> {
    let order = |contents: Vec<(String, u32)>| -> HashMap<u32, u32> {
        let contents: BTreeMap<String, u32> = contents.into_iter().collect();
        contents.into_values().zip(0..).collect()
    };
    let groups = order(
        lowering.groups().map(|group| (format!("{:?} {:?}", group.kind, group.buckets), group.id)).collect(),
    );
    let meters = order(lowering.meters().map(|meter| (format!("{:?}", meter.bands), meter.id)).collect());
    fn list(actions: &[Action], groups: &HashMap<u32, u32>, meters: &HashMap<u32, u32>) -> Vec<Action> {
        let one = |action: &Action| match action {
            Action::Group(id) => Action::Group(groups[id]),
            Action::Meter(id) => Action::Meter(meters[id]),
            Action::Clone(inner) => Action::Clone(list(inner, groups, meters).into()),
            other => other.clone(),
        };
        actions.iter().map(one).collect()
    }
    let flow = |(place, (cookie, actions)): (Place, (u64, Vec<Action>))| {
        (place, (cookie, list(&actions, &groups, &meters)))
    };
    flows.into_iter().map(flow).collect()
}

/// The delta from no rows to these.
fn from_nothing(store: &Store) -> Delta {
    let all = Table::ALL.iter().flat_map(|table| store.rows(*table).map(|(uuid, row)| (uuid, row.clone())));
    let mut transaction = Transaction::new();
    all.for_each(|(uuid, row)| transaction.put_any(uuid, row));
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(transaction).unwrap();
    cursor.poll(&database)
}

/// Follows a history and checks every step. How many flows and conjunctions there were at most, and how often only
/// members of sets came and went.
fn follow(steps: &[Step]) -> (usize, usize, usize) {
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    let mut rows = beginning();
    put_elsewhere(&mut rows);
    database.commit(rows).unwrap();
    let mut bindings = Bindings::default();
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let mut tables: HashMap<Place, (u64, Vec<Action>)> = HashMap::new();
    let (stats, mut published) = (FlowStats::new(1), Tables::default());
    let mut most = (0, 0, 0);
    for step in steps {
        // A refused edit is left out.
        for (table, uuid, row) in &step.edits {
            let mut transaction = Transaction::new();
            match row {
                Some(row) => transaction.put_any(*uuid, row.clone()),
                None => transaction.delete(*table, *uuid),
            }
            let _ = database.commit(transaction);
        }
        for (n, chassis, additional) in &step.moves {
            let uuid = uuid(Table::PortBinding, *n);
            let Some(port) = database.snapshot().get::<PortBinding>(uuid) else { continue };
            let additional_chassis = additional.iter().copied().collect();
            let moved = PortBinding { chassis: *chassis, additional_chassis, ..PortBinding::clone(port) };
            let mut transaction = Transaction::new();
            transaction.put(uuid, moved);
            let _ = database.commit(transaction);
        }
        bindings.host.clone_from(&step.host);
        if let Some(ports) = &step.ports {
            let number = |n: usize| PortNo(1 + ((n + step.number.index(3)) as u16));
            bindings.ports = ports.iter().enumerate().map(|(n, name)| (name.clone(), number(n))).collect();
            bindings.ports.insert("here".to_owned(), PortNo(60));
        }
        bindings.ports.insert("always".to_owned(), PortNo(100));
        let changes = lowering.update(&cursor.poll(&database), &bindings);
        assert!(lowering.local.is_settled());
        let mut batch = Batch::new(&published, &stats, Instant::now());
        assert_eq!(changes.apply(&mut batch), []);
        published = batch.commit().0;
        for change in changes.flow_mods() {
            let place = (change.table.unwrap(), change.priority, change.matcher);
            let installed = (change.options.cookie, change.actions.to_vec());
            let before = match change.command {
                Command::DeleteStrict => {
                    assert!(tables.remove(&place).is_some(), "taken out without being there");
                    continue;
                }
                _ => tables.insert(place, installed.clone()),
            };
            assert_eq!(before.is_none(), change.command == Command::Add);
            assert_ne!(before, Some(installed), "told of what had not changed");
        }
        let now = all_of(&lowering);
        assert_eq!(tables, now, "the changes lead elsewhere");
        assert_eq!(published.len(), now.len());
        for flow in published.iter() {
            let place = (flow.table, flow.priority, flow.matcher());
            assert_eq!(now.get(&place), Some(&(flow.options.cookie, flow.actions.to_vec())));
        }
        let groups: BTreeMap<u32, GroupSpec> = lowering.groups().map(|group| (group.id, group)).collect();
        let there: BTreeMap<u32, GroupSpec> =
            published.objects().groups().map(|group| (group.id, group.spec())).collect();
        assert_eq!(groups, there);
        assert_eq!(groups.len(), lowering.groups().count(), "two groups of one number");
        let meters: BTreeMap<u32, MeterSpec> = lowering.meters().map(|meter| (meter.id, meter)).collect();
        assert!(published.objects().meters().iter().map(|meter| meter.spec.id).eq(meters.keys().copied()));
        assert_eq!(meters.len(), lowering.meters().count(), "two meters of one number");
        let zones = Zones::restored(lowering.zones().iter());
        let mut anew = Lowering::new(Numbers::default(), zones);
        anew.update(&from_nothing(database.snapshot()), &bindings);
        assert_eq!(anew.zones(), lowering.zones());
        let at_once = all_of(&anew);
        let (now, at_once) = (renamed(&lowering, now), renamed(&anew, at_once));
        let (now, at_once) = (canonical(now.iter()), canonical(at_once.iter()));
        for (place, flow) in &now {
            assert_eq!(Some(flow), at_once.get(place), "{place}");
        }
        assert_eq!(now.len(), at_once.len());
        assert_eq!(lowering.troubles(), anew.troubles());
        let conjunctions = now.keys().filter(|place| place.contains("conj_id")).count();
        most = (most.0.max(now.len()), most.1.max(conjunctions), lowering.work.1);
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn step_by_step_is_at_once(steps in vec(step(), 1..10)) {
        follow(&steps);
    }
}

#[test]
fn histories_make_what_they_are_to_test() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut most = (0, 0, 0);
    for _ in 0..30 {
        let steps = vec(step(), 10).new_tree(&mut runner).unwrap().current();
        let (flows, conjunctions, resized) = follow(&steps);
        most = (most.0.max(flows), most.1.max(conjunctions), most.2 + resized);
    }
    assert!(most.0 > 60 && most.1 > 0 && most.2 > 10, "{most:?}");
}

#[test]
fn gateways_are_ready_before_they_are_needed() {
    let mut rows = beginning();
    let port = |name: &str, kind: &str, n: u8, tunnel_key| PortBinding {
        logical_port: name.to_owned(),
        kind: kind.to_owned(),
        datapath: uuid(Table::DatapathBinding, n),
        tunnel_key,
        ..PortBinding::default()
    };
    let member = HaChassis { chassis: Some(CHASSIS), ..Default::default() };
    rows.put(uuid(Table::HaChassis, 0), member);
    let ha_chassis = [uuid(Table::HaChassis, 0)].into();
    let group = HaChassisGroup { name: "g".to_owned(), ha_chassis, ..Default::default() };
    rows.put(uuid(Table::HaChassisGroup, 0), group);
    let mut gateway = port("cr", "chassisredirect", 2, 4);
    gateway.options = pairs(&[("distributed-port", "p1")]);
    gateway.ha_chassis_group = Some(uuid(Table::HaChassisGroup, 0));
    rows.put(uuid(Table::PortBinding, 0), gateway.clone());
    rows.put(uuid(Table::PortBinding, 1), port("p1", "patch", 2, 1));
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(rows).unwrap();
    let bindings = Bindings { host: Host::named("me"), ports: BTreeMap::new() };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    lowering.update(&cursor.poll(&database), &bindings);
    assert!(lowering.has_datapath(uuid(Table::DatapathBinding, 2)));
    let leads =
        |changes: &Changes| changes.put().filter(|flow| flow.table == 40 && flow.priority == 100).count();
    gateway.chassis = Some(CHASSIS);
    let mut claimed = Transaction::new();
    claimed.put(uuid(Table::PortBinding, 0), gateway);
    database.commit(claimed).unwrap();
    assert_eq!(leads(&lowering.update(&cursor.poll(&database), &bindings)), 1);
}

#[test]
fn rows_that_say_nothing_are_named() {
    let port = |name: &str, kind: &str, n: u8| PortBinding {
        logical_port: name.to_owned(),
        kind: kind.to_owned(),
        datapath: uuid(Table::DatapathBinding, n),
        tunnel_key: 1,
        chassis: Some(CHASSIS),
        ..PortBinding::default()
    };
    let at = |n: u8| uuid(Table::PortBinding, n);
    let mut rows = beginning();
    let security = ["nobody 10.0.0.1".to_owned(), "02:00:00:00:00:01".to_owned()].into();
    rows.put(at(0), PortBinding { port_security: security, ..port("a", "", 0) });
    let inside = PortBinding { parent_port: Some("a".to_owned()), tunnel_key: 2, ..port("in", "", 0) };
    rows.put(at(1), inside);
    let options = pairs(&[("distributed-port", "a")]);
    rows.put(at(2), PortBinding { options, ..port("cr", "chassisredirect", 2) });
    let datapath = uuid(Table::DatapathBinding, 0);
    let group = MulticastGroup {
        datapath,
        name: "_MC_flood".to_owned(),
        tunnel_key: 0x8000,
        ports: [at(0), at(2)].into(),
    };
    rows.put(uuid(Table::MulticastGroup, 0), group);
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(rows).unwrap();
    let bindings = Bindings { host: Host::named("me"), ports: [("a".to_owned(), PortNo(1))].into() };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let mut news = lowering.update(&cursor.poll(&database), &bindings).troubles;
    assert!(lowering.update(&cursor.poll(&database), &bindings).troubles.is_empty());
    let by_row = |trouble: &Trouble| (trouble.table, trouble.uuid);
    news.sort_by_key(by_row);
    let named: Vec<Trouble> = lowering.troubles().into_iter().filter(Trouble::is_of_row).collect();
    assert_eq!(news, named, "what the log is told at once is what is asked for later");
    let mut told: Vec<(Table, Uuid, String)> = lowering
        .troubles()
        .into_iter()
        .map(|Trouble { table, uuid, sentence }| (table, uuid, sentence))
        .collect();
    told.retain(|(table, ..)| *table != Table::LogicalFlow);
    told.sort();
    let mut expected = vec![
        (
            Table::MulticastGroup,
            uuid(Table::MulticastGroup, 0),
            "its port \"cr\" is in another datapath and left out",
        ),
        (
            Table::PortBinding,
            at(0),
            "port security \"nobody 10.0.0.1\" names no Ethernet address and counts for nothing; begin with one",
        ),
        (
            Table::PortBinding,
            at(1),
            "it is inside \"a\" and has no tag, so that nothing finds it; give it one",
        ),
        (Table::PortBinding, at(2), "its router has no port \"a\", so that nothing passes"),
    ];
    expected.sort();
    let expected: Vec<_> =
        expected.into_iter().map(|(table, uuid, sentence)| (table, uuid, sentence.to_owned())).collect();
    assert_eq!(told, expected);
}
