//! Whether the checksums of a frame verify, by a walk of its headers that shares nothing with the switch.

use crate::testgen::{naive_crc32c, naive_sum, pseudo_header};

/// What a checksum is wrong by, 0 if it verifies; none where there is none to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    pub ip: Option<u32>,
    pub l4: Option<u32>,
}

pub fn errors(frame: &[u8]) -> Errors {
    walk(frame).unwrap_or_default()
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn walk(frame: &[u8]) -> Option<Errors> {
    let mut at = 12;
    while matches!(be16(frame, at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    if be16(frame, at)? < 0x600 && frame.get(at + 2..at + 8)? == [0xaa, 0xaa, 3, 0, 0, 0] {
        at += 8;
    }
    let rest = frame.get(at + 2..)?;
    match be16(frame, at)? {
        0x0800 => ipv4(rest),
        0x86dd => ipv6(rest),
        _ => None,
    }
}

fn ones_complement(bytes: &[u8]) -> u32 {
    u32::from(!naive_sum(bytes)) % 0xffff
}

fn ipv4(rest: &[u8]) -> Option<Errors> {
    let words = usize::from(*rest.first()?);
    let header = (words & 0xf) * 4;
    if words >> 4 != 4 || header < 20 {
        return None;
    }
    let message = rest.get(..be16(rest, 2)?)?.get(header..)?;
    let is_whole = be16(rest, 6)? & 0x3fff == 0;
    let l4 = if is_whole { l4(&rest[12..20], rest[9], message, false) } else { None };
    Some(Errors { ip: Some(ones_complement(&rest[..header])), l4 })
}

fn ipv6(rest: &[u8]) -> Option<Errors> {
    let mut message = rest.get(40..)?.get(..be16(rest, 4)?)?;
    let mut addrs = rest[8..40].to_vec();
    let mut next = rest[6];
    while let 0 | 43 | 44 | 51 | 60 = next {
        let len = match next {
            44 if be16(message, 2)? & 0xfff9 != 0 => return None,
            44 => 8,
            51 => (usize::from(*message.get(1)?) + 2) * 4,
            _ => (usize::from(*message.get(1)?) + 1) * 8,
        };
        let header = message.get(..len)?;
        if next == 43 && header[3] != 0 {
            addrs.splice(16.., header[len.checked_sub(16)?..].iter().copied());
        }
        next = header[0];
        message = &message[len..];
    }
    Some(Errors { ip: None, l4: l4(&addrs, next, message, true) })
}

fn l4(addrs: &[u8], proto: u8, message: &[u8], is_ipv6: bool) -> Option<u32> {
    match (proto, is_ipv6) {
        (6, _) if message.len() >= 20 => {}
        (17, _) if message.len() >= 8 && be16(message, 6)? != 0 => {}
        (58, true) if message.len() >= 8 => {}
        (1, false) if message.len() >= 8 => return Some(ones_complement(message)),
        (132, _) if message.len() >= 12 => {
            let mut covered = message.to_vec();
            covered[8..12].fill(0);
            return Some(naive_crc32c(&covered) ^ u32::from_le_bytes(message[8..12].try_into().ok()?));
        }
        _ => return None,
    }
    let mut covered = pseudo_header(addrs, proto, message.len());
    covered.extend(message);
    Some(ones_complement(&covered))
}
