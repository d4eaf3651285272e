use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::logical::nb;
use crate::logical::rows::testing::{rows_of, shell_words};
use crate::logical::rows::{dump, text};

fn file(path: &str) -> String {
    let path = format!("{}/tests/data/ovn/nbctl/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn loaded() -> nb::Database {
    let mut database = nb::Database::default();
    let rows = nb::read_dump(&file("nb-dump.json")).unwrap().rows;
    database.commit(nb::Transaction::replacing(database.snapshot(), rows)).unwrap();
    database
}

/// What a line prints and makes of the rows.
fn done(database: &nb::Database, line: &str) -> Result<(String, nb::Changed), String> {
    let draft = database.draft();
    let (mut edit, mut symbols) = (draft.edit(), Symbols::default());
    let mut printed = String::new();
    for call in split(&shell_words(line)) {
        let answer = run(&mut edit, &mut symbols, &call).ok_or(format!("no command {}", call.name))?;
        printed += &answer.map_err(|error| error.to_string())?.to_string();
    }
    symbols.check().map_err(|error| error.to_string())?;
    let changed = draft.finish(edit).map_err(|refusal| refusal.to_string())?;
    Ok((printed, changed))
}

/// The same as `answers.txt` has it.
fn answer(database: &nb::Database, line: &str) -> Vec<String> {
    let (printed, changed) = match done(database, line) {
        Ok(done) => done,
        Err(sentence) => return vec![format!("! {sentence}")],
    };
    let before = rows_of(database.snapshot());
    let known: BTreeSet<String> = before.keys().map(|(_, uuid)| uuid.to_string()).collect();
    let masked = |text: &str| {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let uuid = rest.get(..36).filter(|uuid| uuid.parse::<Uuid>().is_ok());
            let unknown = uuid.filter(|uuid| !known.contains(*uuid) && !uuid.starts_with("00000"));
            out.push(if unknown.is_some() { '#' } else { first });
            rest = &rest[if unknown.is_some() { 36 } else { first.len_utf8() }..];
        }
        out
    };
    let printed = printed.lines().map(|line| masked(&format!("> {line}")).trim_end().to_owned());
    let mut lines = BTreeSet::new();
    let mut twice = Vec::new();
    let mut say = |line: String| {
        if !lines.insert(masked(&line)) {
            twice.push(masked(&line));
        }
    };
    for (table, uuid, row) in changed.rows() {
        let name = format!("{} {uuid}", table.def().name);
        let old = before.get(&(table, uuid)).cloned();
        match (&old, row) {
            (_, None) => say(format!("- {name}")),
            (None, Some(_)) => say(format!("+ {name}")),
            _ => {}
        }
        let Some(row) = row else { continue };
        let old = old.unwrap_or_else(|| table.empty_row());
        for (at, column) in table.def().columns.iter().enumerate() {
            let value = row.get(at).unwrap();
            if old.get(at).unwrap() != value {
                say(format!("~ {name} {} {}", column.name, text::to_json(&value)));
            }
        }
    }
    let mut changes: Vec<String> = lines.into_iter().chain(twice).collect();
    changes.sort();
    printed.chain(changes).collect()
}

/// Where the tools of the recorded release differ from their manual, and from the releases before and after: what is there
/// is replaced, or not taken a second time. Nothing happens here.
const OTHERWISE: &[&str] = &[
    "add Logical_Switch_Port p1 options a=9",
    "add Logical_Switch_Port p1 name p1",
    "add QoS 0000 action dscp=5",
];

#[test]
fn answers_are_those_of_the_original() {
    let database = loaded();
    let answers = file("answers.txt");
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in answers.lines() {
        match (line.strip_prefix("$ "), blocks.last_mut()) {
            (Some(command), _) => blocks.push((command, Vec::new())),
            (None, Some((_, expected))) => expected.push(line),
            (None, None) => panic!("{line}"),
        }
    }
    let mut refused = 0;
    let mut wrong = Vec::new();
    for (line, expected) in &blocks {
        let own = answer(&database, line);
        let is_refused = expected.iter().any(|line| line.starts_with("! "));
        refused += usize::from(is_refused);
        let is_right = if OTHERWISE.contains(line) {
            own.is_empty() && !expected.is_empty()
        } else if is_refused {
            own.first().is_some_and(|line| line.starts_with("! "))
        } else {
            own == *expected
        };
        if !is_right {
            wrong.push(format!("$ {line}\n{}\nbut the original:\n{}", own.join("\n"), expected.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), blocks.len(), wrong.join("\n"));
    assert_eq!((blocks.len(), refused), (428, 190));
}

#[rstest]
#[case(
    "set ACL web action=pass",
    "column action: \"pass\" is not allowed; write one of allow, allow-related, allow-stateless, drop, reject"
)]
#[case("set ACL web priority=99999", "column priority: 99999 is out of range; it may be from 0 to 32767")]
#[case(
    "set Logical_Switch sw0 name",
    "name: there is no \"=\" followed by a value; write COLUMN=VALUE or COLUMN:KEY=VALUE"
)]
#[case(
    "set Logical_Switch sw0 _uuid=x",
    "Logical_Switch does not contain a column _uuid that could be changed; a row keeps its name"
)]
#[case(
    "set Logical_Switch sw0 ports=p1",
    "column ports: \"p1\" is not a UUID; write 8-4-4-4-12 hexadecimal digits, such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
)]
#[case(
    "set Logical_Switch nowhere name=x",
    "no row \"nowhere\" in table Logical_Switch; `list Logical_Switch` shows the rows"
)]
#[case("set Logical_Switch sw0", "set takes 3 arguments or more and there are 2; add what is missing")]
#[case("--all set Logical_Switch sw0 name=x", "set has no option --all; it takes --if-exists")]
#[case("--id create Logical_Switch name=x", "option --id needs a value; write --id=VALUE")]
#[case(
    "--if-exists=1 set Logical_Switch sw0 name=x",
    "option --if-exists takes no value; leave everything behind its name out"
)]
#[case(
    "--if-exists --if-exists set Logical_Switch sw0 name=x",
    "option --if-exists is there twice; leave one out"
)]
#[case("--id=p create ACL name=x", "row id \"p\" does not begin with \"@\"; write such as --id=@new")]
#[case(
    "add Port_Group pg0 ports @p",
    "row id \"@p\" is used but given to no row; add such as `-- --id=@p create …`"
)]
#[case("add Logical_Switch_Port p1 addresses []", "column addresses: [] is no value; name one at least")]
#[case(
    "add Logical_Switch_Port p1 tag 8",
    "add would put 2 values in column tag of table Logical_Switch_Port, which takes one; set it instead"
)]
#[case(
    "clear Meter m0 bands",
    "clear would leave column bands of table Meter empty, and it needs a value; set it instead"
)]
#[case("--all destroy Logical_Switch sw0", "--all and naming records exclude each other; leave one out")]
#[case(
    "--id=00000010-0000-4000-8000-000000000010 create Logical_Switch name=x",
    "table Logical_Switch has or had a row 00000010-0000-4000-8000-000000000010; choose another UUID for the new one"
)]
fn refusals_name_the_mend(#[case] line: &str, #[case] sentence: &str) {
    assert_eq!(done(&loaded(), line).err().unwrap(), sentence);
}

