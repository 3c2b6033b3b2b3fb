"""The venue's sockets: one loopback TLS port for every exchange host, REST and WebSocket, and its faults.

Nothing of a protocol is known here: `door` answers calls, `binance_ws` and `bitget_ws` hold conversations.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from libs.common import runtime_file
from libs.common.clock import mono_us, wall_us
from libs.common.instant import MarketClock
from libs.exchange.redirect import EXCHANGE_HOSTS, LOOPBACK, VENUE_FILE, Redirect
from services.venue import binance_ws, bitget_ws, certificate
from services.venue.control import Control
from services.venue.desk import STEP_MS, Desk
from services.venue.door import Door, faulty, protocol_of
from services.venue.faults import STREAM, TRANSPORT, Board, Fault, Kind, Plan, Where
from services.venue.frames import Conversation, Frame, in_turn
from services.venue.instruments import Protocol
from services.venue.market import Market
from services.venue.wire import Answer, Call

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 1 << 20
FRAME_BYTES_MAX: Final = 1 << 16
BACKLOG_BYTES_MAX: Final = 4 << 20  # a reader this far behind is cut off, as real venues do
_DISCONNECT: Final = frozenset({Kind.WS_DISCONNECT})
_GAP: Final = STREAM - _DISCONNECT


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What `venue.json` says."""

    port: int
    ca_path: str
    control_port: int
    pid: int


