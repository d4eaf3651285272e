//! The lowered flows beside those that real chassis of OVN 23.03 installed for the same rows and bindings, table by
//! table. What may differ is named here, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use millrace::logical::rows::{Database, Delta, Transaction, dump};
use millrace::lower::{Bindings, Families, Host, Lowering, Numbers, Tunnel, Zones};
use millrace::packet::PortNo;
use millrace::pipeline::syntax::{Mode, parse_flow, print_actions, print_match};

fn read(scenario: &str, file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(scenario).join("chassis");
    fs::read_to_string(folder.join(file)).unwrap()
}

fn load(scenario: &str) -> Delta {
    let mut transaction = Transaction::new();
    for (uuid, row) in dump::read(&read(scenario, "sb-dump.json")).unwrap() {
        transaction.put_any(uuid, row);
    }
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(transaction).unwrap();
    cursor.poll(&database)
}

/// Our port to all other chassis.
const TUNNEL: u16 = 99;

/// Table, match and actions, in one form.
type Flow = (u8, String, String);

/// Cookies by flow. Zones are numbers that every chassis gives out for itself.
type Flows = BTreeMap<Flow, u64>;

fn without_zones(actions: &str) -> String {
    let items = actions.split(',').map(|item| {
        let zone =
            ["reg11", "reg12", "reg13"].iter().find(|register| item.ends_with(&format!("->{register}")));
        match (zone, item.rsplit_once("set_field:0x")) {
            (Some(register), Some((before, _))) => format!("{before}ZONE->{register}"),
            _ => item.to_owned(),
        }
    });
    items.collect::<Vec<_>>().join(",")
}

/// OpenFlow's `vlan_vid` has a bit for that there is one.
fn vlan_as_a_tag(actions: &str) -> String {
    let item = |item: &str| {
        let vid = item.strip_prefix("set_field:").and_then(|item| item.strip_suffix("->vlan_vid"));
        vid.map_or(item.to_owned(), |vid| {
            format!("set_field:{}->dl_vlan", vid.parse::<u16>().unwrap() & 0xfff)
        })
    };
    actions.split(',').map(item).collect::<Vec<_>>().join(",")
}

/// Their port of every peer, by number and address, is our one port and the peer's address. Copies go to chassis in the
/// order of their names.
fn by_one_tunnel(actions: &str, peers: &[(u16, &str)]) -> String {
    let address = |item: &str| {
        let number: u16 = item.strip_prefix("output:")?.parse().ok()?;
        peers.iter().find(|(port, _)| *port == number).map(|(_, address)| *address)
    };
    let mut items: Vec<String> = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    for item in actions.split(',').chain([""]) {
        match address(item) {
            Some(address) => run.push(address),
            None => {
                run.sort_unstable();
                items.extend(run.drain(..).map(|to| format!("set_field:{to}->tun_dst,output:{TUNNEL}")));
                items.push(item.to_owned());
            }
        }
    }
    items.pop();
    items.join(",")
}

fn recorded(scenario: &str, chassis: &str, peers: &[(u16, &str)]) -> Flows {
    let text = read(scenario, &format!("{chassis}.txt"));
    let mut flows = Flows::new();
    for line in text.lines() {
        let (matcher, actions) = line.split_once(" actions=").unwrap();
        let mut cookie = 0;
        let mut items = Vec::new();
        for item in matcher.trim().split([',', ' ']).filter(|item| !item.is_empty()) {
            match item.strip_prefix("cookie=0x") {
                Some(digits) => cookie = u64::from_str_radix(digits, 16).unwrap(),
                None => items.push(item),
            }
        }
        // One flow for what arrives, in place of one for every peer.
        for item in &mut items {
            if peers.iter().any(|(port, _)| *item == format!("in_port={port}")) {
                *item = "in_port=99";
            }
        }
        let flow = format!("{} actions=drop", items.join(","));
        let Ok(flow) = parse_flow(&flow, &(), Mode::Add) else {
            eprintln!("not read: {line}");
            continue;
        };
        let matcher = print_match(&flow.matcher, flow.priority_or_default(), &());
        // Two forms of one action.
        let actions = actions.replace("dec_ttl()", "dec_ttl").replace("/0x3f->ip_dscp", "->ip_dscp");
        let actions = by_one_tunnel(&without_zones(&vlan_as_a_tag(&actions)), peers);
        flows.insert((flow.table.unwrap_or(0), matcher, actions), cookie);
    }
    flows
}

