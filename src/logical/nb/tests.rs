//! The Northbound rows against a naive database, what it was made from, and what the real one holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use rstest::rstest;

use super::tables::{
    Acl, AddressSet, DhcpOptions, ForwardingGroup, LoadBalancer, LoadBalancerGroup, LogicalRouter,
    LogicalRouterPort, LogicalRouterStaticRoute, LogicalSwitch, LogicalSwitchPort, Meter, MeterBand, Nat,
    NbGlobal, PortGroup, Qos, StaticMacBinding,
};
use super::*;
use crate::logical::rows::schema::{Rule, Schema};
use crate::logical::rows::testing::{Op, check_declaration, follow, reasons, replace_all, rows_of, uuid};
use crate::logical::rows::{datum, text};

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn uuids() -> impl Strategy<Value = BTreeSet<Uuid>> {
    btree_set(uuid(), 0..3)
}

fn maybe() -> impl Strategy<Value = Option<Uuid>> {
    prop_oneof![2 => Just(None), 1 => uuid().prop_map(Some)]
}

fn any_row<R: Row<Table>>(row: R) -> AnyRow {
    Arc::new(row).into_any()
}

fn switch() -> impl Strategy<Value = AnyRow> {
    (word(), uuids(), uuids(), uuids(), uuids(), uuids()).prop_map(
        |(name, ports, acls, qos_rules, load_balancer, load_balancer_group)| {
            any_row(LogicalSwitch {
                name,
                ports,
                acls,
                qos_rules,
                load_balancer,
                load_balancer_group,
                ..LogicalSwitch::default()
            })
        },
    )
}

fn switch_port() -> impl Strategy<Value = AnyRow> {
    let kind = prop::sample::select(vec!["", "router"]).prop_map(str::to_owned);
    let leads = prop::sample::select(vec![None, Some("a"), Some("b")]);
    (word(), kind, leads, maybe(), maybe()).prop_map(|(name, kind, leads, dhcpv4_options, dhcpv6_options)| {
        let options = leads.map(|port| ("router-port".to_owned(), port.to_owned()));
        any_row(LogicalSwitchPort {
            name,
            kind,
            options: options.into_iter().collect(),
            dhcpv4_options,
            dhcpv6_options,
            ..LogicalSwitchPort::default()
        })
    })
}

fn router() -> impl Strategy<Value = AnyRow> {
    (word(), uuids(), uuids(), uuids(), uuids()).prop_map(
        |(name, ports, nat, static_routes, load_balancer)| {
            any_row(LogicalRouter {
                name,
                ports,
                nat,
                static_routes,
                load_balancer,
                ..LogicalRouter::default()
            })
        },
    )
}

