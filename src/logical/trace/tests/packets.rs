//! Packets that are made of the packet, what was learned of neighbours, and what packets may carry.

use super::*;

#[test]
fn packets_made_of_the_packet() {
    let tcp = format!("{IP4} && tcp.src == 1 && tcp.dst == 2");
    let addresses = "eth.dst = eth.dst; ip4.src = ip4.src; ip4.dst = ip4.dst;";
    let found = |action: &str, microflow: &str| {
        let text = format!("{action} {{ {addresses} ip.ttl = ip.ttl; output; }};");
        lines(Form::Minimal, &[&text], microflow, &[])
    };
    let untouched = ["eth.dst = 02:00:00:00:00:0b;", "ip4.src = 10.0.0.1;", "ip4.dst = 10.0.0.2;"];
    let turned = ["eth.dst = 02:00:00:00:00:0a;", "ip4.src = 10.0.0.2;", "ip4.dst = 10.0.0.1;"];
    for (action, microflow, name, fields) in [
        ("icmp4", &tcp, "icmp4", untouched),
        ("icmp4_error", &tcp, "icmp4", untouched),
        ("tcp_reset", &tcp, "tcp_reset", untouched),
        ("reject", &tcp, "tcp_reset", turned),
        ("reject", &format!("{IP4} && udp"), "icmp4", turned),
        ("reject", &format!("{IP4} && sctp"), "sctp_abort", turned),
        ("sctp_abort", &format!("{IP4} && sctp"), "sctp_abort", untouched),
    ] {
        let title = format!("{name} {{");
        let expected: Vec<&str> = [&[&title as &str], &fields[..], &["ip.ttl = 255;"]].concat();
        assert_eq!(found(action, microflow)[..5], expected, "{action}");
    }
    // What answers an error would never end.
    assert_eq!(found("reject", &format!("{IP4} && icmp4.type == 3")), [""; 0]);
    assert_eq!(found("reject", &format!("{IP4} && tcp.flags == 4")), [""; 0]);
    for (action, dst) in [("icmp6", "fd00::2"), ("icmp6_error", "fd00::2"), ("reject", "fd00::1")] {
        let text = format!("{action} {{ ip6.dst = ip6.dst; ip.ttl = ip.ttl; }};");
        let expected = ["icmp6 {", &format!("ip6.dst = {dst};") as &str, "ip.ttl = 255;", "};"];
        assert_eq!(minimal(&[&text], &format!("{IP6} && udp")), expected);
    }
}

#[test]
fn arp_and_neighbour_discovery() {
    let arp = "arp { arp.op = arp.op; arp.sha = arp.sha; arp.tha = arp.tha; arp.spa = arp.spa; arp.tpa = arp.tpa; };";
    assert_eq!(
        minimal(&[arp], IP4),
        [
            "arp {",
            "arp.op = 1;",
            "arp.sha = 02:00:00:00:00:0a;",
            "arp.tha = 00:00:00:00:00:00;",
            "arp.spa = 10.0.0.1;",
            "arp.tpa = 10.0.0.2;",
            "};"
        ]
    );
    let ns = "nd_ns { eth.dst = eth.dst; ip6.dst = ip6.dst; };";
    assert_eq!(minimal(&[ns], IP6), ["nd_ns {", "eth.dst = 33:33:ff:00:00:02;", "ip6.dst = fd00::2;", "};"]);
    let asked = format!(
        "{} && icmp6.type == 135 && icmp6.code == 0 && nd.target == fd00::9",
        IP6.replace("64", "255")
    );
    for name in ["nd_na", "nd_na_router"] {
        let na = format!("{name} {{ eth.dst = eth.dst; ip6.src = ip6.src; ip6.dst = ip6.dst; }};");
        assert_eq!(
            minimal(&[&na], &asked),
            [
                &format!("{name} {{") as &str,
                "eth.dst = 02:00:00:00:00:0a;",
                "ip6.src = fd00::9;",
                "ip6.dst = fd00::1;",
                "};"
            ]
        );
    }
}

#[test]
fn neighbours_and_addresses_that_were_learned() {
    let (mut net, sw) = Net::switch();
    for (ip, mac) in [("10.0.0.2", "02:00:00:00:00:22"), ("fd00::2", "02:00:00:00:00:66")] {
        let (ip, mac, logical_port) = (ip.to_owned(), mac.to_owned(), "a".to_owned());
        net.put(MacBinding { datapath: sw, ip, mac, logical_port, timestamp: 0 });
    }
    net.put(Fdb { dp_key: 1, mac: "02:00:00:00:00:0b".to_owned(), port_key: 2 });
    net.flow(
        sw,
        Pipeline::Ingress,
        0,
        1,
        "ip4",
        "reg0 = ip4.dst; reg1[0] = lookup_arp_ip(inport, reg0); reg1[1] = lookup_arp(inport, reg0, eth.src); \
         get_arp(inport, reg0); reg1[2] = lookup_arp(inport, reg0, eth.dst); reg0 = 1; get_arp(inport, reg0); \
         ip4.src = reg1;",
    );
    net.flow(
        sw,
        Pipeline::Ingress,
        0,
        1,
        "ip6",
        "reg1[0] = lookup_fdb(inport, eth.dst); outport = get_fdb(eth.dst); reg1[1] = lookup_fdb(outport, eth.dst); \
         reg1[2] = lookup_nd_ip(inport, ip6.src); get_nd(inport, ip6.dst); eth.src[0..7] = reg1[0..7]; \
         outport = get_fdb(eth.dst); output;",
    );
    let tracer = net.tracer();
    assert_eq!(
        shown(&tracer, Form::Minimal, IP4, &[]),
        "eth.dst = 02:00:00:00:00:22;\neth.dst = 00:00:00:00:00:00;\nip4.src = 0x5;\n"
    );
    let text = shown(&tracer, Form::Summary, IP4, &[]);
    let remarks: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("/*")).collect();
    assert_eq!(
        remarks,
        [
            "/* MAC binding found. */",
            "/* lookup failed - No MAC binding. */",
            "/* MAC binding to 02:00:00:00:00:22. */",
            "/* MAC binding to 02:00:00:00:00:22 found. */",
            "/* No MAC binding. */"
        ]
    );
    assert_eq!(
        shown(&tracer, Form::Minimal, IP6, &[]),
        "eth.dst = 02:00:00:00:00:66;\neth.src[0..7] = 0x2;\n*** output to null logical port;\n"
    );
}

