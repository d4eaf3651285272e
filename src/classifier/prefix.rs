//! Which prefix lengths of a field stand on the path of a key, and how few bits of the key tell.
//!
//! A binary trie over the prefixes of one field, path-compressed: a node stands for a run of up to 64 bits. It is
//! persistent like the rest: a change copies the nodes on its path where they are shared.

use std::sync::Arc;

use super::Wildcards;
use crate::packet::{Field, FlowKey, FlowMask};

/// The fields that have a trie, the wide ones last. Each is wide enough for its views: the ports of TCP, UDP and SCTP share their bits.
const FIELDS: [Field; PREFIX_FIELDS] =
    [Field::NwSrc, Field::NwDst, Field::TcpSrc, Field::TcpDst, Field::Ipv6Src, Field::Ipv6Dst];

/// How many fields have a trie.
pub(super) const PREFIX_FIELDS: usize = 6;

/// How many of them have at most 63 bits.
const NARROW: usize = 4;

/// A field of [`FIELDS`] that a mask restricts to a prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prefix {
    /// Which field.
    pub(super) field: u8,
    /// Bits of the prefix, at least one.
    pub(super) len: u8,
    /// The first word of the key in which the field lies.
    pub(super) word: u8,
}

impl Prefix {
    /// The prefixes of a mask. A field whose mask is no run of high bits is not among them.
    pub(super) fn all_of(mask: &FlowMask) -> impl Iterator<Item = Prefix> {
        (0u8..).zip(FIELDS).filter_map(|(field, of)| {
            let bits = left_aligned(mask.words(), of);
            let len = bits.leading_ones();
            let is_prefix = len > 0 && bits.count_ones() == len;
            is_prefix.then_some(Prefix { field, len: len as u8, word: of.info().loc.word })
        })
    }

    /// The lengths of the prefixes of a mask.
    pub(super) fn lengths_of(mask: &FlowMask) -> Lengths {
        let mut lengths = [NO_PREFIX; PREFIX_FIELDS];
        for prefix in Self::all_of(mask) {
            if let Some(len) = lengths.get_mut(usize::from(prefix.field)) {
                *len = prefix.len - 1;
            }
        }
        lengths
    }

    /// The prefix in that key, left-aligned.
    pub(super) fn bits_of(&self, key: &FlowKey) -> u128 {
        let field = FIELDS.get(usize::from(self.field)).copied().unwrap_or(Field::NwSrc);
        left_aligned(key.words(), field) & (u128::MAX << (128 - u32::from(self.len)))
    }

    /// Reports the first bits of the field as read.
    #[inline]
    fn report<W: Wildcards>(&self, bits: u8, wild: &mut W) {
        let loc = FIELDS.get(usize::from(self.field)).copied().unwrap_or(Field::NwSrc).info().loc;
        let word = usize::from(loc.word);
        let ones = |count: u8| u64::MAX.checked_shl(64 - u32::from(count.min(64))).unwrap_or(0);
        if loc.bits <= 64 {
            wild.read(word, ones(bits) >> (64 - u16::from(loc.shift) - loc.bits));
        } else {
            wild.read(word, ones(bits));
            wild.read(word + 1, ones(bits.saturating_sub(64)));
        }
    }
}

/// A field of the key, its first bit on top. Below the field may stand other bits of its word.
#[inline(always)]
fn left_aligned<const N: usize>(words: &[u64; N], field: Field) -> u128 {
    let loc = field.info().loc;
    let word = |at: u8| words.get(usize::from(at)).copied().unwrap_or(0);
    if loc.bits > 64 {
        return u128::from(word(loc.word)) << 64 | u128::from(word(loc.word + 1));
    }
    let own = u64::MAX << (64 - u32::from(loc.bits));
    u128::from(word(loc.word) << (64 - u16::from(loc.shift) - loc.bits) & own) << 64
}

/// What the walk of one key through one trie has found.
#[derive(Clone, Copy, Default)]
pub(super) struct Walk {
    /// Bit `n - 1`: a prefix of `n` bits is on the path.
    lengths: u128,
    /// How many bits of the key decided where the walk went.
    read: u8,
}

/// The lengths of the prefixes of one mask, by field, each less one; [`NO_PREFIX`] where there is none.
pub(super) type Lengths = [u8; PREFIX_FIELDS];

/// No length of a wide field, and in a narrow one a bit that is never set.
pub(super) const NO_PREFIX: u8 = u8::MAX;

/// The walks of one lookup, made when they are first asked for.
#[derive(Default)]
pub(super) struct Walks {
    walks: [Option<Walk>; PREFIX_FIELDS],
    /// Bit `n - 1` of a field: what has been reported of the key tells that no entry has a prefix of `n` bits there.
    absent: [u64; NARROW],
    absent_wide: [u128; PREFIX_FIELDS - NARROW],
}

