mod askers;
mod endpoint;
mod leaving;
mod local;
mod oracle;
mod random;
mod vectors;

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::packet::parse::parse;
use crate::packet::{FlowKey, HeapPacket, Mac, Packet, PacketMeta};

pub const OWN: Mac = Mac([0x02, 0, 0, 0, 0, 0x0b]);
pub const PEER: Mac = Mac([0x02, 0, 0, 0, 0, 0x0c]);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// In the form of tunnels.
pub fn v6(text: &str) -> Ipv6Addr {
    match ip(text) {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// With addresses of both families.
pub fn endpoint(vlan: Option<u16>) -> Endpoint {
    let addresses = [(ip("192.168.50.11"), 24), (ip("10.9.0.1"), 30), (ip("fd00:50::11"), 64)];
    Endpoint::new(OWN, vlan, &addresses, 1500, true).unwrap()
}

/// The endpoint of the other end.
pub fn peer(vlan: Option<u16>) -> Endpoint {
    let addresses = [(ip("192.168.50.12"), 24), (ip("fd00:50::12"), 64)];
    Endpoint::new(PEER, vlan, &addresses, 1500, true).unwrap()
}

/// A packet with what the parser says of it.
pub fn parsed(frame: &[u8]) -> (HeapPacket, PacketMeta) {
    let mut meta = PacketMeta::default();
    let _ = parse(frame, &mut meta, &mut FlowKey::default());
    (HeapPacket::new(frame), meta)
}

/// The frame with outer headers.
pub fn encapsulated(remote: &Remote, frame: &[u8], out: &TunnelOut) -> Vec<u8> {
    let (mut packet, meta) = parsed(frame);
    remote.encapsulate(&mut packet, &meta, out).unwrap();
    packet.data().to_vec()
}

/// From the peer to the endpoint: over IPv4 or IPv6.
pub fn to_us(vlan: Option<u16>, is_ipv6: bool) -> Remote {
    let to = v6(if is_ipv6 { "fd00:50::11" } else { "192.168.50.11" });
    Remote::new(&peer(vlan), to, to, Some(OWN)).unwrap()
}

pub fn out(vni: u32, option: u32) -> TunnelOut {
    TunnelOut { dst: Ipv6Addr::UNSPECIFIED, vni, option, ttl: 0, tos: 0 }
}

/// An Ethernet frame with a UDP datagram over IPv4, and this type of service.
pub fn inner(tos: u8, payload: usize) -> Vec<u8> {
    let mut frame = vec![0x40, 0x44, 0, 0, 0, 2, 0x40, 0x44, 0, 0, 0, 1, 8, 0];
    let mut ip = vec![0x45, tos, 0, 0, 0x12, 0x34, 0, 0, 63, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[2..4].copy_from_slice(&(28 + payload as u16).to_be_bytes());
    let sum = !oracle::sum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0x30, 0x39, 0, 53]);
    frame.extend((8 + payload as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..payload).map(|n| n as u8));
    frame
}
