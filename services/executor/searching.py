"""The trades of an order that its venue denies: the last question before it counts as never accepted. Pure.

A balance is no proof on spot, where coins of the user's hide a sale that has filled: the venue's trades are
asked for since the order was decided. One under its id books the order. One that no order of ours explains,
and that could be its, ends the order as foreign: nobody can tell, so a person has to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common.instant import US_PER_MS
from libs.common.subjects import SPOT
from libs.exchange.trading_values import FillReport
from services.executor import news
from services.executor.events import FetchFills, ReadAccount
from services.executor.lane import Draft, Lane
from services.executor.model import Intent, IntentState

replace = msgspec.structs.replace

CLOCKS_MS: Final = 5_000
"""So much a venue's clock and ours may differ: what traded earlier is none of an order's."""


def on_found(lane: Lane, draft: Draft, request: FetchFills, fills: Iterable[FillReport]) -> None:
    """The trades since a denied order was decided, already booked where they name an order of ours."""
    intent = draft.intents.get(request.denied)
    begun = lane.doubts.get(request.denied)
    if intent is None or intent.state.is_final or begun is None or not news.is_denied(lane, intent):
        return
    venue, instrument = lane.keys[intent.leg]
    maybe = [one for one in fills if lane.kinds[intent.leg] is SPOT and _may_be_its(lane, draft, intent, one)]
    if maybe:
        lane.doubts.pop(intent.id)
        text = f"the venue denies it, yet trade {maybe[0].trade_id} may be its"
        draft.put(replace(intent, state=IntentState.FOREIGN, reason=text))
        shown = f"{maybe[0].quantity:f} at {maybe[0].price:f}"
        news.foreign(
            draft, f"{venue} {instrument}: a trade of no known order ({shown}) may be order {intent.id}'s"
        )
        return
    lane.doubts[intent.id] = replace(begun, searched=True)
    draft.requests.append(ReadAccount(venue=venue, pair=lane.pair))


def _may_be_its(lane: Lane, draft: Draft, intent: Intent, fill: FillReport) -> bool:
    """Whether a trade fits an order and belongs to no other one that is known."""
    if fill.client_id or fill.cause != "order" or fill.instrument != lane.keys[intent.leg][1]:
        return False
    others = (one for lane in lane.world.lanes.values() for one in lane.intents.values())
    known = {one.order_id for one in (*draft.intents.values(), *others) if one.order_id}
    if fill.order_id in known or fill.side.value != intent.side or fill.quantity > intent.quantity:
        return False
    if fill.ts_ms < intent.created_us // US_PER_MS - CLOCKS_MS:
        return False
    limit = intent.price
    if limit is None:
        return True
    return fill.price <= limit if intent.side == "buy" else fill.price >= limit
