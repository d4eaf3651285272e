//! Sets of masked values against sets of all values of eight bits.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::logical::expr::values::{MAX_STEPS, Work, complement, intersect, ordered, subtract};
use crate::logical::expr::{Masked, NormalizeError, Relop};

const ONES: u128 = 0xff;

fn masked() -> impl Strategy<Value = Masked> {
    let mask =
        prop_oneof![Just(ONES), any::<u8>().prop_map(u128::from), (0..9u32).prop_map(|n| ONES >> n << n)];
    (mask, any::<u8>()).prop_map(|(mask, value)| Masked { value: u128::from(value) & mask, mask })
}

fn many() -> impl Strategy<Value = Vec<Masked>> {
    prop::collection::vec(masked(), 1..12)
}

fn members(values: &[Masked]) -> BTreeSet<u128> {
    (0..=ONES).filter(|byte| values.iter().any(|value| byte & value.mask == value.value)).collect()
}

fn is_proper(values: &[Masked]) -> bool {
    values.iter().all(|value| value.value & !value.mask == 0 && value.mask <= ONES)
}

proptest! {
    #[test]
    fn sets_are_those_of_their_members(left in many(), right in many()) {
        let work = &mut Work::default();
        let both = intersect(&left, &right, work).unwrap();
        prop_assert!(is_proper(&both));
        prop_assert_eq!(members(&both), &members(&left) & &members(&right));

        let rest = subtract(left.iter().copied().collect(), &right, work).unwrap();
        prop_assert!(is_proper(&rest));
        prop_assert_eq!(members(&rest), &members(&left) - &members(&right));

        let others = complement(&right, work).unwrap();
        prop_assert!(is_proper(&others));
        prop_assert_eq!(members(&others), &(0..=ONES).collect() - &members(&right));
    }

    #[test]
    fn comparisons_are_sets(value in any::<u8>(), low in 0..8u32, bits in 1..9u32) {
        let mask = (ONES >> (8 - bits.min(8 - low))) << low;
        let value = Masked { value: u128::from(value) & mask, mask };
        let holds = |relop, left, right| match relop {
            Relop::Lt => left < right,
            Relop::Le => left <= right,
            Relop::Gt => left > right,
            _ => left >= right,
        };
        for relop in [Relop::Lt, Relop::Le, Relop::Gt, Relop::Ge] {
            let values = ordered(relop, value);
            prop_assert!(is_proper(&values));
            let wanted: BTreeSet<_> = (0..=ONES).filter(|byte| holds(relop, byte & mask, value.value)).collect();
            prop_assert_eq!(members(&values), wanted, "{:?} {:?}", relop, value);
        }
    }
}

/// As many masks as values, of which none has the lowest bit: all steps are for nothing.
fn distinct_masks(count: u128, low: u128) -> Vec<Masked> {
    (0..count).map(|n| Masked { value: low, mask: n << 1 | 1 }).collect()
}

#[test]
fn steps_that_yield_nothing_are_counted() {
    let (left, right) = (distinct_masks(8000, 0), distinct_masks(8000, 1));
    let work = &mut Work::default();
    assert_eq!(intersect(&left, &right, work), Err(NormalizeError::TooMuchWork));
    let work = &mut Work::default();
    assert_eq!(subtract(left.into_iter().collect(), &right, work), Err(NormalizeError::TooMuchWork));
    work.charge(MAX_STEPS).unwrap_err();

    let (left, right) = (distinct_masks(100, 0), distinct_masks(100, 1));
    let work = &mut Work::default();
    assert_eq!(intersect(&left, &right, work).unwrap().len(), 0);
    assert_eq!(subtract(left.into_iter().collect(), &right, work).unwrap().len(), 100);
}

#[test]
fn values_without_a_set_cost_what_is_left() {
    let excluded: Vec<_> =
        (0..1000).map(|n| Masked { value: (10 << 24) + n * 7, mask: 0xffff_ffff }).collect();
    let work = &mut Work::default();
    let rest = complement(&excluded, work).unwrap();
    let left: u128 = rest.iter().map(|value| 1 << (32 - value.mask.count_ones())).sum();
    assert_eq!(left, (1 << 32) - 1000);
    // All but nothing of the steps is one more value, or one less to leave out.
    work.charge(MAX_STEPS - 2 * (rest.len() + excluded.len())).unwrap();
}
