//! Groups and meters: what actions name and what stands beside the flows in a snapshot.
//!
//! The invariants:
//! - A flow names only groups and meters that are there; one that goes takes the flows that name it along. What names
//!   them elsewhere (a bucket, a frozen context) may find nothing.
//! - A changed group or meter is a new object; whatever a translation found of the old one, it recorded that it depends
//!   on it.
//! - Numbers from [`LOWERED_GROUPS`] and [`LOWERED_METERS`] on belong to the rows of logical networks, all below to whoever
//!   writes flows by hand.

pub mod group;
pub mod meter;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::changes::Slot;
use crate::action::Action;
pub use group::Group;
use group::MAX_GROUP;
use meter::MAX_METER;
pub use meter::{Meter, Meters};

/// The first group that rows of logical networks may have; all from there on are theirs.
pub const LOWERED_GROUPS: u32 = 0x1000_0000;
/// The first meter that rows of logical networks may have; all from there on are theirs.
pub const LOWERED_METERS: u32 = 0x2_0000;

/// Whose groups and meters a change is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// Those of whoever writes flows by hand.
    User,
    /// Those that rows of logical networks ask for.
    Rows,
}

impl Owner {
    /// Whether it owns what has that number.
    pub(super) fn owns(self, named: Named) -> bool {
        match (self, named) {
            (Owner::User, Named::Group(id)) => id < LOWERED_GROUPS,
            (Owner::User, Named::Meter(id)) => id < LOWERED_METERS,
            (Owner::Rows, Named::Group(id)) => (LOWERED_GROUPS..=MAX_GROUP).contains(&id),
            (Owner::Rows, Named::Meter(id)) => (LOWERED_METERS..=MAX_METER).contains(&id),
        }
    }
}

/// Something that actions name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Named {
    /// A group.
    Group(u32),
    /// A meter.
    Meter(u32),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Group(id) => write!(f, "group {id}"),
            Named::Meter(id) => write!(f, "meter {id}"),
        }
    }
}

impl Named {
    fn slot(self) -> Slot {
        match self {
            Named::Group(id) => Slot::Group(id),
            Named::Meter(id) => Slot::Meter(id),
        }
    }

    /// All that a list of actions names, also inside others.
    pub(super) fn all_in(actions: &[Action]) -> BTreeSet<Named> {
        let mut found = BTreeSet::new();
        gather(actions, &mut found);
        found
    }
}

fn gather(actions: &[Action], found: &mut BTreeSet<Named>) {
    for action in actions {
        match action {
            Action::Group(id) => drop(found.insert(Named::Group(*id))),
            Action::Meter(id) => drop(found.insert(Named::Meter(*id))),
            _ => gather(action.inner(), found),
        }
    }
}

/// All groups and meters. A clone shares everything with its origin.
#[derive(Clone, Default)]
pub struct Objects {
    pub(super) groups: RedBlackTreeMapSync<u32, Arc<Group>>,
    pub(super) meters: Meters,
    /// How many flows name something.
    users: RedBlackTreeMapSync<Named, u32>,
    /// What was touched since the tables that these were made from.
    touched: Arc<BTreeSet<Slot>>,
}

impl Objects {
    /// All groups, by id.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The group of that id.
    pub fn group(&self, id: u32) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// All meters.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// How many flows name something.
    pub fn users(&self, named: Named) -> u32 {
        self.users.get(&named).copied().unwrap_or(0)
    }

    /// Whether it is there.
    pub(super) fn has(&self, named: Named) -> bool {
        match named {
            Named::Group(id) => self.group(id).is_some(),
            Named::Meter(id) => self.meters.get(id).is_some(),
        }
    }

    /// A flow with these actions comes or goes.
    pub(super) fn count_users(&mut self, actions: &[Action], is_more: bool) {
        for named in Named::all_in(actions) {
            let old = self.users(named);
            match if is_more { old.saturating_add(1) } else { old.saturating_sub(1) } {
                0 => drop(self.users.remove_mut(&named)),
                new => self.users.insert_mut(named, new),
            }
        }
    }

    /// Puts a group in the place of what had its id, or takes that out. Gives back what stood there.
    pub(super) fn set_group(&mut self, id: u32, group: Option<Arc<Group>>) -> Option<Arc<Group>> {
        self.touch(Named::Group(id));
        let old = self.groups.get(&id).cloned();
        match group {
            Some(group) => self.groups.insert_mut(id, group),
            None => drop(self.groups.remove_mut(&id)),
        }
        old
    }

    /// Puts a meter in the place of what had its id, or takes that out.
    pub(super) fn set_meter(&mut self, id: u32, meter: Option<Arc<Meter>>) {
        self.touch(Named::Meter(id));
        self.meters.set(id, meter);
    }

    fn touch(&mut self, named: Named) {
        Arc::make_mut(&mut self.touched).insert(named.slot());
    }

    /// Forgets what was touched.
    pub(super) fn settle(&mut self) {
        if !self.touched.is_empty() {
            self.touched = Arc::default();
        }
    }

    /// What was touched and is now another object than before.
    pub(super) fn changes_since(&self, before: &Objects) -> impl Iterator<Item = Slot> {
        self.touched.iter().copied().filter(|slot| match slot {
            Slot::Group(id) => !is_same(self.group(*id), before.group(*id)),
            Slot::Meter(id) => !is_same(self.meters.get(*id), before.meters.get(*id)),
            _ => false,
        })
    }
}

fn is_same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
