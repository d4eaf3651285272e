"""The slice for continuous integration: does everything run, and are the counts exact? No timings are asserted."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import measure, millrace, misses, rules, traffic, updates
from .fault import Fault
from .measure import Options
from .memory import Hugepages
from .profile import Cell, Range, Rules, Traffic
from .rig import Place

_PACKETS = 20_000
_MANY = Traffic(flows=1000, order="random", packets=_PACKETS)
_CASES = [
    (_MANY, Rules("port")),
    (replace(_MANY, order="zipf", dst_mac=Range(0x02AA00000000, 0x02AA0000003F)), Rules("dl_dst")),
    (replace(_MANY, order="train4"), Rules("five_tuple", masks=10)),
    (replace(_MANY, frame=512), Rules("tables", tables=20)),
    (replace(_MANY, ttl=Range(2, 255), protocol="tcp"), Rules("ttl")),
    (Traffic(flows=_PACKETS, frame=60), Rules("tables", tables=3, per_flow=True)),
]


class Anywhere(millrace.Millrace):
    """Ours without a wish for hugepages: a runner may have none."""

    hugepages = "auto"


def _reserve(pages: Hugepages, megabytes: int) -> None:
    try:
        pages.reserve(megabytes)
    except (Fault, OSError) as error:
        print(f"  ordinary pages: {error}")


def _exact(sent: Traffic, flows: Rules, options: Options) -> None:
    """A capture sent once: what arrives and what is dropped by name is what was sent."""
    cell = Cell("quick", "forward", "pcap-null", sent, flows, None, None, ())
    with measure.workplace(options) as (folder, stack, pages):
        capture = folder / "traffic.pcap"
        traffic.write(sent, capture, options.seed)
        _reserve(pages, millrace.memory_mb(8192) + 64)
        switch = Anywhere(Place(cell, folder, stack, capture, 8192, rules.lines(sent, flows)))
        switch.prepare()
        switch.add_source(infinite=False)
        arrived = misses.watch(switch, _PACKETS, 15)[-1].packets
        dropped = sum(switch.drops().values())
        switch.check_books()
        if arrived + dropped != _PACKETS or not arrived:
            raise Fault(f"{flows.kind}: {_PACKETS} packets sent, {arrived} arrived and {dropped} dropped by name")


def _alternates(options: Options) -> None:
    """Endless traffic, with whatever peers were asked for."""
    cell = Cell("quick", "forward", "pcap-null", replace(_MANY, packets=0), Rules("port"), None, None, ())
    result = measure.run_cell(cell, options)
    for (subject, mode), samples in result.samples.items():
        if len(samples) != options.rounds:
            raise Fault(f"{subject} {mode}: {len(samples)} samples instead of {options.rounds}")


def _changes(options: Options) -> None:
    """Batches and single changes, counted afterwards."""
    sent = Traffic(flows=200, src_ip=Range(0x0A000001, 0x0A000064))
    cell = Cell("quick", "updates", "pcap-null", sent, Rules(), None, None, ())
    with measure.workplace(options) as (folder, stack, pages):
        capture = folder / "traffic.pcap"
        traffic.write(sent, capture, options.seed)
        _reserve(pages, millrace.memory_mb(8192) + 64)
        switch = Anywhere(Place(cell, folder, stack, capture, 8192, updates.base_flows(sent)))
        switch.prepare()
        switch.add_source(infinite=True)
        switch.load(updates.other_flows(5000))
        expected = 5000 + len(updates.base_flows(sent))
        for changes in (updates.elsewhere(), updates.contradicting(), updates.touching(sent)):
            updates.latencies(switch, changes, 200)
        found = len(switch.client.json("ofctl/dump-flows"))
        if found != expected:
            raise Fault(f"{found} flows after all changes instead of {expected}")
        if drops := switch.drops():
            raise Fault(f"packets were dropped while flows changed: {drops}")


def run(options: Options) -> None:
    """All of it, one line each."""
    steps: list[tuple[str, Callable[[], None]]] = [
        (f"{sent.order} {sent.flows} flows, {flows.kind}: exact counts", lambda s=sent, f=flows: _exact(s, f, options))
        for sent, flows in _CASES
    ]
    steps.append(("changes of flows: exact counts", lambda: _changes(options)))
    if Path("/sys/kernel/mm/hugepages/hugepages-2048kB").exists():
        steps.append(("endless traffic", lambda: _alternates(options)))
    for name, step in steps:
        began = time.monotonic()
        step()
        print(f"  {name} ({time.monotonic() - began:.1f} s)", flush=True)
