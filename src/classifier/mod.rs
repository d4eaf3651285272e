//! Tuple-space search over [`FlowKey`]s: which of many prioritised matches does a key meet?
//!
//! Matches with the same mask share a *subtable*, a hash map from the masked words of a key to the entries of that
//! key, best first. A lookup probes the subtables in the order of the best entry each could hold and stops as soon as
//! what it has found beats all that is left.
//!
//! The invariants:
//! - The answer is the matching entry of the greatest priority and, among equal priorities, the one that was inserted
//!   first. An entry that is replaced (same match, same priority) keeps its place in that order.
//! - The structure is persistent: a clone shares everything with its origin, and a change copies the list of subtables
//!   (three words each), one subtable's head and one path in its map. Changes to what nobody shares happen in place.
//! - A lookup does not allocate, and whatever it read is reported to its [`Wildcards`]: every key that agrees on those
//!   bits gets the same answer.

mod matcher;
mod subtable;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::packet::key::KEY_WORDS;
use crate::packet::{Field, FlowKey, FlowMask};
pub use matcher::Match;
use subtable::Subtable;

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
    table: Arc<Subtable<V>>,
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self { bound: self.bound, mask_hash: self.mask_hash, table: Arc::clone(&self.table) }
    }
}

/// A persistent set of prioritised matches, each with a value.
pub struct Classifier<V> {
    /// By falling bound; none is empty.
    slots: Arc<Vec<Slot<V>>>,
    next_order: u64,
    len: usize,
}

impl<V> Clone for Classifier<V> {
    fn clone(&self) -> Self {
        Self { slots: Arc::clone(&self.slots), next_order: self.next_order, len: self.len }
    }
}

impl<V> Default for Classifier<V> {
    fn default() -> Self {
        Self { slots: Arc::default(), next_order: 0, len: 0 }
    }
}

impl<V> Classifier<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many different masks there are: the most that a lookup probes.
    pub fn subtables(&self) -> usize {
        self.slots.len()
    }
}

impl<V: Clone> Classifier<V> {
    /// The best entry that `key` meets. `wild` learns which bits of the key decided that.
    #[inline]
    pub fn lookup<W: Wildcards>(&self, key: &FlowKey, wild: &mut W) -> Option<&V> {
        let mut scratch = [0; KEY_WORDS];
        let mut best: Option<(Rank, &V)> = None;
        for slot in self.slots.iter() {
            if best.is_some_and(|(rank, _)| rank >= slot.bound) {
                break;
            }
            if let Some(found) = slot.table.lookup(key, &mut scratch, wild)
                && best.is_none_or(|(rank, _)| found.0 > rank)
            {
                best = Some(found);
            }
        }
        best.map(|(_, value)| value)
    }

    /// The entry with exactly that match and priority.
    pub fn get(&self, priority: u16, matcher: &Match) -> Option<&V> {
        let slot = self.slots.get(self.position(&matcher.mask)?)?;
        slot.table.get(priority, &matcher.key)
    }

    /// Adds an entry; the value that stood at that match and priority is returned, and its place is taken over.
    pub fn insert(&mut self, priority: u16, matcher: &Match, value: V) -> Option<V> {
        let order = self.next_order;
        let slots = Arc::make_mut(&mut self.slots);
        let mask_hash = subtable::hash_mask(&matcher.mask);
        let found = slots.iter().position(|s| s.mask_hash == mask_hash && *s.table.mask() == matcher.mask);
        let at = found.unwrap_or_else(|| {
            let table = Arc::new(Subtable::new(matcher.mask));
            slots.push(Slot { bound: Rank(0), mask_hash, table });
            slots.len() - 1
        });
        let slot = slots.get_mut(at)?;
        let old = Arc::make_mut(&mut slot.table).insert(priority, order, &matcher.key, value);
        self.next_order += 1;
        if old.is_none() {
            self.len += 1;
            slot.bound = slot.table.bound();
            Self::settle(slots, at);
        }
        old
    }

    /// Takes the entry with exactly that match and priority out.
    pub fn remove(&mut self, priority: u16, matcher: &Match) -> Option<V> {
        let at = self.position(&matcher.mask)?;
        self.slots.get(at)?.table.get(priority, &matcher.key)?;
        let slots = Arc::make_mut(&mut self.slots);
        let slot = slots.get_mut(at)?;
        let old = Arc::make_mut(&mut slot.table).remove(priority, &matcher.key);
        self.len -= usize::from(old.is_some());
        if slot.table.is_empty() {
            slots.remove(at);
        } else {
            slot.bound = slot.table.bound();
            Self::settle(slots, at);
        }
        old
    }

    /// All entries with their ranks, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Rank, &V)> {
        self.slots.iter().flat_map(|slot| slot.table.iter())
    }

    /// The entries that only keys within `matcher` can meet ("loose" matching of OpenFlow), in no order.
    pub fn within(&self, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let slots = self.slots.iter().filter(|slot| slot.table.mask().covers(&matcher.mask));
        slots.flat_map(|slot| slot.table.iter_where(matcher))
    }

    /// The entries of that priority that share a key with `matcher`, in no order.
    pub fn overlapping(&self, priority: u16, matcher: &Match) -> impl Iterator<Item = (Rank, &V)> {
        let slots = self.slots.iter().filter(move |slot| slot.table.has_priority(priority));
        slots
            .flat_map(|slot| slot.table.iter_where(matcher))
            .filter(move |(rank, _)| rank.priority() == priority)
    }

    fn position(&self, mask: &FlowMask) -> Option<usize> {
        let hash = subtable::hash_mask(mask);
        self.slots.iter().position(|slot| slot.mask_hash == hash && slot.table.mask() == mask)
    }

    /// Moves the one slot whose bound has changed to where it belongs.
    fn settle(slots: &mut [Slot<V>], mut at: usize) {
        while at > 0 && slots[at - 1].bound < slots[at].bound {
            slots.swap(at - 1, at);
            at -= 1;
        }
        while at + 1 < slots.len() && slots[at + 1].bound > slots[at].bound {
            slots.swap(at, at + 1);
            at += 1;
        }
    }
}
