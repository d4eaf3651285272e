//! What makes questions to a store cheap, kept in step with its rows.
//!
//! The invariant: an entry is here exactly while its row is in the store, also in the middle of a change, when two rows
//! may have the same values in columns that must be unique. What only one database asks is kept by its own [`Index`].

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use smallvec::SmallVec;

use super::datum::{Atom, Datum};
use super::schema::{Column, Rule, Schema, Untyped};
use super::uuid::Uuid;

/// The name of a row: its table and identifier.
pub type Name<S> = (S, Uuid);

/// What a database keeps beside what every one has.
pub trait Index<S: Schema>: Clone + Default + Send + Sync + 'static {
    /// Enters a row.
    fn enter(&mut self, uuid: Uuid, row: &S::AnyRow);
    /// Takes a row out.
    fn leave(&mut self, uuid: Uuid, row: &S::AnyRow);
}

/// A row's values in the columns of a unique index: table, number of the index, values.
type UniqueKey<S> = (S, usize, Vec<Datum>);

/// Those who have the same values, in order: one, but for the middle of a change.
type Holders = SmallVec<[Uuid; 1]>;

/// Who refers to whom.
type References<S> = RedBlackTreeSetSync<(Name<S>, Name<S>)>;

/// All indexes.
#[derive(Clone)]
pub(super) struct Indexes<S: Schema> {
    unique: RedBlackTreeMapSync<UniqueKey<S>, Holders>,
    /// Who refers to a row strongly: first the row, then the one that names it.
    strong: References<S>,
    /// The same for weak references, whether the row is there or not.
    weak: References<S>,
    /// The database's own.
    pub own: S::Index,
}

/// Another row has the same values in columns that must be unique.
pub(super) struct Clash {
    /// The columns.
    pub columns: &'static [&'static str],
    /// The other row.
    pub other: Uuid,
}

/// The first identifier in order.
pub(crate) const FIRST: Uuid = Uuid(0);
/// The last one.
pub(crate) const LAST: Uuid = Uuid(u128::MAX);

impl<S: Schema> Default for Indexes<S> {
    fn default() -> Self {
        Self {
            unique: RedBlackTreeMapSync::default(),
            strong: RedBlackTreeSetSync::default(),
            weak: RedBlackTreeSetSync::default(),
            own: S::Index::default(),
        }
    }
}

impl<S: Schema> Indexes<S> {
    /// Puts a row in the place of another, or one of them in that of nothing, and gives the rows to which there is one
    /// strong reference less.
    pub fn replace(
        &mut self,
        name: Name<S>,
        old: Option<&S::AnyRow>,
        new: Option<&S::AnyRow>,
    ) -> Vec<Name<S>> {
        let (_, uuid) = name;
        if let Some(old) = old {
            for (_, key) in unique_keys::<S>(old) {
                self.unhold(key, uuid);
            }
            self.own.leave(uuid, old);
        }
        if let Some(new) = new {
            for (_, key) in unique_keys::<S>(new) {
                self.hold(key, uuid);
            }
            self.own.enter(uuid, new);
        }
        refer(&mut self.weak, name, old, new, Strength::Weak);
        refer(&mut self.strong, name, old, new, Strength::Strong)
    }

    fn hold(&mut self, key: UniqueKey<S>, uuid: Uuid) {
        let mut holders = self.unique.get(&key).cloned().unwrap_or_default();
        holders.push(uuid);
        holders.sort_unstable();
        self.unique.insert_mut(key, holders);
    }

    fn unhold(&mut self, key: UniqueKey<S>, uuid: Uuid) {
        let mut holders = self.unique.get(&key).cloned().unwrap_or_default();
        holders.retain(|holder| *holder != uuid);
        if holders.is_empty() {
            self.unique.remove_mut(&key);
        } else {
            self.unique.insert_mut(key, holders);
        }
    }

    /// Another row than this one that has the same values in columns that must be unique.
    pub fn clash(&self, uuid: Uuid, row: &S::AnyRow) -> Option<Clash> {
        unique_keys::<S>(row).find_map(|(columns, key)| {
            let other = self.unique.get(&key)?.iter().find(|holder| **holder != uuid)?;
            Some(Clash { columns, other: *other })
        })
    }

    /// The rows with these values in the columns of a unique index.
    pub fn unique(&self, table: S, index: usize, values: Vec<Datum>) -> &[Uuid] {
        self.unique.get(&(table, index, values)).map_or(&[], |holders| holders)
    }

