//! Rows as a list, a table, comma-separated values or JSON.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::SbctlError;
use super::names::ColumnName;
use crate::logical::rows::datum::{Datum, Kind};
use crate::logical::rows::tables::Table;
use crate::logical::rows::text;

/// How rows are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// A line a column, an empty line between rows.
    #[default]
    List,
    /// A line a row, columns aligned.
    Table,
    /// Comma-separated values.
    Csv,
    /// One JSON object.
    Json,
}

/// How values are written, unless all is JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Data {
    /// With quotes, brackets and braces where they are needed.
    #[default]
    Text,
    /// Without.
    Bare,
    /// As JSON.
    Json,
}

/// How rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// The layout.
    pub format: Format,
    /// The values.
    pub data: Data,
    /// Whether the names of the columns are printed.
    pub headings: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { format: Format::default(), data: Data::default(), headings: true }
    }
}

impl Style {
    /// Takes a word such as `--format=table`, `--data=bare`, `--no-headings` or `--bare`; says whether it is one.
    pub fn take(&mut self, word: &str) -> Result<bool, SbctlError> {
        if let Some(format) = word.strip_prefix("--format=") {
            self.format = match format {
                "list" => Format::List,
                "table" => Format::Table,
                "csv" => Format::Csv,
                "json" => Format::Json,
                other => return Err(SbctlError::Format(other.to_owned())),
            };
        } else if let Some(data) = word.strip_prefix("--data=") {
            self.data = match data {
                "string" => Data::Text,
                "bare" => Data::Bare,
                "json" => Data::Json,
                other => return Err(SbctlError::Data(other.to_owned())),
            };
        } else if word == "--no-headings" {
            self.headings = false;
        } else if word == "--bare" {
            *self = Style { format: Format::List, data: Data::Bare, headings: false };
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Rows of a table, with the columns that were asked for.
pub struct Listing {
    style: Style,
    pub(super) table: Table,
    pub(super) columns: Vec<ColumnName>,
    pub(super) rows: Vec<Vec<(Datum, Kind)>>,
}

impl Listing {
    pub(super) fn new(table: Table, columns: Vec<ColumnName>) -> Self {
        Self { style: Style::default(), table, columns, rows: Vec::new() }
    }

    fn headings(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name(self.table))
    }

    /// The same rows, printed in a style.
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| row.iter().map(|(datum, _)| text::to_json(datum)).collect());
        let rows: Vec<Vec<Value>> = rows.collect();
        json!({ "headings": self.headings().collect::<Vec<_>>(), "data": rows })
    }

    fn as_list(&self, rows: impl Iterator<Item = Vec<String>>, headings: bool) -> String {
        let mut out = String::new();
        for row in rows {
            if !out.is_empty() {
                out.push('\n');
            }
            for (heading, cell) in self.headings().zip(row) {
                if headings {
                    out.push_str(&format!("{heading:<20}: "));
                }
                out.push_str(&cell);
                out.push('\n');
            }
        }
        out
    }

    fn as_csv(&self, rows: impl Iterator<Item = Vec<String>>, headings: bool) -> String {
        let names = headings.then(|| self.headings().map(str::to_owned).collect());
        let mut out = String::new();
        for row in names.into_iter().chain(rows) {
            let cells: Vec<String> = row.into_iter().map(csv_cell).collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }

    fn as_table(&self, rows: &[Vec<String>], headings: bool) -> String {
        let names: Vec<String> = self.headings().map(str::to_owned).collect();
        let mut widths: Vec<usize> = names.iter().map(|name| if headings { name.len() } else { 0 }).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                // Bytes, as the original counts.
                *width = (*width).max(cell.len());
            }
        }
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let head = [&names, &dashes].into_iter().filter(|_| headings);
        let mut out = String::new();
        for row in head.chain(rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width + 1 - cell.len()));
            }
            out.push_str(line.trim_end_matches(' '));
            out.push('\n');
        }
        out
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Style { format, data, headings } = self.style;
        let cell = |(datum, kind): &(Datum, Kind)| match data {
            Data::Text => text::print(datum, *kind),
            Data::Bare => text::print_bare(datum),
            Data::Json => text::to_json(datum).to_string(),
        };
        let rows = || self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<String>>());
        f.write_str(&match format {
            Format::Json => format!("{}\n", self.to_json()),
            Format::List => self.as_list(rows(), headings),
            Format::Csv => self.as_csv(rows(), headings),
            Format::Table => self.as_table(&rows().collect::<Vec<_>>(), headings),
        })
    }
}

impl Serialize for Listing {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(out)
    }
}

fn csv_cell(text: String) -> String {
    if text.contains(['\n', '"', ',']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
