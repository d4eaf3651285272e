//! What is refused, which bytes are blamed, and a piece of the sentence.

use super::super::*;
use super::{here, read, refused};

const ERRORS: &[(&str, &str, &str)] = &[
    ("drop; next;", "next", "drop stands alone"),
    ("next; drop;", "drop", "drop stands alone"),
    ("next", "", "expected \";\""),
    ("next next;", "next", "expected \";\""),
    (";", ";", "expected an action"),
    ("\"next\";", "\"next\"", "expected an action"),
    ("^var;", "^var", "var"),
    ("reg0 = ^var;", "^var", "var"),
    ("nxt;", "nxt", "did you mean next"),
    ("frobnicate;", "frobnicate", "there is no action frobnicate"),
    ("lookup_arp(inport, reg0, eth.src);", "lookup_arp", "write a field and ="),
    ("ct_nxt;", "ct_nxt", "did you mean ct_next"),
    ("next();", ")", "expected a table's number"),
    ("next(5;", ";", "expected \")\""),
    ("next(29);", "29", "the last one is 28"),
    ("next(table=300);", "300", "the last one is 28"),
    ("next(0x5);", "0x5", "a small decimal number"),
    ("next(pipeline=middle);", "middle", "ingress, egress"),
    ("reg0 == 1;", "reg0", "alone does nothing"),
    ("reg0[1] == 1;", "==", "\"=\" or \"<->\""),
    ("foo = 1;", "foo", "no field"),
    ("ip4 = 1;", "ip4", "says something of a packet"),
    ("reg0[0] = vlan.present;", "vlan.present", "says something of a packet"),
    ("ip.proto = 6;", "ip.proto", "cannot be written"),
    ("ip.proto <-> reg0[0..7];", "ip.proto", "cannot be written"),
    ("reg0[0..7] <-> ip.proto;", "ip.proto", "cannot be written"),
    ("pop(eth.type);", "eth.type", "cannot be written"),
    ("ct_mark = 1;", "ct_mark", "inside ct_commit"),
    ("ct_commit { reg0 = 1; };", "reg0", "outside of ct_commit"),
    ("ct_commit { ct_mark = 1; }; ct_label = 2;", "ct_label", "inside ct_commit"),
    ("inport[0] = 1;", "inport", "port's name"),
    ("ip.proto[0] = 1;", "0", "taken apart"),
    ("reg0 = \"a\";", "\"a\"", "reg0"),
    ("inport = 5;", "5", "inport"),
    ("inport = {\"a\", \"b\"};", "{", "a constant"),
    ("reg0 = 0x100000000;", "0x100000000", "33 bits"),
    ("reg0 = $set;", "$set", "a constant"),
    ("reg0 = reg1[0..3];", "reg1[0..3]", "has 4 bits where 32 are needed"),
    ("inport = reg0;", "reg0", "holds a number"),
    ("reg0 = inport;", "inport", "holds a port's name"),
    ("reg0 = icmp4.frag_mtu;", "icmp4.frag_mtu", "can only be set"),
    ("icmp4.frag_mtu = 65536;", "65536", "16 bits"),
    ("icmp4.frag_mtu = \"a\";", "\"a\"", "16 bits"),
    ("icmp4.frag_mtu <-> reg0;", "<->", "expected \"=\""),
    ("reg0 = frob(1);", "frob", "yields a value"),
    ("reg0[0] = lookup_arp;", "lookup_arp", "lookup_arp"),
    ("ip.ttl;", ";", "\"--\""),
    ("get_arp;", ";", "\"(\""),
    ("get_arp(inport ip4.dst);", "ip4.dst", "\",\""),
    ("get_arp(inport, ip4.dst;", ";", "\")\""),
    ("get_arp(inport, eth.dst);", "eth.dst", "48 bits where 32"),
    ("get_arp(reg0, ip4.dst);", "reg0", "such as inport"),
    ("put_nd(inport, ip6.src, ip6.dst);", "ip6.dst", "128 bits where 48"),
    ("reg0[0..1] = lookup_arp(inport, reg0, eth.src);", "reg0[0..1]", "2 bits where 1"),
    ("ip.frag[0] = dns_lookup();", "ip.frag[0]", "cannot be written"),
    ("reg0[0] = dns_lookup(1);", "1", "takes no arguments"),
    ("reg0 = ct_tp_dst();", "reg0", "32 bits where 16"),
    ("reg0[0] = chk_evpn_arp(eth.src);", "eth.src", "no IP address"),
    ("reg0[0..7] = get_fdb(eth.src);", "reg0[0..7]", "8 bits where 32"),
    ("reg0[0] = check_pkt_larger(foo);", "foo", "a length in bytes"),
    ("reg0[0] = check_pkt_larger(65536);", "65536", "65535"),
    ("reg0[0..14] = select(1, 2);", "reg0[0..14]", "16 bits"),
    ("ip.proto = select(1, 2);", "ip.proto", "cannot be written"),
    ("reg0 = select(1);", "select", "two numbers"),
    ("reg0 = select(1=, 2);", ",", "a weight"),
    ("reg0 = select(1=0, 2);", "0", "never chosen"),
    ("reg0 = select(1=65536, 2);", "65536", "65535"),
    ("reg0 = select(values=(1, 2));", ")", "\";\""),
    ("reg0 = select(values=(1, 2); hash_fields=ip_src);", "ip_src", "double quotes"),
    ("ct_next(both);", "both", "dnat, snat"),
    ("ct_commit_to_zone;", ";", "\"(\""),
    ("ct_commit(1);", "1", "ct_mark or ct_label"),
    ("ct_commit(ct_mark=foo);", "foo", "a number"),
    ("ct_commit(ct_mark=0x100000000);", "0x100000000", "32 bits"),
    ("ct_commit(ct_mark=0/0);", "0/0", "mask of 0"),
    ("ct_dnat();", ")", "IPv4 or IPv6 address"),
    ("ct_dnat(192.0.2.0/24);", "192.0.2.0/24", "IPv4 or IPv6 address"),
    ("ct_dnat(192.0.2.1, foo);", "foo", "the first port"),
    ("ct_dnat(192.0.2.1, 0);", "0", "no port"),
    ("ct_dnat(192.0.2.1, 9-9);", "9", "not above the first"),
    ("ct_dnat(192.0.2.1, 9-70000);", "70000", "65535"),
    ("ct_lb(192.0.2.1);", "192.0.2.1", "\"backends\""),
    ("ct_lb(backends=foo);", "foo", "address"),
    ("ct_lb(backends=192.0.2.1:);", ")", "a port"),
    ("ct_lb(backends=192.0.2.1:70000);", "70000", "65535"),
    ("ct_lb(backends=[192.0.2.1]);", "192.0.2.1", "brackets"),
    ("ct_lb(backends=[2001:db8::1);", ")", "\"]\""),
    ("ct_lb(backends=192.0.2.1; hash_fields=ip_src);", "ip_src", "double quotes"),
    ("ct_lb(backends=192.0.2.1; quick);", "quick", "skip_snat, force_snat"),
    ("ct_lb(backends=192.0.2.1; skip_snat; force_snat);", ";", "\")\""),
    ("ct_lb(backends=; skip_snat);", ";", "no backends"),
    ("ct_lb_mark_local(backends=192.0.2.1);", "192.0.2.1", "backend's port"),
    ("clone;", ";", "\"{\""),
    ("clone { next;", "", "expected an action"),
    ("clone { next }; next;", "}", "\";\""),
    ("clone { drop; next; };", "next", "drop stands alone"),
    ("tcp_reset;", ";", "\"{\""),
    ("reg0[0] = put_dhcp_opts();", "put_dhcp_opts", "offerip"),
    ("reg0[0] = put_dhcp_opts(mtu=1);", "put_dhcp_opts", "offerip"),
    ("reg0[0] = put_dhcp_opts(offerip=192.0.2.1, x=1);", "x", "no DHCP option x"),
    ("reg0[0] = put_dhcp_opts(\"x\");", "\"x\"", "the name of a DHCP option"),
    ("reg0[0] = put_dhcp_opts(offerip=\"x\");", "\"x\"", "without quotes"),
    ("reg0[0] = put_dhcp_opts(offerip=192.0.2.1, domain_name=5);", "5", "double quotes"),
    ("reg0[0] = put_dhcp_opts(offerip={192.0.2.1, \"x\"});", "\"x\"", "number"),
    ("reg0[0] = put_dhcp_opts(offerip={});", "}", "a constant"),
    ("reg0[0] = put_dhcpv6_opts(mtu=1);", "mtu", "no DHCPv6 option mtu"),
    ("reg0[0] = put_nd_ra_opts(addr_mode = \"slaac\", prefix = 2001:db8::/64);", "put_nd_ra_opts", "slla"),
    (
        "reg0[0] = put_nd_ra_opts(addr_mode = \"slaac\", slla = 02:00:00:00:00:01);",
        "put_nd_ra_opts",
        "prefix",
    ),
    ("reg0[0] = put_nd_ra_opts(addr_mode = \"off\");", "put_nd_ra_opts", "addr_mode cannot be \"off\""),
    ("reg0[0] = put_nd_ra_opts(prefix = 2001:db8::);", "put_nd_ra_opts", "with its length"),
    ("reg0[0] = put_nd_ra_opts(slla = 1);", "put_nd_ra_opts", "one Ethernet address"),
    ("reg0[0] = put_nd_ra_opts(mtu = {1, 2});", "put_nd_ra_opts", "one decimal number"),
    ("reg0[0] = put_nd_ra_opts(mtu = 192.0.2.1);", "put_nd_ra_opts", "one decimal number"),
    ("reg0[0] = put_nd_ra_opts(router_preference = \"low\");", "put_nd_ra_opts", "MEDIUM"),
    ("reg0[0] = put_nd_ra_opts(rdnss = 192.0.2.1);", "put_nd_ra_opts", "one IPv6 address"),
    ("reg0[0] = dhcp_relay_req_chk(192.0.2.1);", ")", "an IPv4 address"),
    ("set_queue(61441);", "61441", "61440"),
    ("set_queue(foo);", "foo", "a queue"),
    ("set_meter(0);", "0", "lets nothing through"),
    ("set_meter(1, 2, 3);", ",", "\")\""),
    ("log(severity=info);", "log", "verdict"),
    ("log;", "log", "verdict"),
    ("log(verdict=maybe);", "maybe", "allow, drop, reject, pass"),
    ("log(verdict=drop, severity=bad);", "bad", "alert"),
    ("log(verdict=drop, name=x);", "x", "double quotes"),
    ("log(verdict=drop, colour=x);", "colour", "severity or meter"),
    ("sample(collector_set=1);", "sample", "probability"),
    ("sample(probability=0);", "sample", "probability"),
    ("sample(probability=1,obs_domain=256);", "256", "255"),
    ("sample(probability=1,obs_point=reg0[0..3]);", "reg0[0..3]", "4 bits where 32"),
    ("sample(probability=1,obs_point=$dish);", "$dish", "$cookie"),
    ("mirror(p);", "p", "double quotes"),
    ("fwd_group;", ";", "\"(\""),
    ("fwd_group();", ")", "\"childports\""),
    ("fwd_group(childports=);", "fwd_group", "no port"),
    ("fwd_group(childports=a);", "a", "double quotes"),
    ("fwd_group(liveness=maybe, childports=\"a\");", "maybe", "true or false"),
    ("fwd_group(liveness=true childports=\"a\");", "childports", "\",\""),
    ("commit_ecmp_nh(ipv6=true);", ")", "\",\""),
    ("commit_ecmp_nh(ipv6=true, proto=icmp);", "icmp", "tcp, udp, sctp"),
    ("commit_lb_aff(vip=\"a\", backend=\"192.0.2.1\", timeout=1);", "\"a\"", "an IP address"),
    ("commit_lb_aff(vip=\"192.0.2.1\", backend=\"2001:db8::1\", timeout=1);", "backend", "the same"),
    ("commit_lb_aff(vip=\"192.0.2.1:80\", backend=\"192.0.2.2:80\", timeout=1);", "timeout", "\"proto\""),
    (
        "commit_lb_aff(vip=\"192.0.2.1\", backend=\"192.0.2.2\", proto=tcp, timeout=1);",
        "proto",
        "\"timeout\"",
    ),
    ("trigger_event(event=\"party\");", "\"party\"", "empty_lb_backends"),
    (
        "trigger_event(event=\"empty_lb_backends\", vip=\"x\");",
        "\"empty_lb_backends\"",
        "vip cannot be \"x\"",
    ),
    ("trigger_event(event=\"empty_lb_backends\", protocol=\"icmp\");", "\"empty_lb_backends\"", "sctp"),
    ("trigger_event(event=\"empty_lb_backends\", load_balancer=\"7\");", "\"empty_lb_backends\"", "uuid"),
    ("bind_vport(v, inport);", "v", "double quotes"),
    ("bind_vport(\"v\", reg0);", "reg0", "such as inport"),
    ("handle_svc_check();", ")", "name of a field"),
    ("handle_bfd_msg;", ";", "\"(\""),
    ("igmp { };", "{", "\";\""),
    ("reg0 = 1 & 2;", "&", "means nothing alone"),
    ("/* open", "/* open", "does not end"),
];

