#!/usr/bin/env python3
"""Asks the real ovn-nbctl what the lines of tests/data/ovn/nbctl-lines/lines.txt do, and writes answers.txt beside it.

    scripts/make-nbctl-vectors.py            record
    scripts/make-nbctl-vectors.py --check    only say whether anything would differ

Lines between two headings (`## NAME`) work on one database, which is empty at first. `{TABLE COLUMN VALUE}` in a line is
the UUID of the row whose column is that. Behind each line (`$ `) stand what was printed (`> `, with every UUID as `UUID`)
or that it was refused (`!`); at the end of a group the tables that have rows (`= `), without columns that are empty.

commands.txt is what commands there are, each with its options.

It needs the packages ovn-central and ovn-common, and only programs of theirs that it starts itself in a folder of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from ovnlib.nbctl import UUID, Server, answer

DATA = Path(__file__).resolve().parent.parent / "tests/data/ovn/nbctl-lines"


def record(lines: list[str]) -> list[str]:
    """What became of the lines of one group."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            for line in lines:
                answers += answer(line, server.do(line))
            answers += [f"= {table}" for table in server.tables().values()]
        finally:
            server.stop()
    return answers


def commands() -> str:
    """All commands, a line each."""
    said = subprocess.run(["ovn-nbctl", "--commands"], capture_output=True, text=True, check=True).stdout
    parts = [line.split(",") for line in said.splitlines()]
    lines = [" ".join([name, *sorted(word.strip("[]") for word in options.split())]) for options, name, *_ in parts]
    return "".join(f"{line}\n" for line in sorted(lines))


def main() -> None:
    groups: list[tuple[str, list[str]]] = []
    for line in (DATA / "lines.txt").read_text().splitlines():
        if line.startswith("## "):
            groups.append((line, []))
        elif line and not line.startswith("#"):
            groups[-1][1].append(line)
    out = []
    for name, lines in groups:
        out += [name, *record(lines)]
    text = "".join(f"{line}\n" for line in out)
    path = DATA / "answers.txt"
    if "--check" in sys.argv[1:]:
        # Which row is which differs from time to time, and their order with it.
        same = [sorted(UUID.sub("UUID", one)) for one in (text, path.read_text())]
        is_same = same[0] == same[1] and commands() == (DATA / "commands.txt").read_text()
        raise SystemExit(0 if is_same else "other answers than those that were recorded")
    path.write_text(text)
    (DATA / "commands.txt").write_text(commands())


if __name__ == "__main__":
    main()
