//! What is compiled: each unit is one side of a row.

mod address_set;
mod chassis_group;
mod dns;
mod global;
mod meter;
mod mirror;
mod port_group;
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
    Kind::of::<dns::Row>(Table::Dns),
    Kind::of::<switch_forwarding::Group>(Table::ForwardingGroup),
    Kind::of::<chassis_group::Group>(Table::HaChassisGroup),
    Kind::of::<switch::Rows>(Table::LogicalSwitch),
    Kind::of::<switch_fixed::Fixed>(Table::LogicalSwitch),
    Kind::of::<switch_fixed::Set>(Table::LogicalSwitch),
    Kind::of::<switch_flood::Groups>(Table::LogicalSwitch),
    Kind::of::<switch_tracking::Tracked>(Table::LogicalSwitch),
    Kind::of::<switch_uplink::Ramps>(Table::LogicalSwitch),
    Kind::of::<switch_binding::Binding>(Table::LogicalSwitchPort),
    Kind::of::<switch_port::Flows>(Table::LogicalSwitchPort),
    Kind::of::<switch_uplink::Flows>(Table::LogicalSwitchPort),
    Kind::of::<meter::Limit>(Table::Meter),
    Kind::of::<mirror::Row>(Table::Mirror),
    Kind::of::<global::Settings>(Table::NbGlobal),
    Kind::of::<global::Monitor>(Table::NbGlobal),
    Kind::of::<port_group::Ports>(Table::PortGroup),
    Kind::of::<port_group::Sets>(Table::PortGroup),
    Kind::of::<switch_qos::Rule>(Table::Qos),
];
