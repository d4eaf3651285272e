use super::*;
use crate::tunnel::classify::Arrival;
use crate::tunnel::tests::{OWN, PEER, endpoint, ip, v6};

const FAR: &str = "10.1.2.3";
const ROUTER: &str = "192.168.50.1";

fn route(prefix: &str, len: u8, via: &str) -> Route {
    Route { prefix: ip(prefix), len, via: ip(via) }
}

fn spec(routes: &[Route]) -> Spec {
    Spec { uplink: PortNo(3), endpoint: endpoint(None), routes: routes.to_vec() }
}

/// With its announcements behind it, at time 10 000.
fn resolver(routes: &[Route], remotes: &[&str]) -> Resolver {
    let mut resolver = Resolver::new(spec(routes)).unwrap();
    for now in [0, 2000, 4000] {
        resolver.tick(now);
    }
    resolver.set_remotes(remotes.iter().map(|ip| v6(ip)), 10_000);
    resolver
}

fn said(text: &str, mac: Mac, is_answer: bool) -> Heard {
    Heard { ip: v6(text), mac, is_answer, overrides: true }
}

/// When frames are sent from `from` to `to`, and whether to everybody.
fn sent(resolver: &mut Resolver, from: u64, to: u64) -> Vec<(u64, bool)> {
    let mut sent = Vec::new();
    for now in from..to {
        for frame in resolver.tick(now) {
            sent.push((now, frame[0] & 1 == 1));
        }
        assert!(resolver.due().is_none_or(|due| due > now));
    }
    sent
}

fn state(resolver: &Resolver) -> (State, Option<Mac>) {
    let [row] = &resolver.show(0)[..] else { panic!("{:?}", resolver.show(0)) };
    (row.state, row.mac)
}

fn mac_of(resolver: &mut Resolver, remote: &str) -> Option<bool> {
    let underlay = resolver.build()?;
    underlay.remote(v6(remote)).map(|remote| remote.is_resolved)
}

#[test]
fn the_next_hop_is_that_of_the_longest_prefix() {
    let spec = spec(&[
        route("10.0.0.0", 8, "192.168.50.2"),
        route("10.1.0.77", 16, "192.168.50.3"),
        route("0.0.0.0", 0, ROUTER),
        route("192.168.50.128", 25, "192.168.50.4"),
        route("fd00:1::", 32, "fe80::1"),
        route("10.9.0.0", 30, ROUTER),
    ]);
    for (to, hop) in [
        ("192.168.50.12", Some("192.168.50.12")),
        ("192.168.50.200", Some("192.168.50.4")),
        (FAR, Some("192.168.50.3")),
        ("10.2.0.1", Some("192.168.50.2")),
        ("172.16.0.1", Some(ROUTER)),
        // Of equals the link counts.
        ("10.9.0.2", Some("10.9.0.2")),
        ("fd00:50::9", Some("fd00:50::9")),
        ("fd00:1:5::9", Some("fe80::1")),
        ("fe80::7", Some("fe80::7")),
        ("fd77::1", None),
    ] {
        assert_eq!(spec.hop(v6(to)), hop.map(v6), "{to}");
    }
}

#[test]
fn a_route_that_cannot_be_is_refused() {
    let refused = |prefix, len, via| Resolver::new(spec(&[route(prefix, len, via)])).err();
    assert_eq!(refused("10.0.0.0", 8, ROUTER), None);
    assert_eq!(refused("::", 0, "fe80::1"), None);
    assert_eq!(refused("10.0.0.0", 8, "fe80::1"), Some(BadRoute::Family(ip("10.0.0.0"), 8, ip("fe80::1"))));
    assert_eq!(refused("10.0.0.0", 33, ROUTER), Some(BadRoute::BadPrefix(ip("10.0.0.0"), 33)));
    assert_eq!(refused("10.0.0.0", 8, "172.16.0.1"), Some(BadRoute::NotOnLink(ip("172.16.0.1"))));
    for odd in ["192.168.50.11", "224.0.0.1", "0.0.0.0"] {
        assert_eq!(refused("10.0.0.0", 8, odd), Some(BadRoute::NotARouter(ip(odd))));
    }
}

