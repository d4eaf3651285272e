//! A worker that forwards allocates nothing: counted over the whole process while only the worker runs.
#![cfg(feature = "dpdk")]
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace::config::{PortKind, PortSpec};
use millrace::datapath::Datapath;
use millrace::pipeline::cache::CacheSizes;
use millrace::worker::{DpdkBackend, Engine, WorkerSetup};
use support::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A capture file with one frame.
fn capture(frame: &[u8]) -> Vec<u8> {
    let len = frame.len() as u32;
    let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1, 0, 0, len, len].map(u32::to_le_bytes);
    [header.as_flattened(), frame].concat()
}

#[test]
fn forwarding_neither_allocates_nor_frees() {
    let eal = start_dpdk(all_cores());
    let setups = [WorkerSetup { core: None, numa: -1 }];
    let mut switch =
        Engine::start(DpdkBackend::default(), &setups, Duration::ZERO, CacheSizes::default()).unwrap();
    add(&mut switch, &PortSpec::new("source", PortKind::Null { size: 64, no_rx: false }));
    add(&mut switch, &PortSpec::new("sink", PortKind::Null { size: 64, no_rx: true }));
    let file = std::env::temp_dir().join(format!("millrace-steady-{}.pcap", std::process::id()));
    std::fs::write(&file, capture(&numbered(0, 1, 60))).unwrap();
    let rx_file = Some(file.to_str().unwrap().to_owned());
    add(&mut switch, &PortSpec::new("asker", PortKind::Pcap { rx_file, tx_file: None, infinite: true }));
    std::fs::remove_file(&file).unwrap();
    for flows in [
        &["in_port=1 actions=2"][..],
        &[
            "in_port=1 actions=clone(push_vlan:0x8100,output:2),mod_dl_dst:02:00:00:00:00:09,resubmit(,1)",
            "table=1,actions=load:5->NXM_NX_REG3[],push:NXM_NX_REG3[],pop:NXM_NX_REG4[],controller:64,in_port,2",
        ],
        &["in_port=3 actions=drop"],
        &[
            "in_port=3,udp actions=reply(icmp4,dec_ttl,resubmit(,1)),resubmit(,1)",
            "table=1,ip actions=check_pkt_larger(70)->NXM_NX_REG0[0],resubmit(,2)",
            "table=2,actions=log(severity=debug),learn_fdb(port=NXM_NX_REG0[],mac=NXM_OF_ETH_SRC[]),output:2",
            "in_port=1 actions=wait_neighbour(NXM_NX_REG1[],NXM_NX_REG0[],output:2),output:2",
        ],
        &["in_port=1 actions=resubmit(,0)"],
    ] {
        set_flows(&mut switch, flows);
        // Rings and caches have found their size; the control thread sleeps from here on.
        std::thread::sleep(Duration::from_millis(50));
        let (before, received) = (ALLOCATIONS.load(Ordering::SeqCst), switch.totals().received);
        let own = ALLOCATIONS.load(Ordering::SeqCst) - before;
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        let after = ALLOCATIONS.load(Ordering::SeqCst);
        let forwarded = switch.totals().received - received;
        assert!(forwarded > 1_000, "{flows:?}: only {forwarded} packets in 300 ms");
        assert_eq!(after - before, 0, "{flows:?}: allocations while {forwarded} packets were forwarded");
        assert!(own > 0, "the counter counts");
    }
    let totals = switch.totals();
    let drops: Vec<_> = totals.drops.iter().map(|(reason, _)| reason.name()).collect();
    for name in ["context_full", "again_queue_full", "again_too_often", "bad_reply"] {
        assert!(!drops.contains(&name), "{totals:?}");
    }
    assert!(drops.contains(&"neighbour_queue_full") && totals.intents_suppressed > 1_000, "{totals:?}");
    switch.shutdown();
    drop(switch);
    drop(eal);
}
