//! Random packets for property tests, built byte by byte and apart from the parser.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::checksum::tests::{naive_crc32c, naive_sum};

/// A packet to be built.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub macs: [u8; 12],
    /// TPID and TCI, the outer first.
    pub vlans: Vec<(u16, u16)>,
    pub net: Net,
    pub l4: L4,
    pub payload: Vec<u8>,
    pub padding: Vec<u8>,
    /// Added to every ones' complement checksum, exclusive-ored with CRCs.
    pub wrong: u16,
}

#[derive(Clone, Debug)]
pub(crate) enum Net {
    Arp { kind: u16, op: u16, body: [u8; 20] },
    V4 { tos: u8, ttl: u8, addrs: [u8; 8], options: usize, frag: u16 },
    V6 { flow: u32, hops: u8, addrs: [u8; 32], exts: Extensions },
    Other(u16),
    Llc,
    Snap(u16),
}

/// IPv6 extension headers, in the order that RFC 8200 wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions {
    pub hop_by_hop: Option<u8>,
    pub destination: Option<u8>,
    /// Final destination, with segments left or not.
    pub routing: Option<([u8; 16], bool)>,
    /// Offset in place and flag.
    pub frag: Option<u16>,
    pub ah: Option<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum L4 {
    Tcp { ports: [u8; 4], flags: u16, options: usize },
    Udp { ports: [u8; 4], csum: bool },
    Sctp { ports: [u8; 4] },
    Icmp { kind: u8, code: u8, rest: [u8; 4] },
    Nd { kind: u8, rest: [u8; 4], target: [u8; 16], options: Vec<(u8, [u8; 6])> },
    Igmp { kind: u8, group: [u8; 4] },
    Raw(u8),
}

pub(crate) fn any_spec() -> impl Strategy<Value = Spec> {
    let tpid = prop_oneof![Just(0x8100u16), Just(0x88a8)];
    let vlans = vec((tpid, any::<u16>()), 0..3);
    let wrong = prop_oneof![3 => Just(0u16), 1 => any::<u16>()];
    let rest = (vec(any::<u8>(), 0..80), vec(any::<u8>(), 0..20), wrong);
    (any::<[u8; 12]>(), vlans, any_net(), any_l4(), rest).prop_map(
        |(macs, vlans, net, l4, (payload, padding, wrong))| Spec {
            macs,
            vlans,
            net,
            l4,
            payload,
            padding,
            wrong,
        },
    )
}

fn any_net() -> impl Strategy<Value = Net> {
    let arp =
        (prop_oneof![Just(0x0806u16), Just(0x8035)], prop_oneof![0..3u16, any::<u16>()], any::<[u8; 20]>());
    let v4_frag = prop_oneof![6 => Just(0u16), 1 => Just(0x4000), 1 => Just(0x2000), 1 => 1..0x4000u16];
    let v4 = (any::<u8>(), any::<u8>(), any::<[u8; 8]>(), 0..11usize, v4_frag);
    let v6 = (any::<u32>(), any::<u8>(), any::<[u8; 32]>(), any_extensions());
    let other = (0x0600..0xffffu16).prop_filter("a type that is not parsed", |kind| {
        ![0x0800, 0x0806, 0x8035, 0x86dd, 0x8100, 0x88a8].contains(kind)
    });
    prop_oneof![
        1 => arp.prop_map(|(kind, op, body)| Net::Arp { kind, op, body }),
        4 => v4.prop_map(|(tos, ttl, addrs, options, frag)| Net::V4 { tos, ttl, addrs, options, frag }),
        4 => v6.prop_map(|(flow, hops, addrs, exts)| Net::V6 { flow, hops, addrs, exts }),
        1 => other.clone().prop_map(Net::Other),
        1 => Just(Net::Llc),
        1 => other.prop_map(Net::Snap),
    ]
}

fn any_extensions() -> impl Strategy<Value = Extensions> {
    let frag = prop_oneof![Just(0u16), Just(1), any::<u16>().prop_map(|frag| frag & 0xfff9)];
    let routing = (any::<[u8; 16]>(), any::<bool>());
    let some = (of(0..3u8), of(0..3u8), of(routing), of(frag), of(0..3u8)).prop_map(
        |(hop_by_hop, destination, routing, frag, ah)| Extensions {
            hop_by_hop,
            destination,
            routing,
            frag,
            ah: ah.map(|units| units * 2),
        },
    );
    prop_oneof![Just(Extensions::default()), some]
}

