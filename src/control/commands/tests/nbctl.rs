//! Networks that are typed in, compiled, kept, and met by packets.

use std::path::Path;

use super::*;
use crate::control::learning;

/// The seed's topology, a line each.
const TOPOLOGY: &str = include_str!("../../../../tests/data/ovn/s2-l3/nbctl-setup.sh");

fn ovn(folder: &Path) -> Ovn {
    Ovn { system_id: Some("hv1".to_owned()), state: Some(folder.to_owned()), ..Ovn::default() }
}

impl Bench {
    async fn nbctl(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.ok("nbctl", &words).await
    }

    async fn not_done(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.refused("nbctl", &words).await
    }

    /// Types the seed's commands.
    async fn seed(&mut self) {
        self.ok("port/set", &["p1", "iface_id=vm1"]).await;
        self.ok("port/set", &["p2", "iface_id=vm2"]).await;
        for line in TOPOLOGY.lines().filter_map(|line| line.strip_prefix("ovn-nbctl ")) {
            let line = line.replace('"', "'");
            let mut words = Vec::new();
            for (at, part) in line.split('\'').enumerate() {
                if at % 2 == 1 {
                    words.push(part);
                } else {
                    words.extend(part.split_whitespace());
                }
            }
            assert_eq!(self.ok("nbctl", &words).await, "", "{line}");
        }
    }

    /// All rows but those of this chassis, as they are shown without what differs from start to start.
    async fn flows_of_rows(&mut self) -> String {
        self.ok("sbctl/lflow-list", &[]).await
    }
}

#[test]
fn the_seed_is_typed_and_forwards() {
    bench(async |mut bench| {
        bench.seed().await;
        assert_eq!(bench.claim("vm1").await, (true, "true".to_owned()));
        for (name, key) in [("network1", "1\n"), ("network2", "2\n"), ("router1", "3\n")] {
            assert_eq!(bench.ok("sbctl/get", &["Datapath_Binding", name, "tunnel_key"]).await, key);
        }
        let real = include_str!("../../../../tests/data/ovn/s2-l3/lflow-list.txt");
        let count = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("table=")).count();
        assert_eq!(count(&bench.flows_of_rows().await), count(real));
        // The Northbound was told of what became of it.
        assert_eq!(bench.nbctl("get logical_switch_port vm1 up").await, "true\n");
        assert_eq!(bench.nbctl("lsp-get-up vm2").await, "up\n");
        bench.ok("port/set", &["p2", "iface_id="]).await;
        assert_eq!(bench.nbctl("lsp-get-up vm2").await, "down\n");
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(shown.starts_with("Chassis ") && shown.contains("Port_Binding vm1"), "{shown}");
        let traced = bench
            .ok(
                "trace",
                &[
                    "--minimal",
                    "network1",
                    "inport == \"vm1\" && eth.src == 40:44:00:00:00:01 && eth.dst == 40:44:00:00:00:03 && \
                     ip4.src == 192.168.0.11 && ip4.dst == 192.168.1.11 && ip.ttl == 64",
                ],
            )
            .await;
        assert!(traced.ends_with("output(\"vm2\");\n"), "{traced}");
    });
}

#[test]
fn what_is_refused_changes_nothing() {
    bench(async |mut bench| {
        bench.seed().await;
        let before = (bench.ok("nbctl/dump", &[]).await, bench.flows_of_rows().await);
        for (line, part) in [
            ("ls-add x -- ls-add network1", "exists already"),
            ("lsp-add network1 y -- lsp-add nowhere z", "there is no switch \"nowhere\""),
            ("ls-add a -- set logical_switch a bogus=1", "bogus"),
            ("lrp-add router1 other 40:44:00 10.1.1.1/24", "40:44:00"),
            ("ls-dell network1", "did you mean ls-del"),
            ("--db=unix:x show", "leave it out"),
            ("--dry-run", "no command"),
        ] {
            let sentence = bench.not_done(line).await;
            assert!(
                sentence.contains(part) && sentence.trim_end().lines().count() == 1,
                "{line}: {sentence}"
            );
        }
        bench.nbctl("--dry-run ls-add x").await;
        assert_eq!((bench.ok("nbctl/dump", &[]).await, bench.flows_of_rows().await), before);
    });
}

