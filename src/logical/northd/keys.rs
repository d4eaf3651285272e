//! Tunnel keys of datapaths and of the ports in them.
//!
//! The invariant: who has a key keeps it, and no two datapaths, and no two ports of a datapath, have the same. New ones
//! get what OVN gives: a datapath the lowest key that is free, a port the next above the highest in its datapath, and from
//! the beginning where that is the highest there can be. Who asks for a key gets it as soon as nobody has it who asked for
//! it too; one who merely has it gets another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::logical::rows::{AnyRow, Delta, Store, Table, Uuid};

/// The highest key of a datapath.
const DATAPATHS: u32 = (1 << 24) - 1;
/// The highest key of a port; above are multicast groups.
const PORTS: u32 = (1 << 15) - 1;

/// Keys of which no two are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Space {
    keys: BTreeMap<Uuid, u32>,
    holders: BTreeMap<u32, Uuid>,
    /// What rows ask for.
    wishes: BTreeMap<Uuid, u32>,
    wishers: BTreeMap<u32, BTreeSet<Uuid>>,
}

impl Space {
    /// A row asks for a key, or for none in particular. Rows that have another key than before are added to the changed.
    fn ask(&mut self, row: Uuid, key: Option<u32>, changed: &mut BTreeSet<Uuid>) {
        if self.wishes.get(&row).copied() == key {
            return;
        }
        if let Some(old) = self.wishes.remove(&row) {
            if let Some(wishers) = self.wishers.get_mut(&old) {
                wishers.remove(&row);
                if wishers.is_empty() {
                    self.wishers.remove(&old);
                }
            }
            self.settle(old, changed);
        }
        if let Some(key) = key {
            self.wishes.insert(row, key);
            self.wishers.entry(key).or_default().insert(row);
            self.settle(key, changed);
        }
    }

    /// Gives a key to one who asks for it, unless such a one has it.
    fn settle(&mut self, key: u32, changed: &mut BTreeSet<Uuid>) {
        let Some(wishers) = self.wishers.get(&key) else { return };
        let holder = self.holders.get(&key).copied();
        let Some(first) = wishers.first().copied() else { return };
        if holder.is_some_and(|holder| wishers.contains(&holder)) {
            return;
        }
        if let Some(holder) = holder {
            self.keys.remove(&holder);
            changed.insert(holder);
        }
        self.holders.insert(key, first);
        changed.insert(first);
        if let Some(old) = self.keys.insert(first, key) {
            self.holders.remove(&old);
            self.settle(old, changed);
        }
    }

    /// A row has the key again that it had before, unless there is a better claim to it.
    fn take_back(&mut self, row: Uuid, key: u32) {
        if !self.keys.contains_key(&row) && !self.holders.contains_key(&key) {
            self.keys.insert(row, key);
            self.holders.insert(key, row);
        }
    }

    /// The key of a row, which it gets if it has none.
    fn give(&mut self, row: Uuid, choose: fn(&BTreeMap<u32, Uuid>) -> Option<u32>) -> Option<u32> {
        if let Some(key) = self.keys.get(&row) {
            return Some(*key);
        }
        let key = choose(&self.holders)?;
        self.keys.insert(row, key);
        self.holders.insert(key, row);
        Some(key)
    }

    /// A row is gone.
    fn release(&mut self, row: Uuid, changed: &mut BTreeSet<Uuid>) {
        self.ask(row, None, changed);
        if let Some(key) = self.keys.remove(&row) {
            self.holders.remove(&key);
            self.settle(key, changed);
        }
        changed.remove(&row);
    }
}

impl Space {
    /// A row without a key gets that which another one gave up, if nobody else has it by now.
    fn inherit(&mut self, row: Uuid, key: u32) {
        if !self.keys.contains_key(&row) && !self.holders.contains_key(&key) {
            self.keys.insert(row, key);
            self.holders.insert(key, row);
        }
    }
}

/// The keys of everything. Datapaths and ports go by the names of their Southbound rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    datapaths: Space,
    /// By datapath.
    ports: BTreeMap<Uuid, Space>,
    datapath_of: HashMap<Uuid, Uuid>,
    changed: BTreeSet<Uuid>,
    /// What rows had before the start, until they are there again.
    remembered: BTreeMap<Uuid, u32>,
}

