//! `acl-*`: access rules of switches and port groups.

use std::cmp::Reverse;

use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{Acl, LogicalSwitch, PortGroup};
use crate::logical::rows::tables::Pairs;

pub const COMMANDS: &[Syntax] = &[
    writes(
        "acl-add",
        "SWITCH|PORTGROUP DIRECTION PRIORITY MATCH ACTION",
        (5, 6),
        &[
            "--log",
            "--may-exist",
            "--type=",
            "--name=",
            "--severity=",
            "--meter=",
            "--label=",
            "--apply-after-lb",
        ],
        add,
    ),
    writes("acl-del", "SWITCH|PORTGROUP [DIRECTION [PRIORITY MATCH]]", (1, 4), &["--type="], delete),
    reads("acl-list", "SWITCH|PORTGROUP", (1, 1), &["--type="], list),
];

/// What can have access rules.
enum Owner {
    Switch(Uuid),
    Group(Uuid),
}

impl Owner {
    /// What the first argument names.
    fn find(context: &Context, call: &Call<'_>) -> Result<Self, NbctlError> {
        let name = call.arg(0);
        match call.value("--type") {
            Some("switch") => Ok(Owner::Switch(context.switch(name)?.0)),
            Some("port-group") => Ok(Owner::Group(context.port_group(name)?.0)),
            Some(other) => Err(NbctlError::value(other, "is no --type; write switch or port-group")),
            None => match (context.port_group_if(name), context.switch_if(name)?) {
                (Some((group, _)), None) => Ok(Owner::Group(group)),
                (None, Some((switch, _))) => Ok(Owner::Switch(switch)),
                (None, None) => {
                    let mend = "ls-list and list Port_Group show what there is";
                    Err(NbctlError::missing("switch or port group", name, mend))
                }
                (Some(_), Some(_)) => Err(NbctlError::Ambiguous(format!(
                    "\"{}\" is a switch and a port group; write --type=switch or --type=port-group",
                    shortened(name)
                ))),
            },
        }
    }

    fn rules(&self, context: &Context) -> Vec<(Uuid, Acl)> {
        let rows = context.rows();
        let rules = match self {
            Owner::Switch(uuid) => rows.get::<LogicalSwitch>(*uuid).map(|row| &row.acls),
            Owner::Group(uuid) => rows.get::<PortGroup>(*uuid).map(|row| &row.acls),
        };
        rules.map_or(Vec::new(), |rules| context.all(rules))
    }

    fn change(&self, context: &mut Context, change: impl FnOnce(&mut std::collections::BTreeSet<Uuid>)) {
        match self {
            Owner::Switch(uuid) => {
                context.edit.update(*uuid, |row: &mut LogicalSwitch| change(&mut row.acls))
            }
            Owner::Group(uuid) => context.edit.update(*uuid, |row: &mut PortGroup| change(&mut row.acls)),
        };
    }
}

const AFTER_LB: &str = "apply-after-lb";
const ACTIONS: &[&str] = &["allow", "allow-related", "allow-stateless", "drop", "reject"];
const SEVERITIES: &[&str] = &["alert", "debug", "info", "notice", "warning"];

/// What makes two rules the same, in the order in which they are listed.
fn key(rule: &Acl) -> impl Ord + use<> {
    let is_after_lb = set::is_true(&rule.options, AFTER_LB);
    (rule.direction.clone(), is_after_lb, Reverse(rule.priority), rule.matches.clone())
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let owner = Owner::find(context, call)?;
    let direction = set::direction(call.arg(1))?;
    let priority = set::priority(call.arg(2))?;
    let action = call.arg(4);
    if !ACTIONS.contains(&action) {
        let mend = format!("is no verdict; write one of {}", ACTIONS.join(", "));
        return Err(NbctlError::value(action, &mend));
    }
    let [name, severity, meter] = ["--name", "--severity", "--meter"].map(|option| call.value(option));
    if let Some(severity) = severity.filter(|severity| !SEVERITIES.contains(severity)) {
        let mend = format!("is no severity; write one of {}", SEVERITIES.join(", "));
        return Err(NbctlError::value(severity, &mend));
    }
    let label = match call.value("--label") {
        Some(_) if !matches!(action, "allow" | "allow-related") => {
            let mend = "keeps no connections that a label could be written into; leave --label out";
            return Err(NbctlError::value(action, mend));
        }
        Some(label) => set::within(label, "label", 0, u32::MAX)?,
        None => 0,
    };
    let mut options = Pairs::new();
    if direction == "from-lport" && call.has("--apply-after-lb") {
        options.insert(AFTER_LB.to_owned(), "true".to_owned());
    }
    let rule = Acl {
        action: action.to_owned(),
        direction: direction.to_owned(),
        label,
        log: call.has("--log") || name.is_some() || severity.is_some() || meter.is_some(),
        matches: call.arg(3).to_owned(),
        meter: meter.map(str::to_owned),
        name: name.map(str::to_owned),
        options,
        priority,
        severity: severity.map(str::to_owned),
        ..Acl::default()
    };
    let wanted = key(&rule);
    if owner.rules(context).iter().any(|(_, other)| key(other) == wanted) {
        if call.has("--may-exist") {
            return Ok(());
        }
        let mend = "delete it first, or write --may-exist before the command";
        return Err(NbctlError::exists("a rule with priority and match", call.arg(3), mend));
    }
    let rule = context.insert(rule);
    owner.change(context, |rules| _ = rules.insert(rule));
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let owner = Owner::find(context, call)?;
    let rules = owner.rules(context);
    let direction = call.arg_if(1).map(set::direction).transpose()?;
    let priority = call.arg_if(2).map(set::priority).transpose()?;
    let gone: Vec<Uuid> = match (direction, priority, call.arg_if(3)) {
        (None, ..) => rules.into_iter().map(|(uuid, _)| uuid).collect(),
        (Some(direction), None, _) => {
            let gone = rules.into_iter().filter(|(_, rule)| rule.direction == direction);
            gone.map(|(uuid, _)| uuid).collect()
        }
        (Some(_), Some(_), None) => return Err(priority_alone()),
        (Some(direction), Some(priority), Some(matches)) => {
            let mut gone = rules.into_iter().filter(|(_, rule)| {
                rule.direction == direction && rule.priority == priority && rule.matches == matches
            });
            gone.next().map(|(uuid, _)| uuid).into_iter().collect()
        }
    };
    owner.change(context, |rules| rules.retain(|rule| !gone.contains(rule)));
    Ok(())
}

/// A priority names no rule by itself.
pub fn priority_alone() -> NbctlError {
    NbctlError::Usage("a priority by itself names no rule; write the match behind it".to_owned())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let mut rules = Owner::find(context, call)?.rules(context);
    rules.sort_by_cached_key(|(_, rule)| key(rule));
    for (_, rule) in rules {
        let Acl { direction, priority, matches, action, .. } = &rule;
        context.print(format_args!("{direction:>10} {priority:>5} ({matches}) {action}"));
        if rule.log {
            let name = rule.name.iter().map(|name| format!("name={name}"));
            let severity = rule.severity.iter().map(|severity| format!("severity={severity}"));
            let meter = rule.meter.iter().map(|meter| format!("meter=\"{meter}\""));
            let parts: Vec<String> = name.chain(severity).chain(meter).collect();
            context.print(format_args!(" log({})", parts.join(",")));
        }
        if rule.label != 0 {
            context.print(format_args!(" label={}", rule.label));
        }
        if set::is_true(&rule.options, AFTER_LB) {
            context.print(format_args!(" [after-lb]"));
        }
        context.print(format_args!("\n"));
    }
    Ok(())
}
