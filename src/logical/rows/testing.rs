//! A database that is too simple to be wrong: all rows in one map, and every question answered by looking at each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::database::{Change, Database};
use super::datum::{Arity, AtomKind};
use super::index::Strength;
use super::schema::{Column, Rule, Schema, Untyped};
use super::store::Store;
use super::tables::{
    Chassis, DatapathBinding, Encap, Fdb, HaChassis, HaChassisGroup, IpMulticast, LogicalDpGroup,
    LogicalFlow, MacBinding, Meter, MeterBand, MulticastGroup, Pairs, PortBinding, RbacPermission, RbacRole,
    SbGlobal,
};
use super::transaction::Transaction;
use super::{AnyRow, Atom, Columns, Datum, Pipeline, Row, Table, Tables, Uuid, What};

/// All rows.
pub type Rows<S = Table> = BTreeMap<(S, Uuid), <S as Tables>::AnyRow>;
/// A row as it is to be, or that it is to go.
pub type Op<S = Table> = (S, Uuid, Option<<S as Tables>::AnyRow>);

/// The rows of a store.
pub fn rows_of<S: Schema>(store: &Store<S>) -> Rows<S> {
    let all =
        S::ALL.iter().flat_map(|table| store.rows(*table).map(|(uuid, row)| ((*table, uuid), row.clone())));
    all.collect()
}

/// The identifiers that a row names, with their tables: the strong ones, or the weak ones.
fn named<S: Schema>(row: &S::AnyRow, strong: bool) -> Vec<(usize, S, Uuid)> {
    let mut out = Vec::new();
    for (at, column) in row.table().def().columns.iter().enumerate() {
        let target = match column.rule {
            Rule::Strong(target) | Rule::StrongSome(target) if strong => target,
            Rule::Weak(target) if !strong => target,
            _ => continue,
        };
        let datum = row.get(at).unwrap();
        let atoms: Vec<&Atom> = datum.keys().chain(datum.values()).collect();
        out.extend(atoms.into_iter().filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some((at, target, *uuid)),
            _ => None,
        }));
    }
    out
}

/// Whether the values of a row keep the rules of their columns.
fn keeps_rules<S: Schema>(table: S, row: &S::AnyRow) -> bool {
    table.def().columns.iter().enumerate().all(|(at, column)| {
        let datum = row.get(at).unwrap();
        match column.rule {
            Rule::Range(least, most) => datum.keys().all(|atom| match atom {
                Atom::Integer(number) => *number >= least && *number <= most,
                _ => false,
            }),
            Rule::Words(words) => datum.keys().all(|atom| match atom {
                Atom::Text(word) => words.contains(&word.as_str()),
                _ => false,
            }),
            Rule::Length(most) => datum.keys().all(|atom| match atom {
                Atom::Text(text) => text.chars().count() <= most,
                _ => false,
            }),
            Rule::Amounts(words, least, most) => {
                let known = |atom: &Atom| words.iter().any(|word| *atom == Atom::Text((*word).to_owned()));
                let amount =
                    |atom: &Atom| matches!(atom, Atom::Integer(number) if (least..=most).contains(number));
                datum.keys().all(known) && datum.values().all(amount)
            }
            Rule::StrongSome(_) | Rule::Some => !datum.is_empty(),
            _ => true,
        }
    })
}

