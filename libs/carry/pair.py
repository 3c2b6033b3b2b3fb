"""A pair's figures in one direction: carry, costs, forecast, put together from the formulas of each noun."""

from __future__ import annotations

from typing import Literal

import msgspec

from libs.carry.breakeven import CostFigures
from libs.carry.case import Direction, LegInput, PairTerms
from libs.carry.costs import (
    LegTerms,
    borrow_daily,
    capital_cost_daily,
    capital_usd,
    fill_costs,
    holding_daily,
    round_trip,
    transfer_usd,
)
from libs.carry.expected import expected_breakeven_days, expected_daily, expected_net_usd
from libs.carry.funding import SettledCarry, carry_daily, convergence_daily, daily, days_until
from libs.carry.slippage import mid_of, slip_of
from libs.common.subjects import FUTURE, PERP


def leg_daily(leg: LegInput) -> float | None:
    """A leg's current funding a day: 0 for spot and dated legs, None while rate or interval is unknown."""
    if leg.kind is not PERP:
        return 0.0
    if leg.rate is None or leg.interval_hours is None or leg.interval_hours <= 0:
        return None
    return daily(leg.rate, leg.interval_hours)


def pair_convergence(
    long: LegInput, short: LegInput, long_mid: float | None, short_mid: float | None, *, market_ms: int
) -> float:
    """Convergence of a pair's dated legs a day, counted once: two dated legs meet at the earlier expiry."""
    days = pair_days_left(long, short, market_ms)
    if days is None or long_mid is None or short_mid is None:
        return 0.0
    if short.kind is FUTURE:
        return convergence_daily(short_mid, long_mid, days, future_is_short=True)
    return convergence_daily(long_mid, short_mid, days, future_is_short=False)


def pair_days_left(long: LegInput, short: LegInput, market_ms: int) -> float | None:
    """Days until the first dated leg expires, None when neither leg is dated."""
    left = [
        days_until(leg.expiry_ms, market_ms)
        for leg in (long, short)
        if leg.kind is FUTURE and leg.expiry_ms is not None
    ]
    return min(left) if left else None


def forward_carry(first: LegInput, second: LegInput, market_ms: int) -> float | None:
    """Carry a day with convergence, long the first leg and short the second; None while a rate is unknown."""
    first_daily, second_daily = leg_daily(first), leg_daily(second)
    if first_daily is None or second_daily is None:
        return None
    mids = mid_of(first.bid, first.ask), mid_of(second.bid, second.ask)
    return carry_daily(first_daily, second_daily) + pair_convergence(
        first, second, *mids, market_ms=market_ms
    )


def better_direction(
    terms: PairTerms, first: LegInput, second: LegInput, forward_daily: float | None
) -> Direction:
    """The direction with more carry left after holding costs; forward while that is open."""
    if forward_daily is None:
        return "forward"
    forward_borrow = borrow_daily(terms.second.borrow_daily, second.kind)
    reverse_borrow = borrow_daily(terms.first.borrow_daily, first.kind)
    return "reverse" if reverse_is_better(forward_daily, forward_borrow, reverse_borrow) else "forward"


def reverse_is_better(forward_daily: float, forward_borrow: float, reverse_borrow: float) -> bool:
    """Whether the other way round leaves more a day; `*_borrow`: what each way pays to borrow its short."""
    return -forward_daily - reverse_borrow > forward_daily - forward_borrow


def consecutive_of(settled: SettledCarry | None, sign: float, convergence: float) -> int:
    """How many of the last settled carries had the direction's sign, a dated leg's convergence included."""
    if settled is None:
        return 0
    if convergence == 0.0:
        return settled.positive_run if sign > 0 else settled.negative_run
    count = 0
    for sample in reversed(settled.tail):
        if sample * sign + convergence <= 0:
            break
        count += 1
    return count


class Fills(msgspec.Struct, frozen=True):
    """Slippage of entering and leaving one leg; whether depth told it, and whether it can be filled."""

    entry: float
    leave: float
    from_depth: bool
    fillable: bool


class PairCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What one direction costs; fractions of notional, USD where the name says so."""

    long: Fills
    short: Fills
    entry: float
    leave: float
    borrow: float
    capital_daily: float
    capital_usd: float
    transfer_usd: float
    figures: CostFigures


class Forecasted(msgspec.Struct, frozen=True, kw_only=True):
    """The expected view of one direction; all None while nothing has settled."""

    now: float | None = None
    mean30: float | None = None
    daily: float | None = None
    horizon_net_usd: float | None = None
    net_usd: float | None = None
    breakeven_days: float | None = None


def fills_of(terms: PairTerms, leg: LegInput, leg_terms: LegTerms, enter: Literal["buy", "sell"]) -> Fills:
    """Slippage as configured, or each way from the side of the book that it takes."""
    assumed = leg_terms.slip
    if terms.config.costs.slippage != "depth" or leg.depth is None:
        return Fills(assumed, assumed, from_depth=False, fillable=True)
    entry, _ = slip_of(leg.depth, enter, assumed)
    leave, _ = slip_of(leg.depth, "sell" if enter == "buy" else "buy", assumed)
    known = entry is not None and leave is not None
    return Fills(
        assumed if entry is None else entry,
        assumed if leave is None else leave,
        from_depth=known,
        fillable=known,
    )


def costs_of(
    terms: PairTerms, long: LegInput, short: LegInput, *, forward: bool, pair_daily: float | None
) -> PairCosts:
    """Everything that the direction costs; `pair_daily` is what moved funds miss on their way."""
    config, costs = terms.config, terms.config.costs
    notional = config.position.notional_usd
    long_terms, short_terms = (terms.first, terms.second) if forward else (terms.second, terms.first)
    long_fills = fills_of(terms, long, long_terms, "buy")
    short_fills = fills_of(terms, short, short_terms, "sell")
    entry = fill_costs(long_terms.fee, long_fills.entry, short_terms.fee, short_fills.entry)
    leave = fill_costs(long_terms.fee, long_fills.leave, short_terms.fee, short_fills.leave)
    capital = capital_usd(long.kind, short.kind, notional, config.position.futures_margin_leverage)
    borrow = borrow_daily(short_terms.borrow_daily, short.kind)
    capital_cost = capital_cost_daily(costs.capital_daily, capital, notional)
    transfer = transfer_usd(
        costs.transfer_usd,
        costs.transfer_hours,
        same_venue=terms.same_venue,
        daily=pair_daily or 0.0,
        notional_usd=notional,
    )
    return PairCosts(
        long=long_fills,
        short=short_fills,
        entry=entry,
        leave=leave,
        borrow=borrow,
        capital_daily=capital_cost,
        capital_usd=capital,
        transfer_usd=transfer,
        figures={
            "holding_daily": holding_daily(borrow, capital_cost, costs.fixed_daily_usd, notional),
            "notional_usd": notional,
            "round_trip": round_trip(entry, leave),
            "transfer_usd": transfer,
        },
    )


def forecast_of(
    settled: SettledCarry | None,
    costs: PairCosts,
    *,
    sign: float,
    convergence: float,
    horizon_days: float,
    hold_days: float,
) -> Forecasted:
    """Settled carry looked ahead with; a pair that pays no funding has its convergence alone."""
    now, mean30 = (sign * settled.now, sign * settled.mean30) if settled else (0.0, 0.0)
    return Forecasted(
        now=now,
        mean30=mean30,
        daily=expected_daily(now, mean30, horizon_days, convergence_daily=convergence),
        horizon_net_usd=expected_net_usd(
            now, mean30, horizon_days, convergence_daily=convergence, **costs.figures
        ),
        net_usd=expected_net_usd(now, mean30, hold_days, convergence_daily=convergence, **costs.figures),
        breakeven_days=expected_breakeven_days(now, mean30, convergence_daily=convergence, **costs.figures),
    )
