use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::*;
use crate::config::{self, Ovn};
use crate::control::elsewhere::Elsewhere;
use crate::control::switch::SILENCE;
use crate::control::testing::{Handle, MemoryDatapath};
use crate::datapath::{Continuation, PacketIn};
use crate::pipeline::stats::{FlowCount, StatsId};

struct Bench {
    switch: Rc<Switch>,
    handle: Rc<RefCell<Handle>>,
    session: Session,
}

impl Bench {
    /// What a client reads.
    async fn reply(&mut self, method: &str, params: &[&str]) -> Value {
        let params = params.iter().map(|param| Param::Text((*param).to_owned())).collect();
        let request = Request { id: Id::Number(1.into()), method: method.to_owned(), params };
        let bytes = answer(&self.switch, &mut self.session, request).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    async fn ok(&mut self, method: &str, params: &[&str]) -> String {
        let reply = self.reply(method, params).await;
        assert_eq!(reply["error"], Value::Null, "{method} {params:?}");
        reply["result"].as_str().unwrap().to_owned()
    }

    async fn refused(&mut self, method: &str, params: &[&str]) -> String {
        let reply = self.reply(method, params).await;
        assert_eq!(reply["result"], Value::Null, "{method} {params:?}");
        let sentence = reply["error"].as_str().unwrap();
        sentence.strip_suffix('\n').unwrap().to_owned()
    }

    /// Another client.
    fn another(&self) -> Self {
        Self { switch: Rc::clone(&self.switch), handle: Rc::clone(&self.handle), session: Session::default() }
    }

    /// The switch's housekeeping.
    fn tick(&self) {
        self.switch.state_mut().expire_flows();
    }

    async fn json(&mut self, method: &str, params: &[&str]) -> Value {
        let params: Vec<&str> = params.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(method, &params).await).unwrap()
    }
}

/// Runs a test on a switch with two workers and the ports p1 and p2.
fn bench(test: impl AsyncFnOnce(Bench)) {
    bench_with(&Ovn::unkept(), test);
}

/// The same with what a configuration says of logical networks, which begin as it says.
fn bench_with(ovn: &Ovn, test: impl AsyncFnOnce(Bench)) {
    bench_among(ovn, &[], test);
}

/// The same among other chassis.
fn bench_among(ovn: &Ovn, others: &[config::Chassis], test: impl AsyncFnOnce(Bench)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (path, handle) = MemoryDatapath::new(2);
        let switch = Rc::new(Switch::new("br0", Box::new(path), ovn));
        switch.state_mut().logical.bound.say_elsewhere(Elsewhere::of(others));
        switch.start_northbound(ovn).await.unwrap();
        let mut bench = Bench { switch, handle, session: Session::default() };
        assert_eq!(bench.ok("port/add", &["p1", "type=memory", "n_rxq=2"]).await, "port 1\n");
        assert_eq!(bench.ok("port/add", &["p2", "type=memory", "mtu=9000"]).await, "port 2\n");
        test(bench).await;
    });
}

#[test]
fn names_are_sorted_and_known() {
    assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
    assert!(COMMANDS.iter().all(|command| command.min <= command.max && !command.help.is_empty()));
}

#[test]
fn the_list_of_commands_is_in_ovs_form() {
    bench(async |mut bench| {
        let text = bench.ok("list-commands", &[]).await;
        assert!(
            text.starts_with("The available commands are:\n  bfd/show                  [CHASSIS]\n  detrace                   COOKIE...\n  dpctl/del-flows           [DP]\n")
                && text.contains(
                    "\n  dpif-netdev/pmd-perf-show [-nh] [-pmd CORE] [DP]\n  dpif-netdev/pmd-rxq-show\n"
                ),
            "{text}"
        );
        assert!(text.contains("\n  port/add                  NAME KEY=VALUE...\n"), "{text}");
        let list = bench.json("list-commands", &[]).await;
        assert_eq!(list.as_array().unwrap().len(), COMMANDS.len());
    });
}

