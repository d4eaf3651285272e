//! The exact-match cache: which megaflow did a packet with this hash meet last?
//!
//! A line of eight tags and numbers for every hash, nothing more: what it proposes is compared with the megaflow's own
//! bits, so an entry whose megaflow is gone, or is another by now, does no harm.

use super::buckets::equal_lanes;
use crate::hint;

/// Places of a line.
const WAYS: usize = 8;

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line {
    tags: [u32; WAYS],
    numbers: [u32; WAYS],
}

/// See the module.
pub struct ExactMatch {
    lines: Box<[Line]>,
    mask: usize,
    /// Chooses whom a new entry displaces.
    turn: u32,
}

impl ExactMatch {
    /// With room for at least that many entries.
    pub fn new(entries: usize) -> Self {
        let count = entries.div_ceil(WAYS).next_power_of_two();
        Self { lines: hint::table(count), mask: count - 1, turn: 0 }
    }

    /// Entries that there is room for.
    pub fn capacity(&self) -> usize {
        self.lines.len() * WAYS
    }

    #[inline(always)]
    fn tag(hash: u64) -> u32 {
        // Never 0, the tag of a place that was never used.
        (hash >> 32) as u32 | 1
    }

    #[inline(always)]
    fn candidates(line: &Line, tag: u32) -> u32 {
        equal_lanes(&line.tags, tag)
    }

    /// A megaflow that a packet with this hash met; the caller compares.
    #[inline(always)]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let line = self.lines.get(hash as usize & self.mask)?;
        let candidates = Self::candidates(line, Self::tag(hash));
        (candidates != 0).then(|| line.numbers[candidates.trailing_zeros() as usize % WAYS])
    }

    /// Remembers a megaflow in the place of what had this hash before; where the line is full, some other entry is
    /// forgotten.
    #[inline]
    pub fn insert(&mut self, hash: u64, number: u32) {
        let tag = Self::tag(hash);
        let Some(line) = self.lines.get_mut(hash as usize & self.mask) else { return };
        let same = line.tags.iter().position(|own| *own == tag);
        let free = same.or_else(|| line.tags.iter().position(|own| *own == 0));
        self.turn = self.turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let place = free.unwrap_or((self.turn >> 24) as usize) % WAYS;
        (line.tags[place], line.numbers[place]) = (tag, number);
    }

    /// Asks for the line of this hash.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        if let Some(line) = self.lines.get(hash as usize & self.mask) {
            hint::prefetch(line);
        }
    }
}
