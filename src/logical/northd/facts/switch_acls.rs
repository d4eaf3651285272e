//! Which rules a switch has, its own and those of groups that ports of it are in, and what they ask of it.

use std::collections::BTreeSet;

use crate::logical::nb::Table;
use crate::logical::nb::tables::{Acl, LogicalSwitch, PortGroup};
use crate::logical::northd::facts::switch::Balances;
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::northd::view::SHARES;
use crate::logical::rows::Uuid;

/// Of a port group: the switches that have a port in it.
pub struct Switches;

impl Query for Switches {
    type Value = BTreeSet<Uuid>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let shares = (0..SHARES).map(|share| view.ask::<ShareSwitches>(Of::Numbered(of.uuid(), share)));
        shares.flat_map(|share| share.iter().copied().collect::<Vec<_>>()).collect()
    }
}

/// Of a share of a port group: the same.
struct ShareSwitches;

impl Query for ShareSwitches {
    type Value = BTreeSet<Uuid>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let ports = view.share_of_group(of.uuid(), of.number());
        ports.filter_map(|port| view.switch_of(port)).collect()
    }
}

/// Of a switch: the port groups that ports of it are in.
pub struct Groups;

impl Query for Groups {
    type Value = BTreeSet<Uuid>;

    fn compute(view: &View<'_>, of: &Of) -> Self::Value {
        let ports = view.owned::<LogicalSwitch>(of.uuid(), Table::LogicalSwitchPort);
        ports.flat_map(|port| view.groups_of_port(port)).collect()
    }
}

/// What rules there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Any at all.
    pub any: bool,
    /// One that allows connections with all that belongs to them.
    pub related: bool,
}

impl Rules {
    fn of(view: &View<'_>, rules: impl Iterator<Item = Uuid>) -> Self {
        let mut found = Self::default();
        for rule in rules {
            let row = view.columns::<Acl>(rule, &["action"]);
            found.any = true;
            found.related |= row.is_some_and(|row| row.action == "allow-related");
        }
        found
    }
}

/// Of a port group: the rules that it has.
struct GroupRules;

impl Query for GroupRules {
    type Value = Rules;

    fn compute(view: &View<'_>, of: &Of) -> Rules {
        Rules::of(view, view.owned::<PortGroup>(of.uuid(), Table::Acl))
    }
}

/// Of a switch: what decides whether it follows connections.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tracking {
    /// Its rules.
    pub rules: Rules,
    /// Whether it has load balancers.
    pub balances: bool,
}

impl Tracking {
    /// Whether what is allowed must be entered as a connection.
    pub fn commits(self) -> bool {
        self.rules.related || self.balances
    }
}

impl Query for Tracking {
    type Value = Tracking;

    fn compute(view: &View<'_>, of: &Of) -> Tracking {
        let mut rules = Rules::of(view, view.owned::<LogicalSwitch>(of.uuid(), Table::Acl));
        for group in view.ask::<Groups>(of.uuid()).iter() {
            let more = view.ask::<GroupRules>(*group);
            rules = Rules { any: rules.any || more.any, related: rules.related || more.related };
        }
        Tracking { rules, balances: *view.ask::<Balances>(of.uuid()) }
    }
}

/// The switches that a rule is in force in.
pub fn switches_of_rule(view: &View<'_>, rule: Uuid) -> BTreeSet<Uuid> {
    let mut switches: BTreeSet<Uuid> = view.parents::<LogicalSwitch>(Table::Acl, rule).into_iter().collect();
    for group in view.parents::<PortGroup>(Table::Acl, rule) {
        switches.extend(view.ask::<Switches>(group).iter());
    }
    switches
}
