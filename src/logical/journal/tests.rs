use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::disk::fault;
use super::*;
use crate::logical::nb::nbctl::Line;
use crate::logical::nb::{Edit, Table};
use crate::logical::rows::testing::{filled, rows_of, shell_words};

type Nb = Journal<Table>;
type Rows = BTreeMap<(Table, Uuid), <Table as crate::logical::rows::Tables>::AnyRow>;

/// What a file leads to.
#[derive(Clone, PartialEq, Debug)]
struct State {
    rows: Rows,
    created: Vec<Uuid>,
    keys: BTreeMap<Uuid, u32>,
}

fn state(found: &Recovered<Table>) -> State {
    let rows = rows_of(found.database.snapshot()).into_iter().collect();
    State { rows, created: found.created.clone(), keys: found.keys.clone() }
}

/// Runs a line and keeps it; datapaths and ports get some key.
fn keep(journal: &mut Nb, database: &mut Database<Table>, line: &str) {
    let line = Line::parse(&shell_words(line)).unwrap();
    let draft = database.draft();
    let done = line.run(draft.edit()).unwrap();
    let prepared = draft.finish(done.edit).unwrap();
    let mut keys: Vec<_> = done.created.iter().zip(1..).map(|(uuid, key)| (*uuid, Some(key))).collect();
    keys.extend(prepared.rows().filter(|(.., row)| row.is_none()).map(|(_, uuid, _)| (uuid, None)));
    journal.append(prepared.rows(), Beside { created: &done.created, keys: &keys }).unwrap();
    database.accept(prepared).unwrap();
}

const HISTORY: &[&str] = &[
    "ls-add s -- lsp-add s p -- lsp-set-addresses p '00:00:00:00:00:01 10.0.0.1'",
    "lr-add r -- lrp-add r a 00:00:00:00:00:02 10.0.0.254/24 fd00::1/64",
    "acl-add s to-lport 1 'ip4.src == \"ü\"' drop -- lsp-add s q",
    "ls-del s",
    "lr-nat-add r snat 172.16.0.1 10.0.0.0/24",
];

fn path(folder: &Path) -> PathBuf {
    folder.join("OVN_Northbound.journal")
}

/// The file of a history, the states after each of its records, and where the records end.
fn history(folder: &Path) -> (Vec<u8>, Vec<State>, Vec<usize>) {
    let (mut journal, found) = Nb::open(folder).unwrap();
    let mut states = vec![state(&found)];
    let mut ends = vec![journal.length() as usize];
    let mut database = found.database;
    for line in HISTORY {
        keep(&mut journal, &mut database, line);
        let (created, keys) = (journal.created.clone(), journal.keys.clone());
        let mut now = State { rows: rows_of(database.snapshot()).into_iter().collect(), created, keys };
        retain_present(database.snapshot(), &mut now.created);
        states.push(now);
        ends.push(journal.length() as usize);
    }
    drop(journal);
    (fs::read(path(folder)).unwrap(), states, ends)
}

#[test]
fn what_was_kept_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, states, _) = history(folder.path());
    let (journal, found) = Nb::open(folder.path()).unwrap();
    assert_eq!(&state(&found), states.last().unwrap());
    assert_eq!((found.records, found.cut), (1 + HISTORY.len(), 0));
    assert!(!found.created.is_empty() && !found.keys.is_empty());
    assert_eq!(journal.length(), fs::metadata(path(folder.path())).unwrap().len());
}

#[test]
fn a_file_that_is_cut_anywhere_has_what_was_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, states, ends) = history(folder.path());
    for length in 0..=bytes.len() {
        fs::write(path(folder.path()), &bytes[..length]).unwrap();
        let whole = ends.iter().filter(|end| **end <= length).count();
        match Nb::open(folder.path()) {
            Ok((_, found)) => {
                assert!(whole > 0, "{length}");
                assert_eq!(state(&found), states[whole - 1], "{length}");
                assert_eq!(found.cut as usize, length - ends[whole - 1]);
                let left = fs::metadata(path(folder.path())).unwrap().len();
                assert_eq!(left as usize, ends[whole - 1]);
            }
            Err(JournalError::Other { .. } | JournalError::Damaged { .. }) => {
                assert_eq!(whole, 0, "{length}")
            }
            Err(error) => panic!("{length}: {error}"),
        }
    }
}

#[test]
fn a_file_that_is_damaged_anywhere_is_refused_or_loses_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, states, ends) = history(folder.path());
    let last = ends[ends.len() - 2];
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            fs::write(path(folder.path()), &bytes).unwrap();
            match Nb::open(folder.path()) {
                Ok((_, found)) => {
                    assert!(at >= last, "{at}");
                    assert_eq!(state(&found), states[states.len() - 2], "{at}");
                }
                Err(JournalError::Other { .. }) => assert!(at < preamble::<Table>().len(), "{at}"),
                Err(error @ JournalError::Damaged { .. }) => {
                    let begin = ends.iter().rfind(|end| **end <= at).copied();
                    let begin = begin.unwrap_or(preamble::<Table>().len());
                    assert!(at < last, "{at}");
                    assert!(error.to_string().contains(&format!("truncate --size={begin} ")), "{at} {error}");
                    assert_eq!(fs::read(path(folder.path())).unwrap(), bytes);
                }
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }
}

