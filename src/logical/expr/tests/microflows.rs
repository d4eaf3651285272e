use rstest::rstest;

use crate::logical::expr::microflow::{example, parse_microflow};
use crate::logical::names::FixedNames;
use crate::logical::symbol::{Kind, symbols};
use crate::packet::Field;

fn names() -> FixedNames {
    let mut names = FixedNames::new();
    names.add_port("vm1", 3);
    names
}

#[rstest]
#[case("1", &[])]
#[case("inport == \"vm1\"", &[(Field::Reg14, 3)])]
#[case("icmp4.type == 8", &[(Field::EthType, 0x800), (Field::NwProto, 1), (Field::IcmpType, 8)])]
#[case("eth.src == 02:00:00:00:00:01 && vlan.present", &[(Field::EthSrc, 0x0200_0000_0001), (Field::VlanTci, 0x1000)])]
#[case("vlan.vid == 7", &[(Field::VlanTci, 0x1007)])]
#[case("ip6 && tcp.dst == 80", &[(Field::EthType, 0x86dd), (Field::NwProto, 6), (Field::TcpDst, 80)])]
#[case("ip4 && tcp.src > 79 && tcp.src < 82", &[(Field::EthType, 0x800), (Field::NwProto, 6), (Field::TcpSrc, 80)])]
#[case("ip4.src == 10.0.0.0/8", &[(Field::EthType, 0x800), (Field::NwSrc, 0x0a00_0000)])]
#[case("arp.op == 1 && arp.tpa == 10.0.0.2", &[(Field::EthType, 0x806), (Field::ArpOp, 1), (Field::ArpTpa, 0x0a00_0002)])]
#[case("nd_ns && nd.target == fd00::1", &[
    (Field::EthType, 0x86dd), (Field::NwProto, 58), (Field::NwTtl, 255), (Field::Icmpv6Type, 135), (Field::NdTarget, 0xfd00 << 112 | 1),
])]
#[case("ct.new && !ct.rpl", &[(Field::CtState, 0x21)])]
#[case("!reg0 && reg1 == {5}", &[(Field::Reg1, 5)])]
#[case("(ip4 || ip6) && ip4.dst == 1.2.3.4", &[(Field::EthType, 0x800), (Field::NwDst, 0x0102_0304)])]
#[case("is_chassis_resident(\"other\") && ip4", &[(Field::EthType, 0x800)])]
fn sets_what_it_names_and_what_that_implies(#[case] text: &str, #[case] fields: &[(Field, u128)]) {
    let flow = parse_microflow(text, &names()).unwrap_or_else(|error| panic!("{}", error.render(text)));
    let mut wanted = crate::packet::FlowKey::default();
    for (field, value) in fields {
        wanted.set(*field, *value);
    }
    assert_eq!(flow.key, wanted);
}

#[rstest]
#[case("ip4 && ip6", "contradicts itself")]
#[case("0", "contradicts itself")]
#[case("reg0 == 1 && reg0[0] == 0", "contradicts itself")]
#[case("tcp.src == 80", "leaves open what eth.type is")]
#[case("ip", "leaves open what eth.type is; say more, as in ip4 (it means")]
#[case("ip4 && ip.proto == {6, 17}", "leaves open what ip.proto is; say more, as in tcp (it means")]
#[case(
    "ip4.src == {10.0.0.1, 10.0.0.2}",
    "leaves open what ip4.src is; say more, as in ip4.src == 10.0.0.1 (it means"
)]
#[case("ip4 && tcp.src > 1024", "leaves open what tcp.src is")]
#[case("ip4 && tcp.src == {80, 443}", "leaves open what tcp.src is")]
#[case("ip4 || arp", "leaves open what eth.type is")]
#[case("reg0 == 1 || reg1 == 1", "leaves open what xxreg0 is")]
#[case(
    "inport == {\"vm1\", \"vm2\"}",
    "leaves open what inport is; say more, as in inport == \"…\" (it means"
)]
#[case("inport == \"vm2\"", "there is no port \"vm2\" here")]
#[case("ip4 &&", "the text ends here")]
fn refuses_what_describes_no_packet_or_several(#[case] text: &str, #[case] sentence: &str) {
    let error = parse_microflow(text, &names()).unwrap_err();
    assert!(error.sentence.contains(sentence), "{error}");
    error.render(text);
}

#[test]
fn examples_settle_the_field_that_is_asked() {
    let mut names = names();
    names.add_port("…", 4);
    for symbol in symbols() {
        let (root, _) = symbol.root();
        if root == symbol && matches!(symbol.kind, Kind::Field { .. } | Kind::Str(_)) {
            let example = example(symbol);
            match parse_microflow(&example, &names) {
                Ok(_) => {}
                // Then it is the protocol or the kind of message that is asked next.
                Err(error) => assert!(
                    !error.sentence.contains(&format!("what {} is", symbol.name))
                        && error.sentence.contains("leaves open"),
                    "{example}: {error}"
                ),
            }
        }
    }
}
