//! The logical half of the switch: the Southbound rows, and the chassis that it is.

use tokio::sync::OwnedSemaphorePermit;

use crate::logical::rows::{Cursor, Database, Table};
use crate::logical::trace::Tracer;

/// Most bytes of one dump.
pub const MAX_DUMP: usize = 256 << 20;

/// What commands know of logical networks.
#[derive(Default)]
pub struct Logical {
    /// The rows.
    pub rows: Database,
    /// The name of the chassis that this switch is; without it no port is here.
    pub chassis: Option<String>,
    /// What the last trace left behind.
    kept: Option<Tracing>,
}

/// A tracer, and how far it has followed the rows.
pub struct Tracing {
    /// The tracer.
    pub tracer: Tracer,
    seen: Cursor,
}

impl Logical {
    /// A tracer through the rows as they are: the one that was kept, if nothing changed since. Whoever has it keeps it
    /// when done; who asks meanwhile gets another one.
    pub fn tracing(&mut self) -> Tracing {
        let rows = &self.rows;
        let kept = self.kept.take();
        let current = kept.and_then(|mut kept| kept.seen.poll(rows).changes.is_empty().then_some(kept));
        current.unwrap_or_else(|| Tracing {
            tracer: Tracer::new(rows.snapshot().clone()),
            seen: rows.subscribe(),
        })
    }

    /// Keeps a tracer with the flows that it has read.
    pub fn keep(&mut self, tracing: Tracing) {
        self.kept = Some(tracing);
    }

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
