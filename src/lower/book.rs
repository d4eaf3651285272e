//! The flows and whom they belong to.
//!
//! The invariant: a flow is here exactly while some unit makes it, and what is installed of it follows from its
//! makers alone: the actions of the lowest uuid, or where there are none, the clauses of all of them. Between
//! [`Book::finish`] and [`Book::finish`] the book remembers what was installed before, so that what was taken out and
//! put in again costs nobody anything.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::engine::Trouble;
use super::objects::ObjectChanges;
use super::packed::{Layout, Masks, Packed, unpack};
use super::refused::Refused;
use crate::action::Action;
use crate::logical::rows::{Table, Uuid};
use crate::pipeline::flow::FlowOptions;
use crate::pipeline::flowmod::{Command, FlowMod};
use crate::pipeline::objectmod::ObjectError;
use crate::pipeline::objects::Named;
use crate::pipeline::{Batch, Match};

/// What makes flows: a row, and for a logical flow the datapath that it is made for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Unit {
    /// The row.
    pub uuid: Uuid,
    /// Its table.
    pub table: Table,
    /// Key of the datapath of a logical flow; of a multicast group 1 for what leaves by it; else 0.
    pub datapath: u32,
}

impl Unit {
    /// The row; none for what no row asks for.
    fn row(&self) -> Option<(Table, Uuid)> {
        (self.uuid != Uuid(0)).then_some((self.table, self.uuid))
    }
}

/// A unit by its number.
pub(super) type UnitId = u32;
/// A flow by its number.
pub(super) type FlowId = u32;

/// What a unit wants done with packets that meet a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Body {
    /// These actions.
    Actions(Arc<[Action]>),
    /// That a dimension of a conjunction counts as met.
    Clause {
        /// The conjunction.
        id: u32,
        /// The dimension, from 1.
        clause: u8,
        /// Number of dimensions.
        of: u8,
    },
}

/// Where a flow stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Place {
    table: u8,
    priority: u16,
    matcher: Packed,
}

struct Slot {
    place: Place,
    makers: SmallVec<[(UnitId, Body); 1]>,
    touched: bool,
}

/// What is installed of a flow.
#[derive(Clone)]
struct Installed {
    unit: Unit,
    actions: Arc<[Action]>,
}

/// By what stands in the tables.
impl PartialEq for Installed {
    fn eq(&self, other: &Self) -> bool {
        self.cookie() == other.cookie() && self.actions == other.actions
    }
}

impl Installed {
    fn cookie(&self) -> u64 {
        self.unit.uuid.first_word().into()
    }
}

/// All flows.
#[derive(Default)]
pub(super) struct Book {
    pub masks: Masks,
    slots: Vec<Slot>,
    free: Vec<FlowId>,
    /// By the hash of the place.
    places: HashTable<FlowId>,
    /// Flows that may have changed, and what was installed of them.
    touched: Vec<(FlowId, Option<Installed>)>,
}

impl Slot {
    fn installed(&self, unit: impl Fn(UnitId) -> Unit) -> Option<Installed> {
        let lowest = self.makers.iter().map(|(id, _)| unit(*id)).min_by_key(|unit| unit.uuid)?;
        let plain = self.makers.iter().filter_map(|(id, body)| match body {
            Body::Actions(actions) => Some((unit(*id), actions)),
            Body::Clause { .. } => None,
        });
        if let Some((unit, actions)) = plain.min_by_key(|(unit, _)| unit.uuid) {
            return Some(Installed { unit, actions: Arc::clone(actions) });
        }
        let mut clauses: SmallVec<[(u32, u8, u8); 4]> = SmallVec::new();
        for (_, body) in &self.makers {
            if let Body::Clause { id, clause, of } = body {
                clauses.push((*id, *clause, *of));
            }
        }
        clauses.sort_unstable();
        let actions = clauses.into_iter().map(|(id, clause, of)| Action::Conjunction { id, clause, of });
        Some(Installed { unit: lowest, actions: actions.collect() })
    }
}

impl Place {
    fn hash(&self) -> u64 {
        FixedState::default().hash_one(self)
    }
}

