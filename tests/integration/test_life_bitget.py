"""A whole life on Bitget's unified account through unmodified ccxt and ccxt.pro.

Deposit, set-up, both legs opened at once, filled in parts, a settlement, a rebalance, the close; then the
other way round with borrowed coins; then everything read back. Time stands still unless the test moves it,
so the prices are known before. `TABLE` was worked out by hand from the published rules (fee rates, which
asset pays them, -quantity * mark * rate, share of the cost), not by the code that is tested; after each
chapter both wallets must hold exactly what the table adds up to. A coin sold on loan stands below zero, as on
Bitget.

Prices that are met: spot 121563.48 and perp 121520.3 and .2 at 23:00, 121444.59 and 121406.5 at 02:00,
121353.92 and 121318.4 at 03:00, 120901.58 and 120878.6 at 08:00. Settlements: mark 121582.7910045 at 00:00
and 120878.7 at 08:00, both at 0.0001.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.helpers.still import Time, decimals, still_venue

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
MARGIN = {"marginMode": "cross"}
IOC = {"timeInForce": "IOC"}
STARTS_MS = 1_760_050_800_000  # 2025-10-09 23:00 UTC
HOUR_MS = 500  # of the venue's wall time
SPEED = 7_200.0

# (chapter, what, wallet, what it adds)
TABLE: tuple[tuple[str, str, str, str], ...] = (
    ("deposit", "from outside", "unified", "USDT 60000"),
    ("set up", "put aside", "unified", "USDT -1000"),
    ("set up", "put aside", "funding", "USDT 1000"),
    ("open", "0.2 at 121563.48", "unified", "BTC 0.2, USDT -24312.696"),
    ("open", "its fee", "unified", "BTC -0.0002"),
    # 0.1998 sold short: 0.1751 at 121520.3 = 21278.20453, 0.0247 at 121520.2 = 3001.54894; 0.06 % each, cut.
    ("open", "fee, 12.766922718 cut", "unified", "USDT -12.76692271"),
    ("open", "fee, 1.800929364 cut", "unified", "USDT -1.80092936"),
    # 0.1 more wanted down to .2: 0.058 is left there (7048.1716), the rest is canceled. The short is 0.2578.
    ("in part", "fee", "unified", "USDT -4.22890296"),
    # 0.2578 * 121582.7910045 * 0.0001 = 3.134404352..., received by the short.
    ("settlement", "00:00", "unified", "USDT 3.13440435"),
    # A post-only buy at 121500 has waited for the market until 01:30.
    ("maker", "0.058 at 121500", "unified", "BTC 0.058, USDT -7047"),
    ("maker", "its fee", "unified", "BTC -0.000058"),
    ("rebalance", "taken back", "funding", "USDT -400"),
    ("rebalance", "taken back", "unified", "USDT 400"),
    ("rebalance", "0.01 sold at 121444.59", "unified", "BTC -0.01, USDT 1214.4459"),
    ("rebalance", "its fee", "unified", "USDT -1.2144459"),
    # 0.01 of 0.2578 bought back at 121406.5 = 1214.065: their share of the cost 31327.92507 is 1215.20267921.
    ("rebalance", "profit", "unified", "USDT 1.13767921"),
    ("rebalance", "fee", "unified", "USDT -0.728439"),
    ("close", "0.247742 sold at 121353.92", "unified", "BTC -0.247742, USDT 30064.46284864"),
    ("close", "its fee, 30.06446284864 cut", "unified", "USDT -30.06446284"),
    # 0.2478 bought back at 121318.4 = 30062.69952, of a cost of 30112.72239079 that was left.
    ("close", "profit", "unified", "USDT 50.02287079"),
    ("close", "fee, 18.037619712 cut", "unified", "USDT -18.03761971"),
    ("short", "0.1 sold at 121353.92", "unified", "BTC -0.1, USDT 12135.392"),
    ("short", "its fee", "unified", "USDT -12.135392"),
    # 0.1 bought at 121318.4 = 12131.84.
    ("short", "fee of the long", "unified", "USDT -7.279104"),
    # Five hours at 0.1 * 0.00000114, each rounded up to 0.00000012; 0.1 * 120878.7 * 0.0001 paid by the long.
    ("paid", "interest", "unified", "BTC -0.0000006"),
    ("paid", "08:00", "unified", "USDT -1.208787"),
    # 0.1 sold at 120878.6 = 12087.86.
    ("back", "loss", "unified", "USDT -43.98"),
    ("back", "fee", "unified", "USDT -7.252716"),
    ("back", "0.100101 at 120901.58", "unified", "BTC 0.100101, USDT -12102.36905958"),
    ("back", "its fee, 0.000100101 cut", "unified", "BTC -0.0001001"),
    ("home", "the rest", "funding", "USDT -600"),
    ("home", "the rest", "unified", "USDT 600"),
)


def expected(chapter: str) -> dict[tuple[str, str], Decimal]:
    """What each wallet holds of each coin after a chapter, by the table; zeros left out."""
    held: dict[tuple[str, str], Decimal] = {}
    last = max(i for i, row in enumerate(TABLE) if row[0] == chapter)
    for _, _, wallet, amounts in TABLE[: last + 1]:
        for asset, amount in decimals(amounts).items():
            held[wallet, asset] = held.get((wallet, asset), Decimal(0)) + amount
    return {place: amount for place, amount in held.items() if amount}


class Life:
    """One user's account."""

    def __init__(self, exchange: Any, time: Time) -> None:
        self.exchange = exchange
        self.time = time

    async def at(self, chapter: str) -> None:
        """Both wallets agree with the table to the last digit."""
        unified = (await self.exchange.private_uta_get_v3_account_assets())["data"]["assets"]
        funding = (await self.exchange.private_uta_get_v3_account_funding_assets())["data"]
        held = {("unified", row["coin"]): Decimal(row["balance"]) for row in unified}
        held |= {("funding", row["coin"]): Decimal(row["balance"]) for row in funding}
        assert {place: amount for place, amount in held.items() if amount} == expected(chapter), chapter

    async def ioc(self, symbol: str, side: str, quantity: float, price: float, **params: Any) -> str:
        """An IOC order; its id, since Bitget's answer tells nothing else."""
        order = await self.exchange.create_order(symbol, "limit", side, quantity, price, {**IOC, **params})
        return str(order["id"])

    async def outcome(self, order_id: str, symbol: str) -> tuple[str, float]:
        order = await self.exchange.fetch_order(order_id, symbol)
        return order["status"], order["filled"]


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    async with (
        still_venue(start_ms=STARTS_MS, speed=SPEED, deposits="bitget.unified.USDT=60000") as (venue, time),
        venue.trader("bitget") as exchange,
        venue.trader("bitget", pro=True) as pro,
    ):
        await exchange.load_markets()
        async with heard(pro) as told:
            await asyncio.sleep(2)  # ccxt.pro tells nobody when it is subscribed
            lived = Life(exchange, time)
            yield lived
            asked = await fills(lived)
            async with asyncio.timeout(10):
                while {one["id"] for one in told} != {row["execId"] for row in asked}:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert len(told) == len(asked)


