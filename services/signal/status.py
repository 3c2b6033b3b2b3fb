"""Signal's answer to `cmd.status`: what is or would be held, what passes, and why nothing else happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from libs.carry.ranking import order_of
from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages import Opportunity
from services.signal.decide import Held
from services.signal.standing import Standing
from services.signal.wishes import held_usd

Waiting = Mapping[str, Mapping[str, str]]


def status_of(
    opportunities: Iterable[Opportunity],
    held: Mapping[str, Held] | None,
    problems: Mapping[str, str],
    now: Now,
    *,
    standing: Standing | None = None,
    waiting: Waiting | None = None,
) -> dict[str, Any]:
    """Plain JSON values; `pairs` best first, each with the reasons that keep it out.

    `would_hold` is the observer's, `holds` what the executor says where one runs. `waiting`: pair -> code ->
    why what is wanted is not asked for. `nothing_because`: one sentence while nothing is opened, else empty.
    """
    ordered = sorted(opportunities, key=order_of)
    book, held_back = held or {}, waiting or {}
    refusals = Counter(code for item in ordered for code in item.refusals)
    refusals.update(code for codes in held_back.values() for code in codes)
    return {
        "passing": [item.pair for item in ordered if item.passes],
        "would_hold": {} if standing else {pair: _held(item, now) for pair, item in sorted(book.items())},
        "holds": _holds(standing, book, now) if standing else {},
        "waiting": {pair: dict(codes) for pair, codes in sorted(held_back.items())},
        "nothing_because": nothing_because(ordered, standing, held_back, now),
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


def _held(item: Held, now: Now) -> dict[str, Any]:
    """What is followed of a pair, in USD."""
    return {
        "direction": item.direction,
        "hours": round((now.market_ms - item.holding.since_ms) / MS_PER_HOUR, 3),
        "notional_usd": item.notional_usd,
        "funding_usd": item.holding.earned * item.notional_usd,
        "running_loss_usd": item.holding.loss * item.notional_usd,
        "round_trip_usd": item.round_trip * item.notional_usd,
    }


def _holds(standing: Standing, book: Mapping[str, Held], now: Now) -> dict[str, Any]:
    """Every pair that is not idle, by the executor's word; `silent` while it has not been said lately."""
    return {
        pair: {
            "direction": status.direction,
            "notional_usd": held_usd(status),
            **(_held(book[pair], now) if pair in book else {}),
            "state": status.state,
            "reason": status.reason,
            "silent": standing.silence(pair, now),
        }
        for pair, status in sorted(standing.taking().items())
    }


def nothing_because(
    ordered: Iterable[Opportunity], standing: Standing | None, waiting: Waiting, now: Now
) -> str:
    """Why no pair is opened, in one sentence: what holds for all first, then the best pair's own reason."""
    if standing is not None and (stale := standing.permits.stale_reason(now)):
        return f"nothing may be opened: {stale}"
    passing = [item for item in ordered if item.passes]
    if not passing:
        return "no pair passes every gate"
    taking = standing.taking() if standing else {}
    open_to = [item.pair for item in passing if item.pair not in taking]
    if not open_to:
        return "every pair that passes is held" if standing else ""
    first = waiting.get(open_to[0])
    return f"{open_to[0]}: {'; '.join(first.values())}" if first else ""
