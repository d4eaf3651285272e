use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::logical::nb::{self, Database, Store, Table};
use crate::logical::rows::testing::shell_words;
use crate::logical::rows::{Atom, Datum, text};

fn file(path: &str) -> String {
    let path = format!("{}/tests/data/ovn/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a line wholly or not at all.
fn run(database: &mut Database, line: &str) -> Result<(String, Vec<Uuid>), String> {
    let line = Line::parse(&shell_words(line)).map_err(|error| error.to_string())?;
    let draft = database.draft();
    let Done { edit, created, printed } = line.run(draft.edit()).map_err(|error| error.to_string())?;
    let prepared = draft.finish(edit).map_err(|refusal| refusal.to_string())?;
    if !line.options.dry_run {
        database.accept(prepared).unwrap();
    }
    Ok((printed, created))
}

/// A row without anything that is not the same in every run: what it refers to is written instead of identifiers.
fn written(store: &Store, table: Table, uuid: Uuid, but: &[&str]) -> String {
    let Some(row) = store.row(table, uuid) else { return format!("no {table:?}") };
    let empty = table.empty_row();
    let mut out = format!("{}(", table.def().name);
    for (at, column) in table.def().columns.iter().enumerate() {
        let datum = row.get(at).unwrap();
        if empty.get(at).as_ref() == Some(&datum) || but.contains(&column.name) {
            continue;
        }
        let names = |atom: &Atom| match atom {
            Atom::Uuid(uuid) => {
                let target = Table::ALL.iter().find(|table| store.row(**table, *uuid).is_some());
                target.map_or_else(|| "gone".to_owned(), |target| named(store, *target, *uuid))
            }
            other => masked(&format!("{other:?}")),
        };
        let mut values: Vec<String> = match &datum {
            Datum::Set(set) => set.iter().map(names).collect(),
            Datum::Map(map) => map.iter().map(|(key, value)| format!("{key:?}={}", names(value))).collect(),
        };
        values.sort();
        out += &format!("{}={values:?} ", column.name);
    }
    out + ")"
}

/// A row by its name, or by what is in it.
fn named(store: &Store, table: Table, uuid: Uuid) -> String {
    let name = table.column("name").and_then(|at| store.row(table, uuid)?.get(at));
    match name.as_ref().and_then(|name| name.keys().next()) {
        Some(Atom::Text(name)) if !name.is_empty() => format!("{}:{}", table.def().name, masked(name)),
        _ => written(store, table, uuid, &[]),
    }
}

/// All rows, in an order that is the same in every run.
fn all(store: &Store, but: &[&str]) -> Vec<String> {
    let rows = Table::ALL.iter().flat_map(|table| store.rows(*table).map(|(uuid, _)| (*table, uuid)));
    let mut rows: Vec<String> = rows.map(|(table, uuid)| written(store, table, uuid, but)).collect();
    rows.sort();
    rows
}

fn loaded(dump: &str) -> Store {
    let mut database = Database::default();
    let rows = nb::read_dump(dump).unwrap().rows;
    database.commit(nb::Transaction::replacing(database.snapshot(), rows)).unwrap();
    database.snapshot().clone()
}

/// `{TABLE COLUMN VALUE}` becomes the identifier of a row.
fn placed(store: &Store, line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{') {
        out += before;
        let words =
            behind.split_once('}').map(|(place, rest)| (place.splitn(3, ' ').collect::<Vec<_>>(), rest));
        let words = words.as_ref().map(|(words, rest)| (&words[..], rest));
        let known = words.and_then(|(words, _)| Table::ALL.iter().find(|known| known.def().name == words[0]));
        let place = match (known, words) {
            (Some(table), Some(([_, column, value], behind))) => {
                table.column(column).map(|at| (table, at, value, behind))
            }
            _ => None,
        };
        let Some((table, at, value, behind)) = place else {
            out.push('{');
            rest = behind;
            continue;
        };
        let is_it = |row: &nb::AnyRow| text::print_bare(&row.get(at).unwrap()) == *value;
        let (uuid, _) = store.rows(*table).find(|(_, row)| is_it(row)).unwrap_or_else(|| panic!("{line}"));
        out += &uuid.to_string();
        rest = behind;
    }
    out + rest
}

fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_uuid = rest.get(..36).is_some_and(|word| word.parse::<Uuid>().is_ok());
        out += if is_uuid { "UUID" } else { &rest[..first.len_utf8()] };
        rest = &rest[if is_uuid { 36 } else { first.len_utf8() }..];
    }
    out
}

