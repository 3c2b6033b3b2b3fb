"""What pairs take of the portfolio's limits: in one atomic step with their orders, over all executors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.common.config.schema import Config, Limits, Mode
from libs.common.store import Transition
from libs.common.subjects import PERP, SPOT
from services.executor import reserve
from services.executor.model import Leg, PairState, State
from services.executor.room import StoreRoom
from tests.sim.timeline import run
from tests.unit.executor.asking import done
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

OTHER = "ETH-USDT_binance-spot_binance-perp"


def rig_with(**limits: Any) -> Rig:
    rig = Rig()
    known = msgspec.structs.asdict(rig.config.limits)
    rig.config = msgspec.structs.replace(rig.config, limits=Limits(**known | limits))
    rig.world.config = rig.config
    return rig


def held(rig: Rig) -> dict[str, bytes]:
    return run(rig.store.hash_all(reserve.KEY))


def takes(rig: Rig, value: bytes) -> None:
    """Another executor of the deployment has a pair of its own."""
    assert run(rig.store.transition(Transition(hash_writes={reserve.KEY: {OTHER: value}})))


def test_a_pair_holds_its_share_from_its_first_order_until_it_is_idle() -> None:
    rig = rig_with(max_notional_usd=10_000)
    assert held(rig) == {}
    rig.opened("100")
    assert held(rig) == {rig.pair: b"pairs=1 usd_cents=10000 usd_cents:binance=20000"}
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert held(rig) == {}


@pytest.mark.parametrize(
    ("limits", "other", "said"),
    [
        ({"max_notional_usd": 150}, b"usd_cents=5001", "limits.max_notional_usd 150 would be exceeded"),
        ({"max_pairs": 1}, b"pairs=1", "limits.max_pairs 1 are taken"),
        (
            {"max_notional_per_venue_usd": 250},
            b"usd_cents:binance=5001",
            "limits.max_notional_per_venue_usd 250 would be exceeded on binance",
        ),
    ],
)
def test_what_another_executor_holds_counts_and_the_refusal_names_the_limit(
    limits: dict[str, Any], other: bytes, said: str
) -> None:
    rig = rig_with(**limits)
    takes(rig, other)
    rig.wish("open", "100")
    rig.run(3)
    assert rig.state is State.IDLE
    assert rig.sent == []
    assert any(f"not opened: {said}" in note for note in rig.notes), rig.notes
    assert held(rig) == {OTHER: other}
    rig.wish("open", "100")
    rig.run(1)
    assert sum("not opened" in note for note in rig.notes) == 2  # not asked again at once
    assert run(rig.store.transition(Transition(hash_writes={reserve.KEY: {OTHER: None}})))
    rig.run(5)
    rig.opened("100")


def test_two_that_open_at_once_cannot_both_take_the_last_share() -> None:
    """The second one has looked, found room, and is beaten between its look and its write."""
    rig = rig_with(max_notional_usd=150)
    rig.wish("open", "100")
    takes(rig, b"pairs=1 usd_cents=10000")
    rig.run(3)
    assert rig.sent == []
    assert rig.state is State.IDLE


def test_a_close_asks_for_no_room() -> None:
    rig = rig_with(max_notional_usd=150).opened("100")
    takes(rig, b"pairs=1 usd_cents=100000000")
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_what_is_missing_or_left_over_is_put_right_at_the_start() -> None:
    rig = rig_with(max_notional_usd=150).opened("100")
    value = held(rig)[rig.pair]
    run(rig.store.transition(Transition(hash_writes={reserve.KEY: {rig.pair: None}})))
    rig.restart()
    rig.run(2)
    assert held(rig) == {rig.pair: value}
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    run(rig.store.transition(Transition(hash_writes={reserve.KEY: {rig.pair: value}})))
    rig.restart()
    rig.run(2)
    assert held(rig) == {}


def test_live_mode_has_a_cap_of_its_own_until_it_is_acknowledged() -> None:
    def cap(limit: float | None, *, mode: Mode = Mode.LIVE, acknowledged: bool = False) -> Decimal | None:
        limits = Limits(max_notional_usd=limit, acknowledged=acknowledged)
        return reserve.cap_usd(Config(mode=mode, limits=limits))[0]

    assert cap(50_000) == cap(None) == 1_000
    assert cap(500) == 500
    assert cap(50_000, acknowledged=True) == 50_000
    assert cap(50_000, mode=Mode.DEMO) == 50_000
    assert cap(None, mode=Mode.PAPER) is None


def test_in_live_mode_more_than_the_cap_is_refused_by_its_name() -> None:
    rig = rig_with(max_notional_usd=100_000)
    rig.world.config = msgspec.structs.replace(rig.config, mode=Mode.LIVE)
    rig.wish("open", "1001")
    rig.run(2)
    assert any("the live cap until limits.acknowledged 1,000 would be exceeded" in one for one in rig.notes)
    assert rig.sent == []


def test_legs_on_one_exchange_count_twice_there_and_cents_are_rounded_up() -> None:
    spot, perp = (
        Leg(venue=venue, instrument=name, kind=kind)
        for (venue, name), kind in ((SPOT_KEY, SPOT), (("bitget", PERP_KEY[1]), PERP))
    )
    state = PairState(pair="x", legs=(spot, perp), state=State.ACTIVE, notional_usd=Decimal("10.001"))
    each = {"usd_cents:binance": 1001, "usd_cents:bitget": 1001}
    assert reserve.amounts_of(state) == {"pairs": 1, "usd_cents": 1001, **each}
    assert reserve.amounts_of(msgspec.structs.replace(state, state=State.IDLE)) == {}
    for error in (None, "", "pair:x: expected version 1, found 2", "the store is down"):
        assert reserve.refusal_of(error, Config()) == ""


async def test_what_a_pair_has_reserved_that_left_the_config_is_told_by_name() -> None:
    """Its position is still there: only closing it gives the room back."""
    rig = Rig().opened()
    left: dict[str, bytes | None] = {"gone_pair": b"pairs=1 usd_cents=10000"}
    run(rig.store.transition(Transition(hash_writes={reserve.KEY: left})))
    await StoreRoom(rig.store, rig.world).look()
    told = done(rig, "status")["reserved_elsewhere"]
    assert list(told) == ["gone_pair"], "its own is no stranger's"
    assert "usd_cents=10000" in told["gone_pair"]
    assert "put it back" in told["gone_pair"]
    run(rig.store.transition(Transition(hash_writes={reserve.KEY: {"gone_pair": None}})))
    await StoreRoom(rig.store, rig.world).look()
    assert done(rig, "status")["reserved_elsewhere"] == {}