/// The rows after a transaction, none if it is to be refused.
pub fn apply<S: Schema>(rows: &Rows<S>, ops: &[Op<S>]) -> Option<Rows<S>> {
    let mut next = rows.clone();
    for (table, uuid, row) in ops {
        match row {
            Some(row) => next.insert((*table, *uuid), row.clone()),
            None => next.remove(&(*table, *uuid)),
        };
    }
    // What is put is looked at even if nothing keeps it.
    for (table, uuid, _) in ops {
        let row = next.get(&(*table, *uuid));
        if row != rows.get(&(*table, *uuid)) && row.is_some_and(|row| !keeps_rules(*table, row)) {
            return None;
        }
    }
    loop {
        let needed: BTreeSet<(S, Uuid)> = next
            .values()
            .flat_map(|row| named::<S>(row, true))
            .map(|(_, table, uuid)| (table, uuid))
            .collect();
        let before = next.len();
        next.retain(|name, _| name.0.def().root || needed.contains(name));
        if next.len() == before {
            break;
        }
    }
    let names: BTreeSet<(S, Uuid)> = next.keys().copied().collect();
    for row in next.values_mut() {
        for (at, table, uuid) in named::<S>(row, false) {
            if !names.contains(&(table, uuid)) {
                let gone = Atom::Uuid(uuid);
                let datum = match row.get(at).unwrap() {
                    Datum::Set(set) => Datum::Set(set.into_iter().filter(|atom| *atom != gone).collect()),
                    Datum::Map(map) => {
                        Datum::Map(map.into_iter().filter(|(_, atom)| *atom != gone).collect())
                    }
                };
                row.set(at, datum).ok()?;
            }
        }
    }
    for ((table, uuid), row) in &next {
        let def = table.def();
        if !keeps_rules(*table, row) {
            return None;
        }
        if named::<S>(row, true).iter().any(|(_, table, uuid)| !names.contains(&(*table, *uuid))) {
            return None;
        }
        for ((other_table, other_uuid), other) in &next {
            let same = |columns: &&[&str]| {
                columns.iter().all(|name| {
                    let at = table.column(name).unwrap();
                    row.get(at) == other.get(at)
                })
            };
            if table == other_table && uuid != other_uuid && def.unique.iter().any(same) {
                return None;
            }
        }
        if next.keys().filter(|name| name.0 == *table).count() > def.max_rows {
            return None;
        }
    }
    Some(next)
}

/// The same as one of the real database.
pub fn transaction<S: Schema>(ops: &[Op<S>]) -> Transaction<S> {
    let mut transaction = Transaction::new();
    for (table, uuid, row) in ops {
        match row {
            Some(row) => transaction.put_any(*uuid, row.clone()),
            None => transaction.delete(*table, *uuid),
        }
    }
    transaction
}

/// How two states differ.
pub fn changes<S: Schema>(before: &Rows<S>, after: &Rows<S>) -> Vec<Change<S>> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |name: &(S, Uuid)| {
        let what = match (before.get(name), after.get(name)) {
            (None, _) => What::Inserted,
            (_, None) => What::Deleted,
            (Some(old), Some(new)) => {
                let count = name.0.def().columns.len();
                let flags: Vec<bool> = (0..count).map(|at| old.get(at) != new.get(at)).collect();
                let columns = Columns::from_flags(&flags);
                if columns.is_empty() {
                    return None;
                }
                What::Modified(columns)
            }
        };
        Some(Change { table: name.0, uuid: name.1, what })
    };
    names.into_iter().filter_map(change).collect()
}

/// Does transactions one after the other and compares all that can be seen with the naive database. A transaction is also
/// done in steps, as commands do, and looked at after each.
pub fn follow<S: Schema>(
    history: &[Vec<Op<S>>],
    most: usize,
    check_questions: fn(&Store<S>),
) -> Result<(), TestCaseError> {
    let mut database = Database::with_log(most);
    let mut rows = Rows::<S>::new();
    let nothing = database.subscribe_from_nothing();
    // One looks after every transaction, one after every third, one at the end.
    let mut cursors =
        [(1, database.subscribe()), (3, database.subscribe()), (usize::MAX, database.subscribe())]
            .map(|(every, cursor)| (every, cursor, rows.clone()));
    for (number, ops) in history.iter().enumerate() {
        let draft = database.draft();
        let mut edit = draft.edit();
        let mut raw = rows.clone();
        for (table, uuid, row) in ops {
            match row {
                Some(row) => {
                    edit.put_any(*uuid, row.clone());
                    raw.insert((*table, *uuid), row.clone());
                }
                None => {
                    edit.delete(*table, *uuid);
                    raw.remove(&(*table, *uuid));
                }
            }
            prop_assert_eq!(&rows_of(edit.rows()), &raw);
            check_references(edit.rows());
        }
        let steps = edit.transaction();
        let prepared = draft.finish(edit);
        let done = database.commit(transaction(ops));
        let expected = apply(&rows, ops);
        prop_assert_eq!(done.is_ok(), expected.is_some(), "{:?}", done);
        prop_assert_eq!(prepared.as_ref().err(), done.as_ref().err());
        if let (Some(next), Ok(prepared)) = (expected, prepared) {
            prop_assert_eq!(done.unwrap(), changes(&rows, &next).len());
            prop_assert_eq!(&rows_of(prepared.after()), &next);
            let mut replayed = rows.clone();
            for (table, uuid, row) in prepared.rows() {
                match row {
                    Some(row) => replayed.insert((table, uuid), row.clone()),
                    None => replayed.remove(&(table, uuid)),
                };
            }
            prop_assert_eq!(&replayed, &next);
            let steps: Vec<Op<S>> =
                steps.rows().map(|(table, uuid, row)| (table, uuid, row.cloned())).collect();
            prop_assert_eq!(apply(&rows, &steps), Some(next.clone()));
            rows = next;
        }
        prop_assert_eq!(&rows_of(database.snapshot()), &rows);
        check_questions(database.snapshot());
        check_references(database.snapshot());
        for (every, cursor, seen) in &mut cursors {
            if number % *every == *every - 1 {
                let delta = cursor.poll(&database);
                prop_assert_eq!(&delta.changes, &changes(seen, &rows));
                prop_assert_eq!(&rows_of(&delta.before), &*seen);
                prop_assert_eq!(&rows_of(&delta.after), &rows);
                seen.clone_from(&rows);
            }
        }
    }
    for (_, mut cursor, seen) in cursors.into_iter().chain([(0, nothing, Rows::new())]) {
        prop_assert_eq!(cursor.poll(&database).changes, changes(&seen, &rows));
        prop_assert_eq!(cursor.poll(&database).changes, vec![]);
    }
    Ok(())
}

