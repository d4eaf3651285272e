//! The flow syntax against the real ovs-ofctl, and against flows that OVN installed in a real Open vSwitch.

use std::io::Write;
use std::process::Command;

use millrace::pipeline::syntax::{
    DEFAULT_PRIORITY, FlowLine, FlowText, Mode, Problem, parse_flow, print_actions, print_flow_line,
    print_match,
};
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn read(text: &str) -> FlowText {
    parse_flow(text, &(), Mode::Add).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// The flows as `ovs-ofctl parse-flows` prints them, from "ADD" on, in the order in which they were given.
fn ovs(version: &str, flows: &[String]) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for flow in flows {
        writeln!(file, "{flow}").unwrap();
    }
    let out = Command::new("ovs-ofctl").args(["-O", version, "parse-flows"]).arg(file.path()).output();
    let out = out.unwrap_or_else(|error| {
        panic!("cannot run ovs-ofctl ({error}); install the package openvswitch-common, which this test compares with")
    });
    let errors = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "ovs-ofctl refused: {errors}");
    assert!(!errors.contains("normalization changed"), "ovs-ofctl dropped a field: {errors}");
    let text = String::from_utf8(out.stdout).unwrap();
    // 255 is how OpenFlow says "no table", where the version says the table at all.
    let flow = |line: &str| Some(line.split_once(": ADD ")?.1.replace("table:255 ", ""));
    text.lines().filter_map(flow).collect()
}

/// A flow with table, match and actions alone, as `ovs-ofctl parse-flows` prints it.
fn ours(flow: &FlowText) -> String {
    let table =
        flow.table.filter(|table| *table != 0).map(|table| format!("table:{table} ")).unwrap_or_default();
    let matcher = print_match(&flow.matcher, flow.priority.unwrap_or(DEFAULT_PRIORITY), &());
    let space = if matcher.is_empty() { "" } else { " " };
    format!("{table}{matcher}{space}actions={}", print_actions(flow.actions.as_deref().unwrap(), &()))
}

/// Both switches print these flows alike, and ovs-ofctl reads what we print as it read the original.
fn agree(version: &str, flows: &[String]) {
    let theirs = ovs(version, flows);
    let printed: Vec<String> = flows.iter().map(|flow| ours(&read(flow))).collect();
    assert_eq!(theirs.len(), flows.len(), "ovs-ofctl did not print every flow");
    for ((flow, theirs), ours) in flows.iter().zip(&theirs).zip(&printed) {
        assert_eq!(ours, theirs, "of {flow}");
    }
    let pasted: Vec<String> = printed.iter().map(|flow| flow.replace("table:", "table=")).collect();
    assert_eq!(ovs(version, &pasted), theirs);
}

fn list(flows: &[&str]) -> Vec<String> {
    flows.iter().map(|flow| (*flow).to_owned()).collect()
}

#[test]
fn openflow_10_forms_are_printed_alike() {
    agree(
        "OpenFlow10",
        &list(&[
            "actions=mod_vlan_vid:5,mod_vlan_pcp:3",
            "actions=mod_dl_src:02:00:00:00:00:01,mod_dl_dst:2:0:0:0:0:2",
            "ip,actions=mod_nw_src:10.0.0.1,mod_nw_dst:10.0.0.2,mod_nw_tos:32",
            "tcp,actions=mod_tp_src:80,mod_tp_dst:81",
            "udp6,actions=mod_tp_src:80,mod_tp_dst:81",
            "actions=load:5->NXM_NX_REG0[],load:0->NXM_NX_REG0[3],load:7->reg3[4..8]",
            "actions=load:0x020000000001->NXM_OF_ETH_SRC[]",
            "ip,actions=load:5->NXM_OF_IP_TOS[2..7],load:0xa->NXM_OF_IP_SRC[24..31]",
            "actions=load:5->NXM_NX_XXREG0[0..7],load:1->NXM_OF_IN_PORT[]",
            "actions=output:2,3,in_port,all,flood",
            "actions=output=2",
            "actions=drop",
            "actions=",
        ]),
    );
}

