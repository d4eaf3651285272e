//! Changes to the flow tables, as `ovs-ofctl` asks for them over OpenFlow 1.0, its default.
//!
//! - *add* replaces the flow with the same match and priority; the replacement counts from zero.
//! - *modify* gives the flows it means new actions and keeps their counters, timeouts and flags. They get the request's
//!   cookie, unless the request chose flows by cookie. Where it means no flow and did not choose by cookie, it adds one.
//! - *delete* takes out the flows it means.
//! - The *strict* forms mean the one flow with exactly this match and priority in each table; the others mean every
//!   flow whose match is the same or narrower, whatever its priority.
//! - Flows that were made of a logical network's rows are not touched by changes from elsewhere: modify and delete pass
//!   them by, add is refused in their place. A user's flow in whose place one of theirs is to stand gives way.
//! - Without a table, add uses table 0 and the others mean all tables.

use std::sync::Arc;
use std::time::Instant;

use super::conjunction;
use super::flow::{Flow, FlowOptions, Match, Moment};
use super::objects::{Named, Objects};
use super::stats::{FlowStats, StatsExhausted, StatsId};
use super::table::{FlowFilter, TABLES, Tables, Timeout};
use crate::action::Action;
use crate::packet::PortNo;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// `add-flow`
    Add,
    /// `mod-flows`
    Modify,
    /// `--strict mod-flows`
    ModifyStrict,
    /// `del-flows`
    Delete,
    /// `--strict del-flows`
    DeleteStrict,
}

/// One change.
#[derive(Clone, Debug)]
pub struct FlowMod {
    /// What is to be done.
    pub command: Command,
    /// In which table; see the module for `None`.
    pub table: Option<u8>,
    /// Priority; not for the loose forms, but for a flow that a modify adds.
    pub priority: u16,
    /// Match.
    pub matcher: Match,
    /// Cookie and mask that choose among the flows, for modify and delete.
    pub cookie_filter: Option<(u64, u64)>,
    /// For delete: only flows that send to this port.
    pub out_port: Option<PortNo>,
    /// Actions, for add and modify.
    pub actions: Arc<[Action]>,
    /// Cookie to give, timeouts and flags.
    pub options: FlowOptions,
}

/// Why a change is refused. The tables are as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FlowModError {
    /// Table 255.
    #[error("table {0} does not exist; tables are 0 to 254")]
    NoSuchTable(u8),
    /// `check_overlap` found one.
    #[error(
        "a flow of priority {priority} in table {table} overlaps this one; give another priority or leave out \
         check_overlap"
    )]
    Overlap {
        /// The table.
        table: u8,
        /// The priority.
        priority: u16,
    },
    /// The flow belongs to a logical network.
    #[error(
        "the flow of priority {priority} in table {table} with this match was made of rows of a logical network; \
         change those, or give another priority"
    )]
    Lowered {
        /// The table.
        table: u8,
        /// The priority.
        priority: u16,
    },
    /// A goto that does not go forward.
    #[error(
        "goto_table:{target} in a flow of table {table} does not go forward; name a greater table or use resubmit"
    )]
    GotoBackward {
        /// Table of the flow.
        table: u8,
        /// Table it names.
        target: u8,
    },
    /// A conjunction beside another action, inside `clone`, or with dimensions that cannot be.
    #[error(
        "conjunction(ID,K/N) stands with nothing but others of its kind, N is 2 to 64 and K is 1 to N; put the other \
         actions into the flow that matches conj_id"
    )]
    BadConjunction,
    /// An action names a group that is not there.
    #[error("there is no group {0}; add it first")]
    NoSuchGroup(u32),
    /// An action names a meter that is not there.
    #[error("there is no meter {0}; add it first")]
    NoSuchMeter(u32),
    /// Too many flows.
    #[error(transparent)]
    Stats(#[from] StatsExhausted),
}

