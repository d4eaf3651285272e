//! Single matches: how they print in each form, and what is said of wrong ones.

use rstest::rstest;

use crate::logical::expr::{Expr, MAX_DEPTH, NormalizeError, parse_microflow};
use crate::logical::microflow::Microflow;
use crate::logical::names::{AddressSet, FixedNames, PortGroup};
use crate::logical::symbol::{FieldRef, lookup};

fn names() -> FixedNames {
    let mut names = FixedNames::new();
    names.set_datapath(7);
    names.add_address_set(AddressSet::new(
        "web",
        ["10.0.0.2", "10.0.0.1", "10.1.0.0/16", "no address", "10.0.0.1"],
    ));
    names.add_address_set(AddressSet::new("one", ["10.0.0.9"]));
    names.add_address_set(AddressSet::new("none", []));
    names.add_address_set(AddressSet::new("all", ["10.0.0.9", "0.0.0.0/0"]));
    names.add_address_set(AddressSet::new("pg_ip4", ["10.2.0.1"]));
    names.add_address_set(AddressSet::new("six", ["fd00::1"]));
    names.add_port_group(PortGroup::new("7_pg", ["b", "a"]));
    names.add_port_group(PortGroup::new("8_pg", ["c"]));
    names.add_port_group(PortGroup::new("old", ["c"]));
    names.add_port_group(PortGroup::new("7_empty", []));
    names.add_port("a", 1);
    names.add_port("b", 2);
    names
}

fn parse(text: &str) -> Expr {
    Expr::parse(text, &names()).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

#[rstest]
#[case("1", "1")]
#[case("0 || 1", "0 || 1")]
#[case("(((ip4)))", "ip4")]
#[case("ip4.src == 10.0.0.1", "ip4.src == 0xa000001")]
#[case("10.0.0.1==ip4.src", "ip4.src == 0xa000001")]
#[case("ip4.src == 10.0.0.0/8", "ip4.src[24..31] == 0xa")]
#[case("ip4.src == 10.0.0.7/255.0.0.255", "ip4.src == 0xa000007/0xff0000ff")]
#[case("ip4.src == 0/0", "ip4.src == 0x0/0x0")]
#[case("5 < tcp.dst", "tcp.dst > 0x5")]
#[case("5 >= tcp.dst", "tcp.dst <= 0x5")]
#[case("0 < tcp.dst < 10", "tcp.dst > 0x0 && tcp.dst < 0xa")]
#[case("10 >= tcp.dst > 3", "tcp.dst <= 0xa && tcp.dst > 0x3")]
#[case("!(0 < tcp.dst < 10)", "tcp.dst <= 0x0 || tcp.dst >= 0xa")]
#[case("tcp.dst == {1, 2 3,}", "tcp.dst == 0x1 || tcp.dst == 0x2 || tcp.dst == 0x3")]
#[case("tcp.dst != {1, 2}", "tcp.dst != 0x1 && tcp.dst != 0x2")]
#[case("!(tcp.dst == {1, 2}) || udp", "(tcp.dst != 0x1 && tcp.dst != 0x2) || udp")]
#[case("tcp.dst == {1, 2} && ip4", "(tcp.dst == 0x1 || tcp.dst == 0x2) && ip4")]
#[case("tcp.dst == {1, 2} || ip4", "tcp.dst == 0x1 || tcp.dst == 0x2 || ip4")]
#[case("(ip4 && tcp) && udp", "ip4 && tcp && udp")]
#[case("(ip4 || tcp) && udp", "(ip4 || tcp) && udp")]
#[case("vlan.present", "vlan.present")]
#[case("!vlan.present", "!vlan.present")]
#[case("vlan.present == 0", "!vlan.present")]
#[case("ip4 == 1", "ip4")]
#[case("ip4 != 0", "ip4")]
#[case("!(ip4 == 0)", "ip4")]
#[case("eth.dst[40]", "eth.dst[40]")]
#[case("!eth.dst[40]", "!eth.dst[40]")]
#[case("eth.dst[40] == 0", "!eth.dst[40]")]
#[case("reg0[3..5] == 5", "reg0[3..5] == 0x5")]
#[case("reg0 == 0x28/0x38", "reg0[3..5] == 0x5")]
#[case("reg0[4] > 0", "reg0[4] > 0x0")]
#[case("!reg0", "reg0 == 0x0")]
#[case("reg0[0..3] == 0x1f", "reg0[0..3] == 0xf")]
#[case("inport == \"a\"", "inport == \"a\"")]
#[case("!(inport != \"a\\\"b\")", "inport == \"a\\\"b\"")]
#[case("inport == {\"a\", \"x\"}", "inport == \"a\" || inport == \"x\"")]
#[case("ip4.src == $web", "ip4.src == 0xa000001 || ip4.src == 0xa000002 || ip4.src[16..31] == 0xa01")]
#[case("ip4 && ip4.src == $one", "ip4 && ip4.src == 0xa000009")]
#[case("ip4 && ip4.src == $none", "ip4 && 0")]
#[case("ip4 && ip4.src != $none", "ip4 && 1")]
#[case("ip4.src == {$none, $one}", "ip4.src == 0xa000009")]
#[case("ip4.src == $pg_ip4", "ip4.src == 0xa020001")]
#[case("inport == @pg", "inport == \"a\" || inport == \"b\"")]
#[case(
    "inport == @old && outport == {@pg, \"z\"}",
    "inport == \"c\" && (outport == \"a\" || outport == \"b\" || outport == \"z\")"
)]
#[case("inport == @empty", "0")]
#[case("is_chassis_resident(\"cr\")", "is_chassis_resident(\"cr\")")]
#[case("!is_chassis_resident(\"cr\") && ip", "!is_chassis_resident(\"cr\") && ip")]
#[case("eth.type == 0x1/0x1", "eth.type == 0x1/0x1")]
#[case("ip6.dst == ff02::1:ff00:0/104", "ip6.dst[24..127] == 0xff0200000000000000000001ff")]
#[case("ip4 /* a */ && tcp // b", "ip4 && tcp")]
fn prints_as_it_was_read(#[case] text: &str, #[case] form: &str) {
    assert_eq!(parse(text).to_string(), form);
}

