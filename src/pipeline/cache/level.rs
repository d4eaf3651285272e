//! The megaflows of one form of the key with the exact-match cache in front of them, and the decision whether that pays.

use arrayvec::ArrayVec;

use super::{BATCH, Cached, Counts};
use crate::classifier::cache::{ExactMatch, Limits, Megaflows, NONE, Seed, flow_hash, long_flow_hash};
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
        keys: &[FlowKey],
        todo: &mut ArrayVec<u8, BATCH>,
        found: &mut [u32; BATCH],
        counts: &mut Counts,
    ) {
        if todo.is_empty() {
            return;
        }
        let all = todo.len() as u64;
        if self.policy.state == State::Off {
            let probes = self.flows.lookup(port, keys, todo, found);
            counts.probes += probes;
            counts.megaflow_hits += all - todo.len() as u64;
            self.policy.after(all, 0, probes);
            return;
        }
        let mut hashes = [0u64; BATCH];
        self.ask_exact(keys, todo, found, &mut hashes);
        let exact_hits = all - todo.len() as u64;
        let mut probes = 0;
        if !todo.is_empty() {
            let mut left = todo.clone();
            probes = self.flows.lookup(port, keys, &mut left, found);
            for at in todo.iter() {
                let at = usize::from(*at) % BATCH;
                if found[at] != NONE {
                    self.exact.insert(hashes[at], found[at]);
                }
            }
            counts.megaflow_hits += (todo.len() - left.len()) as u64;
            *todo = left;
        }
        counts.emc_hits += exact_hits;
        counts.probes += probes;
        self.policy.after(all, exact_hits, probes);
    }

    /// Takes those out of `todo` that the exact-match cache knows.
    #[inline]
    fn ask_exact(
        &mut self,
        keys: &[FlowKey],
        todo: &mut ArrayVec<u8, BATCH>,
        found: &mut [u32; BATCH],
        hashes: &mut [u64; BATCH],
    ) {
        let mut guesses = [NONE; BATCH];
        for at in todo.iter() {
            let at = usize::from(*at);
            let Some(key) = keys.get(at) else { continue };
            let hash =
                if N == SHORT_WORDS { flow_hash(&self.seed, key) } else { long_flow_hash(&self.seed, key) };
            hashes[at % BATCH] = hash;
            self.exact.prefetch(hash);
        }
        for at in todo.iter() {
            let at = usize::from(*at) % BATCH;
            let guess = self.exact.guess(hashes[at]).unwrap_or(NONE);
            guesses[at] = guess;
            self.flows.prefetch(guess);
        }
        todo.retain(|at| {
            let at = usize::from(*at);
            let Some(key) = keys.get(at) else { return true };
            let at = at % BATCH;
            let mut answer = guesses[at];
            if answer != NONE && !self.flows.is_met(answer, key) {
                let known = self.exact.find(hashes[at], |number| self.flows.is_met(number, key));
                answer = known.unwrap_or(NONE);
            }
            found[at] = answer;
            answer == NONE
        });
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
