"""One spot/perp pair that passes everything, to be changed in one thing at a time."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.carry.case import LegInput, PairTerms, pair_terms
from libs.carry.evaluate import evaluate
from libs.carry.funding import SettledCarry, settled_carry, settled_samples
from libs.common.config.schema import Config, Costs, Limits, Position, Thresholds
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import Kind

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
T0_MS = 1_735_689_600_000  # 2025-01-01 00:00 UTC
NOW_MS = T0_MS + 40 * DAY_MS + HOUR_MS  # an hour after a settlement


def print_at(hours: float, rate: float, interval_hours: float = 8.0, *, jitter_ms: int = 0) -> Settlement:
    """A print `hours` after T0."""
    return Settlement(
        settled_ms=T0_MS + int(hours * HOUR_MS) + jitter_ms, rate=rate, interval_hours=interval_hours
    )


def series(
    rate: float, *, interval_hours: float = 8.0, days: float = 35.0, until_hours: float = 960.0
) -> tuple[Settlement, ...]:
    """Equal prints up to `until_hours` after T0 (40 days), oldest first."""
    count = int(days * 24 / interval_hours)
    return tuple(
        print_at(until_hours - back * interval_hours, rate, interval_hours) for back in reversed(range(count))
    )


def settled(
    long: tuple[Settlement, ...] | None = None, short: tuple[Settlement, ...] | None = None
) -> SettledCarry:
    """Summary of settled carry, which must exist."""
    found = settled_carry(settled_samples(long, short))
    assert found is not None
    return found


def config(**sections: Any) -> Config:
    """Example 1's figures (1,000 USD) unless changed."""
    given: dict[str, Any] = {
        "position": Position(),
        "thresholds": Thresholds(),
        "costs": Costs(),
        "limits": Limits(),
    }
    return Config(**(given | sections))


def spot(**changes: Any) -> LegInput:
    leg = LegInput(
        venue="binance",
        instrument="BTC-USDT",
        kind=Kind.SPOT,
        bid=99.99,
        ask=100.01,
        base="BTC",
        quote="USDT",
    )
    return msgspec.structs.replace(leg, **changes)


def perp(**changes: Any) -> LegInput:
    leg = LegInput(
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind=Kind.PERP,
        bid=99.99,
        ask=100.01,
        rate=0.0003,
        interval_hours=8.0,
        next_ms=NOW_MS + 7 * HOUR_MS,
        base="BTC",
        quote="USDT",
        settle="USDT",
    )
    return msgspec.structs.replace(leg, **changes)


def terms_of(cfg: Config, first: LegInput, second: LegInput, pair: str = "PAIR") -> PairTerms:
    return pair_terms(
        cfg, pair=pair, symbol="BTC/USDT", first=(first.venue, first.kind), second=(second.venue, second.kind)
    )


def evaluated(
    first: LegInput | None = None,
    second: LegInput | None = None,
    history: SettledCarry | None = None,
    *,
    cfg: Config | None = None,
    market_ms: int = NOW_MS,
    pair: str = "PAIR",
    **options: Any,
) -> Opportunity:
    """The pair that passes, with what is given in place of its own."""
    first, second, cfg = first or spot(), second or perp(), cfg or config()
    history = history or settled(None, series(0.0003))
    return evaluate(
        terms_of(cfg, first, second, pair), first, second, history, market_ms=market_ms, eval_us=1, **options
    )
