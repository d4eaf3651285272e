//! The megaflows of one form of the key with the exact-match cache in front of them, and the decision whether that pays.

use super::{BATCH, Cached, Counts};
use crate::classifier::cache::{
    ExactMatch, Limits, Megaflows, NONE, Seed, flow_hash, long_flow_hash, places,
};
use crate::packet::FlowKey;
use crate::packet::key::SHORT_WORDS;

/// Packets after which the decision is made anew.
const WINDOW: u32 = 1 << 15;
/// Windows at most between two trials of a cache that did not pay.
const LONGEST_PAUSE: u32 = 256;
/// What was measured of a stage, in cycles: a probe of a subtable, a look into the exact-match cache, an entry made.
const PROBE: u64 = 7;
const LOOK: u64 = 7;
const ENTER: u64 = 6;

/// See the module.
pub struct Level<const N: usize> {
    pub flows: Megaflows<N, Cached>,
    /// Where the search for a megaflow that may make room goes on.
    pub hand: u32,
    exact: ExactMatch,
    seed: Seed,
    policy: Policy,
}

impl<const N: usize> Level<N> {
    pub fn new(limits: Limits, exact_entries: usize, seed: Seed) -> Self {
        Self {
            flows: Megaflows::new(limits, seed),
            hand: 0,
            exact: ExactMatch::new(exact_entries),
            seed,
            policy: Policy::default(),
        }
    }

    /// Whether the exact-match cache is asked.
    pub fn exact_in_use(&self) -> bool {
        self.policy.state != State::Off
    }

    /// Looks packets of one port up. See [`Megaflows::lookup`].
    #[inline]
    pub fn lookup(
        &mut self,
        port: usize,
        keys: &[FlowKey; BATCH],
        todo: u32,
        found: &mut [u32; BATCH],
        counts: &mut Counts,
    ) {
        let all = u64::from(todo.count_ones());
        if self.policy.state == State::Off {
            let (left, probes) = self.flows.lookup(port, keys, todo, found);
            counts.probes += probes;
            counts.megaflow_hits += all - u64::from(left.count_ones());
            self.policy.after(all, 0, probes);
            return;
        }
        let (exact_hits, megaflow_hits, probes) = self.lookup_exact_first(port, keys, todo, found);
        counts.emc_hits += exact_hits;
        counts.megaflow_hits += megaflow_hits;
        counts.probes += probes;
        self.policy.after(all, exact_hits, probes);
    }

    /// Asks the exact-match cache, and the megaflows for the rest. Returns the hits of each, and the probes.
    fn lookup_exact_first(
        &mut self,
        port: usize,
        keys: &[FlowKey; BATCH],
        todo: u32,
        found: &mut [u32; BATCH],
    ) -> (u64, u64, u64) {
        let mut hashes = [0u64; BATCH];
        let mut guesses = [NONE; BATCH];
        for place in places(todo) {
            let key = &keys[place];
            let hash =
                if N == SHORT_WORDS { flow_hash(&self.seed, key) } else { long_flow_hash(&self.seed, key) };
            hashes[place] = hash;
            self.exact.prefetch(hash);
        }
        for place in places(todo) {
            let guess = self.exact.guess(hashes[place]).unwrap_or(NONE);
            guesses[place] = guess;
            self.flows.prefetch(guess);
        }
        let mut missed = 0;
        for place in places(todo) {
            let key = &keys[place];
            let guess = guesses[place];
            let answer = if self.flows.is_met(guess, key) { guess } else { NONE };
            found[place] = answer;
            missed |= u32::from(answer == NONE) << place;
        }
        let exact_hits = u64::from((todo & !missed).count_ones());
        if missed == 0 {
            return (exact_hits, 0, 0);
        }
        let (left, probes) = self.flows.lookup(port, keys, missed, found);
        for place in places(missed & !left) {
            self.exact.insert(hashes[place], found[place]);
        }
        (exact_hits, u64::from((missed & !left).count_ones()), probes)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not asked.
    Off,
    /// Asked, to see what it does; the first window only fills it.
    Filling,
    /// Asked and measured.
    On,
}

/// Decides whether to ask the exact-match cache: where most packets are found in the first subtable, or where there are
/// more flows than it holds, it costs more than it saves.
struct Policy {
    state: State,
    /// Of the window at hand.
    packets: u32,
    exact_hits: u64,
    probes: u64,
    /// Windows until the next trial, and how many there will be if that fails.
    pause: u32,
    next_pause: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { state: State::Off, packets: 0, exact_hits: 0, probes: 0, pause: 0, next_pause: 1 }
    }
}

impl Policy {
    #[inline(always)]
    fn after(&mut self, packets: u64, exact_hits: u64, probes: u64) {
        self.packets += packets as u32;
        self.exact_hits += exact_hits;
        self.probes += probes;
        if self.packets >= WINDOW {
            self.decide();
        }
    }

    #[cold]
    fn decide(&mut self) {
        let packets = u64::from(self.packets);
        let searched = packets - self.exact_hits;
        match self.state {
            State::Off => {
                // More than a probe and a half for each packet: something could be saved.
                if self.probes * 2 > packets * 3 {
                    self.pause = self.pause.saturating_sub(1);
                    if self.pause == 0 {
                        self.state = State::Filling;
                    }
                }
            }
            State::Filling => self.state = State::On,
            State::On => {
                // Those that it served would have cost as many probes as those that it did not.
                let saved = self.exact_hits * PROBE * self.probes / searched.max(1);
                let spent = packets * LOOK + searched * ENTER;
                if searched > packets / 64 && saved < spent {
                    self.state = State::Off;
                    self.pause = self.next_pause;
                    self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
                } else {
                    self.next_pause = 1;
                }
            }
        }
        (self.packets, self.exact_hits, self.probes) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(policy: &mut Policy, hits_of_8: u64, probes_each: u64) {
        for _ in 0..WINDOW / 32 {
            let hits = 4 * hits_of_8;
            policy.after(32, hits, (32 - hits) * probes_each);
        }
    }

    #[test]
    fn one_subtable_never_needs_the_exact_match_cache() {
        let mut policy = Policy::default();
        (0..10).for_each(|_| window(&mut policy, 0, 1));
        assert_eq!(policy.state, State::Off);
    }

    #[test]
    fn it_is_tried_kept_where_it_hits_and_given_up_where_it_thrashes() {
        let mut policy = Policy::default();
        window(&mut policy, 0, 10);
        assert_eq!(policy.state, State::Filling);
        window(&mut policy, 0, 10);
        assert_eq!(policy.state, State::On);
        window(&mut policy, 7, 10);
        assert_eq!(policy.state, State::On);
        window(&mut policy, 8, 0);
        assert_eq!(policy.state, State::On);
        window(&mut policy, 0, 10);
        assert_eq!((policy.state, policy.pause, policy.next_pause), (State::Off, 1, 2));
        // The next trial comes, and each failed one makes the pause longer.
        (0..3).for_each(|_| window(&mut policy, 0, 10));
        assert_eq!((policy.state, policy.pause, policy.next_pause), (State::Off, 2, 4));
    }
}
