"""Which of the pairs that pass comes first: net per day on each dollar of capital used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from libs.common.messages import Opportunity


def score_of(
    forecast: Literal["flat", "expected"],
    net_daily_usd: float | None,
    horizon_net_usd: float | None,
    horizon_days: float,
    capital_usd: float,
) -> float | None:
    """Net USD a day per USD of capital used, flat or expected over the forecast horizon; None is unknown."""
    net = net_daily_usd
    if forecast == "expected":
        net = None if horizon_net_usd is None else horizon_net_usd / horizon_days
    return None if net is None else net / capital_usd


OrderKey = tuple[bool, float, str]


def place_of(score: float | None) -> float:
    """What scores sort by: the higher first, unknown ones last."""
    return math.inf if score is None else -score


def order_key(score: float | None, pair: str, *, passes: bool) -> OrderKey:
    """Sort key: those that pass, then the higher score, then the id so that ties are settled."""
    return (not passes, place_of(score), pair)


def order_of(opportunity: Opportunity) -> OrderKey:
    """`order_key` of an evaluated pair."""
    return order_key(opportunity.score, opportunity.pair, passes=opportunity.passes)


def ranked(opportunities: Iterable[Opportunity]) -> list[Opportunity]:
    """All in order, best first, with `rank` from 1 on those that pass."""
    ordered = sorted(opportunities, key=order_of)
    return [
        msgspec.structs.replace(opportunity, rank=index + 1) if opportunity.passes else opportunity
        for index, opportunity in enumerate(ordered)
    ]
