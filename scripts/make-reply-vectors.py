#!/usr/bin/python3
"""Makes tests/data/replies.txt: packets built by scapy, and what each kind of reply makes of them, built by scapy too.

The rules of the replies are those of ovn-sb(5) and of what OVN 23.03 was seen to send. Needs the Debian package
python3-scapy. With the argument `check` every reply is shown to tshark, which must find no checksum wrong.
"""

import logging
import pathlib
import subprocess
import sys
import tempfile

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    ARP, Dot1AD, Dot1Q, Ether, ICMP, ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IP, IPOption_Router_Alert, IPv6, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, Raw, SCTP, SCTPChunkAbort, SCTPChunkData, SCTPChunkInit, TCP, UDP, wrpcap,
)

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
GROUP = "33:33:ff:00:00:02"
V4 = IP(src="10.0.0.1", dst="192.0.2.7", tos=0xB8, ttl=63, id=7)
V6 = IPv6(src="2001:db8::1", dst="2001:db8:0:1::2", tc=0x6A, fl=0xABCDE, hlim=61)
NS = ICMPv6ND_NS(tgt="2001:db8::77") / ICMPv6NDOptSrcLLAddr(lladdr=A)
TAGS = {
    "": lambda packet: Ether(src=A, dst=B) / packet,
    "_tagged": lambda packet: Ether(src=A, dst=B) / Dot1Q(vlan=100, prio=5) / packet,
    "_twice_tagged": lambda packet: Ether(src=A, dst=B) / Dot1AD(vlan=9) / Dot1Q(vlan=100, prio=5) / packet,
}

PACKETS = {
    "udp": V4 / UDP(sport=5000, dport=53) / b"question",
    "tcp": V4 / TCP(sport=1025, dport=80, flags="S", seq=0xFFFFFFFF, options=[("MSS", 1460)]),
    "tcp_data": V4 / TCP(sport=1025, dport=80, flags="PA", seq=70000, ack=5) / b"hello",
    "tcp_reset": V4 / TCP(sport=1025, dport=80, flags="RA"),
    "echo": V4 / ICMP(type=8, id=1, seq=2) / b"odd",
    "unreachable": V4 / ICMP(type=3, code=1) / V4 / UDP(),
    "long": V4 / UDP(sport=1, dport=2) / (bytes(range(256)) * 5),
    "options": IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_Router_Alert()]) / UDP(sport=1, dport=2),
    "later_fragment": IP(src="10.0.0.1", dst="10.0.0.2", frag=2, proto=6) / Raw(b"1234567812345678"),
    "sctp_init": V4 / SCTP(sport=7, dport=9, tag=0) / SCTPChunkInit(init_tag=0x01020304),
    "sctp_data": V4 / SCTP(sport=7, dport=9, tag=0xA1A2A3A4) / SCTPChunkData(data=b"data"),
    "sctp_abort": V4 / SCTP(sport=7, dport=9, tag=1) / SCTPChunkAbort(),
    "sctp_bare": V4 / SCTP(sport=7, dport=9, tag=1),
    "udp6": V6 / UDP(sport=546, dport=547) / b"odd",
    "tcp6": V6 / TCP(sport=1025, dport=80, flags="S", seq=9),
    "tcp6_reset": V6 / TCP(sport=1025, dport=80, flags="R"),
    "echo6": V6 / ICMPv6EchoRequest(id=1, seq=2, data=b"ping"),
    "unreachable6": V6 / ICMPv6DestUnreach() / V6 / UDP(),
    "long6": V6 / UDP(sport=1, dport=2) / (bytes(range(256)) * 5),
    "hop_by_hop6": V6 / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=2),
    "later_fragment6": V6 / IPv6ExtHdrFragment(offset=8, m=0, nh=17) / Raw(b"12345678"),
    "sctp6": V6 / SCTP(sport=7, dport=9, tag=3) / SCTPChunkData(data=b"data"),
    "solicit": IPv6(src="fe80::1", dst="ff02::1:ff00:77", hlim=255) / NS,
    "arp": ARP(op=1, hwsrc=A, psrc="10.0.0.1", pdst="10.0.0.2"),
}


def link_local(mac):
    first, *rest = (int(part, 16) for part in mac.split(":"))
    a, b, c, d, e, f = (first ^ 2, *rest)
    return f"fe80::{a:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}"


def ip_reply(ip, proto, ttl, swap):
    src, dst = (ip.dst, ip.src) if swap else (ip.src, ip.dst)
    if isinstance(ip, IPv6):
        return IPv6(src=src, dst=dst, nh=proto, hlim=ttl)
    return IP(src=src, dst=dst, id=0, flags="DF", ttl=ttl, proto=proto)


def unreachable(ip, tells_port, swap=False):
    if isinstance(ip, IPv6):
        code = 4 if tells_port and ip.nh == 17 else 1
        quoted = bytes(ip)[: 1280 - 14 - 40 - 8]
        return ip_reply(ip, 58, 255, swap) / ICMPv6DestUnreach(code=code) / Raw(quoted)
    code = 3 if tells_port and ip.proto == 17 else 1
    return ip_reply(ip, 1, 255, swap) / ICMP(type=3, code=code) / Raw(bytes(ip)[: 576 - 14 - 20 - 8])


def tcp_reset(ip, swap=False):
    if TCP not in ip:
        return "reply_too_short" if getattr(ip, "proto", 0) == 6 else "bad_reply"
    tcp = ip[TCP]
    ack = (tcp.seq + 1) & 0xFFFFFFFF
    return ip_reply(ip, 6, 63, swap) / TCP(sport=tcp.dport, dport=tcp.sport, seq=0, ack=ack, flags="RA", window=0)