#[test]
fn a_record_whose_bytes_never_came_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (mut bytes, states, ends) = history(folder.path());
    let last = ends[ends.len() - 2];
    for from in [last, last + 4, last + HEADER_BYTES, last + 40] {
        bytes[from..].fill(0);
        fs::write(path(folder.path()), &bytes).unwrap();
        let (_, found) = Nb::open(folder.path()).unwrap();
        assert_eq!(state(&found), states[states.len() - 2]);
    }
}

/// Bytes before those of a record.
const HEADER_BYTES: usize = 12;

#[test]
fn a_checkpoint_leads_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (_, states, _) = history(folder.path());
    let (mut journal, found) = Nb::open(folder.path()).unwrap();
    let mut database = found.database;
    let before = journal.length();
    journal.checkpoint(database.snapshot()).unwrap();
    assert!(journal.length() < before && journal.length() == journal.base);
    drop(journal);
    let (mut journal, found) = Nb::open(folder.path()).unwrap();
    assert_eq!((&state(&found), found.records), (states.last().unwrap(), 1));
    keep(&mut journal, &mut database, "ls-add again");
    drop(journal);
    let (_, found) = Nb::open(folder.path()).unwrap();
    assert_eq!(found.records, 2);
    assert_eq!(found.database.snapshot().switches_named("again").count(), 1);
}

#[test]
fn a_checkpoint_that_was_not_finished_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, states, _) = history(folder.path());
    fs::write(path(folder.path()).with_extension("new"), "half a").unwrap();
    let (_, found) = Nb::open(folder.path()).unwrap();
    assert_eq!(&state(&found), states.last().unwrap());
}

#[test]
fn the_file_stays_short_beside_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, found) = Nb::open(folder.path()).unwrap();
    let mut database = found.database;
    let long = "x".repeat(SLACK as usize / 8);
    let mut checkpoints = 0;
    for number in 0..40 {
        keep(
            &mut journal,
            &mut database,
            &format!("--may-exist ls-add s -- set Logical_Switch s other_config:a={number}{long}"),
        );
        if journal.wants_checkpoint() {
            journal.checkpoint(database.snapshot()).unwrap();
            checkpoints += 1;
        }
        assert!(journal.length() < 2 * SLACK);
    }
    assert!((3..20).contains(&checkpoints), "{checkpoints}");
}

#[test]
fn two_switches_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Nb::open(&folder.path().join("new/folder")).unwrap();
    let second = Nb::open(&folder.path().join("new/folder"));
    assert!(matches!(second, Err(JournalError::Locked(_))));
    drop(first);
    assert!(Nb::open(&folder.path().join("new/folder")).is_ok());
}

#[rstest]
#[case("", "is not a journal of OVN_Northbound")]
#[case("millrace journal 2 OVN_Northbound\n", "is not a journal of OVN_Northbound")]
#[case("millrace journal 1 OVN_Southbound\n", "is not a journal of OVN_Northbound")]
#[case("millrace journal 1 OVN_Northbound\n", "truncate --size=34")]
fn other_files_are_refused(#[case] text: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(path(folder.path()), text).unwrap();
    let Err(error) = Nb::open(folder.path()) else { panic!() };
    assert!(error.to_string().contains(part), "{error}");
}

#[rstest]
#[case("nothing", "its first line")]
#[case("{\"created\":[\"x\"]}", "its first line")]
#[case("{\"more\":1}", "its first line")]
#[case("{\"gone\":{\"Nothing\":[]}}", "there is no table Nothing")]
#[case("{}\n[]", "byte 34 cannot be read")]
fn whole_records_that_mean_nothing_are_refused(#[case] payload: &str, #[case] part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = [preamble::<Table>().into_bytes(), frame::frame(payload).unwrap()].concat();
    fs::write(path(folder.path()), bytes).unwrap();
    let Err(error) = Nb::open(folder.path()) else { panic!() };
    assert!(error.to_string().contains(part), "{error}");
}

/// What a step of a history asks for.
const STEPS: &[&str] =
    &["ls-add a -- lsp-add a p", "checkpoint", "ls-add b", "ls-del a", "checkpoint", "ls-add c"];

