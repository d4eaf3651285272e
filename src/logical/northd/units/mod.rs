//! What is compiled: each unit is one side of a row.

mod address_set;
mod chassis_group;
mod dns;
mod global;
mod meter;
mod mirror;
mod port_group;
mod router;
mod router_advertise;
mod router_binding;
mod router_gateway;
mod router_input;
mod router_large;
mod router_learn;
mod router_missing;
mod router_multicast;
mod router_neighbour;
mod router_policy;
mod router_port;
mod router_route;
mod switch;
mod switch_acl;
mod switch_answer;
mod switch_binding;
mod switch_external;
mod switch_fixed;
mod switch_flood;
mod switch_forwarding;
mod switch_lookup;
mod switch_port;
mod switch_qos;
mod switch_tracking;
mod switch_uplink;

use super::compiler::Kind;
use crate::logical::nb::Table;

/// All kinds of units.
pub(super) const UNITS: &[Kind] = &[
    Kind::of::<switch_acl::Rule>(Table::Acl),
    Kind::of::<address_set::Set>(Table::AddressSet),
    Kind::of::<router_missing::Alive>(Table::Bfd),
    Kind::of::<dns::Row>(Table::Dns),
    Kind::of::<switch_forwarding::Group>(Table::ForwardingGroup),
    Kind::of::<chassis_group::Group>(Table::HaChassisGroup),
    Kind::of::<router::Datapath>(Table::LogicalRouter),
    Kind::of::<router::Fixed>(Table::LogicalRouter),
    Kind::of::<router_learn::OfRouter>(Table::LogicalRouter),
    Kind::of::<router_missing::Balanced>(Table::LogicalRouter),
    Kind::of::<router_multicast::Multicast>(Table::LogicalRouter),
    Kind::of::<router_policy::Policy>(Table::LogicalRouterPolicy),
    Kind::of::<router_advertise::Answer>(Table::LogicalRouterPort),
    Kind::of::<router_binding::Binding>(Table::LogicalRouterPort),
    Kind::of::<router_gateway::Redirect>(Table::LogicalRouterPort),
    Kind::of::<router_input::Expired>(Table::LogicalRouterPort),
    Kind::of::<router_input::Own>(Table::LogicalRouterPort),
    Kind::of::<router_input::Resolved>(Table::LogicalRouterPort),
    Kind::of::<router_input::Unreachable>(Table::LogicalRouterPort),
    Kind::of::<router_large::TooLarge>(Table::LogicalRouterPort),
    Kind::of::<router_learn::OfPort>(Table::LogicalRouterPort),
    Kind::of::<router_multicast::Own>(Table::LogicalRouterPort),
    Kind::of::<router_neighbour::OfRouterPort>(Table::LogicalRouterPort),
    Kind::of::<router_port::Ends>(Table::LogicalRouterPort),
    Kind::of::<router_port::Measure>(Table::LogicalRouterPort),
    Kind::of::<router_route::Connected>(Table::LogicalRouterPort),
    Kind::of::<router_route::Tables>(Table::LogicalRouterPort),
    Kind::of::<router_route::Solicit>(Table::LogicalRouterStaticRoute),
    Kind::of::<router_route::Static>(Table::LogicalRouterStaticRoute),
    Kind::of::<switch::Rows>(Table::LogicalSwitch),
    Kind::of::<switch_fixed::Fixed>(Table::LogicalSwitch),
    Kind::of::<switch_fixed::Set>(Table::LogicalSwitch),
    Kind::of::<switch_flood::Groups>(Table::LogicalSwitch),
    Kind::of::<switch_tracking::Tracked>(Table::LogicalSwitch),
    Kind::of::<switch_uplink::Ramps>(Table::LogicalSwitch),
    Kind::of::<router_neighbour::OfSwitchPort>(Table::LogicalSwitchPort),
    Kind::of::<switch_binding::Binding>(Table::LogicalSwitchPort),
    Kind::of::<switch_port::Flows>(Table::LogicalSwitchPort),
    Kind::of::<switch_uplink::Flows>(Table::LogicalSwitchPort),
    Kind::of::<meter::Limit>(Table::Meter),
    Kind::of::<mirror::Row>(Table::Mirror),
    Kind::of::<router_missing::Translation>(Table::Nat),
    Kind::of::<global::Monitor>(Table::NbGlobal),
    Kind::of::<global::Settings>(Table::NbGlobal),
    Kind::of::<port_group::OfSwitch>(Table::LogicalSwitch),
    Kind::of::<port_group::Sets>(Table::PortGroup),
    Kind::of::<switch_qos::Rule>(Table::Qos),
    Kind::of::<router_binding::Neighbour>(Table::StaticMacBinding),
];
