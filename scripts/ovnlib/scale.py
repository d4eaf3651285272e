"""A large network by the real ovn-northd, on one switch: how long until packets go, and how much memory it takes.

`scripts/scale` sees to packages and binaries first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from benchlib.fault import Fault
from benchlib.proc import CORES, Process, run, wait_for
from benchlib.rpc import Client

from .chassis import Chassis
from .chassis import Rows as Connection
from .real import Central

CHASSIS = "scale"
# Ports that a switch of ours may have (docs/architecture.md).
MOST_PORTS = 256
# Whatever it is, it does not take longer.
_LIMIT = 900
# Commands of one ovn-nbctl.
COMMANDS = 8000
_CONFIG = """
[control]
socket = "{socket}"
mode = "0600"
[workers]
cores = [{core}]
idle_sleep = "20us"
[ovn]
state = ""
[log]
filter = "warn,millrace::control::chassis=debug"
"""
_LOWERED = re.compile(r"rows lowered .*?took=(\S+)")
_FOLLOWED = re.compile(r"rows and ports followed changed=(\S+) claimed=(\S+) settled=(\S+) up=(\S+)")
_UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}


def _mac(kind: int, n: int, p: int) -> str:
    return ":".join(f"{byte:02x}" for byte in (2, kind, n >> 8, n & 255, p >> 8, p & 255))


@dataclass(frozen=True)
class Network:
    """Switches with ports, each switch on one of the routers, and a rule with a set of addresses for every port."""

    switches: int
    ports: int
    routers: int
    addresses: int

    def router(self, n: int) -> int:
        """Neighbours have the same."""
        return n * self.routers // self.switches

    def mac(self, n: int, p: int) -> str:
        return _mac(0, n, p)

    def address(self, n: int, p: int) -> str:
        """A /22 of its own for each switch, of which the router has the first address."""
        at = (10 << 24) + (n << 10) + p + 2
        return ".".join(str(byte) for byte in at.to_bytes(4, "big"))

    def name(self, n: int, p: int) -> str:
        return f"vm{n}-{p}"

    def commands(self) -> list[list[str]]:
        """What ovn-nbctl is told."""
        words: list[list[str]] = [["lr-add", f"r{r}"] for r in range(self.routers)]
        members: list[str] = []
        for n in range(self.switches):
            words.append(["ls-add", f"s{n}"])
            for p in range(self.ports):
                name, address = self.name(n, p), f"{self.mac(n, p)} {self.address(n, p)}"
                words.append(["lsp-add", f"s{n}", name])
                words.append(["lsp-set-addresses", name, address])
                words.append(["lsp-set-port-security", name, address])
                members.append(name)
            up, down = f"s{n}-up", f"r{self.router(n)}-s{n}"
            words.append(["lrp-add", f"r{self.router(n)}", down, _mac(1, n, 0), f"{self.address(n, -1)}/22"])
            words.append(["lsp-add", f"s{n}", up])
            words.append(["lsp-set-type", up, "router"])
            words.append(["lsp-set-addresses", up, "router"])
            words.append(["lsp-set-options", up, f"router-port={down}"])
        friends = ",".join(map(self.friend, range(self.addresses)))
        words.append(["create", "Address_Set", "name=friends", f"addresses={friends}"])
        words.append(["pg-add", "all", *members])
        rules = (("outport == @all && ip4.src == $friends && tcp.dst == {80, 443}", 1001, "allow"),
                 ("outport == @all && ip4 && tcp.dst == {25, 139, 445}", 1000, "drop"))  # fmt: skip
        for match, priority, action in rules:
            words.append(["--type=port-group", "acl-add", "all", "to-lport", str(priority), match, action])
        return words

    @staticmethod
    def friend(n: int) -> str:
        return f"172.{16 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"

    def bound(self, most: int) -> list[tuple[int, int]]:
        """The ports that are bound here, spread over all switches, so that every router and switch is here."""
        every = [(n, p) for p in range(self.ports) for n in range(self.switches)]
        if len(every) <= most:
            return sorted(every)
        if self.switches <= most:
            return sorted(every[:most])
        return [(i * self.switches // most, 0) for i in range(most)]

    def frame(self, source: tuple[int, int], sink: tuple[int, int]) -> bytes:
        """UDP of IPv4 from one port to another, by the router where they are on two switches."""
        to = self.mac(*sink) if source[0] == sink[0] else _mac(1, source[0], 0)
        macs = bytes.fromhex((to + self.mac(*source)).replace(":", ""))
        ends = b"".join(bytes(map(int, self.address(*end).split("."))) for end in (source, sink))
        head = bytes.fromhex("4500002e000040004011") + b"\0\0" + ends
        total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        head = head[:10] + (0xFFFF - total).to_bytes(2, "big") + head[12:]
        return macs + b"\x08\x00" + head + bytes.fromhex("04d2162e001a0000") + bytes(18)


@dataclass
class Figures:
    """What one side takes: milliseconds, and KiB for each port of the network."""

    first: float = 0
    bound: int = 0
    flows: int = 0
    ports: list[float] = field(default_factory=list)
    addresses: list[float] = field(default_factory=list)
    kib: float = 0
    # Of which: parts by name.
    parts: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "bound_ports": self.bound, "flows": self.flows, "first_packet_ms": self.first,
            "one_more_port_ms": statistics.median(self.ports), "one_more_port_worst_ms": max(self.ports),
            "one_more_address_ms": statistics.median(self.addresses), "kib_per_port": self.kib, "parts": self.parts,
        }  # fmt: skip


class Millrace:
    """Our switch, without DPDK, its ports in memory."""

    def __init__(self, folder: Path, binaries: Path, stack: ExitStack, text: str = _CONFIG) -> None:
        self.folder = folder
        self.log = folder / "millraced.log"
        self.socket = folder / "millraced.ctl"
        self.command = binaries / "millrace"
        config = folder / "millraced.toml"
        config.write_text(text.replace("{socket}", str(self.socket)).replace("{core}", str(CORES[-1])))
        argv = [str(binaries / "millraced"), "--no-dpdk", "--config", str(config)]
        # The control thread is left free of the worker's core, as it would be on a host.
        self.process = Process(argv, self.log, nice=None)
        stack.callback(self.process.stop)
        wait_for("millraced answers", 30, self._answers, self.process)
        stack.callback(self.client.close)

    def _answers(self) -> bool:
        self.process.check()
        try:
            self.client = Client(self.socket, _LIMIT)
        except OSError:
            return False
        return True

    def add(self, name: str) -> None:
        self.client.call("port/add", name, "type=memory", f"iface_id={name}")

    def remove(self, name: str) -> None:
        self.client.call("port/del", name)

    def load(self, dump: Path) -> float:
        """How long the command takes, from the shell."""
        began = time.monotonic()
        run([str(self.command), "-t", str(self.socket), "sbctl", "load", str(dump), "--chassis", CHASSIS], _LIMIT)
        return since(began)

    def sent(self, name: str) -> int:
        return int(self.client.json("port/stats", name)[0]["device"]["opackets"])

    def arrive(self, source: str, sink: str, frame: bytes) -> None:
        """Answered commands are what packets meet, so the first packet has to arrive."""
        self.client.call("inject", source, frame.hex())
        if not self.sent(sink):
            raise Fault(f"a packet from {source} to {sink} does not arrive: {self.client.call('stats')}")

    def resident(self) -> int:
        return resident(self.process)

    def said(self) -> str:
        """Its log, without colours."""
        return re.sub("\x1b\\[[0-9;]*m", "", self.log.read_text())

    def parts(self, known: int = 0) -> list[dict[str, float]]:
        """Of each time that rows and ports were followed, but for the first `known`, what took how long.

        What is not lowering up to `changed` is the batch and its publication.
        """
        found, lowered = [], []
        for line in self.said().splitlines():
            if match := _LOWERED.search(line):
                lowered.append(milliseconds(match[1]))
            elif match := _FOLLOWED.search(line):
                changed, claimed, settled, up = map(milliseconds, match.groups())
                first = lowered[0] if lowered else 0.0
                found.append({"lowering": first, "batch": changed - first, "claim": claimed - changed,
                              "settling": settled - claimed, "up": up - settled})  # fmt: skip
                lowered = []
        return found[known:]


def milliseconds(text: str) -> float:
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]


def since(began: float) -> float:
    return (time.monotonic() - began) * 1000


def resident(process: Process) -> int:
    """KiB of memory."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]


