//! A match: the bits of a key that are asked for.

use crate::packet::{Field, FlowKey, FlowMask};

/// What a flow matches: `key` on the bits of `mask`. `key` is zero outside `mask`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Match {
    /// Values.
    pub key: FlowKey,
    /// Which bits count.
    pub mask: FlowMask,
}

impl Match {
    /// Adds `field & mask == value & mask`, over what was asked of those bits before.
    pub fn set_masked(&mut self, field: Field, value: u128, mask: u128) {
        self.key.set_masked(field, value, mask);
        self.mask.set(field, self.mask.get(field) | (mask & field.all_ones()));
    }

    /// Adds `field == value`.
    pub fn set(&mut self, field: Field, value: u128) {
        self.set_masked(field, value, field.all_ones());
    }

    /// Whether a packet with that key meets this match.
    #[inline]
    pub fn matches(&self, key: &FlowKey) -> bool {
        self.key.eq_masked(key, &self.mask)
    }

    /// Whether every packet that meets this match meets `other` too: this is as narrow or narrower.
    pub fn is_within(&self, other: &Match) -> bool {
        self.mask.covers(&other.mask) && self.key.eq_masked(&other.key, &other.mask)
    }

    /// Whether some packet could meet both.
    pub fn overlaps(&self, other: &Match) -> bool {
        let mut both = FlowMask::default();
        let masks = self.mask.words().iter().zip(other.mask.words());
        for (word, (a, b)) in both.words_mut().iter_mut().zip(masks) {
            *word = a & b;
        }
        self.key.eq_masked(&other.key, &both)
    }
}
