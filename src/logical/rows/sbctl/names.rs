//! Tables, columns and rows by the names that people write: abbreviated, in any case, with hyphens or underscores.

use super::SbctlError;
use crate::logical::rows::cell::{BadValue, Cell, Scalar};
use crate::logical::rows::datum::{Arity, Atom, Datum, Kind};
use crate::logical::rows::schema::{NameColumn, Schema, Untyped};
use crate::logical::rows::store::Store;
use crate::logical::rows::uuid::Uuid;

/// Most columns of a list of them, which may name a column more than once.
const MAX_COLUMNS: usize = 64;

/// A column of a table, or the name of its rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ColumnName {
    /// `_uuid`
    Uuid,
    /// A column by its number.
    Column(usize),
}

impl ColumnName {
    /// Its name in a table.
    pub fn name<S: Schema>(self, table: S) -> &'static str {
        match self {
            ColumnName::Uuid => "_uuid",
            ColumnName::Column(at) => table.def().columns.get(at).map_or("", |column| column.name),
        }
    }

    /// Its type in a table.
    pub fn kind<S: Schema>(self, table: S) -> Kind {
        let column = match self {
            ColumnName::Uuid => None,
            ColumnName::Column(at) => table.def().columns.get(at),
        };
        column.map_or(<Uuid as Cell>::KIND, |column| column.kind)
    }

    /// Whether a value is one that it may have; of a list of alternatives, whether each of them is.
    pub fn check<S: Schema>(self, table: S, datum: &Datum, is_list: bool) -> Result<(), BadValue> {
        let arity = self.kind(table).arity;
        let most = if arity == Arity::Many || is_list { usize::MAX } else { 1 };
        let needed = match arity {
            Arity::One => "one value is",
            Arity::Optional | Arity::Many => "at most one value is",
        };
        if datum.len() > most || arity == Arity::One && datum.is_empty() {
            return Err(BadValue::Count(needed, datum.len()));
        }
        match self {
            ColumnName::Uuid => Ok(()),
            ColumnName::Column(at) => {
                table.def().columns.get(at).map_or(Ok(()), |column| column.check(datum))
            }
        }
    }

    /// Its contents in a row.
    pub fn get<S>(self, uuid: Uuid, row: &impl Untyped<S>) -> Datum {
        let datum = match self {
            ColumnName::Uuid => Some(Datum::one(uuid.to_atom())),
            ColumnName::Column(at) => row.get(at),
        };
        datum.unwrap_or(Datum::Set(Vec::new()))
    }
}

/// How well a name fits what was written; the greatest fits best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Begins,
    Folded,
    Exact,
}

fn fit(name: &str, written: &str) -> Option<Fit> {
    let fold = |text: &str| text.replace('-', "_").to_ascii_lowercase();
    if name == written {
        Some(Fit::Exact)
    } else if fold(name) == fold(written) {
        Some(Fit::Folded)
    } else {
        (!written.is_empty() && fold(name).starts_with(&fold(written))).then_some(Fit::Begins)
    }
}

