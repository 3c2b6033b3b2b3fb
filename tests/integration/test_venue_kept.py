"""A venue with a folder of its own: what a customer was answered outlives kill -9, and so does the clock."""

from __future__ import annotations

import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.exchange.redirect import VENUE_FILE, Redirect
from services.venue import keeping
from tests.helpers.venue import ccxt_keys, exchange_on, venue_process

PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
SPEED = "1440"


async def figures(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """What a customer sees of his own."""
    redirect = Redirect.from_runtime_dir(folder)
    keys = told["keys"]
    async with exchange_on(redirect, "binanceusdm", **ccxt_keys(keys, "binanceusdm")) as usdm:
        positions = await usdm.fetch_positions([PERP])
        open_orders = await usdm.fetch_open_orders(PERP)
        income = await usdm.fapiPrivateGetIncome({"incomeType": "FUNDING_FEE", "limit": 1000})
    async with exchange_on(redirect, "binance", **ccxt_keys(keys, "binance")) as spot:
        balance = await spot.fetch_balance()
        trades = await spot.fetch_my_trades(SPOT)
    return {
        "position": [str(one["info"]["positionAmt"]) for one in positions],
        "orders": [one["clientOrderId"] for one in open_orders],
        "settled": [int(one["time"]) for one in income],
        "coins": Decimal(str(balance["total"]["BTC"])),
        "trades": [one["id"] for one in trades],
    }


async def trade(folder: Path, told: dict[str, Any]) -> None:
    redirect = Redirect.from_runtime_dir(folder)
    keys = told["keys"]
    async with exchange_on(redirect, "binanceusdm", **ccxt_keys(keys, "binanceusdm")) as usdm:
        await usdm.create_order(PERP, "market", "sell", 0.01)
        price = usdm.price_to_precision(PERP, (await usdm.fetch_ticker(PERP))["last"] * 0.9)
        await usdm.create_order(PERP, "limit", "buy", 0.01, price, {"newClientOrderId": "rests"})
    async with exchange_on(redirect, "binance", **ccxt_keys(keys, "binance")) as spot:
        await spot.create_order(SPOT, "market", "buy", 0.01)


async def test_positions_orders_and_coins_outlive_the_process(tmp_path: Path) -> None:
    state = {"FUNDARB_VENUE_STATE": str(tmp_path / "state")}
    with venue_process(tmp_path, env=state, speed=SPEED, seed="4") as told:
        await trade(tmp_path, told)
        before = await figures(tmp_path, told)
        os.kill(told["pid"], signal.SIGKILL)
    (tmp_path / VENUE_FILE).unlink()  # the dead one's word
    with venue_process(tmp_path, env=state, speed=SPEED, seed="4") as again:
        after = await figures(tmp_path, again)
        assert again["keys"] == told["keys"]
    assert after["position"] == before["position"] == ["-0.010"]
    assert after["orders"] == before["orders"] == ["rests"]
    assert (after["coins"], after["trades"]) == (before["coins"], before["trades"])
    # The market went on meanwhile: settlements are added, and none happens twice.
    assert len(after["settled"]) == len(set(after["settled"]))
    assert set(before["settled"]) <= set(after["settled"])


async def test_a_state_of_another_market_is_refused_by_name(tmp_path: Path) -> None:
    state = {"FUNDARB_VENUE_STATE": str(tmp_path / "state")}
    with venue_process(tmp_path, env=state, speed=SPEED, seed="4") as told:
        await trade(tmp_path, told)
    keeper = keeping.Keeper(tmp_path / "state", market="another one")
    with pytest.raises(keeping.BadState, match=r"belongs to recorded from .*remove it to begin anew"):
        keeper.load()
    (tmp_path / "state" / keeping.FILE).write_bytes(b"nonsense")
    with pytest.raises(keeping.BadState, match="no state of a venue"):
        keeper.load()