/// A row of one of the tables in which something can go wrong.
fn row() -> impl Strategy<Value = AnyRow> {
    let long = prop_oneof![3 => Just(None), 1 => (62..65usize).prop_map(|length| Some("é".repeat(length)))];
    let action = prop::sample::select(vec!["allow", "drop", "shrug"]).prop_map(str::to_owned);
    prop_oneof![
        2 => switch(),
        2 => switch_port(),
        1 => router(),
        1 => (word(), btree_set(word(), 0..3), maybe()).prop_map(|(name, networks, ha_chassis_group)| {
            any_row(LogicalRouterPort {
                name,
                networks,
                ha_chassis_group,
                ..LogicalRouterPort::default()
            })
        }),
        1 => (long, action).prop_map(|(name, action)| any_row(Acl {
            name,
            action,
            direction: "to-lport".to_owned(),
            ..Acl::default()
        })),
        1 => (word(), uuids(), uuids()).prop_map(|(name, ports, acls)| any_row(PortGroup {
            name,
            ports,
            acls,
            ..PortGroup::default()
        })),
        1 => word().prop_map(|name| any_row(AddressSet { name, ..AddressSet::default() })),
        1 => (maybe(), maybe(), maybe()).prop_map(|(allowed_ext_ips, exempted_ext_ips, gateway_port)| {
            any_row(Nat {
                allowed_ext_ips,
                exempted_ext_ips,
                gateway_port,
                kind: "snat".to_owned(),
                ..Nat::default()
            })
        }),
        1 => (
            btree_map(prop::sample::select(vec!["dscp".to_owned(), "hue".to_owned()]), 62..65u8, 0..2),
            btree_map(prop::sample::select(vec!["rate".to_owned(), "burst".to_owned()]), 0..3u32, 0..2)
        )
            .prop_map(|(action, bandwidth)| any_row(Qos {
                action,
                bandwidth,
                direction: "to-lport".to_owned(),
                ..Qos::default()
            })),
        1 => (word(), uuids()).prop_map(|(name, bands)| any_row(Meter {
            name,
            bands,
            unit: "kbps".to_owned(),
            ..Meter::default()
        })),
        1 => (1..3u32).prop_map(|rate| any_row(MeterBand {
            action: "drop".to_owned(),
            rate,
            ..MeterBand::default()
        })),
        1 => word().prop_map(|name| any_row(LoadBalancer { name, ..LoadBalancer::default() })),
        1 => (word(), uuids()).prop_map(|(name, load_balancer)| any_row(LoadBalancerGroup {
            name,
            load_balancer
        })),
        1 => (word(), word()).prop_map(|(ip_prefix, nexthop)| any_row(LogicalRouterStaticRoute {
            ip_prefix,
            nexthop,
            ..LogicalRouterStaticRoute::default()
        })),
        1 => btree_set(word(), 0..2).prop_map(|child_port| any_row(ForwardingGroup {
            child_port,
            ..ForwardingGroup::default()
        })),
        1 => Just(any_row(DhcpOptions::default())),
        1 => (word(), word()).prop_map(|(logical_port, ip)| any_row(StaticMacBinding {
            logical_port,
            ip,
            ..StaticMacBinding::default()
        })),
        1 => (0..3i64).prop_map(|nb_cfg| any_row(NbGlobal { nb_cfg, ..NbGlobal::default() })),
    ]
}

fn op() -> impl Strategy<Value = Op<Table>> {
    let delete = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, None));
    let put = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, Some(row)));
    prop_oneof![1 => delete, 4 => put]
}

