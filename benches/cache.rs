//! The caches: hash, exact-match cache, subtables of megaflows, and both with what is kept of a translation.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millrace::classifier::cache::{Seed, flow_hash};

mod scenes;

use scenes::{BURST, Filled, Tuples, bursts, key};

fn hash(c: &mut Criterion) {
    let (seed, key) = (Seed::new(1), key(1));
    c.bench_function("cache/flow_hash", |b| b.iter(|| flow_hash(black_box(&seed), black_box(&key))));
}

/// Bursts whose packets are spread evenly over megaflows and subtables.
fn search(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache");
    group.throughput(Throughput::Elements(BURST as u64)).sample_size(20);
    for (subtables, megaflows) in
        [1, 1_000, 100_000].into_iter().flat_map(|count| [1, 2, 5, 10, 50].map(|masks| (masks, count)))
    {
        // Every subtable has a megaflow.
        if subtables > megaflows {
            continue;
        }
        let mut tuples = Tuples::new(subtables, megaflows);
        assert_eq!(tuples.search(0), 0);
        let mut burst = 0;
        group.bench_function(BenchmarkId::new(format!("subtables/{subtables}"), megaflows), |b| {
            b.iter(|| {
                burst += 1;
                tuples.search(burst)
            });
        });
        if subtables == 1 {
            // Where a line is full, some megaflow was forgotten.
            assert!(tuples.guess(0) < 4);
            group.bench_function(BenchmarkId::new("exact_match", megaflows), |b| {
                b.iter(|| {
                    burst += 1;
                    tuples.guess(burst)
                });
            });
        }
    }
}

fn whole(c: &mut Criterion) {
    const INSTALLS: u32 = 4096;
    let mut group = c.benchmark_group("cache");
    group.throughput(Throughput::Elements(BURST as u64)).sample_size(20);
    let mut wide = Filled::new("in_port=1", 1 << 13);
    assert!(wide.install(&key(0)));
    let bursts = bursts(64, 1000, key);
    assert_eq!(wide.forward(&bursts[0]), BURST as u32);
    let mut next = bursts.iter().cycle();
    group.bench_function("lookup_and_hit/one_wide_megaflow", |b| {
        b.iter(|| next.next().map(|keys| wide.forward(keys)));
    });
    let keys: Vec<_> = (0..INSTALLS).map(key).collect();
    group.throughput(Throughput::Elements(u64::from(INSTALLS)));
    group.bench_function("install", |b| {
        b.iter_batched_ref(
            || Filled::new("ip,nw_src=10.0.0.0", 1 << 13),
            |cache| assert!(keys.iter().all(|key| cache.install(key))),
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, hash, search, whole);
criterion_main!(benches);
