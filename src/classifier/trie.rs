//! A persistent map from 64-bit keys: hashes, or numbers whose order counts.
//!
//! Five bits of the key, from the top, choose among up to 32 items of a node; a bitmap tells which are there, so a node
//! holds only those. An item is an entry or a further node, whose bitmap stands beside the pointer to its items: a
//! lookup touches one line for each level. In the order of the items the keys rise.
//!
//! The invariants:
//! - No node but the root is empty, and none but the root holds a single entry and nothing else: the shape depends on
//!   the keys alone, not on the order of changes.
//! - A change copies the nodes on the way to its key, and those only where they are shared.

use std::sync::Arc;

/// Bits of the key that one level uses.
const STEP: u32 = 5;

/// The map.
#[derive(Clone)]
pub(super) struct Trie<T> {
    root: Item<T>,
}

#[derive(Clone)]
enum Item<T> {
    Entry(u64, T),
    /// Which of the 32 places are taken, and the items that take them.
    Node(u32, Arc<[Item<T>]>),
}

impl<T> Default for Item<T> {
    fn default() -> Self {
        Self::Node(0, Arc::default())
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Item::default() }
    }
}

/// The place of `key` in a node that is reached by `depth` bits, as a bit.
#[inline(always)]
fn place(key: u64, depth: u32) -> u32 {
    1 << (key.wrapping_shl(depth) >> (u64::BITS - STEP))
}

/// How many items stand before the place `bit`.
#[inline(always)]
fn before(map: u32, bit: u32) -> usize {
    (map & (bit - 1)).count_ones() as usize
}

impl<T> Trie<T> {
    /// Whether there are no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_nothing()
    }

    /// The entry of a key.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<&T> {
        let mut item = &self.root;
        let mut depth = 0;
        loop {
            match item {
                Item::Entry(at, value) => return (*at == key).then_some(value),
                Item::Node(map, items) => {
                    let bit = place(key, depth);
                    if map & bit == 0 {
                        return None;
                    }
                    item = items.get(before(*map, bit))?;
                    depth += STEP;
                }
            }
        }
    }

    /// The entry of the greatest key.
    pub(super) fn last(&self) -> Option<(u64, &T)> {
        let mut item = &self.root;
        loop {
            match item {
                Item::Entry(key, value) => return Some((*key, value)),
                Item::Node(_, items) => item = items.last()?,
            }
        }
    }

    /// All entries, by rising key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let mut open: Vec<_> = vec![std::slice::from_ref(&self.root).iter()];
        std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    Some(Item::Entry(key, value)) => return Some((*key, value)),
                    Some(Item::Node(_, items)) => open.push(items.iter()),
                    None => _ = open.pop(),
                }
            }
        })
    }
}

impl<T: Clone> Trie<T> {
    /// Hands the entry of a key to `change`, which may fill it, change it or take it.
    pub(super) fn alter<R>(&mut self, key: u64, change: impl FnOnce(&mut Option<T>) -> R) -> R {
        self.root.alter(key, 0, change)
    }
}

impl<T> Item<T> {
    fn is_nothing(&self) -> bool {
        matches!(self, Item::Node(0, _))
    }
}

impl<T: Clone> Item<T> {
    fn alter<R>(&mut self, key: u64, depth: u32, change: impl FnOnce(&mut Option<T>) -> R) -> R {
        match self {
            Item::Entry(at, _) if *at == key => {
                let mut value = match std::mem::take(self) {
                    Item::Entry(_, value) => Some(value),
                    Item::Node(..) => None,
                };
                let result = change(&mut value);
                if let Some(value) = value {
                    *self = Item::Entry(key, value);
                }
                result
            }
            Item::Entry(at, _) => {
                let at = *at;
                let mut value = None;
                let result = change(&mut value);
                if let Some(value) = value {
                    *self = std::mem::take(self).beside(at, Item::Entry(key, value), key, depth);
                }
                result
            }
            Item::Node(map, items) => {
                let bit = place(key, depth);
                let index = before(*map, bit);
                if *map & bit == 0 {
                    let mut value = None;
                    let result = change(&mut value);
                    if let Some(value) = value {
                        let entry = Item::Entry(key, value);
                        if *map == 0 && depth == 0 {
                            *self = entry;
                        } else {
                            *map |= bit;
                            with(items, index, entry);
                        }
                    }
                    return result;
                }
                let mut child = Arc::make_mut(items).get_mut(index).map(std::mem::take).unwrap_or_default();
                let result = child.alter(key, depth + STEP, change);
                if child.is_nothing() {
                    *map &= !bit;
                    without(items, index);
                } else if let Some(place) = Arc::make_mut(items).get_mut(index) {
                    *place = child;
                }
                self.fold();
                result
            }
        }
    }

