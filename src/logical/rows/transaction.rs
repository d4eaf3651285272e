//! Changes to rows, done wholly or not at all.
//!
//! The next store is made beside the present one and thrown away if it is not consistent. Order within a transaction
//! means nothing: rules, references and unique columns are looked at once everything is in place. Then, as in the
//! database server, rows of tables that are no roots go when no strong reference names them, and weak references to
//! rows that are not there are dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cell::BadValue;
use super::datum::{Atom, Datum};
use super::schema::{Column, Rule};
use super::store::Store;
use super::tables::{AnyRow, Row, Table};
use super::uuid::Uuid;

/// Rows as they are to be. What is said last of a row counts.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    rows: BTreeMap<(Table, Uuid), Option<AnyRow>>,
}

impl Transaction {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts a row, or puts it in the place of the one with its name.
    pub fn put<T: Row>(&mut self, uuid: Uuid, row: T) {
        self.put_any(uuid, Arc::new(row).into_any());
    }

    /// The same for a row of any table.
    pub fn put_any(&mut self, uuid: Uuid, row: AnyRow) {
        self.rows.insert((row.table(), uuid), Some(row));
    }

    /// Deletes a row; one that is not there stays so.
    pub fn delete(&mut self, table: Table, uuid: Uuid) {
        self.rows.insert((table, uuid), None);
    }

    /// What makes a store hold these rows and no others.
    pub fn replacing(store: &Store, rows: impl IntoIterator<Item = (Uuid, AnyRow)>) -> Self {
        let mut transaction = Self::new();
        for table in Table::ALL {
            store.rows(*table).for_each(|(uuid, _)| transaction.delete(*table, uuid));
        }
        rows.into_iter().for_each(|(uuid, row)| transaction.put_any(uuid, row));
        transaction
    }
}

/// Why a transaction is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value breaks the rule of its column.
    #[error("{table} row {uuid}: column {column}: {cause}")]
    Value {
        /// Name of the table.
        table: &'static str,
        /// The row.
        uuid: Uuid,
        /// Name of the column.
        column: &'static str,
        /// What is wrong.
        cause: BadValue,
    },
    /// Two rows have the same values.
    #[error("{table} rows {one} and {other} have the same {columns}; no two rows may")]
    NotUnique {
        /// Name of the table.
        table: &'static str,
        /// One of the rows.
        one: Uuid,
        /// The other.
        other: Uuid,
        /// Names of the columns.
        columns: String,
    },
    /// A strong reference to nothing.
    #[error(
        "{table} row {uuid}: column {column} names {target} row {missing}, which does not exist; add that row too"
    )]
    Missing {
        /// Name of the table.
        table: &'static str,
        /// The row.
        uuid: Uuid,
        /// Name of the column.
        column: &'static str,
        /// Name of the other table.
        target: &'static str,
        /// What it names.
        missing: Uuid,
    },
    /// A row goes that a strong reference names.
    #[error(
        "{target} row {gone} cannot be deleted: {table} row {uuid} names it; delete or change that row too"
    )]
    StillNamed {
        /// Name of the table.
        target: &'static str,
        /// The row.
        gone: Uuid,
        /// Name of the table of the other row.
        table: &'static str,
        /// The row that names it.
        uuid: Uuid,
    },
    /// A row that must name another one loses it.
    #[error("{table} row {uuid}: column {column} would name no row any more; delete or change this row too")]
    Bereft {
        /// Name of the table.
        table: &'static str,
        /// The row.
        uuid: Uuid,
        /// Name of the column.
        column: &'static str,
    },
    /// More rows than the table may have.
    #[error("{0} would have {1} rows and may have {2}; delete the others in the same transaction")]
    TooMany(&'static str, usize, usize),
}

impl Store {
    /// The store after a transaction, and the rows in which it may differ from this one.
    pub(super) fn apply(&self, transaction: Transaction) -> Result<(Store, Vec<(Table, Uuid)>), Refusal> {
        let mut work = Work { store: self.clone(), before: BTreeMap::new(), steps: BTreeMap::new() };
        for ((table, uuid), row) in transaction.rows {
            work.set(table, uuid, row);
        }
        work.collect_garbage();
        work.drop_weak()?;
        work.finish()
    }
}

/// A transaction under way.
struct Work {
    store: Store,
    /// The rows that were touched, as they were.
    before: BTreeMap<(Table, Uuid), Option<AnyRow>>,
    /// Changes in how often strong references name rows, not yet entered.
    steps: BTreeMap<(Table, Uuid), i64>,
}

