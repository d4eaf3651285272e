use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::action::reply::Reply;
use crate::packet::PortRef;
use crate::pipeline::flow::FlowOptions;
use crate::pipeline::flowmod::Command;
use crate::pipeline::frozen::{self, Contexts};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Batch, FlowMod, Match, PortView, Ports, Tables};
use Action::{DecTtl, Load, Output, PopVlan, PushVlan};

/// Flows of (table, priority, match on in_port, actions); ports 1 to 4, of which 4 does not flood.
fn snapshot(flows: &[(u8, u16, Option<u16>, &[Action])]) -> Snapshot {
    let stats = FlowStats::new(0);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    for (cookie, (table, priority, in_port, actions)) in (7u64..).zip(flows) {
        let mut matcher = Match::default();
        if let Some(port) = in_port {
            matcher.set(Field::InPort, u128::from(*port));
        }
        let change = FlowMod {
            command: Command::Add,
            table: Some(*table),
            priority: *priority,
            matcher,
            cookie_filter: None,
            out_port: None,
            actions: Arc::from(*actions),
            options: FlowOptions { cookie, ..FlowOptions::default() },
        };
        batch.apply(&change).unwrap();
    }
    let port = |number| {
        let name = Arc::from(format!("p{number}"));
        PortView { number: PortNo(number), name, at: at(number), no_flood: number == 4 }
    };
    Snapshot::new(batch.commit().0, Ports::new([3, 1, 4, 2].map(port).to_vec()))
}

fn at(number: u16) -> PortRef {
    PortRef { slot: number + 10, generation: 1 }
}

fn to(number: u16) -> Op {
    Op::Output(at(number))
}

fn out(number: u16) -> Action {
    Output(PortNo(number))
}

fn goto(table: u8) -> Action {
    Action::Resubmit { port: None, table: Some(table) }
}

fn tagged(op: Field, value: u128, mask: u128) -> Op {
    Op::Set { field: op, value, mask }
}

/// An IPv4 packet with UDP from port 1.
fn udp() -> FlowKey {
    let mut key = FlowKey::default();
    key.set(Field::InPort, 1);
    key.set(Field::EthType, 0x0800);
    key.set(Field::NwProto, 17);
    key.set(Field::NwTtl, 64);
    key
}

fn with(field: Field, value: u128) -> FlowKey {
    let mut key = udp();
    key.set(field, value);
    key
}

fn run(snapshot: &Snapshot, key: FlowKey) -> Vec<Op> {
    let mut out = Translation::default();
    translate(snapshot, &mut key.clone(), Start::Table(0), &mut out);
    out.ops().to_vec()
}

fn ops(actions: &[Action], key: FlowKey) -> Vec<Op> {
    run(&snapshot(&[(0, 1, None, actions)]), key)
}

#[test]
fn outputs_skip_the_in_port_and_floods_go_by_number() {
    assert_eq!(ops(&[out(1), out(2), Output(PortNo::IN_PORT)], udp()), [to(2), to(1)]);
    assert_eq!(ops(&[Output(PortNo::ALL)], udp()), [to(2), to(3), to(4)]);
    assert_eq!(ops(&[Output(PortNo::FLOOD)], with(Field::InPort, 2)), [to(1), to(3)]);
    let by_register = |value| {
        let reg = Subfield::whole(Field::Reg0);
        ops(&[Load { value, dst: reg }, Action::OutputField(reg)], udp())
    };
    assert_eq!(by_register(3), [to(3)]);
    assert_eq!(by_register(1), [Op::Drop(DropReason::ToInPort)]);
    assert_eq!(by_register(0x10002), [Op::Drop(DropReason::NoSuchPort)]);
}

#[test]
fn an_in_port_that_no_port_has_is_nobodys() {
    let beyond = Load { value: 1, dst: Subfield { field: Field::InPort, start: 16, bits: 1 } };
    assert_eq!(ops(&[beyond.clone(), out(1)], udp()), [to(1)]);
    assert_eq!(ops(&[beyond.clone(), Output(PortNo::ALL)], udp()), [to(1), to(2), to(3), to(4)]);
    assert_eq!(ops(&[beyond, Output(PortNo::IN_PORT)], udp()), [Op::Drop(DropReason::NoSuchPort)]);
}

