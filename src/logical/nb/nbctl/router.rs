//! `lr-add`, `lr-del`, `lr-list`: logical routers.

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::switch::new_name;
use crate::logical::nb::tables::{LogicalRouter, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("lr-add", "[ROUTER]", (0, 1), &["--may-exist", "--add-duplicate"], add),
    writes("lr-del", "ROUTER", (1, 1), &["--if-exists"], delete),
    reads("lr-list", "", (0, 0), &[], list),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let exists = |name: &str| context.rows().routers_named(name).next().is_some();
    if let Some(name) = new_name(call, "router", exists)? {
        context.insert(LogicalRouter { name: name.to_owned(), ..LogicalRouter::default() });
    }
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let found = if call.has("--if-exists") {
        context.router_if(call.arg(0))?
    } else {
        Some(context.router(call.arg(0))?)
    };
    if let Some((uuid, _)) = found {
        context.edit.delete(Table::LogicalRouter, uuid);
    }
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let routers = context.rows().iter::<LogicalRouter>().map(|(uuid, row)| (row.name.clone(), uuid));
    let routers = routers.collect();
    context.print_names(routers);
    Ok(())
}
