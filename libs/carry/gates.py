"""The opening rules: each refuses by a stable code and one sentence with the figures, or lets pass.

| code | refuses when |
|---|---|
| `no_data` | an instrument, its quote or its current rate is not known yet |
| `not_tradable` | the venue or the adapter says the instrument cannot be traded |
| `quarantined` | the instrument or its venue is shut out for nonsense or failures |
| `base_mismatch`, `quote_mismatch`, `not_linear` | two assets, two kinds of money, not settled in it |
| `interval_unknown`, `settlement_unknown` | a rate without its interval or without its next settlement |
| `rate_implausible` | more than 100 % a day |
| `stale_quote`, `stale_funding`, `stale_mark`, `stale_history` | older than risk.md allows |
| `near_settlement` | within 60 s (market time) before or after a settlement |
| `funding_below_min`, `not_consecutive`, `history_short` | too small, of changing sign, too little known |
| `net_not_positive`, `breakeven_too_long` | not worth its costs, flat or expected as configured |
| `basis_too_wide`, `legs_diverge` | entered at a loss, or two prices that cannot be of one asset |
| `depth_too_thin` | more than 20 % of the size within 0.5 % of mid, or the book cannot fill it |
| `not_borrowable` | the short leg is a spot market that cannot be borrowed |
| `expires_soon` | a dated leg expires within a day or before the break-even |
| `notional_below_min` | below the venue's smallest order |
| `capital` | the position alone is above `limits` |

Comparisons allow for float residue (1e-12 of a fraction, 1e-9 USD), so that a figure that equals its bound
on paper is judged as equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from libs.carry.case import FUNDING_AGE_MAX_SEC, Case, LegInput
from libs.carry.costs import venue_id
from libs.carry.expected import HISTORY_DAYS_MIN
from libs.carry.slippage import DEPTH_BAND, DEPTH_SHARE_MAX
from libs.common.subjects import Kind

EPSILON: Final = 1e-12
EPSILON_USD: Final = 1e-9
SETTLEMENT_GUARD_MS: Final = 60_000
MS_PER_HOUR: Final = 3_600_000
DAILY_MAX: Final = 1.0  # the highest caps are 4 % for one hour: 96 % a day
DIVERGENCE_MAX: Final = 0.03  # risk.md: 3 % between the legs stops opens
DIVERGENCE_DATED_MAX: Final = 0.30  # a year's contango of a dated leg
EXPIRY_DAYS_MIN: Final = 1.0
HISTORY_INTERVALS_MAX: Final = 3
BPS: Final = 10_000.0


class Refusal(msgspec.Struct, frozen=True):
    """Why a pair is not opened: a stable code, and a sentence for people."""

    code: str
    text: str


Check = Callable[[Case], Refusal | None]


def percent(fraction: float) -> str:
    """A fraction for people, with the four decimals that funding needs."""
    return f"{fraction * 100:.4f} %"


def bps(fraction: float) -> str:
    """A fraction for people, in basis points."""
    return f"{fraction * BPS:.2f} bps"


def _legs(case: Case) -> tuple[LegInput, LegInput]:
    return case.long, case.short


def data_known(case: Case) -> Refusal | None:
    """Rule 6: nothing is judged on what was never seen."""
    for leg, mid in ((case.long, case.long_mid), (case.short, case.short_mid)):
        if not leg.described:
            return Refusal("no_data", f"{leg.name} has not been described by its venue yet")
        if mid is None:
            return Refusal("no_data", f"no usable quote of {leg.name} yet")
        if leg.kind is Kind.PERP and leg.rate is None:
            return Refusal("no_data", f"no current funding rate of {leg.name} yet")
        if leg.kind is Kind.FUTURE and leg.expiry_ms is None:
            return Refusal("no_data", f"the expiry of {leg.name} is not known")
    return None


def tradable(case: Case) -> Refusal | None:
    """The venue's own word on the instrument."""
    for leg in _legs(case):
        if leg.refused:
            return Refusal("not_tradable", f"{leg.name}: {leg.refused}")
    return None


def not_quarantined(case: Case) -> Refusal | None:
    """Rule 6: nonsense from a venue shuts the instrument out, not the process."""
    for leg in _legs(case):
        if leg.quarantine:
            return Refusal("quarantined", f"{leg.name}: {leg.quarantine}")
    return None


