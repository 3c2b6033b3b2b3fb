"""A whole life on Bitget's unified account through unmodified ccxt, its balances by hand to the last digit.

Prices are what the venue says that each fill had; everything that follows from them is computed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from services.venue.market import MS_PER_HOUR
from tests.helpers.venue import Venue, running_venue

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
SETTLES_MS = 1_760_054_400_000  # 2025-10-10 00:00 UTC
DIGITS = Decimal("1e-8")
MARGIN = {"marginMode": "cross"}
TAKER = {"spot": Decimal("0.001"), "perp": Decimal("0.0006")}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A few seconds before a settlement."""
    async with running_venue(speed=1.0, start_ms=SETTLES_MS - 6_000) as running:
        yield running


def fee_of(amount: Decimal, rate: Decimal) -> Decimal:
    """As the venue books it: cut to 8 decimals."""
    return (amount * rate).quantize(DIGITS, rounding="ROUND_DOWN")


class Books:
    """The hand-kept books: what each fill must have done."""

    def __init__(self, usdt: str) -> None:
        self.held = {"USDT": Decimal(usdt), "BTC": Decimal(0)}

    def spot(self, fill: dict[str, Any]) -> None:
        """A spot trade: a buy pays its fee in base, a sell in quote."""
        price, quantity = Decimal(fill["execPrice"]), Decimal(fill["execQty"])
        if fill["side"] == "buy":
            self.held["USDT"] -= price * quantity
            self.held["BTC"] += quantity - fee_of(quantity, TAKER["spot"])
        else:
            self.held["USDT"] += price * quantity - fee_of(price * quantity, TAKER["spot"])
            self.held["BTC"] -= quantity

    def perp(self, fill: dict[str, Any], entry: Decimal | None = None) -> None:
        """A contract trade: its fee, and the profit of a short that was sold at `entry`."""
        price, quantity = Decimal(fill["execPrice"]), Decimal(fill["execQty"])
        self.held["USDT"] -= fee_of(price * quantity, TAKER["perp"])
        if entry is not None:
            self.held["USDT"] += (entry - price) * quantity


async def raw_fills(exchange: Any, order_id: str) -> list[dict[str, Any]]:
    """An order's fills as the venue tells them, oldest first."""
    answer = await exchange.private_uta_get_v3_trade_fills({"orderId": order_id})
    found: list[dict[str, Any]] = answer["data"]["list"][::-1]
    return found


async def balances(exchange: Any) -> dict[str, Decimal]:
    """Balances, exactly: ccxt's floats would lose digits."""
    answer = await exchange.private_uta_get_v3_account_assets()
    return {row["coin"]: Decimal(row["balance"]) for row in answer["data"]["assets"]}


