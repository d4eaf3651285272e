//! The commands that change rows.

use std::borrow::Cow;

use super::{DbctlError, Symbols};
use crate::logical::rows::datum::{Arity, Atom, AtomKind, Datum, Kind};
use crate::logical::rows::edit::Edit;
use crate::logical::rows::sbctl::SbctlError;
use crate::logical::rows::sbctl::names::{self, ColumnName};
use crate::logical::rows::schema::{Rule, Schema, Untyped};
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

/// A column of a table that can be changed.
#[derive(Clone, Copy)]
struct Target<S> {
    table: S,
    column: usize,
}

impl<S: Schema> Target<S> {
    fn named(table: S, written: &str) -> Result<Self, DbctlError> {
        match names::column(table, written)? {
            ColumnName::Column(column) => Ok(Self { table, column }),
            ColumnName::Uuid => Err(DbctlError::Name(table.def().name)),
        }
    }

    fn name(self) -> &'static str {
        ColumnName::Column(self.column).name(self.table)
    }

    fn kind(self) -> Kind {
        ColumnName::Column(self.column).kind(self.table)
    }

    /// Whether it may be empty.
    fn may_be_empty(self) -> bool {
        let def = self.table.def().columns.get(self.column);
        def.is_some_and(|def| {
            def.kind.arity != Arity::One && !matches!(def.rule, Rule::Some | Rule::StrongSome(_))
        })
    }

    /// Its contents in a row.
    fn get(self, row: &S::AnyRow) -> Datum {
        row.get(self.column).unwrap_or(Datum::Set(Vec::new()))
    }

    fn set(self, row: &mut S::AnyRow, datum: Datum) -> Result<(), DbctlError> {
        row.set(self.column, datum).map_err(|cause| DbctlError::Contents { column: self.name(), cause })
    }

    /// A value of a type, of which each part is one that the column may have. With `is_part` there may be as many parts as
    /// one likes, but one at least.
    fn value(
        self,
        kind: Kind,
        word: &str,
        is_part: bool,
        symbols: &mut Symbols,
    ) -> Result<Datum, DbctlError> {
        let column = self.name();
        let datum = text::parse_naming(word, kind, &mut |name| Some(symbols.mention(name)))
            .map_err(|cause| DbctlError::Text { column, cause })?;
        if is_part && datum.is_empty() {
            return Err(DbctlError::Nothing { column, word: word.to_owned() });
        }
        ColumnName::Column(self.column)
            .check(self.table, &datum, is_part)
            .map_err(|cause| DbctlError::Contents { column, cause })?;
        Ok(datum)
    }

    /// One half of a pair of a map.
    fn half(self, kind: AtomKind, word: &str, symbols: &mut Symbols) -> Result<Atom, DbctlError> {
        text::parse_atom_naming(word, kind, &mut |name| Some(symbols.mention(name)))
            .map_err(|cause| DbctlError::Text { column: self.name(), cause })
    }
}

/// `COLUMN=VALUE` or `COLUMN:KEY=VALUE`.
struct Assignment<'a, S> {
    target: Target<S>,
    /// The key, and its type and that of its value.
    key: Option<(Cow<'a, str>, AtomKind, AtomKind)>,
    value: &'a str,
}

impl<'a, S: Schema> Assignment<'a, S> {
    fn parse(table: S, word: &'a str) -> Result<Self, DbctlError> {
        let bad = |cause| SbctlError::Value(word.to_owned(), cause);
        let (name, mut rest) = text::token(word).map_err(bad)?;
        if name.is_empty() {
            return Err(SbctlError::NoName(word.to_owned()).into());
        }
        let target = Target::named(table, &name)?;
        let mut key = None;
        if let Some(behind) = rest.strip_prefix(':') {
            let (token, behind) = text::token(behind).map_err(bad)?;
            let kind = target.kind();
            let value = kind.value.ok_or(SbctlError::NotAMap(target.name()))?;
            key = Some((token, kind.key, value));
            rest = behind;
        }
        let value = rest.strip_prefix('=').filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| DbctlError::NoAssignment(word.to_owned()))?;
        Ok(Self { target, key, value })
    }

    /// Does it to a row.
    fn apply(&self, row: &mut S::AnyRow, symbols: &mut Symbols) -> Result<(), DbctlError> {
        let target = self.target;
        let Some((key, key_kind, value_kind)) = &self.key else {
            let datum = target.value(target.kind(), self.value, false, symbols)?;
            return target.set(row, datum);
        };
        let key = target.half(*key_kind, key, symbols)?;
        let value = target.half(*value_kind, self.value, symbols)?;
        let one = Datum::Map(vec![(key, value)]);
        let column = target.name();
        ColumnName::Column(target.column)
            .check(target.table, &one, false)
            .map_err(|cause| DbctlError::Contents { column, cause })?;
        let merged = union(one, target.get(row));
        target.set(row, merged)
    }
}

