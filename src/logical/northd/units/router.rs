//! Routers: their datapath, and the flows that every router has.

use crate::logical::nb::Uuid;
use crate::logical::nb::tables::LogicalRouter;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::{Globals, number};
use crate::logical::northd::facts::router::{meter, router};
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::tables::{DatapathBinding, Pairs};

/// The row of the datapath.
pub struct Datapath;

impl Unit for Datapath {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = router(view, row) else { return };
        let Some(router) = view.settings::<LogicalRouter>(row) else { return };
        let mut external_ids: Pairs =
            [("logical-router", row.to_string()), ("name", router.name.clone())].map(pair).into();
        let second_name = router.external_ids.get("neutron:router_name").filter(|name| !name.is_empty());
        external_ids.extend(second_name.map(|name| pair(("name2", name.clone()))));
        let zone = number::<u32>(&router.options, "snat-ct-zone");
        external_ids.extend(zone.map(|zone| pair(("snat-ct-zone", zone.to_string()))));
        let is_slow = !settings.learns_from_requests;
        external_ids.extend(is_slow.then(|| pair(("always_learn_from_arp_request", "false".to_owned()))));
        let tunnel_key = number(&router.options, "requested-tnl-key").unwrap_or(0);
        output.row(names::datapath(row), DatapathBinding { external_ids, tunnel_key, ..Default::default() });
    }
}

fn pair((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

/// The flows that no setting changes but that of their meters.
pub struct Fixed;

type Line = (Stage, u16, &'static str, &'static str);

/// Stands for the actions that drop a packet.
const DROP: &str = "drop;";

/// What every router does.
const ALWAYS: &[Line] = &[
    (Stage::RouterInAdmission, 100, "vlan.present || eth.src[40]", DROP),
    (Stage::RouterInAdmission, 0, "1", DROP),
    (Stage::RouterInLookupNeighbor, 0, "1", "reg9[2] = 1; next;"),
    (Stage::RouterInLearnNeighbor, 95, "nd_ns && (ip6.src == 0 || nd.sll == 0)", "next;"),
    (Stage::RouterInLearnNeighbor, 0, "1", DROP),
    (
        Stage::RouterInIpInput,
        100,
        "ip4.src_mcast ||ip4.src == 255.255.255.255 || ip4.src == 127.0.0.0/8 || ip4.dst == 127.0.0.0/8 || \
         ip4.src == 0.0.0.0/8 || ip4.dst == 0.0.0.0/8",
        DROP,
    ),
    (Stage::RouterInIpInput, 85, "arp || nd", DROP),
    (Stage::RouterInIpInput, 84, "nd_rs || nd_ra", "next;"),
    (Stage::RouterInIpInput, 83, "ip6.mcast_rsvd", DROP),
    (Stage::RouterInIpInput, 50, "eth.bcast", DROP),
    (Stage::RouterInIpInput, 32, "ip.ttl == {0, 1} && !ip.later_frag && (ip4.mcast || ip6.mcast)", DROP),
    (Stage::RouterInIpInput, 30, "ip.ttl == {0, 1}", DROP),
    (Stage::RouterInIpInput, 0, "1", "next;"),
    (Stage::RouterInUnsnat, 0, "1", "next;"),
    (Stage::RouterInDefrag, 0, "1", "next;"),
    (Stage::RouterInLbAffCheck, 0, "1", "next;"),
    (Stage::RouterInDnat, 0, "1", "next;"),
    (Stage::RouterInLbAffLearn, 0, "1", "next;"),
    (Stage::RouterInEcmpStateful, 0, "1", "next;"),
    (Stage::RouterInNdRaOptions, 0, "1", "next;"),
    (Stage::RouterInNdRaResponse, 0, "1", "next;"),
    (Stage::RouterInIpRoutingPre, 0, "1", "reg7 = 0; next;"),
    (Stage::RouterInIpRouting, 10550, "nd_rs || nd_ra", DROP),
    (Stage::RouterInIpRouting, 0, "1", DROP),
    (Stage::RouterInIpRoutingEcmp, 150, "reg8[0..15] == 0", "next;"),
    (Stage::RouterInIpRoutingEcmp, 0, "1", DROP),
    (Stage::RouterInPolicy, 0, "1", "reg8[0..15] = 0; next;"),
    (Stage::RouterInPolicyEcmp, 150, "reg8[0..15] == 0", "next;"),
    (Stage::RouterInPolicyEcmp, 0, "1", DROP),
    (Stage::RouterInArpResolve, 500, "ip4.mcast || ip6.mcast", "next;"),
    (Stage::RouterInArpResolve, 1, "ip4", "get_arp(outport, reg0); next;"),
    (Stage::RouterInArpResolve, 1, "ip6", "get_nd(outport, xxreg0); next;"),
    (Stage::RouterInArpResolve, 0, "1", DROP),
    (Stage::RouterInChkPktLen, 0, "1", "next;"),
    (Stage::RouterInLargerPkts, 0, "1", "next;"),
    (Stage::RouterInGwRedirect, 0, "1", "next;"),
    (Stage::RouterInArpRequest, 0, "1", "output;"),
    (Stage::RouterOutChkDnatLocal, 0, "1", "reg9[4] = 0; next;"),
    (Stage::RouterOutUndnat, 0, "1", "next;"),
    (Stage::RouterOutPostUndnat, 0, "1", "next;"),
    (Stage::RouterOutSnat, 120, "nd_ns", "next;"),
    (Stage::RouterOutSnat, 0, "1", "next;"),
    (Stage::RouterOutPostSnat, 0, "1", "next;"),
    (Stage::RouterOutEgrLoop, 0, "1", "next;"),
];

/// What involves the controller, with the protocol that its meter is for.
const METERED: &[(Line, &str)] = &[
    ((Stage::RouterInLearnNeighbor, 90, "arp", "put_arp(inport, arp.spa, arp.sha); next;"), "arp"),
    (
        (
            Stage::RouterInLearnNeighbor,
            95,
            "nd_na && nd.tll == 0",
            "put_nd(inport, nd.target, eth.src); next;",
        ),
        "nd-na",
    ),
    ((Stage::RouterInLearnNeighbor, 90, "nd_na", "put_nd(inport, nd.target, nd.tll); next;"), "nd-na"),
    ((Stage::RouterInLearnNeighbor, 90, "nd_ns", "put_nd(inport, ip6.src, nd.sll); next;"), "nd-ns"),
    (
        (
            Stage::RouterInArpRequest,
            100,
            "eth.dst == 00:00:00:00:00:00 && ip4",
            "arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg1; arp.tpa = reg0; arp.op = 1; output; };",
        ),
        "arp-resolve",
    ),
    (
        (
            Stage::RouterInArpRequest,
            100,
            "eth.dst == 00:00:00:00:00:00 && ip6",
            "nd_ns { nd.target = xxreg0; output; };",
        ),
        "nd-ns-resolve",
    ),
];

impl Unit for Fixed {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        if router(view, row).is_none() {
            return;
        }
        let globals = Globals::ask(view);
        for (stage, priority, matches, actions) in ALWAYS {
            let actions = if *actions == DROP { &*globals.drop } else { *actions };
            output.add(flow(row, *stage, *priority, *matches, actions));
        }
        for ((stage, priority, matches, actions), protocol) in METERED {
            let meter = meter(view, row, protocol);
            output.add(flow(row, *stage, *priority, *matches, *actions).meter(meter.as_deref()));
        }
    }
}
