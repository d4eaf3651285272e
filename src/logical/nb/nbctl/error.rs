//! Why a command line is not done.

use crate::logical::error::shortened;
use crate::logical::rows::dbctl::DbctlError;
use crate::logical::rows::sbctl::SbctlError;

/// Why a command line is not done. Nothing of it is, then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NbctlError {
    /// The command line cannot be read.
    #[error("{0}")]
    Usage(String),
    /// Something that is named does not exist.
    #[error("{0}")]
    Missing(String),
    /// Something is there already.
    #[error("{0}")]
    Exists(String),
    /// A name stands for several rows.
    #[error("{0}")]
    Ambiguous(String),
    /// A value that cannot be.
    #[error("{0}")]
    Value(String),
    /// The same of a command in a file.
    #[error("line {0}: {1}")]
    InLine(usize, Box<NbctlError>),
    /// A command of the database server, which does not exist here.
    #[error("{0}: there is no database server here whose connections could be set up; leave the command out")]
    NoServer(&'static str),
    /// A command on tables, columns and values.
    #[error(transparent)]
    Rows(Box<DbctlError>),
    /// A style of rows that does not exist.
    #[error(transparent)]
    Style(Box<SbctlError>),
}

impl From<DbctlError> for NbctlError {
    fn from(error: DbctlError) -> Self {
        // Large beside the others.
        NbctlError::Rows(Box::new(error))
    }
}

impl From<SbctlError> for NbctlError {
    fn from(error: SbctlError) -> Self {
        NbctlError::Style(Box::new(error))
    }
}

impl NbctlError {
    /// Where it is in a file, from line 1.
    pub fn in_line(self, number: usize) -> Self {
        if number == 0 { self } else { NbctlError::InLine(number, Box::new(self)) }
    }

    /// There is no such row.
    pub fn missing(what: &str, written: &str, mend: &str) -> Self {
        NbctlError::Missing(format!("there is no {what} \"{}\"; {mend}", shortened(written)))
    }

    /// What a port was in is gone in the same line, and the port not yet.
    pub fn owner_gone(owner: &str, port: &str) -> Self {
        let port = shortened(port);
        let mend = "delete nothing that is used behind it";
        NbctlError::Missing(format!("the {owner} of port \"{port}\" was deleted before; {mend}"))
    }

    /// There is a row of that name.
    pub fn exists(what: &str, written: &str, mend: &str) -> Self {
        NbctlError::Exists(format!("{what} \"{}\" exists already; {mend}", shortened(written)))
    }

    /// It is there already, where it would be put.
    pub fn has_already(owner: &str, what: &str, written: &str) -> Self {
        let (owner, written) = (shortened(owner), shortened(written));
        let mend = "write --may-exist before the command";
        NbctlError::Exists(format!("{owner} has {what} \"{written}\" already; {mend}"))
    }

    /// A value that cannot be.
    pub fn value(written: &str, mend: &str) -> Self {
        NbctlError::Value(format!("\"{}\" {mend}", shortened(written)))
    }
}
