//! `[underlay]`, `[[chassis]]`, `bridge_mappings` and the tunnel port.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// A file with two ports, an underlay on the first whose table ends with `line`, and `rest`.
fn with_underlay(line: &str, rest: &str) -> String {
    format!(
        "[[port]]\nname = \"uplink\"\ntype = \"memory\"\n\
         [[port]]\nname = \"vm1\"\ntype = \"memory\"\niface_id = \"lp1\"\n\
         [underlay]\nport = \"uplink\"\naddresses = [\"192.168.50.11/24\", \"fd00:50::11/64\"]\n{line}\n{rest}\n"
    )
}

#[rstest]
#[case("gateway = \"192.168.50.1\"\ngateway6 = \"fd00:50::1\"\nroutes = [\"10.0.0.0/8 via 192.168.50.2\"]")]
#[case("gateway6 = \"fe80::1\"")]
#[case("mtu = 1280")]
#[case("vlan = 4094")]
#[case("bfd = true")]
fn accepts_a_key_of_the_underlay(#[case] line: &str) {
    read(&with_underlay(line, "")).unwrap();
}

#[rstest]
#[case(
    "mac = \"01:00:00:00:00:01\"",
    "mac: \"01:00:00:00:00:01\" is not an address that a port can have; write one with an even first byte that is \
     not all zero"
)]
#[case(
    "gateway = \"fd00:50::1\"",
    "gateway: \"fd00:50::1\" is not an IPv4 address; write that of the router, such as 192.168.50.1"
)]
#[case(
    "gateway = \"192.168.51.1\"",
    "gateway: there is no way to the next hop 192.168.51.1; write one that lies in the prefix of one of `addresses`"
)]
#[case(
    "gateway = \"192.168.50.255\"",
    "gateway: there is no way to the next hop 192.168.50.255; write one that lies in the prefix of one of \
     `addresses`"
)]
#[case(
    "gateway = \"192.168.50.11\"",
    "gateway: \"192.168.50.11\" is not another host's address but this one's own; write that of a router"
)]
#[case(
    "gateway6 = \"192.168.50.1\"",
    "gateway6: \"192.168.50.1\" is not an IPv6 address; write that of the router, such as fd00:50::1"
)]
#[case(
    "mtu = 9223372036854775808",
    "mtu: must be a whole number of at most 63 bits, not the number 9223372036854775808"
)]
#[case(
    "gateway6 = \"fec0::1\"",
    "gateway6: there is no way to the next hop fec0::1; write one that lies in the prefix of one of `addresses`"
)]
#[case(
    "routes = [\"10.0.0.0/8\"]",
    "routes[0]: \"10.0.0.0/8\" is not a route; write it as PREFIX via NEXT-HOP, both of one family, such as \
     10.0.0.0/8 via 192.168.50.254"
)]
#[case(
    "routes = [\"10.0.0.0/8 via fd00:50::1\"]",
    "routes[0]: \"10.0.0.0/8 via fd00:50::1\" is not a route; write it as PREFIX via NEXT-HOP, both of one family, \
     such as 10.0.0.0/8 via 192.168.50.254"
)]
#[case(
    "routes = [\"10.1.2.3/8 via 192.168.50.1\"]",
    "routes[0]: \"10.1.2.3/8\" is not a prefix, for bits behind its length are set; write 10.0.0.0/8"
)]
#[case(
    "routes = [\"10.0.0.0/8 via 192.168.50.1\", \"10.0.0.0/8 via 192.168.50.2\"]",
    "routes[1]: the route to 10.0.0.0/8 is given twice; a prefix has one next hop (a gateway is a route to all \
     addresses); remove one"
)]
#[case(
    "gateway = \"192.168.50.1\"\nroutes = [\"0.0.0.0/0 via 192.168.50.2\"]",
    "routes[0]: the route to 0.0.0.0/0 is given twice; a prefix has one next hop (a gateway is a route to all \
     addresses); remove one"
)]
#[case(
    "routes = [\"10.0.0.0/8 via 10.0.0.1\"]",
    "routes[0]: there is no way to the next hop 10.0.0.1; write one that lies in the prefix of one of `addresses`"
)]
#[case("vlan = 4095", "vlan: 4095 is out of range; write a number from 0 to 4094")]
#[case("mtu = 1279", "mtu: 1279 is out of range; write a number from 1280 to 9702")]
#[case(
    "mtu = 1501",
    "mtu: 1501 is more than `mtu of its port`, which is 1500; write at most as many or raise `mtu of its port`"
)]
#[case(
    "bfd_min_rx = \"49ms\"",
    "bfd_min_rx: \"49ms\" is not a time between packets; write a number with ms or s behind it, from 50ms to 60s"
)]
#[case(
    "bfd_min_tx = \"61s\"",
    "bfd_min_tx: \"61s\" is not a time between packets; write a number with ms or s behind it, from 50ms to 60s"
)]
#[case("bfd_mult = 0", "bfd_mult: 0 is out of range; write a number from 1 to 255")]
#[case("gatway = \"1.2.3.4\"", "gatway: there is no key `gatway`; did you mean `gateway`?")]
fn refuses_a_key_of_the_underlay(#[case] line: &str, #[case] sentence: &str) {
    let refused = read(&with_underlay(line, "")).unwrap_err();
    let (_, told) = refused.split_once(": underlay.").unwrap_or_default();
    assert_eq!(told, sentence, "{refused}");
}

