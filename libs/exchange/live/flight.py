"""An order whose bytes are ready before it may go: releasing it is one write, all else comes after.

The bytes are those that ccxt has built for an order of the same shape (`stencil`). When they are written,
ccxt's own `create_order` runs: it builds its request as always, finds that the order is on its way already,
and reads the answer as it would have read its own: errors, parsing and mapping are ccxt's.

The connection comes from the session's own pool and goes back there when the answer was read to its end. The
pieces of aiohttp that are used here by hand (`Connector.connect`, `ClientResponse`) are those of one version;
with any other ccxt and aiohttp send as they do it themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, cast

import aiohttp
import msgspec
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

from libs.exchange.live import wire as on_wire
from libs.exchange.live.held import Read, concluded
from libs.exchange.live.stencil import Seen
from libs.exchange.live.wire import CALL, Call, SecondWrite
from libs.exchange.trading_values import NeverSent, OrderRequest, Outcome

log = logging.getLogger(__name__)

AIOHTTP_VERSIONS: Final = frozenset({"3.14.5"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

Order = Callable[[], Coroutine[Any, Any, Any]]
"""Calls ccxt's `create_order`: builds the request, sends it, reads the answer."""


class Rehearsed(Exception):
    """A request was built to be looked at; nothing is sent."""


class OrderSession:
    """A session whose POST of an order may be answered by who has sent it already."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def post(self, url: URL, **how: Any) -> Any:
        """As the session's, unless this request carries an order that `Call.instead` answers for."""
        call = CALL.get()
        if call is None or call.instead is None or not call.armed:
            return self.session.post(url, **how)
        return call.instead(url, how)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where the orders of a shape go: `request` has the address of their connections."""

    session: aiohttp.ClientSession
    request: aiohttp.ClientRequest
    timeout: aiohttp.ClientTimeout
    seen: Seen

    async def connect(self) -> aiohttp.connector.Connection:
        """A connection of the pool (without a wait) or a new one; raises what aiohttp raises."""
        if self.session.connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        async with asyncio.timeout(self.timeout.total):
            return await self.session.connector.connect(self.request, traces=[], timeout=self.timeout)

    def idle(self) -> aiohttp.connector.Connection | None:
        """A connection of the pool, which answers without a wait; None when none is open and free."""
        if self.session.connector is None:
            return None
        asked = self.session.connector._get(self.request.connection_key, [])  # noqa: SLF001 - see `fits`
        try:
            asked.send(None)
        except StopIteration as found:
            return cast("aiohttp.connector.Connection | None", found.value)
        asked.close()
        return None

    def cookies(self) -> str:
        """The header line of the venue's cookies, as aiohttp writes it; empty without any."""
        jar = self.session.cookie_jar
        found = jar.filter_cookies(self.request.url) if len(jar) else None
        if not found:
            return ""
        loop, url = asyncio.get_running_loop(), self.request.url
        asked = aiohttp.ClientRequest("POST", url, cookies=found, loop=loop, session=self.session)
        return f"Cookie: {asked.headers['Cookie']}\r\n"


def fits() -> bool:
    """Whether the installed aiohttp is one whose pieces are known here."""
    return aiohttp.__version__ in AIOHTTP_VERSIONS


async def rehearse(session: OrderSession, order: Order, marker: str) -> Route | None:
    """What ccxt and aiohttp would send for an order; None when it is more than one request, or goes by a
    proxy. Nothing is sent.
    """
    asked: list[tuple[URL, dict[str, Any]]] = []

    def instead(url: URL, how: dict[str, Any]) -> Any:
        asked.append((url, how))
        raise Rehearsed

    call = Call(marker)
    call.instead, call.rehearses = instead, True
    token = CALL.set(call)
    try:
        await order()
    except Exception as error:  # noqa: BLE001 - ccxt may wrap it, or find the order wrong by itself
        if not asked:
            log.debug("an order could not be rehearsed: %s", error)
    finally:
        CALL.reset(token)
    if len(asked) != 1:
        return None
    url, how = asked[0]
    return _route(session.session, url, how)


def _route(session: aiohttp.ClientSession, url: URL, how: dict[str, Any]) -> Route | None:
    data, headers = how.get("data"), CIMultiDict(session.headers)
    if how.get("proxy") is not None or session.trust_env or not isinstance(data, bytes):
        return None
    headers.update(how.get("headers") or {})
    loop = asyncio.get_running_loop()
    request = aiohttp.ClientRequest("POST", url, headers=headers, data=data, loop=loop, session=session)
    return Route(
        session=session,
        request=request,
        timeout=how["timeout"],
        seen=Seen(path=url.raw_path_qs, headers=tuple(request.headers.items()), body=data.decode()),
    )


