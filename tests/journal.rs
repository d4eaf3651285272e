//! A process that changes rows is killed again and again. What it was told to be kept is there afterwards, and of what it
//! was not told nothing is there by halves.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millrace::logical::journal::{Beside, Journal, Recovered};
use millrace::logical::nb::nbctl::Line;
use millrace::logical::nb::tables::{LogicalSwitch, LogicalSwitchPort};
use millrace::logical::nb::{Database, Table};

/// What tells a process of this test that it is the one to be killed, and its folder.
const FOLDER: &str = "MILLRACE_TEST_JOURNAL";
/// The same for the one whose disk is full.
const FULL: &str = "MILLRACE_TEST_JOURNAL_FULL";
/// Switches that there are at most.
const ALIVE: usize = 5;
const PORTS: usize = 3;
const KILLS: usize = 25;

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The commands of a transaction: one more switch, and one less.
fn transaction(number: usize) -> Vec<String> {
    let mut line = format!("ls-add s{number}");
    for port in 0..PORTS {
        line += &format!(
            " -- lsp-add s{number} s{number}-p{port} -- lsp-set-addresses s{number}-p{port} unknown"
        );
    }
    if let Some(old) = number.checked_sub(ALIVE) {
        line += &format!(" -- ls-del s{old}");
    }
    words(&line)
}

/// The number of transactions that led to these rows, if they are what whole transactions lead to.
fn transactions(found: &Recovered<Table>) -> Option<usize> {
    let rows = found.database.snapshot();
    let mut numbers: Vec<usize> = rows
        .iter::<LogicalSwitch>()
        .filter_map(|(_, row)| row.name.strip_prefix('s')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let next = numbers.last().map_or(0, |last| last + 1);
    let expected: Vec<usize> = (next.saturating_sub(ALIVE)..next).collect();
    let whole = rows.iter::<LogicalSwitchPort>().all(|(uuid, row)| {
        let of = rows
            .switch_of(uuid)
            .is_some_and(|(_, switch)| row.name.starts_with(&format!("{}-", switch.name)));
        of && row.addresses.contains("unknown")
    });
    let ports = rows.len(Table::LogicalSwitchPort);
    // A port and a switch each was noted as created and given a key.
    let beside = (found.created.len(), found.keys.len());
    let count = numbers.len() * (1 + PORTS);
    (numbers == expected && whole && ports == numbers.len() * PORTS && beside == (count, count))
        .then_some(next)
}

/// Runs a transaction and keeps it.
fn keep(journal: &mut Journal<Table>, database: &mut Database, words: &[String]) {
    let draft = database.draft();
    let done = Line::parse(words).unwrap().run(draft.edit()).unwrap();
    let prepared = draft.finish(done.edit).unwrap();
    let gone = prepared.rows().filter(|(.., row)| row.is_none()).map(|(_, uuid, _)| (uuid, None));
    let keys: Vec<_> = done.created.iter().map(|uuid| (*uuid, Some(1))).chain(gone).collect();
    journal.append(prepared.rows(), Beside { created: &done.created, keys: &keys }).unwrap();
    database.accept(prepared).unwrap();
}

/// Changes rows until it is killed, and says the number of each transaction that is kept.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (mut journal, found) = Journal::<Table>::open(Path::new(&folder)).unwrap();
    let next = transactions(&found).unwrap();
    let mut database = found.database;
    let mut out = std::io::stdout();
    for number in next.. {
        keep(&mut journal, &mut database, &transaction(number));
        out.write_all(format!("kept {number}\n").as_bytes()).unwrap();
        out.flush().unwrap();
        if number % 7 == 0 {
            journal.checkpoint(database.snapshot()).unwrap();
        }
    }
}

