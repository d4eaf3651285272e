//! The ways of packets through routers: networks of their own, static routes, and routing tables.
//!
//! Routes to longer prefixes go before those to shorter ones; among those of one length networks of the router itself go
//! first, then routes by the destination, then those by the source. Of several routes for the same packets, a group,
//! each packet takes one by its connection.

use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, LogicalRouterStaticRoute};
use crate::logical::nb::{Table, Uuid};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Ipv6Network;
use crate::logical::northd::facts::options::Globals;
use crate::logical::northd::facts::router::{Port, meter, port, router};
use crate::logical::northd::facts::router_route::{
    Prefix, Route, Sharing, Way, sharing, static_route, table_number,
};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// Where a route stands among those to prefixes of its length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    BySource = 0,
    Static = 1,
    Connected = 2,
}

impl Rank {
    fn of(route: &Route) -> Self {
        match route {
            Route { by_source: true, .. } => Self::BySource,
            Route { is_connected: true, .. } => Self::Connected,
            _ => Self::Static,
        }
    }

    fn priority(self, prefix: Prefix) -> u16 {
        u16::from(prefix.length()) * 3 + self as u16
    }

    /// The packets that a route is for. Networks of the router are in all routing tables.
    fn matches(self, prefix: Prefix, table: usize) -> String {
        let table = match (self, table) {
            (Self::Static, _) | (_, 1..) => format!("reg7 == {table} && "),
            _ => String::new(),
        };
        let family = if prefix.is_ipv4() { 4 } else { 6 };
        let end = if self == Self::BySource { "src" } else { "dst" };
        format!("{table}ip{family}.{end} == {prefix}")
    }
}

/// The registers of the next hop and of the address that asks for it.
fn registers(is_ipv4: bool) -> (&'static str, &'static str) {
    if is_ipv4 { ("reg0", "reg1") } else { ("xxreg0", "xxreg1") }
}

/// The actions by which packets leave through a port for a next hop, up to what follows.
pub(super) fn leave(port: &Port, address: &str, next_hop: &str, is_ipv4: bool) -> String {
    let (next, own) = registers(is_ipv4);
    format!(
        "{next} = {next_hop}; {own} = {address}; eth.src = {}; outport = {}; ",
        port.addresses.mac, port.key
    )
}

/// The flow of a route that has its packets for itself.
fn follow(
    (prefix, rank, table): (Prefix, Rank, usize),
    next_hop: &str,
    port: &Port,
    address: &str,
) -> (u16, String, String) {
    let destination = if prefix.is_ipv4() { "ip4.dst" } else { "ip6.dst" };
    let next_hop = if next_hop.is_empty() { destination } else { next_hop };
    let link = if prefix.is_link_local() { format!("inport == {} && ", port.key) } else { String::new() };
    let actions = format!(
        "ip.ttl--; reg8[0..15] = 0; {}flags.loopback = 1; next;",
        leave(port, address, next_hop, prefix.is_ipv4())
    );
    (rank.priority(prefix), format!("{link}{}", rank.matches(prefix, table)), actions)
}

/// The networks of a port.
pub struct Connected;

impl Unit for Connected {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let ipv4 = port.addresses.ipv4.iter().map(|own| (Prefix::V4(*own), own.to_string()));
        let ipv6 = port.addresses.ipv6.iter().map(|own| (Prefix::V6(*own), own.to_string()));
        for (prefix, address) in ipv4.chain(ipv6) {
            let (priority, matches, actions) = follow((prefix, Rank::Connected, 0), "", &port, &address);
            output.add(flow(port.router, Stage::RouterInIpRouting, priority, matches, actions).hint(row));
        }
    }
}

/// The routing table of packets that come in through a port.
pub struct Tables;

impl Unit for Tables {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(owner) = view.router_of(row).filter(|owner| router(view, *owner).is_some()) else { return };
        let Some(port) = view.row::<LogicalRouterPort>(row) else { return };
        let Some(table) = port.options.get("route_table").filter(|table| !table.is_empty()) else { return };
        let matches = format!("inport == \"{}\"", port.name);
        let actions = format!("reg7 = {}; next;", table_number(view, owner, table));
        output.add(flow(owner, Stage::RouterInIpRoutingPre, 100, matches, actions));
    }
}

/// A static route.
pub struct Static;

