//! A worker's megaflows and what to do for the packets that meet them: the path of nearly every packet.
//!
//! A megaflow is made of a translation: its key and mask are the bits that the translation recorded, and it names by
//! number, among lists that many share, the operations, the flows whose counters a hit moves on, and the way through the
//! tables by which a change is found to concern it.
//!
//! The invariants:
//! - A hit is good under the snapshot at hand: [`FlowCache::hit`] looks at the changes since the megaflow was last found
//!   right, and gives nothing for one that they may concern.
//! - What was counted of a megaflow reaches the flows it passed before it goes or does something else.
//! - All memory is set aside at first. Where some is used up, packets are translated one by one and nothing is lost.

mod entries;
mod intern;
mod level;
mod upkeep;
mod ways;

use super::changes::ChangeLog;
use super::frozen::{Context, Contexts};
use super::stats::{StatsId, StatsWriter};
use super::translate::Translation;
use crate::action::Op;
pub use crate::classifier::cache::NONE;
use crate::classifier::cache::{Limits, PORTS, Seed};
use crate::packet::key::{KEY_WORDS, SHORT_WORDS};
use crate::packet::parse::Shape;
use crate::packet::{FlowKey, PortNo, PortRef};
use intern::Interner;
use level::Level;
pub use upkeep::Seen;
use upkeep::Upkeep;
use ways::Ways;

/// Packets that are looked up together.
pub const BATCH: usize = 32;
/// Set in the number of a megaflow that looks at the whole key.
const LONG: u32 = 1 << 31;

/// Megaflows that look at the whole key are seldom, and large: they have this part of all room.
const LONG_SHARE: usize = 4;

/// How large the caches of a worker are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSizes {
    /// Megaflows.
    pub megaflows: usize,
    /// Megaflows of one port.
    pub megaflows_per_port: usize,
    /// Masks of one port.
    pub masks_per_port: usize,
    /// Entries of the exact-match cache.
    pub emc_entries: usize,
    /// Milliseconds after which a megaflow goes that no packet uses.
    pub max_idle_ms: u32,
}

impl Default for CacheSizes {
    fn default() -> Self {
        Self {
            megaflows: 1 << 18,
            megaflows_per_port: 200_000,
            masks_per_port: 128,
            emc_entries: 1 << 17,
            max_idle_ms: 10_000,
        }
    }
}

/// What is kept with a megaflow: with key and place two cache lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cached {
    program: u32,
    effects: u32,
    way: u32,
    /// The last change up to which it is known to be right.
    checked: u32,
    /// When it was last used, in the coarse clock.
    used_ms: u32,
    verdict: Packed,
    /// Counted and not yet added to the flows.
    new_packets: u32,
    new_bytes: u64,
    /// Added to the flows.
    packets: u64,
    bytes: u64,
}

impl Cached {
    /// Packets and bytes that it served.
    pub fn served(&self) -> (u64, u64) {
        (self.packets + u64::from(self.new_packets), self.bytes + self.new_bytes)
    }

    /// When it was last used, in the coarse clock, of which these are the low bits.
    pub fn used_ms(&self) -> u32 {
        self.used_ms
    }
}

/// What became of packets here. Plain numbers of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Found by the exact-match cache.
    pub emc_hits: u64,
    /// Found in the megaflow subtables.
    pub megaflow_hits: u64,
    /// Found but stale, or gone while the packet waited.
    pub stale: u64,
    /// Subtables probed.
    pub probes: u64,
    /// Megaflows found untouched by the changes since.
    pub revalidated: u64,
    /// Megaflows put in.
    pub installed: u64,
    /// Megaflows that nobody used for long.
    pub expired: u64,
    /// Megaflows that made room.
    pub evicted: u64,
    /// Translations whose megaflow was not put in.
    pub refused: u64,
    /// Megaflows put in with every bit matched, for want of masks.
    pub narrowed: u64,
}

/// What is to be done with the packets of a megaflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send them as they are.
    Output(PortRef),
    /// Do the operations of [`FlowCache::ops`].
    Run(u32),
}

/// A verdict in one word, which is compared for every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Packed(u64);

impl Packed {
    const OUTPUT: u64 = 1 << 32;
    /// Whatever comes in by the port is sent on.
    const ALL: u64 = 1 << 33;

    fn output(at: PortRef, all: bool) -> Self {
        let all = if all { Self::ALL } else { 0 };
        Self(Self::OUTPUT | all | u64::from(at.slot) << 16 | u64::from(at.generation))
    }

    /// The same for some of the packets.
    fn for_some(self) -> Self {
        Self(self.0 & !Self::ALL)
    }

    #[inline(always)]
    fn is_for_all(self) -> bool {
        self.0 & Self::ALL != 0
    }

