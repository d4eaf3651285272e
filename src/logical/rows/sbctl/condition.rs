//! The conditions of `find`.

use std::cmp::Ordering;

use super::names::ColumnName;
use super::{Place, SbctlError};
use crate::logical::rows::datum::{Arity, Atom, Datum, Kind};
use crate::logical::rows::schema::{Schema, Untyped};
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
    /// All of the column is in the value, which lists what it may be.
    Among,
    /// Nothing of the column is in the value, which lists what it may not be.
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
    ("{in}", Operator::Among),
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
    pub fn parse<S: Schema>(table: S, word: &str) -> Result<Self, SbctlError> {
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
        if place.key.is_none() {
            let is_list = matches!(operator, Operator::Among | Operator::Apart);
            let checked = column.check(table, &value, is_list);
            checked.map_err(|cause| SbctlError::Impossible(word.to_owned(), cause))?;
        }
        Ok(Condition { column, key: place.key.map(|(_, key)| key), operator, value })
    }

    /// Whether a row meets it.
    pub fn holds<S>(&self, uuid: Uuid, row: &impl Untyped<S>) -> bool {
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
            Operator::Compares(ways) => ways.contains(&have.compare(want)),
            Operator::SetEqual(equal) => (have == *want) == equal,
            Operator::Within | Operator::Among => within(&have, want),
            Operator::ProperlyWithin => have.len() < want.len() && within(&have, want),
            Operator::Contains => within(want, &have),
            Operator::ProperlyContains => want.len() < have.len() && within(want, &have),
            Operator::Apart => !meet(&have, want),
        }
    }
}

/// Whether the one has all parts of the other. Both are sorted, so one walk through both tells.
fn within(small: &Datum, large: &Datum) -> bool {
    let mut large = parts(large);
    parts(small).all(|part| large.by_ref().find(|other| *other >= part) == Some(part))
}

/// Whether they have a part in common.
fn meet(one: &Datum, other: &Datum) -> bool {
    let mut others = parts(other).peekable();
    parts(one).any(|part| {
        while others.next_if(|other| *other < part).is_some() {}
        others.peek() == Some(&part)
    })
}

/// Members, or keys with their values.
fn parts(datum: &Datum) -> impl Iterator<Item = (&Atom, Option<&Atom>)> {
    let mut values = datum.values();
    datum.keys().map(move |key| (key, values.next()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn datum() -> impl Strategy<Value = Datum> {
        let set = btree_set(0..6i64, 0..5).prop_map(|set| set.into_iter().map(Atom::Integer).collect());
        let map = proptest::collection::btree_map(0..4i64, 0..2i64, 0..4);
        let map = map.prop_map(|map| {
            map.into_iter().map(|(key, value)| (Atom::Integer(key), Atom::Integer(value))).collect()
        });
        prop_oneof![set.prop_map(Datum::Set), map.prop_map(Datum::Map)]
    }

    proptest! {
        #[test]
        fn sets_are_compared_as_sets_are(one in datum(), other in datum()) {
            let each = |datum: &Datum| parts(datum).map(|(key, value)| (key.clone(), value.cloned())).collect::<Vec<_>>();
            let (ones, others) = (each(&one), each(&other));
            prop_assert_eq!(within(&one, &other), ones.iter().all(|part| others.contains(part)));
            prop_assert_eq!(meet(&one, &other), ones.iter().any(|part| others.contains(part)));
        }
    }
}
