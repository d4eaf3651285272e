//! The table classifier against a search from end to end, over rule sets like those of real filters.

#[path = "support/rules.rs"]
mod rules;

use millrace::classifier::{Classifier, Match, Wildcards};
use millrace::packet::{Field, FlowKey, FlowMask};
use rules::{KINDS, Kind, Random, Rule};

/// A rule as the words that it matches.
struct Line {
    words: Vec<(usize, u64, u64)>,
    priority: u16,
    order: usize,
    value: usize,
}

/// The same set, searched from end to end.
#[derive(Default)]
struct Linear {
    lines: Vec<Line>,
    order: usize,
}

impl Linear {
    fn insert(&mut self, rule: &Rule, value: usize) {
        let words = rule.matcher.key.words().iter().zip(rule.matcher.mask.words()).enumerate();
        let words = words.filter(|(_, (_, mask))| **mask != 0).map(|(at, (key, mask))| (at, *key, *mask));
        self.lines.push(Line { words: words.collect(), priority: rule.priority, order: self.order, value });
        self.order += 1;
    }

    fn remove(&mut self, value: usize) {
        self.lines.retain(|line| line.value != value);
    }

    fn lookup(&self, key: &FlowKey) -> Option<usize> {
        let is_met =
            |line: &&Line| line.words.iter().all(|(at, value, mask)| key.words()[*at] & mask == *value);
        let met = self.lines.iter().filter(is_met);
        met.max_by_key(|line| (line.priority, std::cmp::Reverse(line.order))).map(|line| line.value)
    }
}

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

fn check(classifier: &Classifier<usize>, linear: &Linear, key: &FlowKey, random: &mut Random) {
    let wanted = linear.lookup(key);
    let mut seen = Seen::default();
    assert_eq!(classifier.lookup(key, &mut seen).copied(), wanted, "{key:?}");
    // Any key that agrees on what was read gets the same answer by the same bits.
    let mut other = *key;
    for (word, bits) in other.words_mut().iter_mut().zip(seen.bits.words()) {
        *word ^= random.next() & random.next() & !bits;
    }
    other.set(Field::NwTtl, other.get(Field::NwTtl).max(u128::from(seen.least_ttl)));
    assert_eq!(linear.lookup(&other), wanted, "{key:?} and {other:?} by {seen:?}");
    let mut again = Seen::default();
    assert_eq!(classifier.lookup(&other, &mut again).copied(), wanted);
    assert_eq!(again, seen, "{key:?} and {other:?}");
}

/// Every rule in, then in and out by chance, then the other way round. Keys are looked up after every change, or
/// after one in so many.
fn run(kind: Kind, count: usize, one_in: usize) {
    let set = match_some_ttls(rules::rules(kind, count, 7));
    let keys = rules::keys(&set, count, 8);
    let mut random = Random(9);
    let (mut classifier, mut linear) = (Classifier::default(), Linear::default());
    let mut is_in = vec![false; set.len()];
    let mut kept = None;
    // In no order of priorities.
    let mut steps: Vec<usize> = (0..set.len()).map(|at| at * 7919 % set.len()).collect();
    steps.extend((0..count / 2).map(|_| random.below(set.len())));
    steps.extend(0..set.len());
    for (step, at) in steps.into_iter().enumerate() {
        let rule = &set[at];
        if is_in[at] {
            assert_eq!(classifier.remove(rule.priority, &rule.matcher), Some(at));
            linear.remove(at);
        } else {
            assert_eq!(classifier.insert(rule.priority, &rule.matcher, at), None);
            linear.insert(rule, at);
        }
        is_in[at] = !is_in[at];
        assert_eq!(classifier.len(), linear.lines.len());
        if step % one_in == 0 {
            let key = &keys[random.below(keys.len())];
            check(&classifier, &linear, key, &mut random);
        }
        if step == set.len() {
            let answers: Vec<_> = keys.iter().take(200).map(|key| linear.lookup(key)).collect();
            kept = Some((classifier.clone(), answers));
        }
    }
    // What was kept at the fullest still answers as it did.
    let (old, answers) = kept.unwrap();
    for (key, wanted) in keys.iter().zip(answers) {
        assert_eq!(old.lookup(key, &mut ()).copied(), wanted);
    }
}

/// Every sixteenth rule matches a small TTL too, as routers' rules do.
fn match_some_ttls(mut set: Vec<Rule>) -> Vec<Rule> {
    for (at, rule) in set.iter_mut().enumerate().step_by(16) {
        rule.matcher.set(Field::NwTtl, (at / 16 % 3) as u128);
    }
    set
}

#[test]
fn a_thousand_rules_of_every_kind() {
    KINDS.into_iter().for_each(|kind| run(kind, 1_000, 1));
}

#[test]
fn ten_thousand_rules() {
    run(Kind::Acl, 10_000, 5);
}

#[test]
fn a_key_that_falls_off_the_prefixes_is_read_no_further() {
    let subnet = |address: u128, len: u32| {
        let mut matcher = Match::default();
        matcher.set_masked(Field::NwDst, address, u128::from(u32::MAX << (32 - len)));
        matcher
    };
    let mut classifier = Classifier::default();
    classifier.insert(2, &subnet(0x0a00_0000, 24), "net");
    classifier.insert(1, &subnet(0x0a00_0001, 32), "host");
    let mut key = FlowKey::default();
    key.set(Field::NwDst, 0xc000_0201);
    let mut read = FlowMask::default();
    assert_eq!(classifier.lookup(&key, &mut read), None);
    assert_eq!(read.get(Field::NwDst), 0x8000_0000, "192 differs from 10 in its first bit");
    key.set(Field::NwDst, 0x0a00_0105);
    let mut read = FlowMask::default();
    assert_eq!(classifier.lookup(&key, &mut read), None);
    assert_eq!(read.get(Field::NwDst), 0xffff_ff00);
}

#[test]
fn ranges_are_cut_to_the_prefixes_that_make_them_up() {
    assert_eq!(rules::cut(1024, u16::MAX).len(), 6);
    for (first, last) in [(0, u16::MAX), (80, 80), (0, 1023), (1, 65534), (1000, 2000)] {
        let prefixes = rules::cut(first, last);
        for port in 0..=u16::MAX {
            let hits = prefixes.iter().filter(|(value, mask)| port & mask == *value).count();
            assert_eq!(hits, usize::from((first..=last).contains(&port)), "{port} of {first} to {last}");
        }
    }
}
