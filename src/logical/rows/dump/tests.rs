use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::logical::rows::tables::{DatapathBinding, LogicalDpGroup, LogicalFlow, PortBinding, Row};
use crate::logical::rows::{Database, Transaction, text};

/// What the real database held.
fn real(scenario: &str, file: &str) -> String {
    let path = format!("{}/tests/data/ovn/{scenario}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn loaded(text: &str) -> Database {
    let mut database = Database::default();
    let rows = read(text).unwrap();
    database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
    database
}

#[rstest]
fn every_value_of_a_real_dump_is_kept(#[values("s1-l2", "s2-l3", "s3-rich")] scenario: &str) {
    let text = real(scenario, "sb-dump.json");
    let database = loaded(&text);
    let mut tables = 0;
    for line in text.lines() {
        let dumped: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = dumped["caption"].as_str().unwrap().strip_suffix(" table").unwrap();
        let table = *Table::ALL.iter().find(|table| table.def().name == name).unwrap();
        let columns: Vec<&str> = table.def().columns.iter().map(|column| column.name).collect();
        let headings: Vec<&str> =
            dumped["headings"].as_array().unwrap().iter().map(|heading| heading.as_str().unwrap()).collect();
        assert_eq!(headings, [&["_uuid"], &columns[..]].concat(), "{name}");
        let data = dumped["data"].as_array().unwrap();
        assert_eq!(database.snapshot().len(table), data.len(), "{name}");
        for cells in data {
            let uuid = cells[0][1].as_str().unwrap().parse().unwrap();
            let row = database.snapshot().row(table, uuid).unwrap();
            for (at, cell) in cells.as_array().unwrap().iter().skip(1).enumerate() {
                assert_eq!(text::to_json(&row.get(at).unwrap()), *cell, "{name} {uuid} {}", columns[at]);
            }
        }
        tables += 1;
    }
    assert_eq!(tables, Table::ALL.len());
}

#[test]
fn groups_of_datapaths_stay_groups() {
    let database = loaded(&real("s3-rich", "sb-dump.json"));
    let store = database.snapshot();
    assert_eq!(store.len(LogicalDpGroup::TABLE), 4);
    let of_groups = store.iter::<LogicalFlow>().filter(|(_, flow)| flow.logical_dp_group.is_some()).count();
    assert!(of_groups > 0 && of_groups < store.len(LogicalFlow::TABLE));
    let (_, web) = store.port("web1").unwrap();
    assert_eq!(store.get::<DatapathBinding>(web.datapath).unwrap().external_ids["name"], "web");
    assert_eq!(store.iter::<PortBinding>().count(), 13);
}

/// A dump of one table.
fn dump(caption: &str, headings: &str, data: &str) -> String {
    format!(r#"{{"caption":"{caption}","headings":{headings},"data":{data}}}"#)
}

const ROW: &str = r#"["uuid","11111111-1111-1111-1111-111111111111"]"#;

#[test]
fn what_is_unknown_is_skipped_and_what_is_missing_has_its_default() {
    let text = [
        dump("Flying_Carpet table", "[1]", "true").replace("[1]", "[\"_uuid\"]").replace("true", "[]"),
        dump(
            "Datapath_Binding table",
            r#"["weight","tunnel_key","_uuid","shape"]"#,
            &format!(r#"[[1.5,7,{ROW},{{"a":[]}}]]"#),
        ),
    ]
    .join("\n");
    let rows = read(&text).unwrap();
    let row = DatapathBinding { tunnel_key: 7, ..DatapathBinding::default() };
    assert_eq!(rows, [(Uuid(0x11111111_1111_1111_1111_111111111111), std::sync::Arc::new(row).into_any())]);
}

#[rstest]
#[case("", "there is no table of a Southbound database in the dump; load one of OVN_Southbound")]
#[case(
    "ovn",
    "not a dump as `ovsdb-client --format=json dump` writes it: expected value at line 1 column 1; write one with `ovsdb-client --format=json dump SERVER OVN_Southbound`"
)]
#[case(
    r#"{"caption":"NB_Global table","headings":["_uuid"],"data":[]}"#,
    "this is a dump of a Northbound database; load one of OVN_Southbound"
)]
#[case(
    r#"{"caption":"Logical_Router table","headings":["_uuid"],"data":[]}"#,
    "there is no table of a Southbound database in the dump; load one of OVN_Southbound"
)]
#[case(
    r#"{"caption":"DNS table","headings":["records"],"data":[]}"#,
    "table DNS has no column _uuid; dump all columns"
)]
#[case(r#"{"caption":"DNS table","headings":["_uuid"],"data":[]}{"caption":"DNS table","headings":["_uuid"],"data":[]}"#, "table DNS is in the dump twice; load one dump at a time")]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid","records","records"],"data":[]}"#,
    "table DNS has two columns records; the dump is damaged"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid"],"data":[[]]}"#,
    "table DNS, row 1: 0 cells under 1 headings; the dump is damaged"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid"],"data":[[["uuid","1"]]]}"#,
    "table DNS, row 1: column _uuid: \"1\" is not a UUID; write 8-4-4-4-12 hexadecimal digits, such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid"],"data":[["x"]]}"#,
    "table DNS, row 1: column _uuid: a UUID is needed"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid","datapaths"],"data":[[ROW,["set",[["uuid","xyz"]]]]]}"#,
    "table DNS, row 1: column datapaths: \"xyz\" is not a UUID; write 8-4-4-4-12 hexadecimal digits, such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid","datapaths"],"data":[[ROW,null]]}"#,
    "table DNS, row 1: column datapaths: a set of UUIDs is needed"
)]
#[case(
    r#"{"caption":"Address_Set table","headings":["_uuid","addresses"],"data":[[ROW,["set",["a","b","a"]]]]}"#,
    "table Address_Set, row 1: column addresses: it holds a twice"
)]
#[case(
    r#"{"caption":"Port_Binding table","headings":["_uuid","tunnel_key"],"data":[[ROW,9223372036854775808]]}"#,
    "table Port_Binding, row 1: column tunnel_key: an integer is needed"
)]
#[case(
    r#"{"caption":"Port_Binding table","headings":["_uuid","tunnel_key"],"data":[[ROW,null]]}"#,
    "table Port_Binding, row 1: column tunnel_key: an integer is needed"
)]
#[case(
    r#"{"caption":"Port_Binding table","headings":["_uuid","tunnel_key"],"data":[[ROW,70000]]}"#,
    "table Port_Binding, row 1: column tunnel_key: 70000 is out of range; it may be from 1 to 32767"
)]
#[case(
    r#"{"caption":"Logical_Flow table","headings":["_uuid","table_id"],"data":[[ROW,-1]]}"#,
    "table Logical_Flow, row 1: column table_id: -1 is out of range; it may be from 0 to 32"
)]
#[case(
    "\u{feff}{}",
    "the dump begins with a byte-order mark, which JSON has not; remove its first three bytes"
)]
#[case(
    "17",
    "not a dump as `ovsdb-client --format=json dump` writes it: invalid type: integer `17`, expected a table of a dump, which is an object with caption, headings and data at line 1 column 2; write one with `ovsdb-client --format=json dump SERVER OVN_Southbound`"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid","records"],"data":[[ROW,["set",[]]]]}"#,
    "table DNS, row 1: column records: a map is needed"
)]
#[case(
    r#"{"caption":"DNS table","headings":["_uuid","records"],"data":[[ROW,["map",[["a","b"],["a","c"]]]]]}"#,
    "table DNS, row 1: column records: it holds a twice"
)]
#[case(
    r#"{"caption":"FDB table","headings":["_uuid","dp_key"],"data":[[ROW,1.5]]}"#,
    "table FDB, row 1: column dp_key: an integer is needed"
)]
#[case(
    r#"{"caption":"FDB table","headings":["_uuid","dp_key"],"data":[[ROW,99999999999]]}"#,
    "table FDB, row 1: column dp_key: 99999999999 is out of range; it may be from 1 to 16777215"
)]
#[case(
    r#"{"caption":"FDB table","headings":["_uuid","dp_key"],"data":[[ROW,["set",[1,2]]]]}"#,
    "table FDB, row 1: column dp_key: one value is needed, and there are 2"
)]
#[case(
    r#"{"caption":"FDB table","headings":["_uuid"],"data":[[ROW],[ROW]]}"#,
    "table FDB has row 11111111-1111-1111-1111-111111111111 twice; the dump is damaged"
)]
#[case(
    r#"{"caption":"Logical_Flow table","headings":["_uuid","pipeline"],"data":[[ROW,"both"]]}"#,
    "table Logical_Flow, row 1: column pipeline: \"both\" is not allowed; write one of egress, ingress"
)]
fn a_bad_dump_is_refused_with_the_place(#[case] text: &str, #[case] sentence: &str) {
    assert_eq!(read(&text.replace("ROW", ROW)).unwrap_err().to_string(), sentence);
}

