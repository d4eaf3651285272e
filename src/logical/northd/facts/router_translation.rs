//! What routers must know of their translations of addresses before those are compiled.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::addresses::Addresses;
use super::switch_peer::Translations;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LoadBalancer, LoadBalancerGroup, LogicalRouter};
use crate::logical::northd::memory::{Of, Query, View};

/// Addresses of a router that stand for others.
#[derive(PartialEq, Eq, Default)]
pub struct Translated {
    /// Those that sources are translated to, and those of load balancers, as flows have them. Packets to them are not
    /// for the router itself.
    pub addresses: BTreeSet<String>,
    /// Whether all addresses of its ports are such.
    pub all_of_ports: bool,
    /// Whether some translation is done wherever the port is that it is for.
    pub has_distributed: bool,
}

impl Query for Translated {
    type Value = Self;

    fn compute(view: &View<'_>, of: &Of) -> Self {
        let mut translated = Self::default();
        let Some(row) = view.settings::<LogicalRouter>(of.uuid()) else { return translated };
        let forced = |name: &str| row.options.get(name).and_then(|text| Addresses::parse_ips(text));
        translated.enter(forced("dnat_force_snat_ip").as_ref());
        let is_router_ip = row.options.get("lb_force_snat_ip").is_some_and(|text| text == "router_ip");
        translated.all_of_ports = is_router_ip && row.options.contains_key("chassis");
        if !translated.all_of_ports {
            translated.enter(forced("lb_force_snat_ip").as_ref());
        }
        for translation in view.ask::<Translations>(of.uuid()).iter() {
            if !translation.is_entered {
                translated.enter(Addresses::parse_ips(&translation.external).as_ref());
            }
            translated.has_distributed |= translation.distributed.is_some();
        }
        let groups = row.load_balancer_group.iter().filter_map(|uuid| view.row::<LoadBalancerGroup>(*uuid));
        let balancers = row.load_balancer.iter().chain(groups.flat_map(|group| &group.load_balancer));
        for balancer in balancers.filter_map(|uuid| view.row::<LoadBalancer>(*uuid)) {
            translated.addresses.extend(balancer.vips.keys().filter_map(|vip| address_of(vip)));
        }
        translated
    }
}

impl Translated {
    fn enter(&mut self, ips: Option<&Addresses>) {
        if let Some(ips) = ips {
            self.addresses.extend(ips.ipv4.first().map(ToString::to_string));
            self.addresses.extend(ips.ipv6.first().map(ToString::to_string));
        }
    }
}

/// The address of `IP:PORT` or `IP`.
fn address_of(vip: &str) -> Option<String> {
    let address = vip.parse::<SocketAddr>().map(|vip| vip.ip()).or_else(|_| vip.parse::<IpAddr>()).ok()?;
    Addresses::parse_ips(&address.to_string()).and_then(|ips| {
        let ipv4 = ips.ipv4.first().map(ToString::to_string);
        ipv4.or_else(|| ips.ipv6.first().map(ToString::to_string))
    })
}

/// Addresses of a router that stand for others.
pub fn translated(view: &View<'_>, router: Uuid) -> Arc<Translated> {
    view.ask::<Translated>(router)
}