#[test]
fn a_drop_says_why() {
    let drop = |actions: &[Action]| ops(actions, udp());
    assert_eq!(drop(&[]), [Op::Drop(DropReason::Explicit)]);
    assert_eq!(drop(&[out(1)]), [Op::Drop(DropReason::ToInPort)]);
    assert_eq!(drop(&[out(1), out(9)]), [Op::Drop(DropReason::NoSuchPort)]);
    assert_eq!(drop(&[goto(1)]), [Op::Drop(DropReason::NoMatch)]);
    assert_eq!(drop(&[out(9), goto(1), out(2)]), [to(2)]);
    assert_eq!(run(&snapshot(&[]), udp()), [Op::Drop(DropReason::NoMatch)]);
    let ends = snapshot(&[(0, 1, None, &[goto(1), goto(2)]), (2, 1, None, &[])]);
    assert_eq!(run(&ends, udp()), [Op::Drop(DropReason::Explicit)]);
    let controller = Op::Controller { max_len: 64, reason: 1, table: 0, cookie: 7, frozen: 0 };
    let asked = Action::Controller { max_len: 64, reason: 1, id: 0, pause: false };
    assert_eq!(drop(&[asked]), [controller]);
}

#[test]
fn resubmit_looks_up_with_another_port_and_sends_with_the_true_one() {
    let through = Action::Resubmit { port: Some(PortNo(3)), table: Some(1) };
    let tables = snapshot(&[
        (0, 1, None, &[through, out(3)]),
        (1, 1, Some(3), &[out(3), out(1), Output(PortNo::FLOOD)]),
    ]);
    let mut result = Translation::default();
    translate(&tables, &mut udp(), Start::Table(0), &mut result);
    assert_eq!(result.ops(), [to(3), to(2), to(3), to(3)]);
    assert_eq!(result.hits(), [StatsId(0), StatsId(1)]);
    translate(&tables, &mut with(Field::InPort, 3), Start::Table(1), &mut result);
    assert_eq!(result.ops(), [to(1), to(1), to(2)]);
    assert_eq!(result.hits(), [StatsId(1)]);
}

#[test]
fn only_resubmits_backwards_count_against_the_depth() {
    let mut flows: Vec<(u8, u16, Option<u16>, &[Action])> = Vec::new();
    let steps: Vec<[Action; 2]> = (0..254).map(|table| [goto(table + 1), out(3)]).collect();
    flows.extend((0u8..).zip(&steps).map(|(table, actions)| (table, 1, None, actions.as_slice())));
    let last = [out(2)];
    flows.push((254, 1, None, &last));
    let forwards = run(&snapshot(&flows), udp());
    assert_eq!((forwards.len(), forwards[0], forwards[254]), (255, to(2), to(3)));

    let mut result = Translation::default();
    let round = snapshot(&[(0, 1, None, &[out(2), goto(0)])]);
    translate(&round, &mut udp(), Start::Table(0), &mut result);
    assert_eq!(result.ops(), [Op::Drop(DropReason::TooDeep)]);
    assert_eq!(result.hits().len(), 65);
    translate(&snapshot(&[]), &mut udp(), Start::Table(0), &mut result);
    assert_eq!(result.hits().len(), 0);
}

#[test]
fn too_many_resubmits_or_operations_drop_all() {
    let many: Vec<Action> = (0..64).map(|_| goto(1)).collect();
    let more: Vec<Action> = (0..63).map(|_| goto(2)).collect();
    let flows = |extra: &[Action]| {
        let first: Vec<Action> = [&[out(2)], many.as_slice(), extra].concat();
        run(&snapshot(&[(0, 1, None, &first), (1, 1, None, &more), (2, 1, None, &[])]), udp())
    };
    assert_eq!(flows(&[]), [to(2)]);
    assert_eq!(flows(&[goto(3)]), [Op::Drop(DropReason::TooMany)]);
    let outputs = vec![out(2); MAX_OPS];
    assert_eq!(ops(&outputs, udp()).len(), MAX_OPS);
    assert_eq!(ops(&[outputs, vec![out(2)]].concat(), udp()), [Op::Drop(DropReason::ActionLimit)]);
}

