"""Random command lines, each done by the real ovn-nbctl, and the answers with the rows behind each line."""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

from .nbctl import Died, Server, Unplaced, answer
from .nbctl_lines import BASE, Generator

# Lines that work on one database.
GROUP = 25


def group(seed: int, number: int) -> list[str]:
    """Lines of one database, with what became of them."""
    generator = Generator(Random(f"{seed}/{number}"))
    out = [f"## {seed}/{number}"]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            known: dict[str, str] = {}
            lines = [*BASE, *(generator.line() for _ in range(GROUP))]
            for line in lines:
                try:
                    done = server.do(line)
                except (Unplaced, Died):
                    continue
                out += answer(line, done, says=False)
                tables = server.tables()
                out += [f"= {table}" for name, table in tables.items() if known.get(name) != table]
                gone = ['= {"caption":"%s","data":[],"headings":["_uuid"]}' % name for name in known if name not in tables]
                out += gone
                known = tables
        finally:
            server.stop()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/nbctl-diff")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--only", type=int, metavar="K")
    parser.add_argument("--answers", type=Path, required=True)
    args = parser.parse_args()
    numbers = range(-(-args.lines // GROUP)) if args.only is None else [args.only]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        groups = list(pool.map(partial(group, args.seed), numbers))
    args.answers.write_text("".join(f"{line}\n" for lines in groups for line in lines))
    count = sum(line.startswith("$ ") for lines in groups for line in lines)
    refused = sum(line == "!" for lines in groups for line in lines)
    print(f"{count} lines, of which ovn-nbctl refused {refused}")


if __name__ == "__main__":
    main()
