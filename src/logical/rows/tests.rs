use std::net::IpAddr;

use proptest::prelude::*;

use super::cell::BadValue;
use super::tables::{
    Chassis, DatapathBinding, Fdb, IpMulticast, LogicalDpGroup, LogicalFlow, MacBinding, MulticastGroup,
    PortBinding, SbGlobal,
};
use super::testing::{check_declaration, follow, history, reasons, replace_all};
use super::*;
use crate::packet::Mac;

/// Everything that a store is asked, against looking at every row.
fn check_questions(store: &Store) {
    let uuids: Vec<Uuid> = (1..4u128).map(|number| Uuid(number << 96 | 0x1234)).collect();
    let names = ["a", "b", "c"];
    for datapath in &uuids {
        let groups: Vec<Uuid> = store.groups_of(*datapath).map(|(uuid, _)| uuid).collect();
        let held = store.iter::<LogicalDpGroup>().filter(|(_, group)| group.datapaths.contains(datapath));
        assert_eq!(groups, held.map(|(uuid, _)| uuid).collect::<Vec<_>>());
        let is_of = |flow: &LogicalFlow| {
            flow.logical_datapath == Some(*datapath)
                || flow.logical_dp_group.is_some_and(|group| groups.contains(&group))
        };
        let mut all: Vec<_> = store.flows_of(*datapath).map(|(uuid, _)| uuid).collect();
        all.sort();
        let naive: Vec<_> = store.iter::<LogicalFlow>().filter(|(_, flow)| is_of(flow)).collect();
        assert_eq!(all, naive.iter().map(|(uuid, _)| *uuid).collect::<Vec<_>>());
        for key in 0..4 {
            let found = store.port_by_key(*datapath, key).map(|(uuid, _)| uuid);
            let is_it = |port: &PortBinding| port.datapath == *datapath && port.tunnel_key == key;
            assert_eq!(found, store.iter().find(|(_, port)| is_it(port)).map(|(uuid, _)| uuid));
        }
        for key in [32_768, 32_769] {
            let found = store.multicast_group_by_key(*datapath, key).map(|(uuid, _)| uuid);
            let is_it = |group: &MulticastGroup| group.datapath == *datapath && group.tunnel_key == key;
            assert_eq!(found, store.iter().find(|(_, group)| is_it(group)).map(|(uuid, _)| uuid));
        }
        for name in names {
            let found = store.multicast_group(*datapath, name).map(|(uuid, _)| uuid);
            let is_it = |group: &MulticastGroup| group.datapath == *datapath && group.name == name;
            assert_eq!(found, store.iter().find(|(_, group)| is_it(group)).map(|(uuid, _)| uuid));
        }
    }
    for name in names {
        let found = store.port(name).map(|(uuid, _)| uuid);
        let naive = store.iter::<PortBinding>().find(|(_, port)| port.logical_port == name);
        assert_eq!(found, naive.map(|(uuid, _)| uuid));
        let found = store.chassis(name).map(|(uuid, _)| uuid);
        assert_eq!(found, store.iter::<Chassis>().find(|(_, row)| row.name == name).map(|(uuid, _)| uuid));
        for ip in ["10.0.0.1", "fd00::1", "10.0.0.2"] {
            let ip: IpAddr = ip.parse().unwrap();
            let found = store.mac_binding(name, ip).map(|(uuid, _)| uuid);
            let is_it = |row: &MacBinding| row.logical_port == name && row.ip.parse() == Ok(ip);
            assert_eq!(found, store.iter().find(|(_, row)| is_it(row)).map(|(uuid, _)| uuid));
        }
    }
    for key in 1..4 {
        let found = store.datapath_by_key(key).map(|(uuid, _)| uuid);
        let naive = store.iter::<DatapathBinding>().find(|(_, row)| row.tunnel_key == key);
        assert_eq!(found, naive.map(|(uuid, _)| uuid));
        let mac = Mac([2, 0, 0, 0, 0, 10]);
        let found = store.fdb(key, mac).map(|(uuid, _)| uuid);
        let is_it = |row: &Fdb| row.dp_key == key && row.mac.parse() == Ok(mac);
        assert_eq!(found, store.iter().find(|(_, row)| is_it(row)).map(|(uuid, _)| uuid));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

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
    let all = ["Bereft", "Missing", "NotUnique", "StillNamed", "TooMany", "Value"].map(str::to_owned);
    assert_eq!(reasons, all.into());
}

#[test]
fn the_declaration_is_in_order() {
    check_declaration::<Table>();
}

fn uuid(number: u128) -> Uuid {
    Uuid(number << 96)
}

fn datapath(key: u32, name: &str) -> DatapathBinding {
    let external_ids = [("name".to_owned(), name.to_owned())].into();
    DatapathBinding { tunnel_key: key, external_ids, ..DatapathBinding::default() }
}

#[test]
fn refusals_say_which_row_and_why() {
    let mut database = Database::default();
    let mut refuse = |put: &dyn Fn(&mut Transaction)| {
        let mut transaction = Transaction::new();
        put(&mut transaction);
        database.commit(transaction).unwrap_err().to_string()
    };
    let flow = |table_id| LogicalFlow { logical_datapath: Some(uuid(1)), table_id, ..LogicalFlow::default() };
    assert_eq!(
        refuse(&|txn| txn.put(uuid(7), flow(0))),
        "Logical_Flow row 00000007-0000-0000-0000-000000000000: column logical_datapath names Datapath_Binding row \
         00000001-0000-0000-0000-000000000000, which does not exist; add that row too"
    );
    assert_eq!(
        refuse(&|txn| {
            txn.put(uuid(1), datapath(1, "a"));
            txn.put(uuid(7), flow(40));
        }),
        "Logical_Flow row 00000007-0000-0000-0000-000000000000: column table_id: 40 is out of range; it may be from 0 \
         to 32"
    );
    assert_eq!(
        refuse(&|txn| {
            txn.put(uuid(1), datapath(1, "a"));
            txn.put(uuid(2), datapath(1, "b"));
        }),
        "Datapath_Binding rows 00000001-0000-0000-0000-000000000000 and 00000002-0000-0000-0000-000000000000 have \
         the same tunnel_key; no two rows may"
    );
    assert_eq!(
        refuse(&|txn| {
            txn.put(uuid(1), SbGlobal::default());
            txn.put(uuid(2), SbGlobal::default());
        }),
        "SB_Global would have 2 rows and may have 1; delete the others in the same transaction"
    );
    let mut transaction = Transaction::new();
    transaction.put(uuid(1), datapath(1, "a"));
    transaction.put(uuid(7), flow(0));
    database.commit(transaction).unwrap();
    let mut transaction = Transaction::new();
    transaction.delete(Table::DatapathBinding, uuid(1));
    assert_eq!(
        database.commit(transaction).unwrap_err().to_string(),
        "Datapath_Binding row 00000001-0000-0000-0000-000000000000 cannot be deleted: Logical_Flow row \
         00000007-0000-0000-0000-000000000000 names it; delete or change that row too"
    );
    let mut transaction = Transaction::new();
    transaction.put(uuid(2), datapath(2, "b"));
    transaction.put(uuid(9), IpMulticast { datapath: uuid(2), ..IpMulticast::default() });
    database.commit(transaction).unwrap();
    let mut transaction = Transaction::new();
    transaction.delete(Table::DatapathBinding, uuid(2));
    assert_eq!(
        database.commit(transaction).unwrap_err().to_string(),
        "IP_Multicast row 00000009-0000-0000-0000-000000000000: column datapath would name no row any more; delete \
         or change this row too"
    );
}

#[test]
fn names_may_be_swapped_in_one_transaction() {
    let mut database = Database::default();
    let mut transaction = Transaction::new();
    transaction.put(uuid(1), datapath(1, "a"));
    transaction.put(uuid(2), datapath(2, "b"));
    database.commit(transaction).unwrap();
    let mut transaction = Transaction::new();
    transaction.put(uuid(1), datapath(2, "a"));
    transaction.put(uuid(2), datapath(1, "b"));
    assert_eq!(database.commit(transaction), Ok(2));
    assert_eq!(database.snapshot().datapath_by_key(2).unwrap().0, uuid(1));
}

#[test]
fn datapaths_are_found_by_name_and_by_uuid() {
    let mut database = Database::default();
    let mut transaction = Transaction::new();
    let (one, two, three) = (Uuid(0xabcd_0001 << 96), Uuid(0xabcd_0002 << 96), Uuid(3 << 96));
    transaction.put(one, datapath(1, "net"));
    transaction.put(two, datapath(2, "net"));
    let mut row = datapath(3, "router");
    row.external_ids.insert("name2".to_owned(), "friendly".to_owned());
    transaction.put(three, row);
    database.commit(transaction).unwrap();
    let store = database.snapshot();
    let find = |text: &str| store.datapath(text).map(|(uuid, _)| uuid);
    assert_eq!(find("router"), Ok(three));
    assert_eq!(find("friendly"), Ok(three));
    assert_eq!(find("abcd0002"), Ok(two));
    assert_eq!(find("0xabcd0001"), Ok(one));
    assert_eq!(find(&two.to_string()), Ok(two));
    for unknown in ["", "nowhere", "friendl"] {
        assert!(matches!(find(unknown), Err(NoDatapath::Unknown(_))), "{unknown}");
    }
    assert_eq!(
        find("abcd").unwrap_err().to_string(),
        "\"abcd\" means 2 datapaths; give more of the UUID of one of them: abcd0001-0000-0000-0000-000000000000, \
         abcd0002-0000-0000-0000-000000000000"
    );
    assert!(matches!(find("net"), Err(NoDatapath::Ambiguous(..))));
}

#[test]
fn values_of_another_type_are_refused() {
    let mut row = Table::DatapathBinding.empty_row();
    let at = Table::DatapathBinding.column("tunnel_key").unwrap();
    let text = || Atom::Text("x".to_owned());
    assert_eq!(row.set(at, Datum::one(text())), Err(BadValue::Kind("an integer")));
    assert_eq!(row.set(at, Datum::Set(vec![])), Err(BadValue::Count("one value is", 0)));
    assert_eq!(row.set(at, Datum::one(Atom::Integer(-1))), Err(BadValue::Range(-1, 0, u32::MAX.into())));
    let at = Table::DatapathBinding.column("external_ids").unwrap();
    assert_eq!(row.set(at, Datum::one(text())), Err(BadValue::Kind("a map")));
    let twice = Datum::Map(vec![(text(), text()), (text(), text())]);
    assert_eq!(row.set(at, twice), Err(BadValue::Twice("x".to_owned())));
    assert_eq!(row, Table::DatapathBinding.empty_row(), "a value that is refused changes nothing");
}
