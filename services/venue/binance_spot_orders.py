"""`api/v3`: orders and trades of the spot wallet."""

from __future__ import annotations

from services.venue import binance_spot_account as account
from services.venue import binance_spot_lists as lists
from services.venue import binance_spot_texts as texts
from services.venue import binance_spot_trading as trading
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_trading import Wallet
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer


def new_order(house: House, call: Call, key: Key) -> Answer:
    """POST /api/v3/order."""
    wallet, form = Wallet.of(house, call, key, "spot"), Form(call)
    submit = trading.read_order(wallet, form)
    detail = trading.response_type(form)
    form.done()
    placed = trading.place(wallet, submit)
    symbol = wallet.symbol(placed.order)
    if detail == "ACK":
        return answer(texts.spot_ack(placed.order, symbol))
    said = texts.spot_placed(placed.order, symbol)
    if detail == "FULL":
        said["fills"] = [texts.part(fill, margin=False) for fill in placed.fills]
    return answer(said)


def test_order(house: House, call: Call, key: Key) -> Answer:
    """POST /api/v3/order/test: reads the order, sends nothing; says what it would pay when asked to."""
    wallet, form = Wallet.of(house, call, key, "spot"), Form(call)
    trading.read_order(wallet, form)
    trading.response_type(form)
    priced = form.flag("computeCommissionRates")
    form.done()
    return answer(account.order_commission(house, wallet.account) if priced else {})


def order(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/order."""
    wallet = Wallet.of(house, call, key, "spot")
    found = trading.find(wallet, Form(call))
    return answer(texts.spot_row(found, wallet.symbol(found)))


def cancel_order(house: House, call: Call, key: Key) -> Answer:
    """DELETE /api/v3/order."""
    wallet = Wallet.of(house, call, key, "spot")
    found, cancel_id = trading.cancel(wallet, Form(call))
    return answer(texts.spot_canceled(found, wallet.symbol(found), cancel_id))


def cancel_orders(house: House, call: Call, key: Key) -> Answer:
    """DELETE /api/v3/openOrders."""
    wallet = Wallet.of(house, call, key, "spot")
    found = trading.cancel_all(wallet, Form(call))
    return answer([texts.spot_canceled(one, wallet.symbol(one), cancel_id) for one, cancel_id in found])


def open_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/openOrders."""
    wallet = Wallet.of(house, call, key, "spot")
    found = lists.open_orders(wallet, Form(call))
    return answer([texts.spot_row(one, wallet.symbol(one)) for one in found])


def all_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/allOrders."""
    wallet = Wallet.of(house, call, key, "spot")
    found = lists.all_orders(wallet, Form(call))
    return answer([texts.spot_row(one, wallet.symbol(one)) for one in found])


def my_trades(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/myTrades."""
    wallet = Wallet.of(house, call, key, "spot")
    found = lists.trades(wallet, Form(call))
    return answer([texts.spot_trade(one, wallet.symbol(one)) for one in found])
