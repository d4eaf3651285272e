//! Tuple-space search over [`FlowKey`]s: which of many prioritised matches does a key meet?
//!
//! Matches with the same mask share a *subtable*, a hash trie from the masked words of a key to the entries of that
//! key, best first. A lookup probes the subtables in the order of the best entry each could hold and stops as soon as
//! what it has found beats all that is left. Most subtables it leaves early, having read little of the key:
//! - a subtable's words are read by [stage](crate::packet::key::Stage); after each but the last, a set of hashes tells
//!   whether any entry begins like the key;
//! - where addresses or ports are matched by a prefix, a trie of the whole table tells which prefix lengths the key can
//!   meet at all, from the few bits by which it leaves the trie;
//! - where the TTL is matched, a key with a greater one than every entry's passes by; where some entry has the greatest
//!   of all, the TTL is read behind everything else.
//!
//! The invariants:
//! - The answer is the matching entry of the greatest priority and, among equal priorities, the one that was inserted
//!   first. An entry that is replaced (same match, same priority) keeps its place in that order.
//! - The structure is persistent: a clone shares everything with its origin, and a change copies a chunk of the list of
//!   subtables, one subtable's head and one path in each of its tries. Changes to what nobody shares happen in place.
//! - A lookup does not allocate, and whatever it read is reported to its [`Wildcards`] before anything is decided by it:
//!   every key that agrees on those bits gets the same answer, and the same bits reported.

pub mod cache;
mod matcher;
mod prefix;
mod ranked;
mod shape;
mod subtable;
#[cfg(test)]
mod tests;
mod trie;
mod words;

use std::sync::Arc;

use crate::packet::{Field, FlowKey, FlowMask};
pub use matcher::Match;
use prefix::{Lengths, PREFIX_FIELDS, Prefix, PrefixTrie, Walks};

use ranked::{Ranked, Ranks};
use subtable::Subtable;
use trie::Trie;
pub use words::PackedMatch;

/// Where `nw_ttl` lies in the key.
const TTL_WORD: usize = Field::NwTtl.info().loc.word as usize;
const TTL_BITS: u64 = (Field::NwTtl.all_ones() as u64) << Field::NwTtl.info().loc.shift;

/// Collects the bits of the key that a lookup read. `()` collects nothing and costs nothing.
pub trait Wildcards {
    /// The bits of `bits` in the word at index `word` have been read.
    fn read(&mut self, word: usize, bits: u64);

    /// The lookup depended on `nw_ttl` being at least `ttl`, which it is. Who keeps no such guard has read the TTL.
    #[inline]
    fn ttl_at_least(&mut self, _ttl: u8) {
        self.read(TTL_WORD, TTL_BITS);
    }
}

impl Wildcards for () {
    #[inline(always)]
    fn read(&mut self, _word: usize, _bits: u64) {}

    #[inline(always)]
    fn ttl_at_least(&mut self, _ttl: u8) {}
}

impl Wildcards for FlowMask {
    #[inline]
    fn read(&mut self, word: usize, bits: u64) {
        if let Some(mask) = self.words.get_mut(word) {
            *mask |= bits;
        }
    }
}

/// Orders entries: the greater wins. The priority stands above the complement of the order of insertion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank(u64);

impl Rank {
    const ORDER_BITS: u32 = 48;
    const ORDER_MASK: u64 = (1 << Self::ORDER_BITS) - 1;

    fn new(priority: u16, order: u64) -> Self {
        Self(u64::from(priority) << Self::ORDER_BITS | (Self::ORDER_MASK - (order & Self::ORDER_MASK)))
    }

    /// The priority.
    pub fn priority(self) -> u16 {
        (self.0 >> Self::ORDER_BITS) as u16
    }
}

/// A place in the list of subtables. What a lookup needs to pass over a subtable stands here, not behind the pointer.
struct Slot<V> {
    /// No entry of the subtable ranks above this.
    bound: Rank,
    mask_hash: u64,
    prefixes: Lengths,
    table: Arc<Subtable<V>>,
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self { table: Arc::clone(&self.table), ..*self }
    }
}

impl<V> Ranks for Slot<V> {
    fn rank(&self) -> Rank {
        self.bound
    }
}

