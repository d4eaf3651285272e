//! Rows in the middle of a change: what was done so far can be read, and the rules are looked at when all is done.
//!
//! Commands that are joined to one transaction work on one [`Edit`], each sees what those before it did, and nobody else
//! sees anything of it. As in the database's own clients, rows that nothing refers to any more are still seen until the
//! end, and so are references to rows that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cell::BadValue;
use super::datum::{Atom, Datum};
use super::index::{Strength, named, only_first, uuid_of};
use super::schema::{Row, Schema, Untyped};
use super::store::Store;
use super::transaction::{Refusal, Transaction};
use super::uuid::Uuid;

/// A store after a change, and the rows in which it may differ from the one before, by table and name.
pub(super) type Finished<S> = (Store<S>, Vec<(S, Uuid)>);

/// Rows that are being changed.
#[derive(Clone)]
pub struct Edit<S: Schema> {
    /// As they are now, consistent or not.
    store: Store<S>,
    /// The rows that were touched, as they were.
    before: BTreeMap<(S, Uuid), Option<S::AnyRow>>,
    /// Rows that were once named more often.
    orphans: BTreeSet<(S, Uuid)>,
}

impl<S: Schema> Edit<S> {
    /// Nothing is changed yet.
    pub fn on(base: &Store<S>) -> Self {
        Self { store: base.clone(), before: BTreeMap::new(), orphans: BTreeSet::new() }
    }

    /// The rows as they are now, with all that a store can be asked.
    pub fn rows(&self) -> &Store<S> {
        &self.store
    }

    /// Inserts a row under a new name.
    pub fn insert<R: Row<S>>(&mut self, row: R) -> Uuid {
        let uuid = Uuid::random();
        self.put(uuid, row);
        uuid
    }

    /// Inserts a row, or puts it in the place of the one with its name.
    pub fn put<R: Row<S>>(&mut self, uuid: Uuid, row: R) {
        self.put_any(uuid, Arc::new(row).into_any());
    }

    /// The same for a row of any table.
    pub fn put_any(&mut self, uuid: Uuid, row: S::AnyRow) {
        self.set(row.table(), uuid, Some(row));
    }

    /// Changes a row, and says whether it is there.
    pub fn update<R: Row<S>>(&mut self, uuid: Uuid, change: impl FnOnce(&mut R)) -> bool {
        let Some(row) = self.store.get::<R>(uuid) else { return false };
        let mut row = row.clone();
        change(Arc::make_mut(&mut row));
        self.put_any(uuid, row.into_any());
        true
    }

    /// Sets a column of a row of any table, by its number, if the value is of its type, and says whether the row is
    /// there.
    pub fn set_column(
        &mut self,
        table: S,
        uuid: Uuid,
        column: usize,
        datum: Datum,
    ) -> Result<bool, BadValue> {
        let Some(row) = self.store.row(table, uuid) else { return Ok(false) };
        let mut row = row.clone();
        row.set(column, datum)?;
        self.put_any(uuid, row);
        Ok(true)
    }

    /// Deletes a row; one that is not there stays so.
    pub fn delete(&mut self, table: S, uuid: Uuid) {
        self.set(table, uuid, None);
    }

    /// Whether a row of a name is there, or was when the change began: then no other may get its name.
    pub fn has_had(&self, table: S, uuid: Uuid) -> bool {
        self.store.row(table, uuid).is_some() || self.before.contains_key(&(table, uuid))
    }

    /// What was done so far, as a transaction.
    pub fn transaction(&self) -> Transaction<S> {
        let mut transaction = Transaction::new();
        for ((table, uuid), old) in &self.before {
            match self.store.row(*table, *uuid) {
                row if row == old.as_ref() => {}
                Some(row) => transaction.put_any(*uuid, row.clone()),
                None => transaction.delete(*table, *uuid),
            }
        }
        transaction
    }

    /// Gives a row its new contents.
    pub(super) fn set(&mut self, table: S, uuid: Uuid, row: Option<S::AnyRow>) {
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
        let orphans = self.store.indexes.replace((table, uuid), old.as_ref(), row.as_ref());
        self.orphans.extend(orphans);
        self.before.entry((table, uuid)).or_insert(old);
    }

