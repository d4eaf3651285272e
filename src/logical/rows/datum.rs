//! Values as the database has them: atoms, and columns of one, at most one or many.
//!
//! The invariant: a [`Datum`] is sorted and free of duplicates, so that equal contents are equal values, and the
//! order of printing is the database's.

use std::cmp::Ordering;

use super::uuid::Uuid;

/// The type of an atom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtomKind {
    /// A signed integer of 64 bits.
    Integer,
    /// true or false.
    Boolean,
    /// A text.
    Text,
    /// The identifier of a row.
    Uuid,
}

impl AtomKind {
    /// What a column holds that was given nothing.
    pub fn least(self) -> Atom {
        match self {
            AtomKind::Integer => Atom::Integer(0),
            AtomKind::Boolean => Atom::Boolean(false),
            AtomKind::Text => Atom::Text(String::new()),
            AtomKind::Uuid => Atom::Uuid(Uuid::default()),
        }
    }

    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            AtomKind::Integer => "an integer",
            AtomKind::Boolean => "true or false",
            AtomKind::Text => "a string",
            AtomKind::Uuid => "a UUID",
        }
    }
}

/// A value that has no parts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Atom {
    /// An integer.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// A text.
    Text(String),
    /// The identifier of a row.
    Uuid(Uuid),
}

impl Atom {
    /// Its type.
    pub fn kind(&self) -> AtomKind {
        match self {
            Atom::Integer(_) => AtomKind::Integer,
            Atom::Boolean(_) => AtomKind::Boolean,
            Atom::Text(_) => AtomKind::Text,
            Atom::Uuid(_) => AtomKind::Uuid,
        }
    }
}

/// How many values a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number.
    Many,
}

/// The type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Of its values, or of the keys if it is a map.
    pub key: AtomKind,
    /// Of the values of a map.
    pub value: Option<AtomKind>,
    /// How many.
    pub arity: Arity,
}

impl Kind {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match (self.value, self.arity, self.key) {
            (Some(_), ..) => "a map",
            (None, Arity::One | Arity::Optional, key) => key.name(),
            (None, Arity::Many, AtomKind::Integer) => "a set of integers",
            (None, Arity::Many, AtomKind::Boolean) => "a set of truth values",
            (None, Arity::Many, AtomKind::Text) => "a set of strings",
            (None, Arity::Many, AtomKind::Uuid) => "a set of UUIDs",
        }
    }
}

/// The contents of a column of a row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Datum {
    /// A set; a single value is a set of one.
    Set(Vec<Atom>),
    /// A map, by key.
    Map(Vec<(Atom, Atom)>),
}

impl Datum {
    /// A single value.
    pub fn one(atom: Atom) -> Self {
        Datum::Set(vec![atom])
    }

    /// How many values or pairs.
    pub fn len(&self) -> usize {
        match self {
            Datum::Set(set) => set.len(),
            Datum::Map(map) => map.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set, or the keys of the map.
    pub fn keys(&self) -> impl Iterator<Item = &Atom> {
        let (set, map) = self.halves();
        set.iter().chain(map.iter().map(|(key, _)| key))
    }

    /// The values of the map; a set has none.
    pub fn values(&self) -> impl Iterator<Item = &Atom> {
        self.halves().1.iter().map(|(_, value)| value)
    }

    /// The value of a key of the map.
    pub fn value(&self, key: &Atom) -> Option<&Atom> {
        self.halves().1.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// In the order of the database: the smaller is less; of the same size, the keys decide, and then the values.
    pub fn compare(&self, other: &Datum) -> Ordering {
        let sizes = self.len().cmp(&other.len());
        sizes.then_with(|| self.keys().cmp(other.keys())).then_with(|| self.values().cmp(other.values()))
    }

    fn halves(&self) -> (&[Atom], &[(Atom, Atom)]) {
        match self {
            Datum::Set(set) => (set, &[]),
            Datum::Map(map) => (&[], map),
        }
    }
}
