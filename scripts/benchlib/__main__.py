"""The command line; `scripts/bench` sees to packages and binaries first."""

import argparse
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import FrameType

from . import clock, measure, millrace, misses, ovs, proc, profile, quick, report, updates
from .fault import Fault
from .measure import Options, Result
from .misses import Misses
from .profile import Cell
from .updates import Figure

PROFILES = millrace.ROOT / "configs/bench"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Whole-switch benchmarks.")
    parser.add_argument("--profile", action="append", metavar="NAME|FILE",
                        help="profile of configs/bench, or a file; may be given again; all of them if left out")
    parser.add_argument("--flows", help="only cells with these numbers of flows, such as 1,1000")
    parser.add_argument("--peer", choices=["ovs"], help="run OVS-DPDK on the same input in the same rounds")
    parser.add_argument("--limit", action="store_true", help="run testpmd io and macswap too")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="time of one measurement")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before each measurement")
    parser.add_argument("--patience", type=int, default=2,
                        help="how often a measurement is done again because others had the worker's core")
    parser.add_argument("--on-core", action="store_true",
                        help="leave out the time in which others had the worker's core; for a shared machine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=millrace.ROOT / "target/bench")
    parser.add_argument("--list", action="store_true", help="print the cells and measure nothing")
    parser.add_argument("--quick", action="store_true", help="a minute: everything runs and counts are exact")
    return parser.parse_args()  # fmt: skip


def cells(args: argparse.Namespace) -> list[Cell]:
    """Those that were asked for."""
    known = {path.stem: path for path in sorted(PROFILES.glob("*.toml"))}
    found: list[Cell] = []
    for name in args.profile or known:
        path = known.get(name, Path(name))
        if not path.exists():
            raise Fault(f'there is no profile "{name}"; there are {", ".join(known)}')
        found += profile.read(path)
    if args.flows:
        wanted = {int(number) for number in args.flows.split(",")}
        found = [cell for cell in found if cell.traffic.flows in wanted]
    return found


def estimate(chosen: list[Cell], options: Options) -> float:
    """Minutes that the cells take at least."""
    modes = 1 + 2 * options.limit + 3 * options.peer
    each = 8 + options.rounds * modes * (options.seconds + options.warmup)
    return sum(each if cell.kind == "forward" else 60 for cell in chosen) / 60


def run(chosen: list[Cell], options: Options, out: Path) -> bool:
    """Measures cell by cell. What is there is written after each, so that an end before time loses little."""
    results: list[Result] = []
    lost: list[Misses] = []
    figures: list[Figure] = []
    fine = True
    for number, cell in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {cell.label}", flush=True)
        # Bounded, whatever hangs.
        signal.alarm(int(600 + 60 * estimate([cell], options) * (2 + options.patience)))
        try:
            if cell.kind == "misses":
                lost += misses.run_cell(cell, options)
            elif cell.kind == "updates":
                figures += updates.run_cell(cell, options)
            else:
                results.append(measure.run_cell(cell, options))
                print("    " + "  ".join(summary(results[-1])), flush=True)
        except Fault as fault:
            fine = False
            print(f"    not measured: {fault}", flush=True)
        finally:
            signal.alarm(0)
        report.write(out, results, lost, figures)
    print("\n" + report.write(out, results, lost, figures))
    print(f"written to {out}")
    return fine


def summary(result: Result) -> list[str]:
    """Medians, for whoever watches."""
    return [f"{' '.join(key).strip()} {result.median(*key):.1f}" for key in result.samples]


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _overdue(_: int, __: FrameType | None) -> None:
    raise Fault("it took far longer than it should and was ended")


def main() -> int:
    args = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    signal.signal(signal.SIGALRM, _overdue)
    try:
        chosen = [] if args.quick else cells(args)
        if args.list:
            print("\n".join(f"{cell.kind:8} {cell.rig:10} {cell.label}" for cell in chosen))
            return 0
        if not millrace.BINARY.exists():
            raise Fault(f"{millrace.BINARY} is not there; run this without --skip-build")
        if args.peer and not ovs.VSWITCHD.exists():
            raise Fault(f"{ovs.VSWITCHD} is not there; install openvswitch-switch-dpdk")
        if len(proc.CORES) < 2:
            raise Fault("a worker needs a core of its own, and this machine has only one")
        proc.stay_out_of_the_way()
        with tempfile.TemporaryDirectory(prefix="millrace-bench-") as scratch:
            options = Options(args.rounds, args.seconds, args.warmup, bool(args.peer), args.limit, args.seed,
                              clock.tsc_hz(), Path(scratch), args.patience, args.on_core)  # fmt: skip
            if args.quick:
                signal.alarm(300)
                quick.run(replace(options, rounds=2, seconds=0.3, warmup=0.3, patience=0))
                print("everything ran, and all counts are exact")
                return 0
            print(f"{len(chosen)} cells, about {estimate(chosen, options):.0f} minutes; "
                  f"TSC {options.tsc_hz / 1e6:.1f} MHz, worker on core {proc.CORES[-1]}")  # fmt: skip
            return 0 if run(chosen, options, args.out) else 1
    except Fault as fault:
        print(f"scripts/bench: {fault}", file=sys.stderr)
        return 1


sys.exit(main())
