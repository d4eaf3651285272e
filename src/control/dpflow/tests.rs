use proptest::prelude::*;

use crate::action::Op;
use crate::control::testing::place;
use crate::datapath::megaflow::Megaflow;
use crate::packet::{DropReason, Field, PortNo};
use crate::pipeline::syntax::{Mode, parse_flow};
use crate::pipeline::{Match, PortView, Ports};

use super::*;

fn ports() -> Ports {
    let port = |number: u16| PortView {
        number: PortNo(number),
        name: format!("p{number}").into(),
        at: place(PortNo(number)),
        no_flood: false,
    };
    Ports::new((1..=2).map(port).collect())
}

fn matcher(text: &str) -> Match {
    parse_flow(text, &ports(), Mode::Select { strict: false }).unwrap().matcher
}

fn shown(matcher: &Match, more: bool) -> String {
    let ports = ports();
    key::text(matcher, Style { ports: &ports, names: false, more })
}

fn done(matcher: &str, ops: &[Op]) -> String {
    let ports = ports();
    actions::text(ops, &self::matcher(matcher), Style { ports: &ports, names: false, more: false })
}

fn set(field: Field, value: u128) -> Op {
    Op::Set { field, value, mask: field.all_ones() }
}

fn out(number: u16) -> Op {
    Op::Output(place(PortNo(number)))
}

/// Each line as Open vSwitch 3.1 printed it after `dpctl/add-flow` had read it, but for `packet_type`, which it adds to
/// what comes from a device of its own.
#[test]
fn keys_are_those_that_ovs_prints() {
    for (ours, theirs) in [
        (
            "in_port=1,tcp,nw_src=10.0.0.0/24,nw_tos=32,nw_ttl=64,ip_frag=no,tp_src=8/0xfff8,tp_dst=80,\
             tcp_flags=+syn-ack,dl_src=00:00:00:00:00:00/01:00:00:00:00:00,dl_dst=00:00:00:00:00:02",
            "recirc_id(0),in_port(1),eth(src=00:00:00:00:00:00/01:00:00:00:00:00,dst=00:00:00:00:00:02),\
             eth_type(0x0800),ipv4(src=10.0.0.0/255.255.255.0,proto=6,tos=0x20/0xfc,ttl=64,frag=no),\
             tcp(src=8/0xfff8,dst=80),tcp_flags(+syn-ack)",
        ),
        (
            "in_port=1,tcp,ip_frag=no,tcp_flags=psh|ack",
            "recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp_flags(psh|ack)",
        ),
        (
            "in_port=1,udp,ip_frag=later",
            "recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=later)",
        ),
        (
            "in_port=1,dl_vlan=7,dl_vlan_pcp=1,icmp6,ipv6_src=2001::/ffff:ffff::,icmp_type=135,icmp_code=0,\
             ip_frag=no,nd_target=fe80::1,nd_sll=00:00:00:00:00:01",
            "recirc_id(0),in_port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=1),encap(eth_type(0x86dd),\
             ipv6(src=2001::/ffff:ffff::,proto=58,frag=no),icmpv6(type=135,code=0),\
             nd(target=fe80::1,sll=00:00:00:00:00:01))",
        ),
        (
            "in_port=1,dl_vlan=7,ip,ip_frag=no",
            "recirc_id(0),in_port(1),eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(frag=no))",
        ),
        (
            "in_port=1,dl_vlan=7,icmp,ip_frag=no,icmp_type=8,icmp_code=0",
            "recirc_id(0),in_port(1),eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),\
             ipv4(proto=1,frag=no),icmp(type=8,code=0))",
        ),
        (
            "in_port=1,arp,arp_op=1,arp_spa=1.2.3.0/24,arp_sha=00:00:00:00:00:01/ff:ff:ff:00:00:00,pkt_mark=7,\
             ct_state=-new+trk,ct_zone=5,ct_mark=1/0xf,ct_label=1,dp_hash=1/0xf",
            "skb_mark(0x7),ct_state(-new+trk),ct_zone(0x5),ct_mark(0x1/0xf),ct_label(0x1),recirc_id(0),\
             dp_hash(0x1/0xf),in_port(1),eth(),eth_type(0x0806),arp(sip=1.2.3.0/255.255.255.0,op=1,\
             sha=00:00:00:00:00:00/ff:ff:ff:00:00:00)",
        ),
        ("in_port=2,dl_type=0x1234", "recirc_id(0),in_port(2),eth(),eth_type(0x1234)"),
    ] {
        assert_eq!(shown(&matcher(ours), false), theirs);
    }
}

