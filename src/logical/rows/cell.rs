//! The Rust types that columns have in typed rows, and how they come from and go to [`Datum`].

use std::collections::{BTreeMap, BTreeSet};

use super::datum::{Arity, Atom, AtomKind, Datum, Kind};
use super::text;
use super::uuid::{BadUuid, Uuid};
use crate::logical::error::shortened;

/// Why a value does not fit a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// Of another type.
    #[error("{0} is needed")]
    Kind(&'static str),
    /// Not as many values as it takes.
    #[error("{0} needed, and there are {1}")]
    Count(&'static str, usize),
    /// Out of range.
    #[error("{0} is out of range; it may be from {1} to {2}")]
    Range(i64, i64, i64),
    /// A member or key twice.
    #[error("it holds {0} twice")]
    Twice(String),
    /// What should be an identifier.
    #[error(transparent)]
    Uuid(#[from] BadUuid),
    /// A text that is too long.
    #[error("it has {0} characters and may have {1}; make it shorter")]
    Length(usize, usize),
    /// None of the words that are allowed.
    #[error("\"{word}\" is not allowed; write one of {1}", word = shortened(.0))]
    Word(String, String),
}

/// A type that a single value can have.
pub trait Scalar: Sized + Ord {
    /// The type in the database.
    const KIND: AtomKind;
    /// To the database's form.
    fn to_atom(&self) -> Atom;
    /// From the database's form.
    fn from_atom(atom: Atom) -> Result<Self, BadValue>;
}

/// A type that a column can have.
pub trait Cell: Sized {
    /// The type in the database.
    const KIND: Kind;
    /// To the database's form.
    fn to_datum(&self) -> Datum;
    /// From the database's form.
    fn from_datum(datum: Datum) -> Result<Self, BadValue>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            const KIND: AtomKind = AtomKind::Integer;
            fn to_atom(&self) -> Atom {
                Atom::Integer((*self).into())
            }
            fn from_atom(atom: Atom) -> Result<Self, BadValue> {
                match atom {
                    Atom::Integer(number) => number
                        .try_into()
                        .map_err(|_| BadValue::Range(number, <$type>::MIN.into(), <$type>::MAX.into())),
                    _ => Err(BadValue::Kind(AtomKind::Integer.name())),
                }
            }
        }
    )*};
}
integers!(u8, u16, u32, i64);

macro_rules! scalars {
    ($($type:ty => $variant:ident),*) => {$(
        impl Scalar for $type {
            const KIND: AtomKind = AtomKind::$variant;
            fn to_atom(&self) -> Atom {
                Atom::$variant(self.clone())
            }
            fn from_atom(atom: Atom) -> Result<Self, BadValue> {
                match atom {
                    Atom::$variant(value) => Ok(value),
                    _ => Err(BadValue::Kind(AtomKind::$variant.name())),
                }
            }
        }
    )*};
}
scalars!(bool => Boolean, String => Text, Uuid => Uuid);

/// One of the two halves of a logical datapath.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Pipeline {
    /// From a logical port to the decision where to send.
    #[default]
    Ingress,
    /// From there to a logical port.
    Egress,
}

impl Pipeline {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Pipeline::Ingress => "ingress",
            Pipeline::Egress => "egress",
        }
    }
}

impl Scalar for Pipeline {
    const KIND: AtomKind = AtomKind::Text;

    fn to_atom(&self) -> Atom {
        Atom::Text(self.name().to_owned())
    }

    fn from_atom(atom: Atom) -> Result<Self, BadValue> {
        let text = String::from_atom(atom)?;
        [Pipeline::Ingress, Pipeline::Egress]
            .into_iter()
            .find(|pipeline| pipeline.name() == text)
            .ok_or_else(|| BadValue::Word(text, "ingress, egress".to_owned()))
    }
}

impl<T: Scalar> Cell for T {
    const KIND: Kind = Kind { key: T::KIND, value: None, arity: Arity::One };

    fn to_datum(&self) -> Datum {
        Datum::one(self.to_atom())
    }

    fn from_datum(datum: Datum) -> Result<Self, BadValue> {
        let mut set = set_of(datum, T::KIND)?;
        match (set.pop(), set.len()) {
            (Some(atom), 0) => T::from_atom(atom),
            (last, rest) => Err(BadValue::Count("one value is", rest + usize::from(last.is_some()))),
        }
    }
}

impl<T: Scalar> Cell for Option<T> {
    const KIND: Kind = Kind { key: T::KIND, value: None, arity: Arity::Optional };

    fn to_datum(&self) -> Datum {
        Datum::Set(self.iter().map(T::to_atom).collect())
    }

    fn from_datum(datum: Datum) -> Result<Self, BadValue> {
        let mut set = set_of(datum, T::KIND)?;
        match (set.pop(), set.len()) {
            (None, _) => Ok(None),
            (Some(atom), 0) => T::from_atom(atom).map(Some),
            (Some(_), rest) => Err(BadValue::Count("at most one value is", rest + 1)),
        }
    }
}

impl<T: Scalar> Cell for BTreeSet<T> {
    const KIND: Kind = Kind { key: T::KIND, value: None, arity: Arity::Many };

    fn to_datum(&self) -> Datum {
        Datum::Set(self.iter().map(T::to_atom).collect())
    }

    fn from_datum(datum: Datum) -> Result<Self, BadValue> {
        let atoms = set_of(datum, T::KIND)?;
        let mut values: Vec<T> = atoms.into_iter().map(T::from_atom).collect::<Result<_, _>>()?;
        values.sort();
        match values.iter().zip(values.iter().skip(1)).find(|(one, other)| one == other) {
            Some((twin, _)) => Err(twice(twin)),
            None => Ok(values.into_iter().collect()),
        }
    }
}

impl<K: Scalar, V: Scalar> Cell for BTreeMap<K, V> {
    const KIND: Kind = Kind { key: K::KIND, value: Some(V::KIND), arity: Arity::Many };

    fn to_datum(&self) -> Datum {
        Datum::Map(self.iter().map(|(key, value)| (key.to_atom(), value.to_atom())).collect())
    }

    fn from_datum(datum: Datum) -> Result<Self, BadValue> {
        match datum {
            Datum::Map(pairs) => {
                let pair = |(key, value)| Ok((K::from_atom(key)?, V::from_atom(value)?));
                let mut pairs: Vec<(K, V)> = pairs.into_iter().map(pair).collect::<Result<_, BadValue>>()?;
                pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
                let keys = || pairs.iter().map(|(key, _)| key);
                match keys().zip(keys().skip(1)).find(|(one, other)| one == other) {
                    Some((twin, _)) => Err(twice(twin)),
                    None => Ok(pairs.into_iter().collect()),
                }
            }
            Datum::Set(_) => Err(BadValue::Kind("a map")),
        }
    }
}

/// The refusal of what is there twice.
fn twice<T: Scalar>(value: &T) -> BadValue {
    let mut shown = String::new();
    text::write_atom(&mut shown, &value.to_atom());
    BadValue::Twice(shortened(&shown).into_owned())
}

fn set_of(datum: Datum, kind: AtomKind) -> Result<Vec<Atom>, BadValue> {
    match datum {
        Datum::Set(set) => Ok(set),
        Datum::Map(_) => Err(BadValue::Kind(kind.name())),
    }
}
