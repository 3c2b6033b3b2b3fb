"""The live page: what is held, which pairs are worth it, what each costs, and why others are refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from libs.common import messages as m
from libs.common.instant import MS_PER_SEC
from libs.console import live_pairs
from libs.console.watch import Watch

BPS = 10_000
WIDE, MEDIUM = 138, 114
VERDICT_WIDTH = 20
WAITS = frozenset(
    {"waits", "not_selected", "not_followed", "resting", "no_permit", "breaker", "no_executor"}
    | {"pair_quarantined"}
)
"""Codes under which signal says why a pair that passes is not opened."""


def market_stamp(ms: int) -> str:
    """`2025-10-09 16:42 UTC`."""
    return datetime.fromtimestamp(ms / MS_PER_SEC, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _days(days: float | None) -> str:
    if days is None:
        return "never"
    return "0" if days <= 0 else f"{days:.1f}"  # below zero: the entry already paid


def _bps(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction * BPS:+.2f}"


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _until(next_ms: int | None, market_ms: int) -> str:
    if next_ms is None:
        return "-"
    minutes = max(0, (next_ms - market_ms) // 60_000)
    return f"{minutes // 60}h{minutes % 60:02d}"


def _legs(item: m.Opportunity) -> str:
    long, short = item.long, item.short
    if long.venue == short.venue:
        return f"{long.venue}: {long.kind.value} / {short.kind.value}"
    return f"{long.venue} {long.kind.value} / {short.venue} {short.kind.value}"


def _rate(item: m.Opportunity) -> str:
    shown = [
        f"{leg.rate * BPS:+.2f}/{leg.interval_hours:g}h"
        for leg in (item.long, item.short)
        if leg.rate is not None and leg.interval_hours is not None
    ]
    return " ".join(shown) or "-"


def _verdict(item: m.Opportunity) -> Text:
    if item.passes:
        if item.allocated_usd > 0:
            return Text(f"hold ${item.allocated_usd:,.0f}", style="bold green")
        waits = [why for code, why in item.reasons.items() if code in WAITS]
        return Text(f"waits: {waits[0]}" if waits else "passes", style="green")
    first, *others = item.refusals or ("no reason given",)
    more = f" +{len(others)}" if others else ""
    return Text(first.replace("_", " ") + more, style="yellow" if len(item.refusals) == 1 else "dim")


def table(watch: Watch, *, wall_us: int, width: int, rows: int) -> Table:
    """Ranked pairs; columns fall away as the terminal gets narrower."""
    market_ms = watch.market_ms(wall_us)
    out = Table(expand=True, box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    columns: list[tuple[str, str]] = [("#", "right"), ("pair", "left"), ("long / short", "left")]
    if width >= WIDE:
        columns += [("rate bps", "right"), ("next", "right")]
    columns += [("carry bps/d", "right")]
    if width >= MEDIUM:
        columns += [("APR %", "right"), ("cost bps", "right")]
    columns += [("net $/d", "right"), ("even d", "right")]
    if width >= MEDIUM:
        columns += [("expect. $", "right")]
    columns += [("verdict", "left")]
    for title, justify in columns:
        shape: dict[str, Any] = {"justify": justify, "no_wrap": True, "overflow": "ellipsis"}
        if title == "verdict":
            shape |= {"ratio": 1, "min_width": VERDICT_WIDTH}
        out.add_column(title, **shape)
    for place, item in enumerate(watch.ranked()[:rows], start=1):
        cells: dict[str, RenderableType] = {
            "#": str(item.rank if item.rank is not None else place),
            "pair": item.symbol,
            "long / short": _legs(item),
            "rate bps": _rate(item),
            "next": _until(_next(item), market_ms),
            "carry bps/d": _bps(item.daily),
            "APR %": "-" if item.apr is None else f"{item.apr * 100:+.1f}",
            "cost bps": f"{item.round_trip * BPS:.0f}",
            "net $/d": _usd(item.net_daily_usd),
            "even d": _days(item.breakeven_days),
            "expect. $": _usd(item.expected_net_usd),
            "verdict": _verdict(item),
        }
        out.add_row(*[cells[title] for title, _ in columns], style="" if item.passes else "dim")
    return out


def _next(item: m.Opportunity) -> int | None:
    times = [leg.next_ms for leg in (item.long, item.short) if leg.next_ms is not None]
    return min(times, default=None)


def _counts(watch: Watch) -> Text:
    text = Text(overflow="ellipsis")
    if not watch.ready:
        return Text("waiting for the first evaluation ...", style="yellow")
    text.append(f"{watch.passing} of {watch.pairs} pairs pass", style="bold")
    text.append(f"   {watch.evaluations:,} evaluations")
    refusals = list(watch.refusals_now.items())[:5]
    if refusals:
        text.append(
            "   refused: " + ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in refusals)
        )
    if watch.passing == 0 and not watch.trades.held:
        text.append(f"\n{watch.why_nothing()}", style="yellow")
    return text


def _venues(watch: Watch) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for name, venue in sorted(watch.venues.items()):
        ages = "  ".join(f"{kind} {age:.1f}s" for kind, age in sorted(venue.ages_sec.items()))
        text.append(f"{name}: ", style="bold")
        text.append(
            "connected" if venue.connected else "DISCONNECTED", style="" if venue.connected else "bold red"
        )
        text.append(f"  ages: {ages or '-'}")
        if venue.quarantined:
            one = venue.quarantined[0]
            what = one.instrument or "whole venue"
            text.append(f"  quarantined {len(venue.quarantined)}: {what} ({one.text})", style="yellow")
        text.append("\n")
    return text


def _services(states: dict[str, str]) -> Text:
    text = Text()
    for name, state in states.items():
        text.append(f" {name} ", style="bold green" if state == "ok" else "bold red")
        if state != "ok":
            text.append(f"({state}) ", style="red")
    return text


def screen(
    watch: Watch,
    *,
    title: str,
    notes: Sequence[str],
    states: dict[str, str],
    wall_us: int,
    width: int,
    height: int,
) -> RenderableType:
    """The whole page; `notes` are the header's lines (what is recorded, what is synthesised)."""
    head = Text(title, style="bold cyan")
    clock = watch.clock
    if clock is not None:
        head.append(f"   market {market_stamp(watch.market_ms(wall_us))}  x{clock.speed:g}", style="white")
    lines = [Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in notes]
    body: list[RenderableType] = [head, *lines, Text("")]
    taken = len(body) + 8 + len(watch.venues)
    held = len(watch.trades.held)
    if watch.trades.pairs:
        shown = max(3, (height - taken) // 3)
        if held:
            body.append(live_pairs.table(watch.trades, width=width, rows=shown))
        body += [live_pairs.money(watch.trades), Text("")]
        taken += 4 + min(held, shown) + bool(held)
    body.append(table(watch, wall_us=wall_us, width=width, rows=max(5, height - taken)))
    body += [Text(""), _counts(watch), _venues(watch), _services(states)]
    if watch.alerts:
        last = watch.alerts[-1]
        body.append(Text(f"{last.level.value}: {last.text}", style="yellow"))
    return Group(*body)