#[test]
fn wildcarded_fields_are_shown_when_more_is_wanted() {
    assert_eq!(
        shown(&matcher("in_port=1,udp,ip_frag=no,tp_src=1"), true),
        "skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),in_port(1),\
         eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x0800),\
         ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,proto=17,tos=0/0,ttl=0/0,frag=no),udp(src=1,dst=0/0)"
    );
    let tagged = shown(&matcher("in_port=1,dl_vlan=7,dl_type=0x1234"), true);
    assert!(tagged.ends_with("eth_type(0x8100),vlan(vid=7,pcp=0/0),encap(eth_type(0x1234))"), "{tagged}");
}

#[test]
fn tags_nest_and_need_not_be_there() {
    let mut two = matcher("in_port=1,dl_vlan=7,ip");
    two.set(Field::VlanTpid, 0x88a8);
    two.set(Field::InnerVlanTci, 0x1005);
    assert_eq!(
        shown(&two, false),
        "recirc_id(0),in_port(1),eth(),eth_type(0x88a8),vlan(vid=7),encap(eth_type(0x8100),vlan(vid=5,pcp=0),\
         encap(eth_type(0x0800)))"
    );
    let none = "recirc_id(0),in_port(1),eth(),eth_type(0x0800)";
    assert_eq!(shown(&matcher("in_port=1,ip,vlan_tci=0"), false), none);
    assert_eq!(shown(&matcher("in_port=1,ip,vlan_tci=0/0x1000"), false), none);
    let any = shown(&matcher("in_port=1,ip,vlan_tci=0x1000/0x1000"), false);
    assert_eq!(any, "recirc_id(0),in_port(1),eth(),eth_type(0x8100),vlan(),encap(eth_type(0x0800))");
}

/// Every list of actions is read and printed the same by `ovs-dpctl parse-actions`.
#[test]
fn actions_are_those_of_ovs() {
    let ipv4 = "in_port=1,udp";
    for (matcher, ops, text) in [
        (ipv4, vec![], "drop"),
        (ipv4, vec![Op::Drop(DropReason::NoMatch)], "drop"),
        (ipv4, vec![out(2), out(1)], "2,1"),
        (
            "in_port=1,tcp,nw_ttl=64",
            vec![Op::DecTtl, Op::PushVlan { tpid: 0x8100 }, set(Field::DlVlan, 5), out(2)],
            "set(ipv4(ttl=63)),push_vlan(vid=5,pcp=0),2",
        ),
        ("in_port=1,ipv6,nw_ttl=9", vec![Op::DecTtl, Op::DecTtl, out(2)], "set(ipv6(hlimit=7)),2"),
        (
            ipv4,
            vec![
                Op::PushVlan { tpid: 0x88a8 },
                set(Field::VlanTci, 0xb007),
                Op::PushVlan { tpid: 0x8100 },
                set(Field::VlanPcp, 3),
                out(2),
            ],
            "push_vlan(tpid=0x88a8,vid=7,pcp=5),push_vlan(vid=0,pcp=3),2",
        ),
        (
            "in_port=1,udp,dl_vlan=3",
            vec![set(Field::VlanVid, 0x1005), out(2), Op::PopVlan, out(2)],
            "set(vlan(vid=5)),2,pop_vlan,2",
        ),
        (
            ipv4,
            vec![
                set(Field::EthSrc, 1),
                set(Field::EthDst, 2),
                Op::Set { field: Field::NwSrc, value: 0x0102_0300, mask: 0xffff_ff00 },
                Op::Set { field: Field::IpDscp, value: 16, mask: 63 },
                Op::Set { field: Field::NwEcn, value: 1, mask: 3 },
                set(Field::UdpSrc, 5),
                Op::Set { field: Field::TcpDst, value: 5, mask: 0xff },
                out(2),
                set(Field::UdpSrc, 6),
                out(2),
            ],
            "set(eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)),\
             set(ipv4(src=1.2.3.0/255.255.255.0,tos=0x41)),set(udp(src=5,dst=5/0xff)),2,set(udp(src=6)),2",
        ),
        (
            "in_port=1,icmp6,icmp_type=135",
            vec![
                set(Field::Ipv6Label, 5),
                Op::Set { field: Field::NwTos, value: 32, mask: 0xfc },
                set(Field::NdTarget, 1),
                set(Field::NdSll, 1),
                set(Field::NdReserved, 5),
                set(Field::NdOptionsType, 1),
                set(Field::Icmpv6Code, 0),
                out(2),
            ],
            "set(ipv6(label=0x5,tclass=0x20/0xfc)),set(nd(target=::1,sll=00:00:00:00:00:01)),\
             set(nd_ext(nd_reserved=0x5,nd_options_type=1)),set(icmpv6(code=0)),2",
        ),
        (
            "in_port=1,arp",
            vec![set(Field::ArpSpa, 0x0102_0304), set(Field::NwDst, 1), set(Field::ArpOp, 2), out(2)],
            "set(arp(sip=1.2.3.4,tip=0.0.0.1,op=2)),2",
        ),
        (
            ipv4,
            vec![
                Op::Clone { ops: 4 },
                set(Field::UdpSrc, 5),
                Op::Clone { ops: 1 },
                out(1),
                out(2),
                out(1),
                Op::Controller { max_len: 128, reason: 1, table: 0, cookie: 5, frozen: 0 },
            ],
            "clone(set(udp(src=5)),clone(1),2),1,userspace(pid=0,controller(reason=1,dont_send=0,continuation=0,\
             recirc_id=0,rule_cookie=0x5,controller_id=0,max_len=128))",
        ),
        (ipv4, vec![Op::Clone { ops: 1 }, Op::Drop(DropReason::NoMatch), out(1)], "1"),
    ] {
        let ours = done(matcher, &ops);
        assert_eq!(ours, text);
    }
    assert_eq!(done(ipv4, &[Op::DecTtl, out(9)]), "dec_ttl,gone", "for which Open vSwitch has no words");
    assert_eq!(done(ipv4, &[Op::Clone { ops: 9 }, out(1)]), "drop", "what cannot be is not done");
}

