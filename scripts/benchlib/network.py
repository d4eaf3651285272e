"""A logical network as the rules of a cell: made by the real ovn-northd, so that both switches get the same rows.

The source is the logical port vm1 and the sink vm2, on one switch or on two with routers in a row between them.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ovnlib.real import Central

from .profile import Rules, Traffic

CHASSIS = "bench"


def _mac(value: int) -> str:
    return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))


def commands(traffic: Traffic, rules: Rules) -> list[list[str]]:
    """What ovn-nbctl is told. Router number n has .1 of network n and .254 of network n + 1; the first one has the
    address that the frames are sent to."""
    words: list[list[str]] = []
    for network in range(rules.routers + 1):
        words.append(["ls-add", f"network{network}"])
    first_mac = traffic.dst_mac.first
    for number in range(rules.routers):
        router = f"router{number}"
        words.append(["lr-add", router])
        sides = ((number, f"{_net(number)}.1/24", first_mac if number == 0 else 0x0A0000000100 + number),
                 (number + 1, f"{_net(number + 1)}.254/24", 0x0A0000000200 + number))  # fmt: skip
        for network, address, mac in sides:
            port, peer = f"{router}-network{network}", f"network{network}-{router}"
            words.append(["lrp-add", router, port, _mac(mac), address])
            words.append(["lsp-add", f"network{network}", peer])
            words.append(["lsp-set-type", peer, "router"])
            words.append(["lsp-set-addresses", peer, "router"])
            words.append(["lsp-set-options", peer, f"router-port={port}"])
        if number + 1 < rules.routers:
            words.append(["lr-route-add", router, f"{_net(rules.routers)}.0/24", f"{_net(number + 1)}.1"])
    last_mac = traffic.dst_mac.first if rules.routers == 0 else 0x0A0000000002
    ends = (("vm1", 0, traffic.src_mac.first, traffic.src_ip.first), ("vm2", rules.routers, last_mac, traffic.dst_ip.first))
    for name, network, mac, address in ends:
        octets = ".".join(str(byte) for byte in address.to_bytes(4, "big"))
        words.append(["lsp-add", f"network{network}", name])
        words.append(["lsp-set-addresses", name, f"{_mac(mac)} {octets}"])
    return words


def _net(number: int) -> str:
    return f"192.168.{number}"


class Network:
    """The databases and northd of a cell."""

    def __init__(self, folder: Path, stack: ExitStack, traffic: Traffic, rules: Rules) -> None:
        folder.mkdir()
        self.central = Central(folder, stack)
        self.central.start()
        self.central.ctl("nb", [["init"], *commands(traffic, rules)], "--wait=sb")
        self.dump = self.central.dump()

    @property
    def remote(self) -> str:
        """Where a chassis finds the rows."""
        return self.central.remotes["sb"]