#[test]
fn fields_that_the_packet_lacks_are_not_written() {
    let set = |field: Field, value| Action::SetField { field, value, mask: field.all_ones() };
    let actions = [set(Field::TcpSrc, 5), set(Field::Ipv6Dst, 5), set(Field::UdpSrc, 5), out(2)];
    let expected = Op::Set { field: Field::UdpSrc, value: 5, mask: 0xffff };
    assert_eq!(ops(&actions, udp()), [expected, to(2)]);
    assert_eq!(ops(&actions, with(Field::IpFrag, 3)), [to(2)]);
    // Sets are written down even when nothing changes, registers never, nor what no output follows.
    assert_eq!(ops(&actions, with(Field::UdpSrc, 5)), [expected, to(2)]);
    assert_eq!(ops(&[set(Field::Reg3, 5), out(2), set(Field::UdpSrc, 9)], udp()), [to(2)]);
    // nw_tos is the DSCP alone, and ports are those of the packet's protocol.
    let tos = Action::Mod { kind: ModKind::NwTos, value: 0xff };
    let port = Action::Mod { kind: ModKind::TpDst, value: 80 };
    let expected = [tagged(Field::NwTos, 0xfc, 0xfc), tagged(Field::UdpDst, 80, 0xffff), to(2)];
    assert_eq!(ops(&[tos, port, out(2)], udp()), expected);
    let wide = Subfield::whole(Field::NwTos);
    let moved = Action::Move { src: wide, dst: Subfield { field: Field::Reg0, start: 8, bits: 8 } };
    let mut key = with(Field::NwEcn, 3);
    translate(&snapshot(&[(0, 1, None, &[moved])]), &mut key, Start::Table(0), &mut Translation::default());
    assert_eq!(key.get(Field::Reg0), 0);
}

#[test]
fn only_errors_with_a_place_for_it_say_what_would_fit() {
    let icmp = |eth: u128, proto: u128, field: Field, kind: u128| {
        let mut key = udp();
        key.set(Field::EthType, eth);
        key.set(Field::NwProto, proto);
        key.set(field, kind);
        ops(&[Action::SetMtu(1400), out(2)], key)
    };
    let said = [Op::SetMtu(1400), to(2)];
    assert_eq!(icmp(0x0800, 1, Field::IcmpType, 3), said);
    assert_eq!(icmp(0x86dd, 58, Field::Icmpv6Type, 2), said);
    for (eth, proto, field, kind) in
        [(0x0800, 1, Field::IcmpType, 8), (0x0800, 17, Field::UdpSrc, 3), (0x86dd, 58, Field::Icmpv6Type, 3)]
    {
        assert_eq!(icmp(eth, proto, field, kind), [to(2)]);
    }
}

#[test]
fn a_copy_goes_to_the_address_set_last_of_either_version() {
    let set = |field: Field, value| Action::SetField { field, value, mask: field.all_ones() };
    let (v4, v6) = (0x0a00_0001, 0xfd << 120 | 1);
    let to_v6 = [set(Field::TunDst, 0), set(Field::TunIpv6Dst, v6), out(3)];
    let to_v4 = [set(Field::TunDst, v4), out(3)];
    let flows = |actions: &[Action]| {
        let snapshot = snapshot(&[(0, 1, None, actions)]);
        let ports = Ports::with_tunnel(snapshot.ports.iter().cloned().collect(), Some(PortNo(3)));
        run(&Snapshot::new(snapshot.tables, ports), udp())
    };
    let dst = |op: &Op| match op {
        Op::Tunnel(tunnel) => tunnel.dst.to_bits(),
        other => panic!("{other:?}"),
    };
    let (v4, both) = (0xffff_0000_0000 | v4, [to_v6.to_vec(), to_v4.to_vec()]);
    assert_eq!(flows(&both.concat()).iter().map(dst).collect::<Vec<_>>(), [v6, v4]);
    let back = [to_v4.to_vec(), to_v6.to_vec()].concat();
    assert_eq!(flows(&back).iter().map(dst).collect::<Vec<_>>(), [v4, v6]);
    assert_eq!(flows(&[out(3)]), [Op::Drop(DropReason::TunnelNoRemote)]);
}