/// Those that fit best.
fn best<T: Copy>(all: impl Iterator<Item = (T, &'static str)>, written: &str) -> Vec<(T, &'static str)> {
    let fitting: Vec<_> = all.filter_map(|(item, name)| Some((fit(name, written)?, item, name))).collect();
    let best = fitting.iter().map(|(fit, ..)| *fit).max();
    let fitting = fitting.into_iter().filter(|(fit, ..)| Some(*fit) == best);
    fitting.map(|(_, item, name)| (item, name)).collect()
}

fn join<T>(named: &[(T, &'static str)]) -> String {
    named.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// The table of a name.
pub fn table<S: Schema>(written: &str) -> Result<S, SbctlError> {
    let all = || S::ALL.iter().map(|table| (*table, table.def().name));
    match &best(all(), written)[..] {
        [(table, _)] => Ok(*table),
        [] => Err(SbctlError::NoTable(written.to_owned(), join(&all().collect::<Vec<_>>()))),
        several => Err(SbctlError::Tables(written.to_owned(), join(several))),
    }
}

/// The column of a name.
pub fn column<S: Schema>(table: S, written: &str) -> Result<ColumnName, SbctlError> {
    let def = table.def();
    if fit("_uuid", written).is_some_and(|fit| fit > Fit::Begins) {
        return Ok(ColumnName::Uuid);
    }
    let all = || def.columns.iter().enumerate().map(|(at, column)| (at, column.name));
    match &best(all(), written)[..] {
        [(at, _)] => Ok(ColumnName::Column(*at)),
        [] => Err(SbctlError::NoColumn(def.name, written.to_owned(), join(&all().collect::<Vec<_>>()))),
        several => Err(SbctlError::Columns(def.name, written.to_owned(), join(several))),
    }
}

/// The columns of a list, or all of them.
pub fn columns<S: Schema>(table: S, written: Option<&str>) -> Result<Vec<ColumnName>, SbctlError> {
    let Some(written) = written else {
        let numbers = (0..table.def().columns.len()).map(ColumnName::Column);
        return Ok([ColumnName::Uuid].into_iter().chain(numbers).collect());
    };
    let names = written.split([',', ' ']).filter(|name| !name.is_empty());
    let columns = names.map(|name| column(table, name)).collect::<Result<Vec<_>, _>>()?;
    match columns.len() {
        0 => Err(SbctlError::NoColumns),
        1..=MAX_COLUMNS => Ok(columns),
        many => Err(SbctlError::TooManyColumns(many, MAX_COLUMNS)),
    }
}

/// Fewest characters of an identifier that stand for it.
const FEWEST_DIGITS: usize = 4;
/// Characters of a whole one.
const UUID_LENGTH: usize = 36;

/// Whether a word means a name: it is the name, or the beginning of one that is an identifier, as it is written.
fn is_meant_by(name: &str, written: &str) -> bool {
    let begins = || written.len() >= FEWEST_DIGITS && name.starts_with(written);
    name == written || begins() && name.parse::<Uuid>().is_ok()
}

/// The row that a word means, if there is one: an identifier, ".", a name, or the beginning of an identifier.
pub fn record<'a, S: Schema>(
    store: &'a Store<S>,
    table: S,
    written: &str,
) -> Result<Option<(Uuid, &'a S::AnyRow)>, SbctlError> {
    let def = table.def();
    if let Ok(uuid) = written.parse::<Uuid>()
        && let Some(row) = store.row(table, uuid)
    {
        return Ok(Some((uuid, row)));
    }
    if written == "." {
        let mut rows = store.rows(table);
        if let (Some(only), None) = (rows.next(), rows.next()) {
            return Ok(Some(only));
        }
    }
    for name in table.names() {
        if let Some(found) = by_name(store, table, name, written)? {
            return Ok(Some(found));
        }
    }
    for (other, name, column) in table.names_through() {
        if let Some((_, row)) = by_name(store, *other, name, written)?
            && let Some(datum) = other.column(column).and_then(|at| row.get(at))
            && let (Some(Atom::Uuid(uuid)), 1) = (datum.keys().next(), datum.len())
            && let Some(row) = store.row(table, *uuid)
        {
            return Ok(Some((*uuid, row)));
        }
    }
    if written.len() < FEWEST_DIGITS {
        return Ok(None);
    }
    let mut rows = store.rows(table).filter(|(uuid, _)| uuid.begins_with(written));
    match (rows.next(), rows.next()) {
        (Some((one, _)), Some((other, _))) => {
            Err(SbctlError::Uuids(def.name, written.to_owned(), one, other))
        }
        (found, _) => Ok(found),
    }
}

/// The row of a table that has a name in a column.
fn by_name<'a, S: Schema>(
    store: &'a Store<S>,
    table: S,
    (column, key): &NameColumn,
    written: &str,
) -> Result<Option<(Uuid, &'a S::AnyRow)>, SbctlError> {
    let Some(at) = table.column(column) else { return Ok(None) };
    // A name that can be no beginning of an identifier, or all of one, means only itself, so an index tells.
    let is_plain =
        written.len() >= UUID_LENGTH || !written.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    let unique = table.def().unique.iter().position(|columns| matches!(columns, [only] if only == column));
    if let (None, true, Some(index)) = (key, is_plain, unique) {
        let found = store.rows_by_unique(table, index, vec![Atom::Text(written.to_owned())]);
        return only(table, written, found);
    }
    let is_meant = |row: &S::AnyRow| {
        row.get(at).is_some_and(|datum| {
            let name = match key {
                Some(key) => datum.value(&Atom::Text((*key).to_owned())),
                None if datum.len() == 1 => datum.keys().next(),
                None => None,
            };
            matches!(name, Some(Atom::Text(name)) if is_meant_by(name, written))
        })
    };
    only(table, written, store.rows(table).filter(|(_, row)| is_meant(row)))
}

/// The only row of several, if there is one.
fn only<S: Schema, R>(
    table: S,
    written: &str,
    mut rows: impl Iterator<Item = R>,
) -> Result<Option<R>, SbctlError> {
    match (rows.next(), rows.next()) {
        (found, None) => Ok(found),
        _ => Err(SbctlError::Rows(table.def().name, written.to_owned())),
    }
}
