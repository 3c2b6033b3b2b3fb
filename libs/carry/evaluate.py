"""One pair, every figure, one answer: what signal, scan, backtest and report call.

    legs = {"first": ("binance", Kind.SPOT), "second": ("binance", Kind.PERP)}
    terms = pair_terms(config, pair="BTC-USDT_binance-spot_binance-perp", symbol="BTC/USDT", **legs)
    settled = settled_carry(settled_samples(None, settled_once(prints)))     # per settlement, not per tick
    first = LegInput(venue="binance", instrument="BTC-USDT", kind=Kind.SPOT, bid=..., ask=..., ...)
    second = LegInput(..., kind=Kind.PERP, rate=0.0001, interval_hours=8, next_ms=...)
    opportunity = evaluate(terms, first, second, settled, market_ms=..., eval_us=...)

Inputs (see `libs.carry.case` for each field):

- `PairTerms`: costs and thresholds of the pair out of the config, built once per pair.
- `LegInput` per leg, in the order of the pair's id: prices, current rate *with* interval and next settlement,
  depth, the instrument's facts, and ages in wall-clock seconds (None where it was fetched just now).
- `SettledCarry`: long the first leg, short the second; from `settled_samples(first_prints, second_prints)`,
  None for a leg that pays no funding (spot, dated). None when nothing has settled yet.

Nothing is raised for missing data: it comes out as named refusals, and unknown figures as None.
"""

from __future__ import annotations

from typing import Literal

from libs.carry.breakeven import breakeven_days, net_daily_usd
from libs.carry.case import Case, Direction, Forecast, LegInput, PairTerms, pair_terms
from libs.carry.costs import basis_entry, round_trip_usd
from libs.carry.funding import SettledCarry, apr, settled_carry, settled_once, settled_samples
from libs.carry.gates import refusals
from libs.carry.pair import (
    Fills,
    Forecasted,
    PairCosts,
    better_direction,
    consecutive_of,
    costs_of,
    forecast_of,
    forward_carry,
    leg_daily,
    pair_convergence,
    pair_days_left,
)
from libs.carry.ranking import score_of
from libs.carry.slippage import Depth, depth_of, mid_of
from libs.common.messages import LegFigures, Opportunity
from libs.common.subjects import PERP

__all__ = [
    "Case",
    "Depth",
    "Direction",
    "Forecast",
    "LegInput",
    "PairTerms",
    "SettledCarry",
    "depth_of",
    "evaluate",
    "pair_terms",
    "settled_carry",
    "settled_once",
    "settled_samples",
]


def _figures(
    leg: LegInput, side: Literal["long", "short"], *, mid: float | None, fee: float, fills: Fills
) -> LegFigures:
    ages = [age for age in (leg.quote_age_sec, leg.funding_age_sec) if age is not None]
    return LegFigures(
        venue=leg.venue,
        instrument=leg.instrument,
        kind=leg.kind,
        side=side,
        mid=mid,
        rate=leg.rate,
        interval_hours=leg.interval_hours,
        next_ms=leg.next_ms,
        daily=leg_daily(leg) or 0.0,
        fee=fee,
        slip=fills.entry,
        slip_source="depth" if fills.from_depth else "assumed",
        depth_usd=leg.depth.depth_usd if leg.depth else None,
        age_sec=max(ages) if ages else None,
    )


