//! Groups and meters that flows name: one for each content, whoever asks for it.
//!
//! The invariant: an object is here exactly while some unit asks for it. Its number says nothing, lies where nobody
//! chooses one by hand, and is given to another object only once the changes are made that take this one out.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::actions::{go_to, set};
use crate::action::Subfield;
use crate::packet::Field;
use crate::pipeline::objectmod::{GroupMod, MeterMod};
use crate::pipeline::objects::group::{BucketSpec, GroupKind, GroupSpec, Method, Selection};
use crate::pipeline::objects::meter::{BandSpec, MeterSpec, Unit};
use crate::pipeline::objects::{LOWERED_GROUPS, LOWERED_METERS};
/// The hash that answers alike in both directions of a connection.
const SYMMETRIC: u64 = 1 << 32;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Object {
    /// A group that chooses a number and goes on to a table.
    Select {
        /// Where the number goes.
        dst: Subfield,
        /// The numbers with their weights.
        members: Vec<(u16, u16)>,
        /// What is hashed; nothing stands for the five-tuple.
        fields: Vec<Field>,
        /// The table.
        next: u8,
    },
    /// A meter of that rate and burst, in kilobits.
    Meter {
        /// A second.
        rate: u32,
        /// At once.
        burst: u32,
    },
}

/// Objects that a unit asks for.
pub(super) type Asked = SmallVec<[Object; 0]>;

struct Known {
    id: u32,
    users: usize,
    is_told: bool,
}

/// Numbers from some number on.
struct Numbered {
    next: u32,
    /// Those that were given back.
    free: Vec<u32>,
}

impl Numbered {
    fn from(first: u32) -> Self {
        Self { next: first, free: Vec::new() }
    }

    /// One that nobody has. Beyond the last that rows may have the tables refuse what is so numbered.
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let number = self.next;
            self.next = number.saturating_add(1);
            number
        })
    }
}

/// All objects.
pub(super) struct Objects {
    known: HashMap<Object, Known>,
    groups: Numbered,
    meters: Numbered,
    /// Objects that may have come or gone.
    touched: Vec<Object>,
}

/// Groups and meters to put in before the flows that name them, and to take out after.
#[derive(Clone, Debug, Default)]
pub(super) struct ObjectChanges {
    pub groups: Vec<GroupMod>,
    pub meters: Vec<MeterMod>,
    pub groups_after: Vec<GroupMod>,
    pub meters_after: Vec<MeterMod>,
}

impl Default for Objects {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            groups: Numbered::from(LOWERED_GROUPS),
            meters: Numbered::from(LOWERED_METERS),
            touched: Vec::new(),
        }
    }
}

impl Objects {
    /// The number of an object; whoever asked gives it back by [`Objects::release`].
    pub fn ask(&mut self, object: &Object) -> u32 {
        if let Some(known) = self.known.get_mut(object) {
            known.users += 1;
            return known.id;
        }
        let id = match object {
            Object::Select { .. } => self.groups.take(),
            Object::Meter { .. } => self.meters.take(),
        };
        self.known.insert(object.clone(), Known { id, users: 1, is_told: false });
        self.touched.push(object.clone());
        id
    }

    /// Somebody asks for an object no longer.
    pub fn release(&mut self, object: Object) {
        if let Some(known) = self.known.get_mut(&object) {
            known.users = known.users.saturating_sub(1);
            if known.users == 0 {
                self.touched.push(object);
            }
        }
    }

    /// What has changed since the last time.
    pub fn finish(&mut self) -> ObjectChanges {
        let mut changes = ObjectChanges::default();
        for object in std::mem::take(&mut self.touched) {
            let Some(known) = self.known.get_mut(&object) else { continue };
            let (id, was_told) = (known.id, std::mem::replace(&mut known.is_told, known.users > 0));
            let is_needed = known.users > 0;
            if !is_needed {
                self.known.remove(&object);
                match object {
                    Object::Select { .. } => self.groups.free.push(id),
                    Object::Meter { .. } => self.meters.free.push(id),
                }
            }
            match (is_needed, was_told, object) {
                (true, false, object @ Object::Select { .. }) => {
                    changes
                        .groups
                        .extend(group(id, &object).map(|spec| GroupMod::Modify { spec, may_create: true }));
                }
                (true, false, Object::Meter { rate, burst }) => {
                    changes.meters.push(MeterMod::Add(meter(id, rate, burst)));
                }
                (false, true, Object::Select { .. }) => changes.groups_after.push(GroupMod::Delete(Some(id))),
                (false, true, Object::Meter { .. }) => changes.meters_after.push(MeterMod::Delete(Some(id))),
                _ => {}
            }
        }
        changes
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = GroupSpec> {
        self.known.iter().filter_map(|(object, known)| group(known.id, object))
    }

    /// All meters.
    pub fn meters(&self) -> impl Iterator<Item = MeterSpec> {
        self.known.iter().filter_map(|(object, known)| match object {
            Object::Meter { rate, burst } => Some(meter(known.id, *rate, *burst)),
            Object::Select { .. } => None,
        })
    }
}

fn group(id: u32, object: &Object) -> Option<GroupSpec> {
    let Object::Select { dst, members, fields, next } = object else { return None };
    let selection = match fields.is_empty() {
        true => Selection { method: Some(Method::DpHash), param: SYMMETRIC, fields: Vec::new() },
        false => Selection {
            method: Some(Method::Hash),
            param: 0,
            fields: fields.iter().map(|field| (*field, field.all_ones())).collect(),
        },
    };
    let bucket = |(n, (number, weight)): (u32, &(u16, u16))| BucketSpec {
        id: Some(n),
        weight: Some(*weight),
        actions: [set(*dst, (*number).into()), go_to(*next)].into(),
    };
    let buckets = (0..).zip(members).map(bucket).collect();
    Some(GroupSpec { id, kind: GroupKind::Select(selection), buckets })
}

fn meter(id: u32, rate: u32, burst: u32) -> MeterSpec {
    MeterSpec { id, unit: Unit::Kbps, burst: burst > 0, stats: true, bands: vec![BandSpec { rate, burst }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(rate: u32) -> Object {
        Object::Meter { rate, burst: 0 }
    }

    #[test]
    fn a_number_comes_back_after_its_object_was_taken_out() {
        let mut objects = Objects::default();
        let first = objects.ask(&meter(1));
        assert_eq!(first, LOWERED_METERS);
        objects.finish();
        objects.release(meter(1));
        // It is still in the tables.
        assert_eq!(objects.ask(&meter(2)), LOWERED_METERS + 1);
        let changes = objects.finish();
        assert_eq!(changes.meters_after, [MeterMod::Delete(Some(first))]);
        assert_eq!(objects.ask(&meter(3)), first);
        // Whoever comes back before that keeps its number.
        objects.release(meter(2));
        assert_eq!(objects.ask(&meter(2)), LOWERED_METERS + 1);
        let changes = objects.finish();
        assert!(changes.meters_after.is_empty() && changes.meters.len() == 1);
    }

    #[test]
    fn no_number_is_given_twice_however_long_it_goes_on() {
        let mut objects = Objects::default();
        let held = objects.ask(&meter(0));
        for rate in 1..300_000 {
            let id = objects.ask(&meter(rate));
            assert!(id != held && id <= LOWERED_METERS + 3, "{id}");
            objects.release(meter(rate));
            if rate % 2 == 0 {
                objects.finish();
            }
        }
    }
}
