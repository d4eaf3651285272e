//! What a flow costs in memory: prints the bytes per flow of 100 000 in one table, counted by the allocator.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use millrace::pipeline::cache::{CacheSizes, FlowCache};
use millrace::pipeline::flow::FlowOptions;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::{Batch, FlowMod, Tables};

#[path = "../tests/support/rules.rs"]
mod rules;

struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FLOWS: usize = 100_000;
/// Flow, match, and what the table needs to find it; without its actions and counters.
const MOST: usize = 400;
/// Key, place in the table of hashes, counters, and its share of the lists of operations and flows.
const MOST_OF_MEGAFLOW: usize = 320;

fn main() -> ExitCode {
    let mut is_met = true;
    for kind in rules::KINDS {
        let set = rules::rules(kind, FLOWS, 1);
        // Without workers there are no counters. All flows share one list of actions.
        let stats = FlowStats::new(0);
        let actions = Arc::from([]);
        let before = IN_USE.load(Relaxed);
        let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
        for rule in &set {
            let change = FlowMod {
                command: Command::Add,
                table: Some(0),
                priority: rule.priority,
                matcher: rule.matcher.clone(),
                cookie_filter: None,
                out_port: None,
                actions: Arc::clone(&actions),
                options: FlowOptions::default(),
            };
            if let Err(error) = batch.apply(&change) {
                panic!("{error}");
            }
        }
        let (tables, changes) = batch.commit();
        drop(changes);
        let each = (IN_USE.load(Relaxed) - before) / tables.len();
        println!("{kind:?}: {each} bytes per flow, {} flows", tables.len());
        is_met &= each <= MOST;
    }
    let each = FlowCache::new(CacheSizes::default(), 1).bytes_each();
    println!("IPv4 megaflow: {each} bytes each, of {}", CacheSizes::default().megaflows);
    is_met &= each <= MOST_OF_MEGAFLOW;
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
