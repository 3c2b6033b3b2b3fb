"""The venue's stream connections: who talks on which host and path, and when what he says is sent.

Public conversations speak once a step. Those of accounts speak as soon as something happens to the account,
and a step at the latest; faults may cut, silence, repeat or reorder them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

from services.venue import binance_ws, bitget_ws
from services.venue.binance_spot_stream import ApiSession
from services.venue.binance_usdm_stream import UserStream
from services.venue.bitget_private_ws import PrivateConversation
from services.venue.desk import STEP_MS, Desk, Instant
from services.venue.faults import STREAM, USER_STREAM, Board, Kind, Where
from services.venue.frames import Conversation, Frame, in_turn
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.refusals import protocol_of

log = logging.getLogger(__name__)

FRAME_BYTES_MAX: Final = 1 << 16
BACKLOG_BYTES_MAX: Final = 4 << 20  # a reader this far behind is cut off, as real venues do
_LISTEN_KEY: Final = re.compile(r"[A-Za-z0-9]{60,}", re.ASCII)
_DISCONNECT: Final = frozenset({Kind.WS_DISCONNECT})
_GAP: Final = STREAM - _DISCONNECT


class Streams:
    """All stream connections of a venue."""

    def __init__(
        self,
        houses: dict[Protocol, House],
        board: Board,
        *,
        ranks: dict[str, int],
        wall_ms: Callable[[], int],
    ) -> None:
        self._houses = houses
        self._board = board
        self._ranks = ranks
        self._wall_ms = wall_ms
        self._sockets: set[web.WebSocketResponse] = set()

    def stop(self) -> None:
        """Cut all connections."""
        for socket in list(self._sockets):
            _abort(socket)

    def _now(self, protocol: Protocol) -> Instant:
        return self._houses[protocol].desk.instant(self._wall_ms())

    async def serve(self, request: web.Request, host: str) -> web.StreamResponse:
        """One connection from its beginning to its end."""
        talk = self._conversation(request, host)
        if talk is None:
            return web.Response(status=404, text="no such stream")
        socket = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        ready = asyncio.Event()
        private = hasattr(talk, "on_ready")
        if private:
            talk.on_ready = ready.set
        pusher = asyncio.create_task(self._push(request, socket, talk, ready, private=private))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                for frame in talk.hear(message.data, self._now(protocol_of(host))):
                    await socket.send_str(frame.text)
                ready.set()
        except ConnectionError as error:
            log.debug("%s: the client has gone: %s", host, error)
        finally:
            pusher.cancel()
            await asyncio.gather(pusher, return_exceptions=True)
            self._sockets.discard(socket)
            if private:
                talk.close()
        return socket

    # --- who talks ---------------------------------------------------------------------------

    def _conversation(self, request: web.Request, host: str) -> Any:
        """The conversation of a host and path; None when the real host has no such stream."""
        path = request.path.rstrip("/")
        if protocol_of(host) == "bitget":
            return self._bitget(path) if host == "ws.bitget.com" else None
        house = self._houses["binance"]
        if host == "ws-api.binance.com":
            return ApiSession(house)
        if host == "ws-fapi.binance.com":
            return binance_ws.ApiConversation(house.desk)
        return self._binance(request, host, path)

    def _bitget(self, path: str) -> Any:
        if path == "/v3/ws/public":
            return bitget_ws.Conversation(self._houses["bitget"].desk)
        return PrivateConversation(self._houses["bitget"]) if path == "/v3/ws/private" else None

    def _binance(self, request: web.Request, host: str, path: str) -> Any:
        """Market streams, or the user stream that a listen key opens (in the path or as a parameter)."""
        house, now = self._houses["binance"], self._now("binance")
        parts = [part for part in path.split("/") if part not in ("public", "market", "private", "")]
        if host not in ("stream.binance.com", "fstream.binance.com") or not parts:
            return None
        if parts[0] not in ("ws", "stream"):
            return None
        wrapped = parts[0] == "stream"
        names = request.query.get("streams", "").split("/") if wrapped else parts[1:]
        key = request.query.get("listenKey") or next(
            (name for name in names if _LISTEN_KEY.fullmatch(name)), ""
        )
        if key and host == "fstream.binance.com":
            return UserStream(house, key, now, wrapped=wrapped)
        return binance_ws.Conversation(
            house.desk,
            "spot" if host == "stream.binance.com" else "perp",
            wrapped=wrapped,
            streams=tuple(name for name in names if "@" in name or name.startswith("!")),
            now=now,
        )

    # --- what is said ------------------------------------------------------------------------

    async def _push(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        talk: Conversation,
        ready: asyncio.Event,
        *,
        private: bool,
    ) -> None:
        """What is due, at each step or when an account has news; a cut or a slow reader ends it."""
        desk = self._houses[talk.protocol].desk
        held: list[Frame] = []
        while not socket.closed:
            news = await self._wait(ready if private else None)
            now = desk.instant(self._wall_ms())
            if desk.ended(now):
                await socket.close(code=1001, message=b"maintenance")
                return
            transport = request.transport
            if transport is None or transport.get_write_buffer_size() > BACKLOG_BYTES_MAX:
                log.warning("a stream's reader is too slow: cut off")
                abort_request(request)
                return
            if private:
                frames = self._tampered(desk, talk.push(now), held, flush=not news)
                sent = await self._send(request, socket, talk, [(None, frame) for frame in frames])
            else:
                sent = await self._send(request, socket, talk, self._in_turn(talk, now))
            if not sent:
                return

    async def _wait(self, ready: asyncio.Event | None) -> bool:
        """Until the next step, or news; whether it was news."""
        wall = self._wall_ms()
        left_sec = (STEP_MS - wall % STEP_MS) / 1_000
        if ready is None:
            await asyncio.sleep(left_sec)
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_sec):
                await ready.wait()
        news = ready.is_set()
        ready.clear()
        return news

    def _in_turn(self, talk: Conversation, now: Instant) -> list[tuple[float | None, Frame]]:
        """(when on the loop's own clock, frame): all connections count their waits from the step's start."""
        begin_sec = asyncio.get_running_loop().time() - (now.wall_ms - now.step * STEP_MS) / 1_000
        turns = in_turn(talk.push(now), now.step, self._ranks)
        return [(begin_sec + wait_ms / 1_000, frame) for wait_ms, frame in turns]

    async def _send(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        talk: Conversation,
        frames: list[tuple[float | None, Frame]],
    ) -> bool:
        """Send each at its time; False when a fault has cut the connection."""
        for when_sec, frame in frames:
            if when_sec is not None:
                await asyncio.sleep(when_sec - asyncio.get_running_loop().time())
            where = Where(talk.protocol, f"ws:{frame.stream}", frame.symbol)
            if self._board.strike(_DISCONNECT, where) is not None:
                abort_request(request)
                return False
            if self._board.strike(_GAP, where) is None:
                await socket.send_str(frame.text)
        return True

    def _tampered(self, desk: Desk, frames: list[Frame], held: list[Frame], *, flush: bool) -> list[Frame]:
        """An account's frames after the faults of user streams; `held` are those that wait for the next."""
        said: list[Frame] = []
        for frame in frames:
            fault = self._board.strike(USER_STREAM, Where(desk.protocol, f"ws:{frame.stream}", frame.symbol))
            match fault.kind if fault is not None else None:
                case Kind.USER_STREAM_GAP:
                    continue
                case Kind.USER_STREAM_REORDER:
                    held.append(frame)
                    continue
                case Kind.USER_STREAM_DUPLICATE:
                    said.append(frame)
            said += [frame, *held]
            held.clear()
        if flush:
            said += held
            held.clear()
        return said


def abort_request(request: web.Request) -> None:
    """Reset a request's connection."""
    if request.transport is not None:
        request.transport.abort()


def _abort(socket: web.WebSocketResponse) -> None:
    transport = socket.get_extra_info("transport") or getattr(socket, "_req", None)
    target = getattr(transport, "transport", transport)
    if target is not None and hasattr(target, "abort"):
        target.abort()