    fn run(program: u32) -> Self {
        Self(u64::from(program))
    }

    #[inline(always)]
    fn unpack(self) -> Verdict {
        match self.0 & Self::OUTPUT {
            0 => Verdict::Run(self.0 as u32),
            _ => Verdict::Output(PortRef { slot: (self.0 >> 16) as u16, generation: self.0 as u16 }),
        }
    }
}

/// What the megaflows of both forms use together.
struct Shared {
    programs: Interner<Op>,
    effects: Interner<StatsId>,
    ways: Ways,
    contexts: Contexts,
    sizes: CacheSizes,
    /// Changes whenever a number may have come to mean another megaflow.
    version: u32,
    counts: Counts,
}

/// A burst that was looked up.
pub struct Served<'a, L: Fn(usize) -> u32> {
    /// By place: the megaflow found.
    pub found: &'a [u32; BATCH],
    /// Places in use.
    pub count: usize,
    /// Bytes of the packet at a place.
    pub bytes: L,
    /// The coarse clock.
    pub now_ms: u64,
    /// What changed.
    pub log: &'a ChangeLog,
}

/// What a translated packet brings with it.
pub struct Miss<'a> {
    /// Place of the port it came in by.
    pub port: usize,
    /// Its key as it entered.
    pub key: &'a FlowKey,
    /// Form of the key.
    pub shape: Shape,
    /// The megaflow that it met and that a change may concern.
    pub stale: Option<u32>,
    /// The coarse clock.
    pub now_ms: u64,
}

/// See the module.
pub struct FlowCache {
    short: Level<SHORT_WORDS>,
    long: Level<KEY_WORDS>,
    /// By place of the port: the megaflow of the short form that may be the only one. Looked at before it is believed.
    wires: Box<[u32]>,
    shared: Shared,
    upkeep: Upkeep,
}

impl FlowCache {
    /// An empty one; `seed` should differ with every start.
    pub fn new(sizes: CacheSizes, seed: u64) -> Self {
        let limits = |share| Limits {
            megaflows: sizes.megaflows / share,
            per_port: sizes.megaflows_per_port / share,
            masks_per_port: sizes.masks_per_port,
        };
        let lists = sizes.megaflows;
        let seed_of = |n| Seed::new(seed).with(n);
        Self {
            short: Level::new(limits(1), sizes.emc_entries, seed_of(1)),
            long: Level::new(limits(LONG_SHARE), sizes.emc_entries / LONG_SHARE, seed_of(2)),
            wires: [NONE; PORTS].into(),
            shared: Shared {
                // Most megaflows do what others do, and pass flows of their own.
                programs: Interner::new(lists / 4, lists, seed),
                effects: Interner::new(lists, lists * 16, seed),
                ways: Ways::new(seed),
                contexts: Contexts::new(seed),
                sizes,
                version: 0,
                counts: Counts::default(),
            },
            upkeep: Upkeep::default(),
        }
    }

    /// Takes in what has changed since the last snapshot. Before the first lookup under a new one.
    #[inline]
    pub fn ingest(&mut self, log: &ChangeLog) {
        self.shared.ways.ingest(log);
    }

    /// Looks packets of one port up. `short` and `long` have a bit for the place of every packet with such a key; for
    /// each of them `found` becomes the number of its megaflow or [`NONE`].
    #[inline(always)]
    pub fn lookup(
        &mut self,
        port: usize,
        keys: &[FlowKey; BATCH],
        short: u32,
        long: u32,
        found: &mut [u32; BATCH],
    ) {
        *found = [NONE; BATCH];
        if short != 0 {
            self.short.lookup(port, keys, short, found, &mut self.shared.counts);
        }
        if long != 0 {
            self.lookup_long(port, keys, long, found);
        }
    }

    #[inline(never)]
    fn lookup_long(&mut self, port: usize, keys: &[FlowKey; BATCH], long: u32, found: &mut [u32; BATCH]) {
        self.long.lookup(port, keys, long, found, &mut self.shared.counts);
        for (place, found) in found.iter_mut().enumerate() {
            if long & (1 << place) != 0 && *found != NONE {
                *found |= LONG;
            }
        }
    }

    /// The megaflow that sends on, as it is, whatever comes in by the port at this place and of this number, and where to.
    /// What is cached beside it says the same, or is of the past.
    #[inline(always)]
    pub fn wire(&mut self, port: usize, number: PortNo, log: &ChangeLog) -> Option<(u32, PortRef)> {
        let wire = self.wires.get(port).copied().filter(|wire| *wire != NONE)?;
        match self.check_wire(port, number, wire, log) {
            Some(Verdict::Output(at)) => Some((wire, at)),
            _ => {
                self.wires.iter_mut().skip(port).take(1).for_each(|wire| *wire = NONE);
                None
            }
        }
    }

