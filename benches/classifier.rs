//! Lookup, change and translation at 100 000 flows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use millrace::action::Action;
use millrace::classifier::Classifier;
use millrace::packet::{Field, FlowKey, FlowMask, PortNo};
use millrace::pipeline::flow::FlowOptions;
use millrace::pipeline::flowmod::Command;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::translate::{Start, Translation, translate};
use millrace::pipeline::{Batch, FlowMod, Match, Ports, Snapshot, Tables};

#[path = "../tests/support/rules.rs"]
mod rules;

const FLOWS: u32 = 100_000;

fn matcher(n: u32, masks: u32) -> Match {
    let mut matcher = Match::default();
    matcher.set(Field::EthType, 0x0800);
    matcher.set_masked(Field::NwSrc, u128::from(n) << (n % masks), u128::from(u32::MAX << (n % masks)));
    matcher
}

fn key(n: u32, masks: u32) -> FlowKey {
    matcher(n, masks).key
}

fn classifier(c: &mut Criterion) {
    let mut group = c.benchmark_group("classifier");
    for masks in [1, 10] {
        let mut classifier = Classifier::default();
        for n in 0..FLOWS {
            classifier.insert(1, &matcher(n, masks), Arc::new(n));
        }
        let keys: Vec<_> = (0..1024).map(|n| key(n * 97, masks)).collect();
        let mut next = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("lookup", masks), |b| {
            b.iter(|| next.next().map(|key| classifier.lookup(black_box(key), &mut ()).is_some()));
        });
        let mut n = 0;
        group.bench_function(BenchmarkId::new("change_of_a_clone", masks), |b| {
            b.iter(|| {
                n = (n + 7919) % FLOWS;
                let mut clone = classifier.clone();
                clone.remove(1, &matcher(n, masks));
                clone
            });
        });
    }
}

/// Rule sets like those of real filters.
fn rule_sets(c: &mut Criterion) {
    let mut group = c.benchmark_group("rules");
    group.sample_size(20);
    for kind in rules::KINDS {
        for count in [1_000, 10_000, 100_000] {
            let set = rules::rules(kind, count, 1);
            let keys = rules::keys(&set, 4096, 2);
            let mut classifier = Classifier::default();
            for (rule, at) in set.iter().zip(0u32..) {
                classifier.insert(rule.priority, &rule.matcher, Arc::new(at));
            }
            let bits = keys.iter().map(|key| {
                let mut read = FlowMask::default();
                classifier.lookup(key, &mut read);
                read.words().iter().map(|word| word.count_ones() as usize).sum::<usize>()
            });
            println!(
                "{kind:?}, {count} rules: {} subtables, {} bits read per lookup",
                classifier.subtables(),
                bits.sum::<usize>() / keys.len()
            );
            let mut next = keys.iter().cycle();
            group.bench_function(BenchmarkId::new(format!("lookup/{kind:?}"), count), |b| {
                b.iter(|| {
                    let mut read = FlowMask::default();
                    next.next().map(|key| classifier.lookup(black_box(key), &mut read).is_some())
                });
            });
            let mut at = 0;
            group.bench_function(BenchmarkId::new(format!("remove_and_insert/{kind:?}"), count), |b| {
                b.iter(|| {
                    at = (at + 7919) % set.len();
                    let (rule, old) = (&set[at], classifier.clone());
                    let value = classifier.remove(rule.priority, &rule.matcher);
                    // The snapshot between the two, as when each is published.
                    let between = classifier.clone();
                    classifier.insert(rule.priority, &rule.matcher, value.unwrap_or_default());
                    (old, between)
                });
            });
        }
    }
}

fn translation(c: &mut Criterion) {
    let stats = FlowStats::new(1);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    for n in 0..FLOWS {
        let change = FlowMod {
            command: Command::Add,
            table: Some(0),
            priority: 1,
            matcher: matcher(n, 1),
            cookie_filter: None,
            out_port: None,
            actions: Arc::from([Action::Output(PortNo(2))]),
            options: FlowOptions::default(),
        };
        if let Err(error) = batch.apply(&change) {
            panic!("{error}");
        }
    }
    let snapshot = Snapshot::new(batch.commit().0, Ports::default());
    let keys: Vec<_> = (0..1024).map(|n| key(n * 97, 1)).collect();
    let mut next = keys.iter().cycle();
    let mut out = Translation::default();
    c.bench_function("translate/one_table", |b| {
        b.iter(|| {
            if let Some(key) = next.next() {
                translate(&snapshot, &mut key.clone(), Start::Table(0), &mut out);
            }
            black_box(out.ops().len())
        });
    });
}

criterion_group!(benches, classifier, rule_sets, translation);
criterion_main!(benches);
