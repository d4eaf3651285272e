//! Which ports are which logical ports, and what follows of that for the rows.
//!
//! The invariants:
//! - [`Bound`] says of every port what the packet path says of it: whoever adds, changes or removes a port says so
//!   here in the same stretch.
//! - What has to be looked at is what changed: a port, its row, or the row of this chassis. It is noted until it has
//!   been looked at, so that afterwards a walk over all rows would find nothing to claim, to give back or to call up.

use std::collections::{BTreeMap, BTreeSet};

use super::elsewhere::Elsewhere;
use crate::datapath::Datapath;
use crate::logical::rows::tables::{Chassis, PortBinding};
use crate::logical::rows::{Delta, Store, Table, Transaction, Uuid};
use crate::lower::{Bindings, Host, Rebound, is_here, unfit};
use crate::packet::PortNo;

/// See the module.
#[derive(Default)]
pub struct Bound {
    ports: BTreeMap<String, PortNo>,
    names: BTreeMap<PortNo, String>,
    /// The ports that are on other chassis.
    pub elsewhere: Elsewhere,
    /// Logical ports of which the port changed.
    changed: BTreeSet<String>,
    /// Rows of Port_Binding that are to be claimed, given back, or called up.
    open: BTreeSet<Uuid>,
}

/// This chassis, as rows know it.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    name: &'a str,
    row: Option<(Uuid, &'a Chassis)>,
}

impl<'a> Own<'a> {
    /// The chassis of that name.
    pub fn of(name: &'a str, store: &'a Store) -> Self {
        Self { name, row: store.chassis(name).map(|(uuid, row)| (uuid, &**row)) }
    }

    /// Whether a port may be on this chassis, if it is bound here: where its row requests another one it may not.
    pub fn may_have(&self, port: &PortBinding) -> bool {
        let own = self.row.map(|(uuid, _)| uuid);
        let wanted = port.options.get("requested-chassis").map_or("", String::as_str);
        // The first of a list is the one that has it; the others are for a port that moves.
        let wanted = wanted.split(',').next().unwrap_or_default();
        !port.kind.is_empty()
            || wanted.is_empty()
            || (own.is_some() && port.requested_chassis == own)
            || wanted == self.name
            || self.row.is_some_and(|(_, row)| wanted == row.hostname)
    }

    /// What tells it from another.
    fn identity(&self) -> (&str, Option<(Uuid, &str)>) {
        (self.name, self.row.map(|(uuid, row)| (uuid, row.hostname.as_str())))
    }
}

impl Bound {
    /// What the packet path says of all ports.
    pub fn of(datapath: &dyn Datapath) -> Self {
        let mut bound = Self::default();
        for port in datapath.ports().iter() {
            let status = datapath.port_status(port.number);
            bound.set(port.number, status.and_then(|status| status.spec.iface_id));
        }
        bound
    }

    /// A port is this logical port, or none, or is no more.
    pub fn set(&mut self, number: PortNo, name: Option<String>) {
        if self.names.get(&number) == name.as_ref() {
            return;
        }
        if let Some(old) = self.names.remove(&number) {
            self.ports.remove(&old);
            self.changed.insert(old);
        }
        if let Some(name) = name {
            self.changed.insert(name.clone());
            self.names.insert(number, name.clone());
            self.ports.insert(name, number);
        }
    }

    /// Other things are said of other chassis; the ports of which that changes.
    pub fn say_elsewhere(&mut self, elsewhere: Elsewhere) -> Vec<String> {
        let before = std::mem::replace(&mut self.elsewhere, elsewhere);
        let now = &self.elsewhere;
        let names: BTreeSet<&str> = before.ports().chain(now.ports()).map(|(port, _)| port).collect();
        names.into_iter().filter(|port| before.bound(port) != now.bound(port)).map(str::to_owned).collect()
    }

    /// Nothing has been looked at yet.
    pub fn look_at_all(&mut self) {
        self.changed.extend(self.ports.keys().cloned());
    }

    /// What of the bindings that were followed changes, with what changed of the rows.
    pub fn rebind(&mut self, followed: &Bindings, host: &Host, delta: &Delta) -> Rebound {
        let (before, after) = (&delta.before, &delta.after);
        let own = Own::of(&host.chassis, after);
        let mut names = std::mem::take(&mut self.changed);
        let mut rows: BTreeSet<Uuid> = BTreeSet::new();
        if own.identity() != Own::of(&followed.host.chassis, before).identity() {
            names.extend(self.ports.keys().chain(followed.ports.keys()).cloned());
            rows.extend(after.iter::<PortBinding>().map(|(uuid, _)| uuid));
        }
        for change in delta.changes.iter().filter(|change| change.table == Table::PortBinding) {
            rows.insert(change.uuid);
            for row in [before.get::<PortBinding>(change.uuid), after.get(change.uuid)].into_iter().flatten()
            {
                let name = &row.logical_port;
                if self.ports.contains_key(name) || followed.ports.contains_key(name) {
                    names.insert(name.clone());
                }
            }
        }
        let mut rebound = Rebound { host: host.clone(), ports: BTreeMap::new() };
        for name in names {
            let row = after.port(&name);
            rows.extend(row.map(|(uuid, _)| uuid));
            let port = self.ports.get(&name).filter(|_| row.is_none_or(|(_, row)| own.may_have(row)));
            if followed.ports.get(&name) != port {
                rebound.ports.insert(name, port.copied());
            }
        }
        let is_bound = |name: &str| match rebound.ports.get(name) {
            Some(port) => port.is_some(),
            None => followed.ports.contains_key(name),
        };
        let is_open = |uuid: &Uuid| {
            let (Some((own, _)), Some(row)) = (own.row, after.get::<PortBinding>(*uuid)) else {
                return false;
            };
            let is_here = is_here(row, after, is_bound);
            claimed(row, (is_here, own), &self.elsewhere, after).or_else(|| up(row, is_here, own)).is_some()
        };
        self.open.extend(rows.into_iter().filter(is_open));
        rebound
    }

