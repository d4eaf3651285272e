//! What a unit makes: flows and Southbound rows.

use std::sync::Arc;

use super::stage::Stage;
use crate::logical::rows::{AnyRow, Row, Uuid};

/// A logical flow, apart from where it is done.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// Where it stands.
    pub stage: Stage,
    /// The greatest wins.
    pub priority: u16,
    /// What it is done to.
    pub matches: Box<str>,
    /// What is done.
    pub actions: Box<str>,
    /// The meter of what goes to the controller.
    pub meter: Option<Box<str>>,
}

/// What is said of a flow besides.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Note {
    /// The Northbound row that it is made for.
    pub hint: Option<Uuid>,
    /// The port without which no chassis needs it.
    pub io_port: Option<Box<str>>,
}

/// A flow of one datapath.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The Northbound row of the switch or router.
    pub datapath: Uuid,
    /// The flow.
    pub flow: Flow,
    /// And what is said of it.
    pub note: Note,
}

/// A flow of a switch or router, which is named by its Northbound row.
pub fn flow(
    datapath: Uuid,
    stage: Stage,
    priority: u16,
    matches: impl Into<Box<str>>,
    actions: impl Into<Box<str>>,
) -> Wanted {
    let flow = Flow { stage, priority, matches: matches.into(), actions: actions.into(), meter: None };
    Wanted { datapath, flow, note: Note::default() }
}

impl Wanted {
    /// Made for a Northbound row.
    pub fn hint(mut self, row: Uuid) -> Self {
        self.note.hint = Some(row);
        self
    }

    /// Of use only where this port is.
    pub fn io_port(mut self, name: &str) -> Self {
        self.note.io_port = Some(name.into());
        self
    }

    /// Its packets to the controller are counted by a meter.
    pub fn meter(mut self, name: Option<&str>) -> Self {
        self.flow.meter = name.map(Into::into);
        self
    }
}

/// What one unit makes.
#[derive(Default, Debug)]
pub struct Output {
    pub(super) flows: Vec<Wanted>,
    pub(super) rows: Vec<(Uuid, AnyRow)>,
    pub(super) troubles: Vec<String>,
}

impl Output {
    /// A flow.
    pub fn add(&mut self, wanted: Wanted) {
        self.flows.push(wanted);
    }

    /// A Southbound row, which no other unit makes. Of datapaths and ports the key is 0, and given later.
    pub fn row<T: Row>(&mut self, uuid: Uuid, row: T) {
        self.rows.push((uuid, Arc::new(row).into_any()));
    }

    /// A sentence about what is not compiled, or not wholly.
    pub fn trouble(&mut self, sentence: impl Into<String>) {
        self.troubles.push(sentence.into());
    }
}
