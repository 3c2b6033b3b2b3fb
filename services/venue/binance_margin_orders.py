"""`sapi/v1/margin`: orders and trades of the cross-margin wallet.

`sideEffectType` MARGIN_BUY borrows what the order lacks, AUTO_REPAY repays out of what it brings in.
AUTO_BORROW_REPAY does what the account needs: it repays when it owes what comes in, else it borrows.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.exchange.engine.commands import Submit
from libs.exchange.engine.types import Balance, Side
from services.venue import binance_spot_lists as lists
from services.venue import binance_spot_texts as texts
from services.venue import binance_spot_trading as trading
from services.venue.binance_auth import forbidden
from services.venue.binance_common import refuse
from services.venue.binance_spot_errors import NO_ISOLATED, said
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_trading import Wallet
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_BORROW: Final[dict[str, Literal["none", "auto", "auto_repay"]]] = {
    "": "none",
    "NO_SIDE_EFFECT": "none",
    "MARGIN_BUY": "auto",
    "AUTO_REPAY": "auto_repay",
}


class MarginForm(Form):
    """Parameters of a margin call: cross only, and what nothing reads is not minded."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        if self.flag("isIsolated"):
            raise said(NO_ISOLATED)

    def done(self) -> None:
        """Nothing to refuse."""


def new_order(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v1/margin/order."""
    wallet, form = Wallet.of(house, call, key, "margin"), MarginForm(call)
    submit = trading.read_order(wallet, form)
    submit = msgspec.structs.replace(submit, borrow=_side_effect(wallet, submit, form))
    if submit.borrow == "auto" and "margin" not in key.permissions:
        raise forbidden()
    detail = trading.response_type(form)
    placed = trading.place(wallet, submit)
    symbol = wallet.symbol(placed.order)
    if detail == "ACK":
        return answer(texts.margin_ack(placed.order, symbol))
    body = texts.margin_placed(placed.order, symbol, borrowed=placed.borrowed)
    if detail == "FULL":
        body["fills"] = [texts.part(fill, margin=True) for fill in placed.fills]
    return answer(body)


def _side_effect(wallet: Wallet, submit: Submit, form: Form) -> Literal["none", "auto", "auto_repay"]:
    wanted = form.text("sideEffectType")
    if wanted == "AUTO_BORROW_REPAY":
        listing = wallet.house.engine.listing(submit.instrument)
        incoming = listing.base if submit.side is Side.BUY else listing.quote
        owed = wallet.house.engine.balances(wallet.account).get(incoming, Balance())
        return "auto_repay" if owed.borrowed or owed.interest else "auto"
    if wanted not in _BORROW:
        raise refuse(-1130, "Data sent for parameter 'sideEffectType' is not valid.")
    return _BORROW[wanted]


def order(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/order."""
    wallet = Wallet.of(house, call, key, "margin")
    found = trading.find(wallet, MarginForm(call))
    return answer(texts.margin_row(found, wallet.symbol(found)))


def cancel_order(house: House, call: Call, key: Key) -> Answer:
    """DELETE /sapi/v1/margin/order."""
    wallet = Wallet.of(house, call, key, "margin")
    found, cancel_id = trading.cancel(wallet, MarginForm(call))
    return answer(texts.margin_canceled(found, wallet.symbol(found), cancel_id))


def cancel_orders(house: House, call: Call, key: Key) -> Answer:
    """DELETE /sapi/v1/margin/openOrders."""
    wallet = Wallet.of(house, call, key, "margin")
    found = trading.cancel_all(wallet, MarginForm(call))
    rows = [texts.margin_canceled_of_many(one, wallet.symbol(one), cancel_id) for one, cancel_id in found]
    return answer(rows)


def open_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/openOrders."""
    wallet = Wallet.of(house, call, key, "margin")
    found = lists.open_orders(wallet, MarginForm(call))
    return answer([texts.margin_row(one, wallet.symbol(one)) for one in found])


def all_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/allOrders."""
    wallet = Wallet.of(house, call, key, "margin")
    found = lists.all_orders(wallet, MarginForm(call))
    return answer([texts.margin_row(one, wallet.symbol(one)) for one in found])


def my_trades(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/myTrades."""
    wallet = Wallet.of(house, call, key, "margin")
    found = lists.trades(wallet, MarginForm(call))
    return answer([texts.margin_trade(one, wallet.symbol(one)) for one in found])