#[rstest]
#[case("ip4.src", "ip4.src == 1.2.3.4", "ip4.src == 0x1020304 && eth.type == 0x800")]
#[case(
    "set",
    "ip4.src == {1.2.3.4, 5.6.7.8}",
    "(ip4.src == 0x1020304 || ip4.src == 0x5060708) && eth.type == 0x800"
)]
#[case(
    "chain",
    "ip4.src == 1.2.3.4 || 5.6.7.8 == ip4.src",
    "(ip4.src == 0x1020304 || ip4.src == 0x5060708) && eth.type == 0x800"
)]
#[case(
    "range",
    "80 <= tcp.dst <= 90",
    "tcp.dst >= 0x50 && tcp.dst <= 0x5a && ip.proto == 0x6 && (eth.type == 0x800 || eth.type == 0x86dd)"
)]
#[case("two symbols", "ct.new && ct.est", "ct_state[0] && ct_state[5] && ct_state[1] && ct_state[5]")]
#[case("parts", "reg0 == 1 && reg1[0]", "xxreg0[96..127] == 0x1 && xxreg0[64]")]
#[case(
    "predicate",
    "icmp4",
    "eth.type == 0x800 && ip.proto == 0x1 && (eth.type == 0x800 || eth.type == 0x86dd)"
)]
#[case("not", "!ip.is_frag", "!ip.frag[0] || (eth.type != 0x800 && eth.type != 0x86dd)")]
#[case("empty", "ip4.src == $none || inport == \"a\"", "0 || inport == \"a\"")]
fn annotates(#[case] _name: &str, #[case] text: &str, #[case] form: &str) {
    assert_eq!(parse(text).annotate().to_string(), form);
}

