"""Captures, made from a profile and a seed: the same seed makes the same bytes."""

import itertools
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from .checksum import checksum
from .profile import ALLOWED, Traffic

# A peer's pool holds no more buffers than 262143, and its ports need some of them.
MOST_PACKETS = 240_000
_UDP, _TCP = 17, 6


def packets_of(traffic: Traffic) -> int:
    """How many packets a capture of it has."""
    if traffic.packets:
        return traffic.packets
    flows = traffic.flows
    # A ring of a few packets only would never leave the first-level cache; no switch sees that.
    passes = -(-64 // flows) * flows
    if traffic.order == "sequential" and traffic.ttl.count == 1:
        return passes
    per_flow = 4 if traffic.order == "train4" else 2
    return max(flows, min(max(per_flow * flows, 4096), MOST_PACKETS))


def _order(traffic: Traffic, count: int, rng: random.Random) -> Iterator[int]:
    """The numbers of the flows, packet by packet."""
    flows = traffic.flows
    if traffic.order == "sequential":
        return (index % flows for index in range(count))
    if traffic.order == "random":
        return (rng.randrange(flows) for _ in range(count))
    # Which flow is popular has nothing to do with its number.
    shuffled = list(range(flows))
    rng.shuffle(shuffled)
    if traffic.order == "zipf":
        # Zipf with exponent 1: the flow of rank r comes with weight 1/r.
        cumulated = list(itertools.accumulate(1 / rank for rank in range(1, flows + 1)))
        return iter(rng.choices(shuffled, cum_weights=cumulated, k=count))
    return (shuffled[index // 4 % flows] for index in range(count))


def _explosion(flow: int) -> tuple[int, int, int]:
    """Tuple space explosion (Csikor et al., CoNEXT 2019), co-located: for every length of a prefix of each field a value
    that leaves the allowed one after so many bits, in all combinations. Each needs a mask of its own."""
    values = []
    for value, bits in ALLOWED:
        flow, after = divmod(flow, bits)
        rest = bits - after - 1
        values.append((value ^ 1 << rest) >> rest << rest)
    return values[0], values[1], values[2]


def frame(traffic: Traffic, flow: int, ttl: int) -> bytes:
    """A packet of a flow. The UDP checksum is left out, as IPv4 allows; a TCP one is right for its zeros."""
    protocol = _TCP if traffic.protocol == "tcp" else _UDP
    source, target = traffic.src_ip.at(flow), traffic.dst_ip.at(flow)
    src_port, dst_port = traffic.src_port.at(flow), traffic.dst_port.at(flow)
    if traffic.explosion:
        dst_port, source, src_port = _explosion(flow)
    ports = struct.pack("!HH", src_port, dst_port)
    length = traffic.frame - 14
    if protocol == _UDP:
        transport = ports + struct.pack("!HH", length - 20, 0)
    else:
        head, tail = ports + struct.pack("!IIBBH", 1, 1, 0x50, 0x10, 512), b"\0\0"
        pseudo = struct.pack("!IIHH", source, target, protocol, length - 20)
        transport = head + struct.pack("!H", checksum(pseudo + head)) + tail
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0, ttl, protocol, 0, source, target)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    macs = traffic.dst_mac.at(flow).to_bytes(6, "big") + traffic.src_mac.at(flow).to_bytes(6, "big")
    return (macs + b"\x08\x00" + ip + transport).ljust(traffic.frame, b"\0")


def write(traffic: Traffic, path: Path, seed: int, wrap: Callable[[bytes, int], bytes] | None = None) -> int:
    """Writes the capture and returns how many different flows are in it. `wrap` is what is around a frame of a flow."""
    count = packets_of(traffic)
    rng = random.Random(seed)
    seen: set[int] = set()
    made: dict[tuple[int, int], bytes] = {}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for flow in _order(traffic, count, rng):
            seen.add(flow)
            ttl = traffic.ttl.first if traffic.ttl.count == 1 else rng.randint(traffic.ttl.first, traffic.ttl.last)
            packet = made.get((flow, ttl))
            if packet is None:
                packet = frame(traffic, flow, ttl)
                if wrap:
                    packet = wrap(packet, flow)
                packet = struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
                if count > traffic.flows:
                    made[flow, ttl] = packet
            file.write(packet)
    return len(seen)


def count_packets(path: Path) -> int:
    """Packets in a capture that somebody else made."""
    count = 0
    with path.open("rb") as file:
        magic = file.read(24)[:4]
        order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        while len(head := file.read(16)) == 16:
            file.seek(struct.unpack(order + "I", head[8:12])[0], 1)
            count += 1
    return count