#[test]
fn own_addresses_are_announced_twice() {
    let mut resolver = Resolver::new(spec(&[])).unwrap();
    let frames = resolver.tick(0);
    assert_eq!(frames.len(), 3);
    // Neighbours hear them.
    let other = crate::tunnel::tests::peer(None);
    for (frame, own) in frames.iter().zip(["192.168.50.11", "10.9.0.1", "fd00:50::11"]) {
        let Arrival::Local(local) = other.classify(frame) else {
            assert_eq!(own, "10.9.0.1");
            continue;
        };
        let mut packet = crate::packet::HeapPacket::new(frame);
        let outcome = crate::tunnel::answer(&other, local, &mut packet).unwrap();
        assert!(!outcome.reply);
        assert_eq!(outcome.heard, Some(Heard { ip: v6(own), mac: OWN, is_answer: false, overrides: true }));
    }
    assert_eq!(sent(&mut resolver, 1, 10_000), [(2000, true); 3]);
    assert_eq!(resolver.due(), None);
    // Somebody else has one of the addresses: said once more, and not again and again.
    for now in [20_000, 20_001, 20_002] {
        assert_eq!(resolver.claimed(v6("10.9.0.1"), PEER, now), now == 20_000);
        assert_eq!(resolver.tick(now).len(), if now == 20_000 { 3 } else { 0 });
    }
    assert_eq!(resolver.conflicts(), (3, Some((v6("10.9.0.1"), PEER))));
}

#[test]
fn a_neighbour_is_asked_for_at_once_and_three_times() {
    let mut resolver = resolver(&[], &["192.168.50.12"]);
    assert_eq!(sent(&mut resolver, 10_000, 15_000), [(10_000, true), (11_000, true), (12_000, true)]);
    assert_eq!(state(&resolver), (State::Failed, None));
    assert_eq!(mac_of(&mut resolver, "192.168.50.12"), Some(false));
    assert_eq!(mac_of(&mut resolver, "192.168.50.12"), None);
    // Wanted again and again: once a second.
    let mut wanted = Vec::new();
    for now in 15_000..20_000 {
        resolver.wanted(v6("192.168.50.12"), now);
        wanted.extend(resolver.tick(now).iter().map(|_| now));
    }
    assert_eq!(wanted, [15_000, 16_000, 17_000, 18_001, 19_001]);
    // By itself it is tried now and then, with one request.
    let later = sent(&mut resolver, 20_000, 60_000);
    assert!(
        later.len() >= 3 && later.windows(2).skip(3).all(|pair| pair[1].0 - pair[0].0 >= 10_000),
        "{later:?}"
    );
    // It comes back.
    resolver.heard(&said("192.168.50.12", PEER, true), 60_000);
    assert_eq!(state(&resolver), (State::Reachable, Some(PEER)));
    assert_eq!(mac_of(&mut resolver, "192.168.50.12"), Some(true));
}

#[test]
fn a_neighbour_that_is_used_is_asked_now_and_then() {
    let mut resolver = resolver(&[], &["192.168.50.12"]);
    resolver.tick(10_000);
    resolver.heard(&said("192.168.50.12", PEER, true), 10_050);
    assert!(resolver.build().is_some());
    assert_eq!(sent(&mut resolver, 10_050, 40_051), [(40_050, false)]);
    assert_eq!(state(&resolver), (State::Stale, Some(PEER)));
    resolver.heard(&said("192.168.50.12", PEER, true), 40_060);
    // Nothing that the workers see has changed.
    assert_eq!(resolver.build(), None);
    // Then it does not answer: three times at its address, three times everybody is asked, and it is given up.
    let expected: Vec<_> = (0..6).map(|n| (70_060 + 1000 * n, n >= 3)).collect();
    assert_eq!(sent(&mut resolver, 40_060, 76_061), expected);
    assert_eq!(state(&resolver), (State::Failed, None));
    assert_eq!(mac_of(&mut resolver, "192.168.50.12"), Some(false));
}

#[test]
fn changes_are_followed() {
    let new = Mac([2, 0, 0, 0, 0, 0x99]);
    let mut resolver = resolver(&[], &["192.168.50.12", "fd00:50::12"]);
    resolver.tick(10_000);
    for remote in ["192.168.50.12", "fd00:50::12"] {
        resolver.heard(&said(remote, PEER, true), 10_050);
        assert_eq!(mac_of(&mut resolver, remote), Some(true));
    }
    for remote in ["192.168.50.12", "fd00:50::12"] {
        // Announced: taken at once, and asked whether it is so.
        resolver.heard(&said(remote, new, false), 12_000);
        assert_eq!(mac_of(&mut resolver, remote), Some(true));
        let frames = resolver.tick(12_000);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0][..6], new.0);
        resolver.heard(&said(remote, new, true), 12_001);
        // One that does not replace what was known only raises the question.
        resolver.heard(&Heard { overrides: false, ..said(remote, PEER, true) }, 14_000);
        assert_eq!(resolver.build(), None);
        assert_eq!(resolver.tick(14_000)[0][..6], new.0);
        resolver.heard(&said(remote, new, true), 14_001);
    }
    // Of others nothing is kept.
    resolver.heard(&said("192.168.50.13", PEER, true), 15_000);
    resolver.wanted(v6("192.168.50.13"), 15_000);
    assert_eq!(resolver.show(15_000).len(), 2);
    assert_eq!(resolver.build(), None);
}

