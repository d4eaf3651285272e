//! Megaflows: keys with masks, each with what to do for the packets that meet it, found by tuple-space search.
//!
//! The megaflows of one port and one mask are a *subtable*. All subtables share one table of hashes, so that none has
//! to grow, and every port has its own list of them, best first: what one port's traffic does to its list, others do not
//! feel. Two megaflows that a packet meets say the same, so the first that is found is the answer.
//!
//! `N` is how many words of the key are looked at: the short form of the key or the whole.

use wide::u64x4;

use super::buckets::{Begun, Buckets};
use super::hash::Seed;
use crate::hint;
use crate::packet::FlowKey;
use crate::packet::key::w;

/// No megaflow.
pub const NONE: u32 = u32::MAX;

/// Packets that are looked up together.
const BATCH: usize = 32;
/// Ports that may have megaflows.
pub const PORTS: usize = 256;
/// Subtables that a port may have, whatever its limits say.
const MAX_MASKS: usize = 256;
/// Subtables of a port beside those it may have: that of the whole key, with and without the TTL.
const WHOLE: usize = 2;
/// Subtables of all ports together, whatever the limits say: their numbers have 16 bits.
const SUBTABLES: usize = NO_SUBTABLE as usize;
/// The subtable of a slot that holds no megaflow.
const NO_SUBTABLE: u16 = u16::MAX;
/// How far nw_ttl stands above the lowest bit of its word.
const TTL_SHIFT: u32 = 40;

/// The least TTL or hop limit that a megaflow serves. Packets without one have 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TtlGuard(pub u8);

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Megaflows.
    pub megaflows: usize,
    /// Megaflows of one port.
    pub per_port: usize,
    /// Masks of one port.
    pub masks_per_port: usize,
}

/// Why a megaflow was not put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There are as many as there may be.
    Full,
    /// The port has as many as it may have.
    PortFull,
    /// The port has as many masks as it may have, or all ports together have.
    Masks,
}

/// One megaflow: two cache lines with a short key.
#[repr(C, align(64))]
pub struct Slot<const N: usize, T> {
    /// Zero outside the mask of the subtable.
    key: [u64; N],
    subtable: u16,
    port: u8,
    guard: TtlGuard,
    /// What the owner keeps with it.
    pub value: T,
}

impl<const N: usize, T> Slot<N, T> {
    #[inline(always)]
    fn prefetch(&self) {
        hint::prefetch(&self.key);
        hint::prefetch(&self.value);
    }

    /// What it matches, on the bits of its mask.
    pub fn key(&self) -> &[u64; N] {
        &self.key
    }

    /// The least TTL that it serves.
    pub fn guard(&self) -> TtlGuard {
        self.guard
    }

    /// Changes the least TTL that it serves.
    pub fn set_guard(&mut self, guard: TtlGuard) {
        self.guard = guard;
    }

    /// The port whose megaflow it is.
    pub fn port(&self) -> usize {
        usize::from(self.port)
    }
}

#[repr(align(64))]
struct Subtable<const N: usize> {
    mask: [u64; N],
    /// Keeps equal keys of different subtables apart.
    salt: u64,
    entries: u32,
}

impl<const N: usize> Subtable<N> {
    #[inline(always)]
    fn hash(&self, key: &[u64; N], seed: &Seed) -> u64 {
        seed.hash(key, &self.mask, self.salt)
    }
}

/// The places that bits stand for.
#[inline(always)]
pub fn places(bits: u32) -> impl Iterator<Item = usize> {
    let mut left = bits;
    std::iter::from_fn(move || {
        let place = left.trailing_zeros();
        left &= left.wrapping_sub(1);
        (place < BATCH as u32).then_some(place as usize)
    })
}

/// Does something for each place that bits stand for: `ALL` of them, which is told apart because it is faster and the rule
/// under load, or some.
#[inline(always)]
fn each<const ALL: bool>(bits: u32, does: impl FnMut(usize)) {
    if ALL { (0..BATCH).for_each(does) } else { places(bits).for_each(does) }
}

