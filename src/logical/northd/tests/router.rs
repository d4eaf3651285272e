//! What is compiled of routers beside what the real ovn-northd made of the same rows.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use super::harness::{Network, file};
use crate::logical::nb::tables::{LogicalRouterPort, LogicalRouterStaticRoute};
use crate::logical::rows::sbctl::lflow::lflow_list;
use crate::logical::rows::tables::{
    DatapathBinding, HaChassis, HaChassisGroup, MulticastGroup, PortBinding, StaticMacBinding,
};
use crate::logical::rows::{Store, Transaction, Uuid, dump};

/// Flows as they are listed, by the name of their router.
type Flows = BTreeMap<String, BTreeSet<String>>;

/// The flows of routers in a list, in a form that does not depend on the order of sets nor on the numbers of groups.
fn flows_of_routers(list: &str) -> Flows {
    let mut flows = Flows::new();
    let mut name = "";
    for line in list.lines() {
        match line.strip_prefix("Datapath: \"") {
            Some(rest) => name = rest.split("\" (").next().unwrap(),
            None if line.contains("(lr_") => {
                flows.entry(name.to_owned()).or_default().insert(with_sorted_sets(line.trim()));
            }
            None => {}
        }
    }
    flows.values_mut().for_each(rename_groups);
    flows
}

/// The members of each set of constants in order.
fn with_sorted_sets(line: &str) -> String {
    let mut parts = line.split("== {");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (set, rest) = part.split_once('}').unwrap();
        let mut members: Vec<&str> = set.split(", ").collect();
        members.sort_unstable();
        out.push_str(&format!("== {{{}}}{rest}", members.join(", ")));
    }
    out
}

/// Groups of next hops are called after the packets that they are for.
fn rename_groups(flows: &mut BTreeSet<String>) {
    for (choosing, chosen) in [("(lr_in_ip_routing   )", "(lr_in_ip_routing_ecmp)"), ("(lr_in_policy       )", "(lr_in_policy_ecmp  )")] {
        let number_in = |line: &str, before: &str| -> Option<String> {
            let rest = &line[line.find(before)? + before.len()..];
            Some(rest.chars().take_while(char::is_ascii_digit).collect())
        };
        let groups: BTreeMap<String, String> = flows
            .iter()
            .filter(|line| line.contains(choosing) && line.contains("= select("))
            .map(|line| {
                let (matches, _) = line.split_once("), action=(").unwrap();
                (number_in(line, "reg8[0..15] = ").unwrap(), matches.replace(choosing, ""))
            })
            .collect();
        let renamed = std::mem::take(flows).into_iter().map(|line| {
            let sign = if line.contains(choosing) { "= " } else { "== " };
            let before = format!("reg8[0..15] {sign}");
            if !line.contains(choosing) && !line.contains(chosen) {
                return line;
            }
            match number_in(&line, &before) {
                Some(number) if number != "0" => {
                    let name = groups.get(&number).map_or("none", |name| name);
                    line.replacen(&format!("{before}{number}"), &format!("{before}<{name}>"), 1)
                }
                _ => line,
            }
        });
        *flows = renamed.collect();
    }
}

fn own_flows(network: &Network) -> Flows {
    flows_of_routers(&lflow_list(network.southbound(), &[], false).unwrap().to_string())
}

fn stage(line: &str) -> &str {
    line.split(['(', ')']).nth(1).unwrap().trim()
}

