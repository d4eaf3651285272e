//! Southbound rows on their way out: what is known of them only at last is filled in.
//!
//! That is tunnel keys, and names that begin with the key of a datapath; chassis, which the Northbound names by their
//! names; and columns that others write, which stay as they are. What was learned at ports that are gone goes too.
//!
//! A port is who has its name: one that gets another name is a new one, and one that gets the name of another one in its
//! datapath takes its place. One that becomes virtual, or goes into another port, is a new one too, and so is one that ceases
//! to be that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::keys::Keys;
use super::names;
use crate::logical::rows::tables::{
    Chassis, DatapathBinding, Fdb, HaChassis, MacBinding, PortBinding, PortGroup, SbGlobal,
};
use crate::logical::rows::{AnyRow, Store, Table, Transaction, Uuid};

/// Rows that are to be put or deleted.
#[derive(Default)]
pub struct Rows {
    put: BTreeMap<(Table, Uuid), AnyRow>,
    deleted: BTreeSet<(Table, Uuid)>,
}

impl Rows {
    /// A unit makes other rows than before.
    pub fn change(&mut self, before: &[(Uuid, AnyRow)], now: &[(Uuid, AnyRow)]) {
        let old: BTreeMap<(Table, Uuid), &AnyRow> =
            before.iter().map(|(uuid, row)| ((row.table(), *uuid), row)).collect();
        let new: BTreeMap<(Table, Uuid), &AnyRow> =
            now.iter().map(|(uuid, row)| ((row.table(), *uuid), row)).collect();
        self.deleted.extend(old.keys().filter(|name| !new.contains_key(name)));
        let changed = new.into_iter().filter(|(name, row)| old.get(name) != Some(row));
        self.put.extend(changed.map(|(name, row)| (name, row.clone())));
    }

    /// Puts a row whatever else makes of it.
    pub fn put_again(&mut self, uuid: Uuid, row: &AnyRow) {
        self.put.insert((row.table(), uuid), row.clone());
    }

    /// Puts a row, whether it changed or not.
    pub fn put(&mut self, uuid: Uuid, row: &AnyRow) {
        self.put.entry((row.table(), uuid)).or_insert_with(|| row.clone());
    }

    /// The transaction that does it. Datapaths and ports get their keys in the order of `new`, others after them.
    pub fn finish(self, keys: &mut Keys, new: &[Uuid], southbound: &Store) -> Transaction {
        let Self { mut put, deleted } = self;
        let mut transaction = Transaction::new();
        let mut gone = Gone::default();
        // A row that one unit gave up and another made stays.
        for (table, uuid) in deleted.into_iter().filter(|name| !put.contains_key(name)) {
            transaction.delete(table, uuid);
            match table {
                Table::DatapathBinding => {
                    keys.release_datapath(uuid);
                    gone.networks.insert(uuid);
                }
                Table::PortBinding => {
                    keys.release_port(uuid);
                    gone.port(uuid, southbound);
                }
                _ => {}
            }
        }
        for (uuid, old) in replaced(&put, southbound) {
            keys.release_port(uuid);
            gone.ports.insert(old.logical_port.clone());
        }
        give_keys(&mut put, new, keys, southbound);
        gone.keys(&put, southbound);
        rename(&mut put, &transaction, southbound);
        for ((_, uuid), mut row) in put {
            fill_name(&mut row, keys);
            fill_chassis(&mut row, southbound);
            keep_what_others_say(&mut row, southbound);
            transaction.put_any(uuid, row);
        }
        gone.forget(&mut transaction, southbound);
        transaction
    }
}

/// The rows of ports that are other ones now, as they were.
fn replaced<'a>(
    put: &BTreeMap<(Table, Uuid), AnyRow>,
    southbound: &'a Store,
) -> Vec<(Uuid, &'a Arc<PortBinding>)> {
    let old = |((_, uuid), row): (&(Table, Uuid), &AnyRow)| match row {
        AnyRow::PortBinding(row) => {
            let old = southbound.get::<PortBinding>(*uuid)?;
            (old.logical_port != row.logical_port || is_another(old, row)).then_some((*uuid, old))
        }
        _ => None,
    };
    put.iter().filter_map(old).collect()
}

/// Whether a port of the same name as before is another one all the same.
fn is_another(old: &PortBinding, now: &PortBinding) -> bool {
    let is_virtual = |port: &PortBinding| port.kind == "virtual";
    let is_inside = |port: &PortBinding| port.kind.is_empty() && port.parent_port.is_some();
    let (is_plain, was_plain) = (now.kind.is_empty(), old.kind.is_empty());
    old.datapath != now.datapath
        || is_virtual(old) != is_virtual(now)
        || is_plain && was_plain && is_inside(old) != is_inside(now)
}

/// The port as it was, if it is still the same.
fn predecessor<'a>(row: &PortBinding, southbound: &'a Store) -> Option<&'a Arc<PortBinding>> {
    let (_, old) = southbound.port(&row.logical_port)?;
    (!is_another(old, row)).then_some(old)
}

