//! What a change costs: how many units are looked at again.

use super::super::Keys;
use super::support::Network;
use crate::logical::nb::tables::{Acl, LogicalSwitch, LogicalSwitchPort, NbGlobal, PortGroup};
use crate::logical::nb::{Transaction, Uuid};
use crate::logical::rows::tables::LogicalDpGroup;
use crate::logical::rows::{Table, What};

const PORTS: u128 = 1000;
const SWITCH: Uuid = Uuid(1 << 96);
const GROUP: Uuid = Uuid(2 << 96);
const ACL: Uuid = Uuid(3 << 96);

fn port(number: u128) -> (Uuid, LogicalSwitchPort) {
    let name = format!("p{number}");
    let addresses = [format!(
        "02:00:00:00:{:02x}:{:02x} 10.0.{}.{}",
        number >> 8,
        number & 255,
        number >> 8,
        number & 255
    )];
    (Uuid(number << 96 | 1), LogicalSwitchPort { name, addresses: addresses.into(), ..Default::default() })
}

/// A switch with many ports, half of them in a group with a rule.
fn large() -> Network {
    let mut network = Network::new(Keys::default());
    let mut rows = Transaction::new();
    let ports: Vec<Uuid> = (0..PORTS).map(|number| port(number).0).collect();
    (0..PORTS).map(port).for_each(|(uuid, row)| rows.put(uuid, row));
    rows.put(SWITCH, LogicalSwitch { ports: ports.iter().copied().collect(), ..Default::default() });
    let members = ports.into_iter().take(PORTS as usize / 2).collect();
    let group = PortGroup { name: "g".to_owned(), ports: members, acls: [ACL].into(), ..Default::default() };
    rows.put(GROUP, group);
    let (action, direction) = ("allow-related".to_owned(), "from-lport".to_owned());
    rows.put(ACL, Acl { action, direction, matches: "inport == @g".to_owned(), ..Default::default() });
    rows.put(Uuid(4 << 96), NbGlobal::default());
    network.commit(rows, &[]);
    network
}

#[test]
fn a_port_concerns_itself_and_its_switch() {
    let mut network = large();
    assert!(network.compiler.looked_at() > 3 * PORTS as usize);
    let flows = network.southbound.snapshot().len(crate::logical::rows::Table::LogicalFlow);
    let (uuid, row) = port(PORTS);
    network.edit(|edit| {
        edit.put(uuid, row);
        edit.update(SWITCH, |switch: &mut LogicalSwitch| {
            switch.ports.insert(uuid);
        });
    });
    // Of the port, and those of the switch and its rule that ask which ports there are.
    assert!(network.compiler.looked_at() <= 8, "{}", network.compiler.looked_at());
    assert_eq!(network.southbound.snapshot().len(crate::logical::rows::Table::LogicalFlow), flows + 3);
    network.edit(|edit| {
        edit.update(GROUP, |group: &mut PortGroup| {
            group.ports.insert(uuid);
        });
    });
    assert!(network.compiler.looked_at() <= 10, "{}", network.compiler.looked_at());
    network.edit(|edit| {
        edit.update(uuid, |port: &mut LogicalSwitchPort| port.up = Some(true));
    });
    assert!(network.compiler.looked_at() <= 3, "{}", network.compiler.looked_at());
    network.edit(|edit| {
        edit.update(SWITCH, |switch: &mut LogicalSwitch| {
            switch.ports.remove(&uuid);
        });
    });
    assert!(network.compiler.looked_at() <= 10, "{}", network.compiler.looked_at());
    assert_eq!(network.southbound.snapshot().len(crate::logical::rows::Table::LogicalFlow), flows);
}

#[test]
fn the_number_of_the_configuration_concerns_one_row() {
    let mut network = large();
    network.edit(|edit| {
        edit.update(Uuid(4 << 96), |global: &mut NbGlobal| global.nb_cfg = 7);
    });
    assert!(network.compiler.looked_at() <= 2, "{}", network.compiler.looked_at());
}

#[test]
fn a_setting_of_the_switch_concerns_all() {
    let mut network = large();
    network.edit(|edit| {
        edit.update(SWITCH, |switch: &mut LogicalSwitch| {
            switch.other_config.insert("vlan-passthru".to_owned(), "true".to_owned());
        });
    });
    assert!(network.compiler.looked_at() >= PORTS as usize);
    let row = network.port("p7");
    assert_eq!(row.options.get("vlan-passthru").map(String::as_str), Some("true"));
}