/// The whole chain of prerequisites down to the Ethernet type.
#[test]
fn annotates_recursively() {
    let printed = parse("nd.sll == 02:03:04:05:06:07").annotate().to_string();
    for part in [
        "icmp6.type == 0x87",
        "icmp6.code == 0x0",
        "ip.ttl == 0xff",
        "ip.proto == 0x3a",
        "eth.type == 0x86dd",
    ] {
        assert!(printed.contains(part), "{printed} lacks {part}");
    }
}

#[rstest]
#[case("ip", "eth.type == 0x800 || eth.type == 0x86dd")]
#[case("icmp4", "eth.type == 0x800 && ip.proto == 0x1")]
#[case("tcp", "(eth.type == 0x800 && ip.proto == 0x6) || (eth.type == 0x86dd && ip.proto == 0x6)")]
#[case("ip4 && ip6", "0")]
#[case("ip4 && tcp && udp", "0")]
#[case("ip4.src == 0/0", "eth.type == 0x800")]
#[case("reg0 == 1 && reg0 == 2", "0")]
#[case("reg0[0..3] == 1 && reg0[4..7] == 2", "xxreg0[96..103] == 0x21")]
#[case("reg8 == {3, 1, 2} && reg8 == {2, 4, 3}", "xreg4[32..63] == 0x2 || xreg4[32..63] == 0x3")]
#[case("reg8 == {3, 1, 2} && reg8 != 2", "xreg4[32..63] == 0x1 || xreg4[32..63] == 0x3")]
#[case("reg8[0..2] > 5", "xreg4[33..34] == 0x3")]
#[case("reg8[0..2] >= 0", "1")]
#[case("reg8[0..2] <= 7", "1")]
#[case("reg8[0..1] < 3", "!xreg4[32] || !xreg4[33]")]
#[case("reg8[0..1] < 0", "0")]
#[case("reg8[0..1] != 0/0", "0")]
#[case("reg8[0..1] != {0, 1, 2, 3}", "0")]
#[case("reg8[0..1] != {0, 1}", "xreg4[33]")]
#[case("inport == {\"a\", \"b\"} && inport == {\"b\", \"c\"}", "inport == \"b\"")]
#[case("inport == \"a\" && inport == @pg", "inport == \"a\"")]
#[case("ip4.src == $web && ip4.src == 10.1.2.3", "eth.type == 0x800 && ip4.src == 0xa010203")]
#[case("ip4.src == $all", "eth.type == 0x800")]
#[case("is_chassis_resident(\"a\") && !is_chassis_resident(\"a\")", "0")]
#[case("is_chassis_resident(\"b\") && reg9 == 1", "xreg4[0..31] == 0x1 && is_chassis_resident(\"b\")")]
#[case("reg8[0] && (reg9 == 1 || ct.trk)", "xreg4[0..32] == 0x100000001 || (ct_state[5] && xreg4[32])")]
fn normalizes(#[case] text: &str, #[case] form: &str) {
    assert_eq!(parse(text).annotate().normalize().unwrap().to_string(), form);
}

