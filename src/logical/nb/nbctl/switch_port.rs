//! `lsp-add`, `lsp-del`, `lsp-list`, and what a switch port can be told.

use super::address::{self, Network};
use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LogicalSwitch, LogicalSwitchPort, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("lsp-add", "SWITCH PORT [PARENT TAG]", (2, 4), &["--may-exist"], add),
    writes("lsp-del", "PORT", (1, 1), &["--if-exists"], delete),
    reads("lsp-list", "SWITCH", (1, 1), &[], list),
    writes("lsp-set-addresses", "PORT [ADDRESS]...", (1, MANY), &[], set_addresses),
    writes("lsp-set-port-security", "PORT [ADDRESSES]...", (1, MANY), &[], set_port_security),
    writes("lsp-set-enabled", "PORT enabled|disabled", (2, 2), &[], set_enabled),
    writes("lsp-set-type", "PORT TYPE", (2, 2), &[], set_type),
    writes("lsp-set-options", "PORT [KEY=VALUE]...", (1, MANY), &[], set_options),
    writes("lsp-set-dhcpv4-options", "PORT [UUID]", (1, 2), &[], set_dhcpv4_options),
    writes("lsp-set-dhcpv6-options", "PORT [UUID]", (1, 2), &[], set_dhcpv6_options),
    writes("lsp-attach-mirror", "PORT MIRROR", (2, 2), &["--may-exist"], attach_mirror),
    writes("lsp-detach-mirror", "PORT MIRROR", (2, 2), &[], detach_mirror),
];

/// The types of switch ports beside the plain one.
const TYPES: &[&str] =
    &["external", "l2gateway", "localnet", "localport", "remote", "router", "virtual", "vtep"];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (switch, _) = context.switch(call.arg(0))?;
    let name = call.arg(1);
    let parent = match (call.arg_if(2), call.arg_if(3)) {
        (Some(parent), Some(tag)) => {
            let number = address::number(tag).and_then(|tag| u16::try_from(tag).ok());
            let bad = || NbctlError::value(tag, "is no tag; write a number from 0 to 4095");
            Some((parent, number.filter(|tag| *tag <= 4095).ok_or_else(bad)?))
        }
        (Some(_), None) => {
            let sentence = "a port with a parent needs a tag too; write lsp-add SWITCH PORT PARENT TAG";
            return Err(NbctlError::Usage(sentence.to_owned()));
        }
        _ => None,
    };
    if let Some((uuid, row)) = context.switch_port_if(name) {
        if !call.has("--may-exist") {
            let mend = "choose another name, or write --may-exist before the command";
            return Err(NbctlError::exists("port", name, mend));
        }
        let (other, switch_row) = context.switch_of(uuid, name)?;
        if other != switch {
            let switch = if switch_row.name.is_empty() { other.to_string() } else { switch_row.name.clone() };
            let mend =
                format!("it is in switch {}, so delete it there, or choose another name", shortened(&switch));
            return Err(NbctlError::exists("port", name, &mend));
        }
        return same_parent(name, &row, parent);
    }
    let row = LogicalSwitchPort {
        name: name.to_owned(),
        parent_name: parent.map(|(parent, _)| parent.to_owned()),
        tag_request: parent.map(|(_, tag)| tag),
        ..LogicalSwitchPort::default()
    };
    let port = context.insert(row);
    context.edit.update(switch, |row: &mut LogicalSwitch| _ = row.ports.insert(port));
    Ok(())
}

/// Whether a port that may exist has the parent and the tag that it would be given.
fn same_parent(name: &str, row: &LogicalSwitchPort, wanted: Option<(&str, u16)>) -> Result<(), NbctlError> {
    let different = |is: String| {
        let mend = format!("it {is}, so delete it first, or say the same");
        Err(NbctlError::exists("port", name, &mend))
    };
    match (wanted, &row.parent_name, row.tag_request) {
        (None, None, _) => Ok(()),
        (None, Some(parent), _) => different(format!("has parent {}", shortened(parent))),
        (Some(_), None, _) => different("has no parent".to_owned()),
        (Some((wanted, _)), Some(parent), _) if wanted != parent => {
            different(format!("has parent {}", shortened(parent)))
        }
        (Some(_), _, None) => different("has no tag request".to_owned()),
        (Some((_, wanted)), _, Some(tag)) if wanted != tag => different(format!("requests tag {tag}")),
        _ => Ok(()),
    }
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    let found =
        if call.has("--if-exists") { context.switch_port_if(name) } else { Some(context.switch_port(name)?) };
    if let Some((port, _)) = found {
        let (switch, _) = context.switch_of(port, name)?;
        context.edit.update(switch, |row: &mut LogicalSwitch| _ = row.ports.remove(&port));
        context.edit.delete(Table::LogicalSwitchPort, port);
    }
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, switch) = context.switch(call.arg(0))?;
    let ports = context.all::<LogicalSwitchPort>(&switch.ports);
    context.print_names(ports.into_iter().map(|(uuid, row)| (row.name, uuid)).collect());
    Ok(())
}

