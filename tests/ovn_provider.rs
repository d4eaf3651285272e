//! Provider networks and ports inside a guest, packet by packet: what goes to a port of another chassis leaves by the wire
//! of its network, and a guest's containers meet under their VLANs at one switch port.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use ovn::{Chassis, read};

const PORTS: [(&str, u16); 9] = [
    ("a", 11),
    ("lp", 12),
    ("v1", 13),
    ("t1", 14),
    ("q1", 15),
    ("ln", 3),
    ("vlan-ln", 2),
    ("q-ln", 4),
    ("thru-ln", 5),
];

fn start() -> Chassis {
    Chassis::start("hv1", &PORTS, &read("s5-provider/chassis/sb-dump.json"))
}

/// The Ethernet address of a port: its network and its place there.
fn mac(port: (u8, u8)) -> [u8; 6] {
    [0x50, 0x54, 0, 0, port.0, port.1]
}

/// A UDP packet from a port to the address of another, to an Ethernet address, in a VLAN or none.
fn packet(from: (u8, u8), to: (u8, u8), dst: [u8; 6], tag: Option<(u16, u16)>) -> Vec<u8> {
    let mut frame = [&dst[..], &mac(from)].concat();
    if let Some((ethertype, vid)) = tag {
        frame.extend(ethertype.to_be_bytes());
        frame.extend(vid.to_be_bytes());
    }
    frame.extend([8, 0]);
    let mut ip = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, from.0, 0, from.1, 10, to.0, 0, to.1];
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0, 9, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}

/// The same packet twice, since the second goes by what was cached; what went out where.
fn sent(chassis: &mut Chassis, port: &str, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
    let first = chassis.inject(port, frame);
    assert_eq!(chassis.inject(port, frame), first);
    chassis.stats();
    first
}

fn only(port: &str, frame: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    vec![(port.to_owned(), frame)]
}

const VLAN: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;

#[test]
fn a_port_of_another_chassis_is_reached_by_the_wire() {
    let mut chassis = start();
    // b is bound elsewhere, free nowhere.
    for to in [(5, 2), (5, 3)] {
        let frame = packet((5, 1), to, mac(to), None);
        assert_eq!(sent(&mut chassis, "a", &frame), only("ln", frame.clone()));
    }
    // Under the VLAN of the network, with the ethertype that it has.
    let plain = packet((6, 1), (6, 2), mac((6, 2)), None);
    let tagged = packet((6, 1), (6, 2), mac((6, 2)), Some((VLAN, 100)));
    assert_eq!(sent(&mut chassis, "v1", &plain), only("vlan-ln", tagged));
    let plain = packet((8, 1), (8, 2), [0xff; 6], None);
    let tagged = packet((8, 1), (8, 2), [0xff; 6], Some((SERVICE, 200)));
    assert_eq!(sent(&mut chassis, "q1", &plain), only("q-ln", tagged));
    // And back.
    let plain = packet((6, 2), (6, 1), mac((6, 1)), None);
    let tagged = packet((6, 2), (6, 1), mac((6, 1)), Some((VLAN, 100)));
    assert_eq!(sent(&mut chassis, "vlan-ln", &tagged), only("v1", plain.clone()));
    assert_eq!(sent(&mut chassis, "vlan-ln", &plain), []);
    let other = packet((6, 2), (6, 1), mac((6, 1)), Some((VLAN, 101)));
    assert_eq!(sent(&mut chassis, "vlan-ln", &other), []);
    // What the wire brings for b is not sent back to it.
    let stray = packet((5, 9), (5, 2), mac((5, 2)), None);
    assert_eq!(sent(&mut chassis, "ln", &stray), []);
    // Tags that belong to the ends alone pass as they are.
    let tagged = packet((9, 1), (9, 2), mac((9, 2)), Some((VLAN, 77)));
    assert_eq!(sent(&mut chassis, "t1", &tagged), only("thru-ln", tagged.clone()));
    assert_eq!(sent(&mut chassis, "thru-ln", &tagged), only("t1", tagged));
    // A port of this chassis alone sends nothing there.
    let local = packet((5, 4), (5, 2), mac((5, 2)), None);
    assert_eq!(sent(&mut chassis, "lp", &local), []);
}

