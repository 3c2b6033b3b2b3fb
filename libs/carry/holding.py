"""A held pair: when to watch it and when to leave it. Folds over a small state, one per held pair.

Carry and payments are fractions of notional in the direction held; times are market time in ms.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.carry.funding import JITTER_MS, minute_of, payment
from libs.carry.gates_data import SETTLEMENT_GUARD_MS
from libs.common.config.schema import Thresholds
from libs.common.messages import LegFigures, Opportunity, Settlement
from libs.common.subjects import PERP

MS_PER_HOUR: Final = 3_600_000
FADED_SHARE: Final = 0.5  # of the entry minimum
EPSILON: Final = 1e-12

FlipPolicy = Literal["tolerance", "cost_aware", "none"]
Action = Literal["keep", "watch", "close"]


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a held pair.

    `wrong_since_ms` and `faded_since_ms` are set while the current carry has the wrong sign, or is below
    half of the entry minimum, without a break. `loss` is the running funding loss: what the flipped carry
    has cost since it was last at zero, never negative. `earned` sums all settled payments. `*_paid_ms` is
    the newest print of each leg that was counted, so that each counts exactly once.
    """

    since_ms: int
    wrong_since_ms: int | None = None
    faded_since_ms: int | None = None
    loss: float = 0.0
    earned: float = 0.0
    long_paid_ms: int = 0
    short_paid_ms: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """What the rules say about a held pair now, and why in words."""

    action: Action
    text: str


def opened(market_ms: int) -> Holding:
    """A pair held from now on: prints up to now were others'."""
    return Holding(since_ms=market_ms, long_paid_ms=market_ms, short_paid_ms=market_ms)


def flip_policy_of(thresholds: Thresholds) -> FlipPolicy:
    """The policy in force: an explicit one, else what `flip_exit` implies (economics.md)."""
    if thresholds.flip_policy is not None:
        return thresholds.flip_policy
    match thresholds.flip_exit:
        case None:
            return "cost_aware"
        case True:
            return "tolerance"
        case False:
            return "none"


def on_current(holding: Holding, carry_daily: float, market_ms: int, *, daily_funding_min: float) -> Holding:
    """Fold the current carry in: it starts, keeps or ends the two clocks."""
    wrong = carry_daily < -EPSILON
    faded = carry_daily < FADED_SHARE * daily_funding_min - EPSILON
    wrong_since = (market_ms if holding.wrong_since_ms is None else holding.wrong_since_ms) if wrong else None
    faded_since = (market_ms if holding.faded_since_ms is None else holding.faded_since_ms) if faded else None
    if wrong_since == holding.wrong_since_ms and faded_since == holding.faded_since_ms:
        return holding
    return msgspec.structs.replace(holding, wrong_since_ms=wrong_since, faded_since_ms=faded_since)


def on_payment(holding: Holding, received: float) -> Holding:
    """Fold one settled payment in (> 0 received): what is paid grows the loss, what comes shrinks it to 0."""
    return msgspec.structs.replace(
        holding, loss=max(0.0, holding.loss - received), earned=holding.earned + received
    )


def on_settled(
    holding: Holding, long: tuple[Settlement, ...] | None, short: tuple[Settlement, ...] | None
) -> Holding:
    """Fold in every print of both legs that has not been counted, in the order of settlement.

    Prints of one instant are one payment of the pair: what one leg pays and the other receives at the
    same settlement must not show as a loss in between.
    """
    due: dict[int, float] = {}
    for prints, is_short, paid_ms in (
        (long, False, holding.long_paid_ms),
        (short, True, holding.short_paid_ms),
    ):
        for settled in reversed(prints or ()):
            if settled.settled_ms <= paid_ms + JITTER_MS:
                break
            minute = minute_of(settled.settled_ms)
            due[minute] = due.get(minute, 0.0) + payment(settled.rate, is_short=is_short)
    if not due:
        return holding
    for minute in sorted(due):
        holding = on_payment(holding, due[minute])
    return msgspec.structs.replace(
        holding,
        long_paid_ms=max([holding.long_paid_ms, *(p.settled_ms for p in (long or ())[-1:])]),
        short_paid_ms=max([holding.short_paid_ms, *(p.settled_ms for p in (short or ())[-1:])]),
    )


