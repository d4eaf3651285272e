//! Any history of edits ends in the rows that a compiler makes which knows only the last ones; and a small edit of a large
//! network is looked at in small.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::Keys;
use super::support::Network;
use crate::logical::nb::tables::{
    GatewayChassis, LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute,
    LogicalSwitch, LogicalSwitchPort, Nat, StaticMacBinding,
};
use crate::logical::nb::{Edit, Row, Table, Uuid};
use crate::logical::rows::tables::Pairs;

/// One edit; places are taken modulo what is there.
#[derive(Clone, Debug)]
enum Step {
    Router(Pairs),
    RouterOptions(usize, Option<bool>, Pairs),
    Switch,
    RouterPort(usize, LogicalRouterPort),
    RouterPortAgain(usize, LogicalRouterPort),
    GatewayChassis(usize, &'static str),
    Peer(usize, usize),
    SwitchPort(usize, LogicalSwitchPort),
    SwitchPortAgain(usize, LogicalSwitchPort),
    Lead(usize, usize),
    Route(usize, LogicalRouterStaticRoute),
    RouteAgain(usize, LogicalRouterStaticRoute),
    Policy(usize, LogicalRouterPolicy),
    PolicyAgain(usize, LogicalRouterPolicy),
    Neighbour(usize, &'static str),
    Translation(usize, Nat),
    Remove(Table, usize),
}

fn pairs(all: &[(&str, &[&'static str])]) -> impl Strategy<Value = Pairs> + use<> {
    let one = |(name, values): &(&str, &[&'static str])| {
        let (name, values) = ((*name).to_owned(), values.to_vec());
        proptest::option::weighted(0.3, select(values))
            .prop_map(move |value| Some((name.clone(), value?.to_owned())))
    };
    let all: Vec<_> = all.iter().map(one).collect();
    all.prop_map(|pairs| pairs.into_iter().flatten().collect())
}

const ON: &[&str] = &["true"];
const NETWORKS: &[&str] =
    &["10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24", "10.0.0.129/25", "fd00::1/64", "fd00::2/64", "fd01::1/64"];
const HOSTS: &[&str] = &["10.0.0.1", "10.0.0.7", "10.0.1.7", "10.0.0.200", "fd00::7", "fd01::7"];
const PREFIXES: &[&str] =
    &["10.5.0.0/16", "10.5.0.0/24", "10.5.0.0/255.255.0.0", "0.0.0.0/0", "fd05::/64", "fe80::/64"];

fn words(from: &'static [&'static str], count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    let some = proptest::sample::subsequence(from.to_vec(), count);
    some.prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

fn router_port() -> impl Strategy<Value = LogicalRouterPort> {
    let options = pairs(&[
        ("gateway_mtu", &["1500", "x"]),
        ("gateway_mtu_bypass", &["tcp"]),
        ("mcast_flood", ON),
        ("route_table", &["red", "blue"]),
        ("reside-on-redirect-chassis", ON),
        ("redirect-type", &["bridged"]),
    ]);
    let advertises = pairs(&[("address_mode", &["slaac", "x"]), ("send_periodic", ON)]);
    let enabled = select(vec![None, None, Some(false)]);
    let mac = select(vec!["02:00:00:00:00:01", "02:00:00:00:00:02", "x"]);
    (words(NETWORKS, 1..3), options, advertises, enabled, mac).prop_map(
        |(networks, options, ipv6_ra_configs, enabled, mac)| LogicalRouterPort {
            networks: networks.into_iter().collect(),
            options,
            ipv6_ra_configs,
            enabled,
            mac: mac.to_owned(),
            ..Default::default()
        },
    )
}

fn switch_port() -> impl Strategy<Value = LogicalSwitchPort> {
    let kind = select(vec!["", "", "", "localnet", "virtual", "vtep", "router"]);
    let options = pairs(&[("virtual-ip", &["10.0.0.7", "fd00::7"]), ("virtual-parents", &["p"])]);
    let enabled = select(vec![None, None, Some(false)]);
    (kind, words(HOSTS, 0..4), options, enabled, proptest::option::of(select(vec![3u16]))).prop_map(
        |(kind, ips, options, enabled, tag_request)| LogicalSwitchPort {
            kind: kind.to_owned(),
            addresses: [format!("02:00:00:00:01:00 {}", ips.join(" "))].into(),
            options,
            enabled,
            tag_request,
            ..Default::default()
        },
    )
}

fn route() -> impl Strategy<Value = LogicalRouterStaticRoute> {
    let next_hop = select([HOSTS, &["discard", "", "x"]].concat());
    let policy = select(vec![None, Some("dst-ip"), Some("src-ip")]);
    let table = select(vec!["", "", "", "red", "green"]);
    let options = pairs(&[("origin", &["connected"]), ("ecmp_symmetric_reply", ON)]);
    let port = select(vec![None, None, None, Some("lrp0"), Some("lrp1")]);
    (select(PREFIXES.to_vec()), next_hop, policy, table, options, port).prop_map(
        |(prefix, next_hop, policy, table, options, port)| LogicalRouterStaticRoute {
            ip_prefix: prefix.to_owned(),
            nexthop: next_hop.to_owned(),
            policy: policy.map(str::to_owned),
            route_table: table.to_owned(),
            options,
            output_port: port.map(str::to_owned),
            ..Default::default()
        },
    )
}

fn policy() -> impl Strategy<Value = LogicalRouterPolicy> {
    let action = select(vec!["allow", "drop", "reroute", "reroute", "reroute"]);
    (action, words(HOSTS, 0..4), pairs(&[("pkt_mark", &["0", "7"])]), 0..3u16).prop_map(
        |(action, next_hops, options, priority)| LogicalRouterPolicy {
            action: action.to_owned(),
            matches: "ip4.dst == 10.9.0.0/16".to_owned(),
            nexthops: next_hops.into_iter().collect(),
            options,
            priority,
            ..Default::default()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..8usize;
    let options = || {
        pairs(&[
            ("chassis", &["here"]),
            ("always_learn_from_arp_request", &["false"]),
            ("dynamic_neigh_routers", ON),
            ("mcast_relay", ON),
            ("lb_force_snat_ip", &["router_ip"]),
        ])
    };
    let translation = (select(vec!["snat", "dnat_and_snat"]), select(HOSTS.to_vec()), any::<bool>());
    let translation = translation.prop_map(|(kind, external, is_distributed)| Nat {
        kind: kind.to_owned(),
        external_ip: external.to_owned(),
        logical_ip: "10.3.0.1".to_owned(),
        external_mac: is_distributed.then(|| "02:00:00:00:00:77".to_owned()),
        logical_port: is_distributed.then(|| "lsp0".to_owned()),
        ..Default::default()
    });
    let tables = vec![
        Table::LogicalRouter,
        Table::LogicalSwitch,
        Table::LogicalRouterPort,
        Table::LogicalSwitchPort,
        Table::LogicalRouterStaticRoute,
        Table::LogicalRouterPolicy,
        Table::StaticMacBinding,
        Table::Nat,
    ];
    prop_oneof![
        2 => options().prop_map(Step::Router),
        2 => (at(), select(vec![None, None, Some(false)]), options()).prop_map(|(at, on, options)| Step::RouterOptions(at, on, options)),
        2 => Just(Step::Switch),
        4 => (at(), router_port()).prop_map(|(at, row)| Step::RouterPort(at, row)),
        3 => (at(), router_port()).prop_map(|(at, row)| Step::RouterPortAgain(at, row)),
        2 => (at(), select(vec!["gw1", "gw2"])).prop_map(|(at, name)| Step::GatewayChassis(at, name)),
        1 => (at(), at()).prop_map(|(at, other)| Step::Peer(at, other)),
        4 => (at(), switch_port()).prop_map(|(at, row)| Step::SwitchPort(at, row)),
        3 => (at(), switch_port()).prop_map(|(at, row)| Step::SwitchPortAgain(at, row)),
        4 => (at(), at()).prop_map(|(at, other)| Step::Lead(at, other)),
        6 => (at(), route()).prop_map(|(at, row)| Step::Route(at, row)),
        3 => (at(), route()).prop_map(|(at, row)| Step::RouteAgain(at, row)),
        3 => (at(), policy()).prop_map(|(at, row)| Step::Policy(at, row)),
        2 => (at(), policy()).prop_map(|(at, row)| Step::PolicyAgain(at, row)),
        1 => (at(), select(HOSTS.to_vec())).prop_map(|(at, ip)| Step::Neighbour(at, ip)),
        1 => (at(), translation).prop_map(|(at, row)| Step::Translation(at, row)),
        4 => (select(tables), at()).prop_map(|(table, at)| Step::Remove(table, at)),
    ]
}

/// The row of a table at a place, if there are any.
fn pick<R: Row<Table>>(edit: &Edit, at: usize) -> Option<Uuid> {
    let all: Vec<Uuid> = edit.rows().iter::<R>().map(|(uuid, _)| uuid).collect();
    all.get(at % all.len().max(1)).copied()
}

/// A name that is free.
fn free_name(prefix: &str, is_taken: impl Fn(&str) -> bool) -> String {
    (0..).map(|at| format!("{prefix}{at}")).find(|name| !is_taken(name)).unwrap()
}

fn apply(edit: &mut Edit, step: &Step) -> Option<()> {
    match step.clone() {
        Step::Router(options) => {
            edit.insert(LogicalRouter { name: "r".to_owned(), options, ..Default::default() });
        }
        Step::RouterOptions(at, enabled, options) => {
            let uuid = pick::<LogicalRouter>(edit, at)?;
            edit.update(uuid, |row: &mut LogicalRouter| (row.enabled, row.options) = (enabled, options));
        }
        Step::Switch => {
            edit.insert(LogicalSwitch { name: "s".to_owned(), ..Default::default() });
        }
        Step::RouterPort(at, mut row) => {
            let router = pick::<LogicalRouter>(edit, at)?;
            row.name = free_name("lrp", |name| edit.rows().router_port(name).is_some());
            let port = edit.insert(row);
            edit.update(router, |row: &mut LogicalRouter| {
                row.ports.insert(port);
            });
        }
        Step::RouterPortAgain(at, new) => {
            let uuid = pick::<LogicalRouterPort>(edit, at)?;
            edit.update(uuid, |row: &mut LogicalRouterPort| {
                let old = std::mem::replace(row, new);
                (row.name, row.gateway_chassis, row.peer) = (old.name, old.gateway_chassis, old.peer);
            });
        }
        Step::GatewayChassis(at, chassis) => {
            let port = pick::<LogicalRouterPort>(edit, at)?;
            let name = format!("{}_{chassis}", edit.rows().get::<LogicalRouterPort>(port)?.name);
            let old = edit.rows().iter::<GatewayChassis>().find(|(_, row)| row.name == name);
            if let Some((old, _)) = old {
                edit.update(port, |row: &mut LogicalRouterPort| {
                    row.gateway_chassis.remove(&old);
                });
            } else {
                let chassis_name = chassis.to_owned();
                let new = edit.insert(GatewayChassis { name, chassis_name, ..Default::default() });
                edit.update(port, |row: &mut LogicalRouterPort| {
                    row.gateway_chassis.insert(new);
                });
            }
        }
        Step::Peer(at, other) => {
            let (port, other) =
                (pick::<LogicalRouterPort>(edit, at)?, pick::<LogicalRouterPort>(edit, other)?);
            let name = edit.rows().get::<LogicalRouterPort>(other)?.name.clone();
            edit.update(port, |row: &mut LogicalRouterPort| {
                row.peer = Some(name).filter(|_| port != other && row.peer.is_none());
            });
        }
        Step::SwitchPort(at, mut row) => {
            let switch = pick::<LogicalSwitch>(edit, at)?;
            row.name = free_name("lsp", |name| edit.rows().switch_port(name).is_some());
            let port = edit.insert(row);
            edit.update(switch, |row: &mut LogicalSwitch| {
                row.ports.insert(port);
            });
        }
        Step::SwitchPortAgain(at, new) => {
            let uuid = pick::<LogicalSwitchPort>(edit, at)?;
            edit.update(uuid, |row: &mut LogicalSwitchPort| {
                let old = std::mem::replace(row, new);
                row.name = old.name;
            });
        }
        Step::Lead(at, other) => {
            let port = pick::<LogicalSwitchPort>(edit, at)?;
            let name = format!("lrp{other}");
            edit.update(port, |row: &mut LogicalSwitchPort| {
                row.kind = "router".to_owned();
                row.options = [("router-port".to_owned(), name)].into();
            });
        }
        Step::Route(at, row) => {
            let (router, route) = (pick::<LogicalRouter>(edit, at)?, edit.insert(row));
            edit.update(router, |row: &mut LogicalRouter| {
                row.static_routes.insert(route);
            });
        }
        Step::RouteAgain(at, row) => edit.put(pick::<LogicalRouterStaticRoute>(edit, at)?, row),
        Step::Policy(at, row) => {
            let (router, policy) = (pick::<LogicalRouter>(edit, at)?, edit.insert(row));
            edit.update(router, |row: &mut LogicalRouter| {
                row.policies.insert(policy);
            });
        }
        Step::PolicyAgain(at, row) => edit.put(pick::<LogicalRouterPolicy>(edit, at)?, row),
        Step::Neighbour(at, ip) => {
            let port = pick::<LogicalRouterPort>(edit, at)?;
            let (logical_port, ip) =
                (edit.rows().get::<LogicalRouterPort>(port)?.name.clone(), ip.to_owned());
            let is_there = |row: &StaticMacBinding| row.logical_port == logical_port && row.ip == ip;
            if !edit.rows().iter::<StaticMacBinding>().any(|(_, row)| is_there(row)) {
                edit.insert(StaticMacBinding { logical_port, ip, ..Default::default() });
            }
        }
        Step::Translation(at, row) => {
            let (router, nat) = (pick::<LogicalRouter>(edit, at)?, edit.insert(row));
            edit.update(router, |row: &mut LogicalRouter| {
                row.nat.insert(nat);
            });
        }
        Step::Remove(table, at) => {
            let all: Vec<Uuid> = edit.rows().rows(table).map(|(uuid, _)| uuid).collect();
            let uuid = *all.get(at % all.len().max(1))?;
            for (_, owner) in edit.rows().clone().parents(table, uuid) {
                edit.update(owner, |row: &mut LogicalRouter| {
                    for column in [&mut row.ports, &mut row.static_routes, &mut row.policies, &mut row.nat] {
                        column.remove(&uuid);
                    }
                });
                edit.update(owner, |row: &mut LogicalSwitch| {
                    row.ports.remove(&uuid);
                });
            }
            edit.delete(table, uuid);
        }
    }
    Some(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_ends_like_a_compile_from_nothing(
        steps in proptest::collection::vec(proptest::collection::vec(step(), 1..4), 1..40),
    ) {
        let mut network = Network::new(Keys::default());
        for steps in steps {
            network.edit(|edit| steps.iter().for_each(|step| { apply(edit, step); }));
            let anew = network.anew();
            let (own, expected) = (network.rows(), anew.rows());
            for (name, row) in &own {
                prop_assert_eq!(Some(row), expected.get(name), "{:?} after {:?}", name, steps);
            }
            prop_assert_eq!(own.len(), expected.len());
            let troubles = |network: &Network| {
                let mut all: Vec<_> = network.compiler.troubles().map(|(table, row, text)| (table, row, text.to_owned())).collect();
                all.sort();
                all
            };
            prop_assert_eq!(troubles(&network), troubles(&anew));
        }
    }
}

/// A router of so many routes, beside a switch of so many ports.
fn large(routes: u32, ports: u32) -> (Network, Uuid, Uuid) {
    let mut network = Network::new(Keys::default());
    let mut made = None;
    network.edit(|edit| {
        let mut router = LogicalRouter::default();
        for at in 0..routes {
            router.static_routes.insert(edit.insert(LogicalRouterStaticRoute {
                ip_prefix: format!("20.{}.{}.0/24", at >> 8, at & 255),
                nexthop: "10.0.0.9".to_owned(),
                ..Default::default()
            }));
        }
        for at in 0..20 {
            router.ports.insert(edit.insert(LogicalRouterPort {
                name: format!("lrp{at}"),
                mac: format!("02:00:00:00:00:{at:02x}"),
                networks: [format!("10.{at}.0.1/16")].into(),
                ..Default::default()
            }));
        }
        let mut switch = LogicalSwitch::default();
        for at in 0..ports {
            switch.ports.insert(edit.insert(host(at)));
        }
        switch.ports.insert(edit.insert(LogicalSwitchPort {
            name: "to-router".to_owned(),
            kind: "router".to_owned(),
            options: [("router-port".to_owned(), "lrp0".to_owned())].into(),
            ..Default::default()
        }));
        made = Some((edit.insert(router), edit.insert(switch)));
    });
    let (router, switch) = made.unwrap();
    (network, router, switch)
}

fn host(at: u32) -> LogicalSwitchPort {
    let (high, low) = (at >> 8, at & 255);
    LogicalSwitchPort {
        name: format!("lsp{at}"),
        addresses: [format!("02:00:00:01:{high:02x}:{low:02x} 10.0.{high}.{low}")].into(),
        ..Default::default()
    }
}

#[test]
fn one_more_of_many_is_looked_at_alone() {
    let (mut network, router, switch) = large(2000, 500);
    let all = network.compiler.looked_at();
    assert!(all > 4500, "{all}");
    let add_route = |network: &mut Network, ip_prefix: &str, nexthop: &str| {
        network.edit(|edit| {
            let (ip_prefix, nexthop) = (ip_prefix.to_owned(), nexthop.to_owned());
            let route = edit.insert(LogicalRouterStaticRoute { ip_prefix, nexthop, ..Default::default() });
            edit.update(router, |row: &mut LogicalRouter| {
                row.static_routes.insert(route);
            });
        });
        network.compiler.looked_at()
    };
    // Two units of it, and of those few whose addresses are of the same bucket.
    let route = add_route(&mut network, "30.0.0.0/24", "10.0.0.9");
    assert!(route <= 12, "{route}");
    let group = add_route(&mut network, "20.1.1.0/24", "10.0.0.8");
    assert!(group <= 12, "{group}");
    network.edit(|edit| {
        let port = edit.insert(host(600));
        edit.update(switch, |row: &mut LogicalSwitch| {
            row.ports.insert(port);
        });
    });
    let port = network.compiler.looked_at();
    assert!(port <= 30, "{port}");
    network.edit(|edit| {
        let policy = edit.insert(LogicalRouterPolicy {
            action: "reroute".to_owned(),
            nexthops: ["10.0.0.3".to_owned(), "10.0.0.4".to_owned()].into(),
            ..Default::default()
        });
        edit.update(router, |row: &mut LogicalRouter| {
            row.policies.insert(policy);
        });
    });
    let policy = network.compiler.looked_at();
    assert!(policy <= 4, "{policy}");
}
