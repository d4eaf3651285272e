//! `[underlay]`, `[[chassis]]` and `bridge_mappings`: each by itself, and against the ports and each other.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::port::{iface_id, mac};
use super::{Checked, bad_text, duration, first_time, in_range, ovn::chassis_name};
use crate::config::error::{Fault, Misplaced, Step};
use crate::config::raw::{RawChassis, RawUnderlay};
use crate::config::underlay::is_unicast;
use crate::config::{Bfd, Chassis, Mapping, Ovn, PortKind, PortSpec, Prefix, Route, Underlay};

/// Most addresses of an endpoint, as many as a worker keeps.
const MAX_ADDRESSES: usize = 8;
/// MTU of the underlay: what every IPv4 host takes, up to what a port can have.
const MTU: (i64, i64) = (576, PortSpec::MTU_RANGE.1 as i64);
/// Least MTU that IPv6 allows.
const IPV6_MTU: i64 = 1280;
/// Tags, and 0 for none.
const VLAN: (i64, i64) = (0, 4094);
/// Times between BFD packets: the control thread sends them.
const BFD_INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));
/// Name of the tunnel port where none is configured.
const TUNNEL_PORT: &str = "geneve";

/// What the address of another chassis is to be.
const OTHER_HOST: &str =
    "the address of another host; write that by which this host reaches it, such as 192.168.50.12";

fn at(key: &str, index: usize) -> impl Fn(Fault) -> Misplaced {
    move |fault| Misplaced { path: vec![Step::Key(key.to_owned()), Step::Index(index)], fault }
}

fn bad(value: &str, wanted: &str) -> Fault {
    Fault::BadText { value: value.to_owned(), wanted: wanted.to_owned() }
}

/// The underlay by itself and on the ports.
pub(super) fn underlay(raw: RawUnderlay, ports: &[PortSpec]) -> Checked<Underlay> {
    let missing =
        |key, example| Misplaced::here(Fault::Missing { owner: "[underlay]".to_owned(), key, example });
    let name = raw.port.ok_or_else(|| missing("port", "\"uplink\""))?;
    let port = wire(&name, ports).map_err(|fault| Misplaced::key("port", fault))?;
    let addresses = raw.addresses.ok_or_else(|| missing("addresses", "[\"192.168.50.11/24\"]"))?;
    let addresses = self::addresses(&addresses)?;
    let mut routes = Vec::new();
    if let Some(text) = raw.gateway {
        routes.push(gateway("gateway", text, &addresses, IpAddr::is_ipv4)?);
    }
    if let Some(text) = raw.gateway6 {
        routes.push(gateway("gateway6", text, &addresses, IpAddr::is_ipv6)?);
    }
    for (index, text) in raw.routes.unwrap_or_default().iter().enumerate() {
        let at = at("routes", index);
        let route = route(text, &addresses).map_err(&at)?;
        if routes.iter().any(|other| other.to == route.to) {
            let what = format!("the route to {}", route.to);
            let mend = "a prefix has one next hop (a gateway is a route to all addresses); remove one";
            return Err(at(Fault::Twice { what, mend }));
        }
        routes.push(route);
    }
    let vlan = in_range("vlan", raw.vlan.unwrap_or(0), VLAN)? as u16;
    Ok(Underlay {
        mtu: mtu(raw.mtu, port, &addresses)?,
        port: name,
        addresses,
        mac: raw.mac.map(mac).transpose()?,
        routes,
        vlan: (vlan != 0).then_some(vlan),
        checksum: raw.checksum.unwrap_or(true),
        bfd: {
            let default = Bfd::default();
            let bfd = Bfd {
                min_rx: interval("bfd_min_rx", raw.bfd_min_rx, default.min_rx)?,
                min_tx: interval("bfd_min_tx", raw.bfd_min_tx, default.min_tx)?,
                mult: match raw.bfd_mult {
                    Some(mult) => in_range("bfd_mult", mult, (1, 255))? as u8,
                    None => default.mult,
                },
            };
            raw.bfd.unwrap_or(false).then_some(bfd)
        },
    })
}

