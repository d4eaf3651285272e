//! `lflow-list`: logical flows by datapath, pipeline and table, flows of groups under each of their datapaths.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::SbctlError;
use super::names::record;
use crate::logical::rows::cell::Pipeline;
use crate::logical::rows::store::Store;
use crate::logical::rows::tables::{AnyRow, DatapathBinding, LogicalFlow, Pairs, Table};
use crate::logical::rows::uuid::Uuid;

/// Logical flows as they are listed.
pub struct LflowList {
    datapaths: Vec<Listed>,
    with_uuid: bool,
}

/// A datapath and its flows that are listed, in order.
struct Listed {
    uuid: Uuid,
    row: Arc<DatapathBinding>,
    flows: Vec<(Uuid, Arc<LogicalFlow>)>,
}

/// `lflow-list [DATAPATH] [LFLOW…]`: all flows, those of a datapath, or those whose identifiers begin so.
pub fn lflow_list(store: &Store, words: &[String], with_uuid: bool) -> Result<LflowList, SbctlError> {
    let mut only = None;
    let mut wanted = words;
    if let [first, rest @ ..] = words
        && let Some((uuid, AnyRow::DatapathBinding(row))) = record(store, Table::DatapathBinding, first)?
    {
        only = Some((uuid, row));
        wanted = rest;
    }
    if let Some(word) = wanted.iter().find(|word| !is_partial_uuid(word)) {
        return Err(SbctlError::NotAFlow(word.clone()));
    }
    let datapaths = match only {
        Some(only) => vec![only],
        None => store.iter::<DatapathBinding>().collect(),
    };
    let is_wanted = |flow: Uuid| wanted.is_empty() || wanted.iter().any(|word| is_match(flow, word));
    let listed = datapaths.into_iter().map(|(uuid, row)| {
        let flows = store.flows_of(uuid).filter(|(flow, _)| is_wanted(*flow));
        let mut flows: Vec<_> = flows.map(|(uuid, flow)| (uuid, Arc::clone(flow))).collect();
        flows.sort_by(order);
        Listed { uuid, row: Arc::clone(row), flows }
    });
    let mut datapaths: Vec<Listed> = listed.collect();
    datapaths.sort_by(|a, b| (name(&a.row), a.uuid).cmp(&(name(&b.row), b.uuid)));
    Ok(LflowList { datapaths, with_uuid })
}

/// In the order in which a packet meets them, then by text. The identifier only makes the order certain.
fn order((a_uuid, a): &(Uuid, Arc<LogicalFlow>), (b_uuid, b): &(Uuid, Arc<LogicalFlow>)) -> Ordering {
    let place = |flow: &LogicalFlow| (flow.pipeline, flow.table_id, Reverse(flow.priority));
    let places = place(a).cmp(&place(b));
    places
        .then_with(|| a.matches.cmp(&b.matches))
        .then_with(|| a.actions.cmp(&b.actions))
        .then_with(|| a_uuid.cmp(b_uuid))
}

impl fmt::Display for LflowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Listed { uuid, row, flows } in &self.datapaths {
            let mut pipeline: Option<Pipeline> = None;
            for (flow_uuid, flow) in flows {
                if pipeline != Some(flow.pipeline) {
                    pipeline = Some(flow.pipeline);
                    writeln!(f, "Datapath: {} ({uuid})  Pipeline: {}", full_name(row), flow.pipeline.name())?;
                }
                f.write_str("  ")?;
                if self.with_uuid {
                    write!(f, "uuid=0x{:08x}, ", flow_uuid.first_word())?;
                }
                writeln!(
                    f,
                    "table={:<2}({:<19}), priority={:<5}, match=({}), action=({})",
                    flow.table_id,
                    stage(flow),
                    flow.priority,
                    flow.matches,
                    flow.actions
                )?;
            }
        }
        Ok(())
    }
}

impl Serialize for LflowList {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct One<'a> {
            uuid: String,
            datapath: String,
            datapath_name: &'a str,
            pipeline: &'static str,
            table: u8,
            stage: &'a str,
            priority: u16,
            #[serde(rename = "match")]
            matches: &'a str,
            actions: &'a str,
            external_ids: &'a Pairs,
        }
        out.collect_seq(self.datapaths.iter().flat_map(|listed| {
            listed.flows.iter().map(|(uuid, flow)| One {
                uuid: uuid.to_string(),
                datapath: listed.uuid.to_string(),
                datapath_name: name(&listed.row),
                pipeline: flow.pipeline.name(),
                table: flow.table_id,
                stage: stage(flow),
                priority: flow.priority,
                matches: &flow.matches,
                actions: &flow.actions,
                external_ids: &flow.external_ids,
            })
        }))
    }
}

fn stage(flow: &LogicalFlow) -> &str {
    flow.external_ids.get("stage-name").map(String::as_str).unwrap_or_default()
}

fn name(row: &DatapathBinding) -> &str {
    row.external_ids.get("name").map(String::as_str).unwrap_or_default()
}

/// The names of a datapath as they are printed.
fn full_name(row: &DatapathBinding) -> String {
    let names = ["name", "name2"].into_iter().filter_map(|key| row.external_ids.get(key));
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" aka ")
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
    text.starts_with(word)
}
