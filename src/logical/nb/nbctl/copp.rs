//! `copp-*`, `ls-copp-add`, `lr-copp-add`: meters of what reaches the control plane.

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Copp, LogicalRouter, LogicalSwitch, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("copp-add", "NAME PROTOCOL METER", (3, 3), &[], add),
    writes("copp-del", "NAME [PROTOCOL]", (1, 2), &[], delete),
    reads("copp-list", "NAME", (1, 1), &[], list),
    writes("ls-copp-add", "NAME SWITCH", (2, 2), &[], add_to_switch),
    writes("lr-copp-add", "NAME ROUTER", (2, 2), &[], add_to_router),
];

/// What can be limited.
const PROTOCOLS: &[&str] = &[
    "arp",
    "arp-resolve",
    "bfd",
    "dhcpv4-opts",
    "dhcpv6-opts",
    "dns",
    "event-elb",
    "icmp4-error",
    "icmp6-error",
    "igmp",
    "nd-na",
    "nd-ns",
    "nd-ns-resolve",
    "nd-ra-opts",
    "reject",
    "svc-monitor",
    "tcp-reset",
];

fn protocol(written: &str) -> Result<&str, NbctlError> {
    if PROTOCOLS.contains(&written) {
        return Ok(written);
    }
    let mend = format!("is no protocol of the control plane; write one of {}", PROTOCOLS.join(", "));
    Err(NbctlError::value(written, &mend))
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (name, meter) = (call.arg(0), call.arg(2));
    let protocol = protocol(call.arg(1))?;
    let policy = match context.copp_if(name) {
        Some((uuid, _)) => uuid,
        None if name.parse::<Uuid>().is_ok() => context.copp(name)?.0,
        None => context.insert(Copp { name: name.to_owned(), ..Copp::default() }),
    };
    context
        .edit
        .update(policy, |row: &mut Copp| _ = row.meters.insert(protocol.to_owned(), meter.to_owned()));
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let protocol = call.arg_if(1).map(protocol).transpose()?;
    let Some((uuid, row)) = context.copp_if(call.arg(0)) else { return Ok(()) };
    let mut meters = row.meters.clone();
    match protocol {
        Some(protocol) => _ = meters.remove(protocol),
        None => meters.clear(),
    }
    if meters.is_empty() {
        context.edit.delete(Table::Copp, uuid);
    } else {
        context.edit.update(uuid, |row: &mut Copp| row.meters = meters);
    }
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    if let Some((_, row)) = context.copp_if(call.arg(0)) {
        row.meters.iter().for_each(|(key, meter)| context.print(format_args!("{key}: {meter}\n")));
    }
    Ok(())
}

fn add_to_switch(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (switch, _) = context.switch(call.arg(1))?;
    let (policy, _) = context.copp(call.arg(0))?;
    context.edit.update(switch, |row: &mut LogicalSwitch| row.copp = Some(policy));
    Ok(())
}

fn add_to_router(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, _) = context.router(call.arg(1))?;
    let (policy, _) = context.copp(call.arg(0))?;
    context.edit.update(router, |row: &mut LogicalRouter| row.copp = Some(policy));
    Ok(())
}
