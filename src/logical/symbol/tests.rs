use std::collections::HashSet;

use rstest::rstest;

use super::*;
use crate::logical::cursor::Cursor;
use crate::logical::expr::Expr;
use crate::logical::microflow::Microflow;

#[test]
fn names_are_unique_and_found() {
    let mut seen = HashSet::new();
    for symbol in symbols() {
        assert!(seen.insert(symbol.name), "{}", symbol.name);
        assert_eq!(lookup(symbol.name), Some(symbol));
    }
    assert_eq!(lookup("reg10"), None);
}

/// The symbols that an expression names.
fn named(expr: &Expr) -> Vec<&'static Symbol> {
    match expr {
        Expr::Test(test) => vec![test.symbol],
        Expr::And(list) | Expr::Or(list) => list.iter().flat_map(named).collect(),
        Expr::Bool(_) | Expr::Resident { .. } => Vec::new(),
    }
}

#[test]
fn texts_use_only_symbols_above_and_say_the_level() {
    for (index, symbol) in symbols().iter().enumerate() {
        let above = &symbols()[..index];
        let read = |text: &'static str| {
            let expr = Expr::parse(text, &()).unwrap_or_else(|error| panic!("{}: {error}", symbol.name));
            let used = named(&expr);
            for used in &used {
                assert!(above.contains(used), "{} uses {}", symbol.name, used.name);
            }
            used
        };
        if !symbol.prereqs.is_empty() {
            read(symbol.prereqs);
        }
        if let Kind::Predicate(text) = symbol.kind {
            let is_nominal = read(text).iter().any(|used| used.level == Level::Nominal);
            let level = if is_nominal { Level::Nominal } else { Level::Boolean };
            assert_eq!(symbol.level, level, "{}", symbol.name);
        }
    }
}

#[test]
fn every_part_lies_in_a_field_with_a_name() {
    for symbol in symbols() {
        let Kind::Field { field, offset, width } = symbol.kind else { continue };
        let (root, shift) = symbol.root();
        let Kind::Field { field: root_field, offset: 0, width: root_width } = root.kind else {
            panic!("{}", symbol.name)
        };
        assert_eq!((root_field, shift), (field, offset), "{}", symbol.name);
        assert_eq!(root_width, field.bits());
        assert!(offset + width <= root_width, "{}", symbol.name);
        assert!(width == root_width || symbol.level == Level::Ordinal, "{}", symbol.name);
    }
}

/// Registers are parts of wider ones here, and fields of their own in the key.
#[test]
fn registers_are_those_of_the_key() {
    let mut flow = Microflow::default();
    for n in 0..10u128 {
        let symbol = lookup(&format!("reg{n}")).unwrap();
        flow.set(&FieldRef::whole(symbol), 0x0101_0101 * (n + 1));
    }
    for n in 0..10 {
        let value = flow.key.get(Field::reg(n).unwrap());
        assert_eq!(value, 0x0101_0101 * (n as u128 + 1));
    }
    let get = |name: &str| flow.get(&parse(name).unwrap());
    assert_eq!(get("xreg4"), 0x0909_0909_0a0a_0a0a);
    assert_eq!(get("xxreg0[96..127]"), 0x0101_0101);
    assert_eq!(get("reg2[8..15]"), 0x03);
    flow.set(&parse("reg3[4..7]").unwrap(), 0xff);
    assert_eq!(flow.key.get(Field::Reg3), 0x0404_04f4);
}

fn parse(text: &str) -> Result<FieldRef, String> {
    let mut cursor = Cursor::new(text);
    let field = FieldRef::parse(&mut cursor).map_err(|error| error.render(text))?;
    assert_eq!(*cursor.kind(), TokenKind::End);
    Ok(field)
}

#[rstest]
#[case("reg0", "reg0")]
#[case("reg0[0..31]", "reg0")]
#[case("reg0[ 3 .. 5 ]", "reg0[3..5]")]
#[case("eth.dst[40]", "eth.dst[40]")]
#[case("eth.dst[40..40]", "eth.dst[40]")]
#[case("eth.type[0..15]", "eth.type")]
#[case("inport", "inport")]
#[case("ip4[0]", "ip4")]
fn parts_of_fields_read_and_print(#[case] text: &str, #[case] form: &str) {
    let field = parse(text).unwrap();
    assert_eq!(field.to_string(), form);
    assert_eq!(parse(form), Ok(field));
}