#[rstest]
#[case("", "the text ends here; expected a field or a constant", "")]
#[case("ip4 &&", "the text ends here; expected a field or a constant", "")]
#[case("ip4 ip6", "expected the end of the text", "ip6")]
#[case("ip4 && tcp || udp", "&& and || stand side by side", "||")]
#[case("ip4 || tcp && udp", "&& and || stand side by side", "&&")]
#[case("(ip4", "expected \")\"", "")]
#[case("!tcp.dst == 1", "put the comparison in parentheses", "!")]
#[case("!!ip4", "expected a field or a constant", "!")]
#[case("tcp.dst", "tcp.dst has 16 bits; write tcp.dst != 0", "tcp.dst")]
#[case("tcp.dst = 1", "expected one of == != < <= > >=", "=")]
#[case("inport", "expected one of ==", "")]
#[case("2", "expected one of ==", "")]
#[case("{1}", "expected one of ==", "")]
#[case("0x1", "expected one of ==", "")]
#[case("1 < tcp.dst > 2", "a range has both operators in one direction", "1 < tcp.dst > 2")]
#[case("1 == tcp.dst == 2", "a range has both operators in one direction", "1 == tcp.dst == 2")]
#[case("tcp.dst == 65536", "the constant has 17 bits and tcp.dst has 16", "65536")]
#[case("ip4.src == $six", "the constant has 128 bits and ip4.src has 32", "$six")]
#[case("ip4.src == \"a\"", "ip4.src is a number, not a port's name", "\"a\"")]
#[case("inport == 5", "inport is a port's name, not a number", "5")]
#[case("inport == $none", "inport is a port's name, not a number", "$none")]
#[case("inport == {\"a\", 5}", "expected a port's name, as the set began", "5")]
#[case("tcp.dst == {5, \"a\"}", "expected a number, as the set began", "\"a\"")]
#[case("tcp.dst == {}", "expected a field or a constant", "}")]
#[case("tcp.dst < {1}", "a set has no order", "tcp.dst < {1}")]
#[case("ip4.src < $one", "a set has no order", "ip4.src < $one")]
#[case("tcp.dst < 1/1", "a masked constant has no order", "tcp.dst < 1/1")]
#[case("eth.type < 5", "eth.type is nominal and has no order", "eth.type < 5")]
#[case("inport < \"a\"", "inport is nominal and has no order", "inport < \"a\"")]
#[case("ip.is_frag < 1", "ip.is_frag is Boolean and has no order", "ip.is_frag < 1")]
#[case("eth.type != 5", "what it is, not what it is not", "eth.type != 5")]
#[case("!(eth.type == 5)", "what it is, not what it is not", "eth.type == 5")]
#[case("!(inport == @pg)", "what it is, not what it is not", "inport == @pg")]
#[case("!ip4", "not for its opposite; write ip4 alone", "ip4")]
#[case("ip4 == 0", "not for its opposite", "ip4 == 0")]
#[case("ip4 == {0, 1}", "not for its opposite", "ip4 == {0, 1}")]
#[case("ip4.src == $nosuch", "there is no address set \"nosuch\"", "$nosuch")]
#[case("inport == @nosuch", "there is no port group \"nosuch\"", "@nosuch")]
#[case("tcp.dst == ^port", "^port is a template's variable", "^port")]
#[case("^all", "^all is a template's variable", "^all")]
#[case("f(\"a\")", "expected is_chassis_resident", "f")]
#[case("is_chassis_resident(a)", "the name of a port in double quotes", "a")]
#[case("is_chassis_resident(\"a\"", "expected \")\"", "")]
#[case("icmp4.frag_mtu == 5", "can be set and not compared", "icmp4.frag_mtu")]
#[case("ip4 & tcp", "\"&\" means nothing alone; write &&", "&")]
#[case("ip5.src == 1", "did you mean ip4.src?", "ip5.src")]
fn says_what_is_wrong(#[case] text: &str, #[case] sentence: &str, #[case] blamed: &str) {
    let error = Expr::parse(text, &names()).unwrap_err();
    assert!(error.sentence.contains(sentence), "{}", error.render(text));
    assert_eq!(&text[error.span.clone()], blamed, "{}", error.render(text));
}

