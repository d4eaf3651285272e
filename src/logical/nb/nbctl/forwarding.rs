//! `fwd-group-*`: ports of a switch that share the traffic to an address.

use super::address::{self, Network};
use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use super::find::Found;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{ForwardingGroup, LogicalSwitch, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("fwd-group-add", "GROUP SWITCH IP MAC PORT...", (5, MANY), &["--liveness"], add),
    writes("fwd-group-del", "GROUP", (1, 1), &["--if-exists"], delete),
    reads("fwd-group-list", "[SWITCH]", (0, 1), &[], list),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (name, switch_name, vip, vmac) = (call.arg(0), call.arg(1), call.arg(2), call.arg(3));
    if context.forwarding_group_if(name).is_some() {
        return Err(NbctlError::exists("forwarding group", name, "choose another name"));
    }
    let (switch, _) = context.switch(switch_name)?;
    if Network::host4(vip).is_none() {
        return Err(NbctlError::value(vip, "is no IPv4 address"));
    }
    if address::mac(vmac).is_none() {
        return Err(NbctlError::value(vmac, "is no Ethernet address; write such as 02:00:00:00:00:01"));
    }
    for port in call.rest(4) {
        let (uuid, _) = context.switch_port(port)?;
        let (_, other) = context.switch_of(uuid, port)?;
        if other.name != switch_name {
            let (own, wanted) = (shortened(&other.name), shortened(switch_name));
            let mend = format!("is a port of switch {own}, not of {wanted}; give ports of one");
            return Err(NbctlError::value(port, &mend));
        }
    }
    let group = context.insert(ForwardingGroup {
        child_port: set::words(call.rest(4)),
        liveness: call.has("--liveness"),
        name: name.to_owned(),
        vip: vip.to_owned(),
        vmac: vmac.to_owned(),
        ..ForwardingGroup::default()
    });
    context.edit.update(switch, |row: &mut LogicalSwitch| _ = row.forwarding_groups.insert(group));
    Ok(())
}

/// The switch of a group's first port.
fn switch_of(context: &Context, group: &ForwardingGroup) -> Option<Found<LogicalSwitch>> {
    let (port, row) = context.switch_port_if(group.child_port.first()?)?;
    context.switch_of(port, &row.name).ok()
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let found = context.forwarding_group_if(call.arg(0));
    let Some((group, row)) = found else { return Ok(()) };
    if let Some((switch, _)) = switch_of(context, &row) {
        context.edit.update(switch, |row: &mut LogicalSwitch| _ = row.forwarding_groups.remove(&group));
        context.edit.delete(Table::ForwardingGroup, group);
    }
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    if let Some(name) = call.arg_if(0) {
        context.switch(name)?;
    }
    let [group, switch, vip, vmac, ports] = ["FWD_GROUP", "LS", "VIP", "VMAC", "CHILD_PORTS"];
    context.print(format_args!("{group:<16.16}{switch:<14.16}{vip:<16.7}{vmac:<22.21}{ports}\n"));
    let groups: Vec<(Uuid, ForwardingGroup)> =
        context.rows().iter().map(|(uuid, row)| (uuid, ForwardingGroup::clone(row))).collect();
    for (_, group) in groups {
        let Some((_, switch)) = switch_of(context, &group) else { continue };
        if call.arg_if(0).is_some_and(|name| name != switch.name) {
            continue;
        }
        let ForwardingGroup { name, vip, vmac, child_port, .. } = group;
        let ports: String = child_port.iter().map(|port| format!(" {port}")).collect();
        context
            .print(format_args!("{name:<16.16}{:<14.18}{vip:<15.16}{vmac:<9.18}     {ports}\n", switch.name));
    }
    Ok(())
}
