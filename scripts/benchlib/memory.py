"""Hugepages: as many as a cell needs are reserved, and given back."""

from pathlib import Path

from .fault import Fault

_DIR = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
# What stays for the rest of the machine.
_SPARE_MB = 1024


def pool_mb(packets: int, most: int | None = None) -> int:
    """Megabytes of a pool that holds so many packets of up to 1518 bytes, and what ports need besides."""
    buffers = 1 << (packets + 16384).bit_length()
    return min(buffers, most or buffers) * 2500 // (1 << 20) + 96


def _read(name: str) -> int:
    return int((_DIR / name).read_text())


def _available_mb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


class Hugepages:
    """Raises the number of pages for as long as it is entered; goes back unless somebody has set another since."""

    def __init__(self) -> None:
        self.before: int | None = None
        self.raised = 0

    def __enter__(self) -> "Hugepages":
        return self

    def reserve(self, megabytes: int) -> None:
        """Sees to it that so much is free."""
        if not _DIR.exists():
            raise Fault("this kernel has no 2 MiB hugepages, and without them nothing here is worth measuring")
        short = megabytes // 2 + 1 - _read("free_hugepages")
        if short <= 0:
            return
        if _available_mb() < 2 * short + _SPARE_MB:
            raise Fault(f"needs {2 * short} MB more of hugepages and {_available_mb()} MB of memory are left")
        if self.before is None:
            self.before = _read("nr_hugepages")
        (_DIR / "nr_hugepages").write_text(str(_read("nr_hugepages") + short))
        self.raised = _read("nr_hugepages")
        if _read("free_hugepages") < megabytes // 2:
            given = 2 * _read("free_hugepages")
            raise Fault(f"the kernel gave {given} of {megabytes} MB of hugepages: memory in pieces")

    def __exit__(self, *_: object) -> None:
        if self.before is not None and _read("nr_hugepages") == self.raised:
            (_DIR / "nr_hugepages").write_text(str(self.before))
