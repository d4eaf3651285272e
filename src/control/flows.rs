//! Changes of the flow tables: a request's flow-mods become one publication or none, flows expire, and counters that
//! no worker can reach any more are given back.
//!
//! Workers keep what their megaflows count to themselves for a while, and add it to the flows' counters before they
//! answer [`Datapath::sync`]. So nothing here trusts a counter before it has asked: a flow is idle only if it is so in
//! the counters that all workers have been in step with since, and a counter is given to another flow only after every
//! worker has left the flow's last snapshot *and then* been in step.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::switch::{SILENCE, State};
use crate::datapath::{Datapath, Generation};
use crate::pipeline::flowmod::{Batch, Changes, Command, FlowMod, FlowModError};
use crate::pipeline::stats::{FlowCount, StatsId};
use crate::pipeline::syntax::{
    self, DEFAULT_PRIORITY, FlowText, LineError, SyntaxError, parse_flow, parse_flow_file,
};
use crate::pipeline::table::Timeout;
use crate::pipeline::{Flow, Ports, Tables};

/// Flows read before other commands get their turn.
const STRETCH: usize = 256;

/// The tables as they were last published, and what waits for workers to leave older ones.
#[derive(Default)]
pub struct Flows {
    /// The tables.
    pub tables: Tables,
    /// When they were published.
    pub generation: Generation,
    /// Counters of flows that are gone, and when they went.
    retired: VecDeque<(Generation, Vec<StatsId>)>,
    /// Counters of flows that no worker sees any more, and the token of [`Datapath::sync`] after which none adds to them.
    leaving: Option<(u64, Vec<StatsId>)>,
    /// Since when workers have been asked, and by which token, whether flows that seem idle are.
    doubted: Option<(Instant, u64)>,
}

/// What a request did to the flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Flows that are new, replacements among them.
    pub added: usize,
    /// Flows with new actions.
    pub modified: usize,
    /// Flows that are gone, replaced ones among them.
    pub removed: usize,
    /// From when on workers see it.
    pub generation: Generation,
}

/// Where in a request a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The only one.
    Only,
    /// One of several, from 1.
    Flow(usize),
    /// Line of a file, from 1.
    Line(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Only => Ok(()),
            Place::Flow(number) => write!(f, "flow {number}: "),
            Place::Line(number) => write!(f, "line {number}: "),
        }
    }
}

/// Why nothing was changed. Shows the flow and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum FlowRefusal {
    /// It cannot be read.
    #[error("{place}{shown}")]
    Syntax {
        /// Where it stands.
        place: Place,
        /// The sentence above the text with a caret.
        shown: String,
    },
    /// It cannot be done.
    #[error("{place}{error}")]
    Tables {
        /// Where it stands.
        place: Place,
        /// Why not.
        error: FlowModError,
    },
}

impl FlowRefusal {
    /// Whether the flow stands in a file rather than in the request itself.
    pub fn is_in_file(&self) -> bool {
        let (FlowRefusal::Syntax { place, .. } | FlowRefusal::Tables { place, .. }) = self;
        matches!(place, Place::Line(_))
    }

    fn syntax(place: Place, error: &SyntaxError, text: &str) -> Self {
        FlowRefusal::Syntax { place, shown: error.render(text) }
    }
}

/// A flow-mod and where it came from.
pub type Change = (Place, FlowMod);

