//! The command line: options of the whole, then commands with `--` between them, each with its own options.
//!
//! As with `getopt_long`, options before the first command may be abbreviated and have their values in the next word, and
//! those of the first command may stand among them; behind a `--` a value follows its `=`.

use super::context::Syntax;
use super::error::NbctlError;
use super::{address, commands};
use crate::logical::error::{nearest, shortened};
use crate::logical::rows::dbctl::{self, DbctlError};
use crate::logical::rows::sbctl::Style;

/// How long is waited for the effect of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wait {
    /// Until it is kept.
    #[default]
    None,
    /// Until the Southbound rows are made.
    Southbound,
    /// Until packets are treated accordingly.
    Chassis,
}

/// Options of the whole line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// How long is waited.
    pub wait: Wait,
    /// Whether nothing is changed after all.
    pub dry_run: bool,
    /// Whether what a command prints is one line.
    pub oneline: bool,
    /// Whether it is told how long was waited.
    pub print_wait_time: bool,
    /// Most seconds.
    pub timeout: Option<u32>,
    /// How rows are printed.
    pub style: Style,
}

/// A command line that can be run.
pub struct Line {
    /// Options of the whole.
    pub options: Options,
    pub(super) commands: Vec<Command>,
}

/// A command of it.
pub(super) struct Command {
    pub syntax: &'static Syntax,
    pub words: dbctl::Call,
    /// The line of a file that it stands in, from 1; 0 if in none.
    pub number: usize,
}

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Nothing,
    Value,
    Perhaps,
}

/// Options of the whole line, and what they take.
const GLOBAL: &[(&str, Takes)] = &[
    ("--bare", Takes::Nothing),
    ("--data", Takes::Value),
    ("--dry-run", Takes::Nothing),
    ("--format", Takes::Value),
    ("--no-headings", Takes::Nothing),
    ("--no-wait", Takes::Nothing),
    ("--oneline", Takes::Nothing),
    ("--print-wait-time", Takes::Nothing),
    ("--timeout", Takes::Value),
    ("--wait", Takes::Value),
];

/// Short ones, all of which take a value.
const SHORT: &[(char, &str)] = &[('d', "--data"), ('f', "--format"), ('t', "--timeout")];

/// Options of `ovn-nbctl` that concern the way to a database server, or its own process.
const WITHOUT_SERVER: &[&str] = &[
    "--bootstrap-ca-cert",
    "--ca-cert",
    "--certificate",
    "--db",
    "--detach",
    "--leader-only",
    "--log-file",
    "--max-column-width",
    "--monitor",
    "--no-chdir",
    "--no-leader-only",
    "--no-self-confinement",
    "--no-shuffle-remotes",
    "--no-syslog",
    "--overwrite-pidfile",
    "--pidfile",
    "--pretty",
    "--private-key",
    "--shuffle-remotes",
    "--ssl-ciphers",
    "--ssl-protocols",
    "--syslog-method",
    "--syslog-target",
    "--unixctl",
    "--user",
    "--verbose",
];

/// An option of a command as its syntax has it, without what says what it takes.
fn own(option: &'static str) -> (&'static str, Takes) {
    match (option.strip_suffix('='), option.strip_suffix('?')) {
        (Some(name), _) => (name, Takes::Value),
        (_, Some(name)) => (name, Takes::Perhaps),
        _ => (option, Takes::Nothing),
    }
}

/// All options that may stand before the first command.
fn all() -> impl Iterator<Item = (&'static str, Takes)> {
    let own = commands().flat_map(|command| command.form.options.iter().map(|option| own(option)));
    GLOBAL.iter().copied().chain(own)
}

fn usage(sentence: String) -> NbctlError {
    NbctlError::Usage(sentence)
}

impl Line {
    /// Reads a command line, without the name of the program.
    pub fn parse(words: &[String]) -> Result<Self, NbctlError> {
        // No database can hold it.
        if words.iter().any(|word| word.contains('\0')) {
            return Err(usage("there is a null character in a word; leave it out".to_owned()));
        }
        let mut options = Options::default();
        let mut first = Vec::new();
        let mut rest = words;
        while let [word, behind @ ..] = rest {
            if !word.starts_with('-') || word == "-" {
                break;
            }
            rest = behind;
            if word == "--" {
                break;
            }
            let (name, takes, given) = read_option(word)?;
            let value = match (takes, given) {
                (Takes::Value, None) => match rest.split_first() {
                    Some((value, behind)) => {
                        rest = behind;
                        Some(value.clone())
                    }
                    None => return Err(usage(format!("{name} needs a value; write such as {name}=VALUE"))),
                },
                (Takes::Nothing, Some(_)) => {
                    return Err(usage(format!("{name} takes no value; leave \"=\" and what follows out")));
                }
                (_, given) => given,
            };
            if GLOBAL.iter().any(|(global, _)| *global == name) {
                options.take(name, value.as_deref().unwrap_or(""))?;
            } else {
                first.push((name.to_owned(), value));
            }
        }
        let mut calls = dbctl::split(rest);
        match calls.first_mut() {
            Some(call) => {
                first.append(&mut call.options);
                call.options = first;
            }
            None => return Err(no_command()),
        }
        let commands = calls.into_iter().map(Command::check).collect::<Result<_, _>>()?;
        Ok(Self { options, commands })
    }
}