/// Who names whom, against looking at every row; also of rows that are not there.
fn check_references<S: Schema>(store: &Store<S>) {
    let rows = rows_of(store);
    type Names<S> = BTreeSet<(S, Uuid)>;
    let mut expected: BTreeMap<(S, Uuid), [Names<S>; 2]> = BTreeMap::new();
    for (from, row) in &rows {
        expected.entry(*from).or_default();
        for (of, strong) in [(0, true), (1, false)] {
            for (_, table, uuid) in named::<S>(row, strong) {
                expected.entry((table, uuid)).or_default()[of].insert(*from);
            }
        }
    }
    for (name, expected) in expected {
        for (strength, expected) in [Strength::Strong, Strength::Weak].into_iter().zip(expected) {
            let found: Vec<_> = store.indexes.referrers(name, strength).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{name:?}");
        }
    }
}

/// Puts each state of a history in the place of the last one, and looks which rows are said to differ.
pub fn replace_all<S: Schema>(
    history: &[Vec<Op<S>>],
    check_questions: fn(&Store<S>),
) -> Result<(), TestCaseError> {
    let mut stores = vec![Store::<S>::default()];
    let mut database = Database::default();
    for ops in history {
        if database.commit(transaction(ops)).is_ok() {
            stores.push(database.snapshot().clone());
        }
    }
    for store in stores {
        let mut cursor = database.subscribe();
        let before = rows_of(database.snapshot());
        let target = rows_of(&store);
        let rows = target.iter().map(|((_, uuid), row)| (*uuid, row.clone()));
        database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
        prop_assert_eq!(cursor.poll(&database).changes, changes(&before, &target));
        prop_assert_eq!(&rows_of(database.snapshot()), &target);
        check_questions(database.snapshot());
        check_references(database.snapshot());
    }
    Ok(())
}

/// What a history comes to: transactions done and refused, and for what.
pub fn reasons<S: Schema>(
    histories: impl Strategy<Value = Vec<Vec<Op<S>>>>,
) -> (usize, usize, BTreeSet<String>) {
    let mut runner = TestRunner::deterministic();
    let (mut done, mut refused) = (0, 0);
    let mut reasons = BTreeSet::new();
    for _ in 0..200 {
        let mut database = Database::default();
        for ops in histories.new_tree(&mut runner).unwrap().current() {
            match database.commit(transaction(&ops)) {
                Ok(_) => done += 1,
                Err(refusal) => {
                    refused += 1;
                    reasons.insert(format!("{refusal:?}").split([' ', '(']).next().unwrap().to_owned());
                }
            }
        }
    }
    (done, refused, reasons)
}

