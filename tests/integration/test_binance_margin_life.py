"""Borrowed spot through unmodified ccxt: a loan, its sale, its interest, bought back, repaid, taken out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import running_venue

SYMBOL = "BTC/USDT"
CROSS = {"marginMode": "cross"}
FEE = Decimal("0.001")
STEP = Decimal("1e-8")
START = Decimal(50_000)
HOURLY = Decimal("0.00000114")


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    """An hour of market time passes in 2 s."""
    async with (
        running_venue(speed=1_800.0, deposits=f"binance.spot.USDT={START}") as venue,
        venue.trader("binance") as one,
    ):
        yield one


async def margin(exchange: Any, asset: str) -> dict[str, Decimal]:
    info = (await exchange.fetch_balance({"type": "margin"}))["info"]
    row = next(one for one in info["userAssets"] if one["asset"] == asset)
    return {name: Decimal(value) for name, value in row.items() if name != "asset"}


def sums(order: dict[str, Any], fee_asset: str) -> tuple[Decimal, Decimal]:
    """(quote, fees) of an order's fills, each fee worked out from its own price and size."""
    quote = fees = Decimal(0)
    for fill in order["info"]["fills"]:
        price, size = Decimal(fill["price"]), Decimal(fill["qty"])
        fee = (size if fee_asset == "BTC" else price * size) * FEE
        assert (fill["commissionAsset"], Decimal(fill["commission"])) == (
            fee_asset,
            fee.quantize(STEP, rounding=ROUND_DOWN),
        )
        quote, fees = quote + price * size, fees + Decimal(fill["commission"])
    return quote, fees


async def test_a_short_sale_from_the_loan_to_nothing_owed(exchange: Any) -> None:
    await exchange.transfer("USDT", 30_000, "spot", "margin")
    loan = await exchange.borrow_cross_margin("BTC", 0.1)
    assert loan["id"] is not None
    assert (await margin(exchange, "BTC"))["borrowed"] == Decimal("0.1")
    balance = await exchange.fetch_balance({"type": "margin"})
    assert (balance["BTC"]["debt"], balance["BTC"]["total"]) == (0.1, 0.1)

    sold = await exchange.create_order(SYMBOL, "market", "sell", 0.1, None, CROSS)
    quote, fees = sums(sold, "USDT")
    usdt = START - 20_000 + quote - fees
    assert (await margin(exchange, "USDT"))["free"] == usdt
    assert (await margin(exchange, "BTC"))["free"] == 0

    hourly = (Decimal("0.1") * HOURLY).quantize(STEP, rounding=ROUND_UP)
    await asyncio.sleep(2.2)  # more than an hour of the market
    rows = await exchange.fetch_borrow_interest("BTC")
    assert {(row["interest"], row["amountBorrowed"], row["marginMode"]) for row in rows} == {
        (float(hourly), 0.1, "cross")
    }
    rate = await exchange.fetch_cross_borrow_rate("BTC")
    assert (rate["rate"], rate["period"]) == (float(HOURLY * 24), 86_400_000)

    # Bought with what the fee takes on top; more interest may come in between, so ask what is owed.
    bought = await exchange.create_order(SYMBOL, "market", "buy", 0.1002, None, CROSS)
    paid, fee = sums(bought, "BTC")
    usdt -= paid
    owed = await margin(exchange, "BTC")
    assert owed["borrowed"] == Decimal("0.1")
    assert owed["interest"] % hourly == 0
    for _ in range(5):
        owed = await margin(exchange, "BTC")
        if not owed["borrowed"] + owed["interest"]:
            break
        await exchange.repay_cross_margin("BTC", float(owed["borrowed"] + owed["interest"]))
    left = await margin(exchange, "BTC")
    assert left["borrowed"] == left["interest"] == 0
    repaid = (await exchange.sapi_get_margin_borrow_repay({"type": "REPAY", "asset": "BTC"}))["rows"]
    returned = sum(Decimal(row["amount"]) for row in repaid)
    charged = sum(Decimal(row["interest"]) for row in repaid)
    assert returned - charged == Decimal("0.1")
    assert charged % hourly == 0
    # 0.1002 bought, less the fee, less principal and interest.
    assert left["free"] == Decimal("0.1002") - fee - returned
    assert (await margin(exchange, "USDT"))["free"] == usdt

    await exchange.transfer("USDT", f"{usdt:f}", "margin", "spot")
    info = (await exchange.fetch_balance())["info"]
    spot = next(Decimal(row["free"]) for row in info["balances"] if row["asset"] == "USDT")
    assert spot == 20_000 + usdt


async def test_margin_orders_are_found_listed_and_canceled(exchange: Any) -> None:
    await exchange.transfer("USDT", 10_000, "spot", "margin")
    bid = (await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]
    params = {**CROSS, "clientOrderId": "fa-margin"}
    made = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, bid * 0.8, params)
    assert (made["status"], made["clientOrderId"]) == ("open", "fa-margin")
    found = await exchange.fetch_order("", SYMBOL, params)
    assert found["id"] == made["id"]
    assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL, None, None, CROSS)] == [made["id"]]
    assert await exchange.fetch_open_orders(SYMBOL) == []
    gone = await exchange.cancel_order("", SYMBOL, params)
    assert (gone["id"], gone["status"]) == (made["id"], "canceled")
    assert [one["status"] for one in await exchange.fetch_orders(SYMBOL, None, None, CROSS)] == ["canceled"]
    # What the wallet lacks is borrowed by the order, and repaid by another.
    params = {**CROSS, "sideEffectType": "MARGIN_BUY"}
    sold = await exchange.create_order(SYMBOL, "market", "sell", 0.02, None, params)
    assert sold["info"]["marginBuyBorrowAsset"] == "BTC"
    assert (await margin(exchange, "BTC"))["borrowed"] == Decimal("0.02")
    params = {**CROSS, "sideEffectType": "AUTO_REPAY"}
    await exchange.create_order(SYMBOL, "market", "buy", 0.03, None, params)
    assert (await margin(exchange, "BTC"))["borrowed"] == 0
    trades = await exchange.fetch_my_trades(SYMBOL, None, None, CROSS)
    assert {one["order"] for one in trades} >= {sold["id"]}
    most = await exchange.sapi_get_margin_maxborrowable({"asset": "BTC"})
    assert Decimal(most["amount"]) > 0
    with pytest.raises(ccxt.BadRequest, match="exceed maximum borrow amount"):
        await exchange.borrow_cross_margin("BTC", 1)
    with pytest.raises(ccxt.BadRequest, match="Repay amount exceeds borrow amount"):
        await exchange.repay_cross_margin("ETH", 1)
