//! `trace` over the rows that `sbctl/load` brought.

use std::sync::Arc;

use super::*;
use crate::control::commands::Answer;
use crate::control::commands::trace::Shown;
use crate::control::switch::MAX_TRACES;
use crate::logical::rows::tables::{DatapathBinding, LogicalFlow, PortBinding};
use crate::logical::rows::{Database, Transaction, Uuid};
use crate::logical::trace::{self, Form};

const DUMP: &str = include_str!("../../../../tests/data/ovn/s1-l2/sb-dump.json");
const TO_VM2: &str = r#"inport == "vm1" && eth.src == 40:44:00:00:00:01 && eth.dst == 40:44:00:00:00:02"#;
const MINIMAL: &str = "# reg14=0x1,vlan_tci=0x0000,dl_src=40:44:00:00:00:01,dl_dst=40:44:00:00:00:02,dl_type=0x0000\n\
                       output(\"vm2\");\n";

#[test]
fn traces_what_was_loaded() {
    bench(async |mut bench| {
        let unknown = bench.refused("trace", &["network1", TO_VM2]).await;
        assert_eq!(unknown, "no rows are loaded; load them with `millrace sbctl load DUMP`");
        bench.ok("sbctl/load", &[DUMP]).await;
        for _ in 0..2 {
            assert_eq!(bench.ok("trace", &["--minimal", "network1", TO_VM2]).await, MINIMAL);
        }
        assert_eq!(bench.ok("trace", &[TO_VM2, "--minimal"]).await, MINIMAL);
        let all = bench.ok("trace", &["--all", TO_VM2]).await;
        assert!(all.contains("\n# Minimal trace.\noutput(\"vm2\");\n"), "{all}");
        let json: Value = serde_json::from_str(&bench.ok("trace", &["--json", TO_VM2]).await).unwrap();
        assert_eq!(json["trace"][0]["text"], r#"ingress(dp="network1", inport="vm1")"#);

        // The flows that were read are forgotten with the rows they came from.
        bench.ok("sbctl/load", &[&DUMP.replace("vm2", "other")]).await;
        let renamed = bench.ok("trace", &["--minimal", TO_VM2]).await;
        assert_eq!(renamed, MINIMAL.replace("vm2", "other"));
    });
}

#[test]
fn nonsense_is_refused() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &[DUMP]).await;
        for (params, part) in [
            (&["network1", "ip4", "ip6"][..], "3 words are given"),
            (&["--ct", "ip4"], "--ct needs a value; write --ct=STATE"),
            (&["--ct=old", "ip4"], "\"old\" is no connection state"),
            (&["nowhere", "ip4"], "there is no datapath \"nowhere\""),
            (&["ip4"], "the microflow names no inport"),
            (&["network1", "ip4 &&"], "ip4 &&"),
        ] {
            let sentence = bench.refused("trace", params).await;
            assert!(sentence.contains(part), "{sentence}");
        }
    });
}

#[test]
fn a_few_traces_at_a_time() {
    bench(async |mut bench| {
        bench.ok("sbctl/load", &[DUMP]).await;
        let turns = Arc::clone(bench.switch.trace_turns());
        assert_eq!(turns.available_permits(), MAX_TRACES);
        let all = turns.acquire_many(MAX_TRACES as u32).await.unwrap();
        let wait = Duration::from_millis(50);
        assert!(tokio::time::timeout(wait, bench.reply("trace", &[TO_VM2])).await.is_err());
        drop(all);
        assert_eq!(bench.ok("trace", &["--minimal", TO_VM2]).await, MINIMAL);
        bench.refused("trace", &["nowhere", "ip4"]).await;
        assert_eq!(bench.switch.trace_turns().available_permits(), MAX_TRACES);
    });
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let mut rows = Transaction::new();
    let datapath = Uuid(1);
    rows.put(datapath, DatapathBinding { tunnel_key: 1, ..Default::default() });
    let logical_port = "a".to_owned();
    rows.put(Uuid(2), PortBinding { datapath, logical_port, tunnel_key: 1, ..Default::default() });
    // The table is nested in itself, and each time does much behind that, so that most of the text is blanks.
    let (matches, actions) = ("1".to_owned(), format!("next(0); {}", "reg0 = 1;".repeat(300)));
    rows.put(
        Uuid(3),
        LogicalFlow { logical_datapath: Some(datapath), matches, actions, ..Default::default() },
    );
    let mut database = Database::default();
    database.commit(rows).unwrap();
    let request = trace::Request { microflow: r#"inport == "a""#.to_owned(), ..Default::default() };
    let trace = trace::run(database.snapshot(), &request).unwrap();
    let shown = |forms| Shown { trace: &trace, forms };
    let sentence = shown(&[Form::Detailed]).text().unwrap_err().to_string();
    assert!(sentence.ends_with("ask for a part of it"), "{sentence}");
    assert!(shown(&[Form::Minimal]).text().unwrap().contains("given up"));
    assert!(shown(&[Form::Detailed]).json().unwrap().contains("given up"));
}
