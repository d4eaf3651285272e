//! Values computed from rows, kept for as long as what they were computed from stays the same.
//!
//! A [`Query`] is a pure function of a [`View`]: of rows, and of other queries' values. The view notes what it asks for. When
//! rows change, whatever asked for them, at first or at second hand, may be another; it is looked at again only if it is
//! asked for, and computed again only if something that it asked for is another indeed. So a value that comes out as it
//! was ends the search there.
//!
//! The invariant: [`View::ask`] gives what [`Query::compute`] would give of the rows as they are now. No query asks for
//! itself, not even by way of others; one that does gets the value of nothing.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::book::Book;
use crate::logical::nb::class::Class;
use crate::logical::nb::{Store, Table, Uuid};

/// What a value is about.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Of {
    /// A row.
    Row(Uuid),
    /// Something of a row that has a name.
    Named(Uuid, Arc<str>),
    /// Something of a row that has a number.
    Numbered(Uuid, u16),
}

impl From<Uuid> for Of {
    fn from(uuid: Uuid) -> Self {
        Self::Row(uuid)
    }
}

impl Of {
    /// The row.
    pub fn uuid(&self) -> Uuid {
        match self {
            Self::Row(uuid) | Self::Named(uuid, _) | Self::Numbered(uuid, _) => *uuid,
        }
    }

    /// The name; empty if there is none.
    pub fn name(&self) -> &str {
        match self {
            Self::Row(_) | Self::Numbered(..) => "",
            Self::Named(_, name) => name,
        }
    }

    /// The number; 0 if there is none.
    pub fn number(&self) -> u16 {
        match self {
            Self::Row(_) | Self::Named(..) => 0,
            Self::Numbered(_, number) => *number,
        }
    }
}

/// Something computed from rows.
pub trait Query: 'static {
    /// What comes out. The default stands for what nothing is known of.
    type Value: PartialEq + Default + Send + Sync + 'static;
    /// Computes it.
    fn compute(view: &View<'_>, of: &Of) -> Self::Value;
}

/// Rows, or the lack of them, that a value was computed from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A row, or that it is not there.
    Row(Table, Uuid),
    /// Which row of a table has a name.
    Named(Table, Box<str>),
    /// Which rows a table has.
    All(Table),
    /// The columns of a row that do not name rows of its own.
    Settings(Table, Uuid),
    /// A column of a row that is there, by its number.
    Column(Table, Uuid, u8),
    /// Which rows of a table a row owns.
    Owned(Uuid, Table),
    /// Which rows of a class a row owns.
    Class(Uuid, Class),
    /// Which rows own a row of a table, or name it.
    Parents(Table, Uuid),
    /// Which switch ports lead to a router port.
    Facing(Box<str>),
    /// Which port groups a switch port is in.
    Groups(Uuid),
    /// Which ports are in a share of a port group, by its number.
    Share(Uuid, u16),
}

type NodeId = u32;
type Erased = Arc<dyn Any + Send + Sync>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    query: TypeId,
    of: Of,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Asked {
    Source(Source),
    Value(NodeId),
}

struct Node {
    key: Key,
    value: Erased,
    compute: fn(&View<'_>, &Of) -> Erased,
    is_same: fn(&Erased, &Erased) -> bool,
    asked: SmallVec<[Asked; 4]>,
    /// The update in which it was last found to be right.
    verified: u64,
    /// The update in which it became what it is.
    changed: u64,
    is_doubtful: bool,
    /// Rows that it was computed from are not what they were.
    is_touched: bool,
    /// Values that it was computed from and that may be others now.
    doubts: SmallVec<[NodeId; 2]>,
    /// It is being looked at just now.
    is_open: bool,
    /// Another value was computed from it. One that was not is asked for from outside.
    is_asked: bool,
}

/// What may make a value another.
enum Doubts {
    Nothing,
    /// It was never computed.
    Everything,
    These(SmallVec<[NodeId; 2]>),
}

/// What was computed. See the [module](self).
#[derive(Default)]
pub struct Memory {
    now: u64,
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    ids: HashMap<Key, NodeId, foldhash::fast::FixedState>,
    /// Who asked for what, in order: most is asked by few.
    asking: HashMap<Asked, SmallVec<[NodeId; 4]>, foldhash::fast::FixedState>,
    doubtful: Vec<NodeId>,
    /// Values that no other is computed from any more.
    unasked: Vec<NodeId>,
}

impl Memory {
    /// Begins an update: these sources are not what they were.
    pub fn begin(&mut self, touched: impl IntoIterator<Item = Source>) {
        self.now += 1;
        let mut open: Vec<Asked> = touched.into_iter().map(Asked::Source).collect();
        while let Some(asked) = open.pop() {
            for id in self.asking.get(&asked).into_iter().flatten() {
                let Some(Some(node)) = self.nodes.get_mut(*id as usize) else { continue };
                match asked {
                    Asked::Source(_) => node.is_touched = true,
                    Asked::Value(other) => node.doubts.push(other),
                }
                if !node.is_doubtful {
                    node.is_doubtful = true;
                    self.doubtful.push(*id);
                    open.push(Asked::Value(*id));
                }
            }
        }
    }

