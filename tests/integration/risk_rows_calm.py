"""How rows are provoked that need no opening: of the market, of processes, of money."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any, Final

from libs.common import subjects
from libs.common.clock import mono_us, wall_us
from libs.common.messages import ServiceHealth, encode
from libs.common.messages_exec import AccountPosition, Level
from libs.exchange.redirect import Redirect
from tests.helpers.breakers import Breakers, Seen
from tests.helpers.servers import freeze
from tests.helpers.venue import ccxt_keys, exchange_on
from tests.integration.risk_rows import ETH, PAIRS, SOL, SUI, pair_of

MONEY: Final = {"venue": "bitget", "user": "u1", "wallet": "unified", "asset": "USDT"}
ASSETS: Final = "/api/v3/account/assets"
STEP: Final = 1.08
"""Prices are pushed by at most so much at once: a coin that doubles in a moment is taken for a wrong
multiplier.
"""


# --- the market ---------------------------------------------------------------------------------------


async def price_jump(watch: Breakers, seen: Seen) -> None:
    """6 % at once, ten calm minutes of market time, and 12 %."""
    scope = "symbol:bitget-LINK-USDT-PERP"
    await watch.lab.control("/prices", base="LINK", factor=1.06)
    shut = await watch.enters(seen, scope, "price_jump", sec=5)
    assert shut.level is Level.NO_OPENS
    await watch.refuses(seen, pair_of("LINK"))
    await watch.leaves(seen, scope, "price_jump", sec=60)
    await watch.lab.control("/prices", base="LINK", factor=1.12)
    await watch.enters(seen, scope, "price_jump", sec=5)


async def legs_apart(watch: Breakers, seen: Seen) -> None:
    """One venue's price is 3.5 % above the other's, for a while."""
    scope = "symbol:binance-BNB-USDT-PERP"
    await watch.lab.control("/prices", venue="bitget", base="BNB", factor=1.035)
    await watch.enters(seen, scope, "price_jump", sec=5)
    seen.notes["other"] = watch.found("symbol:bitget-BNB-USDT-PERP", "price_jump")
    await watch.refuses(seen, pair_of("BNB"))
    await watch.lab.control("/prices", venue="bitget", base="BNB", factor=1 / 1.035)
    await watch.leaves(seen, scope, "price_jump", sec=60)


async def data_age(watch: Breakers, seen: Seen) -> None:
    """The socket says nothing more about one symbol, and its polls fail."""
    scope, where = "symbol:binance-BNB-USDT-PERP", {"venue": "binance", "duration_sec": 20}
    silent = {**where, "kind": "ws_gap", "symbol": "BNBUSDT"}
    broken = {**where, "kind": "http_5xx", "method": "GET", "symbol": "BNBUSDT"}
    await watch.lab.faults(silent, {**where, "kind": "ws_gap", "endpoint": "ws:bnbusdt@*"}, broken)
    await watch.enters(seen, scope, "data_age", sec=20)
    await watch.refuses(seen, pair_of("BNB"))
    await watch.leaves(seen, scope, "data_age", sec=90)


# --- processes ----------------------------------------------------------------------------------------


async def permit_heartbeat(watch: Breakers, seen: Seen) -> None:
    """Risk stands still for three seconds and a half."""
    pid = watch.lab.service("risk").process.pid
    freeze(pid)
    try:
        await asyncio.sleep(0.5)
        await watch.refuses(seen, SUI)  # from a second and a half after the last permit on
    finally:
        os.kill(pid, signal.SIGCONT)
    await watch.enters(seen, "global", "permit_heartbeat", sec=5)
    await watch.leaves(seen, "global", "permit_heartbeat", sec=15)


async def executor_silent(watch: Breakers, seen: Seen) -> None:
    """The executor stands still while pairs are held."""
    pid = watch.lab.last("executor").process.pid
    freeze(pid)
    try:
        await watch.enters(seen, "global", "executor_silent", sec=12)
    finally:
        os.kill(pid, signal.SIGCONT)
    await watch.refuses(seen, SUI)
    await watch.leaves(seen, "global", "executor_silent", sec=110)


async def build(watch: Breakers, seen: Seen) -> None:
    """A signal service of another build joins, and goes."""
    stranger = await watch.lab.start("signal", PAIRS, FUNDARB_BUILD="another")
    await watch.enters(seen, "global", "build", sec=10)
    await watch.refuses(seen, SUI)
    await stranger.kill()
    await watch.leaves(seen, "global", "build", sec=20)


async def process_clock(watch: Breakers, seen: Seen) -> None:
    """Somebody's pulses are stamped a second ahead, for as long as it takes."""
    ahead = asyncio.create_task(_pulses(watch))
    try:
        await watch.enters(seen, "global", "process_clock", sec=10)
        await watch.refuses(seen, SUI)
    finally:
        ahead.cancel()
    await watch.leaves(seen, "global", "process_clock", sec=40)