/// The keys that a change of Southbound rows gives, and none for those that are free again: what is to be kept for
/// [`Keys::remembering`].
pub fn given(delta: &Delta) -> Vec<(Uuid, Option<u32>)> {
    let key = |store: &Store, table, uuid| match store.row(table, uuid)? {
        AnyRow::DatapathBinding(row) => Some(row.tunnel_key),
        AnyRow::PortBinding(row) => Some(row.tunnel_key.into()),
        _ => None,
    };
    let is_keyed = |table| matches!(table, Table::DatapathBinding | Table::PortBinding);
    let changes = delta.changes.iter().filter(|change| is_keyed(change.table));
    let keys = changes.filter_map(|change| {
        let after = key(&delta.after, change.table, change.uuid);
        (after != key(&delta.before, change.table, change.uuid)).then_some((change.uuid, after))
    });
    keys.collect()
}

impl Keys {
    /// The keys that rows had before; others get them only where those are gone. All rows are to ask before any is given
    /// one.
    pub fn remembering(remembered: BTreeMap<Uuid, u32>) -> Self {
        Self { remembered, ..Self::default() }
    }

    /// Who has not asked by now has no right to what it had.
    pub fn forget_the_absent(&mut self) {
        self.remembered.clear();
    }

    /// A datapath asks for a key, or for none in particular.
    pub fn ask_for_datapath(&mut self, row: Uuid, key: Option<u32>) {
        let key = key.filter(|key| (1..=DATAPATHS).contains(key));
        self.datapaths.ask(row, key, &mut self.changed);
        if let Some(key) = self.remembered.remove(&row) {
            self.datapaths.take_back(row, key);
        }
    }

    /// A port asks for a key in its datapath, or for none in particular.
    pub fn ask_for_port(&mut self, row: Uuid, datapath: Uuid, key: Option<u16>) {
        if self.datapath_of.get(&row).is_some_and(|before| *before != datapath) {
            self.release_port(row);
        }
        self.datapath_of.insert(row, datapath);
        let key = key.map(u32::from).filter(|key| (1..=PORTS).contains(key));
        let space = self.ports.entry(datapath).or_default();
        space.ask(row, key, &mut self.changed);
        if let Some(key) = self.remembered.remove(&row) {
            space.take_back(row, key);
        }
    }

    /// Rows that ask for a key which another one has, with that key.
    pub fn refused(&self) -> impl Iterator<Item = (Uuid, u32)> {
        let spaces = [&self.datapaths].into_iter().chain(self.ports.values());
        spaces.flat_map(|space| {
            let wishes = space.wishes.iter().map(|(row, key)| (*row, *key));
            wishes.filter(|(row, key)| space.keys.get(row) != Some(key))
        })
    }

    /// The rows of others that got another key, or have none any more, since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<Uuid> {
        std::mem::take(&mut self.changed)
    }

    /// The key of a datapath, which it gets if it has none. None if all are taken.
    pub fn of_datapath(&mut self, row: Uuid) -> Option<u32> {
        self.datapaths.give(row, lowest_free)
    }

    /// The key that a datapath has.
    pub fn datapath(&self, row: Uuid) -> Option<u32> {
        self.datapaths.keys.get(&row).copied()
    }

    /// The key of a port that has asked, as with datapaths.
    pub fn of_port(&mut self, row: Uuid) -> Option<u16> {
        let datapath = self.datapath_of.get(&row)?;
        let key = self.ports.entry(*datapath).or_default().give(row, next_above)?;
        u16::try_from(key).ok()
    }

    /// A port that has asked gets the key that another one of its datapath gave up, unless it or somebody else has one by
    /// now.
    pub fn inherit(&mut self, row: Uuid, key: u16) {
        if let Some(space) = self.datapath_of.get(&row).and_then(|datapath| self.ports.get_mut(datapath)) {
            space.inherit(row, key.into());
        }
    }

    /// A datapath is gone.
    pub fn release_datapath(&mut self, row: Uuid) {
        self.datapaths.release(row, &mut self.changed);
    }

    /// A port is gone.
    pub fn release_port(&mut self, row: Uuid) {
        let Some(datapath) = self.datapath_of.remove(&row) else { return };
        if let Some(space) = self.ports.get_mut(&datapath) {
            space.release(row, &mut self.changed);
            if *space == Space::default() {
                self.ports.remove(&datapath);
            }
        }
    }
}

