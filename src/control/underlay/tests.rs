use std::cell::RefCell;
use std::net::Ipv4Addr;

use tokio::task::LocalSet;

use super::*;
use crate::action::Action;
use crate::config::{Bfd, Config, Ovn, PortKind, PortSpec};
use crate::control::elsewhere::Elsewhere;
use crate::control::testing::{Handle, Log, MemoryDatapath};
use crate::control::told::STRETCH;
use crate::logical::nb::nbctl::Line;
use crate::packet::{Field, HeapPacket, Packet as _};
use crate::pipeline::Tables;
use crate::pipeline::table::FlowFilter;
use crate::tunnel::bfd::{State as BfdState, control};
use crate::tunnel::{Arrival, Heard, answer};

/// A host with a wire, which is what its datapath transmits.
struct TestHost {
    switch: Rc<Switch>,
    handle: Rc<RefCell<Handle>>,
    uplink: PortNo,
}

const CONFIG: &str = "
[[port]]
name = \"vm\"
type = \"memory\"
[[port]]
name = \"uplink\"
type = \"memory\"
mac = \"02:00:00:00:00:@\"
[underlay]
port = \"uplink\"
addresses = [\"192.0.2.@/24\", \"fd00::@/64\"]
gateway = \"192.0.2.254\"
bfd = true
[ovn]
system_id = \"hv@\"
state = \"\"
";

fn config(number: u8, others: &str) -> Config {
    let text = CONFIG.replace(":@\"", &format!(":{number:02}\"")).replace('@', &number.to_string());
    Config::from_toml(&(text + others), "m.toml").unwrap()
}

impl TestHost {
    async fn new(config: &Config) -> Self {
        let (path, handle) = MemoryDatapath::new(1);
        let switch =
            Rc::new(Switch::new("br0", Box::new(path.with_ports(config.ports.clone())), &config.ovn));
        {
            let mut state = switch.state_mut();
            state.logical.bound.say_elsewhere(Elsewhere::of(&config.chassis));
            state.overlay = Overlay::new(config);
        }
        switch.start_northbound(&config.ovn).await.unwrap();
        switch.state_mut().reach();
        Self { switch, handle, uplink: PortNo(2) }
    }

    /// A moment later.
    fn tick(&self, now_ms: u64) {
        self.handle.borrow_mut().now_ms = now_ms;
        self.switch.state_mut().tick_underlay();
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        let sent = std::mem::take(&mut self.handle.borrow_mut().transmitted);
        assert!(sent.iter().all(|(port, _)| *port == self.uplink));
        sent.into_iter().map(|(_, frame)| frame).collect()
    }

    fn underlay(&self) -> Arc<Underlay> {
        self.handle.borrow().underlay.clone().unwrap()
    }

    /// What a worker does with a frame of the uplink.
    fn receive(&self, frame: &[u8]) {
        let underlay = self.underlay();
        let mut handle = self.handle.borrow_mut();
        let tell = |intent, data: &[u8]| Told { intent, in_port: self.uplink, data: data.to_vec() };
        match underlay.endpoint.classify(frame) {
            Arrival::Tunnel(received) => {
                let inner = &frame[received.inner.into()..received.end.into()];
                assert!(underlay.remote(received.src).is_some(), "known peers only");
                assert!(received.vni == 0 && control(inner).is_some());
                handle.intents.push(tell(Intent::Bfd(received.src), inner));
            }
            Arrival::Local(local) => {
                let mut packet = HeapPacket::new(frame);
                let outcome = answer(&underlay.endpoint, local, &mut packet).unwrap();
                if let Some(heard) = outcome.heard {
                    let intent = match underlay.endpoint.has(heard.ip) {
                        true => Intent::Claimed(heard.ip, heard.mac),
                        false => Intent::Heard(heard),
                    };
                    handle.intents.push(tell(intent, &[]));
                }
                if outcome.reply {
                    handle.transmitted.push((self.uplink, packet.data().to_vec()));
                }
            }
            Arrival::Refused(reason) => panic!("{}", reason.name()),
            Arrival::Other => {}
        }
    }

    fn bfd(&self) -> Vec<(String, BfdState, u64)> {
        let state = self.switch.state();
        let peers = state.overlay.peers();
        let status = |peer: &PeerView<'_>| peer.watch.map(|watch| watch.status());
        peers
            .iter()
            .filter_map(|peer| status(peer).map(|s| (peer.name.to_owned(), s.state, s.flaps)))
            .collect()
    }

    async fn nbctl(&self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        self.switch.nbctl(Line::parse(&words).unwrap()).await.unwrap();
    }

    /// Says other things of other chassis, as a command does.
    async fn say(&self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut session = crate::control::commands::Session::default();
        let params = words.into_iter().map(crate::control::jsonrpc::Param::Text).collect();
        let (id, method) = (crate::control::jsonrpc::Id::Number(1.into()), "sbctl/change".to_owned());
        let request = crate::control::jsonrpc::Request { id, method, params };
        let bytes = crate::control::commands::answer(&self.switch, &mut session, request).await.unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(reply["error"], serde_json::Value::Null, "{line}");
    }
}

/// Time goes on; what a host sends all others get, but for the frames that are lost.
fn run(hosts: &[&TestHost], from: u64, to: u64, is_lost: impl Fn(usize) -> bool) -> u64 {
    for now in (from..to).step_by(10) {
        for (index, host) in hosts.iter().enumerate() {
            host.tick(now);
            for frame in host.sent().into_iter().filter(|_| !is_lost(index)) {
                hosts
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index)
                    .for_each(|(_, other)| other.receive(&frame));
            }
        }
    }
    to
}

