//! Capture file in, capture file out, compared packet by packet.

use etherparse::PacketBuilder;

use crate::lab::{
    Drops, ETHERTYPE_IPV4, Lab, Setup, Switch, eth, ipv4_udp, read_pcap, tagged, wait_for, write_pcap,
};

/// Frames of every kind that the parser knows, of many lengths, and some that it has to give up on.
fn every_kind() -> Vec<Vec<u8>> {
    let ethernet = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let v6 = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let mut frames: Vec<Vec<u8>> = (0..1473).step_by(23).map(ipv4_udp).collect();
    let mut write = |size: usize, make: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::with_capacity(size);
        make(&mut frame);
        frames.push(frame);
    };
    for size in [0, 1, 18, 500] {
        let payload = vec![0xa5; size];
        write(size, &|out| {
            let tcp = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1, 2, 3, 4).syn();
            tcp.write(out, &payload).expect("write");
        });
        write(size, &|out| {
            let udp = ethernet().ipv6(v6(1), v6(2), 64).udp(1000, 2000);
            udp.write(out, &payload).expect("write");
        });
        write(size, &|out| {
            let ping = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 1).icmpv4_echo_request(1, 2);
            ping.write(out, &payload).expect("write");
        });
        write(size, &|out| {
            let ping = ethernet().ipv6(v6(1), v6(2), 255).icmpv6_echo_request(1, 2);
            ping.write(out, &payload).expect("write");
        });
    }
    // Without a checksum, which has to stay so.
    let mut bare = ipv4_udp(30);
    bare[40..42].fill(0);
    frames.push(bare);
    // Cut off in every header: parsed as far as it goes, and forwarded.
    let whole = ipv4_udp(10);
    frames.extend([14, 15, 20, 33, 34, 37, 41, 42, 45].map(|length| whole[..length].to_vec()));
    // A version, a length of the header and a total length that are lies.
    for (place, lie) in [(14, 0x65), (14, 0x41), (14, 0x4f), (16, 0xff)] {
        let mut liar = ipv4_udp(10);
        liar[place] = lie;
        frames.push(liar);
    }
    frames.push(tagged(&ipv4_udp(64), 0x8100, 5));
    frames.push(tagged(&tagged(&ipv4_udp(64), 0x8100, 5), 0x88a8, 6));
    frames.push(eth(0x0806, &[0; 46]));
    frames.push(eth(0x88b5, &[1; 100]));
    frames.push(eth(0x0026, &[2; 38]));
    frames.push(eth(ETHERTYPE_IPV4, &[]));
    frames
}

/// Sends the frames through a running switch: the flow is there before the file is, so that none meets an empty table.
fn through_files(actions: &str, sent: &[Vec<u8>], drops: &Drops, expected: &[Vec<u8>]) {
    let lab = Lab::new();
    let (source, sink) = (lab.path("in.pcap"), lab.path("out.pcap"));
    write_pcap(&source, sent);
    let switch =
        Switch::start(&lab, &Setup::new().port("out", &format!("type=pcap tx_file={sink} number=2")));
    switch.flows(&[&format!("in_port=1,actions={actions}")]);
    switch.add_port("in", &format!("type=pcap rx_file={source} number=1"));
    wait_for("the file is read", crate::lab::SOON, || {
        (switch.json(&["stats"])["received"] == sent.len()).then_some(())
    });
    switch.end(drops);
    let received = read_pcap(&sink);
    for ((one, other), number) in received.iter().zip(expected).zip(0..) {
        assert_eq!(one, other, "frame {number}");
    }
    assert_eq!(received.len(), expected.len(), "frames that came out");
}

#[test]
fn what_goes_in_comes_out() {
    let frames = every_kind();
    through_files("output:2", &frames, &Drops::none(), &frames);
}

#[test]
fn with_a_tag_on_every_frame() {
    let frames: Vec<Vec<u8>> = (0..1000).step_by(9).map(ipv4_udp).collect();
    let expected: Vec<Vec<u8>> = frames.iter().map(|frame| tagged(frame, 0x8100, 3 << 13 | 100)).collect();
    through_files(
        "push_vlan:0x8100,set_field:4196->vlan_vid,mod_vlan_pcp:3,output:2",
        &frames,
        &Drops::none(),
        &expected,
    );
}

/// A frame of 13 bytes on a port has a name to be dropped under, and those around it go on.
#[test]
fn a_runt_is_dropped_by_name() {
    let frames = [ipv4_udp(10), vec![0xee; 13], ipv4_udp(20)];
    let expected = [frames[0].clone(), frames[2].clone()];
    through_files("output:2", &frames, &Drops::none().exactly("runt", 1), &expected);
}

/// UDP keeps its checksum right through a rewrite, and keeps none where it had none.
#[test]
fn a_rewrite_keeps_a_missing_udp_checksum_missing() {
    let with = ipv4_udp(33);
    let mut without = with.clone();
    without[40..42].fill(0);
    let rewritten = |checksum: bool| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 1], [192, 168, 7, 9], 64)
            .udp(1000, 4444)
            .write(&mut frame, &with[42..])
            .expect("write");
        if !checksum {
            frame[40..42].fill(0);
        }
        frame
    };
    let actions = "mod_nw_dst:192.168.7.9,mod_tp_dst:4444,output:2";
    through_files(actions, &[with.clone(), without], &Drops::none(), &[rewritten(true), rewritten(false)]);
}
