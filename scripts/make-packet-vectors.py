#!/usr/bin/env python3
"""Makes tests/data/packets.txt: frames built by scapy, and what Open vSwitch's own parser reads in them.

Needs the Debian packages python3-scapy and openvswitch-common (for `ovs-ofctl parse-pcap`).
"""

import logging
import pathlib
import subprocess
import tempfile

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    AH, ARP, Dot1AD, Dot1Q, Dot3, Ether, ICMP, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU, ICMPv6NDOptSrcLLAddr, IP, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, LLC, Raw, SCTP, SNAP, STP, TCP, UDP, wrpcap,
)
from scapy.contrib.igmp import IGMP

ETH = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MCAST = Ether(src="02:00:00:00:00:01", dst="01:00:5e:00:00:16")
V4 = IP(src="10.0.0.1", dst="192.0.2.7", tos=0xB9, ttl=63, id=7)
V6 = IPv6(src="2001:db8::1", dst="2001:db8:0:1::2", tc=0x6A, fl=0xABCDE, hlim=61)
LL = IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255)
SLL = ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:0a")
TLL = ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:0b")
PORTS = TCP(sport=1025, dport=80, flags="SA", options=[("MSS", 1460)])

PACKETS = {
    "tcp": ETH / V4 / PORTS / b"hello",
    "tcp_all_flags": ETH / V4 / TCP(sport=1, dport=2, flags=0x1FF, reserved=7),
    "udp": ETH / V4 / UDP(sport=5000, dport=53) / b"question",
    "sctp": ETH / V4 / SCTP(sport=7, dport=9, tag=1),
    "icmp": ETH / V4 / ICMP(type=8, code=0, id=1, seq=2) / b"ping",
    "icmp_unreachable": ETH / V4 / ICMP(type=3, code=4) / V4 / UDP(),
    "igmp_report": MCAST / IP(src="10.0.0.1", dst="224.0.0.22", ttl=1, options=[IPOption_Router_Alert()])
    / IGMP(type=0x16, gaddr="239.1.2.3"),
    "gre": ETH / IP(src="10.0.0.1", dst="10.0.0.2", proto=47) / Raw(b"\0\0\x65\x58"),
    "ipv4_options": ETH / IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_Router_Alert()] * 3) / UDP(),
    "ipv4_first_fragment": ETH / IP(src="10.0.0.1", dst="10.0.0.2", flags="MF", proto=17) / UDP() / b"12345678",
    "ipv4_later_fragment": ETH / IP(src="10.0.0.1", dst="10.0.0.2", frag=2, proto=17) / Raw(b"1234567812345678"),
    "ipv4_cut_tcp_padded": ETH / IP(src="10.0.0.1", dst="10.0.0.2", proto=6) / Raw(b"\0\1\0\2"),
    "ipv4_dont_fragment": ETH / IP(src="10.0.0.1", dst="10.0.0.2", flags="DF") / UDP(),
    "vlan_tcp": ETH / Dot1Q(vlan=100, prio=5) / V4 / PORTS,
    "vlan_priority_only": ETH / Dot1Q(vlan=0, prio=7) / V4 / UDP(),
    "vlan_dei": ETH / Dot1Q(vlan=9, id=1) / V4 / UDP(),
    "qinq_udp": ETH / Dot1AD(vlan=200, prio=1) / Dot1Q(vlan=300, prio=2) / V4 / UDP(),
    "three_tags": ETH / Dot1AD(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / V4 / UDP(),
    "arp_request": Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
    / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", hwdst="00:00:00:00:00:00", pdst="10.0.0.2"),
    "arp_reply": ETH / ARP(op=2, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", hwdst="02:00:00:00:00:02", pdst="10.0.0.2"),
    "arp_large_op": ETH / ARP(op=0x102, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", hwdst="02:00:00:00:00:02", pdst="10.0.0.2"),
    "rarp": Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff", type=0x8035)
    / ARP(op=3, hwsrc="02:00:00:00:00:01", psrc="0.0.0.0", hwdst="02:00:00:00:00:01", pdst="0.0.0.0"),
    "arp_not_ipv4": ETH / ARP(op=1, ptype=0x86DD, plen=4, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", hwdst="02:00:00:00:00:02", pdst="10.0.0.2"),
    "arp_cut": Raw(bytes(ETH / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))[:41]),
    "stp": Dot3(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00") / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(),
    "snap_ipv4": Dot3(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / V4 / UDP(),
    "snap_other_organisation": Dot3(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0xC, code=0x2000) / b"cdp",
    "unknown_type": Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88CC) / Raw(b"lldp"),
    "tcp6": ETH / V6 / PORTS,
    "udp6": ETH / V6 / UDP(sport=546, dport=547) / b"x",
    "sctp6": ETH / V6 / SCTP(sport=7, dport=9),
    "icmp6_echo": ETH / V6 / ICMPv6EchoRequest(id=1, seq=2, data=b"ping"),
    "nd_solicit": ETH / LL / ICMPv6ND_NS(tgt="fe80::2") / SLL,
    "nd_solicit_without_option": ETH / LL / ICMPv6ND_NS(tgt="fe80::2"),
    "nd_advert": ETH / LL / ICMPv6ND_NA(tgt="fe80::2", R=1, S=1, O=1) / TLL,
    "nd_both_options": ETH / LL / ICMPv6ND_NA(tgt="fe80::2") / ICMPv6NDOptMTU() / TLL / SLL,
    "nd_option_twice": ETH / LL / ICMPv6ND_NS(tgt="fe80::2") / SLL / SLL,
    "ipv6_hop_by_hop": ETH / V6 / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=2),
    "ipv6_many_extensions": ETH / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=["2001:db8::9"]) / PORTS,
    "ipv6_ah": ETH / V6 / AH(spi=1, seq=1, icv=b"123456789012", nh=17) / UDP(sport=1, dport=2),
    "ipv6_first_fragment": ETH / V6 / IPv6ExtHdrFragment(offset=0, m=1, nh=17) / UDP(sport=1, dport=2) / b"12345678",
    "ipv6_later_fragment": ETH / V6 / IPv6ExtHdrFragment(offset=8, m=0, nh=17) / Raw(b"12345678"),
    "ipv6_atomic_fragment": ETH / V6 / IPv6ExtHdrFragment(offset=0, m=0, nh=17) / UDP(sport=1, dport=2),
    "ipv6_no_next_header": ETH / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=59),
    "ipv4_length_too_long": ETH / IP(src="10.0.0.1", dst="10.0.0.2", len=60) / UDP(),
    "ipv4_length_too_short": ETH / IP(src="10.0.0.1", dst="10.0.0.2", len=19) / UDP(),
    "ipv4_header_too_short": ETH / IP(src="10.0.0.1", dst="10.0.0.2", ihl=4, len=28) / UDP(),
    "ipv4_cut_tcp": ETH / IP(src="10.0.0.1", dst="10.0.0.2", len=39, proto=6) / Raw(bytes(range(20))),
    "ipv4_cut_udp": ETH / IP(src="10.0.0.1", dst="10.0.0.2", len=27, proto=17) / Raw(bytes(range(8))),
    "ipv4_cut_icmp": ETH / IP(src="10.0.0.1", dst="10.0.0.2", len=27, proto=1) / Raw(bytes(range(8))),
    "ipv6_length_too_long": ETH / IPv6(src="2001:db8::1", dst="2001:db8::2", plen=9) / UDP(),
    "ipv6_cut_nd": ETH / IPv6(src="fe80::1", dst="fe80::2", plen=23) / ICMPv6ND_NS(tgt="fe80::2"),
}


def main():
    out = [
        "# Frames built by scapy, each with the flow that `ovs-ofctl parse-pcap` (Open vSwitch 3.1) reads in it.",
        "# Made by scripts/make-packet-vectors.py: name, bytes, flow.",
    ]
    for name, packet in PACKETS.items():
        frame = bytes(packet)
        if name == "ipv4_cut_tcp_padded":
            frame += bytes(26)
        with tempfile.TemporaryDirectory() as folder:
            pcap = f"{folder}/packet.pcap"
            wrpcap(pcap, [Raw(frame)], linktype=1)
            flow = subprocess.run(["ovs-ofctl", "parse-pcap", pcap], capture_output=True, text=True, check=True)
        out.append(f"{name} {frame.hex()} {flow.stdout.strip()}")
    target = pathlib.Path(__file__).parent.parent / "tests/data/packets.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
