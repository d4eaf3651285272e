//! Port groups: of each a row in every switch that has ports of it, and the addresses of all its ports.

use std::collections::BTreeSet;

use crate::logical::nb;
use crate::logical::nb::tables::LogicalSwitchPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::switch_acls::Members;
use crate::logical::northd::facts::switch_ports::is_dynamic;
use crate::logical::northd::memory::{Of, Query, View};
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::{AddressSet, PortGroup};
use crate::logical::rows::{Table, Uuid};

/// The rows of its ports.
pub struct Ports;

impl Unit for Ports {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(group) = view.columns::<nb::tables::PortGroup>(uuid, &["name"]) else { return };
        for (switch, ports) in view.ask::<Members>(uuid).iter() {
            let row = PortGroup { name: names::port_group(*switch, &group.name), ports: ports.clone() };
            output.row(names::southbound(Table::PortGroup, (uuid, switch)), row);
        }
    }
}

/// The sets of its addresses, unless sets of their names are written.
pub struct Sets;

impl Unit for Sets {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(group) = view.columns::<nb::tables::PortGroup>(uuid, &["name", "ports"]) else { return };
        let [mut ipv4, mut ipv6] = [BTreeSet::new(), BTreeSet::new()];
        for port in &group.ports {
            let behind = view.ask::<Behind>(*port);
            ipv4.extend(behind.ipv4.iter().cloned());
            ipv6.extend(behind.ipv6.iter().cloned());
        }
        for (family, addresses) in [("ip4", ipv4), ("ip6", ipv6)] {
            let name = format!("{}_{family}", group.name);
            if view.address_set(&name).is_none() {
                output.row(names::southbound(Table::AddressSet, &*name), AddressSet { addresses, name });
            }
        }
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
