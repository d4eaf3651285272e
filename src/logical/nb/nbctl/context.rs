//! What a command is given, and what it works on.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::error::NbctlError;
use super::line::Command;
use crate::logical::nb::tables::Table;
use crate::logical::nb::{Edit, Row, Store, Uuid};
use crate::logical::rows::sbctl::Style;

/// A command: its name and what may stand with it.
pub struct Syntax {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for people.
    pub usage: &'static str,
    /// Fewest and most arguments.
    pub counts: (usize, usize),
    /// Its options; one with a value ends in `=`, one that may have one in `?`.
    pub options: &'static [&'static str],
    /// Whether it may change rows.
    pub writes: bool,
    /// What it does.
    pub run: fn(&mut Context, &Call<'_>) -> Result<(), NbctlError>,
}

/// Any number of arguments.
pub const MANY: usize = usize::MAX;

/// A command that does not change rows.
pub const fn reads(
    name: &'static str,
    usage: &'static str,
    counts: (usize, usize),
    options: &'static [&'static str],
    run: fn(&mut Context, &Call<'_>) -> Result<(), NbctlError>,
) -> Syntax {
    Syntax { name, usage, counts, options, writes: false, run }
}

/// A command that may change rows.
pub const fn writes(
    name: &'static str,
    usage: &'static str,
    counts: (usize, usize),
    options: &'static [&'static str],
    run: fn(&mut Context, &Call<'_>) -> Result<(), NbctlError>,
) -> Syntax {
    Syntax { name, usage, counts, options, writes: true, run }
}

/// A command with its arguments and options.
pub struct Call<'a> {
    command: &'a Command,
    /// How rows are printed.
    pub style: Style,
}

impl<'a> Call<'a> {
    pub(super) fn new(command: &'a Command, style: Style) -> Self {
        Self { command, style }
    }

    /// An argument, from 0; empty if there are fewer, which the number of arguments that the command takes excludes.
    pub fn arg(&self, at: usize) -> &'a str {
        self.arg_if(at).unwrap_or("")
    }

    /// An argument, if there are so many.
    pub fn arg_if(&self, at: usize) -> Option<&'a str> {
        self.command.args.get(at).map(String::as_str)
    }

    /// All arguments from one on.
    pub fn rest(&self, from: usize) -> &'a [String] {
        self.command.args.get(from..).unwrap_or(&[])
    }

    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.command.args.len()
    }

    /// Whether an option is there.
    pub fn has(&self, option: &str) -> bool {
        self.command.options.contains_key(option)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&'a str> {
        self.command.options.get(option)?.as_deref()
    }
}

/// What commands work on.
pub struct Context {
    /// The rows.
    pub edit: Edit,
    /// Whether the configuration shall have a new number even if nothing changes.
    pub is_sync: bool,
    created: Vec<Uuid>,
    names: BTreeMap<String, Symbol>,
    output: String,
    is_table: bool,
}

/// A row that is called `@name`, and whether it was made.
#[derive(Clone, Copy)]
struct Symbol {
    uuid: Uuid,
    is_made: bool,
}

impl Context {
    pub(super) fn new(edit: Edit) -> Self {
        let (created, names) = (Vec::new(), BTreeMap::new());
        Self { edit, is_sync: false, created, names, output: String::new(), is_table: false }
    }

    /// The rows as they are now.
    pub fn rows(&self) -> &Store {
        self.edit.rows()
    }

    /// Creates a row.
    pub fn insert<R: Row<Table>>(&mut self, row: R) -> Uuid {
        let uuid = self.edit.insert(row);
        self.created.push(uuid);
        uuid
    }

    /// Notes a row that was created otherwise.
    pub fn note_created(&mut self, uuid: Uuid) {
        self.created.push(uuid);
    }

    /// The row that `@name` means, before or after it is made.
    pub fn symbol(&mut self, name: &str) -> Uuid {
        let new = || Symbol { uuid: Uuid::random(), is_made: false };
        self.names.entry(name.to_owned()).or_insert_with(new).uuid
    }

    /// Says that `@name` is a row, a new one or one that there was.
    pub fn name(&mut self, name: &str, uuid: Option<Uuid>) -> Result<Uuid, NbctlError> {
        let known = self.names.get(name).copied();
        if known.is_some_and(|symbol| symbol.is_made || uuid.is_some_and(|uuid| uuid != symbol.uuid)) {
            let sentence = format!("--id={name}: that name is used before or given twice; choose another");
            return Err(NbctlError::Usage(sentence));
        }
        let uuid = uuid.or(known.map(|symbol| symbol.uuid)).unwrap_or_else(Uuid::random);
        self.names.insert(name.to_owned(), Symbol { uuid, is_made: true });
        Ok(uuid)
    }

    /// Prints.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        // Writing into a string succeeds.
        let _ = self.output.write_fmt(text);
    }

    /// Prints rows.
    pub fn print_table(&mut self, text: fmt::Arguments<'_>) {
        self.print(text);
        self.is_table = true;
    }

    pub(super) fn take_output(&mut self) -> String {
        std::mem::take(&mut self.output)
    }

    pub(super) fn take_is_table(&mut self) -> bool {
        std::mem::take(&mut self.is_table)
    }

    pub(super) fn into_parts(self) -> Result<(Edit, Vec<Uuid>), NbctlError> {
        match self.names.iter().find(|(_, symbol)| !symbol.is_made) {
            Some((name, _)) => Err(NbctlError::Missing(format!(
                "{name} is named and never created; add such as -- --id={name} create TABLE COLUMN=VALUE"
            ))),
            None => Ok((self.edit, self.created)),
        }
    }
}
