//! Single values: numbers, addresses, flags, ports, and parts of fields.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::PortNames;
use super::cursor::Piece;
use super::error::{Problem, SyntaxError, nearest, shorten};
use crate::action::Subfield;
use crate::packet::field::{Form, Maskable};
use crate::packet::{Field, Mac, PortNo};

/// Words for ip_frag with value and mask: bit 0 is any fragment, bit 1 a later one.
pub(super) const FRAGMENTS: &[(&str, u128, u128)] =
    &[("no", 0, 3), ("yes", 1, 1), ("first", 1, 3), ("later", 3, 3), ("not_later", 0, 2)];

/// One bit per name.
pub(super) fn all_flags(names: &[&str]) -> u128 {
    (1 << names.len()) - 1
}

/// Bits of a field as OpenFlow counts them: port numbers have 16 bits there, 32 in the key.
pub(super) fn flow_bits(field: Field) -> u16 {
    if field == Field::InPort { 16 } else { field.bits() }
}

/// Ones in the low `bits`, at least one of them.
pub(super) fn ones(bits: u16) -> u128 {
    u128::MAX >> (128 - u32::from(bits))
}

/// A decimal or hexadecimal number of at most `bits` bits.
pub(super) fn number(piece: Piece<'_>, name: &str, bits: u16) -> Result<u128, SyntaxError> {
    let expected = "a decimal number or one in hexadecimal behind 0x";
    let bad = || SyntaxError::value(piece, name, expected);
    let (digits, radix) = match piece.text.strip_prefix("0x").or_else(|| piece.text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (piece.text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(bad());
    }
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        let expected = "no leading zero, which ovs-ofctl takes for octal";
        return Err(SyntaxError::value(piece, name, expected));
    }
    let max = ones(bits);
    match u128::from_str_radix(digits, radix) {
        Ok(number) if number <= max => Ok(number),
        _ => Err(too_large(piece, name, max)),
    }
}

/// A number above `max`.
pub(super) fn too_large(piece: Piece<'_>, name: &str, max: u128) -> SyntaxError {
    let (name, found) = (shorten(name), shorten(piece.text));
    SyntaxError::new(piece, Problem::TooLarge { name, found, max })
}

/// A number of up to 16 bits.
pub(super) fn number_u16(piece: Piece<'_>, name: &str) -> Result<u16, SyntaxError> {
    // Sixteen bits always fit.
    number(piece, name, 16).map(|number| number as u16)
}

/// A number of up to 64 bits, or two with a slash between.
pub(super) fn masked_u64(piece: Piece<'_>, name: &str) -> Result<(u64, Option<u64>), SyntaxError> {
    let (value, mask) = with_mask(piece);
    let read = |piece| {
        if matches!(piece, Piece { text: "-1", .. }) {
            return Ok(u64::MAX);
        }
        number(piece, name, 64).map(|number| number as u64)
    };
    Ok((read(value)?, mask.map(read).transpose()?))
}

/// A table that can hold flows.
pub(super) fn table(piece: Piece<'_>, name: &str) -> Result<u8, SyntaxError> {
    match number(piece, name, 128)? {
        table @ 0..=254 => Ok(table as u8),
        _ => Err(too_large(piece, name, 254)),
    }
}

/// The parts around a slash.
fn with_mask(piece: Piece<'_>) -> (Piece<'_>, Option<Piece<'_>>) {
    match piece.split_once("/") {
        Some((value, mask)) => (value, Some(mask)),
        None => (piece, None),
    }
}

/// A value of `field` with its mask, `value` zero outside it. `name` is what the text calls the field.
pub(super) fn field_value(
    field: Field,
    name: &str,
    piece: Piece<'_>,
    ports: &dyn PortNames,
) -> Result<(u128, u128), SyntaxError> {
    let (value, mask) = any_value(field, name, piece, ports)?;
    if let (_, Some(piece)) = with_mask(piece)
        && field.info().maskable == Maskable::Whole
        && mask != whole(field)
    {
        return Err(SyntaxError::refused(piece, format!("{name} takes no mask; leave out the slash")));
    }
    Ok((value, mask))
}

/// The mask of a value without one.
fn whole(field: Field) -> u128 {
    if field == Field::NwTos { 0xfc } else { field.all_ones() }
}

