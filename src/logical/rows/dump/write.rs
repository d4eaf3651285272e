//! Writes a dump, in the form and the order in which `ovsdb-client --format=json dump` prints one.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Value, json};

use crate::logical::rows::datum::{Atom, AtomKind, Datum};
use crate::logical::rows::schema::{Schema, Untyped};
use crate::logical::rows::store::Store;
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

/// All rows of a store as a dump, which [`read_of`](super::read_of) reads as the same rows. They are written as they are
/// printed, one by one.
pub fn write<S: Schema>(store: &Store<S>) -> Dumped<'_, S> {
    Dumped(store)
}

/// Rows that print as a dump.
pub struct Dumped<'a, S: Schema>(&'a Store<S>);

impl<S: Schema> fmt::Display for Dumped<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        S::ALL.iter().try_for_each(|table| write_table(f, self.0, *table))
    }
}

fn write_table<S: Schema>(f: &mut fmt::Formatter<'_>, store: &Store<S>, table: S) -> fmt::Result {
    let def = table.def();
    let mut rows: Vec<(Uuid, &S::AnyRow)> = store.rows(table).collect();
    rows.sort_by(|(_, one), (_, other)| {
        // Identifiers, which are anything, count last; and rows come in the order of their own.
        let columns = def.columns.iter().enumerate();
        let columns = columns.filter(|(_, column)| column.kind.key != AtomKind::Uuid);
        let mut columns = columns.map(|(at, _)| compare(one.get(at), other.get(at)));
        columns.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    write!(f, "{{\"caption\":{},\"data\":[", json!(format!("{} table", def.name)))?;
    for (number, (uuid, row)) in rows.into_iter().enumerate() {
        let own = text::to_json(&Datum::one(Atom::Uuid(uuid)));
        let others = (0..def.columns.len()).filter_map(|at| Some(text::to_json(&row.get(at)?)));
        let cells: Vec<Value> = [own].into_iter().chain(others).collect();
        write!(f, "{}{}", if number > 0 { "," } else { "" }, Value::Array(cells))?;
    }
    let headings = ["_uuid"].into_iter().chain(def.columns.iter().map(|column| column.name));
    writeln!(f, "],\"headings\":{}}}", json!(headings.collect::<Vec<_>>()))
}

/// The smaller is first; of the same size, the keys decide, and then the values.
fn compare(one: Option<Datum>, other: Option<Datum>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.compare(&other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::logical::nb;
    use crate::logical::rows::database::Database;
    use crate::logical::rows::dump::read_of;
    use crate::logical::rows::tables::Table;
    use crate::logical::rows::testing::{filled, rows_of};
    use crate::logical::rows::transaction::Transaction;

    fn loaded<S: Schema>(text: &str) -> Store<S> {
        let mut database = Database::default();
        let rows = read_of::<S>(text).unwrap().rows;
        database.commit(Transaction::replacing(database.snapshot(), rows)).unwrap();
        database.snapshot().clone()
    }

    fn is_the_same_again<S: Schema>(path: &str) {
        let path = format!("{}/tests/data/ovn/{path}", env!("CARGO_MANIFEST_DIR"));
        let real = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let own = write(&loaded::<S>(&real)).to_string();
        for (own, real) in own.lines().zip(real.lines()) {
            assert_eq!(own, real);
        }
        assert_eq!(own.len(), real.len());
    }

    #[rstest]
    fn a_real_dump_is_written_again_byte_by_byte(#[values("s1-l2", "s2-l3", "s3-rich")] scenario: &str) {
        is_the_same_again::<Table>(&format!("{scenario}/sb-dump.json"));
        is_the_same_again::<nb::Table>(&format!("{scenario}/nb-dump.json"));
    }

    #[test]
    fn odd_values_are_written_again_byte_by_byte() {
        is_the_same_again::<Table>("sbctl/sb-dump.json");
        is_the_same_again::<nb::Table>("nbctl/nb-dump.json");
    }

    /// Rows of any contents that keep to the types and rules of their columns, loaded from what was written of them.
    fn is_read_as_it_was<S: Schema>(rows: &[(Uuid, S::AnyRow)]) -> Result<(), TestCaseError> {
        let mut store = Store::<S>::default();
        let mut edit = crate::logical::rows::edit::Edit::on(&store);
        rows.iter().for_each(|(uuid, row)| edit.put_any(*uuid, row.clone()));
        store.clone_from(edit.rows());
        let text = write(&store).to_string();
        let mut edit = crate::logical::rows::edit::Edit::on(&Store::<S>::default());
        let read = read_of::<S>(&text).unwrap();
        prop_assert!(read.lacks().is_empty());
        read.rows.into_iter().for_each(|(uuid, row)| edit.put_any(uuid, row));
        prop_assert_eq!(rows_of(edit.rows()), rows_of(&store));
        prop_assert_eq!(write(edit.rows()).to_string(), text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn southbound_rows_are_read_as_they_were(rows in filled::<Table>()) {
            is_read_as_it_was::<Table>(&rows)?;
        }

        #[test]
        fn northbound_rows_are_read_as_they_were(rows in filled::<nb::Table>()) {
            is_read_as_it_was::<nb::Table>(&rows)?;
        }
    }
}
