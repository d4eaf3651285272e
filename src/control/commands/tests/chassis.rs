//! Rows that become flows, ports that are claimed, and what packets teach.

use super::*;
use crate::action::intent::{Intent, Neighbour};
use crate::control::chassis;
use crate::control::learning::{self, MAX_LEARNED, OF_PORT};
use crate::datapath::Told;
use crate::logical::rows::tables::{LogicalFlow, MacBinding, StaticMacBinding};
use crate::logical::rows::{Transaction, Uuid};
use crate::packet::{Mac, PortNo};

/// The seed topology: network1 has key 1, network2 2, router1 3; router1-net2 is port 2 of the router.
pub fn rows() -> String {
    let path = format!("{}/tests/data/ovn/s4-dual/sb-dump.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Bench {
    /// Chassis (or none) and `up` of a logical port.
    pub async fn claim(&mut self, port: &str) -> (bool, String) {
        let chassis = self.ok("sbctl/get", &["Port_Binding", port, "chassis"]).await;
        let up = self.ok("sbctl/get", &["Port_Binding", port, "up"]).await;
        (chassis != "[]\n", up.trim_end().to_owned())
    }

    pub fn flows(&self) -> usize {
        self.handle.borrow().tables.list(&Default::default()).len()
    }

    /// What workers tell.
    pub fn tell(&self, intents: impl IntoIterator<Item = Intent>) {
        let told = intents.into_iter().map(|intent| Told { intent, in_port: PortNo(1), data: Vec::new() });
        self.handle.borrow_mut().intents.extend(told);
    }

    /// Asks for so many rows until they are there; what was printed of them.
    pub async fn rows_of(&mut self, table: &str, columns: &str, count: usize) -> Vec<String> {
        let columns = format!("--columns={columns}");
        let mut last = Vec::new();
        for _ in 0..600 {
            let text = self.ok("sbctl/list", &["--bare", &columns, table]).await;
            last =
                text.split("\n\n").filter(|row| !row.is_empty()).map(|row| row.trim().to_owned()).collect();
            if last.len() == count && self.handle.borrow().intents.is_empty() {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{table} has {} rows and not {count}", last.len());
    }
}

fn up(claimed: bool) -> (bool, String) {
    (claimed, claimed.to_string())
}

#[test]
fn a_bound_port_is_claimed_and_up() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        let empty = bench.flows();
        assert!(empty < 20, "those that no row asks for: {empty}");
        let loaded = bench.json("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert_eq!(loaded["bound"], 1);
        assert_eq!((bench.claim("vm1").await, bench.claim("vm2").await), (up(true), up(false)));
        let with_one = bench.flows();
        assert!(with_one > 100, "{with_one}");
        // One more port changes a few flows with one publication, which the answer is for.
        let before = bench.handle.borrow().published;
        bench.ok("port/set", &["p2", "iface_id=vm2"]).await;
        assert_eq!(bench.claim("vm2").await, up(true));
        assert!((with_one + 1..with_one + 12).contains(&bench.flows()), "{}", bench.flows());
        assert_eq!(bench.handle.borrow().published, before + 1);
        // It goes, and with it what was there for it alone.
        bench.ok("port/set", &["p2", "iface_id="]).await;
        assert_eq!(bench.claim("vm2").await, up(false));
        assert_eq!(bench.flows(), with_one);
        bench.ok("port/del", &["p1"]).await;
        assert_eq!(bench.claim("vm1").await, up(false));
        assert_eq!(bench.flows(), empty, "no datapath is needed any more");
        // Back again under another number.
        bench.ok("port/add", &["p3", "type=memory", "number=9", "iface_id=vm1"]).await;
        assert_eq!(bench.claim("vm1").await, up(true));
        assert_eq!(bench.flows(), with_one);
        let flow = bench.ok("ofctl/dump-flows", &["--no-names", "table=65"]).await;
        assert!(flow.contains("actions=output:9"), "{flow}");
    });
}

#[test]
fn a_chassis_has_a_name_and_so_has_a_logical_port() {
    bench(async |mut bench| {
        let long = format!("--chassis={}", "x".repeat(10_000));
        for bad in ["--chassis=", "--chassis=  ", "--chassis=a\nb", &long] {
            let refused = bench.refused("sbctl/load", &[bad, &rows()]).await;
            assert!(refused.contains("is no name of a chassis; give the name"), "{refused}");
            assert!(refused.len() < 300, "{refused}");
        }
        assert_eq!(bench.ok("sbctl/list", &["Port_Binding"]).await, "", "nothing was loaded");
        for blank in ["iface_id= ", "iface_id=\t"] {
            let refused = bench.refused("port/set", &["p1", blank]).await;
            assert!(refused.contains("the name of a logical port"), "{refused}");
        }
    });
}

#[test]
fn what_is_no_port_is_not_counted_as_bound() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("port/set", &["p2", "iface_id=net1-router1"]).await;
        let loaded = bench.json("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert_eq!(loaded["bound"], 1);
        let troubles = bench.ok("sbctl/troubles", &[]).await;
        let expected =
            "is port 2 here, but ports of type \"patch\" are not switch ports; bind one without a type";
        assert!(troubles.contains(expected), "{troubles}");
        assert_eq!((bench.claim("vm1").await, bench.claim("net1-router1").await), (up(true), up(false)));
    });
}

