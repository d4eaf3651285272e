//! Any bytes as a history of rows and bindings: whether lowering follows it.
//!
//! The world is small, so that rows refer to each other, and now and then to nothing. Bytes behind the end are 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Bindings, Families, Host, LoweredFlow, Lowering, Numbers, Tunnel, Zones};
use crate::action::Action;
use crate::logical::rows::tables::{
    AddressSet, Chassis, DatapathBinding, Encap, Fdb, LogicalDpGroup, LogicalFlow, MacBinding,
    MulticastGroup, Pairs, PortBinding, PortGroup,
};
use crate::logical::rows::{AnyRow, Database, Pipeline, Row, Store, Table, Transaction, Uuid};
use crate::packet::{Field, PortNo};
use crate::pipeline::flow::Match;
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Batch, Tables};

const PORTS: [&str; 8] = ["a", "b", "c", "p1", "p2", "cr", "gw", "nobody"];
const ADDRESSES: [&str; 8] =
    ["10.0.0.1", "10.0.0.2/24", "10.0.1.0/24", "fd00::1", "fd00::/64", "0.0.0.0/0", "what", "10.0.0.1/33"];
const SECURITY: [&str; 5] = [
    "02:00:00:00:00:01",
    "02:00:00:00:00:01 10.0.0.1 fd00::/64",
    "02:00:00:00:00:02 10.0.0.0/24 10.0.1.7/24 10.0.0.0/99",
    "what",
    "",
];
/// What matches are put together from.
const TERMS: [&str; 24] = [
    "1",
    "0",
    "ip4",
    "ip6",
    "inport == \"a\"",
    "outport == {\"a\", \"b\", \"nobody\"}",
    "outport == \"_MC_flood\"",
    "inport == @pg",
    "outport == @none",
    "ip4.src == $as",
    "ip4.dst == $as",
    "ip6.dst == $as",
    "ip4.src != $as",
    "ip4.src == $none",
    "tcp.dst == {1, 2, 4, 8}",
    "80 <= udp.dst < 90",
    "ip.ttl == {0, 1}",
    "is_chassis_resident(\"cr\")",
    "!is_chassis_resident(\"a\")",
    "eth.dst == 02:00:00:00:00:01",
    "nd_ns && nd.target == fd00::1",
    "reg0[3] == 1",
    "ct.new",
    "what",
];
/// What actions are put together from.
const ACTIONS: [&str; 28] = [
    "next;",
    "drop;",
    "output;",
    "outport = \"a\";",
    "outport = \"_MC_flood\";",
    "outport = \"nobody\";",
    "inport <-> outport;",
    "ip.ttl--;",
    "reg0[0..3] = reg1[4..7];",
    "xxreg0 = ip6.dst;",
    "get_arp(outport, reg0);",
    "get_nd(outport, xxreg0);",
    "put_arp(inport, arp.spa, arp.sha);",
    "reg9[2] = lookup_arp(inport, arp.spa, arp.sha);",
    "put_fdb(inport, eth.src);",
    "outport = get_fdb(eth.dst);",
    "reg0[15] = check_in_port_sec();",
    "reg0[14] = check_pkt_larger(1400);",
    "reg8[16..31] = select(1, 2=3);",
    "clone { outport = \"b\"; output; };",
    "arp { eth.dst = ff:ff:ff:ff:ff:ff; output; };",
    "icmp4 { icmp4.type = 3; icmp4.code = 1; output; };",
    "reject { outport <-> inport; next(pipeline=egress, table=5); };",
    "set_meter(100, 10);",
    "log(name=\"x\", severity=info);",
    "reg0[0] = put_dhcp_opts(offerip = 10.0.0.2, netmask = 255.255.255.0);",
    "ct_next;",
    "what;",
];
const ME: Uuid = Uuid(1 << 100);

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn word(&mut self, words: &[&'static str]) -> String {
        let at = usize::from(self.byte()) % words.len().max(1);
        words.get(at).map_or(String::new(), |word| (*word).to_owned())
    }

    fn some(&mut self, words: &[&'static str]) -> Vec<String> {
        (0..self.below(4)).map(|_| self.word(words)).collect()
    }

    fn joined(&mut self, words: &[&'static str], between: [&str; 2]) -> String {
        let (between, first) = (between[usize::from(self.below(2))], self.word(words));
        (0..self.below(3)).fold(first, |text, _| format!("{text}{between}{}", self.word(words)))
    }

    /// The n-th row of a table, one that may not be there included.
    fn uuid(&mut self, table: Table) -> Uuid {
        uuid(table, self.below(6))
    }

    fn port(&mut self) -> PortBinding {
        let logical_port = self.word(&PORTS);
        let is_here = self.below(2) == 0;
        let (kind, options) = match logical_port.as_str() {
            "p1" => ("patch", [("peer", "p2")].into()),
            "p2" => ("patch", [("peer", "p1")].into()),
            "cr" => ("chassisredirect", [("distributed-port", "p1")].into()),
            "gw" => ("l3gateway", [("l3gateway-chassis", if is_here { "me" } else { "it" })].into()),
            "c" if self.below(2) == 0 => ("localnet", [("network_name", "net")].into()),
            _ => ("", BTreeMap::new()),
        };
        let pairs = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        PortBinding {
            logical_port,
            kind: kind.to_owned(),
            options: options.into_iter().map(pairs).collect(),
            chassis: if is_here { Some(ME) } else { Some(self.uuid(Table::Chassis)) },
            datapath: self.uuid(Table::DatapathBinding),
            tunnel_key: 1 + u16::from(self.below(5)),
            port_security: self.some(&SECURITY).into_iter().collect(),
            ..PortBinding::default()
        }
    }

    fn flow(&mut self) -> LogicalFlow {
        let has_group = self.below(3) == 0;
        let datapath = self.uuid(Table::DatapathBinding);
        LogicalFlow {
            matches: self.joined(&TERMS, [" && ", " || "]),
            actions: self.joined(&ACTIONS, [" ", " "]),
            logical_dp_group: has_group.then(|| self.uuid(Table::LogicalDpGroup)),
            logical_datapath: (!has_group).then_some(datapath),
            pipeline: if self.below(2) == 0 { Pipeline::Ingress } else { Pipeline::Egress },
            table_id: self.below(3),
            priority: u16::from(self.below(2)),
            ..LogicalFlow::default()
        }
    }

    fn row(&mut self) -> AnyRow {
        match self.below(14) {
            0..4 => any(self.flow()),
            4 | 5 => any(self.port()),
            6 => any(datapath(1 + u32::from(self.below(5)), self.below(2) == 0)),
            7 => {
                let datapaths = (0..self.below(4)).map(|_| self.uuid(Table::DatapathBinding)).collect();
                any(LogicalDpGroup { datapaths })
            }
            8 => {
                let ports = (0..self.below(5)).map(|_| self.uuid(Table::PortBinding)).collect();
                let datapath = self.uuid(Table::DatapathBinding);
                any(MulticastGroup { datapath, name: "_MC_flood".to_owned(), ports, tunnel_key: 0x8000 })
            }
            9 => {
                let addresses = self.some(&ADDRESSES).into_iter().collect();
                any(AddressSet { name: "as".to_owned(), addresses })
            }
            10 => {
                let ports = self.some(&PORTS).into_iter().collect();
                any(PortGroup { name: self.word(&["pg", "1_pg", "2_pg"]), ports })
            }
            11 => {
                let encaps = [self.uuid(Table::Encap)].into();
                any(Chassis { name: self.word(&["it", "that"]), encaps, ..Chassis::default() })
            }
            12 => any(endpoint(self.below(4))),
            _ if self.below(2) == 0 => {
                let (dp_key, port_key) = (u32::from(self.below(6)), u32::from(self.below(6)));
                any(Fdb { dp_key, port_key, mac: self.word(&SECURITY) })
            }
            _ => {
                let (datapath, logical_port) = (self.uuid(Table::DatapathBinding), self.word(&PORTS));
                let (ip, mac) = (self.word(&ADDRESSES), self.word(&SECURITY));
                any(MacBinding { datapath, logical_port, ip, mac, ..MacBinding::default() })
            }
        }
    }
}

fn uuid(table: Table, n: u8) -> Uuid {
    Uuid(u128::from(n) << 120 | (table as u128) << 96 | 1 << 100)
}

fn any<T: Row>(row: T) -> AnyRow {
    Arc::new(row).into_any()
}

fn datapath(tunnel_key: u32, is_switch: bool) -> DatapathBinding {
    let kind = if is_switch { "logical-switch" } else { "logical-router" };
    let external_ids: Pairs = [(kind.to_owned(), "x".to_owned())].into_iter().collect();
    DatapathBinding { tunnel_key, external_ids, ..DatapathBinding::default() }
}

fn endpoint(n: u8) -> Encap {
    let ip = if n == 3 { "2001:db8::3".to_owned() } else { format!("192.0.2.{n}") };
    let kind = if n == 2 { "vxlan" } else { "geneve" };
    Encap { chassis_name: "it".to_owned(), ip, kind: kind.to_owned(), ..Encap::default() }
}

/// Actions without the numbers that are given out in the order of need.
fn unnumbered(actions: &[Action]) -> Vec<Action> {
    let one = |action: &Action| match action {
        Action::Conjunction { clause, of, .. } => Action::Conjunction { id: 0, clause: *clause, of: *of },
        Action::Group(_) => Action::Group(0),
        Action::Meter(_) => Action::Meter(0),
        Action::Clone(inner) => Action::Clone(unnumbered(inner).into()),
        other => other.clone(),
    };
    let mut actions: Vec<Action> = actions.iter().map(one).collect();
    if matches!(actions.first(), Some(Action::Conjunction { .. })) {
        actions.sort_by_key(|action| format!("{action:?}"));
    }
    actions
}

type Flow = (u8, u16, u64, Match, Vec<Action>);

fn flow(flow: LoweredFlow) -> Flow {
    (flow.table, flow.priority, flow.cookie, flow.matcher(), flow.actions.to_vec())
}

/// All flows, as texts in order.
fn texts(flows: impl Iterator<Item = Flow>, numbered: bool) -> Vec<String> {
    let text = |(table, priority, cookie, mut matcher, mut actions): Flow| {
        if !numbered {
            if matcher.key.get(Field::ConjId) != 0 {
                matcher.key.set(Field::ConjId, 1);
            }
            actions = unnumbered(&actions);
        }
        format!("{table} {priority} {cookie:x} {matcher:?} {actions:?}")
    };
    let mut texts: Vec<String> = flows.map(text).collect();
    texts.sort();
    texts
}

/// Lowers these rows at once.
fn at_once(store: &Store, bindings: &Bindings, zones: Zones) -> Lowering {
    let mut transaction = Transaction::new();
    for table in Table::ALL {
        store.rows(*table).for_each(|(uuid, row)| transaction.put_any(uuid, row.clone()));
    }
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    let done = database.commit(transaction);
    assert!(done.is_ok(), "rows that were there are refused: {done:?}");
    let mut lowering = Lowering::new(Numbers::default(), zones);
    lowering.update(&cursor.poll(&database), bindings);
    lowering
}

/// See the module.
pub fn history(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    let mut rows = Transaction::new();
    for n in 0..4 {
        rows.put(uuid(Table::DatapathBinding, n), datapath(u32::from(n) + 1, n < 2));
    }
    for (n, name) in [(0, "me"), (1, "it"), (2, "that")] {
        let encaps = [uuid(Table::Encap, n)].into();
        rows.put(uuid(Table::Encap, n), Encap { ip: format!("192.0.2.{}", 7 + n), ..endpoint(0) });
        let uuid = if n == 0 { ME } else { uuid(Table::Chassis, n) };
        rows.put(uuid, Chassis { name: name.to_owned(), encaps, ..Chassis::default() });
    }
    let done = database.commit(rows);
    assert!(done.is_ok(), "the world does not begin: {done:?}");
    let mut bindings = Bindings { host: Host::named("me"), ports: BTreeMap::new() };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    let (stats, mut published) = (FlowStats::new(1), Tables::default());
    for _ in 0..1 + input.below(6) {
        for _ in 0..1 + input.below(16) {
            let mut edit = Transaction::new();
            let row = input.row();
            let uuid = input.uuid(row.table());
            match input.below(5) {
                0 => edit.delete(row.table(), uuid),
                _ => edit.put_any(uuid, row),
            }
            // What is refused is left out.
            let _ = database.commit(edit);
        }
        if input.below(2) == 0 {
            let first = u16::from(input.below(3));
            bindings.ports = input.some(&PORTS).into_iter().zip((1 + first..).map(PortNo)).collect();
        }
        let host = input.byte();
        bindings.host.chassis = if host % 10 == 9 { "it" } else { "me" }.to_owned();
        let tunnel =
            Tunnel { port: PortNo(40), mtu: (host & 64 != 0).then_some(1500), families: Families::default() };
        bindings.host.tunnel = (host & 128 == 0).then_some(tunnel);
        bindings.host.mappings =
            (host & 32 != 0).then(|| ("net".to_owned(), PortNo(50))).into_iter().collect();
        let changes = lowering.update(&cursor.poll(&database), &bindings);
        let mut batch = Batch::new(&published, &stats, Instant::now());
        assert_eq!(changes.apply(&mut batch), []);
        published = batch.commit().0;

        // The changes lead to the flows, and these are what the rows are at once.
        let there = published.iter().map(|flow| {
            (flow.table, flow.priority, flow.options.cookie, flow.matcher(), flow.actions.to_vec())
        });
        assert_eq!(texts(there, true), texts(lowering.flows().map(flow), true));
        let zones = Zones::restored(lowering.zones().iter());
        let anew = at_once(database.snapshot(), &bindings, zones);
        assert_eq!(texts(lowering.flows().map(flow), false), texts(anew.flows().map(flow), false));
        assert_eq!(lowering.groups().count(), anew.groups().count());
        assert_eq!(lowering.meters().count(), anew.meters().count());
        assert_eq!(lowering.troubles(), anew.troubles());
    }
}