#[test]
fn a_configuration_has_a_number_when_it_is_waited_for() {
    bench(async |mut bench| {
        bench.nbctl("--wait=hv ls-add a").await;
        assert_eq!(bench.nbctl("get nb_global . nb_cfg sb_cfg hv_cfg").await, "1\n1\n1\n");
        let text = bench.nbctl("--wait=hv --print-wait-time sync").await;
        assert!(text.starts_with("Time spent on processing nb_cfg 2:\n\tovn-northd delay"), "{text}");
        assert_eq!(bench.nbctl("get nb_global . nb_cfg sb_cfg hv_cfg").await, "2\n2\n2\n");
        assert_eq!(bench.ok("sbctl/get", &["SB_Global", ".", "nb_cfg"]).await, "2\n");
    });
}

#[test]
fn rows_come_from_the_northbound_or_from_a_dump() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &["--chassis=hv1", &chassis::rows()]).await;
        let sentence = bench.not_done("ls-add a").await;
        assert!(sentence.contains("sbctl unload"), "{sentence}");
        assert_eq!(bench.nbctl("show").await, "");
        bench.ok("sbctl/unload", &[]).await;
        assert!(bench.refused("sbctl/unload", &[]).await.contains("no dump is loaded"));
        bench.nbctl("ls-add a").await;
        let sentence = bench.refused("sbctl/load", &[&chassis::rows()]).await;
        assert!(sentence.contains("nbctl load"), "{sentence}");
        bench.nbctl("ls-del a").await;
        bench.ok("sbctl/load", &["--chassis=hv1", &chassis::rows()]).await;
    });
}

#[test]
fn a_dump_takes_the_place_of_all_and_comes_out_again() {
    bench(async |mut bench| {
        let real = include_str!("../../../../tests/data/ovn/s7-routers/nb-dump.json");
        bench.nbctl("ls-add gone").await;
        let (one, two) = real.split_at(real.len() / 2);
        assert_eq!(bench.ok("nbctl/load", &["--part", one]).await, "");
        let loaded = bench.ok("nbctl/load", &[two]).await;
        assert!(loaded.contains("rows, ") && loaded.contains(" changed"), "{loaded}");
        assert!(!bench.nbctl("ls-list").await.contains("gone"));
        let dumped = bench.ok("nbctl/dump", &[]).await;
        let flows = bench.flows_of_rows().await;
        bench.nbctl("ls-add other").await;
        let again = bench.json("nbctl/load", &[&dumped]).await;
        assert!(again["changed"].as_u64().unwrap() <= 3, "{again}");
        assert_eq!(bench.ok("nbctl/dump", &[]).await, dumped);
        assert_eq!(bench.flows_of_rows().await, flows);
        let refused = bench.refused("nbctl/load", &["[]"]).await;
        assert_eq!(bench.ok("nbctl/dump", &[]).await, dumped, "{refused}");
        // The parts of a dump for one command are not those of another.
        bench.ok("nbctl/load", &["--part", one]).await;
        let sentence = bench.refused("sbctl/load", &["--part", two]).await;
        assert!(sentence.contains("nbctl/load"), "{sentence}");
    });
}

#[test]
fn what_was_answered_for_is_there_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let mut before = Default::default();
    bench_with(&ovn(&kept), async |mut bench| {
        assert!(!kept.exists(), "nothing is kept before there is something");
        bench.seed().await;
        bench.nbctl("lsp-del vm1 -- lsp-add network1 vm1").await;
        bench.nbctl("ls-add a -- lsp-add a p").await;
        bench.nbctl("ls-del network2").await;
        before = (bench.nbctl("list logical_switch_port").await, bench.flows_of_rows().await);
    });
    bench_with(&ovn(&kept), async |mut bench| {
        bench.ok("port/set", &["p1", "iface_id=vm1"]).await;
        let after = (bench.nbctl("list logical_switch_port").await, bench.flows_of_rows().await);
        assert_eq!(after, before);
        // Keys too: the lowest is not free, though the network that came first has gone.
        assert_eq!(bench.ok("sbctl/get", &["Datapath_Binding", "a", "tunnel_key"]).await, "4\n");
        // A port is who has its name, also if another one had it before.
        assert_eq!(bench.ok("sbctl/get", &["Port_Binding", "vm1", "tunnel_key"]).await, "1\n");
    });
}

