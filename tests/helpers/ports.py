"""Every implementation of `Trading` with a market and money: on paper, over ccxt on the simulated venue."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec

from libs.common.clock import wall_us
from libs.common.instant import US_PER_MS
from libs.common.money import floor_to
from libs.exchange.paper.trading import PaperTrading
from libs.exchange.trading import (
    Done,
    Found,
    OrderReport,
    OrderRequest,
    Outcome,
    Side,
    Trading,
    Wallet,
)
from services.venue import customers
from tests.helpers.paper import START_MS, Market
from tests.helpers.trading import PERP, SPOT, config_of, price_of, trading_on
from tests.helpers.venue import running_venue

PORTS = ("paper-binance", "paper-bitget", "ccxt-binance", "ccxt-bitget")
QUANTITY = Decimal("0.01")
MONEY = Decimal(50_000)
PAPER_PRICE = 60_000.0
OPENED_MS = 10_000
_DEPOSITS = ",".join(
    f"{wallet}.USDT={MONEY}"
    for wallet in ("binance.spot", "binance.usdm", "binance.margin", "bitget.unified", "bitget.funding")
)
_numbers = itertools.count(1)


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """One case, opened at `since_ms`. `thin`: the next order in the perpetual finds about half of `QUANTITY`.
    `near(slug, factor)`: a price beside the market's. `post_only`: what becomes of an order that would take.
    """

    trading: Trading
    since_ms: int
    spot: Wallet
    contracts: Wallet
    other: Wallet
    lender: Wallet | None
    post_only: str
    thin: Callable[[], None]
    near: Callable[[str, str], Any]

    async def order(
        self, slug: str, side: Side, factor: str, *, quantity: Decimal = QUANTITY, **fields: Any
    ) -> OrderRequest:
        """An IOC limit order at `factor` times the market, with an id of its own."""
        client_id = fields.pop("client_id", f"faport{next(_numbers):06d}")
        return OrderRequest(
            client_id=client_id,
            instrument=slug,
            side=side,
            quantity=quantity,
            price=await self.near(slug, factor),
            **fields,
        )

    async def send(self, slug: str, side: Side, factor: str, **fields: Any) -> tuple[OrderRequest, Outcome]:
        """Submit such an order."""
        request = await self.order(slug, side, factor, **fields)
        return request, await self.trading.submit(request)

    async def take(self, slug: str, side: Side, **fields: Any) -> OrderReport:
        """An order that crosses the market; the report as a query tells it."""
        request, outcome = await self.send(slug, side, "1.01" if side is Side.BUY else "0.99", **fields)
        assert isinstance(outcome, Done), outcome
        return await self.report(request)

    async def report(self, request: OrderRequest) -> OrderReport:
        """What a query tells of an order that is there."""
        found = await self.trading.query(request.instrument, request.client_id, margin=request.margin)
        assert isinstance(found, Found), found
        return found.report

    async def total(self, wallet: Wallet, asset: str = "USDT") -> Decimal:
        """What a wallet holds of an asset."""
        rows = await self.trading.balances()
        return sum((one.total for one in rows if (one.wallet, one.asset) == (wallet, asset)), Decimal(0))


@contextlib.asynccontextmanager
async def opened(name: str) -> AsyncIterator[Port]:
    """The case of that name."""
    kind, _, venue = name.partition("-")
    async with (on_paper if kind == "paper" else over_ccxt)(venue) as port:
        yield port


@contextlib.asynccontextmanager
async def on_paper(venue: str) -> AsyncIterator[Port]:
    wallets = {**_wallets(venue)}
    names = {wallets["spot"], wallets["contracts"], wallets["other"]}
    market = Market(venue, balances={name: {"USDT": MONEY} for name in names}, quoted=False)
    trading = PaperTrading(market.paper, clock=market.clock)

    def quote(size: float) -> None:
        for slug in (SPOT, PERP):
            market.quote(slug, PAPER_PRICE - 0.1, PAPER_PRICE + 0.1, size=size)

    async def near(slug: str, factor: str) -> Decimal:
        del slug
        return floor_to(Decimal(repr(PAPER_PRICE)) * Decimal(factor), Decimal("0.1"))

    quote(5.0)
    # an eighth, and three synthetic levels of the same behind it
    yield Port(
        trading=trading,
        since_ms=START_MS,
        thin=lambda: quote(float(QUANTITY / 8) + 1e-9),
        near=near,
        **wallets,
    )
    await trading.close()


@contextlib.asynccontextmanager
async def over_ccxt(venue: str) -> AsyncIterator[Port]:
    async with running_venue(deposits=_DEPOSITS) as simulated:
        config = config_of(customers.told(simulated.server.keys["u1"]))
        async with trading_on(simulated.redirect, config, venue) as trading:
            for place in trading.places.all:
                place.poll.exchange.enableRateLimit = False  # a minute of waiting in all, for nothing

            async def near(slug: str, factor: str) -> Decimal:
                return await price_of(trading, slug, factor)

            yield Port(
                trading=trading,
                since_ms=wall_us() // US_PER_MS - OPENED_MS,
                thin=lambda: simulated.fault(kind="partial_fill", venue=venue, count=1),
                near=near,
                **_wallets(venue),
            )


def _wallets(venue: str) -> dict[str, Any]:
    if venue == "binance":
        return {
            "spot": "spot",
            "contracts": "futures",
            "other": "margin",
            "lender": "margin",
            "post_only": "refused",
        }
    return {
        "spot": "unified",
        "contracts": "unified",
        "other": "funding",
        "lender": None,
        "post_only": "canceled",
    }


async def until(condition: Callable[[], bool], *, sec: float = 10.0) -> None:
    """Wait for what must come; TimeoutError says that it did not."""
    async with asyncio.timeout(sec):
        while not condition():  # noqa: ASYNC110 - what is waited for is in plain lists
            await asyncio.sleep(0.01)
