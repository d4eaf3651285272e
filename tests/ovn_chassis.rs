//! The switch beside real chassis of OVN 23.03: what came in by their ports comes in here, with the same Southbound rows,
//! chassis name and bindings, and the same frames go out of the same ports, byte for byte.
//!
//! What cannot be so yet is listed with its reason, and the list is held to: what begins to agree has to leave it.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use ovn::{Chassis, file, read};
use pcap_file::pcap::PcapReader;

/// The other end is on another chassis; nothing was to be seen at the ports of this one.
const TUNNEL: &str = "went through a tunnel";
/// The packet itself is for nobody here.
const ARRIVED: &str = "what went out had come through a tunnel";
const TRACKED: &str = "needs the connection table";
const TRANSLATED: &str = "needs address translation";
const ADVERTISED: &str = "needs router advertisements";

/// Something that passed a port of a chassis.
#[derive(Clone, Debug)]
struct Seen {
    at: Duration,
    port: &'static str,
    frame: Vec<u8>,
}

fn capture(scenario: &str, chassis: &str, port: &'static str, direction: &str) -> Vec<Seen> {
    let path = file(&format!("{scenario}/chassis/{chassis}/vif-{port}-{direction}.pcap"));
    // Nothing passed a port that has no capture.
    let Ok(opened) = File::open(&path) else { return Vec::new() };
    let mut reader = PcapReader::new(opened).unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        frames.push(Seen { at: packet.timestamp, port, frame: packet.data.into_owned() });
    }
    frames
}

/// ovn-controller announces the addresses of gateways by itself, now and then; that is no answer to anything.
fn is_announcement(frame: &[u8]) -> bool {
    frame[12..14] == [8, 6] && frame[28..32] == frame[38..42]
}

/// Frames that went out, with their ports.
type Sent = Vec<(String, Vec<u8>)>;

/// What came in by the ports of a chassis or several, and for each what went out before the next came in.
fn exchanges(scenario: &str, ports: &[(&str, &'static str)]) -> Vec<(Seen, Sent)> {
    let all = |direction| {
        let mut seen: Vec<Seen> = ports
            .iter()
            .flat_map(|(chassis, port)| capture(scenario, chassis, port, direction))
            .filter(|seen| !is_announcement(&seen.frame))
            .collect();
        seen.sort_by_key(|seen| seen.at);
        seen
    };
    let (came, went) = (all("rx"), all("tx"));
    assert!(!came.is_empty(), "{scenario}: no captures");
    let ends = came.iter().skip(1).map(|seen| seen.at).chain([Duration::MAX]);
    let exchanges = came.iter().zip(ends).map(|(came, end)| {
        let between = went.iter().filter(|seen| came.at <= seen.at && seen.at < end);
        let mut out: Vec<_> = between.map(|seen| (seen.port.to_owned(), seen.frame.clone())).collect();
        out.sort();
        (came.clone(), out)
    });
    exchanges.collect()
}

fn hex(frames: &[(String, Vec<u8>)]) -> String {
    let one = |(port, frame): &(String, Vec<u8>)| {
        let digits: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\n      {port} {digits}")
    };
    if frames.is_empty() { " nothing".to_owned() } else { frames.iter().map(one).collect() }
}

/// Compares everything; `not_yet` names exchanges by their number, from 1, that differ. How many are the same.
fn compare(
    scenario: &str,
    chassis: &str,
    ports: &[(&str, &'static str, u16)],
    not_yet: &[(usize, &'static str)],
) -> usize {
    let not_yet: BTreeMap<usize, &str> = not_yet.iter().copied().collect();
    let bindings: Vec<(&str, u16)> = ports.iter().map(|(_, port, number)| (*port, *number)).collect();
    let captured: Vec<(&str, &'static str)> =
        ports.iter().map(|(chassis, port, _)| (*chassis, *port)).collect();
    let mut switch = Chassis::start(chassis, &bindings, &read(&format!("{scenario}/chassis/sb-dump.json")));
    let mut wrong = String::new();
    let mut same = 0;
    for ((came, theirs), number) in exchanges(scenario, &captured).into_iter().zip(1..) {
        // The second goes by what was cached for the first.
        for round in 1..=2 {
            let mut ours = switch.inject(came.port, &came.frame);
            ours.sort();
            match (ours == theirs, not_yet.get(&number)) {
                (true, None) => same += usize::from(round == 1),
                (true, Some(&TUNNEL)) | (false, Some(_)) => {}
                (true, Some(reason)) => {
                    wrong += &format!("\n  {number} is the same now; it was not yet: {reason}");
                }
                (false, None) => {
                    let came = hex(&[(came.port.to_owned(), came.frame.clone())]);
                    let (theirs, ours) = (hex(&theirs), hex(&ours));
                    wrong += &format!("\n  {number} ({round}){came}\n    theirs{theirs}\n    ours{ours}");
                }
            }
        }
    }
    switch.stats();
    assert!(wrong.is_empty(), "{scenario} on {chassis}:{wrong}");
    same
}

#[test]
fn a_switch() {
    let not_yet = [(1, TUNNEL), (3, TUNNEL)];
    assert_eq!(compare("s1-l2", "hv1", &[("hv1", "vm1", 2)], &not_yet), 1);
}

#[test]
fn a_switch_with_both_ports_on_one_chassis() {
    assert_eq!(compare("s1-l2", "hv1", &[("hv1", "vm1", 2), ("hv2", "vm2", 3)], &[]), 3);
}

#[test]
fn two_switches_and_a_router() {
    let not_yet = [(1, TUNNEL), (5, TUNNEL)];
    assert_eq!(compare("s2-l3", "hv1", &[("hv1", "vm1", 2)], &not_yet), 3);
}

#[test]
fn two_switches_and_a_router_on_one_chassis() {
    assert_eq!(compare("s2-l3", "hv1", &[("hv1", "vm1", 2), ("hv2", "vm2", 3)], &[]), 5);
}

#[test]
fn everything_at_once() {
    let hv1 = [("hv1", "web1", 4), ("hv1", "db1", 5), ("hv1", "pub-ln", 6)];
    let not_yet = [
        (1, TRACKED),
        (2, TRACKED),
        (3, TRACKED),
        // To a backend on hv2.
        (4, TUNNEL),
        (5, TRANSLATED),
        (7, TRANSLATED),
        (11, ADVERTISED),
    ];
    // Among the four is one that is not let in, for it comes with the address of another machine.
    assert_eq!(compare("s3-rich", "hv1", &hv1, &not_yet), 4);
    let hv2 = [("hv2", "web2", 4), ("hv2", "db2", 5), ("hv2", "pub-ln", 6), ("hv2", "fw1", 7)];
    let not_yet = [(1, TRACKED), (3, TUNNEL), (4, ARRIVED)];
    assert_eq!(compare("s3-rich", "hv2", &hv2, &not_yet), 3);
    // Replies to what was translated, and a load balancer's backend.
    let not_yet = [(1, ARRIVED), (2, TUNNEL), (3, TUNNEL), (4, TUNNEL)];
    assert_eq!(compare("s3-rich", "gw1", &[("gw1", "pub-ln", 3)], &not_yet), 2);
}
