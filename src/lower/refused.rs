//! What the tables refuse of the flows that rows come to, so that the rows can be named for it.

use std::collections::{BTreeMap, HashMap};

use super::book::{Changes, LoweredFlow};
use crate::logical::rows::{Table, Uuid};
use crate::pipeline::flowmod::FlowModError;
use crate::pipeline::objectmod::{GroupMod, MeterMod, ObjectError};
use crate::pipeline::objects::Named;
use crate::pipeline::syntax::print_match;
use crate::pipeline::{Batch, Match};

/// A part of a change that the tables refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A flow.
    #[error(
        "the flow cookie={cookie:#x},table={table},{matcher} is left out: {why}",
        matcher = print_match(matcher, *priority, &())
    )]
    Flow {
        /// The row that it belongs to, if it does to any.
        row: Option<(Table, Uuid)>,
        /// Its cookie.
        cookie: u64,
        /// Its table.
        table: u8,
        /// Its priority.
        priority: u16,
        /// What it matches.
        matcher: Box<Match>,
        /// Why.
        why: Why,
    },
    /// A group or meter.
    #[error("{0} is left out: {1}")]
    Object(Named, ObjectError),
}

/// Why a flow is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// For itself.
    #[error(transparent)]
    Flow(#[from] FlowModError),
    /// For the group or meter that it names.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl Refused {
    /// Changes a group; what is refused of that.
    pub(super) fn group(batch: &mut Batch<'_>, change: &GroupMod) -> Option<Self> {
        let why = batch.apply_lowered_group(change).err()?;
        change.named().map(|id| Self::Object(Named::Group(id), why))
    }

    /// Changes a meter; what is refused of that.
    pub(super) fn meter(batch: &mut Batch<'_>, change: &MeterMod) -> Option<Self> {
        let why = batch.apply_lowered_meter(change).err()?;
        change.named().map(|id| Self::Object(Named::Meter(id), why))
    }

    /// A flow; groups and meters that are refused are why it is, if it names them.
    pub(super) fn flow(
        flow: &LoweredFlow,
        why: FlowModError,
        objects: &BTreeMap<Named, ObjectError>,
    ) -> Self {
        let named = match why {
            FlowModError::NoSuchGroup(id) => Some(Named::Group(id)),
            FlowModError::NoSuchMeter(id) => Some(Named::Meter(id)),
            _ => None,
        };
        let object = named.and_then(|named| objects.get(&named));
        let (row, cookie, table, priority) = (flow.row, flow.cookie, flow.table, flow.priority);
        let why = object.map_or(Why::Flow(why), |why| Why::Object(*why));
        Self::Flow { row, cookie, table, priority, matcher: Box::new(flow.matcher()), why }
    }

    /// The group or meter, and why.
    pub(super) fn object(&self) -> Option<(Named, ObjectError)> {
        match self {
            Self::Object(named, why) => Some((*named, *why)),
            Self::Flow { .. } => None,
        }
    }
}

/// What the tables have refused and not taken since.
#[derive(Default)]
pub(super) struct LeftOut {
    flows: HashMap<(u8, u16, Match), Refused>,
}

impl LeftOut {
    /// Takes note of what became of a change.
    pub fn note(&mut self, changes: &Changes, refused: Vec<Refused>) {
        if !self.flows.is_empty() {
            for flow in changes.put().chain(changes.taken()) {
                self.flows.remove(&(flow.table, flow.priority, flow.matcher()));
            }
        }
        for refused in refused {
            if let Refused::Flow { table, priority, matcher, .. } = &refused {
                self.flows.insert((*table, *priority, Match::clone(matcher)), refused);
            }
        }
    }

    /// By rows, what is left out of each.
    pub fn by_row(&self) -> BTreeMap<(Table, Uuid), String> {
        let mut of: BTreeMap<(Table, Uuid), Vec<&Refused>> = BTreeMap::new();
        for refused in self.flows.values() {
            if let Refused::Flow { row: Some(row), .. } = refused {
                of.entry(*row).or_default().push(refused);
            }
        }
        let sentence = |all: Vec<&Refused>| {
            let mut sentences: Vec<String> = all.iter().map(ToString::to_string).collect();
            sentences.sort_unstable();
            let more = sentences.len() - 1;
            let first = sentences.swap_remove(0);
            if more == 0 { first } else { format!("{first}; and so are {more} more") }
        };
        of.into_iter().map(|(row, all)| (row, sentence(all))).collect()
    }
}
