//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration, or the keys of one port, is refused: the place, then one sentence with cause and mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{place}{fault}")]
pub struct ConfigError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong there.
    pub fault: Box<Fault>,
}

/// Where in the configuration something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file; none for keys that came by command.
    pub file: Option<PathBuf>,
    /// Line and column, from 1.
    pub at: Option<(usize, usize)>,
    /// The key, such as `port[0].mtu`.
    pub key: KeyPath,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some((line, column)) = self.at {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.key.0.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        Ok(())
    }
}

/// The way from the top of a file to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(pub Vec<Step>);

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a key of a table.
    Key(String),
    /// To an element of a list, from 0.
    Index(usize),
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(element) => write!(f, "[{element}]")?,
            }
        }
        Ok(())
    }
}

/// What can be wrong at a place of a configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The file does not open.
    #[error("cannot read it: {0}; give the path of a config file that this user may read")]
    Unreadable(String),
    /// It is not TOML.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// No such key, but one that looks like it.
    #[error("there is no key `{key}`; did you mean `{nearest}`?")]
    Misspelt {
        /// The key.
        key: String,
        /// The one that looks most like it.
        nearest: &'static str,
    },
    /// No such key.
    #[error("there is no key `{key}` here; the keys are {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// All there are.
        known: String,
    },
    /// A value of the wrong type.
    #[error("must be {wanted}, not {found}")]
    WrongType {
        /// What belongs there.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A number that is too small or too large.
    #[error("{value} is out of range; write a number from {min} to {max}")]
    OutOfRange {
        /// The number.
        value: i64,
        /// The least allowed.
        min: i64,
        /// The greatest allowed.
        max: i64,
    },
    /// A number above that of another key, which bounds it.
    #[error("{value} is more than `{bound}`, which is {max}; write at most as many or raise `{bound}`")]
    MoreThan {
        /// The number.
        value: i64,
        /// The other key.
        bound: &'static str,
        /// Its number.
        max: i64,
    },
    /// A list that is too short or too long.
    #[error("a list of {count} {what} is out of range; name 1 to {max}, {mend}")]
    TooManyOrFew {
        /// How many are there.
        count: usize,
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
        /// What they are for.
        mend: &'static str,
    },
    /// A word that is none of those allowed.
    #[error("{value:?} is not known; write {}", either(allowed))]
    NoneOf {
        /// The word.
        value: String,
        /// Those allowed.
        allowed: &'static [&'static str],
    },
    /// A key that has to be there is not.
    #[error("{owner} needs `{key}`; add it, such as {key} = {example}")]
    Missing {
        /// What it is missing from.
        owner: String,
        /// The key.
        key: &'static str,
        /// A value it could have.
        example: &'static str,
    },
    /// A key of another type of port.
    #[error("`{key}` does not belong to a port of type {port_type}, which takes {takes}; remove it")]
    Foreign {
        /// The key.
        key: &'static str,
        /// Type of the port.
        port_type: &'static str,
        /// Keys of its own that the type has.
        takes: String,
    },
    /// A text that does not have the form it must have.
    #[error("{value:?} is not {wanted}")]
    BadText {
        /// The text.
        value: String,
        /// What belongs there, and how to write it.
        wanted: String,
    },
    /// An Ethernet address that does not read.
    #[error(transparent)]
    BadMac(#[from] crate::packet::addr::BadMac),
    /// A name that means something else.
    #[error("\"{0}\" means something else in a flow; choose another name")]
    ReservedName(String),
    /// Something that must be unique is not.
    #[error("{what} is given twice; {mend}")]
    Twice {
        /// What.
        what: String,
        /// What to do.
        mend: &'static str,
    },
    /// Something named elsewhere does not exist.
    #[error("there is no {what}; {mend}")]
    NoSuch {
        /// What.
        what: String,
        /// What to do.
        mend: String,
    },
    /// An argument of the EAL that the switch gives itself.
    #[error("the switch gives {argument} to DPDK itself; set `{key}` instead")]
    OwnArgument {
        /// The argument.
        argument: String,
        /// Key that stands for it.
        key: &'static str,
    },
    /// `name=` among the keys of `millrace port add`.
    #[error("the name of the port stands before its keys; remove `name=`")]
    NameAmongKeys,
}

fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A fault on the way up to where file and line are known.
#[derive(Debug)]
pub(super) struct Misplaced {
    /// From the table that was being looked at.
    pub path: Vec<Step>,
    /// What is wrong there.
    pub fault: Fault,
}

impl Misplaced {
    /// A fault of a key.
    pub fn key(key: &str, fault: Fault) -> Self {
        Self { path: vec![Step::Key(key.to_owned())], fault }
    }

    /// A fault of the table itself.
    pub fn here(fault: Fault) -> Self {
        Self { path: Vec::new(), fault }
    }

    /// The same, seen from the table that has this one under `steps`.
    pub fn under(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.path.splice(0..0, steps);
        self
    }
}