    #[inline(always)]
    fn check_wire(&mut self, port: usize, number: PortNo, wire: u32, log: &ChangeLog) -> Option<Verdict> {
        let slot = self.short.flows.get(wire)?;
        // The place may have another port by now, the number another megaflow, and one for packets that come back to a
        // frozen context serves no others.
        let fresh = u64::from(number.0) << 32;
        let is_it =
            slot.port() == port && slot.key().first() == Some(&fresh) && slot.value.verdict.is_for_all();
        if is_it { self.short.verdict(wire, log, &mut self.shared) } else { None }
    }

    /// Counts a burst that [`FlowCache::wire`] served.
    #[inline(always)]
    pub fn count_wire(&mut self, number: u32, packets: u32, bytes: u64, now_ms: u64) {
        self.shared.counts.megaflow_hits += u64::from(packets);
        self.shared.counts.probes += u64::from(packets);
        self.short.count(number, packets, bytes, now_ms);
    }

    /// The megaflow that one packet meets, uncounted.
    pub fn find(&self, port: usize, key: &FlowKey, shape: Shape) -> Option<u32> {
        match shape {
            Shape::Short => self.short.flows.find(port, key),
            Shape::Long => self.long.flows.find(port, key).map(|number| number | LONG),
        }
    }

    /// Counts a hit of a megaflow that [`FlowCache::find`] found.
    pub fn count_hit(&mut self) {
        self.shared.counts.megaflow_hits += 1;
    }

    /// Of a packet that waited, the megaflow that was found and counted is gone.
    pub fn count_gone(&mut self) {
        self.shared.counts.stale += 1;
    }

    /// Differs from what it was before if a number that was found then may mean another megaflow now.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.shared.version
    }

    /// What to do with the packets of a megaflow; nothing if there is no such megaflow or a change may concern it.
    #[inline(always)]
    pub fn verdict(&mut self, number: u32, log: &ChangeLog) -> Option<Verdict> {
        match number & LONG {
            0 => self.short.verdict(number, log, &mut self.shared),
            _ => self.long.verdict(number & !LONG, log, &mut self.shared),
        }
    }

    /// Counts packets of a megaflow.
    #[inline(always)]
    pub fn count(&mut self, number: u32, packets: u32, bytes: u64, now_ms: u64) {
        match number & LONG {
            0 => self.short.count(number, packets, bytes, now_ms),
            _ => self.long.count(number & !LONG, packets, bytes, now_ms),
        }
    }

    /// What to do with the packet at a place of a burst, by what [`FlowCache::lookup`] found, and where the places end with
    /// which the same is to be done; all these are counted. Without a verdict it is about one packet, which is not.
    #[inline(always)]
    pub fn agree(
        &mut self,
        burst: &Served<'_, impl Fn(usize) -> u32>,
        place: usize,
    ) -> (Option<Verdict>, usize) {
        match burst.found[place % BATCH] & LONG {
            0 => self.short.agree(burst, place, &mut self.shared),
            _ => self.long.agree(burst, place, &mut self.shared),
        }
    }

    /// [`FlowCache::verdict`], and [`FlowCache::count`] if there is one.
    #[inline]
    pub fn hit(
        &mut self,
        number: u32,
        packets: u32,
        bytes: u64,
        now_ms: u64,
        log: &ChangeLog,
    ) -> Option<Verdict> {
        let verdict = self.verdict(number, log)?;
        self.count(number, packets, bytes, now_ms);
        Some(verdict)
    }

    /// Numbers the contexts that a translation of a packet of the port at a place left behind; where no number is left, the packet cannot come back, which the
    /// next ones may again. Before its operations are used.
    pub fn freeze(&mut self, translation: &mut Translation, port: usize, now_ms: u64) {
        let contexts = &mut self.shared.contexts;
        translation.number_frozen(|context| contexts.number(context, port, now_ms));
    }

    /// The context of a number, if it is still there.
    pub fn context(&mut self, number: u32, now_ms: u64) -> Option<&Context> {
        self.shared.contexts.get(number, now_ms)
    }

    /// The operations of a [`Verdict::Run`].
    #[inline]
    pub fn ops(&self, program: u32) -> &[Op] {
        self.shared.programs.get(program)
    }

    /// Keeps what a translation found for packets like this, uncounted. None if there is no room for it.
    pub fn install(
        &mut self,
        miss: &Miss<'_>,
        translation: &Translation,
        stats: &mut StatsWriter,
    ) -> Option<u32> {
        let shared = &mut self.shared;
        shared.counts.stale += u64::from(miss.stale.is_some());
        let mut made = shared.make(translation, miss.now_ms);
        if made.is_none() && translation.recorded().cacheable {
            // Some list is full: a megaflow that nobody uses now may leave room in it.
            let gone = self.short.make_room(None, miss, shared, stats);
            made = gone.and_then(|()| shared.make(translation, miss.now_ms));
        }
        let number = made.and_then(|cached| {
            let recorded = translation.recorded();
            let put = match miss.shape {
                Shape::Short => {
                    let number = self.short.put(miss, recorded, cached, shared, stats);
                    if let (Some(wire), Some(number)) = (self.wires.get_mut(miss.port), number)
                        && cached.verdict.is_for_all()
                    {
                        *wire = number;
                    }
                    number
                }
                Shape::Long => self.long.put(miss, recorded, cached, shared, stats).map(|n| n | LONG),
            };
            if put.is_none() {
                shared.release(&cached);
            }
            put
        });
        if let Some(stale) = miss.stale.filter(|stale| Some(*stale) != number) {
            self.remove(stale, miss.now_ms, stats);
        }
        let counts = &mut self.shared.counts;
        match number {
            Some(_) => counts.installed += 1,
            None => counts.refused += 1,
        }
        number
    }

    fn remove(&mut self, number: u32, now_ms: u64, stats: &mut StatsWriter) {
        match number & LONG {
            0 => self.short.remove(number, now_ms, &mut self.shared, stats),
            _ => self.long.remove(number & !LONG, now_ms, &mut self.shared, stats),
        }
    }

    /// What became of packets.
    #[inline(always)]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Bytes set aside for every megaflow of the short form, with its share of what all use together.
    pub fn bytes_each(&self) -> usize {
        let lists = self.shared.programs.bytes() + self.shared.effects.bytes();
        self.short.flows.bytes_each() + lists / self.shared.sizes.megaflows.max(1)
    }

    /// How many megaflows and subtables there are, and whether the exact-match cache is asked.
    pub fn gauges(&self) -> (usize, usize, bool) {
        let megaflows = self.short.flows.len() + self.long.flows.len();
        let subtables = self.short.flows.subtables() + self.long.flows.subtables();
        (megaflows, subtables, self.short.exact_in_use() || self.long.exact_in_use())
    }
}