#[test]
fn port_security() {
    let (mut net, sw) = Net::switch();
    net.port(sw, "d", 4, |row| row.port_security = ["02:00:00:00:00:0a 10.0.0.1".to_owned()].into());
    net.ingress(
        sw,
        0,
        r#"reg0[15] = check_in_port_sec(); outport = "d"; reg0[14] = check_out_port_sec(); next;"#,
    );
    net.flow(sw, Pipeline::Ingress, 1, 2, "reg0[15]", "eth.dst = 00:00:00:00:00:01;");
    net.flow(sw, Pipeline::Ingress, 1, 1, "reg0[14]", "eth.dst = 00:00:00:00:00:02;");
    let tracer = net.tracer();
    let found = |microflow: &str| shown(&tracer, Form::Minimal, microflow, &[]);
    let from_d = IP4.replace("\"a\"", "\"d\"");
    assert_eq!(found(&from_d), "eth.dst = 00:00:00:00:00:02;\n");
    assert_eq!(found(&from_d.replace("10.0.0.1", "10.0.0.3")), "eth.dst = 00:00:00:00:00:01;\n");
    // Port a has no security.
    assert_eq!(found(IP4), "eth.dst = 00:00:00:00:00:02;\n");
    assert_eq!(
        minimal(&[r#"inport = ""; reg0[15] = check_in_port_sec();"#], IP4),
        ["*** port security of unknown port 0; none assumed;"]
    );
}

#[test]
fn options_of_dhcp_dns_and_advertisements() {
    assert_eq!(
        minimal(
            &["reg0[3] = put_dhcp_opts(offerip = 10.0.0.4, lease_time = 3600); next;", "drop;"],
            &format!("{IP4} && udp")
        ),
        [
            "/* We assume that this packet is DHCPDISCOVER or DHCPREQUEST. */;",
            "put_dhcp_opts(offerip = 10.0.0.4, lease_time = 3600);"
        ]
    );
    let advertise = r#"reg0[5] = put_nd_ra_opts(addr_mode = "slaac", slla = 02:00:00:00:00:0b, prefix = fd00::/64); next;"#;
    let asked = format!("{} && icmp6.type == 133 && icmp6.code == 0", IP6.replace("64", "255"));
    assert_eq!(
        minimal(&[advertise, "drop;"], &asked),
        [
            "put_nd_ra_opts(addr_mode = \"slaac\", slla = 02:00:00:00:00:0b, prefix = fd00::/64);",
            "icmp6.type = 134;"
        ]
    );
    assert_eq!(
        minimal(&["reg0[3] = dns_lookup();"], &format!("{IP4} && udp.dst == 53")),
        ["*** dns_lookup action not implemented;"]
    );
}

#[test]
fn options_are_those_of_the_rows() {
    let traced = |rows: &[(&str, u8, &str)], rows6: &[(&str, u8, &str)], actions: &str| {
        let (mut net, sw) = Net::switch();
        for (name, code, kind) in rows {
            net.put(DhcpOptions { code: *code, name: (*name).to_owned(), kind: (*kind).to_owned() });
        }
        for (name, code, kind) in rows6 {
            net.put(Dhcpv6Options { code: *code, name: (*name).to_owned(), kind: (*kind).to_owned() });
        }
        net.ingress(sw, 0, actions);
        net.tracer().run(&request(Some("sw"), FROM_A)).unwrap().unread().len()
    };
    let rows = [("offerip", 0, "ipv4"), ("house_rule", 200, "uint8")];
    let own = "reg0[3] = put_dhcp_opts(offerip = 10.0.0.4, house_rule = 3);";
    let usual = "reg0[3] = put_dhcp_opts(offerip = 10.0.0.4, mtu = 1500);";
    assert_eq!([traced(&rows, &[], own), traced(&rows, &[], usual)], [0, 1]);
    assert_eq!([traced(&[], &[], own), traced(&[], &[], usual)], [1, 0]);
    let rows6 = [("house_rule", 200, "str")];
    let own = "reg0[3] = put_dhcpv6_opts(house_rule = \"x\");";
    let usual = "reg0[3] = put_dhcpv6_opts(ia_addr = fd00::4);";
    assert_eq!([traced(&[], &rows6, own), traced(&[], &rows6, usual)], [0, 1]);
    assert_eq!([traced(&rows, &[], own), traced(&rows, &[], usual)], [1, 0]);
}
