//! `lrp-*`: ports of logical routers.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::address::{self, Network};
use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::tables::{GatewayChassis, LogicalRouter, LogicalRouterPort, Table};
use crate::logical::nb::{Store, Uuid};

pub const COMMANDS: &[Syntax] = &[
    writes("lrp-add", "ROUTER PORT MAC NETWORK... [COLUMN[:KEY]=VALUE]...", (4, MANY), &["--may-exist"], add),
    writes(
        "lrp-set-gateway-chassis",
        "PORT CHASSIS [PRIORITY]",
        (2, 3),
        &["--may-exist"],
        set_gateway_chassis,
    ),
    writes("lrp-set-options", "PORT [KEY=VALUE]...", (1, MANY), &[], set_options),
    writes("lrp-del-gateway-chassis", "PORT CHASSIS", (2, 2), &[], delete_gateway_chassis),
    reads("lrp-get-gateway-chassis", "PORT", (1, 1), &[], gateway_chassis),
    writes("lrp-del", "PORT", (1, 1), &["--if-exists"], delete),
    reads("lrp-list", "ROUTER", (1, 1), &[], list),
    writes("lrp-set-enabled", "PORT enabled|disabled", (2, 2), &[], set_enabled),
    reads("lrp-get-enabled", "PORT", (1, 1), &[], enabled),
    writes("lrp-set-redirect-type", "PORT overlay|bridged", (2, 2), &[], set_redirect_type),
    reads("lrp-get-redirect-type", "PORT", (1, 1), &[], redirect_type),
];

const REDIRECT_TYPE: &str = "redirect-type";

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, _) = context.router(call.arg(0))?;
    let (name, mac, words) = (call.arg(1), call.arg(2), call.rest(3));
    let count = words.iter().take_while(|word| !word.contains('=')).count();
    let (networks, settings) = words.split_at_checked(count).unwrap_or((words, &[]));
    if networks.is_empty() {
        let mend = "needs a network; write such as 192.168.0.1/24 behind the Ethernet address";
        return Err(NbctlError::value(name, mend));
    }
    if address::mac(mac).is_none() {
        return Err(NbctlError::value(mac, "is no Ethernet address; write such as 02:00:00:00:00:01"));
    }
    if let Some((port, row)) = context.router_port_if(name) {
        if !call.has("--may-exist") {
            let mend = "choose another name, or write --may-exist before the command";
            return Err(NbctlError::exists("port", name, mend));
        }
        let (other, router_row) = context.router_of(port, name)?;
        if other != router {
            let router = if router_row.name.is_empty() { other.to_string() } else { router_row.name.clone() };
            let mend =
                format!("it is in router {}, so delete it there, or choose another name", shortened(&router));
            return Err(NbctlError::exists("port", name, &mend));
        }
        return same(name, &row, mac, networks, settings);
    }
    if let Some(bad) = networks.iter().find(|network| Network::any(network).is_none()) {
        return Err(NbctlError::value(bad, "is no network; write such as 192.168.0.1/24 or fd00::1/64"));
    }
    let port = context.insert(LogicalRouterPort {
        mac: mac.to_owned(),
        name: name.to_owned(),
        networks: set::words(networks),
        ..LogicalRouterPort::default()
    });
    for setting in settings {
        context.set_column(Table::LogicalRouterPort, port, setting)?;
    }
    context.edit.update(router, |row: &mut LogicalRouter| _ = row.ports.insert(port));
    Ok(())
}

/// Whether a port that may exist is as it would be made.
fn same(
    name: &str,
    row: &LogicalRouterPort,
    mac: &str,
    networks: &[String],
    settings: &[String],
) -> Result<(), NbctlError> {
    let different = |is: &str| {
        let mend = format!("it has another {is}, so delete it first, or say the same");
        Err(NbctlError::exists("port", name, &mend))
    };
    if address::mac(mac) != address::mac(&row.mac) {
        return different("Ethernet address");
    }
    let normal = |networks: &mut dyn Iterator<Item = &String>| -> Option<BTreeSet<String>> {
        networks.map(|network| address::normal(network)).collect()
    };
    let wanted = normal(&mut networks.iter());
    if wanted.is_none() || wanted != normal(&mut row.networks.iter()) {
        return different("network");
    }
    let peer = settings.iter().find_map(|setting| setting.strip_prefix("peer="));
    if peer != row.peer.as_deref() { different("peer") } else { Ok(()) }
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    let found =
        if call.has("--if-exists") { context.router_port_if(name) } else { Some(context.router_port(name)?) };
    if let Some((port, _)) = found {
        let (router, _) = context.router_of(port, name)?;
        context.edit.update(router, |row: &mut LogicalRouter| _ = row.ports.remove(&port));
        context.edit.delete(Table::LogicalRouterPort, port);
    }
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, router) = context.router(call.arg(0))?;
    let ports = context.all::<LogicalRouterPort>(&router.ports);
    context.print_names(ports.into_iter().map(|(uuid, row)| (row.name, uuid)).collect());
    Ok(())
}

