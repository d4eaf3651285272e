//! A hash table of numbers: buckets of one cache line, two of them for every hash, in memory set aside at first.
//!
//! The buckets in use grow with the numbers, one at a time (linear hashing): few numbers stay in few cache lines, and no
//! insertion does the work of many. What is kept of a hash, its tag, says where it stands however many buckets are in use.

use wide::u32x8;

use crate::hint;

/// Places of a bucket.
const WAYS: usize = 7;
/// The tag of a place without a number.
const EMPTY: u32 = 0;
/// Numbers for every two buckets in use, before another comes into use. Those whose turn it is not yet hold up to twice
/// as many as those that were split already, and seldom overflow.
const LOAD_OF_TWO: usize = 5;
/// An empty table begins anew if it has no more buckets in use: emptying more would take a burst too long.
const SHORTEST: usize = 4096;
/// Buckets in use at first.
const FIRST: usize = 16;

/// Tags and numbers of one bucket. The eighth tag is no less than how many numbers stand in their second bucket because
/// this one was full.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u32; WAYS + 1],
    numbers: [u32; WAYS + 1],
}

impl Bucket {
    /// One bit for every place whose tag this is.
    #[inline(always)]
    fn candidates(&self, tag: u32) -> u32 {
        equal_lanes(&self.tags, tag) & ((1 << WAYS) - 1)
    }

    #[inline(always)]
    fn number(&self, way: u32) -> u32 {
        self.numbers[way as usize & WAYS]
    }

    #[inline(always)]
    fn overflowed(&self) -> u32 {
        self.tags[WAYS]
    }

    fn put(&mut self, tag: u32, number: u32) -> bool {
        let free = self.candidates(EMPTY);
        if free == 0 {
            return false;
        }
        let place = free.trailing_zeros() as usize & WAYS;
        (self.tags[place], self.numbers[place]) = (tag, number);
        true
    }

    fn take(&mut self, tag: u32, number: u32) -> bool {
        let mut places = self.tags.iter().zip(&self.numbers).take(WAYS);
        let place = places.position(|(own, other)| *own == tag && *other == number);
        let Some(place) = place.map(|place| place & WAYS) else { return false };
        self.tags[place] = EMPTY;
        true
    }
}

/// One bit for every lane that equals `value`.
#[inline(always)]
pub fn equal_lanes(lanes: &[u32; 8], value: u32) -> u32 {
    u32x8::from(*lanes).simd_eq(u32x8::splat(value)).to_bitmask()
}

/// What is kept of a hash. Never [`EMPTY`].
#[inline(always)]
fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The two places of a tag, among more buckets than there are: an odd distance apart, so that they stay apart among fewer.
#[inline(always)]
fn homes(tag: u32) -> (usize, usize) {
    let first = tag >> 1;
    let distance = (tag.wrapping_mul(0x9e37_79b1) >> 4) | 1;
    (first as usize, (first ^ distance) as usize)
}

/// A lookup that waits for its cache line.
#[derive(Clone, Copy, Default)]
pub struct Begun {
    first: u32,
    /// What is kept of the hash.
    pub tag: u32,
}

/// Numbers by hash. A lookup looks at one bucket, or at two where the first has overflowed.
pub struct Buckets {
    buckets: Box<[Bucket]>,
    /// Buckets in use; those behind hold nothing.
    used: usize,
    /// The greatest power of two that is not above `used`, less one.
    mask: usize,
    /// Numbers in the table.
    len: usize,
}