fn lowered(scenario: &str, bindings: &Bindings) -> Flows {
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    lowering.update(&load(scenario), bindings);
    let mut spoilt = lowering.troubles();
    spoilt.retain(|trouble| !trouble.sentence.starts_with("does without"));
    assert!(spoilt.is_empty(), "{spoilt:?}");
    let text = |flow: millrace::lower::LoweredFlow| {
        let matcher = print_match(&flow.matcher(), flow.priority, &());
        ((flow.table, matcher, without_zones(&print_actions(&flow.actions, &()))), flow.cookie)
    };
    lowering.flows().map(text).collect()
}

const TRACKING: &str = "connection tracking: not yet, dropped";
const COMMITS: &str = "connection tracking: commits nothing yet";
const GROUPS: &str = "groups have other numbers";
const METERS: &str = "meters have other numbers";
const SELF: &str = "done by the switch itself, or not yet";
const HAIRPINS: &str = "hairpins of load balancers: not yet";
const GATEWAYS: &str = "the gateway that has a port, in place of the first of several that is heard";
const CHASSIS: &str = "addresses of chassis on provider networks: not yet";
const COPY: &str = "reg0 is not copied to itself";
const OUTER: &str = "belongs to the ports inside, to no row there";
/// Theirs ask for a TTL of 225, so that none of it is ever met, let a solicitation of any address pass, and do not look at
/// the Ethernet source.
const DISCOVERY: &str = "port security of neighbour discovery: as documented";

/// Why a flow of theirs need not be ours, or ours theirs, in whole or in its actions.
fn reason(table: u8, matcher: &str, theirs: Option<&str>, ours: Option<&str>) -> Option<&'static str> {
    let has = |word: &str| theirs.is_some_and(|actions| actions.contains(word));
    Some(match (theirs, ours) {
        (Some(_), Some("drop")) if has("ct(") => TRACKING,
        (Some(_), Some(_)) if has("ct(") => COMMITS,
        (Some(_), Some(ours)) if has("group:") && ours.contains("group:") => GROUPS,
        (Some(_), Some(ours)) if has("meter:") && ours.contains("meter:") => METERS,
        // Groups of load balancers.
        (Some(_), Some(_)) if has("group:") => TRACKING,
        (Some(_), Some(_)) if has("controller(") => SELF,
        (_, None) if (68..=70).contains(&table) => HAIRPINS,
        (Some(_), Some(_)) if has("resubmit(,68)") || has("resubmit(,70)") => HAIRPINS,
        (Some(_), Some(_)) if has("bundle(") => GATEWAYS,
        (_, None) if matcher.starts_with("priority=180,") => CHASSIS,
        (Some(_), Some(_)) if has("pop:NXM_NX_REG0[]") => COPY,
        _ if table == 74 => DISCOVERY,
        (Some(theirs), Some(ours)) if matcher.contains("reg10=0x20/0x20") && theirs == ours => OUTER,
        _ => return None,
    })
}

/// How many flows are the same, and how many differ for which reason. There are no others.
/// A port of the name `=NETWORK` is that physical network.
fn compare(
    scenario: &str,
    chassis: &str,
    ports: &[(&str, u16)],
    peers: &[(u16, &str)],
) -> (usize, BTreeMap<&'static str, usize>) {
    let (mapped, ports): (Vec<_>, Vec<_>) = ports.iter().partition(|(name, _)| name.starts_with('='));
    let ports = ports.iter().map(|(name, port)| ((*name).to_owned(), PortNo(*port))).collect();
    let mappings = mapped.iter().map(|(name, port)| (name[1..].to_owned(), PortNo(*port))).collect();
    let tunnel = Some(Tunnel { port: PortNo(TUNNEL), mtu: None, families: Families::default() });
    let bindings = Bindings { host: Host { chassis: chassis.to_owned(), tunnel, mappings }, ports };
    let (theirs, ours) = (recorded(scenario, chassis, peers), lowered(scenario, &bindings));
    let same = theirs.iter().filter(|(flow, cookie)| ours.get(flow) == Some(cookie)).count();
    let actions = |flows: &Flows, other: &Flows| -> BTreeMap<(u8, String), (String, u64)> {
        let differ = flows.iter().filter(|(flow, cookie)| other.get(flow) != Some(cookie));
        let by_match = differ.map(|((table, matcher, actions), cookie)| {
            ((*table, matcher.clone()), (actions.clone(), *cookie))
        });
        by_match.collect()
    };
    let (only_theirs, only_ours) = (actions(&theirs, &ours), actions(&ours, &theirs));
    let places: BTreeSet<&(u8, String)> = only_theirs.keys().chain(only_ours.keys()).collect();
    let mut reasons = BTreeMap::new();
    let mut unexplained = String::new();
    for place in places {
        let (theirs, ours) = (only_theirs.get(place), only_ours.get(place));
        let is_one_row = theirs.zip(ours).is_none_or(|(theirs, ours)| theirs.1 == ours.1);
        let text = |flow: Option<&'_ (String, u64)>| flow.map(|(actions, _)| actions.clone());
        let (of_theirs, of_ours) = (text(theirs), text(ours));
        match reason(place.0, &place.1, of_theirs.as_deref(), of_ours.as_deref()) {
            Some(reason) if is_one_row || reason == OUTER => *reasons.entry(reason).or_default() += 1,
            _ => {
                let (table, matcher) = place;
                writeln!(unexplained, "table {table} {matcher}\n  theirs {theirs:x?}\n  ours   {ours:x?}")
                    .unwrap();
            }
        }
    }
    println!("{scenario} {chassis}: theirs {}, ours {}, same {same}, {reasons:?}", theirs.len(), ours.len());
    assert!(unexplained.is_empty(), "{scenario} {chassis}\n{unexplained}");
    (same, reasons)
}

