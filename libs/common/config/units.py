"""Units and bounds of every number: what is beyond them is a slip of the unit, and is told so.

The bounds are generous on purpose. They are no advice; they catch 5 where 0.0005 was meant.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from libs.common.config.values import PERCENT, Complaint, plain


class Unit(Enum):
    """Unit of a field, with the word used in messages."""

    FRACTION = "a fraction of notional"
    BPS = "basis points (1/10,000)"
    USD = "US dollars"
    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    TIMES = "a plain factor"
    COUNT = "a count"
    AMOUNT = "an amount of the coin"


class Bound(msgspec.Struct, frozen=True):
    """Allowed from `low` to `high`, both included; with `above`, `low` itself is not."""

    unit: Unit
    low: float
    high: float
    above: bool = False


_FEE: Final = Bound(Unit.FRACTION, -0.005, 0.01)
_DAILY: Final = Bound(Unit.FRACTION, 0.0, 0.05)
_SLIPPAGE: Final = Bound(Unit.BPS, 0.0, 1_000.0)

# Path with `*` for chosen names -> bound. A tidy test holds that every number of the schema is here.
BOUNDS: Final[dict[str, Bound]] = {
    "position.notional_usd": Bound(Unit.USD, 0.0, 1e9, above=True),
    "position.futures_margin_leverage": Bound(Unit.TIMES, 1.0, 125.0),
    "position.delta_target": Bound(Unit.FRACTION, 0.0, 0.0),
    "position.rebalance_threshold": Bound(Unit.FRACTION, 0.0, 0.1, above=True),
    "position.hold_days": Bound(Unit.DAYS, 0.0, 730.0, above=True),
    "thresholds.daily_funding_min": _DAILY,
    "thresholds.consecutive_periods": Bound(Unit.COUNT, 0, 100),
    "thresholds.max_breakeven_days": Bound(Unit.DAYS, 0.0, 730.0, above=True),
    "thresholds.max_entry_basis_bps": Bound(Unit.BPS, 0.0, 1_000.0),
    "thresholds.forecast_horizon_days": Bound(Unit.DAYS, 1.0, 30.0),
    "thresholds.flip_tolerance_hours": Bound(Unit.HOURS, 0.0, 720.0),
    "thresholds.flip_loss_ratio": Bound(Unit.TIMES, 0.0, 100.0, above=True),
    "thresholds.rotation_hurdle": Bound(Unit.TIMES, 0.0, 100.0),
    "costs.taker": _FEE,
    "costs.maker": _FEE,
    "costs.slippage_bps": _SLIPPAGE,
    "costs.borrow_daily": _DAILY,
    "costs.capital_daily": _DAILY,
    "costs.fixed_daily_usd": Bound(Unit.USD, 0.0, 1e6),
    "costs.transfer_usd": Bound(Unit.USD, 0.0, 1e6),
    "costs.transfer_hours": Bound(Unit.HOURS, 0.0, 720.0),
    "costs.venues.*.taker": _FEE,
    "costs.venues.*.maker": _FEE,
    "costs.venues.*.slippage_bps": _SLIPPAGE,
    "costs.venues.*.borrow_daily": _DAILY,
    "costs.venues.*.rebate_share": Bound(Unit.TIMES, 0.0, 1.0),
    "monitor.interval_sec": Bound(Unit.SECONDS, 1.0, 3_600.0),
    "monitor.snapshot_every_min": Bound(Unit.MINUTES, 0.0, 1_440.0, above=True),
    "monitor.history_days": Bound(Unit.DAYS, 1.0, 400.0),
    "monitor.book_interval_sec": Bound(Unit.SECONDS, 0.5, 3_600.0),
    "timeouts.open_timeout_sec": Bound(Unit.SECONDS, 1.0, 600.0),
    "timeouts.poll_interval_sec": Bound(Unit.SECONDS, 0.05, 60.0),
    "timeouts.request_timeout_sec": Bound(Unit.SECONDS, 1.0, 120.0),
    "execution.slices": Bound(Unit.COUNT, 1, 1_000),
    "execution.collar_bps": Bound(Unit.BPS, 0.0, 500.0),
    "execution.slice_interval_sec": Bound(Unit.SECONDS, 0.0, 3_600.0),
    "limits.max_notional_usd": Bound(Unit.USD, 0.0, 1e10, above=True),
    "limits.max_notional_per_venue_usd": Bound(Unit.USD, 0.0, 1e10, above=True),
    "limits.max_pairs": Bound(Unit.COUNT, 1, 10_000),
    "limits.max_leverage": Bound(Unit.TIMES, 1.0, 125.0),
    "limits.max_naked_usd": Bound(Unit.USD, 0.0, 1e8, above=True),
    "paper.balances.*.*.*": Bound(Unit.AMOUNT, 0.0, 1e12),
    "report.hour_utc": Bound(Unit.HOURS, 0, 23),
    "notify.acknowledge_min": Bound(Unit.MINUTES, 0.0, 1_440.0, above=True),
    "notify.repeat_min": Bound(Unit.MINUTES, 0.0, 1_440.0, above=True),
    "notify.messages_per_min": Bound(Unit.COUNT, 1.0, 60.0),
    "notify.opportunity_net_daily_usd": Bound(Unit.USD, 0.0, 1e6),
    "notify.opportunity_every_hours": Bound(Unit.HOURS, 0.0, 720.0, above=True),
}

NEUTRAL: Final[Complaint] = (
    "pairs are opened, held and closed neutral: a difference that is kept on purpose is naked",
    "write 0, or leave it out; position.rebalance_threshold says how far the legs may part",
)
"""Why `position.delta_target` is nothing but 0: sizes, limits and unwinds count on legs that cancel out."""

_BPS_SMALLEST: Final = 0.01  # a non-zero figure in bps below this is a fraction in the wrong place


def out_of_bounds(key: str, value: float) -> Complaint | None:
    """Why a number cannot be meant so for the field `key` (a path with `*`); None when it can."""
    bound = BOUNDS.get(key)
    if bound is None:
        return None
    if bound.unit is Unit.BPS and 0 < abs(value) < _BPS_SMALLEST:
        return _fraction_for_bps(value)
    if bound.low <= value <= bound.high and not (bound.above and value == bound.low):
        return None
    if key == "position.delta_target":
        reason, remedy = NEUTRAL
        return f"0 is expected, not {plain(value)}: {reason}", remedy
    if bound.unit is Unit.FRACTION and value > bound.high:
        reason = f"a fraction is expected (at most {plain(bound.high)}), not {plain(value)}"
        return reason, _as_fraction(bound, value)
    lowest = f"above {plain(bound.low)}" if bound.above else f"at least {plain(bound.low)}"
    reason = f"{bound.unit.value}, {lowest} and at most {plain(bound.high)}, expected, not {plain(value)}"
    return reason, _conversion(bound, value)


def out_of_bounds_bps(key: str, fraction: float) -> Complaint | None:
    """The same for a figure that was written in bps and is a `fraction` by now."""
    bound = BOUNDS[key]
    value = fraction * 10_000
    if 0 < abs(value) < _BPS_SMALLEST:
        return _fraction_for_bps(value)
    low, high = bound.low * 10_000, bound.high * 10_000
    if low <= value <= high:
        return None
    return (
        f"basis points from {plain(low)} to {plain(high)} are expected, not {plain(value)}",
        "1 % is 100 bps",
    )


def percent_remedy(key: str | None, value: object) -> str:
    """How "0.05%" is written in a field of bps (`key` None: the key itself says bps); empty otherwise."""
    bound = BOUNDS.get(key) if key is not None else None
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or (key is not None and (bound is None or bound.unit is not Unit.BPS)):
        return ""
    return f"{match.group(1)}% is {plain(float(match.group(1)) * 100)} bps"


def _conversion(bound: Bound, value: float) -> str:
    """What the number would be in the unit that was asked for, when it looks like another one."""
    if bound.unit is Unit.SECONDS and bound.high < value <= bound.high * 1_000:
        return f"{plain(value)} milliseconds are {plain(value / 1_000)}"
    return "1 % is 100 bps" if bound.unit is Unit.BPS and value > bound.high else ""


def _as_fraction(bound: Bound, value: float) -> str:
    bps, percent = value / 10_000, value / 100
    if value >= 1 and bps <= bound.high:
        return f"{plain(value)} bps is {plain(bps)}"
    if percent <= bound.high:
        return f"{plain(value)} % is {plain(percent)}"
    return "1 bps is 0.0001, 1 % is 0.01"


def _fraction_for_bps(value: float) -> Complaint:
    return (
        f"basis points are expected, and {plain(value)} bps is next to nothing",
        f"the fraction {plain(value)} is {plain(value * 10_000)} bps",
    )
