//! `perf`, `pmd-*`, `megaflow` and `dpctl`.

use super::*;
use crate::action::Op;
use crate::control::switch::ERRAND;
use crate::control::testing::place;
use crate::datapath::megaflow::Megaflow;
use crate::datapath::perf::{CacheCounts, RxqPerf, WorkerPerf};
use crate::packet::{DropReason, Field};
use crate::pipeline::syntax::{Mode, parse_flow};

fn measured() -> WorkerPerf {
    WorkerPerf {
        worker: 0,
        core: Some(1),
        tsc_hz: 2_000_000_000,
        loops: 1000,
        idle_loops: 400,
        busy_cycles: 3_000_000_000,
        idle_cycles: 1_000_000_000,
        bursts: 2_000_000,
        cache: CacheCounts {
            packets: 40_000_000,
            emc_hits: 30_000_000,
            megaflow_hits: 9_000_000,
            misses: 999_990,
            stale: 5,
            probes: 14_999_985,
            revalidated: 6,
            installed: 7,
            expired: 8,
            evicted: 9,
            refused: 11,
            narrowed: 12,
        },
        megaflows: 120,
        subtables: 1,
        emc_in_use: true,
        waiting: 3,
        miss_cycles: 4_999_950_000,
        miss_ns: vec![(2048, 750_000), (4096, 249_990)],
        rxqs: vec![RxqPerf {
            port: PortNo(1),
            name: "p1".to_owned(),
            queue: 0,
            packets: 40_000_000,
            bursts: 2_000_000,
            cycles: 2_400_000_000,
        }],
    }
}

#[test]
fn perf_is_shown() {
    bench(async |mut bench| {
        let other = WorkerPerf { worker: 1, core: None, ..WorkerPerf::default() };
        bench.handle.borrow_mut().perf = vec![measured(), other];
        assert_eq!(
            bench.ok("perf/show", &["0"]).await,
            "worker 0 on core 1, 2.0 s at 2.00 GHz\n\
             \x20 packets             40000000          75.0 cycles each\n\
             \x20 bursts               2000000          20.0 packets each\n\
             \x20 exact-match hits    30000000  75.0 %  in use\n\
             \x20 megaflow hits        9000000  22.5 %  1.50 subtables a lookup past the exact-match cache\n\
             \x20 misses                999990   2.5 %  2.5 us each\n\
             \x20   found stale              5\n\
             \x20 not translated            10          3 wait now\n\
             \x20 busy cycles       3000000000  75.0 %\n\
             \x20 idle cycles       1000000000  25.0 %  400 of 1000 turns\n\
             \x20 megaflows now            120          1 subtable\n\
             \x20   installed                7\n\
             \x20   revalidated              6\n\
             \x20   expired                  8\n\
             \x20   evicted                  9\n\
             \x20   refused                 11\n\
             \x20   narrowed                12\n\
             \x20 queue   packets   bursts  packets/burst  cycles/packet  of busy cycles\n\
             \x20 p1:0   40000000  2000000           20.0           60.0          80.0 %\n\
             \x20 time of a miss  misses   share  up to here\n\
             \x20 < 2.048 us      750000  75.0 %      75.0 %\n\
             \x20 < 4.096 us      249990  25.0 %     100.0 %\n"
        );
        let both = bench.ok("perf/show", &[]).await;
        assert!(both.contains("\n\nworker 1, 0.0 s at 0.00 GHz\n  packets "), "{both}");
        let json = bench.json("perf/show", &[]).await;
        assert_eq!((&json[0]["cycles_per_packet"], &json[0]["cache"]["stale"]), (&json!(75.0), &json!(5)));
        assert_eq!(
            (&json[0]["rxqs"][0]["name"], &json[0]["miss_ns"][0]),
            (&json!("p1"), &json!([2048, 750_000]))
        );
        assert_eq!(json[1]["microseconds_per_miss"], 0.0, "nothing of nothing is nothing");
        assert!(bench.refused("perf/show", &["2"]).await.contains("there is no worker 2"));
        assert!(bench.refused("perf/clear", &["x"]).await.contains("there is no worker x"));
    });
}

