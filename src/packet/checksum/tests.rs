use proptest::prelude::*;

use super::crc32c::{Crc32c, change};
use super::*;
use crate::packet::testgen::{naive_crc32c, naive_sum};

#[test]
fn known_values() {
    // RFC 1071, section 3.
    assert_eq!(Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
    // RFC 3720, appendix B.4.
    assert_eq!(Crc32c::default().bytes(&[0; 32]).finish(), 0x8a91_36aa);
    assert_eq!(Crc32c::default().bytes(b"123456789").finish(), 0xe306_9283);
    // RFC 1624, section 4.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285, Zero::Plain), 0);
}

#[test]
fn an_all_zero_icmp_message_gets_the_zero_that_verifies() {
    // Type 8 becomes 0 and nothing else is set.
    let field = update(0xf7ff, 0x0800, 0, Zero::AllOnes);
    assert_eq!(naive_sum(&field.to_be_bytes()), 0xffff);
}

proptest! {
    #[test]
    fn sums_agree(bytes in prop::collection::vec(any::<u8>(), 0..2000), ones in any::<bool>()) {
        let bytes = if ones { vec![0xff; bytes.len()] } else { bytes };
        prop_assert_eq!(Sum::default().bytes(&bytes).fold(), naive_sum(&bytes));
    }

    #[test]
    fn a_sum_may_be_made_in_pieces(bytes in prop::collection::vec(any::<u8>(), 0..100), word: u32, wide: u128) {
        let mut all = bytes.clone();
        all.resize(bytes.len().next_multiple_of(2), 0);
        all.extend(word.to_be_bytes());
        all.extend(wide.to_be_bytes());
        let sum = Sum::default().bytes(&bytes).word(word.into()).wide(wide);
        prop_assert_eq!(sum.fold(), naive_sum(&all));
    }

    #[test]
    fn an_update_equals_a_new_sum(
        mut data in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 16..64),
        new in prop_oneof![Just(0), Just(u128::MAX), any::<u128>()],
        wrong in prop_oneof![Just(0), any::<u16>()],
    ) {
        data.resize(data.len() & !1, 0);
        data.push(1); // never all zero, as data with a pseudo header
        data.push(0);
        // The field as the sender wrote it, wrong by a difference.
        let good = !naive_sum(&data);
        let field = (u32::from(good) + u32::from(wrong)) % 0xffff;
        let old = u128::from_be_bytes(data[..16].try_into().unwrap());
        let updated = update(field as u16, old, new, Zero::Plain);
        data[..16].copy_from_slice(&new.to_be_bytes());
        let expected = (u32::from(!naive_sum(&data)) + u32::from(wrong)) % 0xffff;
        prop_assert_eq!(u32::from(updated), expected);
        let updated = update(field as u16, old, new, Zero::AllOnes);
        prop_assert_ne!(updated, 0);
        prop_assert_eq!(u32::from(updated) % 0xffff, expected);
    }

    #[test]
    fn crcs_agree(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(Crc32c::default().bytes(head).bytes(tail).finish(), naive_crc32c(&bytes));
    }

    #[test]
    fn a_crc_is_changed_without_reading_the_data(
        mut bytes in prop::collection::vec(any::<u8>(), 4..3000),
        diff: [u8; 4],
        at: prop::sample::Index,
    ) {
        let at = at.index(bytes.len() - 3);
        let before = naive_crc32c(&bytes);
        for (byte, diff) in bytes[at..].iter_mut().zip(diff) {
            *byte ^= diff;
        }
        let behind = (bytes.len() - at - 4) as u16;
        prop_assert_eq!(before ^ change(&diff, behind), naive_crc32c(&bytes));
    }
}

proptest! {
    #[test]
    fn a_word_becomes_less_in_a_checksum_as_an_integer_does(field: u16, old: u16, by: u16) {
        let by = by.min(old);
        prop_assert_eq!(update_less(field, by), update(field, old.into(), (old - by).into(), Zero::Plain));
    }
}

#[test]
fn a_word_becomes_less_in_a_checksum_as_an_integer_does_at_the_ends() {
    for field in [0, 1, 0xfeff, 0xff00, 0xfffe, 0xffff] {
        for (old, by) in [(0, 0), (0xffff, 0), (0xffff, 0xffff), (0x100, 0x100), (1, 1), (0xffff, 0xfffe)] {
            assert_eq!(update_less(field, by), update(field, old.into(), (old - by).into(), Zero::Plain));
        }
    }
}
