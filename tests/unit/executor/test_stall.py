from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.effects import Answered, Draining, Event, Note, Request
from libs.common.messages import AlertLevel
from libs.common.messages_exec import AccountStatus, Breaker, Level
from libs.exchange.trading_values import OrderRequest, Outcome, Unknown
from services.executor import events, telling, writing
from services.executor.model import Purpose, State
from services.executor.room import StoreRoom
from services.executor.say import pair_status
from tests.unit.executor.rig import FLAT, SPOT_KEY, Rig
from tests.unit.executor.scripted import times

FAR_KEY = ("bitget", "BTC-USDT-PERP")
ONE = (Decimal(1), Decimal(-1))


def apart() -> Rig:
    """A held pair whose legs lie on two venues."""
    return Rig(keys=(SPOT_KEY, FAR_KEY)).opened()


def cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The perp's venue neither takes orders nor answers."""
    arrive, serve = rig.venues.arrive, rig._serve

    def no_arrival(key: tuple[str, str], request: OrderRequest) -> Outcome:
        return Unknown(why="no answer in time") if key[0] == "bitget" else arrive(key, request)

    def no_service(request: Request) -> None:
        if getattr(request, "venue", "") == "bitget":
            rig.offer(Answered(request=request, result=None, error="down"))
        else:
            serve(request)

    monkeypatch.setattr(rig.venues, "arrive", no_arrival)
    monkeypatch.setattr(rig, "_serve", no_service)


def flatten(rig: Rig) -> None:
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
    rig.beat()


def status(distance: float) -> AccountStatus:
    return AccountStatus(
        venue="bitget", balances=(), positions=(), liquidation_distance=distance, margin_ratio=0.0, wall_us=0
    )


def test_a_hard_close_waits_until_both_venues_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    with monkeypatch.context() as outage:
        cut_off(rig, outage)
        rig.run(20)
        flatten(rig)
        rig.run(60)
        assert rig.state is State.ACTIVE
        assert rig.held == rig.shown == ONE, "one leg alone would be naked"
        (text,) = rig.told("waits")
        assert "bitget does not answer" in text
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_a_hard_close_near_liquidation_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    cut_off(rig, monkeypatch)
    rig.world.on_account(status(0.04), rig.now)
    flatten(rig)
    rig.until(lambda: rig.state is State.CLOSING, 2)


def test_a_shrink_waits_until_both_venues_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    with monkeypatch.context() as outage:
        cut_off(rig, outage)
        rig.max_ratio = {rig.pair: 0.5}
        rig.run(20)
        assert rig.shown == ONE
    rig.until(lambda: rig.shown == (Decimal("0.5"), Decimal("-0.5")), 10)


def test_a_demand_that_comes_back_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    cut_off(rig, monkeypatch)
    flatten(rig)
    rig.run(2)
    rig.breakers = ()
    rig.beat()
    monkeypatch.undo()
    rig.run(20)
    cut_off(rig, monkeypatch)
    flatten(rig)
    rig.run(10)
    assert rig.held == ONE, "what answered before it was demanded anew tells nothing"


def test_a_naked_leg_that_waits_for_an_order_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    cut_off(rig, monkeypatch)
    rig.wish("close")
    rig.run(30)
    assert rig.told("stalled") == [], "the venue's window has not passed"
    rig.run(300)
    (text,) = rig.told("stalled")
    assert "1 of it are not hedged" in text
    assert "the fate of an order is unknown: bitget" in text


