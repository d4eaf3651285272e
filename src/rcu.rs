//! Publication of an immutable value to a fixed set of readers, without locks, by quiescent states.
//!
//! One [`Publisher`] swaps a pointer; each [`Reader`] looks at the pointer once per burst and announces the generation
//! it has picked up in a padded slot of its own. An old value is freed, by the publisher and on its thread, once every
//! reader has announced a later generation or is offline.
//!
//! The invariant: a reader whose slot says less than generation `g` may hold any value before `g`; a reader whose
//! slot says `OFFLINE` holds none. Between coming online and loading the pointer stands a fence, and between
//! swapping the pointer and reading the slots stands its partner, so that either the publisher sees the reader or
//! the reader sees the new value.

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Deref;
use std::ptr;

use crossbeam::utils::CachePadded;

#[cfg(millrace_loom)]
use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence},
};
#[cfg(not(millrace_loom))]
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence},
};

/// What an offline reader's slot says.
const OFFLINE: u64 = u64::MAX;
/// What the slot of a reader says that is online and has not picked up a value yet. Generations start at 1.
const ONLINE: u64 = 0;

struct Node<T> {
    generation: u64,
    value: T,
}

struct Slot {
    seen: AtomicU64,
    taken: AtomicBool,
}

struct Shared<T> {
    current: AtomicPtr<Node<T>>,
    slots: Box<[CachePadded<Slot>]>,
}

// SAFETY: the pointer is to a `Node<T>` that readers share by reference (T: Sync) and that is freed on whatever
// thread drops the publisher or the last handle (T: Send).
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let node = self.current.load(Ordering::Acquire);
        // SAFETY: the node came from `Box::into_raw` in `new` or `publish`, is freed nowhere else while it is
        // current, and no handle is left that could read it.
        drop(unsafe { Box::from_raw(node) });
    }
}

/// The writing side. Not clonable: there is one.
pub struct Publisher<T> {
    shared: Arc<Shared<T>>,
    /// Values out of use, with the generation that replaced each.
    retired: VecDeque<(u64, *mut Node<T>)>,
    generation: u64,
}

// SAFETY: the retired pointers are owned by the publisher alone; see `Shared`.
unsafe impl<T: Send + Sync> Send for Publisher<T> {}

impl<T> Publisher<T> {
    /// A publisher of `value` as generation 1, for at most `readers` readers.
    pub fn new(value: T, readers: usize) -> Self {
        let slot = || CachePadded::new(Slot { seen: AtomicU64::new(OFFLINE), taken: AtomicBool::new(false) });
        let node = Box::into_raw(Box::new(Node { generation: 1, value }));
        let shared = Shared { current: AtomicPtr::new(node), slots: (0..readers).map(|_| slot()).collect() };
        Self { shared: Arc::new(shared), retired: VecDeque::new(), generation: 1 }
    }

    /// The reader of a slot, offline at first; none if the slot is taken or does not exist.
    pub fn reader(&self, slot: usize) -> Option<Reader<T>> {
        let taken = self.shared.slots.get(slot)?.taken.swap(true, Ordering::AcqRel);
        (!taken).then(|| Reader { shared: self.shared.clone(), slot, held: ptr::null() })
    }

    /// The present value.
    pub fn current(&self) -> &T {
        let node = self.shared.current.load(Ordering::Acquire);
        // SAFETY: the current node is freed only after it was replaced, which takes `&mut self`.
        unsafe { &(*node).value }
    }

    /// The present generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Puts `value` in the place of the present one and returns its generation.
    pub fn publish(&mut self, value: T) -> u64 {
        self.generation += 1;
        let node = Box::into_raw(Box::new(Node { generation: self.generation, value }));
        let old = self.shared.current.swap(node, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.retired.push_back((self.generation, old));
        self.generation
    }

    /// Slots of the readers that are online and have not reached `generation`.
    pub fn lagging(&self, generation: u64) -> impl Iterator<Item = usize> + '_ {
        fence(Ordering::SeqCst);
        let slots = self.shared.slots.iter().enumerate();
        slots.filter(move |(_, slot)| slot.seen.load(Ordering::Acquire) < generation).map(|(index, _)| index)
    }

