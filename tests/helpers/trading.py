"""The trading port on a simulated venue, in this process or as one of its own."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Exchange, Timeouts
from libs.common.money import floor_to
from libs.exchange.factory import open_trading
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.redirect import Redirect
from libs.exchange.trading import OrderRequest, Side

SPOT, PERP = "BTC-USDT", "BTC-USDT-PERP"
_numbers = itertools.count(1)


def config_of(told: Mapping[str, Mapping[str, str]], *, timeout_sec: float = 5.0) -> Config:
    """A config with the keys that a venue tells of (`customers.told`, `venue.json`)."""
    binance, bitget = told["binance"], told["bitget"]
    key, secret = binance["api_key"], binance["secret"]
    return Config(
        exchanges={
            "spot": Exchange(id="binance", type="spot", api_key=key, secret=secret),
            "perp": Exchange(id="binanceusdm", type="future", api_key=key, secret=secret),
            "unified": Exchange(
                id="bitget",
                type="swap",
                api_key=bitget["api_key"],
                secret=bitget["secret"],
                password=bitget["passphrase"],
            ),
        },
        timeouts=Timeouts(request_timeout_sec=timeout_sec),
    )


@contextlib.asynccontextmanager
async def trading_on(redirect: Redirect, config: Config, venue: str) -> AsyncIterator[CcxtTrading]:
    """The port of one venue, loaded."""
    opened = await open_trading(venue, config=config, clock=SystemClock(), redirect=redirect)
    assert isinstance(opened, CcxtTrading)
    try:
        await opened.load()
        yield opened
    finally:
        await opened.close()


async def price_of(trading: CcxtTrading, slug: str, factor: str) -> Decimal:
    """`factor` times the last price, as a price that the instrument takes."""
    item, place = trading.places.instrument(slug), trading.places.of(slug)
    ticker = await place.poll.exchange.fetch_ticker(item.symbol)
    assert item.price_tick is not None
    return floor_to(
        Decimal(ticker["last"] or ticker["close"] or ticker["bid"]) * Decimal(factor), item.price_tick
    )


def an_order(slug: str, side: Side, price: Decimal, *, quantity: str = "0.01", **fields: Any) -> OrderRequest:
    """An order with an id of its own."""
    client_id = fields.pop("client_id", f"fatest{next(_numbers):06d}")
    return OrderRequest(
        client_id=client_id, instrument=slug, side=side, quantity=Decimal(quantity), price=price, **fields
    )
