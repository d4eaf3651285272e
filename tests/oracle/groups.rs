//! Groups: translation answers as the linear interpreter, by bits that decide, and a changed group concerns those who
//! consulted it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use millrace::packet::{Field, FlowKey};
use millrace::pipeline::changes::What;
use millrace::pipeline::objectmod::GroupMod;
use millrace::pipeline::objects::Group;
use millrace::pipeline::objects::group::GroupSpec;
use millrace::pipeline::stats::FlowStats;
use millrace::pipeline::translate::Translation;
use millrace::pipeline::{Batch, Dep, Snapshot, Tables};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::execute;
use crate::megaflows::{answer, concerns, within};
use crate::oracle::flows::{PORTS, TUNNEL, build_on, dense_key, grouped, groups, ports};
use crate::oracle::{Answer, World, interpret, packet_part};

fn put(tables: &Tables, stats: &FlowStats, specs: &[GroupSpec]) -> Tables {
    let mut batch = Batch::new(tables, stats, Instant::now());
    for spec in specs {
        batch.apply_group(&GroupMod::Modify { spec: spec.clone(), may_create: true }).unwrap();
    }
    batch.commit().0
}

fn wanted(world: &World<'_>, key: &FlowKey) -> Answer {
    let mut expected = interpret(world, key, 0);
    expected.outputs.iter_mut().for_each(|(_, key)| *key = packet_part(key));
    expected
}

/// Keys of the small world with ports and protocols.
fn key() -> impl Strategy<Value = FlowKey> {
    let proto = proptest::sample::select(vec![(6u128, 0u128), (17, 0), (17, 3), (1, 0)]);
    (dense_key(), proto, 0u128..3, 0u128..3).prop_map(|(mut key, (proto, frag), src, sport)| {
        key.set(Field::NwProto, proto);
        key.set(Field::IpFrag, frag);
        key.set(Field::NwSrc, src);
        if frag < 2 {
            key.set(Field::TcpSrc, sport);
        }
        key
    })
}

#[test]
fn groups_answer_as_the_linear_interpreter() {
    let (told_apart, spared, concerned) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let add = |cell: &Cell<usize>, really: bool| cell.set(cell.get() + usize::from(really));
    let config = ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() };
    let cases = (groups(), groups(), vec(grouped(), 1..25), vec(key(), 8), 0..3usize);
    let ran = TestRunner::new(config).run(&cases, |(specs, others, flows, keys, changed)| {
        let stats = FlowStats::new(0);
        let tables = put(&Tables::default(), &stats, &specs);
        let (tables, flows) = build_on(&tables, &stats, &flows);
        let old = Snapshot::new(Tables::default(), ports()).with_tables(tables);
        let new = old.with_tables(put(&old.tables, &stats, &others[changed..=changed]));
        let entry = new.log.since(old.log.latest()).unwrap().next().unwrap();
        let What::Changes(changes) = &entry.what else { panic!("{entry:?}") };
        let mut out = Translation::default();
        for snapshot in [&old, &new] {
            let groups: Vec<Arc<Group>> = snapshot.tables.objects().groups().cloned().collect();
            let world = World { flows: &flows, ports: &PORTS, tunnel: Some(TUNNEL), groups: &groups };
            for key in &keys {
                let met = answer(snapshot, key, &mut out);
                let mut got = Answer { hits: met.hits.clone(), ..Answer::default() };
                execute(&met.ops, &mut key.clone(), &mut got);
                prop_assert_eq!(&got, &wanted(&world, key), "{:?}", key);
                for other in &keys {
                    let other = within(&met.recorded, key, other);
                    prop_assert_eq!(&answer(snapshot, &other, &mut out), &met, "{:?} and {:?}", key, other);
                }
                add(&told_apart, keys.iter().any(|other| answer(snapshot, other, &mut out).ops != met.ops));
            }
        }
        for key in &keys {
            let (before, after) = (answer(&old, key, &mut out), answer(&new, key, &mut out));
            let is_concerned = changes.iter().any(|change| concerns(change, key, &before.recorded));
            let consulted = before.recorded.deps.contains(&Dep::Group(changed as u32 + 1));
            prop_assert_eq!(is_concerned, consulted);
            add(&concerned, is_concerned);
            add(&spared, !is_concerned);
            if !is_concerned {
                prop_assert_eq!(before, after);
            }
        }
        Ok(())
    });
    ran.unwrap();
    for often in [&told_apart, &spared, &concerned] {
        assert!(often.get() > 500, "{told_apart:?} {spared:?} {concerned:?}");
    }
}
