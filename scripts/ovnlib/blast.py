"""Random frames from one interface, as fast as asked, until it is ended: what machines of a logical network send, rightly and
wrongly, or what a stranger on the underlay makes of Geneve. The same seed makes the same frames.

    python3 -m ovnlib.blast machine|stranger INTERFACE SEED FRAMES-A-SECOND SPECIFICATION
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from ipaddress import ip_address
from random import Random
from typing import Any

from benchlib.checksum import checksum

_CHUNK = 0.01
# So many frames are made anew while the others are sent again.
_KEPT = 512


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", "")) if text.count(":") == 5 and "::" not in text else ip_address(text).packed


def ipv4(source: str, target: str, protocol: int, ttl: int, payload: bytes, flags: int = 0, tos: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), 0, flags, ttl, protocol, 0) + octets(source) + octets(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source: str, target: str, protocol: int, ttl: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl) + octets(source) + octets(target) + payload


def udp(rng: Random, payload: bytes) -> bytes:
    """Without a checksum, which IPv4 allows; IPv6 does not, and that is for whoever receives it."""
    return struct.pack("!HHHH", rng.randrange(1024, 1088), rng.randrange(5000, 5064), 8 + len(payload), 0) + payload


def tcp(rng: Random, payload: bytes) -> bytes:
    ports = rng.randrange(1024, 1088), rng.randrange(5000, 5064)
    return struct.pack("!HHIIBBHHH", *ports, rng.getrandbits(32), 0, 0x50, rng.randrange(64), 512, 0, 0) + payload


def echo(rng: Random, kind: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHH", kind, 0, 0, rng.getrandbits(16), 1) + payload
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


def mangled(rng: Random, frame: bytes) -> bytes:
    """A few bytes are others, or the end is missing."""
    found = bytearray(frame)
    for _ in range(rng.randrange(1, 4)):
        found[rng.randrange(len(found))] = rng.getrandbits(8)
    return bytes(found[: rng.randrange(14, len(found) + 1)] if rng.random() < 0.3 else found)


class Machine:
    """What a machine sends to others of the network: `own` and each of `others` is MAC, IPv4 and IPv6."""

    def __init__(self, rng: Random, spec: dict[str, Any]) -> None:
        self.rng = rng
        self.own = spec["own"]
        self.others = spec["others"]
        self.sizes = spec.get("sizes", (0, 1, 18, 64, 200, 1000, 1380, 1414, 1472))

    def frame(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        mac, ip, ip6 = rng.choice(self.others)
        macs = octets(mac) + octets(self.own[0])
        if kind < 0.05:
            target = octets(f"{rng.randrange(1, 224)}.1.2.3") if rng.random() < 0.3 else octets(ip)
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, rng.choice((1, 2))) + octets(self.own[0]) + octets(self.own[1])
            return b"\xff" * 6 + macs[6:] + b"\x08\x06" + arp + bytes(6) + target
        if kind < 0.10:
            # Broadcast, multicast, and an address that nobody has.
            where = rng.choice((b"\xff" * 6, b"\x01\x00\x5e\x00\x00\xfb", bytes([0x0A, 0, 0, 0, 0, rng.getrandbits(8)])))
            macs = where + macs[6:]
        payload = rng.randbytes(rng.choice(self.sizes))
        protocol = rng.choice((1, 6, 17, 17, 132))
        ttl = rng.choice((64, 64, 64, 255, 2, 1, 0))
        if rng.random() < 0.5:
            body = {1: echo(rng, 8, payload), 6: tcp(rng, payload), 17: udp(rng, payload)}.get(protocol, payload)
            flags = rng.choice((0x4000, 0x4000, 0, 0x2000, 0x0010))
            frame = macs + b"\x08\x00" + ipv4(self.own[1], ip, protocol, ttl, body, flags, rng.choice((0, 1, 2, 3, 0xB8)))
        else:
            body = {1: echo(rng, 128, payload), 6: tcp(rng, payload), 17: udp(rng, payload)}.get(protocol, payload)
            frame = macs + b"\x86\xdd" + ipv6(self.own[2], ip6, 58 if protocol == 1 else protocol, ttl, body)
        return mangled(rng, frame) if kind > 0.95 else frame


class Stranger:
    """Geneve to the endpoints, from hosts that there are and that there are not, right or nearly right; and ARP of addresses
    whose owner moves. `endpoints` have MAC and IPv4 each."""

    def __init__(self, rng: Random, spec: dict[str, Any]) -> None:
        self.rng = rng
        self.endpoints = spec["endpoints"]
        self.ghosts = spec["ghosts"]
        self.inner = Machine(rng, spec["inner"])

    def frame(self) -> bytes:
        rng = self.rng
        mac, ip = rng.choice(self.endpoints)
        own = b"\x02\x99" + rng.randbytes(1) + b"\0\0\0"
        if rng.random() < 0.1:
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, rng.choice((1, 2))) + own + octets(rng.choice(self.ghosts))
            return rng.choice((b"\xff" * 6, octets(mac))) + own + b"\x08\x06" + arp + bytes(6) + octets(ip)
        options = b""
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3))):
            data = rng.choice((struct.pack("!HH", rng.randrange(1, 8), rng.randrange(1, 8)), rng.randbytes(4 * rng.randrange(4))))
            group = rng.choice((0x0102, 0x0102, 0x0102, rng.getrandbits(16)))
            options += struct.pack("!HBB", group, rng.choice((0x80, 0x80, 0x80, rng.getrandbits(8))), len(data) // 4) + data
        flags = rng.choice((0x40, 0x40, 0x40, 0, 0x80, rng.getrandbits(8)))
        length = rng.choice((len(options) // 4,) * 8 + (rng.getrandbits(6),))
        version = rng.choice((0,) * 16 + (1, 2, 3))
        protocol = rng.choice((0x6558,) * 16 + (0x0800, rng.getrandbits(16)))
        vni = rng.choice((1, 2, 3, 0, rng.getrandbits(24)))
        geneve = struct.pack("!BBHI", version << 6 | length, flags, protocol, vni << 8) + options + self.inner.frame()
        source = rng.choice(self.ghosts + [endpoint[1] for endpoint in self.endpoints])
        head = struct.pack("!HHH", rng.randrange(32768, 61000), 6081, 8 + len(geneve))
        total = 0
        if rng.random() < 0.5:
            total = checksum(octets(source) + octets(ip) + struct.pack("!HH", 17, 8 + len(geneve)) + head + b"\0\0" + geneve) or 0xFFFF
        packet = ipv4(source, ip, 17, 64, head + struct.pack("!H", total) + geneve, rng.choice((0x4000,) * 8 + (0x2000, 5)),
                      rng.choice((0, 1, 2, 3)))  # fmt: skip
        frame = octets(mac) + own + b"\x08\x00" + packet
        return mangled(rng, frame) if rng.random() < 0.2 else frame


def main() -> None:
    kind, interface, seed, rate, spec = sys.argv[1:]
    rng = Random(seed)
    maker = {"machine": Machine, "stranger": Stranger}[kind](rng, json.loads(spec))
    frames = [maker.frame() for _ in range(_KEPT)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((interface, 0))
        debt = 0.0
        while True:
            debt += float(rate) * _CHUNK
            for _ in range(int(debt)):
                place = rng.randrange(_KEPT)
                if rng.random() < 0.2:
                    frames[place] = maker.frame()
                try:
                    out.send(frames[place][:1514])
                except OSError:
                    # The link is down for a moment.
                    time.sleep(_CHUNK)
            debt %= 1
            time.sleep(_CHUNK)


if __name__ == "__main__":
    main()
