//! All entries of one mask.

use std::sync::Arc;

use smallvec::SmallVec;

use super::prefix::{PREFIX_FIELDS, PrefixTrie, Walks};
use super::ranked::{Ranked, Ranks};
use super::shape::{STAGES, Shape};
use super::trie::Trie;
use super::words::Words;
use super::{Match, Rank, TTL_BITS, TTL_WORD, Wildcards};
use crate::packet::key::Stage;
use crate::packet::{Field, FlowKey, FlowMask};

/// One entry, and those behind it whose words have the same hash: of lesser priority, or strangers.
struct Entry<V> {
    rank: Rank,
    value: V,
    words: Words,
    /// Only the first has any. They rank below it.
    others: Ranked<Arc<Entry<V>>>,
}

impl<V: Clone> Clone for Entry<V> {
    fn clone(&self) -> Self {
        let (value, words, others) = (self.value.clone(), self.words.clone(), self.others.clone());
        Self { rank: self.rank, value, words, others }
    }
}

impl<V> Ranks for Arc<Entry<V>> {
    fn rank(&self) -> Rank {
        self.rank
    }
}

/// How many entries a priority has, and the order of the first that came: no entry of the priority ranks above that.
#[derive(Clone, Copy)]
struct Share(u64);

impl Share {
    /// Four million flows need 22 bits.
    const COUNT_BITS: u32 = 24;

    /// An order that does not fit counts as the first of all, which bounds it too.
    fn new(order: u64) -> Self {
        Self(order.checked_mul(1 << Self::COUNT_BITS).unwrap_or(0))
    }

    fn count(self) -> u64 {
        self.0 & ((1 << Self::COUNT_BITS) - 1)
    }

    fn bound(self, priority: u16) -> Rank {
        Rank::new(priority, self.0 >> Self::COUNT_BITS)
    }
}

/// Where a number stands in a trie that is searched for the greatest.
fn on_top<T: Into<u64>>(number: T) -> u64 {
    number.into() << (64 - 8 * size_of::<T>())
}

pub(super) struct Subtable<V> {
    shape: Shape,
    /// By the hash of all matched words.
    entries: Trie<Arc<Entry<V>>>,
    /// For each stage but the last that has words: the hashes of the words up to its end, and how many entries have them.
    /// Where the TTL is matched also for the last, for there the TTL comes behind all else.
    stages: [Trie<u32>; STAGES],
    priorities: Trie<Share>,
    /// Where the TTL is matched: how many entries have which.
    ttls: Trie<u32>,
}

impl<V> Clone for Subtable<V> {
    fn clone(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            entries: self.entries.clone(),
            stages: self.stages.clone(),
            priorities: self.priorities.clone(),
            ttls: self.ttls.clone(),
        }
    }
}

impl<V> Subtable<V> {
    pub(super) fn new(mask: &FlowMask) -> Self {
        Self {
            shape: Shape::new(mask),
            entries: Trie::default(),
            stages: Default::default(),
            priorities: Trie::default(),
            ttls: Trie::default(),
        }
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn has_priority(&self, priority: u16) -> bool {
        self.priorities.get(on_top(priority)).is_some()
    }

    /// No entry ranks above this.
    pub(super) fn bound(&self) -> Rank {
        self.priorities.last().map_or(Rank(0), |(key, share)| share.bound((key >> 48) as u16))
    }

    /// The best entry of `key`. Every decision rests on bits that have been reported before it.
    #[inline]
    pub(super) fn lookup<W: Wildcards>(
        &self,
        key: &FlowKey,
        tries: &[PrefixTrie; PREFIX_FIELDS],
        walks: &mut Walks,
        wild: &mut W,
    ) -> Option<(Rank, &V)> {
        let hash = self.descend(key, tries, walks, wild)?;
        self.best(hash, key).map(|entry| (entry.rank, &entry.value))
    }

    /// All entries of `key`, by falling rank. The same bits are reported as for the best.
    #[inline]
    pub(super) fn lookup_all<'a, W: Wildcards>(
        &'a self,
        key: &FlowKey,
        tries: &[PrefixTrie; PREFIX_FIELDS],
        walks: &mut Walks,
        wild: &mut W,
    ) -> impl Iterator<Item = (Rank, &'a V)> {
        let hash = self.descend(key, tries, walks, wild);
        let first = hash.and_then(|hash| self.entries.get(hash)).map(|first| &**first);
        let others = first.into_iter().flat_map(|first| first.others.iter()).map(|entry| &**entry);
        let met = first.into_iter().chain(others);
        let is_met = |entry: &&Entry<V>| entry.words.iter().eq(self.shape.masked(key));
        met.filter(is_met).map(|entry| (entry.rank, &entry.value))
    }

