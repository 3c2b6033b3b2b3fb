"""`funding_opportunities.csv`: its columns, and one evaluation as a row. Pure.

Fractions of notional and USD as in `Opportunity`; an empty cell is "not known" (a break-even: "never").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from libs.common.instant import MS_PER_SEC, US_PER_SEC
from libs.common.messages import LegFigures, Opportunity

_LEG: Final = (
    "venue",
    "instrument",
    "mid",
    "rate",
    "interval_hours",
    "next_ms",
    "daily",
    "fee",
    "slip",
    "age_sec",
)
_PLAIN: Final = (
    "notional_usd",
    "hold_days",
    "forecast",
    "daily",
    "apr",
    "convergence_daily",
    "borrow_daily",
    "capital_daily",
    "fixed_daily_usd",
    "holding_daily",
    "entry",
    "exit",
    "round_trip",
    "round_trip_usd",
    "transfer_usd",
    "basis_entry",
    "net_daily_usd",
    "breakeven_days",
    "now_daily",
    "mean30_daily",
    "history_days",
    "expected_daily",
    "expected_net_usd",
    "expected_breakeven_days",
    "consecutive",
    "score",
    "rank",
    "allocated_usd",
)
COLUMNS: Final = (
    "market_ms",
    "market_time",
    "wall_time",
    "pair",
    "symbol",
    "event",
    "passes",
    "refusals",
    "direction",
    *(f"{side}_{name}" for side in ("long", "short") for name in _LEG),
    *_PLAIN,
    "reasons",
)


def iso_ms(ms: int) -> str:
    """UTC as `2025-10-10T21:15:00.000Z`."""
    return datetime.fromtimestamp(ms / MS_PER_SEC, tz=UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def iso_us(us: int) -> str:
    """UTC in ms from microseconds."""
    return iso_ms(us * MS_PER_SEC // US_PER_SEC)


def header() -> str:
    """The first line of the file."""
    return line(COLUMNS)


def row(opportunity: Opportunity, *, event: str) -> str:
    """One line; `event` says why it was written (see `actor.Mind`)."""
    return line(
        (
            str(opportunity.market_ms),
            iso_ms(opportunity.market_ms),
            iso_us(opportunity.eval_us),
            opportunity.pair,
            opportunity.symbol,
            event,
            str(opportunity.passes).lower(),
            ";".join(opportunity.refusals),
            opportunity.direction,
            *_leg(opportunity.long),
            *_leg(opportunity.short),
            *(_cell(getattr(opportunity, name)) for name in _PLAIN),
            "; ".join(f"{name}: {one_line(text)}" for name, text in opportunity.reasons.items()),
        )
    )


def one_line(text: str) -> str:
    """Text of others without line ends, so that one row stays one line."""
    return " ".join(text.split())


def line(cells: Iterable[str]) -> str:
    """Cells as one CSV line with its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _leg(leg: LegFigures) -> tuple[str, ...]:
    return tuple(_cell(getattr(leg, name)) for name in _LEG)


def _cell(value: float | str | None) -> str:
    # repr is the shortest text that gives the same float back.
    return "" if value is None else value if isinstance(value, str) else repr(value)