#[test]
fn perf_is_cleared_for_one_or_all() {
    bench(async |mut bench| {
        let both = vec![measured(), WorkerPerf { worker: 1, core: Some(2), ..measured() }];
        bench.handle.borrow_mut().perf = both.clone();
        let packets = async |bench: &mut Bench| {
            let json = bench.json("perf/show", &[]).await;
            [0, 1].map(|worker| json[worker]["cache"]["packets"].as_u64().unwrap())
        };
        assert_eq!(bench.ok("perf/clear", &["1"]).await, "");
        assert_eq!(packets(&mut bench).await, [40_000_000, 0]);
        assert_eq!(bench.ok("perf/clear", &[]).await, "");
        assert_eq!(packets(&mut bench).await, [0, 0]);
        bench.handle.borrow_mut().perf = both;
        assert_eq!(bench.ok("dpif-netdev/pmd-stats-clear", &["-pmd", "1", "br0"]).await, "");
        assert_eq!(packets(&mut bench).await, [0, 40_000_000]);
    });
}

#[test]
fn perf_is_printed_as_ovs_prints_it() {
    bench(async |mut bench| {
        let quiet = WorkerPerf {
            cache: CacheCounts::default(),
            worker: 1,
            core: Some(2),
            miss_ns: Vec::new(),
            ..measured()
        };
        bench.handle.borrow_mut().perf = vec![measured(), quiet];
        let text = bench.ok("dpif-netdev/pmd-perf-show", &["-pmd", "1", "netdev@ovs-netdev"]).await;
        let (time, rest) = text.strip_prefix("\nTime: ").unwrap().split_once('\n').unwrap();
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "00:00:00.000");
        assert_eq!(
            rest,
            "Measurement duration: 2.000 s\n\
             \n\
             pmd thread numa_id 0 core_id 1:\n\
             \n\
             \x20 Iterations:                 1000  (2000.00 us/it)\n\
             \x20 - Used TSC cycles:    4000000000  (100.0 % of total cycles)\n\
             \x20 - idle iterations:           400  ( 25.0 % of used cycles)\n\
             \x20 - busy iterations:           600  ( 75.0 % of used cycles)\n\
             \x20 Rx packets:             40000000  (20000 Kpps, 75 cycles/pkt)\n\
             \x20 Datapath passes:        40000000  (1.00 passes/pkt)\n\
             \x20 - PHWOL hits:                  0  (  0.0 %)\n\
             \x20 - MFEX Opt hits:               0  (  0.0 %)\n\
             \x20 - Simple Match hits:           0  (  0.0 %)\n\
             \x20 - EMC hits:             30000000  ( 75.0 %)\n\
             \x20 - SMC hits:                    0  (  0.0 %)\n\
             \x20 - Megaflow hits:         9000000  ( 22.5 %, 1.50 subtbl lookups/hit)\n\
             \x20 - Upcalls:                999990  (  2.5 %, 2.5 us/upcall)\n\
             \x20 - Lost upcalls:               10  (  0.0 %)\n\
             \n\
             \x20 Histograms\n\
             \x20  cycles/upcall\n\
             \x20  4096      750000\n\
             \x20  8192      249990\n"
        );
        let quiet = bench.ok("dpif-netdev/pmd-perf-show", &["-nh", "-pmd", "2"]).await;
        assert!(quiet.ends_with("  Rx packets:                    0\n"), "{quiet}");
        assert_eq!(
            bench.ok("dpif-netdev/pmd-stats-show", &["-pmd", "1"]).await,
            "pmd thread numa_id 0 core_id 1:\n\
             \x20 packets received: 40000000\n\
             \x20 packet recirculations: 0\n\
             \x20 avg. datapath passes per packet: 1.00\n\
             \x20 phwol hits: 0\n\
             \x20 mfex opt hits: 0\n\
             \x20 simple match hits: 0\n\
             \x20 emc hits: 30000000\n\
             \x20 smc hits: 0\n\
             \x20 megaflow hits: 9000000\n\
             \x20 avg. subtable lookups per megaflow hit: 1.50\n\
             \x20 miss with success upcall: 999990\n\
             \x20 miss with failed upcall: 10\n\
             \x20 idle cycles: 1000000000 (25.00%)\n\
             \x20 processing cycles: 3000000000 (75.00%)\n\
             \x20 avg cycles per packet: 100.00 (4000000000/40000000)\n\
             \x20 avg processing cycles per packet: 75.00 (3000000000/40000000)\n"
        );
        let json = bench.json("dpif-netdev/pmd-perf-show", &[]).await;
        assert_eq!((&json["pmds"][0]["core_id"], &json["pmds"][1]["worker"]), (&json!(1), &json!(1)));
        for (args, part) in [
            (&["-pmd"][..], "-pmd takes the number of a core"),
            (&["-it", "5"], "no history"),
            (&["system@x"], "no datapath \"system@x\""),
        ] {
            let sentence = bench.refused("dpif-netdev/pmd-perf-show", args).await;
            assert!(sentence.contains(part), "{sentence}");
        }
    });
}

