//! How a lookup goes about one mask: which words it reads, in which stages, and what it may ask before.

use smallvec::SmallVec;

use super::prefix::Prefix;
use super::words::word_of;
use super::{TTL_BITS, TTL_WORD};
use crate::packet::key::Stage;
use crate::packet::{FlowKey, FlowMask};

/// How many stages there are.
pub(super) const STAGES: usize = Stage::ALL.len();

/// A word of the key, and which of its bits are matched.
pub(super) type MaskWord = (u8, u64);

/// A mask, in the order of a staged lookup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// The words that are matched, by stage, then by index.
    words: SmallVec<[MaskWord; 5]>,
    /// Where in `words` each stage ends.
    ends: [u8; STAGES],
    /// The last stage that has words.
    pub(super) last: u8,
    /// Whether `nw_ttl` is matched in all its bits.
    pub(super) has_ttl: bool,
    prefixes: SmallVec<[Prefix; 4]>,
    prefix_ends: [u8; STAGES],
}

/// The hashes of the words of one key, up to the end of each stage.
pub(super) type StageHashes = [u64; STAGES];

const SEED: u64 = 0x6d69_6c6c_7261_6365;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds a word to a hash: the product of 64 by 64 bits, folded. Not seeded by chance: whoever chooses packets does not
/// choose what is stored.
#[inline(always)]
fn fold(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(FACTOR);
    (product as u64) ^ (product >> 64) as u64
}

/// Tells masks apart without touching them; equal hashes still need a comparison.
pub(super) fn hash_mask(mask: &FlowMask) -> u64 {
    (0u64..).zip(mask.words()).filter(|(_, word)| **word != 0).fold(SEED, |hash, (at, word)| {
        let hash = fold(hash, at + 1);
        fold(hash, *word)
    })
}

impl Shape {
    pub(super) fn new(mask: &FlowMask) -> Self {
        let mut shape = Self {
            words: SmallVec::new(),
            ends: [0; STAGES],
            last: 0,
            has_ttl: mask.words().get(TTL_WORD).is_some_and(|word| word & TTL_BITS == TTL_BITS),
            prefixes: SmallVec::new(),
            prefix_ends: [0; STAGES],
        };
        for ((number, stage), (end, prefix_end)) in
            (0u8..).zip(Stage::ALL).zip(shape.ends.iter_mut().zip(&mut shape.prefix_ends))
        {
            let is_here = |word: u8| Stage::of_word(usize::from(word)) == stage;
            let before = shape.words.len();
            let words = (0u8..).zip(mask.words()).filter(|(at, word)| **word != 0 && is_here(*at));
            shape.words.extend(words.map(|(at, word)| (at, *word)));
            shape.prefixes.extend(Prefix::all_of(mask).filter(|prefix| is_here(prefix.word)));
            *end = shape.words.len() as u8;
            *prefix_end = shape.prefixes.len() as u8;
            if shape.words.len() > before {
                shape.last = number;
            }
        }
        shape
    }

    /// The words that are matched, by stage.
    #[inline(always)]
    pub(super) fn words(&self) -> &[MaskWord] {
        &self.words
    }

    /// Words and prefixes of each stage up to the last that has words.
    #[inline(always)]
    pub(super) fn stages(&self) -> impl Iterator<Item = (&[MaskWord], &[Prefix])> {
        let (mut start, mut prefix_start) = (0, 0);
        let ends = self.ends.iter().zip(&self.prefix_ends).take(usize::from(self.last) + 1);
        ends.map(move |(end, prefix_end)| {
            let (end, prefix_end) = (usize::from(*end), usize::from(*prefix_end));
            let words = self.words.get(start..end).unwrap_or_default();
            let prefixes = self.prefixes.get(prefix_start..prefix_end).unwrap_or_default();
            (start, prefix_start) = (end, prefix_end);
            (words, prefixes)
        })
    }

    /// Whether this is the shape of that mask.
    pub(super) fn is_of(&self, mask: &FlowMask) -> bool {
        let matched = mask.words().iter().filter(|word| **word != 0).count();
        let is_same = |(at, word): &MaskWord| mask.words().get(usize::from(*at)) == Some(word);
        matched == self.words.len() && self.words.iter().all(is_same)
    }

    /// Whether every bit of `mask` is matched here too.
    pub(super) fn covers(&self, mask: &FlowMask) -> bool {
        let all = self.words.iter().fold(*mask, |mut left, (at, word)| {
            if let Some(left) = left.words.get_mut(usize::from(*at)) {
                *left &= !word;
            }
            left
        });
        all.is_empty()
    }

    /// The matched words of a key.
    #[inline(always)]
    pub(super) fn masked<'a>(&'a self, key: &'a FlowKey) -> impl Iterator<Item = u64> + Clone + 'a {
        self.words.iter().map(|(at, mask)| word_of(key, *at) & mask)
    }

    /// The hash before any word.
    pub(super) const fn empty_hash() -> u64 {
        SEED
    }

    /// Adds words of a key to a hash.
    #[inline(always)]
    pub(super) fn hash_on(hash: u64, words: &[MaskWord], key: &FlowKey) -> u64 {
        words.iter().fold(hash, |hash, (at, mask)| fold(hash, word_of(key, *at) & mask))
    }

    /// The TTL as words of its own, where it is matched.
    pub(super) const TTL: [MaskWord; 1] = [(TTL_WORD as u8, TTL_BITS)];

    /// The bits of a word that are not the TTL's.
    pub(super) fn without_ttl(at: u8, mask: u64) -> u64 {
        if usize::from(at) == TTL_WORD { mask & !TTL_BITS } else { mask }
    }

    /// Adds words of a key to a hash, all but the TTL.
    pub(super) fn hash_on_without_ttl(hash: u64, words: &[MaskWord], key: &FlowKey) -> u64 {
        let masked = words.iter().map(|(at, mask)| word_of(key, *at) & Self::without_ttl(*at, *mask));
        masked.fold(hash, fold)
    }

    /// The hashes of a key at the end of each stage, without the TTL where that is matched; and that of all words, which
    /// tells entries apart.
    pub(super) fn hashes(&self, key: &FlowKey) -> (StageHashes, u64) {
        let mut hashes = [0; STAGES];
        let mut hash = Self::empty_hash();
        for (out, (words, _)) in hashes.iter_mut().zip(self.stages()) {
            hash = match self.has_ttl {
                true => Self::hash_on_without_ttl(hash, words, key),
                false => Self::hash_on(hash, words, key),
            };
            *out = hash;
        }
        if self.has_ttl {
            hash = Self::hash_on(hash, &Self::TTL, key);
        }
        (hashes, hash)
    }
}
