"""The real ovn-nbctl on a database of its own, and what it answers, as tests/data/ovn/nbctl-lines/answers.txt has it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path("/usr/share/ovn/ovn-nb.ovsschema")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PLACE = re.compile(r"\{([A-Z]\w+) (\w+) ([^}]*)\}")
PATIENCE = 10


class Unplaced(Exception):
    """A place in a line that is no row, or several."""


class Died(Exception):
    """ovn-nbctl was killed by a signal, mostly its own."""


class Server:
    """A Northbound database of its own, empty at first."""

    def __init__(self, folder: Path) -> None:
        self.remote = f"unix:{folder}/nb.sock"
        file = f"{folder}/nb.db"
        subprocess.run(["ovsdb-tool", "create", file, str(SCHEMA)], check=True)
        argv = ["ovsdb-server", file, f"--remote=p{self.remote}", f"--unixctl={folder}/ctl", "--no-chdir"]
        self.process = subprocess.Popen([*argv, "-vconsole:off"])
        end = time.monotonic() + PATIENCE
        while self.ctl("init").returncode:
            if time.monotonic() > end:
                raise SystemExit("ovsdb-server does not answer")

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["ovn-nbctl", f"--db={self.remote}", f"--timeout={PATIENCE}", "--no-syslog", *words]
        return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)

    def place(self, match: re.Match[str]) -> str:
        """The UUID of a row."""
        table, column, value = match.groups()
        if column not in empty_rows().get(table, {}):
            raise Unplaced(f"{match.group()}: no such column")
        value = value if value.isdecimal() else json.dumps(value)
        found = self.ctl("--bare", "--columns=_uuid", "find", table, f"{column}={value}").stdout.split()
        if len(found) != 1:
            raise Unplaced(f"{match.group()}: {len(found)} rows")
        return found[0]

    def do(self, line: str) -> subprocess.CompletedProcess[str]:
        done = self.ctl(*shlex.split(PLACE.sub(self.place, line)))
        if done.returncode < 0:
            raise Died(f"{line}: ovn-nbctl died of signal {-done.returncode}")
        return done

    def tables(self) -> dict[str, str]:
        """The tables that have rows, by name."""
        argv = ["ovsdb-client", "dump", "--format=json", self.remote, "OVN_Northbound"]
        dump = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return dict(filter(None, map(reduced, dump.splitlines())))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def empty(kind: Any) -> object:
    """What a column of a type has in a row that was just made."""
    if isinstance(kind, dict):
        if "value" in kind:
            return ["map", []]
        if kind.get("min", 1) == 0:
            return ["set", []]
        kind = kind["key"] if isinstance(kind["key"], str) else kind["key"]["type"]
    return {"string": "", "boolean": False}.get(kind, 0)


@cache
def empty_rows() -> dict[str, dict[str, object]]:
    """Such rows, by table."""
    tables = json.loads(SCHEMA.read_text())["tables"]
    return {name: {column: empty(of["type"]) for column, of in table["columns"].items()} for name, table in tables.items()}


def reduced(line: str) -> tuple[str, str] | None:
    """A table without columns that are empty; nothing if it has no rows."""
    table = json.loads(line)
    if not table["data"]:
        return None
    without = empty_rows()[table["caption"].removesuffix(" table")]
    columns = [(at, without.get(name)) for at, name in enumerate(table["headings"])]
    kept = [at for at, value in columns if any(row[at] != value for row in table["data"])]
    table["headings"] = [table["headings"][at] for at in kept]
    table["data"] = [[row[at] for at in kept] for row in table["data"]]
    return table["caption"], json.dumps(table, separators=(",", ":"))


def answer(line: str, done: subprocess.CompletedProcess[str], says: bool = True) -> list[str]:
    """What came of a line."""
    out = [f"$ {line}"]
    if done.returncode:
        out.append("!")
        if says:
            print(f"{line}: {done.stderr.strip()}", file=sys.stderr)
    printed = done.stdout.removesuffix("\n").split("\n") if done.stdout else []
    return out + [f"> {UUID.sub('UUID', text)}".rstrip() for text in printed]
