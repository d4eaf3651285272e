//! Bad input: one clear sentence that names the cause and the mend, and what ran before still runs.

use crate::lab::{Drops, ETHERTYPE_IPV4, Host, Lab, Setup, Switch, eth, ipv4_udp};

/// Holds a refusal to the house rules: it says all of these words, and it is a sentence and not a dump.
fn sentence(said: &str, words: &[&str]) {
    let lower = said.to_lowercase();
    for word in words {
        assert!(lower.contains(&word.to_lowercase()), "\"{word}\" is not in the refusal:\n{said}");
    }
    assert!(!lower.contains("panicked"), "a panic is no refusal:\n{said}");
}

/// One line, of a command.
fn one_line(said: &str, words: &[&str]) {
    sentence(said, words);
    assert_eq!(said.trim_end().lines().count(), 1, "more than one line:\n{said}");
}

/// The last line that the switch said before it ended.
fn last_line(said: &str) -> &str {
    said.trim_end().lines().next_back().unwrap_or_default()
}

/// A switch between two machines, to be pestered.
fn running(lab: &mut Lab) -> (Switch, Host, Host) {
    let (one, two) = (lab.host(1), lab.host(2));
    let switch = Switch::start(lab, &Setup::new().joined(&one.iface, &two.iface));
    one.pings(two.ip, 3, 56);
    (switch, one, two)
}

/// It runs on as before.
fn unharmed(switch: Switch, one: &Host, two: &Host) {
    one.pings(two.ip, 10, 56);
    let ports = switch.json(&["port", "list"]);
    assert_eq!(ports.as_array().map(Vec::len), Some(2), "{ports}");
    switch.end(&Drops::none());
}

#[test]
fn a_port_that_cannot_be_opened() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    let add = |keys: &[&str]| switch.refusal(&[&["port", "add", "p9"], keys].concat());
    one_line(&add(&["type=af_packet", "iface=nosuchif0"]), &["nosuchif0"]);
    one_line(&add(&["type=pcap", "rx_file=/nowhere/at/all.pcap"]), &["/nowhere/at/all.pcap"]);
    one_line(&add(&["type=pcap", "tx_file=/nowhere/at/all.pcap"]), &["/nowhere"]);
    one_line(&add(&["type=vhost-user", "socket=/nowhere/at/all.sock"]), &["/nowhere"]);
    one_line(&add(&["type=vdev", "devargs=net_nosuch0"]), &["net_nosuch0"]);
    one_line(&add(&["type=af_paket", "iface=eth0"]), &["af_paket", "af_packet"]);
    one_line(&add(&["type=af_packet", "ifase=eth0"]), &["ifase", "iface"]);
    unharmed(switch, &one, &two);
}

#[test]
fn a_port_that_cannot_be_opened_at_start() {
    let lab = Lab::new();
    let (status, said) =
        Switch::refuses(&lab, &Setup::new().port("p1", "type=af_packet iface=nosuchif0"), None);
    assert_ne!(status, 0, "{said}");
    sentence(last_line(&said), &["nosuchif0"]);
}

#[test]
fn a_second_owner_of_a_device() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    one_line(
        &switch.refusal(&["port", "add", "p9", "type=af_packet", &format!("iface={}", one.iface)]),
        &["p1"],
    );
    let socket = format!("socket={}", lab.path("vm.sock"));
    switch.ok(&["port", "add", "vm", "type=vhost-user", &socket]);
    one_line(&switch.refusal(&["port", "add", "p9", "type=vhost-user", &socket]), &["vm"]);
    switch.ok(&["port", "del", "vm"]);
    switch.ok(&["port", "add", "null", "type=vdev", "devargs=net_null9,no-rx=1"]);
    one_line(
        &switch.refusal(&["port", "add", "p9", "type=vdev", "devargs=net_null9,no-rx=1"]),
        &["net_null9"],
    );
    switch.ok(&["port", "del", "null"]);
    unharmed(switch, &one, &two);
}

#[test]
fn two_ports_of_one_name() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    let said = switch.refusal(&["port", "add", "p1", "type=null"]);
    one_line(&said, &["a port named \"p1\" exists already", "millrace port del p1"]);
    let said = switch.refusal(&["port", "add", "p9", "type=null", "number=2"]);
    one_line(&said, &["port number 2 is taken"]);
    one_line(&switch.refusal(&["port", "del", "p9"]), &["there is no port", "p9"]);
    unharmed(switch, &one, &two);
    let twice = Setup::new().port("p1", "type=null").port("p1", "type=null");
    let (status, said) = Switch::refuses(&lab, &twice, None);
    assert_ne!(status, 0, "{said}");
    sentence(&said, &["p1"]);
}

