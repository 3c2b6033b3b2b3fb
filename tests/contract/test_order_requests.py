"""Orders written from a stencil against those of unmodified ccxt: the same bytes on the wire, but for the
timestamp and the signature, and the venue's own checks of both.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import ccxt.pro
import pytest

from libs.common.config.schema import Config, Position
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.live.flight import Flight
from libs.exchange.live.held import Counted
from libs.exchange.live.orders import arguments_of
from libs.exchange.trading import (
    OrderRequest,
    OrderType,
    PositionMode,
    Rejected,
    Side,
    TimeInForce,
)
from services.venue import customers
from tests.helpers.tap import Tap, tapping
from tests.helpers.trading import PERP, SPOT, an_order, config_of, price_of, trading_on
from tests.helpers.venue import ccxt_keys, running_venue

BUY, SELL = Side.BUY, Side.SELL
SIGNED = {"ACCESS-SIGN", "ACCESS-TIMESTAMP"}

PLAIN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ioc", {"tif": TimeInForce.IOC}),
    ("fok", {"tif": TimeInForce.FOK}),
    ("gtc", {"tif": TimeInForce.GTC}),
    ("post-only", {"tif": TimeInForce.POST_ONLY}),
)
ORDERS: tuple[tuple[str, str, Side, dict[str, Any]], ...] = (
    *((f"spot {name}", SPOT, side, said) for name, said in PLAIN for side in (BUY, SELL)),
    ("spot market", SPOT, SELL, {"type": OrderType.MARKET, "price": None}),
    *((f"perp {name}", PERP, side, said) for name, said in PLAIN for side in (BUY, SELL)),
    *(
        (f"perp reduce {name}", PERP, side, {**said, "reduce_only": True})
        for name, said in PLAIN
        for side in Side
    ),
    *(("perp market", PERP, side, {"type": OrderType.MARKET, "price": None}) for side in Side),
    *(
        ("perp market reduce", PERP, side, {"type": OrderType.MARKET, "price": None, "reduce_only": True})
        for side in Side
    ),
)
BORROWED: tuple[tuple[str, str, Side, dict[str, Any]], ...] = (
    *((f"margin {name}", SPOT, side, {**said, "margin": True}) for name, said in PLAIN for side in Side),
    ("margin market", SPOT, SELL, {"type": OrderType.MARKET, "price": None, "margin": True}),
)


class Pair:
    """The port, and unmodified ccxt with the same settings, both behind one tap."""

    def __init__(self, tap: Tap, trading: CcxtTrading, keys: dict[str, dict[str, str]]) -> None:
        self.tap = tap
        self.trading = trading
        self._keys = keys

    async def order(self, slug: str, side: Side, said: dict[str, Any]) -> OrderRequest:
        price = said.pop("price", "rests")
        factor = "0.97" if side is BUY else "1.03"
        found = await price_of(self.trading, slug, factor) if price is not None else None
        return an_order(slug, side, found, **said)  # type: ignore[arg-type]

    async def ours(self, request: OrderRequest) -> bytes:
        """What the port writes; the venue has found the signature good."""
        held = await self.trading.prepare(request)
        assert isinstance(held, Counted), held
        assert isinstance(held._held, Flight), "not by a stencil"
        held.release()
        outcome = await held.outcome()
        assert not (isinstance(outcome, Rejected) and outcome.reason in ("auth", "clock")), outcome
        [written] = self.tap.posts(request.client_id)
        return written

    async def theirs(self, request: OrderRequest, *, hedged: bool) -> bytes:
        """What ccxt writes for the same order, with another id of the same length."""
        trading = self.trading
        item, place = trading.places.instrument(request.instrument), trading.places.of(request.instrument)
        other = request.client_id[::-1]
        arguments = arguments_of(request, item, trading.record, venue_id=other, hedged=hedged)
        name, session = place.spec.ccxt_id, self.tap.redirect.session()
        options = {**place.spec.options, **place.desk.settings(), "maxRetriesOnFailure": 0}
        exchange = getattr(ccxt.pro, name)(
            {**ccxt_keys(self._keys, name), "session": session, "options": options, "enableRateLimit": False}
        )
        exchange.number = str
        exchange.set_markets_from_exchange(place.poll.exchange)
        with contextlib.suppress(ccxt.pro.ExchangeError):
            await exchange.create_order(
                arguments.symbol,
                arguments.type,
                arguments.side,
                arguments.amount,
                arguments.price,
                arguments.params,
            )
        await exchange.close()
        await session.close()
        [written] = self.tap.posts(other)
        return written.replace(other.encode(), request.client_id.encode())


@contextlib.asynccontextmanager
async def tapped(name: str, *, hedged: bool = False) -> AsyncIterator[Pair]:
    async with running_venue() as venue, tapping(venue.redirect) as tap:
        keys = customers.told(venue.server.keys["u1"])
        config: Config = config_of(keys)
        if hedged:
            mode = Position(position_mode="hedge")
            config = type(config)(exchanges=config.exchanges, timeouts=config.timeouts, position=mode)
        async with trading_on(tap.redirect, config, name) as trading:
            yield Pair(tap, trading, keys)


def taken_apart(request: bytes) -> tuple[str, list[tuple[str, str]], dict[str, str]]:
    """Request line, headers and body fields in order, without what a signature brings with it."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    headers = [
        (name, value) for name, _, value in (one.partition(": ") for one in rest) if name not in SIGNED
    ]
    assert dict(headers)["Content-Length"] == str(len(body))
    text = body.decode()
    fields = json.loads(text) if text.startswith("{") else dict(parse_qsl(text, strict_parsing=True))
    signed = {"timestamp", "signature"}
    return line, headers, {name: value for name, value in fields.items() if name not in signed}