/// The port of that name, which has a wire.
fn wire<'p>(name: &str, ports: &'p [PortSpec]) -> Result<&'p PortSpec, Fault> {
    let no_such = |what: String, mend: &str| Fault::NoSuch { what, mend: mend.to_owned() };
    match ports.iter().find(|port| port.name == name) {
        Some(port) if port.kind == PortKind::Geneve => Err(no_such(
            format!("wire behind port \"{name}\", which is where tunnels end"),
            "name the port that leads to the other hosts",
        )),
        Some(port) => Ok(port),
        None => Err(no_such(format!("port \"{name}\""), "name one that a [[port]] of this file makes")),
    }
}

fn addresses(texts: &[String]) -> Checked<Vec<Prefix>> {
    if !(1..=MAX_ADDRESSES).contains(&texts.len()) {
        let (count, max) = (texts.len(), MAX_ADDRESSES);
        let fault = Fault::TooManyOrFew {
            count,
            what: "addresses",
            max,
            mend: "the first being that of the tunnels",
        };
        return Err(Misplaced::key("addresses", fault));
    }
    let mut seen = HashSet::new();
    let mut addresses = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = at("addresses", index);
        let wanted = "an address that a host can have, with its prefix; write it such as 192.168.50.11/24";
        let address = text.parse().ok().filter(|address: &Prefix| address.len > 0 && address.is_of_a_host());
        let address: Prefix = address.ok_or_else(|| at(bad(text, wanted)))?;
        first_time(
            &mut seen,
            address.ip,
            || format!("the address {}", address.ip),
            "name every address once",
        )
        .map_err(at)?;
        addresses.push(address);
    }
    Ok(addresses)
}

fn gateway(
    key: &'static str,
    text: String,
    addresses: &[Prefix],
    is_of_family: impl Fn(&IpAddr) -> bool,
) -> Checked<Route> {
    let wanted = match key {
        "gateway" => "an IPv4 address; write that of the router, such as 192.168.50.1",
        _ => "an IPv6 address; write that of the router, such as fd00:50::1",
    };
    let via = text.parse().ok().filter(is_of_family).ok_or_else(|| bad_text(key, text, wanted))?;
    next_hop(via, addresses).map_err(|fault| Misplaced::key(key, fault))?;
    let ip = if via.is_ipv4() {
        IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED)
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    Ok(Route { to: Prefix { ip, len: 0 }, via })
}

fn route(text: &str, addresses: &[Prefix]) -> Result<Route, Fault> {
    let read = || {
        let (to, via) = text.split_once(" via ")?;
        let (to, via) = (to.trim().parse::<Prefix>().ok()?, via.trim().parse::<IpAddr>().ok()?);
        (to.ip.is_ipv4() == via.is_ipv4()).then_some(Route { to, via })
    };
    let wanted =
        "a route; write it as PREFIX via NEXT-HOP, both of one family, such as 10.0.0.0/8 via 192.168.50.254";
    let route = read().ok_or_else(|| bad(text, wanted))?;
    if route.to.network() != route.to {
        let wanted = format!("a prefix, for bits behind its length are set; write {}", route.to.network());
        return Err(bad(&route.to.to_string(), &wanted));
    }
    next_hop(route.via, addresses)?;
    Ok(route)
}

/// Whether an address can be the next hop of a route: another host of a network that the endpoint is in.
fn next_hop(via: IpAddr, addresses: &[Prefix]) -> Result<(), Fault> {
    if addresses.iter().any(|address| address.ip == via) {
        return Err(bad(
            &via.to_string(),
            "another host's address but this one's own; write that of a router",
        ));
    }
    // Every link has these, and routers tell hosts no others.
    let is_link_local = matches!(via, IpAddr::V6(via) if via.is_unicast_link_local());
    let is_near = |address: &Prefix| match is_link_local {
        true => address.ip.is_ipv6(),
        false => address.holds(via) && Prefix { ip: via, ..*address }.is_of_a_host(),
    };
    if !addresses.iter().any(is_near) {
        let what = format!("way to the next hop {via}");
        let mend = "write one that lies in the prefix of one of `addresses`".to_owned();
        return Err(Fault::NoSuch { what, mend });
    }
    Ok(())
}