#[test]
fn a_whole_line() {
    let ports = ports();
    let megaflow = Megaflow {
        worker: 0,
        matcher: matcher("in_port=1,udp,nw_dst=10.0.0.0/24,ip_frag=no"),
        min_ttl: 2,
        ops: vec![Op::DecTtl, out(2)],
        packets: 12,
        bytes: 720,
        used_ms_ago: Some(13),
    };
    let line = |more, names, used_ms_ago| {
        let megaflow = Megaflow { used_ms_ago, ..megaflow.clone() };
        DpFlow { megaflow: &megaflow, style: Style { ports: &ports, names, more } }.to_string()
    };
    assert_eq!(
        line(false, true, Some(13)),
        "recirc_id(0),in_port(p1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.255.0,proto=17,frag=no), \
         packets:12, bytes:720, used:0.013s, actions:dec_ttl,p2"
    );
    let more = line(true, false, None);
    assert!(more.ends_with(", used:never, actions:dec_ttl,2, dp-extra-info:min_ttl(2)"), "{more}");
}

/// Keys and masks of any bits, of a kind that leads into every branch.
fn any_match() -> impl Strategy<Value = Match> {
    let words = || proptest::collection::vec(any::<u64>(), crate::packet::key::KEY_WORDS);
    let kind = proptest::sample::select(vec![0x0800_u128, 0x86dd, 0x0806, 0x8035, 0x1234]);
    let chosen = (kind, proptest::sample::select(vec![1_u128, 6, 17, 58, 132, 7]));
    (words(), words(), chosen, any::<bool>()).prop_map(|(key, mask, (kind, proto), exact)| {
        let mut matcher = Match::default();
        matcher.mask.words_mut().copy_from_slice(&mask);
        for ((word, key), mask) in matcher.key.words_mut().iter_mut().zip(&key).zip(&mask) {
            *word = key & mask;
        }
        if exact {
            matcher.set(Field::EthType, kind);
            matcher.set(Field::NwProto, proto);
        }
        matcher
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    let set = (0..Field::COUNT, any::<u128>(), any::<u128>()).prop_map(|(field, value, mask)| {
        let field = Field::ALL[field];
        let mask = mask & field.all_ones();
        Op::Set { field, value: value & mask, mask }
    });
    prop_oneof![
        4 => set,
        1 => any::<u16>().prop_map(|tpid| Op::PushVlan { tpid }),
        1 => Just(Op::PopVlan),
        1 => Just(Op::DecTtl),
        2 => (1..4u16).prop_map(out),
        1 => (0..6u16).prop_map(|ops| Op::Clone { ops }),
        1 => Just(Op::Drop(DropReason::NoMatch)),
    ]
}

proptest! {
    #[test]
    fn any_megaflow_is_one_line_of_closed_brackets(
        matcher in any_match(),
        ops in proptest::collection::vec(any_op(), 0..12),
        more in any::<bool>(),
    ) {
        let ports = ports();
        let megaflow =
            Megaflow { worker: 0, matcher, min_ttl: 3, ops, packets: 1, bytes: 1, used_ms_ago: Some(1) };
        let line = DpFlow { megaflow: &megaflow, style: Style { ports: &ports, names: true, more } }.to_string();
        let mut depth = 0;
        for letter in line.chars() {
            depth += match letter {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            prop_assert!(depth >= 0, "{}", line);
        }
        prop_assert_eq!(depth, 0, "{}", line);
        prop_assert!(!line.contains('\n') && !line.contains(",,") && !line.contains("(,"), "{}", line);
        let ends = if more { ", dp-extra-info:min_ttl(3)" } else { "" };
        prop_assert!(line.ends_with(ends) && !line.contains("actions:,"), "{}", line);
    }
}