#[test]
fn parentheses_nest_so_deep_and_no_deeper() {
    let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(Expr::parse(&nested(MAX_DEPTH, "ip4"), &()).unwrap().to_string(), "ip4");
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        let error = Expr::parse(&nested(depth, "ip4"), &()).unwrap_err();
        assert!(error.sentence.contains("more than 100 deep"), "{error}");
        assert_eq!(error.span, MAX_DEPTH..MAX_DEPTH + 1);
    }
    // As deep as it goes in every form.
    let levels = (0..MAX_DEPTH).map(|level| if level % 2 == 0 { "reg0[0] && (" } else { "reg1[1] || (" });
    let text = format!("{}ip{}", levels.collect::<String>(), ")".repeat(MAX_DEPTH));
    let expr = Expr::parse(&text, &()).unwrap();
    assert_eq!(Expr::parse(&expr.to_string(), &()).unwrap(), expr);
    assert!(!expr.clone().annotate().eval(&Microflow::default(), &()));
    assert!(expr.annotate().normalize().unwrap().conjunctions.len() < 300);
}

#[test]
fn a_named_set_stays_a_name() {
    let printed = |text: &str| {
        let normal = parse(text).annotate().normalize().unwrap();
        let [conjunction] = normal.conjunctions.as_slice() else { panic!("{normal}") };
        let clauses = conjunction.clauses.iter().map(|clause| {
            let items: Vec<_> = clause.items.iter().map(ToString::to_string).collect();
            format!("{} {}", clause.symbol.name, items.join(" "))
        });
        clauses.collect::<Vec<_>>().join("; ")
    };
    let ip4 = "eth.type 0x800/0xffff; ";
    assert_eq!(printed("ip4.src == $web && ip4.dst == $one"), format!("{ip4}ip4.dst $one; ip4.src $web"));
    assert_eq!(
        printed("ip4.src == {$web, 1.0.0.0/8, $none}"),
        format!("{ip4}ip4.src 0x1000000/0xff000000 $web")
    );
    assert_eq!(printed("ip4.src == $web && ip4.src == $web"), format!("{ip4}ip4.src $web"));
    assert_eq!(printed("inport == @pg"), "inport @7_pg");
    // What else restricts the symbol takes the set apart.
    let both = printed("ip4.src == $web && ip4.src == 10.0.0.0/24");
    assert_eq!(both, format!("{ip4}ip4.src 0xa000001/0xffffffff 0xa000002/0xffffffff"));
}

#[test]
fn refuses_what_takes_too_many_conjunctions() {
    let pair = |n: u32| format!("(reg0 == {n} || inport == \"p{n}\" || tcp.dst == {n})");
    // Different values of one field contradict, so that only few are left of many.
    let few: Vec<_> = (0..6).map(pair).collect();
    parse(&few.join(" && ")).annotate().normalize().unwrap();
    let bits = |n: u32| format!("(reg0[{n}] || reg4[{n}])");
    let many: Vec<_> = (0..32).map(bits).collect();
    let error = parse(&many.join(" && ")).annotate().normalize().unwrap_err();
    assert_eq!(error, NormalizeError::TooManyConjunctions);
}

#[test]
fn refuses_what_takes_too_many_attempts() {
    // Each pair contradicts itself, so that none is left of ten million.
    let side = |field: &str, low: u32| {
        let ones = (0..3200).map(|n| format!("(reg0[0] == {low} && {field} == {n})"));
        format!("({})", ones.collect::<Vec<_>>().join(" || "))
    };
    let error =
        parse(&format!("{} && {}", side("reg4", 0), side("pkt.mark", 1))).annotate().normalize().unwrap_err();
    assert_eq!(error, NormalizeError::TooMuchWork);
    assert!(error.to_string().contains("make several flows of it"));
}