def sctp_abort(ip, swap=False):
    if SCTP not in ip:
        return "bad_reply"
    sctp = ip[SCTP]
    if SCTPChunkAbort in sctp:
        return "reply_to_error"
    if not bytes(sctp.payload):
        return "reply_too_short"
    own = sctp.tag == 0 and SCTPChunkInit in sctp
    tag = sctp[SCTPChunkInit].init_tag if own else sctp.tag
    abort = SCTPChunkAbort(reserved=0, TCB=0 if own else 1)
    return ip_reply(ip, 132, 63, swap) / SCTP(sport=sctp.dport, dport=sctp.sport, tag=tag) / abort


def reject(ip):
    if getattr(ip, "proto", 0) == 6 and TCP not in ip:
        return "reply_too_short"
    if TCP in ip:
        return "reply_to_error" if "R" in ip[TCP].flags else tcp_reset(ip, True)
    if SCTP in ip:
        return sctp_abort(ip, True)
    if ICMP in ip and ip[ICMP].type == 3 or ICMPv6DestUnreach in ip:
        return "reply_to_error"
    return unreachable(ip, True, True)


def advert(ip, flags):
    if ICMPv6ND_NS not in ip:
        return "bad_reply"
    target = ip[ICMPv6ND_NS].tgt
    na = ICMPv6ND_NA(tgt=target, S=1, O=1, R=flags)
    return IPv6(src=target, dst=ip.src, hlim=255) / na / ICMPv6NDOptDstLLAddr(lladdr=B)


def solicit(ip):
    last = IPv6(bytes(ip))[IPv6].dst
    raw = bytes(IPv6(dst=last))[24:40]
    x, y, z = raw[13:]
    dst = f"ff02::1:ff{x:02x}:{y:02x}{z:02x}"
    packet = IPv6(src=link_local(A), dst=dst, hlim=255) / ICMPv6ND_NS(tgt=last) / ICMPv6NDOptSrcLLAddr(lladdr=A)
    return packet, f"33:33:ff:{x:02x}:{y:02x}:{z:02x}"


def reply(kind, ip):
    """The packet behind the Ethernet header, with that header's addresses; or the name of a drop."""
    if not isinstance(ip, (IP, IPv6)):
        return "bad_reply", None, None
    six = isinstance(ip, IPv6)
    if kind == "arp":
        made = "bad_reply" if six else ARP(op=1, hwsrc=A, psrc=ip.src, hwdst="00:00:00:00:00:00", pdst=ip.dst)
        return made, A, B
    if kind == "nd_ns":
        if not six:
            return "bad_reply", None, None
        made, group = solicit(ip)
        return made, A, group
    if kind in ("nd_na", "nd_na_router"):
        return advert(ip, int(kind == "nd_na_router")) if six else "bad_reply", B, A
    if kind.startswith("icmp"):
        return unreachable(ip, "error" not in kind) if ("6" in kind) == six else "bad_reply", A, B
    if kind == "tcp_reset":
        return tcp_reset(ip), A, B
    if kind == "sctp_abort":
        return sctp_abort(ip), A, B
    return reject(ip), B, A


KINDS = ["arp", "nd_ns", "nd_na", "nd_na_router", "icmp4", "icmp4_error", "icmp6", "icmp6_error", "tcp_reset",
         "sctp_abort", "reject"]


def check(frames):
    with tempfile.TemporaryDirectory() as folder:
        pcap = f"{folder}/replies.pcap"
        wrpcap(pcap, [Raw(frame) for frame in frames], linktype=1)
        sums = [f"-o{proto}.{'check_checksum' if proto != 'sctp' else 'checksum'}:TRUE" for proto in ("ip", "tcp", "udp")]
        wanted = ["ip", "tcp", "icmp", "icmpv6", "sctp"]
        fields = [word for proto in wanted for word in ("-e", f"{proto}.checksum.status")]
        tshark = ["tshark", "-r", pcap, "-osctp.checksum:TRUE", *sums, "-Tfields", *fields]
        lines = subprocess.run(tshark, capture_output=True, text=True, check=True).stdout.splitlines()
    # 0 is bad. What is quoted may be cut, but the first of each protocol is the reply's.
    for frame, line in zip(frames, lines, strict=True):
        assert not any(status.split(",")[0] in ("0", "Bad") for status in line.split("\t") if status), (line, frame.hex())


def main():
    out = [
        "# Packets built by scapy and what the replies to them are, or the name of the drop.",
        "# Made by scripts/make-reply-vectors.py: name, kind, packet, reply.",
    ]
    frames = []
    for name, packet in PACKETS.items():
        parsed = type(packet)(bytes(packet))
        for kind in KINDS:
            made, src, dst = reply(kind, parsed)
            for tag, around in TAGS.items():
                if tag and (name.startswith("long") or isinstance(made, str)):
                    continue
                if not isinstance(made, str):
                    frame = around(made)
                    frame.src, frame.dst = src, dst
                    frames.append(bytes(frame))
                text = made if isinstance(made, str) else frames[-1].hex()
                out.append(f"{name}{tag} {kind} {bytes(around(packet)).hex()} {text}")
    if "check" in sys.argv:
        check(frames)
    target = pathlib.Path(__file__).parent.parent / "tests/data/replies.txt"
    target.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
