//! Actions that tie flows together or name what stands beside them: `conjunction`, `group`, `meter`.

use super::cursor::{Item, Piece};
use super::error::SyntaxError;
use super::value::{number, too_large};
use crate::action::Action;
use crate::pipeline::conjunction::{MAX_CLAUSES, MIN_CLAUSES};
use crate::pipeline::objects::group::MAX_GROUP;
use crate::pipeline::objects::meter::MAX_METER;

/// `conjunction(ID,K/N)`
pub(super) fn conjunction(item: &Item<'_>) -> Result<Action, SyntaxError> {
    const EXAMPLE: &str = "conjunction(ID,K/N), such as conjunction(7,1/2)";
    let list = item.required(EXAMPLE)?;
    let mut parts = list.split_commas().map(Piece::trim);
    let (Some(id), Some(clauses), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SyntaxError::value(list, "conjunction", EXAMPLE));
    };
    let Some((clause, of)) = clauses.split_once("/") else {
        return Err(SyntaxError::value(clauses, "the dimension of conjunction", "K/N, such as 1/2"));
    };
    let (clause, of) = (clause.trim(), of.trim());
    let count = number(of, "the dimensions of conjunction", 128)?;
    if !(u128::from(MIN_CLAUSES)..=u128::from(MAX_CLAUSES)).contains(&count) {
        let sentence = format!(
            "a conjunctive match has {MIN_CLAUSES} to {MAX_CLAUSES} dimensions, not {count}; with one use a plain flow"
        );
        return Err(SyntaxError::refused(of, sentence));
    }
    let which = number(clause, "the dimension of conjunction", 128)?;
    if !(1..=count).contains(&which) {
        let sentence = format!("there is no dimension {which} of {count}; count them from 1");
        return Err(SyntaxError::refused(clause, sentence));
    }
    let id = number(id, "the id of conjunction", 32)? as u32;
    Ok(Action::Conjunction { id, clause: which as u8, of: count as u8 })
}

/// `group:ID`
pub(super) fn group(item: &Item<'_>) -> Result<Action, SyntaxError> {
    group_id(item.required("group:NUMBER")?).map(Action::Group)
}

/// `meter:ID`
pub(super) fn meter(item: &Item<'_>) -> Result<Action, SyntaxError> {
    meter_id(item.required("meter:NUMBER")?).map(Action::Meter)
}

/// The number of a group.
pub(super) fn group_id(piece: Piece<'_>) -> Result<u32, SyntaxError> {
    match number(piece, "the number of a group", 128)? {
        id if id <= u128::from(MAX_GROUP) => Ok(id as u32),
        _ => Err(too_large(piece, "the number of a group", MAX_GROUP.into())),
    }
}

/// The number of a meter.
pub(super) fn meter_id(piece: Piece<'_>) -> Result<u32, SyntaxError> {
    match number(piece, "the number of a meter", 128)? {
        0 => Err(SyntaxError::value(piece, "the number of a meter", "a number from 1")),
        id if id <= u128::from(MAX_METER) => Ok(id as u32),
        _ => Err(too_large(piece, "the number of a meter", MAX_METER.into())),
    }
}

/// Refuses what makes sense in a flow alone.
pub(super) fn check_bucket(actions: &[Action], list: Piece<'_>) -> Result<(), SyntaxError> {
    let of_a_flow = |action: &Action| {
        matches!(action, Action::Conjunction { .. } | Action::GotoTable(_) | Action::WriteMetadata { .. })
    };
    if actions.iter().any(of_a_flow) {
        let sentence = "conjunction, goto_table and write_metadata are for flows; use resubmit and set_field in a bucket";
        return Err(SyntaxError::refused(list, sentence));
    }
    Ok(())
}

/// Refuses a conjunction inside `clone` and one beside an action of another kind.
pub(super) fn check_conjunction(
    before: &[Action],
    new: &[Action],
    item: &Item<'_>,
    depth: usize,
) -> Result<(), SyntaxError> {
    let is_part = |action: &Action| matches!(action, Action::Conjunction { .. });
    if depth > 0 && new.iter().any(is_part) {
        let sentence = "conjunction is about the whole flow and must stand outside of clone; move it there";
        return Err(SyntaxError::refused(item.whole, sentence));
    }
    let mut all = before.iter().chain(new).map(is_part);
    let first = all.next();
    if first.is_some_and(|first| all.any(|part| part != first)) {
        let sentence = "conjunction stands with nothing but others of its kind; put the other actions into the flow \
                        that matches conj_id";
        return Err(SyntaxError::refused(item.whole, sentence));
    }
    Ok(())
}
