//! Checksums: the Internet checksum (RFC 1071) and its incremental update (RFC 1624), SCTP's CRC32c, and the
//! completion of what a sender left open.
//!
//! Ones' complement has two zeros. A field of 0xffff verifies over any data, one of 0 verifies unless all the data
//! is zero, and in UDP a 0 says that there is no checksum: see [`Zero`].

pub mod crc32c;
pub mod l4;

pub use l4::{Datagram, NoPlace, complete_l3, complete_l4, pseudo_header_sum, put_pseudo_header_sum};

/// A ones' complement sum that is being made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes, an odd one at the end as if a zero followed. The bytes start at an even place in what is summed.
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Sum {
        let (chunks, tail) = bytes.as_chunks::<8>();
        let mut sum = self.0;
        for chunk in chunks {
            sum = add(sum, u64::from_be_bytes(*chunk));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        Sum(add(sum, u64::from_be_bytes(last)))
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
