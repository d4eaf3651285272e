use std::time::Instant;

use super::*;
use crate::packet::PortRef;
use crate::pipeline::flowmod::{Command, FlowMod};
use crate::pipeline::stats::FlowStats;
use crate::pipeline::syntax::{Mode, parse_flow};
use crate::pipeline::translate::{Start, Translation, translate};
use crate::pipeline::{Batch, Match, PortView, Ports, Snapshot, Tables};

/// These flows, and ports 1 to 3. Behind `!` the match is only there to satisfy the parser, and left out.
fn snapshot(flows: &[&str]) -> Snapshot {
    let stats = FlowStats::new(0);
    let mut batch = Batch::new(&Tables::default(), &stats, Instant::now());
    for text in flows {
        let (text, matches) = text.strip_prefix('!').map_or((*text, true), |text| (text, false));
        let flow = parse_flow(text, &(), Mode::Add).unwrap_or_else(|error| panic!("{}", error.render(text)));
        let change = FlowMod {
            command: Command::Add,
            table: flow.table,
            priority: flow.priority_or_default(),
            matcher: if matches { flow.matcher.clone() } else { Match::default() },
            cookie_filter: None,
            out_port: None,
            actions: flow.actions.clone().unwrap_or_default().into(),
            options: flow.options.clone(),
        };
        batch.apply(&change).unwrap();
    }
    let port = |number| {
        let at = PortRef { slot: number, generation: 1 };
        PortView { number: PortNo(number), name: format!("p{number}").into(), at, no_flood: false }
    };
    Snapshot::new(batch.commit().0, Ports::new([1, 2, 3].map(port).to_vec()))
}

/// An IPv4 packet with UDP from port 1, not tagged.
fn udp() -> FlowKey {
    let mut key = FlowKey::default();
    for (field, value) in [
        (Field::InPort, 1),
        (Field::EthType, 0x0800),
        (Field::NwProto, 17),
        (Field::NwTtl, 64),
        (Field::NwSrc, 0x0a00_0001),
        (Field::NwDst, 0x0a00_0002),
        (Field::UdpDst, 53),
    ] {
        key.set(field, value);
    }
    key
}

fn with(fields: &[(Field, u128)]) -> FlowKey {
    let mut key = udp();
    fields.iter().for_each(|(field, value)| key.set(*field, *value));
    key
}

fn ttl(ttl: u128) -> FlowKey {
    with(&[(Field::NwTtl, ttl)])
}

fn record(flows: &[&str], key: FlowKey) -> Recorded {
    let mut out = Translation::default();
    translate(&snapshot(flows), &mut key.clone(), Start::Table(0), &mut out);
    out.recorded().clone()
}

/// The mask that has these and what counts with them.
fn mask(fields: &[(Field, u128)]) -> FlowMask {
    let mut mask = FlowMask::default();
    [Field::InPort, Field::RecircId].iter().for_each(|field| mask.set_exact(*field));
    fields.iter().for_each(|_| mask.set_exact(Field::EthType));
    fields.iter().for_each(|(field, bits)| mask.set(*field, mask.get(*field) | bits));
    mask
}

/// The bits recorded beside what always counts.
fn assert_reads(flows: &[&str], key: FlowKey, fields: &[(Field, u128)]) {
    assert_eq!(record(flows, key).mask, mask(fields), "{flows:?}");
}

/// What counts with any other field, here alone.
const TYPE: (Field, u128) = (Field::EthType, 0xffff);
const TAGGED: (Field, u128) = (Field::VlanTci, 0x1000);
const ALL: u128 = u128::MAX;

#[test]
fn one_record_serves_every_ttl_that_does_not_expire() {
    let two = ["table=0,ip actions=dec_ttl,goto_table:1", "table=1 actions=dec_ttl,2"];
    let far = record(&two, ttl(64));
    assert_eq!((far.mask, far.min_ttl), (mask(&[TYPE]), 3));
    assert_eq!(far.rewritten.get(Field::NwTtl), 0xff);
    assert_eq!(record(&two, ttl(3)), far);
    for few in [0, 1, 2] {
        let near = record(&two, ttl(few));
        assert_eq!((near.mask, near.min_ttl), (mask(&[(Field::NwTtl, 0xff)]), 0), "{few}");
    }
    // A clone gives back the TTL that it lowered.
    let clone = record(&["actions=clone(dec_ttl,dec_ttl,2),dec_ttl,3"], ttl(64));
    assert_eq!((clone.mask, clone.min_ttl), (mask(&[TYPE]), 3));
    // Not IP: there is nothing to lower.
    let arp = record(&["actions=dec_ttl,2"], with(&[(Field::EthType, 0x0806), (Field::NwTtl, 0)]));
    assert_eq!((arp.mask, arp.min_ttl), (mask(&[TYPE]), 0));
}