/// Gives the rows of datapaths and ports their keys: first to those who ask for one, then to whom that took theirs, then in
/// the order of `new`. Without any key left a row stays without, and is refused.
fn give_keys(put: &mut BTreeMap<(Table, Uuid), AnyRow>, new: &[Uuid], keys: &mut Keys, southbound: &Store) {
    for ((_, uuid), row) in put.iter() {
        match row {
            AnyRow::DatapathBinding(row) => {
                keys.ask_for_datapath(*uuid, Some(row.tunnel_key).filter(|key| *key != 0));
            }
            AnyRow::PortBinding(row) => {
                keys.ask_for_port(*uuid, row.datapath, Some(row.tunnel_key).filter(|key| *key != 0));
            }
            _ => {}
        }
    }
    for ((_, uuid), row) in put.iter() {
        if let AnyRow::PortBinding(row) = row
            && let Some(old) = predecessor(row, southbound)
        {
            keys.inherit(*uuid, old.tunnel_key);
        }
    }
    let changed = keys.take_changed();
    for uuid in &changed {
        for table in [Table::DatapathBinding, Table::PortBinding] {
            if let Some(row) = southbound.row(table, *uuid) {
                put.entry((table, *uuid)).or_insert_with(|| row.clone());
            }
        }
    }
    let created = |name: fn(Uuid) -> Uuid| new.iter().map(move |row| name(*row));
    let first = changed.into_iter().chain(created(names::datapath)).chain(created(names::port));
    // The instance of a port on the chassis that hosts it comes behind the port.
    let is_second = |row: &AnyRow| matches!(row, AnyRow::PortBinding(row) if row.kind == "chassisredirect");
    let (second, others): (Vec<_>, Vec<_>) = put.iter().partition(|(_, row)| is_second(row));
    let others = others.into_iter().chain(second).map(|((_, uuid), _)| *uuid);
    let all: Vec<Uuid> = first.chain(others).collect();
    for uuid in all {
        if let Some(AnyRow::DatapathBinding(row)) = put.get_mut(&(Table::DatapathBinding, uuid)) {
            Arc::make_mut(row).tunnel_key = keys.of_datapath(uuid).unwrap_or(0);
        }
        if let Some(AnyRow::PortBinding(row)) = put.get_mut(&(Table::PortBinding, uuid)) {
            Arc::make_mut(row).tunnel_key = keys.of_port(uuid).unwrap_or(0);
        }
    }
}

/// Port groups of datapaths that have another key than before are put too, named as units name them.
fn rename(put: &mut BTreeMap<(Table, Uuid), AnyRow>, done: &Transaction, southbound: &Store) {
    let mut prefixes = Vec::new();
    for ((_, uuid), row) in put.iter() {
        if let AnyRow::DatapathBinding(row) = row
            && let Some(old) = southbound.get::<DatapathBinding>(*uuid)
            && old.tunnel_key != row.tunnel_key
        {
            prefixes.push((old.tunnel_key.to_string(), *uuid));
        }
    }
    if prefixes.is_empty() {
        return;
    }
    let deleted: BTreeSet<(Table, Uuid)> = done.rows().map(|(table, uuid, _)| (table, uuid)).collect();
    for (uuid, row) in southbound.iter::<PortGroup>() {
        let name = (Table::PortGroup, uuid);
        if let Some((key, rest)) = row.name.split_once('_')
            && let Some((_, datapath)) = prefixes.iter().find(|(old, _)| old == key)
            && !put.contains_key(&name)
            && !deleted.contains(&name)
        {
            let row = PortGroup { name: format!("{datapath}_{rest}"), ports: row.ports.clone() };
            put.insert(name, AnyRow::PortGroup(Arc::new(row)));
        }
    }
}

/// Puts the key of a datapath in the place of its row.
fn fill_name(row: &mut AnyRow, keys: &Keys) {
    if let AnyRow::PortGroup(row) = row
        && let Some((datapath, name)) = row.name.split_once('_')
        && let Some(key) = datapath.parse().ok().and_then(|datapath| keys.datapath(datapath))
    {
        let name = format!("{key}_{name}");
        Arc::make_mut(row).name = name;
    }
}

/// The chassis of a name, or of a host name.
fn chassis_named(name: &str, southbound: &Store) -> Option<Uuid> {
    let by_name = southbound.chassis(name).map(|(uuid, _)| uuid);
    by_name.or_else(|| {
        let mut all = southbound.iter::<Chassis>();
        all.find(|(_, row)| row.hostname == name).map(|(uuid, _)| uuid)
    })
}