/// The same with any mask, also of a field that flows match as a whole.
pub(super) fn any_value(
    field: Field,
    name: &str,
    piece: Piece<'_>,
    ports: &dyn PortNames,
) -> Result<(u128, u128), SyntaxError> {
    let form = field.info().form;
    if let Some(names) = form.flag_names() {
        return flags(piece, name, names);
    }
    if form == Form::Frag {
        // As it is printed where only one of the two bits was looked at.
        if let (value, Some(mask)) = with_mask(piece) {
            let (value, mask) = (number(value, name, 2)?, number(mask, name, 2)?);
            return Ok((value & mask, mask));
        }
        let word = FRAGMENTS.iter().find(|(word, ..)| *word == piece.text);
        let (_, value, mask) =
            word.ok_or_else(|| SyntaxError::value(piece, name, "no, yes, first, later or not_later"))?;
        return Ok((*value, *mask));
    }
    let (value_piece, mask_piece) = with_mask(piece);
    let value = match form {
        Form::Mac => mac(value_piece, name)?,
        Form::Ipv4 => u128::from(ipv4(value_piece, name)?.to_bits()),
        Form::Ipv6 => ipv6(value_piece, name)?.to_bits(),
        Form::Port => u128::from(port(value_piece, ports)?.0),
        _ => number(value_piece, name, flow_bits(field))?,
    };
    let mask = match mask_piece {
        None => whole(field),
        Some(mask) => match form {
            Form::Mac => mac(mask, name)?,
            Form::Ipv4 => u128::from(match prefix(mask, 32)? {
                Some(length) => (ones(32) << (32 - length)) as u32,
                None => ipv4(mask, name)?.to_bits(),
            }),
            Form::Ipv6 => match prefix(mask, 128)? {
                Some(0) => 0,
                Some(length) => u128::MAX << (128 - length),
                None => ipv6(mask, name)?.to_bits(),
            },
            Form::Port => number(mask, name, 32)?,
            _ => number(mask, name, flow_bits(field))?,
        },
    };
    let mask = mask & field.all_ones();
    Ok((value & mask, mask))
}

/// The length of a prefix, if the mask is written as one.
fn prefix(mask: Piece<'_>, most: u32) -> Result<Option<u32>, SyntaxError> {
    if mask.text.is_empty() || !mask.text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(None);
    }
    match mask.text.parse() {
        Ok(length) if length <= most => Ok(Some(length)),
        _ => Err(too_large(mask, "the prefix length", most.into())),
    }
}

fn mac(piece: Piece<'_>, name: &str) -> Result<u128, SyntaxError> {
    let expected = "six pairs of hexadecimal digits, such as 02:00:00:00:00:01";
    let mac: Mac = piece.text.parse().map_err(|_| SyntaxError::value(piece, name, expected))?;
    Ok(mac.to_u64().into())
}

fn ipv4(piece: Piece<'_>, name: &str) -> Result<Ipv4Addr, SyntaxError> {
    let expected = "an IPv4 address, such as 192.0.2.1 or 192.0.2.0/24";
    piece.text.parse().map_err(|_| SyntaxError::value(piece, name, expected))
}

fn ipv6(piece: Piece<'_>, name: &str) -> Result<Ipv6Addr, SyntaxError> {
    let expected = "an IPv6 address, such as 2001:db8::1 or 2001:db8::/64";
    piece.text.parse().map_err(|_| SyntaxError::value(piece, name, expected))
}

/// `+syn-ack`, or a number with mask, or `syn|ack` for exactly these.
fn flags(piece: Piece<'_>, name: &str, names: &'static [&'static str]) -> Result<(u128, u128), SyntaxError> {
    let all = all_flags(names);
    let flag = |word: Piece<'_>| match names.iter().position(|name| *name == word.text) {
        Some(bit) => Ok(1u128 << bit),
        None => {
            let near = nearest(word.text, names.iter().copied());
            let found = shorten(word.text);
            let problem = Problem::Unknown { what: "flag", found, near, expected: names.to_vec() };
            Err(SyntaxError::new(word, problem))
        }
    };
    if piece.text.starts_with(|c: char| c.is_ascii_digit()) {
        let (value, mask) = with_mask(piece);
        let mut bits = |piece| match number(piece, name, 128)? {
            bits if bits <= all => Ok(bits),
            _ => Err(too_large(piece, name, all)),
        };
        let value = bits(value)?;
        let mask = mask.map(&mut bits).transpose()?.unwrap_or(all);
        return Ok((value & mask, mask));
    }
    let (mut value, mut mask) = (0, 0);
    if !piece.text.starts_with(['+', '-']) {
        let mut rest = Some(piece);
        while let Some(words) = rest {
            let (word, others) = match words.split_once("|") {
                Some((word, others)) => (word, Some(others)),
                None => (words, None),
            };
            value |= flag(word)?;
            rest = others;
        }
        return Ok((value, all));
    }
    let mut rest = piece;
    while !rest.text.is_empty() {
        let (sign, words) = rest.split_at(1);
        let (word, others) = words.take_while(|c| c != '+' && c != '-');
        let bit = flag(word)?;
        if mask & bit != 0 {
            let sentence = format!("the flag {} is given twice; leave one out", word.text);
            return Err(SyntaxError::refused(word, sentence));
        }
        mask |= bit;
        if sign.text == "+" {
            value |= bit;
        }
        rest = others;
    }
    Ok((value, mask))
}

