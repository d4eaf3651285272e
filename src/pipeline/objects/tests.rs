use std::time::Instant;

use proptest::prelude::*;

use super::group::{Bucket, BucketSpec, GroupKind, GroupSpec, Hash, Method, Selection, choose};
use super::meter::{BandSpec, Meter, MeterSpec, Unit};
use super::*;
use crate::action::reply::Reply;
use crate::action::{Op, Subfield};
use crate::packet::{DropReason, Field, FlowKey, PortNo, PortRef};
use crate::pipeline::changes::What;
use crate::pipeline::flow::Match;
use crate::pipeline::flowmod::{Command, FlowMod, FlowModError};
use crate::pipeline::objectmod::{GroupMod, MeterMod, ObjectError, Place, Which};
use crate::pipeline::stats::{FlowStats, StatsId};
use crate::pipeline::translate::{Start, Translation, translate};
use crate::pipeline::{Batch, Dep, PortView, Ports, Snapshot, Tables};

fn at(port: u16) -> PortRef {
    PortRef { slot: port, generation: 1 }
}

fn out(port: u16) -> Action {
    Action::Output(PortNo(port))
}

fn ports() -> Ports {
    let view =
        |n: u16| PortView { number: PortNo(n), name: format!("p{n}").into(), at: at(n), no_flood: false };
    Ports::new((1..10).map(view).collect())
}

fn bucket(weight: Option<u16>, actions: &[Action]) -> BucketSpec {
    BucketSpec { id: None, weight, actions: actions.into() }
}

fn group(id: u32, kind: GroupKind, buckets: Vec<BucketSpec>) -> GroupSpec {
    GroupSpec { id, kind, buckets }
}

fn flow(table: u8, actions: &[Action]) -> FlowMod {
    FlowMod {
        command: Command::Add,
        table: Some(table),
        priority: 1,
        matcher: Match::default(),
        cookie_filter: None,
        out_port: None,
        actions: actions.into(),
        options: Default::default(),
    }
}

fn meter(id: u32, unit: Unit, bands: &[(u32, u32)]) -> MeterSpec {
    let bands = bands.iter().map(|(rate, burst)| BandSpec { rate: *rate, burst: *burst }).collect();
    MeterSpec { id, unit, burst: true, stats: false, bands }
}

/// Tables in the making.
struct Bench {
    stats: Arc<FlowStats>,
    snapshot: Snapshot,
    out: Translation,
}

impl Bench {
    fn new() -> Self {
        let snapshot = Snapshot::new(Tables::default(), ports());
        Self { stats: FlowStats::new(1), snapshot, out: Translation::default() }
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Batch<'_>) -> T) -> T {
        let stats = Arc::clone(&self.stats);
        let mut batch = Batch::new(&self.snapshot.tables, &stats, Instant::now());
        let result = change(&mut batch);
        self.snapshot = self.snapshot.with_tables(batch.commit().0);
        result
    }

    fn group(&mut self, spec: GroupSpec) {
        self.change(|batch| batch.apply_group(&GroupMod::Modify { spec, may_create: true })).unwrap();
    }

    fn flow(&mut self, table: u8, actions: &[Action]) {
        self.change(|batch| batch.apply(&flow(table, actions))).unwrap();
    }

    fn ops(&mut self, key: &FlowKey) -> Vec<Op> {
        translate(&self.snapshot, &mut key.clone(), Start::Table(0), &mut self.out);
        self.out.ops().to_vec()
    }
}

fn udp(src: u32, port: u16) -> FlowKey {
    let mut key = FlowKey::default();
    let fields = [
        (Field::InPort, 9),
        (Field::EthType, 0x0800),
        (Field::NwProto, 17),
        (Field::NwTtl, 64),
        (Field::NwSrc, u128::from(src)),
        (Field::NwDst, 0x0a00_0001),
        (Field::UdpSrc, u128::from(port)),
        (Field::UdpDst, 53),
    ];
    fields.iter().for_each(|(field, value)| key.set(*field, *value));
    key
}

