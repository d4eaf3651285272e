//! Every action in all its forms, as written and as printed, and what it asks for.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::super::prereqs::OF_ACTIONS;
use super::super::*;
use super::{here, one, read};
use crate::logical::expr::Expr;
use crate::logical::symbol::symbols;

/// Texts and what they print as; "" where that is the text itself.
pub(crate) const FORMS: &[(&str, &str)] = &[
    ("output;", ""),
    ("next;", ""),
    ("next(11);", "next;"),
    ("next(table=11);", "next;"),
    ("next(pipeline=ingress);", "next;"),
    ("next(pipeline = ingress, table = 0);", "next(0);"),
    ("next(table=28,pipeline=ingress);", "next(28);"),
    ("next(10);", ""),
    ("next(pipeline=egress);", "next(pipeline=egress, table=11);"),
    ("next(pipeline=egress, table=0);", ""),
    ("reg0=7;", "reg0 = 7;"),
    ("reg0 = 0x7;", ""),
    ("reg0[3] = 1;", ""),
    ("reg0[3..9] = 0x1f/0x3f;", ""),
    ("reg0[0..31] = 0;", "reg0 = 0;"),
    ("eth.src[40] = 1;", ""),
    ("eth.dst = 02:00:00:00:00:2a;", ""),
    ("ip4.src = 198.51.100.0/24;", ""),
    ("ip6.dst = 2001:db8::1;", ""),
    ("xxreg0[64..127] = 0xffffffffffffffff;", ""),
    ("vlan.vid = 100;", ""),
    ("outport = \"a \\\"b\\\" \\\\c\";", ""),
    ("inport = \"\";", ""),
    ("pkt.mark = 5;", ""),
    ("icmp4.frag_mtu = 1400;", ""),
    ("icmp6.frag_mtu = 0x10000;", "icmp6.frag_mtu = 65536;"),
    ("icmp4.inner_ip4.src = 192.0.2.7;", ""),
    ("reg0 = reg1;", ""),
    ("vlan.pcp=reg3[4..6];", "vlan.pcp = reg3[4..6];"),
    ("inport = outport;", ""),
    ("eth.src<->eth.dst;", "eth.src <-> eth.dst;"),
    ("inport <-> outport;", ""),
    ("reg0[1] <-> vlan.pcp[2];", ""),
    ("push(xxreg0);", ""),
    ("push( ip.proto );", "push(ip.proto);"),
    ("pop(eth.dst[0..3]);", ""),
    ("ip.ttl--;", ""),
    ("ip.ttl --;", "ip.ttl--;"),
    ("ip.ttl = 9;", ""),
    ("ct_next;", ""),
    ("ct_next(dnat);", ""),
    ("ct_next(snat);", ""),
    ("ct_commit;", ""),
    ("ct_commit();", "ct_commit;"),
    ("ct_commit { };", "ct_commit;"),
    ("ct_commit { drop; };", "ct_commit;"),
    (
        "ct_commit{ct_mark=1;ct_label.blocked=reg0[2];};",
        "ct_commit { ct_mark = 1; ct_label.blocked = reg0[2]; };",
    ),
    ("ct_commit { ct_label[8..15] = 0xa5; clone { reg0 = 1; }; };", ""),
    ("ct_commit(ct_mark=2/3);", "ct_commit(ct_mark=0x2/0x3);"),
    ("ct_commit(ct_label=5 ct_mark=1);", "ct_commit(ct_mark=0x1, ct_label=0x5);"),
    ("ct_commit(ct_mark=0x1, ct_label=0x10/0xf0);", ""),
    ("ct_commit_to_zone(snat);", ""),
    ("ct_commit_nat;", ""),
    ("ct_commit_nat(dnat);", ""),
    ("ct_dnat;", ""),
    ("ct_dnat(203.0.113.5);", ""),
    ("ct_dnat(2001:db8::5);", ""),
    ("ct_snat;", ""),
    ("ct_snat(203.0.113.5, 1024);", "ct_snat(203.0.113.5,1024);"),
    ("ct_snat(2001:db8::5, 1024-65535);", "ct_snat(2001:db8::5,1024-65535);"),
    ("ct_dnat_in_czone;", ""),
    ("ct_dnat_in_czone(203.0.113.5,7 - 9);", "ct_dnat_in_czone(203.0.113.5,7-9);"),
    ("ct_snat_in_czone;", ""),
    ("ct_snat_in_czone(203.0.113.5);", ""),
    ("ct_lb;", ""),
    ("ct_lb();", "ct_lb;"),
    ("ct_lb(backends=);", "ct_lb;"),
    ("ct_lb(backends=192.0.2.1:80 192.0.2.2);", "ct_lb(backends=192.0.2.1:80,192.0.2.2);"),
    ("ct_lb_mark;", ""),
    (
        "ct_lb_mark(backends=2001:db8::1,[2001:db8::2],[2001:db8::3]:443);",
        "ct_lb_mark(backends=2001:db8::1,2001:db8::2,[2001:db8::3]:443);",
    ),
    ("ct_lb_mark(backends=192.0.2.1; hash_fields=\"ip_src,ip_dst\");", ""),
    ("ct_lb_mark(backends=192.0.2.1; skip_snat);", ""),
    (
        "ct_lb_mark(backends=192.0.2.1,;hash_fields=\"ip_src\";force_snat);",
        "ct_lb_mark(backends=192.0.2.1; hash_fields=\"ip_src\"; force_snat);",
    ),
    ("ct_lb_mark_local(backends=\"vm 1\":192.0.2.1:80,\"vm2\":[2001:db8::2]:80);", ""),
    ("ct_clear;", ""),
    ("ct_snat_to_vip;", ""),
    ("reg0 = ct_nw_dst();", ""),
    ("xxreg0 = ct_ip6_dst();", ""),
    ("reg0[0..15] = ct_tp_dst();", ""),
    ("reg0[0..7] = ct_proto();", ""),
    ("reg0[8..15] = ct_state_save();", ""),
    ("reg8[16..31] = select(1, 2=7 3,);", "reg8[16..31] = select(1=100, 2=7, 3=100);"),
    ("reg0 = select(values=(1=100, 2=100); hash_fields=\"ip_src\");", ""),
    ("clone { outport = \"p\"; output; }; next;", ""),
    ("arp{output;};", "arp { output; };"),
    ("arp { };", "arp { drop; };"),
    ("icmp4 { icmp4.type = 3; output; };", ""),
    ("icmp4_error { icmp4.frag_mtu = 1400; next(0); };", ""),
    ("icmp6 { output; };", ""),
    ("icmp6_error { icmp6.frag_mtu = 1400; output; };", ""),
    ("tcp_reset { output; };", ""),
    ("sctp_abort { output; };", ""),
    ("reject { outport <-> inport; next(pipeline=egress, table=5); };", ""),
    ("nd_ns { nd.target = xxreg0; output; };", ""),
    ("nd_na { drop; };", ""),
    ("nd_na_router { nd.tll = eth.src; output; };", ""),
    ("get_arp(outport, reg0);", ""),
    ("put_arp(inport,arp.spa,arp.sha);", "put_arp(inport, arp.spa, arp.sha);"),
    ("reg9[2] = lookup_arp(inport, arp.spa, arp.sha);", ""),
    ("reg9[2]=lookup_arp_ip(inport,arp.spa);", "reg9[2] = lookup_arp_ip(inport, arp.spa);"),
    ("get_nd(outport, xxreg0);", ""),
    ("put_nd(inport, nd.target, nd.tll);", ""),
    ("reg9[2] = lookup_nd(inport, ip6.src, nd.sll);", ""),
    ("reg9[2] = lookup_nd_ip(inport, ip6.src);", ""),
    ("reg9[2] = chk_evpn_arp(reg0);", ""),
    ("reg9[2] = chk_evpn_arp(xxreg0);", ""),
    ("mac_cache_use;", ""),
    ("put_fdb(inport, eth.src);", ""),
    ("outport = get_fdb(eth.dst);", ""),
    ("reg3 = get_fdb(eth.dst);", ""),
    ("outport = get_remote_fdb(eth.dst);", ""),
    ("reg0[11] = lookup_fdb(inport, eth.src);", ""),
    (
        "reg0[3] = put_dhcp_opts(offerip=192.0.2.9 router={192.0.2.1},dns_server={192.0.2.2 192.0.2.3,});",
        "reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, router = {192.0.2.1}, dns_server = {192.0.2.2, 192.0.2.3});",
    ),
    (
        "reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, tftp_server = \"boot\", T1 = 0x10, domain_name = \"a\");",
        "",
    ),
    ("reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, tftp_server = 192.0.2.1);", ""),
    ("reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, classless_static_route = {192.0.2.0/24, 192.0.2.1});", ""),
    ("reg0[3] = put_dhcpv6_opts();", ""),
    (
        "reg0[3] = put_dhcpv6_opts(server_id = 02:00:00:00:00:01, ia_addr = 2001:db8::9, fqdn = \"h.example\");",
        "",
    ),
    (
        "reg0[5] = put_nd_ra_opts(addr_mode = \"slaac\", slla = 02:00:00:00:00:01, prefix = 2001:db8::/64, \
      mtu = 1400, router_preference = \"LOW\", rdnss = 2001:db8::53, dnssl = \"a.example\", \
      route_info = \"HIGH-2001:db8:1::/48\");",
        "",
    ),
    ("reg0[5] = put_nd_ra_opts(addr_mode = \"dhcpv6_stateful\", slla = 02:00:00:00:00:01);", ""),
    (
        "reg9[7] = dhcp_relay_req_chk(192.0.2.1 192.0.2.2);",
        "reg9[7] = dhcp_relay_req_chk(192.0.2.1, 192.0.2.2);",
    ),
    ("reg9[7] = dhcp_relay_resp_chk(192.0.2.1, 192.0.2.2);", ""),
    ("handle_dhcpv6_reply;", ""),
    ("reg0[4] = dns_lookup();", ""),
    ("reg9[1] = check_pkt_larger(1514);", ""),
    ("reg0[15] = check_in_port_sec();", ""),
    ("reg0[15] = check_out_port_sec();", ""),
    ("reg0[6] = chk_lb_hairpin();", ""),
    ("reg0[12] = chk_lb_hairpin_reply();", ""),
    ("reg9[6] = chk_lb_aff();", ""),
    ("reg9[5] = chk_ecmp_nh_mac();", ""),
    ("reg9[5] = chk_ecmp_nh();", ""),
    ("commit_ecmp_nh(ipv6=\"true\",proto=tcp);", "commit_ecmp_nh(ipv6 = true, proto = tcp);"),
    ("commit_ecmp_nh(ipv6 = false, proto = sctp);", ""),
    ("commit_lb_aff(vip = \"192.0.2.1:80\", backend = \"192.0.2.7:8080\", proto = udp, timeout = 30);", ""),
    (
        "commit_lb_aff(vip=\"2001:db8::1\",backend=\"[2001:db8::7]:8080\",timeout=30);",
        "commit_lb_aff(vip = \"[2001:db8::1]\", backend = \"[2001:db8::7]:8080\", timeout = 30);",
    ),
    ("fwd_group(childports=\"a\",\"b\");", "fwd_group(childports=\"a\", \"b\");"),
    ("fwd_group(liveness=true, childports=\"a\");", "fwd_group(liveness=\"true\", childports=\"a\");"),
    ("fwd_group(liveness=\"false\", childports=\"a\");", "fwd_group(childports=\"a\");"),
    ("set_queue(0);", ""),
    ("set_queue(61440);", ""),
    ("set_meter(100);", ""),
    ("set_meter(100,0);", "set_meter(100);"),
    ("set_meter(18446744073709551615, 9);", ""),
    ("log(verdict=allow);", "log(verdict=allow, severity=info);"),
    (
        "log(severity=alert meter=\"m\",verdict=reject,name=\"a\\nb\");",
        "log(name=\"a\\nb\", verdict=reject, severity=alert, meter=\"m\");",
    ),
    ("log(verdict=pass, severity=debug);", ""),
    ("sample(probability=65535);", "sample(probability=65535,collector_set=0,obs_domain=0,obs_point=0);"),
    (
        "sample(obs_point=$cookie, collector_set=4294967295, obs_domain=255, probability=1);",
        "sample(probability=1,collector_set=4294967295,obs_domain=255,obs_point=$cookie);",
    ),
    ("sample(probability=1,collector_set=0,obs_domain=0,obs_point=reg3);", ""),
    ("mirror(\"p\");", ""),
    ("flood_remote;", ""),
    ("trigger_event(event = \"empty_lb_backends\");", ""),
    (
        "trigger_event(event=\"empty_lb_backends\",vip=\"[2001:db8::1]:80\",protocol=\"udp\", \
      load_balancer=\"01234567-89ab-cdef-0123-456789abcdef\");",
        "trigger_event(event = \"empty_lb_backends\", vip = \"[2001:db8::1]:80\", protocol = \"udp\", \
      load_balancer = \"01234567-89ab-cdef-0123-456789abcdef\");",
    ),
    ("bind_vport(\"v\", inport);", ""),
    ("handle_svc_check(inport);", ""),
    ("handle_bfd_msg();", ""),
    ("igmp;", ""),
    ("", "drop;"),
    ("  // nothing\n /* at all */", "drop;"),
    ("drop;", ""),
    ("next /* where to */ ; // behind", "next;"),
    ("reg0 = 1; reg1 = 2;", ""),
];