def same_asset(case: Case) -> Refusal | None:
    """One base, one money, linear: anything else is a basis that nobody asked for."""
    long, short = _legs(case)
    if not long.described or not short.described:
        return None
    if long.base != short.base:
        return Refusal("base_mismatch", f"{long.name} is {long.base}, {short.name} is {short.base}")
    if long.quote != short.quote:
        text = f"{long.name} is priced in {long.quote}, {short.name} in {short.quote}: a hidden basis"
        return Refusal("quote_mismatch", text)
    for leg in (long, short):
        if leg.kind is not Kind.SPOT and leg.settle != leg.quote:
            text = (
                f"{leg.name} settles in {leg.settle}, not in {leg.quote}: only linear contracts stay hedged"
            )
            return Refusal("not_linear", text)
    return None


def interval_known(case: Case) -> Refusal | None:
    """A rate without its interval is not tradable."""
    for leg in _legs(case):
        if leg.kind is not Kind.PERP or leg.rate is None:
            continue
        if leg.interval_hours is None or not leg.interval_hours > 0:
            text = f"{leg.name} gives a rate without its interval, and nothing else tells it"
            return Refusal("interval_unknown", text)
    return None


def settlement_known(case: Case) -> Refusal | None:
    """A rate without its next settlement cannot be timed."""
    for leg in _legs(case):
        if leg.kind is Kind.PERP and leg.rate is not None and leg.next_ms is None:
            return Refusal("settlement_unknown", f"the next settlement of {leg.name} is not known")
    return None


def rate_plausible(case: Case) -> Refusal | None:
    """The last line of defence behind the feed's own checks."""
    for leg in _legs(case):
        if leg.rate is None or not leg.interval_hours:
            continue
        leg_daily = leg.rate * 24.0 / leg.interval_hours
        if not abs(leg_daily) <= DAILY_MAX:
            return Refusal("rate_implausible", f"{leg.name} claims {percent(leg_daily)} a day")
    return None


def quote_fresh(case: Case) -> Refusal | None:
    """risk.md, data age."""
    for leg in _legs(case):
        if leg.quote_age_sec is not None and leg.quote_age_sec > leg.quote_age_max_sec:
            text = (
                f"quote of {leg.name} is {leg.quote_age_sec:.1f} s old, at most {leg.quote_age_max_sec:.1f} s"
            )
            return Refusal("stale_quote", text)
    return None


def funding_fresh(case: Case) -> Refusal | None:
    """risk.md, data age; a rate whose settlement is an interval past is no current one."""
    limit = FUNDING_AGE_MAX_SEC
    for leg in _legs(case):
        if leg.kind is not Kind.PERP:
            continue
        if leg.funding_age_sec is not None and leg.funding_age_sec > limit:
            text = f"funding of {leg.name} is {leg.funding_age_sec:.0f} s old, at most {limit:.0f} s"
            return Refusal("stale_funding", text)
        if leg.next_ms is not None and leg.interval_hours:
            late_ms = case.market_ms - leg.next_ms
            if late_ms > leg.interval_hours * MS_PER_HOUR:
                text = (
                    f"the rate of {leg.name} settled {late_ms / MS_PER_HOUR:.1f} h ago and no newer one came"
                )
                return Refusal("stale_funding", text)
    return None


def mark_fresh(case: Case) -> Refusal | None:
    """risk.md, data age."""
    for leg in _legs(case):
        if leg.mark_age_sec is not None and leg.mark_age_sec > leg.mark_age_max_sec:
            text = f"mark of {leg.name} is {leg.mark_age_sec:.1f} s old, at most {leg.mark_age_max_sec:.1f} s"
            return Refusal("stale_mark", text)
    return None


def history_fresh(case: Case) -> Refusal | None:
    """A series that stopped settling says nothing about now."""
    settled = case.settled
    if settled is None:
        return None
    late_hours = (case.market_ms - settled.last_ms) / MS_PER_HOUR
    limit = HISTORY_INTERVALS_MAX * settled.last_hours + 1.0
    if late_hours > limit:
        text = f"the last settled carry is {late_hours:.1f} h old, at most {limit:.0f} h (three intervals)"
        return Refusal("stale_history", text)
    return None


def settlement_away(case: Case) -> Refusal | None:
    """Rule 6: 60 s of market time on either side of a settlement."""
    for leg in _legs(case):
        if leg.kind is not Kind.PERP or leg.next_ms is None:
            continue
        last_ms = leg.next_ms - int((leg.interval_hours or 0.0) * MS_PER_HOUR)
        for settles_ms in (leg.next_ms, last_ms):
            to_go_ms = settles_ms - case.market_ms
            if -SETTLEMENT_GUARD_MS < to_go_ms <= SETTLEMENT_GUARD_MS:
                when = f"in {to_go_ms / 1000:.0f} s" if to_go_ms > 0 else f"{-to_go_ms / 1000:.0f} s ago"
                return Refusal(
                    "near_settlement", f"{leg.name} settles {when}; wait until it is 60 s away or past"
                )
    return None


