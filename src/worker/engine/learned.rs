//! Neighbours on their way to the packets that wait for them, and what workers tell.

use super::{Backend, Engine, Handle};
use crate::action::intent::Neighbour;
use crate::datapath::Told;
use crate::packet::Mac;
use crate::worker::mailbox::Learned;

/// Neighbours that may wait here for one worker; of more the oldest go, and packets wait for those in vain.
const KEPT: usize = 4096;

impl<B: Backend> Engine<B> {
    /// Tells every worker of a neighbour that the next publication makes known.
    pub(super) fn tell_learned(&mut self, neighbour: Neighbour, mac: Mac) {
        let learned = Learned { neighbour, mac, generation: self.publisher.generation() + 1 };
        for worker in &mut self.workers {
            if worker.learned.len() == KEPT {
                worker.learned.pop_front();
            }
            worker.learned.push_back(learned);
            worker.hand_on();
        }
    }

    /// Tries again where a ring was full.
    pub(super) fn hand_on_learned(&mut self) {
        self.workers.iter_mut().for_each(Handle::hand_on);
    }

    /// Takes what workers have told, at most `max`, an equal share from each.
    pub(super) fn take_told(&mut self, max: usize) -> Vec<Told> {
        let mut all = Vec::new();
        let share = max / self.workers.len().max(1);
        for worker in &mut self.workers {
            for _ in 0..share.max(1) {
                let Ok(told) = worker.mailbox.told.pop() else { break };
                all.push(Told { intent: told.intent, in_port: told.in_port, data: told.data.to_vec() });
            }
        }
        all
    }
}

impl<P> Handle<P> {
    /// Hands neighbours on as far as there is room in the ring.
    fn hand_on(&mut self) {
        while let Some(learned) = self.learned.front()
            && self.mailbox.learned.push(*learned).is_ok()
        {
            self.learned.pop_front();
        }
    }
}
