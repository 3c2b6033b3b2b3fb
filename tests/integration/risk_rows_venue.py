"""How rows about a venue's answers, clock, margin and fills are provoked, and attempts to open."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from libs.common.messages_exec import AccountStatus
from libs.exchange.redirect import Redirect
from tests.helpers.breakers import Breakers, Seen
from tests.helpers.executor import BINANCE, BITGET, CROSS, Service
from tests.helpers.venue import ccxt_keys, exchange_on

PAIRS: Final = {
    "TRX/USDT": BINANCE,
    "NEAR/USDT": BINANCE,
    "OP/USDT": BINANCE,
    "SUI/USDT": BINANCE,
    "DOGE/USDT": BINANCE,
    "LINK/USDT": BITGET,
    "AVAX/USDT": CROSS,
}
TRX, NEAR, OP, SUI, AT_BINANCE = (
    f"{base}-USDT_binance-spot_binance-perp" for base in ("TRX", "NEAR", "OP", "SUI", "DOGE")
)
AT_BITGET: Final = "LINK-USDT_bitget-spot_bitget-perp"
"""With `AT_BINANCE`: idle for ever, what is offered to open where a row has shut the venue."""
AVAX: Final = "AVAX-USDT_binance-perp_bitget-perp"

PERP_ORDER: Final = "/fapi/v1/order"
SPOT_ORDER: Final = "/api/v3/order"
NOTHING: Final = 0.0001
"""Of an order: less than a step, so that it expires without a fill."""
OFTEN: Final = 20
"""Attempts a minute that an executor allows itself; the next one is risk's to find."""


# --- attempts and orders --------------------------------------------------------------------------------


async def open_attempts(watch: Breakers, seen: Seen, first: Service) -> None:
    """Orders of both legs expire without a fill, again and again; then another executor takes over, which
    stood by and does not know how often it was. Each keeps to its own budget of attempts.
    """
    made, scope = watch.lab, f"pair:{TRX}"
    await made.faults({"kind": "partial_fill", "endpoint": "order", "symbol": "TRXUSDT", "fraction": NOTHING})
    while watch.attempts(TRX) < OFTEN or made.state(AVAX) != "active":
        await watch.offers(TRX)
        assert watch.found(scope, "open_attempts") is None, watch.permit
    assert await first.stop() == 0
    while watch.found(scope, "open_attempts") is None:
        await watch.offers(TRX)
    await watch.enters(seen, scope, "open_attempts", sec=1)
    seen.notes["owners"] = made.owners[TRX]
    await watch.refuses(seen, TRX)
    await watch.reset(scope)
    await watch.leaves(seen, scope, "open_attempts", sec=5)


async def unknown_orders(watch: Breakers, seen: Seen) -> None:
    """Of two orders the answers get lost, then two others under way: those shut the venue until it is known
    that they never arrived, and all four within ten minutes halt everything.
    """
    lost: dict[str, Any] = {"venue": "binance", "method": "POST", "count": 1}
    for kind, symbol, pair in (("reply_lost", "OPUSDT", OP), ("request_lost", "NEARUSDT", NEAR)):
        where = {**lost, "kind": kind, "symbol": symbol}
        await watch.lab.faults({**where, "endpoint": PERP_ORDER}, {**where, "endpoint": SPOT_ORDER})
        while not watch.attempts(pair):
            await watch.offers(pair)
    await watch.enters(seen, "venue:binance", "unknown_orders", sec=20)
    await watch.enters(seen, "global", "unknown_orders", sec=5)
    await watch.refuses(seen, AT_BINANCE, AT_BITGET)
    await watch.reset("global")
    await watch.leaves(seen, "venue:binance", "unknown_orders", sec=120)


async def slippage(watch: Breakers, often: Seen, once: Seen) -> None:
    """An order is under way for two seconds, while the price moves by 22 bps, until three fills were dearer
    than 15; then by 40 bps, where one beyond 30 is enough and 50 are the collar's.
    """
    scope = "symbol:binance-SUI-USDT-PERP"
    for seen, control, factor in ((often, "slippage", 0.9978), (once, "slippage_once", 0.996)):
        while watch.found(scope, control) is None:
            await _dear(watch, factor)
        await watch.enters(seen, scope, control, sec=1)
        seen.notes["controls"] = seen.breakers[0][0].controls
        await watch.refuses(seen, SUI)
        await watch.reset(scope)
        await watch.leaves(seen, scope, control, sec=3)


async def _dear(watch: Breakers, factor: float) -> None:
    """Open a pair and close it; the opening's contract order arrives late, and its price has fallen. One
    that the push has missed costs what it should, and is made again.
    """
    made, told = watch.lab, len(watch.lab.orders)
    slow: dict[str, Any] = {"kind": "delay", "venue": "binance", "endpoint": PERP_ORDER, "method": "POST"}
    await made.faults({**slow, "symbol": "SUIUSDT", "delay_ms": 2_000, "count": 1})
    opening = (SUI, "SUI-USDT-PERP", "open", "sent")
    while not any(
        (one.pair, one.instrument, one.purpose, one.state) == opening for one in made.orders[told:]
    ):
        await watch.offers(SUI)
    await made.control("/prices", base="SUI", factor=factor)
    await made.until(lambda: made.state(SUI) in ("active", "idle"), sec=60)
    if made.state(SUI) == "active":
        await made.ask("close", SUI, until="idle")