/// Whether the original prints in no certain order, or in that of identifiers.
fn is_unordered(line: &str) -> bool {
    let commands =
        ["show", "lsp-get-options", "dhcp-options-get-options", "copp-list", "ha-chassis-group-list"];
    let others = ["fwd-group-list", "list", "find", "lb-list", "lr-nat-list", "lr-lb-list", "ls-lb-list"];
    shell_words(line).iter().any(|word| commands.contains(&&word[..]) || others.contains(&&word[..]))
}

/// A printed line in which nothing depends on identifiers: chassis are shown in their order.
fn ordered(line: &str) -> String {
    let chassis = line.split_once("gateway chassis: [").and_then(|(_, names)| names.strip_suffix(']'));
    let Some(chassis) = chassis else { return line.to_owned() };
    let mut names: Vec<&str> = chassis.split(' ').collect();
    names.sort_unstable();
    format!("gateway chassis {names:?}")
}

/// Lines, and those that `--oneline` makes one of, in an order of their own.
fn sort_lines(text: &mut Vec<String>) {
    let mut lines: Vec<&str> =
        text.iter().flat_map(|line| line.trim_start_matches("> ").split("\\n")).collect();
    lines.sort_unstable();
    *text = lines.into_iter().map(str::to_owned).collect();
}

/// A line, what the original printed, and its tables behind it, as far as they are told.
struct Step<'a> {
    line: &'a str,
    printed: Vec<&'a str>,
    tables: Vec<&'a str>,
}

/// The lines of one database.
struct Group<'a> {
    name: &'a str,
    steps: Vec<Step<'a>>,
}

fn groups(answers: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for text in answers.split('\n') {
        if let Some(name) = text.strip_prefix("## ") {
            groups.push(Group { name, steps: Vec::new() });
            continue;
        }
        let steps = groups.last_mut().map(|group| &mut group.steps);
        match text.split_at_checked(1) {
            Some(("$", line)) => {
                let line = line.trim_start();
                steps.unwrap().push(Step { line, printed: Vec::new(), tables: Vec::new() });
            }
            Some(("=", table)) => steps.unwrap().last_mut().unwrap().tables.push(table.trim_start()),
            Some(_) => steps.unwrap().last_mut().unwrap().printed.push(text),
            None => {}
        }
    }
    groups
}

/// Whether the original may have left a word unread, since there was no row that it could be about. We read it, and refuse
/// it if it means nothing.
fn is_read_wholly(line: &str) -> bool {
    let words = shell_words(line);
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    has("--if-exists") && GENERIC.iter().any(|name| has(name)) || has("find")
}

/// Commands on tables and columns whose row may be missing.
const GENERIC: &[&str] = &["add", "clear", "get", "list", "remove", "set"];