/// All of one value, and what the other has besides.
fn union(one: Datum, other: Datum) -> Datum {
    match (one, other) {
        (Datum::Map(mut map), Datum::Map(others)) => {
            for (key, value) in others {
                if !map.iter().any(|(own, _)| *own == key) {
                    map.push((key, value));
                }
            }
            map.sort();
            Datum::Map(map)
        }
        (Datum::Set(mut set), Datum::Set(others)) => {
            set.extend(others);
            set.sort();
            set.dedup();
            Datum::Set(set)
        }
        (one, _) => one,
    }
}

/// What is left of a value without the parts of another: of a map without those keys, if the other is a set.
fn difference(from: Datum, less: &Datum) -> Datum {
    match (from, less) {
        (Datum::Map(map), Datum::Map(less)) => {
            Datum::Map(map.into_iter().filter(|pair| !less.contains(pair)).collect())
        }
        (Datum::Map(map), Datum::Set(less)) => {
            Datum::Map(map.into_iter().filter(|(key, _)| !less.contains(key)).collect())
        }
        (Datum::Set(set), less) => {
            let less: Vec<&Atom> = less.keys().collect();
            Datum::Set(set.into_iter().filter(|atom| !less.contains(&atom)).collect())
        }
    }
}

/// The row that is meant; none if it may be missing and is.
fn row_of<S: Schema>(
    edit: &Edit<S>,
    table: S,
    record: &str,
    if_exists: bool,
) -> Result<Option<(Uuid, S::AnyRow)>, DbctlError> {
    match names::record(edit.rows(), table, record)? {
        Some((uuid, row)) => Ok(Some((uuid, row.clone()))),
        None if if_exists => Ok(None),
        None => Err(SbctlError::NoRow(table.def().name, record.to_owned()).into()),
    }
}

/// `set TABLE RECORD COLUMN[:KEY]=VALUE…`: gives columns, or keys in them, new values.
pub fn set<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    table: &str,
    record: &str,
    assignments: &[String],
    if_exists: bool,
) -> Result<(), DbctlError> {
    let table = names::table::<S>(table)?;
    let assignments = parse_all(table, assignments)?;
    let Some((uuid, mut row)) = row_of(edit, table, record, if_exists)? else { return Ok(()) };
    for assignment in &assignments {
        assignment.apply(&mut row, symbols)?;
    }
    edit.put_any(uuid, row);
    Ok(())
}

fn parse_all<S: Schema>(table: S, words: &[String]) -> Result<Vec<Assignment<'_, S>>, DbctlError> {
    words.iter().map(|word| Assignment::parse(table, word)).collect()
}

/// `add TABLE RECORD COLUMN [KEY=]VALUE…`: adds values to a column. Keys that are there keep their values.
pub fn add<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    (table, record, column): (&str, &str, &str),
    values: &[String],
    if_exists: bool,
) -> Result<(), DbctlError> {
    let table = names::table::<S>(table)?;
    let target = Target::named(table, column)?;
    let Some((uuid, mut row)) = row_of(edit, table, record, if_exists)? else { return Ok(()) };
    let mut datum = target.get(&row);
    for word in values {
        datum = union(datum, target.value(part_of(target.kind()), word, true, symbols)?);
    }
    let count = datum.len();
    if target.kind().arity != Arity::Many && count > 1 {
        return Err(DbctlError::TooMany { table: table.def().name, column: target.name(), count });
    }
    target.set(&mut row, datum)?;
    edit.put_any(uuid, row);
    Ok(())
}

/// The type of any number of parts of a value.
fn part_of(kind: Kind) -> Kind {
    Kind { arity: Arity::Many, ..kind }
}