#[test]
fn vlan_fields_push_change_and_pop_tags() {
    let push = Op::PushVlan { tpid: 0x8100 };
    let tag = with(Field::VlanTci, 0x3005);
    let load = |value, start, bits| Load { value, dst: Subfield { field: Field::VlanTci, start, bits } };
    let vid = |value, mask| tagged(Field::VlanTci, value, mask);
    let modify = |kind, value| Action::Mod { kind, value };
    let with_out = |action: Action, key| {
        let mut ops = ops(&[action, out(2)], key);
        assert_eq!(ops.pop(), Some(to(2)));
        ops
    };
    assert_eq!(with_out(modify(ModKind::VlanVid, 9), udp()), [push, vid(9, 0xfff)]);
    assert_eq!(with_out(modify(ModKind::VlanVid, 9), tag), [vid(9, 0xfff)]);
    assert_eq!(with_out(modify(ModKind::VlanPcp, 3), udp()), [push, vid(0x6000, 0xe000)]);
    assert_eq!(with_out(modify(ModKind::SetVlanVid, 9), udp()), []);
    assert_eq!(with_out(modify(ModKind::SetVlanPcp, 3), tag), [vid(0x6000, 0xe000)]);
    let set_vid = |value| Action::SetField { field: Field::VlanVid, value, mask: 0x1fff };
    assert_eq!(with_out(set_vid(0x1005), udp()), [push, vid(5, 0xfff)]);
    assert_eq!(with_out(set_vid(0x1006), tag), [vid(6, 0xfff)]);
    assert_eq!(with_out(set_vid(5), udp()), []);
    assert_eq!(with_out(load(0, 12, 1), tag), [Op::PopVlan]);
    assert_eq!(with_out(load(1, 12, 1), udp()), [push]);
    assert_eq!(with_out(load(5, 0, 12), udp()), []);
    assert_eq!(with_out(load(0x5007, 0, 16), tag), [vid(0x4007, 0xefff)]);
    assert_eq!(with_out(PopVlan, udp()), []);
}

#[test]
fn tags_move_in_and_out() {
    let mut key = udp();
    let actions = [PushVlan(0x88a8), PushVlan(0x8100)];
    translate(&snapshot(&[(0, 1, None, &actions)]), &mut key, Start::Table(0), &mut Translation::default());
    let tags = |key: &FlowKey| {
        [Field::VlanTpid, Field::VlanTci, Field::InnerVlanTpid, Field::InnerVlanTci]
            .map(|field| key.get(field))
    };
    assert_eq!(tags(&key), [0x8100, 0x1000, 0x88a8, 0x1000]);
    assert_eq!(ops(&[PushVlan(0x8100), out(2)], key), [Op::Drop(DropReason::TooManyVlans)]);
    assert_eq!(ops(&[out(3), PushVlan(0x8100), out(2)], key), [to(3)]);
    translate(&snapshot(&[(0, 1, None, &[PopVlan])]), &mut key, Start::Table(0), &mut Translation::default());
    assert_eq!(tags(&key), [0x88a8, 0x1000, 0, 0]);
}

#[test]
fn an_expired_ttl_ends_the_list_it_stands_in() {
    let nested = |key| {
        let tables = snapshot(&[(0, 1, None, &[goto(1), out(3)]), (1, 1, None, &[DecTtl, out(2)])]);
        run(&tables, key)
    };
    assert_eq!(nested(udp()), [Op::DecTtl, to(2), to(3)]);
    assert_eq!(nested(with(Field::NwTtl, 1)), [to(3)]);
    assert_eq!(ops(&[DecTtl, out(2)], with(Field::NwTtl, 1)), [Op::Drop(DropReason::TtlExpired)]);
    assert_eq!(nested(with(Field::EthType, 0x0806)), [to(2), to(3)]);
    let apart = [copied(vec![out(4), DecTtl, out(2)]), out(3)];
    assert_eq!(ops(&apart, with(Field::NwTtl, 0)), [Op::Clone { ops: 1 }, to(4), to(3)]);
    assert_eq!(ops(&apart, udp()), [Op::Clone { ops: 3 }, to(4), Op::DecTtl, to(2), to(3)]);
    assert_eq!(ops(&[out(2), DecTtl, out(3)], with(Field::NwTtl, 1)), [to(2)]);
}

