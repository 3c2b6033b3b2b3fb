"""Orders of ours that rest at a venue and that no store remembers: found by their id, cancelled, and paged.

A store that was lost takes the intents with it, not what they have posted. Such an order may fill at any
time: on a contract that halts the pair, on spot the coins would pass for the user's. So a pair of which the
store knows nothing is not ready before the open orders of its legs were listed and nothing of ours is left
among them. What was on its way when the store was lost lands later: once more after the venue's window, with
the pair at work. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from libs.exchange.trading_values import OrderReport
from services.executor.events import CancelOrder, ListOrders, ReadAccount
from services.executor.heed import Leftovers
from services.executor.ids import is_ours
from services.executor.lane import Draft, Lane
from services.executor.resolve import window_us

AGAIN_US: Final = US_PER_SEC
"""So long after a listing that failed, or after cancels, the orders are listed again."""

BLOCKED: Final = "nothing is stored of it: its venues are asked for open orders of an earlier store"


def begin(lane: Lane, draft: Draft) -> None:
    """The pair was read. Where the store had nothing of it, its legs are to be searched."""
    lane.leftovers = Leftovers()
    if lane.stored_version == 0:
        wait_us = max(window_us(venue) for venue, _ in lane.keys)
        lane.leftovers.again_us = draft.now.mono_us + wait_us
        lane.leftovers.places = set(_places(lane))
        lane.leftovers.holds = True


def _places(lane: Lane) -> Iterable[tuple[int, bool]]:
    """(leg, on the desk for borrowed coins)."""
    for leg, kind in enumerate(lane.kinds):
        yield leg, False
        if kind is SPOT:
            yield leg, True


def due(lane: Lane, draft: Draft) -> None:
    """List what is due; to be called with every tick of the pair."""
    left, now_us = lane.leftovers, draft.now.mono_us
    if left.again_us is not None and now_us >= left.again_us:
        left.again_us = None
        left.places = set(_places(lane))
    if not lane.loaded or not left.places or now_us < left.due_us or not _all_read(lane):
        return
    left.due_us = now_us + AGAIN_US
    for leg, margin in sorted(left.places):
        venue, instrument = lane.keys[leg]
        draft.requests.append(ListOrders(pair=lane.pair, venue=venue, instrument=instrument, margin=margin))


def _all_read(lane: Lane) -> bool:
    """Whether it is known which orders the pairs on the same instruments remember."""
    return all(one.loaded for one in lane.world.lanes.values() if set(one.keys) & set(lane.keys))


def on_listed(lane: Lane, draft: Draft, request: ListOrders, listed: Iterable[OrderReport]) -> None:
    """Cancel what is ours and nobody's; a place without such orders is done with."""
    key = (request.venue, request.instrument)
    place = (lane.keys.index(key), request.margin)
    if place not in lane.leftovers.places or not _all_read(lane):
        return
    known = {order_id for one in lane.world.lanes.values() for order_id in one.intents} | set(draft.intents)
    strange = [
        one
        for one in listed
        if is_ours(one.client_id, lane.world.deployment)
        and one.client_id not in known
        and one.instrument == request.instrument
    ]
    for order in strange:
        _end(lane, draft, request, order)
    if strange:
        return
    lane.leftovers.places.discard(place)
    if not lane.leftovers.places and lane.leftovers.holds:
        lane.leftovers.holds = False
        for venue in dict.fromkeys(venue for venue, _ in lane.keys):  # a cancel may have come too late
            draft.requests.append(ReadAccount(venue=venue, pair=lane.pair))


def _end(lane: Lane, draft: Draft, request: ListOrders, order: OrderReport) -> None:
    draft.requests.append(
        CancelOrder(
            pair=lane.pair,
            id=order.client_id,
            venue=request.venue,
            instrument=request.instrument,
            margin=request.margin,
        )
    )
    if order.client_id in lane.leftovers.told:
        return
    lane.leftovers.told.add(order.client_id)
    what = f"{order.side.value} {order.quantity:f} {request.venue} {request.instrument}"
    text = (
        f"order {order.client_id} ({what}, {order.filled:f} filled) is ours and no pair remembers it: was the"
        " store lost? It is cancelled; what it has filled is on the account and in no pair"
    )
    draft.alert(AlertLevel.CRITICAL, f"leftover:{order.client_id}", text)
