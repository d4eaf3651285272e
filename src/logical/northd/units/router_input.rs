//! What router ports do with packets to themselves: they answer for their addresses, or say that nobody is there.

use std::fmt;

use crate::logical::nb::Uuid;
use crate::logical::nb::tables::LogicalRouterPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::ipv6_text;
use crate::logical::northd::facts::options::{Globals, flag};
use crate::logical::northd::facts::router::{Port, gateways, meter, port, router, surroundings};
use crate::logical::northd::facts::router_translation::translated;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

const INPUT: Stage = Stage::RouterInIpInput;

/// One address, or several in braces.
pub(super) fn one_or_set<T: fmt::Display>(addresses: &[T]) -> String {
    match addresses {
        [one] => one.to_string(),
        _ => set(addresses),
    }
}

fn set<T: fmt::Display>(addresses: &[T]) -> String {
    let texts: Vec<String> = addresses.iter().map(T::to_string).collect();
    format!("{{{}}}", texts.join(", "))
}

/// The addresses of one family, as text, and how that is written.
struct Family {
    number: u8,
    own: Vec<String>,
    echo: &'static str,
    echoed: &'static str,
    no_port: &'static str,
    no_protocol: &'static str,
}

fn families(port: &Port) -> [Family; 2] {
    [
        Family {
            number: 4,
            own: port.addresses.ipv4.iter().map(ToString::to_string).collect(),
            echo: "icmp4.type == 8 && icmp4.code == 0",
            echoed: "icmp4.type = 0",
            no_port: "icmp4.type = 3; icmp4.code = 3",
            no_protocol: "icmp4.type = 3; icmp4.code = 2",
        },
        Family {
            number: 6,
            own: port.addresses.ipv6.iter().map(ToString::to_string).collect(),
            echo: "icmp6.type == 128 && icmp6.code == 0",
            echoed: "icmp6.type = 129",
            no_port: "icmp6.type = 1; icmp6.code = 4",
            no_protocol: "icmp6.type = 1; icmp6.code = 3",
        },
    ]
}

/// Echoes, and what is dropped.
pub struct Own;

impl Unit for Own {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let mut add = |stage, priority, matches: String, actions: String| {
            output.add(flow(port.router, stage, priority, matches, actions).hint(row));
        };
        let drop = Globals::ask(view).drop.clone();
        let sources = port.addresses.ipv4.iter();
        let sources: Vec<_> = sources.flat_map(|own| [own.address, own.broadcast()]).collect();
        if !sources.is_empty() {
            add(INPUT, 100, format!("ip4.src == {} && reg9[0] == 0", set(&sources)), drop.clone());
        }
        let translated = translated(view, port.router);
        for Family { number, own, echo, echoed, .. } in families(&port) {
            if own.is_empty() {
                continue;
            }
            let (src, dst) = (format!("ip{number}.src"), format!("ip{number}.dst"));
            let matches = format!("{dst} == {} && {echo}", one_or_set(&own));
            let actions = format!("{dst} <-> {src}; ip.ttl = 255; {echoed}; flags.loopback = 1; next; ");
            add(INPUT, 90, matches, actions);
            // What may be translated back is dropped only when it was not.
            let (later, now): (Vec<_>, Vec<_>) =
                own.into_iter().partition(|own| translated.addresses.contains(own));
            let mut drop_to = |stage, priority, addresses: &[String]| {
                if !addresses.is_empty() {
                    add(stage, priority, format!("{dst} == {}", set(addresses)), drop.clone());
                }
            };
            if !translated.all_of_ports {
                drop_to(INPUT, 60, &now);
            }
            drop_to(Stage::RouterInArpResolve, 2, &later);
        }
        for own in &port.addresses.ipv6 {
            let matches = format!("ip6.dst == {own} && udp.src == 547 && udp.dst == 546");
            output.add(flow(port.router, INPUT, 100, matches, "reg0 = 0; handle_dhcpv6_reply;"));
        }
    }
}

/// Answers to whoever asks for the Ethernet address of the port.
pub struct Resolved;

/// Turns an ARP request into its answer.
const ARP_REPLY: &str = "eth.dst = eth.src; eth.src = xreg0[0..47]; arp.op = 2; /* ARP reply */ arp.tha = arp.sha; \
                         arp.sha = xreg0[0..47]; arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;";

/// Answers a neighbour solicitation.
const ND_REPLY: &str = "nd_na_router { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; \
                        outport = inport; flags.loopback = 1; output; };";

