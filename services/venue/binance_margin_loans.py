"""`sapi/v1/margin`: borrowing, repaying, interest, and their records.

Records are read off the account's ledger. What a repayment took of interest and of principal follows from
the lines before it: interest is paid first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.common.instant import HOURS_PER_DAY
from libs.exchange.engine.commands import Booked, Borrow, Repay
from libs.exchange.engine.types import Balance, Entry, EntryKind
from services.venue.binance_margin_account import margin_asset
from services.venue.binance_spot_errors import BAD_INPUT, BORROW, NO_ISOLATED, REPAY, REPAY_MAX, said
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import amount, ms
from services.venue.binance_spot_trading import Wallet
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_ROWS_DEFAULT: Final = 10
_ROWS_MAX: Final = 100
_KINDS: Final = {"BORROW": EntryKind.BORROW, "REPAY": EntryKind.REPAY}
_ZERO: Final = Decimal(0)


class Line(msgspec.Struct, frozen=True):
    """A ledger line about a debt, with what it was made of: principal and interest that it repaid, or the
    principal that interest was counted on.
    """

    entry: Entry
    principal: Decimal
    interest: Decimal


def borrow_repay(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v1/margin/borrow-repay."""
    wallet, form = Wallet.of(house, call, key, "margin"), Form(call)
    _cross_only(form)
    kind = form.need("type")
    asset, wanted = margin_asset(house, call, form.need("asset")), form.need_decimal("amount")
    if kind == "BORROW":
        command: Borrow | Repay = Borrow(account=wallet.account, asset=asset, amount=wanted)
        events = wallet.apply(command, BORROW)
    elif kind == "REPAY":
        owed = house.engine.balances(wallet.account).get(asset, Balance())
        if wanted > owed.borrowed + owed.interest:
            raise said(REPAY_MAX)
        command = Repay(account=wallet.account, asset=asset, amount=wanted)
        events = wallet.apply(command, REPAY)
    else:
        raise said(BAD_INPUT)
    booked = [event.entry for event in events if isinstance(event, Booked)]
    numbers = [entry.entry_id for entry in booked if entry.kind is _KINDS[kind]]
    return answer({"tranId": numbers[0]})


def _cross_only(form: Form) -> None:
    if form.flag("isIsolated") or form.has("isolatedSymbol"):
        raise said(NO_ISOLATED)


def debts(entries: list[Entry]) -> Iterator[Line]:
    """The lines about debts, oldest first, each with its parts."""
    principal: dict[str, Decimal] = {}
    interest: dict[str, Decimal] = {}
    for entry in entries:
        asset, size = entry.asset, abs(entry.amount)
        match entry.kind:
            case EntryKind.BORROW:
                principal[asset] = principal.get(asset, _ZERO) + size
                yield Line(entry, size, _ZERO)
            case EntryKind.INTEREST:
                interest[asset] = interest.get(asset, _ZERO) + size
                yield Line(entry, principal.get(asset, _ZERO), size)
            case EntryKind.REPAY:
                of_interest = min(size, interest.get(asset, _ZERO))
                interest[asset] = interest.get(asset, _ZERO) - of_interest
                principal[asset] = principal.get(asset, _ZERO) - (size - of_interest)
                yield Line(entry, size - of_interest, of_interest)
            case _:
                continue


def loans(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/borrow-repay: loans or repayments, newest first, by pages."""
    form = Form(call)
    kind = _KINDS.get(form.need("type"))
    if kind is None:
        raise said(BAD_INPUT)
    number = form.integer("txId")

    def row(line: Line) -> dict[str, Any] | None:
        if line.entry.kind is not kind or number not in (None, line.entry.entry_id):
            return None
        return {
            "amount": amount(abs(line.entry.amount)),
            "asset": line.entry.asset,
            "interest": amount(line.interest),
            "principal": amount(line.principal),
            "status": "CONFIRMED",
            "timestamp": ms(line.entry.wall_us),
            "txId": line.entry.entry_id,
        }

    entries = house.engine.entries(house.account(key.user, "margin"))
    return _paged(entries, form, row, lambda line: ms(line.entry.wall_us))


def interest_history(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/interestHistory: an hour's interest a row, stamped in market time, newest first.
    `interestRate` is what a day costs.
    """

    def row(line: Line) -> dict[str, Any] | None:
        if line.entry.kind is not EntryKind.INTEREST:
            return None
        return {
            "txId": line.entry.entry_id,
            "interestAccuredTime": line.entry.market_ms,
            "asset": line.entry.asset,
            "rawAsset": line.entry.asset,
            "principal": amount(line.principal),
            "interest": amount(line.interest),
            "interestRate": amount(house.borrow_rate_hourly(line.entry.asset) * HOURS_PER_DAY),
            "type": "PERIODIC",
        }

    entries = house.engine.entries(house.account(key.user, "margin"))
    return _paged(entries, Form(call), row, lambda line: line.entry.market_ms)


def _paged(
    entries: list[Entry],
    form: Form,
    row_of: Callable[[Line], dict[str, Any] | None],
    stamp_of: Callable[[Line], int],
) -> Answer:
    _cross_only(form)
    asset = form.text("asset")
    since, until = form.integer("startTime"), form.integer("endTime")
    page, size = form.count("current", 1, 1 << 30), form.count("size", _ROWS_DEFAULT, _ROWS_MAX)
    rows = [
        row
        for line in debts(entries)
        if asset in ("", line.entry.asset)
        and (since is None or stamp_of(line) >= since)
        and (until is None or stamp_of(line) <= until)
        and (row := row_of(line)) is not None
    ]
    rows.reverse()
    return answer({"rows": rows[(page - 1) * size : page * size], "total": len(rows)})


def forced(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/forceLiquidationRec: the venue's own sales and purchases, newest first."""
    form = Form(call)
    _cross_only(form)
    since, until = form.integer("startTime"), form.integer("endTime")
    page, size = form.count("current", 1, 1 << 30), form.count("size", _ROWS_DEFAULT, _ROWS_MAX)
    account = house.account(key.user, "margin")
    rows = [
        {
            "avgPrice": amount(order.filled_quote / order.filled if order.filled else _ZERO),
            "executedQty": amount(order.filled),
            "orderId": order.order_id,
            "price": amount(order.price or _ZERO),
            "qty": amount(order.quantity),
            "side": order.side.value.upper(),
            "symbol": house.engine.listing(order.instrument).symbol,
            "timeInForce": "GTC",
            "isIsolated": False,
            "updatedTime": ms(order.updated_us),
        }
        for order in reversed(house.engine.orders(account))
        if order.cause == "liquidation"
        and (since is None or ms(order.updated_us) >= since)
        and (until is None or ms(order.updated_us) <= until)
    ]
    return answer({"rows": rows[(page - 1) * size : page * size], "total": len(rows)})