#[test]
fn a_clone_gives_back_key_and_stack() {
    let (ttl, reg) = (Subfield::whole(Field::NwTtl), Subfield::whole(Field::Reg0));
    let (push, pop) = (Action::PushStack(ttl), Action::PopStack(reg));
    let inner = vec![pop.clone(), Action::PushStack(reg), Action::PushStack(reg), PushVlan(0x8100), out(2)];
    let actions = [push.clone(), copied(inner), pop.clone(), Action::OutputField(reg)];
    let expected = [Op::Clone { ops: 2 }, Op::PushVlan { tpid: 0x8100 }, to(2), to(3)];
    assert_eq!(ops(&actions, with(Field::NwTtl, 3)), expected);
    // One that sends nothing is left out, what goes before it is not.
    let set = Action::Mod { kind: ModKind::NwTtl, value: 9 };
    let quiet = [set.clone(), copied(vec![set, copied(vec![])]), out(2)];
    assert_eq!(ops(&quiet, udp()), [tagged(Field::NwTtl, 9, 0xff), to(2)]);
}

#[test]
fn what_follows_nothing_needs_no_copy() {
    let set = Action::Mod { kind: ModKind::NwTtl, value: 9 };
    let inner = copied(vec![set.clone(), copied(vec![out(2)]), copied(vec![set, out(3)])]);
    let set = tagged(Field::NwTtl, 9, 0xff);
    let expected = [to(2), set, Op::Clone { ops: 1 }, to(2), set, to(3)];
    assert_eq!(ops(&[out(2), inner.clone()], udp()), expected);
    let Action::Clone(list) = &inner else { unreachable!() };
    assert_eq!(list.len(), 3);
    // A copy that is dropped for a reason leaves the packet that reason.
    let expired =
        copied(vec![Action::Controller { max_len: 9, reason: 1, id: 0, pause: false }, Action::DecTtl]);
    let dropped = ops(&[expired], with(Field::NwTtl, 1));
    assert_eq!((dropped.len(), dropped.last()), (3, Some(&Op::Drop(DropReason::TtlExpired))));
}

#[test]
fn addresses_are_written_once_where_nobody_looks_between() {
    let set = |field, value, mask| Action::SetField { field, value, mask };
    let (src, dst, all) = (Field::EthSrc, Field::EthDst, 0xffff_ffff_ffff);
    let twice =
        [set(src, 1, all), Action::DecTtl, set(dst, 2, all), set(src, 3, all), Action::DecTtl, out(2)];
    let expected = [tagged(src, 3, all), Op::DecTtl, tagged(dst, 2, all), Op::DecTtl, to(2)];
    assert_eq!(ops(&twice, with(Field::NwTtl, 9)), expected);
    // Parts of an address are joined.
    let parts = [set(src, 0x11, 0xff), set(src, 0x2200, 0xff00), set(src, 0x33, 0xff), out(2)];
    assert_eq!(ops(&parts, udp()), [tagged(src, 0x2233, 0xffff), to(2)]);
    // What was sent has the first one, what a copy gets is its own.
    let seen = [set(src, 1, all), out(2), set(src, 2, all), out(3)];
    assert_eq!(ops(&seen, udp()), [tagged(src, 1, all), to(2), tagged(src, 2, all), to(3)]);
    let inside = [set(src, 1, all), copied(vec![set(src, 2, all), out(2)]), set(src, 3, all), out(3)];
    let expected =
        [tagged(src, 1, all), Op::Clone { ops: 2 }, tagged(src, 2, all), to(2), tagged(src, 3, all), to(3)];
    assert_eq!(ops(&inside, udp()), expected);
}