/// With a port a whole network may come: it does on another thread, so that others are served meanwhile.
#[test]
fn a_port_that_may_bring_much_is_followed_elsewhere() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let mut many = Transaction::new();
        for n in 0..5000u128 {
            many.put(Uuid(1 << 90 | n), LogicalFlow { priority: n as u16, ..LogicalFlow::default() });
        }
        bench.switch.state_mut().logical.rows.commit(many).unwrap();
        bench.switch.follow().await.unwrap();
        let before = bench.switch.state().logical.busy;
        bench.switch.state_mut().logical.lower = |following, delta, rebound| {
            if !rebound.ports.is_empty() {
                std::thread::sleep(Duration::from_secs(1));
            }
            chassis::lower(following, delta, rebound)
        };
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        assert!(bench.switch.state().logical.busy - before < Duration::from_secs(1));
        assert_eq!(bench.claim("vm1").await, up(true));
    });
}

#[test]
fn nothing_is_claimed_for_a_chassis_that_is_not_known() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        let loaded = bench.ok("sbctl/load", &["--chassis=hv9", &rows()]).await;
        assert!(
            loaded.contains("no row of Chassis has the name \"hv9\", so it can claim no port"),
            "{loaded}"
        );
        assert_eq!(bench.claim("vm1").await, up(false));
        bench.ok("sbctl/load", &[&rows()]).await;
        assert_eq!(bench.claim("vm1").await, up(false));
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        assert_eq!(bench.claim("vm1").await, up(true));
    });
}

#[test]
fn a_provider_network_is_claimed_by_nobody() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=pub-ln"]).await;
        bench.ok("port/set", &["p2", "iface_id=web1"]).await;
        let path = format!("{}/tests/data/ovn/s3-rich/chassis/sb-dump.json", env!("CARGO_MANIFEST_DIR"));
        let loaded =
            bench.json("sbctl/load", &["--chassis=gw1", &std::fs::read_to_string(path).unwrap()]).await;
        assert_eq!(loaded["bound"], 2);
        assert_eq!((bench.claim("pub-ln").await, bench.claim("web1").await), (up(false), up(true)));
        // What another chassis has and is not here stays with it.
        assert_eq!(bench.claim("db2").await, up(true));
    });
}

#[test]
fn what_another_dump_says_takes_the_place_of_what_was_claimed() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        let empty = bench.flows();
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let flows = bench.flows();
        let text = bench.ok("ofctl/dump-flows", &["--no-stats"]).await;
        for _ in 0..2 {
            bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
            assert_eq!(bench.ok("ofctl/dump-flows", &["--no-stats"]).await, text);
            assert_eq!((bench.claim("vm1").await, bench.flows()), (up(true), flows));
        }
        // A hand-written flow is not theirs to take away.
        bench.ok("ofctl/add-flow", &["table=200,actions=drop"]).await;
        let renamed = rows().replace("vm1", "vm9");
        bench.ok("sbctl/load", &["--chassis=hv1", &renamed]).await;
        assert_eq!(bench.claim("vm9").await, up(false));
        assert_eq!(bench.flows(), empty + 1);
        assert_eq!(bench.ok("ofctl/dump-flows", &["table=200"]).await.lines().count(), 1);
        bench.ok("port/set", &["p1", "iface_id=vm9"]).await;
        assert_eq!((bench.claim("vm9").await, bench.flows()), (up(true), flows + 1));
    });
}

#[test]
fn a_silent_worker_does_not_hold_up_a_claim_for_ever() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        bench.handle.borrow_mut().silent = vec![1];
        let said = bench.json("port/set", &["p1", "iface_id=vm1"]).await;
        assert_eq!(said["not_yet_visible_on"], json!([1]));
        assert_eq!(bench.claim("vm1").await, up(true));
    });
}

