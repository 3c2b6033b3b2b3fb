"""A whole life on Binance, spot, margin and USD-M together, through unmodified ccxt and ccxt.pro.

Deposit, set-up, both legs opened at once, filled in parts, a settlement, a rebalance, the close; then the
other way round with borrowed coins; then everything read back. Time stands still unless the test moves it,
so the prices are known before. `TABLE` was worked out by hand from the published rules (fee rates, which
asset pays them, -quantity * mark * rate, share of the cost), not by the code that is tested; after each
chapter every wallet must hold exactly what the table adds up to.

Prices that are met: spot 121581.88-90 and perp 121520.34 at 23:00, 121552.35 and 121494.73 at 01:00,
121368.28 and 121318.38 at 03:00, 120909.35 and 120878.60 at 08:00. Marks and rates of the settlements, as
recorded: 121582.7910045 and 0.00000785 at 00:00, 120878.7 and 0.00003879 at 08:00.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from tests.helpers.still import WINDOW, Time, decimals, still_venue

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
CROSS = {"marginMode": "cross"}
IOC = {"timeInForce": "IOC"}
STARTS_MS = 1_760_050_800_000  # 2025-10-09 23:00 UTC
HOUR_MS = 500  # of the venue's wall time
SPEED = 7_200.0

# (chapter, what, wallet, what it adds)
TABLE: tuple[tuple[str, str, str, str], ...] = (
    ("deposit", "from outside", "spot", "USDT 60000"),
    ("set up", "moved to the futures", "spot", "USDT -15000"),
    ("set up", "moved to the futures", "usdm", "USDT 15000"),
    # 0.19 bought: 0.1877 at .88 and 0.0023 at .89; 0.1 % of the coins.
    ("open", "0.1877 at 121581.88", "spot", "BTC 0.1877, USDT -22820.918876"),
    ("open", "its fee", "spot", "BTC -0.0001877"),
    ("open", "0.0023 at 121581.89", "spot", "BTC 0.0023, USDT -279.638347"),
    ("open", "its fee", "spot", "BTC -0.0000023"),
    # 0.189 sold short at 121520.34 = 22967.34426; 0.05 %.
    ("open", "fee of the short", "usdm", "USDT -11.48367213"),
    # 0.01 wanted up to .90: 0.0013 is left at .89, 0.00248 stands at .90, the rest expires.
    ("in part", "0.0013 at 121581.89", "spot", "BTC 0.0013, USDT -158.056457"),
    ("in part", "its fee", "spot", "BTC -0.0000013"),
    ("in part", "0.00248 at 121581.90", "spot", "BTC 0.00248, USDT -301.523112"),
    ("in part", "its fee", "spot", "BTC -0.00000248"),
    # A post-only sale of 0.004 at 121530 waits for the market (486.12); 0.02 %. The short is 0.193 then.
    ("in part", "fee of the maker", "usdm", "USDT -0.097224"),
    # 0.193 * 121582.7910045 * 0.00000785 = 0.18420400751..., received by the short.
    ("settlement", "00:00", "usdm", "USDT 0.18420401"),
    ("rebalance", "margin topped up", "spot", "USDT -1000"),
    ("rebalance", "margin topped up", "usdm", "USDT 1000"),
    ("rebalance", "0.00358 sold at 121552.35", "spot", "BTC -0.00358, USDT 435.157413"),
    ("rebalance", "its fee, 0.435157413 cut", "spot", "USDT -0.43515741"),
    # 0.003 of 0.193 bought back at 121494.73 = 364.48419: of a cost of 23453.46426 that is 364.56162062.
    ("rebalance", "profit", "usdm", "USDT 0.07743062"),
    ("rebalance", "fee, 0.182242095 cut", "usdm", "USDT -0.18224209"),
    ("close", "0.19 sold at 121368.28", "spot", "BTC -0.19, USDT 23059.9732"),
    ("close", "its fee", "spot", "USDT -23.0599732"),
    # 0.19 bought back at 121318.38 = 23050.4922, of a cost of 23088.90263938 that was left.
    ("close", "profit", "usdm", "USDT 38.41043938"),
    ("close", "fee", "usdm", "USDT -11.5252461"),
    ("short", "moved to the margin desk", "spot", "USDT -20000"),
    ("short", "moved to the margin desk", "margin", "USDT 20000"),
    ("short", "borrowed", "margin", "BTC 0.1"),
    ("short", "0.1 sold at 121368.28", "margin", "BTC -0.1, USDT 12136.828"),
    ("short", "its fee", "margin", "USDT -12.136828"),
    # 0.1 bought at 121318.38 = 12131.838.
    ("short", "fee of the long", "usdm", "USDT -6.065919"),
    # The long pays 0.1 * 120878.7 * 0.00003879 = 0.4688884773.
    ("paid", "08:00", "usdm", "USDT -0.46888848"),
    # 0.1 sold at 120878.60 = 12087.86.
    ("back", "loss", "usdm", "USDT -43.978"),
    ("back", "fee", "usdm", "USDT -6.04393"),
    ("back", "0.10011 at 120909.35", "margin", "BTC 0.10011, USDT -12104.2350285"),
    ("back", "its fee", "margin", "BTC -0.00010011"),
    # 0.1 and five hours at 0.1 * 0.00000114, each rounded up to 0.00000012.
    ("back", "repaid with interest", "margin", "BTC -0.1000006"),
    ("home", "from the margin desk", "margin", "USDT -20020.4561435"),
    ("home", "from the margin desk", "spot", "USDT 20020.4561435"),
    ("home", "from the futures", "usdm", "USDT -15958.82695221"),
    ("home", "from the futures", "spot", "USDT 15958.82695221"),
)


def expected(chapter: str) -> dict[tuple[str, str], Decimal]:
    """What each wallet holds of each asset after a chapter, by the table; zeros left out."""
    held: dict[tuple[str, str], Decimal] = {}
    last = max(i for i, row in enumerate(TABLE) if row[0] == chapter)
    for _, _, wallet, amounts in TABLE[: last + 1]:
        for asset, amount in decimals(amounts).items():
            held[wallet, asset] = held.get((wallet, asset), Decimal(0)) + amount
    return {place: amount for place, amount in held.items() if amount}


class Life:
    """The two exchanges of one user."""

    def __init__(self, spot: Any, perp: Any, time: Time) -> None:
        self.spot = spot
        self.perp = perp
        self.time = time

    async def held(self) -> dict[tuple[str, str], Decimal]:
        """What the venue says of all three wallets, to its last digit."""
        cash = (await self.spot.fetch_balance())["info"]["balances"]
        margin = (await self.spot.fetch_balance({"type": "margin"}))["info"]["userAssets"]
        futures = (await self.perp.fetch_balance())["info"]["assets"]
        found = {("spot", row["asset"]): Decimal(row["free"]) + Decimal(row["locked"]) for row in cash}
        found |= {("margin", row["asset"]): Decimal(row["free"]) + Decimal(row["locked"]) for row in margin}
        found |= {("usdm", row["asset"]): Decimal(row["walletBalance"]) for row in futures}
        return {place: amount for place, amount in found.items() if amount}

    async def at(self, chapter: str) -> None:
        """Every wallet agrees with the table to the last digit."""
        assert await self.held() == expected(chapter), chapter

    async def buy(self, quantity: float, price: float, **params: Any) -> dict[str, Any]:
        return await self.spot.create_order(SPOT, "limit", "buy", quantity, price, {**IOC, **params})  # type: ignore[no-any-return]

    async def sell(self, quantity: float, price: float, **params: Any) -> dict[str, Any]:
        return await self.spot.create_order(SPOT, "limit", "sell", quantity, price, {**IOC, **params})  # type: ignore[no-any-return]

    async def contract(self, side: str, quantity: float, price: float, **params: Any) -> dict[str, Any]:
        return await self.perp.create_order(PERP, "limit", side, quantity, price, {**IOC, **params})  # type: ignore[no-any-return]


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    async with (
        still_venue(start_ms=STARTS_MS, speed=SPEED, deposits="binance.spot.USDT=60000") as (venue, time),
        venue.trader("binance", **WINDOW) as spot,
        venue.trader("binanceusdm", **WINDOW) as perp,
        venue.trader("binance", pro=True, **WINDOW) as spot_pro,
        venue.trader("binanceusdm", pro=True, **WINDOW) as perp_pro,
    ):
        await spot.load_markets()
        await perp.load_markets()
        async with heard(spot_pro, SPOT) as bought, heard(perp_pro, PERP) as contracts:
            await asyncio.sleep(2)  # ccxt.pro tells nobody when it is subscribed
            lived = Life(spot, perp, time)
            yield lived
            await check_streams(lived, bought, contracts)


@contextlib.asynccontextmanager
async def heard(exchange: Any, symbol: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The trades that ccxt.pro tells meanwhile."""
    trades: list[dict[str, Any]] = []

    async def listen() -> None:
        while True:
            trades.extend(await exchange.watch_my_trades(symbol))

    task = asyncio.create_task(listen())
    try:
        yield trades
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def check_streams(life: Life, bought: list[dict[str, Any]], contracts: list[dict[str, Any]]) -> None:
    """The streams have told each trade of the two wallets that they are for, once."""
    for exchange, symbol, told in ((life.spot, SPOT, bought), (life.perp, PERP, contracts)):
        asked = {one["id"] for one in await exchange.fetch_my_trades(symbol)}
        async with asyncio.timeout(10):
            while {one["id"] for one in told} != asked:  # noqa: ASYNC110 - the list has no event
                await asyncio.sleep(0.05)
        assert len(told) == len(asked)