    /// The hash of all matched words of `key`, unless a stage tells that it meets no entry. Reports what was read.
    #[inline(always)]
    fn descend<W: Wildcards>(
        &self,
        key: &FlowKey,
        tries: &[PrefixTrie; PREFIX_FIELDS],
        walks: &mut Walks,
        wild: &mut W,
    ) -> Option<u64> {
        if self.shape.has_ttl {
            return self.descend_to_ttl(key, tries, walks, wild);
        }
        let mut hash = Shape::empty_hash();
        let last = usize::from(self.shape.last);
        for (stage, (words, prefixes)) in self.shape.stages().enumerate() {
            if !prefixes.iter().all(|prefix| walks.admits(*prefix, tries, key, wild)) {
                return None;
            }
            for (word, mask) in words {
                wild.read(usize::from(*word), *mask);
            }
            hash = Shape::hash_on(hash, words, key);
            if stage < last && !words.is_empty() {
                self.stages.get(stage)?.get(hash)?;
            }
        }
        Some(hash)
    }

    /// The same where the TTL is matched. A key with a greater one than every entry's passes by. Where none can have a greater
    /// one, the TTL is read behind all else: the entries are about neighbours, and other packets' TTLs are no concern of
    /// theirs.
    fn descend_to_ttl<W: Wildcards>(
        &self,
        key: &FlowKey,
        tries: &[PrefixTrie; PREFIX_FIELDS],
        walks: &mut Walks,
        wild: &mut W,
    ) -> Option<u64> {
        let greatest = self.ttls.last().map(|(greatest, _)| (greatest >> 56) as u8)?;
        let is_last = greatest == u8::MAX;
        let mut hash = Shape::empty_hash();
        for (stage, (words, prefixes)) in self.shape.stages().enumerate() {
            if stage == Stage::L3 as usize && !is_last {
                if ttl(key) > greatest {
                    wild.ttl_at_least(greatest.saturating_add(1));
                    return None;
                }
                wild.read(TTL_WORD, TTL_BITS);
            }
            if !prefixes.iter().all(|prefix| walks.admits(*prefix, tries, key, wild)) {
                return None;
            }
            for (word, mask) in words {
                wild.read(usize::from(*word), Shape::without_ttl(*word, *mask));
            }
            hash = Shape::hash_on_without_ttl(hash, words, key);
            if !words.is_empty() {
                self.stages.get(stage)?.get(hash)?;
            }
        }
        wild.read(TTL_WORD, TTL_BITS);
        Some(Shape::hash_on(hash, &Shape::TTL, key))
    }

    /// The best entry of a key that has that hash.
    #[inline]
    fn best(&self, hash: u64, key: &FlowKey) -> Option<&Entry<V>> {
        let first = &**self.entries.get(hash)?;
        let is_met = |entry: &&Entry<V>| entry.words.iter().eq(self.shape.masked(key));
        Some(first).filter(is_met).or_else(|| first.others.iter().map(|entry| &**entry).find(is_met))
    }

    pub(super) fn get(&self, priority: u16, key: &FlowKey) -> Option<&V> {
        self.find(self.shape.hashes(key).1, priority, key).map(|entry| &entry.value)
    }

    fn find(&self, hash: u64, priority: u16, key: &FlowKey) -> Option<&Entry<V>> {
        let first = self.entries.get(hash)?;
        let mut all = std::iter::once(first).chain(first.others.iter());
        all.find(|entry| entry.is(priority, self.shape.masked(key))).map(|entry| &**entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Rank, &V)> {
        self.all().map(|entry| (entry.rank, &entry.value))
    }

    fn all(&self) -> impl Iterator<Item = &Entry<V>> {
        let chains = self.entries.iter().map(|(_, first)| &**first);
        chains.flat_map(|first| std::iter::once(first).chain(first.others.iter().map(|entry| &**entry)))
    }

    /// The entries whose key equals that of `matcher` wherever both masks have a bit.
    pub(super) fn iter_where(&self, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let wanted: SmallVec<[(u64, u64); 8]> = (self.shape.words().iter())
            .map(|(word, mask)| {
                let word = usize::from(*word);
                let both = mask & matcher.mask.words()[word];
                (matcher.key.words()[word] & both, both)
            })
            .collect();
        let agrees = move |entry: &&Entry<V>| {
            entry.words.iter().zip(&wanted).all(|(word, (want, both))| word & both == *want)
        };
        self.all().filter(agrees).map(|entry| (entry.rank, &entry.value))
    }
}

impl<V: Clone> Subtable<V> {
    /// Gives the entry of that match and priority another value; it keeps its rank.
    pub(super) fn replace(&mut self, priority: u16, key: &FlowKey, value: V) -> Option<V> {
        let (_, hash) = self.shape.hashes(key);
        let rank = self.find(hash, priority, key)?.rank;
        let shape = &self.shape;
        self.entries.alter(hash, |slot| {
            let first = Arc::make_mut(slot.as_mut()?);
            if first.is(priority, shape.masked(key)) {
                return Some(std::mem::replace(&mut first.value, value));
            }
            let is_meant = |entry: &Arc<Entry<V>>| entry.is(priority, shape.masked(key));
            let entry = Arc::make_mut(first.others.get_mut(rank, is_meant)?);
            Some(std::mem::replace(&mut entry.value, value))
        })
    }

