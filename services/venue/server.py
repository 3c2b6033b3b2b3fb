"""The venue's sockets: one loopback TLS port for every exchange host, REST and WebSocket, and its faults.

Nothing of a protocol is known here: `door` answers calls, `streams` holds conversations, `house` trades.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from libs.common import runtime_file
from libs.common.clock import mono_us, wall_us
from libs.common.instant import MarketClock
from libs.exchange.redirect import EXCHANGE_HOSTS, LOOPBACK, VENUE_FILE, Redirect
from services.venue import certificate, customers
from services.venue.arrivals import Arrivals, parameters_of
from services.venue.control import Control
from services.venue.desk import STEP_MS, Desk, Instant
from services.venue.door import Door
from services.venue.faults import TRANSPORT, Board, Fault, Kind, Plan, Where
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.keeping import Keeper
from services.venue.keys import Key
from services.venue.market import Market
from services.venue.refusals import faulty, protocol_of
from services.venue.stamped import Stamped, arrived_ns
from services.venue.streams import Streams, abort_request
from services.venue.wire import Answer, Call

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 1 << 20


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What `venue.json` says. `keys` are those of the first user, by protocol."""

    port: int
    ca_path: str
    host: str
    control_port: int
    pid: int
    keys: dict[str, dict[str, str]]