/// What a batch has done, for whoever publishes its tables.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Counters of the flows that are new.
    pub added: Vec<StatsId>,
    /// How many flows got new actions.
    pub modified: usize,
    /// Flows that are gone, replaced ones among them. Workers may still add to their counters, which are to be released
    /// only after every worker has left the old snapshot and then has added what its megaflows counted.
    pub removed: Vec<Arc<Flow>>,
    /// Flows of users in whose place flows of rows stand now; they are among those removed.
    pub displaced: Vec<Arc<Flow>>,
    /// Counters to be cleared after publication.
    pub cleared: Vec<StatsId>,
    /// Counters of groups that are gone or changed, to be released as those of flows that are gone.
    pub retired: Vec<StatsId>,
    /// Counters of groups that are new.
    reserved: Vec<StatsId>,
    /// How many times groups and meters were changed.
    pub objects: usize,
}

impl Changes {
    /// Whether there is something to be published.
    pub fn is_empty(&self) -> bool {
        self.added.len() + self.modified + self.removed.len() + self.objects == 0
    }
}

/// Changes in the making: they happen to a clone of the tables and count only once [`Batch::commit`] is called. A batch
/// that is dropped gives the counters it allocated back.
pub struct Batch<'a> {
    tables: Tables,
    stats: &'a FlowStats,
    now: Instant,
    changes: Changes,
}

impl<'a> Batch<'a> {
    /// A batch upon these tables. `now` becomes the time at which its flows were added or changed.
    pub fn new(tables: &Tables, stats: &'a FlowStats, now: Instant) -> Self {
        Self { tables: tables.next(), stats, now, changes: Changes::default() }
    }

    /// The tables as they will be.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Makes one change, or none if it is refused.
    pub fn apply(&mut self, change: &FlowMod) -> Result<(), FlowModError> {
        match change.table {
            Some(table) if usize::from(table) >= TABLES => Err(FlowModError::NoSuchTable(table)),
            _ => match change.command {
                Command::Add => self.add(change),
                Command::Modify | Command::ModifyStrict => self.modify(change),
                Command::Delete | Command::DeleteStrict => {
                    self.delete(change);
                    Ok(())
                }
            },
        }
    }

    /// Takes out flows that [`Tables::expired`] found, if they are still the same.
    pub fn expire(&mut self, flows: &[(Arc<Flow>, Timeout)]) {
        for (flow, _) in flows {
            let present = self.tables.get(flow.table, flow.priority, &flow.matcher());
            if present.is_some_and(|present| present.stats == flow.stats) {
                let gone = self.tables.remove(flow.table, flow.priority, &flow.matcher());
                self.changes.removed.extend(gone);
            }
        }
    }

    /// The new tables and what makes them new.
    pub fn commit(mut self) -> (Tables, Changes) {
        (std::mem::take(&mut self.tables), std::mem::take(&mut self.changes))
    }

    fn add(&mut self, change: &FlowMod) -> Result<(), FlowModError> {
        let (table, priority, matcher) = (change.table.unwrap_or(0), change.priority, &change.matcher);
        self.check(table, &change.actions)?;
        let present = self.tables.get(table, priority, matcher);
        if present.is_some_and(|present| present.options.lowered && !change.options.lowered) {
            return Err(FlowModError::Lowered { table, priority });
        }
        let displaced = present.filter(|present| change.options.lowered && !present.options.lowered);
        let (displaced, replaces) = (displaced.cloned(), present.is_some());
        if change.options.check_overlap && !replaces && self.tables.overlaps(table, priority, matcher) {
            return Err(FlowModError::Overlap { table, priority });
        }
        let stats = self.stats.allocate()?;
        self.changes.added.push(stats);
        let flow = Flow {
            table,
            priority,
            packed: self.tables.pack(table, matcher),
            actions: Arc::clone(&change.actions),
            // These two are asked of the change, not of the flow.
            options: FlowOptions { check_overlap: false, reset_counts: false, ..change.options.clone() },
            stats,
            created: self.now.into(),
            modified: self.now.into(),
        };
        self.changes.removed.extend(self.tables.insert(Arc::new(flow)));
        self.changes.displaced.extend(displaced);
        Ok(())
    }

    fn modify(&mut self, change: &FlowMod) -> Result<(), FlowModError> {
        let meant = self.meant(change, None);
        if meant.is_empty() {
            return if change.cookie_filter.is_none() { self.add(change) } else { Ok(()) };
        }
        for flow in &meant {
            self.check(flow.table, &change.actions)?;
        }
        self.changes.modified += meant.len();
        for flow in meant {
            let mut new = Flow {
                actions: Arc::clone(&change.actions),
                modified: self.now.into(),
                ..Flow::clone(&flow)
            };
            if change.cookie_filter.is_none() {
                new.options.cookie = change.options.cookie;
            }
            if change.options.reset_counts {
                self.changes.cleared.push(new.stats);
            }
            self.tables.insert(Arc::new(new));
        }
        Ok(())
    }