/// How many lines there are, how many of them the original refused, and the first difference of each group.
fn differences(answers: &str) -> (usize, usize, Vec<String>) {
    let (mut count, mut refused, mut wrong) = (0, 0, Vec::new());
    for Group { name, steps } in groups(answers) {
        let mut database = Database::default();
        let mut tables: BTreeMap<&str, &str> = BTreeMap::new();
        let mut is_told = false;
        count += steps.len();
        refused += steps.iter().filter(|step| step.printed == ["!"]).count();
        let difference = steps.into_iter().find_map(|Step { line, printed, tables: told }| {
            let placed = placed(database.snapshot(), line);
            let answer = run(&mut database, &placed);
            let mut own: Vec<String> = match &answer {
                Ok((printed, _)) => {
                    let lines = printed.strip_suffix('\n').unwrap_or(printed).split('\n');
                    let lines = lines.filter(|_| !printed.is_empty());
                    lines.map(|text| format!("> {}", masked(text)).trim_end().to_owned()).collect()
                }
                Err(_) => vec!["!".to_owned()],
            };
            let mut expected: Vec<String> = printed.iter().map(|text| ordered(text)).collect();
            own.iter_mut().for_each(|text| *text = ordered(text));
            if is_unordered(line) {
                [&mut own, &mut expected].into_iter().for_each(sort_lines);
            }
            if own != expected {
                let is_deliberate = answer.is_err() && is_read_wholly(line) && expected != ["!"];
                let told = format!("{name}: {line}\n  {own:#?} {answer:?}\n  but: {expected:#?}\n");
                return Some(told).filter(|_| !is_deliberate).or(Some(String::new()));
            }
            let is_done = answer.is_ok_and(|(_, created)| !created.is_empty()) || !told.is_empty();
            is_told |= !told.is_empty();
            if !is_told || !is_done {
                return None;
            }
            tables.extend(told.iter().map(|table| (table.split_once(" table\"").unwrap().0, *table)));
            let dump: String = tables.values().map(|table| format!("{table}\n")).collect();
            let (own, expected) = (all(database.snapshot(), &[]), all(&loaded(&dump), &[]));
            let only = |some: &[String], others: &[String], whose: &str| -> String {
                let rows = some.iter().filter(|row| !others.contains(row));
                rows.map(|row| format!("  only {whose}: {row}\n")).collect()
            };
            let rows = only(&own, &expected, "ours") + &only(&expected, &own, "the original's");
            (own != expected).then(|| format!("{name}: {line}\n{rows}"))
        });
        // What comes behind a deliberate one is another story.
        wrong.extend(difference.filter(|difference| !difference.is_empty()));
    }
    (count, refused, wrong)
}

#[test]
fn answers_and_rows_are_those_of_the_original() {
    let (count, refused, wrong) = differences(&file("nbctl-lines/answers.txt"));
    assert!(wrong.is_empty(), "{}", wrong.concat());
    assert!(count > 850 && refused > 300 && refused < count / 2, "{count} lines, {refused} refused");
}

#[test]
fn all_commands_and_their_options_are_there() {
    let own = commands().map(|command| {
        let mut options = command.form.options.to_vec();
        options.sort_unstable();
        [&[command.form.name], &options[..]].concat().join(" ")
    });
    let mut own: Vec<String> = own.collect();
    own.sort_unstable();
    assert_eq!(own, file("nbctl-lines/commands.txt").lines().collect::<Vec<_>>());
}

/// Whatever is written, a sentence is short and means nothing to a terminal.
#[test]
fn sentences_quote_no_more_than_the_beginning() {
    let word = format!("\u{1b}[2J{}", "x".repeat(1 << 12));
    let (mut count, mut database) = (0, Database::default());
    for line in ["ls-add s -- lsp-add s p", "lr-add r -- lrp-add r a 0:0:0:0:0:1 10.0.0.1/24", "pg-add g p"] {
        run(&mut database, line).unwrap();
    }
    let names = ["s", "p", "r", "a", "g", "Logical_Switch", "name", "name=x", "to-lport", "1", "10.0.0.1"];
    for command in commands() {
        let least = command.form.least.max(1);
        for (at, name) in (0..=least).flat_map(|at| names.iter().map(move |name| (at, *name))) {
            let mut words = vec![command.form.name.to_owned()];
            words.extend((0..least).map(|_| name.to_owned()));
            words[at].clone_from(&word);
            for word in [None, Some("lsp-del"), Some("--")] {
                let words: Vec<String> = word.map(str::to_owned).into_iter().chain(words.clone()).collect();
                let Err(error) = Line::parse(&words).and_then(|line| line.run(database.draft().edit()))
                else {
                    continue;
                };
                let sentence = error.to_string();
                let is_plain = !sentence.contains(char::is_control);
                assert!(sentence.len() < 1000 && is_plain, "{}: {sentence:.500}", command.form.name);
                count += 1;
            }
        }
    }
    assert!(count > 3000, "{count}");
}

