use std::time::Duration;

use super::*;
use crate::packet::Field;

fn on_port(port: u128) -> Match {
    let mut matcher = Match::default();
    matcher.set(Field::InPort, port);
    matcher
}

fn udp() -> Match {
    let mut matcher = Match::default();
    matcher.set(Field::EthType, 0x0800);
    matcher.set(Field::NwProto, 17);
    matcher
}

fn output(port: u16) -> Arc<[Action]> {
    Arc::from([Action::Output(PortNo(port))])
}

fn change(command: Command, matcher: Match, actions: Arc<[Action]>) -> FlowMod {
    FlowMod {
        command,
        table: None,
        priority: 100,
        matcher,
        cookie_filter: None,
        out_port: None,
        actions,
        options: FlowOptions::default(),
    }
}

/// The tables and their counters, changed one batch at a time.
struct Bench {
    tables: Tables,
    stats: Arc<FlowStats>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { tables: Tables::default(), stats: FlowStats::new(1), now: Instant::now() }
    }

    fn apply(&mut self, change: FlowMod) -> Result<Changes, FlowModError> {
        let mut batch = Batch::new(&self.tables, &self.stats, self.now);
        batch.apply(&change)?;
        let (tables, changes) = batch.commit();
        self.tables = tables;
        Ok(changes)
    }

    /// Table, priority, cookie and actions of all flows.
    fn flows(&self) -> Vec<(u8, u16, u64, Arc<[Action]>)> {
        let all = self.tables.list(&FlowFilter::default());
        all.iter().map(|f| (f.table, f.priority, f.options.cookie, Arc::clone(&f.actions))).collect()
    }
}

#[test]
fn add_replaces_the_same_match_and_priority_and_counts_anew() {
    let mut bench = Bench::new();
    bench.apply(change(Command::Add, on_port(1), output(2))).unwrap();
    let before = bench.tables.clone();
    bench.apply(FlowMod { priority: 7, ..change(Command::Add, on_port(1), output(2)) }).unwrap();
    let changes = bench.apply(change(Command::Add, on_port(1), output(3))).unwrap();
    assert_eq!(bench.flows(), [(0, 100, 0, output(3)), (0, 7, 0, output(2))]);
    assert_eq!(changes.removed.len(), 1);
    assert_ne!(changes.removed[0].stats, changes.added[0]);
    assert_eq!(before.len(), 1);
    assert_eq!(before.list(&FlowFilter::default())[0].actions, output(2));
}

#[test]
fn check_overlap_refuses_only_another_flow_of_that_priority() {
    let mut bench = Bench::new();
    let checked = |matcher, priority| {
        let mut out = FlowMod { priority, ..change(Command::Add, matcher, output(1)) };
        out.options.check_overlap = true;
        out
    };
    bench.apply(change(Command::Add, udp(), output(1))).unwrap();
    let error = bench.apply(checked(on_port(1), 100)).unwrap_err();
    assert_eq!(error, FlowModError::Overlap { table: 0, priority: 100 });
    bench.apply(checked(on_port(1), 99)).unwrap();
    bench.apply(checked(udp(), 100)).unwrap();
    let mut tcp = udp();
    tcp.set(Field::NwProto, 6);
    bench.apply(checked(tcp, 100)).unwrap();
    assert_eq!(bench.tables.len(), 3);
    assert!(bench.tables.iter().all(|flow| !flow.options.check_overlap));
}

#[test]
fn modify_keeps_counters_and_timeouts_and_takes_the_cookie() {
    let mut bench = Bench::new();
    let mut add = change(Command::Add, on_port(1), output(2));
    add.options = FlowOptions { cookie: 6, idle_timeout: 9, ..FlowOptions::default() };
    let id = bench.apply(add).unwrap().added[0];
    let created = bench.now;
    bench.now += Duration::from_secs(1);

    let mut modify = change(Command::Modify, Match::default(), output(3));
    modify.options = FlowOptions { cookie: 9, idle_timeout: 1, ..FlowOptions::default() };
    let changes = bench.apply(modify.clone()).unwrap();
    assert_eq!((changes.modified, changes.added.len(), changes.cleared.len()), (1, 0, 0));
    let flow = &bench.tables.list(&FlowFilter::default())[0];
    assert_eq!((flow.stats, flow.options.cookie, flow.options.idle_timeout), (id, 9, 9));
    assert_eq!((flow.created, flow.modified, &flow.actions), (created.into(), bench.now.into(), &output(3)));

    modify.cookie_filter = Some((9, u64::MAX));
    modify.options.cookie = 0;
    modify.options.reset_counts = true;
    assert_eq!(bench.apply(modify).unwrap().cleared, [id]);
    assert_eq!(bench.flows(), [(0, 100, 9, output(3))]);
}

