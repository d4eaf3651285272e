//! The Southbound rows: loaded from a dump, printed as `ovn-sbctl` prints them.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::upload::{self, Came};
use super::{CommandError, Outcome, Pending, Session, done};
use crate::control::chassis::Extent;
use crate::control::learning::{MAX_LEARNED, OF_PORT};
use crate::control::logical::{Logical, Upload};
use crate::control::switch::{Published, Switch};
use crate::logical::error::shortened;
use crate::logical::rows::dump::{self, Unfit};
use crate::logical::rows::sbctl::{self, Keys, Style};
use crate::logical::rows::{NoRows, Store, Table};

/// Bytes of a chassis's name.
const MAX_CHASSIS: usize = 255;

#[derive(Serialize)]
struct Loaded {
    rows: usize,
    tables: usize,
    /// Rows that are not as they were before.
    changed: usize,
    chassis: Option<String>,
    /// Whether the rows know that chassis.
    chassis_known: bool,
    /// Tables without which it was no whole dump.
    lacks: Vec<&'static str>,
    /// Logical ports that are ports of this switch.
    bound: usize,
    /// Flows that the rows became.
    flows: usize,
    /// Rows that take no part in that, or not wholly.
    troubles: usize,
    #[serde(flatten)]
    published: Published,
}

/// Why no dump is loaded.
const COMPILED: &str = "the Southbound rows here are compiled of the Northbound; take its switches and routers out first \
                        (`millrace nbctl ls-del`, `lr-del`), or load a dump of the Northbound with `millrace nbctl load`";

/// So many of a thing.
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, tables) = (counted(self.rows, "row"), counted(self.tables, "table"));
        write!(f, "{rows} in {tables}, {} changed", self.changed)?;
        if let [first, rest @ ..] = &self.lacks[..] {
            let names = rest.iter().take(2).fold((*first).to_owned(), |names, name| names + ", " + name);
            let more = if rest.len() > 2 { ", …" } else { "" };
            write!(
                f,
                "\nnote: the dump has nothing of {}, not even headings: {names}{more}; \
                 if it was cut, load a whole one",
                counted(self.lacks.len(), "table")
            )?;
        }
        match &self.chassis {
            Some(name) if !self.chassis_known => {
                write!(f, "\nnote: no row of Chassis has the name \"{name}\", so it can claim no port")
            }
            _ => Ok(()),
        }?;
        if self.bound > 0 {
            write!(f, "\n{} bound, {}", counted(self.bound, "port"), counted(self.flows, "flow"))?;
        }
        if self.troubles > 0 {
            let rows = counted(self.troubles, "row");
            write!(
                f,
                "\nnote: {rows} cannot be executed, or not wholly; `millrace sbctl troubles` says why"
            )?;
        }
        if self.published.not_yet_visible_on.is_empty() { Ok(()) } else { write!(f, "\n{}", self.published) }
    }
}

/// Rows that take no part in forwarding, or not wholly.
#[derive(Serialize)]
pub struct Troubles(pub Vec<ShownTrouble>);

#[derive(Serialize)]
pub struct ShownTrouble {
    pub table: &'static str,
    /// None for what no row is to blame for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub sentence: String,
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|ShownTrouble { table, uuid, sentence }| match uuid {
            Some(uuid) => writeln!(f, "{table} {uuid}: {sentence}"),
            None => writeln!(f, "{table}: {sentence}"),
        })
    }
}