impl Unit for Resolved {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let key = &port.key;
        let place = arp_place(view, row, &port);
        for own in &port.addresses.ipv4 {
            let matches = format!(
                "inport == {key} && arp.op == 1 && arp.tpa == {own} && arp.spa == {}/{}{place}",
                own.network(),
                own.length
            );
            output.add(flow(port.router, INPUT, 90, matches, ARP_REPLY).hint(row));
        }
        let place = port.where_hosted();
        let meter = meter(view, port.router, "nd-na");
        for own in &port.addresses.ipv6 {
            let matches = format!(
                "inport == {key} && ip6.dst == {{{own}, {}}} && nd_ns && nd.target == {own}{place}",
                own.solicited_node()
            );
            output.add(flow(port.router, INPUT, 90, matches, ND_REPLY).hint(row).meter(meter.as_deref()));
        }
    }
}

/// Where ARP requests from a physical network are answered: by one chassis only, if some chassis hosts the port for all or
/// what stands for it.
fn arp_place(view: &View<'_>, row: Uuid, port: &Port) -> String {
    let gateways = gateways(view, port.router);
    if gateways.is_empty() || !surroundings(view, row).has_localnet {
        return String::new();
    }
    let options = view.row::<LogicalRouterPort>(row).map(|row| &row.options);
    let resides = options.is_some_and(|options| flag(options, "reside-on-redirect-chassis", false));
    match (&port.redirect, &*gateways) {
        (Some(_), _) => port.where_hosted(),
        (None, [gateway]) if resides => format!(" && is_chassis_resident({gateway})"),
        _ => String::new(),
    }
}

/// Packets that live no longer.
pub struct Expired;

impl Unit for Expired {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let key = &port.key;
        // From where a port is hosted for all, the answer must not come from its own address.
        let turn = |family: u8, own: String| match port.redirect {
            Some(_) => format!("ip{family}.dst <-> ip{family}.src"),
            None => format!("ip{family}.dst = ip{family}.src; ip{family}.src = {own}"),
        };
        let mut add = |family: u8, matches: String, actions: String| {
            let meter = meter(view, port.router, &format!("icmp{family}-error"));
            output.add(flow(port.router, INPUT, 31, matches, actions).hint(row).meter(meter.as_deref()));
        };
        for own in &port.addresses.ipv4 {
            let matches = format!("inport == {key} && ip4 && ip.ttl == {{0, 1}} && !ip.later_frag");
            let actions = format!(
                "icmp4 {{eth.dst <-> eth.src; icmp4.type = 11; /* Time exceeded */ icmp4.code = 0; \
                 /* TTL exceeded in transit */ {} ; ip.ttl = 254; outport = {key}; flags.loopback = 1; output; }};",
                turn(4, own.to_string())
            );
            add(4, matches, actions);
        }
        for own in port.addresses.ipv6.iter().filter(|own| !own.is_link_local()) {
            let matches = format!(
                "inport == {key} && ip6 && ip6.src == {}/{} && ip.ttl == {{0, 1}} && !ip.later_frag",
                ipv6_text(own.network()),
                own.length
            );
            let actions = format!(
                "icmp6 {{eth.dst <-> eth.src; {} ; ip.ttl = 254; icmp6.type = 3; /* Time exceeded */ \
                 icmp6.code = 0; /* TTL exceeded in transit */ outport = {key}; flags.loopback = 1; output; }};",
                turn(6, own.to_string())
            );
            add(6, matches, actions);
        }
    }
}

/// What is said to whoever wants more of a router than that it routes. A router that chassis host may have other
/// uses for its addresses, and says nothing.
pub struct Unreachable;

impl Unit for Unreachable {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let is_hosted = router(view, port.router).is_none_or(|router| router.chassis.is_some());
        if is_hosted || !gateways(view, port.router).is_empty() {
            return;
        }
        for Family { number, own, no_port, no_protocol, .. } in families(&port) {
            let turn = format!("eth.dst <-> eth.src; ip{number}.dst <-> ip{number}.src;");
            let error = |kind: &str| format!("icmp{number} {{{turn} ip.ttl = 255; {kind}; next; }};");
            let error_meter = format!("icmp{number}-error");
            for own in own {
                let to_own = format!("ip{number} && ip{number}.dst == {own} && !ip.later_frag");
                let mut add = |priority, protocol: &str, actions: String, metered: &str| {
                    let meter = meter(view, port.router, metered);
                    let matches = format!("{to_own}{protocol}");
                    output.add(
                        flow(port.router, INPUT, priority, matches, actions)
                            .hint(row)
                            .meter(meter.as_deref()),
                    );
                };
                add(80, " && tcp", format!("tcp_reset {{{turn} next; }};"), "tcp-reset");
                add(80, " && sctp", format!("sctp_abort {{{turn} next; }};"), "tcp-reset");
                add(80, " && udp", error(no_port), &error_meter);
                add(70, "", error(no_protocol), &error_meter);
            }
        }
    }
}
