//! What is at the other end of a switch port that leads to a router, as far as the switch must know it.

use std::net::{IpAddr, Ipv4Addr};

use super::addresses::Addresses;
use super::options::flag;
use crate::logical::nb::Table;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, LogicalSwitchPort, Nat};
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::rows::Uuid;

/// A router port as its peer sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Peer {
    /// The router.
    pub router: Uuid,
    /// The port.
    pub port: Uuid,
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Addresses,
    /// Whether the port works.
    pub is_enabled: bool,
    /// Whether one chassis hosts it for all.
    pub is_gateway: bool,
    /// Whether packets to it go where the router's gateway is.
    pub is_with_gateway: bool,
    /// Whether the router passes multicast on.
    pub relays: bool,
    /// The chassis that hosts the router as a whole, if one does.
    pub chassis: Option<String>,
}

/// Of a switch port: the port of a working router that it leads to.
pub struct Facing;

impl Query for Facing {
    type Value = Option<Peer>;

    fn compute(view: &View<'_>, of: &Of) -> Option<Peer> {
        let switch_port = view.columns::<LogicalSwitchPort>(of.uuid(), &["type", "options"])?;
        let (port, row) = view.router_port(switch_port.router_port()?)?;
        let router = view.router_of(port)?;
        let settings = view.settings::<LogicalRouter>(router)?;
        if settings.enabled == Some(false) {
            return None;
        }
        let chassis = settings.options.get("chassis").cloned();
        Some(Peer {
            router,
            port,
            name: row.name.clone(),
            addresses: Addresses::of_router_port(&row.mac, &row.networks)?,
            is_enabled: row.enabled != Some(false),
            is_gateway: row.is_hosted() && chassis.is_none(),
            is_with_gateway: flag(&row.options, "reside-on-redirect-chassis", false),
            relays: flag(&settings.options, "mcast_relay", false),
            chassis,
        })
    }
}

/// The name under which the instance of a port on the chassis that hosts it goes.
pub fn redirected(port: &str) -> String {
    format!("cr-{port}")
}

/// Of a router: the names of its ports that one chassis hosts for all.
pub struct Gateways;

impl Query for Gateways {
    type Value = Vec<String>;

    fn compute(view: &View<'_>, of: &Of) -> Vec<String> {
        let router = view.settings::<LogicalRouter>(of.uuid());
        if router.is_none_or(|router| router.options.contains_key("chassis")) {
            return Vec::new();
        }
        let ports = view.of_class::<LogicalRouter>(of.uuid(), Class::Gateway).into_iter();
        let rows = ports.filter_map(|port| view.columns::<LogicalRouterPort>(port, &["name", "mac"]));
        let rows = rows.filter(|row| Addresses::of_router_port(&row.mac, []).is_some());
        rows.map(|row| row.name.clone()).collect()
    }
}

/// A translation of addresses whose outside is one address.
#[derive(Clone, PartialEq, Debug)]
pub struct Translation {
    /// The address outside, as it is written,
    pub external: String,
    /// and what it is.
    pub address: IpAddr,
    /// Whether packets from outside are translated.
    pub is_entered: bool,
    /// The Ethernet address outside and the port inside, if every chassis translates for itself.
    pub distributed: Option<(String, String)>,
    /// The Ethernet address outside.
    pub external_mac: Option<String>,
    /// The port that it works at, if it says so.
    pub gateway_port: Option<Uuid>,
}

impl Translation {
    /// Whether it works at a router port, of several that chassis host.
    pub fn is_at(&self, peer: &Peer) -> bool {
        match (self.gateway_port, self.address) {
            (Some(port), _) => port == peer.port,
            (None, IpAddr::V4(address)) => peer.addresses.ipv4.iter().any(|own| own.contains(address)),
            (None, IpAddr::V6(address)) => peer.addresses.ipv6.iter().any(|own| own.contains(address)),
        }
    }

    /// The address outside if it is one of IPv4.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

/// Of a router: its translations.
pub struct Translations;

impl Query for Translations {
    type Value = Vec<Translation>;

    fn compute(view: &View<'_>, of: &Of) -> Vec<Translation> {
        let rows = view.owned::<LogicalRouter>(of.uuid(), Table::Nat);
        rows.filter_map(|row| {
            let row = view.row::<Nat>(row)?;
            let read = Addresses::parse_ips(&row.external_ip)?;
            let address = match (&*read.ipv4, &*read.ipv6) {
                ([one], []) => IpAddr::V4(one.address),
                ([], [one]) => IpAddr::V6(one.address),
                _ => return None,
            };
            let distributed = row.external_mac.clone().zip(row.logical_port.clone());
            Some(Translation {
                external: row.external_ip.clone(),
                address,
                is_entered: row.kind != "snat",
                distributed: distributed.filter(|_| row.kind == "dnat_and_snat"),
                external_mac: row.external_mac.clone(),
                gateway_port: row.gateway_port,
            })
        })
        .collect()
    }
}