#[rstest]
#[case("", "[\"1.2.3.4/8\"]", "[underlay] needs `port`; add it, such as port = \"uplink\"")]
#[case("\"p\"", "", "[underlay] needs `addresses`; add it, such as addresses = [\"192.168.50.11/24\"]")]
#[case(
    "\"q\"",
    "[\"1.2.3.4/8\"]",
    "port: there is no port \"q\"; name one that a [[port]] of this file makes"
)]
#[case(
    "\"t\"",
    "[\"1.2.3.4/8\"]",
    "port: there is no wire behind port \"t\", which is where tunnels end; name the port that leads to the other hosts"
)]
#[case(
    "\"p\"",
    "[]",
    "addresses: a list of 0 addresses is out of range; name 1 to 8, the first being that of the tunnels"
)]
#[case(
    "\"p\"",
    "[\"1.2.3.4/8\", \"1.2.3.4/9\"]",
    "addresses[1]: the address 1.2.3.4 is given twice; name every address once"
)]
fn refuses_an_underlay(#[case] port: &str, #[case] addresses: &str, #[case] sentence: &str) {
    let key =
        |name, value: &str| if value.is_empty() { String::new() } else { format!("{name} = {value}\n") };
    let text = format!(
        "[[port]]\nname = \"p\"\ntype = \"memory\"\n[[port]]\nname = \"t\"\ntype = \"geneve\"\n[underlay]\n{}{}",
        key("port", port),
        key("addresses", addresses),
    );
    let refused = read(&text).unwrap_err();
    assert!(refused.ends_with(sentence), "{refused}");
    assert!(refused.contains(": underlay"), "{refused}");
}

#[rstest]
#[case("192.168.50.11/24", true)]
#[case("192.168.50.0/24", false)]
#[case("192.168.50.255/24", false)]
#[case("192.168.50.0/31", true)]
#[case("192.168.50.255/32", true)]
#[case("192.168.50.11", false)]
#[case("192.168.50.11/33", false)]
#[case("192.168.50.11/+4", false)]
#[case("192.168.50.11/0", false)]
#[case("127.0.0.1/8", false)]
#[case("224.0.0.1/8", false)]
#[case("0.0.0.0/8", false)]
#[case("0.1.2.3/8", false)]
#[case("fe80::1/64", true)]
#[case("fd00::/128", true)]
#[case("fd00::1/129", false)]
#[case("ff02::1/64", false)]
#[case("::1/64", false)]
#[case("::ffff:1.2.3.4/100", false)]
fn an_endpoint_has_an_address_of_a_host(#[case] address: &str, #[case] is_good: bool) {
    let text = format!(
        "[[port]]\nname = \"p\"\ntype = \"memory\"\n[underlay]\nport = \"p\"\naddresses = [\"{address}\"]\n"
    );
    let wanted = format!(
        "m.toml:6:14: underlay.addresses[0]: \"{address}\" is not an address that a host can have, with its prefix; \
         write it such as 192.168.50.11/24"
    );
    assert_eq!(read(&text).map(|_| ()), if is_good { Ok(()) } else { Err(wanted) });
}

#[test]
fn an_underlay_brings_its_defaults_and_the_tunnel_port() {
    let config = read(&with_underlay("", "")).unwrap();
    let underlay = config.underlay.unwrap();
    assert_eq!((underlay.mtu, underlay.vlan, underlay.checksum, underlay.bfd), (1500, None, true, None));
    assert_eq!(config.ovn.encap_ip.to_string(), "192.168.50.11");
    assert_eq!(config.ports.last(), Some(&PortSpec::tunnel("geneve")));

    let named = read(&with_underlay("", "[[port]]\nname = \"tun0\"\ntype = \"geneve\"")).unwrap();
    let tunnels = named.ports.iter().filter(|port| port.kind == PortKind::Geneve).collect::<Vec<_>>();
    assert_eq!(tunnels, [&PortSpec::tunnel("tun0")]);
    assert!(tunnels[0].no_flood);
}

