//! Switch ports behind which there is another network: what connection tracking must leave alone, and requests for
//! addresses of routers, which only those get.

use std::collections::BTreeSet;

use super::switch_port::Port;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::{LogicalSwitch, LogicalSwitchPort};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::copp::protecting;
use crate::logical::northd::facts::options::quoted;
use crate::logical::northd::facts::switch::Settings;
use crate::logical::northd::facts::switch_acls::Tracking;
use crate::logical::northd::facts::switch_peer::{Facing, Peer, Translations, redirected};
use crate::logical::northd::facts::switch_ports::{IsBetweenRouters, ToRouters};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// The flows of a port that leads to another network.
pub struct Flows;

impl Unit for Flows {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        // Most ports are none.
        let row = view.columns::<LogicalSwitchPort>(uuid, &["type"]);
        let Some(kind) =
            row.map(|row| &*row.kind).filter(|kind| matches!(*kind, "router" | "localnet" | "remote"))
        else {
            return;
        };
        let Some(port) = Port::of(view, uuid) else { return };
        let peer = view.ask::<Facing>(uuid);
        match (kind, &*peer) {
            ("localnet", _) => untracked(&port, !view.ask::<Tracking>(port.switch).balances, output),
            ("router", Some(peer)) => {
                untracked(&port, true, output);
                requests(&port, peer, output);
            }
            ("remote", _) => reports(&port, output),
            _ => {}
        }
    }
}

/// Its other side is another zone of connection tracking, which sees only half of a connection.
fn untracked(port: &Port<'_>, also_for_balancers: bool, output: &mut Output) {
    let related = port.view.ask::<Tracking>(port.switch).rules.related;
    let rules = (Stage::SwitchInPreAcl, Stage::SwitchOutPreAcl, related);
    let balancers = (Stage::SwitchInPreLb, Stage::SwitchOutPreLb, also_for_balancers);
    for (ingress, egress, _) in [rules, balancers].into_iter().filter(|(.., is_tracked)| *is_tracked) {
        let clear = if related { "next;" } else { "ct_clear; next;" };
        let key = &port.key;
        output.add(port.local_flow(ingress, 110, format!("ip && inport == {key}"), "next;"));
        output.add(port.local_flow(egress, 110, format!("ip && outport == {key}"), clear));
    }
}

/// Requests for the addresses of a router go to it, and where there are hosts too, to those.
fn requests(port: &Port<'_>, peer: &Peer, output: &mut Output) {
    if !peer.is_enabled {
        return;
    }
    let key = &port.key;
    let has_hosts = !*port.view.ask::<IsBetweenRouters>(port.switch);
    let send = match has_hosts {
        true => format!("clone {{outport = {key}; output; }}; outport = \"_MC_flood_l2\"; output;"),
        false => format!("outport = {key}; output;"),
    };
    let translations = port.view.ask::<Translations>(peer.router);
    let entered = || translations.iter().filter(|translation| translation.is_entered);
    let ipv4 = peer.addresses.ipv4.iter().map(|ip| (true, ip.to_string()));
    let ipv6 = peer.addresses.ipv6.iter().map(|ip| (false, ip.to_string()));
    let outside = entered().map(|one| (one.address.is_ipv4(), one.external.clone()));
    for (is_ipv4, ip) in ipv4.chain(ipv6).chain(outside) {
        let asked = match is_ipv4 {
            true => format!("flags[1] == 0 && arp.op == 1 && arp.tpa == {ip}"),
            false => format!("flags[1] == 0 && nd_ns && nd.target == {ip}"),
        };
        output.add(port.flow(Stage::SwitchInL2Lkup, 80, asked, &*send));
    }
    if has_hosts {
        let mut own = BTreeSet::from([peer.addresses.mac.to_string()]);
        own.extend(entered().filter_map(|one| one.external_mac.clone()));
        let own: Vec<String> = own.into_iter().collect();
        let own = format!("eth.src == {{{}}} && (arp.op == 1 || rarp.op == 3 || nd_ns)", own.join(", "));
        let flood = "outport = \"_MC_flood_l2\"; output;";
        output.add(flow(port.switch, Stage::SwitchInL2Lkup, 75, own, flood));
    }
}

/// Reports of multicast groups that come from another deployment.
fn reports(port: &Port<'_>, output: &mut Output) {
    let settings = port.view.ask::<Settings>(port.switch);
    if !settings.snoops || !settings.is_transit {
        return;
    }
    let meter = protecting(port.view, settings.copp, "igmp");
    for reports in ["igmp", "(mldv1 || mldv2)"] {
        let matches = format!("inport == {} && {reports}", port.key);
        let wanted = flow(port.switch, Stage::SwitchOutPreLb, 120, matches, "clone { igmp; }; next;");
        output.add(wanted.meter(meter.as_deref()));
    }
}

/// What comes from VTEP gateways, which have done the work of the first stages.
pub struct Ramps;

impl Unit for Ramps {
    fn compile(view: &View<'_>, switch: Uuid, output: &mut Output) {
        if view.of_class::<LogicalSwitch>(switch, Class::Vtep).is_empty() {
            return;
        }
        let skip = format!("next(pipeline=ingress, table={});", Stage::SwitchInL2Lkup.table());
        output.add(flow(switch, Stage::SwitchInHairpin, 1000, "reg0[14] == 1", skip));
        for port in view.ask::<ToRouters>(switch).iter() {
            if let Some(peer) = &*view.ask::<Facing>(*port)
                && peer.is_gateway
            {
                let host = quoted(&redirected(&peer.name));
                let here = format!("reg0[14] == 1 && is_chassis_resident({host})");
                output.add(flow(switch, Stage::SwitchInHairpin, 2000, here, "next;"));
            }
        }
    }
}
