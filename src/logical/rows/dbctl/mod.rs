//! The commands that all of OVS's database tools have: `list`, `find`, `get`, `set`, `add`, `remove`, `clear`, `create`,
//! `destroy` and `comment`, for either database.
//!
//! The invariant: a command changes nothing but an [`Edit`], which is thrown away if any command is refused. Commands joined
//! by `--` are [`split`] into [`Call`]s and work one after the other on one edit, so that each sees what those before it
//! did; all take effect together when that is finished, or none. [`Symbols`] are the names with `@` that they give to rows.
//!
//! A tool with commands of its own declares them as [`Syntax`] beside [`COMMANDS`], looks a call's name up, has it
//! [checked](Call::check), and hands the generic ones to [`run`]:
//!
//! ```text
//! let draft = database.draft();
//! let (mut edit, mut symbols) = (draft.edit(), Symbols::default());
//! for call in dbctl::split(words) {
//!     match dbctl::run(&mut edit, &mut symbols, &call) {
//!         Some(answer) => print(answer?.styled(style)),
//!         None => own_command(&mut edit, &call)?,
//!     }
//! }
//! symbols.check()?;
//! let changed = draft.finish(edit)?;
//! ```
//!
//! Where this is not as the tools of OVS 3.1 are: `add` never changes the value of a key that is there, as the manual has it
//! and releases before and after do. `destroy` does nothing to a row that stays while others name it, as there, but the
//! commands behind it still see that row.

mod call;
mod change;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};

use super::cell::BadValue;
use super::edit::Edit;
use super::sbctl::{self, Listing, SbctlError, Style, Values};
use super::schema::Schema;
use super::text::BadText;
use super::uuid::Uuid;
use crate::logical::error::shortened;

pub use call::{Call, Symbols, Syntax, split};
pub use change::{add, clear, create, destroy, remove, set};

/// What the commands are called and take.
pub const COMMANDS: &[Syntax] = &[
    Syntax { name: "add", least: 4, most: usize::MAX, options: &["--if-exists"] },
    Syntax { name: "clear", least: 3, most: usize::MAX, options: &["--if-exists"] },
    Syntax { name: "comment", least: 0, most: usize::MAX, options: &[] },
    Syntax { name: "create", least: 2, most: usize::MAX, options: &["--id="] },
    Syntax { name: "destroy", least: 1, most: usize::MAX, options: &["--if-exists", "--all"] },
    Syntax { name: "find", least: 1, most: usize::MAX, options: &["--columns="] },
    Syntax { name: "get", least: 2, most: usize::MAX, options: &["--if-exists", "--id="] },
    Syntax { name: "list", least: 1, most: usize::MAX, options: &["--if-exists", "--columns="] },
    Syntax { name: "remove", least: 4, most: usize::MAX, options: &["--if-exists"] },
    Syntax { name: "set", least: 3, most: usize::MAX, options: &["--if-exists"] },
];

/// Why a command does nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbctlError {
    /// Names that mean nothing, and questions that have no answer.
    #[error(transparent)]
    Question(#[from] SbctlError),
    /// Not as many arguments as it takes.
    #[error("{command} takes {takes} and there are {given}; {usage}")]
    Arguments {
        /// The command.
        command: &'static str,
        /// How many it takes.
        takes: String,
        /// How many there are.
        given: usize,
        /// Where to read more.
        usage: &'static str,
    },
    /// An option of another command, or of none.
    #[error("{0} has no option {1}; {2}")]
    Option(&'static str, String, String),
    /// An option without what it needs.
    #[error("option {0} needs a value; write {0}=VALUE")]
    NoValue(String),
    /// An option with what it does not take.
    #[error("option {0} takes no value; leave everything behind its name out")]
    Value(String),
    /// An option twice.
    #[error("option {0} is there twice; leave one out")]
    Twice(String),
    /// Options that exclude each other.
    #[error("{0} and {1} exclude each other; leave one out")]
    Both(&'static str, &'static str),
    /// A column that cannot be changed.
    #[error("{0} does not contain a column _uuid that could be changed; a row keeps its name")]
    Name(&'static str),
    /// An assignment that is none.
    #[error(
        "{word}: there is no \"=\" followed by a value; write COLUMN=VALUE or COLUMN:KEY=VALUE",
        word = shortened(.0)
    )]
    NoAssignment(String),
    /// A text that is no value of the column's type.
    #[error("column {column}: {cause}")]
    Text {
        /// Name of the column.
        column: &'static str,
        /// What is wrong.
        cause: BadText,
    },
    /// A value that the column does not take.
    #[error("column {column}: {cause}")]
    Contents {
        /// Name of the column.
        column: &'static str,
        /// What is wrong.
        cause: BadValue,
    },
    /// Nothing where something is needed.
    #[error("column {column}: {word} is no value; name one at least", word = shortened(word))]
    Nothing {
        /// Name of the column.
        column: &'static str,
        /// What was written.
        word: String,
    },
    /// More values than the column takes.
    #[error(
        "add would put {count} values in column {column} of table {table}, which takes one; set it instead"
    )]
    TooMany {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
        /// How many there would be.
        count: usize,
    },
    /// Fewer values than the column needs.
    #[error(
        "{command} would leave column {column} of table {table} empty, and it needs a value; set it instead"
    )]
    TooFew {
        /// The command.
        command: &'static str,
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
    },
    /// A name without @.
    #[error("row id \"{0}\" does not begin with \"@\"; write such as --id=@new")]
    NotAName(String),
    /// A name that two rows get.
    #[error("row id \"{name}\" is given to two rows; give each a name of its own", name = shortened(.0))]
    NameTwice(String),
    /// A name that is given to a row that was there before, behind its use.
    #[error("row id \"{name}\" is used before `get` says what it is; put that command first", name = shortened(.0))]
    NameLate(String),
    /// A name that no row has.
    #[error(
        "row id \"{name}\" is used but given to no row; add such as `-- --id={name} create …`",
        name = shortened(.0)
    )]
    NoName(String),
    /// An identifier that is taken.
    #[error("table {0} has or had a row {1}; choose another UUID for the new one")]
    Taken(&'static str, Uuid),
}

