//! vhost-user: checksums that a guest leaves to the switch (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
//!
//! Frames are injected with a wrong TCP or UDP checksum, over which the first guest writes the sum of the pseudo header
//! when it sends them back. So a right one can only come from whoever completed it. The flows send each frame on three
//! times, as it is, with its destination rewritten, and tagged besides, to a capture file, whose device completes
//! nothing, and to a second guest, which mirrors what it gets into another file. That file shows whether a checksum was
//! still open in the guest.

use std::time::Duration;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};

use crate::lab::{Drops, Guest, Lab, SOON, Setup, Switch, read_pcap, tagged, wait_for, write_pcap};

/// UDP destination of frames that only find out whether the guests are there.
const KNOCK: u16 = 7;
/// Destination port of the frames.
const PLAIN: u16 = 2000;
/// The one they are given on the way.
const REWRITTEN: u16 = 3000;
/// The VLAN they are put in.
const VLAN: u16 = 5;

/// Who completes checksums.
struct Offloads {
    /// The port of the first guest has `checksum_offload`.
    from_guest: bool,
    /// The port of the second guest has it.
    to_guest: bool,
    /// The second guest takes checksums that are open.
    guest_takes_open: bool,
}

/// What a frame is made of.
#[derive(Clone, Copy)]
struct Kind {
    ipv6: bool,
    tcp: bool,
    payload: usize,
    /// The UDP checksum comes out as zero, which has to be written as 0xffff.
    zero: bool,
}

/// Every protocol in every size: the least, odd ones, nearly an MTU.
fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for payload in [18, 19, 1001, 1440] {
        for (ipv6, tcp) in [(false, false), (false, true), (true, false), (true, true)] {
            kinds.push(Kind { ipv6, tcp, payload, zero: !tcp && payload == 18 });
        }
    }
    kinds
}

impl Kind {
    /// A frame with right checksums.
    fn frame(self, addresses: [[u8; 6]; 2], rewritten: bool, port: u16) -> Vec<u8> {
        let mut payload: Vec<u8> = (0..self.payload).map(|place| (place * 7) as u8).collect();
        if self.zero {
            // The checksum over two zeros in the place of those two bytes, put there, makes the whole sum 0xffff.
            payload[..2].fill(0);
            let open = self.with_payload(addresses, false, PLAIN, &payload);
            let field = self.l4() + 6;
            payload[..2].copy_from_slice(&open[field..field + 2]);
        }
        self.with_payload(addresses, rewritten, port, &payload)
    }

    /// The rewritten destination address is another; the port is given.
    fn with_payload(self, [to, from]: [[u8; 6]; 2], rewritten: bool, port: u16, payload: &[u8]) -> Vec<u8> {
        let last = if rewritten { 9 } else { 2 };
        let ip = if self.ipv6 {
            let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, last];
            let (source, destination) = (address(1), address(last));
            let header = Ipv6Header { hop_limit: 64, source, destination, ..Default::default() };
            IpHeaders::Ipv6(header, Default::default())
        } else {
            let header = Ipv4Header::new(0, 64, IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, last]);
            IpHeaders::Ipv4(header.expect("a short datagram"), Default::default())
        };
        let builder = PacketBuilder::ethernet2(from, to).ip(ip);
        let mut frame = Vec::new();
        let written = if self.tcp {
            builder.tcp(1000, port, 0x1234_5678, 999).psh().ack(77).write(&mut frame, payload)
        } else {
            builder.udp(1000, port).write(&mut frame, payload)
        };
        written.expect("write to memory");
        frame
    }

    /// Where the L4 header is in a frame without a tag.
    fn l4(self) -> usize {
        14 + if self.ipv6 { 40 } else { 20 }
    }

    /// Where the L4 checksum is in a frame without a tag.
    fn field(self) -> usize {
        self.l4() + if self.tcp { 16 } else { 6 }
    }

    /// The frame with the sum of the pseudo header in the place of its L4 checksum.
    fn open(self, mut frame: Vec<u8>) -> Vec<u8> {
        let addresses = if self.ipv6 { &frame[22..54] } else { &frame[26..34] };
        let words = addresses.as_chunks().0.iter().map(|word| u64::from(u16::from_be_bytes(*word)));
        let protocol = if self.tcp { 6 } else { 17 };
        let mut sum = words.sum::<u64>() + (frame.len() - self.l4()) as u64 + protocol;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        let field = self.field();
        frame[field..field + 2].copy_from_slice(&(sum as u16).to_be_bytes());
        frame
    }

    /// What the flows make of it, with its checksum right or open.
    fn expected(self, open: bool) -> [Vec<u8>; 3] {
        // testpmd's csum engine writes its own address and that of a peer it makes up.
        let addresses = [[2, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0xaa]];
        let (plain, rewritten) =
            (self.frame(addresses, false, PLAIN), self.frame(addresses, true, REWRITTEN));
        let [plain, rewritten] = [plain, rewritten].map(|frame| if open { self.open(frame) } else { frame });
        let tagged = tagged(&rewritten, 0x8100, VLAN);
        [plain, rewritten, tagged]
    }
}

