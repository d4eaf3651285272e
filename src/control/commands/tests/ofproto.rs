//! `ofctl/trace`, `ofproto/trace` and what names flows.

use std::sync::Arc;

use super::*;

#[test]
fn a_way_is_told_as_ovs_tells_it() {
    bench(async |mut bench| {
        let flows = [
            "table=0,priority=100,in_port=1,cookie=0x446fb031 actions=set_field:0x1->reg13,load:5->NXM_NX_REG1[0..7],\
             move:NXM_NX_REG13[0..14]->NXM_NX_REG14[3..17],push:NXM_NX_REG13[],pop:NXM_NX_REG12[],resubmit(,16)",
            "table=16,reg14=0x8/0x8 actions=output:2,output:9,resubmit(,17)",
            "table=0,in_port=2,ip actions=resubmit(,16),clone(dec_ttl,resubmit(,18),1),output:1",
            "table=18,ip actions=set_field:10.0.0.1->ip_dst,2",
        ];
        bench.ok("ofctl/add-flow", &flows).await;
        let way = bench.ok("ofctl/trace", &["in_port=1,dl_src=00:00:00:00:00:05"]).await;
        let told = "\
Flow: in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:05,dl_dst=00:00:00:00:00:00,dl_type=0x0000

bridge(\"br0\")
-------------
 0. in_port=1, priority 100, cookie 0x446fb031
    set_field:0x1->reg13
    load:0x5->NXM_NX_REG1[0..7]
    move:NXM_NX_REG13[0..14]->NXM_NX_REG14[3..17]
     -> NXM_NX_REG14[3..17] is now 0x1
    push:NXM_NX_REG13[]
    pop:NXM_NX_REG12[]
     -> NXM_NX_REG12[] is now 0x1
    resubmit(,16)
16. reg14=0x8/0x8, priority 32768
    output:2
    output:9
     >> Nonexistent output port
    resubmit(,17)
17. No match.
    drop

Final flow: reg1=0x5,reg12=0x1,reg13=0x1,reg14=0x8,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:05,dl_dst=00:00:00:00:00:00,dl_type=0x0000
Megaflow: recirc_id=0,in_port=1
Datapath actions: 2
";
        assert_eq!(way, told);
        assert_eq!(
            bench.ok("ofproto/trace", &["br0", "in_port=p1,dl_src=00:00:00:00:00:05", "-generate"]).await,
            told
        );
        let way = bench.ok("ofctl/trace", &["in_port=2,ip,nw_ttl=9"]).await;
        let steps = way.split("-------------\n").nth(1).unwrap();
        assert_eq!(
            steps,
            " 0. ip,in_port=2, priority 32768
    resubmit(,16)
    16. No match.
            drop
    clone(dec_ttl,resubmit(,18),output:1)
    dec_ttl
    resubmit(,18)
    18. ip, priority 32768
            set_field:10.0.0.1->ip_dst
            output:2
             >> skipping output to input port
    output:1
    output:1

Final flow: unchanged
Megaflow: recirc_id=0,ip,in_port=2,min_ttl>=2
Datapath actions: clone(dec_ttl,set(ipv4(dst=10.0.0.1)),1),1
"
        );
        let missed = bench.ok("ofctl/trace", &["in_port=2,arp"]).await;
        assert!(missed.ends_with("Datapath actions: drop\nDropped as no_match\n"), "{missed}");
        let json = bench.json("ofctl/trace", &["in_port=2,arp"]).await;
        assert_eq!(json[0][0]["dropped_as"], "no_match");
        assert_eq!(json[0][0]["steps"], json!([" 0. No match.", "    drop"]));
    });
}

#[test]
fn a_packet_that_leaves_the_tables_is_followed() {
    bench(async |mut bench| {
        let flows = [
            "in_port=1 actions=check_pkt_larger(100)->NXM_NX_REG0[0],resubmit(,1)",
            "table=1,reg0=1 actions=2",
            "table=1,reg0=0 actions=controller(pause),resubmit(,2)",
            "table=2,ip actions=reply(arp,resubmit(,3))",
            "table=3,arp actions=output:2",
        ];
        bench.ok("ofctl/add-flow", &flows).await;
        let way = bench.ok("ofctl/trace", &["in_port=1,ip,nw_dst=10.0.0.9,dl_src=02:00:00:00:00:01"]).await;
        let parts: Vec<&str> = way.split("\nrecirc(").collect();
        assert_eq!(parts.len(), 4, "{way}");
        // A packet that is no longer goes on at once.
        let asked =
            "\nDatapath actions: check_pkt_len(size=100,gt(recirc(0x1)),le(userspace(pid=0,controller(";
        assert!(parts[0].contains(asked), "{way}");
        assert!(parts[1].starts_with("0x1) - resume with more than 100 bytes\n"), "{way}");
        assert!(parts[1].contains("    thaw\n        Resuming from table 0\n"), "{way}");
        assert!(parts[1].ends_with(&format!("Datapath actions: 2\n\n{}", "=".repeat(79))), "{way}");
        assert!(parts[2].starts_with("0x2) - resume as the controller lets it go on, unchanged\n"), "{way}");
        assert!(parts[3].starts_with("0x3) - resume as arp\n"), "{way}");
        assert!(
            parts[3].contains("arp_spa=0.0.0.0,arp_tpa=10.0.0.9,arp_op=1,arp_sha=02:00:00:00:00:01"),
            "{way}"
        );
        assert!(parts[3].ends_with("Datapath actions: 2\n"), "{way}");
    });
}

#[test]
fn groups_are_told_by_their_buckets() {
    bench(async |mut bench| {
        bench.ok("ofctl/add-group", &["group_id=1,type=all,bucket=2,bucket=set_field:1->reg3,2"]).await;
        bench.ok("ofctl/add-group", &["group_id=2,type=select,bucket=2"]).await;
        bench.ok("ofctl/add-group", &["group_id=3,type=indirect,bucket=resubmit(,4)"]).await;
        bench
            .ok("ofctl/add-flow", &["in_port=1 actions=group:1,group:2,group:3,1", "table=4 actions=2"])
            .await;
        bench.ok("ofctl/add-flow", &["in_port=2 actions=group:3"]).await;
        let way = bench.ok("ofctl/trace", &["in_port=1"]).await;
        assert!(
            way.contains(
                "
    group:1
    bucket 0
            output:2
    bucket 1
            set_field:0x1->reg3
            output:2
    group:2
     -> using bucket 0
    bucket 0
            output:2
    group:3
    bucket 0
            resubmit(,4)
         4. priority 32768
            output:2
    output:1
     >> skipping output to input port
"
            ),
            "{way}"
        );
        let way = bench.ok("ofctl/trace", &["in_port=2"]).await;
        assert!(
            way.contains("    group:3\n    bucket 0\n            resubmit(,4)\n         4. priority"),
            "{way}"
        );
    });
}

#[test]
fn what_is_no_packet_is_refused() {
    bench(async |mut bench| {
        for (flow, part) in [
            ("table=3,ip", "a packet has no table"),
            ("cookie=3/3", "a packet has no cookie"),
            ("out_port=1", "a packet has no out_port"),
            ("recirc_id=1", "leave it out"),
            ("nonsense=1", "nonsense"),
            ("nw_dst=1.2.3.4", "ip or arp"),
        ] {
            let sentence = bench.refused("ofctl/trace", &[flow]).await;
            assert!(sentence.contains(part), "{sentence}");
        }
        let sentence = bench.refused("ofproto/trace", &["br-int", "ip"]).await;
        assert_eq!(sentence, "there is no bridge \"br-int\"; this switch is \"br0\"");
    });
}

const DUMP: &str = include_str!("../../../../tests/data/ovn/s2-l3/sb-dump.json");
/// ICMP echo from vm1 by its router to vm2, 192.168.0.11 to 192.168.1.11.
const ECHO: &str = "4044000000034044000000010800450000380001000040010000c0a8000bc0a8010b0800000000010001\
                    0000000000000000000000000000000000000000000000000000000000000000";

/// A switch that routes between vm1 at port p1 and vm2 at port p2.
async fn routed(bench: &mut Bench) {
    bench.ok("sbctl/load", &["--chassis=hv1", DUMP]).await;
    bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
    bench.ok("port/set", &["p2", "iface_id=vm2"]).await;
}

#[test]
fn a_frame_is_traced_with_logical_names() {
    bench(async |mut bench| {
        routed(&mut bench).await;
        let way = bench.ok("trace/packet", &["p1", ECHO]).await;
        assert!(way.contains("\n 0. in_port=p1, priority 100"), "{way}");
        assert!(way.contains("     # Logical datapath: \"network1\" ("), "{way}");
        assert!(way.contains("     # Logical flow: table=0 (ls_in_check_port_sec), priority="), "{way}");
        assert!(way.contains("(lr_in_ip_routing)"), "{way}");
        // Of the datapaths that share a flow, the one that the packet is in.
        let first = way.split_once("\n 8. ").unwrap().1.split_once("\n 9. ").unwrap().0;
        assert_eq!(first.matches("Logical datapath").count(), 1, "{way}");
        assert!(way.ends_with(",p2\n"), "{way}");
        assert!(bench.refused("trace/packet", &["p1", "00"]).await.contains("no whole Ethernet header"));
        assert!(bench.refused("trace/packet", &["p3", ECHO]).await.contains("there is no port \"p3\""));

        // A trace in the words of the tables alone says the same.
        let names = bench.ok("ofctl/trace", &["--names", "in_port=1,arp"]).await;
        assert!(names.contains(" # Logical flow: "), "{names}");
        assert!(!bench.ok("ofctl/trace", &["in_port=1,arp"]).await.contains(" # "));
    });
}

#[test]
fn cookies_lead_back_to_rows() {
    bench(async |mut bench| {
        routed(&mut bench).await;
        let dump = bench.ok("ofctl/dump-flows", &["--names", "--no-stats", "table=8"]).await;
        let line = dump.lines().find(|line| line.contains("ls_in_check_port_sec")).unwrap();
        assert!(
            line.contains(" # Logical datapath: \"network") && line.contains("; Logical flow: table=0 ("),
            "{line}"
        );
        assert!(!bench.ok("ofctl/dump-flows", &["--no-stats"]).await.contains('#'));
        let cookie = line.split_once("cookie=").unwrap().1.split_once(',').unwrap().0;
        let rows = bench.ok("detrace", &[cookie]).await;
        let (first, rest) = rows.split_once('\n').unwrap();
        let second = rest.lines().last().unwrap();
        assert!(
            first.starts_with("  * Logical datapath: \"network") && first.ends_with(") [ingress]"),
            "{rows}"
        );
        assert!(second.starts_with("  * Logical flow: table=0 (ls_in_check_port_sec), priority="), "{rows}");
        let json = bench.json("detrace", &[cookie, "1"]).await;
        assert_eq!(json[0]["rows"][0]["table"], "Logical_Flow");
        assert_eq!(json[1], json!({ "cookie": 1, "rows": [] }));
        let port = bench.ok("ofctl/dump-flows", &["--names", "--no-stats", "table=65"]).await;
        assert!(
            port.contains(" # Logical datapath: ") && port.contains("; Logical port: \"vm1\", tunnel_key="),
            "{port}"
        );
        assert_eq!(bench.ok("detrace", &["0x1"]).await, "  * no row has a UUID that begins with 00000001\n");
        assert!(bench.refused("detrace", &["xyz"]).await.contains("is no cookie"));
        // What is dumped can still be read as flows.
        bench.ok("ofctl/add-flows", &["table=3,ip actions=drop # a remark\n"]).await;
    });
}

#[test]
fn a_logical_trace_shows_table_flows() {
    bench(async |mut bench| {
        routed(&mut bench).await;
        let flow = "inport == \"vm1\" && eth.src == 40:44:00:00:00:01 && eth.dst == 40:44:00:00:00:03 && \
                    ip4.src == 192.168.0.11 && ip4.dst == 192.168.1.11 && ip.ttl == 64 && icmp4.type == 8";
        let plain = bench.ok("trace", &[flow]).await;
        let beside = bench.ok("trace", &["--ovs", flow]).await;
        let kept: String = beside
            .lines()
            .filter(|line| !line.contains("cookie=0x"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(kept, plain);
        let lines: Vec<&str> = beside.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(" 0. ls_in_check_port_sec")).unwrap();
        let uuid = lines[at].rsplit_once("uuid ").unwrap().1;
        let cookie = format!("    cookie=0x{}, duration=", uuid.trim_start_matches('0'));
        assert!(lines[at + 1].starts_with(&cookie) && lines[at + 1].contains(", table=8, "), "{beside}");
    });
}

#[test]
fn a_live_trace_waits_for_its_packet() {
    bench(async |mut bench| {
        routed(&mut bench).await;
        let frame = super::super::packets::hex(ECHO).unwrap();
        let found = crate::datapath::Caught { in_port: PortNo(1), tunnel: [0; 8], data: frame };
        let handle = Rc::clone(&bench.handle);
        let packet = async {
            while handle.borrow().looked_for.is_none() {
                tokio::task::yield_now().await;
            }
            handle.borrow_mut().caught = Some(found);
        };
        let (way, ()) = tokio::join!(bench.ok("trace/live", &["in_port=p1,icmp"]), packet);
        assert_eq!(way, bench.ok("trace/packet", &["1", ECHO]).await);
        assert!(bench.handle.borrow().looked_for.is_none(), "nobody looks any more");

        // A client that leaves takes its filter along, and two do not look at a time.
        let turn = Arc::clone(bench.switch.live_turn()).try_acquire_owned().unwrap();
        assert!(bench.refused("trace/live", &[]).await.starts_with("another live trace waits"));
        let refused = bench.refused("trace/live", &["in_port=999,icmp"]).await;
        assert!(refused.starts_with("there is no port 999 that a packet could come in by"), "{refused}");
        drop(turn);
        let gone = bench.session.gone();
        let leaves = async {
            while handle.borrow().looked_for.is_none() {
                tokio::task::yield_now().await;
            }
            gone.tell();
        };
        let (reply, ()) = tokio::join!(bench.reply("trace/live", &[""]), leaves);
        assert!(reply["error"].as_str().unwrap().contains("the client has left"), "{reply}");
        assert!(bench.handle.borrow().looked_for.is_none());
    });
}
