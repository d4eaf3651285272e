//! Meters, as `ovs-ofctl` reads and prints them.

use std::fmt::Write;

use super::cursor::{Item, Items, Piece};
use super::error::{Problem, SyntaxError, nearest, shorten};
use super::flow::{MAX_TEXT, text_too_long};
use super::objects::meter_id;
use super::value::number;
use crate::pipeline::objects::meter::{BandSpec, MeterSpec, Unit};

/// Reads a meter to be added or changed.
pub fn parse_meter(text: &str) -> Result<MeterSpec, SyntaxError> {
    if text.len() > MAX_TEXT {
        return Err(text_too_long(text));
    }
    let all = Piece::all(text);
    let found = ["bands=", "band="].into_iter().find_map(|word| all.split_once(word));
    let Some((head, bands)) = found else {
        let mend = "bands=type=drop,rate=NUMBER";
        return Err(SyntaxError::missing(all.end(), "the bands are", mend));
    };
    let (mut id, mut unit, mut burst, mut stats) = (None, None, false, false);
    let mut items = Items::of(head);
    while let Some(item) = items.next_item()? {
        match item.key.text {
            "meter" => id = Some(meter_id(item.required("meter=NUMBER")?)?),
            "kbps" | "pktps" if unit.is_some() => {
                let sentence = "a meter counts either in kbps or in pktps; leave one out";
                return Err(SyntaxError::refused(item.key, sentence));
            }
            "kbps" => unit = Some(Unit::Kbps),
            "pktps" => unit = Some(Unit::Pktps),
            "burst" => burst = true,
            "stats" => stats = true,
            _ => return Err(unknown(&item, &["meter", "kbps", "pktps", "burst", "stats", "bands"])),
        }
    }
    let id = id.ok_or_else(|| SyntaxError::missing(head.end(), "the meter is", "meter=NUMBER"))?;
    let unit = unit.ok_or_else(|| SyntaxError::missing(head.end(), "the unit is", "kbps or pktps"))?;
    let bands = parse_bands(bands, burst)?;
    Ok(MeterSpec { id, unit, burst, stats, bands })
}

/// Reads which meter is meant: `meter=7`, `7`; `all` or nothing for all.
pub fn parse_meter_id(text: &str) -> Result<Option<u32>, SyntaxError> {
    let whole = Piece::all(text).trim();
    let id = whole.strip_prefix("meter=").unwrap_or(whole);
    if matches!(id.text, "" | "all") { Ok(None) } else { meter_id(id).map(Some) }
}

fn parse_bands(list: Piece<'_>, has_burst: bool) -> Result<Vec<BandSpec>, SyntaxError> {
    let mut bands: Vec<(Piece<'_>, BandSpec)> = Vec::new();
    let mut items = Items::of(list);
    while let Some(item) = items.next_item()? {
        if item.key.text == "type" {
            match item.required("type=drop")? {
                Piece { text: "drop", .. } => bands.push((item.whole, BandSpec { rate: 0, burst: 0 })),
                piece @ Piece { text: "dscp_remark", .. } => {
                    return Err(SyntaxError::not_yet(piece, "a band that changes the DSCP"));
                }
                piece => return Err(SyntaxError::value(piece, "type", "drop")),
            }
            continue;
        }
        let name = item.key.text;
        let Some((_, band)) = bands.last_mut() else {
            return Err(SyntaxError::missing(item.whole, "the type of the band is", "type=drop before it"));
        };
        let value = || {
            let piece = item.required(&format!("{name}=NUMBER"))?;
            match number(piece, name, 32)? as u32 {
                0 => Err(SyntaxError::refused(
                    piece,
                    format!("{name} is 0, so that nothing passes; give at least 1"),
                )),
                value => Ok(value),
            }
        };
        match name {
            "rate" => band.rate = value()?,
            "burst_size" if has_burst => band.burst = value()?,
            "burst_size" => {
                let sentence = "burst_size counts only with the flag burst before the bands; add that";
                return Err(SyntaxError::refused(item.whole, sentence));
            }
            _ => return Err(unknown(&item, &["type", "rate", "burst_size"])),
        }
    }
    if bands.is_empty() {
        return Err(SyntaxError::missing(list.end(), "the bands are", "type=drop,rate=NUMBER"));
    }
    for (whole, band) in &bands {
        if band.rate == 0 {
            return Err(SyntaxError::missing(*whole, "the rate of the band is", "rate=NUMBER, at least 1"));
        }
        if has_burst && band.burst == 0 {
            let mend = "burst_size=NUMBER, at least 1, or leave out the flag burst";
            return Err(SyntaxError::missing(*whole, "the burst of the band is", mend));
        }
    }
    Ok(bands.into_iter().map(|(_, band)| band).collect())
}

fn unknown(item: &Item<'_>, expected: &[&'static str]) -> SyntaxError {
    let near = nearest(item.key.text, expected.iter().copied());
    let found = shorten(item.key.text);
    let problem = Problem::Unknown { what: "part of a meter", found, near, expected: expected.to_vec() };
    SyntaxError::new(item.key, problem)
}

/// A meter as `ovs-ofctl dump-meters` prints it: a line, and one for each band.
pub fn print_meter(spec: &MeterSpec) -> String {
    let unit = match spec.unit {
        Unit::Kbps => "kbps",
        Unit::Pktps => "pktps",
    };
    let mut out = format!("meter={} {unit} ", spec.id);
    for (flag, set) in [("burst ", spec.burst), ("stats ", spec.stats)] {
        out.push_str(if set { flag } else { "" });
    }
    out.push_str("bands=\n");
    for band in &spec.bands {
        // Writing to a text does not fail.
        let _ = write!(out, "type=drop rate={}", band.rate);
        if band.burst != 0 {
            let _ = write!(out, " burst_size={}", band.burst);
        }
        out.push('\n');
    }
    out
}
