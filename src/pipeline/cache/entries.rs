//! Megaflows used, put in, taken out, and looked after in passing.

use super::level::Level;
use super::{BATCH, Cached, LONG, Miss, Served, Shared, Verdict};
use crate::classifier::cache::{Refused, TtlGuard};
use crate::packet::key::w;
use crate::pipeline::changes::ChangeLog;
use crate::pipeline::record::Recorded;
use crate::pipeline::stats::StatsWriter;

/// Bits of the TTL in its word.
const TTL: u64 = 0xff << 40;
/// Megaflows that are looked at to find one that may make room for another.
const CANDIDATES: u32 = 32;
/// Milliseconds without use after which a megaflow may make room.
const IDLE_ENOUGH: u32 = 100;

impl<const N: usize> Level<N> {
    /// See [`super::FlowCache::verdict`].
    #[inline(always)]
    pub(super) fn verdict(&mut self, number: u32, log: &ChangeLog, shared: &mut Shared) -> Option<Verdict> {
        let cached = &self.flows.get(number)?.value;
        let verdict = cached.verdict;
        if !shared.ways.is_untouched(cached.way, cached.checked) {
            self.recheck(number, log, shared)?;
        }
        Some(verdict.unpack())
    }

    /// See [`super::FlowCache::agree`]. Places of the other form end it.
    #[inline(always)]
    pub(super) fn agree(
        &mut self,
        burst: &Served<'_, impl Fn(usize) -> u32>,
        place: usize,
        shared: &mut Shared,
    ) -> (Option<Verdict>, usize) {
        let form = burst.found[place % BATCH] & LONG;
        let first = self.flows.get(burst.found[place % BATCH] ^ form).map(|slot| slot.value.verdict);
        let mut end = place;
        while end < burst.count {
            let number = burst.found[end % BATCH];
            let Some(slot) = self.flows.get_mut(number ^ form) else { break };
            let cached = &mut slot.value;
            if Some(cached.verdict) != first || !shared.ways.is_untouched(cached.way, cached.checked) {
                break;
            }
            let (mut packets, mut bytes) = (0, 0);
            while end < burst.count && burst.found[end % BATCH] == number {
                packets += 1;
                bytes += u64::from((burst.bytes)(end));
                end += 1;
            }
            cached.new_packets = cached.new_packets.wrapping_add(packets);
            cached.new_bytes += bytes;
            cached.used_ms = burst.now_ms as u32;
        }
        if let Some(verdict) = first
            && end > place
        {
            return (Some(verdict.unpack()), end);
        }
        // Nothing sure: the first may be right all the same, which a closer look says.
        let number = burst.found[place % BATCH] ^ form;
        match self.verdict(number, burst.log, shared) {
            None => (None, place + 1),
            verdict => {
                self.count(number, 1, u64::from((burst.bytes)(place)), burst.now_ms);
                (verdict, place + 1)
            }
        }
    }

    /// See [`super::FlowCache::count`].
    #[inline(always)]
    pub(super) fn count(&mut self, number: u32, packets: u32, bytes: u64, now_ms: u64) {
        let Some(slot) = self.flows.get_mut(number) else { return };
        let cached = &mut slot.value;
        cached.new_packets = cached.new_packets.wrapping_add(packets);
        cached.new_bytes += bytes;
        cached.used_ms = now_ms as u32;
    }

    /// Whether a megaflow is right though it is not known that its way is untouched; then that is remembered.
    #[cold]
    fn recheck(&mut self, number: u32, log: &ChangeLog, shared: &mut Shared) -> Option<()> {
        let cached = &mut self.flows.get_mut(number)?.value;
        if shared.ways.is_still_untouched(cached.way, cached.checked) {
            cached.checked = shared.ways.seen();
            return Some(());
        }
        let mask = *self.flows.mask(number)?;
        let slot = self.flows.get_mut(number)?;
        let key = *slot.key();
        let cached = &mut slot.value;
        let consulted = shared.ways.is_unconcerned(cached.way, cached.checked, log, &key, &mask)?;
        cached.checked = log.latest() as u32;
        shared.counts.revalidated += u64::from(consulted > 0);
        Some(())
    }

