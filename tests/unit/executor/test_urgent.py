"""Which requests draw on the reserve, and what a page says when our own limiter is in the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from libs.common.assembly import CannotStart
from libs.common.effects import Answered, Event, Request
from libs.common.messages_exec import Breaker, Level
from libs.exchange.port import VenueError
from libs.exchange.trading_values import KeyPermissions, OrderReport
from libs.exchange.urgency import is_urgent
from services.executor import events
from services.executor.books_work import LANE
from services.executor.events import FetchFills, FindTaken, ListOrders, ReadAccount, VenueTold
from services.executor.keys import KeysDoubted
from services.executor.model import OrderClass, State
from services.executor.shell import LOCAL_SEC_MAX, REOPEN_SEC, Account, pause_sec
from tests.unit.executor.desk_rig import PAIR, Office
from tests.unit.executor.rig import Rig

GOOD = KeyPermissions(readable=True, may_trade=True, may_withdraw=False)
MAY_WITHDRAW = KeyPermissions(readable=True, may_trade=True, may_withdraw=True)
HELD = "binance: positions: our own limiter holds it back, not the venue: 96% of 2400"


def limited(wait_sec: float) -> VenueError:
    """As `Place.ask` raises it."""
    error = VenueError(
        "a", "rate_limit", "verify: our own limiter holds it back, not the venue: 53% are used"
    )
    error.retry_after_sec = wait_sec
    return error


# --- the desk ---------------------------------------------------------------------------------------------


class Noted:
    """A port that notes which reads were urgent."""

    def __init__(self) -> None:
        self.urgent: list[bool] = []

    async def _noted(self) -> list[Any]:
        self.urgent.append(is_urgent())
        return []

    async def positions(self) -> list[Any]:
        return await self._noted()

    async def balances(self) -> list[Any]:
        return []

    async def fills(self, _instrument: str, **_: Any) -> list[Any]:
        return await self._noted()

    async def records(self, _kind: str, **_: Any) -> list[Any]:
        return await self._noted()

    async def open_orders(self, _instrument: str, **_: Any) -> list[OrderReport]:
        return await self._noted()


def of(kind: type[Request], **fields: Any) -> Any:
    return kind(pair=PAIR, venue="a", instrument="BTC-USDT", margin=False, **fields)


@pytest.mark.parametrize(
    ("request_", "urgent"),
    [
        (ReadAccount(venue="a", pair=PAIR), {True}),
        (ReadAccount(venue="a", pair=PAIR, since_us=10**15), {False}),
        (ReadAccount(venue="a", pair=LANE), {False}),
        (of(FetchFills, since_ms=1), {False}),
        (of(FetchFills, since_ms=1, urgent=True), {True}),
        (of(FindTaken, since_ms=1), {True}),
        (of(ListOrders), {True}),
    ],
)
async def test_a_read_is_as_urgent_as_what_waits_for_it(request_: Request, urgent: set[bool]) -> None:
    office, port = Office(), Noted()
    tradings: dict[str, Any] = office.desk.tradings
    tradings["a"] = port
    await office.desk.handlers()[type(request_)](request_)
    assert set(port.urgent) == urgent


async def test_an_urgent_look_does_not_wait_behind_one_by_the_clock_that_is_held_up() -> None:
    office = Office()
    office.ports["a"].gate.clear()
    slow = asyncio.create_task(office.desk.account(ReadAccount(venue="a", pair=LANE)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    quick = asyncio.create_task(office.desk.account(ReadAccount(venue="a", pair=PAIR)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert office.ports["a"].reads == 2
    office.ports["a"].gate.set()
    await asyncio.gather(slow, quick)


# --- accounts ---------------------------------------------------------------------------------------------


class Held:
    """A port whose reads that are not urgent our own limiter holds back `times` times."""

    venue = "a"

    def __init__(self, times: int = 1, may: KeyPermissions = GOOD) -> None:
        self.left, self.may = times, may

    async def load(self) -> dict[str, Any]:
        if not is_urgent():
            raise limited(60.0)
        return {}

    async def permissions(self) -> KeyPermissions:
        if self.left:
            self.left -= 1
            raise limited(0.0)
        return self.may

    async def stream(self, _sink: Callable[[Any], Any]) -> None:
        await asyncio.Event().wait()

    async def keep_warm(self) -> None:
        await asyncio.Event().wait()


def account_of(port: Held, office: Office) -> Account:
    office.desk.tradings.clear()

    async def opener(_venue: str) -> Any:
        return port

    return Account("a", opener=opener, desk=office.desk, books={})


async def test_an_account_opens_on_the_reserve_and_only_increases_wait_for_the_keys_rights() -> None:
    office, told = Office(), list[Event]()
    port = Held()
    account = account_of(port, office)
    await account.open()
    assert account.is_open
    assert "what its key may do is not known yet" in office.desk.unproven["a"]
    running = asyncio.create_task(account.run(told.append))
    async with asyncio.timeout(10):
        while office.desk.unproven:  # noqa: ASYNC110 - the account has no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    problems = [one.problem for one in told if isinstance(one, VenueTold)]
    assert "our own limiter" in problems[0]
    assert problems[-1] == ""


async def test_a_key_that_is_refused_when_others_are_at_work_ends_nothing() -> None:
    office, told = Office(), list[Event]()
    port = Held(0, MAY_WITHDRAW)
    account = account_of(port, office)
    with pytest.raises(CannotStart, match="withdraw"):
        await account.open()  # the start says no
    assert "a" not in office.desk.tradings
    running = asyncio.create_task(account.run(told.append))
    async with asyncio.timeout(10):
        while not any(isinstance(one, KeysDoubted) for one in told):  # noqa: ASYNC110 - the account has no event
            await asyncio.sleep(0.01)
    assert not running.done()
    assert account.is_open  # what reduces goes out
    assert "withdraw" in office.desk.unproven["a"]
    assert any("withdraw" in one.problem for one in told if isinstance(one, VenueTold))
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_key_that_was_held_back_at_the_start_and_is_refused_later_ends_nothing() -> None:
    office, told = Office(), list[Event]()
    port = Held(1, MAY_WITHDRAW)
    account = account_of(port, office)
    await account.open()
    running = asyncio.create_task(account.run(told.append))
    async with asyncio.timeout(10):
        while "withdraw" not in office.desk.unproven["a"]:  # noqa: ASYNC110 - the account has no event
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not running.done()
    assert any(isinstance(one, KeysDoubted) for one in told)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("order_class", OrderClass)
async def test_while_a_keys_rights_are_unknown_only_what_reduces_is_sent(order_class: OrderClass) -> None:
    office = Office()
    office.desk.unproven["b"] = "b: not known yet"
    await office.send(order_class=order_class)
    refused = {one.refusal.text for one in office.answers if one.refusal is not None}
    if order_class is OrderClass.INCREASE:
        assert refused == {"b: not known yet"}
        assert "release a" not in office.log
    else:
        assert refused == set()
        assert {"release a", "release b"} <= set(office.log)


def test_a_wait_is_as_long_as_was_said_and_no_longer() -> None:
    for tries in range(9):
        assert pause_sec(limited(3.0), tries) == 3.0
        assert pause_sec(limited(0.0), tries) == REOPEN_SEC[0]
        assert pause_sec(limited(60.0), tries) == LOCAL_SEC_MAX
    told = VenueError("a", "rate_limit", "429")
    told.retry_after_sec, told.__cause__ = 30.0, RuntimeError("the venue's")
    assert pause_sec(told, 0) == 30.0, "not before it, since that would prolong it"
    assert [pause_sec(VenueError("a", "network", "down"), n) for n in range(6)] == [1, 2, 5, 15, 60, 60]


# --- pairs ------------------------------------------------------------------------------------------------


def test_a_hard_close_that_our_own_limiter_holds_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().opened()
    serve = rig._serve

    def held_back(request: Request) -> None:
        if isinstance(request, events.ReadAccount):
            rig.offer(Answered(request=request, result=None, error=HELD, error_class="rate_limit"))
        else:
            serve(request)

    with monkeypatch.context() as short:
        short.setattr(rig, "_serve", held_back)
        rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
        rig.beat()
        rig.run(45)
        (text,) = rig.told("waits")
        assert "our own limiter holds it back" in text
        assert "does not answer" not in text
    rig.until(lambda: rig.state is State.IDLE, 10)
