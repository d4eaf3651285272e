//! The seeded hash of the caches: folded multiplications, two words each, that do not wait for one another.

use crate::packet::FlowKey;
use crate::packet::key::w;

/// Words that a hash is mixed with. Whoever sends packets does not know them.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    words: [u64; 8],
}

impl Seed {
    /// From a number that should differ with every start.
    pub fn new(from: u64) -> Self {
        let mut state = from;
        // splitmix64: every bit of the number reaches every word.
        let words = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let a = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            b ^ (b >> 31)
        });
        Self { words }
    }

    /// A seed for the same purpose and another place.
    pub fn with(&self, number: u64) -> Self {
        Self::new(self.words[0] ^ number)
    }

    /// Mixes the pair of words at place `pair` of what is hashed. Partial hashes are combined by XOR.
    #[inline(always)]
    pub fn pair(&self, pair: usize, a: u64, b: u64) -> u64 {
        let at = (pair % 3) * 2;
        // Pairs beyond the third share words of the seed; turned by their place they do not cancel out.
        let turn = (pair / 3) as u32 * 7;
        let (x, y) = (self.words[at], self.words[at + 1]);
        fold(a ^ x.rotate_left(turn), b ^ y.rotate_left(turn))
    }

    /// The hash, from the combined pairs.
    #[inline(always)]
    pub fn finish(&self, combined: u64) -> u64 {
        fold(combined ^ self.words[6], self.words[7] | 1)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash by which the exact-match cache knows a flow: port, addresses, tag, protocol and L4 ports. What changes within
/// a flow (TTL, TCP flags, DSCP) is left out, so that one flow has one place.
#[inline(always)]
pub fn flow_hash(seed: &Seed, key: &FlowKey) -> u64 {
    let words = key.words();
    let proto = words[w::NW_MISC] & 0xff00_0000_0000_0000;
    let ports = words[w::TP] & 0xffff_ffff_0000_0000;
    let combined = seed.pair(0, words[w::CONTEXT] ^ words[w::VLAN], words[w::NW])
        ^ seed.pair(1, words[w::ETH_DST], words[w::ETH_SRC])
        ^ seed.pair(2, proto | ports >> 32, words[w::VLAN]);
    seed.finish(combined)
}

/// The same for a packet with long fields.
#[inline]
pub fn long_flow_hash(seed: &Seed, key: &FlowKey) -> u64 {
    let words = key.words();
    let addresses = seed.pair(3, words[w::IPV6_SRC], words[w::IPV6_SRC + 1])
        ^ seed.pair(4, words[w::IPV6_DST], words[w::IPV6_DST + 1])
        ^ seed.pair(5, words[w::ARP_SHA] ^ words[w::TUN_ID], words[w::ND_TARGET + 1]);
    flow_hash(seed, key) ^ seed.finish(addresses)
}
