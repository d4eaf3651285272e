//! Two hosts joined by Geneve: a switch on each, one wire between them, real kernels as the machines of their ports.

use std::net::IpAddr;
use std::time::Duration;

use crate::forward::iperf_at;
use crate::lab::{Capture, Drops, Host, Lab, SOON, Setup, Switch, eth, tagged, wait_for};

const MACS: [&str; 2] = ["40:44:00:00:00:01", "40:44:00:00:00:02"];

/// Two hosts, of which each knows the other and what runs there.
struct Pair {
    lab: Lab,
    vms: [Host; 2],
    /// The ends of the wire.
    wire: [String; 2],
    setups: [Setup; 2],
}

/// What is said of the underlay: the address of a host by its number, and further keys.
struct Underlay {
    address: fn(usize) -> String,
    prefix: u8,
    keys: &'static str,
}

const OVER_IPV4: Underlay =
    Underlay { address: |number| format!("192.168.50.{number}"), prefix: 24, keys: "" };

impl Pair {
    fn new(underlay: &Underlay) -> Self {
        let mut lab = Lab::new();
        let (one, two) = lab.wire();
        Self::joined(lab, [one, two], underlay, ["", ""])
    }

    /// Joined by whatever is between these interfaces, with further keys of each.
    fn joined(mut lab: Lab, wire: [String; 2], underlay: &Underlay, keys: [&str; 2]) -> Self {
        let vms = [1, 2].map(|number| lab.host_with(number, 1500, true));
        let setups = [0, 1].map(|at| setup(underlay, at, &wire[at], &vms[at], keys[at]));
        Self { lab, vms, wire, setups }
    }

    /// Both switches, with these networks.
    fn start(&self, networks: &[&str]) -> [Switch; 2] {
        let switches = [0, 1].map(|at| Switch::start(&self.lab, &self.setups[at]));
        for switch in &switches {
            switch.wait_for_link("uplink");
            told(switch, networks);
            // What machines said before there was a network.
            switch.ok(&["stats", "--clear"]);
        }
        switches
    }

    /// What arrives at a host by tunnels, from now on; BFD, which has no network, aside.
    fn listen(&self, at: usize) -> Capture {
        Capture::on_wire(&self.lab, &self.wire[at], "udp dst port 6081 and not udp[12:4] = 0")
    }
}

fn setup(underlay: &Underlay, at: usize, iface: &str, vm: &Host, keys: &str) -> Setup {
    let (own, other) = (at + 1, 2 - at);
    let Underlay { address, prefix, keys: more } = underlay;
    let (here, there) = (address(own), address(other));
    Setup::new()
        .on_core(at)
        .port("uplink", &format!("type=af_packet iface={iface} number=1"))
        .port("vm", &format!("type=af_packet iface={} number=2 iface_id=vm{own}", vm.iface))
        .ovn("system_id", &format!("hv{own}"))
        .table(format!(
            "[underlay]\nport = \"uplink\"\naddresses = [\"{here}/{prefix}\"]\nbfd = true\nbfd_min_rx = \"300ms\"\n{more}{keys}"
        ))
        .table(format!("[[chassis]]\nname = \"hv{other}\"\nencap_ip = \"{there}\"\nports = [\"vm{other}\"]\n"))
}

/// Commands of nbctl, one a line.
fn told(switch: &Switch, networks: &[&str]) {
    for line in networks {
        let words = line.split('"').enumerate().flat_map(|(at, part)| match at % 2 {
            1 => vec![part],
            _ => part.split_whitespace().collect(),
        });
        switch.ok(&["nbctl"].into_iter().chain(words).collect::<Vec<_>>());
    }
}

/// One network of IPv4 and IPv6.
const NETWORK: &[&str] = &[
    "ls-add network1",
    "lsp-add network1 vm1 -- lsp-set-addresses vm1 \"40:44:00:00:00:01 192.168.0.11 fd00:1::11\"",
    "lsp-add network1 vm2 -- lsp-set-addresses vm2 \"40:44:00:00:00:02 192.168.0.12 fd00:1::12\"",
];

