//! What the names in a match stand for: address sets, port groups, ports.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::lex::{Kind, Lexer, Number, ones};

/// The constants behind `$name`, sorted and each once.
#[derive(Debug, PartialEq, Eq)]
pub struct AddressSet {
    name: String,
    members: Vec<Number>,
    /// The masks that occur.
    masks: Vec<u128>,
    width: u16,
}

impl AddressSet {
    /// The set of that name. As in OVN, a member that is no constant is left out.
    pub fn new<'a>(name: &str, members: impl IntoIterator<Item = &'a str>) -> Self {
        let number = |text: &'a str| match Lexer::new(text).token().kind {
            Kind::Number(number) => Some(number),
            _ => None,
        };
        let mut members: Vec<_> = members.into_iter().filter_map(number).collect();
        members.sort_unstable_by_key(|number| (number.value, number.mask, number.format as u8));
        members.dedup();
        let width = members.iter().map(Number::width).max().unwrap_or(0);
        let mut masks: Vec<_> = members.iter().filter_map(|number| number.mask).collect();
        masks.sort_unstable();
        masks.dedup();
        Self { name: name.to_owned(), members, masks, width }
    }

    /// Its name, without the dollar.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The constants.
    pub fn members(&self) -> &[Number] {
        &self.members
    }

    /// Whether a constant asks for none of the low `width` bits.
    pub fn has_everything(&self, width: u16) -> bool {
        self.masks.iter().any(|mask| mask & ones(width) == 0)
    }

    /// The width of the widest.
    pub fn width(&self) -> u16 {
        self.width
    }
}

/// The ports behind `@name`, sorted and each once.
#[derive(Debug, PartialEq, Eq)]
pub struct PortGroup {
    name: String,
    ports: Vec<String>,
}

impl PortGroup {
    /// The group of that name.
    pub fn new<'a>(name: &str, ports: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ports: Vec<_> = ports.into_iter().map(str::to_owned).collect();
        ports.sort_unstable();
        ports.dedup();
        Self { name: name.to_owned(), ports }
    }

    /// Its name, without the at sign, as it was found.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the ports.
    pub fn ports(&self) -> &[String] {
        &self.ports
    }
}

/// What names stand for, seen from one logical datapath.
pub trait Names {
    /// The address set of that name.
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>>;
    /// The port group that a match of this datapath calls `name`. Southbound rows are named by the datapath's key,
    /// an underscore and that name, or by the name alone if an older northd wrote them.
    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>>;
    /// The key of that port or multicast group of this datapath.
    fn port_key(&self, name: &str) -> Option<u32>;
    /// Whether this chassis has the port.
    fn is_chassis_resident(&self, name: &str) -> bool;
}

/// Names that were listed. All ports are resident unless some are said to be.
#[derive(Clone, Debug, Default)]
pub struct FixedNames {
    address_sets: HashMap<String, Arc<AddressSet>>,
    port_groups: HashMap<String, Arc<PortGroup>>,
    ports: HashMap<String, u32>,
    resident: Option<HashSet<String>>,
    datapath: u32,
}

impl FixedNames {
    /// No names at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an address set.
    pub fn add_address_set(&mut self, set: AddressSet) {
        self.address_sets.insert(set.name().to_owned(), Arc::new(set));
    }

    /// Adds a port group.
    pub fn add_port_group(&mut self, group: PortGroup) {
        self.port_groups.insert(group.name().to_owned(), Arc::new(group));
    }

    /// Adds a port or a multicast group.
    pub fn add_port(&mut self, name: &str, key: u32) {
        self.ports.insert(name.to_owned(), key);
    }

    /// Says that a port is resident, and that those of which it was not said are not.
    pub fn add_resident(&mut self, name: &str) {
        self.resident.get_or_insert_default().insert(name.to_owned());
    }

    /// Says which datapath the names are seen from, which decides what the short name of a port group means.
    pub fn set_datapath(&mut self, key: u32) {
        self.datapath = key;
    }
}

impl Names for FixedNames {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.address_sets.get(name).cloned()
    }

    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>> {
        let qualified = format!("{}_{name}", self.datapath);
        self.port_groups.get(&qualified).or_else(|| self.port_groups.get(name)).cloned()
    }

    fn port_key(&self, name: &str) -> Option<u32> {
        self.ports.get(name).copied()
    }

    fn is_chassis_resident(&self, name: &str) -> bool {
        self.resident.as_ref().is_none_or(|resident| resident.contains(name))
    }
}

/// No name stands for anything, and every port is resident.
impl Names for () {
    fn address_set(&self, _: &str) -> Option<Arc<AddressSet>> {
        None
    }

    fn port_group(&self, _: &str) -> Option<Arc<PortGroup>> {
        None
    }

    fn port_key(&self, _: &str) -> Option<u32> {
        None
    }

    fn is_chassis_resident(&self, _: &str) -> bool {
        true
    }
}
