"""A small server that answers for exchanges, so that real ccxt classes run against payloads.

ccxt itself is untouched: its documented `urls` lead here, `https://host/path` as
`http://127.0.0.1:port/host/path`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, web

from libs.common.clock import SystemClock
from libs.common.instant import Clock
from libs.exchange.adapter import CcxtMarketData
from libs.exchange.client import make_exchange
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec, Quirks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = Any  # JSON, or a web.Response maker


class Loopback:
    """Answers by the end of the path; everything asked is kept in `asked` as (path, query)."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.on_frame: Callable[[web.WebSocketResponse, str], Awaitable[None]] | None = None
        self.connections = 0
        self.delay_sec = 0.0
        self.port = 0

    def serve(self, path: str, answer: Any) -> None:
        """`answer`: JSON, a function of the query giving JSON, or an (status, text, headers) triple."""
        self.answers[path] = answer

    async def until(self, reached: Callable[[], bool], *, within_sec: float = 10.0) -> None:
        """Wait for something that the server sees."""
        async with asyncio.timeout(within_sec):
            while not reached():  # noqa: ASYNC110 - what is awaited has no event: any state of the server
                await asyncio.sleep(0.02)

    def count(self, path: str) -> int:
        return sum(asked.endswith(path) for asked, _ in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        query = dict(request.query)
        if request.method == "POST":
            query |= {"body": await request.text()}
        self.asked.append((request.path, query))
        await asyncio.sleep(self.delay_sec)
        for path, answer in self.answers.items():
            if request.path.endswith(path):
                return reply(answer(query) if callable(answer) else answer)
        return web.json_response({"code": 404, "msg": f"no answer for {request.path}"}, status=404)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self.sockets.append(socket)
        async for message in socket:
            self.asked.append((request.path, {"frame": str(message.data)}))
            if self.on_frame is not None:
                await self.on_frame(socket, str(message.data))
        self.sockets.remove(socket)
        return socket


def reply(answer: Any) -> web.Response:
    if isinstance(answer, tuple):
        status, text, headers = answer
        return web.Response(status=status, text=text, headers=headers, content_type="text/html")
    return web.Response(text=json.dumps(answer), content_type="application/json")


def lead_here(urls: Any, port: int) -> Any:
    """A ccxt `urls` tree with every address leading to the local port, the host as first path segment."""
    if isinstance(urls, dict):
        return {key: lead_here(value, port) for key, value in urls.items()}
    if isinstance(urls, str):
        local = re.sub(r"\Ahttps?://", f"http://127.0.0.1:{port}/", urls)
        return re.sub(r"\Awss?://", f"ws://127.0.0.1:{port}/", local)
    return urls


@contextlib.asynccontextmanager
async def loopback(port: int = 0) -> AsyncIterator[Loopback]:
    """A server on loopback, at `port` or any free one."""
    server = Loopback()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def opened(
    server: Loopback,
    venue: str,
    *,
    clock: Clock | None = None,
    timeout_sec: float = 3.0,
    markets: list[dict[str, Any]] | None = None,
    quirks: Quirks | None = None,
) -> AsyncIterator[CcxtMarketData]:
    """The adapter of `venue` on `server`. With `markets` they are set, as if `load` had read them."""
    session = ClientSession()

    def open_exchange(spec: ClientSpec) -> Any:
        exchange = make_exchange(spec, session=session, timeout_sec=timeout_sec, options={})
        exchange.urls["api"] = lead_here(exchange.urls["api"], server.port)
        exchange.enableRateLimit = False
        if markets is not None:
            exchange.set_markets([exchange.safe_market_structure(market) for market in markets])
        return exchange

    data = CcxtMarketData(
        venue,
        quirks or quirks_of(venue),
        clock=clock or SystemClock(),
        open_exchange=open_exchange,
        close_shared=session.close,
    )
    if markets is not None:
        data.adopt_markets()
    try:
        yield data
    finally:
        await data.close()


def perp(base: str, market_id: str, *, quote: str = "USDT", size: float = 1.0, **info: Any) -> dict[str, Any]:
    """A linear perpetual as ccxt has it after load_markets."""
    return {
        "id": market_id,
        "lowercaseId": market_id.lower(),  # Binance's streams
        "symbol": f"{base}/{quote}:{quote}",
        "base": base,
        "quote": quote,
        "settle": quote,
        "baseId": base,
        "quoteId": quote,
        "settleId": quote.lower(),  # Gate's form; no other venue's requests hold it
        "baseName": base,
        "type": "swap",
        "spot": False,
        "margin": False,
        "swap": True,
        "future": False,
        "option": False,
        "contract": True,
        "linear": True,
        "inverse": False,
        "active": True,
        "contractSize": size,
        "precision": {"amount": 1.0, "price": 0.1},
        "limits": {"amount": {"min": 1.0}, "cost": {"min": None}},
        "info": info,
    }


def spot(base: str, market_id: str, *, quote: str = "USDT", margin: bool = True) -> dict[str, Any]:
    """A spot market as ccxt has it after load_markets."""
    return {
        "id": market_id,
        "symbol": f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "margin": margin,
        "swap": False,
        "future": False,
        "option": False,
        "contract": False,
        "active": True,
        "precision": {"amount": 0.0001, "price": 0.01},
        "limits": {"amount": {"min": 0.0001}, "cost": {"min": 5.0}},
        "info": {},
    }
