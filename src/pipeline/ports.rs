//! What the pipeline knows of the ports: numbers, places, and who takes part in a flood.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::changes::What;
use crate::packet::{PortNo, PortRef};

/// A port as translation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortView {
    /// OpenFlow number.
    pub number: PortNo,
    /// Name, unique.
    pub name: Arc<str>,
    /// Slot and generation.
    pub at: PortRef,
    /// Left out of `flood`.
    pub no_flood: bool,
}

/// The ports, by number. A change makes a new set (ports are few and change seldom).
#[derive(Clone, Debug, Default)]
pub struct Ports {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    list: Vec<PortView>,
    /// The one that tunnels lead to.
    tunnel: Option<PortNo>,
    by_number: HashMap<PortNo, u32>,
}

impl Ports {
    /// A set of these ports. Where two have one number the later counts.
    pub fn new(list: Vec<PortView>) -> Self {
        Self::with_tunnel(list, None)
    }

    /// The same, of which one is where tunnels begin and end: what goes out by it says itself to whom.
    pub fn with_tunnel(mut list: Vec<PortView>, tunnel: Option<PortNo>) -> Self {
        list.sort_by_key(|port| port.number);
        let by_number = list.iter().zip(0..).map(|(port, index)| (port.number, index)).collect();
        Self { inner: Arc::new(Inner { list, tunnel, by_number }) }
    }

    /// All, in the order of their numbers.
    pub fn iter(&self) -> std::slice::Iter<'_, PortView> {
        self.inner.list.iter()
    }

    /// The port of that number.
    #[inline]
    pub fn get(&self, number: PortNo) -> Option<&PortView> {
        self.inner.list.get(*self.inner.by_number.get(&number)? as usize)
    }

    /// The port where tunnels begin and end.
    #[inline]
    pub fn tunnel(&self) -> Option<PortNo> {
        self.inner.tunnel
    }

    /// The port of that name.
    pub fn by_name(&self, name: &str) -> Option<&PortView> {
        self.inner.list.iter().find(|port| &*port.name == name)
    }

    /// What differs from other ports for a packet; names do not count.
    pub(super) fn changes_since(&self, before: &Ports) -> Option<What> {
        if Arc::ptr_eq(&self.inner, &before.inner) {
            return None;
        }
        let at = |ports: &Ports, number| {
            ports.get(number).map(|port| (port.at, port.no_flood, ports.tunnel() == Some(number)))
        };
        let all = self.iter().chain(before.iter()).map(|port| port.number);
        let differ: BTreeSet<_> = all.filter(|number| at(self, *number) != at(before, *number)).collect();
        What::of_ports(differ)
    }
}
