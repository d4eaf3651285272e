"""What changing flows costs: the time a change takes from command to answer, and what the traffic feels of it.

The traffic is datapath 1: table 0 says so, table 1 has one flow for each source address. Datapath 2 has the many other
flows of table 1 and no traffic.
"""

import itertools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from . import measure, millrace, rules, traffic
from .measure import Options
from .profile import Cell, Rules, Traffic
from .rig import Place

FLOWS = 100_000
CHANGES_A_SECOND = 1000
SINGLE_CHANGES = 4000

# A command of the switch with its parameters.
Change = tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One line of the answer; `met` is none where there is no bar."""

    what: str
    value: float
    unit: str
    bar: str = ""
    met: bool | None = None


def served(address: int, actions: str) -> str:
    """The flow of datapath 1 for a source address."""
    return f"table=1,priority=100,metadata=1,ip,nw_src={IPv4Address(address)},actions={actions}"


def base_flows(sent: Traffic) -> list[str]:
    """Datapath 1."""
    flows = [served(sent.src_ip.at(index), "output:2") for index in range(sent.src_ip.count)]
    return ["table=0,in_port=1,actions=load:1->OXM_OF_METADATA[],goto_table:1", *flows]


def other_flows(count: int) -> list[str]:
    """Datapath 2: every flow a 5-tuple."""
    plain = rules.lines(Traffic(flows=count), Rules("five_tuple"))
    return [f"table=1,priority=100,metadata=2,{line}" for line in plain]


def _come_and_go(match: str) -> Iterator[Change]:
    """Adds a flow and deletes it, again and again, each time another."""
    for index in itertools.count():
        flow = f"table=1,priority=300,{match},tp_dst={1 + index % 4000}"
        yield "ofctl/add-flow", f"{flow},actions=drop"
        yield "ofctl/del-flows", "--strict", flow


def by_pattern() -> Iterator[Change]:
    """Deletes what a pattern covers, which is nothing: all flows have to be looked at, or an index."""
    for index in itertools.count():
        yield "ofctl/del-flows", f"table=1,metadata=2,udp,nw_dst=203.0.113.2,tp_dst={1 + index % 4000}"


def elsewhere() -> Iterator[Change]:
    return _come_and_go("metadata=2,udp,nw_src=203.0.113.1,nw_dst=203.0.113.2,tp_src=7")


def contradicting() -> Iterator[Change]:
    return _come_and_go("metadata=1,udp,nw_src=203.0.113.1,nw_dst=203.0.113.2,tp_src=7")


def touching(sent: Traffic) -> Iterator[Change]:
    """Gives the flow of one source address other actions with the same result."""
    for index in itertools.count():
        actions = ("load:1->NXM_NX_REG5[],output:2", "output:2")[index // sent.src_ip.count % 2]
        yield "ofctl/add-flow", served(sent.src_ip.at(index), actions)


def latencies(switch: millrace.Millrace, changes: Iterator[Change], count: int) -> list[float]:
    """Milliseconds from command to answer, sorted."""
    taken = []
    for method, *parameters in itertools.islice(changes, count):
        before = time.perf_counter()
        switch.client.call(method, *parameters)
        taken.append((time.perf_counter() - before) * 1e3)
    return sorted(taken)


def throughput(switch: millrace.Millrace, seconds: float, changes: Iterator[Change] | None) -> tuple[float, float]:
    """Mpps at the sink over that time, and the changes a second that were made meanwhile."""
    start = switch.count()
    began, done = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        if changes is not None and done <= (now - began) * CHANGES_A_SECOND:
            switch.client.call(*next(changes))
            done += 1
        else:
            time.sleep(0.0002 if changes else 0.05)
    end = switch.count()
    spent = (end.nanoseconds - start.nanoseconds) / 1e9
    return (end.packets - start.packets) / spent / 1e6, done / spent


def _single(switch: millrace.Millrace, count: int) -> list[Figure]:
    latencies(switch, elsewhere(), 100)
    sorted_ms = latencies(switch, elsewhere(), count)
    median, p99 = statistics.median(sorted_ms), sorted_ms[len(sorted_ms) * 99 // 100]
    pattern = statistics.median(latencies(switch, by_pattern(), max(count // 100, 1)))
    return [
        Figure(f"a delete by pattern among {FLOWS}, median", pattern, "ms"),
        Figure(f"one change among {FLOWS}, median of {count}", median, "ms", "<= 1", median <= 1),
        Figure(f"one change among {FLOWS}, p99 of {count}", p99, "ms", "<= 5", p99 <= 5),
    ]


def _under_changes(switch: millrace.Millrace, name: str, changes: Iterator[Change], judged: bool,
                   options: Options) -> list[Figure]:  # fmt: skip
    quiet, busy, rates = [], [], []
    drops = sum(switch.drops().values())
    for _ in range(options.rounds):
        quiet.append(throughput(switch, options.seconds, None)[0])
        mpps, rate = throughput(switch, options.seconds, changes)
        busy.append(mpps)
        rates.append(rate)
    lost = sum(switch.drops().values()) - drops
    share = statistics.median(b / q for b, q in zip(busy, quiet)) * 100
    return [
        Figure(f"throughput under changes {name}, of the quiet one", share, "%", ">= 95" if judged else "",
               share >= 95 if judged else None),
        Figure(f"changes made {name}", statistics.median(rates), "1/s", ">= 950", min(rates) >= 950),
        Figure(f"packets lost under changes {name}", lost, "", "0", lost == 0),
    ]  # fmt: skip


def run_cell(cell: Cell, options: Options, flows: int = FLOWS, changes: int = SINGLE_CHANGES) -> list[Figure]:
    """All figures, in the order they are measured in."""
    sent = cell.traffic
    with measure.workplace(options) as (folder, stack, pages):
        capture = folder / "traffic.pcap"
        traffic.write(sent, capture, options.seed)
        packets = traffic.packets_of(sent)
        pages.reserve(millrace.memory_mb(packets) + 64)
        switch = millrace.Millrace(Place(cell, folder, stack, capture, packets, base_flows(sent)))
        switch.start()
        time.sleep(options.warmup)
        text = "\n".join(other_flows(flows))
        before = time.perf_counter()
        switch.client.call("ofctl/add-flows", text)
        load = time.perf_counter() - before
        figures = [Figure(f"loading {flows} flows in one batch", load, "s", "<= 2", load <= 2)]
        figures += _single(switch, changes)
        figures += _under_changes(switch, "to another datapath", elsewhere(), True, options)
        figures += _under_changes(switch, "that contradict the traffic", contradicting(), True, options)
        one = f"that touch 1/{sent.src_ip.count} of the flows"
        figures += _under_changes(switch, one, touching(sent), False, options)
    return figures