fn any_l4() -> impl Strategy<Value = L4> {
    let ports = any::<[u8; 4]>;
    let nd_options = prop_oneof![
        Just(vec![]),
        any::<[u8; 6]>().prop_map(|mac| vec![(1, mac)]),
        any::<[u8; 6]>().prop_map(|mac| vec![(2, mac)]),
        any::<([u8; 6], [u8; 6])>().prop_map(|(a, b)| vec![(14, a), (2, b), (1, a)]),
    ];
    let nd = (135..137u8, ports(), any::<[u8; 16]>(), nd_options);
    prop_oneof![
        (ports(), 0..0x1000u16, 0..11usize).prop_map(|(ports, flags, options)| L4::Tcp {
            ports,
            flags,
            options
        }),
        (ports(), any::<bool>()).prop_map(|(ports, csum)| L4::Udp { ports, csum }),
        ports().prop_map(|ports| L4::Sctp { ports }),
        (0..130u8, 0..3u8, ports()).prop_map(|(kind, code, rest)| L4::Icmp { kind, code, rest }),
        nd.prop_map(|(kind, rest, target, options)| L4::Nd { kind, rest, target, options }),
        (any::<u8>(), ports()).prop_map(|(kind, group)| L4::Igmp { kind, group }),
        prop_oneof![Just(47u8), Just(50), Just(89)].prop_map(L4::Raw),
    ]
}

impl Spec {
    /// The final destination of an IPv6 packet that is routed by its sender.
    pub(crate) fn final_destination(&self) -> Option<[u8; 16]> {
        match &self.net {
            Net::V6 { exts: Extensions { routing: Some((last, true)), .. }, .. } => Some(*last),
            _ => None,
        }
    }

    /// The bytes.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = self.macs.to_vec();
        for (tpid, tci) in &self.vlans {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        match &self.net {
            Net::Arp { kind, op, body } => {
                frame.extend(kind.to_be_bytes());
                frame.extend([0, 1, 8, 0, 6, 4]);
                frame.extend(op.to_be_bytes());
                frame.extend(body);
            }
            Net::Other(kind) => {
                frame.extend(kind.to_be_bytes());
                frame.extend(&self.payload);
            }
            Net::Llc => frame.extend([0, 3, 0x42, 0x42, 3]),
            Net::Snap(kind) => {
                frame.extend([0, 8, 0xaa, 0xaa, 3, 0, 0, 0]);
                frame.extend(kind.to_be_bytes());
                frame.extend(&self.payload);
            }
            Net::V4 { tos, ttl, addrs, options, frag } => {
                let (proto, l4) = self.l4_bytes(addrs, false);
                let words = 5 + options;
                let mut header = vec![0x40 | words as u8, *tos];
                header.extend(((words * 4 + l4.len()) as u16).to_be_bytes());
                header.extend([0x12, 0x34]);
                header.extend(frag.to_be_bytes());
                header.extend([*ttl, proto, 0, 0]);
                header.extend(addrs);
                header.resize(words * 4, 1);
                let csum = self.csum(&header);
                header[10..12].copy_from_slice(&csum.to_be_bytes());
                frame.extend(0x0800u16.to_be_bytes());
                frame.extend(header);
                frame.extend(l4);
            }
            Net::V6 { flow, hops, addrs, exts } => {
                let mut covered = *addrs;
                if let Some(last) = self.final_destination() {
                    covered[16..].copy_from_slice(&last);
                }
                let (proto, l4) = self.l4_bytes(&covered, true);
                let (next, exts) = exts.bytes(proto);
                frame.extend(0x86ddu16.to_be_bytes());
                frame.extend((6 << 28 | flow >> 4).to_be_bytes());
                frame.extend(((exts.len() + l4.len()) as u16).to_be_bytes());
                frame.extend([next, *hops]);
                frame.extend(addrs);
                frame.extend(exts);
                frame.extend(l4);
            }
        }
        frame.extend(&self.padding);
        frame
    }

    fn csum(&self, bytes: &[u8]) -> u16 {
        ((u32::from(!naive_sum(bytes)) + u32::from(self.wrong)) % 0xffff) as u16
    }