def _hours(since_ms: int | None, market_ms: int) -> float:
    return 0.0 if since_ms is None else (market_ms - since_ms) / MS_PER_HOUR


def judge(holding: Holding, market_ms: int, thresholds: Thresholds, *, round_trip: float) -> Verdict:
    """Keep, watch (faded: open nothing more on it) or close (flipped), by the policy in force."""
    tolerance = thresholds.flip_tolerance_hours
    wrong_hours = _hours(holding.wrong_since_ms, market_ms)
    wrong_long = holding.wrong_since_ms is not None and wrong_hours >= tolerance
    policy = flip_policy_of(thresholds)
    if wrong_long and policy == "tolerance":
        text = f"carry has had the wrong sign for {wrong_hours:.1f} h, tolerated are {tolerance:g} h"
        return Verdict("close", text)
    if wrong_long and policy == "cost_aware":
        bound = thresholds.flip_loss_ratio * round_trip
        if holding.loss >= bound - EPSILON:
            text = (
                f"flipped carry has cost {holding.loss * 100:.4f} %, as much as"
                f" {thresholds.flip_loss_ratio:g} x the round trip ({bound * 100:.4f} %)"
            )
            return Verdict("close", text)
        text = (
            f"carry has had the wrong sign for {wrong_hours:.1f} h and has cost {holding.loss * 100:.4f} %;"
            f" leaving pays at {bound * 100:.4f} %"
        )
        return Verdict("watch", text)
    faded_hours = _hours(holding.faded_since_ms, market_ms)
    if holding.faded_since_ms is not None and faded_hours >= tolerance:
        half = FADED_SHARE * thresholds.daily_funding_min
        below = f"carry has been below {half * 100:.4f} % a day for {faded_hours:.1f} h"
        return Verdict("watch", f"{below}; leaving would cost a round trip")
    return Verdict("keep", "")


def nearest_settlement_ms(leg: LegFigures, market_ms: int) -> int | None:
    """Market time from now to the leg's nearest settlement, < 0 when it has passed; None: not known.

    A told settlement that has passed goes on by its interval: a silent feed must not end the rule.
    """
    if leg.next_ms is None or not leg.interval_hours or leg.interval_hours <= 0:
        return None
    interval_ms = round(leg.interval_hours * MS_PER_HOUR)
    to_go_ms = (leg.next_ms - market_ms) % interval_ms
    return to_go_ms if to_go_ms * 2 <= interval_ms else to_go_ms - interval_ms


def soft_close_waits(opportunity: Opportunity, market_ms: int) -> str:
    """Why a soft close must wait, in words: 60 s of market time on either side of a settlement of either
    leg, and while it is not known when one comes (venues.md). Empty when it may go. Hard ones never ask.
    """
    for leg in (opportunity.long, opportunity.short):
        if leg.kind is not PERP:
            continue
        to_go_ms = nearest_settlement_ms(leg, market_ms)
        if to_go_ms is None:
            return f"the next settlement of {leg.venue} {leg.instrument} is not known"
        if -SETTLEMENT_GUARD_MS < to_go_ms <= SETTLEMENT_GUARD_MS:
            when = f"in {to_go_ms / 1000:.0f} s" if to_go_ms > 0 else f"{-to_go_ms / 1000:.0f} s ago"
            return f"{leg.venue} {leg.instrument} settles {when}"
    return ""


def calm_ms(opportunity: Opportunity, market_ms: int) -> int | None:
    """Market time that is left until 60 s before a settlement of either leg; None: no leg settles."""
    left = [
        (leg.next_ms - SETTLEMENT_GUARD_MS - market_ms) % round(leg.interval_hours * MS_PER_HOUR)
        for leg in (opportunity.long, opportunity.short)
        if leg.kind is PERP and leg.next_ms is not None and leg.interval_hours
    ]
    return min(left) if left else None