fn select(method: Option<Method>, param: u64, fields: &[Field]) -> GroupKind {
    let fields = fields.iter().map(|field| (*field, field.all_ones())).collect();
    GroupKind::Select(Selection { method, param, fields })
}

#[test]
fn all_buckets_get_a_copy_and_the_packet_goes_on_as_it_was() {
    let mut bench = Bench::new();
    let set = Action::Load { value: 7, dst: Subfield::whole(Field::UdpDst) };
    let buckets = vec![bucket(None, &[set.clone(), out(1)]), bucket(None, &[out(2)])];
    bench.group(group(1, GroupKind::All, buckets));
    bench.flow(0, &[Action::Group(1), out(3)]);
    let set = Op::Set { field: Field::UdpDst, value: 7, mask: 0xffff };
    let copies = [Op::Clone { ops: 2 }, set, Op::Output(at(1)), Op::Clone { ops: 1 }, Op::Output(at(2))];
    assert_eq!(bench.ops(&udp(1, 1)), [&copies[..], &[Op::Output(at(3))]].concat());
    assert_eq!(bench.out.hits().len(), 4, "flow, group and two buckets");
    assert!(bench.out.recorded().deps.contains(&Dep::Group(1)));
}

#[test]
fn an_indirect_group_at_the_end_works_on_the_packet_itself() {
    let mut bench = Bench::new();
    bench.group(group(1, GroupKind::Indirect, vec![bucket(None, &[Action::PushVlan(0x8100), out(1)])]));
    bench.flow(0, &[Action::Group(1)]);
    let push = Op::PushVlan { tpid: 0x8100 };
    assert_eq!(bench.ops(&udp(1, 1)), [push, Op::Output(at(1))]);
    bench.flow(0, &[Action::Group(1), out(2)]);
    assert_eq!(bench.ops(&udp(1, 1)), [Op::Clone { ops: 2 }, push, Op::Output(at(1)), Op::Output(at(2))]);
}

#[test]
fn groups_that_go_round_in_circles_end_at_the_limit_and_missing_ones_have_a_name() {
    let mut bench = Bench::new();
    bench.group(group(1, GroupKind::Indirect, vec![bucket(None, &[Action::Group(1)])]));
    bench.flow(0, &[Action::Group(1)]);
    assert_eq!(bench.ops(&udp(1, 1)), [Op::Drop(DropReason::TooDeep)]);
    bench.group(group(1, GroupKind::Indirect, vec![bucket(None, &[Action::Group(2)])]));
    assert_eq!(bench.ops(&udp(1, 1)), [Op::Drop(DropReason::NoSuchGroup)]);
    let group =
        group(1, GroupKind::All, vec![bucket(None, &[Action::Group(1)]), bucket(None, &[Action::Group(1)])]);
    bench.group(group);
    let [Op::Drop(DropReason::ActionLimit | DropReason::TooMany | DropReason::TooDeep)] =
        bench.ops(&udp(1, 1))[..]
    else {
        panic!("{:?}", bench.out.ops());
    };
}

/// How many of 4000 flows each port gets.
fn shares(bench: &mut Bench) -> [usize; 4] {
    let mut shares = [0; 4];
    for n in 0..4000u16 {
        let [Op::Output(to)] = bench.ops(&udp(u32::from(n) / 7, n))[..] else { panic!() };
        shares[usize::from(to.slot)] += 1;
    }
    shares
}

#[test]
fn weights_are_shares_and_zero_is_none() {
    let mut bench = Bench::new();
    let buckets = [0, 100, 300, 0].map(|weight| bucket(Some(weight), &[out(9)]));
    let mut spec = group(1, select(None, 0, &[]), buckets.into());
    (0u16..).zip(&mut spec.buckets).for_each(|(port, bucket)| bucket.actions = [out(port)].into());
    bench.group(spec);
    bench.flow(0, &[Action::Group(1)]);
    let [none, one, three, zero] = shares(&mut bench);
    assert_eq!((none, zero), (0, 0));
    assert!((900..1100).contains(&one) && one + three == 4000, "{one} {three}");
}

