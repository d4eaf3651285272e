//! Packets of real chassis: taken out of the tunnel and put into it again, they are the same.

use std::fs::File;
use std::path::PathBuf;

use pcap_file::pcap::PcapReader;

use super::*;
use crate::packet::DropReason;
use crate::tunnel::bfd;

/// From tests/data/ovn.
const CAPTURES: &[(&str, &[&str])] = &[
    ("s1-l2/chassis/hv1", &["tx"]),
    ("s1-l2/chassis/hv2", &["rx"]),
    ("s2-l3/chassis/hv1", &["tx"]),
    ("s2-l3/chassis/hv2", &["rx"]),
    ("s3-rich/chassis/hv1", &["rx", "tx"]),
    ("s3-rich/chassis/hv2", &["rx", "tx"]),
    ("s3-rich/chassis/gw1", &["rx", "tx"]),
    ("s3-rich/chassis/gw2", &["rx", "tx"]),
];

fn captured() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn");
    let mut frames = Vec::new();
    for (chassis, directions) in CAPTURES {
        for direction in *directions {
            let path = folder.join(format!("{chassis}/br-phys_n1-{direction}.pcap"));
            let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
            while let Some(packet) = reader.next_packet() {
                frames.push(packet.unwrap().data.into_owned());
            }
        }
    }
    frames
}

/// The endpoint that a frame is for, and the one that it is from.
fn ends(frame: &[u8], checksum: bool) -> (Endpoint, Endpoint) {
    let end = |mac: &[u8], ip: &[u8]| {
        let ip = IpAddr::from(<[u8; 4]>::try_from(ip).unwrap());
        Endpoint::new(Mac(mac.try_into().unwrap()), None, &[(ip, 24)], 1500, checksum).unwrap()
    };
    (end(&frame[..6], &frame[30..34]), end(&frame[6..12], &frame[26..30]))
}

fn is_geneve(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == [0x17, 0xc1]
}

/// The fields that may differ, as zeros.
fn without(frame: &[u8], ranges: &[std::ops::Range<usize>]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for range in ranges {
        frame[range.clone()].fill(0);
    }
    frame
}

/// Out of the tunnel and into it again.
fn again(frame: &[u8]) -> (Received, Vec<u8>) {
    let has_checksum = frame[40..42] != [0, 0];
    let (receiver, sender) = ends(frame, has_checksum);
    let Arrival::Tunnel(received) = receiver.classify(frame) else {
        panic!("{:?}", receiver.classify(frame));
    };
    let remote = Remote::new(&sender, received.dst, received.dst, Some(receiver.mac)).unwrap();
    let Received { vni, option, ttl, tos, .. } = received;
    let inner = &frame[usize::from(received.inner)..usize::from(received.end)];
    (received, encapsulated(&remote, inner, &TunnelOut { dst: received.dst, vni, option, ttl, tos }))
}

const PORT: std::ops::Range<usize> = 34..36;
const UDP_CHECKSUM: std::ops::Range<usize> = 40..42;

#[test]
fn packets_of_real_chassis_are_made_again() {
    let frames: Vec<_> = captured().into_iter().filter(|frame| is_geneve(frame)).collect();
    let (mut controls, mut options) = (0, 0);
    for frame in &frames {
        let (received, made) = again(frame);
        assert_eq!(without(&made, &[PORT, UDP_CHECKSUM]), without(frame, &[PORT, UDP_CHECKSUM]));
        assert_eq!(made[UDP_CHECKSUM] == [0, 0], frame[UDP_CHECKSUM] == [0, 0]);
        assert!(made[34] >= 0x80);
        // What was made is taken out again, its checksum verified.
        let (receiver, _) = ends(frame, true);
        assert_eq!(receiver.classify(&made), Arrival::Tunnel(received));
        let inner = &frame[usize::from(received.inner)..usize::from(received.end)];
        let is_bfd = inner[..6] == bfd::wire::DST_MAC.0;
        assert_eq!((received.vni == 0, received.has_option), (is_bfd, !is_bfd));
        if let Some(control) = bfd::control(inner) {
            controls += 1;
            let port = u16::from_be_bytes([inner[34], inner[35]]);
            let src = Mac(inner[6..12].try_into().unwrap());
            assert_eq!(bfd::frame(src, port, &control), *inner);
            assert_eq!(bfd::wire::Control::read(&control).unwrap().bytes(), control);
        } else {
            assert!(!is_bfd);
            options += 1;
        }
    }
    assert!(controls > 200 && options >= 18, "{controls} {options}");
}

