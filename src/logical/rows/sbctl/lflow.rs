//! `lflow-list`: logical flows by datapath, pipeline and table, flows of groups under each of their datapaths.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::SbctlError;
use super::names::record;
use crate::logical::rows::Store;
use crate::logical::rows::cell::Pipeline;
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
    let beginning = |word: &String| Beginning::parse(word).ok_or_else(|| SbctlError::NotAFlow(word.clone()));
    let wanted: BTreeSet<Beginning> = wanted.iter().map(beginning).collect::<Result<_, _>>()?;
    let datapaths = match only {
        Some(only) => vec![only],
        None => store.iter::<DatapathBinding>().collect(),
    };
    let is_wanted = |flow: Uuid| wanted.is_empty() || wanted.iter().any(|word| word.is_of(flow));
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

/// The beginning of an identifier, or of the cookie made of it. Cookies are printed without leading zeros, so those do
/// not count in the first eight digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Beginning {
    /// The digits behind leading zeros.
    digits: u128,
    /// How many.
    count: u32,
    /// How many leading zeros the identifier must have; any number, if the word ends before the first hyphen.
    zeros: Option<u32>,
    /// Whether there are capital letters, with which no identifier is printed.
    capital: bool,
}

impl Beginning {
    /// From a word such as `0x1f0c` or `00001f0c-7de`.
    fn parse(word: &str) -> Option<Self> {
        let text = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        if text.is_empty() || text.len() > 36 {
            return None;
        }
        let mut beginning = Beginning { digits: 0, count: 0, zeros: None, capital: false };
        for (at, byte) in text.bytes().enumerate() {
            match at {
                8 => beginning.zeros = Some(8 - beginning.count),
                13 | 18 | 23 => {}
                _ => {
                    let digit = char::from(byte).to_digit(16)?;
                    beginning.capital |= byte.is_ascii_uppercase();
                    if at >= 8 || beginning.count > 0 || digit > 0 {
                        beginning.digits = beginning.digits << 4 | u128::from(digit);
                        beginning.count += 1;
                    }
                    continue;
                }
            }
            if byte != b'-' {
                return None;
            }
        }
        Some(beginning)
    }

    /// Whether an identifier begins so.
    fn is_of(self, uuid: Uuid) -> bool {
        let zeros = (uuid.0.leading_zeros() / 4).min(8);
        let fits = match self.zeros {
            Some(wanted) => wanted == zeros,
            None => self.count <= 8 - zeros,
        };
        fits && !self.capital
            && (self.count == 0 || uuid.0 << (4 * zeros) >> (128 - 4 * self.count) == self.digits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn beginnings_are_told_as_from_text(
            uuid in prop_oneof![any::<u128>(), any::<u128>().prop_map(|uuid| uuid >> 70), Just(0)],
            shift in 0..64u32,
            cut in 1..=36usize,
            bare: bool,
            capital: bool,
            other: u128,
        ) {
            let uuid = uuid >> shift;
            for word in [Uuid(uuid), Uuid(other), Uuid(uuid ^ other >> 100)].map(|uuid| uuid.to_string()) {
                let word = if bare { word.trim_start_matches('0') } else { &word };
                let word = word.get(..cut).unwrap_or(word);
                let word = &if capital { word.to_uppercase() } else { word.to_owned() };
                let Some(beginning) = Beginning::parse(word) else { continue };
                let text = Uuid(uuid).to_string();
                let expected = text.trim_start_matches('0').starts_with(word.trim_start_matches('0'));
                prop_assert_eq!(beginning.is_of(Uuid(uuid)), expected, "{} {}", word, text);
            }
        }
    }
}