#[test]
fn messages_that_cross_do_not_make_requests_without_end() {
    let other = Mac([2, 0, 0, 0, 0, 0x99]);
    let mut resolver = resolver(&[], &["192.168.50.12"]);
    let mut requests = 0;
    for now in 10_000..20_000 {
        resolver.heard(&said("192.168.50.12", if now % 2 == 0 { PEER } else { other }, false), now);
        requests += resolver.tick(now).len();
    }
    assert_eq!(requests, 10);
}

#[test]
fn peers_behind_a_router_share_it() {
    let mut resolver =
        resolver(&[route("0.0.0.0", 0, ROUTER)], &[FAR, "10.4.4.4", "fd77::1", "192.168.50.11"]);
    assert_eq!(resolver.show(10_000).len(), 1);
    let frames = resolver.tick(10_000);
    assert_eq!(frames.len(), 1);
    // A request from the address that is on the router's link.
    assert_eq!(frames[0][28..32], [192, 168, 50, 11]);
    assert_eq!(frames[0][38..42], [192, 168, 50, 1]);
    resolver.heard(&said(ROUTER, PEER, true), 10_001);
    let underlay = resolver.build().unwrap();
    for far in [FAR, "10.4.4.4"] {
        let remote = underlay.remote(v6(far)).unwrap();
        assert_eq!((remote.hop, remote.is_resolved), (v6(ROUTER), true));
    }
    // Without a route.
    let remote = underlay.remote(v6("fd77::1")).unwrap();
    assert_eq!((remote.hop, remote.is_resolved), (Ipv6Addr::UNSPECIFIED, false));
    // Ourselves.
    assert!(underlay.remote(v6("192.168.50.11")).is_none());
    assert_eq!(underlay.uplink, PortNo(3));
    // One peer less, and no change; then none.
    resolver.set_remotes([v6(FAR), v6("fd77::1")], 11_000);
    assert_eq!(resolver.show(11_000).len(), 1);
    assert_eq!(resolver.build().unwrap().remotes().count(), 2);
    resolver.set_remotes([v6("fd77::1"), v6(FAR)], 12_000);
    assert_eq!(resolver.build(), None);
    let rows = resolver.show_remotes();
    assert_eq!(rows[0], RemoteRow { ip: ip(FAR), hop: Some(ip(ROUTER)), mac: Some(PEER) });
    assert_eq!(rows[1], RemoteRow { ip: ip("fd77::1"), hop: None, mac: None });
    resolver.set_remotes([], 13_000);
    assert!(resolver.show(13_000).is_empty() && resolver.due().is_none());
}

#[test]
fn networks_are_passed_on() {
    let mut resolver = resolver(&[], &[]);
    assert!(resolver.build().unwrap().knows_vni(5));
    resolver.set_vnis(Some(vec![7, 3]));
    let underlay = resolver.build().unwrap();
    assert!(underlay.knows_vni(3) && !underlay.knows_vni(5));
    resolver.set_vnis(Some(vec![7, 3]));
    assert_eq!(resolver.build(), None);
}

/// A solicitation of one switch is answered by another, and the answer understood: both families, with a tag.
#[test]
fn two_switches_find_each_other() {
    let tagged = Spec { endpoint: endpoint(Some(7)), ..spec(&[]) };
    let mut resolver = Resolver::new(tagged).unwrap();
    resolver.tick(0);
    let remotes = ["192.168.50.12", "fd00:50::12"];
    resolver.set_remotes(remotes.map(v6), 10);
    let (own, other) = (endpoint(Some(7)), crate::tunnel::tests::peer(Some(7)));
    let mut learnt = Vec::new();
    for frame in resolver.tick(10) {
        let Arrival::Local(local) = other.classify(&frame) else { panic!("{:?}", other.classify(&frame)) };
        let mut packet = crate::packet::HeapPacket::new(&frame);
        let outcome = crate::tunnel::answer(&other, local, &mut packet).unwrap();
        assert!(outcome.reply);
        learnt.push(outcome.heard.unwrap());
        let Arrival::Local(local) = own.classify(crate::packet::Packet::data(&packet)) else { panic!() };
        let outcome = crate::tunnel::answer(&own, local, &mut packet).unwrap();
        assert!(!outcome.reply);
        resolver.heard(&outcome.heard.unwrap(), 11);
    }
    assert_eq!(learnt.iter().map(|heard| heard.mac).collect::<Vec<_>>(), [OWN, OWN]);
    let underlay = resolver.build().unwrap();
    assert!(remotes.iter().all(|ip| underlay.remote(v6(ip)).unwrap().is_resolved));
    assert!(resolver.show(11).iter().all(|row| row.state == State::Reachable && row.mac == Some(PEER)));
}
