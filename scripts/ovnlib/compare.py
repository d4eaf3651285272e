"""Whether two traces are the same, and what a trace went through.

The rows are the same on both sides, so traces must agree to the letter, uuids and source hints included. One thing may
differ: where several flows of a table match with the priority that wins, the manual promises none of them. We take the
first by uuid, the real tool the first in the order of a hash table. Where that made the difference, the question is
put again to rows whose flows have exchanged their uuids so that the other one is first: the answer, with the right
uuids put back, must then be the same to the letter. So the flow that the real tool took matches for us too.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .real import Tables

# A table of the detailed form: number, stage, source hint, match, priority, uuid.
_TABLE = re.compile(
    r"^ *(?P<table>\d+)\. (?:(?P<stage>\w+) )?(?:\(\S+\))?: (?P<match>.*), priority (?P<priority>\d+), "
    r"uuid (?P<uuid>[0-9a-f]{8})$"
)
_BANNERS = ("# Detailed trace.", "# Summary trace.", "# Minimal trace.")
# What we print instead of following a packet further that goes round.
_GIVEN_UP = "*** given up"
# More choices of equal right than that in one trace have another cause.
_CHOICES = 100


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
    # How many choices among equal priorities had to be made as the real tool made them.
    choices: int = 0
    # The packet goes round, and we gave up at some point.
    endless: bool = False
    diff: list[str] = field(default_factory=list)


class Order:
    """The order of flows of equal priority, and the rows that bring it about."""

    def __init__(self, dump: str) -> None:
        self.dump = dump
        self.uuids = sorted(row["_uuid"][1] for row in Tables(dump).rows["Logical_Flow"])
        self.order = list(self.uuids)

    def prefer(self, one: str, other: str) -> bool:
        """Puts a flow before another, both by how their uuids begin; says whether it was not there before."""
        first, second = (
            next(place for place, uuid in enumerate(self.order) if uuid.startswith(start)) for start in (one, other)
        )
        if first > second:
            self.order.insert(second, self.order.pop(first))
        return first > second

    def rows(self) -> str:
        """The dump with the uuids given out anew in this order."""
        given = dict(zip(self.order, self.uuids))
        return "".join(
            re.sub(r'(?<=\["uuid",")[^"]*', lambda found: given.get(found[0], found[0]), line) + "\n"
            if '"Logical_Flow table"' in line
            else line + "\n"
            for line in self.dump.splitlines()
        )

    def translate(self, answer: str) -> str:
        """An answer with the right uuids."""
        right = {given[:8]: uuid[:8] for uuid, given in zip(self.order, self.uuids)}
        pattern = re.compile(r"(?<=, uuid )[0-9a-f]{8}$", re.MULTILINE)
        return pattern.sub(lambda found: right.get(found[0], found[0]), answer)


def compare(dump: str, real: str, ours: str, ask: Callable[[str], str]) -> Verdict:
    """Compares two answers; `ask` puts the question to us again, with other rows."""
    order = Order(dump) if ours != real else None
    for choices in range(_CHOICES):
        if ours == real or order is None:
            return Verdict(True, choices)
        if is_cut_short(real, ours):
            return Verdict(True, choices, endless=True)
        pair = choice(real, ours)
        if pair is None or not order.prefer(*pair):
            break
        ours = order.translate(ask(order.rows()))
    return Verdict(False, diff=difference(real, ours))


def choice(real: str, ours: str) -> tuple[str, str] | None:
    """The flows that the two took, if that is the first difference and the priorities are equal."""
    for theirs, mine in zip(real.splitlines(), ours.splitlines()):
        if theirs == mine:
            continue
        one, other = _TABLE.match(theirs), _TABLE.match(mine)
        if not one or not other or one["uuid"] == other["uuid"]:
            return None
        equal = all(one[what] == other[what] for what in ("table", "stage", "priority"))
        return (one["uuid"], other["uuid"]) if equal else None
    return None


def is_cut_short(real: str, ours: str) -> bool:
    """Whether the traces agree up to where we gave up."""
    before, given_up, _ = ours.partition(_GIVEN_UP)
    return bool(given_up) and real.startswith(before.rpartition("\n")[0])


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


def stages_of(dump: str) -> set[str]:
    """Stages that have flows: those a trace could go through."""
    ids = (row["external_ids"][1] for row in Tables(dump).rows["Logical_Flow"])
    return {value for pairs in ids for name, value in pairs if name == "stage-name"}
