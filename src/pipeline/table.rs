//! The persistent flow tables.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpds::RedBlackTreeMapSync;

use super::changes::{Touched, What};
use super::conjunction::{self, Parts};
use super::flow::{Flow, Match, PackedMatch};
use super::objects::Objects;
use super::stats::StatsId;
use crate::action::Action;
use crate::classifier::{Classifier, Wildcards};
use crate::packet::{FlowKey, PortNo};

/// How many tables there are; their numbers are 0 to 254.
pub const TABLES: usize = 255;

/// All flow tables. A clone shares everything with its origin.
#[derive(Clone)]
pub struct Tables {
    tables: Arc<Vec<Classifier<Arc<Flow>>>>,
    /// Where there are parts of conjunctive matches.
    parts: Parts,
    objects: Objects,
    /// The flows with a timeout, so that nobody walks the others to find what has expired.
    timed: RedBlackTreeMapSync<StatsId, Arc<Flow>>,
    /// Tells this version from all others by its address.
    version: Arc<()>,
    /// The version that it was made from …
    parent: Arc<()>,
    /// … and where the two may differ.
    touched: Arc<Touched>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            // One empty table, shared until it is changed.
            tables: Arc::new(vec![Classifier::default(); TABLES]),
            parts: Parts::default(),
            objects: Objects::default(),
            timed: RedBlackTreeMapSync::new_sync(),
            version: Arc::default(),
            parent: Arc::default(),
            touched: Arc::default(),
        }
    }
}

/// Which flows are meant, as `dump-flows` and `del-flows` say it. The default means all.
#[derive(Clone, Debug, Default)]
pub struct FlowFilter {
    /// Only this table.
    pub table: Option<u8>,
    /// Only flows that match this or less ("loose" matching).
    pub matcher: Match,
    /// Only flows whose cookie has these bits …
    pub cookie: u64,
    /// … where this is one.
    pub cookie_mask: u64,
    /// Only flows with an `output` to this port, inside `clone` too. `CONTROLLER` means `controller` actions.
    pub out_port: Option<PortNo>,
}

impl FlowFilter {
    /// Whether cookie and outputs of a flow are as asked; table and match are for the search.
    pub(super) fn admits(&self, flow: &Flow) -> bool {
        (flow.options.cookie ^ self.cookie) & self.cookie_mask == 0
            && self.out_port.is_none_or(|port| sends_to(&flow.actions, port))
    }
}

fn sends_to(actions: &[Action], port: PortNo) -> bool {
    actions.iter().any(|action| match action {
        Action::Output(to) => *to == port,
        Action::Controller { .. } => port == PortNo::CONTROLLER,
        _ => sends_to(action.inner(), port),
    })
}

/// Which timeout a flow met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// No packet for `idle_timeout` seconds.
    Idle,
    /// `hard_timeout` seconds since it was added or changed.
    Hard,
}

impl Tables {
    /// The flow of a table that a key meets: the greatest priority and, among equal ones, the flow added first. See
    /// [`conjunction`] for what conjunctive matches make of that.
    #[inline]
    pub fn lookup<W: Wildcards>(&self, table: u8, key: &FlowKey, wild: &mut W) -> Option<&Arc<Flow>> {
        let flows = self.tables.get(usize::from(table))?;
        match self.parts.is_among(table) {
            false => flows.lookup(key, wild),
            true => conjunction::lookup(flows, key, wild),
        }
    }

