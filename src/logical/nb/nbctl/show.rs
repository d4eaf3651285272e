//! `show`: switches and routers with what belongs to them.

use std::fmt::Write as _;

use super::context::{Call, Context, Syntax, reads};
use super::error::NbctlError;
use crate::logical::nb::tables::{
    GatewayChassis, LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, Nat,
};
use crate::logical::nb::{Store, Uuid};
use crate::logical::rows::tables::Pairs;

pub const COMMANDS: &[Syntax] = &[reads("show", "[SWITCH|ROUTER]", (0, 1), &[], show)];

fn show(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let mut out = String::new();
    let rows = context.rows();
    match call.arg_if(0) {
        Some(name) => {
            if let Some((uuid, row)) = context.switch_if(name)? {
                show_switch(&mut out, rows, uuid, &row);
            }
            if let Some((uuid, row)) = context.router_if(name)? {
                show_router(&mut out, rows, uuid, &row);
            }
        }
        None => {
            rows.iter::<LogicalSwitch>().for_each(|(uuid, row)| show_switch(&mut out, rows, uuid, row));
            rows.iter::<LogicalRouter>().for_each(|(uuid, row)| show_router(&mut out, rows, uuid, row));
        }
    }
    context.print(format_args!("{out}"));
    Ok(())
}

/// Appends a line; writing into a string succeeds.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {
        _ = writeln!($out, $($format)*)
    };
}

/// The name that another system gave a row.
fn alias(external_ids: &Pairs, key: &str) -> String {
    let alias = external_ids.get(key).filter(|alias| !alias.is_empty());
    alias.map_or(String::new(), |alias| format!(" (aka {alias})"))
}

fn quoted<'a>(words: impl Iterator<Item = &'a String>) -> String {
    words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn show_switch(out: &mut String, rows: &Store, uuid: Uuid, row: &LogicalSwitch) {
    line!(out, "switch {uuid} ({}){}", row.name, alias(&row.external_ids, "neutron:network_name"));
    for port in row.ports.iter().filter_map(|port| rows.get::<LogicalSwitchPort>(*port)) {
        line!(out, "    port {}{}", port.name, alias(&port.external_ids, "neutron:port_name"));
        if !port.kind.is_empty() {
            line!(out, "        type: {}", port.kind);
        }
        if let Some(parent) = &port.parent_name {
            line!(out, "        parent: {parent}");
        }
        if let Some(tag) = port.tag {
            line!(out, "        tag: {tag}");
        }
        let is_router = port.addresses.len() == 1 && port.addresses.contains("router");
        if !port.addresses.is_empty() && !is_router {
            line!(out, "        addresses: [{}]", quoted(port.addresses.iter()));
        }
        if let Some(router_port) = port.options.get("router-port") {
            line!(out, "        router-port: {router_port}");
        }
    }
}

fn show_router(out: &mut String, rows: &Store, uuid: Uuid, row: &LogicalRouter) {
    line!(out, "router {uuid} ({}){}", row.name, alias(&row.external_ids, "neutron:router_name"));
    for port in row.ports.iter().filter_map(|port| rows.get::<LogicalRouterPort>(*port)) {
        line!(out, "    port {}", port.name);
        line!(out, "        mac: \"{}\"", port.mac);
        if !port.networks.is_empty() {
            line!(out, "        networks: [{}]", quoted(port.networks.iter()));
        }
        if let Some(table) = port.options.get("route_table") {
            line!(out, "        route-table: {table}");
        }
        if !port.gateway_chassis.is_empty() {
            // In no order that would mean anything; lrp-get-gateway-chassis has that of their priorities.
            let chassis = port.gateway_chassis.iter().filter_map(|uuid| rows.get::<GatewayChassis>(*uuid));
            let names: Vec<&str> = chassis.map(|row| row.chassis_name.as_str()).collect();
            line!(out, "        gateway chassis: [{}]", names.join(" "));
        }
    }
    for (uuid, nat) in row.nat.iter().filter_map(|nat| Some((nat, rows.get::<Nat>(*nat)?))) {
        line!(out, "    nat {uuid}");
        line!(out, "        external ip: \"{}\"", nat.external_ip);
        if !nat.external_port_range.is_empty() {
            line!(out, "        external port(s): \"{}\"", nat.external_port_range);
        }
        line!(out, "        logical ip: \"{}\"", nat.logical_ip);
        line!(out, "        type: \"{}\"", nat.kind);
    }
}
