//! `ha-chassis-group-*`: groups of chassis one of which hosts something.

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::find::Found;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{HaChassis, HaChassisGroup, Table};

pub const COMMANDS: &[Syntax] = &[
    writes("ha-chassis-group-add", "GROUP", (1, 1), &[], add),
    writes("ha-chassis-group-del", "GROUP", (1, 1), &[], delete),
    reads("ha-chassis-group-list", "", (0, 0), &[], list),
    writes("ha-chassis-group-add-chassis", "GROUP CHASSIS PRIORITY", (3, 3), &[], add_chassis),
    writes("ha-chassis-group-remove-chassis", "GROUP CHASSIS", (2, 2), &[], remove_chassis),
    writes("ha-chassis-group-set-chassis-prio", "GROUP CHASSIS PRIORITY", (3, 3), &[], set_priority),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    if context.rows().ha_chassis_group(name).is_some() {
        return Err(NbctlError::exists("HA chassis group", name, "choose another name"));
    }
    context.insert(HaChassisGroup { name: name.to_owned(), ..HaChassisGroup::default() });
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (group, _) = context.chassis_group(call.arg(0))?;
    context.edit.delete(Table::HaChassisGroup, group);
    Ok(())
}

fn list(context: &mut Context, _: &Call<'_>) -> Result<(), NbctlError> {
    let groups: Vec<(Uuid, HaChassisGroup)> =
        context.rows().iter().map(|(uuid, row)| (uuid, HaChassisGroup::clone(row))).collect();
    for (uuid, group) in groups {
        context.print(format_args!("{uuid} ({})\n", group.name));
        for (uuid, HaChassis { chassis_name, priority, .. }) in context.all(&group.ha_chassis) {
            context.print(format_args!("    {uuid} ({chassis_name})\n    priority {priority}\n\n"));
        }
        context.print(format_args!("\n"));
    }
    Ok(())
}

/// The member of a group that is named.
fn member(context: &Context, group: &Found<HaChassisGroup>, name: &str) -> Option<Uuid> {
    let members = context.all::<HaChassis>(&group.1.ha_chassis);
    members.into_iter().find(|(_, row)| row.chassis_name == name).map(|(uuid, _)| uuid)
}

fn must(found: Option<Uuid>, name: &str) -> Result<Uuid, NbctlError> {
    let mend = "ha-chassis-group-list shows the groups";
    found.ok_or_else(|| NbctlError::missing("chassis of the group", name, mend))
}

fn add_chassis(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let group = context.chassis_group(call.arg(0))?;
    let name = call.arg(1);
    let priority = set::priority(call.arg(2))?;
    if let Some(chassis) = member(context, &group, name) {
        context.edit.update(chassis, |row: &mut HaChassis| row.priority = priority);
        return Ok(());
    }
    let row = HaChassis { chassis_name: name.to_owned(), priority, ..HaChassis::default() };
    let chassis = context.insert(row);
    context.edit.update(group.0, |row: &mut HaChassisGroup| _ = row.ha_chassis.insert(chassis));
    Ok(())
}

fn remove_chassis(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let group = context.chassis_group(call.arg(0))?;
    let chassis = must(member(context, &group, call.arg(1)), call.arg(1))?;
    context.edit.update(group.0, |row: &mut HaChassisGroup| _ = row.ha_chassis.remove(&chassis));
    context.edit.delete(Table::HaChassis, chassis);
    Ok(())
}

fn set_priority(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let group = context.chassis_group(call.arg(0))?;
    let priority = set::priority(call.arg(2))?;
    let chassis = must(member(context, &group, call.arg(1)), call.arg(1))?;
    context.edit.update(chassis, |row: &mut HaChassis| row.priority = priority);
    Ok(())
}
