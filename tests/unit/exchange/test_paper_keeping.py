"""A paper account in the store: nothing is told before it is written, and what was told comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from libs.common.memory_store import Fault, MemoryStore
from libs.common.messages import FundingHistory, Settlement
from libs.common.store import Lease
from libs.exchange.paper.keeping import Deposed, Keeper, key_of, recall
from libs.exchange.paper.trading import PaperTrading
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    Done,
    FillReport,
    Found,
    NeverSent,
    NotFound,
    Outcome,
    QueryFailed,
    Side,
    TradingEvent,
    Unknown,
)
from tests.helpers.paper import COSTS, PERP, SPOT, D, Market, request

KEY = key_of("binance")
STORE_ID = "0123456789abcdef"
PATIENCE_SEC = 0.05


class Kept:
    """An account with its keeper on a store that fails on request."""

    def __init__(self, store: MemoryStore, market: Market, lease: Lease, version: int = 0) -> None:
        self.store, self.market, self.lease = store, market, lease
        self.keeper = Keeper(
            market.paper,
            store=store,
            lease=lambda: self.lease,
            store_id=STORE_ID,
            version=version,
            patience_sec=PATIENCE_SEC,
            retry_sec=PATIENCE_SEC / 5,
        )
        self.trading = PaperTrading(market.paper, clock=market.clock, keep=self.keeper)
        self.keeper.tell = self.trading.tell
        market.hear = self.trading.on_message
        self.heard: list[TradingEvent] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.keeper.write()
        self.tasks = [
            asyncio.create_task(self.keeper.run()),
            asyncio.create_task(self.trading.stream(self.heard.append)),
        ]
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """As a kill: nothing more is written."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def buy(self, client_id: str) -> Outcome:
        return await self.trading.submit(request(PERP, Side.BUY, "0.1", "1000.1", client_id=client_id))

    async def written(self) -> set[str]:
        """Client ids of the fills that a restart would find."""
        found = await recall(self.store, "binance", costs=COSTS)
        assert found is not None
        return {str(one.client_id) for one in found[0].fills(PERP, self.market.now, since_ms=0)}

    async def version(self) -> int:
        found = await self.store.get(KEY)
        return 0 if found is None else found.version


async def lease_of(store: MemoryStore, owner: str = "me") -> Lease:
    got = await store.acquire("paper", owner=owner, ttl_ms=60_000)
    assert got is not None
    return got


@pytest.fixture
async def kept() -> AsyncIterator[Kept]:
    market = Market()
    store = MemoryStore(clock=market.clock, store_id=STORE_ID)
    found = Kept(store, market, await lease_of(store))
    await found.start()
    yield found
    await found.stop()


async def test_an_order_is_told_of_when_it_is_written(kept: Kept) -> None:
    assert isinstance(await kept.buy("fa01"), Done)
    assert await kept.written() == {"fa01"}
    assert [one for one in kept.heard if isinstance(one, FillReport)]


async def test_what_cannot_be_written_is_told_to_nobody_and_is_found_later(kept: Kept) -> None:
    kept.store.down = True
    assert isinstance(await kept.buy("fa01"), Unknown)
    assert isinstance(await kept.trading.query(PERP, "fa01"), QueryFailed)
    with pytest.raises(VenueError, match="could not be written"):
        await kept.trading.positions()
    assert kept.heard == []
    kept.store.down = False
    await found_at_last(kept, "fa01")
    assert kept.heard
    assert await kept.written() == {"fa01"}


async def test_killed_before_the_write_an_order_was_never_accepted(kept: Kept) -> None:
    kept.store.down = True
    assert isinstance(await kept.buy("fa01"), Unknown)
    await kept.stop()
    kept.store.down = False
    found = await recall(kept.store, "binance", costs=COSTS)
    assert found is not None
    assert isinstance(found[0].query(PERP, "fa01", kept.market.now), NotFound)
    assert found[0].positions(kept.market.now) == []


async def found_at_last(kept: Kept, client_id: str) -> Found:
    async with asyncio.timeout(10):
        while True:
            found = await kept.trading.query(PERP, client_id)
            if isinstance(found, Found):
                return found


async def test_a_write_whose_answer_is_lost_is_looked_up_and_not_done_twice(kept: Kept) -> None:
    before, faults = await kept.version(), iter([Fault.UNANSWERED])
    kept.store.fault = lambda op: next(faults, Fault.NONE) if op == "transition" else Fault.NONE
    await kept.buy("fa01")
    assert isinstance(await found_at_last(kept, "fa01"), Found)
    assert await kept.version() == before + 1
    assert isinstance(await kept.buy("fa02"), Done)
    assert await kept.written() == {"fa01", "fa02"}


