"""The opening rules about money: enough carry, for long enough, at a price and size (`libs.carry.gates`)."""

from __future__ import annotations

from typing import Final

from libs.carry.bounds import (
    EPSILON,
    EPSILON_USD,
    apart_max,
    enough,
    narrow,
    paying,
    soon,
    together,
    unborrowable,
)
from libs.carry.case import Case, LegCase, Refusal, bps, legs_of, percent
from libs.carry.expected import HISTORY_DAYS_MIN
from libs.carry.exposure import too_much, usd_by_exchange
from libs.carry.slippage import BPS, DEPTH_BAND, DEPTH_SHARE_MAX
from libs.common.subjects import PERP

EXPIRY_DAYS_MIN: Final = 1.0


def funding_enough(case: Case) -> Refusal | None:
    """Rule 1."""
    minimum = case.terms.config.thresholds.daily_funding_min
    if case.daily is None or enough(case.daily, minimum):
        return None
    text = (
        f"carry {percent(case.daily)} a day is below the minimum {percent(minimum)}"
        f" ({percent(minimum - case.daily)} missing)"
    )
    return Refusal("funding_below_min", text)


def _has_funding(case: Case) -> bool:
    return case.long.kind is PERP or case.short.kind is PERP


def consecutive(case: Case) -> Refusal | None:
    """Rule 2."""
    wanted = case.terms.config.thresholds.consecutive_periods
    if case.consecutive >= wanted or not _has_funding(case):
        return None
    text = f"the last {case.consecutive} settled carries had this sign, {wanted} are needed"
    return Refusal("not_consecutive", text)


def history_enough(case: Case) -> Refusal | None:
    """Only the expected view reads thirty days back; the flat one does without."""
    if case.terms.forecast != "expected" or not _has_funding(case):
        return None
    days = case.settled.history_days if case.settled else 0.0
    if days >= HISTORY_DAYS_MIN - EPSILON:
        return None
    text = f"{days:.1f} days of settled carry are known, {HISTORY_DAYS_MIN:.0f} are needed to expect anything"
    return Refusal("history_short", text)


def net_positive(case: Case) -> Refusal | None:
    """Rule 3, first half."""
    expected = case.terms.forecast == "expected"
    net = case.expected_net_usd if expected else case.net_daily_usd
    if net is None or paying(net):
        return None
    if expected:
        text = f"expected net after {case.hold_days:g} days is {net:.4f} USD on {case.notional_usd:,.0f} USD"
    else:
        text = f"net is {net:.4f} USD a day over {case.hold_days:g} days on {case.notional_usd:,.0f} USD"
    return Refusal("net_not_positive", text)


def breakeven_soon(case: Case) -> Refusal | None:
    """Rule 3, second half."""
    expected = case.terms.forecast == "expected"
    known = (case.expected_net_usd if expected else case.net_daily_usd) is not None
    days = case.expected_breakeven_days if expected else case.breakeven_days
    limit = case.terms.config.thresholds.max_breakeven_days
    if not known or soon(days, limit):
        return None
    view = "expected break-even" if expected else "break-even"
    if days is None:
        return Refusal("breakeven_too_long", f"{view} is never, at most {limit:g} days")
    return Refusal(
        "breakeven_too_long", f"{view} {days:.2f} days, at most {limit:g} ({days - limit:.2f} too long)"
    )


def basis_narrow(case: Case) -> Refusal | None:
    """Rule 4."""
    limit = case.terms.config.thresholds.max_entry_basis_bps / BPS
    if case.basis_entry is None or narrow(case.basis_entry, limit):
        return None
    excess = bps(case.basis_entry - limit)
    text = f"entry basis {bps(case.basis_entry)}, at most {bps(limit)} ({excess} too wide)"
    return Refusal("basis_too_wide", text)


def legs_agree(case: Case) -> Refusal | None:
    """Two mids too far apart are two assets, or one with a wrong multiplier."""
    if case.basis_entry is None:
        return None
    if together(case.basis_entry, apart_max(dated=case.days_left is not None)):
        return None
    text = f"the legs are {percent(abs(case.basis_entry))} apart: not one asset, or a wrong multiplier"
    return Refusal("legs_diverge", text)


def deep_enough(case: Case) -> Refusal | None:
    """Rule 5, and the book must hold the position where slippage is read from it."""
    if not case.fillable:
        return Refusal("depth_too_thin", f"the book does not hold {case.notional_usd:,.0f} USD")
    for leg in legs_of(case):
        if leg.depth is None:
            continue
        limit = DEPTH_SHARE_MAX * leg.depth.depth_usd
        if case.notional_usd > limit + EPSILON_USD:
            seen = (
                f" (its book is known to {percent(leg.depth.reach)})" if leg.depth.reach < DEPTH_BAND else ""
            )
            text = (
                f"{leg.name} shows {leg.depth.depth_usd:,.0f} USD within 0.5 % of mid{seen};"
                f" {case.notional_usd:,.0f} USD may be at most 20 % of it"
            )
            return Refusal("depth_too_thin", text)
    return None


def borrowable(case: Case) -> Refusal | None:
    """A spot leg that cannot be borrowed cannot be sold short."""
    if unborrowable(case.short):
        return Refusal(
            "not_borrowable", f"{case.short.name} cannot be borrowed, and this direction sells it short"
        )
    return None


def far_from_expiry(case: Case) -> Refusal | None:
    """The pair closes before a dated leg expires, and must have paid by then."""
    if case.days_left is None:
        return None
    if case.days_left <= EXPIRY_DAYS_MIN:
        return Refusal("expires_soon", f"a leg expires in {case.days_left:.2f} days")
    expected = case.terms.forecast == "expected"
    days = case.expected_breakeven_days if expected else case.breakeven_days
    if days is not None and days > case.days_left - EXPIRY_DAYS_MIN:
        text = f"a leg expires in {case.days_left:.1f} days, break-even takes {days:.1f}"
        return Refusal("expires_soon", text)
    return None


def large_enough(case: LegCase) -> Refusal | None:
    """The venue's smallest order."""
    leg, mid = case.leg, case.mid
    if leg.notional_min is not None and case.notional_usd < leg.notional_min:
        text = f"{case.notional_usd:g} USD is below the minimum {leg.notional_min:g} of {leg.name}"
        return Refusal("notional_below_min", text)
    if leg.quantity_min is not None and mid is not None and case.notional_usd / mid < leg.quantity_min:
        text = f"{case.notional_usd / mid:g} is below the least quantity {leg.quantity_min:g} of {leg.name}"
        return Refusal("notional_below_min", text)
    return None


def capital_allows(case: Case) -> Refusal | None:
    """Rule 6: a position that alone breaks a limit never opens."""
    limits = case.terms.config.limits
    if limits.max_notional_usd is not None and case.notional_usd > limits.max_notional_usd + EPSILON_USD:
        text = f"{case.notional_usd:,.0f} USD is above limits.max_notional_usd {limits.max_notional_usd:,.0f}"
        return Refusal("capital", text)
    legs = [(leg.venue, case.notional_usd) for leg in (case.long, case.short)]
    if over := too_much(usd_by_exchange(legs), limits.max_notional_per_venue_usd):
        limit = f"limits.max_notional_per_venue_usd {limits.max_notional_per_venue_usd:,.0f}"
        return Refusal("capital", f"{over[1]:,.0f} USD on {over[0]} is above {limit}")
    return None
