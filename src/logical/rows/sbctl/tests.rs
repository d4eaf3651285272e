use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::logical::rows::datum::AtomKind;
use crate::logical::rows::tables::{DatapathBinding, LogicalFlow, PortBinding};
use crate::logical::rows::testing::shell_words;
use crate::logical::rows::{Database, Transaction, dump};

fn file(path: &str) -> String {
    let path = format!("{}/tests/data/ovn/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn loaded(path: &str) -> Database {
    let mut database = Database::default();
    let rows = dump::read(&file(path)).unwrap();
    database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
    database
}

fn words(line: &[&str]) -> Vec<String> {
    line.iter().map(|word| (*word).to_owned()).collect()
}

#[rstest]
fn flows_are_listed_as_the_original_lists_them(#[values("s1-l2", "s2-l3", "s3-rich")] scenario: &str) {
    let database = loaded(&format!("{scenario}/sb-dump.json"));
    let list = lflow_list(database.snapshot(), &[], false).unwrap();
    let expected = file(&format!("{scenario}/lflow-list.txt"));
    for (own, real) in list.to_string().lines().zip(expected.lines()) {
        assert_eq!(own, real);
    }
    assert_eq!(list.to_string().len(), expected.len());
    let json = serde_json::to_value(&list).unwrap();
    assert_eq!(
        json.as_array().unwrap().len(),
        expected.lines().filter(|line| line.starts_with("  ")).count()
    );
}

#[test]
fn flows_are_listed_by_datapath_and_by_the_beginning_of_their_uuids() {
    let database = loaded("s2-l3/sb-dump.json");
    let list = |line: &[&str], uuid| {
        lflow_list(database.snapshot(), &words(line), uuid).map(|list| list.to_string())
    };
    let real = file("s2-l3/lflow-list.txt");
    let of_router = real.find("Datapath: \"router1\"").map(|at| &real[at..]).unwrap();
    assert_eq!(list(&["router1"], false).unwrap(), of_router);
    assert_eq!(list(&["43dea2fb-65d5-4cee-8ba8-ef29eecdac64"], false).unwrap(), of_router);
    assert_eq!(list(&["43de"], false).unwrap(), of_router);
    let (datapath, _) = database.snapshot().datapath("network1").unwrap();
    let (uuid, flow) = database.snapshot().flows_of(datapath).next().unwrap();
    let cookie = format!("0x{:x}", uuid.first_word());
    let one = list(&[&cookie], true).unwrap();
    assert!(one.lines().all(|line| line.starts_with("Datapath: ")
        || line.starts_with(&format!("  uuid=0x{:08x}, table={:<2}(", uuid.first_word(), flow.table_id))));
    assert_eq!(list(&["network1", &cookie], true).unwrap().lines().count(), 2);
    assert!(matches!(list(&["network1", "router1"], false), Err(SbctlError::NotAFlow(_))));
    assert!(matches!(list(&["nowhere"], false), Err(SbctlError::NotAFlow(_))));
}

#[test]
fn names_that_are_uuids_may_be_cut_short() {
    let mut database = Database::default();
    let mut rows = Transaction::new();
    let switch = "98a9ec4f-22b8-431d-92cd-787b7b052132";
    let external_ids = [("logical-switch", switch), ("name", "web")];
    let external_ids = external_ids.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    rows.put(Uuid(1 << 96), DatapathBinding { tunnel_key: 1, external_ids, ..Default::default() });
    for (key, name) in (1..).zip(["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d-port"]) {
        let logical_port = name.to_owned();
        let row =
            PortBinding { datapath: Uuid(1 << 96), logical_port, tunnel_key: key, ..Default::default() };
        rows.put(Uuid(u128::from(key) << 100), row);
    }
    let flow = LogicalFlow { logical_datapath: Some(Uuid(1 << 96)), ..Default::default() };
    rows.put(Uuid(3 << 104), flow);
    database.commit(rows).unwrap();
    let store = database.snapshot();
    let key = |table: &str, word: &str| {
        let values = get(store, table, word, &words(&["tunnel_key"]), false);
        values.map(|values| values.to_string()).ok()
    };
    for word in ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "f81d4fae", "f81d"] {
        assert_eq!(key("Port_Binding", word).as_deref(), Some("1\n"), "{word}");
    }
    for word in ["f81", "F81D4FAE", "f81d4faf", "f81d-por"] {
        assert_eq!(key("Port_Binding", word), None, "{word}");
    }
    assert_eq!(key("Datapath_Binding", "98a9").as_deref(), Some("1\n"));
    let lines = |word: &str| lflow_list(store, &words(&[word]), false).unwrap().to_string().lines().count();
    assert_eq!((lines("98a9ec4f"), lines("98a9"), lines("98a8")), (2, 2, 0));
}

