//! Northbound rows and what becomes of them.

use crate::logical::nb;
use crate::logical::nb::tables::LogicalRouter;
use crate::logical::northd::{Compiler, Keys};
use crate::logical::rows::{Database, Store, Uuid};

/// A file of what the real OVN answered.
pub fn file(path: &str) -> String {
    let path = format!("{}/tests/data/ovn/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Both databases, and the compiler between them.
pub struct Network {
    northbound: nb::Database,
    cursor: nb::Cursor,
    southbound: Database,
    pub compiler: Compiler,
}

impl Network {
    /// Without rows.
    pub fn new(keys: Keys) -> Self {
        let northbound = nb::Database::default();
        let cursor = northbound.subscribe();
        Self { northbound, cursor, southbound: Database::default(), compiler: Compiler::new(keys) }
    }

    /// With the rows of a dump.
    pub fn of_dump(path: &str) -> Self {
        let mut network = Self::new(Keys::default());
        let dump = nb::read_dump(&file(path)).unwrap();
        let transaction = nb::Transaction::replacing(network.northbound.snapshot(), dump);
        network.northbound.commit(transaction).unwrap();
        network.follow();
        network
    }

    /// With the same Northbound rows as another, and its keys.
    pub fn anew(other: &Self) -> Self {
        let mut network = Self::new(other.compiler.keys().clone());
        let mut transaction = nb::Transaction::new();
        for table in nb::Table::ALL {
            for (uuid, row) in other.northbound.snapshot().rows(*table) {
                transaction.put_any(uuid, row.clone());
            }
        }
        network.northbound.commit(transaction).unwrap();
        network.follow();
        network
    }

    /// Changes Northbound rows and compiles them.
    pub fn edit(&mut self, change: impl FnOnce(&mut nb::Edit)) {
        let draft = self.northbound.draft();
        let mut edit = draft.edit();
        change(&mut edit);
        let prepared = draft.finish(edit).unwrap();
        self.northbound.adopt(prepared).unwrap();
        self.follow();
    }

    fn follow(&mut self) {
        let delta = self.cursor.poll(&self.northbound);
        let transaction = self.compiler.update(&delta, &[], self.southbound.snapshot());
        self.southbound.commit(transaction).unwrap();
    }

    pub fn northbound(&self) -> &nb::Store {
        self.northbound.snapshot()
    }

    pub fn southbound(&self) -> &Store {
        self.southbound.snapshot()
    }

    /// The router of a name.
    pub fn router(&self, name: &str) -> Uuid {
        let (uuid, _): (Uuid, &std::sync::Arc<LogicalRouter>) =
            self.northbound().routers_named(name).next().unwrap();
        uuid
    }
}
