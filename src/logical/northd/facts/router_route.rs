//! What is asked of the routes of routers: which way a next hop is, what a route is, and which routes share their packets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::addresses::{Addresses, Ipv4Network, Ipv6Network, ipv6_text};
use super::options::flag;
use super::router::{port, router};
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::{
    LogicalRouter, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute,
};
use crate::logical::nb::{Table, Uuid};
use crate::logical::northd::memory::{Of, Query, View};

/// Most groups whose names are of one bucket.
const SLOTS: u16 = 15;

/// The number of a group of next hops within its router: of its bucket and its rank there, so that one group more leaves
/// those of other buckets as they are. None if there are too many.
fn group_number(bucket: u16, rank: usize) -> Option<u16> {
    let rank = u16::try_from(rank).ok().filter(|rank| *rank < SLOTS)?;
    Some(bucket * (SLOTS + 1) + rank + 1)
}

struct Interfaces;

impl Query for Interfaces {
    type Value = Vec<(Uuid, Addresses)>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let ports = view.owned::<LogicalRouter>(of.uuid(), Table::LogicalRouterPort);
        ports.filter_map(|uuid| Some((uuid, port(view, uuid)?.addresses.clone()))).collect()
    }
}

/// Where packets leave a router for a next hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// The port.
    pub port: Uuid,
    /// The address of the port that is in the same network, as flows have it.
    pub address: String,
}

/// The address of a port in whose network an address is.
pub fn address_beside(addresses: &Addresses, other: &str) -> Option<String> {
    // As in OVN a point makes it an IPv4 address.
    if other.contains('.') {
        let other = other.parse().ok()?;
        return addresses.ipv4.iter().find(|own| own.contains(other)).map(ToString::to_string);
    }
    let other = other.parse().ok()?;
    addresses.ipv6.iter().find(|own| own.contains(other)).map(ToString::to_string)
}

struct WayTo;

impl Query for WayTo {
    type Value = Option<Way>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let interfaces = view.ask::<Interfaces>(of.uuid());
        let way = |(port, addresses): &(Uuid, Addresses)| {
            Some(Way { port: *port, address: address_beside(addresses, of.name())? })
        };
        interfaces.iter().find_map(way)
    }
}

/// The first way from a router to a next hop, if that is in the network of a port.
pub fn way_to(view: &View<'_>, router: Uuid, next_hop: &str) -> Option<Way> {
    Option::clone(&view.ask::<WayTo>(Of::Named(router, next_hop.into())))
}

/// The addresses that a route is for, as they are written: bits beyond the length may be set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Prefix {
    /// Of IPv4.
    V4(Ipv4Network),
    /// Of IPv6.
    V6(Ipv6Network),
}

impl Prefix {
    /// Reads `IP` or `IP/LENGTH`.
    pub fn parse(text: &str) -> Option<Self> {
        Ipv4Network::parse(text).map(Self::V4).or_else(|| Ipv6Network::parse(text).map(Self::V6))
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(self) -> bool {
        matches!(self, Self::V4(_))
    }

    /// The length.
    pub fn length(self) -> u8 {
        match self {
            Self::V4(network) => network.length,
            Self::V6(network) => network.length,
        }
    }

    /// Whether it is for links, each by itself.
    pub fn is_link_local(self) -> bool {
        let first_of = |network: Ipv6Network| Ipv6Network { address: network.network(), ..network };
        matches!(self, Self::V6(network) if first_of(network).is_link_local())
    }

    fn is_one_address(self) -> bool {
        self.length() == if self.is_ipv4() { 32 } else { 128 }
    }
}

/// `IP/LENGTH` with the first address.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(network) => write!(f, "{}/{}", network.network(), network.length),
            Self::V6(network) => write!(f, "{}/{}", ipv6_text(network.network()), network.length),
        }
    }
}

/// Why a route is not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRoute {
    /// Neither address nor network.
    #[error("the addresses that the route is for cannot be read; write IP/LENGTH")]
    Prefix,
    /// No address.
    #[error("the next hop is no IP address; write one, or `discard`")]
    NextHop,
    /// One is IPv4, the other IPv6.
    #[error("the route and its next hop are not of the same address family")]
    Family,
    /// No port.
    #[error("there is no port of that name to leave through")]
    Port,
    /// No port's network has the next hop.
    #[error("the next hop is in no network of the router; name the port to leave through")]
    Way,
}

