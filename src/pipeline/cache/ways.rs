//! The ways that packets took: what a translation consulted, and which bits it rewrote. Many megaflows share one.
//!
//! A way remembers the number of the last change that touched something it consulted. A megaflow that was found right at
//! that change or later is right still; nothing else has to be looked at, however many changes there were elsewhere.

use arrayvec::ArrayVec;

use super::intern::Interner;
use crate::packet::key::KEY_WORDS;
use crate::pipeline::changes::{Change, ChangeLog, Slot, What};
use crate::pipeline::record::{Dep, MAX_DEPS, Recorded};

/// Ways that there may be.
const WAYS: usize = 1 << 16;
/// Words that all ways together may take.
const WORDS: usize = WAYS * 16;
/// Counters of things that ways consult, by hash.
const COUNTERS: usize = 4096;
/// Most words of a way: how many dependencies, two for each of them, two for each word with rewritten bits.
const MOST: usize = 1 + 2 * MAX_DEPS + 2 * KEY_WORDS;

/// A dependency in two words; [`Slot`]s are told apart by the first.
type Word2 = [u64; 2];

const TABLE: u64 = 1 << 32;
const PORT: u64 = 2 << 32;
const PORTS: u64 = 3 << 32;

fn encode(dep: Dep) -> Word2 {
    match dep {
        Dep::Table { table, datapath } => [TABLE | u64::from(table), datapath],
        Dep::Port(number) => [PORT | u64::from(number.0), 0],
        Dep::Ports => [PORTS, 0],
    }
}

fn counter([what, which]: Word2) -> usize {
    let mixed = (what ^ which.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 52) as usize % COUNTERS
}

/// See the module.
pub struct Ways {
    lists: Interner<u64>,
    /// By way: the last change that touched it.
    touched: Vec<u32>,
    /// How many ways consult something with that hash.
    consulted: Box<[u32]>,
    /// How many ways consult a table.
    tables: Box<[u32]>,
    /// The last change that was taken in.
    seen: u64,
}

impl Ways {
    pub fn new(seed: u64) -> Self {
        Self {
            lists: Interner::new(WAYS, WORDS, seed),
            touched: Vec::with_capacity(WAYS),
            consulted: vec![0; COUNTERS].into(),
            tables: vec![0; 256].into(),
            seen: 0,
        }
    }

    /// The last change that was taken in.
    pub fn seen(&self) -> u32 {
        self.seen as u32
    }

    /// The way of a translation under the tables as they are now. None if there is no room left.
    pub fn intern(&mut self, recorded: &Recorded) -> Option<u32> {
        let mut words = ArrayVec::<u64, MOST>::new();
        words.try_push(recorded.deps.len() as u64).ok()?;
        for dep in &recorded.deps {
            words.try_extend_from_slice(&encode(*dep)).ok()?;
        }
        for (word, bits) in (0u64..).zip(recorded.rewritten.words()).filter(|(_, bits)| **bits != 0) {
            words.try_extend_from_slice(&[word, *bits]).ok()?;
        }
        let before = self.lists.len();
        let way = self.lists.intern(&words)?;
        if self.lists.len() > before {
            self.count(way, |count| count.saturating_add(1));
            let at = way as usize;
            if at >= self.touched.len() {
                self.touched.resize(at + 1, 0);
            }
            if let Some(touched) = self.touched.get_mut(at) {
                *touched = self.seen as u32;
            }
        }
        Some(way)
    }

    /// One megaflow less goes that way.
    pub fn release(&mut self, way: u32) {
        // Counted down first: afterwards the list may be gone.
        self.count(way, |count| count.saturating_sub(1));
        if !self.lists.release(way) {
            self.count(way, |count| count.saturating_add(1));
        }
    }

    /// Takes in what has changed since the last time.
    pub fn ingest(&mut self, log: &ChangeLog) {
        if log.latest() == self.seen {
            return;
        }
        match log.since(self.seen) {
            None => self.touch_all(log.latest()),
            Some(entries) => {
                for entry in entries {
                    match &entry.what {
                        What::Everything => self.touch_all(entry.number),
                        What::Changes(changes) => {
                            changes.iter().for_each(|change| self.touch(change.slot, entry.number));
                        }
                    }
                }
            }
        }
        self.seen = log.latest();
    }