def evaluate(
    terms: PairTerms,
    first: LegInput,
    second: LegInput,
    settled: SettledCarry | None,
    *,
    market_ms: int,
    eval_us: int,
    tick_us: int | None = None,
    direction: Direction | None = None,
) -> Opportunity:
    """Every figure of one pair, in the better direction unless one is asked for (a held pair)."""
    position = terms.config.position
    forward_daily = forward_carry(first, second, market_ms)
    direction = direction or better_direction(terms, first, second, forward_daily)
    sign = 1.0 if direction == "forward" else -1.0
    long, short = (first, second) if direction == "forward" else (second, first)
    long_mid, short_mid = mid_of(long.bid, long.ask), mid_of(short.bid, short.ask)
    pair_daily = None if forward_daily is None else sign * forward_daily
    convergence = pair_convergence(long, short, long_mid, short_mid, market_ms=market_ms)
    days_left = pair_days_left(long, short, market_ms)
    # A dated leg ends the position: nothing is earned, and nothing spread, beyond its expiry.
    hold_days, horizon_days = position.hold_days, terms.config.thresholds.forecast_horizon_days
    if days_left:
        hold_days, horizon_days = min(hold_days, days_left), min(horizon_days, days_left)

    costs = costs_of(terms, long, short, forward=direction == "forward", pair_daily=pair_daily)
    net = breakeven = None
    if pair_daily is not None:
        net = net_daily_usd(pair_daily, hold_days=hold_days, **costs.figures)
        breakeven = breakeven_days(pair_daily, **costs.figures)
    forecast = Forecasted()
    if settled is not None or PERP not in (first.kind, second.kind):
        forecast = forecast_of(
            settled,
            costs,
            sign=sign,
            convergence=convergence,
            horizon_days=horizon_days,
            hold_days=hold_days,
        )
    case = Case(
        terms=terms,
        long=long,
        short=short,
        settled=settled,
        market_ms=market_ms,
        notional_usd=position.notional_usd,
        hold_days=hold_days,
        days_left=days_left,
        long_mid=long_mid,
        short_mid=short_mid,
        daily=pair_daily,
        fillable=costs.long.fillable and costs.short.fillable,
        basis_entry=None if long_mid is None or short_mid is None else basis_entry(long_mid, short_mid),
        net_daily_usd=net,
        breakeven_days=breakeven,
        expected_net_usd=forecast.net_usd,
        expected_breakeven_days=forecast.breakeven_days,
        consecutive=consecutive_of(settled, sign, convergence),
    )
    return _opportunity(
        case,
        costs,
        forecast,
        direction=direction,
        convergence=convergence,
        horizon_days=horizon_days,
        eval_us=eval_us,
        tick_us=tick_us,
    )


def _opportunity(
    case: Case,
    costs: PairCosts,
    forecast: Forecasted,
    *,
    direction: Direction,
    convergence: float,
    horizon_days: float,
    eval_us: int,
    tick_us: int | None,
) -> Opportunity:
    """The case as a message, with everything that speaks against it."""
    terms, refused = case.terms, refusals(case)
    fees = (
        (terms.first.fee, terms.second.fee) if direction == "forward" else (terms.second.fee, terms.first.fee)
    )
    return Opportunity(
        pair=terms.pair,
        symbol=terms.symbol,
        direction=direction,
        long=_figures(case.long, "long", mid=case.long_mid, fee=fees[0], fills=costs.long),
        short=_figures(case.short, "short", mid=case.short_mid, fee=fees[1], fills=costs.short),
        notional_usd=case.notional_usd,
        hold_days=case.hold_days,
        forecast=terms.forecast,
        daily=case.daily,
        apr=None if case.daily is None else apr(case.daily),
        convergence_daily=convergence,
        borrow_daily=costs.borrow,
        capital_daily=costs.capital_daily,
        fixed_daily_usd=terms.config.costs.fixed_daily_usd,
        holding_daily=costs.figures["holding_daily"],
        entry=costs.entry,
        exit=costs.leave,
        round_trip=costs.figures["round_trip"],
        round_trip_usd=round_trip_usd(costs.figures["round_trip"], case.notional_usd),
        transfer_usd=costs.transfer_usd,
        basis_entry=case.basis_entry,
        net_daily_usd=case.net_daily_usd,
        breakeven_days=case.breakeven_days,
        now_daily=forecast.now,
        mean30_daily=forecast.mean30,
        history_days=case.settled.history_days if case.settled else 0.0,
        expected_daily=forecast.daily,
        expected_net_usd=forecast.net_usd,
        expected_breakeven_days=forecast.breakeven_days,
        consecutive=case.consecutive,
        score=score_of(
            terms.forecast, case.net_daily_usd, forecast.horizon_net_usd, horizon_days, costs.capital_usd
        ),
        passes=not refused,
        refusals=tuple(refusal.code for refusal in refused),
        reasons={refusal.code: refusal.text for refusal in refused},
        market_ms=case.market_ms,
        tick_us=tick_us,
        eval_us=eval_us,
    )
