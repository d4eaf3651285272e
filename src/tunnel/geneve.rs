//! The Geneve header and its options (RFC 8926).

use crate::packet::DropReason;
use crate::packet::headers::ETH_LEN;

/// UDP port of Geneve.
pub const PORT: u16 = 6081;
/// Bytes of the header without options.
pub const HEADER_LEN: usize = 8;
/// Bytes of OVN's option with its header.
pub const OPTION_LEN: usize = 8;
/// Transparent Ethernet bridging: an Ethernet frame follows.
pub const PROTOCOL: u16 = 0x6558;
/// Head of OVN's option: class 0x0102, type 0x80 (critical), one word of data.
pub const OPTION: u32 = 0x0102_8001;

/// In the header's first word: version, OAM bit and protocol, which have to be as in [`GOOD`].
const FIXED: u64 = 0xc080_ffff_0000_0000;
const GOOD: u64 = (PROTOCOL as u64) << 32;
/// In the second byte: critical options follow.
const CRITICAL: u8 = 0x40;
/// In an option's head: the three reserved bits beside the length.
const RESERVED: u32 = 0xe0;

/// What a Geneve header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of the header with its options.
    pub len: usize,
    /// Virtual network.
    pub vni: u32,
    /// OVN's option, if it was there.
    pub option: Option<u32>,
}

impl Header {
    /// Reads the header at the beginning of a UDP payload, in which an Ethernet header has to follow.
    ///
    /// Options that are not known are passed over, unless they are critical. OVN's own has to come once at most and with
    /// four bytes: otherwise it is a critical option that is not understood.
    #[inline(always)]
    pub fn read(payload: &[u8]) -> Result<Header, DropReason> {
        let head = payload.first_chunk().ok_or(DropReason::GeneveTruncated)?;
        let word = u64::from_be_bytes(*head);
        if word & FIXED != GOOD {
            return Err(unfit(word));
        }
        let options = (word >> 56) as usize * 4;
        let len = HEADER_LEN + options;
        if payload.len() < len + ETH_LEN {
            return Err(DropReason::GeneveTruncated);
        }
        let vni = (word >> 8) as u32 & 0xff_ffff;
        let option = match payload.get(HEADER_LEN..len) {
            None | Some([]) => None,
            Some(options) => read_options(options)?,
        };
        Ok(Header { len, vni, option })
    }
}

/// Which of the fixed parts is wrong.
#[cold]
fn unfit(word: u64) -> DropReason {
    match word.to_be_bytes() {
        [first, ..] if first >> 6 != 0 => DropReason::GeneveBadVersion,
        [_, second, ..] if second & 0x80 != 0 => DropReason::GeneveOam,
        _ => DropReason::GeneveBadProtocol,
    }
}

/// OVN's option among the options.
#[inline(always)]
fn read_options(options: &[u8]) -> Result<Option<u32>, DropReason> {
    // The one that OVN sends.
    if let Ok(only) = <[u8; OPTION_LEN]>::try_from(options) {
        let word = u64::from_be_bytes(only);
        if (word >> 32) as u32 & !RESERVED == OPTION {
            return Ok(Some(word as u32));
        }
    }
    walk(options)
}

#[inline(never)]
fn walk(options: &[u8]) -> Result<Option<u32>, DropReason> {
    let (mut found, mut rest) = (None, options);
    while !rest.is_empty() {
        let (head, behind) = rest.split_first_chunk().ok_or(DropReason::GeneveTruncated)?;
        let head = u32::from_be_bytes(*head);
        let len = (head & 0x1f) as usize * 4;
        let (data, behind) = behind.split_at_checked(len).ok_or(DropReason::GeneveTruncated)?;
        if head >> 8 == OPTION >> 8 {
            match (<[u8; 4]>::try_from(data), found) {
                (Ok(data), None) => found = Some(u32::from_be_bytes(data)),
                _ => return Err(DropReason::GeneveCriticalOption),
            }
        } else if head & 0x8000 != 0 {
            return Err(DropReason::GeneveCriticalOption);
        }
        rest = behind;
    }
    Ok(found)
}

/// The header without options, or with OVN's to follow.
#[inline(always)]
pub fn header(vni: u32, has_option: bool) -> [u8; HEADER_LEN] {
    let words = if has_option { (OPTION_LEN / 4) as u8 } else { 0 };
    let flags = if has_option { CRITICAL } else { 0 };
    let head = u64::from(words) << 56 | u64::from(flags) << 48 | GOOD;
    (head | u64::from(vni & 0xff_ffff) << 8).to_be_bytes()
}

/// OVN's option.
#[inline(always)]
pub fn option(value: u32) -> [u8; OPTION_LEN] {
    (u64::from(OPTION) << 32 | u64::from(value)).to_be_bytes()
}
