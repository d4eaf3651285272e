//! Packets that wait for a neighbour, in order, so many of each neighbour, of each port, and in all.
//!
//! No port can fill the room. A quarter of it is kept for ports of which nothing waits; of the rest a port may have
//! as much as a quarter of what is free. Nor does it drive others out: where too many wait for one neighbour, its own
//! oldest goes.
//!
//! A packet waits [`WAIT_MS`] at most, which is less than a frozen context is kept after its last use: the context that it
//! goes on from is still there. Where too many wait for one neighbour an old one goes, as RFC 4861 wants it.

use std::hash::BuildHasher;

use arrayvec::ArrayVec;
use foldhash::quality::FixedState;

use super::again::Left;
use super::counters::MAX_SLOTS;
use crate::action::intent::Neighbour;
use crate::classifier::cache::Buckets;

/// Packets that may wait for one neighbour.
pub const EACH: usize = 4;
/// Packets that may wait in all.
const ROOM: usize = 512;
/// Neighbours for which packets may wait: one for each packet.
const NEIGHBOURS: usize = ROOM;
/// Milliseconds that a packet waits at most.
pub const WAIT_MS: u64 = 8_000;
/// Milliseconds between two looks for packets that have waited too long.
const LOOK_MS: u64 = 100;

struct Queue<P> {
    neighbour: Neighbour,
    hash: u64,
    /// Oldest first, with the time when it came.
    packets: ArrayVec<(Left<P>, u64), EACH>,
}

/// See the module.
pub struct Held<P> {
    /// By number; those of no neighbour are empty. All memory is set aside at first.
    queues: Vec<Queue<P>>,
    free: Vec<u32>,
    index: Buckets,
    hasher: FixedState,
    /// By slot of the port: how many packets.
    of_port: [u16; MAX_SLOTS],
    len: usize,
    /// Ports of which some packet waits.
    present: usize,
    looked_ms: u64,
}