#[rstest]
#[case("tunnel_key=1,2", "one value is needed, and there are 2")]
#[case("tunnel_key=[]", "one value is needed, and there are 0")]
#[case("tunnel_key{in}[]", "one value is needed, and there are 0")]
#[case("tunnel_key{<=}1,2", "one value is needed, and there are 2")]
#[case("virtual_parent=a,b", "at most one value is needed, and there are 2")]
#[case("tunnel_key=40000", "40000 is out of range; it may be from 1 to 32767")]
#[case("tunnel_key<40000", "40000 is out of range; it may be from 1 to 32767")]
#[case("tunnel_key{in}1,40000", "40000 is out of range; it may be from 1 to 32767")]
#[case("tunnel_key{not-in}40000", "40000 is out of range; it may be from 1 to 32767")]
fn conditions_on_what_a_column_cannot_have_are_refused(#[case] word: &str, #[case] cause: &str) {
    let error = Condition::parse(Table::PortBinding, word).err().unwrap();
    assert_eq!(error.to_string(), format!("{word}: {cause}"));
}

#[test]
fn sentences_name_the_mend() {
    let condition = |word: &str| Condition::parse(Table::PortBinding, word).err().unwrap().to_string();
    assert_eq!(condition("mac=[a,b"), "mac=[a,b: ']' is missing at the end");
    let place = |word: &str| Place::parse(Table::PortBinding, word).err().unwrap().to_string();
    assert_eq!(place(":"), ":: missing column name; write such as external_ids or external_ids:name");
    assert!(place("type=3").ends_with("in argument; end it behind the name of the column or the key"));
    let none = list(Database::default().snapshot(), "Chassis", &[], Some(","), false).err().unwrap();
    assert!(none.to_string().ends_with("; write such as --columns=_uuid,external_ids"));
}

#[rstest]
#[case(Table::LogicalFlow, "pipeline=sideways", false)]
#[case(Table::LogicalFlow, "table_id=99", false)]
#[case(Table::LogicalFlow, "priority=70000", false)]
#[case(Table::LoadBalancer, "protocol=foo", false)]
#[case(Table::LoadBalancer, "protocol=[tcp,udp]", false)]
#[case(Table::Dns, "datapaths=[]", false)]
#[case(Table::PortBinding, "_uuid=[]", false)]
#[case(Table::PortBinding, "type=patch garbage", false)]
#[case(Table::LoadBalancer, "protocol=[]", true)]
#[case(Table::PortBinding, "chassis=[]", true)]
#[case(Table::PortBinding, "external_ids:name=a,b", true)]
#[case(Table::PortBinding, "external_ids:name{=}[]", true)]
#[case(Table::PortBinding, "tunnel_key{in}1,2", true)]
#[case(Table::PortBinding, "tunnel_key{not-in}1,2", true)]
#[case(Table::PortBinding, "mac=[]", true)]
fn conditions_are_checked_as_the_original_does(
    #[case] table: Table,
    #[case] word: &str,
    #[case] is_good: bool,
) {
    assert_eq!(Condition::parse(table, word).is_ok(), is_good);
}

/// What a line of `ovn-sbctl` prints, none if it fails.
fn answer(store: &crate::logical::rows::Store, line: &str) -> Option<String> {
    let (options, line): (Vec<String>, Vec<String>) =
        shell_words(line).into_iter().partition(|word| word.starts_with("--"));
    let (command, words) = line.split_first().unwrap();
    let mut style = Style::default();
    let mut columns = None;
    let (mut if_exists, mut with_uuid) = (false, false);
    for option in &options {
        match option.strip_prefix("--columns=") {
            Some(names) => columns = Some(names),
            None if option == "--if-exists" => if_exists = true,
            None if option == "--uuid" => with_uuid = true,
            None => assert!(style.take(option).unwrap(), "{option}"),
        }
    }
    match &**command {
        "show" => Some(show(store).to_string()),
        "list" => list(store, &words[0], &words[1..], columns, if_exists)
            .ok()
            .map(|rows| rows.styled(style).to_string()),
        "find" => {
            find(store, &words[0], &words[1..], columns).ok().map(|rows| rows.styled(style).to_string())
        }
        "get" => {
            get(store, &words[0], &words[1], &words[2..], if_exists).ok().map(|values| values.to_string())
        }
        "lflow-list" | "dump-flows" => lflow_list(store, words, with_uuid).ok().map(|list| list.to_string()),
        other => panic!("{other}"),
    }
}

/// The rows of an answer in an order of their own, since the original has none.
fn sorted(line: &str, answer: &str) -> Vec<String> {
    let between = if line.contains("--format=") { "\n" } else { "\n\n" };
    let mut rows: Vec<String> = answer.trim_end_matches('\n').split(between).map(str::to_owned).collect();
    rows.sort();
    rows
}

