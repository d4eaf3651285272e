//! What has to be done to megaflows though no packet asks for it, in small slices: their counts go to the flows, and those
//! that nobody uses go.

use std::ops::Range;

use super::level::Level;
use super::{Cached, FlowCache, LONG, Shared};
use crate::action::Op;
use crate::classifier::Match;
use crate::pipeline::stats::StatsWriter;

/// Milliseconds in which every megaflow is looked at once.
const ROUND_MS: u64 = 500;
/// Megaflows looked at in one slice while somebody waits for the counts.
const SLICE: usize = 256;
/// Megaflows looked at in one slice at most, however long the last one is ago.
const MOST: usize = 2048;
/// Above this share of the room, megaflows go after a tenth of the time.
const PRESSURE: (usize, usize) = (3, 4);

/// How far upkeep has come.
#[derive(Default)]
pub struct Upkeep {
    /// The next megaflow, among the short and then the long ones.
    at: u32,
    /// When the last slice was done.
    last_ms: u64,
    /// Megaflows still to be looked at for whoever waits for the counts: short ones, then long ones.
    awaited: [Range<u32>; 2],
    /// When subtables were last put in order.
    ranked_ms: u64,
}

/// Milliseconds between two times that subtables are put in order.
const RANK_MS: u64 = 100;

impl FlowCache {
    /// Does a slice, if it is time or somebody waits. Once a turn, with no burst at hand.
    #[inline]
    pub fn upkeep(&mut self, now_ms: u64, stats: &mut StatsWriter) {
        if now_ms != self.upkeep.last_ms {
            self.shared.contexts.tell(now_ms);
            self.slice(now_ms, stats);
        }
        if !self.is_added() {
            self.add_some(now_ms, stats);
        }
    }

    /// Begins to add what was counted so far to the flows; [`FlowCache::is_added`] says when that is done.
    pub fn add_all(&mut self) {
        self.upkeep.awaited = [0..self.short.flows.end(), 0..self.long.flows.end()];
    }

    /// Whether all that was counted before the last [`FlowCache::add_all`] has reached the flows.
    #[inline(always)]
    pub fn is_added(&self) -> bool {
        self.upkeep.awaited.iter().all(Range::is_empty)
    }

    fn add_some(&mut self, now_ms: u64, stats: &mut StatsWriter) {
        let [short, long] = &mut self.upkeep.awaited;
        for number in short.take(SLICE) {
            self.short.look_after(number, now_ms, &mut self.shared, stats);
        }
        for number in long.take(SLICE) {
            self.long.look_after(number, now_ms, &mut self.shared, stats);
        }
    }

    fn slice(&mut self, now_ms: u64, stats: &mut StatsWriter) {
        let ends = [self.short.flows.end(), self.long.flows.end()];
        let all = (ends[0] + ends[1]) as usize;
        let elapsed = now_ms.saturating_sub(self.upkeep.last_ms).min(ROUND_MS);
        self.upkeep.last_ms = now_ms;
        if now_ms.saturating_sub(self.upkeep.ranked_ms) >= RANK_MS {
            self.upkeep.ranked_ms = now_ms;
            self.short.flows.rank();
            self.long.flows.rank();
        }
        let due = all * elapsed as usize / ROUND_MS as usize + 1;
        for _ in 0..due.min(all).min(MOST) {
            let at = if self.upkeep.at < ends[0] + ends[1] { self.upkeep.at } else { 0 };
            self.upkeep.at = at + 1;
            match at.checked_sub(ends[0]) {
                None => self.short.look_after(at, now_ms, &mut self.shared, stats),
                Some(at) => self.long.look_after(at, now_ms, &mut self.shared, stats),
            }
        }
    }

    /// Removes the megaflows that `goes` chooses among `count` from `from` on; tells how many were removed, and where
    /// to go on, if that is not the end.
    pub fn flush(
        &mut self,
        from: u32,
        count: u32,
        now_ms: u64,
        stats: &mut StatsWriter,
        mut goes: impl FnMut(&Seen<'_>) -> bool,
    ) -> (u64, Option<u32>) {
        let mut flushed = 0;
        let next = self.visit(from, count, |cache, number| {
            let chosen = cache.seen(number).is_some_and(|seen| goes(&seen));
            if chosen {
                cache.remove(number, now_ms, stats);
                flushed += 1;
            }
            true
        });
        (flushed, next)
    }

    /// Shows `count` megaflows from `from` on to `to`, which says whether it can take another; tells where to go on, if
    /// that is not the end.
    pub fn dump(&mut self, from: u32, count: u32, mut to: impl FnMut(&Seen<'_>) -> bool) -> Option<u32> {
        self.visit(from, count, |cache, number| cache.seen(number).is_none_or(|seen| to(&seen)))
    }

    fn visit(&mut self, from: u32, count: u32, mut each: impl FnMut(&mut Self, u32) -> bool) -> Option<u32> {
        let short = self.short.flows.end();
        let all = short + self.long.flows.end();
        for at in from..from.saturating_add(count).min(all) {
            let number = at.checked_sub(short).map_or(at, |at| at | LONG);
            if !each(self, number) {
                return Some(at);
            }
        }
        let next = from.saturating_add(count);
        (next < all).then_some(next)
    }
}

/// A megaflow as it is shown.
pub struct Seen<'a> {
    key: &'a [u64],
    mask: &'a [u64],
    /// The least TTL that it serves.
    pub min_ttl: u8,
    /// What is kept with it.
    pub cached: &'a Cached,
    /// What is done to its packets.
    pub ops: &'a [Op],
}

impl Seen<'_> {
    /// What it matches.
    pub fn matcher(&self) -> Match {
        let mut matcher = Match::default();
        matcher.key.words_mut().iter_mut().zip(self.key).for_each(|(to, from)| *to = *from);
        matcher.mask.words_mut().iter_mut().zip(self.mask).for_each(|(to, from)| *to = *from);
        matcher
    }
}

impl FlowCache {
    fn seen(&self, number: u32) -> Option<Seen<'_>> {
        let (key, mask, guard, cached): (&[u64], &[u64], _, _) = match number & LONG {
            0 => {
                let slot = self.short.flows.get(number)?;
                (slot.key(), self.short.flows.mask(number)?, slot.guard(), &slot.value)
            }
            _ => {
                let number = number & !LONG;
                let slot = self.long.flows.get(number)?;
                (slot.key(), self.long.flows.mask(number)?, slot.guard(), &slot.value)
            }
        };
        Some(Seen { key, mask, min_ttl: guard.0, cached, ops: self.ops(cached.program) })
    }
}

impl<const N: usize> Level<N> {
    fn look_after(&mut self, number: u32, now_ms: u64, shared: &mut Shared, stats: &mut StatsWriter) {
        let (len, room) = (self.flows.len(), self.flows.room());
        let Some(slot) = self.flows.get_mut(number) else { return };
        shared.settle(&mut slot.value, now_ms, stats);
        if shared.ways.is_still_untouched(slot.value.way, slot.value.checked) {
            slot.value.checked = shared.ways.seen();
        }
        let under_pressure = len * PRESSURE.1 > room * PRESSURE.0;
        let max_idle = shared.sizes.max_idle_ms / if under_pressure { 10 } else { 1 };
        if (now_ms as u32).wrapping_sub(slot.value.used_ms()) > max_idle {
            self.remove(number, now_ms, shared, stats);
            shared.counts.expired += 1;
        }
    }
}
