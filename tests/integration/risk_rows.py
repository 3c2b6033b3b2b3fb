"""How rows about orders and positions are provoked. One pair a row, so that rows do not hide each other."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from libs.common.clock import mono_us
from tests.helpers.breakers import Breakers, Seen
from tests.helpers.executor import BINANCE, BITGET, CROSS

PAIRS: Final = {
    "SOL/USDT": BINANCE,
    "ETH/USDT": CROSS,
    "AVAX/USDT": CROSS,
    "XRP/USDT": CROSS,
    "DOGE/USDT": BINANCE,
    "LINK/USDT": BITGET,
    "LTC/USDT": CROSS,
    "BNB/USDT": CROSS,
    "SUI/USDT": CROSS,
}


KINDS: Final = {
    BINANCE: "binance-spot_binance-perp",
    BITGET: "bitget-spot_bitget-perp",
    CROSS: "binance-perp_bitget-perp",
}


def pair_of(base: str) -> str:
    """The id of a coin's pair."""
    return f"{base}-USDT_{KINDS[PAIRS[f'{base}/USDT']]}"


SOL, ETH, AVAX, XRP = (pair_of(base) for base in ("SOL", "ETH", "AVAX", "XRP"))
DOGE, LTC = pair_of("DOGE"), pair_of("LTC")
SUI: Final = pair_of("SUI")
"""Idle for ever: it is what others' rows offer to open, in vain."""

HELD: Final = (SOL, ETH, AVAX, XRP)

PERP_ORDER: Final = "/fapi/v1/order"
BITGET_ORDER: Final = "/api/v3/trade/place-order"
NOTHING: Final = 0.0001
"""Of an order: less than a step, so that it expires without a fill."""


async def _offer(watch: Breakers, *pairs: str) -> None:
    for pair in pairs:
        watch.offer(pair)
    await asyncio.sleep(0.2)


async def naked(watch: Breakers, seen: Seen) -> None:
    """One leg is deleveraged away, and the venue of the other fills no order that would follow it."""
    made = watch.lab
    none = {"kind": "partial_fill", "endpoint": "order", "symbol": "XRPUSDT", "fraction": NOTHING}
    await made.faults({**none, "venue": "binance"})
    await made.strike({"kind": "adl", "venue": "bitget", "symbol": "XRPUSDT", "fraction": 1.0})
    await made.until(lambda: made.pairs[XRP].naked_usd > 500)
    begun_us = mono_us()
    await watch.enters(seen, "global", "naked_exposure", sec=200)
    seen.notes["naked_sec"] = round((mono_us() - begun_us) / 1e6, 1)
    await watch.refuses(seen, SUI)


async def slippage(watch: Breakers, often: Seen, once: Seen) -> None:
    """An order is under way for a second, while the price moves by 15 bps, until three fills were as dear;
    then by 40 bps.
    """
    scope = "symbol:binance-DOGE-USDT-PERP"
    for seen, control, factor in ((often, "slippage", 0.9985), (once, "slippage_once", 0.996)):
        while watch.found(scope, control) is None:
            await _dear(watch, DOGE, "DOGE", factor)
        await watch.enters(seen, scope, control, sec=1)
        seen.notes["controls"] = seen.breakers[0][0].controls
        await watch.refuses(seen, DOGE)
        await watch.reset(scope)
        await watch.leaves(seen, scope, control, sec=3)


async def _dear(watch: Breakers, pair: str, base: str, factor: float) -> None:
    """Open a pair and close it; the opening's contract order arrives late, and its price has fallen."""
    made, told = watch.lab, len(watch.lab.orders)
    slow: dict[str, Any] = {"kind": "delay", "venue": "binance", "endpoint": PERP_ORDER, "method": "POST"}
    await made.faults({**slow, "symbol": f"{base}USDT", "delay_ms": 1_000, "count": 1})
    opening = (pair, f"{base}-USDT-PERP", "open", "sent")
    while not any(
        (one.pair, one.instrument, one.purpose, one.state) == opening for one in made.orders[told:]
    ):
        await _offer(watch, pair)
    await made.control("/prices", base=base, factor=factor)
    await asyncio.sleep(1)
    await made.until(lambda: made.state(pair) in ("active", "idle"), sec=60)
    if made.state(pair) == "active":
        await made.ask("close", pair, until="idle")


async def failures_and_churn(watch: Breakers, failures: Seen, churn: Seen) -> None:
    """The venue refuses the second leg, three times: each time the first is unwound."""
    made, scope = watch.lab, "symbol:binance-LTC-USDT-PERP"
    no = {"kind": "rejection", "venue": "bitget", "endpoint": BITGET_ORDER, "symbol": "LTCUSDT"}
    await made.faults({**no, "code": "40762"})
    while watch.found(scope, "churn") is None:
        await made.until(lambda: made.state(LTC) in ("idle", ""), sec=60)
        if not failures.breakers and watch.found("venue:bitget", "order_failures") is not None:
            await _failed(watch, failures)
        await _offer(watch, LTC)
        assert watch.attempts(LTC) <= 6, watch.moves
    await watch.enters(churn, scope, "churn", sec=1)
    await made.until(lambda: made.state(LTC) == "idle", sec=60)
    churn.notes["unwinds"] = watch.moves.count((LTC, "unwinding"))
    churn.notes["other"] = watch.found("symbol:bitget-LTC-USDT-PERP", "churn")
    if not failures.breakers:
        await _failed(watch, failures)
    await watch.refuses(churn, LTC)
    for symbol in (scope, "symbol:bitget-LTC-USDT-PERP"):
        await watch.reset(symbol)
    await watch.leaves(churn, scope, "churn", sec=3)


async def _failed(watch: Breakers, seen: Seen) -> None:
    await watch.enters(seen, "venue:bitget", "order_failures", sec=5)
    await watch.refuses(seen, SUI)
    await watch.reset("venue:bitget")
    await watch.leaves(seen, "venue:bitget", "order_failures", sec=3)


async def reconcile(watch: Breakers, seen: Seen, stuck: Seen) -> None:
    """Half of both legs is closed by hand; then the rest, and a person says so."""
    made, scope = watch.lab, f"pair:{AVAX}"
    closed: dict[str, Any] = {"kind": "manual_close", "symbol": "AVAXUSDT"}
    for venue in ("binance", "bitget"):
        await made.strike({**closed, "venue": venue, "fraction": 0.5})
    await watch.enters(seen, scope, "reconcile", sec=40)
    await watch.enters(stuck, scope, "stuck", sec=40)
    for venue in ("binance", "bitget"):
        await made.strike({**closed, "venue": venue})
    await watch.reset(scope, "risk", "executor")
    await watch.leaves(seen, scope, "reconcile", sec=20)
    await watch.leaves(stuck, scope, "stuck", sec=20)
