//! A machine: a network namespace whose only interface, eth0, is one end of a veth. The other end is for the switch.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::process::{Reply, ip, run, sh, wait_for};

/// A machine.
pub struct Host {
    ns: String,
    /// The switch's end of its cable.
    pub iface: String,
    /// Its address, 10.0.0.N of a /24.
    pub ip: Ipv4Addr,
    /// Its IPv6 address, fd00::N of a /64, where it was made with one.
    pub ip6: Ipv6Addr,
    /// Address of eth0.
    pub mac: String,
}

/// Lets an interface say nothing of itself, so that a test's packets are the only ones.
pub fn no_ipv6(ns: Option<&str>, iface: &str) {
    let file = format!("/proc/sys/net/ipv6/conf/{iface}/disable_ipv6");
    match ns {
        // A kernel without IPv6 has no such file and nothing to silence.
        None => drop(fs::write(file, "1")),
        Some(ns) => drop(run(
            Command::new("ip").args(["netns", "exec", ns, "sh", "-c", &format!("echo 1 > {file}")]),
            super::SOON,
        )),
    }
}

impl Host {
    /// Makes the namespace and the cable. The names are the caller's to take away again.
    pub fn make(number: u8, ns: String, iface: String, mtu: u16, ipv6: bool) -> Self {
        let mac = format!("02:00:00:00:00:{number:02x}");
        let host = Self {
            ip: Ipv4Addr::new(10, 0, 0, number),
            ip6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
            mac,
            ns,
            iface,
        };
        let Host { ns, iface, mac, .. } = &host;
        ip(&format!("netns add {ns}"));
        ip(&format!(
            "link add {iface} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {ns} address {mac}"
        ));
        no_ipv6(None, iface);
        if !ipv6 {
            no_ipv6(Some(ns), "eth0");
        }
        // Real checksums and frames no longer than the MTU: what a cable would carry. And the receiver looks at
        // every checksum itself.
        host.ok(&[
            "ethtool", "-K", "eth0", "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off",
        ]);
        ip(&format!("-n {ns} address add {}/24 dev eth0", host.ip));
        if ipv6 {
            ip(&format!("-n {ns} address add {}/64 dev eth0 nodad", host.ip6));
        }
        ip(&format!("-n {ns} link set lo up"));
        ip(&format!("-n {ns} link set eth0 up"));
        ip(&format!("link set {iface} up"));
        host
    }

    /// Makes it the machine that a logical port is meant for: its address, and its networks, each with a
    /// gateway. `ip` and `ip6` are the last of each family.
    pub fn becomes(&mut self, mac: &str, networks: &[(&str, &str)]) {
        let ns = &self.ns;
        ip(&format!("-n {ns} address flush dev eth0"));
        // Down and up, so that its link-local address is made of the new address too.
        ip(&format!("-n {ns} link set eth0 down address {mac}"));
        ip(&format!("-n {ns} link set eth0 up"));
        self.mac = mac.to_owned();
        for (network, gateway) in networks {
            let address = network.split_once('/').expect("ADDRESS/LENGTH").0;
            match address.parse().expect("an address") {
                IpAddr::V4(v4) => {
                    self.ip = v4;
                    ip(&format!("-n {ns} address add {network} dev eth0"));
                }
                IpAddr::V6(v6) => {
                    self.ip6 = v6;
                    ip(&format!("-n {ns} address add {network} dev eth0 nodad"));
                }
            }
            ip(&format!("-n {ns} route add default via {gateway}"));
        }
    }

    /// One more cable: `iface` becomes the end for the switch, and the machine's is eth1.
    pub fn cable(&self, iface: &str) {
        ip(&format!("link add {iface} type veth peer name eth1 netns {}", self.ns));
        no_ipv6(None, iface);
        no_ipv6(Some(&self.ns), "eth1");
        self.ok(&[
            "ethtool", "-K", "eth1", "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off",
        ]);
        ip(&format!("-n {} link set eth1 up", self.ns));
        ip(&format!("link set {iface} up"));
    }

    /// Gives it one more address.
    pub fn add_address(&self, network: &str) {
        ip(&format!("-n {} address add {network} dev eth0", self.ns));
    }

    /// Runs a program in there.
    pub fn run(&self, words: &[&str], limit: Duration) -> Reply {
        run(Command::new("ip").args(["netns", "exec", &self.ns]).args(words), limit)
    }

    /// Runs a program in there that has to succeed.
    pub fn ok(&self, words: &[&str]) -> String {
        let all: Vec<&str> =
            ["ip", "netns", "exec", &self.ns].into_iter().chain(words.iter().copied()).collect();
        sh(&all, Duration::from_secs(60))
    }

    /// Starts a program in there. The caller ends it.
    pub fn spawn(&self, words: &[&str], stderr: Stdio) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &self.ns])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {words:?}: {error}"))
    }

    /// Does something on a thread that is in there; sockets made by it stay in there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let done = thread::scope(|scope| {
            let inner = scope.spawn(|| {
                let ns = File::open(format!("/run/netns/{}", self.ns)).expect("open the namespace");
                move_into_link_name_space(ns.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("enter the namespace");
                work()
            });
            inner.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Tells it the other's address, so that nothing has to be asked for.
    pub fn knows(&self, address: impl std::fmt::Display, mac: &str) {
        ip(&format!("-n {} neighbour replace {address} lladdr {mac} dev eth0 nud permanent", self.ns));
    }

    /// Adds a route out of eth0.
    pub fn route(&self, address: impl std::fmt::Display) {
        ip(&format!("-n {} route add {address} dev eth0", self.ns));
    }

    /// Datagrams that its kernel received for a socket whose buffer was full.
    pub fn udp_not_read(&self) -> u64 {
        self.counted("Udp: ", "RcvbufErrors")
    }

    /// A counter of its kernel.
    fn counted(&self, protocol: &str, counter: &str) -> u64 {
        let text = self.ok(&["cat", "/proc/net/snmp"]);
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        let mut columns = names.split(' ').zip(values.split(' '));
        let (_, value) = columns.find(|(name, _)| *name == counter).expect("a counter in /proc/net/snmp");
        value.parse().expect("a number")
    }

    /// Answers to echo requests that its kernel has received, of either version of IP.
    fn echo_replies(&self) -> u64 {
        let text = self.ok(&["cat", "/proc/net/snmp6"]);
        let of_v6 = text.lines().find_map(|line| line.strip_prefix("Icmp6InEchoReplies"));
        let of_v6: u64 = of_v6.expect("a counter in /proc/net/snmp6").trim().parse().expect("a number");
        of_v6 + self.counted("Icmp: ", "InEchoReps")
    }

    /// Pings, and every answer has to come. One that ping did not wait for (once it has had an answer it waits no longer
    /// than twice the slowest took) may come later.
    pub fn pings(&self, address: impl std::fmt::Display, count: u32, size: u32) {
        let number = u64::from(count);
        let (address, count, size) = (address.to_string(), count.to_string(), size.to_string());
        let before = self.echo_replies();
        let reply = self.run(
            // Don't-fragment, so that the size is that of one frame.
            &["ping", "-M", "do", "-c", &count, "-i", "0.02", "-W", "2", "-s", &size, &address],
            Duration::from_secs(60),
        );
        let said = format!("ping of {address} with {size} bytes:\n{}{}", reply.out, reply.err);
        let all = before + number;
        let have_come = || (self.echo_replies() >= all).then_some(());
        wait_for(&format!("all answers have come; {said}"), Duration::from_secs(2), have_come);
        assert!(!reply.out.contains("wrong data byte"), "{said}");
    }
}