fn test(body: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, body());
}

fn v6(text: &str) -> Ipv6Addr {
    to_v6(text.parse().unwrap())
}

#[test]
fn two_hosts_find_each_other_and_notice_when_one_is_lost() {
    test(async || {
        let one = config(1, "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.0.2.2\"\n");
        let two = config(2, "[[chassis]]\nname = \"hv1\"\nencap_ip = \"192.0.2.1\"\n");
        let (one, two) = (TestHost::new(&one).await, TestHost::new(&two).await);
        assert!(!one.underlay().remote(v6("192.0.2.2")).unwrap().is_resolved);
        let now = run(&[&one, &two], 0, 5_000, |_| false);
        for (host, other) in [(&one, 2), (&two, 1)] {
            let remote = host.underlay().remote(v6(&format!("192.0.2.{other}"))).unwrap().clone();
            assert!(remote.is_resolved);
            // Packets that waited go on.
            let hop = (Neighbour::of_underlay(remote.ip), Mac([2, 0, 0, 0, 0, other]));
            assert_eq!(host.handle.borrow().hops, [hop]);
            assert_eq!(host.bfd(), [(format!("hv{other}"), BfdState::Up, 1)]);
        }
        // One that is not heard is lost, on the side that does not hear at first.
        let now = run(&[&one, &two], now, now + 5_000, |host| host == 1);
        assert_eq!(one.bfd(), [("hv2".to_owned(), BfdState::Down, 2)]);
        assert_ne!(two.bfd()[0].1, BfdState::Up);
        let now = run(&[&one, &two], now, now + 5_000, |_| false);
        assert_eq!((one.bfd()[0].1, two.bfd()[0].1), (BfdState::Up, BfdState::Up));
        // Silent for long the neighbour itself is lost, and found again with another Ethernet address.
        let now = run(&[&one], now, now + 60_000, |_| false);
        assert!(!one.underlay().remote(v6("192.0.2.2")).unwrap().is_resolved);
        run(&[&one, &two], now, now + 15_000, |_| false);
        assert!(one.underlay().remote(v6("192.0.2.2")).unwrap().is_resolved);
        assert_eq!(one.bfd()[0].1, BfdState::Up);
    });
}

