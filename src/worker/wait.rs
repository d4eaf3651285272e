//! Packets that wait for translation, in order, at most so many of each port.
//!
//! A packet must not overtake one of its own flow that waits. So while packets of a port wait, others that might be of
//! the same flow wait behind them, told by a hash: a wait too much now and then, never one too little.

use std::collections::VecDeque;

use super::again::Left;
use super::counters::MAX_SLOTS;
use crate::classifier::cache::{Seed, address_hash};
use crate::packet::FlowKey;

/// Packets of a port that may wait.
const ROOM: usize = 256;
/// Packets of a port that are translated in one go; the others wait. So a port whose packets are all new takes from the
/// others no more than the time of these.
pub const MISSES: usize = 16;
/// Turns after which a packet that waits has gone.
pub const TURNS: u32 = (ROOM / MISSES) as u32;
/// Counters of waiting packets by hash.
const HASHES: usize = 1024;

struct One<P> {
    left: Left<P>,
    hash: u16,
    counted: bool,
}

/// See the module.
pub struct Waiting<P> {
    /// By slot of the port. Their memory is set aside at first.
    queues: Box<[VecDeque<One<P>>]>,
    /// How many packets of a hash wait.
    hashes: Box<[u16]>,
    /// Slots of the ports whose packets wait.
    ports: Vec<u16>,
    len: usize,
    seed: Seed,
}

impl<P> Waiting<P> {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self {
            queues: (0..MAX_SLOTS).map(|_| VecDeque::with_capacity(ROOM)).collect(),
            hashes: vec![0; HASHES].into(),
            ports: Vec::with_capacity(MAX_SLOTS),
            len: 0,
            seed: Seed::new(seed),
        }
    }

    /// Whether no packet waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether packets of a port wait.
    #[inline(always)]
    pub fn has(&self, slot: usize) -> bool {
        self.len > 0 && self.queues.get(slot).is_some_and(|queue| !queue.is_empty())
    }

    /// Whether a packet of that flow may wait.
    #[inline(always)]
    pub fn is_behind(&self, slot: usize, key: &FlowKey) -> bool {
        self.has(slot) && self.hashes.get(self.hash(key)).is_some_and(|count| *count > 0)
    }

    /// Lets a packet wait, for which a megaflow was counted or not; gives it back if as many of its port wait as may.
    pub fn push(&mut self, left: Left<P>, key: &FlowKey, counted: bool) -> Result<(), P> {
        let (hash, slot) = (self.hash(key), left.at.slot);
        let Some(queue) = self.queues.get_mut(usize::from(slot)) else { return Err(left.packet) };
        if queue.len() == ROOM {
            return Err(left.packet);
        }
        if queue.is_empty() && !self.ports.contains(&slot) {
            self.ports.push(slot);
        }
        queue.push_back(One { left, hash: hash as u16, counted });
        if let Some(count) = self.hashes.get_mut(hash) {
            *count += 1;
        }
        self.len += 1;
        Ok(())
    }

    /// How many ports have packets that wait, until the next [`Waiting::settle`].
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// The packet of the `index`-th port that has waited longest, and whether a megaflow was counted for it.
    pub fn pop(&mut self, index: usize) -> Option<(Left<P>, bool)> {
        let slot = usize::from(*self.ports.get(index)?);
        let One { left, hash, counted } = self.queues.get_mut(slot)?.pop_front()?;
        if let Some(count) = self.hashes.get_mut(usize::from(hash)) {
            *count -= 1;
        }
        self.len -= 1;
        Some((left, counted))
    }

    /// Forgets the ports whose packets no longer wait.
    pub fn settle(&mut self) {
        let queues = &self.queues;
        self.ports.retain(|slot| queues.get(usize::from(*slot)).is_some_and(|queue| !queue.is_empty()));
    }

    fn hash(&self, key: &FlowKey) -> usize {
        address_hash(&self.seed, key) as usize % HASHES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::key::TunnelWords;
    use crate::packet::{Field, PortNo, PortRef, Said};

    fn key(src: u128) -> FlowKey {
        let mut key = FlowKey::default();
        key.set(Field::NwSrc, src);
        key
    }

    fn left<P>(packet: P, slot: u16) -> Left<P> {
        let at = PortRef { slot, generation: 0 };
        Left {
            packet,
            said: Said::default(),
            number: PortNo(9),
            at,
            frozen: 0,
            round: 0,
            tunnel: TunnelWords::default(),
        }
    }

    #[test]
    fn packets_wait_in_order_and_their_flows_behind_them() {
        let mut waiting = Waiting::new(1);
        assert!(!waiting.is_behind(1, &key(1)));
        for n in 0..3 {
            assert_eq!(waiting.push(left(n, 1), &key(1), n == 1), Ok(()));
        }
        assert_eq!(waiting.push(left(7, 2), &key(2), true), Ok(()));
        assert!(waiting.is_behind(1, &key(1)) && waiting.has(2) && !waiting.has(3));
        assert_eq!((waiting.ports(), waiting.len()), (2, 4));
        let order: Vec<_> = std::iter::from_fn(|| waiting.pop(0)).map(|(left, _)| left.packet).collect();
        assert_eq!(order, [0, 1, 2]);
        waiting.settle();
        assert!(!waiting.has(1) && !waiting.is_behind(1, &key(1)));
        let (last, counted) = waiting.pop(0).unwrap();
        assert_eq!((last.packet, last.at.slot, counted), (7, 2, true));
        waiting.settle();
        assert!(waiting.is_empty() && waiting.ports() == 0);
    }

    #[test]
    fn only_so_many_of_a_port_wait() {
        let mut waiting = Waiting::new(1);
        let refused = (0..ROOM + 2).filter(|n| waiting.push(left(*n, 3), &key(1), false).is_err());
        assert_eq!(refused.collect::<Vec<_>>(), [ROOM, ROOM + 1]);
    }
}
