"""Orders that were given up are asked for until a venue answers: late landings that only a query shows."""

from __future__ import annotations

from services.executor.events import QueryOrder
from services.executor.keeping import AGES_US, RECHECK_US_MAX
from services.executor.model import Intent, IntentState, State
from services.executor.recheck import AGAIN_US, AGAIN_US_MAX
from services.executor.translate import request_of
from tests.unit.executor.rig import FLAT, Rig

HOUR_SEC = AGES_US[-1] / 1e6
BOUND_SEC = RECHECK_US_MAX / 1e6


def given_up() -> tuple[Rig, Intent]:
    """A spot order of an attempt that came to nothing."""
    rig = Rig()
    rig.acts("spot", "lost")
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: rig.state is State.IDLE and len(rig.moves) > 1, 120)
    (denied,) = [one for one in rig.lane.intents.values() if one.state is IntentState.NOT_ACCEPTED]
    return rig, denied


def until_age(rig: Rig, intent: Intent, age_sec: float) -> None:
    rig.run(age_sec - (rig.now.wall_us - intent.created_us) / 1e6)


def lands(rig: Rig, intent: Intent) -> None:
    """It has filled after all, and the stream said nothing of it."""
    rig.stream_on = False
    key = rig.keys[intent.leg]
    rig.venues.acts[key].appendleft("fill")
    rig.venues.arrive(key, request_of(intent, key[1]))


def asked(rig: Rig, intent: Intent) -> int:
    return sum(isinstance(one, QueryOrder) and one.id == intent.id for one in rig.requests)


def test_a_last_recheck_that_fails_is_repeated_until_it_is_answered() -> None:
    rig, denied = given_up()
    until_age(rig, denied, HOUR_SEC - 10)
    lands(rig, denied)
    rig.venues.queries_fail = True
    until_age(rig, denied, HOUR_SEC + BOUND_SEC / 2)
    assert rig.held == FLAT != rig.shown
    rig.venues.queries_fail = False
    rig.until(lambda: rig.state is State.IDLE and rig.shown == FLAT, AGAIN_US_MAX / 1e6 + 10)
    assert rig.told("late_fill")
    assert rig.held == FLAT
    assert rig.told("unanswered") == []


def test_one_answer_ends_it_and_a_repetition_takes_its_time() -> None:
    rig, denied = given_up()
    until_age(rig, denied, HOUR_SEC - 10)
    rig.venues.queries_fail = True
    before = asked(rig, denied)
    until_age(rig, denied, HOUR_SEC + 2.5 * AGAIN_US / 1e6)
    assert asked(rig, denied) - before == 3  # at 0, 5 and 10 s
    rig.venues.queries_fail = False
    until_age(rig, denied, HOUR_SEC + BOUND_SEC + 600)
    assert asked(rig, denied) - before == 4
    assert rig.told("unanswered") == []


def test_an_answer_that_never_comes_is_told_once_and_with_all_that_a_person_needs() -> None:
    rig, denied = given_up()
    rig.venues.queries_fail = True
    until_age(rig, denied, HOUR_SEC + BOUND_SEC - 1)
    assert rig.told("unanswered") == []
    until_age(rig, denied, HOUR_SEC + BOUND_SEC + AGAIN_US_MAX / 1e6)
    (text,) = rig.told("unanswered")
    assert denied.id in text
    assert "buy 1 binance BTC-USDT" in text
    assert "look it up there" in text
    before = asked(rig, denied)
    rig.run(3_600)
    assert asked(rig, denied) == before
    assert len(rig.told("unanswered")) == 1


def test_an_earlier_age_without_an_answer_is_followed_by_the_next() -> None:
    rig, denied = given_up()
    rig.venues.queries_fail = True
    until_age(rig, denied, HOUR_SEC - 10)
    rig.venues.queries_fail = False
    until_age(rig, denied, HOUR_SEC + 30)
    before = asked(rig, denied)
    rig.run(3_600)
    assert asked(rig, denied) == before
    assert rig.told("unanswered") == []
