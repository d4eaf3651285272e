//! Flows that every switch has, and those that its settings decide.

use crate::logical::nb::Table;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::LogicalSwitch;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::copp::protecting;
use crate::logical::northd::facts::options::Globals;
use crate::logical::northd::facts::switch::{Names, Settings};
use crate::logical::northd::facts::switch_ports::IsRelayed;
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::Uuid;

/// What advances whatever nothing else matched.
const NEXT: &[Stage] = &[
    Stage::SwitchInApplyPortSec,
    Stage::SwitchInLookupFdb,
    Stage::SwitchInPutFdb,
    Stage::SwitchInPreAcl,
    Stage::SwitchInPreLb,
    Stage::SwitchInPreStateful,
    Stage::SwitchInQosMark,
    Stage::SwitchInQosMeter,
    Stage::SwitchInLbAffCheck,
    Stage::SwitchInLb,
    Stage::SwitchInLbAffLearn,
    Stage::SwitchInPreHairpin,
    Stage::SwitchInNatHairpin,
    Stage::SwitchInHairpin,
    Stage::SwitchInStateful,
    Stage::SwitchInArpRsp,
    Stage::SwitchInDhcpOptions,
    Stage::SwitchInDhcpResponse,
    Stage::SwitchInDnsLookup,
    Stage::SwitchInDnsResponse,
    Stage::SwitchInExternalPort,
    Stage::SwitchOutPreAcl,
    Stage::SwitchOutPreLb,
    Stage::SwitchOutPreStateful,
    Stage::SwitchOutQosMark,
    Stage::SwitchOutQosMeter,
    Stage::SwitchOutStateful,
];

const ND: &str = "nd || nd_rs || nd_ra || mldv1 || mldv2";
const ND_OF_RULES: &str = "nd || nd_ra || nd_rs || mldv1 || mldv2";
const TO_MONITOR: &str = "eth.dst == $svc_monitor_mac";
const FROM_MONITOR: &str = "eth.src == $svc_monitor_mac";
const COMMIT: &str = "reg0[1] == 1 && reg0[13] == 0";
const COMMIT_LABEL: &str = "reg0[1] == 1 && reg0[13] == 1";
const DO_COMMIT: &str = "ct_commit { ct_mark.blocked = 0; }; next;";
const DO_COMMIT_LABEL: &str = "ct_commit { ct_mark.blocked = 0; ct_label.label = reg3; }; next;";

/// The others that no setting decides.
const FLOWS: &[(Stage, u16, &str, &str)] = &[
    (Stage::SwitchInCheckPortSec, 50, "1", "reg0[15] = check_in_port_sec(); next;"),
    (Stage::SwitchInPreAcl, 110, TO_MONITOR, "next;"),
    (Stage::SwitchInPreLb, 110, "eth.mcast", "next;"),
    (Stage::SwitchInPreLb, 110, ND, "next;"),
    (Stage::SwitchInPreLb, 110, TO_MONITOR, "next;"),
    (Stage::SwitchInPreLb, 110, "reg0[16] == 1", "next;"),
    (Stage::SwitchInPreStateful, 110, "reg0[2] == 1", "ct_lb_mark;"),
    (Stage::SwitchInPreStateful, 100, "reg0[0] == 1", "ct_next;"),
    (Stage::SwitchInAcl, 65532, ND_OF_RULES, "next;"),
    (Stage::SwitchInAclAfterLb, 65532, ND_OF_RULES, "next;"),
    (Stage::SwitchInStateful, 100, COMMIT, DO_COMMIT),
    (Stage::SwitchInStateful, 100, COMMIT_LABEL, DO_COMMIT_LABEL),
    (Stage::SwitchInL2Lkup, 70, "eth.mcast", "outport = \"_MC_flood\"; output;"),
    (Stage::SwitchInL2Lkup, 0, "1", "outport = get_fdb(eth.dst); next;"),
    (Stage::SwitchInL2Unknown, 0, "1", "output;"),
    (Stage::SwitchOutPreAcl, 110, FROM_MONITOR, "next;"),
    (Stage::SwitchOutPreLb, 110, "eth.mcast", "next;"),
    (Stage::SwitchOutPreLb, 110, ND, "next;"),
    (Stage::SwitchOutPreLb, 110, FROM_MONITOR, "next;"),
    (Stage::SwitchOutPreLb, 110, "reg0[16] == 1", "next;"),
    (Stage::SwitchOutPreStateful, 110, "reg0[2] == 1", "ct_lb_mark;"),
    (Stage::SwitchOutPreStateful, 100, "reg0[0] == 1", "ct_next;"),
    (Stage::SwitchOutAcl, 65532, ND_OF_RULES, "next;"),
    (Stage::SwitchOutStateful, 100, COMMIT, DO_COMMIT),
    (Stage::SwitchOutStateful, 100, COMMIT_LABEL, DO_COMMIT_LABEL),
    (Stage::SwitchOutCheckPortSec, 100, "eth.mcast", "reg0[15] = 0; next;"),
    (Stage::SwitchOutCheckPortSec, 0, "1", "reg0[15] = check_out_port_sec(); next;"),
    (Stage::SwitchOutApplyPortSec, 0, "1", "output;"),
];