impl Walks {
    /// Whether the bits reported so far tell that no entry of a mask with these prefixes can be met.
    #[inline(always)]
    pub(super) fn exclude(&self, lengths: &Lengths) -> bool {
        let [a, b, c, d, wide @ ..] = lengths;
        let [in_a, in_b, in_c, in_d] = &self.absent;
        let narrow = in_a >> (a & 63) | in_b >> (b & 63) | in_c >> (c & 63) | in_d >> (d & 63);
        let is_known = |(absent, len): (&u128, &u8)| absent.checked_shr((*len).into()).unwrap_or(0) & 1 != 0;
        narrow & 1 != 0
            || (*wide != [NO_PREFIX; PREFIX_FIELDS - NARROW]
                && self.absent_wide.iter().zip(wide).any(is_known))
    }

    /// Whether an entry with that prefix is on the key's path. Reports the bits that tell.
    #[inline]
    pub(super) fn admits<W: Wildcards>(
        &mut self,
        prefix: Prefix,
        tries: &[PrefixTrie; PREFIX_FIELDS],
        key: &FlowKey,
        wild: &mut W,
    ) -> bool {
        let at = usize::from(prefix.field);
        let fields = self.walks.get_mut(at).zip(tries.get(at).zip(FIELDS.get(at)));
        let Some((walk, (trie, field))) = fields else { return true };
        let walk = walk.get_or_insert_with(|| trie.walk(left_aligned(key.words(), *field)));
        prefix.report(walk.read.min(prefix.len), wild);
        // Once all that decided the walk is reported, it tells of every length; else of those up to this one.
        let told = if prefix.len >= walk.read { u128::MAX } else { !(u128::MAX << prefix.len) };
        let absent = !walk.lengths & told;
        if let Some(known) = self.absent.get_mut(at) {
            *known |= absent as u64 & (u64::MAX >> 1);
        } else if let Some(known) = self.absent_wide.get_mut(at - NARROW) {
            *known |= absent;
        }
        walk.lengths >> (prefix.len - 1) & 1 != 0
    }
}

/// All prefixes of one field, each with how many entries have it.
#[derive(Clone, Default)]
pub(super) struct PrefixTrie {
    /// Stands for no bits.
    root: Node,
}

#[derive(Clone, Default)]
struct Node {
    /// The bits that lead here from the parent, left-aligned, zero behind.
    bits: u64,
    /// Entries whose prefix ends here.
    count: u32,
    /// How many bits lead here: at least one but for the root.
    len: u8,
    /// By the next bit.
    kids: [Option<Arc<Node>>; 2],
}

/// The bits of a path that can lead to one node.
#[inline(always)]
fn top(path: u128) -> u64 {
    (path >> 64) as u64
}

/// Which kid a path goes to.
#[inline(always)]
fn side(bits: u64) -> usize {
    (bits >> 63) as usize
}

impl PrefixTrie {
    /// Adds an entry.
    pub(super) fn insert(&mut self, bits: u128, len: u8) {
        self.root.insert(bits, len);
    }

    /// Takes an entry out that was added before.
    pub(super) fn remove(&mut self, bits: u128, len: u8) {
        self.root.remove(bits, len);
    }

    /// Follows a key as far as it goes.
    pub(super) fn walk(&self, key: u128) -> Walk {
        let (mut node, mut path, mut depth) = (&self.root, key, 0u8);
        let mut lengths = 0;
        loop {
            if node.count > 0 && depth > 0 {
                lengths |= 1 << (depth - 1);
            }
            let [left, right] = &node.kids;
            let Some(kid) = (if side(top(path)) == 0 { left } else { right }) else {
                // Where there is nothing below on either side, no further bit was looked at.
                let is_leaf = left.is_none() && right.is_none();
                return Walk { lengths, read: depth + u8::from(!is_leaf) };
            };
            let same = (kid.bits ^ top(path)).leading_zeros() as u8;
            if same < kid.len {
                return Walk { lengths, read: depth + same + 1 };
            }
            depth += kid.len;
            path <<= kid.len;
            node = kid;
        }
    }
}

