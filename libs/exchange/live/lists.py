"""Open orders and trades of an account: whole lists, page by page, in base units."""

from __future__ import annotations

from typing import Any, Final

from libs.common.subjects import Kind
from libs.exchange.live.places import Place, Places
from libs.exchange.live.record import Ids
from libs.exchange.live.reports import Unreadable, fill_of, order_of
from libs.exchange.live.wire import Call
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import FillReport, OrderReport

PAGES_MAX: Final = 200
_TYPES: Final = {Kind.SPOT: "spot", Kind.PERP: "swap", Kind.FUTURE: "future"}


async def open_orders_of(
    places: Places, place: Place, ids: Ids, *, kind: Kind, params: dict[str, Any], symbol: str | None = None
) -> list[OrderReport]:
    """Open orders of one instrument, or of all of a kind. `VenueError` when one cannot be read: an order that
    is left out would look canceled.
    """
    asked = dict(params) if symbol else {"type": _TYPES[kind], **params}
    rows = await place.ask("open_orders", lambda ex: ex.fetch_open_orders(symbol, None, None, asked))
    found = []
    for raw in _rows(rows, place, "open_orders"):
        item = places.find(place, raw.get("symbol"))
        if item is None:
            continue  # options and other products of the same account: no leg of ours
        try:
            found.append(order_of(raw, item, ids))
        except Unreadable as error:
            raise VenueError(place.poll.venue, "bad_payload", f"open_orders: {error}") from error
    return found


async def trades_since(
    place: Place, item: Instrument, ids: Ids, *, since_ms: int, limit: int, params: dict[str, Any]
) -> list[FillReport]:
    """All trades in an instrument from `since_ms` on, oldest first, each once.

    Venues answer the oldest rows of a window first (Binance): pages go on from the newest stamp while they
    are full. Or the newest first, with a cursor (Bitget): pages go on by it.
    """
    found: dict[str, FillReport] = {}
    start_ms, cursor = since_ms, ""
    for _ in range(PAGES_MAX):
        page, cursor = await _page(place, item, start_ms, limit, {**params, **_going_on(cursor)})
        fresh = [raw for raw in page if str(raw.get("id")) not in found]
        for raw in fresh:
            try:
                one = fill_of(raw, item, ids)
            except Unreadable as error:
                raise VenueError(place.poll.venue, "bad_payload", f"fills: {error}") from error
            found[one.trade_id] = one
        if cursor:
            continue
        if len(page) < limit or not fresh:
            break
        start_ms = max(one.ts_ms for one in found.values())
    kept = [one for one in found.values() if one.ts_ms >= since_ms]
    return sorted(kept, key=lambda one: (one.ts_ms, len(one.trade_id), one.trade_id))


def _going_on(cursor: str) -> dict[str, Any]:
    return {"cursor": cursor} if cursor else {}


async def _page(
    place: Place, item: Instrument, start_ms: int, limit: int, params: dict[str, Any]
) -> tuple[list[dict[str, Any]], str]:
    """Trades of the instrument in one answer, and the cursor of a next page ("" when this was the last)."""
    call = Call()
    rows = await place.ask(
        "fills", lambda ex: ex.fetch_my_trades(item.symbol, start_ms, limit, dict(params)), noted=call
    )
    found = [raw for raw in _rows(rows, place, "fills") if raw.get("symbol") == item.symbol]
    data = call.answer.get("data") if isinstance(call.answer, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("list"), list):
        return found, ""
    return found, str(data.get("cursor") or "") if len(data["list"]) >= limit else ""


def _rows(rows: Any, place: Place, name: str) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        raise VenueError(place.poll.venue, "bad_payload", f"{name}: no rows in the answer")
    return [raw for raw in rows if isinstance(raw, dict)]
