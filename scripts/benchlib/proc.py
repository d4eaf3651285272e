"""Processes of our own: started free of our affinity, paused, ended by pid, and dead when we are."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .fault import Fault

CORES = sorted(os.sched_getaffinity(0))
NICE = -20
AUTOGROUP = Path("/proc/self/autogroup")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def stay_out_of_the_way() -> None:
    """This script itself runs beside the control threads, never on the worker's core."""
    os.sched_setaffinity(0, {CORES[0]})


class Process:
    """One child. Its output goes to a log, of which the end is shown when something is wrong."""

    def __init__(
        self,
        argv: list[str],
        log: Path,
        env: dict[str, str] | None = None,
        talk: bool = False,
        cores: list[int] = CORES,
        nice: int | None = NICE,
    ) -> None:
        """Where it is to `talk` it has a pipe to be typed into. Threads that it does not pin run on `cores`.

        `nice` is its precedence; with none it takes what it inherits, which needs no root.
        """

        def child() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cores)
            # Whatever else runs on the machine should disturb little; all that is compared has the same precedence.
            if nice is None:
                return
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            # Where the kernel shares cores between sessions first, that number alone says little.
            if AUTOGROUP.exists():
                AUTOGROUP.write_text(str(nice))

        self.name = Path(argv[0]).name
        self.log = log
        self.paused = False
        with log.open("wb") as out:
            self.child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=child,
            )

    def check(self) -> None:
        """Fails if it has ended."""
        status = self.child.poll()
        if status is not None:
            raise Fault(f"{self.name} ended with status {status}; its last words:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join("    " + line for line in text.splitlines()[-lines:])

    def say(self, line: str) -> None:
        """Types a line into it."""
        self.check()
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def pause(self) -> None:
        if not self.paused and self.child.poll() is None:
            self.child.send_signal(signal.SIGSTOP)
            self.paused = True

    def resume(self) -> None:
        self.check()
        if self.paused:
            self.child.send_signal(signal.SIGCONT)
            self.paused = False

    def stop(self, seconds: float = 5) -> None:
        """Ends it: asked first, killed if it takes too long."""
        if self.child.poll() is None:
            self.child.terminate()
            self.child.send_signal(signal.SIGCONT)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(seconds)
        if self.child.stdin is not None:
            self.child.stdin.close()

    def waited_ns(self) -> int:
        """How long its threads that may only run on the worker's core were ready to run and did not."""
        total = 0
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            try:
                status = (task / "status").read_text()
                if f"Cpus_allowed_list:\t{CORES[-1]}\n" in status:
                    total += int((task / "schedstat").read_text().split()[1])
            except (OSError, IndexError, ValueError):
                continue
        return total


def run(argv: list[str], seconds: float = 30, env: dict[str, str] | None = None, text: str | None = None) -> str:
    """A command that ends by itself, and what it said."""
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=seconds, env={**os.environ, **(env or {})}
        )
    except subprocess.TimeoutExpired:
        raise Fault(f"{' '.join(argv[:4])} … took longer than {seconds} s") from None
    if done.returncode:
        raise Fault(f"{' '.join(argv)[:200]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def wait_for(what: str, seconds: float, true: Callable[[], bool], who: Process | None = None) -> None:
    """Asks ten times a second."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            said = f"; its last words:\n{who.tail()}" if who else ""
            raise Fault(f"{what}: not within {seconds} s{said}")
        time.sleep(0.1)