    /// The generation that the reader of a slot has announced; none while it is offline.
    pub fn seen(&self, slot: usize) -> Option<u64> {
        let seen = self.shared.slots.get(slot)?.seen.load(Ordering::Acquire);
        (seen != OFFLINE).then_some(seen)
    }

    /// Frees what no reader can hold any more, here and now, and returns how many values are still waiting.
    pub fn reclaim(&mut self) -> usize {
        fence(Ordering::SeqCst);
        let slots = self.shared.slots.iter();
        let oldest = slots.map(|slot| slot.seen.load(Ordering::Acquire)).min().unwrap_or(OFFLINE);
        while let Some((_, node)) = self.retired.pop_front_if(|(replaced_by, _)| *replaced_by <= oldest) {
            // SAFETY: the node came from `Box::into_raw`, was replaced in `replaced_by`, and every reader has
            // announced at least that generation or is offline, so none refers to it.
            drop(unsafe { Box::from_raw(node) });
        }
        self.retired.len()
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        // Readers may outlive the publisher and hold a retired value: what cannot be freed now is leaked.
        self.reclaim();
    }
}

/// The reading side, one per thread.
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
    slot: usize,
    /// The node announced as held; null while offline.
    held: *const Node<T>,
}

// SAFETY: a reader may move to another thread as long as it is not shared; `held` is only a memory of what its own
// slot announces. The value is reached by reference (T: Sync).
unsafe impl<T: Send + Sync> Send for Reader<T> {}

/// A value as a reader holds it; good until the reader looks again or parks, which the borrow enforces.
pub struct Guard<'a, T> {
    node: &'a Node<T>,
    /// Whether the value is another than the one seen before.
    pub changed: bool,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.node.value
    }
}

impl<T> Guard<'_, T> {
    /// Generation of the value.
    pub fn generation(&self) -> u64 {
        self.node.generation
    }
}

impl<T> Reader<T> {
    #[inline(always)]
    fn seen(&self) -> Option<&AtomicU64> {
        self.shared.slots.get(self.slot).map(|slot| &slot.seen)
    }

