//! Where a switch sends packets to the Ethernet addresses of its ports.

use super::switch_port::Port;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::options::quoted;
use crate::logical::northd::facts::switch::Settings;
use crate::logical::northd::facts::switch_peer::{Facing, Gateways, Peer, Translations, redirected};
use crate::logical::northd::facts::switch_ports::{Entry, Localnets};
use crate::logical::northd::output::Output;
use crate::logical::northd::stage::Stage;
use crate::packet::Mac;

/// The flows of a port.
pub fn flows(port: &Port<'_>, output: &mut Output) {
    let (row, key) = (port.row, &port.key);
    let send = match row.is_enabled() {
        true => format!("outport = {key}; output;"),
        false => port.globals.drop.clone(),
    };
    let mut to = |matches: String| output.add(port.flow(Stage::SwitchInL2Lkup, 50, matches, &*send));
    let mut wrong = Vec::new();
    for entry in &row.addresses {
        match Entry::parse(entry) {
            Entry::Mac(mac) => to(format!("eth.dst == {mac}")),
            Entry::Unknown => {}
            Entry::Dynamic => {
                let gives = port.view.ask::<Settings>(port.switch).gives_addresses;
                match row.dynamic_addresses.as_deref().and_then(Addresses::parse) {
                    Some(given) if gives => to(format!("eth.dst == {}", given.mac)),
                    _ if gives => wrong.push(format!(
                        "addresses \"{entry}\": addresses are not given to ports by themselves; write them"
                    )),
                    _ => {}
                }
            }
            Entry::Router => {
                if let Some(peer) = &*port.view.ask::<Facing>(port.uuid) {
                    to_router(port, peer).into_iter().for_each(&mut to);
                }
            }
            Entry::Wrong => wrong.push(format!(
                "addresses \"{entry}\": it begins with no Ethernet address and is no word that is known; \
                 packets are sent to none"
            )),
        }
    }
    wrong.into_iter().for_each(|sentence| output.trouble(sentence));
}

/// The matches of packets to the Ethernet addresses of a router port. On a switch with a physical network those of a
/// gateway are taken where it is hosted.
fn to_router(port: &Port<'_>, peer: &Peer) -> Vec<String> {
    let gateways = port.view.ask::<Gateways>(peer.router);
    let is_physical = !port.view.ask::<Localnets>(port.switch).is_empty();
    let host = match &**gateways {
        _ if !is_physical => None,
        _ if peer.is_gateway => Some(&peer.name),
        [only] => Some(only).filter(|_| peer.is_with_gateway),
        _ => None,
    };
    let to = |mac: Mac, host: Option<String>| match host {
        Some(host) => format!("eth.dst == {mac} && is_chassis_resident({host})"),
        None => format!("eth.dst == {mac}"),
    };
    let mut matches = vec![to(peer.addresses.mac, host.map(|name| quoted(&redirected(name))))];
    if peer.is_gateway {
        for translation in port.view.ask::<Translations>(peer.router).iter() {
            if let Some((mac, inside)) = &translation.distributed
                && let Ok(mac) = mac.parse()
            {
                matches.push(to(mac, Some(format!("\"{inside}\""))));
            }
        }
    }
    matches
}