/// Two networks and a router.
const ROUTED: &[&str] = &[
    "ls-add network1",
    "lsp-add network1 vm1 -- lsp-set-addresses vm1 \"40:44:00:00:00:01 192.168.0.11 fd00:1::11\"",
    "ls-add network2",
    "lsp-add network2 vm2 -- lsp-set-addresses vm2 \"40:44:00:00:00:02 192.168.1.11 fd00:2::11\"",
    "lr-add router1",
    "lrp-add router1 router1-net1 40:44:00:00:00:03 192.168.0.1/24 fd00:1::1/64",
    "lsp-add network1 net1-router1 -- lsp-set-type net1-router1 router -- lsp-set-addresses net1-router1 router",
    "lsp-set-options net1-router1 router-port=router1-net1",
    "lrp-add router1 router1-net2 40:44:00:00:00:04 192.168.1.1/24 fd00:2::1/64",
    "lsp-add network2 net2-router1 -- lsp-set-type net2-router1 router -- lsp-set-addresses net2-router1 router",
    "lsp-set-options net2-router1 router-port=router1-net2",
];

fn in_network(pair: &mut Pair) {
    pair.vms[0].becomes(MACS[0], &[("192.168.0.11/24", "192.168.0.1"), ("fd00:1::11/64", "fd00:1::1")]);
    pair.vms[1].becomes(MACS[1], &[("192.168.0.12/24", "192.168.0.1"), ("fd00:1::12/64", "fd00:1::1")]);
}

fn routed(pair: &mut Pair) {
    pair.vms[0].becomes(MACS[0], &[("192.168.0.11/24", "192.168.0.1"), ("fd00:1::11/64", "fd00:1::1")]);
    pair.vms[1].becomes(MACS[1], &[("192.168.1.11/24", "192.168.1.1"), ("fd00:2::11/64", "fd00:2::1")]);
}

/// VNI, OVN's option and Ethernet type of what a tunnel carries, of frames over IPv4 with the option.
fn carried(frames: &[Vec<u8>]) -> Vec<(u32, u32, u16)> {
    let word =
        |frame: &[u8], at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"));
    let of = |frame: &Vec<u8>| {
        // Geneve behind Ethernet, IPv4 and UDP: critical options, one of them, Ethernet, class and type as OVN's.
        assert_eq!(frame[42..46], [2, 0x40, 0x65, 0x58], "{frame:02x?}");
        assert_eq!(frame[50..54], [1, 2, 0x80, 1], "{frame:02x?}");
        (word(frame, 46) >> 8, word(frame, 54), u16::from_be_bytes([frame[70], frame[71]]))
    };
    frames.iter().map(of).collect()
}

/// Both ways with TCP and UDP.
fn carries(pair: &Pair, to: IpAddr) {
    let [one, two] = &pair.vms;
    for direction in [&["--time", "1"][..], &["--time", "1", "--reverse"]] {
        let report = iperf_at(one, two, to, direction);
        let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate");
        assert!(rate > 1e7, "TCP {direction:?} to {to} reached {rate} bit/s");
    }
    for direction in [&[][..], &["--reverse"]] {
        let words =
            [&["--udp", "--bitrate", "10M", "--length", "1200", "--time", "1"][..], direction].concat();
        let sum = &iperf_at(one, two, to, &words)["end"]["sum"];
        let (packets, lost) = (sum["packets"].as_u64(), sum["lost_packets"].as_u64());
        let (packets, lost) = (packets.expect("packets"), lost.expect("lost"));
        assert!(packets > 500 && lost * 20 < packets, "UDP {direction:?}: {lost} of {packets} lost");
    }
}

/// BFD's state of the peer, as `bfd/show` and `show` have it.
fn wait_for_bfd(switch: &Switch, state: &str) {
    wait_for(&format!("BFD is {state}"), SOON, || {
        let shown = switch.json(&["underlay", "show"]);
        (shown["tunnels"][0]["bfd"]["state"] == state).then_some(())
    });
}