/// The flows that no setting decides.
pub struct Fixed;

impl Unit for Fixed {
    fn compile(_: &View<'_>, switch: Uuid, output: &mut Output) {
        for stage in NEXT {
            output.add(flow(switch, *stage, 0, "1", "next;"));
        }
        for (stage, priority, matches, actions) in FLOWS {
            output.add(flow(switch, *stage, *priority, *matches, *actions));
        }
    }
}

/// The flows that drop what no switch forwards, those of its own services and those of multicast.
pub struct Set;

impl Unit for Set {
    fn compile(view: &View<'_>, switch: Uuid, output: &mut Output) {
        let (settings, globals) = (view.ask::<Settings>(switch), Globals::ask(view));
        let drop = &*globals.drop;
        if !settings.passes_vlans {
            output.add(flow(switch, Stage::SwitchInCheckPortSec, 100, "vlan.present", drop));
        }
        output.add(flow(switch, Stage::SwitchInCheckPortSec, 100, "eth.src[40]", drop));
        output.add(flow(switch, Stage::SwitchInApplyPortSec, 50, "reg0[15] == 1", drop));
        output.add(flow(switch, Stage::SwitchOutApplyPortSec, 50, "reg0[15] == 1", drop));
        let unknown = match *view.of_class::<LogicalSwitch>(switch, Class::Unknown) {
            [] => drop,
            _ => "outport = \"_MC_unknown\"; output;",
        };
        output.add(flow(switch, Stage::SwitchInL2Unknown, 50, "outport == \"none\"", unknown));
        let checked = "eth.dst == $svc_monitor_mac && (tcp || icmp || icmp6)";
        let check = flow(switch, Stage::SwitchInL2Lkup, 110, checked, "handle_svc_check(inport);");
        output.add(check.meter(protecting(view, settings.copp, "svc-monitor").as_deref()));
        if *view.ask::<Names>(switch) {
            names(view, switch, &settings, output);
        }
        if settings.snoops {
            multicast(view, switch, &settings, drop, output);
        }
        if view.owned::<LogicalSwitch>(switch, Table::LoadBalancer).next().is_some()
            || view.owned::<LogicalSwitch>(switch, Table::LoadBalancerGroup).next().is_some()
        {
            output
                .trouble("load balancers of switches are not compiled; only the flows around them are there");
        }
    }
}

/// Answers for names.
fn names(view: &View<'_>, switch: Uuid, settings: &Settings, output: &mut Output) {
    let asked = "udp.dst == 53";
    let lookup = flow(switch, Stage::SwitchInDnsLookup, 100, asked, "reg0[4] = dns_lookup(); next;");
    output.add(lookup.meter(protecting(view, settings.copp, "dns").as_deref()));
    for family in ["ip4", "ip6"] {
        let answer = format!(
            "eth.dst <-> eth.src; {family}.src <-> {family}.dst; udp.dst = udp.src; udp.src = 53; \
             outport = inport; flags.loopback = 1; output;"
        );
        output.add(flow(switch, Stage::SwitchInDnsResponse, 100, "udp.dst == 53 && reg0[4]", answer));
    }
}

/// Multicast only for those who joined.
fn multicast(view: &View<'_>, switch: Uuid, settings: &Settings, drop: &str, output: &mut Output) {
    let meter = protecting(view, settings.copp, "igmp");
    for reports in ["igmp", "mldv1 || mldv2"] {
        let learn = flow(switch, Stage::SwitchInL2Lkup, 100, reports, "igmp;");
        output.add(learn.meter(meter.as_deref()));
    }
    let local = "ip4.mcast && ip4.dst == 224.0.0.0/24";
    output.add(flow(switch, Stage::SwitchInL2Lkup, 85, local, "outport = \"_MC_flood_l2\"; output;"));
    let all = "outport = \"_MC_flood\"; output;";
    output.add(flow(switch, Stage::SwitchInL2Lkup, 85, "ip6.mcast_flood", all));
    if !settings.floods_unregistered {
        let mut actions = String::new();
        if *view.ask::<IsRelayed>(switch) {
            actions += "clone { outport = \"_MC_mrouter_flood\"; output; }; ";
        }
        if !view.of_class::<LogicalSwitch>(switch, Class::Flooding).is_empty() {
            actions += "outport =\"_MC_static\"; output;";
        }
        if actions.is_empty() {
            actions += drop;
        }
        output.add(flow(switch, Stage::SwitchInL2Lkup, 80, "ip4.mcast || ip6.mcast", actions));
    }
    output.trouble("other_config:mcast_snoop: what hosts join is not followed; they get what nobody joined");
}
