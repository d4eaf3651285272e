"""The command line; `scripts/ovn-diff` sees to packages and binaries first."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from benchlib.fault import Fault

from . import lowered
from .compare import Trace, compare, difference, stages_of
from .microflow import Generator, Microflow
from .ours import Ours
from .real import Answer, Central
from .services import Services
from .topology import Builder, Topology

# Of all answers, so many percent must come to something.
ENOUGH = 60
# How often microflows are made until there are enough that ovn-trace has a trace for.
_TRIES = 5
# One topology takes seconds.
TOPOLOGY_SECONDS = 600


@dataclass
class Sum:
    """What a run has seen."""

    traced: int = 0
    empty: int = 0
    aborted: int = 0
    refused: int = 0
    endless: int = 0
    choices: int = 0
    differences: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    forks: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)

    def share(self) -> float:
        return 100 * (self.traced - self.empty) / max(1, self.traced)

    def print(self) -> None:
        width = max(map(len, self.known), default=0)
        print("stages and how often a trace showed them:")
        for stage in sorted(self.known, key=lambda one: (-self.stages[one], one)):
            print(f"  {stage:{width}} {self.stages[stage]:6}")
        for what, counts in (("headings", self.forks), ("kinds of microflows", self.kinds)):
            print(f"{what}: " + ", ".join(f"{one} {count}" for one, count in counts.most_common()))
        print(
            f"{self.traced} microflows, {self.share():.1f} % of the answers not empty, "
            f"{len([one for one in self.known if self.stages[one]])} of {len(self.known)} stages; left out: "
            f"ovn-trace aborted {self.aborted}, both refused {self.refused}; we gave up {self.endless} that go round; "
            f"{self.choices} choices among equal priorities; {self.differences} difference(s)"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/ovn-diff", description="Our tracer beside the real ovn-trace, on random networks."
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topologies", type=int, default=100, metavar="N")
    parser.add_argument("--microflows", type=int, default=3000, metavar="M", help="of all topologies together")
    parser.add_argument("--only", type=int, metavar="K", help="of the topologies only number K")
    parser.add_argument("--slice", action="store_true", help="a small part: 6 topologies, 180 microflows")
    parser.add_argument("--self", action="store_true", help="the real tool beside itself: does the generator do?")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave databases, dumps and microflows there")
    parser.add_argument("--dumps", type=Path, metavar="DIR", help="only write dumps of networks for tests/ovn_lowered.rs")
    parser.add_argument("--bins", type=Path, default=Path(os.environ["BINARIES"]), help="where millrace and millraced are")
    args = parser.parse_args()
    if args.slice:
        args.topologies, args.microflows = 6, 180
    return args


@dataclass
class Run:
    args: argparse.Namespace
    folder: Path
    ours: Ours | None
    sum: Sum = field(default_factory=Sum)

    def topology(self, number: int) -> None:
        """Makes one network and asks both sides."""
        rng = Random(f"{self.args.seed}/{number}")
        topology = Builder(rng).build()
        Services(rng, topology).add()
        generator = Generator(rng, topology)
        folder = self.folder / f"{self.args.seed}-{number}"
        folder.mkdir(parents=True)
        lines = (shlex.join(command) for command in topology.commands)
        (folder / "topology.nbctl").write_text("".join(f"ovn-nbctl {line}\n" for line in lines))
        with ExitStack() as stack, (folder / "microflows").open("w") as file:
            central = Central(folder, stack)
            central.start()
            dump = central.build(topology)
            (folder / "sb-dump.json").write_text(dump)
            self.sum.known |= stages_of(dump)
            if self.ours:
                self.ours.load(dump)
                self.same_list(number, central)
            # What ovn-trace has no trace for does not count.
            end = self.sum.traced + self.each()
            for _ in range(_TRIES):
                flows = [generator.next() for _ in range(end - self.sum.traced)]
                file.writelines(command(flow) + "\n" for flow in flows)
                self.ask(number, central, dump, flows)

    def ask(self, number: int, central: Central, dump: str, flows: list[Microflow]) -> None:
        """Puts questions to both sides."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = list(pool.map(central.trace, flows))
            seconds = list(pool.map(central.trace, flows)) if self.ours is None else [None] * len(flows)
        for flow, real, second in zip(flows, answers, seconds):
            self.judge(number, dump, flow, real, second)

    def each(self) -> int:
        return max(1, self.args.microflows // self.args.topologies)

    def same_list(self, number: int, central: Central) -> None:
        """The logical flows are printed as ovn-sbctl prints them."""
        real, mine = central.lflow_list(), self.ours.lflow_list() if self.ours else ""
        if real != mine:
            self.tell(number, "sbctl lflow-list --uuid", difference(real, mine))

    def judge(self, number: int, dump: str, flow: Microflow, answer: Answer, second: Answer | None) -> None:
        real = answer.text
        if answer.aborted:
            self.sum.aborted += 1
            print(f"topology {self.args.seed}/{number}: ovn-trace aborts on {command(flow)}\n  {answer.aborted}")
            # Of ours that is no excuse.
            if self.ours and Trace.of(said := self.ours.trace(flow)) is None:
                self.tell(number, command(flow), [said])
            return
        trace = Trace.of(real)
        if trace is None:
            self.sum.refused += 1
            if self.ours and Trace.of(self.ours.trace(flow)):
                self.tell(number, command(flow), ["ovn-trace refuses it: " + real.strip()])
            return
        self.sum.traced += 1
        self.sum.kinds[flow.kind] += 1
        self.sum.empty += trace.is_empty()
        self.sum.stages += trace.stages()
        self.sum.forks += trace.forks()
        ours = self.ours

        def ask(rows: str) -> str:
            if ours is None:
                return second.text if second else ""
            ours.load(rows)
            said = ours.trace(flow)
            ours.load(dump)
            return said

        verdict = compare(dump, real, ours.trace(flow) if ours else ask(dump), ask)
        if verdict.same:
            self.sum.choices += verdict.choices
            self.sum.endless += verdict.endless
        else:
            self.tell(number, command(flow), verdict.diff)

    def tell(self, number: int, what: str, diff: list[str]) -> None:
        self.sum.differences += 1
        print(f"\ntopology {self.args.seed}/{number}: {what}")
        print("\n".join("  " + line for line in diff), flush=True)


def command(flow: Microflow) -> str:
    return shlex.join(["trace", *flow.options, flow.datapath, flow.expression])


def go(args: argparse.Namespace, folder: Path) -> bool:
    with ExitStack() as stack:
        ours = None
        if not args.self:
            ours = Ours(folder, args.bins, stack)
            ours.start()
        run = Run(args, folder, ours)
        numbers = range(args.topologies) if args.only is None else [args.only]
        for number in numbers:
            signal.alarm(TOPOLOGY_SECONDS)
            run.topology(number)
            signal.alarm(0)
            print(f"[{number + 1}/{args.topologies}] {run.sum.traced} microflows", file=sys.stderr)
        run.sum.print()
        few = args.only is None and run.sum.share() < ENOUGH
        if few:
            print(f"too many answers are empty: less than {ENOUGH} % are not")
        return not few and run.sum.differences == 0


def dump(args: argparse.Namespace, folder: Path) -> None:
    """Writes dumps, and compares nothing."""
    args.dumps.mkdir(parents=True, exist_ok=True)
    numbers = range(args.topologies) if args.only is None else [args.only]
    for number in numbers:
        signal.alarm(TOPOLOGY_SECONDS)
        name = f"{args.seed}-{number}"
        lowered.write(folder / name, args.seed, number, args.dumps / f"{name}.json")
        signal.alarm(0)


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _overdue(_: int, __: FrameType | None) -> None:
    raise Fault(f"a topology took longer than {TOPOLOGY_SECONDS} s and was ended")


def main() -> int:
    args = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    signal.signal(signal.SIGALRM, _overdue)
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-ovn-") as scratch:
            folder = args.keep or Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            if args.dumps:
                dump(args, folder.resolve())
                return 0
            return 0 if go(args, folder.resolve()) else 1
    except Fault as fault:
        print(f"scripts/ovn-diff: {fault}", file=sys.stderr)
        return 1


sys.exit(main())
