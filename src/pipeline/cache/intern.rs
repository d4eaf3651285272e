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

    /// Numbers are below this.
    pub fn end(&self) -> usize {
        self.entries.len()
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
        let first_free = *self.free.get(class)?;
        let number = if first_free == NONE { self.entries.len() as u32 } else { first_free };
        if !self.index.insert(hash, number) {
            return None;
        }
        if self.place(number, class, list).is_none() {
            self.index.remove(hash, number);
            return None;
        }
        let entry = self.entries.get_mut(number as usize)?;
        (entry.len, entry.users) = (len, 1);
        self.used += 1;
        Some(number)
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
        if let Some(entry) = self.entries.get_mut(number as usize)
            && let Some(first) = self.free.get_mut(usize::from(entry.class))
        {
            entry.next = std::mem::replace(first, number);
        }
        true
    }

    fn is_used(&self, number: u32) -> bool {
        self.entries.get(number as usize).is_some_and(|entry| entry.users > 0)
    }

    /// Writes the items of an entry, which is the first free one of its class or a new one.
    fn place(&mut self, number: u32, class: usize, list: &[T]) -> Option<()> {
        if let Some(entry) = self.entries.get(number as usize) {
            let at = entry.at as usize;
            let next = entry.next;
            self.items.get_mut(at..at + list.len())?.copy_from_slice(list);
            *self.free.get_mut(class)? = next;
            return Some(());
        }
        let (at, room) = (self.items.len(), (1usize << class) / 2);
        if self.entries.len() == self.max || self.items.capacity() - at < room {
            return None;
        }
        self.items.extend_from_slice(list);
        // The rest of the room holds copies of something, since every item has to be one.
        if let Some(filler) = list.last() {
            self.items.resize(at + room, *filler);
        }
        self.entries.push(Entry { at: at as u32, len: 0, class: class as u8, users: 0, next: NONE });
        Some(())
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
}
