//! Frames made by hand, byte by byte, so that the switch's own ideas of headers are not trusted to test themselves.

use etherparse::PacketBuilder;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;

/// An Ethernet frame between two made-up stations.
pub fn eth(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The frame with a VLAN tag behind its addresses.
pub fn tagged(frame: &[u8], tpid: u16, tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    [addresses, &tpid.to_be_bytes(), &tci.to_be_bytes(), rest].concat()
}

/// An IPv4 UDP datagram with right checksums, from 10.0.0.1:1000 to 10.0.0.2:2000, its payload counting up.
pub fn ipv4_udp(payload: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(payload).collect();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1000, 2000);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, &payload).expect("write to memory");
    frame
}
