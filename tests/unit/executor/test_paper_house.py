"""The paper accounts of an executor: begun, read again, kept to one owner, deaf to nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.common import subjects
from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Costs, Paper
from libs.common.memory_bus import MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import Want, decode, encode
from libs.common.store import Transition
from libs.exchange.paper.keeping import Deposed, key_of, recall
from libs.exchange.paper.trading import PaperTrading
from libs.exchange.trading_values import BalanceReport
from services.executor.paper import LEASE, PaperHouse
from tests.helpers.paper import PERP, info_of

BALANCES = {"binance": {"futures": {"USDT": 1_000.0}}}


class Place:
    """A bus and a store, and houses on them."""

    def __init__(self, balances: Any = BALANCES) -> None:
        self.bus, self.store = MemoryBus(), MemoryStore()
        self.config = Config(paper=Paper(balances=balances))

    def house(self, *venues: str) -> PaperHouse:
        context = ServiceContext(
            service="executor",
            config=self.config,
            clock=SystemClock(),
            bus=self.bus,
            store=self.store,
            env={},
        )
        return PaperHouse(context, venues or ("binance",))


async def balances(house: PaperHouse, venue: str = "binance") -> list[BalanceReport]:
    return await (await house.opener(venue)).balances()


async def test_a_new_account_is_written_before_anybody_sees_it() -> None:
    place = Place()
    await place.bus.connect()
    house = place.house()
    await house.open()
    (told,) = await balances(house)
    assert (told.wallet, told.asset) == ("futures", "USDT")
    assert told.total == 1_000
    found = await recall(place.store, "binance", costs=Costs())
    assert found is not None
    assert found[1] == 1
    await house.close()


class Noting(MemoryStore):
    """Notes which store each write was meant for."""

    meant: tuple[str, ...] = ()

    async def transition(self, change: Transition) -> bool:
        self.meant += (change.store_id,)
        return await super().transition(change)


async def test_each_write_of_an_account_names_its_store() -> None:
    """One that replaces a lost one begins versions and fences anew: an account of before could fit there."""
    place = Place()
    store = place.store = Noting(store_id="0123456789abcdef")
    await place.bus.connect()
    house = place.house()
    await house.open()
    await house.close()
    again = place.house()
    await again.open()
    await again.close()
    assert set(store.meant) == {"0123456789abcdef"}


async def test_start_balances_count_once() -> None:
    place = Place()
    await place.bus.connect()
    house = place.house()
    await house.open()
    await house.close()
    place.config = Config(paper=Paper(balances={"binance": {"futures": {"USDT": 9.0}}}))
    again = place.house()
    await again.open()
    (told,) = await balances(again)
    assert told.total == 1_000
    await again.close()


async def test_the_market_reaches_the_account_and_nonsense_does_no_harm() -> None:
    place = Place()
    await place.bus.connect()
    house = place.house()
    await house.open()
    trading = await house.opener("binance")
    subject = f"md.instrument.binance.{PERP}"
    place.bus.publish(subject, b"{")
    place.bus.publish(f"md.instrument.bitget.{PERP}", encode(info_of("bitget", PERP)))
    await asyncio.sleep(0)
    assert await trading.load() == {}
    place.bus.publish(subject, encode(info_of("binance", PERP)))
    await asyncio.sleep(0)
    assert set(await trading.load()) == {PERP}
    await house.close()


async def test_what_settled_while_nobody_listened_is_asked_for() -> None:
    place, asked = Place(), []
    await place.bus.connect()
    await place.bus.subscribe(subjects.want("feed"), lambda frame: asked.append(decode(frame.payload, Want)))
    house = place.house()
    await house.open()
    running = asyncio.ensure_future(house.background[0](lambda _event: None))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [one.what for one in asked] == [("history",)]
    await house.close()


async def test_a_second_house_waits_for_the_first_and_reads_what_it_left() -> None:
    place = Place()
    await place.bus.connect()
    first, second = place.house(), place.house()
    await first.open()
    opening = asyncio.create_task(second.open())
    await asyncio.sleep(0.05)
    assert not opening.done()
    trading = await first.opener("binance")
    assert isinstance(trading, PaperTrading)
    await first.close()
    async with asyncio.timeout(10):
        await opening
    assert (await balances(second))[0].total == 1_000
    await second.close()


async def test_who_has_lost_the_lease_ends() -> None:
    place = Place()
    await place.bus.connect()
    house = place.house()
    await house.open()
    running = asyncio.ensure_future(house.background[0](lambda _event: None))
    await asyncio.sleep(0)
    lease = house._lease
    assert lease is not None
    await place.store.release(lease)
    taken = await place.store.acquire(LEASE, owner="other", ttl_ms=60_000)
    assert taken is not None
    async with asyncio.timeout(20):
        with pytest.raises(Deposed, match="paper"):
            await running
    await house.close()
    assert await place.store.renew(taken, ttl_ms=60_000) is not None, "the other one's lease is left alone"


@pytest.mark.parametrize(
    ("stored", "balances", "says"),
    [
        (b"{}", BALANCES, "paper:binance in the store is no paper account of this version"),
        (None, {"binance": {"futures": {"USDT": 1e30}}}, "paper.balances.binance: "),
    ],
)
async def test_an_account_that_cannot_be_is_refused_in_one_line(
    stored: bytes | None, balances: Any, says: str
) -> None:
    place = Place(balances)
    await place.bus.connect()
    if stored is not None:
        await place.store.put(key_of("binance"), stored)
    with pytest.raises(CannotStart) as caught:
        await place.house().open()
    assert says in str(caught.value)
    assert caught.value.code == 2