fn buckets(ids: &[u32], weights: &[u16]) -> Vec<Bucket> {
    let spec = |weight: u16| bucket(Some(weight), &[]);
    ids.iter().zip(weights).map(|(id, weight)| Bucket::new(*id, &spec(*weight), StatsId(0))).collect()
}

proptest! {
    #[test]
    fn only_what_a_bucket_gets_moves_when_it_comes(seed: u64, values in proptest::collection::vec(any::<u128>(), 64)) {
        let (few, more) = (buckets(&[0, 1, 2], &[5, 9, 1]), buckets(&[0, 1, 2, 7], &[5, 9, 1, 5]));
        for value in values {
            let mut hash = Hash::new(seed);
            hash.add(value);
            let (before, after) = (choose(&few, hash).unwrap().id, choose(&more, hash).unwrap().id);
            prop_assert!(after == before || after == 7);
        }
    }

    #[test]
    fn a_symmetric_selection_is_the_same_both_ways(src: u32, dst: u32, sport: u16, dport: u16) {
        let mut bench = Bench::new();
        let five = (1..6).map(|port| bucket(Some(1), &[out(port)])).collect();
        bench.group(group(1, select(Some(Method::DpHash), 1 << 32, &[]), five));
        bench.flow(0, &[Action::Group(1)]);
        let key = |src: u32, dst: u32, sport: u16, dport: u16| {
            let mut key = udp(src, sport);
            key.set(Field::NwDst, dst.into());
            key.set(Field::UdpDst, dport.into());
            key
        };
        let there = bench.ops(&key(src, dst, sport, dport));
        prop_assert_eq!(there, bench.ops(&key(dst, src, dport, sport)));
    }
}

#[test]
fn a_selection_reads_what_it_hashes_and_nothing_where_there_is_no_choice() {
    let mut bench = Bench::new();
    let two = || vec![bucket(Some(1), &[out(1)]), bucket(Some(1), &[out(2)])];
    bench.group(group(1, select(Some(Method::Hash), 5, &[Field::NwSrc]), two()));
    bench.flow(0, &[Action::Group(1)]);
    let read = |bench: &mut Bench, key: &FlowKey| {
        bench.ops(key);
        let mask = bench.out.recorded().mask;
        [Field::NwSrc, Field::NwDst, Field::UdpSrc, Field::NwProto].map(|field| mask.get(field) != 0)
    };
    assert_eq!(read(&mut bench, &udp(1, 1)), [true, false, false, false]);
    bench.group(group(1, select(None, 5, &[]), two()));
    assert_eq!(read(&mut bench, &udp(1, 1)), [true; 4]);
    let mut fragment = udp(1, 1);
    fragment.set(Field::IpFrag, 1);
    assert_eq!(read(&mut bench, &fragment), [true, true, false, true], "as the later fragments");
    bench.group(group(1, select(None, 5, &[]), vec![bucket(Some(1), &[out(1)]), bucket(Some(0), &[out(2)])]));
    assert_eq!(read(&mut bench, &udp(1, 1)), [false; 4]);
}

#[test]
fn a_change_names_exactly_what_differs() {
    let mut bench = Bench::new();
    bench.group(group(1, GroupKind::All, vec![bucket(None, &[out(1)])]));
    bench.group(group(2, GroupKind::All, vec![]));
    bench.change(|batch| batch.apply_meter(&MeterMod::Add(meter(3, Unit::Kbps, &[(1, 1)])))).unwrap();
    let before = bench.snapshot.log.latest();
    bench.change(|batch| {
        batch
            .apply_group(&GroupMod::Insert { id: 1, at: Place::Last, buckets: vec![bucket(None, &[out(2)])] })
            .unwrap();
        batch.apply_group(&GroupMod::Add(group(5, GroupKind::All, vec![]))).unwrap();
        batch.apply_group(&GroupMod::Delete(Some(5))).unwrap();
        batch.apply_meter(&MeterMod::Delete(None)).unwrap();
    });
    let entries: Vec<_> = bench.snapshot.log.since(before).unwrap().collect();
    let [entry] = entries[..] else { panic!("{entries:?}") };
    let What::Changes(changes) = &entry.what else { panic!("{entry:?}") };
    let slots: Vec<Slot> = changes.iter().map(|change| change.slot).collect();
    assert_eq!(slots, [Slot::Group(1), Slot::Meter(3)]);
    assert!(
        Slot::Group(1).is_among(&[Dep::Group(1)])
            && !Slot::Group(1).is_among(&[Dep::Group(2), Dep::Meter(1)])
    );
}

