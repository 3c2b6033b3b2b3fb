"""How much lies on one exchange: what `limits.max_notional_per_venue_usd` is compared with, here only.

The limit is about the counterparty, and that is the exchange: its sub-accounts (`binance`, `binance-sub1`)
and its own markets (`hyperliquid`, `hyperliquid-xyz`) fail together and count together. Both legs count
where they lie: a pair on one exchange weighs twice its notional there.
"""

from __future__ import annotations

from collections.abc import Iterable

from libs.carry.bounds import EPSILON_USD
from libs.carry.costs import venue_id


def usd_by_exchange(legs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """(venue slug, USD) of every leg -> exchange -> USD on it, in the order of their names."""
    found: dict[str, float] = {}
    for venue, usd in legs:
        exchange = venue_id(venue)
        found[exchange] = found.get(exchange, 0.0) + usd
    return dict(sorted(found.items()))


def too_much(on_exchanges: dict[str, float], limit_usd: float | None) -> tuple[str, float] | None:
    """The first exchange that holds more than the limit, and how much; None when all are within it."""
    if limit_usd is None:
        return None
    return next(((name, usd) for name, usd in on_exchanges.items() if usd > limit_usd + EPSILON_USD), None)