impl Work {
    /// Gives a row its new contents. Indexes lose what was there; they get what is there at the end.
    fn set(&mut self, table: Table, uuid: Uuid, row: Option<AnyRow>) {
        let rows = self.store.tables.entry(table).or_default();
        let old = rows.get(&uuid).cloned();
        if old == row {
            return;
        }
        match &row {
            Some(row) => rows.insert_mut(uuid, row.clone()),
            None => {
                rows.remove_mut(&uuid);
            }
        }
        for (row, step) in [(&old, -1), (&row, 1)] {
            for (_, target) in row.iter().flat_map(|row| references(row, Strength::Strong)) {
                *self.steps.entry(target).or_default() += step;
            }
        }
        if let std::collections::btree_map::Entry::Vacant(place) = self.before.entry((table, uuid)) {
            if let Some(old) = &old {
                self.store.indexes.leave(uuid, old);
            }
            place.insert(old);
        }
    }

    /// How often strong references name a row.
    fn strong(&self, (table, uuid): (Table, Uuid)) -> u64 {
        let step = self.steps.get(&(table, uuid)).copied().unwrap_or_default();
        self.store.indexes.strong(table, uuid).saturating_add_signed(step)
    }

    /// Removes rows of tables that are no roots and that no strong reference names, and what only those named.
    fn collect_garbage(&mut self) {
        let mut candidates: BTreeSet<(Table, Uuid)> =
            self.before.keys().chain(self.steps.keys()).copied().collect();
        while let Some((table, uuid)) = candidates.pop_first() {
            if table.def().root || self.strong((table, uuid)) > 0 {
                continue;
            }
            if let Some(row) = self.store.row(table, uuid) {
                candidates.extend(references(row, Strength::Strong).map(|(_, target)| target));
                self.set(table, uuid, None);
            }
        }
    }

    /// Drops weak references to rows that are not there.
    fn drop_weak(&mut self) -> Result<(), Refusal> {
        // Only what was put may name a row that never was, and only rows that went may be missed by the others.
        let mut suspects: BTreeSet<(Table, Uuid)> = self.before.keys().copied().collect();
        let gone: BTreeSet<(Table, Uuid)> = suspects
            .iter()
            .filter(|(table, uuid)| self.store.row(*table, *uuid).is_none())
            .copied()
            .collect();
        let tables: BTreeSet<Table> = gone.iter().map(|(table, _)| *table).collect();
        let referring = Table::ALL.iter().filter(|table| {
            let mut columns = table.def().columns.iter();
            columns
                .any(|column| column.reference(Strength::Weak).is_some_and(|target| tables.contains(&target)))
        });
        for table in referring {
            let rows = self.store.rows(*table);
            let missing = rows
                .filter(|(_, row)| references(row, Strength::Weak).any(|(_, target)| gone.contains(&target)));
            suspects.extend(missing.map(|(uuid, _)| (*table, uuid)));
        }
        for (table, uuid) in suspects {
            let Some(row) = self.store.row(table, uuid) else { continue };
            let mut pruned = row.clone();
            for (at, column) in table.def().columns.iter().enumerate() {
                let Some(target) = column.reference(Strength::Weak) else { continue };
                let Some(datum) = row.get(at) else { continue };
                let kept = keep(&datum, |uuid| self.store.row(target, uuid).is_some());
                if kept.len() < datum.len() {
                    pruned.set(at, kept).map_err(|_| Refusal::Bereft {
                        table: table.def().name,
                        uuid,
                        column: column.name,
                    })?;
                }
            }
            self.set(table, uuid, Some(pruned));
        }
        Ok(())
    }

    /// Looks whether the store is consistent, and brings the indexes up to date.
    fn finish(mut self) -> Result<(Store, Vec<(Table, Uuid)>), Refusal> {
        for ((table, uuid), step) in std::mem::take(&mut self.steps) {
            let count = self.store.indexes.strong(table, uuid).saturating_add_signed(step);
            self.store.indexes.set_strong(table, uuid, count);
        }
        for (table, uuid) in self.before.keys().copied() {
            let def = table.def();
            // Cheap, since the contents are shared; it frees the store to have its indexes changed.
            let Some(row) = self.store.row(table, uuid).cloned() else {
                if self.store.indexes.strong(table, uuid) > 0 {
                    return Err(self.still_named(table, uuid));
                }
                continue;
            };
            for (at, column) in def.columns.iter().enumerate() {
                let datum = row.get(at).unwrap_or(Datum::Set(Vec::new()));
                column.check(&datum).map_err(|cause| Refusal::Value {
                    table: def.name,
                    uuid,
                    column: column.name,
                    cause,
                })?;
            }
            for (column, (target, missing)) in references(&row, Strength::Strong) {
                if self.store.row(target, missing).is_none() {
                    let (table, target, column) = (def.name, target.def().name, column.name);
                    return Err(Refusal::Missing { table, uuid, column, target, missing });
                }
            }
            self.store.indexes.enter(uuid, &row).map_err(|clash| Refusal::NotUnique {
                table: def.name,
                one: clash.other,
                other: uuid,
                columns: clash.columns.join(", "),
            })?;
        }
        for table in self.before.keys().map(|(table, _)| *table).collect::<BTreeSet<_>>() {
            let (rows, def) = (self.store.len(table), table.def());
            if rows > def.max_rows {
                return Err(Refusal::TooMany(def.name, rows, def.max_rows));
            }
        }
        let store = self.store;
        let touched = self.before.into_iter();
        let touched = touched.filter(|((table, uuid), old)| store.row(*table, *uuid) != old.as_ref());
        let touched = touched.map(|(name, _)| name).collect();
        Ok((store, touched))
    }

