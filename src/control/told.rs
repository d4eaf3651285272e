//! What workers told and nobody has taken in yet, but for what concerns the underlay, which cannot wait.
//!
//! The invariant: it is bounded, and no port can fill it: of what is free a port has a quarter at most, but always one.

use std::collections::{HashMap, VecDeque};

use crate::datapath::Told;
use crate::packet::PortNo;

/// Things fetched at a time.
pub const STRETCH: usize = 1024;
/// Things that wait at most.
const ROOM: usize = 8 * STRETCH;

/// See the module.
#[derive(Default)]
pub struct Waiting {
    queue: VecDeque<Told>,
    of_port: HashMap<PortNo, usize>,
    /// Things for which there was no room.
    pub lost: u64,
}

impl Waiting {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// One more, if there is room.
    pub fn push(&mut self, told: Told) {
        let free = ROOM.saturating_sub(self.queue.len());
        let count = self.of_port.entry(told.in_port).or_default();
        if *count > 0 && *count >= free / 4 {
            self.lost += 1;
            return;
        }
        *count += 1;
        self.queue.push_back(told);
    }

    /// The oldest, so many at most.
    pub fn take(&mut self, most: usize) -> Vec<Told> {
        let count = most.min(self.queue.len());
        let taken: Vec<Told> = self.queue.drain(..count).collect();
        for told in &taken {
            if let Some(count) = self.of_port.get_mut(&told.in_port) {
                *count -= 1;
            }
        }
        if self.queue.is_empty() {
            self.of_port.clear();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::intent::Intent;
    use crate::packet::Mac;

    fn told(port: u16) -> Told {
        let intent = Intent::Fdb { datapath: 1, port: 1, mac: Mac::default() };
        Told { intent, in_port: PortNo(port), data: Vec::new() }
    }

    #[test]
    fn no_port_takes_all_the_room() {
        let mut waiting = Waiting::default();
        (0..10 * ROOM).for_each(|_| waiting.push(told(1)));
        let first = waiting.queue.len();
        assert!((STRETCH..=ROOM / 4).contains(&first), "{first}");
        assert_eq!(waiting.lost, (10 * ROOM - first) as u64);
        for port in 2..100 {
            (0..ROOM).for_each(|_| waiting.push(told(port)));
        }
        assert!(waiting.queue.len() <= ROOM + 100);
        // The next one still finds room.
        let before = waiting.queue.len();
        waiting.push(told(100));
        assert_eq!(waiting.queue.len(), before + 1);
        while !waiting.is_empty() {
            assert!(!waiting.take(100).is_empty());
        }
        assert!(waiting.of_port.is_empty());
        // As much as is fetched at a time has room where nothing waits.
        (0..STRETCH).for_each(|_| waiting.push(told(1)));
        assert_eq!(waiting.take(usize::MAX).len(), STRETCH);
    }
}
