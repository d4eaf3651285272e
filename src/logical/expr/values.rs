//! Sets of masked values of one symbol: intersection, difference, and the sets that comparisons of order are.
//!
//! Values of one mask are joined by a hash of the bits that both sides ask for, so that a thousand addresses against a
//! thousand cost the sum. Many masks against many cost the product, which is why all steps are counted ([`Work`]).

use std::collections::HashMap;

use smallvec::{SmallVec, smallvec};

use super::{Masked, NormalizeError, Relop};

/// Values of one symbol, any of which may be met.
pub(super) type Values = SmallVec<[Masked; 1]>;

/// Values that one set may have.
pub(super) const MAX_VALUES: usize = 1 << 16;
/// Steps that one match may take, whether anything comes of them or not: about a second.
pub(super) const MAX_STEPS: usize = 1 << 23;

/// Steps taken for one match.
#[derive(Debug, Default)]
pub(super) struct Work {
    steps: usize,
}

impl Work {
    /// Counts steps before they are taken.
    pub(super) fn charge(&mut self, steps: usize) -> Result<(), NormalizeError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps <= MAX_STEPS { Ok(()) } else { Err(NormalizeError::TooMuchWork) }
    }
}

impl Masked {
    /// What meets both; none if nothing does.
    pub(super) fn intersected(self, other: Masked) -> Option<Masked> {
        let differs = (self.value ^ other.value) & self.mask & other.mask != 0;
        (!differs).then_some(Masked { value: self.value | other.value, mask: self.mask | other.mask })
    }
}

/// The single bits of `mask`, from the lowest.
fn bits(mask: u128) -> impl DoubleEndedIterator<Item = u128> {
    (0..128).map(|bit| 1 << bit).filter(move |bit| mask & bit != 0)
}

/// In order and each once.
pub(super) fn tidy(values: &mut Values) {
    values.sort_unstable();
    values.dedup();
}

/// What meets one of `left` and one of `right`.
pub(super) fn intersect(
    left: &[Masked],
    right: &[Masked],
    work: &mut Work,
) -> Result<Values, NormalizeError> {
    let mut out = Values::new();
    if let ([one], many) | (many, [one]) = (left, right) {
        work.charge(many.len())?;
        out.extend(many.iter().filter_map(|value| value.intersected(*one)));
    } else {
        let right = by_mask(right);
        for (left_mask, left) in by_mask(left) {
            for (right_mask, right) in &right {
                work.charge(left.len() + right.len())?;
                join(&left, right, left_mask & right_mask, &mut out)?;
            }
        }
    }
    tidy(&mut out);
    Ok(out)
}

fn by_mask(values: &[Masked]) -> Vec<(u128, Vec<Masked>)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by_key(|value| (value.mask, value.value));
    sorted
        .chunk_by(|a, b| a.mask == b.mask)
        .filter_map(|run| Some((run.first()?.mask, run.to_vec())))
        .collect()
}

/// The values by those of their bits that `common` has, each list in the order of the whole.
fn by_key(
    values: &[Masked],
    common: u128,
) -> HashMap<u128, SmallVec<[Masked; 1]>, foldhash::fast::RandomState> {
    let mut by_key: HashMap<_, SmallVec<_>, _> = HashMap::default();
    for value in values {
        by_key.entry(value.value & common).or_default().push(*value);
    }
    by_key
}

/// Adds the intersections of two runs, each of one mask; `common` are the bits that both ask for.
fn join(left: &[Masked], right: &[Masked], common: u128, out: &mut Values) -> Result<(), NormalizeError> {
    let by_key = by_key(left, common);
    for value in right {
        let partners = by_key.get(&(value.value & common)).map_or(&[][..], SmallVec::as_slice);
        if out.len() + partners.len() > MAX_VALUES {
            return Err(NormalizeError::TooManyValues);
        }
        out.extend(partners.iter().filter_map(|partner| partner.intersected(*value)));
    }
    Ok(())
}

/// What meets one of `values` and none of `excluded`.
pub(super) fn subtract(
    values: Values,
    excluded: &[Masked],
    work: &mut Work,
) -> Result<Values, NormalizeError> {
    let mut values = values;
    for (mask, run) in by_mask(excluded) {
        let mut rest = Values::new();
        for (own, values) in by_mask(&values) {
            work.charge(run.len() + values.len())?;
            let by_key = by_key(&run, own & mask);
            for value in values {
                let met = by_key.get(&(value.value & mask)).map_or(&[][..], SmallVec::as_slice);
                carve(value, mask, met, &mut rest, work)?;
            }
        }
        values = rest;
    }
    tidy(&mut values);
    Ok(values)
}

/// Adds what meets `value` and none of `excluded`, in parts that do not overlap. Those have the mask `mask`, are in
/// order, and agree with the value where both ask for a bit. The value is halved at the highest bit that only they ask
/// for, until a half is free of them or is one of them; at most 128 times.
fn carve(
    value: Masked,
    mask: u128,
    excluded: &[Masked],
    out: &mut Values,
    work: &mut Work,
) -> Result<(), NormalizeError> {
    if excluded.is_empty() {
        out.push(value);
        return Ok(());
    }
    let Some(bit) = bits(mask & !value.mask).next_back() else { return Ok(()) };
    work.charge(1)?;
    if out.len() > MAX_VALUES {
        return Err(NormalizeError::TooManyValues);
    }
    let ones = excluded.partition_point(|other| other.value & bit == 0);
    let (without, with) = excluded.split_at_checked(ones).unwrap_or((excluded, &[]));
    let mask_of_halves = value.mask | bit;
    carve(Masked { value: value.value, mask: mask_of_halves }, mask, without, out, work)?;
    carve(Masked { value: value.value | bit, mask: mask_of_halves }, mask, with, out, work)
}

/// What meets none of `excluded`, of which there is at least one. For one value these are its bits, each turned
/// around; they overlap, but each asks for one bit only.
pub(super) fn complement(excluded: &[Masked], work: &mut Work) -> Result<Values, NormalizeError> {
    if let [Masked { value, mask }] = excluded {
        let mut turned: Values = bits(*mask).map(|bit| Masked { value: !value & bit, mask: bit }).collect();
        tidy(&mut turned);
        return Ok(turned);
    }
    subtract(smallvec![Masked { value: 0, mask: 0 }], excluded, work)
}

/// The values that compare so. The mask is a run of ones.
pub(super) fn ordered(relop: Relop, Masked { value, mask }: Masked) -> Values {
    let is_less = matches!(relop, Relop::Lt | Relop::Le);
    let with_equal = matches!(relop, Relop::Le | Relop::Ge);
    let extreme = if is_less { mask } else { 0 };
    if value == extreme {
        // All others are on that side, so that the comparison is about equality.
        return if with_equal {
            smallvec![Masked { value: 0, mask: 0 }]
        } else {
            bits(mask).map(|bit| Masked { value: !value & bit, mask: bit }).collect()
        };
    }
    let equal = with_equal.then_some(Masked { value, mask });
    // Turning around a bit, whatever the lower bits are, gives what is less where it was one and greater where zero.
    let turnable = if is_less { value } else { !value & mask };
    let turned = bits(turnable).map(|bit| {
        let mask = mask & !(bit - 1);
        Masked { value: (value ^ bit) & mask, mask }
    });
    equal.into_iter().chain(turned).collect()
}
