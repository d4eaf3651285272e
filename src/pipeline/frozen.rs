//! Packets that leave the tables in the middle and come back: what the tables knew of such a packet beside its bytes, and
//! what was still to be done to it.
//!
//! The invariants:
//! - A [`Context`] is complete: whoever goes on from it needs neither the flows that led to it nor the packet as it was.
//! - Equal contexts have one number, so that packets which come back with one share their megaflows.
//! - A number comes to mean another context only after a million others at its place: a packet that comes back too late
//!   finds nothing. After a restart numbers begin anew.
//! - One port's packets take no more than their share of the numbers.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use arrayvec::ArrayVec;
use foldhash::quality::FixedState;

use super::translate::{At, MAX_STACK};
use crate::action::Action;
use crate::classifier::cache::{Buckets, PORTS};
use crate::packet::FlowKey;
use crate::packet::key::{KEY_WORDS, w};

/// Lists of actions that may be left to be done.
pub const MAX_RESTS: usize = 32;
/// Contexts that a worker keeps. A power of two.
pub const MAX_CONTEXTS: usize = 4096;
/// Contexts that the packets of one port may make.
pub const OF_PORT: usize = MAX_CONTEXTS / 8;
/// Milliseconds for which a context is kept after it was last used, whoever needs room.
const HELD_MS: u64 = 10_000;
/// Milliseconds without a search after one in vain: it takes long, and a sender may ask for one with every packet.
const PAUSE_MS: u64 = 100;
/// Words of the key that are not the packet's: the port, the mark, metadata and registers, tunnel and connection.
const WORDS: usize = 2 + KEY_WORDS - w::METADATA;
/// The part of the first word that is the port.
const IN_PORT: u64 = 0xffff_ffff << 32;

/// The words that a context keeps, with their bits.
pub(super) fn kept() -> impl Iterator<Item = (usize, u64)> {
    let context = [(w::CONTEXT, IN_PORT), (w::MARK, u64::MAX)];
    context.into_iter().chain((w::METADATA..KEY_WORDS).map(|word| (word, u64::MAX)))
}

/// A list of actions of which the first have been done.
#[derive(Clone, Debug)]
pub struct Rest {
    /// All of them.
    pub(super) actions: Arc<[Action]>,
    /// How many were done.
    pub(super) done: usize,
    /// Where they stand.
    pub(super) at: At,
}

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.actions, &other.actions) && self.done == other.done && self.at == other.at
    }
}

impl Rest {
    /// The last `left` actions of a list. It keeps the list, whatever becomes of its flow; the price is a counter that
    /// workers share, paid once for a packet that leaves the tables and is not in the caches.
    pub(super) fn of(list: &Arc<[Action]>, left: usize, at: At) -> Self {
        Self { actions: Arc::clone(list), done: list.len().saturating_sub(left), at }
    }

    fn hash(&self, state: &mut impl Hasher) {
        (self.actions.as_ptr().addr(), self.done, self.at).hash(state);
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    words: [u64; WORDS],
    pub(super) stack: ArrayVec<u128, MAX_STACK>,
    /// The innermost last.
    pub(super) rests: ArrayVec<Rest, MAX_RESTS>,
}

impl Context {
    /// Keeps what a key says beside the packet.
    pub(super) fn keep(&mut self, key: &FlowKey) {
        for (own, (word, bits)) in self.words.iter_mut().zip(kept()) {
            *own = key.words().get(word).map_or(0, |word| word & bits);
        }
    }

    /// Gives it back to a key that a packet was parsed into.
    pub fn restore(&self, key: &mut FlowKey) {
        for (own, (word, bits)) in self.words.iter().zip(kept()) {
            if let Some(word) = key.words.get_mut(word) {
                *word = *word & !bits | own;
            }
        }
    }

    /// The table of the list of actions that is gone on with first.
    pub fn table(&self) -> Option<u8> {
        self.rests.last().map(|rest| rest.at.table())
    }