    /// The things of which values of a query are doubtful now.
    pub fn doubtful<Q: Query>(&self) -> Vec<Of> {
        let query = TypeId::of::<Q>();
        let nodes = self.doubtful.iter().filter_map(|id| self.nodes.get(*id as usize)?.as_ref());
        nodes
            .filter(|node| node.is_doubtful && node.key.query == query)
            .map(|node| node.key.of.clone())
            .collect()
    }

    /// Ends an update: what is still doubtful was not asked for, and is forgotten, and so is what nothing is computed from
    /// any more.
    pub fn end(&mut self) {
        for id in std::mem::take(&mut self.doubtful) {
            if self.node(id).is_some_and(|node| node.is_doubtful) {
                self.forget(id);
            }
        }
        while let Some(id) = self.unasked.pop() {
            let is_needed = self.asking.contains_key(&Asked::Value(id));
            if !is_needed && self.node(id).is_some_and(|node| node.is_asked) {
                self.forget(id);
            }
        }
    }

    /// Forgets the value of a query about something that is gone.
    pub fn remove<Q: Query>(&mut self, of: Of) {
        if let Some(id) = self.ids.get(&Key { query: TypeId::of::<Q>(), of }) {
            self.forget(*id);
        }
    }

    /// Number of values that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.ids.len()
    }

    fn enter<Q: Query>(&mut self, of: Of) -> NodeId {
        let key = Key { query: TypeId::of::<Q>(), of };
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let node = Node {
            key: key.clone(),
            value: Arc::new(Q::Value::default()),
            compute: |view, of| Arc::new(Q::compute(view, of)),
            is_same: |one, other| match (one.downcast_ref::<Q::Value>(), other.downcast_ref()) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            },
            asked: SmallVec::new(),
            verified: 0,
            changed: 0,
            is_doubtful: false,
            is_touched: false,
            doubts: SmallVec::new(),
            is_open: false,
            is_asked: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.nodes.get_mut(id as usize) {
                    *place = Some(node);
                }
                id
            }
            None => {
                self.nodes.push(Some(node));
                (self.nodes.len() - 1) as NodeId
            }
        };
        self.ids.insert(key, id);
        id
    }

    /// What may make a value another; nothing if it is right, or being looked at already.
    fn doubts(&mut self, id: NodeId) -> Option<Doubts> {
        let now = self.now;
        let node = self.node_mut(id)?;
        if node.is_open || node.verified == now && !node.is_doubtful {
            return None;
        }
        node.is_open = true;
        Some(match (node.verified, node.is_doubtful) {
            (0, _) => Doubts::Everything,
            (_, false) => Doubts::Nothing,
            (_, true) if node.is_touched => Doubts::Everything,
            (_, true) => Doubts::These(std::mem::take(&mut node.doubts)),
        })
    }

    fn changed_now(&self, id: NodeId) -> bool {
        self.node(id).is_none_or(|node| node.changed == self.now)
    }

    fn confirm(&mut self, id: NodeId) {
        let now = self.now;
        if let Some(node) = self.node_mut(id) {
            (node.verified, node.is_doubtful, node.is_touched, node.is_open) = (now, false, false, false);
            node.doubts.clear();
        }
    }

    fn replace(&mut self, id: NodeId, value: Erased, asked: SmallVec<[Asked; 4]>) {
        let now = self.now;
        let Some(node) = self.node_mut(id) else { return };
        if node.verified == 0 || !(node.is_same)(&node.value, &value) {
            (node.value, node.changed) = (value, now);
        }
        let before = std::mem::take(&mut node.asked);
        self.confirm(id);
        self.relink(id, &before, &asked);
        if let Some(node) = self.node_mut(id) {
            node.asked = asked;
        }
    }

    /// A value asked for these, and asks for those now: much of both is mostly the same, in the same order.
    fn relink(&mut self, id: NodeId, before: &[Asked], now: &[Asked]) {
        let same = before.iter().zip(now).take_while(|(old, new)| old == new).count();
        let (old, new) = (before.get(same..).unwrap_or_default(), now.get(same..).unwrap_or_default());
        let same = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        let old = old.get(..old.len() - same).unwrap_or_default();
        let new = new.get(..new.len() - same).unwrap_or_default();
        if !old.is_empty() {
            let kept: HashSet<&Asked, foldhash::fast::FixedState> = now.iter().collect();
            self.unlink(id, old.iter().filter(|asked| !kept.contains(asked)));
        }
        for asked in new {
            let asking = match self.asking.get_mut(asked) {
                Some(asking) => asking,
                None => self.asking.entry(asked.clone()).or_default(),
            };
            if let Err(place) = asking.binary_search(&id) {
                asking.insert(place, id);
            }
            if let Asked::Value(other) = asked
                && let Some(other) = self.node_mut(*other)
            {
                other.is_asked = true;
            }
        }
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)?.as_ref()
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)?.as_mut()
    }

    fn unlink<'a>(&mut self, id: NodeId, asked: impl Iterator<Item = &'a Asked>) {
        for asked in asked {
            if let Some(asking) = self.asking.get_mut(asked) {
                if let Ok(place) = asking.binary_search(&id) {
                    asking.remove(place);
                }
                if asking.is_empty() {
                    self.asking.remove(asked);
                    if let Asked::Value(other) = asked {
                        self.unasked.push(*other);
                    }
                }
            }
        }
    }

    fn forget(&mut self, id: NodeId) {
        // Whoever asked for it is doubtful too, and finds it gone.
        if let Some(node) = self.nodes.get_mut(id as usize).and_then(Option::take) {
            self.unlink(id, node.asked.iter());
            self.ids.remove(&node.key);
            self.free.push(id);
        }
    }
}

