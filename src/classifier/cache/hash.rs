//! The seeded hash of the caches. The words of a masked key are multiplied half by half with secrets added to them and
//! summed up (NH of UMAC, RFC 4418): two keys that are not equal have one sum with a probability of 2⁻³², whoever chose
//! them without knowing the secrets. The sum is mixed at the end, so that any of its bits may be taken. It comes out as a
//! few vector instructions, whatever the mask.

use crate::packet::FlowKey;
use crate::packet::key::{KEY_WORDS, SHORT_WORDS, w};

/// Secrets that a hash is mixed with. Whoever sends packets does not know them.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    words: [u64; KEY_WORDS],
    last: [u64; 2],
}

impl Seed {
    /// From a number that should differ with every start.
    pub fn new(from: u64) -> Self {
        let mut state = from;
        // splitmix64: every bit of the number reaches every word.
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let a = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            b ^ (b >> 31)
        };
        Self { words: std::array::from_fn(|_| next()), last: [next(), next()] }
    }

    /// A seed for the same purpose and another place.
    pub fn with(&self, number: u64) -> Self {
        Self::new(self.words[0] ^ number)
    }

    /// The hash of the bits of a key that a mask has. `salt` keeps equal keys of different masks apart.
    #[inline(always)]
    pub fn hash<const N: usize>(&self, key: &[u64; N], mask: &[u64; N], salt: u64) -> u64 {
        let mut sum = salt;
        for ((word, mask), secret) in key.iter().zip(mask).zip(&self.words) {
            let word = word & mask;
            let low = (word as u32).wrapping_add(*secret as u32);
            let high = ((word >> 32) as u32).wrapping_add((secret >> 32) as u32);
            sum = sum.wrapping_add(u64::from(low) * u64::from(high));
        }
        self.finish(sum)
    }

    #[inline(always)]
    fn finish(&self, sum: u64) -> u64 {
        let product = u128::from(sum ^ self.last[0]) * u128::from(self.last[1] | 1);
        product as u64 ^ (product >> 64) as u64
    }

    /// A number that nobody knows.
    pub fn secret(&self) -> u64 {
        self.finish(0)
    }
}

/// What the exact-match cache knows a flow by: port, addresses, tag, protocol and L4 ports. What changes within a flow
/// (TTL, TCP flags, DSCP) is left out, so that one flow has one place.
const FLOW: [u64; SHORT_WORDS] = {
    let mut mask = [u64::MAX; SHORT_WORDS];
    mask[w::MARK] = 0;
    mask[w::NW_MISC] = 0xff00_0000_0000_0000;
    mask[w::TP] = 0xffff_ffff_0000_0000;
    mask
};

/// The same without L4 ports, which later fragments do not have.
const ADDRESSES: [u64; SHORT_WORDS] = {
    let mut mask = FLOW;
    mask[w::TP] = 0;
    mask
};

/// The same as [`FLOW`] with the long fields.
const LONG_FLOW: [u64; KEY_WORDS] = {
    let mut mask = [u64::MAX; KEY_WORDS];
    let mut word = 0;
    while word < SHORT_WORDS {
        mask[word] = FLOW[word];
        word += 1;
    }
    mask
};

/// The hash by which the exact-match cache knows the flow of a key with short fields only.
#[inline(always)]
pub fn flow_hash(seed: &Seed, key: &FlowKey) -> u64 {
    // Shorter than the key, so there is always such a beginning.
    key.words().first_chunk().map_or(0, |words| seed.hash(words, &FLOW, 0))
}

/// The same for a packet with long fields.
#[inline]
pub fn long_flow_hash(seed: &Seed, key: &FlowKey) -> u64 {
    seed.hash(key.words(), &LONG_FLOW, 0)
}

/// A hash that all packets of a flow have, its fragments too.
#[inline]
pub fn address_hash(seed: &Seed, key: &FlowKey) -> u64 {
    key.words().first_chunk().map_or(0, |words| seed.hash(words, &ADDRESSES, 0))
}
