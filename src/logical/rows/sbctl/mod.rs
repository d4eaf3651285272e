//! Answers as `ovn-sbctl` prints them: the same commands, abbreviations, conditions and forms.
//!
//! Rows are printed in the order of their names where `ovn-sbctl` has no order.

mod condition;
mod keys;
mod lflow;
pub(super) mod names;
mod show;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};

use super::cell::BadValue;
use super::datum::{Arity, Atom, Datum, Kind};
use super::schema::Schema;
use super::store::Store;
use super::tables::Table;
use super::text::{self, BadText};
use super::uuid::Uuid;
use crate::logical::error::shortened;
use condition::Condition;
pub use keys::{BadKeys, Difference, Keys};
pub use lflow::{LflowList, lflow_list};

use names::{ColumnName, column, record};
pub use show::{Show, show};
pub use table::{Data, Format, Listing, Style};

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SbctlError {
    /// No table of that name.
    #[error("unknown table \"{name}\"; the tables are {1}", name = shortened(.0))]
    NoTable(String, String),
    /// A name that is short for several tables.
    #[error("multiple table names match \"{name}\": {1}; write more of one", name = shortened(.0))]
    Tables(String, String),
    /// No column of that name.
    #[error("{0} does not contain a column whose name matches \"{name}\"; its columns are {2}", name = shortened(.1))]
    NoColumn(&'static str, String, String),
    /// A name that is short for several columns.
    #[error("{0} contains more than one column whose name matches \"{name}\": {2}; write more of one", name = shortened(.1))]
    Columns(&'static str, String, String),
    /// A list of columns without one.
    #[error("must specify at least one column name; write such as --columns=_uuid,external_ids")]
    NoColumns,
    /// More of them than any table has.
    #[error("{0} columns are too many; name {1} at most")]
    TooManyColumns(usize, usize),
    /// No such row.
    #[error("no row \"{name}\" in table {0}; `list {0}` shows the rows", name = shortened(.1))]
    NoRow(&'static str, String),
    /// A name that several rows have.
    #[error("multiple rows in {0} match \"{name}\"; give the UUID of one", name = shortened(.1))]
    Rows(&'static str, String),
    /// The beginning of several identifiers.
    #[error("{0} contains 2 or more rows whose UUIDs begin with {1}: at least {2} and {3}; give more of one")]
    Uuids(&'static str, String, Uuid, Uuid),
    /// A key for a column that is no map.
    #[error("cannot specify key for non-map column {0}; leave \":KEY\" out")]
    NotAMap(&'static str),
    /// A key that the map has not.
    #[error(
        "no key \"{key}\" in {table} record \"{record}\" column {column}; --if-exists makes it an empty line",
        key = shortened(key), record = shortened(record)
    )]
    NoKey {
        /// The key as it was written.
        key: String,
        /// Name of the table.
        table: &'static str,
        /// The row as it was written.
        record: String,
        /// Name of the column.
        column: &'static str,
    },
    /// A word without a name of a column.
    #[error("{word}: missing column name; write such as external_ids or external_ids:name", word = shortened(.0))]
    NoName(String),
    /// A condition without an operator or a value.
    #[error("{word}: argument does not end in {1} followed by a value", word = shortened(.0))]
    NoOperator(String, String),
    /// Text behind a column's name.
    #[error(
        "{word}: trailing garbage \"{rest}\" in argument; end it behind the name of the column or the key",
        word = shortened(.0), rest = shortened(.1)
    )]
    Garbage(String, String),
    /// A value that cannot be read.
    #[error("{word}: {1}", word = shortened(.0))]
    Value(String, BadText),
    /// A value that the column cannot have.
    #[error("{word}: {1}", word = shortened(.0))]
    Impossible(String, BadValue),
    /// Something that is no identifier of a flow.
    #[error("{word} is not a UUID or the beginning of a UUID, nor a datapath", word = shortened(.0))]
    NotAFlow(String),
    /// No such format.
    #[error("unknown output format \"{word}\"; write list, table, csv or json", word = shortened(.0))]
    Format(String),
    /// No such form of data.
    #[error("unknown data format \"{word}\"; write string, bare or json", word = shortened(.0))]
    Data(String),
}

/// The table of the Southbound database that a name means.
pub fn table(written: &str) -> Result<Table, SbctlError> {
    names::table(written)
}

/// `list TABLE [RECORD…]`: rows, one as often as it is named, or all rows.
pub fn list<S: Schema>(
    store: &Store<S>,
    table_name: &str,
    records: &[String],
    columns: Option<&str>,
    if_exists: bool,
) -> Result<Listing<S>, SbctlError> {
    let table = names::table::<S>(table_name)?;
    let mut listing = Listing::new(table, names::columns(table, columns)?);
    if records.is_empty() {
        store.rows(table).for_each(|(uuid, row)| listing.push(uuid, row));
    }
    for name in records {
        match record(store, table, name)? {
            Some((uuid, row)) => listing.push(uuid, row),
            None if if_exists => {}
            None => return Err(SbctlError::NoRow(table.def().name, name.clone())),
        }
    }
    Ok(listing)
}

/// `find TABLE [COLUMN[:KEY]=VALUE…]`: the rows that meet all conditions.
pub fn find<S: Schema>(
    store: &Store<S>,
    table_name: &str,
    conditions: &[String],
    columns: Option<&str>,
) -> Result<Listing<S>, SbctlError> {
    let table = names::table::<S>(table_name)?;
    let mut listing = Listing::new(table, names::columns(table, columns)?);
    let conditions =
        conditions.iter().map(|word| Condition::parse(table, word)).collect::<Result<Vec<_>, _>>()?;
    for (uuid, row) in store.rows(table) {
        if conditions.iter().all(|condition| condition.holds(uuid, row)) {
            listing.push(uuid, row);
        }
    }
    Ok(listing)
}

/// `get TABLE RECORD [COLUMN[:KEY]…]`: values.
pub fn get<S: Schema>(
    store: &Store<S>,
    table_name: &str,
    record_name: &str,
    columns: &[String],
    if_exists: bool,
) -> Result<Values, SbctlError> {
    let table = names::table::<S>(table_name)?;
    let places = columns.iter().map(|word| Place::parse(table, word)).collect::<Result<Vec<_>, _>>()?;
    let Some((uuid, row)) = record(store, table, record_name)? else {
        let missing = SbctlError::NoRow(table.def().name, record_name.to_owned());
        return if if_exists { Ok(Values(Vec::new())) } else { Err(missing) };
    };
    let value = |place: Place| {
        let (datum, kind) = (place.column.get(uuid, row), place.column.kind(table));
        let Some((word, key)) = place.key else { return Ok(Some((datum, kind))) };
        match (datum.value(&key), kind.value) {
            (Some(value), Some(key)) => {
                Ok(Some((Datum::one(value.clone()), Kind { key, value: None, arity: Arity::One })))
            }
            _ if if_exists => Ok(None),
            _ => Err(SbctlError::NoKey {
                key: word,
                table: table.def().name,
                record: record_name.to_owned(),
                column: place.column.name(table),
            }),
        }
    };
    Ok(Values(places.into_iter().map(value).collect::<Result<_, _>>()?))
}

/// The name of the row that a word means.
pub fn row<S: Schema>(store: &Store<S>, table_name: &str, record_name: &str) -> Result<Uuid, SbctlError> {
    let table = names::table::<S>(table_name)?;
    let found = record(store, table, record_name)?;
    found.map(|(uuid, _)| uuid).ok_or_else(|| SbctlError::NoRow(table.def().name, record_name.to_owned()))
}

/// Values as `get` prints them, one a line; one that is not there is an empty line.
pub struct Values(Vec<Option<(Datum, Kind)>>);

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|value| match value {
            Some((datum, kind)) => writeln!(f, "{}", text::print(datum, *kind)),
            None => writeln!(f),
        })
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.iter().map(|value| value.as_ref().map(|(datum, _)| text::to_json(datum))))
    }
}

