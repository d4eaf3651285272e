//! Command lines: commands joined by `--`, each with its options before its name; and the names that they give to rows.

use std::collections::BTreeMap;

use super::DbctlError;
use crate::logical::error::shortened;
use crate::logical::rows::uuid::Uuid;

/// What a command is called and takes.
#[derive(Clone, Copy, Debug)]
pub struct Syntax {
    /// Its name.
    pub name: &'static str,
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments.
    pub most: usize,
    /// Options, such as `--if-exists`; one that takes a value ends in `=`, one that may take one in `?`.
    pub options: &'static [&'static str],
}

/// A command of a line, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Call {
    /// Options before its name, with their values.
    pub options: Vec<(String, Option<String>)>,
    /// Its name; empty if there were only options.
    pub name: String,
    /// What follows.
    pub args: Vec<String>,
}

/// The commands of a line. Between two `--` there may be nothing.
pub fn split(words: &[String]) -> Vec<Call> {
    let parts = words.split(|word| word == "--").filter(|part| !part.is_empty());
    let call = |part: &[String]| {
        let mut words = part.iter();
        let mut call = Call::default();
        for word in words.by_ref() {
            if !word.starts_with("--") {
                call.name.clone_from(word);
                break;
            }
            call.options.push(match word.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            });
        }
        call.args = words.cloned().collect();
        call
    };
    parts.map(call).collect()
}

impl Call {
    /// Whether it has an option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| name == option)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| name == option)?.1.as_deref()
    }

    /// Takes an option out, such as one that is for the whole line; none if it is not there, none in it if it has no value.
    pub fn take(&mut self, option: &str) -> Option<Option<String>> {
        let at = self.options.iter().position(|(name, _)| name == option)?;
        Some(self.options.remove(at).1)
    }

    /// Whether it has the options and as many arguments as a command takes.
    pub fn check(&self, syntax: &Syntax) -> Result<(), DbctlError> {
        for (at, (option, value)) in self.options.iter().enumerate() {
            let takes = syntax.options.iter().find_map(|known| {
                let name = known.trim_end_matches(['=', '?']);
                (name == option).then(|| known.strip_prefix(name).unwrap_or(""))
            });
            match (takes, value) {
                (None, _) => {
                    let known = match syntax.options {
                        [] => "it takes none".to_owned(),
                        some => format!("it takes {}", some.join(", ")),
                    };
                    return Err(DbctlError::Option(syntax.name, shortened(option).into_owned(), known));
                }
                (Some("="), None) => return Err(DbctlError::NoValue(option.clone())),
                (Some(""), Some(_)) => return Err(DbctlError::Value(option.clone())),
                _ => {}
            }
            if self.options.iter().take(at).any(|(other, _)| other == option) {
                return Err(DbctlError::Twice(option.clone()));
            }
        }
        let given = self.args.len();
        if (syntax.least..=syntax.most).contains(&given) {
            return Ok(());
        }
        let takes = match (syntax.least, syntax.most) {
            (least, most) if least == most => format!("{least} arguments"),
            (least, usize::MAX) => format!("{least} arguments or more"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        let usage = if given < syntax.least { "add what is missing" } else { "leave the others out" };
        Err(DbctlError::Arguments { command: syntax.name, takes, given, usage })
    }
}

/// Names with `@` that the commands of a line give to rows and use.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    names: BTreeMap<String, Symbol>,
}

#[derive(Clone, Copy, Debug)]
struct Symbol {
    uuid: Uuid,
    /// Whether a row has it.
    is_given: bool,
}

impl Symbols {
    /// What a name means, whether a row has it already or will only get it.
    pub fn mention(&mut self, name: &str) -> Uuid {
        let fresh = || Symbol { uuid: Uuid::random(), is_given: false };
        self.names.entry(name.to_owned()).or_insert_with(fresh).uuid
    }

    /// Gives a name to a new row, which gets the identifier that the name means.
    pub fn give(&mut self, name: &str) -> Result<Uuid, DbctlError> {
        if !name.starts_with('@') {
            return Err(DbctlError::NotAName(shortened(name).into_owned()));
        }
        let uuid = self.mention(name);
        match self.names.get_mut(name) {
            Some(symbol) if symbol.is_given => Err(DbctlError::NameTwice(name.to_owned())),
            Some(symbol) => {
                symbol.is_given = true;
                Ok(uuid)
            }
            None => Ok(uuid),
        }
    }

    /// Gives a name to a row that is there.
    pub fn is(&mut self, name: &str, uuid: Uuid) -> Result<(), DbctlError> {
        let is_new = !self.names.contains_key(name);
        self.give(name)?;
        if !is_new {
            return Err(DbctlError::NameLate(name.to_owned()));
        }
        self.names.insert(name.to_owned(), Symbol { uuid, is_given: true });
        Ok(())
    }

    /// Whether every name that was used was given to a row; to be asked behind the last command.
    pub fn check(&self) -> Result<(), DbctlError> {
        match self.names.iter().find(|(_, symbol)| !symbol.is_given) {
            Some((name, _)) => Err(DbctlError::NoName(name.clone())),
            None => Ok(()),
        }
    }
}