#[test]
fn all_forms_print_as_ovn_prints_them_and_are_read_back() {
    for (text, printed) in FORMS {
        let printed = if printed.is_empty() { text } else { printed };
        let actions = read(text);
        assert_eq!(actions.to_string(), *printed);
        assert_eq!(read(printed), actions);
    }
}

#[test]
fn the_forms_and_the_table_have_all_actions() {
    let mut met = HashSet::new();
    for (text, _) in FORMS {
        for action in &read(text).list {
            let row = action.kind().row();
            met.insert(row.kind);
            let described = matches!(row.kind, Kind::Load | Kind::Move | Kind::LoadReply);
            let printed = action.to_string();
            assert!(described || printed.contains(row.name), "{printed}");
            let yields =
                !described && action.nested().is_none() && printed.contains(&format!(" = {}(", row.name));
            assert_eq!(action.result().is_some(), yields, "{printed}");
            // What writes zero meanwhile needs something to write it to.
            assert!(yields || row.support != Support::NotYet(Meanwhile::WritesZero), "{printed}");
        }
    }
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(row.kind as usize, index);
        assert_eq!(row.kind.row(), *row);
        assert!(met.contains(&row.kind), "no form of {:?}", row.kind);
    }
    assert_eq!(met.len(), TABLE.len());
}

