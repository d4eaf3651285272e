//! Conjunctive matches: a table that is full of them answers as the linear interpreter, by bits that decide.

use std::cell::Cell;

use millrace::action::Action;
use millrace::classifier::Wildcards;
use millrace::packet::{Field, FlowKey, FlowMask};
use millrace::pipeline::{Flow, Tables};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::oracle::flows::{PORTS, build, conjunctive, dense_key};
use crate::oracle::{World, find};

/// Bits read, with the guard of the TTL.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Seen {
    bits: FlowMask,
    least_ttl: u8,
}

impl Wildcards for Seen {
    fn read(&mut self, word: usize, bits: u64) {
        self.bits.read(word, bits);
    }

    fn ttl_at_least(&mut self, ttl: u8) {
        self.least_ttl = self.least_ttl.max(ttl);
    }
}

fn answer(tables: &Tables, key: &FlowKey) -> (Option<u64>, Seen) {
    let mut seen = Seen::default();
    let found = tables.lookup(0, key, &mut seen).map(|flow| flow.options.cookie);
    (found, seen)
}

fn wanted(flows: &[Flow], key: &FlowKey) -> Option<u64> {
    find(&World { flows, ports: &PORTS, tunnel: None, groups: &[] }, key, 0).map(|flow| flow.options.cookie)
}

#[test]
fn a_table_of_parts_answers_as_the_linear_interpreter() {
    let met = Cell::new(0);
    let config = ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() };
    let cases = (vec(conjunctive(), 1..50), vec(dense_key(), 8), vec(any::<u64>(), 60));
    let ran = TestRunner::new(config).run(&cases, |(flows, keys, noise)| {
        let (tables, flows) = build(&flows);
        let is_plain = |flow: &&Flow| !matches!(flow.actions.first(), Some(Action::Conjunction { .. }));
        let plain: Vec<Flow> = flows.iter().filter(is_plain).cloned().collect();
        let mut noise = noise.into_iter().cycle();
        for key in &keys {
            let expected = wanted(&flows, key);
            let (found, seen) = answer(&tables, key);
            prop_assert_eq!(found, expected, "{:?}", key);
            met.set(met.get() + usize::from(expected != wanted(&plain, key)));
            // Any key that agrees on what was read gets the same answer by the same bits.
            for _ in 0..4 {
                let mut other = *key;
                for (word, bits) in other.words_mut().iter_mut().zip(seen.bits.words()) {
                    *word ^= noise.next().unwrap() & !bits;
                }
                other.set(Field::ConjId, 0);
                other.set(Field::NwTtl, other.get(Field::NwTtl).max(u128::from(seen.least_ttl)));
                prop_assert_eq!(wanted(&flows, &other), expected, "{:?} and {:?}", key, other);
                prop_assert_eq!(answer(&tables, &other), (found, seen), "{:?} and {:?}", key, other);
            }
        }
        Ok(())
    });
    ran.unwrap();
    assert!(met.get() > 200, "conjunctive matches decided {} times only", met.get());
}
