//! A hash table of numbers with a fixed size: buckets of one cache line, two of them for every hash.

use crate::hint;

/// Places of a bucket.
const WAYS: usize = 7;
/// The tag of a place without a number.
const EMPTY: u32 = 0;

/// Tags and numbers of one bucket, all zero at first. The eighth tag counts the numbers that stand in their second bucket
/// because this one was full.
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
        let bits = self.tags.iter().zip(0..).fold(0, |bits, (own, way)| bits | u32::from(*own == tag) << way);
        bits & ((1 << WAYS) - 1)
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
        let place = self.tags.iter().take(WAYS).position(|tag| *tag == EMPTY);
        let Some(place) = place.map(|place| place & WAYS) else { return false };
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

/// Where a hash may stand.
#[derive(Clone, Copy)]
struct Places {
    first: usize,
    second: usize,
    /// Never [`EMPTY`].
    tag: u32,
}

/// Numbers by hash. A lookup looks at one bucket, or at two where the first has overflowed.
pub struct Buckets {
    buckets: Box<[Bucket]>,
    mask: usize,
}

impl Buckets {
    /// With room for about that many numbers; full at the earliest when two certain buckets are.
    pub fn new(numbers: usize) -> Self {
        let count = numbers.div_ceil(WAYS - 2).next_power_of_two().max(2);
        Self { buckets: hint::table(count), mask: count - 1 }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    #[inline(always)]
    fn places(&self, hash: u64) -> Places {
        let tag = (hash >> 32) as u32 | 1;
        let first = hash as usize & self.mask;
        // An odd distance: never the first bucket again.
        let distance = (tag.wrapping_mul(0x9e37_79b1) >> 8) as usize | 1;
        Places { first, second: (first ^ distance) & self.mask, tag }
    }

    /// A number with that hash, most likely the one that is sought; the caller compares.
    #[inline(always)]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let places = self.places(hash);
        let bucket = self.buckets.get(places.first)?;
        let candidates = bucket.candidates(places.tag);
        if candidates != 0 {
            return Some(bucket.number(candidates.trailing_zeros()));
        }
        if bucket.overflowed() == 0 {
            return None;
        }
        let bucket = self.buckets.get(places.second)?;
        let candidates = bucket.candidates(places.tag);
        (candidates != 0).then(|| bucket.number(candidates.trailing_zeros()))
    }

    /// The number with that hash that `is_it` accepts.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let places = self.places(hash);
        for place in [places.first, places.second] {
            let bucket = self.buckets.get(place)?;
            let mut candidates = bucket.candidates(places.tag);
            while candidates != 0 {
                let number = bucket.number(candidates.trailing_zeros());
                if is_it(number) {
                    return Some(number);
                }
                candidates &= candidates - 1;
            }
            if place == places.first && bucket.overflowed() == 0 {
                return None;
            }
        }
        None
    }

    /// Puts a number in. False if both its buckets are full.
    #[must_use]
    pub fn insert(&mut self, hash: u64, number: u32) -> bool {
        let places = self.places(hash);
        if let Some(bucket) = self.buckets.get_mut(places.first)
            && bucket.put(places.tag, number)
        {
            return true;
        }
        let second = self.buckets.get_mut(places.second);
        if !second.is_some_and(|bucket| bucket.put(places.tag, number)) {
            return false;
        }
        if let Some(bucket) = self.buckets.get_mut(places.first) {
            bucket.tags[WAYS] += 1;
        }
        true
    }

    /// Takes a number out that was put in with that hash. False if it is not there.
    pub fn remove(&mut self, hash: u64, number: u32) -> bool {
        let places = self.places(hash);
        if let Some(bucket) = self.buckets.get_mut(places.first)
            && bucket.take(places.tag, number)
        {
            return true;
        }
        let second = self.buckets.get_mut(places.second);
        if !second.is_some_and(|bucket| bucket.take(places.tag, number)) {
            return false;
        }
        if let Some(bucket) = self.buckets.get_mut(places.first) {
            bucket.tags[WAYS] -= 1;
        }
        true
    }

    /// Asks for the line that a lookup of this hash reads first.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(hash as usize & self.mask) {
            hint::prefetch(bucket);
        }
    }
}
