"""What counts as a call of a venue, and what of it as a failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from libs.common.instant import ManualClock
from libs.exchange import wire_times
from libs.exchange.errors import venue_error
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    Done,
    Found,
    NeverSent,
    NotFound,
    OrderRequest,
    Outcome,
    QueryFailed,
    QueryOutcome,
    Rejected,
    Side,
    Unknown,
)
from services.executor.calls import CountedTrading, Counting
from services.executor.reach import LAST, Reach, Tally
from tests.unit.executor.build import report


class Port:
    """A port that takes its time, and answers or raises what a test says."""

    venue = "binance"

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.ms = 100
        self.wire_ms: tuple[int, ...] = ()
        self.status = 200
        self.then: Any = None

    async def _answer(self) -> Any:
        self.clock.advance(us=self.ms * 1000)
        for ms in self.wire_ms:
            wire_times.note(ms * 1000)
        wire_times.answered(self.status)
        if isinstance(self.then, Exception):
            raise self.then
        return self.then

    async def positions(self) -> Any:
        return await self._answer()

    async def records(self, _kind: str, *, since_ms: int) -> Any:
        assert since_ms == 0
        return await self._answer()

    async def query(self, _instrument: str, _id: str, *, margin: bool) -> Any:
        assert not margin
        return await self._answer()

    async def prepare(self, request: OrderRequest) -> Any:
        return self.then if isinstance(self.then, NeverSent) else Held(request, self)

    def clock_offset_ms(self) -> float | None:
        return -12.5


class Held:
    """An order whose preparation was long ago."""

    def __init__(self, request: OrderRequest, port: Port) -> None:
        self.request = request
        self._port = port
        port.clock.advance(us=1_000_000)
        self.released = False

    def release(self) -> None:
        self.released = True

    async def outcome(self) -> Outcome:
        assert self.released
        answer: Outcome = await self._port._answer()
        return answer

    async def abandon(self, why: str) -> NeverSent:
        return NeverSent(why=why)


def counted() -> tuple[CountedTrading, Port]:
    clock = ManualClock()
    port = Port(clock)
    return CountedTrading(port, clock), port  # type: ignore[arg-type]  # the calls that a test makes


def order() -> OrderRequest:
    return OrderRequest(
        client_id="fa0", instrument="BTC-USDT", side=Side.BUY, quantity=Decimal("0.1"), price=Decimal(100)
    )


def of(error: Exception) -> VenueError:
    """As the port translates it."""
    made = venue_error("binance", "positions", error)
    made.__cause__ = error
    return made


@pytest.mark.parametrize(
    ("error", "calls", "failed"),
    [
        (of(ccxt.NetworkError("reset by peer")), 1, 1),
        (of(ccxt.RequestTimeout("no answer")), 1, 1),
        (of(ccxt.ExchangeNotAvailable("503 Service Unavailable")), 1, 1),
        (of(ccxt.RateLimitExceeded("429")), 1, 1),
        (of(ccxt.DDoSProtection("418")), 1, 1),
        (of(ccxt.BadResponse("<html>")), 1, 1),
        (of(ccxt.InsufficientFunds("-2019")), 1, 0),
        (of(ccxt.InvalidOrder("-1013")), 1, 0),
        (of(ccxt.AuthenticationError("-2015")), 1, 0),
        (VenueError("binance", "rate_limit", "our own budget has no room"), 0, 0),
        (VenueError("binance", "not_supported", "no such books"), 0, 0),
    ],
)
async def test_what_is_a_failure(error: VenueError, calls: int, failed: int) -> None:
    trading, port = counted()
    port.then = error
    with pytest.raises(VenueError):
        await trading.positions()
    assert (trading.reach().calls, trading.reach().failed) == (calls, failed)


@pytest.mark.parametrize(("status", "failed"), [(503, 1), (500, 1), (400, 0)])
async def test_a_server_error_is_a_failure_whatever_code_its_body_has(status: int, failed: int) -> None:
    trading, port = counted()
    port.then, port.status = of(ccxt.ExchangeError('{"code":-1001,"msg":"Internal error"}')), status
    with pytest.raises(VenueError):
        await trading.positions()
    assert trading.reach().failed == failed


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Done(report=report("2", "101", "filled")), 0),
        (Rejected(code="-2019", reason="funds", text="no margin"), 0),
        (Rejected(code="-1003", reason="rate_limit", text="too many"), 1),
        (Unknown(why="no answer in time"), 1),
    ],
)
async def test_an_order_is_a_call_from_its_release_on(outcome: Outcome, failed: int) -> None:
    trading, port = counted()
    port.then = outcome
    held = await trading.prepare(order())
    assert not isinstance(held, NeverSent)
    assert trading.reach().calls == 0
    held.release()
    assert await held.outcome() == outcome
    assert trading.reach() == Reach(calls=1, failed=failed, p99_ms=100.0, clock_offset_ms=-12.5)


async def test_an_order_that_was_never_sent_is_no_call() -> None:
    trading, port = counted()
    port.then = NeverSent(why="too small")
    assert isinstance(await trading.submit(order()), NeverSent)
    assert trading.reach().calls == 0


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (QueryFailed(why="timeout"), 1),
        (NotFound(code="-2013"), 0),
        (Found(report=report("0", None, "open")), 0),
    ],
)
async def test_a_query_without_an_answer_is_a_failure(answer: QueryOutcome, failed: int) -> None:
    trading, port = counted()
    port.then = answer
    assert await trading.query("BTC-USDT", "fa0") == answer
    assert trading.reach().failed == failed


async def test_pages_say_nothing_of_one_calls_time() -> None:
    trading, port = counted()
    port.then, port.ms = [], 9_000
    await trading.records("funding", since_ms=0)
    assert (trading.reach().calls, trading.reach().p99_ms) == (1, None)


def test_the_newest_fifty_count_and_the_slowest_of_them_is_their_p99() -> None:
    tally = Tally()
    for number in range(60):
        tally.note(failed=number < 15, ms=float(1_000 - number))
    told = tally.reach()
    assert (told.calls, told.failed, told.p99_ms) == (LAST, 5, 990.0)
    assert Tally().reach() == Reach()


async def test_a_venue_that_is_not_open_has_no_figures() -> None:
    clock = ManualClock()
    port = Port(clock)

    async def opener(_venue: str) -> Any:
        return port

    counting = Counting(opener, clock)
    assert counting.reach_of("binance") == Reach()
    opened: Callable[[str], Awaitable[Any]] = counting.open
    await (await opened("binance")).positions()
    assert (counting.reach_of("binance").calls, counting.reach_of("bitget").calls) == (1, 0)


async def test_what_waits_for_our_own_limiter_makes_no_venue_slow() -> None:
    trading, port = counted()
    port.ms, port.wire_ms = 5_000, (20, 70, 30)
    await trading.positions()
    assert trading.reach().p99_ms == 70.0, "the slowest request of the call"
    port.wire_ms, port.then = (3_500,), of(ccxt.NetworkError("reset by peer"))
    with pytest.raises(VenueError):
        await trading.positions()
    assert trading.reach().p99_ms == 3_500.0
    port.wire_ms = ()
    with pytest.raises(VenueError):
        await trading.positions()
    assert trading.reach().p99_ms == 5_000.0, "a call that never came to a request took as long as it took"