/// As tcpdump showed them in the story of two workers: the outer identification is the kernel's, and the UDP checksum was
/// left to the device.
const REQUEST: &str = "
    5254 00ac 675b 5254 0013 e0a2 0800 4500 008e f9b0 4000 4011 5a94 c0a8 3264 c0a8
    3265 1d7d 17c1 007a e6a5 0240 6558 0000 0100 0102 8001 0001 0002 4044 0000 0002
    4044 0000 0001 0800 4500 0054 a3f0 4000 4001 1551 c0a8 000b c0a8 000c 0800 c67b
    04e3 1af1 94d9 6e5c 0000 0000 41a7 0e00 0000 0000 1011 1213 1415 1617 1819 1a1b
    1c1d 1e1f 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f 3031 3233 3435 3637";
const REPLY: &str = "
    5254 0013 e0a2 5254 00ac 675b 0800 4500 008e b465 4000 4011 9fdf c0a8 3265 c0a8
    3264 25d3 17c1 007a e6a5 0240 6558 0000 0100 0102 8001 0002 0001 4044 0000 0001
    4044 0000 0002 0800 4500 0054 4026 0000 4001 b91b c0a8 000c c0a8 000b 0000 ce7b
    04e3 1af1 94d9 6e5c 0000 0000 41a7 0e00 0000 0000 1011 1213 1415 1617 1819 1a1b
    1c1d 1e1f 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f 3031 3233 3435 3637";

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_packets_of_the_two_workers() {
    const ID: std::ops::Range<usize> = 18..20;
    const IP_CHECKSUM: std::ops::Range<usize> = 24..26;
    // What tcpdump said that the checksum should be.
    for (text, option, checksum) in [(REQUEST, 0x0001_0002, 0x7177u16), (REPLY, 0x0002_0001, 0x6921)] {
        let mut frame = unhex(text);
        let (receiver, _) = ends(&frame, true);
        assert_eq!(receiver.classify(&frame), Arrival::Refused(DropReason::TunnelBadChecksum));
        frame[UDP_CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        let (received, made) = again(&frame);
        assert_eq!((received.vni, received.option, received.ttl, received.tos), (1, option, 64, 0));
        let differing = [PORT, UDP_CHECKSUM, ID, IP_CHECKSUM];
        assert_eq!(without(&made, &differing), without(&frame, &differing));
        // With the same port the checksum is the one that tcpdump wanted.
        let mut made = made;
        made[PORT].copy_from_slice(&frame[PORT]);
        made[UDP_CHECKSUM].fill(0);
        let pseudo = [&made[26..34], &[0, 17], &made[38..40]].concat();
        assert_eq!(!oracle::sum(&[&pseudo, &made[34..]]), checksum);
    }
}

/// Of these only the fields were printed: across the router, and the datapath actions of a cloud.
#[test]
fn fields_that_were_printed() {
    for (vni, option, to) in [
        (8, 0x0002_0001u32, "192.168.50.101"),
        (7, 0x0002_0001, "192.168.50.100"),
        (5, 0x0002_0003, "192.168.122.207"),
        (5, 0x0003_0002, "192.168.122.15"),
    ] {
        let remote = Remote::new(&peer(None), v6(to), v6(to), Some(OWN)).unwrap();
        let made = encapsulated(&remote, &inner(0, 56), &out(vni, option));
        // tos 0, DF, ttl 64; checksum, critical, transparent Ethernet, and the one option of 8 bytes.
        assert_eq!(made.len(), inner(0, 56).len() + 58);
        assert_eq!((made[15], &made[20..22], made[22]), (0, &[0x40, 0][..], 64));
        assert_eq!(made[30..34], v6(to).octets()[12..]);
        assert_ne!(made[40..42], [0, 0]);
        assert_eq!(made[42..50], [&[0x02, 0x40, 0x65, 0x58, 0, 0, vni as u8, 0][..]].concat());
        assert_eq!(made[50..58], [&[1, 2, 0x80, 1][..], &option.to_be_bytes()].concat());
    }
}
