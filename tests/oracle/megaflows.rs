//! What translation records is enough: every key that agrees with it on the recorded bits, and reaches the floor of the
//! TTL, gets the same answer and is recorded alike. And the log of changes is enough: what no change concerns stays
//! right.

use std::cell::Cell;
use std::time::Instant;

use millrace::action::Op;
use millrace::packet::key::KEY_WORDS;
use millrace::packet::{Field, FlowKey};
use millrace::pipeline::changes::{Change, What};
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::stats::{FlowStats, StatsId};
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, Recorded, Snapshot, Tables};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::key;
use crate::oracle::flows::{
    TUNNEL, Wanted, build, dense, dense_key, flow_mod, forget_tunnel, moved_ports, ports, step,
    tunnelled_key, tunnelling, wanted,
};

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
    translate(snapshot, &mut key.clone(), Start::Table(0), out);
    Answered { ops: out.ops().to_vec(), hits: out.hits().to_vec(), recorded: out.recorded().clone() }
}

/// `key` where something was recorded, `other` elsewhere, with a TTL that reaches the floor. Metadata and registers
/// are what the frozen context says, and so are those of `key`; the conjunction is no packet's. Only by the port of tunnels
/// does a packet bring words of one.
pub fn within(recorded: &Recorded, key: &FlowKey, other: &FlowKey) -> FlowKey {
    let mut new = *other;
    for (word, new) in new.words_mut().iter_mut().enumerate() {
        let mask = recorded.mask.words()[word];
        *new = key.words()[word] & mask | *new & !mask;
    }
    let constant =
        [Field::Metadata, Field::Xxreg0, Field::Xxreg1, Field::Xxreg2, Field::Xxreg3, Field::ConjId];
    for field in constant {
        new.set(field, key.get(field));
    }
    if new.get(Field::InPort) != u128::from(TUNNEL.0) {
        forget_tunnel(&mut new);
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

type World<S> = (Vec<Wanted>, Vec<FlowKey>, S);

/// Flows, packets, and what `of` makes of flows like these: with all fields, or of the small world.
fn world<S: Strategy<Value: Clone> + 'static>(
    of: impl Fn(BoxedStrategy<Wanted>) -> S,
) -> impl Strategy<Value = World<S::Value>> {
    let case = |flow: BoxedStrategy<Wanted>, key: BoxedStrategy<FlowKey>| {
        (vec(flow.clone(), 1..40), vec(key, PACKETS), of(flow))
    };
    prop_oneof![
        1 => case(wanted().boxed(), key().boxed()),
        1 => case(dense().boxed(), dense_key().boxed()),
        1 => case(tunnelling(dense()).boxed(), tunnelled_key().boxed()),
    ]
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
    /// Packets that go on by a tunnel: those of a tunnel, and others.
    from_tunnel_to_tunnel: Cell<usize>,
    into_tunnel: Cell<usize>,
}

fn add(cell: &Cell<usize>, really: bool) {
    cell.set(cell.get() + usize::from(really));
}

#[test]
fn what_is_not_recorded_decides_nothing() {
    let bits = vec((0..KEY_WORDS, 0u32..64), SINGLE_BITS);
    let cases = (world(|_| Just(())), vec(any_key(), 4), bits);
    let met = Met::default();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let ran = TestRunner::new(config).run(&cases, |((wanted, keys, ()), noise, bits)| {
        let snapshot = Snapshot::new(build(&wanted).0, ports());
        let mut out = Translation::default();
        for key in &keys {
            let expected = answer(&snapshot, key, &mut out);
            let recorded = &expected.recorded;
            let is_tunnelled = expected.ops.iter().any(|op| matches!(op, Op::Tunnel(_)));
            let is_from_tunnel = key.get(Field::InPort) == u128::from(TUNNEL.0);
            add(&met.from_tunnel_to_tunnel, is_tunnelled && is_from_tunnel);
            add(&met.into_tunnel, is_tunnelled && !is_from_tunnel);
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
    let Met {
        told_apart,
        floors,
        below,
        several_tables,
        rewritten_and_open,
        from_tunnel_to_tunnel,
        into_tunnel,
    } = &met;
    for often in [told_apart, floors, below, several_tables, rewritten_and_open] {
        assert!(often.get() > 1000, "the random flows and keys try too little");
    }
    for often in [from_tunnel_to_tunnel, into_tunnel] {
        assert!(often.get() > 20, "hardly any go on by a tunnel: {often:?}");
    }
}

pub fn concerns(change: &Change, key: &FlowKey, recorded: &Recorded) -> bool {
    change.slot.is_among(&recorded.deps)
        && !change.matcher.contradicts(key, &recorded.mask, &recorded.rewritten)
}

#[test]
fn what_no_change_concerns_stays_right() {
    let changes = world(|flow| vec(step(flow), 1..3));
    let cases = (changes, proptest::option::weighted(0.1, moved_ports()), vec(any_key(), 2));
    let (spared, contradicted, concerned, changed) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() };
    let ran = TestRunner::new(config).run(&cases, |((wanted, keys, steps), moved, noise)| {
        let stats = FlowStats::new(0);
        let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
        for (cookie, want) in (0..).zip(&wanted) {
            batch.apply(&flow_mod(Command::Add, want, cookie)).unwrap();
        }
        let old = Snapshot::new(batch.commit().0, ports());
        let mut batch = Batch::new(&old.tables, &stats, Instant::now());
        for (cookie, step) in (1000..).zip(&steps) {
            // Changes that would make a goto go backwards are refused, and are none.
            let _ = batch.apply(&step.flow_mod(&wanted, cookie));
        }
        let new = old.with_tables(batch.commit().0);
        let new = new.with_ports(moved.unwrap_or_else(ports));
        let entries: Vec<&What> = new.log.since(0).unwrap().map(|entry| &entry.what).collect();
        let mut out = Translation::default();
        for key in &keys {
            let before = answer(&old, key, &mut out);
            let recorded = &before.recorded;
            let mut changes = entries.iter().flat_map(|what| match what {
                What::Changes(changes) => changes.iter(),
                What::Everything => panic!("so few changes are written down"),
            });
            if changes.clone().any(|change| concerns(change, key, recorded)) {
                add(&concerned, true);
                add(&changed, answer(&new, key, &mut out).ops != before.ops);
                continue;
            }
            add(&spared, true);
            add(&contradicted, changes.any(|change| change.slot.is_among(&recorded.deps)));
            for other in keys.iter().chain(&noise) {
                let met = within(recorded, key, other);
                let after = answer(&new, &met, &mut out);
                prop_assert_eq!((&after.ops, &after.hits), (&before.ops, &before.hits), "{:?}", met);
            }
        }
        Ok(())
    });
    ran.unwrap();
    for often in [&spared, &contradicted, &concerned, &changed] {
        assert!(often.get() > 100, "the random changes try too little");
    }
}