#[test]
fn modify_adds_where_it_means_no_flow_unless_it_chose_by_cookie() {
    let mut bench = Bench::new();
    let by_cookie = FlowMod { cookie_filter: Some((1, 1)), ..change(Command::Modify, on_port(1), output(2)) };
    bench.apply(by_cookie).unwrap();
    assert!(bench.tables.is_empty());
    bench.apply(FlowMod { table: Some(3), ..change(Command::Modify, on_port(1), output(2)) }).unwrap();
    assert_eq!(bench.flows(), [(3, 100, 0, output(2))]);
    // Strict: another priority is another flow, and without a table it goes to table 0.
    let strict = FlowMod { priority: 7, ..change(Command::ModifyStrict, on_port(1), output(4)) };
    bench.apply(strict).unwrap();
    assert_eq!(bench.flows(), [(0, 7, 0, output(4)), (3, 100, 0, output(2))]);
    bench.apply(change(Command::ModifyStrict, on_port(1), output(5))).unwrap();
    assert_eq!(bench.flows(), [(0, 7, 0, output(4)), (3, 100, 0, output(5))]);
}

#[test]
fn delete_goes_by_match_cookie_and_output() {
    let filled = || {
        let mut bench = Bench::new();
        for (table, port) in [(0, 1u16), (0, 2), (5, 1)] {
            let mut add = change(Command::Add, on_port(u128::from(port)), output(port + 10));
            add.table = Some(table);
            add.options.cookie = u64::from(port);
            bench.apply(add).unwrap();
        }
        let inner = vec![Action::Output(PortNo(11))];
        bench.apply(change(Command::Add, udp(), Arc::from([Action::Clone(inner.into())]))).unwrap();
        bench
    };
    let left = |change: FlowMod| {
        let mut bench = filled();
        bench.apply(change).unwrap();
        bench.tables.len()
    };
    let delete = || change(Command::Delete, Match::default(), output(0));
    assert_eq!(left(delete()), 0);
    assert_eq!(left(FlowMod { table: Some(5), ..delete() }), 3);
    assert_eq!(left(FlowMod { matcher: on_port(1), priority: 1, ..delete() }), 2);
    assert_eq!(left(FlowMod { cookie_filter: Some((2, 2)), ..delete() }), 3);
    assert_eq!(left(FlowMod { out_port: Some(PortNo(11)), ..delete() }), 1);
    let strict = || FlowMod { command: Command::DeleteStrict, ..delete() };
    assert_eq!(left(strict()), 4);
    assert_eq!(left(FlowMod { matcher: on_port(1), ..strict() }), 2);
    assert_eq!(left(FlowMod { matcher: on_port(1), priority: 1, ..strict() }), 4);
    assert_eq!(left(FlowMod { matcher: on_port(1), cookie_filter: Some((3, u64::MAX)), ..strict() }), 4);
}

#[test]
fn listing_is_loose_and_ordered() {
    let mut bench = Bench::new();
    let mut narrow = udp();
    narrow.set(Field::InPort, 1);
    for (priority, matcher) in [(1, udp()), (5, on_port(1)), (5, narrow.clone()), (9, Match::default())] {
        bench.apply(FlowMod { priority, ..change(Command::Add, matcher, output(1)) }).unwrap();
    }
    let list = |matcher| bench.tables.list(&FlowFilter { matcher, ..FlowFilter::default() });
    let matchers = |flows: Vec<Arc<Flow>>| flows.iter().map(|f| f.matcher()).collect::<Vec<_>>();
    assert_eq!(matchers(list(Match::default())), [Match::default(), on_port(1), narrow.clone(), udp()]);
    assert_eq!(matchers(list(udp())), [narrow, udp()]);
    assert_eq!(bench.tables.count(&FlowFilter { matcher: udp(), ..FlowFilter::default() }), 2);
    assert_eq!(bench.tables.count(&FlowFilter { table: Some(255), ..FlowFilter::default() }), 0);
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let mut bench = Bench::new();
    bench.apply(FlowMod { table: Some(7), ..change(Command::Add, udp(), output(1)) }).unwrap();
    let goto: Arc<[Action]> = Arc::from([Action::GotoTable(7)]);
    let refused = bench.apply(change(Command::Modify, Match::default(), Arc::clone(&goto))).unwrap_err();
    assert_eq!(refused, FlowModError::GotoBackward { table: 7, target: 7 });
    bench.apply(FlowMod { table: Some(6), ..change(Command::Add, udp(), goto) }).unwrap();
    let refused = bench.apply(FlowMod { table: Some(255), ..change(Command::Add, udp(), output(1)) });
    assert_eq!(refused.unwrap_err(), FlowModError::NoSuchTable(255));

    let mut batch = Batch::new(&bench.tables, &bench.stats, bench.now);
    batch.apply(&change(Command::Add, on_port(1), output(1))).unwrap();
    let id = batch.changes.added[0];
    assert_eq!(batch.tables().len(), 3);
    drop(batch);
    assert_eq!(bench.tables.len(), 2);
    assert_eq!(bench.stats.allocate(), Ok(id));
}

