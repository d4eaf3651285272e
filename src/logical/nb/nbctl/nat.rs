//! `lr-nat-*`: translations of addresses in routers.

use super::address::{self, Network};
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, Nat};
use crate::logical::rows::tables::Pairs;

pub const COMMANDS: &[Syntax] = &[
    writes(
        "lr-nat-add",
        "ROUTER TYPE EXTERNAL_IP LOGICAL_IP [LOGICAL_PORT EXTERNAL_MAC] [EXTERNAL_PORT_RANGE]",
        (4, 7),
        &["--may-exist", "--stateless", "--portrange", "--add-route", "--gateway-port="],
        add,
    ),
    writes("lr-nat-del", "ROUTER [TYPE [IP] [GATEWAY_PORT]]", (1, 4), &["--if-exists"], delete),
    reads("lr-nat-list", "ROUTER", (1, 1), &[], list),
    writes(
        "lr-nat-update-ext-ip",
        "ROUTER TYPE IP ADDRESS_SET",
        (4, 4),
        &["--is-exempted"],
        set_external_ips,
    ),
];

/// A type of translations.
fn kind(written: &str) -> Result<&str, NbctlError> {
    match written {
        "dnat" | "snat" | "dnat_and_snat" => Ok(written),
        _ => Err(NbctlError::value(written, "is no type of NAT; write snat, dnat or dnat_and_snat")),
    }
}

/// Whether a text names ports outside, as far as the original looks.
fn is_port_range(text: &str) -> bool {
    let number = |word: &str| address::number(word).filter(|number| *number > 0);
    // Dashes in front count for nothing.
    let words = text.trim_start_matches('-');
    match words.split_once('-') {
        None => !text.contains('-') && number(words).is_some(),
        Some((low, rest)) => {
            let rest = rest.trim_start_matches('-');
            let high = rest.strip_suffix('-').unwrap_or(rest);
            let bounds = number(low).zip(number(high).filter(|_| !high.contains('-')));
            bounds.is_some_and(|(low, high)| low < high && high <= 65_535)
        }
    }
}

/// What a translation shall be.
struct Wanted<'a> {
    kind: &'a str,
    external_ip: Network,
    logical_ip: Network,
    /// The port inside and the Ethernet address outside.
    distributed: Option<(&'a str, &'a str)>,
    port_range: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(context: &Context, call: &Call<'a>) -> Result<Self, NbctlError> {
        let kind = kind(call.arg(1))?;
        let (external, logical) = (call.arg(2), call.arg(3));
        let bad = || NbctlError::value(external, "is no IP address outside");
        let external_ip = Network::host(external).ok_or_else(bad)?;
        let family = if external_ip.is_v4() { "IPv4" } else { "IPv6" };
        let (logical_ip, what) = match (kind, external_ip.is_v4()) {
            ("snat", true) => (Network::v4(logical), "address or network"),
            ("snat", false) => (Network::v6(logical), "address or network"),
            (_, true) => (Network::host4(logical), "address"),
            (_, false) => (Network::host6(logical), "address"),
        };
        let bad = || NbctlError::value(logical, &format!("is no {family} {what} inside; write one"));
        let logical_ip = logical_ip.ok_or_else(bad)?;
        let mut wanted = Self { kind, external_ip, logical_ip, distributed: None, port_range: None };
        let with_mac = "a port inside needs the Ethernet address outside too; write both";
        let is_range = call.has("--portrange");
        match (call.count(), is_range) {
            (5, false) | (6, true) if kind == "dnat_and_snat" || call.count() == 5 => {
                return Err(NbctlError::Usage(with_mac.to_owned()));
            }
            (5, true) => wanted.port_range = call.arg_if(4),
            (6.., _) => {
                if kind != "dnat_and_snat" {
                    let mend = "has no port inside and no Ethernet address outside; only dnat_and_snat has";
                    return Err(NbctlError::value(kind, mend));
                }
                let (port, mac) = (call.arg(4), call.arg(5));
                context.switch_port(port)?;
                if address::mac(mac).is_none() {
                    let mend = "is no Ethernet address; write such as 02:00:00:00:00:01";
                    return Err(NbctlError::value(mac, mend));
                }
                wanted.distributed = Some((port, mac));
                wanted.port_range = call.arg_if(6);
            }
            _ => {}
        }
        match wanted.port_range.filter(|range| !is_port_range(range)) {
            Some(range) => Err(NbctlError::value(range, "is no range of ports; write such as 1000-2000")),
            None => Ok(wanted),
        }
    }

    fn is_snat(&self) -> bool {
        self.kind == "snat"
    }
}

/// The port at which a translation works, and how many gateway ports the router has.
struct Gateways {
    port: Option<(Uuid, LogicalRouterPort)>,
    count: usize,
}

