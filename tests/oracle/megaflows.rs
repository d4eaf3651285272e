//! What translation records is enough: every key that agrees with it on the recorded bits, and reaches the floor of the
//! TTL, gets the same answer and is recorded alike.

use std::cell::Cell;

use millrace::action::Op;
use millrace::packet::key::KEY_WORDS;
use millrace::packet::{Field, FlowKey};
use millrace::pipeline::stats::StatsId;
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Recorded, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::flows::{build, ports, wanted};
use crate::key;

const PACKETS: usize = 12;
const SINGLE_BITS: usize = 24;

/// The answer to one key, all of it.
#[derive(Debug, PartialEq)]
pub struct Answered {
    pub ops: Vec<Op>,
    pub hits: Vec<StatsId>,
    pub recorded: Recorded,
}

pub fn answer(snapshot: &Snapshot, key: &FlowKey, out: &mut Translation) -> Answered {
    translate(snapshot, &mut key.clone(), Start { table: 0 }, out);
    Answered { ops: out.ops().to_vec(), hits: out.hits().to_vec(), recorded: out.recorded().clone() }
}

/// `key` where something was recorded, `other` elsewhere, with a TTL that reaches the floor. Metadata and registers
/// are what the frozen context says, and so are those of `key`.
pub fn within(recorded: &Recorded, key: &FlowKey, other: &FlowKey) -> FlowKey {
    let mut new = *other;
    for (word, new) in new.words_mut().iter_mut().enumerate() {
        let mask = recorded.mask.words()[word];
        *new = key.words()[word] & mask | *new & !mask;
    }
    for field in [Field::Metadata, Field::Xxreg0, Field::Xxreg1, Field::Xxreg2, Field::Xxreg3] {
        new.set(field, key.get(field));
    }
    let (ttl, floor) = (new.get(Field::NwTtl), u128::from(recorded.min_ttl));
    if ttl < floor {
        new.set(Field::NwTtl, floor + ttl % (256 - floor));
    }
    new
}

fn any_key() -> impl Strategy<Value = FlowKey> {
    vec(any::<u64>(), KEY_WORDS).prop_map(|words| {
        let mut key = FlowKey::default();
        key.words_mut().copy_from_slice(&words);
        key
    })
}

/// How often the test met what it is about.
#[derive(Default)]
struct Met {
    /// Another key in the megaflow, while the key that it was made from is answered otherwise.
    told_apart: Cell<usize>,
    floors: Cell<usize>,
    below: Cell<usize>,
    several_tables: Cell<usize>,
    rewritten_and_open: Cell<usize>,
}

fn add(cell: &Cell<usize>, really: bool) {
    cell.set(cell.get() + usize::from(really));
}

#[test]
fn what_is_not_recorded_decides_nothing() {
    let bits = vec((0..KEY_WORDS, 0u32..64), SINGLE_BITS);
    let cases = (vec(wanted(), 1..40), vec(key(), PACKETS), vec(any_key(), 4), bits);
    let met = Met::default();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let ran = TestRunner::new(config).run(&cases, |(wanted, keys, noise, bits)| {
        let snapshot = Snapshot::new(build(&wanted).0, ports());
        let mut out = Translation::default();
        for key in &keys {
            let expected = answer(&snapshot, key, &mut out);
            let recorded = &expected.recorded;
            let flipped = bits.iter().map(|(word, bit)| {
                let mut other = *key;
                other.words_mut()[*word] ^= 1 << bit;
                other
            });
            prop_assert!(recorded.deps.is_sorted_by(|a, b| a < b));
            for other in keys.iter().chain(&noise).copied().chain(flipped) {
                let new = within(recorded, key, &other);
                let got = answer(&snapshot, &new, &mut out);
                prop_assert_eq!(&got, &expected, "\nmade by {:?}\nmet by  {:?}", key, new);
                add(&met.told_apart, answer(&snapshot, &other, &mut out).ops != expected.ops);
                let open = recorded.rewritten.words().iter().zip(recorded.mask.words());
                add(&met.rewritten_and_open, open.fold(false, |any, (a, b)| any || a & !b != 0));
                add(&met.several_tables, recorded.deps.len() > 4);
                add(&met.floors, recorded.min_ttl > 0);
                if recorded.min_ttl > 0 {
                    let mut below = new;
                    below.set(Field::NwTtl, u128::from(recorded.min_ttl) - 1);
                    let below = answer(&snapshot, &below, &mut out).recorded;
                    prop_assert_eq!((below.mask.get(Field::NwTtl), below.min_ttl), (0xff, 0));
                    add(&met.below, true);
                }
            }
        }
        Ok(())
    });
    ran.unwrap();
    let Met { told_apart, floors, below, several_tables, rewritten_and_open } = &met;
    for often in [told_apart, floors, below, several_tables, rewritten_and_open] {
        assert!(often.get() > 1000, "the random flows and keys try too little");
    }
}
