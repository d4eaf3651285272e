//! Which ports and datapaths concern this chassis: datapaths with a port that is bound here, and all that patch ports
//! lead to from them.
//!
//! The invariant: [`Local::datapaths`] is what [`Local::reach`] finds from the ports that [`Local::note`] was told of.
//! Whoever changes a binding notes that port and those inside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::{Bindings, Rebound};
use crate::logical::rows::tables::{Chassis, HaChassis, HaChassisGroup, PortBinding};
use crate::logical::rows::{Store, Uuid};
use crate::packet::PortNo;

/// What a port contributes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contribution {
    datapath: Uuid,
    /// Whether the datapath is needed because of it.
    is_root: bool,
    /// Name of the port that it leads to.
    peer: Option<Box<str>>,
    /// Whether another port may lead to it.
    is_peer: bool,
    /// The port that it is inside of.
    parent: Option<Box<str>>,
    /// Its key, if it is how the physical network of its datapath is reached from here.
    wire: Option<u16>,
}

/// Where packets of a logical port come in and go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plug {
    /// The switch port.
    pub number: PortNo,
    /// The VLAN that it has there; none if it has all that is there.
    pub tag: Option<u16>,
}

/// The port that a port is inside of: a container's is that of its guest.
pub(super) fn parent(port: &PortBinding) -> Option<&str> {
    port.parent_port.as_deref().filter(|name| !name.is_empty())
}

/// What concerns this chassis.
#[derive(Default)]
pub(super) struct Local {
    bindings: Bindings,
    /// The row of this chassis.
    chassis: Option<Uuid>,
    ports: BTreeMap<Box<str>, Contribution>,
    /// Number of ports by which a datapath is needed.
    roots: HashMap<Uuid, usize>,
    /// Patch ports by datapath.
    patches: HashMap<Uuid, BTreeSet<Box<str>>>,
    /// Ports inside others, by those.
    nested: HashMap<Box<str>, BTreeSet<Box<str>>>,
    /// Ports by which physical networks are reached from here, by datapath.
    wires: HashMap<Uuid, BTreeSet<Box<str>>>,
    /// Datapaths of which those changed.
    rewired: Vec<Uuid>,
    datapaths: HashSet<Uuid>,
    is_stale: bool,
}

/// Takes a name out of a set, and the set if that leaves it empty.
fn take_out<K: Eq + Hash>(sets: &mut HashMap<K, BTreeSet<Box<str>>>, key: &K, name: &str) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(name);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

impl Bindings {
    /// The switch port of a logical port: its own, or of one inside another that of the other, under a VLAN.
    pub(super) fn plug(&self, port: &PortBinding) -> Option<Plug> {
        let tag = port.tag.filter(|tag| *tag != 0);
        if let Some(parent) = parent(port) {
            return Some(Plug { number: *self.ports.get(parent)?, tag: Some(tag?) });
        }
        let is_wire = matches!(port.kind.as_str(), "localnet" | "l2gateway");
        Some(Plug { number: *self.ports.get(&port.logical_port)?, tag: tag.filter(|_| is_wire) })
    }

    /// Whether a logical port is here: bound, or inside one that is.
    pub fn has(&self, port: &PortBinding) -> bool {
        self.plug(port).is_some()
    }
}

impl Local {
    /// Which switch ports are which logical ports.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Takes over other bindings.
    pub fn bind(&mut self, rebound: &Rebound) {
        self.bindings.change(rebound);
    }

    /// Name of this chassis.
    pub fn chassis_name(&self) -> &str {
        &self.bindings.chassis
    }

    /// Looks up the row of this chassis; whether it is another one than before.
    pub fn find_chassis(&mut self, store: &Store) -> bool {
        let found: Option<(Uuid, &std::sync::Arc<Chassis>)> = store.chassis(&self.bindings.chassis);
        let found = found.map(|(uuid, _)| uuid);
        std::mem::replace(&mut self.chassis, found) != found
    }

    /// The switch port of a logical port.
    pub fn bound(&self, name: &str) -> Option<PortNo> {
        self.bindings.ports.get(name).copied()
    }

    /// See [`Bindings::plug`].
    pub fn plug(&self, port: &PortBinding) -> Option<Plug> {
        self.bindings.plug(port)
    }

    /// The ports inside a port.
    pub fn nested_in(&self, name: &str) -> Vec<String> {
        self.nested.get(name).into_iter().flatten().map(ToString::to_string).collect()
    }

    /// Whether a port is inside another that is bound here.
    pub fn is_nested_here(&self, name: &str) -> bool {
        self.ports.get(name).is_some_and(|port| port.parent.is_some() && port.is_root)
    }

    /// The port by which the physical network of a datapath is reached from here; the first by name of several.
    pub fn wire(&self, datapath: Uuid) -> Option<&str> {
        self.wires.get(&datapath)?.first().map(|name| &**name)
    }

    /// Datapaths that are or were reached by another such port since the last time.
    pub fn rewired(&mut self) -> Vec<Uuid> {
        std::mem::take(&mut self.rewired)
    }

