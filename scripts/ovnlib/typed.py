"""Large logical networks that are typed in: our switch compiles and lowers them, the real ovn-northd and ovn-controller do."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchlib.proc import run

from . import scale
from .chassis import Chassis
from .real import Central
from .scale import CHASSIS, Millrace, Network, await_packet, partner, resident, since

# Networks that come later.
LATE = "late"
_LIMIT = 900
_READ = re.compile(r"Northbound read .*?took=(\S+) compiled=(\S+) in_force=(\S+)")
_CHANGED = re.compile(r"Northbound changed rows=(\d+) units=(\d+) compiled=(\S+) kept=(\S+)")
_CONFIG = """
[ovn]
system_id = "{chassis}"
state = "{state}"
[control]
socket = "{socket}"
mode = "0600"
[workers]
cores = [{core}]
idle_sleep = "20us"
[log]
filter = "warn,millrace::control::chassis=debug,millrace::control::northbound=debug"
"""
_PORT = """
[[port]]
name = "{name}"
type = "memory"
iface_id = "{name}"
"""


class Typed(Millrace):
    """Our switch, whose networks are kept. It can be started again."""

    def __init__(self, folder: Path, binaries: Path, stack: ExitStack, names: list[str]) -> None:
        self.binaries, self.stack = binaries, stack
        self.text = _CONFIG.replace("{chassis}", CHASSIS).replace("{state}", str(folder / "kept"))
        self.text += "".join(_PORT.format(name=name) for name in names)
        super().__init__(folder, binaries, stack, self.text)

    def started_again(self) -> tuple[float, list[float]]:
        """Kills it; how long the next one takes to answer, and of that: rows read, compiled, met by packets."""
        self.process.child.kill()
        self.process.child.wait()
        began = time.monotonic()
        super().__init__(self.folder, self.binaries, self.stack, self.text)
        # Its socket is there before it reads what was kept.
        self.client.call("version")
        took = since(began)
        found = _READ.findall(self.said())[-1]
        return took, [scale.milliseconds(text) for text in found]

    def changes(self) -> list[dict[str, float]]:
        """Of each change, how many rows and units it concerned, and milliseconds until it was compiled and kept."""
        found = []
        for rows, units, compiled, kept in _CHANGED.findall(self.said()):
            compiled, kept = scale.milliseconds(compiled), scale.milliseconds(kept)
            found.append({"rows": int(rows), "units": int(units), "compiling": compiled, "keeping": kept - compiled})
        return found

    def nbctl(self, commands: list[list[str]]) -> float:
        began = time.monotonic()
        words = [word for command in commands for word in ["--", *command]][1:]
        self.client.call("nbctl", *words)
        return since(began)


def one_port(network: Network, end: tuple[int, int]) -> tuple[list[list[str]], list[list[str]]]:
    """What makes a port of the network, and what takes it away."""
    name, address = network.name(*end), f"{network.mac(*end)} {network.address(*end)}"
    make = [["lsp-add", f"s{end[0]}", name], ["lsp-set-addresses", name, address],
            ["lsp-set-port-security", name, address]]  # fmt: skip
    return make, [["lsp-del", name]]


def one_switch(network: Network, name: str) -> tuple[list[list[str]], list[list[str]]]:
    """A switch with a port, on a router."""
    make = [["ls-add", "more"], ["lsp-add", "more", name], ["lsp-set-addresses", name, "02:09:00:00:00:01 172.31.0.2"],
            ["lrp-add", "r0", "r0-more", "02:09:00:00:00:02", "172.31.0.1/24"], ["lsp-add", "more", "more-up"],
            ["lsp-set-type", "more-up", "router"], ["lsp-set-addresses", "more-up", "router"],
            ["lsp-set-options", "more-up", "router-port=r0-more"]]  # fmt: skip
    return make, [["ls-del", "more"], ["lrp-del", "r0-more"]]


def measure_ours(args: argparse.Namespace, network: Network, dump: Path, folder: Path) -> dict[str, Any]:
    with ExitStack() as stack:
        ends = network.bound(args.bound - 2)
        # One more than the network has.
        late = (ends[0][0], network.ports)
        names = [network.name(*end) for end in [*ends, late]] + [LATE]
        (folder / "typed").mkdir()
        switch = Typed(folder / "typed", args.bins, stack, names)
        source = ends[0]
        sink = partner(network, source, ends)
        before = switch.resident()
        began = time.monotonic()
        run([str(switch.command), "-t", str(switch.socket), "nbctl", "load", str(dump)], _LIMIT)
        loaded = since(began)
        switch.arrive(network.name(*source), network.name(*sink), network.frame(source, sink))
        first = since(began)
        grown = (switch.resident() - before) / (network.switches * network.ports)
        compiled = switch.changes()[0]

        ports, of_port, arrived = [], [], []
        make, take = one_port(network, late)
        sender = partner(network, late, ends)
        for _ in range(args.rounds):
            known = len(switch.changes())
            began = time.monotonic()
            ports.append(switch.nbctl(make))
            switch.arrive(network.name(*sender), network.name(*late), network.frame(sender, late))
            arrived.append(since(began))
            of_port.append(switch.changes()[known])
            switch.nbctl(take)
        switches, of_switch = [], []
        make, take = one_switch(network, LATE)
        for _ in range(args.rounds):
            known = len(switch.changes())
            switches.append(switch.nbctl(make))
            of_switch.append(switch.changes()[known])
            switch.nbctl(take)
        answered, (read, in_rows, in_force) = switch.started_again()
        switch.arrive(network.name(*source), network.name(*sink), network.frame(source, sink))
        return {
            "first_packet_ms": first, "compiling_ms": compiled["compiling"], "keeping_ms": compiled["keeping"],
            "answered_ms": loaded, "kib_per_port": grown,
            "one_more_port_ms": statistics.median(ports), "one_more_port_worst_ms": max(ports),
            "one_more_port_packet_ms": statistics.median(arrived),
            "one_more_switch_ms": statistics.median(switches),
            "of_port": scale.medians(of_port), "of_switch": scale.medians(of_switch),
            "start_ms": answered, "start_read_ms": read, "start_compiled_ms": in_rows, "start_in_force_ms": in_force,
        }  # fmt: skip


def measure_peer(args: argparse.Namespace, network: Network, central: Central, folder: Path) -> dict[str, Any]:
    """The databases hold the network; northd begins, and when it is done ovn-controller."""
    with ExitStack() as stack:
        ends = network.bound(args.bound - 2)
        late = (ends[0][0], network.ports)
        names = [network.name(*end) for end in [*ends, late]] + [LATE]
        began = time.monotonic()
        central.start_northd()
        central.ctl("nb", [["sync"]], "--wait=sb")
        compiled = since(began)
        chassis = Chassis(folder / "peer", central.remotes["sb"], CHASSIS, stack)
        for first in range(0, len(names), 50):
            chassis.add(names[first : first + 50])
        before = resident(chassis.switch)
        began = time.monotonic()
        chassis.start_controller()
        source = ends[0]
        sink = partner(network, source, ends)
        await_packet(chassis, network, source, sink, _LIMIT)
        lowered = since(began)
        central.ctl("nb", [["sync"]], "--wait=hv")
        grown = resident(chassis.switch) + resident(chassis.controller) + resident(central.northd) - before
        make, take = one_port(network, late)
        sender = partner(network, late, ends)
        ports = []
        for _ in range(min(args.rounds, 3)):
            began = time.monotonic()
            central.ctl("nb", make)
            await_packet(chassis, network, sender, late, _LIMIT)
            ports.append(since(began))
            central.ctl("nb", take, "--wait=hv")
        make, take = one_switch(network, LATE)
        switches = []
        for _ in range(min(args.rounds, 3)):
            began = time.monotonic()
            central.ctl("nb", make, "--wait=hv")
            switches.append(since(began))
            central.ctl("nb", take, "--wait=hv")
        return {
            "first_packet_ms": compiled + lowered, "compiling_ms": compiled,
            "kib_per_port": grown / (network.switches * network.ports),
            "one_more_port_packet_ms": statistics.median(ports), "one_more_switch_ms": statistics.median(switches),
        }  # fmt: skip


# Key, words, aim.
_AIMS = (
    ("compiling_ms", "compiled from nothing", 2000.0),
    ("first_packet_ms", "to the first packet", None),
    ("one_more_port_ms", "one more port, answered", 2.0),
    ("one_more_port_packet_ms", "one more port, its first packet", None),
    ("one_more_switch_ms", "one more switch, answered", None),
    ("start_read_ms", "start: read", 1000.0),
    ("start_compiled_ms", "start: read and compiled", None),
    ("start_ms", "start: answers, packets forwarded", None),
)


def show(network: Network, found: dict[str, dict[str, Any]]) -> None:
    print(f"{network.switches} switches with {network.ports} ports, {network.routers} routers")
    for who, figures in found.items():
        print(f"{who}:")
        for key, what, aim in _AIMS:
            if key in figures:
                wanted = f", aim {aim:g}: {'met' if figures[key] <= aim else 'missed'}" if aim else ""
                print(f"  {what:<34} {figures[key]:9.1f} ms{wanted if who == 'millrace' else ''}")
        print(f"  {'memory a port':<34} {figures['kib_per_port']:9.1f} KiB")
        for key, what in (("of_port", "one more port"), ("of_switch", "one more switch")):
            if key in figures:
                print(f"  of {what}: " + ", ".join(f"{name} {took:.2f}" for name, took in figures[key].items()))


def go(args: argparse.Namespace, folder: Path) -> None:
    network = Network(args.switches, args.ports, args.routers, args.addresses)
    with ExitStack() as stack:
        central = Central(folder, stack)
        central.start_databases()
        commands = [["init"], *network.commands()]
        for first in range(0, len(commands), scale.COMMANDS):
            central.ctl("nb", commands[first : first + scale.COMMANDS])
        central.ctl("sb", [["chassis-add", CHASSIS, "geneve", "127.0.0.1"]])
        dump = folder / "nb.json"
        dump.write_text(central.dump("nb"))
        found = {"millrace": measure_ours(args, network, dump, folder)}
        if args.peer:
            found["ovn-northd and ovn-controller"] = measure_peer(args, network, central, folder)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        show(network, found)
