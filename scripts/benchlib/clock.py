"""The processor's time stamp counter: all figures are in its cycles, whatever the core's own clock does."""

import ctypes
import mmap
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
_RDTSC = bytes.fromhex("0f3148c1e2204809d0c3")


def _make_rdtsc() -> tuple[mmap.mmap, "ctypes._CFuncPtr"]:
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_RDTSC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return page, ctypes.CFUNCTYPE(ctypes.c_uint64)(address)


def tsc_hz(seconds: float = 0.5) -> float:
    """Cycles of the counter a second, measured against the clock that all samples are stamped with."""
    page, rdtsc = _make_rdtsc()

    def both() -> tuple[int, int]:
        # The pair that the least time passed between, of some.
        tries = []
        for _ in range(20):
            before = time.monotonic_ns()
            cycles = rdtsc()
            tries.append((time.monotonic_ns() - before, before, cycles))
        width, before, cycles = min(tries)
        return before + width // 2, cycles

    start_ns, start = both()
    time.sleep(seconds)
    end_ns, end = both()
    assert page is not None  # the code must outlive its last call
    return (end - start) * 1e9 / (end_ns - start_ns)
