//! What a command is given, and what it works on.

use std::fmt::{self, Write as _};

use super::error::NbctlError;
use crate::logical::nb::tables::Table;
use crate::logical::nb::{Edit, Row, Store, Uuid};
use crate::logical::rows::dbctl::{self, Answer, Symbols};
use crate::logical::rows::sbctl::Style;

/// A command: its name and what may stand with it.
#[derive(Clone, Copy)]
pub struct Syntax {
    /// Its name, its options and how many arguments it takes.
    pub form: dbctl::Syntax,
    /// Its arguments, for people.
    pub usage: &'static str,
    /// Whether it may change rows.
    pub writes: bool,
    /// What it does.
    pub run: Run,
}

/// What does a command.
pub type Run = fn(&mut Context, &Call<'_>) -> Result<(), NbctlError>;

/// Any number of arguments.
pub const MANY: usize = usize::MAX;

/// A command that does not change rows.
pub const fn reads(
    name: &'static str,
    usage: &'static str,
    counts: (usize, usize),
    options: &'static [&'static str],
    run: Run,
) -> Syntax {
    let form = dbctl::Syntax { name, least: counts.0, most: counts.1, options };
    Syntax { form, usage, writes: false, run }
}

/// A command that may change rows.
pub const fn writes(
    name: &'static str,
    usage: &'static str,
    counts: (usize, usize),
    options: &'static [&'static str],
    run: Run,
) -> Syntax {
    let form = dbctl::Syntax { name, least: counts.0, most: counts.1, options };
    Syntax { form, usage, writes: true, run }
}

/// A command with its arguments and options.
pub struct Call<'a> {
    words: &'a dbctl::Call,
    style: Style,
}

impl<'a> Call<'a> {
    pub(super) fn new(words: &'a dbctl::Call, style: Style) -> Self {
        Self { words, style }
    }

    /// As it was written.
    pub fn words(&self) -> &'a dbctl::Call {
        self.words
    }

    /// How rows are printed.
    pub fn style(&self) -> Style {
        self.style
    }

    /// An argument, from 0; empty if there are fewer, which the number of arguments that the command takes excludes.
    pub fn arg(&self, at: usize) -> &'a str {
        self.arg_if(at).unwrap_or("")
    }

    /// An argument, if there are so many.
    pub fn arg_if(&self, at: usize) -> Option<&'a str> {
        self.words.args.get(at).map(String::as_str)
    }

    /// All arguments from one on.
    pub fn rest(&self, from: usize) -> &'a [String] {
        self.words.args.get(from..).unwrap_or(&[])
    }

    /// How many arguments there are.
    pub fn count(&self) -> usize {
        self.words.args.len()
    }

    /// Whether an option is there.
    pub fn has(&self, option: &str) -> bool {
        self.words.has(option)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&'a str> {
        self.words.value(option)
    }
}

/// What commands work on.
pub struct Context {
    /// The rows.
    pub edit: Edit,
    /// Whether the configuration shall have a new number even if nothing changes.
    pub is_sync: bool,
    created: Vec<Uuid>,
    symbols: Symbols,
    output: String,
    is_table: bool,
}

impl Context {
    pub(super) fn new(edit: Edit) -> Self {
        let (created, symbols) = (Vec::new(), Symbols::default());
        Self { edit, is_sync: false, created, symbols, output: String::new(), is_table: false }
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

    /// Does a command on tables and columns; none if it is none.
    pub fn run_generic(&mut self, call: &dbctl::Call) -> Option<Result<Answer<Table>, NbctlError>> {
        let answer = dbctl::run(&mut self.edit, &mut self.symbols, call)?;
        if let Ok(Answer::Created(uuid)) = &answer {
            self.created.push(*uuid);
        }
        Some(answer.map_err(NbctlError::from))
    }

    /// Gives a column of a row a value, or a key in it, as `set` does.
    pub fn set_column(&mut self, table: Table, uuid: Uuid, word: &str) -> Result<(), NbctlError> {
        let (record, words) = (uuid.to_string(), [word.to_owned()]);
        Ok(dbctl::set(&mut self.edit, &mut self.symbols, table.def().name, &record, &words, false)?)
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
        self.symbols.check()?;
        Ok((self.edit, self.created))
    }
}
