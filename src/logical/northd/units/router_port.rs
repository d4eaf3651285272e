//! Which packets router ports take in and give out, and which are too large for them.

use super::router_large::mtu;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::LogicalRouterPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::Globals;
use crate::logical::northd::facts::router::{Port, port, router, surroundings};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// The flows of admission and delivery.
pub struct Ends;

impl Unit for Ends {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row).filter(|port| port.is_enabled) else { return };
        let (key, mac) = (&port.key, port.addresses.mac);
        let take = format!("xreg0[0..47] = {mac}; next;");
        // A VTEP gateway sends to any instance of the port.
        let place = if surroundings(view, row).has_vtep { String::new() } else { port.where_hosted() };
        for matches in
            [format!("eth.mcast && inport == {key}"), format!("eth.dst == {mac} && inport == {key}{place}")]
        {
            measured(view, row, &port, Stage::RouterInAdmission, &matches, &take, output);
        }
        let router_row = port.router;
        if router(view, router_row).is_some_and(|router| router.relays) {
            let matches = format!("(ip4.mcast || ip6.mcast) && outport == {key}");
            let actions = format!("eth.src = {mac}; output;");
            output.add(flow(router_row, Stage::RouterOutDelivery, 110, matches, actions));
        }
        let matches = format!("outport == {key}");
        output.add(flow(router_row, Stage::RouterOutDelivery, 100, matches, "output;"));
        output.add(flow(router_row, Stage::RouterOutDelivery, 0, "1", &*Globals::ask(view).drop));
    }
}

/// Flows by which packets go on, measured if large ones do not go through the port.
fn measured(
    view: &View<'_>,
    row: Uuid,
    port: &Port,
    stage: Stage,
    matches: &str,
    actions: &str,
    output: &mut Output,
) {
    let mut add = |priority, matches: String, actions: String| {
        output.add(flow(port.router, stage, priority, matches, actions).hint(row));
    };
    let Some(mtu) = mtu(view, row) else {
        return add(50, matches.to_owned(), actions.to_owned());
    };
    let tag = if surroundings(view, row).has_tagged_localnet { 4 } else { 0 };
    let length = i64::from(mtu) + 14 + tag;
    add(50, matches.to_owned(), format!("reg9[1] = check_pkt_larger({length}); {actions}"));
    let unmeasured = view.row::<LogicalRouterPort>(row).and_then(|row| row.options.get("gateway_mtu_bypass"));
    if let Some(unmeasured) = unmeasured {
        add(55, format!("{matches} && ({unmeasured})"), actions.to_owned());
    }
}

/// The flows that measure what leaves through the port.
pub struct Measure;

impl Unit for Measure {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        if let Some(port) = port(view, row)
            && mtu(view, row).is_some()
        {
            let matches = format!("outport == {}", port.key);
            measured(view, row, &port, Stage::RouterInChkPktLen, &matches, "next;", output);
        }
    }
}
