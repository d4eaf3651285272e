//! Router ports as chassis see them.

use std::collections::BTreeSet;

use super::router_advertise;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{
    GatewayChassis, HaChassisGroup, LogicalRouterPort, LogicalSwitchPort, StaticMacBinding,
};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::number;
use crate::logical::northd::facts::router::{Peer, Port, peer, port, router, surroundings};
use crate::logical::northd::facts::router_translation::translated;
use crate::logical::northd::facts::switch_peer::redirected;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows;
use crate::logical::rows::tables::{HaChassis, Pairs, PortBinding};

/// The row of a port, and that of its instance on the chassis that hosts it for all.
pub struct Binding;

impl Unit for Binding {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = view.row::<LogicalRouterPort>(row) else { return };
        let Some(port) = port(view, row) else {
            if view.router_of(row).is_some_and(|owner| router(view, owner).is_some()) {
                output.trouble("the port has no Ethernet address that can be read");
            }
            return;
        };
        let networks: String = settings.networks.iter().map(|network| format!(" {network}")).collect();
        let common = PortBinding {
            datapath: names::datapath(port.router),
            external_ids: settings.external_ids.clone(),
            mac: [format!("{}{networks}", settings.mac)].into(),
            up: Some(false),
            ..PortBinding::default()
        };
        let chassis = router(view, port.router).and_then(|router| router.chassis.clone());
        let mut options = router_advertise::options(view, row, &port, settings);
        if let Some(name) = name_of_peer(view, row) {
            say(&mut options, "peer", &name);
            if settings.is_hosted() {
                say(&mut options, "chassis-redirect-port", &redirected(&port.name));
            }
        }
        if let Some(chassis) = &chassis {
            say(&mut options, "l3gateway-chassis", chassis);
        }
        let kind = if chassis.is_some() { "l3gateway" } else { "patch" };
        let binding = PortBinding {
            kind: kind.to_owned(),
            logical_port: port.name.clone(),
            options,
            tunnel_key: number(&settings.options, "requested-tnl-key").unwrap_or(0),
            ..common.clone()
        };
        output.row(names::port(row), binding);
        if port.redirect.is_some() {
            let binding = PortBinding {
                kind: "chassisredirect".to_owned(),
                logical_port: redirected(&port.name),
                options: redirect_options(view, row, &port, settings),
                ha_chassis_group: Some(chassis_group(view, settings, output)),
                ..common
            };
            output.row(names::redirect_port(row), binding);
        } else if settings.is_hosted() {
            output.trouble("the router is on one chassis as a whole; those that the port names do not count");
        }
    }
}

fn say(options: &mut Pairs, name: &str, value: &str) {
    options.insert(name.to_owned(), value.to_owned());
}

/// The name of the port at the other side.
fn name_of_peer(view: &View<'_>, row: Uuid) -> Option<String> {
    match peer(view, row) {
        Peer::Router(other) => Some(port(view, other)?.name.clone()),
        Peer::Switch { port, .. } => Some(view.columns::<LogicalSwitchPort>(port, &["name"])?.name.clone()),
        Peer::Nothing => None,
    }
}

fn redirect_options(view: &View<'_>, row: Uuid, port: &Port, settings: &LogicalRouterPort) -> Pairs {
    let mut options = Pairs::new();
    say(&mut options, "distributed-port", &port.name);
    let kind = settings.options.get("redirect-type");
    if let Some(kind) = kind {
        say(&mut options, "redirect-type", kind);
    }
    let is_bridged = kind.is_some_and(|kind| kind == "bridged");
    let is_distributed = translated(view, port.router).has_distributed || surroundings(view, row).has_vtep;
    if !is_bridged && !is_distributed {
        say(&mut options, "always-redirect", "true");
    }
    options
}

/// The group of chassis of which one hosts the port. The older way of naming them is a group of the port's own.
fn chassis_group(view: &View<'_>, settings: &LogicalRouterPort, output: &mut Output) -> Uuid {
    let group = settings.ha_chassis_group.and_then(|group| view.row::<HaChassisGroup>(group));
    if let Some(group) = group {
        if !settings.gateway_chassis.is_empty() {
            output.trouble("the port names a group of chassis too; its gateway_chassis do not count");
        }
        return names::chassis_group(&group.name);
    }
    let mut members = BTreeSet::new();
    for member in &settings.gateway_chassis {
        let Some(row) = view.row::<GatewayChassis>(*member) else { continue };
        let name = names::southbound(rows::Table::HaChassis, *member);
        let external_ids = [("chassis-name".to_owned(), row.chassis_name.clone())].into();
        output.row(name, HaChassis { external_ids, priority: row.priority, ..HaChassis::default() });
        members.insert(name);
    }
    let name = names::chassis_group(&settings.name);
    output.row(
        name,
        rows::tables::HaChassisGroup {
            ha_chassis: members,
            name: settings.name.clone(),
            ..Default::default()
        },
    );
    name
}

/// A neighbour that is configured.
pub struct Neighbour;

impl Unit for Neighbour {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(binding) = view.row::<StaticMacBinding>(row) else { return };
        let name = binding.logical_port.clone();
        // The instance of a port on the chassis that hosts it can be named too.
        let hosted = || name.strip_prefix("cr-").and_then(|name| view.router_port(name));
        let owner = match view.router_port(&name) {
            Some((uuid, _)) => port(view, uuid),
            None => hosted().and_then(|(uuid, _)| port(view, uuid)).filter(|port| port.redirect.is_some()),
        };
        let Some(owner) = owner else {
            return output.trouble(format!("there is no router port {name} for this neighbour"));
        };
        output.row(
            names::southbound(rows::Table::StaticMacBinding, row),
            rows::tables::StaticMacBinding {
                datapath: names::datapath(owner.router),
                ip: binding.ip.clone(),
                logical_port: name,
                mac: binding.mac.clone(),
                override_dynamic_mac: binding.override_dynamic_mac,
            },
        );
    }
}
