//! The way of a packet that no cache knows through the tables, and of a change to the snapshot.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use millrace::pipeline::translate::Translation;

mod scenes;

use scenes::{Publisher, chain, key, walk};

fn translation(c: &mut Criterion) {
    let keys: Vec<_> = (0..1024).map(key).collect();
    let mut out = Translation::default();
    for tables in [1, 3, 20] {
        let snapshot = chain(tables);
        assert_eq!(walk(&snapshot, &keys[0], &mut out), tables as usize);
        let mut next = keys.iter().cycle();
        c.bench_function(&format!("translate/{tables}"), |b| {
            b.iter(|| next.next().map(|key| walk(&snapshot, black_box(key), &mut out)));
        });
    }
}

/// Everything between a command that was read and the swap of the pointer, and the end of the snapshot before.
fn publication(c: &mut Criterion) {
    let mut publisher = Publisher::new(100_000);
    assert_eq!((publisher.change(), publisher.change()), (1, 2));
    c.bench_function("publish/one_of_100000", |b| b.iter(|| publisher.change()));
}

criterion_group!(benches, translation, publication);
criterion_main!(benches);
