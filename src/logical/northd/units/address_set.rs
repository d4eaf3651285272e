//! Address sets.

use crate::logical::nb;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::AddressSet;
use crate::logical::rows::{Table, Uuid};

/// A set, as it is written.
pub struct Set;

impl Unit for Set {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        if let Some(set) = view.row::<nb::tables::AddressSet>(uuid) {
            let row = AddressSet { addresses: set.addresses.clone(), name: set.name.clone() };
            output.row(names::southbound(Table::AddressSet, &*set.name), row);
        }
    }
}
