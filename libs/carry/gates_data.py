"""The opening rules about data: known, sound, fresh, not on the edge of a settlement (`libs.carry.gates`)."""

from __future__ import annotations

from typing import Final

from libs.carry.case import FUNDING_AGE_MAX_SEC, Case, LegCase, Refusal, legs_of, linear, percent
from libs.common.subjects import FUTURE, PERP

SETTLEMENT_GUARD_MS: Final = 60_000
MS_PER_HOUR: Final = 3_600_000
DAILY_MAX: Final = 1.0  # the highest caps are 4 % for one hour: 96 % a day
HISTORY_INTERVALS_MAX: Final = 3


def data_known(case: LegCase) -> Refusal | None:
    """Rule 6: nothing is judged on what was never seen."""
    leg = case.leg
    if not leg.described:
        return Refusal("no_data", f"{leg.name} has not been described by its venue yet")
    if case.mid is None:
        return Refusal("no_data", f"no usable quote of {leg.name} yet")
    if leg.kind is PERP and leg.rate is None:
        return Refusal("no_data", f"no current funding rate of {leg.name} yet")
    if leg.kind is FUTURE and leg.expiry_ms is None:
        return Refusal("no_data", f"the expiry of {leg.name} is not known")
    return None


def tradable(case: LegCase) -> Refusal | None:
    """The venue's own word on the instrument."""
    leg = case.leg
    return Refusal("not_tradable", f"{leg.name}: {leg.refused}") if leg.refused else None


def not_quarantined(case: LegCase) -> Refusal | None:
    """Rule 6: nonsense from a venue shuts the instrument out, not the process."""
    leg = case.leg
    return Refusal("quarantined", f"{leg.name}: {leg.quarantine}") if leg.quarantine else None


def same_asset(case: Case) -> Refusal | None:
    """One base, one money, linear: anything else is a basis that nobody asked for."""
    long, short = legs_of(case)
    if not long.described or not short.described:
        return None
    if long.base != short.base:
        return Refusal("base_mismatch", f"{long.name} is {long.base}, {short.name} is {short.base}")
    if long.quote != short.quote:
        text = f"{long.name} is priced in {long.quote}, {short.name} in {short.quote}: a hidden basis"
        return Refusal("quote_mismatch", text)
    for leg in (long, short):
        if not linear(leg):
            text = (
                f"{leg.name} settles in {leg.settle}, not in {leg.quote}: only linear contracts stay hedged"
            )
            return Refusal("not_linear", text)
    return None


def interval_known(case: LegCase) -> Refusal | None:
    """A rate without its interval is not tradable."""
    leg = case.leg
    if leg.kind is not PERP or leg.rate is None:
        return None
    if leg.interval_hours is None or not leg.interval_hours > 0:
        text = f"{leg.name} gives a rate without its interval, and nothing else tells it"
        return Refusal("interval_unknown", text)
    return None


def settlement_known(case: LegCase) -> Refusal | None:
    """A rate without its next settlement cannot be timed."""
    leg = case.leg
    if leg.kind is PERP and leg.rate is not None and leg.next_ms is None:
        return Refusal("settlement_unknown", f"the next settlement of {leg.name} is not known")
    return None


def rate_plausible(case: LegCase) -> Refusal | None:
    """The last line of defence behind the feed's own checks."""
    leg = case.leg
    if leg.rate is None or not leg.interval_hours:
        return None
    leg_daily = leg.rate * 24.0 / leg.interval_hours
    if not abs(leg_daily) <= DAILY_MAX:
        return Refusal("rate_implausible", f"{leg.name} claims {percent(leg_daily)} a day")
    return None


def quote_fresh(case: LegCase) -> Refusal | None:
    """risk.md, data age."""
    leg = case.leg
    if leg.quote_age_sec is not None and leg.quote_age_sec > leg.quote_age_max_sec:
        text = f"quote of {leg.name} is {leg.quote_age_sec:.1f} s old, at most {leg.quote_age_max_sec:.1f} s"
        return Refusal("stale_quote", text)
    return None


def funding_fresh(case: LegCase) -> Refusal | None:
    """risk.md, data age; a rate whose settlement is an interval past is no current one."""
    leg, limit = case.leg, FUNDING_AGE_MAX_SEC
    if leg.kind is not PERP:
        return None
    if leg.funding_age_sec is not None and leg.funding_age_sec > limit:
        text = f"funding of {leg.name} is {leg.funding_age_sec:.0f} s old, at most {limit:.0f} s"
        return Refusal("stale_funding", text)
    if leg.next_ms is not None and leg.interval_hours:
        late_ms = case.market_ms - leg.next_ms
        if late_ms > leg.interval_hours * MS_PER_HOUR:
            text = f"the rate of {leg.name} settled {late_ms / MS_PER_HOUR:.1f} h ago and no newer one came"
            return Refusal("stale_funding", text)
    return None


def mark_fresh(case: LegCase) -> Refusal | None:
    """risk.md, data age."""
    leg = case.leg
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


def settlement_away(case: LegCase) -> Refusal | None:
    """Rule 6: 60 s of market time on either side of a settlement."""
    leg = case.leg
    if leg.kind is not PERP or leg.next_ms is None:
        return None
    last_ms = leg.next_ms - int((leg.interval_hours or 0.0) * MS_PER_HOUR)
    for settles_ms in (leg.next_ms, last_ms):
        to_go_ms = settles_ms - case.market_ms
        if -SETTLEMENT_GUARD_MS < to_go_ms <= SETTLEMENT_GUARD_MS:
            when = f"in {to_go_ms / 1000:.0f} s" if to_go_ms > 0 else f"{-to_go_ms / 1000:.0f} s ago"
            return Refusal(
                "near_settlement", f"{leg.name} settles {when}; wait until it is 60 s away or past"
            )
    return None
