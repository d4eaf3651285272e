//! The underlay of a whole switch with ports in memory: what its neighbours say comes by the workers to the control thread,
//! and what that makes of it decides where the workers send.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use std::net::IpAddr;
use std::time::Duration;

use millrace::config::Config;
use millrace::packet::checksum::complete_l4;
use millrace::packet::parse::parse;
use millrace::packet::{FlowKey, Packet, PacketMeta};
use ovn::Chassis;
use serde_json::Value;
use support::eventually;

type Mac = [u8; 6];

const OWN: Mac = [2, 0, 0, 0, 0, 1];
/// A neighbour's address, and two others.
const OLD: Mac = [2, 0, 0, 0, 0, 0xa];
const NEW: Mac = [2, 0, 0, 0, 0, 0xb];
const THIRD: Mac = [2, 0, 0, 0, 0, 0xc];
const ALL: Mac = [0xff; 6];
const ALL_NODES: Mac = [0x33, 0x33, 0, 0, 0, 1];

const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// How often the control thread looks after the underlay.
const TICK: Duration = Duration::from_millis(10);

const CONFIG: &str = "
[[port]]
name = \"vm\"
type = \"memory\"
iface_id = \"vm1\"
[[port]]
name = \"uplink\"
type = \"memory\"
mac = \"02:00:00:00:00:01\"
[underlay]
port = \"uplink\"
addresses = [\"192.0.2.1/24\", \"fd00::1/64\"]
[[chassis]]
name = \"hv2\"
encap_ip = \"192.0.2.2\"
ports = [\"vm2\"]
[[chassis]]
name = \"hv3\"
encap_ip = \"fd00::3\"
ports = [\"vm3\"]
[ovn]
system_id = \"hv1\"
state = \"\"
";

fn ip(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// ARP from a neighbour.
fn arp(op: u8, (dst, sha): (Mac, Mac), spa: &str, tpa: &str) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, op];
    [&dst[..], &sha, &head, &sha, &ip(spa), &[0; 6], &ip(tpa)].concat()
}

/// A neighbour advertisement with its Ethernet address as option.
fn advert(flags: u8, (dst, mac): (Mac, Mac), to: &str, target: &str) -> Vec<u8> {
    let head = [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255];
    let message = [136, 0, 0, 0, flags, 0, 0, 0];
    let mut frame =
        [&dst[..], &mac, &head, &ip(target), &ip(to), &message, &ip(target), &[2, 1], &mac].concat();
    let mut meta = PacketMeta::default();
    let _ = parse(&frame, &mut meta, &mut FlowKey::default());
    complete_l4(&mut frame, &meta).unwrap();
    frame
}

/// What a frame asks for, and whom: everybody, or the one who had the address.
fn question(frame: &[u8]) -> Option<(Vec<u8>, Option<Mac>)> {
    let dst: Mac = frame[..6].try_into().unwrap();
    let one = Some(dst).filter(|dst| dst[0] & 1 == 0);
    let asks_by_arp = frame[12..14] == [8, 6] && frame[20..22] == [0, 1] && frame[28..32] != frame[38..42];
    let asks_by_nd = frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 135;
    let target = if asks_by_arp { &frame[38..42] } else { frame.get(62..78)? };
    (asks_by_arp || asks_by_nd).then(|| (target.to_vec(), one))
}

struct Host {
    chassis: Chassis,
    /// What the uplink sent and nobody has looked at.
    sent: Vec<Vec<u8>>,
}

impl Host {
    fn start() -> Self {
        let mut chassis = Chassis::run(Config::from_toml(CONFIG, "underlay.toml").unwrap());
        let ports = (1..4).flat_map(|n| {
            let address = format!("02:00:00:00:01:{n:02x} 10.0.0.{n}");
            let (lsp, end) = (format!("vm{n}"), "--".to_owned());
            let add = ["lsp-add", "s", &lsp, "--", "lsp-set-addresses", &lsp].map(str::to_owned);
            std::iter::once(end).chain(add).chain([address])
        });
        let words: Vec<String> = ["ls-add", "s"].map(str::to_owned).into_iter().chain(ports).collect();
        chassis.ask("nbctl", &words.iter().map(String::as_str).collect::<Vec<_>>());
        Self { chassis, sent: Vec::new() }
    }

    fn hears(&self, frame: &[u8]) {
        assert!(self.chassis.wire("uplink").feed(0, frame));
    }

    fn look(&mut self) {
        let wire = self.chassis.wire("uplink");
        self.sent.extend(std::iter::from_fn(|| wire.take()).map(|packet| packet.data().to_vec()));
    }

    /// Waits until somebody is asked for that address; says whom.
    fn asks(&mut self, target: &str) -> Option<Mac> {
        let mut asked = None;
        eventually("it asks", || {
            self.look();
            asked =
                self.sent.drain(..).filter_map(|frame| question(&frame)).find(|(of, _)| *of == ip(target));
            asked.is_some()
        });
        asked.unwrap().1
    }

    fn neighbour(&mut self, address: &str) -> (String, String) {
        let shown: Value = serde_json::from_str(&self.chassis.ask("underlay/show", &["--json"])).unwrap();
        let rows = shown["neighbours"].as_array().unwrap();
        let row = rows.iter().find(|row| row["ip"] == address).unwrap();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("mac"))
    }

    /// Waits until a neighbour is in this state, with this address, and the worker knows.
    fn becomes(&mut self, address: &str, state: &str, mac: Mac) {
        let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        let wanted = (state.to_owned(), mac);
        eventually(&format!("{address} is {wanted:?}"), || self.neighbour(address) == wanted);
        // It is published with the next tick, which has come before the second of two commands that follow it; that is
        // answered when the worker has taken over what was published before.
        std::thread::sleep(TICK * 2);
        for _ in 0..2 {
            self.chassis.ask("ofctl/add-flow", &["table=200 actions=drop"]);
        }
    }

    /// Where a packet to a machine goes now.
    fn goes_to(&mut self, vm: u8) -> Mac {
        let frame = [&[2, 0, 0, 0, 1, vm, 2, 0, 0, 0, 1, 1, 8, 0][..], &[0x45; 50]].concat();
        self.look();
        let sent = self.chassis.inject("vm", &frame).into_iter().map(|(_, frame)| frame);
        let (tunnelled, others): (Vec<_>, _) = sent.partition(|sent| sent.ends_with(&frame));
        self.sent.extend(others);
        assert_eq!((tunnelled.len(), &tunnelled[0][6..12]), (1, &OWN[..]));
        tunnelled[0][..6].try_into().unwrap()
    }
}

/// RFC 4861, 7.2.5: an announcement takes the place of what was known at once, and the sender is asked whether it hears
/// us; one that does not override (which ARP has none of) only raises the question whether what was known is still so.
#[test]
fn unasked_announcements_are_taken_as_rfc_4861_says() {
    let mut host = Host::start();
    let (v4, v6) = ("192.0.2.2", "fd00::3");
    assert_eq!((host.asks(v4), host.neighbour(v4).0), (None, "incomplete".to_owned()));
    host.hears(&arp(2, (OWN, OLD), v4, "192.0.2.1"));
    host.becomes(v4, "reachable", OLD);
    assert_eq!(host.goes_to(2), OLD);
    // As a request and as a reply, both of which hosts use; what it had been is not asked any more.
    for (op, mac) in [(1, NEW), (2, THIRD)] {
        host.hears(&arp(op, (ALL, mac), v4, v4));
        host.becomes(v4, "stale", mac);
        assert_eq!((host.goes_to(2), host.asks(v4)), (mac, Some(mac)));
        host.hears(&arp(2, (OWN, mac), v4, "192.0.2.1"));
        host.becomes(v4, "reachable", mac);
    }
    // The same again changes nothing.
    host.hears(&arp(1, (ALL, THIRD), v4, v4));
    // Of whom nothing is sent to, nothing is kept.
    host.hears(&arp(1, (ALL, NEW), "192.0.2.77", "192.0.2.77"));

    host.hears(&advert(SOLICITED | OVERRIDE, (OWN, OLD), "fd00::1", v6));
    host.becomes(v6, "reachable", OLD);
    assert_eq!(host.goes_to(3), OLD);
    // Without the flag, unasked and as an answer: the old one is asked, and packets go there.
    for (flags, dst, to) in [(0, ALL_NODES, "ff02::1"), (SOLICITED, OWN, "fd00::1")] {
        host.hears(&advert(flags, (dst, NEW), to, v6));
        host.becomes(v6, "stale", OLD);
        assert_eq!((host.goes_to(3), host.asks(v6)), (OLD, Some(OLD)));
        // The one who is meant says so, with the same address and no flag but that it was asked.
        host.hears(&advert(SOLICITED, (OWN, OLD), "fd00::1", v6));
        host.becomes(v6, "reachable", OLD);
        assert_eq!(host.goes_to(3), OLD);
    }
    // With the flag.
    host.hears(&advert(OVERRIDE, (ALL_NODES, NEW), "ff02::1", v6));
    host.becomes(v6, "stale", NEW);
    assert_eq!((host.goes_to(3), host.asks(v6)), (NEW, Some(NEW)));
    host.hears(&advert(SOLICITED | OVERRIDE, (OWN, NEW), "fd00::1", v6));
    host.becomes(v6, "reachable", NEW);

    assert_eq!(host.neighbour(v4), ("reachable".to_owned(), "02:00:00:00:00:0c".to_owned()));
    let shown: Value = serde_json::from_str(&host.chassis.ask("underlay/show", &["--json"])).unwrap();
    assert_eq!((shown["neighbours"].as_array().unwrap().len(), &shown["conflicts"]), (2, &0.into()));
    host.chassis.stats();
}

/// What waits for a next hop goes on to whoever answers first, be it in the words of an announcement.
#[test]
fn packets_that_wait_for_a_next_hop_go_on_with_an_announcement() {
    let mut host = Host::start();
    host.asks("192.0.2.2");
    let frame = [&[2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 1, 8, 0][..], &[0x45; 50]].concat();
    assert!(host.chassis.wire("vm").feed(0, &frame));
    let in_flight = |host: &mut Host| {
        let stats: Value = serde_json::from_str(&host.chassis.ask("stats", &["--json"])).unwrap();
        stats["in_flight"].as_u64().unwrap()
    };
    eventually("it waits", || in_flight(&mut host) == 1);
    host.hears(&arp(1, (ALL, NEW), "192.0.2.2", "192.0.2.2"));
    eventually("it goes on", || {
        host.look();
        host.sent.iter().any(|frame| frame.len() > 100 && frame[..6] == NEW)
    });
    assert_eq!(host.chassis.stats()["in_flight"], 0);
}