def funding_enough(case: Case) -> Refusal | None:
    """Rule 1."""
    minimum = case.terms.config.thresholds.daily_funding_min
    if case.daily is None or case.daily >= minimum - EPSILON:
        return None
    text = (
        f"carry {percent(case.daily)} a day is below the minimum {percent(minimum)}"
        f" ({percent(minimum - case.daily)} missing)"
    )
    return Refusal("funding_below_min", text)


def _has_funding(case: Case) -> bool:
    return case.long.kind is Kind.PERP or case.short.kind is Kind.PERP


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
    if net is None or net > EPSILON_USD:
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
    if not known or (days is not None and days <= limit + EPSILON):
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
    if case.basis_entry is None or case.basis_entry <= limit + EPSILON:
        return None
    excess = bps(case.basis_entry - limit)
    text = f"entry basis {bps(case.basis_entry)}, at most {bps(limit)} ({excess} too wide)"
    return Refusal("basis_too_wide", text)


def legs_agree(case: Case) -> Refusal | None:
    """Two mids too far apart are two assets, or one with a wrong multiplier."""
    if case.basis_entry is None:
        return None
    limit = DIVERGENCE_MAX if case.days_left is None else DIVERGENCE_DATED_MAX
    if abs(case.basis_entry) <= limit:
        return None
    text = f"the legs are {percent(abs(case.basis_entry))} apart: not one asset, or a wrong multiplier"
    return Refusal("legs_diverge", text)


def deep_enough(case: Case) -> Refusal | None:
    """Rule 5, and the book must hold the position where slippage is read from it."""
    if not case.fillable:
        return Refusal("depth_too_thin", f"the book does not hold {case.notional_usd:,.0f} USD")
    for leg in _legs(case):
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
    if case.short.kind is Kind.SPOT and not case.short.shortable:
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


def large_enough(case: Case) -> Refusal | None:
    """The venue's smallest order."""
    for leg, mid in ((case.long, case.long_mid), (case.short, case.short_mid)):
        if leg.notional_min is not None and case.notional_usd < leg.notional_min:
            text = f"{case.notional_usd:g} USD is below the minimum {leg.notional_min:g} of {leg.name}"
            return Refusal("notional_below_min", text)
        if leg.quantity_min is not None and mid is not None and case.notional_usd / mid < leg.quantity_min:
            text = (
                f"{case.notional_usd / mid:g} is below the least quantity {leg.quantity_min:g} of {leg.name}"
            )
            return Refusal("notional_below_min", text)
    return None


def capital_allows(case: Case) -> Refusal | None:
    """Rule 6: a position that alone breaks a limit never opens."""
    limits = case.terms.config.limits
    if limits.max_notional_usd is not None and case.notional_usd > limits.max_notional_usd + EPSILON_USD:
        text = f"{case.notional_usd:,.0f} USD is above limits.max_notional_usd {limits.max_notional_usd:,.0f}"
        return Refusal("capital", text)
    per_venue = limits.max_notional_per_venue_usd
    if per_venue is not None:
        same = venue_id(case.long.venue) == venue_id(case.short.venue)
        on_venue = case.notional_usd * (2 if same else 1)
        if on_venue > per_venue + EPSILON_USD:
            text = f"{on_venue:,.0f} USD on it is above limits.max_notional_per_venue_usd {per_venue:,.0f}"
            return Refusal("capital", text)
    return None


CHECKS: Final[tuple[Check, ...]] = (
    data_known,
    tradable,
    not_quarantined,
    same_asset,
    interval_known,
    settlement_known,
    rate_plausible,
    quote_fresh,
    funding_fresh,
    mark_fresh,
    history_fresh,
    settlement_away,
    funding_enough,
    consecutive,
    history_enough,
    net_positive,
    breakeven_soon,
    basis_narrow,
    legs_agree,
    deep_enough,
    borrowable,
    far_from_expiry,
    large_enough,
    capital_allows,
)


def refusals(case: Case) -> tuple[Refusal, ...]:
    """Everything that speaks against opening, in the order of `CHECKS`; empty means it passes."""
    return tuple(refusal for check in CHECKS if (refusal := check(case)) is not None)