#[test]
fn peers_and_networks_are_those_of_the_rows() {
    test(async || {
        let host = TestHost::new(&config(1, "")).await;
        let knows = |vni| host.underlay().knows_vni(vni);
        assert!(knows(77), "without networks it is the flows that say what is known");
        host.say("chassis-add hv2 geneve 192.0.2.2").await;
        host.say("chassis-add hv3 geneve 198.51.100.3 -- chassis-add hv4 vxlan 192.0.2.4").await;
        let underlay = host.underlay();
        assert_eq!(underlay.remotes().count(), 2, "no other than Geneve");
        assert_eq!(underlay.remote(v6("198.51.100.3")).unwrap().hop, v6("192.0.2.254"));
        // Its networks are known when the answer comes, and no others.
        host.nbctl("ls-add s -- lsp-add s p -- ls-add t").await;
        assert!(!knows(1));
        host.switch.state_mut().logical.bound.set(PortNo(1), Some("p".to_owned()));
        host.switch.follow().await.unwrap();
        assert!(knows(1) && !knows(2) && !knows(77));
        // A chassis that has another address is followed there.
        host.say("chassis-del hv2 -- chassis-add hv2 geneve 192.0.2.22").await;
        let underlay = host.underlay();
        assert!(underlay.remote(v6("192.0.2.2")).is_none() && underlay.remote(v6("192.0.2.22")).is_some());
        assert_eq!(host.bfd().len(), 2);
        host.say("chassis-del hv3").await;
        assert_eq!(host.bfd().iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["hv2"]);
    });
}

/// The peers that flows send to.
fn named(tables: &Tables) -> BTreeSet<Ipv6Addr> {
    let flows = tables.list(&FlowFilter::default());
    let peer = |action: &Action| match *action {
        Action::SetField { field: Field::TunDst, value: ip @ 1.., .. } => {
            Some(Ipv4Addr::from_bits(ip as u32).to_ipv6_mapped())
        }
        Action::SetField { field: Field::TunIpv6Dst, value, .. } => Some(Ipv6Addr::from_bits(value)),
        _ => None,
    };
    flows.iter().flat_map(|flow| flow.actions.iter()).filter_map(peer).collect()
}

/// Whatever comes, goes or moves: no worker ever sees a flow that sends to a peer which is not known beside it.
#[test]
fn no_flow_comes_before_its_peer_or_outlives_it() {
    test(async || {
        let host = TestHost::new(&config(1, "")).await;
        let port = |name: &str, n: u8| {
            format!("-- lsp-add s {name} -- lsp-set-addresses {name} 02:00:00:00:01:{n:02x}")
        };
        host.nbctl(&format!("ls-add s {} {} {}", port("p", 1), port("q", 2), port("r", 3))).await;
        host.switch.state_mut().logical.bound.set(PortNo(1), Some("p".to_owned()));
        host.switch.follow().await.unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let all = Rc::clone(&seen);
        host.handle.borrow_mut().onlooker = Some(Box::new(move |tables, underlay| {
            let named = named(tables);
            let knows = |peer: &Ipv6Addr| underlay.is_some_and(|underlay| underlay.remote(*peer).is_some());
            assert!(named.iter().all(knows), "flows send to {named:?}, and known is {underlay:?}");
            let mut all = all.borrow_mut();
            if all.last() != Some(&named) {
                all.push(named);
            }
        }));
        for line in [
            "chassis-add hv2 geneve 192.0.2.2 -- lsp-bind q hv2",
            "chassis-add hv3 geneve fd00::3 -- lsp-bind r hv3",
            // Another address.
            "lsp-unbind q -- chassis-del hv2 -- chassis-add hv2 geneve 192.0.2.22 -- lsp-bind q hv2",
            // From one to the other, and the one goes.
            "lsp-unbind q -- lsp-bind q hv3 -- chassis-del hv2",
            "chassis-del hv3",
        ] {
            host.say(line).await;
            host.tick(10);
        }
        let peers = |peers: &[&str]| peers.iter().map(|peer| v6(peer)).collect::<BTreeSet<_>>();
        let steps: [&[&str]; 6] =
            [&[], &["192.0.2.2"], &["192.0.2.2", "fd00::3"], &["192.0.2.22", "fd00::3"], &["fd00::3"], &[]];
        assert_eq!(*seen.borrow(), steps.map(peers));
        assert_eq!(host.underlay().remotes().count(), 0);
    });
}

