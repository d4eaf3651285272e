use std::time::Instant;

use super::*;
use crate::packet::FlowMask;
use crate::pipeline::flowmod::{FlowMod, FlowModError};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::syntax::{Mode, parse_flow};
use crate::pipeline::{Batch, Tables};

fn change(text: &str) -> FlowMod {
    let flow = parse_flow(text, &(), Mode::Add).unwrap();
    FlowMod {
        command: crate::pipeline::flowmod::Command::Add,
        table: flow.table,
        priority: flow.priority_or_default(),
        matcher: flow.matcher,
        cookie_filter: None,
        out_port: None,
        actions: flow.actions.unwrap_or_default().into(),
        options: flow.options,
    }
}

fn tables<'t>(flows: impl IntoIterator<Item = &'t str>) -> Tables {
    let stats = FlowStats::new(0);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    flows.into_iter().for_each(|flow| batch.apply(&change(flow)).unwrap());
    batch.commit().0
}

fn key(src: u8, dst: u8) -> FlowKey {
    let mut key = FlowKey::default();
    key.set(Field::EthType, 0x0800);
    key.set(Field::NwSrc, u128::from(src));
    key.set(Field::NwDst, u128::from(dst));
    key
}

fn cookie(tables: &Tables, key: &FlowKey) -> Option<u64> {
    tables.lookup(0, key, &mut ()).map(|flow| flow.options.cookie)
}

#[test]
fn a_set_of_sources_and_a_set_of_destinations_cost_their_sum() {
    let sources = (0..60).map(|n| format!("priority=9,ip,nw_src=0.0.0.{n} actions=conjunction(7,1/2)"));
    let destinations = (0..60).map(|n| format!("priority=9,ip,nw_dst=0.0.0.{n} actions=conjunction(7,2/2)"));
    let more = ["cookie=1,priority=9,conj_id=7,ip actions=drop", "cookie=2,priority=8 actions=drop"];
    let flows: Vec<String> = sources.chain(destinations).chain(more.map(str::to_owned)).collect();
    let tables = tables(flows.iter().map(String::as_str));
    assert_eq!(tables.len(), 122);
    for (src, dst) in [(0, 0), (59, 59), (60, 59), (59, 60), (60, 60), (3, 58)] {
        let expected = if src < 60 && dst < 60 { 1 } else { 2 };
        assert_eq!(cookie(&tables, &key(src, dst)), Some(expected), "{src} {dst}");
    }
}

#[test]
fn a_plain_flow_of_the_same_priority_comes_first() {
    let parts = [
        "priority=5,ip actions=conjunction(1,1/2)",
        "priority=5,ip,nw_dst=0.0.0.1 actions=conjunction(1,2/2)",
    ];
    let by_id = ["cookie=1,priority=1,conj_id=1 actions=drop"];
    let with = |plain| cookie(&tables(parts.into_iter().chain(by_id).chain([plain])), &key(1, 1));
    assert_eq!(with("cookie=2,priority=5,ip,nw_src=0.0.0.1 actions=drop"), Some(2));
    assert_eq!(
        with("cookie=2,priority=4,ip,nw_src=0.0.0.1 actions=drop"),
        Some(2),
        "the search is among all"
    );
    assert_eq!(with("cookie=2,priority=0,ip,nw_src=0.0.0.1 actions=drop"), Some(1));
    let nothing = tables(parts.into_iter().chain(["cookie=3,conj_id=9 actions=drop"]));
    assert_eq!(cookie(&nothing, &key(1, 1)), None, "what leads nowhere is not met");
}

#[test]
fn dimensions_of_another_priority_do_not_count() {
    let flows = ["priority=5,ip actions=conjunction(1,1/2)", "priority=6,ip actions=conjunction(1,2/2)"];
    let tables = tables(flows.into_iter().chain(["cookie=1,conj_id=1 actions=drop"]));
    assert_eq!(cookie(&tables, &key(1, 1)), None);
}

#[test]
fn many_that_are_touched_hide_none_that_is_met() {
    let list = |clause: u8| {
        let one = |id| format!("conjunction({id},{clause}/2)");
        (0..200).map(one).collect::<Vec<_>>().join(",")
    };
    let all = format!("priority=5,ip actions={}", list(1));
    let last = "priority=5,ip,nw_dst=0.0.0.1 actions=conjunction(199,2/2)";
    let lower = "priority=4,ip,nw_dst=0.0.0.1 actions=conjunction(0,2/2)";
    let tables =
        tables([&all, lower, last, "cookie=1,conj_id=199 actions=drop", "cookie=2,priority=0 actions=drop"]);
    assert_eq!(cookie(&tables, &key(1, 1)), Some(1));
    assert_eq!(cookie(&tables, &key(1, 2)), Some(2));
    let mut read = FlowMask::default();
    tables.lookup(0, &key(1, 2), &mut read);
    assert_eq!(
        (read.get(Field::NwSrc), read.get(Field::NwDst)),
        (0, 0xffff_fffe),
        "the prefix that both leave"
    );
}

#[test]
fn sixty_four_dimensions_can_be_met() {
    let every = (1..=63).map(|n| format!("conjunction(1,{n}/64)")).collect::<Vec<_>>().join(",");
    let flows = [
        format!("priority=5,ip actions={every}"),
        "priority=5,ip,nw_dst=0.0.0.1 actions=conjunction(1,64/64)".to_owned(),
        "cookie=1,conj_id=1 actions=drop".to_owned(),
    ];
    let tables = tables(flows.iter().map(String::as_str));
    assert_eq!([1, 2].map(|dst| cookie(&tables, &key(1, dst))), [Some(1), None]);
}

#[test]
fn parts_that_cannot_be_are_refused_however_they_come() {
    let part = |clause, of| Action::Conjunction { id: 1, clause, of };
    let refused = |actions: Vec<Action>| {
        let stats = FlowStats::new(0);
        let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
        batch.apply(&FlowMod { actions: actions.into(), ..change("actions=drop") })
            == Err(FlowModError::BadConjunction)
    };
    for (clause, of) in [(0, 2), (1, 1), (3, 2), (1, 65)] {
        assert!(refused(vec![part(clause, of)]), "{clause}/{of}");
    }
    assert!(
        refused(vec![part(1, 2), Action::PopVlan]) && refused(vec![Action::Clone(vec![part(1, 2)].into())])
    );
    assert!(!refused(vec![part(1, 2), part(2, 2)]));
}
