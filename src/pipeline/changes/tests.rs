use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::action::Action;
use crate::packet::{Field, PortRef};
use crate::pipeline::flow::FlowOptions;
use crate::pipeline::flowmod::{Command, FlowMod};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::table::Timeout;
use crate::pipeline::{Batch, PortView, Ports, Snapshot, Tables};

fn matching(fields: &[(Field, u128, u128)]) -> Match {
    let mut matcher = Match::default();
    fields.iter().for_each(|(field, value, mask)| matcher.set_masked(*field, *value, *mask));
    matcher
}

fn change(command: Command, table: u8, matcher: Match, port: u16) -> FlowMod {
    FlowMod {
        command,
        table: Some(table),
        priority: 5,
        matcher,
        cookie_filter: None,
        out_port: None,
        actions: Arc::from([Action::Output(PortNo(port))]),
        options: FlowOptions::default(),
    }
}

/// A snapshot and what is needed to make the next one.
struct Bench {
    snapshot: Snapshot,
    stats: Arc<FlowStats>,
}

impl Bench {
    fn new() -> Self {
        Self { snapshot: Snapshot::default(), stats: FlowStats::new(0) }
    }

    fn publish(&mut self, changes: &[FlowMod]) -> Option<What> {
        let mut batch = Batch::new(&self.snapshot.tables, &self.stats, Instant::now());
        changes.iter().for_each(|change| batch.apply(change).unwrap());
        self.take(batch.commit().0)
    }

    fn take(&mut self, tables: Tables) -> Option<What> {
        let seen = self.snapshot.log.latest();
        self.snapshot = self.snapshot.with_tables(tables);
        let mut new = self.snapshot.log.since(seen).unwrap();
        let entry = new.next()?;
        assert_eq!(entry.number, seen + 1);
        assert!(new.next().is_none());
        Some(entry.what.clone())
    }

    fn add_many(&mut self, flows: impl Iterator<Item = (u8, u128, u128)>) -> Option<What> {
        let flow = |(table, datapath, n)| {
            let fields = [(Field::Metadata, datapath, u128::MAX), (Field::NwSrc, n, u128::MAX)];
            change(Command::Add, table, matching(&fields), 1)
        };
        self.publish(&flows.map(flow).collect::<Vec<_>>())
    }
}

fn changes(what: Option<What>) -> Vec<Change> {
    match what {
        None => Vec::new(),
        Some(What::Changes(changes)) => changes.into_vec(),
        Some(What::Everything) => panic!("everything"),
    }
}

fn whole_table(table: u8, datapath: u64) -> Change {
    Change::whole(Slot::Table { table, datapath: Some(datapath) })
}

