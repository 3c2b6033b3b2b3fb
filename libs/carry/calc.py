"""The economics of one spot/perp pair from plain numbers: what `fundarb calc` answers."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

from libs.carry.breakeven import CostFigures, breakeven_days, net_daily_usd
from libs.carry.costs import borrow_daily as borrow_on
from libs.carry.costs import fee_rate, fill_costs, round_trip, round_trip_usd
from libs.carry.funding import apr, daily
from libs.carry.slippage import assumed
from libs.common.subjects import Kind


class Calculation(TypedDict):
    """`daily` and `apr` carry the rate's sign; net and break-even are of the direction that earns.

    `forward` is spot long / perp short, `reverse` the other way (the spot leg is borrowed). Break-even None
    is never; a negative one means that the entry already paid.
    """

    daily: float
    apr: float
    round_trip_usd: float
    net_daily_usd: float
    breakeven_days: float | None
    direction: Literal["forward", "reverse"]


def calc(
    rate: float,
    interval_hours: float,
    notional_usd: float,
    *,
    taker: float,
    maker: float,
    role: Literal["taker", "maker"],
    slippage_bps: float,
    borrow_daily: float,
    transfer_usd: float,
    hold_days: float,
) -> Calculation:
    """Flat economics of one pair (economics.md, worked examples); fractions, hours, days and USD.

    Raises ValueError, naming the figure, for one that is not finite, or out of its range.
    """
    given = {
        "rate": rate,
        "interval": interval_hours,
        "notional": notional_usd,
        "taker": taker,
        "maker": maker,
        "slippage-bps": slippage_bps,
        "borrow-daily": borrow_daily,
        "transfer": transfer_usd,
        "hold-days": hold_days,
    }
    for name, value in given.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value}")
        if name in ("interval", "notional", "hold-days") and value <= 0:
            raise ValueError(f"{name} must be above 0, not {value}")
        if name in ("slippage-bps", "borrow-daily", "transfer") and value < 0:
            raise ValueError(f"{name} must not be negative, not {value}")
    rate_daily = daily(rate, interval_hours)
    forward = rate >= 0
    earned = rate_daily if forward else -rate_daily
    fee, slip = fee_rate(taker, maker, role), assumed(slippage_bps)
    once = fill_costs(fee, slip, fee, slip)
    both = round_trip(once, once)
    holding = borrow_on(borrow_daily, Kind.PERP if forward else Kind.SPOT)
    costs: CostFigures = {
        "holding_daily": holding,
        "notional_usd": notional_usd,
        "round_trip": both,
        "transfer_usd": transfer_usd,
    }
    return {
        "daily": rate_daily,
        "apr": apr(rate_daily),
        "round_trip_usd": round_trip_usd(both, notional_usd),
        "net_daily_usd": net_daily_usd(earned, hold_days=hold_days, **costs),
        "breakeven_days": breakeven_days(earned, **costs),
        "direction": "forward" if forward else "reverse",
    }