/// What scripts/nbctl-diff asks.
#[test]
fn random_lines_are_answered_as_by_the_original() {
    let Ok(path) = std::env::var("MILLRACE_NBCTL_ANSWERS") else { return };
    let (count, refused, wrong) = differences(&std::fs::read_to_string(path).unwrap());
    assert!(wrong.is_empty(), "{}{} difference(s) in {count} lines", wrong.join("\n"), wrong.len());
    assert!(count > 0 && refused < count);
}

/// Runs a script of ovn-nbctl lines, which may have loops over words and keep what a line prints.
fn script(database: &mut Database, text: &str) {
    let mut variables: BTreeMap<&str, String> = BTreeMap::new();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        let Some(header) = line.strip_prefix("for ") else {
            statements(database, &mut variables, line);
            continue;
        };
        let (variable, words) = header.trim_end_matches("; do").split_once(" in ").unwrap();
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "done").collect();
        for word in words.split(' ') {
            variables.insert(variable, word.to_owned());
            body.iter().for_each(|line| statements(database, &mut variables, line));
        }
    }
}

fn statements<'a>(database: &mut Database, variables: &mut BTreeMap<&'a str, String>, line: &'a str) {
    for statement in line.split("; ").map(str::trim) {
        let (variable, command) = match statement.split_once("=$(") {
            Some((variable, command)) => (Some(variable), command.trim_end_matches(')')),
            None => (None, statement),
        };
        let mut command = command.strip_prefix("ovn-nbctl ").unwrap_or_else(|| panic!("{line}")).to_owned();
        for (variable, value) in variables.iter() {
            command = command.replace(&format!("${variable}"), value);
        }
        let (printed, _) = run(database, &command).unwrap_or_else(|error| panic!("{command}: {error}"));
        if let Some(variable) = variable {
            variables.insert(variable, printed.trim_end().to_owned());
        }
    }
}

#[rstest]
fn real_networks_are_made(#[values("s1-l2", "s2-l3", "s3-rich")] scenario: &str) {
    let mut database = Database::default();
    script(&mut database, &file(&format!("{scenario}/nbctl-setup.sh")));
    // What ovn-northd and the chassis wrote.
    let but = ["up", "options_of_all", "nb_cfg", "nb_cfg_timestamp", "sb_cfg", "sb_cfg_timestamp", "hv_cfg"];
    let rows = |store: &Store| -> Vec<String> {
        all(store, &but).into_iter().filter(|row| !row.starts_with("NB_Global(")).collect()
    };
    let own = rows(database.snapshot());
    assert!(own.len() > 2);
    assert_eq!(own, rows(&loaded(&file(&format!("{scenario}/nb-dump.json")))));
}

#[test]
fn created_rows_come_in_the_order_of_the_commands() {
    let mut database = Database::default();
    let line = "ls-add b -- lsp-add b z -- lsp-add b y -- --id=@a create Address_Set name=s -- ls-add a -- lsp-add b x";
    let (printed, created) = run(&mut database, line).unwrap();
    let names: Vec<String> = created
        .iter()
        .map(|uuid| {
            let table = Table::ALL.iter().find(|table| database.snapshot().row(**table, *uuid).is_some());
            named(database.snapshot(), *table.unwrap(), *uuid)
        })
        .collect();
    let port = |name| format!("Logical_Switch_Port:{name}");
    let switch = |name| format!("Logical_Switch:{name}");
    assert_eq!(
        names,
        [switch("b"), port("z"), port("y"), "Address_Set:s".to_owned(), switch("a"), port("x")]
    );
    assert_eq!(printed.trim_end(), created[3].to_string());
}

