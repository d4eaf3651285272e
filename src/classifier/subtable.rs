//! All entries of one mask.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use smallvec::SmallVec;

use super::{Match, Rank, Wildcards};
use crate::packet::key::KEY_WORDS;
use crate::packet::{FlowKey, FlowMask};

/// Hashes masks and masked keys. Not seeded by chance: whoever chooses packets does not choose what is stored.
fn hasher() -> FixedState {
    FixedState::with_seed(0x6d69_6c6c_7261_6365)
}

/// Tells masks apart without touching them; equal hashes still need a comparison.
pub(super) fn hash_mask(mask: &FlowMask) -> u64 {
    hasher().hash_one(mask)
}

/// The entries of one masked key, best first. Nearly always one.
type Bucket<V> = SmallVec<[(Rank, V); 1]>;

#[derive(Clone)]
pub(super) struct Subtable<V> {
    mask: FlowMask,
    /// The words of the mask that are not zero: index and mask. Only these are hashed and compared.
    words: SmallVec<[(u8, u64); 8]>,
    map: HashTrieMapSync<Box<[u64]>, Bucket<V>, FixedState>,
    /// Of each priority: how many entries have it, and a rank that none of them exceeds.
    priorities: RedBlackTreeMapSync<u16, (usize, Rank)>,
}

impl<V: Clone> Subtable<V> {
    pub(super) fn new(mask: FlowMask) -> Self {
        let words =
            (0u8..).zip(mask.words()).filter(|(_, mask)| **mask != 0).map(|(i, mask)| (i, *mask)).collect();
        let map = HashTrieMapSync::new_with_hasher_and_ptr_kind(hasher());
        Self { mask, words, map, priorities: RedBlackTreeMapSync::new_sync() }
    }

    pub(super) fn mask(&self) -> &FlowMask {
        &self.mask
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub(super) fn has_priority(&self, priority: u16) -> bool {
        self.priorities.contains_key(&priority)
    }

    /// No entry ranks above this.
    pub(super) fn bound(&self) -> Rank {
        self.priorities.last().map_or(Rank(0), |(_, (_, rank))| *rank)
    }

    /// The best entry of `key`; `scratch` is overwritten.
    #[inline]
    pub(super) fn lookup<W: Wildcards>(
        &self,
        key: &FlowKey,
        scratch: &mut [u64; KEY_WORDS],
        wild: &mut W,
    ) -> Option<(Rank, &V)> {
        for (out, (word, mask)) in scratch.iter_mut().zip(&self.words) {
            let word = usize::from(*word);
            *out = key.words().get(word).map_or(0, |value| value & mask);
            wild.read(word, *mask);
        }
        let bucket = self.map.get(scratch.get(..self.words.len())?)?;
        bucket.first().map(|(rank, value)| (*rank, value))
    }

    pub(super) fn get(&self, priority: u16, key: &FlowKey) -> Option<&V> {
        let bucket = self.map.get(&*self.masked(key))?;
        bucket.iter().find(|(rank, _)| rank.priority() == priority).map(|(_, value)| value)
    }

    /// A replaced entry keeps its rank; else the new one is ranked by `order`.
    pub(super) fn insert(&mut self, priority: u16, order: u64, key: &FlowKey, value: V) -> Option<V> {
        let masked = self.masked(key);
        let rank = Rank::new(priority, order);
        match self.map.get_mut(&*masked) {
            Some(bucket) => {
                if let Some((_, old)) = bucket.iter_mut().find(|(rank, _)| rank.priority() == priority) {
                    return Some(std::mem::replace(old, value));
                }
                let at = bucket.partition_point(|(other, _)| *other > rank);
                bucket.insert(at, (rank, value));
            }
            None => self.map.insert_mut(masked, Bucket::from_iter([(rank, value)])),
        }
        match self.priorities.get_mut(&priority) {
            Some((count, _)) => *count += 1,
            None => self.priorities.insert_mut(priority, (1, rank)),
        }
        None
    }

    pub(super) fn remove(&mut self, priority: u16, key: &FlowKey) -> Option<V> {
        let masked = self.masked(key);
        let bucket = self.map.get_mut(&*masked)?;
        let at = bucket.iter().position(|(rank, _)| rank.priority() == priority)?;
        let (_, old) = bucket.remove(at);
        if bucket.is_empty() {
            self.map.remove_mut(&*masked);
        }
        let (count, _) = self.priorities.get_mut(&priority)?;
        *count -= 1;
        if *count == 0 {
            self.priorities.remove_mut(&priority);
        }
        Some(old)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Rank, &V)> {
        self.map.values().flatten().map(|(rank, value)| (*rank, value))
    }

    /// The entries whose key equals that of `matcher` wherever both masks have a bit.
    pub(super) fn iter_where(&self, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let wanted: SmallVec<[(u64, u64); 8]> = self
            .words
            .iter()
            .map(|(word, mask)| {
                let word = usize::from(*word);
                let both = mask & matcher.mask.words()[word];
                (matcher.key.words()[word] & both, both)
            })
            .collect();
        let agrees =
            move |key: &[u64]| key.iter().zip(&wanted).all(|(word, (want, both))| word & both == *want);
        let buckets = self.map.iter().filter(move |(key, _)| agrees(key));
        buckets.flat_map(|(_, bucket)| bucket.iter().map(|(rank, value)| (*rank, value)))
    }

    fn masked(&self, key: &FlowKey) -> Box<[u64]> {
        self.words.iter().map(|(word, mask)| key.words()[usize::from(*word)] & mask).collect()
    }
}
