"""Two hosts on one underlay, one of them a real chassis of OVN: does what one of them sends reach the other, and is what is on
the wire what it should be? `scripts/ovn-interop` sees to packages and binaries first."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from benchlib.fault import Fault

from . import lab
from .hosts import UPLINK, OurHost, RealHost
from .lab import Capture, Guest, Machine, Namespace
from .real import Central

# What the endpoints have on the underlay.
ADDRESSES = {4: ("192.168.50.100/24", "192.168.50.101/24"), 6: ("fd50::100/64", "fd50::101/64")}
MACS = ("52:54:00:13:e0:a2", "52:54:00:ac:67:5b")
CHASSIS = ("hv1", "hv2")
# Of 1500 bytes on the underlay Geneve with OVN's option takes 58 from inner packets, 78 over IPv6.
INNER_MTU = {4: 1442, 6: 1422}
VM1, VM2 = "40:44:00:00:00:01", "40:44:00:00:00:02"
_SECONDS = 600


@dataclass(frozen=True)
class Scene:
    """A network, the machines of it, and the TTL with which pings arrive."""

    name: str
    commands: list[str]
    guests: tuple[Guest, Guest]
    ttl: int


def _router_port(network: str, port: str, mac: str, addresses: str) -> list[str]:
    peer = f"{network}-router1"
    return [
        f"lrp-add router1 {port} {mac} {addresses}", f"lsp-add {network} {peer}", f"lsp-set-type {peer} router",
        f"lsp-set-addresses {peer} router", f"lsp-set-options {peer} router-port={port}",
    ]  # fmt: skip


SWITCHED = Scene(
    "switched",
    ["ls-add network1", "lsp-add network1 vm1", "lsp-add network1 vm2"],
    (Guest("vm1", VM1, ("192.168.0.11/24", "fd00:0:0:1::11/64")), Guest("vm2", VM2, ("192.168.0.12/24", "fd00:0:0:1::12/64"))),
    64,
)
ROUTED = Scene(
    "routed",
    ["ls-add network1", "ls-add network2", "lsp-add network1 vm1", "lsp-add network2 vm2", "lr-add router1",
     *_router_port("network1", "router1-net1", "40:44:00:00:00:03", "192.168.0.1/24 fd00:0:0:1::1/64"),
     *_router_port("network2", "router1-net2", "40:44:00:00:00:04", "192.168.1.1/24 fd00:0:0:2::1/64")],
    (Guest("vm1", VM1, ("192.168.0.11/24", "fd00:0:0:1::11/64"), ("192.168.0.1", "fd00:0:0:1::1")),
     Guest("vm2", VM2, ("192.168.1.11/24", "fd00:0:0:2::11/64"), ("192.168.1.1", "fd00:0:0:2::1"))),
    63,
)  # fmt: skip
SCENES = {scene.name: scene for scene in (SWITCHED, ROUTED)}


def addresses_of(guest: Guest) -> list[str]:
    """As a logical port's row has them: in one text."""
    return ["lsp-set-addresses", guest.name, " ".join([guest.mac, *(one.split("/")[0] for one in guest.addresses)])]