#[test]
fn actions_are_printed_alike() {
    agree(
        "OpenFlow15",
        &list(&[
            "actions=controller",
            "actions=controller:100",
            "actions=controller(max_len=100,reason=no_match,id=5)",
            "actions=controller(reason=invalid_ttl)",
            "actions=controller(id=5)",
            "actions=controller(pause),2",
            "actions=controller(max_len=100,id=5,pause)",
            "actions=resubmit:3,resubmit(3,4),resubmit(,4),resubmit(3),resubmit(3,255),resubmit(in_port,3),resubmit(LOCAL,3)",
            "table=1,actions=goto_table:3",
            "actions=2,write_metadata:16,goto_table:3",
            "actions=write_metadata:0x10/0xff",
            "actions=set_field:5->reg0,set_field:0->reg1,set_field:0x5/0xff->reg2,set_field:0/0x1000->reg10",
            "actions=set_field:5->xreg0,set_field:5->xxreg1,set_field:0x5054000000010000000000000000/0xffffffffffff0000000000000000->xxreg0",
            "ip,actions=set_field:10.0.0.1->nw_src,set_field:10.0.0.0/8->ip_dst,set_field:10.0.0.1/255.0.0.255->ip_dst",
            "ip,actions=set_field:5->ip_dscp,set_field:20->nw_tos,set_field:2->nw_ecn,set_field:9->nw_ttl",
            "ipv6,actions=set_field:2001:db8::1->ipv6_src,set_field:2001:db8::/32->ipv6_dst,set_field:5->ipv6_label",
            "tcp,actions=set_field:80->tcp_dst,set_field:80->tp_src,set_field:1/0x3->tcp_src",
            "udp,actions=set_field:80->udp_dst,set_field:80->udp_src",
            "sctp,actions=set_field:80->sctp_dst",
            "icmp,actions=set_field:0->icmp_type,set_field:1->icmp_code",
            "icmp6,actions=set_field:5->icmpv6_type",
            "icmp6,icmp_type=136,icmp_code=0 actions=set_field:02:00:00:00:00:01->nd_tll,set_field:::1->nd_target,set_field:3->nd_reserved",
            "arp,actions=set_field:2->arp_op,set_field:10.0.0.1->arp_spa,set_field:02:00:00:00:00:01->arp_sha",
            "dl_vlan=5,actions=set_field:4102->vlan_vid,set_field:3->vlan_pcp,pop_vlan",
            "actions=push_vlan:33024,set_field:0x1005->vlan_vid,push_vlan:0x88a8",
            "actions=set_field:0x1005->vlan_tci",
            "actions=set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:00/ff:ff:00:00:00:00->dl_dst",
            "actions=set_field:5->tun_id,set_field:10.0.0.1->tun_dst,set_field:2001::1->tun_ipv6_dst,set_field:5->pkt_mark",
            "actions=set_field:5->tun_gbp_id,set_field:5->tun_gbp_flags,set_field:oam->tun_flags,set_field:5->tun_metadata0",
            "actions=set_field:3->in_port,set_field:ANY->in_port",
            "actions=set_tunnel:5",
            "actions=move:NXM_NX_REG0[0..3]->NXM_NX_REG1[4..7],move:reg0->reg1,move:metadata[3]->reg3[4]",
            "actions=move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]",
            "udp,actions=move:NXM_OF_UDP_SRC[]->NXM_OF_UDP_DST[],move:nw_src->reg0",
            "actions=push:NXM_NX_REG0[0..3],push(reg0),pop:xreg1,pop:NXM_NX_XXREG0[3]",
            "ip,actions=dec_ttl",
            "ip,actions=clone(2,set_field:10.0.0.1->ip_src,clone(3)),clone(drop),clone(),4",
            "actions=output:NXM_NX_REG15[0..15],output:reg14",
            "ip,actions=conjunction(1234, 1/2),conjunction(5,64/64)",
            "conj_id=1234,ip,reg1=3,ct_state=+trk actions=2",
            "actions=2 3,4 , 5,",
        ]),
    );
}