/// Changes rows until the disk takes no more, tries once more, and then again with less.
#[test]
fn child_on_a_full_disk() {
    let Some(folder) = std::env::var_os(FULL) else { return };
    let (mut journal, found) = Journal::<Table>::open(Path::new(&folder)).unwrap();
    let mut database = found.database;
    let mut refused = 0;
    let mut out = std::io::stdout();
    for number in 0.. {
        let long = if refused < 2 { "x".repeat(500) } else { String::new() };
        let draft = database.draft();
        let done =
            Line::parse(&words(&format!("ls-add s{number}{long}"))).unwrap().run(draft.edit()).unwrap();
        let changed = draft.finish(done.edit).unwrap();
        match journal.append(changed.rows(), Beside::default()) {
            Ok(()) => out.write_all(format!("kept s{number}{long}\n").as_bytes()).unwrap(),
            Err(error) => {
                out.write_all(format!("refused: {error}\n").as_bytes()).unwrap();
                refused += 1;
                // All rows in one record are shorter than a record of each, or there is no room for them either.
                let _ = journal.checkpoint(database.snapshot());
                if refused == 4 {
                    return;
                }
                continue;
            }
        }
        database.accept(changed).unwrap();
    }
}

/// A limit on the length of files is as good as a disk that is full.
#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact child_on_a_full_disk --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(FULL, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}");
    // The runner writes in front of the first line.
    let kept: BTreeSet<&str> = said.lines().filter_map(|line| Some(line.split_once("kept ")?.1)).collect();
    assert!(said.matches("refused: cannot write").count() == 4, "{said}");
    assert!(kept.len() > 20 && kept.iter().any(|name| name.len() < 20), "{said}");
    let (_, found) = Journal::<Table>::open(folder.path()).unwrap();
    let rows = found.database.snapshot();
    let there: BTreeSet<&str> = rows.iter::<LogicalSwitch>().map(|(_, row)| &*row.name).collect();
    assert_eq!(there, kept);
}

#[test]
fn what_is_kept_outlives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = out.lines().map_while(Result::ok);
        let number = |line: String| line.split_once("kept ")?.1.parse::<usize>().ok();
        // A few transactions, and then at some moment within the next ones.
        let first = lines.by_ref().filter_map(number).take(1 + kill % 9).last().unwrap();
        std::thread::sleep(Duration::from_micros(173 * (kill as u64 * kill as u64 % 29)));
        child.kill().unwrap();
        let last = lines.filter_map(number).last().unwrap_or(first);
        child.wait().unwrap();
        let (_, found) = Journal::<Table>::open(folder.path()).unwrap();
        let there = transactions(&found).unwrap_or_else(|| panic!("kill {kill}: half a transaction"));
        // What was being kept may be there.
        assert!(there == last + 1 || there == last + 2, "kill {kill}: {there} transactions, told of {last}");
        kept = there;
    }
    assert!(kept > KILLS, "{kept}");
}

/// How long a switch with 10 000 ports takes to have its rows, from one record and from many.
#[test]
fn ten_thousand_ports_are_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, found) = Journal::<Table>::open(folder.path()).unwrap();
    let mut database = found.database;
    for switch in 0..100 {
        let mut line = format!("ls-add s{switch}");
        for port in 0..100 {
            line += &format!(
                " -- lsp-add s{switch} s{switch}-p{port} -- lsp-set-type s{switch}-p{port} localport"
            );
        }
        keep(&mut journal, &mut database, &words(&line));
    }
    for is_checkpoint in [false, true] {
        if is_checkpoint {
            journal.checkpoint(database.snapshot()).unwrap();
        }
        let length = journal.length();
        drop(journal);
        let start = Instant::now();
        let (opened, found) = Journal::<Table>::open(folder.path()).unwrap();
        let took = start.elapsed();
        println!("{length} bytes, {} records, {took:?}", found.records);
        assert_eq!(found.database.snapshot().len(Table::LogicalSwitchPort), 10_000);
        assert!(length < 8 << 20, "{length}");
        // A second is the aim of a build for use; this one may have no optimization and little of the machine.
        assert!(took < Duration::from_secs(20), "{took:?}");
        journal = opened;
    }
}
