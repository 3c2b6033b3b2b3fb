"""The venue's control endpoint, plain HTTP on loopback: faults at run time, provenance, clock, counts.

GET /faults       what is on the board and what has struck
POST /faults      a plan (JSON, see `faults`): its faults are added, their times count from now
DELETE /faults    take all off
GET /provenance   field -> where it comes from (recorded or synthesised)
GET /state        clock, market time, listed instruments, calls by path
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from libs.common.clock import wall_us
from services.venue.faults import decode

if TYPE_CHECKING:
    from services.venue.server import VenueServer


def provenance(server: VenueServer) -> dict[str, str]:
    """Where each field of the replay comes from."""
    return dict(server.market.recording.provenance)


class Control:
    """Handles the control endpoint's requests."""

    def __init__(self, server: VenueServer) -> None:
        self._server = server

    async def handle(self, request: web.Request) -> web.Response:
        """One request. Only a loopback Host is served: a web page in a browser must not reach in."""
        if (request.host or "").rsplit(":", 1)[0] not in ("127.0.0.1", "localhost"):
            return _json({"error": "this endpoint is for this machine"}, status=403)
        match (request.method, request.path.rstrip("/")):
            case ("GET" | "POST" | "DELETE" as method, "/faults"):
                return self._faults(method, await request.read())
            case ("GET", "/provenance"):
                return _json(provenance(self._server))
            case ("GET", "/state" | ""):
                return _json(self._state())
            case _:
                usage = "GET /state, /provenance, /faults; POST or DELETE /faults"
                return _json({"error": usage}, status=404)

    def _faults(self, method: str, text: bytes) -> web.Response:
        board = self._server.board
        if method == "POST":
            try:
                board.add(decode(text).faults)
            except ValueError as error:
                return _json({"error": str(error)}, status=400)
        elif method == "DELETE":
            board.clear()
        return _json(board.describe())

    def _state(self) -> dict[str, Any]:
        server = self._server
        market_ms = server.clock.at(wall_us())
        return {
            "clock": msgspec.to_builtins(server.clock),
            "market_ms": market_ms,
            "ended": {name: server.market.ended(name, market_ms) for name in server.desks},
            "listed": {
                name: [one.symbol for one in server.market.listed(name, "perp", market_ms)]
                for name in server.desks
            },
            "calls": dict(server.calls),
        }


def _json(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
