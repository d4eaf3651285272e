//! Reads and writes what `ovsdb-client --format=json dump` writes: one JSON object a table, with caption, headings and data.
//!
//! Tables and columns that are not known are skipped, and columns that are not there have their defaults, so that a
//! dump of another release is read as far as it goes. Nothing is checked here but types; what holds between rows is
//! the transaction's concern. Types, ranges, words and unique columns count in every known table, also in those that
//! nothing here interprets, such as Mirror: a database server would not have such a row, so the dump is damaged or of a
//! release that changed the column, and the sentence says which one to leave out.
//!
//! A row is made as soon as it is read, and how much memory all of them take is bounded: JSON of a few bytes a value
//! would become many times as much.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::cell::BadValue;
use super::datum::{Atom, Datum};
use super::schema::{Column, Schema, Tables, Untyped};
use super::tables::Table;
use super::transaction::Refusal;
use super::uuid::{BadUuid, Uuid};

/// Most bytes of one dump.
pub const MAX_DUMP: usize = 256 << 20;
/// Most bytes that the values of one dump may take, beside the texts in them. Real dumps take three to four bytes a byte
/// of text by this count, so that one of [`MAX_DUMP`] bytes passes.
const MAX_MEMORY: usize = 1 << 30;

/// Why a text is not a dump of a database.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    /// Not JSON, or of another form.
    #[error(
        "not a dump as `ovsdb-client --format=json dump` writes it: {0}; write one with \
         `ovsdb-client --format=json dump SERVER {1}`"
    )]
    Form(serde_json::Error, &'static str),
    /// Begun by a byte-order mark.
    #[error("the dump begins with a byte-order mark, which JSON has not; remove its first three bytes")]
    Mark,
    /// Of the other database.
    #[error("this is a dump of a {0} database; load one of {1}")]
    Other(&'static str, &'static str),
    /// No table that is known.
    #[error("there is no table of {0} in the dump; load one of {1}")]
    Nothing(&'static str, &'static str),
    /// A table twice.
    #[error("table {0} is in the dump twice; load one dump at a time")]
    Twice(&'static str),
    /// A table without names of rows.
    #[error("table {0} has no column _uuid; dump all columns")]
    NoUuid(&'static str),
    /// A heading twice.
    #[error("table {0} has two columns {1}; the dump is damaged")]
    TwoColumns(&'static str, String),
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
    /// More values than may be kept.
    #[error(
        "the dump holds too many values, and nothing is read of it; leave out tables that a chassis does not read"
    )]
    TooLarge,
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

/// Why the rows of a dump cannot take the place of all rows, in the words of whoever loads it: nothing can be mended row
/// by row, only another dump be made.
#[derive(Debug)]
pub struct Unfit(pub Refusal);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Refusal::Missing { table, uuid, column, target, missing } => {
                write!(f, "{table} row {uuid}: column {column} names {target} row {missing}")?;
                f.write_str(", which is not in the dump")?;
            }
            Refusal::StillNamed { target, gone, table, uuid } => {
                write!(f, "{table} row {uuid} names {target} row {gone}, which is not in the dump")?;
            }
            Refusal::Bereft { table, uuid, column } => {
                write!(f, "{table} row {uuid}: column {column} names a row that is not in the dump")?;
            }
            Refusal::TooMany(table, rows, most) => {
                write!(f, "{table} has {rows} rows in the dump and may have {most}")?;
            }
            refusal @ (Refusal::Value { .. } | Refusal::NotUnique { .. }) => write!(f, "{refusal}")?,
        }
        f.write_str("; load a dump of the whole database")
    }
}

/// What a dump holds.
#[derive(Debug)]
pub struct Dump<S: Schema> {
    /// The rows.
    pub rows: Vec<(Uuid, S::AnyRow)>,
    /// The known tables that it has, with rows or without.
    pub tables: BTreeSet<S>,
}

impl<S: Schema> Dump<S> {
    /// The tables without which it cannot be a whole dump, which has the heading of every table, also of an empty one.
    /// None where it seems to be whole; other releases lack some tables.
    pub fn lacks(&self) -> Vec<&'static str> {
        let lacks = S::ALL.iter().filter(|table| !self.tables.contains(table));
        let lacks: Vec<S> = lacks.copied().collect();
        let is_cut = lacks.len() > S::ALL.len() / 2 || lacks.iter().any(|table| S::ESSENTIAL.contains(table));
        if is_cut { lacks.iter().map(|table| table.def().name).collect() } else { Vec::new() }
    }
}

