//! The packet path: one thread per core that takes bursts from its receive queues and does everything for their
//! packets, run to completion; and the engine on the control thread that starts the threads, opens the ports and
//! publishes what the workers see.
//!
//! The invariants. A worker reads the published `State` once per burst and keeps nothing of it for the next.
//! Between two bursts it holds no packet. Its counters have one writer, itself. Whatever reaches a worker from another
//! thread comes by its mailbox; nothing on a worker allocates, formats, logs or waits.

mod again;
mod arrive;
mod burst;
mod counters;
mod depart;
pub mod device;
#[cfg(feature = "dpdk")]
mod dpdk_device;
mod engine;
mod errand;
mod held;
mod live;
mod machine;
mod mailbox;
pub mod memory;
mod poll;
#[cfg(feature = "dpdk")]
mod precheck;
mod queues;
mod stage;
mod state;
mod thread;
mod told;
mod wait;

#[cfg(feature = "dpdk")]
pub use dpdk_device::DpdkBackend;
pub use engine::{Engine, StartError, WorkerSetup};
pub use machine::{CoreError, CorePlan, cache_sizes, numa_node, plan_cores, use_hugepages};
pub use memory::MemoryBackend;
