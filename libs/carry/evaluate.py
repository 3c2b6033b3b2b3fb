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

from libs.carry.breakeven import CostFigures, breakeven_days, net_daily_usd
from libs.carry.case import Case, Direction, Forecast, LegInput, PairTerms, pair_terms
from libs.carry.costs import (
    LegTerms,
    basis_entry,
    borrow_daily,
    capital_cost_daily,
    capital_usd,
    fill_costs,
    holding_daily,
    round_trip,
    round_trip_usd,
    transfer_usd,
)
from libs.carry.expected import expected_breakeven_days, expected_daily, expected_net_usd
from libs.carry.funding import (
    SettledCarry,
    apr,
    carry_daily,
    convergence_daily,
    daily,
    days_until,
    settled_carry,
    settled_once,
    settled_samples,
)
from libs.carry.gates import refusals
from libs.carry.ranking import score_of
from libs.carry.slippage import Depth, depth_of, mid_of, slip_of
from libs.common.messages import LegFigures, Opportunity
from libs.common.subjects import Kind

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


def leg_daily(leg: LegInput) -> float | None:
    """A leg's current funding a day: 0 for spot and dated legs, None while rate or interval is unknown."""
    if leg.kind is not Kind.PERP:
        return 0.0
    if leg.rate is None or leg.interval_hours is None or leg.interval_hours <= 0:
        return None
    return daily(leg.rate, leg.interval_hours)


def pair_convergence(
    long: LegInput, short: LegInput, long_mid: float | None, short_mid: float | None, market_ms: int
) -> float:
    """Convergence of a pair's dated legs a day, counted once: two dated legs meet at the earlier expiry."""
    days = pair_days_left(long, short, market_ms)
    if days is None or long_mid is None or short_mid is None:
        return 0.0
    if short.kind is Kind.FUTURE:
        return convergence_daily(short_mid, long_mid, days, future_is_short=True)
    return convergence_daily(long_mid, short_mid, days, future_is_short=False)


def pair_days_left(long: LegInput, short: LegInput, market_ms: int) -> float | None:
    """Days until the first dated leg expires, None when neither leg is dated."""
    left = [
        days_until(leg.expiry_ms, market_ms)
        for leg in (long, short)
        if leg.kind is Kind.FUTURE and leg.expiry_ms is not None
    ]
    return min(left) if left else None


def better_direction(
    terms: PairTerms, first: LegInput, second: LegInput, forward_daily: float | None
) -> Direction:
    """The direction with more carry left after holding costs; forward while that is open."""
    if forward_daily is None:
        return "forward"
    forward = forward_daily - borrow_daily(terms.second.borrow_daily, second.kind)
    reverse = -forward_daily - borrow_daily(terms.first.borrow_daily, first.kind)
    return "reverse" if reverse > forward else "forward"


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


def _slips(
    terms: PairTerms, leg: LegInput, leg_terms: LegTerms, enter: Literal["buy", "sell"]
) -> tuple[float, float, bool, bool]:
    """Slippage of entering and leaving, whether depth told, and whether the book can fill both."""
    if terms.config.costs.slippage != "depth" or leg.depth is None:
        return leg_terms.slip, leg_terms.slip, False, True
    entry, _ = slip_of(leg.depth, enter, leg_terms.slip)
    leave, _ = slip_of(leg.depth, "sell" if enter == "buy" else "buy", leg_terms.slip)
    known = entry is not None and leave is not None
    fallback = leg_terms.slip
    return (fallback if entry is None else entry), (fallback if leave is None else leave), known, known