/// Whether a declaration keeps to what the engine counts on.
pub fn check_declaration<S: Schema>() {
    let names: Vec<&str> = S::ALL.iter().map(|table| table.def().name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for table in S::ALL {
        let def = table.def();
        assert!(def.columns.is_sorted_by(|a, b| a.name < b.name), "{}", def.name);
        assert!(def.columns.len() <= 32, "{}: a set of columns has 32 bits", def.name);
        assert!(
            def.unique.iter().flat_map(|columns| columns.iter()).all(|name| table.column(name).is_some())
        );
        assert!(table.names().iter().all(|(name, _)| table.column(name).is_some()), "{}", def.name);
        for (other, (name, _), column) in table.names_through() {
            assert!(other.column(name).is_some() && other.column(column).is_some(), "{}", def.name);
        }
        assert_eq!(table.empty_row().table(), *table);
        for (at, column) in def.columns.iter().enumerate() {
            let datum = table.empty_row().get(at).unwrap();
            let mut row = table.empty_row();
            row.set(at, datum).unwrap();
            assert_eq!(row, table.empty_row());
            let names_rows = matches!(column.rule, Rule::Strong(_) | Rule::StrongSome(_) | Rule::Weak(_));
            let target = column.kind.value.unwrap_or(column.kind.key);
            assert!(!names_rows || target == AtomKind::Uuid, "{} {}", def.name, column.name);
        }
    }
}

/// An atom that a rule allows.
fn atom(kind: AtomKind, words: Option<&'static [&'static str]>, range: (i64, i64)) -> BoxedStrategy<Atom> {
    match kind {
        AtomKind::Integer => (range.0..=range.1).prop_map(Atom::Integer).boxed(),
        AtomKind::Boolean => any::<bool>().prop_map(Atom::Boolean).boxed(),
        AtomKind::Uuid => any::<u128>().prop_map(|uuid| Atom::Uuid(Uuid(uuid))).boxed(),
        AtomKind::Text => match words {
            Some(words) => prop::sample::select(words).prop_map(|word| Atom::Text(word.to_owned())).boxed(),
            None => prop_oneof!["[a-z]{0,3}", ".{0,8}"].prop_map(Atom::Text).boxed(),
        },
    }
}

/// Contents that a column may have, references aside.
fn contents<S: Schema>(column: &Column<S>) -> BoxedStrategy<Datum> {
    let kind = column.kind;
    // What the Rust type of a number may hold besides is for the other tests.
    let (words, range) = match column.rule {
        Rule::Words(words) => (Some(words), (0, 100)),
        Rule::Range(least, most) => (None, (least, most.min(least + 300))),
        Rule::Amounts(words, least, most) => (Some(words), (least, most.min(least + 300))),
        _ => (None, (0, 100)),
    };
    let least =
        usize::from(kind.arity == Arity::One || matches!(column.rule, Rule::Some | Rule::StrongSome(_)));
    let most = if kind.arity == Arity::Many { 2 } else { 1 };
    let key = atom(kind.key, words, range);
    match kind.value {
        None => btree_set(key, least..=most).prop_map(|set| Datum::Set(set.into_iter().collect())).boxed(),
        Some(value) => prop::collection::btree_map(key, atom(value, None, range), least..=most)
            .prop_map(|map| Datum::Map(map.into_iter().collect()))
            .boxed(),
    }
}

/// A row of any table with anything in it that its columns allow.
fn filled_row<S: Schema>() -> impl Strategy<Value = S::AnyRow> {
    prop::sample::select(S::ALL).prop_flat_map(|table| {
        let columns: Vec<_> = table.def().columns.iter().map(contents).collect();
        columns.prop_map(move |columns| {
            let mut row = table.empty_row();
            for (at, datum) in columns.into_iter().enumerate() {
                row.set(at, datum).unwrap();
            }
            row
        })
    })
}

/// Such rows.
pub fn filled<S: Schema>() -> impl Strategy<Value = Vec<(Uuid, S::AnyRow)>> {
    vec((any::<u128>().prop_map(Uuid), filled_row::<S>()), 0..12)
}

/// One of few identifiers, so that rows meet.
pub fn uuid() -> impl Strategy<Value = Uuid> {
    (1..4u128).prop_map(|number| Uuid(number << 96 | 0x1234))
}

fn uuids() -> impl Strategy<Value = BTreeSet<Uuid>> {
    btree_set(uuid(), 0..3)
}

/// No name, more often than not.
fn maybe() -> impl Strategy<Value = Option<Uuid>> {
    prop_oneof![2 => Just(None), 1 => uuid().prop_map(Some)]
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::btree_map(prop::sample::select(vec!["name".to_owned(), "x".to_owned()]), word(), 0..2)
}

fn any_row<T: Row>(row: T) -> AnyRow {
    Arc::new(row).into_any()
}

fn flow() -> impl Strategy<Value = LogicalFlow> {
    let owner = prop_oneof![
        3 => uuid().prop_map(|uuid| (Some(uuid), None)),
        1 => uuid().prop_map(|uuid| (None, Some(uuid))),
        1 => Just((None, None)),
    ];
    let pipeline = prop::sample::select(vec![Pipeline::Ingress, Pipeline::Egress]);
    // One table is out of range.
    (owner, pipeline, prop_oneof![20 => 0..3u8, 1 => Just(33)], 0..3u16, word(), pairs()).prop_map(
        |((logical_datapath, logical_dp_group), pipeline, table_id, priority, matches, external_ids)| {
            LogicalFlow {
                logical_datapath,
                logical_dp_group,
                pipeline,
                table_id,
                priority,
                matches,
                external_ids,
                ..LogicalFlow::default()
            }
        },
    )
}