#[test]
fn trees_say_what_the_text_says() {
    assert_eq!(
        one("next(pipeline=egress, table=3);"),
        Action::Next(Next { pipeline: Pipeline::Egress, table: 3, form: NextForm::Pipeline })
    );
    let egress = Context::at(Pipeline::Egress, 3);
    assert_eq!(
        parse_actions("next;", &egress).unwrap().list,
        [Action::Next(Next { pipeline: Pipeline::Egress, table: 4, form: NextForm::Following })]
    );
    assert_eq!(
        one("ct_snat(192.0.2.1, 7-9);"),
        Action::CtSnat(Some(Nat {
            ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            ports: Some(PortRange { first: 7, last: Some(9) })
        }))
    );
    assert_eq!(
        one("ct_commit(ct_mark=1/5);"),
        Action::CtCommitArgs(CtCommitArgs { mark: Some((1, 5)), label: None })
    );
    let Action::Select(select) = one("reg0 = select(4, 5=6);") else { panic!() };
    assert_eq!(select.members, [(4, 100), (5, 6)]);
    let Action::PutDhcpOpts(put) = one("reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, mtu = 1400);") else {
        panic!()
    };
    let codes: Vec<_> = put.options.iter().map(|option| option.option.code).collect();
    assert_eq!(codes, [0, 26]);
    assert_eq!(put.options[1].number().map(|number| number.value), Some(1400));
    let Action::Reject(nested) = one("reject { output; };") else { panic!() };
    assert_eq!(nested, [Action::Output]);
}