# --- how a venue answers --------------------------------------------------------------------------------


async def clock_offset(watch: Breakers, seen: Seen) -> None:
    """The venue's clock is 600 ms behind, for a while."""
    skewed = {"kind": "clock_skew", "venue": "bitget", "offset_ms": -600, "duration_sec": 24}
    await watch.lab.faults(skewed)
    await watch.enters(seen, "venue:bitget", "clock_offset", sec=24)
    await watch.refuses(seen, AT_BITGET)
    await watch.leaves(seen, "venue:bitget", "clock_offset", sec=150)


async def venue_errors(watch: Breakers, seen: Seen) -> None:
    """The venue answers an account's questions with 503, until a fifth of the last calls has failed."""
    broken: dict[str, Any] = {"kind": "http_5xx", "venue": "binance", "method": "GET", "duration_sec": 60}
    paths = ("/fapi/v[23]/*", "/fapi/v1/commissionRate", "/api/v3/account*")
    await watch.lab.faults(*({**broken, "endpoint": path} for path in paths))
    await watch.enters(seen, "venue:binance", "venue_errors", sec=40)
    seen.notes["equity_unknown"] = watch.found("global", "equity_unknown")
    await watch.lab.clear_faults()
    told = len(watch.lab.accounts)  # until it is read again, that alone keeps the executor from opening
    await watch.lab.until(lambda: _binance(watch) in watch.lab.accounts[told:], sec=30)
    await watch.refuses(seen, AT_BINANCE)
    await watch.lets(seen, "venue:binance", "venue_errors", sec=120)


# --- margin ---------------------------------------------------------------------------------------------

HAND, HAND_SLUG = "ARB/USDT:USDT", "ARB-USDT-PERP"
HAND_USD, HAND_LEVERAGE = 15_000, 50
"""Small coins: their maintenance margin is 1 % of what is held."""


async def margin_ratio(watch: Breakers, seen: Seen) -> None:
    """Its owner holds a large position by hand in the wallet that backs the pair's long leg, and takes money
    out of it, three times. The wallet covers the long leg wholly: no price liquidates it, so that the venue
    tells none, and the ratio of the account counts.
    """
    made, scope = watch.lab, f"pair:{AVAX}"
    async with _user(watch, "binanceusdm") as futures, _user(watch, "binance") as wallets:
        size = await _by_hand(watch, futures)
        await _thin(watch, wallets, 0.05)
        warned = f"risk:collateral_warn:{scope}"
        await made.until(lambda: any(one.key == warned for one in made.alerts), sec=20)
        assert watch.found(scope, "collateral_shrink") is None
        await _thin(watch, wallets, 0.075)
        await watch.enters(seen, scope, "collateral_shrink", sec=20)
        assert watch.permit is not None
        seen.notes["max_ratio"] = watch.permit.max_ratio.get(AVAX)
        await _thin(watch, wallets, 0.112)
        await watch.enters(seen, scope, "collateral_flatten", sec=20)
        await made.until(lambda: made.state(AVAX) == "idle", sec=60)
        await watch.refuses(seen, AVAX)
        await futures.create_order(HAND, "market", "sell", size, params={"reduceOnly": True})
    await watch.reset(scope)
    await watch.leaves(seen, scope, "collateral_flatten", sec=5)


@contextlib.asynccontextmanager
async def _user(watch: Breakers, name: str) -> AsyncIterator[Any]:
    """The account's owner, at the venue's site so to speak."""
    told = watch.lab.venue
    redirect = Redirect(port=told["port"], ca_path=told["ca_path"])
    async with exchange_on(redirect, name, **ccxt_keys(told["keys"], name)) as user:
        yield user


async def _by_hand(watch: Breakers, futures: Any) -> float:
    """Open the position, until it is seen; its size in coins."""
    await futures.load_markets()
    await futures.set_leverage(HAND_LEVERAGE, HAND)
    price = (await futures.fetch_ticker(HAND))["last"]
    size = float(futures.amount_to_precision(HAND, HAND_USD / price))
    await futures.create_order(HAND, "market", "buy", size)
    await watch.lab.until(lambda: any(one.instrument == HAND_SLUG for one in _binance(watch).positions))
    return size


async def _thin(watch: Breakers, wallets: Any, ratio: float) -> None:
    """Move money out of the contracts' wallet until maintenance margin / equity is shown to be so much."""
    before = _binance(watch)
    assert before.margin_ratio is not None
    assert before.margin_ratio < ratio
    backing = next(one.total for one in before.balances if one.wallet == "futures" and one.asset == "USDT")
    amount = float(backing) * (1 - before.margin_ratio / ratio)
    asked = {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": f"{amount:.2f}"}
    await wallets.sapi_post_asset_transfer(asked)
    await watch.lab.until(lambda: (_binance(watch).margin_ratio or 0.0) > 0.95 * ratio, sec=30)


def _binance(watch: Breakers) -> AccountStatus:
    """The last good look at the account."""
    return next(one for one in reversed(watch.lab.accounts) if one.venue == "binance" and one.trusted)