class VenueServer:
    """A running simulated exchange. `start` and `stop` once each, inside one event loop."""

    def __init__(
        self,
        market: Market,
        clock: MarketClock,
        *,
        plan: Plan | None = None,
        port: int = 0,
        since_ms: int | None = None,
        wall_ms: Callable[[], int] = lambda: wall_us() // 1_000,
    ) -> None:
        self.market = market
        self.clock = clock
        self._wall_ms = wall_ms
        self._wanted_port = port
        self._since_ms = since_ms
        begin = mono_us()
        self.board = Board(plan or Plan(), seconds=lambda: (mono_us() - begin) / 1e6)
        self.desks: dict[Protocol, Desk] = {
            "binance": Desk("binance", market, clock, self.board),
            "bitget": Desk("bitget", market, clock, self.board),
        }
        self._door = Door(self.desks)
        symbols = sorted({symbol for _, symbol in market.recording.series})
        self._ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
        self._runners: list[web.AppRunner] = []
        self._sockets: set[web.WebSocketResponse] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.port = 0
        self.control_port = 0
        self.ca_path = ""
        self.calls: dict[str, int] = {}

    # --- life --------------------------------------------------------------------------------

    async def start(self, *, folder: Path | None = None) -> Redirect:
        """Listen; the authority's certificate goes into `folder`, or a temporary one."""
        if folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fundarb-venue-")
            folder = Path(self._folder.name)
        authority, context = certificate.in_folder(folder, EXCHANGE_HOSTS, since_ms=self._since_ms)
        self.ca_path = str(authority)
        self.port = await self._listen(self._handle, self._wanted_port, context)
        self.control_port = await self._listen(Control(self).handle, 0, None)
        return self.redirect

    @property
    def redirect(self) -> Redirect:
        """Where a client finds this venue."""
        return Redirect(port=self.port, ca_path=self.ca_path)

    async def _listen(self, handler: Any, port: int, context: ssl.SSLContext | None) -> int:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, LOOPBACK, port, ssl_context=context)
        await site.start()
        found: int = runner.addresses[0][1]
        return found

    async def stop(self) -> None:
        """Close every connection and forget the certificate."""
        for socket in list(self._sockets):
            _abort(socket)
        for runner in self._runners:
            await runner.cleanup()
        if self._folder is not None:
            self._folder.cleanup()

    def announce(self, folder: Path, *, pid: int) -> None:
        """Write `venue.json`."""
        said = Announcement(port=self.port, ca_path=self.ca_path, control_port=self.control_port, pid=pid)
        runtime_file.write(folder / VENUE_FILE, said)

    # --- REST --------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = (request.host or "").rsplit(":", 1)[0].lower()
        if host not in EXCHANGE_HOSTS:
            return web.Response(status=421, text=f"{host}: no host of this venue")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._stream(request, host)
        call = Call(
            host=host,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            now=self.desks[protocol_of(host)].instant(self._wall_ms()),
        )
        name = f"{host}{request.path}"
        if name in self.calls or len(self.calls) < 1_000:
            self.calls[name] = self.calls.get(name, 0) + 1
        where = Where(protocol_of(host), call.path, call.query.get("symbol", ""))
        fault = self.board.strike(TRANSPORT, where)
        if fault is not None:
            return await self._faulty(request, call, fault)
        return _response(self._door.answer(call))

    async def _faulty(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case Kind.DELAY:
                await asyncio.sleep(fault.delay_ms / 1_000)
                return _response(self._door.answer(call))
            case Kind.DROP:
                _abort_request(request)
                return web.Response(status=500)
            case Kind.TRUNCATED:
                return await _truncated(request, self._door.answer(call))
            case _:
                return _response(faulty(fault, call))

    # --- streams -----------------------------------------------------------------------------

    async def _stream(self, request: web.Request, host: str) -> web.StreamResponse:
        conversation = self._conversation(request, host)
        if conversation is None:
            return web.Response(status=404, text="no such stream")
        socket = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        pusher = asyncio.create_task(self._push(request, socket, conversation))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                now = self.desks[protocol_of(host)].instant(self._wall_ms())
                for frame in conversation.hear(message.data, now):
                    await socket.send_str(frame.text)
        except ConnectionError as error:
            log.debug("%s: the client has gone: %s", host, error)
        finally:
            pusher.cancel()
            await asyncio.gather(pusher, return_exceptions=True)
            self._sockets.discard(socket)
        return socket

    def _conversation(self, request: web.Request, host: str) -> Conversation | None:
        """Who talks on which host and path; None when the real host has no such stream."""
        path = request.path.rstrip("/")
        if host == "ws.bitget.com":
            if path == "/v3/ws/public":
                return bitget_ws.Conversation(self.desks["bitget"])
            return bitget_ws.PrivateConversation() if path == "/v3/ws/private" else None
        desk = self.desks["binance"]
        if host in ("ws-api.binance.com", "ws-fapi.binance.com"):
            return binance_ws.ApiConversation(desk)
        if host not in ("stream.binance.com", "fstream.binance.com"):
            return None
        parts = [part for part in path.split("/") if part not in ("public", "market", "private", "")]
        if not parts or parts[0] not in ("ws", "stream"):
            return None
        wrapped = parts[0] == "stream"
        streams = request.query.get("streams", "").split("/") if wrapped else parts[1:]
        return binance_ws.Conversation(
            desk,
            "spot" if host == "stream.binance.com" else "perp",
            wrapped=wrapped,
            streams=tuple(name for name in streams if "@" in name or name.startswith("!")),
            now=desk.instant(self._wall_ms()),
        )

    async def _push(self, request: web.Request, socket: web.WebSocketResponse, talk: Conversation) -> None:
        """Every step: what is due, unless a fault holds it back; a cut or a slow reader ends it."""
        desk = self.desks[talk.protocol]
        while not socket.closed:
            wall = self._wall_ms()
            await asyncio.sleep((STEP_MS - wall % STEP_MS) / 1_000)
            now = desk.instant(self._wall_ms())
            if desk.ended(now):
                await socket.close(code=1001, message=b"maintenance")
                return
            transport = request.transport
            if transport is None or transport.get_write_buffer_size() > BACKLOG_BYTES_MAX:
                log.warning("a stream's reader is too slow: cut off")
                _abort_request(request)
                return
            # Where the step began on the loop's own clock: all connections count their waits from there.
            begin_sec = asyncio.get_running_loop().time() - (now.wall_ms - now.step * STEP_MS) / 1_000
            for wait_ms, frame in in_turn(talk.push(now), now.step, self._ranks):
                await asyncio.sleep(begin_sec + wait_ms / 1_000 - asyncio.get_running_loop().time())
                if self._cut(talk.protocol, frame):
                    _abort_request(request)
                    return
                if not self._held_back(talk.protocol, frame):
                    await socket.send_str(frame.text)

    def _cut(self, protocol: str, frame: Frame) -> bool:
        return self.board.strike(_DISCONNECT, Where(protocol, f"ws:{frame.stream}", frame.symbol)) is not None

    def _held_back(self, protocol: str, frame: Frame) -> bool:
        return self.board.strike(_GAP, Where(protocol, f"ws:{frame.stream}", frame.symbol)) is not None


def _response(found: Answer) -> web.Response:
    return web.Response(
        status=found.status, body=found.body, content_type=found.content_type, headers=found.headers
    )


def _abort_request(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _abort(socket: web.WebSocketResponse) -> None:
    transport = socket.get_extra_info("transport") or getattr(socket, "_req", None)
    target = getattr(transport, "transport", transport)
    if target is not None and hasattr(target, "abort"):
        target.abort()


async def _truncated(request: web.Request, found: Answer) -> web.StreamResponse:
    """Promise the whole body, send half, hang up."""
    response = web.StreamResponse(status=found.status)
    response.content_type = found.content_type
    response.content_length = len(found.body)
    await response.prepare(request)
    await response.write(found.body[: len(found.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
