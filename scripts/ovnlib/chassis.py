"""A real chassis: ovn-controller beside ovs-vswitchd, whose ports and datapath are the dummies of its own tests, or (see
`remote_host`) real ones."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchlib.fault import Fault
from benchlib.proc import Process, run, wait_for
from benchlib.rpc import Client

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
_LIMIT = 120


class Rows:
    """A connection to a database of rows, which takes a transaction at a time."""

    def __init__(self, path: Path, database: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(_LIMIT)
        self.socket.connect(str(path))
        self.database = database

    def transact(self, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        message = {"id": 0, "method": "transact", "params": [self.database, *operations]}
        self.socket.sendall(json.dumps(message).encode())
        text = b""
        while True:
            text += self.socket.recv(1 << 16)
            try:
                answer = json.loads(text)
                break
            except json.JSONDecodeError:
                continue
        bad = [one for one in answer["result"] or [] if one and "error" in one]
        if answer["error"] or bad:
            raise Fault(f"the database refuses a transaction: {answer['error'] or bad}")
        return list(answer["result"])


class Chassis:
    """Its database, switch and controller in a private folder."""

    datapath = "dummy"
    vswitchd = ("ovs-vswitchd", "--enable-dummy", "--disable-system")
    encap_ip = "127.0.0.1"
    # What goes in front of the switch, such as what takes it into a network namespace.
    inside: tuple[str, ...] = ()

    def __init__(self, folder: Path, remote: str, name: str, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.remote = remote
        self.name = name
        folder.mkdir()
        kinds = ("RUN", "DB", "LOG", "SYSCONF")
        self.env = {f"{who}_{kind}DIR": str(folder) for who in ("OVN", "OVS") for kind in kinds}
        file = f"{folder}/conf.db"
        run(["ovsdb-tool", "create", file, str(SCHEMA)], _LIMIT, self.env)
        self._daemon("db", ["ovsdb-server", file, f"--remote=punix:{folder}/db.sock"], "db.sock")
        self.vsctl("--no-wait", "init")
        self.configure()
        program, *options = self.vswitchd
        argv = [*self.inside, program, f"unix:{folder}/db.sock", *options]
        self.switch = self._daemon("vswitchd", argv, "vswitchd.ctl")
        kind = f"datapath_type={self.datapath}"
        self.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", kind, "fail_mode=secure")
        self.client = Client(folder / "vswitchd.ctl", _LIMIT)
        stack.callback(self.client.close)
        self.controller: Process

    def configure(self) -> None:
        """What the switch has to find in its database when it starts."""

    def _daemon(self, name: str, argv: list[str], socket_name: str) -> Process:
        process = self._start(name, [*argv, f"--unixctl={self.folder}/{name}.ctl"])
        wait_for(f"{argv[0]} listens", 30, (self.folder / socket_name).exists, process)
        return process

    def _start(self, name: str, argv: list[str]) -> Process:
        process = Process([*argv, "--no-chdir"], self.folder / f"{name}.log", self.env, nice=None)
        self.stack.callback(process.stop)
        return process

    def vsctl(self, *words: str) -> str:
        argv = ["ovs-vsctl", f"--timeout={_LIMIT}", f"--db=unix:{self.folder}/db.sock", *words]
        return run(argv, _LIMIT + 5, self.env)

    def start_controller(self) -> None:
        settings = {
            "ovn-remote": self.remote, "ovn-encap-type": "geneve", "ovn-encap-ip": self.encap_ip, "system-id": self.name,
            "ovn-bridge": "br-int", "ovn-bridge-datapath-type": self.datapath, "ovn-monitor-all": "true",
        }  # fmt: skip
        self.vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items()))
        argv = ["ovn-controller", f"unix:{self.folder}/db.sock"]
        self.controller = self._start("controller", argv)

    def add(self, names: list[str], *options: str) -> None:
        words: list[str] = []
        for name in names:
            words += ["--", "add-port", "br-int", name, "--", "set", "interface", name, "type=dummy",
                      f"external_ids:iface-id={name}"]  # fmt: skip
        self.vsctl(*options, *words[1:])

    def remove(self, name: str) -> None:
        self.vsctl("del-port", "br-int", name)

    def sent(self, name: str) -> int:
        text = self.client.call("dpctl/show", "-s", "dummy@ovs-dummy")
        for port in text.split("\n  port ")[1:]:
            if port.split()[1] == name:
                return int(port.split("TX packets:")[1].split()[0])
        return 0

    def passes(self, source: str, sink: str, frame: bytes) -> bool:
        before = self.sent(sink)
        try:
            self.client.call("netdev-dummy/receive", source, frame.hex())
        except Fault:
            return False
        return self.sent(sink) > before

    def flows(self) -> int:
        text = run(["ovs-ofctl", "dump-aggregate", f"unix:{self.folder}/br-int.mgmt"], _LIMIT, self.env)
        return int(text.split("flow_count=")[1].split()[0])