/// A subtable that is probed for many packets.
struct Probe<'a, const N: usize, T> {
    subtable: &'a Subtable<N>,
    id: u16,
    slots: &'a [Slot<N, T>],
    buckets: &'a Buckets,
    seed: &'a Seed,
}

impl<const N: usize, T> Probe<'_, N, T> {
    /// Probes for the packets of `todo`, which are `ALL` of a burst or some; returns those not found.
    #[inline(always)]
    fn probe<const ALL: bool>(&self, keys: &[FlowKey; BATCH], todo: u32, found: &mut [u32; BATCH]) -> u32 {
        let mut begun = [Begun::default(); BATCH];
        let mut guesses = [NONE; BATCH];
        each::<ALL>(todo, |place| {
            if let Some(key) = words(&keys[place]) {
                begun[place] = self.buckets.begin(self.subtable.hash(key, self.seed));
            }
        });
        each::<ALL>(todo, |place| {
            let guess = self.buckets.guess(begun[place]).unwrap_or(NONE);
            guesses[place] = guess;
            if let Some(slot) = self.slots.get(guess as usize) {
                slot.prefetch();
            }
        });
        let mut missed = 0;
        each::<ALL>(todo, |place| {
            let Some(key) = words(&keys[place]) else { return };
            let mut answer = guesses[place];
            if answer != NONE && !self.is_it(answer, key) {
                // Another key with this hash, or a TTL below the guard: seldom.
                let other = self.buckets.find_tag(begun[place].tag, |number| self.is_it(number, key));
                answer = other.unwrap_or(NONE);
            }
            found[place] = answer;
            missed |= u32::from(answer == NONE) << place;
        });
        missed
    }

    #[inline(always)]
    fn is_it(&self, number: u32, key: &[u64; N]) -> bool {
        let slot = self.slots.get(number as usize);
        slot.is_some_and(|slot| slot.subtable == self.id && serves(slot, &self.subtable.mask, key))
    }
}

/// A subtable in a port's list.
#[derive(Clone, Copy)]
struct Ranked {
    subtable: u16,
    /// Packets it served since the list was last put in order, and a half of those before.
    hits: u32,
}

struct PortList {
    /// Best first.
    order: Vec<Ranked>,
    entries: u32,
    /// The megaflow that served the last packet.
    last: u32,
    /// How much longer it is asked before anything is hashed.
    patience: u8,
}

/// Bursts for which the last megaflow is asked first after it served most of a burst.
const PATIENCE: u8 = 8;
/// It is asked once in so many bursts (a power of two, less one) where it does not serve.
const TRIAL: u32 = 31;

impl PortList {
    /// Whether the last megaflow is worth asking: packets come in trains, or one megaflow serves them all.
    #[inline(always)]
    fn asks_last(&self, burst: u32) -> bool {
        self.patience > 0 || burst & TRIAL == 0
    }

    /// Learns how many of the packets asked about it served.
    #[inline(always)]
    fn learn(&mut self, asked: u32, served: u32) {
        self.patience = if served * 2 >= asked { PATIENCE } else { self.patience.saturating_sub(1) };
    }
}

/// See the module.
pub struct Megaflows<const N: usize, T> {
    slots: Vec<Slot<N, T>>,
    free: Vec<u32>,
    buckets: Buckets,
    subtables: Vec<Subtable<N>>,
    /// Places among them that hold none.
    free_subtables: Vec<u16>,
    ports: Vec<PortList>,
    seed: Seed,
    limits: Limits,
    bursts: u32,
}

/// The words of a key that are looked at.
#[inline(always)]
fn words<const N: usize>(key: &FlowKey) -> Option<&[u64; N]> {
    key.words().first_chunk()
}