impl Book {
    fn find(&self, place: &Place) -> Option<FlowId> {
        let is_it = |id: &FlowId| self.slots.get(*id as usize).is_some_and(|slot| slot.place == *place);
        self.places.find(place.hash(), is_it).copied()
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// A unit makes a flow. Its number, or none if the unit has just made the very same one.
    pub fn make(
        &mut self,
        unit: UnitId,
        table: u8,
        priority: u16,
        matcher: Packed,
        body: Body,
        units: impl Fn(UnitId) -> Unit,
    ) -> Option<FlowId> {
        let place = Place { table, priority, matcher };
        let id = match self.find(&place) {
            Some(id) => id,
            None => {
                let hash = place.hash();
                let slot = Slot { place, makers: SmallVec::new(), touched: false };
                let id = match self.free.pop() {
                    Some(id) => {
                        if let Some(free) = self.slots.get_mut(id as usize) {
                            *free = slot;
                        }
                        id
                    }
                    None => {
                        self.slots.push(slot);
                        (self.slots.len() - 1) as FlowId
                    }
                };
                let slots = &self.slots;
                let again = |id: &FlowId| slots.get(*id as usize).map_or(0, |slot| slot.place.hash());
                self.places.insert_unique(hash, id, again);
                id
            }
        };
        self.touch(id, units);
        let slot = self.slots.get_mut(id as usize)?;
        // A unit is lowered in one go, so what it has made of this stands at the end, behind what hundreds of others may have.
        let just_before = slot.makers.iter().rev().take_while(|(maker, _)| *maker == unit);
        if just_before.into_iter().any(|(_, made)| *made == body) {
            return None;
        }
        slot.makers.push((unit, body));
        Some(id)
    }

    /// A unit makes that flow no longer.
    pub fn unmake(&mut self, id: FlowId, unit: UnitId, units: impl Fn(UnitId) -> Unit) {
        self.touch(id, units);
        if let Some(slot) = self.slots.get_mut(id as usize) {
            slot.makers.retain(|(maker, _)| *maker != unit);
        }
    }

    /// A unit makes a flow no longer with that body. Its number, if it did.
    pub fn unmake_one(
        &mut self,
        unit: UnitId,
        table: u8,
        priority: u16,
        matcher: Packed,
        body: &Body,
        units: impl Fn(UnitId) -> Unit,
    ) -> Option<FlowId> {
        let id = self.find(&Place { table, priority, matcher })?;
        self.touch(id, units);
        let slot = self.slots.get_mut(id as usize)?;
        let place = slot.makers.iter().position(|(maker, made)| *maker == unit && made == body)?;
        slot.makers.remove(place);
        Some(id)
    }

    /// The actions with which a unit makes a flow.
    pub fn actions(&self, id: FlowId, unit: UnitId) -> Option<&Arc<[Action]>> {
        self.slots.get(id as usize)?.makers.iter().find_map(|(maker, body)| match body {
            Body::Actions(actions) if *maker == unit => Some(actions),
            _ => None,
        })
    }

    fn touch(&mut self, id: FlowId, units: impl Fn(UnitId) -> Unit) {
        if let Some(slot) = self.slots.get_mut(id as usize)
            && !slot.touched
        {
            slot.touched = true;
            self.touched.push((id, slot.installed(units)));
        }
    }

    /// What has changed since the last time.
    pub fn finish(&mut self, units: impl Fn(UnitId) -> Unit) -> Changes {
        let mut changes = Changes::default();
        for (id, before) in std::mem::take(&mut self.touched) {
            let Some(slot) = self.slots.get_mut(id as usize) else { continue };
            slot.touched = false;
            let after = slot.installed(&units);
            if before != after
                && let Some(flow) = lowered(&self.masks, &slot.place, after.as_ref().or(before.as_ref()))
            {
                changes.put.extend(after.is_some().then(|| (flow.clone(), before.is_none())));
                changes.taken.extend(after.is_none().then_some(flow));
            }
            if slot.makers.is_empty() {
                if let Ok(entry) = self.places.find_entry(slot.place.hash(), |other| *other == id) {
                    entry.remove();
                }
                self.free.push(id);
            }
        }
        changes
    }

    /// All flows as they are installed, in no order.
    pub fn flows(&self, units: impl Fn(UnitId) -> Unit) -> impl Iterator<Item = LoweredFlow> {
        self.places.iter().filter_map(move |id| {
            let slot = self.slots.get(*id as usize)?;
            lowered(&self.masks, &slot.place, slot.installed(&units).as_ref())
        })
    }
}

fn lowered(masks: &Masks, place: &Place, installed: Option<&Installed>) -> Option<LoweredFlow> {
    let installed = installed?;
    Some(LoweredFlow {
        table: place.table,
        priority: place.priority,
        row: installed.unit.row(),
        cookie: installed.cookie(),
        actions: Arc::clone(&installed.actions),
        layout: Arc::clone(masks.layout(&place.matcher)?),
        words: SmallVec::from_slice(place.matcher.words()),
    })
}

/// A flow that rows were lowered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoweredFlow {
    /// Its table.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// The row that it belongs to, if it does to any.
    pub row: Option<(Table, Uuid)>,
    /// First 32 bits of the uuid of that row; 0 if none.
    pub cookie: u64,
    /// What is done.
    pub actions: Arc<[Action]>,
    layout: Arc<Layout>,
    words: SmallVec<[u64; 4]>,
}

