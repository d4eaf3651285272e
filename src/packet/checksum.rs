//! Checksums: the Internet checksum (RFC 1071) and its incremental update (RFC 1624), SCTP's CRC32c, and the
//! completion of what a sender left open.
//!
//! Ones' complement has two zeros. A field of 0xffff verifies over any data, one of 0 verifies unless all the data
//! is zero, and in UDP a 0 says that there is no checksum: see [`Zero`].

pub mod crc32c;
pub mod l4;

pub use l4::{
    Datagram, NoPlace, complete, complete_l3, complete_l4, pseudo_header_sum, put_pseudo_header_sum,
};

/// A ones' complement sum that is being made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes, an odd one at the end as if a zero followed. The bytes start at an even place in what is summed.
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Sum {
        // In the order of small-endian machines, which gives the same sum with its bytes exchanged.
        let sum = if bytes.len() < LONG { few(bytes) } else { many(bytes) };
        Sum(add(self.0, sum.swap_bytes()))
    }

    /// Adds an integer that stands in the data as one, two or four 16-bit words.
    #[inline(always)]
    pub fn word(self, word: u64) -> Sum {
        Sum(add(self.0, word))
    }

    /// Adds an integer that stands in the data as up to eight 16-bit words.
    #[inline(always)]
    pub fn wide(self, word: u128) -> Sum {
        self.word((word >> 64) as u64).word(word as u64)
    }

    /// The sum in 16 bits; 0 only if all that was added is zero.
    #[inline(always)]
    pub fn fold(self) -> u16 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        sum as u16
    }
}

/// From so many bytes on, [`many`] is faster than [`few`].
const LONG: usize = 256;

/// The sum of bytes as little-endian words.
#[inline(always)]
fn few(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // The carries gather in the upper half, so that each costs an addition and no test.
    let mut sum: u128 = 0;
    for word in words {
        sum += u128::from(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let bits = 64 - 8 * rest.len() as u32;
        let last = match bytes.last_chunk() {
            // What was summed already is shifted out.
            Some(last) => u64::from_le_bytes(*last) >> bits,
            None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        sum += u128::from(last);
    }
    add(sum as u64, (sum >> 64) as u64)
}

/// The same, by lanes that hold more than they are given, so that no carry has to wait for another.
#[inline(never)]
fn many(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut lanes = [0u64; 8];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_le_bytes(*word));
        }
    }
    add(lanes.iter().sum(), few(rest))
}

/// Adds with the carry brought round, which keeps the value modulo 2^64 - 1, and so modulo 2^16 - 1.
#[inline(always)]
fn add(sum: u64, word: u64) -> u64 {
    let (sum, carry) = sum.overflowing_add(word);
    sum + u64::from(carry)
}

/// Which of its two forms a checksum field of value zero is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// 0: where the data is never all zero (IPv4, TCP, ICMPv6).
    Plain,
    /// 0xffff: UDP, where 0 means no checksum, and ICMP, whose data may be all zero.
    AllOnes,
}

impl Zero {
    /// The field, in the right form.
    #[inline(always)]
    pub fn canonical(self, field: u16) -> u16 {
        match (self, field) {
            (Zero::Plain, 0xffff) => 0,
            (Zero::AllOnes, 0) => 0xffff,
            _ => field,
        }
    }
}

/// The checksum field after `old` became `new` in the data: integers of whole 16-bit words.
///
/// A checksum that was wrong stays wrong by the same difference.
#[inline]
pub fn update(field: u16, old: u128, new: u128, zero: Zero) -> u16 {
    let sum = Sum(u64::from(!field)).wide(!old).wide(new);
    zero.canonical(!sum.fold())
}

/// [`update`] in the form [`Zero::Plain`], where one 16-bit word became less by so much.
#[inline(always)]
pub fn update_less(field: u16, by: u16) -> u16 {
    let sum = u32::from(field) + u32::from(by);
    Zero::Plain.canonical(((sum & 0xffff) + (sum >> 16)) as u16)
}

#[cfg(test)]
mod tests;