#[test]
fn a_topology_is_for_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let topology = folder.path().join("net.nb");
    std::fs::write(&topology, "# Two ports.\nls-add a\nlsp-add a vm1 -- lsp-set-addresses vm1 unknown\n")
        .unwrap();
    let ovn = Ovn { topology: Some(topology.clone()), ..ovn(&folder.path().join("kept")) };
    bench_with(&ovn, async |mut bench| {
        assert!(bench.nbctl("show").await.contains("port vm1"));
        bench.nbctl("ls-del a").await;
    });
    bench_with(&ovn, async |mut bench| assert_eq!(bench.nbctl("show").await, ""));
    let unkept = Ovn { state: None, ..ovn };
    bench_with(&unkept, async |mut bench| assert!(bench.nbctl("show").await.contains("port vm1")));
}

#[test]
fn what_is_learned_goes_with_its_port_and_by_its_age() {
    bench(async |mut bench| {
        bench.seed().await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        bench.tell([chassis::neighbour("192.168.1.99", 2, 0x0200_0000_0099)]);
        bench.rows_of("MAC_Binding", "ip", 1).await;
        bench.nbctl("lrp-del router1-net2").await;
        bench.rows_of("MAC_Binding", "ip", 0).await;
        bench.nbctl("lrp-add router1 router1-net2 40:44:00:00:00:04 192.168.1.1/24").await;
        bench.nbctl("set logical_router router1 options:mac_binding_age_threshold=1").await;
        let port = bench.ok("sbctl/get", &["Port_Binding", "router1-net2", "tunnel_key"]).await;
        bench.tell([chassis::neighbour("192.168.1.99", port.trim().parse().unwrap(), 0x0200_0000_0099)]);
        bench.rows_of("MAC_Binding", "ip", 1).await;
        tokio::time::sleep(Duration::from_millis(2300)).await;
        bench.rows_of("MAC_Binding", "ip", 0).await;
        learning.abort();
    });
}

#[test]
fn the_topologies_that_come_along_are_compiled_whole() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|suffix| suffix == "nb")).collect();
    assert!(!files.is_empty());
    for topology in files {
        let ovn = Ovn { topology: Some(topology), ..Ovn::unkept() };
        bench_with(&ovn, async |mut bench| {
            assert!(bench.nbctl("show").await.contains("port "));
            assert_eq!(bench.ok("nbctl/troubles", &[]).await, "");
        });
    }
}

#[test]
fn what_was_compiled_before_a_dump_is_compiled_again_after_it() {
    bench(async |mut bench| {
        bench.nbctl("create Address_Set name=as1 addresses=10.0.0.1").await;
        bench.ok("sbctl/load", &["--chassis=hv1", &chassis::rows()]).await;
        bench.ok("sbctl/unload", &[]).await;
        bench.nbctl("ls-add s -- acl-add s to-lport 1 ip4.src==$as1 drop").await;
        let sets = bench.ok("sbctl/list", &["--bare", "--columns=name", "Address_Set"]).await;
        assert!(sets.lines().any(|name| name == "as1") && sets.contains("svc_monitor_mac"), "{sets}");
        assert_eq!(bench.ok("sbctl/list", &["--bare", "--columns=nb_cfg", "SB_Global"]).await, "0\n");
    });
}

#[test]
fn a_router_goes_with_what_was_learned_at_ports_that_had_other_names() {
    bench(async |mut bench| {
        bench.seed().await;
        let learning = tokio::task::spawn_local(learning::learn(Rc::clone(&bench.switch)));
        bench.tell([chassis::neighbour("192.168.1.99", 2, 0x0200_0000_0099)]);
        bench.rows_of("MAC_Binding", "ip", 1).await;
        bench.nbctl("set Logical_Router_Port router1-net2 name=other").await;
        bench.nbctl("lr-del router1").await;
        bench.rows_of("MAC_Binding", "ip", 0).await;
        learning.abort();
    });
}

