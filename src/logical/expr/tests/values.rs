//! Sets of masked values against sets of all values of eight bits.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::logical::expr::values::{complement, intersect, ordered, subtract};
use crate::logical::expr::{Masked, Relop};

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
        let both = intersect(&left, &right).unwrap();
        prop_assert!(is_proper(&both));
        prop_assert_eq!(members(&both), &members(&left) & &members(&right));

        let rest = subtract(left.iter().copied().collect(), &right).unwrap();
        prop_assert!(is_proper(&rest));
        prop_assert_eq!(members(&rest), &members(&left) - &members(&right));

        let others = complement(&right).unwrap();
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
