//! vhost-user: a guest in another process, `dpdk-testpmd` on virtio-user, that answers ping.

use std::time::Duration;

use etherparse::PacketBuilder;

use crate::lab::{Drops, Guest, Host, Lab, SOON, Setup, Switch, read_pcap, wait_for, write_pcap};

const GUEST_IP: &str = "10.0.0.77";

/// A kernel on port 1, the guest on port 2.
fn setup(host: &Host, socket: &str, mode: &str) -> Setup {
    Setup::new()
        .port("p1", &format!("type=af_packet iface={} number=1", host.iface))
        .port("vm", &format!("type=vhost-user socket={socket} mode={mode} number=2 mtu=9000"))
        .flow("in_port=1,actions=output:2")
        .flow("in_port=2,actions=output:1")
}

/// Until the guest polls its queues a packet has nowhere to go, so the first answer is waited for.
fn wait_for_answer(host: &Host) {
    wait_for("the guest answers", Duration::from_secs(20), || {
        let reply = host.run(&["ping", "-c", "1", "-W", "1", GUEST_IP], SOON);
        (reply.status == Some(0)).then_some(())
    });
}

fn frames_of_many_sizes(host: &Host) {
    for (count, size) in [(50, 0), (50, 56), (20, 777), (50, 1472)] {
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
    let host = lab.host(1);
    let socket = lab.path("vm.sock");
    let switch = Switch::start(&lab, &setup(&host, &socket, "server"));
    let guest = Guest::start(&lab, "g1", &socket, false);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    frames_of_many_sizes(&host);
    // The guest goes and another comes: the port is the same.
    guest.end();
    let guest = Guest::start(&lab, "g2", &socket, false);
    wait_for_answer(&host);
    frames_of_many_sizes(&host);
    guest.end();
    switch.end(&not_ready());
    assert!(!std::path::Path::new(&socket).exists(), "{socket} is left behind");
}

#[test]
fn the_switch_as_client() {
    let mut lab = Lab::new();
    let host = lab.host(1);
    let socket = lab.path("vm.sock");
    // The switch is there first and has to come back to a socket that does not exist yet.
    let switch = Switch::start(&lab, &setup(&host, &socket, "client"));
    let guest = Guest::start(&lab, "g1", &socket, true);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    frames_of_many_sizes(&host);
    guest.end();
    switch.end(&not_ready());
}

/// A guest that is killed takes nothing of the switch with it.
#[test]
fn a_guest_that_is_killed() {
    let mut lab = Lab::new();
    let (host, other) = (lab.host(1), lab.host(2));
    let socket = lab.path("vm.sock");
    let setup = setup(&host, &socket, "server")
        .port("p3", &format!("type=af_packet iface={} number=3", other.iface))
        .flow("priority=40000,in_port=3,actions=output:1");
    let switch = Switch::start(&lab, &setup);
    let guest = Guest::start(&lab, "g1", &socket, false);
    switch.wait_for_link("vm");
    wait_for_answer(&host);
    drop(guest);
    switch.flows(&["priority=40000,in_port=1,actions=output:3"]);
    host.pings(other.ip, 50, 1472);
    switch.end(&not_ready());
}

/// An echo request of so many bytes in all, from a made-up station, and the reply that it has to get.
fn request_and_reply(size: usize, sequence: u16) -> (Vec<u8>, Vec<u8>) {
    let guest = [2, 0, 0, 0, 0, 0xaa];
    let (station, mine, its) = ([2, 0, 0, 0, 0, 1], [10, 0, 0, 1], [10, 0, 0, 77]);
    let payload: Vec<u8> = (0..size - 42).map(|place| (place * 7 + usize::from(sequence)) as u8).collect();
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    PacketBuilder::ethernet2(station, guest)
        .ipv4(mine, its, 64)
        .icmpv4_echo_request(9, sequence)
        .write(&mut request, &payload)
        .expect("write to memory");
    PacketBuilder::ethernet2(guest, station)
        .ipv4(its, mine, 64)
        .icmpv4_echo_reply(9, sequence)
        .write(&mut reply, &payload)
        .expect("write to memory");
    (request, reply)
}

/// Through one queue and back, in order and byte for byte, up to the longest frame of an MTU of 9000.
#[test]
fn frames_up_to_9000_bytes() {
    let lab = Lab::new();
    let (socket, source, sink) = (lab.path("vm.sock"), lab.path("in.pcap"), lab.path("out.pcap"));
    let setup = Setup::new()
        .port("in", "type=null no_rx=true number=1 mtu=9000")
        .port("vm", &format!("type=vhost-user socket={socket} number=2 mtu=9000"))
        .port("out", &format!("type=pcap tx_file={sink} number=3 mtu=9000"))
        .flow("in_port=1,actions=output:2")
        .flow("in_port=2,actions=output:3");
    let switch = Switch::start(&lab, &setup);
    let guest = Guest::start(&lab, "g1", &socket, false);
    switch.wait_for_link("vm");
    // Requests of one kind until the guest answers, then those that count.
    let (knock, _) = request_and_reply(60, 0);
    write_pcap(&source, &[knock]);
    wait_for("the guest answers", Duration::from_secs(20), || {
        switch.ok(&["inject", "in", &source]);
        (switch.packets("in_port=2") > 0).then_some(())
    });
    switch.settle(&not_ready());
    let knocks = switch.packets("in_port=2");

    let sizes = (60..=9014).step_by(199).chain([1514, 2047, 2048, 2049, 4096, 9013, 9014]);
    let (requests, replies): (Vec<_>, Vec<_>) =
        sizes.zip(1..).map(|(size, sequence)| request_and_reply(size, sequence)).unzip();
    write_pcap(&source, &requests);
    switch.ok(&["inject", "in", &source]);
    wait_for("every request is answered", SOON, || {
        (switch.packets("in_port=2") >= knocks + requests.len() as u64).then_some(())
    });
    guest.end();
    switch.end(&not_ready());
    let all = read_pcap(&sink);
    let (_, received) = all.split_at(knocks as usize);
    for (one, other) in received.iter().zip(&replies) {
        assert!(
            one == other,
            "the reply of {} bytes is not as expected, or has {} bytes",
            other.len(),
            one.len()
        );
    }
    assert_eq!(received.len(), replies.len(), "replies");
}
