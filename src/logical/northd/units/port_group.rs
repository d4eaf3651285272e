//! Port groups: of each a row in every switch that has ports of it, and the addresses of all its ports.

use std::collections::{BTreeMap, BTreeSet};

use crate::logical::nb;
use crate::logical::nb::tables::{LogicalSwitch, LogicalSwitchPort};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::switch_ports::is_dynamic;
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::northd::view::SHARES;
use crate::logical::rows::tables::{AddressSet, PortGroup};
use crate::logical::rows::{Table, Uuid};

/// The rows of the groups that ports of a switch are in.
pub struct OfSwitch;

impl Unit for OfSwitch {
    fn compile(view: &View<'_>, switch: Uuid, output: &mut Output) {
        let mut members: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
        for port in view.owned::<LogicalSwitch>(switch, nb::Table::LogicalSwitchPort) {
            for group in view.groups_of_port(port) {
                if let Some(row) = view.columns::<LogicalSwitchPort>(port, &["name"]) {
                    members.entry(group).or_default().insert(row.name.clone());
                }
            }
        }
        for (uuid, ports) in members {
            let Some(group) = view.columns::<nb::tables::PortGroup>(uuid, &["name"]) else { continue };
            let row = PortGroup { name: names::port_group(switch, &group.name), ports };
            output.row(names::southbound(Table::PortGroup, (uuid, &switch)), row);
        }
    }
}

/// The sets of its addresses, unless sets of their names are written.
pub struct Sets;

/// Addresses of one family.
type Family = fn(&Behind) -> &Vec<String>;

impl Unit for Sets {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(group) = view.columns::<nb::tables::PortGroup>(uuid, &["name"]) else { return };
        let shares: Vec<_> =
            (0..SHARES).map(|share| view.ask::<ShareBehind>(Of::Numbered(uuid, share))).collect();
        let families: [(&str, Family); 2] = [("ip4", |behind| &behind.ipv4), ("ip6", |behind| &behind.ipv6)];
        for (family, of) in families {
            let name = format!("{}_{family}", group.name);
            if view.address_set(&name).is_none() {
                let mut all: Vec<&String> = shares.iter().flat_map(|share| of(share)).collect();
                all.sort_unstable();
                all.dedup();
                let addresses = all.into_iter().cloned().collect();
                output.row(names::southbound(Table::AddressSet, &*name), AddressSet { addresses, name });
            }
        }
    }
}

/// Of a share of a port group: the IP addresses behind its ports.
struct ShareBehind;

impl Query for ShareBehind {
    type Value = Behind;

    fn compute(view: &View<'_>, of: &Of) -> Behind {
        let mut all = Behind::default();
        for port in view.share_of_group(of.uuid(), of.number()) {
            let behind = view.ask::<Behind>(port);
            all.ipv4.extend(behind.ipv4.iter().cloned());
            all.ipv6.extend(behind.ipv6.iter().cloned());
        }
        all
    }
}

/// Of a port: the IP addresses that are written to be behind it.
#[derive(Default, PartialEq)]
struct Behind {
    ipv4: Vec<String>,
    ipv6: Vec<String>,
}

impl Query for Behind {
    type Value = Behind;

    fn compute(view: &View<'_>, of: &Of) -> Behind {
        let mut behind = Behind::default();
        let columns = &["addresses", "dynamic_addresses"];
        let Some(row) = view.columns::<LogicalSwitchPort>(of.uuid(), columns) else { return behind };
        let fixed = row.addresses.iter().filter(|entry| !is_dynamic(entry));
        for read in fixed.chain(&row.dynamic_addresses).filter_map(|entry| Addresses::parse(entry)) {
            behind.ipv4.extend(read.ipv4.iter().map(|ip| ip.to_string()));
            behind.ipv6.extend(read.ipv6.iter().map(|ip| ip.to_string()));
        }
        behind
    }
}