#[rstest]
#[case("ipv4.src", "did you mean ip4.src?")]
#[case("nonsense", "lists them under Symbols")]
#[case("inport[0]", "is a port's name and has no bits")]
#[case("reg0[5..3]", "write the lower first")]
#[case("reg0[32]", "name some of 0 to 31")]
#[case("reg0[4294967296]", "expected a small decimal number")]
#[case("reg0[0x1]", "expected a small decimal number")]
#[case("reg0[1", "expected \"]\"")]
#[case("eth.type[0]", "cannot be taken apart")]
#[case("7", "expected the name of a field")]
fn says_what_is_wrong_with_a_field(#[case] text: &str, #[case] sentence: &str) {
    let error = parse(text).unwrap_err();
    assert!(error.contains(sentence), "{error}");
}

#[test]
fn what_actions_may_write() {
    let writable = |name: &str| lookup(name).unwrap().writable;
    for name in
        ["reg0", "eth.src", "ip.ttl", "ip4.dst", "inport", "flags.loopback", "vlan.pcp", "icmp4.frag_mtu"]
    {
        assert_eq!(writable(name), Writable::Anywhere, "{name}");
    }
    for name in ["eth.type", "ip.proto", "ip.frag", "ct_state", "ct.trk", "tcp.flags", "ip4", "eth.bcast"] {
        assert_eq!(writable(name), Writable::No, "{name}");
    }
    for name in ["ct_mark", "ct_mark.blocked", "ct_label", "ct_label.label"] {
        assert_eq!(writable(name), Writable::InCommit, "{name}");
    }
}

/// What OVN 23.03 knows beside the registers, and how many bits each has.
#[rstest]
#[case(0, "inport outport")]
#[case(1, "flags.loopback flags.force_snat_for_dnat flags.force_snat_for_lb flags.skip_snat_for_lb")]
#[case(1, "flags.use_snat_zone flags.localnet")]
#[case(1, "ct_mark.blocked ct_mark.natted ct_mark.skip_snat ct_mark.force_snat")]
#[case(1, "ct_label.blocked ct_label.natted ct_label.skip_snat ct_label.force_snat")]
#[case(1, "ct.new ct.est ct.rel ct.rpl ct.inv ct.trk ct.snat ct.dnat")]
#[case(1, "eth.bcast eth.mcast eth.mcastv6 vlan.present ip ip4 ip6 ip4.src_mcast ip4.mcast")]
#[case(1, "ip.is_frag ip.later_frag ip.first_frag icmp icmp4 icmp6 igmp tcp udp sctp arp rarp")]
#[case(1, "ip6.mcast_rsvd ip6.mcast_all_nodes ip6.mcast_all_rtrs ip6.mcast_sol_node ip6.mcast_flood")]
#[case(1, "ip6.mcast nd nd_ns nd_na nd_rs nd_ra mldv1 mldv2")]
#[case(2, "ip.ecn ip.frag")]
#[case(3, "vlan.pcp")]
#[case(6, "ip.dscp")]
#[case(8, "ip.proto ip.ttl icmp4.type icmp4.code icmp6.type icmp6.code")]
#[case(12, "vlan.vid tcp.flags")]
#[case(16, "eth.type vlan.tci tcp.src tcp.dst udp.src udp.dst sctp.src sctp.dst icmp4.frag_mtu")]
#[case(16, "ct_mark.ecmp_reply_port ct_label.ecmp_reply_port")]
#[case(20, "ip6.label")]
#[case(32, "flags ct_mark ct_state ct_label.label ip4.src ip4.dst pkt.mark icmp6.frag_mtu")]
#[case(32, "arp.spa arp.tpa rarp.spa rarp.tpa")]
#[case(48, "eth.src eth.dst arp.sha arp.tha rarp.sha rarp.tha nd.sll nd.tll ct_label.ecmp_reply_eth")]
#[case(128, "ct_label ip6.src ip6.dst nd.target")]
// 16 in OVN, of which the upper ones are always zero.
#[case(8, "arp.op rarp.op")]
fn has_the_symbols_of_ovn(#[case] width: u16, #[case] names: &str) {
    for name in names.split(' ') {
        assert_eq!(lookup(name).map(Symbol::width), Some(width), "{name}");
    }
}
