//! `sbctl`.

use super::*;

fn real(file: &str) -> String {
    let path = format!("{}/tests/data/ovn/s3-rich/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_dump_is_loaded_and_shown() {
    bench(async |mut bench| {
        assert_eq!(bench.ok("sbctl/list", &["Datapath_Binding"]).await, "");
        let text = real("sb-dump.json");
        let loaded = bench.ok("sbctl/load", &["--chassis=hv1", &text]).await;
        assert_eq!(
            loaded,
            "500 rows in 19 tables, 500 changed\n\
             note: no row of Chassis has the name \"hv1\", so it can claim no port\n"
        );
        assert_eq!(bench.ok("sbctl/lflow-list", &[]).await, real("lflow-list.txt"));
        let keys = ["--bare", "--columns=tunnel_key", "datapath", "external-ids:name=web"];
        assert_eq!(bench.ok("sbctl/find", &keys).await, "1\n");
        assert_eq!(bench.ok("sbctl/get", &["Port_Binding", "web1", "type", "up"]).await, "\"\"\nfalse\n");
        let twice = ["--bare", "--columns=tunnel_key", "datapath", "web", "web"];
        assert_eq!(bench.ok("sbctl/list", &twice).await, "1\n\n1\n");
        // No chassis, but keys that another host can have too.
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(shown.starts_with("Keys ") && shown.len() == "Keys 0123456789ab\n".len(), "{shown}");
        let again = bench.json("sbctl/load", &[&text]).await;
        assert_eq!(
            (&again["rows"], &again["changed"], &again["chassis"]),
            (&json!(500), &json!(0), &Value::Null)
        );
    });
}

#[test]
fn a_cut_dump_is_loaded_with_a_note() {
    bench(async |mut bench| {
        let text = real("sb-dump.json");
        let head: Vec<&str> = text.lines().take(3).collect();
        let loaded = bench.ok("sbctl/load", &[&head.join("\n")]).await;
        assert_eq!(
            loaded,
            "7 rows in 1 table, 7 changed\n\
             note: the dump has nothing of 31 tables, not even headings: Chassis_Private, Chassis_Template_Var, \
             Connection, …; if it was cut, load a whole one\n"
        );
        let without: Vec<&str> = text.lines().filter(|line| !line.contains("\"SB_Global table\"")).collect();
        let loaded = bench.json("sbctl/load", &[&without.join("\n")]).await;
        assert_eq!(loaded["lacks"], json!(["SB_Global"]));
    });
}

#[test]
fn a_dump_comes_in_parts_from_one_client_at_a_time() {
    bench(async |mut bench| {
        let text = real("sb-dump.json");
        let (first, rest) = text.split_at(text.len() / 2);
        assert_eq!(bench.ok("sbctl/load", &["--part", first]).await, "");
        let mut other = Bench {
            switch: Rc::clone(&bench.switch),
            handle: Rc::clone(&bench.handle),
            session: Session::default(),
        };
        assert_eq!(
            other.refused("sbctl/load", &["--part", first]).await,
            "another client is loading a dump; try again when it is done"
        );
        assert_eq!(bench.json("sbctl/load", &["--part", ""]).await["received"], first.len());
        assert!(bench.ok("sbctl/load", &[rest]).await.starts_with("500 rows "));
        // Gone with the client.
        bench.ok("sbctl/load", &["--part", "garbage"]).await;
        bench.session = Session::default();
        assert!(other.ok("sbctl/load", &[&text]).await.starts_with("500 rows in 19 tables, 0 changed"));
    });
}

#[test]
fn the_turn_to_load_goes_back_when_no_part_comes() {
    bench(async |mut bench| {
        let text = real("sb-dump.json");
        let (first, rest) = text.split_at(text.len() / 2);
        bench.session.upload.patience = Duration::from_millis(20);
        bench.ok("sbctl/load", &["--part", first]).await;
        // Each part begins the wait anew.
        bench.session.upload.patience = Duration::from_secs(60);
        bench.ok("sbctl/load", &["--part", ""]).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        bench.session.upload.patience = Duration::from_millis(20);
        bench.ok("sbctl/load", &["--part", ""]).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut other = Bench {
            switch: Rc::clone(&bench.switch),
            handle: Rc::clone(&bench.handle),
            session: Session::default(),
        };
        assert!(other.ok("sbctl/load", &[&text]).await.starts_with("500 rows "));
        // Half a dump is not taken for a whole one.
        assert_eq!(
            bench.refused("sbctl/load", &[rest]).await,
            "the dump was given up, since no part of it came for long; send it again"
        );
        assert!(bench.ok("sbctl/load", &[&text]).await.starts_with("500 rows in 19 tables, 0 changed"));
    });
}

#[test]
fn answers_about_rows_are_made_on_other_threads() {
    let about_rows = COMMANDS.iter().filter(|command| command.name.starts_with("sbctl/"));
    let (aside, others): (Vec<_>, Vec<_>) =
        about_rows.partition(|command| matches!(command.run, Run::Aside(_)) && command.max <= WORDS);
    assert_eq!(aside.len(), 6);
    assert_eq!(
        others.iter().map(|command| command.name).collect::<Vec<_>>(),
        ["sbctl/change", "sbctl/load", "sbctl/troubles", "sbctl/unload"]
    );
}

#[test]
fn a_load_is_not_held_up_by_changes_meanwhile() {
    use crate::logical::rows::tables::MacBinding;
    use crate::logical::rows::{Transaction, Uuid, dump};
    bench(async |mut bench| {
        let text = real("sb-dump.json");
        bench.ok("sbctl/load", &[&text]).await;
        // Something is learned whenever anything else waits.
        let switch = Rc::clone(&bench.switch);
        let datapath = dump::read(&text).unwrap().into_iter().find_map(|(uuid, row)| {
            (row.table() == crate::logical::rows::Table::DatapathBinding).then_some(uuid)
        });
        let datapath = datapath.unwrap();
        let learning = tokio::task::spawn_local(async move {
            for n in 0.. {
                let mut learned = Transaction::new();
                let ip = format!("10.9.{}.{}", n / 250 % 250, n % 250);
                let (logical_port, mac) = ("web1".to_owned(), "02:00:00:00:00:01".to_owned());
                learned.put(Uuid(1 + n), MacBinding { datapath, ip, logical_port, mac, timestamp: 0 });
                // In the moment of the load the datapath may be another.
                let _ = switch.state_mut().logical.rows.commit(learned);
                tokio::task::yield_now().await;
            }
        });
        let loaded = tokio::time::timeout(Duration::from_secs(20), bench.ok("sbctl/load", &[&text])).await;
        let store = bench.switch.state().logical.rows.snapshot().clone();
        learning.abort();
        assert!(loaded.expect("it comes to an end").starts_with("500 rows in 19 tables"));
        assert!(store.len(crate::logical::rows::Table::LogicalFlow) > 100);
    });
}

#[test]
fn a_bad_dump_changes_nothing() {
    bench(async |mut bench| {
        let text = real("sb-dump.json");
        bench.ok("sbctl/load", &["--chassis=hv1", &text]).await;
        let before = bench.switch.state().logical.rows.snapshot().clone();
        for (bad, sentence) in [
            (text[..text.len() / 2].to_owned(), "not a dump as"),
            (text.replace("Datapath_Binding table", "Datapath table"), "nothing is loaded: "),
            (real("nb-dump.json"), "this is a dump of a Northbound database; load one of OVN_Southbound"),
        ] {
            let refusal = bench.refused("sbctl/load", &["--chassis=hv2", &bad]).await;
            assert!(refusal.starts_with(sentence) && !refusal.contains('\n'), "{refusal}");
        }
        let state = bench.switch.state();
        assert_eq!(state.logical.chassis.as_deref(), Some("hv1"));
        for table in crate::logical::rows::Table::ALL {
            assert!(before.rows(*table).eq(state.logical.rows.snapshot().rows(*table)));
        }
    });
}

#[test]
fn wrong_words_are_refused() {
    bench(async |mut bench| {
        for (method, params, sentence) in [
            ("sbctl/list", &["--bare"][..], "\"sbctl/list\" command requires at least 1 arguments"),
            (
                "sbctl/list",
                &["--format=html", "dns"],
                "unknown output format \"html\"; write list, table, csv or json",
            ),
            (
                "sbctl/find",
                &["dns", "--if-exists"],
                "find has no option \"--if-exists\"; it takes --format=, --data=, --no-headings, --bare, --columns=",
            ),
            ("sbctl/get", &["--if-exists", "dns"], "\"sbctl/get\" command requires at least 2 arguments"),
            (
                "sbctl/load",
                &["--bogus"],
                "load has no option \"--bogus\"; it takes --chassis=NAME and --part",
            ),
            ("sbctl/load", &["a", "b"], "sbctl/load takes one text; send it in parts with --part"),
            ("sbctl/list", &["dns"; 1025], "\"sbctl/list\" command takes at most 1024 arguments"),
            (
                "sbctl/list",
                &[&format!("--columns={}", "records,".repeat(65)), "dns"],
                "65 columns are too many; name 64 at most",
            ),
            (
                "sbctl/lflow-list",
                &["--x"],
                "lflow-list has no option \"--x\"; it takes --format=, --data=, --no-headings, --bare, --uuid",
            ),
            ("sbctl/lflow-list", &["x y"], "no rows are loaded; load them with `millrace sbctl load DUMP`"),
            ("sbctl/show", &[], "no rows are loaded; load them with `millrace sbctl load DUMP`"),
        ] {
            assert_eq!(bench.refused(method, params).await, sentence, "{method} {params:?}");
        }
        bench.ok("sbctl/load", &[&real("sb-dump.json")]).await;
        for (method, params, sentence) in [(
            "sbctl/lflow-list",
            &["x y"][..],
            "x y is not a UUID or the beginning of a UUID, nor a datapath",
        )] {
            assert_eq!(bench.refused(method, params).await, sentence, "{method} {params:?}");
        }
    });
}
