"""The simulated venue's protocols without sockets: calls at its door, conversations, all at chosen times."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from libs.common.instant import MarketClock
from services.venue import customers, recording
from services.venue.desk import Desk, Instant
from services.venue.door import Door
from services.venue.faults import Board, Fault, Plan
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.market import DEFAULT_START_MS, Market
from services.venue.refusals import protocol_of
from services.venue.wire import Answer, Call

WALL0_MS = 1_800_000_000_000


class Bench:
    """A door with its desks over the sample, at any wall time; market time starts at `start_ms`."""

    def __init__(
        self, *, start_ms: int = DEFAULT_START_MS, speed: float = 1.0, market: Market | None = None
    ) -> None:
        self.market = market or Market(recording.load())
        self.clock = MarketClock(market0_ms=start_ms, wall0_ms=WALL0_MS, speed=speed)
        self.seconds = 0.0
        self.board = Board(Plan(seed=1), seconds=lambda: self.seconds)
        self.desks: dict[Protocol, Desk] = {
            "binance": Desk("binance", self.market, self.clock, self.board),
            "bitget": Desk("bitget", self.market, self.clock, self.board),
        }
        self.houses = {name: House(desk, born=desk.instant(WALL0_MS)) for name, desk in self.desks.items()}
        self.keys = customers.move_in(self.houses, 1, customers.DEPOSITS, WALL0_MS)[customers.FIRST]
        self.door = Door(self.houses)

    def fault(self, **fields: Any) -> None:
        self.board.add([Fault(**fields)])

    def instant(self, after_ms: int = 0) -> Instant:
        """The instant `after_ms` of wall time after the start."""
        return self.desks["binance"].instant(WALL0_MS + after_ms)

    def request(
        self, url: str, *, method: str = "GET", after_ms: int = 0, headers: dict[str, str] | None = None
    ) -> Call:
        """A URL as it reaches the venue `after_ms` of wall time after the start."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        return Call(
            host=host,
            method=method,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            headers=headers or {},
            body=b"",
            now=self.desks[protocol_of(host)].instant(WALL0_MS + after_ms),
            raw_query=parts.query,
        )

    def call(
        self, url: str, *, method: str = "GET", after_ms: int = 0, headers: dict[str, str] | None = None
    ) -> Answer:
        """The answer to a URL as ccxt would ask it."""
        return self.door.answer(self.request(url, method=method, after_ms=after_ms, headers=headers))

    def get(self, url: str, *, after_ms: int = 0) -> Any:
        """The decoded body of a call that must succeed."""
        answer = self.call(url, after_ms=after_ms)
        assert answer.status == 200, (url, answer.status, answer.body)
        return msgspec.json.decode(answer.body)