fn fill_chassis(row: &mut AnyRow, southbound: &Store) {
    match row {
        AnyRow::PortBinding(row) => {
            let Some(names) = row.options.get("requested-chassis") else { return };
            let words = names.split(',').filter(|name| !name.is_empty());
            let mut found = words.filter_map(|name| chassis_named(name, southbound));
            let (first, rest) = (found.next(), found.collect());
            let row = Arc::make_mut(row);
            (row.requested_chassis, row.requested_additional_chassis) = (first, rest);
        }
        AnyRow::HaChassis(row) => {
            let name = row.external_ids.get("chassis-name");
            let chassis = name.and_then(|name| southbound.chassis(name)).map(|(uuid, _)| uuid);
            if row.chassis != chassis {
                Arc::make_mut(row).chassis = chassis;
            }
        }
        _ => {}
    }
}

/// What the rows that name chassis say, as the chassis are now.
pub fn chassis(southbound: &Store) -> Transaction {
    let mut transaction = Transaction::new();
    let ports = southbound.iter::<PortBinding>();
    let ports = ports.map(|(uuid, row)| (uuid, AnyRow::PortBinding(Arc::clone(row))));
    let members = southbound.iter::<HaChassis>();
    let members = members.map(|(uuid, row)| (uuid, AnyRow::HaChassis(Arc::clone(row))));
    for (uuid, old) in ports.chain(members) {
        let mut row = old.clone();
        fill_chassis(&mut row, southbound);
        if row != old {
            transaction.put_any(uuid, row);
        }
    }
    transaction
}

/// Columns that chassis and administrators of the Southbound write stay as they are.
fn keep_what_others_say(row: &mut AnyRow, southbound: &Store) {
    match row {
        AnyRow::PortBinding(row) => {
            let Some(old) = predecessor(row, southbound) else { return };
            let row = Arc::make_mut(row);
            row.chassis = old.chassis;
            row.encap = old.encap;
            row.additional_chassis.clone_from(&old.additional_chassis);
            row.additional_encap.clone_from(&old.additional_encap);
            row.up = old.up.or(row.up);
            row.virtual_parent.clone_from(&old.virtual_parent);
            const ACTIVATED: &str = "additional-chassis-activated";
            if let Some(list) = old.options.get(ACTIVATED)
                && !row.requested_additional_chassis.is_empty()
            {
                row.options.insert(ACTIVATED.to_owned(), list.clone());
            }
        }
        AnyRow::SbGlobal(row) => {
            let Some((_, old)) = southbound.iter::<SbGlobal>().next() else { return };
            let row = Arc::make_mut(row);
            row.connections.clone_from(&old.connections);
            row.ssl = old.ssl;
            row.external_ids.clone_from(&old.external_ids);
        }
        _ => {}
    }
}

/// Ports that are gone, and keys that mean something else than they did.
#[derive(Default)]
struct Gone {
    ports: BTreeSet<String>,
    /// Keys of ports, with those of their datapaths.
    keys: BTreeSet<(u32, u32)>,
    datapaths: BTreeSet<u32>,
    networks: BTreeSet<Uuid>,
}

impl Gone {
    fn port(&mut self, port: Uuid, southbound: &Store) {
        if let Some(row) = southbound.get::<PortBinding>(port) {
            self.ports.insert(row.logical_port.clone());
            self.key(row, southbound);
        }
    }

    fn key(&mut self, port: &PortBinding, southbound: &Store) {
        let datapath = southbound.get::<DatapathBinding>(port.datapath);
        self.keys.extend(datapath.map(|datapath| (datapath.tunnel_key, port.tunnel_key.into())));
    }

    /// Keys of rows that get others.
    fn keys(&mut self, put: &BTreeMap<(Table, Uuid), AnyRow>, southbound: &Store) {
        for ((_, uuid), row) in put {
            match row {
                AnyRow::DatapathBinding(row) => {
                    let old = southbound.get::<DatapathBinding>(*uuid).map(|old| old.tunnel_key);
                    self.datapaths.extend(old.filter(|key| *key != row.tunnel_key));
                }
                AnyRow::PortBinding(row) => {
                    let old = southbound.get::<PortBinding>(*uuid);
                    let other = |old: &&Arc<PortBinding>| {
                        (old.datapath, old.tunnel_key) != (row.datapath, row.tunnel_key)
                    };
                    old.filter(other).into_iter().for_each(|old| self.key(old, southbound));
                }
                _ => {}
            }
        }
    }

    /// Forgets what was learned at them.
    fn forget(&self, transaction: &mut Transaction, southbound: &Store) {
        if !self.keys.is_empty() || !self.datapaths.is_empty() {
            for (uuid, row) in southbound.iter::<Fdb>() {
                if self.keys.contains(&(row.dp_key, row.port_key)) || self.datapaths.contains(&row.dp_key) {
                    transaction.delete(Table::Fdb, uuid);
                }
            }
        }
        if !self.ports.is_empty() || !self.networks.is_empty() {
            for (uuid, row) in southbound.iter::<MacBinding>() {
                if self.ports.contains(&row.logical_port) || self.networks.contains(&row.datapath) {
                    transaction.delete(Table::MacBinding, uuid);
                }
            }
        }
    }
}
