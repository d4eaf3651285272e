//! Lists that many megaflows share: each is kept once and counted.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

use crate::classifier::cache::Buckets;

/// Room is none or a power of two; there are so many sizes.
const CLASSES: usize = 15;
/// No entry.
const NONE: u32 = u32::MAX;

struct Entry {
    /// First item.
    at: u32,
    /// Items of the list.
    len: u16,
    class: u8,
    /// Who uses it; a free entry keeps its items for a list of the same class.
    users: u32,
    /// The next free entry of the class.
    next: u32,
}

/// Lists of `T` by number. All memory is set aside at first; where it is used up, nothing more is taken in.
pub struct Interner<T> {
    items: Vec<T>,
    entries: Vec<Entry>,
    free: [u32; CLASSES],
    index: Buckets,
    hasher: FixedState,
    max: usize,
    used: usize,
}

impl<T: Copy + Eq + Hash> Interner<T> {
    /// For at most `lists` lists of `items` items in all.
    pub fn new(lists: usize, items: usize, seed: u64) -> Self {
        Self {
            items: Vec::with_capacity(items),
            entries: Vec::with_capacity(lists),
            free: [NONE; CLASSES],
            index: Buckets::new(lists),
            hasher: FixedState::with_seed(seed),
            max: lists,
            used: 0,
        }
    }

    /// The list of a number.
    #[inline]
    pub fn get(&self, number: u32) -> &[T] {
        let list = |entry: &Entry| {
            let at = entry.at as usize;
            self.items.get(at..at + usize::from(entry.len))
        };
        self.entries.get(number as usize).and_then(list).unwrap_or_default()
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Bytes set aside.
    pub fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.index.bytes()
    }

    /// The number of a list, which has one user more now. None if there is no room left.
    pub fn intern(&mut self, list: &[T]) -> Option<u32> {
        let hash = self.hasher.hash_one(list);
        if let Some(number) = self.index.find(hash, |number| self.get(number) == list && self.is_used(number))
        {
            let entry = self.entries.get_mut(number as usize)?;
            entry.users = entry.users.checked_add(1)?;
            return Some(number);
        }
        let class = match list.len() {
            0 => 0,
            len => 1 + len.next_power_of_two().trailing_zeros() as usize,
        };
        let len = u16::try_from(list.len()).ok()?;
        let number = self.take(class, list.last())?;
        if !self.index.insert(hash, number) {
            self.give_back(number);
            return None;
        }
        let entry = self.entries.get_mut(number as usize)?;
        (entry.len, entry.users) = (len, 1);
        let at = entry.at as usize;
        self.used += 1;
        self.items.get_mut(at..at + list.len())?.copy_from_slice(list);
        Some(number)
    }

    /// How many users a list has.
    pub fn users(&self, number: u32) -> u32 {
        self.entries.get(number as usize).map_or(0, |entry| entry.users)
    }

    /// One user less; without any the list is forgotten. True if it was.
    pub fn release(&mut self, number: u32) -> bool {
        let Some(entry) = self.entries.get_mut(number as usize) else { return false };
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 {
            return false;
        }
        let hash = self.hasher.hash_one(self.get(number));
        self.index.remove(hash, number);
        self.used -= 1;
        self.give_back(number);
        if self.used == 0 {
            // Nobody knows a number: the room can be divided anew.
            self.entries.clear();
            self.items.clear();
            self.free = [NONE; CLASSES];
        }
        true
    }

    fn is_used(&self, number: u32) -> bool {
        self.entries.get(number as usize).is_some_and(|entry| entry.users > 0)
    }

