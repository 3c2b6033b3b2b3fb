"""A life on USD-M through unmodified ccxt: set up, short, held through settlements, reduced, closed, read.

The market runs an hour a second, so that prices move and funding settles. Every figure of the wallet is
worked out in the test from what the trades and the public history say, to the last digit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import running_venue

SYMBOL = "BTC/USDT:USDT"
START = Decimal(50_000)
TAKER = Decimal("0.0005")
SPEED = 3_600.0
STEP = Decimal("1e-8")
ZERO = Decimal(0)


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    async with (
        running_venue(speed=SPEED, deposits=f"binance.usdm.USDT={START}") as venue,
        venue.trader("binanceusdm") as one,
    ):
        await one.load_markets()
        yield one


async def wallet(exchange: Any) -> Decimal:
    found = await exchange.fetch_balance()
    return Decimal(found["info"]["totalWalletBalance"])


async def trades_of(exchange: Any, order: dict[str, Any]) -> list[dict[str, Any]]:
    """An order's raw trades, each with the fee that its price and size demand."""
    rows = [one["info"] for one in await exchange.fetch_my_trades(SYMBOL, params={"orderId": order["id"]})]
    for row in rows:
        due = Decimal(row["price"]) * Decimal(row["qty"]) * TAKER
        assert Decimal(row["commission"]) == due.quantize(STEP, rounding=ROUND_DOWN)
        assert (row["maker"], row["commissionAsset"]) == (False, "USDT")
    return rows


def total(rows: list[dict[str, Any]], *names: str) -> Decimal:
    """Sum over rows of the product of fields."""
    found = ZERO
    for row in rows:
        product = Decimal(1)
        for name in names:
            product *= Decimal(row[name])
        found += product
    return found


async def take(exchange: Any, side: str, amount: float, **params: Any) -> dict[str, Any]:
    """An IOC order with a collar of 5 %: it fills in whatever state the market is."""
    book = await exchange.fetch_order_book(SYMBOL, 5)
    price = book["bids"][0][0] * 0.95 if side == "sell" else book["asks"][0][0] * 1.05
    order: dict[str, Any] = await exchange.create_order(
        SYMBOL, "limit", side, amount, price, {"timeInForce": "IOC", **params}
    )
    assert (order["status"], order["filled"]) == ("closed", amount)
    return order


async def settlements(exchange: Any, wanted: int) -> list[dict[str, Any]]:
    """The account's funding once it has been settled so many times."""
    for _ in range(400):
        rows = [one["info"] for one in await exchange.fetch_funding_history(SYMBOL)]
        if len(rows) >= wanted:
            return rows
        await asyncio.sleep(0.1)
    raise AssertionError("no settlement")


async def check_funding(exchange: Any, rows: list[dict[str, Any]], quantity: Decimal) -> None:
    """Each settlement has paid -quantity * mark * rate by the public history."""
    history = {
        one["timestamp"]: one["info"]
        for one in await exchange.fetch_funding_rate_history(SYMBOL, limit=1_000)
    }
    for row in rows:
        settled = history[int(row["time"])]
        amount = -quantity * Decimal(settled["markPrice"]) * Decimal(settled["fundingRate"])
        assert Decimal(row["income"]) == amount.quantize(STEP, rounding=ROUND_HALF_EVEN)


async def test_a_short_life(exchange: Any) -> None:
    assert await wallet(exchange) == START
    await set_up(exchange)

    opened = await take(exchange, "sell", 0.5, clientOrderId="fa-open")
    assert opened["clientOrderId"] == "fa-open"
    entered = await trades_of(exchange, opened)
    (position,) = await exchange.fetch_positions([SYMBOL])
    assert (position["side"], position["contracts"], position["marginMode"]) == ("short", 0.5, "cross")
    cost = total(entered, "price", "qty")
    assert Decimal(position["info"]["entryPrice"]).quantize(STEP) == (cost / Decimal("0.5")).quantize(STEP)

    await check_funding(exchange, await settlements(exchange, 1), Decimal("-0.5"))
    reduced = await take(exchange, "buy", 0.2, reduceOnly=True)
    left = await trades_of(exchange, reduced)
    closed = await exchange.create_order(SYMBOL, "market", "buy", 0.3, None, {"reduceOnly": True})
    assert closed["status"] == "closed"
    left += await trades_of(exchange, closed)
    funding = total(await settlements(exchange, 1), "income")

    realised = total(left, "realizedPnl")
    assert realised == cost - total(left, "price", "qty")
    fees = total(entered, "commission") + total(left, "commission")
    assert await exchange.fetch_positions([SYMBOL]) == []
    assert await wallet(exchange) == START + realised + funding - fees
    ledger = await exchange.fetch_ledger("USDT", limit=1_000)
    assert total([one["info"] for one in ledger], "income") == await wallet(exchange)