    /// The groups and meters that flows may name.
    #[inline]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(super) fn objects_mut(&mut self) -> &mut Objects {
        &mut self.objects
    }

    /// The flow with exactly that match and priority.
    pub fn get(&self, table: u8, priority: u16, matcher: &Match) -> Option<&Arc<Flow>> {
        self.tables.get(usize::from(table))?.get(priority, matcher)
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Classifier::len).sum()
    }

    /// Whether there are no flows.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Classifier::is_empty)
    }

    /// How many flows a table has.
    pub fn len_of(&self, table: u8) -> usize {
        self.tables.get(usize::from(table)).map_or(0, Classifier::len)
    }

    /// All flows, by table, in no order within one.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.tables.iter().flat_map(|table| table.iter().map(|(_, flow)| flow))
    }

    /// The flows that a filter means, by table, falling priority, then as they were added.
    pub fn list(&self, filter: &FlowFilter) -> Vec<Arc<Flow>> {
        let mut found = Vec::new();
        for table in self.chosen(filter.table) {
            let start = found.len();
            found.extend(table.within(&filter.matcher).filter(|(_, flow)| filter.admits(flow)));
            if let Some(new) = found.get_mut(start..) {
                new.sort_by_key(|(rank, _)| Reverse(*rank));
            }
        }
        found.into_iter().map(|(_, flow)| Arc::clone(flow)).collect()
    }

    /// How many flows a filter means.
    pub fn count(&self, filter: &FlowFilter) -> usize {
        let tables = self.chosen(filter.table);
        tables
            .iter()
            .flat_map(|table| table.within(&filter.matcher))
            .filter(|(_, flow)| filter.admits(flow))
            .count()
    }

    /// The flows whose time is over. `last_used` tells when a flow last saw a packet; only flows with a timeout are
    /// asked about.
    pub fn expired(
        &self,
        now: Instant,
        last_used: impl Fn(StatsId) -> Option<Instant>,
    ) -> Vec<(Arc<Flow>, Timeout)> {
        let over = |since: Instant, seconds: u16| {
            seconds != 0 && now.saturating_duration_since(since) >= Duration::from_secs(u64::from(seconds))
        };
        let met = |flow: &Flow| {
            if over(flow.modified.into(), flow.options.hard_timeout) {
                return Some(Timeout::Hard);
            }
            let created = Instant::from(flow.created);
            let used = last_used(flow.stats).map_or(created, |used| used.max(created));
            over(used, flow.options.idle_timeout).then_some(Timeout::Idle)
        };
        self.timed.values().filter_map(|flow| Some((Arc::clone(flow), met(flow)?))).collect()
    }

    /// Whether some flow of that table and priority could meet a packet that meets `matcher`.
    pub(super) fn overlaps(&self, table: u8, priority: u16, matcher: &Match) -> bool {
        let table = self.tables.get(usize::from(table));
        table.is_some_and(|table| table.overlapping(priority, matcher).next().is_some())
    }

    /// A new version, the same as this but for what will be changed in it.
    pub(super) fn next(&self) -> Self {
        let mut next = Self {
            version: Arc::default(),
            parent: Arc::clone(&self.version),
            touched: Arc::default(),
            ..self.clone()
        };
        next.objects.settle();
        next
    }

    /// What differs from other tables for a packet: exactly, if these were made from those with one batch that was
    /// not too large; else perhaps everything.
    pub(super) fn changes_since(&self, before: &Tables) -> Option<What> {
        if Arc::ptr_eq(&self.version, &before.version) {
            return None;
        }
        if !Arc::ptr_eq(&self.parent, &before.version) {
            return Some(What::Everything);
        }
        let flows = self.touched.what(|flow| {
            let [new, old] =
                [self, before].map(|tables| tables.get(flow.table, flow.priority, &flow.matcher()));
            match (new, old) {
                (Some(new), Some(old)) => !new.acts_as(old),
                (new, old) => new.is_some() != old.is_some(),
            }
        });
        What::with(flows, self.objects.changes_since(&before.objects))
    }

    /// A match as a flow of that table keeps it: flows of the same mask share it.
    pub(super) fn pack(&self, table: u8, matcher: &Match) -> PackedMatch {
        let like = self.tables.get(usize::from(table)).and_then(|table| table.any_with(&matcher.mask));
        PackedMatch::new(matcher, like.map(|flow| &flow.packed))
    }

    /// Puts a flow in; the one with the same match and priority gives it its place and is returned.
    pub(super) fn insert(&mut self, flow: Arc<Flow>) -> Option<Arc<Flow>> {
        let table = Arc::make_mut(&mut self.tables).get_mut(usize::from(flow.table))?;
        let old = table.insert(flow.priority, &flow.matcher(), Arc::clone(&flow));
        self.parts.count(&flow, true);
        Arc::make_mut(&mut self.touched).add(&flow);
        self.forget(old.as_deref());
        self.objects.count_users(&flow.actions, true);
        if flow.options.idle_timeout != 0 || flow.options.hard_timeout != 0 {
            self.timed.insert_mut(flow.stats, flow);
        }
        old
    }

    /// Takes a flow out.
    pub(super) fn remove(&mut self, table: u8, priority: u16, matcher: &Match) -> Option<Arc<Flow>> {
        let table = Arc::make_mut(&mut self.tables).get_mut(usize::from(table))?;
        let old = table.remove(priority, matcher);
        if let Some(old) = &old {
            Arc::make_mut(&mut self.touched).add(old);
        }
        self.forget(old.as_deref());
        old
    }

    fn forget(&mut self, flow: Option<&Flow>) {
        if let Some(flow) = flow {
            self.parts.count(flow, false);
            self.objects.count_users(&flow.actions, false);
            self.timed.remove_mut(&flow.stats);
        }
    }

    fn chosen(&self, table: Option<u8>) -> &[Classifier<Arc<Flow>>] {
        match table {
            None => &self.tables,
            Some(table) => self.tables.get(usize::from(table)..=usize::from(table)).unwrap_or_default(),
        }
    }
}
