"""What the figures of a cell mean beside the limit, the peer and the bars that the project has set itself."""

from dataclasses import dataclass

from .measure import DISTURBED, Result

# Own cycles as a share of the peer's: at most this, with one flow and with more.
SHARE_OF_ONE, SHARE = 1 / 2, 1 / 3
# The vhost rig: times the peer's Mpps, and Mpps where the limit itself reaches so many (a bar of the profile).
VHOST_TIMES = 1.6
VHOST_LIMIT = 22
# A cell is not judged where the limit spreads by more than this share of the peer's own cycles.
LIMIT_SPREAD = 0.2


@dataclass(frozen=True)
class Verdict:
    """None is what could not be told."""

    ours: float
    io: float | None
    peer: float | None
    peer_mode: str | None
    # Cycles less those of testpmd io.
    own: float | None
    peer_own: float | None
    # Ours as a part of the peer's own cycles; on the vhost rig times its Mpps.
    ratio: float | None
    ratio_bar: float
    bar: float | None
    # "met", "missed" or "-" for the ratio and for the bar; both "not judged" where the limit spreads too much.
    ratio_met: str
    bar_met: str


def _said(met: bool | None) -> str:
    return "-" if met is None else "met" if met else "missed"


def judge(result: Result) -> Verdict:
    ours = result.median("millrace") or 0.0
    mode = result.best("ovs")
    io, peer = result.median("testpmd", "io"), result.median("ovs", mode) if mode else None
    if result.cell.rig == "vhost":
        return _judge_vhost(result, ours, io, peer, mode)
    own = None if io is None else ours - io
    peer_own = None if io is None or peer is None else peer - io
    ratio = None if own is None or not peer_own or peer_own <= 0 else own / peer_own
    ratio_bar = result.cell.share or (SHARE_OF_ONE if result.cell.traffic.flows == 1 else SHARE)
    bar = result.cell.bar
    ratio_met = _said(None if ratio is None else ratio <= ratio_bar)
    bar_met = _said(None if own is None or bar is None else own <= bar)
    spread = result.spread("testpmd", "io")
    against = peer_own if peer_own is not None else bar
    if spread is not None and against is not None and spread > LIMIT_SPREAD * against:
        ratio_met = bar_met = "not judged"
    return Verdict(ours, io, peer, mode, own, peer_own, ratio, ratio_bar, bar, ratio_met, bar_met)


def _judge_vhost(result: Result, ours: float, io: float | None, peer: float | None, mode: str | None) -> Verdict:
    ratio = ours / peer if peer else None
    bar = result.cell.bar if io is not None and io >= VHOST_LIMIT else None
    ratio_met = _said(None if ratio is None else ratio >= VHOST_TIMES)
    bar_met = _said(None if bar is None else ours >= bar)
    return Verdict(ours, io, peer, mode, None, None, ratio, VHOST_TIMES, bar, ratio_met, bar_met)


def disturbed(result: Result) -> int:
    """How many samples were taken while somebody else had the worker's core."""
    return sum(s.waited >= DISTURBED for samples in result.samples.values() for s in samples)
