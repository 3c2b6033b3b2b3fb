"""When something of ours moved last at each venue: orders, loans, trades, and their writes. Pure.

A look at balances and the ledger describe the same instant only when nothing of ours was under way at that
venue from before the look was asked for until the ledger was read back. That all is over when the two are
compared does not prove it: an order may have begun, filled and been written in between, in a part of the
ledger that had been read before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from libs.common.effects import Persist, Persisted
from libs.common.instant import Now
from services.executor.fetching import untold
from services.executor.lane import Lane
from services.executor.ledger import STREAM

NEVER_US: Final = -1


class Stillness:
    """Told when a pair's change begins to be written, and when that has ended. `lanes`: pair -> lane.

    A write of the pair's state alone moves nothing: each look tells pairs what they owe by now, and they keep
    it, in the moment in which the books compare that look.
    """

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes
        self._writing: dict[str, set[str]] = {}
        self._moved_us: dict[str, int] = {}

    def begins(self, lane: Lane, write: Persist, mono_us: int) -> None:
        """A change of a pair is being written; what it sends goes out behind that."""
        if moves(write):
            self._writing.setdefault(lane.pair, set()).add(write.token)
            self._stamp(lane, mono_us)

    def ended(self, lane: Lane, told: Persisted, mono_us: int) -> None:
        """The write has ended: the ledger has it from now on; or it failed, and the pair is read anew (what
        was to be written behind it in the same turn has been dropped).
        """
        tokens = self._writing.get(lane.pair, set())
        if not told.ok:
            tokens.clear()
        elif told.token not in tokens:
            return
        tokens.discard(told.token)
        self._stamp(lane, mono_us)

    def _stamp(self, lane: Lane, mono_us: int) -> None:
        self._moved_us.update((venue, mono_us) for venue, _ in lane.keys)

    def is_calm(self, venue: str, now: Now) -> bool:
        """Whether nothing of ours is under way there at this moment."""
        return not any(self._moves(lane, venue, now) for lane in self._at(venue))

    def is_still(self, venue: str, since_us: int, now: Now) -> bool:
        """Whether nothing of ours is under way there and no pair with a leg there was written since then
        (monotonic): no order or loan whose end is open, no trade that is not booked with its fee and may yet
        be told, no write, no pair that has yet to be read from the store.
        """
        if self._moved_us.get(venue, NEVER_US) >= since_us:
            return False
        return self.is_calm(venue, now)

    def _at(self, venue: str) -> Iterable[Lane]:
        return (lane for lane in self._lanes.values() if any(key[0] == venue for key in lane.keys))

    def _moves(self, lane: Lane, venue: str, now: Now) -> bool:
        unread = lane.lease is not None and not lane.loaded
        if unread or self._writing.get(lane.pair):
            return True
        return any(
            not intent.state.is_final or untold(lane, intent, now)
            for intent in lane.intents.values()
            if lane.keys[intent.leg][0] == venue
        )


def moves(write: Persist) -> bool:
    """Whether orders, loans, dust or the ledger are a part of it."""
    change = write.change
    return change is not None and (bool(change.hash_writes) or STREAM in change.appends)