/// What machines say unasked goes nowhere here, and a TCP that finds its limit fills a queue.
fn end(switches: [Switch; 2], more: &[&'static str]) {
    for switch in switches {
        // What the other host announces of itself is the tables' too, where no network is behind the uplink.
        let known = ["explicit", "tx_queue_full", "neighbour_unresolved", "no_match"];
        let drops = known.iter().chain(more).fold(Drops::none(), |drops, name| drops.maybe(name));
        switch.end(&drops);
    }
}

#[test]
fn one_network_on_two_hosts() {
    let mut pair = Pair::new(&OVER_IPV4);
    in_network(&mut pair);
    let switches = pair.start(NETWORK);
    let [one, two] = &pair.vms;
    let wire = pair.listen(1);
    // None is lost, the first included: it waits for the next hop.
    one.pings(two.ip, 10, 56);
    let frames = wire.take(10);
    let mut seen = carried(&frames);
    // What a kernel says to groups of IPv6 unasked goes to all.
    seen.retain(|seen| seen.2 != 0x86dd);
    // The addresses are known on both hosts, so nobody asks for one across.
    assert!(seen.iter().all(|seen| *seen == (1, 0x0001_0002, 0x0800)), "{seen:x?}");
    assert_eq!(seen.len(), 10);
    two.pings(one.ip, 10, 56);
    one.pings(two.ip6, 10, 56);
    two.pings(one.ip6, 10, 1300);
    carries(&pair, two.ip.into());
    wait_for_bfd(&switches[0], "up");
    let shown = switches[0].ok(&["show"]);
    assert!(shown.contains("hv2"), "{shown}");
    end(switches, &["tunnel_mtu"]);
}

/// Addresses that no row has are asked for everywhere, and a packet to nobody known goes to whoever may have it.
#[test]
fn floods_and_unknown_addresses() {
    let mut pair = Pair::new(&OVER_IPV4);
    in_network(&mut pair);
    let switches = pair.start(&[
        "ls-add network1",
        "lsp-add network1 vm1 -- lsp-set-addresses vm1 unknown",
        "lsp-add network1 vm2 -- lsp-set-addresses vm2 unknown",
    ]);
    let [one, two] = &pair.vms;
    let wire = pair.listen(1);
    one.pings(two.ip, 5, 56);
    let seen = carried(&wire.take(6));
    let key = |name: &str| {
        let row = [
            "sbctl",
            "--bare",
            "--columns",
            "tunnel_key",
            "find",
            "Multicast_Group",
            &format!("name={name}"),
        ];
        let key: u32 = switches[0].ok(&row).trim().parse().expect("a key");
        0x0001_0000 | key
    };
    let (flood, unknown) = (key("_MC_flood"), key("_MC_unknown"));
    assert!(seen.contains(&(1, flood, 0x0806)), "the request for the address went to all: {seen:x?}");
    let learned: Vec<_> = seen.iter().filter(|seen| seen.2 == 0x0800).map(|seen| seen.1).collect();
    assert!(
        learned.iter().all(|option| [unknown, 0x0001_0002].contains(option)) && learned.len() == 5,
        "{seen:x?}"
    );
    // To an address that nobody has ever had: it goes to all who may have it, and nothing comes back.
    one.knows("192.168.0.77", "40:44:00:00:00:77");
    let wire = pair.listen(1);
    assert!(
        one.run(&["ping", "-c", "2", "-i", "0.2", "-W", "1", "192.168.0.77"], SOON)
            .out
            .contains("100% packet loss")
    );
    let seen = carried(&wire.take(2));
    assert_eq!(seen.iter().filter(|seen| **seen == (1, unknown, 0x0800)).count(), 2, "{seen:x?}");
    end(switches, &[]);
}

/// The story of the seed: the host of the first machine does all up to the network of the second.
#[test]
fn two_networks_and_a_router_on_two_hosts() {
    let mut pair = Pair::new(&OVER_IPV4);
    routed(&mut pair);
    let switches = pair.start(ROUTED);
    let [one, two] = &pair.vms;
    let wire = pair.listen(1);
    let said = one.run(&["ping", "-c", "3", "-i", "0.2", "-W", "2", &two.ip.to_string()], SOON).out;
    assert_eq!(said.matches("ttl=63").count(), 3, "{said}");
    let mut seen = carried(&wire.take(3));
    seen.retain(|seen| seen.2 == 0x0800);
    assert_eq!(seen, [(2, 0x0002_0001, 0x0800); 3]);
    one.pings(two.ip6, 10, 56);
    two.pings(one.ip, 10, 56);
    carries(&pair, two.ip.into());
    // Too large for the tunnel: named so, with what fits; then TCP, which tries, goes on.
    let big = |to: &str, size: &str| {
        one.run(&["ping", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", size, to], SOON)
    };
    let said = big(&two.ip.to_string(), "1472");
    let said = format!("{}{}", said.out, said.err);
    assert!(said.contains("mtu = 1442") || said.contains("mtu=1442"), "{said}");
    let said = big(&two.ip6.to_string(), "1452");
    let said = format!("{}{}", said.out, said.err);
    assert!(said.contains("mtu = 1442") || said.contains("mtu=1442"), "{said}");
    one.pings(two.ip, 5, 1414);
    one.pings(two.ip6, 5, 1394);
    two.pings(one.ip, 5, 1414);
    carries(&pair, two.ip6.into());
    end(switches, &[]);
}

#[test]
fn an_underlay_of_ipv6_with_a_tag() {
    let underlay = Underlay {
        address: |number| format!("fd50::{number}"),
        prefix: 64,
        keys: "vlan = 50\nmtu = 1500\nchecksum = false\n",
    };
    let mut pair = Pair::new(&underlay);
    routed(&mut pair);
    let switches = pair.start(ROUTED);
    let [one, two] = &pair.vms;
    let wire = Capture::on_wire(&pair.lab, &pair.wire[1], "vlan 50 and ip6 and udp dst port 6081");
    one.pings(two.ip, 5, 56);
    assert!(wire.take(5).len() >= 5);
    two.pings(one.ip6, 5, 56);
    // Twenty bytes less fit than over IPv4.
    one.pings(two.ip, 5, 1394);
    carries(&pair, two.ip.into());
    wait_for_bfd(&switches[1], "up");
    // What else goes by that VLAN is of the tables, and keeps its tag.
    switches[1].flows(&["priority=40000,in_port=2,dl_type=0x88b5,actions=mod_vlan_vid:50,output:1"]);
    switches[0].flows(&["priority=40000,in_port=1,dl_vlan=50,actions=output:2"]);
    let capture = Capture::start(&pair.lab, one, "ether src 02:00:00:00:00:01");
    let plain = eth(0x88b5, &[0x5a; 50]);
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    switches[1].ok(&["inject", "vm", &hex]);
    assert_eq!(capture.take(1), [tagged(&plain, 0x8100, 50)]);
    end(switches, &[]);
}

#[test]
fn a_host_that_is_lost_and_found_again_with_another_address() {
    let mut pair = Pair::new(&OVER_IPV4);
    in_network(&mut pair);
    let [first, second] = pair.start(NETWORK);
    let [one, two] = &pair.vms;
    one.pings(two.ip, 5, 56);
    wait_for_bfd(&first, "up");
    second.kill();
    wait_for_bfd(&first, "down");
    assert!(
        one.run(&["ping", "-c", "2", "-i", "0.2", "-W", "1", &two.ip.to_string()], SOON)
            .out
            .contains("100% packet loss")
    );
    let keys = "mac = \"02:00:00:00:99:02\"\n";
    let second = Switch::start(&pair.lab, &setup(&OVER_IPV4, 1, &pair.wire[1], two, keys));
    second.wait_for_link("uplink");
    told(&second, NETWORK);
    wait_for_bfd(&first, "up");
    wait_for("the machine is reached again", SOON, || {
        one.run(&["ping", "-c", "1", "-W", "1", &two.ip.to_string()], SOON)
            .out
            .contains("ttl=64")
            .then_some(())
    });
    one.pings(two.ip, 10, 56);
    let neighbours = first.json(&["underlay", "show"]);
    assert_eq!(neighbours["neighbours"][0]["mac"], "02:00:00:00:99:02", "{neighbours:#}");
    end([first, second], &["tunnel_unknown_vni", "tx_queue_full", "link_down", "neighbour_queue_full"]);
}

#[test]
fn keys_that_do_not_agree_are_named() {
    let mut pair = Pair::new(&OVER_IPV4);
    in_network(&mut pair);
    let switches = [0, 1].map(|at| Switch::start(&pair.lab, &pair.setups[at]));
    // Another network came first on the second host.
    told(&switches[1], &["ls-add other"]);
    switches.iter().for_each(|switch| told(switch, NETWORK));
    let file = pair.lab.path("keys");
    std::fs::write(&file, switches[1].ok(&["sbctl", "keys"])).expect("write the keys");
    let compared = switches[0].millrace(&["sbctl", "compare", &file]);
    assert_eq!(compared.status, Some(1), "{}{}", compared.out, compared.err);
    let named = format!("{}{}", compared.out, compared.err);
    assert!(named.contains("network1") && named.contains("other"), "{named}");
    let own = switches[0].ok(&["sbctl", "keys"]);
    std::fs::write(&file, own).expect("write the keys");
    switches[0].ok(&["sbctl", "compare", &file]);
    // The one's network is not the other's: nothing gets through, by name.
    let [one, two] = &pair.vms;
    assert!(
        one.run(&["ping", "-c", "2", "-i", "0.2", "-W", "1", &two.ip.to_string()], SOON)
            .out
            .contains("100% packet loss")
    );
    wait_for("the second host names them", SOON, || {
        let named = switches[1].json(&["stats"])["drops"]["tunnel_unknown_vni"].as_u64();
        named.filter(|count| *count > 0)
    });
    end(switches, &["tunnel_unknown_vni"]);
}

/// The other host is told to be elsewhere while both run: by another address of another network, through a router.
#[test]
fn a_host_that_moves_behind_a_router() {
    let mut lab = Lab::new();
    let (router, wire) = lab.router(9, ["192.168.50.254/24", "192.168.60.254/24"]);
    let underlay =
        Underlay { address: |number| format!("192.168.{}.{number}", 40 + 10 * number), ..OVER_IPV4 };
    let routes = ["gateway = \"192.168.50.254\"\n", "routes = [\"192.168.50.0/24 via 192.168.60.254\"]\n"];
    let mut pair = Pair::joined(lab, wire, &underlay, routes);
    in_network(&mut pair);
    let [first, second] = pair.start(NETWORK);
    let [one, two] = &pair.vms;
    let wire = pair.listen(1);
    one.pings(two.ip, 10, 56);
    let frames = wire.take(10);
    // Outer headers as the router leaves them: from its address, with a TTL less one, between the two hosts.
    for frame in &frames {
        assert_eq!(frame[22], 63, "{frame:02x?}");
        assert_eq!(frame[26..34], [192, 168, 50, 1, 192, 168, 60, 2], "{frame:02x?}");
    }
    two.pings(one.ip, 10, 56);
    one.pings(two.ip6, 10, 1300);
    carries(&pair, two.ip.into());
    wait_for_bfd(&first, "up");
    for (switch, hop) in [(&first, "192.168.50.254"), (&second, "192.168.60.254")] {
        let shown = switch.json(&["underlay", "show"]);
        let neighbours = shown["neighbours"].as_array().expect("neighbours");
        assert_eq!((neighbours.len(), &neighbours[0]["ip"]), (1, &hop.into()), "{shown:#}");
    }
    // The second host comes back with the address of another network; the first one learns of it by a command.
    second.kill();
    wait_for_bfd(&first, "down");
    router.ok(&["ip", "address", "add", "192.168.70.254/24", "dev", "eth1"]);
    let moved = Underlay {
        address: |number| if number == 1 { "192.168.50.1" } else { "192.168.70.2" }.to_owned(),
        ..OVER_IPV4
    };
    let keys = "routes = [\"192.168.50.0/24 via 192.168.70.254\"]\n";
    let second = Switch::start(&pair.lab, &setup(&moved, 1, &pair.wire[1], two, keys));
    second.wait_for_link("uplink");
    told(&second, NETWORK);
    let moves =
        "sbctl lsp-unbind vm2 -- chassis-del hv2 -- chassis-add hv2 geneve 192.168.70.2 -- lsp-bind vm2 hv2";
    first.ok(&moves.split(' ').collect::<Vec<_>>());
    let wire = pair.listen(1);
    one.pings(two.ip, 10, 56);
    assert!(wire.take(10).iter().all(|frame| frame[30..34] == [192, 168, 70, 2]));
    two.pings(one.ip, 10, 56);
    wait_for_bfd(&first, "up");
    // Of the address that it had before the first host knows nothing any more.
    let shown = first.json(&["underlay", "show"]);
    let tunnels = shown["tunnels"].as_array().expect("tunnels");
    assert_eq!((tunnels.len(), &tunnels[0]["ip"]), (1, &"192.168.70.2".into()), "{shown:#}");
    end([first, second], &["tunnel_unknown_peer", "link_down", "neighbour_queue_full"]);
}

/// A host whose Ethernet address becomes another, and that says nothing of it: what it is asked it answers, and nobody but
/// the switch asks. A kernel is that host, which knows the switch's address for good.
#[test]
fn an_ethernet_address_that_changes_in_silence_is_found_by_asking() {
    let mut lab = Lab::new();
    let (vm, mut peer) = (lab.host(1), lab.host(2));
    let setup = Setup::new()
        .port("uplink", &format!("type=af_packet iface={} number=1", peer.iface))
        .port("vm", &format!("type=af_packet iface={} number=2", vm.iface))
        .port("geneve", "type=geneve number=3")
        .ovn("system_id", "hv1")
        .table(
            "[underlay]\nport = \"uplink\"\nmac = \"02:00:00:00:99:01\"\naddresses = [\"192.168.50.1/24\"]\n"
                .to_owned(),
        )
        .table("[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.2\"\n".to_owned())
        .flow("in_port=2,actions=set_field:7->tun_id,set_field:192.168.50.2->tun_dst,output:3");
    let becomes = |peer: &mut Host, mac: &str| {
        peer.becomes(mac, &[("192.168.50.2/24", "192.168.50.1")]);
        peer.knows("192.168.50.1", "02:00:00:00:99:01");
    };
    becomes(&mut peer, "02:00:00:00:99:02");
    let switch = Switch::start(&lab, &setup);
    switch.wait_for_link("uplink");
    vm.knows("10.0.0.77", "02:00:00:00:00:77");
    let reaches = |peer: &Host, mac: &str| {
        let capture = Capture::start(&lab, peer, &format!("ether dst {mac} and udp dst port 6081"));
        vm.run(&["ping", "-c", "3", "-i", "0.1", "-W", "1", "10.0.0.77"], SOON);
        assert_eq!(capture.take(3).len(), 3, "tunnelled to {mac}");
    };
    let neighbour = |switch: &Switch| switch.json(&["underlay", "show"])["neighbours"][0].clone();
    reaches(&peer, "02:00:00:00:99:02");
    becomes(&mut peer, "02:00:00:00:99:22");
    assert_eq!(neighbour(&switch)["mac"], "02:00:00:00:99:02", "it was silent");
    // An answer counts for thirty seconds; then it is asked three times where it was, and then everybody is.
    wait_for("the other address is found", Duration::from_secs(45), || {
        let found = neighbour(&switch);
        (found["mac"] == "02:00:00:00:99:22" && found["state"] == "reachable").then_some(())
    });
    reaches(&peer, "02:00:00:00:99:22");
    switch.end(
        &Drops::none().maybe("no_match").maybe("explicit").maybe("link_down").maybe("underlay_not_handled"),
    );
}