/// The contexts that operations leave behind.
fn frozen_in(ops: &[Op]) -> impl Iterator<Item = u32> {
    ops.iter().flat_map(|op| op.frozen()).filter(|frozen| *frozen != 0)
}

impl Shared {
    /// What is kept of a translation. None if it must not be kept or there is no room.
    fn make(&mut self, translation: &Translation, now_ms: u64) -> Option<Cached> {
        let recorded = translation.recorded();
        if !recorded.cacheable {
            return None;
        }
        let ops = translation.ops();
        let program = self.programs.intern(ops)?;
        if self.programs.users(program) == 1 {
            frozen_in(ops).for_each(|context| self.contexts.hold(context, 1));
        }
        let Some(effects) = self.effects.intern(translation.hits()) else {
            self.release_program(program);
            return None;
        };
        let Some(way) = self.ways.intern(recorded) else {
            self.release_program(program);
            self.effects.release(effects);
            return None;
        };
        let verdict = match ops {
            [Op::Output(port)] => Packed::output(*port, recorded.is_of_port_alone()),
            _ => Packed::run(program),
        };
        Some(Cached {
            program,
            effects,
            way,
            checked: self.ways.seen(),
            used_ms: now_ms as u32,
            verdict,
            ..Cached::default()
        })
    }

    fn release_program(&mut self, program: u32) {
        if self.programs.users(program) == 1 {
            frozen_in(self.programs.get(program)).for_each(|context| self.contexts.hold(context, -1));
        }
        self.programs.release(program);
    }

    fn release(&mut self, cached: &Cached) {
        self.release_program(cached.program);
        self.effects.release(cached.effects);
        self.ways.release(cached.way);
    }

    /// Adds what was counted of a megaflow to the flows it passed.
    fn settle(&mut self, cached: &mut Cached, now_ms: u64, stats: &mut StatsWriter) {
        if cached.new_packets == 0 {
            return;
        }
        // The clock has more bits than a megaflow remembers of it.
        let used = now_ms.saturating_sub(u64::from((now_ms as u32).wrapping_sub(cached.used_ms)));
        for flow in self.effects.get(cached.effects) {
            stats.add(*flow, u64::from(cached.new_packets), cached.new_bytes, used);
        }
        cached.packets += u64::from(cached.new_packets);
        cached.bytes += cached.new_bytes;
        (cached.new_packets, cached.new_bytes) = (0, 0);
    }
}