#[test]
fn a_ttl_that_is_looked_at_is_matched_and_one_that_is_set_is_not() {
    let exact = mask(&[(Field::NwTtl, 0xff)]);
    let looks = |flows: &[&str], key| {
        let recorded = record(flows, key);
        (recorded.mask, recorded.min_ttl)
    };
    let after = ["table=0 actions=dec_ttl,goto_table:1", "table=1,ip,nw_ttl=63 actions=2"];
    assert_eq!(looks(&after, ttl(64)), (exact, 0));
    let moved = ["ip actions=dec_ttl,move:NXM_NX_IP_TTL[0..3]->NXM_NX_REG0[0..3],dec_ttl,2"];
    assert_eq!(looks(&moved, ttl(64)), (exact, 0));
    assert_eq!(looks(&["ip actions=mod_nw_ttl:9,dec_ttl,2"], ttl(1)), (mask(&[TYPE]), 0));
    // A TTL of which a part was set is read as a whole.
    assert_eq!(looks(&["ip actions=load:3->NXM_NX_IP_TTL[0..3],dec_ttl,2"], ttl(64)), (exact, 0));
    // What a clone set is not set after it, what it has read stays recorded.
    assert_eq!(looks(&["ip actions=clone(mod_nw_ttl:9,dec_ttl,2),dec_ttl,3"], ttl(64)), (mask(&[TYPE]), 2));
    let inside = ["ip actions=clone(push:NXM_NX_IP_TTL[],2),dec_ttl,3"];
    assert_eq!(looks(&inside, ttl(64)), (exact, 0));
}

#[test]
fn a_lookup_may_ask_for_a_floor() {
    let asked = |entered, lowered, floor| {
        let mut recorder = Recorder::default();
        recorder.start(&ttl(entered), false);
        (0..lowered).for_each(|_| recorder.decrement_ttl());
        recorder.ttl_at_least(floor);
        recorder.finish();
        (recorder.recorded.min_ttl, recorder.recorded.mask == mask(&[(Field::NwTtl, 0xff)]))
    };
    assert_eq!(asked(64, 0, 0), (0, false));
    assert_eq!(asked(64, 0, 10), (10, false));
    assert_eq!(asked(64, 3, 10), (13, false));
    assert_eq!(asked(13, 3, 10), (13, false));
    assert_eq!(asked(255, 1, 254), (255, false));
    // Between TTL 0 and 1 there is no floor, but a match.
    assert_eq!(asked(2, 0, 1), (2, false));
    assert_eq!(asked(1, 0, 1), (0, true));
    // By default all of it counts as read.
    let mut all = FlowMask::default();
    all.ttl_at_least(7);
    assert_eq!(all.get(Field::NwTtl), 0xff);
    assert_eq!(all.words().iter().map(|word| word.count_ones()).sum::<u32>(), 8);
}

#[test]
fn what_was_overwritten_is_not_matched() {
    let flows = |action: &str| {
        let first = format!("table=0,ip actions={action},goto_table:1");
        let second = "table=1,ip,dl_dst=02:00:00:01:02:03 actions=2";
        let mut key = udp();
        let recorded = record(&[&first, second], key);
        key.set(Field::EthDst, 0x0200_0001_0203);
        assert_eq!(record(&[&first, second], key).mask, recorded.mask);
        recorded
    };
    let all = flows("mod_dl_dst:02:00:00:01:02:03");
    assert_eq!(all.mask, mask(&[TYPE]));
    assert_eq!(all.rewritten.get(Field::EthDst), 0xffff_ffff_ffff);
    let low = flows("load:3->NXM_OF_ETH_DST[0..7]");
    assert_eq!(low.mask, mask(&[(Field::EthDst, 0xffff_ffff_ff00)]));
    assert_eq!(low.rewritten.get(Field::EthDst), 0xff);
    // A clone gives back what it wrote.
    assert_eq!(flows("clone(mod_dl_dst:02:00:00:01:02:03,3)").mask, mask(&[(Field::EthDst, ALL)]));
    // Written again after it was read: read all the same.
    assert_eq!(
        flows("push:NXM_OF_ETH_DST[0..3],mod_dl_dst:02:00:00:01:02:03").mask,
        mask(&[(Field::EthDst, 0xf)])
    );
}

