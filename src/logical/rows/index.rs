//! What makes questions to a store cheap, kept in step with its rows.
//!
//! The invariant: an entry is here exactly while its row is in the store. Rows of which a text does not parse, such as
//! a neighbour whose address is none, are in no index by that text and are found by nobody.

use std::net::IpAddr;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::datum::Datum;
use super::tables::{AnyRow, LogicalFlow, MacBinding, Table};
use super::uuid::Uuid;
use crate::packet::Mac;

/// A row's values in the columns of a unique index: table, number of the index, values.
type UniqueKey = (Table, usize, Vec<Datum>);

/// What a flow belongs to: a datapath or a group of them, by table and identifier.
pub(super) type Owner = (Table, Uuid);

/// All indexes.
#[derive(Clone, Default)]
pub(super) struct Indexes {
    unique: RedBlackTreeMapSync<UniqueKey, Uuid>,
    /// How often strong references name a row; rows that none names are not here.
    strong: RedBlackTreeMapSync<(Table, Uuid), u64>,
    /// Flows by their datapath or group.
    flows: RedBlackTreeSetSync<(Owner, Uuid)>,
    /// Groups by the datapaths that they hold.
    groups: RedBlackTreeSetSync<(Uuid, Uuid)>,
    /// Learned neighbours by their ports and addresses.
    neighbours: RedBlackTreeSetSync<(String, IpAddr, Uuid)>,
    fdb: RedBlackTreeSetSync<(u32, Mac, Uuid)>,
}

/// Another row has the same values in columns that must be unique.
pub(super) struct Clash {
    /// The columns.
    pub columns: &'static [&'static str],
    /// The other row.
    pub other: Uuid,
}

const FIRST: Uuid = Uuid(0);
const LAST: Uuid = Uuid(u128::MAX);

impl Indexes {
    /// Enters a row. After a clash the indexes are of no further use.
    pub fn enter(&mut self, uuid: Uuid, row: &AnyRow) -> Result<(), Clash> {
        for (columns, key) in unique_keys(row) {
            if let Some(other) = self.unique.get(&key) {
                return Err(Clash { columns, other: *other });
            }
            self.unique.insert_mut(key, uuid);
        }
        match row {
            AnyRow::LogicalFlow(flow) => {
                for owner in owners(flow) {
                    self.flows.insert_mut((owner, uuid));
                }
            }
            AnyRow::LogicalDpGroup(group) => {
                group.datapaths.iter().for_each(|datapath| self.groups.insert_mut((*datapath, uuid)));
            }
            AnyRow::Fdb(fdb) => {
                if let Ok(mac) = fdb.mac.parse() {
                    self.fdb.insert_mut((fdb.dp_key, mac, uuid));
                }
            }
            AnyRow::MacBinding(row) => {
                if let Some(neighbour) = neighbour(uuid, row) {
                    self.neighbours.insert_mut(neighbour);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a row out.
    pub fn leave(&mut self, uuid: Uuid, row: &AnyRow) {
        for (_, key) in unique_keys(row) {
            self.unique.remove_mut(&key);
        }
        match row {
            AnyRow::LogicalFlow(flow) => {
                for owner in owners(flow) {
                    self.flows.remove_mut(&(owner, uuid));
                }
            }
            AnyRow::LogicalDpGroup(group) => {
                for datapath in &group.datapaths {
                    self.groups.remove_mut(&(*datapath, uuid));
                }
            }
            AnyRow::Fdb(fdb) => {
                if let Ok(mac) = fdb.mac.parse() {
                    self.fdb.remove_mut(&(fdb.dp_key, mac, uuid));
                }
            }
            AnyRow::MacBinding(row) => {
                if let Some(neighbour) = neighbour(uuid, row) {
                    self.neighbours.remove_mut(&neighbour);
                }
            }
            _ => {}
        }
    }

    /// How often strong references name a row.
    pub fn strong(&self, table: Table, uuid: Uuid) -> u64 {
        self.strong.get(&(table, uuid)).copied().unwrap_or_default()
    }

    /// Says how often they do from now on.
    pub fn set_strong(&mut self, table: Table, uuid: Uuid, count: u64) {
        if count == 0 {
            self.strong.remove_mut(&(table, uuid));
        } else {
            self.strong.insert_mut((table, uuid), count);
        }
    }

    /// The row with these values in the columns of a unique index.
    pub fn unique(&self, table: Table, index: usize, values: Vec<Datum>) -> Option<Uuid> {
        self.unique.get(&(table, index, values)).copied()
    }

    /// The flows that name a datapath or a group.
    pub fn flows_of(&self, owner: Owner) -> impl Iterator<Item = Uuid> {
        self.flows.range((owner, FIRST)..=(owner, LAST)).map(|(_, flow)| *flow)
    }

    /// The groups that hold a datapath.
    pub fn groups_of(&self, datapath: Uuid) -> impl Iterator<Item = Uuid> {
        self.groups.range((datapath, FIRST)..=(datapath, LAST)).map(|(_, group)| *group)
    }

    /// The learned neighbour with an address behind a port; should two texts mean the same address, the first by name.
    pub fn neighbour(&self, port: &str, ip: IpAddr) -> Option<Uuid> {
        let range = (port.to_owned(), ip, FIRST)..=(port.to_owned(), ip, LAST);
        self.neighbours.range(range).next().map(|(.., uuid)| *uuid)
    }

    /// The entry of an Ethernet address in the datapath with a key.
    pub fn fdb(&self, datapath_key: u32, mac: Mac) -> Option<Uuid> {
        self.fdb.range((datapath_key, mac, FIRST)..=(datapath_key, mac, LAST)).next().map(|(.., uuid)| *uuid)
    }
}

fn unique_keys(row: &AnyRow) -> impl Iterator<Item = (&'static [&'static str], UniqueKey)> {
    let table = row.table();
    table.def().unique.iter().enumerate().map(move |(index, columns)| {
        let values = columns.iter().filter_map(|name| row.get(table.column(name)?)).collect();
        (*columns, (table, index, values))
    })
}

fn owners(flow: &LogicalFlow) -> impl Iterator<Item = Owner> {
    let datapath = flow.logical_datapath.map(|uuid| (Table::DatapathBinding, uuid));
    datapath.into_iter().chain(flow.logical_dp_group.map(|uuid| (Table::LogicalDpGroup, uuid)))
}

fn neighbour(uuid: Uuid, row: &MacBinding) -> Option<(String, IpAddr, Uuid)> {
    Some((row.logical_port.clone(), row.ip.parse().ok()?, uuid))
}
