#!/usr/bin/env python3
"""Asks the real ovn-nbctl what the lines of tests/data/ovn/nbctl-lines/lines.txt do, and writes answers.txt beside it.

    scripts/make-nbctl-vectors.py            record
    scripts/make-nbctl-vectors.py --check    only say whether anything would differ

Lines between two headings (`## NAME`) work on one database, which is empty at first. `{TABLE COLUMN VALUE}` in a line is
the UUID of the row whose column is that. Behind each line (`$ `) stand what was printed (`> `, with every UUID as `UUID`)
or that it was refused (`!`); at the end of a group the tables that have rows (`= `), without columns that are empty.

It needs the packages ovn-central and ovn-common, and only programs of theirs that it starts itself in a folder of its own.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "tests/data/ovn/nbctl-lines"
SCHEMA = "/usr/share/ovn/ovn-nb.ovsschema"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PLACE = re.compile(r"\{([A-Z]\w+) (\w+) ([^}]*)\}")
EMPTY = ("", 0, False, ["set", []], ["map", []])
PATIENCE = 10


class Server:
    """A Northbound database of its own, empty at first."""

    def __init__(self, folder: Path) -> None:
        self.remote = f"unix:{folder}/nb.sock"
        file = f"{folder}/nb.db"
        subprocess.run(["ovsdb-tool", "create", file, SCHEMA], check=True)
        argv = ["ovsdb-server", file, f"--remote=p{self.remote}", f"--unixctl={folder}/ctl", "--no-chdir"]
        self.process = subprocess.Popen([*argv, "-vconsole:off"])
        end = time.monotonic() + PATIENCE
        while self.ctl("init").returncode:
            if time.monotonic() > end:
                raise SystemExit("ovsdb-server does not answer")

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["ovn-nbctl", f"--db={self.remote}", f"--timeout={PATIENCE}", "--no-syslog", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def place(self, match: re.Match[str]) -> str:
        """The UUID of a row."""
        table, column, value = match.groups()
        value = value if value.isdecimal() else json.dumps(value)
        found = self.ctl("--bare", "--columns=_uuid", "find", table, f"{column}={value}").stdout.split()
        if len(found) != 1:
            raise SystemExit(f"{match.group()}: {len(found)} rows")
        return found[0]

    def tables(self) -> list[str]:
        argv = ["ovsdb-client", "dump", "--format=json", self.remote, "OVN_Northbound"]
        dump = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return [line for line in map(reduced, dump.splitlines()) if line]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def reduced(line: str) -> str:
    """A table without columns that are empty; nothing if it has no rows."""
    table = json.loads(line)
    if not table["data"]:
        return ""
    kept = [at for at in range(len(table["headings"])) if any(row[at] not in EMPTY for row in table["data"])]
    table["headings"] = [table["headings"][at] for at in kept]
    table["data"] = [[row[at] for at in kept] for row in table["data"]]
    return json.dumps(table, separators=(",", ":"))


def record(lines: list[str]) -> list[str]:
    """What became of the lines of one group."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            for line in lines:
                done = server.ctl(*shlex.split(PLACE.sub(server.place, line)))
                if done.returncode < 0:
                    raise SystemExit(f"{line}: ovn-nbctl died of signal {-done.returncode}")
                answers.append(f"$ {line}")
                if done.returncode:
                    answers.append("!")
                    print(f"{line}: {done.stderr.strip()}", file=sys.stderr)
                answers += [f"> {UUID.sub('UUID', text)}".rstrip() for text in done.stdout.splitlines()]
            answers += [f"= {table}" for table in server.tables()]
        finally:
            server.stop()
    return answers


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
        raise SystemExit(0 if same[0] == same[1] else "other answers than those that were recorded")
    path.write_text(text)


if __name__ == "__main__":
    main()
