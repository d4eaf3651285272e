//! `detrace`: from the cookies of flows back to the rows that they were made of.

use std::fmt;

use serde::Serialize;

use super::{CommandError, Outcome, done};
use crate::logical::rows::Store;
use crate::logical::rows::describe::{Described, of_cookie};
use crate::packet::Field;
use crate::pipeline::Flow;

#[derive(Serialize)]
struct Traced {
    cookie: u64,
    rows: Vec<Described>,
}

#[derive(Serialize)]
struct Detraced(Vec<Traced>);

/// The rows behind a flow, of those that it may have been made of; its metadata say which of several datapaths.
pub fn rows_of(rows: &Store, flow: &Flow) -> Vec<Described> {
    if !flow.options.lowered {
        return Vec::new();
    }
    let (matcher, metadata) = (flow.matcher(), Field::Metadata);
    let is_exact = matcher.mask.get(metadata) == metadata.all_ones();
    let datapath_key = is_exact.then(|| matcher.key.get(metadata) as u64);
    of_cookie(rows, flow.options.cookie, datapath_key)
}

/// `detrace COOKIE...`
pub fn detrace(rows: &Store, args: &[String]) -> Outcome {
    let traced = args.iter().map(|arg| {
        let cookie = cookie(arg)?;
        Ok(Traced { cookie, rows: of_cookie(rows, cookie, None) })
    });
    done(Detraced(traced.collect::<Result<_, CommandError>>()?))
}

/// As flows show it, or without the 0x in front.
fn cookie(text: &str) -> Result<u64, CommandError> {
    let digits = text.strip_prefix("cookie=").unwrap_or(text);
    u64::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        CommandError::Argument(format!(
            "\"{shown}\" is no cookie; write it as flows show it, such as 0x1f0c7de2"
        ))
    })
}

impl fmt::Display for Detraced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Traced { cookie, rows } in &self.0 {
            if self.0.len() > 1 {
                writeln!(f, "cookie={cookie:#x}")?;
            }
            if rows.is_empty() {
                writeln!(f, "  * no row has a UUID that begins with {cookie:08x}")?;
            }
            let mut lines = rows.iter().flat_map(|row| &row.lines);
            lines.try_for_each(|line| writeln!(f, "  * {line}"))?;
        }
        Ok(())
    }
}
