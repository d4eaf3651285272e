//! How a record stands in a file: its length, checksums of that and of what follows, and its bytes.
//!
//! A crash leaves at most one record unfinished, the last one: short, or with bytes in it that never came. Whatever else
//! is found is damage.

use crate::packet::checksum::crc32c::Crc32c;

/// Bytes before those of a record: their number, their checksum, and the checksum of these two, 32 bits each.
const HEADER: usize = 12;

/// A record with what stands before it; none if it is too long.
pub fn frame(payload: &str) -> Option<Vec<u8>> {
    let payload = payload.as_bytes();
    let length = u32::try_from(payload.len()).ok()?;
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(payload));
    out.extend_from_slice(&checksum(&out));
    out.extend_from_slice(payload);
    Some(out)
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    Crc32c::default().bytes(bytes).finish().to_le_bytes()
}

/// What is found at a place.
enum Found<'a> {
    /// A record.
    Good(&'a [u8]),
    /// The beginning of one, and where it should end.
    Bad(usize),
    /// None.
    Nothing,
}

fn look(bytes: &[u8]) -> Found<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Found::Nothing };
    let [a, b, c, d, sum @ .., _, _, _, _] = *header;
    let (before, own) = header.split_at(HEADER - 4);
    if checksum(before) != *own {
        return Found::Nothing;
    }
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    match rest.get(..length) {
        Some(payload) if checksum(payload) == sum => Found::Good(payload),
        _ => Found::Bad(HEADER + length),
    }
}

/// How a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With a record.
    Clean,
    /// With one that was not finished.
    Cut,
    /// With damage that no crash does.
    Damaged,
}

/// The records of a file, with the places of their beginnings, up to one that is not good.
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// All that follows the preamble.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The end of the last good record.
    pub fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// What follows the last good record.
    pub fn ending(&self) -> Ending {
        let rest = self.rest();
        match look(rest) {
            _ if rest.is_empty() => Ending::Clean,
            Found::Bad(end) if end >= rest.len() => Ending::Cut,
            Found::Nothing if !holds_record(rest) => Ending::Cut,
            _ => Ending::Damaged,
        }
    }
}

/// Whether there is a good record somewhere.
fn holds_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| matches!(look(bytes.get(at..).unwrap_or(&[])), Found::Good(_)))
}

impl<'a> Iterator for Frames<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let Found::Good(payload) = look(self.rest()) else { return None };
        let at = self.at;
        self.at += HEADER + payload.len();
        Some((at, payload))
    }
}
