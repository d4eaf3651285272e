//! Ports of other chassis.

use std::net::IpAddr;

use super::*;
use crate::pipeline::syntax::{print_actions, print_match};

/// One switch with so many ports on each of the other chassis, all in one group.
struct World {
    database: Database,
    cursor: crate::logical::rows::Cursor,
    lowering: Lowering,
    bindings: Bindings,
}

fn group() -> Uuid {
    uuid(Table::MulticastGroup, 0)
}

fn at(n: u16) -> Uuid {
    Uuid(u128::from(n) << 80 | 7 << 100)
}

fn port(n: u16, chassis: Option<Uuid>) -> PortBinding {
    PortBinding {
        logical_port: format!("vm{n}"),
        datapath: uuid(Table::DatapathBinding, 0),
        tunnel_key: 100 + n,
        chassis,
        ..PortBinding::default()
    }
}

impl World {
    /// Ports by their numbers and chassis, `here` beside them.
    fn new(ports: impl Iterator<Item = (u16, Option<Uuid>)>) -> Self {
        let mut rows = beginning();
        let mut members: BTreeSet<Uuid> = [uuid(Table::PortBinding, 100)].into();
        for (n, chassis) in ports {
            rows.put(at(n), port(n, chassis));
            members.insert(at(n));
        }
        let datapath = uuid(Table::DatapathBinding, 0);
        let name = "_MC_flood".to_owned();
        rows.put(group(), MulticastGroup { datapath, name, ports: members, tunnel_key: 0x8000 });
        let mut database = Database::default();
        let cursor = database.subscribe_from_nothing();
        database.commit(rows).unwrap();
        let tunnel = Some(Tunnel { port: PortNo(90), mtu: Some(1500), families: Families::default() });
        let host = Host { tunnel, ..Host::named("me") };
        let bindings = Bindings { host, ports: [("here".to_owned(), PortNo(1))].into() };
        let lowering = Lowering::new(Numbers::default(), Zones::default());
        let mut world = Self { database, cursor, lowering, bindings };
        world.follow();
        world
    }

    /// How many units are lowered, and what changes.
    fn follow(&mut self) -> (usize, Changes) {
        let before = self.lowering.work.0;
        let changes = self.lowering.update(&self.cursor.poll(&self.database), &self.bindings);
        (self.lowering.work.0 - before, changes)
    }

    fn put<T: Row>(&mut self, uuid: Uuid, row: T) -> (usize, Changes) {
        let mut edit = Transaction::new();
        edit.put(uuid, row);
        self.database.commit(edit).unwrap();
        self.follow()
    }

    /// Flows of a table, as texts in order.
    fn table(&self, table: u8) -> Vec<String> {
        let of = self.lowering.flows().filter(|flow| flow.table == table);
        let text = |flow: LoweredFlow| {
            let matcher = print_match(&flow.matcher(), flow.priority, &());
            format!("{matcher} actions={}", print_actions(&flow.actions, &()))
        };
        let mut texts: Vec<String> = of.map(text).collect();
        texts.sort();
        texts
    }

    /// The actions of a flow of remote output by the key of its port or group.
    fn beyond(&self, key: u16) -> Option<String> {
        let wanted = format!("priority=100,reg15={key:#x},metadata=0x1 actions=");
        self.table(39).into_iter().find_map(|flow| Some(flow.strip_prefix(&wanted)?.to_owned()))
    }
}

#[test]
fn a_move_costs_the_port_and_a_chassis_that_gets_its_first_the_group() {
    for many in [10, 400] {
        let mut world = World::new((0..many).map(|n| (n, Some(other((n % 2) as u8)))));
        // From the one to the other, where others are.
        let (units, changes) = world.put(at(2), port(2, Some(other(1))));
        assert_eq!((units, changes.len()), (1, 1));
        let (chassis_name, ip) = ("C".to_owned(), "192.0.2.9".to_owned());
        let encap = Encap { chassis_name, ip, kind: "geneve".to_owned(), ..Default::default() };
        let encaps = [uuid(Table::Encap, 9)].into();
        let mut edit = Transaction::new();
        edit.put(uuid(Table::Encap, 9), encap);
        edit.put(other(2), Chassis { name: "C".to_owned(), encaps, ..Default::default() });
        world.database.commit(edit).unwrap();
        assert_eq!(world.follow().0, 0);
        let (units, changes) = world.put(at(2), port(2, Some(other(2))));
        assert_eq!(
            (units, changes.len()),
            (2, 2),
            "the first there: the way of the group changes, its ports do not"
        );
        let (units, changes) = world.put(at(2), port(2, Some(other(0))));
        assert_eq!((units, changes.len()), (2, 2));
        // Claimed by this chassis without being bound here: nothing leads there.
        let (units, changes) = world.put(at(2), port(2, Some(CHASSIS)));
        assert_eq!((units, changes.len(), changes.taken().count()), (2, 2, 2));
    }
}

