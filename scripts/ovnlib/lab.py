"""Machines on cables: network namespaces and veths, what is asked inside them, and what goes over the wire.

All names have our pid in them, so that two runs side by side do not meet. What was made is taken away again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchlib.proc import Process, run, wait_for

# Expert information of tshark that says nothing against the packets: resets by which iperf3 ends, what TCP does about loss,
# and the zero that a machine's kernel writes as 0xffff into TCP too, one packet in 65536 (skb_checksum_help).
_NO_FAULT = ("Connection reset (RST)", "D-SACK Sequence", "TCP Checksum 0xffff instead of 0x0000")
_WARNING = 0x600000
# Not what an error of ICMP quotes, which is cut.
GENEVE = 'frame.protocols matches "^eth:ethertype:ip(v6)?:udp:geneve"'


class Namespace:
    """A network namespace, and what runs in it."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        self.name = name
        self.folder = folder
        self.stack = stack
        run(["ip", "netns", "add", name])
        stack.callback(self._remove)
        self.ip("link", "set", "lo", "up")

    def _remove(self) -> None:
        for pid in run(["ip", "netns", "pids", self.name]).split():
            subprocess.run(["kill", "-KILL", pid], capture_output=True)
        run(["ip", "netns", "del", self.name])

    @property
    def inside(self) -> list[str]:
        """What goes in front of a command."""
        return ["ip", "netns", "exec", self.name]

    def ip(self, *words: str) -> str:
        return run(["ip", "-n", self.name, *words])

    def run(self, *argv: str, seconds: float = 30) -> str:
        return run([*self.inside, *argv], seconds)

    def ask(self, *argv: str, seconds: float = 30) -> tuple[int, str]:
        """A command that may fail: its status, and all that it said."""
        try:
            done = subprocess.run([*self.inside, *argv], capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return 124, f"{argv[0]} took longer than {seconds} s"
        return done.returncode, done.stdout + done.stderr

    def start(self, name: str, argv: list[str]) -> Process:
        process = Process([*self.inside, *argv], self.folder / f"{self.name}-{name}.log", nice=None)
        self.stack.callback(process.stop)
        return process

    def quiet(self, interface: str) -> None:
        """An end of a cable that a switch has: the kernel says nothing there, and leaves frames as they are."""
        conf = "/proc/sys/net/ipv{}/conf/" + interface
        # Without the latter it answers there for addresses that other interfaces have.
        self.ask("sh", "-c", f"echo 1 > {conf.format(6)}/disable_ipv6; echo 8 > {conf.format(4)}/arp_ignore")
        self.ask("ethtool", "-K", interface, "tx", "off", "gro", "off")
        self.ip("link", "set", interface, "up")


def cable(one: Namespace, left: str, other: Namespace, right: str, mtu: int = 1500, macs: tuple[str, str] = ("", "")) -> None:
    """A veth between two namespaces."""
    ends = [["mtu", str(mtu), *(["address", mac] if mac else [])] for mac in macs]
    run(["ip", "link", "add", left, "netns", one.name, *ends[0], "type", "veth",
         "peer", "name", right, "netns", other.name, *ends[1]])  # fmt: skip


@dataclass(frozen=True)
class Guest:
    """What a machine at a logical port is: addresses with their prefixes, and gateways."""

    name: str
    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()

    def ip(self, version: int) -> str:
        """Its address of that family."""
        return next(one.split("/")[0] for one in self.addresses if (":" in one) == (version == 6))


class Machine(Namespace):
    """A machine at the end of a cable from a switch; its interface is eth0."""

    def __init__(self, name: str, guest: Guest, host: Namespace, mtu: int) -> None:
        super().__init__(name, host.folder, host.stack)
        self.guest = guest
        cable(host, guest.name, self, "eth0", mtu, ("", guest.mac))
        host.quiet(guest.name)
        # A switch is no memory: checksums are made, and frames have at most the MTU.
        self.run("ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.ip("link", "set", "eth0", "up")
        for address in guest.addresses:
            self.ip("address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        for gateway in guest.gateways:
            self.ip("route", "add", "default", "via", gateway)

    def pings(self, address: str, count: int = 5, size: int = 56, ttl: int | None = None) -> str:
        """Nothing if all of them are answered (with that TTL), else what went wrong."""
        words = ["ping", "-n", "-c", str(count), "-i", "0.1", "-W", "2", "-s", str(size), "-M", "do", address]
        status, said = self.ask(*words, seconds=count + 10)
        if status or " 0% packet loss" not in said:
            return said.strip()
        seen = {int(found) for found in re.findall(r"ttl=(\d+)", said)}
        return "" if ttl is None or seen == {ttl} else f"ttl={seen}, not {ttl}"

    def reaches(self, address: str, seconds: float = 20) -> bool:
        """Whether one ping is answered in that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ask("ping", "-n", "-c", "1", "-W", "1", address)[0] == 0:
                return True
            time.sleep(0.2)
        return False

    def sends(self, other: Machine, version: int, seconds: float, *words: str) -> float:
        """Mbit/s that the other one received by iperf3."""
        server = other.start("iperf3", ["iperf3", "--server", "--one-off"])
        wait_for("iperf3 listens", 5, lambda: ":5201" in other.run("ss", "-Hltn"), server)
        argv = ["iperf3", "--client", other.guest.ip(version), "--json", "--time", str(seconds), *words]
        _, said = self.ask(*argv, seconds=seconds + 20)
        server.stop()
        try:
            end = json.loads(said).get("end", {})
            if "sum_received" in end:
                return float(end["sum_received"]["bits_per_second"]) / 1e6
            total = end["sum"]
            return float(total["bits_per_second"] * (1 - total["lost_percent"] / 100)) / 1e6
        except (json.JSONDecodeError, KeyError, TypeError):
            return 0.0


class Capture:
    """What comes in by an interface of some namespaces, in a file: whole frames, so that checksums can be checked.

    Both ends of a wire are listened to, since what a driver sends past the kernel's queues nobody hears where it is sent.
    """

    def __init__(self, ends: list[Namespace], interface: str, name: str, most: int = 20_000) -> None:
        self.file = ends[0].folder / f"{name}.pcap"
        self.parts = [end.folder / f"{name}-{end.name}.pcap" for end in ends]
        self.processes = []
        options = ["--immediate-mode", "-U", "-Q", "in", "-s", "0", "-B", "16384", "-c", str(most), "-Z", "root"]
        for end, part in zip(ends, self.parts):
            process = end.start(f"tcpdump-{name}", ["tcpdump", "-i", interface, "-w", str(part), *options])
            self.processes.append(process)
        for process in self.processes:
            wait_for("tcpdump listens", 10, lambda process=process: "listening on" in process.tail(), process)

    def end(self) -> Path:
        time.sleep(0.3)
        for process in self.processes:
            process.stop()
        run(["mergecap", "-w", str(self.file), *map(str, self.parts)])
        for part in self.parts:
            part.unlink()
        return self.file


def tshark(file: Path, *words: str) -> list[list[str]]:
    """Lines of fields, with every checksum looked at; streams are not, since packets of a switch may be lost."""
    preferences = [f"{protocol}.check_checksum:TRUE" for protocol in ("ip", "udp", "tcp")]
    preferences.append("tcp.analyze_sequence_numbers:FALSE")
    # What iperf3 says is not to be taken for other protocols.
    plain = ["-d", "tcp.port==5201,data", "-d", "udp.port==5201,data"]
    argv = ["tshark", "-n", "-r", str(file), *plain, *(word for one in preferences for word in ("-o", one)), *words]
    env = {"HOME": "/nonexistent", "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/tmp")}
    return [line.split("\t") for line in run(argv, 120, env).splitlines()]


def faults(file: Path) -> list[str]:
    """What tshark warns of, or cannot decode, with the number of the first such frame."""
    wrong = f"_ws.malformed || _ws.expert.severity >= {_WARNING} || _ws.short"
    fields = [word for name in ("frame.number", "_ws.expert.severity", "_ws.expert.message") for word in ("-e", name)]
    found: dict[str, str] = {}
    for number, _, messages in tshark(file, "-Y", wrong, "-T", "fields", "-E", "aggregator=|", *fields):
        for message in messages.split("|"):
            if message and not message.startswith(_NO_FAULT):
                found.setdefault(message, number)
    return [f"frame {number}: {message}" for message, number in found.items()]


def tunnels(file: Path) -> set[tuple[str, str, str, str, str]]:
    """Source and target of the tunnel, VNI, and class and type with the data of OVN's option, of all Geneve frames."""
    names = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "geneve.vni", "geneve.option.class", "geneve.option.type",
             "geneve.option.unknown.data")  # fmt: skip
    fields = [word for name in names for word in ("-e", name)]
    found = set()
    for row in tshark(file, "-Y", GENEVE, "-T", "fields", "-E", "occurrence=f", *fields):
        src4, dst4, src6, dst6, vni, group, kind, data = row + [""] * (8 - len(row))
        outer = (src4, dst4)
        if src6 and _outer_is_ipv6(src6):
            outer = (src6, dst6)
        found.add((*outer, vni, f"{group}/{kind}", data))
    return found


def _outer_is_ipv6(address: str) -> bool:
    return address.startswith("fd50:")


def unchecked(file: Path) -> int:
    """Geneve frames without an outer UDP checksum, or with a wrong one."""
    rows = tshark(file, "-Y", GENEVE, "-T", "fields", "-E", "occurrence=f", "-e", "udp.checksum", "-e", "udp.checksum.status")
    return sum(1 for checksum, status in rows if int(checksum, 16) == 0 or status != "1")


def prefix() -> str:
    return f"mr{os.getpid()}"