#[test]
fn a_core_that_does_not_exist() {
    let lab = Lab::new();
    let (status, said) = Switch::refuses(&lab, &Setup::new().cores(&[1000]), None);
    assert_ne!(status, 0, "{said}");
    sentence(last_line(&said), &["core 1000"]);
}

#[test]
fn too_few_hugepages() {
    let lab = Lab::new();
    // No machine that runs tests has a terabyte of them free.
    let (status, said) = Switch::refuses(&lab, &Setup::new().hugepages("on").memory_mb(1 << 20), None);
    assert_ne!(status, 0, "{said}");
    sentence(last_line(&said), &["hugepages", "nr_hugepages"]);
}

#[test]
fn a_second_switch_on_the_same_socket() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    let (status, said) = Switch::refuses(&lab, &Setup::new(), Some(&switch));
    assert_ne!(status, 0, "{said}");
    sentence(last_line(&said), &[&switch.socket]);
    unharmed(switch, &one, &two);
}

#[test]
fn a_flow_with_an_unknown_field() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    let before = switch.ok(&["ofctl", "dump-flows", "--no-stats"]);
    let said = switch.refusal(&["ofctl", "add-flow", "priority=5,dl_dts=02:00:00:00:00:01,actions=output:1"]);
    sentence(&said, &["dl_dts", "dl_dst"]);
    // The caret stands under the first character of the word.
    let lines: Vec<&str> = said.lines().collect();
    let pointed =
        lines.windows(2).any(|pair| pair[0].find("dl_dts") == pair[1].find('^') && pair[1].contains('^'));
    assert!(pointed, "no caret under dl_dts:\n{said}");
    // One bad flow among good ones, and none of them is there afterwards.
    sentence(
        &switch.refusal(&["ofctl", "add-flow", "tcp,actions=drop", "actions=outpt:1"]),
        &["outpt", "output"],
    );
    sentence(&switch.refusal(&["ofctl", "add-flow", "tp_dst=80,actions=drop"]), &["tp_dst"]);
    assert_eq!(switch.ok(&["ofctl", "dump-flows", "--no-stats"]), before, "flows after and before");
    unharmed(switch, &one, &two);
}

#[test]
fn frames_too_short_and_too_long() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    let hex = |frame: &[u8]| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    one_line(&switch.refusal(&["inject", "p1", &hex(&[0xee; 13])]), &["13 bytes", "Ethernet header"]);
    let over = hex(&eth(0x88b5, &[0; 1500 + 8 + 1]));
    one_line(&switch.refusal(&["inject", "p1", &over]), &["1523 bytes", "MTU 1500", "set-mtu"]);
    let said = switch.refusal(&["inject", "p1", &hex(&eth(ETHERTYPE_IPV4, &[0; 20_000]))]);
    one_line(&said, &["20014"]);
    one_line(&switch.refusal(&["inject", "p1", "abc"]), &["abc", "two for every byte"]);
    one_line(&switch.refusal(&["inject", "p1", "zz"]), &["zz"]);
    unharmed(switch, &one, &two);
}

/// A frame that its input port may receive and its output port may not send.
#[test]
fn a_frame_longer_than_the_mtu_of_its_output() {
    let lab = Lab::new();
    let setup = Setup::new()
        .port("big", "type=null no_rx=true number=1 mtu=9000")
        .port("small", "type=null no_rx=true number=2 mtu=1500")
        .flow("in_port=1,actions=output:2");
    let switch = Switch::start(&lab, &setup);
    let hex = |frame: &[u8]| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for payload in [1472, 1473, 8972] {
        switch.ok(&["inject", "big", &hex(&ipv4_udp(payload))]);
    }
    switch.settle(&Drops::none().exactly("mtu_exceeded", 2));
    assert_eq!(switch.json(&["stats"])["transmitted"], 1);
    switch.end(&Drops::none().exactly("mtu_exceeded", 2));
}

#[test]
fn an_mtu_that_the_device_does_not_take() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    one_line(&switch.refusal(&["port", "set-mtu", "p1", "60000"]), &["MTU"]);
    unharmed(switch, &one, &two);
}

/// Queue and worker that are not there.
#[test]
fn a_handover_to_nobody() {
    let mut lab = Lab::new();
    let (switch, one, two) = running(&mut lab);
    one_line(&switch.refusal(&["rxq", "move", "p1:7", "0"]), &["there is no queue 7"]);
    one_line(&switch.refusal(&["rxq", "move", "p1:0", "5"]), &["there is no worker 5"]);
    unharmed(switch, &one, &two);
}