fn is_gateway(port: &LogicalRouterPort) -> bool {
    port.ha_chassis_group.is_some() || !port.gateway_chassis.is_empty()
}

/// Whether an address is in one of a port's networks, or its link's own.
fn is_behind(port: &LogicalRouterPort, host: Network) -> bool {
    // Each port with an Ethernet address has an address of its link.
    const LINK: Network = Network::V6(0xfe80 << 112, 64);
    let networks = port.networks.iter().filter_map(|network| Network::any(network));
    let mut networks = networks.filter(|network| network.host_of() != Network::V4(0, 32)).chain([LINK]);
    address::mac(&port.mac).is_some() && networks.any(|network| network.holds(host))
}

impl Gateways {
    fn find(
        context: &Context,
        call: &Call<'_>,
        router: &LogicalRouter,
        external_ip: Network,
    ) -> Result<Self, NbctlError> {
        let ports = context.all::<LogicalRouterPort>(&router.ports);
        let count = ports.iter().filter(|(_, port)| is_gateway(port)).count();
        let Some(name) = call.value("--gateway-port") else {
            let mut gateways = ports.into_iter().filter(|(_, port)| is_gateway(port));
            let port = gateways.rfind(|(_, port)| is_behind(port, external_ip));
            if count > 1 && port.is_none() {
                return Err(NbctlError::Usage(format!(
                    "router {} has several gateway ports, and none has {} in its networks; write --gateway-port=PORT",
                    shortened(call.arg(0)),
                    external_ip.normal()
                )));
            }
            return Ok(Self { port, count });
        };
        let (uuid, row) = context.router_port(name)?;
        if !router.ports.contains(&uuid) {
            let mend = format!("is no port of router {}; lrp-list shows its ports", shortened(call.arg(0)));
            return Err(NbctlError::value(name, &mend));
        }
        if !is_gateway(&row) {
            let mend = "has no gateway chassis; set some with lrp-set-gateway-chassis, or give another port";
            return Err(NbctlError::value(name, mend));
        }
        Ok(Self { port: Some((uuid, LogicalRouterPort::clone(&row))), count })
    }

    /// Whether a translation works at the same port, as far as it makes a difference.
    fn is_same(&self, nat: &Nat, external_ip: Network) -> bool {
        if self.count <= 1 {
            return true;
        }
        let Some((uuid, port)) = &self.port else { return false };
        match nat.gateway_port {
            Some(own) => own == *uuid,
            None => is_behind(port, external_ip.host_of()),
        }
    }
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let wanted = Wanted::read(context, call)?;
    let may_exist = call.has("--may-exist");
    let is_stateless = call.has("--stateless");
    if is_stateless && wanted.kind != "dnat_and_snat" {
        return Err(NbctlError::value(wanted.kind, "cannot be stateless; only dnat_and_snat can"));
    }
    if wanted.is_snat() && call.has("--add-route") {
        return Err(NbctlError::value(wanted.kind, "has no routes to add; leave --add-route out"));
    }
    let gateways = Gateways::find(context, call, &row, wanted.external_ip)?;
    let (external, logical) = (wanted.external_ip.normal(), wanted.logical_ip.normal());
    for (uuid, nat) in context.all::<Nat>(&row.nat) {
        let addresses = Network::any(&nat.external_ip).zip(Network::any(&nat.logical_ip));
        let Some((own_external, own_logical)) = addresses else { continue };
        let is_external = own_external.normal() == external;
        let is_logical = own_logical.normal() == logical;
        if nat.kind == wanted.kind && gateways.is_same(&nat, own_external) {
            let (is_key, is_other) =
                if wanted.is_snat() { (is_logical, is_external) } else { (is_external, is_logical) };
            if is_key && is_other && may_exist {
                context.edit.update(uuid, |row: &mut Nat| {
                    row.logical_port = wanted.distributed.map(|(port, _)| port.to_owned());
                    row.external_mac = wanted.distributed.map(|(_, mac)| mac.to_owned());
                });
                return Ok(());
            }
            if is_key && is_other {
                let what = format!("{} of {external} and", wanted.kind);
                return Err(NbctlError::exists(&what, &logical, "write --may-exist before the command"));
            }
            if is_key {
                let key = if wanted.is_snat() { &logical } else { &external };
                let what = format!("{} of", wanted.kind);
                return Err(NbctlError::exists(&what, key, "it has another address, so delete it first"));
            }
        }
        let is_both = [wanted.kind, &nat.kind].contains(&"dnat_and_snat");
        let is_any_stateless = is_stateless || set::is_true(&nat.options, "stateless");
        if is_both && is_external && is_any_stateless {
            if may_exist {
                return Ok(());
            }
            let mend = "a stateless one shares its address with no other, so choose another";
            return Err(NbctlError::exists("a translation of", &external, mend));
        }
    }
    let mut options = Pairs::from([("stateless".to_owned(), is_stateless.to_string())]);
    if call.has("--add-route") {
        options.insert("add_route".to_owned(), "true".to_owned());
    }
    let port = call.value("--gateway-port").and(gateways.port);
    let nat = context.insert(Nat {
        external_ip: call.arg(2).to_owned(),
        external_mac: wanted.distributed.map(|(_, mac)| mac.to_owned()),
        external_port_range: wanted.port_range.unwrap_or("").to_owned(),
        gateway_port: port.map(|(uuid, _)| uuid),
        logical_ip: logical,
        logical_port: wanted.distributed.map(|(port, _)| port.to_owned()),
        options,
        kind: wanted.kind.to_owned(),
        ..Nat::default()
    });
    context.edit.update(router, |row: &mut LogicalRouter| _ = row.nat.insert(nat));
    Ok(())
}