#[test]
fn matches_are_printed_alike() {
    // OpenFlow 1.0 with extensions, since later versions cannot say every mask of a tag.
    agree(
        "OpenFlow10",
        &list(&[
            "table=3,priority=5,actions=drop",
            "priority=0x10,ip tcp,actions=drop",
            "arp,nw_src=10.0.0.1,nw_proto=1,actions=drop",
            "icmp6,tp_src=135,tp_dst=0,actions=drop",
            "icmp,tp_src=8,tp_dst=0,actions=drop",
            "dl_vlan=5,actions=drop",
            "dl_vlan=0,dl_vlan_pcp=3,actions=drop",
            "vlan_pcp=3,actions=drop",
            "vlan_vid=0x1005,actions=drop",
            "vlan_vid=0x1000/0x1000,actions=drop",
            "vlan_tci=0x1000/0x1001,actions=drop",
            "vlan_tci=0x1005,actions=drop",
            "vlan_tci=0/0x1fff,actions=drop",
            "vlan_tci=0xe000/0xe000,actions=drop",
            "vlan_tci=0x3000/0xf000,actions=drop",
            "ip,nw_frag=no,actions=drop",
            "ip,ip_frag=yes,actions=drop",
            "ip,nw_frag=later,actions=drop",
            "tcp,nw_frag=first,tp_dst=80,actions=drop",
            "tcp,nw_frag=not_later,actions=drop",
            "ip,nw_proto=2,actions=drop",
            "ipv6,nw_proto=99,actions=drop",
            "dl_type=0x05ff,actions=drop",
            "dl_type=0x1234,actions=drop",
            "dl_type=0x8035,arp_op=3,actions=drop",
            "in_port=LOCAL,actions=drop",
            "xxreg0=0x10000000200000003,actions=drop",
            "xreg1=5/0xff,actions=drop",
            "reg0[0..3]=5,actions=drop",
            "ct_state=new|trk,actions=drop",
            "ct_state=0/1,actions=drop",
            "ct_state=+trk-inv,ip,ct_nw_src=10.0.0.1,actions=drop",
            "ct_state=+trk+est,ipv6,ct_ipv6_src=::1,ct_nw_proto=6,ct_tp_src=3,actions=drop",
            "tun_flags=oam,actions=drop",
            "ipv6,ipv6_src=::10.0.0.1,ipv6_dst=1:0:0:2:0:0:0:3,actions=drop",
            "ipv6,ipv6_src=::ffff:10.0.0.1,ipv6_dst=::1/::ff,actions=drop",
            "dl_src=*,nw_src=*,actions=drop",
        ]),
    );
}

/// Fields that go with each other, by what they need.
const SETS: &[(&[&str], &[&str])] = &[
    (&["ip", "ipv6"], &["nw_tos=32", "nw_ecn=1", "nw_ttl=64", "nw_frag=no", "ip_dscp=3"]),
    (
        &["ip", "tcp", "udp"],
        &["nw_src=192.0.2.129/25", "nw_dst=10.1.2.3/255.0.255.0", "nw_ttl=1", "ip_src=1.2.3.4"],
    ),
    (
        &["ipv6", "tcp6", "udp6", "icmp6"],
        &["ipv6_src=2001:db8::/33", "ipv6_dst=::/0", "ipv6_label=0x123/0xfff"],
    ),
    (&["tcp", "tcp6"], &["tp_src=80", "tcp_dst=0x1230/0xfff0", "tcp_flags=+syn-ack", "nw_frag=first"]),
    (&["udp", "udp6"], &["udp_src=80", "tp_dst=0x1230/0xfff0"]),
    (&["sctp", "sctp6"], &["sctp_src=80/0xff", "tp_dst=9"]),
    (&["icmp", "icmp6"], &["icmp_type=3", "icmp_code=1", "nw_ttl=9"]),
    (&["arp", "rarp"], &["arp_op=2", "arp_spa=10.0.0.1", "arp_tpa=10.0.0.0/9", "arp_sha=02:00:00:00:00:01"]),
    (
        &["icmp6,icmp_type=136,icmp_code=0"],
        &["nd_target=fe80::/10", "nd_tll=02:00:00:00:00:01", "nd_reserved=7"],
    ),
    (&["icmp6,icmp_type=135,icmp_code=0"], &["nd_target=fe80::1", "nd_sll=02:00:00:00:00:01"]),
    (&["ip,ct_state=+trk+est"], &["ct_nw_src=10.0.0.0/8", "ct_nw_dst=10.0.0.1", "ct_nw_proto=17"]),
];
/// Fields that go with everything.
const ANY: &[&str] = &[
    "in_port=7",
    "pkt_mark=0x10/0xf0",
    "metadata=0xfedcba9876543210",
    "reg0=0",
    "reg7=5/0xff",
    "xreg5=0x100000000/0xff00000000",
    "tun_id=0x10/0xf0",
    "tun_src=10.0.0.0/8",
    "tun_dst=10.0.0.1",
    "tun_gbp_id=5",
    "tun_metadata1=0x5/0xf",
    "ct_zone=5",
    "ct_mark=0/0x1",
    "ct_label=0x10000000000000000",
    "dl_src=01:00:00:00:00:00/01:00:00:00:00:00",
    "dl_dst=02:00:00:00:00:ff",
    "dl_vlan=7",
];

