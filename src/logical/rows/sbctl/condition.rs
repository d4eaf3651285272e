//! The conditions of `find`.

use std::cmp::Ordering;

use super::names::ColumnName;
use super::{Place, SbctlError};
use crate::logical::rows::datum::{Arity, Atom, Datum, Kind};
use crate::logical::rows::tables::{AnyRow, Table};
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

/// How a column is compared with a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// Contents that compare in one of these ways.
    Compares(&'static [Ordering]),
    /// The same, where a missing key counts as nothing.
    SetEqual(bool),
    /// All of the column is in the value …
    Within,
    /// … but not the reverse.
    ProperlyWithin,
    /// All of the value is in the column …
    Contains,
    /// … but not the reverse.
    ProperlyContains,
    /// Nothing of the column is in the value.
    Apart,
}

use Ordering::{Equal, Greater, Less};

/// Those that begin with others stand before them.
const OPERATORS: &[(&str, Operator)] = &[
    ("{!=}", Operator::SetEqual(false)),
    ("{=}", Operator::SetEqual(true)),
    ("{<=}", Operator::Within),
    ("{>=}", Operator::Contains),
    ("{<}", Operator::ProperlyWithin),
    ("{>}", Operator::ProperlyContains),
    ("{in}", Operator::Within),
    ("{not-in}", Operator::Apart),
    ("!=", Operator::Compares(&[Less, Greater])),
    ("<=", Operator::Compares(&[Less, Equal])),
    (">=", Operator::Compares(&[Greater, Equal])),
    ("<", Operator::Compares(&[Less])),
    (">", Operator::Compares(&[Greater])),
    ("=", Operator::Compares(&[Equal])),
];

/// A condition on a row.
pub struct Condition {
    column: ColumnName,
    key: Option<Atom>,
    operator: Operator,
    value: Datum,
}

impl Condition {
    /// From a word such as `external_ids:name=r1`.
    pub fn parse(table: Table, word: &str) -> Result<Self, SbctlError> {
        let (place, rest) = Place::parse_prefix(table, word)?;
        let found = OPERATORS.iter().find_map(|(sign, operator)| {
            let value = rest.strip_prefix(sign).filter(|value| !value.is_empty())?;
            Some((*operator, value))
        });
        let (operator, value) = found.ok_or_else(|| {
            let signs: Vec<String> = OPERATORS.iter().map(|(sign, _)| format!("\"{sign}\"")).collect();
            SbctlError::NoOperator(word.to_owned(), signs.join(", "))
        })?;
        let column = place.column;
        let mut kind = column.kind(table);
        if place.key.is_some()
            && let Some(value) = kind.value
        {
            kind = Kind { key: value, value: None, arity: Arity::Many };
        }
        let value = text::parse(value, kind).map_err(|cause| SbctlError::Value(word.to_owned(), cause))?;
        Ok(Condition { column, key: place.key.map(|(_, key)| key), operator, value })
    }

    /// Whether a row meets it.
    pub fn holds(&self, uuid: Uuid, row: &AnyRow) -> bool {
        let mut have = self.column.get(uuid, row);
        if let Some(key) = &self.key {
            let value = have.value(key).cloned();
            if value.is_none() && matches!(self.operator, Operator::Compares(_)) {
                return false;
            }
            have = Datum::Set(value.into_iter().collect());
        }
        let want = &self.value;
        match self.operator {
            Operator::Compares(ways) => ways.contains(&compare(&have, want)),
            Operator::SetEqual(equal) => (have == *want) == equal,
            Operator::Within => within(&have, want),
            Operator::ProperlyWithin => have.len() < want.len() && within(&have, want),
            Operator::Contains => within(want, &have),
            Operator::ProperlyContains => want.len() < have.len() && within(want, &have),
            Operator::Apart => !parts(&have).any(|part| parts(want).any(|other| other == part)),
        }
    }
}

/// The smaller is less; of the same size, the keys decide, and then the values.
fn compare(one: &Datum, other: &Datum) -> Ordering {
    let sizes = one.len().cmp(&other.len());
    sizes.then_with(|| one.keys().cmp(other.keys())).then_with(|| one.values().cmp(other.values()))
}

fn within(small: &Datum, large: &Datum) -> bool {
    parts(small).all(|part| parts(large).any(|other| other == part))
}

/// Members, or keys with their values.
fn parts(datum: &Datum) -> impl Iterator<Item = (&Atom, Option<&Atom>)> {
    let mut values = datum.values();
    datum.keys().map(move |key| (key, values.next()))
}
