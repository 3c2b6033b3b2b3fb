"""The flat view: today's carry stays for the whole holding time (the blueprint's formula)."""

from __future__ import annotations

from typing import TypedDict


class CostFigures(TypedDict):
    """What both views subtract: a day's holding and the round trip as fractions, transfer in USD."""

    holding_daily: float
    notional_usd: float
    round_trip: float
    transfer_usd: float


def net_daily_usd(
    carry_daily: float,
    *,
    holding_daily: float,
    notional_usd: float,
    round_trip: float,
    transfer_usd: float,
    hold_days: float,
) -> float:
    """Net USD a day when the position is held for `hold_days`: one-off costs spread over them."""
    if not hold_days > 0:
        raise ValueError(f"a holding time is positive, not {hold_days} days")
    return (carry_daily - holding_daily) * notional_usd - (
        round_trip * notional_usd + transfer_usd
    ) / hold_days


def breakeven_days(
    carry_daily: float, *, holding_daily: float, notional_usd: float, round_trip: float, transfer_usd: float
) -> float | None:
    """Days until the carry has paid the one-off costs; None is never. Negative: the entry already paid."""
    earned_daily_usd = (carry_daily - holding_daily) * notional_usd
    if earned_daily_usd <= 0:
        return None
    return (round_trip * notional_usd + transfer_usd) / earned_daily_usd
