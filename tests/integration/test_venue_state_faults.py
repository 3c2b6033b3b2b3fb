"""What ccxt makes of the misfortunes of positions and markets, and of data that is wrong.

Time stands still unless the test moves it; a fault strikes with the next step.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.helpers.still import WINDOW, Time, still_venue
from tests.helpers.venue import Venue

PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
PROTOCOL = {"binanceusdm": "binance", "bitget": "bitget"}
VENUES = tuple(PROTOCOL)
STARTS_MS = 1_760_050_800_000  # 2025-10-09 23:00 UTC
STEP_MS = 250  # of the venue's wall time: half an hour of the market
HOURS_MS = 3_600_000


@contextlib.asynccontextmanager
async def short(name: str) -> AsyncIterator[tuple[Venue, Time, Any]]:
    """A user who is short by 0.105 BTC."""
    deposits = "binance.usdm.USDT=60000,bitget.unified.USDT=60000"
    config = WINDOW if name == "binanceusdm" else {}
    async with (
        still_venue(start_ms=STARTS_MS, speed=7_200.0, deposits=deposits) as (venue, time),
        venue.trader(name, **config) as exchange,
    ):
        await exchange.load_markets()
        await exchange.create_order(PERP, "market", "sell", 0.105)
        yield venue, time, exchange


async def struck(venue: Venue, time: Time, name: str, kind: str, **fields: Any) -> None:
    venue.fault(kind=kind, venue=PROTOCOL[name], symbol="BTCUSDT", **fields)
    time.pass_(STEP_MS)
    assert venue.server.board.struck[kind] == 1


async def forced(exchange: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The newest order of the account and its trades, which must agree with each other."""
    asked = exchange.fetch_orders if exchange.id == "binanceusdm" else exchange.fetch_closed_orders
    order = (await asked(PERP))[-1]
    trades = [one for one in await exchange.fetch_my_trades(PERP) if one["order"] == order["id"]]
    filled = sum(pnl_of(one)[1] for one in trades)
    assert (order["status"], order["side"], order["filled"]) == ("closed", "buy", float(filled))
    return order, trades


def pnl_of(trade: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal]:
    """(price, quantity, realised) of a raw trade."""
    info = trade["info"]
    if "execPrice" in info:
        return tuple(Decimal(info[name]) for name in ("execPrice", "execQty", "execPnl"))  # type: ignore[return-value]
    return tuple(Decimal(info[name]) for name in ("price", "qty", "realizedPnl"))  # type: ignore[return-value]


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize(
    ("kind", "marked", "side"),
    [
        ("adl", "adl_autoclose", "dte_sys_adl_buy_in_single_side_mode"),
        ("liquidation", "autoclose-", "burst_buy_single"),
        ("manual_close", "web_", "buy_single"),
        ("delisting", "settlement_autoclose-", "delivery_buy_single"),
    ],
)
async def test_a_position_that_its_owner_did_not_close(name: str, kind: str, marked: str, side: str) -> None:
    """Order and trade are there, by an id that is none of ours; its profit follows from its own price."""
    async with short(name) as (venue, time, exchange):
        opened = (await exchange.fetch_my_trades(PERP))[0]
        await struck(venue, time, name, kind)
        order, trades = await forced(exchange)
        held = [one["contracts"] for one in await exchange.fetch_positions([PERP])]
        kept = {"adl": {"binanceusdm": [0.053], "bitget": [0.0525]}[name]}.get(kind, [])
        assert held == kept
        if name == "binanceusdm":
            assert order["clientOrderId"].startswith(marked)
            seized = await exchange.fetch_my_liquidations(PERP)
            assert [one["contracts"] for one in seized] == ([0.105] if kind == "liquidation" else [])
        else:
            assert {trade["info"]["tradeSide"] for trade in trades} == {side}
        tick = Decimal(str(exchange.market(PERP)["precision"]["price"]))
        for trade in trades:
            price, quantity, realised = pnl_of(trade)
            assert price % tick == 0
            assert realised == (pnl_of(opened)[0] - price) * quantity
            assert bool(trade["fee"]["cost"]) is (kind == "manual_close")


@pytest.mark.parametrize(("name", "error"), [("binanceusdm", '"code":-4108'), ("bitget", '"code":"25104"')])
async def test_a_delisted_market_takes_no_orders_and_is_listed_as_inactive(name: str, error: str) -> None:
    async with short(name) as (venue, time, exchange):
        await struck(venue, time, name, "delisting")
        with pytest.raises(ccxt.ExchangeError, match=error):
            await exchange.create_order(PERP, "limit", "buy", 0.01, 121_000)
        assert (await exchange.load_markets(reload=True))[PERP]["active"] is False


@pytest.mark.parametrize("name", VENUES)
async def test_changed_filters_refuse_the_old_steps_and_round_nothing_that_is_held(name: str) -> None:
    async with short(name) as (venue, time, exchange):
        step = exchange.market(PERP)["precision"]["amount"]
        before = pnl_of((await exchange.fetch_my_trades(PERP))[0])
        await struck(venue, time, name, "filter_change", factor=1_000.0)
        with pytest.raises((ccxt.BadRequest, ccxt.InvalidOrder)):
            await exchange.create_order(PERP, "limit", "buy", 0.011, 121_000)
        changed = (await exchange.load_markets(reload=True))[PERP]
        assert changed["precision"]["amount"] == changed["limits"]["amount"]["min"] == step * 1_000
        assert [one["contracts"] for one in await exchange.fetch_positions([PERP])] == [0.105]
        assert pnl_of((await exchange.fetch_my_trades(PERP))[0]) == before


@pytest.mark.parametrize("name", VENUES)
async def test_a_changed_interval_is_told_and_settled_by(name: str) -> None:
    async with short(name) as (venue, time, exchange):
        venue.fault(kind="interval_change", venue=PROTOCOL[name], interval_hours=2.0)
        intervals = await exchange.fetch_funding_intervals([PERP])
        assert intervals[PERP]["interval"] == "2h"
        rate = await exchange.fetch_funding_rate(PERP)
        assert rate["fundingTimestamp"] == STARTS_MS + HOURS_MS
        time.pass_(12 * STEP_MS)
        paid = [one["timestamp"] for one in await exchange.fetch_funding_history(PERP)]
        assert paid == [STARTS_MS + hours * HOURS_MS for hours in (1, 3, 5)]
        told = await exchange.fetch_funding_rate_history(PERP, limit=100)
        assert [one["timestamp"] for one in told if one["timestamp"] > STARTS_MS] == paid


@pytest.mark.parametrize("name", VENUES)
async def test_a_crossed_book_and_a_wrong_multiplier_come_through(name: str) -> None:
    async with short(name) as (venue, _, exchange):
        plain = await exchange.fetch_order_book(PERP, 5)
        assert plain["bids"][0][0] < plain["asks"][0][0]
        venue.fault(kind="book_crossed", venue=PROTOCOL[name], symbol="BTCUSDT", count=1)
        crossed = await exchange.fetch_order_book(PERP, 5)
        assert crossed["bids"][0][0] > crossed["asks"][0][0]
        assert (sorted(crossed["bids"]), sorted(crossed["asks"])) == (plain["asks"], sorted(plain["bids"]))
        venue.fault(kind="wrong_multiplier", venue=PROTOCOL[name], symbol="BTCUSDT", count=1)
        wrong = await exchange.fetch_order_book(PERP, 5)
        assert wrong["bids"][0][0] == pytest.approx(plain["bids"][0][0] * 1_000, rel=1e-3)