/// Changes the port that is named first.
fn change(
    context: &mut Context,
    call: &Call<'_>,
    change: impl FnOnce(&mut LogicalRouterPort),
) -> Result<(), NbctlError> {
    let (port, _) = context.router_port(call.arg(0))?;
    context.edit.update(port, change);
    Ok(())
}

fn set_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    change(context, call, |row| row.options = set::pairs(call.rest(1)))
}

fn set_enabled(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.router_port(call.arg(0))?;
    let enabled = set::enabled(call.arg(1))?;
    change(context, call, |row| row.enabled = Some(enabled))
}

fn enabled(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router_port(call.arg(0))?;
    context.print(format_args!("{}\n", set::enabled_word(row.enabled)));
    Ok(())
}

fn set_redirect_type(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.router_port(call.arg(0))?;
    let kind = call.arg(1);
    if !["bridged", "overlay"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Err(NbctlError::value(kind, "is no way to redirect; write overlay or bridged"));
    }
    change(context, call, |row| _ = row.options.insert(REDIRECT_TYPE.to_owned(), kind.to_owned()))
}

fn redirect_type(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router_port(call.arg(0))?;
    context.print(format_args!("{}\n", row.options.get(REDIRECT_TYPE).map_or("overlay", String::as_str)));
    Ok(())
}

/// The chassis that may host a port, the preferred one first.
fn by_priority(rows: &Store, port: &LogicalRouterPort) -> Vec<GatewayChassis> {
    let chassis = port.gateway_chassis.iter().filter_map(|uuid| rows.get::<GatewayChassis>(*uuid));
    let mut chassis: Vec<GatewayChassis> = chassis.map(|row| GatewayChassis::clone(row)).collect();
    chassis.sort_by_cached_key(|row| Reverse((row.priority, row.name.clone())));
    chassis
}

fn set_gateway_chassis(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (port, _) = context.router_port(call.arg(0))?;
    let chassis_name = call.arg(1);
    let priority = call.arg_if(2).map_or(Ok(0), set::priority)?;
    let name = format!("{}-{chassis_name}", call.arg(0));
    let known = context.rows().gateway_chassis(&name).map(|(uuid, _)| uuid);
    let chassis = known.unwrap_or_else(|| {
        let chassis_name = chassis_name.to_owned();
        context.insert(GatewayChassis { chassis_name, name, ..GatewayChassis::default() })
    });
    context.edit.update(chassis, |row: &mut GatewayChassis| row.priority = priority);
    context.edit.update(port, |row: &mut LogicalRouterPort| _ = row.gateway_chassis.insert(chassis));
    Ok(())
}

fn delete_gateway_chassis(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (port, row) = context.router_port(call.arg(0))?;
    let chassis = context.all::<GatewayChassis>(&row.gateway_chassis);
    let found: Option<Uuid> =
        chassis.into_iter().find(|(_, row)| call.arg(1).starts_with(&row.chassis_name)).map(|(uuid, _)| uuid);
    let mend = "lrp-get-gateway-chassis shows them";
    let chassis = found.ok_or_else(|| NbctlError::missing("chassis of the port", call.arg(1), mend))?;
    context.edit.update(port, |row: &mut LogicalRouterPort| _ = row.gateway_chassis.remove(&chassis));
    context.edit.delete(Table::GatewayChassis, chassis);
    Ok(())
}

fn gateway_chassis(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router_port(call.arg(0))?;
    for GatewayChassis { name, priority, .. } in by_priority(context.rows(), &row) {
        context.print(format_args!("{name} {priority:>5}\n"));
    }
    Ok(())
}