/// Sorted, since only frames of one flow are sure to keep their order.
fn expected(open: bool) -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = kinds().iter().flat_map(|kind| kind.expected(open)).collect();
    frames.sort();
    frames
}

fn assert_frames(file: &str, what: &str, open: bool) {
    let (mut found, expected) = (read_pcap(file), expected(open));
    found.sort();
    for frame in &expected {
        assert!(
            found.contains(frame),
            "{what} lacks a frame of {} bytes: {:02x?}",
            frame.len(),
            &frame[..78]
        );
    }
    assert_eq!(found.len(), expected.len(), "frames of {what}");
}

/// Sends the frames through both guests. The file has right checksums whatever the offloads are; the second guest finds
/// them `open` or right.
fn through_two_guests(offloads: &Offloads, open: bool) {
    let lab = Lab::new();
    let (first, second) = (lab.path("vm1.sock"), lab.path("vm2.sock"));
    let (source, sink, mirrored) = (lab.path("in.pcap"), lab.path("out.pcap"), lab.path("mirrored.pcap"));
    let Offloads { from_guest, to_guest, guest_takes_open } = offloads;
    let mut setup = Setup::new()
        .port("in", "type=null no_rx=true number=1")
        .port("vm1", &format!("type=vhost-user socket={first} number=2 checksum_offload={from_guest}"))
        .port("out", &format!("type=pcap tx_file={sink} number=3"))
        .port("vm2", &format!("type=vhost-user socket={second} number=4 checksum_offload={to_guest}"))
        .port("mirrored", &format!("type=pcap tx_file={mirrored} number=5"))
        .flow("in_port=1,actions=output:2")
        .flow(&format!("priority=40000,in_port=2,udp,tp_dst={KNOCK},actions=output:4"))
        .flow(&format!("priority=40000,in_port=4,udp,tp_dst={KNOCK},actions=output:1"))
        .flow("in_port=4,actions=output:5");
    for (protocol, address) in [
        ("tcp", "mod_nw_dst:10.0.0.9"),
        ("udp", "mod_nw_dst:10.0.0.9"),
        ("tcp6", "set_field:fd00::1209->ipv6_dst"),
        ("udp6", "set_field:fd00::1209->ipv6_dst"),
    ] {
        setup = setup.flow(&format!(
            "in_port=2,{protocol},actions=output:3,output:4,{address},mod_tp_dst:{REWRITTEN},output:3,output:4,\
             mod_vlan_vid:{VLAN},output:3,output:4"
        ));
    }
    let switch = Switch::start(&lab, &setup);
    let sender = Guest::leaves_checksums(&lab, "g1", &first);
    let mirror = Guest::mirror(&lab, "g2", &second, *guest_takes_open);
    switch.wait_for_link("vm1");
    switch.wait_for_link("vm2");
    let addresses = [[2, 0, 0, 0, 0, 0xaa], [2, 0, 0, 0, 0, 1]];
    write_pcap(&source, &[kinds()[0].frame(addresses, false, KNOCK)]);
    wait_for("both guests send back", Duration::from_secs(20), || {
        switch.ok(&["inject", "in", &source]);
        (switch.packets(&format!("in_port=4,udp,tp_dst={KNOCK}")) > 0).then_some(())
    });
    let not_ready = || Drops::none().maybe("tx_queue_full").maybe("link_down");
    switch.settle(&not_ready());

    let wrong = |kind: &Kind| {
        let mut frame = kind.frame(addresses, false, PLAIN);
        let field = kind.field();
        frame[field..field + 2].copy_from_slice(&[0xba, 0xad]);
        frame
    };
    write_pcap(&source, &kinds().iter().map(wrong).collect::<Vec<_>>());
    switch.ok(&["inject", "in", &source]);
    let all = 3 * kinds().len() as u64;
    wait_for("every frame is mirrored", SOON, || {
        let mirrored = switch.packets("in_port=4") - switch.packets(&format!("in_port=4,udp,tp_dst={KNOCK}"));
        (mirrored >= all).then_some(())
    });
    sender.end();
    mirror.end();
    switch.end(&not_ready());
    assert_frames(&sink, "the capture file", false);
    assert_frames(&mirrored, "the second guest", open);
}

/// The checksum stays open from guest to guest, and only the copy for the file is completed. The one case that shows by
/// itself that the first guest leaves checksums open.
#[test]
fn left_open_for_a_guest_that_takes_them() {
    through_two_guests(&Offloads { from_guest: true, to_guest: true, guest_takes_open: true }, true);
}

/// The offload of the second port completes them, since its guest does not.
#[test]
fn completed_by_the_offload_for_a_guest_that_does_not_take_them() {
    through_two_guests(&Offloads { from_guest: true, to_guest: true, guest_takes_open: false }, false);
}

/// The switch completes them for both.
#[test]
fn completed_for_a_guest_behind_a_port_without_offload() {
    through_two_guests(&Offloads { from_guest: true, to_guest: false, guest_takes_open: true }, false);
}

/// The driver completes them on reception, so they come in right and rewrites have to keep them so.
#[test]
fn completed_at_a_port_without_offload() {
    through_two_guests(&Offloads { from_guest: false, to_guest: true, guest_takes_open: true }, false);
}
