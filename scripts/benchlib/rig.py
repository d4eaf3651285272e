"""What is measured: the place where a cell runs, and what every subject there can do.

A subject is one process that polls, or a switch with the guest that loads it. It is started paused, and only one is
ever resumed: two polling workers never compete for the core.
"""

import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from .network import Network
from .proc import CORES, Process
from .profile import Cell

WORKER_CORE = CORES[-1]
CONTROL_CORE = CORES[0]


@dataclass
class Place:
    """A cell with its files: where they are and what ends what was started."""

    cell: Cell
    folder: Path
    stack: ExitStack
    capture: Path
    packets: int
    flows: list[str] = field(default_factory=list)
    network: Network | None = None


@dataclass(frozen=True)
class Count:
    """Packets seen at the sink, and when."""

    nanoseconds: int
    packets: int


class Subject(ABC):
    """Something that forwards. Its modes are measured one by one."""

    name: str
    modes: tuple[str, ...] = ("",)

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    @abstractmethod
    def processes(self) -> list[Process]:
        """Those to pause; the first has the worker."""

    @abstractmethod
    def start(self) -> None:
        """Starts it, with the flows in place."""

    @abstractmethod
    def packets(self) -> int:
        """How many packets the sink has seen."""

    def enter(self, mode: str) -> None:
        """Changes to a mode; called while it runs."""

    def count(self) -> Count:
        """Packets with the time they were read at; read again if that took too long to say when it was."""
        tries = []
        for _ in range(5):
            before = time.monotonic_ns()
            packets = self.packets()
            width = time.monotonic_ns() - before
            tries.append((width, before, packets))
            if width < 2_000_000:
                break
        width, before, packets = min(tries)
        return Count(before + width // 2, packets)

    def pause(self) -> None:
        for process in self.processes:
            process.pause()

    def resume(self) -> None:
        for process in reversed(self.processes):
            process.resume()
