//! What the Southbound database has of its own: names of rows, indexes, and the questions of a chassis.
//!
//! The invariant of the indexes: an entry is here exactly while its row is in the store. Rows of which a text does not
//! parse, such as a neighbour whose address is none, are in no index by that text and are found by nobody.

use std::net::IpAddr;
use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use super::Store;
use super::datum::Atom;
use super::index::{FIRST, Index, LAST};
use super::schema::{NameColumn, Schema};
use super::store::text;
use super::tables::{
    AddressSet, AnyRow, Chassis, DatapathBinding, Fdb, LogicalDpGroup, LogicalFlow, MacBinding, Meter,
    MulticastGroup, PortBinding, PortGroup, Table,
};
use super::uuid::Uuid;
use crate::logical::error::shortened;
use crate::packet::Mac;

impl Schema for Table {
    type Index = Learned;
    const DATABASE: &'static str = "OVN_Southbound";
    const NAMED: &'static str = "a Southbound database";
    const ESSENTIAL: &'static [Table] = &[Table::SbGlobal, Table::PortBinding];

    fn names(self) -> &'static [NameColumn] {
        match self {
            Table::AddressSet
            | Table::Chassis
            | Table::ChassisPrivate
            | Table::DhcpOptions
            | Table::Dhcpv6Options
            | Table::GatewayChassis
            | Table::HaChassisGroup
            | Table::LoadBalancer
            | Table::Meter
            | Table::PortGroup
            | Table::RbacRole => &[("name", None)],
            Table::Connection => &[("target", None)],
            Table::DatapathBinding => &[
                ("external_ids", Some("name")),
                ("external_ids", Some("name2")),
                ("external_ids", Some("logical-switch")),
                ("external_ids", Some("logical-router")),
            ],
            Table::MacBinding | Table::ServiceMonitor | Table::StaticMacBinding => &[("logical_port", None)],
            Table::PortBinding => &[("logical_port", None), ("external_ids", Some("name"))],
            Table::RbacPermission => &[("table", None)],
            _ => &[],
        }
    }
}

/// Where neighbours and Ethernet addresses were learned.
#[derive(Clone, Default)]
pub struct Learned {
    /// Neighbours by their ports and addresses.
    neighbours: RedBlackTreeSetSync<(String, IpAddr, Uuid)>,
    fdb: RedBlackTreeSetSync<(u32, Mac, Uuid)>,
}

impl Index<Table> for Learned {
    fn enter(&mut self, uuid: Uuid, row: &AnyRow) {
        match row {
            AnyRow::Fdb(row) => {
                fdb(uuid, row).into_iter().for_each(|entry| self.fdb.insert_mut(entry));
            }
            AnyRow::MacBinding(row) => {
                neighbour(uuid, row).into_iter().for_each(|entry| self.neighbours.insert_mut(entry));
            }
            _ => {}
        }
    }

    fn leave(&mut self, uuid: Uuid, row: &AnyRow) {
        match row {
            AnyRow::Fdb(row) => {
                if let Some(entry) = fdb(uuid, row) {
                    self.fdb.remove_mut(&entry);
                }
            }
            AnyRow::MacBinding(row) => {
                if let Some(entry) = neighbour(uuid, row) {
                    self.neighbours.remove_mut(&entry);
                }
            }
            _ => {}
        }
    }
}

impl Learned {
    /// The learned neighbour with an address behind a port; should two texts mean the same address, the first by name.
    fn neighbour(&self, port: &str, ip: IpAddr) -> Option<Uuid> {
        let range = (port.to_owned(), ip, FIRST)..=(port.to_owned(), ip, LAST);
        self.neighbours.range(range).next().map(|(.., uuid)| *uuid)
    }

    /// The entry of an Ethernet address in the datapath with a key.
    fn fdb(&self, datapath_key: u32, mac: Mac) -> Option<Uuid> {
        self.fdb.range((datapath_key, mac, FIRST)..=(datapath_key, mac, LAST)).next().map(|(.., uuid)| *uuid)
    }
}

fn fdb(uuid: Uuid, row: &Fdb) -> Option<(u32, Mac, Uuid)> {
    Some((row.dp_key, row.mac.parse().ok()?, uuid))
}

fn neighbour(uuid: Uuid, row: &MacBinding) -> Option<(String, IpAddr, Uuid)> {
    Some((row.logical_port.clone(), row.ip.parse().ok()?, uuid))
}

/// There is not a row, so nothing to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no rows are loaded; load them with `millrace sbctl load DUMP`")]
pub struct NoRows;

/// Why a text does not name a datapath.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDatapath {
    /// Nothing has that name.
    #[error(
        "there is no datapath \"{}\"; give a name or a UUID as `sbctl list Datapath_Binding` shows them",
        shortened(.0)
    )]
    Unknown(String),
    /// More than one has it.
    #[error("\"{0}\" means {1} datapaths; give more of the UUID of one of them: {2}")]
    Ambiguous(String, usize, String),
}

