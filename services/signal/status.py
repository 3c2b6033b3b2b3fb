"""Signal's answer to `cmd.status`: what would be held, what passes, and why nothing else happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from libs.carry.ranking import order_of
from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages import Opportunity
from services.signal.decide import Held


def status_of(
    opportunities: Iterable[Opportunity],
    held: Mapping[str, Held] | None,
    problems: Mapping[str, str],
    now: Now,
) -> dict[str, Any]:
    """Plain JSON values; `pairs` best first, each with the reasons that keep it out."""
    ordered = sorted(opportunities, key=order_of)
    refusals = Counter(code for item in ordered for code in item.refusals)
    return {
        "passing": [item.pair for item in ordered if item.passes],
        "would_hold": {
            pair: {
                "direction": item.direction,
                "hours": round((now.market_ms - item.holding.since_ms) / MS_PER_HOUR, 3),
                "notional_usd": item.notional_usd,
                "funding_usd": item.holding.earned * item.notional_usd,
                "round_trip_usd": item.round_trip * item.notional_usd,
            }
            for pair, item in sorted((held or {}).items())
        },
        "refusals": dict(refusals.most_common()),
        "pairs": {
            item.pair: {
                "passes": item.passes,
                "direction": item.direction,
                "daily": item.daily,
                "net_daily_usd": item.net_daily_usd,
                "reasons": item.reasons,
            }
            for item in ordered
        },
        "problems": {key: text for key, text in problems.items() if text},
    }
