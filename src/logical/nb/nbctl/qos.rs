//! `qos-*`: rules of switches that mark or limit packets.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::access::priority_alone;
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LogicalSwitch, Qos};

pub const COMMANDS: &[Syntax] = &[
    writes(
        "qos-add",
        "SWITCH DIRECTION PRIORITY MATCH [rate=RATE [burst=BURST]] [dscp=DSCP]",
        (5, 7),
        &["--may-exist"],
        add,
    ),
    writes("qos-del", "SWITCH [DIRECTION|UUID [PRIORITY MATCH]]", (1, 4), &[], delete),
    reads("qos-list", "SWITCH", (1, 1), &[], list),
];

/// What makes two rules the same, in the order in which they are listed.
fn key(rule: &Qos) -> impl Ord + use<> {
    (rule.direction.clone(), Reverse(rule.priority), rule.matches.clone())
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let direction = set::direction(call.arg(1))?;
    let priority = set::priority(call.arg(2))?;
    let (switch, row) = context.switch(call.arg(0))?;
    let (mut action, mut bandwidth) = (BTreeMap::new(), BTreeMap::new());
    for word in call.rest(4) {
        match word.split_once('=') {
            Some(("dscp", value)) => {
                let bad = || NbctlError::value(value, "is no DSCP; write a number from 0 to 63");
                let dscp = set::within(value, "DSCP", 0, 63)?;
                action.insert("dscp".to_owned(), u8::try_from(dscp).map_err(|_| bad())?);
            }
            Some((key @ ("rate" | "burst"), value)) => {
                bandwidth.insert(key.to_owned(), set::within(value, key, 1, u32::MAX)?);
            }
            _ => return Err(NbctlError::value(word, "is unknown; write rate=, burst= or dscp=")),
        }
    }
    // A burst is nothing without a rate.
    if !bandwidth.contains_key("rate") {
        bandwidth.clear();
    }
    if action.is_empty() && bandwidth.is_empty() {
        return Err(NbctlError::Usage(
            "a rule does nothing without rate= and dscp=; write one of them".to_owned(),
        ));
    }
    let rule = Qos {
        action,
        bandwidth,
        direction: direction.to_owned(),
        matches: call.arg(3).to_owned(),
        priority,
        ..Qos::default()
    };
    let wanted = key(&rule);
    if context.all::<Qos>(&row.qos_rules).iter().any(|(_, other)| key(other) == wanted) {
        if call.has("--may-exist") {
            return Ok(());
        }
        let mend = "delete it first, or write --may-exist before the command";
        return Err(NbctlError::exists("a rule with priority and match", call.arg(3), mend));
    }
    let rule = context.insert(rule);
    context.edit.update(switch, |row: &mut LogicalSwitch| _ = row.qos_rules.insert(rule));
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (switch, row) = context.switch(call.arg(0))?;
    let rules = context.all::<Qos>(&row.qos_rules);
    let gone: Vec<Uuid> = match call.arg_if(1) {
        None => rules.into_iter().map(|(uuid, _)| uuid).collect(),
        Some(written) => match written.parse::<Uuid>() {
            Ok(_) if call.count() > 2 => {
                let sentence = "a UUID names one rule; write nothing behind it";
                return Err(NbctlError::Usage(sentence.to_owned()));
            }
            Ok(uuid) if !row.qos_rules.contains(&uuid) => {
                let mend = "list QoS shows the rules";
                return Err(NbctlError::missing("rule of the switch", written, mend));
            }
            Ok(uuid) => vec![uuid],
            Err(_) => named(call, rules, written)?,
        },
    };
    context.edit.update(switch, |row: &mut LogicalSwitch| row.qos_rules.retain(|rule| !gone.contains(rule)));
    Ok(())
}

/// The rules of a direction, or the one that has the priority and the match too.
fn named(call: &Call<'_>, rules: Vec<(Uuid, Qos)>, direction: &str) -> Result<Vec<Uuid>, NbctlError> {
    let direction = set::direction(direction)?;
    let priority = call.arg_if(2).map(set::priority).transpose()?;
    let mut rules = rules.into_iter().filter(|(_, rule)| rule.direction == direction);
    match (priority, call.arg_if(3)) {
        (None, _) => Ok(rules.map(|(uuid, _)| uuid).collect()),
        (Some(_), None) => Err(priority_alone()),
        (Some(priority), Some(matches)) => {
            let found = rules.find(|(_, rule)| rule.priority == priority && rule.matches == matches);
            Ok(found.map(|(uuid, _)| uuid).into_iter().collect())
        }
    }
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let (_, row) = context.switch(call.arg(0))?;
    let mut rules = context.all::<Qos>(&row.qos_rules);
    rules.sort_by_cached_key(|(_, rule)| key(rule));
    for (_, Qos { direction, priority, matches, bandwidth, action, .. }) in rules {
        context.print(format_args!("{direction:>10} {priority:>5} ({matches})"));
        for (name, value) in ["rate", "burst"].iter().filter_map(|key| bandwidth.get_key_value(*key)) {
            context.print(format_args!(" {name}={value}"));
        }
        if let Some(dscp) = action.get("dscp") {
            context.print(format_args!(" dscp={dscp}"));
        }
        context.print(format_args!("\n"));
    }
    Ok(())
}