#[test]
fn registers_and_metadata_are_never_matched_and_copies_into_them_are_reads() {
    let looks = ["table=1,reg0=5,metadata=7 actions=2", "table=1,reg1=1 actions=3"];
    let start = |needs: &str, action: &str| format!("!table=0,{needs} actions={action},goto_table:1");
    let case = |action: &str, fields: &[(Field, u128)]| {
        let needs = if action.contains("ipv6") { "ipv6" } else { "ip" };
        assert_reads(&[&start(needs, action), looks[0], looks[1]], udp(), fields);
    };
    case("load:5->NXM_NX_REG0[],set_field:7->metadata", &[]);
    case("push:NXM_NX_REG3[],pop:NXM_NX_REG0[]", &[]);
    case("move:NXM_OF_IP_SRC[0..7]->NXM_NX_REG0[0..7]", &[(Field::NwSrc, 0xff)]);
    case("push:NXM_OF_ETH_SRC[4..7],pop:NXM_NX_REG0[0..3]", &[(Field::EthSrc, 0xf0)]);
    case("move:NXM_NX_REG0[]->NXM_OF_IP_SRC[],move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]", &[TYPE]);
    case("output:NXM_OF_ETH_DST[0..15]", &[(Field::EthDst, 0xffff)]);
    case("move:NXM_OF_IP_TOS[2..7]->NXM_NX_REG0[0..5]", &[(Field::NwTos, 0xfc)]);
    let wide = "set_field:::1->ipv6_src,move:NXM_NX_CT_LABEL[60..67]->NXM_NX_XXREG2[0..7]";
    case(wide, &[(Field::CtLabel, 0xff << 60)]);
    // Even where the packet comes with some, as a frozen one does.
    let some = with(&[(Field::Reg0, 5), (Field::Metadata, 7)]);
    assert_reads(&["actions=goto_table:1", looks[0]], some, &[]);
}

#[test]
fn what_a_field_needs_to_be_there_is_read() {
    let proto = [(Field::NwProto, 0xff), (Field::IpFrag, 2)];
    assert_reads(&["!udp actions=mod_tp_dst:80,2"], udp(), &proto);
    assert_reads(&["!udp actions=mod_tp_dst:80,2"], with(&[(Field::EthType, 0x0806)]), &[TYPE]);
    assert_reads(&["!udp actions=mod_tp_dst:80,2"], with(&[(Field::IpFrag, 3)]), &[(Field::IpFrag, 2)]);
    assert_reads(&["!dl_vlan=1 actions=set_vlan_vid:5,2"], udp(), &[TAGGED]);
    assert_reads(&["!ip actions=mod_nw_dst:10.0.0.9,mod_dl_src:02:00:00:00:00:01,2"], udp(), &[TYPE]);
    let moved =
        ["!icmp6,icmp_type=136,icmp_code=0 actions=move:NXM_NX_ND_TARGET[0..15]->NXM_NX_REG0[0..15],2"];
    let nd = [(Field::EthType, 0x86dd), (Field::NwProto, 58), (Field::Icmpv6Type, 136), (Field::UdpDst, 0)];
    let needs = [(Field::Icmpv6Type, 0xff), (Field::Icmpv6Code, 0xff), (Field::NdTarget, 0xffff)];
    assert_reads(&moved, with(&nd), &[&proto[..], &needs].concat());
    assert_reads(&moved, udp(), &[TYPE]);
}

