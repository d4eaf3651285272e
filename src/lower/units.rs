//! What is known of the units that were lowered, and which of them refers to what.
//!
//! There is a unit for every few flows, so little is kept of each: what it refers to by numbers, what few units have in a
//! box, and tables of hashes hold numbers alone.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::book::{FlowId, Unit, UnitId};
use super::objects::Asked;
use super::view::{Ref, Refs};
use crate::logical::rows::{Table, Uuid};

/// The unit of flows that no row asks for.
pub(super) const NOBODY: Unit = Unit { uuid: Uuid(0), table: Table::SbGlobal, datapath: 0 };

/// Numbers of conjunctions.
pub(super) type Numbered = SmallVec<[u32; 0]>;

/// What few units have.
#[derive(Default)]
pub(super) struct Rare {
    /// Numbers of its conjunctions.
    pub conjunctions: Numbered,
    pub objects: Asked,
    pub trouble: Option<Box<str>>,
}

/// What is known of a unit.
pub(super) struct Made {
    pub unit: Unit,
    pub flows: SmallVec<[FlowId; 2]>,
    refs: SmallVec<[u32; 4]>,
    rare: Option<Box<Rare>>,
}

/// What a unit has left behind that was taken back.
#[derive(Default)]
pub(super) struct Remains {
    pub flows: SmallVec<[FlowId; 2]>,
    pub rare: Rare,
}

/// Units that were taken back, and what they referred to: all at once, since much may be referred to by many.
#[derive(Default)]
pub(super) struct Left {
    ids: Vec<UnitId>,
    refs: HashSet<u32, FixedState>,
}

/// All units that made something or may have to.
#[derive(Default)]
pub(super) struct Units {
    list: Vec<Made>,
    free: Vec<UnitId>,
    /// By the hash of the unit.
    ids: HashTable<UnitId>,
    /// What is referred to, and by which units.
    referred: Vec<(Ref, Vec<UnitId>)>,
    unreferred: Vec<u32>,
    /// The same by its hash.
    refs: HashTable<u32>,
}

fn hash(of: &impl Hash) -> u64 {
    FixedState::default().hash_one(of)
}

impl Made {
    /// Its trouble.
    pub fn trouble(&self) -> Option<&str> {
        self.rare.as_ref()?.trouble.as_deref()
    }

    /// Numbers of its conjunctions.
    pub fn conjunctions(&self) -> &[u32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.conjunctions)
    }
}

impl Units {
    /// Number of those that are there.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn get(&self, id: UnitId) -> Option<&Made> {
        self.list.get(id as usize)
    }

    /// What is known of a unit, if it is there.
    pub fn find(&self, unit: Unit) -> Option<&Made> {
        let is_it = |id: &UnitId| self.get(*id).is_some_and(|made| made.unit == unit);
        self.get(*self.ids.find(hash(&unit), is_it)?)
    }

    pub fn get_mut(&mut self, id: UnitId) -> Option<&mut Made> {
        self.list.get_mut(id as usize)
    }

    /// A unit by its number; nobody's where there is none.
    pub fn unit(&self, id: UnitId) -> Unit {
        self.get(id).map_or(NOBODY, |made| made.unit)
    }

    /// All that are there, and some that have been and are in no trouble.
    pub fn iter(&self) -> impl Iterator<Item = &Made> {
        self.list.iter()
    }

    /// The units that refer to something.
    pub fn referring(&self, to: &Ref) -> &[UnitId] {
        let place = self.refs.find(hash(to), |at| self.is_ref(*at, to));
        place.and_then(|at| self.referred.get(*at as usize)).map_or(&[], |(_, units)| units)
    }

    /// Whether a unit refers to something.
    pub fn refers(&self, id: UnitId, to: &Ref) -> bool {
        let place = self.refs.find(hash(to), |at| self.is_ref(*at, to));
        self.get(id).is_some_and(|made| place.is_some_and(|at| made.refs.contains(at)))
    }

    fn is_ref(&self, at: u32, to: &Ref) -> bool {
        self.referred.get(at as usize).is_some_and(|(one, _)| one == to)
    }

    /// Enters what is known of a unit but for its flows, which follow.
    pub fn enter(&mut self, unit: Unit, refs: Refs, rare: Rare) -> UnitId {
        let is_rare = !rare.conjunctions.is_empty() || !rare.objects.is_empty() || rare.trouble.is_some();
        let rare = is_rare.then(|| Box::new(rare));
        let made = Made { unit, flows: SmallVec::new(), refs: SmallVec::new(), rare };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.list.get_mut(id as usize) {
                    *place = made;
                }
                id
            }
            None => {
                self.list.push(made);
                (self.list.len() - 1) as UnitId
            }
        };
        let list = &self.list;
        let again = |id: &UnitId| list.get(*id as usize).map_or(0, |made| hash(&made.unit));
        self.ids.insert_unique(hash(&unit), id, again);
        let refs: SmallVec<[u32; 4]> = refs.into_iter().map(|to| self.refer(to, id)).collect();
        if let Some(made) = self.list.get_mut(id as usize) {
            made.refs = refs;
        }
        id
    }

    fn refer(&mut self, to: Ref, id: UnitId) -> u32 {
        let hashed = hash(&to);
        if let Some(at) = self.refs.find(hashed, |at| self.is_ref(*at, &to)).copied() {
            if let Some((_, units)) = self.referred.get_mut(at as usize) {
                units.push(id);
            }
            return at;
        }
        let entry = (to, vec![id]);
        let at = match self.unreferred.pop() {
            Some(at) => {
                if let Some(place) = self.referred.get_mut(at as usize) {
                    *place = entry;
                }
                at
            }
            None => {
                self.referred.push(entry);
                (self.referred.len() - 1) as u32
            }
        };
        let referred = &self.referred;
        let again = |at: &u32| referred.get(*at as usize).map_or(0, |(to, _)| hash(to));
        self.refs.insert_unique(hashed, at, again);
        at
    }

    /// Takes a unit back, if it is there. Its number is another's only after [`Units::forget`].
    pub fn take(&mut self, unit: Unit, left: &mut Left) -> Option<(UnitId, Remains)> {
        let list = &mut self.list;
        let is_it = |id: &UnitId| list.get(*id as usize).is_some_and(|made| made.unit == unit);
        let (id, _) = self.ids.find_entry(hash(&unit), is_it).ok()?.remove();
        let made = list.get_mut(id as usize)?;
        left.ids.push(id);
        left.refs.extend(std::mem::take(&mut made.refs));
        let rare = made.rare.take().map(|rare| *rare).unwrap_or_default();
        Some((id, Remains { flows: std::mem::take(&mut made.flows), rare }))
    }

    /// Takes units that were taken back out of the lists of who refers to what.
    pub fn forget(&mut self, mut left: Left) {
        left.ids.sort_unstable();
        for at in left.refs {
            let Some((to, units)) = self.referred.get_mut(at as usize) else { continue };
            units.retain(|id| left.ids.binary_search(id).is_err());
            if units.is_empty() {
                if let Ok(entry) = self.refs.find_entry(hash(to), |other| *other == at) {
                    entry.remove();
                }
                self.unreferred.push(at);
            }
        }
        self.free.extend(left.ids);
    }
}
