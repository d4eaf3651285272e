//! `show`: chassis, how they are reached, and the ports that they have.

use super::names::ColumnName;
use crate::logical::rows::datum::Datum;
use crate::logical::rows::store::Store;
use crate::logical::rows::tables::{AnyRow, Chassis, Encap, PortBinding, Row as _, Table};
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

/// `show`
pub fn show(store: &Store) -> String {
    let mut out = String::new();
    for (uuid, row) in store.rows(Table::Chassis) {
        out.push_str(&format!("Chassis {}\n", value(row, "name")));
        line(&mut out, 1, row, "hostname");
        let encaps = Chassis::from_any(row).into_iter().flat_map(|chassis| &chassis.encaps);
        for encap in encaps.filter_map(|encap| store.row(Encap::TABLE, *encap)) {
            out.push_str(&format!("    Encap {}\n", value(encap, "type")));
            line(&mut out, 2, encap, "ip");
            line(&mut out, 2, encap, "options");
        }
        for (_, port) in store.iter::<PortBinding>().filter(|(_, port)| port.chassis == Some(uuid)) {
            out.push_str(&format!("    Port_Binding {}\n", value(&port.clone().into_any(), "logical_port")));
        }
    }
    out
}

/// A column of a row, printed.
fn value(row: &AnyRow, column: &str) -> String {
    let table = row.table();
    let column = table.column(column).map_or(ColumnName::Uuid, ColumnName::Column);
    text::print(&column.get(Uuid::default(), row), column.kind(table))
}

/// A column of a row with its name on a line, unless it has its default.
fn line(out: &mut String, level: usize, row: &AnyRow, column: &str) {
    let table = row.table();
    let get = |row: &AnyRow| table.column(column).and_then(|at| row.get(at)).unwrap_or(Datum::Set(Vec::new()));
    if get(row) != get(&table.empty_row()) {
        out.push_str(&format!("{:indent$}{column}: {}\n", "", value(row, column), indent = level * 4));
    }
}
