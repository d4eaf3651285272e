//! The log of changes: what each of the last publications changed in the flows and ports, for whoever keeps results of
//! earlier translations. The log travels with the snapshot that it explains.
//!
//! The invariant: a result that was right before an entry is right after it, unless the entry is
//! [`What::Everything`], or one of its changes has a slot that the result depends on and a match that does not
//! contradict what is known of its packets. An entry may name more than has changed in effect, never less.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::flow::{Flow, Match};
use super::record::Dep;
use crate::packet::key::w;
use crate::packet::{FlowKey, FlowMask, PortNo};

/// Changes in one entry; where there are more, slots are named as a whole.
pub const MAX_CHANGES: usize = 1024;
/// Slots in an entry that names them as a whole; where there are more, it says "everything".
pub const MAX_SLOTS: usize = 256;
/// Entries that the log keeps …
pub const KEPT_ENTRIES: usize = 256;
/// … unless they hold more changes than this together.
pub const KEPT_CHANGES: usize = 16 * MAX_CHANGES;

/// Where something changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Slot {
    /// Among the flows of a table.
    Table {
        /// The table.
        table: u8,
        /// The metadata that the flow matches on all bits. None: packets of any metadata may meet it.
        datapath: Option<u64>,
    },
    /// The port of that number.
    Port(PortNo),
    /// The set of all ports.
    Ports,
    /// The group of that number.
    Group(u32),
    /// The meter of that number.
    Meter(u32),
}

impl Slot {
    fn of(flow: &Flow) -> Self {
        let matcher = flow.matcher();
        let words = (matcher.key.words(), matcher.mask.words());
        let datapath = (words.1[w::METADATA] == u64::MAX).then_some(words.0[w::METADATA]);
        Slot::Table { table: flow.table, datapath }
    }

    /// Whether what consulted `deps`, which are sorted, consulted this.
    pub fn is_among(self, deps: &[Dep]) -> bool {
        let dep = match self {
            Slot::Table { table, datapath: None } => {
                let at = deps.partition_point(|dep| *dep < Dep::Table { table, datapath: 0 });
                return matches!(deps.get(at), Some(Dep::Table { table: found, .. }) if *found == table);
            }
            Slot::Table { table, datapath: Some(datapath) } => Dep::Table { table, datapath },
            Slot::Port(number) => Dep::Port(number),
            Slot::Ports => Dep::Ports,
            Slot::Group(id) => Dep::Group(id),
            Slot::Meter(id) => Dep::Meter(id),
        };
        deps.binary_search(&dep).is_ok()
    }
}

/// A word of a match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CompactWord {
    /// Index in the key.
    pub word: u8,
    /// Zero outside the mask.
    pub value: u64,
    /// Not zero.
    pub mask: u64,
}

/// A match without the words that it does not ask about. The default matches all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Compact(Box<[CompactWord]>);

impl Compact {
    /// That of a flow. The conjunction that it asks for is left out: a lookup may give any packet any.
    pub fn new(matcher: &Match) -> Self {
        let words = (0u8..).zip(matcher.key.words()).zip(matcher.mask.words());
        let asked = words.filter(|((word, _), mask)| **mask != 0 && usize::from(*word) != w::CONJ);
        Self(asked.map(|((word, value), mask)| CompactWord { word, value: *value, mask: *mask }).collect())
    }

    /// Its words, by rising index.
    pub fn words(&self) -> &[CompactWord] {
        &self.0
    }

    /// Whether no packet meets this that enters with the bits of `mask` as in `key`, and none of `rewritten` is what
    /// it entered with.
    pub fn contradicts(&self, key: &FlowKey, mask: &FlowMask, rewritten: &FlowMask) -> bool {
        self.0.iter().any(|asked| {
            let at = usize::from(asked.word);
            let word = |words: &[u64]| words.get(at).copied().unwrap_or(0);
            let known = word(mask.words()) & !word(rewritten.words());
            (word(key.words()) ^ asked.value) & asked.mask & known != 0
        })
    }
}

/// A flow or port that was added, removed or modified.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Change {
    /// Where.
    pub slot: Slot,
    /// Which packets a changed flow matches. Matches all where a slot is named as a whole, and for ports.
    pub matcher: Compact,
}

impl Change {
    fn whole(slot: Slot) -> Self {
        Self { slot, matcher: Compact::default() }
    }
}

/// What a publication changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// These.
    Changes(Box<[Change]>),
    /// More than is written down.
    Everything,
}

impl What {
    /// Nothing is no change.
    pub(super) fn of(changes: Vec<Change>) -> Option<Self> {
        (!changes.is_empty()).then(|| What::Changes(changes.into()))
    }