#[test]
fn random_matches_are_printed_alike() {
    let flow = prop::sample::select(SETS).prop_flat_map(|(protocols, fields)| {
        let some = (subsequence(fields, 0..=fields.len()), subsequence(ANY, 0..=6), any::<u16>());
        (prop::sample::select(protocols), some, any::<u8>())
    });
    let flow = flow.prop_map(|(protocol, (fields, any, priority), turn)| {
        let mut words = [vec![protocol], fields, any].concat();
        let turn = usize::from(turn) % words.len();
        words.rotate_left(turn);
        format!("priority={priority},{} actions=drop", words.join(","))
    });
    let mut runner = TestRunner::deterministic();
    let flows: Vec<String> = (0..500).map(|_| flow.new_tree(&mut runner).unwrap().current()).collect();
    // Both of these name the same bits.
    let fine = |flow: &String| !(flow.contains("nw_tos") && flow.contains("ip_dscp"));
    let fine = |flow: &String| fine(flow) && !(flow.contains("nw_src") && flow.contains("ip_src"));
    agree("OpenFlow15", &flows.into_iter().filter(fine).collect::<Vec<_>>());
}

#[test]
fn ovs_refuses_these_too() {
    for (flow, version) in [
        ("actions=drop,2", "OpenFlow10"),
        ("actions=2,drop", "OpenFlow10"),
        ("ip", "OpenFlow10"),
        ("foo=1,actions=drop", "OpenFlow10"),
        ("reg0=0x100000000,actions=drop", "OpenFlow15"),
        ("ip,nw_src=10.0.0.1/33,actions=drop", "OpenFlow15"),
        ("table=3,actions=goto_table:3", "OpenFlow15"),
        ("actions=goto_table:3,2", "OpenFlow15"),
        ("actions=write_metadata:1,2", "OpenFlow15"),
        ("actions=set_field:10.0.0.1->ip_src", "OpenFlow15"),
        ("udp,actions=set_field:80->tcp_dst", "OpenFlow15"),
        ("actions=set_field:4101->vlan_vid", "OpenFlow15"),
        ("actions=set_field:5->ct_zone", "OpenFlow15"),
        ("actions=set_field:5->ct_mark", "OpenFlow15"),
        ("actions=move:NXM_OF_IP_SRC[]->reg0", "OpenFlow15"),
        ("actions=move:reg0[0..3]->reg1[0..4]", "OpenFlow15"),
        ("actions=load:0x1f->reg0[0..3]", "OpenFlow15"),
        ("actions=resubmit(,)", "OpenFlow15"),
        ("actions=push_vlan:0x9100", "OpenFlow15"),
        ("ip,actions=mod_nw_tos:33", "OpenFlow10"),
        ("cookie=1/2,actions=drop", "OpenFlow10"),
    ] {
        let out = Command::new("ovs-ofctl").args(["-O", version, "parse-flow", flow]).output();
        let out = out.expect("ovs-ofctl runs; it is in the package openvswitch-common");
        assert!(!out.status.success(), "ovs-ofctl takes {flow}");
        assert!(parse_flow(flow, &(), Mode::Add).is_err(), "we take {flow}");
    }
}

#[test]
fn flows_of_a_real_switch_come_back_as_they_were() {
    let file = include_str!("data/ovs-flows.txt");
    let (supported, unsupported) = file.split_once("# unsupported\n").unwrap();
    let flows: Vec<&str> = supported.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(flows.len() > 100);
    for line in flows {
        let flow = read(line);
        let printed = FlowLine {
            table: flow.table.unwrap_or(0),
            priority: flow.priority_or_default(),
            matcher: &flow.matcher,
            options: &flow.options,
            actions: flow.actions.as_deref().unwrap(),
            counters: None,
        };
        // Open vSwitch keeps the empty list of controllers, and prints a whole mask that it does not read itself.
        let line = line.replace("dec_ttl()", "dec_ttl").replace("/0x3f->ip_dscp", "->ip_dscp");
        assert_eq!(print_flow_line(&printed, &()), line);
    }
    for line in unsupported.lines() {
        let error = parse_flow(line, &(), Mode::Add).expect_err(line);
        assert!(matches!(error.problem, Problem::NotYet { .. }), "{}", error.render(line));
    }
}