impl<P> Held<P> {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self {
            queues: Vec::with_capacity(NEIGHBOURS),
            free: Vec::with_capacity(NEIGHBOURS),
            index: Buckets::new(NEIGHBOURS),
            hasher: FixedState::with_seed(seed),
            of_port: [0; MAX_SLOTS],
            len: 0,
            present: 0,
            looked_ms: 0,
        }
    }

    fn find(&self, neighbour: &Neighbour, hash: u64) -> Option<u32> {
        self.index.find(hash, |number| {
            self.queues.get(number as usize).is_some_and(|queue| queue.neighbour == *neighbour)
        })
    }

    /// Lets a packet wait. Gives back the one that has to go for it: itself, or one that waits for the same neighbour,
    /// the port's own oldest or else the oldest of all.
    pub fn push(&mut self, packet: Left<P>, neighbour: Neighbour, now_ms: u64) -> Option<P> {
        let slot = usize::from(packet.at.slot);
        let hash = self.hasher.hash_one(neighbour);
        let found = self.find(&neighbour, hash);
        let queue = found.and_then(|number| self.queues.get(number as usize));
        let makes_room = queue.is_some_and(|queue| queue.packets.is_full());
        let own =
            queue.and_then(|queue| queue.packets.iter().position(|(left, _)| left.at.slot == packet.at.slot));
        // One of its own goes, so that it has no more than before.
        let is_exchange = makes_room && own.is_some();
        let Some(count) = self.of_port.get(slot).copied().map(usize::from) else {
            return Some(packet.packet);
        };
        let open = (ROOM - self.len).saturating_sub((ROOM / 4).saturating_sub(self.present));
        let has_room = (self.len < ROOM || makes_room) && (count == 0 || (open > 0 && count <= open / 4));
        if !is_exchange && !has_room {
            return Some(packet.packet);
        }
        let Some(number) = found.or_else(|| self.add(neighbour, hash)) else { return Some(packet.packet) };
        let Some(queue) = self.queues.get_mut(number as usize) else { return Some(packet.packet) };
        let oldest = if makes_room { queue.packets.pop_at(own.unwrap_or(0)) } else { None };
        if let Err(full) = queue.packets.try_push((packet, now_ms)) {
            return Some(full.element().0.packet);
        }
        self.len += 1;
        self.present += usize::from(count == 0);
        self.of_port.iter_mut().skip(slot).take(1).for_each(|count| *count += 1);
        oldest.map(|(oldest, _)| self.count_off(oldest).packet)
    }

    fn add(&mut self, neighbour: Neighbour, hash: u64) -> Option<u32> {
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.queues.len() < NEIGHBOURS => {
                self.queues.push(Queue { neighbour, hash, packets: ArrayVec::new() });
                self.queues.len() as u32 - 1
            }
            None => return None,
        };
        if !self.index.insert(hash, number) {
            self.free.push(number);
            return None;
        }
        let queue = self.queues.get_mut(number as usize)?;
        (queue.neighbour, queue.hash) = (neighbour, hash);
        Some(number)
    }

    fn count_off(&mut self, packet: Left<P>) -> Left<P> {
        self.len -= 1;
        let slot = usize::from(packet.at.slot);
        if let Some(count) = self.of_port.get_mut(slot) {
            *count -= 1;
            self.present -= usize::from(*count == 0);
        }
        packet
    }

    /// The packets that wait for a neighbour, oldest first; they wait no more.
    pub fn take(&mut self, neighbour: &Neighbour) -> ArrayVec<Left<P>, EACH> {
        let hash = self.hasher.hash_one(neighbour);
        let Some(number) = self.find(neighbour, hash) else { return ArrayVec::new() };
        let packets = self.queues.get_mut(number as usize).map(|queue| std::mem::take(&mut queue.packets));
        self.remove(number, hash);
        packets.unwrap_or_default().into_iter().map(|(packet, _)| self.count_off(packet)).collect()
    }

    fn remove(&mut self, number: u32, hash: u64) {
        self.index.remove(hash, number);
        self.free.push(number);
    }

    /// Hands packets that have waited too long for a neighbour to `gone`. Once a turn; looks seldom.
    #[inline(always)]
    pub fn expire(&mut self, now_ms: u64, gone: impl FnMut(P, &Neighbour)) {
        if self.len > 0 && now_ms.saturating_sub(self.looked_ms) >= LOOK_MS {
            self.look(now_ms, gone);
        }
    }

    #[cold]
    fn look(&mut self, now_ms: u64, mut gone: impl FnMut(P, &Neighbour)) {
        self.looked_ms = now_ms;
        for number in 0..self.queues.len() {
            let mut was = false;
            while let Some(queue) = self.queues.get_mut(number)
                && queue.packets.first().is_some_and(|(_, since)| now_ms.saturating_sub(*since) >= WAIT_MS)
                && let Some((packet, _)) = queue.packets.pop_at(0)
            {
                was = true;
                let neighbour = queue.neighbour;
                gone(self.count_off(packet).packet, &neighbour);
            }
            if let Some(queue) = self.queues.get(number).filter(|queue| was && queue.packets.is_empty()) {
                self.remove(number as u32, queue.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::packet::key::TunnelWords;
    use crate::packet::{PortNo, PortRef, Said};

    fn left(packet: u32, slot: u16) -> Left<u32> {
        let at = PortRef { slot, generation: 0 };
        Left {
            packet,
            said: Said::default(),
            number: PortNo(1),
            at,
            frozen: 1,
            round: 0,
            tunnel: TunnelWords::default(),
        }
    }

    fn neighbour(ip: u128) -> Neighbour {
        Neighbour { datapath: 1, port: 2, ip: Ipv6Addr::from_bits(ip) }
    }

    fn taken(held: &mut Held<u32>, ip: u128) -> Vec<u32> {
        held.take(&neighbour(ip)).into_iter().map(|left| left.packet).collect()
    }

    #[test]
    fn four_wait_for_a_neighbour_in_order_and_the_oldest_goes_for_a_fifth() {
        let mut held = Held::new(1);
        let gone: Vec<_> = (0..6).filter_map(|n| held.push(left(n, 0), neighbour(1), 0)).collect();
        assert_eq!(gone, [0, 1]);
        assert_eq!(held.push(left(9, 0), neighbour(2), 0), None);
        assert_eq!(taken(&mut held, 1), [2, 3, 4, 5]);
        assert!(taken(&mut held, 1).is_empty());
        assert_eq!(taken(&mut held, 2), [9]);
        assert_eq!((held.len, held.of_port[0]), (0, 0));
    }

    #[test]
    fn a_port_has_a_share_and_room_comes_back() {
        let mut held = Held::new(1);
        let mut refused = |slot: u16, from: u128| {
            let packets = 0..200;
            packets
                .filter(|n| held.push(left(*n, slot), neighbour(from + u128::from(*n)), 0).is_some())
                .count()
        };
        assert!((120..125).contains(&refused(3, 0)), "no more than a sixth of the room is its own");
        assert!((135..140).contains(&refused(4, 1000)));
        // However many send to nobody, the next one finds room.
        for slot in 5..100 {
            assert!(refused(slot, u128::from(slot) * 1000) < 200, "port {slot}");
        }
        assert_eq!(taken(&mut held, 7), [7]);
        let mut gone = 0;
        held.expire(WAIT_MS - 1, |_, _| gone += 1);
        assert_eq!(gone, 0);
        let all = held.len;
        held.expire(WAIT_MS + LOOK_MS, |_, _| gone += 1);
        assert_eq!((gone, held.len, held.free.len()), (all, 0, held.queues.len()));
        for n in 0..400 {
            let _ = held.push(left(n, (n % 8) as u16), neighbour(u128::from(n) % 100), 0);
        }
        assert!((220..=400).contains(&held.len), "{}", held.len);
    }

    #[test]
    fn a_port_drives_out_one_packet_of_others_at_most() {
        let mut held = Held::new(1);
        (0..4).for_each(|n| assert_eq!(held.push(left(n, 1), neighbour(1), 0), None));
        let gone: Vec<_> = (10..30).filter_map(|n| held.push(left(n, 2), neighbour(1), 0)).collect();
        assert_eq!((gone[0], &gone[1..]), (0, &(10..29).collect::<Vec<_>>()[..]));
        assert_eq!(taken(&mut held, 1), [1, 2, 3, 29]);
        assert_eq!((held.of_port[1], held.of_port[2]), (0, 0));
    }

    #[test]
    fn every_packet_is_either_here_or_given_back() {
        let (mut held, mut random, mut here, mut now_ms) = (Held::new(1), 1u64, 0, 0);
        // Miri takes its time.
        for n in 0..if cfg!(miri) { 200 } else { 20_000 } {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let ip = u128::from(random >> 33) % 150;
            let slot = (random >> 20) as u16 % 6;
            match random >> 60 {
                0 => here -= taken(&mut held, ip).len(),
                1 => {
                    now_ms += 300;
                    held.expire(now_ms, |_, _| here -= 1);
                }
                _ => here += usize::from(held.push(left(n, slot), neighbour(ip), now_ms).is_none()),
            }
            assert_eq!((held.len, held.of_port.iter().map(|n| usize::from(*n)).sum()), (here, here));
            assert!(here <= ROOM && held.of_port.iter().all(|count| usize::from(*count) <= ROOM / 6));
            assert_eq!(held.present, held.of_port.iter().filter(|count| **count > 0).count());
            assert_eq!(held.queues.iter().map(|queue| queue.packets.len()).sum::<usize>(), here);
        }
    }

    #[test]
    fn only_what_has_waited_too_long_goes() {
        let mut held = Held::new(1);
        for (n, at) in [(0, 0), (1, 5000)] {
            assert_eq!(held.push(left(n, 0), neighbour(1), at), None);
        }
        let mut gone = Vec::new();
        held.expire(WAIT_MS + 10, |packet, waited_for| gone.push((packet, *waited_for)));
        assert_eq!(gone, [(0, neighbour(1))]);
        assert_eq!(taken(&mut held, 1), [1]);
    }
}