pub fn neighbour(ip: &str, port: u32, mac: u64) -> Intent {
    let ip: std::net::IpAddr = ip.parse().unwrap();
    let ip = match ip {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    Intent::Neighbour(Neighbour { datapath: 3, port, ip }, Mac::from_u64(mac))
}

/// How many neighbours were told to those who wait for them. Each has to be told just before the tables are published
/// that know it.
fn told_of(events: &[String]) -> usize {
    let is_told = |event: &&String| event.starts_with("learned");
    for (event, next) in events.iter().zip(&events[1..]) {
        assert!(!is_told(&event) || is_told(&next) || next == "tables", "{events:?}");
    }
    assert!(!events.last().is_some_and(|last| is_told(&last)), "{events:?}");
    events.iter().filter(is_told).count()
}

#[test]
fn who_waits_for_a_neighbour_is_told_with_the_tables_that_know_it() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        // Something else is published between that a neighbour is learned and that it is in the tables.
        let switch = Rc::clone(&bench.switch);
        let turn = switch.following_turn().await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        bench.tell([neighbour("192.168.1.99", 2, 0x0200_0000_0099)]);
        bench.rows_of("MAC_Binding", "ip", 1).await;
        bench.ok("ofctl/add-flow", &["table=200,actions=drop"]).await;
        assert_eq!(told_of(&bench.handle.borrow().events), 0, "nothing knows it yet");
        drop(turn);
        while told_of(&bench.handle.borrow().events) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        learning.abort();
        // What is loaded is known as well; what stays as it is is no news, nor what is of a datapath that is not here.
        let store = bench.switch.state().logical.rows.snapshot().clone();
        let told = |bench: &Bench| told_of(&bench.handle.borrow().events);
        let (datapath, _) = store.datapath_by_key(3).unwrap();
        let mut known = Transaction::new();
        let logical_port = "router1-net2".to_owned();
        for (n, datapath) in [(1, datapath), (2, datapath), (3, store.datapath_by_key(1).unwrap().0)] {
            let (ip, mac) = (format!("192.168.1.{}", 50 + n), "02:00:00:00:00:01".to_owned());
            let row = MacBinding { datapath, ip, logical_port: logical_port.clone(), mac, timestamp: 0 };
            known.put(Uuid(n), row);
        }
        let (ip, mac) = ("fd00:2::50".to_owned(), "02:00:00:00:00:02".to_owned());
        let row = StaticMacBinding { datapath, ip, logical_port, mac, override_dynamic_mac: false };
        known.put(Uuid(9), row);
        bench.switch.state_mut().logical.rows.commit(known).unwrap();
        bench.switch.follow().await.unwrap();
        assert_eq!(told(&bench), 4);
        let mut later = Transaction::new();
        let row = bench.switch.state().logical.rows.snapshot().get::<MacBinding>(Uuid(1)).unwrap().clone();
        later.put(Uuid(1), MacBinding { timestamp: 5, ..MacBinding::clone(&row) });
        bench.switch.state_mut().logical.rows.commit(later).unwrap();
        bench.switch.follow().await.unwrap();
        assert_eq!(told(&bench), 4);
    });
}

#[test]
fn neighbours_become_rows_and_flows() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        let flows = bench.flows();
        bench.tell([
            neighbour("192.168.1.99", 2, 0x0200_0000_0099),
            neighbour("fd00:2::99", 2, 0x0200_0000_0099),
            // Told twice, of a datapath that is not there, of a port that is not there.
            neighbour("192.168.1.99", 2, 0x0200_0000_0099),
            Intent::Neighbour(
                Neighbour { datapath: 77, port: 2, ip: std::net::Ipv6Addr::LOCALHOST },
                Mac::from_u64(1),
            ),
            neighbour("192.168.1.98", 77, 1),
        ]);
        let mut learned = bench.rows_of("MAC_Binding", "ip,mac,logical_port", 2).await;
        learned.sort();
        assert_eq!(
            learned,
            ["192.168.1.99\n02:00:00:00:00:99\nrouter1-net2", "fd00:2::99\n02:00:00:00:00:99\nrouter1-net2"]
        );
        // How to reach each, and that it is known.
        assert_eq!(bench.flows(), flows + 4);
        let events = bench.handle.borrow().events.clone();
        assert_eq!(told_of(&events), 2, "{events:?}");
        // It moves: the same row.
        let before = bench.ok("sbctl/find", &["--columns=_uuid", "MAC_Binding", "ip=192.168.1.99"]).await;
        bench.tell([neighbour("192.168.1.99", 2, 0x0200_0000_0077)]);
        bench.rows_of("MAC_Binding", "ip", 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let row = ["--bare", "--columns=mac", "MAC_Binding", "ip=192.168.1.99"];
        assert_eq!(bench.ok("sbctl/find", &row).await, "02:00:00:00:00:77\n");
        let after = bench.ok("sbctl/find", &["--columns=_uuid", "MAC_Binding", "ip=192.168.1.99"]).await;
        assert_eq!(before, after);
        learning.abort();
    });
}