/// The rows of a dump of the Southbound database.
pub fn read(text: &str) -> Result<Vec<(Uuid, <Table as Tables>::AnyRow)>, BadDump> {
    Ok(read_whole(text)?.rows)
}

/// All that a dump of the Southbound database holds.
pub fn read_whole(text: &str) -> Result<Dump<Table>, BadDump> {
    read_of(text)
}

/// All that a dump of some database holds.
pub fn read_of<S: Schema>(text: &str) -> Result<Dump<S>, BadDump> {
    read_within(text, MAX_MEMORY)
}

/// The same of a text that we wrote of rows that were there, so that it may take as much memory as they took.
pub(in crate::logical) fn read_own<S: Schema>(text: &str) -> Result<Dump<S>, BadDump> {
    read_within(text, usize::MAX)
}

fn read_within<S: Schema>(text: &str, memory: usize) -> Result<Dump<S>, BadDump> {
    if text.starts_with('\u{feff}') {
        return Err(BadDump::Mark);
    }
    let mut reading = Reading { rows: Vec::new(), left: memory, bad: None };
    let mut seen = BTreeSet::new();
    let mut input = serde_json::Deserializer::from_str(text);
    // Twice through the text, since the headings stand behind the data that they explain.
    let form = |cause| BadDump::Form(cause, S::DATABASE);
    for outline in serde_json::Deserializer::from_str(text).into_iter::<Outline>() {
        let outline = outline.map_err(form)?;
        let name = outline.caption.strip_suffix(" table").unwrap_or(&outline.caption);
        let Some(table) = S::ALL.iter().find(|table| table.def().name == name) else {
            match name {
                "NB_Global" => return Err(BadDump::Other("Northbound", S::DATABASE)),
                "SB_Global" => return Err(BadDump::Other("Southbound", S::DATABASE)),
                _ => {}
            }
            IgnoredAny::deserialize(&mut input).map_err(form)?;
            continue;
        };
        if !seen.insert(*table) {
            return Err(BadDump::Twice(table.def().name));
        }
        let shape = Shape::new(*table, outline.headings)?;
        let read = TableSeed { shape: &shape, reading: &mut reading }.deserialize(&mut input);
        // What is wrong with rows is told better than by the reader of JSON, which only stops.
        if let Some(bad) = reading.bad.take() {
            return Err(bad);
        }
        read.map_err(form)?;
    }
    if seen.is_empty() {
        return Err(BadDump::Nothing(S::NAMED, S::DATABASE));
    }
    Ok(Dump { rows: reading.rows, tables: seen })
}

/// What explains the data of a table.
#[derive(serde::Deserialize)]
#[serde(expecting = "a table of a dump, which is an object with caption, headings and data")]
struct Outline {
    caption: String,
    headings: Vec<String>,
    #[serde(rename = "data")]
    _data: IgnoredAny,
}

/// Where the columns of a table stand in its rows.
struct Shape<S> {
    table: S,
    headings: Vec<String>,
    /// By heading; none of a column that is not known.
    columns: Vec<Option<usize>>,
    uuid_at: usize,
}

impl<S: Schema> Shape<S> {
    fn new(table: S, headings: Vec<String>) -> Result<Self, BadDump> {
        let uuid_at = headings.iter().position(|heading| heading == "_uuid");
        let uuid_at = uuid_at.ok_or(BadDump::NoUuid(table.def().name))?;
        let mut names = BTreeSet::new();
        if let Some(twice) = headings.iter().find(|heading| !names.insert(heading.as_str())) {
            return Err(BadDump::TwoColumns(table.def().name, twice.clone()));
        }
        let columns = headings.iter().map(|heading| table.column(heading)).collect();
        Ok(Self { table, headings, columns, uuid_at })
    }
}

/// What has been read.
struct Reading<S: Schema> {
    rows: Vec<(Uuid, S::AnyRow)>,
    /// Bytes that rows may still take.
    left: usize,
    /// Why reading stopped, if not for the form of the text.
    bad: Option<BadDump>,
}

