//! What of the Northbound does not take effect, or not as its writer may think.

use std::sync::Arc;

use super::Northbound;
use crate::logical::expr::Expr;
use crate::logical::names::{AddressSet, Names, PortGroup};
use crate::logical::nb::tables::{Acl, LogicalRouterPolicy, Qos};
use crate::logical::nb::{Store, Table};
use crate::logical::rows::tables::{DatapathBinding, PortBinding};
use crate::logical::rows::{self, Uuid};

/// A row and a sentence about it.
pub type Trouble = (Table, Uuid, String);

impl Northbound {
    /// Rows that are not compiled, or not wholly.
    pub fn troubles(&self, southbound: &rows::Store) -> Vec<Trouble> {
        let compiler = self.compiler.iter();
        let troubles = compiler.flat_map(|compiler| compiler.troubles());
        let mut troubles: Vec<Trouble> =
            troubles.map(|(table, uuid, sentence)| (table, uuid, sentence.to_owned())).collect();
        let rows = self.rows.snapshot();
        let refused = self.compiler.iter().flat_map(|compiler| compiler.keys().refused());
        troubles.extend(refused.filter_map(|(row, key)| {
            let (table, uuid, has) = asker(rows, southbound, row)?;
            Some((
                table,
                uuid,
                format!("requested-tnl-key {key} is another's; it has {has} until that is free"),
            ))
        }));
        troubles.sort();
        troubles
    }
}

/// Who asked for the key of a Southbound row, and the key that this has.
fn asker(rows: &Store, southbound: &rows::Store, row: Uuid) -> Option<(Table, Uuid, u32)> {
    if let Some(datapath) = southbound.get::<DatapathBinding>(row) {
        let of = |key| datapath.external_ids.get(key)?.parse().ok();
        let switch = of("logical-switch").map(|uuid| (Table::LogicalSwitch, uuid));
        let (table, uuid) = switch.or_else(|| Some((Table::LogicalRouter, of("logical-router")?)))?;
        return Some((table, uuid, datapath.tunnel_key));
    }
    let port = southbound.get::<PortBinding>(row)?;
    let of_switch = rows.switch_port(&port.logical_port).map(|(uuid, _)| (Table::LogicalSwitchPort, uuid));
    let of_router = || rows.router_port(&port.logical_port).map(|(uuid, _)| (Table::LogicalRouterPort, uuid));
    let (table, uuid) = of_switch.or_else(of_router)?;
    Some((table, uuid, port.tunnel_key.into()))
}

/// Rows whose match cannot be read, which nobody looks at before a packet may meet them. It takes a while where there are
/// many.
pub fn unreadable(rows: &Store) -> Vec<Trouble> {
    let acls = rows.iter::<Acl>().map(|(uuid, row)| (Table::Acl, uuid, &row.matches));
    let policies = rows.iter::<LogicalRouterPolicy>();
    let policies = policies.map(|(uuid, row)| (Table::LogicalRouterPolicy, uuid, &row.matches));
    let qos = rows.iter::<Qos>().map(|(uuid, row)| (Table::Qos, uuid, &row.matches));
    let all = acls.chain(policies).chain(qos);
    let unread = all.filter_map(|(table, uuid, text)| {
        let error = Expr::parse(text, &AllNames).err()?;
        Some((table, uuid, format!("its match cannot be read: {error}")))
    });
    unread.collect()
}

/// Every name is there, whatever it is the name of: what is missing may yet come.
struct AllNames;

impl Names for AllNames {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        Some(Arc::new(AddressSet::new(name, [])))
    }

    fn port_group(&self, name: &str) -> Option<Arc<PortGroup>> {
        Some(Arc::new(PortGroup::new(name, [])))
    }

    fn port_key(&self, _: &str) -> Option<u32> {
        Some(1)
    }

    fn is_chassis_resident(&self, _: &str) -> bool {
        true
    }
}
