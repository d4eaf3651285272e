"""dpdk-testpmd: the limit (`io`, `macswap`), and the guest of the vhost rig."""

import re
import time

from .fault import Fault
from .memory import pool_mb
from .proc import Process, wait_for
from .rig import CONTROL_CORE, WORKER_CORE, Place, Subject

_READY = re.compile(rb"testpmd> ")


class Testpmd:
    """One testpmd that is driven through its prompt."""

    def __init__(self, place: Place, name: str, core: int, memory: int, vdevs: list[str], words: list[str]) -> None:
        # Its answers go to a file, which the C library would fill a block at a time.
        argv = ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@{CONTROL_CORE},1@{core}", "--in-memory", "--no-pci"]
        # A new process would try its telemetry socket on those that run and wait for ever for one that is paused.
        argv += ["--no-telemetry", "--single-file-segments", "-m", str(memory), "--log-level", "lib.eal:4"]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        # It would throw away what it finds in its queues when it starts to forward.
        argv += ["--", "-i", "--no-mlockall", "--no-flush-rx", *words]
        self.process = Process(argv, place.folder / f"{name}.log", talk=True, cores=[CONTROL_CORE])
        place.stack.callback(self.process.stop)
        self.asked = 0
        wait_for(f"testpmd ({name}) is ready", 40, self._ready, self.process)

    def _ready(self) -> bool:
        self.process.check()
        return _READY.search(self.process.log.read_bytes()) is not None

    def ask(self, line: str, pattern: str, seconds: float = 10) -> list[tuple[str, ...]]:
        """Types a line and waits until its answer has what the pattern says, at least twice: one for each port."""
        log = self.process.log
        offset = log.stat().st_size
        self.process.say(line)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with log.open("rb") as file:
                file.seek(offset)
                found = re.findall(pattern, file.read().decode(errors="replace"))
            if len(found) >= 2:
                return found
            time.sleep(0.0002)
        self.process.check()
        raise Fault(f"testpmd did not answer {line!r} within {seconds} s:\n{self.process.tail()}")

    def received_and_sent(self) -> list[tuple[int, int]]:
        """Of every port. The line after the last number is waited for, so that no number is read in part."""
        pattern = r"RX-packets: (\d+)[^#]*?TX-packets: (\d+) [^#]*?TX-bytes: +\d+\n"
        return [(int(rx), int(tx)) for rx, tx in self.ask("show port stats all", pattern)]

    def forward(self, mode: str) -> None:
        for line in ("stop", f"set fwd {mode}", "start"):
            self.process.say(line)


def memory_mb(packets: int) -> int:
    """What the limit reserves."""
    return pool_mb(packets)


class Limit(Subject):
    """The same devices with nothing between them, and with the least a switch could do."""

    name = "testpmd"
    modes = ("io", "macswap")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.testpmd: Testpmd
        self.mode = ""

    @property
    def processes(self) -> list[Process]:
        return [self.testpmd.process]

    def vdevs(self) -> list[str]:
        return [f"net_pcap0,rx_pcap={self.place.capture},infinite_rx=1", "net_null0,no-rx=1"]

    def start(self) -> None:
        packets = self.place.packets
        words = [f"--total-num-mbufs={packets + 8192}", "--max-pkt-len=1518", "--forward-mode=io"]
        self.testpmd = Testpmd(self.place, "limit", WORKER_CORE, memory_mb(packets), self.vdevs(), words)

    def enter(self, mode: str) -> None:
        if mode != self.mode:
            self.testpmd.forward(mode)
            self.mode = mode

    def packets(self) -> int:
        return self.testpmd.received_and_sent()[1][1]


class LimitOnce(Limit):
    """The limit of a capture that is sent once, which the driver reads from its file packet by packet."""

    def vdevs(self) -> list[str]:
        return [f"net_pcap0,rx_pcap={self.place.capture}", "net_null0,no-rx=1"]

    def prepare(self) -> None:
        """Nothing is taken from the capture yet."""
        self.start()

    def add_source(self, infinite: bool) -> None:
        self.enter("io")


class LimitVhost(Limit):
    """testpmd in the place of the switch."""

    modes = ("io",)

    def vdevs(self) -> list[str]:
        return [f"net_vhost{n},iface={self.place.folder}/vhost{n + 1}.sock,queues=1" for n in range(2)]


class Guest:
    """Sends new packets of some flows into both ports and throws away what arrives there."""

    def __init__(self, place: Place, sockets: list[str]) -> None:
        vdevs = [f"net_virtio_user{n},path={socket},queues=1,queue_size=1024" for n, socket in enumerate(sockets)]
        flows, size = place.cell.traffic.flows, place.cell.traffic.frame
        words = ["--total-num-mbufs=32768", "--txd=1024", "--rxd=1024", "--forward-mode=flowgen"]
        words += [f"--flowgen-flows={flows}", f"--txpkts={size}"]
        self.testpmd = Testpmd(place, "guest", CONTROL_CORE, 256, vdevs, words)
        self.testpmd.process.say("start")
        time.sleep(1)

    def received(self) -> int:
        return sum(rx for rx, _ in self.testpmd.received_and_sent())


def with_guest(kind: type[Subject]) -> type[Subject]:
    """A subject of the vhost rig: the switch and its guest, paused and resumed together, counted in the guest."""

    class WithGuest(kind):  # type: ignore[misc,valid-type]
        def start(self) -> None:
            super().start()
            self.guest = Guest(self.place, self.sockets())

        def sockets(self) -> list[str]:
            own = getattr(super(), "sockets", None)
            return own() if own else [str(self.place.folder / f"vhost{n}.sock") for n in (1, 2)]

        @property
        def processes(self) -> list[Process]:
            return [*super().processes, self.guest.testpmd.process]

        def packets(self) -> int:
            return self.guest.received()

    return WithGuest
