"""Two switches on one underlay, random traffic and a stranger's Geneve, while everything comes and goes: is every packet
accounted for, does memory stay as it is, does it forward as before? `scripts/soak` sees to packages and binaries first.

The same seed makes the same frames and the same changes in the same order; how they meet is chance.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from benchlib.fault import Fault
from benchlib.proc import CORES, Process

from . import lab
from .hosts import UPLINK, OurHost
from .interop import INNER_MTU, MACS
from .lab import Guest, Machine, Namespace

ADDRESSES = ("192.168.50.100/24", "192.168.50.101/24")
CHASSIS = ("hv1", "hv2")
# Chassis that are told of and are not there.
GHOSTS = ["192.168.50.51", "192.168.50.52", "192.168.50.53"]
# Caches that are full after seconds, so that what grows behind that is something else.
_CACHE = "[cache]\nmegaflows = 4096\nmegaflows_per_port = 2048\nemc_entries = 4096\nmax_idle = \"2s\"\n"
# KiB that a switch may grow behind the warm-up. What it remembers of changes that are past is bounded by what is there, and
# takes 2 MiB of so few networks once it is full, which it may not be yet by then.
GROWTH_KIB = 4 << 10
# Packets that may wait for neighbours while machines speak.
WAITING = 256
_MACHINES = (
    Guest("vm1", "40:44:00:00:00:01", ("192.168.0.11/24", "fd00:0:0:1::11/64"), ("192.168.0.1", "fd00:0:0:1::1")),
    Guest("vm2", "40:44:00:00:00:02", ("192.168.0.12/24", "fd00:0:0:1::12/64"), ("192.168.0.1", "fd00:0:0:1::1")),
    Guest("vm3", "40:44:00:00:00:05", ("192.168.1.13/24", "fd00:0:0:2::13/64"), ("192.168.1.1", "fd00:0:0:2::1")),
    Guest("vm4", "40:44:00:00:00:06", ("192.168.1.14/24", "fd00:0:0:2::14/64"), ("192.168.1.1", "fd00:0:0:2::1")),
)
_ROUTERS = {"network1": "40:44:00:00:00:03", "network2": "40:44:00:00:00:04"}


def triple(guest: Guest) -> list[str]:
    return [guest.mac, guest.ip(4), guest.ip(6)]


class Soak:
    """The two hosts, their machines, and what is done to them."""

    def __init__(self, args: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.args = args
        self.rng = Random(args.seed)
        self.folder = folder
        self.stack = stack
        self.blasters: list[Process] = []
        self.wrong: list[str] = []
        self.done = 0
        self.refused: dict[str, int] = {}
        self.seen = [0, 0]
        self.first_rss: list[int] | None = None
        self.growth = 0

    # What there is.

    def build(self) -> None:
        prefix = lab.prefix()
        wire = Namespace(f"{prefix}-wire", self.folder, self.stack)
        self.where = [Namespace(f"{prefix}-{name}", self.folder, self.stack) for name in CHASSIS]
        stranger = Namespace(f"{prefix}-odd", self.folder, self.stack)
        wire.ip("link", "add", "wire", "type", "bridge")
        wire.ip("link", "set", "wire", "up")
        for end, (where, mac) in enumerate([*zip(self.where, MACS), (stranger, "02:99:00:00:00:01")]):
            lab.cable(wire, f"end{end}", where, UPLINK, 1500, ("", mac))
            wire.quiet(f"end{end}")
            where.quiet(UPLINK)
            wire.ip("link", "set", f"end{end}", "master", "wire")
        self.wire, self.stranger = wire, stranger
        # vm1 and vm3 on the first host, vm2 and vm4 on the second.
        self.machines = [
            Machine(f"{prefix}-{guest.name}", guest, self.where[index % 2], 1500) for index, guest in enumerate(_MACHINES)
        ]
        for machine in self.machines:
            machine.ip("link", "set", "eth0", "mtu", str(INNER_MTU[4]))
        self.hosts = []
        for index, (where, name, address) in enumerate(zip(self.where, CHASSIS, ADDRESSES)):
            core = CORES[-1 - index % len(CORES)]
            host = OurHost(where, self.args.bins, name, address, bfd=True, more=_CACHE, core=core)
            self.hosts.append(host)
            for machine in self.machines[index::2]:
                host.attach(machine)
        self.network()
        self.peers()

    def network(self) -> None:
        words = ["ls-add network1 -- ls-add network2 -- lr-add router1"]
        for number, (network, mac) in enumerate(_ROUTERS.items()):
            addresses = f"192.168.{number}.1/24 fd00:0:0:{number + 1}::1/64"
            words.append(
                f"lrp-add router1 to-{network} {mac} {addresses} -- lsp-add {network} {network}-router1"
                f" -- lsp-set-type {network}-router1 router -- lsp-set-addresses {network}-router1 router"
                f" -- lsp-set-options {network}-router1 router-port=to-{network}"
            )
        for line in words:
            self.everywhere(*line.split())
        for index, guest in enumerate(_MACHINES):
            self.port(guest, f"network{1 + index // 2}")

    def port(self, guest: Guest, network: str) -> None:
        self.everywhere("lsp-add", network, guest.name, "--", "lsp-set-addresses", guest.name, " ".join(triple(guest)))

    def peers(self) -> None:
        for index, host in enumerate(self.hosts):
            other = 1 - index
            self.sbctl(host, "--may-exist", "chassis-add", CHASSIS[other], "geneve", self.hosts[other].encap_ip)
            for guest in _MACHINES[other::2]:
                self.sbctl(host, "--may-exist", "lsp-bind", guest.name, CHASSIS[other])

    # What is done.

    def sbctl(self, host: OurHost, *words: str) -> None:
        self.ask(host, "sbctl", *words)

    def everywhere(self, *words: str) -> None:
        for host in self.hosts:
            self.ask(host, "nbctl", *words)

    def ask(self, host: OurHost, *words: str) -> None:
        """A command that may be refused, since chance makes it; how often each is, is told at the end."""
        argv = [str(host.binaries / "millrace"), "-t", str(host.socket), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        self.done += 1
        host.process.check()
        if done.returncode == 1:
            what = " ".join(words[:3 if words[1].startswith("--") else 2])
            self.refused[what] = self.refused.get(what, 0) + 1
            if self.args.verbose:
                print(f"    {' '.join(words)}: {done.stderr.strip()}")
        elif done.returncode:
            raise Fault(f"{' '.join(words)} on {host.name}: status {done.returncode}: {done.stderr.strip()}")

    def change(self) -> None:
        """One of many, here and there."""
        rng = self.rng
        changes = (self.change_port, self.change_extra_port, self.change_ghost, self.change_peer, self.change_binding,
                   self.change_route, self.change_neighbour, self.change_address, self.change_link, self.change_logical_port,
                   self.change_mtu, self.change_uplink)  # fmt: skip
        rng.choice(changes)()

    def change_port(self) -> None:
        """A machine is unplugged and plugged in again."""
        index = self.rng.randrange(2)
        machine = self.rng.choice(self.machines[index::2])
        host = self.hosts[index]
        self.ask(host, "port", "del", machine.guest.name)
        name = machine.guest.name
        self.ask(host, "port", "add", name, "type=af_packet", f"iface={name}", f"iface_id={name}")

    def change_extra_port(self) -> None:
        """A logical port that is bound here or no longer."""
        name = f"extra{self.rng.randrange(4)}"
        host = self.rng.choice(self.hosts)
        if self.rng.random() < 0.5:
            self.ask(host, "port", "add", name, "type=null", "no_rx=true", f"iface_id={name}")
        else:
            self.ask(host, "port", "del", name)

    def change_logical_port(self) -> None:
        name = f"extra{self.rng.randrange(4)}"
        if self.rng.random() < 0.5:
            self.everywhere("--may-exist", "lsp-add", "network1", name, "--", "lsp-set-addresses", name, "unknown")
        else:
            self.everywhere("--if-exists", "lsp-del", name)

    def change_ghost(self) -> None:
        """A chassis that is not there, with a port: floods and some unicast try to reach it."""
        index = self.rng.randrange(len(GHOSTS))
        host = self.rng.choice(self.hosts)
        if self.rng.random() < 0.6:
            self.sbctl(host, "--may-exist", "chassis-add", f"ghost{index}", "geneve", GHOSTS[index])
            self.sbctl(host, "lsp-bind", f"extra{self.rng.randrange(4)}", f"ghost{index}")
        else:
            self.sbctl(host, "--if-exists", "chassis-del", f"ghost{index}")

    def change_peer(self) -> None:
        """The other host is forgotten, and known again."""
        index = self.rng.randrange(2)
        self.sbctl(self.hosts[index], "--if-exists", "chassis-del", CHASSIS[1 - index])
        self.peers()

    def change_binding(self) -> None:
        index = self.rng.randrange(2)
        guest = self.rng.choice(_MACHINES[1 - index :: 2])
        self.sbctl(self.hosts[index], "--if-exists", "lsp-unbind", guest.name)
        self.sbctl(self.hosts[index], "lsp-bind", guest.name, CHASSIS[1 - index])

    def change_route(self) -> None:
        net = f"10.{self.rng.randrange(8)}.0.0/16"
        hop = f"192.168.{self.rng.randrange(2)}.{self.rng.randrange(11, 40)}"
        if self.rng.random() < 0.6:
            self.everywhere("--may-exist", "lr-route-add", "router1", net, hop)
        else:
            self.everywhere("--if-exists", "lr-route-del", "router1", net)

    def change_neighbour(self) -> None:
        mac = f"02:00:00:00:{self.rng.getrandbits(8):02x}:01"
        words = ["to-network1", f"192.168.0.{self.rng.randrange(20, 40)}"]
        if self.rng.random() < 0.6:
            self.everywhere("--may-exist", "static-mac-binding-add", *words, mac)
        else:
            self.everywhere("--if-exists", "static-mac-binding-del", *words)

    def change_address(self) -> None:
        """A machine's MAC address is another for a moment, by the rows."""
        guest = self.rng.choice(_MACHINES)
        other = [f"40:44:00:00:{self.rng.getrandbits(8):02x}:07", *triple(guest)[1:]]
        self.everywhere("lsp-set-addresses", guest.name, " ".join(other))
        self.everywhere("lsp-set-addresses", guest.name, " ".join(triple(guest)))

    def change_link(self) -> None:
        """The wire of a host is cut for a moment."""
        end = f"end{self.rng.randrange(2)}"
        self.wire.ip("link", "set", end, "down")
        time.sleep(0.2)
        self.wire.ip("link", "set", end, "up")

    def change_mtu(self) -> None:
        """A machine's port takes less for a moment."""
        index = self.rng.randrange(2)
        machine = self.rng.choice(self.machines[index::2])
        for mtu in (1400, 1500):
            self.ask(self.hosts[index], "port", "set-mtu", machine.guest.name, str(mtu))

    def change_uplink(self) -> None:
        """The port to the other hosts goes, and comes back; sometimes it takes less."""
        host = self.rng.choice(self.hosts)
        for mtu in (1300, 1500) if self.rng.random() < 0.3 else (1500,):
            self.ask(host, "port", "del", UPLINK)
            self.ask(host, "port", "add", UPLINK, "type=af_packet", f"iface={UPLINK}", f"mtu={mtu}")

    # Traffic.

    def blast(self, where: Namespace, kind: str, interface: str, spec: dict[str, Any]) -> None:
        argv = [sys.executable, "-m", "ovnlib.blast", kind, interface, str(self.rng.getrandbits(32)), str(self.args.rate)]
        self.blasters.append(where.start(f"blast-{interface}", [*argv, json.dumps(spec)]))

    def traffic(self) -> None:
        every = [triple(guest) for guest in _MACHINES]
        routers = [[mac, every[2][1], every[2][2]] for mac in _ROUTERS.values()]
        routers += [[mac, f"10.{n}.0.1", "fd00:9::1"] for n, mac in enumerate(_ROUTERS.values())]
        for machine in self.machines:
            self.blast(machine, "machine", "eth0", {"own": triple(machine.guest), "others": every + routers})
        endpoints = [[mac, address.split("/")[0]] for mac, address in zip(MACS, ADDRESSES)]
        inner = {"own": every[0], "others": every + routers, "sizes": (0, 18, 64, 1000, 1380)}
        self.blast(self.stranger, "stranger", UPLINK, {"endpoints": endpoints, "ghosts": GHOSTS, "inner": inner})

    # What is looked at.

    def look(self, minute: float, last: bool = False) -> None:
        """At a quiet moment: the accounting, the memory; one line. Until the last one the machines themselves
        still speak, and what they say may wait for a neighbour."""
        for blaster in self.blasters:
            blaster.pause()
        parts, resident = [], []
        for index, host in enumerate(self.hosts):
            stats = self.settled(host, last)
            packets = stats["received"] + stats["injected"] + stats["originated"] + stats["copied"]
            if stats["imbalance"] or stats["in_flight"] > (0 if last else WAITING):
                self.wrong.append(f"{host.name}: imbalance {stats['imbalance']}, {stats['in_flight']} in flight")
            if last and (taken := self.taken(host)):
                self.wrong.append(f"{host.name}: buffers that are not free: {taken}")
            if packets < self.seen[index]:
                self.wrong.append(f"{host.name}: counters went back")
            names = len([name for name, count in stats["drops"].items() if count])
            share = sum(stats["drops"].values()) * 100 // max(1, packets)
            parts.append(f"{host.name} {packets} packets (+{packets - self.seen[index]}), {share} % dropped by {names} names")
            self.seen[index] = packets
            resident.append(rss(host.process))
        if self.first_rss is None and minute >= self.warm_up:
            self.first_rss = resident
        for host, now, first in zip(self.hosts, resident, self.first_rss or resident):
            self.growth = max(self.growth, now - first)
            if now - first > GROWTH_KIB:
                self.wrong.append(f"{host.name}: memory grew by {(now - first) >> 10} MiB behind the warm-up")
        memory = ", ".join(f"{now / 1024:.1f}" for now in resident)
        print(f"[{minute:5.2f} min] {'; '.join(parts)}; {self.done} changes; {memory} MiB; "
              f"{self.wrong[-1] if self.wrong else 'as it should be'}", flush=True)  # fmt: skip
        for blaster in self.blasters:
            blaster.resume()

    def settled(self, host: OurHost, last: bool) -> dict[str, Any]:
        """Its accounting when nothing is on its way any more, or some time later: the machine may be busy with other things."""
        end = time.monotonic() + (60 if last else 15)
        while True:
            stats: dict[str, Any] = host.client.json("stats")
            waiting = 0 if last else WAITING
            if (stats["in_flight"] <= waiting and not stats["imbalance"]) or time.monotonic() > end:
                return stats
            time.sleep(0.1)

    @staticmethod
    def taken(host: OurHost) -> dict[str, int]:
        """Packet buffers that did not come back although nothing is on its way, by port."""
        ports = [port for port in host.client.json("port/stats") if port.get("buffers")]
        taken = {port["name"]: port["buffers"]["size"] - port["buffers"]["free"] for port in ports}
        return {name: count for name, count in taken.items() if count}

    @property
    def warm_up(self) -> float:
        return min(5.0, self.args.minutes / 3)

    def go(self) -> None:
        one, two = self.machines[:2]
        if not one.reaches(two.guest.ip(4)):
            raise Fault(f"a first ping is not answered within 20 s; {self.hosts[0].millrace('show')}")
        self.traffic()
        began = time.monotonic()
        end = began + self.args.minutes * 60
        every = min(60.0, self.args.minutes * 60 / 4)
        next_look = began + every
        while time.monotonic() < end:
            self.change()
            time.sleep(self.rng.random() * 2 / self.args.changes)
            if time.monotonic() >= next_look:
                next_look += every
                self.look((time.monotonic() - began) / 60)
            if self.args.fail_fast and self.wrong:
                return
        for blaster in self.blasters:
            blaster.stop()
        self.blasters.clear()
        self.afterwards()
        for machine in self.machines:
            machine.ip("link", "set", "eth0", "down")
        self.look((time.monotonic() - began) / 60, last=True)

    def afterwards(self) -> None:
        """All is as at first, and it still forwards."""
        for index, host in enumerate(self.hosts):
            self.wire.ip("link", "set", f"end{index}", "up")
            listed = host.millrace("port", "list")
            for machine in self.machines[index::2]:
                if not re.search(rf"\b{machine.guest.name}\b", listed):
                    host.attach(machine)
        for ghost in range(len(GHOSTS)):
            for host in self.hosts:
                self.sbctl(host, "--if-exists", "chassis-del", f"ghost{ghost}")
        self.peers()
        for source in self.machines:
            for target in self.machines:
                if source is not target and not source.reaches(target.guest.ip(4), 15):
                    self.wrong.append(f"{source.guest.name} no longer reaches {target.guest.name}")