#[test]
fn a_cut_dump_is_told_from_a_whole_one() {
    let text = real("s2-l3", "sb-dump.json");
    let lacks = |keep: &dyn Fn(&str) -> bool| {
        let lines: Vec<&str> = text.lines().filter(|line| keep(line)).collect();
        read_whole(&lines.join("\n")).unwrap().lacks()
    };
    let of = |line: &str, table: &str| line.contains(&format!("\"caption\":\"{table} table\""));
    assert_eq!(lacks(&|_| true), [""; 0]);
    // Another release.
    assert_eq!(lacks(&|line| !of(line, "Mirror") && !of(line, "Chassis_Template_Var")), [""; 0]);
    for table in ["SB_Global", "Port_Binding"] {
        assert_eq!(lacks(&|line| !of(line, table)), [table]);
    }
    let two = lacks(&|line| of(line, "SB_Global") || of(line, "Port_Binding"));
    assert_eq!(two.len(), Table::ALL.len() - 2);
}

#[test]
fn memory_is_bounded() {
    // A thousand values of three bytes each.
    let addresses: Vec<String> = (0..1000).map(|number| format!("\"{number}\"")).collect();
    let rows = format!("[[{ROW},[\"set\",[{}]]]]", addresses.join(","));
    let known = dump("Address_Set table", r#"["_uuid","addresses"]"#, &rows);
    assert!(read_within::<Table>(&known, 1010 * size_of::<Atom>()).is_ok());
    let refusal = read_within::<Table>(&known, 1000 * size_of::<Atom>()).unwrap_err();
    assert!(matches!(refusal, BadDump::TooLarge), "{refusal}");
    // Empty rows count too, by the columns that they have.
    let empty: Vec<String> =
        (0..100).map(|number| format!("[[\"uuid\",\"11111111-1111-1111-1111-{number:012}\"]]")).collect();
    let empty = dump("Port_Binding table", r#"["_uuid"]"#, &format!("[{}]", empty.join(",")));
    assert!(matches!(read_within::<Table>(&empty, 1000 * size_of::<Atom>()), Err(BadDump::TooLarge)));
    // What is unknown takes nothing.
    let unknown = known.replace("Address_Set", "Flying_Carpet") + &known.replace("addresses", "colours");
    assert_eq!(read_within::<Table>(&unknown, 10 * size_of::<Atom>()).unwrap().rows.len(), 1);
}

#[test]
fn what_a_dump_lacks_is_told_as_of_a_dump() {
    let table = |name: &str, headings: &str, rows: &str| {
        dump(&format!("{name} table"), headings, rows).replace("ROW", ROW)
    };
    let datapath = table("Datapath_Binding", r#"["_uuid","tunnel_key"]"#, "[[ROW,1]]");
    let port = table("Port_Binding", r#"["_uuid","datapath","tunnel_key"]"#, "[[ROW,ROW,1]]");
    let multicast = table("IP_Multicast", r#"["_uuid","datapath"]"#, "[[ROW,ROW]]");
    let globals = ["1", "2"].map(|digit| format!("[{}]", ROW.replace('1', digit)));
    let globals = table("SB_Global", r#"["_uuid"]"#, &format!("[{}]", globals.join(",")));
    let unfit = |database: &Database, text: &str| {
        let transaction = Transaction::replacing(database.snapshot(), read(text).unwrap());
        Unfit(database.draft().prepare(transaction).err().unwrap()).to_string()
    };
    let row = "11111111-1111-1111-1111-111111111111";
    let whole = "; load a dump of the whole database";
    let (empty, full) = (Database::default(), loaded(&format!("{datapath}{port}")));
    let missing = format!(
        "Port_Binding row {row}: column datapath names Datapath_Binding row {row}, which is not in the dump{whole}"
    );
    assert_eq!(unfit(&empty, &port), missing);
    let named =
        format!("Port_Binding row {row} names Datapath_Binding row {row}, which is not in the dump{whole}");
    assert_eq!(unfit(&full, &port), named);
    let bereft =
        format!("IP_Multicast row {row}: column datapath names a row that is not in the dump{whole}");
    assert_eq!(unfit(&empty, &multicast), bereft);
    assert_eq!(unfit(&empty, &globals), format!("SB_Global has 2 rows in the dump and may have 1{whole}"));
}

#[test]
fn nesting_is_bounded() {
    let deep = dump("DNS table", r#"["_uuid"]"#, &"[".repeat(100_000));
    assert!(matches!(read(&deep), Err(BadDump::Form(..))));
}

/// A change of a text at a place: a piece goes, a piece comes from elsewhere, or another word stands there.
fn mutate(text: &str, mutations: &[(prop::sample::Index, prop::sample::Index, u8, usize)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, from, kind, length) in mutations {
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        match kind {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let from = from.index(bytes.len());
                let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => bytes[at] = b"[]{}\",:0-9eu\\"[from.index(13)],
            _ => {
                let words =
                    ["null", "-1", "1e99", "[\"set\",[]]", "[\"map\",[]]", "[\"uuid\",\"x\"]", "true", "{}"];
                bytes.splice(at..end, words[from.index(words.len())].bytes());
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #[test]
    fn a_damaged_dump_is_read_or_refused(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8, 1..12usize), 1..6),
    ) {
        let text = mutate(&real("s2-l3", "sb-dump.json"), &mutations);
        let mut database = Database::default();
        match read(&text) {
            Ok(rows) => {
                // What is consistent no more is refused as a whole.
                let done = database.commit(Transaction::replacing(database.snapshot(), rows));
                prop_assert!(done.is_ok() || database.snapshot().is_empty());
            }
            Err(bad) => prop_assert!(!bad.to_string().is_empty()),
        }
    }

    #[test]
    fn damaged_cells_are_read_or_refused(cells in prop::collection::vec(cell(3), 3)) {
        let text = dump("Datapath_Binding table", r#"["_uuid","external_ids","load_balancers","tunnel_key"]"#,
            &format!("[[{ROW},{}]]", cells.join(",")));
        if let Err(bad) = read(&text) {
            prop_assert!(!bad.to_string().is_empty());
        }
    }
}

/// Some JSON, often nearly a value of a column.
fn cell(depth: u32) -> BoxedStrategy<String> {
    let words = ["1", "-7", "2.5", "true", "null", "\"x\"", "\"set\"", "{\"a\":1}", ROW];
    let leaf = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(depth, 24, 4, |inner| {
        let list = prop::collection::vec(inner, 0..4).prop_map(|parts| format!("[{}]", parts.join(",")));
        prop_oneof![
            list.clone(),
            list.clone().prop_map(|list| format!("[\"set\",{list}]")),
            list.prop_map(|list| format!("[\"map\",{list}]")),
        ]
    })
    .boxed()
}
