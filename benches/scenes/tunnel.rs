//! Packets that leave by a tunnel, and packets that arrive by one.

use std::hint::black_box;
use std::net::Ipv6Addr;

use millrace::packet::parse::parse;
use millrace::packet::{FlowKey, HeapPacket, Mac, Packet, PacketMeta};
use millrace::tunnel::{Arrival, Endpoint, Remote, TunnelOut};

use super::{BURST, support};

const HERE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THERE: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn endpoint(mac: Mac, last: u8, checksum: bool) -> Endpoint {
    Endpoint::new(mac, None, &[([192, 168, 50, last].into(), 24)], 9000, checksum).unwrap()
}

/// Frames of that length that are put into the tunnel, and taken out by cutting the headers off.
pub struct Leaving {
    remote: Remote,
    packets: Vec<(HeapPacket, PacketMeta)>,
}

impl Leaving {
    pub fn new(checksum: bool, len: usize) -> Self {
        let to: Ipv6Addr = "::ffff:192.168.50.2".parse().unwrap();
        let remote = Remote::new(&endpoint(HERE, 1, checksum), to, to, Some(THERE)).unwrap();
        let packet = |n| {
            let frame = support::numbered(n, 0, len);
            let mut meta = PacketMeta::default();
            let _ = parse(&frame, &mut meta, &mut FlowKey::default());
            (HeapPacket::new(&frame), meta)
        };
        Self { remote, packets: (0..BURST as u16).map(packet).collect() }
    }

    fn out(&self) -> TunnelOut {
        TunnelOut { dst: self.remote.ip, vni: 5, option: 0x1_0002, ttl: 0, tos: 0 }
    }

    pub fn burst(&mut self) {
        let wrapping = black_box(&self.remote).wrapping(&self.out()).unwrap();
        for (packet, meta) in &mut self.packets {
            assert!(black_box(&wrapping).wrap(packet, meta).is_ok());
            assert!(black_box(&mut *packet).pull_front(58));
        }
    }
}

/// The same packets at the other end, without a UDP checksum.
pub struct Arriving {
    endpoint: Endpoint,
    packets: Vec<HeapPacket>,
}

impl Arriving {
    pub fn new(len: usize) -> Self {
        let mut leaving = Leaving::new(false, len);
        let out = leaving.out();
        for (packet, meta) in &mut leaving.packets {
            leaving.remote.encapsulate(packet, meta, &out).unwrap();
        }
        let packets = leaving.packets.into_iter().map(|(packet, _)| packet).collect();
        Self { endpoint: endpoint(THERE, 2, true), packets }
    }

    /// How many were for the endpoint.
    pub fn burst(&self) -> usize {
        let arrived = |packet: &&HeapPacket| {
            matches!(black_box(&self.endpoint).classify(black_box(packet.data())), Arrival::Tunnel(_))
        };
        self.packets.iter().filter(arrived).count()
    }
}