impl Node {
    fn insert(&mut self, path: u128, len: u8) {
        if len == 0 {
            self.count += 1;
            return;
        }
        let Some(place) = self.kids.get_mut(side(top(path))) else { return };
        let Some(kid) = place else {
            let run = len.min(64);
            let mut kid = Node { bits: high(top(path), run), len: run, ..Node::default() };
            kid.insert(path << run, len - run);
            *place = Some(Arc::new(kid));
            return;
        };
        let same = ((kid.bits ^ top(path)).leading_zeros() as u8).min(len);
        if same >= kid.len {
            let run = kid.len;
            Arc::make_mut(kid).insert(path << run, len - run);
            return;
        }
        let mut fork = Node { bits: high(top(path), same), len: same, ..Node::default() };
        if let Some(mut below) = place.take() {
            let node = Arc::make_mut(&mut below);
            node.bits <<= same;
            node.len -= same;
            let side = side(node.bits);
            if let Some(kid) = fork.kids.get_mut(side) {
                *kid = Some(below);
            }
        }
        fork.insert(path << same, len - same);
        *place = Some(Arc::new(fork));
    }

    fn remove(&mut self, path: u128, len: u8) {
        if len == 0 {
            self.count = self.count.saturating_sub(1);
            return;
        }
        let Some(place) = self.kids.get_mut(side(top(path))) else { return };
        let Some(kid) = place else { return };
        let kid = Arc::make_mut(kid);
        let run = kid.len;
        kid.remove(path << run, len.saturating_sub(run));
        if kid.count > 0 {
            return;
        }
        match &mut kid.kids {
            [None, None] => *place = None,
            [Some(only), None] | [None, Some(only)] if run + only.len <= 64 => {
                let mut only = Arc::clone(only);
                let (bits, below) = (kid.bits, Arc::make_mut(&mut only));
                below.bits = bits | below.bits >> run;
                below.len += run;
                *place = Some(only);
            }
            _ => {}
        }
    }
}

/// The first `count` bits, of 1 to 64.
fn high(bits: u64, count: u8) -> u64 {
    bits & u64::MAX << (64 - u32::from(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Prefixes of few bits that differ, so that they nest.
    fn prefix() -> impl Strategy<Value = (u128, u8)> {
        let bits = prop_oneof![
            (0u128..8).prop_map(|n| n << 125),
            (0u128..16).prop_map(|n| n << 62),
            (0u128..4, 0u128..4).prop_map(|(a, b)| a << 126 | b),
            any::<u128>(),
        ];
        (bits, prop_oneof![1u8..6, 60u8..70, Just(128), 1u8..=128])
            .prop_map(|(bits, len)| (cut(bits, len), len))
    }

    fn cut(bits: u128, len: u8) -> u128 {
        if len == 0 { 0 } else { bits & u128::MAX << (128 - u32::from(len)) }
    }

    fn agree(trie: &PrefixTrie, oracle: &[(u128, u8)], keys: &[u128]) {
        for key in keys.iter().copied().chain(oracle.iter().map(|(bits, len)| bits | 1 << (*len % 128))) {
            let walk = trie.walk(key);
            for len in 1..=128u8 {
                let wanted = oracle.contains(&(cut(key, len), len));
                assert_eq!(walk.lengths >> (len - 1) & 1 != 0, wanted);
            }
            let common = |(bits, len): &(u128, u8)| ((bits ^ key).leading_zeros() as u8).min(*len);
            let followed = oracle.iter().map(common).max().unwrap_or(0);
            assert!(walk.read == followed || walk.read == followed + 1, "{} of {followed}", walk.read);
            // What was not read does not matter.
            let other = trie.walk(cut(key, walk.read) | !key & !cut(u128::MAX, walk.read));
            assert_eq!((other.lengths, other.read), (walk.lengths, walk.read));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_after_every_change(
            changes in proptest::collection::vec((prefix(), any::<prop::sample::Index>(), 0u8..8), 1..40),
            keys in proptest::collection::vec(prefix().prop_map(|(bits, _)| bits), 4),
        ) {
            let (mut trie, mut oracle) = (PrefixTrie::default(), Vec::new());
            let mut kept = Vec::new();
            for ((bits, len), index, what) in changes {
                match what {
                    0 => kept.push((trie.clone(), oracle.clone())),
                    1 | 2 if !oracle.is_empty() => {
                        let (bits, len) = oracle.swap_remove(index.index(oracle.len()));
                        trie.remove(bits, len);
                    }
                    _ => {
                        trie.insert(bits, len);
                        oracle.push((bits, len));
                    }
                }
                agree(&trie, &oracle, &keys);
            }
            kept.iter().for_each(|(trie, oracle)| agree(trie, oracle, &keys));
            for (bits, len) in oracle {
                trie.remove(bits, len);
            }
            prop_assert!(trie.root.kids.iter().all(Option::is_none));
        }
    }

    #[test]
    fn the_ports_of_all_protocols_share_their_bits() {
        for (field, views) in [
            (Field::TcpSrc, [Field::UdpSrc, Field::SctpSrc]),
            (Field::TcpDst, [Field::UdpDst, Field::SctpDst]),
        ] {
            assert!(views.iter().all(|view| view.info().loc == field.info().loc));
        }
    }

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 32);
    }
}
