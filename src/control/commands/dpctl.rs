//! Megaflows as Open vSwitch's `dpctl` shows the flows of its datapath.

use std::fmt;
use std::rc::Rc;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::megaflow::{errand, filter};
use super::pmd::check_datapath;
use super::{CommandError, Pending, done};
use crate::control::dpflow::{DpFlow, Style};
use crate::control::switch::Switch;
use crate::datapath::megaflow::{Megaflow, MegaflowErrand};
use crate::pipeline::{Match, Ports};

/// Kinds of flows in `type=` that all of ours are.
const OURS: [&str; 3] = ["all", "ovs", "non-offloaded"];

/// What was asked for.
#[derive(Default)]
struct Options {
    more: bool,
    names: Option<bool>,
    filter: Match,
    /// Only the flows of the worker on this core.
    core: Option<usize>,
    /// Whether all is asked for that no flow of ours is.
    others: bool,
}

fn options(switch: &Switch, ports: &Ports, args: &[String]) -> Result<Options, CommandError> {
    let mut options = Options::default();
    for arg in args {
        match (arg.as_str(), arg.split_once('=')) {
            ("-m" | "--more", _) => options.more = true,
            ("--names", _) => options.names = Some(true),
            ("--no-names", _) => options.names = Some(false),
            (_, Some(("filter", text))) => options.filter = filter(ports, text)?,
            (_, Some(("type", kinds))) => {
                options.others = !kinds.split(',').any(|kind| OURS.contains(&kind));
            }
            (_, Some(("pmd", core))) => {
                options.core = Some(core.parse().map_err(|_| {
                    CommandError::Argument("pmd= takes the number of a core, such as \"pmd=1\"".to_owned())
                })?);
            }
            (other, _) if other.starts_with('-') => {
                let sentence =
                    format!("dpctl/dump-flows has no option \"{other}\"; it takes -m, --names, --no-names");
                return Err(CommandError::Argument(sentence));
            }
            (name, _) => check_datapath(switch, name)?,
        }
    }
    Ok(options)
}

struct Dump {
    /// By worker: its core, or its number where it has none, and its flows.
    workers: Vec<(usize, Vec<Megaflow>)>,
    ports: Ports,
    more: bool,
    names: bool,
}

pub fn dump_flows(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let ports = switch.state().datapath.ports().clone();
        let options = options(&switch, &ports, &args)?;
        // As in Open vSwitch a flow is shown that could meet the filter, so that it is looked for among all.
        let mut megaflows = errand(&switch, MegaflowErrand::Dump(Match::default())).await?.megaflows;
        megaflows.retain(|megaflow| !options.others && megaflow.matcher.overlaps(&options.filter));
        megaflows.sort_by_key(|megaflow| megaflow.worker);
        let mut workers: Vec<(usize, Vec<Megaflow>)> = Vec::new();
        for status in switch.state().datapath.workers() {
            let core = status.core.unwrap_or(status.worker.into());
            let rest = megaflows.split_off(megaflows.partition_point(|flow| flow.worker <= status.worker));
            let mine = std::mem::replace(&mut megaflows, rest);
            if !mine.is_empty() && options.core.is_none_or(|asked| asked == core) {
                workers.push((core, mine));
            }
        }
        done(Dump { workers, ports, more: options.more, names: options.names.unwrap_or(options.more) })
    })
}

impl Dump {
    fn line<'d>(&'d self, megaflow: &'d Megaflow) -> DpFlow<'d> {
        let style = Style { ports: &self.ports, names: self.names, more: self.more };
        DpFlow { megaflow, style }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (core, megaflows) in &self.workers {
            writeln!(f, "flow-dump from pmd on cpu core: {core}")?;
            megaflows.iter().try_for_each(|megaflow| writeln!(f, "{}", self.line(megaflow)))?;
        }
        Ok(())
    }
}

impl Serialize for Dump {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Core {
            core: usize,
            flows: Vec<String>,
        }
        let mut list = out.serialize_seq(Some(self.workers.len()))?;
        for (core, megaflows) in &self.workers {
            let flows = megaflows.iter().map(|megaflow| self.line(megaflow).to_string());
            list.serialize_element(&Core { core: *core, flows: flows.collect() })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct Deleted {
    deleted: u64,
}

impl fmt::Display for Deleted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub fn del_flows(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        args.iter().try_for_each(|name| check_datapath(&switch, name))?;
        let deleted = errand(&switch, MegaflowErrand::Flush(Match::default())).await?.flushed;
        tracing::info!(deleted, "megaflows flushed");
        done(Deleted { deleted })
    })
}
