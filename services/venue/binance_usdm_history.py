"""What has happened to the USD-M wallet: the account's trades, and its ledger as income.

Income of funding and delivery is stamped with the market time of its settlement, everything else with wall
time, like orders and fills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from libs.exchange.engine.types import Entry, EntryKind
from services.venue.binance_common import refuse
from services.venue.binance_usdm_params import account_of, instrument_filter, read, required_listing
from services.venue.binance_usdm_rows import money, trade_row
from services.venue.wire import Answer, Call, answer

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

_WEEK_MS: Final = 7 * 86_400_000
# Settled at an instant of the market, not of the wall.
_IN_MARKET_TIME: Final = frozenset({EntryKind.FUNDING, EntryKind.DELIVERY})

# Binance writes DELIVERED_SETTELMENT so. A deposit straight into the wallet shows as what it is to the owner.
INCOME: Final[dict[EntryKind, str]] = {
    EntryKind.PNL: "REALIZED_PNL",
    EntryKind.FEE: "COMMISSION",
    EntryKind.FUNDING: "FUNDING_FEE",
    EntryKind.TRANSFER: "TRANSFER",
    EntryKind.DEPOSIT: "TRANSFER",
    EntryKind.WITHDRAWAL: "TRANSFER",
    EntryKind.LIQUIDATION_FEE: "INSURANCE_CLEAR",
    EntryKind.INSURANCE: "INSURANCE_CLEAR",
    EntryKind.DELIVERY: "DELIVERED_SETTELMENT",
}


def user_trades(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/userTrades: from `fromId` on, of an order, or of a window of seven days, oldest first."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    from_id, order_id = wanted.integer("fromId"), wanted.integer("orderId")
    start, end = wanted.window(call.now.wall_ms, days=7)
    if from_id is not None and (start is not None or end is not None):
        raise refuse(-1128, "Combination of optional parameters invalid.")
    limit = wanted.limit(500, 1_000)
    found = [
        one
        for one in house.engine.fills(account_of(house, key), listing.key)
        if (from_id is None or one.trade_id >= from_id)
        and (order_id is None or one.order_id == order_id)
        and (start is None or one.wall_us // 1_000 >= start)
        and (end is None or one.wall_us // 1_000 <= end)
    ]
    from_the_front = from_id is not None or start is not None
    page = found[:limit] if from_the_front else found[-limit:]
    return answer([trade_row(listing, one) for one in page])


def income(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/income: of a symbol, type and window (the last seven days), oldest first, in pages."""
    wanted = read(call)
    instrument = instrument_filter(house, wanted, call.now)
    kind, limit = wanted.text("incomeType"), wanted.limit(100, 1_000)
    start, end = wanted.integer("startTime"), wanted.integer("endTime")
    if start is not None and end is not None and start > end:
        raise refuse(-1023, "Start time is greater than end time.")
    page = max(1, wanted.integer("page") or 1)
    account = account_of(house, key)
    delivered = {str(one.trade_id) for one in house.engine.fills(account) if one.cause == "delivery"}
    found = [
        (one, name)
        for one in house.engine.entries(account)
        if one.kind in INCOME
        and instrument in ("", one.instrument)
        and kind in ("", name := _income_type(one, delivered))
        and _in_window(one, call, start, end)
    ]
    found.sort(key=lambda pair: stamp_ms(pair[0]))
    if start is None and "page" not in wanted:
        page_rows = found[-limit:]
    else:
        page_rows = found[(page - 1) * limit : page * limit]
    return answer([income_row(house, one, name) for one, name in page_rows])


def _income_type(entry: Entry, delivered: set[str]) -> str:
    """The PnL of a delivery has a type of its own."""
    if entry.kind is EntryKind.PNL and entry.ref in delivered:
        return INCOME[EntryKind.DELIVERY]
    return INCOME[entry.kind]


def stamp_ms(entry: Entry) -> int:
    """When an entry happened, in the time of its kind."""
    return entry.market_ms if entry.kind in _IN_MARKET_TIME else entry.wall_us // 1_000


def _in_window(entry: Entry, call: Call, start: int | None, end: int | None) -> bool:
    stamp = stamp_ms(entry)
    if start is None and end is None:
        now = call.now.market_ms if entry.kind in _IN_MARKET_TIME else call.now.wall_ms
        return stamp >= now - _WEEK_MS
    return (start is None or stamp >= start) and (end is None or stamp <= end)


def income_row(house: House, entry: Entry, name: str) -> dict[str, Any]:
    """A line of the ledger; `tradeId` is empty where no trade caused it."""
    symbol = house.engine.listing(entry.instrument).symbol if entry.instrument else ""
    of_trade = entry.kind in (EntryKind.PNL, EntryKind.FEE) and entry.ref.isdigit()
    return {
        "symbol": symbol,
        "incomeType": name,
        "income": money(entry.amount),
        "asset": entry.asset,
        "info": name,
        "time": stamp_ms(entry),
        "tranId": str(entry.entry_id),
        "tradeId": int(entry.ref) if of_trade else "",
    }
