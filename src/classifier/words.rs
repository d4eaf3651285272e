//! The matched words of one key, without the rest of it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Match;
use crate::packet::{FlowKey, FlowMask};

/// Words beside a shape that tells where in the key they belong. As many as most matches have stand in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Words {
    Few(u8, [u64; FEW]),
    Many(Box<[u64]>),
}

const FEW: usize = 4;

impl Words {
    pub(super) fn new(words: impl Iterator<Item = u64> + Clone) -> Self {
        let count = words.clone().count();
        if count > FEW {
            return Words::Many(words.collect());
        }
        let mut few = [0; FEW];
        few.iter_mut().zip(words).for_each(|(out, word)| *out = word);
        Words::Few(count as u8, few)
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let words = match self {
            Words::Few(count, words) => words.get(..usize::from(*count)).unwrap_or_default(),
            Words::Many(words) => words,
        };
        words.iter().copied()
    }
}

/// The words of a mask that are not zero: index and bits.
pub(super) type Layout = SmallVec<[(u8, u64); 4]>;

/// A [`Match`] for keeping: only the words that are matched, beside a mask that all of the same shape can share.
#[derive(Clone, Debug)]
pub struct PackedMatch {
    layout: Arc<Layout>,
    words: Words,
}

impl PackedMatch {
    /// Packs a match, sharing the mask of another where it is the same.
    pub fn new(matcher: &Match, like: Option<&PackedMatch>) -> Self {
        let layout = (0u8..).zip(matcher.mask.words()).filter(|(_, bits)| **bits != 0);
        let layout: Layout = layout.map(|(at, bits)| (at, *bits)).collect();
        let words = Words::new(layout.iter().map(|(at, bits)| word_of(&matcher.key, *at) & bits));
        let shared = like.map(|like| &like.layout).filter(|other| ***other == layout);
        Self { layout: shared.map_or_else(|| Arc::new(layout), Arc::clone), words }
    }

    /// The match in full.
    pub fn unpack(&self) -> Match {
        let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
        for ((at, bits), word) in self.layout.iter().zip(self.words.iter()) {
            let at = usize::from(*at);
            if let (Some(key), Some(mask)) = (key.words.get_mut(at), mask.words.get_mut(at)) {
                (*key, *mask) = (word, *bits);
            }
        }
        Match { key, mask }
    }
}

impl From<&Match> for PackedMatch {
    fn from(matcher: &Match) -> Self {
        Self::new(matcher, None)
    }
}

/// That word of the key; zero where there is none.
#[inline(always)]
pub(super) fn word_of(key: &FlowKey, at: u8) -> u64 {
    key.words().get(usize::from(at)).copied().unwrap_or(0)
}
