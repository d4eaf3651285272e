//! Groups of a switch's ports that get copies.

use std::collections::BTreeSet;

use crate::logical::nb::Table;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::LogicalSwitch;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::switch_peer::Facing;
use crate::logical::northd::facts::switch_ports::ToRouters;
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::MulticastGroup;
use crate::logical::rows::{self, Uuid};

/// The groups of a switch.
pub struct Groups;

impl Unit for Groups {
    fn compile(view: &View<'_>, switch: Uuid, output: &mut Output) {
        let of_class = |class| view.of_class::<LogicalSwitch>(switch, class);
        let mut all: BTreeSet<Uuid> = view.owned::<LogicalSwitch>(switch, Table::LogicalSwitchPort).collect();
        for port in of_class(Class::Disabled) {
            all.remove(&port);
        }
        let mut hosts = all.clone();
        for port in of_class(Class::ToRouter) {
            hosts.remove(&port);
        }
        let relays = |port: &Uuid| {
            let peer = view.ask::<Facing>(*port);
            all.contains(port) && peer.as_ref().as_ref().is_some_and(|peer| peer.relays)
        };
        let mut routers: Vec<Uuid> = of_class(Class::Reported);
        routers.extend(view.ask::<ToRouters>(switch).iter().filter(|port| relays(port)));
        let datapath = names::datapath(switch);
        for (name, tunnel_key, ports) in [
            ("_MC_flood", 32768, all.iter().collect()),
            ("_MC_unknown", 32769, of_class(Class::Unknown).iter().collect()),
            ("_MC_mrouter_flood", 32770, routers.iter().collect()),
            ("_MC_static", 32771, of_class(Class::Flooding).iter().collect()),
            ("_MC_flood_l2", 32772, hosts.iter().collect::<Vec<_>>()),
        ] {
            if !ports.is_empty() {
                let ports = ports.into_iter().map(|port| names::port(*port)).collect();
                let row = MulticastGroup { datapath, name: name.to_owned(), ports, tunnel_key };
                output.row(names::southbound(rows::Table::MulticastGroup, (switch, name)), row);
            }
        }
    }
}
