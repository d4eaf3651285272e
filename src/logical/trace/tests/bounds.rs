//! Where traces end that would go on.

use super::*;
use crate::logical::trace::machine::MAX_WORK;
use crate::logical::trace::node::{MAX_NODES, MAX_TEXT};

/// What a switch does that runs a table with these actions so many times.
fn repeated(times: usize, actions: &str) -> Trace {
    let (mut net, sw) = Net::switch();
    net.ingress(sw, 0, &"next(1);".repeat(times));
    net.ingress(sw, 1, actions);
    net.tracer().run(&request(Some("sw"), FROM_A)).unwrap()
}

fn last(trace: &Trace) -> &str {
    assert_eq!(trace.nodes().iter().filter(|node| node.text.starts_with("*** given up")).count(), 1);
    &trace.nodes().last().unwrap().text
}

#[test]
fn nodes_are_counted() {
    let actions = "reg0 = 1;".repeat(1000);
    let trace = repeated(250, &actions);
    assert_eq!(trace.nodes().len(), MAX_NODES + 1);
    let text = format!("*** given up after {MAX_NODES} lines; the flows go round in a circle or do too much");
    assert_eq!(last(&trace), text);
    assert_eq!(trace.display(&[Form::Minimal]).to_string().lines().last(), Some(&format!("{text};") as &str));
    // One that has room for all its actions ends by itself.
    let trace = repeated(150, &actions);
    assert!(!trace.nodes().iter().any(|node| node.text.contains("given up")));
}

#[test]
fn text_is_counted() {
    let trace = repeated(200, &format!("outport = \"{}\";", "x".repeat(100_000)));
    let bytes: usize = trace.nodes().iter().map(|node| node.text.len()).sum();
    assert!((MAX_TEXT - 200_000..=MAX_TEXT + 200).contains(&bytes), "{bytes}");
    let text =
        format!("*** given up after {MAX_TEXT} bytes of text; the flows go round in a circle or do too much");
    assert_eq!(last(&trace), text);
}

#[test]
fn circles_end() {
    assert_eq!(
        minimal(&["next(1);", "next(0);"], FROM_A),
        ["*** given up 512 tables deep; the flows go round in a circle;"]
    );
    let twice: Vec<String> = (1..18).map(|table| format!("next({table}); next({table});")).collect();
    let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
    assert_eq!(
        minimal(&twice, FROM_A),
        ["*** given up after 32768 tables; the flows go round in a circle or to too many ports;"]
    );
}

/// Seventeen tables, each of which runs the next one twice and has flows that take long to look at.
fn laborious() -> Tracer {
    let (mut net, sw) = Net::switch();
    let set: Vec<String> = (0..5000).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    let matches = format!("eth.type == 5 && ip4.src == {{{}}}", set.join(", "));
    for table in 0..17 {
        for priority in 1..5 {
            net.flow(sw, Pipeline::Ingress, table, priority, &matches, "drop;");
        }
        net.ingress(sw, table, &format!("next({}); next({});", table + 1, table + 1));
    }
    net.tracer()
}

#[test]
fn comparisons_are_counted() {
    let trace = laborious().run(&request(Some("sw"), FROM_A)).unwrap();
    let text =
        format!("*** given up after {MAX_WORK} comparisons; the flows go round in a circle or are too many");
    assert_eq!(last(&trace), text);
}

#[test]
fn a_trace_that_nobody_waits_for_ends() {
    let stop = Stop::default();
    stop.tell();
    let trace = laborious().run_until(&request(Some("sw"), FROM_A), &stop).unwrap();
    assert!(trace.nodes().len() < 10, "{}", trace.nodes().len());
}

#[test]
fn notes_are_few_and_short() {
    let notes = |flows: usize| {
        let (mut net, sw) = Net::switch();
        let word = "x".repeat(100_000);
        (0..flows).for_each(|_| net.flow(sw, Pipeline::Ingress, 0, 0, &word, "next;"));
        let trace = net.tracer().run(&request(Some("sw"), FROM_A)).unwrap();
        assert_eq!(trace.unread().len(), flows);
        let text = trace.display(&[Form::Minimal]).to_string();
        let notes: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("# note: ")).map(str::to_owned).collect();
        let json: serde_json::Value = serde_json::from_str(&trace.json().unwrap()).unwrap();
        assert_eq!(json["notes"], serde_json::json!(notes));
        assert!(notes.iter().all(|note| note.len() < 400), "{notes:?}");
        notes
    };
    assert_eq!(notes(20).len(), 20);
    assert_eq!(notes(21)[20], "and 1 more flow that cannot be read");
    assert_eq!((notes(1000).len(), &*notes(1000)[20]), (21, "and 980 more flows that cannot be read"));
}