fn mtu(given: Option<i64>, port: &PortSpec, addresses: &[Prefix]) -> Checked<u16> {
    let max = i64::from(port.mtu);
    let least = if addresses.iter().any(|address| address.ip.is_ipv6()) { IPV6_MTU } else { MTU.0 };
    if max < least {
        let what = format!("room for an underlay in port \"{}\", whose `mtu` is {max}", port.name);
        let mend = format!("give that port one of at least {least}");
        return Err(Misplaced::key("port", Fault::NoSuch { what, mend }));
    }
    let mtu = in_range("mtu", given.unwrap_or(max), (least, MTU.1))?;
    if mtu > max {
        let fault = Fault::MoreThan { value: mtu, bound: "mtu of its port", max };
        return Err(Misplaced::key("mtu", fault));
    }
    Ok(mtu as u16)
}

fn interval(key: &'static str, given: Option<String>, default: Duration) -> Checked<Duration> {
    let Some(text) = given else { return Ok(default) };
    let in_range = |time: &Duration| (BFD_INTERVAL.0..=BFD_INTERVAL.1).contains(time);
    duration(&text).filter(in_range).ok_or_else(|| {
        let wanted = "a time between packets; write a number with ms or s behind it, from 50ms to 60s";
        bad_text(key, text, wanted)
    })
}

/// The tunnel port, which an underlay has even where none is configured.
pub(super) fn tunnel_port(ports: &mut Vec<PortSpec>) -> Checked<()> {
    if ports.iter().any(|port| port.kind == PortKind::Geneve) {
        return Ok(());
    }
    if let Some(index) = ports.iter().position(|port| port.name == TUNNEL_PORT) {
        let what = format!("the port name \"{TUNNEL_PORT}\", which that of the tunnels has,");
        let mend = "choose another, or add a port with type = \"geneve\" and a name of your own";
        let under = [Step::Key("port".to_owned()), Step::Index(index)];
        return Err(Misplaced::key("name", Fault::Twice { what, mend }).under(under));
    }
    ports.push(PortSpec::tunnel(TUNNEL_PORT));
    Ok(())
}

/// The address that tunnels to this chassis lead to: by default the first of the endpoint, else another of them, which
/// becomes the first, since it is by the first that the endpoint sends.
pub(super) fn encap_ip(
    given: Option<IpAddr>,
    underlay: Option<&mut Underlay>,
    default: IpAddr,
) -> Checked<IpAddr> {
    let Some(underlay) = underlay else { return Ok(given.unwrap_or(default)) };
    match given {
        Some(ip) if !underlay.addresses.iter().any(|address| address.ip == ip) => {
            let what = format!("address {ip} of the underlay");
            let mend = "write one of `underlay.addresses`, or leave it out for the first".to_owned();
            Err(Misplaced::key("encap_ip", Fault::NoSuch { what, mend }))
        }
        Some(ip) => {
            underlay.addresses.sort_by_key(|address| address.ip != ip);
            Ok(ip)
        }
        None => Ok(underlay.addresses.first().map_or(default, |address| address.ip)),
    }
}

pub(super) fn mappings(texts: &[String], ports: &[PortSpec]) -> Checked<Vec<Mapping>> {
    let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
    let mut mappings = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = at("bridge_mappings", index);
        let wanted = "a mapping; write it as NETWORK:PORT, such as physnet1:eth1";
        let (network, port) = text
            .split_once(':')
            .filter(|(network, _)| {
                !network.is_empty() && network.chars().all(|c| c.is_ascii_graphic() && c != ',')
            })
            .ok_or_else(|| at(bad(text, wanted)))?;
        wire(port, ports).map_err(&at)?;
        first_time(
            &mut seen,
            network,
            || format!("the network {network}"),
            "a network is behind one port; name another",
        )
        .map_err(&at)?;
        let mend = "a port leads to one network, which has its VLANs by the tags of its localnet ports; name another \
                    port, or give all of them one network";
        first_time(&mut taken, port, || format!("the port {port}"), mend).map_err(&at)?;
        mappings.push(Mapping { network: network.to_owned(), port: port.to_owned() });
    }
    Ok(mappings)
}