    fn delete(&mut self, change: &FlowMod) {
        for flow in self.meant(change, change.out_port) {
            self.changes.removed.extend(self.tables.remove(flow.table, flow.priority, &flow.matcher()));
        }
    }

    /// Whether a flow of that table may have these actions.
    fn check(&self, table: u8, actions: &[Action]) -> Result<(), FlowModError> {
        check_goto(table, actions)?;
        let parts = actions.iter().filter(|action| conjunction::is_possible_part(action)).count();
        if has_part(actions) && parts != actions.len() {
            return Err(FlowModError::BadConjunction);
        }
        let missing = Named::all_in(actions).into_iter().find(|named| !self.tables.objects().has(*named));
        missing.map_or(Ok(()), |named| match named {
            Named::Group(id) => Err(FlowModError::NoSuchGroup(id)),
            Named::Meter(id) => Err(FlowModError::NoSuchMeter(id)),
        })
    }

    // For groups and meters.

    /// The groups and meters, to be changed.
    pub(super) fn objects(&mut self) -> &mut Objects {
        self.changes.objects += 1;
        self.tables.objects_mut()
    }

    /// The time of the batch.
    pub(super) fn now(&self) -> Moment {
        self.now.into()
    }

    /// Counters for part of a group.
    pub(super) fn allocate(&mut self) -> Result<StatsId, StatsExhausted> {
        let id = self.stats.allocate()?;
        self.changes.reserved.push(id);
        Ok(id)
    }

    /// Counters of a group that is no more.
    pub(super) fn retire(&mut self, ids: impl Iterator<Item = StatsId>) {
        self.changes.retired.extend(ids);
    }

    /// Takes out the flows whose actions name something.
    pub(super) fn remove_flows_naming(&mut self, named: Named) {
        if self.tables.objects().users(named) == 0 {
            return;
        }
        let naming = self.tables.iter().filter(|flow| Named::all_in(&flow.actions).contains(&named));
        for flow in naming.cloned().collect::<Vec<_>>() {
            self.changes.removed.extend(self.tables.remove(flow.table, flow.priority, &flow.matcher()));
        }
    }

    /// The flows that a modify or delete means.
    fn meant(&self, change: &FlowMod, out_port: Option<PortNo>) -> Vec<Arc<Flow>> {
        let (cookie, cookie_mask) = change.cookie_filter.unwrap_or_default();
        let matcher = change.matcher.clone();
        let filter = FlowFilter { table: change.table, matcher, cookie, cookie_mask, out_port };
        let is_own = |flow: &Arc<Flow>| flow.options.lowered == change.options.lowered;
        if matches!(change.command, Command::Modify | Command::Delete) {
            let mut meant = self.tables.list(&filter);
            meant.retain(is_own);
            return meant;
        }
        let tables = change.table.map_or(0..=TABLES as u8 - 1, |table| table..=table);
        let exact = tables.filter_map(|table| self.tables.get(table, change.priority, &change.matcher));
        exact.filter(|flow| is_own(flow) && filter.admits(flow)).cloned().collect()
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // After a commit nothing is left here. Before it no worker has seen these ids.
        for id in self.changes.added.drain(..).chain(self.changes.reserved.drain(..)) {
            self.stats.release(id);
        }
    }
}

fn has_part(actions: &[Action]) -> bool {
    actions.iter().any(|action| match action {
        Action::Conjunction { .. } => true,
        _ => has_part(action.inner()),
    })
}

fn check_goto(table: u8, actions: &[Action]) -> Result<(), FlowModError> {
    actions.iter().try_for_each(|action| match action {
        Action::GotoTable(target) if *target <= table => {
            Err(FlowModError::GotoBackward { table, target: *target })
        }
        _ => check_goto(table, action.inner()),
    })
}

#[cfg(test)]
#[path = "flowmod_tests.rs"]
mod tests;