fn lowest_free(holders: &BTreeMap<u32, Uuid>) -> Option<u32> {
    let free = holders.keys().zip(1..).find(|(key, at)| *key != at).map(|(_, at)| at);
    let key = free.unwrap_or(holders.len() as u32 + 1);
    (key <= DATAPATHS).then_some(key)
}

fn next_above(holders: &BTreeMap<u32, Uuid>) -> Option<u32> {
    match holders.keys().next_back() {
        Some(&PORTS) => (1..=PORTS).find(|key| !holders.contains_key(key)),
        Some(last) => Some(last + 1),
        None => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datapaths() {
        let mut keys = Keys::default();
        let [a, b, c, d] = [1, 2, 3, 4].map(Uuid);
        assert_eq!([a, b, c].map(|row| keys.of_datapath(row)), [Some(1), Some(2), Some(3)]);
        keys.release_datapath(b);
        assert_eq!(keys.of_datapath(d), Some(2));
        assert_eq!(keys.of_datapath(b), Some(4));
        keys.ask_for_datapath(d, Some(1 << 24));
        keys.ask_for_datapath(d, Some(0));
        assert_eq!((keys.of_datapath(d), keys.take_changed()), (Some(2), [].into()));
    }

    #[test]
    fn who_asks_for_a_key() {
        let mut keys = Keys::default();
        let [a, b, c] = [1, 2, 3].map(Uuid);
        let datapath = Uuid(9);
        for row in [a, b, c] {
            keys.ask_for_port(row, datapath, None);
            keys.of_port(row);
        }
        // One who merely has it gets another,
        keys.ask_for_port(c, datapath, Some(1));
        assert_eq!(keys.take_changed(), [a, c].into());
        assert_eq!([a, b, c].map(|row| keys.of_port(row)), [Some(3), Some(2), Some(1)]);
        // but not one who asked for it too, until that one does not any more, or is gone.
        keys.ask_for_port(a, datapath, Some(1));
        assert_eq!((keys.of_port(a), keys.take_changed()), (Some(3), [].into()));
        keys.ask_for_port(c, datapath, None);
        assert_eq!(keys.take_changed(), [a, c].into());
        assert_eq!([a, b, c].map(|row| keys.of_port(row)), [Some(1), Some(2), Some(3)]);
        keys.ask_for_port(b, datapath, Some(1));
        keys.release_port(a);
        assert_eq!((keys.of_port(b), keys.take_changed()), (Some(1), [b].into()));
        // In another datapath all is free.
        keys.ask_for_port(b, Uuid(8), None);
        keys.ask_for_port(a, datapath, Some(1));
        assert_eq!((keys.of_port(b), keys.of_port(a)), (Some(1), Some(1)));
    }

    #[test]
    fn who_had_a_key_has_it_again() {
        let mut keys = Keys::remembering([(Uuid(1), 3), (Uuid(2), 1), (Uuid(3), 7), (Uuid(4), 2)].into());
        keys.ask_for_port(Uuid(5), Uuid(9), Some(2));
        for row in [1, 2, 4, 6] {
            keys.ask_for_port(Uuid(row), Uuid(9), None);
        }
        keys.forget_the_absent();
        assert_eq!([6, 1, 2, 4, 5].map(|row| keys.of_port(Uuid(row))), [4, 3, 1, 5, 2].map(Some));
    }

    #[test]
    fn who_inherits_a_key() {
        let mut keys = Keys::default();
        let [a, b, c] = [1, 2, 3].map(Uuid);
        for row in [a, b, c] {
            keys.ask_for_port(row, Uuid(9), None);
        }
        assert_eq!([a, b].map(|row| keys.of_port(row)), [Some(1), Some(2)]);
        keys.release_port(a);
        keys.inherit(c, 1);
        // Who has one keeps it, and what somebody has is not given away.
        keys.inherit(b, 1);
        keys.ask_for_port(a, Uuid(9), None);
        keys.inherit(a, 2);
        assert_eq!([a, b, c].map(|row| keys.of_port(row)), [Some(3), Some(2), Some(1)]);
    }

    #[test]
    fn the_last_key() {
        let mut keys = Keys::default();
        keys.ask_for_port(Uuid(1), Uuid(9), Some(PORTS as u16));
        keys.ask_for_port(Uuid(2), Uuid(9), None);
        assert_eq!((keys.of_port(Uuid(1)), keys.of_port(Uuid(2))), (Some(PORTS as u16), Some(1)));
    }
}
