//! Multicast in routers: what passes on to networks beside, and the ports to which all of it goes.

use crate::logical::nb::Uuid;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::LogicalRouterPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::{Globals, flag};
use crate::logical::northd::facts::router::{port, ports_of_class, router};
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Table;
use crate::logical::rows::tables::MulticastGroup;

/// The group of the ports to which all multicast goes, and its key.
const STATIC: (&str, u16) = ("_MC_static", 32_771);

/// The ports to which all multicast goes: what they are in the Southbound.
fn flooded(view: &View<'_>, router: Uuid) -> Vec<Uuid> {
    let ports = ports_of_class(view, router, Class::Flooded).into_iter();
    let is_flooded = |uuid: Uuid| {
        let settings = view.row::<LogicalRouterPort>(uuid);
        settings.is_some_and(|settings| flag(&settings.options, "mcast_flood", false))
    };
    let ports = ports.filter(|(uuid, port)| port.is_enabled && is_flooded(*uuid));
    ports
        .map(|(uuid, port)| match port.redirect {
            Some(_) => names::redirect_port(uuid),
            None => names::port(uuid),
        })
        .collect()
}

/// The flows for multicast, and the group.
pub struct Multicast;

impl Unit for Multicast {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = router(view, row) else { return };
        let flooded = flooded(view, row);
        let is_flooding = !flooded.is_empty();
        let drop = &*Globals::ask(view).drop;
        let mut add = |stage, priority, matches: &str, actions: &str| {
            output.add(flow(row, stage, priority, matches, actions));
        };
        let (input, routing) = (Stage::RouterInIpInput, Stage::RouterInIpRouting);
        let (any, reports) = ("ip4.mcast || ip6.mcast", ["igmp", "mldv1 || mldv2"]);
        if is_flooding {
            add(input, 120, "igmp && ip.ttl == 1", "next;");
            add(input, 120, "(mldv1 || mldv2) && ip.ttl == 1", "next;");
        }
        add(input, 82, any, if settings.relays { "next;" } else { drop });
        if settings.relays && is_flooding {
            for matches in reports {
                add(routing, 10460, matches, "clone { outport = \"_MC_static\"; next; };");
            }
            add(routing, 10450, any, "clone { outport = \"_MC_static\"; ip.ttl--; next; };");
        } else if settings.relays {
            add(routing, 10450, any, drop);
        }
        if is_flooding {
            let (name, tunnel_key) = STATIC;
            let group = MulticastGroup {
                datapath: names::datapath(row),
                name: name.to_owned(),
                ports: flooded.into_iter().collect(),
                tunnel_key,
            };
            output.row(names::southbound(Table::MulticastGroup, (row, name)), group);
        }
    }
}

/// Reports that a router's port sent itself do not go round.
pub struct Own;

impl Unit for Own {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let relays = router(view, port.router).is_some_and(|router| router.relays);
        if !relays || flooded(view, port.router).is_empty() {
            return;
        }
        let drop = Globals::ask(view).drop.clone();
        for reports in ["igmp", "(mldv1 || mldv2)"] {
            let matches = format!("eth.src == {} && {reports}", port.addresses.mac);
            output.add(flow(port.router, Stage::RouterInIpRouting, 10550, matches, &*drop));
        }
    }
}