impl<const N: usize, T: Default> Megaflows<N, T> {
    /// None yet, with memory for all.
    pub fn new(limits: Limits, seed: Seed) -> Self {
        let limits = Limits { masks_per_port: limits.masks_per_port.min(MAX_MASKS), ..limits };
        let list = || PortList {
            order: Vec::with_capacity(limits.masks_per_port + WHOLE),
            entries: 0,
            last: NONE,
            patience: 0,
        };
        let subtables = SUBTABLES.min(PORTS * (limits.masks_per_port + WHOLE));
        Self {
            slots: hint::room(limits.megaflows),
            free: Vec::with_capacity(limits.megaflows),
            buckets: Buckets::new(limits.megaflows),
            subtables: Vec::with_capacity(subtables),
            free_subtables: Vec::with_capacity(subtables),
            ports: (0..PORTS).map(|_| list()).collect(),
            seed,
            limits,
            bursts: 0,
        }
    }

    /// Looks packets of one port up: those among `keys` for whose place `todo` has a bit. For each that is found, `found`
    /// becomes its megaflow. Returns the bits of the others, and how many subtables were probed in all.
    #[inline]
    pub fn lookup(
        &mut self,
        port: usize,
        keys: &[FlowKey; BATCH],
        todo: u32,
        found: &mut [u32; BATCH],
    ) -> (u32, u64) {
        let Some(list) = self.ports.get_mut(port) else { return (todo, 0) };
        let all = todo;
        let mut todo = todo;
        let mut probes = 0;
        self.bursts = self.bursts.wrapping_add(1);
        if list.asks_last(self.bursts)
            && let Some(slot) = self.slots.get(list.last as usize).filter(|slot| slot.port() == port)
            && let Some(subtable) = self.subtables.get(usize::from(slot.subtable))
        {
            let asked = todo;
            for place in places(asked) {
                let served = words(&keys[place]).is_some_and(|key| serves(slot, &subtable.mask, key));
                if served {
                    found[place] = list.last;
                }
                todo &= !(u32::from(served) << place);
            }
            let served = (asked & !todo).count_ones();
            list.learn(asked.count_ones(), served);
            probes += u64::from(served);
            if let Some(ranked) = list.order.iter_mut().find(|ranked| ranked.subtable == slot.subtable) {
                ranked.hits = ranked.hits.saturating_add(served);
            }
            if todo == 0 {
                return (0, probes);
            }
        }
        for ranked in &mut list.order {
            let Some(subtable) = self.subtables.get(usize::from(ranked.subtable)) else { continue };
            let asked = todo.count_ones();
            probes += u64::from(asked);
            let probe = Probe {
                subtable,
                id: ranked.subtable,
                slots: &self.slots,
                buckets: &self.buckets,
                seed: &self.seed,
            };
            todo = match todo {
                u32::MAX => probe.probe::<true>(keys, todo, found),
                _ => probe.probe::<false>(keys, todo, found),
            };
            ranked.hits = ranked.hits.saturating_add(asked - todo.count_ones());
            if todo == 0 {
                break;
            }
        }
        // The last packet's; where it was not found, the one before stays.
        let last = found[31 - (all | 1).leading_zeros() as usize];
        if last != NONE {
            list.last = last;
        }
        (todo, probes)
    }

    /// The megaflow of a port that one key meets.
    pub fn find(&self, port: usize, key: &FlowKey) -> Option<u32> {
        let key = words(key)?;
        self.ports.get(port)?.order.iter().find_map(|ranked| {
            let subtable = self.subtables.get(usize::from(ranked.subtable))?;
            self.buckets.find(subtable.hash(key, &self.seed), |number| {
                let slot = self.slots.get(number as usize);
                slot.is_some_and(|slot| slot.subtable == ranked.subtable && serves(slot, &subtable.mask, key))
            })
        })
    }

    /// Whether that megaflow, if it is one, serves a packet.
    #[inline(always)]
    pub fn is_met(&self, number: u32, key: &FlowKey) -> bool {
        let (Some(slot), Some(key)) = (self.slots.get(number as usize), words(key)) else { return false };
        let Some(subtable) = self.subtables.get(usize::from(slot.subtable)) else { return false };
        serves(slot, &subtable.mask, key)
    }