    /// Passes a quiescent state: lets go of the value seen before and picks up the present one. Comes online first
    /// if it was offline. Once a burst.
    #[inline(always)]
    pub fn read(&mut self) -> Guard<'_, T> {
        if self.held.is_null() {
            self.come_online();
        }
        let node = self.shared.current.load(Ordering::Acquire).cast_const();
        let changed = node != self.held;
        // SAFETY: our slot is online and says a generation before the one that will replace `node`, so the
        // publisher keeps it at least until the slot says otherwise, which takes `&mut self`.
        let node = unsafe { &*node };
        if changed {
            self.held = node;
            if let Some(seen) = self.seen() {
                seen.store(node.generation, Ordering::Release);
            }
        }
        Guard { node, changed }
    }

    #[cold]
    fn come_online(&mut self) {
        if let Some(seen) = self.seen() {
            seen.store(ONLINE, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// Goes offline: holds no value and is not waited for, until the next [`Reader::read`]. Before every sleep.
    pub fn park(&mut self) {
        self.held = ptr::null();
        if let Some(seen) = self.seen() {
            seen.store(OFFLINE, Ordering::Release);
        }
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        self.park();
        if let Some(slot) = self.shared.slots.get(self.slot) {
            slot.taken.store(false, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(millrace_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts how many of its kind are alive.
    struct Counted(std::sync::Arc<AtomicUsize>, u64);

    impl Counted {
        fn new(alive: &std::sync::Arc<AtomicUsize>, value: u64) -> Self {
            alive.fetch_add(1, Ordering::SeqCst);
            Self(alive.clone(), value)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_old_value_lives_until_its_last_reader_moves_on() {
        let alive = std::sync::Arc::new(AtomicUsize::new(0));
        let mut publisher = Publisher::new(Counted::new(&alive, 1), 2);
        let mut first = publisher.reader(0).unwrap();
        let mut second = publisher.reader(1).unwrap();
        assert!(publisher.reader(1).is_none());
        assert_eq!(first.read().1, 1);
        let held = second.read();
        let generation = publisher.publish(Counted::new(&alive, 2));
        assert_eq!(publisher.lagging(generation).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(first.read().1, 2);
        assert_eq!(publisher.reclaim(), 1);
        assert_eq!((held.1, alive.load(Ordering::SeqCst)), (1, 2));
        second.park();
        assert_eq!(publisher.lagging(generation).count(), 0);
        assert_eq!(publisher.reclaim(), 0);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert!(second.read().changed);
        drop((first, second));
        assert!(publisher.reader(1).is_some());
        drop(publisher);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn two_readers_never_see_a_freed_value_under_constant_publication() {
        let rounds: u64 = if cfg!(miri) { 200 } else { 200_000 };
        let mut publisher = Publisher::new(Box::new([1u64; 4]), 2);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for slot in 0..2 {
                let mut reader = publisher.reader(slot).unwrap();
                let stop = &stop;
                scope.spawn(move || {
                    let mut last = 0;
                    let mut turn = 0u64;
                    while !stop.load(Ordering::Relaxed) {
                        let value = reader.read();
                        assert!(value.iter().all(|word| *word == value[0]), "torn or freed");
                        assert!(value[0] >= last, "went back in time");
                        last = value[0];
                        turn += 1;
                        if turn % 64 == slot as u64 {
                            reader.park();
                        }
                    }
                });
            }
            for round in 2..rounds {
                publisher.publish(Box::new([round; 4]));
                publisher.reclaim();
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(publisher.reclaim(), 0);
    }
}

/// `RUSTFLAGS="--cfg millrace_loom" cargo test --release --no-default-features --lib -- rcu loom_models`
#[cfg(all(test, millrace_loom))]
mod model {
    use super::*;
    use loom::thread;

    /// Says in a flag outside of it that it was freed.
    struct Flagged(Arc<AtomicBool>);

    impl Drop for Flagged {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn read(reader: &mut Reader<Flagged>) {
        let value = reader.read();
        assert!(!value.0.load(Ordering::Relaxed), "read a freed value");
        thread::yield_now();
        assert!(!value.0.load(Ordering::Relaxed), "freed while held");
    }

    #[test]
    fn a_reader_that_reads_parks_and_reads_again() {
        loom::model(|| {
            let flag = || Flagged(Arc::new(AtomicBool::new(false)));
            let mut publisher = Publisher::new(flag(), 1);
            let mut reader = publisher.reader(0).unwrap();
            let thread = thread::spawn(move || {
                read(&mut reader);
                reader.park();
                read(&mut reader);
            });
            publisher.publish(flag());
            publisher.reclaim();
            publisher.publish(flag());
            publisher.reclaim();
            thread.join().unwrap();
            assert_eq!(publisher.reclaim(), 0);
        });
    }

    #[test]
    fn what_is_not_lagging_has_seen_the_new_value() {
        loom::model(|| {
            let mut publisher = Publisher::new(0usize, 1);
            let mut reader = publisher.reader(0).unwrap();
            let latest = Arc::new(AtomicBool::new(false));
            let answered = latest.clone();
            let thread = thread::spawn(move || {
                reader.read();
                // Once the command was answered, whatever is read afterwards must be the new value.
                let after_answer = answered.load(Ordering::Acquire);
                let value = *reader.read();
                assert!(!after_answer || value == 1, "met the older policy after the answer");
            });
            let generation = publisher.publish(1);
            if publisher.lagging(generation).next().is_none() {
                latest.store(true, Ordering::Release);
            }
            thread.join().unwrap();
        });
    }

    #[test]
    fn two_readers() {
        loom::model(|| {
            let flag = || Flagged(Arc::new(AtomicBool::new(false)));
            let mut publisher = Publisher::new(flag(), 2);
            let threads: Vec<_> = (0..2)
                .map(|slot| {
                    let mut reader = publisher.reader(slot).unwrap();
                    thread::spawn(move || {
                        read(&mut reader);
                    })
                })
                .collect();
            publisher.publish(flag());
            publisher.reclaim();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(publisher.reclaim(), 0);
        });
    }
}
