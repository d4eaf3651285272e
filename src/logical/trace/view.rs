//! The rows as one datapath sees them: what names in matches and actions stand for, and how they are shown.
//!
//! ovn-trace knows no chassis, so every port that exists counts as resident.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::logical::lex::{Kind, Lexer, Quoted};
use crate::logical::names::{AddressSet, Names, PortGroup};
use crate::logical::rows::tables::{DatapathBinding, MulticastGroup, PortBinding};
use crate::logical::rows::{Store, Uuid, tables};
use crate::packet::Mac;

/// Length of a UUID as text.
const UUID_LENGTH: usize = 36;
/// Digits of a UUID that a friendly name keeps.
const SHORT_UUID: usize = 6;
/// Fewest digits of a UUID that may stand for it.
const FEWEST_DIGITS: usize = 4;

/// What names have been found to stand for. Sets and groups are in the form in which expressions take them.
#[derive(Default)]
pub(super) struct Found {
    addresses: RefCell<HashMap<String, Option<Arc<AddressSet>>>>,
    ports: RefCell<HashMap<String, Option<Arc<PortGroup>>>>,
    /// Keys of ports by datapath, which every look at every flow asks for.
    keys: RefCell<HashMap<Uuid, HashMap<String, Option<u32>>>>,
}

/// A logical datapath.
#[derive(Clone, Copy)]
pub(super) struct Datapath<'s> {
    pub uuid: Uuid,
    pub row: &'s DatapathBinding,
}

impl<'s> Datapath<'s> {
    /// The datapath with that name.
    pub fn of(store: &'s Store, uuid: Uuid) -> Option<Self> {
        store.get::<DatapathBinding>(uuid).map(|row| Self { uuid, row })
    }

    /// Its UUID in the Northbound database, or its own.
    fn northbound(&self) -> Uuid {
        let ids = &self.row.external_ids;
        let id = |key: &str| ids.get(key).and_then(|text: &String| text.parse().ok());
        id("logical-switch").or_else(|| id("logical-router")).unwrap_or(self.uuid)
    }

    /// Its name as it is shown.
    pub fn shown(&self, friendly: bool) -> String {
        let ids = &self.row.external_ids;
        let name = ids.get("name2").or_else(|| ids.get("name"));
        match name {
            Some(name) if friendly => shorten(name).to_owned(),
            None if friendly => shorten(&self.northbound().to_string()).to_owned(),
            _ => self.northbound().to_string(),
        }
    }

    /// The one datapath whose Northbound UUID begins with a text.
    pub fn by_northbound(store: &'s Store, text: &str) -> Option<Self> {
        if text.len() < FEWEST_DIGITS {
            return None;
        }
        let all = store.iter::<DatapathBinding>().map(|(uuid, row)| Self { uuid, row });
        only(all.filter(|datapath| datapath.northbound().begins_with(text)))
    }
}

/// What an iterator gives, if it gives exactly one thing.
fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    if all.next().is_some() { None } else { first }
}

/// A text that ends in a UUID is cut to the UUID's first digits.
fn shorten(text: &str) -> &str {
    let start = text.len().saturating_sub(UUID_LENGTH);
    let ends_in_uuid = text.get(start..).is_some_and(|end| end.parse::<Uuid>().is_ok());
    if ends_in_uuid { text.get(..start + SHORT_UUID).unwrap_or(text) } else { text }
}

/// A port's name as it is shown.
pub(super) fn shown_port(port: &PortBinding, friendly: bool) -> &str {
    if !friendly {
        return &port.logical_port;
    }
    shorten(port.external_ids.get("name").unwrap_or(&port.logical_port))
}

/// A match or an action with the names of ports replaced by friendly ones.
pub(super) fn with_friendly_names(store: &Store, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lexer = Lexer::new(text);
    let mut end = 0;
    loop {
        let token = lexer.token();
        let port = match &token.kind {
            Kind::End => return out,
            Kind::Str(name) => store.port(name).map(|(_, port)| port),
            _ => None,
        };
        // Blanks in front belong to the token.
        match port {
            Some(port) => {
                out.push_str(text.get(end..token.span.start).unwrap_or_default());
                out.push_str(&Quoted(shown_port(port, true)).to_string());
            }
            None => out.push_str(text.get(end..token.span.end).unwrap_or_default()),
        }
        end = token.span.end;
    }
}

