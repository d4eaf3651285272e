//! Changes to rows, done wholly or not at all.
//!
//! The next store is made beside the present one and thrown away if it is not consistent. Order within a transaction
//! means nothing: rules, references and unique columns are looked at once everything is in place. Then, as in the
//! database server, rows of tables that are no roots go when no strong reference names them, and weak references to
//! rows that are not there are dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::BadValue;
use super::datum::{Atom, Datum};
use super::edit::{Edit, Finished};
use super::schema::{Column, Row, Rule, Schema, Untyped};
use super::store::Store;
use super::uuid::Uuid;

/// Rows as they are to be. What is said last of a row counts.
#[derive(Clone, Debug)]
pub struct Transaction<S: Schema> {
    rows: BTreeMap<(S, Uuid), Option<S::AnyRow>>,
}

impl<S: Schema> Default for Transaction<S> {
    fn default() -> Self {
        Self { rows: BTreeMap::new() }
    }
}

impl<S: Schema> Transaction<S> {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts a row, or puts it in the place of the one with its name.
    pub fn put<R: Row<S>>(&mut self, uuid: Uuid, row: R) {
        self.put_any(uuid, Arc::new(row).into_any());
    }

    /// The same for a row of any table.
    pub fn put_any(&mut self, uuid: Uuid, row: S::AnyRow) {
        self.rows.insert((row.table(), uuid), Some(row));
    }

    /// Deletes a row; one that is not there stays so.
    pub fn delete(&mut self, table: S, uuid: Uuid) {
        self.rows.insert((table, uuid), None);
    }

    /// What makes a store hold these rows and no others.
    pub fn replacing(store: &Store<S>, rows: impl IntoIterator<Item = (Uuid, S::AnyRow)>) -> Self {
        let mut transaction = Self::new();
        for table in S::ALL {
            store.rows(*table).for_each(|(uuid, _)| transaction.delete(*table, uuid));
        }
        rows.into_iter().for_each(|(uuid, row)| transaction.put_any(uuid, row));
        transaction
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as they are to be, none for those that are to go, by table and name.
    pub fn rows(&self) -> impl Iterator<Item = (S, Uuid, Option<&S::AnyRow>)> {
        self.rows.iter().map(|((table, uuid), row)| (*table, *uuid, row.as_ref()))
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

impl<S: Schema> Store<S> {
    /// The store after a transaction, and the rows in which it may differ from this one.
    pub(super) fn apply(&self, transaction: Transaction<S>) -> Result<Finished<S>, Refusal> {
        let mut edit = Edit::on(self);
        for ((table, uuid), row) in transaction.rows {
            edit.set(table, uuid, row);
        }
        edit.finish()
    }
}

impl<S> Column<S> {
    /// Whether there are values that do not keep its rule, references aside.
    pub(super) fn is_choosy(&self) -> bool {
        !matches!(self.rule, Rule::Any | Rule::Strong(_) | Rule::Weak(_))
    }

    /// Whether a value keeps its rule, references aside.
    pub(super) fn check(&self, datum: &Datum) -> Result<(), BadValue> {
        match self.rule {
            Rule::Range(least, most) => check_range(datum.keys(), least, most)?,
            Rule::Words(words) => check_words(datum, words)?,
            Rule::Length(most) => {
                for atom in datum.keys() {
                    if let Atom::Text(text) = atom
                        && text.chars().count() > most
                    {
                        return Err(BadValue::Length(text.chars().count(), most));
                    }
                }
            }
            Rule::Amounts(words, least, most) => {
                check_words(datum, words)?;
                check_range(datum.values(), least, most)?;
            }
            Rule::StrongSome(_) | Rule::Some if datum.is_empty() => {
                return Err(BadValue::Count("at least one value is", 0));
            }
            Rule::Any | Rule::Some | Rule::Strong(_) | Rule::StrongSome(_) | Rule::Weak(_) => {}
        }
        Ok(())
    }
}

fn check_range<'a>(atoms: impl Iterator<Item = &'a Atom>, least: i64, most: i64) -> Result<(), BadValue> {
    for atom in atoms {
        if let Atom::Integer(number) = atom
            && !(least..=most).contains(number)
        {
            return Err(BadValue::Range(*number, least, most));
        }
    }
    Ok(())
}

fn check_words(datum: &Datum, words: &[&str]) -> Result<(), BadValue> {
    for atom in datum.keys() {
        if let Atom::Text(text) = atom
            && !words.contains(&text.as_str())
        {
            return Err(BadValue::Word(text.clone(), words.join(", ")));
        }
    }
    Ok(())
}
