//! What a change of the members of an address set changes in a match that names it, without going over the other members.
//!
//! The match is taken to its normal form with the set as it was and as it is, where a set is a name and costs nothing. What
//! differs must be the members of sets that stand alone in their clause; then a member more or less is a flow more or
//! less. Whatever is not as plain as that (a set that others restrict, one that is left with one member, a match in
//! several parts that loses a member) has no [`Growth`] and is lowered anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::book::{Unit, UnitId};
use super::engine::{Lowering, Row, Stale, view};
use super::matches::{Part, Wanted, is_conjunctive, with};
use super::packed::Masks;
use super::view::{Ref, View};
use crate::logical::expr::{Clause, Conjunction, Item, Masked, Normal};
use crate::logical::names::{AddressSet, Names, PortGroup};
use crate::logical::rows::{Delta, Store};
use crate::logical::symbol::FieldRef;

/// The sets that changed their members: as they were, and as they are.
#[derive(Default)]
pub(super) struct Resized {
    sets: HashMap<Box<str>, (Arc<AddressSet>, Arc<AddressSet>)>,
    /// Members by set and the bits of a symbol that they are for.
    moves: HashMap<(Box<str>, u16, u16), Option<Arc<Moves>>>,
}

/// Members that came and went.
pub(super) struct Moves {
    came: Vec<Masked>,
    went: Vec<Masked>,
    /// How many there were and are.
    before: usize,
    after: usize,
}

impl Moves {
    /// None if a constant stands in a set in two forms.
    fn between(before: &Arc<AddressSet>, after: &Arc<AddressSet>, offset: u16, width: u16) -> Option<Self> {
        let members = |set: &Arc<AddressSet>| -> Option<HashSet<Masked>> {
            let members: HashSet<Masked> =
                Item::Set { set: Arc::clone(set), offset, width }.values().collect();
            (members.len() == set.members().len()).then_some(members)
        };
        let (old, new) = (members(before)?, members(after)?);
        let came = new.difference(&old).copied().collect();
        let went = old.difference(&new).copied().collect();
        Some(Self { came, went, before: old.len(), after: new.len() })
    }
}

/// What the names meant before the sets changed.
pub(super) struct Former<'a> {
    pub view: &'a View<'a>,
    pub resized: &'a Resized,
}

impl Names for Former<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        match self.resized.sets.get(name) {
            Some((before, _)) => Some(Arc::clone(before)),
            None => self.view.address_set(name),
        }
    }

    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>> {
        self.view.port_group(name)
    }

    fn port_key(&self, name: &str) -> Option<u32> {
        self.view.port_key(name)
    }

    fn is_chassis_resident(&self, name: &str) -> bool {
        self.view.is_chassis_resident(name)
    }
}

impl Resized {
    pub fn insert(&mut self, name: &str, before: Arc<AddressSet>, after: Arc<AddressSet>) {
        self.sets.insert(name.into(), (before, after));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(|name| &**name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.sets.contains_key(name)
    }

    fn moves(&mut self, name: &str, offset: u16, width: u16) -> Option<Arc<Moves>> {
        let (before, after) = self.sets.get(name)?;
        let moves = self.moves.entry((name.into(), offset, width));
        moves.or_insert_with(|| Moves::between(before, after, offset, width).map(Arc::new)).clone()
    }
}

/// A part of a match, in which sets changed or did not.
struct Grown {
    /// The part, with no values for the fields of sets that changed.
    part: Part,
    /// By the places of its dimensions.
    moves: SmallVec<[Option<Arc<Moves>>; 2]>,
}

/// What came and went in a match.
#[derive(Default)]
pub(super) struct Growth {
    parts: Vec<Grown>,
}

impl Growth {
    /// The difference between two normal forms, if it is as plain as it must be.
    pub fn between(before: &Normal, after: &Normal, resized: &mut Resized) -> Option<Self> {
        let (old, new) = (&before.conjunctions, &after.conjunctions);
        if old.len() != new.len() {
            return None;
        }
        let parts = old.iter().zip(new).map(|(old, new)| Grown::between(old, new, resized));
        let parts: Vec<Grown> = parts.collect::<Option<_>>()?;
        // Another part may want what goes from this one.
        let loses =
            parts.iter().flat_map(|part| part.moves.iter().flatten()).any(|moves| !moves.went.is_empty());
        (parts.len() < 2 || !loses).then_some(Self { parts })
    }

    /// The matches of flows that came and that went in a datapath, where conjunctions have these numbers.
    pub fn matches(
        &self,
        view: &View<'_>,
        masks: &mut Masks,
        mut numbers: impl Iterator<Item = u32>,
    ) -> Option<[Vec<Wanted>; 2]> {
        let mut wanted = [Vec::new(), Vec::new()];
        for grown in &self.parts {
            grown.matches(view, masks, &mut numbers, &mut wanted)?;
        }
        Some(wanted)
    }
}

impl Grown {
    fn between(old: &Conjunction, new: &Conjunction, resized: &mut Resized) -> Option<Self> {
        if old.residents != new.residents || old.clauses.len() != new.clauses.len() {
            return None;
        }
        let mut part = Part::empty(&new.residents);
        let mut moves = SmallVec::new();
        for (old, new) in old.clauses.iter().zip(&new.clauses) {
            if old.symbol != new.symbol {
                return None;
            }
            match difference(old, new, resized)? {
                None => part.add(new),
                Some(changed) => {
                    let (field, ..) = FieldRef::whole(new.symbol).resolve()?;
                    part.dimensions.push((field, Vec::new()));
                    moves.resize(part.dimensions.len() - 1, None);
                    moves.push(Some(changed));
                }
            }
        }
        moves.resize(part.dimensions.len(), None);
        Some(Self { part, moves })
    }

