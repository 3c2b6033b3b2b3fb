"""Lists of orders and trades, as `api/v3` and `sapi/v1/margin` both page them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from libs.exchange.engine.types import Fill, Order
from services.venue.binance_common import refuse
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import ms
from services.venue.binance_spot_trading import Wallet, listing_of, market_of

ROWS_DEFAULT: Final = 500
ROWS_MAX: Final = 1_000
_SPAN_MAX_MS: Final = 24 * 3_600_000

Row = TypeVar("Row", Order, Fill)


def open_orders(wallet: Wallet, form: Form) -> list[Order]:
    """Open orders of one market, or of all without `symbol`."""
    symbol = form.text("symbol")
    key = listing_of(wallet.house, wallet.call, symbol).key if symbol else ""
    form.flag("isIsolated")
    form.done()
    return wallet.house.engine.open_orders(wallet.account, key)


def all_orders(wallet: Wallet, form: Form) -> list[Order]:
    """Orders of a market: from an id or a time on, else the newest; oldest first."""
    listing = market_of(wallet, form)
    first_id, form_span = form.integer("orderId"), _span(form)
    rows = wallet.house.engine.orders(wallet.account, listing.key)
    return _page(form, rows, first_id, form_span, lambda row: (row.order_id, ms(row.created_us)))


def trades(wallet: Wallet, form: Form) -> list[Fill]:
    """Trades of a market: of one order, from an id or a time on, else the newest; oldest first."""
    listing = market_of(wallet, form)
    order_id, first_id, form_span = form.integer("orderId"), form.integer("fromId"), _span(form)
    rows = wallet.house.engine.fills(wallet.account, listing.key)
    if order_id is not None:
        rows = [row for row in rows if row.order_id == order_id]
    return _page(form, rows, first_id, form_span, lambda row: (row.trade_id, ms(row.wall_us)))


def _span(form: Form) -> tuple[int | None, int | None]:
    since, until = form.integer("startTime"), form.integer("endTime")
    if since is not None and until is not None:
        if until < since:
            raise refuse(-1127, "Start time is greater than end time.")
        if until - since > _SPAN_MAX_MS:
            raise refuse(-1127, "More than 24 hours between startTime and endTime.")
    return since, until


def _page(
    form: Form,
    rows: list[Row],
    first_id: int | None,
    span: tuple[int | None, int | None],
    place_of: Callable[[Row], tuple[int, int]],
) -> list[Row]:
    count = form.count("limit", ROWS_DEFAULT, ROWS_MAX)
    form.flag("isIsolated")
    form.done()
    since, until = span
    kept = [
        row
        for row, (number, at_ms) in ((row, place_of(row)) for row in rows)
        if (first_id is None or number >= first_id)
        and (since is None or at_ms >= since)
        and (until is None or at_ms <= until)
    ]
    from_the_start = first_id is not None or since is not None
    return kept[:count] if from_the_start else kept[-count:]