async def ioc(
    exchange: Any, symbol: str, side: str, amount: float, params: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """An IOC order with a collar of half a percent; its fills."""
    ticker = await exchange.fetch_ticker(symbol)
    price = ticker["ask"] * 1.005 if side == "buy" else ticker["bid"] * 0.995
    order = await exchange.create_order(
        symbol, "limit", side, amount, price, {"timeInForce": "IOC", **(params or {})}
    )
    seen = await exchange.fetch_order(order["id"], symbol)
    assert (seen["status"], seen["filled"]) == ("closed", amount)
    return await raw_fills(exchange, order["id"])


async def test_a_pair_is_opened_funded_and_closed_and_every_digit_is_accounted_for(venue: Venue) -> None:
    async with venue.trader("bitget") as exchange:
        await exchange.load_markets()
        books = Books("100000")

        # Set-up, and how it is verified.
        assert (await exchange.set_leverage(3, PERP))["data"] == "success"
        assert (await exchange.set_position_mode(False, PERP))["data"] == "success"
        settings = (await exchange.private_uta_get_v3_account_settings())["data"]
        chosen = {row["symbol"]: row for row in settings["symbolConfigList"]}["BTCUSDT"]
        assert (settings["holdMode"], chosen["leverage"], chosen["marginMode"]) == (
            "one_way_mode",
            "3",
            "crossed",
        )

        # Long spot, short perpetual.
        bought = await ioc(exchange, SPOT, "buy", 0.3)
        sold = await ioc(exchange, PERP, "sell", 0.2997)
        for fill in bought:
            books.spot(fill)
        for fill in sold:
            books.perp(fill)
        assert await balances(exchange) == books.held
        (position,) = await exchange.fetch_positions([PERP])
        assert (position["side"], position["contracts"], position["leverage"]) == ("short", 0.2997, 3.0)
        assert (position["hedged"], position["marginMode"]) == (False, "cross")
        entry = Decimal(position["info"]["avgPrice"])
        cost = sum(Decimal(fill["execPrice"]) * Decimal(fill["execQty"]) for fill in sold)
        assert abs(entry - cost / Decimal("0.2997")) < Decimal("1e-11")

        # The settlement: once, to balance, position and record alike.
        record = await settled(exchange)
        (due,) = venue.server.market.settled("bitget", "BTCUSDT", since_ms=SETTLES_MS, until_ms=SETTLES_MS)
        mark = Decimal(f"{due.mark:.8f}")
        amount = (Decimal("0.2997") * mark * Decimal(f"{due.rate:.8f}")).quantize(
            DIGITS, rounding="ROUND_HALF_EVEN"
        )
        assert Decimal(record["info"]["amount"]) == amount
        assert (record["timestamp"], record["symbol"], record["code"]) == (SETTLES_MS, PERP, "USDT")
        books.held["USDT"] += amount
        assert await balances(exchange) == books.held
        (position,) = await exchange.fetch_positions([PERP])
        assert Decimal(position["info"]["totalFunding"]) == amount

        # Close both.
        back = await ioc(exchange, PERP, "buy", 0.2997, {"reduceOnly": True})
        for fill in back:
            assert fill["tradeScope"] == "taker"
            books.perp(fill)
        books.held["USDT"] += cost - sum(Decimal(f["execPrice"]) * Decimal(f["execQty"]) for f in back)
        for fill in await ioc(exchange, SPOT, "sell", 0.2997):
            books.spot(fill)
        assert 0 <= books.held["BTC"] < Decimal("1e-6")  # each fill's fee is cut to 8 decimals
        assert await balances(exchange) == {coin: held for coin, held in books.held.items() if held}
        assert await exchange.fetch_positions([PERP]) == []

        # What is left on record.
        (past,) = await exchange.fetch_positions_history([PERP])
        assert Decimal(past["info"]["totalFunding"]) == amount
        assert past["info"]["openTotalPos"] == past["info"]["closeTotalPos"] == "0.2997"
        await check_records(exchange, books.held["USDT"])


async def settled(exchange: Any) -> dict[str, Any]:
    """The record of the settlement, as soon as it is there."""
    for _ in range(100):
        rows: list[dict[str, Any]] = await exchange.fetch_funding_history(PERP)
        if rows:
            assert len(rows) == 1
            return rows[0]
        await asyncio.sleep(0.2)
    raise AssertionError("nothing was settled")


async def check_records(exchange: Any, usdt: Decimal) -> None:
    """All records of USDT, the deposit too, add up to the balance."""
    total = Decimal(0)
    for category in ("SPOT", "MARGIN", "USDT-FUTURES", "OTHER"):
        answer = await exchange.private_uta_get_v3_account_financial_records(
            {"category": category, "coin": "USDT"}
        )
        for row in answer["data"]["list"] or []:
            total += Decimal(row["amount"]) + Decimal(row["fee"])
    assert total == usdt
    ledger = await exchange.fetch_ledger("USDT")
    assert {entry["type"] for entry in ledger} == {"trade", "fee"}
    assert all(entry["currency"] == "USDT" for entry in ledger)


async def test_a_coin_is_borrowed_sold_short_owed_with_interest_and_bought_back(venue: Venue) -> None:
    async with venue.trader("bitget") as exchange:
        await exchange.load_markets()
        books = Books("100000")
        for fill in await ioc(exchange, SPOT, "sell", 0.2, MARGIN):
            assert fill["category"] == "MARGIN"
            books.spot(fill)
        assert await balances(exchange) == books.held
        assert books.held["BTC"] == Decimal("-0.2")
        balance = await exchange.fetch_balance()
        assert (balance["BTC"]["debt"], balance["BTC"]["free"], balance["BTC"]["total"]) == (0.2, 0.0, -0.2)

        house = venue.server.houses["bitget"]
        rate = house.borrow_rate_hourly("BTC")
        interest = (Decimal("0.2") * rate).quantize(DIGITS, rounding="ROUND_UP")
        assert SETTLES_MS % MS_PER_HOUR == 0  # the hour ends with the settlement
        await asyncio.sleep(max(0, SETTLES_MS + 1_000 - venue.market_ms) / 1_000)
        books.held["BTC"] -= interest
        assert await balances(exchange) == books.held
        rows = await exchange.fetch_ledger("BTC", params={"type": "spot", "marginMode": "cross"})
        charged = [row["info"] for row in rows if row["info"]["type"] == "INTEREST_SETTLEMENT_OUT"]
        assert [Decimal(row["amount"]) for row in charged] == [-interest]

        for fill in await ioc(exchange, SPOT, "buy", 0.20021, MARGIN):
            books.spot(fill)
        assert await balances(exchange) == books.held
        assert books.held["BTC"] > 0
        assert (await exchange.fetch_balance())["BTC"]["debt"] == 0.0
        repayable = await exchange.private_uta_get_v3_account_repayable_coins()
        assert repayable["data"]["repayableCoinList"] == []