/// The address by which a translation is named, in its normal form.
fn own_ip(nat: &Nat, kind: &str) -> Option<String> {
    address::normal(if kind == "snat" { &nat.logical_ip } else { &nat.external_ip })
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let mut gone = context.all::<Nat>(&row.nat);
    if let Some(written) = call.arg_if(1) {
        let kind = kind(written)?;
        gone.retain(|(_, nat)| nat.kind == kind);
        let ip = call.arg_if(2).and_then(address::normal);
        let bad = |written: &str| NbctlError::value(written, "is no IP address or network; write one");
        match (call.arg_if(2), call.arg_if(3)) {
            (None, _) => {}
            (Some(_), None) if ip.is_some() => gone.retain(|(_, nat)| own_ip(nat, kind) == ip),
            (Some(port), None) => {
                let (port, _) = context.router_port(port)?;
                gone.retain(|(_, nat)| nat.gateway_port == Some(port));
            }
            (Some(written), Some(_)) if ip.is_none() => return Err(bad(written)),
            (Some(written), Some(port_name)) => {
                let (port, _) = context.router_port(port_name)?;
                gone.retain(|(_, nat)| own_ip(nat, kind) == ip && nat.gateway_port == Some(port));
                gone.truncate(1);
                if gone.is_empty() && !call.has("--if-exists") {
                    let what = format!("{kind} at {} of", shortened(port_name));
                    return Err(NbctlError::missing(&what, written, "lr-nat-list shows the translations"));
                }
            }
        }
    }
    context.edit.update(router, |row: &mut LogicalRouter| {
        row.nat.retain(|nat| !gone.iter().any(|(gone, _)| gone == nat));
    });
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router(call.arg(0))?;
    let line = |(_, nat): (Uuid, Nat)| {
        let port = nat.gateway_port.and_then(|port| context.rows().get::<LogicalRouterPort>(port));
        let port = port.map_or("", |port| &port.name);
        let key = format!("{:<17.13}{port:<22.18}{}", nat.kind, nat.external_ip);
        let (range, ip) = (&nat.external_port_range, &nat.logical_ip);
        let value = match (&nat.external_mac, &nat.logical_port) {
            (Some(mac), Some(port)) => format!("{range:<17.13}{ip:<20.16}{mac:<21.17}{port}"),
            _ => format!("{range:<17.13}{ip}"),
        };
        (key, value)
    };
    let mut lines: Vec<_> = context.all::<Nat>(&row.nat).into_iter().map(line).collect();
    lines.sort();
    if !lines.is_empty() {
        context.print(format_args!(
            "{:<17.13}{:<22.18}{:<19.15}{:<17.13}{:<20.16}{:<21.17}{}\n",
            "TYPE",
            "GATEWAY_PORT",
            "EXTERNAL_IP",
            "EXTERNAL_PORT",
            "LOGICAL_IP",
            "EXTERNAL_MAC",
            "LOGICAL_PORT"
        ));
    }
    for (key, value) in lines {
        context.print(format_args!("{key:<58.54}{value}\n"));
    }
    Ok(())
}

fn set_external_ips(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router(call.arg(0))?;
    let kind = kind(call.arg(1))?;
    let (addresses, _) = context.address_set(call.arg(3))?;
    let written = call.arg(2);
    let bad = || NbctlError::value(written, "is no IP address or network; write one");
    let ip = address::normal(written).ok_or_else(bad)?;
    let is_meant = |nat: &Nat| nat.kind == kind && own_ip(nat, kind).as_ref() == Some(&ip);
    let found = context.all::<Nat>(&row.nat).into_iter().find(|(_, nat)| is_meant(nat));
    let missing =
        || NbctlError::missing(&format!("{kind} of"), written, "lr-nat-list shows the translations");
    let (nat, _) = found.ok_or_else(missing)?;
    context.edit.update(nat, |row: &mut Nat| {
        let slot =
            if call.has("--is-exempted") { &mut row.exempted_ext_ips } else { &mut row.allowed_ext_ips };
        *slot = Some(addresses);
    });
    Ok(())
}
