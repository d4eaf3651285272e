//! What is asked of routers and their ports.

use std::sync::Arc;

use super::addresses::Addresses;
use super::copp::protecting;
use super::options::{flag, quoted};
use super::switch_peer::{Facing, Gateways, redirected};
use super::switch_ports::ToRouters;
use crate::logical::nb::Uuid;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPort, LogicalSwitch, LogicalSwitchPort};
use crate::logical::northd::memory::{Of, Query, View};

/// The settings of a router that works.
#[derive(PartialEq, Eq)]
pub struct Settings {
    /// The chassis that it is on, if it is on one as a whole.
    pub chassis: Option<String>,
    /// Whether every ARP request teaches it who asks.
    pub learns_from_requests: bool,
    /// Whether it asks for the routers beside it as it does for hosts.
    pub asks_for_routers: bool,
    /// Whether it routes multicast.
    pub relays: bool,
    /// The meters of what it sends to the controller.
    copp: Option<Uuid>,
}

struct Router;

impl Query for Router {
    type Value = Option<Arc<Settings>>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let row = view.settings::<LogicalRouter>(of.uuid()).filter(|row| row.enabled != Some(false))?;
        let options = &row.options;
        Some(Arc::new(Settings {
            chassis: options.get("chassis").cloned(),
            learns_from_requests: flag(options, "always_learn_from_arp_request", true),
            asks_for_routers: flag(options, "dynamic_neigh_routers", false),
            relays: flag(options, "mcast_relay", false),
            copp: row.copp,
        }))
    }
}

/// The settings of a router, if it works.
pub fn router(view: &View<'_>, router: Uuid) -> Option<Arc<Settings>> {
    Option::clone(&view.ask::<Router>(router))
}

/// The meter of what a router sends to the controller for a protocol.
pub fn meter(view: &View<'_>, of: Uuid, protocol: &str) -> Option<String> {
    protecting(view, router(view, of)?.copp, protocol)
}

/// A port of a router that works, with an Ethernet address.
#[derive(PartialEq, Eq)]
pub struct Port {
    /// The router.
    pub router: Uuid,
    /// Its name.
    pub name: String,
    /// Its name as flows have it.
    pub key: String,
    /// The name, as flows have it, by which packets are sent to the chassis that hosts it for all, if one does.
    pub redirect: Option<String>,
    /// Whether it works.
    pub is_enabled: bool,
    /// Its addresses; the last is its link-local one.
    pub addresses: Addresses,
}

impl Port {
    /// Where a packet is with the chassis that hosts the port for all, if one does: to be added to a match.
    pub fn where_hosted(&self) -> String {
        let redirect = self.redirect.as_ref();
        redirect.map(|redirect| format!(" && is_chassis_resident({redirect})")).unwrap_or_default()
    }
}

struct RouterPort;

impl Query for RouterPort {
    type Value = Option<Arc<Port>>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let router = view.router_of(of.uuid())?;
        let settings = self::router(view, router)?;
        let row = view.row::<LogicalRouterPort>(of.uuid())?;
        let is_hosted = row.is_hosted() && settings.chassis.is_none();
        Some(Arc::new(Port {
            router,
            name: row.name.clone(),
            key: quoted(&row.name),
            redirect: is_hosted.then(|| quoted(&redirected(&row.name))),
            is_enabled: row.enabled != Some(false),
            addresses: Addresses::of_router_port(&row.mac, &row.networks)?,
        }))
    }
}

/// A port of a router, if it and the router are such that packets can go through.
pub fn port(view: &View<'_>, port: Uuid) -> Option<Arc<Port>> {
    Option::clone(&view.ask::<RouterPort>(port))
}

/// A router's ports of a class, in the order of their names in the database.
pub fn ports_of_class(view: &View<'_>, router: Uuid, class: Class) -> Vec<(Uuid, Arc<Port>)> {
    let ports = view.of_class::<LogicalRouter>(router, class);
    ports.into_iter().filter_map(|uuid| Some((uuid, port(view, uuid)?))).collect()
}

/// The names, as flows have them, by which packets are sent to chassis that host ports of a router for all.
pub fn gateways(view: &View<'_>, router: Uuid) -> Vec<String> {
    view.ask::<Gateways>(router).iter().map(|port| quoted(&redirected(port))).collect()
}

/// What is at the other side of a router port.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Peer {
    /// Nothing.
    #[default]
    Nothing,
    /// A port of another router.
    Router(Uuid),
    /// A port of a switch.
    Switch {
        /// The port.
        port: Uuid,
        /// The switch.
        switch: Uuid,
    },
}

struct OtherSide;

impl Query for OtherSide {
    type Value = Peer;

    fn compute(view: &View<'_>, of: &Of) -> Peer {
        let Some(row) = view.row::<LogicalRouterPort>(of.uuid()) else { return Peer::Nothing };
        if let Some((peer, _)) = row.peer.as_ref().and_then(|peer| view.router_port(peer))
            && port(view, peer).is_some()
        {
            return Peer::Router(peer);
        }
        let mut facing = view.switch_ports_facing(&row.name).into_iter();
        let switch = facing.find_map(|port| Some(Peer::Switch { port, switch: view.switch_of(port)? }));
        switch.unwrap_or_default()
    }
}

/// What is at the other side of a router port.
pub fn peer(view: &View<'_>, port: Uuid) -> Peer {
    *view.ask::<OtherSide>(port)
}

/// What routers ask of a switch beside them.
#[derive(PartialEq, Eq, Clone, Copy, Default)]
pub struct Surroundings {
    /// Whether it leads to a physical network.
    pub has_localnet: bool,
    /// Whether it does in a VLAN.
    pub has_tagged_localnet: bool,
    /// Whether it leads to a VTEP gateway.
    pub has_vtep: bool,
}

impl Query for Surroundings {
    type Value = Self;

    fn compute(view: &View<'_>, of: &Of) -> Self {
        let localnets = view.of_class::<LogicalSwitch>(of.uuid(), Class::Localnet);
        let is_tagged =
            |port| view.row::<LogicalSwitchPort>(port).is_some_and(|row| row.tag_request.is_some());
        Self {
            has_localnet: !localnets.is_empty(),
            has_tagged_localnet: localnets.into_iter().any(is_tagged),
            has_vtep: !view.of_class::<LogicalSwitch>(of.uuid(), Class::Vtep).is_empty(),
        }
    }
}

/// What is around a router port; nothing if there is no switch.
pub fn surroundings(view: &View<'_>, port: Uuid) -> Surroundings {
    match peer(view, port) {
        Peer::Switch { switch, .. } => *view.ask::<Surroundings>(switch),
        Peer::Router(_) | Peer::Nothing => Surroundings::default(),
    }
}

/// The router ports that ports of a switch lead to.
pub fn router_ports_of(view: &View<'_>, switch: Uuid) -> Vec<Uuid> {
    let facing = |port: &Uuid| view.ask::<Facing>(*port).as_ref().as_ref().map(|peer| peer.port);
    view.ask::<ToRouters>(switch).iter().filter_map(facing).collect()
}
