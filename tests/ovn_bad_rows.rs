//! Rows that lead packets in circles, say nothing or refer to nothing: what they spoil is bounded, counted and named, and
//! everything else forwards.

#[path = "support/ovn.rs"]
mod ovn;
mod support;

use ovn::{Chassis, read};
use serde_json::{Value, json};

const PORTS: [(&str, u16); 3] = [("vm1", 1), ("vm2", 2), ("vm3", 3)];
const VM1: [u8; 6] = [0x50, 0x54, 0, 0, 1, 0x11];
const VM2: [u8; 6] = [0x50, 0x54, 0, 0, 1, 0x12];
const VM3: [u8; 6] = [0x50, 0x54, 0, 0, 2, 0x11];
const ROUTER1: [u8; 6] = [0x50, 0x54, 0, 0, 1, 1];

fn rows() -> String {
    read("s6-bad/sb-dump.json")
}

/// A UDP packet of vm1.
fn packet(dst: [u8; 6], to: [u8; 4], ttl: u8, port: u8) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 32, 0, 1, 0, 0, ttl, 17, 0, 0, 10, 1, 0, 0x0b];
    ip.extend(to);
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [&dst[..], &VM1, &[8, 0], &ip, &[0, 9, 2, port, 0, 12, 0, 0, 1, 2, 3, 4]].concat()
}

/// How many packets were dropped, by reason.
fn drops(chassis: &mut Chassis) -> Vec<(String, u64)> {
    let stats = chassis.stats();
    let drops = stats["drops"].as_object().unwrap();
    drops.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
}

/// vm1 reaches vm2 and, if the routers let it, vm3.
fn forwards(chassis: &mut Chassis, through: bool) {
    let near = packet(VM2, [10, 1, 0, 12], 64, 9);
    assert_eq!(chassis.inject("vm1", &near), [("vm2".to_owned(), near.clone())]);
    let far = packet(ROUTER1, [10, 2, 0, 11], 64, 9);
    let out = chassis.inject("vm1", &far);
    match &out[..] {
        [(port, frame)] if through => {
            assert_eq!((&**port, &frame[..6], frame[22]), ("vm3", &VM3[..], 62));
        }
        [] if !through => {}
        _ => panic!("{out:?}"),
    }
}

#[test]
fn a_loop_of_routers_is_cut_and_counted() {
    let mut chassis = Chassis::start("hv1", &PORTS, &rows());
    forwards(&mut chassis, true);
    let mut cut = 0;
    for ttl in (1..=255).rev().chain(1..=255) {
        chassis.ask("stats/clear", &[]);
        let out = chassis.inject("vm1", &packet(ROUTER1, [8, 8, 8, 8], ttl, 9));
        let drops = drops(&mut chassis);
        // It ends here or there, once, and whoever answers it does so once.
        let drops: Vec<(&str, u64)> = drops.iter().map(|(name, count)| (&**name, *count)).collect();
        match (&drops[..], &out[..]) {
            ([("action_limit", 1)], []) if ttl > 16 => cut += 1,
            // The first router at its port for vm1, or the second, says that the time is over.
            ([], [(port, frame)]) if ttl == 1 || ttl % 2 == 0 => {
                assert_eq!((&**port, frame[23], frame[34]), ("vm1", 1, 11), "ttl {ttl}");
            }
            // What the first router says at its other port comes back to it, as from itself.
            ([("explicit", 1)], []) if ttl % 2 == 1 => {}
            other => panic!("ttl {ttl}: {other:?}"),
        }
    }
    assert_eq!(cut, 2 * (255 - 16), "a packet passes from datapath to datapath 16 times and no more");
    forwards(&mut chassis, true);
}

