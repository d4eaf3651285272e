//! Groups of chassis, of which one looks after what names the group.

use std::collections::{BTreeMap, BTreeSet};

use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, LogicalSwitchPort};
use crate::logical::nb::{self, Table};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::{HaChassis, HaChassisGroup};
use crate::logical::rows::{self, Uuid};

/// A group that something needs.
pub struct Group;

impl Unit for Group {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(group) = view.row::<nb::tables::HaChassisGroup>(uuid) else { return };
        if !is_needed(view, uuid) {
            return;
        }
        let mut ha_chassis = BTreeSet::new();
        for member in &group.ha_chassis {
            let Some(row) = view.row::<nb::tables::HaChassis>(*member) else { continue };
            let external_ids = BTreeMap::from([("chassis-name".to_owned(), row.chassis_name.clone())]);
            let name = names::southbound(rows::Table::HaChassis, member);
            ha_chassis.insert(name);
            output.row(name, HaChassis { external_ids, priority: row.priority, ..HaChassis::default() });
        }
        let name = group.name.clone();
        output.row(
            names::chassis_group(&name),
            HaChassisGroup { ha_chassis, name, ..HaChassisGroup::default() },
        );
    }
}

/// Whether it is for an external port, or a port of a router that is not on one chassis as a whole.
fn is_needed(view: &View<'_>, group: Uuid) -> bool {
    let is_external = |port: Uuid| {
        view.columns::<LogicalSwitchPort>(port, &["type"]).is_some_and(|row| row.kind == "external")
    };
    let is_gateway = |port: Uuid| {
        let router = view.router_of(port).and_then(|router| view.settings::<LogicalRouter>(router));
        router.is_some_and(|router| !router.options.contains_key("chassis"))
    };
    view.parents::<LogicalSwitchPort>(Table::HaChassisGroup, group).into_iter().any(is_external)
        || view.parents::<LogicalRouterPort>(Table::HaChassisGroup, group).into_iter().any(is_gateway)
}