@dataclass
class Rows:
    """What northd made: the dump, and the same with one address more."""

    dump: Path
    one_more: Path
    count: int
    flows: int
    northd: float


def make_rows(network: Network, central: Central, folder: Path) -> Rows:
    """The databases are filled before northd begins, which would do everything anew for each command else."""
    began = time.monotonic()
    commands = [["init"], *network.commands()]
    for first in range(0, len(commands), COMMANDS):
        central.ctl("nb", commands[first : first + COMMANDS])
    central.ctl("sb", [["chassis-add", CHASSIS, "geneve", "127.0.0.1"]])
    central.start_northd()
    central.ctl("nb", [["sync"]], "--wait=sb")
    took = since(began)
    dump, one_more = folder / "sb.json", folder / "sb-more.json"
    dump.write_text(text := central.dump())
    add_friend(network, central, network.addresses)
    one_more.write_text(central.dump())
    tables = [json.loads(line) for line in text.splitlines()]
    flows = next(len(table["data"]) for table in tables if table["caption"].startswith("Logical_Flow"))
    return Rows(dump, one_more, sum(len(table["data"]) for table in tables), flows, took)


def add_friend(network: Network, central: Central, n: int) -> None:
    central.ctl("nb", [["add", "Address_Set", "friends", "addresses", f'"{network.friend(n)}"']], "--wait=sb")


