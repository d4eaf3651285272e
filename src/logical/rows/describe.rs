//! From the cookie of a flow back to the rows that it was made of, as `ovn-detrace` names them.

use serde::Serialize;

use super::Store;
use super::tables::{
    Chassis, DatapathBinding, Fdb, LogicalDpGroup, LogicalFlow, MacBinding, Meter, MulticastGroup,
    PortBinding, Row, StaticMacBinding, Table,
};
use super::uuid::Uuid;

/// Datapaths of a flow, or ports of a group, that are named; the others are counted.
const MAX_NAMED: usize = 8;

/// A row, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its table.
    #[serde(serialize_with = "as_name")]
    pub table: Table,
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub uuid: Uuid,
    /// What it says, a thing each.
    pub lines: Vec<String>,
    /// The same in one line.
    pub short: String,
}

fn as_name<S: serde::Serializer>(table: &Table, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(table.def().name)
}

fn as_text<S: serde::Serializer>(uuid: &Uuid, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(uuid)
}

/// The rows whose UUID begins with a cookie. Flows that no row asked for have the cookie 0, and no row. Of the datapaths of a
/// logical flow only that with a key is named, if there is one.
pub fn of_cookie(store: &Store, cookie: u64, datapath_key: Option<u64>) -> Vec<Described> {
    let Ok(word) = u32::try_from(cookie) else { return Vec::new() };
    if word == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let only = datapath_key.and_then(|key| store.datapath_by_key(u32::try_from(key).ok()?));
    let only = only.map(|(uuid, _)| uuid);
    each::<LogicalFlow>(store, word, &mut found, |store, _, row| logical_flow(store, only, row));
    each::<PortBinding>(store, word, &mut found, |store, _, row| {
        let kind = if row.kind.is_empty() { String::new() } else { format!(" ({})", row.kind) };
        let said = format!("Logical port: {:?}{kind}, tunnel_key={}", row.logical_port, row.tunnel_key);
        vec![datapath(store, row.datapath, None), said]
    });
    each::<MulticastGroup>(store, word, &mut found, |store, _, row| {
        let ports = row.ports.iter().filter_map(|port| store.get::<PortBinding>(*port));
        let ports = some(row.ports.len(), ports.map(|port| format!("{:?}", port.logical_port)));
        let said = format!("Multicast group: {:?}, tunnel_key={}, ports={ports}", row.name, row.tunnel_key);
        vec![datapath(store, row.datapath, None), said]
    });
    each::<MacBinding>(store, word, &mut found, |store, _, row| {
        let said =
            format!("MAC binding: logical_port={:?}, ip={}, mac={}", row.logical_port, row.ip, row.mac);
        vec![datapath(store, row.datapath, None), said]
    });
    each::<StaticMacBinding>(store, word, &mut found, |store, _, row| {
        let StaticMacBinding { logical_port, ip, mac, .. } = row;
        let said = format!("Static MAC binding: logical_port={logical_port:?}, ip={ip}, mac={mac}");
        vec![datapath(store, row.datapath, None), said]
    });
    each::<Fdb>(store, word, &mut found, |store, _, row| {
        let at = store.datapath_by_key(row.dp_key);
        let port = at.and_then(|(uuid, _)| store.port_by_key(uuid, u16::try_from(row.port_key).ok()?));
        let port =
            port.map_or_else(|| row.port_key.to_string(), |(_, port)| format!("{:?}", port.logical_port));
        let said = format!("FDB: mac={}, logical_port={port}", row.mac);
        at.map(|(uuid, _)| datapath(store, uuid, None)).into_iter().chain([said]).collect()
    });
    each::<DatapathBinding>(store, word, &mut found, |store, uuid, _| vec![datapath(store, uuid, None)]);
    each::<Chassis>(store, word, &mut found, |_, _, row| {
        vec![format!("Chassis: {:?}, hostname={:?}", row.name, row.hostname)]
    });
    each::<Meter>(store, word, &mut found, |_, _, row| vec![format!("Meter: {:?}", row.name)]);
    found
}

fn each<T: Row>(
    store: &Store,
    word: u32,
    found: &mut Vec<Described>,
    lines: impl Fn(&Store, Uuid, &T) -> Vec<String>,
) {
    for uuid in store.beginning_with(T::TABLE, word) {
        let Some(row) = store.get::<T>(uuid) else { continue };
        let mut lines = lines(store, uuid, row);
        // A text of a row may have anything in it, and a line is a line.
        lines.iter_mut().for_each(|line| *line = line.replace(['\n', '\r'], " "));
        let short = lines.join("; ");
        found.push(Described { table: T::TABLE, uuid, lines, short });
    }
}

fn logical_flow(store: &Store, only: Option<Uuid>, row: &LogicalFlow) -> Vec<String> {
    let group = row.logical_dp_group.and_then(|group| store.get::<LogicalDpGroup>(group));
    let members = group.map(|group| group.datapaths.iter().copied()).into_iter().flatten();
    let mut all: Vec<Uuid> = row.logical_datapath.into_iter().chain(members).collect();
    if let Some(only) = only.filter(|only| all.contains(only)) {
        all = vec![only];
    }
    let named = all.iter().take(MAX_NAMED).map(|uuid| datapath(store, *uuid, Some(row.pipeline.name())));
    let mut lines: Vec<String> = named.collect();
    if let Some(more) = all.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        lines.push(format!("and {more} more logical datapaths"));
    }
    let stage = row.external_ids.get("stage-name").map_or("", String::as_str);
    lines.push(format!(
        "Logical flow: table={} ({stage}), priority={}, match=({}), actions=({})",
        row.table_id, row.priority, row.matches, row.actions
    ));
    lines
}

fn datapath(store: &Store, uuid: Uuid, pipeline: Option<&str>) -> String {
    let row = store.get::<DatapathBinding>(uuid);
    let name = row.and_then(|row| row.external_ids.get("name")).map_or("", String::as_str);
    let pipeline = pipeline.map_or(String::new(), |pipeline| format!(" [{pipeline}]"));
    format!("Logical datapath: \"{name}\" ({uuid}){pipeline}")
}

fn some(count: usize, names: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = names.take(MAX_NAMED).collect();
    if count > MAX_NAMED {
        shown.push(format!("{} more", count - MAX_NAMED));
    }
    format!("[{}]", shown.join(", "))
}
