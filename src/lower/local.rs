//! Which ports and datapaths concern this chassis: datapaths with a port that is bound here, and all that patch ports
//! lead to from them.
//!
//! The invariant: after [`Local::settle`] the datapaths are what [`Local::reach`] finds from the ports that [`Local::note`]
//! was told of.
//! Whoever changes a binding notes that port and those inside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::{Bindings, Host, Rebound, Tunnel};
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
    /// The port that it is inside of, and the VLAN that it has there.
    parent: Option<(Box<str>, u16)>,
    /// Its key, if it is how the physical network of its datapath is reached from here.
    wire: Option<u16>,
    /// The physical network that it leads to, and the VLAN that it has there.
    network: Option<(Box<str>, u16)>,
}

/// Where packets of a logical port come in and go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plug {
    /// The switch port.
    pub number: PortNo,
    /// The VLAN that it has there; none if it has all that is there.
    pub tag: Option<u16>,
}

/// Types of ports that are a switch port, or inside one.
const PLUGGED: [&str; 4] = ["", "localnet", "localport", "l2gateway"];
/// Types of ports that lead on from datapath to datapath.
const LEADING: [&str; 3] = ["patch", "l3gateway", "chassisredirect"];
/// Types of ports that are not served here yet.
const LATER: [&str; 4] = ["external", "remote", "virtual", "vtep"];

