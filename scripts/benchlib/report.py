"""What came out: a table for the terminal, CSV with every sample, and the chart."""

import csv
from pathlib import Path

from . import chart
from .judge import disturbed, judge
from .measure import Result
from .misses import Misses
from .updates import Figure

# New flows a second through so many tables, at least.
MISSES_BARS = {3: 500_000, 20: 150_000}


def _cell(median: float | None, spread: float | None) -> str:
    return "-" if median is None else f"{median:.1f} ±{(spread or 0) / 2:.1f}"


def _number(value: float | None, form: str = ".1f") -> str:
    return "-" if value is None else format(value, form)


def table(rows: list[list[str]]) -> str:
    """Columns as wide as they need to be, as Markdown."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


_CYCLES = ["cell", "io", "macswap", "millrace", "OVS best", "mode", "own", "OVS own", "own/OVS", "at most", "", "bar",
           "", "disturbed"]  # fmt: skip
_MPPS = ["cell", "io", "millrace", "OVS best", "mode", "times OVS", "at least", "", "bar", "", "disturbed"]


def row(result: Result) -> list[str]:
    """A cell as a row of the table of its rig."""
    verdict = judge(result)

    def shown(subject: str, mode: str = "") -> str:
        return _cell(result.median(subject, mode), result.spread(subject, mode))

    peer = shown("ovs", verdict.peer_mode) if verdict.peer_mode else "-"
    count = f"{disturbed(result)}/{sum(map(len, result.samples.values()))}"
    mode = verdict.peer_mode or "-"
    ratio = _number(verdict.ratio, ".2f")
    judged = [f"{verdict.ratio_bar:.2f}", verdict.ratio_met, _number(verdict.bar), verdict.bar_met, count]
    if result.cell.rig == "vhost":
        return [result.cell.label, shown("testpmd", "io"), shown("millrace"), peer, mode, ratio, *judged]
    own = [_number(verdict.own), _number(verdict.peer_own), ratio]
    limits = [shown("testpmd", "io"), shown("testpmd", "macswap")]
    return [result.cell.label, *limits, shown("millrace"), peer, mode, *own, *judged]


def forward_tables(results: list[Result]) -> str:
    """Both tables, with what each column is."""
    parts = []
    for rig, head, unit in (("pcap-null", _CYCLES, "TSC cycles per packet"), ("vhost", _MPPS, "Mpps, both ways")):
        rows = [row(result) for result in results if result.cell.rig == rig]
        if rows:
            if rig == "pcap-null" and results[0].on_core:
                unit += " while the worker had its core"
            title = f"{rig}: {unit}; median ± half of what lies between the least and the greatest"
            parts.append(f"{title}\n\n{table([head, *rows])}")
    remarks = [f"{result.cell.label}: {remark}" for result in results for remark in result.remarks]
    return "\n\n".join([*parts, *remarks])


def misses_rows(misses: list[Misses]) -> list[list[str]]:
    rows = [["cell", "subject", "new flows/s", "at least", "", "sent", "arrived", "dropped by name"]]
    for found in misses:
        bar = MISSES_BARS.get(found.cell.rules.tables) if found.subject == "millrace" else None
        met = "-" if bar is None else "met" if found.per_second >= bar else "missed"
        rows.append([found.cell.label, found.subject, f"{found.per_second:.0f}", str(bar or "-"), met, str(found.sent),
                     str(found.arrived), str(found.dropped)])  # fmt: skip
    return rows


def updates_rows(figures: list[Figure]) -> list[list[str]]:
    rows = [["figure", "value", "unit", "bar", ""]]
    for figure in figures:
        met = "-" if figure.met is None else "met" if figure.met else "missed"
        rows.append([figure.what, f"{figure.value:.3g}" if figure.value < 1000 else f"{figure.value:.0f}", figure.unit,
                     figure.bar or "-", met])  # fmt: skip
    return rows


def _samples(results: list[Result], path: Path) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["profile", "cell", "rig", "rules", "masks", "tables", "flows", "flows_in_capture", "order",
                      "frame", "subject", "mode", "round", "seconds", "packets", "cycles_per_packet",
                      "cycles_on_core", "mpps", "waited_share"])  # fmt: skip
        for result in results:
            cell, rules, sent = result.cell, result.cell.rules, result.cell.traffic
            head = [cell.profile, cell.label, cell.rig, rules.kind, rules.masks, rules.tables, sent.flows,
                    result.flows_seen, sent.order, sent.frame]  # fmt: skip
            for (subject, mode), samples in result.samples.items():
                for s in samples:
                    figures = [f"{s.seconds:.4f}", s.packets, f"{s.cycles:.2f}", f"{s.on_core:.2f}", f"{s.mpps:.4f}",
                               f"{s.waited:.4f}"]  # fmt: skip
                    out.writerow([*head, subject, mode, s.round, *figures])


def _rows(rows: list[list[str]], path: Path) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write(out: Path, results: list[Result], misses: list[Misses], figures: list[Figure]) -> str:
    """Writes all files there is something for, and returns the text for the terminal, which is among them."""
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    if results:
        parts.append(forward_tables(results))
        _samples(results, out / "samples.csv")
        for rig, head in (("pcap-null", _CYCLES), ("vhost", _MPPS)):
            rows = [row(result) for result in results if result.cell.rig == rig]
            if rows:
                _rows([head, *rows], out / f"{rig}.csv")
                (out / f"{rig}.svg").write_text(chart.svg(results, rig))
    if misses:
        parts.append("new flows a second\n\n" + table(misses_rows(misses)))
        _rows(misses_rows(misses), out / "misses.csv")
    if figures:
        parts.append("changes of flows\n\n" + table(updates_rows(figures)))
        _rows(updates_rows(figures), out / "updates.csv")
    text = "\n\n".join(parts) + "\n"
    (out / "report.md").write_text(text)
    return text
