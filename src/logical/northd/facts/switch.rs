//! What a switch says of itself.

use crate::logical::nb::Table;
use crate::logical::nb::tables::{Dns, LoadBalancer, LoadBalancerGroup, LogicalSwitch};
use crate::logical::northd::facts::options::flag;
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::rows::Uuid;

/// Its settings, as far as flows depend on them.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Settings {
    /// Whether packets with a VLAN pass, and answers for nobody.
    pub passes_vlans: bool,
    /// Whether multicast goes only to those who joined.
    pub snoops: bool,
    /// Whether multicast that nobody joined goes to all the same.
    pub floods_unregistered: bool,
    /// Whether it spans several deployments.
    pub is_transit: bool,
    /// Whether ports can be given addresses.
    pub gives_addresses: bool,
    /// The meters of what it sends to the control plane.
    pub copp: Option<Uuid>,
}

impl Query for Settings {
    type Value = Settings;

    fn compute(view: &View<'_>, of: &Of) -> Settings {
        let Some(row) = view.columns::<LogicalSwitch>(of.uuid(), &["other_config", "copp"]) else {
            return Settings::default();
        };
        let config = &row.other_config;
        Settings {
            passes_vlans: flag(config, "vlan-passthru", false),
            snoops: flag(config, "mcast_snoop", false),
            floods_unregistered: flag(config, "mcast_flood_unregistered", false),
            is_transit: config.contains_key("interconn-ts"),
            gives_addresses: config.contains_key("subnet")
                || config.contains_key("ipv6_prefix")
                || flag(config, "mac_only", false),
            copp: row.copp,
        }
    }
}

/// Whether it has a load balancer with an address.
pub struct Balances;

impl Query for Balances {
    type Value = bool;

    fn compute(view: &View<'_>, of: &Of) -> bool {
        let has_address = |balancer: Uuid| {
            view.columns::<LoadBalancer>(balancer, &["vips"]).is_some_and(|row| !row.vips.is_empty())
        };
        let mut own = view.owned::<LogicalSwitch>(of.uuid(), Table::LoadBalancer);
        let mut groups = view.owned::<LogicalSwitch>(of.uuid(), Table::LoadBalancerGroup);
        own.any(has_address)
            || groups.any(|group| {
                let row = view.row::<LoadBalancerGroup>(group);
                row.is_some_and(|row| row.load_balancer.iter().any(|balancer| has_address(*balancer)))
            })
    }
}

/// Whether it answers for names.
pub struct Names;

impl Query for Names {
    type Value = bool;

    fn compute(view: &View<'_>, of: &Of) -> bool {
        let mut rows = view.owned::<LogicalSwitch>(of.uuid(), Table::Dns);
        rows.any(|row| view.columns::<Dns>(row, &["records"]).is_some_and(|row| !row.records.is_empty()))
    }
}
