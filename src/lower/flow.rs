//! Logical flows, read: match and actions with all that they presuppose, ready for any datapath.
//!
//! Texts repeat themselves from datapath to datapath, so what was read is kept by its text, once it is met again: most
//! texts name a port or an address and never are. What depends on rows is kept only as long as those rows stay the same.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::actions::{Lowered, Place, lower};
use super::grown::{Former, Growth, Resized};
use super::matches::Template;
use super::numbers::Numbers;
use super::objects::{Asked, Object};
use super::packed::Masks;
use super::view::{Ref, Refs, View};
use crate::logical::SyntaxError;
use crate::logical::action::{self, Action, Actions, Context, parse_actions};
use crate::logical::expr::{Constant, Expr, Normal, NormalizeError};
use crate::logical::known::{KnownOptions, TABLES};
use crate::logical::names::Names;
use crate::logical::rows::Pipeline;
use crate::logical::rows::tables::LogicalFlow;

/// Texts that are kept; beyond that they are forgotten and read again.
const MAX_KEPT: usize = 1 << 16;
/// Texts that were met; beyond that all are taken for new.
const MAX_MET: usize = 1 << 20;
/// Units for which a text is kept between updates. More texts than that are not in use, for one that is kept is that of two
/// units at least: as rows come and go they would fill the memory with what is past.
const UNITS_PER_TEXT: usize = 2;
/// Texts that are kept however few units there are.
const LEAST_KEPT: usize = 1 << 9;
/// Lists of actions that nobody may use before that is looked at, beside a quarter of those in use.
const SPARE_LISTS: usize = 64;

/// Why a logical flow takes no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// Its match is no match.
    #[error("its match cannot be read: {0}")]
    Match(SyntaxError),
    /// Its match is too much.
    #[error("{0}")]
    Normal(NormalizeError),
    /// Its actions are no actions.
    #[error("its actions cannot be read: {0}")]
    Actions(SyntaxError),
    /// There is no such table.
    #[error("its table {0} is beyond the last one of its pipeline, {1}; use an earlier table")]
    Table(u8, u8),
    /// Its actions lead to a table that is none.
    #[error("its actions lead to table {0}, beyond the last one of that pipeline, {1}; use an earlier table")]
    Next(u8, u8),
}

/// A match and what its actions ask for.
type MatchKey = (Box<str>, Prereqs);
/// Where actions stand, and their text.
type ActionsKey = (action::Pipeline, u8, Box<str>);
type Fast = foldhash::fast::FixedState;

/// Actions that were read.
struct ReadActions {
    list: Vec<Action>,
    /// The match that they imply, and its text.
    prereqs: Option<(Expr, Box<str>)>,
    /// What they come to, if they name no port.
    lowered: Option<Lowered>,
}

/// What was read, by its text.
#[derive(Default)]
pub(super) struct Reader {
    options: Option<Arc<KnownOptions>>,
    actions: HashMap<ActionsKey, Arc<ReadActions>, Fast>,
    templates: HashMap<MatchKey, Arc<Template>, Fast>,
    /// Those that name address sets.
    with_sets: HashMap<MatchKey, (Arc<Template>, Refs), Fast>,
    /// What changed sets change in matches: for the time of an update.
    growths: HashMap<MatchKey, Option<Arc<Growth>>, Fast>,
    /// Hashes of the texts that were met.
    met: HashSet<u64, Fast>,
    /// Actions that are the same are one.
    lists: HashMap<Arc<[crate::action::Action]>, (), Fast>,
    /// How many of them were in use when that was looked at last.
    lists_in_use: usize,
}

/// What actions ask for, as text: little, and mostly nothing.
type Prereqs = Option<Box<str>>;

impl Reader {
    /// Forgets what was read by way of options, which change.
    pub fn forget_options(&mut self) {
        self.options = None;
        self.actions.clear();
    }

    /// Forgets what was read by way of sets that change.
    pub fn forget_sets(&mut self, changed: &dyn Fn(&Ref) -> bool) {
        self.growths.clear();
        self.with_sets.retain(|_, (_, refs)| !refs.iter().any(changed));
    }

