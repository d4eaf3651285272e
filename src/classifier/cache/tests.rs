//! The caches against a list that is searched from the front.

use proptest::prelude::*;

use super::*;
use crate::packet::key::{KEY_WORDS, SHORT_WORDS, w};
use crate::packet::{Field, FlowKey};

const LIMITS: Limits = Limits { megaflows: 64, per_port: 48, masks_per_port: 4 };

/// Keys that often agree: few values in few words.
fn key() -> impl Strategy<Value = FlowKey> {
    (0u64..4, 0u64..4, 0u64..3, 0u8..4).prop_map(|(a, b, c, ttl)| {
        let mut key = FlowKey::default();
        key.words_mut()[w::NW] = a << 32 | b;
        key.words_mut()[w::TP] = c << 48;
        key.set(Field::NwTtl, u128::from(ttl));
        key.words_mut()[w::IPV6_DST] = a;
        key
    })
}

/// Masks over the words that keys use; whole words, so that chance makes equal ones.
fn mask() -> impl Strategy<Value = [u64; KEY_WORDS]> {
    prop::collection::vec(any::<bool>(), 4).prop_map(|bits| {
        let mut mask = [0; KEY_WORDS];
        for (word, on) in [w::NW, w::TP, w::NW_MISC, w::IPV6_DST].into_iter().zip(bits) {
            mask[word] = if on { u64::MAX } else { 0 };
        }
        mask
    })
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, Box<[u64; KEY_WORDS]>, Box<FlowKey>, u8),
    Remove(usize),
    Lookup(usize, Vec<FlowKey>),
    Rank,
}

fn step() -> impl Strategy<Value = Step> {
    let insert = (0usize..3, mask(), key(), 0u8..3)
        .prop_map(|(port, mask, key, ttl)| Step::Insert(port, Box::new(mask), Box::new(key), ttl));
    let lookup = (0usize..3, prop::collection::vec(key(), 1..32)).prop_map(|(p, keys)| Step::Lookup(p, keys));
    prop_oneof![4 => insert, 1 => (0usize..64).prop_map(Step::Remove), 3 => lookup, 1 => Just(Step::Rank)]
}

/// What the list remembers of a megaflow.
struct Known<const N: usize> {
    number: u32,
    port: usize,
    mask: [u64; N],
    key: [u64; N],
    ttl: u8,
    value: u32,
}

impl<const N: usize> Known<N> {
    fn serves(&self, port: usize, key: &FlowKey) -> bool {
        let words = key.words().first_chunk::<N>().unwrap();
        let same = (0..N).all(|at| words[at] & self.mask[at] == self.key[at] & self.mask[at]);
        self.port == port && same && key.get(Field::NwTtl) >= u128::from(self.ttl)
    }
}

fn check<const N: usize>(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut megaflows = Megaflows::<N, u32>::new(LIMITS, Seed::new(1));
    let mut list: Vec<Known<N>> = Vec::new();
    for (value, step) in (0u32..).zip(steps) {
        match step {
            Step::Insert(port, mask, key, ttl) => {
                let mask: [u64; N] = *mask.first_chunk().unwrap();
                let words: [u64; N] = *key.words().first_chunk().unwrap();
                let same = list.iter().find(|known| {
                    known.port == *port && known.mask == mask && known.key == words.map_mask(&mask)
                });
                prop_assert_eq!(megaflows.find_same(*port, &mask, key), same.map(|known| known.number));
                if same.is_some() {
                    continue;
                }
                let of_port = list.iter().filter(|known| known.port == *port);
                let mut masks: Vec<_> = of_port.map(|known| known.mask).collect();
                masks.sort_unstable();
                masks.dedup();
                let full = masks.len() >= LIMITS.masks_per_port && !masks.contains(&mask);
                match megaflows.insert(*port, &mask, key, TtlGuard(*ttl), value) {
                    Ok(number) => {
                        prop_assert!(!full || mask.iter().all(|word| *word == u64::MAX));
                        prop_assert!(!list.iter().any(|known| known.number == number));
                        let key = words.map_mask(&mask);
                        list.push(Known { number, port: *port, mask, key, ttl: *ttl, value });
                    }
                    Err(refused) => prop_assert!(
                        (full && refused == Refused::Masks)
                            || (refused == Refused::Full && list.len() >= 32)
                            || (refused == Refused::PortFull && list.len() >= LIMITS.per_port)
                    ),
                }
            }
            Step::Remove(at) if !list.is_empty() => {
                let known = list.swap_remove(at % list.len());
                prop_assert_eq!(megaflows.remove(known.number), Some(known.value));
                prop_assert_eq!(megaflows.remove(known.number), None);
                prop_assert!(!megaflows.is_met(known.number, &FlowKey::default()));
            }
            Step::Remove(_) => {}
            Step::Rank => megaflows.rank(),
            Step::Lookup(port, keys) => {
                let mut found = [NONE; 32];
                let mut burst = [FlowKey::default(); 32];
                burst.iter_mut().zip(keys).for_each(|(to, from)| *to = *from);
                let all = u32::MAX >> (32 - keys.len());
                let (left, _) = megaflows.lookup(*port, &burst, all, &mut found);
                for (at, key) in keys.iter().enumerate() {
                    let serving: Vec<u32> = list
                        .iter()
                        .filter(|known| known.serves(*port, key))
                        .map(|known| known.number)
                        .collect();
                    prop_assert_eq!(left & 1 << at != 0, serving.is_empty());
                    prop_assert_eq!(found[at] == NONE, serving.is_empty());
                    prop_assert!(found[at] == NONE || serving.contains(&found[at]));
                    prop_assert_eq!(megaflows.find(*port, key).is_some(), !serving.is_empty());
                    for known in &list {
                        let met = megaflows.is_met(known.number, key);
                        prop_assert_eq!(met, known.serves(known.port, key));
                    }
                }
            }
        }
        prop_assert_eq!(megaflows.len(), list.len());
    }
    Ok(())
}