    /// Puts a megaflow in, or what it does in the place of what the same megaflow did before.
    pub(super) fn put(
        &mut self,
        miss: &Miss<'_>,
        recorded: &Recorded,
        cached: Cached,
        shared: &mut Shared,
        stats: &mut StatsWriter,
    ) -> Option<u32> {
        let mask: [u64; N] = *recorded.mask.words().first_chunk()?;
        match self.put_masked(miss, &mask, recorded.min_ttl, cached, shared, stats) {
            Err(Refused::Masks) => {}
            put => return put.ok(),
        }
        // Fewer packets meet it, and those that do get the same.
        let mut narrow = [u64::MAX; N];
        if let Some(word) = narrow.get_mut(w::NW_MISC) {
            *word &= !TTL | mask.get(w::NW_MISC).copied().unwrap_or(0);
        }
        let cached = Cached { verdict: cached.verdict.for_some(), ..cached };
        let put = self.put_masked(miss, &narrow, recorded.min_ttl, cached, shared, stats).ok();
        shared.counts.narrowed += u64::from(put.is_some());
        put
    }

    fn put_masked(
        &mut self,
        miss: &Miss<'_>,
        mask: &[u64; N],
        min_ttl: u8,
        cached: Cached,
        shared: &mut Shared,
        stats: &mut StatsWriter,
    ) -> Result<u32, Refused> {
        if let Some(same) = self.flows.find_same(miss.port, mask, miss.key) {
            if let Some(slot) = self.flows.get_mut(same) {
                slot.set_guard(TtlGuard(min_ttl));
                shared.settle(&mut slot.value, miss.now_ms, stats);
                let (packets, bytes) = slot.value.served();
                shared.release(&slot.value);
                slot.value = Cached { packets, bytes, ..cached };
            }
            shared.version = shared.version.wrapping_add(1);
            return Ok(same);
        }
        let guard = TtlGuard(min_ttl);
        match self.flows.insert(miss.port, mask, miss.key, guard, cached) {
            Err(full @ (Refused::Full | Refused::PortFull)) => {
                let of_port = (full == Refused::PortFull).then_some(miss.port);
                self.make_room(of_port, miss, shared, stats).ok_or(full)?;
                self.flows.insert(miss.port, mask, miss.key, guard, cached)
            }
            put => put,
        }
    }

    /// Takes a megaflow out.
    pub(super) fn remove(&mut self, number: u32, now_ms: u64, shared: &mut Shared, stats: &mut StatsWriter) {
        let Some(mut cached) = self.flows.remove(number) else { return };
        shared.settle(&mut cached, now_ms, stats);
        shared.release(&cached);
        shared.version = shared.version.wrapping_add(1);
    }

    /// Takes the megaflow out that was not used for longest among some, if that was long enough ago.
    pub(super) fn make_room(
        &mut self,
        of_port: Option<usize>,
        miss: &Miss<'_>,
        shared: &mut Shared,
        stats: &mut StatsWriter,
    ) -> Option<()> {
        let end = self.flows.end();
        let now = miss.now_ms as u32;
        let mut victim = None;
        for _ in 0..CANDIDATES.min(end) {
            self.hand = if self.hand + 1 < end { self.hand + 1 } else { 0 };
            let Some(slot) = self.flows.get(self.hand) else { continue };
            if of_port.is_some_and(|port| port != slot.port())
                || miss.stale.is_some_and(|stale| stale & !LONG == self.hand)
            {
                continue;
            }
            let idle = now.wrapping_sub(slot.value.used_ms());
            if idle >= IDLE_ENOUGH && victim.is_none_or(|(_, longest)| idle > longest) {
                victim = Some((self.hand, idle));
            }
        }
        let (victim, _) = victim?;
        self.remove(victim, miss.now_ms, shared, stats);
        shared.counts.evicted += 1;
        Some(())
    }
}
