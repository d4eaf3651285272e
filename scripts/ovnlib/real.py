"""The real thing: two databases, ovn-northd and ovn-trace, in a private folder with sockets of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchlib.fault import Fault
from benchlib.proc import Process, run, wait_for

from .microflow import Microflow
from .topology import Topology

SCHEMAS = Path("/usr/share/ovn")
_LIMIT = 60
_PATIENCE = 10


@dataclass(frozen=True)
class Answer:
    """What ovn-trace printed, or the words with which it aborted."""

    text: str
    aborted: str = ""


def _listens(path: Path) -> bool:
    """A daemon binds its socket before it listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


class Tables:
    """A dump of a database: rows by table, a row as a dictionary."""

    def __init__(self, dump: str) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for line in dump.splitlines():
            table = json.loads(line)
            name = table["caption"].removesuffix(" table")
            self.rows[name] = [dict(zip(table["headings"], row)) for row in table["data"]]


class Central:
    """The databases of one topology and the daemon between them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        kinds = ("RUN", "DB", "LOG", "SYSCONF")
        self.env = {f"{who}_{kind}DIR": str(folder) for who in ("OVN", "OVS") for kind in kinds}
        self.remotes = {side: f"unix:{folder}/{side}.sock" for side in ("nb", "sb")}
        self.northd: Process

    def start(self) -> None:
        self.start_databases()
        self.start_northd()

    def start_databases(self) -> None:
        for side in self.remotes:
            file = f"{self.folder}/{side}.db"
            run(["ovsdb-tool", "create", file, str(SCHEMAS / f"ovn-{side}.ovsschema")], _LIMIT, self.env)
            self._daemon(side, ["ovsdb-server", file, f"--remote=p{self.remotes[side]}"], self.folder / f"{side}.sock")
            run([f"ovn-{side}ctl", f"--db={self.remotes[side]}", "init"], _LIMIT, self.env)

    def start_northd(self) -> None:
        remotes = [f"--ovn{side}-db={remote}" for side, remote in self.remotes.items()]
        self.northd = self._daemon("northd", ["ovn-northd", *remotes], self.folder / "northd.ctl")

    def _daemon(self, name: str, argv: list[str], path: Path) -> Process:
        control = f"--unixctl={self.folder}/{name}.ctl"
        process = Process([*argv, control, "--no-chdir"], self.folder / f"{name}.log", self.env, nice=None)
        self.stack.callback(process.stop)
        wait_for(f"{argv[0]} listens", 20, lambda: _listens(path), process)
        return process

    def ctl(self, side: str, commands: list[list[str]], *options: str) -> str:
        """Commands of ovn-nbctl or ovn-sbctl, in one transaction."""
        words = [word for command in commands for word in ["--", *command]]
        argv = [f"ovn-{side}ctl", f"--db={self.remotes[side]}", f"--timeout={_LIMIT}", "--no-syslog", *options]
        return run([*argv, *words], _LIMIT + 5, self.env)

    def build(self, topology: Topology) -> str:
        """Makes the network; answers with what is in the Southbound database then."""
        self.ctl("nb", [["init"], *topology.commands], "--wait=sb")
        rows = self._learnt(Tables(self.dump()), topology)
        if rows:
            self.ctl("sb", rows)
            # Should northd want to take something back, it is done by then.
            self.ctl("nb", [["sync"]], "--wait=sb")
        return self.dump()

    def place(self, chassis: str) -> None:
        """Makes a chassis and puts everything on it that is on one."""
        self.ctl("sb", [["chassis-add", chassis, "geneve", "192.168.50.101"]])
        self.ctl("nb", [["sync"]], "--wait=sb")
        ports = Tables(self.dump()).rows["Port_Binding"]
        gateways = [row["logical_port"] for row in ports if row["type"] == "chassisredirect"]
        if gateways:
            self.ctl("sb", [["lsp-bind", gateway, chassis] for gateway in gateways])
            self.ctl("nb", [["sync"]], "--wait=sb")

    def _learnt(self, tables: Tables, topology: Topology) -> list[list[str]]:
        """Commands that add what ovn-controller would have learnt."""
        ports = {row["logical_port"]: row for row in tables.rows["Port_Binding"]}
        keys = {row["_uuid"][1]: row["tunnel_key"] for row in tables.rows["Datapath_Binding"]}
        commands = []
        for port, address, mac in topology.neighbours:
            datapath = ports[port.name]["datapath"][1]
            words = [f'logical_port="{port.name}"', f'ip="{address}"', f'mac="{mac}"', f"datapath={datapath}"]
            commands.append(["create", "MAC_Binding", *words])
        for host, mac in topology.stations:
            row = ports[host.name]
            words = [f'mac="{mac}"', f"dp_key={keys[row['datapath'][1]]}", f"port_key={row['tunnel_key']}"]
            commands.append(["create", "FDB", *words])
        return commands

    def dump(self, side: str = "sb") -> str:
        database = {"nb": "OVN_Northbound", "sb": "OVN_Southbound"}[side]
        argv = ["ovsdb-client", "dump", "--format=json", self.remotes[side], database]
        return run(argv, _LIMIT, self.env)

    def lflow_list(self) -> str:
        return self.ctl("sb", [["--uuid", "lflow-list"]])

    def trace(self, flow: Microflow) -> Answer:
        """All three forms.

        A process for each: the daemon that ovn-trace can be has neither --ct nor --lb-dst nor --select-id.
        """
        argv = ["ovn-trace", f"--db={self.remotes['sb']}", "--all", *flow.options, flow.datapath, flow.expression]
        env = {**os.environ, **self.env}
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE, env=env)
        except subprocess.TimeoutExpired:
            # Where packets go round by two ways there is no end to it.
            return Answer("", f"no answer within {_PATIENCE} s")
        if done.returncode < 0:
            return Answer("", (done.stderr.strip().splitlines() or ["killed"])[-1])
        if done.returncode:
            raise Fault(f"ovn-trace failed: {done.stderr.strip()[-500:]}\n{argv}")
        return Answer(done.stdout)
