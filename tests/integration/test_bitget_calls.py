"""Every private call of ccxt's that the port makes on Bitget's unified account, unmodified."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.helpers.venue import running_venue

SPOT, PERP, ETH = "BTC/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT"
MARGIN = {"marginMode": "cross"}


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    async with running_venue(speed=1.0) as running, running.trader("bitget") as found:
        await found.load_markets()
        yield found


async def below(exchange: Any, symbol: str) -> float:
    """A price at which a buy rests."""
    ticker = await exchange.fetch_ticker(symbol)
    price: float = float(exchange.price_to_precision(symbol, ticker["bid"] * 0.98))
    return price


async def test_orders_rest_are_found_in_every_way_and_canceled(exchange: Any) -> None:
    price = await below(exchange, PERP)
    placed = await exchange.create_order(PERP, "limit", "buy", 0.01, price, {"clientOrderId": "mine"})
    assert (placed["clientOrderId"], placed["status"]) == ("mine", None)
    for seen in (
        await exchange.fetch_order(placed["id"], PERP),
        await exchange.fetch_order(None, PERP, {"clientOrderId": "mine"}),
        *await exchange.fetch_open_orders(PERP),
        *await exchange.fetch_open_orders(),
    ):
        assert (seen["id"], seen["status"], seen["price"], seen["amount"]) == (
            placed["id"],
            "open",
            price,
            0.01,
        )
        assert (seen["symbol"], seen["side"], seen["timeInForce"], seen["reduceOnly"]) == (
            PERP,
            "buy",
            "GTC",
            False,
        )
    canceled = await exchange.cancel_order(None, PERP, {"clientOrderId": "mine"})
    assert canceled["id"] == placed["id"]
    (past,) = await exchange.fetch_canceled_and_closed_orders(PERP)
    assert (past["id"], past["status"], past["filled"]) == (placed["id"], "canceled", 0.0)


async def test_a_post_only_order_that_would_take_comes_back_canceled(exchange: Any) -> None:
    ask = (await exchange.fetch_ticker(PERP))["ask"]
    order = await exchange.create_order(PERP, "limit", "buy", 0.01, ask * 1.001, {"postOnly": True})
    seen = await exchange.fetch_order(order["id"], PERP)
    assert (seen["status"], seen["postOnly"], seen["filled"]) == ("canceled", True, 0.0)


async def test_several_orders_are_placed_and_canceled_at_once(exchange: Any) -> None:
    price = await below(exchange, PERP)
    one = {"symbol": PERP, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
    placed = await exchange.create_orders([one, {**one, "amount": 0.02}])
    ids = [order["id"] for order in placed]
    assert {order["amount"] for order in await exchange.fetch_open_orders(PERP)} == {0.01, 0.02}
    assert {order["id"] for order in await exchange.cancel_orders(ids[:1], PERP)} == {ids[0]}
    assert {order["id"] for order in await exchange.cancel_all_orders(PERP)} == {ids[1]}
    assert await exchange.fetch_open_orders(PERP) == []


async def test_fills_carry_fees_and_the_venue_narrows_them_to_one_market(exchange: Any) -> None:
    await exchange.create_order(
        SPOT, "market", "buy", 1000, None, {"createMarketBuyOrderRequiresPrice": False}
    )
    await exchange.create_order(PERP, "market", "sell", 0.01)
    narrow = {"category": "USDT-FUTURES", "symbol": "BTCUSDT"}
    (fill,) = await exchange.fetch_my_trades(PERP, params=narrow)
    assert (fill["symbol"], fill["side"], fill["takerOrMaker"], fill["amount"]) == (
        PERP,
        "sell",
        "taker",
        0.01,
    )
    assert fill["fee"]["currency"] == "USDT"
    detail = fill["info"]["feeDetail"][0]
    assert Decimal(detail["fee"]) > 0  # paid: ccxt turns the sign
    assert Decimal(str(fill["fee"]["cost"])) == -Decimal(detail["fee"])
    # ccxt asks for all markets and names each fill by the one it was asked for.
    assert {trade["symbol"] for trade in await exchange.fetch_my_trades(PERP)} == {PERP}
    assert len(await exchange.fetch_my_trades(PERP)) >= 2


async def test_leverage_hold_mode_and_positions(exchange: Any) -> None:
    await exchange.set_leverage(5, PERP)
    await exchange.set_position_mode(True)
    await exchange.create_order(PERP, "market", "buy", 0.02, None, {"hedged": True})
    await exchange.create_order(PERP, "market", "sell", 0.01, None, {"hedged": True})
    rows = {row["side"]: row for row in await exchange.fetch_positions()}
    assert {side: row["contracts"] for side, row in rows.items()} == {"long": 0.02, "short": 0.01}
    assert rows["long"]["hedged"] is True
    assert rows["long"]["leverage"] == 5.0
    await exchange.create_order(PERP, "market", "sell", 0.02, None, {"hedged": True, "reduceOnly": True})
    (left,) = await exchange.fetch_positions([PERP])
    assert (left["side"], left["contracts"]) == ("short", 0.01)
    assert (await exchange.fetch_position(PERP))["contracts"] == 0.01
    await exchange.close_position(PERP, "short")
    assert await exchange.fetch_positions() == []
    await exchange.set_position_mode(False)


async def test_balances_transfers_and_fees(exchange: Any) -> None:
    moved = await exchange.transfer("USDT", 25.5, "uta", "funding")
    assert moved["id"] is not None
    assert (await exchange.fetch_balance())["USDT"]["total"] == 99_974.5
    assert (await exchange.fetch_balance({"type": "funding"}))["USDT"]["free"] == 25.5
    for symbol, params, rate in ((SPOT, {}, 0.001), (SPOT, MARGIN, 0.001), (PERP, {}, 0.0006)):
        assert (await exchange.fetch_trading_fee(symbol, params))["taker"] == rate
    fees = await exchange.fetch_trading_fees()
    assert fees[ETH]["maker"] == 0.0002
    ledger = await exchange.fetch_ledger("USDT", params={"type": "funding"})
    assert [(entry["amount"], entry["direction"]) for entry in ledger] == [(25.5, "in")]


async def test_the_key_tells_what_it_may_and_the_account_what_it_is(exchange: Any) -> None:
    info = (await exchange.private_uta_get_v3_account_info())["data"]
    assert "withdraw" not in info["permissions"]
    settings = (await exchange.private_uta_get_v3_account_settings())["data"]
    assert (settings["accountMode"], settings["holdMode"]) == ("unified", "one_way_mode")
    room = (await exchange.private_uta_get_v3_account_max_transferable({"coin": "USDT"}))["data"]
    assert room["maxTransfer"] == "100000"
    loans = (await exchange.public_uta_get_v3_market_margin_loans({"coin": "BTC"}))["data"]
    assert float(loans["annualInterest"]) == pytest.approx(float(loans["dailyInterest"]) * 365, rel=1e-3)
    done = await exchange.private_uta_post_v3_trade_countdown_cancel_all({"countdown": "30"})
    assert done["data"] == "success"


async def test_a_margin_order_borrows_and_repay_pays_back(exchange: Any) -> None:
    await exchange.create_order(SPOT, "market", "sell", 0.1, None, MARGIN)
    assert (await exchange.fetch_balance())["BTC"]["debt"] == 0.1
    asked = {"repayableCoinList": ["BTC"], "paymentCoinList": ["USDT"]}
    paid = await exchange.private_uta_post_v3_account_repay(asked)
    assert paid["data"] == {"result": "YES", "repayAmount": "0.1"}
    assert (await exchange.fetch_balance())["BTC"]["debt"] == 0.0