impl<S: Schema> Reading<S> {
    /// Stops for a reason of its own.
    fn stop<E: de::Error>(&mut self, bad: BadDump) -> E {
        self.bad = Some(bad);
        E::custom("stopped")
    }

    /// Takes memory for so many values.
    fn take<E: de::Error>(&mut self, values: usize) -> Result<(), E> {
        match self.left.checked_sub(values * size_of::<Atom>()) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.stop(BadDump::TooLarge)),
        }
    }
}

/// Reads the rows of a table.
struct TableSeed<'a, S: Schema> {
    shape: &'a Shape<S>,
    reading: &'a mut Reading<S>,
}

impl<'de, S: Schema> DeserializeSeed<'de> for TableSeed<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for TableSeed<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "data" {
                map.next_value_seed(RowsSeed { shape: self.shape, reading: self.reading })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct RowsSeed<'a, S: Schema> {
    shape: &'a Shape<S>,
    reading: &'a mut Reading<S>,
}

impl<'de, S: Schema> DeserializeSeed<'de> for RowsSeed<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for RowsSeed<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rows of a table")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let table = self.shape.table;
        let mut names = BTreeSet::new();
        for number in 1.. {
            let seed = RowSeed { shape: self.shape, reading: &mut *self.reading, number };
            let Some((uuid, row)) = seq.next_element_seed(seed)? else { break };
            if !names.insert(uuid) {
                return Err(self.reading.stop(BadDump::TwoRows(table.def().name, uuid)));
            }
            self.reading.rows.push((uuid, row));
        }
        Ok(())
    }
}

struct RowSeed<'a, S: Schema> {
    shape: &'a Shape<S>,
    reading: &'a mut Reading<S>,
    /// Which row, from 1.
    number: usize,
}

impl<'de, S: Schema> DeserializeSeed<'de> for RowSeed<'_, S> {
    type Value = (Uuid, S::AnyRow);

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for RowSeed<'_, S> {
    type Value = (Uuid, S::AnyRow);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let RowSeed { shape, reading, number } = self;
        let def = shape.table.def();
        let (table, headings) = (def.name, shape.columns.len());
        // Empty columns take memory too.
        reading.take(def.columns.len())?;
        let bad = |at: usize, cause| {
            let column = shape.headings.get(at).cloned().unwrap_or_default();
            BadDump::Value { table, number, column, cause }
        };
        let mut row = shape.table.empty_row();
        let mut uuid = None;
        let mut cells = 0;
        for (at, column) in shape.columns.iter().enumerate() {
            let is_there = if at == shape.uuid_at {
                let cell = seq.next_element_seed(PieceSeed(reading))?;
                if let Some(cell) = &cell {
                    match cell {
                        Piece::Atom(Atom::Uuid(name)) => uuid = Some(*name),
                        Piece::Other(Some(odd)) => return Err(reading.stop(bad(at, odd.clone().into()))),
                        _ => return Err(reading.stop(bad(at, BadValue::Kind("a UUID")))),
                    }
                }
                cell.is_some()
            } else if let Some(column) = column {
                let cell = seq.next_element_seed(PieceSeed(reading))?;
                let is_there = cell.is_some();
                if let Some(cell) = cell {
                    let datum = match &def.columns.get(*column) {
                        Some(def) => cell.into_datum(def),
                        None => Ok(Datum::Set(Vec::new())),
                    };
                    datum
                        .and_then(|datum| row.set(*column, datum))
                        .map_err(|cause| reading.stop(bad(at, cause)))?;
                }
                is_there
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !is_there {
                break;
            }
            cells += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            cells += 1;
        }
        match uuid {
            Some(uuid) if cells == headings => Ok((uuid, row)),
            _ => Err(reading.stop(BadDump::Width { table, number, cells, headings })),
        }
    }
}

/// What stands in a cell or in a part of it.
enum Piece {
    Atom(Atom),
    /// A set or a map.
    Whole(Datum),
    /// What no column can hold; for one reason it may be what is no identifier.
    Other(Option<BadUuid>),
}