#[test]
fn stack_and_clones_are_bounded() {
    let reg = Subfield::whole(Field::Reg0);
    let limit = [Op::Drop(DropReason::ActionLimit)];
    let pushes = vec![Action::PushStack(reg); MAX_STACK];
    assert_eq!(ops(&[pushes.clone(), vec![out(2)]].concat(), udp()), [to(2)]);
    assert_eq!(ops(&[pushes, vec![Action::PushStack(reg)]].concat(), udp()), limit);
    // From an empty stack nothing is popped.
    let (value, dst) = (2, reg);
    assert_eq!(ops(&[Load { value, dst }, Action::PopStack(reg), Action::OutputField(reg)], udp()), [to(2)]);
    let nest = |depth| (0..depth).fold(out(2), |inner, _| copied(vec![inner]));
    assert_eq!(ops(&[nest(MAX_CLONES), out(3)], udp()).len(), MAX_CLONES + 2);
    assert_eq!(ops(&[out(2), nest(MAX_CLONES + 1)], udp()), limit);
}

#[test]
fn the_memory_is_kept() {
    let mut result = Translation::default();
    let sizes = |t: &Translation| {
        let frames = (t.frames.as_ptr() as usize, t.frames.capacity());
        let deps = &t.recorded().deps;
        let deps = (deps.as_ptr() as usize, deps.capacity());
        (frames, deps, t.ops.capacity(), t.hits.capacity(), t.stack.capacity(), t.keys.capacity())
    };
    let before = sizes(&result);
    let reg = Action::PushStack(Subfield::whole(Field::Reg0));
    let nest = (0..20).fold(out(2), |inner, _| copied(vec![reg.clone(), inner, goto(0), out(3)]));
    let tables = snapshot(&[(0, 1, None, &[goto(1), nest]), (1, 1, None, &[out(2), goto(1), out(2)])]);
    for table in [0, 1, 2] {
        translate(&tables, &mut udp(), Start::Table(table), &mut result);
        assert_eq!(sizes(&result), before);
    }
}

fn copied(inner: Vec<Action>) -> Action {
    Action::Clone(inner.into())
}

fn controller(pause: bool) -> Action {
    Action::Controller { max_len: u16::MAX, reason: 1, id: 0, pause }
}

/// Lists of three tables that use all that a context has to keep.
fn lists() -> [Vec<Action>; 3] {
    let reg = |field| Subfield::whole(field);
    let load = |field, value| Load { value, dst: Subfield::whole(field) };
    let metadata = Action::WriteMetadata { value: 7, mask: u64::MAX };
    let first = vec![
        load(Field::Reg0, 3),
        Action::PushStack(reg(Field::Reg0)),
        metadata,
        goto(1),
        out(2),
        Action::PopStack(reg(Field::Reg1)),
        Action::OutputField(reg(Field::Reg1)),
        DecTtl,
        out(3),
    ];
    let second = vec![
        Action::Move { src: reg(Field::NwSrc), dst: reg(Field::Reg4) },
        load(Field::TunId, 5),
        DecTtl,
        goto(2),
        PushVlan(0x8100),
        out(4),
    ];
    let third = vec![
        load(Field::Reg0, 4),
        Action::Move { src: reg(Field::Reg4), dst: reg(Field::NwDst) },
        Action::Move { src: Subfield { bits: 32, ..reg(Field::TunId) }, dst: reg(Field::PktMark) },
        out(3),
    ];
    [first, second, third]
}

fn tables(lists: &[Vec<Action>; 3]) -> Snapshot {
    let [first, second, third] = lists;
    snapshot(&[(0, 1, None, first), (1, 1, None, second), (2, 1, None, third)])
}

/// The key of the packet of a key when it comes in again by the port, to a context.
fn again(key: &FlowKey, frozen: u32) -> FlowKey {
    let mut again = *key;
    for (word, _) in frozen::kept() {
        again.words[word] = 0;
    }
    again.set(Field::InPort, 1);
    again.set(Field::RecircId, u128::from(frozen));
    again
}

fn without_drop(ops: &[Op]) -> Vec<Op> {
    ops.iter().filter(|op| !matches!(op, Op::Drop(_))).copied().collect()
}

