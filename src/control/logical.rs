//! The logical half of the switch: the Southbound rows, and the chassis that it is.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::bound::Bound;
use super::chassis::{self, Following, Lower};
use super::learning::{Counts, NotLearned};
use super::logs::Logs;
use super::northbound::Northbound;
use crate::logical::rows::{Database, Table};
use crate::logical::trace::Tracer;

/// What commands know of logical networks.
pub struct Logical {
    /// The rows.
    pub rows: Database,
    /// What they are compiled of.
    pub northbound: Northbound,
    /// Whether they come from a dump instead.
    pub is_loaded: bool,
    /// The name of the chassis that this switch is; without it no port is here.
    pub chassis: Option<String>,
    /// How far rows have become flows; none at first, and while it is taken out to be carried on.
    pub following: Option<Box<Following>>,
    /// Which ports are which logical ports.
    pub bound: Bound,
    /// How rows become flows.
    pub lower: Lower,
    /// How long the control thread was busy making flows of rows, so far.
    pub busy: Duration,
    /// How many rows of neighbours and addresses there are.
    pub learned: Counts,
    /// What was not learned.
    pub not_learned: NotLearned,
    /// What is known of the logs that flows write.
    pub logs: Logs,
    /// What the last trace left behind.
    kept: Option<Tracing>,
}

/// A tracer, and the version of the rows that it knows.
pub struct Tracing {
    /// The tracer.
    pub tracer: Tracer,
    version: u64,
}

impl Logical {
    /// Without rows.
    pub fn new(bound: Bound, northbound: Northbound) -> Self {
        Self {
            rows: Database::default(),
            northbound,
            is_loaded: false,
            chassis: None,
            following: None,
            bound,
            lower: chassis::lower,
            busy: Duration::ZERO,
            learned: Counts::default(),
            not_learned: NotLearned::default(),
            logs: Logs::default(),
            kept: None,
        }
    }

    /// A tracer through the rows as they are: the one that was kept, if nothing changed since. Whoever has it keeps it
    /// when done; who asks meanwhile gets another one.
    pub fn tracing(&mut self) -> Tracing {
        let version = self.rows.version();
        let kept = self.kept.take().filter(|kept| kept.version == version);
        kept.unwrap_or_else(|| Tracing { tracer: Tracer::new(self.rows.snapshot().clone()), version })
    }

    /// Keeps a tracer with the flows that it has read, unless the rows have changed meanwhile.
    pub fn keep(&mut self, tracing: Tracing) {
        if tracing.version == self.rows.version() {
            self.kept = Some(tracing);
        }
    }

    /// Gives the kept tracer away, so that rows which are no more do not stay in memory for it.
    pub fn forget(&mut self) -> Option<Tracing> {
        self.kept.take()
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
    /// The command that it is for.
    pub command: &'static str,
    /// The text so far.
    pub text: String,
    /// The turn to load, given back when the client is done, gone or silent.
    pub turn: OwnedSemaphorePermit,
}

/// Where a client's upload waits for its next part, but not for ever.
#[derive(Debug)]
pub struct Waiting {
    slot: Rc<RefCell<Slot>>,
    /// How long it waits.
    pub patience: Duration,
    timer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Slot {
    Empty,
    Parts(Upload),
    GivenUp,
}

/// The next part came too late.
#[derive(Debug)]
pub struct TooLate;

impl Default for Waiting {
    fn default() -> Self {
        Self { slot: Rc::new(RefCell::new(Slot::Empty)), patience: Duration::from_secs(30), timer: None }
    }
}

impl Waiting {
    /// Puts an upload here until the next part comes.
    pub fn put(&mut self, upload: Upload) {
        self.slot.replace(Slot::Parts(upload));
        let (slot, patience) = (Rc::downgrade(&self.slot), self.patience);
        self.timer = Some(tokio::task::spawn_local(async move {
            tokio::time::sleep(patience).await;
            if let Some(slot) = slot.upgrade() {
                slot.replace(Slot::GivenUp);
            }
        }));
    }

    /// Takes the upload, if there is one.
    pub fn take(&mut self) -> Result<Option<Upload>, TooLate> {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        match self.slot.replace(Slot::Empty) {
            Slot::Empty => Ok(None),
            Slot::Parts(upload) => Ok(Some(upload)),
            Slot::GivenUp => Err(TooLate),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}
