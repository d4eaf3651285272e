//! VLAN tags pushed and popped, seen by a packet socket and by what answers a ping.

use crate::lab::{Capture, Drops, ETHERTYPE_IPV4, Lab, Setup, Switch, eth, tagged};

/// Addresses, then what follows them.
fn behind_addresses(frame: &[u8]) -> Vec<u16> {
    frame[12..].as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

#[test]
fn push_is_seen_by_a_packet_socket() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    one.knows(two.ip, &two.mac);
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    switch.flows(&["priority=40000,in_port=1,icmp,actions=push_vlan:0x8100,set_field:4196->vlan_vid,\
                    set_field:5->vlan_pcp,output:2"]);
    let capture = Capture::start(&lab, &two, "");
    // Nobody answers: the receiver has no such VLAN.
    one.run(
        &["ping", "-c", "3", "-i", "0.1", "-W", "1", "-s", "1472", &two.ip.to_string()],
        crate::lab::SOON,
    );
    let frames = capture.take(3);
    assert_eq!(frames.len(), 3, "three echo requests and nothing else");
    for frame in &frames {
        assert_eq!(frame.len(), 14 + 4 + 20 + 8 + 1472, "length of the tagged frame");
        // Priority 5, VLAN 100, then IPv4 as before.
        assert_eq!(behind_addresses(frame)[..3], [0x8100, 5 << 13 | 100, ETHERTYPE_IPV4], "{frame:02x?}");
        assert_eq!(frame[18], 0x45, "the IPv4 header follows the tag: {frame:02x?}");
    }
    switch.end(&Drops::none());
}

#[test]
fn a_second_tag_goes_outside_the_first() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    switch.flows(&[
        "priority=40000,in_port=1,dl_vlan=7,actions=push_vlan:0x88a8,set_field:4105->vlan_vid,output:2",
        "priority=40001,in_port=1,dl_vlan=8,actions=pop_vlan,output:2",
    ]);
    let capture = Capture::start(&lab, &two, "");
    let plain = eth(ETHERTYPE_IPV4, &[0x5a; 50]);
    for vlan in [7, 8] {
        let hex: String = tagged(&plain, 0x8100, vlan).iter().map(|byte| format!("{byte:02x}")).collect();
        switch.ok(&["inject", "p1", &hex]);
    }
    let frames = capture.take(2);
    let expected = [tagged(&tagged(&plain, 0x8100, 7), 0x88a8, 9), plain];
    assert_eq!(frames, expected);
    switch.end(&Drops::none());
}

/// Ports 3 and 4 are two ends of a wire: what goes in pushes, what comes out pops.
#[test]
fn ping_through_push_then_pop_over_two_hops() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let (near, far) = lab.wire();
    let switch = Switch::start(
        &lab,
        &Setup::new()
            .port("p1", &format!("type=af_packet iface={} number=1", one.iface))
            .port("p2", &format!("type=af_packet iface={} number=2", two.iface))
            .port("p3", &format!("type=af_packet iface={near} number=3"))
            .port("p4", &format!("type=af_packet iface={far} number=4"))
            .flow("in_port=1,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:3")
            .flow("in_port=4,dl_vlan=100,actions=strip_vlan,output:2")
            .flow("in_port=2,actions=mod_vlan_vid:200,output:4")
            .flow("in_port=3,dl_vlan=200,actions=pop_vlan,output:1"),
    );
    one.pings(two.ip, 30, 56);
    two.pings(one.ip, 30, 1472);
    for (flow, there) in
        [("in_port=4,dl_vlan=100", "pushed by set_field"), ("in_port=3,dl_vlan=200", "by mod_vlan_vid")]
    {
        assert!(switch.packets(flow) >= 60, "the packets {there} did not meet {flow}");
    }
    switch.end(&Drops::none());
}
