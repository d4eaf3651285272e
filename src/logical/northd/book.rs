//! The flows of all units, and the Southbound rows that they become: one for each flow, whatever number of datapaths has
//! it.
//!
//! The invariant: a flow has a row exactly while some unit wants it somewhere. A row of several datapaths names a group
//! of them, and groups of the same datapaths are one row.
//!
//! A group is named after the first of its flows and not after its datapaths. So where all of its flows get one more
//! datapath, the group is another and none of the flows' rows is.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// The name of its row.
    row: Uuid,
    io_port: Option<Box<str>>,
    /// Datapaths of the Southbound with the number of units that want it there.
    datapaths: BTreeMap<Uuid, u32>,
    spread: Spread,
    /// The spread by which it stands in [`Book::spreads`].
    entered: Option<Spread>,
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

/// What tells a set of datapaths from another: their number and the sum of their names, which are random for all that
/// anybody can do about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
struct Spread {
    count: usize,
    sum: u128,
}

impl Spread {
    fn add(&mut self, datapath: Uuid) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(datapath.0);
    }

    fn take(&mut self, datapath: Uuid) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(datapath.0);
    }
}

/// The flows of the same datapaths, of which there are several.
#[derive(Default)]
struct Together {
    /// By the names of their rows.
    flows: BTreeMap<Uuid, FlowId>,
    /// The group that their rows name.
    group: Option<GroupName>,
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

/// The row of a group.
type GroupName = Uuid;

/// All flows.
#[derive(Default)]
pub struct Book {
    slots: Vec<Option<Slot>>,
    free: Vec<FlowId>,
    ids: HashMap<Arc<Flow>, FlowId, FixedState>,
    spreads: HashMap<Spread, Together, FixedState>,
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
            row: southbound(Table::LogicalFlow, &*flow),
            io_port: wanted.note.io_port,
            datapaths: BTreeMap::new(),
            spread: Spread::default(),
            entered: None,
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
            let count = slot.datapaths.entry(wanted.datapath).or_default();
            *count += 1;
            if *count == 1 {
                slot.spread.add(wanted.datapath);
            }
            *slot.hints.entry(wanted.hint).or_default() += 1;
            self.touched.insert(wanted.flow);
        }
    }

    /// It wants it no longer.
    pub fn release(&mut self, wanted: Use) {
        if let Some(Some(slot)) = self.slots.get_mut(wanted.flow as usize) {
            if count_down(&mut slot.datapaths, wanted.datapath) {
                slot.spread.take(wanted.datapath);
            }
            count_down(&mut slot.hints, wanted.hint);
            self.touched.insert(wanted.flow);
        }
    }

    /// Writes into a transaction what changed since the last time.
    pub fn finish(&mut self, rows: &mut Transaction) {
        let mut stale: Vec<FlowId> = std::mem::take(&mut self.touched).into_iter().collect();
        let changed = self.sort(&stale);
        stale.extend(self.name_groups(changed, rows));
        for id in stale {
            let Some(Some(slot)) = self.slots.get_mut(id as usize) else { continue };
            let place = match slot.spread.count {
                0 => None,
                1 => slot.datapaths.keys().next().map(|one| Place::One(*one)),
                _ => self.spreads.get(&slot.spread).and_then(|same| same.group).map(Place::Group),
            };
            let hint = slot.hint();
            let now = place.map(|place| Shown { place, hint });
            if std::mem::replace(&mut slot.shown, now) != now {
                match now {
                    Some(shown) => rows.put(slot.row, row(slot, shown)),
                    None => rows.delete(Table::LogicalFlow, slot.row),
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

    /// Brings flows to those of the same datapaths, and gives what that changes.
    fn sort(&mut self, touched: &[FlowId]) -> HashSet<Spread, FixedState> {
        let mut changed = HashSet::default();
        for id in touched {
            let Some(Some(slot)) = self.slots.get_mut(*id as usize) else { continue };
            let now = Some(slot.spread).filter(|spread| spread.count > 1);
            let before = std::mem::replace(&mut slot.entered, now);
            if before == now {
                continue;
            }
            if let Some(before) = before
                && let Some(same) = self.spreads.get_mut(&before)
            {
                same.flows.remove(&slot.row);
                changed.insert(before);
            }
            if let Some(now) = now {
                self.spreads.entry(now).or_default().flows.insert(slot.row, *id);
                changed.insert(now);
            }
        }
        changed
    }

    /// Writes the groups of sets of datapaths whose flows changed, and gives the flows that name another one than before.
    fn name_groups(&mut self, changed: HashSet<Spread, FixedState>, rows: &mut Transaction) -> Vec<FlowId> {
        let (mut renamed, mut gone, mut named) = (Vec::new(), Vec::new(), HashSet::new());
        for spread in changed {
            let Some(same) = self.spreads.get_mut(&spread) else { continue };
            let now = same.flows.first_key_value().map(|(first, id)| (names::group(*first), *id));
            let before = std::mem::replace(&mut same.group, now.map(|(name, _)| name));
            if before == same.group {
                continue;
            }
            gone.extend(before);
            match now {
                Some((name, id)) => {
                    renamed.extend(same.flows.values().copied());
                    named.insert(name);
                    let slot = self.slots.get(id as usize).and_then(Option::as_ref);
                    let datapaths =
                        slot.into_iter().flat_map(|slot| slot.datapaths.keys().copied()).collect();
                    rows.put(name, LogicalDpGroup { datapaths });
                }
                None => _ = self.spreads.remove(&spread),
            }
        }
        for name in gone.into_iter().filter(|name| !named.contains(name)) {
            rows.delete(Table::LogicalDpGroup, name);
        }
        renamed
    }
}

/// Whether that was the last.
fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) -> bool {
    let Some(count) = counts.get_mut(&key) else { return false };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(&key);
    }
    is_last
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