/// A persistent set of prioritised matches, each with a value.
pub struct Classifier<V> {
    state: Arc<State<V>>,
}

struct State<V> {
    /// By falling bound; none is empty.
    slots: Ranked<Slot<V>>,
    /// Where in the list a mask with that hash stood last. Of masks with equal hashes one is here, or none.
    bounds: Trie<Rank>,
    /// The prefixes of all entries.
    tries: [PrefixTrie; PREFIX_FIELDS],
    next_order: u64,
    len: usize,
}

impl<V> Clone for State<V> {
    fn clone(&self) -> Self {
        let (slots, bounds, tries) = (self.slots.clone(), self.bounds.clone(), self.tries.clone());
        Self { slots, bounds, tries, next_order: self.next_order, len: self.len }
    }
}

impl<V> Clone for Classifier<V> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<V> Default for Classifier<V> {
    fn default() -> Self {
        let (slots, bounds) = (Ranked::default(), Trie::default());
        let state = State { slots, bounds, tries: Default::default(), next_order: 0, len: 0 };
        Self { state: Arc::new(state) }
    }
}

impl<V> Classifier<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.state.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.state.len == 0
    }

    /// How many different masks there are: the most that a lookup probes.
    pub fn subtables(&self) -> usize {
        self.state.slots.len()
    }
}

impl<V: Clone> Classifier<V> {
    /// The best entry that `key` meets. `wild` learns which bits of the key decided that.
    #[inline]
    pub fn lookup<W: Wildcards>(&self, key: &FlowKey, wild: &mut W) -> Option<&V> {
        let state = &*self.state;
        let mut walks = Walks::default();
        let mut best: Option<(Rank, &V)> = None;
        for slot in state.slots.iter() {
            if best.is_some_and(|(rank, _)| rank >= slot.bound) {
                break;
            }
            if walks.exclude(&slot.prefixes) {
                continue;
            }
            if let Some(found) = slot.table.lookup(key, &state.tries, &mut walks, wild)
                && best.is_none_or(|(rank, _)| found.0 > rank)
            {
                best = Some(found);
            }
        }
        best.map(|(_, value)| value)
    }

    /// The best entry that `key` meets among those that `is_meant` accepts. It is shown every entry that is met and ranks
    /// above that one, in no order, and may be shown others.
    pub fn lookup_where<W: Wildcards>(
        &self,
        key: &FlowKey,
        wild: &mut W,
        mut is_meant: impl FnMut(Rank, &V) -> bool,
    ) -> Option<(Rank, &V)> {
        let state = &*self.state;
        let mut walks = Walks::default();
        let mut best: Option<(Rank, &V)> = None;
        for slot in state.slots.iter() {
            if best.is_some_and(|(rank, _)| rank >= slot.bound) {
                break;
            }
            if walks.exclude(&slot.prefixes) {
                continue;
            }
            let mut met = slot.table.lookup_all(key, &state.tries, &mut walks, wild);
            if let Some(found) = met.find(|(rank, value)| is_meant(*rank, value))
                && best.is_none_or(|(rank, _)| found.0 > rank)
            {
                best = Some(found);
            }
        }
        best
    }

    /// The entry with exactly that match and priority.
    pub fn get(&self, priority: u16, matcher: &Match) -> Option<&V> {
        self.slot(&matcher.mask)?.table.get(priority, &matcher.key)
    }

