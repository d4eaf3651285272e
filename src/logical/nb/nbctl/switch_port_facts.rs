//! `lsp-get-*`: what is known of a switch port.

use super::context::{Call, Context, Syntax, reads};
use super::error::NbctlError;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::DhcpOptions;

pub const COMMANDS: &[Syntax] = &[
    reads("lsp-get-parent", "PORT", (1, 1), &[], parent),
    reads("lsp-get-tag", "PORT", (1, 1), &[], tag),
    reads("lsp-get-addresses", "PORT", (1, 1), &[], addresses),
    reads("lsp-get-port-security", "PORT", (1, 1), &[], port_security),
    reads("lsp-get-up", "PORT", (1, 1), &[], up),
    reads("lsp-get-enabled", "PORT", (1, 1), &[], enabled),
    reads("lsp-get-type", "PORT", (1, 1), &[], kind),
    reads("lsp-get-options", "PORT", (1, 1), &[], options),
    reads("lsp-get-dhcpv4-options", "PORT", (1, 1), &[], dhcpv4_options),
    reads("lsp-get-dhcpv6-options", "PORT", (1, 1), &[], dhcpv6_options),
    reads("lsp-get-ls", "PORT", (1, 1), &[], switch),
];

fn parent(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    if let Some(parent) = &row.parent_name {
        context.print(format_args!("{parent}\n"));
    }
    Ok(())
}

fn tag(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    if let Some(tag) = row.tag {
        context.print(format_args!("{tag}\n"));
    }
    Ok(())
}

fn addresses(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    let is_router = row.addresses.len() == 1 && row.addresses.contains("router");
    let faced = row.options.get("router-port").filter(|_| is_router);
    if let Some((_, port)) = faced.and_then(|port| context.router_port_if(port)) {
        let networks: String = port.networks.iter().map(|network| format!(" {network}")).collect();
        context.print(format_args!("{}{networks}\n", port.mac));
        return Ok(());
    }
    row.addresses.iter().for_each(|address| context.print(format_args!("{address}\n")));
    Ok(())
}

fn port_security(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    row.port_security.iter().for_each(|address| context.print(format_args!("{address}\n")));
    Ok(())
}

fn up(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    context.print(format_args!("{}\n", if row.up == Some(true) { "up" } else { "down" }));
    Ok(())
}

fn enabled(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    context.print(format_args!("{}\n", set::enabled_word(row.enabled)));
    Ok(())
}

fn kind(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    context.print(format_args!("{}\n", row.kind));
    Ok(())
}

fn options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    row.options.iter().for_each(|(key, value)| context.print(format_args!("{key}={value}\n")));
    Ok(())
}

fn print_dhcp(context: &mut Context, options: Option<Uuid>) {
    let row = options.and_then(|uuid| Some((uuid, context.rows().get::<DhcpOptions>(uuid)?.clone())));
    if let Some((uuid, row)) = row {
        context.print(format_args!("{uuid} ({})\n", row.cidr));
    }
}

fn dhcpv4_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    print_dhcp(context, row.dhcpv4_options);
    Ok(())
}

fn dhcpv6_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    print_dhcp(context, row.dhcpv6_options);
    Ok(())
}

fn switch(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (port, _) = context.switch_port(call.arg(0))?;
    if let Some((uuid, switch)) = context.rows().switch_of(port) {
        let name = switch.name.clone();
        context.print(format_args!("{uuid} ({name})\n"));
    }
    Ok(())
}