/// Changes the port that is named first.
fn change(
    context: &mut Context,
    call: &Call<'_>,
    change: impl FnOnce(&mut LogicalSwitchPort),
) -> Result<(), NbctlError> {
    let (port, _) = context.switch_port(call.arg(0))?;
    context.edit.update(port, change);
    Ok(())
}

fn set_addresses(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (port, row) = context.switch_port(call.arg(0))?;
    let (_, switch) = context.switch_of(port, &row.name)?;
    let addresses = call.rest(1);
    for written in addresses {
        if !address::is_port_address(written) {
            return Err(NbctlError::value(
                written,
                "is no address of a port; write an Ethernet address with IP addresses behind it, all in quotes, \
                 or unknown, dynamic or router",
            ));
        }
        if let Some((taken, other)) = taken(context, &switch, port, written) {
            let mend =
                format!("is an address of port {} of the same switch; choose another", shortened(&other));
            return Err(NbctlError::value(&taken.normal(), &mend));
        }
    }
    context.edit.update(port, |row: &mut LogicalSwitchPort| row.addresses = set::words(addresses));
    Ok(())
}

/// An IP address that another port of the switch has too, and that port.
fn taken(context: &Context, switch: &LogicalSwitch, port: Uuid, written: &str) -> Option<(Network, String)> {
    let hosts = |text: &str| address::port_addresses(text).into_iter().map(Network::host_of);
    let wanted: Vec<Network> = hosts(written).collect();
    if wanted.is_empty() {
        return None;
    }
    let others = switch.ports.iter().filter(|other| **other != port);
    others.filter_map(|other| context.rows().get::<LogicalSwitchPort>(*other)).find_map(|other| {
        other.addresses.iter().find_map(|text| {
            let dynamic = other.dynamic_addresses.as_ref().filter(|_| address::is_dynamic(text));
            let taken = hosts(dynamic.unwrap_or(text)).find(|host| wanted.contains(host))?;
            Some((taken, other.name.clone()))
        })
    })
}

fn set_port_security(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    change(context, call, |row| row.port_security = set::words(call.rest(1)))
}

fn set_enabled(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.switch_port(call.arg(0))?;
    let enabled = set::enabled(call.arg(1))?;
    change(context, call, |row| row.enabled = Some(enabled))
}

fn set_type(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let kind = call.arg(1);
    if !kind.is_empty() && !TYPES.contains(&kind) {
        let mend = format!("is no type of a switch port; write \"\" or one of {}", TYPES.join(", "));
        return Err(NbctlError::value(kind, &mend));
    }
    change(context, call, |row| kind.clone_into(&mut row.kind))
}

fn set_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    change(context, call, |row| row.options = set::pairs(call.rest(1)))
}

/// The DHCP options that are named second, if any are; they must be of one kind of IP.
fn dhcp_options(
    context: &Context,
    call: &Call<'_>,
    read: fn(&str) -> Option<Network>,
    kind: &str,
) -> Result<Option<Uuid>, NbctlError> {
    let Some(written) = call.arg_if(1) else { return Ok(None) };
    let (uuid, row) = context.dhcp_options(written)?;
    match read(&row.cidr) {
        Some(_) => Ok(Some(uuid)),
        None => {
            let mend =
                format!("are DHCP options for {}, which is not {kind}; give others", shortened(&row.cidr));
            Err(NbctlError::value(written, &mend))
        }
    }
}

fn set_dhcpv4_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.switch_port(call.arg(0))?;
    let options = dhcp_options(context, call, Network::v4, "IPv4")?;
    change(context, call, |row| row.dhcpv4_options = options)
}

fn set_dhcpv6_options(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.switch_port(call.arg(0))?;
    let options = dhcp_options(context, call, Network::v6, "IPv6")?;
    change(context, call, |row| row.dhcpv6_options = options)
}

fn attach_mirror(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch_port(call.arg(0))?;
    let (mirror, _) = context.mirror(call.arg(1))?;
    if row.mirror_rules.contains(&mirror) && !call.has("--may-exist") {
        return Err(NbctlError::has_already(&row.name, "mirror", call.arg(1)));
    }
    change(context, call, |row| _ = row.mirror_rules.insert(mirror))
}

fn detach_mirror(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    context.switch_port(call.arg(0))?;
    let (mirror, _) = context.mirror(call.arg(1))?;
    change(context, call, |row| _ = row.mirror_rules.remove(&mirror))
}
