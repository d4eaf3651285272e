//! The name of a row.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;

/// A universally unique identifier, ordered as the text that it prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub u128);

impl Uuid {
    /// A name for a new row.
    pub fn random() -> Self {
        let half = || u128::from(RandomState::new().hash_one(0));
        // Version 4, variant 1 of RFC 9562.
        let fixed = 0xf << 76 | 3 << 62;
        Uuid((half() << 64 | half()) & !fixed | 4 << 76 | 2 << 62)
    }

    /// The first 32 bits, which a flow made from this row has as its cookie.
    pub fn first_word(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// Whether a text is the beginning of this identifier as it is printed, or all of it.
    pub fn begins_with(self, text: &str) -> bool {
        let mut digits = (0..32).map(|digit| (self.0 >> (124 - 4 * digit) & 15) as u32);
        text.len() <= 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => digits.next().and_then(|digit| char::from_digit(digit, 16)) == Some(byte.into()),
            })
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 32),
            part(80, 16),
            part(64, 16),
            part(48, 16),
            part(0, 48)
        )
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a UUID; write 8-4-4-4-12 hexadecimal digits, such as f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
)]
pub struct BadUuid(String);

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Self, BadUuid> {
        let bad = || BadUuid(text.chars().take(64).collect());
        if text.len() != 36 {
            return Err(bad());
        }
        let mut value = 0;
        for (at, byte) in text.bytes().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return Err(bad());
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16).ok_or_else(bad)?;
            value = value << 4 | u128::from(digit);
        }
        Ok(Uuid(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_uuid_is_refused() {
        let good = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        let uuid: Uuid = good.parse().unwrap();
        assert_eq!(uuid.first_word(), 0xf81d_4fae);
        for bad in [
            "",
            "f81d4fae",
            &good[1..],
            &good.replace('-', "0"),
            &good.replace('f', "g"),
            "é81d4fae-7dec-11d0-a765-00a0c91e6bf",
        ] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_order(a: u128, b: u128, cut in 0usize..=36) {
            let (a, b) = (Uuid(a), Uuid(b));
            let text = a.to_string();
            prop_assert_eq!(text.parse(), Ok(a));
            prop_assert_eq!(text.to_uppercase().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), text.cmp(&b.to_string()));
            prop_assert!(a.begins_with(&text[..cut]));
            prop_assert_eq!(a.begins_with(&b.to_string()[..cut]), text[..cut] == b.to_string()[..cut]);
        }
    }
}