    /// These ports, and with them the set of all.
    pub(super) fn of_ports(numbers: BTreeSet<PortNo>) -> Option<Self> {
        if numbers.is_empty() {
            return None;
        }
        if numbers.len() >= MAX_CHANGES {
            return Some(What::Everything);
        }
        let slots = numbers.into_iter().map(Slot::Port).chain([Slot::Ports]);
        Some(What::Changes(slots.map(Change::whole).collect()))
    }

    /// This, and these slots as a whole.
    pub(super) fn with(what: Option<Self>, slots: impl Iterator<Item = Slot>) -> Option<Self> {
        let mut slots = slots.map(Change::whole).peekable();
        if slots.peek().is_none() {
            return what;
        }
        let mut changes = match what {
            Some(What::Everything) => return Some(What::Everything),
            Some(What::Changes(changes)) => changes.into_vec(),
            None => Vec::new(),
        };
        changes.extend(slots);
        if changes.len() > 2 * MAX_CHANGES { Some(What::Everything) } else { What::of(changes) }
    }

    fn len(&self) -> usize {
        match self {
            What::Changes(changes) => changes.len(),
            What::Everything => 1,
        }
    }
}

/// Gathers the flows that a batch touches, within bounds.
#[derive(Clone)]
pub(super) enum Touched {
    /// These, some perhaps twice or in vain.
    Flows(Vec<Arc<Flow>>),
    /// Some in each of these slots.
    Slots(BTreeSet<Slot>),
    /// Many in many slots.
    All,
}

impl Default for Touched {
    fn default() -> Self {
        Touched::Flows(Vec::new())
    }
}

impl Touched {
    pub(super) fn add(&mut self, flow: &Arc<Flow>) {
        if let Touched::Flows(flows) = self {
            if flows.len() < MAX_CHANGES {
                return flows.push(Arc::clone(flow));
            }
            *self = Touched::Slots(flows.iter().map(|flow| Slot::of(flow)).collect());
        }
        if let Touched::Slots(slots) = self {
            slots.insert(Slot::of(flow));
            if slots.len() <= MAX_SLOTS {
                return;
            }
        }
        *self = Touched::All;
    }

    /// What has changed, where `differs` says whether the flow of that place is another than before.
    pub(super) fn what(&self, differs: impl Fn(&Flow) -> bool) -> Option<What> {
        match self {
            Touched::Flows(flows) => {
                let changed = flows.iter().filter(|flow| differs(flow));
                let change = |flow: &Arc<Flow>| Change {
                    slot: Slot::of(flow),
                    matcher: Compact::new(&flow.matcher()),
                };
                let mut changes: Vec<_> = changed.map(change).collect();
                changes.sort_unstable();
                changes.dedup();
                What::of(changes)
            }
            Touched::Slots(slots) => What::of(slots.iter().copied().map(Change::whole).collect()),
            Touched::All => Some(What::Everything),
        }
    }
}

/// What one publication changed.
#[derive(Debug)]
pub struct Entry {
    /// Counts the entries from 1, without a gap.
    pub number: u64,
    /// What it was.
    pub what: What,
}

/// The last entries. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct ChangeLog {
    /// By rising number.
    entries: Arc<Vec<Arc<Entry>>>,
    latest: u64,
    /// Changes in all entries.
    changes: usize,
}

impl ChangeLog {
    /// The number of the last entry, 0 if there has been none.
    #[inline]
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// The entries after number `seen`; none if some of them are no longer there.
    pub fn since(&self, seen: u64) -> Option<impl Iterator<Item = &Entry>> {
        let missed = usize::try_from(self.latest.checked_sub(seen)?).ok()?;
        let from = self.entries.len().checked_sub(missed)?;
        Some(self.entries.get(from..)?.iter().map(|entry| &**entry))
    }

    /// Adds an entry, and forgets the oldest.
    pub(super) fn push(&mut self, what: What) {
        self.latest += 1;
        self.changes += what.len();
        let entry = Arc::new(Entry { number: self.latest, what });
        let mut gone = 0;
        for old in self.entries.iter() {
            if self.entries.len() - gone < KEPT_ENTRIES && self.changes <= KEPT_CHANGES {
                break;
            }
            self.changes -= old.what.len();
            gone += 1;
        }
        let mut entries = Vec::with_capacity(KEPT_ENTRIES);
        entries.extend(self.entries.iter().skip(gone).cloned());
        entries.push(entry);
        self.entries = Arc::new(entries);
    }
}