    /// Adds an entry whose match has none of that priority.
    pub(super) fn insert(&mut self, priority: u16, order: u64, key: &FlowKey, value: V) {
        let (hashes, hash) = self.shape.hashes(key);
        let rank = Rank::new(priority, order);
        let words = Words::new(self.shape.masked(key));
        let mut entry = Arc::new(Entry { rank, value, words, others: Ranked::default() });
        self.entries.alter(hash, |slot| {
            let Some(first) = slot else {
                *slot = Some(entry);
                return;
            };
            if first.rank < rank {
                if let Some(entry) = Arc::get_mut(&mut entry) {
                    entry.others = std::mem::take(&mut Arc::make_mut(first).others);
                }
                std::mem::swap(first, &mut entry);
            }
            Arc::make_mut(first).others.insert(entry);
        });
        self.count_stages(&hashes, true);
        self.priorities.alter(on_top(priority), |share| {
            share.get_or_insert(Share::new(order)).0 += 1;
        });
        if self.shape.has_ttl {
            self.ttls.alter(on_top(ttl(key)), |count| tally(count, true));
        }
    }

    pub(super) fn remove(&mut self, priority: u16, key: &FlowKey) -> Option<V> {
        let (hashes, hash) = self.shape.hashes(key);
        let rank = self.find(hash, priority, key)?.rank;
        let shape = &self.shape;
        let entry = self.entries.alter(hash, |slot| {
            let first = slot.as_mut()?;
            let is_meant = |entry: &Arc<Entry<V>>| entry.is(priority, shape.masked(key));
            if !is_meant(first) {
                return Arc::make_mut(first).others.remove(rank, is_meant);
            }
            let mut others = first.others.clone();
            let best = others.iter().next().map(|entry| entry.rank);
            let next = best.and_then(|rank| others.remove(rank, |_| true));
            let next = next.map(|mut next| {
                Arc::make_mut(&mut next).others = others;
                next
            });
            std::mem::replace(slot, next)
        })?;
        self.count_stages(&hashes, false);
        self.priorities.alter(on_top(priority), |share| {
            if let Some(share) = share {
                share.0 -= 1;
            }
            *share = share.filter(|share| share.count() > 0);
        });
        if self.shape.has_ttl {
            self.ttls.alter(on_top(ttl(key)), |count| tally(count, false));
        }
        Some(entry.value.clone())
    }

    fn count_stages(&mut self, hashes: &[u64; STAGES], is_more: bool) {
        let stages = usize::from(self.shape.last) + usize::from(self.shape.has_ttl);
        let stages = self.stages.iter_mut().zip(hashes).zip(self.shape.stages()).take(stages);
        for ((set, hash), _) in stages.filter(|(_, (words, _))| !words.is_empty()) {
            set.alter(*hash, |count| tally(count, is_more));
        }
    }
}

impl<V> Entry<V> {
    fn is(&self, priority: u16, words: impl Iterator<Item = u64>) -> bool {
        self.rank.priority() == priority && self.words.iter().eq(words)
    }
}

/// One more or one less of what is counted; nothing stands for none.
fn tally(count: &mut Option<u32>, is_more: bool) {
    let old = count.unwrap_or(0);
    let new = if is_more { old.saturating_add(1) } else { old.saturating_sub(1) };
    *count = (new > 0).then_some(new);
}

fn ttl(key: &FlowKey) -> u8 {
    key.get(Field::NwTtl) as u8
}