impl Unit for Static {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(read) = static_route(view, row) else { return };
        let Some(settings) = view.row::<LogicalRouterStaticRoute>(row) else { return };
        let route = match &*read {
            Ok(route) => route,
            Err(error) => return output.trouble(error.to_string()),
        };
        match sharing(view, settings, route) {
            Some(sharing) => member(view, row, route, &sharing, output),
            None => alone(view, row, route, output),
        }
    }
}

fn alone(view: &View<'_>, row: Uuid, route: &Route, output: &mut Output) {
    let rank = Rank::of(route);
    let table = table_number(view, route.router, &route.table);
    let stage = Stage::RouterInIpRouting;
    let Some(Way { port: out, address }) = &route.way else {
        let (priority, matches) = (rank.priority(route.prefix), rank.matches(route.prefix, table));
        return output.add(flow(route.router, stage, priority, matches, &*Globals::ask(view).drop).hint(row));
    };
    let Some(port) = port(view, *out) else { return };
    let (priority, matches, actions) = follow((route.prefix, rank, table), &route.next_hop, &port, address);
    output.add(flow(port.router, stage, priority, matches, actions).hint(row));
}

/// A route of a group. The first one stands for the choice among them.
fn member(view: &View<'_>, row: Uuid, route: &Route, sharing: &Sharing, output: &mut Output) {
    let Some(group) = sharing.number else {
        return output.trouble("there are too many routes with several next hops to like addresses");
    };
    let Some(place) = sharing.routes.iter().position(|other| *other == row) else { return };
    if place == 0 {
        let (rank, table) = (Rank::of(route), table_number(view, route.router, &route.table));
        let matches = rank.matches(route.prefix, table);
        let actions = format!("ip.ttl--; flags.loopback = 1; {}", select(group, sharing.routes.len()));
        output.add(flow(
            route.router,
            Stage::RouterInIpRouting,
            rank.priority(route.prefix),
            matches,
            actions,
        ));
    }
    if route.is_symmetric && router(view, route.router).is_some_and(|router| router.chassis.is_some()) {
        output.trouble("ecmp_symmetric_reply: replies do not yet return where the first packet came from");
    }
    let Some(Way { port: out, address }) = &route.way else {
        return output.trouble("a route that discards packets has others for the same packets beside it");
    };
    let Some(port) = port(view, *out) else { return };
    let actions = format!("{}next;", leave(&port, address, &route.next_hop, route.prefix.is_ipv4()));
    let stage = Stage::RouterInIpRoutingEcmp;
    output.add(flow(route.router, stage, 100, chosen(group, place), actions).hint(row));
}

/// The actions that choose one of several next hops.
pub(super) fn select(group: u16, count: usize) -> String {
    let places: Vec<String> = (1..=count).map(|place| place.to_string()).collect();
    format!("reg8[0..15] = {group}; reg8[16..31] = select({});", places.join(", "))
}

/// The packets for which one was chosen.
pub(super) fn chosen(group: u16, place: usize) -> String {
    format!("reg8[0..15] == {group} && reg8[16..31] == {}", place + 1)
}

/// Solicitations for an IPv6 next hop go to those only who can have its address.
pub struct Solicit;

impl Unit for Solicit {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = view.row::<LogicalRouterStaticRoute>(row) else { return };
        let Some(address) = settings.ipv6_next_hop() else { return };
        for owner in view.parents::<LogicalRouter>(Table::LogicalRouterStaticRoute, row) {
            if router(view, owner).is_none() {
                continue;
            }
            let group = Ipv6Network { address, length: 128 }.solicited_node();
            let [.., a, b, c, d] = group.octets();
            let next_hop = &settings.nexthop;
            let matches = format!("eth.dst == 00:00:00:00:00:00 && ip6 && xxreg0 == {next_hop}");
            let actions = format!(
                "nd_ns {{ eth.dst = 33:33:{a:02x}:{b:02x}:{c:02x}:{d:02x}; ip6.dst = {group}; \
                 nd.target = {next_hop}; output; }};"
            );
            let meter = meter(view, owner, "nd-ns-resolve");
            let solicit = flow(owner, Stage::RouterInArpRequest, 200, matches, actions);
            output.add(solicit.hint(row).meter(meter.as_deref()));
        }
    }
}
