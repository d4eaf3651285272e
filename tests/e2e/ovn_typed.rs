//! Logical networks that are typed in: the seed's commands with one word changed, real kernels as the machines.

use std::fs;

use crate::lab::{Host, Lab, SOON, Setup, Switch};
use crate::ovn::{VM1, VM2, chatter, routed};

/// The words of a command line, quotes gone.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    words.collect()
}

fn setup(one: &Host, two: &Host, state: &str) -> Setup {
    let port = |host: &Host, number, name| {
        format!("type=af_packet iface={} number={number} iface_id={name}", host.iface)
    };
    Setup::new()
        .port("p1", &port(one, 1, "vm1"))
        .port("p2", &port(two, 2, "vm2"))
        .ovn("system_id", "hv1")
        .ovn("state", state)
}

fn hosts(lab: &mut Lab) -> (Host, Host) {
    let (mut one, mut two) = (lab.host(1), lab.host(2));
    one.becomes(VM1, &[("192.168.0.11/24", "192.168.0.1")]);
    two.becomes(VM2, &[("192.168.1.11/24", "192.168.1.1")]);
    (one, two)
}

#[test]
fn the_story_of_the_seed() {
    let mut lab = Lab::new();
    let (one, two) = hosts(&mut lab);
    let state = lab.path("kept");
    let switch = Switch::start(&lab, &setup(&one, &two, &state));
    let path = format!("{}/tests/data/ovn/s2-l3/nbctl-setup.sh", env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(path).expect("read the commands");
    for line in script.lines().filter(|line| line.starts_with("ovn-nbctl ")) {
        let words: Vec<&str> = ["nbctl"].into_iter().chain(words(line).into_iter().skip(1)).collect();
        assert_eq!(switch.ok(&words), "", "{line}");
    }
    switch.ok(&["stats", "--clear"]);
    let shown = switch.ok(&["nbctl", "show"]);
    for part in [
        "(network1)\n",
        "    port vm1\n        addresses: [\"40:44:00:00:00:01 192.168.0.11\"]\n",
        "    port net1-router1\n        type: router\n        addresses: [\"40:44:00:00:00:03\"]\n        router-port: router1-net1\n",
        "    port router1-net2\n        mac: \"40:44:00:00:00:04\"\n        networks: [\"192.168.1.1/24\"]\n",
    ] {
        assert!(shown.contains(part), "{part}{shown}");
    }
    let shown = switch.ok(&["sbctl", "show"]);
    assert!(shown.starts_with("Chassis hv1\n    hostname: "), "{shown}");
    assert!(shown.contains("    Port_Binding vm1\n") && shown.contains("    Port_Binding vm2\n"), "{shown}");
    for (record, key) in
        [(["Datapath_Binding", "network2"], "2\n"), (["Port_Binding", "net2-router1"], "2\n")]
    {
        assert_eq!(switch.ok(&[&["sbctl", "get"], &record[..], &["tunnel_key"]].concat()), key);
    }
    let packet = "inport == \"vm1\" && eth.src == 40:44:00:00:00:01 && eth.dst == 40:44:00:00:00:03 && \
                  ip4.src == 192.168.0.11 && ip4.dst == 192.168.1.11 && ip.ttl == 64";
    let traced = switch.ok(&["trace", "--minimal", "network1", packet]);
    assert!(traced.contains("ip.ttl--;") && traced.ends_with("output(\"vm2\");\n"), "{traced}");
    routed(&one, two.ip.into(), [192, 168, 0, 1].into(), "Time to live exceeded");
    routed(&two, one.ip.into(), [192, 168, 1, 1].into(), "Time to live exceeded");

    // A rule that is typed in holds when the prompt is back, and is taken back the same way.
    switch.ok(&["nbctl", "acl-add", "network1", "from-lport", "1000", "inport == \"vm1\" && icmp4", "drop"]);
    assert!(one.run(&["ping", "-c", "2", "-W", "1", "192.168.1.11"], SOON).out.contains("100% packet loss"));
    switch.ok(&["nbctl", "acl-del", "network1"]);
    one.pings(two.ip, 10, 56);

    // Killed, and started again: as it was.
    let keys = switch.ok(&["sbctl", "--columns=logical_port,tunnel_key", "list", "Port_Binding"]);
    switch.kill();
    let switch = Switch::start(&lab, &setup(&one, &two, &state));
    switch.ok(&["stats", "--clear"]);
    one.pings(two.ip, 10, 56);
    assert_eq!(switch.ok(&["sbctl", "--columns=logical_port,tunnel_key", "list", "Port_Binding"]), keys);
    let refused = switch.refusal(&["nbctl", "ls-add", "network1"]);
    assert!(refused.contains("exists already"), "{refused}");
    switch.end(&chatter());
}

#[test]
fn a_topology_from_a_file() {
    let mut lab = Lab::new();
    let (one, two) = hosts(&mut lab);
    let topology = format!("{}/configs/two-networks.nb", env!("CARGO_MANIFEST_DIR"));
    let switch = Switch::start(&lab, &setup(&one, &two, "").ovn("topology", &topology));
    switch.ok(&["stats", "--clear"]);
    one.pings(two.ip, 10, 56);
    switch.end(&chatter());
}

#[test]
fn a_topology_that_is_wrong() {
    let mut lab = Lab::new();
    let (one, two) = hosts(&mut lab);
    let topology = lab.path("wrong.nb");
    fs::write(&topology, "ls-add a\nls-ad b\n").expect("write the topology");
    let (status, said) = Switch::refuses(&lab, &setup(&one, &two, "").ovn("topology", &topology), None);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("wrong.nb: line 2: there is no command \"ls-ad\"; did you mean ls-add?"), "{said}");
}