fn megaflow(worker: u16, filter: &str, packets: u64) -> Megaflow {
    let matcher = parse_flow(filter, &(), Mode::Select { strict: false }).unwrap().matcher;
    let ops = vec![Op::DecTtl, Op::Output(place(PortNo(2)))];
    Megaflow { worker, matcher, min_ttl: 2, ops, packets, bytes: packets * 60, used_ms_ago: Some(13) }
}

fn three() -> Vec<Megaflow> {
    let dropped = Megaflow {
        min_ttl: 0,
        ops: vec![Op::Drop(DropReason::NoMatch)],
        used_ms_ago: None,
        ..megaflow(1, "in_port=2,arp", 1)
    };
    vec![dropped, megaflow(0, "in_port=1,ip,nw_dst=10.0.0.0/8", 7), megaflow(0, "in_port=1,ipv6", 12)]
}

#[test]
fn megaflows_are_dumped_in_our_words() {
    bench(async |mut bench| {
        assert_eq!(bench.ok("megaflow/dump", &[]).await, "");
        bench.handle.borrow_mut().megaflows = three();
        assert_eq!(
            bench.ok("megaflow/dump", &[]).await,
            " worker=0, n_packets=12, n_bytes=720, used=0.013s, ipv6,in_port=1,min_ttl>=2 actions=dec_ttl,output:2\n \
             worker=0, n_packets=7, n_bytes=420, used=0.013s, ip,in_port=1,nw_dst=10.0.0.0/8,min_ttl>=2 \
             actions=dec_ttl,output:2\n \
             worker=1, n_packets=1, n_bytes=60, used=never, arp,in_port=2 actions=drop(no_match)\n"
        );
        assert_eq!(
            bench.ok("megaflow/dump", &["--names", "in_port=p1,ip,nw_dst=10.0.0.0/7"]).await,
            " worker=0, n_packets=7, n_bytes=420, used=0.013s, ip,in_port=p1,nw_dst=10.0.0.0/8,min_ttl>=2 \
             actions=dec_ttl,output:p2\n"
        );
        let json = bench.json("megaflow/dump", &["arp"]).await;
        assert_eq!(
            json,
            json!([{"worker": 1, "match": "arp,in_port=2", "min_ttl": 0, "n_packets": 1, "n_bytes": 60,
                    "used_ms_ago": null, "actions": "drop(no_match)"}])
        );
        for (filter, part) in
            [("ipp", "^^^"), ("table=1", "has no table"), ("cookie=1/-1", "has no cookie"), ("--x", "--x")]
        {
            let sentence = bench.refused("megaflow/dump", &[filter]).await;
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(bench.handle.borrow().out.is_empty());
    });
}

#[test]
fn operations_are_told_as_actions() {
    bench(async |mut bench| {
        let set = Op::Set { field: Field::NwDst, value: 1, mask: u128::from(u32::MAX) };
        let controller = Op::Controller { max_len: 128, reason: 1, table: 3, cookie: 7, frozen: 0 };
        let copy = Op::Clone { ops: 3 };
        let out = |number| Op::Output(place(PortNo(number)));
        let push = Op::PushVlan { tpid: 0x8100 };
        let drop = Op::Drop(DropReason::NoMatch);
        let ops = vec![copy, push, Op::Clone { ops: 1 }, out(1), Op::PopVlan, set, out(2), controller, drop];
        bench.handle.borrow_mut().megaflows = vec![Megaflow { ops, ..megaflow(0, "ip", 1) }];
        let dump = bench.ok("megaflow/dump", &[]).await;
        let (_, actions) = dump.split_once("actions=").unwrap();
        assert_eq!(
            actions,
            "clone(push_vlan:0x8100,clone(output:1)),pop_vlan,set_field:0.0.0.1->ip_dst,output:2,CONTROLLER:128\n"
        );
    });
}

#[test]
fn megaflows_are_flushed() {
    bench(async |mut bench| {
        bench.handle.borrow_mut().megaflows = three();
        assert_eq!(bench.ok("megaflow/flush", &["in_port=p2"]).await, "1 megaflow flushed\n");
        assert_eq!(bench.handle.borrow().megaflows.len(), 2);
        assert_eq!(bench.json("megaflow/flush", &[]).await, json!({"flushed": 2}));
        bench.handle.borrow_mut().megaflows = three();
        assert_eq!(bench.ok("dpctl/del-flows", &["br0"]).await, "");
        assert!(bench.handle.borrow().megaflows.is_empty());
        assert!(bench.refused("dpctl/del-flows", &["br1"]).await.contains("no datapath \"br1\""));
    });
}

#[test]
fn megaflows_are_dumped_as_ovs_dumps_them() {
    bench(async |mut bench| {
        bench.handle.borrow_mut().megaflows = three();
        let core2 = "flow-dump from pmd on cpu core: 2\n\
                     recirc_id(0),in_port(2),eth(),eth_type(0x0806), packets:1, bytes:60, used:never, actions:drop\n";
        let core1 = "flow-dump from pmd on cpu core: 1\n\
                     recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.0.0.0), packets:7, \
                     bytes:420, used:0.013s, actions:dec_ttl,2\n";
        let ipv6 = "recirc_id(0),in_port(1),eth(),eth_type(0x86dd), packets:12, bytes:720, used:0.013s, \
                    actions:dec_ttl,2\n";
        assert_eq!(bench.ok("dpctl/dump-flows", &[]).await, format!("{core1}{ipv6}{core2}"));
        // What could meet the filter, and not only what lies within.
        assert_eq!(bench.ok("dpctl/dump-flows", &["filter=ip,nw_dst=10.1.0.0/16"]).await, core1);
        assert_eq!(bench.ok("dpctl/dump-flows", &["br0", "pmd=2", "type=offloaded,ovs"]).await, core2);
        assert_eq!(bench.ok("dpctl/dump-flows", &["type=offloaded"]).await, "");
        let named = bench.ok("dpctl/dump-flows", &["-m", "pmd=1"]).await;
        assert!(named.contains(",in_port(p1),") && named.contains("min_ttl(2)"), "{named}");
        let numbers = bench.ok("dpctl/dump-flows", &["--more", "--no-names", "pmd=1"]).await;
        assert!(numbers.contains(",in_port(1),"), "{numbers}");
        let json = bench.json("dpctl/dump-flows", &["--names", "pmd=2"]).await;
        assert_eq!((&json[0]["core"], json[0]["flows"].as_array().unwrap().len()), (&json!(2), 1));
        for (arg, part) in [("-x", "no option \"-x\""), ("pmd=x", "pmd= takes"), ("filter=ipp", "^^^")] {
            let sentence = bench.refused("dpctl/dump-flows", &[arg]).await;
            assert!(sentence.contains(part), "{sentence}");
        }
    });
}

#[test]
fn a_worker_that_does_not_come_back_is_named() {
    bench(async |bench| {
        bench.handle.borrow_mut().megaflows = three();
        bench.handle.borrow_mut().out_of_step = vec![1];
        let before = std::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for method in ["megaflow/dump", "megaflow/flush", "dpctl/dump-flows", "dpctl/del-flows"] {
            let switch = Rc::clone(&bench.switch);
            tasks.spawn_local(async move {
                let request =
                    Request { id: Id::Number(1.into()), method: method.to_owned(), params: Vec::new() };
                String::from_utf8(answer(&switch, &mut Session::default(), request).await.unwrap()).unwrap()
            });
        }
        for reply in tasks.join_all().await {
            assert!(reply.contains("worker(s) [1] did not answer within 3 s"), "{reply}");
        }
        assert!(before.elapsed() < ERRAND * 2);
        assert!(bench.handle.borrow().out.is_empty(), "given up");
    });
}
