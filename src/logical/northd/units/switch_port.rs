//! Switch ports: what may enter at them, and which addresses are learned there.

use std::sync::Arc;

use super::{switch_answer, switch_external, switch_lookup};
use crate::logical::nb::tables::LogicalSwitchPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::Addresses;
use crate::logical::northd::facts::options::{Globals, flag, quoted};
use crate::logical::northd::facts::switch_ports::is_dynamic;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, Wanted, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// A port of a switch, for whoever makes something of it.
pub struct Port<'a> {
    pub view: &'a View<'a>,
    pub uuid: Uuid,
    pub row: &'a Arc<LogicalSwitchPort>,
    pub switch: Uuid,
    /// Its name as matches and actions write it.
    pub key: String,
    pub globals: Arc<Globals>,
}

impl<'a> Port<'a> {
    /// None for one that is in no switch.
    pub fn of(view: &'a View<'a>, uuid: Uuid) -> Option<Self> {
        let row = view.row::<LogicalSwitchPort>(uuid)?;
        let (switch, key) = (view.switch_of(uuid)?, quoted(&row.name));
        Some(Self { view, uuid, row, switch, key, globals: Globals::ask(view) })
    }

    /// A flow that is made for it.
    pub fn flow(
        &self,
        stage: Stage,
        priority: u16,
        matches: impl Into<Box<str>>,
        actions: impl Into<Box<str>>,
    ) -> Wanted {
        flow(self.switch, stage, priority, matches, actions).hint(self.uuid)
    }

    /// One that is of use only where the port is.
    pub fn local_flow(
        &self,
        stage: Stage,
        priority: u16,
        matches: impl Into<Box<str>>,
        actions: impl Into<Box<str>>,
    ) -> Wanted {
        self.flow(stage, priority, matches, actions).io_port(&self.row.name)
    }
}

/// The flows of a port that follow from its own row and its switch.
pub struct Flows;

impl Unit for Flows {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(port) = Port::of(view, uuid) else { return };
        if port.row.kind != "external" {
            entering(&port, output);
        }
        learning(&port, output);
        switch_answer::flows(&port, output);
        if port.row.kind == "external" {
            switch_external::flows(&port, output);
        } else {
            switch_lookup::flows(&port, output);
        }
        if port.row.dynamic_addresses.is_none() && port.row.addresses.iter().any(|entry| is_dynamic(entry)) {
            output.trouble("dynamic addresses are not given yet; write those that the port shall have");
        }
        let has_dhcp = port.row.dhcpv4_options.is_some() || port.row.dhcpv6_options.is_some();
        if has_dhcp && port.row.kind != "router" {
            output.trouble("DHCP is not compiled: nothing answers the requests of this port");
        }
    }
}

/// The queue of what leaves through a port whose rate is limited: the only one of a port that is a network of its own.
pub fn queue(port: &LogicalSwitchPort) -> Option<u16> {
    let limits = ["qos_max_rate", "qos_min_rate", "qos_burst"];
    let is_limited = limits.iter().any(|name| port.options.contains_key(*name));
    (is_limited && port.kind == "localnet").then_some(1)
}

/// What may enter at it.
fn entering(port: &Port<'_>, output: &mut Output) {
    let Port { row, key, .. } = port;
    let (inport, outport) = (format!("inport == {key}"), format!("outport == {key}"));
    if !row.is_enabled() {
        let refuse = "reg0[15] = 1; next;";
        output.add(port.local_flow(Stage::SwitchInCheckPortSec, 100, inport, refuse));
        output.add(port.local_flow(Stage::SwitchInL2Unknown, 50, outport, &*port.globals.drop));
        return;
    }
    let queue = queue(row);
    let set_queue = queue.map(|queue| format!("set_queue({queue}); ")).unwrap_or_default();
    if row.kind == "vtep" {
        let table = Stage::SwitchInHairpin.table();
        let skip = format!("reg0[14] = 1; next(pipeline=ingress, table={table});");
        output.add(port.local_flow(Stage::SwitchInCheckPortSec, 70, inport, skip));
    } else if queue.is_some() {
        let check = format!("{set_queue}reg0[15] = check_in_port_sec(); next;");
        output.add(port.local_flow(Stage::SwitchInCheckPortSec, 70, inport, check));
        let leave = format!("{set_queue}output;");
        output.add(port.local_flow(Stage::SwitchOutApplyPortSec, 100, outport, leave));
    }
}

/// Which addresses are learned there.
fn learning(port: &Port<'_>, output: &mut Output) {
    let Port { row, key, .. } = port;
    let is_secured = row.port_security.iter().any(|entry| Addresses::parse(entry).is_some());
    let learns = match &*row.kind {
        "" => true,
        "localnet" => flag(&row.options, "localnet_learn_fdb", false),
        _ => false,
    };
    if is_secured || !row.has_unknown() || !learns {
        return;
    }
    let (inport, lookup) = (format!("inport == {key}"), "reg0[11] = lookup_fdb(inport, eth.src); next;");
    output.add(port.local_flow(Stage::SwitchInLookupFdb, 100, &*inport, lookup));
    let (unknown, put) = (format!("{inport} && reg0[11] == 0"), "put_fdb(inport, eth.src); next;");
    output.add(port.local_flow(Stage::SwitchInPutFdb, 100, unknown, put));
}