#[test]
fn tags_are_recorded_where_they_entered() {
    let two = with(&[
        (Field::VlanTpid, 0x88a8),
        (Field::VlanTci, 0x1005),
        (Field::InnerVlanTpid, 0x8100),
        (Field::InnerVlanTci, 0x3006),
    ]);
    let one = with(&[(Field::VlanTpid, 0x8100), (Field::VlanTci, 0x1005)]);
    let case = |key, action: &str, fields: &[(Field, u128)]| {
        let first = format!("table=0 actions={action},goto_table:1");
        assert_reads(&[&first, "table=1,dl_vlan=6 actions=2"], key, fields);
    };
    let inner = (Field::InnerVlanTci, 0x1fff);
    case(two, "", &[(Field::VlanTci, 0x1fff)]);
    case(two, "pop_vlan", &[TAGGED, inner]);
    case(two, "pop_vlan,push_vlan:0x8100", &[TAGGED, (Field::InnerVlanTci, 0)]);
    case(two, "pop_vlan,push_vlan:0x8100,pop_vlan", &[TAGGED, inner]);
    case(two, "pop_vlan,pop_vlan", &[TAGGED, (Field::InnerVlanTci, 0x1000)]);
    case(udp(), "pop_vlan", &[(Field::VlanTci, 0x1fff)]);
    // A push looks whether there is room.
    case(one, "push_vlan:0x8100", &[(Field::InnerVlanTci, 0x1000)]);
    case(one, "push_vlan:0x8100,pop_vlan", &[(Field::InnerVlanTci, 0x1000), (Field::VlanTci, 0x1fff)]);
    case(one, "mod_vlan_vid:6", &[TAGGED]);
    case(one, "clone(mod_vlan_vid:6,3)", &[(Field::VlanTci, 0x1fff)]);
    case(one, "clone(push_vlan:0x8100,3)", &[(Field::InnerVlanTci, 0x1000), (Field::VlanTci, 0x1fff)]);
    let rewritten = record(&["actions=push_vlan:0x8100,2"], one).rewritten;
    assert_eq!(rewritten.words()[w::VLAN], ALL as u64);
}

#[test]
fn tables_and_ports_are_remembered_once_each_and_in_order() {
    let flows = [
        "table=0 actions=set_field:9->metadata,resubmit(,7),set_field:8->metadata,resubmit(3,7),resubmit(,7),9,1",
        "table=7,metadata=8 actions=2,in_port,controller,3,flood",
    ];
    let table = |table, datapath| Dep::Table { table, datapath };
    let port = |number| Dep::Port(PortNo(number));
    let recorded = record(&flows, udp());
    let deps = [table(0, 0), table(7, 8), table(7, 9), port(1), port(2), port(3), port(9), Dep::Ports];
    assert_eq!(recorded.deps, deps);
    assert!(recorded.cacheable);
    assert_eq!(recorded.rewritten.get(Field::InPort), 0xffff_ffff);
    assert_eq!(size_of::<Dep>(), 16);
    let quiet = record(&["actions=2"], udp());
    assert_eq!((quiet.deps, quiet.rewritten), (vec![table(0, 0), port(2)], FlowMask::default()));
}

#[test]
fn a_table_that_nobody_looks_into_adds_nothing() {
    let alone = record(&["actions=2"], udp());
    assert_eq!(record(&["actions=2", "table=1,tcp,tp_dst=80,nw_src=10.0.0.0/8 actions=3"], udp()), alone);
    assert_eq!(alone.mask, mask(&[]));
}

#[test]
fn what_consulted_too_much_is_not_kept() {
    let flows = ["table=0 actions=goto_table:1", "table=1 actions=2"];
    let many: Vec<String> = (1..=MAX_DEPS).map(|n| format!("set_field:{n}->metadata,resubmit(,1)")).collect();
    let case = |steps: usize| {
        let first = format!("table=0 actions={}", many[..steps].join(","));
        record(&[&first, "table=1 actions=2"], udp())
    };
    // Beside the lookups: table 0 and port 2.
    let most = case(MAX_DEPS - 2);
    assert_eq!((most.cacheable, most.deps.len()), (true, MAX_DEPS));
    let more = case(MAX_DEPS - 1);
    assert_eq!((more.cacheable, more.deps.len()), (false, MAX_DEPS));

    // The next one starts anew, in the same memory.
    let first = format!("table=0 actions={}", many.join(","));
    let mut out = Translation::default();
    let memory = |out: &Translation| (out.recorded().deps.as_ptr(), out.recorded().deps.capacity());
    let before = memory(&out);
    translate(&snapshot(&[&first, "table=1 actions=2"]), &mut udp(), Start::Table(0), &mut out);
    assert!(!out.recorded().cacheable);
    assert_eq!(memory(&out), before);
    translate(&snapshot(&flows), &mut udp(), Start::Table(0), &mut out);
    assert_eq!(*out.recorded(), record(&flows, udp()));
    assert!(out.recorded().cacheable);
}
