//! Rows as a list, a table, comma-separated values or JSON.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::SbctlError;
use super::names::ColumnName;
use crate::logical::rows::schema::Schema;
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

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

/// Rows of a table, with the columns that were asked for. Values are printed one by one as the listing is written, so a
/// listing takes no more memory than the names of its rows.
pub struct Listing<S: Schema> {
    style: Style,
    pub(super) table: S,
    pub(super) columns: Vec<ColumnName>,
    pub(super) rows: Vec<(Uuid, S::AnyRow)>,
}

impl<S: Schema> Listing<S> {
    pub(super) fn new(table: S, columns: Vec<ColumnName>) -> Self {
        Self { style: Style::default(), table, columns, rows: Vec::new() }
    }

    fn headings(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name(self.table))
    }

    /// The same rows, printed in a style.
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// The values of a row.
    fn json_cells(&self, (uuid, row): &(Uuid, S::AnyRow)) -> Vec<Value> {
        self.columns.iter().map(|column| text::to_json(&column.get(*uuid, row))).collect()
    }

    /// The values of a row as they are printed.
    fn cells(&self, (uuid, row): &(Uuid, S::AnyRow)) -> impl Iterator<Item = String> {
        self.columns.iter().map(move |column| {
            let datum = column.get(*uuid, row);
            match self.style.data {
                Data::Text => text::print(&datum, column.kind(self.table)),
                Data::Bare => text::print_bare(&datum),
                Data::Json => text::to_json(&datum).to_string(),
            }
        })
    }

    fn write_list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            for (heading, cell) in self.headings().zip(self.cells(row)) {
                if self.style.headings {
                    write!(f, "{heading:<20}: ")?;
                }
                writeln!(f, "{cell}")?;
            }
        }
        Ok(())
    }

    fn write_csv(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.style.headings {
            write_csv_row(f, self.headings().map(str::to_owned))?;
        }
        self.rows.iter().try_for_each(|row| write_csv_row(f, self.cells(row)))
    }

    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.style.headings;
        let mut widths: Vec<usize> =
            self.headings().map(|name| if headings { name.len() } else { 0 }).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(self.cells(row)) {
                // Bytes, as the original counts.
                *width = (*width).max(cell.len());
            }
        }
        if headings {
            write_table_row(f, &widths, self.headings().map(str::to_owned))?;
            write_table_row(f, &widths, widths.iter().map(|width| "-".repeat(*width)))?;
        }
        self.rows.iter().try_for_each(|row| write_table_row(f, &widths, self.cells(row)))
    }

    fn write_json(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"data\":[")?;
        for (number, row) in self.rows.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}", Value::Array(self.json_cells(row)))?;
        }
        writeln!(f, "],\"headings\":{}}}", json!(self.headings().collect::<Vec<_>>()))
    }
}

fn write_csv_row(f: &mut fmt::Formatter<'_>, cells: impl Iterator<Item = String>) -> fmt::Result {
    for (number, cell) in cells.enumerate() {
        let comma = if number > 0 { "," } else { "" };
        write!(f, "{comma}{}", csv_cell(cell))?;
    }
    f.write_str("\n")
}

fn write_table_row(
    f: &mut fmt::Formatter<'_>,
    widths: &[usize],
    cells: impl Iterator<Item = String>,
) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(&cell);
        line.push_str(&" ".repeat((width + 1).saturating_sub(cell.len())));
    }
    writeln!(f, "{}", line.trim_end_matches(' '))
}

impl<S: Schema> fmt::Display for Listing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style.format {
            Format::Json => self.write_json(f),
            Format::List => self.write_list(f),
            Format::Csv => self.write_csv(f),
            Format::Table => self.write_table(f),
        }
    }
}

impl<S: Schema> Serialize for Listing<S> {
    fn serialize<O: Serializer>(&self, out: O) -> Result<O::Ok, O::Error> {
        let mut object = out.serialize_map(Some(2))?;
        object.serialize_entry("data", &JsonRows(self))?;
        object.serialize_entry("headings", &self.headings().collect::<Vec<_>>())?;
        object.end()
    }
}

struct JsonRows<'a, S: Schema>(&'a Listing<S>);

impl<S: Schema> Serialize for JsonRows<'_, S> {
    fn serialize<O: Serializer>(&self, out: O) -> Result<O::Ok, O::Error> {
        out.collect_seq(self.0.rows.iter().map(|row| self.0.json_cells(row)))
    }
}

fn csv_cell(text: String) -> String {
    if text.contains(['\n', '"', ',']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
