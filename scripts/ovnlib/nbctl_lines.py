"""Random command lines for ovn-nbctl: some that make sense, many that almost do."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from random import Random

# What every database begins with, so that there is something to be named.
BASE = (
    "ls-add s0 -- ls-add s1 -- lr-add r0 -- lr-add r1",
    "lsp-add s0 p0 -- lsp-add s0 p1 -- lsp-add s1 p2 -- lsp-add s1 p3 p2 7",
    "lrp-add r0 a0 00:00:00:00:01:00 10.0.0.254/24 fd00::fe/64 -- lrp-add r1 a1 00:00:00:00:01:01 172.16.0.1/16 peer=a2",
    "lsp-add s0 s0-a0 -- lsp-set-type s0-a0 router -- lsp-set-addresses s0-a0 router -- lsp-set-options s0-a0 router-port=a0",
    "pg-add g0 p0 -- meter-add m0 drop 10 pktps -- mirror-add e0 gre 1 to-lport 192.0.2.1 -- ha-chassis-group-add h0",
    "create Address_Set name=t0 addresses=10.0.0.1 -- dhcp-options-create 10.0.0.0/24",
    "lb-add l0 10.0.0.10:80 10.0.0.1:80 -- lsp-set-addresses p0 '00:00:00:00:00:10 10.0.0.1 fd00::1' unknown",
)

Slot = Callable[[Random], str]

NAMES = {
    "switch": ["s0", "s1", "s2"],
    "port": ["p0", "p1", "p2", "p3", "p4", "s0-a0"],
    "router": ["r0", "r1", "r2"],
    "router_port": ["a0", "a1", "a2"],
    "group": ["g0", "g1", "s0"],
    "balancer": ["l0", "l1"],
    "meter": ["m0", "m1", "__m"],
    "mirror": ["e0", "e1"],
    "chassis_group": ["h0", "h1"],
    "chassis": ["gw1", "gw2", "gw"],
    "copp": ["c0", "c1"],
    "forwarding": ["f0", "f1"],
    "set": ["t0", "t1"],
}
TABLES = {
    "switch": "Logical_Switch",
    "port": "Logical_Switch_Port",
    "router": "Logical_Router",
    "router_port": "Logical_Router_Port",
    "group": "Port_Group",
    "balancer": "Load_Balancer",
    "meter": "Meter",
    "mirror": "Mirror",
    "chassis_group": "HA_Chassis_Group",
    "copp": "Copp",
    "forwarding": "Forwarding_Group",
    "set": "Address_Set",
}
ODD = [
    "", " ", "-", "--", "---", "@x", "x" * 300, "a b", "a,b", '"', '"a', "'", "\\", "a=b", "=", "ü", "\x01", "\x1b[0m", "\t", "[]", "{}", "[", "}",
    "0", "-1", "1", "65536", "4294967296", "9223372036854775808", "18446744073709551616", "1.5", "1e3", "0x10", "010", "+5", " 5", "5 ", "true", "null",
    "11111111-2222-3333-4444-555555555555", "1111", "abcdef", "%s", "%n", "*", "$t0", "@g0", "--may-exist", "-x", "ls-add",
]  # fmt: skip
V4 = [
    "10.0.0.1", "10.0.0.2", "10.0.0.254", "10.0.1.1", "172.16.0.9", "192.0.2.1", "0.0.0.0", "255.255.255.255", "224.0.0.1",
    "10.0.0.1/24", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.1/32", "10.0.0.1/33", "10.0.0.1/255.255.255.0", "10.0.0.1/255.0.255.0",
    "10.0.0.300", "10.0.0", "10.0.0.1.1", "10.0.0.1/", "10.0.0.1x", "010.0.0.1", " 10.0.0.1", "10.0.0.1 ", "10.0.0.-1", "10.0.0.1/-1", "1", "256.1.1.1",
]  # fmt: skip
V6 = [
    "fd00::1", "fd00::2", "FD00::1", "fd00:0:0::1", "fe80::1", "::", "::1", "ff02::1", "fd00::1/64", "fd00::/64", "::/0", "fd00::1/128", "fd00::1/129",
    "fd00::1/ffff::", "fd00::1/", "fd00:::1", "::ffff:10.0.0.1", "fd00::10.0.0.1", "fd00::1%lo", "[fd00::1]", "1:2:3:4:5:6:7:8:9", "fd00::g", " fd00::1",
]  # fmt: skip
MACS = [
    "00:00:00:00:00:01", "00:00:00:00:00:02", "aa:BB:cc:DD:ee:ff", "ff:ff:ff:ff:ff:ff", "0:0:0:0:0:1", "00:00:00:00:00", "00:00:00:00:00:00:01", "00-00-00-00-00-01",
    "00:00:00:00:00:0g", "00:00:00:00:00:100", "0x1:2:3:4:5:6", " 1:2:3:4:5:6", "01:00:00:00:00:01", "000000000001",
]  # fmt: skip
MATCHES = ["ip", "ip4", "ip4.src == 10.0.0.1", "1", "0", "tcp && tcp.dst == {80, 443}", "ip4.src ==", "nonsense", "(ip4", "ip4.src == $t0 && inport == @g0", "inport == \"p0\""]
COLUMNS = {
    "Logical_Switch": ["name", "ports", "acls", "qos_rules", "load_balancer", "other_config", "external_ids", "dns_records", "copp", "forwarding_groups"],
    "Logical_Switch_Port": ["name", "type", "options", "addresses", "port_security", "up", "enabled", "tag", "tag_request", "parent_name", "ha_chassis_group", "external_ids", "dhcpv4_options", "mirror_rules"],
    "Logical_Router": ["name", "ports", "static_routes", "policies", "enabled", "nat", "load_balancer", "options", "external_ids"],
    "Logical_Router_Port": ["name", "mac", "networks", "enabled", "peer", "options", "gateway_chassis", "ha_chassis_group", "ipv6_ra_configs", "external_ids"],
    "ACL": ["name", "priority", "direction", "match", "action", "log", "severity", "meter", "label", "options"],
    "QoS": ["priority", "direction", "match", "action", "bandwidth"],
    "Port_Group": ["name", "ports", "acls"],
    "Address_Set": ["name", "addresses"],
    "Load_Balancer": ["name", "vips", "protocol", "options", "health_check", "selection_fields"],
    "DHCP_Options": ["cidr", "options", "external_ids"],
    "DNS": ["records", "options", "external_ids"],
    "Meter": ["name", "unit", "bands", "fair"],
    "Meter_Band": ["action", "rate", "burst_size"],
    "Logical_Router_Static_Route": ["ip_prefix", "nexthop", "output_port", "policy", "route_table", "options", "bfd"],
    "Logical_Router_Policy": ["priority", "match", "action", "nexthop", "nexthops", "options"],
    "NAT": ["type", "external_ip", "logical_ip", "external_mac", "logical_port", "options"],
    "NB_Global": ["name", "options", "ipsec", "external_ids"],
    "Static_MAC_Binding": ["logical_port", "ip", "mac", "override_dynamic_mac"],
    "Mirror": ["name", "type", "sink", "filter", "index"],
    "BFD": ["logical_port", "dst_ip", "min_tx", "min_rx", "detect_mult", "status"],
    "Gateway_Chassis": ["name", "chassis_name", "priority"],
    "HA_Chassis_Group": ["name", "ha_chassis"],
    "HA_Chassis": ["chassis_name", "priority"],
    "Copp": ["name", "meters"],
    "Forwarding_Group": ["name", "vip", "vmac", "liveness", "child_port"],
    "Chassis_Template_Var": ["chassis", "variables"],
    "Load_Balancer_Group": ["name", "load_balancer"],
    "Load_Balancer_Health_Check": ["vip", "options"],
}  # fmt: skip
VALUES = [
    "x", "\"a b\"", "[]", "[a,b]", "a,b", "{}", "k=v", "{k=v}", "k=v,l=w", "true", "false", "0", "1", "7", "100", "32768", "-1", "router", "localnet",
    "to-lport", "from-lport", "allow", "drop", "reroute", "snat", "udp", "src-ip", "10.0.0.1", "\"fd00::1\"", "\"00:00:00:00:00:01\"", "\"00:00:00:00:00:01 10.0.0.9\"",
    "@x", "{Logical_Switch_Port name p1}", "{Meter name m0}", "10.0.0.1,10.0.0.2", "10.0.0.1-10.0.0.3", "[", "\"x", "a=b=c", ",", "a,,b", "a b", "1-3", "[1-3,9]", "1.5", "0x1",
    "\"10.0.0.10:80\"=\"10.0.0.1:80\"", "rate=10", "dscp=64", "dscp=10", "kbps", "gre",
]  # fmt: skip


def one_of(*words: str) -> Slot:
    return lambda rng: rng.choice(words)


def name(kind: str) -> Slot:
    def slot(rng: Random) -> str:
        roll = rng.random()
        if roll < 0.86:
            return rng.choice(NAMES[kind])
        if roll < 0.92 and kind in TABLES:
            return "{" + f"{TABLES[kind]} name {rng.choice(NAMES[kind])}" + "}"
        if roll < 0.96:
            return rng.choice(NAMES[rng.choice(list(NAMES))])
        return rng.choice(ODD)

    return slot


def likely(words: list[str], good: int) -> Slot:
    """One of the first few, mostly."""
    return lambda rng: rng.choice(words[:good]) if rng.random() < 0.75 else rng.choice(words)


def number(*usual: int) -> Slot:
    others = ["-1", "0", "32767", "32768", "65535", "65536", "4294967295", "4294967296", "x", "", "1x", " 1", "1.5", "0x1", "01"]
    return lambda rng: str(rng.choice(usual)) if rng.random() < 0.75 else rng.choice(others)


def pair(*keys: str) -> Slot:
    return lambda rng: rng.choice([f"{rng.choice(keys)}={rng.choice(['1', 'true', 'x', '', 'a0', 'a=b', '10'])}", rng.choice(VALUES)] + ["k=v", "k=w"])


def joined(separator: str, slot: Slot, most: int) -> Slot:
    return lambda rng: separator.join(slot(rng) for _ in range(rng.randint(1, most)))


SWITCH, PORT, ROUTER, ROUTER_PORT = name("switch"), name("port"), name("router"), name("router_port")
IP4, IP6, MAC = likely(V4, 6), likely(V6, 5), likely(MACS, 3)
NETWORK4 = one_of("10.0.0.0/24", "10.0.0.1/24", "10.1.0.0/16", "0.0.0.0/0", "10.0.0.1")


def ip(rng: Random) -> str:
    return (IP4 if rng.random() < 0.65 else IP6)(rng)


def network(rng: Random) -> str:
    return rng.choice([NETWORK4, ip])(rng)


def endpoint(rng: Random) -> str:
    host = ip(rng)
    port = rng.choice(["80", "80", "443", "0", "65536", "", "x", "-1", "080"]) if rng.random() < 0.5 else "80"
    kind = rng.random()
    if kind < 0.25:
        return host
    if kind < 0.3:
        return rng.choice(["^vip", "^vip:^port", "^a:^b:^c", "^vip:80", "a:b:c", ":80", "10.0.0.1:80:80", "[fd00::1]", "[fd00::1]80", "[fd00::1:80", "[10.0.0.1]:80"])
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def addresses(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.15:
        return rng.choice(["unknown", "dynamic", "router", "Unknown", "dynamic 10.0.0.7", "dynamic fd00::7", "dynamicx", "dynamic x", "unknown 10.0.0.1"])
    if kind < 0.22:
        return MAC(rng) + rng.choice([" dynamic", " any", "  ", ",10.0.0.1", "10.0.0.1", " dynamic 10.0.0.1"])
    return " ".join([MAC(rng), *(ip(rng) for _ in range(rng.randint(0, 3)))])


DIRECTION = likely(["to-lport", "from-lport", "t", "f", "to-lportx", "x", "", "T"], 2)
PRIORITY = number(1, 2, 1000)
MATCH = likely(MATCHES, 4)
PROTOCOL = one_of("tcp", "udp", "sctp", "icmp", "TCP", "")
ENABLED = likely(["enabled", "disabled", "Enabled", "enable", "", "true"], 2)
KIND = likely(["dnat", "snat", "dnat_and_snat", "nat", "", "SNAT"], 3)
RANGE = likely(["1000-2000", "80", "1-65535", "0", "1-65536", "2-1", "1-1", "1--2", "-1-2", "1-2-3", "x", "1-x", "", "1-", "80x"], 3)
REST = 99

# Options, name, arguments; a number among these makes those behind it optional, REST those behind it repeatable.
FORMS: list[tuple[list[str], str, list[Slot | int]]] = [
    (["--may-exist", "--add-duplicate"], "ls-add", [0, SWITCH]),
    (["--if-exists"], "ls-del", [SWITCH]),
    ([], "ls-list", []),
    (["--may-exist"], "lsp-add", [SWITCH, PORT, 0, PORT, number(1, 7, 4095, 4096)]),
    (["--if-exists"], "lsp-del", [PORT]),
    ([], "lsp-list", [SWITCH]),
    ([], "lsp-set-addresses", [PORT, REST, addresses]),
    ([], "lsp-set-addresses", [PORT, REST, addresses]),
    ([], "lsp-set-port-security", [PORT, REST, addresses]),
    ([], "lsp-set-enabled", [PORT, ENABLED]),
    ([], "lsp-set-type", [PORT, one_of("", "router", "localnet", "localport", "l2gateway", "vtep", "external", "virtual", "remote", "x", "Router")]),
    ([], "lsp-set-options", [PORT, REST, pair("router-port", "network_name", "requested-chassis", "requested-tnl-key")]),
    ([], "lsp-set-dhcpv4-options", [PORT, 0, one_of("{DHCP_Options cidr 10.0.0.0/24}", "x", "", "{DHCP_Options cidr fd00::/64}")]),
    ([], "lsp-set-dhcpv6-options", [PORT, 0, one_of("{DHCP_Options cidr 10.0.0.0/24}", "x", "", "{DHCP_Options cidr fd00::/64}")]),
    (["--may-exist"], "lsp-attach-mirror", [PORT, name("mirror")]),
    ([], "lsp-detach-mirror", [PORT, name("mirror")]),
    *(([], f"lsp-get-{what}", [PORT]) for what in (
        "parent", "tag", "addresses", "port-security", "up", "enabled", "type", "options", "dhcpv4-options", "dhcpv6-options", "ls",
    )),
    (["--log", "--may-exist", "--type=switch", "--type=port-group", "--type=x", "--name=n", "--severity=info", "--severity=x", "--meter=m0", "--label=7",
      "--label=-1", "--label=x", "--label=4294967296", "--apply-after-lb"], "acl-add",
     [name("group"), DIRECTION, PRIORITY, MATCH, likely(["allow", "allow-related", "allow-stateless", "drop", "reject", "pass", "", "Drop"], 5)]),
    (["--type=switch", "--type=port-group"], "acl-del", [name("group"), 0, DIRECTION, PRIORITY, MATCH]),
    (["--type=switch", "--type=port-group"], "acl-list", [name("group")]),
    (["--may-exist"], "qos-add", [SWITCH, DIRECTION, PRIORITY, MATCH, REST, likely(
        ["rate=10", "burst=5", "dscp=10", "dscp=63", "dscp=64", "dscp=-1", "rate=0", "rate=4294967296", "burst=x", "rate=", "mark=1", "rate", "=1"], 4)]),
    ([], "qos-del", [SWITCH, 0, likely(["to-lport", "from-lport", "{QoS match ip4}", "{QoS match ip}", "x", ""], 2), PRIORITY, MATCH]),
    ([], "qos-list", [SWITCH]),
    (["--may-exist"], "mirror-add", [name("mirror"), likely(["gre", "erspan", "g", "e", "x", ""], 2), number(0, 1, 5), DIRECTION, ip]),
    ([], "mirror-del", [0, name("mirror")]),
    ([], "mirror-list", []),
    (["--fair", "--may-exist"], "meter-add", [name("meter"), likely(["drop", "dscp", "x"], 1), number(1, 10), likely(["kbps", "pktps", "bps", ""], 2), 0, number(0, 5)]),
    ([], "meter-del", [0, name("meter")]),
    ([], "meter-list", []),
    (["--may-exist", "--add-duplicate"], "lr-add", [0, ROUTER]),
    (["--if-exists"], "lr-del", [ROUTER]),
    ([], "lr-list", []),
    (["--may-exist"], "lrp-add", [ROUTER, ROUTER_PORT, MAC, network, REST, lambda rng: rng.choice([network, network, pair("peer", "options:k", "name", "enabled", "networks")])(rng)]),
    (["--if-exists"], "lrp-del", [ROUTER_PORT]),
    ([], "lrp-list", [ROUTER]),
    ([], "lrp-set-enabled", [ROUTER_PORT, ENABLED]),
    ([], "lrp-get-enabled", [ROUTER_PORT]),
    ([], "lrp-set-options", [ROUTER_PORT, REST, pair("gateway_mtu", "route_table")]),
    (["--may-exist"], "lrp-set-gateway-chassis", [ROUTER_PORT, name("chassis"), 0, PRIORITY]),
    ([], "lrp-del-gateway-chassis", [ROUTER_PORT, name("chassis")]),
    ([], "lrp-get-gateway-chassis", [ROUTER_PORT]),
    ([], "lrp-set-redirect-type", [ROUTER_PORT, likely(["overlay", "bridged", "Bridged", "x", ""], 2)]),
    ([], "lrp-get-redirect-type", [ROUTER_PORT]),
    *[(["--may-exist", "--ecmp", "--ecmp-symmetric-reply", "--policy=src-ip", "--policy=dst-ip", "--policy=x", "--route-table=t", "--route-table=", "--bfd",
        "--bfd=x", "--bfd={BFD dst_ip 10.0.0.2}"], "lr-route-add",
       [ROUTER, network, lambda rng: rng.choice([ip, ip, ip, ROUTER_PORT, one_of("discard", "discar")])(rng), 0, ROUTER_PORT])] * 2,
    (["--if-exists", "--policy=src-ip", "--policy=dst-ip", "--route-table=t"], "lr-route-del",
     [ROUTER, 0, network, lambda rng: rng.choice([ip, ip, ROUTER_PORT, one_of("discard")])(rng), ROUTER_PORT]),
    (["--route-table=t", "--route-table="], "lr-route-list", [ROUTER]),
    (["--may-exist"], "lr-policy-add", [ROUTER, PRIORITY, MATCH, likely(["allow", "drop", "reroute", "x", ""], 3), 0, joined(",", ip, 3), REST, pair("pkt_mark")]),
    (["--if-exists"], "lr-policy-del", [ROUTER, 0, lambda rng: rng.choice([PRIORITY, one_of("{Logical_Router_Policy match ip4}")])(rng), MATCH]),
    ([], "lr-policy-list", [ROUTER]),
    *[(["--may-exist", "--stateless", "--portrange", "--add-route", "--gateway-port=a0", "--gateway-port=x"], "lr-nat-add",
       [ROUTER, KIND, ip, network, 0, lambda rng: rng.choice([PORT, RANGE])(rng), MAC, RANGE])] * 2,
    (["--if-exists"], "lr-nat-del", [ROUTER, 0, KIND, lambda rng: rng.choice([ip, ROUTER_PORT])(rng), ROUTER_PORT]),
    ([], "lr-nat-list", [ROUTER]),
    (["--is-exempted"], "lr-nat-update-ext-ip", [ROUTER, KIND, ip, name("set")]),
    *[(["--may-exist", "--add-duplicate", "--reject", "--event", "--add-route", "--template"], "lb-add",
       [name("balancer"), endpoint, joined(",", endpoint, 3), 0, PROTOCOL, one_of("ipv4", "ipv6", "x", "")])] * 2,
    (["--if-exists"], "lb-del", [name("balancer"), 0, endpoint]),
    ([], "lb-list", [0, name("balancer")]),
    (["--may-exist"], "lr-lb-add", [ROUTER, name("balancer")]),
    (["--if-exists"], "lr-lb-del", [ROUTER, 0, name("balancer")]),
    ([], "lr-lb-list", [ROUTER]),
    (["--may-exist"], "ls-lb-add", [SWITCH, name("balancer")]),
    (["--if-exists"], "ls-lb-del", [SWITCH, 0, name("balancer")]),
    ([], "ls-lb-list", [SWITCH]),
    ([], "dhcp-options-create", [network, REST, pair("name")]),
    ([], "dhcp-options-del", [one_of("{DHCP_Options cidr 10.0.0.0/24}", "x")]),
    ([], "dhcp-options-list", []),
    ([], "dhcp-options-set-options", [one_of("{DHCP_Options cidr 10.0.0.0/24}", "x"), REST, pair("lease_time", "router")]),
    ([], "dhcp-options-get-options", [one_of("{DHCP_Options cidr 10.0.0.0/24}", "x")]),
    ([], "pg-add", [name("group"), REST, PORT]),
    ([], "pg-set-ports", [name("group"), PORT, REST, PORT]),
    ([], "pg-del", [name("group")]),
    (["--may-exist"], "static-mac-binding-add", [ROUTER_PORT, ip, MAC]),
    (["--if-exists"], "static-mac-binding-del", [ROUTER_PORT, ip]),
    ([], "static-mac-binding-list", []),
    ([], "copp-add", [name("copp"), likely(["arp", "bfd", "reject", "x", ""], 3), name("meter")]),
    ([], "copp-del", [name("copp"), 0, likely(["arp", "bfd", "x"], 2)]),
    ([], "copp-list", [name("copp")]),
    ([], "ls-copp-add", [name("copp"), SWITCH]),
    ([], "lr-copp-add", [name("copp"), ROUTER]),
    ([], "ha-chassis-group-add", [name("chassis_group")]),
    ([], "ha-chassis-group-del", [name("chassis_group")]),
    ([], "ha-chassis-group-list", []),
    ([], "ha-chassis-group-add-chassis", [name("chassis_group"), name("chassis"), PRIORITY]),
    ([], "ha-chassis-group-remove-chassis", [name("chassis_group"), name("chassis")]),
    ([], "ha-chassis-group-set-chassis-prio", [name("chassis_group"), name("chassis"), PRIORITY]),
    (["--liveness"], "fwd-group-add", [name("forwarding"), SWITCH, ip, MAC, PORT, REST, PORT]),
    (["--if-exists"], "fwd-group-del", [name("forwarding")]),
    ([], "fwd-group-list", [0, SWITCH]),
    ([], "show", [0, lambda rng: rng.choice([SWITCH, ROUTER])(rng)]),
    ([], "get-connection", []),
    ([], "del-connection", []),
    ([], "get-ssl", []),
    ([], "del-ssl", []),
    ([], "init", []),
    ([], "sync", []),
    ([], "comment", [REST, one_of("a", "b c")]),
]  # fmt: skip


def shortened(rng: Random, word: str) -> str:
    """Mostly whole; else its beginning, or in another case."""
    roll = rng.random()
    if roll < 0.75:
        return word
    if roll < 0.9:
        return word[: rng.randint(1, len(word))]
    return rng.choice([word.lower(), word.upper(), word.replace("_", "-"), word + "x"])


class Generator:
    """Lines from one seed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def options(self, known: list[str]) -> list[str]:
        rng = self.rng
        chosen = [option for option in known if rng.random() < min(0.3, 1.5 / len(known))]
        if rng.random() < 0.03:
            chosen.append(rng.choice(["--may-exist", "--if-exists", "--ecmp", "--columns=name", "--nonsense", "--log", "--id=@x"]))
        return chosen

    def specific(self) -> list[str]:
        rng = self.rng
        options, command, slots = rng.choice(FORMS)
        words = []
        at = 0
        while at < len(slots):
            slot = slots[at]
            at += 1
            if slot == 0:
                # Each further one is there or not.
                continue_with = rng.random()
                if continue_with < 0.35:
                    break
                continue
            if slot == REST:
                one = slots[at]
                assert callable(one)
                words += [one(rng) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
                break
            assert callable(slot)
            words.append(slot(rng))
            if 0 in slots[:at] and rng.random() < 0.3:
                break
        return [*self.options(options), command, *words]

    def record(self, table: str) -> str:
        rng = self.rng
        for kind, of in TABLES.items():
            if of == table and rng.random() < 0.85:
                return name(kind)(rng)
        if table == "NB_Global":
            return "."
        return rng.choice(["{ACL priority 1}", "{QoS match ip4}", "{NAT type snat}", "x", "", "."] + ODD[-12:])

    def assignment(self, table: str) -> str:
        rng = self.rng
        column = shortened(rng, rng.choice(COLUMNS[table]))
        key = rng.choice(["", "", "", ":k", ":l", ":\"a b\"", ":", ":1"])
        operator = rng.choice(["=", "=", "=", "=", "=", "", "==", ":="])
        return f"{column}{key}{operator}{rng.choice(VALUES)}"

    def condition(self, table: str) -> str:
        rng = self.rng
        column = shortened(rng, rng.choice(COLUMNS[table]))
        key = rng.choice(["", "", "", ":k", ":l"])
        operator = rng.choice(["=", "=", "=", "!=", "<", ">", "<=", ">=", "{=}", "{!=}", "{<}", "{<=}", "{>=}", "{>}", "{in}", "{not-in}", "~", ""])
        return f"{column}{key}{operator}{rng.choice(VALUES)}"

    def generic(self) -> list[str]:
        rng = self.rng
        table = rng.choice(list(COLUMNS)) if rng.random() < 0.5 else rng.choice(["Logical_Switch", "Logical_Switch_Port", "Logical_Router", "Logical_Router_Port"])
        named = shortened(rng, table)
        command = rng.choice(["list", "find", "find", "get", "get", "set", "set", "set", "set", "add", "add", "remove", "remove", "clear", "create", "create", "destroy"])
        exists = ["--if-exists"] if rng.random() < 0.15 else []
        record = self.record(table)
        columns = [shortened(rng, rng.choice(COLUMNS[table])) for _ in range(rng.randint(1, 3))]
        match command:
            case "list":
                wanted = [f"--columns={','.join(columns)}"]
                return [*exists, *wanted, command, named, *([record] if rng.random() < 0.5 else [])]
            case "find":
                return [f"--columns={','.join(columns)}", command, named, *(self.condition(table) for _ in range(rng.choice([0, 1, 1, 2])))]
            case "get":
                keys = [column + rng.choice(["", "", ":k", ":l", ":x"]) for column in columns]
                return [*exists, command, named, record, *keys]
            case "set":
                return [*exists, command, named, record, *(self.assignment(table) for _ in range(rng.choice([1, 1, 2])))]
            case "add" | "remove":
                return [*exists, command, named, record, columns[0], *(rng.choice(VALUES) for _ in range(rng.choice([1, 1, 2])))]
            case "clear":
                return [*exists, command, named, record, *columns]
            case "create":
                given = [f"{shortened(rng, column)}={rng.choice(VALUES)}" for column in rng.sample(COLUMNS[table], min(len(COLUMNS[table]), rng.randint(1, 3)))]
                return [*(["--id=@x"] if rng.random() < 0.4 else []), command, named, *given]
            case _ if table == "NB_Global":
                # Made anew by the next line that only reads, where ours makes it when something is written.
                return [command]
            case _:
                return [*exists, *(["--all"] if rng.random() < 0.1 else []), command, named, *([record] if rng.random() < 0.9 else [])]

    def mutated(self, words: list[str]) -> list[str]:
        """Something is dropped, doubled, swapped or put in."""
        rng = self.rng
        words = list(words)
        for _ in range(rng.choice([1, 1, 2])):
            at = rng.randrange(len(words)) if words else 0
            match rng.randrange(7):
                case 0 if words:
                    del words[at]
                case 1 if words:
                    words.insert(at, words[at])
                case 2 if len(words) > 1:
                    other = rng.randrange(len(words))
                    words[at], words[other] = words[other], words[at]
                case 3:
                    words.insert(at, rng.choice(ODD))
                case 4 if words:
                    words[at] = rng.choice(ODD)
                case 5 if words and words[at]:
                    letter = rng.randrange(len(words[at]))
                    put = rng.choice(["", "", "x", "-", ":", ".", "/", ",", " ", "0", "="])
                    words[at] = words[at][:letter] + put + words[at][letter + 1 :]
                case _ if words:
                    words[at] = words[at][: rng.randint(0, len(words[at]))]
        return words

    def command(self) -> list[str]:
        words = self.specific() if self.rng.random() < 0.72 else self.generic()
        return self.mutated(words) if self.rng.random() < 0.2 else words

    def line(self) -> str:
        rng = self.rng
        words: list[str] = []
        if rng.random() < 0.06:
            words.append(rng.choice(["--oneline", "--dry-run", "--bare", "--format=csv", "-fjson", "--data=bare", "--no-headings", "--timeout=5", "--no-wait", "--one", "--f=list"]))
        for at in range(rng.choice([1] * 8 + [2, 2, 3])):
            if at or rng.random() < 0.1:
                words.append("--")
            words += self.command()
        return shlex.join(words)