#[test]
fn flows_expire_by_disuse_and_by_age() {
    let mut bench = Bench::new();
    let start = bench.now;
    let add = |bench: &mut Bench, port, idle_timeout, hard_timeout| {
        let mut add = change(Command::Add, on_port(port), output(1));
        add.options = FlowOptions { idle_timeout, hard_timeout, ..FlowOptions::default() };
        bench.apply(add).unwrap().added[0]
    };
    let (idle, hard) = (add(&mut bench, 1, 10, 0), add(&mut bench, 2, 0, 20));
    add(&mut bench, 3, 0, 0);
    let at = |seconds| start + Duration::from_secs(seconds);
    let expired = |bench: &Bench, seconds, used: Option<u64>| -> Vec<_> {
        let found = bench.tables.expired(at(seconds), |id| used.map(at).filter(|_| id == idle));
        found.iter().map(|(flow, timeout)| (flow.stats, *timeout)).collect()
    };
    assert_eq!(expired(&bench, 9, None), []);
    assert_eq!(expired(&bench, 10, None), [(idle, Timeout::Idle)]);
    assert_eq!(expired(&bench, 10, Some(5)), []);
    assert_eq!(expired(&bench, 20, Some(15)), [(hard, Timeout::Hard)]);

    // A change restarts the hard timeout; only what has a timeout is asked about.
    bench.now = at(15);
    bench.apply(change(Command::Modify, on_port(2), output(2))).unwrap();
    assert_eq!(expired(&bench, 34, Some(30)), []);
    let found = bench.tables.expired(at(60), |_| None);
    assert_eq!(found.len(), 2);

    // What was replaced meanwhile stays.
    let kept = add(&mut bench, 1, 10, 0);
    let mut batch = Batch::new(&bench.tables, &bench.stats, at(60));
    batch.expire(&found);
    let (tables, changes) = batch.commit();
    assert_eq!(changes.removed.len(), 1);
    assert!(tables.iter().any(|flow| flow.stats == kept));
    assert_eq!(tables.len(), 2);
    assert!(tables.expired(at(300), |_| None).iter().all(|(flow, _)| flow.stats == kept));
}

#[test]
fn flows_of_logical_networks_change_with_their_rows_only() {
    let mut bench = Bench::new();
    let lowered = |command, port| {
        let options = FlowOptions { lowered: true, ..FlowOptions::default() };
        FlowMod { options, ..change(command, on_port(1), output(port)) }
    };
    bench.apply(lowered(Command::Add, 2)).unwrap();
    let refused = bench.apply(change(Command::Add, on_port(1), output(3))).unwrap_err();
    assert_eq!(refused, FlowModError::Lowered { table: 0, priority: 100 });
    bench.apply(change(Command::Add, on_port(2), output(3))).unwrap();
    for command in [Command::ModifyStrict, Command::DeleteStrict] {
        let _ = bench.apply(change(command, on_port(1), output(4)));
    }
    bench.apply(change(Command::Modify, Match::default(), output(5))).unwrap();
    let outputs = |bench: &Bench| bench.flows().into_iter().map(|flow| flow.3).collect::<Vec<_>>();
    assert_eq!(outputs(&bench), [output(2), output(5)]);
    bench.apply(change(Command::Delete, Match::default(), output(0))).unwrap();
    assert_eq!(outputs(&bench), [output(2)]);
    // Rows come first.
    bench.apply(change(Command::Add, on_port(2), output(3))).unwrap();
    bench.apply(FlowMod { matcher: on_port(2), ..lowered(Command::Add, 6) }).unwrap();
    bench.apply(lowered(Command::ModifyStrict, 7)).unwrap();
    assert_eq!(outputs(&bench), [output(7), output(6)]);
    bench.apply(FlowMod { matcher: Match::default(), ..lowered(Command::Delete, 0) }).unwrap();
    assert!(bench.tables.is_empty());
}
