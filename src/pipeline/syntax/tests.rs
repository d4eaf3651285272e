mod objects;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::matcher::{SHORTHANDS, is_met};
use super::value::{FRAGMENTS, all_flags, flow_bits, ones};
use super::*;
use crate::action::intent::{Learn, Log, Severity, Verdict};
use crate::action::reply::Reply;
use crate::action::{Action, ModKind, Subfield};
use crate::packet::field::{Form, Maskable, Prereq};
use crate::packet::{Field, PortRef};
use crate::pipeline::PortView;

fn ports() -> Ports {
    let port = |number, name: &str| PortView {
        number: PortNo(number),
        name: Arc::from(name),
        at: PortRef::default(),
        no_flood: false,
    };
    Ports::new(vec![port(1, "p1"), port(2, "tap-2"), port(3, "all"), port(4, "7up"), port(5, "reg0")])
}

fn read(text: &str) -> FlowText {
    parse_flow(text, &(), Mode::Add).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

fn again(text: &str) -> String {
    print_flow(&read(text), &())
}

#[test]
fn flows_are_printed_in_the_form_of_ovs() {
    let pairs = [
        ("actions=", "actions=drop"),
        ("actions = 2 3", "actions=output:2,output:3"),
        ("ip tcp,actions=in_port,ALL,flood", "tcp actions=IN_PORT,ALL,FLOOD"),
        ("in_port=LOCAL actions=drop", "in_port=LOCAL actions=drop"),
        ("in_port=4294967294 actions=drop", "in_port=LOCAL actions=drop"),
        ("in_port=none actions=drop", "in_port=ANY actions=drop"),
        ("eth_type=0x800,ip_proto=17,udp_dst=53,action=drop", "udp,tp_dst=53 actions=drop"),
        ("arp,nw_src=10.0.0.1,nw_proto=1,actions=1", "arp,arp_spa=10.0.0.1,arp_op=1 actions=output:1"),
        ("tp_dst=0,tp_src=135,icmp6,actions=1", "icmp6,icmp_type=135,icmp_code=0 actions=output:1"),
        ("dl_vlan=0xffff,actions=1", "vlan_tci=0x0000 actions=output:1"),
        ("dl_vlan=5,dl_vlan_pcp=3,actions=1", "dl_vlan=5,dl_vlan_pcp=3 actions=output:1"),
        ("vlan_tci=0x1000/0x1000,actions=1", "vlan_tci=0x1000/0x1000 actions=output:1"),
        ("vlan_vid=0x1005,actions=1", "dl_vlan=5 actions=output:1"),
        ("xreg0=0x100000005,actions=1", "reg0=0x1,reg1=0x5 actions=output:1"),
        ("reg0[4..7]=5,reg0[0]=1,actions=1", "reg0=0x51/0xf1 actions=output:1"),
        (
            "ip,nw_src=10.1.2.3/255.255.0.0,nw_tos=33,actions=1",
            "ip,nw_src=10.1.0.0/16,nw_tos=32 actions=output:1",
        ),
        ("ipv6,ipv6_src=::10.0.0.1,actions=1", "ipv6,ipv6_src=::10.0.0.1 actions=output:1"),
        ("nw_src=*,dl_src=*,actions=1", "actions=output:1"),
        ("tcp,tcp_flags=0x2/0x12,actions=1", "tcp,tcp_flags=+syn-ack actions=output:1"),
        ("tcp,tcp_flags=syn|ack,actions=1", "tcp,tcp_flags=syn|ack actions=output:1"),
        ("tun_flags=oam,actions=1", "tun_flags=+oam actions=output:1"),
        ("ct_state=0x21/0x23,actions=1", "ct_state=+new-est+trk actions=output:1"),
        (
            "actions=controller(max_len=100,reason=no_match,id=5)",
            "actions=controller(reason=no_match,max_len=100,id=5)",
        ),
        ("actions=controller()", "actions=CONTROLLER:65535"),
        ("actions=output:CONTROLLER", "actions=CONTROLLER:65535"),
        (
            "actions=resubmit(in_port,3),resubmit(3,255),resubmit(4)",
            "actions=resubmit(,3),resubmit:3,resubmit:4",
        ),
        ("actions=apply_actions(1,2),goto_table:9", "actions=output:1,output:2,goto_table:9"),
        ("actions=set_field:5->reg0[4..7]", "actions=set_field:0x50/0xf0->reg0"),
        ("ip,actions=set_field:10.1.2.3/8->nw_src", "ip actions=set_field:10.0.0.0/8->ip_src"),
        ("ip,actions=load:20->NXM_OF_IP_TOS[]", "ip actions=load:0x5->NXM_OF_IP_TOS[2..7]"),
        ("udp,actions=set_field:9->tp_dst", "udp actions=set_field:9->udp_dst"),
        ("actions=set_field:ANY->in_port", "actions=set_field:ANY->in_port"),
        ("actions=move:NXM_OF_IN_PORT[]->reg0[0..15]", "actions=move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]"),
        ("actions=push(reg0),pop:reg1[3]", "actions=push:NXM_NX_REG0[],pop:NXM_NX_REG1[3]"),
        (
            "actions=clone(),clone(drop),clone(1,clone(2))",
            "actions=clone(drop),clone(drop),clone(output:1,clone(output:2))",
        ),
        ("actions=dec_ttl(1,2),dec_ttl()", "actions=dec_ttl,dec_ttl"),
        (
            "actions=push_vlan:33024,set_field:4101->vlan_vid,strip_vlan",
            "actions=push_vlan:0x8100,set_field:4101->vlan_vid,pop_vlan",
        ),
        ("actions=write_metadata:16/0xff,goto_table:3", "actions=write_metadata:0x10/0xff,goto_table:3"),
        (
            " cookie=0x12, duration=12.345s, table=0, n_packets=5, n_bytes=490, idle_timeout=10, \
             send_flow_rem importance=7, idle_age=3, hard_age=4, priority=5,ip actions=drop",
            "cookie=0x12,table=0,priority=5,idle_timeout=10,send_flow_rem,importance=7,ip actions=drop",
        ),
    ];
    for (input, output) in pairs {
        assert_eq!(again(input), output, "{input}");
        assert_eq!(again(output), output);
    }
}

#[test]
fn a_match_says_its_prerequisites_in_bits() {
    let tcp = read("tcp,tp_dst=80,actions=drop").matcher;
    let mut wanted = Match::default();
    wanted.set(Field::EthType, 0x0800);
    wanted.set(Field::NwProto, 6);
    wanted.set(Field::TcpDst, 80);
    assert_eq!(tcp, wanted);
    let tag = read("dl_vlan=5,actions=drop").matcher;
    assert_eq!((tag.key.get(Field::VlanTci), tag.mask.get(Field::VlanTci)), (0x1005, 0x1fff));
    let none = read("dl_vlan=65535,actions=drop").matcher;
    assert_eq!((none.key.get(Field::VlanTci), none.mask.get(Field::VlanTci)), (0, 0xffff));
    let frag = read("ip,nw_frag=not_later,actions=drop").matcher;
    assert_eq!((frag.key.get(Field::IpFrag), frag.mask.get(Field::IpFrag)), (0, 2));
}

#[test]
fn ports_go_by_name() {
    let ports = ports();
    let text =
        "in_port=p1 actions=output:p1,output:\"tap-2\",output:\"all\",output:\"7up\",output:\"reg0\",ALL";
    let flow = parse_flow(text, &ports, Mode::Add).unwrap();
    assert_eq!(
        print_actions(flow.actions.as_deref().unwrap(), &()),
        "output:1,output:2,output:3,output:4,output:5,ALL"
    );
    assert_eq!(print_flow(&flow, &ports), text);
    let bare = parse_flow("actions=p1,tap-2,output:reg0", &ports, Mode::Add).unwrap();
    assert_eq!(print_actions(&bare.actions.unwrap(), &()), "output:1,output:2,output:5");
}

#[test]
fn commands_take_what_they_can_use() {
    let select = Mode::Select { strict: false };
    let flow = parse_flow("table=3,cookie=0x15/0xf,out_port=2,ip", &(), select).unwrap();
    assert_eq!((flow.table, flow.cookie, flow.out_port), (Some(3), Some((5, 15)), Some(PortNo(2))));
    assert_eq!(parse_flow("cookie=5", &(), select).unwrap().cookie, Some((5, u64::MAX)));
    assert_eq!(parse_flow("cookie=5/-1", &(), select).unwrap().cookie, Some((5, u64::MAX)));
    for refused in ["ip actions=drop", "priority=5", "idle_timeout=3"] {
        assert!(parse_flow(refused, &(), select).is_err(), "{refused}");
    }
    assert_eq!(parse_flow("priority=5", &(), Mode::Select { strict: true }).unwrap().priority, Some(5));
    assert_eq!(parse_flow("cookie=1/3 actions=1", &(), Mode::Modify).unwrap().cookie, Some((1, 3)));
    for refused in ["cookie=1/3 actions=1", "out_port=2 actions=1"] {
        assert!(parse_flow(refused, &(), Mode::Add).is_err(), "{refused}");
    }
}

#[test]
fn a_file_has_commands_comments_and_line_numbers() {
    let text = "# first\n\nip actions=1 # rest\n  modify_strict priority=5 actions=drop\ndelete arp\nfoo=1\n";
    let lines: Vec<_> = parse_flow_file(text, &()).collect();
    let commands: Vec<_> = lines.iter().flatten().map(|(line, command, _)| (*line, *command)).collect();
    let modify = Command::Modify { strict: true };
    assert_eq!(commands, [(3, Command::Add), (4, modify), (5, Command::Delete { strict: false })]);
    let error = lines.into_iter().find_map(Result::err).unwrap();
    assert_eq!((error.line, error.error.span.clone()), (6, 0..3));
    assert_eq!(error.to_string(), "line 6: unknown field \"foo\"");
}

#[test]
fn dumps_have_the_lines_of_ovs() {
    let flow = read("priority=100 actions=output:2");
    let full = read(
        "cookie=0x12,idle_timeout=10,hard_timeout=20,send_flow_rem,check_overlap,importance=7,actions=2",
    );
    let counters =
        Counters { duration: Duration::from_millis(12345), packets: 5, bytes: 490, ..Counters::default() };
    let line = |flow: &FlowText, table, counters| {
        let line = FlowLine {
            table,
            priority: flow.priority_or_default(),
            matcher: &flow.matcher,
            options: &flow.options,
            actions: flow.actions.as_deref().unwrap(),
            counters,
        };
        print_flow_line(&line, &())
    };
    assert_eq!(
        line(&flow, 0, Some(counters)),
        " cookie=0x0, duration=12.345s, table=0, n_packets=5, n_bytes=490, priority=100 actions=output:2"
    );
    let aged =
        Counters { duration: Duration::from_secs(12), idle_age: Some(3), hard_age: Some(4), ..counters };
    assert_eq!(
        line(&full, 3, Some(aged)),
        " cookie=0x12, duration=12s, table=3, n_packets=5, n_bytes=490, idle_timeout=10, hard_timeout=20, \
         send_flow_rem check_overlap importance=7, idle_age=3, hard_age=4, actions=output:2"
    );
    assert_eq!(line(&flow, 0, None), " priority=100 actions=output:2");
    assert_eq!(
        line(&full, 3, None),
        " cookie=0x12, table=3, idle_timeout=10, hard_timeout=20, send_flow_rem check_overlap importance=7, \
         actions=output:2"
    );
}

/// The sentence, and the line with the caret.
fn complaint(text: &str) -> (String, String) {
    let error = parse_flow(text, &(), Mode::Add).expect_err(text);
    let rendered = error.render(text);
    let caret = rendered.lines().last().unwrap_or_default().trim_start().trim_start_matches('|');
    let marked = caret.strip_prefix(' ').unwrap_or_default().trim_end().to_owned();
    (error.to_string(), marked)
}

#[test]
fn mistakes_are_explained_and_pointed_at() {
    let cases = [
        ("ip,nw_sr=10.0.0.1 actions=drop", "   ^^^^^", "unknown field \"nw_sr\"; did you mean \"nw_src\"?"),
        (
            "reg0=12x,actions=drop",
            "     ^^^",
            "\"12x\" is not a value of reg0; expected a decimal number or one in hexadecimal behind 0x",
        ),
        (
            "reg0=010,actions=drop",
            "     ^^^",
            "\"010\" is not a value of reg0; expected no leading zero, which ovs-ofctl takes for octal",
        ),
        (
            "ip,nw_ttl=300,actions=drop",
            "          ^^^",
            "300 is too large for nw_ttl, whose greatest value is 255",
        ),
        (
            "ip,nw_src=10.0.0.1/33,actions=drop",
            "                   ^^",
            "33 is too large for the prefix length, whose greatest value is 32",
        ),
        (
            "dl_src=02:00:00:00:00,actions=drop",
            "       ^^^^^^^^^^^^^^",
            "\"02:00:00:00:00\" is not a value of dl_src; expected six pairs of hexadecimal digits, such as \
             02:00:00:00:00:01",
        ),
        ("ip", "  ^", "the actions are missing; write actions=drop to drop"),
        (
            "actions=drop,output:2",
            "             ^^^^^^^^",
            "\"drop\" stands alone; leave out it or the other actions",
        ),
        ("actions=2,drop", "          ^^^^", "\"drop\" stands alone; leave out it or the other actions"),
        (
            "tp_dst=80,actions=drop",
            "^^^^^^",
            "tp_dst means something only with tcp, udp, sctp or icmp (or their IPv6 forms) and no later fragment in \
             the match; add that",
        ),
        (
            "udp,actions=set_field:80->tcp_dst",
            "                          ^^^^^^^",
            "tcp_dst means something only with tcp or tcp6 and no later fragment in the match; add that",
        ),
        ("actions=outptu:2", "        ^^^^^^", "unknown action \"outptu\"; did you mean \"output\"?"),
        (
            "actions=load:0x1f->NXM_NX_REG0[0..3]",
            "             ^^^^",
            "0x1f is too large for NXM_NX_REG0[0..3], whose greatest value is 15",
        ),
        (
            "actions=move:reg0[0..3]->reg1[0..4]",
            "             ^^^^^^^^^^^^^^^^^^^^^^",
            "the source has 4 bits and the destination 5; name the bits so that both are as wide",
        ),
        (
            "actions=set_field:1->ct_zone",
            "                     ^^^^^^^",
            "ct_zone is read-only; choose a field that can be set",
        ),
        (
            "table=3,actions=goto_table:3",
            "                           ^",
            "goto_table goes only to tables after the flow's own, which is 3; use resubmit(,3)",
        ),
        ("actions=reply(arrp,2)", "              ^^^^", "unknown reply \"arrp\"; did you mean \"arp\"?"),
        (
            "actions=check_pkt_larger(9)->eth_src",
            "                             ^^^^^^^",
            "the answer of check_pkt_larger goes beside the packet; name a register",
        ),
        (
            "actions=learn_fdb(port=reg14,mac=reg0)",
            "                                 ^^^^",
            "reg0 has 32 bits; it takes 48",
        ),
        ("actions=learn(table=1)", "        ^^^^^", "the action learn is not supported yet"),
        ("actions=normal", "        ^^^^^^", "the action normal is not supported yet"),
        (
            "actions=conjunction(1,1/65)",
            "                        ^^",
            "a conjunctive match has 2 to 64 dimensions, not 65; with one use a plain flow",
        ),
        (
            "actions=conjunction(1,3/2)",
            "                      ^",
            "there is no dimension 3 of 2; count them from 1",
        ),
        (
            "actions=conjunction(1,2/2),2",
            "                           ^",
            "conjunction stands with nothing but others of its kind; put the other actions into the flow that matches \
             conj_id",
        ),
        (
            "actions=clone(conjunction(1,2/2))",
            "              ^^^^^^^^^^^^^^^^^^",
            "conjunction is about the whole flow and must stand outside of clone; move it there",
        ),
        (
            "actions=clone(2,3",
            "             ^",
            "the parenthesis that closes this one is missing; write \")\" where its list ends",
        ),
        ("tcp,udp,actions=drop", "    ^^^", "udp contradicts what stands before it; leave one out"),
        (
            "tcp,tcp_flags=+syn+akc,actions=drop",
            "                   ^^^",
            "unknown flag \"akc\"; did you mean \"ack\"?",
        ),
        (
            "actions=goto_table:3,2",
            "                     ^",
            "write_metadata and goto_table end the list, once each and in this order; move this before them",
        ),
        ("actions=LOCAL", "        ^^^^^", "the switch has no LOCAL port; name one of its ports"),
        (
            "priority=65536,actions=drop",
            "         ^^^^^",
            "65536 is too large for priority, whose greatest value is 65535",
        ),
        ("table=255,actions=drop", "      ^^^", "255 is too large for table, whose greatest value is 254"),
        (
            "in_port=eth0,actions=drop",
            "        ^^^^",
            "unknown port \"eth0\"; expected one of a port number, the name of a port",
        ),
        (
            "actions=set_field:5->reg00",
            "                     ^^^^^",
            "unknown field \"reg00\"; did you mean \"reg0\"?",
        ),
    ];
    for (text, marked, sentence) in cases {
        assert_eq!(complaint(text), (sentence.to_owned(), marked.to_owned()), "{text}");
    }
}

#[test]
fn the_caret_stands_under_the_text() {
    let text = "ip,nw_sr=10.0.0.1 actions=drop";
    let error = parse_flow(text, &(), Mode::Add).unwrap_err();
    assert_eq!(
        error.render(text),
        "error: unknown field \"nw_sr\"; did you mean \"nw_src\"?\n  |\n1 | ip,nw_sr=10.0.0.1 actions=drop\n  |    ^^^^^"
    );
}

#[test]
fn everything_has_a_limit() {
    let long = format!("actions={}", "1,".repeat(MAX_TEXT / 2));
    let many = format!("actions={}", "1,".repeat(MAX_ACTIONS + 1));
    let deep = format!("actions={}1{}", "clone(".repeat(17), ")".repeat(17));
    let unclosed = format!("actions={}", "(".repeat(60_000));
    for (text, part) in
        [(&long, "bytes"), (&many, "at most 1024"), (&deep, "at most 16"), (&unclosed, "unknown")]
    {
        let error = parse_flow(text, &(), Mode::Add).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let fits = format!("actions={}1{}", "clone(".repeat(16), ")".repeat(16));
    assert!(parse_flow(&fits, &(), Mode::Add).is_ok());
}

/// Some part of some field; half of them registers.
fn part() -> impl Strategy<Value = Subfield> {
    let field = prop_oneof![(1u8..=32).prop_map(usize::from), 0..Field::COUNT];
    (field, any::<u16>(), any::<u16>()).prop_map(|(field, start, bits)| {
        let field = Field::ALL[field];
        let start = start % flow_bits(field);
        Subfield { field, start, bits: 1 + bits % (flow_bits(field) - start) }
    })
}

/// A match that text can say: a protocol, and fields that it allows.
fn some_match() -> impl Strategy<Value = Match> {
    let field = (0..Field::COUNT, any::<u128>(), any::<u128>(), any::<bool>());
    let connection = prop_oneof![Just(None), Just(Some(0x22u128))];
    let icmp = prop_oneof![Just(None), Just(Some(135u128)), Just(Some(136u128))];
    (0..=SHORTHANDS.len(), connection, icmp, prop::collection::vec(field, 0..12)).prop_map(
        |(shorthand, connection, icmp, fields)| {
            let mut out = Match::default();
            if let Some((_, eth, proto)) = SHORTHANDS.get(shorthand) {
                out.set(Field::EthType, *eth);
                if let Some(proto) = proto {
                    out.set(Field::NwProto, *proto);
                }
            }
            if let Some(state) = connection {
                out.set_masked(Field::CtState, state, state);
                out.set(Field::CtNwProto, 6);
            }
            if let Some(kind) = icmp.filter(|_| is_met(Prereq::Icmp6, &out)) {
                out.set(Field::Icmpv6Type, kind);
            }
            for (index, value, mask, whole) in fields {
                let field = Field::ALL[index];
                let info = field.info();
                let whole = whole || info.maskable == Maskable::Whole;
                let (value, mask) = match field {
                    // Said by words or bits of their own, and settled above.
                    Field::EthType | Field::NwProto | Field::DlVlan | Field::DlVlanPcp | Field::VlanPcp => {
                        continue;
                    }
                    Field::ArpOp | Field::CtState | Field::CtNwProto => continue,
                    Field::IcmpCode | Field::Icmpv6Code | Field::Icmpv6Type => {
                        (0, if whole { 0xff } else { 0 })
                    }
                    // A tag without the presence bit and yet an identifier is refused on purpose.
                    Field::VlanVid => (value | 0x1000, 0x1fff),
                    Field::InPort => (value & 0xffff, field.all_ones()),
                    Field::NwTos => (value, 0xfc),
                    Field::IpFrag => {
                        let (_, value, mask) = FRAGMENTS[(value % 5) as usize];
                        (value, mask)
                    }
                    _ => match info.form.flag_names() {
                        Some(names) => {
                            (value, if whole { all_flags(names) } else { mask & all_flags(names) })
                        }
                        None => (value, if whole { u128::MAX } else { mask }),
                    },
                };
                let mask = mask & field.all_ones();
                let taken = out.mask.get(field) & mask != 0;
                if mask != 0 && !taken && is_met(info.prereq, &out) {
                    out.set_masked(field, value & field.all_ones(), mask);
                }
            }
            // A later fragment takes the prerequisites of fields that were chosen before it.
            if out.key.get(Field::IpFrag) & 2 != 0 {
                out.key.set(Field::IpFrag, 0);
                out.mask.set(Field::IpFrag, 0);
            }
            out
        },
    )
}

fn writable(part: &Subfield) -> bool {
    !matches!(
        part.field,
        Field::CtMark | Field::CtLabel | Field::DlVlan | Field::DlVlanPcp | Field::VlanVid | Field::NwTos
    ) && part.field.info().writable
}

fn leaf() -> impl Strategy<Value = Action> {
    let kinds = [
        (ModKind::VlanVid, 12),
        (ModKind::VlanPcp, 3),
        (ModKind::SetVlanVid, 12),
        (ModKind::SetVlanPcp, 3),
        (ModKind::DlSrc, 48),
        (ModKind::DlDst, 48),
        (ModKind::NwSrc, 32),
        (ModKind::NwDst, 32),
        (ModKind::NwEcn, 2),
        (ModKind::NwTtl, 8),
        (ModKind::TpSrc, 16),
        (ModKind::TpDst, 16),
    ];
    let port = (1..=PortNo::MAX.0).prop_map(PortNo);
    let output = prop_oneof![port.clone(), Just(PortNo::IN_PORT), Just(PortNo::ALL), Just(PortNo::FLOOD)];
    let table = 0..=254u8;
    let set = (part().prop_filter("writable", writable), any::<u128>(), any::<bool>());
    prop_oneof![
        output.prop_map(Action::Output),
        part().prop_map(Action::OutputField),
        (any::<u16>(), 0..3u8, any::<u16>(), any::<bool>())
            .prop_map(|(max_len, reason, id, pause)| { Action::Controller { max_len, reason, id, pause } }),
        (prop::option::of(port), table)
            .prop_map(|(port, table)| Action::Resubmit { port, table: Some(table) }),
        (1..=9u16).prop_map(|port| Action::Resubmit { port: Some(PortNo(port)), table: None }),
        set.prop_map(|(dst, value, load)| {
            if load {
                return Action::Load { value: value & ones(dst.bits), dst };
            }
            let (field, info) = (dst.field, dst.field.info());
            let mask = match info.form.flag_names() {
                Some(names) => all_flags(names),
                None if info.maskable == Maskable::Whole => field.all_ones(),
                None => dst.mask(),
            };
            let value = if info.form == Form::Port { value & 0xffff } else { value };
            Action::SetField { field, value: value & mask, mask }
        }),
        (part(), part().prop_filter("writable", writable)).prop_map(|(src, dst)| {
            let bits = src.bits.min(dst.bits);
            Action::Move { src: Subfield { bits, ..src }, dst: Subfield { bits, ..dst } }
        }),
        (prop::sample::select(kinds.to_vec()), any::<u64>())
            .prop_map(|((kind, bits), value)| Action::Mod { kind, value: value & ones(bits) as u64 }),
        (0..64u64).prop_map(|dscp| Action::Mod { kind: ModKind::NwTos, value: dscp << 2 }),
        prop_oneof![Just(Action::PushVlan(0x8100)), Just(Action::PushVlan(0x88a8))],
        Just(Action::PopVlan),
        Just(Action::DecTtl),
        part().prop_map(Action::PushStack),
        part().prop_filter("writable", writable).prop_map(Action::PopStack),
        later(),
    ]
}

/// What leaves the tables, or tells the control thread something.
fn later() -> impl Strategy<Value = Action> {
    let whole = Subfield::whole;
    let verdict = prop_oneof![Just(None), prop::sample::select(Verdict::ALL).prop_map(Some)];
    let log =
        ("[a-zA-Z0-9_ ,=(){}-]{0,20}", verdict, prop::sample::select(Severity::ALL), any::<Option<u32>>());
    prop_oneof![
        Just(Action::CtClear),
        any::<u32>().prop_map(Action::SetMtu),
        (any::<u16>(), 0..32u16).prop_map(|(len, start)| {
            let dst = Subfield { field: Field::Reg3, start, bits: 1 };
            Action::CheckPktLarger { len, dst }
        }),
        Just(Action::Learn(Learn::Neighbour {
            port: whole(Field::Reg14),
            ip: whole(Field::Xxreg0),
            mac: whole(Field::EthSrc)
        })),
        Just(Action::Learn(Learn::Fdb { port: whole(Field::Reg14), mac: whole(Field::EthSrc) })),
        log.prop_map(|(name, verdict, severity, meter)| Action::Log(Log {
            name: name.into(),
            verdict,
            severity,
            meter
        })),
    ]
}

fn some_actions() -> impl Strategy<Value = Vec<Action>> {
    let action = leaf().prop_recursive(3, 24, 4, |inner| {
        let inner = prop::collection::vec(inner, 0..4).prop_map(Arc::<[Action]>::from);
        prop_oneof![
            inner.clone().prop_map(Action::Clone),
            (prop::sample::select(&Reply::ALL[..]), inner.clone())
                .prop_map(|(kind, actions)| Action::Become { kind, actions }),
            inner.prop_map(|actions| {
                let (port, ip) = (Subfield::whole(Field::Reg15), Subfield::whole(Field::Reg0));
                Action::Await { port, ip, actions }
            }),
        ]
    });
    (
        prop::collection::vec(action, 0..6),
        prop::option::of((any::<u64>(), any::<u64>())),
        prop::option::of(9..=254u8),
    )
        .prop_map(|(mut actions, metadata, goto)| {
            actions.extend(metadata.map(|(value, mask)| Action::WriteMetadata { value: value & mask, mask }));
            actions.extend(goto.map(Action::GotoTable));
            actions
        })
}

fn some_options() -> impl Strategy<Value = FlowOptions> {
    let numbers = (any::<u64>(), any::<u16>(), any::<u16>(), any::<u16>());
    (numbers, any::<[bool; 5]>()).prop_map(|((cookie, idle_timeout, hard_timeout, importance), flags)| {
        FlowOptions {
            cookie,
            idle_timeout,
            hard_timeout,
            importance,
            send_flow_rem: flags[0],
            check_overlap: flags[1],
            reset_counts: flags[2],
            no_packet_counts: flags[3],
            no_byte_counts: flags[4],
            lowered: false,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_printed_match_is_read_as_it_was(matcher in some_match(), options in some_options(),
        table in prop::option::of(0..=254u8), priority in prop::option::of(any::<u16>())) {
        let flow = FlowText { table, priority, matcher, options, actions: Some(vec![]), ..FlowText::default() };
        for ports in [&() as &dyn PortNames, &ports()] {
            let text = print_flow(&flow, ports);
            let again = parse_flow(&text, ports, Mode::Add);
            prop_assert_eq!(again.as_ref(), Ok(&flow), "{}", text);
        }
    }

    // Bits that were looked at, whether or not the packet had the field: as megaflows have them.
    #[test]
    fn a_printed_megaflow_chooses_itself(
        eth in prop::sample::select(vec![0x0800u128, 0x0806, 0x86dd, 0x88cc]),
        proto in prop::sample::select(vec![1u128, 6, 17, 58, 132, 99]),
        bits in prop::collection::vec((prop::sample::select(Field::ALL), any::<u128>(), any::<u128>()), 0..6),
    ) {
        let mut matcher = Match::default();
        matcher.set_masked(Field::EthType, eth, 0xffff);
        matcher.set_masked(Field::NwProto, proto, 0xff);
        for (field, value, mask) in bits {
            // A port has 32 bits in the key and 16 in the text.
            let kept = !matches!(field, Field::EthType | Field::NwProto | Field::InPort);
            if kept && !field.info().is_view {
                // All bits or none where that is how the field is matched.
                let mask = match field.info().maskable {
                    Maskable::Whole => field.all_ones(),
                    Maskable::Bits => match field.info().form.flag_names() {
                        Some(names) => mask & all_flags(names),
                        None => mask & field.all_ones(),
                    },
                };
                matcher.set_masked(field, value & mask, mask);
            }
        }
        let text = print_match(&matcher, DEFAULT_PRIORITY, &());
        let again = parse_megaflow(&text, &());
        prop_assert!(again.as_ref().is_ok_and(|again| matcher.is_within(again)), "{}: {:?}", text, again);
    }

    #[test]
    fn printed_actions_are_read_as_they_were(actions in some_actions()) {
        for ports in [&() as &dyn PortNames, &ports()] {
            let text = print_actions(&actions, ports);
            let again = parse_actions(&text, ports, ActionContext::default());
            prop_assert_eq!(again.as_ref(), Ok(&actions), "{}", text);
        }
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,60}") {
        survives(&text);
    }

    #[test]
    fn no_text_that_looks_like_a_flow_is_too_odd(words in prop::collection::vec(prop::sample::select(WORDS), 0..25)) {
        survives(&words.concat());
    }
}

/// What mistakes are made of.
const WORDS: &[&str] = &[
    "ip",
    "tcp",
    "icmp6",
    "reg0",
    "[",
    "]",
    "..",
    "3",
    "0x",
    "=",
    ":",
    "(",
    ")",
    ",",
    " ",
    "/",
    "\"",
    "->",
    "+",
    "-",
    "|",
    "actions=",
    "clone(",
    "resubmit(",
    "set_field:",
    "load:",
    "move:",
    "output",
    "controller(",
    "é",
    "\n",
    "#",
    "dl_vlan",
    "vlan_vid",
    "nw_src",
    "10.0.0.1",
    "::1",
    "ct_state",
    "tcp_flags",
    "+syn",
    "tp_dst",
    "cookie",
    "*",
    "65536",
    "in_port",
    "drop",
    "goto_table:",
    "nw_tos",
    "priority",
    "NXM_OF_IP_SRC[]",
    "dec_ttl",
    "reg1[0..3]",
];

/// Whatever the text, it is read or refused with a span inside it; and what is read is printed so that it can be
/// read again.
fn survives(text: &str) {
    for mode in [Mode::Add, Mode::Modify, Mode::Select { strict: true }] {
        match parse_flow(text, &(), mode) {
            Ok(flow) => {
                let printed = print_flow(&flow, &());
                assert_eq!(parse_flow(&printed, &(), mode), Ok(flow), "{text:?} became {printed:?}");
            }
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "{:?} of {text:?}", error.span);
                assert!(error.render(text).contains('^'));
            }
        }
    }
    for line in parse_flow_file(text, &()) {
        let _ = line;
    }
}

#[test]
fn what_leaves_the_tables_prints_as_it_is_read() {
    for text in [
        "ct_clear,check_pkt_larger(1514)->NXM_NX_REG4[1],resubmit(,9)",
        "wait_neighbour(NXM_NX_REG15[],NXM_NX_REG0[],resubmit(,37)),reply(arp,set_field:1->arp_op,resubmit(,37))",
        "reply(icmp4_error,set_field:11->icmp_type,clone(reply(arp)),output:NXM_NX_REG15[])",
        "reply(tcp_reset)",
        "learn_neighbour(port=NXM_NX_REG14[],ip=NXM_NX_XXREG0[],mac=NXM_OF_ETH_SRC[])",
        "learn_fdb(port=NXM_NX_REG14[],mac=NXM_OF_ETH_SRC[])",
        "log(name=\"a, b (c)\",verdict=deny,severity=warning,meter=3),log(severity=info)",
    ] {
        let context = ActionContext::default();
        let actions =
            parse_actions(text, &(), context).unwrap_or_else(|error| panic!("{}", error.render(text)));
        assert_eq!(print_actions(&actions, &()), text);
    }
    // A reply has fields that the packet did not have.
    for (text, is_right) in [
        ("ip,actions=reply(icmp4,mod_nw_ttl:3,set_field:1->icmp_type),2", true),
        ("ip,actions=reply(arp,set_field:1->arp_op),set_field:1->ip_dscp,2", true),
        ("ip,actions=reply(arp,set_field:1->ip_dscp),2", false),
        ("ip,actions=reply(arp),set_field:1->arp_op", false),
        ("actions=reply(nd_na,set_field:02:00:00:00:00:01->nd_tll)", true),
    ] {
        assert_eq!(parse_flow(text, &(), Mode::Add).is_ok(), is_right, "{text}");
    }
}
