"""Profiles: `configs/bench/NAME.toml`, read, checked, and multiplied out into cells.

Any value of `[traffic]` and `[rules]`, and `rig`, may be a list; a profile is then all combinations. A cell is one.
"""

import itertools
import math
import re
import tomllib
from dataclasses import dataclass, fields
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from .fault import Fault

ORDERS = ("sequential", "random", "zipf", "train4")
RIGS = ("pcap-null", "vhost")
KINDS = ("forward", "misses", "updates")
# Which end of a logical network is on another host: none, the sink (packets go out by a tunnel), the source (they come in).
TUNNELS = ("", "out", "in")
RULES = ("port", "dl_dst", "five_tuple", "tables", "ttl", "explosion", "ovn")
# What the rule set `explosion` allows: a target port, a source address, a source port, and their bits.
ALLOWED = ((80, 16), (0x0A00000A, 32), (12345, 16))


@dataclass(frozen=True)
class Range:
    """Values from first to last, both included; flow number i has the value i modulo the count."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def at(self, index: int) -> int:
        return self.first + index % self.count


def _number(text: str) -> int:
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        return int(text.replace(":", ""), 16)
    return int(IPv4Address(text))


def read_range(value: Any, most: int) -> Range:
    """`5`, `"5-9"`, `"10.0.0.1-10.0.0.9"`, `"10.0.0.0/24"`, `"02:00:00:00:00:01-02:00:00:00:00:09"`."""
    try:
        text = str(value)
        if "/" in text:
            net = IPv4Network(text)
            found = Range(int(net.network_address), int(net.broadcast_address))
        else:
            first, _, last = text.partition("-")
            found = Range(_number(first), _number(last or first))
    except ValueError as error:
        raise Fault(f'"{value}" is not a range such as "1-9" or "10.0.0.0/24": {error}') from None
    if not 0 <= found.first <= found.last <= most:
        raise Fault(f'"{value}" is not a range within 0 to {most}')
    return found


@dataclass(frozen=True)
class Traffic:
    """What is sent. Counts of ranges without a common divisor make the most different flows."""

    flows: int = 1
    order: str = "sequential"
    # Bytes of a frame as a capture has them, without the checksum at its end.
    frame: int = 64
    protocol: str = "udp"
    # How many packets the capture has; 0: as many as the order needs.
    packets: int = 0
    # A capture to take instead of making one.
    pcap: str = ""
    # Whether it is made against the rule set of that name; the ranges of address and ports do not count then.
    explosion: bool = False
    src_mac: Range = Range(0x020000000001, 0x020000000001)
    dst_mac: Range = Range(0x020000000102, 0x020000000102)
    src_ip: Range = Range(0x0A000001, 0x0A0000FB)
    dst_ip: Range = Range(0x0A010001, 0x0A0100F1)
    src_port: Range = Range(1024, 2032)
    dst_port: Range = Range(4096, 5119)
    ttl: Range = Range(64, 64)

    def distinct(self) -> int:
        """How many different 5-tuples there are."""
        if self.explosion:
            return math.prod(bits for _, bits in ALLOWED)
        return math.lcm(*(r.count for r in (self.src_ip, self.dst_ip, self.src_port, self.dst_port)))


_MOST = {
    "src_mac": (1 << 48) - 1, "dst_mac": (1 << 48) - 1, "src_ip": (1 << 32) - 1, "dst_ip": (1 << 32) - 1,
    "src_port": 65535, "dst_port": 65535, "ttl": 255,
}  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """A named rule set, see `rules`."""

    kind: str = "port"
    masks: int = 1
    tables: int = 1
    # Whether the pipeline reads the whole 5-tuple, so that every flow needs a megaflow of its own.
    per_flow: bool = False
    # Of a logical network (kind `ovn`): how many routers there are between the two ends.
    routers: int = 1
    tunnel: str = ""
    # Whether there is an outer UDP checksum, as OVN has it unless told otherwise.
    checksum: bool = True


@dataclass(frozen=True)
class Cell:
    """One thing to measure."""

    profile: str
    kind: str
    rig: str
    traffic: Traffic
    rules: Rules
    # Most own cycles that the project allows itself here (Mpps at least, on the vhost rig); none: no bar.
    bar: float | None
    # Most of the peer's own cycles that the project allows itself here; none: as in `judge`.
    share: float | None
    # What of traffic and rules differs between the cells of the profile.
    varies: tuple[str, ...]

    @property
    def label(self) -> str:
        values = {**_plain(self.rules), **_plain(self.traffic), "rig": self.rig}
        return " ".join([self.profile] + [f"{key}={values[key]}" for key in self.varies])


def _plain(part: Traffic | Rules) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _read_part(kind: type, table: dict[str, Any], where: str) -> Any:
    known = {field.name: field.type for field in fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in known:
            raise Fault(f"{where}: there is no key `{key}`; there are {', '.join(known)}")
        if key in _MOST:
            value = read_range(value, _MOST[key])
        elif not isinstance(value, known[key]):
            raise Fault(f"{where}: `{key}` must be of type {known[key].__name__}")
        values[key] = value
    return kind(**values)


def _check(cell: Cell, where: str) -> None:
    traffic, rules = cell.traffic, cell.rules
    for value, allowed in ((traffic.order, ORDERS), (cell.rig, RIGS), (cell.kind, KINDS), (rules.kind, RULES),
                           (rules.tunnel, TUNNELS)):  # fmt: skip
        if value not in allowed:
            raise Fault(f'{where}: "{value}" is none of {", ".join(allowed)}')
    if traffic.protocol not in ("udp", "tcp"):
        raise Fault(f"{where}: `protocol` is udp or tcp")
    if not 60 <= traffic.frame <= 1514:
        raise Fault(f"{where}: `frame` is 60 to 1514 bytes, without the checksum")
    if not traffic.pcap and traffic.distinct() < traffic.flows:
        raise Fault(f"{where}: `flows` is {traffic.flows}, and the ranges give {traffic.distinct()} different ones")
    if cell.rig == "vhost" and (rules.kind == "tables" or traffic.pcap):
        raise Fault(f"{where}: a guest (vhost) makes its own packets, and they go both ways through one table")
    if rules.kind == "ovn" and (cell.rig != "pcap-null" or cell.kind != "forward" or not 0 <= rules.routers <= 50):
        raise Fault(f"{where}: a logical network has 0 to 50 routers and forwards from a capture")
    if rules.tunnel and (rules.kind != "ovn" or traffic.pcap or traffic.frame > 1442):
        raise Fault(f"{where}: a tunnel is between two hosts of a logical network (kind ovn), and a frame has 58 bytes more there")
    if not 1 <= rules.masks <= 100 or not 1 <= rules.tables <= 100:
        raise Fault(f"{where}: `masks` and `tables` are 1 to 100")


def _bar(bars: dict[str, Any], rig: str, traffic: Traffic, rules: Rules) -> float | None:
    if rig == "vhost":
        return bars.get("mpps")
    found = bars.get("own", {}).get(str(traffic.flows))
    if found is None:
        return None
    # With so many subtables a lookup probes half of those that hold a flow before it finds its own.
    further = (min(rules.masks, traffic.flows) - 1) / 2
    return found + bars.get("per_subtable", 0) * further


def _share(bars: dict[str, Any], traffic: Traffic) -> float | None:
    return bars.get("share_of_one" if traffic.flows == 1 else "share")


def read(path: Path) -> list[Cell]:
    """The cells of a profile."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Fault(f"{path}: {error}") from None
    unknown = set(document) - {"about", "kind", "rig", "traffic", "rules", "bar"}
    if unknown:
        raise Fault(f"{path}: there is no key `{min(unknown)}` at the top")
    axes: list[tuple[str, str, list[Any]]] = []
    for part in ("traffic", "rules"):
        for key, value in document.get(part, {}).items():
            axes.append((part, key, value if isinstance(value, list) else [value]))
    rigs = document.get("rig", "pcap-null")
    axes.append(("top", "rig", rigs if isinstance(rigs, list) else [rigs]))
    varies = tuple(key for _, key, values in axes if len(values) > 1)
    cells = []
    for choice in itertools.product(*(values for _, _, values in axes)):
        parts: dict[str, dict[str, Any]] = {"traffic": {}, "rules": {}, "top": {}}
        for (part, key, _), value in zip(axes, choice):
            parts[part][key] = value
        traffic = _read_part(Traffic, parts["traffic"], f"{path}: [traffic]")
        rules = _read_part(Rules, parts["rules"], f"{path}: [rules]")
        rig = parts["top"]["rig"]
        bar = _bar(document.get("bar", {}), rig, traffic, rules)
        cell = Cell(path.stem, document.get("kind", "forward"), rig, traffic, rules, bar,
                    _share(document.get("bar", {}), traffic), varies)  # fmt: skip
        _check(cell, str(path))
        cells.append(cell)
    return cells
