//! The logical half of the switch: the Southbound rows, and the chassis that it is.

use tokio::sync::OwnedSemaphorePermit;

use crate::logical::rows::{Database, Table};

/// Most bytes of one dump.
pub const MAX_DUMP: usize = 256 << 20;

/// What commands know of logical networks.
#[derive(Default)]
pub struct Logical {
    /// The rows.
    pub rows: Database,
    /// The name of the chassis that this switch is; without it no port is here.
    pub chassis: Option<String>,
}

impl Logical {
    /// Tables that have rows, and how many rows there are in all.
    pub fn size(&self) -> (usize, usize) {
        let store = self.rows.snapshot();
        let lengths = Table::ALL.iter().map(|table| store.len(*table)).filter(|rows| *rows > 0);
        lengths.fold((0, 0), |(tables, rows), length| (tables + 1, rows + length))
    }
}

/// The parts of a dump that a client has sent so far. Only one client at a time may have one, so that dumps do not fill
/// the memory.
#[derive(Debug)]
pub struct Upload {
    /// The text so far.
    pub text: String,
    /// The turn to load, given back when the client is done or gone.
    pub turn: OwnedSemaphorePermit,
}
