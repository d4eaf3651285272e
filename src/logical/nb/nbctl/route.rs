//! `lr-route-*`: static routes.

use std::cmp::Reverse;

use super::address::Network;
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::{address, set};
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Bfd, LogicalRouter, LogicalRouterStaticRoute as Route, Table};

pub const COMMANDS: &[Syntax] = &[
    writes(
        "lr-route-add",
        "ROUTER PREFIX NEXTHOP|PORT|discard [PORT]",
        (3, 4),
        &["--may-exist", "--ecmp", "--ecmp-symmetric-reply", "--policy=", "--route-table=", "--bfd?"],
        add,
    ),
    writes(
        "lr-route-del",
        "ROUTER [PREFIX [NEXTHOP [PORT]]]",
        (1, 4),
        &["--if-exists", "--policy=", "--route-table="],
        delete,
    ),
    reads("lr-route-list", "ROUTER", (1, 1), &["--route-table="], list),
];

const DISCARD: &str = "discard";
const SYMMETRIC: &str = "ecmp_symmetric_reply";

/// Which address of a packet a route looks at, if it is said: whether the source.
fn policy(call: &Call<'_>) -> Result<Option<bool>, NbctlError> {
    match call.value("--policy") {
        None => Ok(None),
        Some("src-ip") => Ok(Some(true)),
        Some("dst-ip") => Ok(Some(false)),
        Some(other) => Err(NbctlError::value(other, "is no --policy of routes; write dst-ip or src-ip")),
    }
}

fn is_source(route: &Route) -> bool {
    route.policy.as_deref() == Some("src-ip")
}

/// A network in its normal form.
fn prefix(written: &str) -> Result<Network, NbctlError> {
    let bad = || NbctlError::value(written, "is no network; write such as 10.0.0.0/8 or fd00::/8");
    Network::any(written).ok_or_else(bad)
}

/// What a route shall be.
struct Wanted<'a> {
    prefix: String,
    next_hop: String,
    /// The port, by name.
    port: Option<String>,
    policy: Option<&'a str>,
    is_source: bool,
    table: &'a str,
}

impl<'a> Wanted<'a> {
    fn read(context: &Context, call: &Call<'a>) -> Result<Self, NbctlError> {
        let is_source = policy(call)?.unwrap_or(false);
        let prefix = prefix(call.arg(1))?;
        let written = call.arg(2);
        let host = if prefix.is_v4() { Network::host4(written) } else { Network::host6(written) };
        let mut port = None;
        let next_hop = match host {
            Some(host) => host.normal(),
            None if written == DISCARD => DISCARD.to_owned(),
            None => {
                let (_, row) = context.router_port_if(written).ok_or_else(|| {
                    let kind = if prefix.is_v4() { "IPv4" } else { "IPv6" };
                    let mend = format!("is no next hop; write an {kind} address, a router port or discard");
                    NbctlError::value(written, &mend)
                })?;
                port = Some(row.name.clone());
                String::new()
            }
        };
        if let Some(written) = call.arg_if(3) {
            port = Some(context.router_port(written)?.1.name.clone());
        }
        let (policy, table) = (call.value("--policy"), call.value("--route-table").unwrap_or(""));
        Ok(Self { prefix: prefix.normal(), next_hop, port, policy, is_source, table })
    }

    /// A route of the router for the same packets, with a certain next hop if one is given.
    fn find(&self, routes: &[(Uuid, Route)], next_hop: Option<&str>) -> Option<(Uuid, Route)> {
        let found = routes.iter().find(|(_, route)| {
            route.route_table == self.table
                && is_source(route) == self.is_source
                && address::normal(&route.ip_prefix).as_ref() == Some(&self.prefix)
                && next_hop.is_none_or(|next_hop| next_hop == route.nexthop)
        });
        found.cloned()
    }

    /// The session that is said to watch the next hop, or that does.
    fn session(&self, context: &Context, call: &Call<'_>) -> Result<Option<Uuid>, NbctlError> {
        if !call.has("--bfd") {
            return Ok(None);
        }
        if let Some(written) = call.value("--bfd") {
            let known = written.parse().ok().filter(|uuid| context.rows().get::<Bfd>(*uuid).is_some());
            let mend = "give the UUID of one that list BFD shows";
            return known.map(Some).ok_or_else(|| NbctlError::missing("BFD session", written, mend));
        }
        let is_it = |row: &Bfd| {
            row.dst_ip == self.next_hop && self.port.as_ref().is_none_or(|port| *port == row.logical_port)
        };
        Ok(context.rows().iter::<Bfd>().find(|(_, row)| is_it(row)).map(|(uuid, _)| uuid))
    }