#[test]
fn options_of_the_database_take_the_place_of_the_built_in_ones() {
    let dhcp = [
        OptionDef { name: "offerip".into(), code: 0, kind: OptionKind::Ipv4 },
        OptionDef { name: "colour".to_owned().into(), code: 200, kind: OptionKind::by_name("str").unwrap() },
    ];
    let context = Context { dhcp_options: &dhcp, ..here() };
    let text = "reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, colour = \"red\");";
    assert_eq!(parse_actions(text, &context).unwrap().to_string(), text);
    assert!(parse_actions(text, &here()).is_err());
    assert!(parse_actions("reg0[3] = put_dhcp_opts(offerip = 192.0.2.9, mtu = 7);", &context).is_err());
}

#[test]
fn prerequisites_are_those_of_actions_and_fields() {
    let pairs = [
        ("next; reg0 = 1; outport = \"p\"; put_fdb(inport, eth.src);", None),
        ("ip.ttl--;", Some("ip")),
        ("ct_next; ct_clear;", Some("ip")),
        ("ct_commit { ct_mark = 1; };", Some("ip")),
        ("ct_lb_mark; ct_snat;", Some("ip && ip")),
        ("tcp_reset { };", Some("tcp")),
        ("sctp_abort { };", Some("sctp")),
        ("reg0[4] = dns_lookup();", Some("udp")),
        ("ip4.src = 192.0.2.1;", Some("eth.type == 0x800")),
        ("vlan.vid = 3;", Some("vlan.tci[12]")),
        ("put_arp(inport, arp.spa, arp.sha);", Some("eth.type == 0x806 && eth.type == 0x806")),
        // Those of the block are not those of the actions around it,
        ("arp { arp.op = 1; tcp_reset { }; };", Some("ip4")),
        ("nd_na { nd.tll = eth.src; };", Some("nd_ns")),
        ("nd_ns { };", Some("ip6")),
        ("icmp6_error { ip4.src = 192.0.2.1; };", Some("ip6")),
        // but for a copy of the packet, and a reply whose kind depends on it; they come first.
        ("arp.op = 1; clone { ip4.src = 192.0.2.1; };", Some("eth.type == 0x800 && eth.type == 0x806")),
        ("ip.ttl--; reject { tcp_reset { }; };", Some("tcp && ip")),
        ("clone { ip.ttl--; clone { ct_next; }; };", Some("ip && ip")),
    ];
    for (text, expected) in pairs {
        let expr = read(text).prereqs.expr();
        assert_eq!(expr.map(|expr| expr.to_string()).as_deref(), expected, "{text}");
    }
}

#[test]
fn every_prerequisite_is_a_match() {
    for text in OF_ACTIONS {
        assert!(
            Prerequisites(vec![Prerequisite::Action(text)])
                .expr()
                .is_some_and(|expr| expr != Expr::Bool(false))
        );
    }
    for symbol in symbols().iter().filter(|symbol| !symbol.prereqs.is_empty()) {
        let expr = Prerequisites(vec![Prerequisite::Field(symbol)]).expr();
        assert!(expr.is_some_and(|expr| expr != Expr::Bool(false)), "{}", symbol.name);
    }
}
