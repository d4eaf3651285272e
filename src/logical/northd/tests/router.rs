//! What is compiled of routers beside what the real ovn-northd made of the same rows.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use super::support::{Listed, Network, flows, read_list, recorded};
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, LogicalRouterStaticRoute};
use crate::logical::rows::tables::{
    DatapathBinding, HaChassis, HaChassisGroup, MulticastGroup, PortBinding, StaticMacBinding,
};
use crate::logical::rows::{Database, Store, Transaction, Uuid, dump};

/// The flows of routers, without the numbers of groups.
fn of_routers(mut all: BTreeMap<String, BTreeSet<Listed>>) -> BTreeMap<String, BTreeSet<Listed>> {
    all.retain(|_, flows| flows.iter().any(|(stage, ..)| stage.starts_with("lr_")));
    all.values_mut().for_each(rename_groups);
    all
}

/// The number behind a text.
fn number_behind<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()
}

/// Groups of next hops are called after the packets that they are for.
fn rename_groups(flows: &mut BTreeSet<Listed>) {
    const SET: &str = "reg8[0..15] = ";
    const IS: &str = "reg8[0..15] == ";
    for (choosing, chosen) in
        [("lr_in_ip_routing", "lr_in_ip_routing_ecmp"), ("lr_in_policy", "lr_in_policy_ecmp")]
    {
        let choices =
            flows.iter().filter(|(stage, _, _, actions)| stage == choosing && actions.contains("select("));
        let groups: BTreeMap<String, String> = choices
            .map(|(_, _, matches, actions)| {
                (number_behind(actions, SET).unwrap().to_owned(), matches.clone())
            })
            .collect();
        let rename = |text: &str, before: &str| match number_behind(text, before) {
            Some(number) if number != "0" => {
                let name = groups.get(number).map_or("none", |name| name);
                text.replacen(&format!("{before}{number}"), &format!("{before}<{name}>"), 1)
            }
            _ => text.to_owned(),
        };
        let renamed = std::mem::take(flows).into_iter().map(|(stage, priority, matches, actions)| {
            if stage == choosing {
                (stage, priority, matches, rename(&actions, SET))
            } else if stage == chosen {
                (stage, priority, rename(&matches, IS), actions)
            } else {
                (stage, priority, matches, actions)
            }
        });
        *flows = renamed.collect();
    }
}

/// Own flows, and those of the real one.
fn both(scenario: &str, network: &Network) -> [BTreeMap<String, BTreeSet<Listed>>; 2] {
    let real = read_list(&recorded(scenario, "lflow-list.txt"));
    [of_routers(flows(network.southbound.snapshot())), of_routers(real)]
}

#[rstest]
fn flows_are_those_of_the_original(#[values("s1-l2", "s2-l3", "s7-routers")] scenario: &str) {
    let [own, real] = both(scenario, &Network::recorded(scenario));
    assert_eq!(own.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    for (name, real) in &real {
        let (missing, wrong): (Vec<_>, Vec<_>) =
            (real.difference(&own[name]).collect(), own[name].difference(real).collect());
        assert!(missing.is_empty() && wrong.is_empty(), "{name}\nmissing: {missing:#?}\nwrong: {wrong:#?}");
    }
}

/// What marks flows of translations of addresses and of load balancers in `s3-rich`.
const TRANSLATING: &[&str] = &[
    "172.16.0.10",
    "50:54:00:00:f1:01",
    "10.0.1.100",
    "172.16.0.200",
    "$_rtr_lb",
    "ct_mark",
    "ct.rel",
    "ct_dnat",
    "ct_snat",
];

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
    let network = Network::recorded("s3-rich");
    let [own, real] = both("s3-rich", &network);
    let (own, real) = (&own["r1"], &real["r1"]);
    let wrong: Vec<_> = own.difference(real).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut missing = BTreeMap::new();
    for flow in real.difference(own) {
        let (stage, _, matches, actions) = flow;
        let is_marked = |mark: &&str| matches.contains(mark) || actions.contains(mark);
        assert!(TRANSLATING.iter().any(is_marked), "{flow:?}");
        *missing.entry(&**stage).or_insert(0) += 1;
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
        let ports =
            row.ports.iter().map(|port| store.get::<PortBinding>(*port).unwrap().logical_port.clone());
        let ports: BTreeSet<_> = ports.collect();
        said.insert(
            format!("multicast {} {}", datapath(row.datapath).1, row.name),
            format!("{} {ports:?}", row.tunnel_key),
        );
    }
    said
}

#[rstest]
fn rows_are_those_of_the_original(#[values("s1-l2", "s2-l3", "s3-rich", "s7-routers")] scenario: &str) {
    let network = Network::recorded(scenario);
    let mut database = Database::default();
    let rows = dump::read(&recorded(scenario, "sb-dump.json")).unwrap();
    database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
    assert_eq!(rows_of_routers(network.southbound.snapshot()), rows_of_routers(database.snapshot()));
}

#[test]
fn what_cannot_be_followed_is_said() {
    let mut network = Network::recorded("s2-l3");
    let (router, _) = network.northbound.snapshot().routers_named("router1").next().unwrap();
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
            edit.update(router, |row: &mut LogicalRouter| {
                row.static_routes.insert(route);
            });
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

#[test]
fn what_was_found_of_a_next_hop_goes_with_the_last_route_to_it() {
    let mut network = Network::recorded("s2-l3");
    let (router, _) = network.northbound.snapshot().routers_named("router1").next().unwrap();
    let before = network.compiler.kept();
    let mut kept = Vec::new();
    for n in 100..110 {
        let mut routes = Vec::new();
        network.edit(|edit| {
            for ip_prefix in ["10.0.0.0/8", "11.0.0.0/8"] {
                let (ip_prefix, nexthop) = (ip_prefix.to_owned(), format!("192.168.0.{n}"));
                let route = LogicalRouterStaticRoute { ip_prefix, nexthop, ..Default::default() };
                routes.push(edit.insert(route));
            }
            let all = &routes;
            edit.update(router, |row: &mut LogicalRouter| row.static_routes.extend(all));
        });
        network.edit(|edit| {
            edit.update(router, |row: &mut LogicalRouter| {
                row.static_routes.retain(|route| !routes.contains(route));
            });
        });
        kept.push(network.compiler.kept());
    }
    assert_eq!(kept, [before; 10]);
}
