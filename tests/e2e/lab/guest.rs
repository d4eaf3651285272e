//! A guest: `dpdk-testpmd` in a process of its own, on virtio-user, which by itself answers ARP and ping, or sends
//! frames back.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Lab;
use super::process::wait_for;

/// A running testpmd.
pub struct Guest {
    child: Child,
    log: String,
    prefix: String,
}

impl Guest {
    /// Address of its one interface.
    pub const MAC: &str = "02:00:00:00:00:aa";

    /// Starts one on a vhost-user socket, which it makes itself if it is the server. `name` is unique in the test.
    pub fn start(lab: &Lab, name: &str, socket: &str, server: bool) -> Self {
        let server = if server { ",server=1" } else { "" };
        Self::run(lab, name, &format!("{socket}{server}"), &["--forward-mode=icmpecho"])
    }

    /// Starts one that sends every frame back with its TCP or UDP checksum left to the switch.
    pub fn leaves_checksums(lab: &Lab, name: &str, socket: &str) -> Self {
        // UDP_CKSUM and TCP_CKSUM.
        Self::run(lab, name, socket, &["--forward-mode=csum", "--tx-offloads=0xc"])
    }

    /// Starts one that sends every frame back as it stands in its memory. It agrees to receive checksums left open, or
    /// does not.
    pub fn mirror(lab: &Lab, name: &str, socket: &str, takes_open: bool) -> Self {
        let offloads = if takes_open { "--rx-offloads=0xc" } else { "--rx-offloads=0" };
        Self::run(lab, name, socket, &["--forward-mode=io", offloads])
    }

    /// Starts one whose packets go back where they came from.
    fn run(lab: &Lab, name: &str, path: &str, words: &[&str]) -> Self {
        let (prefix, log) = (lab.name(name), lab.path(&format!("{name}.log")));
        let device = format!("net_virtio_user0,path={path},queues=1,mac={}", Self::MAC);
        let out = File::create(&log).expect("make the guest's log");
        let child = Command::new("dpdk-testpmd")
            // Both of its threads on core 0, since a worker of the switch has core 1. Without hugepages its memory is
            // a memfd, which vhost-user can share as well.
            .args(["--lcores", "0@0,1@0", "--no-huge", "-m", "512", "--no-pci", "--file-prefix", &prefix])
            .args(["--vdev", &device, "--"])
            // testpmd ends at the end of its input unless it has statistics to show.
            .args(["--stats-period", "1", "--port-topology=loop", "--no-mlockall"])
            .args(["--total-num-mbufs=4096", "--mbuf-size=9800", "--max-pkt-len=9018"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle of the log"))
            .stderr(out)
            .spawn()
            .expect("run dpdk-testpmd (package dpdk-dev)");
        Self { child, log, prefix }
    }

    /// Ends it as its user would.
    pub fn end(mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        wait_for("testpmd stops", super::SOON, || self.child.try_wait().expect("ask after testpmd"));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = said.lines().rev().take(40).collect();
            eprintln!("---- the guest's last lines ----");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        let _ = fs::remove_dir_all(format!("/run/dpdk/{}", self.prefix));
    }
}
