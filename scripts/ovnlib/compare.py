"""Whether two traces are the same, and what a trace went through.

The rows are the same on both sides, so traces must agree to the letter, uuids and source hints included. One thing may
differ: where several flows of a table have the priority that wins, the manual promises none of them. Then our choice is
taken out of our rows and the question put again: ours must answer to the letter what the real tool did, and so has found
the flow that the real tool took to match too, with the same priority.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

# A table of the detailed form: number, stage, source hint, match, priority, uuid.
_TABLE = re.compile(
    r"^ *(?P<table>\d+)\. (?:(?P<stage>\w+) )?(?:\(\S+\))?: (?P<match>.*), priority (?P<priority>\d+), "
    r"uuid (?P<uuid>[0-9a-f]{8})$"
)
_BANNERS = ("# Detailed trace.", "# Summary trace.", "# Minimal trace.")
# More choices of equal right than that in one trace have another cause.
_CHOICES = 24


@dataclass
class Trace:
    """What `--all` printed, cut into its forms."""

    header: str
    detailed: str
    summary: str
    minimal: str

    @staticmethod
    def of(text: str) -> Trace | None:
        """Nothing if it is not a trace but an error."""
        parts = re.split("|".join(f"^{re.escape(banner)}\n" for banner in _BANNERS), text, flags=re.MULTILINE)
        return Trace(*parts) if len(parts) == 4 else None

    def is_empty(self) -> bool:
        """Nothing reached a port, the packet or one sent for it."""
        return "output(" not in self.minimal

    def stages(self) -> Counter[str]:
        found = (_TABLE.match(line) for line in self.detailed.splitlines())
        return Counter(one["stage"] for one in found if one and one["stage"])

    def forks(self) -> Counter[str]:
        """What it went through beside tables: headings of the detailed form, by their first word."""
        lines = self.detailed.splitlines()
        titles = (title.strip() for title, rule in zip(lines, lines[1:]) if rule.strip() and not rule.strip(" -"))
        return Counter(re.split(r"\W", title)[0] for title in titles)


@dataclass
class Verdict:
    same: bool
    # How many choices among equal priorities had to be put aside.
    choices: int = 0
    diff: list[str] = field(default_factory=list)


def compare(real: str, ours: str, ask: Callable[[set[str]], str]) -> Verdict:
    """Compares two answers; `ask` asks us again, without the flows whose uuids begin so."""
    without: set[str] = set()
    answer = ours
    while answer != real:
        other = choice(real, answer)
        if other is None or other in without or len(without) == _CHOICES:
            return Verdict(False, len(without), difference(real, answer))
        without.add(other)
        answer = ask(without)
    return Verdict(True, len(without))


def choice(real: str, ours: str) -> str | None:
    """The uuid of the flow that we took where the other took one of equal priority, if that is the first difference."""
    for theirs, mine in zip(real.splitlines(), ours.splitlines()):
        if theirs == mine:
            continue
        one, other = _TABLE.match(theirs), _TABLE.match(mine)
        if not one or not other or one["uuid"] == other["uuid"]:
            return None
        equal = all(one[what] == other[what] for what in ("table", "stage", "priority"))
        return other["uuid"] if equal else None
    return None


def difference(real: str, ours: str) -> list[str]:
    """A diff of the first form that differs, short."""
    one, other = Trace.of(real), Trace.of(ours)
    if one and other:
        for form in ("header", "detailed", "summary", "minimal"):
            if getattr(one, form) != getattr(other, form):
                real, ours = getattr(one, form), getattr(other, form)
                break
    lines = difflib.unified_diff(real.splitlines(), ours.splitlines(), "ovn-trace", "millrace", lineterm="", n=2)
    return list(lines)[:60]


def without_flows(dump: str, uuids: set[str]) -> str:
    """A dump less the logical flows whose uuids begin so."""
    lines = []
    for line in dump.splitlines():
        table = json.loads(line)
        if table["caption"] == "Logical_Flow table":
            key = table["headings"].index("_uuid")
            table["data"] = [row for row in table["data"] if row[key][1][:8] not in uuids]
            line = json.dumps(table)
        lines.append(line)
    return "\n".join(lines) + "\n"


def stages_of(dump: str) -> set[str]:
    """Stages that have flows: those a trace could go through."""
    found = set()
    for line in dump.splitlines():
        table = json.loads(line)
        if table["caption"] == "Logical_Flow table":
            key = table["headings"].index("external_ids")
            for row in table["data"]:
                found |= {value for name, value in row[key][1] if name == "stage-name"}
    return found
