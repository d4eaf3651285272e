//! Classes: what sets some rows apart from the many others that the same row owns, so that they are found without looking at
//! all of them.
//!
//! The invariant: the classes of a row follow from the row alone.

use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

use super::Uuid;
use super::tables::{
    AnyRow, LogicalRouterPolicy, LogicalRouterPort, LogicalRouterStaticRoute, LogicalSwitchPort, Table,
};
use crate::logical::rows::tables::Pairs;

/// Something that few rows of a table are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A switch port that leads to a router.
    ToRouter,
    /// A switch port that leads to a physical network.
    Localnet,
    /// A switch port that leads to a VTEP gateway.
    Vtep,
    /// A switch port that does not work.
    Disabled,
    /// A switch port that works and gets what is for addresses that nobody has.
    Unknown,
    /// A switch port that works and to which all multicast goes.
    Flooding,
    /// A switch port that works and to which all reports of multicast groups go.
    Reported,
    /// A router port that some chassis hosts for all.
    Gateway,
    /// A router port through which no large packets go.
    Limited,
    /// A router port to which all multicast goes.
    Flooded,
    /// A static route of a routing table that has a name.
    Tabled,
    /// A static route to an address of a bucket. All routes for the same addresses are in the same bucket.
    Route(u16),
    /// A policy with several next hops whose name is of a bucket.
    Spreading(u16),
}

/// Number of buckets.
pub const BUCKETS: u16 = 1 << 12;

/// The classes of a row.
pub type Classes = SmallVec<[Class; 2]>;

impl Class {
    /// The table of the rows that are of it.
    pub fn table(self) -> Table {
        match self {
            Class::ToRouter
            | Class::Localnet
            | Class::Vtep
            | Class::Disabled
            | Class::Unknown
            | Class::Flooding
            | Class::Reported => Table::LogicalSwitchPort,
            Class::Gateway | Class::Limited | Class::Flooded => Table::LogicalRouterPort,
            Class::Tabled | Class::Route(_) => Table::LogicalRouterStaticRoute,
            Class::Spreading(_) => Table::LogicalRouterPolicy,
        }
    }
}

/// Neighbours in number are in different buckets.
fn bucket(bits: u128) -> u16 {
    let folded = (bits >> 64) as u64 ^ bits as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as u16
}

impl LogicalRouterStaticRoute {
    /// The bucket of its addresses.
    pub fn bucket(&self) -> u16 {
        let address = self.ip_prefix.split('/').next().unwrap_or_default().parse::<IpAddr>();
        bucket(match address {
            Ok(IpAddr::V4(address)) => address.to_bits().into(),
            Ok(IpAddr::V6(address)) => address.to_bits(),
            Err(_) => Ipv6Addr::UNSPECIFIED.to_bits(),
        })
    }
}

impl LogicalRouterPolicy {
    /// Whether packets are spread over several next hops.
    pub fn is_spreading(&self) -> bool {
        self.action == "reroute" && self.nexthops.len() > 1
    }

    /// The bucket of its name.
    pub fn bucket(name: Uuid) -> u16 {
        bucket(name.0)
    }
}

/// Whether a setting that is off by default is on.
fn is_true(options: &Pairs, name: &str) -> bool {
    options.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

impl LogicalSwitchPort {
    /// Whether it works.
    pub fn is_enabled(&self) -> bool {
        self.enabled != Some(false)
    }

    /// Whether it gets what is for addresses that nobody has.
    pub fn has_unknown(&self) -> bool {
        self.addresses.contains("unknown")
    }
}

impl LogicalRouterPort {
    /// Whether some chassis hosts it for all, in a router that is not on one chassis as a whole.
    pub fn is_hosted(&self) -> bool {
        self.ha_chassis_group.is_some() || !self.gateway_chassis.is_empty()
    }
}

/// The classes of a row.
pub fn classes(uuid: Uuid, row: &AnyRow) -> Classes {
    let mut classes = Classes::new();
    let mut say = |class, is_of_it| classes.extend(Some(class).filter(|_| is_of_it));
    match row {
        AnyRow::LogicalSwitchPort(row) => {
            match &*row.kind {
                "router" => say(Class::ToRouter, true),
                "localnet" => say(Class::Localnet, true),
                "vtep" => say(Class::Vtep, true),
                _ => {}
            }
            let (works, has) = (row.is_enabled(), |option| is_true(&row.options, option));
            say(Class::Disabled, !works);
            say(Class::Unknown, works && row.kind != "external" && row.has_unknown());
            say(Class::Flooding, works && has("mcast_flood"));
            say(Class::Reported, works && has("mcast_flood_reports"));
        }
        AnyRow::LogicalRouterPort(row) => {
            say(Class::Gateway, row.is_hosted());
            say(Class::Limited, row.options.contains_key("gateway_mtu"));
            say(Class::Flooded, row.options.contains_key("mcast_flood"));
        }
        AnyRow::LogicalRouterStaticRoute(row) => {
            say(Class::Route(row.bucket()), true);
            say(Class::Tabled, !row.route_table.is_empty());
        }
        AnyRow::LogicalRouterPolicy(row) => {
            say(Class::Spreading(LogicalRouterPolicy::bucket(uuid)), row.is_spreading());
        }
        _ => {}
    }
    classes
}