#[test]
fn a_command_sees_what_those_before_it_did() {
    let mut database = Database::default();
    let line = "ls-add s -- lsp-add s p -- lsp-list s -- acl-add s to-lport 1 ip4 drop -- acl-list s";
    let (printed, _) = run(&mut database, line).unwrap();
    assert_eq!(masked(&printed), "UUID (p)\n  to-lport     1 (ip4) drop\n");
    let twice = "acl-add s to-lport 2 ip4 drop -- acl-add s to-lport 2 ip4 drop";
    assert!(run(&mut database, twice).unwrap_err().contains("exists already"));
    assert_eq!(database.snapshot().len(Table::Acl), 1);
}

#[test]
fn switches_and_routers_are_shown() {
    let mut database = Database::default();
    for line in [
        "ls-add s -- set Logical_Switch s 'external_ids:\"neutron:network_name\"=net'",
        "lsp-add s p parent 7 -- set Logical_Switch_Port p tag=7",
        "lsp-set-addresses p '00:00:00:00:00:01 10.0.0.1' unknown",
        "lr-add r -- lrp-add r a 00:00:00:00:00:0a 10.0.0.254/24",
        "lrp-set-gateway-chassis a gw1 1",
        "--portrange lr-nat-add r dnat 172.16.0.1 10.0.0.1 80-90",
    ] {
        run(&mut database, line).unwrap();
    }
    let (printed, _) = run(&mut database, "show").unwrap();
    let shown = "\
switch UUID (s) (aka net)
    port p
        parent: parent
        tag: 7
        addresses: [\"00:00:00:00:00:01 10.0.0.1\", \"unknown\"]
router UUID (r)
    port a
        mac: \"00:00:00:00:00:0a\"
        networks: [\"10.0.0.254/24\"]
        gateway chassis: [gw1]
    nat UUID
        external ip: \"172.16.0.1\"
        external port(s): \"80-90\"
        logical ip: \"10.0.0.1\"
        type: \"dnat\"
";
    assert_eq!(masked(&printed), shown);
}

#[test]
fn a_configuration_that_is_waited_for_has_a_number() {
    let mut database = Database::default();
    let cfg = |database: &Database| database.snapshot().global().map(|(_, row)| row.nb_cfg);
    run(&mut database, "show").unwrap();
    assert_eq!(cfg(&database), None);
    for (line, expected) in [
        ("ls-add a", 0),
        ("--wait=sb ls-add b", 1),
        ("--wait=hv --may-exist ls-add b", 1),
        ("--wait=sb show", 1),
        ("--wait=hv sync", 2),
        ("sync", 2),
    ] {
        run(&mut database, line).unwrap();
        assert_eq!(cfg(&database), Some(expected), "{line}");
    }
    let line = Line::parse(&shell_words("--wait=hv --timeout=3 show")).unwrap();
    assert_eq!((line.options.wait, line.options.timeout, line.writes()), (Wait::Chassis, Some(3), false));
}

#[rstest]
#[case("set-connection ptcp:6641", "there is no database server")]
#[case("set-ssl a b c", "there is no database server")]
#[case("--db=unix:x show", "--db has no meaning here")]
#[case("wait-until Logical_Switch s", "ask with find")]
#[case("ls-dd s", "did you mean ls-add?")]
#[case("--no ls-list", "may mean --no-headings, --no-wait")]
#[case("lsp-add", "write lsp-add SWITCH PORT [PARENT TAG]")]
#[case("lsp-del p", "there is no switch port \"p\"")]
fn sentences(#[case] line: &str, #[case] part: &str) {
    let error = run(&mut Database::default(), line).unwrap_err();
    assert!(error.contains(part), "{error}");
}

#[test]
fn the_row_of_settings_is_there_before_it_is_first_asked_for() {
    let mut database = Database::default();
    run(&mut database, r"set NB_Global . options:a\:b=c").unwrap();
    run(&mut database, "ls-add s").unwrap();
    let rows: Vec<_> = database.snapshot().iter::<NbGlobal>().collect();
    assert_eq!((rows.len(), &*rows[0].1.options["a:b"]), (1, "c"));
    // Reading makes none.
    let mut database = Database::default();
    run(&mut database, "list NB_Global").unwrap();
    assert!(database.snapshot().is_empty());
}