/// What a command answers.
pub enum Answer<S: Schema> {
    /// Nothing.
    Nothing,
    /// Rows.
    Rows(Listing<S>),
    /// Values of a row.
    Values(Values),
    /// The name of a new row.
    Created(Uuid),
}

impl<S: Schema> Answer<S> {
    /// The same, with rows printed in a style.
    pub fn styled(self, style: Style) -> Self {
        match self {
            Answer::Rows(listing) => Answer::Rows(listing.styled(style)),
            other => other,
        }
    }
}

impl<S: Schema> fmt::Display for Answer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Nothing => Ok(()),
            Answer::Rows(listing) => listing.fmt(f),
            Answer::Values(values) => values.fmt(f),
            Answer::Created(uuid) => writeln!(f, "{uuid}"),
        }
    }
}

impl<S: Schema> Serialize for Answer<S> {
    fn serialize<O: Serializer>(&self, out: O) -> Result<O::Ok, O::Error> {
        match self {
            Answer::Nothing => out.serialize_unit(),
            Answer::Rows(listing) => listing.serialize(out),
            Answer::Values(values) => values.serialize(out),
            Answer::Created(uuid) => out.collect_str(uuid),
        }
    }
}

/// Does a command on an edit, if it is one of these.
pub fn run<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    call: &Call,
) -> Option<Result<Answer<S>, DbctlError>> {
    let syntax = COMMANDS.iter().find(|syntax| syntax.name == call.name)?;
    Some(call.check(syntax).and_then(|()| run_checked(edit, symbols, syntax.name, call)))
}

fn run_checked<S: Schema>(
    edit: &mut Edit<S>,
    symbols: &mut Symbols,
    name: &str,
    call: &Call,
) -> Result<Answer<S>, DbctlError> {
    let (if_exists, columns) = (call.has("--if-exists"), call.value("--columns"));
    match (name, &call.args[..]) {
        ("list", [table, records @ ..]) => {
            Ok(Answer::Rows(sbctl::list(edit.rows(), table, records, columns, if_exists)?))
        }
        ("find", [table, conditions @ ..]) => {
            Ok(Answer::Rows(sbctl::find(edit.rows(), table, conditions, columns)?))
        }
        ("get", [table, record, columns @ ..]) => {
            if let Some(id) = call.value("--id") {
                if if_exists {
                    return Err(DbctlError::Both("--id", "--if-exists"));
                }
                let uuid = sbctl::row::<S>(edit.rows(), table, record)?;
                symbols.is(id, uuid)?;
            }
            Ok(Answer::Values(sbctl::get(edit.rows(), table, record, columns, if_exists)?))
        }
        ("set", [table, record, assignments @ ..]) => {
            set(edit, symbols, table, record, assignments, if_exists).map(|()| Answer::Nothing)
        }
        ("add", [table, record, column, values @ ..]) => {
            add(edit, symbols, (table, record, column), values, if_exists).map(|()| Answer::Nothing)
        }
        ("remove", [table, record, column, values @ ..]) => {
            remove(edit, symbols, (table, record, column), values, if_exists).map(|()| Answer::Nothing)
        }
        ("clear", [table, record, columns @ ..]) => {
            clear(edit, table, record, columns, if_exists).map(|()| Answer::Nothing)
        }
        ("create", [table, assignments @ ..]) => {
            create(edit, symbols, table, call.value("--id"), assignments).map(Answer::Created)
        }
        ("destroy", [table, records @ ..]) => {
            destroy(edit, table, records, call.has("--all"), if_exists).map(|()| Answer::Nothing)
        }
        _ => Ok(Answer::Nothing),
    }
}
