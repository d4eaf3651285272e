//! Meters.

use std::collections::BTreeSet;

use crate::logical::nb;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::{Meter, MeterBand};
use crate::logical::rows::{Table, Uuid};

/// A meter with its bands.
pub struct Limit;

impl Unit for Limit {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        if let Some(meter) = view.row::<nb::tables::Meter>(uuid) {
            copy(view, meter, &meter.name, output);
        }
    }
}

/// The rows of a meter under a name.
fn copy(view: &View<'_>, meter: &nb::tables::Meter, name: &str, output: &mut Output) {
    let mut bands = BTreeSet::new();
    for band in &meter.bands {
        let Some(row) = view.row::<nb::tables::MeterBand>(*band) else { continue };
        let uuid = names::southbound(Table::MeterBand, (name, band));
        bands.insert(uuid);
        let (rate, burst_size) = (row.rate, row.burst_size);
        output.row(uuid, MeterBand { action: row.action.clone(), rate, burst_size });
    }
    let row = Meter { name: name.to_owned(), bands, unit: meter.unit.clone() };
    output.row(names::southbound(Table::Meter, name), row);
}

/// The name of the meter that a rule means by a name: its own copy, which is made here, of one that gives every user the
/// rate for itself.
pub fn own_copy(view: &View<'_>, name: &str, rule: Uuid, output: &mut Output) -> String {
    match view.meter(name) {
        Some((_, meter)) if meter.fair == Some(true) => {
            let own = format!("{name}__{rule}");
            copy(view, meter, &own, output);
            own
        }
        _ => name.to_owned(),
    }
}
