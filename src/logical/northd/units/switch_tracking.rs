//! Whether a switch follows connections: what goes through connection tracking, what that says of a packet, and what its
//! rules start from.

use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::Globals;
use crate::logical::northd::facts::switch::Names;
use crate::logical::northd::facts::switch_acls::Tracking;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// The flows of a switch that its rules and load balancers as a whole decide.
pub struct Tracked;

impl Unit for Tracked {
    fn compile(view: &View<'_>, switch: Uuid, output: &mut Output) {
        let (tracking, globals) = (*view.ask::<Tracking>(switch), Globals::ask(view));
        if tracking.rules.related {
            output.trouble(
                "a rule asks to follow connections (allow-related), which is not there yet: all IP that meets the rules \
                 of this switch is dropped; write allow, which needs none",
            );
        }
        let mut writer = Writer { switch, tracking, globals: &globals, output };
        writer.entering();
        writer.hints();
        writer.defaults();
        if tracking.commits() {
            writer.connections();
        }
        if tracking.rules.any || tracking.balances {
            writer.add(Stage::SwitchInAcl, 34000, "eth.dst == $svc_monitor_mac", "next;");
            writer.add(Stage::SwitchOutAcl, 34000, "eth.src == $svc_monitor_mac", "next;");
        }
        if *view.ask::<Names>(switch) {
            let actions = if tracking.commits() { "ct_commit; next;" } else { "next;" };
            writer.add(Stage::SwitchOutAcl, 34000, "udp.src == 53", actions);
        }
        if tracking.balances {
            writer.hairpins();
        }
    }
}

struct Writer<'a> {
    switch: Uuid,
    tracking: Tracking,
    globals: &'a Globals,
    output: &'a mut Output,
}

impl Writer<'_> {
    fn add(&mut self, stage: Stage, priority: u16, matches: &str, actions: &str) {
        self.output.add(flow(self.switch, stage, priority, matches, actions));
    }

    fn both(&mut self, stages: [Stage; 2], priority: u16, matches: &str, actions: &str) {
        stages.into_iter().for_each(|stage| self.add(stage, priority, matches, actions));
    }

    /// What goes through connection tracking.
    fn entering(&mut self) {
        if self.tracking.rules.related {
            let stages = [Stage::SwitchInPreAcl, Stage::SwitchOutPreAcl];
            let others =
                "nd || nd_rs || nd_ra || mldv1 || mldv2 || (udp && udp.src == 546 && udp.dst == 547)";
            self.both(stages, 110, others, "next;");
            self.both(stages, 110, "eth.mcast", "next;");
            self.both(stages, 100, "ip", "reg0[0] = 1; next;");
        }
        if self.tracking.balances {
            let stages = [Stage::SwitchInPreLb, Stage::SwitchOutPreLb];
            self.both(stages, 100, "ip", "reg0[2] = 1; next;");
        }
    }

    /// What rules ask of connections, found out once: whether a packet may be allowed anew (7), allowed as before (8),
    /// dropped (9), or blocked with its connection (10).
    fn hints(&mut self) {
        let stages = [Stage::SwitchInAclHint, Stage::SwitchOutAclHint];
        let none = !self.tracking.rules.any && !self.tracking.balances;
        self.both(stages, if none { u16::MAX } else { 0 }, "1", "next;");
        if !self.tracking.commits() {
            return;
        }
        for (priority, matches, actions) in [
            (7, "ct.new && !ct.est", "reg0[7] = 1; reg0[9] = 1; next;"),
            (6, "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 1", "reg0[7] = 1; reg0[9] = 1; next;"),
            (5, "!ct.trk", "reg0[8] = 1; reg0[9] = 1; next;"),
            (4, "!ct.new && ct.est && !ct.rpl && ct_mark.blocked == 0", "reg0[8] = 1; reg0[10] = 1; next;"),
            (3, "!ct.est", "reg0[9] = 1; next;"),
            (2, "ct.est && ct_mark.blocked == 1", "reg0[9] = 1; next;"),
            (1, "ct.est && ct_mark.blocked == 0", "reg0[10] = 1; next;"),
        ] {
            self.both(stages, priority, matches, actions);
        }
    }

    /// What becomes of packets for which there is no rule.
    fn defaults(&mut self) {
        let stages = [Stage::SwitchInAcl, Stage::SwitchOutAcl];
        let Tracking { rules, balances } = self.tracking;
        let (priority, actions) = match (rules.any, balances) {
            (false, false) => (u16::MAX, "next;"),
            (false, true) => (0, "next;"),
            (true, _) => (0, self.fallback("next;")),
        };
        let actions = actions.to_owned();
        self.both(stages, priority, "1", &actions);
        self.add(Stage::SwitchInAclAfterLb, 0, "1", &actions);
    }

    fn fallback<'a>(&'a self, allow: &'a str) -> &'a str {
        if self.globals.drops_by_default { &self.globals.drop } else { allow }
    }

    /// What is decided by the connection that a packet belongs to.
    fn connections(&mut self) {
        let stages = [Stage::SwitchInAcl, Stage::SwitchOutAcl];
        let invalid = self.globals.matches_invalid;
        let (is_invalid, is_valid) = if invalid { ("ct.inv || ", " && !ct.inv") } else { ("", "") };
        self.both(stages, 1, "ip && ct.est && ct_mark.blocked == 1", "reg0[1] = 1; next;");
        let fallback = self.fallback("reg0[1] = 1; next;").to_owned();
        self.both(stages, 1, "ip && !ct.est", &fallback);
        let forbidden = format!("{is_invalid}(ct.est && ct.rpl && ct_mark.blocked == 1)");
        let drop = self.globals.drop.clone();
        self.both(stages, 65532, &forbidden, &drop);
        let reply = format!("ct.est && !ct.rel && !ct.new{is_valid} && ct.rpl && ct_mark.blocked == 0");
        let allow = "reg0[9] = 0; reg0[10] = 0; reg0[17] = 1; next;";
        self.add(Stage::SwitchInAcl, 65532, &reply, allow);
        self.add(Stage::SwitchOutAcl, 65532, &reply, "next;");
        let related = format!("!ct.est && ct.rel && !ct.new{is_valid} && ct_mark.blocked == 0");
        self.add(Stage::SwitchInAcl, 65532, &related, "reg0[17] = 1; ct_commit_nat;");
        self.add(Stage::SwitchOutAcl, 65532, &related, "ct_commit_nat;");
        self.add(Stage::SwitchInAclAfterLb, 65532, "reg0[17] == 1", "next;");
    }

    /// Packets that a load balancer sends back to where they come from.
    fn hairpins(&mut self) {
        let check = "reg0[6] = chk_lb_hairpin(); reg0[12] = chk_lb_hairpin_reply(); next;";
        for (stage, priority, matches, actions) in [
            (Stage::SwitchInPreHairpin, 100, "ip && ct.trk", check),
            (
                Stage::SwitchInNatHairpin,
                100,
                "ip && ct.new && ct.trk && reg0[6] == 1",
                "ct_snat_to_vip; next;",
            ),
            (Stage::SwitchInNatHairpin, 100, "ip && ct.est && ct.trk && reg0[6] == 1", "ct_snat;"),
            (Stage::SwitchInNatHairpin, 90, "ip && reg0[12] == 1", "ct_snat;"),
        ] {
            self.output.add(flow(self.switch, stage, priority, matches, actions).hint(self.switch));
        }
        self.add(
            Stage::SwitchInHairpin,
            1,
            "(reg0[6] == 1 || reg0[12] == 1)",
            "eth.dst <-> eth.src; outport = inport; flags.loopback = 1; output;",
        );
    }
}
