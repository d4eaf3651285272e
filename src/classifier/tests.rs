use proptest::prelude::*;

use super::*;
use crate::packet::Field;

/// The same set, searched from end to end.
#[derive(Clone, Default)]
struct Linear {
    /// In order of insertion.
    entries: Vec<(u16, Match, u32)>,
}

impl Linear {
    fn lookup(&self, key: &FlowKey) -> Option<u32> {
        let mut best: Option<&(u16, Match, u32)> = None;
        for entry in self.entries.iter().filter(|(_, matcher, _)| matcher.matches(key)) {
            if best.is_none_or(|best| entry.0 > best.0) {
                best = Some(entry);
            }
        }
        best.map(|(_, _, value)| *value)
    }

    fn insert(&mut self, priority: u16, matcher: &Match, value: u32) -> Option<u32> {
        if let Some(old) = self.entries.iter_mut().find(|(p, m, _)| *p == priority && m == matcher) {
            return Some(std::mem::replace(&mut old.2, value));
        }
        self.entries.push((priority, matcher.clone(), value));
        None
    }

    fn remove(&mut self, priority: u16, matcher: &Match) -> Option<u32> {
        let at = self.entries.iter().position(|(p, m, _)| *p == priority && m == matcher)?;
        Some(self.entries.remove(at).2)
    }
}

/// Few fields, few masks, few values: so that matches overlap, meet again and are met. Every stage is there, prefixes
/// and masks that are none, and the TTL.
const PARTS: [(Field, u128); 13] = [
    (Field::InPort, 0xffff_ffff),
    (Field::VlanTci, 0x1000),
    (Field::EthType, 0xffff),
    (Field::NwSrc, 0xffff_ff00),
    (Field::NwSrc, 0xffff_ffff),
    (Field::NwSrc, 0xff),
    (Field::NwDst, 0xffff_f000),
    (Field::NwTtl, 0xff),
    (Field::Ipv6Dst, u128::MAX << 64),
    (Field::Ipv6Dst, u128::MAX),
    (Field::TcpSrc, 0xffff),
    (Field::UdpDst, 0xfff0),
    (Field::UdpDst, 0xffff),
];

/// A small number in many places of a field.
fn spread(value: u128) -> u128 {
    value | value << 4 | value << 8 | value << 12 | value << 24 | value << 64 | value << 120
}

/// The same for a field; among the TTLs is the greatest.
fn value_of(field: Field, value: u128) -> u128 {
    if field == Field::NwTtl && value == 2 { 0xff } else { spread(value) }
}

fn matcher() -> impl Strategy<Value = Match> {
    proptest::collection::vec((proptest::sample::select(&PARTS[..]), 0u128..3), 0..5).prop_map(|parts| {
        let mut out = Match::default();
        for ((field, mask), value) in parts {
            out.set_masked(field, value_of(field, value), mask);
        }
        out
    })
}

fn key() -> impl Strategy<Value = FlowKey> {
    let fields: Vec<_> = PARTS.iter().map(|(field, _)| *field).collect();
    let noise = proptest::option::weighted(0.3, (proptest::sample::select(fields), any::<u128>()));
    (proptest::collection::vec(0u128..4, PARTS.len()), noise).prop_map(|(values, noise)| {
        let mut key = FlowKey::default();
        for ((field, _), value) in PARTS.iter().zip(values) {
            key.set(*field, value_of(*field, value));
        }
        if let Some((field, value)) = noise {
            key.set(field, value);
        }
        key
    })
}

/// Bits that were read, and the least TTL that keeps every guard.
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

impl Seen {
    /// `key` where it was read, `other` elsewhere, but with a TTL that keeps the guard.
    fn like(&self, key: &FlowKey, other: &FlowKey) -> FlowKey {
        let mut out = *key;
        let words = out.words_mut().iter_mut().zip(other.words()).zip(self.bits.words());
        for ((word, other), bits) in words {
            *word = *word & bits | other & !bits;
        }
        if out.get(Field::NwTtl) < u128::from(self.least_ttl) {
            out.set(Field::NwTtl, u128::from(self.least_ttl));
        }
        out
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, Match),
    Remove(u16, Match),
    RemoveNth(prop::sample::Index),
    Keep,
}