    /// An entry with room for a list of that class: a free one, a new one, a free one with more room, or one that has
    /// too little and gets other room, which is lost until all are gone. `filler` is one of the items, if there are any.
    fn take(&mut self, class: usize, filler: Option<&T>) -> Option<u32> {
        if *self.free.get(class)? != NONE {
            return self.pop(class);
        }
        let (at, room) = (self.items.len(), (1usize << class) / 2);
        let fits = self.items.capacity() - at >= room;
        let is_full = self.entries.len() == self.max;
        if is_full || !fits {
            let larger = (class + 1..CLASSES).find_map(|class| self.pop(class));
            if larger.is_some() || !fits {
                return larger;
            }
        }
        let new = Entry { at: at as u32, len: 0, class: class as u8, users: 0, next: NONE };
        let number = if is_full {
            let smaller = (0..class).find_map(|class| self.pop(class))?;
            *self.entries.get_mut(smaller as usize)? = new;
            smaller
        } else {
            self.entries.push(new);
            self.entries.len() as u32 - 1
        };
        // Every item has to be one, so they are copies of something at first.
        if let Some(filler) = filler {
            self.items.resize(at + room, *filler);
        }
        Some(number)
    }

    /// The first free entry of a class, which is no longer free.
    fn pop(&mut self, class: usize) -> Option<u32> {
        let first = self.free.get_mut(class)?;
        let number = *first;
        *first = self.entries.get(number as usize)?.next;
        Some(number)
    }

    fn give_back(&mut self, number: u32) {
        if let Some(entry) = self.entries.get_mut(number as usize)
            && let Some(first) = self.free.get_mut(usize::from(entry.class))
        {
            entry.next = std::mem::replace(first, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map of lists to how often they were taken in.
        #[test]
        fn equal_lists_share_a_number_and_are_kept_as_long_as_they_have_users(
            steps in prop::collection::vec((prop::collection::vec(0u8..3, 0..6), any::<bool>()), 1..200),
        ) {
            let mut interner = Interner::new(64, 256, 7);
            let mut model: HashMap<Vec<u8>, (u32, u32)> = HashMap::new();
            for (list, add) in steps {
                if add {
                    if let Some(number) = interner.intern(&list) {
                        let known = model.entry(list.clone()).or_insert((number, 0));
                        prop_assert_eq!(known.0, number);
                        known.1 += 1;
                    } else {
                        prop_assert!(!model.contains_key(&list));
                    }
                } else if let Some((number, users)) = model.get_mut(&list) {
                    *users -= 1;
                    let gone = *users == 0;
                    prop_assert_eq!(interner.release(*number), gone);
                    if gone {
                        model.remove(&list);
                    }
                }
                prop_assert_eq!(interner.len(), model.len());
                for (list, (number, _)) in &model {
                    prop_assert_eq!(interner.get(*number), list.as_slice());
                }
            }
        }
    }

    #[test]
    fn a_full_interner_takes_nothing_in_and_room_comes_back() {
        let mut interner = Interner::new(2, 64, 7);
        let (a, b) = (interner.intern(&[1, 2]).unwrap(), interner.intern(&[3]).unwrap());
        assert_eq!(interner.intern(&[4]), None);
        assert!(interner.release(b));
        assert_eq!(interner.intern(&[5]), Some(b));
        assert_eq!((interner.get(a), interner.get(b)), ([1, 2].as_slice(), [5].as_slice()));
        let mut small = Interner::new(8, 2, 7);
        assert_eq!(small.intern(&[1, 2, 3]), None);
        assert!(small.intern(&[1, 2]).is_some());
        assert_eq!(small.intern(&[3]), None);
    }

    /// Whatever the lists of the past looked like.
    #[test]
    fn the_room_of_lists_that_are_gone_serves_lists_of_another_length() {
        for kept in [false, true] {
            let mut interner = Interner::new(4, 64, 7);
            let kept = kept.then(|| interner.intern(&[99]).unwrap());
            for len in [1, 2, 4, 1, 8, 0, 2, 3] {
                let lists = [1, 2, 3].map(|n| vec![n; len]);
                let numbers: Vec<_> = lists.iter().map(|list| interner.intern(list)).collect();
                for (list, number) in lists.iter().zip(&numbers) {
                    assert_eq!(number.map(|number| interner.get(number)), Some(list.as_slice()), "{len}");
                }
                for number in numbers {
                    interner.release(number.unwrap());
                }
                assert!(kept.is_none_or(|kept| interner.get(kept) == [99]));
            }
        }
    }
}
