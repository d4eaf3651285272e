//! What units and queries may ask of the Northbound rows, and which questions a change answers anew.
//!
//! The invariant: each question notes a [`Source`], and [`sources`] names it whenever its answer may be another.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::memory::{Source, View};
use smallvec::SmallVec;

use crate::logical::nb::class::{Class, Classes, classes};
use crate::logical::nb::tables::{
    AddressSet, LogicalRouterPort, LogicalSwitchPort, Meter, NbGlobal, PortGroup,
};
use crate::logical::nb::{AnyRow, Delta, Row, Store, Table, Uuid, What};

type Found<'a, R> = Option<(Uuid, &'a Arc<R>)>;

impl<'a> View<'a> {
    /// A row.
    pub fn row<R: Row<Table>>(&self, uuid: Uuid) -> Option<&'a Arc<R>> {
        self.noting(Source::Row(R::TABLE, uuid)).get(uuid)
    }

    /// A row, for whoever reads no column in which it names rows of its own.
    pub fn settings<R: Row<Table>>(&self, uuid: Uuid) -> Option<&'a Arc<R>> {
        self.noting(Source::Settings(R::TABLE, uuid)).get(uuid)
    }

    /// A row, for whoever reads these columns only.
    pub fn columns<R: Row<Table>>(&self, uuid: Uuid, columns: &[&str]) -> Option<&'a Arc<R>> {
        let names = columns.iter().filter_map(|name| R::TABLE.column(name));
        let mut row = None;
        for at in names {
            row = self.noting(Source::Column(R::TABLE, uuid, at as u8)).get(uuid);
        }
        if row.is_none() {
            // Columns of rows that are not there have no changes.
            return self.row(uuid);
        }
        row
    }

    /// The rows of a table that a row owns, in their order.
    pub fn owned<R: Row<Table>>(&self, owner: Uuid, target: Table) -> impl Iterator<Item = Uuid> + 'a {
        let store = self.noting(Source::Owned(owner, target));
        owned_by(store.row(R::TABLE, owner), target).into_iter().flatten().copied()
    }

    /// The rows of a class that a row owns, in their order.
    pub fn of_class<R: Row<Table>>(&self, owner: Uuid, class: Class) -> Vec<Uuid> {
        let store = self.noting(Source::Class(owner, class));
        let among = owned_by(store.row(R::TABLE, owner), class.table());
        among.map(|among| store.of_class(class, among)).unwrap_or_default()
    }

    /// All rows of a table: for small tables only, since whoever asks is looked at again whenever a row comes or goes.
    pub fn all<R: Row<Table>>(&self) -> impl Iterator<Item = (Uuid, &'a Arc<R>)> {
        let names: Vec<Uuid> = self.noting(Source::All(R::TABLE)).iter::<R>().map(|(uuid, _)| uuid).collect();
        names.into_iter().filter_map(|uuid| Some((uuid, self.row(uuid)?)))
    }

    /// The row of settings, for whoever reads no column but the options.
    pub fn global(&self) -> Option<&'a Arc<NbGlobal>> {
        let (uuid, _) = self.noting(Source::All(Table::NbGlobal)).global()?;
        self.columns(uuid, &["options"])
    }

    fn found<R: Row<Table>>(&self, name: &str, find: impl FnOnce(&'a Store) -> Option<Uuid>) -> Found<'a, R> {
        let uuid = find(self.noting(Source::Named(R::TABLE, name.into())))?;
        Some((uuid, self.row(uuid)?))
    }

    /// The switch port of a name.
    pub fn switch_port(&self, name: &str) -> Found<'a, LogicalSwitchPort> {
        self.found(name, |store| Some(store.switch_port(name)?.0))
    }

    /// The router port of a name.
    pub fn router_port(&self, name: &str) -> Found<'a, LogicalRouterPort> {
        self.found(name, |store| Some(store.router_port(name)?.0))
    }

    /// The meter of a name.
    pub fn meter(&self, name: &str) -> Found<'a, Meter> {
        self.found(name, |store| Some(store.meter(name)?.0))
    }

    /// The port group of a name.
    pub fn port_group(&self, name: &str) -> Found<'a, PortGroup> {
        self.found(name, |store| Some(store.port_group(name)?.0))
    }

    /// The address set of a name.
    pub fn address_set(&self, name: &str) -> Found<'a, AddressSet> {
        self.found(name, |store| Some(store.address_set(name)?.0))
    }

    /// The switch that a port is of.
    pub fn switch_of(&self, port: Uuid) -> Option<Uuid> {
        let store = self.noting(Source::Parents(Table::LogicalSwitchPort, port));
        store.switch_of(port).map(|(uuid, _)| uuid)
    }

    /// The router that a port is of.
    pub fn router_of(&self, port: Uuid) -> Option<Uuid> {
        let store = self.noting(Source::Parents(Table::LogicalRouterPort, port));
        store.router_of(port).map(|(uuid, _)| uuid)
    }

    /// Rows of a kind that name a row strongly: the router of a route, the switches and port groups of an ACL.
    pub fn parents<R: Row<Table>>(&self, table: Table, uuid: Uuid) -> Vec<Uuid> {
        let store = self.noting(Source::Parents(table, uuid));
        store.parents_of::<R>(table, uuid).map(|(uuid, _)| uuid).collect()
    }

    /// Rows of a kind that name a row weakly: the switches of a DNS row.
    pub fn mentions<R: Row<Table>>(&self, table: Table, uuid: Uuid) -> Vec<Uuid> {
        let store = self.noting(Source::Parents(table, uuid));
        store.mentions_of::<R>(table, uuid).map(|(uuid, _)| uuid).collect()
    }

    /// The switch ports that lead to a router port.
    pub fn switch_ports_facing(&self, router_port: &str) -> Vec<Uuid> {
        let store = self.noting(Source::Facing(router_port.into()));
        store.switch_ports_facing(router_port).map(|(uuid, _)| uuid).collect()
    }

    /// The ports in a share of a port group, in their order. A group may have very many ports, of which one comes or goes.
    pub fn share_of_group(&self, group: Uuid, share: u16) -> impl Iterator<Item = Uuid> + 'a {
        let group = self.noting(Source::Share(group, share)).get::<PortGroup>(group);
        let first = u128::from(share) << (u128::BITS - SHARE_BITS);
        let range = Uuid(first)..=Uuid(first | u128::MAX >> SHARE_BITS);
        group.into_iter().flat_map(move |group| group.ports.range(range.clone()).copied())
    }

    /// The port groups that a switch port is in.
    pub fn groups_of_port(&self, port: Uuid) -> Vec<Uuid> {
        let store = self.noting(Source::Groups(port));
        store.groups_of_port(port).map(|(uuid, _)| uuid).collect()
    }
}