@contextlib.asynccontextmanager
async def heard(exchange: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """The trades of every category that ccxt.pro tells meanwhile."""
    trades: list[dict[str, Any]] = []

    async def listen() -> None:
        while True:
            trades.extend(await exchange.watch_my_trades())

    task = asyncio.create_task(listen())
    try:
        yield trades
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fills(life: Life) -> list[dict[str, Any]]:
    """All fills of the account, as the venue tells them."""
    rows: list[dict[str, Any]] = (await life.exchange.private_uta_get_v3_trade_fills({"limit": "100"}))[
        "data"
    ]["list"]
    return rows


async def test_a_whole_life_agrees_with_the_table_to_the_last_digit(life: Life) -> None:
    await life.at("deposit")
    await set_up(life)
    await carry(life)
    await reverse(life)
    await move(life, 600, "spot", "uta")
    await life.at("home")
    await read_back(life)


async def move(life: Life, amount: float, source: str, target: str) -> None:
    """Between the unified account and the funding wallet, which Bitget calls `spot`."""
    moved = await life.exchange.private_uta_post_v3_account_transfer(
        {"fromType": source, "toType": target, "coin": "USDT", "amount": str(amount)}
    )
    assert moved["code"] == "00000"


async def set_up(life: Life) -> None:
    await life.exchange.set_leverage(3, PERP)
    await life.exchange.set_position_mode(False, PERP)
    settings = (await life.exchange.private_uta_get_v3_account_settings())["data"]
    chosen = {row["symbol"]: row for row in settings["symbolConfigList"]}["BTCUSDT"]
    told = (settings["holdMode"], chosen["leverage"], chosen["marginMode"])
    assert told == ("one_way_mode", "3", "crossed")
    await move(life, 1_000, "uta", "spot")
    await life.at("set up")


async def carry(life: Life) -> None:
    """Long spot, short perpetual, from 23:00 to 03:00."""
    bought, sold = await asyncio.gather(
        life.ioc(SPOT, "buy", 0.2, 121_600, clientOrderId="faspot"),
        life.ioc(PERP, "sell", 0.1998, 121_500, clientOrderId="faperp"),
    )
    assert await life.outcome(bought, SPOT) == ("closed", 0.2)
    assert await life.outcome(sold, PERP) == ("closed", 0.1998)
    await life.at("open")
    part = await life.ioc(PERP, "sell", 0.1, 121_520.2)
    assert await life.outcome(part, PERP) == ("canceled", 0.058)
    await life.at("in part")

    maker = {"postOnly": True}
    waits = str((await life.exchange.create_order(SPOT, "limit", "buy", 0.058, 121_500, maker))["id"])
    life.time.pass_(HOUR_MS)
    await life.at("settlement")
    assert await life.outcome(waits, SPOT) == ("open", 0)
    life.time.pass_(2 * HOUR_MS)
    assert await life.outcome(waits, SPOT) == ("closed", 0.058)
    (position,) = await life.exchange.fetch_positions([PERP])
    assert (position["side"], position["contracts"], position["leverage"]) == ("short", 0.2578, 3)
    await life.at("maker")

    await move(life, 400, "spot", "uta")
    await asyncio.gather(
        life.ioc(SPOT, "sell", 0.01, 121_400), life.ioc(PERP, "buy", 0.01, 121_450, reduceOnly=True)
    )
    await life.at("rebalance")

    life.time.pass_(HOUR_MS)
    # Asked for more than is held: a reduce-only order never goes beyond it.
    await asyncio.gather(
        life.ioc(SPOT, "sell", 0.247742, 121_300), life.ioc(PERP, "buy", 0.3, 121_400, reduceOnly=True)
    )
    assert await life.exchange.fetch_positions([PERP]) == []
    await life.at("close")


async def reverse(life: Life) -> None:
    """Borrowed coins sold short, long perpetual, from 03:00 to 08:00. Borrowing is part of a margin order."""
    await asyncio.gather(life.ioc(SPOT, "sell", 0.1, 121_300, **MARGIN), life.ioc(PERP, "buy", 0.1, 121_400))
    balance = await life.exchange.fetch_balance()
    assert (balance["BTC"]["debt"], balance["BTC"]["total"]) == (0.1, -0.1)
    await life.at("short")
    life.time.pass_(5 * HOUR_MS)
    await life.at("paid")
    await asyncio.gather(
        life.ioc(PERP, "sell", 0.1, 120_800, reduceOnly=True),
        life.ioc(SPOT, "buy", 0.100101, 121_000, **MARGIN),
    )
    assert (await life.exchange.fetch_balance())["BTC"]["debt"] == 0
    owed = (await life.exchange.private_uta_get_v3_account_repayable_coins())["data"]
    assert owed["repayableCoinList"] == []
    await life.at("back")


async def read_back(life: Life) -> None:
    """Records, settlements, interest and fees say what the table says."""
    funding = [one["info"] for one in await life.exchange.fetch_funding_history(PERP)]
    assert [Decimal(one["amount"]) for one in funding] == [Decimal("3.13440435"), Decimal("-1.208787")]
    sums: dict[str, Decimal] = {}
    for category in ("SPOT", "MARGIN", "USDT-FUTURES", "OTHER"):
        answer = await life.exchange.private_uta_get_v3_account_financial_records(
            {"category": category, "limit": "100"}
        )
        for row in answer["data"]["list"]:
            change = Decimal(row["amount"]) + Decimal(row["fee"])
            sums[row["coin"]] = sums.get(row["coin"], Decimal(0)) + change
    assert sums == {asset: amount for (_, asset), amount in expected("home").items()}
    ledger = await life.exchange.fetch_ledger("BTC", params={"type": "spot", "marginMode": "cross"})
    charged = [one["info"]["amount"] for one in ledger if one["info"]["type"].startswith("INTEREST")]
    assert [Decimal(amount) for amount in charged] == [Decimal("-0.00000012")] * 5
    rows = await fills(life)
    dollars = sum(Decimal(fee["fee"]) for row in rows for fee in row["feeDetail"] if fee["feeCoin"] == "USDT")
    # Of contracts 52.09463374, of spot sales 43.41430074.
    assert abs(dollars) == Decimal("95.50893448")
    assert [row["tradeScope"] for row in rows].count("maker") == 1