/// A row of one of the tables in which something can go wrong.
pub fn row() -> impl Strategy<Value = AnyRow> {
    prop_oneof![
        (1..4u32, pairs(), uuids()).prop_map(|(tunnel_key, external_ids, load_balancers)| any_row(
            DatapathBinding { tunnel_key, external_ids, load_balancers }
        )),
        flow().prop_map(any_row),
        uuids().prop_map(|datapaths| any_row(LogicalDpGroup { datapaths })),
        (uuid(), 0..4u16, word(), maybe(), maybe(), maybe(), uuids()).prop_map(
            |(datapath, tunnel_key, logical_port, chassis, encap, ha_chassis_group, additional_chassis)| {
                any_row(PortBinding {
                    datapath,
                    tunnel_key,
                    logical_port,
                    chassis,
                    encap,
                    ha_chassis_group,
                    additional_chassis,
                    ..PortBinding::default()
                })
            }
        ),
        (uuid(), word(), uuids(), 32_768..32_770u16).prop_map(|(datapath, name, ports, tunnel_key)| any_row(
            MulticastGroup { datapath, name, ports, tunnel_key }
        )),
        (word(), uuids()).prop_map(|(name, encaps)| any_row(Chassis { name, encaps, ..Chassis::default() })),
        (word(), prop::sample::select(vec!["geneve", "vxlan", "carrier pigeon"]))
            .prop_map(|(ip, kind)| any_row(Encap { ip, kind: kind.to_owned(), ..Encap::default() })),
        maybe().prop_map(|chassis| any_row(HaChassis { chassis, ..HaChassis::default() })),
        (word(), uuids()).prop_map(|(name, ha_chassis)| any_row(HaChassisGroup {
            name,
            ha_chassis,
            ..HaChassisGroup::default()
        })),
        uuid().prop_map(|datapath| any_row(IpMulticast { datapath, ..IpMulticast::default() })),
        (uuid(), word(), prop::sample::select(vec!["10.0.0.1", "fd00::1", "fd00:0::1", "x"])).prop_map(
            |(datapath, logical_port, ip)| any_row(MacBinding {
                datapath,
                logical_port,
                ip: ip.to_owned(),
                ..MacBinding::default()
            })
        ),
        (1..3u32, prop::sample::select(vec!["02:00:00:00:00:0a", "02:00:00:00:00:0A", "x"]), 1..3u32)
            .prop_map(|(dp_key, mac, port_key)| any_row(Fdb { dp_key, mac: mac.to_owned(), port_key })),
        (word(), uuids()).prop_map(|(name, bands)| any_row(Meter { name, bands, unit: "kbps".to_owned() })),
        (1..3u32).prop_map(|rate| any_row(MeterBand { action: "drop".to_owned(), burst_size: 0, rate })),
        (word(), prop::collection::btree_map(word(), uuid(), 0..3))
            .prop_map(|(name, permissions)| any_row(RbacRole { name, permissions })),
        word().prop_map(|table| any_row(RbacPermission { table, ..RbacPermission::default() })),
        (0..3i64).prop_map(|nb_cfg| any_row(SbGlobal { nb_cfg, ..SbGlobal::default() })),
    ]
}

/// One change.
fn op() -> impl Strategy<Value = Op> {
    let delete = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, None));
    let put = (row(), uuid()).prop_map(|(row, uuid)| (row.table(), uuid, Some(row)));
    prop_oneof![1 => delete, 3 => put]
}

/// A transaction that puts most things in place, and then some that change them.
pub fn history() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let datapath = |number: u32| {
        let row = DatapathBinding { tunnel_key: 100 + number, ..DatapathBinding::default() };
        (Table::DatapathBinding, Uuid(u128::from(number) << 96 | 0x1234), Some(any_row(row)))
    };
    let first = vec(op(), 0..4).prop_map(move |mut ops| {
        ops.splice(0..0, (1..4).map(datapath));
        ops
    });
    (first, vec(vec(op(), 1..5), 0..14)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

/// The words of a line: separated by blanks, with quotes as a shell takes them.
pub fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, ' ') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if open == c => quote = None,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