#[test]
fn what_goes_takes_the_flows_that_name_it_along() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.change(|batch| batch.apply(&flow(0, &[Action::Group(1)]))),
        Err(FlowModError::NoSuchGroup(1))
    );
    assert_eq!(
        bench.change(|batch| batch.apply(&flow(0, &[Action::Meter(1)]))),
        Err(FlowModError::NoSuchMeter(1))
    );
    bench.group(group(1, GroupKind::All, vec![]));
    bench.change(|batch| batch.apply_meter(&MeterMod::Add(meter(1, Unit::Pktps, &[(1, 0)])))).unwrap();
    bench.flow(0, &[Action::Group(1), Action::Group(1)]);
    let inside = Action::Clone([Action::Group(1)].into());
    let reply = Action::Become { kind: Reply::Arp, actions: [inside].into() };
    bench.flow(1, &[reply, Action::Meter(1)]);
    bench.flow(2, &[Action::Meter(1)]);
    bench.flow(3, &[out(1)]);
    let users = |bench: &Bench, named| bench.snapshot.tables.objects().users(named);
    assert_eq!((users(&bench, Named::Group(1)), users(&bench, Named::Meter(1))), (2, 2));
    bench.change(|batch| batch.apply_group(&GroupMod::Delete(None))).unwrap();
    assert_eq!((users(&bench, Named::Group(1)), users(&bench, Named::Meter(1))), (0, 1));
    bench.change(|batch| batch.apply_meter(&MeterMod::Delete(Some(1)))).unwrap();
    assert_eq!(bench.snapshot.tables.iter().map(|flow| flow.table).collect::<Vec<_>>(), [3]);
}

#[test]
fn buckets_come_go_and_are_refused() {
    let mut bench = Bench::new();
    let with = |id: u32| BucketSpec { id: Some(id), ..bucket(None, &[]) };
    bench.group(group(1, GroupKind::All, vec![bucket(None, &[]), with(0), bucket(None, &[])]));
    let ids = |bench: &Bench| -> Vec<u32> {
        bench.snapshot.tables.objects().group(1).unwrap().buckets.iter().map(|bucket| bucket.id).collect()
    };
    assert_eq!(ids(&bench), [1, 0, 2]);
    let insert = |at, id| GroupMod::Insert { id: 1, at, buckets: vec![with(id)] };
    bench.change(|batch| batch.apply_group(&insert(Place::First, 8))).unwrap();
    bench.change(|batch| batch.apply_group(&insert(Place::Behind(0), 9))).unwrap();
    assert_eq!(ids(&bench), [8, 1, 0, 9, 2]);
    for (which, left) in
        [(Which::First, vec![1, 0, 9, 2]), (Which::Last, vec![1, 0, 9]), (Which::Bucket(0), vec![1, 9])]
    {
        bench.change(|batch| batch.apply_group(&GroupMod::Remove { id: 1, which })).unwrap();
        assert_eq!(ids(&bench), left);
    }
    let refused = |bench: &mut Bench, change| bench.change(|batch| batch.apply_group(&change)).unwrap_err();
    assert_eq!(
        refused(&mut bench, insert(Place::Last, 9)),
        ObjectError::BucketExists { group: 1, bucket: 9 }
    );
    let behind = insert(Place::Behind(5), 3);
    assert_eq!(refused(&mut bench, behind), ObjectError::NoSuchBucket { group: 1, bucket: 5 });
    assert_eq!(
        refused(&mut bench, GroupMod::Add(group(1, GroupKind::All, vec![]))),
        ObjectError::GroupExists(1)
    );
    let indirect = GroupMod::Add(group(2, GroupKind::Indirect, vec![]));
    assert_eq!(refused(&mut bench, indirect), ObjectError::Indirect(0));
    let unknown = GroupMod::Modify { spec: group(3, GroupKind::All, vec![]), may_create: false };
    assert_eq!(refused(&mut bench, unknown), ObjectError::NoSuchGroup(3));
}

