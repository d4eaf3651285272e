//! Logical networks: two switches and a router between them, as the rows of a real Southbound database say, with real
//! kernels as the machines of their ports.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::forward::iperf_at;
use crate::lab::{Drops, Host, Lab, SOON, Setup, Switch};

pub const VM1: &str = "40:44:00:00:00:01";
pub const VM2: &str = "40:44:00:00:00:02";

fn rows(scenario: &str) -> String {
    format!("{}/tests/data/ovn/{scenario}", env!("CARGO_MANIFEST_DIR"))
}

/// A switch that is hv1, with both machines, and these rows.
fn start(lab: &Lab, one: &Host, two: &Host, dump: &str) -> Switch {
    let port = |host: &Host, number, name| {
        format!("type=af_packet iface={} number={number} iface_id={name}", host.iface)
    };
    let setup = Setup::new().port("p1", &port(one, 1, "vm1")).port("p2", &port(two, 2, "vm2"));
    let switch = Switch::start(lab, &setup);
    let loaded = switch.ok(&["sbctl", "load", &rows(dump), "--chassis", "hv1"]);
    assert!(loaded.contains("2 ports bound"), "{loaded}");
    // What came in before that met nothing.
    switch.ok(&["stats", "--clear"]);
    for port in ["vm1", "vm2"] {
        let row = switch.ok(&["sbctl", "get", "Port_Binding", port, "up"]);
        assert_eq!(row, "true\n", "{port}");
    }
    switch
}

/// What machines say unasked (neighbours looked for again, groups joined) goes nowhere here.
pub fn chatter() -> Drops {
    Drops::none().maybe("explicit")
}

/// One echo with this TTL; what ping says.
fn ping(host: &Host, ttl: &str, to: IpAddr) -> String {
    host.run(&["ping", "-c", "1", "-W", "2", "-t", ttl, &to.to_string()], SOON).out
}

/// Addresses that traceroute finds on the way, the far end's the last; one probe after the other.
fn hops(host: &Host, to: IpAddr) -> Vec<IpAddr> {
    let words = ["traceroute", "-n", "-N", "1", "-q", "1", "-w", "2", "-m", "4", &to.to_string()];
    let said = host.run(&words, SOON).out;
    let lines =
        said.lines().skip(1).map(|line| line.split_whitespace().nth(1).and_then(|hop| hop.parse().ok()));
    lines.collect::<Option<_>>().unwrap_or_else(|| panic!("a hop did not answer: {said}"))
}

/// TCP reaches a rate in both directions.
fn carries_tcp(one: &Host, two: &Host, to: IpAddr) {
    for direction in [&["--time", "1"][..], &["--time", "1", "--reverse"]] {
        let report = iperf_at(one, two, to, direction);
        let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate");
        assert!(rate > 1e7, "TCP {direction:?} to {to} reached {rate} bit/s");
    }
}

