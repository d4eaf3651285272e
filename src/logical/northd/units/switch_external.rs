//! External ports: hosts behind a physical network that a chassis looks after.

use super::switch_answer::solicitation;
use super::switch_port::Port;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::options::quoted;
use crate::logical::northd::facts::switch_ports::{Known, Localnets, ToRouters};
use crate::logical::northd::output::Output;
use crate::logical::northd::stage::Stage;

/// Only the chassis that looks after the port lets its packets to routers in.
pub fn flows(port: &Port<'_>, output: &mut Output) {
    let Port { view, key, globals, .. } = port;
    let own = view.ask::<Known>(port.uuid);
    let routers: Vec<Addresses> = {
        let ports = view.ask::<ToRouters>(port.switch);
        ports.iter().flat_map(|router| view.ask::<Known>(*router).to_vec()).collect()
    };
    for physical in view.ask::<Localnets>(port.switch).iter() {
        let mut refuse = |matches: String| {
            let wanted = port.flow(Stage::SwitchInExternalPort, 100, matches, &*globals.drop);
            output.add(wanted.io_port(physical));
        };
        let inport = quoted(physical);
        for (from, router) in own.iter().flat_map(|from| routers.iter().map(move |router| (from, router))) {
            let from = format!("inport == {inport} && eth.src == {}", from.mac);
            let elsewhere = format!("!is_chassis_resident({key})");
            for ip in &router.ipv4 {
                refuse(format!("{from} && {elsewhere} && arp.tpa == {ip} && arp.op == 1"));
            }
            for ip in &router.ipv6 {
                refuse(format!("{from} && {elsewhere} && {}", solicitation(*ip)));
            }
            refuse(format!("{from} && eth.dst == {} && {elsewhere}", router.mac));
        }
    }
}
