use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::packet::PortRef;
use crate::pipeline::flow::FlowOptions;
use crate::pipeline::flowmod::Command;
use crate::pipeline::stats::FlowStats;
use crate::pipeline::{Batch, FlowMod, Match, PortView, Ports, Tables};
use Action::{Clone as Copied, DecTtl, Load, Output, PopVlan, PushVlan};

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
    translate(snapshot, &mut key.clone(), Start::default(), &mut out);
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
    let controller = Op::Controller { max_len: 64, reason: 1, table: 0, cookie: 7 };
    let asked = Action::Controller { max_len: 64, reason: 1, id: 0 };
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
    translate(&tables, &mut udp(), Start { table: 0 }, &mut result);
    assert_eq!(result.ops(), [to(3), to(2), to(3), to(3)]);
    assert_eq!(result.hits(), [StatsId(0), StatsId(1)]);
    translate(&tables, &mut with(Field::InPort, 3), Start { table: 1 }, &mut result);
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
    translate(&round, &mut udp(), Start::default(), &mut result);
    assert_eq!(result.ops(), [Op::Drop(DropReason::TooDeep)]);
    assert_eq!(result.hits().len(), 65);
    translate(&snapshot(&[]), &mut udp(), Start::default(), &mut result);
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
    translate(&snapshot(&[(0, 1, None, &[moved])]), &mut key, Start::default(), &mut Translation::default());
    assert_eq!(key.get(Field::Reg0), 0);
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
    translate(&snapshot(&[(0, 1, None, &actions)]), &mut key, Start::default(), &mut Translation::default());
    let tags = |key: &FlowKey| {
        [Field::VlanTpid, Field::VlanTci, Field::InnerVlanTpid, Field::InnerVlanTci]
            .map(|field| key.get(field))
    };
    assert_eq!(tags(&key), [0x8100, 0x1000, 0x88a8, 0x1000]);
    assert_eq!(ops(&[PushVlan(0x8100), out(2)], key), [Op::Drop(DropReason::TooManyVlans)]);
    assert_eq!(ops(&[out(3), PushVlan(0x8100), out(2)], key), [to(3)]);
    translate(
        &snapshot(&[(0, 1, None, &[PopVlan])]),
        &mut key,
        Start::default(),
        &mut Translation::default(),
    );
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
    let apart = [Copied(vec![out(4), DecTtl, out(2)]), out(3)];
    assert_eq!(ops(&apart, with(Field::NwTtl, 0)), [Op::Clone { ops: 1 }, to(4), to(3)]);
    assert_eq!(ops(&apart, udp()), [Op::Clone { ops: 3 }, to(4), Op::DecTtl, to(2), to(3)]);
    assert_eq!(ops(&[out(2), DecTtl, out(3)], with(Field::NwTtl, 1)), [to(2)]);
}

#[test]
fn a_clone_gives_back_key_and_stack() {
    let (ttl, reg) = (Subfield::whole(Field::NwTtl), Subfield::whole(Field::Reg0));
    let (push, pop) = (Action::PushStack(ttl), Action::PopStack(reg));
    let inner = vec![pop.clone(), Action::PushStack(reg), Action::PushStack(reg), PushVlan(0x8100), out(2)];
    let actions = [push.clone(), Copied(inner), pop.clone(), Action::OutputField(reg)];
    let expected = [Op::Clone { ops: 2 }, Op::PushVlan { tpid: 0x8100 }, to(2), to(3)];
    assert_eq!(ops(&actions, with(Field::NwTtl, 3)), expected);
    // One that sends nothing is left out, what goes before it is not.
    let set = Action::Mod { kind: ModKind::NwTtl, value: 9 };
    let quiet = [set.clone(), Copied(vec![set, Copied(vec![])]), out(2)];
    assert_eq!(ops(&quiet, udp()), [tagged(Field::NwTtl, 9, 0xff), to(2)]);
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
    let nest = |depth| (0..depth).fold(out(2), |inner, _| Copied(vec![inner]));
    assert_eq!(ops(&[nest(MAX_CLONES)], udp()).len(), MAX_CLONES + 1);
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
    let nest = (0..20).fold(out(2), |inner, _| Copied(vec![reg.clone(), inner, goto(0), out(3)]));
    let tables = snapshot(&[(0, 1, None, &[goto(1), nest]), (1, 1, None, &[out(2), goto(1), out(2)])]);
    for table in [0, 1, 2] {
        translate(&tables, &mut udp(), Start { table }, &mut result);
        assert_eq!(sizes(&result), before);
    }
}