#[test]
fn errors_blame_the_right_bytes_and_say_what_to_do() {
    let mut wrong = Vec::new();
    for (text, blamed, piece) in ERRORS {
        let (bytes, sentence) = refused(text, &here());
        if bytes != *blamed || !sentence.contains(piece) {
            wrong.push(format!("{text}: \"{bytes}\": {sentence}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_long_name_in_a_log_is_refused() {
    assert!(parse_actions(&format!("log(verdict=drop, name=\"{}\");", "x".repeat(63)), &here()).is_ok());
    assert!(
        refused(&format!("log(verdict=drop, name=\"{}\");", "x".repeat(64)), &here()).1.contains("too long")
    );
}

#[test]
fn tables_end_somewhere() {
    let last = Context { table: 28, ..here() };
    assert!(refused("next;", &last).1.contains("no table 29"));
    assert!(parse_actions("next(0); ct_next;", &last).is_ok());
    let beyond = Context { table: 29, ..here() };
    for text in ["ct_next;", "ct_snat;", "ct_lb;", "reg0 = select(1, 2);", "ct_commit_nat;"] {
        assert!(refused(text, &beyond).1.contains("in the next table"), "{text}");
    }
    let none = Context { tables: 0, ..here() };
    assert!(refused("next;", &none).1.contains("no table to go to"));
    let most = Context { table: 255, tables: 255, ..here() };
    assert!(refused("next;", &most).1.contains("no table 256"));
}

#[test]
fn braces_nest_only_so_deep() {
    let nested = |depth: usize| format!("{}next;{}", "clone {".repeat(depth), "};".repeat(depth));
    assert_eq!(read(&nested(MAX_NESTING)).list.len(), 1);
    assert!(refused(&nested(MAX_NESTING + 1), &here()).1.contains("31 deep"));
    assert!(parse_actions(&nested(100_000), &here()).is_err());
    assert!(parse_actions(&"arp {".repeat(100_000), &here()).is_err());
}

#[test]
fn sentences_quote_the_beginning_of_a_long_word() {
    let long = "x".repeat(1 << 20);
    for text in [
        format!("{long};"),
        format!("next {long};"),
        format!("^{long};"),
        format!("{long} = 1;"),
        format!("reg0 = {long}(1);"),
        format!("reg0[0] = put_dhcp_opts({long} = 1);"),
        format!("trigger_event(event = \"empty_lb_backends\", vip = \"{long}\");"),
    ] {
        let (_, sentence) = refused(&text, &here());
        assert!(sentence.len() < 250 && sentence.contains("xxx…"), "{sentence}");
    }
}
