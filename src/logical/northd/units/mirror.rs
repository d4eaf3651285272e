//! Mirrors.

use crate::logical::nb;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::Uuid;
use crate::logical::rows::tables::Mirror;

/// A mirror, as it is written.
pub struct Row;

impl Unit for Row {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(row) = view.row::<nb::tables::Mirror>(uuid) else { return };
        let row = Mirror {
            filter: row.filter.clone(),
            index: row.index,
            kind: row.kind.clone(),
            name: row.name.clone(),
            sink: row.sink.clone(),
            ..Mirror::default()
        };
        output.row(names::mirror(uuid), row);
    }
}
