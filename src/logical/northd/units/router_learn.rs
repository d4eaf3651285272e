//! What routers learn of their neighbours: which packets say something new, and whether it is believed.
//!
//! A router that does not learn from every ARP request believes only answers, requests to itself, and what concerns
//! neighbours that it knows.

use crate::logical::nb::Uuid;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::router::{port, router};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// For all ports of a router.
pub struct OfRouter;

impl Unit for OfRouter {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(settings) = router(view, row) else { return };
        let learns = settings.learns_from_requests;
        let if_slow = |text: &'static str| if learns { "" } else { text };
        let mut look_up = |priority, matches: &str, actions: String| {
            output.add(flow(row, Stage::RouterInLookupNeighbor, priority, matches, actions));
        };
        let believed = if_slow("reg9[3] = 1; ");
        let known = if_slow("reg9[3] = lookup_nd_ip(inport, ip6.src); ");
        look_up(
            100,
            "arp.op == 2",
            format!("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); {believed}next;"),
        );
        look_up(100, "nd_na", format!("reg9[2] = lookup_nd(inport, nd.target, nd.tll); {believed}next;"));
        look_up(100, "nd_ns", format!("reg9[2] = lookup_nd(inport, ip6.src, nd.sll); {known}next;"));
        if !learns {
            let unasked = "nd_na && ip6.src == fe80::/10 && ip6.dst == ff00::/8";
            look_up(110, unasked, format!("reg9[2] = lookup_nd(inport, ip6.src, nd.tll); {known}next;"));
        }
        let nothing_new = format!("reg9[2] == 1{}", if_slow(" || reg9[3] == 0"));
        output.add(flow(row, Stage::RouterInLearnNeighbor, 100, nothing_new, "next;"));
    }
}

/// From ARP requests through a port.
pub struct OfPort;

impl Unit for OfPort {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let Some(settings) = router(view, port.router) else { return };
        let (key, place) = (&port.key, port.where_hosted());
        for own in &port.addresses.ipv4 {
            let from = format!("inport == {key} && arp.spa == {}/{}", own.network(), own.length);
            let mut look_up = |priority, matches: String, believed: &str| {
                let actions = format!("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); {believed}next;");
                output.add(
                    flow(port.router, Stage::RouterInLookupNeighbor, priority, matches, actions).hint(row),
                );
            };
            let any = format!("{from} && arp.op == 1{place}");
            if settings.learns_from_requests {
                look_up(100, any, "");
            } else {
                look_up(110, format!("{from} && arp.tpa == {own} && arp.op == 1{place}"), "reg9[3] = 1; ");
                look_up(100, any, "reg9[3] = lookup_arp_ip(inport, arp.spa); ");
            }
        }
    }
}
