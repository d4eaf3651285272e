//! Answers to ARP and neighbour discovery that a switch gives for its ports, and how virtual ports find their place.

use std::net::Ipv4Addr;

use super::switch_port::Port;
use crate::logical::northd::facts::addresses::{Addresses, Ipv6Network};
use crate::logical::northd::facts::copp::protecting;
use crate::logical::northd::facts::switch::Settings;
use crate::logical::northd::facts::switch_peer::Facing;
use crate::logical::northd::facts::switch_ports::Known;
use crate::logical::northd::output::Output;
use crate::logical::northd::stage::Stage;

/// The actions that answer an ARP request.
pub fn arp(mac: &str, ip: &str) -> String {
    format!(
        "eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; arp.sha = {mac}; \
         arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
    )
}

/// The match of a request for an IPv6 address.
pub fn solicitation(ip: Ipv6Network) -> String {
    format!("nd_ns && ip6.dst == {{{ip}, {}}} && nd.target == {ip}", ip.solicited_node())
}

/// The flows of a port.
pub fn flows(port: &Port<'_>, output: &mut Output) {
    let Port { row, key, view, .. } = port;
    if row.kind == "localnet" {
        let inport = format!("inport == {key}");
        output.add(port.local_flow(Stage::SwitchInArpRsp, 100, inport, "next;"));
    }
    if row.kind == "virtual" {
        return binding(port, output);
    }
    let is_hidden =
        port.globals.asks_for_up && row.up != Some(true) && !matches!(&*row.kind, "router" | "localport");
    let settings = view.ask::<Settings>(port.switch);
    if is_hidden || row.kind == "external" || row.has_unknown() || settings.passes_vlans {
        return;
    }
    let meter = protecting(view, settings.copp, "nd-na");
    for known in view.ask::<Known>(port.uuid).iter() {
        answers(port, known, meter.as_deref(), output);
    }
    proxy(port, output);
}

/// Answers for addresses, but not to the port that has them, so that it may look for another who has.
fn answers(port: &Port<'_>, known: &Addresses, meter: Option<&str>, output: &mut Output) {
    let Port { row, key, .. } = port;
    let mac = known.mac.to_string();
    for ip in &known.ipv4 {
        let asked = format!("arp.tpa == {ip} && arp.op == 1");
        output.add(port.flow(Stage::SwitchInArpRsp, 50, &*asked, arp(&mac, &ip.to_string())));
        let own = format!("{asked} && inport == {key}");
        output.add(port.local_flow(Stage::SwitchInArpRsp, 100, own, "next;"));
    }
    let word = if row.kind == "router" { "nd_na_router" } else { "nd_na" };
    for ip in &known.ipv6 {
        let asked = solicitation(*ip);
        let answer = format!(
            "{word} {{ eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; outport = inport; \
             flags.loopback = 1; output; }};"
        );
        output.add(port.flow(Stage::SwitchInArpRsp, 50, &*asked, answer).meter(meter));
        let own = format!("{asked} && inport == {key}");
        output.add(port.local_flow(Stage::SwitchInArpRsp, 100, own, "next;"));
    }
}

/// Answers with the address of the router for others that it stands for.
fn proxy(port: &Port<'_>, output: &mut Output) {
    let peer = port.view.ask::<Facing>(port.uuid);
    let proxied = port.row.options.get("arp_proxy").and_then(|list| Addresses::parse_ips(list));
    if let (Some(peer), Some(proxied)) = (&*peer, proxied)
        && !proxied.ipv4.is_empty()
    {
        let all: Vec<String> = proxied.ipv4.iter().map(|ip| ip.to_string()).collect();
        let asked = format!("arp.op == 1 && arp.tpa == {{{}}}", all.join(","));
        let mac = peer.addresses.mac;
        let answer = format!(
            "eth.dst = eth.src; eth.src = {mac}; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; \
             arp.sha = {mac}; arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;"
        );
        output.add(port.flow(Stage::SwitchInArpRsp, 50, asked, answer));
    }
}

/// A virtual port is where one of its parents says that it has the address.
fn binding(port: &Port<'_>, output: &mut Output) {
    let Port { row, key, view, .. } = port;
    let (Some(ip), Some(parents)) = (row.options.get("virtual-ip"), row.options.get("virtual-parents"))
    else {
        return;
    };
    let said = if ip.contains('.') {
        if ip.parse::<Ipv4Addr>().is_err() {
            return;
        }
        format!("((arp.op == 1 && arp.spa == {ip} && arp.tpa == {ip}) || (arp.op == 2 && arp.spa == {ip}))")
    } else {
        let Ok(address) = ip.parse() else { return };
        let group = Ipv6Network { address, length: 128 }.solicited_node();
        format!(
            "((nd_ns && ip6.dst == {{{ip}, {group}}} && nd.target == {ip}) ||(nd_na && nd.target == {ip}))"
        )
    };
    for parent in parents.split(',').filter(|name| !name.is_empty()) {
        let Some((uuid, _)) = view.switch_port(parent) else { continue };
        if view.switch_of(uuid) != Some(port.switch) {
            continue;
        }
        let (said, bind) =
            (format!("inport == \"{parent}\" && {said}"), format!("bind_vport({key}, inport); next;"));
        let wanted = port.flow(Stage::SwitchInArpRsp, 100, said, bind);
        output.add(wanted.hint(uuid).io_port(parent));
    }
}
