"""Rule sets by name, as lines that `ovs-ofctl` and millrace read alike. Port 1 is the source, port 2 the sink."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network

from .profile import ALLOWED, Range, Rules, Traffic

_DECOYS = 8


def _mac(value: int) -> str:
    return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))


def _ip(value: int) -> str:
    return str(IPv4Address(value))


def covering(addresses: Range) -> str:
    """The narrowest prefix that all of the addresses have."""
    bits = (addresses.first ^ addresses.last).bit_length()
    return str(IPv4Network((addresses.first >> bits << bits, 32 - bits)))


def _port(traffic: Traffic, rules: Rules) -> Iterator[str]:
    yield "in_port=1,actions=output:2"


def _dl_dst(traffic: Traffic, rules: Rules) -> Iterator[str]:
    for index in range(min(traffic.dst_mac.count, traffic.flows)):
        yield f"dl_dst={_mac(traffic.dst_mac.at(index))},actions=output:2"


def masks(number: int) -> tuple[int, int]:
    """Prefix lengths of source and destination for mask number 0 to 99: the first is all of both."""
    return 32 - number % 10, 32 - number // 10


def _five_tuple(traffic: Traffic, rules: Rules) -> Iterator[str]:
    """One rule for each flow. Ports are matched in full, so that no two flows share a rule."""
    for index in range(max(traffic.flows, rules.masks)):
        source, target = masks(index % rules.masks)
        # Beyond the flows there are, a rule only holds its mask's place.
        src_port = traffic.src_port.at(index) if index < traffic.flows else 1
        nw_src = IPv4Network((traffic.src_ip.at(index), source), strict=False)
        nw_dst = IPv4Network((traffic.dst_ip.at(index), target), strict=False)
        ports = f"tp_src={src_port},tp_dst={traffic.dst_port.at(index)}"
        yield f"{traffic.protocol},nw_src={nw_src},nw_dst={nw_dst},{ports},actions=output:2"


def _decoys(table: int) -> Iterator[str]:
    for index in range(_DECOYS):
        match = (f"ip,nw_src=192.0.2.{index}", f"ip,nw_dst=198.51.100.{index}", f"reg0={1000 + index}",
                 f"dl_src=06:00:00:00:00:{index:02x}")[table % 4]  # fmt: skip
        yield f"table={table},priority=200,{match},actions=drop"


def _tables(traffic: Traffic, rules: Rules) -> Iterator[str]:
    """A pipeline: every table has something to decide and hands on to the next, the last one sends."""
    for table in range(rules.tables):
        yield from _decoys(table)
        match = (f"ip,nw_src={covering(traffic.src_ip)}", f"ip,nw_dst={covering(traffic.dst_ip)}", f"reg0={table}",
                 "ip")[table % 4]  # fmt: skip
        actions = []
        if table == 0 and rules.per_flow:
            # What is copied has been read, in full.
            actions += ["move:NXM_OF_IP_SRC[]->NXM_NX_REG1[]", "move:NXM_OF_IP_DST[]->NXM_NX_REG2[]",
                        f"move:NXM_OF_{traffic.protocol.upper()}_SRC[]->NXM_NX_REG3[0..15]",
                        f"move:NXM_OF_{traffic.protocol.upper()}_DST[]->NXM_NX_REG3[16..31]"]  # fmt: skip
            match = f"{traffic.protocol},nw_src={covering(traffic.src_ip)}"
        if table == rules.tables - 1:
            actions.append("output:2")
        else:
            actions += [f"load:{table + 1}->NXM_NX_REG0[]", f"goto_table:{table + 1}"]
        yield f"table={table},priority=100,{match},actions={','.join(actions)}"


def _ttl(traffic: Traffic, rules: Rules) -> Iterator[str]:
    """A router: both addresses of the frame are written anew and the TTL goes down."""
    rewrite = "mod_dl_src:02:00:00:00:00:fe,mod_dl_dst:02:00:00:00:00:02,dec_ttl,output:2"
    yield f"ip,nw_dst={covering(traffic.dst_ip)},actions={rewrite}"


def _explosion(traffic: Traffic, rules: Rules) -> Iterator[str]:
    """An ACL of three rules that each look at another field; everything is sent on, allowed or not."""
    (dst_port, _), (source, _), (src_port, _) = ALLOWED
    for priority, match in ((30, f"tp_dst={dst_port}"), (20, f"nw_src={_ip(source)}"), (10, f"tp_src={src_port}")):
        yield f"priority={priority},udp,{match},actions=output:2"
    yield "priority=1,actions=output:2"


def _ovn(traffic: Traffic, rules: Rules) -> Iterator[str]:
    """None: the flows are made of a logical network's rows, see `network`."""
    yield from ()


_SETS: dict[str, Callable[[Traffic, Rules], Iterator[str]]] = {
    "port": _port,
    "dl_dst": _dl_dst,
    "five_tuple": _five_tuple,
    "tables": _tables,
    "ttl": _ttl,
    "explosion": _explosion,
    "ovn": _ovn,
}


def lines(traffic: Traffic, rules: Rules) -> list[str]:
    """The flows of a cell."""
    return list(_SETS[rules.kind](traffic, rules))


def both_ways(flows: list[str]) -> list[str]:
    """Each from port 1 to port 2 and from port 2 to port 1."""
    there = ["in_port=1," + flow.removeprefix("in_port=1,") for flow in flows]
    back = [flow.replace("in_port=1,", "in_port=2,").replace("output:2", "output:1") for flow in there]
    return [*there, *back]