    /// Whether nothing that the way consulted has changed since `checked`.
    #[inline(always)]
    pub fn is_untouched(&self, way: u32, checked: u32) -> bool {
        // Numbers wrap; none is ever half of them behind.
        let touched = self.touched.get(way as usize).copied().unwrap_or(u32::MAX);
        touched.wrapping_sub(checked) as i32 <= 0
    }

    /// Whether none of the changes since `checked` can concern a megaflow of that way with that key and mask: each of
    /// them is of something else, or its match contradicts the megaflow in a bit that was not rewritten.
    pub fn is_unconcerned(&self, way: u32, checked: u32, log: &ChangeLog, key: &[u64], mask: &[u64]) -> bool {
        let behind = (log.latest() as u32).wrapping_sub(checked);
        let Some(since) = log.latest().checked_sub(u64::from(behind)) else { return false };
        let Some(mut entries) = log.since(since) else { return false };
        let contradicts = |change: &Change| {
            change.matcher.words().iter().any(|asked| {
                let word = usize::from(asked.word);
                let own = key.get(word).zip(mask.get(word));
                let known = |mask| asked.mask & mask & !self.rewritten(way, word);
                own.is_some_and(|(key, mask)| (key ^ asked.value) & known(mask) != 0)
            })
        };
        entries.all(|entry| match &entry.what {
            What::Everything => false,
            What::Changes(changes) => {
                changes.iter().all(|change| !self.consults(way, change.slot) || contradicts(change))
            }
        })
    }

    fn deps(&self, way: u32) -> &[Word2] {
        let list = self.lists.get(way);
        let count = list.first().copied().unwrap_or(0) as usize;
        list.get(1..).and_then(|rest| rest.as_chunks().0.get(..count)).unwrap_or_default()
    }

    fn rewritten(&self, way: u32, word: usize) -> u64 {
        let list = self.lists.get(way);
        let count = list.first().copied().unwrap_or(0) as usize;
        let (pairs, _) = list.get(1 + 2 * count..).unwrap_or_default().as_chunks::<2>();
        pairs.iter().find(|[own, _]| *own == word as u64).map_or(0, |[_, bits]| *bits)
    }

    fn consults(&self, way: u32, slot: Slot) -> bool {
        let deps = self.deps(way);
        match slot {
            Slot::Table { table, datapath: Some(datapath) } => {
                deps.contains(&encode(Dep::Table { table, datapath }))
            }
            Slot::Table { table, datapath: None } => {
                deps.iter().any(|[what, _]| *what == TABLE | u64::from(table))
            }
            Slot::Port(number) => deps.contains(&encode(Dep::Port(number))),
            Slot::Ports => deps.contains(&encode(Dep::Ports)),
        }
    }

    fn touch(&mut self, slot: Slot, number: u64) {
        let consulted = |dep| self.consulted.get(counter(encode(dep))).copied();
        let users = match slot {
            Slot::Table { table, datapath: Some(datapath) } => consulted(Dep::Table { table, datapath }),
            Slot::Table { table, datapath: None } => self.tables.get(usize::from(table)).copied(),
            Slot::Port(number) => consulted(Dep::Port(number)),
            Slot::Ports => consulted(Dep::Ports),
        };
        if users == Some(0) {
            return;
        }
        for way in 0..self.lists.end() as u32 {
            if self.consults(way, slot)
                && let Some(touched) = self.touched.get_mut(way as usize)
            {
                *touched = number as u32;
            }
        }
    }

    fn touch_all(&mut self, number: u64) {
        self.touched.iter_mut().for_each(|touched| *touched = number as u32);
    }

    fn count(&mut self, way: u32, next: impl Fn(u32) -> u32) {
        let list = self.lists.get(way);
        let count = list.first().copied().unwrap_or(0) as usize;
        let (deps, _) = list.get(1..).unwrap_or_default().as_chunks();
        for dep in deps.iter().take(count) {
            if let Some(users) = self.consulted.get_mut(counter(*dep)) {
                *users = next(*users);
            }
            let table = (dep[0] & !TABLE) as usize;
            if dep[0] & TABLE != 0
                && dep[0] & PORT == 0
                && let Some(users) = self.tables.get_mut(table)
            {
                *users = next(*users);
            }
        }
    }
}
