"""Beside the actor: accounts that open late, leases over a store, permits past the inbox, refused starts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common import subjects
from libs.common.assembly import CannotStart
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Exchange, Limits, Mode, Thresholds
from libs.common.effects import Event, Received
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import encode
from libs.common.messages_exec import Permit
from libs.common.store import Lease, StoreUnavailable
from libs.exchange.port import VenueError
from libs.exchange.trading_values import KeyPermissions
from services.executor.events import LeaseHeld, LeaseLost, VenueTold
from services.executor.failpoints import ENV, POINTS, BadFailpoint, Failpoints
from services.executor.leases import Leases
from services.executor.main import announced_keys, bounds_of, refuse, with_keys
from services.executor.shell import Account, LeaseKeeper, PermitEar
from tests.helpers.servers import eventually
from tests.unit.executor.desk_rig import Office

KEYS = {"p": (("a", "X"), ("b", "X")), "q": (("a", "Y"), ("b", "Y"))}
LIVE = Config(
    mode=Mode.LIVE,
    thresholds=Thresholds(flip_policy="cost_aware", forecast="expected"),
    limits=Limits(max_notional_usd=1_000),
)
YES = {"FUNDARB_LIVE": "1"}


def changed(config: Config, **fields: Any) -> Config:
    return msgspec.structs.replace(config, **fields)


# --- refused starts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "env", "says"),
    [
        (LIVE, {}, "FUNDARB_LIVE"),
        (LIVE, {"FUNDARB_LIVE": "yes"}, "FUNDARB_LIVE"),
        (changed(LIVE, thresholds=Thresholds(forecast="flat")), YES, "flip_policy"),
        (changed(LIVE, thresholds=Thresholds(flip_policy="tolerance")), YES, "forecast"),
        (changed(LIVE, limits=Limits()), YES, "max_notional_usd"),
        (LIVE, YES | {ENV: "after_release"}, ENV),
    ],
)
def test_live_that_is_half_meant_does_not_start(config: Config, env: dict[str, str], says: str) -> None:
    with pytest.raises(CannotStart, match=says) as refused:
        refuse(config, env)
    assert refused.value.code == 2


def test_live_starts_with_both_acts_and_everything_said() -> None:
    refuse(LIVE, YES)


def test_an_observer_has_no_executor() -> None:
    with pytest.raises(CannotStart, match="sends no orders"):
        refuse(Config(), YES)


def test_a_real_key_is_never_used_at_the_simulated_venue() -> None:
    real: dict[str, Any] = {"api_key": "real", "secret": "real", "password": "real"}
    config = Config(
        exchanges={
            "spot": Exchange(id="binance", type="spot", **real),
            "perp": Exchange(id="binanceusdm", type="future", **real),
            "other": Exchange(id="okx", type="swap", **real),
            "sub": Exchange(id="binance", type="swap", account="sub1", **real),
        }
    )
    told = with_keys(config, {"binance": {"api_key": "k", "secret": "s"}})
    found = {name: (one.api_key, one.secret, one.password) for name, one in told.exchanges.items()}
    assert found == {
        "spot": ("k", "s", ""),
        "perp": ("k", "s", ""),
        "other": ("", "", ""),
        "sub": ("", "", ""),
    }


def test_keys_are_read_from_the_venues_announcement(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="not announced"):
        announced_keys(tmp_path)
    path = tmp_path / "venue.json"
    path.write_text('{"port": 1, "keys": {"binance": {"api_key": "k", "secret": "s"}}}')
    assert announced_keys(tmp_path) == {"binance": {"api_key": "k", "secret": "s"}}
    path.write_text('{"port": 1}')
    with pytest.raises(CannotStart, match="not announced"):
        announced_keys(tmp_path)


def test_an_order_may_be_little_larger_than_configured() -> None:
    bounds = bounds_of(Config())
    assert 1_000 < bounds.leg_notional_max <= 1_100
    assert 0 < bounds.collar < 0.01


# --- failpoints -------------------------------------------------------------------------------------------


def test_without_the_variable_no_point_is_armed() -> None:
    points = Failpoints.of({})
    for point in POINTS:
        points.hit(point)
    assert points.point == ""


@pytest.mark.parametrize("text", ["nowhere", "after_release:0", "after_release:x", ":1"])
def test_a_point_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadFailpoint, match="after_release"):
        Failpoints.of({ENV: text})


def test_only_the_named_point_counts() -> None:
    points = Failpoints.of({ENV: "after_release:2"})
    points.hit("after_prepare")
    points.hit("after_release")
    assert points.point == "after_release"  # still alive: the second pass would be the last


# --- leases -----------------------------------------------------------------------------------------------


class Keeper:
    """A keeper over a store, and what it has told."""

    def __init__(self, store: MemoryStore, owner: str) -> None:
        self.leases = Leases(KEYS)
        self.clock = SystemClock()
        self.keeper = LeaseKeeper(self.leases, store=store, clock=self.clock, owner=owner)
        self.told: list[Event] = []

    async def round(self) -> None:
        await self.keeper.round(self.told.append)

    def owns(self, pair: str) -> bool:
        return self.leases.held(pair, self.clock.now().mono_us) is not None


async def test_one_of_two_holds_all_pairs_until_it_gives_them_back() -> None:
    store = MemoryStore()
    first, second = Keeper(store, "first"), Keeper(store, "second")
    await first.round()
    await second.round()
    held = [one for one in first.told if isinstance(one, LeaseHeld)]
    assert sorted(one.pair for one in held) == ["p", "q"]
    assert {one.store_id for one in held} == {await store.store_id()}
    assert second.told == []
    await first.keeper.give_back()
    await asyncio.sleep(0.6)  # who was refused asks again after half a second
    await second.round()
    assert sorted(one.pair for one in second.told if isinstance(one, LeaseHeld)) == ["p", "q"]
    assert all(one.lease.fence > held[0].lease.fence for one in second.told if isinstance(one, LeaseHeld))


async def test_a_lease_that_somebody_else_has_taken_is_lost_at_the_next_renewal() -> None:
    store = MemoryStore()
    mine = Keeper(store, "mine")
    await mine.round()
    lease = mine.leases.held("p", mine.clock.now().mono_us)
    assert lease is not None
    await store.release(lease)
    assert await store.acquire("p", owner="other", ttl_ms=60_000) is not None
    mine.leases.took("p", lease, mine.clock.now().mono_us - 10_000_000)  # its renewal is due
    await mine.round()
    assert [one.pair for one in mine.told if isinstance(one, LeaseLost)] == ["p"]
    assert not mine.owns("p")
    assert mine.owns("q")


async def test_a_store_that_does_not_answer_loses_nothing_before_its_time() -> None:
    class Down(MemoryStore):
        async def renew(self, lease: Lease, *, ttl_ms: int) -> Lease | None:
            raise StoreUnavailable("down")

    mine = Keeper(Down(), "mine")
    await mine.round()
    lease = mine.leases.held("p", mine.clock.now().mono_us)
    assert lease is not None
    now_us = mine.clock.now().mono_us
    mine.leases.took("p", lease, now_us - 10_000_000)
    await mine.round()
    assert mine.owns("p"), "it may be renewed yet"
    mine.leases.took("p", msgspec.structs.replace(lease, until_mono_us=now_us - 1), now_us)
    await mine.round()
    assert [one.pair for one in mine.told if isinstance(one, LeaseLost)] == ["p"]


# --- accounts ---------------------------------------------------------------------------------------------


class Late:
    """A port that opens at the second try."""

    venue = "a"

    def __init__(self, may: KeyPermissions) -> None:
        self.tries = 0
        self._may = may

    async def load(self) -> dict[str, Any]:
        self.tries += 1
        if self.tries == 1:
            raise VenueError("a", "maintenance", "down for an hour")
        return {}

    async def permissions(self) -> KeyPermissions:
        return self._may

    async def stream(self, _sink: Callable[[Any], Any]) -> None:
        await asyncio.Event().wait()

    async def keep_warm(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def account_of(port: Late, office: Office) -> Account:
    office.desk.tradings.clear()

    async def opener(_venue: str) -> Any:
        return port

    return Account("a", opener=opener, desk=office.desk, books={})


async def test_an_account_that_cannot_be_opened_is_told_and_opened_later() -> None:
    office, told = Office(), list[Event]()
    port = Late(KeyPermissions(readable=True, may_trade=True, may_withdraw=False))
    running = asyncio.create_task(account_of(port, office).run(told.append))
    await eventually(lambda: "a" in office.desk.tradings)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    problems = [one.problem for one in told if isinstance(one, VenueTold)]
    assert "down for an hour" in problems[0]
    assert problems[-1] == ""


async def test_a_key_that_may_withdraw_never_gets_to_the_desk() -> None:
    office = Office()
    port = Late(KeyPermissions(readable=True, may_trade=True, may_withdraw=True))
    account = account_of(port, office)
    with pytest.raises(VenueError):
        await account.open()
    with pytest.raises(CannotStart, match="withdraw"):
        await account.open()
    assert not account.is_open
    assert office.desk.tradings == {}


# --- permits ----------------------------------------------------------------------------------------------


async def test_a_permit_reaches_the_gate_at_once_and_the_actor_as_well() -> None:
    office, told, clock = Office(), list[Event](), SystemClock()
    broker = MemoryBroker()
    bus, risk = MemoryBus(broker), MemoryBus(broker)
    await bus.connect()
    await risk.connect()
    running = asyncio.create_task(PermitEar(bus, office.desk, clock).run(told.append))
    await asyncio.sleep(0.01)
    now = clock.now()
    permit = Permit(risk_epoch=9, revision=1, build="b1", wall_us=now.wall_us)
    risk.publish(subjects.PERMIT, b"not a permit")
    risk.publish(subjects.PERMIT, encode(permit))
    await eventually(lambda: bool(told))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert office.permits.permit == permit
    assert told == [Received(subject=subjects.PERMIT, message=permit)]