impl Buckets {
    /// With room for about that many numbers.
    pub fn new(numbers: usize) -> Self {
        let count = numbers.div_ceil(WAYS - 2).next_power_of_two().max(2);
        let used = FIRST.min(count);
        Self { buckets: hint::table(count), used, mask: used - 1, len: 0 }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// The bucket in use for one of the two homes of a tag.
    #[inline(always)]
    fn at(&self, home: usize) -> usize {
        let wide = home & (self.mask * 2 + 1);
        if wide < self.used { wide } else { home & self.mask }
    }

    /// Where a lookup of this hash begins, whose line is asked for.
    #[inline(always)]
    pub fn begin(&self, hash: u64) -> Begun {
        let tag = tag_of(hash);
        let first = self.at(homes(tag).0);
        if let Some(bucket) = self.buckets.get(first) {
            hint::prefetch(bucket);
        }
        Begun { first: first as u32, tag }
    }

    /// A number with that hash, most likely the one that is sought; the caller compares.
    #[inline(always)]
    pub fn guess(&self, begun: Begun) -> Option<u32> {
        let Begun { first, tag } = begun;
        let bucket = self.buckets.get(first as usize)?;
        let candidates = bucket.candidates(tag);
        if candidates != 0 {
            return Some(bucket.number(candidates.trailing_zeros()));
        }
        if bucket.overflowed() == 0 { None } else { self.guess_second(tag) }
    }

    #[cold]
    fn guess_second(&self, tag: u32) -> Option<u32> {
        let bucket = self.buckets.get(self.at(homes(tag).1))?;
        let candidates = bucket.candidates(tag);
        (candidates != 0).then(|| bucket.number(candidates.trailing_zeros()))
    }

    /// The number with that hash that `is_it` accepts.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.find_tag(tag_of(hash), is_it)
    }

    /// The same for a lookup that was begun.
    #[inline]
    pub fn find_tag(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (first, second) = homes(tag);
        for (home, last) in [(first, false), (second, true)] {
            let bucket = self.buckets.get(self.at(home))?;
            let mut candidates = bucket.candidates(tag);
            while candidates != 0 {
                let number = bucket.number(candidates.trailing_zeros());
                if is_it(number) {
                    return Some(number);
                }
                candidates &= candidates - 1;
            }
            if !last && bucket.overflowed() == 0 {
                return None;
            }
        }
        None
    }

    /// Puts a number in. False if both its buckets are full of numbers whose other buckets are full.
    #[must_use]
    pub fn insert(&mut self, hash: u64, number: u32) -> bool {
        if self.len * 2 >= self.used * LOAD_OF_TWO && self.used < self.buckets.len() {
            self.split();
        }
        let tag = tag_of(hash);
        let is_in = self.put(tag, number) || (self.make_way(tag) && self.put(tag, number));
        self.len += usize::from(is_in);
        is_in
    }

    /// The buckets in use of a tag: its first, and its second.
    #[inline(always)]
    fn both(&self, tag: u32) -> (usize, usize) {
        let (first, second) = homes(tag);
        (self.at(first), self.at(second))
    }

    fn put(&mut self, tag: u32, number: u32) -> bool {
        let (first, second) = self.both(tag);
        if self.buckets.get_mut(first).is_some_and(|bucket| bucket.put(tag, number)) {
            return true;
        }
        let is_in = self.buckets.get_mut(second).is_some_and(|bucket| bucket.put(tag, number));
        self.mark(first, i32::from(is_in));
        is_in
    }