/// A static route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The router that it is of.
    pub router: Uuid,
    /// The addresses that it is for.
    pub prefix: Prefix,
    /// Whether the source counts.
    pub by_source: bool,
    /// The routing table; empty for the main one.
    pub table: String,
    /// Whether it goes before static ones, as a network of the router itself.
    pub is_connected: bool,
    /// Whether replies leave where the first packet came from.
    pub is_symmetric: bool,
    /// The next hop as it is written; empty for the destination itself.
    pub next_hop: String,
    /// Where packets leave; none if they are dropped.
    pub way: Option<Way>,
}

/// What must be the same of two routes for their packets to be shared.
pub type RouteKey = (Prefix, bool, String);

impl Route {
    /// What must be the same of another one for their packets to be shared.
    pub fn key(&self) -> RouteKey {
        (self.prefix, self.by_source, self.table.clone())
    }
}

struct StaticRoute;

impl Query for StaticRoute {
    type Value = Option<Arc<Result<Route, BadRoute>>>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let owner = *view.parents::<LogicalRouter>(Table::LogicalRouterStaticRoute, of.uuid()).first()?;
        router(view, owner)?;
        let row = view.row::<LogicalRouterStaticRoute>(of.uuid())?;
        Some(Arc::new(read(view, owner, row)))
    }
}

fn read(view: &View<'_>, owner: Uuid, row: &LogicalRouterStaticRoute) -> Result<Route, BadRoute> {
    let is_discard = row.next_hop_is_nowhere();
    let next_hop = Some(&row.nexthop).filter(|next_hop| !next_hop.is_empty() && !is_discard);
    let next_hop = match next_hop {
        Some(text) => Some(Prefix::parse(text).filter(|one| one.is_one_address()).ok_or(BadRoute::NextHop)?),
        None => None,
    };
    let prefix = Prefix::parse(&row.ip_prefix).ok_or(BadRoute::Prefix)?;
    if next_hop.is_some_and(|next_hop| next_hop.is_ipv4() != prefix.is_ipv4()) {
        return Err(BadRoute::Family);
    }
    let way = if is_discard { None } else { Some(leave(view, owner, row, prefix)?) };
    Ok(Route {
        router: owner,
        prefix,
        by_source: row.policy.as_deref() == Some("src-ip"),
        table: row.route_table.clone(),
        is_connected: row.options.get("origin").is_some_and(|origin| origin == "connected"),
        is_symmetric: flag(&row.options, "ecmp_symmetric_reply", false),
        next_hop: row.nexthop.clone(),
        way,
    })
}

/// Where a route leaves its router.
fn leave(
    view: &View<'_>,
    owner: Uuid,
    row: &LogicalRouterStaticRoute,
    prefix: Prefix,
) -> Result<Way, BadRoute> {
    let Some(name) = &row.output_port else {
        return way_to(view, owner, &row.nexthop).ok_or(BadRoute::Way);
    };
    let (uuid, _) = view.router_port(name).ok_or(BadRoute::Port)?;
    let port = port(view, uuid).ok_or(BadRoute::Port)?;
    // A port that is named is used though the next hop is in none of its networks.
    let first = || match prefix {
        Prefix::V4(_) => port.addresses.ipv4.first().map(ToString::to_string),
        Prefix::V6(_) => port.addresses.ipv6.first().map(ToString::to_string),
    };
    let address = address_beside(&port.addresses, &row.nexthop).or_else(first).ok_or(BadRoute::Way)?;
    Ok(Way { port: uuid, address })
}

impl LogicalRouterStaticRoute {
    fn next_hop_is_nowhere(&self) -> bool {
        self.nexthop == "discard"
    }

    /// The next hop, if it is an IPv6 address.
    pub fn ipv6_next_hop(&self) -> Option<Ipv6Addr> {
        let next_hop = Ipv6Network::parse(&self.nexthop).filter(|next_hop| next_hop.length == 128)?;
        Some(next_hop.address)
    }
}

