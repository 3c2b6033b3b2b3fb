"""What of a pair's coins can be sold now: min(own, free) (execution.md).

Coins that the wallet does not have free lie in an order of the user's, or are gone; selling by our fills
alone would be refused, or would sell what is somebody else's. `free` is of the last look, less what was sold.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from libs.exchange.trading_values import Wallet
from services.executor.debts import asset_of
from services.executor.events import AccountSeen, ReadAccount
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO
from services.executor.sizing import floor_to

SELLING: Final[frozenset[Wallet]] = frozenset({"spot", "unified"})
"""The wallets that bought coins lie in; borrowed ones are the margin desk's."""


def note(lane: Lane, draft: Draft, seen: AccountSeen, legs: Iterable[int]) -> None:
    """Remember what a look shows as free for these legs, for which nothing was under way."""
    for leg in legs:
        if lane.kinds[leg] is SPOT:
            asset = asset_of(lane, leg)[1]
            rows = (one for one in seen.balances if one.asset == asset and one.wallet in SELLING)
            free = sum((one.free for one in rows), ZERO)
            lane.free[leg] = (free, _own(lane, draft, leg))
            if free >= draft.state.legs[leg].quantity:
                lane.free_told.discard(leg)


def _own(lane: Lane, draft: Draft, leg: int) -> Decimal:
    """What all pairs have of the leg's instrument: a sale by any of them makes less free."""
    mine = draft.state.legs[leg].quantity
    others = (one for one in lane.world.lanes.values() if one is not lane)
    key = lane.keys[leg]
    held = (one.state.legs[index].quantity for one in others for index in (0, 1) if one.keys[index] == key)
    return mine + sum(held, ZERO)


def spendable(lane: Lane, draft: Draft, leg: int) -> Decimal | None:
    """How many coins of a leg may be sold now; None where that was never seen or does not matter."""
    if lane.kinds[leg] is not SPOT or draft.borrows(leg) or leg not in lane.free:
        return None
    free, owned = lane.free[leg]
    return max(ZERO, free + _own(lane, draft, leg) - owned)


def is_short(lane: Lane, draft: Draft) -> bool:
    """Whether a spot leg could not be sold as a whole now."""
    for leg in (0, 1):
        free, rules = spendable(lane, draft, leg), lane.rules(leg)
        held = max(ZERO, draft.state.legs[leg].quantity)
        if free is not None and rules is not None and free < floor_to(held, rules.step):
            return True
    return False


def within(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> Decimal:
    """At most what is free, in whole steps; less than was wanted is told, and looked at again."""
    free, rules = spendable(lane, draft, leg), lane.rules(leg)
    if free is None or rules is None or amount <= free:
        return amount
    venue, instrument = lane.keys[leg]
    coin = asset_of(lane, leg)[1]
    if leg not in lane.free_told:
        lane.free_told.add(leg)
        own = draft.state.legs[leg].quantity
        text = f"{own} {coin} at {venue} are ours, {free} are free: are they in an order? No more is sold"
        draft.alert(AlertLevel.CRITICAL, f"free:{instrument}", f"{lane.pair}: {text}")
    draft.requests.append(ReadAccount(venue=venue, pair=lane.pair))
    sold = floor_to(free, rules.step)
    return sold if sold >= lane.least(leg, reduces=True) else ZERO
