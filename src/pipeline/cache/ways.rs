//! The ways that packets took: what a translation consulted, and which bits it rewrote. Many megaflows share one.
//!
//! What is consulted has the number of the last change of it, by hash. A way is as old as the newest of what it
//! consulted, which is looked up once for every publication, when a packet next goes that way. A megaflow that was found
//! right at that change or later is right still; nothing else has to be looked at, however many changes there were.

use arrayvec::ArrayVec;

use super::intern::Interner;
use crate::packet::key::KEY_WORDS;
use crate::pipeline::changes::{Change, ChangeLog, Slot, What};
use crate::pipeline::record::{Dep, MAX_DEPS, Recorded};

/// Ways that there may be.
const WAYS: usize = 1 << 16;
/// Words that all ways together may take.
const WORDS: usize = WAYS * 16;
/// Things that ways consult, by hash.
const THINGS: usize = 4096;
/// How often a change is compared with a thing that was consulted, at most, before the packet is translated anew instead:
/// by then that takes as long.
const COMPARED: usize = 4096;
/// Most words of a way: how many dependencies, two for each of them, two for each word with rewritten bits.
const MOST: usize = 1 + 2 * MAX_DEPS + 2 * KEY_WORDS;

/// A dependency in two words; [`Slot`]s are told apart by the first.
type Word2 = [u64; 2];

fn hashed([what, which]: Word2) -> usize {
    let mixed = (what ^ which.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 52) as usize % THINGS
}

/// The last change that touched a way, of those that had been taken in at `as_of`.
#[derive(Clone, Copy, Default)]
struct Age {
    touched: u32,
    as_of: u32,
}

/// See the module.
pub struct Ways {
    lists: Interner<u64>,
    /// By way.
    ages: Vec<Age>,
    /// By hash: the last change of a thing. Two things of one hash look alike, which costs a comparison now and then.
    things: Box<[u64]>,
    /// By table: the last change that concerns it whatever the metadata.
    tables: Box<[u64]>,
    /// The last change of which is not known what it changed.
    everything: u64,
    /// The last change that was taken in.
    seen: u64,
}

impl Ways {
    pub fn new(seed: u64) -> Self {
        Self {
            lists: Interner::new(WAYS, WORDS, seed),
            ages: Vec::with_capacity(WAYS),
            things: vec![0; THINGS].into(),
            tables: vec![0; 256].into(),
            everything: 0,
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
            words.try_extend_from_slice(&dep.encode()).ok()?;
        }
        for (word, bits) in (0u64..).zip(recorded.rewritten.words()).filter(|(_, bits)| **bits != 0) {
            words.try_extend_from_slice(&[word, *bits]).ok()?;
        }
        let before = self.lists.len();
        let way = self.lists.intern(&words)?;
        if self.lists.len() > before {
            let at = way as usize;
            if at >= self.ages.len() {
                self.ages.resize(at + 1, Age::default());
            }
            if let Some(age) = self.ages.get_mut(at) {
                *age = Age { touched: self.seen as u32, as_of: self.seen as u32 };
            }
        }
        Some(way)
    }

    /// One megaflow less goes that way.
    pub fn release(&mut self, way: u32) {
        self.lists.release(way);
    }

    /// Takes in what has changed since the last time.
    pub fn ingest(&mut self, log: &ChangeLog) {
        if log.latest() == self.seen {
            return;
        }
        match log.since(self.seen) {
            None => self.everything = log.latest(),
            Some(entries) => {
                for entry in entries {
                    match &entry.what {
                        What::Everything => self.everything = entry.number,
                        What::Changes(changes) => {
                            changes.iter().for_each(|change| self.touch(change.slot, entry.number));
                        }
                    }
                }
            }
        }
        self.seen = log.latest();
    }