#[test]
fn the_endpoint_announces_itself_when_its_link_comes_back() {
    test(async || {
        let (host, other) = (TestHost::new(&config(1, "")).await, TestHost::new(&config(2, "")).await);
        let sent = |from: u64, to: u64| {
            let mut sent = Vec::new();
            for now in (from..to).step_by(10) {
                host.tick(now);
                sent.extend(host.sent().into_iter().map(|frame| (now, frame)));
            }
            sent
        };
        assert_eq!(sent(0, 10_000).len(), 4, "both addresses, twice");
        assert!(sent(10_000, 20_000).is_empty());
        host.handle.borrow_mut().links_down.push(host.uplink);
        assert!(sent(20_000, 25_000).is_empty());
        host.handle.borrow_mut().links_down.clear();
        let announced = sent(25_000, 40_000);
        let times: Vec<u64> = announced.iter().map(|(now, _)| *now).collect();
        assert!((25_000..=25_000 + LINK).contains(&times[0]), "{times:?}");
        assert_eq!(times[1..], [0, 2_000, 2_000].map(|later| times[0] + later), "and no more");
        // Unasked, by both families, so that whoever knew another address has this one.
        announced.iter().for_each(|(_, frame)| other.receive(frame));
        let told: Vec<_> = other.handle.borrow().intents.iter().map(|told| told.intent).collect();
        let heard = |ip: &str| {
            Intent::Heard(Heard {
                ip: v6(ip),
                mac: Mac([2, 0, 0, 0, 0, 1]),
                is_answer: false,
                overrides: true,
            })
        };
        assert_eq!(told, [heard("192.0.2.1"), heard("fd00::1"), heard("192.0.2.1"), heard("fd00::1")]);
    });
}

/// What concerns the underlay is taken in at once, however much waits to be learned, and a share of that is lost.
#[test]
fn what_neighbours_say_does_not_wait_behind_what_packets_teach() {
    test(async || {
        let config = config(1, "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.0.2.2\"\n");
        let host = TestHost::new(&config).await;
        host.tick(0);
        let tell = |intent, in_port| Told { intent, in_port, data: Vec::new() };
        let fdb = |n: u64| Intent::Fdb { datapath: 1, port: 1, mac: Mac::from_u64(n) };
        let count = 16 * STRETCH;
        let flood = (0..count as u64).map(|n| tell(fdb(n), PortNo(1)));
        let heard =
            Heard { ip: v6("192.0.2.2"), mac: Mac([2, 0, 0, 0, 0, 2]), is_answer: true, overrides: true };
        host.handle.borrow_mut().intents.extend(flood.chain([tell(Intent::Heard(heard), host.uplink)]));
        // Nobody learns here.
        (0..17).for_each(|turn| host.tick(10 + turn));
        assert!(host.underlay().remote(v6("192.0.2.2")).unwrap().is_resolved);
        assert!(host.switch.state().told.lost > 0 && !host.switch.state().told.is_empty());
    });
}

#[test]
fn the_underlay_goes_and_comes_with_its_port() {
    test(async || {
        let config = config(1, "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.0.2.2\"\n");
        let host = TestHost::new(&config).await;
        assert_eq!(host.underlay().endpoint.mac, Mac([2, 0, 0, 0, 0, 1]));
        let names = |host: &TestHost| host.switch.state().host().tunnel;
        assert_eq!(
            names(&host),
            Some(Tunnel { port: PortNo(3), mtu: Some(1500), families: Families::default() })
        );
        host.switch.state_mut().datapath.unpublish_port(host.uplink).unwrap();
        host.tick(10);
        assert!(host.handle.borrow().underlay.is_none());
        assert!(host.switch.state().overlay.peers().is_empty());
        let mut spec = PortSpec::new("uplink", PortKind::Memory);
        spec.mac = Some(Mac([2, 0, 0, 0, 0, 9]));
        host.switch.state_mut().datapath.add_port(&spec).unwrap();
        host.sent();
        host.tick(20);
        assert_eq!(host.underlay().endpoint.mac, Mac([2, 0, 0, 0, 0, 9]));
        assert!(host.underlay().remote(v6("192.0.2.2")).is_some(), "peers are known at once");
        assert!(!host.sent().is_empty(), "it announces itself");
        // One through which the underlay's packets do not fit is none, and that is said.
        host.switch.state_mut().datapath.unpublish_port(host.uplink).unwrap();
        host.tick(21);
        host.switch.state_mut().datapath.add_port(&PortSpec { mtu: 1499, ..spec.clone() }).unwrap();
        host.tick(22);
        assert!(host.handle.borrow().underlay.is_none());
        assert_eq!(
            host.switch.state().overlay.complaint(),
            Some(
                "packets of the underlay have up to 1500 bytes, and port \"uplink\" has an MTU of 1499; remove it and \
                 add it with `mtu=1500`, or lower `underlay.mtu` in the config and restart"
            )
        );
        // One that cannot be is complained of.
        host.switch.state_mut().datapath.unpublish_port(host.uplink).unwrap();
        host.tick(25);
        spec.mac = Some(Mac([1, 0, 0, 0, 0, 9]));
        host.switch.state_mut().datapath.add_port(&spec).unwrap();
        host.tick(30);
        assert!(host.handle.borrow().underlay.is_none());
        let state = host.switch.state();
        assert!(
            state.overlay.complaint().unwrap().contains("01:00:00:00:00:09"),
            "{:?}",
            state.overlay.complaint()
        );
    });
}