/// The flows that are in one of two tables only or act otherwise, found by going through all.
fn differing(old: &Tables, new: &Tables) -> Vec<Change> {
    let alike = |a: &Flow, b: &Flow| {
        (a.table, a.priority, &a.matcher(), a.stats, a.options.cookie, &a.actions)
            == (b.table, b.priority, &b.matcher(), b.stats, b.options.cookie, &b.actions)
    };
    let lacks = |tables: &Tables, flow: &Flow| !tables.iter().any(|other| alike(other, flow));
    let gone = old.iter().filter(|flow| lacks(new, flow));
    let all = gone.chain(new.iter().filter(|flow| lacks(old, flow)));
    let metadata = |flow: &Flow| flow.matcher().mask.get(Field::Metadata) == Field::Metadata.all_ones();
    let named = all.map(|flow| Change {
        slot: Slot::Table {
            table: flow.table,
            datapath: metadata(flow).then(|| flow.matcher().key.get(Field::Metadata) as u64),
        },
        matcher: Compact::new(&flow.matcher()),
    });
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

fn any_change() -> impl Strategy<Value = FlowMod> {
    let metadata = (0u128..3, select(vec![0, 1, u128::from(u64::MAX)]));
    let command = select(vec![
        Command::Add,
        Command::Add,
        Command::Modify,
        Command::ModifyStrict,
        Command::Delete,
        Command::DeleteStrict,
    ]);
    let numbers = (1u16..3, 0u16..2, 0u64..2, 0u128..3);
    (command, 0u8..2, metadata, numbers, any::<bool>()).prop_map(
        |(command, table, (datapath, mask), (port, priority, cookie, source), all)| {
            let mut matcher = matching(&[(Field::Metadata, datapath, mask)]);
            if source > 0 {
                matcher.set(Field::NwSrc, source);
            }
            let options = FlowOptions { cookie, ..FlowOptions::default() };
            let table = (!all).then_some(table);
            FlowMod { priority, table, options, ..change(command, 0, matcher, port) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_entry_names_exactly_the_flows_that_differ(batches in vec(vec(any_change(), 0..6), 1..12)) {
        let mut bench = Bench::new();
        let empty = bench.snapshot.clone();
        for batch in &batches {
            let before = bench.snapshot.tables.clone();
            let named = changes(bench.publish(batch));
            prop_assert_eq!(named, differing(&before, &bench.snapshot.tables));
        }
        // All entries together name at least what differs from the beginning.
        let entries = bench.snapshot.log.since(empty.log.latest()).unwrap();
        let named: BTreeSet<_> = entries.flat_map(|entry| changes(Some(entry.what.clone()))).collect();
        for change in differing(&empty.tables, &bench.snapshot.tables) {
            prop_assert!(named.contains(&change));
        }
    }
}

#[test]
fn what_cancels_out_is_no_change() {
    let mut bench = Bench::new();
    let flow = |command, port| change(command, 0, matching(&[(Field::InPort, 1, u128::MAX)]), port);
    assert_eq!(bench.publish(&[]), None);
    assert_eq!(bench.publish(&[flow(Command::Add, 1), flow(Command::DeleteStrict, 1)]), None);
    assert_eq!(changes(bench.publish(&[flow(Command::Add, 1)])).len(), 1);
    assert_eq!(bench.publish(&[flow(Command::Modify, 2), flow(Command::Modify, 1)]), None);
    // Added anew it counts anew.
    assert_eq!(changes(bench.publish(&[flow(Command::Add, 1)])).len(), 1);
    let renamed =
        FlowMod { options: FlowOptions { cookie: 9, ..Default::default() }, ..flow(Command::Modify, 1) };
    assert_eq!(changes(bench.publish(&[renamed])).len(), 1);
    assert_eq!(bench.snapshot.log.latest(), 3);
}

#[test]
fn expired_flows_are_changes() {
    let mut bench = Bench::new();
    bench.add_many([(3, 7, 1), (3, 7, 2)].into_iter());
    let flow = Arc::clone(bench.snapshot.tables.iter().next().unwrap());
    let named = Change { slot: whole_table(3, 7).slot, matcher: Compact::new(&flow.matcher()) };
    let mut batch = Batch::new(&bench.snapshot.tables, &bench.stats, Instant::now());
    batch.expire(&[(flow, Timeout::Idle)]);
    let tables = batch.commit().0;
    assert_eq!(changes(bench.take(tables)), [named]);
}

#[test]
fn large_batches_name_slots_and_then_everything() {
    let most = MAX_CHANGES as u128;
    let mut bench = Bench::new();
    assert_eq!(changes(bench.add_many((0..most).map(|n| (1, 7, n)))).len(), MAX_CHANGES);
    let more = (0..most).map(|n| (2, 7, n)).chain([(3, 1, 0)]);
    assert_eq!(changes(bench.add_many(more)), [whole_table(2, 7), whole_table(3, 1)]);
    let slots = MAX_SLOTS as u128;
    let wide = |slots| (0..=most).map(move |n| (4, n % slots, n));
    assert_eq!(changes(bench.add_many(wide(slots))).len(), MAX_SLOTS);
    assert_eq!(bench.add_many(wide(slots + 1)), Some(What::Everything));
    // One slot too many, long after the others.
    let late = wide(slots).chain((0..most).map(|n| (5, 0, n)));
    assert_eq!(bench.add_many(late), Some(What::Everything));
}

#[test]
fn tables_of_other_descent_differ_in_everything() {
    let mut bench = Bench::new();
    bench.add_many([(0, 1, 1)].into_iter());
    let old = bench.snapshot.tables.clone();
    bench.add_many([(0, 1, 2)].into_iter());
    // One version was left out, one comes twice, one is older.
    let mut batch = Batch::new(&bench.snapshot.tables, &bench.stats, Instant::now());
    batch.apply(&change(Command::Delete, 0, Match::default(), 1)).unwrap();
    let skipped = batch.commit().0;
    let later = Batch::new(&skipped, &bench.stats, Instant::now()).commit().0;
    assert_eq!(bench.take(later.clone()), Some(What::Everything));
    assert_eq!(bench.take(later), None);
    assert_eq!(bench.take(old), Some(What::Everything));
    assert_eq!(bench.take(Tables::default()), Some(What::Everything));
    // Tables in the making are told apart too.
    let mut batch = Batch::new(&bench.snapshot.tables, &bench.stats, Instant::now());
    batch.apply(&change(Command::Add, 0, Match::default(), 1)).unwrap();
    let early = batch.tables().clone();
    drop(batch);
    assert_eq!(changes(bench.take(early)).len(), 1);
}

#[test]
fn ports_are_changes_of_themselves_and_of_all() {
    let port = |number, slot, no_flood| {
        let at = PortRef { slot, generation: 1 };
        PortView { number: PortNo(number), name: "p".into(), at, no_flood }
    };
    let first = Ports::new(vec![port(1, 1, false), port(2, 2, false)]);
    let case = |list: &[PortView], numbers: &[u16]| {
        let old = Snapshot::new(Tables::default(), first.clone());
        let new = old.with_ports(Ports::new(list.to_vec()));
        let named: Vec<_> = new.log.since(0).unwrap().flat_map(|e| changes(Some(e.what.clone()))).collect();
        let slots = numbers.iter().map(|number| Slot::Port(PortNo(*number)));
        let mut expected: Vec<_> = slots.map(Change::whole).collect();
        expected.extend((!numbers.is_empty()).then(|| Change::whole(Slot::Ports)));
        assert_eq!(named, expected);
        assert_eq!(new.log.latest(), u64::from(!numbers.is_empty()));
    };
    case(&[port(2, 2, false), port(1, 1, false)], &[]);
    case(&[port(1, 1, false), PortView { name: "q".into(), ..port(2, 2, false) }], &[]);
    case(&[port(1, 1, false)], &[2]);
    case(&[port(1, 1, false), port(2, 2, true)], &[2]);
    case(&[port(1, 1, false), port(2, 3, false)], &[2]);
    case(&[port(1, 1, false), port(3, 2, false)], &[2, 3]);
    let many: Vec<_> = (0..2 * MAX_CHANGES as u16).map(|number| port(number, number, false)).collect();
    let new = Snapshot::default().with_ports(Ports::new(many));
    assert_eq!(new.log.since(0).unwrap().next().unwrap().what, What::Everything);
}

#[test]
fn the_log_keeps_the_last_entries_and_says_when_some_are_gone() {
    let change = || What::of(vec![Change::whole(Slot::Ports)]).unwrap();
    let numbers = |log: &ChangeLog, seen| {
        let entries = log.since(seen)?;
        Some(entries.map(|entry| entry.number).collect::<Vec<_>>())
    };
    let mut log = ChangeLog::default();
    assert_eq!((numbers(&log, 0), numbers(&log, 1)), (Some(vec![]), None));
    let before = log.clone();
    (0..KEPT_ENTRIES).for_each(|_| log.push(change()));
    let last = KEPT_ENTRIES as u64;
    assert_eq!((before.latest(), log.latest()), (0, last));
    assert_eq!(numbers(&log, 0), Some((1..=last).collect()));
    assert_eq!(numbers(&log, last - 2), Some(vec![last - 1, last]));
    assert_eq!(numbers(&log, last), Some(vec![]));
    log.push(change());
    assert_eq!(numbers(&log, 0), None);
    assert_eq!(numbers(&log, 1), Some((2..=last + 1).collect()));
    // Entries with many changes leave sooner.
    let large = What::of(vec![Change::whole(Slot::Ports); MAX_CHANGES]).unwrap();
    (0..16).for_each(|_| log.push(large.clone()));
    assert_eq!(log.changes, KEPT_CHANGES);
    assert_eq!((numbers(&log, last), numbers(&log, last + 1).map(|n| n.len())), (None, Some(16)));
    (0..2).for_each(|_| log.push(change()));
    assert_eq!((log.changes, log.entries.len()), (KEPT_CHANGES - MAX_CHANGES + 2, 17));
}

#[test]
fn a_slot_is_found_among_what_was_consulted() {
    let dep = |table, datapath| Dep::Table { table, datapath };
    let deps = [dep(0, 0), dep(3, 7), dep(3, 9), dep(5, u64::MAX), Dep::Port(PortNo(2)), Dep::Ports];
    let table = |table, datapath| Slot::Table { table, datapath }.is_among(&deps);
    for (number, any) in [(0, true), (1, false), (3, true), (4, false), (5, true), (6, false)] {
        assert_eq!(table(number, None), any, "{number}");
    }
    assert!(table(3, Some(7)) && table(3, Some(9)) && table(5, Some(u64::MAX)) && table(0, Some(0)));
    assert!(!table(3, Some(8)) && !table(0, Some(7)) && !table(7, Some(7)));
    assert!(Slot::Port(PortNo(2)).is_among(&deps) && !Slot::Port(PortNo(3)).is_among(&deps));
    assert!(Slot::Ports.is_among(&deps) && !Slot::Ports.is_among(&deps[..5]));
}

#[test]
fn a_match_contradicts_what_is_known_and_still_there() {
    let matcher = matching(&[(Field::NwSrc, 0x0a00_0000, 0xff00_0000), (Field::Reg3, 1, 1)]);
    let compact = Compact::new(&matcher);
    assert_eq!(compact.words().len(), 2);
    let none = FlowMask::default();
    let (mut key, mut mask, mut rewritten) = (FlowKey::default(), none, none);
    key.set(Field::NwSrc, 0x0b00_0001);
    assert!(!compact.contradicts(&key, &mask, &rewritten));
    mask.set(Field::NwSrc, 0xfe00_ffff);
    assert!(!compact.contradicts(&key, &mask, &rewritten));
    mask.set(Field::NwSrc, 0x0100_0000);
    assert!(compact.contradicts(&key, &mask, &rewritten));
    rewritten.set(Field::NwSrc, 0x0100_0000);
    assert!(!compact.contradicts(&key, &mask, &rewritten));
    assert!(!Compact::default().contradicts(&key, &mask, &none));
}