    fn hash(&self, hasher: &FixedState) -> u64 {
        let mut state = hasher.build_hasher();
        (self.words, &*self.stack).hash(&mut state);
        self.rests.iter().for_each(|rest| rest.hash(&mut state));
        state.finish()
    }
}

struct Slot {
    context: Context,
    hash: u64,
    number: u32,
    /// Place of the port whose packet made it.
    port: usize,
    /// Programs of megaflows that name it.
    users: u32,
    used_ms: u64,
}

/// The contexts of a worker, by number. All memory is set aside at first.
pub struct Contexts {
    slots: Vec<Slot>,
    index: Buckets,
    hasher: FixedState,
    /// Where the search for one that may go goes on.
    hand: usize,
    /// The time, as last told.
    now_ms: u64,
    /// By place of the port: how many it made.
    of_port: Box<[usize]>,
    /// Until then no search: the last one found none. By place of the port that was to give one up, the last for any.
    none_until_ms: Box<[u64]>,
}

impl Contexts {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Vec::with_capacity(MAX_CONTEXTS),
            index: Buckets::new(MAX_CONTEXTS),
            hasher: FixedState::with_seed(seed),
            hand: 0,
            now_ms: 0,
            of_port: [0; PORTS].into(),
            none_until_ms: [0; PORTS + 1].into(),
        }
    }

    /// Time passes.
    pub fn tell(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// The number of a context that a packet of the port at a place leaves behind. None where all are in use, or all of the
    /// port's share.
    pub fn number(&mut self, context: &Context, port: usize, now_ms: u64) -> Option<u32> {
        let hash = context.hash(&self.hasher);
        let slots = &self.slots;
        let same = |at: u32| slots.get(at as usize).is_some_and(|slot| slot.context == *context);
        if let Some(slot) = self.index.find(hash, same).and_then(|at| self.slots.get_mut(at as usize)) {
            slot.used_ms = now_ms;
            return Some(slot.number);
        }
        let has_share = *self.of_port.get(port)? < OF_PORT;
        let (at, number) = if has_share && self.slots.len() < MAX_CONTEXTS {
            (self.slots.len(), (self.slots.len() | MAX_CONTEXTS) as u32)
        } else {
            let at = self.idle((!has_share).then_some(port), now_ms)?;
            let slot = self.slots.get(at)?;
            self.index.remove(slot.hash, at as u32);
            self.of_port.iter_mut().skip(slot.port).take(1).for_each(|count| *count -= 1);
            (at, next(slot.number))
        };
        self.of_port.iter_mut().skip(port).take(1).for_each(|count| *count += 1);
        let slot = Slot { context: Context::clone(context), hash, number, port, users: 0, used_ms: now_ms };
        match self.slots.get_mut(at) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        self.index.insert(hash, at as u32).then_some(number)
    }

    /// A place whose context nobody has used for long; of a port or of any.
    fn idle(&mut self, of: Option<usize>, now_ms: u64) -> Option<usize> {
        let none_until_ms = self.none_until_ms.get_mut(of.unwrap_or(PORTS))?;
        if now_ms < *none_until_ms {
            return None;
        }
        *none_until_ms = now_ms + PAUSE_MS;
        let found = (0..MAX_CONTEXTS).map(|n| (self.hand + n) % MAX_CONTEXTS).find(|at| {
            let mut slot = self.slots.get(*at).into_iter().filter(|slot| of.is_none_or(|of| of == slot.port));
            slot.any(|slot| slot.users == 0 && now_ms.saturating_sub(slot.used_ms) >= HELD_MS)
        })?;
        *none_until_ms = 0;
        self.hand = found + 1;
        Some(found)
    }

    fn slot(&mut self, number: u32) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(number as usize % MAX_CONTEXTS)?;
        (slot.number == number).then_some(slot)
    }

    /// The context of a number, which is used now.
    pub fn get(&mut self, number: u32, now_ms: u64) -> Option<&Context> {
        let slot = self.slot(number)?;
        slot.used_ms = now_ms;
        Some(&slot.context)
    }

    /// One user more or less, and used until now.
    pub fn hold(&mut self, number: u32, by: i32) {
        let now_ms = self.now_ms;
        if let Some(slot) = self.slot(number) {
            slot.users = slot.users.saturating_add_signed(by);
            slot.used_ms = slot.used_ms.max(now_ms);
        }
    }
}

/// The number of the next context at the place of one. Never 0, and never below [`MAX_CONTEXTS`].
fn next(number: u32) -> u32 {
    let count = MAX_CONTEXTS as u32;
    match number.wrapping_add(count) {
        low if low < count => low + count,
        number => number,
    }
}
