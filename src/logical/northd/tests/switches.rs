//! The switches of the recorded networks: every flow, and every row but those of routers and load balancers.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use super::support::{Listed, Network, flows, read_list, recorded};
use crate::logical::rows::tables::{
    AddressSet, DatapathBinding, Dns, IpMulticast, MulticastGroup, PortBinding, PortGroup, SbGlobal,
};
use crate::logical::rows::{Store, Table, Transaction, Uuid, dump};

/// Why a recorded flow is not compiled.
fn reason(flow: &Listed) -> Option<&'static str> {
    let (stage, priority, matches, actions) = flow;
    let balanced = ["10.0.1.100", "172.16.0.200"].iter().any(|ip| matches.ends_with(ip));
    match (&**stage, *priority) {
        ("ls_in_pre_stateful", 120) | ("ls_in_lb", 110 | 120) => Some("load balancers"),
        ("ls_in_l2_lkup", 80) if balanced => Some("load balancers of routers"),
        ("ls_in_dhcp_options" | "ls_in_dhcp_response", 100) => Some("DHCP"),
        ("ls_out_acl", 34000) if actions.starts_with("ct_commit") && matches.contains("udp.src == 67") => {
            Some("DHCP")
        }
        _ => None,
    }
}

/// How many recorded flows of switches are not compiled, by stage and reason.
type Missing = BTreeMap<(String, &'static str), usize>;

fn compare(name: &str) -> Missing {
    let (network, list) = (Network::recorded(name), read_list(&recorded(name, "lflow-list.txt")));
    let compiled = flows(network.southbound.snapshot());
    let mut missing = Missing::new();
    for (datapath, recorded) in list {
        let is_router = recorded.iter().any(|(stage, ..)| stage.starts_with("lr_"));
        if is_router {
            continue;
        }
        let (left, expected): (BTreeSet<Listed>, BTreeSet<Listed>) =
            recorded.into_iter().partition(|flow| reason(flow).is_some());
        for flow in left {
            *missing.entry((flow.0.clone(), reason(&flow).unwrap())).or_default() += 1;
        }
        let compiled = &compiled[&datapath];
        let lacking: Vec<&Listed> = expected.difference(compiled).collect();
        let excess: Vec<&Listed> = compiled.difference(&expected).collect();
        assert!(lacking.is_empty() && excess.is_empty(), "{datapath}: without {lacking:#?}, but {excess:#?}");
    }
    missing
}

#[rstest]
#[case("s1-l2")]
#[case("s2-l3")]
fn every_flow(#[case] name: &str) {
    assert_eq!(compare(name), Missing::new());
}

#[test]
fn every_flow_but_those_of_what_is_not_compiled() {
    let missing = compare("s3-rich");
    let expected = [
        ("ls_in_dhcp_options", "DHCP", 4),
        ("ls_in_dhcp_response", "DHCP", 2),
        ("ls_in_l2_lkup", "load balancers of routers", 2),
        ("ls_in_lb", "load balancers", 2),
        ("ls_in_pre_stateful", "load balancers", 2),
        ("ls_out_acl", "DHCP", 2),
    ];
    let expected = expected.map(|(stage, reason, count)| ((stage.to_owned(), reason), count));
    assert_eq!(missing, expected.into());
}

/// Rows by what tells them apart, without the names that are made up.
pub fn shown(store: &Store) -> BTreeMap<String, String> {
    let switches: BTreeMap<Uuid, &str> = store
        .iter::<DatapathBinding>()
        .filter(|(_, row)| row.external_ids.contains_key("logical-switch"))
        .map(|(uuid, row)| (uuid, &*row.external_ids["name"]))
        .collect();
    let ports: BTreeMap<Uuid, String> =
        store.iter::<PortBinding>().map(|(uuid, row)| (uuid, row.logical_port.clone())).collect();
    let mut all = BTreeMap::new();
    let mut say = |table: Table, name: &str, what: String| {
        assert_eq!(all.insert(format!("{table:?} {name}"), what), None);
    };
    for (_, row) in store.iter::<DatapathBinding>().filter(|(uuid, _)| switches.contains_key(uuid)) {
        // Keys follow the order of the commands, which a dump does not tell.
        say(Table::DatapathBinding, &row.external_ids["name"], format!("{:?}", row.external_ids));
    }
    for (_, row) in store.iter::<PortBinding>() {
        let Some(switch) = switches.get(&row.datapath) else { continue };
        let mut row = PortBinding::clone(row);
        (row.datapath, row.tunnel_key) = (Uuid::default(), 0);
        row.nat_addresses =
            row.nat_addresses.iter().map(|text| text.replace(" 10.0.1.100 172.16.0.200", "")).collect();
        say(Table::PortBinding, &row.logical_port.clone(), format!("{switch} {row:?}"));
    }
    for (_, row) in store.iter::<MulticastGroup>() {
        let Some(switch) = switches.get(&row.datapath) else { continue };
        let members: BTreeSet<&String> = row.ports.iter().map(|port| &ports[port]).collect();
        let what = format!("{} {members:?}", row.tunnel_key);
        say(Table::MulticastGroup, &format!("{switch} {}", row.name), what);
    }
    for (_, row) in store.iter::<IpMulticast>() {
        let datapath = Uuid::default();
        let name = switches[&row.datapath];
        say(Table::IpMulticast, name, format!("{:?}", IpMulticast { datapath, ..IpMulticast::clone(row) }));
    }
    for (_, row) in store.iter::<AddressSet>().filter(|(_, row)| !row.name.starts_with("_rtr_lb_")) {
        say(Table::AddressSet, &row.name, format!("{:?}", row.addresses));
    }
    for (_, row) in store.iter::<PortGroup>() {
        let (key, name) = row.name.split_once('_').unwrap();
        let (uuid, _) = store.datapath_by_key(key.parse().unwrap()).unwrap();
        say(Table::PortGroup, name, format!("{} {:?}", switches[&uuid], row.ports));
    }
    for (_, row) in store.iter::<Dns>() {
        let datapaths: Vec<&&str> = row.datapaths.iter().map(|uuid| &switches[uuid]).collect();
        say(Table::Dns, &row.external_ids["dns_id"], format!("{datapaths:?} {:?}", row.records));
    }
    for (_, row) in store.iter::<SbGlobal>() {
        say(Table::SbGlobal, "", format!("{} {} {:?}", row.ipsec, row.nb_cfg, row.options));
    }
    all
}

#[rstest]
#[case("s1-l2")]
#[case("s2-l3")]
#[case("s3-rich")]
fn every_row(#[case] name: &str) {
    let network = Network::recorded(name);
    let rows = dump::read(&recorded(name, "sb-dump.json")).unwrap();
    let mut real = crate::logical::rows::Database::default();
    let mut transaction = Transaction::new();
    rows.into_iter().for_each(|(uuid, row)| transaction.put_any(uuid, row));
    real.commit(transaction).unwrap();
    let (ours, theirs) = (shown(network.southbound.snapshot()), shown(real.snapshot()));
    for (name, row) in &theirs {
        assert_eq!(ours.get(name), Some(row), "{name}");
    }
    assert_eq!(ours.len(), theirs.len(), "{ours:#?}");
}