async def test_two_legs_cost_one_write_and_the_market_none(kept: Kept) -> None:
    before = await kept.version()
    legs = [
        request(SPOT, Side.BUY, "0.1", "1000.1", client_id="fa01"),
        request(PERP, Side.SELL, "0.1", "999.9", client_id="fa02"),
    ]
    assert all(isinstance(one, Done) for one in await kept.trading.submit_all(legs))
    assert await kept.version() == before + 1
    for step in range(50):
        kept.market.quote(PERP, 1000.0 + step, 1000.2 + step)
        kept.market.info(SPOT)
        await asyncio.sleep(0)
    assert await kept.version() == before + 1
    assert isinstance(await kept.trading.prepare(request(PERP, Side.BUY, "0.0001", "1000.1")), NeverSent)


async def test_who_has_lost_the_lease_writes_nothing_and_ends(kept: Kept) -> None:
    await kept.store.release(kept.lease)
    await lease_of(kept.store, owner="other")
    before = await kept.version()
    assert isinstance(await kept.buy("fa01"), Unknown)
    with pytest.raises(Deposed, match="fence"):
        await kept.tasks[0]
    assert await kept.version() == before
    assert kept.heard == []


async def test_an_account_that_another_has_written_is_not_written_over(kept: Kept) -> None:
    await kept.store.put(KEY, b"theirs")
    assert isinstance(await kept.buy("fa01"), Unknown)
    with pytest.raises(Deposed, match=KEY):
        await kept.tasks[0]
    found = await kept.store.get(KEY)
    assert found is not None
    assert found.value == b"theirs"


async def test_an_account_of_a_lost_store_is_not_written_to_the_one_that_replaces_it() -> None:
    """Versions and fences begin anew there: by chance both may be those that are known here."""
    market = Market()
    store = MemoryStore(clock=market.clock, store_id="fedcba9876543210")
    await store.put(KEY, b"theirs")
    late = Kept(store, market, await lease_of(store), version=1)
    with pytest.raises(Deposed, match=f"store_id: meant for {STORE_ID}"):
        await late.keeper.write()
    found = await store.get(KEY)
    assert found is not None
    assert (found.value, found.version) == (b"theirs", 1)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_the_store_does_what_was_told_is_written(seed: int) -> None:
    """Orders under random faults of the store, a kill, a restart: every `Done` and every streamed fill is in
    the account that comes back, and its position is the sum of its fills.
    """
    dice, market = random.Random(seed), Market()  # noqa: S311 - a test's dice
    store = MemoryStore(clock=market.clock, store_id=STORE_ID)
    kept = Kept(store, market, await lease_of(store))
    await kept.start()
    store.fault = lambda _op: dice.choice([Fault.NONE, Fault.NONE, Fault.REFUSED, Fault.UNANSWERED])
    told = set()
    for number in range(12):
        market.quote(PERP)
        client_id = f"fa{number:02}"
        if isinstance(await kept.buy(client_id), Done):
            told.add(client_id)
    await kept.stop()
    store.fault = None
    told |= {str(one.client_id) for one in kept.heard if isinstance(one, FillReport)}
    written = await kept.written()
    assert told <= written
    found = await recall(store, "binance", costs=COSTS)
    assert found is not None
    held = sum((one.quantity for one in found[0].positions(market.now)), D(0))
    assert held == len(written) * D("0.1")


async def test_the_account_goes_on_after_a_restart(kept: Kept) -> None:
    assert isinstance(await kept.buy("fa01"), Done)
    await kept.stop()
    found = await recall(kept.store, "binance", costs=COSTS)
    assert found is not None
    again, kept.market.paper = found[0], found[0]
    assert again.snapshot() == kept.trading.snapshot()
    second = Kept(kept.store, kept.market, kept.lease, version=found[1])
    await second.start()
    second.market.quote(PERP)
    assert isinstance(await second.buy("fa02"), Done)
    assert await second.written() == {"fa01", "fa02"}
    await second.stop()


def test_a_settlement_that_nobody_heard_is_paid_from_the_history_once() -> None:
    market = Market()
    market.paper.submit(request(PERP, Side.BUY, "1", "1000.1"), market.now)
    opened_ms = market.now.market_ms
    market.later(sec=3 * 3_600)
    hours = [opened_ms - 3_600_000, opened_ms + 3_600_000, opened_ms + 7_200_000]
    history = FundingHistory(
        venue="binance",
        instrument=PERP,
        prints=tuple(Settlement(settled_ms=at, rate=0.001, interval_hours=1) for at in hours),
        recv_us=market.now.wall_us,
    )
    for _ in range(2):
        market.say(history)
    paid = market.paper.records("funding", market.now, since_ms=0)
    assert [one.ts_ms for one in paid] == hours[1:], "what settled before the first trade was not held"
    assert all(one.amount == D("-1") for one in paid), "1 BTC at a mark of 1,000 and 0.1 %"