    /// The store after all that was done, if it is consistent, and the rows in which it may differ from the first.
    pub(super) fn finish(mut self) -> Result<Finished<S>, Refusal> {
        // What was done and undone is not looked at.
        let store = &self.store;
        self.before.retain(|(table, uuid), old| store.row(*table, *uuid) != old.as_ref());
        self.collect_garbage()?;
        self.drop_weak()?;
        for ((table, uuid), old) in &self.before {
            self.check(*table, *uuid, old.as_ref())?;
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

    /// Removes rows of tables that are no roots and that no strong reference names, and what only those named.
    fn collect_garbage(&mut self) -> Result<(), Refusal> {
        let mut candidates: BTreeSet<(S, Uuid)> = self.before.keys().chain(&self.orphans).copied().collect();
        while let Some((table, uuid)) = candidates.pop_first() {
            if table.def().root || self.store.parents(table, uuid).next().is_some() {
                continue;
            }
            if let Some(row) = self.store.row(table, uuid) {
                // Nobody will see what was put, but it must be what it could have been.
                if self.before.contains_key(&(table, uuid)) {
                    check_values(table, uuid, row)?;
                }
                candidates.extend(named::<S>(row, Strength::Strong).map(|(_, target)| target));
                self.set(table, uuid, None);
            }
        }
        Ok(())
    }

    /// Drops weak references to rows that are not there.
    fn drop_weak(&mut self) -> Result<(), Refusal> {
        // Only what was put may name a row that never was, and only rows that went may be missed by the others.
        let mut suspects: BTreeSet<(S, Uuid)> = BTreeSet::new();
        for ((table, uuid), old) in &self.before {
            match self.store.row(*table, *uuid) {
                None => suspects.extend(self.store.indexes.referrers((*table, *uuid), Strength::Weak)),
                Some(row) => {
                    let new = only_first::<S>(Some(row), old.as_ref(), Strength::Weak);
                    if new.iter().any(|(table, uuid)| self.store.row(*table, *uuid).is_none()) {
                        suspects.insert((*table, *uuid));
                    }
                }
            }
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

    /// Looks whether what became of a row is consistent, if that before was.
    fn check(&self, table: S, uuid: Uuid, old: Option<&S::AnyRow>) -> Result<(), Refusal> {
        let def = table.def();
        let Some(row) = self.store.row(table, uuid) else {
            return match self.store.parents(table, uuid).next() {
                Some((other, by)) => Err(Refusal::StillNamed {
                    target: def.name,
                    gone: uuid,
                    table: other.def().name,
                    uuid: by,
                }),
                None => Ok(()),
            };
        };
        check_values(table, uuid, row)?;
        // A row that was named before and is gone is found by its own check.
        let is_missing = |(table, uuid): &(S, Uuid)| self.store.row(*table, *uuid).is_none();
        let mut added = only_first::<S>(Some(row), old, Strength::Strong).into_iter();
        if let Some(name) = added.find(is_missing)
            && let Some((column, (target, missing))) =
                named::<S>(row, Strength::Strong).find(|(_, target)| *target == name)
        {
            let (table, target, column) = (def.name, target.def().name, column.name);
            return Err(Refusal::Missing { table, uuid, column, target, missing });
        }
        match self.store.indexes.clash(uuid, row) {
            Some(clash) => Err(Refusal::NotUnique {
                table: def.name,
                one: clash.other.min(uuid),
                other: clash.other.max(uuid),
                columns: clash.columns.join(", "),
            }),
            None => Ok(()),
        }
    }
}

/// Looks whether the values of a row keep the rules of their columns.
fn check_values<S: Schema>(table: S, uuid: Uuid, row: &S::AnyRow) -> Result<(), Refusal> {
    let def = table.def();
    for (at, column) in def.columns.iter().enumerate().filter(|(_, column)| column.is_choosy()) {
        let datum = row.get(at).unwrap_or(Datum::Set(Vec::new()));
        column.check(&datum).map_err(|cause| Refusal::Value {
            table: def.name,
            uuid,
            column: column.name,
            cause,
        })?;
    }
    Ok(())
}

/// What remains of a value if only some identifiers stay.
fn keep(datum: &Datum, stays: impl Fn(Uuid) -> bool) -> Datum {
    let stays = |atom: &&Atom| uuid_of(atom).is_none_or(&stays);
    match datum {
        Datum::Set(set) => Datum::Set(set.iter().filter(stays).cloned().collect()),
        Datum::Map(map) => Datum::Map(map.iter().filter(|(_, value)| stays(&value)).cloned().collect()),
    }
}