/// The rows as they are now, for one computation, with a note of what it asked for.
pub struct View<'a> {
    store: &'a Store,
    memory: &'a RefCell<Memory>,
    book: &'a RefCell<Book>,
    asked: RefCell<SmallVec<[Asked; 4]>>,
}

impl<'a> View<'a> {
    /// For asking from outside.
    pub(super) fn new(store: &'a Store, memory: &'a RefCell<Memory>, book: &'a RefCell<Book>) -> Self {
        Self { store, memory, book, asked: RefCell::default() }
    }

    /// Where flows get their numbers.
    pub(super) fn book(&self) -> &'a RefCell<Book> {
        self.book
    }

    /// The rows, after it is noted that they were asked for something.
    pub(super) fn noting(&self, source: Source) -> &'a Store {
        self.note(Asked::Source(source));
        self.store
    }

    /// What a query comes to.
    pub fn ask<Q: Query>(&self, of: impl Into<Of>) -> Arc<Q::Value> {
        let id = self.memory.borrow_mut().enter::<Q>(of.into());
        self.note(Asked::Value(id));
        self.settle(id);
        let value = self.memory.borrow().node(id).map(|node| Arc::clone(&node.value));
        value.and_then(|value| value.downcast().ok()).unwrap_or_default()
    }

    fn note(&self, asked: Asked) {
        let mut all = self.asked.borrow_mut();
        if all.last() != Some(&asked) {
            all.push(asked);
        }
    }

    /// Brings a value up to date.
    fn settle(&self, id: NodeId) {
        let Some(doubts) = self.memory.borrow_mut().doubts(id) else { return };
        let is_other = match doubts {
            Doubts::Nothing => false,
            Doubts::Everything => true,
            Doubts::These(others) => others.iter().any(|other| {
                self.settle(*other);
                self.memory.borrow().changed_now(*other)
            }),
        };
        if !is_other {
            return self.memory.borrow_mut().confirm(id);
        }
        let Some((compute, of)) =
            self.memory.borrow().node(id).map(|node| (node.compute, node.key.of.clone()))
        else {
            return;
        };
        let inner = View::new(self.store, self.memory, self.book);
        let value = compute(&inner, &of);
        self.memory.borrow_mut().replace(id, value, inner.asked.into_inner());
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn asked() -> impl Strategy<Value = Vec<Asked>> {
        vec((0u128..12).prop_map(|n| Asked::Source(Source::Groups(Uuid(n)))), 0..20)
    }

    proptest! {
        #[test]
        fn who_asks_for_what_is_known_after_any_change(lists in vec((0u32..4, asked()), 1..20)) {
            let mut memory = Memory::default();
            let mut now: HashMap<NodeId, Vec<Asked>> = HashMap::new();
            for (id, list) in lists {
                let before = now.insert(id, list.clone()).unwrap_or_default();
                memory.relink(id, &before, &list);
                let mut expected: HashMap<Asked, Vec<NodeId>> = HashMap::new();
                for (id, list) in &now {
                    for asked in list.iter().collect::<HashSet<_>>() {
                        expected.entry(asked.clone()).or_default().push(*id);
                    }
                }
                expected.values_mut().for_each(|ids| ids.sort_unstable());
                let found = memory.asking.iter().map(|(asked, ids)| (asked.clone(), ids.to_vec()));
                prop_assert!(found.collect::<HashMap<_, _>>() == expected);
            }
        }
    }
}
