//! The Northbound, in the words of `ovn-nbctl`.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::sbctl::{ShownTrouble, Troubles, counted};
use super::upload::{self, Came};
use super::{CommandError, Form, Gone, Outcome, Pending, Rendering, Session, done};
use crate::control::logical::Upload;
use crate::control::northbound::{Done, NorthboundError, Waited, unreadable};
use crate::control::switch::{Published, Switch};
use crate::logical::error::shortened;
use crate::logical::nb;
use crate::logical::nb::nbctl::Line;
use crate::logical::rows::dump;

/// Commands were done.
#[derive(Serialize)]
struct Answered {
    printed: String,
    /// Rows that changed.
    changed: usize,
    #[serde(flatten)]
    published: Option<Published>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nb_cfg: Option<i64>,
    #[serde(skip)]
    waited: Option<Waited>,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed)?;
        if let Some(Waited { nb_cfg, taken_up, compiled, in_force }) = self.waited {
            writeln!(f, "Time spent on processing nb_cfg {nb_cfg}:")?;
            writeln!(f, "\tovn-northd delay before processing:\t{taken_up}ms")?;
            writeln!(f, "\tovn-northd completion:\t\t\t{compiled}ms")?;
            writeln!(f, "\tovn-controller(s) completion:\t\t{in_force}ms")?;
        }
        match &self.published {
            Some(published) if !published.not_yet_visible_on.is_empty() => writeln!(f, "{published}"),
            _ => Ok(()),
        }
    }
}

/// `nbctl [OPTION...] COMMAND [-- COMMAND]...`
pub fn run(switch: Rc<Switch>, words: Vec<String>, form: Form, _: Gone) -> Rendering {
    Box::pin(async move {
        let mut line = Line::parse(&words).map_err(NorthboundError::from)?;
        let (seconds, is_told) = (line.options.timeout, line.options.print_wait_time);
        if !line.writes() {
            // What only reads is done and written aside, since it may take long, and without waiting for its turn.
            let draft = switch.state().logical.northbound.rows().draft();
            let read = move || {
                let read = line.run(draft.edit()).map_err(NorthboundError::from)?;
                if !read.edit.transaction().is_empty() {
                    return Ok(Err(line));
                }
                let printed = read.printed;
                let answer = Answered { printed, changed: 0, published: None, nb_cfg: None, waited: None };
                Ok::<_, CommandError>(Ok(form.write(&answer)?))
            };
            line = match tokio::task::spawn_blocking(read).await?? {
                Ok(answer) => return Ok(answer),
                // `sync`, which gives the configuration a number.
                Err(line) => line,
            };
        }
        let Done { printed, changed, published, waited } = in_time(switch, line, seconds).await?;
        let nb_cfg = waited.map(|waited| waited.nb_cfg);
        let waited = waited.filter(|_| is_told);
        form.write(&Answered { printed, changed, published, nb_cfg, waited })
    })
}

/// Waits no longer than so many seconds. What goes on then comes to its end without anybody who waits.
async fn in_time(switch: Rc<Switch>, line: Line, seconds: Option<u32>) -> Result<Done, CommandError> {
    let Some(seconds) = seconds else { return Ok(switch.nbctl(line).await?) };
    let task = tokio::task::spawn_local(async move { switch.nbctl(line).await });
    match tokio::time::timeout(Duration::from_secs(seconds.into()), task).await {
        Ok(done) => Ok(done??),
        Err(_) => Err(CommandError::Argument(format!(
            "it was not done within {seconds} s, and may be yet; look at the rows, or wait longer with --timeout="
        ))),
    }
}

/// The rows as a dump.
#[derive(Serialize)]
struct Dumped(String);

impl fmt::Display for Dumped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `nbctl/dump`
pub fn dump(switch: Rc<Switch>, _: Vec<String>, form: Form, _: Gone) -> Rendering {
    Box::pin(async move {
        let rows = switch.state().logical.northbound.rows().snapshot().clone();
        tokio::task::spawn_blocking(move || form.write(&Dumped(dump::write(&rows).to_string()))).await?
    })
}

/// A dump was loaded.
#[derive(Serialize)]
struct Loaded {
    rows: usize,
    /// Rows that are not as they were before.
    changed: usize,
    /// Rows that are not compiled, or not wholly.
    troubles: usize,
    #[serde(flatten)]
    published: Published,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} changed", counted(self.rows, "row"), self.changed)?;
        if self.troubles > 0 {
            let rows = counted(self.troubles, "row");
            write!(
                f,
                "\nnote: {rows} cannot be compiled, or not wholly; `millrace nbctl troubles` says why"
            )?;
        }
        if self.published.not_yet_visible_on.is_empty() { Ok(()) } else { write!(f, "\n{}", self.published) }
    }
}

/// `nbctl/load [--part] TEXT`: what comes with `--part` is kept until the rest comes without.
pub fn load(switch: Rc<Switch>, session: &mut Session, args: Vec<String>) -> Pending {
    let (part, text) = match &args[..] {
        [text] => (false, text),
        [flag, text] if flag == "--part" => (true, text),
        _ => {
            let sentence = format!("nbctl/load takes [--part] TEXT, not \"{}\"", shortened(&args.join(" ")));
            return Box::pin(async { Err(CommandError::Argument(sentence)) });
        }
    };
    match upload::receive(&switch, session, "nbctl/load", text, part) {
        Ok(Came::Part(received)) => Box::pin(async { done(received) }),
        Ok(Came::Whole(upload)) => Box::pin(replace(switch, upload)),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

async fn replace(switch: Rc<Switch>, upload: Upload) -> Outcome {
    let read = tokio::task::spawn_blocking(move || {
        let Upload { text, turn, .. } = upload;
        (nb::read_dump(&text), turn)
    });
    let (dump, _turn) = read.await?;
    let dump = dump.map_err(|bad| CommandError::Argument(bad.to_string()))?;
    if let [first, ..] = dump.lacks()[..] {
        return Err(CommandError::Argument(format!(
            "nothing is changed: the dump has nothing of {first}, not even headings, so it was cut; load a whole one"
        )));
    }
    let rows = dump.rows.len();
    let (changed, published) = switch.replace_northbound(dump.rows).await?;
    let troubles = {
        let logical = &switch.state().logical;
        logical.northbound.troubles(logical.rows.snapshot()).len()
    };
    done(Loaded { rows, changed, troubles, published })
}

/// `nbctl/troubles`
pub fn troubles(switch: Rc<Switch>, _: Vec<String>) -> Pending {
    Box::pin(async move {
        let (mut troubles, rows) = {
            // Rows that are being compiled have their troubles afterwards.
            let _turn = switch.following_turn().await;
            let logical = &switch.state().logical;
            let northbound = &logical.northbound;
            (northbound.troubles(logical.rows.snapshot()), northbound.rows().snapshot().clone())
        };
        troubles.extend(tokio::task::spawn_blocking(move || unreadable(&rows)).await?);
        troubles.sort();
        let shown = troubles.into_iter().map(|(table, uuid, sentence)| ShownTrouble {
            table: table.def().name,
            uuid: Some(uuid.to_string()),
            sentence,
        });
        done(Troubles(shown.collect()))
    })
}
