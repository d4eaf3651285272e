//! From the normal form of a match to the matches of flows.
//!
//! A conjunction of the normal form that leaves at most one field several values becomes a flow for each. Where
//! several fields have several values, sets are not multiplied: each value of each field becomes a flow that says
//! which dimension is met, and one more matches `conj_id` (unless the product costs no more than the sum).
//!
//! A [`Template`] is what a text comes to in any datapath. Names of ports and residency stay open in it.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::book::Body;
use super::numbers::DATAPATH;
use super::packed::{Masks, Packed};
use super::view::View;
use crate::action::Action;
use crate::logical::expr::{Clause, Conjunction, Item, Masked, Normal};
use crate::logical::names::Names;
use crate::logical::symbol::FieldRef;
use crate::packet::Field;
use crate::pipeline::Match;

/// A field and several values, any of which may be met.
pub(super) type Dimension = (Field, Vec<Masked>);

/// A match in any datapath.
pub(super) struct Template {
    parts: Vec<Part>,
}

/// A conjunction of the normal form.
pub(super) struct Part {
    /// All that has one value, and the datapath, of which the value is open.
    base: Box<Match>,
    residents: SmallVec<[(Box<str>, bool); 1]>,
    ports: SmallVec<[Ports; 1]>,
    pub dimensions: SmallVec<[Dimension; 1]>,
    /// The matches with datapath and ports open, where there is at most one dimension and no group of ports.
    flat: Option<Vec<Packed>>,
}

/// A field that holds a port, and which ports it may be.
struct Ports {
    field: Field,
    names: SmallVec<[Box<str>; 1]>,
    /// Whether some come from a group, of which only those count that flows are needed for.
    is_group: bool,
}

/// Fields that hold a port, with the keys of those that it may be.
type Keys = SmallVec<[(Field, SmallVec<[u32; 1]>); 1]>;

/// A match of a flow, and what the flow does instead of the logical flow's actions.
pub(super) struct Wanted {
    pub matcher: Packed,
    /// Conjunction, dimension, number of dimensions.
    pub clause: Option<(u32, u8, u8)>,
}

impl Wanted {
    /// What the flow of a logical flow with these actions does.
    pub fn body(&self, actions: &Arc<[Action]>) -> Body {
        match self.clause {
            Some((id, clause, of)) => Body::Clause { id, clause, of },
            None => Body::Actions(Arc::clone(actions)),
        }
    }
}

impl Template {
    /// The template of a match.
    pub fn of(normal: &Normal, masks: &mut Masks) -> Self {
        Self { parts: normal.conjunctions.iter().map(|one| Part::of(one, masks)).collect() }
    }

    /// Whether a match that is in normal form can be met by no packet of a datapath, for the ports that it names are not
    /// here.
    pub fn is_elsewhere(normal: &Normal, view: &View<'_>) -> bool {
        let is_met = |one: &Conjunction| {
            let mut part = Part::empty(&one.residents);
            one.clauses.iter().filter(|clause| clause.symbol.is_string()).for_each(|clause| part.add(clause));
            part.keys(view).is_some()
        };
        !normal.conjunctions.iter().any(is_met)
    }

    /// The matches in a datapath. `number` gives numbers to conjunctions.
    pub fn matches(
        &self,
        view: &View<'_>,
        masks: &mut Masks,
        number: &mut dyn FnMut() -> u32,
    ) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for part in &self.parts {
            part.matches(view, masks, number, &mut wanted);
        }
        wanted
    }
}

impl Part {
    /// Without clauses.
    pub fn empty(residents: &SmallVec<[(Box<str>, bool); 1]>) -> Self {
        let mut base = Box::<Match>::default();
        base.set(DATAPATH, 0);
        Self {
            base,
            residents: residents.clone(),
            ports: SmallVec::new(),
            dimensions: SmallVec::new(),
            flat: None,
        }
    }

    fn of(conjunction: &Conjunction, masks: &mut Masks) -> Self {
        let mut part = Self::empty(&conjunction.residents);
        conjunction.clauses.iter().for_each(|clause| part.add(clause));
        if part.dimensions.len() <= 1
            && part.ports.iter().all(|ports| ports.names.len() == 1 && !ports.is_group)
        {
            let mut open = (*part.base).clone();
            part.ports.iter().for_each(|ports| open.set(ports.field, 0));
            let flat = match part.dimensions.first() {
                None => vec![masks.pack(&open)],
                Some((field, values)) => {
                    let one = |value: &Masked| masks.pack(&with(&open, *field, *value));
                    values.iter().map(one).collect()
                }
            };
            part.flat = Some(flat);
        }
        part
    }

    /// Adds a clause.
    pub fn add(&mut self, clause: &Clause) {
        // What is no field is in no normal form.
        let Some((field, offset, _)) = FieldRef::whole(clause.symbol).resolve() else { return };
        if clause.symbol.is_string() {
            let names = clause.items.iter().flat_map(Item::texts).map(Box::from).collect();
            let is_group = clause.items.iter().any(|item| matches!(item, Item::Group(_)));
            self.ports.push(Ports { field, names, is_group });
            return;
        }
        let shift = |value: Masked| Masked { value: value.value << offset, mask: value.mask << offset };
        let values: Vec<Masked> = clause.items.iter().flat_map(Item::values).map(shift).collect();
        match values[..] {
            [one] => self.base.set_masked(field, one.value, one.mask),
            _ => self.dimensions.push((field, values)),
        }
    }