async def set_up(exchange: Any) -> None:
    """Settings are changed, refused where nothing changes, and read back."""
    with pytest.raises(ccxt.OperationRejected):
        await exchange.set_position_mode(hedged=False)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        await exchange.set_margin_mode("cross", SYMBOL)
    await exchange.set_leverage(5, SYMBOL)
    leverage = (await exchange.fetch_leverages([SYMBOL]))[SYMBOL]
    assert (leverage["longLeverage"], leverage["marginMode"]) == (5, "cross")
    assert (await exchange.fetch_margin_mode(SYMBOL))["marginMode"] == "cross"
    assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is False
    fee = await exchange.fetch_trading_fee(SYMBOL)
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)
    assert SYMBOL in await exchange.fetch_trading_fees()
    tiers = (await exchange.fetch_leverage_tiers([SYMBOL]))[SYMBOL]
    assert tiers[0]["maxLeverage"] == 125


async def test_orders_rest_and_are_found_and_canceled_one_by_one_or_together(exchange: Any) -> None:
    book = await exchange.fetch_order_book(SYMBOL, 5)
    price = book["bids"][0][0] * 0.88
    rests = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
    assert (rests["status"], rests["timeInForce"], rests["postOnly"]) == ("open", "PO", True)
    by_name = await exchange.fetch_order(None, SYMBOL, {"origClientOrderId": rests["clientOrderId"]})
    assert by_name["id"] == rests["id"]
    wanted = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
    many = await exchange.create_orders([wanted, wanted, wanted])
    ids = [one["id"] for one in many]
    assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL)] == [rests["id"], *ids]
    gone = await exchange.cancel_order(rests["id"], SYMBOL)
    assert gone["status"] == "canceled"
    assert [one["status"] for one in await exchange.cancel_orders(ids[:2], SYMBOL)] == ["canceled"] * 2
    switch = await exchange.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 0})
    assert switch == {"symbol": "BTCUSDT", "countdownTime": "0"}
    await exchange.cancel_all_orders(SYMBOL)
    assert await exchange.fetch_open_orders(SYMBOL) == []
    assert {one["status"] for one in await exchange.fetch_orders(SYMBOL)} == {"canceled"}
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(rests["id"], SYMBOL)


async def test_hedge_mode_through_the_unified_flag(exchange: Any) -> None:
    await exchange.set_position_mode(hedged=True)
    assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is True
    await take(exchange, "buy", 0.02, hedged=True)
    await take(exchange, "sell", 0.01, hedged=True)
    held = {one["side"]: one["contracts"] for one in await exchange.fetch_positions([SYMBOL])}
    assert held == {"long": 0.02, "short": 0.01}
    await take(exchange, "sell", 0.02, hedged=True, reduceOnly=True)
    await take(exchange, "buy", 0.01, hedged=True, reduceOnly=True)
    assert await exchange.fetch_positions([SYMBOL]) == []


async def test_every_other_unified_reading_call(exchange: Any) -> None:
    bought = await take(exchange, "buy", 0.01)
    for found in (
        await exchange.fetch_positions_risk([SYMBOL], {"useV2": True}),
        await exchange.fetch_account_positions([SYMBOL]),
    ):
        assert [(one["contracts"], one["side"]) for one in found] == [(0.01, "long")]
    old = await exchange.fetch_balance({"useV2": True})
    new = await exchange.fetch_balance()
    assert old["USDT"]["total"] == new["USDT"]["total"] < START
    assert (await exchange.fetch_position_adl_rank(SYMBOL))["rank"] >= 1
    assert await exchange.fetch_my_liquidations(SYMBOL) == []
    assert [one["id"] for one in await exchange.fetch_closed_orders(SYMBOL)] == [bought["id"]]
    assert (await exchange.fetch_open_orders(SYMBOL), await exchange.fetch_canceled_orders(SYMBOL)) == (
        [],
        [],
    )
    moved = await exchange.transfer("USDT", 10, "linear", "spot")
    assert moved["id"]
    (row,) = await exchange.fapiPrivateGetIncome({"incomeType": "TRANSFER", "limit": 1})
    assert row["income"] == "-10.00000000"
    limits = await exchange.fapiPrivateGetRateLimitOrder()
    assert [one["limit"] for one in limits] == [300, 1200]
