//! A Northbound database with its compiler, and flows as a list prints them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::super::{Compiler, Keys};
use crate::logical::nb;
use crate::logical::rows::tables::{DatapathBinding, LogicalFlow, PortBinding};
use crate::logical::rows::{AnyRow, Database, Store, Table, Uuid};

/// Both databases, and what keeps them together.
pub struct Network {
    pub northbound: nb::Database,
    pub southbound: Database,
    pub compiler: Compiler,
    cursor: nb::Cursor,
}

impl Network {
    /// Without rows, and with the keys of before.
    pub fn new(keys: Keys) -> Self {
        let northbound = nb::Database::default();
        let cursor = northbound.subscribe_from_nothing();
        Self { northbound, southbound: Database::default(), compiler: Compiler::new(keys), cursor }
    }

    /// The recorded network of a name.
    pub fn recorded(name: &str) -> Self {
        let dump = nb::read_dump(&recorded(name, "nb-dump.json")).unwrap();
        let mut network = Self::new(Keys::default());
        let mut rows = nb::Transaction::new();
        dump.rows.into_iter().for_each(|(uuid, row)| rows.put_any(uuid, row));
        network.commit(rows, &[]);
        network
    }

    /// The same rows, compiled from nothing with the same keys.
    pub fn anew(&self) -> Self {
        let mut network = Self::new(self.compiler.keys().clone());
        let mut rows = nb::Transaction::new();
        for table in nb::Table::ALL {
            for (uuid, row) in self.northbound.snapshot().rows(*table) {
                rows.put_any(uuid, row.clone());
            }
        }
        network.commit(rows, &[]);
        network
    }

    /// Commits rows and compiles them; rows that the database refuses are not there.
    pub fn commit(&mut self, rows: nb::Transaction, new: &[Uuid]) {
        let _ = self.northbound.commit(rows);
        let delta = self.cursor.poll(&self.northbound);
        let transaction = self.compiler.update(&delta, new, self.southbound.snapshot());
        self.southbound.commit(transaction).unwrap();
    }

    /// Changes rows and compiles them.
    pub fn edit(&mut self, change: impl FnOnce(&mut nb::Edit)) {
        let draft = self.northbound.draft();
        let mut edit = draft.edit();
        change(&mut edit);
        self.commit(edit.transaction(), &[]);
    }

    pub fn rows(&self) -> BTreeMap<(Table, Uuid), AnyRow> {
        let store = self.southbound.snapshot();
        let tables = Table::ALL.iter();
        tables.flat_map(|table| store.rows(*table).map(|(uuid, row)| ((*table, uuid), row.clone()))).collect()
    }

    /// The row of a port.
    pub fn port(&self, name: &str) -> Arc<PortBinding> {
        Arc::clone(self.southbound.snapshot().port(name).unwrap().1)
    }
}

/// A file of a recorded network.
pub fn recorded(name: &str, file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(name).join(file);
    std::fs::read_to_string(path).unwrap()
}

/// A flow as a list prints it: its stage, priority, match and actions.
pub type Listed = (String, u16, String, String);

/// The members of sets in braces in order.
pub fn sorted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        out += before;
        out.push('{');
        rest = behind;
        if let Some((inside, _)) = behind.split_once('}')
            && !inside.contains([';', '{', '='])
        {
            let members: BTreeSet<&str> = inside.split(',').map(str::trim).collect();
            let members: Vec<&str> = members.into_iter().collect();
            out += &members.join(", ");
            rest = &rest[inside.len()..];
        }
    }
    out + rest
}

/// The flows of a compiled network by the names of the datapaths.
pub fn flows(store: &Store) -> BTreeMap<String, BTreeSet<Listed>> {
    let mut all = BTreeMap::new();
    for (datapath, row) in store.iter::<DatapathBinding>() {
        let listed = |(_, row): (Uuid, &Arc<LogicalFlow>)| {
            (row.external_ids["stage-name"].clone(), row.priority, sorted(&row.matches), sorted(&row.actions))
        };
        all.insert(row.external_ids["name"].clone(), store.flows_of(datapath).map(listed).collect());
    }
    all
}

/// The flows of a list.
pub fn read_list(list: &str) -> BTreeMap<String, BTreeSet<Listed>> {
    let mut all: BTreeMap<String, BTreeSet<Listed>> = BTreeMap::new();
    let mut datapath = String::new();
    for line in list.lines() {
        if let Some(heading) = line.strip_prefix("Datapath: \"") {
            datapath = heading.split('"').next().unwrap().to_owned();
        } else if let Some((stage, rest)) = line.split_once("(").and_then(|(_, rest)| rest.split_once(')')) {
            let (priority, rest) = rest.strip_prefix(", priority=").unwrap().split_once(',').unwrap();
            let rest = rest.trim_start().strip_prefix("match=(").unwrap();
            let (matches, actions) = rest.split_once("), action=(").unwrap();
            let actions = actions.strip_suffix(')').unwrap();
            all.entry(datapath.clone()).or_default().insert((
                stage.trim().to_owned(),
                priority.trim().parse().unwrap(),
                sorted(matches),
                sorted(actions),
            ));
        }
    }
    all
}
