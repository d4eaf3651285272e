"""The chart: bars for every cell, the limit and the peer beside ours. Plain SVG."""

from html import escape

from .measure import Result

_BAR, _GAP, _LEFT, _WIDTH, _TOP = 14, 10, 330, 560, 64
_COLOURS = {"testpmd io": "#b8b8b8", "millrace": "#2a6fbb", "OVS-DPDK": "#d98032"}


def _bars(result: Result) -> list[tuple[str, float, float]]:
    """Name, median and spread of what was measured."""
    found = []
    for name, subject, mode in (("testpmd io", "testpmd", "io"), ("millrace", "millrace", ""),
                                ("OVS-DPDK", "ovs", result.best("ovs") or "")):  # fmt: skip
        median = result.median(subject, mode)
        if median is not None:
            found.append((name, median, result.spread(subject, mode) or 0))
    return found


def _text(x: float, y: float, words: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(words)}</text>'


def _ticks(most: float) -> list[float]:
    """Four to eight round numbers up to the greatest."""
    step = 10 ** len(str(int(most))) / 100
    while most / step > 8:
        step *= 2 if str(step)[0] in "15" else 2.5
    return [step * index for index in range(int(most / step) + 1)]


def _one(y: float, name: str, median: float, spread: float, scale: float) -> list[str]:
    width, low, high = median * scale, (median - spread / 2) * scale, (median + spread / 2) * scale
    middle = y + _BAR / 2
    return [
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[name]}"/>',
        f'<path d="M{_LEFT + low:.1f} {middle}H{_LEFT + high:.1f}" stroke="#222" stroke-width="1"/>',
        _text(_LEFT + max(width, high) + 5, y + _BAR - 4, f"{median:.1f}", 'font-size="10" fill="#444"'),
    ]


def svg(results: list[Result], rig: str) -> str:
    """All cells of a rig, one below the other."""
    cells = [(result.cell.label, _bars(result)) for result in results if result.cell.rig == rig]
    most = max((median for _, bars in cells for _, median, _ in bars), default=1.0)
    scale = _WIDTH / most
    height = _TOP + sum(len(bars) * _BAR + _GAP for _, bars in cells) + 20
    unit = "Mpps, both ways (more is better)" if rig == "vhost" else "TSC cycles per packet (less is better)"
    if rig != "vhost" and any(result.on_core for result in results):
        unit = unit.replace(" (", " while the worker had its core (")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 70}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(10, 20, f"{rig}: {unit}", 'font-size="14" font-weight="bold"'),
    ]
    for index, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + index * 120
        parts.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>' + _text(x + 17, 40, name))
    for tick in _ticks(most):
        x = _LEFT + tick * scale
        parts.append(f'<path d="M{x:.1f} {_TOP - 8}V{height - 15}" stroke="#ddd"/>')
        parts.append(_text(x, _TOP - 10, f"{tick:g}", 'font-size="9" fill="#777" text-anchor="middle"'))
    y = _TOP
    for label, bars in cells:
        parts.append(_text(_LEFT - 8, y + len(bars) * _BAR / 2 + 4, label, 'text-anchor="end"'))
        for name, median, spread in bars:
            parts += _one(y, name, median, spread, scale)
            y += _BAR
        y += _GAP
    return "\n".join([*parts, "</svg>", ""])