/// Bits of the name of a port that say in which share of a port group it is.
const SHARE_BITS: u32 = 7;
/// Shares of a port group.
pub const SHARES: u16 = 1 << SHARE_BITS;

/// The questions whose answers may be other ones.
pub(super) fn sources(delta: &Delta) -> Vec<Source> {
    let mut sources = Vec::new();
    for change in &delta.changes {
        let (table, uuid) = (change.table, change.uuid);
        sources.push(Source::Row(table, uuid));
        match change.what {
            What::Inserted | What::Deleted => {
                sources.extend([Source::All(table), Source::Settings(table, uuid)]);
                // Nobody has asked for columns of a row that was not there.
                if matches!(change.what, What::Deleted) {
                    let columns = 0..table.def().columns.len();
                    sources.extend(columns.map(|at| Source::Column(table, uuid, at as u8)));
                }
            }
            What::Modified(columns) => {
                let own = own_columns(table);
                let changed = (0..table.def().columns.len()).filter(|at| columns.contains(*at));
                sources.extend(changed.clone().map(|at| Source::Column(table, uuid, at as u8)));
                if changed.into_iter().any(|at| !own.contains(&at)) {
                    sources.push(Source::Settings(table, uuid));
                }
            }
        }
        let (before, after) = (delta.before.row(table, uuid), delta.after.row(table, uuid));
        let (old, new) = (before.and_then(name), after.and_then(name));
        if old != new {
            sources.extend(old.into_iter().chain(new).map(|name| Source::Named(table, name.into())));
        }
        let (old, new) = (before.and_then(faced), after.and_then(faced));
        if old != new {
            sources.extend(old.into_iter().chain(new).map(|name| Source::Facing(name.into())));
        }
        for own in OWNED.iter().filter(|own| own.owner == table) {
            let before_this = sources.len();
            differences(before.and_then(own.column), after.and_then(own.column), |owned| {
                sources.push(Source::Parents(own.target, owned));
                let both = [&delta.before, &delta.after].map(|store| classes_of(store, own.target, owned));
                sources.extend(both.into_iter().flatten().map(|class| Source::Class(uuid, class)));
            });
            if sources.len() > before_this {
                sources.push(Source::Owned(uuid, own.target));
            }
        }
        for (target, column) in NAMED {
            let (old, new) = (before.and_then(column), after.and_then(column));
            if old != new {
                sources.extend(old.into_iter().chain(new).map(|uuid| Source::Parents(*target, uuid)));
            }
        }
        classes_changed(delta, table, uuid, &mut sources);
        differences(before.and_then(members), after.and_then(members), |port| {
            let share = (port.0 >> (u128::BITS - SHARE_BITS)) as u16;
            sources.extend([Source::Groups(port), Source::Share(uuid, share)]);
        });
    }
    sources
}

