//! A snapshot of all rows, and what it can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::datum::{Atom, Datum};
use super::index::{Indexes, Strength};
use super::schema::{Row, Schema};
use super::uuid::Uuid;

/// All rows at one moment. A clone shares everything with its origin.
#[derive(Clone)]
pub struct Store<S: Schema> {
    /// Tables without rows may be missing.
    pub(super) tables: BTreeMap<S, RedBlackTreeMapSync<Uuid, S::AnyRow>>,
    pub(super) indexes: Indexes<S>,
}

impl<S: Schema> Default for Store<S> {
    fn default() -> Self {
        Self { tables: BTreeMap::new(), indexes: Indexes::default() }
    }
}

impl<S: Schema> Store<S> {
    /// A row, typed.
    pub fn get<R: Row<S>>(&self, uuid: Uuid) -> Option<&Arc<R>> {
        R::from_any(self.row(R::TABLE, uuid)?)
    }

    /// A row.
    pub fn row(&self, table: S, uuid: Uuid) -> Option<&S::AnyRow> {
        self.tables.get(&table)?.get(&uuid)
    }

    /// The rows of a table, typed, by identifier.
    pub fn iter<R: Row<S>>(&self) -> impl Iterator<Item = (Uuid, &Arc<R>)> {
        self.rows(R::TABLE).filter_map(|(uuid, row)| Some((uuid, R::from_any(row)?)))
    }

    /// The rows of a table, by identifier.
    pub fn rows(&self, table: S) -> impl Iterator<Item = (Uuid, &S::AnyRow)> {
        self.tables.get(&table).into_iter().flat_map(|rows| rows.iter().map(|(uuid, row)| (*uuid, row)))
    }

    /// The rows of a table whose identifiers begin with a word, in their order.
    pub fn beginning_with(&self, table: S, word: u32) -> impl Iterator<Item = Uuid> {
        let first = u128::from(word) << 96;
        let (first, last) = (Uuid(first), Uuid(first | u128::MAX >> 32));
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(move |rows| rows.range(first..=last).map(|(uuid, _)| *uuid))
    }

    /// How many rows a table has.
    pub fn len(&self, table: S) -> usize {
        self.tables.get(&table).map_or(0, RedBlackTreeMapSync::size)
    }

    /// Number of rows of all tables.
    pub fn count(&self) -> usize {
        self.tables.values().map(RedBlackTreeMapSync::size).sum()
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(RedBlackTreeMapSync::is_empty)
    }

    /// The row that has these values in the columns of one of its table's unique indexes, by the number of that.
    pub(crate) fn by_unique<R: Row<S>>(&self, index: usize, values: Vec<Atom>) -> Option<(Uuid, &Arc<R>)> {
        let (uuid, row) = self.rows_by_unique(R::TABLE, index, values).next()?;
        Some((uuid, R::from_any(row)?))
    }

    /// The same for a row of any table; in the middle of a change there may be several.
    pub(crate) fn rows_by_unique(
        &self,
        table: S,
        index: usize,
        values: Vec<Atom>,
    ) -> impl Iterator<Item = (Uuid, &S::AnyRow)> {
        let key = values.into_iter().map(Datum::one).collect();
        let holders = self.indexes.unique(table, index, key).iter();
        holders.filter_map(move |uuid| Some((*uuid, self.row(table, *uuid)?)))
    }

    /// The database's own indexes.
    pub(crate) fn own(&self) -> &S::Index {
        &self.indexes.own
    }

    /// The rows that name a row by strong references, by table and identifier: those that keep it.
    pub fn parents(&self, table: S, uuid: Uuid) -> impl Iterator<Item = (S, Uuid)> {
        self.indexes.referrers((table, uuid), Strength::Strong)
    }

    /// Those of one table, typed, such as the switch of a port.
    pub fn parents_of<R: Row<S>>(&self, table: S, uuid: Uuid) -> impl Iterator<Item = (Uuid, &Arc<R>)> {
        let parents = self.indexes.referrers_of((table, uuid), R::TABLE, Strength::Strong);
        parents.filter_map(|uuid| Some((uuid, self.get(uuid)?)))
    }

    /// The rows of a table that name a row by weak references, typed, such as the groups of a port.
    pub fn mentions_of<R: Row<S>>(&self, table: S, uuid: Uuid) -> impl Iterator<Item = (Uuid, &Arc<R>)> {
        let mentions = self.indexes.referrers_of((table, uuid), R::TABLE, Strength::Weak);
        mentions.filter_map(|uuid| Some((uuid, self.get(uuid)?)))
    }
}

/// A text as a value.
pub(crate) fn text(text: &str) -> Atom {
    Atom::Text(text.to_owned())
}
