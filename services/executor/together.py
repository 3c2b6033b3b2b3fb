"""What the pairs of one executor have together: sums by instrument, and what a look at an account tells each.

A lane changes nothing but its own pair; what it needs to know of the others it asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from libs.exchange.trading_values import FillReport
from services.executor import beside, debt_watch, news, watch
from services.executor.events import AccountSeen
from services.executor.lane import Draft, Lane
from services.executor.world import Key


class Together:
    """All lanes of an executor, read only."""

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes

    def own(self, venue: str, instrument: str) -> Decimal:
        """What all pairs have of an instrument together, dust and borrowed coins included."""
        return sum(
            (
                leg.coins + lane.dust[index]
                for lane in self._lanes.values()
                for index, leg in enumerate(lane.state.legs)
                if (leg.venue, leg.instrument) == (venue, instrument)
            ),
            Decimal(0),
        )

    def sharers(self, key: Key) -> list[Lane]:
        """All pairs with a leg in an instrument."""
        return [lane for lane in self._lanes.values() if key in lane.keys]

    def disturbed(self, lane: Lane, seen: AccountSeen) -> frozenset[Key]:
        """Instruments of this pair of which a look proves nothing: another pair's order is open there.

        Orders of which the venue knew nothing when it was asked last disturb nobody: the look tells of all
        of them together.
        """
        return frozenset(
            other.keys[intent.leg]
            for other in self._lanes.values()
            if other is not lane
            for intent in other.intents.values()
            if not intent.state.is_final
            and other.keys[intent.leg] in lane.keys
            and other.keys[intent.leg][0] == seen.venue
            and not news.is_silent(other, intent, seen)
        )

    def look(self, lane: Lane, draft: Draft, seen: AccountSeen) -> None:
        """A pair learns from a look at one of its accounts."""
        if all(lane.heed.looked.get(venue, 0) for venue, _ in lane.keys) and not lane.doubted_us:
            lane.compared_us = max(lane.compared_us, seen.asked_mono_us)
        lane.heed.looked[seen.venue] = max(seen.asked_mono_us, lane.heed.looked.get(seen.venue, 0))
        beside.remember(lane, draft, seen, self._lanes.values())
        debt_watch.on_account(lane, draft, seen, self._lanes.values())
        watch.on_account(lane, draft, seen, self.own, disturbed=self.disturbed(lane, seen))

    def take(self, lane: Lane, draft: Draft, key: Key, trades: tuple[FillReport, ...]) -> None:
        """A pair learns which trades a venue has made by itself."""
        debt_watch.on_searched(lane, draft, key)
        watch.on_taken(lane, draft, key, trades, self.sharers(key))
