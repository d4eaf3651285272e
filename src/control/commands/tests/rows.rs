//! What rows have in the tables beside what users have there.

use super::*;
use crate::control::testing::Log;

fn real() -> String {
    let path = format!("{}/tests/data/ovn/s3-rich/chassis/sb-dump.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Bench {
    /// The second host: a router with two ways to one network, and a port with a rate.
    async fn second_host(&mut self, rows: &str) -> Value {
        self.ok("port/set", &["p1", "iface_id=web2"]).await;
        self.ok("port/set", &["p2", "iface_id=db2"]).await;
        self.json("sbctl/load", &["--chassis=hv2", rows]).await
    }

    /// The numbers of groups and meters, and how many flows there are.
    async fn objects(&mut self) -> (Vec<u64>, Vec<u64>, usize) {
        let ids = |dump: Value| -> Vec<u64> {
            dump.as_array().unwrap().iter().map(|object| object["id"].as_u64().unwrap()).collect()
        };
        let groups = ids(self.json("ofctl/dump-groups", &[]).await);
        let meters = ids(self.json("ofctl/dump-meters", &[]).await);
        (groups, meters, self.handle.borrow().tables.len())
    }
}

#[test]
fn groups_and_meters_of_rows_are_not_for_users() {
    bench(async |mut bench| {
        bench.second_host(&real()).await;
        let (_, _, flows) = bench.objects().await;
        bench.ok("ofctl/add-group", &["group_id=7,type=all,bucket=output:1"]).await;
        bench.ok("ofctl/add-meter", &["meter=9,pktps,bands=type=drop,rate=1"]).await;
        let (group, meter) = (0x1000_0000, 0x2_0000);
        assert_eq!(bench.objects().await, (vec![7, group], vec![9, meter], flows));
        for (method, params, id) in [
            ("ofctl/add-group", &["group_id=268435457,type=all,bucket=output:1"][..], group + 1),
            ("ofctl/add-group", &["group_id=268435456,type=all,bucket=output:1"], group),
            ("ofctl/mod-group", &["group_id=268435456,type=all,bucket=output:1"], group),
            ("ofctl/mod-group", &["--may-create", "group_id=0x10000002,type=all"], group + 2),
            ("ofctl/insert-buckets", &["group_id=268435456,command_bucket_id=last,bucket=drop"], group),
            ("ofctl/remove-buckets", &["group_id=268435456,command_bucket_id=all"], group),
            ("ofctl/del-groups", &["group_id=268435456"], group),
            ("ofctl/del-groups", &["group_id=4294967040"], 0xffff_ff00),
        ] {
            assert_eq!(
                bench.refused(method, params).await,
                format!(
                    "group {id} belongs to rows of logical networks, as all from 268435456 on do; use a smaller number"
                ),
                "{method} {params:?}"
            );
        }
        for (method, text, id) in [
            ("ofctl/add-meter", "meter=131073,pktps,bands=type=drop,rate=1", meter + 1),
            ("ofctl/mod-meter", "meter=131072,pktps,bands=type=drop,rate=1", meter),
            ("ofctl/del-meters", "meter=131072", meter),
            ("ofctl/del-meters", "meter=131080", meter + 8),
        ] {
            assert_eq!(
                bench.refused(method, &[text]).await,
                format!(
                    "meter {id} belongs to rows of logical networks, as all from 131072 on do; use a smaller number"
                ),
                "{method} {text}"
            );
        }
        // The last that users may have.
        bench.ok("ofctl/add-group", &["group_id=268435455,type=all"]).await;
        bench.ok("ofctl/add-meter", &["meter=131071,pktps,bands=type=drop,rate=1"]).await;
        bench.ok("ofctl/del-groups", &[]).await;
        bench.ok("ofctl/del-meters", &[]).await;
        assert_eq!(bench.objects().await, (vec![group], vec![meter], flows));
    });
}

#[test]
fn beginning_anew_takes_out_all_that_rows_had() {
    bench(async |mut bench| {
        bench.second_host(&real()).await;
        bench.ok("ofctl/add-group", &["group_id=7,type=all,bucket=output:1"]).await;
        bench.ok("ofctl/add-meter", &["meter=9,pktps,bands=type=drop,rate=1"]).await;
        bench.ok("ofctl/add-flow", &["table=200,actions=meter:9,group:7"]).await;
        let before = bench.objects().await;
        bench.switch.state_mut().logical.following = None;
        bench.switch.follow().await.unwrap();
        assert_eq!(bench.objects().await, before);
        // What is not wanted any more is not left over from before either.
        bench.ok("port/set", &["p1", "iface_id="]).await;
        bench.switch.state_mut().logical.following = None;
        bench.ok("port/set", &["p2", "iface_id="]).await;
        let (groups, meters, flows) = bench.objects().await;
        assert_eq!((groups, meters), (vec![7], vec![9]));
        assert!(flows < 20, "the one of the user, and those that no row asks for: {flows}");
    });
}

#[test]
fn a_users_flow_gives_way_to_one_of_rows_and_is_named() {
    bench(async |mut bench| {
        let (place, other) =
            ("table=65,priority=100,reg15=0x2,metadata=0x2", "table=65,priority=99,reg15=0x2,metadata=0x2");
        bench.ok("ofctl/add-flow", &[&format!("cookie=0x77,{place},actions=drop")]).await;
        bench.ok("ofctl/add-flow", &[&format!("cookie=0x78,{other},actions=drop")]).await;
        let log = Log::default();
        let guard = log.keep();
        bench.second_host(&real()).await;
        drop(guard);
        let dump = bench.ok("ofctl/dump-flows", &["--no-stats", "--no-names", "table=65"]).await;
        assert!(dump.contains(" priority=100,reg15=0x2,metadata=0x2 actions=output:2"), "{dump}");
        assert!(dump.contains(" priority=99,reg15=0x2,metadata=0x2 actions=drop"), "{dump}");
        let told: Vec<String> =
            log.text().lines().filter(|line| line.contains("gave way")).map(str::to_owned).collect();
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(
            told.contains(
                "the flow cookie=0x77,table=65,priority=100,reg15=0x2,metadata=0x2 gave way to one of rows"
            ),
            "{told}"
        );
        // The other way round it is refused.
        let refused = bench.refused("ofctl/add-flow", &[&format!("{place},actions=drop")]).await;
        assert!(
            refused.starts_with("the flow of priority 100 in table 65 with this match was made of rows"),
            "{refused}"
        );
    });
}

#[test]
fn what_the_tables_refuse_is_among_the_troubles_until_they_take_it() {
    bench(async |mut bench| {
        let members =
            (1..=1025).fold(String::new(), |text, n| text + if n == 1 { "" } else { ", " } + &n.to_string());
        let many = real().replace("select(1, 2)", &format!("select({members})"));
        assert_ne!(many, real());
        let log = Log::default();
        let guard = log.keep();
        let loaded = bench.second_host(&many).await;
        drop(guard);
        let troubles = bench.ok("sbctl/troubles", &[]).await;
        let of: Vec<&str> = troubles.lines().filter(|line| line.contains("is left out")).collect();
        let [of] = of[..] else { panic!("{of:?}") };
        assert!(of.starts_with("Logical_Flow ") && of.contains(": the flow cookie=0x"), "{of}");
        assert!(of.contains(",table=21,") && of.contains("nw_dst=10.77.0.0/16"), "{of}");
        assert!(
            of.ends_with(
                "is left out: a group has at most 1024 buckets, not 1025; spread them over several groups"
            ),
            "{of}"
        );
        assert_eq!(loaded["troubles"], troubles.lines().count());
        let uuid = of.split_whitespace().nth(1).unwrap().trim_end_matches(':');
        let cookie = uuid.split('-').next().unwrap().trim_start_matches('0');
        assert!(of.contains(&format!("cookie=0x{cookie},")), "{of}");
        assert!(log.text().contains("count=2"), "{}", log.text());
        assert!(log.text().contains("group 268435456 is left out"), "{}", log.text());
        bench.json("sbctl/load", &["--chassis=hv2", &real()]).await;
        let troubles = bench.ok("sbctl/troubles", &[]).await;
        assert!(!troubles.contains("is left out"), "{troubles}");
        assert_eq!(bench.objects().await.0, [0x1000_0001]);
    });
}

#[test]
fn show_says_what_the_switch_is_of_logical_networks() {
    bench(async |mut bench| {
        let section = |show: String| -> Vec<String> {
            let lines = show.lines().skip_while(|line| !line.starts_with("logical"));
            let lines = lines.take_while(|line| !line.is_empty());
            // The digest has tests of its own.
            lines.filter(|line| !line.starts_with("         keys ")).map(str::to_owned).collect()
        };
        assert_eq!(section(bench.ok("show", &[]).await), [""; 0]);
        assert_eq!(bench.json("show", &[]).await["logical"], Value::Null);
        let loaded = bench.second_host(&real()).await;
        let [rows, flows, troubles] =
            ["rows", "flows", "troubles"].map(|name| loaded[name].as_u64().unwrap());
        assert!(rows > 0 && flows > 0 && troubles > 0, "{loaded}");
        // Its wire has another name here, and its network leads nowhere.
        let not_yet = troubles - 1;
        assert_eq!(
            section(bench.ok("show", &[]).await),
            [
                format!("logical  chassis hv2: {rows} rows loaded, 2 ports bound, {flows} flows"),
                "         1 row cannot be executed, or not wholly; `millrace sbctl troubles` says why".to_owned(),
                "         Port_Binding a620e67d-41f9-45c5-ab60-3146b64e4ce4: its network \"physnet1\" is mapped to no \
                 port of this switch, so that it is not here; map it by bridge_mappings"
                    .to_owned(),
                format!(
                    "         {not_yet} rows for what is not there yet; `millrace sbctl troubles` lists them too"
                )
            ]
        );
        let mut logical = bench.json("show", &[]).await["logical"].take();
        assert_eq!(logical["keys"].take().as_str().map(str::len), Some(64));
        assert_eq!(
            logical,
            json!({
                "chassis": "hv2", "known": true, "northbound": null, "rows": rows, "bound": 2, "flows": flows,
                "keys": null, "troubles": troubles, "not_yet": not_yet
            })
        );
        bench.ok("sbctl/load", &["--chassis=hv9", &real()]).await;
        let shown = section(bench.ok("show", &[]).await);
        assert!(shown[0].starts_with("logical  chassis hv9, which no row knows: "), "{shown:?}");
        bench.ok("sbctl/load", &[&real()]).await;
        let shown = section(bench.ok("show", &[]).await);
        assert!(shown[0].starts_with("logical  no chassis: "), "{shown:?}");
    });
}
