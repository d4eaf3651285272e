"""Cases for tests/northd_diff.rs: random command lines, and what the real ovn-nbctl and ovn-northd made of them.

`scripts/northd-diff` sees to packages first. The networks are made by `edits`, line by line, since the next line depends on
what was accepted; the test does the same lines afterwards and compares.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType

from benchlib.fault import Fault

from .edits import CHASSIS, Command, Editor
from .real import Central

_LIMIT = 20
# Command lines that a topology is made with, besides those that it begins with.
_LINES = (30, 80)
# What a chassis of the release can do. For others ovn-northd makes other flows.
_FEATURES = ("ct-no-masked-label", "mac-binding-timestamp", "ovn-ct-lb-related", "port-up-notif")
# Edits between two comparisons.
_EACH = 10


class Case:
    """A network on the real ones, and the case that it becomes."""

    def __init__(self, folder: Path, name: str, stack: ExitStack) -> None:
        self.folder = folder
        self.name = name
        self.lines: list[str] = []
        self.dumps = 0
        self.accepted = 0
        scratch = folder / f"{name}.real"
        scratch.mkdir()
        self.central = Central(scratch, stack)
        self.central.start()

    def do(self, commands: list[Command]) -> bool:
        """One command line, with the effect waited for. Without that new datapaths would get their keys in any order."""
        words = [word for command in commands for word in ["--", *command]][1:]
        argv = ["ovn-nbctl", f"--db={self.central.remotes['nb']}", f"--timeout={_LIMIT}", "--no-syslog", "--wait=sb", "--", *words]
        env = {**os.environ, **self.central.env}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT + 5, env=env)
        self.central.northd.check()
        if done.returncode < 0 or "Alarm clock" in done.stderr:
            raise Fault(f"{self.name}: {shlex.join(words)}: ovn-nbctl ended with {done.returncode}")
        self.lines.append(("! " if done.returncode else "$ ") + shlex.join(words))
        self.accepted += not done.returncode
        return not done.returncode

    def place(self, what: str, chassis: str) -> None:
        """A chassis comes or goes."""
        commands = [["chassis-del", chassis]]
        if what == "add":
            commands = [["chassis-add", chassis, "geneve", f"192.0.2.{CHASSIS.index(chassis) + 1}"]]
            commands += [["set", "Chassis", chassis, *(f"other_config:{one}=true" for one in _FEATURES)]]
        self.central.ctl("sb", commands)
        self.lines.append(f"% {what} {chassis}")
        self.do([["sync"]])

    def compare(self) -> None:
        name = f"{self.name}-{self.dumps}.json"
        (self.folder / name).write_text(self.central.dump())
        self.lines.append(f"= {name}")
        self.dumps += 1

    def finish(self) -> None:
        (self.folder / f"{self.name}.txt").write_text("".join(line + "\n" for line in self.lines))


def topology(folder: Path, seed: int, number: int) -> Case:
    """A network that is compared when it is complete."""
    rng = Random(f"northd {seed}/{number}")
    with ExitStack() as stack:
        case = Case(folder, f"network-{seed}-{number:03}", stack)
        editor = Editor(rng, case.do, case.place, grows=True)
        editor.begin()
        for _ in range(rng.randint(*_LINES)):
            editor.step()
        case.compare()
        case.finish()
    return case


def history(folder: Path, seed: int, edits: int) -> Case:
    """A network that is compared after each tenth edit."""
    rng = Random(f"northd {seed}/history")
    with ExitStack() as stack:
        case = Case(folder, f"history-{seed}", stack)
        editor = Editor(rng, case.do, case.place, grows=False)
        editor.begin()
        start = last = case.accepted
        while case.accepted < start + edits:
            editor.step()
            if case.accepted >= last + _EACH:
                case.compare()
                last += _EACH
        case.compare()
        case.finish()
    return case


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/northd-diff")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topologies", type=int, default=100, metavar="N")
    parser.add_argument("--edits", type=int, default=300, metavar="N")
    parser.add_argument("--only", type=int, metavar="K")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    if any(args.folder.iterdir()):
        print(f"scripts/northd-diff: {args.folder} is not empty", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    numbers = range(args.topologies) if args.only is None else [args.only]
    makers = [partial(topology, args.folder, args.seed, number) for number in numbers]
    if args.edits and args.only is None:
        makers.insert(0, partial(history, args.folder, args.seed, args.edits))
    failed = lines = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [pool.submit(maker) for maker in makers]
        try:
            for number, one in enumerate(made):
                try:
                    lines += len(one.result().lines)
                except (Fault, subprocess.TimeoutExpired) as fault:
                    print(f"scripts/northd-diff: {fault}", file=sys.stderr)
                    failed += 1
                if sys.stderr.isatty():
                    print(f"[{number + 1}/{len(made)}]", end="\r", file=sys.stderr)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    print(f"{len(made)} networks, {lines} command lines; {failed} failed")
    return 1 if failed else 0


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


sys.exit(main())