/// A static route, or why it is not followed; none of routers that do not work.
pub fn static_route(view: &View<'_>, route: Uuid) -> Option<Arc<Result<Route, BadRoute>>> {
    Option::clone(&view.ask::<StaticRoute>(route))
}

/// Routes that share their packets.
#[derive(PartialEq, Eq, Clone, Debug)]
pub struct Sharing {
    /// The number of the group; none if there are too many.
    pub number: Option<u16>,
    /// The routes.
    pub routes: Vec<Uuid>,
}

/// The routes of a bucket that share their packets with others.
struct Shared;

impl Query for Shared {
    type Value = BTreeMap<RouteKey, Sharing>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let bucket = of.number();
        let mut all: BTreeMap<RouteKey, Vec<Uuid>> = BTreeMap::new();
        for uuid in view.of_class::<LogicalRouter>(of.uuid(), Class::Route(bucket)) {
            if let Some(route) = static_route(view, uuid)
                && let Ok(route) = &*route
            {
                all.entry(route.key()).or_default().push(uuid);
            }
        }
        let shared = all.into_iter().filter(|(_, routes)| routes.len() > 1).enumerate();
        let number = |(rank, (key, routes))| (key, Sharing { number: group_number(bucket, rank), routes });
        shared.map(number).collect()
    }
}

/// The routes that share their packets with one, which is among them; none if it has its packets for itself.
pub fn sharing(view: &View<'_>, row: &LogicalRouterStaticRoute, route: &Route) -> Option<Sharing> {
    view.ask::<Shared>(Of::Numbered(route.router, row.bucket())).get(&route.key()).cloned()
}

struct SpreadingPolicies;

impl Query for SpreadingPolicies {
    type Value = Vec<Uuid>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        view.of_class::<LogicalRouter>(of.uuid(), Class::Spreading(of.number()))
    }
}

/// The number of the group of a policy's next hops; none if there are too many.
pub fn policy_number(view: &View<'_>, router: Uuid, policy: Uuid) -> Option<u16> {
    let bucket = LogicalRouterPolicy::bucket(policy);
    let of_bucket = view.ask::<SpreadingPolicies>(Of::Numbered(router, bucket));
    group_number(bucket, of_bucket.iter().position(|other| *other == policy)?)
}

/// The routing table of packets from a router port; none for the main one.
struct TableOfPort;

impl Query for TableOfPort {
    type Value = Option<String>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let name = view.row::<LogicalRouterPort>(of.uuid())?.options.get("route_table")?;
        Some(name.clone()).filter(|name| !name.is_empty())
    }
}

/// The routing tables of a router's ports, each once.
struct TablesOfPorts;

impl Query for TablesOfPorts {
    type Value = Vec<String>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let mut tables = Vec::new();
        for port in view.owned::<LogicalRouter>(of.uuid(), Table::LogicalRouterPort) {
            let table = view.ask::<TableOfPort>(port);
            tables.extend(Option::clone(&table).filter(|table| !tables.contains(table)));
        }
        tables
    }
}

/// The routing tables that only routes of a router name, each once.
struct OtherTables;

impl Query for OtherTables {
    type Value = Vec<String>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let of_ports = view.ask::<TablesOfPorts>(of.uuid());
        let mut tables = Vec::new();
        for uuid in view.of_class::<LogicalRouter>(of.uuid(), Class::Tabled) {
            if let Some(route) = static_route(view, uuid)
                && let Ok(route) = &*route
                && ![&tables, &*of_ports].into_iter().any(|tables| tables.contains(&route.table))
            {
                tables.push(route.table.clone());
            }
        }
        tables
    }
}

/// The number of a routing table in a router: 0 for the main one, others as their names are met.
pub fn table_number(view: &View<'_>, router: Uuid, name: &str) -> usize {
    if name.is_empty() {
        return 0;
    }
    let of_ports = view.ask::<TablesOfPorts>(router);
    let place = of_ports.iter().position(|table| table == name);
    let place = place.or_else(|| {
        let others = view.ask::<OtherTables>(router);
        others.iter().position(|table| table == name).map(|place| of_ports.len() + place)
    });
    place.map_or(0, |place| place + 1)
}

/// The address family of a next hop as OVN tells it.
pub fn is_ipv4(next_hop: &str) -> bool {
    next_hop.contains('.')
}