/// A row that stays with its owner may be of other classes than before.
fn classes_changed(delta: &Delta, table: Table, uuid: Uuid, sources: &mut Vec<Source>) {
    let [before, after] = [&delta.before, &delta.after].map(|store| classes_of(store, table, uuid));
    let changed = before.iter().filter(|class| !after.contains(class));
    let changed = changed.chain(after.iter().filter(|class| !before.contains(class)));
    for class in changed {
        for store in [&delta.before, &delta.after] {
            sources.extend(store.parents(table, uuid).map(|(_, owner)| Source::Class(owner, *class)));
        }
    }
}

fn classes_of(store: &Store, table: Table, uuid: Uuid) -> Classes {
    store.row(table, uuid).map(|row| classes(uuid, row)).unwrap_or_default()
}

fn differences(before: Option<&BTreeSet<Uuid>>, after: Option<&BTreeSet<Uuid>>, tell: impl FnMut(Uuid)) {
    let none = BTreeSet::new();
    let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
    before.symmetric_difference(after).copied().for_each(tell);
}

/// The ports of a port group.
fn members(row: &AnyRow) -> Option<&BTreeSet<Uuid>> {
    match row {
        AnyRow::PortGroup(row) => Some(&row.ports),
        _ => None,
    }
}

/// The name by which a row is asked for.
fn name(row: &AnyRow) -> Option<&str> {
    match row {
        AnyRow::LogicalSwitchPort(row) => Some(&row.name),
        AnyRow::LogicalRouterPort(row) => Some(&row.name),
        AnyRow::PortGroup(row) => Some(&row.name),
        AnyRow::AddressSet(row) => Some(&row.name),
        AnyRow::Meter(row) => Some(&row.name),
        _ => None,
    }
}

/// The router port that a switch port leads to.
fn faced(row: &AnyRow) -> Option<&str> {
    match row {
        AnyRow::LogicalSwitchPort(row) => row.router_port(),
        _ => None,
    }
}

/// A column in which rows of a table name rows that are their own.
struct Own {
    owner: Table,
    name: &'static str,
    target: Table,
    column: fn(&AnyRow) -> Option<&BTreeSet<Uuid>>,
}

/// The rows of a table that a row owns.
fn owned_by(row: Option<&AnyRow>, target: Table) -> Option<&BTreeSet<Uuid>> {
    let row = row?;
    OWNED.iter().filter(|own| own.target == target).find_map(|own| (own.column)(row))
}

/// The numbers of the columns in which rows of a table name rows that are their own.
fn own_columns(table: Table) -> SmallVec<[usize; 4]> {
    OWNED.iter().filter(|own| own.owner == table).filter_map(|own| table.column(own.name)).collect()
}

macro_rules! own {
    ($($row:ident.$column:ident => $target:ident,)+) => {
        &[$(Own {
            owner: Table::$row,
            name: stringify!($column),
            target: Table::$target,
            column: |row| match row {
                AnyRow::$row(row) => Some(&row.$column),
                _ => None,
            },
        },)+]
    };
}

/// Columns in which a row names many rows, such as are its own.
const OWNED: &[Own] = own! {
    LogicalSwitch.ports => LogicalSwitchPort,
    LogicalSwitch.acls => Acl,
    LogicalSwitch.qos_rules => Qos,
    LogicalSwitch.forwarding_groups => ForwardingGroup,
    LogicalSwitch.load_balancer => LoadBalancer,
    LogicalSwitch.load_balancer_group => LoadBalancerGroup,
    LogicalSwitch.dns_records => Dns,
    PortGroup.acls => Acl,
    LogicalRouter.ports => LogicalRouterPort,
    LogicalRouter.static_routes => LogicalRouterStaticRoute,
    LogicalRouter.policies => LogicalRouterPolicy,
    LogicalRouter.nat => Nat,
};

type Column = fn(&AnyRow) -> Option<Uuid>;

/// Columns in which a row names one row that is not its alone, with the table of that.
const NAMED: &[(Table, Column)] = &[(Table::HaChassisGroup, |row| match row {
    AnyRow::LogicalRouterPort(row) => row.ha_chassis_group,
    AnyRow::LogicalSwitchPort(row) => row.ha_chassis_group,
    _ => None,
})];