#[rstest]
#[case("[ovn]\nencap_ip = \"fd00:50::11\"", None)]
#[case(
    "[ovn]\nencap_ip = \"192.168.50.12\"",
    Some(
        "ovn.encap_ip: there is no address 192.168.50.12 of the underlay; write one of `underlay.addresses`, or leave it out for the first"
    )
)]
#[case("[ovn]\nbridge_mappings = [\"physnet1:vm1\", \"physnet2:uplink\"]", None)]
#[case(
    "[ovn]\nbridge_mappings = [\"physnet1:vm1\", \"physnet2:vm1\"]",
    Some(
        "ovn.bridge_mappings[1]: the port vm1 is given twice; a port leads to one network, which has its VLANs by the tags of its localnet ports; name another port, or give all of them one network"
    )
)]
#[case(
    "[ovn]\nbridge_mappings = [\"physnet1\"]",
    Some(
        "ovn.bridge_mappings[0]: \"physnet1\" is not a mapping; write it as NETWORK:PORT, such as physnet1:eth1"
    )
)]
#[case(
    "[ovn]\nbridge_mappings = [\"physnet1:eth1\"]",
    Some("ovn.bridge_mappings[0]: there is no port \"eth1\"; name one that a [[port]] of this file makes")
)]
#[case(
    "[ovn]\nbridge_mappings = [\"n:vm1\", \"n:uplink\"]",
    Some("ovn.bridge_mappings[1]: the network n is given twice; a network is behind one port; name another")
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.12\"\n[[chassis]]\nname = \"hv3\"\nencap_ip = \"fd00:50::3\"",
    None
)]
#[case("[chassis]", Some("chassis: must be a list of tables, each under [[chassis]], not a table"))]
#[case(
    "[[chassis]]\nencap_ip = \"192.168.50.12\"",
    Some("chassis[0]: a chassis needs `name`; add it, such as name = \"worker2\"")
)]
#[case(
    "[[chassis]]\nname = \"hv2\"",
    Some("chassis[0]: chassis \"hv2\" needs `encap_ip`; add it, such as encap_ip = \"192.168.50.12\"")
)]
#[case(
    "[[chassis]]\nname = \"h v\"\nencap_ip = \"192.168.50.12\"",
    Some(
        "chassis[0].name: \"h v\" is not the name of a chassis; write it as `ovn-sbctl show` prints it, without blanks and commas"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"127.0.0.1\"",
    Some(
        "chassis[0].encap_ip: \"127.0.0.1\" is not the address of another host; write that by which this host reaches it, such as 192.168.50.12"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"10.1.1.1\"",
    Some(
        "chassis[0].encap_ip: there is no route to 10.1.1.1; give [underlay] a gateway or one of `routes` that leads there"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.255\"",
    Some(
        "chassis[0].encap_ip: \"192.168.50.255\" is not the address of another host; write that by which this host reaches it, such as 192.168.50.12"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.0\"",
    Some(
        "chassis[0].encap_ip: \"192.168.50.0\" is not the address of another host; write that by which this host reaches it, such as 192.168.50.12"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.11\"",
    Some(
        "chassis[0].encap_ip: the address 192.168.50.11 is given twice; every chassis has an address of its own; write that of this one"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.12\"\n[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.13\"",
    Some("chassis[1].name: the chassis \"hv2\" is given twice; name every chassis once, with all its ports")
)]
#[case(
    "[ovn]\nsystem_id = \"hv1\"\n[[chassis]]\nname = \"hv1\"\nencap_ip = \"192.168.50.12\"",
    Some(
        "chassis[0].name: the chassis \"hv1\" is given twice; it is `ovn.system_id`, this host; name the others only"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.12\"\nports = [\"a\", \"a\"]",
    Some("chassis[0].ports[1]: the logical port a is given twice; name every port once")
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.12\"\nports = [\"\"]",
    Some(
        "chassis[0].ports[0]: \"\" is not the name of a logical port; write it as `ovn-nbctl lsp-list` does, such as vm1"
    )
)]
#[case(
    "[[chassis]]\nname = \"hv2\"\nencap_ip = \"192.168.50.12\"\nports = [\"lp1\"]",
    Some(
        "chassis[0].ports[0]: the logical port lp1 is given twice; a logical port is in one place, a chassis or a [[port]] with that iface_id; remove one"
    )
)]
#[case(
    "[[port]]\nname = \"geneve\"\ntype = \"memory\"",
    Some(
        "port[2].name: the port name \"geneve\", which that of the tunnels has, is given twice; choose another, or add a port with type = \"geneve\" and a name of your own"
    )
)]
#[case(
    "[[port]]\nname = \"g\"\ntype = \"geneve\"\n[[port]]\nname = \"h\"\ntype = \"geneve\"",
    Some("port[3].type: a port of type geneve is given twice; one carries all tunnels; remove the other")
)]
#[case(
    "[[port]]\nname = \"g\"\ntype = \"geneve\"\nmtu = 1400",
    Some(
        "port[2].mtu: `mtu` does not belong to a port of type geneve, which takes `number` and `no_flood` only; remove it"
    )
)]
#[case(
    "[[port]]\nname = \"g\"\ntype = \"geneve\"\niface = \"eth0\"",
    Some(
        "port[2].iface: `iface` does not belong to a port of type geneve, which takes no keys of its own; remove it"
    )
)]
fn what_goes_with_an_underlay(#[case] rest: &str, #[case] sentence: Option<&str>) {
    match (read(&with_underlay("", rest)), sentence) {
        (Ok(_), None) => {}
        (Err(refused), Some(sentence)) => assert!(refused.ends_with(&format!(" {sentence}")), "{refused}"),
        (read, _) => panic!("{read:?}"),
    }
}

