"""What a person asks of pairs: open, close, rebalance, flatten, status, positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.messages import Want
from libs.common.messages_exec import Breaker, Level
from libs.common.subjects import exec_pair
from services.executor import events
from services.executor.model import Purpose, State
from services.executor.say import pair_status
from tests.unit.executor.asking import ask, audits, done, refused, replies, say
from tests.unit.executor.rig import FLAT, PERP_KEY, Rig
from tests.unit.executor.scripted import times

ONE = (Decimal(1), Decimal(-1))


def test_a_person_opens_by_the_rules_of_an_intent() -> None:
    rig = Rig()
    told = done(rig, "open", pair=rig.pair, direction="forward", notional_usd="100", actor="ann", reason="x")
    assert (told["pair"], told["begun"], told["notional_usd"]) == (rig.pair, "open", "100")
    rig.until(lambda: rig.state is State.ACTIVE, 3)
    assert rig.shown == ONE
    assert "by hand (ann): x" in rig.durable.reason
    assert audits(rig) == [("done", "x")]


def test_the_size_is_the_configs_where_none_is_said() -> None:
    rig = Rig()
    assert done(rig, "open", pair=rig.pair, direction="forward")["notional_usd"] == "5000"


def halt(rig: Rig) -> None:
    rig.breakers = (Breaker(scope="global", level=Level.NO_OPENS, reason="errors"),)


def hush(rig: Rig) -> None:
    rig.risk_on = False


def blind(rig: Rig) -> None:
    rig.feed_on = False


@pytest.mark.parametrize(
    ("act", "fields", "code", "words"),
    [
        (None, {"direction": None}, "direction", "forward is long"),
        (None, {"notional_usd": "3"}, "not_opened", "at least"),
        (None, {"notional_usd": "100000"}, "not_opened", "position.notional_usd"),
        (None, {"notional_usd": "NaN"}, "not_opened", "no notional"),
        (None, {"notional_usd": "-5"}, "not_opened", "no notional"),
        (halt, {}, "not_opened", "global is no_opens: errors"),
        (hush, {}, "not_opened", "permit"),
        (blind, {}, "not_opened", "quote"),
    ],
)
def test_what_stands_against_an_opening_is_named(
    act: Any, fields: dict[str, Any], code: str, words: str
) -> None:
    rig = Rig()
    if act is not None:
        act(rig)
        rig.run(3)
    values: dict[str, Any] = {"direction": "forward", "notional_usd": "100"} | fields
    found = refused(rig, "open", pair=rig.pair, **values)
    assert found[0] == code
    assert words in found[1]
    rig.run(2)
    assert rig.sent == []
    assert audits(rig)[0][0] == "refused"


def test_a_person_closes_softly_also_while_a_back_off_lasts() -> None:
    rig = Rig().opened()
    rig.acts("perp", "reject", "reject", "reject")
    done(rig, "close", pair=rig.pair, reason="enough")
    rig.until(lambda: rig.moves[-1] == "closing>active", 20)
    assert rig.shown == ONE, "a soft close that fails restores the hedge"
    assert done(rig, "close", pair=rig.pair)["begun"] == "close"
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.shown == FLAT


def test_only_a_held_pair_is_closed_or_rebalanced() -> None:
    rig = Rig()
    for verb in ("close", "rebalance"):
        assert refused(rig, verb, pair=rig.pair)[0] == "state"
    rig.opened()
    rig.acts("perp", "none", "none")
    done(rig, "close", pair=rig.pair)
    assert done(rig, "close", pair=rig.pair)["state"] == "closing"


def test_a_rebalance_answers_with_what_it_begins() -> None:
    rig = Rig().opened("1000")
    told = done(rig, "rebalance", pair=rig.pair)
    assert (told["begun"], told["delta"]) == ("", "0")
    legs = rig.lane.state.legs
    rig.lane.state = replace(rig.lane.state, legs=(legs[0], replace(legs[1], quantity=Decimal("-10.01"))))
    rig.venues.held[PERP_KEY] = Decimal("-10.01")
    rig.run(3)
    assert len(rig.sent) == 2, "within the threshold it is left alone"
    told = done(rig, "rebalance", pair=rig.pair, actor="ann")
    assert told["begun"] == "rebalance"
    assert told["goals"] == ["10", "-10"]
    rig.until(lambda: rig.shown == (Decimal(10), Decimal(-10)), 3)
    assert len(rig.orders(Purpose.TRIM)) == 1


def test_an_answer_comes_after_what_it_says_is_durable() -> None:
    rig = Rig().opened()
    rig.store.down = True
    code, _ = refused(rig, "close", pair=rig.pair)
    assert code == "store"
    rig.store.down = False
    rig.run(5)
    assert len(rig.sent) == 2
    assert rig.state is State.ACTIVE, "what was refused is not done later"


def test_what_a_busy_pair_did_not_begin_in_time_is_never_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    write = rig._write
    slow = lambda lane, persist: rig.later(2 * US_PER_SEC, lambda: write(lane, persist))  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(rig, "_write", slow)
        say(rig, "open", pair=rig.pair, direction="forward", notional_usd="100")
        rig.run(1)
        code, text = refused(rig, "close", pair=rig.pair)
    assert code == "busy"
    assert "nothing is changed" in text
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    rig.run(5)
    assert rig.state is State.ACTIVE
    assert rig.shown == ONE


def test_who_does_not_lead_a_pair_says_who_does() -> None:
    rig = Rig().opened()
    status = pair_status(rig.lane, rig.now)
    rig.hear(status, exec_pair(rig.pair))
    rig.offer(events.LeaseLost(pair=rig.pair, text="another executor has taken it", taken=True))
    rig.run(0.1)
    rig.hear(status, exec_pair(rig.pair))
    code, text = refused(rig, "close", pair=rig.pair)
    assert code == "no_owner", "our own words of a moment ago name no other"
    assert "another executor has taken it" in text
    rig.hear(replace(status, owner="other-host"), exec_pair(rig.pair))
    assert done(rig, "close", pair=rig.pair)["owner"] == "other-host"
    assert done(rig, "status")["elsewhere"] == {rig.pair: "other-host"}
    rig.run(13)
    assert refused(rig, "close", pair=rig.pair)[0] == "no_owner", "who is silent leads no more"
    rig.world.store_away = "it is full"
    said = ("store", "nothing can be sent without the store: it is full")
    assert refused(rig, "close", pair=rig.pair) == said


def test_a_pair_that_is_not_read_yet_takes_no_command() -> None:
    rig = Rig()
    rig.lane.loaded = False
    rig.lane.blocked = "its state is being read"
    code, text = refused(rig, "close", pair=rig.pair)
    assert (code, text) == ("not_ready", "its state is being read")


def test_positions_and_status_tell_what_is_and_why() -> None:
    rig = Rig().opened()
    told = done(rig, "positions")
    held = told["pairs"][rig.pair]
    assert held["state"] == "active"
    assert [leg["quantity"] for leg in held["legs"]] == ["1", "-1"]
    rig.risk_on = False
    rig.run(3)
    rig.acts("perp", "lost")
    rig.acts("spot", "none")
    say(rig, "close", pair=rig.pair)
    rig.run(2)
    told = done(rig, "status")
    assert told["pairs"][rig.pair]["state"] == "closing"
    assert "unknown" in told["pairs"][rig.pair]["waits"]
    assert "permit" in told["pairs"][rig.pair]["opens"]
    (order,) = told["unknown_orders"]
    assert (order["venue"], order["instrument"]) == PERP_KEY
    assert not told["permit"]["fresh"]


def test_status_tells_of_a_key_that_is_not_to_be_used_any_more() -> None:
    rig = Rig().opened()
    assert done(rig, "status")["keys"] == "ok"
    rig.world.bad_key = "binance: the API key may withdraw"
    told = done(rig, "status")
    assert told["keys"] == "binance: the API key may withdraw"
    assert told["pairs"][rig.pair]["opens"] == "binance: the API key may withdraw"


def test_an_instrument_that_nobody_has_described_is_asked_for_and_told() -> None:
    rig = Rig()
    assert done(rig, "status")["pairs"][rig.pair]["opens"] == "ok"
    rig.run(11)
    assert sum(isinstance(one, Want) for one in rig.spoken) == 1, "at the start, and not again"
    info = rig.world.rules.pop(rig.keys[0])
    rig.restart()
    rig.run(0)  # what the feed says at the start has been heard
    del rig.world.rules[rig.keys[0]]
    rig.run(11)
    assert "not described" in done(rig, "status")["pairs"][rig.pair]["opens"]
    assert sum(isinstance(one, Want) for one in rig.spoken) >= 3
    rig.world.rules[rig.keys[0]] = info
    rig.run(1)
    assert done(rig, "status")["pairs"][rig.pair]["opens"] == "ok"


# --- flatten ------------------------------------------------------------------------------------------------


def test_flatten_is_risks_while_it_is_there() -> None:
    rig = Rig().opened()
    assert done(rig, "flatten", confirm=True)["left_to"] == "risk"
    rig.run(10)
    assert rig.state is State.ACTIVE
    assert rig.durable.flattened == ""
    (told,) = rig.told("flatten")
    assert "left to risk" in told, "whose permits never say so"


def test_a_flatten_that_risk_says_is_no_news() -> None:
    rig = Rig().opened()
    done(rig, "flatten", confirm=True)
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="by hand"),)
    rig.run(10)
    assert rig.state is State.IDLE
    assert rig.told("flatten") == []


def test_flatten_without_risk_closes_by_force_and_stays() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.run(2)
    told = done(rig, "flatten", confirm=True, actor="ann", reason="fire")
    assert told["pairs"][rig.pair]["begun"] == "flatten"
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.shown == FLAT
    rig.restart()
    rig.risk_on = True
    rig.run(3)
    code, text = refused(rig, "open", pair=rig.pair, direction="forward", notional_usd="100")
    assert code == "not_opened"
    assert "flattened by hand (ann): fire" in text
    done(rig, "reset", pair=rig.pair, confirm=True)
    done(rig, "open", pair=rig.pair, direction="forward", notional_usd="100")


def test_a_flatten_goes_on_through_a_crash() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.run(2)
    rig.acts("perp", "none", "none")
    rig.acts("spot", "none", "none")
    done(rig, "flatten", confirm=True)
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.shown == FLAT


def test_a_flatten_that_risk_has_died_of_is_ours_after_all() -> None:
    rig = Rig().opened()
    rig.beat()
    rig.risk_on = False
    rig.run(0.9)
    assert done(rig, "flatten", confirm=True)["left_to"] == "risk"
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert len(replies(rig)) == 1, "one answer to one command"


def test_flatten_needs_to_be_confirmed() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.run(2)
    assert refused(rig, "flatten")[0] == "confirm"
    rig.run(2)
    assert rig.state is State.ACTIVE


def test_a_close_by_force_is_not_begun_twice() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.run(2)
    for _ in range(3):
        say(rig, "flatten", confirm=True)
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.moves.count("active>closing") == 1


def test_commands_of_others_are_not_answered() -> None:
    rig = Rig()
    say(rig, "pause")
    rig.run(2)
    assert replies(rig) == []


def test_an_id_is_used_once() -> None:
    rig = Rig()
    values: dict[str, Any] = {"pair": rig.pair, "direction": "forward", "notional_usd": "100", "id": "a"}
    assert ask(rig, "open", **values).ok
    assert refused(rig, "open", **values)[0] == "repeated"
    late = rig.now.wall_us // 1000 - 31_000
    assert refused(rig, "close", pair=rig.pair, ts_ms=late)[0] == "late"


def test_a_hard_close_forces_the_failing_leg_and_ends_with_the_position() -> None:
    rig = Rig().opened()
    rig.acts("perp", *times(6, "none"))
    assert done(rig, "close", pair=rig.pair, hard=True)["begun"] == "hard close"
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert rig.shown == FLAT
    assert "closing>active" not in rig.moves
    rig.run(1)
    assert rig.durable.forced == ""
    rig.opened()


def test_a_soft_close_can_be_made_a_hard_one() -> None:
    rig = Rig().opened()
    rig.acts("perp", *times(6, "none"))
    done(rig, "close", pair=rig.pair)
    rig.run(0.1)
    done(rig, "close", pair=rig.pair, hard=True)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert "closing>active" not in rig.moves
