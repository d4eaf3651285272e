//! What makes a port the one that it was, which decides whether it keeps its key and where it is.

use super::super::Keys;
use super::support::Network;
use crate::logical::nb::nbctl::{Done, Line};
use crate::logical::rows::tables::{Chassis, Encap, MacBinding};
use crate::logical::rows::{Table, Transaction, Uuid};

impl Network {
    /// Does a line of commands.
    fn run(&mut self, words: &str) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let draft = self.northbound.draft();
        let Done { edit, created, .. } = Line::parse(&words).unwrap().run(draft.edit()).unwrap();
        self.commit(edit.transaction(), &created);
    }

    fn key(&self, port: &str) -> u16 {
        self.port(port).tunnel_key
    }
}

const CHASSIS: Uuid = Uuid(1);

/// A switch with three ports, of which the first is on a chassis and knows a neighbour.
fn network() -> Network {
    let mut network = Network::new(Keys::default());
    network.run("ls-add s -- lsp-add s a -- lsp-add s b -- lsp-add s c");
    let mut rows = Transaction::new();
    let encap = Uuid(2);
    rows.put(encap, Encap { kind: "geneve".to_owned(), ..Default::default() });
    rows.put(CHASSIS, Chassis { name: "hv".to_owned(), encaps: [encap].into(), ..Default::default() });
    let (uuid, mut port) =
        network.southbound.snapshot().port("a").map(|(uuid, row)| (uuid, (**row).clone())).unwrap();
    let learned = MacBinding { datapath: port.datapath, logical_port: "a".to_owned(), ..Default::default() };
    (port.chassis, port.up) = (Some(CHASSIS), Some(true));
    rows.put(uuid, port);
    rows.put(Uuid(3), learned);
    network.southbound.commit(rows).unwrap();
    network
}

#[test]
fn one_that_gets_another_name_is_a_new_one() {
    let mut network = network();
    network.run("set Logical_Switch_Port a name=d");
    let port = network.port("d");
    assert_eq!((port.tunnel_key, port.chassis, port.up), (4, None, Some(false)));
    assert_eq!(network.southbound.snapshot().len(Table::MacBinding), 0);
    // The highest key is free again as soon as it is given up.
    network.run("set Logical_Switch_Port d name=e");
    assert_eq!(network.key("e"), 4);
}

#[test]
fn one_that_gets_the_name_of_another_takes_its_place() {
    let mut network = network();
    network.run("lsp-del a -- lsp-add s a");
    let port = network.port("a");
    assert_eq!((port.tunnel_key, port.chassis, port.up), (1, Some(CHASSIS), Some(true)));
    network.run("set Logical_Switch_Port a name=x -- set Logical_Switch_Port b name=a -- set Logical_Switch_Port x name=b");
    let ports = ["a", "b"].map(|name| network.port(name));
    assert_eq!(ports.each_ref().map(|port| port.tunnel_key), [1, 2]);
    assert_eq!(ports.each_ref().map(|port| port.chassis), [Some(CHASSIS), None]);
    // In another switch there is nothing to take.
    network.run("ls-add t -- lsp-del a -- lsp-add t a");
    let port = network.port("a");
    assert_eq!((port.tunnel_key, port.chassis), (1, None));
    assert_eq!(network.rows(), network.anew_with_chassis().rows());
}

#[test]
fn one_that_becomes_another_kind_of_thing_is_a_new_one() {
    let mut network = network();
    network.run("lsp-set-type a virtual");
    assert_eq!((network.key("a"), network.port("a").chassis), (4, None));
    network.run("lsp-set-type a localport");
    assert_eq!(network.key("a"), 4);
    network.run("set Logical_Switch_Port b parent_name=c");
    assert_eq!(network.key("b"), 5);
    network.run("lsp-set-type c localport");
    assert_eq!(network.key("c"), 3);
}

impl Network {
    /// The same rows compiled from nothing, beside the same chassis.
    fn anew_with_chassis(&self) -> Network {
        let mut anew = self.anew();
        let mut rows = Transaction::new();
        for table in [Table::Chassis, Table::Encap] {
            for (uuid, row) in self.southbound.snapshot().rows(table) {
                rows.put_any(uuid, row.clone());
            }
        }
        anew.southbound.commit(rows).unwrap();
        anew
    }
}
