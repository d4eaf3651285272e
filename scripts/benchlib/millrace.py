"""millraced as a subject."""

import os
from pathlib import Path

from . import network
from .fault import Fault
from .memory import pool_mb
from .proc import Process, wait_for
from .rig import CONTROL_CORE, WORKER_CORE, Place, Subject
from .rpc import Client

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ["BINARIES"]) / "millraced"
# A message to the switch has at most 16 MiB.
_MESSAGE = 8 << 20


def memory_mb(packets: int) -> int:
    """What it reserves."""
    return pool_mb(packets) + 192


def config(socket: Path, memory: int, hugepages: str, more: str = "") -> str:
    """A switch without ports, but for those that `more` has."""
    return f"""
[control]
socket = "{socket}"
mode = "0600"
cores = [{CONTROL_CORE}]
[workers]
cores = [{WORKER_CORE}]
[dpdk]
pci = false
hugepages = "{hugepages}"
memory_mb = {memory}
[ovn]
state = ""
[log]
filter = "warn"
{more}
"""


_UNDERLAY = """
[underlay]
port = "{name}"
addresses = ["{address}"]
mac = "{mac}"
checksum = {checksum}
[[port]]
name = "{name}"
{port}
"""


class Millrace(Subject):
    """Ours, with one worker. Ports are added by command, so that flows are there before the first packet."""

    name = "millrace"
    hugepages = "on"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.process: Process
        self.client: Client

    @property
    def processes(self) -> list[Process]:
        return [self.process]

    def start(self) -> None:
        self.prepare()
        self.add_source(infinite=True)

    def prepare(self) -> None:
        """All but the source."""
        self.start_empty()
        self.add_sink()
        self.load(self.place.flows)

    def start_empty(self) -> None:
        folder = self.place.folder
        socket = folder / "millraced.ctl"
        file = folder / "millraced.toml"
        file.write_text(config(socket, memory_mb(self.place.packets), self.hugepages, self._underlay()))
        self.process = Process([str(BINARY), "--config", str(file)], folder / "millraced.log")
        self.place.stack.callback(self.process.stop)

        def answers() -> bool:
            self.process.check()
            try:
                self.client = Client(socket)
            except OSError:
                return False
            return True

        wait_for("millraced answers", 30, answers)
        self.place.stack.callback(self.client.close)

    @property
    def tunnel(self) -> str:
        return self.place.cell.rules.tunnel if self.place.network else ""

    def _underlay(self) -> str:
        """The port of the underlay is one that the config file makes."""
        if not self.tunnel:
            return ""
        name, lines = ("dst", ['type = "null"', "no_rx = true"])
        if self.tunnel == "in":
            name, lines = ("src", ['type = "pcap"', f'rx_file = "{self.place.capture}"', "infinite = true"])
        address = f"{network.HERE}/{network.PREFIX}"
        checksum = str(self.place.cell.rules.checksum).lower()
        return _UNDERLAY.format(name=name, address=address, mac=network.HERE_MAC, checksum=checksum, port="\n".join(lines))

    def enter(self, mode: str) -> None:
        """The other host never answers, so it speaks."""
        if self.tunnel == "out":
            self.client.call("inject", "dst", network.announcement().hex())

    def add_source(self, infinite: bool) -> None:
        if self.tunnel == "in":
            return
        file = f"rx_file={self.place.capture}"
        endless = f"infinite={str(infinite).lower()}"
        self.client.call("port/add", "src", "type=pcap", file, endless, *self._number(1), *self._logical("vm1"))

    def add_sink(self) -> None:
        if self.tunnel == "out":
            return
        self.client.call("port/add", "dst", "type=null", "no_rx=true", *self._number(2), *self._logical("vm2"))

    def _number(self, number: int) -> list[str]:
        """That by which flows of the profile know it; those of a logical network do not, and the tunnel port has one too."""
        return [] if self.tunnel else [f"number={number}"]

    def _logical(self, name: str) -> list[str]:
        return [f"iface_id={name}"] if self.place.network else []

    def load(self, flows: list[str]) -> None:
        """Adds flows, in as few batches as messages allow, or loads the rows."""
        if self.place.network:
            self.client.call("sbctl/load", f"--chassis={network.CHASSIS}", self.place.network.dump)
        batch: list[str] = []
        size = 0
        for flow in flows:
            batch.append(flow)
            size += len(flow) + 2
            if size > _MESSAGE:
                self.client.call("ofctl/add-flows", "\n".join(batch))
                batch, size = [], 0
        if batch:
            self.client.call("ofctl/add-flows", "\n".join(batch))

    def packets(self) -> int:
        return int(self.client.json("port/stats", "dst")[0]["device"]["opackets"])

    def drops(self) -> dict[str, int]:
        return dict(self.client.json("stats")["drops"])

    def check_books(self) -> None:
        """Everything that came in is accounted for; asked at a quiet moment."""
        stats = self.client.json("stats")
        if stats["imbalance"] or stats["in_flight"]:
            raise Fault(f"the accounting does not add up: {stats}")


class MillraceVhost(Millrace):
    """Ours between two guests' sockets, both made by the switch."""

    def start(self) -> None:
        self.start_empty()
        for number in (1, 2):
            socket = self.place.folder / f"vhost{number}.sock"
            self.client.call("port/add", f"vm{number}", "type=vhost-user", f"socket={socket}", f"number={number}")
        self.load(self.place.flows)