#[test]
fn who_is_up_is_not_for_commands_to_say() {
    bench(async |mut bench| {
        bench.seed().await;
        bench.ok("port/set", &["p2", "iface_id="]).await;
        bench.nbctl("set Logical_Switch_Port vm1 up=false -- set Logical_Switch_Port vm2 up=true").await;
        assert_eq!(bench.nbctl("get Logical_Switch_Port vm1 up").await, "true\n");
        assert_eq!(bench.nbctl("get Logical_Switch_Port vm2 up").await, "false\n");
        let dumped = bench.ok("nbctl/dump", &[]).await;
        bench.ok("port/set", &["p1", "iface_id="]).await;
        bench.ok("nbctl/load", &[&dumped]).await;
        assert_eq!(bench.nbctl("get Logical_Switch_Port vm1 up").await, "false\n");
        assert_eq!(bench.nbctl("get Logical_Switch_Port net1-router1 up").await, "true\n");
    });
}

#[test]
fn what_is_not_compiled_is_named() {
    bench(async |mut bench| {
        bench.seed().await;
        assert_eq!(bench.ok("nbctl/troubles", &[]).await, "");
        bench.nbctl("acl-add network1 to-lport 1 ip4 allow-related").await;
        bench.nbctl("lsp-set-addresses vm2 dynamic").await;
        bench.nbctl("lr-nat-add router1 snat 1.1.1.1 192.168.0.0/24").await;
        let troubles = bench.ok("nbctl/troubles", &[]).await;
        for part in ["(allow-related)", "dynamic addresses", "NAT "] {
            assert!(troubles.contains(part), "{part}: {troubles}");
        }
        assert!(bench.ok("show", &[]).await.contains("3 rows not compiled, or not wholly"));
    });
}

#[test]
fn what_cannot_take_effect_as_written_is_named() {
    bench(async |mut bench| {
        bench.nbctl("ls-add a -- set Logical_Switch a other_config:requested-tnl-key=7").await;
        bench.nbctl("ls-add b -- set Logical_Switch b other_config:requested-tnl-key=7").await;
        for port in ["p", "q"] {
            let options = format!("set Logical_Switch_Port {port} options:requested-tnl-key=9");
            bench.nbctl(&format!("lsp-add a {port} -- {options}")).await;
        }
        bench.ok("nbctl", &["acl-add", "a", "to-lport", "1", "ip4.foo == 1", "drop"]).await;
        bench
            .ok("nbctl", &["acl-add", "a", "to-lport", "2", "ip4.src == $later && outport == @later", "drop"])
            .await;
        let troubles = bench.ok("nbctl/troubles", &[]).await;
        assert_eq!(troubles.lines().count(), 3, "{troubles}");
        for part in [
            "ACL ",
            "no field or predicate \"ip4.foo\"",
            "key 7 is another's",
            "key 9 is another's; it has 10",
        ] {
            assert!(troubles.contains(part), "{part}: {troubles}");
        }
        bench.nbctl("ls-del a").await;
        assert_eq!(bench.ok("nbctl/troubles", &[]).await, "");
        assert_eq!(bench.ok("sbctl/get", &["Datapath_Binding", "b", "tunnel_key"]).await, "7\n");
    });
}

#[test]
fn a_dump_that_was_cut_takes_nothing_away() {
    bench(async |mut bench| {
        bench.nbctl("ls-add mine").await;
        let dump = bench.ok("nbctl/dump", &[]).await;
        let cut: String = dump.split_inclusive('\n').take(5).collect();
        let sentence = bench.refused("nbctl/load", &[&cut]).await;
        assert!(sentence.contains("it was cut"), "{sentence}");
        assert!(bench.nbctl("ls-list").await.contains("mine"));
    });
}

#[test]
fn a_store_that_is_taken_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    bench_with(&ovn(&kept), async |mut bench| {
        bench.nbctl("ls-add a").await;
        std::fs::rename(&kept, folder.path().join("away")).unwrap();
        let sentence = bench.not_done("ls-add b").await;
        assert!(sentence.contains("taken away") && sentence.contains("`state` in `[ovn]`"), "{sentence}");
        std::fs::rename(folder.path().join("away"), &kept).unwrap();
        bench.nbctl("ls-add b").await;
        assert_eq!(bench.nbctl("ls-list").await.lines().count(), 2);
    });
}

#[test]
fn a_container_has_the_tag_that_it_asked_for() {
    bench(async |mut bench| {
        bench.nbctl("ls-add s -- lsp-add s p -- lsp-add s c p 5").await;
        assert_eq!(bench.nbctl("lsp-get-tag c").await, "5\n");
        assert_eq!(bench.ok("sbctl/get", &["Port_Binding", "c", "tag"]).await, "5\n");
    });
}
