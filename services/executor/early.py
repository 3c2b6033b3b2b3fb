"""When the books of an account may begin. Pure.

An opening is for ever. What the venue has traded by itself and no pair has booked yet would become a part of
it, and stay in the equity as a residual from the booking on. So the opening waits while sizes or debts are
not what the lines say: until somebody has booked it, or has had a minute for it. A pair that has an order of
unknown fate (at its other venue, too), or has not been compared with its venues, books nothing meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from libs.carry.pnl import Key
from libs.common.instant import US_PER_SEC, Now
from libs.common.subjects import SPOT
from services.executor.debts import asset_of, recalled_of
from services.executor.events import AccountSeen
from services.executor.lane import Lane
from services.executor.lending import Asset
from services.executor.model import State

if TYPE_CHECKING:
    from services.executor.comparing import Comparing

EARLY_US_MAX: Final = 60 * US_PER_SEC
"""What nobody has booked in so long although he could is the user's, or of a lost store."""

LATE_US: Final = 600 * US_PER_SEC
"""Books that have not begun so long after their records were asked for first: somebody should know."""


def problem_of(books: Comparing, born: Now | None, now: Now) -> str:
    """That the books of a venue have not begun in all this time; empty while that is no news. `born`: when
    its records were asked for first.
    """
    if books.opening is not None or born is None or now.mono_us - born.mono_us < LATE_US:
        return ""
    minutes = (now.mono_us - born.mono_us) // (60 * US_PER_SEC)
    return (
        f"{books.venue}: its books have not begun for {minutes} minutes, since its account is never still, or"
        " holds what no pair has booked: what was earned there is not known"
    )


class Early:
    """One venue's wait for its opening."""

    def __init__(self) -> None:
        self._since_us: int | None = None

    def waits(
        self, odd: Collection[Key], seen: AccountSeen | None, lanes: Collection[Lane], now: Now
    ) -> bool:
        """Whether a look is no opening yet: contracts (`odd`) or debts are otherwise than they are booked.
        `lanes`: all pairs.
        """
        recalled = recalled_of(lanes, seen)
        if not odd and not recalled:
            return False
        if self._since_us is None or any(_cannot_book(lane, odd, recalled) for lane in lanes):
            self._since_us = now.mono_us
        return now.mono_us - self._since_us < EARLY_US_MAX


def _cannot_book(lane: Lane, odd: Collection[Key], recalled: Collection[Asset]) -> bool:
    """Whether a pair of ours that may have to bear it is held up, for as long as that takes."""
    if lane.lease is None or not _is_concerned(lane, odd, recalled):
        return False
    held_up = not lane.ready and lane.state.state is not State.IDLE
    return not lane.loaded or held_up or any(not one.state.is_final for one in lane.intents.values())


def _is_concerned(lane: Lane, odd: Collection[Key], recalled: Collection[Asset]) -> bool:
    coins = {asset_of(lane, leg) for leg, kind in enumerate(lane.kinds) if kind is SPOT}
    return any(key in odd for key in lane.keys) or not coins.isdisjoint(recalled)
