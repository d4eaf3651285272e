//! Strict mode: where no cap applies, no packet meets two megaflows of a worker, unless one of them is stale.

use std::cell::Cell;

use millrace::packet::key::{KEY_WORDS, SHORT_WORDS};
use millrace::packet::parse::Shape;
use millrace::packet::{Field, FlowKey};
use millrace::pipeline::Match;
use millrace::pipeline::cache::CacheSizes;
use millrace::pipeline::flowmod::Command;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::lab::{Lab, Packet};
use crate::model::{packet_of_frame, small_packet, tunnelled_packet};
use crate::oracle::flows::{Step, Wanted, dense, flow_mod, ports, step, tunnelling, wanted};

const PLENTY: CacheSizes = CacheSizes {
    megaflows: 4096,
    megaflows_per_port: 4096,
    masks_per_port: 200,
    emc_entries: 64,
    max_idle_ms: 10_000,
};

/// What a megaflow serves.
#[derive(Clone, Debug)]
struct Served {
    matcher: Match,
    min_ttl: u128,
}

impl Served {
    /// The TTL that it asks for, if it matches one.
    fn ttl(&self) -> Option<u128> {
        let is_matched = self.matcher.mask.get(Field::NwTtl) == 0xff;
        is_matched.then(|| self.matcher.key.get(Field::NwTtl))
    }

    /// Whether both ask for the same where both ask.
    fn agrees(&self, other: &Served) -> bool {
        let words = |of: &Served| {
            let words = of.matcher.key.words().iter().zip(of.matcher.mask.words());
            words.map(|(key, mask)| (*key, *mask)).collect::<Vec<_>>()
        };
        let mut pairs = words(self).into_iter().zip(words(other));
        pairs.all(|((a, of_a), (b, of_b))| (a ^ b) & of_a & of_b == 0)
    }

    /// Whether the TTLs of some packet do for both.
    fn shares_ttl(&self, other: &Served) -> bool {
        let reaches = |one: &Served, other: &Served| one.ttl().is_none_or(|ttl| ttl >= other.min_ttl);
        reaches(self, other) && reaches(other, self)
    }

    /// A packet that it serves.
    fn packet(&self, shape: Shape) -> Packet {
        let mut key = FlowKey::default();
        key.words_mut().copy_from_slice(self.matcher.key.words());
        if self.ttl().is_none() {
            key.set(Field::NwTtl, self.min_ttl);
        }
        Packet { key, shape, len: 60 }
    }
}

fn all(lab: &mut Lab) -> Vec<Served> {
    lab.dump(|seen| Served { matcher: seen.matcher(), min_ttl: u128::from(seen.min_ttl) })
}

/// How often the test met what it is about.
#[derive(Default)]
struct Met {
    /// Pairs of megaflows with other masks, both of which ask for a bit in common.
    pairs: Cell<usize>,
    /// Pairs that only a TTL keeps apart.
    by_ttl: Cell<usize>,
    stale: Cell<usize>,
}

fn add(cell: &Cell<usize>, really: bool) {
    cell.set(cell.get() + usize::from(really));
}

fn check(lab: &mut Lab, shape: Shape, met: &Met) -> Result<(), TestCaseError> {
    let counts = lab.counts();
    prop_assert_eq!((counts.narrowed, counts.evicted, counts.expired), (0, 0, 0));
    let megaflows = all(lab);
    for (at, one) in megaflows.iter().enumerate() {
        for other in &megaflows[at + 1..] {
            add(&met.pairs, one.matcher.mask != other.matcher.mask);
            if !one.agrees(other) {
                continue;
            }
            add(&met.by_ttl, !one.shares_ttl(other));
            if !one.shares_ttl(other) {
                continue;
            }
            let is_stale = |served: &Served| {
                let (recorded, key) = lab.record(&served.packet(shape));
                let words = if shape == Shape::Short { SHORT_WORDS } else { KEY_WORDS };
                let same_mask = served.matcher.mask.words()[..words] == recorded.mask.words()[..words];
                let same_ttl = u128::from(recorded.min_ttl) == served.min_ttl;
                !same_mask || !same_ttl || key != served.matcher.key
            };
            let stale = [one, other].map(is_stale);
            prop_assert!(counts.stale + lab.changes > 0 && (stale[0] || stale[1]), "{one:?}\n{other:?}");
            add(&met.stale, true);
        }
    }
    Ok(())
}

#[test]
fn no_packet_meets_two_megaflows() {
    type Case = (Vec<Wanted>, Vec<Packet>, Vec<Vec<Step>>);
    let case = |flow: BoxedStrategy<Wanted>, packet: BoxedStrategy<Packet>| {
        (vec(flow.clone(), 1..40), vec(packet, 80), vec(vec(step(flow), 1..3), 3))
    };
    let worlds = prop_oneof![
        1 => case(wanted().boxed(), packet_of_frame().boxed()),
        2 => case(dense().boxed(), small_packet().boxed()),
        1 => case(tunnelling(dense()).boxed(), tunnelled_packet().boxed()),
    ];
    let met = Met::default();
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    };
    let run = |(first, packets, changes): Case| {
        // The two forms have megaflows of their own.
        for shape in [Shape::Short, Shape::Long] {
            let mut lab = Lab::new(PLENTY, ports());
            lab.change((0..).zip(&first).map(|(cookie, want)| flow_mod(Command::Add, want, cookie)));
            lab.see();
            lab.changes = 0;
            let own = packets.iter().filter(|packet| packet.shape == shape);
            own.clone().for_each(|packet| lab.burst(&[*packet]));
            check(&mut lab, shape, &met)?;
            for (cookie, steps) in (1000..).step_by(100).zip(&changes) {
                lab.change((cookie..).zip(steps).map(|(cookie, step)| step.flow_mod(&first, cookie)));
                lab.see();
                own.clone().for_each(|packet| lab.burst(&[*packet]));
                check(&mut lab, shape, &met)?;
            }
        }
        Ok(())
    };
    TestRunner::new(config).run(&worlds, run).unwrap();
    let Met { pairs, by_ttl, stale } = &met;
    let often = [pairs.get(), by_ttl.get(), stale.get()];
    assert!(often.iter().all(|often| *often > 20), "the random flows and packets try too little: {often:?}");
}
