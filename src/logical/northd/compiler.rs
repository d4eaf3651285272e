//! The compiler: follows the Northbound rows and says what changes in the Southbound ones.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::book::{Book, Use};
use super::keys::Keys;
use super::memory::{Memory, Of, Query, View};
use super::names;
use super::outgoing::{self, Rows};
use super::output::{Output, Wanted};
use super::units::UNITS;
use super::view::sources;
use crate::logical::nb;
use crate::logical::rows::AnyRow;
use crate::logical::rows::{Store, Transaction, Uuid, What};

/// What becomes of one row, or of one side of it.
pub trait Unit: 'static {
    /// Makes it of the rows as they are.
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output);
}

/// A kind of unit: there is one for each row of a table.
pub struct Kind {
    /// The table.
    pub table: nb::Table,
    settle: fn(&View<'_>, Uuid) -> Arc<Made>,
    doubtful: fn(&Memory) -> Vec<Of>,
    forget: fn(&mut Memory, Uuid),
}

/// What a unit made, the last time it was looked at.
#[derive(Default, PartialEq)]
pub struct Made {
    flows: Vec<Use>,
    rows: Vec<(Uuid, AnyRow)>,
    troubles: Vec<String>,
}

struct Compiled<U>(std::marker::PhantomData<U>);

impl<U: Unit> Query for Compiled<U> {
    type Value = Made;

    fn compute(view: &View<'_>, of: &Of) -> Made {
        let mut output = Output::default();
        U::compile(view, of.uuid(), &mut output);
        let Output { flows, rows, troubles } = output;
        let number = |wanted: Wanted| {
            let (datapath, hint) = (names::datapath(wanted.datapath), wanted.note.hint);
            Use { flow: view.book().borrow_mut().number(wanted), datapath, hint }
        };
        Made { flows: flows.into_iter().map(number).collect(), rows, troubles }
    }
}

impl Kind {
    /// The units of a kind, one for each row of a table.
    pub const fn of<U: Unit>(table: nb::Table) -> Self {
        Self {
            table,
            settle: |view, row| view.ask::<Compiled<U>>(row),
            doubtful: |memory| memory.doubtful::<Compiled<U>>(),
            forget: |memory, row| memory.remove::<Compiled<U>>(row.into()),
        }
    }
}

/// All that was compiled. See the [module](super).
#[derive(Default)]
pub struct Compiler {
    memory: RefCell<Memory>,
    book: RefCell<Book>,
    keys: Keys,
    /// What units made, by their kind and row.
    made: HashMap<(usize, Uuid), Arc<Made>, FixedState>,
    /// Who makes a group of chassis, or a member of one: a member may be in several groups, and the group of its own that a
    /// router port has may have the name of another. Of several the first counts.
    shared: BTreeMap<Uuid, BTreeMap<(usize, Uuid), AnyRow>>,
    /// Ports that the update made a row for, by their Northbound row and the table of that, with the row.
    appeared: Vec<(nb::Table, Uuid, Uuid)>,
    /// Number of units that the last update looked at.
    looked_at: usize,
}

impl Compiler {
    /// Without rows: the first update must be the delta from no rows to all of them. The keys are those of before, or
    /// [remembered](Keys::remembering).
    pub fn new(keys: Keys) -> Self {
        Self { keys, ..Self::default() }
    }

    /// The keys, to be kept for the next start.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Number of units that the last update looked at, whether it compiled them or not.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Number of values that are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.memory.borrow().kept()
    }

    /// What is not compiled, or not wholly: rows of the Northbound with a sentence.
    pub fn troubles(&self) -> impl Iterator<Item = (nb::Table, Uuid, &str)> {
        self.made.iter().flat_map(|((kind, row), made)| {
            let table = UNITS.get(*kind).map(|kind| kind.table);
            made.troubles.iter().filter_map(move |sentence| Some((table?, *row, &**sentence)))
        })
    }

