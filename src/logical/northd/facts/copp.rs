//! Meters that protect the control plane.

use std::sync::Arc;

use crate::logical::nb::tables::Copp;
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::rows::Uuid;

/// The meter for packets of a protocol, of a row of meters: none unless there is a meter of that name.
pub struct Protecting;

impl Query for Protecting {
    type Value = Option<String>;

    fn compute(view: &View<'_>, of: &Of) -> Option<String> {
        let row = view.row::<Copp>(of.uuid())?;
        let name = row.meters.get(of.name())?;
        view.meter(name).map(|_| name.clone())
    }
}

/// The meter for packets of a protocol, of a switch or router with such a row or without.
pub fn protecting(view: &View<'_>, row: Option<Uuid>, protocol: &str) -> Option<String> {
    let meter = view.ask::<Protecting>(Of::Named(row?, Arc::from(protocol)));
    meter.as_ref().clone()
}