    /// The keys of its ports in a datapath; none if no packet can meet it there.
    fn keys(&self, view: &View<'_>) -> Option<Keys> {
        if !self.residents.iter().all(|(port, here)| view.is_chassis_resident(port) == *here) {
            return None;
        }
        let mut keys = Keys::new();
        for ports in &self.ports {
            let only_related = ports.is_group || view.own_port == Some(ports.field);
            let key = |name: &str| match only_related && !name.is_empty() {
                true => view.related_key(name),
                false => view.port_key(name),
            };
            let found: SmallVec<[u32; 1]> = ports.names.iter().filter_map(|name| key(name)).collect();
            if found.is_empty() {
                return None;
            }
            keys.push((ports.field, found));
        }
        Some(keys)
    }

    /// All that has one value in a datapath, and the fields of ports that have several.
    fn based(&self, view: &View<'_>, keys: &Keys) -> (Match, SmallVec<[Dimension; 1]>) {
        let mut base = (*self.base).clone();
        base.set(DATAPATH, view.datapath.key.into());
        let mut of_ports = SmallVec::new();
        for (field, keys) in keys {
            match keys[..] {
                [one] => base.set(*field, one.into()),
                _ => of_ports.push((*field, keys.iter().map(|key| exactly(*field, *key)).collect())),
            }
        }
        (base, of_ports)
    }

    /// The same where packets can meet it.
    pub fn in_datapath(&self, view: &View<'_>) -> Option<(Match, SmallVec<[Dimension; 1]>)> {
        Some(self.based(view, &self.keys(view)?))
    }

    fn matches(
        &self,
        view: &View<'_>,
        masks: &mut Masks,
        number: &mut dyn FnMut() -> u32,
        wanted: &mut Vec<Wanted>,
    ) {
        let Some(keys) = self.keys(view) else { return };
        let datapath = u64::from(view.datapath.key);
        if let Some(flat) = &self.flat {
            wanted.extend(flat.iter().map(|matcher| {
                let mut matcher = matcher.clone();
                masks.fill(&mut matcher, DATAPATH, datapath);
                for (field, keys) in &keys {
                    masks.fill(&mut matcher, *field, keys.first().copied().unwrap_or(0).into());
                }
                Wanted { matcher, clause: None }
            }));
            return;
        }
        let (base, of_ports) = self.based(view, &keys);
        let dimensions: SmallVec<[&Dimension; 2]> = self.dimensions.iter().chain(&of_ports).collect();
        spread(&base, &dimensions, masks, number, wanted);
    }
}

/// The matches of all that has one value and of some fields that have several.
fn spread(
    base: &Match,
    dimensions: &[&Dimension],
    masks: &mut Masks,
    number: &mut dyn FnMut() -> u32,
    wanted: &mut Vec<Wanted>,
) {
    let lengths: SmallVec<[usize; 4]> = dimensions.iter().map(|(_, values)| values.len()).collect();
    if !is_conjunctive(&lengths) {
        let mut product: SmallVec<[Match; 1]> = smallvec![base.clone()];
        for (field, values) in dimensions {
            let one = |partial: &Match| values.iter().map(|value| with(partial, *field, *value)).collect();
            product = product.iter().flat_map(|partial| -> Vec<Match> { one(partial) }).collect();
        }
        wanted.extend(product.iter().map(|one| Wanted { matcher: masks.pack(one), clause: None }));
        return;
    }
    let (id, of) = (number(), dimensions.len() as u8);
    for (clause, (field, values)) in (1u8..).zip(dimensions) {
        wanted.extend(values.iter().map(|value| {
            let matcher = masks.pack(&with(base, *field, *value));
            Wanted { matcher, clause: Some((id, clause, of)) }
        }));
    }
    let mut met = base.clone();
    met.set(Field::ConjId, id.into());
    wanted.push(Wanted { matcher: masks.pack(&met), clause: None });
}

/// Dimensions that a conjunction may have; there are not as many fields.
const MAX_DIMENSIONS: u8 = 64;

/// Whether so many fields with so many values are conjunctive matches.
pub(super) fn is_conjunctive(lengths: &[usize]) -> bool {
    let sum = lengths.iter().copied().fold(1, usize::saturating_add);
    let product = lengths.iter().copied().fold(1, usize::saturating_mul);
    lengths.len() >= 2 && product > sum && lengths.len() <= usize::from(MAX_DIMENSIONS)
}

fn exactly(field: Field, key: u32) -> Masked {
    Masked { value: key.into(), mask: field.all_ones() }
}

/// The match with a value besides.
pub(super) fn with(base: &Match, field: Field, value: Masked) -> Match {
    let mut matcher = base.clone();
    matcher.set_masked(field, value.value, value.mask);
    matcher
}