#[test]
fn addresses_become_rows_up_to_a_number() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        let fdb =
            |datapath, port, n: u64| Intent::Fdb { datapath, port, mac: Mac::from_u64(0x0200_0000_0000 + n) };
        // One port cannot have all of the room; all of them together cannot have more.
        let share = OF_PORT as u64;
        bench.tell((0..share + 10).map(|n| fdb(1, 1, n)));
        bench.rows_of("FDB", "mac", OF_PORT).await;
        bench.tell((0..share - 5).map(|n| fdb(1, 2, 10_000 + n)));
        bench.tell((0..10).map(|n| fdb(1, 3, 20_000 + n)));
        // Another datapath has room of its own.
        bench.tell([fdb(2, 1, 0)]);
        bench.rows_of("FDB", "mac", MAX_LEARNED + 1).await;
        let not_learned = |bench: &Bench| bench.switch.state().logical.not_learned.addresses;
        assert_eq!(not_learned(&bench), 15);
        let said = "FDB: 15 addresses were not learned, since a datapath has at most 8192 and a port 4096\n";
        assert!(bench.ok("sbctl/troubles", &[]).await.starts_with(said));
        // What is known may move still, where the port has room.
        bench.tell([fdb(1, 2, 3), fdb(1, 1, 10_003)]);
        bench.rows_of("FDB", "mac", MAX_LEARNED + 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let row = ["--bare", "--columns=port_key", "FDB", "dp_key=1", "mac=\"02:00:00:00:00:03\""];
        assert_eq!(bench.ok("sbctl/find", &row).await, "2\n");
        assert_eq!(not_learned(&bench), 16, "the first port was full");
        // And now it is not.
        bench.tell([fdb(1, 1, 10_003)]);
        let row = ["--bare", "--columns=port_key", "FDB", "dp_key=1", "mac=\"02:00:00:00:27:13\""];
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if bench.ok("sbctl/find", &row).await == "1\n" {
                learning.abort();
                return;
            }
        }
        panic!("{}", bench.ok("sbctl/find", &row).await);
    });
}

#[test]
fn neighbours_become_rows_up_to_a_number() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        let ip = |n: usize| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        bench.tell((0..OF_PORT + 10).map(|n| neighbour(&ip(n), 2, 1)));
        bench.tell([neighbour("10.9.9.9", 1, 1)]);
        bench.rows_of("MAC_Binding", "ip", OF_PORT + 1).await;
        assert_eq!(bench.switch.state().logical.not_learned.neighbours, 10);
        // Rows that go leave room.
        bench.ok("sbctl/load", &["--chassis=hv1", &rows()]).await;
        bench.tell([neighbour("10.0.0.1", 2, 1)]);
        bench.rows_of("MAC_Binding", "ip", 1).await;
        learning.abort();
    });
}

#[test]
fn neighbours_age_where_their_datapath_says_so() {
    bench(async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        // One second, for the router alone.
        let aged = rows().replace(
            "[\"name\",\"router1\"]",
            "[\"name\",\"router1\"],[\"mac_binding_age_threshold\",\"1\"]",
        );
        assert_ne!(aged, rows());
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        for (dump, left) in [(rows(), 1), (aged, 0)] {
            bench.ok("sbctl/load", &["--chassis=hv1", &dump]).await;
            let flows = bench.flows();
            bench.tell([neighbour("192.168.1.99", 2, 0x0200_0000_0099)]);
            bench.rows_of("MAC_Binding", "ip", 1).await;
            tokio::time::sleep(Duration::from_millis(2300)).await;
            bench.rows_of("MAC_Binding", "ip", left).await;
            assert_eq!(bench.flows(), flows + 2 * left);
        }
        learning.abort();
    });
}
