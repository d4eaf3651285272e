//! The configuration: what `configs/*.toml` say, read, checked and with every default filled in.
//!
//! The invariant: a [`Config`] that exists is valid by itself; what can only be known from the machine (a core that
//! does not exist, a device that does not open) is found at start-up and said there.

mod check;
pub mod conflict;
pub mod error;
pub mod port;
mod raw;
mod read;
#[cfg(test)]
mod tests;
pub mod underlay;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, Fault, KeyPath, Place, Step};
pub use port::{PortKind, PortSpec, VhostMode};
pub use underlay::{Bfd, Chassis, Mapping, Prefix, Route, Underlay};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the switch, as `show` prints it and as OVS tools name a bridge.
    pub name: String,
    /// The control thread and its socket.
    pub control: Control,
    /// The workers.
    pub workers: Workers,
    /// The caches of each worker.
    pub cache: Cache,
    /// What DPDK's environment is started with.
    pub dpdk: Dpdk,
    /// Ports to add at start-up.
    pub ports: Vec<PortSpec>,
    /// Flows to add at start-up, in `ovs-ofctl` syntax, after the ports.
    pub flows: Vec<String>,
    /// File of more flows, one a line.
    pub flow_file: Option<PathBuf>,
    /// The endpoint of the tunnels to other hosts, if there is one.
    pub underlay: Option<Underlay>,
    /// The other chassis.
    pub chassis: Vec<Chassis>,
    /// Logical networks.
    pub ovn: Ovn,
    /// Filter of the log, as `tracing-subscriber` reads it, such as "info" or "millrace=debug".
    pub log: String,
}

/// The control thread and its socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// Path of the unix socket.
    pub socket: PathBuf,
    /// Its mode: 0o600 or 0o660.
    pub mode: u32,
    /// Group that owns it; else the process's own.
    pub group: Option<String>,
    /// Cores of the control thread and of DPDK's own threads; else all that no worker has.
    pub cores: Vec<usize>,
}

/// The workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// One worker a core, in this order; workers are numbered from 0.
    pub cores: Vec<usize>,
    /// How long an idle worker sleeps between polls, four times that once it has been idle for 256 of them; zero polls
    /// without pause.
    pub idle_sleep: Duration,
}

/// The caches of each worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Megaflows.
    pub megaflows: u32,
    /// Megaflows of one port.
    pub megaflows_per_port: u32,
    /// Masks of one port.
    pub masks_per_port: u32,
    /// Entries of the exact-match cache.
    pub emc_entries: u32,
    /// After how long a megaflow goes that no packet uses.
    pub max_idle: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            megaflows: 262_144,
            megaflows_per_port: 200_000,
            masks_per_port: 128,
            emc_entries: 131_072,
            max_idle: Duration::from_secs(10),
        }
    }
}

/// Logical networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ovn {
    /// Name of this chassis; else the name of the host.
    pub system_id: Option<String>,
    /// Address that tunnels from other chassis lead to.
    pub encap_ip: IpAddr,
    /// The ports that stand for the physical networks of localnet ports.
    pub bridge_mappings: Vec<Mapping>,
    /// Folder in which the Northbound is kept; none if it is not.
    pub state: Option<PathBuf>,
    /// File of `nbctl` commands that are done at a start at which nothing is kept yet.
    pub topology: Option<PathBuf>,
}

impl Default for Ovn {
    fn default() -> Self {
        Self {
            system_id: None,
            encap_ip: Ipv4Addr::LOCALHOST.into(),
            bridge_mappings: Vec::new(),
            state: Some(PathBuf::from("/var/lib/millrace")),
            topology: None,
        }
    }
}

impl Ovn {
    /// The default, but nothing is kept.
    pub fn unkept() -> Self {
        Self { state: None, ..Self::default() }
    }
}

/// What DPDK's environment is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Dpdk {
    /// Whether to take hugepages.
    pub hugepages: Hugepages,
    /// Megabytes of memory to reserve.
    pub memory_mb: u32,
    /// Prefix of DPDK's run-time files; without one it leaves none.
    pub file_prefix: Option<String>,
    /// Whether to look for devices on the PCI bus.
    pub pci: bool,
    /// Further arguments of the EAL.
    pub extra_args: Vec<String>,
}

/// Whether to take hugepages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hugepages {
    /// Where enough are free, else ordinary pages, and a line of the log says so.
    Auto,
    /// Yes, and refuse to start without.
    On,
    /// No.
    Off,
}

impl Config {
    /// Cores that the config gives to both the control thread and a worker. A machine with one core has no other
    /// way; anywhere else it costs the worker time, which is worth a line of the log.
    pub fn shared_cores(&self) -> Vec<usize> {
        self.control.cores.iter().copied().filter(|core| self.workers.cores.contains(core)).collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "millrace".to_owned(),
            control: Control {
                socket: PathBuf::from("/run/millrace/millraced.ctl"),
                mode: 0o660,
                group: None,
                cores: Vec::new(),
            },
            workers: Workers { cores: vec![1], idle_sleep: Duration::ZERO },
            cache: Cache::default(),
            dpdk: Dpdk {
                hugepages: Hugepages::Auto,
                memory_mb: 512,
                file_prefix: None,
                pci: true,
                extra_args: Vec::new(),
            },
            ports: Vec::new(),
            flows: Vec::new(),
            flow_file: None,
            underlay: None,
            chassis: Vec::new(),
            ovn: Ovn::default(),
            log: "info".to_owned(),
        }
    }
}
