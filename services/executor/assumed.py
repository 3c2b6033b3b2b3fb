"""Fees that are not told yet, assumed: a naked leg must not wait for a venue that tells no trades. Pure.

What a fee has taken from a spot buy is known with its trades; selling more than is left would sell the user's
coins, so that nothing is sent for the pair meanwhile. Where it must act, a fee is assumed after a few
seconds that is too large rather than too small: the pair goes on with fewer coins than it has. The ledger
knows nothing of it, and the leg gets the difference when the trades are told (`order.signed_change`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from services.executor import flatten, order
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, Intent, State

replace = msgspec.structs.replace

AFTER_US: Final = 5 * US_PER_SEC
"""So long after they were missed first: venues tell trades within a second or two."""

NAKED_FEES: Final = 3
"""A delta beyond so many fees is no matter of fees."""

RATE_MIN: Final = Decimal("0.002")
"""At least so much: no spot market that we know takes more from an account without a discount."""


def due(lane: Lane, draft: Draft) -> None:
    """Assume what has not been told for too long; to be called with every tick of the pair."""
    for intent in draft.unsettled:
        since_us = lane.heed.missing.get(intent.id, draft.now.mono_us)
        fee = intent.filled * _rate(lane, intent.leg)
        if draft.now.mono_us - since_us < AFTER_US or fee <= intent.fee_assumed:
            continue
        if not _must_act(lane, draft, fee):
            continue
        after = replace(intent, fee_assumed=fee)
        draft.take(intent, after, order.signed_change(intent, after))


def _must_act(lane: Lane, draft: Draft, fee: Decimal) -> bool:
    """Whether waiting costs more than trading a little less: a leg stands alone, the pair is to go, or a
    person is to end a halt. A hedged pair waits; with an assumed fee it would look unbalanced,
    and be trimmed for nothing.
    """
    state = draft.state
    if state.state in (State.CLOSING, State.UNWINDING, State.STUCK) or flatten.why(lane, draft.now):
        return True
    return abs(state.delta) > NAKED_FEES * fee


def _rate(lane: Lane, leg: int) -> Decimal:
    rules = lane.rules(leg)
    known = (rules.base_fee if rules is not None else ZERO, lane.world.taker(lane.keys[leg]) or ZERO)
    return max(RATE_MIN, *known)


def is_unknown(intent: Intent) -> bool:
    """Whether nothing may be sent before the trades of a buy are told: no fee is assumed, or only one of less
    than has filled by now.
    """
    return intent.fee_assumed < intent.filled * RATE_MIN
