//! What the Northbound database has of its own: names of rows, indexes, and the questions of commands and the compiler.
//!
//! The invariant of the indexes: an entry is here exactly while its row is in the store. Names of switches, routers and
//! load balancers need not be unique, so there may be several of a name.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::RedBlackTreeSetSync;

use super::class::{Class, classes};
use super::tables::{
    AddressSet, AnyRow, Copp, GatewayChassis, HaChassisGroup, LoadBalancer, LoadBalancerGroup, LogicalRouter,
    LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, Meter, Mirror, NbGlobal, PortGroup,
    StaticMacBinding, Table,
};
use super::{Store, Uuid};
use crate::logical::rows::index::{FIRST, Index, LAST};
use crate::logical::rows::schema::{NameColumn, Row, Schema};
use crate::logical::rows::store::text;

impl Schema for Table {
    type Index = Named;
    const DATABASE: &'static str = "OVN_Northbound";
    const NAMED: &'static str = "a Northbound database";
    const ESSENTIAL: &'static [Table] = &[Table::LogicalSwitch, Table::LogicalSwitchPort, Table::NbGlobal];

    fn names(self) -> &'static [NameColumn] {
        match self {
            Table::Acl
            | Table::AddressSet
            | Table::ForwardingGroup
            | Table::HaChassisGroup
            | Table::LoadBalancer
            | Table::LoadBalancerGroup
            | Table::LogicalRouterPort
            | Table::Meter
            | Table::PortGroup => &[("name", None)],
            Table::ChassisTemplateVar => &[("chassis", None)],
            Table::Connection => &[("target", None)],
            Table::HaChassis => &[("chassis_name", None)],
            Table::LoadBalancerHealthCheck => &[("vip", None)],
            Table::LogicalRouter => &[("name", None), ("external_ids", Some("neutron:router_name"))],
            Table::LogicalSwitch => &[("name", None), ("external_ids", Some("neutron:network_name"))],
            Table::LogicalSwitchPort => &[("name", None), ("external_ids", Some("neutron:port_name"))],
            Table::Nat => &[("external_ip", None)],
            _ => &[],
        }
    }

    fn names_through(self) -> &'static [(Table, NameColumn, &'static str)] {
        match self {
            Table::DhcpOptions => &[
                (Table::LogicalSwitchPort, ("name", None), "dhcpv4_options"),
                (Table::LogicalSwitchPort, ("external_ids", Some("neutron:port_name")), "dhcpv4_options"),
                (Table::LogicalSwitchPort, ("name", None), "dhcpv6_options"),
                (Table::LogicalSwitchPort, ("external_ids", Some("neutron:port_name")), "dhcpv6_options"),
            ],
            _ => &[],
        }
    }
}

/// Rows by names that others may have too, switch ports by the router ports that they lead to, and rows by their classes.
#[derive(Clone, Default)]
pub struct Named {
    names: RedBlackTreeSetSync<(Table, String, Uuid)>,
    facing: RedBlackTreeSetSync<(String, Uuid)>,
    classes: RedBlackTreeSetSync<(Class, Uuid)>,
}