    /// The rows that refer to one in a way, by table and identifier.
    pub fn referrers(&self, name: Name<S>, strength: Strength) -> impl Iterator<Item = Name<S>> {
        let (first, last) = (S::ALL.first(), S::ALL.last());
        let range = first.zip(last).map(|(first, last)| {
            let (first, last) = ((name, (*first, FIRST)), (name, (*last, LAST)));
            self.references(strength).range(first..=last).map(|(_, from)| *from)
        });
        range.into_iter().flatten()
    }

    /// Those of one table.
    pub fn referrers_of(&self, name: Name<S>, from: S, strength: Strength) -> impl Iterator<Item = Uuid> {
        let range = (name, (from, FIRST))..=(name, (from, LAST));
        self.references(strength).range(range).map(|(_, (_, uuid))| *uuid)
    }

    fn references(&self, strength: Strength) -> &References<S> {
        match strength {
            Strength::Strong => &self.strong,
            Strength::Weak => &self.weak,
        }
    }
}

/// Brings references up to date with a row, and gives the rows to which there is one less.
fn refer<S: Schema>(
    references: &mut References<S>,
    name: Name<S>,
    old: Option<&S::AnyRow>,
    new: Option<&S::AnyRow>,
    strength: Strength,
) -> Vec<Name<S>> {
    let Some((old, new)) = both::<S>(old, new, strength) else { return Vec::new() };
    for target in new.iter().filter(|target| old.binary_search(target).is_err()) {
        references.insert_mut((*target, name));
    }
    let mut gone = old;
    gone.retain(|target| new.binary_search(target).is_err());
    for target in &gone {
        references.remove_mut(&(*target, name));
    }
    gone
}

/// What each of two rows names.
type Both<S> = (Vec<Name<S>>, Vec<Name<S>>);

/// The rows that two rows name in a way, in order; nothing if they name the same in the same columns.
fn both<S: Schema>(
    one: Option<&S::AnyRow>,
    other: Option<&S::AnyRow>,
    strength: Strength,
) -> Option<Both<S>> {
    if let (Some(one), Some(other)) = (one, other) {
        let changed = one.differences(other);
        let mut columns = one.table().def().columns.iter().enumerate();
        if !columns.any(|(at, column)| column.reference(strength).is_some() && changed.contains(at)) {
            return None;
        }
    }
    let targets = |row: Option<&S::AnyRow>| {
        let mut targets: Vec<_> =
            row.into_iter().flat_map(|row| named::<S>(row, strength)).map(|(_, target)| target).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    };
    Some((targets(one), targets(other)))
}

/// The rows that the first of two names in a way and the second does not. Little work if they name the same.
pub(super) fn only_first<S: Schema>(
    first: Option<&S::AnyRow>,
    second: Option<&S::AnyRow>,
    strength: Strength,
) -> Vec<Name<S>> {
    if first.is_none() {
        return Vec::new();
    }
    let Some((mut firsts, seconds)) = both::<S>(first, second, strength) else { return Vec::new() };
    firsts.retain(|target| seconds.binary_search(target).is_err());
    firsts
}

fn unique_keys<S: Schema>(row: &S::AnyRow) -> impl Iterator<Item = (&'static [&'static str], UniqueKey<S>)> {
    let table: S = row.table();
    table.def().unique.iter().enumerate().map(move |(index, columns)| {
        let values = columns.iter().filter_map(|name| row.get(table.column(name)?)).collect();
        (*columns, (table, index, values))
    })
}

/// What becomes of a reference when its row goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// The row may not go.
    Strong,
    /// The reference goes too.
    Weak,
}

impl<S: Copy> Column<S> {
    /// The table that it refers to in this way.
    pub(super) fn reference(&self, strength: Strength) -> Option<S> {
        match (self.rule, strength) {
            (Rule::Strong(table) | Rule::StrongSome(table), Strength::Strong) => Some(table),
            (Rule::Weak(table), Strength::Weak) => Some(table),
            _ => None,
        }
    }
}

/// The rows that a row names in a way, with the columns in which it does.
pub(super) fn named<S: Schema>(
    row: &S::AnyRow,
    strength: Strength,
) -> impl Iterator<Item = (&'static Column<S>, Name<S>)> {
    let columns = row.table().def().columns.iter().enumerate();
    columns.filter_map(move |(at, column)| Some((at, column, column.reference(strength)?))).flat_map(
        move |(at, column, target)| {
            let datum = row.get(at).unwrap_or(Datum::Set(Vec::new()));
            let atoms = datum.keys().chain(datum.values());
            let uuids: Vec<Uuid> = atoms.filter_map(uuid_of).collect();
            uuids.into_iter().map(move |uuid| (column, (target, uuid)))
        },
    )
}

/// The identifier that an atom is.
pub(super) fn uuid_of(atom: &Atom) -> Option<Uuid> {
    match atom {
        Atom::Uuid(uuid) => Some(*uuid),
        _ => None,
    }
}
