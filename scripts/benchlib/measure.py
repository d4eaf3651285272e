"""Rounds: every subject and mode of a cell in turn, the same time each, as often as asked."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import millrace, network, ovs, rules, testpmd, traffic
from .fault import Fault
from .memory import Hugepages
from .profile import Cell
from .rig import Place, Subject


# A worker that waited for its core for more than this share of the time was disturbed.
DISTURBED = 0.02


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    rounds: int
    seconds: float
    warmup: float
    peer: bool
    limit: bool
    seed: int
    tsc_hz: float
    scratch: Path
    # How often a disturbed measurement is done again.
    patience: int = 2
    # Whether the time in which the worker stood ready without its core is left out of the cycles.
    on_core: bool = False


@dataclass(frozen=True)
class Sample:
    """One measurement: `waited` is the share of the time that the worker was ready and another had its core."""

    round: int
    seconds: float
    packets: int
    cycles: float
    waited: float

    @property
    def mpps(self) -> float:
        return self.packets / self.seconds / 1e6

    @property
    def on_core(self) -> float:
        """Cycles that passed while the worker had its core: for a machine that is shared."""
        return self.cycles * (1 - self.waited)


@dataclass
class Result:
    """All samples of a cell by subject and mode, or why there are none."""

    cell: Cell
    on_core: bool = False
    flows_seen: int = 0
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def median(self, subject: str, mode: str = "") -> float | None:
        """Cycles for a packet; of the vhost rig millions of packets a second."""
        return _of(self.values(subject, mode), statistics.median)

    def spread(self, subject: str, mode: str = "") -> float | None:
        """Between the least and the greatest."""
        return _of(self.values(subject, mode), lambda values: max(values) - min(values))

    def values(self, subject: str, mode: str = "") -> list[float]:
        samples = self.samples.get((subject, mode), [])
        if self.cell.rig == "vhost":
            return [s.mpps for s in samples]
        return [s.on_core if self.on_core else s.cycles for s in samples]

    def best(self, subject: str) -> str | None:
        """The mode with the best median."""
        modes = [mode for name, mode in self.samples if name == subject]
        sign = -1 if self.cell.rig == "vhost" else 1
        return min(modes, key=lambda mode: sign * (self.median(subject, mode) or 0), default=None)


def _of(values: list[float], what: Callable[[list[float]], float]) -> float | None:
    return what(values) if values else None


def place_for(cell: Cell, folder: Path, stack: ExitStack, seed: int) -> tuple[Place, int]:
    """The cell's files, and how many flows its capture has."""
    flows = rules.lines(cell.traffic, cell.rules)
    if cell.rig == "vhost":
        return Place(cell, folder, stack, Path(), 8192, rules.both_ways(flows)), cell.traffic.flows
    if cell.traffic.pcap:
        path = Path(cell.traffic.pcap).resolve()
        return Place(cell, folder, stack, path, traffic.count_packets(path), flows), 0
    path = folder / "traffic.pcap"
    place = Place(cell, folder, stack, path, traffic.packets_of(cell.traffic), flows)
    wrap = None
    if cell.rules.kind == "ovn":
        place.network = network.Network(folder / "ovn", stack, cell.traffic, cell.rules)
        if cell.rules.tunnel == "in":
            wrap = place.network.tunnel().wrap
    return place, traffic.write(cell.traffic, path, seed, wrap)


def subjects_for(place: Place, options: Options, result: Result) -> list[Subject]:
    """Those that were asked for and can run here."""
    vhost = place.cell.rig == "vhost"
    kinds: list[type[Subject]] = []
    if options.limit:
        kinds.append(testpmd.LimitVhost if vhost else testpmd.Limit)
    kinds.append(millrace.MillraceVhost if vhost else millrace.Millrace)
    if options.peer:
        if place.packets + 16384 > ovs.POOL:
            result.remarks.append(f"OVS left out: its pool holds {ovs.POOL} packets, the capture has {place.packets}")
        else:
            kinds.append(ovs.OvsVhost if vhost else ovs.Ovs)
    return [(testpmd.with_guest(kind) if vhost else kind)(place) for kind in kinds]


def memory_for(place: Place, options: Options) -> int:
    """Megabytes of hugepages for all that will run, since those that are paused keep theirs."""
    total = millrace.memory_mb(place.packets) + 64
    if options.limit:
        total += testpmd.memory_mb(place.packets)
    if options.peer and place.packets + 16384 <= ovs.POOL:
        total += ovs.memory_mb()
    return total + (3 * 256 if place.cell.rig == "vhost" else 0)


@contextmanager
def workplace(options: Options) -> Iterator[tuple[Path, ExitStack, Hugepages]]:
    """A folder, what ends processes, and memory: for one cell, gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        pages = stack.enter_context(Hugepages())
        yield folder, stack, pages


def run_cell(cell: Cell, options: Options) -> Result:
    """Measures one cell."""
    result = Result(cell, options.on_core)
    with workplace(options) as (folder, stack, pages):
        place, result.flows_seen = place_for(cell, folder, stack, options.seed)
        pages.reserve(memory_for(place, options))
        subjects = subjects_for(place, options, result)
        for number, subject in enumerate(subjects):
            # Each in a folder of its own: sockets and logs have the same names.
            subject.place = _own_place(place, number)
            if isinstance(subject, ovs.Ovs):
                subject.folder = subject.place.folder / "ovs"
            subject.start()
            subject.pause()
        for number in range(options.rounds):
            for subject in subjects:
                for mode in subject.modes:
                    sample = measure(subject, mode, number, options)
                    result.samples.setdefault((subject.name, mode), []).append(sample)
    return result


def _own_place(place: Place, number: int) -> Place:
    folder = place.folder / str(number)
    folder.mkdir()
    return Place(place.cell, folder, place.stack, place.capture, place.packets, place.flows, place.network)


def measure(subject: Subject, mode: str, number: int, options: Options) -> Sample:
    """One subject in one mode, alone. Where another process had the core for long it is done again, a few times."""
    samples = []
    for _ in range(1 + options.patience):
        samples.append(_measure_once(subject, mode, number, options))
        if samples[-1].waited < DISTURBED:
            break
    return min(samples, key=lambda sample: sample.waited)


def _measure_once(subject: Subject, mode: str, number: int, options: Options) -> Sample:
    subject.resume()
    try:
        subject.enter(mode)
        time.sleep(options.warmup)
        worker = subject.processes[0]
        start = subject.count()
        waited, since = worker.waited_ns(), time.monotonic_ns()
        time.sleep(options.seconds)
        waited, since = worker.waited_ns() - waited, time.monotonic_ns() - since
        end = subject.count()
    finally:
        subject.pause()
    packets = end.packets - start.packets
    if packets <= 0:
        raise Fault(f"{subject.name} {mode} forwarded nothing; its last words:\n{subject.processes[0].tail()}")
    nanoseconds = end.nanoseconds - start.nanoseconds
    cycles = nanoseconds * options.tsc_hz / 1e9 / packets
    return Sample(number, nanoseconds / 1e9, packets, cycles, min(waited / since, 1))
