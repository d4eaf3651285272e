//! The Southbound rows: loaded from a dump, printed as `ovn-sbctl` prints them.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;

use super::{CommandError, Outcome, Pending, Session, done};
use crate::control::logical::{MAX_DUMP, Upload};
use crate::control::switch::Switch;
use crate::logical::rows::sbctl::{self, Style};
use crate::logical::rows::{Transaction, dump};

#[derive(Serialize)]
struct Received {
    /// Bytes of the dump so far.
    received: usize,
}

impl fmt::Display for Received {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

#[derive(Serialize)]
struct Loaded {
    rows: usize,
    tables: usize,
    /// Rows that are not as they were before.
    changed: usize,
    chassis: Option<String>,
    /// Whether the rows know that chassis.
    chassis_known: bool,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows in {} tables, {} changed", self.rows, self.tables, self.changed)?;
        match &self.chassis {
            Some(name) if !self.chassis_known => {
                write!(f, "\nnote: no row of Chassis has the name \"{name}\", so no port is bound to it")
            }
            _ => Ok(()),
        }
    }
}

/// `sbctl/load [--chassis=NAME] [--part] TEXT`: what comes with `--part` is kept until the rest comes without.
pub fn load(switch: Rc<Switch>, session: &mut Session, args: Vec<String>) -> Pending {
    let mut chassis = None;
    let mut part = false;
    let mut text = None;
    for arg in args {
        if let Some(name) = arg.strip_prefix("--chassis=") {
            chassis = Some(name.to_owned());
        } else if arg == "--part" {
            part = true;
        } else if text.replace(arg).is_some() {
            return refuse("sbctl/load takes one text; send it in parts with --part".to_owned());
        }
    }
    let text = text.unwrap_or_default();
    let mut upload = match session.upload.take() {
        Some(upload) => upload,
        None => match Arc::clone(switch.load_turn()).try_acquire_owned() {
            Ok(turn) => Upload { text: String::new(), turn },
            Err(_) => {
                return refuse("another client is loading a dump; try again when it is done".to_owned());
            }
        },
    };
    if upload.text.len() + text.len() > MAX_DUMP {
        return refuse(format!(
            "a dump may have at most {MAX_DUMP} bytes; leave out tables that a chassis does not read"
        ));
    }
    upload.text.push_str(&text);
    if part {
        let received = upload.text.len();
        session.upload = Some(upload);
        return Box::pin(async move { done(Received { received }) });
    }
    Box::pin(replace(switch, upload, chassis))
}

fn refuse(sentence: String) -> Pending {
    Box::pin(async { Err(CommandError::Argument(sentence)) })
}

/// Puts the rows of a dump in the place of all rows.
async fn replace(switch: Rc<Switch>, upload: Upload, chassis: Option<String>) -> Outcome {
    let Upload { text, turn } = upload;
    // Elsewhere, since a large dump takes a second and others are served meanwhile.
    let read = tokio::task::spawn_blocking(move || dump::read(&text).map_err(|bad| bad.to_string())).await;
    let rows = read.map_err(|error| CommandError::Argument(error.to_string()))?;
    let rows = rows.map_err(CommandError::Argument)?;
    let mut state = switch.state_mut();
    let logical = &mut state.logical;
    let transaction = Transaction::replacing(logical.rows.snapshot(), rows);
    let changed = logical
        .rows
        .commit(transaction)
        .map_err(|refusal| CommandError::Argument(format!("nothing is loaded: {refusal}")))?;
    logical.chassis = chassis.clone();
    let (tables, rows) = logical.size();
    let known = |name: &String| logical.rows.snapshot().chassis(name).is_some();
    let chassis_known = chassis.as_ref().is_some_and(known);
    drop(turn);
    done(Loaded { rows, tables, changed, chassis, chassis_known })
}

pub fn show(switch: &Switch, _: &[String]) -> Outcome {
    done(sbctl::show(switch.state().logical.rows.snapshot()))
}

pub fn lflow_list(switch: &Switch, args: &[String]) -> Outcome {
    let options = Options::take(args, "sbctl/lflow-list", &["--uuid"])?;
    let state = switch.state();
    done(sbctl::lflow_list(state.logical.rows.snapshot(), &options.words, options.flag).map_err(refused)?)
}

pub fn list(switch: &Switch, args: &[String]) -> Outcome {
    let options = Options::take(args, "sbctl/list", &["--if-exists", "--columns="])?;
    let (table, records) = options.table("sbctl/list")?;
    let state = switch.state();
    let columns = options.columns.as_deref();
    let listing = sbctl::list(state.logical.rows.snapshot(), table, records, columns, options.flag);
    done(listing.map_err(refused)?.styled(options.style))
}

pub fn find(switch: &Switch, args: &[String]) -> Outcome {
    let options = Options::take(args, "sbctl/find", &["--columns="])?;
    let (table, conditions) = options.table("sbctl/find")?;
    let state = switch.state();
    let listing = sbctl::find(state.logical.rows.snapshot(), table, conditions, options.columns.as_deref());
    done(listing.map_err(refused)?.styled(options.style))
}

pub fn get(switch: &Switch, args: &[String]) -> Outcome {
    let options = Options::take(args, "sbctl/get", &["--if-exists"])?;
    let [table, record, columns @ ..] = &options.words[..] else {
        return Err(CommandError::TooFew("sbctl/get", 2));
    };
    let state = switch.state();
    done(sbctl::get(state.logical.rows.snapshot(), table, record, columns, options.flag).map_err(refused)?)
}

fn refused(error: sbctl::SbctlError) -> CommandError {
    CommandError::Argument(error.to_string())
}

/// What may stand among the words of these commands.
#[derive(Default)]
struct Options {
    style: Style,
    columns: Option<String>,
    /// The command's own flag.
    flag: bool,
    words: Vec<String>,
}

impl Options {
    /// Options of a style, which every command takes and some have no use for, and those that the command has.
    fn take(args: &[String], command: &'static str, own: &[&str]) -> Result<Self, CommandError> {
        let mut options = Options::default();
        for arg in args {
            if !arg.starts_with("--") {
                options.words.push(arg.clone());
            } else if options.style.take(arg).map_err(refused)? {
            } else if own.contains(&arg.as_str()) {
                options.flag = true;
            } else if let Some(columns) = arg.strip_prefix("--columns=")
                && own.contains(&"--columns=")
            {
                options.columns = Some(columns.to_owned());
            } else {
                return Err(CommandError::Argument(format!(
                    "{command} has no option \"{arg}\"; it takes --format=, --data=, --no-headings, --bare, {}",
                    own.join(", ")
                )));
            }
        }
        Ok(options)
    }

    /// The name of a table, and the words behind it.
    fn table(&self, command: &'static str) -> Result<(&str, &[String]), CommandError> {
        match &self.words[..] {
            [table, rest @ ..] => Ok((table, rest)),
            [] => Err(CommandError::TooFew(command, 1)),
        }
    }
}
