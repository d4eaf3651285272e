//! Rows by what people call them: a whole identifier or a name.

use std::sync::Arc;

use super::context::Context;
use super::error::NbctlError;
use crate::logical::error::shortened;
use crate::logical::nb::tables::{
    AddressSet, Copp, DhcpOptions, ForwardingGroup, HaChassisGroup, LoadBalancer, LogicalRouter,
    LogicalRouterPort, LogicalSwitch, LogicalSwitchPort, Mirror, PortGroup, Table,
};
use crate::logical::nb::{Row, Store, Uuid};

/// A row with its identifier.
pub type Found<R> = (Uuid, Arc<R>);

/// The row that a whole identifier names.
fn by_uuid<R: Row<Table>>(rows: &Store, written: &str) -> Option<Found<R>> {
    let uuid = written.parse().ok()?;
    Some((uuid, Arc::clone(rows.get(uuid)?)))
}

/// The only one of those that have a name.
fn only<'a, R: 'a>(
    mut named: impl Iterator<Item = (Uuid, &'a Arc<R>)>,
    what: &str,
    written: &str,
) -> Result<Option<Found<R>>, NbctlError> {
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => {
            let sentence =
                format!("several {what} are named \"{}\"; give the UUID of one", shortened(written));
            Err(NbctlError::Ambiguous(sentence))
        }
        (found, _) => Ok(found.map(|(uuid, row)| (uuid, Arc::clone(row)))),
    }
}

/// A row that is looked up without being changed, so that the rows can be changed meanwhile.
fn own<R>(found: Option<(Uuid, &Arc<R>)>) -> Option<Found<R>> {
    found.map(|(uuid, row)| (uuid, Arc::clone(row)))
}

impl Context {
    /// The switch of a name, if there is one.
    pub fn switch_if(&self, written: &str) -> Result<Option<Found<LogicalSwitch>>, NbctlError> {
        match by_uuid(self.rows(), written) {
            Some(found) => Ok(Some(found)),
            None => only(self.rows().switches_named(written), "switches", written),
        }
    }

    /// The switch of a name.
    pub fn switch(&self, written: &str) -> Result<Found<LogicalSwitch>, NbctlError> {
        let missing = || NbctlError::missing("switch", written, "ls-list shows the switches");
        self.switch_if(written)?.ok_or_else(missing)
    }

    /// The router of a name, if there is one.
    pub fn router_if(&self, written: &str) -> Result<Option<Found<LogicalRouter>>, NbctlError> {
        match by_uuid(self.rows(), written) {
            Some(found) => Ok(Some(found)),
            None => only(self.rows().routers_named(written), "routers", written),
        }
    }

    /// The router of a name.
    pub fn router(&self, written: &str) -> Result<Found<LogicalRouter>, NbctlError> {
        let missing = || NbctlError::missing("router", written, "lr-list shows the routers");
        self.router_if(written)?.ok_or_else(missing)
    }

    /// The load balancer of a name, if there is one.
    pub fn balancer_if(&self, written: &str) -> Result<Option<Found<LoadBalancer>>, NbctlError> {
        match by_uuid(self.rows(), written) {
            Some(found) => Ok(Some(found)),
            None => only(self.rows().load_balancers_named(written), "load balancers", written),
        }
    }

    /// The load balancer of a name.
    pub fn balancer(&self, written: &str) -> Result<Found<LoadBalancer>, NbctlError> {
        let missing = || NbctlError::missing("load balancer", written, "lb-list shows them");
        self.balancer_if(written)?.ok_or_else(missing)
    }

    /// The switch port of a name, if there is one.
    pub fn switch_port_if(&self, written: &str) -> Option<Found<LogicalSwitchPort>> {
        by_uuid(self.rows(), written).or_else(|| own(self.rows().switch_port(written)))
    }

    /// The switch port of a name.
    pub fn switch_port(&self, written: &str) -> Result<Found<LogicalSwitchPort>, NbctlError> {
        let missing = || NbctlError::missing("switch port", written, "show names the ports of all switches");
        self.switch_port_if(written).ok_or_else(missing)
    }