    /// That session, or a new one if there is none and there should be.
    fn watched(
        &self,
        context: &mut Context,
        call: &Call<'_>,
        session: Option<Uuid>,
    ) -> Result<Option<Uuid>, NbctlError> {
        match (session, &self.port) {
            (None, Some(port)) if call.has("--bfd") => {
                let (dst_ip, logical_port) = (self.next_hop.clone(), port.clone());
                Ok(Some(context.insert(Bfd { dst_ip, logical_port, ..Bfd::default() })))
            }
            (None, None) if call.has("--bfd") => {
                let sentence = "--bfd needs to know the port; write it behind the next hop";
                Err(NbctlError::Usage(sentence.to_owned()))
            }
            (session, _) => Ok(session),
        }
    }

    /// A discarding route is alone and leads nowhere.
    fn check(&self, call: &Call<'_>, is_ecmp: bool) -> Result<(), NbctlError> {
        let wrong = match self {
            _ if is_ecmp => "one of several for ECMP; leave --ecmp out",
            _ if call.has("--bfd") => "watched by BFD; leave --bfd out",
            Wanted { port: Some(_), .. } => "bound to a port; leave the port out",
            _ => return Ok(()),
        };
        Err(NbctlError::Usage(format!("a route that discards packets cannot be {wrong}")))
    }
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let wanted = Wanted::read(context, call)?;
    let session = wanted.session(context, call)?;
    let may_exist = call.has("--may-exist");
    let is_symmetric = call.has("--ecmp-symmetric-reply");
    let is_ecmp = is_symmetric || call.has("--ecmp");
    if wanted.next_hop == DISCARD {
        wanted.check(call, is_ecmp)?;
    }
    let routes = context.all::<Route>(&row.static_routes);
    let known = wanted.find(&routes, is_ecmp.then_some(wanted.next_hop.as_str()));
    if let Some((uuid, route)) = known {
        if is_ecmp {
            if may_exist {
                return Ok(());
            }
            let mend = "write --may-exist before the command, or another next hop";
            return Err(NbctlError::exists("route by this next hop for", &wanted.prefix, mend));
        }
        // What was learned from another zone is no obstacle.
        if !route.external_ids.contains_key("ic-learned-route") {
            if !may_exist {
                let mend = "write --ecmp before the command to have several, or --may-exist to change it";
                return Err(NbctlError::exists("route for", &wanted.prefix, mend));
            }
            let session = wanted.watched(context, call, session)?;
            context.edit.update(uuid, |row: &mut Route| wanted.put(row, session));
            return Ok(());
        }
    }
    if wanted.find(&routes, Some(DISCARD)).is_some() {
        return Err(NbctlError::exists("discarding route for", &wanted.prefix, "delete it first"));
    }
    let session = wanted.watched(context, call, session)?;
    let mut route = Route { route_table: wanted.table.to_owned(), ..Route::default() };
    wanted.put(&mut route, session);
    if is_symmetric {
        route.options.insert(SYMMETRIC.to_owned(), "true".to_owned());
    }
    let route = context.insert(route);
    context.edit.update(router, |row: &mut LogicalRouter| _ = row.static_routes.insert(route));
    Ok(())
}

