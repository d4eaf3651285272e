//! Changes to rows, done wholly or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tables::{AnyRow, Row, Table};
use super::uuid::Uuid;

/// Rows as they are to be. What is said last of a row counts.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    rows: BTreeMap<(Table, Uuid), Option<AnyRow>>,
}

impl Transaction {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inserts a row, or puts it in the place of the one with its name.
    pub fn put<T: Row>(&mut self, uuid: Uuid, row: T) {
        self.put_any(uuid, Arc::new(row).into_any());
    }

    /// The same for a row of any table.
    pub fn put_any(&mut self, uuid: Uuid, row: AnyRow) {
        self.rows.insert((row.table(), uuid), Some(row));
    }

    /// Deletes a row; one that is not there stays so.
    pub fn delete(&mut self, table: Table, uuid: Uuid) {
        self.rows.insert((table, uuid), None);
    }
}