/// The other chassis: each by itself, against each other, against this one and its underlay.
pub(super) fn peers(
    raw: Vec<RawChassis>,
    ovn: &Ovn,
    underlay: Option<&Underlay>,
    ports: &[PortSpec],
) -> Checked<Vec<Chassis>> {
    let mut peers: Vec<Chassis> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let peer = peer(raw)
            .and_then(|peer| {
                is_another(&peer, &peers, ovn, underlay)?;
                are_free(&peer, &peers, ports)?;
                Ok(peer)
            })
            .map_err(|misplaced| misplaced.under([Step::Key("chassis".to_owned()), Step::Index(index)]))?;
        peers.push(peer);
    }
    Ok(peers)
}

fn peer(raw: RawChassis) -> Checked<Chassis> {
    let missing =
        |owner: &str, key, example| Misplaced::here(Fault::Missing { owner: owner.to_owned(), key, example });
    let name = raw.name.ok_or_else(|| missing("a chassis", "name", "\"worker2\""))?;
    let name = chassis_name("name", name)?;
    let owner = format!("chassis \"{name}\"");
    let ip = raw.encap_ip.ok_or_else(|| missing(&owner, "encap_ip", "\"192.168.50.12\""))?;
    let encap_ip =
        ip.parse().ok().filter(|ip| is_unicast(*ip)).ok_or_else(|| bad_text("encap_ip", ip, OTHER_HOST))?;
    let mut seen = HashSet::new();
    let mut ports = Vec::new();
    for (index, port) in raw.ports.unwrap_or_default().into_iter().enumerate() {
        let at = at("ports", index);
        let port = iface_id(port).map_err(|misplaced| at(misplaced.fault))?;
        let what = || format!("the logical port {port}");
        first_time(&mut seen, port.clone(), what, "name every port once").map_err(at)?;
        ports.push(port);
    }
    Ok(Chassis { name, encap_ip, ports })
}

fn is_another(peer: &Chassis, others: &[Chassis], ovn: &Ovn, underlay: Option<&Underlay>) -> Checked<()> {
    let twice = |key, what: String, mend| Err(Misplaced::key(key, Fault::Twice { what, mend }));
    let Chassis { name, encap_ip: ip, .. } = peer;
    if others.iter().any(|other| other.name == *name) {
        return twice(
            "name",
            format!("the chassis \"{name}\""),
            "name every chassis once, with all its ports",
        );
    }
    if ovn.system_id.as_ref() == Some(name) {
        let mend = "it is `ovn.system_id`, this host; name the others only";
        return twice("name", format!("the chassis \"{name}\""), mend);
    }
    let is_own = ovn.encap_ip == *ip || underlay.is_some_and(|underlay| underlay.has(*ip));
    if is_own || others.iter().any(|other| other.encap_ip == *ip) {
        let mend = "every chassis has an address of its own; write that of this one";
        return twice("encap_ip", format!("the address {ip}"), mend);
    }
    if underlay.is_some_and(|underlay| underlay.is_of_no_host(*ip)) {
        return Err(bad_text("encap_ip", ip.to_string(), OTHER_HOST));
    }
    let has_route = |underlay: &Underlay| {
        underlay.addresses.iter().any(|address| address.holds(*ip))
            || underlay.routes.iter().any(|route| route.to.holds(*ip))
    };
    if underlay.is_some_and(|underlay| !has_route(underlay)) {
        let mend = "give [underlay] a gateway or one of `routes` that leads there".to_owned();
        return Err(Misplaced::key("encap_ip", Fault::NoSuch { what: format!("route to {ip}"), mend }));
    }
    Ok(())
}

/// Whether the ports of a chassis are nobody else's.
fn are_free(peer: &Chassis, others: &[Chassis], ports: &[PortSpec]) -> Checked<()> {
    for (index, port) in peer.ports.iter().enumerate() {
        let is_here = ports.iter().any(|own| own.iface_id.as_ref() == Some(port));
        if is_here || others.iter().any(|other| other.ports.contains(port)) {
            let what = format!("the logical port {port}");
            let mend =
                "a logical port is in one place, a chassis or a [[port]] with that iface_id; remove one";
            return Err(at("ports", index)(Fault::Twice { what, mend }));
        }
    }
    Ok(())
}
