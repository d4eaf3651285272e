//! Sets whose members come and go.

use super::*;

#[test]
fn a_member_of_a_set_costs_a_flow_of_each_rule_that_names_it() {
    let mut rows = beginning();
    let addresses = |n: u32| (0..n).map(|n| format!("10.0.{}.{}", n >> 8, n & 255)).collect();
    for n in 0..20u8 {
        let matches = match n {
            0..10 => format!("ip4.src == $many && tcp.dst == {n}"),
            _ => format!("ip4.src == $many && tcp.dst == {{1, 2, {n}}}"),
        };
        let flow = LogicalFlow {
            matches,
            actions: "next;".to_owned(),
            logical_datapath: Some(uuid(Table::DatapathBinding, 0)),
            ..LogicalFlow::default()
        };
        rows.put(uuid(Table::LogicalFlow, n), flow);
    }
    let port = PortBinding {
        logical_port: "a".to_owned(),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 1,
        ..PortBinding::default()
    };
    rows.put(uuid(Table::PortBinding, 0), port);
    rows.put(
        uuid(Table::AddressSet, 9),
        tables::AddressSet { name: "many".to_owned(), addresses: addresses(1000) },
    );
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(rows).unwrap();
    let ports = BTreeMap::from([("a".to_owned(), PortNo(1))]);
    let bindings = Bindings { host: Host::named("me"), ports };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    lowering.update(&cursor.poll(&database), &bindings);
    let before = (lowering.len(), lowering.work);
    // The plain ones differ by their port; all conjunctive ones share the flow of an address.
    for (members, changes, grown) in [(1001, 11, 20), (1000, 11, 40)] {
        let mut rows = Transaction::new();
        let set = tables::AddressSet { name: "many".to_owned(), addresses: addresses(members) };
        rows.put(uuid(Table::AddressSet, 9), set);
        database.commit(rows).unwrap();
        let changed = lowering.update(&cursor.poll(&database), &bindings);
        assert_eq!((changed.len(), lowering.work), (changes, (before.1.0, grown)));
    }
    assert_eq!(lowering.len(), before.0);
}

#[test]
fn what_another_part_of_a_match_wants_stays() {
    let mut rows = beginning();
    let set = |name: &str, addresses: &[&str]| tables::AddressSet {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
    };
    rows.put(uuid(Table::AddressSet, 0), set("other", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    rows.put(uuid(Table::AddressSet, 1), set("as", &["10.0.0.1", "10.0.0.2", "10.0.0.9"]));
    let mut database = Database::default();
    let mut cursor = database.subscribe_from_nothing();
    database.commit(rows).unwrap();
    let ports = BTreeMap::from([("always".to_owned(), PortNo(1))]);
    let bindings = Bindings { host: Host::named("me"), ports };
    let mut lowering = Lowering::new(Numbers::default(), Zones::default());
    lowering.update(&cursor.poll(&database), &bindings);
    let mut less = Transaction::new();
    less.put(uuid(Table::AddressSet, 1), set("as", &["10.0.0.2", "10.0.0.9"]));
    database.commit(less).unwrap();
    lowering.update(&cursor.poll(&database), &bindings);
    let mut anew = Lowering::new(Numbers::default(), Zones::restored(lowering.zones().iter()));
    anew.update(&from_nothing(database.snapshot()), &bindings);
    let (now, at_once) = (all_of(&lowering), all_of(&anew));
    assert_eq!(canonical(now.iter()), canonical(at_once.iter()));
}

#[test]
fn a_rule_whose_set_was_empty_knows_of_its_ports_once_it_is_not() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let number = any::<Index>().new_tree(&mut runner).unwrap().current();
    let step = |table, n, row| Step {
        edits: Vec::from([(table, uuid(table, n), Some(row))]),
        ports: Some(["a".to_owned()].into()),
        host: Host::named("me"),
        moves: Vec::new(),
        number,
    };
    let set = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        row(tables::AddressSet { name: "as".to_owned(), addresses })
    };
    let port = PortBinding {
        logical_port: "a".to_owned(),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 1,
        ..PortBinding::default()
    };
    let steps = [
        step(Table::AddressSet, 1, set(&[])),
        step(Table::AddressSet, 1, set(&["10.0.0.1"])),
        step(Table::PortBinding, 0, row(port)),
    ];
    follow(&steps);
}
