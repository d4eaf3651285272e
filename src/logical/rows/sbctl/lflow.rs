//! `lflow-list`: logical flows by datapath, pipeline and table, flows of groups under each of their datapaths.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::SbctlError;
use super::names::record;
use crate::logical::rows::cell::Pipeline;
use crate::logical::rows::store::Store;
use crate::logical::rows::tables::{AnyRow, DatapathBinding, LogicalFlow, Table};
use crate::logical::rows::uuid::Uuid;

/// `lflow-list [DATAPATH] [LFLOW…]`: all flows, those of a datapath, or those whose identifiers begin so.
pub fn lflow_list(store: &Store, words: &[String], with_uuid: bool) -> Result<String, SbctlError> {
    let mut only = None;
    let mut wanted = words;
    if let [first, rest @ ..] = words
        && let Some((uuid, AnyRow::DatapathBinding(row))) = record(store, Table::DatapathBinding, first)?
    {
        only = Some((uuid, &**row));
        wanted = rest;
    }
    if let Some(word) = wanted.iter().find(|word| !is_partial_uuid(word)) {
        return Err(SbctlError::NotAFlow(word.clone()));
    }
    let mut datapaths: Vec<(Uuid, &DatapathBinding)> = match only {
        Some(only) => vec![only],
        None => store.iter::<DatapathBinding>().map(|(uuid, row)| (uuid, &**row)).collect(),
    };
    datapaths.sort_by_key(|(uuid, row)| (name(row).unwrap_or_default(), *uuid));
    let mut out = String::new();
    for (uuid, row) in datapaths {
        list(&mut out, store, (uuid, row), wanted, with_uuid);
    }
    Ok(out)
}

fn list(
    out: &mut String,
    store: &Store,
    (uuid, row): (Uuid, &DatapathBinding),
    wanted: &[String],
    with_uuid: bool,
) {
    let is_wanted = |flow: Uuid| wanted.is_empty() || wanted.iter().any(|word| is_match(flow, word));
    let flows = store.flows_of(uuid).filter(|(flow, _)| is_wanted(*flow));
    let mut flows: Vec<(Uuid, &LogicalFlow)> = flows.map(|(uuid, flow)| (uuid, &**flow)).collect();
    // The last only makes the order certain.
    flows.sort_by(|(a_uuid, a), (b_uuid, b)| {
        let key = |flow: &LogicalFlow| (flow.pipeline, flow.table_id, Reverse(flow.priority));
        key(a)
            .cmp(&key(b))
            .then_with(|| a.matches.cmp(&b.matches))
            .then_with(|| a.actions.cmp(&b.actions))
            .then_with(|| a_uuid.cmp(b_uuid))
    });
    let mut pipeline: Option<Pipeline> = None;
    for (flow_uuid, flow) in flows {
        if pipeline != Some(flow.pipeline) {
            pipeline = Some(flow.pipeline);
            let name = full_name(row);
            out.push_str(&format!("Datapath: {name} ({uuid})  Pipeline: {}\n", flow.pipeline.name()));
        }
        out.push_str("  ");
        if with_uuid {
            out.push_str(&format!("uuid=0x{:08x}, ", flow_uuid.first_word()));
        }
        let stage = flow.external_ids.get("stage-name").map(String::as_str).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "table={:<2}({stage:<19}), priority={:<5}, match=({}), action=({})",
            flow.table_id, flow.priority, flow.matches, flow.actions
        );
    }
}

fn name(row: &DatapathBinding) -> Option<&str> {
    row.external_ids.get("name").map(String::as_str)
}

/// The names of a datapath as they are printed.
fn full_name(row: &DatapathBinding) -> String {
    match (name(row), row.external_ids.get("name2")) {
        (Some(name), Some(other)) => format!("\"{name}\" aka \"{other}\""),
        (Some(name), None) => format!("\"{name}\""),
        (None, Some(name)) => format!("\"{name}\""),
        (None, None) => String::new(),
    }
}

fn digits(word: &str) -> &str {
    word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word)
}

/// Whether a word can be the beginning of an identifier, or of the cookie made of it.
fn is_partial_uuid(word: &str) -> bool {
    let digits = digits(word);
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    !digits.is_empty() && digits.len() <= 36 && digits.bytes().enumerate().all(fits)
}

/// Whether an identifier begins with a word. Cookies are printed without leading zeros, so those do not count.
fn is_match(uuid: Uuid, word: &str) -> bool {
    let text = uuid.to_string();
    let (text, word) = (text.trim_start_matches('0'), digits(word).trim_start_matches('0'));
    text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
}