    /// The refusal to delete a row that another one names.
    fn still_named(&self, target: Table, gone: Uuid) -> Refusal {
        let mut rows = Table::ALL.iter().flat_map(|table| self.store.rows(*table));
        let names = |row: &AnyRow| references(row, Strength::Strong).any(|(_, name)| name == (target, gone));
        let (table, uuid) = match rows.find(|(_, row)| names(row)) {
            Some((uuid, row)) => (row.table().def().name, uuid),
            None => ("another", gone),
        };
        Refusal::StillNamed { target: target.def().name, gone, table, uuid }
    }
}

/// What becomes of a reference when its row goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// The row may not go.
    Strong,
    /// The reference goes too.
    Weak,
}

/// The references of a row, with their columns.
fn references(row: &AnyRow, strength: Strength) -> impl Iterator<Item = (&'static Column, (Table, Uuid))> {
    let columns = row.table().def().columns.iter().enumerate();
    columns.filter_map(move |(at, column)| Some((at, column, column.reference(strength)?))).flat_map(
        move |(at, column, target)| {
            let datum = row.get(at).unwrap_or(Datum::Set(Vec::new()));
            let uuids: Vec<Uuid> = uuids(&datum).collect();
            uuids.into_iter().map(move |uuid| (column, (target, uuid)))
        },
    )
}

/// The identifiers in a value: the values of a map, the members of a set.
fn uuids(datum: &Datum) -> impl Iterator<Item = Uuid> {
    let (set, map): (&[Atom], &[(Atom, Atom)]) = match datum {
        Datum::Set(set) => (set, &[]),
        Datum::Map(map) => (&[], map),
    };
    set.iter().chain(map.iter().map(|(_, value)| value)).filter_map(uuid_of)
}

fn uuid_of(atom: &Atom) -> Option<Uuid> {
    match atom {
        Atom::Uuid(uuid) => Some(*uuid),
        _ => None,
    }
}

/// What remains of a value if only some identifiers stay.
fn keep(datum: &Datum, stays: impl Fn(Uuid) -> bool) -> Datum {
    let stays = |atom: &&Atom| uuid_of(atom).is_none_or(&stays);
    match datum {
        Datum::Set(set) => Datum::Set(set.iter().filter(stays).cloned().collect()),
        Datum::Map(map) => Datum::Map(map.iter().filter(|(_, value)| stays(&value)).cloned().collect()),
    }
}

impl Column {
    /// The table that it refers to in this way.
    fn reference(&self, strength: Strength) -> Option<Table> {
        match (self.rule, strength) {
            (Rule::Strong(table) | Rule::StrongSome(table), Strength::Strong) => Some(table),
            (Rule::Weak(table), Strength::Weak) => Some(table),
            _ => None,
        }
    }

    /// Whether a value keeps its rule, references aside.
    pub(super) fn check(&self, datum: &Datum) -> Result<(), BadValue> {
        match self.rule {
            Rule::Range(least, most) => {
                for atom in datum.keys() {
                    if let Atom::Integer(number) = atom
                        && !(least..=most).contains(number)
                    {
                        return Err(BadValue::Range(*number, least, most));
                    }
                }
            }
            Rule::Words(words) => {
                for atom in datum.keys() {
                    if let Atom::Text(text) = atom
                        && !words.contains(&text.as_str())
                    {
                        return Err(BadValue::Word(text.clone(), words.join(", ")));
                    }
                }
            }
            Rule::StrongSome(_) if datum.is_empty() => {
                return Err(BadValue::Count("at least one value is", 0));
            }
            Rule::Any | Rule::Strong(_) | Rule::StrongSome(_) | Rule::Weak(_) => {}
        }
        Ok(())
    }
}