/// Goes through the steps while the disk fails as planned, and gives the states that a file may lead to: the last one that
/// was acknowledged, and those that were not told to be kept behind it.
fn through_faults(folder: &Path, good: usize, bad: usize) -> (Vec<State>, bool) {
    let (mut journal, found) = Nb::open(folder).unwrap();
    let mut database = found.database;
    let mut may_be = vec![State { rows: Rows::new(), created: Vec::new(), keys: BTreeMap::new() }];
    fault::plan(good, bad);
    for step in STEPS {
        if *step == "checkpoint" {
            let _ = journal.checkpoint(database.snapshot());
            continue;
        }
        let line = Line::parse(&shell_words(step)).unwrap();
        let draft = database.draft();
        // What it is about may not have been kept.
        let Ok(done) = line.run(draft.edit()) else { continue };
        let changed = draft.finish(done.edit).unwrap();
        let keys: Vec<_> = done.created.iter().map(|uuid| (*uuid, Some(7))).collect();
        let kept = journal.append(changed.rows(), Beside { created: &done.created, keys: &keys });
        let mut now = State { rows: rows_of(changed.after()).into_iter().collect(), ..may_be[0].clone() };
        now.created.extend(&done.created);
        retain_present(changed.after(), &mut now.created);
        now.keys.extend(keys.iter().filter_map(|(uuid, key)| Some((*uuid, (*key)?))));
        match kept {
            Ok(()) => {
                may_be = vec![now];
                database.accept(changed).unwrap();
            }
            Err(error) => {
                assert!(
                    error.to_string().contains("cannot write") || matches!(error, JournalError::Broken(_))
                );
                may_be.push(now);
            }
        }
    }
    (may_be, fault::end())
}

#[rstest]
#[case::once(1)]
#[case::twice(2)]
#[case::until_a_crash(usize::MAX)]
fn a_disk_that_fails_at_any_step_loses_nothing(#[case] bad: usize) {
    let mut failed = 0;
    for good in 0.. {
        let folder = tempfile::tempdir().unwrap();
        drop(Nb::open(folder.path()).unwrap());
        let (may_be, has_failed) = through_faults(folder.path(), good, bad);
        let (_, found) = Nb::open(folder.path()).unwrap();
        let state = state(&found);
        assert!(may_be.contains(&state), "step {good}: {state:#?} is none of {may_be:#?}");
        if !has_failed {
            // Nothing is left beside the file and its lock.
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            break;
        }
        failed += 1;
    }
    assert!(failed > 20, "{failed} steps");
}

#[test]
fn a_folder_that_is_made_at_any_step_can_be_opened_later() {
    for good in 0.. {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/b");
        fault::plan(good, usize::MAX);
        let opened = Nb::open(&folder).is_ok();
        assert_ne!(fault::end(), opened, "step {good}");
        let (_, found) = Nb::open(&folder).unwrap();
        assert_eq!(found.database.snapshot().len(Table::LogicalSwitch), 0);
        if opened {
            return;
        }
    }
}

#[test]
fn a_checkpoint_that_fails_is_wanted_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, found) = Nb::open(folder.path()).unwrap();
    let mut database = found.database;
    let long = "x".repeat(SLACK as usize / 2);
    let line =
        |number: usize| format!("--may-exist ls-add s -- set Logical_Switch s other_config:a={number}{long}");
    (0..6).for_each(|number| keep(&mut journal, &mut database, &line(number)));
    assert!(journal.wants_checkpoint());
    fault::plan(1, 1);
    assert!(journal.checkpoint(database.snapshot()).is_err() && fault::end());
    assert!(!journal.wants_checkpoint());
    (6..9).for_each(|number| keep(&mut journal, &mut database, &line(number)));
    assert!(journal.wants_checkpoint());
    journal.checkpoint(database.snapshot()).unwrap();
    assert!(!journal.wants_checkpoint());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn records_are_read_as_they_were_written(
        rows in filled::<Table>(),
        gone: BTreeSet<u128>,
        keys: BTreeMap<u128, Option<u32>>,
        created: Vec<u128>,
    ) {
        let mut edit = Edit::on(&Store::default());
        rows.iter().for_each(|(uuid, row)| edit.put_any(*uuid, row.clone()));
        let put = rows_of(edit.rows());
        let changes = put.iter().map(|((table, uuid), row)| (*table, *uuid, Some(row)));
        let changes = changes.chain(gone.iter().map(|uuid| (Table::Acl, Uuid(*uuid), None)));
        let keys: Vec<_> = keys.into_iter().map(|(uuid, key)| (Uuid(uuid), key)).collect();
        let created: Vec<Uuid> = created.into_iter().map(Uuid).collect();
        let text = Record::<Table>::of_change(changes, Beside { created: &created, keys: &keys });
        let read = Record::<Table>::read(text.as_bytes()).unwrap();
        let rows: BTreeMap<_, _> = read.rows.into_iter().map(|(uuid, row)| ((row.table(), uuid), row)).collect();
        prop_assert_eq!(rows, put.into_iter().collect::<BTreeMap<_, _>>());
        prop_assert_eq!(read.head.created, created);
        prop_assert_eq!(read.head.keys, keys);
        let expected: BTreeSet<_> = gone.into_iter().map(|uuid| (Table::Acl, Uuid(uuid))).collect();
        prop_assert_eq!(read.gone.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let file = [preamble::<Table>().into_bytes(), bytes].concat();
        let _ = recover::<Table>(Path::new("x"), &file);
    }
}