pub fn troubles(switch: Rc<Switch>, _: Vec<String>) -> Pending {
    Box::pin(async move {
        // Rows that are being made flows have their troubles afterwards.
        let _turn = switch.following_turn().await;
        let state = switch.state();
        let chassis = state.logical.chassis.as_ref();
        let unknown = chassis.filter(|name| state.logical.rows.snapshot().chassis(name).is_none());
        let unknown = unknown.map(|name| ShownTrouble {
            table: Table::Chassis.def().name,
            uuid: None,
            sentence: format!("no row has the name \"{name}\" of this chassis, so it can claim no port"),
        });
        let shown = state.extent().troubles.into_iter().map(|trouble| ShownTrouble {
            table: trouble.table.def().name,
            uuid: Some(trouble.uuid.to_string()),
            sentence: trouble.sentence,
        });
        let Logical { not_learned, logs, bound, rows, .. } = &state.logical;
        let rows = rows.snapshot();
        let has_networks = rows.len(Table::DatapathBinding) > 0;
        let absent = bound.elsewhere.ports().filter(|(port, _)| has_networks && rows.port(port).is_none());
        let absent = absent.map(|(port, chassis)| ShownTrouble {
            table: Table::PortBinding.def().name,
            uuid: None,
            sentence: format!(
                "there is no port {port}, which is bound to {chassis}; add it, or correct the name"
            ),
        });
        let full = format!("since a datapath has at most {MAX_LEARNED} and a port {OF_PORT}");
        let counts = [
            (Table::MacBinding, not_learned.neighbours, "neighbours were not learned", &*full),
            (Table::Fdb, not_learned.addresses, "addresses were not learned", &*full),
            (
                Table::LogicalFlow,
                logs.unwritten,
                "logs were not written",
                "since there were too many at once",
            ),
            (
                Table::MacBinding,
                state.told.lost,
                "neighbours, addresses and logs were forgotten",
                "since there were too many at once",
            ),
        ];
        let counted = counts.into_iter().filter(|(_, count, ..)| *count > 0);
        let counted = counted.map(|(table, count, what, why)| ShownTrouble {
            table: table.def().name,
            uuid: None,
            sentence: format!("{count} {what}, {why}"),
        });
        done(Troubles(unknown.into_iter().chain(counted).chain(absent).chain(shown).collect()))
    })
}

/// `sbctl/load [--chassis=NAME] [--part] TEXT`: what comes with `--part` is kept until the rest comes without.
pub fn load(switch: Rc<Switch>, session: &mut Session, args: Vec<String>) -> Pending {
    let mut chassis = None;
    let mut part = false;
    let mut text = None;
    for arg in args {
        if let Some(name) = arg.strip_prefix("--chassis=") {
            if name.trim().is_empty() || name.len() > MAX_CHASSIS || name.contains(char::is_control) {
                return refuse(format!(
                    "\"{}\" is no name of a chassis; give the name that its row of Chassis has, such as hv1",
                    shortened(name)
                ));
            }
            chassis = Some(name.to_owned());
        } else if arg == "--part" {
            part = true;
        } else if arg.starts_with("--") {
            let arg = shortened(&arg);
            return refuse(format!("load has no option \"{arg}\"; it takes --chassis=NAME and --part"));
        } else if text.replace(arg).is_some() {
            return refuse("sbctl/load takes one text; send it in parts with --part".to_owned());
        }
    }
    match upload::receive(&switch, session, "sbctl/load", &text.unwrap_or_default(), part) {
        Ok(Came::Part(received)) => Box::pin(async { done(received) }),
        Ok(Came::Whole(upload)) => Box::pin(replace(switch, upload, chassis)),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

fn refuse(sentence: String) -> Pending {
    Box::pin(async { Err(CommandError::Argument(sentence)) })
}

/// Puts the rows of a dump in the place of all rows. Reading a large dump, checking its rows and giving the old ones back
/// takes seconds; that goes on elsewhere, and here is only the moment in which the new rows take their place.
async fn replace(switch: Rc<Switch>, upload: Upload, chassis: Option<String>) -> Outcome {
    if switch.state().logical.northbound.has_networks() {
        return Err(CommandError::Argument(COMPILED.to_owned()));
    }
    // The turn goes along, so that no other dump is read while this one is, even if the client leaves.
    let read = tokio::task::spawn_blocking(move || {
        let Upload { text, turn, .. } = upload;
        (dump::read_whole(&text), turn)
    });
    let (dump, turn) = read.await?;
    let dump = dump.map_err(|bad| CommandError::Argument(bad.to_string()))?;
    let (lacks, rows) = (dump.lacks(), dump.rows);
    let draft = switch.state().logical.rows.draft();
    let prepared = tokio::task::spawn_blocking(move || (draft.replace(rows), draft, turn));
    let (prepared, draft, turn) = prepared.await?;
    let prepared = prepared
        .map_err(|refusal| CommandError::Argument(format!("nothing is loaded: {}", Unfit(refusal))))?;
    let (changed, old) = {
        let _turns = (switch.following_turn().await, switch.compiling_turn().await);
        let logical = &mut switch.state_mut().logical;
        if logical.northbound.has_networks() {
            return Err(CommandError::Argument(COMPILED.to_owned()));
        }
        logical.is_loaded = true;
        logical.bound.elsewhere.is_in_force = false;
        logical.chassis.clone_from(&chassis);
        let changed = logical.rows.adopt(prepared);
        let compiled = logical.northbound.let_go(&logical.rows);
        (changed, (draft, logical.forget(), compiled))
    };
    tokio::task::spawn_blocking(move || drop(old));
    drop(turn);
    let published = switch.follow().await?;
    let state = switch.state();
    let (tables, rows) = state.logical.size();
    let known = |name: &String| state.logical.rows.snapshot().chassis(name).is_some();
    let chassis_known = chassis.as_ref().is_some_and(known);
    let Extent { flows, bound, troubles } = state.extent();
    let troubles = troubles.len();
    done(Loaded { rows, tables, changed, chassis, chassis_known, lacks, bound, flows, troubles, published })
}

/// Takes out what a dump brought.
pub fn unload(switch: Rc<Switch>, _: Vec<String>) -> Pending {
    Box::pin(async move {
        let turns = (switch.following_turn().await, switch.compiling_turn().await);
        let has_others = {
            let logical = &mut switch.state_mut().logical;
            if !logical.is_loaded {
                let sentence = "no dump is loaded; `millrace nbctl` changes what is compiled here";
                return Err(CommandError::Argument(sentence.to_owned()));
            }
            let prepared = logical.rows.draft().replace([]);
            // Without rows there is nothing that could be inconsistent.
            if let Ok(prepared) = prepared {
                logical.rows.adopt(prepared);
            }
            (logical.is_loaded, logical.chassis) = (false, None);
            let old = (logical.forget(), logical.northbound.let_go(&logical.rows));
            tokio::task::spawn_blocking(move || drop(old));
            logical.bound.elsewhere.is_in_force = true;
            !logical.bound.elsewhere.is_empty()
        };
        if has_others {
            switch.register();
        }
        drop(turns);
        done(switch.follow().await?)
    })
}

/// What `ovn-sbctl show` prints, and below it by which keys packets go between the chassis.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    show: sbctl::Show,
    /// Their digest; none without keys.
    keys: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show.fmt(f)?;
        self.keys.iter().try_for_each(|digest| writeln!(f, "Keys {}", Keys::shortened(digest)))
    }
}

