"""The expected view: a high rate does not last.

    expected_daily(H) = w_now(H) * now + w_mean(H) * mean30

with `now` the mean of the last three settled carries and `mean30` the trailing thirty days. The weights
were regressed on three sets of real settled rates; `libs.carry.calibrate` fits them again.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import msgspec

HORIZON_MIN_DAYS: Final = 1.0
HORIZON_MAX_DAYS: Final = 30.0
HISTORY_DAYS_MIN: Final = 7.0
_BISECTIONS: Final = 42  # leaves a millionth of a second of the widest segment


class Weight(msgspec.Struct, frozen=True, array_like=True):
    """Weights at one horizon."""

    horizon_days: float
    now: float
    mean: float


Weights = tuple[Weight, ...]

# Binance + Bybit (87 series), Hyperliquid (18), Binance (537): all three agree within the spread of a set.
WEIGHTS: Final[Weights] = (
    Weight(1.0, 0.45, 0.40),
    Weight(3.0, 0.33, 0.41),
    Weight(7.0, 0.20, 0.45),
    Weight(14.0, 0.12, 0.43),
    Weight(30.0, 0.09, 0.31),
)


def weights_at(horizon_days: float, weights: Weights = WEIGHTS) -> tuple[float, float]:
    """(w_now, w_mean), interpolated in log H between the table's rows; H is clamped to the table."""
    if horizon_days <= weights[0].horizon_days:
        return weights[0].now, weights[0].mean
    for low, high in pairwise(weights):
        if horizon_days <= high.horizon_days:
            share = math.log(horizon_days / low.horizon_days) / math.log(high.horizon_days / low.horizon_days)
            return low.now + share * (high.now - low.now), low.mean + share * (high.mean - low.mean)
    return weights[-1].now, weights[-1].mean


def expected_daily(
    now: float,
    mean30: float,
    horizon_days: float,
    *,
    convergence_daily: float = 0.0,
    weights: Weights = WEIGHTS,
) -> float:
    """Mean carry a day that the next `horizon_days` are expected to bring.

    A dated leg's convergence is no forecast but a contract: it is added whole.
    """
    w_now, w_mean = weights_at(horizon_days, weights)
    return w_now * now + w_mean * mean30 + convergence_daily


def expected_net_usd(
    now: float,
    mean30: float,
    horizon_days: float,
    *,
    holding_daily: float,
    notional_usd: float,
    round_trip: float,
    transfer_usd: float,
    convergence_daily: float = 0.0,
    weights: Weights = WEIGHTS,
) -> float:
    """Net USD after `horizon_days`, every cost paid."""
    earned = expected_daily(now, mean30, horizon_days, convergence_daily=convergence_daily, weights=weights)
    return (earned - holding_daily) * notional_usd * horizon_days - round_trip * notional_usd - transfer_usd


def _first_root(alpha: float, beta: float, cost: float, low: float, high: float) -> float | None:
    """Smallest H in [low, high] with (alpha + beta * ln H) * H >= cost; `low` is still short of it.

    The left side has at most one turning point, so it is monotone on either side of it.
    """

    def short_by(horizon: float) -> float:
        return (alpha + beta * math.log(horizon)) * horizon - cost

    edges = [low, high]
    if beta:
        exponent = -(alpha + beta) / beta
        turn = math.exp(exponent) if abs(exponent) < 50 else math.inf  # far outside every segment
        if low < turn < high:
            edges = [low, turn, high]
    for start, end in pairwise(edges):
        if short_by(end) < 0:
            continue
        below, above = start, end
        for _ in range(_BISECTIONS):
            middle = (below + above) / 2
            if (alpha + beta * math.log(middle)) * middle < cost:
                below = middle
            else:
                above = middle
        return above
    return None


def expected_breakeven_days(
    now: float,
    mean30: float,
    *,
    holding_daily: float,
    notional_usd: float,
    round_trip: float,
    transfer_usd: float,
    convergence_daily: float = 0.0,
    weights: Weights = WEIGHTS,
) -> float | None:
    """Smallest H with `expected_net_usd(H) >= 0`, None when there is none; 0 when the entry already paid.

    Below the first and beyond the last horizon the daily figure is constant and the answer linear; in
    between it is linear in ln H and each segment is searched by itself: the net may rise above zero and
    fall back again.
    """
    cost = round_trip + transfer_usd / notional_usd
    if cost <= 0:
        return 0.0
    constant = convergence_daily - holding_daily
    daily = [weight.now * now + weight.mean * mean30 + constant for weight in weights]
    if daily[0] > 0 and cost / daily[0] <= weights[0].horizon_days:
        return cost / daily[0]
    for index in range(len(weights) - 1):
        low, high = weights[index].horizon_days, weights[index + 1].horizon_days
        beta = (daily[index + 1] - daily[index]) / math.log(high / low)
        alpha = daily[index] - beta * math.log(low)
        root = _first_root(alpha, beta, cost, low, high)
        if root is not None:
            return root
    return cost / daily[-1] if daily[-1] > 0 else None