#[test]
fn a_port_that_is_too_small_for_an_underlay_is_what_is_named() {
    let text = |mtu: u16, address: &str| {
        format!(
            "[[port]]\nname = \"p\"\ntype = \"memory\"\nmtu = {mtu}\n[underlay]\nport = \"p\"\naddresses = [\"{address}\"]\n"
        )
    };
    for (mtu, address, least) in
        [(68, "1.2.3.4/24", 576), (575, "1.2.3.4/24", 576), (1279, "fd00::1/64", 1280)]
    {
        assert_eq!(
            read(&text(mtu, address)).unwrap_err(),
            format!(
                "m.toml:6:8: underlay.port: there is no room for an underlay in port \"p\", whose `mtu` is {mtu}; give \
                 that port one of at least {least}"
            )
        );
        read(&text(least, address)).unwrap();
    }
}

#[test]
fn a_second_tunnel_port_is_refused_while_the_switch_runs_too() {
    let tunnels = PortSpec::from_pairs("g", [("type", "geneve")]).unwrap();
    assert_eq!(tunnels, PortSpec::tunnel("g"));
    let first = [PortSpec::tunnel("geneve")];
    assert_eq!(
        conflict::conflict(&tunnels, first.iter()).unwrap(),
        "the end of all tunnels belongs to port \"geneve\" already; remove that port with `millrace port del geneve` \
         first"
    );
    let refused = PortSpec::from_pairs("g", [("type", "geneve"), ("n_rxq", "2")]).unwrap_err().to_string();
    assert_eq!(
        refused,
        "n_rxq: `n_rxq` does not belong to a port of type geneve, which takes `number` and `no_flood` only; remove it"
    );
}

#[rstest]
#[case("192.168.50.11/24", 1338, None)]
#[case("192.168.50.11/24", 1337, Some((1279, 1338)))]
#[case("fd00:50::11/64", 1358, None)]
#[case("fd00:50::11/64", 1280, Some((1202, 1358)))]
fn an_underlay_with_too_little_for_ipv6_is_a_caution(
    #[case] address: &str,
    #[case] mtu: u16,
    #[case] told: Option<(u16, u16)>,
) {
    let text = format!(
        "[[port]]\nname = \"p\"\ntype = \"memory\"\n[underlay]\nport = \"p\"\naddresses = [\"{address}\"]\nmtu = {mtu}\n"
    );
    let wanted = told.map(|(left, wanted)| {
        format!(
            "packets of guests have {left} bytes at most in tunnels, and IPv6 needs 1280; raise `underlay.mtu` to {wanted} \
             or more, unless guests have IPv4 only"
        )
    });
    assert_eq!(read(&text).unwrap().underlay.unwrap().caution(), wanted);
}

/// Bit by bit.
fn holds_naively(prefix: Prefix, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| -> Vec<u8> {
        let bytes = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect()
    };
    let (one, other) = (bits(prefix.ip), bits(ip));
    one.len() == other.len() && one[..prefix.len.into()] == other[..prefix.len.into()]
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u32..4, any::<u32>()).prop_map(|(high, low)| IpAddr::from((high << 30 | low >> 2).to_be_bytes())),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ]
}

proptest! {
    #[test]
    fn a_prefix_holds_what_shares_its_bits(ip in any_ip(), len in 0u8..=128, flipped in 0u32..128) {
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = Prefix { ip, len: len.min(width) };
        let other: IpAddr = match ip {
            IpAddr::V4(ip) => IpAddr::from((u32::from(ip) ^ (1 << (flipped % 32))).to_be_bytes()),
            IpAddr::V6(ip) => IpAddr::from((u128::from(ip) ^ (1 << flipped)).to_be_bytes()),
        };
        prop_assert_eq!(prefix.holds(other), holds_naively(prefix, other));
        prop_assert!(prefix.holds(ip) && prefix.holds(prefix.network().ip));
        prop_assert_eq!(prefix.network().network(), prefix.network());
        prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
    }
}
