//! Rules that let packets pass or not.
//!
//! Where a switch follows connections, what is allowed is entered as one, and what is not any more blocks it. Elsewhere a
//! rule is one flow.

use std::fmt::Write as _;

use super::meter;
use crate::logical::nb::tables::Acl;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::copp::protecting;
use crate::logical::northd::facts::options::{Globals, flag};
use crate::logical::northd::facts::switch::Settings;
use crate::logical::northd::facts::switch_acls::{Tracking, switches_of_rule};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// A rule, in all switches that it is in force in.
pub struct Rule;

/// Added to the priorities of rules, to leave room below them.
const ABOVE: u16 = 1000;

impl Unit for Rule {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let Some(acl) = view.row::<Acl>(uuid) else { return };
        let globals = Globals::ask(view);
        let log = log(view, uuid, acl, output);
        for switch in switches_of_rule(view, uuid) {
            let tracking = *view.ask::<Tracking>(switch);
            let meter = match &*acl.action {
                "reject" => protecting(view, view.ask::<Settings>(switch).copp, "reject"),
                _ => None,
            };
            let globals = &*globals;
            let mut writer = Writer { acl, uuid, switch, log: &log, meter, globals, output };
            writer.write(tracking);
        }
    }
}

/// The action that logs a packet, and the copy of its meter if every rule has the rate for itself.
fn log(view: &View<'_>, uuid: Uuid, acl: &Acl, output: &mut Output) -> String {
    let meter = acl.meter.as_deref().map(|name| meter::own_copy(view, name, uuid, output));
    if !acl.log {
        return String::new();
    }
    let mut log = String::from("log(");
    if let Some(name) = &acl.name {
        let _ = write!(log, "name=\"{name}\", ");
    }
    let severity = acl.severity.as_deref().unwrap_or("info");
    let verdict = match &*acl.action {
        "drop" => "drop",
        "reject" => "reject",
        _ => "allow",
    };
    let _ = write!(log, "severity={severity}, verdict={verdict}");
    if let Some(meter) = meter {
        let _ = write!(log, ", meter=\"{meter}\"");
    }
    log + "); "
}

struct Writer<'a> {
    acl: &'a Acl,
    uuid: Uuid,
    switch: Uuid,
    log: &'a str,
    /// The meter of rejections.
    meter: Option<String>,
    globals: &'a Globals,
    output: &'a mut Output,
}

impl Writer<'_> {
    fn is_ingress(&self) -> bool {
        self.acl.direction == "from-lport"
    }

    fn stage(&self) -> Stage {
        match self.is_ingress() {
            true if flag(&self.acl.options, "apply-after-lb", false) => Stage::SwitchInAclAfterLb,
            true => Stage::SwitchInAcl,
            false => Stage::SwitchOutAcl,
        }
    }

    fn add_at(&mut self, stage: Stage, priority: u16, matches: String, actions: String) {
        self.output.add(flow(self.switch, stage, priority, matches, actions).hint(self.uuid));
    }

    fn add(&mut self, matches: String, actions: String) {
        self.add_at(self.stage(), self.acl.priority + ABOVE, matches, actions);
    }

    fn write(&mut self, tracking: Tracking) {
        let Self { acl, log, .. } = *self;
        match &*acl.action {
            "allow-stateless" => {
                self.add(acl.matches.clone(), format!("{log}next;"));
                if tracking.commits() {
                    self.untracked();
                }
            }
            "allow" | "allow-related" if tracking.commits() => self.commit(),
            "allow" | "allow-related" => self.add(acl.matches.clone(), format!("{log}next;")),
            "drop" if tracking.commits() => {
                let silent = &self.globals.drop_silently;
                self.add(format!("reg0[9] == 1 && ({})", acl.matches), format!("{log}{silent}"));
                let block = format!("ct_commit {{ ct_mark.blocked = 1; }}; {log}{silent}");
                self.add(format!("reg0[10] == 1 && ({})", acl.matches), block);
            }
            "drop" => self.add(acl.matches.clone(), format!("{log}{}", self.globals.drop_silently)),
            "reject" if tracking.commits() => {
                self.reject("(reg0[9] == 1) && ", "");
                self.reject("(reg0[10] == 1) && ", "ct_commit { ct_mark.blocked = 1; };  ");
            }
            "reject" => self.reject("", ""),
            _ => {}
        }
    }

    /// Packets that do not go through connection tracking.
    fn untracked(&mut self) {
        let stage = if self.is_ingress() { Stage::SwitchInPreAcl } else { Stage::SwitchOutPreAcl };
        let priority = self.acl.priority + ABOVE;
        self.add_at(stage, priority, self.acl.matches.clone(), "reg0[16] = 1; next;".to_owned());
    }

    /// Lets connections pass: new ones, those that are allowed again, and those that were allowed before.
    fn commit(&mut self) {
        let Self { acl, log, .. } = *self;
        let label = match acl.label {
            0 => String::new(),
            label => format!("reg0[13] = 1; reg3 = {label}; "),
        };
        let commit = format!("reg0[1] = 1; {label}");
        self.add(format!("reg0[7] == 1 && ({})", acl.matches), format!("{commit}{log}next;"));
        let again = if acl.label == 0 { "" } else { &*commit };
        self.add(format!("reg0[8] == 1 && ({})", acl.matches), format!("{again}{log}next;"));
        if acl.log && acl.label != 0 && flag(&acl.options, "log-related", false) {
            let stage = if self.is_ingress() { Stage::SwitchOutAcl } else { Stage::SwitchInAcl };
            let valid = if self.globals.matches_invalid { " && !ct.inv" } else { "" };
            let rest = format!("ct_mark.blocked == 0 && ct_label.label == {}", acl.label);
            for connection in [
                format!("ct.est && !ct.rel && !ct.new{valid} && ct.rpl"),
                format!("!ct.est && ct.rel && !ct.new{valid}"),
            ] {
                self.add_at(stage, 65533, format!("{connection} && {rest}"), format!("{log}next;"));
            }
        }
    }

    /// Answers with a refusal, which starts where the packet would have gone on at the other end.
    fn reject(&mut self, first: &str, before: &str) {
        let Self { acl, log, .. } = *self;
        let (pipeline, stage) = match self.is_ingress() {
            true => ("egress", Stage::SwitchOutQosMark),
            false => ("ingress", Stage::SwitchInL2Lkup),
        };
        let actions = format!(
            "{log}{before}reg0 = 0; reject {{ /* eth.dst <-> eth.src; ip.dst <-> ip.src; is implicit. */ \
             outport <-> inport; next(pipeline={pipeline},table={}); }};",
            stage.table()
        );
        let matches = format!("{first}{}", acl.matches);
        let wanted = flow(self.switch, self.stage(), acl.priority + ABOVE, matches, actions);
        self.output.add(wanted.hint(self.uuid).meter(self.meter.as_deref()));
    }
}