    /// The switch of a port.
    pub fn switch_of(&self, port: Uuid, name: &str) -> Result<Found<LogicalSwitch>, NbctlError> {
        let missing = || NbctlError::owner_gone("switch", name);
        own(self.rows().switch_of(port)).ok_or_else(missing)
    }

    /// The router port of a name, if there is one.
    pub fn router_port_if(&self, written: &str) -> Option<Found<LogicalRouterPort>> {
        by_uuid(self.rows(), written).or_else(|| own(self.rows().router_port(written)))
    }

    /// The router port of a name.
    pub fn router_port(&self, written: &str) -> Result<Found<LogicalRouterPort>, NbctlError> {
        let missing = || NbctlError::missing("router port", written, "show names the ports of all routers");
        self.router_port_if(written).ok_or_else(missing)
    }

    /// The router of a port.
    pub fn router_of(&self, port: Uuid, name: &str) -> Result<Found<LogicalRouter>, NbctlError> {
        let missing = || NbctlError::owner_gone("router", name);
        own(self.rows().router_of(port)).ok_or_else(missing)
    }

    /// The port group of a name, if there is one.
    pub fn port_group_if(&self, written: &str) -> Option<Found<PortGroup>> {
        by_uuid(self.rows(), written).or_else(|| own(self.rows().port_group(written)))
    }

    /// The port group of a name.
    pub fn port_group(&self, written: &str) -> Result<Found<PortGroup>, NbctlError> {
        let mend = "list Port_Group shows the port groups";
        self.port_group_if(written).ok_or_else(|| NbctlError::missing("port group", written, mend))
    }

    /// The address set of a name.
    pub fn address_set(&self, written: &str) -> Result<Found<AddressSet>, NbctlError> {
        let found = by_uuid(self.rows(), written).or_else(|| own(self.rows().address_set(written)));
        let mend = "list Address_Set shows the address sets";
        found.ok_or_else(|| NbctlError::missing("address set", written, mend))
    }

    /// The mirror of a name.
    pub fn mirror(&self, written: &str) -> Result<Found<Mirror>, NbctlError> {
        let found = by_uuid(self.rows(), written).or_else(|| own(self.rows().mirror(written)));
        found.ok_or_else(|| NbctlError::missing("mirror", written, "mirror-list shows the mirrors"))
    }

    /// The group of chassis of a name.
    pub fn chassis_group(&self, written: &str) -> Result<Found<HaChassisGroup>, NbctlError> {
        let found = by_uuid(self.rows(), written).or_else(|| own(self.rows().ha_chassis_group(written)));
        let mend = "ha-chassis-group-list shows the groups";
        found.ok_or_else(|| NbctlError::missing("HA chassis group", written, mend))
    }

    /// The policy for the control plane of a name, if there is one.
    pub fn copp_if(&self, written: &str) -> Option<Found<Copp>> {
        by_uuid(self.rows(), written).or_else(|| own(self.rows().copp(written)))
    }

    /// The policy for the control plane of a name.
    pub fn copp(&self, written: &str) -> Result<Found<Copp>, NbctlError> {
        let mend = "copp-add makes one";
        self.copp_if(written)
            .ok_or_else(|| NbctlError::missing("policy for the control plane", written, mend))
    }

    /// The DHCP options with an identifier.
    pub fn dhcp_options(&self, written: &str) -> Result<Found<DhcpOptions>, NbctlError> {
        let mend = "give a UUID that dhcp-options-list shows";
        by_uuid(self.rows(), written).ok_or_else(|| NbctlError::missing("row of DHCP options", written, mend))
    }

    /// The forwarding group of a name.
    pub fn forwarding_group_if(&self, written: &str) -> Option<Found<ForwardingGroup>> {
        let named = || self.rows().iter::<ForwardingGroup>().find(|(_, row)| row.name == written);
        by_uuid(self.rows(), written).or_else(|| own(named()))
    }
}