#[test]
fn wrong_calls_are_refused_as_ovs_refuses_them() {
    bench(async |mut bench| {
        for (method, params, sentence) in [
            ("port/add", &["x"][..], "\"port/add\" command requires at least 2 arguments"),
            ("drops", &["x"], "\"drops\" command takes at most 0 arguments"),
            ("ofctl/mod-flows", &["--strict"], "\"ofctl/mod-flows\" command requires at least 1 arguments"),
            ("ofctl/del-flows", &["a", "b"], "\"ofctl/del-flows\" command takes at most 1 arguments"),
            (
                "port/lst",
                &[],
                "\"port/lst\" is not a valid command (use \"list-commands\" to see a list of valid commands); did you \
                 mean \"port/list\"?",
            ),
            (
                "xyzzy",
                &[],
                "\"xyzzy\" is not a valid command (use \"list-commands\" to see a list of valid commands)",
            ),
            ("port/del", &["p3"], "there is no port \"p3\"; \"port/list\" lists the ports"),
        ] {
            let got = bench.refused(method, params).await;
            assert_eq!(got, sentence);
        }
        let number =
            Request { id: Id::Number(1.into()), method: "show".to_owned(), params: vec![Param::Other] };
        let bytes = answer(&bench.switch, &mut bench.session, number).await.unwrap();
        assert!(String::from_utf8(bytes).unwrap().contains(r#"\"show\" command has non-string argument"#));
        let note = Request { id: Id::None, method: "show".to_owned(), params: Vec::new() };
        assert_eq!(answer(&bench.switch, &mut bench.session, note).await, None);
    });
}

#[test]
fn json_comes_as_ovs_gives_it() {
    bench(async |mut bench| {
        assert_eq!(bench.reply("echo", &["a", "b"]).await["result"], json!(["a", "b"]));
        let version = json!({"name": "millraced", "version": env!("CARGO_PKG_VERSION"), "dpdk": cfg!(feature = "dpdk")});
        assert_eq!(bench.json("version", &[]).await, version);
        let leading = bench.ok("port/stats", &["--json", "p1"]).await;
        assert_eq!(serde_json::from_str::<Value>(&leading).unwrap()[0]["number"], 1);

        assert!(bench.refused("set-options", &["--format", "xml"]).await.contains("invalid value xml"));
        let set = bench.reply("set-options", &["--format", "json"]).await;
        assert_eq!(set["result"], json!({"reply-format": "plain", "reply": ""}));
        assert_eq!(bench.reply("version", &[]).await["result"], version);
        bench.ok("set-options", &["--format", "text"]).await;
        assert!(bench.ok("version", &[]).await.starts_with("millraced "));
    });
}

#[test]
fn ports_come_and_go() {
    bench(async |mut bench| {
        assert_eq!(
            bench.ok("port/list", &[]).await,
            "port  name  type    link    address             mtu  rxqs  txqs  driver  iface-id\n\
             \x20  1  p1    memory  up 10G  02:00:00:00:00:01  1500     2     2  memory\n\
             \x20  2  p2    memory  up 10G  02:00:00:00:00:02  9000     1     2  memory\n"
        );
        assert!(bench.refused("port/add", &["p1", "type=memory"]).await.contains("exists already"));
        assert!(bench.refused("port/add", &["p3", "memory"]).await.contains("not KEY=VALUE"));
        assert!(bench.refused("port/add", &["p3", "type=memry"]).await.contains("memory"));
        assert_eq!(bench.ok("port/set-mtu", &["1", "9000"]).await, "");
        assert!(bench.refused("port/set-mtu", &["p1", "9001"]).await.contains("at most 9000"));
        assert!(bench.refused("port/set-mtu", &["p1", "0"]).await.contains("no MTU"));
        let stats = bench.ok("port/stats", &["p2"]).await;
        assert!(
            stats.starts_with("port 2 p2\n")
                && stats.contains("\n  device rx missed, no descriptor free    4\n")
        );
        assert_eq!(bench.json("port/stats", &[]).await[1]["name"], "p2");
        assert_eq!(bench.ok("port/del", &["p1"]).await, "");
        assert_eq!(bench.handle.borrow().events, ["add 1", "add 2", "unpublish 1", "close 1"]);
        bench.ok("port/del", &["2"]).await;
        assert_eq!(bench.ok("port/list", &[]).await, "no ports\n");
    });
}

#[test]
fn a_port_is_a_logical_port() {
    bench(async |mut bench| {
        bench.ok("port/add", &["p3", "type=memory", "iface_id=vm 1"]).await;
        assert_eq!(bench.ok("port/set", &["p1", "iface_id=vm2", "mtu=1400"]).await, "");
        let list = bench.json("port/list", &[]).await;
        let of = |at: usize| (list[at]["iface_id"].clone(), list[at]["mtu"].clone());
        assert_eq!([of(0), of(2)], [(json!("vm2"), json!(1400)), (json!("vm 1"), json!(1500))]);
        let taken = bench.refused("port/set", &["p1", "iface_id=vm 1"]).await;
        assert_eq!(
            taken,
            "the logical port vm 1 is port \"p3\" already; take it from there with `millrace port set p3 iface_id=`"
        );
        assert_eq!(bench.ok("port/set", &["p3", "iface_id="]).await, "");
        bench.ok("port/set", &["p1", "iface_id=vm 1"]).await;
        for (pair, part) in [
            ("iface_id", "cannot be set on a running port"),
            ("type=null", "cannot be set on a running port"),
            ("iface_id=a\nb", "is not the name of a logical port"),
            ("mtu=x", "no MTU"),
        ] {
            let sentence = bench.refused("port/set", &["p1", pair]).await;
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(bench.refused("port/set", &["p9", "mtu=1500"]).await.contains("there is no port \"p9\""));
    });
}

#[test]
fn a_queue_is_handed_over_in_two_steps() {
    bench(async |mut bench| {
        assert_eq!(bench.ok("rxq/move", &["p1:1", "0"]).await, "");
        assert_eq!(bench.handle.borrow().events[2..], ["unassign 1:1", "assign 1:1 to 0"]);
        for (place, worker, part) in [
            ("p1", "0", "is no receive queue"),
            ("p1:x", "0", "is no receive queue"),
            ("p1:0", "x", "is no worker"),
            ("p1:9", "0", "there is no queue 9"),
            ("p1:0", "7", "there is no worker 7"),
            ("p9:0", "0", "there is no port \"p9\""),
        ] {
            let sentence = bench.refused("rxq/move", &[place, worker]).await;
            assert!(sentence.contains(part), "{sentence}");
        }
        let text = bench.ok("rxq/show", &[]).await;
        assert_eq!(
            text,
            "pmd thread numa_id 0 core_id 1:\n  worker : 0\n  isolated : false\n\
             \x20 port: p1                queue-id:  0 (enabled)   pmd usage:  0 %\n\
             \x20 port: p1                queue-id:  1 (enabled)   pmd usage:  0 %\n\
             \x20 port: p2                queue-id:  0 (enabled)   pmd usage:  0 %\n\
             \x20 busy: 25 %\n\
             pmd thread numa_id 0 core_id 2:\n  worker : 1\n  isolated : false\n  busy: 25 %\n"
        );
        assert_eq!(bench.ok("dpif-netdev/pmd-rxq-show", &[]).await, text);
        let workers = bench.ok("worker/list", &[]).await;
        assert!(
            workers.lines().nth(1).unwrap().starts_with("     0     1     0     3  25.0 %  12.5 %    100"),
            "{workers}"
        );
    });
}

#[test]
fn a_silent_worker_is_named_and_the_rest_is_finished_later() {
    bench(async |mut bench| {
        bench.handle.borrow_mut().silent = vec![1];
        assert_eq!(
            bench.ok("ofctl/add-flow", &["actions=drop"]).await,
            "published, not yet visible on worker 1\n"
        );
        assert_eq!(bench.ok("port/del", &["p1"]).await, "published, not yet visible on worker 1\n");
        assert_eq!(bench.ok("rxq/move", &["p2:0", "1"]).await, "published, not yet visible on worker 1\n");
        let unfinished = ["unpublish 1", "unassign 2:0"];
        assert_eq!(bench.handle.borrow().events[3..], unfinished);
        bench.handle.borrow_mut().silent.clear();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut finished = bench.handle.borrow().events[5..].to_vec();
        finished.sort();
        assert_eq!(finished, ["assign 2:0 to 1", "close 1"]);
    });
}

#[test]
fn commands_wait_together() {
    bench(async |bench| {
        bench.handle.borrow_mut().silent = vec![0, 1];
        let before = std::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..20 {
            let switch = Rc::clone(&bench.switch);
            tasks.spawn_local(async move {
                let flow = format!("priority={number},actions=drop");
                let params = vec![Param::Text(flow)];
                let request =
                    Request { id: Id::Number(1.into()), method: "ofctl/add-flow".to_owned(), params };
                String::from_utf8(answer(&switch, &mut Session::default(), request).await.unwrap()).unwrap()
            });
        }
        for reply in tasks.join_all().await {
            assert!(reply.contains("not yet visible on workers 0, 1"), "{reply}");
        }
        assert!(before.elapsed() < Duration::from_secs(5), "twenty waits of a second go on at once");
    });
}

fn without_times(dump: &str) -> String {
    let kept = |part: &&str| !part.contains("duration=") && !part.contains("_age=");
    dump.split(", ").filter(kept).collect::<Vec<_>>().join(", ")
}

#[test]
fn flows_are_added_changed_dumped_and_deleted() {
    bench(async |mut bench| {
        assert_eq!(
            bench.ok("ofctl/add-flow", &["priority=5,ip,in_port=p1,actions=p2", "actions=drop"]).await,
            ""
        );
        let dump = bench.ok("ofctl/dump-flows", &[]).await;
        assert!(dump.starts_with(" cookie=0x0, duration=0") && dump.contains("idle_age=0"), "{dump}");
        assert_eq!(
            bench.ok("ofctl/dump-flows", &["--no-stats"]).await,
            " actions=drop\n priority=5,ip,in_port=1 actions=output:2\n"
        );
        assert_eq!(
            bench.ok("ofctl/dump-flows", &["--names", "--no-stats", "ip"]).await,
            " priority=5,ip,in_port=p1 actions=output:p2\n"
        );
        bench.ok("ofctl/mod-flows", &["ip,actions=drop"]).await;
        bench.ok("ofctl/mod-flows", &["--strict", "priority=5,ip,in_port=1,actions=in_port"]).await;
        assert_eq!(
            bench.ok("ofctl/dump-flows", &["--no-stats", "in_port=1"]).await,
            " priority=5,ip,in_port=1 actions=IN_PORT\n"
        );
        let flows = bench.json("ofctl/dump-flows", &["ip"]).await;
        assert_eq!(flows[0]["match"], "ip,in_port=1");
        assert_eq!((&flows[0]["priority"], &flows[0]["n_packets"]), (&json!(5), &json!(0)));
        assert_eq!(
            bench.ok("ofctl/dump-aggregate", &[]).await,
            "NXST_AGGREGATE reply (xid=0x4): packet_count=0 byte_count=0 flow_count=2\n"
        );
        assert_eq!(
            bench.ok("ofctl/dump-tables", &[]).await,
            "OFPST_TABLE reply (xid=0x2):\n  table 0:\n    active=2\n2 flows in 1 table\n"
        );
        bench.ok("ofctl/del-flows", &["--strict", "priority=5,ip,in_port=1"]).await;
        let removed = bench.json("ofctl/del-flows", &[]).await;
        assert_eq!(removed["removed"], 1);
        assert_eq!(without_times(&bench.ok("ofctl/dump-flows", &[]).await), "");
        assert!(bench.refused("ofctl/dump-flows", &["--sort"]).await.contains("no option \"--sort\""));
    });
}

#[test]
fn a_batch_is_one_publication_or_none() {
    bench(async |mut bench| {
        let before = bench.handle.borrow().published;
        let file =
            "# two tables\nadd table=1,actions=drop\n\nactions=resubmit(,1)\nmodify table=1,actions=p1\n";
        bench.ok("ofctl/add-flows", &[file]).await;
        assert_eq!(bench.handle.borrow().published, before + 1);
        assert_eq!(bench.handle.borrow().tables.len(), 2);
        bench.ok("ofctl/del-flows", &["table=7"]).await;
        assert_eq!(bench.handle.borrow().published, before + 1, "what changes nothing publishes nothing");

        let refused =
            bench.refused("ofctl/add-flows", &["actions=drop\nip,nw_src=10.0.0.300,actions=drop\n"]).await;
        assert!(refused.starts_with("line 2: error: ") && refused.contains("^^^^^^^^^^"), "{refused}");
        let refused =
            bench.refused("ofctl/add-flow", &["table=9,actions=drop", "actions=goto_table:0"]).await;
        assert!(refused.starts_with("flow 2: "), "{refused}");
        let refused = bench.refused("ofctl/dump-flows", &["ipp"]).await;
        assert!(refused.contains("ipp") && refused.contains("^^^"), "{refused}");
        assert_eq!(bench.handle.borrow().published, before + 1);
        assert_eq!(bench.handle.borrow().tables.len(), 2);
    });
}

#[test]
fn flows_expire_and_their_counters_come_back_once_workers_have_left_and_counted() {
    bench(async |mut bench| {
        bench.ok("ofctl/add-flow", &["hard_timeout=1,actions=drop", "ip,actions=drop"]).await;
        let id = bench.switch.state().flows.tables.iter().map(|flow| flow.stats).min().unwrap();
        bench.tick();
        assert_eq!(bench.handle.borrow().tables.len(), 2);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        bench.handle.borrow_mut().silent = vec![1];
        bench.tick();
        assert_eq!(bench.handle.borrow().tables.len(), 1);
        let stats = bench.switch.state().datapath.flow_stats().clone();
        assert_ne!(stats.allocate(), Ok(id), "worker 1 may still see the flow");
        assert_eq!(bench.handle.borrow().syncs, 0, "asked too early");
        {
            let mut handle = bench.handle.borrow_mut();
            handle.silent.clear();
            handle.out_of_step = vec![1];
            handle.uncounted = vec![(id, 5, 300)];
        }
        bench.tick();
        bench.tick();
        assert_ne!(stats.allocate(), Ok(id), "worker 1 may still count there");
        bench.handle.borrow_mut().out_of_step.clear();
        bench.tick();
        assert_eq!(bench.handle.borrow().syncs, 1);
        assert_eq!(stats.allocate(), Ok(id));
        assert_eq!(stats.read(id), FlowCount::default(), "late counts are not the next flow's");
    });
}

#[test]
fn one_answer_gives_back_the_counters_of_many_changes() {
    bench(async |mut bench| {
        for number in 0..5 {
            bench.ok("ofctl/add-flow", &[&format!("priority={number},actions=drop")]).await;
        }
        let ids: Vec<StatsId> = bench.switch.state().flows.tables.iter().map(|flow| flow.stats).collect();
        for number in 0..5 {
            bench.ok("ofctl/del-flows", &["--strict", &format!("priority={number}")]).await;
        }
        bench.tick();
        bench.tick();
        assert_eq!(bench.handle.borrow().syncs, 1);
        let stats = bench.switch.state().datapath.flow_stats().clone();
        assert!((0..5).all(|_| ids.contains(&stats.allocate().unwrap())));
    });
}

#[test]
fn a_flow_is_idle_only_if_every_worker_says_so() {
    bench(async |mut bench| {
        bench.ok("ofctl/add-flow", &["idle_timeout=1,actions=drop"]).await;
        let id = bench.switch.state().flows.tables.iter().next().unwrap().stats;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        // A megaflow has just seen a packet and not yet said so.
        bench.handle.borrow_mut().uncounted = vec![(id, 1, 60)];
        bench.tick();
        bench.tick();
        assert_eq!(bench.handle.borrow().tables.len(), 1, "in use");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        bench.handle.borrow_mut().now_ms = 1100;
        bench.handle.borrow_mut().out_of_step = vec![0];
        bench.tick();
        bench.tick();
        assert_eq!(bench.handle.borrow().tables.len(), 1, "worker 0 has not said so");
        tokio::time::sleep(SILENCE).await;
        bench.handle.borrow_mut().now_ms = 2150;
        bench.tick();
        assert_eq!(bench.handle.borrow().tables.len(), 0, "a silent worker forwards nothing");
    });
}

#[test]
fn dumps_have_what_megaflows_counted_until_then() {
    bench(async |mut bench| {
        bench.ok("ofctl/add-flow", &["actions=drop"]).await;
        let id = bench.switch.state().flows.tables.iter().next().unwrap().stats;
        bench.handle.borrow_mut().uncounted = vec![(id, 2, 120)];
        let dump = bench.ok("ofctl/dump-flows", &[]).await;
        assert!(dump.contains("n_packets=2, n_bytes=120"), "{dump}");
        bench.handle.borrow_mut().uncounted = vec![(id, 1, 60)];
        let sum = bench.json("ofctl/dump-aggregate", &[]).await;
        assert_eq!((&sum["packet_count"], &sum["byte_count"]), (&json!(3), &json!(180)));
        bench.handle.borrow_mut().uncounted = vec![(id, 1, 60)];
        bench.ok("ofctl/mod-flows", &["reset_counts,actions=1"]).await;
        assert_eq!(bench.json("ofctl/dump-flows", &[]).await[0]["n_packets"], 0, "reset after they are in");

        let asked = bench.handle.borrow().syncs;
        bench.ok("ofctl/dump-flows", &["--no-stats"]).await;
        assert!(bench.refused("ofctl/dump-flows", &["ipp"]).await.contains("ipp"));
        assert_eq!(bench.handle.borrow().syncs, asked, "nobody is asked for nothing");
        bench.handle.borrow_mut().out_of_step = vec![1];
        let before = std::time::Instant::now();
        let dump = bench.ok("ofctl/dump-flows", &[]).await;
        assert!(dump.contains("n_packets=0") && dump.lines().count() == 1, "{dump}");
        assert!((SILENCE..SILENCE * 3).contains(&before.elapsed()));
    });
}

#[test]
fn packets_go_in_and_out() {
    bench(async |mut bench| {
        bench.handle.borrow_mut().ring_full = 3;
        assert_eq!(
            bench.ok("inject", &["p1", "0200:0000 0001", "ff"]).await,
            "2 frames injected at port 1\n"
        );
        let frames = bench.handle.borrow().injected.clone();
        assert_eq!(frames, [(PortNo(1), vec![2, 0, 0, 0, 0, 1]), (PortNo(1), vec![255])]);
        let long = "00".repeat(2000);
        let refused = bench.refused("inject", &["p1", "00", &long]).await;
        assert!(refused.contains("longer than") && refused.ends_with("(1 frame injected)"), "{refused}");
        assert!(bench.refused("inject", &["p1", "00", "0"]).await.contains("half a byte"));
        assert_eq!(bench.handle.borrow().injected.len(), 3);

        let packet = |cookie| PacketIn {
            continuation: Continuation::new(1, u32::from(cookie == 7) * 1030),
            in_port: PortNo(2),
            table: 3,
            cookie,
            reason: 1,
            total_len: 60,
            data: (0..18).collect(),
        };
        bench.handle.borrow_mut().packet_ins = vec![packet(7)];
        assert_eq!(
            bench.ok("ofctl/monitor", &[]).await,
            "NXT_PACKET_IN2 (xid=0x0): table_id=3 cookie=0x7 total_len=60 in_port=2 (via action) data_len=18 \
             (unbuffered) continuation=1.1030\n00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n00000010  10 11\n"
        );
        assert_eq!(
            bench.ok("ofctl/resume", &["1.1030", "p2", "0001"]).await.split(';').next(),
            Some("resumed")
        );
        assert_eq!(bench.handle.borrow().injected.last(), Some(&(PortNo(2), vec![0, 1])));
        for bad in ["1030", "1.0", "a.1", "1.-1"] {
            let said = bench.refused("ofctl/resume", &[bad, "p2", "0001"]).await;
            assert!(said.contains("is no continuation"), "{said}");
        }
        assert_eq!(bench.ok("ofctl/monitor", &[]).await, "");
        bench.handle.borrow_mut().packet_ins = (0..1500).map(packet).collect();
        bench.switch.state_mut().drain_packet_ins();
        let waiting = bench.json("ofctl/monitor", &[]).await;
        assert_eq!(waiting["lost"], 476);
        assert_eq!(waiting["packets"][0]["cookie"], 476, "the oldest go first");
    });
}

#[test]
fn the_accounting_adds_up() {
    bench(async |mut bench| {
        assert_eq!(bench.ok("drops", &[]).await, "nothing was dropped\n");
        bench.ok("inject", &["p1", "00"]).await;
        let drops = bench.ok("drops", &[]).await;
        assert!(drops.starts_with("reason    packets  what it means\nno_match        1  "), "{drops}");
        let stats = bench.ok("stats", &["--per-worker"]).await;
        assert!(
            stats.starts_with("in       1 = 0 received + 1 injected + 0 originated + 0 copied\n"),
            "{stats}"
        );
        assert!(stats.contains("1 dropped + 0 in flight, exact\n"), "{stats}");
        let stats = bench.json("stats", &["--per-worker"]).await;
        assert_eq!((&stats["imbalance"], &stats["drops"]["no_match"]), (&json!(0), &json!(1)));
        assert_eq!(stats["workers"].as_array().unwrap().len(), 2);
        bench.handle.borrow_mut().totals.received = 3;
        assert!(bench.ok("stats", &[]).await.contains(", imbalance 3 (under traffic"));
        assert!(bench.refused("stats", &["p1"]).await.contains("means nothing"));
        assert_eq!(bench.ok("stats/clear", &[]).await, "");
        assert_eq!(bench.json("stats", &[]).await["injected"], 0);
    });
}

#[test]
fn openflow_is_printed_as_ovs_prints_it() {
    bench(async |mut bench| {
        assert_eq!(
            bench.ok("ofctl/dump-ports", &["p1"]).await,
            "OFPST_PORT reply (xid=0x2): 1 ports\n\
             \x20 port  1: rx pkts=3, bytes=180, drop=5, errs=0, frame=0, over=0, crc=0\n\
             \x20          tx pkts=2, bytes=120, drop=1, errs=2, coll=0\n"
        );
        let port = " 2(p2): addr:02:00:00:00:00:02\n     config:     0\n     state:      LIVE\n     current:    \
                    10GB-FD\n     speed: 10000 Mbps now, 0 Mbps max\n";
        assert_eq!(
            bench.ok("ofctl/dump-ports-desc", &["2"]).await,
            format!("OFPST_PORT_DESC reply (xid=0x2):\n{port}")
        );
        let show = bench.ok("ofctl/show", &[]).await;
        assert!(show.starts_with(
            "OFPT_FEATURES_REPLY (xid=0x2): dpid:0000020000000001\nn_tables:254, n_buffers:0\n"
        ));
        assert!(show.contains(port));
        assert!(show.ends_with("OFPT_GET_CONFIG_REPLY (xid=0x4): frags=normal miss_send_len=0\n"));
    });
}

#[test]
fn show_has_it_all() {
    bench(async |mut bench| {
        bench.ok("ofctl/add-flow", &["actions=drop"]).await;
        bench.ok("inject", &["p1", "00"]).await;
        assert_eq!(
            bench.ok("show", &[]).await,
            format!(
                "br0  millrace {}, up 0 s\n\
                 workers  0 on core 1 with 2 queues, 1 on core 2 with 1 queue\n\
                 flows    1 flow in 1 table\n\
                 \n\
                 port  name  type    link    rx packets  rx bytes  tx packets  tx bytes  dropped  device lost\n\
                 \x20  1  p1    memory  up 10G           3       180           2       120        1            7\n\
                 \x20  2  p2    memory  up 10G           3       180           2       120        1            7\n\
                 \n\
                 in       1 = 0 received + 1 injected + 0 originated + 0 copied\n\
                 out      1 = 0 transmitted + 0 consumed + 1 dropped + 0 in flight, exact\n\
                 drops    no_match 1\n",
                env!("CARGO_PKG_VERSION")
            )
        );
        let show = bench.json("show", &[]).await;
        assert_eq!((&show["name"], &show["ports"][0]["name"]), (&json!("br0"), &json!("p1")));
        assert_eq!(show["flows"], json!({"0": 1}));
    });
}

#[test]
fn exit_stops() {
    bench(async |mut bench| {
        let stopped = bench.switch.stopped();
        assert_eq!(bench.ok("exit", &[]).await, "");
        assert!(bench.switch.is_stopping());
        stopped.await;
    });
}

mod binding;
mod chassis;
mod elsewhere;
mod inspection;
mod nbctl;
mod objects;
mod ofproto;
mod peers;
mod rows;
mod sbctl;
mod trace;
