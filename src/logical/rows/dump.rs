//! Reads what `ovsdb-client --format=json dump` writes: one JSON object a table, with caption, headings and data.
//!
//! Tables and columns that are not known are skipped, and columns that are not there have their defaults, so that a
//! dump of another release is read as far as it goes. Nothing is checked here but types; what holds between rows is
//! the transaction's concern.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::cell::BadValue;
use super::datum::{Atom, Datum};
use super::tables::{AnyRow, Table};
use super::uuid::Uuid;

/// Most bytes of one dump.
pub const MAX_DUMP: usize = 256 << 20;

/// Why a text is not a dump of a Southbound database.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    /// Not JSON, or of another form.
    #[error(
        "not a dump as `ovsdb-client --format=json dump` writes it: {0}; write one with \
         `ovsdb-client --format=json dump SERVER OVN_Southbound`"
    )]
    Form(#[from] serde_json::Error),
    /// Of the other database.
    #[error("this is a dump of a Northbound database; load one of OVN_Southbound")]
    Northbound,
    /// No table that is known.
    #[error("there is no table of a Southbound database in the dump; load one of OVN_Southbound")]
    Nothing,
    /// A table twice.
    #[error("table {0} is in the dump twice; load one dump at a time")]
    Twice(&'static str),
    /// A table without names of rows.
    #[error("table {0} has no column _uuid; dump all columns")]
    NoUuid(&'static str),
    /// A row of another length than the headings.
    #[error("table {table}, row {number}: {cells} cells under {headings} headings; the dump is damaged")]
    Width {
        /// Name of the table.
        table: &'static str,
        /// Which row, from 1.
        number: usize,
        /// How many cells it has.
        cells: usize,
        /// How many headings there are.
        headings: usize,
    },
    /// Two rows with one name.
    #[error("table {0} has row {1} twice; the dump is damaged")]
    TwoRows(&'static str, Uuid),
    /// A value that its column does not take.
    #[error("table {table}, row {number}: column {column}: {cause}")]
    Value {
        /// Name of the table.
        table: &'static str,
        /// Which row, from 1.
        number: usize,
        /// Name of the column.
        column: String,
        /// What is wrong.
        cause: BadValue,
    },
}

/// The rows of a dump.
pub fn read(text: &str) -> Result<Vec<(Uuid, AnyRow)>, BadDump> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for dumped in serde_json::Deserializer::from_str(text).into_iter::<DumpedTable>() {
        let dumped = dumped?;
        let name = dumped.caption.strip_suffix(" table").unwrap_or(&dumped.caption);
        if name == "NB_Global" {
            return Err(BadDump::Northbound);
        }
        let Some(table) = Table::ALL.iter().find(|table| table.def().name == name) else { continue };
        if !seen.insert(*table) {
            return Err(BadDump::Twice(table.def().name));
        }
        dumped.read_rows(*table, &mut rows)?;
    }
    if seen.is_empty() { Err(BadDump::Nothing) } else { Ok(rows) }
}

/// A table as it is dumped.
#[derive(serde::Deserialize)]
struct DumpedTable {
    caption: String,
    headings: Vec<String>,
    data: Vec<Vec<Piece>>,
}

impl DumpedTable {
    fn read_rows(self, table: Table, rows: &mut Vec<(Uuid, AnyRow)>) -> Result<(), BadDump> {
        let name = table.def().name;
        let uuid_at =
            self.headings.iter().position(|heading| heading == "_uuid").ok_or(BadDump::NoUuid(name))?;
        let columns: Vec<Option<usize>> = self.headings.iter().map(|heading| table.column(heading)).collect();
        let mut names = BTreeSet::new();
        for (number, cells) in (1..).zip(self.data) {
            if cells.len() != columns.len() {
                let (cells, headings) = (cells.len(), columns.len());
                return Err(BadDump::Width { table: name, number, cells, headings });
            }
            let bad = |at: usize, cause| {
                let column = self.headings.get(at).cloned().unwrap_or_default();
                BadDump::Value { table: name, number, column, cause }
            };
            let mut row = table.empty_row();
            let mut uuid = None;
            for (at, (cell, column)) in cells.into_iter().zip(&columns).enumerate() {
                if at == uuid_at {
                    match cell.into_atom() {
                        Some(Atom::Uuid(name)) => uuid = Some(name),
                        _ => return Err(bad(at, BadValue::Kind("a UUID"))),
                    }
                } else if let Some(column) = column {
                    let datum = cell.into_datum().map_err(|cause| bad(at, cause))?;
                    row.set(*column, datum).map_err(|cause| bad(at, cause))?;
                }
            }
            let uuid = uuid.ok_or(BadDump::NoUuid(name))?;
            if !names.insert(uuid) {
                return Err(BadDump::TwoRows(name, uuid));
            }
            rows.push((uuid, row));
        }
        Ok(())
    }
}

/// What stands in a cell or in a part of it. What no column here can hold matters only where the column is known, so
/// the complaint is kept.
enum Piece {
    Atom(Atom),
    /// A set or a map.
    Whole(Datum),
    Other,
}

impl Piece {
    fn into_datum(self) -> Result<Datum, BadValue> {
        match self {
            Piece::Atom(atom) => Ok(Datum::one(atom)),
            Piece::Whole(datum) => Ok(datum),
            Piece::Other => Err(BadValue::Kind("a string, an integer, a Boolean, a UUID, a set or a map")),
        }
    }

    fn into_atom(self) -> Option<Atom> {
        match self {
            Piece::Atom(atom) => Some(atom),
            Piece::Whole(_) | Piece::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(PieceVisitor)
    }
}

struct PieceVisitor;

impl<'de> Visitor<'de> for PieceVisitor {
    type Value = Piece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a column")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Piece, E> {
        Ok(Piece::Atom(Atom::Boolean(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Piece, E> {
        Ok(Piece::Atom(Atom::Integer(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Piece, E> {
        Ok(i64::try_from(number).map_or(Piece::Other, |number| Piece::Atom(Atom::Integer(number))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Piece, E> {
        Ok(Piece::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Piece, E> {
        Ok(Piece::Atom(Atom::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Piece, E> {
        Ok(Piece::Atom(Atom::Text(text)))
    }

    fn visit_unit<E>(self) -> Result<Piece, E> {
        Ok(Piece::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Piece, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Piece::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Piece, A::Error> {
        let tag = seq.next_element::<Piece>()?.and_then(Piece::into_atom);
        let piece = match tag {
            Some(Atom::Text(tag)) if tag == "uuid" => {
                let text = seq.next_element::<Piece>()?.and_then(Piece::into_atom);
                match text {
                    Some(Atom::Text(text)) => text.parse().ok().map(|uuid| Piece::Atom(Atom::Uuid(uuid))),
                    _ => None,
                }
            }
            Some(Atom::Text(tag)) if tag == "set" => {
                let set: Vec<Piece> = seq.next_element()?.unwrap_or_default();
                let set: Option<Vec<Atom>> = set.into_iter().map(Piece::into_atom).collect();
                set.map(|set| Piece::Whole(Datum::Set(set)))
            }
            Some(Atom::Text(tag)) if tag == "map" => {
                let map: Vec<(Piece, Piece)> = seq.next_element()?.unwrap_or_default();
                let pair = |(key, value): (Piece, Piece)| Some((key.into_atom()?, value.into_atom()?));
                let map: Option<Vec<(Atom, Atom)>> = map.into_iter().map(pair).collect();
                map.map(|map| Piece::Whole(Datum::Map(map)))
            }
            _ => None,
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(piece.unwrap_or(Piece::Other))
    }
}

#[cfg(test)]
mod tests;
