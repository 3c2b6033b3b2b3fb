"""Wishes: what was asked of the executor and may still be carried out, and how long a pair is left in peace.

Pure. A wish is an intent on the bus: it expires, and only a state that follows tells that it was taken up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal

import msgspec

from libs.carry.case import Direction
from libs.carry.holding import calm_ms, opened
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR, US_PER_MS, US_PER_SEC, Now
from libs.common.messages import Intent, Opportunity
from libs.common.messages_exec import PairStatus
from services.signal.decide import Held
from services.signal.selection import Left

replace = msgspec.structs.replace

INTENT_US: Final = 5 * US_PER_SEC
"""How long a wish is good for (wall clock). It is repeated each round."""

FOLLOWED_US: Final = 6 * US_PER_SEC
"""How long after its expiry a wish may still show in a state: who took it up says so at once, and again
after 5 s should that have been lost."""

TRIES_MAX: Final = 3
TRYING_US: Final = 20 * US_PER_SEC
TRY_AGAIN_US: Final = 60 * US_PER_SEC
"""A pair that was asked so often and so long to open, and has not, leaves its place to others for a while."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A wish that may be carried out still; monotonic until when."""

    action: Literal["open", "close"]
    direction: Direction
    notional_usd: float
    until_us: int


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a pair was asked to open without any sign of it; monotonic from when to when."""

    count: int
    first_us: int
    last_us: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What one round hands to the next: held pairs as followed, wishes under way, pairs that rest."""

    held: dict[str, Held] = {}
    asked: dict[str, Asked] = {}
    tries: dict[str, Tries] = {}
    left: dict[str, Left] = {}


def held_usd(status: PairStatus) -> float:
    """USD per leg that a pair takes: what was decided, or what its larger leg is worth when that is more."""
    worth = [abs(float(leg.quantity)) * leg.mid for leg in status.legs if leg.mid is not None]
    return max([float(status.notional_usd), *worth])


def held_of(known: Held | None, status: PairStatus, seen: Opportunity) -> Held | None:
    """What is remembered of a held pair: as known while it is the same holding, else begun at its opening.

    None until both legs stand (`opened_ms`). Begun anew, the running loss is folded again out of the prints
    settled since the opening; only the clocks of the current rate start now.
    """
    if status.opened_ms is None:
        return None
    usd = float(status.notional_usd)
    if known is not None and (known.direction, known.holding.since_ms) == (
        status.direction,
        status.opened_ms,
    ):
        return known if known.notional_usd == usd else replace(known, notional_usd=usd)
    return Held(
        direction=status.direction,
        notional_usd=usd,
        round_trip=seen.round_trip,
        holding=opened(status.opened_ms),
    )


def rest_ms(left: Left, config: Config, now: Now) -> float:
    """Market time that a pair still rests after a close: as long as a flip is tolerated."""
    return left.market_ms + config.thresholds.flip_tolerance_hours * MS_PER_HOUR - now.market_ms


def in_vain(tried: Tries, now: Now) -> bool:
    """Whether a pair was asked often and long enough, not long ago."""
    enough = tried.count >= TRIES_MAX and now.mono_us - tried.first_us >= TRYING_US
    return enough and now.mono_us - tried.last_us < TRY_AGAIN_US


def next_tries(
    tries: Mapping[str, Tries], asked: Iterable[str], idle: frozenset[str], now: Now
) -> dict[str, Tries]:
    """The count goes on for pairs that are idle still, and starts again after a pause."""
    found = {
        pair: tried
        for pair, tried in tries.items()
        if pair in idle and now.mono_us - tried.last_us < TRY_AGAIN_US
    }
    for pair in asked:
        former = found.get(pair) or Tries(count=0, first_us=now.mono_us, last_us=now.mono_us)
        found[pair] = replace(former, count=former.count + 1, last_us=now.mono_us)
    return found


def intent_of(
    item: Opportunity, action: Literal["open", "close"], reason: str, now: Now, *, tick_us: int | None
) -> Intent:
    """Good for 5 s, and never into the minute before a settlement."""
    left_ms = calm_ms(item, now.market_ms)
    good_us = INTENT_US if left_ms is None else min(INTENT_US, left_ms * US_PER_MS)
    return Intent(
        pair=item.pair,
        action=action,
        direction=item.direction,
        notional_usd=money_text(item.notional_usd),
        reason=reason,
        expires_us=now.wall_us + good_us,
        tick_us=tick_us,
    )


def money_text(usd: float) -> str:
    """An amount as the shortest decimal that means it, without an exponent.

    >>> money_text(1000.0), money_text(1e-05)
    ('1000', '0.00001')
    """
    return format(Decimal(repr(usd)).normalize(), "f")


def asked_by(intent: Intent, now: Now) -> Asked:
    """The wish that an intent is."""
    return Asked(
        action="open" if intent.action == "open" else "close",
        direction=intent.direction,
        notional_usd=float(intent.notional_usd),
        until_us=now.mono_us + intent.expires_us - now.wall_us + FOLLOWED_US,
    )
