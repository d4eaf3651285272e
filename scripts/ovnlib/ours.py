"""Our side: millraced without DPDK on a socket of its own, filled from a dump, asked by the millrace command."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

from benchlib.fault import Fault
from benchlib.proc import CORES, Process, wait_for

from .microflow import Microflow

_LIMIT = 60
_CONFIG = """
[control]
socket = "{socket}"
mode = "0600"
[workers]
cores = [{core}]
idle_sleep = "50ms"
[ovn]
state = ""
[log]
filter = "warn"
"""


class Ours:
    """One switch for a whole run."""

    def __init__(self, folder: Path, binaries: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.socket = folder / "millraced.ctl"
        self.client = binaries / "millrace"
        self.daemon = binaries / "millraced"
        self.stack = stack

    def start(self) -> None:
        config = self.folder / "millraced.toml"
        config.write_text(_CONFIG.format(socket=self.socket, core=CORES[-1]))
        argv = [str(self.daemon), "--no-dpdk", "--config", str(config)]
        process = Process(argv, self.folder / "millraced.log", nice=None)
        self.stack.callback(process.stop)

        def answers() -> bool:
            process.check()
            return self._call("version").returncode == 0

        wait_for("millraced answers", 30, answers, process)

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(self.client), "-t", str(self.socket), *words]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            raise Fault(f"millrace took longer than {_LIMIT} s: {' '.join(argv)}") from None

    def load(self, dump: str) -> None:
        """Replaces all rows."""
        file = self.folder / "loaded.json"
        file.write_text(dump)
        done = self._call("sbctl", "load", str(file))
        if done.returncode:
            raise Fault(f"millrace does not load the dump: {done.stderr.strip()}")

    def lflow_list(self) -> str:
        done = self._call("sbctl", "lflow-list", "--uuid")
        return done.stdout if done.returncode == 0 else f"error: {done.stderr}"

    def trace(self, flow: Microflow) -> str:
        """All three forms, or the error: which is a difference then.

        Behind them we tell which logical flows cannot be read; ovn-trace does so in its log.
        """
        done = self._call("trace", "--all", *flow.options, flow.datapath, flow.expression)
        if done.returncode:
            return f"error: {done.stderr}"
        return re.sub("^# note: .*\n", "", done.stdout, flags=re.MULTILINE)
