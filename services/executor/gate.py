"""The last look before the wire: a pure verdict over all legs that are sent together.

The shell calls it with the current permit, lease and time, between signing and writing; the verdict goes
back to the pair as an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC, Now
from services.executor.model import LOANS, Intent, OrderClass
from services.executor.permit import PermitView, scopes_of
from services.executor.reducing import Standing, why_not

INTENT_AGE_US_MAX: Final = 5 * US_PER_SEC
"""An INCREASE that waited longer between decision and wire is void: the market has moved on."""


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The pair's lease as this process holds it; None of them held is `fence` 0."""

    fence: int = 0
    until_mono_us: int = 0


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What an INCREASE may not exceed. `collar`: the furthest a limit price may be from the decided mid."""

    leg_notional_max: Decimal
    collar: Decimal


class Refusal(msgspec.Struct, frozen=True):
    """Why the gate stays shut: a code to count, and a sentence."""

    code: str
    text: str


def verdict(
    intents: Sequence[Intent],
    *,
    legs: tuple[tuple[str, str], tuple[str, str]],
    permits: PermitView,
    lease: LeaseView,
    bounds: Bounds,
    rate: str,
    now: Now,
    bad_key: str = "",
    standing: Standing | None = None,
    loads: tuple[int, int] = (0, 0),
) -> Refusal | None:
    """None lets all of them pass; one refusal holds all of them back.

    `rate` is why the order budget is used up, `bad_key` why an API key is not to be used any more, "" while
    all is well; they concern INCREASE alone, as permit, notional and age do. The lease and the fence concern
    every order. REDUCE has to be what it says: `standing` is what it was decided upon. `loads`: the reading
    of the pair that the orders come from, and its newest one: what was decided before that one is in doubt
    since, and must not leave any more.
    """
    fences = {intent.fence for intent in intents}
    if lease.fence == 0 or fences != {lease.fence}:
        return Refusal("lease", f"the pair is not ours: fence {lease.fence}, orders of {sorted(fences)}")
    if now.mono_us >= lease.until_mono_us:
        return Refusal("lease", "the lease on the pair has run out")
    if loads[0] < loads[1]:
        return Refusal("reloaded", "the pair was read anew since these orders were decided")
    for intent in intents:
        reduces = intent.order_class is OrderClass.REDUCE and intent.purpose not in LOANS
        if reduces and (why := why_not(intent, standing)):
            return Refusal("not_reducing", why)
    increases = [intent for intent in intents if intent.order_class is OrderClass.INCREASE]
    if increases and bad_key:
        return Refusal("bad_key", bad_key)
    return _increase(increases, legs, permits, bounds, rate=rate, now=now) if increases else None


def _increase(
    intents: Sequence[Intent],
    legs: tuple[tuple[str, str], tuple[str, str]],
    permits: PermitView,
    bounds: Bounds,
    *,
    rate: str,
    now: Now,
) -> Refusal | None:
    if stale := permits.stale_reason(now):
        return Refusal("no_permit", stale)
    breaker = permits.strictest(scopes_of(intents[0].pair, legs))
    if breaker is not None and breaker.level.rank > 0:
        return Refusal("breaker", f"{breaker.scope} is {breaker.level}: {breaker.reason}")
    if rate:
        return Refusal("order_rate", rate)
    return next((found for one in intents if (found := _too_bold(one, bounds, now)) is not None), None)


def _too_bold(intent: Intent, bounds: Bounds, now: Now) -> Refusal | None:
    """An INCREASE has a price near the mid, a size within the limits, and is young.

    REDUCE is asked for less (`reducing`): its collar is its ladder step, which may end in a market order.
    """
    if intent.price is None or intent.mid is None:
        return Refusal("no_price", "an order that increases needs a limit price and a mid")
    away = intent.price / intent.mid - 1 if intent.side == "buy" else 1 - intent.price / intent.mid
    if away > bounds.collar:
        allowed = f"{bounds.collar:.4%} are allowed"
        return Refusal("collar", f"{intent.side} limit {away:.4%} beyond the mid, {allowed}")
    notional = intent.price * intent.quantity
    if notional > bounds.leg_notional_max:
        return Refusal("notional", f"{notional:.2f} is more than {bounds.leg_notional_max} a leg")
    if now.wall_us - intent.created_us > INTENT_AGE_US_MAX:
        return Refusal("late", "too long between decision and wire")
    return None
