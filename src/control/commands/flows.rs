//! Flows: added, changed, deleted, dumped.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::detrace::rows_of;
use super::openflow::{Aggregate, TableCount, TableCounts};
use super::{CommandError, Outcome, Pending, done, take_flags};
use crate::control::flows::{Ages, Applied, Change, Clock, FlowRefusal, read_file, read_flows};
use crate::control::switch::{Published, State, Switch};
use crate::logical::rows::Store;
use crate::logical::rows::describe::Described;
use crate::pipeline::stats::FlowCount;
use crate::pipeline::syntax::{
    Command, Counters, DEFAULT_PRIORITY, FlowLine, Mode, PortNames, parse_flow, print_actions,
    print_flow_line, print_match,
};
use crate::pipeline::table::FlowFilter;
use crate::pipeline::{Flow, Ports, Tables};

/// What a change did to the flows.
#[derive(Serialize)]
pub struct FlowsChanged {
    added: usize,
    modified: usize,
    removed: usize,
    #[serde(flatten)]
    published: Published,
}

impl FlowsChanged {
    /// What was done, and who sees it.
    pub fn new(applied: &Applied, published: Published) -> Self {
        let Applied { added, modified, removed, .. } = *applied;
        Self { added, modified, removed, published }
    }
}

impl fmt::Display for FlowsChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.published.fmt(f)
    }
}

/// Makes changes and waits until workers see them.
async fn change(switch: &Switch, changes: Result<Vec<Change>, FlowRefusal>) -> Outcome {
    let changes = changes?;
    if changes.iter().any(|(_, change)| change.options.reset_counts) {
        // What was counted until now is not to turn up after the reset.
        count_all(switch).await;
    }
    let applied = switch.state_mut().change_flows(&changes)?;
    let published = switch.settle(applied.generation).await;
    done(FlowsChanged::new(&applied, published))
}

/// Has the workers add what their megaflows counted to the flows' counters. The answers that need it are OVS's and have
/// no place for workers that stay silent, so the log names them.
pub async fn count_all(switch: &Switch) {
    let silent = switch.in_step().await;
    if !silent.is_empty() {
        tracing::warn!(workers = ?silent, "flow counters lack what silent workers have counted lately");
    }
}

fn ports(switch: &Switch) -> Ports {
    switch.state().datapath.ports().clone()
}

pub fn add_flow(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let changes = read_flows(&args, &ports(&switch), Command::Add).await;
        change(&switch, changes).await
    })
}

pub fn add_flows(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let text = args.first().map(String::as_str).unwrap_or_default();
        let changes = read_file(text, &ports(&switch)).await;
        change(&switch, changes).await
    })
}

pub fn mod_flows(switch: Rc<Switch>, mut args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [strict] = take_flags(&mut args, ["--strict"], "ofctl/mod-flows", 1)?;
        if args.is_empty() {
            return Err(CommandError::TooFew("ofctl/mod-flows", 1));
        }
        let changes = read_flows(&args, &ports(&switch), Command::Modify { strict }).await;
        change(&switch, changes).await
    })
}

pub fn del_flows(switch: Rc<Switch>, mut args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [strict] = take_flags(&mut args, ["--strict"], "ofctl/del-flows", 1)?;
        if args.is_empty() {
            args.push(String::new());
        }
        let changes = read_flows(&args, &ports(&switch), Command::Delete { strict }).await;
        change(&switch, changes).await
    })
}

/// What an optional argument says of flows.
fn filter(state: &State, arg: Option<&String>) -> Result<FlowFilter, CommandError> {
    let text = arg.map(String::as_str).unwrap_or_default();
    let flow = parse_flow(text, state.datapath.ports(), Mode::Select { strict: false })
        .map_err(|error| CommandError::Argument(error.render(text)))?;
    let (cookie, cookie_mask) = flow.cookie.unwrap_or_default();
    Ok(FlowFilter { table: flow.table, matcher: flow.matcher, cookie, cookie_mask, out_port: flow.out_port })
}

/// How flows are shown that are as they were at one moment.
pub struct Lines {
    clock: Clock,
    ports: Ports,
    names: bool,
    stats: bool,
}

/// Flows, and the rows that they may have been made of.
struct Dump {
    flows: Vec<(Arc<Flow>, FlowCount)>,
    lines: Lines,
    rows: Store,
}