/// A column, or a key of a map in it.
struct Place {
    column: ColumnName,
    /// As it was written, and what it means.
    key: Option<(String, Atom)>,
}

impl Place {
    /// From a whole word.
    fn parse<S: Schema>(table: S, word: &str) -> Result<Self, SbctlError> {
        let (place, rest) = Self::parse_prefix(table, word)?;
        if rest.is_empty() { Ok(place) } else { Err(SbctlError::Garbage(word.to_owned(), rest.to_owned())) }
    }

    /// From the beginning of a word, and the rest of it.
    fn parse_prefix<S: Schema>(table: S, word: &str) -> Result<(Self, &str), SbctlError> {
        let bad = |cause| SbctlError::Value(word.to_owned(), cause);
        let (name, mut rest) = text::token(word).map_err(bad)?;
        if name.is_empty() {
            return Err(SbctlError::NoName(word.to_owned()));
        }
        let column = column(table, &name)?;
        let mut key = None;
        if let Some(behind) = rest.strip_prefix(':') {
            let (token, behind) = text::token(behind).map_err(bad)?;
            let kind = column.kind(table);
            if kind.value.is_none() {
                return Err(SbctlError::NotAMap(column.name(table)));
            }
            key = Some((token.clone().into_owned(), text::parse_atom(&token, kind.key).map_err(bad)?));
            rest = behind;
        }
        Ok((Place { column, key }, rest))
    }
}

impl<S: Schema> Listing<S> {
    fn push(&mut self, uuid: Uuid, row: &S::AnyRow) {
        self.rows.push((uuid, row.clone()));
    }
}