    /// Forgets what was read in excess of what so many units need, at the end of an update.
    pub fn tidy(&mut self, units: usize) {
        self.growths = HashMap::default();
        let most = (units / UNITS_PER_TEXT).max(LEAST_KEPT);
        if self.actions.len() > most {
            self.actions = HashMap::default();
        }
        if self.templates.len() + self.with_sets.len() > most {
            (self.templates, self.with_sets) = (HashMap::default(), HashMap::default());
        }
        // A unit has the text of a match and that of actions.
        if self.met.len() > 2 * units.max(LEAST_KEPT) {
            self.met = HashSet::default();
        }
        if self.lists.len() > self.lists_in_use + self.lists_in_use / 4 + SPARE_LISTS {
            self.lists.retain(|list, ()| Arc::strong_count(list) > 1);
            self.lists_in_use = self.lists.len();
        }
    }

    /// Number of texts and lists that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        let texts = self.actions.len() + self.templates.len() + self.with_sets.len();
        texts + self.met.len() + self.lists.len()
    }

    /// What changed sets change in the match of a logical flow, which may have no flows here; none if it is to be read anew.
    pub fn growth(
        &mut self,
        row: &LogicalFlow,
        view: &View<'_>,
        numbers: &Numbers,
        resized: &mut Resized,
        has_none: bool,
    ) -> Option<Arc<Growth>> {
        let actions = self.actions(row, view, numbers).ok()?;
        let key = key(row, &actions);
        if let Some(growth) = self.growths.get(&key) {
            return growth.clone();
        }
        let after = normal(row, &actions, view).ok()?;
        if has_none && Template::is_elsewhere(&after, view) {
            return Some(Arc::default());
        }
        let before = normal(row, &actions, &Former { view, resized }).ok()?;
        let growth = Growth::between(&before, &after, resized).map(Arc::new);
        // What a group's name means is another thing in another datapath.
        if !view.asked_group() {
            self.growths.insert(key, growth.clone());
        }
        growth
    }

    /// Whether a text was met before.
    fn is_known(&mut self, key: &impl Hash) -> bool {
        if self.met.len() >= MAX_MET {
            self.met.clear();
        }
        !self.met.insert(Fast::default().hash_one(key))
    }

    /// The same list as one that is kept.
    fn share(&mut self, lowered: &mut Lowered) {
        if self.lists.len() >= MAX_KEPT {
            self.lists.clear();
        }
        match self.lists.get_key_value(&lowered.actions) {
            Some((kept, ())) => lowered.actions = Arc::clone(kept),
            None => _ = self.lists.insert(Arc::clone(&lowered.actions), ()),
        }
    }

    /// The match and the actions of a logical flow in the datapath of `view`.
    pub fn read(
        &mut self,
        row: &LogicalFlow,
        view: &View<'_>,
        numbers: &Numbers,
        masks: &mut Masks,
        numbered: &mut dyn FnMut(&Object) -> u32,
    ) -> Result<(Arc<Template>, Lowered, Asked), Unread> {
        if let Some(last) = beyond(numbers, row.pipeline, row.table_id) {
            return Err(Unread::Table(row.table_id, last));
        }
        let read = self.actions(row, view, numbers)?;
        let template = self.template(row, &read, view, masks)?;
        let (lowered, asked) = match &read.lowered {
            Some(lowered) => (lowered.clone(), Asked::new()),
            None => {
                let (mut lowered, asked) = lower(&read.list, place(row), numbers, view, numbered);
                self.share(&mut lowered);
                (lowered, asked)
            }
        };
        Ok((template, lowered, asked))
    }

    /// The actions, without what names of ports come to.
    fn actions(
        &mut self,
        row: &LogicalFlow,
        view: &View<'_>,
        numbers: &Numbers,
    ) -> Result<Arc<ReadActions>, Unread> {
        let is_of_dhcp = row.actions.contains("dhcp");
        if is_of_dhcp {
            view.refer(Ref::Options);
        }
        let at = place(row);
        let key = (at.pipeline, at.table, row.actions.as_str().into());
        if let Some(read) = self.actions.get(&key) {
            return Ok(Arc::clone(read));
        }
        let options = Arc::clone(self.options.get_or_insert_with(|| Arc::new(KnownOptions::of(view.store))));
        let context = Context {
            pipeline: at.pipeline,
            table: row.table_id,
            tables: TABLES,
            dhcp_options: &options.ipv4,
            dhcpv6_options: &options.ipv6,
        };
        let Actions { list, prereqs } = parse_actions(&row.actions, &context).map_err(Unread::Actions)?;
        if let Some((table, last)) = leads_beyond(&list, numbers) {
            return Err(Unread::Next(table, last));
        }
        let prereqs = prereqs.expr().map(|expr| {
            let text = expr.to_string().into();
            (expr, text)
        });
        let lowered = (!names_others(&list)).then(|| {
            let (mut lowered, _) = lower(&list, at, numbers, &(), &mut |_| 0);
            self.share(&mut lowered);
            lowered
        });
        let read = Arc::new(ReadActions { list, prereqs, lowered });
        if self.is_known(&key) {
            if self.actions.len() >= MAX_KEPT {
                self.actions.clear();
            }
            self.actions.insert(key, Arc::clone(&read));
        }
        Ok(read)
    }

    fn template(
        &mut self,
        row: &LogicalFlow,
        actions: &ReadActions,
        view: &View<'_>,
        masks: &mut Masks,
    ) -> Result<Arc<Template>, Unread> {
        let key = key(row, actions);
        if let Some(template) = self.templates.get(&key) {
            return Ok(Arc::clone(template));
        }
        if let Some((template, refs)) = self.with_sets.get(&key) {
            refs.iter().for_each(|one| view.refer(one.clone()));
            return Ok(Arc::clone(template));
        }
        let asked = view.asked();
        let template = Arc::new(Template::of(&normal(row, actions, view)?, masks));
        // What a group's name means is another thing in another datapath.
        let refs = view.asked_since(asked);
        if view.asked_group() || !self.is_known(&key) {
            return Ok(template);
        }
        if self.templates.len() + self.with_sets.len() >= MAX_KEPT {
            self.templates.clear();
            self.with_sets.clear();
        }
        match refs.is_empty() {
            true => drop(self.templates.insert(key, Arc::clone(&template))),
            false => drop(self.with_sets.insert(key, (Arc::clone(&template), refs))),
        }
        Ok(template)
    }
}