#[test]
fn a_port_without_a_key_is_nobody() {
    let flow = |port: u128| {
        let mut flow = Microflow::default();
        flow.set(&FieldRef::whole(lookup("inport").unwrap()), port);
        flow
    };
    let holds = |text: &str, port| parse(text).annotate().eval(&flow(port), &names());
    assert!(holds("inport == \"a\"", 1) && !holds("inport == \"a\"", 2));
    assert!(holds("inport == @pg", 2));
    assert!(!holds("inport == \"nobody\"", 0));
    // No text comes to a comparison by != of ports, so that a port that is not there has no opposite.
    assert!(Expr::parse("inport != \"a\"", &names()).is_err());
    assert!(!holds("!(inport != \"nobody\")", 0));
    let other = |text: &str, port| parse(text).negated().eval(&flow(port), &names());
    assert!(other("inport == \"a\"", 2) && !other("inport == \"a\"", 1));
    assert!(!other("inport == \"nobody\"", 0));
    assert!(!other("inport == {\"a\", \"nobody\"}", 2));
    assert_eq!(parse("inport == \"a\"").negated().normalize(), Err(NormalizeError::OtherPort));
}

/// northd writes the addresses of a port group's ports as two sets, of which either may be empty.
#[test]
fn sets_of_a_port_group_are_address_sets() {
    let mut names = names();
    names.add_port_group(PortGroup::new("7_web", ["a", "b"]));
    names.add_address_set(AddressSet::new("web_ip4", ["10.3.0.1", "10.3.0.2"]));
    names.add_address_set(AddressSet::new("web_ip6", ["fd00::3:1"]));
    names.add_address_set(AddressSet::new("old_ip6", []));
    let holds = |text: &str, flow: &str| {
        let flow = parse_microflow(flow, &names).unwrap();
        let expr = Expr::parse(text, &names).unwrap().annotate();
        let result = expr.eval(&flow, &names);
        assert_eq!(expr.normalize().unwrap().eval(&flow, &names), result, "{text}");
        result
    };
    let acl4 = "outport == @web && ip4 && ip4.src == $web_ip4";
    assert!(holds(acl4, "outport == \"a\" && ip4.src == 10.3.0.2"));
    assert!(!holds(acl4, "outport == \"a\" && ip4.src == 10.3.0.3"));
    assert!(!holds(acl4, "ip4.src == 10.3.0.2"));
    assert!(!holds(acl4, "outport == \"a\" && ip6.src == fd00::3:1"));
    let acl6 = "outport == @web && ip6 && ip6.src == $web_ip6";
    assert!(holds(acl6, "outport == \"b\" && ip6.src == fd00::3:1"));
    assert!(!holds(acl6, "outport == \"b\" && ip6.src == fd00::3:2"));
    assert!(!holds("ip6.src == $old_ip6", "ip6.src == fd00::3:1"));
    assert!(holds("ip6.src != $old_ip6", "ip6.src == fd00::3:1"));
    // A set of the other family does not fit.
    assert!(Expr::parse("ip4.src == $web_ip6", &names).is_err());
    assert!(Expr::parse("ip4.src == $other_ip4", &names).is_err());
}

/// A port may come and go after the normal form was made: the form keeps its name.
#[test]
fn the_normal_form_keeps_ports_without_a_key() {
    let normal = parse("inport == {\"a\", \"nobody\"}").annotate().normalize().unwrap();
    let mut flow = Microflow::default();
    let inport = FieldRef::whole(lookup("inport").unwrap());
    for (port, before, after) in [(0, false, false), (1, true, true), (77, false, true)] {
        flow.set(&inport, port);
        assert_eq!(normal.eval(&flow, &names()), before);
        let mut later = names();
        later.add_port("nobody", 77);
        assert_eq!(normal.eval(&flow, &later), after);
    }
}

#[test]
fn residency_is_asked_of_the_names() {
    let mut names = names();
    names.add_resident("here");
    let holds =
        |text: &str| Expr::parse(text, &names).unwrap().annotate().eval(&Microflow::default(), &names);
    assert!(holds("is_chassis_resident(\"here\")"));
    assert!(!holds("is_chassis_resident(\"there\")"));
    assert!(holds("!is_chassis_resident(\"there\")"));
}

#[test]
fn lists_the_ports_that_inport_may_be() {
    let expr = parse("ip && (inport == {\"a\", \"b\"} || (inport == \"c\" && outport == \"d\"))");
    assert_eq!(expr.inports().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}