const HV1: &str = "192.168.50.101";
const HV2: &str = "192.168.50.102";
const GW1: &str = "192.168.50.103";
const GW2: &str = "192.168.50.104";

#[test]
fn a_switch() {
    for (chassis, port, peer) in [("hv1", "vm1", HV2), ("hv2", "vm2", HV1)] {
        let (same, reasons) = compare("s1-l2", chassis, &[(port, 2)], &[(1, peer)]);
        let expected = [(COMMITS, 8), (TRACKING, 8), (SELF, 4)];
        assert_eq!((same, reasons), (119, expected.into()));
    }
}

#[test]
fn two_switches_and_a_router() {
    for (chassis, port, peer) in [("hv1", "vm1", HV2), ("hv2", "vm2", HV1)] {
        let (same, reasons) = compare("s2-l3", chassis, &[(port, 2)], &[(1, peer)]);
        let expected = [(COMMITS, 16), (TRACKING, 16), (SELF, 40), (COPY, 1)];
        assert_eq!((same, reasons), (344, expected.into()));
    }
}

#[test]
fn everything_at_once() {
    let (same, reasons) =
        compare("s3-rich", "hv1", &[("web1", 4), ("db1", 5), ("pub-ln", 6)], &[(1, HV2), (2, GW1), (3, GW2)]);
    let expected = [
        (CHASSIS, 2),
        (COMMITS, 40),
        (TRACKING, 46),
        (SELF, 65),
        (GROUPS, 1),
        (HAIRPINS, 11),
        (DISCOVERY, 28),
        (COPY, 1),
        (GATEWAYS, 1),
    ];
    assert_eq!((same, reasons), (782, expected.into()));
    let ports = [("web2", 4), ("db2", 5), ("=physnet1", 6), ("fw1", 7)];
    let (same, reasons) = compare("s3-rich", "hv2", &ports, &[(1, HV1), (2, GW1), (3, GW2)]);
    let expected = [
        (CHASSIS, 2),
        (COMMITS, 38),
        (TRACKING, 46),
        (SELF, 66),
        (GROUPS, 1),
        (HAIRPINS, 11),
        (METERS, 1),
        (DISCOVERY, 16),
        (COPY, 1),
        (GATEWAYS, 1),
    ];
    assert_eq!((same, reasons), (805, expected.into()));
    let (same, reasons) = compare("s3-rich", "gw1", &[("pub-ln", 3)], &[(1, HV1), (2, HV2), (4, GW2)]);
    let expected =
        [(CHASSIS, 2), (COMMITS, 39), (TRACKING, 57), (SELF, 60), (GROUPS, 1), (HAIRPINS, 11), (COPY, 1)];
    assert_eq!((same, reasons), (715, expected.into()));
}

/// Ports of other chassis that are reached by the wire of a provider network, and ports inside a guest.
#[test]
fn provider_networks_and_ports_inside_others() {
    let ports = [
        ("a", 11),
        ("lp", 12),
        ("v1", 13),
        ("t1", 14),
        ("q1", 15),
        ("ln", 3),
        ("vlan-ln", 2),
        ("q-ln", 4),
        ("thru-ln", 5),
    ];
    let (same, reasons) = compare("s5-provider", "hv1", &ports, &[(1, "127.0.0.2")]);
    let expected =
        [(CHASSIS, 2), (COMMITS, 40), (TRACKING, 40), (SELF, 57), (DISCOVERY, 12), (COPY, 1), (OUTER, 2)];
    assert_eq!((same, reasons), (773, expected.into()));
}