pub fn dump_flows(switch: Rc<Switch>, mut args: Vec<String>) -> Pending {
    Box::pin(async move {
        let flags = ["--no-stats", "--names", "--no-names"];
        let [no_stats, names, no_names] = take_flags(&mut args, flags, "ofctl/dump-flows", 1)?;
        let filter = filter(&switch.state(), args.first())?;
        if !no_stats {
            count_all(&switch).await;
        }
        let state = switch.state();
        let stats = state.datapath.flow_stats();
        let flows = state.flows.tables.list(&filter).into_iter().map(|flow| {
            let count = stats.read(flow.stats);
            (flow, count)
        });
        done(Dump {
            flows: flows.collect(),
            lines: Lines::new(&state, names && !no_names, !no_stats),
            rows: state.logical.rows.snapshot().clone(),
        })
    })
}

impl Lines {
    /// As they are now.
    pub fn new(state: &State, names: bool, stats: bool) -> Self {
        let clock = Clock::new(Instant::now(), &*state.datapath);
        Self { clock, ports: state.datapath.ports().clone(), names, stats }
    }

    fn names(&self) -> &dyn PortNames {
        if self.names { &self.ports } else { &() }
    }

    /// The line of a flow, with the space in front.
    pub fn line(&self, flow: &Flow, count: FlowCount) -> String {
        let Ages { duration, idle, hard } = self.clock.ages(flow, count);
        let counters = Counters {
            duration,
            packets: count.packets,
            bytes: count.bytes,
            idle_age: Some(idle.as_secs()),
            hard_age: Some(hard.as_secs()),
        };
        let line = FlowLine {
            table: flow.table,
            priority: flow.priority,
            matcher: &flow.matcher(),
            options: &flow.options,
            actions: &flow.actions,
            counters: self.stats.then_some(counters),
        };
        print_flow_line(&line, self.names())
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flow, count) in &self.flows {
            f.write_str(&self.lines.line(flow, *count))?;
            // Behind a sign that begins a comment in files of flows.
            self.described(flow).iter().try_for_each(|row| write!(f, " # {}", row.short))?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl Dump {
    /// The rows behind a flow, where names are wanted.
    fn described(&self, flow: &Flow) -> Vec<Described> {
        match self.lines.names {
            true => rows_of(&self.rows, flow),
            false => Vec::new(),
        }
    }
}

impl Serialize for Dump {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct OneFlow {
            table: u8,
            priority: u16,
            cookie: u64,
            #[serde(rename = "match")]
            matcher: String,
            actions: String,
            idle_timeout: u16,
            hard_timeout: u16,
            #[serde(skip_serializing_if = "Option::is_none", flatten)]
            stats: Option<Use>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            rows: Vec<Described>,
        }
        #[derive(Serialize)]
        struct Use {
            n_packets: u64,
            n_bytes: u64,
            duration: f64,
            idle_age: u64,
            hard_age: u64,
        }
        let mut list = out.serialize_seq(Some(self.flows.len()))?;
        for (flow, count) in &self.flows {
            let Ages { duration, idle, hard } = self.lines.clock.ages(flow, *count);
            list.serialize_element(&OneFlow {
                table: flow.table,
                priority: flow.priority,
                cookie: flow.options.cookie,
                // The priority has a place of its own.
                matcher: print_match(&flow.matcher(), DEFAULT_PRIORITY, self.lines.names()),
                actions: print_actions(&flow.actions, self.lines.names()),
                idle_timeout: flow.options.idle_timeout,
                hard_timeout: flow.options.hard_timeout,
                rows: self.described(flow),
                stats: self.lines.stats.then_some(Use {
                    n_packets: count.packets,
                    n_bytes: count.bytes,
                    duration: duration.as_millis() as f64 / 1000.0,
                    idle_age: idle.as_secs(),
                    hard_age: hard.as_secs(),
                }),
            })?;
        }
        list.end()
    }
}

pub fn dump_aggregate(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let filter = filter(&switch.state(), args.first())?;
        count_all(&switch).await;
        let state = switch.state();
        let stats = state.datapath.flow_stats();
        let mut sum = Aggregate { packet_count: 0, byte_count: 0, flow_count: 0 };
        for flow in state.flows.tables.list(&filter) {
            let count = stats.read(flow.stats);
            sum.packet_count += count.packets;
            sum.byte_count += count.bytes;
            sum.flow_count += 1;
        }
        done(sum)
    })
}

/// How many flows the tables have that have any.
pub fn counts(tables: &Tables) -> BTreeMap<u8, u64> {
    let all = (0..=u8::MAX).map(|table| (table, tables.len_of(table) as u64));
    all.filter(|(_, flows)| *flows > 0).collect()
}

pub fn dump_tables(switch: &Switch, _: &[String]) -> Outcome {
    let counts = counts(&switch.state().flows.tables).into_iter();
    done(TableCounts(counts.map(|(table_id, active_count)| TableCount { table_id, active_count }).collect()))
}
