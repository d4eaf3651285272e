//! What a switch must know of its ports, and what is behind one of them.

use super::addresses::{Addresses, Ipv4Network, Ipv6Network};
use super::switch::Settings;
use super::switch_peer::Facing;
use crate::logical::nb::Table;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::{LogicalSwitch, LogicalSwitchPort};
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::rows::Uuid;
use crate::packet::Mac;

/// Of a switch: the ports that lead to router ports.
pub struct ToRouters;

impl Query for ToRouters {
    type Value = Vec<Uuid>;

    fn compute(view: &View<'_>, of: &Of) -> Vec<Uuid> {
        let mut ports = view.of_class::<LogicalSwitch>(of.uuid(), Class::ToRouter);
        ports.retain(|port| view.ask::<Facing>(*port).is_some());
        ports
    }
}

/// Of a switch: whether nothing but routers is behind its ports.
pub struct IsBetweenRouters;

impl Query for IsBetweenRouters {
    type Value = bool;

    fn compute(view: &View<'_>, of: &Of) -> bool {
        let ports = view.owned::<LogicalSwitch>(of.uuid(), Table::LogicalSwitchPort);
        ports.count() == view.ask::<ToRouters>(of.uuid()).len()
    }
}

/// Of a switch: the names of its ports that lead to physical networks.
pub struct Localnets;

impl Query for Localnets {
    type Value = Vec<String>;

    fn compute(view: &View<'_>, of: &Of) -> Vec<String> {
        let ports = view.of_class::<LogicalSwitch>(of.uuid(), Class::Localnet).into_iter();
        let rows = ports.filter_map(|port| view.columns::<LogicalSwitchPort>(port, &["name"]));
        rows.map(|row| row.name.clone()).collect()
    }
}

/// Of a switch: whether a router behind it passes multicast on.
pub struct IsRelayed;

impl Query for IsRelayed {
    type Value = bool;

    fn compute(view: &View<'_>, of: &Of) -> bool {
        let ports = view.ask::<ToRouters>(of.uuid());
        ports.iter().any(|port| view.ask::<Facing>(*port).as_ref().as_ref().is_some_and(|peer| peer.relays))
    }
}

/// What an entry of a port's addresses is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An Ethernet address, perhaps with IP addresses that are the port's too.
    Mac(Mac),
    /// What is for addresses that nobody has.
    Unknown,
    /// Addresses that are given to it.
    Dynamic,
    /// The addresses of the router port that it leads to.
    Router,
    /// None of them.
    Wrong,
}

impl Entry {
    /// Reads one. That with an Ethernet address of which only the rest is given is one of that address.
    pub fn parse(text: &str) -> Self {
        match text {
            "unknown" => Self::Unknown,
            "router" => Self::Router,
            _ => match Addresses::parse(text) {
                Some(read) => Self::Mac(read.mac),
                None if is_dynamic(text) => Self::Dynamic,
                None => Self::Wrong,
            },
        }
    }
}

/// Whether addresses of an entry are given: `dynamic`, `dynamic IP`, `dynamic IP IP` and `MAC dynamic`.
pub fn is_dynamic(text: &str) -> bool {
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("dynamic"), None, ..) => true,
        (Some("dynamic"), Some(one), None, _) => {
            Ipv4Network::parse(one).is_some() || Ipv6Network::parse(one).is_some()
        }
        (Some("dynamic"), Some(one), Some(other), None) => {
            Ipv4Network::parse(one).is_some() && Ipv6Network::parse(other).is_some()
        }
        (Some(mac), Some("dynamic"), None, _) => mac.parse::<Mac>().is_ok(),
        _ => false,
    }
}

/// Of a switch port: the addresses that are behind it, those of the router port that it leads to among them.
pub struct Known;

impl Query for Known {
    type Value = Vec<Addresses>;

    fn compute(view: &View<'_>, of: &Of) -> Vec<Addresses> {
        let columns = &["addresses", "dynamic_addresses"];
        let Some(row) = view.columns::<LogicalSwitchPort>(of.uuid(), columns) else { return Vec::new() };
        let fixed = row.addresses.iter().filter(|entry| !is_dynamic(entry));
        let mut known: Vec<Addresses> = fixed.filter_map(|entry| Addresses::parse(entry)).collect();
        let peer = view.ask::<Facing>(of.uuid());
        if let Some(peer) = &*peer
            && row.addresses.contains("router")
        {
            known.push(peer.addresses.clone());
        }
        let switch = view.switch_of(of.uuid());
        let gives = switch.is_some_and(|switch| view.ask::<Settings>(switch).gives_addresses);
        if gives && peer.is_none() && row.addresses.iter().any(|entry| is_dynamic(entry)) {
            known.extend(row.dynamic_addresses.as_deref().and_then(Addresses::parse));
        }
        known
    }
}
