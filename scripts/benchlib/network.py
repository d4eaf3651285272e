"""A logical network as the rules of a cell: made by the real ovn-northd, so that both switches get the same rows.

The source is the logical port vm1 and the sink vm2, on one switch or on two with routers in a row between them. One of the
two may be on another host, to which a tunnel leads.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ovnlib.real import Central, Tables

from .checksum import checksum
from .profile import Rules, Traffic

CHASSIS, PEER = "bench", "peer"
# The endpoints of the tunnel: our host and the other.
HERE, THERE = "192.168.50.11", "192.168.50.12"
HERE_MAC, THERE_MAC = "02:00:00:00:50:11", "02:00:00:00:50:12"
PREFIX = 24
_GENEVE = 6081


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


def _octets(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


@dataclass(frozen=True)
class Tunnel:
    """What the other host puts around a frame for vm2: Geneve with OVN's option, the outer checksum made."""

    vni: int
    option: int
    checksum: bool

    def wrap(self, frame: bytes, flow: int) -> bytes:
        """The source port says which flow it is."""
        geneve = struct.pack("!BBHIHBBI", 2, 0x40, 0x6558, self.vni << 8, 0x0102, 0x80, 1, self.option)
        length = 8 + len(geneve) + len(frame)
        udp = struct.pack("!HHHH", 32768 + flow * 40503 % 28232, _GENEVE, length, 0)
        pseudo = _octets(THERE) + _octets(HERE) + struct.pack("!HH", 17, length)
        if self.checksum:
            udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp + geneve + frame) or 0xFFFF)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0) + _octets(THERE) + _octets(HERE)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        macs = bytes.fromhex((HERE_MAC + THERE_MAC).replace(":", ""))
        return macs + b"\x08\x00" + ip + udp + geneve + frame


def announcement() -> bytes:
    """The other host's answer to the question where it is, which holds for half a minute: nobody answers on a null device."""
    here, there = (bytes.fromhex(mac.replace(":", "")) for mac in (HERE_MAC, THERE_MAC))
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + there + _octets(THERE) + here + _octets(HERE)
    return (here + there + b"\x08\x06" + arp).ljust(60, b"\0")


class Network:
    """The databases and northd of a cell."""

    def __init__(self, folder: Path, stack: ExitStack, traffic: Traffic, rules: Rules) -> None:
        folder.mkdir()
        self.central = Central(folder, stack)
        self.central.start()
        self.central.ctl("nb", [["init"], *commands(traffic, rules)], "--wait=sb")
        self.checksum = rules.checksum
        self.far = {"out": "vm2", "in": "vm1"}.get(rules.tunnel)
        if self.far:
            rows = [["chassis-add", CHASSIS, "geneve", HERE], ["chassis-add", PEER, "geneve", THERE]]
            self.central.ctl("sb", [*rows, ["lsp-bind", self.far, PEER]])
            encaps = Tables(self.central.dump()).rows["Encap"]
            self.central.ctl("sb", [["set", "Encap", row["_uuid"][1], f"options:csum={str(rules.checksum).lower()}"] for row in encaps])
            self.central.ctl("nb", [["sync"]], "--wait=sb")
        self.dump = self.central.dump()

    def tunnel(self) -> Tunnel:
        """By which packets of vm1 reach vm2 here."""
        tables = Tables(self.dump)
        ports = {row["logical_port"]: row for row in tables.rows["Port_Binding"]}
        keys = {row["_uuid"][1]: row["tunnel_key"] for row in tables.rows["Datapath_Binding"]}
        sink = ports["vm2"]
        source = next(row for row in ports.values() if row["datapath"] == sink["datapath"] and row is not sink)
        return Tunnel(keys[sink["datapath"][1]], source["tunnel_key"] << 16 | sink["tunnel_key"], self.checksum)

    @property
    def remote(self) -> str:
        """Where a chassis finds the rows."""
        return self.central.remotes["sb"]