    /// The ports of these names may be here now, or no longer, because of others.
    pub fn look_at(&mut self, names: &[String], store: &Store) {
        self.open.extend(names.iter().filter_map(|name| store.port(name)).map(|(uuid, _)| uuid));
    }

    /// What is to be changed of the rows that are open, so that they say which ports are here.
    pub fn claims(&self, followed: &Bindings, store: &Store) -> Option<Transaction> {
        claims(followed, &self.elsewhere, store, rows(store, &self.open))
    }

    /// What is to be changed of them, so that those are up that are claimed and here. Then they are open no more.
    pub fn ups(&mut self, followed: &Bindings, store: &Store) -> Option<Transaction> {
        let open = std::mem::take(&mut self.open);
        ups(followed, store, rows(store, &open))
    }

    /// The ports that are bound here and may not or cannot be, with their rows.
    pub fn denied(&self, followed: &Bindings, store: &Store) -> Vec<(Uuid, String)> {
        let own = Own::of(&followed.host.chassis, store);
        let rows = self.ports.iter().filter_map(|(name, number)| Some((number, store.port(name)?)));
        let denied = rows.filter_map(|(number, (uuid, row))| {
            if let Some(why) = unfit(row, store) {
                return Some((uuid, format!("is port {number} here, but {why}")));
            }
            if let Some(other) = self.elsewhere.bound(&row.logical_port) {
                let name = &row.logical_port;
                let sentence = format!(
                    "is port {number} here, so that it is not on {other}; `millrace sbctl lsp-unbind {name}` settles it"
                );
                return Some((uuid, sentence));
            }
            let wanted = row.options.get("requested-chassis").map_or("", String::as_str);
            let sentence = format!("is port {number} here, but is requested on chassis {wanted}");
            (!own.may_have(row)).then_some((uuid, sentence))
        });
        denied.collect()
    }
}

fn rows<'a>(
    store: &'a Store,
    open: &'a BTreeSet<Uuid>,
) -> impl Iterator<Item = (Uuid, &'a PortBinding)> + use<'a> {
    open.iter().filter_map(|uuid| Some((*uuid, &**store.get(*uuid)?)))
}

/// Those of the rows that are to say that their ports are on this chassis, or are not any more.
fn claims<'a>(
    followed: &Bindings,
    elsewhere: &Elsewhere,
    store: &Store,
    rows: impl Iterator<Item = (Uuid, &'a PortBinding)>,
) -> Option<Transaction> {
    let (own, _) = store.chassis(&followed.host.chassis)?;
    changed(rows, |row| claimed(row, (followed.has(row, store), own), elsewhere, store))
}

/// Those of the rows that are to say that their ports are up.
fn ups<'a>(
    followed: &Bindings,
    store: &Store,
    rows: impl Iterator<Item = (Uuid, &'a PortBinding)>,
) -> Option<Transaction> {
    let (own, _) = store.chassis(&followed.host.chassis)?;
    changed(rows, |row| up(row, followed.has(row, store), own))
}

/// The row of a port that is to say where the port is, if it does not.
fn claimed(
    row: &PortBinding,
    (is_here, own): (bool, Uuid),
    elsewhere: &Elsewhere,
    store: &Store,
) -> Option<PortBinding> {
    // Ports of other kinds are no chassis's, or that of whom the rows name.
    if !row.kind.is_empty() {
        return None;
    }
    let (chassis, up) = match elsewhere.chassis_of(row, store) {
        // Its flows come first.
        _ if is_here => (Some(own), row.up),
        Some(other) => (Some(other), Some(true)),
        // Others say themselves what is on theirs, unless that is for us to say.
        None if row.chassis != Some(own) && !elsewhere.is_in_force => return None,
        None => (None, row.up.and(Some(false))),
    };
    (chassis != row.chassis).then(|| PortBinding { chassis, up, ..row.clone() })
}

/// The row of a port that is to say that the port is up, if it does not.
fn up(row: &PortBinding, is_here: bool, own: Uuid) -> Option<PortBinding> {
    let comes_up = is_here && row.chassis == Some(own) && row.up != Some(true);
    comes_up.then(|| PortBinding { up: Some(true), ..row.clone() })
}

/// A transaction with the rows that are to be another; none if none is.
fn changed<'a>(
    rows: impl Iterator<Item = (Uuid, &'a PortBinding)>,
    change: impl Fn(&PortBinding) -> Option<PortBinding>,
) -> Option<Transaction> {
    let mut transaction = None;
    for (uuid, row) in rows {
        if let Some(row) = change(row) {
            transaction.get_or_insert_with(Transaction::new).put(uuid, row);
        }
    }
    transaction
}

/// What [`Bound`] is held to: looks at every port and at every row.
#[cfg(test)]
pub mod naive {
    use super::*;

    /// Whether everything is as a walk over all ports and rows would leave it.
    pub fn is_settled(bound: &Bound, followed: &Bindings, store: &Store, datapath: &dyn Datapath) -> bool {
        let all = || store.iter::<PortBinding>().map(|(uuid, row)| (uuid, &**row));
        let own = Own::of(&followed.host.chassis, store);
        let mut ports = Bound::of(datapath).ports;
        let is_true = ports == bound.ports;
        ports.retain(|name, _| store.port(name).is_none_or(|(_, row)| own.may_have(row)));
        is_true
            && ports == followed.ports
            && claims(followed, &bound.elsewhere, store, all()).is_none()
            && ups(followed, store, all()).is_none()
    }
}