/// Translates until the packet pauses, and what is done once it came back. All operations, as if it had never left.
fn in_two_parts(snapshot: &Snapshot, mut key: FlowKey) -> Vec<Op> {
    let (mut out, mut contexts) = (Translation::default(), Contexts::new(1));
    translate(snapshot, &mut key, Start::Table(0), &mut out);
    out.number_frozen(|context| contexts.number(context, 0, 0));
    let mut ops = without_drop(out.ops());
    let frozen = ops.iter_mut().find_map(|op| match op {
        Op::Controller { frozen, .. } => Some(std::mem::take(frozen)),
        _ => None,
    });
    let frozen = frozen.expect("it pauses");
    let context = contexts.get(frozen, 0).unwrap();
    translate(snapshot, &mut again(&key, frozen), Start::Frozen(context), &mut out);
    ops.extend(without_drop(out.ops()));
    ops
}

#[test]
fn a_packet_that_comes_back_goes_on_as_if_it_had_never_left() {
    for (table, list) in lists().iter().enumerate() {
        for place in 0..=list.len() {
            let [straight, paused] = [false, true].map(|pause| {
                let mut lists = lists();
                lists[table].insert(place, controller(pause));
                tables(&lists)
            });
            let mut key = with(Field::NwSrc, 0x0a00_0001);
            key.set(Field::NwTtl, 9);
            let whole = without_drop(&run(&straight, key));
            assert_eq!(in_two_parts(&paused, key), whole, "before action {place} of table {table}");
        }
    }
}

#[test]
fn a_copy_that_pauses_leaves_the_rest_alone_and_keeps_its_own() {
    let reg = Subfield::whole(Field::Reg0);
    let inner = vec![Load { value: 2, dst: reg }, controller(true), Action::OutputField(reg)];
    let snapshot =
        snapshot(&[(0, 1, None, &[Load { value: 3, dst: reg }, copied(inner), Action::OutputField(reg)])]);
    let (mut key, mut result, mut contexts) = (udp(), Translation::default(), Contexts::new(1));
    translate(&snapshot, &mut key, Start::Table(0), &mut result);
    result.number_frozen(|context| contexts.number(context, 0, 0));
    let [Op::Clone { ops: 1 }, Op::Controller { frozen, .. }, last] = *result.ops() else {
        panic!("{:?}", result.ops());
    };
    assert_eq!(last, to(3));
    let context = contexts.get(frozen, 0).unwrap();
    translate(&snapshot, &mut again(&udp(), frozen), Start::Frozen(context), &mut result);
    assert_eq!(result.ops(), [to(2)]);
}

#[test]
fn equal_contexts_share_a_number_and_old_numbers_find_nothing() {
    let mut contexts = Contexts::new(1);
    let context = |value| {
        let mut context = Context::default();
        context.keep(&with(Field::Reg0, value));
        context
    };
    let port = |value: u128| value as usize % 64;
    let number = contexts.number(&context(1), 0, 0).unwrap();
    assert_eq!(contexts.number(&context(1), 0, 0), Some(number));
    assert_ne!(contexts.number(&context(2), 0, 0), Some(number));
    contexts.hold(number, 1);
    // As many as there may be; then none that was used a moment ago goes, nor one that a megaflow names.
    for value in 3..=frozen::MAX_CONTEXTS as u128 {
        assert!(contexts.number(&context(value), port(value), 0).is_some());
    }
    assert_eq!(contexts.number(&context(9999), 1, 0), None);
    for value in 0..frozen::MAX_CONTEXTS as u128 - 1 {
        assert!(contexts.number(&context(10_000 + value), port(value), 60_000).is_some());
    }
    assert_eq!(contexts.number(&context(20_000), 2, 60_000), None);
    assert!(contexts.get(number, 0).is_some_and(|kept| *kept == context(1)));
    contexts.hold(number, -1);
    let later = contexts.number(&context(20_000), 2, 120_000).unwrap();
    assert!(later != number && contexts.get(later, 0).is_some());
}

