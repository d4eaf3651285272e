//! The state of one neighbour, after RFC 4861's neighbour unreachability detection, for both families.

use crate::packet::Mac;
use crate::tunnel::answer::Heard;

/// State of a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked for, without an answer yet.
    Incomplete,
    /// It answered not long ago.
    Reachable,
    /// It did not answer for a while and is asked again; used on.
    Stale,
    /// It did not answer.
    Failed,
}

impl State {
    /// In what is shown.
    pub const fn name(self) -> &'static str {
        match self {
            State::Incomplete => "incomplete",
            State::Reachable => "reachable",
            State::Stale => "stale",
            State::Failed => "failed",
        }
    }
}

/// So long an answer counts.
const REACHABLE: u64 = 30_000;
/// Between two requests.
const RETRY: u64 = 1000;
/// Requests without an answer until something else is done.
const TRIES: u8 = 3;
/// After so long one that failed is asked again though nothing waits for it.
const REVIVE: u64 = 10_000;

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// Everybody.
    All,
    /// The one who had the address.
    One(Mac),
}

/// One neighbour.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    pub state: State,
    /// Known in the states reachable and stale.
    pub mac: Option<Mac>,
    /// When it was last heard, or since when it is looked for.
    pub since: u64,
    /// When something is to be done.
    next: u64,
    asked_at: Option<u64>,
    tries: u8,
}

impl Neighbour {
    /// One that is to be asked for at once.
    pub fn new(now: u64) -> Self {
        Self { state: State::Incomplete, mac: None, since: now, next: now, asked_at: None, tries: 0 }
    }

    /// When [`Neighbour::tick`] has to be called next.
    pub fn due(&self) -> u64 {
        self.next
    }

    /// It showed itself. Says whether its Ethernet address changed.
    pub fn heard(&mut self, heard: &Heard, now: u64) -> bool {
        let has_changed = self.mac != Some(heard.mac);
        if has_changed && self.mac.is_some() && !heard.overrides {
            // Somebody else answers too; what was known is asked after.
            if self.state == State::Reachable {
                self.ask_from(State::Stale, now);
            }
            return false;
        }
        if heard.is_answer {
            (self.state, self.tries) = (State::Reachable, 0);
            self.next = now + REACHABLE;
        } else if has_changed {
            // It was heard, but whether it hears us is not known.
            self.ask_from(State::Stale, now);
        }
        self.mac = Some(heard.mac);
        self.since = now;
        has_changed
    }

    /// A packet waits for it.
    pub fn wanted(&mut self, now: u64) {
        if self.state == State::Failed {
            self.ask_from(State::Incomplete, now);
        }
    }

    /// Goes on to `now`: whom to ask, and whether the Ethernet address is not known any more.
    pub fn tick(&mut self, now: u64) -> (Option<Ask>, bool) {
        if now < self.next {
            return (None, false);
        }
        let mut has_changed = false;
        match self.state {
            State::Reachable => self.ask_from(State::Stale, now),
            State::Stale if self.tries >= TRIES => {
                has_changed = self.mac.take().is_some();
                self.since = now;
                self.ask_from(State::Incomplete, now);
            }
            State::Incomplete if self.tries >= TRIES => {
                self.state = State::Failed;
                self.next = now + REVIVE;
                return (None, has_changed);
            }
            State::Failed => {
                self.ask_from(State::Incomplete, now);
                // One request.
                self.tries = TRIES - 1;
            }
            State::Stale | State::Incomplete => {}
        }
        if now < self.next {
            return (None, has_changed);
        }
        self.tries += 1;
        self.asked_at = Some(now);
        self.next = now + RETRY;
        (Some(self.mac.map_or(Ask::All, Ask::One)), has_changed)
    }

    /// Begins to ask, as soon as a second has passed since the last request.
    fn ask_from(&mut self, state: State, now: u64) {
        self.state = state;
        self.tries = 0;
        self.next = self.asked_at.map_or(now, |at| now.max(at + RETRY));
    }
}
