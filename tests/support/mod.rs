//! What the integration tests share: flows from text, frames, and a switch without a control socket.
#![allow(dead_code)] // each test binary uses its part

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::config::{PortKind, PortSpec};
use millrace::datapath::{Datapath, Generation, PortError, Totals};
use millrace::packet::PortNo;
use millrace::pipeline::Tables;
use millrace::pipeline::flowmod::{Batch, Command, FlowMod};
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::syntax::{self, Mode};

/// Tables with these flows, in `ovs-ofctl` syntax.
pub fn tables(stats: &FlowStats, flows: &[&str]) -> Tables {
    let mut batch = Batch::new(&Tables::default(), stats, Instant::now());
    for text in flows {
        batch.apply(&change(Command::Add, text)).unwrap();
    }
    batch.commit().0
}

/// A change in `ovs-ofctl` syntax.
pub fn change(command: Command, text: &str) -> FlowMod {
    let mode = match command {
        Command::Delete => Mode::Select { strict: false },
        Command::DeleteStrict => Mode::Select { strict: true },
        _ => Mode::Add,
    };
    let flow = syntax::parse_flow(text, &(), mode).unwrap_or_else(|error| panic!("{text}: {error}"));
    FlowMod {
        command,
        table: flow.table,
        priority: flow.priority_or_default(),
        matcher: flow.matcher.clone(),
        cookie_filter: None,
        out_port: None,
        actions: flow.actions.clone().unwrap_or_default().into(),
        options: flow.options.clone(),
    }
}

/// Publishes flows and waits until every worker has them.
pub fn set_flows(switch: &mut dyn Datapath, flows: &[&str]) {
    let stats = Arc::clone(switch.flow_stats());
    let generation = switch.publish_tables(tables(&stats, flows));
    wait(switch, generation);
}

/// Waits until a generation is visible; at most five seconds.
pub fn wait(switch: &dyn Datapath, generation: Generation) {
    eventually("the generation is visible", || switch.lagging(generation).is_empty());
}

/// Waits until something holds; at most twenty seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Waits until every worker has done what was asked of it.
pub fn sync(switch: &mut dyn Datapath) {
    let token = switch.sync();
    eventually("the workers are in step", || switch.unsynced(token).is_empty());
}

/// A memory port.
pub fn memory(name: &str) -> PortSpec {
    PortSpec::new(name, PortKind::Memory)
}

/// Adds a port and waits until it is visible.
pub fn add(switch: &mut dyn Datapath, spec: &PortSpec) -> PortNo {
    let (number, generation) = switch.add_port(spec).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
    wait(switch, generation);
    number
}

/// Removes a port in its two steps.
pub fn remove(switch: &mut dyn Datapath, number: PortNo) {
    let generation = switch.unpublish_port(number).unwrap();
    wait(switch, generation);
    patiently(|| switch.close_port(number));
}

/// Does what is refused as long as a worker that slept has woken to an older state: again until it is done.
pub fn patiently<T>(mut ask: impl FnMut() -> Result<T, PortError>) -> T {
    let mut done = None;
    eventually("no worker has an older state", || match ask() {
        Err(PortError::Busy(_)) => false,
        answer => {
            done = Some(answer.unwrap());
            true
        }
    });
    done.unwrap()
}

/// Asserts the accounting identity once it is quiet, and that exactly these drops were counted.
pub fn assert_accounts(switch: &mut dyn Datapath, drops: &[(&str, u64)]) -> Totals {
    sync(switch);
    let totals = switch.totals();
    assert_eq!(totals.imbalance(), 0, "{totals:?}");
    let found: Vec<_> = totals.drops.iter().map(|(reason, count)| (reason.name(), *count)).collect();
    assert_eq!(found, drops, "{totals:?}");
    totals
}

/// An Ethernet frame of UDP over IPv4, numbered in its payload, padded to `len` bytes.
pub fn numbered(flow: u16, number: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let total = (len.max(46) - 14) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let sum: u32 = frame[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&folded.to_be_bytes());
    frame.extend(1000u16.wrapping_add(flow).to_be_bytes());
    frame.extend(2000u16.to_be_bytes());
    frame.extend((total - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(number.to_be_bytes());
    frame.resize(len.max(46), 0);
    frame
}

/// Flow and number of a frame made by [`numbered`].
pub fn number_of(frame: &[u8]) -> (u16, u32) {
    let flow = u16::from_be_bytes([frame[34], frame[35]]).wrapping_sub(1000);
    (flow, u32::from_be_bytes([frame[42], frame[43], frame[44], frame[45]]))
}

/// DPDK's environment as tests and benches want it: ordinary pages, no PCI bus, nothing in the file system.
#[cfg(feature = "dpdk")]
pub fn start_dpdk(control_cores: Vec<usize>) -> millrace::dpdk::eal::Eal {
    let options = millrace::dpdk::eal::Options {
        control_cores,
        hugepages: false,
        memory_mb: 256,
        file_prefix: None,
        pci: false,
        extra_args: Vec::new(),
    };
    millrace::dpdk::eal::Eal::start(&options).unwrap()
}

/// Every core that this process may use.
pub fn all_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap().iter().map(|core| core.id).collect()
}