/// Everything that goes through the router between the two, and what the router itself answers.
pub fn routed(one: &Host, two: IpAddr, gateway: IpAddr, beyond: &str) {
    let answer = ping(one, "64", two);
    assert!(answer.contains("ttl=63"), "one router there and one back: {answer}");
    one.pings(two, 20, 56);
    one.pings(two, 20, 1400);
    one.pings(gateway, 10, 56);
    one.pings(gateway, 10, 1400);
    let exceeded = ping(one, "1", two);
    assert!(exceeded.contains(&format!("From {gateway} icmp_seq=1 {beyond}")), "{exceeded}");
    assert_eq!(hops(one, two), [gateway, two]);
    // Closed ports of the router.
    let closed = SocketAddr::new(gateway, 7);
    let refused = one.inside(|| TcpStream::connect_timeout(&closed, SOON)).expect_err("nobody listens there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    let any: IpAddr = if gateway.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = one.inside(|| UdpSocket::bind((any, 0)).expect("bind"));
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set a limit");
    socket.connect(closed).expect("connect");
    socket.send(b"is anybody there?").expect("send");
    let refused = socket.recv(&mut [0; 100]).expect_err("nobody is there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
}

#[test]
fn a_routed_network_of_ipv4() {
    let mut lab = Lab::new();
    let (mut one, mut two) = (lab.host(1), lab.host(2));
    one.becomes(VM1, &[("192.168.0.11/24", "192.168.0.1")]);
    two.becomes(VM2, &[("192.168.1.11/24", "192.168.1.1")]);
    let switch = start(&lab, &one, &two, "s2-l3/chassis/sb-dump.json");
    routed(&one, two.ip.into(), [192, 168, 0, 1].into(), "Time to live exceeded");
    routed(&two, one.ip.into(), [192, 168, 1, 1].into(), "Time to live exceeded");
    carries_tcp(&one, &two, two.ip.into());

    // The network is taken from a machine and given back.
    switch.ok(&["port", "set", "p1", "iface_id="]);
    let row = switch.ok(&["sbctl", "get", "Port_Binding", "vm1", "up", "chassis"]);
    assert_eq!(row, "false\n[]\n");
    // What it sends meanwhile is dropped by table 0, which sends what it does not know nowhere.
    assert!(ping(&one, "64", two.ip.into()).contains("100% packet loss"));
    switch.ok(&["port", "set", "p1", "iface_id=vm1"]);
    let row = switch.ok(&["sbctl", "get", "Port_Binding", "vm1", "up"]);
    assert_eq!(row, "true\n");
    one.pings(two.ip, 10, 56);
    switch.end(&chatter().maybe("tx_queue_full"));
}

/// Rows know vm2 by one address alone; its other one the router has to ask for.
#[test]
fn a_neighbour_is_asked_for_and_learned() {
    let mut lab = Lab::new();
    let (mut one, mut two) = (lab.host(1), lab.host(2));
    one.becomes(VM1, &[("192.168.0.11/24", "192.168.0.1")]);
    two.becomes(VM2, &[("192.168.1.11/24", "192.168.1.1")]);
    two.add_address("192.168.1.99/24");
    let switch = start(&lab, &one, &two, "s2-l3/chassis/sb-dump.json");
    // None is lost, the first included: it waits for the answer.
    one.pings("192.168.1.99", 10, 56);
    let row = switch.ok(&[
        "sbctl",
        "--bare",
        "--columns",
        "mac,logical_port",
        "find",
        "MAC_Binding",
        "ip=192.168.1.99",
    ]);
    assert_eq!(row, format!("{VM2}\nrouter1-net2\n"));
    switch.end(&chatter());
}

#[test]
fn a_routed_network_of_ipv6() {
    let mut lab = Lab::new();
    let (mut one, mut two) = (lab.host_with(1, 1500, true), lab.host_with(2, 1500, true));
    one.becomes(VM1, &[("192.168.0.11/24", "192.168.0.1"), ("fd00:1::11/64", "fd00:1::1")]);
    two.becomes(VM2, &[("192.168.1.11/24", "192.168.1.1"), ("fd00:2::11/64", "fd00:2::1")]);
    let switch = start(&lab, &one, &two, "s4-dual/sb-dump.json");
    let gateway = |network| IpAddr::from([0xfd00, network, 0, 0, 0, 0, 0, 1u16]);
    routed(&one, two.ip6.into(), gateway(1), "Time exceeded: Hop limit");
    routed(&two, one.ip6.into(), gateway(2), "Time exceeded: Hop limit");
    routed(&one, two.ip.into(), [192, 168, 0, 1].into(), "Time to live exceeded");
    carries_tcp(&one, &two, two.ip6.into());
    // A neighbour that the rows do not know is solicited and learned.
    two.add_address("fd00:2::99/64 nodad");
    one.pings("fd00:2::99", 10, 56);
    let row = switch.ok(&[
        "sbctl",
        "--bare",
        "--columns",
        "mac,logical_port",
        "find",
        "MAC_Binding",
        "ip=\"fd00:2::99\"",
    ]);
    assert_eq!(row, format!("{VM2}\nrouter1-net2\n"));
    switch.end(&chatter().maybe("tx_queue_full"));
}
