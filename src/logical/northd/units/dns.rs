//! Names that switches answer for.

use std::collections::{BTreeMap, BTreeSet};

use crate::logical::nb;
use crate::logical::nb::tables::LogicalSwitch;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::Dns;
use crate::logical::rows::{Table, Uuid};

/// Names, with the switches that answer for them.
pub struct Row;

impl Unit for Row {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(row) = view.row::<nb::tables::Dns>(uuid) else { return };
        let switches = view.mentions::<LogicalSwitch>(nb::Table::Dns, uuid);
        let datapaths: BTreeSet<Uuid> = switches.into_iter().map(names::datapath).collect();
        if datapaths.is_empty() {
            return;
        }
        let records = row.records.iter().map(|(name, to)| (name.clone(), to.to_lowercase())).collect();
        let external_ids = BTreeMap::from([("dns_id".to_owned(), uuid.to_string())]);
        output.row(names::southbound(Table::Dns, uuid), Dns { datapaths, external_ids, records });
    }
}