/// The name by which a row is found though others may have it too.
fn name(row: &AnyRow) -> Option<&str> {
    match row {
        AnyRow::LoadBalancer(row) => Some(&row.name),
        AnyRow::LogicalRouter(row) => Some(&row.name),
        AnyRow::LogicalSwitch(row) => Some(&row.name),
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

impl LogicalSwitchPort {
    /// The name of the router port that it leads to.
    pub fn router_port(&self) -> Option<&str> {
        let option = self.options.get("router-port").filter(|_| self.kind == "router");
        option.map(String::as_str)
    }
}

impl Index<Table> for Named {
    fn enter(&mut self, uuid: Uuid, row: &AnyRow) {
        if let Some(name) = name(row) {
            self.names.insert_mut((row.table(), name.to_owned(), uuid));
        }
        if let Some(port) = faced(row) {
            self.facing.insert_mut((port.to_owned(), uuid));
        }
        for class in classes(uuid, row) {
            self.classes.insert_mut((class, uuid));
        }
    }

    fn leave(&mut self, uuid: Uuid, row: &AnyRow) {
        if let Some(name) = name(row) {
            self.names.remove_mut(&(row.table(), name.to_owned(), uuid));
        }
        if let Some(port) = faced(row) {
            self.facing.remove_mut(&(port.to_owned(), uuid));
        }
        for class in classes(uuid, row) {
            self.classes.remove_mut(&(class, uuid));
        }
    }
}

impl Store {
    /// The rows of a table that have a name which others may have too, in the order of their identifiers.
    fn named<R: Row<Table>>(&self, name: &str) -> impl Iterator<Item = (Uuid, &Arc<R>)> {
        let key = |uuid| (R::TABLE, name.to_owned(), uuid);
        let found = self.own().names.range(key(FIRST)..=key(LAST));
        found.filter_map(|(.., uuid)| Some((*uuid, self.get(*uuid)?)))
    }

    /// The row of a table whose name, its first unique column, is this one.
    fn of_name<R: Row<Table>>(&self, name: &str) -> Option<(Uuid, &Arc<R>)> {
        self.by_unique(0, vec![text(name)])
    }

    /// The row that concerns the whole database, if it has been made.
    pub fn global(&self) -> Option<(Uuid, &Arc<NbGlobal>)> {
        self.iter().next()
    }

    /// The switches of a name.
    pub fn switches_named(&self, name: &str) -> impl Iterator<Item = (Uuid, &Arc<LogicalSwitch>)> {
        self.named(name)
    }

    /// The routers of a name.
    pub fn routers_named(&self, name: &str) -> impl Iterator<Item = (Uuid, &Arc<LogicalRouter>)> {
        self.named(name)
    }

    /// The load balancers of a name.
    pub fn load_balancers_named(&self, name: &str) -> impl Iterator<Item = (Uuid, &Arc<LoadBalancer>)> {
        self.named(name)
    }

    /// The rows among some of the same table that are of a class, in their order.
    pub fn of_class(&self, class: Class, among: &BTreeSet<Uuid>) -> Vec<Uuid> {
        let classes = &self.own().classes;
        // Whatever are fewer are looked at: all that are of the class, or those that are asked about.
        let range = classes.range((class, FIRST)..=(class, LAST)).map(|(_, uuid)| *uuid);
        let mut all: Vec<Uuid> = range.take(among.len() + 1).collect();
        if all.len() > among.len() {
            return among.iter().copied().filter(|uuid| classes.contains(&(class, *uuid))).collect();
        }
        all.retain(|uuid| among.contains(uuid));
        all
    }

    /// The switch port of a name.
    pub fn switch_port(&self, name: &str) -> Option<(Uuid, &Arc<LogicalSwitchPort>)> {
        self.of_name(name)
    }

    /// The switch of a switch port; none while it is in the middle of a change that takes it away.
    pub fn switch_of(&self, port: Uuid) -> Option<(Uuid, &Arc<LogicalSwitch>)> {
        self.parents_of(Table::LogicalSwitchPort, port).next()
    }

    /// The router port of a name.
    pub fn router_port(&self, name: &str) -> Option<(Uuid, &Arc<LogicalRouterPort>)> {
        self.of_name(name)
    }

    /// The router of a router port.
    pub fn router_of(&self, port: Uuid) -> Option<(Uuid, &Arc<LogicalRouter>)> {
        self.parents_of(Table::LogicalRouterPort, port).next()
    }

    /// The switch ports that lead to the router port of a name.
    pub fn switch_ports_facing(
        &self,
        router_port: &str,
    ) -> impl Iterator<Item = (Uuid, &Arc<LogicalSwitchPort>)> {
        let key = |uuid| (router_port.to_owned(), uuid);
        let found = self.own().facing.range(key(FIRST)..=key(LAST));
        found.filter_map(|(_, uuid)| Some((*uuid, self.get(*uuid)?)))
    }

    /// The port group of a name.
    pub fn port_group(&self, name: &str) -> Option<(Uuid, &Arc<PortGroup>)> {
        self.of_name(name)
    }

    /// The groups that a switch port is in.
    pub fn groups_of_port(&self, port: Uuid) -> impl Iterator<Item = (Uuid, &Arc<PortGroup>)> {
        self.mentions_of(Table::LogicalSwitchPort, port)
    }

    /// The address set of a name.
    pub fn address_set(&self, name: &str) -> Option<(Uuid, &Arc<AddressSet>)> {
        self.of_name(name)
    }

    /// The group of load balancers of a name.
    pub fn load_balancer_group(&self, name: &str) -> Option<(Uuid, &Arc<LoadBalancerGroup>)> {
        self.of_name(name)
    }

    /// The meter of a name.
    pub fn meter(&self, name: &str) -> Option<(Uuid, &Arc<Meter>)> {
        self.of_name(name)
    }

    /// The mirror of a name.
    pub fn mirror(&self, name: &str) -> Option<(Uuid, &Arc<Mirror>)> {
        self.of_name(name)
    }

    /// The group of chassis of a name.
    pub fn ha_chassis_group(&self, name: &str) -> Option<(Uuid, &Arc<HaChassisGroup>)> {
        self.of_name(name)
    }

    /// The chassis of a gateway port of a name.
    pub fn gateway_chassis(&self, name: &str) -> Option<(Uuid, &Arc<GatewayChassis>)> {
        self.of_name(name)
    }

    /// The configured neighbour behind a router port.
    pub fn static_mac_binding(&self, port: &str, ip: &str) -> Option<(Uuid, &Arc<StaticMacBinding>)> {
        self.by_unique(0, vec![text(port), text(ip)])
    }

    /// The meters of the control plane of a name.
    pub fn copp(&self, name: &str) -> Option<(Uuid, &Arc<Copp>)> {
        self.of_name(name)
    }
}
