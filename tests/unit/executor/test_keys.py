"""The hourly look at the keys: a bad one stops openings and pages, and so does one that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.core import Core
from libs.common.effects import Alert, Answered, Effect, Event, Health, Request, Started
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.exchange.permissions import KeyRules
from libs.exchange.port import VenueError
from libs.exchange.trading_values import KeyPermissions
from services.executor.key_reading import KeyReader, permissions_of
from services.executor.keys import ASKED_US, BLIND_US, HOUR_US, RETRY_US, KeysDoubted, KeyWatch, ReadKeys
from services.executor.model import State
from tests.unit.executor.rig import Rig

SOUND = KeyPermissions(readable=True, may_trade=True, may_withdraw=False, ip_bound=True)
BAD = KeyPermissions(readable=True, may_trade=True, may_withdraw=True, ip_bound=True)
HOUR_SEC, RETRY_SEC = HOUR_US / US_PER_SEC, RETRY_US / US_PER_SEC


class Watched(Rig):
    """A rig whose venue is asked for the rights of its key; `says` is its answer, or why there is none."""

    def __init__(self) -> None:
        self.says: Any = SOUND
        super().__init__()


def driven(core: Core, rig: Watched, sec: float) -> list[Effect]:
    """Only the keys' own timers and answers, over `sec`: hours of ticks would show nothing more."""
    end_us = rig.now.mono_us + int(sec * US_PER_SEC)
    effects: list[Effect] = []
    while True:
        while (turn := core.step(rig.now)) is not None:
            effects += turn.effects
            for asked in turn.effects:
                if isinstance(asked, ReadKeys):
                    core.offer(answer(asked, rig.says), rig.now)
        due_us = core.next_timer_us()
        if due_us is None or due_us > end_us:
            rig.clock.advance(us=end_us - rig.now.mono_us)
            return effects
        rig.clock.advance(us=max(0, due_us - rig.now.mono_us))


def answer(asked: Request, says: Any) -> Event:
    if isinstance(says, KeyPermissions):
        return Answered(request=asked, result=says)
    error_class, text = says
    return Answered(request=asked, error=text, error_class=error_class)


class Silent:
    """An actor that does nothing: what is seen is the watch's own."""

    def handle(self, event: Event, now: Any) -> list[Effect]:
        return []


@pytest.fixture
def rig() -> Watched:
    return Watched()


def watching(rig: Watched) -> Core:
    core = Core(KeyWatch(Silent(), rig.world, ["binance"], KeyRules(live=True)))
    core.offer(Started(), rig.now)
    driven(core, rig, 1)
    return core


def alerts(effects: list[Effect]) -> list[Alert]:
    return [one for one in effects if isinstance(one, Alert)]


def test_a_sound_key_is_read_each_hour_and_says_nothing(rig: Watched) -> None:
    core = watching(rig)
    effects = driven(core, rig, 5 * HOUR_SEC)
    assert len([one for one in effects if isinstance(one, ReadKeys)]) == 5
    assert not alerts(effects)
    assert rig.world.bad_key == ""


def test_a_right_to_withdraw_that_is_found_later_pages_each_hour_until_it_is_gone(rig: Watched) -> None:
    core = watching(rig)
    rig.says = BAD
    found = alerts(driven(core, rig, 2 * HOUR_SEC))
    assert [one.level for one in found] == [AlertLevel.CRITICAL] * 2
    assert "may withdraw" in found[0].text
    assert "Enable Withdrawals" in found[0].text
    assert "binance: the API key may withdraw" in rig.world.bad_key
    rig.says = SOUND
    effects = driven(core, rig, HOUR_SEC)
    assert not alerts(effects)
    assert Health(key="keys:binance", problem="") in effects
    assert rig.world.bad_key == ""


def test_a_person_has_the_keys_looked_at_now_and_not_more_often_than_each_ten_seconds(rig: Watched) -> None:
    core = watching(rig)
    rig.says = BAD
    effects: list[Effect] = []
    for _ in range(5):
        core.offer(KeysDoubted(), rig.now)
        effects += driven(core, rig, 1)
    assert len([one for one in effects if isinstance(one, ReadKeys)]) == 1
    (page,) = alerts(effects)
    assert page.level is AlertLevel.CRITICAL
    assert rig.world.bad_key
    rig.says = SOUND
    driven(core, rig, ASKED_US / US_PER_SEC)
    core.offer(KeysDoubted(), rig.now)
    driven(core, rig, 1)
    assert rig.world.bad_key == "", "mended, and not waited for"
    again = [one for one in driven(core, rig, HOUR_SEC) if isinstance(one, ReadKeys)]
    assert len(again) == 1, "the hours go on from the last look"


@pytest.mark.parametrize("error_class", ["auth", "not_supported", "bad_payload"])
def test_rights_that_the_venue_does_not_tell_any_more_are_as_bad(rig: Watched, error_class: str) -> None:
    core = watching(rig)
    rig.says = (error_class, "binance: no permission")
    (page,) = alerts(driven(core, rig, HOUR_SEC))
    assert "cannot be read" in page.text
    assert "no permission" in page.text


def test_a_venue_out_of_reach_is_asked_each_minute_and_counts_as_unknown_after_two_hours(
    rig: Watched,
) -> None:
    core = watching(rig)
    rig.says = ("network", "connection refused")
    effects = driven(core, rig, HOUR_SEC + 600)
    assert not alerts(effects)
    assert len([one for one in effects if isinstance(one, ReadKeys)]) >= 10
    (page,) = alerts(driven(core, rig, BLIND_US / US_PER_SEC))
    assert "could not be read for two hours (connection refused)" in page.text
    assert rig.world.bad_key
    rig.says = SOUND
    driven(core, rig, RETRY_SEC)
    assert rig.world.bad_key == ""


def test_nothing_opens_with_a_bad_key_and_closing_goes_on(rig: Watched) -> None:
    rig.opened()
    rig.world.bad_key = "binance: the API key may withdraw"
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    sent = len(rig.sent)
    rig.wish("open")
    rig.run(3)
    assert (rig.state, len(rig.sent)) == (State.IDLE, sent)
    assert rig.world.forbidden(rig.pair, rig.keys, rig.now) == "binance: the API key may withdraw"
    rig.world.bad_key = ""
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 10)


async def test_the_reader_asks_the_port_and_an_account_that_is_not_open_is_out_of_reach() -> None:
    class Port:
        def __init__(self, error_class: str = "") -> None:
            self.error_class = error_class

        async def permissions(self) -> KeyPermissions:
            if self.error_class:
                raise VenueError("v", self.error_class, "no")
            return SOUND

    port: Any = Port()
    assert await KeyReader({"v": port}).read(ReadKeys(venue="v")) == SOUND
    with pytest.raises(VenueError, match="not open yet"):
        await KeyReader({}).read(ReadKeys(venue="v"))
    assert await permissions_of(port) == (SOUND, "")
    deaf: Any = Port("auth")
    assert await permissions_of(deaf) == (KeyPermissions(readable=False), "v: no")
    away: Any = Port("timeout")
    with pytest.raises(VenueError):
        await permissions_of(away)
