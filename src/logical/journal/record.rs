//! What a record says: a line about what is not rows, then the rows as tables of a dump, with the columns that any of them
//! has something in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Beside;
use crate::logical::rows::datum::{Atom, Datum};
use crate::logical::rows::dump::{BadDump, read_own};
use crate::logical::rows::schema::{Schema, Untyped};
use crate::logical::rows::store::Store;
use crate::logical::rows::text;
use crate::logical::rows::uuid::{BadUuid, Uuid};

/// Why a record cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// Not a text.
    #[error("it is not a text")]
    NoText,
    /// The first line.
    #[error("its first line: {0}")]
    Head(#[from] serde_json::Error),
    /// A name that is none.
    #[error("its first line: {0}")]
    Uuid(#[from] BadUuid),
    /// No such table.
    #[error("there is no table {0}")]
    Table(String),
    /// The rows.
    #[error(transparent)]
    Rows(#[from] BadDump),
}

/// What is not rows, as it is written.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Line {
    /// Rows that were created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    created: Vec<String>,
    /// Tunnel keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, Option<u32>>,
    /// Rows that go, by table.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    gone: BTreeMap<String, Vec<String>>,
}

/// What is not rows.
pub struct Head {
    pub created: Vec<Uuid>,
    pub keys: Vec<(Uuid, Option<u32>)>,
}

/// A record.
pub struct Record<S: Schema> {
    pub head: Head,
    pub gone: Vec<(S, Uuid)>,
    pub rows: Vec<(Uuid, S::AnyRow)>,
}

impl<S: Schema> Record<S> {
    /// A change, written down.
    pub fn of_change<'a>(
        rows: impl IntoIterator<Item = (S, Uuid, Option<&'a S::AnyRow>)>,
        beside: Beside<'_>,
    ) -> String {
        let mut line = Line {
            created: beside.created.iter().map(Uuid::to_string).collect(),
            keys: beside.keys.iter().map(|(uuid, key)| (uuid.to_string(), *key)).collect(),
            gone: BTreeMap::new(),
        };
        let mut tables: BTreeMap<S, Vec<(Uuid, &S::AnyRow)>> = BTreeMap::new();
        for (table, uuid, row) in rows {
            match row {
                Some(row) => tables.entry(table).or_default().push((uuid, row)),
                None => line.gone.entry(table.def().name.to_owned()).or_default().push(uuid.to_string()),
            }
        }
        let mut out = format!("{}\n", json!(line));
        tables.iter().for_each(|(table, rows)| write_table(&mut out, *table, rows));
        out
    }

    /// All rows, written down.
    pub fn of_all(rows: &Store<S>, created: &[Uuid], keys: &BTreeMap<Uuid, u32>) -> String {
        let keys: Vec<_> = keys.iter().map(|(uuid, key)| (*uuid, Some(*key))).collect();
        let all =
            S::ALL.iter().flat_map(|table| rows.rows(*table).map(|(uuid, row)| (*table, uuid, Some(row))));
        Self::of_change(all, Beside { created, keys: &keys })
    }

    /// From what was written down.
    pub fn read(payload: &[u8]) -> Result<Self, BadRecord> {
        let text = str::from_utf8(payload).map_err(|_| BadRecord::NoText)?;
        let (line, tables) = text.split_once('\n').unwrap_or((text, ""));
        let line: Line = serde_json::from_str(line)?;
        let parse = |text: &String| text.parse::<Uuid>();
        let keys = line.keys.iter().map(|(uuid, key)| Ok((parse(uuid)?, *key)));
        let head = Head {
            created: line.created.iter().map(parse).collect::<Result<_, _>>()?,
            keys: keys.collect::<Result<_, BadUuid>>()?,
        };
        let mut gone = Vec::new();
        for (name, uuids) in &line.gone {
            let table = S::ALL.iter().find(|table| table.def().name == name);
            let table = table.ok_or_else(|| BadRecord::Table(name.clone()))?;
            for uuid in uuids {
                gone.push((*table, parse(uuid)?));
            }
        }
        let rows = if tables.is_empty() { Vec::new() } else { read_own::<S>(tables)?.rows };
        Ok(Self { head, gone, rows })
    }
}

fn write_table<S: Schema>(out: &mut String, table: S, rows: &[(Uuid, &S::AnyRow)]) {
    let (def, empty) = (table.def(), table.empty_row());
    let is_used = |at: &usize| rows.iter().any(|(_, row)| row.get(*at) != empty.get(*at));
    let columns: Vec<usize> = (0..def.columns.len()).filter(is_used).collect();
    let names = columns.iter().filter_map(|at| def.columns.get(*at)).map(|column| column.name);
    let headings: Vec<&str> = ["_uuid"].into_iter().chain(names).collect();
    // Writing into a string succeeds.
    let _ = write!(out, "{{\"caption\":{},\"data\":[", json!(format!("{} table", def.name)));
    for (number, (uuid, row)) in rows.iter().enumerate() {
        let own = text::to_json(&Datum::one(Atom::Uuid(*uuid)));
        let others = columns.iter().filter_map(|at| Some(text::to_json(&row.get(*at)?)));
        let cells: Vec<Value> = [own].into_iter().chain(others).collect();
        let _ = write!(out, "{}{}", if number > 0 { "," } else { "" }, Value::Array(cells));
    }
    let _ = writeln!(out, "],\"headings\":{}}}", json!(headings));
}