/// A transaction that gives the rows that others name, and then some that change them.
fn history() -> impl Strategy<Value = Vec<Vec<Op<Table>>>> {
    let port = |number: u128| {
        let row = LogicalSwitchPort { name: format!("p{number}"), ..LogicalSwitchPort::default() };
        (Table::LogicalSwitchPort, Uuid(number << 96 | 0x1234), Some(any_row(row)))
    };
    let first = vec(op(), 0..4).prop_map(move |mut ops| {
        let ports = (1..4).map(|number| Uuid(number << 96 | 0x1234)).collect();
        let holder = LogicalSwitch { name: "all".to_owned(), ports, ..LogicalSwitch::default() };
        ops.splice(0..0, (1..4).map(port));
        ops.push((Table::LogicalSwitch, Uuid(9), Some(any_row(holder))));
        ops
    });
    (first, vec(vec(op(), 1..5), 0..14)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

/// Everything that a store is asked, against looking at every row.
fn check_questions(store: &Store) {
    fn found<'a, R: 'a>(rows: impl Iterator<Item = (Uuid, &'a Arc<R>)>) -> Vec<Uuid> {
        rows.map(|(uuid, _)| uuid).collect()
    }
    fn all<R: Row<Table>>(store: &Store, is_it: impl Fn(&R) -> bool) -> Vec<Uuid> {
        found(store.iter::<R>().filter(|(_, row)| is_it(row)))
    }
    for name in ["a", "b", "c", "p1", "all"] {
        assert_eq!(found(store.switches_named(name)), all(store, |row: &LogicalSwitch| row.name == name));
        assert_eq!(found(store.routers_named(name)), all(store, |row: &LogicalRouter| row.name == name));
        assert_eq!(
            found(store.load_balancers_named(name)),
            all(store, |row: &LoadBalancer| row.name == name)
        );
        assert_eq!(
            found(store.switch_port(name).into_iter()),
            all(store, |row: &LogicalSwitchPort| row.name == name)
        );
        assert_eq!(
            found(store.router_port(name).into_iter()),
            all(store, |row: &LogicalRouterPort| row.name == name)
        );
        assert_eq!(found(store.port_group(name).into_iter()), all(store, |row: &PortGroup| row.name == name));
        assert_eq!(
            found(store.address_set(name).into_iter()),
            all(store, |row: &AddressSet| row.name == name)
        );
        assert_eq!(
            found(store.load_balancer_group(name).into_iter()),
            all(store, |row: &LoadBalancerGroup| row.name == name)
        );
        assert_eq!(found(store.meter(name).into_iter()), all(store, |row: &Meter| row.name == name));
        let leads = |row: &LogicalSwitchPort| {
            row.kind == "router" && row.options.get("router-port").is_some_and(|port| port == name)
        };
        assert_eq!(found(store.switch_ports_facing(name)), all(store, leads));
    }
    for number in 1..4u128 {
        let uuid = Uuid(number << 96 | 0x1234);
        let holders = all(store, |row: &LogicalSwitch| row.ports.contains(&uuid));
        assert_eq!(store.switch_of(uuid).map(|(uuid, _)| uuid), holders.first().copied());
        let holders = all(store, |row: &LogicalRouter| row.ports.contains(&uuid));
        assert_eq!(store.router_of(uuid).map(|(uuid, _)| uuid), holders.first().copied());
        assert_eq!(
            found(store.groups_of_port(uuid)),
            all(store, |row: &PortGroup| row.ports.contains(&uuid))
        );
    }
    assert_eq!(store.global().map(|(uuid, _)| uuid), all(store, |_: &NbGlobal| true).first().copied());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn transactions_do_what_the_naive_database_does(history in history(), most in 0usize..20) {
        follow(&history, most, check_questions)?;
    }

    #[test]
    fn replacing_all_rows_names_only_what_differs(history in history()) {
        replace_all(&history, check_questions)?;
    }
}

#[test]
fn the_histories_of_the_tests_are_worth_something() {
    let (done, refused, reasons) = reasons(history());
    assert!(done > 300 && refused > 300, "{done} done, {refused} refused");
    // No column of this database must name a row weakly, so nothing is bereft.
    let all = ["Missing", "NotUnique", "StillNamed", "TooMany", "Value"].map(str::to_owned);
    assert_eq!(reasons, all.into());
}

#[test]
fn the_declaration_is_in_order() {
    check_declaration::<Table>();
}

/// The declaration in the words of the database's own schema: table, root, most rows, unique columns; column and type.
fn declared<S: Schema>() -> String {
    let mut out = String::new();
    for table in S::ALL {
        let def = table.def();
        let most = if def.max_rows == usize::MAX { String::new() } else { def.max_rows.to_string() };
        let unique: Vec<String> = def.unique.iter().map(|columns| columns.join("+")).collect();
        let root = if def.root { "root" } else { "-" };
        out += &format!("{} {root} {most} {}\n", def.name, unique.join(" "));
        for column in def.columns {
            let word = |kind: datum::AtomKind| match kind {
                datum::AtomKind::Integer => "integer",
                datum::AtomKind::Boolean => "boolean",
                datum::AtomKind::Text => "string",
                datum::AtomKind::Uuid => "uuid",
            };
            let value = column.kind.value.map(|kind| format!("={}", word(kind))).unwrap_or_default();
            let least = match (column.kind.arity, column.rule) {
                (datum::Arity::One, _) | (_, Rule::StrongSome(_) | Rule::Some) => 1,
                _ => 0,
            };
            let most = if column.kind.arity == datum::Arity::Many { "many" } else { "1" };
            let range = |least: i64, most: i64| {
                let most = if most == i64::MAX { String::new() } else { most.to_string() };
                format!("{least}..{most}")
            };
            let rule = match column.rule {
                Rule::Any | Rule::Some => String::new(),
                Rule::Length(most) => format!("length {most}"),
                Rule::Range(least, most) => range(least, most),
                Rule::Words(words) => words.join(","),
                Rule::Amounts(words, least, most) => format!("{} {}", words.join(","), range(least, most)),
                Rule::Strong(table) | Rule::StrongSome(table) => format!("strong {}", table.def().name),
                Rule::Weak(table) => format!("weak {}", table.def().name),
            };
            let name = column.name;
            out += &format!("  {name} {}{value} {least} {most} {rule}\n", word(column.kind.key));
        }
    }
    out.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The same of a schema as OVN ships it.
fn shipped(schema: &serde_json::Value) -> String {
    let mut out = String::new();
    let tables: std::collections::BTreeMap<_, _> = schema["tables"].as_object().unwrap().iter().collect();
    let words = |base: &serde_json::Value| {
        let mut words: Vec<&str> = match &base["enum"] {
            serde_json::Value::Array(set) => {
                set[1].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
            }
            one => vec![one.as_str().unwrap()],
        };
        words.sort_unstable();
        words.join(",")
    };
    let range = |base: &serde_json::Value| {
        let bound = |name| base[name].as_i64().map(|bound: i64| bound.to_string()).unwrap_or_default();
        format!("{}..{}", bound("minInteger"), bound("maxInteger"))
    };
    for (name, table) in tables {
        let unique: Vec<String> = table["indexes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|columns| {
                let columns: Vec<&str> =
                    columns.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                columns.join("+")
            })
            .collect();
        let root = if table["isRoot"] == true { "root" } else { "-" };
        let most = table["maxRows"].as_i64().map(|most| most.to_string()).unwrap_or_default();
        out += &format!("{name} {root} {most} {}\n", unique.join(" "));
        let columns: std::collections::BTreeMap<_, _> =
            table["columns"].as_object().unwrap().iter().collect();
        for (name, column) in columns {
            assert_ne!(column["mutable"], false, "no column is declared that may not change");
            let kind = &column["type"];
            let base = |kind: &serde_json::Value| {
                if kind.is_object() { kind.clone() } else { serde_json::json!({ "type": kind }) }
            };
            let key = base(if kind.is_object() { &kind["key"] } else { kind });
            let value = kind.get("value").map(base);
            let least = kind.get("min").and_then(|least| least.as_i64()).unwrap_or(1);
            let most = if kind.get("max").is_some_and(|most| most == "unlimited") { "many" } else { "1" };
            let of = |base: &serde_json::Value| {
                if let Some(table) = base["refTable"].as_str() {
                    format!("{} {table}", base["refType"].as_str().unwrap_or("strong"))
                } else if !base["enum"].is_null() {
                    words(base)
                } else if !base["minInteger"].is_null() || !base["maxInteger"].is_null() {
                    range(base)
                } else if let Some(most) = base["maxLength"].as_i64() {
                    format!("length {most}")
                } else {
                    String::new()
                }
            };
            let rules = [of(&key), value.as_ref().map(of).unwrap_or_default()];
            let rule = rules.join(" ").trim().to_owned();
            let value =
                value.map(|value| format!("={}", value["type"].as_str().unwrap())).unwrap_or_default();
            out += &format!(
                "  {name} {}{value} {least} {most} {}\n",
                key["type"].as_str().unwrap(),
                rule.trim_end()
            );
        }
    }
    out.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The schemas of OVN 23.03, in short; where OVN is installed it is looked whether the summaries are right.
#[rstest]
#[case("nb", "7.0.0", declared::<Table>())]
#[case("sb", "20.27.0", declared::<crate::logical::rows::Table>())]
fn the_declaration_is_that_of_ovn(#[case] name: &str, #[case] version: &str, #[case] declared: String) {
    let path = format!("{}/tests/data/ovn/{name}-schema.txt", env!("CARGO_MANIFEST_DIR"));
    let summary = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let same = |text: &str| {
        text.lines().zip(summary.lines()).for_each(|(ours, theirs)| assert_eq!(ours, theirs));
        assert_eq!(text.lines().count(), summary.lines().count());
    };
    same(&declared);
    if let Ok(schema) = std::fs::read_to_string(format!("/usr/share/ovn/ovn-{name}.ovsschema")) {
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        if schema["version"] == version {
            same(&shipped(&schema));
        }
    }
}

/// What the real database held.
fn real(scenario: &str) -> String {
    let path = format!("{}/tests/data/ovn/{scenario}/nb-dump.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[rstest]
fn every_value_of_a_real_dump_is_kept(#[values("s1-l2", "s2-l3", "s3-rich")] scenario: &str) {
    let text = real(scenario);
    let dump = read_dump(&text).unwrap();
    assert!(dump.lacks().is_empty());
    let mut database = Database::default();
    database.commit(Transaction::replacing(database.snapshot(), dump.rows)).unwrap();
    let store = database.snapshot();
    let mut tables = 0;
    for line in text.lines() {
        let dumped: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = dumped["caption"].as_str().unwrap().strip_suffix(" table").unwrap();
        let table = *Table::ALL.iter().find(|table| table.def().name == name).unwrap();
        let columns: Vec<&str> = table.def().columns.iter().map(|column| column.name).collect();
        let headings: Vec<&str> =
            dumped["headings"].as_array().unwrap().iter().map(|heading| heading.as_str().unwrap()).collect();
        assert_eq!(headings, [&["_uuid"], &columns[..]].concat(), "{name}");
        let data = dumped["data"].as_array().unwrap();
        assert_eq!(store.len(table), data.len(), "{name}");
        for cells in data {
            let uuid = cells[0][1].as_str().unwrap().parse().unwrap();
            let row = store.row(table, uuid).unwrap();
            for (at, cell) in cells.as_array().unwrap().iter().skip(1).enumerate() {
                assert_eq!(text::to_json(&row.get(at).unwrap()), *cell, "{name} {uuid} {}", columns[at]);
            }
        }
        tables += 1;
    }
    assert_eq!(tables, Table::ALL.len());
    check_questions(store);
    assert!(!rows_of(store).is_empty());
}

#[test]
fn a_dump_of_the_other_database_is_refused_by_name() {
    let refusal = crate::logical::rows::dump::read(&real("s1-l2")).unwrap_err();
    assert_eq!(refusal.to_string(), "this is a dump of a Northbound database; load one of OVN_Southbound");
    let southbound = r#"{"caption":"SB_Global table","headings":["_uuid"],"data":[]}"#;
    assert_eq!(
        read_dump(southbound).unwrap_err().to_string(),
        "this is a dump of a Southbound database; load one of OVN_Northbound"
    );
}

#[test]
fn a_switch_keeps_its_ports_and_a_group_only_names_them() {
    let mut database = Database::default();
    let draft = database.draft();
    let mut edit = draft.edit();
    let port = edit.insert(LogicalSwitchPort { name: "p".to_owned(), ..LogicalSwitchPort::default() });
    let ports = BTreeSet::from([port]);
    let group = edit.insert(PortGroup { name: "g".to_owned(), ports, ..PortGroup::default() });
    let switch = edit.insert(LogicalSwitch { name: "net".to_owned(), ..LogicalSwitch::default() });
    assert!(edit.update(switch, |row: &mut LogicalSwitch| {
        row.ports.insert(port);
    }));
    assert!(!edit.update(Uuid(0), |_: &mut LogicalSwitch| ()));
    let prepared = draft.finish(edit).unwrap();
    assert_eq!(database.adopt(prepared), Some(3));
    assert_eq!(database.snapshot().switch_of(port).unwrap().0, switch);

    let draft = database.draft();
    let mut edit = draft.edit();
    edit.delete(Table::LogicalSwitch, switch);
    assert!(edit.rows().switch_port("p").is_some(), "until the end");
    let prepared = draft.finish(edit).unwrap();
    let changed: Vec<_> = prepared.rows().map(|(table, uuid, row)| (table, uuid, row.is_some())).collect();
    assert_eq!(
        changed,
        [
            (Table::LogicalSwitch, switch, false),
            (Table::LogicalSwitchPort, port, false),
            (Table::PortGroup, group, true)
        ]
    );
    database.adopt(prepared).unwrap();
    assert!(database.snapshot().port_group("g").unwrap().1.ports.is_empty());
}