/// The names of a datapath.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    pub store: &'s Store,
    pub found: &'s Found,
    pub datapath: Datapath<'s>,
    /// Whether a user may name a port by its friendly name or by its UUID.
    pub by_user: bool,
}

impl<'s> View<'s> {
    /// The port with a key.
    pub fn port(&self, key: u16) -> Option<&'s PortBinding> {
        self.store.port_by_key(self.datapath.uuid, key).map(|(_, port)| &**port)
    }

    /// The multicast group with a key.
    pub fn group(&self, key: u16) -> Option<&'s MulticastGroup> {
        self.store.multicast_group_by_key(self.datapath.uuid, key).map(|(_, group)| &**group)
    }

    /// Where an Ethernet address was learned.
    pub fn learned_at(&self, mac: Mac) -> Option<u32> {
        self.store.fdb(self.datapath.row.tunnel_key, mac).map(|(_, row)| row.port_key)
    }

    fn own_key(&self, port: &PortBinding) -> Option<u32> {
        // A port of another datapath, such as a port group may have, is none here.
        (port.datapath == self.datapath.uuid).then(|| port.tunnel_key.into())
    }

    /// The key of a port or multicast group.
    fn find_key(&self, name: &str) -> Option<u32> {
        match self.store.port(name) {
            Some((_, port)) => self.own_key(port),
            None => {
                let (_, group) = self.store.multicast_group(self.datapath.uuid, name)?;
                Some(group.tunnel_key.into())
            }
        }
    }

    /// The port that a user means: by its name, its friendly name, or its UUID.
    fn named_by_user(&self, name: &str) -> Option<&'s PortBinding> {
        let all = || self.store.iter::<PortBinding>();
        let is_named = |port: &PortBinding| port.external_ids.get("name").is_some_and(|own| own == name);
        if let Some((_, port)) = only(all().filter(|(_, port)| is_named(port))) {
            return Some(port);
        }
        if name.len() < FEWEST_DIGITS {
            return None;
        }
        let begins = |uuid: Uuid, port: &PortBinding| {
            uuid.begins_with(name) || port.logical_port.parse::<Uuid>().is_ok_and(|own| own.begins_with(name))
        };
        only(all().filter(|(uuid, port)| begins(*uuid, port))).map(|(_, port)| &**port)
    }
}

impl Names for View<'_> {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        let make = || {
            let (_, row) = self.store.address_set(name)?;
            Some(Arc::new(AddressSet::new(name, row.addresses.iter().map(String::as_str))))
        };
        let mut known = self.found.addresses.borrow_mut();
        known.entry(name.to_owned()).or_insert_with(make).clone()
    }

    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>> {
        let qualified = format!("{}_{name}", self.datapath.row.tunnel_key);
        let make = || {
            let (_, row): (_, &Arc<tables::PortGroup>) =
                self.store.port_group(&qualified).or_else(|| self.store.port_group(name))?;
            Some(Arc::new(PortGroup::new(&row.name, row.ports.iter().map(String::as_str))))
        };
        let mut known = self.found.ports.borrow_mut();
        known.entry(qualified.clone()).or_insert_with(make).clone()
    }

    fn port_key(&self, name: &str) -> Option<u32> {
        if matches!(name, "" | "none") {
            return Some(0);
        }
        let mut found = self.found.keys.borrow_mut();
        let keys = found.entry(self.datapath.uuid).or_default();
        let key = match keys.get(name) {
            Some(key) => *key,
            None => *keys.entry(name.to_owned()).or_insert(self.find_key(name)),
        };
        match key {
            None if self.by_user && self.store.port(name).is_none() => {
                self.own_key(self.named_by_user(name)?)
            }
            key => key,
        }
    }

    fn is_chassis_resident(&self, name: &str) -> bool {
        name.is_empty() || self.store.port(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_at_the_end_of_names_are_cut() {
        assert_eq!(shorten("web"), "web");
        assert_eq!(shorten("neutron-f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), "neutron-f81d4f");
        assert_eq!(shorten("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"), "f81d4f");
        assert_eq!(shorten("f81d4fae-7dec-11d0-a765-00a0c91e6bf6x"), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6x");
        assert_eq!(shorten("ééééééééééééééééééé"), "ééééééééééééééééééé");
    }
}