#[test]
fn nobody_on_the_wire_fills_the_log() {
    test(async || {
        let one = config(1, "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.0.2.2\"\n");
        let two = config(2, "[[chassis]]\nname = \"hv1\"\nencap_ip = \"192.0.2.1\"\n");
        let (one, two) = (TestHost::new(&one).await, TestHost::new(&two).await);
        let now = run(&[&one, &two], 0, 5_000, |_| false);
        let log = Log::default();
        let guard = log.keep();
        let tell = |intent, data: &[u8]| {
            let told = Told { intent, in_port: one.uplink, data: data.to_vec() };
            one.handle.borrow_mut().intents.push(told);
        };
        // Somebody says another address of the next hop, that it is himself, and that the session is down, each turn.
        let mut down = [0; 24];
        down[..8].copy_from_slice(&[0x20, 0x40, 3, 24, 0, 0, 0, 9]);
        let down = crate::tunnel::bfd::frame(Mac([2; 6]), 49152, &down);
        let mut lies = now;
        for n in 0..1000u16 {
            let mac = Mac([2, 0, 0, 0xff, (n >> 8) as u8, n as u8]);
            let heard = crate::tunnel::Heard { ip: v6("192.0.2.2"), mac, is_answer: false, overrides: true };
            tell(Intent::Heard(heard), &[]);
            tell(Intent::Claimed(v6("192.0.2.1"), mac), &[]);
            tell(Intent::Bfd(v6("192.0.2.2")), &down);
            lies = run(&[&one], lies, lies + 10, |_| false);
        }
        let lines = |what: &str| log.text().lines().filter(|line| line.contains(what)).count();
        for (what, most) in [("neighbour of", 12), ("BFD state", 12), ("claims", 2)] {
            assert!((1..=most).contains(&lines(what)), "{what}: {}", log.text());
        }
        // How it ends is told.
        run(&[&one, &two], lies, lies + 60_000, |_| false);
        drop(guard);
        let text = log.text();
        let last = |what: &str| text.lines().rfind(|line| line.contains(what)).unwrap_or_default().to_owned();
        assert!(last("neighbour of").ends_with("found ip=192.0.2.2 mac=02:00:00:00:00:02"), "{text}");
        assert!(last("BFD state changed chassis=hv2").contains("now=\"up\""), "{text}");
    });
}

#[test]
fn there_is_none_where_none_is_configured() {
    test(async || {
        let mut config = config(1, "");
        config.underlay = None;
        config.ovn = Ovn {
            bridge_mappings: vec![Mapping { network: "n".to_owned(), port: "vm".to_owned() }],
            ..Ovn::unkept()
        };
        let host = TestHost::new(&config).await;
        host.tick(10);
        assert!(host.handle.borrow().underlay.is_none() && host.sent().is_empty());
        let known = host.switch.state().host();
        assert_eq!(known.mappings, BTreeMap::from([("n".to_owned(), PortNo(1))]));
        assert_eq!(known.tunnel, Some(Tunnel { port: PortNo(3), mtu: None, families: Families::default() }));
    });
}

#[test]
fn without_bfd_there_are_no_sessions() {
    test(async || {
        let mut config = config(1, "[[chassis]]\nname = \"hv2\"\nencap_ip = \"fd00::2\"\n");
        assert_eq!(config.underlay.as_ref().unwrap().bfd, Some(Bfd::default()));
        config.underlay.as_mut().unwrap().bfd = None;
        let host = TestHost::new(&config).await;
        assert_eq!(host.bfd(), []);
        assert_eq!(host.switch.state().overlay.peers().len(), 1);
    });
}