fn admitted(meter: &Meter, packets: usize, bytes: usize, now_ms: u64) -> usize {
    (0..packets).filter(|_| meter.admit(bytes, now_ms)).count()
}

#[test]
fn a_meter_lets_a_burst_pass_and_then_its_rate() {
    let packets = Meter::new(meter(1, Unit::Pktps, &[(100, 10)]), Instant::now().into());
    assert_eq!(admitted(&packets, 50, 60, 1000), 10);
    assert_eq!(admitted(&packets, 50, 60, 1009), 0, "a packet takes 10 ms");
    assert_eq!(admitted(&packets, 50, 60, 1050), 5);
    assert_eq!(admitted(&packets, 50, 60, 900_000), 10, "no more than a burst is saved up");
    assert_eq!(packets.seen().read(), (200, 12_000));
    assert_eq!(packets.dropped().map(|count| count.read()).collect::<Vec<_>>(), [(175, 10_500)]);
    let bits = Meter::new(meter(1, Unit::Kbps, &[(8000, 80)]), Instant::now().into());
    assert_eq!(admitted(&bits, 50, 1000, 5), 10, "80 000 bits");
    assert_eq!(admitted(&bits, 50, 1000, 8), 3, "8000 bits a millisecond");
    let second = Meter::new(meter(1, Unit::Pktps, &[(70, 0)]), Instant::now().into());
    assert_eq!(admitted(&second, 100, 60, 5), 70, "without a burst what comes in a second");
}

#[test]
fn every_band_counts() {
    let both = Meter::new(meter(1, Unit::Pktps, &[(1000, 20), (10, 5)]), Instant::now().into());
    assert_eq!(admitted(&both, 30, 60, 0), 5);
    assert_eq!(both.dropped().map(|count| count.read().0).collect::<Vec<_>>(), [10, 25]);
}

#[test]
fn workers_share_the_tokens_of_a_meter() {
    let shared = Meter::new(meter(1, Unit::Pktps, &[(1, 1000)]), Instant::now().into());
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| admitted(&shared, 2000, 60, 7))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1000);
    assert_eq!(shared.seen().read().0, 8000);
}

#[test]
fn extreme_rates_neither_overflow_nor_stand_still() {
    let fast = Meter::new(meter(1, Unit::Kbps, &[(u32::MAX, u32::MAX)]), Instant::now().into());
    assert_eq!(admitted(&fast, 1000, 9000, u64::MAX >> 30), 1000);
    let slow = Meter::new(meter(1, Unit::Pktps, &[(1, u32::MAX)]), Instant::now().into());
    assert_eq!(admitted(&slow, 1000, 9000, 1 << 33), 1000);
}

#[test]
fn a_meter_that_is_not_changed_keeps_its_tokens_whatever_is_published() {
    let mut bench = Bench::new();
    bench.change(|batch| batch.apply_meter(&MeterMod::Add(meter(1, Unit::Pktps, &[(1, 3)])))).unwrap();
    let admit = |bench: &Bench| bench.snapshot.tables.objects().meters().get(1).unwrap().admit(60, 9);
    assert!(admit(&bench) && admit(&bench));
    bench.flow(0, &[Action::Meter(1), out(1)]);
    assert_eq!(bench.ops(&udp(1, 1)), [Op::Meter(1), Op::Output(at(1))]);
    assert!(admit(&bench) && !admit(&bench));
    bench.change(|batch| batch.apply_meter(&MeterMod::Modify(meter(1, Unit::Pktps, &[(1, 3)])))).unwrap();
    assert!(admit(&bench));
}