@pytest.mark.parametrize("name", ["binance", "bitget"])
async def test_the_same_bytes_as_unmodified_ccxt(name: str) -> None:
    async with tapped(name) as pair:
        for what, slug, side, said in (*ORDERS, *(BORROWED if name == "binance" else ())):
            request = await pair.order(slug, side, dict(said))
            ours, theirs = await pair.ours(request), await pair.theirs(request, hedged=False)
            assert taken_apart(ours) == taken_apart(theirs), (what, side)
            assert list(taken_apart(ours)[2]) == list(taken_apart(theirs)[2]), "the order of the fields"


@pytest.mark.parametrize("name", ["binance", "bitget"])
async def test_the_same_bytes_in_hedge_mode(name: str) -> None:
    async with tapped(name, hedged=True) as pair:
        await pair.trading.configure(
            PERP,
            margin_mode=(await pair.trading.settings(PERP)).margin_mode or pytest.fail("no margin mode"),
            leverage=3,
            position_mode=PositionMode.HEDGE,
        )
        for what, slug, side, said in ORDERS:
            if slug == SPOT:
                continue
            request = await pair.order(slug, side, dict(said))
            ours, theirs = await pair.ours(request), await pair.theirs(request, hedged=True)
            assert taken_apart(ours) == taken_apart(theirs), (what, side)
            found = taken_apart(ours)[2]
            assert (found.get("positionSide") or found.get("posSide") or "").upper() in ("LONG", "SHORT")


async def test_figures_of_every_size_are_written_as_ccxt_writes_them() -> None:
    async with tapped("binance") as pair:
        price = await price_of(pair.trading, PERP, "0.97")
        for quantity in ("0.001", "0.010", "0.1", "1", "1.000", "10", "1E+1", "0.123"):
            request = an_order(PERP, BUY, price, quantity=quantity)
            ours, theirs = await pair.ours(request), await pair.theirs(request, hedged=False)
            assert taken_apart(ours) == taken_apart(theirs), quantity
            assert Decimal(taken_apart(ours)[2]["quantity"]) == Decimal(quantity)