    /// Takes over what changed in the Northbound rows and says what changes in the Southbound ones. New datapaths and
    /// ports get their keys in the order of `new`, others after them.
    pub fn update(&mut self, delta: &nb::Delta, new: &[Uuid], southbound: &Store) -> Transaction {
        self.memory.get_mut().begin(sources(delta));
        let mut rows = Rows::default();
        self.looked_at = 0;
        for (number, kind) in UNITS.iter().enumerate() {
            let mut stale = (kind.doubtful)(self.memory.get_mut());
            for change in delta.changes.iter().filter(|change| change.table == kind.table) {
                match change.what {
                    What::Inserted => stale.push(change.uuid.into()),
                    What::Modified(_) => {}
                    What::Deleted => {
                        (kind.forget)(self.memory.get_mut(), change.uuid);
                        self.replace((number, change.uuid), None, &mut rows);
                    }
                }
            }
            for of in stale {
                let row = of.uuid();
                let view = View::new(&delta.after, &self.memory, &self.book);
                if delta.after.row(kind.table, row).is_some() {
                    let made = (kind.settle)(&view, row);
                    self.looked_at += 1;
                    self.replace((number, row), Some(made), &mut rows);
                }
            }
        }
        self.memory.get_mut().end();
        self.join_again(&delta.after, &mut rows);
        let mut transaction = rows.finish(&mut self.keys, new, southbound);
        self.book.get_mut().finish(&mut transaction);
        self.keys.forget_the_absent();
        transaction
    }

    /// What the Southbound rows say of chassis, after some of them came or went.
    pub fn chassis(&self, southbound: &Store) -> Transaction {
        outgoing::chassis(southbound)
    }

    fn replace(&mut self, unit: (usize, Uuid), now: Option<Arc<Made>>, rows: &mut Rows) {
        let before = match &now {
            Some(made) => self.made.insert(unit, Arc::clone(made)),
            None => self.made.remove(&unit),
        };
        let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
        if Arc::ptr_eq(&before, &now) {
            return;
        }
        let book = self.book.get_mut();
        now.flows.iter().for_each(|wanted| book.want(*wanted));
        before.flows.iter().for_each(|wanted| book.release(*wanted));
        let kind = UNITS.get(unit.0).map(|kind| kind.table);
        let had = |port: &Uuid| before.rows.iter().any(|(uuid, _)| uuid == port);
        for (port, row) in now.rows.iter().filter(|(port, _)| !had(port)) {
            if let (AnyRow::PortBinding(_), Some(table)) = (row, kind) {
                self.appeared.push((table, unit.1, *port));
            }
        }
        rows.change(&before.rows, &now.rows);
        let shared = |made: &Made| {
            let is_shared = |row: &AnyRow| matches!(row, AnyRow::HaChassisGroup(_) | AnyRow::HaChassis(_));
            let rows = made.rows.iter().filter(|(_, row)| is_shared(row));
            rows.cloned().collect::<BTreeMap<Uuid, AnyRow>>()
        };
        let (had, has) = (shared(&before), shared(&now));
        for name in had.keys().chain(has.keys()) {
            self.share(*name, unit, has.get(name), rows);
        }
    }

    /// A unit makes this row, as others may too, or does not.
    fn share(&mut self, name: Uuid, unit: (usize, Uuid), row: Option<&AnyRow>, rows: &mut Rows) {
        let makers = self.shared.entry(name).or_default();
        match row {
            Some(row) => _ = makers.insert(unit, row.clone()),
            None => _ = makers.remove(&unit),
        }
        let Some((first, row)) = makers.first_key_value() else {
            self.shared.remove(&name);
            return;
        };
        rows.put_again(name, row);
        // Its members too: what nothing named while another's group was the one is gone.
        let members = self.made.get(first).into_iter().flat_map(|made| &made.rows);
        let members = members.filter(|(_, row)| matches!(row, AnyRow::HaChassis(_)));
        members.for_each(|(uuid, row)| rows.put(*uuid, row));
    }

    /// Puts the groups of ports that a new port is in. Their rows lost it if it was gone while they named it, as one is
    /// whose name a router port has.
    fn join_again(&mut self, northbound: &nb::Store, rows: &mut Rows) {
        for (table, row, port) in std::mem::take(&mut self.appeared) {
            for (owner_table, owner) in northbound.parents(table, row) {
                let kinds = UNITS.iter().enumerate().filter(|(_, kind)| kind.table == owner_table);
                let made = kinds.filter_map(|(number, _)| self.made.get(&(number, owner)));
                for (uuid, made) in made.flat_map(|made| &made.rows) {
                    if matches!(made, AnyRow::MulticastGroup(group) if group.ports.contains(&port)) {
                        rows.put(*uuid, made);
                    }
                }
            }
        }
    }
}
