//! Lowering: from Southbound rows and the ports of this chassis to flows of the public tables, incrementally.
//!
//! ```text
//! Delta (rows before, after, which changed) ─┐
//! Bindings (host, logical port ─▶ PortNo) ────┴▶ Lowering::update ─▶ Changes ─▶ FlowMods, published once
//! ```
//!
//! A [`Lowering`] stands beside a [`rows::Cursor`](crate::logical::rows::Cursor) that began with
//! `subscribe_from_nothing`, on whatever thread (the first update takes long). Each [`Lowering::update`] takes what changed
//! and yields the flows, groups and meters that are to be put in and taken out ([`Changes::apply`] to a
//! [`Batch`](crate::pipeline::Batch)); applied one after the other they keep the tables equal to what the rows say.
//! Nothing else may write flows with those matches and priorities.
//!
//! The invariant: after any history of updates the flows are those that a new `Lowering` with the same [`Zones`]
//! makes of the last rows and bindings alone (the ids of conjunctions, groups and meters aside, which are arbitrary).
//!
//! Every flow belongs to a row, the lowest by uuid where several rows make the same one, and its cookie is the first
//! 32 bits of that row's uuid; flows that no row asks for have cookie 0. A row that cannot be lowered, or only in part,
//! is reported by [`Lowering::troubles`] and hinders no other.
//!
//! Inside: [`numbers`] has tables and registers; `flow`, `matches` and `actions` translate logical flows, `grown` what a
//! changed set changes in them; `objects` has the groups and meters that flows name; `physical`, `multicast`, `remote`,
//! `learned` and `security` make the flows of ports, groups, other chassis, neighbours and port security; `local` knows
//! which datapaths this chassis needs, `view` what names mean in one of them, `book` which flow belongs to whom,
//! `refused` what of it the tables do not take, `units` who made and refers to what, and `engine` what is to be made anew
//! when a row changes.

mod actions;
mod book;
mod engine;
mod flow;
mod grown;
mod learned;
mod local;
mod matches;
mod multicast;
pub mod numbers;
mod objects;
mod packed;
mod physical;
mod refused;
mod remote;
mod security;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod units;
mod view;
mod zones;

pub use book::{Changes, LoweredFlow};
pub use engine::{Lowering, Trouble};
pub use local::{is_here, unfit};
pub use numbers::Numbers;
pub use refused::{Refused, Why};
pub use remote::{endpoint, endpoints};
pub use zones::Zones;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::packet::PortNo;

/// What is said of this host and of no row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The name of its row in the table Chassis.
    pub chassis: String,
    /// How other chassis are reached; without it none is.
    pub tunnel: Option<Tunnel>,
    /// Switch ports by the names of the physical networks (`network_name`) that they lead to.
    pub mappings: BTreeMap<String, PortNo>,
}

/// The port by which packets go to other chassis and come from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The switch port.
    pub port: PortNo,
    /// Most bytes of an IP packet between the hosts. If it is given, IP packets to a port of another chassis that do not
    /// fit are answered; otherwise they go on and are dropped where they do not fit.
    pub mtu: Option<u16>,
    /// What kind of endpoints can be reached.
    pub families: Families,
}

/// Versions of IP of which a host has an address on the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { v4: true, v6: true }
    }
}

impl Families {
    /// Those of addresses.
    pub fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let none = Self { v4: false, v6: false };
        addresses
            .into_iter()
            .fold(none, |found, ip| Self { v4: found.v4 | ip.is_ipv4(), v6: found.v6 | ip.is_ipv6() })
    }

    /// Whether an address can be reached.
    pub fn reach(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// What this chassis is and which of its switch ports are bound to logical ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    /// What it is.
    pub host: Host,
    /// Switch ports by the names of the logical ports that they are.
    pub ports: BTreeMap<String, PortNo>,
}

/// What changes of [`Bindings`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebound {
    /// What the host is from now on.
    pub host: Host,
    /// Logical ports that are another switch port, or none, from now on.
    pub ports: BTreeMap<String, Option<PortNo>>,
}

impl Host {
    /// A chassis that reaches no other.
    pub fn named(chassis: impl Into<String>) -> Self {
        Self { chassis: chassis.into(), ..Self::default() }
    }

    /// The names of the networks of which the mapping is another than with `other`.
    pub(crate) fn remapped<'a>(&'a self, other: &'a Host) -> impl Iterator<Item = &'a str> {
        let (own, others) = (&self.mappings, &other.mappings);
        let changed = own.iter().filter(|(name, port)| others.get(*name) != Some(*port));
        let gone = others.keys().filter(|name| !own.contains_key(*name));
        changed.map(|(name, _)| name).chain(gone).map(String::as_str)
    }
}

impl Bindings {
    /// What makes other bindings of these.
    pub fn changes_to(&self, other: &Bindings) -> Rebound {
        let gone = self.ports.keys().filter(|name| !other.ports.contains_key(*name));
        let new = other.ports.iter().filter(|(name, port)| self.ports.get(*name) != Some(*port));
        let ports = gone.map(|name| (name.clone(), None));
        let ports = ports.chain(new.map(|(name, port)| (name.clone(), Some(*port)))).collect();
        Rebound { host: other.host.clone(), ports }
    }

    /// Makes that change.
    pub fn change(&mut self, rebound: &Rebound) {
        self.host.clone_from(&rebound.host);
        for (name, port) in &rebound.ports {
            match port {
                Some(port) => self.ports.insert(name.clone(), *port),
                None => self.ports.remove(name),
            };
        }
    }
}