def _figures(
    leg: LegInput,
    *,
    side: Literal["long", "short"],
    mid: float | None,
    fee: float,
    slip: float,
    from_depth: bool,
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
        slip=slip,
        slip_source="depth" if from_depth else "assumed",
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
    config, costs = terms.config, terms.config.costs
    notional = config.position.notional_usd
    first_mid, second_mid = mid_of(first.bid, first.ask), mid_of(second.bid, second.ask)
    first_daily, second_daily = leg_daily(first), leg_daily(second)
    forward_daily: float | None = None
    if first_daily is not None and second_daily is not None:
        converging = pair_convergence(first, second, first_mid, second_mid, market_ms)
        forward_daily = carry_daily(first_daily, second_daily) + converging
    direction = direction or better_direction(terms, first, second, forward_daily)
    forward = direction == "forward"
    sign = 1.0 if forward else -1.0
    long, short = (first, second) if forward else (second, first)
    long_mid, short_mid = (first_mid, second_mid) if forward else (second_mid, first_mid)
    long_terms, short_terms = (terms.first, terms.second) if forward else (terms.second, terms.first)

    convergence = pair_convergence(long, short, long_mid, short_mid, market_ms)
    days_left = pair_days_left(long, short, market_ms)
    hold_days = config.position.hold_days if not days_left else min(config.position.hold_days, days_left)

    long_in, long_out, long_depth, long_fills = _slips(terms, long, long_terms, "buy")
    short_in, short_out, short_depth, short_fills = _slips(terms, short, short_terms, "sell")
    entry = fill_costs(long_terms.fee, long_in, short_terms.fee, short_in)
    leave = fill_costs(long_terms.fee, long_out, short_terms.fee, short_out)
    both = round_trip(entry, leave)
    capital = capital_usd(long.kind, short.kind, notional, config.position.futures_margin_leverage)
    borrow = borrow_daily(short_terms.borrow_daily, short.kind)
    capital_cost = capital_cost_daily(costs.capital_daily, capital, notional)
    holding = holding_daily(borrow, capital_cost, costs.fixed_daily_usd, notional)

    pair_daily = None if forward_daily is None else sign * forward_daily
    transfer = transfer_usd(
        costs.transfer_usd,
        costs.transfer_hours,
        same_venue=terms.same_venue,
        daily=pair_daily or 0.0,
        notional_usd=notional,
    )
    once: CostFigures = {
        "holding_daily": holding,
        "notional_usd": notional,
        "round_trip": both,
        "transfer_usd": transfer,
    }
    net = breakeven = None
    if pair_daily is not None:
        net = net_daily_usd(pair_daily, hold_days=hold_days, **once)
        breakeven = breakeven_days(pair_daily, **once)

    now = mean30 = forecast_daily = expected_net = expected_breakeven = horizon_net = None
    horizon = min(config.thresholds.forecast_horizon_days, hold_days) if days_left else None
    horizon = horizon or config.thresholds.forecast_horizon_days
    funded = first.kind is Kind.PERP or second.kind is Kind.PERP
    if settled is not None or not funded:
        now, mean30 = (sign * settled.now, sign * settled.mean30) if settled else (0.0, 0.0)
        forecast_daily = expected_daily(now, mean30, horizon, convergence_daily=convergence)
        horizon_net, expected_net = (
            expected_net_usd(
                now,
                mean30,
                days,
                convergence_daily=convergence,
                **once,
            )
            for days in (horizon, hold_days)
        )
        expected_breakeven = expected_breakeven_days(
            now,
            mean30,
            convergence_daily=convergence,
            **once,
        )

    case = Case(
        terms=terms,
        long=long,
        short=short,
        settled=settled,
        market_ms=market_ms,
        notional_usd=notional,
        hold_days=hold_days,
        days_left=days_left,
        long_mid=long_mid,
        short_mid=short_mid,
        daily=pair_daily,
        fillable=long_fills and short_fills,
        basis_entry=None if long_mid is None or short_mid is None else basis_entry(long_mid, short_mid),
        net_daily_usd=net,
        breakeven_days=breakeven,
        expected_net_usd=expected_net,
        expected_breakeven_days=expected_breakeven,
        consecutive=consecutive_of(settled, sign, convergence),
    )
    refused = refusals(case)
    return Opportunity(
        pair=terms.pair,
        symbol=terms.symbol,
        direction=direction,
        long=_figures(
            long, side="long", mid=long_mid, fee=long_terms.fee, slip=long_in, from_depth=long_depth
        ),
        short=_figures(
            short, side="short", mid=short_mid, fee=short_terms.fee, slip=short_in, from_depth=short_depth
        ),
        notional_usd=notional,
        hold_days=hold_days,
        forecast=terms.forecast,
        daily=pair_daily,
        apr=None if pair_daily is None else apr(pair_daily),
        convergence_daily=convergence,
        borrow_daily=borrow,
        capital_daily=capital_cost,
        fixed_daily_usd=costs.fixed_daily_usd,
        holding_daily=holding,
        entry=entry,
        exit=leave,
        round_trip=both,
        round_trip_usd=round_trip_usd(both, notional),
        transfer_usd=transfer,
        basis_entry=case.basis_entry,
        net_daily_usd=net,
        breakeven_days=breakeven,
        now_daily=now,
        mean30_daily=mean30,
        history_days=settled.history_days if settled else 0.0,
        expected_daily=forecast_daily,
        expected_net_usd=expected_net,
        expected_breakeven_days=expected_breakeven,
        consecutive=case.consecutive,
        score=score_of(terms.forecast, net, horizon_net, horizon, capital),
        passes=not refused,
        refusals=tuple(refusal.code for refusal in refused),
        reasons={refusal.code: refusal.text for refusal in refused},
        market_ms=market_ms,
        tick_us=tick_us,
        eval_us=eval_us,
    )
