"""The comparisons behind the opening rules: told in words by `gates`, counted without by `screen`.

Each bound is compared here and nowhere else. NaN satisfies none of them: what is no number is refused.
"""

from __future__ import annotations

from typing import Final

from libs.carry.case import LegInput
from libs.common.subjects import SPOT

# Float residue: a figure that equals its bound on paper is judged as equal.
EPSILON: Final = 1e-12
EPSILON_USD: Final = 1e-9
DIVERGENCE_MAX: Final = 0.03  # risk.md: 3 % between the legs stops opens
DIVERGENCE_DATED_MAX: Final = 0.30  # a year's contango of a dated leg


def enough(daily: float, minimum: float) -> bool:
    """The carry a day reaches the least that is wanted."""
    return daily >= minimum - EPSILON


def paying(net_usd: float) -> bool:
    """Something is left after all costs."""
    return net_usd > EPSILON_USD


def soon(breakeven_days: float | None, limit_days: float) -> bool:
    """The costs are earned in time; None is never."""
    return breakeven_days is not None and breakeven_days <= limit_days + EPSILON


def narrow(basis: float, limit: float) -> bool:
    """The entry basis costs no more than is allowed."""
    return basis <= limit + EPSILON


def apart_max(*, dated: bool) -> float:
    """How far apart two mids may be, as a fraction, and still be of one asset."""
    return DIVERGENCE_DATED_MAX if dated else DIVERGENCE_MAX


def together(basis: float, apart: float) -> bool:
    """Two mids are near enough to be of one asset."""
    return abs(basis) <= apart


def unborrowable(short: LegInput) -> bool:
    """A spot leg to be sold short that nobody lends."""
    return short.kind is SPOT and not short.shortable
