//! Packet buffers on every path: after a million packets every pool is full again. One test, because DPDK's
//! environment starts once a process.
#![cfg(feature = "dpdk")]

mod support;

use std::time::Duration;

use millrace::config::{PortKind, PortSpec, VhostMode};
use millrace::datapath::{Datapath, PortError};
use millrace::dpdk::pool;
use millrace::packet::PortNo;
use millrace::pipeline::cache::CacheSizes;
use millrace::worker::{DpdkBackend, Engine, WorkerSetup};
use support::*;

fn null(name: &str, size: u16, no_rx: bool) -> PortSpec {
    PortSpec::new(name, PortKind::Null { size, no_rx })
}

/// Lets the switch forward until it has received `count` more packets.
fn receive(switch: &Engine<DpdkBackend>, count: u64) {
    let before = switch.totals().received;
    eventually("the packets have come", || switch.totals().received >= before + count);
}

fn drops_of(switch: &Engine<DpdkBackend>, name: &str) -> u64 {
    let drops = switch.totals().drops;
    drops.iter().find(|(reason, _)| reason.name() == name).map_or(0, |(_, count)| *count)
}

#[test]
fn every_buffer_comes_back_on_every_path() {
    let eal = start_dpdk(all_cores());
    let setups = vec![WorkerSetup { core: None, numa: -1 }; 2];
    let mut switch =
        Engine::start(DpdkBackend::default(), &setups, Duration::from_micros(50), CacheSizes::default())
            .unwrap();
    let socket = tempfile::tempdir().unwrap();
    let source = add(&mut switch, &null("source", 64, false));
    let sink = add(&mut switch, &null("sink", 64, true));
    let guest = PortKind::VhostUser {
        socket: socket.path().join("guest.sock").to_str().unwrap().to_owned(),
        mode: VhostMode::Server,
    };
    add(&mut switch, &PortSpec::new("guest", guest));
    let small = PortSpec { mtu: 68, ..null("small", 64, true) };
    let small = add(&mut switch, &small);
    assert_eq!((source, sink, small), (PortNo(1), PortNo(2), PortNo(4)));

    // The driver of null ports gives frames of zeros: dl_type 0, so no header is in the way.
    for (flows, drop) in [
        (&["in_port=1 actions=2"][..], None),
        (&["in_port=1 actions=drop"], Some("explicit")),
        (&["in_port=9 actions=2"], Some("no_match")),
        (&["in_port=1 actions=1"], Some("to_in_port")),
        (&["in_port=1 actions=77"], Some("no_such_port")),
        (&["in_port=1 actions=2,in_port,4,2"], None),
        (
            &[
                "in_port=1 actions=clone(push_vlan:0x8100,output:2),clone(drop),mod_dl_dst:02:00:00:00:00:09,2",
            ],
            None,
        ),
        (&["in_port=1 actions=controller:64"], Some("controller_ring_full")),
        (&["in_port=1 actions=output:3,output:2"], Some("link_down")),
        (&["in_port=1 actions=resubmit(,0)"], Some("resubmit_too_deep")),
        (&["in_port=1 actions=push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100,2"], Some("too_many_vlans")),
    ] {
        set_flows(&mut switch, flows);
        let before = drop.map_or(0, |name| drops_of(&switch, name));
        receive(&switch, 100_000);
        if let Some(name) = drop {
            assert!(drops_of(&switch, name) > before, "{flows:?} drops by the name of {name}");
        }
    }

    // Injected frames: on time, too short, too long for the output, too long for a buffer, to a port that goes away.
    set_flows(&mut switch, &["in_port=1 actions=drop", "in_port=2 actions=4"]);
    switch.inject(sink, &[0; 60]).unwrap();
    switch.inject(sink, &[0; 1000]).unwrap();
    for bad in [13, 1600, 9000] {
        assert!(matches!(switch.inject(sink, &vec![0; bad]), Err(PortError::Device(_))), "{bad}");
    }
    sync(&mut switch);
    assert_eq!(drops_of(&switch, "mtu_exceeded"), 1);
    let runts = add(&mut switch, &null("runts", 13, false));
    eventually("runts have come", || drops_of(&switch, "runt") > 10_000);
    remove(&mut switch, runts);

    // A device that does not open leaves nothing behind, and neither does a port removed under traffic.
    let missing = PortKind::AfPacket { iface: "mr-not-there".to_owned() };
    let refused = switch.add_port(&PortSpec::new("missing", missing)).unwrap_err();
    assert!(refused.to_string().starts_with("there is no kernel interface \"mr-not-there\""), "{refused}");
    let jumbo =
        PortSpec { mtu: 9000, ..PortSpec::new("jumbo", PortKind::AfPacket { iface: "lo".to_owned() }) };
    let refused = switch.add_port(&jumbo).unwrap_err().to_string();
    assert!(refused.contains("allows an MTU from") && refused.contains("9000 was asked for"), "{refused}");
    let vdev = PortKind::Vdev { devargs: "net_af_packet77,iface=mr-not-there".to_owned() };
    let refused = switch.add_port(&PortSpec::new("missing", vdev)).unwrap_err();
    assert!(refused.to_string().starts_with("the device net_af_packet77"), "{refused}");
    set_flows(&mut switch, &["in_port=1 actions=2,4"]);
    for _ in 0..5 {
        remove(&mut switch, sink);
        assert_eq!(add(&mut switch, &null("sink", 64, true)), sink);
        receive(&switch, 1000);
    }

    // Receive queues change hands; then the source goes, and all is quiet.
    for worker in [0, 1, 0, 1] {
        let generation = switch.unassign_rxq(source, 0).unwrap();
        wait(&switch, generation);
        let generation = patiently(|| switch.assign_rxq(source, 0, worker));
        wait(&switch, generation);
        receive(&switch, 1000);
    }
    remove(&mut switch, source);
    sync(&mut switch);
    let totals = switch.totals();
    assert!(totals.received > 1_000_000, "{totals:?}");
    assert_eq!(totals.imbalance(), 0, "{totals:?}");

    // Workers give their caches back when they end, ports when they close: then a pool that is not full is a leak.
    switch.shutdown();
    drop(switch);
    pool::look_at_orphans();
    assert_eq!(pool::free_orphans(), 0, "pools miss buffers");
    drop(eal);
}