    /// Protocol and datagram.
    fn l4_bytes(&self, addrs: &[u8], v6: bool) -> (u8, Vec<u8>) {
        let (proto, mut bytes, csum_at, pseudo) = match &self.l4 {
            L4::Tcp { ports, flags, options } => {
                let mut tcp = ports.to_vec();
                tcp.extend([1, 2, 3, 4, 5, 6, 7, 8]);
                tcp.extend(((5 + options) << 12 | usize::from(*flags)).to_be_bytes()[6..].iter());
                tcp.extend([0xff, 0, 0, 0, 0, 0]);
                tcp.resize(20 + options * 4, 1);
                (6, tcp, Some(16), true)
            }
            L4::Udp { ports, csum } => {
                let mut udp = ports.to_vec();
                udp.extend((8 + self.payload.len() as u16).to_be_bytes());
                udp.extend([0, 0]);
                (17, udp, csum.then_some(6), true)
            }
            L4::Sctp { ports } => {
                let mut sctp = ports.to_vec();
                sctp.extend([9, 9, 9, 9, 0, 0, 0, 0]);
                (132, sctp, Some(8), false)
            }
            L4::Icmp { kind, code, rest } => {
                let mut icmp = vec![*kind, *code, 0, 0];
                icmp.extend(rest);
                (if v6 { 58 } else { 1 }, icmp, Some(2), v6)
            }
            L4::Nd { kind, rest, target, options } => {
                let mut nd = vec![*kind, 0, 0, 0];
                nd.extend(rest);
                nd.extend(target);
                for (kind, mac) in options {
                    nd.extend([*kind, 1]);
                    nd.extend(mac);
                }
                (if v6 { 58 } else { 1 }, nd, Some(2), v6)
            }
            L4::Igmp { kind, group } => {
                let mut igmp = vec![*kind, 0, 0, 0];
                igmp.extend(group);
                (2, igmp, Some(2), false)
            }
            L4::Raw(proto) => (*proto, vec![], None, false),
        };
        // What follows neighbour discovery would be read as options.
        if !matches!(self.l4, L4::Nd { .. }) {
            bytes.extend(&self.payload);
        }
        let Some(at) = csum_at else { return (proto, bytes) };
        if proto == 132 {
            let crc = naive_crc32c(&bytes) ^ u32::from(self.wrong);
            bytes[8..12].copy_from_slice(&crc.to_le_bytes());
            return (proto, bytes);
        }
        let mut covered = if pseudo { pseudo_header(addrs, proto, bytes.len()) } else { vec![] };
        covered.extend(&bytes);
        let csum = match self.csum(&covered) {
            0 if proto == 17 => 0xffff,
            csum => csum,
        };
        bytes[at..at + 2].copy_from_slice(&csum.to_be_bytes());
        (proto, bytes)
    }
}

/// The pseudo header of either IP version.
pub(crate) fn pseudo_header(addrs: &[u8], proto: u8, len: usize) -> Vec<u8> {
    let mut bytes = addrs.to_vec();
    bytes.extend((len as u32).to_be_bytes());
    bytes.extend([0, 0, 0, proto]);
    bytes
}

impl Extensions {
    /// Type of the first, and the bytes.
    fn bytes(&self, proto: u8) -> (u8, Vec<u8>) {
        let plain = |units: u8| {
            let mut bytes = vec![0, units, 1, 4];
            bytes.resize(8 + usize::from(units) * 8, 0);
            bytes
        };
        let mut list: Vec<(u8, Vec<u8>)> = Vec::new();
        list.extend(self.hop_by_hop.map(|units| (0, plain(units))));
        list.extend(self.destination.map(|units| (60, plain(units))));
        list.extend(self.routing.map(|(last, left)| {
            let mut bytes = vec![0, 2, 0, u8::from(left), 0, 0, 0, 0];
            bytes.extend(last);
            (43, bytes)
        }));
        list.extend(self.frag.map(|frag| {
            let mut bytes = vec![0, 0];
            bytes.extend(frag.to_be_bytes());
            bytes.extend([1, 2, 3, 4]);
            (44, bytes)
        }));
        list.extend(self.ah.map(|units| {
            let mut bytes = vec![0, 2 + units];
            bytes.resize((4 + usize::from(units)) * 4, 7);
            (51, bytes)
        }));
        let mut next = proto;
        let mut out = Vec::new();
        for (kind, mut bytes) in list.into_iter().rev() {
            bytes[0] = next;
            next = kind;
            bytes.extend(out);
            out = bytes;
        }
        (next, out)
    }
}
