//! `pg-*`: groups of ports.

use std::collections::BTreeSet;

use super::context::{Call, Context, MANY, Syntax, writes};
use super::error::NbctlError;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{PortGroup, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("pg-add", "GROUP [PORT]...", (1, MANY), &[], add),
    writes("pg-set-ports", "GROUP PORT...", (2, MANY), &[], set_ports),
    writes("pg-del", "GROUP", (1, 1), &[], delete),
];

/// The ports that are named behind the group.
fn ports(context: &Context, call: &Call<'_>) -> Result<BTreeSet<Uuid>, NbctlError> {
    call.rest(1).iter().map(|port| Ok(context.switch_port(port)?.0)).collect()
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    if context.rows().port_group(name).is_some() {
        return Err(NbctlError::exists("port group", name, "choose another name, or use pg-set-ports"));
    }
    let ports = ports(context, call)?;
    context.insert(PortGroup { name: name.to_owned(), ports, ..PortGroup::default() });
    Ok(())
}

fn set_ports(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (group, _) = context.port_group(call.arg(0))?;
    let ports = ports(context, call)?;
    context.edit.update(group, |row: &mut PortGroup| row.ports = ports);
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (group, _) = context.port_group(call.arg(0))?;
    context.edit.delete(Table::PortGroup, group);
    Ok(())
}
