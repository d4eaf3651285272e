//! Connection-tracking zones: one for each bound port and two for each local datapath.
//!
//! The invariant: a number belongs to one name at a time, and a name keeps its number as long as it is needed; whoever
//! wants it kept over a restart saves [`Zones::iter`].

use std::collections::{BTreeMap, BTreeSet};

/// Zones by name: a port's name, or a datapath's uuid with `_dnat` or `_snat`, as `ct-zone-list` shows them.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    by_name: BTreeMap<String, u16>,
    taken: BTreeSet<u16>,
    /// All below this are taken.
    full_below: u16,
}

/// By what is given out and not by where the search for more begins.
impl PartialEq for Zones {
    fn eq(&self, other: &Self) -> bool {
        self.by_name == other.by_name
    }
}

impl Eq for Zones {}

impl Zones {
    /// The zones of before; a number that is 0 or given twice is assigned anew.
    pub fn restored<'a>(zones: impl IntoIterator<Item = (&'a str, u16)>) -> Self {
        let mut all = Self::default();
        for (name, zone) in zones {
            if zone != 0 && !all.by_name.contains_key(name) && all.taken.insert(zone) {
                all.by_name.insert(name.to_owned(), zone);
            }
        }
        all
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.by_name.iter().map(|(name, zone)| (name.as_str(), *zone))
    }

    /// The zone of a name; 0 if it has none.
    pub fn get(&self, name: &str) -> u16 {
        self.by_name.get(name).copied().unwrap_or(0)
    }

    /// Gives a name the lowest zone that is free, unless it has one. There may be none left; then it has 0, which is
    /// shared.
    pub(super) fn need(&mut self, name: String) {
        if self.by_name.contains_key(&name) {
            return;
        }
        let mut free = self.full_below.max(1);
        while self.taken.contains(&free) && free < u16::MAX {
            free += 1;
        }
        self.full_below = free;
        if self.taken.insert(free) {
            self.by_name.insert(name, free);
        }
    }

    /// Gives a zone back.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(zone) = self.by_name.remove(name) {
            self.taken.remove(&zone);
            self.full_below = self.full_below.min(zone);
        }
    }
}