/// Reads flows that are all to be treated alike.
pub async fn read_flows(
    texts: &[String],
    ports: &Ports,
    command: syntax::Command,
) -> Result<Vec<Change>, FlowRefusal> {
    let mut changes = Vec::with_capacity(texts.len());
    for (text, number) in texts.iter().zip(1..) {
        let place = if texts.len() == 1 { Place::Only } else { Place::Flow(number) };
        let flow = parse_flow(text, ports, command.mode())
            .map_err(|error| FlowRefusal::syntax(place, &error, text))?;
        changes.push((place, flow_mod(command, flow)));
        if number % STRETCH == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(changes)
}

/// Reads the text of a flow file.
pub async fn read_file(text: &str, ports: &Ports) -> Result<Vec<Change>, FlowRefusal> {
    let mut changes = Vec::new();
    for line in parse_flow_file(text, ports) {
        let (number, command, flow) = line.map_err(|LineError { line, text, error }| {
            FlowRefusal::syntax(Place::Line(line), &error, &text)
        })?;
        changes.push((Place::Line(number), flow_mod(command, flow)));
        if changes.len() % STRETCH == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(changes)
}

fn flow_mod(command: syntax::Command, flow: FlowText) -> FlowMod {
    FlowMod {
        command: match command {
            syntax::Command::Add => Command::Add,
            syntax::Command::Modify { strict: false } => Command::Modify,
            syntax::Command::Modify { strict: true } => Command::ModifyStrict,
            syntax::Command::Delete { strict: false } => Command::Delete,
            syntax::Command::Delete { strict: true } => Command::DeleteStrict,
        },
        table: flow.table,
        priority: flow.priority.unwrap_or(DEFAULT_PRIORITY),
        matcher: flow.matcher,
        cookie_filter: flow.cookie,
        out_port: flow.out_port,
        actions: flow.actions.unwrap_or_default().into(),
        options: flow.options,
    }
}

impl State {
    /// Makes all changes with one publication, or none.
    pub fn change_flows(&mut self, changes: &[Change]) -> Result<Applied, FlowRefusal> {
        let stats = Arc::clone(self.datapath.flow_stats());
        let mut batch = Batch::new(&self.flows.tables, &stats, Instant::now());
        for (place, change) in changes {
            batch.apply(change).map_err(|error| FlowRefusal::Tables { place: *place, error })?;
        }
        let (tables, changes) = batch.commit();
        Ok(self.take_over(tables, &changes))
    }

    /// Changes groups and meters with one publication, or not at all.
    pub fn change_objects<E>(
        &mut self,
        change: impl FnOnce(&mut Batch<'_>) -> Result<(), E>,
    ) -> Result<Applied, E> {
        let stats = Arc::clone(self.datapath.flow_stats());
        let mut batch = Batch::new(&self.flows.tables, &stats, Instant::now());
        change(&mut batch)?;
        let (tables, changes) = batch.commit();
        Ok(self.take_over(tables, &changes))
    }

    /// Publishes what a batch made, if anything differs.
    pub(super) fn take_over(&mut self, tables: Tables, changes: &Changes) -> Applied {
        let mut applied = Applied {
            added: changes.added.len(),
            modified: changes.modified,
            removed: changes.removed.len(),
            generation: self.flows.generation,
        };
        if !changes.is_empty() {
            applied.generation = self.publish(tables, changes);
            let Applied { added, modified, removed, .. } = applied;
            tracing::info!(added, modified, removed, objects = changes.objects, "flows changed");
        }
        applied
    }

    /// Publishes what a batch has changed, if it has, and says what that was.
    pub fn publish_batch(&mut self, batch: Batch<'_>) -> Changes {
        let (tables, changes) = batch.commit();
        if !changes.is_empty() {
            self.publish(tables, &changes);
        }
        changes
    }

    fn publish(&mut self, tables: Tables, changes: &Changes) -> Generation {
        let generation = self.datapath.publish_tables(tables.clone());
        self.flows.tables = tables;
        self.flows.generation = generation;
        let stats = self.datapath.flow_stats();
        changes.cleared.iter().for_each(|id| stats.clear(*id));
        let gone = changes.removed.iter().map(|flow| flow.stats).chain(changes.retired.iter().copied());
        let gone: Vec<StatsId> = gone.collect();
        if !gone.is_empty() {
            self.flows.retired.push_back((generation, gone));
        }
        generation
    }

    /// Takes flows out whose time is over, and gives back the counters of flows that no worker sees any more.
    pub fn expire_flows(&mut self) {
        let now = Instant::now();
        let (idle, hard): (Vec<_>, Vec<_>) =
            self.expired(now).into_iter().partition(|(_, met)| *met == Timeout::Idle);
        self.take_out(&hard);
        if let Some(asked) = self.counted_until(now, !idle.is_empty()) {
            self.take_out(&self.expired(asked));
        }
        self.release_counters();
    }

    fn take_out(&mut self, expired: &[(Arc<Flow>, Timeout)]) {
        if expired.is_empty() {
            return;
        }
        let stats = Arc::clone(self.datapath.flow_stats());
        let mut batch = Batch::new(&self.flows.tables, &stats, Instant::now());
        batch.expire(expired);
        let (tables, changes) = batch.commit();
        self.publish(tables, &changes);
        tracing::debug!(flows = changes.removed.len(), "flows expired");
    }

    fn expired(&self, at: Instant) -> Vec<(Arc<Flow>, Timeout)> {
        let clock = Clock::new(Instant::now(), &*self.datapath);
        let stats = self.datapath.flow_stats();
        self.flows.tables.expired(at, |id| clock.instant(stats.read(id)))
    }

    /// Asks the workers what they have counted, once some flow seems idle. Gives, later, when they were asked, if by now
    /// all have answered. One that stays silent is not waited for: it forwards nothing either.
    fn counted_until(&mut self, now: Instant, some_seem_idle: bool) -> Option<Instant> {
        let Some((asked, token)) = self.flows.doubted else {
            if some_seem_idle {
                self.flows.doubted = Some((now, self.datapath.sync()));
            }
            return None;
        };
        if !self.datapath.unsynced(token).is_empty() && now.saturating_duration_since(asked) < SILENCE {
            return None;
        }
        self.flows.doubted = None;
        Some(asked)
    }

    /// Gives back the counters that no worker adds to any more, and asks the workers about those whose flows they have
    /// left behind since.
    fn release_counters(&mut self) {
        if let Some((token, _)) = self.flows.leaving {
            if !self.datapath.unsynced(token).is_empty() {
                return;
            }
            let stats = self.datapath.flow_stats();
            let ids = self.flows.leaving.take().into_iter().flat_map(|(_, ids)| ids);
            ids.for_each(|id| stats.release(id));
        }
        let mut left = Vec::new();
        while let Some((generation, ids)) = self.flows.retired.front_mut() {
            if !self.datapath.lagging(*generation).is_empty() {
                break;
            }
            left.append(ids);
            self.flows.retired.pop_front();
        }
        if !left.is_empty() {
            self.flows.leaving = Some((self.datapath.sync(), left));
        }
    }
}

/// Tells what the workers' coarse clock means.
pub struct Clock {
    now: Instant,
    now_ms: u64,
}

impl Clock {
    /// A clock that stands at this moment.
    pub fn new(now: Instant, datapath: &dyn Datapath) -> Self {
        Self { now, now_ms: datapath.now_ms() }
    }

    fn instant(&self, count: FlowCount) -> Option<Instant> {
        let ago = self.now_ms.saturating_sub(count.last_used_ms?);
        self.now.checked_sub(Duration::from_millis(ago))
    }

    /// How long ago a flow was added, was last used or else added, and was last changed.
    pub fn ages(&self, flow: &Flow, count: FlowCount) -> Ages {
        let (created, modified) = (Instant::from(flow.created), Instant::from(flow.modified));
        let used = self.instant(count).map_or(created, |used| used.max(created));
        Ages {
            duration: self.now.saturating_duration_since(created),
            idle: self.now.saturating_duration_since(used),
            hard: self.now.saturating_duration_since(modified),
        }
    }
}

/// See [`Clock::ages`].
pub struct Ages {
    /// Since it was added.
    pub duration: Duration,
    /// Since it was used or else added.
    pub idle: Duration,
    /// Since it was last changed.
    pub hard: Duration,
}
