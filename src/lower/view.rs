//! What names in a match or an action mean in one datapath, and a note of everything that was asked.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::local::Local;
use crate::logical::names::{AddressSet, Names, PortGroup};
use crate::logical::rows::tables::{self, PortBinding};
use crate::logical::rows::{Store, Uuid};
use crate::packet::Field;

/// Something by which a row was lowered and which is no part of the row: when it changes, what it was asked for is
/// lowered anew.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Ref {
    /// An address set.
    Set(Box<str>),
    /// A port group, by the name of its row.
    Group(Box<str>),
    /// A logical port or the lack of it: its key, its binding, where it is.
    Port(Box<str>),
    /// A multicast group of a datapath.
    Multicast(Uuid, Box<str>),
    /// Whether a datapath is here, its key and its zones.
    Datapath(Uuid),
    /// Which ports have a VLAN inside a port, or in a physical network.
    Inside(Box<str>, u16),
    /// By which port the physical network of a datapath is reached.
    Wire(Uuid),
    /// A datapath by its key.
    Key(u32),
    /// The options that DHCP actions may name.
    Options,
}

/// What one unit refers to.
pub(super) type Refs = SmallVec<[Ref; 2]>;

/// What names were found to mean; an entry goes when its row changes.
#[derive(Default)]
pub(super) struct Kept {
    /// Address sets in the form in which expressions take them.
    pub sets: RefCell<HashMap<Box<str>, Arc<AddressSet>>>,
    /// Ports, and names that no port has. Rows have no hash of their names.
    pub ports: RefCell<HashMap<Box<str>, Option<Arc<PortBinding>>, foldhash::fast::FixedState>>,
}

/// A logical datapath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Datapath {
    pub uuid: Uuid,
    pub key: u32,
}

/// The rows and bindings as one datapath sees them.
pub(super) struct View<'a> {
    pub store: &'a Store,
    pub local: &'a Local,
    pub kept: &'a Kept,
    pub datapath: Datapath,
    /// The field with the port that a packet is at, in the half of a switch that is looked at. Packets are there at ports of
    /// this chassis only.
    pub own_port: Option<Field>,
    refs: RefCell<Refs>,
}

impl<'a> View<'a> {
    pub fn new(store: &'a Store, local: &'a Local, kept: &'a Kept, datapath: Datapath) -> Self {
        Self { store, local, kept, datapath, own_port: None, refs: RefCell::default() }
    }

    /// What was asked for up to now, each once.
    pub fn into_refs(self) -> Refs {
        let mut refs = self.refs.into_inner();
        refs.sort_unstable();
        refs.dedup();
        refs
    }

    /// How often something was asked for up to now.
    pub fn asked(&self) -> usize {
        self.refs.borrow().len()
    }

    /// What was asked for after the first so many times.
    pub fn asked_since(&self, before: usize) -> Refs {
        self.refs.borrow().get(before..).unwrap_or_default().iter().cloned().collect()
    }

    /// Whether a port group was asked for.
    pub fn asked_group(&self) -> bool {
        self.refs.borrow().iter().any(|asked| matches!(asked, Ref::Group(_)))
    }

    pub fn refer(&self, to: Ref) {
        self.refs.borrow_mut().push(to);
    }

    fn port(&self, name: &str) -> Option<Arc<PortBinding>> {
        if let Some(port) = self.kept.ports.borrow().get(name) {
            return port.clone();
        }
        let port = self.store.port(name).map(|(_, port)| Arc::clone(port));
        self.kept.ports.borrow_mut().insert(name.into(), port.clone());
        port
    }

    /// The key of a port of this datapath, if flows about it are needed here.
    pub fn related_key(&self, name: &str) -> Option<u32> {
        self.refer(Ref::Port(name.into()));
        let port = self.port(name)?;
        (port.datapath == self.datapath.uuid && self.local.is_related(&port, self.store))
            .then(|| port.tunnel_key.into())
    }
}

impl Names for View<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.refer(Ref::Set(name.into()));
        if let Some(set) = self.kept.sets.borrow().get(name) {
            return Some(Arc::clone(set));
        }
        let (_, row) = self.store.address_set(name)?;
        let set = Arc::new(AddressSet::new(name, row.addresses.iter().map(String::as_str)));
        self.kept.sets.borrow_mut().insert(name.into(), Arc::clone(&set));
        Some(set)
    }

    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>> {
        let qualified = format!("{}_{name}", self.datapath.key);
        let found = |name: &str| -> Option<Arc<tables::PortGroup>> {
            self.refer(Ref::Group(name.into()));
            self.store.port_group(name).map(|(_, row)| Arc::clone(row))
        };
        let row = found(&qualified).or_else(|| found(name))?;
        Some(Arc::new(PortGroup::new(&row.name, row.ports.iter().map(String::as_str))))
    }

    fn port_key(&self, name: &str) -> Option<u32> {
        if matches!(name, "" | "none") {
            return Some(0);
        }
        self.refer(Ref::Port(name.into()));
        if let Some(port) = self.port(name) {
            return (port.datapath == self.datapath.uuid).then(|| port.tunnel_key.into());
        }
        self.refer(Ref::Multicast(self.datapath.uuid, name.into()));
        let (_, group) = self.store.multicast_group(self.datapath.uuid, name)?;
        Some(group.tunnel_key.into())
    }

    fn is_chassis_resident(&self, name: &str) -> bool {
        self.refer(Ref::Port(name.into()));
        self.port(name).is_some_and(|port| self.local.is_resident(&port, self.store))
    }
}
