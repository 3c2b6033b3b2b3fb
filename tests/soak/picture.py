"""A run's curves as one SVG page: small panels, one a kind, with what each curve came to. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

import msgspec

from tests.soak.curves import LATER
from tests.soak.record import Record

Point = tuple[float, float]


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """`kinds`: what names of curves begin with. `relative`: drawn as the change since the first value."""

    title: str
    kinds: tuple[str, ...]
    relative: bool = False


PANELS: Final = (
    Panel(title="resident memory since the start, MB", kinds=("rss_mb",), relative=True),
    Panel(title="resident memory, MB", kinds=("rss_mb",)),
    Panel(title="open file descriptors", kinds=("fds",)),
    Panel(title="threads", kinds=("threads",)),
    Panel(title="loop lag, ms", kinds=("loop_lag_ms",)),
    Panel(title="events that wait in the inbox", kinds=("inbox",)),
    Panel(title="streams of the store, entries", kinds=("stream",)),
    Panel(title="store: keys, and MB of memory", kinds=("store",)),
    Panel(title="log files, MB written", kinds=("log_mb",)),
    Panel(title="orders, pairs opened, closed, settlements", kinds=("traded",)),
)
WIDTH: Final = 1_240
COLUMNS: Final = 2
PLOT_X, PLOT_Y, PLOT_W, PLOT_H = 52, 34, 390, 168
CELL_W, CELL_H = WIDTH // COLUMNS, 240
HEAD: Final = 64
LINE_HEIGHT: Final = 16
COLOURS: Final = (
    "#3366cc", "#dc3912", "#e6950c", "#109618", "#990099", "#0099c6", "#dd4477", "#5c8a00", "#6b4c2a",
)  # fmt: skip
GRID: Final = 4
LEGEND: Final = "shaded: the part that is judged; beside each curve its last value, and its growth an hour"


def picture(record: Record) -> str:
    """SVG. The shaded part of each panel is the one that is judged."""
    rows = -(-len(PANELS) // COLUMNS)
    reasons = record.reasons[:12]
    head = HEAD + LINE_HEIGHT * len(reasons)
    height = head + rows * CELL_H + 12
    verdict, colour = ("passed", "#109618") if record.passed else ("failed", "#c00000")
    orders = record.curves.get("traded/orders", [(0.0, 0.0)])[-1][1]
    title = f"soak: {record.seconds / 60:.1f} minutes, {orders:.0f} orders, {verdict}"
    size = f'width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        f'<rect {size} fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="19" fill="{colour}">{escape(title)}</text>',
        f'<text x="16" y="47" fill="#666">{LEGEND}</text>',
    ]
    for number, reason in enumerate(reasons):
        y = HEAD + 4 + LINE_HEIGHT * number
        parts.append(f'<text x="16" y="{y}" fill="#c00000">{escape(reason[:190])}</text>')
    for number, panel in enumerate(PANELS):
        x, y = (number % COLUMNS) * CELL_W, head + (number // COLUMNS) * CELL_H
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(panel, record))}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, record: Record) -> list[str]:
    drawn = {
        name: _shown(points, relative=panel.relative)
        for name, points in record.curves.items()
        if points and name.split("/")[0] in panel.kinds
    }
    values = [value for points in drawn.values() for _, value in points]
    low, high = min([0.0, *values]), max([0.0, *values])
    high = high if high > low else low + 1.0
    end_sec = max([record.seconds, *(points[-1][0] for points in drawn.values())])

    def at(point: Point) -> str:
        x = PLOT_X + PLOT_W * point[0] / end_sec
        y = PLOT_Y + PLOT_H * (high - point[1]) / (high - low)
        return f"{x:.1f},{y:.1f}"

    judged_w = PLOT_W * LATER
    judged_x = PLOT_X + PLOT_W - judged_w
    parts = [
        f'<text x="{PLOT_X}" y="22" font-size="13" fill="#222">{escape(panel.title)}</text>',
        f'<rect x="{judged_x:.1f}" y="{PLOT_Y}" width="{judged_w:.1f}" height="{PLOT_H}" fill="#eef1f7"/>',
        *_grid(low, high, end_sec),
    ]
    ranked = sorted(drawn.items(), key=lambda item: -item[1][-1][1])
    for number, (name, points) in enumerate(ranked):
        colour = COLOURS[sorted(drawn).index(name) % len(COLOURS)]
        path = " ".join(at(point) for point in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        y = PLOT_Y + 10 + LINE_HEIGHT * number
        label = escape(_label(name, points, record))
        parts.append(f'<text x="{PLOT_X + PLOT_W + 8}" y="{y}" fill="{colour}">{label}</text>')
    return parts


def _shown(points: list[Point], *, relative: bool) -> list[Point]:
    first = points[0][1] if relative else 0.0
    return [(sec, value - first) for sec, value in points]


def _label(name: str, points: list[Point], record: Record) -> str:
    who, last = name.split("/", 1)[1], points[-1][1]
    text = f"{who} {_number(last)}"
    growth = record.growth.get(name)
    return text if growth is None else f"{text}  {growth.per_hour:+.1f}/h"


def _grid(low: float, high: float, end_sec: float) -> list[str]:
    parts = []
    for step in range(GRID + 1):
        value = low + (high - low) * step / GRID
        y = PLOT_Y + PLOT_H * (1 - step / GRID)
        parts.append(
            f'<line x1="{PLOT_X}" x2="{PLOT_X + PLOT_W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{PLOT_X - 5}" y="{y + 4:.1f}" text-anchor="end" fill="#666">{_number(value)}</text>'
        )
        x = PLOT_X + PLOT_W * step / GRID
        minutes = f"{end_sec * step / GRID / 60:.1f} min"
        parts.append(
            f'<text x="{x:.1f}" y="{PLOT_Y + PLOT_H + 14}" text-anchor="middle" fill="#666">{minutes}</text>'
        )
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