async def _pulses(watch: Breakers) -> None:
    while True:
        pulse = ServiceHealth(
            service="recorder",
            ok=True,
            build="test",
            pid=1,
            uptime_sec=1.0,
            lag_ms=0.0,
            inbox_depth=0,
            wall_us=wall_us() + 1_000_000,
        )
        watch.lab.bus.publish(subjects.health("recorder"), encode(pulse))
        await asyncio.sleep(0.2)


# --- money --------------------------------------------------------------------------------------------


async def limits(watch: Breakers, seen: Seen) -> None:
    """Somebody raises the leverage of a position by hand, and puts it back."""
    assert watch.lab.state(SOL) == "active"
    await _leverage(watch, 20)
    await watch.enters(seen, "venue:binance", "limits", sec=20)
    await watch.refuses(seen, SUI)
    await _leverage(watch, 3)
    await watch.leaves(seen, "venue:binance", "limits", sec=20)


async def _leverage(watch: Breakers, leverage: int) -> None:
    told = watch.lab.venue
    redirect = Redirect(port=told["port"], ca_path=told["ca_path"])
    async with exchange_on(redirect, "binanceusdm", **ccxt_keys(told["keys"], "binanceusdm")) as user:
        await user.load_markets()
        await user.set_leverage(leverage, "SOL/USDT:USDT")


async def withdrawal(watch: Breakers, seen: Seen) -> None:
    """No row: the user takes out a third of everything. Watched for longer than the loss rule waits."""
    await watch.lab.control("/withdrawals", **MONEY, amount="5000")
    begun_us = mono_us()
    await watch.lab.until(lambda: bool(watch.lines), sec=30)
    seen.notes["booked_sec"] = round((mono_us() - begun_us) / 1e6, 1)
    seen.notes["line"] = watch.lines[-1]
    await asyncio.sleep(max(0.0, 36 - (mono_us() - begun_us) / 1e6))
    seen.notes["shut"] = [one for one in watch.history if any("daily_loss" in two for two in one[3])]


async def collateral(watch: Breakers, seen: Seen) -> None:
    """The user takes out nearly all of one venue's money, then the price runs against its short leg."""
    made, scope = watch.lab, f"pair:{ETH}"
    await made.control("/withdrawals", **MONEY, amount="2500")
    await asyncio.sleep(2)
    told = len(made.accounts)
    await made.until(lambda: any(one.venue == "bitget" for one in made.accounts[told:]), sec=20)
    await _push_to(watch, 0.13)
    await made.until(lambda: any(one.key == f"risk:collateral_warn:{scope}" for one in made.alerts), sec=20)
    assert watch.found(scope, "collateral_shrink") is None
    await _push_to(watch, 0.08)
    await watch.enters(seen, scope, "collateral_shrink", sec=20)
    assert watch.permit is not None
    seen.notes["max_ratio"] = watch.permit.max_ratio.get(ETH)
    await _push_to(watch, 0.03)
    await watch.enters(seen, scope, "collateral_flatten", sec=20)
    await made.until(lambda: made.state(ETH) == "idle", sec=60)
    await watch.refuses(seen, ETH)


async def _push_to(watch: Breakers, distance: float) -> None:
    """Both venues' prices rise, step by step, until liquidation is that near."""
    shown = _position(watch)
    assert shown.mark is not None
    assert shown.liquidation_price is not None, shown
    missing = shown.liquidation_price / (1 + distance) / shown.mark
    assert missing > 1, shown
    while missing > 1:
        factor = min(missing, STEP)
        await watch.lab.control("/prices", base="ETH", factor=factor)
        missing /= factor
        await asyncio.sleep(1)


def _position(watch: Breakers) -> AccountPosition:
    account = [one for one in watch.lab.accounts if one.venue == "bitget"][-1]
    return next(one for one in account.positions if one.instrument == "ETH-USDT-PERP")


async def equity_unknown(watch: Breakers, seen: Seen) -> None:
    """An account cannot be read for as long as it takes."""
    broken: dict[str, Any] = {"kind": "http_5xx", "venue": "bitget", "method": "GET", "endpoint": ASSETS}
    await watch.lab.faults({**broken, "duration_sec": 60})
    await watch.enters(seen, "global", "equity_unknown", sec=80)
    await watch.refuses(seen, SUI)
    await watch.leaves(seen, "global", "equity_unknown", sec=120)


async def daily_loss(watch: Breakers, seen: Seen) -> None:
    """What is naked falls by half: more than 4 % of all that is there, for half a minute."""
    for _ in range(9):
        await watch.lab.control("/prices", base="XRP", factor=1 / STEP)
        await asyncio.sleep(0.5)
    for control in ("daily_loss", "daily_loss_halt", "daily_loss_flatten"):
        await watch.enters(seen, "global", control, sec=90)
    await watch.lab.until(lambda: watch.lab.state(SOL) == "idle", sec=40)
    await watch.refuses(seen, SOL)