/// Reserved port numbers by the names that ovs-ofctl takes.
const RESERVED: &[(&str, PortNo)] = &[
    ("in_port", PortNo::IN_PORT),
    ("normal", PortNo::NORMAL),
    ("flood", PortNo::FLOOD),
    ("all", PortNo::ALL),
    ("controller", PortNo::CONTROLLER),
    ("local", PortNo::LOCAL),
    ("any", PortNo::NONE),
    ("none", PortNo::NONE),
];

/// A port by number, reserved name, name, or name in quotes; `None` if it is none of these.
pub(super) fn known_port(piece: Piece<'_>, ports: &dyn PortNames) -> Result<Option<PortNo>, SyntaxError> {
    if let Some(quoted) = piece.strip_prefix("\"").and_then(|rest| rest.strip_suffix("\"")) {
        return Ok(ports.number(quoted.text));
    }
    if piece.text.starts_with(|c: char| c.is_ascii_digit()) {
        // The reserved numbers of OpenFlow 1.1 and later are those of 1.0 with the upper half set.
        return match number(piece, "a port number", 128)? {
            number @ (0..=0xffff | 0xffff_ff00..=0xffff_ffff) => Ok(Some(PortNo(number as u16))),
            _ => Err(too_large(piece, "a port number", 0xffff)),
        };
    }
    let reserved = RESERVED.iter().find(|(name, _)| name.eq_ignore_ascii_case(piece.text));
    Ok(reserved.map(|(_, number)| *number).or_else(|| ports.number(piece.text)))
}

/// A port as in [`known_port`], which must be known.
pub(super) fn port(piece: Piece<'_>, ports: &dyn PortNames) -> Result<PortNo, SyntaxError> {
    known_port(piece, ports)?.ok_or_else(|| {
        let near = nearest(piece.text, RESERVED.iter().map(|(name, _)| *name));
        let found = shorten(piece.text.trim_matches('"'));
        let expected = vec!["a port number", "the name of a port"];
        SyntaxError::new(piece, Problem::Unknown { what: "port", found, near, expected })
    })
}

/// `FIELD`, `FIELD[]`, `FIELD[BIT]` or `FIELD[FIRST..LAST]`, with what the text calls the field.
pub(super) fn subfield<'a>(
    piece: Piece<'a>,
    by_name: impl Fn(Piece<'a>) -> Result<Field, SyntaxError>,
) -> Result<(Piece<'a>, Subfield), SyntaxError> {
    let Some((name, bracket)) = piece.split_once("[") else {
        let field = by_name(piece)?;
        return Ok((piece, Subfield { field, start: 0, bits: flow_bits(field) }));
    };
    let field = by_name(name)?;
    let Some(range) = bracket.strip_suffix("]") else {
        return Err(SyntaxError::missing(piece.end(), "the closing bracket is", "\"]\""));
    };
    let width = flow_bits(field);
    let bit = |piece: Piece<'_>| {
        let what = "a bit number";
        match number(piece, what, 128)? {
            bit if bit < u128::from(width) => Ok(bit as u16),
            _ => Err(too_large(piece, &format!("a bit of {}", name.text), u128::from(width) - 1)),
        }
    };
    let (start, last) = match range.split_once("..") {
        None if range.text.is_empty() => (0, width - 1),
        None => {
            let bit = bit(range)?;
            (bit, bit)
        }
        Some((start, last)) => (bit(start)?, bit(last)?),
    };
    if start > last {
        let sentence = format!("bit {start} comes after bit {last}; write the lower one first");
        return Err(SyntaxError::refused(range, sentence));
    }
    Ok((name, Subfield { field, start, bits: last - start + 1 }))
}
