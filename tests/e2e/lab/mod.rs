//! The laboratory: what a test makes around the switch, and how it is taken away.
//!
//! The invariant: whatever is made is recorded at once, and dropped with its guard, panicking or not. Only processes
//! that were started here are ended, by their ids. Every wait is bounded.

mod capture;
mod frames;
mod guest;
mod host;
mod numbered;
mod process;
mod rpc;
mod switch;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use process::ip;

pub use capture::{Capture, read_pcap, write_pcap};
pub use frames::{ETHERTYPE_IPV4, eth, ipv4_udp, tagged};
pub use guest::Guest;
pub use host::Host;
pub use numbered::{Numbered, Seen};
pub use process::{run, wait_for};
pub use rpc::Rpc;
pub use switch::{Drops, Setup, Switch};

/// A test's own place: a name, a folder, a turn at the machine.
pub struct Lab {
    tag: String,
    dir: PathBuf,
    namespaces: Vec<String>,
    links: Vec<String>,
    /// Locked as long as this test runs; tests of one run are threads or processes, depending on the runner.
    _turn: File,
}

impl Lab {
    /// Waits for its turn and makes the folder.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "the end-to-end tests need root for namespaces and DPDK; run scripts/test, or cargo test as root"
        );
        fs::create_dir_all("/run/millrace-e2e").expect("make /run/millrace-e2e");
        let turn = File::create("/run/millrace-e2e/turn").expect("make the lock file");
        turn.lock().expect("wait for this test's turn");
        let tag = format!("m{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = PathBuf::from(format!("/run/millrace-e2e/{tag}"));
        fs::create_dir(&dir).expect("make the test's folder");
        Self { tag, dir, namespaces: Vec::new(), links: Vec::new(), _turn: turn }
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().expect("the folder's name is plain").to_owned()
    }

    /// A name that no other test uses, at most 15 bytes for a short end.
    fn name(&self, end: &str) -> String {
        format!("{}{end}", self.tag)
    }

    /// A machine with IPv4 behind a veth whose other end a port can open.
    pub fn host(&mut self, number: u8) -> Host {
        self.host_with(number, 1500, false)
    }

    /// A machine as [`Lab::host`] makes it, with an MTU and perhaps IPv6.
    pub fn host_with(&mut self, number: u8, mtu: u16, ipv6: bool) -> Host {
        let (ns, iface) = (self.name(&format!("h{number}")), self.name(&format!("p{number}")));
        self.namespaces.push(ns.clone());
        self.links.push(iface.clone());
        Host::make(number, ns, iface, mtu, ipv6)
    }

    /// A router of two networks of IPv4 with these addresses of its own: the machine, and the ends of its cables.
    pub fn router(&mut self, number: u8, addresses: [&str; 2]) -> (Host, [String; 2]) {
        let host = self.host(number);
        let second = self.name(&format!("q{number}"));
        self.links.push(second.clone());
        host.cable(&second);
        for (iface, address) in ["eth0", "eth1"].into_iter().zip(addresses) {
            host.ok(&["ip", "address", "add", address, "dev", iface]);
        }
        host.ok(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        let ifaces = [host.iface.clone(), second];
        (host, ifaces)
    }

    /// Two interfaces joined by a wire, both for ports.
    pub fn wire(&mut self) -> (String, String) {
        let number = self.links.len();
        let (one, other) = (self.name(&format!("w{number}")), self.name(&format!("v{number}")));
        self.links.push(one.clone());
        ip(&format!("link add {one} type veth peer name {other}"));
        for end in [&one, &other] {
            host::no_ipv6(None, end);
            ip(&format!("link set {end} up"));
        }
        (one, other)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let quietly = |words: &str| {
            let _ = Command::new("ip").args(words.split(' ')).stderr(std::process::Stdio::null()).status();
        };
        for link in &self.links {
            quietly(&format!("link del {link}"));
        }
        for ns in &self.namespaces {
            quietly(&format!("netns del {ns}"));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What anything may take that has no reason to take long.
pub const SOON: Duration = Duration::from_secs(10);