#[rstest]
fn flows_are_those_of_the_original(#[values("s1-l2", "s2-l3", "s5-routers")] scenario: &str) {
    let network = Network::of_dump(&format!("{scenario}/nb-dump.json"));
    let (own, real) = (own_flows(&network), flows_of_routers(&file(&format!("{scenario}/lflow-list.txt"))));
    assert_eq!(own.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    for (name, real) in &real {
        let (missing, wrong): (Vec<_>, Vec<_>) =
            (real.difference(&own[name]).collect(), own[name].difference(real).collect());
        assert!(missing.is_empty() && wrong.is_empty(), "{name}\nmissing: {missing:#?}\nwrong: {wrong:#?}");
    }
}

/// What marks flows of translations of addresses and of load balancers in `s3-rich`.
const TRANSLATING: &[&str] =
    &["172.16.0.10", "50:54:00:00:f1:01", "10.0.1.100", "172.16.0.200", "$_rtr_lb", "ct_mark", "ct.rel", "ct_dnat", "ct_snat"];

/// How many of them there are in each stage.
const LEFT_OUT: &[(&str, usize)] = &[
    ("lr_in_admission", 1),
    ("lr_in_arp_resolve", 6),
    ("lr_in_defrag", 2),
    ("lr_in_dnat", 10),
    ("lr_in_gw_redirect", 1),
    ("lr_in_ip_input", 14),
    ("lr_in_unsnat", 6),
    ("lr_out_chk_dnat_local", 4),
    ("lr_out_egr_loop", 3),
    ("lr_out_snat", 6),
    ("lr_out_undnat", 3),
];

#[test]
fn flows_of_the_rich_network_lack_only_what_translates() {
    let network = Network::of_dump("s3-rich/nb-dump.json");
    let (own, real) = (own_flows(&network), flows_of_routers(&file("s3-rich/lflow-list.txt")));
    let (own, real) = (&own["r1"], &real["r1"]);
    let wrong: Vec<_> = own.difference(real).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut missing = BTreeMap::new();
    for line in real.difference(own) {
        assert!(TRANSLATING.iter().any(|mark| line.contains(mark)), "{line}");
        *missing.entry(stage(line)).or_insert(0) += 1;
    }
    assert_eq!(missing, LEFT_OUT.iter().copied().collect());
    let troubles: BTreeSet<_> = network.compiler.troubles().map(|(.., sentence)| sentence).collect();
    let of_routers = troubles.iter().filter(|sentence| sentence.contains("not compiled yet")).count();
    assert_eq!(of_routers, 2, "{troubles:?}");
}

/// A row without the names of others: what it is called and what it says.
type Said = BTreeMap<String, String>;

/// Rows that are made of routers, named as people name them.
fn rows_of_routers(store: &Store) -> Said {
    let mut said = Said::new();
    let datapath = |uuid: Uuid| {
        let row = store.get::<DatapathBinding>(uuid).unwrap();
        (row.external_ids.contains_key("logical-router"), row.external_ids["name"].clone())
    };
    for (uuid, row) in store.iter::<DatapathBinding>().filter(|(uuid, _)| datapath(*uuid).0) {
        said.insert(format!("datapath {}", datapath(uuid).1), format!("{:?}", row.external_ids));
    }
    let members = |group: Uuid| {
        let group = store.get::<HaChassisGroup>(group).unwrap();
        let members = group.ha_chassis.iter().map(|member| {
            let row = store.get::<HaChassis>(*member).unwrap();
            (row.priority, row.external_ids.clone())
        });
        (group.name.clone(), members.collect::<BTreeSet<_>>())
    };
    let ports = store.iter::<PortBinding>().filter(|(_, row)| datapath(row.datapath).0);
    for (_, row) in ports {
        let PortBinding { kind, mac, options, external_ids, nat_addresses, up, .. } = &**row;
        let group = row.ha_chassis_group.map(members);
        let text = format!(
            "{} {kind} {mac:?} {options:?} {external_ids:?} {nat_addresses:?} {up:?} {group:?}",
            datapath(row.datapath).1
        );
        said.insert(format!("port {}", row.logical_port), text);
    }
    for (uuid, row) in store.iter::<HaChassisGroup>() {
        said.insert(format!("group {}", row.name), format!("{:?}", members(uuid)));
    }
    for (_, row) in store.iter::<StaticMacBinding>() {
        let text = format!("{} {} {}", datapath(row.datapath).1, row.mac, row.override_dynamic_mac);
        said.insert(format!("neighbour {} {}", row.logical_port, row.ip), text);
    }
    for (_, row) in store.iter::<MulticastGroup>().filter(|(_, row)| datapath(row.datapath).0) {
        let ports = row.ports.iter().map(|port| store.get::<PortBinding>(*port).unwrap().logical_port.clone());
        let ports: BTreeSet<_> = ports.collect();
        said.insert(
            format!("multicast {} {}", datapath(row.datapath).1, row.name),
            format!("{} {ports:?}", row.tunnel_key),
        );
    }
    said
}

#[rstest]
fn rows_are_those_of_the_original(#[values("s1-l2", "s2-l3", "s3-rich", "s5-routers")] scenario: &str) {
    let network = Network::of_dump(&format!("{scenario}/nb-dump.json"));
    let mut database = crate::logical::rows::Database::default();
    let rows = dump::read(&file(&format!("{scenario}/sb-dump.json"))).unwrap();
    database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
    assert_eq!(rows_of_routers(network.southbound()), rows_of_routers(database.snapshot()));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let mut network = Network::of_dump("s2-l3/nb-dump.json");
    let router = network.router("router1");
    network.edit(|edit| {
        for (ip_prefix, nexthop) in [
            ("10.0.0.0/33", "192.168.0.9"),
            ("10.0.0.0/8", "nowhere"),
            ("10.0.0.0/8", "fd00::1"),
            ("10.0.0.0/8", "10.1.1.1"),
        ] {
            let route = edit.insert(LogicalRouterStaticRoute {
                ip_prefix: ip_prefix.to_owned(),
                nexthop: nexthop.to_owned(),
                ..Default::default()
            });
            edit.update(router, |row: &mut crate::logical::nb::tables::LogicalRouter| row.static_routes.insert(route));
        }
        let port = edit.rows().router_port("router1-net1").unwrap().0;
        edit.update(port, |row: &mut LogicalRouterPort| row.mac = "40:44".to_owned());
    });
    let mut troubles: Vec<_> = network.compiler.troubles().map(|(.., sentence)| sentence).collect();
    troubles.sort_unstable();
    assert_eq!(
        troubles,
        [
            "the addresses that the route is for cannot be read; write IP/LENGTH",
            "the next hop is in no network of the router; name the port to leave through",
            "the next hop is no IP address; write one, or `discard`",
            "the port has no Ethernet address that can be read",
            "the route and its next hop are not of the same address family",
        ]
    );
}