/// Miri takes its time.
const STEPS: usize = if cfg!(miri) { 8 } else { 60 };

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u16..4, matcher()).prop_map(|(p, m)| Step::Insert(p, m)),
        1 => (0u16..4, matcher()).prop_map(|(p, m)| Step::Remove(p, m)),
        3 => any::<prop::sample::Index>().prop_map(Step::RemoveNth),
        1 => Just(Step::Keep),
    ]
}

fn agree(classifier: &Classifier<u32>, linear: &Linear, keys: &[FlowKey]) -> Result<(), TestCaseError> {
    prop_assert_eq!(classifier.len(), linear.entries.len());
    for key in keys {
        let mut seen = Seen::default();
        let found = classifier.lookup(key, &mut seen).copied();
        prop_assert_eq!(found, linear.lookup(key));
        prop_assert_eq!(found, classifier.lookup(key, &mut ()).copied());
        let mut bits = FlowMask::default();
        prop_assert_eq!(found, classifier.lookup(key, &mut bits).copied());
        prop_assert!(bits.covers(&seen.bits));
        // Bits that were not read cannot have mattered: neither for the answer nor for what was read.
        let mut inverse = FlowKey::default();
        inverse.words_mut().iter_mut().zip(key.words()).for_each(|(out, word)| *out = !word);
        for other in keys.iter().chain([&inverse]).map(|other| seen.like(key, other)) {
            prop_assert_eq!(found, linear.lookup(&other));
            let mut again = Seen::default();
            prop_assert_eq!(found, classifier.lookup(&other, &mut again).copied());
            prop_assert_eq!(seen, again);
        }
    }
    prop_assert!(classifier.state.slots.iter().is_sorted_by(|a, b| a.bound >= b.bound));
    for slot in classifier.state.slots.iter() {
        prop_assert!(slot.table.iter().all(|(rank, _)| rank <= slot.bound));
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_a_linear_search_after_every_step(
        steps in proptest::collection::vec(step(), 1..STEPS),
        keys in proptest::collection::vec(key(), 8),
        filter in matcher(),
    ) {
        let (mut classifier, mut linear) = (Classifier::default(), Linear::default());
        let mut kept = Vec::new();
        for (number, step) in (0u32..).zip(steps) {
            match step {
                Step::Insert(priority, matcher) => prop_assert_eq!(
                    classifier.insert(priority, &matcher, number),
                    linear.insert(priority, &matcher, number)
                ),
                Step::Remove(priority, matcher) => {
                    prop_assert_eq!(classifier.remove(priority, &matcher), linear.remove(priority, &matcher))
                }
                Step::RemoveNth(index) if !linear.entries.is_empty() => {
                    let (priority, matcher, value) = index.get(&linear.entries).clone();
                    prop_assert_eq!(classifier.get(priority, &matcher), Some(&value));
                    prop_assert_eq!(classifier.remove(priority, &matcher), Some(value));
                    linear.remove(priority, &matcher);
                }
                Step::RemoveNth(_) => {}
                Step::Keep => kept.push((classifier.clone(), linear.clone())),
            }
            agree(&classifier, &linear, &keys)?;
        }
        // A clone is not touched by what happens to its origin.
        for (classifier, linear) in &kept {
            agree(classifier, linear, &keys)?;
        }
        let sorted = |values: Vec<u32>| { let mut values = values; values.sort(); values };
        let linear_where = |pick: &dyn Fn(&(u16, Match, u32)) -> bool| {
            sorted(linear.entries.iter().filter(|e| pick(e)).map(|e| e.2).collect())
        };
        let within = sorted(classifier.within(&filter).map(|(_, v)| *v).collect());
        prop_assert_eq!(within, linear_where(&|e| e.1.is_within(&filter)));
        let overlapping = sorted(classifier.overlapping(2, &filter).map(|(_, v)| *v).collect());
        prop_assert_eq!(overlapping, linear_where(&|e| e.0 == 2 && e.1.overlaps(&filter)));
        let all = sorted(classifier.iter().map(|(_, v)| *v).collect());
        prop_assert_eq!(all, linear_where(&|_| true));
    }
}

#[test]
fn of_equal_priorities_the_first_added_wins_and_a_replaced_one_keeps_its_place() {
    let mut by_port = Match::default();
    by_port.set(Field::InPort, 1);
    let mut by_source = Match::default();
    by_source.set(Field::NwSrc, 9);
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    key.set(Field::NwSrc, 9);

    let mut classifier = Classifier::default();
    classifier.insert(5, &by_source, "source");
    classifier.insert(5, &by_port, "port");
    assert_eq!(classifier.lookup(&key, &mut ()), Some(&"source"));
    assert_eq!(classifier.insert(5, &by_source, "source again"), Some("source"));
    assert_eq!(classifier.lookup(&key, &mut ()), Some(&"source again"));
    classifier.remove(5, &by_source);
    classifier.insert(5, &by_source, "source late");
    assert_eq!(classifier.lookup(&key, &mut ()), Some(&"port"));
}

#[test]
fn a_subtable_that_cannot_win_is_not_read() {
    let mut by_port = Match::default();
    by_port.set(Field::InPort, 1);
    let mut by_source = Match::default();
    by_source.set(Field::NwSrc, 9);
    let mut classifier = Classifier::default();
    classifier.insert(5, &by_port, ());
    classifier.insert(4, &by_source, ());
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    let mut read = FlowMask::default();
    assert!(classifier.lookup(&key, &mut read).is_some());
    assert_eq!(read, by_port.mask);
}

#[test]
fn the_ttl_of_other_packets_is_no_concern_of_flows_about_neighbours() {
    let mut classifier = Classifier::default();
    for kind in [135, 136] {
        let mut discovery = Match::default();
        discovery.set(Field::EthType, 0x86dd);
        discovery.set(Field::NwProto, 58);
        discovery.set(Field::NwTtl, 255);
        discovery.set(Field::Icmpv6Type, kind);
        classifier.insert(5, &discovery, kind);
    }
    let read = |proto: u128, kind: u128, ttl: u128| {
        let mut key = FlowKey::default();
        key.set(Field::EthType, 0x86dd);
        key.set(Field::NwProto, proto);
        key.set(Field::Icmpv6Type, kind);
        key.set(Field::NwTtl, ttl);
        let mut seen = Seen::default();
        let found = classifier.lookup(&key, &mut seen).copied();
        (found, seen.bits.get(Field::NwTtl), seen.least_ttl)
    };
    // Datagrams, and echoes, which are ICMP too.
    for ttl in [1, 64, 255] {
        assert_eq!(read(17, 0, ttl), (None, 0, 0));
        assert_eq!(read(58, 128, ttl), (None, 0, 0));
    }
    assert_eq!(read(58, 135, 64), (None, 0xff, 0));
    assert_eq!(read(58, 135, 255), (Some(135), 0xff, 0));
}

#[test]
fn one_change_among_many_shares_the_rest() {
    let matcher = |n: u32| {
        let mut matcher = Match::default();
        matcher.set(Field::NwSrc, u128::from(n));
        matcher
    };
    let mut classifier = Classifier::default();
    let count = if cfg!(miri) { 300 } else { 10_000 };
    for n in 0..count {
        classifier.insert(1, &matcher(n), Arc::new(n));
    }
    let before = classifier.clone();
    classifier.remove(1, &matcher(77));
    assert_eq!(before.len(), classifier.len() + 1);
    // Values beside the copied path are held once, by a node that both share.
    let copied = classifier.iter().filter(|(_, value)| Arc::strong_count(value) > 1).count();
    assert!(copied < 200, "{copied} values were copied");
}
