//! What a worker does for the control thread among its megaflows, a slice a turn.

use rtrb::Producer;

use super::mailbox::{Errand, Row};
use crate::pipeline::cache::{FlowCache, Seen};
use crate::pipeline::stats::StatsWriter;

/// Megaflows that are looked at in one turn.
const SLICE: u32 = 64;

/// What is under way.
#[derive(Default)]
pub struct Errands {
    errand: Option<Box<Errand>>,
    /// The request to say when counts have reached the flows: the one under way, and the last that came after it.
    adding: Option<u64>,
    next: Option<u64>,
}

impl Errands {
    /// Takes on an errand. The control thread asks for one at a time.
    pub fn take(&mut self, errand: Box<Errand>) {
        self.errand = Some(errand);
    }

    /// Takes on a [`super::mailbox::Request::Sync`].
    pub fn sync(&mut self, token: u64, cache: &mut FlowCache) {
        if self.adding.is_some() {
            self.next = Some(token);
        } else {
            cache.add_all();
            self.adding = Some(token);
        }
    }

    /// The request for which all is done now.
    #[inline(always)]
    pub fn synced(&mut self, cache: &mut FlowCache) -> Option<u64> {
        if self.adding.is_none() || !cache.is_added() {
            return None;
        }
        let done = self.adding.take();
        if let Some(next) = self.next.take() {
            self.sync(next, cache);
        }
        done
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
        let Some(mut errand) = self.errand.take() else { return self.adding.is_some() };
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