    fn touch(&mut self, slot: Slot, number: u64) {
        let place = match slot {
            Slot::Table { table, datapath: None } => self.tables.get_mut(usize::from(table)),
            Slot::Table { table, datapath: Some(datapath) } => {
                self.things.get_mut(hashed(Dep::Table { table, datapath }.encode()))
            }
            Slot::Port(number) => self.things.get_mut(hashed(Dep::Port(number).encode())),
            Slot::Ports => self.things.get_mut(hashed(Dep::Ports.encode())),
            Slot::Group(id) => self.things.get_mut(hashed(Dep::Group(id).encode())),
            Slot::Meter(id) => self.things.get_mut(hashed(Dep::Meter(id).encode())),
        };
        if let Some(last) = place {
            *last = number;
        }
    }

    /// Whether it is known already that nothing the way consulted has changed since `checked`.
    #[inline(always)]
    pub fn is_untouched(&self, way: u32, checked: u32) -> bool {
        self.ages.get(way as usize).is_some_and(|age| {
            // Numbers wrap; upkeep sees to it that none is ever half of them behind.
            age.as_of == self.seen as u32 && age.touched.wrapping_sub(checked) as i32 <= 0
        })
    }

    /// The same, looked up where it is not known yet.
    pub fn is_still_untouched(&mut self, way: u32, checked: u32) -> bool {
        let touched = self.last_touched(way) as u32;
        if let Some(age) = self.ages.get_mut(way as usize) {
            *age = Age { touched, as_of: self.seen as u32 };
        }
        self.is_untouched(way, checked)
    }

    fn last_touched(&self, way: u32) -> u64 {
        let last = |dep: &Word2| {
            let thing = self.things.get(hashed(*dep)).copied().unwrap_or(u64::MAX);
            let is_table = dep[0] & !u64::from(u8::MAX) == Dep::TABLE;
            let table = self.tables.get((dep[0] & u64::from(u8::MAX)) as usize).filter(|_| is_table);
            thing.max(table.copied().unwrap_or(0))
        };
        self.deps(way).iter().map(last).fold(self.everything, u64::max)
    }

    /// Whether none of the changes since `checked` can concern a megaflow of that way with that key and mask: each of
    /// them is of something else, or its match contradicts the megaflow in a bit that was not rewritten.
    /// Nothing if that is not so; otherwise how many changes were of something that was consulted.
    pub fn is_unconcerned(
        &self,
        way: u32,
        checked: u32,
        log: &ChangeLog,
        key: &[u64],
        mask: &[u64],
    ) -> Option<usize> {
        let behind = (log.latest() as u32).wrapping_sub(checked);
        let since = log.latest().checked_sub(u64::from(behind))?;
        let entries = log.since(since)?;
        let contradicts = |change: &Change| {
            change.matcher.words().iter().any(|asked| {
                let word = usize::from(asked.word);
                let own = key.get(word).zip(mask.get(word));
                let known = |mask| asked.mask & mask & !self.rewritten(way, word);
                own.is_some_and(|(key, mask)| (key ^ asked.value) & known(mask) != 0)
            })
        };
        let (mut left, each) = (COMPARED, self.deps(way).len());
        let mut consulted = 0;
        for entry in entries {
            let What::Changes(changes) = &entry.what else { return None };
            left = left.checked_sub(changes.len() * each)?;
            for change in changes.iter().filter(|change| self.consults(way, change.slot)) {
                if !contradicts(change) {
                    return None;
                }
                consulted += 1;
            }
        }
        Some(consulted)
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
                deps.contains(&Dep::Table { table, datapath }.encode())
            }
            Slot::Table { table, datapath: None } => {
                deps.iter().any(|[what, _]| *what == Dep::TABLE | u64::from(table))
            }
            Slot::Port(number) => deps.contains(&Dep::Port(number).encode()),
            Slot::Ports => deps.contains(&Dep::Ports.encode()),
            Slot::Group(id) => deps.contains(&Dep::Group(id).encode()),
            Slot::Meter(id) => deps.contains(&Dep::Meter(id).encode()),
        }
    }
}