#[test]
fn a_row_that_is_gone_leaves_its_name_to_no_other() {
    let line = "destroy Logical_Switch sw0 -- --id=00000010-0000-4000-8000-000000000010 create Logical_Switch name=x";
    assert!(done(&loaded(), line).err().unwrap().starts_with("table Logical_Switch has or had a row"));
}

#[test]
fn words_become_calls() {
    let calls = split(&shell_words("-- --id=@x --if-exists get A b -- -- list C --not-one d -- --only"));
    let option = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].options, [option("--id", Some("@x")), option("--if-exists", None)]);
    assert_eq!((&*calls[0].name, calls[0].args.len()), ("get", 2));
    assert_eq!(calls[1].args, ["C", "--not-one", "d"]);
    assert_eq!((&*calls[2].name, calls[2].has("--only")), ("", true));
    let mut call = calls[0].clone();
    assert_eq!(call.take("--id"), Some(Some("@x".to_owned())));
    assert_eq!(call.take("--id"), None);
}

#[test]
fn the_southbound_rows_can_be_changed_too() {
    let text =
        std::fs::read_to_string(format!("{}/tests/data/ovn/s2-l3/sb-dump.json", env!("CARGO_MANIFEST_DIR")));
    let mut database = crate::logical::rows::Database::default();
    let rows = dump::read(&text.unwrap()).unwrap();
    database.commit(crate::logical::rows::Transaction::replacing(database.snapshot(), rows)).unwrap();
    let mut edit = database.draft().edit();
    let (mut symbols, words) =
        (Symbols::default(), shell_words("set Datapath_Binding network1 external_ids:x=y"));
    run(&mut edit, &mut symbols, &split(&words)[0]).unwrap().unwrap();
    assert_eq!(edit.rows().datapath("network1").unwrap().1.external_ids["x"], "y");
}

#[test]
fn a_backslash_takes_away_the_meaning_of_a_character() {
    let token = |text| text::token(text).map(|(word, rest)| (word.into_owned(), rest.to_owned()));
    for (text, word, rest) in [
        ("a:b=c", "a", ":b=c"),
        (r"a\:b=c", "a:b", "=c"),
        (r"a\\b\ c d", r"a\b c", " d"),
        (r#""a:\"b":c"#, r#""a:\"b""#, ":c"),
        (r#"a"b:c"d"#, r#"a"b:c"d"#, ""),
        (r#"\"a"#, r#""a"#, ""),
        ("", "", ""),
    ] {
        assert_eq!(token(text), Ok((word.to_owned(), rest.to_owned())), "{text}");
    }
    assert_eq!(
        token(r"a\").unwrap_err().to_string(),
        r#""a\" ends in a backslash, which belongs before another character; write two for one"#
    );
    assert!(token(r#""a\""#).is_err());
}

proptest! {
    /// Any words on any row: nobody panics, and what is done keeps the rules.
    #[test]
    fn no_words_panic(
        command in prop::sample::select(vec!["set", "add", "remove", "clear", "create", "destroy", "get", "find", "list"]),
        table in prop::sample::select(vec!["Logical_Switch_Port", "Logical_Switch", "QoS", "ACL", "x"]),
        record in prop::sample::select(vec!["p1", "sw0", "web", "0000", "."]),
        words in prop::collection::vec("(name|tag|options|action|ports|acls|addresses)?(:|=|,|\\[|\\]|\\{|\\}|\"|@p|7|a){0,5}", 0..3),
    ) {
        let database = loaded();
        let draft = database.draft();
        let (mut edit, mut symbols) = (draft.edit(), Symbols::default());
        let args = if command == "create" { vec![table.to_owned()] } else { vec![table.to_owned(), record.to_owned()] };
        let args = args.into_iter().chain(words).collect();
        let call = Call { options: Vec::new(), name: command.to_owned(), args };
        let answer = run(&mut edit, &mut symbols, &call).unwrap();
        if answer.is_err() {
            prop_assert!(command == "destroy" || edit.transaction().is_empty());
        } else {
            let _ = draft.finish(edit).map_err(|refusal| refusal.to_string());
        }
    }
}