impl Store {
    /// The datapath that a text means: one of its names (`name` and `name2` of its `external_ids`), or its UUID or the
    /// beginning of that.
    pub fn datapath(&self, text: &str) -> Result<(Uuid, &Arc<DatapathBinding>), NoDatapath> {
        let named = |row: &DatapathBinding| {
            ["name", "name2"]
                .into_iter()
                .any(|key| row.external_ids.get(key).is_some_and(|name| name == text))
        };
        let mut found: Vec<_> = self.iter::<DatapathBinding>().filter(|(_, row)| named(row)).collect();
        if found.is_empty() && !text.is_empty() {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            found = self.iter().filter(|(uuid, _)| uuid.begins_with(digits)).collect();
        }
        match found[..] {
            [] => Err(NoDatapath::Unknown(text.to_owned())),
            [one] => Ok(one),
            _ => {
                let some: Vec<String> = found.iter().take(4).map(|(uuid, _)| uuid.to_string()).collect();
                Err(NoDatapath::Ambiguous(text.to_owned(), found.len(), some.join(", ")))
            }
        }
    }

    /// The datapath with a tunnel key, which is what packets and Ethernet addresses know of it.
    pub fn datapath_by_key(&self, key: u32) -> Option<(Uuid, &Arc<DatapathBinding>)> {
        self.by_unique(0, vec![Atom::Integer(key.into())])
    }

    /// The port with a name.
    pub fn port(&self, name: &str) -> Option<(Uuid, &Arc<PortBinding>)> {
        self.by_unique(1, vec![text(name)])
    }

    /// The port with a tunnel key in a datapath.
    pub fn port_by_key(&self, datapath: Uuid, key: u16) -> Option<(Uuid, &Arc<PortBinding>)> {
        self.by_unique(0, vec![Atom::Uuid(datapath), Atom::Integer(key.into())])
    }

    /// The multicast group of a name in a datapath.
    pub fn multicast_group(&self, datapath: Uuid, name: &str) -> Option<(Uuid, &Arc<MulticastGroup>)> {
        self.by_unique(1, vec![Atom::Uuid(datapath), text(name)])
    }

    /// The multicast group with a tunnel key in a datapath.
    pub fn multicast_group_by_key(&self, datapath: Uuid, key: u16) -> Option<(Uuid, &Arc<MulticastGroup>)> {
        self.by_unique(0, vec![Atom::Uuid(datapath), Atom::Integer(key.into())])
    }

    /// The address set of a name.
    pub fn address_set(&self, name: &str) -> Option<(Uuid, &Arc<AddressSet>)> {
        self.by_unique(0, vec![text(name)])
    }

    /// The port group of a name, which in this database is `<datapath key>_name`.
    pub fn port_group(&self, name: &str) -> Option<(Uuid, &Arc<PortGroup>)> {
        self.by_unique(0, vec![text(name)])
    }

    /// The chassis of a name.
    pub fn chassis(&self, name: &str) -> Option<(Uuid, &Arc<Chassis>)> {
        self.by_unique(0, vec![text(name)])
    }

    /// The meter of a name.
    pub fn meter(&self, name: &str) -> Option<(Uuid, &Arc<Meter>)> {
        self.by_unique(0, vec![text(name)])
    }

    /// The learned neighbour with an address behind a port.
    pub fn mac_binding(&self, port: &str, ip: IpAddr) -> Option<(Uuid, &Arc<MacBinding>)> {
        let uuid = self.own().neighbour(port, ip)?;
        Some((uuid, self.get(uuid)?))
    }

    /// Where an Ethernet address was learned in the datapath with a key.
    pub fn fdb(&self, datapath_key: u32, mac: Mac) -> Option<(Uuid, &Arc<Fdb>)> {
        let uuid = self.own().fdb(datapath_key, mac)?;
        Some((uuid, self.get(uuid)?))
    }

    /// The groups that a datapath is in.
    pub fn groups_of(&self, datapath: Uuid) -> impl Iterator<Item = (Uuid, &Arc<LogicalDpGroup>)> {
        self.mentions_of(Table::DatapathBinding, datapath)
    }

    /// All flows of a datapath, its own and those of its groups, in no particular order.
    pub fn flows_of(&self, datapath: Uuid) -> impl Iterator<Item = (Uuid, &Arc<LogicalFlow>)> {
        let groups = self.groups_of(datapath).map(|(group, _)| (Table::LogicalDpGroup, group));
        let owners = groups.chain([(Table::DatapathBinding, datapath)]);
        owners.flat_map(|(table, uuid)| self.parents_of(table, uuid))
    }
}