def measure_ours(args: argparse.Namespace, network: Network, rows: Rows, folder: Path) -> Figures:
    """One port is held back; it comes and goes, and each time a packet is sent to it."""
    found = Figures()
    with ExitStack() as stack:
        switch = Millrace(folder, args.bins, stack)
        *here, late = network.bound(args.bound)
        for end in here:
            switch.add(network.name(*end))
        found.bound = len(here) + 1
        source = here[0]
        sink = partner(network, source, here)
        before = switch.resident()
        began = time.monotonic()
        switch.load(rows.dump)
        loaded = since(began)
        switch.arrive(network.name(*source), network.name(*sink), network.frame(source, sink))
        found.first = since(began)
        found.kib = (switch.resident() - before) / (network.switches * network.ports)
        parts = switch.parts()[-1]
        found.parts["first packet"] = {"reading": loaded - sum(parts.values()), **parts, "packet": found.first - loaded}
        found.flows = len(switch.client.call("ofctl/dump-flows").splitlines())

        source = partner(network, late, here)
        name, frame = network.name(*late), network.frame(source, late)
        known, of_port = len(switch.parts()), []
        for _ in range(args.rounds):
            began = time.monotonic()
            switch.add(name)
            added = since(began)
            switch.arrive(network.name(*source), name, frame)
            # What was answered for is what packets meet. `inject` waits for the worker in steps of a millisecond.
            found.ports.append(added)
            parts = switch.parts(known)[0]
            of_port.append({"opening": added - sum(parts.values()), **parts, "packet": since(began) - added})
            switch.remove(name)
            known = len(switch.parts())
        found.parts["one more port"] = medians(of_port)

        of_address = []
        for _ in range(args.rounds):
            switch.load(rows.one_more)
            parts = switch.parts(known)[0]
            # Reading the whole dump again is what a change of one row does not need.
            found.addresses.append(parts["lowering"] + parts["batch"] + parts["settling"])
            of_address.append(parts)
            switch.load(rows.dump)
            known = len(switch.parts())
        found.parts["one more address"] = medians(of_address)
    return found


def medians(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in parts) for name in parts[0]}


def measure_peer(args: argparse.Namespace, network: Network, central: Central, folder: Path) -> Figures:
    """The same with the real ovn-controller. northd stays out of it: what ports come up is no concern of its here."""
    found = Figures()
    with ExitStack() as stack:
        chassis = Chassis(folder / "chassis", central.remotes["sb"], CHASSIS, stack)
        *here, late = network.bound(args.bound)
        names = [network.name(*end) for end in here]
        for first in range(0, len(names), 50):
            chassis.add(names[first : first + 50])
        found.bound = len(here) + 1
        source = here[0]
        sink = partner(network, source, here)
        central.northd.pause()
        stack.callback(central.northd.resume)
        before = resident(chassis.switch)
        began = time.monotonic()
        chassis.start_controller()
        await_packet(chassis, network, source, sink, _LIMIT)
        found.first = since(began)
        database = Connection(folder / "sb.sock", "OVN_Southbound")
        stack.callback(database.socket.close)
        commit(database, 1)
        grown = resident(chassis.switch) + resident(chassis.controller) - before
        found.kib = grown / (network.switches * network.ports)
        found.flows = chassis.flows()

        name, source = network.name(*late), partner(network, late, here)
        for _ in range(args.rounds):
            began = time.monotonic()
            chassis.add([name], "--no-wait")
            await_packet(chassis, network, source, late, 60)
            found.ports.append(since(began))
            chassis.remove(name)
            time.sleep(1)
        for n in range(args.rounds):
            began = time.monotonic()
            commit(database, n + 2, network.friend(network.addresses + n + 1))
            found.addresses.append(since(began))
    return found


def await_packet(
    chassis: Chassis, network: Network, source: tuple[int, int], sink: tuple[int, int], limit: float
) -> None:
    frame, end = network.frame(source, sink), time.monotonic() + limit
    while not chassis.passes(network.name(*source), network.name(*sink), frame):
        if time.monotonic() > end:
            raise Fault(f"no packet comes through Open vSwitch within {limit} s:\n{chassis.controller.tail()}")
        time.sleep(0.002)


