//! Looks at received packets, from the control thread's side: one at a time, on all workers.

use std::num::NonZeroU64;

use super::{Backend, Engine};
use crate::classifier::Match;
use crate::datapath::Caught;
use crate::worker::live::Live;
use crate::worker::mailbox::Request;

/// Room for a packet.
const ROOM: usize = 1 << 16;

/// What is looked for at present.
#[derive(Default)]
pub struct LiveDesk {
    wanted: Option<Match>,
    /// How many looks there have been.
    last: u64,
    caught: Option<Caught>,
}

/// How far one worker is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum LiveLeg {
    /// It does not look, and was not asked to.
    #[default]
    Idle,
    /// It looks.
    Looks(u64),
    /// It was told to bring back what it has.
    Ending,
}

impl<B: Backend> Engine<B> {
    /// Looks for a packet, or no more.
    pub(super) fn look_for(&mut self, filter: Option<Match>) {
        (self.live.wanted, self.live.caught) = (filter, None);
        self.live.last += 1;
        self.go_on_looking();
    }

    /// The packet that was found, once.
    pub(super) fn caught(&mut self) -> Option<Caught> {
        self.go_on_looking();
        self.live.caught.take()
    }

    /// Hands out and takes back what can be. A ring that is full is tried again.
    pub(super) fn go_on_looking(&mut self) {
        let desk = &mut self.live;
        for worker in &mut self.workers {
            while let Ok(live) = worker.mailbox.lives.pop() {
                worker.live = LiveLeg::Idle;
                if let (Some(in_port), true, true) =
                    (live.found, live.token.get() == desk.last, desk.wanted.is_some())
                {
                    desk.caught = Some(Caught { in_port, tunnel: live.tunnel, data: live.data });
                    desk.wanted = None;
                }
            }
        }
        for worker in &mut self.workers {
            let token = NonZeroU64::new(desk.last);
            match (worker.live, &desk.wanted, token) {
                (LiveLeg::Idle, Some(filter), Some(token)) => {
                    let live = Box::new(Live::new(token, filter.clone(), Vec::with_capacity(ROOM)));
                    if worker.mailbox.requests.push(Request::Look(live)).is_ok() {
                        worker.live = LiveLeg::Looks(desk.last);
                    }
                }
                (LiveLeg::Looks(at), wanted, _)
                    if (wanted.is_none() || at != desk.last)
                        && worker.mailbox.requests.push(Request::LookNoMore).is_ok() =>
                {
                    worker.live = LiveLeg::Ending;
                }
                _ => {}
            }
        }
    }
}