    /// A node of this entry of key `own` and another.
    fn beside(self, own: u64, other: Self, key: u64, depth: u32) -> Self {
        let (mine, theirs) = (place(own, depth), place(key, depth));
        if mine == theirs {
            return Item::Node(mine, Arc::from([self.beside(own, other, key, depth + STEP)]));
        }
        let items = if mine < theirs { [self, other] } else { [other, self] };
        Item::Node(mine | theirs, Arc::from(items))
    }

    /// A node of a single entry becomes that entry.
    fn fold(&mut self) {
        if let Item::Node(_, items) = self
            && let [Item::Entry(..)] = &**items
        {
            let only = Arc::make_mut(items).first_mut().map(std::mem::take);
            *self = only.unwrap_or_default();
        }
    }
}

/// Puts an item in before `index`.
fn with<T: Clone>(items: &mut Arc<[Item<T>]>, index: usize, item: Item<T>) {
    let (head, tail) = Arc::make_mut(items).split_at_mut_checked(index).unwrap_or_default();
    let (head, tail) = (head.iter_mut().map(std::mem::take), tail.iter_mut().map(std::mem::take));
    *items = head.chain(std::iter::once(item)).chain(tail).collect();
}

/// Takes the item at `index` out.
fn without<T: Clone>(items: &mut Arc<[Item<T>]>, index: usize) {
    let (head, tail) = Arc::make_mut(items).split_at_mut_checked(index).unwrap_or_default();
    let tail = tail.get_mut(1..).unwrap_or_default();
    *items = head.iter_mut().chain(tail).map(std::mem::take).collect();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Keys that share many bits at the top, at the bottom, or all.
    fn key() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..8, (0u64..8).prop_map(|n| n << 61), (0u64..40).prop_map(|n| n << 30), any::<u64>()]
    }

    fn shape_is_right<T>(item: &Item<T>, is_root: bool) {
        if let Item::Node(map, items) = item {
            assert_eq!(map.count_ones() as usize, items.len());
            assert!(is_root || !items.is_empty());
            assert!(!matches!(&**items, [Item::Entry(..)]));
            items.iter().for_each(|item| shape_is_right(item, false));
        }
    }

    fn agree(trie: &Trie<u32>, oracle: &BTreeMap<u64, u32>, probes: &[u64]) {
        shape_is_right(&trie.root, true);
        assert!(trie.iter().eq(oracle.iter().map(|(key, value)| (*key, value))));
        assert_eq!(trie.last(), oracle.last_key_value().map(|(key, value)| (*key, value)));
        assert_eq!(trie.is_empty(), oracle.is_empty());
        for key in probes.iter().chain(oracle.keys()) {
            assert_eq!(trie.get(*key), oracle.get(key));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_an_ordered_map_after_every_change(
            changes in proptest::collection::vec((key(), proptest::option::of(0u32..9), any::<bool>()), 1..60),
            probes in proptest::collection::vec(key(), 8),
        ) {
            let (mut trie, mut oracle) = (Trie::default(), BTreeMap::new());
            let mut kept = Vec::new();
            for (key, value, keep) in changes {
                if keep {
                    kept.push((trie.clone(), oracle.clone()));
                }
                let old = trie.alter(key, |entry| std::mem::replace(entry, value));
                prop_assert_eq!(old, match value {
                    Some(value) => oracle.insert(key, value),
                    None => oracle.remove(&key),
                });
                agree(&trie, &oracle, &probes);
            }
            kept.iter().for_each(|(trie, oracle)| agree(trie, oracle, &probes));
        }
    }

    #[test]
    fn an_item_takes_three_words() {
        assert_eq!(size_of::<Item<Arc<u32>>>(), 24);
        assert_eq!(size_of::<Item<u64>>(), 24);
    }
}
