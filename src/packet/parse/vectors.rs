//! The frames of tests/data/packets.txt, against what Open vSwitch reads in them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::packet::{Field, Mac};

const VECTORS: &str = include_str!("../../../tests/data/packets.txt");

/// A flow as `ovs-ofctl parse-pcap` prints it.
fn flow(text: &str) -> FlowKey {
    let mut key = FlowKey::default();
    for token in text.split(',') {
        let Some((name, value)) = token.split_once('=') else {
            let (kind, proto) = match token {
                "ip" => (0x0800, 0),
                "tcp" => (0x0800, 6),
                "udp" => (0x0800, 17),
                "sctp" => (0x0800, 132),
                "icmp" => (0x0800, 1),
                "ipv6" => (0x86dd, 0),
                "tcp6" => (0x86dd, 6),
                "udp6" => (0x86dd, 17),
                "sctp6" => (0x86dd, 132),
                "icmp6" => (0x86dd, 58),
                "arp" => (0x0806, 0),
                "rarp" => (0x8035, 0),
                other => panic!("{other}"),
            };
            key.set(Field::EthType, kind);
            key.set(Field::NwProto, proto);
            continue;
        };
        let number = || match value.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16).unwrap(),
            None => value.parse().unwrap(),
        };
        let (field, value) = match name {
            "in_port" | "vlan_tci1" => continue,
            "dl_vlan" => (Field::VlanTci, number() | 0x1000),
            "dl_vlan1" => (Field::InnerVlanTci, number() | 0x1000),
            "dl_vlan_pcp1" => (Field::InnerVlanTci, key.get(Field::InnerVlanTci) | number() << 13),
            "nw_ecn" => (Field::NwTos, key.get(Field::NwTos) | number()),
            "tp_src" | "icmp_type" => (Field::TcpSrc, number()),
            "tp_dst" | "icmp_code" => (Field::TcpDst, number()),
            "nw_frag" => {
                let frag = ["no", "first", "", "later"].iter().position(|name| *name == value).unwrap();
                (Field::IpFrag, frag as u128)
            }
            "tcp_flags" => {
                let names =
                    ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
                let bit = |flag| names.iter().position(|name| *name == flag).map_or(0, |bit| 1 << bit);
                (Field::TcpFlags, value.split('|').map(bit).sum())
            }
            "dl_src" | "dl_dst" | "arp_sha" | "arp_tha" | "nd_sll" | "nd_tll" => {
                (Field::by_name(name).unwrap(), value.parse::<Mac>().unwrap().to_u64().into())
            }
            "nw_src" | "nw_dst" | "arp_spa" | "arp_tpa" => {
                (Field::by_name(name).unwrap(), value.parse::<Ipv4Addr>().unwrap().to_bits().into())
            }
            "ipv6_src" | "ipv6_dst" | "nd_target" => {
                (Field::by_name(name).unwrap(), value.parse::<Ipv6Addr>().unwrap().to_bits())
            }
            _ => (Field::by_name(name).unwrap(), number()),
        };
        key.set(field, value);
    }
    key
}

#[test]
fn agrees_with_open_vswitch() {
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let [name, hex, text] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
        let parsed = parse(&frame, &mut meta, &mut key);
        let is_bad = ["_cut", "_too_", "_twice", "_not_"].iter().any(|bad| name.contains(bad));
        assert_eq!(parsed.stop.is_some(), is_bad, "{name}: {parsed:?}");
        // Not printed there.
        for field in [Field::VlanTpid, Field::InnerVlanTpid, Field::NdReserved, Field::NdOptionsType] {
            key.set(field, 0);
        }
        assert_eq!(key, flow(text), "{name}");
        count += 1;
    }
    assert!(count > 50);
}
