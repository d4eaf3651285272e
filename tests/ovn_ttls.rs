//! TTLs do not multiply megaflows: through two routers every TTL that reaches the end goes by one megaflow, and those that
//! expire have theirs.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use etherparse::PacketBuilder;
use ovn::{Chassis, read};

/// Flows of both families in both directions.
const FLOWS: usize = 4;
const MACS: [[u8; 6]; 2] = [[0x40, 0x44, 0, 0, 0, 1], [0x40, 0x44, 0, 0, 0, 2]];
const ROUTERS: [[u8; 6]; 2] = [[0x40, 0x44, 0, 0, 0, 3], [0x40, 0x44, 0, 0, 0, 4]];

/// Where the TTL stands in a frame of IPv6, or of IPv4.
fn ttl_at(v6: bool) -> usize {
    if v6 { 21 } else { 22 }
}

/// A datagram of a flow; the port that it comes in by, and whether it is of IPv6.
fn packet(flow: usize, ttl: u8) -> (&'static str, bool, Vec<u8>) {
    let (from, v6) = (flow % 2, flow >= 2);
    let eth = PacketBuilder::ethernet2(MACS[from], ROUTERS[from]);
    let v4 = |of: usize| [192, 168, of as u8, 11];
    let long = |of: usize| [0xfd, 0, 0, 1 + of as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11];
    let ip = match v6 {
        true => eth.ipv6(long(from), long(1 - from), ttl),
        false => eth.ipv4(v4(from), v4(1 - from), ttl),
    };
    let mut frame = Vec::new();
    ip.udp(4000, 5000).write(&mut frame, b"how far will it get?").unwrap();
    (["vm1", "vm2"][from], v6, frame)
}

/// Sends every flow with a TTL that reaches the other end.
fn through(switch: &mut Chassis, ttl: u8) {
    for flow in 0..FLOWS {
        let (from, v6, frame) = packet(flow, ttl);
        let out = switch.inject(from, &frame);
        let to = if from == "vm1" { "vm2" } else { "vm1" };
        assert_eq!(out.len(), 1, "{from}, TTL {ttl}: {out:x?}");
        assert_eq!((out[0].0.as_str(), out[0].1[ttl_at(v6)]), (to, ttl - 2), "{from}, TTL {ttl}");
    }
}

fn megaflows(switch: &mut Chassis) -> usize {
    switch.ask("megaflow/dump", &[]).lines().filter(|line| line.contains("actions=")).count()
}

#[test]
fn sixty_ttls_take_the_megaflows_of_one() {
    let mut switch = Chassis::start("hv1", &[("vm1", 1), ("vm2", 2)], &read("s5-routers/sb-dump.json"));
    through(&mut switch, 64);
    let of_one = megaflows(&mut switch);
    assert_eq!(of_one, FLOWS, "{}", switch.ask("megaflow/dump", &[]));
    for ttl in 3..=62 {
        through(&mut switch, ttl);
    }
    assert_eq!(megaflows(&mut switch), of_one, "{}", switch.ask("megaflow/dump", &[]));

    // Those that expire are answered: 0 and 1 by the first router, 2 by the second, for IPv4 alone, since northd's flows for
    // IPv6 answer only senders on the network between the routers. Packet and answer are a megaflow each.
    for ttl in [0, 1, 2] {
        for flow in 0..FLOWS {
            let (from, v6, frame) = packet(flow, ttl);
            let out = switch.inject(from, &frame);
            if v6 && ttl == 2 {
                assert_eq!(out, [], "{from}");
                continue;
            }
            assert_eq!(out.len(), 1, "{from}, TTL {ttl}: {out:x?}");
            assert_eq!(out[0].0, from, "TTL {ttl}");
            let transport = if v6 { 54 } else { 34 };
            let exceeded = if v6 { 3 } else { 11 };
            assert_eq!(out[0].1[transport], exceeded, "{from}, TTL {ttl}: {out:x?}");
        }
    }
    let with_expired = megaflows(&mut switch);
    println!("{of_one} megaflows for {FLOWS} flows of 61 TTLs, {with_expired} with those that expire");
    assert!(with_expired <= FLOWS * (1 + 3 * 2), "{}", switch.ask("megaflow/dump", &[]));
    for ttl in 3..=255 {
        through(&mut switch, ttl);
    }
    assert_eq!(megaflows(&mut switch), with_expired, "{}", switch.ask("megaflow/dump", &[]));
    switch.stats();
}
