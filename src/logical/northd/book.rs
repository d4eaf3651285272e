//! The flows of all units, and the Southbound rows that they become: one for each flow, whatever number of datapaths has
//! it.
//!
//! The invariant: a flow has a row exactly while some unit wants it somewhere. A row of several datapaths names a group
//! of them, and groups of the same datapaths are one row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::names::{self, southbound};
use super::output::{Flow, Wanted};
use crate::logical::rows::tables::{LogicalDpGroup, LogicalFlow};
use crate::logical::rows::{Table, Transaction, Uuid};

/// A flow by its number.
pub type FlowId = u32;

/// A flow that a unit wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The flow.
    pub flow: FlowId,
    /// The Southbound row of the datapath.
    pub datapath: Uuid,
    /// The Northbound row that it is made for.
    pub hint: Option<Uuid>,
}

struct Slot {
    flow: Arc<Flow>,
    io_port: Option<Box<str>>,
    /// Datapaths of the Southbound with the number of units that want it there.
    datapaths: BTreeMap<Uuid, u32>,
    /// Northbound rows that it is made for, with the number of units that say so. The row names the first.
    hints: BTreeMap<Option<Uuid>, u32>,
    /// What its row says of datapaths, if it has one.
    shown: Option<Shown>,
}

impl Slot {
    fn hint(&self) -> Option<Uuid> {
        self.hints.keys().flatten().next().copied()
    }
}

/// What a row says of its flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shown {
    place: Place,
    hint: Option<Uuid>,
}

/// Where a row says that its flow is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    One(Uuid),
    Group(GroupName),
}

/// The name of a group follows from its members.
type GroupName = Uuid;

/// All flows.
#[derive(Default)]
pub struct Book {
    slots: Vec<Option<Slot>>,
    free: Vec<FlowId>,
    ids: HashMap<Arc<Flow>, FlowId, FixedState>,
    /// Number of rows that name a group.
    groups: HashMap<GroupName, usize, FixedState>,
    touched: HashSet<FlowId, FixedState>,
}

impl Book {
    /// The number of a flow. One that nobody wants when the update ends is forgotten.
    pub fn number(&mut self, wanted: Wanted) -> FlowId {
        if let Some(id) = self.ids.get(&wanted.flow) {
            return *id;
        }
        let flow = Arc::new(wanted.flow);
        let slot = Slot {
            flow: Arc::clone(&flow),
            io_port: wanted.note.io_port,
            datapaths: BTreeMap::new(),
            hints: BTreeMap::new(),
            shown: None,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.slots.get_mut(id as usize) {
                    *place = Some(slot);
                }
                id
            }
            None => {
                self.slots.push(Some(slot));
                (self.slots.len() - 1) as FlowId
            }
        };
        self.ids.insert(flow, id);
        self.touched.insert(id);
        id
    }

    /// A unit wants a flow in a datapath.
    pub fn want(&mut self, wanted: Use) {
        if let Some(Some(slot)) = self.slots.get_mut(wanted.flow as usize) {
            *slot.datapaths.entry(wanted.datapath).or_default() += 1;
            *slot.hints.entry(wanted.hint).or_default() += 1;
            self.touched.insert(wanted.flow);
        }
    }

    /// It wants it no longer.
    pub fn release(&mut self, wanted: Use) {
        if let Some(Some(slot)) = self.slots.get_mut(wanted.flow as usize) {
            count_down(&mut slot.datapaths, wanted.datapath);
            count_down(&mut slot.hints, wanted.hint);
            self.touched.insert(wanted.flow);
        }
    }

    /// Writes into a transaction what changed since the last time.
    pub fn finish(&mut self, rows: &mut Transaction) {
        let mut touched: Vec<FlowId> = std::mem::take(&mut self.touched).into_iter().collect();
        touched.sort_unstable();
        let mut last_group: Option<(Vec<Uuid>, GroupName)> = None;
        for id in touched {
            let Some(Some(slot)) = self.slots.get_mut(id as usize) else { continue };
            let members: Vec<Uuid> = slot.datapaths.keys().copied().collect();
            let place = match *members {
                [] => None,
                [one] => Some(Place::One(one)),
                // Flows of the same datapaths come one after the other.
                _ => Some(Place::Group(match &last_group {
                    Some((same, name)) if *same == members => *name,
                    _ => {
                        let name = names::group(&members);
                        last_group = Some((members.clone(), name));
                        name
                    }
                })),
            };
            let hint = slot.hint();
            let now = place.map(|place| Shown { place, hint });
            let before = std::mem::replace(&mut slot.shown, now);
            if before != now {
                let uuid = southbound(Table::LogicalFlow, &*slot.flow);
                match now {
                    Some(shown) => rows.put(uuid, row(slot, shown)),
                    None => rows.delete(Table::LogicalFlow, uuid),
                }
                if let Some(Shown { place: Place::Group(name), .. }) = now {
                    let count = self.groups.entry(name).or_default();
                    if *count == 0 {
                        let datapaths: BTreeSet<Uuid> = members.into_iter().collect();
                        rows.put(name, LogicalDpGroup { datapaths });
                    }
                    *count += 1;
                }
                if let Some(Shown { place: Place::Group(name), .. }) = before
                    && let Some(count) = self.groups.get_mut(&name)
                {
                    *count -= 1;
                    if *count == 0 {
                        self.groups.remove(&name);
                        rows.delete(Table::LogicalDpGroup, name);
                    }
                }
            }
            if now.is_none()
                && let Some(slot) = self.slots.get_mut(id as usize).and_then(Option::take)
            {
                self.ids.remove(&slot.flow);
                self.free.push(id);
            }
        }
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

fn row(slot: &Slot, shown: Shown) -> LogicalFlow {
    let Slot { flow, io_port, .. } = slot;
    let (logical_datapath, logical_dp_group) = match shown.place {
        Place::One(datapath) => (Some(datapath), None),
        Place::Group(group) => (None, Some(group)),
    };
    let mut external_ids = BTreeMap::from([("stage-name".to_owned(), flow.stage.name().to_owned())]);
    if let Some(hint) = shown.hint {
        external_ids.insert("stage-hint".to_owned(), format!("{:08x}", hint.first_word()));
    }
    let tags = io_port.iter().map(|port| ("in_out_port".to_owned(), port.to_string())).collect();
    LogicalFlow {
        actions: flow.actions.to_string(),
        controller_meter: flow.meter.as_deref().map(str::to_owned),
        external_ids,
        logical_datapath,
        logical_dp_group,
        matches: flow.matches.to_string(),
        pipeline: flow.stage.pipeline(),
        priority: flow.priority,
        table_id: flow.stage.table(),
        tags,
    }
}