class Flight:
    """See trading.Prepared: bytes and connection are ready. Whoever gets it releases or abandons it."""

    def __init__(
        self,
        venue: str,
        request: OrderRequest,
        call: Call,
        wire: bytes,
        *,
        route: Route,
        connection: aiohttp.connector.Connection,
        order: Order,
        read: Read,
        compare: Callable[[Seen | None], None],
    ) -> None:
        """`order` reads the answer; `compare` is told what ccxt would have sent, once it has been sent."""
        self.request = request
        self._venue = venue
        self._call = call
        self._wire = wire
        self._route = route
        self._connection = connection
        self._order = order
        self._read = read
        self._compare = compare
        self._task: asyncio.Task[Any] | None = None
        self._dropped = ""
        self._abandoned = False
        self._landed = False
        loop = asyncio.get_running_loop()
        hold_sec = on_wire.HOLD_SEC_MAX
        why = f"signed, and not let go within {hold_sec:g} s"
        self._expiry = loop.call_later(hold_sec, self._drop, why)
        call.instead = self._answer

    @property
    def alive(self) -> bool:
        """Whether it can be written still: not dropped, and the connection stands and is in order."""
        protocol = self._connection.protocol
        return protocol is not None and not protocol.should_close and protocol.is_connected()

    def release(self) -> None:
        """See trading.Prepared. One write; a connection that has ended meanwhile gets none of it."""
        if self._task is not None:
            raise SecondWrite("an order is written once")
        if self._abandoned:
            raise RuntimeError("an abandoned order cannot be let go")
        if self._dropped:
            return  # too late: `outcome` says so
        self._expiry.cancel()
        transport = self._connection.transport
        if transport is None or not self.alive:
            self._drop("its connection had ended before it was let go")
            return
        self._call.released = self._call.connected = True
        context = contextvars.copy_context()
        context.run(CALL.set, self._call)
        self._task = asyncio.get_running_loop().create_task(self._follow(), context=context)
        transport.write(self._wire)

    async def outcome(self) -> Outcome:
        """See trading.Prepared. When the waiting is cancelled so is the reading: it stays unknown."""
        if self._task is None:
            return NeverSent(why=self._dropped or "it was not let go")
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            raise
        return concluded(self._venue, self._call, self._task, self._read)

    async def abandon(self, why: str) -> NeverSent:
        """See trading.Prepared."""
        return self.drop(why)

    def drop(self, why: str) -> NeverSent:
        """`abandon` without a wait."""
        if self._task is not None:
            raise RuntimeError("an order that was let go cannot be abandoned")
        self._abandoned = True
        self._drop(why)
        return NeverSent(why=why)

    def _drop(self, why: str) -> None:
        """Not one byte was written: the connection is as good as before."""
        self._expiry.cancel()
        if not self._dropped:
            self._dropped = why
            self._connection.release()

    async def _follow(self) -> Any:
        try:
            return await self._order()
        finally:
            if not self._landed:  # ccxt did not come as far as to read it: nobody else may
                self._connection.close()

    @contextlib.asynccontextmanager
    async def _answer(self, url: URL, how: dict[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to what was written, in the place of ccxt's own POST."""
        if self._landed:
            raise SecondWrite("an order is written once; ccxt asked for it again")
        self._landed = True
        found = _route(self._route.session, url, how)
        self._compare(None if found is None else found.seen)
        timeout: aiohttp.ClientTimeout = how["timeout"]
        async with asyncio.timeout(timeout.total):
            response = await self._response(timeout.sock_read)
            try:
                yield response
            except BaseException:
                response.close()
                raise
            response.release()

    async def _response(self, silent_sec_max: float | None) -> aiohttp.ClientResponse:
        protocol, route = self._connection.protocol, self._route
        if protocol is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True, read_timeout=silent_sec_max)
        protocol.start_timeout()
        response = aiohttp.ClientResponse(
            "POST",
            route.request.url,
            writer=None,
            continue100=None,
            timer=None,  # type: ignore[arg-type]  # its own default: time is kept here
            request_info=route.request.request_info,
            traces=[],
            loop=asyncio.get_running_loop(),
            session=route.session,
            stream_writer=cast("AbstractStreamWriter", _Written(output_size=len(self._wire))),
        )
        try:
            await response.start(self._connection)
            _stay(response.status)
        except BaseException:
            response.close()
            self._connection.close()
            raise
        if cookies := response.headers.getall("Set-Cookie", ()):
            route.session.cookie_jar.update_cookies_from_headers(cookies, route.request.url)
        return response


def _stay(status: int) -> None:
    if status in _REDIRECTS:
        raise SecondWrite("an order is written once; the venue asked for it elsewhere")


class _Written(msgspec.Struct, frozen=True):
    """As much of a stream writer as a response asks of one that is done."""

    output_size: int
