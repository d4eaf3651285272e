//! `static-mac-binding-*`: neighbours that are configured.

use super::address::{self, Network};
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use crate::logical::nb::tables::{StaticMacBinding, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("static-mac-binding-add", "PORT IP MAC", (3, 3), &["--may-exist"], add),
    writes("static-mac-binding-del", "PORT IP", (2, 2), &["--if-exists"], delete),
    reads("static-mac-binding-list", "", (0, 0), &[], list),
];

/// The normal form of an IP address.
fn ip(written: &str) -> Result<String, NbctlError> {
    let host =
        Network::host(written).ok_or_else(|| NbctlError::value(written, "is no IP address; write one"))?;
    Ok(host.normal())
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (port, written, mac) = (call.arg(0), call.arg(1), call.arg(2));
    context.router_port(port)?;
    let ip = ip(written)?;
    if address::mac(mac).is_none() {
        return Err(NbctlError::value(mac, "is no Ethernet address; write such as 02:00:00:00:00:01"));
    }
    let is_normal = ip == written;
    match context.rows().static_mac_binding(port, &ip).map(|(uuid, _)| uuid) {
        Some(uuid) if is_normal && call.has("--may-exist") => {
            context.edit.update(uuid, |row: &mut StaticMacBinding| mac.clone_into(&mut row.mac));
        }
        // The original takes another form of the address for another address, and then for the same.
        Some(_) => {
            let mend =
                if is_normal { "write --may-exist before the command" } else { "write it in this form" };
            return Err(NbctlError::exists("binding of", &ip, mend));
        }
        None => {
            let (logical_port, mac) = (port.to_owned(), mac.to_owned());
            context.insert(StaticMacBinding { ip, logical_port, mac, ..StaticMacBinding::default() });
        }
    }
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.router_port(call.arg(0))?;
    let ip = ip(call.arg(1))?;
    match context.rows().static_mac_binding(call.arg(0), &ip).map(|(uuid, _)| uuid) {
        Some(uuid) => context.edit.delete(Table::StaticMacBinding, uuid),
        None if call.has("--if-exists") => {}
        None => {
            let mend = "static-mac-binding-list shows them";
            return Err(NbctlError::missing("binding of", &ip, mend));
        }
    }
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let rows = context.rows().iter::<StaticMacBinding>();
    let line = |row: &StaticMacBinding| (format!("{:<25}{:<25}", row.logical_port, row.ip), row.mac.clone());
    let mut lines: Vec<_> = rows.map(|(_, row)| line(row)).collect();
    lines.sort();
    if !lines.is_empty() {
        let [port, ip, mac] = ["LOGICAL_PORT", "IP", "MAC"];
        context.print(format_args!("{port:<25}{ip:<25}{mac}\n"));
    }
    lines.iter().for_each(|(key, mac)| context.print(format_args!("{key:<25}{mac}\n")));
    Ok(())
}
