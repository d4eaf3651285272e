//! SHA-256 (FIPS 180-4), for digests that are the same on every host and in every release, and that `sha256sum` makes too.
//!
//! It is not for secrets, and not for large things.

/// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
const ROUNDS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The same of the square roots of the first 8.
const START: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The digest of some bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let mut state = blocks.iter().fold(START, compress);
    // A one, zeros, and the length in bits at the end of a block.
    let mut tail = rest.to_vec();
    tail.push(0x80);
    let full = if tail.len() <= 56 { 56 } else { 120 };
    tail.resize(full, 0);
    tail.extend((bytes.len() as u64 * 8).to_be_bytes());
    state = tail.as_chunks::<64>().0.iter().fold(state, compress);
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn compress(state: [u32; 8], block: &[u8; 64]) -> [u32; 8] {
    // The last sixteen words of the schedule, the oldest first.
    let mut last = [0; 16];
    for (word, bytes) in last.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    for constant in ROUNDS {
        let [word, second, .., before_last, _] = last;
        let ninth = last.get(9).copied().unwrap_or_default();
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let one = h.wrapping_add(s1).wrapping_add(choice).wrapping_add(constant).wrapping_add(word);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) ^ (a & c) ^ (b & c);
        let two = s0.wrapping_add(majority);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(one), c, b, a, one.wrapping_add(two));
        let low = second.rotate_right(7) ^ second.rotate_right(18) ^ second >> 3;
        let high = before_last.rotate_right(17) ^ before_last.rotate_right(19) ^ before_last >> 10;
        let next = word.wrapping_add(low).wrapping_add(ninth).wrapping_add(high);
        last.rotate_left(1);
        let [.., newest] = &mut last;
        *newest = next;
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = state;
    let sum = |one: u32, other: u32| one.wrapping_add(other);
    [sum(s0, a), sum(s1, b), sum(s2, c), sum(s3, d), sum(s4, e), sum(s5, f), sum(s6, g), sum(s7, h)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the standard, and every length at which the padding changes, beside what `sha256sum` prints.
    #[test]
    fn digests_are_those_of_the_standard() {
        for (text, digest) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            assert_eq!(sha256(text.as_bytes()), digest, "{text}");
        }
        let lengths = [55, 56, 63, 64, 65, 119, 120, 127, 128, 1000];
        let all: String = lengths.iter().map(|length| sha256("a".repeat(*length).as_bytes())).collect();
        assert_eq!(
            sha256(all.as_bytes()),
            "be78905acd6d6a3bac64a86947e51e7f9cee86cd9293b9df80945ecc2e975b54"
        );
        assert_eq!(
            sha256("a".repeat(1_000_000).as_bytes()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }
}
