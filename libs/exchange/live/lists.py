"""Open orders and trades of an account: whole lists, page by page, in base units."""

from __future__ import annotations

from typing import Any, Final

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY, US_PER_MS
from libs.common.subjects import Kind
from libs.exchange.live.places import Place, Places
from libs.exchange.live.record import Ids, TradingRecord
from libs.exchange.live.reports import Unreadable, fill_of, order_of
from libs.exchange.live.wire import Call
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import FillReport, OrderReport

PAGES_MAX: Final = 200
BACK_MS_MAX: Final = 180 * MS_PER_DAY
"""Venues keep trades and the lines of their books for three to six months."""

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
        item = _listed(places, place, raw, kind)
        if item is None:
            continue  # options and other products of the same account: no leg of ours
        try:
            found.append(order_of(raw, item, ids))
        except Unreadable as error:
            raise VenueError(place.poll.venue, "bad_payload", f"open_orders: {error}") from error
    return found


def _listed(places: Places, place: Place, raw: dict[str, Any], kind: Kind) -> Instrument | None:
    """The instrument of an order among all of a kind. Where a spot market and a perpetual share their symbol
    ccxt guesses between them: what was asked for decides.
    """
    spot = kind is Kind.SPOT
    item = places.find(place, raw.get("symbol"))
    if item is not None and (item.kind is Kind.SPOT) == spot:
        return item
    info = raw.get("info")
    return places.named(place, info.get("symbol"), spot=spot) if isinstance(info, dict) else None


async def trades_since(
    place: Place, item: Instrument, record: TradingRecord, ids: Ids, *, since_ms: int, params: dict[str, Any]
) -> list[FillReport]:
    """All trades in an instrument from `since_ms` on (at most half a year ago), oldest first, each once."""
    now_ms = wall_us() // US_PER_MS
    since_ms = max(since_ms, now_ms - BACK_MS_MAX)
    window_ms = record.fills_window_ms.get(item.kind)
    found: dict[str, FillReport] = {}
    for start_ms in range(since_ms, now_ms + 1, window_ms or BACK_MS_MAX + 1):
        until = {} if window_ms is None else {"until": min(start_ms + window_ms, now_ms + MS_PER_DAY)}
        for one in await _window(
            place, item, ids, start_ms=start_ms, limit=record.fills_limit, params={**params, **until}
        ):
            found[one.trade_id] = one
    kept = [one for one in found.values() if one.ts_ms >= since_ms]
    return sorted(kept, key=lambda one: (one.ts_ms, len(one.trade_id), one.trade_id))


async def _window(
    place: Place, item: Instrument, ids: Ids, *, start_ms: int, limit: int, params: dict[str, Any]
) -> list[FillReport]:
    """All pages of one stretch of time.

    Venues answer the oldest rows first (Binance): pages go on from the newest stamp while they are full. Or
    the newest first, with a cursor (Bitget): pages go on by it.
    """
    found: dict[str, FillReport] = {}
    cursor = ""
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
    return list(found.values())


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
    found = [raw for raw in _rows(rows, place, "fills") if _is_of(raw, item)]
    data = call.answer.get("data") if isinstance(call.answer, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("list"), list):
        return found, ""
    return found, str(data.get("cursor") or "") if len(data["list"]) >= limit else ""


def _is_of(raw: dict[str, Any], item: Instrument) -> bool:
    """Whether a trade is one in this instrument. ccxt labels all rows of Bitget's v3 answer, which knows no
    symbol in its request, with the market that was asked for: the row's own category and symbol count.
    """
    info = raw.get("info")
    if isinstance(info, dict) and info.get("category") and info.get("symbol"):
        spot = str(info["category"]) in ("SPOT", "MARGIN")
        return spot == (item.kind is Kind.SPOT) and str(info["symbol"]) == item.venue_symbol
    return raw.get("symbol") == item.symbol


def _rows(rows: Any, place: Place, name: str) -> list[dict[str, Any]]:
    if not isinstance(rows, list):
        raise VenueError(place.poll.venue, "bad_payload", f"{name}: no rows in the answer")
    return [raw for raw in rows if isinstance(raw, dict)]
