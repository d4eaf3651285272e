//! Packets that wait for a neighbour, in the whole switch with OVN's flows: whatever makes the neighbour known lets
//! them go on, by the flows that know it.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use ovn::{Chassis, read};

/// What vm1 sent in s2-l3 to an address that is nobody's.
const UNKNOWN: &str = "404400000003 404400000001 0800 4500005c000000004011f7d2c0a8000bc0a80163 0001000900489891\
                       000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                       202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// The dump with one more table of one row that says 192.168.1.99 is at vm2's address.
fn knowing(dump: &str, table: &str, last: &str) -> String {
    let find = |row: &str| {
        let at = dump.find(row).unwrap();
        let start = dump[..at].rfind("[\"uuid\",\"").unwrap() + "[\"uuid\",\"".len();
        dump[start..start + 36].to_owned()
    };
    let router = find("[\"name\",\"router1\"]");
    let old = dump.find(&format!("\"caption\":\"{table} table\"")).expect("an empty table");
    let (start, end) = (dump[..old].rfind('{').unwrap(), dump[old..].find('}').unwrap() + old + 1);
    let uuid = "11111111-2222-4333-8444-555555555555";
    let (heading, value) = last.split_once('=').unwrap();
    let one = format!(
        "{{\"caption\":\"{table} table\",\
         \"headings\":[\"_uuid\",\"datapath\",\"ip\",\"logical_port\",\"mac\",{heading}],\
         \"data\":[[[\"uuid\",\"{uuid}\"],[\"uuid\",\"{router}\"],\"192.168.1.99\",\"router1-net2\",\
         \"40:44:00:00:00:02\",{value}]]}}"
    );
    format!("{}{one}{}", &dump[..start], &dump[end..])
}

#[test]
fn rows_that_are_loaded_let_packets_go_on_that_wait() {
    let dump = read("s4-dual/sb-dump.json");
    for (table, last) in
        [("MAC_Binding", "\"timestamp\"=0"), ("Static_MAC_Binding", "\"override_dynamic_mac\"=false")]
    {
        let mut switch = Chassis::start("hv1", &[("vm1", 2), ("vm2", 3)], &dump);
        for _ in 0..2 {
            let out = switch.inject("vm1", &bytes(UNKNOWN));
            assert!(
                out.iter().all(|(port, frame)| port == "vm2" && frame[12..14] == [8, 6]),
                "{table}: {out:?}"
            );
        }
        assert_eq!(switch.stats()["in_flight"], 2, "{table}");
        // What else is published meanwhile is nothing to them.
        switch.ask("ofctl/add-flow", &["table=200,actions=drop"]);
        switch.ask("sbctl/load", &["--chassis=hv1", &dump]);
        assert_eq!(switch.stats()["in_flight"], 2, "{table}");
        switch.ask("sbctl/load", &["--chassis=hv1", &knowing(&dump, table, last)]);
        let waited = switch.take();
        let at_once = switch.inject("vm1", &bytes(UNKNOWN));
        assert_eq!(at_once.len(), 1, "{table}");
        assert_eq!(waited, [at_once.clone(), at_once].concat(), "{table}: as if they had known it");
        assert_eq!(waited[0].0, "vm2");
        assert_eq!(switch.stats()["in_flight"], 0, "{table}");
    }
}

#[test]
fn an_answer_lets_packets_go_on_that_wait() {
    let dump = read("s4-dual/sb-dump.json");
    let mut switch = Chassis::start("hv1", &[("vm1", 2), ("vm2", 3)], &dump);
    let asked = switch.inject("vm1", &bytes(UNKNOWN));
    assert_eq!(asked.len(), 1, "a request: {asked:?}");
    // vm2 says that it is 192.168.1.99.
    let reply = "404400000004 404400000002 0806 0001080006040002 404400000002 c0a80163 404400000004 c0a80101";
    let mut waited = switch.inject("vm2", &bytes(reply));
    for _ in 0..200 {
        waited.extend(switch.take());
        if !waited.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let at_once = switch.inject("vm1", &bytes(UNKNOWN));
    assert_eq!(waited, at_once);
    assert_eq!(at_once.len(), 1);
    assert_eq!(switch.stats()["in_flight"], 0);
}