impl LoweredFlow {
    /// What it matches.
    pub fn matcher(&self) -> Match {
        unpack(&self.layout, &self.words)
    }

    fn as_mod(&self, command: Command) -> FlowMod {
        FlowMod {
            command,
            table: Some(self.table),
            priority: self.priority,
            matcher: self.matcher(),
            cookie_filter: None,
            out_port: None,
            actions: Arc::clone(&self.actions),
            options: FlowOptions { cookie: self.cookie, lowered: true, ..FlowOptions::default() },
        }
    }
}

/// What an update changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Flows to put in, and whether they are new.
    put: Vec<(LoweredFlow, bool)>,
    taken: Vec<LoweredFlow>,
    pub(super) objects: ObjectChanges,
    /// What became known of rows that take no part, or not wholly, and that somebody can mend.
    pub troubles: Vec<Trouble>,
}

impl Changes {
    /// Puts all of it into a batch: groups and meters before the flows that name them. What is refused is left out and
    /// given back. A user's flow gives way to one with the same match and priority, which the batch tells of.
    pub fn apply(&self, batch: &mut Batch<'_>) -> Vec<Refused> {
        let ObjectChanges { groups, meters, groups_after, meters_after } = &self.objects;
        let mut refused = Vec::new();
        refused.extend(groups.iter().filter_map(|group| Refused::group(batch, group)));
        refused.extend(meters.iter().filter_map(|meter| Refused::meter(batch, meter)));
        let objects: BTreeMap<Named, ObjectError> = refused.iter().filter_map(Refused::object).collect();
        let taken = self.taken.iter().map(|flow| (flow, Command::DeleteStrict));
        for (flow, command) in taken.chain(self.put.iter().map(put)) {
            if let Err(why) = batch.apply(&flow.as_mod(command)) {
                refused.push(Refused::flow(flow, why, &objects));
            }
        }
        refused.extend(groups_after.iter().filter_map(|group| Refused::group(batch, group)));
        refused.extend(meters_after.iter().filter_map(|meter| Refused::meter(batch, meter)));
        refused
    }

    /// Number of flows that change.
    pub fn len(&self) -> usize {
        self.put.len() + self.taken.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.taken.is_empty()
    }

    /// Flows that are new or have other actions or another cookie.
    pub fn put(&self) -> impl Iterator<Item = &LoweredFlow> {
        self.put.iter().map(|(flow, _)| flow)
    }

    /// Flows that are no more.
    pub fn taken(&self) -> impl Iterator<Item = &LoweredFlow> {
        self.taken.iter()
    }

    /// The changes of flows, each made when it is asked for. A flow that was there keeps its counters.
    pub fn flow_mods(&self) -> impl Iterator<Item = FlowMod> {
        let taken = self.taken.iter().map(|flow| flow.as_mod(Command::DeleteStrict));
        taken.chain(self.put.iter().map(put).map(|(flow, command)| flow.as_mod(command)))
    }
}

/// How a flow is put in.
fn put((flow, is_new): &(LoweredFlow, bool)) -> (&LoweredFlow, Command) {
    (flow, if *is_new { Command::Add } else { Command::ModifyStrict })
}
