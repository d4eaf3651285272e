"""New flows a second: a capture in which every packet is a flow of its own, sent once, as fast as it is taken."""

import time
from dataclasses import dataclass

from . import measure, millrace, ovs, rules, testpmd, traffic
from .fault import Fault
from .measure import Options
from .profile import Cell
from .rig import Count, Place, Subject

# Of the packets at the sink those in the middle are timed: start and end have their own costs.
_FROM, _TO = 0.1, 0.9


@dataclass(frozen=True)
class Misses:
    """What one run gave; dropped are those that the switch refused by name."""

    cell: Cell
    subject: str
    sent: int
    arrived: int
    dropped: int
    per_second: float


def rate(counts: list[Count]) -> float:
    """Packets a second between the first and the last count in the middle."""
    last = counts[-1].packets
    middle = [c for c in counts if _FROM * last <= c.packets <= _TO * last]
    if len(middle) < 2 or middle[-1].nanoseconds == middle[0].nanoseconds:
        raise Fault("too few packets to tell a rate; raise `flows` in the profile")
    return (middle[-1].packets - middle[0].packets) * 1e9 / (middle[-1].nanoseconds - middle[0].nanoseconds)


def watch(subject: Subject, total: int, seconds: float) -> list[Count]:
    """Counts at the sink until all has arrived or nothing has for a second."""
    counts = [subject.count()]
    end = time.monotonic() + seconds
    last_news = time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.01)
        count = subject.count()
        if count.packets != counts[-1].packets:
            last_news = time.monotonic()
        counts.append(count)
        if count.packets >= total or (count.packets and time.monotonic() - last_news > 1):
            break
    return counts


def run_cell(cell: Cell, options: Options) -> list[Misses]:
    """Ours, and the peer and the limit if asked."""
    results = []
    kinds: list[type[millrace.Millrace] | type[ovs.Ovs] | type[testpmd.LimitOnce]] = [millrace.Millrace]
    if options.peer:
        kinds.append(ovs.Ovs)
    if options.limit:
        kinds.append(testpmd.LimitOnce)
    for kind in kinds:
        with measure.workplace(options) as (folder, stack, pages):
            capture = folder / "traffic.pcap"
            traffic.write(cell.traffic, capture, options.seed)
            sent = traffic.packets_of(cell.traffic)
            place = Place(cell, folder, stack, capture, 8192, rules.lines(cell.traffic, cell.rules))
            pages.reserve(max(millrace.memory_mb(8192), ovs.memory_mb() if options.peer else 0) + 64)
            subject = kind(place)
            subject.prepare()
            subject.add_source(infinite=False)
            counts = watch(subject, sent, 60)
            dropped = sum(subject.drops().values()) if isinstance(subject, millrace.Millrace) else 0
            results.append(Misses(cell, subject.name, sent, counts[-1].packets, dropped, rate(counts)))
    return results