    /// Asks for the lines of a megaflow.
    #[inline(always)]
    pub fn prefetch(&self, number: u32) {
        if let Some(slot) = self.slots.get(number as usize) {
            slot.prefetch();
        }
    }

    /// A megaflow.
    #[inline(always)]
    pub fn get(&self, number: u32) -> Option<&Slot<N, T>> {
        self.slots.get(number as usize).filter(|slot| slot.subtable != NO_SUBTABLE)
    }

    /// A megaflow.
    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Slot<N, T>> {
        self.slots.get_mut(number as usize).filter(|slot| slot.subtable != NO_SUBTABLE)
    }

    /// The mask of a megaflow.
    pub fn mask(&self, number: u32) -> Option<&[u64; N]> {
        let subtable = usize::from(self.get(number)?.subtable);
        Some(&self.subtables.get(subtable)?.mask)
    }

    /// The megaflow of a port with exactly that mask and key.
    pub fn find_same(&self, port: usize, mask: &[u64; N], key: &FlowKey) -> Option<u32> {
        let key = words(key)?;
        let id = self.subtable_of(port, mask)?;
        let subtable = self.subtables.get(usize::from(id))?;
        self.buckets.find(subtable.hash(key, &self.seed), |number| {
            let slot = self.slots.get(number as usize);
            slot.is_some_and(|slot| slot.subtable == id && equal(&slot.key, mask, key))
        })
    }

    /// Puts a megaflow in. There must not be one with the same mask and key: see [`Megaflows::find_same`].
    pub fn insert(
        &mut self,
        port: usize,
        mask: &[u64; N],
        key: &FlowKey,
        guard: TtlGuard,
        value: T,
    ) -> Result<u32, Refused> {
        let key = words(key).ok_or(Refused::Full)?;
        let list = self.ports.get(port).ok_or(Refused::PortFull)?;
        if list.entries as usize >= self.limits.per_port {
            return Err(Refused::PortFull);
        }
        if self.free.is_empty() && self.slots.len() >= self.limits.megaflows {
            return Err(Refused::Full);
        }
        let id = match self.subtable_of(port, mask) {
            Some(id) => id,
            None => self.add_subtable(port, mask)?,
        };
        let subtable = self.subtables.get_mut(usize::from(id)).ok_or(Refused::Masks)?;
        let mut masked = *key;
        masked.iter_mut().zip(mask).for_each(|(word, mask)| *word &= mask);
        let slot = Slot { key: masked, subtable: id, port: port as u8, guard, value };
        let hash = subtable.hash(key, &self.seed);
        let number = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        if !self.buckets.insert(hash, number) {
            self.drop_if_empty(port, id);
            return Err(Refused::Full);
        }
        subtable.entries += 1;
        match self.free.pop() {
            Some(number) => {
                if let Some(place) = self.slots.get_mut(number as usize) {
                    *place = slot;
                }
            }
            None => self.slots.push(slot),
        }
        if let Some(list) = self.ports.get_mut(port) {
            list.entries += 1;
        }
        Ok(number)
    }