impl Wanted<'_> {
    /// Makes a route what it shall be. What is not said stays.
    fn put(&self, route: &mut Route, session: Option<Uuid>) {
        route.ip_prefix.clone_from(&self.prefix);
        route.nexthop.clone_from(&self.next_hop);
        route.output_port = self.port.clone().or(route.output_port.take());
        route.policy = self.policy.map(str::to_owned).or(route.policy.take());
        route.bfd = session.or(route.bfd);
    }
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let policy = policy(call)?;
    if call.count() == 1 && policy.is_none() {
        context.edit.update(router, |row: &mut LogicalRouter| row.static_routes.clear());
        return Ok(());
    }
    let prefix = call.arg_if(1).map(prefix).transpose()?.map(Network::normal);
    let next_hop = match call.arg_if(2) {
        None => None,
        Some(DISCARD) => Some(DISCARD.to_owned()),
        Some(written) => {
            let bad = || NbctlError::value(written, "is no next hop; write an IP address or discard");
            Some(address::normal(written).ok_or_else(bad)?)
        }
    };
    let table = call.value("--route-table").unwrap_or("");
    let is_meant = |route: &Route| {
        let own_next_hop = || match route.nexthop.as_str() {
            DISCARD => Some(DISCARD.to_owned()),
            other => address::normal(other),
        };
        policy.is_none_or(|is_source_wanted| is_source_wanted == is_source(route))
            && (prefix.is_none() || address::normal(&route.ip_prefix) == prefix)
            && (next_hop.is_none() || own_next_hop() == next_hop)
            && route.route_table == table
            && call.arg_if(3).is_none_or(|port| route.output_port.as_deref() == Some(port))
    };
    let mut gone = context.all::<Route>(&row.static_routes);
    gone.retain(|(_, route)| is_meant(route));
    if gone.is_empty() && !call.has("--if-exists") {
        let mend = "lr-route-list shows the routes";
        return Err(NbctlError::missing("route", call.rest(1).join(" ").as_str(), mend));
    }
    for (uuid, route) in gone {
        if let Some(session) = route.bfd {
            context.edit.delete(Table::Bfd, session);
        }
        context.edit.update(router, |row: &mut LogicalRouter| _ = row.static_routes.remove(&uuid));
    }
    Ok(())
}

/// A route as it is listed.
struct Listed {
    network: Network,
    route: Route,
}

impl Listed {
    /// What routes that share packets have in common, in the order in which they are listed.
    fn group(&self) -> (&str, Reverse<u32>, Network) {
        let is_destination = self.route.policy.as_deref().is_none_or(|policy| policy == "dst-ip");
        let rank = 2 * self.network.length() + u32::from(is_destination);
        (&self.route.route_table, Reverse(rank), self.network.host_of())
    }

    fn key(&self) -> impl Ord {
        (self.group(), &self.route.nexthop, &self.route.output_port)
    }
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router(call.arg(0))?;
    let routes = context.all::<Route>(&row.static_routes).into_iter().map(|(_, route)| route);
    let routes =
        routes.filter(|route| call.value("--route-table").is_none_or(|table| table == route.route_table));
    let listed = routes.filter_map(|route| Some(Listed { network: Network::any(&route.ip_prefix)?, route }));
    let (v4, v6): (Vec<_>, Vec<_>) = listed.partition(|listed| listed.network.is_v4());
    let between = if v4.is_empty() { "" } else { "\n" };
    list_family(context, "IPv4 Routes\n", v4);
    list_family(context, &format!("{between}IPv6 Routes\n"), v6);
    Ok(())
}

fn list_family(context: &mut Context, heading: &str, mut listed: Vec<Listed>) {
    listed.sort_by(|one, other| one.key().cmp(&other.key()));
    let mut table: Option<&str> = None;
    for (at, one) in listed.iter().enumerate() {
        if at == 0 {
            context.print(format_args!("{heading}"));
        }
        if table != Some(one.route.route_table.as_str()) {
            let between = if at == 0 { "" } else { "\n" };
            let name = if one.route.route_table.is_empty() { "<main>" } else { &one.route.route_table };
            context.print(format_args!("{between}Route Table {name}:\n"));
            table = Some(&one.route.route_table);
        }
        let before = at.checked_sub(1).and_then(|before| listed.get(before));
        let mut neighbours = before.into_iter().chain(listed.get(at + 1));
        let is_ecmp = neighbours.any(|other| other.group() == one.group());
        print_route(context, one, is_ecmp);
    }
}

fn print_route(context: &mut Context, Listed { network, route }: &Listed, is_ecmp: bool) {
    let next_hop = match route.nexthop.as_str() {
        DISCARD => DISCARD.to_owned(),
        other => address::normal(other).unwrap_or_default(),
    };
    let policy = route.policy.as_deref().unwrap_or("dst-ip");
    context.print(format_args!("{:>25} {next_hop:>25} {policy}", network.normal()));
    if let Some(port) = &route.output_port {
        context.print(format_args!(" {port}"));
    }
    let marks = [
        (" (learned)", route.external_ids.contains_key("ic-learned-route")),
        (" ecmp", is_ecmp),
        (" ecmp-symmetric-reply", set::is_true(&route.options, SYMMETRIC)),
        (" bfd", route.bfd.is_some()),
    ];
    let marks: String = marks.iter().filter(|(_, applies)| *applies).map(|(mark, _)| *mark).collect();
    context.print(format_args!("{marks}\n"));
}
