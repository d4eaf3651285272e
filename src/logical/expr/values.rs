//! Sets of masked values of one symbol: intersection, difference, and the sets that comparisons of order are.
//!
//! Values of one mask are joined by a hash of the bits that both sides ask for, so that a thousand addresses against a
//! thousand cost the sum.

use std::collections::{HashMap, HashSet};

use smallvec::{SmallVec, smallvec};

use super::{Masked, NormalizeError, Relop};

/// Values of one symbol, any of which may be met.
pub(super) type Values = SmallVec<[Masked; 1]>;

/// Values that one set may have.
pub(super) const MAX_VALUES: usize = 1 << 16;

impl Masked {
    /// What meets both; none if nothing does.
    pub(super) fn intersected(self, other: Masked) -> Option<Masked> {
        let differs = (self.value ^ other.value) & self.mask & other.mask != 0;
        (!differs).then_some(Masked { value: self.value | other.value, mask: self.mask | other.mask })
    }

    /// Adds what meets this one and not `other`, in parts that do not overlap, the largest first.
    fn subtract(self, other: Masked, out: &mut Values) {
        if self.intersected(other).is_none() {
            out.push(self);
            return;
        }
        let mut rest = self;
        for bit in bits(other.mask & !self.mask).rev() {
            let mask = rest.mask | bit;
            out.push(Masked { value: rest.value | (!other.value & bit), mask });
            rest = Masked { value: rest.value | (other.value & bit), mask };
        }
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
pub(super) fn intersect(left: &[Masked], right: &[Masked]) -> Result<Values, NormalizeError> {
    let mut out = Values::new();
    if let ([one], many) | (many, [one]) = (left, right) {
        out.extend(many.iter().filter_map(|value| value.intersected(*one)));
    } else {
        let right = by_mask(right);
        for (left_mask, left) in by_mask(left) {
            for (right_mask, right) in &right {
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

/// Adds the intersections of two runs, each of one mask; `common` are the bits that both ask for.
fn join(left: &[Masked], right: &[Masked], common: u128, out: &mut Values) -> Result<(), NormalizeError> {
    let mut by_key: HashMap<u128, SmallVec<[Masked; 1]>, foldhash::fast::RandomState> = HashMap::default();
    for value in left {
        by_key.entry(value.value & common).or_default().push(*value);
    }
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
pub(super) fn subtract(values: Values, excluded: &[Masked]) -> Result<Values, NormalizeError> {
    let mut values = values;
    for (mask, run) in by_mask(excluded) {
        // A value that asks for all bits of the mask is in or out as a whole.
        let keys: HashSet<u128, foldhash::fast::RandomState> = run.iter().map(|value| value.value).collect();
        values.retain(|value| mask & !value.mask != 0 || !keys.contains(&(value.value & mask)));
        if values.iter().all(|value| mask & !value.mask == 0) {
            continue;
        }
        for excluded in run {
            if values.iter().all(|value| value.intersected(excluded).is_none()) {
                continue;
            }
            let mut rest = Values::new();
            values.iter().for_each(|value| value.subtract(excluded, &mut rest));
            if rest.len() > MAX_VALUES {
                return Err(NormalizeError::TooManyValues);
            }
            values = rest;
        }
    }
    tidy(&mut values);
    Ok(values)
}

/// What meets none of `excluded`, of which there is at least one. For one value these are its bits, each turned
/// around; they overlap, but each asks for one bit only.
pub(super) fn complement(excluded: &[Masked]) -> Result<Values, NormalizeError> {
    if let [Masked { value, mask }] = excluded {
        let mut turned: Values = bits(*mask).map(|bit| Masked { value: !value & bit, mask: bit }).collect();
        tidy(&mut turned);
        return Ok(turned);
    }
    subtract(smallvec![Masked { value: 0, mask: 0 }], excluded)
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