def commit(database: Connection, number: int, address: str | None = None) -> None:
    """Adds an address, and waits until the chassis has said that it is there."""
    operations: list[dict[str, Any]] = []
    if address:
        where = [["name", "==", "friends"]]
        operations.append({"op": "mutate", "table": "Address_Set", "where": where,
                           "mutations": [["addresses", "insert", address]]})  # fmt: skip
    operations.append({"op": "update", "table": "SB_Global", "where": [], "row": {"nb_cfg": number}})
    database.transact(*operations)
    ask = {"op": "select", "table": "Chassis_Private", "where": [["name", "==", CHASSIS]], "columns": ["nb_cfg"]}
    end = time.monotonic() + _LIMIT
    while not any(row["nb_cfg"] == number for row in database.transact(ask)[0]["rows"]):
        if time.monotonic() > end:
            raise Fault(f"ovn-controller has not caught up within {_LIMIT} s")
        time.sleep(0.001)


def partner(network: Network, end: tuple[int, int], ends: list[tuple[int, int]]) -> tuple[int, int]:
    """Another of these, on another switch at the same router."""
    for other in ends:
        if other[0] != end[0] and network.router(other[0]) == network.router(end[0]):
            return other
    raise Fault("no two switches with bound ports are on one router; take more --bound or fewer --switches")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/scale", description="Large logical networks by the real ovn-northd.")
    parser.add_argument("--switches", type=int, default=1000, metavar="N")
    parser.add_argument("--ports", type=int, default=10, metavar="P", help="of a switch")
    parser.add_argument("--routers", type=int, metavar="R", help="a tenth of the switches, if not given")
    parser.add_argument("--addresses", type=int, default=100, metavar="A", help="in the set that a rule names")
    parser.add_argument("--bound", type=int, default=MOST_PORTS, metavar="B", help="ports that are bound here")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="store_true", help="the real ovn-controller with Open vSwitch besides")
    parser.add_argument("--northbound", action="store_true", help="compile and keep the network here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave dumps and logs there")
    parser.add_argument("--bins", type=Path, default=Path(os.environ["BINARIES"]), help="where millrace and millraced are")
    args = parser.parse_args()
    args.routers = args.routers or max(1, args.switches // 10)
    if args.switches < 2 * args.routers or min(args.ports, args.addresses, args.rounds) < 1:
        parser.error("each router takes two switches at least, and of all else there has to be one")
    if not 3 <= args.bound <= MOST_PORTS:
        parser.error(f"a switch has at most {MOST_PORTS} ports, and it takes 3")
    return args


# Key, words, aim, unit.
AIMS: tuple[tuple[str, str, float | None, str], ...] = (
    ("first_packet_ms", "time to the first packet", 2000.0, "ms"),
    ("one_more_port_ms", "one more port", 2.0, "ms"),
    ("one_more_address_ms", "one more address", None, "ms"),
    ("kib_per_port", "memory a port", 4.0, "KiB"),
)


def show(network: Network, rows: Rows, found: dict[str, dict[str, Any]]) -> None:
    size = rows.dump.stat().st_size >> 20
    print(
        f"{network.switches} switches with {network.ports} ports, {network.routers} routers: {rows.count} rows, of "
        f"which {rows.flows} logical flows, made in {rows.northd / 1000:.0f} s; {size} MiB"
    )
    for who, figures in found.items():
        print(f"{who}: {figures['bound_ports']} ports bound, {figures['flows']} flows")
        for key, what, aim, unit in AIMS:
            wanted = f", aim {aim:g}: {'met' if figures[key] <= aim else 'missed'}" if aim else ""
            of = f" (median; worst {figures['one_more_port_worst_ms']:.1f})" if key == "one_more_port_ms" else ""
            print(f"  {what:<25} {figures[key]:9.1f} {unit}{of}{wanted if who == 'millrace' else ''}")
        for what, parts in figures["parts"].items():
            print(f"  of {what}: " + ", ".join(f"{name} {took:.2f}" for name, took in parts.items()) + " ms")
    if (peer := found.get("ovn-controller")) is not None:
        ours = found["millrace"]
        ratios = [f"{what} {ours[key] / peer[key]:.3f}" for key, what, *_ in AIMS]
        print("millrace to ovn-controller: " + ", ".join(ratios))


def go(args: argparse.Namespace, folder: Path) -> None:
    network = Network(args.switches, args.ports, args.routers, args.addresses)
    with ExitStack() as stack:
        central = Central(folder, stack)
        central.start_databases()
        rows = make_rows(network, central, folder)
        found = {"millrace": measure_ours(args, network, rows, folder).as_json()}
        if args.peer:
            found["ovn-controller"] = measure_peer(args, network, central, folder).as_json()
    if args.json:
        print(json.dumps({"rows": rows.count, "logical_flows": rows.flows, "made_ms": rows.northd, **found}, indent=1))
    else:
        show(network, rows, found)


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    args = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-scale-") as scratch:
            folder = args.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            (typed.go if args.northbound else go)(args, folder.resolve())
            return 0
    except Fault as fault:
        print(f"scripts/scale: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    from . import typed

    sys.exit(main())