async def test_a_whole_life_agrees_with_the_table_to_the_last_digit(life: Life) -> None:
    await life.at("deposit")
    await set_up(life)
    await carry(life)
    await reverse(life)
    await life.spot.transfer("USDT", "20020.4561435", "margin", "spot")
    await life.spot.transfer("USDT", "15958.82695221", "linear", "spot")
    await life.at("home")
    await read_back(life)


async def set_up(life: Life) -> None:
    await life.spot.transfer("USDT", 15_000, "spot", "linear")
    await life.perp.set_leverage(3, PERP)
    leverage = (await life.perp.fetch_leverages([PERP]))[PERP]
    assert (leverage["longLeverage"], leverage["marginMode"]) == (3, "cross")
    assert (await life.perp.fetch_position_mode(PERP))["hedged"] is False
    await life.at("set up")


async def carry(life: Life) -> None:
    """Long spot, short perpetual, from 23:00 to 03:00."""
    bought, sold = await asyncio.gather(
        life.buy(0.19, 121_600, clientOrderId="fa-spot"),
        life.contract("sell", 0.189, 121_500, clientOrderId="fa-perp"),
    )
    assert (bought["status"], bought["filled"], sold["status"], sold["filled"]) == (
        "closed",
        0.19,
        "closed",
        0.189,
    )
    await life.at("open")
    part = await life.buy(0.01, 121_581.90)
    assert (part["status"], part["filled"], part["remaining"]) == ("expired", 0.00378, 0.00622)
    waits = await life.contract("sell", 0.004, 121_530, timeInForce="GTX")
    assert (waits["status"], waits["filled"], waits["postOnly"]) == ("open", 0, True)
    life.time.pass_(HOUR_MS // 2)
    done = await life.perp.fetch_order(waits["id"], PERP)
    assert (done["status"], done["filled"], done["average"]) == ("closed", 0.004, 121_530)
    await life.at("in part")

    life.time.pass_(HOUR_MS // 2)
    await life.at("settlement")
    (position,) = await life.perp.fetch_positions([PERP])
    assert (position["side"], position["contracts"], position["leverage"]) == ("short", 0.193, 3)

    life.time.pass_(HOUR_MS)
    await life.spot.transfer("USDT", 1_000, "spot", "linear")
    await asyncio.gather(life.sell(0.00358, 121_500), life.contract("buy", 0.003, 121_600, reduceOnly=True))
    await life.at("rebalance")

    life.time.pass_(2 * HOUR_MS)
    # Asked for more than is held: a reduce-only order never goes beyond it.
    await asyncio.gather(life.sell(0.19, 121_300), life.contract("buy", 0.25, 121_400, reduceOnly=True))
    assert await life.perp.fetch_positions([PERP]) == []
    await life.at("close")


async def reverse(life: Life) -> None:
    """Borrowed coins sold short, long perpetual, from 03:00 to 08:00."""
    await life.spot.transfer("USDT", 20_000, "spot", "margin")
    await life.spot.borrow_cross_margin("BTC", 0.1)
    await asyncio.gather(life.sell(0.1, 121_300, **CROSS), life.contract("buy", 0.1, 121_400))
    await life.at("short")
    life.time.pass_(5 * HOUR_MS)
    await life.at("paid")
    debt = (await life.spot.fetch_balance({"type": "margin"}))["info"]["userAssets"]
    (owed,) = [row for row in debt if row["asset"] == "BTC"]
    assert (Decimal(owed["borrowed"]), Decimal(owed["interest"])) == (Decimal("0.1"), Decimal("0.0000006"))

    await asyncio.gather(
        life.contract("sell", 0.1, 120_800, reduceOnly=True), life.buy(0.10011, 121_000, **CROSS)
    )
    repaid = await life.spot.repay_cross_margin("BTC", 0.1000006)
    assert repaid["id"]
    margin = await life.spot.fetch_balance({"type": "margin"})
    assert margin["BTC"]["debt"] == 0
    await life.at("back")


async def read_back(life: Life) -> None:
    """Income, trades, interest and transfers say what the table says."""
    rows = [one["info"] for one in await life.perp.fetch_ledger("USDT", limit=1_000)]
    income: dict[str, Decimal] = {}
    for row in rows:
        income[row["incomeType"]] = income.get(row["incomeType"], Decimal(0)) + Decimal(row["income"])
    assert {name: amount for name, amount in income.items() if amount} == {
        "TRANSFER": Decimal("41.17304779"),  # 15000 + 1000 - 15958.82695221
        "REALIZED_PNL": Decimal("-5.49013"),  # 0.07743062 + 38.41043938 - 43.978
        "COMMISSION": Decimal("-35.39823332"),
        "FUNDING_FEE": Decimal("-0.28468447"),
    }
    assert sum(income.values()) == 0  # nothing is left, and nothing came from anywhere else
    funding = await life.perp.fetch_funding_history(PERP)
    assert [one["info"]["income"] for one in funding] == ["0.18420401", "-0.46888848"]
    interest = await life.spot.fetch_borrow_interest("BTC")
    assert [Decimal(one["info"]["interest"]) for one in interest] == [Decimal("0.00000012")] * 5
    trades = [one["info"] for one in await life.perp.fetch_my_trades(PERP)]
    assert sum(Decimal(one["commission"]) for one in trades) == Decimal("35.39823332")
    assert [one["maker"] for one in trades].count(True) == 1
    way = {"fromAccount": "spot", "toAccount": "linear"}
    moved = await life.spot.fetch_transfers("USDT", None, None, way)
    assert [one["amount"] for one in moved] == [15_000, 1_000]
    left = {asset: amount for (_, asset), amount in (await life.held()).items() if asset == "BTC"}
    assert left == {"BTC": Decimal("0.00000929")}  # of the margin desk; the spot wallet's is in `expected`
