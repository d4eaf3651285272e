//! vhost-user: a guest in another process, `dpdk-testpmd` on virtio-user, that answers a kernel's ping.

use std::time::Duration;

use crate::lab::{Drops, Guest, Host, Lab, Setup, Switch, wait_for};

const GUEST_IP: &str = "10.0.0.77";

fn setup(host: &Host, socket: &str, mode: &str) -> Setup {
    Setup::new()
        .port("p1", &format!("type=af_packet iface={} number=1 mtu=9000", host.iface))
        .port("vm", &format!("type=vhost-user socket={socket} mode={mode} number=2 mtu=9000"))
        .flow("in_port=1,actions=output:2")
        .flow("in_port=2,actions=output:1")
}

/// Until the guest polls its queues a packet has nowhere to go, so the first answer is waited for.
fn wait_for_answer(host: &Host) {
    wait_for("the guest answers", Duration::from_secs(20), || {
        let reply = host.run(&["ping", "-c", "1", "-W", "1", GUEST_IP], crate::lab::SOON);
        (reply.status == Some(0)).then_some(())
    });
}

fn frames_up_to_9000_bytes(host: &Host) {
    for (count, size) in [(50, 56), (50, 1472), (20, 1473), (20, 4000), (50, 8972)] {
        host.pings(GUEST_IP, count, size);
    }
}

/// While no guest is there, or one that is not ready, packets for it are dropped under one of these names.
fn not_ready() -> Drops {
    Drops::none().maybe("tx_queue_full").maybe("link_down")
}

#[test]
fn the_switch_as_server() {
    let mut lab = Lab::new();
    let host = lab.host_with(1, 9000, false);
    let socket = lab.path("vm.sock");
    let switch = Switch::start(&lab, &setup(&host, &socket, "server"));
    let guest = Guest::start(&lab, "g1", &socket, false);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    frames_up_to_9000_bytes(&host);
    // The guest goes and another comes: the port is the same.
    guest.end();
    let guest = Guest::start(&lab, "g2", &socket, false);
    wait_for_answer(&host);
    frames_up_to_9000_bytes(&host);
    guest.end();
    switch.end(&not_ready());
    assert!(!std::path::Path::new(&socket).exists(), "{socket} is left behind");
}

#[test]
fn the_switch_as_client() {
    let mut lab = Lab::new();
    let host = lab.host_with(1, 9000, false);
    let socket = lab.path("vm.sock");
    // The switch is there first and has to come back to a socket that does not exist yet.
    let switch = Switch::start(&lab, &setup(&host, &socket, "client"));
    let guest = Guest::start(&lab, "g1", &socket, true);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    frames_up_to_9000_bytes(&host);
    guest.end();
    switch.end(&not_ready());
}

/// A guest that is killed takes nothing of the switch with it.
#[test]
fn a_guest_that_is_killed() {
    let mut lab = Lab::new();
    let (host, other) = (lab.host_with(1, 9000, false), lab.host(2));
    let socket = lab.path("vm.sock");
    let setup =
        setup(&host, &socket, "server").port("p3", &format!("type=af_packet iface={} number=3", other.iface));
    let switch = Switch::start(&lab, &setup);
    let guest = Guest::start(&lab, "g1", &socket, false);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    drop(guest);
    switch.flows(&["in_port=1,actions=output:3", "in_port=3,actions=output:1"]);
    host.pings(other.ip, 50, 1472);
    switch.end(&not_ready());
}