impl Piece {
    /// The value, if it keeps the rule of a column. That is looked at here and again by the transaction, since here it
    /// is known where the value stands.
    fn into_datum<S>(self, column: &Column<S>) -> Result<Datum, BadValue> {
        let datum = match self {
            Piece::Atom(atom) => Datum::one(atom),
            Piece::Whole(datum) => datum,
            Piece::Other(Some(odd)) => return Err(odd.into()),
            Piece::Other(None) => return Err(BadValue::Kind(column.kind.name())),
        };
        column.check(&datum)?;
        Ok(datum)
    }

    fn into_atom(self) -> Result<Atom, Option<BadUuid>> {
        match self {
            Piece::Atom(atom) => Ok(atom),
            Piece::Whole(_) => Err(None),
            Piece::Other(odd) => Err(odd),
        }
    }

    fn into_text(self) -> Option<String> {
        match self {
            Piece::Atom(Atom::Text(text)) => Some(text),
            _ => None,
        }
    }
}

struct PieceSeed<'a, S: Schema>(&'a mut Reading<S>);

impl<'de, S: Schema> DeserializeSeed<'de> for PieceSeed<'_, S> {
    type Value = Piece;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Piece, D::Error> {
        self.0.take(1)?;
        input.deserialize_any(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for PieceSeed<'_, S> {
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
        Ok(i64::try_from(number).map_or(Piece::Other(None), |number| Piece::Atom(Atom::Integer(number))))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Piece, E> {
        Ok(Piece::Other(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Piece, E> {
        Ok(Piece::Atom(Atom::Text(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Piece, E> {
        Ok(Piece::Other(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Piece, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Piece::Other(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Piece, A::Error> {
        let tag = seq.next_element_seed(PieceSeed(&mut *self.0))?.and_then(Piece::into_text);
        let piece = match tag.as_deref() {
            Some("uuid") => {
                let text = seq.next_element_seed(PieceSeed(&mut *self.0))?.and_then(Piece::into_text);
                text.map(|text| match text.parse() {
                    Ok(uuid) => Piece::Atom(Atom::Uuid(uuid)),
                    Err(odd) => Piece::Other(Some(odd)),
                })
            }
            Some("set") => {
                let set = seq.next_element_seed(AtomsSeed(&mut *self.0))?;
                set.map(|set| set.map_or_else(Piece::Other, |set| Piece::Whole(Datum::Set(set))))
            }
            Some("map") => {
                let map = seq.next_element_seed(PairsSeed(&mut *self.0))?;
                map.map(|map| map.map_or_else(Piece::Other, |map| Piece::Whole(Datum::Map(map))))
            }
            _ => None,
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(piece.unwrap_or(Piece::Other(None)))
    }
}

/// Reads the members of a set, or the first thing among them that is none.
struct AtomsSeed<'a, S: Schema>(&'a mut Reading<S>);

impl<'de, S: Schema> DeserializeSeed<'de> for AtomsSeed<'_, S> {
    type Value = Result<Vec<Atom>, Option<BadUuid>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for AtomsSeed<'_, S> {
    type Value = Result<Vec<Atom>, Option<BadUuid>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the members of a set, or a key and its value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut atoms = Ok(Vec::new());
        while let Some(piece) = seq.next_element_seed(PieceSeed(&mut *self.0))? {
            atoms = atoms.and_then(|mut atoms: Vec<Atom>| {
                atoms.push(piece.into_atom()?);
                Ok(atoms)
            });
        }
        Ok(atoms)
    }
}

/// Reads the pairs of a map, or the first thing among them that is none.
struct PairsSeed<'a, S: Schema>(&'a mut Reading<S>);

impl<'de, S: Schema> DeserializeSeed<'de> for PairsSeed<'_, S> {
    type Value = Result<Vec<(Atom, Atom)>, Option<BadUuid>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, S: Schema> Visitor<'de> for PairsSeed<'_, S> {
    type Value = Result<Vec<(Atom, Atom)>, Option<BadUuid>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pairs of a map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Ok(Vec::new());
        while let Some(pair) = seq.next_element_seed(AtomsSeed(&mut *self.0))? {
            pairs = pairs.and_then(|mut pairs: Vec<(Atom, Atom)>| {
                let [key, value] = <[Atom; 2]>::try_from(pair?).map_err(|_| None)?;
                pairs.push((key, value));
                Ok(pairs)
            });
        }
        Ok(pairs)
    }
}

mod write;
pub use write::{Dumped, write};

#[cfg(test)]
mod tests;