def rss(process: Process) -> int:
    """KiB of memory of its own. DPDK's is shared, as large as the config says, and touched little by little."""
    status = Path(f"/proc/{process.child.pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Two switches, random traffic and churn.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1000.0, help="frames a second of each of five senders")
    parser.add_argument("--changes", type=float, default=10.0, help="a second, at most")
    parser.add_argument("--fail-fast", action="store_true", help="end with the first thing that is wrong")
    parser.add_argument("--verbose", action="store_true", help="print every command that was refused")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave configs and logs there")
    parser.add_argument("--bins", type=Path, default=Path(os.environ["BINARIES"]), help="where millrace and millraced are")
    return parser.parse_args()


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _overdue(_: int, __: FrameType | None) -> None:
    raise Fault("it took far longer than asked and was ended")


def main() -> int:
    args = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    signal.signal(signal.SIGALRM, _overdue)
    signal.alarm(int(args.minutes * 90 + 300))
    soak = None
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-soak-") as scratch, ExitStack() as stack:
            folder = (args.keep or Path(scratch)).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            soak = Soak(args, folder, stack)
            soak.build()
            soak.go()
            for host in soak.hosts:
                print(f"{host.name} dropped {host.drops()}")
    except Fault as fault:
        print(f"scripts/soak: {fault}", file=sys.stderr)
        return 1
    print(f"refused: {soak.refused or 'nothing'}")
    for what in soak.wrong:
        print(f"wrong: {what}")
    print(f"seed {args.seed}, {args.minutes:g} minutes, {soak.done} changes: "
          f"{'not as it should be' if soak.wrong else f'everything accounted for; memory grew by at most {soak.growth / 1024:.1f} MiB behind the warm-up'}")  # fmt: skip
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
