//! Switch ports as chassis see them.

use std::collections::BTreeSet;

use super::switch_port::queue;
use crate::logical::nb::tables::{HaChassisGroup, LogicalSwitchPort};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::options::{number, quoted};
use crate::logical::northd::facts::switch::Settings;
use crate::logical::northd::facts::switch_peer::{Facing, Gateways, Peer, Translations, redirected};
use crate::logical::northd::facts::switch_ports::Localnets;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::Uuid;
use crate::logical::rows::tables::{Pairs, PortBinding};
use crate::packet::Mac;

/// The row of a port.
pub struct Binding;

/// The types that there are.
const KINDS: &[&str] =
    &["", "external", "l2gateway", "localnet", "localport", "remote", "router", "virtual", "vtep"];

impl Unit for Binding {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(row) = view.row::<LogicalSwitchPort>(uuid) else { return };
        let Some(switch) = view.switch_of(uuid) else { return };
        if is_taken(view, &row.name) {
            return output.trouble("a router port has the name of this port too; give one of them another");
        }
        if !KINDS.contains(&&*row.kind) {
            output.trouble(format!("type \"{}\" is none of {}", row.kind, KINDS.join(" ").trim_start()));
        }
        let mut external_ids = row.external_ids.clone();
        if let Some(name) = row.external_ids.get("neutron:port_name").filter(|name| !name.is_empty()) {
            // Of two that are written the lesser counts.
            let shown = external_ids.entry("name".to_owned()).or_insert_with(|| name.clone());
            if name < shown {
                shown.clone_from(name);
            }
        }
        if row.tag_request == Some(0) && row.parent_name.is_some() && row.tag.is_none() {
            output.trouble("tag_request 0: tags are not given to ports by themselves; write one");
        }
        let mut binding = PortBinding {
            datapath: names::datapath(switch),
            external_ids,
            logical_port: row.name.clone(),
            mac: row.addresses.clone(),
            mirror_rules: row.mirror_rules.iter().map(|mirror| names::mirror(*mirror)).collect(),
            parent_port: row.parent_name.clone(),
            port_security: row.port_security.clone(),
            tag: row.tag_request.filter(|tag| *tag != 0).or(row.tag),
            tunnel_key: number(&row.options, "requested-tnl-key").unwrap_or(0),
            up: Some(false),
            ..PortBinding::default()
        };
        match &*row.kind {
            "router" => to_router(view, uuid, switch, row, &mut binding),
            kind => {
                binding.kind = if KINDS.contains(&kind) { kind.to_owned() } else { String::new() };
                binding.options = options(view, switch, row);
                if kind == "external" {
                    let group = row.ha_chassis_group.and_then(|group| view.row::<HaChassisGroup>(group));
                    binding.ha_chassis_group = group.map(|group| names::chassis_group(&group.name));
                }
            }
        }
        output.row(names::port(uuid), binding);
    }
}

/// Whether a router port, or its instance on the chassis that hosts it, goes under a name.
fn is_taken(view: &View<'_>, name: &str) -> bool {
    let hosted = name.strip_prefix("cr-").and_then(|name| view.router_port(name));
    view.router_port(name).is_some() || hosted.is_some_and(|(_, row)| row.is_hosted())
}

fn options(view: &View<'_>, switch: Uuid, row: &LogicalSwitchPort) -> Pairs {
    let mut options = row.options.clone();
    let queue = queue(row).map(|queue| ("qdisc_queue_id".to_owned(), queue.to_string()));
    options.extend(queue);
    if view.ask::<Settings>(switch).passes_vlans {
        options.insert("vlan-passthru".to_owned(), "true".to_owned());
    }
    options
}

/// A port that leads to a router is one end of a patch, or on the chassis that hosts the router.
fn to_router(view: &View<'_>, uuid: Uuid, switch: Uuid, row: &LogicalSwitchPort, binding: &mut PortBinding) {
    let peer = view.ask::<Facing>(uuid);
    let chassis = peer.as_ref().as_ref().and_then(|peer| peer.chassis.clone());
    binding.kind = if chassis.is_some() { "l3gateway" } else { "patch" }.to_owned();
    let name = row.router_port().map(|name| ("peer".to_owned(), name.to_owned()));
    binding.options.extend(name);
    binding.options.extend(chassis.map(|chassis| ("l3gateway-chassis".to_owned(), chassis)));
    if let Some(peer) = &*peer {
        binding.nat_addresses = announced(view, switch, row, peer);
    }
}

/// What the chassis that hosts the router announces in the physical network.
fn announced(view: &View<'_>, switch: Uuid, row: &LogicalSwitchPort, peer: &Peer) -> BTreeSet<String> {
    let gateways = view.ask::<Gateways>(peer.router);
    let gateway = if peer.is_gateway { Some(&peer.name) } else { gateways.first() };
    let host = |name: &str| format!(" is_chassis_resident({})", quoted(&redirected(name)));
    let at_gateway = gateway.map(|name| host(name)).unwrap_or_default();
    let mut announced = BTreeSet::new();
    if peer.chassis.is_some() || gateway.is_some() {
        match row.options.get("nat-addresses").map(String::as_str) {
            Some("router") => {
                let here = if peer.is_gateway { host(&peer.name) } else { String::new() };
                announced = translated(view, peer, gateways.len(), &here);
            }
            Some(addresses) if Addresses::parse(addresses).is_some() => {
                announced.insert(format!("{addresses}{at_gateway}"));
            }
            _ => {}
        }
    }
    let is_host = match &**gateways {
        [] => peer.chassis.is_some() && !view.ask::<Localnets>(switch).is_empty(),
        _ if peer.is_gateway => true,
        [_] => peer.is_with_gateway,
        _ => false,
    };
    if is_host {
        let ips: String = peer.addresses.ipv4.iter().map(|ip| format!(" {ip}")).collect();
        announced.insert(format!("{}{ips}{at_gateway}", peer.addresses.mac));
    }
    announced
}

/// The addresses outside of a router's translations: those of its gateway together, of the others each where it is.
fn translated(view: &View<'_>, peer: &Peer, gateways: usize, here: &str) -> BTreeSet<String> {
    let mut announced = BTreeSet::new();
    let mut central = String::new();
    for translation in view.ask::<Translations>(peer.router).iter() {
        let is_here = gateways <= 1 || translation.is_at(peer);
        let Some(address) = translation.ipv4().filter(|_| is_here) else { continue };
        match &translation.distributed {
            Some((mac, inside)) if gateways > 0 => {
                if let Ok(mac) = mac.parse::<Mac>() {
                    let external = &translation.external;
                    announced.insert(format!("{mac} {external} is_chassis_resident(\"{inside}\")"));
                }
            }
            _ if peer.addresses.ipv4.iter().any(|own| own.address == address) => {}
            _ => central = format!("{central} {}", translation.external),
        }
    }
    if !central.is_empty() {
        announced.insert(format!("{}{central}{here}", peer.addresses.mac));
    }
    announced
}