#[test]
fn answers_are_those_of_the_original() {
    let database = loaded("sbctl/sb-dump.json");
    let answers = file("sbctl/answers.txt");
    let mut commands = 0;
    for block in answers.split("$ ").skip(1) {
        let (line, expected) = block.split_once('\n').unwrap();
        let own = answer(database.snapshot(), line);
        if expected.starts_with("! ") {
            assert_eq!(own, None, "$ {line}\n{expected}");
        } else {
            let own = own.unwrap_or_else(|| panic!("$ {line}\n{expected}"));
            assert_eq!(own.len(), expected.len(), "$ {line}\n{own}");
            assert_eq!(sorted(line, &own), sorted(line, expected), "$ {line}");
        }
        commands += 1;
    }
    assert_eq!(commands, 184);
}

#[test]
fn without_headings_columns_are_as_wide_as_their_cells() {
    let database = loaded("s2-l3/sb-dump.json");
    let line = "--format=table --columns=tunnel_key,nat_addresses,type list Port_Binding";
    let rows = |line: &str| sorted(line, &answer(database.snapshot(), line).unwrap());
    assert_eq!(rows(&format!("--no-headings {line}"))[..2], ["1 [] \"\"", "1 [] \"\""]);
    assert!(rows(line).contains(&"1          []            \"\"".to_owned()), "{:?}", rows(line));
}

#[rstest]
#[case("Logical_Flow", Ok(Table::LogicalFlow))]
#[case("logical-flow", Ok(Table::LogicalFlow))]
#[case("chassis", Ok(Table::Chassis))]
#[case("CHASSIS_P", Ok(Table::ChassisPrivate))]
#[case("data", Ok(Table::DatapathBinding))]
#[case("dhcp", Err("DHCP_Options, DHCPv6_Options"))]
#[case("dhcp_o", Ok(Table::DhcpOptions))]
#[case("logical", Err("Logical_DP_Group, Logical_Flow"))]
#[case("", Err(""))]
#[case("x", Err(""))]
fn tables_are_known_by_the_beginnings_of_their_names(
    #[case] word: &str,
    #[case] expected: Result<Table, &str>,
) {
    match (table(word), expected) {
        (Ok(table), expected) => assert_eq!(Ok(table), expected),
        (Err(SbctlError::Tables(_, names)), expected) => assert_eq!(expected, Err(&*names)),
        (Err(error), expected) => {
            assert_eq!(expected, Err(""));
            assert!(matches!(error, SbctlError::NoTable(..)));
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let atom =
        || prop::sample::select(vec![AtomKind::Integer, AtomKind::Boolean, AtomKind::Text, AtomKind::Uuid]);
    let arity = prop::sample::select(vec![Arity::One, Arity::Optional, Arity::Many]);
    prop_oneof![
        (atom(), arity).prop_map(|(key, arity)| Kind { key, value: None, arity }),
        (atom(), atom()).prop_map(|(key, value)| Kind { key, value: Some(value), arity: Arity::Many }),
    ]
}

fn atom(kind: AtomKind) -> BoxedStrategy<Atom> {
    match kind {
        AtomKind::Integer => any::<i64>().prop_map(Atom::Integer).boxed(),
        AtomKind::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        AtomKind::Uuid => any::<u128>().prop_map(|uuid| Atom::Uuid(Uuid(uuid))).boxed(),
        AtomKind::Text => {
            let words = prop::sample::select(vec![
                "true", "false", "a-b.c", "_x", "7a", "a,b", "a b", "[]", "\"", "\\",
            ]);
            let uuid = any::<u128>().prop_map(|uuid| Uuid(uuid).to_string());
            prop_oneof![words.prop_map(str::to_owned), uuid, "[^\\x00]{0,8}"].prop_map(Atom::Text).boxed()
        }
    }
}

fn datum() -> impl Strategy<Value = (Kind, Datum)> {
    kind().prop_flat_map(|kind| {
        let count = match kind.arity {
            Arity::One => 1..=1usize,
            Arity::Optional => 0..=1,
            Arity::Many => 0..=4,
        };
        let datum = match kind.value {
            None => prop::collection::btree_set(atom(kind.key), count)
                .prop_map(|set| Datum::Set(set.into_iter().collect()))
                .boxed(),
            Some(value) => prop::collection::btree_map(atom(kind.key), atom(value), count)
                .prop_map(|map| Datum::Map(map.into_iter().collect()))
                .boxed(),
        };
        (Just(kind), datum)
    })
}

proptest! {
    #[test]
    fn values_are_read_back_as_they_were((kind, datum) in datum()) {
        let printed = text::print(&datum, kind);
        prop_assert_eq!(text::parse(&printed, kind), Ok(datum), "{}", printed);
    }

    #[test]
    fn no_text_panics(text in "[\"\\\\\\[\\]{}:=, a-z0-9é!<>-]{0,24}", kind in kind()) {
        let _ = text::parse(&text, kind);
        let _ = Condition::parse(Table::PortBinding, &format!("external_ids{text}"));
        let _ = Place::parse(Table::PortBinding, &text);
        let database = Database::default();
        let _ = lflow_list(database.snapshot(), std::slice::from_ref(&text), true);
        let _ = list(database.snapshot(), &text, std::slice::from_ref(&text), Some(&text), false);
    }
}