def test_an_orphan_without_prices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier version wrote none."""
    monkeypatch.setattr(writing, "known_of", lambda *_given: None)
    rig = Rig()
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *times(3, "none"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.UNWINDING, 20)
    rig.feed_on = False
    rig.restart()
    rig.run(60)
    (text,) = rig.told("stalled")
    assert "is the feed running?" in text
    assert "is the feed running?" in pair_status(rig.lane, rig.now).reason
    rig.feed_on = True
    rig.describe()
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT


def test_a_pair_that_cannot_be_compared_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = apart()
    with monkeypatch.context() as outage:
        cut_off(rig, outage)
        rig.restart()
        rig.run(60)
        said = pair_status(rig.lane, rig.now)
        assert said.reason == "waiting: its positions are being compared with the venues (carry)"
        (text,) = rig.told("stalled")
        assert "it is hedged" in text
    rig.run(10)
    assert pair_status(rig.lane, rig.now).reason == "carry"


def test_what_rests_is_cancelled_before_the_end_and_nothing_is_posted_again() -> None:
    rig = Rig(style="maker_first")
    rig.wish("open")
    rig.until(lambda: bool(rig.venues.resting()), 5)
    rig.run(0.5)
    rig.offer(Draining())
    rig.run(3)
    assert rig.venues.resting() == []
    assert len(rig.orders(Purpose.OPEN)) == 1


def test_trades_that_only_the_ledger_lacks_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.stream_on = False
    rig.acts("perp", "silent")
    serve, failing = rig._serve, [True]

    def no_fills(request: Request) -> None:
        if failing[0] and isinstance(request, events.FetchFills):
            rig.offer(Answered(request=request, result=None, error="down"))
        else:
            serve(request)

    monkeypatch.setattr(rig, "_serve", no_fills)
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    (perp,) = (one for one in rig.orders(Purpose.OPEN) if one.leg == 1)
    assert perp.filled == 1
    assert not perp.fills
    failing[0] = False
    rig.run(10)
    assert rig.lane.intents[perp.id].fills


@pytest.mark.parametrize("fault", ["down", "full"])
def test_a_position_about_which_nothing_can_be_written_is_told_once(fault: str) -> None:
    rig = Rig().opened()
    setattr(rig.store, fault, True)
    flatten(rig)
    rig.run(30)
    assert rig.shown == ONE, "what is not durable is not sent"
    (text,) = rig.told(":store")
    assert "the store did not take its last change" in text
    setattr(rig.store, fault, False)
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.shown == FLAT


@pytest.mark.parametrize(("taken", "level"), [(True, AlertLevel.WARNING), (False, AlertLevel.CRITICAL)])
def test_a_position_that_nobody_looks_after_is_worse_than_one_of_another_executor(
    *, taken: bool, level: AlertLevel
) -> None:
    rig = Rig().opened()
    rig.offer(events.LeaseLost(pair=rig.pair, text="why", taken=taken))
    rig.run(1)
    (alert,) = rig.alerts
    assert alert.level is level


def test_nothing_is_opened_on_a_venue_whose_account_cannot_be_read() -> None:
    rig = Rig(keys=(SPOT_KEY, FAR_KEY))
    rig.world.on_account(replace(status(0.5), trusted=False, problems=("no answer",)), rig.now)
    rig.wish("open")
    rig.run(2)
    assert rig.sent == []
    assert "bitget cannot be read now: no answer" in rig.notes[-1]
    rig.world.on_account(status(0.5), rig.now)
    rig.opened()


async def test_nothing_is_opened_on_a_store_that_is_nearly_full() -> None:
    rig = Rig()
    room = StoreRoom(rig.store, rig.world)
    rig.store.full = True
    await room.look()
    assert "100% full" in rig.world.forbidden(rig.pair, rig.keys, rig.now)
    rig.store.down = True
    await room.look()
    assert rig.world.scarce, "no answer is no news"
    rig.store.down = rig.store.full = False
    await room.look()
    assert rig.world.forbidden(rig.pair, rig.keys, rig.now) == ""


async def test_a_person_hears_once_that_the_store_is_nearly_full_and_that_it_is_away() -> None:
    rig = Rig()
    heard: list[Event] = []
    room = StoreRoom(rig.store, rig.world)

    async def look() -> list[Any]:
        heard.clear()
        await room.look()
        room.tell(heard.append)
        return [effect for event in heard for effect in rig.actor.handle(event, rig.now)]

    assert await look() == []
    rig.store.full = True
    (warning,) = await look()
    assert (warning.level, warning.key) == (AlertLevel.WARNING, "executor:store")
    assert "nothing is opened on it" in warning.text
    assert await look() == []
    rig.store.down = True
    assert await look() == [], "missed once: it may be restarting"
    (page,) = await look()
    assert (page.level, page.key) == (AlertLevel.CRITICAL, "executor:store")
    assert "nothing is sent, to open or to close" in page.text
    assert await look() == []
    said = telling.status(rig.world, {}, lambda _pair, _now: "", rig.now)
    assert said["store"] == rig.world.store_away
    rig.store.down = rig.store.full = False
    (note,) = await look()
    assert isinstance(note, Note)
    assert await look() == []
