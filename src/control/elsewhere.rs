//! Other chassis and the ports that are bound there, as the configuration and `millrace sbctl` say.
//!
//! The invariants:
//! - A binding belongs to the name of a port: it is there before the port is, and outlives it.
//! - It counts where rows are compiled here; those of a dump say themselves where their ports are. A port that is bound
//!   here is here, whatever is said elsewhere.
//! - What commands say lasts as long as the switch runs, what the configuration says as long as it says so.
//!
//! An OVSDB client that follows OVN's own Southbound database takes the place of this and of the compiler: it brings the
//! rows of Chassis, Encap and Port_Binding as the other chassis write them, by the transactions by which a dump comes
//! ([`crate::logical::rows::Database::accept`]). Nothing behind the rows knows the difference.

use std::collections::{BTreeMap, BTreeSet};

use crate::config;
use crate::logical::northd::names;
use crate::logical::rows::tables::{Chassis, Encap, PortBinding};
use crate::logical::rows::{Edit, Store, Table, Uuid};

/// The tunnels to a chassis: the protocol and the address of each.
pub type Encaps = Vec<(String, String)>;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    chassis: BTreeMap<String, Encaps>,
    /// Chassis of ports, all of them among those above.
    ports: BTreeMap<String, String>,
    /// Whether rows say what is said here.
    pub is_in_force: bool,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Elsewhere {
    /// What a configuration says.
    pub fn of(peers: &[config::Chassis]) -> Self {
        let encaps = |peer: &config::Chassis| vec![("geneve".to_owned(), peer.encap_ip.to_string())];
        let ports =
            peers.iter().flat_map(|peer| peer.ports.iter().map(|port| (port.clone(), peer.name.clone())));
        Self {
            chassis: peers.iter().map(|peer| (peer.name.clone(), encaps(peer))).collect(),
            ports: ports.collect(),
            is_in_force: true,
        }
    }

    /// Whether there is no other chassis.
    pub fn is_empty(&self) -> bool {
        self.chassis.is_empty()
    }

    /// Whether there is one of that name.
    pub fn has(&self, chassis: &str) -> bool {
        self.chassis.contains_key(chassis)
    }

    /// There is another chassis.
    pub fn add(&mut self, chassis: &str, encaps: Encaps) {
        self.chassis.insert(chassis.to_owned(), encaps);
    }

    /// It is there no more, and no port is bound to it. Gives those that were.
    pub fn remove(&mut self, chassis: &str) -> Vec<String> {
        self.chassis.remove(chassis);
        self.ports.extract_if(.., |_, of| of == chassis).map(|(port, _)| port).collect()
    }

    /// A port is on a chassis, or on none.
    pub fn bind(&mut self, port: &str, chassis: Option<&str>) {
        match chassis {
            Some(chassis) => self.ports.insert(port.to_owned(), chassis.to_owned()),
            None => self.ports.remove(port),
        };
    }

    /// The chassis that a port is bound to, by its name.
    pub fn bound(&self, port: &str) -> Option<&str> {
        self.ports.get(port).filter(|_| self.is_in_force).map(String::as_str)
    }

    /// The ports that are bound, with the names of their chassis.
    pub fn ports(&self) -> impl Iterator<Item = (&str, &str)> {
        let ports = self.ports.iter().filter(|_| self.is_in_force);
        ports.map(|(port, chassis)| (port.as_str(), chassis.as_str()))
    }

    /// The row of the chassis that a port is on by what is said here: a port inside another is where that is.
    pub fn chassis_of(&self, port: &PortBinding, store: &Store) -> Option<Uuid> {
        let outer = || self.bound(port.parent_port.as_deref()?);
        let chassis = self.bound(&port.logical_port).or_else(outer)?;
        store.chassis(chassis).map(|(uuid, _)| uuid)
    }

    /// Makes the rows of all chassis that have none.
    pub fn register(&self, edit: &mut Edit) {
        for (name, encaps) in &self.chassis {
            if edit.rows().chassis(name).is_none() {
                put_chassis(edit, name, "", encaps, true);
            }
        }
    }
}

/// Makes the rows of a chassis and its tunnels, with the `csum` of these: of others it is true, as ovn-sbctl has it.
pub fn put_chassis(
    edit: &mut Edit,
    name: &str,
    hostname: &str,
    encaps: &[(String, String)],
    has_checksums: bool,
) {
    let mut named = BTreeSet::new();
    for (kind, ip) in encaps {
        // The first has the name of old.
        let uuid = match named.is_empty() {
            true => names::southbound(Table::Encap, name),
            false => names::southbound(Table::Encap, (name, kind)),
        };
        let options = BTreeMap::from([("csum".to_owned(), has_checksums.to_string())]);
        edit.put(uuid, Encap { chassis_name: name.to_owned(), ip: ip.clone(), options, kind: kind.clone() });
        named.insert(uuid);
    }
    let row =
        Chassis { encaps: named, hostname: hostname.to_owned(), name: name.to_owned(), ..Chassis::default() };
    edit.put(names::southbound(Table::Chassis, name), row);
}
