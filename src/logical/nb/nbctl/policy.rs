//! `lr-policy-*`: rules of routers that go before their routes.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::address::Network;
use super::context::{Call, Context, MANY, Syntax, reads, writes};
use super::error::NbctlError;
use super::{address, set};
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LogicalRouter, LogicalRouterPolicy as Policy};
use crate::logical::rows::tables::Pairs;

pub const COMMANDS: &[Syntax] = &[
    writes(
        "lr-policy-add",
        "ROUTER PRIORITY MATCH ACTION [NEXTHOP[,NEXTHOP]...] [KEY=VALUE]...",
        (4, MANY),
        &["--may-exist"],
        add,
    ),
    writes("lr-policy-del", "ROUTER [PRIORITY|UUID [MATCH]]", (1, 3), &["--if-exists"], delete),
    reads("lr-policy-list", "ROUTER", (1, 1), &[], list),
];

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let priority = set::priority(call.arg(1))?;
    let (matches, action) = (call.arg(2), call.arg(3));
    if !matches!(action, "allow" | "drop" | "reroute") {
        return Err(NbctlError::value(action, "is no action of policies; write allow, drop or reroute"));
    }
    let is_reroute = action == "reroute";
    if is_reroute && call.arg_if(4).is_none() {
        let sentence = "a policy that reroutes needs a next hop; write its address behind reroute";
        return Err(NbctlError::Usage(sentence.to_owned()));
    }
    let is_it = |policy: &Policy| policy.priority == priority && policy.matches == matches;
    if context.all::<Policy>(&row.policies).iter().any(|(_, policy)| is_it(policy)) {
        if call.has("--may-exist") {
            return Ok(());
        }
        let mend = "delete it first, or write --may-exist before the command";
        return Err(NbctlError::exists("a policy with priority and match", matches, mend));
    }
    let nexthops = if is_reroute { next_hops(call.arg(4))? } else { BTreeSet::new() };
    let mut options = Pairs::new();
    for word in call.rest(if is_reroute { 5 } else { 4 }) {
        match word.split_once('=').filter(|(_, value)| !value.is_empty()) {
            Some((key, value)) => set::put_pair(&mut options, key, value),
            None => {
                return Err(NbctlError::value(word, "is no option with a value; write such as pkt_mark=100"));
            }
        }
    }
    let policy = context.insert(Policy {
        action: action.to_owned(),
        matches: matches.to_owned(),
        nexthops,
        options,
        priority,
        ..Policy::default()
    });
    context.edit.update(router, |row: &mut LogicalRouter| _ = row.policies.insert(policy));
    Ok(())
}

/// Addresses with commas between them, all of one kind.
fn next_hops(written: &str) -> Result<BTreeSet<String>, NbctlError> {
    let mut hosts = Vec::new();
    for word in written.split(',').filter(|word| !word.is_empty()) {
        let bad = || NbctlError::value(word, "is no next hop; write IP addresses with commas between them");
        hosts.push(Network::host(word).ok_or_else(bad)?);
    }
    if hosts.iter().any(|host| host.is_v4()) && hosts.iter().any(|host| !host.is_v4()) {
        return Err(NbctlError::value(written, "mixes IPv4 and IPv6; write next hops of one kind"));
    }
    Ok(hosts.into_iter().map(Network::normal).collect())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (router, row) = context.router(call.arg(0))?;
    let policies = context.all::<Policy>(&row.policies);
    let uuid = call.arg_if(1).and_then(|written| written.parse::<Uuid>().ok());
    let gone: Vec<Uuid> = match (call.arg_if(1), uuid, call.arg_if(2)) {
        (None, ..) => policies.into_iter().map(|(uuid, _)| uuid).collect(),
        (Some(written), Some(uuid), None) => {
            if !row.policies.contains(&uuid) && !call.has("--if-exists") {
                let mend = "list Logical_Router_Policy shows the policies";
                return Err(NbctlError::missing("policy of the router", written, mend));
            }
            vec![uuid]
        }
        (Some(written), uuid, matches) => {
            // Of a UUID with a match behind it the original makes priority 0.
            let priority = if uuid.is_some() { 0 } else { set::priority(written)? };
            let is_meant = |policy: &Policy| {
                policy.priority == priority && matches.is_none_or(|text| policy.matches == text)
            };
            let meant = policies.into_iter().filter(|(_, policy)| is_meant(policy)).map(|(uuid, _)| uuid);
            meant.take(if matches.is_some() { 1 } else { MANY }).collect()
        }
    };
    context
        .edit
        .update(router, |row: &mut LogicalRouter| row.policies.retain(|policy| !gone.contains(policy)));
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.router(call.arg(0))?;
    let mut policies = context.all::<Policy>(&row.policies);
    policies.sort_by_cached_key(|(_, policy)| (Reverse(policy.priority), policy.matches.clone()));
    if !policies.is_empty() {
        context.print(format_args!("Routing Policies\n"));
    }
    for (_, Policy { priority, matches, action, nexthops, options, .. }) in policies {
        context.print(format_args!("{priority:>10} {matches:>50} {action:>15}"));
        for (at, next_hop) in nexthops.iter().enumerate() {
            let next_hop = address::normal(next_hop).unwrap_or_default();
            match at {
                0 => context.print(format_args!(" {next_hop:>25}")),
                _ => context.print(format_args!(", {next_hop}")),
            }
        }
        if !options.is_empty() {
            let options = options.iter().map(|(key, value)| format!("{key}={value}"));
            context.print(format_args!("{:>15}{}", "", options.collect::<Vec<_>>().join(",")));
        }
        context.print(format_args!("\n"));
    }
    Ok(())
}