/// The last table of a pipeline, if this one is behind it.
fn beyond(numbers: &Numbers, pipeline: Pipeline, table: u8) -> Option<u8> {
    let last = (numbers.stages(pipeline).len() as u8).saturating_sub(1);
    (table > last).then_some(last)
}

/// The first table that actions lead to and that is behind the last of its pipeline, and that last one.
fn leads_beyond(list: &[Action], numbers: &Numbers) -> Option<(u8, u8)> {
    list.iter().find_map(|action| match action {
        Action::Next(next) => {
            let pipeline = match next.pipeline {
                action::Pipeline::Ingress => Pipeline::Ingress,
                action::Pipeline::Egress => Pipeline::Egress,
            };
            beyond(numbers, pipeline, next.table).map(|last| (next.table, last))
        }
        action => leads_beyond(action.nested()?, numbers),
    })
}

fn key(row: &LogicalFlow, actions: &ReadActions) -> MatchKey {
    (row.matches.as_str().into(), actions.prereqs.as_ref().map(|(_, text)| text.clone()))
}

/// The match with what the actions imply.
fn normal(row: &LogicalFlow, actions: &ReadActions, names: &dyn Names) -> Result<Normal, Unread> {
    let expr = Expr::parse(&row.matches, names).map_err(Unread::Match)?;
    let expr = match &actions.prereqs {
        Some((prereqs, _)) => expr.and(prereqs.clone()),
        None => expr,
    };
    expr.annotate().normalize().map_err(Unread::Normal)
}

/// Whether what actions come to depends on the name of a port, or has a group or meter.
fn names_others(list: &[Action]) -> bool {
    let names = |action: &Action| match action {
        Action::Load { value: Constant::Text(_), .. } | Action::Select(_) | Action::SetMeter { .. } => true,
        action => action.nested().is_some_and(names_others),
    };
    list.iter().any(names)
}

fn place(row: &LogicalFlow) -> Place {
    let pipeline = match row.pipeline {
        Pipeline::Ingress => action::Pipeline::Ingress,
        Pipeline::Egress => action::Pipeline::Egress,
    };
    Place { pipeline, table: row.table_id }
}
