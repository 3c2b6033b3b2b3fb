"""How rows about orders and positions are provoked. One pair a row, so that rows do not hide each other."""

from __future__ import annotations

from typing import Any, Final

from libs.common.clock import mono_us
from tests.helpers.breakers import Breakers, Seen
from tests.helpers.executor import BINANCE, BITGET, CROSS

PAIRS: Final = {
    "SOL/USDT": BINANCE,
    "ETH/USDT": CROSS,
    "AVAX/USDT": CROSS,
    "XRP/USDT": CROSS,
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
LTC: Final = pair_of("LTC")
SUI: Final = pair_of("SUI")
"""Idle for ever: it is what others' rows offer to open, in vain."""

HELD: Final = (SOL, ETH, AVAX, XRP)

BITGET_ORDER: Final = "/api/v3/trade/place-order"
NAKED_SEC: Final = 270.0
"""The bound of 130 s grows by 60 with an order that is unknown: one that stands still may leave one."""
NOTHING: Final = 0.0001
"""Of an order: less than a step, so that it expires without a fill."""


async def naked(watch: Breakers, seen: Seen) -> None:
    """One leg is deleveraged away, and the venue of the other fills no order that would follow it."""
    made = watch.lab
    none = {"kind": "partial_fill", "endpoint": "order", "symbol": "XRPUSDT", "fraction": NOTHING}
    await made.faults({**none, "venue": "binance"})
    await made.strike({"kind": "adl", "venue": "bitget", "symbol": "XRPUSDT", "fraction": 1.0})
    await made.until(lambda: made.pairs[XRP].naked_usd > 500)
    begun_us = mono_us()
    await watch.enters(seen, "global", "naked_exposure", sec=NAKED_SEC)
    seen.notes["naked_sec"] = round((mono_us() - begun_us) / 1e6, 1)
    await watch.refuses(seen, SUI)


async def failures_and_churn(watch: Breakers, failures: Seen, churn: Seen) -> None:
    """The venue refuses the second leg, three times: each time the first is unwound."""
    made, scope = watch.lab, "symbol:binance-LTC-USDT-PERP"
    no = {"kind": "rejection", "venue": "bitget", "endpoint": BITGET_ORDER, "symbol": "LTCUSDT"}
    await made.faults({**no, "code": "40762"})
    while watch.found(scope, "churn") is None:
        await made.until(lambda: made.state(LTC) in ("idle", ""), sec=60)
        if not failures.breakers and watch.found("venue:bitget", "order_failures") is not None:
            await _failed(watch, failures)
        await watch.offers(LTC)
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
