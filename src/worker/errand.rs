//! What a worker does for the control thread among its megaflows, a slice a turn.

use rtrb::Producer;

use super::mailbox::{Errand, Row};
use super::wait;
use crate::pipeline::cache::{FlowCache, Seen};
use crate::pipeline::stats::StatsWriter;

/// Megaflows that are looked at in one turn.
const SLICE: u32 = 64;
/// Turns after which no packet waits any more that waited before them.
const DRAIN: u32 = wait::TURNS + 1;

/// What is under way.
#[derive(Default)]
pub struct Errands {
    errand: Option<Box<Errand>>,
    /// The last request to say when all is done, not begun yet.
    asked: Option<u64>,
    /// The one for which packets go first that wait, and the turns that this may still take.
    draining: Option<(u64, u32)>,
    /// The one for which counts are on their way to the flows.
    adding: Option<u64>,
}

impl Errands {
    /// Takes on an errand. The control thread asks for one at a time.
    pub fn take(&mut self, errand: Box<Errand>) {
        self.errand = Some(errand);
    }

    /// Takes on a [`super::mailbox::Request::Sync`].
    pub fn sync(&mut self, token: u64) {
        self.asked = Some(token);
    }

    /// Goes on with such requests, once a turn, and gives the one for which all is done now.
    #[inline(always)]
    pub fn synced(&mut self, none_waits: bool, cache: &mut FlowCache) -> Option<u64> {
        if self.is_syncing() { self.step(none_waits, cache) } else { None }
    }

    #[cold]
    fn step(&mut self, none_waits: bool, cache: &mut FlowCache) -> Option<u64> {
        if self.draining.is_none() {
            self.draining = self.asked.take().map(|token| (token, DRAIN));
        }
        if let Some((token, turns)) = self.draining {
            let drained = none_waits || turns == 0;
            self.draining = Some((token, turns.saturating_sub(1)));
            if drained && self.adding.is_none() {
                cache.add_all();
                self.adding = Some(token);
                self.draining = None;
            }
        }
        if self.adding.is_some() && cache.is_added() { self.adding.take() } else { None }
    }

    fn is_syncing(&self) -> bool {
        self.asked.is_some() || self.draining.is_some() || self.adding.is_some()
    }

    /// Does a slice. True while there is something to do.
    #[inline(always)]
    pub fn go_on(
        &mut self,
        now_ms: u64,
        cache: &mut FlowCache,
        stats: &mut StatsWriter,
        back: &mut Producer<Box<Errand>>,
    ) -> bool {
        let Some(mut errand) = self.errand.take() else { return self.is_syncing() };
        if !slice(&mut errand, now_ms, cache, stats) {
            self.errand = Some(errand);
        } else if let Err(rtrb::PushError::Full(errand)) = back.push(errand) {
            // The control thread has not yet taken the last one.
            self.errand = Some(errand);
        }
        true
    }
}

/// Does a slice of an errand. True if it is to go back: all is done, or its memory is full.
fn slice(errand: &mut Errand, now_ms: u64, cache: &mut FlowCache, stats: &mut StatsWriter) -> bool {
    let Some(at) = errand.at else { return true };
    let Errand { within, rows, ops, .. } = errand;
    if errand.flush {
        let (flushed, next) = cache.flush(at, SLICE, now_ms, stats, |seen| seen.matcher().is_within(within));
        errand.flushed += flushed;
        errand.at = next;
        return next.is_none();
    }
    let mut full = false;
    let show = |seen: &Seen<'_>| {
        let matcher = seen.matcher();
        if !matcher.is_within(within) {
            return true;
        }
        full = rows.len() == rows.capacity() || ops.capacity() - ops.len() < seen.ops.len();
        if !full {
            ops.extend_from_slice(seen.ops);
            let (packets, bytes) = seen.cached.served();
            let idle_ms = (now_ms as u32).wrapping_sub(seen.cached.used_ms());
            rows.push((Row { matcher, min_ttl: seen.min_ttl, packets, bytes, idle_ms }, ops.len() as u32));
        }
        !full
    };
    errand.at = cache.dump(at, SLICE, show);
    full || errand.at.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::cache::CacheSizes;

    #[test]
    fn an_answer_waits_for_the_packets_that_wait_and_not_for_those_after_them() {
        let sizes = CacheSizes { megaflows: 64, emc_entries: 64, ..CacheSizes::default() };
        let mut cache = FlowCache::new(sizes, 1);
        let mut errands = Errands::default();
        errands.sync(7);
        assert_eq!(errands.synced(true, &mut cache), Some(7), "nothing waits");
        assert_eq!(errands.synced(true, &mut cache), None, "an answer is given once");
        errands.sync(8);
        for _ in 0..wait::TURNS {
            assert_eq!(errands.synced(false, &mut cache), None, "a packet that waited may still wait");
            errands.sync(9);
        }
        let answers: Vec<u64> = (0..3 * DRAIN).filter_map(|_| errands.synced(false, &mut cache)).collect();
        assert_eq!(answers, [8, 9], "new packets that wait hold no answer up for good");
    }
}