#[test]
fn a_port_is_reached_at_the_endpoint_of_its_chassis() {
    let mut world = World::new([(1, Some(other(0))), (2, Some(other(1)))].into_iter());
    let to = |key: u16, sent: &str| {
        Some(format!(
            "set_field:0x1/0xffffff->tun_id,set_field:{key:#x}->tun_metadata0,\
             move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],{sent},resubmit(,40)"
        ))
    };
    let v4 = |last| format!("set_field:192.0.2.{last}->tun_dst,output:90");
    assert_eq!(world.beyond(101), to(101, &v4(2)));
    // Of several the first: IPv4 before IPv6.
    assert_eq!(world.beyond(102), to(102, &v4(4)));
    assert_eq!(world.beyond(0x8000), to(0x8000, &format!("{},{}", v4(2), v4(4))));
    let v6 = "set_field:0.0.0.0->tun_dst,set_field:2001:db8::3->tun_ipv6_dst,output:90";
    let asks = PortBinding { encap: Some(uuid(Table::Encap, 2)), ..port(2, Some(other(1))) };
    world.put(at(2), asks);
    assert_eq!(world.beyond(102), to(102, v6));
    let elsewhere = PortBinding { encap: Some(uuid(Table::Encap, 1)), ..port(2, Some(other(1))) };
    world.put(at(2), elsewhere);
    assert_eq!(world.beyond(102), to(102, &v4(4)), "an endpoint of another chassis is none of this one");
    // On two for a while.
    let both = PortBinding { additional_chassis: [other(0)].into(), ..port(2, Some(other(1))) };
    world.put(at(2), both);
    assert_eq!(world.beyond(102), to(102, &format!("{},{}", v4(4), v4(2))));
    // The endpoint changes, and with it the one port and the group.
    let encap = |ip: &str, kind: &str| Encap {
        chassis_name: "A".to_owned(),
        ip: ip.to_owned(),
        kind: kind.to_owned(),
        ..Default::default()
    };
    world.put(at(2), port(2, Some(other(1))));
    let (units, _) = world.put(uuid(Table::Encap, 1), encap("192.0.2.77", "geneve"));
    assert_eq!((units, world.beyond(101)), (2, to(101, &v4(77))));
    for (ip, kind) in [("192.0.2.77", "vxlan"), ("what", "geneve")] {
        world.put(uuid(Table::Encap, 1), encap(ip, kind));
        assert_eq!((world.beyond(101), world.beyond(0x8000)), (None, to(0x8000, &v4(4))));
        let troubles = world.lowering.troubles();
        let sentence =
            "it is on chassis \"A\", which has no Geneve endpoint, so that nothing passes; add its encap";
        assert!(troubles.iter().any(|trouble| trouble.uuid == at(1) && trouble.sentence == sentence));
    }
}

#[test]
fn without_a_tunnel_no_flow_is_about_one() {
    let mut world = World::new([(1, Some(other(0)))].into_iter());
    let arrival = "priority=100,in_port=90 actions=move:NXM_NX_TUN_ID[0..23]->OXM_OF_METADATA[0..23],\
                   move:NXM_NX_TUN_METADATA0[16..30]->NXM_NX_REG14[0..14],\
                   move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG15[0..15],resubmit(,40)";
    assert!(world.table(0).iter().any(|flow| flow == arrival));
    let tunnel = world.bindings.host.tunnel.take();
    let (_, changes) = world.follow();
    // The arrival, the answers, what was measured, the port's own two and the group's.
    assert_eq!((changes.len(), changes.taken().count()), (1 + 8 + 1 + 2 + 1, 13));
    assert_eq!((world.beyond(101), world.beyond(0x8000)), (None, None));
    let text = format!("{:?}{:?}", world.table(0), world.table(39));
    assert!(!text.contains("tun_"), "{text}");
    world.bindings.host.tunnel = tunnel;
    assert_eq!(world.follow().1.len(), 13);
}