    /// Changes how many numbers stand in their second bucket because this one was full.
    fn mark(&mut self, bucket: usize, by: i32) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.tags[WAYS] = bucket.tags[WAYS].saturating_add_signed(by);
        }
    }

    /// Moves one of those in the two full buckets of a tag to its other bucket. False if none has room there.
    fn make_way(&mut self, tag: u32) -> bool {
        let (first, second) = self.both(tag);
        for full in [first, second] {
            let Some(bucket) = self.buckets.get(full).copied() else { return false };
            for (tag, number) in bucket.tags.into_iter().zip(bucket.numbers).take(WAYS) {
                let (own, other) = self.both(tag);
                let to = if own == full { other } else { own };
                if self.buckets.get_mut(to).is_some_and(|bucket| bucket.put(tag, number)) {
                    self.mark(own, if own == full { 1 } else { -1 });
                    return self.buckets.get_mut(full).is_some_and(|bucket| bucket.take(tag, number));
                }
            }
        }
        false
    }

    /// Takes a number out that was put in with that hash. False if it is not there.
    pub fn remove(&mut self, hash: u64, number: u32) -> bool {
        let tag = tag_of(hash);
        let (first, second) = self.both(tag);
        if self.buckets.get_mut(first).is_some_and(|bucket| bucket.take(tag, number)) {
            self.shrunk();
            return true;
        }
        if !self.buckets.get_mut(second).is_some_and(|bucket| bucket.take(tag, number)) {
            return false;
        }
        self.mark(first, -1);
        self.shrunk();
        true
    }

    /// One number less. An empty table begins anew, with few buckets.
    fn shrunk(&mut self) {
        self.len -= 1;
        if self.len == 0 && self.used <= SHORTEST {
            self.buckets.iter_mut().take(self.used).for_each(|bucket| *bucket = Bucket::default());
            self.used = FIRST.min(self.buckets.len());
            self.mask = self.used - 1;
        }
    }

    /// Takes another bucket into use: it shares what the bucket half as far holds.
    fn split(&mut self) {
        let (from, to) = (self.used & self.mask, self.used);
        let Some(old) = self.buckets.get(from).copied() else { return };
        let (mut stays, mut goes) = (Bucket::default(), Bucket::default());
        // Which of the two buckets those in their second bucket will miss is not known: both remember them all.
        (stays.tags[WAYS], goes.tags[WAYS]) = (old.overflowed(), old.overflowed());
        for (tag, number) in old.tags.into_iter().zip(old.numbers).take(WAYS).filter(|(tag, _)| *tag != EMPTY)
        {
            let (first, second) = homes(tag);
            // Its two buckets differ in the lowest bit, so it is here by one of them.
            let home = if (first ^ from) & 1 == 0 { first } else { second };
            let side = if home & (self.mask * 2 + 1) == to { &mut goes } else { &mut stays };
            // As many fit as were there.
            let _ = side.put(tag, number);
        }
        for (at, bucket) in [(from, stays), (to, goes)] {
            if let Some(place) = self.buckets.get_mut(at) {
                *place = bucket;
            }
        }
        self.used += 1;
        if self.used == (self.mask + 1) * 2 {
            self.mask = self.mask * 2 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map: what is in is found, also while buckets come into use, and nothing else is.
        #[test]
        fn a_table_finds_what_is_in_it(
            room in 1usize..400,
            steps in proptest::collection::vec((0u64..300, any::<bool>()), 1..600),
        ) {
            let hash_of = |key: u64| (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut table = Buckets::new(room);
            let mut model = HashMap::new();
            for (key, adds) in steps {
                let hash = hash_of(key);
                if adds && !model.contains_key(&key) {
                    if table.insert(hash, key as u32) {
                        model.insert(key, key as u32);
                    } else {
                        prop_assert!(table.len >= WAYS * 2, "refused with {} in it", table.len);
                    }
                } else if !adds {
                    prop_assert_eq!(table.remove(hash, key as u32), model.remove(&key).is_some());
                }
                prop_assert_eq!(table.len, model.len());
            }
            for key in 0..300 {
                let found = table.find(hash_of(key), |number| number == key as u32);
                prop_assert_eq!(found, model.get(&key).copied());
                if let Some(number) = model.get(&key) {
                    prop_assert_eq!(table.guess(table.begin(hash_of(key))), Some(*number));
                }
            }
        }
    }

    #[test]
    fn it_takes_all_that_there_should_be_room_for() {
        let room = 1 << 14;
        let mut table = Buckets::new(room);
        let taken =
            (1..=room as u64).filter(|n| table.insert(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), *n as u32));
        assert!(taken.count() * 1000 > room * 999);
    }
}