    /// Whether a port is on this chassis: bound here, or a gateway that the rows place here.
    pub fn is_resident(&self, port: &PortBinding) -> bool {
        match port.kind.as_str() {
            "l3gateway" => {
                port.options.get("l3gateway-chassis").is_some_and(|name| *name == self.bindings.chassis)
            }
            "chassisredirect" => self.chassis.is_some() && port.chassis == self.chassis,
            _ => self.plug(port).is_some(),
        }
    }

    /// Whether flows that are only about a port are needed here.
    pub fn is_related(&self, port: &PortBinding) -> bool {
        match port.kind.as_str() {
            "" | "l2gateway" | "external" | "virtual" => self.plug(port).is_some(),
            _ => true,
        }
    }

    /// Whether a datapath is needed here.
    pub fn has(&self, datapath: Uuid) -> bool {
        self.datapaths.contains(&datapath)
    }

    /// Whether this chassis may become the gateway of a port: then it must be ready.
    fn may_host(&self, port: &PortBinding, store: &Store) -> bool {
        let members = |group: Uuid| {
            let group = store.get::<HaChassisGroup>(group).into_iter();
            group.flat_map(|group| group.ha_chassis.iter()).filter_map(|row| store.get::<HaChassis>(*row))
        };
        self.chassis.is_some()
            && port
                .ha_chassis_group
                .is_some_and(|group| members(group).any(|member| member.chassis == self.chassis))
    }

    /// Notes a port as it is now, or that it is gone.
    pub fn note(&mut self, name: &str, store: &Store) {
        let contribution = store.port(name).map(|(_, port)| {
            let is_gateway = port.kind == "l3gateway" && self.is_resident(port);
            let is_root = match port.kind.as_str() {
                "patch" | "localnet" | "localport" => false,
                "chassisredirect" => self.is_resident(port) || self.may_host(port, store),
                _ => self.is_resident(port),
            };
            let leads_on = port.kind == "patch" && !self.is_redirected(port, store) || is_gateway;
            let peer = port.options.get("peer").filter(|_| leads_on);
            let peer = peer.map(|peer| peer.as_str().into());
            let is_peer = port.options.contains_key("peer");
            let parent = parent(port).map(Box::from);
            let is_wire = port.kind == "localnet" && self.plug(port).is_some();
            let wire = is_wire.then_some(port.tunnel_key);
            Contribution { datapath: port.datapath, is_root, peer, is_peer, parent, wire }
        });
        if self.ports.get(name) == contribution.as_ref() {
            return;
        }
        if let Some(old) = self.ports.remove(name) {
            if old.is_root
                && let Some(count) = self.roots.get_mut(&old.datapath)
            {
                *count -= 1;
                if *count == 0 {
                    self.roots.remove(&old.datapath);
                    self.is_stale = true;
                }
            }
            self.is_stale |= old.is_peer;
            if let Some(patches) = self.patches.get_mut(&old.datapath) {
                patches.remove(name);
            }
            if let Some(parent) = &old.parent {
                take_out(&mut self.nested, parent, name);
            }
            if old.wire.is_some() {
                take_out(&mut self.wires, &old.datapath, name);
                self.rewired.push(old.datapath);
            }
        }
        if let Some(new) = contribution {
            if new.is_root {
                let count = self.roots.entry(new.datapath).or_default();
                *count += 1;
                self.is_stale |= *count == 1;
            }
            // A port leads to its datapath from its peer, whether or not it leads on.
            self.is_stale |= new.is_peer;
            if new.peer.is_some() {
                self.patches.entry(new.datapath).or_default().insert(name.into());
            }
            if let Some(parent) = &new.parent {
                self.nested.entry(parent.clone()).or_default().insert(name.into());
            }
            if new.wire.is_some() {
                self.wires.entry(new.datapath).or_default().insert(name.into());
                self.rewired.push(new.datapath);
            }
            self.ports.insert(name.into(), new);
        }
    }

    /// Whether all that leaves by a router's gateway port goes by another chassis.
    fn is_redirected(&self, port: &PortBinding, store: &Store) -> bool {
        let gateway = port.options.get("chassis-redirect-port").and_then(|name| store.port(name));
        gateway.is_some_and(|(_, gateway)| {
            gateway.options.get("always-redirect").is_some_and(|text| text == "true")
                && !self.is_resident(gateway)
        })
    }

    /// Brings the local datapaths up to date and says which ones came or went.
    pub fn settle(&mut self) -> Vec<Uuid> {
        if !std::mem::take(&mut self.is_stale) {
            return Vec::new();
        }
        let now = self.reach();
        let changed = self.datapaths.symmetric_difference(&now).copied().collect();
        self.datapaths = now;
        changed
    }

    fn reach(&self) -> HashSet<Uuid> {
        let mut reached: HashSet<Uuid> = self.roots.keys().copied().collect();
        let mut open: Vec<Uuid> = reached.iter().copied().collect();
        while let Some(datapath) = open.pop() {
            let patches = self.patches.get(&datapath).into_iter().flatten();
            let peers = patches.filter_map(|name| self.ports.get(name)?.peer.as_ref());
            for next in peers.filter_map(|peer| self.ports.get(peer)) {
                if reached.insert(next.datapath) {
                    open.push(next.datapath);
                }
            }
        }
        reached
    }
}