fn no_command() -> NbctlError {
    usage("there is no command; write one such as show".to_owned())
}

/// An option before the first command: its full name, what it takes, and the value in the same word.
fn read_option(word: &str) -> Result<(&'static str, Takes, Option<String>), NbctlError> {
    let unknown = || usage(format!("there is no option \"{}\"; leave it out", shortened(word)));
    if !word.starts_with("--") {
        let mut letters = word.chars().skip(1);
        let letter = letters.next();
        let (_, name) = SHORT.iter().find(|(short, _)| Some(*short) == letter).ok_or_else(unknown)?;
        let value: String = letters.collect();
        return Ok((name, Takes::Value, Some(value).filter(|value| !value.is_empty())));
    }
    let (written, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let mut found: Vec<_> = all().filter(|(name, _)| name.starts_with(written)).collect();
    if let Some(exact) = found.iter().find(|(name, _)| *name == written) {
        found = vec![*exact];
    }
    found.sort_unstable_by_key(|(name, _)| *name);
    found.dedup();
    match &found[..] {
        [(name, takes)] => Ok((name, *takes, value)),
        [] if WITHOUT_SERVER.contains(&written) => Err(usage(format!(
            "{written} has no meaning here, where the rows are in the switch itself; leave it out"
        ))),
        [] => Err(unknown()),
        several => {
            let names = several.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            Err(usage(format!("{written} may mean {names}; write more of one")))
        }
    }
}

impl Options {
    fn take(&mut self, name: &str, value: &str) -> Result<(), NbctlError> {
        match name {
            "--dry-run" => self.dry_run = true,
            "--oneline" => self.oneline = true,
            "--print-wait-time" => self.print_wait_time = true,
            "--no-wait" => self.wait = Wait::None,
            "--wait" => {
                self.wait = match value {
                    "none" => Wait::None,
                    "sb" => Wait::Southbound,
                    "hv" => Wait::Chassis,
                    _ => return Err(usage("--wait= takes none, sb or hv".to_owned())),
                }
            }
            "--timeout" => {
                let seconds = address::whole_number(value).and_then(|seconds| u32::try_from(seconds).ok());
                let seconds = seconds.filter(|seconds| *seconds > 0);
                let bad = || usage("--timeout= takes a number of seconds, at least 1".to_owned());
                self.timeout = Some(seconds.ok_or_else(bad)?);
            }
            _ => {
                let word = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
                self.style.take(&word)?;
            }
        }
        Ok(())
    }
}

impl Command {
    /// Looks whether there is such a command, with such options and as many arguments.
    fn check(words: dbctl::Call) -> Result<Self, NbctlError> {
        if words.name.is_empty() {
            return Err(no_command());
        }
        let syntax = commands().find(|command| command.form.name == words.name);
        let syntax = syntax.ok_or_else(|| unknown(&words.name))?;
        words.check(&syntax.form).map_err(|error| match error {
            DbctlError::Arguments { command, .. } => {
                let given = words.args.len();
                let is_option =
                    given > syntax.form.most && words.args.iter().any(|arg| arg.starts_with("--"));
                let hint =
                    if is_option { ", and options in front of the command behind a \"--\"" } else { "" };
                usage(format!(
                    "{command} does not take {given} arguments; write {command} {}{hint}",
                    syntax.usage
                ))
            }
            other => other.into(),
        })?;
        Ok(Self { syntax, words, number: 0 })
    }
}

fn unknown(name: &str) -> NbctlError {
    // No command is longer, and to look for what is like a long word takes long.
    let beginning: String = name.chars().take(64).collect();
    let mend = match nearest(&beginning, commands().map(|command| command.form.name)) {
        Some((_, meant)) => format!("did you mean {meant}?"),
        None => "ovn-nbctl(8) lists them".to_owned(),
    };
    usage(format!("there is no command \"{}\"; {mend}", shortened(name)))
}
