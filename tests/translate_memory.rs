//! A translation through conjunctive matches, groups and a meter allocates nothing: counted over the whole process,
//! which does nothing else.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use millrace::packet::{Field, FlowKey, PortNo, PortRef};
use millrace::pipeline::flowmod::{Batch, Command, FlowMod};
use millrace::pipeline::objectmod::MeterMod;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::syntax::{GroupCommand, Mode, parse_flow, parse_group, parse_meter};
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{PortView, Ports, Snapshot, Tables};

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

fn flow(text: &str) -> FlowMod {
    let flow = parse_flow(text, &(), Mode::Add).unwrap();
    FlowMod {
        command: Command::Add,
        table: flow.table,
        priority: flow.priority_or_default(),
        matcher: flow.matcher.clone(),
        cookie_filter: None,
        out_port: None,
        actions: flow.actions.clone().unwrap_or_default().into(),
        options: flow.options.clone(),
    }
}

fn snapshot() -> Snapshot {
    let stats = FlowStats::new(0);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    for text in [
        "group_id=1,type=select,bucket=weight:2,output:2,bucket=group:2,bucket=output:4",
        "group_id=2,type=all,bucket=push_vlan:0x8100,output:2,bucket=resubmit(,1)",
    ] {
        batch.apply_group(&parse_group(text, &(), GroupCommand::Add).unwrap()).unwrap();
    }
    let meter = parse_meter("meter=1,kbps,bands=type=drop,rate=1000").unwrap();
    batch.apply_meter(&MeterMod::Add(meter)).unwrap();
    // More conjunctive matches are touched than are gathered at once.
    for id in 0..50 {
        for text in [
            format!("priority=9,udp,nw_src=0.0.{id}.0/24 actions=conjunction({id},1/2)"),
            format!("priority=9,udp,nw_dst=0.0.0.0/{} actions=conjunction({id},2/2)", id % 20),
            format!("conj_id={id},ip actions=meter:1,group:1,3"),
        ] {
            batch.apply(&flow(&text)).unwrap();
        }
    }
    batch.apply(&flow("table=1,udp actions=in_port")).unwrap();
    let view = |number: u16| PortView {
        number: PortNo(number),
        name: format!("p{number}").into(),
        at: PortRef { slot: number, generation: 1 },
        no_flood: false,
    };
    Snapshot::new(batch.commit().0, Ports::new((1..5).map(view).collect()))
}

#[test]
fn a_translation_allocates_nothing() {
    let snapshot = snapshot();
    let mut out = Translation::default();
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    key.set(Field::EthType, 0x0800);
    key.set(Field::NwProto, 17);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    let (mut sent, mut copies) = (0, 0);
    for n in 0..5000u128 {
        key.set(Field::NwSrc, n * 37 % 0x8000);
        key.set(Field::NwDst, n);
        translate(&snapshot, &mut key.clone(), Start::Table(0), &mut out);
        sent += out.ops().len();
        copies += usize::from(out.hits().len() > 4);
    }
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst), before);
    assert!(sent > 10_000 && copies > 500, "{sent} operations, {copies} packets through two groups");
}