/// What is said of the rows of a table, but for what is not there yet.
fn troubles(chassis: &mut Chassis, table: &str) -> Vec<(String, String)> {
    let all: Value = serde_json::from_str(&chassis.ask("sbctl/troubles", &["--json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = all.as_array().unwrap().iter().filter(|trouble| trouble["table"] == table);
    let all = all.map(|trouble| (text(&trouble["uuid"]), text(&trouble["sentence"])));
    all.filter(|(_, sentence)| !sentence.starts_with("does without")).collect()
}

#[test]
fn what_is_no_match_is_named_and_hinders_nothing() {
    let mut chassis = Chassis::start("hv1", &PORTS, &rows());
    let troubles = troubles(&mut chassis, "Logical_Flow");
    let mut expected = vec![
        ("ip4.dst == ", "the text ends here; expected a field or a constant"),
        (
            "ip4.nothing == 1",
            "there is no field or predicate \"ip4.nothing\"; ovn-sb(5) lists them under Symbols",
        ),
        ("outport == @nobody", "there is no port group \"nobody\"; create it, or correct the name"),
        ("ip4.src == $nowhere", "there is no address set \"nowhere\"; create it, or correct the name"),
        (
            "inport != \"vm1\"",
            "inport is nominal: a flow can ask what it is, not what it is not; use == and count the ! around it",
        ),
    ];
    for (uuid, sentence) in &troubles {
        let matches = chassis.ask("sbctl/get", &["Logical_Flow", uuid, "match"]);
        let matches: String = serde_json::from_str(matches.trim()).unwrap();
        let sentence = sentence.strip_prefix("its match cannot be read: ").unwrap();
        let place = expected.iter().position(|(text, _)| matches.contains(text)).expect(sentence);
        assert_eq!(expected.remove(place).1, sentence);
    }
    assert!(expected.is_empty(), "{expected:?}");
    let show = chassis.ask("show", &[]);
    assert!(show.contains("`millrace sbctl troubles` says why"), "{show}");
    // The one among them that is a match drops what it says, and nothing else is dropped.
    forwards(&mut chassis, true);
    assert_eq!(drops(&mut chassis), []);
    let frame = packet(VM2, [10, 1, 0, 12], 64, 0x9a);
    assert_eq!(chassis.inject("vm1", &frame), []);
    assert_eq!(drops(&mut chassis), [("explicit".to_owned(), 1)]);
}

/// The rows with one more in a table, of these columns.
fn with(rows: &str, table: &str, columns: &[(&str, Value)]) -> String {
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        if value["caption"] == format!("{table} table") {
            let empty = json!(["set", []]);
            let headings = value["headings"].as_array().unwrap().clone();
            let of = |name: &Value| columns.iter().find(|(column, _)| name == column);
            let row = headings.iter().map(|name| of(name).map_or(&empty, |(_, value)| value).clone());
            let row: Value = row.collect::<Vec<_>>().into();
            value["data"].as_array_mut().unwrap().push(row);
        }
        value.to_string() + "\n"
    };
    rows.lines().filter(|text| !text.is_empty()).map(line).collect()
}

#[test]
fn what_refers_to_nothing_is_named_and_hinders_nothing() {
    let cut = rows().replace(r#"["peer","net2-r2"]"#, r#"["peer","nowhere"]"#);
    assert_ne!(cut, rows());
    let uuid = |n: u8| json!(["uuid", format!("00000000-0000-0000-0000-0000000000{n:02}")]);
    let router = {
        let mut chassis = Chassis::start("hv1", &PORTS, &cut);
        let text = chassis.ask("sbctl/get", &["Port_Binding", "r1-net1", "datapath"]);
        json!(["uuid", text.trim()])
    };
    let neighbour = |n: u8, port: &str, ip: &str, mac: &str| {
        [
            ("_uuid", uuid(n)),
            ("datapath", router.clone()),
            ("logical_port", json!(port)),
            ("ip", json!(ip)),
            ("mac", json!(mac)),
            ("timestamp", json!(0)),
        ]
    };
    let mac = "02:00:00:00:00:09";
    let cut = with(&cut, "MAC_Binding", &neighbour(1, "r1-gone", "10.1.0.9", mac));
    let cut = with(&cut, "MAC_Binding", &neighbour(2, "r1-net1", "10.1.0.x", mac));
    let cut = with(&cut, "MAC_Binding", &neighbour(3, "r1-net1", "10.1.0.9", "nobody"));
    let address = |n: u8, dp_key: u32, mac: &str| {
        [("_uuid", uuid(n)), ("dp_key", json!(dp_key)), ("port_key", json!(1)), ("mac", json!(mac))]
    };
    let cut = with(&cut, "FDB", &address(4, 99, mac));
    let cut = with(&cut, "FDB", &address(5, 1, "nobody"));
    let mut chassis = Chassis::start("hv1", &PORTS, &cut);
    let sentences = |found: Vec<(String, String)>| -> Vec<String> {
        let mut sentences: Vec<String> = found.into_iter().map(|(_, sentence)| sentence).collect();
        sentences.sort();
        sentences
    };
    assert_eq!(
        sentences(troubles(&mut chassis, "Port_Binding")),
        [
            r#"its peer "nowhere" is not there, so that nothing passes"#,
            r#"its peer "r2-net2" has another peer or type, so that nothing passes"#
        ]
    );
    assert_eq!(
        sentences(troubles(&mut chassis, "MAC_Binding")),
        [
            r#""10.1.0.9" is no address, or "nobody" none of Ethernet, so that it says nothing"#,
            r#""10.1.0.x" is no address, or "02:00:00:00:00:09" none of Ethernet, so that it says nothing"#,
            r#"its datapath has no port "r1-gone", so that it says nothing"#,
        ]
    );
    assert_eq!(
        sentences(troubles(&mut chassis, "FDB")),
        [
            r#""nobody" is no Ethernet address, so that it says nothing"#,
            "there is no datapath of key 99, so that it says nothing",
        ]
    );
    forwards(&mut chassis, false);
    // What is mended is no trouble any more.
    chassis.ask("sbctl/load", &["--chassis=hv1", &rows()]);
    assert_eq!(troubles(&mut chassis, "Port_Binding"), []);
    forwards(&mut chassis, true);
}