pub fn show(rows: &Store, _: &[String]) -> Outcome {
    some(rows)?;
    let keys = Keys::of(rows);
    let keys = (!keys.is_empty()).then(|| keys.digest().to_owned());
    done(Shown { show: sbctl::show(rows), keys })
}

/// `sbctl/keys`
pub fn keys(rows: &Store, _: &[String]) -> Outcome {
    done(Keys::of(rows))
}

pub fn lflow_list(rows: &Store, args: &[String]) -> Outcome {
    let options = Options::take(args, "lflow-list", &["--uuid"])?;
    some(rows)?;
    done(sbctl::lflow_list(rows, &options.words, options.flag).map_err(refused)?)
}

pub fn list(rows: &Store, args: &[String]) -> Outcome {
    let options = Options::take(args, "list", &["--if-exists", "--columns="])?;
    let (table, records) = options.table("sbctl/list")?;
    let listing = sbctl::list(rows, table, records, options.columns.as_deref(), options.flag);
    done(listing.map_err(refused)?.styled(options.style))
}

pub fn find(rows: &Store, args: &[String]) -> Outcome {
    let options = Options::take(args, "find", &["--columns="])?;
    let (table, conditions) = options.table("sbctl/find")?;
    let listing = sbctl::find(rows, table, conditions, options.columns.as_deref());
    done(listing.map_err(refused)?.styled(options.style))
}

pub fn get(rows: &Store, args: &[String]) -> Outcome {
    let options = Options::take(args, "get", &["--if-exists"])?;
    let [table, record, columns @ ..] = &options.words[..] else {
        return Err(CommandError::TooFew("sbctl/get", 2));
    };
    done(sbctl::get(rows, table, record, columns, options.flag).map_err(refused)?)
}

/// Refuses to show what there is none of: each real database has a row of its own.
fn some(rows: &Store) -> Result<(), CommandError> {
    if rows.is_empty() { Err(CommandError::Argument(NoRows.to_string())) } else { Ok(()) }
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
                continue;
            }
            if options.style.take(arg).map_err(refused)? {
                continue;
            }
            match arg.strip_prefix("--columns=").filter(|_| own.contains(&"--columns=")) {
                Some(columns) => options.columns = Some(columns.to_owned()),
                None if own.contains(&arg.as_str()) => options.flag = true,
                None => {
                    return Err(CommandError::Argument(format!(
                        "{command} has no option \"{arg}\"; it takes --format=, --data=, --no-headings, --bare, {}",
                        own.join(", ")
                    )));
                }
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
