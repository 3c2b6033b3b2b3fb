"""How an order is held back between signing and writing, with ccxt and aiohttp as they are.

ccxt builds, signs and sends in one call. Two documented places let us in: ccxt's own methods (`fetch`,
`on_rest_response`, `handle_errors`), overridden in a subclass, and aiohttp's tracing, whose "connection
acquired" signals are awaited after a connection is there and before the request is written to it. An order
waits at that point. When it is let go, only the write is left to do: two orders that are let go in one turn
of the loop leave microseconds apart, whatever signing or a handshake took.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

import aiohttp
from yarl import URL

from libs.common.clock import mono_us
from libs.exchange import wire_times
from libs.exchange.client import StrictAnswers
from libs.exchange.errors import describe
from libs.exchange.live.budget import Budget
from libs.exchange.trading_outcomes import Failure, code_of

HOLD_SEC_MAX: Final = 2.0
"""A signed order grows stale (receive windows of 5 s and more): beyond this it is dropped instead."""


class HeldTooLong(Exception):
    """An order was prepared and never let go."""


class Abandoned(Exception):
    """An order was prepared and dropped."""


class SecondWrite(aiohttp.ClientError):
    """aiohttp wanted to write an order again (a redirect): an id is sent once, ever."""


class Call:
    """What happens to one call of ccxt on the wire. `marker` (an order's client id) makes it an order.

    `ready` is done when the order is signed and has its connection; `release` lets it go. `instead` answers
    the order's POST in place of the session (see `flight`); a call that `rehearses` sends nothing at all.
    """

    def __init__(self, marker: str = "") -> None:
        self.marker = marker
        self.status: int | None = None
        self.answer: Any = None
        self.released = False
        self.connected = False
        self.stray = False
        self.instead: Callable[[URL, dict[str, Any]], Any] | None = None
        self.rehearses = False
        self.armed = False
        self._written = False
        self._abandoned = ""
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self._gate: asyncio.Future[None] = loop.create_future()

    def is_order(self, url: str, body: object) -> bool:
        """Whether this request of the call carries the order: its client id is in it."""
        return bool(self.marker) and (self.marker in url or (isinstance(body, str) and self.marker in body))

    def arm(self) -> None:
        """The order's request is built: it stops at its connection."""
        self.armed = True

    def disarm(self) -> None:
        """What comes after the order's request is no order."""
        self.armed = False

    async def at_connection(self) -> None:
        """A connection was acquired: wait here when it is the order's."""
        if self.armed:
            if self.instead is not None:
                raise SecondWrite("an order that was written by hand asked for a connection")
            self.connected = True
            await self.hold()

    async def hold(self) -> None:
        """Wait to be let go. Raises `HeldTooLong`, `Abandoned`, and `SecondWrite` on a second visit."""
        if self._written:
            raise SecondWrite("an order is written once; the venue asked for it again")
        if not self.ready.done():
            self.ready.set_result(None)
        if not self.released:
            try:
                async with asyncio.timeout(HOLD_SEC_MAX):
                    await self._gate
            except TimeoutError:
                if not self.released:
                    raise HeldTooLong(f"signed, and not let go within {HOLD_SEC_MAX:g} s") from None
        if self._abandoned:
            raise Abandoned(self._abandoned)
        self._written = True

    def release(self) -> None:
        """Let it go in this turn of the loop; refused after `abandon`."""
        if self._abandoned:
            raise RuntimeError("an abandoned order cannot be let go")
        self.released = True
        if not self._gate.done():
            self._gate.set_result(None)

    def abandon(self, why: str) -> None:
        """Never let it go."""
        if self.released:
            raise RuntimeError("an order that was let go cannot be abandoned")
        self._abandoned = why
        if not self._gate.done():
            self._gate.set_result(None)

    def failure(self, error: BaseException) -> Failure:
        """The facts of a call that raised."""
        code, message = code_of(self.answer)
        return Failure(
            # a POST that carried no marker may have been the order: it counts as let go
            released=self.released or self.stray,
            connected=self.connected or self.stray,
            refused=is_refused(error),
            status=self.status,
            answered=isinstance(self.answer, dict | list),
            code=code,
            message=message,
            kinds=frozenset(kind.__name__ for kind in type(error).__mro__),
            text=describe(error),
        )


CALL: Final[contextvars.ContextVar[Call | None]] = contextvars.ContextVar("call", default=None)
"""The call that runs in this task."""

_HOOKED: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
S = TypeVar("S")


def is_refused(error: BaseException) -> bool:
    """Whether no connection came about: refused, unreachable, or a name that no server knows."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, aiohttp.ClientConnectorError | socket.gaierror | ConnectionRefusedError):
            return True
        seen = seen.__cause__
    return False


async def _acquired(*_: Any) -> None:
    call = CALL.get()
    if call is not None:
        await call.at_connection()


def tracing() -> aiohttp.TraceConfig:
    """What a session needs, to hold orders at their connection."""
    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(_acquired)
    config.on_connection_create_end.append(_acquired)
    return config


def hooked(session: S) -> S:
    """Remember that `session` was made with `tracing()`: others hold orders before the connection."""
    _HOOKED.add(session)
    return session


class Held(StrictAnswers):
    """A ccxt class (which comes after in the bases) whose orders can be held, and whose answers are noted.

    `budget` reads every answer's headers.
    """

    budget: Budget | None = None
    session: aiohttp.ClientSession

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """One HTTP request of ccxt."""
        call = CALL.get()
        if call is None or not call.marker:
            began_us = mono_us()  # the limiter has been waited for before
            try:
                return await super().fetch(url, method, headers, body)  # type: ignore[misc]  # ccxt's class
            finally:
                wire_times.note(mono_us() - began_us)
        if not call.is_order(url, body):
            if call.rehearses:
                raise SecondWrite("an order that needs more than one request")
            call.stray = call.stray or (method not in ("GET", "HEAD") and not self.asks_by_post(url))
            return await super().fetch(url, method, headers, body)  # type: ignore[misc]
        if call.instead is None and self._unhooked(url, method, headers, body):
            await call.hold()
            return await super().fetch(url, method, headers, body)  # type: ignore[misc]
        call.arm()
        try:
            return await super().fetch(url, method, headers, body)  # type: ignore[misc]
        finally:
            call.disarm()

    def asks_by_post(self, url: str) -> bool:
        """Whether a POST only reads (Hyperliquid's info endpoint)."""
        return url.endswith("/info")

    def _unhooked(self, url: str, method: str, headers: Any, body: Any) -> bool:
        """Whether the request goes by a session of ccxt's own making (SOCKS proxies)."""
        _, _, socks = self.check_proxy_settings(url, method, headers, body)  # type: ignore[attr-defined]
        return bool(socks) or self.session not in _HOOKED

    def on_rest_response(self, code: int, *args: Any, **kwargs: Any) -> Any:
        """Note the status, and let the budget read the headers (4th of ccxt's arguments after the code)."""
        wire_times.answered(code)
        call = CALL.get()
        if call is not None:
            call.status = code
        reply = super().on_rest_response(code, *args, **kwargs)
        if self.budget is not None and len(args) > 3 and isinstance(args[3], dict):
            self.budget.read(str(args[1]), code, args[3])
        return reply

    def handle_errors(self, *args: Any) -> Any:
        """Note the decoded answer before ccxt turns it into an exception whose text may lack the code."""
        call = CALL.get()
        if call is not None:
            call.answer = args[6]
        return super().handle_errors(*args)  # type: ignore[misc]

    def handle_message(self, client: Any, message: Any) -> None:
        """A frame that ccxt cannot read breaks its socket at once. By itself the error would end the loop
        that receives, and nobody would be told before pings are missed (Binance: six minutes).
        """
        try:
            super().handle_message(client, message)  # type: ignore[misc]  # ccxt's class
        except Exception as error:  # noqa: BLE001 - third-party parsing of third-party frames
            client.on_error(error)