/// `remove TABLE RECORD COLUMN VALUE…`: takes values out of a column; of a map keys, or pairs of key and value.
pub fn remove<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    (table, record, column): (&str, &str, &str),
    values: &[String],
    if_exists: bool,
) -> Result<(), DbctlError> {
    let table = names::table::<S>(table)?;
    let target = Target::named(table, column)?;
    let Some((uuid, mut row)) = row_of(edit, table, record, if_exists)? else { return Ok(()) };
    let mut datum = target.get(&row);
    let kind = part_of(target.kind());
    for word in values {
        let less = match target.value(kind, word, true, symbols) {
            Err(_) if kind.value.is_some() => {
                target.value(Kind { value: None, ..kind }, word, true, symbols)?
            }
            other => other?,
        };
        datum = difference(datum, &less);
    }
    if datum.is_empty() && !target.may_be_empty() {
        let (table, column) = (table.def().name, target.name());
        return Err(DbctlError::TooFew { command: "remove", table, column });
    }
    target.set(&mut row, datum)?;
    edit.put_any(uuid, row);
    Ok(())
}

/// `clear TABLE RECORD COLUMN…`: takes all values out of columns.
pub fn clear<S: Schema>(
    edit: &mut Edit<S>,
    table: &str,
    record: &str,
    columns: &[String],
    if_exists: bool,
) -> Result<(), DbctlError> {
    let table = names::table::<S>(table)?;
    let targets = columns.iter().map(|column| Target::named(table, column));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let Some((uuid, mut row)) = row_of(edit, table, record, if_exists)? else { return Ok(()) };
    for target in targets {
        if !target.may_be_empty() {
            let (table, column) = (table.def().name, target.name());
            return Err(DbctlError::TooFew { command: "clear", table, column });
        }
        let is_map = target.kind().value.is_some();
        target.set(&mut row, if is_map { Datum::Map(Vec::new()) } else { Datum::Set(Vec::new()) })?;
    }
    edit.put_any(uuid, row);
    Ok(())
}

/// `[--id=@NAME|UUID] create TABLE COLUMN[:KEY]=VALUE…`: makes a row and gives its name. It stays if its table keeps rows by
/// itself, or if another row names it.
pub fn create<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    table: &str,
    id: Option<&str>,
    assignments: &[String],
) -> Result<Uuid, DbctlError> {
    let table = names::table::<S>(table)?;
    let assignments = parse_all(table, assignments)?;
    let uuid = match id {
        None => Uuid::random(),
        Some(id) => match id.parse() {
            Ok(uuid) if edit.has_had(table, uuid) => {
                return Err(DbctlError::Taken(table.def().name, uuid));
            }
            Ok(uuid) => uuid,
            Err(_) => symbols.give(id)?,
        },
    };
    let mut row = table.empty_row();
    // A set that must not be empty begins with the one value that a single one would have.
    for (at, column) in table.def().columns.iter().enumerate() {
        if let Rule::Some = column.rule {
            let target = Target { table, column: at };
            target.set(&mut row, Datum::one(column.kind.key.least()))?;
        }
    }
    for assignment in &assignments {
        assignment.apply(&mut row, symbols)?;
    }
    edit.put_any(uuid, row);
    Ok(uuid)
}

/// `destroy TABLE RECORD…` or `--all destroy TABLE`: deletes rows. Those that stay only while others name them go when no
/// other does, so nothing is done to them here.
pub fn destroy<S: Schema>(
    edit: &mut Edit<S>,
    table: &str,
    records: &[String],
    all: bool,
    if_exists: bool,
) -> Result<(), DbctlError> {
    let table = names::table::<S>(table)?;
    if all && !records.is_empty() {
        return Err(DbctlError::Both("--all", "naming records"));
    }
    if all && if_exists {
        return Err(DbctlError::Both("--all", "--if-exists"));
    }
    if all && table.def().root {
        let names: Vec<Uuid> = edit.rows().rows(table).map(|(uuid, _)| uuid).collect();
        names.into_iter().for_each(|uuid| edit.delete(table, uuid));
    }
    for record in records {
        if let Some((uuid, _)) = row_of(edit, table, record, if_exists)?
            && table.def().root
        {
            edit.delete(table, uuid);
        }
    }
    Ok(())
}