#[test]
fn a_packet_whose_length_is_asked_goes_on_as_if_it_had_been_known() {
    let dst = Subfield { field: Field::Reg9, start: 4, bits: 1 };
    for (table, list) in lists().iter().enumerate() {
        for place in 0..=list.len() {
            for answer in [0, 1] {
                let [known, asked] = [Load { value: answer, dst }, Action::CheckPktLarger { len: 100, dst }]
                    .map(|action| {
                        let mut lists = lists();
                        let told = Action::Move {
                            src: Subfield::whole(Field::Reg9),
                            dst: Subfield::whole(Field::NwSrc),
                        };
                        lists[table].splice(place..place, [action, told]);
                        tables(&lists)
                    });
                let mut key = with(Field::NwSrc, 0x0a00_0001);
                key.set(Field::NwTtl, 9);
                let whole = without_drop(&run(&known, key));
                let (mut out, mut contexts) = (Translation::default(), Contexts::new(1));
                translate(&asked, &mut key, Start::Table(0), &mut out);
                out.number_frozen(|context| contexts.number(context, 0, 0));
                let mut ops = without_drop(out.ops());
                let at = ops.iter().position(|op| matches!(op, Op::CheckLen { .. })).unwrap();
                let Op::CheckLen { len: 100, larger } = ops.remove(at) else { panic!("{ops:?}") };
                assert!(larger != 0);
                if answer == 1 {
                    ops.truncate(at);
                    let context = contexts.get(larger, 0).unwrap();
                    translate(&asked, &mut again(&key, larger), Start::Frozen(context), &mut out);
                    ops.extend(without_drop(out.ops()));
                }
                assert_eq!(ops, whole, "before action {place} of table {table}, answer {answer}");
            }
        }
    }
}

#[test]
fn a_reply_has_the_registers_of_its_packet_and_comes_from_nowhere() {
    let reg = Subfield::whole(Field::Reg0);
    let load = |field, value| Load { value, dst: Subfield::whole(field) };
    // It leaves by the port that the packet came in by, and does not do what follows it.
    let inner = vec![Action::OutputField(reg), out(2), Action::CtClear];
    let actions = [
        load(Field::Reg0, 1),
        load(Field::PktMark, 7),
        Action::Become { kind: Reply::Icmp4, actions: inner.into() },
        out(3),
    ];
    let snapshot = snapshot(&[(0, 1, None, &actions)]);
    let (mut key, mut result, mut contexts) = (udp(), Translation::default(), Contexts::new(1));
    translate(&snapshot, &mut key, Start::Table(0), &mut result);
    result.number_frozen(|context| contexts.number(context, 0, 0));
    let [Op::Become { kind: Reply::Icmp4, frozen }, last] = *result.ops() else {
        panic!("{:?}", result.ops())
    };
    assert_eq!(last, to(3));
    assert_eq!(key.get(Field::InPort), 1, "the packet is what it was");
    let mut reply = again(&udp(), frozen);
    translate(&snapshot, &mut reply, Start::Frozen(contexts.get(frozen, 0).unwrap()), &mut result);
    assert_eq!(result.ops(), [to(1), to(2)]);
    assert_eq!((reply.get(Field::Reg0), reply.get(Field::PktMark)), (1, 0));
    assert_eq!(reply.get(Field::InPort), u128::from(PortNo::CONTROLLER.0));
    // Where there is no number for its context, the packet is shown as one that cannot go on, and nothing is kept.
    translate(&snapshot, &mut udp(), Start::Table(0), &mut result);
    result.number_frozen(|_| None);
    assert!(matches!(result.ops(), [Op::Become { frozen: 0, .. }, _]) && !result.recorded().cacheable);
}

#[test]
fn a_port_whose_packets_leave_many_contexts_behind_takes_none_of_the_others() {
    let mut contexts = Contexts::new(1);
    let context = |value| {
        let mut context = Context::default();
        context.keep(&with(Field::Reg0, value));
        context
    };
    let greedy =
        (0..2 * frozen::MAX_CONTEXTS as u128).filter(|n| contexts.number(&context(*n), 3, 0).is_some());
    assert_eq!(greedy.count(), frozen::OF_PORT);
    let other = contexts.number(&context(100_000), 4, 5_000).unwrap();
    // Once some of its own were not used for long it has those again, and only those.
    assert_eq!(contexts.number(&context(50_000), 3, 5_000), None);
    let again = (60_000..70_000).filter(|n| contexts.number(&context(*n), 3, 20_000).is_some());
    assert_eq!(again.count(), frozen::OF_PORT);
    assert!(contexts.get(other, 20_000).is_some());
}