    /// Adds an entry; the value that stood at that match and priority is returned, and its place is taken over.
    pub fn insert(&mut self, priority: u16, matcher: &Match, value: V) -> Option<V> {
        let mask_hash = shape::hash_mask(&matcher.mask);
        let found = self.slot(&matcher.mask);
        let bound = found.map(|slot| slot.bound);
        let is_there = found.is_some_and(|slot| slot.table.get(priority, &matcher.key).is_some());
        let state = Arc::make_mut(&mut self.state);
        let is_meant = |slot: &Slot<V>| slot.is_of(mask_hash, &matcher.mask);
        if is_there {
            let slot = state.slots.get_mut(bound?, is_meant)?;
            return Arc::make_mut(&mut slot.table).replace(priority, &matcher.key, value);
        }
        let order = state.next_order;
        state.next_order += 1;
        state.len += 1;
        for prefix in Prefix::all_of(&matcher.mask) {
            if let Some(trie) = state.tries.get_mut(usize::from(prefix.field)) {
                trie.insert(prefix.bits_of(&matcher.key), prefix.len);
            }
        }
        match bound {
            Some(bound) if Rank::new(priority, order) <= bound => {
                let slot = state.slots.get_mut(bound, is_meant)?;
                Arc::make_mut(&mut slot.table).insert(priority, order, &matcher.key, value);
            }
            bound => {
                let slot = bound.and_then(|bound| state.slots.remove(bound, is_meant));
                let mut table =
                    slot.map_or_else(|| Arc::new(Subtable::new(&matcher.mask)), |slot| slot.table);
                Arc::make_mut(&mut table).insert(priority, order, &matcher.key, value);
                let prefixes = Prefix::lengths_of(&matcher.mask);
                state.place(Slot { bound: table.bound(), mask_hash, prefixes, table });
            }
        }
        None
    }

    /// Takes the entry with exactly that match and priority out.
    pub fn remove(&mut self, priority: u16, matcher: &Match) -> Option<V> {
        let slot = self.slot(&matcher.mask)?;
        slot.table.get(priority, &matcher.key)?;
        let (mask_hash, bound) = (slot.mask_hash, slot.bound);
        let state = Arc::make_mut(&mut self.state);
        let is_meant = |slot: &Slot<V>| slot.is_of(mask_hash, &matcher.mask);
        let slot = state.slots.get_mut(bound, is_meant)?;
        let table = Arc::make_mut(&mut slot.table);
        let old = table.remove(priority, &matcher.key);
        if table.is_empty() || table.bound() != bound {
            let slot = state.slots.remove(bound, is_meant)?;
            if slot.table.is_empty() {
                state.bounds.alter(mask_hash, |bound| *bound = None);
            } else {
                state.place(Slot { bound: slot.table.bound(), ..slot });
            }
        }
        state.len -= 1;
        for prefix in Prefix::all_of(&matcher.mask) {
            if let Some(trie) = state.tries.get_mut(usize::from(prefix.field)) {
                trie.remove(prefix.bits_of(&matcher.key), prefix.len);
            }
        }
        old
    }

    /// Some value of an entry that has this mask.
    pub fn any_with(&self, mask: &FlowMask) -> Option<&V> {
        self.slot(mask)?.table.iter().next().map(|(_, value)| value)
    }

    /// All entries with their ranks, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Rank, &V)> {
        self.state.slots.iter().flat_map(|slot| slot.table.iter())
    }

    /// The entries that only keys within `matcher` can meet ("loose" matching of OpenFlow), in no order.
    pub fn within(&self, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let slots = self.state.slots.iter().filter(|slot| slot.table.shape().covers(&matcher.mask));
        slots.flat_map(|slot| slot.table.iter_where(matcher))
    }

    /// The entries of that priority that share a key with `matcher`, in no order.
    pub fn overlapping(&self, priority: u16, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let slots = self.state.slots.iter().filter(move |slot| slot.table.has_priority(priority));
        slots
            .flat_map(|slot| slot.table.iter_where(matcher))
            .filter(move |(rank, _)| rank.priority() == priority)
    }

    fn slot(&self, mask: &FlowMask) -> Option<&Slot<V>> {
        let hash = shape::hash_mask(mask);
        let slots = &self.state.slots;
        let expected =
            self.state.bounds.get(hash).and_then(|bound| slots.get(*bound, |slot| slot.is_of(hash, mask)));
        expected.or_else(|| slots.iter().find(|slot| slot.is_of(hash, mask)))
    }
}

impl<V> State<V> {
    /// Puts a subtable where its bound belongs.
    fn place(&mut self, slot: Slot<V>) {
        self.bounds.alter(slot.mask_hash, |bound| *bound = Some(slot.bound));
        self.slots.insert(slot);
    }
}

impl<V> Slot<V> {
    fn is_of(&self, mask_hash: u64, mask: &FlowMask) -> bool {
        self.mask_hash == mask_hash && self.table.shape().is_of(mask)
    }
}
