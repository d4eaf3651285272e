//! A snapshot of all rows, and what it can be asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::datum::{Atom, Datum};
use super::index::{Indexes, Owner};
use super::tables::{
    AddressSet, AnyRow, Chassis, DatapathBinding, Fdb, LogicalDpGroup, LogicalFlow, MacBinding, Meter,
    MulticastGroup, PortBinding, PortGroup, Row, Table,
};
use super::uuid::Uuid;
use crate::logical::error::shortened;
use crate::packet::Mac;

/// All rows at one moment. A clone shares everything with its origin.
#[derive(Clone, Default)]
pub struct Store {
    /// Tables without rows may be missing.
    pub(super) tables: BTreeMap<Table, RedBlackTreeMapSync<Uuid, AnyRow>>,
    pub(super) indexes: Indexes,
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
    /// A row, typed.
    pub fn get<T: Row>(&self, uuid: Uuid) -> Option<&Arc<T>> {
        T::from_any(self.row(T::TABLE, uuid)?)
    }

    /// A row.
    pub fn row(&self, table: Table, uuid: Uuid) -> Option<&AnyRow> {
        self.tables.get(&table)?.get(&uuid)
    }

    /// The rows of a table, typed, by identifier.
    pub fn iter<T: Row>(&self) -> impl Iterator<Item = (Uuid, &Arc<T>)> {
        self.rows(T::TABLE).filter_map(|(uuid, row)| Some((uuid, T::from_any(row)?)))
    }

    /// The rows of a table, by identifier.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (Uuid, &AnyRow)> {
        self.tables.get(&table).into_iter().flat_map(|rows| rows.iter().map(|(uuid, row)| (*uuid, row)))
    }

    /// The rows of a table whose identifiers begin with a word, in their order.
    pub fn beginning_with(&self, table: Table, word: u32) -> impl Iterator<Item = Uuid> {
        let first = u128::from(word) << 96;
        let (first, last) = (Uuid(first), Uuid(first | u128::MAX >> 32));
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(move |rows| rows.range(first..=last).map(|(uuid, _)| *uuid))
    }

    /// How many rows a table has.
    pub fn len(&self, table: Table) -> usize {
        self.tables.get(&table).map_or(0, RedBlackTreeMapSync::size)
    }

    /// Whether there are no rows at all.
    pub fn is_empty(&self) -> bool {
        self.tables.values().all(RedBlackTreeMapSync::is_empty)
    }

    /// The row that has these values in the columns of one of its table's unique indexes.
    fn by_unique<T: Row>(&self, index: usize, values: Vec<Atom>) -> Option<(Uuid, &Arc<T>)> {
        let key = values.into_iter().map(Datum::one).collect();
        let uuid = self.indexes.unique(T::TABLE, index, key)?;
        Some((uuid, self.get(uuid)?))
    }

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
        let uuid = self.indexes.neighbour(port, ip)?;
        Some((uuid, self.get(uuid)?))
    }

    /// Where an Ethernet address was learned in the datapath with a key.
    pub fn fdb(&self, datapath_key: u32, mac: Mac) -> Option<(Uuid, &Arc<Fdb>)> {
        let uuid = self.indexes.fdb(datapath_key, mac)?;
        Some((uuid, self.get(uuid)?))
    }

    /// The groups that a datapath is in.
    pub fn groups_of(&self, datapath: Uuid) -> impl Iterator<Item = (Uuid, &Arc<LogicalDpGroup>)> {
        self.indexes.groups_of(datapath).filter_map(|uuid| Some((uuid, self.get(uuid)?)))
    }

    /// What the flows of a datapath belong to: itself and its groups.
    fn owners(&self, datapath: Uuid) -> impl Iterator<Item = Owner> {
        let groups = self.indexes.groups_of(datapath).map(|group| (Table::LogicalDpGroup, group));
        groups.chain([(Table::DatapathBinding, datapath)])
    }

    /// All flows of a datapath, its own and those of its groups, in no particular order.
    pub fn flows_of(&self, datapath: Uuid) -> impl Iterator<Item = (Uuid, &Arc<LogicalFlow>)> {
        let flows = self.owners(datapath).flat_map(|owner| self.indexes.flows_of(owner));
        flows.filter_map(|uuid| Some((uuid, self.get(uuid)?)))
    }
}

fn text(text: &str) -> Atom {
    Atom::Text(text.to_owned())
}