#[test]
fn members_elsewhere_get_their_copies_by_the_physical_network() {
    let mut world = World::new([(1, Some(other(0)))].into_iter());
    assert!(world.beyond(0x8000).is_some());
    let wire = PortBinding {
        kind: "localnet".to_owned(),
        options: pairs(&[("network_name", "physnet")]),
        tag: Some(7),
        ..port(9, None)
    };
    world.put(at(9), wire);
    let sentence = "its network \"physnet\" is mapped to no port of this switch, so that it is not here; map it by \
                    bridge_mappings";
    let has = |world: &World| world.lowering.troubles().iter().any(|trouble| trouble.sentence == sentence);
    assert!(has(&world) && world.beyond(0x8000).is_some());
    world.bindings.host.mappings = [("physnet".to_owned(), PortNo(5))].into();
    world.follow();
    assert!(!has(&world));
    assert_eq!((world.beyond(0x8000), world.beyond(101)), (None, None));
    let local = "priority=100,reg15=0x65,metadata=0x1 actions=set_field:0x6d->reg15,resubmit(,40)";
    assert!(world.table(40).iter().any(|flow| flow == local), "{:#?}", world.table(40));
    let out = "priority=100,reg15=0x6d,metadata=0x1 actions=push_vlan:0x8100,set_field:7->dl_vlan,output:5,pop_vlan";
    assert!(world.table(65).iter().any(|flow| flow == out), "{:#?}", world.table(65));
    assert!(world.table(0).iter().any(|flow| flow.starts_with("priority=150,in_port=5,dl_vlan=7 ")));
    world.bindings.host.mappings.clear();
    world.follow();
    assert!(has(&world) && world.beyond(0x8000).is_some() && world.beyond(101).is_some());
}

#[test]
fn vnis_are_those_of_datapaths_that_are_here() {
    let mut world = World::new([(1, Some(other(0)))].into_iter());
    assert_eq!(world.lowering.vnis(world.database.snapshot()), [1]);
    world.bindings.ports.clear();
    world.follow();
    assert_eq!(world.lowering.vnis(world.database.snapshot()), [0; 0]);
    let chassis = world.database.snapshot().get::<Chassis>(other(1)).unwrap();
    let all: Vec<IpAddr> = endpoints(chassis, world.database.snapshot()).into_iter().collect();
    assert_eq!(all, ["192.0.2.4".parse::<IpAddr>().unwrap(), "2001:db8::3".parse().unwrap()]);
}

#[test]
fn a_chassis_is_reached_by_a_version_of_ip_that_this_host_has() {
    let world = World::new([(1, Some(other(0)))].into_iter());
    let store = world.database.snapshot();
    let chassis = store.get::<Chassis>(other(1)).unwrap();
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.4".parse().unwrap(), "2001:db8::3".parse().unwrap());
    let encaps = |ip: IpAddr| {
        let is_it =
            |encap: &&Uuid| store.get::<Encap>(**encap).is_some_and(|encap| encap.ip == ip.to_string());
        chassis.encaps.iter().find(is_it).copied()
    };
    let by = |asked, v4, v6| endpoint(chassis, asked, store, Families { v4, v6 });
    assert_eq!(by(None, true, true), Some(v4));
    assert_eq!(by(None, false, true), Some(v6));
    assert_eq!(by(encaps(v6), true, true), Some(v6));
    assert_eq!(by(encaps(v6), true, false), Some(v4));
    // Nothing helps; the packets are dropped by a name.
    assert_eq!(by(None, false, false), Some(v4));
    assert_eq!(
        (Families::of([v4]), Families::of([])),
        (Families { v4: true, v6: false }, Families { v4: false, v6: false })
    );
}
