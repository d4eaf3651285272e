//! Policies of routers: what goes before routes.

use super::router_route::{chosen, leave, select};
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPolicy};
use crate::logical::nb::{Table, Uuid};
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::{Globals, number};
use crate::logical::northd::facts::router::{port, router};
use crate::logical::northd::facts::router_route::{is_ipv4, policy_number, way_to};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// A policy.
pub struct Policy;

impl Unit for Policy {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(policy) = view.row::<LogicalRouterPolicy>(row) else { return };
        for owner in view.parents::<LogicalRouter>(Table::LogicalRouterPolicy, row) {
            if router(view, owner).is_none() {
                continue;
            }
            if policy.is_spreading() {
                spread(view, (owner, row), policy, output);
            } else if let Some(actions) = actions(view, owner, policy, output) {
                let stage = Stage::RouterInPolicy;
                output.add(flow(owner, stage, policy.priority, &*policy.matches, actions).hint(row));
            }
        }
    }
}

/// The actions that mark packets, if the policy does.
fn mark(policy: &LogicalRouterPolicy) -> String {
    let mark = number::<u32>(&policy.options, "pkt_mark").filter(|mark| *mark != 0);
    mark.map(|mark| format!("pkt.mark = {mark}; ")).unwrap_or_default()
}

/// The actions that send packets to a next hop, up to what follows.
fn reroute(view: &View<'_>, router: Uuid, next_hop: &str) -> Option<String> {
    let way = way_to(view, router, next_hop)?;
    let port = port(view, way.port)?;
    Some(format!("{}flags.loopback = 1; ", leave(&port, &way.address, next_hop, is_ipv4(next_hop))))
}

fn actions(
    view: &View<'_>,
    router: Uuid,
    policy: &LogicalRouterPolicy,
    output: &mut Output,
) -> Option<String> {
    match &*policy.action {
        "drop" => Some(Globals::ask(view).drop.clone()),
        "reroute" => {
            let Some(next_hop) = policy.nexthops.first().or(policy.nexthop.as_ref()) else {
                output.trouble("the policy has no next hop");
                return None;
            };
            let Some(reroute) = reroute(view, router, next_hop) else {
                output.trouble(no_way(next_hop));
                return None;
            };
            Some(format!("{}{reroute}reg8[0..15] = 0; next;", mark(policy)))
        }
        _ => Some(format!("{}reg8[0..15] = 0; next;", mark(policy))),
    }
}

fn no_way(next_hop: &str) -> String {
    format!("the next hop {next_hop} is in no network of the router")
}

/// Of several next hops each packet takes one by its connection.
fn spread(view: &View<'_>, (owner, row): (Uuid, Uuid), policy: &LogicalRouterPolicy, output: &mut Output) {
    let mut families = policy.nexthops.iter().map(|next_hop| is_ipv4(next_hop));
    let first = families.next();
    if families.any(|family| Some(family) != first) {
        return output.trouble("the next hops of the policy are not of the same address family");
    }
    let Some(group) = policy_number(view, owner, row) else {
        return output.trouble("there are too many policies with several next hops");
    };
    for (place, next_hop) in policy.nexthops.iter().enumerate() {
        let Some(reroute) = reroute(view, owner, next_hop) else {
            return output.trouble(no_way(next_hop));
        };
        let actions = format!("{}{reroute}next;", mark(policy));
        let stage = Stage::RouterInPolicyEcmp;
        output.add(flow(owner, stage, 100, chosen(group, place), actions).hint(row));
    }
    let select = select(group, policy.nexthops.len());
    output.add(flow(owner, Stage::RouterInPolicy, policy.priority, &*policy.matches, select).hint(row));
}
