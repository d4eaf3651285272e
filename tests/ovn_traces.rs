//! The tracer beside the real one: every trace of `tests/data/ovn` in all three forms, to the letter, from the same
//! rows. The uuids and source hints are those of the rows, so they are compared too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use millrace::logical::rows::{Database, Store, Transaction, dump};
use millrace::logical::trace::{Form, Kind, Request, Trace, Tracer};

/// Where that release's tool aborts.
const ABORTED: [&str; 2] = ["web1-rs", "web1-ns-gw"];

fn folder(scenario: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn").join(scenario)
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(scenario: &str) -> Store {
    let mut transaction = Transaction::new();
    for (uuid, row) in dump::read(&read(folder(scenario).join("sb-dump.json"))).unwrap() {
        transaction.put_any(uuid, row);
    }
    let mut database = Database::default();
    database.commit(transaction).unwrap();
    database.snapshot().clone()
}

/// A line of `traces.list`: name, options, datapath, microflow.
fn requests(scenario: &str) -> Vec<(String, Request)> {
    let list = read(folder(scenario).join("traces.list"));
    let lines = list.lines().filter(|line| !line.is_empty()).map(|line| {
        let [name, options, datapath, microflow] =
            line.splitn(4, '|').collect::<Vec<_>>().try_into().expect("four parts");
        let words: Vec<&str> = options.split_whitespace().chain([datapath, microflow]).collect();
        (name.to_owned(), Request::parse(&words).unwrap())
    });
    lines.collect()
}

fn trace(tracer: &Tracer, request: &Request) -> Trace {
    tracer.run(request).unwrap()
}

fn first_difference(theirs: &str, ours: &str) -> String {
    let number = theirs.lines().zip(ours.lines()).take_while(|(one, other)| one == other).count();
    let line = |text: &str| text.lines().nth(number).unwrap_or("(the end)").to_owned();
    format!("line {}\n    recorded: {}\n    ours:     {}", number + 1, line(theirs), line(ours))
}

/// How many traces agree in all forms.
fn compare(scenario: &str) -> usize {
    let tracer = Tracer::new(load(scenario));
    let mut compared = 0;
    let mut differences = String::new();
    for (name, request) in requests(scenario) {
        if ABORTED.contains(&name.as_str()) {
            continue;
        }
        let ours = trace(&tracer, &request);
        assert_eq!(ours.unread(), [], "{name}");
        for form in Form::ALL {
            let text = read(folder(scenario).join(format!("traces/{name}.{}.txt", form.name())));
            // The first line is the command.
            let (_, real) = text.split_once('\n').unwrap();
            let ours = ours.display(&[form]).to_string();
            if ours != real {
                let first = first_difference(real, &ours);
                writeln!(differences, "{scenario} {name} {}: {first}", form.name()).unwrap();
            }
        }
        compared += 1;
    }
    assert!(differences.is_empty(), "\n{differences}");
    compared
}

#[test]
fn a_switch() {
    assert_eq!(compare("s1-l2"), 9);
}

#[test]
fn two_switches_and_a_router() {
    assert_eq!(compare("s2-l3"), 9);
}

#[test]
fn everything_at_once() {
    assert_eq!(compare("s3-rich"), 10);
}

#[test]
fn where_the_real_one_aborts_ours_answers() {
    let tracer = Tracer::new(load("s3-rich"));
    let requests: BTreeMap<String, Request> = requests("s3-rich").into_iter().collect();
    let minimal = |name: &str| {
        let text = trace(&tracer, &requests[name]).display(&[Form::Minimal]).to_string();
        text.split_once('\n').unwrap().1.to_owned()
    };
    // A router advertisement goes back to the port that asked.
    let advertised = minimal("web1-rs");
    assert!(advertised.contains("put_nd_ra_opts(addr_mode = "), "{advertised}");
    assert!(advertised.contains("output(\"web1\");"), "{advertised}");
    let answered = minimal("web1-ns-gw");
    assert!(answered.contains("nd_na_router {"), "{answered}");
    assert!(answered.contains("output(\"web1\");"), "{answered}");
}

#[test]
fn the_json_form_has_every_table_with_its_flow() {
    let tracer = Tracer::new(load("s3-rich"));
    for (name, request) in requests("s3-rich") {
        let trace = trace(&tracer, &request);
        let json: serde_json::Value = serde_json::from_str(&trace.json().unwrap()).unwrap();
        let mut tables = 0;
        let mut due: Vec<&serde_json::Value> = json["trace"].as_array().unwrap().iter().collect();
        while let Some(node) = due.pop() {
            due.extend(node["children"].as_array().into_iter().flatten());
            if node["kind"] == "table" {
                tables += 1;
                assert!(node["stage"].is_string() && node["flow"]["uuid"].is_string(), "{name}: {node}");
            }
        }
        let expected = trace.nodes().iter().filter(|node| node.kind == Kind::Table).count();
        assert_eq!(tables, expected, "{name}");
    }
}

#[test]
fn without_a_datapath_the_port_decides() {
    let tracer = Tracer::new(load("s2-l3"));
    let requests: BTreeMap<String, Request> = requests("s2-l3").into_iter().collect();
    let with = &requests["vm1-vm2-icmp"];
    let without = Request { datapath: None, ..with.clone() };
    let text = |request| trace(&tracer, request).display(&Form::ALL).to_string();
    assert_eq!(text(with), text(&without));
    assert!(text(with).contains("\n# Summary trace.\n"));
}
