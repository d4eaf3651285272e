//! Tunnel keys of datapaths and of the ports in them.
//!
//! The invariant: who has a key keeps it, and no two datapaths, and no two ports of a datapath, have the same. New ones
//! get what OVN gives: a datapath the lowest key that is free, a port the next above the highest in its datapath, and from
//! the beginning where that is the highest there can be; or the key that was requested, if it is free.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::logical::rows::Uuid;

/// The highest key of a datapath.
const DATAPATHS: u32 = (1 << 24) - 1;
/// The highest key of a port; above are multicast groups.
const PORTS: u16 = (1 << 15) - 1;

/// The keys of everything. Datapaths and ports go by the names of their Southbound rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    datapaths: HashMap<Uuid, u32>,
    taken: BTreeSet<u32>,
    ports: HashMap<Uuid, (Uuid, u16)>,
    /// Keys in use, by datapath.
    taken_ports: BTreeMap<Uuid, BTreeSet<u16>>,
}

impl Keys {
    /// The key of a datapath, which it gets if it has none; the requested one if that is free. None if all are taken.
    pub fn of_datapath(&mut self, row: Uuid, requested: Option<u32>) -> Option<u32> {
        let has = self.datapaths.get(&row).copied();
        let wanted = requested.filter(|key| (1..=DATAPATHS).contains(key) && !self.taken.contains(key));
        let key = match (wanted, has) {
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => lowest_free(&self.taken)?,
        };
        if let Some(old) = has {
            self.taken.remove(&old);
        }
        self.taken.insert(key);
        self.datapaths.insert(row, key);
        Some(key)
    }

    /// The key of a port, likewise.
    pub fn of_port(&mut self, row: Uuid, datapath: Uuid, requested: Option<u16>) -> Option<u16> {
        let has = self.ports.get(&row).filter(|(of, _)| *of == datapath).map(|(_, key)| *key);
        if has.is_none() {
            self.release_port(row);
        }
        let taken = self.taken_ports.entry(datapath).or_default();
        let wanted = requested.filter(|key| (1..=PORTS).contains(key) && !taken.contains(key));
        let key = match (wanted, has) {
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => next_above(taken)?,
        };
        if let Some(old) = has {
            taken.remove(&old);
        }
        taken.insert(key);
        self.ports.insert(row, (datapath, key));
        Some(key)
    }

    /// A datapath is gone.
    pub fn release_datapath(&mut self, row: Uuid) {
        if let Some(key) = self.datapaths.remove(&row) {
            self.taken.remove(&key);
        }
    }

    /// A port is gone.
    pub fn release_port(&mut self, row: Uuid) {
        if let Some((datapath, key)) = self.ports.remove(&row)
            && let Some(taken) = self.taken_ports.get_mut(&datapath)
        {
            taken.remove(&key);
            if taken.is_empty() {
                self.taken_ports.remove(&datapath);
            }
        }
    }
}

fn lowest_free(taken: &BTreeSet<u32>) -> Option<u32> {
    let free = taken.iter().zip(1..).find(|(key, at)| *key != at).map(|(_, at)| at);
    let key = free.unwrap_or(taken.len() as u32 + 1);
    (key <= DATAPATHS).then_some(key)
}

fn next_above(taken: &BTreeSet<u16>) -> Option<u16> {
    match taken.last() {
        Some(&PORTS) => (1..=PORTS).find(|key| !taken.contains(key)),
        Some(last) => Some(last + 1),
        None => Some(1),
    }
}
