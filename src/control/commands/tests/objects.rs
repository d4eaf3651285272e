//! Groups and meters by their commands.

use super::*;

fn without_age(text: &str) -> String {
    let words = text.split_inclusive([',', ' ']);
    words.filter(|word| !word.starts_with("duration")).collect()
}

#[test]
fn groups_come_go_and_are_counted() {
    bench(async |mut bench| {
        let group = "group_id=1,type=select,bucket=weight:100,output:1,bucket=output:2";
        bench.ok("ofctl/add-group", &[group]).await;
        assert_eq!(
            bench.refused("ofctl/add-group", &[group]).await,
            "group 1 exists; use mod-group to change it"
        );
        bench.ok("ofctl/mod-group", &["--may-create", "group_id=2,type=indirect,bucket=group:1"]).await;
        assert_eq!(
            bench.refused("ofctl/mod-group", &["group_id=3,type=all"]).await,
            "there is no group 3; dump-groups lists them"
        );
        bench
            .ok("ofctl/insert-buckets", &["group_id=1,command_bucket_id=first,bucket=bucket_id:9,drop"])
            .await;
        bench.ok("ofctl/remove-buckets", &["group_id=1,command_bucket_id=1"]).await;
        assert_eq!(
            bench.ok("ofctl/dump-groups", &[]).await,
            "OFPST_GROUP_DESC reply (OF1.5) (xid=0x2):\n \
             group_id=1,type=select,bucket=bucket_id:9,actions=drop,bucket=bucket_id:0,weight:100,actions=output:1\n \
             group_id=2,type=indirect,bucket=bucket_id:0,actions=group:1\n"
        );
        assert_eq!(bench.ok("ofctl/dump-groups", &["3"]).await.lines().count(), 1);
        assert_eq!(
            bench.refused("ofctl/add-flow", &["actions=group:3"]).await,
            "there is no group 3; add it first"
        );
        bench.ok("ofctl/add-flow", &["actions=group:1", "table=1,actions=group:1,2"]).await;
        let stats = bench.switch.state().datapath.flow_stats().clone();
        let ids: Vec<_> = {
            let state = bench.switch.state();
            state.flows.tables.objects().group(1).unwrap().all_stats().collect()
        };
        bench.handle.borrow_mut().uncounted = vec![(ids[2], 3, 180)];
        assert_eq!(
            without_age(&bench.ok("ofctl/dump-group-stats", &["group_id=1"]).await),
            "OFPST_GROUP reply (OF1.5) (xid=0x2):\n \
             group_id=1,ref_count=2,packet_count=0,byte_count=0,bucket0:packet_count=0,byte_count=0,\
             bucket1:packet_count=3,byte_count=180\n"
        );
        bench.ok("ofctl/del-groups", &["group_id=1"]).await;
        assert_eq!(bench.ok("ofctl/dump-flows", &["--no-stats"]).await, "");
        bench.ok("ofctl/del-groups", &[]).await;
        assert_eq!(bench.json("ofctl/dump-groups", &[]).await, serde_json::json!([]));
        bench.tick();
        bench.tick();
        assert!(ids.iter().all(|id| stats.read(*id) == FlowCount::default()), "the counters are free again");
        let refused = bench.refused("ofctl/add-group", &["group_id=1,type=ff"]).await;
        assert!(refused.contains("a group that fails over is not supported yet"), "{refused}");
        let refused = bench.refused("ofctl/add-group", &["group_id=1,type=all,bucket=weight:2,drop"]).await;
        assert!(refused.starts_with("bucket 0 of group 1 has a weight"), "{refused}");
    });
}

#[test]
fn meters_come_go_and_are_counted() {
    bench(async |mut bench| {
        let meter = "meter=1,pktps,burst,stats,bands=type=drop,rate=100,burst_size=2";
        bench.ok("ofctl/add-meter", &[meter]).await;
        assert_eq!(
            bench.refused("ofctl/add-meter", &[meter]).await,
            "meter 1 exists; use mod-meter to change it"
        );
        bench.ok("ofctl/add-meter", &["meter=3 kbps bands=type=drop rate=1000"]).await;
        assert_eq!(
            bench.ok("ofctl/dump-meters", &[]).await,
            "OFPST_METER_CONFIG reply (OF1.3) (xid=0x2):\nmeter=1 pktps burst stats bands=\n\
             type=drop rate=100 burst_size=2\n\nmeter=3 kbps bands=\ntype=drop rate=1000\n"
        );
        assert_eq!(
            bench.refused("ofctl/dump-meters", &["meter=2"]).await,
            "there is no meter 2; dump-meters lists them"
        );
        bench.ok("ofctl/add-flow", &["actions=meter:1,output:2"]).await;
        let admitted = {
            let state = bench.switch.state();
            let meter = state.flows.tables.objects().meters().get(1).unwrap();
            (0..5).filter(|_| meter.admit(60, 7)).count()
        };
        assert_eq!(admitted, 2);
        assert_eq!(
            without_age(&bench.ok("ofctl/meter-stats", &["1"]).await),
            "OFPST_METER reply (OF1.3) (xid=0x2):\nmeter:1 flow_count:1 packet_in_count:5 byte_in_count:300 bands:\n\
             0: packet_count:3 byte_count:180\n"
        );
        bench.ok("ofctl/mod-meter", &["meter=1,pktps,bands=type=drop,rate=9"]).await;
        assert_eq!(bench.json("ofctl/meter-stats", &["1"]).await[0]["packet_in_count"], 0);
        bench.ok("ofctl/del-meters", &["meter=1"]).await;
        assert_eq!(bench.ok("ofctl/dump-flows", &["--no-stats"]).await, "");
        bench.ok("ofctl/del-meters", &[]).await;
        assert_eq!(bench.ok("ofctl/dump-meters", &[]).await.lines().count(), 1);
    });
}
