//! A Northbound database of 1000 switches with 10 ports each and 100 routers: what one more port costs to the rows that
//! are to be kept, what keeping it costs, and how long it takes to read all again. `TMPDIR` is where it is kept.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use millrace::logical::journal::{Beside, Journal};
use millrace::logical::nb::nbctl::Line;
use millrace::logical::nb::{Changed, Database, Table, Uuid};

const SWITCHES: u32 = 1000;
const PORTS: u32 = 10;
const ROUTERS: u32 = 100;

/// The commands that make the network.
fn script() -> String {
    let mut text = String::new();
    for router in 0..ROUTERS {
        _ = writeln!(text, "lr-add r{router}");
    }
    for switch in 0..SWITCHES {
        let router = switch % ROUTERS;
        let (high, low) = (switch / 256, switch % 256);
        _ = writeln!(text, "ls-add s{switch}");
        _ = writeln!(
            text,
            "lrp-add r{router} a{switch} 02:00:01:00:{high:02x}:{low:02x} 10.{high}.{low}.1/24"
        );
        _ = writeln!(
            text,
            "lsp-add s{switch} s{switch}-r -- lsp-set-type s{switch}-r router -- lsp-set-addresses s{switch}-r router \
             -- lsp-set-options s{switch}-r router-port=a{switch}"
        );
        for port in 0..PORTS {
            let host = port + 10;
            _ = writeln!(
                text,
                "lsp-add s{switch} p{switch}-{port} -- lsp-set-addresses p{switch}-{port} \
                 '02:00:02:{port:02x}:{high:02x}:{low:02x} 10.{high}.{low}.{host}'"
            );
        }
    }
    text
}

fn run(database: &Database, line: &Line) -> (Changed, Vec<Uuid>) {
    let draft = database.draft();
    let done = line.run(draft.edit()).expect("the line can be run");
    (draft.finish(done.edit).expect("the rows are consistent"), done.created)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace('+', " ")).collect()
}

const ONE_MORE: &str = "lsp-add s500 new -- lsp-set-addresses new 02:00:03:00:00:01+10.1.244.99";

fn northbound(c: &mut Criterion) {
    let mut database = Database::default();
    let (changed, created) = run(&database, &Line::script(&script()).expect("a script"));
    let folder = tempfile::tempdir().expect("a folder");
    let (mut journal, _) = Journal::<Table>::open(folder.path()).expect("a journal");
    journal.append(changed.rows(), Beside { created: &created, keys: &[] }).expect("the rows are kept");
    database.accept(changed).expect("nobody else changes rows");

    let mut group = c.benchmark_group("northbound");
    group.bench_function("one_more_port", |bencher| {
        let words = words(ONE_MORE);
        bencher.iter(|| run(&database, &Line::parse(black_box(&words)).expect("a line")));
    });
    group.bench_function("settings_by_name", |bencher| {
        let words = words("set Logical_Switch_Port p500-5 options:requested-chassis=hv1");
        bencher.iter(|| run(&database, &Line::parse(black_box(&words)).expect("a line")));
    });
    group.bench_function("keep_one_more_port", |bencher| {
        let (changed, created) = run(&database, &Line::parse(&words(ONE_MORE)).expect("a line"));
        bencher.iter(|| {
            journal.append(changed.rows(), Beside { created: &created, keys: &[] }).expect("it is kept");
        });
    });
    group.sample_size(10);
    group.bench_function("checkpoint", |bencher| {
        bencher.iter(|| journal.checkpoint(database.snapshot()).expect("the rows are kept"));
    });
    // Its lock would be in the way.
    drop(journal);
    group.bench_function("read_all_again", |bencher| {
        bencher.iter(|| Journal::<Table>::open(folder.path()).expect("a journal").1.records);
    });
    group.finish();
}

criterion_group!(benches, northbound);
criterion_main!(benches);
