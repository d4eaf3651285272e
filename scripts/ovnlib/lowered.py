"""Dumps for the test of what rows are lowered to: random networks without anything that is not lowered yet.

A dump is the Southbound database with a chassis `hv1` in it, less what no switch reads, so that many are small.
"""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack
from pathlib import Path
from random import Random

from .real import Central
from .services import Services
from .topology import Builder

CHASSIS = "hv1"
# Tables that say nothing of a network.
_NEEDLESS = ("RBAC_", "DHCP", "Connection", "SSL", "Mirror", "Chassis_Private", "Chassis_Template_Var", "Service_Monitor")
# Where in northd a flow was made, and for what.
_HINTS = ("source", "stage-hint")


def write(folder: Path, seed: int, number: int, file: Path) -> None:
    """Makes a network in `folder` and writes the dump of its rows."""
    rng = Random(f"plain {seed}/{number}")
    topology = Builder(rng).build()
    Services(rng, topology, plain=True).add()
    folder.mkdir(parents=True)
    lines = (shlex.join(command) for command in topology.commands)
    (folder / "topology.nbctl").write_text("".join(f"ovn-nbctl {line}\n" for line in lines))
    with ExitStack() as stack:
        central = Central(folder, stack)
        central.start()
        central.build(topology)
        central.place(CHASSIS)
        file.write_text(trimmed(central.dump()))


def trimmed(dump: str) -> str:
    """The same without needless tables and hints, a row a line."""
    out = []
    for table in map(json.loads, dump.splitlines()):
        if table["caption"].startswith(_NEEDLESS):
            continue
        for place, heading in enumerate(table["headings"]):
            for row in table["data"] if table["caption"] == "Logical_Flow table" else []:
                if heading == "external_ids":
                    row[place] = ["map", [pair for pair in row[place][1] if pair[0] not in _HINTS]]
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in table["data"])
        start = {"caption": table["caption"], "headings": table["headings"]}
        out.append(f'{json.dumps(start, separators=(",", ":"))[:-1]},"data":[{rows}]}}\n')
    return "".join(out)