class Run:
    """One scene between two hosts."""

    def __init__(self, args: argparse.Namespace, scene: Scene, folder: Path, stack: ExitStack) -> None:
        self.args = args
        self.scene = scene
        self.folder = folder
        self.stack = stack
        self.bad = 0
        self.real: list[RealHost] = []
        self.ours: list[OurHost] = []
        folder.mkdir(parents=True)

    def check(self, what: str, fault: object) -> None:
        """One line; anything but an empty fault is one."""
        if fault:
            self.bad += 1
        print(f"  {'✗' if fault else '✓'} {what}{f': {fault}' if fault else ''}", flush=True)

    def build(self) -> None:
        self.central = Central(self.folder, self.stack)
        self.central.start()
        words = [["init"], *(line.split() for line in self.scene.commands[:])]
        # An address list behind a router port is several words of one command, as typed.
        self.central.ctl("nb", words + [addresses_of(guest) for guest in self.scene.guests], "--wait=sb")
        names = [f"{lab.prefix()}-{chassis}" for chassis in CHASSIS]
        self.where = [Namespace(name, self.folder, self.stack) for name in names]
        lab.cable(self.where[0], UPLINK, self.where[1], UPLINK, 1500, ("02:50:00:00:00:01", "02:50:00:00:00:02"))
        for where in self.where:
            where.quiet(UPLINK)
        # A switch has a machine's cable before the machine is made, so both are made here.
        mtu = INNER_MTU[self.args.underlay]
        self.machines = [
            Machine(f"{lab.prefix()}-{guest.name}", guest, where, 1500) for guest, where in zip(self.scene.guests, self.where)
        ]
        for machine in self.machines:
            machine.ip("link", "set", "eth0", "mtu", str(mtu))
        remote = self.central.remotes["sb"]
        addresses = ADDRESSES[self.args.underlay]
        for index in (1, 0) if self.args.real_both else (1,):
            host = RealHost(self.where[index], remote, CHASSIS[index], self.stack, addresses[index], MACS[index], self.args.dpdk)
            self.real.append(host)
            host.attach(self.machines[index])
        if not self.args.real_both:
            ours = OurHost(self.where[0], self.args.bins, CHASSIS[0], addresses[0], bfd=True, mac=MACS[0])
            self.ours.append(ours)
            ours.attach(self.machines[0])
            self.central.ctl("sb", [["chassis-add", CHASSIS[0], "geneve", ours.encap_ip], ["lsp-bind", "vm1", CHASSIS[0]]])
            self.central.ctl("nb", [["sync"]], "--wait=sb")
            ours.load(self.central.dump())
        for host in self.real:
            host.await_tunnel()

    def go(self) -> None:
        one, two = self.machines
        capture = Capture(self.where, UPLINK, "wire", 2000)
        for version in (4, 6):
            if not one.reaches(two.guest.ip(version)):
                self.check(f"IPv{version}: a first ping", "not answered within 20 s")
                print("\n".join("      " + line for line in self.state().splitlines()))
        for version in (4, 6):
            for source, target in ((one, two), (two, one)):
                what = f"ping IPv{version}, {source.guest.name} to {target.guest.name}, ttl={self.scene.ttl}"
                self.check(what, source.pings(target.guest.ip(version), ttl=self.scene.ttl))
        size = INNER_MTU[self.args.underlay] - 28
        self.check(f"ping with {size} bytes, as much as fits", one.pings(two.guest.ip(4), size=size))
        self.look(capture.end(), 20)
        capture = Capture(self.where, UPLINK, "wire-iperf3", 5000)
        self.throughput(one, two)
        self.look(capture.end(), 1000)
        if self.ours:
            self.too_large(one, two)
        self.bfd()
        for ours in self.ours:
            quiet = self.until(5, lambda ours=ours: ours.imbalance() == 0)
            self.check("every packet is accounted for", "" if quiet else f"imbalance {ours.imbalance()}")
            print(f"    dropped by {ours.name}: {ours.drops() or 'nothing'}")

    def throughput(self, one: Machine, two: Machine) -> None:
        seconds = 1 if self.args.slice else 3
        kinds: tuple[tuple[str, list[str], tuple[int, ...]], ...] = (
            ("TCP", [], (4,) if self.args.slice else (4, 6)),
            ("UDP, 50 Mbit/s", ["--udp", "--bitrate", "50M", "--length", "1200"], (4,) if self.args.slice else (4, 6)),
        )
        for what, words, versions in kinds:
            for version in versions:
                for source, target in ((one, two), (two, one)):
                    seen = source.sends(target, version, seconds, *words)
                    label = f"iperf3 {what}, IPv{version}, {source.guest.name} to {target.guest.name}"
                    enough = 1 if not words else 25
                    self.check(f"{label}: {seen:.0f} Mbit/s", "" if seen > enough else f"less than {enough}")

    def too_large(self, one: Machine, two: Machine) -> None:
        """What does not fit the tunnel is answered, and TCP goes on. The real one of 23.03 loses it, so this is one way."""
        fits = INNER_MTU[self.args.underlay]
        for machine in (one, two):
            machine.ip("link", "set", "eth0", "mtu", "1500")
        for version, header in ((4, 28), (6, 48)):
            ping = ["ping", "-n", "-c", "2", "-W", "1", "-M", "do", "-s", str(1500 - header), two.guest.ip(version)]
            _, said = one.ask(*ping)
            told = re.search(rf"mtu[ =:]+{fits}\b", said)
            self.check(f"IPv{version} of 1500 bytes is answered: only {fits} fit", "" if told else said.strip())
            one.ip("route", "flush", "cache")
        seen = one.sends(two, 4, 1)
        self.check(f"iperf3 TCP with segments of 1500 bytes goes on: {seen:.0f} Mbit/s", "" if seen > 1 else "nothing")
        for machine in (one, two):
            machine.ip("link", "set", "eth0", "mtu", str(fits))

    def look(self, file: Path, least: int) -> None:
        """What is on the wire is decoded without a warning, checked by checksums, and between these two."""
        rows = lab.tshark(file, "-Y", lab.GENEVE, "-T", "fields", "-e", "frame.number")
        self.check(f"on the wire: {len(rows)} Geneve frames", "" if len(rows) >= least else f"fewer than {least}")
        self.check("tshark warns of nothing", "; ".join(lab.faults(file)[:4]))
        unchecked = lab.unchecked(file)
        self.check("outer UDP checksums are there and right", f"{unchecked} are not" if unchecked else "")
        found = lab.tunnels(file)
        ends = {address.split("/")[0] for address in ADDRESSES[self.args.underlay]}
        strange = [one for one in found if {one[0], one[1]} != ends or (one[2] != "0x000000" and one[3] != "0x0102/0x80")]
        self.check("they are between the two endpoints, with OVN's option", strange[:3])
        for row in sorted(found)[:8] if self.args.verbose else []:
            print("    " + " ".join(row))

    def bfd(self) -> None:
        capture = Capture(self.where, UPLINK, "wire-bfd", 500)
        for host in self.real:
            host.start_bfd()
        for host in self.real:
            up = self.until(15, lambda host=host: host.bfd() == "up")
            self.check(f"BFD, by {host.name} (Open vSwitch)", "" if up else f"{host.bfd() or 'no state'} after 15 s")
        for ours in self.ours:
            up = self.until(15, lambda ours=ours: "Local Session State: up" in ours.said("bfd", "show"))
            self.check(f"BFD, by {ours.name} (millrace)", "" if up else f"not up after 15 s:\n{ours.said('bfd', 'show')}")
        time.sleep(0.5)
        file = capture.end()
        rows = lab.tshark(file, "-Y", "geneve.vni == 0 && bfd", "-T", "fields", "-e", "bfd.sta")
        self.check(f"on the wire: {len(rows)} BFD packets in VNI 0", "" if rows else "none")
        self.check("tshark warns of nothing", "; ".join(lab.faults(file)[:4]))
        for host in self.real:
            host.controller.resume()

    def until(self, seconds: float, true: Callable[[], bool]) -> bool:
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def state(self) -> str:
        """What helps to find out."""
        texts = [host.shown() for host in self.real]
        for ours in self.ours:
            texts += [ours.said(*words) for words in (("show",), ("underlay", "show"), ("drops",), ("sbctl", "show"))]
        return "\n".join(texts)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/ovn-interop", description="millrace and a real OVN on one underlay.")
    parser.add_argument("--scene", choices=SCENES, action="append", help="left out: all")
    parser.add_argument("--underlay", type=int, choices=(4, 6), default=4, help="IP version of the underlay")
    parser.add_argument("--dpdk", action="store_true", help="the real one is OVS-DPDK")
    parser.add_argument("--real-both", action="store_true", help="both are real: what this script and this machine can do")
    parser.add_argument("--slice", action="store_true", help="a part, within a minute")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave captures, dumps and logs there")
    parser.add_argument("--bins", type=Path, default=Path(os.environ["BINARIES"]), help="where millrace and millraced are")
    return parser.parse_args()


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _overdue(_: int, __: FrameType | None) -> None:
    raise Fault(f"it took longer than {_SECONDS} s and was ended")


def main() -> int:
    args = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    signal.signal(signal.SIGALRM, _overdue)
    bad = 0
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-interop-") as scratch:
            for name in args.scene or SCENES:
                signal.alarm(_SECONDS)
                print(f"{name}: {'both are real' if args.real_both else 'millrace and the real one'}", flush=True)
                with ExitStack() as stack:
                    run = Run(args, SCENES[name], (args.keep or Path(scratch)).resolve() / name, stack)
                    run.build()
                    run.go()
                    bad += run.bad
                signal.alarm(0)
    except Fault as fault:
        print(f"scripts/ovn-interop: {fault}", file=sys.stderr)
        return 1
    print(f"{bad} check(s) failed" if bad else "all checks passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