    fn matches(
        &self,
        view: &View<'_>,
        masks: &mut Masks,
        numbers: &mut impl Iterator<Item = u32>,
        [came, went]: &mut [Vec<Wanted>; 2],
    ) -> Option<()> {
        let Some((base, of_ports)) = self.part.in_datapath(view) else { return Some(()) };
        let values = self.part.dimensions.iter().zip(self.moves.iter());
        let lengths = |count: fn(&Moves) -> usize| -> SmallVec<[usize; 4]> {
            let own = values.clone().map(|((_, values), moves)| moves.as_deref().map_or(values.len(), count));
            own.chain(of_ports.iter().map(|(_, keys)| keys.len())).collect()
        };
        let (before, after) = (lengths(|moves| moves.before), lengths(|moves| moves.after));
        let is_spread = is_conjunctive(&after);
        let moved = self.moves.iter().flatten();
        let is_plain = is_spread || after.len() == 1 || self.moves.iter().all(Option::is_none);
        if is_conjunctive(&before) != is_spread
            || !is_plain
            || moved.clone().any(|moves| moves.before.min(moves.after) < 2)
        {
            return None;
        }
        let id = if is_spread { Some(numbers.next()?) } else { None };
        let of = u8::try_from(after.len()).ok()?;
        for (clause, ((field, _), moves)) in (1u8..).zip(values) {
            let Some(moves) = moves else { continue };
            let clause = id.map(|id| (id, clause, of));
            let mut one =
                |value: &Masked| Wanted { matcher: masks.pack(&with(&base, *field, *value)), clause };
            came.extend(moves.came.iter().map(&mut one));
            went.extend(moves.went.iter().map(&mut one));
        }
        Some(())
    }
}

/// How a clause differs: not at all, or by the members of its only set; nothing if otherwise.
fn difference(old: &Clause, new: &Clause, resized: &mut Resized) -> Option<Option<Arc<Moves>>> {
    if let ([Item::Set { set: old, .. }], [Item::Set { set: new, offset, width }]) =
        (&old.items[..], &new.items[..])
        && old.name() == new.name()
        && resized.has(new.name())
    {
        return Some(Some(resized.moves(new.name(), *offset, *width)?));
    }
    (old.items == new.items).then_some(None)
}

impl Lowering {
    /// Forgets what sets were that change, and says which of them only have other members now.
    pub(super) fn forget_sets(&mut self, delta: &Delta, stale: &Stale) -> Resized {
        let mut resized = Resized::default();
        let changed = stale.refs.iter().filter_map(|asked| match asked {
            Ref::Set(name) => Some(name),
            _ => None,
        });
        let mut is_one = false;
        for name in changed {
            is_one = true;
            let made = |store: &Store| {
                let (_, row) = store.address_set(name)?;
                Some(Arc::new(AddressSet::new(name, row.addresses.iter().map(String::as_str))))
            };
            let known = self.kept.sets.get_mut().remove(name);
            if self.units.referring(&Ref::Set(name.clone())).is_empty() {
                continue;
            }
            let before = known.or_else(|| made(&delta.before));
            if let (Some(before), Some(after)) = (before, made(&delta.after)) {
                self.kept.sets.get_mut().insert(name.clone(), Arc::clone(&after));
                resized.insert(name, before, after);
            }
        }
        if is_one {
            self.reader.forget_sets(&|asked| stale.refs.contains(asked));
        }
        resized
    }

    /// Adds and takes the flows of members that came to sets and went from them. The units for which that does not do.
    pub(super) fn resize(&mut self, store: &Store, resized: &mut Resized, stale: &Stale) -> Vec<Unit> {
        let referring = resized.names().flat_map(|name| self.units.referring(&Ref::Set(name.into())));
        let mut ids: Vec<UnitId> = referring.copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut anew = Vec::new();
        for id in ids {
            let Some(unit) = self.units.get(id).map(|made| made.unit) else { continue };
            let is_stale = stale.units.binary_search(&unit).is_ok();
            if !is_stale && self.resize_one(id, unit, store, resized).is_none() {
                anew.push(unit);
            }
        }
        anew
    }

    fn resize_one(&mut self, id: UnitId, unit: Unit, store: &Store, resized: &mut Resized) -> Option<()> {
        let found = Row::default().get(store, unit.uuid)?;
        let rows = (&self.local, &self.kept, store);
        let (view, row) = (view(rows, &mut self.datapaths, found, unit.datapath)?, found.0);
        let made = self.units.get(id)?;
        let has_none = made.flows.is_empty();
        let growth = self.reader.growth(row, &view, &self.numbers, resized, has_none)?;
        let numbers = made.conjunctions().iter().copied();
        let [came, went] = growth.matches(&view, &mut self.book.masks, numbers)?;
        if came.is_empty() && went.is_empty() {
            return Some(());
        }
        #[cfg(test)]
        {
            self.work.1 += 1;
        }
        let actions = made.flows.iter().find_map(|flow| self.book.actions(*flow, id)).cloned()?;
        let table = self.table(row);
        for wanted in went {
            let body = wanted.body(&actions);
            let (matcher, uuid) = (wanted.matcher, |id| self.units.unit(id));
            let flow = self.book.unmake_one(id, table, row.priority, matcher, &body, uuid)?;
            let flows = &mut self.units.get_mut(id)?.flows;
            let place = flows.iter().position(|one| *one == flow)?;
            flows.swap_remove(place);
        }
        for wanted in came {
            let body = wanted.body(&actions);
            let (matcher, uuid) = (wanted.matcher, |id| self.units.unit(id));
            let flow = self.book.make(id, table, row.priority, matcher, body, uuid);
            self.units.get_mut(id)?.flows.extend(flow);
        }
        Some(())
    }
}