    /// Takes a megaflow out and gives what was kept with it.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let slot = self.get_mut(number)?;
        let (id, port) = (slot.subtable, slot.port());
        slot.subtable = NO_SUBTABLE;
        let key = slot.key;
        let value = std::mem::take(&mut slot.value);
        if let Some(subtable) = self.subtables.get_mut(usize::from(id)) {
            self.buckets.remove(subtable.hash(&key, &self.seed), number);
            subtable.entries -= 1;
        }
        self.free.push(number);
        if let Some(list) = self.ports.get_mut(port) {
            list.entries -= 1;
        }
        self.drop_if_empty(port, id);
        Some(value)
    }

    /// Puts the lists of all ports in the order of their hits. Now and then.
    pub fn rank(&mut self) {
        for list in self.ports.iter_mut().filter(|list| list.order.len() > 1) {
            list.order.sort_unstable_by_key(|ranked| std::cmp::Reverse(ranked.hits));
            list.order.iter_mut().for_each(|ranked| ranked.hits /= 2);
        }
    }

    /// How many megaflows there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there may be.
    pub fn room(&self) -> usize {
        self.limits.megaflows
    }

    /// Numbers are below this.
    pub fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many subtables there are.
    pub fn subtables(&self) -> usize {
        self.subtables.len() - self.free_subtables.len()
    }

    /// How many megaflows and subtables a port has.
    pub fn of_port(&self, port: usize) -> (usize, usize) {
        self.ports.get(port).map_or((0, 0), |list| (list.entries as usize, list.order.len()))
    }

    /// Bytes for a megaflow in these structures: its slot and its share of the table of hashes.
    pub fn bytes_each(&self) -> usize {
        size_of::<Slot<N, T>>() + size_of::<u32>() + self.buckets.bytes() / self.limits.megaflows.max(1)
    }

    fn subtable_of(&self, port: usize, mask: &[u64; N]) -> Option<u16> {
        let ids = self.ports.get(port)?.order.iter().map(|ranked| ranked.subtable);
        let mut same = ids
            .filter(|id| self.subtables.get(usize::from(*id)).is_some_and(|subtable| subtable.mask == *mask));
        same.next()
    }

    fn add_subtable(&mut self, port: usize, mask: &[u64; N]) -> Result<u16, Refused> {
        let list = self.ports.get_mut(port).ok_or(Refused::PortFull)?;
        if list.order.len() >= self.limits.masks_per_port && !is_whole(mask) {
            return Err(Refused::Masks);
        }
        let id = self.free_subtables.last().copied().unwrap_or(self.subtables.len() as u16);
        if usize::from(id) >= self.subtables.capacity() || list.order.len() == list.order.capacity() {
            return Err(Refused::Masks);
        }
        let salt = self.seed.with(u64::from(id)).secret();
        let subtable = Subtable { mask: *mask, salt, entries: 0 };
        match self.subtables.get_mut(usize::from(id)) {
            Some(place) => *place = subtable,
            None => self.subtables.push(subtable),
        }
        self.free_subtables.pop();
        list.order.push(Ranked { subtable: id, hits: 0 });
        Ok(id)
    }

    fn drop_if_empty(&mut self, port: usize, id: u16) {
        if self.subtables.get(usize::from(id)).is_none_or(|subtable| subtable.entries != 0) {
            return;
        }
        self.free_subtables.push(id);
        if let Some(list) = self.ports.get_mut(port) {
            list.order.retain(|ranked| ranked.subtable != id);
        }
    }
}

/// Whether a packet meets a megaflow.
#[inline(always)]
fn serves<const N: usize, T>(slot: &Slot<N, T>, mask: &[u64; N], key: &[u64; N]) -> bool {
    let ttl = key.get(w::NW_MISC).map_or(0, |word| (word >> TTL_SHIFT) as u8);
    equal(&slot.key, mask, key) && ttl >= slot.guard.0
}

/// Whether a masked key is that of `key`.
#[inline(always)]
fn equal<const N: usize>(masked: &[u64; N], mask: &[u64; N], key: &[u64; N]) -> bool {
    let at = |words: &[u64; N], n: usize| {
        u64x4::from(words.get(n..n + 4).and_then(|four| four.first_chunk()).copied().unwrap_or_default())
    };
    let differ = |n: usize| at(masked, n) ^ (at(key, n) & at(mask, n));
    let fours = (0..N / 4).fold(u64x4::ZERO, |all, n| all | differ(n * 4));
    let rest = masked.iter().zip(mask).zip(key).skip(N / 4 * 4);
    let rest = rest.fold(0, |all, ((own, mask), word)| all | (own ^ (word & mask)));
    rest == 0 && fours.simd_eq(u64x4::ZERO).to_bitmask() == 0b1111
}

/// Whether a mask has every bit, but for those of the TTL.
fn is_whole<const N: usize>(mask: &[u64; N]) -> bool {
    let mut words = mask.iter().enumerate();
    words.all(|(at, word)| word | if at == w::NW_MISC { 0xff << TTL_SHIFT } else { 0 } == u64::MAX)
}
