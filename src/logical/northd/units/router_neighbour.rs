//! The Ethernet addresses of next hops that routers know without asking: of ports of the switches beside them, and of
//! other routers.

use super::router_input::one_or_set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LogicalRouterPort, LogicalSwitchPort};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::router::{Peer, Port, peer, port, router, router_ports_of};
use crate::logical::northd::facts::router_route::{address_beside, is_ipv4};
use crate::logical::northd::facts::switch_peer::Facing;
use crate::logical::northd::facts::switch_ports::Known;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

const RESOLVE: Stage = Stage::RouterInArpResolve;

/// The register of a next hop of a text's address family.
fn register(address: &str) -> &'static str {
    if is_ipv4(address) { "reg0" } else { "xxreg0" }
}

/// How the routers beside a switch reach a port of it.
pub struct OfSwitchPort;

impl Unit for OfSwitchPort {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = view.columns::<LogicalSwitchPort>(row, &["type", "enabled"]) else { return };
        let Some(switch) = view.switch_of(row).filter(|_| settings.is_enabled()) else { return };
        match &*settings.kind {
            "router" => other_routers(view, row, switch, output),
            "virtual" => unclaimed(view, row, switch, output),
            _ => hosts(view, row, switch, output),
        }
    }
}

fn hosts(view: &View<'_>, row: Uuid, switch: Uuid, output: &mut Output) {
    let routers = router_ports_of(view, switch);
    let routers: Vec<_> = routers.into_iter().filter_map(|uuid| port(view, uuid)).collect();
    if routers.is_empty() {
        return;
    }
    for host in view.ask::<Known>(row).iter() {
        let ipv4 = host.ipv4.iter().map(ToString::to_string);
        for address in ipv4.chain(host.ipv6.iter().map(ToString::to_string)) {
            for port in routers.iter().filter(|port| address_beside(&port.addresses, &address).is_some()) {
                let matches = format!("outport == {} && {} == {address}", port.key, register(&address));
                let actions = format!("eth.dst = {}; next;", host.mac);
                output.add(flow(port.router, RESOLVE, 100, matches, actions).hint(row));
            }
        }
    }
}

/// Who has the address of a virtual port is asked for always.
fn unclaimed(view: &View<'_>, row: Uuid, switch: Uuid, output: &mut Output) {
    let Some(settings) = view.columns::<LogicalSwitchPort>(row, &["options"]) else { return };
    let Some(address) = settings.options.get("virtual-ip") else { return };
    if !settings.options.contains_key("virtual-parents") {
        return;
    }
    let mut routers = router_ports_of(view, switch).into_iter().filter_map(|uuid| port(view, uuid));
    let beside = routers.find(|port| address_beside(&port.addresses, address).is_some());
    if let Some(port) = beside {
        let matches = format!("outport == {} && {} == {address}", port.key, register(address));
        output.add(flow(port.router, RESOLVE, 100, matches, "eth.dst = 00:00:00:00:00:00; next;").hint(row));
    }
}

/// How a router reaches the other routers beside a switch.
fn other_routers(view: &View<'_>, row: Uuid, switch: Uuid, output: &mut Output) {
    let facing = view.ask::<Facing>(row);
    let Some(own) = facing.as_ref().as_ref().map(|facing| facing.port) else { return };
    let Some(port) = port(view, own) else { return };
    if router(view, port.router).is_none_or(|router| router.asks_for_routers) {
        return;
    }
    for other in router_ports_of(view, switch) {
        if other != own
            && let Some(other) = self::port(view, other)
        {
            reach(&port, &other.addresses, " == ", row, output);
        }
    }
}

/// How a router reaches another one that it is joined with.
pub struct OfRouterPort;

impl Unit for OfRouterPort {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        if let Peer::Router(other) = peer(view, row)
            && let Some(other) = self::port(view, other)
        {
            // OVN leaves out a space here.
            reach(&other, &port.addresses, "== ", row, output);
        }
        let redirect_type = |settings: &LogicalRouterPort| settings.options.get("redirect-type").cloned();
        let redirect_type = view.row::<LogicalRouterPort>(row).and_then(|settings| redirect_type(settings));
        if let Some(redirect) = &port.redirect
            && redirect_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bridged"))
        {
            let matches = format!("outport == {} && !is_chassis_resident({redirect})", port.key);
            let actions = format!("eth.dst = {}; next;", port.addresses.mac);
            output.add(flow(port.router, RESOLVE, 50, matches, actions).hint(row));
        }
    }
}

/// The flows of a port's router for the addresses of a router beside it.
fn reach(port: &Port, other: &Addresses, ipv4_equals: &str, row: Uuid, output: &mut Output) {
    let mut add = |matches: String| {
        let matches = format!("outport == {} && {matches}", port.key);
        output.add(
            flow(port.router, RESOLVE, 100, matches, format!("eth.dst = {}; next;", other.mac)).hint(row),
        );
    };
    if !other.ipv4.is_empty() {
        add(format!("reg0{ipv4_equals}{}", one_or_set(&other.ipv4)));
    }
    if !other.ipv6.is_empty() {
        add(format!("xxreg0 == {}", one_or_set(&other.ipv6)));
    }
}