class VenueServer:
    """A running simulated exchange. `start` and `stop` once each, inside one event loop."""

    def __init__(
        self,
        market: Market,
        clock: MarketClock,
        *,
        plan: Plan | None = None,
        port: int = 0,
        bind: str = LOOPBACK,
        host: str = LOOPBACK,
        since_ms: int | None = None,
        keeper: Keeper | None = None,
        users: int = 1,
        deposits: Mapping[tuple[str, str, str], Decimal] = customers.DEPOSITS,
        wall_ms: Callable[[], int] = lambda: wall_us() // 1_000,
    ) -> None:
        self.market = market
        self.clock = clock
        self._wall_ms = wall_ms
        self._wanted_port, self._bind, self._host = port, bind, host
        self._since_ms = since_ms
        begin = mono_us()
        self.board = Board(plan or Plan(), seconds=lambda: (mono_us() - begin) / 1e6)
        self._keeper = keeper
        kept = keeper.load() if keeper is not None else None
        self.houses: dict[Protocol, House] = {}
        for name in customers.PROTOCOLS:
            desk = Desk(name, market, clock, self.board)
            before = kept.houses.get(name) if kept is not None else None
            self.houses[name] = House(desk, born=desk.instant(wall_ms()), seed=market.seed, kept=before)
        self.desks: dict[Protocol, Desk] = {name: house.desk for name, house in self.houses.items()}
        self.keys = customers.move_in(self.houses, users, deposits, wall_ms())
        self.arrivals = Arrivals()
        self._door = Door(self.houses)
        symbols = sorted({symbol for _, symbol in market.recording.series})
        ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
        self._streams = Streams(self.houses, self.board, ranks=ranks, wall_ms=wall_ms)
        self._runners: list[web.AppRunner] = []
        self._listeners: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.port = 0
        self.control_port = 0
        self.ca_path = ""
        self.calls: dict[str, int] = {}
        self.failure: BaseException | None = None  # of the pump: a market that stands still trades no more

    # --- life --------------------------------------------------------------------------------

    async def start(self, *, folder: Path | None = None) -> Redirect:
        """Listen; the authority's certificate goes into `folder`, or a temporary one."""
        if folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fundarb-venue-")
            folder = Path(self._folder.name)
        authority, context = certificate.in_folder(folder, EXCHANGE_HOSTS, since_ms=self._since_ms)
        self.ca_path = str(authority)
        self.port = await self._listen(self._handle, self._bind, self._wanted_port, context)
        self.control_port = await self._listen(Control(self).handle, LOOPBACK, 0, None)
        self._spawn(self._pump())
        return self.redirect

    @property
    def redirect(self) -> Redirect:
        """Where a client finds this venue."""
        return Redirect(port=self.port, ca_path=self.ca_path, host=self._host)

    async def _listen(self, handler: Any, bind: str, port: int, context: ssl.SSLContext | None) -> int:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        loop = asyncio.get_running_loop()
        manager = runner.server
        listener = await loop.create_server(
            lambda: Stamped(manager, loop=loop, access_log=None), bind, port, ssl=context
        )
        self._listeners.append(listener)
        found: int = listener.sockets[0].getsockname()[1]
        return found

    def _spawn(self, work: Any) -> None:
        """Run beside the requests; what goes wrong in it is said, and `stop` ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("the venue's own work has failed: it answers nobody any more", exc_info=error)
            self.failure = error

    async def stop(self) -> None:
        """Close every connection and forget the certificate."""
        for listener in self._listeners:
            listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._streams.stop()
        for runner in self._runners:
            await runner.cleanup()
        if self._folder is not None:
            self._folder.cleanup()

    def open_user(self, name: str) -> dict[Protocol, Key]:
        """A user without money in every house, and his keys; the same ones when he is known already."""
        self.keys[name] = customers.open_user(self.houses, name, self._wall_ms())
        return self.keys[name]

    def now(self, protocol: Protocol) -> Instant:
        """The instant now, as a protocol's desk sees it."""
        return self.desks[protocol].instant(self._wall_ms())

    async def _pump(self) -> None:
        """Each step: the market moves on in the engines, and what is due happens."""
        while True:
            await asyncio.sleep((STEP_MS - self._wall_ms() % STEP_MS) / 1_000)
            for name, house in self.houses.items():
                house.step(self.now(name))
            self.keep()

    def keep(self) -> None:
        """What has changed is kept before anybody hears of it."""
        if self._keeper is None or not any(house.changed for house in self.houses.values()):
            return
        self._keeper.save(self.houses, self.clock.wall0_ms)
        for house in self.houses.values():
            house.changed = False

    def announce(self, folder: Path, *, pid: int) -> None:
        """Write `venue.json`."""
        said = Announcement(
            port=self.port,
            ca_path=self.ca_path,
            host=self._host,
            control_port=self.control_port,
            pid=pid,
            keys=customers.told(self.keys[customers.FIRST]),
        )
        runtime_file.write(folder / VENUE_FILE, said)

    # --- REST --------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = (request.host or "").rsplit(":", 1)[0].lower()
        if host not in EXCHANGE_HOSTS:
            return web.Response(status=421, text=f"{host}: no host of this venue")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._streams.serve(request, host)
        if self.failure is not None:
            return web.Response(status=500, text="the venue has failed: its log says why")
        protocol = protocol_of(host)
        call = Call(
            host=host,
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            now=self.now(protocol),
            raw_query=request.rel_url.raw_query_string,
            arrived_ns=arrived_ns(request),
        )
        name = f"{host}{request.path}"
        if name in self.calls or len(self.calls) < 1_000:
            self.calls[name] = self.calls.get(name, 0) + 1
        parameters = parameters_of(call)
        where = Where(protocol, call.path, parameters.get("symbol", ""), call.method)
        fault = self.board.strike(TRANSPORT, where)
        found = await self._faulty(call, fault) if fault is not None else self._door.answer(call)
        self.keep()
        if self._door.is_private(call):
            self.arrivals.note(protocol, call, parameters, found.status if found is not None else 0)
        if found is None:
            abort_request(request)
            return web.Response(status=500)
        if fault is not None and fault.kind == Kind.TRUNCATED:
            return await _truncated(request, found)
        return _response(found)

    async def _faulty(self, call: Call, fault: Fault) -> Answer | None:
        """What is answered under a fault; None resets the connection."""
        found: Answer | None = None
        match fault.kind:
            case Kind.DELAY if fault.processed:
                found = self._door.answer(call)
                await asyncio.sleep(fault.delay_ms / 1_000)
            case Kind.DELAY:
                await asyncio.sleep(fault.delay_ms / 1_000)
                found = self._door.answer(call, landing=self.now(protocol_of(call.host)))
            case Kind.DROP | Kind.REQUEST_LOST:
                pass
            case Kind.REPLY_LOST:
                self._door.answer(call)
            case Kind.LATE_LANDING:
                self._spawn(self._land(call, fault.delay_ms))
            case Kind.TRUNCATED if fault.processed is not False:
                found = self._door.answer(call)
            case _:
                if fault.processed:
                    self._door.answer(call)
                found = faulty(fault, call)
        return found

    async def _land(self, call: Call, delay_ms: int) -> None:
        """Carry out a request whose sender has long been told that the connection is gone."""
        await asyncio.sleep(delay_ms / 1_000)
        self._door.answer(call, landing=self.now(protocol_of(call.host)))


def _response(found: Answer) -> web.Response:
    return web.Response(
        status=found.status, body=found.body, content_type=found.content_type, headers=found.headers
    )


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
