//! Two kernels talk to each other through the switch over af_packet: ping, TCP, UDP, IPv4, IPv6.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Drops, Host, Lab, SOON, Setup, Switch, wait_for};

fn ping_v4(hugepages: &'static str) {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(&lab, &Setup::new().hugepages(hugepages).joined(&one.iface, &two.iface));
    // ARP goes the same way, so nothing is told to the machines beforehand.
    one.pings(two.ip, 50, 56);
    two.pings(one.ip, 50, 1472);
    let (there, back) = (switch.packets("in_port=1"), switch.packets("in_port=2"));
    assert!(
        there >= 101 && back >= 101,
        "the flows counted {there} and {back} packets, 100 echoes each and ARP were sent"
    );
    switch.end(&Drops::none());
}

#[test]
fn ping_v4_on_ordinary_pages() {
    ping_v4("off");
}

/// With hugepages where the machine has them free (`scripts/test` reserves some), else without.
#[test]
fn ping_v4_on_hugepages_where_there_are_some() {
    ping_v4("auto");
}

#[test]
fn ping_v6_with_neighbour_discovery() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host_with(1, 1500, true), lab.host_with(2, 1500, true));
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    one.pings(two.ip6, 50, 56);
    two.pings(one.ip6, 50, 1452);
    switch.end(&Drops::none());
}

/// A switch that tells its ports apart by address and floods what has none, over three machines.
#[test]
fn unicast_by_address_and_flood() {
    let mut lab = Lab::new();
    let hosts: Vec<Host> = (1..=3).map(|number| lab.host(number)).collect();
    let mut setup = Setup::new().flow("priority=20,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=flood");
    for (host, number) in hosts.iter().zip(1..) {
        setup = setup
            .port(&format!("p{number}"), &format!("type=af_packet iface={} number={number}", host.iface))
            .flow(&format!("priority=10,dl_dst={},actions=output:{number}", host.mac));
    }
    let switch = Switch::start(&lab, &setup);
    for from in &hosts {
        for to in hosts.iter().filter(|to| to.ip != from.ip) {
            from.pings(to.ip, 10, 56);
        }
    }
    let stats = switch.json(&["stats"]);
    let flooded = switch.packets("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00");
    assert!(flooded >= 3, "{flooded} packets were flooded; every machine asks for addresses by broadcast");
    // A flood out of three ports goes to two, for which one copy is made.
    assert_eq!(stats["copied"], flooded, "copies made: {stats}");
    switch.end(&Drops::none());
}

/// Runs iperf3 from the first machine to the second and gives its report.
pub fn iperf(from: &Host, to: &Host, words: &[&str]) -> Value {
    iperf_at(from, to, to.ip.into(), words)
}

/// The same, to a certain address of the other.
pub fn iperf_at(from: &Host, to: &Host, target: IpAddr, words: &[&str]) -> Value {
    let mut server = to.spawn(&["iperf3", "--server", "--one-off"], Stdio::null());
    wait_for("iperf3 listens", SOON, || {
        to.ok(&["ss", "-Hltn", "sport = :5201"]).contains("5201").then_some(())
    });
    let target = target.to_string();
    let reply =
        from.run(&[&["iperf3", "--json", "--client", &target], words].concat(), Duration::from_secs(60));
    // One-off: it ends by itself, unless no client came.
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(reply.status, Some(0), "iperf3 failed:\n{}{}", reply.out, reply.err);
    serde_json::from_str(&reply.out).expect("iperf3 prints JSON")
}

#[test]
fn iperf3_tcp_both_ways() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    for direction in [&["--time", "3"][..], &["--time", "3", "--reverse"]] {
        let report = iperf(&one, &two, direction);
        let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate");
        assert!(rate > 1e7, "TCP {direction:?} reached {rate} bit/s");
    }
    // Where the sender is faster than the receiver TCP finds the limit by filling a queue.
    switch.end(&Drops::none().maybe("tx_queue_full"));
}

#[test]
fn iperf3_udp_loses_nothing_at_a_moderate_rate() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    let words = ["--udp", "--bitrate", "20M", "--length", "1400", "--time", "3", "--pacing-timer", "100"];
    let report = iperf(&one, &two, &words);
    let sum = &report["end"]["sum"];
    let (packets, lost) =
        (sum["packets"].as_u64().expect("packets"), sum["lost_packets"].as_u64().expect("lost"));
    assert!(packets > 4000, "iperf3 sent {packets} datagrams in 3 s at 20 Mbit/s");
    // What waits in the receiver's socket for a program that does not run is no matter of the switch.
    let unread = two.udp_not_read();
    assert!(
        lost <= unread,
        "{lost} of {packets} datagrams are lost, and the receiver left {unread} unread: {sum}\n{}\n{}\n{}{}",
        switch.ok(&["stats"]),
        switch.ok(&["port", "list"]),
        one.ok(&["ip", "-s", "link"]),
        two.ok(&["ip", "-s", "link"])
    );
    assert!(switch.packets("in_port=1") >= packets, "the flow counted fewer packets than iperf3 sent");
    switch.end(&Drops::none());
}
