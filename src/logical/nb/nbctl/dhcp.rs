//! `dhcp-options-*`: what the switch answers to DHCP.

use super::address::Network;
use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{DhcpOptions, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("dhcp-options-create", "CIDR [KEY=VALUE]...", (1, MANY), &[], create),
    writes("dhcp-options-del", "UUID", (1, 1), &[], delete),
    reads("dhcp-options-list", "", (0, 0), &[], list),
    writes("dhcp-options-set-options", "UUID [KEY=VALUE]...", (1, MANY), &[], set_options),
    reads("dhcp-options-get-options", "UUID", (1, 1), &[], options),
];

fn create(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let cidr = call.arg(0);
    if Network::any(cidr).is_none() {
        return Err(NbctlError::value(cidr, "is no network; write such as 10.0.0.0/24 or fd00::/64"));
    }
    let external_ids = set::pairs(call.rest(1));
    context.insert(DhcpOptions { cidr: cidr.to_owned(), external_ids, ..DhcpOptions::default() });
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (uuid, _) = context.dhcp_options(call.arg(0))?;
    context.edit.delete(Table::DhcpOptions, uuid);
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let rows = context.rows().iter::<DhcpOptions>().map(|(uuid, row)| (row.cidr.clone(), uuid));
    let mut rows: Vec<(String, Uuid)> = rows.collect();
    rows.sort();
    rows.iter().for_each(|(_, uuid)| context.print(format_args!("{uuid}\n")));
    Ok(())
}

fn set_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (uuid, _) = context.dhcp_options(call.arg(0))?;
    context.edit.update(uuid, |row: &mut DhcpOptions| row.options = set::pairs(call.rest(1)));
    Ok(())
}

fn options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.dhcp_options(call.arg(0))?;
    row.options.iter().for_each(|(key, value)| context.print(format_args!("{key}={value}\n")));
    Ok(())
}