trait MapMask<const N: usize> {
    fn map_mask(&self, mask: &[u64; N]) -> [u64; N];
}

impl<const N: usize> MapMask<N> for [u64; N] {
    fn map_mask(&self, mask: &[u64; N]) -> [u64; N] {
        std::array::from_fn(|at| self[at] & mask[at])
    }
}

proptest! {
    #[test]
    fn megaflows_equal_a_list(steps in prop::collection::vec(step(), 1..120)) {
        check::<SHORT_WORDS>(&steps)?;
        check::<KEY_WORDS>(&steps)?;
    }

    /// Hashes from few values, so that tags and buckets collide; numbers are distinct.
    #[test]
    fn buckets_equal_a_list(steps in prop::collection::vec((0u64..6, 0u64..3, any::<bool>()), 1..300)) {
        let mut buckets = Buckets::new(16);
        let mut list: Vec<(u64, u32)> = Vec::new();
        for (number, (low, high, add)) in (0u32..).zip(steps) {
            let hash = low | high << 33;
            if add {
                if buckets.insert(hash, number) {
                    list.push((hash, number));
                } else {
                    prop_assert!(list.len() >= 14);
                }
            } else if let Some(at) = list.iter().position(|(own, _)| *own == hash) {
                let (_, number) = list.swap_remove(at);
                prop_assert!(buckets.remove(hash, number));
                prop_assert!(!buckets.remove(hash, number));
            }
            for (hash, number) in &list {
                prop_assert_eq!(buckets.find(*hash, |other| other == *number), Some(*number));
                prop_assert!(buckets.guess(buckets.begin(*hash)).is_some());
            }
            for low in 0..6 {
                let hash = low | 5 << 33;
                prop_assert_eq!(buckets.find(hash, |_| true), None);
            }
        }
    }

    #[test]
    fn the_exact_match_cache_remembers_the_last(steps in prop::collection::vec((0u64..4, 0u32..40), 1..200)) {
        let mut cache = ExactMatch::new(16);
        for (hash, number) in steps {
            let hash = hash | hash << 40;
            cache.insert(hash, number);
            // Not what had the hash before: its megaflow may be gone.
            prop_assert_eq!(cache.guess(hash), Some(number));
            prop_assert_eq!(cache.guess(hash ^ 1 << 50), None);
        }
    }
}

#[test]
fn a_full_port_still_takes_a_whole_mask() {
    let mut megaflows = Megaflows::<SHORT_WORDS, u32>::new(LIMITS, Seed::new(1));
    let mask = |bit: u32| {
        let mut mask = [0; SHORT_WORDS];
        mask[w::NW] = 1 << bit;
        mask
    };
    for bit in 0..4 {
        assert!(megaflows.insert(0, &mask(bit), &FlowKey::default(), TtlGuard(0), bit).is_ok());
    }
    let refused = megaflows.insert(0, &mask(4), &FlowKey::default(), TtlGuard(0), 4);
    assert_eq!(refused, Err(Refused::Masks));
    let mut whole = [u64::MAX; SHORT_WORDS];
    whole[w::NW_MISC] = !(0xff << 40);
    assert!(megaflows.insert(0, &whole, &FlowKey::default(), TtlGuard(0), 5).is_ok());
    assert!(megaflows.insert(1, &mask(4), &FlowKey::default(), TtlGuard(0), 6).is_ok());
    assert_eq!((megaflows.subtables(), megaflows.of_port(0)), (6, (5, 5)));
}

#[test]
fn a_short_megaflow_is_two_cache_lines() {
    assert_eq!(size_of::<Slot<SHORT_WORDS, [u64; 7]>>(), 128);
}
