"""Who made a trade: the account's owner by an order, or the venue by liquidation, ADL or delivery.

Bitget's trades say so (`tradeSide`), and the frames of Binance's user stream (client ids of the venue's own
making). Binance's trades by REST name their order only, so orders that are not known here are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY, US_PER_MS
from libs.common.subjects import SPOT
from libs.exchange.live.places import Place, Places
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import Cause, FillReport
from libs.exchange.units import int_of

PAGES_MAX: Final = 20
KNOWN_MAX: Final = 50_000
LAG_MS: Final = 60_000
"""An order that is in no list so long after its trade was its owner's."""

FORCED_DAYS: Final = 7  # as far back as fapi/v1/forceOrders goes
_ROWS: Final = 1_000
_FORCED_ROWS: Final = 100

# Client ids of orders that Binance USD-M makes, as its documentation of ORDER_TRADE_UPDATE lists them.
_CLIENT_IDS: Final[dict[str, Cause]] = {
    "autoclose-": "liquidation",
    "adl_autoclose": "adl",
    "settlement_autoclose-": "delivery",
}
# `tradeSide` of Bitget's trades: burst_sell_single, reduce_close_long (a part is liquidated),
# offset_close_short (netted in a liquidation), delivery_buy_single, dte_sys_adl_buy_in_single_side_mode.
_TRADE_SIDES: Final[dict[str, Cause]] = {
    "burst_": "liquidation",
    "reduce_": "liquidation",
    "offset_": "liquidation",
    "delivery_": "delivery",
    "dte_sys_adl_": "adl",
}


def cause_of(info: object) -> Cause:
    """What a venue's own row or frame of a trade or order says of its maker.

    >>> cause_of({"tradeSide": "burst_sell_single"}), cause_of({"c": "adl_autoclose"}), cause_of({})
    ('liquidation', 'adl', 'order')
    """
    if not isinstance(info, dict):
        return "order"
    side = _by_prefix(_TRADE_SIDES, info.get("tradeSide"))
    return _by_prefix(_CLIENT_IDS, info.get("c") or info.get("clientOrderId")) if side == "order" else side


def _by_prefix(causes: Mapping[str, Cause], text: object) -> Cause:
    return next((cause for prefix, cause in causes.items() if str(text).startswith(prefix)), "order")


class Causes:
    """Binance's orders by who made them. Raises `VenueError` where it cannot ask: a guess would be booked."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: dict[tuple[str, str], Cause] = {}

    def note(self, instrument: str, order_id: str, cause: Cause) -> None:
        """An order whose maker was told by the way: those that are sent here need not be asked for."""
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()  # they are asked for again
        self._known[instrument, order_id] = cause

    async def mark(self, item: Instrument, fills: list[FillReport], *, margin: bool) -> list[FillReport]:
        """The trades in one instrument with their causes."""
        if item.kind is SPOT and not margin:
            return fills
        unknown = [one for one in fills if (item.slug, one.order_id) not in self._known]
        if unknown:
            place = self._places.of(item.slug)
            await (self._loans if item.kind is SPOT else self._contracts)(place, item, unknown)
        return [
            msgspec.structs.replace(one, cause=self._known.get((item.slug, one.order_id), one.cause))
            for one in fills
        ]

    async def _contracts(self, place: Place, item: Instrument, fills: list[FillReport]) -> None:
        """fapi/v1/allOrders (weight 5) has the venue's own among them; forceOrders (20) tells of the rest."""
        first, last = min(map(_number, fills)), max(map(_number, fills))
        for _ in range(PAGES_MAX):
            asked = {"symbol": item.venue_symbol, "orderId": first, "limit": _ROWS}
            rows = _rows(await place.get("fills", "fapiPrivateGetAllOrders", asked), place)
            self._learn(item, rows)
            newest = max((int_of(row.get("orderId")) or 0 for row in rows), default=0)
            if len(rows) < _ROWS or newest >= last:
                break
            first = newest + 1
        left = self._left(item, fills)
        if left:
            oldest_ms = wall_us() // US_PER_MS - FORCED_DAYS * MS_PER_DAY + LAG_MS
            since_ms = max(oldest_ms, min(one.ts_ms for one in left) - LAG_MS)
            asked = {"symbol": item.venue_symbol, "startTime": since_ms, "limit": _FORCED_ROWS}
            self._learn(item, _rows(await place.get("fills", "fapiPrivateGetForceOrders", asked), place))
            self._settle(item, left)

    async def _loans(self, place: Place, item: Instrument, fills: list[FillReport]) -> None:
        """sapi/v1/margin/forceLiquidationRec (weight 1): the margin desk's own, newest first."""
        since_ms = min(one.ts_ms for one in fills) - LAG_MS
        for page in range(1, PAGES_MAX + 1):
            asked = {"startTime": since_ms, "size": _FORCED_ROWS, "current": page}
            answer = await place.get("fills", "sapiGetMarginForceLiquidationRec", asked)
            rows = _rows(answer.get("rows") if isinstance(answer, dict) else None, place)
            for row in rows:
                if row.get("symbol") == item.venue_symbol:
                    self.note(item.slug, str(row.get("orderId")), "liquidation")
            if len(rows) < _FORCED_ROWS:
                break
        self._settle(item, self._left(item, fills))

    def _learn(self, item: Instrument, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            self.note(item.slug, str(row.get("orderId")), cause_of(row))

    def _left(self, item: Instrument, fills: list[FillReport]) -> list[FillReport]:
        return [one for one in fills if (item.slug, one.order_id) not in self._known]

    def _settle(self, item: Instrument, fills: list[FillReport]) -> None:
        """Orders that are in no list are their owner's; young ones are asked for again."""
        for one in self._left(item, fills):
            if one.ts_ms < wall_us() // US_PER_MS - LAG_MS:
                self.note(item.slug, one.order_id, "order")


def _number(fill: FillReport) -> int:
    return int_of(fill.order_id) or 0


def _rows(answer: object, place: Place) -> list[dict[str, Any]]:
    if not isinstance(answer, list):
        raise VenueError(place.poll.venue, "bad_payload", "fills: no rows of orders in the answer")
    return [row for row in answer if isinstance(row, dict)]
