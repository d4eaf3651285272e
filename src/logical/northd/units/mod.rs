//! What is compiled: each unit is one side of a row.

mod switch;

use super::compiler::Kind;
use crate::logical::nb::Table;

/// All kinds of units.
pub(super) const UNITS: &[Kind] =
    &[Kind::of::<switch::Datapath>(Table::LogicalSwitch), Kind::of::<switch::Fixed>(Table::LogicalSwitch)];