#[test]
fn a_flood_reaches_the_wire_once() {
    let mut chassis = start();
    let frame = packet((5, 1), (5, 255), [0xff; 6], None);
    let inside = packet((5, 1), (5, 255), [0xff; 6], Some((VLAN, 5)));
    let mut out = sent(&mut chassis, "a", &frame);
    out.sort();
    // To the port inside as well, whose guest sent it; not to the sender itself.
    let ports: Vec<(&str, &Vec<u8>)> = out.iter().map(|(port, frame)| (&**port, frame)).collect();
    assert_eq!(ports, [("a", &inside), ("ln", &frame), ("lp", &frame)]);
    // What comes from the wire does not go back there.
    let back = packet((5, 9), (5, 255), [0xff; 6], None);
    let inside = packet((5, 9), (5, 255), [0xff; 6], Some((VLAN, 5)));
    let mut out = sent(&mut chassis, "ln", &back);
    out.sort();
    let ports: Vec<(&str, &Vec<u8>)> = out.iter().map(|(port, frame)| (&**port, frame)).collect();
    assert_eq!(ports, [("a", &back), ("a", &inside), ("lp", &back)]);
}

#[test]
fn containers_of_one_guest_meet_at_its_port() {
    let mut chassis = start();
    let come = packet((7, 1), (7, 2), mac((7, 2)), Some((VLAN, 10)));
    let gone = packet((7, 1), (7, 2), mac((7, 2)), Some((VLAN, 20)));
    assert_eq!(sent(&mut chassis, "a", &come), only("a", gone));
    // From a port inside the guest to the guest, and the other way round, in one network.
    let come = packet((5, 5), (5, 1), mac((5, 1)), Some((VLAN, 5)));
    let gone = packet((5, 5), (5, 1), mac((5, 1)), None);
    assert_eq!(sent(&mut chassis, "a", &come), only("a", gone));
    let come = packet((5, 1), (5, 5), mac((5, 5)), None);
    let gone = packet((5, 1), (5, 5), mac((5, 5)), Some((VLAN, 5)));
    assert_eq!(sent(&mut chassis, "a", &come), only("a", gone));
    // By a router and the wire to another chassis.
    let come = packet((7, 2), (5, 2), mac((0, 7)), Some((VLAN, 20)));
    let out = sent(&mut chassis, "a", &come);
    let [(port, frame)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((&**port, &frame[..14]), ("ln", &[&mac((5, 2))[..], &mac((0, 5)), &[8, 0]].concat()[..]));
    assert_eq!(frame[22], 63);
    // A container has port security of its own.
    let forged = packet((7, 2), (7, 2), mac((7, 2)), Some((VLAN, 10)));
    assert_eq!(sent(&mut chassis, "a", &forged), []);
    // Another VLAN is nobody's.
    let other = packet((7, 1), (7, 2), mac((7, 2)), Some((VLAN, 30)));
    assert_eq!(sent(&mut chassis, "a", &other), []);
}

#[test]
fn containers_come_and_go_with_their_guest() {
    let mut chassis = start();
    let up = |chassis: &mut Chassis, port: &str| {
        let text = chassis.ask("sbctl/get", &["Port_Binding", port, "chassis", "up"]);
        text.lines().map(|line| line != "[]" && line != "false").collect::<Vec<_>>()
    };
    assert_eq!((up(&mut chassis, "a"), up(&mut chassis, "c1")), (vec![true; 2], vec![true; 2]));
    chassis.ask("port/set", &["a", "iface_id="]);
    assert_eq!((up(&mut chassis, "a"), up(&mut chassis, "c1")), (vec![false; 2], vec![false; 2]));
    assert_eq!(chassis.ask("ofctl/dump-flows", &["table=65,metadata=3"]), "");
    // Without its network's wire nothing is known to be reached by it.
    chassis.ask("port/set", &["a", "iface_id=a"]);
    assert_eq!(up(&mut chassis, "c1"), [true; 2]);
    chassis.ask("port/set", &["ln", "iface_id="]);
    let frame = packet((5, 1), (5, 2), mac((5, 2)), None);
    assert_eq!(sent(&mut chassis, "a", &frame), []);
    chassis.ask("port/set", &["ln", "iface_id=ln"]);
    assert_eq!(sent(&mut chassis, "a", &frame), only("ln", frame.clone()));
}