/// Switches with two ports each, all of them in a group with a rule, and the first without.
fn wide(switches: u128) -> Network {
    let mut network = Network::new(Keys::default());
    let mut rows = Transaction::new();
    let mut members = std::collections::BTreeSet::new();
    for n in 0..switches {
        let ports = [port(2 * n), port(2 * n + 1)];
        let names: Vec<Uuid> = ports.iter().map(|(uuid, _)| *uuid).collect();
        ports.into_iter().for_each(|(uuid, row)| rows.put(uuid, row));
        rows.put(
            Uuid(n << 96 | 2),
            LogicalSwitch { ports: names.iter().copied().collect(), ..Default::default() },
        );
        members.extend(names.into_iter().filter(|_| n > 0));
    }
    rows.put(
        GROUP,
        PortGroup { name: "g".to_owned(), ports: members, acls: [ACL].into(), ..Default::default() },
    );
    let (action, direction) = ("allow".to_owned(), "from-lport".to_owned());
    rows.put(ACL, Acl { action, direction, matches: "inport == @g".to_owned(), ..Default::default() });
    rows.put(Uuid(4 << 96), NbGlobal::default());
    network.commit(rows, &[]);
    network
}

#[test]
fn a_switch_more_is_in_the_groups_of_datapaths_and_no_other_row_changes() {
    const SWITCHES: u128 = 100;
    let mut network = wide(SWITCHES);
    let shared = network.southbound.snapshot().len(Table::LogicalFlow);
    let groups = network.southbound.snapshot().len(Table::LogicalDpGroup);
    assert!(shared > 60 && groups > 1, "{shared} {groups}");
    let mut cursor = network.southbound.subscribe();
    let (uuid, row) = port(2 * SWITCHES);
    let (switch, ports) = (Uuid(SWITCHES << 96 | 2), [uuid].into());
    network.edit(|edit| {
        edit.put(uuid, row);
        edit.put(switch, LogicalSwitch { ports, ..Default::default() });
        edit.update(GROUP, |group: &mut PortGroup| _ = group.ports.insert(uuid));
    });
    let changes = cursor.poll(&network.southbound).changes;
    let of = |table: Table, is_new: bool| {
        let rows = changes.iter().filter(|change| change.table == table);
        rows.filter(|change| (change.what == What::Inserted) == is_new).count()
    };
    assert_eq!((of(Table::LogicalFlow, false), of(Table::LogicalDpGroup, true)), (0, 0), "{changes:?}");
    assert!(of(Table::LogicalFlow, true) < 12, "{changes:?}");
    assert!(of(Table::LogicalDpGroup, false) <= groups);
    // All of it goes again as it came, and groups are what they are from nothing.
    assert_eq!(network.rows(), network.anew().rows());
    network.edit(|edit| edit.delete(crate::logical::nb::Table::LogicalSwitch, switch));
    assert_eq!(network.rows(), network.anew().rows());
    assert_eq!(network.southbound.snapshot().len(Table::LogicalFlow), shared);
}

#[test]
fn groups_of_datapaths_split_and_join() {
    let mut network = wide(5);
    let sizes = |network: &Network| {
        let mut sizes: Vec<usize> = network
            .southbound
            .snapshot()
            .iter::<LogicalDpGroup>()
            .map(|(_, group)| group.datapaths.len())
            .collect();
        sizes.sort_unstable();
        sizes
    };
    let at_first = (sizes(&network), network.rows());
    // One switch after the other has no port in the group any more, and has one again.
    let ports: Vec<Uuid> = (2..10).map(|number| port(number).0).collect();
    for pair in ports.chunks(2) {
        network.edit(|edit| {
            edit.update(GROUP, |group: &mut PortGroup| {
                pair.iter().for_each(|port| _ = group.ports.remove(port))
            });
        });
        assert_eq!(network.rows(), network.anew().rows());
    }
    assert_ne!(sizes(&network), at_first.0);
    for port in ports.iter().rev() {
        network.edit(|edit| {
            edit.update(GROUP, |group: &mut PortGroup| _ = group.ports.insert(*port));
        });
        assert_eq!(network.rows(), network.anew().rows());
    }
    assert_eq!((sizes(&network), network.rows()), at_first);
}