/// Why a port is no switch port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unplugged<'a> {
    /// Its type has none.
    #[error("ports of type \"{0}\" are not switch ports; bind one without a type, or leave it unbound")]
    Leading(&'a str),
    /// Its type is one that is not served.
    #[error("ports of type \"{0}\" are not served yet, so that it is not here; use one without a type")]
    Later(&'a str),
    /// Its type is none.
    #[error("its type \"{0}\" is unknown, so that it is not here; correct it, or leave it empty")]
    Unknown(&'a str),
    /// Nobody could tell it from its parent.
    #[error("it is inside \"{0}\" and has no tag, so that nothing finds it; give it one")]
    NoTag(&'a str),
    /// It names itself.
    #[error("it is inside itself, so that nothing finds it; name the port of a guest as its parent")]
    Itself,
    /// It names a port that is not there.
    #[error("it is inside \"{0}\", which is not there; add that port, or correct the name")]
    NoParent(&'a str),
    /// It names one that has nothing inside.
    #[error("it is inside \"{0}\", which has a type or a parent itself; name the port of a guest")]
    NoGuest(&'a str),
}

impl Unplugged<'_> {
    /// Whether it is the row that is wrong, wherever the port is.
    pub fn is_of_parent(&self) -> bool {
        matches!(self, Self::NoTag(_) | Self::Itself | Self::NoParent(_) | Self::NoGuest(_))
    }
}

/// The port that a port is inside of: a container's is that of its guest.
pub(super) fn parent(port: &PortBinding) -> Option<&str> {
    port.parent_port.as_deref().filter(|name| !name.is_empty() && port.kind.is_empty())
}

/// The physical network that a port leads to.
pub(super) fn network(port: &PortBinding) -> Option<&str> {
    port.options.get("network_name").map(String::as_str).filter(|_| port.kind == "localnet")
}

/// The logical port that is to be bound where this one is to be here, and the VLAN of this one there.
pub(super) fn socket<'a>(
    port: &'a PortBinding,
    store: &Store,
) -> Result<(&'a str, Option<u16>), Unplugged<'a>> {
    let kind = port.kind.as_str();
    if !PLUGGED.contains(&kind) {
        return Err(match kind {
            kind if LEADING.contains(&kind) => Unplugged::Leading(kind),
            kind if LATER.contains(&kind) => Unplugged::Later(kind),
            kind => Unplugged::Unknown(kind),
        });
    }
    let tag = port.tag.filter(|tag| *tag != 0);
    let Some(parent) = parent(port) else {
        let is_wire = matches!(kind, "localnet" | "l2gateway");
        return Ok((&port.logical_port, tag.filter(|_| is_wire)));
    };
    if parent == port.logical_port {
        return Err(Unplugged::Itself);
    }
    let tag = tag.ok_or(Unplugged::NoTag(parent))?;
    let (_, outer) = store.port(parent).ok_or(Unplugged::NoParent(parent))?;
    match outer.kind.is_empty() && self::parent(outer).is_none() {
        true => Ok((parent, Some(tag))),
        false => Err(Unplugged::NoGuest(parent)),
    }
}

/// Whether a logical port is here, where these are bound: its own name, or its parent's under a VLAN.
pub fn is_here(port: &PortBinding, store: &Store, is_bound: impl Fn(&str) -> bool) -> bool {
    socket(port, store).is_ok_and(|(name, _)| is_bound(name))
}

/// Why a switch port may not be this logical port.
pub fn unfit(port: &PortBinding, store: &Store) -> Option<String> {
    match socket(port, store) {
        Ok((name, _)) if name == port.logical_port => None,
        Ok((name, _)) => Some(format!("it is inside \"{name}\"; bind that one")),
        Err(unplugged) => Some(unplugged.to_string()),
    }
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
    /// The same by the VLAN that they have there.
    tagged: HashMap<(Box<str>, u16), BTreeSet<Box<str>>>,
    /// Ports by which physical networks are reached from here, by datapath.
    wires: HashMap<Uuid, BTreeSet<Box<str>>>,
    /// Ports that lead to physical networks, by those and by the VLAN that they have there.
    networks: BTreeMap<Box<str>, HashMap<u16, BTreeSet<Box<str>>>>,
    /// Datapaths of which those changed.
    rewired: Vec<Uuid>,
    datapaths: HashSet<Uuid>,
    /// Ports that lead somewhere, by the ports that they lead to.
    leading: HashMap<Box<str>, BTreeSet<Box<str>>>,
    /// Ports that came since the datapaths were found, and some that are no more.
    came: Vec<Box<str>>,
    /// Whether something went, so that they are to be found anew.
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
    /// The switch port of a logical port: its own, or of one inside another that of the other, under a VLAN; that of a
    /// physical network.
    pub(super) fn plug(&self, port: &PortBinding, store: &Store) -> Option<Plug> {
        let (name, tag) = socket(port, store).ok()?;
        let of_network = || self.host.mappings.get(network(port)?);
        Some(Plug { number: *self.ports.get(name).or_else(of_network)?, tag })
    }

    /// Whether a logical port is here: bound, or inside one that is.
    pub fn has(&self, port: &PortBinding, store: &Store) -> bool {
        is_here(port, store, |name| self.ports.contains_key(name))
    }

    /// How many switch ports are logical ports of some row.
    pub fn in_use(&self, store: &Store) -> usize {
        let is_port = |name: &&String| store.port(name).is_some_and(|(_, row)| unfit(row, store).is_none());
        self.ports.keys().filter(is_port).count()
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

    /// What this host is.
    pub fn host(&self) -> &Host {
        &self.bindings.host
    }

    /// How other chassis are reached.
    pub fn tunnel(&self) -> Option<Tunnel> {
        self.bindings.host.tunnel
    }

    /// The row of this chassis.
    pub fn chassis(&self) -> Option<Uuid> {
        self.chassis
    }

    /// The datapaths that are needed here.
    pub fn datapaths(&self) -> impl Iterator<Item = Uuid> {
        self.datapaths.iter().copied()
    }

    /// The ports that lead to a physical network.
    pub fn on_network(&self, name: &str) -> Vec<String> {
        let by_tag = self.networks.get(name).into_iter().flatten();
        by_tag.flat_map(|(_, ports)| ports).map(ToString::to_string).collect()
    }

    /// The same with a VLAN there.
    pub fn in_vlan<'a>(
        &self,
        network: &str,
        tag: u16,
        store: &'a Store,
    ) -> impl Iterator<Item = (Uuid, &'a PortBinding)> {
        let names = self.networks.get(network).and_then(|by_tag| by_tag.get(&tag)).into_iter().flatten();
        names.filter_map(|name| store.port(name)).map(|(uuid, row)| (uuid, &**row))
    }

    /// Whether a physical network is reached by a port.
    pub fn is_wire(&self, name: &str) -> bool {
        self.ports.get(name).is_some_and(|port| port.wire.is_some())
    }

    /// Looks up the row of this chassis; whether it is another one than before.
    pub fn find_chassis(&mut self, store: &Store) -> bool {
        let found: Option<(Uuid, &std::sync::Arc<Chassis>)> = store.chassis(&self.bindings.host.chassis);
        let found = found.map(|(uuid, _)| uuid);
        std::mem::replace(&mut self.chassis, found) != found
    }

    /// The switch port of a logical port.
    pub fn bound(&self, name: &str) -> Option<PortNo> {
        self.bindings.ports.get(name).copied()
    }

    /// See [`Bindings::plug`].
    pub fn plug(&self, port: &PortBinding, store: &Store) -> Option<Plug> {
        self.bindings.plug(port, store)
    }

    /// The port that has a VLAN inside a port: of several the one with the lowest uuid, whose flows prevail.
    pub fn tagged<'a>(&self, parent: &str, tag: u16, store: &'a Store) -> Option<(Uuid, &'a PortBinding)> {
        let names = self.tagged.get(&(parent.into(), tag))?;
        let rows = names.iter().filter_map(|name| store.port(name));
        rows.min_by_key(|(uuid, _)| *uuid).map(|(uuid, row)| (uuid, &**row))
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
    pub fn is_resident(&self, port: &PortBinding, store: &Store) -> bool {
        match port.kind.as_str() {
            "l3gateway" => {
                port.options.get("l3gateway-chassis").is_some_and(|name| *name == self.bindings.host.chassis)
            }
            "chassisredirect" => self.chassis.is_some() && port.chassis == self.chassis,
            _ => self.plug(port, store).is_some(),
        }
    }

    /// Whether flows that are only about a port are needed here.
    pub fn is_related(&self, port: &PortBinding, store: &Store) -> bool {
        match port.kind.as_str() {
            "" | "l2gateway" | "external" | "virtual" => self.plug(port, store).is_some(),
            _ => true,
        }
    }

    /// Whether the datapaths are those that are found from the beginning.
    #[cfg(test)]
    pub fn is_settled(&self) -> bool {
        let mut all = HashSet::new();
        self.reach(self.roots.keys().copied().collect(), &mut all);
        self.datapaths == all
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
            let is_gateway = port.kind == "l3gateway" && self.is_resident(port, store);
            let is_root = match port.kind.as_str() {
                "patch" | "localnet" | "localport" => false,
                "chassisredirect" => self.is_resident(port, store) || self.may_host(port, store),
                _ => self.is_resident(port, store),
            };
            let leads_on = port.kind == "patch" && !self.is_redirected(port, store) || is_gateway;
            let peer = port.options.get("peer").filter(|_| leads_on);
            let peer = peer.map(|peer| peer.as_str().into());
            let is_peer = port.options.contains_key("peer");
            let parent = parent(port).map(|name| (name.into(), port.tag.unwrap_or(0)));
            let is_wire = port.kind == "localnet" && self.plug(port, store).is_some();
            let wire = is_wire.then_some(port.tunnel_key);
            let network = network(port).map(|name| (name.into(), port.tag.unwrap_or(0)));
            Contribution { datapath: port.datapath, is_root, peer, is_peer, parent, wire, network }
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
            self.is_stale |= old.is_peer || self.leading.contains_key(name);
            if let Some(peer) = &old.peer {
                take_out(&mut self.patches, &old.datapath, name);
                take_out(&mut self.leading, peer, name);
            }
            if let Some(place) = &old.parent {
                take_out(&mut self.nested, &place.0, name);
                take_out(&mut self.tagged, place, name);
            }
            if let Some((network, tag)) = &old.network
                && let Some(by_tag) = self.networks.get_mut(network)
            {
                take_out(by_tag, tag, name);
                if by_tag.is_empty() {
                    self.networks.remove(network);
                }
            }
            if old.wire.is_some() {
                take_out(&mut self.wires, &old.datapath, name);
                self.rewired.push(old.datapath);
            }
        }
        if let Some(new) = contribution {
            if new.is_root {
                *self.roots.entry(new.datapath).or_default() += 1;
            }
            // A port leads to its datapath from its peer, whether or not it leads on.
            if new.is_root || new.is_peer || self.leading.contains_key(name) {
                self.came.push(name.into());
            }
            if let Some(peer) = &new.peer {
                self.patches.entry(new.datapath).or_default().insert(name.into());
                self.leading.entry(peer.clone()).or_default().insert(name.into());
            }
            if let Some(place) = &new.parent {
                self.nested.entry(place.0.clone()).or_default().insert(name.into());
                self.tagged.entry(place.clone()).or_default().insert(name.into());
            }
            if let Some((network, tag)) = &new.network {
                let by_tag = self.networks.entry(network.clone()).or_default();
                by_tag.entry(*tag).or_default().insert(name.into());
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
                && !self.is_resident(gateway, store)
        })
    }

    /// Brings the local datapaths up to date and says which ones came or went.
    pub fn settle(&mut self) -> Vec<Uuid> {
        let came = std::mem::take(&mut self.came);
        if !std::mem::take(&mut self.is_stale) {
            return self.grow(&came);
        }
        let mut now = HashSet::new();
        self.reach(self.roots.keys().copied().collect(), &mut now);
        let changed = self.datapaths.symmetric_difference(&now).copied().collect();
        self.datapaths = now;
        changed
    }

    /// The datapaths that are needed because of ports that came.
    fn grow(&mut self, came: &[Box<str>]) -> Vec<Uuid> {
        let ports = came.iter().filter_map(|name| Some((name, self.ports.get(name)?)));
        let mut open = Vec::new();
        for (name, port) in ports {
            let is_reached = |port: &Contribution| self.datapaths.contains(&port.datapath);
            let mut leading = self.leading.get(name).into_iter().flatten();
            if port.is_root || leading.any(|from| self.ports.get(from).is_some_and(is_reached)) {
                open.push(port.datapath);
            }
            if is_reached(port) {
                open.extend(
                    port.peer.as_ref().and_then(|peer| self.ports.get(peer)).map(|peer| peer.datapath),
                );
            }
        }
        let mut now = std::mem::take(&mut self.datapaths);
        let came = self.reach(open, &mut now);
        self.datapaths = now;
        came
    }

    /// Adds datapaths and all that patch ports lead to from them, and gives those that were not there.
    fn reach(&self, open: Vec<Uuid>, reached: &mut HashSet<Uuid>) -> Vec<Uuid> {
        let mut found: Vec<Uuid> = open.into_iter().filter(|datapath| reached.insert(*datapath)).collect();
        let mut at = 0;
        while let Some(datapath) = found.get(at) {
            at += 1;
            let patches = self.patches.get(datapath).into_iter().flatten();
            let peers = patches.filter_map(|name| self.ports.get(name)?.peer.as_ref());
            let next = peers.filter_map(|peer| self.ports.get(peer)).map(|port| port.datapath);
            let next: Vec<Uuid> = next.filter(|datapath| reached.insert(*datapath)).collect();
            found.extend(next);
        }
        found
    }
}
